/// @file
/// The embedded gateway's check of dates and signatures.
#ifndef BACKENDAI_TESTING_GATEWAY_AUTH_HPP
#define BACKENDAI_TESTING_GATEWAY_AUTH_HPP

#include <backendai/codec/date.hpp>
#include <backendai/codec/digest.hpp>
#include <backendai/codec/signature.hpp>
#include <backendai/testing/gateway_keypairs.hpp>
#include <backendai/testing/gateway_types.hpp>
#include <backendai/version.hpp>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {

namespace detail {

/// A parameter of "SCHEME name=value, name=value".
inline std::string authorization_parameter(std::string_view text, std::string_view name) {
    while (!text.empty()) {
        const std::size_t comma = text.find(',');
        std::string_view item = text.substr(0, comma);
        while (!item.empty() && item.front() == ' ') item.remove_prefix(1);
        const std::size_t equals = item.find('=');
        if (equals != std::string_view::npos && item.substr(0, equals) == name) {
            return std::string(item.substr(equals + 1));
        }
        if (comma == std::string_view::npos) break;
        text.remove_prefix(comma + 1);
    }
    return {};
}

/// The access key of a request that has been checked.
inline std::string access_key_of(const http_call& call) {
    const std::string* header = find_header(call.headers, "Authorization");
    const std::string_view text = header == nullptr ? std::string_view() : std::string_view(*header);
    const std::string credential =
        authorization_parameter(text.substr((std::min)(text.find(' '), text.size())), "credential");
    return credential.substr(0, credential.find(':'));
}

} // namespace detail

/// Checks requests against the active key pairs of a store. Thread-safe.
class authenticator {
public:
    authenticator(const gateway_options& options, const detail::keypair_store& keypairs)
        : keypairs_(keypairs), clock_(options.clock) {}

    /// Returns when the request carries a date within 15 minutes and the right signature.
    /// @param skew what is added to the clock, for the scripted clock fault.
    /// @throws problem: 400 invalid-auth-params for the date or a malformed header, 401 auth-failed for the rest.
    void check(const http_call& call, std::chrono::minutes skew = std::chrono::minutes(0)) const {
        const std::string date = field(call, "Date", "X-BackendAI-Date");
        const auto time = codec::parse_iso_date(date);
        if (!time) throw invalid_authorization("Date/time sync error");
        // In seconds: the clock's own unit cannot count the distance of two far dates.
        using std::chrono::seconds;
        const auto difference = std::chrono::duration_cast<seconds>((clock_() + skew).time_since_epoch()) -
                                std::chrono::duration_cast<seconds>(time->time_since_epoch());
        constexpr seconds tolerance = std::chrono::minutes(15);
        if (difference > tolerance || difference < -tolerance) throw invalid_authorization("Date/time sync error");
        const std::string* header = find_header(call.headers, "Authorization");
        if (header == nullptr) throw authorization_failed("Unauthorized access");
        const std::string hash_type = hash_of(*header);
        codec::signed_fields fields;
        const std::string host = field(call, "Host", "Host");
        const std::string version = field(call, "X-BackendAI-Version", "X-Sorna-Version");
        const std::string content_type = field(call, "Content-Type", "Content-Type");
        fields.method = call.method;
        fields.target = call.target;
        fields.date = date;
        fields.host = host;
        // What aiohttp takes for a missing header, and so what a real server signs.
        fields.content_type = content_type.empty() ? std::string_view("application/octet-stream") : content_type;
        fields.version = version;
        fields.body = call.body;
        const std::string access_key = detail::access_key_of(call);
        const auto secret_key = keypairs_.secret_of(access_key);
        if (!secret_key) throw authorization_failed("Access key not found");
        if (!same(signature_in(signer_for(access_key, *secret_key, hash_type).sign(fields)), signature_in(*header))) {
            throw authorization_failed("Signature mismatch");
        }
    }

private:
    static std::string field(const http_call& call, std::string_view name, std::string_view other) {
        const std::string* value = find_header(call.headers, name);
        if (value == nullptr) value = find_header(call.headers, other);
        return value == nullptr ? std::string() : *value;
    }

    // "BackendAI signMethod=HMAC-SHA256, credential=KEY:SIGNATURE": checks all but the signature, returns "sha256".
    std::string hash_of(const std::string& header) const {
        const std::string_view text = header;
        const std::size_t space = text.find(' ');
        const std::string_view scheme = text.substr(0, space);
        if (space == std::string_view::npos || (scheme != "BackendAI" && scheme != "Sorna")) {
            throw invalid_authorization("Invalid authorization scheme");
        }
        const std::string method = detail::authorization_parameter(text.substr(space + 1), "signMethod");
        const std::string credential = detail::authorization_parameter(text.substr(space + 1), "credential");
        const std::size_t colon = credential.find(':');
        if (method.compare(0, 5, "HMAC-") != 0 || colon == std::string::npos) {
            throw invalid_authorization("Invalid authorization parameters");
        }
        std::string hash_type;
        for (const char c : method.substr(5)) hash_type += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
        if (!codec::has_digest(hash_type)) throw invalid_authorization("Unsupported signature method");
        return hash_type;
    }

    static std::string_view signature_in(std::string_view header) { return header.substr(header.rfind(':') + 1); }

    // In a time that does not tell where the texts differ, as a server should.
    static bool same(std::string_view ours, std::string_view theirs) {
        unsigned difference = ours.size() == theirs.size() ? 0 : 1;
        for (std::size_t i = 0; i < ours.size() && i < theirs.size(); ++i) {
            difference |= static_cast<unsigned>(static_cast<unsigned char>(ours[i] ^ theirs[i]));
        }
        return difference == 0;
    }

    const codec::signer& signer_for(const std::string& access_key, const std::string& secret_key,
                                    const std::string& hash_type) const {
        const std::lock_guard<std::mutex> lock(mutex_);
        std::unique_ptr<codec::signer>& entry = signers_[{access_key, hash_type}];
        if (!entry) entry = std::make_unique<codec::signer>(access_key, secret_key, hash_type);
        return *entry;
    }

    const detail::keypair_store& keypairs_;
    std::function<std::chrono::system_clock::time_point()> clock_;
    mutable std::mutex mutex_;
    mutable std::map<std::pair<std::string, std::string>, std::unique_ptr<codec::signer>> signers_;
};

} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
