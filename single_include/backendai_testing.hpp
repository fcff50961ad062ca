// backendai_testing.hpp: the embedded gateway and the test transport, version 0.1.0
// SPDX-License-Identifier: MIT
// Generated from include/ by single_include/amalgamate.py. Do not edit: change include/ and run that script.

#ifndef BACKENDAI_TESTING_SINGLE_HPP
#define BACKENDAI_TESTING_SINGLE_HPP
#include "backendai.hpp"
// ---- backendai/testing/gateway.hpp
/// @file
/// The embedded gateway: a small real Backend.AI server in a header, for tests and for trying programs out.
///
/// It is an emulator. It listens on the loopback interface only, and runs the code that it is given as the user who
/// started it, with that user's rights: keep its keys to yourself on a machine that others use.
#ifndef BACKENDAI_TESTING_GATEWAY_HPP
#define BACKENDAI_TESTING_GATEWAY_HPP

// ---- backendai/testing/gateway_auth.hpp
/// @file
/// The embedded gateway's check of dates and signatures.
#ifndef BACKENDAI_TESTING_GATEWAY_AUTH_HPP
#define BACKENDAI_TESTING_GATEWAY_AUTH_HPP

// ---- backendai/testing/gateway_keypairs.hpp
/// @file
/// The key pairs that the embedded gateway knows: who may sign requests, and as whom.
#ifndef BACKENDAI_TESTING_GATEWAY_KEYPAIRS_HPP
#define BACKENDAI_TESTING_GATEWAY_KEYPAIRS_HPP

// ---- backendai/testing/gateway_types.hpp
/// @file
/// What the parts of the embedded gateway hand to each other: calls, replies, options, and errors as RFC 7807 problems.
#ifndef BACKENDAI_TESTING_GATEWAY_TYPES_HPP
#define BACKENDAI_TESTING_GATEWAY_TYPES_HPP


#include <nlohmann/json.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {

/// Header fields in the order of the wire; names in any case.
using header_list = std::vector<std::pair<std::string, std::string>>;

/// One request, whole.
struct http_call {
    std::string method; ///< upper case
    std::string target; ///< as on the request line: path with prefix, and query
    header_list headers;
    std::string body;
    /// The body of an upload that comes over a connection: up to so many bytes, 0 at the end. Null when the
    /// body is in `body`.
    std::function<std::size_t(char*, std::size_t)> stream = {};
    bool takes_stream = false; ///< whether the answer may be a stream
};

struct fault;

/// One answer, whole.
struct http_reply {
    int status = 200;
    std::string reason;  ///< empty = the usual one
    header_list headers; ///< without Content-Length and Connection, which belong to the connection
    std::string body;
    /// A body of unknown length in place of `body`, if http_call::takes_stream: up to so many bytes, 0 at the end.
    std::function<std::size_t(char*, std::size_t)> stream = {};
    std::optional<std::uint64_t> stream_length = {}; ///< of that body, when it is known before
    /// A scripted fault that only a connection can show (a drop, a wrong length ...): gateway::handle() leaves it to
    /// the caller to turn it into an error. Null on an honest answer.
    std::shared_ptr<const fault> wire_fault;
    /// Takes the connection over after the head has been sent (status 101), until it returns. The second argument holds
    /// bytes that came behind the request.
    std::function<void(os::tcp_socket&, std::string)> upgrade;
};

/// A user besides the one of gateway_options::access_key, to share virtual folders with.
struct gateway_user {
    std::string access_key, secret_key, email;
    std::string password = {}; ///< at the webserver; empty: no login
};

/// How an embedded gateway behaves. Every field has a default that suits tests.
struct gateway_options {
    std::string access_key = "AKIAIOSFODNN7EXAMPLE";
    std::string secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    std::string email = "user@example.com"; ///< of that key pair's user
    std::vector<gateway_user> other_users;
    /// Which generation of servers it acts as: v4.20190315 (19.03), or v6.20200815 to v9.20250722 (20.09 to 25.12).
    std::string protocol = "v4.20190315";
    std::string wsproxy_addr;              ///< what start-service tells; empty: no such proxy is configured
    std::string vfolder_encoding = "gzip"; ///< of virtual folder downloads: gzip, deflate (raw) or identity
    std::uint16_t port = 0;                ///< 0 = any free port; always on 127.0.0.1
    std::string path_prefix;               ///< such as "/api": what stands in front of every path
    std::string directory;                 ///< where session folders are made; empty = the system's temporary directory
    std::vector<std::string> images;       ///< names that may be created; empty = whatever an interpreter was found for
    std::vector<std::string> vfolders;     ///< folder names that a session may mount
    /// The wall clock, for date checks, ages and the idle limit. Called from several threads at once.
    std::function<std::chrono::system_clock::time_point()> clock = [] { return std::chrono::system_clock::now(); };
    std::chrono::milliseconds idle_timeout = std::chrono::minutes(30); ///< 0 = sessions live for ever
    std::chrono::milliseconds slice = std::chrono::seconds(2);         ///< how long one call to execute may take
    std::chrono::milliseconds start_timeout = std::chrono::seconds(30);
    std::chrono::milliseconds keep_alive = std::chrono::seconds(75);
    std::size_t max_sessions = 100;
    std::size_t max_connections = 1000;
    std::size_t max_head = 64 * 1024;
    std::size_t max_body = 64 * 1024 * 1024;
    std::size_t max_code = 1024 * 1024;
    std::size_t max_output = 1024 * 1024; ///< console bytes in one answer; a program that prints more waits
    std::int64_t rate_limit = 1000000;    ///< requests in 15 minutes
    // The webserver, for clients with endpoint_type "session": below /server and /func.
    std::string password = "gateway-password"; ///< of `email`
    std::string otp;                           ///< the one-time password that it wants besides; empty: none
    bool login_refused_by_status = false;      ///< 401 and other signs of servers from 26 on; else as in 23.03
    // The storage proxy.
    std::string storage_url;                   ///< what the manager calls it; empty: where it is
    bool storage_checks_offset = false;        ///< of uploads, as from 26.2 on
    std::chrono::milliseconds storage_pace{0}; ///< how long it rests after each 64 KiB
    // Events of compute sessions.
    bool event_ids = false;                                          ///< number them, and go on behind Last-Event-ID
    std::chrono::milliseconds event_ping = std::chrono::seconds(15); ///< between comments in a quiet stream
    /// Sees every whole request before it is answered, on the connection's thread; several at once.
    std::function<void(const http_call&)> on_request;
};

/// A header's value by its name in any case, or null.
inline const std::string* find_header(const header_list& headers, std::string_view name) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    for (const auto& field : headers) {
        if (field.first.size() != name.size()) continue;
        std::size_t i = 0;
        while (i < name.size() && lower(field.first[i]) == lower(name[i])) ++i;
        if (i == name.size()) return &field.second;
    }
    return nullptr;
}

/// The usual reason phrase of a status.
inline std::string reason_of(int status) {
    static const std::vector<std::pair<int, const char*>> reasons = {{100, "Continue"},
                                                                     {101, "Switching Protocols"},
                                                                     {200, "OK"},
                                                                     {201, "Created"},
                                                                     {204, "No Content"},
                                                                     {206, "Partial Content"},
                                                                     {301, "Moved Permanently"},
                                                                     {302, "Found"},
                                                                     {304, "Not Modified"},
                                                                     {400, "Bad Request"},
                                                                     {401, "Unauthorized"},
                                                                     {403, "Forbidden"},
                                                                     {404, "Not Found"},
                                                                     {405, "Method Not Allowed"},
                                                                     {409, "Conflict"},
                                                                     {412, "Precondition Failed"},
                                                                     {413, "Payload Too Large"},
                                                                     {416, "Range Not Satisfiable"},
                                                                     {417, "Expectation Failed"},
                                                                     {429, "Too Many Requests"},
                                                                     {431, "Request Header Fields Too Large"},
                                                                     {500, "Internal Server Error"},
                                                                     {501, "Not Implemented"},
                                                                     {502, "Bad Gateway"},
                                                                     {503, "Service Unavailable"},
                                                                     {504, "Gateway Timeout"},
                                                                     {505, "HTTP Version Not Supported"}};
    for (const auto& item : reasons) {
        if (item.first == status) return item.second;
    }
    return "Unknown";
}

/// An error as the server tells it: thrown by handlers, answered as application/problem+json.
class problem : public std::runtime_error {
public:
    /// @param extra further members of the answer  @param detail part of the title on 19.03, `msg` later
    problem(int status, const std::string& type, const std::string& title, nlohmann::json extra = nullptr,
            const std::string& detail = {})
        : std::runtime_error(detail.empty() ? title : title + " (" + detail + ")"),
          status_(status),
          type_(type),
          title_(title),
          detail_(detail),
          extra_(std::move(extra)) {}

    /// @param is_modern in the form of 20.09 and later
    http_reply reply(bool is_modern = false) const {
        nlohmann::json body = {{"type", type_}, {"title", what()}};
        if (is_modern) {
            body["title"] = title_;
            if (!detail_.empty()) body["msg"] = detail_;
            rename(body);
        }
        body["type"] = "https://api.backend.ai/probs/" + body["type"].get<std::string>();
        if (extra_.is_object()) body.update(extra_);
        http_reply result;
        result.status = status_;
        result.headers = {{"Content-Type", "application/problem+json; charset=utf-8"}};
        result.body = body.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
        return result;
    }
    int status() const { return status_; }

private:
    // What 19.03 has a type of its own for.
    static void rename(nlohmann::json& body) {
        struct row {
            const char *old, *type, *title;
        };
        static const row rows[] = {
            {"generic-not-found", "url-not-found", "Unknown URL path."},
            {"kernel-not-found", "object-not-found", "No such session."},
            {"vfolder-not-found", "object-not-found", "No such virtual folder."},
            {"app-not-found", "object-not-found", "No such app service."},
            {"generic-bad-request", "generic-bad-request", "Bad request."},
            {"kernel-already-exists", "session-already-exists",
             "The session already exists but you requested not to reuse existing one."},
        };
        for (const row& each : rows) {
            if (body["type"] != each.old) continue;
            body["type"] = each.type;
            if (body["type"] == "generic-bad-request" && body["title"] != each.title) body["msg"] = body["title"];
            body["title"] = each.title;
            return;
        }
    }

    int status_;
    std::string type_, title_, detail_;
    nlohmann::json extra_;
};

inline problem invalid_parameters(const std::string& detail) {
    return {400, "invalid-api-params", "Missing or invalid API parameters.", nullptr, detail};
}
inline problem invalid_authorization(const std::string& detail) {
    return {400, "invalid-auth-params", "Missing or invalid authorization parameters.", nullptr, detail};
}
inline problem authorization_failed(const std::string& detail) {
    return {401, "auth-failed", "Credential/signature mismatch.", nullptr, detail};
}
inline problem kernel_not_found() {
    return {404, "kernel-not-found", "No such kernel."};
}
inline problem server_frozen() {
    return {503, "server-frozen", "The server is frozen due to maintenance. Please try again later."};
}

/// A JSON answer.
inline http_reply json_reply(const nlohmann::json& body, int status = 200) {
    http_reply reply;
    reply.status = status;
    reply.headers = {{"Content-Type", "application/json; charset=utf-8"}};
    reply.body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    return reply;
}

/// 204.
inline http_reply empty_reply() {
    http_reply reply;
    reply.status = 204;
    return reply;
}

} // namespace testing
BACKENDAI_NAMESPACE_END

#endif

#include <openssl/rand.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// A UUID that is always the same for a text: of users, which the gateway knows by their key.
inline std::string uuid_of(const std::string& text) {
    std::string id = codec::to_hex(codec::digest("sha256", text)).substr(0, 32);
    id[12] = '4';
    for (const std::size_t dash : {20U, 16U, 12U, 8U}) id.insert(dash, "-");
    return id;
}
inline std::string user_uuid(const std::string& access_key) {
    return uuid_of("user:" + access_key);
}
/// "2026-11-23 15:23:56.525129+00:00": as Python prints a date.
inline std::string python_date(std::chrono::system_clock::time_point time) {
    std::string text = codec::format_date(std::chrono::time_point_cast<std::chrono::microseconds>(time));
    text[10] = ' ';
    return text;
}

/// One key pair.
struct stored_keypair {
    std::string user_id, access_key, secret_key;
    bool is_active = true, is_admin = false;
    std::string resource_policy; ///< empty = null
    std::int64_t concurrency_limit = 1, rate_limit = 5000;
    std::chrono::system_clock::time_point created_at;
    std::optional<std::chrono::system_clock::time_point> last_used;
    std::int64_t num_queries = 0;
};

/// Thread-safe.
class keypair_store {
public:
    /// Characters that are drawn evenly from @p alphabet, which has 32 or 64 of them.
    static std::string random_text(std::size_t length, std::string_view alphabet) {
        std::string text(length, '\0');
        if (RAND_bytes(reinterpret_cast<unsigned char*>(&text[0]), static_cast<int>(length)) != 1) {
            throw std::runtime_error("no random numbers");
        }
        for (char& c : text) c = alphabet[static_cast<unsigned char>(c) % alphabet.size()];
        return text;
    }
    /// A fresh pair of keys: "AKIA" and 16 base32 characters, and 40 others.
    static void make_keys(stored_keypair& item) {
        item.access_key = "AKIA" + random_text(16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567");
        item.secret_key = random_text(40, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");
    }

    /// With the key pairs of the options: the gateway's own is an administrator's, the other users' are not.
    explicit keypair_store(const gateway_options& options) {
        stored_keypair item;
        item.user_id = options.email;
        item.access_key = options.access_key;
        item.secret_key = options.secret_key;
        item.is_admin = true;
        item.resource_policy = "default";
        item.created_at = options.clock();
        item.concurrency_limit = static_cast<std::int64_t>(options.max_sessions);
        put(item);
        item.is_admin = false;
        for (const gateway_user& user : options.other_users) {
            item.user_id = user.email;
            item.access_key = user.access_key;
            item.secret_key = user.secret_key;
            put(item);
        }
    }

    void put(stored_keypair item) {
        const std::lock_guard<std::mutex> lock(mutex_);
        items_[item.access_key] = std::move(item);
    }
    std::optional<stored_keypair> find(const std::string& access_key) const {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = items_.find(access_key);
        if (found == items_.end()) return {};
        return found->second;
    }
    std::vector<stored_keypair> all() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        std::vector<stored_keypair> result;
        for (const auto& item : items_) result.push_back(item.second);
        return result;
    }
    /// Counts a request that was signed with it.
    void note_use(const std::string& access_key, std::chrono::system_clock::time_point now) {
        change(access_key, [now](stored_keypair& item) {
            item.last_used = now;
            ++item.num_queries;
        });
    }
    /// Changes one in place; false when there is none of this key.
    template <class Change>
    bool change(const std::string& access_key, Change apply) {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = items_.find(access_key);
        if (found == items_.end()) return false;
        apply(found->second);
        return true;
    }
    bool remove(const std::string& access_key) {
        const std::lock_guard<std::mutex> lock(mutex_);
        return items_.erase(access_key) > 0;
    }

    /// The secret key of an active pair, which a request is checked with.
    std::optional<std::string> secret_of(const std::string& access_key) const {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = items_.find(access_key);
        if (found == items_.end() || !found->second.is_active) return {};
        return found->second.secret_key;
    }

private:
    mutable std::mutex mutex_;
    std::map<std::string, stored_keypair> items_;
};

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif

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
// ---- backendai/testing/gateway_events.hpp
/// @file
/// The embedded gateway's events of compute sessions: who listens, and the endpoint, as server-sent events.
#ifndef BACKENDAI_TESTING_GATEWAY_EVENTS_HPP
#define BACKENDAI_TESTING_GATEWAY_EVENTS_HPP

// ---- backendai/testing/gateway_http.hpp
/// @file
/// HTTP/1.1 on one server connection (RFC 9112): requests in, replies out, with limits.
#ifndef BACKENDAI_TESTING_GATEWAY_HTTP_HPP
#define BACKENDAI_TESTING_GATEWAY_HTTP_HPP


#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// A request that is no HTTP or goes over a limit: the status to answer before the connection is closed.
struct bad_request {
    int status;
    const char* why;
};

/// The peer has closed, or kept silent for too long.
struct end_of_connection {};

inline std::string lower_case(std::string_view text) {
    std::string result(text);
    for (char& c : result) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    return result;
}

inline std::string_view trim(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

/// Whether a comma-separated header has an item, in any case.
inline bool has_token(const header_list& headers, std::string_view name, std::string_view token) {
    const std::string* value = find_header(headers, name);
    std::string_view rest = value != nullptr ? std::string_view(*value) : std::string_view();
    while (!rest.empty()) {
        const std::size_t comma = rest.find(',');
        if (lower_case(trim(rest.substr(0, comma))) == token) return true;
        if (comma == std::string_view::npos) break;
        rest.remove_prefix(comma + 1);
    }
    return false;
}

/// Reads requests from one connection. One thread.
class request_reader {
public:
    request_reader(os::tcp_socket& socket, const gateway_options& options) : socket_(socket), options_(options) {}

    /// Reads the next request's head. @throws bad_request, end_of_connection, std::system_error.
    http_call read_head() {
        std::size_t end = 0, searched = 0;
        while (bytes_.compare(0, 2, "\r\n") == 0)
            bytes_.erase(0, 2); // RFC 9112 section 2.2: empty lines before a request
        while ((end = bytes_.find("\r\n\r\n", searched)) == std::string::npos) {
            if (bytes_.size() > options_.max_head) throw bad_request{431, "head too large"};
            // As real servers do: a client that begins with TLS would wait for an answer, and not send a line's end.
            const bool is_text = bytes_.empty() || bytes_[0] == '\r' || codec::is_token(bytes_.substr(0, 1));
            if (!is_text) throw bad_request{400, "bad method"};
            searched = bytes_.size() < 3 ? 0 : bytes_.size() - 3;
            fill();
        }
        if (end > options_.max_head) throw bad_request{431, "head too large"};
        http_call call;
        parse_head(std::string_view(bytes_).substr(0, end + 2), call);
        bytes_.erase(0, end + 4);
        return call;
    }

    /// Reads the body that the head announces into @p call.
    void read_body(http_call& call) {
        const std::string* encoding = find_header(call.headers, "Transfer-Encoding");
        const std::size_t length = content_length(call.headers, encoding != nullptr);
        if (encoding == nullptr && length == 0) return;
        if (length > options_.max_body) throw bad_request{413, "body too large"};
        if (has_token(call.headers, "Expect", "100-continue") && bytes_.empty()) {
            socket_.write("HTTP/1.1 100 Continue\r\n\r\n");
        }
        if (encoding == nullptr) {
            take(length, call.body);
            return;
        }
        if (lower_case(trim(*encoding)) != "chunked") throw bad_request{501, "unknown transfer encoding"};
        for (;;) {
            const std::size_t size = chunk_size(read_line());
            if (size > options_.max_body - call.body.size()) throw bad_request{413, "body too large"};
            if (size == 0) break;
            take(size, call.body);
            if (!read_line().empty()) throw bad_request{400, "bad chunk"};
        }
        while (!read_line().empty()) continue; // trailer fields
    }

    /// Leaves the body of an upload (multipart or TUS) on the connection, to be read through @p call; false for other
    /// requests.
    bool stream_body(http_call& call) {
        const std::string* type = find_header(call.headers, "Content-Type");
        const std::string kind = type == nullptr ? std::string() : lower_case(*type);
        if (kind.compare(0, 20, "multipart/form-data;") != 0 && kind != "application/offset+octet-stream") return false;
        const std::string* encoding = find_header(call.headers, "Transfer-Encoding");
        stream_left_ = content_length(call.headers, encoding != nullptr);
        if (encoding != nullptr && lower_case(trim(*encoding)) != "chunked") {
            throw bad_request{501, "unknown transfer encoding"};
        }
        in_chunks_ = encoding != nullptr;
        first_chunk_ = true;
        if (has_token(call.headers, "Expect", "100-continue") && bytes_.empty()) {
            socket_.write("HTTP/1.1 100 Continue\r\n\r\n");
        }
        call.stream = [this](char* buffer, std::size_t capacity) { return read_stream(buffer, capacity); };
        return true;
    }
    /// Throws away what the handler has left of a body.
    void drain_stream() {
        char buffer[16384];
        while (read_stream(buffer, sizeof buffer) != 0) continue;
    }

    bool keeps_alive() const { return keeps_alive_; }
    /// What came behind the request.
    std::string take_rest() { return std::exchange(bytes_, {}); }

private:
    std::size_t read_stream(char* buffer, std::size_t capacity) {
        if (stream_left_ == 0 && in_chunks_) {
            if (!std::exchange(first_chunk_, false) && !read_line().empty()) throw bad_request{400, "bad chunk"};
            stream_left_ = chunk_size(read_line());
            if (stream_left_ == 0) {
                while (!read_line().empty()) continue; // trailer fields
                in_chunks_ = false;
            }
        }
        std::size_t count = (std::min)(capacity, stream_left_);
        if (count == 0) return 0;
        if (bytes_.empty()) {
            if (!socket_.wait_readable(options_.keep_alive)) throw end_of_connection{};
            count = socket_.read(buffer, count);
            if (count == 0) throw end_of_connection{};
        } else {
            count = (std::min)(count, bytes_.size());
            std::copy_n(bytes_.begin(), count, buffer);
            bytes_.erase(0, count);
        }
        stream_left_ -= count;
        return count;
    }

    void fill() {
        if (!socket_.wait_readable(options_.keep_alive)) throw end_of_connection{};
        char buffer[16384];
        const std::size_t count = socket_.read(buffer, sizeof buffer);
        if (count == 0) throw end_of_connection{};
        bytes_.append(buffer, count);
    }

    void take(std::size_t length, std::string& into) {
        while (length > 0) {
            if (bytes_.empty()) fill();
            const std::size_t count = (std::min)(length, bytes_.size());
            into.append(bytes_, 0, count);
            bytes_.erase(0, count);
            length -= count;
        }
    }

    std::string read_line() {
        std::size_t end = 0;
        while ((end = bytes_.find("\r\n")) == std::string::npos) {
            if (bytes_.size() > 4096) throw bad_request{400, "line too long"};
            fill();
        }
        std::string line = bytes_.substr(0, end);
        bytes_.erase(0, end + 2);
        return line;
    }

    static std::size_t chunk_size(const std::string& line) {
        std::size_t size = 0, digits = 0;
        for (const char c : line) {
            int value = -1;
            if (c >= '0' && c <= '9') value = c - '0';
            if (c >= 'a' && c <= 'f') value = c - 'a' + 10;
            if (c >= 'A' && c <= 'F') value = c - 'A' + 10;
            if (value < 0) {
                if (c == ';' || c == ' ') break;
                throw bad_request{400, "bad chunk size"};
            }
            if (++digits > 12) throw bad_request{413, "body too large"};
            size = size * 16 + static_cast<std::size_t>(value);
        }
        if (digits == 0) throw bad_request{400, "bad chunk size"};
        return size;
    }

    static std::size_t content_length(const header_list& headers, bool is_chunked) {
        std::size_t length = 0;
        const std::string* seen = nullptr;
        for (const auto& field : headers) {
            if (lower_case(field.first) != "content-length") continue;
            if (is_chunked || (seen != nullptr && *seen != field.second)) throw bad_request{400, "two lengths"};
            seen = &field.second;
            if (field.second.empty() || field.second.size() > 15) throw bad_request{400, "bad length"};
            length = 0;
            for (const char c : field.second) {
                if (c < '0' || c > '9') throw bad_request{400, "bad length"};
                length = length * 10 + static_cast<std::size_t>(c - '0');
            }
        }
        return length;
    }

    void parse_head(std::string_view head, http_call& call) {
        const std::size_t line_end = head.find("\r\n");
        const std::string_view line = head.substr(0, line_end);
        const std::size_t first = line.find(' '), last = line.rfind(' ');
        if (first == std::string_view::npos || first == last) throw bad_request{400, "bad request line"};
        call.method = line.substr(0, first);
        call.target = line.substr(first + 1, last - first - 1);
        const std::string_view version = line.substr(last + 1);
        if (version.substr(0, 5) != "HTTP/") throw bad_request{400, "bad request line"};
        if (version != "HTTP/1.1" && version != "HTTP/1.0") throw bad_request{505, "not HTTP/1"};
        if (call.target.empty() || call.target[0] != '/' || call.target.find(' ') != std::string::npos) {
            throw bad_request{400, "bad target"};
        }
        head.remove_prefix(line_end + 2);
        while (!head.empty()) {
            const std::size_t end = head.find("\r\n");
            const std::string_view field = head.substr(0, end);
            const std::size_t colon = field.find(':');
            const bool has_name = colon != std::string_view::npos && colon > 0 && field[colon - 1] != ' ' &&
                                  field[0] != ' ' && field[0] != '\t';
            if (!has_name) throw bad_request{400, "bad header"};
            call.headers.emplace_back(field.substr(0, colon), trim(field.substr(colon + 1)));
            head.remove_prefix(end + 2);
        }
        keeps_alive_ = version == "HTTP/1.1" ? !has_token(call.headers, "Connection", "close")
                                             : has_token(call.headers, "Connection", "keep-alive");
        if (version == "HTTP/1.1" && find_header(call.headers, "Host") == nullptr) throw bad_request{400, "no Host"};
    }

    os::tcp_socket& socket_;
    const gateway_options& options_;
    std::string bytes_;
    bool keeps_alive_ = false;
    std::size_t stream_left_ = 0; ///< of the body, or of its present chunk
    bool in_chunks_ = false, first_chunk_ = false;
};

/// The head of a reply. @param length of the body to announce; npos = none is announced.
inline std::string head_of(const http_reply& reply, std::size_t length, bool keeps_alive) {
    std::string head = "HTTP/1.1 " + std::to_string(reply.status) + ' ' +
                       (reply.reason.empty() ? reason_of(reply.status) : reply.reason) + "\r\n";
    for (const auto& field : reply.headers) head += field.first + ": " + field.second + "\r\n";
    const bool has_length = length != std::string::npos && reply.status != 204 && reply.status >= 200;
    if (has_length) head += "Content-Length: " + std::to_string(length) + "\r\n";
    if (reply.status >= 200) head += keeps_alive ? "Connection: keep-alive\r\n" : "Connection: close\r\n";
    return head + "\r\n";
}

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/testing/gateway_router.hpp
/// @file
/// The embedded gateway's table of endpoints.
#ifndef BACKENDAI_TESTING_GATEWAY_ROUTER_HPP
#define BACKENDAI_TESTING_GATEWAY_ROUTER_HPP


#include <nlohmann/json.hpp>

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {

/// What a handler gets: the request, taken apart.
struct gateway_request {
    const http_call& call;
    std::vector<std::string> arguments; ///< the path's variable segments, unescaped
    codec::query_list query;

    /// The body as a JSON object; an absent body is an empty one. @throws problem invalid-api-params.
    nlohmann::json json() const {
        if (call.body.empty()) return nlohmann::json::object();
        nlohmann::json value = nlohmann::json::parse(call.body, nullptr, false);
        if (value.is_discarded()) throw invalid_parameters("Malformed body");
        if (!value.is_object()) throw invalid_parameters("the body is not an object");
        return value;
    }
};

/// Maps method and path to handlers. Filled before the first request, constant after that.
class router {
public:
    using handler = std::function<http_reply(const gateway_request&)>;
    struct route {
        std::string method;
        std::vector<std::string> segments; ///< "{}" = any one segment
        bool needs_authorization;
        handler handle;
    };
    struct match {
        const route* found = nullptr;
        std::vector<std::string> arguments;
        std::string allowed; ///< methods of the routes with this path, for Allow
    };

    /// @param pattern such as "/kernel/{}/logs".
    void add(std::string method, std::string_view pattern, bool needs_authorization, handler handle) {
        routes_.push_back({std::move(method), split(pattern), needs_authorization, std::move(handle)});
    }

    match find(std::string_view method, std::string_view path) const {
        match result;
        const std::vector<std::string> segments = split(path);
        for (const route& item : routes_) {
            std::vector<std::string> arguments;
            if (!fits(item.segments, segments, arguments)) continue;
            result.allowed += (result.allowed.empty() ? "" : ",") + item.method;
            if (item.method == method && result.found == nullptr) {
                result.found = &item;
                result.arguments = std::move(arguments);
            }
        }
        return result;
    }

private:
    static std::vector<std::string> split(std::string_view path) {
        std::vector<std::string> segments;
        if (!path.empty() && path.front() == '/') path.remove_prefix(1);
        for (;;) {
            const std::size_t slash = path.find('/');
            segments.push_back(codec::unescape(path.substr(0, slash), false));
            if (slash == std::string_view::npos) return segments;
            path.remove_prefix(slash + 1);
        }
    }
    static bool fits(const std::vector<std::string>& pattern, const std::vector<std::string>& segments,
                     std::vector<std::string>& arguments) {
        if (pattern.size() != segments.size()) return false;
        for (std::size_t i = 0; i < pattern.size(); ++i) {
            if (pattern[i] == "{}" && !segments[i].empty()) {
                arguments.push_back(segments[i]);
            } else if (pattern[i] != segments[i]) {
                return false;
            }
        }
        return true;
    }

    std::vector<route> routes_;
};

} // namespace testing
BACKENDAI_NAMESPACE_END

#endif

#include <nlohmann/json.hpp>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdlib>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// One event as it is published.
struct lifecycle_event {
    std::string name, session_name, session_id, owner, reason;
    nlohmann::json exit_code; ///< a number or null
    std::size_t number = 0;   ///< given by the hub
};

/// Which events a listener wants; empty members say nothing.
struct event_filter {
    std::string session_name, session_id, owner, scope;

    bool wants(const lifecycle_event& event) const {
        return (session_name.empty() || session_name == event.session_name) &&
               (session_id.empty() || session_id == event.session_id) && owner == event.owner &&
               (scope.empty() || event.name.compare(0, scope.size(), scope) == 0);
    }
};

/// Hands events to all who listen, and keeps the latest. Thread-safe.
class event_hub {
public:
    enum class end { none, orderly, broken };

    /// Waits for an event behind number @p last that the filter wants; false when none came within @p limit.
    bool next(const event_filter& filter, std::size_t& last, std::size_t generation, std::chrono::milliseconds limit,
              lifecycle_event& found, end& ended) {
        std::unique_lock<std::mutex> lock(mutex_);
        return changed_.wait_for(lock, limit, [&] {
            if (closed_ || generation != generation_) {
                ended = closed_ ? end::orderly : ending_;
                return true;
            }
            for (const lifecycle_event& event : events_) {
                if (event.number <= last) continue;
                last = event.number;
                if (!filter.wants(event)) continue;
                found = event;
                return true;
            }
            return false;
        });
    }
    void publish(lifecycle_event event) {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            event.number = ++last_;
            events_.push_back(std::move(event));
            if (events_.size() > 1000) events_.pop_front();
        }
        changed_.notify_all();
    }
    /// Ends the streams that are open now.
    void end_streams(end how) {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            ++generation_;
            ending_ = how;
        }
        changed_.notify_all();
    }
    void close() {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            closed_ = true;
        }
        changed_.notify_all();
    }
    std::size_t last() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return last_;
    }
    std::size_t generation() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return generation_;
    }

private:
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<lifecycle_event> events_;
    std::size_t last_ = 0, generation_ = 0;
    end ending_ = end::none;
    bool closed_ = false;
};

/// The endpoint. Thread-safe.
class event_routes {
public:
    /// @param ids_are_uuids a parameter sessionId is one; else it is a name
    /// @param is_admin tells whether an access key may listen to others' sessions
    event_routes(const gateway_options& options, bool ids_are_uuids, std::function<bool(const std::string&)> is_admin)
        : options_(options), ids_are_uuids_(ids_are_uuids), is_admin_(std::move(is_admin)) {}

    void add_to(router& table, const std::string& path) {
        table.add("GET", path, true, [this](const gateway_request& request) { return listen(request); });
    }
    event_hub& hub() { return hub_; }
    std::size_t listeners() const { return listeners_; }

private:
    static problem bad_parameter(const std::string& key, const nlohmann::json& why) {
        return {400,
                "invalid-api-params",
                "Missing or invalid API parameters.",
                {{"msg", "Input validation error"}, {"data", {{key, why}}}}};
    }

    event_filter read_filter(const gateway_request& request) const {
        event_filter filter;
        filter.owner = access_key_of(request.call);
        for (const auto& item : request.query) {
            const std::string& value = item.second;
            if (item.first == "name" || item.first == "sessionName") {
                filter.session_name = value == "*" ? "" : value;
            } else if (item.first == "sessionId") {
                if (ids_are_uuids_ && value.size() != 36) {
                    throw bad_parameter(item.first,
                                        {{"0", "value should be None"}, {"1", "cannot convert value to UUID"}});
                }
                (ids_are_uuids_ ? filter.session_id : filter.session_name) = value;
            } else if (item.first == "ownerAccessKey") {
                if (value != filter.owner && !is_admin_(filter.owner))
                    throw problem(403, "generic-forbidden", "Forbidden operation.");
                filter.owner = value;
            } else if (item.first == "scope") {
                if (value != "*" && value != "session" && value != "kernel")
                    throw bad_parameter(item.first, "value doesn't match any variant");
                filter.scope = value == "*" ? "" : value + '_';
            } else if (item.first != "group" && item.first != "groupName") {
                throw bad_parameter(item.first, item.first + " is not allowed key");
            }
        }
        if (!filter.session_id.empty()) filter.session_name.clear();
        return filter;
    }

    struct listener {
        explicit listener(std::atomic<std::size_t>& count) : count_(count) { ++count_; }
        listener(const listener&) = delete;
        listener& operator=(const listener&) = delete;
        ~listener() { --count_; }

        event_filter filter;
        std::size_t last = 0, generation = 0;
        std::string pending;

    private:
        std::atomic<std::size_t>& count_;
    };

    http_reply listen(const gateway_request& request) {
        auto state = std::make_shared<listener>(listeners_);
        state->filter = read_filter(request);
        if (!request.call.takes_stream) throw problem(501, "not-implemented", "Events need a connection.");
        state->generation = hub_.generation();
        state->last = hub_.last();
        const std::string* behind = find_header(request.call.headers, "Last-Event-ID");
        if (options_.event_ids && behind != nullptr)
            state->last = static_cast<std::size_t>(std::strtoull(behind->c_str(), nullptr, 10));
        http_reply reply;
        reply.headers = {{"Content-Type", "text/event-stream"}, {"Cache-Control", "no-cache"}};
        reply.stream = [this, state](char* buffer, std::size_t capacity) { return pull(*state, buffer, capacity); };
        return reply;
    }

    std::size_t pull(listener& state, char* buffer, std::size_t capacity) {
        if (state.pending.empty()) {
            lifecycle_event event;
            event_hub::end ended = event_hub::end::none;
            if (!hub_.next(state.filter, state.last, state.generation, options_.event_ping, event, ended)) {
                state.pending = ": ping\r\n\r\n";
            } else if (ended == event_hub::end::broken) {
                throw end_of_connection{};
            } else if (ended == event_hub::end::orderly) {
                return 0;
            } else {
                state.pending = text_of(event);
            }
        }
        const std::size_t count = (std::min)(capacity, state.pending.size());
        std::copy_n(state.pending.begin(), count, buffer);
        state.pending.erase(0, count);
        return count;
    }

    std::string text_of(const lifecycle_event& event) const {
        nlohmann::ordered_json data = {{"reason", event.reason},
                                       {"sessionName", event.session_name},
                                       {"ownerAccessKey", event.owner},
                                       {"sessionId", event.session_id},
                                       {"exitCode", event.exit_code}};
        data["kernelId"] = event.session_id;
        if (event.name.compare(0, 7, "kernel_") == 0) {
            data["clusterRole"] = "main";
            data["clusterIdx"] = 1;
        }
        const std::string id = options_.event_ids ? "id: " + std::to_string(event.number) + "\r\n" : std::string();
        return id + "event: " + event.name +
               "\r\ndata: " + data.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\r\n\r\n";
    }

    const gateway_options& options_;
    bool ids_are_uuids_;
    std::function<bool(const std::string&)> is_admin_;
    event_hub hub_;
    std::atomic<std::size_t> listeners_{0};
};

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/testing/gateway_faults.hpp
/// @file
/// Scripted faults of the embedded gateway.
#ifndef BACKENDAI_TESTING_GATEWAY_FAULTS_HPP
#define BACKENDAI_TESTING_GATEWAY_FAULTS_HPP


#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {

/// What goes wrong. "Served" says whether the request has had its effect.
enum class fault_kind {
    refuse_connection,    ///< closed as soon as it is accepted; method and path do not count. Not served
    drop_before_reading,  ///< closed when the request's head has come, its body unread. Not served
    drop_before_handling, ///< closed when the request has come. Not served
    drop_in_request,  ///< uploads to the storage proxy: served as far as `position` bytes of the body go, then closed
    drop_before_head, ///< served, and closed without an answer
    drop_in_head,     ///< served, and closed after `position` bytes of the answer's head (half of it when 0)
    drop_after_head,  ///< served, and closed after the head
    drop_in_body,     ///< served, and closed after `position` bytes of the body (half of it when 0)
    delay,            ///< served, after waiting for `interval`
    status,           ///< `status` with problem+json, or with `bytes` as its body. Not served
    clock_skew,       ///< answers as a server whose clock is one hour ahead: 400 invalid-auth-params. Not served
    garbage_response, ///< served, answered by bytes that are no HTTP
    garbage_body,     ///< served, answered by a head that says JSON and a body that is none
    length_too_long,  ///< served; Content-Length is larger than the body, then closed
    length_too_short, ///< served; Content-Length is smaller than the body by `position` bytes (1 when 0)
    bad_chunk,        ///< served; a chunked body whose second chunk has no length
    drip_head,        ///< served; one byte of the head every `interval`
    drip_body,        ///< served; one byte of the body every `interval`
    stall,            ///< served; never answers, until the peer closes or the gateway stops
    stall_in_body,    ///< served; never goes on after `position` bytes of the body (half of it when 0)
    raw,              ///< `bytes` are the whole answer, then closed. Not served
    // In an open websocket, in place of the server's message number `position`, from 0. Served
    websocket_stall,           ///< an open websocket that sends nothing any more
    websocket_drop,            ///< an open websocket whose connection ends in the middle of a frame
    websocket_bad_frame,       ///< an open websocket that sends a frame with reserved bits
    websocket_oversized_frame, ///< an open websocket that announces a frame of 2^62 bytes
    websocket_close,           ///< an open websocket that is closed with code `status` and reason `bytes`
    websocket_message          ///< an open websocket that says `bytes`, as a text message, and then nothing any more
};

/// One scripted fault; used for the next `times` requests that match.
struct fault {
    fault_kind kind = fault_kind::status;
    std::string method;      ///< empty = any
    std::string path_prefix; ///< empty = any; compared with the path without the gateway's own prefix
    int times = 1;           ///< -1 = for ever
    int skip = 0;            ///< so many matching requests go through before
    int status = 503;
    std::string bytes;        ///< for raw; for status: the body, instead of a problem document
    std::string content_type; ///< for status with bytes; empty = text/html
    /// For status: the value of Retry-After (seconds or an HTTP date).
    std::optional<std::string> retry_after = std::nullopt;
    std::chrono::milliseconds interval = std::chrono::milliseconds(100);
    std::size_t position = 0;
    bool reset = false; ///< drops end by a TCP reset instead of an orderly close
};

namespace detail {

/// Whether the fault shows in an open websocket only.
inline bool is_of_websocket(fault_kind kind) {
    return kind == fault_kind::websocket_stall || kind == fault_kind::websocket_drop ||
           kind == fault_kind::websocket_bad_frame || kind == fault_kind::websocket_oversized_frame ||
           kind == fault_kind::websocket_close || kind == fault_kind::websocket_message;
}

} // namespace detail

/// The faults that are in force. Thread-safe.
class fault_list {
public:
    /// Adds a fault behind those there are. Returns its number for uses().
    std::size_t add(fault item) {
        const std::lock_guard<std::mutex> lock(mutex_);
        entries_.push_back({std::make_shared<fault>(std::move(item)), 0, 0});
        return entries_.size() - 1;
    }

    /// Ends all faults; their counts stay.
    void clear() {
        const std::lock_guard<std::mutex> lock(mutex_);
        for (entry& item : entries_) item.item->times = item.used;
    }

    /// How often a fault has been used.
    int uses(std::size_t number) const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return entries_.at(number).used;
    }

    /// The fault for a new connection (method and path do not count) or a whole request, counted as used; or null.
    std::shared_ptr<const fault> take(bool is_connection, std::string_view method, std::string_view path) {
        return take_if(method, path, [is_connection](fault_kind kind) {
            if (kind == fault_kind::drop_before_reading || kind == fault_kind::drop_in_request ||
                detail::is_of_websocket(kind))
                return false;
            return (kind == fault_kind::refuse_connection) == is_connection;
        });
    }

    /// The fault of a websocket that was opened by this request.
    std::shared_ptr<const fault> take_websocket(std::string_view method, std::string_view path) {
        return take_if(method, path, detail::is_of_websocket);
    }

    /// The fault that ends a request when its head has been read.
    std::shared_ptr<const fault> take_early(std::string_view method, std::string_view path) {
        return take_if(method, path, [](fault_kind kind) { return kind == fault_kind::drop_before_reading; });
    }

    /// The fault that ends a request while its body is read.
    std::shared_ptr<const fault> take_in_request(std::string_view method, std::string_view path) {
        return take_if(method, path, [](fault_kind kind) { return kind == fault_kind::drop_in_request; });
    }

private:
    template <class Predicate>
    std::shared_ptr<const fault> take_if(std::string_view method, std::string_view path, Predicate is_wanted) {
        const std::lock_guard<std::mutex> lock(mutex_);
        for (entry& item : entries_) {
            const fault& it = *item.item;
            if (!is_wanted(it.kind) || (it.times >= 0 && item.used >= it.times)) continue;
            if (it.kind != fault_kind::refuse_connection) {
                if (!it.method.empty() && it.method != method) continue;
                if (path.substr(0, it.path_prefix.size()) != it.path_prefix) continue;
            }
            if (item.seen++ < it.skip) continue;
            ++item.used;
            return std::make_shared<fault>(it);
        }
        return nullptr;
    }

    struct entry {
        std::shared_ptr<fault> item;
        int seen, used;
    };
    mutable std::mutex mutex_;
    std::vector<entry> entries_;
};

namespace detail {

/// Whether the request must not reach its handler.
inline bool keeps_from_handler(fault_kind kind) {
    switch (kind) {
    case fault_kind::refuse_connection:
    case fault_kind::drop_before_reading:
    case fault_kind::drop_before_handling:
    case fault_kind::status:
    case fault_kind::raw: return true;
    default: return false;
    }
}

/// Whether the fault shows in status, headers or body of an ordinary answer, so that no connection is needed.
inline bool is_whole_answer(fault_kind kind) {
    return kind == fault_kind::status || kind == fault_kind::clock_skew || kind == fault_kind::garbage_body ||
           kind == fault_kind::delay;
}

inline http_reply status_reply(const fault& item) {
    http_reply reply;
    if (item.bytes.empty()) {
        const char* type = item.status == 429   ? "rate-limit-exceeded"
                           : item.status == 503 ? "service-unavailable"
                                                : "internal-server-error";
        const char* title = item.status == 429   ? "You have reached your API query rate limit."
                            : item.status == 503 ? "Serivce unavailable." // as real servers spell it
                                                 : "Internal server error.";
        reply = problem(item.status, type, title).reply();
    } else {
        reply.status = item.status;
        reply.headers = {{"Content-Type", item.content_type.empty() ? "text/html" : item.content_type}};
        reply.body = item.bytes;
    }
    if (item.retry_after) reply.headers.emplace_back("Retry-After", *item.retry_after);
    return reply;
}

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/testing/gateway_files.hpp
/// @file
/// The embedded gateway's files: uploads into and listings of directories, downloads in the forms of the wire, and the
/// endpoints for files of compute sessions.
#ifndef BACKENDAI_TESTING_GATEWAY_FILES_HPP
#define BACKENDAI_TESTING_GATEWAY_FILES_HPP

// ---- backendai/testing/gateway_file_walk.hpp
/// @file
/// The embedded gateway's look at directories in which code and uploads make and remove files meanwhile.
#ifndef BACKENDAI_TESTING_GATEWAY_FILE_WALK_HPP
#define BACKENDAI_TESTING_GATEWAY_FILE_WALK_HPP


#include <filesystem>
#include <system_error>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// Calls @p visit with the directory_entry of each regular file in @p directory and below it. What vanishes meanwhile
/// is passed over; a recursive_directory_iterator would end there.
template <class Visit>
void for_each_file(const std::filesystem::path& directory, const Visit& visit) {
    std::error_code error;
    for (std::filesystem::directory_iterator entry(directory, error), end; !error && entry != end;
         entry.increment(error)) {
        std::error_code gone;
        if (std::filesystem::is_directory(entry->symlink_status(gone))) {
            for_each_file(entry->path(), visit);
        } else if (entry->is_regular_file(gone) && !gone) {
            visit(*entry);
        }
    }
}

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/testing/gateway_parameters.hpp
/// @file
/// Parameters of a request to a modern server: from the JSON body or, without one, from the query; checked as a whole,
/// with a list of what is wrong.
#ifndef BACKENDAI_TESTING_GATEWAY_PARAMETERS_HPP
#define BACKENDAI_TESTING_GATEWAY_PARAMETERS_HPP


#include <nlohmann/json.hpp>

#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// Reads parameters by name; finish() throws what was wrong with any of them, unknown ones included.
class parameters {
public:
    using names = std::initializer_list<const char*>;

    explicit parameters(const gateway_request& request) {
        if (request.call.body.empty()) {
            for (const auto& item : request.query) {
                // A name that comes again makes no list: only the first value is seen.
                if (!given_.contains(item.first)) given_[item.first] = item.second;
            }
        } else {
            given_ = nlohmann::json::parse(request.call.body, nullptr, false);
            if (given_.is_discarded()) throw invalid_parameters("Malformed body");
            if (!given_.is_object()) throw invalid_parameters("Malformed body");
        }
    }

    /// The value of the first alias that is given; null counts as not given.
    const nlohmann::json* find(names aliases) {
        const nlohmann::json* found = nullptr;
        for (const char* name : aliases) {
            known_.insert(name);
            const auto item = given_.find(name);
            if (item != given_.end() && found == nullptr) found = &*item;
        }
        return found == nullptr || found->is_null() ? nullptr : found;
    }
    std::optional<std::string> text(names aliases) {
        const nlohmann::json* value = find(aliases);
        if (value == nullptr) return {};
        if (!value->is_string()) {
            wrong(*aliases.begin(), "value is not a string");
            return {};
        }
        return value->get<std::string>();
    }
    /// @param label what the complaint calls it
    std::string required_text(names aliases, const char* label = nullptr) {
        const bool is_given = find(aliases) != nullptr;
        if (!is_given) wrong(label != nullptr ? label : *aliases.begin(), "is required");
        return is_given ? text(aliases).value_or("") : std::string();
    }
    bool boolean(names aliases, bool fallback) {
        const nlohmann::json* value = find(aliases);
        if (value == nullptr) return fallback;
        if (value->is_boolean()) return value->get<bool>();
        if (*value == "true" || *value == "yes" || *value == "1") return true;
        if (*value == "false" || *value == "no" || *value == "0") return false;
        wrong(*aliases.begin(), "value can't be converted to bool");
        return fallback;
    }
    std::int64_t integer(names aliases, std::int64_t fallback, std::int64_t least) {
        const nlohmann::json* value = find(aliases);
        if (value == nullptr) return fallback;
        std::int64_t number = 0;
        if (value->is_number_integer()) {
            number = value->get<std::int64_t>();
        } else if (value->is_string() && !value->get_ref<const std::string&>().empty()) {
            char* end = nullptr;
            number = std::strtoll(value->get_ref<const std::string&>().c_str(), &end, 10);
            if (*end != '\0') wrong(*aliases.begin(), "value can't be converted to int");
        } else {
            wrong(*aliases.begin(), "value can't be converted to int");
        }
        if (number < least) wrong(*aliases.begin(), "value is less than " + std::to_string(least));
        return number;
    }
    nlohmann::json object(names aliases) {
        const nlohmann::json* value = find(aliases);
        if (value == nullptr) return nlohmann::json::object();
        if (!value->is_object()) wrong(*aliases.begin(), "value is not a dict");
        return value->is_object() ? *value : nlohmann::json::object();
    }
    std::vector<std::string> texts(names aliases, bool required) {
        const nlohmann::json* value = find(aliases);
        std::vector<std::string> list;
        if (value == nullptr) {
            if (required) wrong(*aliases.begin(), "is required");
        } else if (!value->is_array()) {
            wrong(*aliases.begin(), "value is not a list");
        } else {
            for (const auto& item : *value) {
                if (item.is_string())
                    list.push_back(item.get<std::string>());
                else
                    wrong(*aliases.begin(), "value is not a string");
            }
        }
        return list;
    }
    /// One of some words; @p type_name is what the complaint calls them.
    std::string word(names aliases, const std::string& fallback, std::initializer_list<const char*> allowed,
                     const char* type_name) {
        const std::string value = text(aliases).value_or(fallback);
        for (const char* each : allowed) {
            if (value == each) return value;
        }
        wrong(*aliases.begin(), std::string("value is not a valid member of ") + type_name);
        return value;
    }
    void wrong(const std::string& name, const std::string& why) {
        if (!wrong_.contains(name)) wrong_[name] = why;
    }

    /// @throws problem
    void finish() {
        for (const auto& item : given_.items()) {
            if (known_.count(item.key()) == 0) wrong(item.key(), item.key() + " is not allowed key");
        }
        if (!wrong_.empty()) {
            throw problem(400, "invalid-api-params", "Missing or invalid API parameters.", {{"data", wrong_}},
                          "Input validation error");
        }
    }

private:
    nlohmann::json given_ = nlohmann::json::object(), wrong_ = nlohmann::json::object();
    std::set<std::string> known_;
};

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/testing/gateway_protocol.hpp
/// @file
/// Which server the embedded gateway acts as: the one place where its generations differ by version.
#ifndef BACKENDAI_TESTING_GATEWAY_PROTOCOL_HPP
#define BACKENDAI_TESTING_GATEWAY_PROTOCOL_HPP


#include <array>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// A generation of servers as it looks from outside.
struct gateway_protocol {
    std::string_view version; ///< the newest that it speaks, which it announces
    std::string_view manager; ///< the release it acts as

    bool is_modern;         ///< /session paths, storage proxy, the errors of 20.09 and later; else 19.03
    bool has_sub_gql;       ///< GraphQL at /admin/gql too, with filters
    bool has_post_download; ///< files of sessions by POST; by GET it is deprecated then
    bool answers_mkdir;     ///< what mkdir did is told as JSON
    bool has_post_delete;   ///< files of folders may be deleted by POST
    bool reads_run_id;      ///< a run is named by `run_id`; else by `runId`

    std::size_t
        service_message_size; ///< most that one message from a service carries; modern ones read as much at once
};

inline constexpr std::array<gateway_protocol, 9> gateway_protocols = {{
    {"v4.20190315", "19.03.0", false, false, false, false, false, false, 8192},
    {"v6.20200815", "20.09.0", true, false, false, false, false, false, 256 * 1024},
    {"v6.20210815", "21.09.9", true, true, false, false, false, false, 256 * 1024},
    {"v6.20220615", "22.09.0", true, true, false, false, false, false, 256 * 1024},
    {"v6.20230315", "23.03.0", true, true, false, false, false, false, 256 * 1024},
    {"v7.20230615", "23.03.12", true, true, false, false, false, false, 256 * 1024},
    {"v8.20240315", "24.03.7", true, true, true, true, false, false, 256 * 1024},
    {"v8.20240915", "25.6.0", true, true, true, true, true, true, 256 * 1024},
    {"v9.20250722", "25.12.0", true, true, true, true, true, true, 256 * 1024},
}};

/// @throws std::invalid_argument for a version that the gateway cannot act as.
inline const gateway_protocol& find_protocol(std::string_view version) {
    std::string known;
    for (const gateway_protocol& entry : gateway_protocols) {
        if (entry.version == version) return entry;
        known += (known.empty() ? "" : ", ") + std::string(entry.version);
    }
    throw std::invalid_argument("the gateway does not act as " + std::string(version) + ": it knows " + known);
}

/// Whether it accepts a version header. Modern servers know those that they list; 19.03 goes by the number.
inline bool accepts_version(const gateway_protocol& server, std::string_view header) {
    const auto wanted = backendai::detail::parse_protocol_version(header);
    if (!wanted) return false;
    if (!server.is_modern) return wanted->major >= 1 && wanted->major <= 4;
    static constexpr std::string_view valid[] = {
        "v4.20181215", "v4.20190115", "v4.20190315", "v4.20190615", "v5.20191215", "v6.20200815", "v6.20210815",
        "v6.20220315", "v6.20220615", "v6.20230315", "v7.20230615", "v8.20240315", "v8.20240915", "v9.20250722"};
    const auto newest = backendai::detail::parse_protocol_version(server.version);
    for (const std::string_view item : valid) {
        if (item == header) return !(*newest < *wanted);
    }
    return false;
}

/// Whether a header older than v6 selects a form of creations that later servers fail at.
inline bool is_before_storage_proxy(std::string_view header) {
    const auto wanted = backendai::detail::parse_protocol_version(header);
    return wanted && wanted->major < 6;
}

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/testing/gateway_sessions.hpp
/// @file
/// The compute sessions of the embedded gateway: creation and reuse by client token, limits, idle cleanup.
#ifndef BACKENDAI_TESTING_GATEWAY_SESSIONS_HPP
#define BACKENDAI_TESTING_GATEWAY_SESSIONS_HPP

// ---- backendai/testing/gateway_kernel.hpp
/// @file
/// One compute session of the embedded gateway: an interpreter, its folder, and the runs that wait for their turn.
#ifndef BACKENDAI_TESTING_GATEWAY_KERNEL_HPP
#define BACKENDAI_TESTING_GATEWAY_KERNEL_HPP

// ---- backendai/testing/gateway_interpreters.hpp
/// @file
/// Which interpreter an image name means, how to start it, and the default commands of batch mode.
#ifndef BACKENDAI_TESTING_GATEWAY_INTERPRETERS_HPP
#define BACKENDAI_TESTING_GATEWAY_INTERPRETERS_HPP

// ---- backendai/os/process.hpp
/// @file
/// Child processes with pipes on chosen descriptors, each in a session of its own so that a signal reaches its whole
/// family. POSIX only.
#ifndef BACKENDAI_OS_PROCESS_HPP
#define BACKENDAI_OS_PROCESS_HPP

#ifdef _WIN32
#error "backendai/os/process.hpp needs a POSIX system: the embedded gateway runs on Linux and macOS"
#endif


#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <fcntl.h>
#include <map>
#include <string>
#include <string_view>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace os {

/// A file descriptor that closes itself.
class descriptor {
public:
    descriptor() = default;
    explicit descriptor(int number) : number_(number) {}
    descriptor(descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
    descriptor& operator=(descriptor&& other) noexcept {
        if (this != &other) {
            close();
            number_ = std::exchange(other.number_, -1);
        }
        return *this;
    }
    ~descriptor() { close(); }
    int get() const { return number_; }
    bool is_open() const { return number_ >= 0; }
    void close() {
        if (number_ >= 0) ::close(std::exchange(number_, -1));
    }

private:
    int number_ = -1;
};

/// Both ends of a pipe; children do not inherit them.
struct pipe_ends {
    descriptor read_end, write_end;
};

/// @throws std::system_error when the process has no descriptors left.
inline pipe_ends make_pipe() {
    int ends[2];
#if defined(__linux__)
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
#else
    if (::pipe(ends) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
    ::fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    ::fcntl(ends[1], F_SETFD, FD_CLOEXEC);
#endif
    return {descriptor(ends[0]), descriptor(ends[1])};
}

inline void set_nonblocking(int number) {
    ::fcntl(number, F_SETFL, ::fcntl(number, F_GETFL) | O_NONBLOCK);
}

/// What to start and how.
struct process_options {
    std::vector<std::string> arguments;             ///< [0] is the program: a path, or a name to look up in PATH
    std::map<std::string, std::string> environment; ///< the whole environment of the child
    std::string directory;                          ///< working directory; empty = the caller's
    /// Child's descriptor number → ours. 0, 1 and 2 are /dev/null where they are not named.
    std::map<int, int> descriptors;
};

/// The path of a program by PATH, or an empty text.
inline std::string find_program(std::string_view name) {
    if (name.find('/') != std::string_view::npos)
        return ::access(std::string(name).c_str(), X_OK) == 0 ? std::string(name) : "";
    const char* variable = std::getenv("PATH");
    std::string_view path = variable != nullptr ? variable : "/usr/local/bin:/usr/bin:/bin";
    for (;;) {
        const std::size_t end = path.find(':');
        const std::string candidate = std::string(path.substr(0, end)) + '/' + std::string(name);
        struct stat status {};
        if (::stat(candidate.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
            ::access(candidate.c_str(), X_OK) == 0) {
            return candidate;
        }
        if (end == std::string_view::npos) return {};
        path.remove_prefix(end + 1);
    }
}

/// What a finished process had used.
struct process_usage {
    double cpu_ms = 0;
    long max_resident_kib = 0;
};

/// One child process. Destruction kills its family and waits for it.
/// Thread-safety: signal() may be called while another thread calls try_wait(), under a lock of the caller's.
class child_process {
public:
    child_process() = default;
    /// @throws std::system_error when the program cannot be started.
    explicit child_process(const process_options& options) { start(options); }
    child_process(child_process&& other) noexcept
        : pid_(std::exchange(other.pid_, -1)), status_(other.status_), usage_(other.usage_) {}
    child_process& operator=(child_process&& other) noexcept {
        if (this != &other) {
            kill_and_wait();
            pid_ = std::exchange(other.pid_, -1);
            status_ = other.status_;
            usage_ = other.usage_;
        }
        return *this;
    }
    ~child_process() { kill_and_wait(); }

    bool is_running() const { return pid_ > 0; }

    /// Sends a signal to the child and all its descendants that stayed in its process group.
    void signal(int number) {
        if (pid_ > 0) ::kill(-pid_, number);
    }

    /// Whether the child has ended; then it is reaped.
    bool try_wait() { return pid_ <= 0 || reap(WNOHANG); }

    /// Kills the family and reaps the child.
    void kill_and_wait() {
        if (pid_ <= 0) return;
        ::kill(-pid_, SIGKILL);
        reap(0);
    }

    /// Waits for the end; the exit code, or 128 + the signal's number as shells have it.
    int wait() {
        if (pid_ > 0) reap(0);
        return WIFSIGNALED(status_) ? 128 + WTERMSIG(status_) : WEXITSTATUS(status_);
    }
    const process_usage& usage() const { return usage_; }

private:
    bool reap(int flags) {
        // Looks before it reaps: until then the group's number cannot be reused, so that descendants that outlived the
        // child can be killed by it.
        siginfo_t info{};
        int result = 0;
        do {
            info.si_pid = 0;
            result = ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT | flags);
        } while (result < 0 && errno == EINTR);
        if (result == 0 && info.si_pid == 0) return false;
        ::kill(-pid_, SIGKILL);
        struct rusage used {};
        while (::wait4(pid_, &status_, 0, &used) < 0 && errno == EINTR) continue;
        usage_.cpu_ms = static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e3 +
                        static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e3;
#ifdef __APPLE__
        usage_.max_resident_kib = used.ru_maxrss / 1024;
#else
        usage_.max_resident_kib = used.ru_maxrss;
#endif
        pid_ = -1;
        return true;
    }

    void start(const process_options& options) {
        // Everything that allocates happens before the fork: in a program with threads the child may only make
        // async-signal-safe calls.
        std::vector<char*> arguments;
        for (const std::string& text : options.arguments) arguments.push_back(const_cast<char*>(text.c_str()));
        arguments.push_back(nullptr);
        std::vector<std::string> variables;
        for (const auto& item : options.environment) variables.push_back(item.first + '=' + item.second);
        std::vector<char*> environment;
        for (std::string& text : variables) environment.push_back(&text[0]);
        environment.push_back(nullptr);
        const std::string program = find_program(options.arguments.at(0));
        if (program.empty()) throw std::system_error(ENOENT, std::generic_category(), options.arguments[0]);
        descriptor null(::open("/dev/null", O_RDWR | O_CLOEXEC));
        std::map<int, int> wanted = {{0, null.get()}, {1, null.get()}, {2, null.get()}};
        for (const auto& item : options.descriptors) wanted[item.first] = item.second;
        std::vector<std::pair<int, int>> moves(wanted.begin(), wanted.end());
        pipe_ends failure = make_pipe();
        const pid_t pid = ::fork();
        if (pid < 0) throw std::system_error(errno, std::generic_category(), "fork");
        if (pid == 0)
            run_child(moves, options.directory, program.c_str(), arguments, environment, failure.write_end.get());
        failure.write_end.close();
        int error = 0;
        ssize_t count = 0;
        do {
            count = ::read(failure.read_end.get(), &error, sizeof error); // nothing when exec has closed the pipe
        } while (count < 0 && errno == EINTR);
        if (count > 0) {
            int status = 0;
            while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
            throw std::system_error(error, std::generic_category(), program);
        }
        pid_ = pid;
    }

    [[noreturn]] static void run_child(std::vector<std::pair<int, int>>& moves, const std::string& directory,
                                       const char* program, std::vector<char*>& arguments,
                                       std::vector<char*>& environment, int failure) {
        ::setsid();
        for (const int number : {SIGINT, SIGTERM, SIGPIPE, SIGHUP, SIGQUIT, SIGCHLD}) ::signal(number, SIG_DFL);
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, nullptr);
        bool good = directory.empty() || ::chdir(directory.c_str()) == 0;
        // Away from the low numbers first, so that no target overwrites a source.
        const int report = ::fcntl(failure, F_DUPFD_CLOEXEC, 64);
        for (auto& move : moves) {
            move.second = ::fcntl(move.second, F_DUPFD_CLOEXEC, 64);
            good = good && move.second >= 0;
        }
        for (auto& move : moves) good = good && ::dup2(move.second, move.first) >= 0;
        if (good) ::execve(program, arguments.data(), environment.data());
        const int error = errno;
        if (::write(report, &error, sizeof error) < 0) ::_exit(126);
        ::_exit(127);
    }

    pid_t pid_ = -1;
    int status_ = 0;
    process_usage usage_;
};

/// The environment of this process.
inline std::map<std::string, std::string> current_environment(char** variables) {
    std::map<std::string, std::string> result;
    for (; variables != nullptr && *variables != nullptr; ++variables) {
        const std::string_view text = *variables;
        const std::size_t equals = text.find('=');
        if (equals != std::string_view::npos) result.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
    return result;
}

} // namespace os
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/testing/gateway_drivers.hpp
/// @file
/// The programs that run a session's code inside its interpreter: Python and shell.
///
/// A driver reads frames from descriptor 3 and writes frames to descriptor 4. A frame is a tag letter, a space, the
/// payload's length in bytes, a line feed, and the payload. To the driver: `q` code to run, `i` a line of input,
/// `c` a completion request (JSON). From the driver: `r` ready, `o` and `e` console text in order, `m` a record
/// (JSON [type, data]), `w` waiting for input (JSON {"is_password"}), `f` finished (JSON {"exitCode"}), `C` completions
/// (JSON list), `s` a mark that comes back as it is when all before it has been taken. What the code or its children
/// write to descriptors 1 and 2 is read beside that. The driver ends when descriptor 3 does.
#ifndef BACKENDAI_TESTING_GATEWAY_DRIVERS_HPP
#define BACKENDAI_TESTING_GATEWAY_DRIVERS_HPP


BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// Run as `python3 -c 'exec(compile(argv.pop()...))' DRIVER`, so that its frames have a file name to leave out of
/// tracebacks.
inline const char* python_driver() {
    return R"PY(
import base64, builtins, getpass, io, json, linecache, os, re, select, signal, sys, threading, time, traceback, types
import rlcompleter

DRIVER = '<backendai-driver>'
STARTS_A_CHILD = {'os.system', 'os.fork', 'os.forkpty', 'os.posix_spawn', 'os.spawn', 'subprocess.Popen'}


class Channel:
    """Frames to and from the gateway. An interrupt never tears a frame apart: it is kept until the frame is out."""

    def __init__(self):
        self.lock = threading.RLock()
        self.busy = self.pending = self.executing = False
        self.forked = False
        self.buffer = b''
        self.marks = 0

    def send(self, tag, payload):
        data = memoryview(b'%s %d\n' % (tag, len(payload)) + payload)
        main = threading.current_thread() is threading.main_thread()
        if main:
            self.busy = True
        try:
            with self.lock:
                while data:
                    data = data[os.write(4, data):]
        finally:
            if main:
                self.busy = False
                if self.pending:
                    self.pending = False
                    raise KeyboardInterrupt

    def send_json(self, tag, value):
        self.send(tag, json.dumps(value).encode())

    def fill(self):
        data = os.read(3, 65536)
        self.buffer += data
        return bool(data)

    def receive(self):
        while b'\n' not in self.buffer:
            if not self.fill():
                return None, b''
        end = self.buffer.index(b'\n')
        tag, length = self.buffer[:end].split()
        last = end + 1 + int(length)
        while len(self.buffer) < last:
            if not self.fill():
                return None, b''
        payload, self.buffer = self.buffer[end + 1:last], self.buffer[last:]
        return tag, payload

    def ask(self, is_password):
        if self.forked:
            raise EOFError('no input in a child process')
        sys.stdout.flush()
        sys.stderr.flush()
        self.send_json(b'w', {'is_password': is_password})
        while True:
            tag, payload = self.receive()
            if tag is None:
                raise EOFError
            if tag == b'i':
                return payload.decode('utf-8', 'replace')

    def settle(self, event, arguments):
        """Before a child starts: what it prints has its own way out, and must not overtake what was printed here."""
        if event not in STARTS_A_CHILD or self.forked or not self.executing:
            return
        if threading.current_thread() is not threading.main_thread():
            return
        self.marks += 1
        mark = b'%d' % self.marks
        self.send(b's', mark)
        self.busy = True  # an interrupt must not tear the answer out of its frame
        try:
            limit = time.monotonic() + 1  # nobody may be asking for output just now
            while self.buffer or select.select([3], [], [], max(0, limit - time.monotonic()))[0]:
                if self.receive() in ((b's', mark), (None, b'')):
                    break
        finally:
            self.busy = False
        if self.pending:
            self.pending = False
            raise KeyboardInterrupt

    def on_interrupt(self, number, frame):
        if not self.executing:
            return
        if self.busy:
            self.pending = True
        else:
            raise KeyboardInterrupt

    def on_fork(self):
        self.forked = True
        self.lock = threading.RLock()


channel = Channel()


class Raw(io.RawIOBase):
    """Standard output as frames, so that what is printed keeps its order; a forked child writes to the pipe instead."""

    def __init__(self, tag, number):
        self.tag, self.number = tag, number

    def writable(self):
        return True

    def fileno(self):
        return self.number

    def write(self, data):
        data = bytes(data)
        if channel.forked:
            return os.write(self.number, data)
        for at in range(0, len(data), 32768):
            channel.send(self.tag, data[at:at + 32768])
        return len(data)


class Input(io.TextIOBase):
    encoding = 'utf-8'

    def readable(self):
        return True

    def readline(self, limit=-1):
        return channel.ask(False) + '\n'

    def read(self, limit=-1):
        return self.readline()

    def fileno(self):
        return 0


def ask_input(prompt=''):
    sys.stdout.write(str(prompt))
    return channel.ask(False)


def ask_password(prompt='Password: ', stream=None):
    sys.stdout.write(str(prompt))
    return channel.ask(True)


def media(mime, data):
    """Shows a record of any MIME type in the console of the run. Bytes become a data URI."""
    if isinstance(data, (bytes, bytearray, memoryview)):
        data = 'data:' + mime + ';base64,' + base64.b64encode(bytes(data)).decode()
    elif not isinstance(data, str):
        data = json.dumps(data)
    sys.stdout.flush()
    sys.stderr.flush()
    channel.send_json(b'm', [mime, data])


def strip(report, seen):
    """Leaves the driver's own frames out of a traceback and of those it is chained to."""
    if report is None or id(report) in seen:
        return
    seen.add(id(report))
    kept = [entry for entry in report.stack if entry.filename != DRIVER]
    report.stack = traceback.StackSummary.from_list(kept)
    strip(report.__cause__, seen)
    strip(report.__context__, seen)
    for inner in getattr(report, 'exceptions', None) or ():
        strip(inner, seen)


def report(error):
    summary = traceback.TracebackException.from_exception(error)
    strip(summary, set())
    sys.stderr.write(''.join(summary.format()))


def run(code, name, namespace):
    linecache.cache[name] = (len(code), None, code.splitlines(True), name)
    status = 0
    try:
        try:
            channel.executing = True
            exec(compile(code, name, 'exec', dont_inherit=True), namespace)
        finally:
            channel.executing = False
    except SystemExit as error:
        status = error.code
        if status is None:
            status = 0
        elif not isinstance(status, int):
            sys.stderr.write(str(status) + '\n')
            status = 1
    except BaseException as error:
        status = 1
        report(error)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass
    return status


def complete(request, completer):
    options = request.get('options') or {}
    text = request.get('code') or ''
    if not text:
        line = options.get('line') or ''
        text = line[:options.get('col') or len(line)]
    word = re.search(r'[\w.]*$', text).group()
    found = []
    try:
        for index in range(1000):
            match = completer.complete(word, index)
            if match is None:
                break
            match = match.rstrip(' ()')
            if match.strip() and match not in found:
                found.append(match)
    except Exception:
        pass
    return found


def end_with_gateway():
    """A gateway that was killed cannot end what it started, and code that runs would run for ever."""
    channel_end = select.poll()
    channel_end.register(3, 0)
    while not any(events & (select.POLLHUP | select.POLLERR) for _, events in channel_end.poll()):
        pass
    os.killpg(0, signal.SIGKILL)


def main():
    for number in (3, 4):
        os.set_inheritable(number, False)
    threading.Thread(target=end_with_gateway, daemon=True).start()
    module = types.ModuleType('__main__')
    module.__builtins__ = builtins
    sys.modules['__main__'] = module
    helper = types.ModuleType('backendai_kernel')
    helper.media = media
    sys.modules['backendai_kernel'] = helper
    builtins.backendai_media = media
    builtins.input = ask_input
    getpass.getpass = ask_password
    signal.signal(signal.SIGINT, channel.on_interrupt)
    if hasattr(os, 'register_at_fork'):
        os.register_at_fork(after_in_child=channel.on_fork)
    sys.stdin = Input()
    sys.stdout = io.TextIOWrapper(Raw(b'o', 1), encoding='utf-8', newline='', write_through=True)
    sys.stderr = io.TextIOWrapper(Raw(b'e', 2), encoding='utf-8', errors='backslashreplace', newline='',
                                  write_through=True)
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr
    sys.argv = ['']
    if hasattr(sys, 'addaudithook'):
        sys.addaudithook(channel.settle)
    completer = rlcompleter.Completer(module.__dict__)
    channel.send(b'r', b'')
    count = 0
    while True:
        tag, payload = channel.receive()
        if tag is None:
            os._exit(0)
        if tag == b'q':
            count += 1
            code = payload.decode('utf-8', 'replace')
            status = run(code, '<input-%d>' % count, module.__dict__)
            channel.send_json(b'f', {'exitCode': status})
        elif tag == b'c':
            channel.send_json(b'C', complete(json.loads(payload.decode()), completer))


main()
)PY";
}

/// Run as `bash --noprofile --norc -c DRIVER backendai [compiler]`. With a compiler the code is a whole C or C++
/// program. `read` asks for input when standard input has not been redirected. `exit` ends the shell, so the variables
/// are gone, and a new one takes over; an interrupt ends the innermost function or the code.
inline const char* bash_driver() {
    return R"SH(
__bai_compiler=$1 __bai_running=0
exec {__bai_in}<&3 {__bai_out}>&4 3<&- 4>&-
__bai_send() { local LC_ALL=C; builtin printf '%s %d\n%s' "$1" "${#2}" "$2" >&"$__bai_out"; }
__bai_receive() {
    local LC_ALL=C length
    builtin read -r -u "$__bai_in" __bai_tag length || return 1
    __bai_payload=
    [ "$length" -eq 0 ] || IFS= builtin read -r -u "$__bai_in" -N "$length" -d '' __bai_payload
}
read() {
    if ! [ /dev/fd/0 -ef /dev/null ]; then builtin read "$@"; return; fi
    local __bai_option __bai_password=false OPTIND=1 OPTARG
    while getopts ':rsea:d:i:n:N:p:t:u:' __bai_option; do
        case $__bai_option in
        s) __bai_password=true ;;
        p) builtin printf '%s' "$OPTARG" ;;
        u) builtin read "$@"; return ;;
        esac
    done
    __bai_send w "{\"is_password\": $__bai_password}"
    while __bai_receive; do
        if [ "$__bai_tag" = i ]; then builtin read "$@" <<<"$__bai_payload"; return; fi
    done
    return 1
}
backendai_media() {
    local data=$2
    data=${data//\\/\\\\}; data=${data//\"/\\\"}; data=${data//$'\n'/\\n}; data=${data//$'\t'/\\t}
    __bai_send m "[\"$1\", \"$data\"]"
}
__bai_eval() { eval "$1"; }
__bai_query() {
    if [ -z "$__bai_compiler" ]; then __bai_eval "$1"; return; fi
    local suffix=c
    case $__bai_compiler in *++) suffix=cpp ;; esac
    builtin printf '%s' "$1" >"main.$suffix"
    "$__bai_compiler" -o main "main.$suffix" -lm && ./main
}
__bai_complete() {
    local word names code
    code=${1#*\"code\":\"} # the request is {"code":TEXT,"options":{...}}
    set -- "${code%\",\"options\":*}"
    word=${1##*[[:space:];|&(\$\{]}
    names=$(compgen -A function -A variable -A builtin -A keyword -A command -A file -- "$word" | grep -v '^__bai' |
        sort -u | head -n 1000 | while IFS= builtin read -r name; do
            name=${name//\\/\\\\}; name=${name//\"/\\\"}; builtin printf ', "%s"' "$name"; done)
    __bai_send C "[${names#, }]"
}
trap '[ "$__bai_running" = 1 ] && { break 1000; return 130; } 2>/dev/null' INT
trap '__bai_status=$?
    if [ "$__bai_running" = 1 ]; then
        __bai_send f "{\"exitCode\": $__bai_status}"
        exec "$BASH" --noprofile --norc -c "$BASH_EXECUTION_STRING" backendai "$__bai_compiler" \
            3<&"$__bai_in" 4>&"$__bai_out"
    fi' EXIT
__bai_send r ''
while __bai_receive; do
    case $__bai_tag in
    q)
        __bai_running=1
        __bai_query "$__bai_payload"
        __bai_status=$?
        __bai_running=0
        __bai_send f "{\"exitCode\": $__bai_status}"
        ;;
    c) __bai_complete "$__bai_payload" ;;
    esac
done
)SH";
}

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/testing/gateway_drivers_more.hpp
/// @file
/// The programs that run a session's code inside its interpreter: JavaScript, Perl, Lua and Ruby. The frames are those
/// of gateway_drivers.hpp.
#ifndef BACKENDAI_TESTING_GATEWAY_DRIVERS_MORE_HPP
#define BACKENDAI_TESTING_GATEWAY_DRIVERS_MORE_HPP


BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// A run is over when the event loop is empty; then, in 'beforeExit', the driver blocks for the next request.
inline const char* node_driver() {
    return R"JS(
'use strict';
const fs = require('fs'), vm = require('vm');
let buffer = Buffer.alloc(0), running = false, status = 0;
function send(tag, payload) {
    const body = Buffer.isBuffer(payload) ? payload : Buffer.from(String(payload));
    const frame = Buffer.concat([Buffer.from(tag + ' ' + body.length + '\n'), body]);
    for (let at = 0; at < frame.length;) at += fs.writeSync(4, frame, at);
}
function fill() {
    const piece = Buffer.alloc(65536), count = fs.readSync(3, piece, 0, piece.length, null);
    buffer = Buffer.concat([buffer, piece.subarray(0, count)]);
    return count > 0;
}
function receive() {
    let end;
    while ((end = buffer.indexOf(10)) < 0) if (!fill()) return null;
    const [tag, length] = buffer.toString('latin1', 0, end).split(' '), last = end + 1 + Number(length);
    while (buffer.length < last) if (!fill()) return null;
    const payload = buffer.subarray(end + 1, last).toString();
    buffer = buffer.subarray(last);
    return {tag, payload};
}
function ask(text, is_password) {
    if (text !== undefined) process.stdout.write(String(text));
    send('w', JSON.stringify({is_password}));
    for (let frame; (frame = receive()) !== null;) if (frame.tag === 'i') return frame.payload;
    return null;
}
for (const [name, tag] of [['stdout', 'o'], ['stderr', 'e']]) {
    process[name].write = (chunk, encoding, done) => {
        const body = typeof chunk === 'string' ? Buffer.from(chunk, typeof encoding === 'string' ? encoding : 'utf8')
                                               : Buffer.from(chunk);
        send(tag, body);
        const callback = typeof encoding === 'function' ? encoding : done;
        if (typeof callback === 'function') process.nextTick(callback);
        return true;
    };
}
class Exit { constructor(code) { this.code = code; } }
process.exit = code => { throw new Exit(Number(code === undefined ? process.exitCode || 0 : code)); };
function failed(error) {
    if (error instanceof Exit) { status = error.code; return; }
    status = 1;
    const text = error && error.stack ? error.stack.split('\n').filter(line => !line.includes('[eval]') &&
        !line.includes('node:')).join('\n') : 'Uncaught ' + String(error);
    send('e', text + '\n');
}
process.on('uncaughtException', failed);
process.on('SIGINT', () => {});
Object.assign(globalThis, {
    require, prompt: text => ask(text, false), getpass: text => ask(text, true),
    backendai_media: (mime, data) => send('m', JSON.stringify([mime, Buffer.isBuffer(data)
        ? 'data:' + mime + ';base64,' + data.toString('base64') : String(data)]))
});
function complete(request) {
    const text = request.code || (request.options && request.options.line) || '';
    const word = /[\w$.]*$/.exec(text)[0], dot = word.lastIndexOf('.');
    const base = dot < 0 ? '' : word.slice(0, dot), start = word.slice(dot + 1), found = new Set();
    if (!/^([A-Za-z_$][\w$]*(\.[A-Za-z_$][\w$]*)*)?$/.test(base)) return [];
    try {
        let object = base ? vm.runInThisContext(base) : globalThis;
        for (object = Object(object); object !== null; object = Object.getPrototypeOf(object)) {
            for (const name of Object.getOwnPropertyNames(object)) {
                if (name.startsWith(start)) found.add(base ? base + '.' + name : name);
            }
        }
    } catch (error) { return []; }
    return [...found].sort();
}
let count = 0;
process.on('beforeExit', () => {
    if (running) {
        running = false;
        send('f', JSON.stringify({exitCode: status}));
    }
    for (;;) {
        const frame = receive();
        if (frame === null) process.reallyExit(0);
        if (frame.tag === 'c') { send('C', JSON.stringify(complete(JSON.parse(frame.payload)))); continue; }
        if (frame.tag !== 'q') continue;
        running = true;
        status = 0;
        setImmediate(() => {
            try {
                vm.runInThisContext(frame.payload, {filename: '<input-' + ++count + '>', breakOnSigint: true});
            } catch (error) { failed(error); }
        });
        return;
    }
});
send('r', '');
)JS";
}

inline const char* perl_driver() {
    return R"PL(
package BackendAI;
use strict; use warnings; use IO::Handle;
our ($in, $out, $running);
BEGIN { *CORE::GLOBAL::exit = sub { die bless {code => $_[0] // 0}, 'BackendAI::Exit' } }
open($in, '<&=', 3) or die; open($out, '>&=', 4) or die;
binmode $in; binmode $out;
sub put { my ($tag, $data) = @_; utf8::encode($data) if utf8::is_utf8($data);
    my $frame = $tag . ' ' . length($data) . "\n" . $data; my $at = 0;
    while ($at < length $frame) { my $n = syswrite($out, $frame, length($frame) - $at, $at); $at += $n if defined $n; } }
sub get { my $line = <$in>; return unless defined $line; my ($tag, $length) = split ' ', $line; my $data = '';
    read($in, $data, $length) if $length; return ($tag, $data); }
sub ask { STDOUT->flush; put('w', $_[0] ? '{"is_password": true}' : '{"is_password": false}');
    while (my ($tag, $data) = get()) { return "$data\n" if $tag eq 'i' } return undef; }
sub main::getpass { print @_; my $text = ask(1); chomp $text; return $text; }
sub main::backendai_media { my ($type, $data) = @_; STDOUT->flush; $data =~ s/(["\\])/\\$1/g; $data =~ s/\n/\\n/g;
    put('m', "[\"$type\", \"$data\"]"); }
package BackendAI::Input; sub TIEHANDLE { bless {}, shift } sub READLINE { BackendAI::ask(0) }
sub FILENO { 0 } sub CLOSE { 1 } sub EOF { 0 }
package BackendAI;
tie *STDIN, 'BackendAI::Input';
STDOUT->autoflush(1); STDERR->autoflush(1);
$SIG{INT} = sub { die "Interrupted\n" if $running };
put('r', '');
while (my ($tag, $data) = get()) {
    if ($tag eq 'q') {
        my $status = 0;
        utf8::decode($data);
        { local $@; $running = 1;
          eval { no strict; no warnings; package main; eval("no strict; no warnings;\n#line 1 \"input\"\n$data"); die $@ if ref $@ || $@; 1 };
          $BackendAI::running = 0;
          if (ref $@ eq 'BackendAI::Exit') { $status = int $@->{code} } elsif ($@) { print STDERR $@; $status = 1 } }
        STDOUT->flush; STDERR->flush;
        put('f', "{\"exitCode\": $status}");
    } elsif ($tag eq 'c') { put('C', '[]') }
}
)PL";
}

inline const char* lua_driver() {
    return R"LUA(
local input, output = assert(io.open('/dev/fd/3', 'rb')), assert(io.open('/dev/fd/4', 'wb'))
local function send(tag, data) output:write(tag, ' ', #data, '\n', data); output:flush() end
local function receive()
    local line = input:read('l')
    if not line then return nil end
    local tag, length = line:match('^(%S+) (%d+)$')
    return tag, tonumber(length) > 0 and input:read(tonumber(length)) or ''
end
local function ask(password)
    io.stdout:flush()
    send('w', password and '{"is_password": true}' or '{"is_password": false}')
    while true do
        local tag, data = receive()
        if not tag then return nil end
        if tag == 'i' then return data end
    end
end
io.stdout:setvbuf('no')
local read, default_input = io.read, io.input()
io.read = function(format, ...)
    if io.input() ~= default_input then return read(format, ...) end
    local text = ask(false)
    if format == 'n' or format == '*n' then return tonumber(text) end
    return text
end
getpass = function(prompt) io.write(prompt or ''); return ask(true) end
backendai_media = function(mime, data)
    io.stdout:flush()
    send('m', '["' .. mime .. '", "' .. data:gsub('[\\"]', '\\%0'):gsub('\n', '\\n') .. '"]')
end
os.exit = function(code)
    if code == nil or code == true then code = 0 elseif code == false then code = 1 end
    error({backendai_exit = code}, 0)
end
local function trace(message)
    if type(message) == 'table' then return message end
    return debug.traceback(tostring(message), 2):gsub("\n%s*%[C%]: in function 'xpcall'.*", '')
end
send('r', '')
while true do
    local tag, data = receive()
    if not tag then break end
    if tag == 'q' then
        local status, code, problem = 0, load(data, '=input')
        if not code then
            status = 1
            io.stderr:write(problem, '\n')
        else
            local good, failure = xpcall(code, trace)
            if not good then
                status = 1
                if type(failure) == 'table' and failure.backendai_exit then status = failure.backendai_exit
                else io.stderr:write(tostring(failure), '\n') end
            end
        end
        io.stdout:flush()
        send('f', '{"exitCode": ' .. math.tointeger(status) .. '}')
    elseif tag == 'c' then send('C', '[]') end
end
)LUA";
}

inline const char* ruby_driver() {
    return R"RB(
require 'json'
module BackendAI
  INPUT = IO.for_fd(3, 'rb'); OUTPUT = IO.for_fd(4, 'wb')
  INPUT.close_on_exec = OUTPUT.close_on_exec = true
  OUTPUT.sync = true
  def self.put(tag, data) = OUTPUT.write("#{tag} #{data.bytesize}\n".b + data.b)
  def self.get
    line = INPUT.gets or return nil
    tag, length = line.split
    [tag, length.to_i > 0 ? INPUT.read(length.to_i).force_encoding('UTF-8') : +'']
  end
  def self.ask(password)
    $stdout.flush
    put('w', JSON.generate({is_password: password}))
    while (frame = get)
      return frame[1] + "\n" if frame[0] == 'i'
    end
  end
end
$stdout.sync = $stderr.sync = true
def $stdin.gets(*) = BackendAI.ask(false)
def gets(*) = BackendAI.ask(false)
def getpass(prompt = '') = (print prompt; BackendAI.ask(true).chomp)
def backendai_media(mime, data) = BackendAI.put('m', JSON.generate([mime, data]))
$backendai_running = false
trap('INT') { Thread.main.raise(Interrupt, 'interrupted') if $backendai_running }
BackendAI.put('r', '')
while (frame = BackendAI.get)
  tag, data = frame
  if tag == 'q'
    status = 0
    begin
      $backendai_running = true
      begin
        TOPLEVEL_BINDING.eval(data, 'input')
      ensure
        $backendai_running = false
      end
    rescue SystemExit => error
      status = error.status
    rescue Exception => error
      status = 1
      $stderr.write(error.full_message(highlight: false))
    end
    BackendAI.put('f', JSON.generate({exitCode: status}))
  elsif tag == 'c'
    request = JSON.parse(data)
    word = (request['code'] || '')[/\w*\z/]
    names = TOPLEVEL_BINDING.local_variables + Object.constants + Kernel.methods
    BackendAI.put('C', JSON.generate(names.map(&:to_s).select { |name| name.start_with?(word) }.uniq.sort))
  end
end
)RB";
}

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif

#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {

/// How code of one language is run here.
struct interpreter {
    std::vector<std::string> command; ///< with the driver's text; empty = not installed
    std::string clean, build, exec;   ///< what "*" means in batch mode
};

/// An image reference taken apart: "registry/name:tag".
struct image_name {
    std::string registry, name, tag;
    std::string language; ///< the name before the first '-', lower case: "python" of "python-tensorflow"
};

inline image_name parse_image(std::string_view reference) {
    image_name result;
    const std::size_t slash = reference.rfind('/');
    if (slash != std::string_view::npos) {
        result.registry = reference.substr(0, slash);
        reference.remove_prefix(slash + 1);
    }
    const std::size_t colon = reference.find(':');
    result.name = reference.substr(0, colon);
    if (colon != std::string_view::npos) result.tag = reference.substr(colon + 1);
    for (const char c : result.name.substr(0, result.name.find('-'))) {
        result.language += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
    return result;
}

namespace detail {

inline const char* python_loader() {
    return "import sys; exec(compile(sys.argv.pop(), '<backendai-driver>', 'exec'), {'__name__': 'backendai_driver'})";
}

// The interpreter itself behind whatever "python3" is in PATH: wrappers that choose a version take longer to start
// than the interpreter, and may look for their files in HOME, which is another one in a session.
inline std::string real_python() {
    const std::string found = os::find_program("python3");
    if (found.empty()) return found;
    os::pipe_ends pipe = os::make_pipe();
    os::process_options options;
    options.arguments = {found, "-c", "import sys; sys.stdout.write(sys.executable)"};
    options.environment = os::current_environment(environ);
    options.descriptors = {{1, pipe.write_end.get()}};
    os::child_process process(options);
    pipe.write_end.close();
    std::string path;
    char buffer[1024];
    ssize_t count = 0;
    while ((count = ::read(pipe.read_end.get(), buffer, sizeof buffer)) > 0) {
        path.append(buffer, static_cast<std::size_t>(count));
    }
    return process.wait() == 0 && os::find_program(path) == path ? path : found;
}

inline std::map<std::string, interpreter> find_interpreters() {
    std::map<std::string, interpreter> found;
    const auto add = [&found](const std::vector<std::string>& names, const interpreter& entry) {
        for (const std::string& name : names) found[name] = entry;
    };
    const auto first_of = [](const std::vector<std::string>& names) {
        for (const std::string& name : names) {
            const std::string path = os::find_program(name);
            if (!path.empty()) return path;
        }
        return std::string();
    };
    const std::string python = real_python();
    if (!python.empty()) {
        add({"python", "python3"}, {{python, "-u", "-c", python_loader(), python_driver()},
                                    "rm -rf build dist *.egg-info",
                                    "if [ -f setup.py ]; then \"" + python + "\" setup.py build; fi",
                                    "\"" + python + "\" main.py"});
    }
    const std::string bash = os::find_program("bash");
    if (!bash.empty()) {
        const auto shell = [&bash](const std::string& compiler) {
            return std::vector<std::string>{bash, "--noprofile", "--norc", "-c", bash_driver(), "backendai", compiler};
        };
        add({"bash", "sh", "shell"},
            {shell(""), "true", "if [ -f Makefile ]; then make; fi", "\"" + bash + "\" main.sh"});
        const auto compiled = [&](const std::string& compiler, const std::string& pattern) {
            const std::string build =
                "if [ -f Makefile ]; then make; else \"" + compiler + "\" -o main " + pattern + " -lm; fi";
            return interpreter{shell(compiler), "if [ -f Makefile ]; then make clean; else rm -f main; fi", build,
                               "./main"};
        };
        const std::string c = first_of({"gcc", "cc", "clang"}), cpp = first_of({"g++", "c++", "clang++"});
        if (!c.empty()) add({"c", "gcc"}, compiled(c, "*.c"));
        if (!cpp.empty()) add({"cpp", "c++"}, compiled(cpp, "*.cpp"));
    }
    const std::string node = first_of({"node", "nodejs"});
    if (!node.empty()) {
        add({"node", "nodejs", "javascript", "js"}, {{node, "-e", node_driver()},
                                                     "rm -rf node_modules",
                                                     "if [ -f package.json ]; then npm install; fi",
                                                     "\"" + node + "\" main.js"});
    }
    const std::string perl = os::find_program("perl");
    if (!perl.empty()) add({"perl"}, {{perl, "-e", perl_driver()}, "true", "true", "\"" + perl + "\" main.pl"});
    const std::string lua = first_of({"lua5.4", "lua5.3", "lua"});
    if (!lua.empty()) add({"lua"}, {{lua, "-e", lua_driver()}, "true", "true", "\"" + lua + "\" main.lua"});
    const std::string ruby = os::find_program("ruby");
    if (!ruby.empty()) add({"ruby"}, {{ruby, "-e", ruby_driver()}, "true", "true", "\"" + ruby + "\" main.rb"});
    return found;
}

} // namespace detail

/// What is installed here, by language name. Looked up once in a process.
inline const std::map<std::string, interpreter>& interpreters() {
    static const std::map<std::string, interpreter> found = detail::find_interpreters();
    return found;
}

} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/testing/gateway_run.hpp
/// @file
/// One run of code in a session: its console, its phases, and the result object of the protocol.
#ifndef BACKENDAI_TESTING_GATEWAY_RUN_HPP
#define BACKENDAI_TESTING_GATEWAY_RUN_HPP


#include <nlohmann/json.hpp>

#include <array>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// The state of one run loop. Guarded by its kernel's mutex.
struct run {
    std::string id;
    bool is_batch = false;
    std::string code;
    std::array<std::string, 3> commands; ///< clean, build, exec

    std::size_t phase = 2;             ///< 0 clean, 1 build, 2 exec; a query has the last one only
    bool started = false;              ///< the present phase
    std::optional<bool> asks_password; ///< set while the code waits for input
    std::optional<int> exit_code;      ///< of the present phase, until it has been told
    bool is_over = false;              ///< `finished` has been told
    nlohmann::json console = nlohmann::json::array();
    std::size_t console_size = 0;
    nlohmann::json files = nlohmann::json::array();

    bool has_ended() const { return is_over || (phase == 2 && exit_code); }
    bool has_news() const { return exit_code || asks_password; }

    void print(const std::string& type, const std::string& data) {
        console_size += data.size();
        if (!console.empty() && console.back()[0] == type && (type == "stdout" || type == "stderr")) {
            console.back()[1].get_ref<std::string&>() += data;
        } else {
            console.push_back({type, data});
        }
    }

    /// The result object as it stands; what it tells is taken out of the run.
    nlohmann::json take_result() {
        static const std::array<const char*, 3> names = {"clean-finished", "build-finished", "finished"};
        nlohmann::json result = {{"runId", id},         {"status", "continued"},
                                 {"exitCode", nullptr}, {"console", std::move(console)},
                                 {"options", nullptr},  {"files", nlohmann::json::array()}};
        console = nlohmann::json::array();
        console_size = 0;
        if (exit_code) {
            result["status"] = names[phase];
            result["exitCode"] = *exit_code;
            exit_code.reset();
            if (phase == 2) {
                is_over = true;
                result["files"] = std::move(files);
            } else {
                ++phase;
                started = false;
            }
        } else if (asks_password) {
            result["status"] = "waiting-input";
            result["options"] = {{"is_password", *asks_password}};
        }
        return result;
    }
};

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/testing/gateway_runner.hpp
/// @file
/// A running interpreter or shell command with its pipes: frames to it, console output and frames from it.
#ifndef BACKENDAI_TESTING_GATEWAY_RUNNER_HPP
#define BACKENDAI_TESTING_GATEWAY_RUNNER_HPP


#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <map>
#include <poll.h>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// One thing that came out of a process, in order.
struct runner_event {
    char tag = 0; ///< of gateway_drivers.hpp; 'x' = the process has closed its descriptors
    std::string payload;
};

/// Text cut so that no UTF-8 character is torn: returns the whole part of @p pending and leaves the rest in it.
inline std::string take_whole_utf8(std::string& pending) {
    std::size_t end = pending.size();
    for (std::size_t back = 1; back <= 3 && back <= pending.size(); ++back) {
        const auto byte = static_cast<unsigned char>(pending[pending.size() - back]);
        if ((byte & 0xC0) == 0x80) continue;
        const std::size_t length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
        if (length > back) end = pending.size() - back;
        break;
    }
    std::string whole = pending.substr(0, end);
    pending.erase(0, end);
    return whole;
}

/// Owns a process and its pipes. One thread at a time.
class runner {
public:
    runner() = default;

    /// Starts a command. @param frames whether it is a driver, with descriptors 3 and 4.
    runner(std::vector<std::string> command, const std::map<std::string, std::string>& environment,
           const std::string& directory, bool frames) {
        os::process_options options;
        options.arguments = std::move(command);
        options.environment = environment;
        options.directory = directory;
        os::pipe_ends out = os::make_pipe(), err = os::make_pipe(), requests, events;
        options.descriptors = {{1, out.write_end.get()}, {2, err.write_end.get()}};
        if (frames) {
            requests = os::make_pipe();
            events = os::make_pipe();
            options.descriptors[3] = requests.read_end.get();
            options.descriptors[4] = events.write_end.get();
            os::set_nonblocking(requests.write_end.get());
            os::set_nonblocking(events.read_end.get());
        }
        os::set_nonblocking(out.read_end.get());
        os::set_nonblocking(err.read_end.get());
        process = os::child_process(options);
        requests_ = std::move(requests.write_end);
        sources_[0] = std::move(events.read_end);
        sources_[1] = std::move(out.read_end);
        sources_[2] = std::move(err.read_end);
        frames_ = frames;
    }

    bool is_started() const { return sources_[1].is_open() || sources_[2].is_open() || process.is_running(); }

    /// Puts a frame into the queue to the driver; pump() sends it.
    void send(char tag, std::string_view payload) {
        outgoing_ += tag;
        outgoing_ += ' ' + std::to_string(payload.size()) + '\n';
        outgoing_.append(payload);
    }

    /// Waits up to @p timeout for something to happen and returns what came.
    std::vector<runner_event> pump(std::chrono::milliseconds timeout) {
        std::array<pollfd, 4> polled{};
        nfds_t count = 0;
        for (const os::descriptor& source : sources_) {
            if (source.is_open()) polled[count++] = {source.get(), POLLIN, 0};
        }
        if (!outgoing_.empty() && requests_.is_open()) polled[count++] = {requests_.get(), POLLOUT, 0};
        ::poll(polled.data(), count, static_cast<int>(timeout.count()));
        write_outgoing();
        // The frames are read first and told last: what was written to the descriptors 1 and 2 before a frame is in
        // their pipes by then, so it is told before the frame.
        const bool had_frames = sources_[0].is_open();
        read_source(0, frame_bytes_, 1 << 20);
        std::vector<runner_event> events;
        for (std::size_t i = 1; i < sources_.size(); ++i) {
            read_source(i, torn_[i], 256 * 1024); // more than a pipe holds
            std::string text = sources_[i].is_open() ? take_whole_utf8(torn_[i]) : std::exchange(torn_[i], {});
            if (!text.empty()) events.push_back({i == 1 ? 'o' : 'e', std::move(text)});
        }
        parse_frames(events);
        if (frames_ ? had_frames && !sources_[0].is_open() : !sources_[1].is_open() && !sources_[2].is_open()) {
            events.push_back({'x', {}});
        }
        return events;
    }

    os::child_process process;

private:
    void write_outgoing() {
        while (!outgoing_.empty() && requests_.is_open()) {
            // A driver that is gone must not raise SIGPIPE in a program that has not asked for it.
            const blocked_sigpipe guard;
            const ssize_t count = ::write(requests_.get(), outgoing_.data(), outgoing_.size());
            if (count >= 0) {
                outgoing_.erase(0, static_cast<std::size_t>(count));
            } else if (errno == EAGAIN) {
                return;
            } else if (errno != EINTR) {
                requests_.close();
            }
        }
    }

    // Blocks SIGPIPE in this thread, and takes the one that a write may have left pending.
    class blocked_sigpipe {
    public:
        blocked_sigpipe() {
            sigemptyset(&set_);
            sigaddset(&set_, SIGPIPE);
            pthread_sigmask(SIG_BLOCK, &set_, &before_);
        }
        ~blocked_sigpipe() {
            const int error = errno;
            if (sigismember(&before_, SIGPIPE) == 0) {
                sigset_t pending;
                sigpending(&pending);
                int number = 0;
                if (sigismember(&pending, SIGPIPE) == 1) sigwait(&set_, &number);
                pthread_sigmask(SIG_SETMASK, &before_, nullptr);
            }
            errno = error;
        }
        blocked_sigpipe(const blocked_sigpipe&) = delete;
        blocked_sigpipe& operator=(const blocked_sigpipe&) = delete;

    private:
        sigset_t set_, before_;
    };

    void read_source(std::size_t index, std::string& into, std::size_t limit) {
        os::descriptor& source = sources_[index];
        char buffer[65536];
        while (source.is_open() && limit > 0) {
            const ssize_t count = ::read(source.get(), buffer, (std::min)(limit, sizeof buffer));
            if (count > 0) {
                into.append(buffer, static_cast<std::size_t>(count));
                limit -= static_cast<std::size_t>(count);
            } else if (count == 0 || (errno != EINTR && errno != EAGAIN)) {
                source.close();
            } else if (errno == EAGAIN) {
                return;
            }
        }
    }

    void parse_frames(std::vector<runner_event>& events) {
        std::size_t at = 0;
        for (;;) {
            const std::size_t end = frame_bytes_.find('\n', at);
            if (end == std::string::npos || end < at + 3) break;
            std::size_t length = 0;
            for (std::size_t i = at + 2; i < end; ++i) {
                const char c = frame_bytes_[i];
                if (c >= '0' && c <= '9' && length < (1u << 30))
                    length = length * 10 + static_cast<std::size_t>(c - '0');
            }
            if (frame_bytes_.size() - end - 1 < length) break;
            events.push_back({frame_bytes_[at], frame_bytes_.substr(end + 1, length)});
            at = end + 1 + length;
        }
        frame_bytes_.erase(0, at);
    }

    bool frames_ = false;
    os::descriptor requests_;
    std::array<os::descriptor, 3> sources_; ///< frames, stdout, stderr
    std::array<std::string, 3> torn_;
    std::string frame_bytes_, outgoing_;
};

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif

#include <nlohmann/json.hpp>

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// What a session is made of.
struct kernel_setup {
    interpreter language;
    std::map<std::string, std::string> environment;
    std::filesystem::path directory; ///< exists; working directory and HOME
    std::string output_url;          ///< what stands before the names of generated files
    std::chrono::milliseconds start_timeout{};
    std::size_t max_output = 0;
};

/// Thread-safe. Runs are served one after the other in the order they came: a query that comes while another runs is
/// answered `continued` until its turn. Output is read only while somebody waits for a result, so a program whose
/// output nobody fetches stops at a full pipe instead of filling memory.
class kernel {
public:
    explicit kernel(kernel_setup setup) : setup_(std::move(setup)) {}
    kernel(const kernel&) = delete;
    kernel& operator=(const kernel&) = delete;
    ~kernel() { destroy(); }

    /// Starts the interpreter and waits until it is ready. @throws problem kernel-creation-failed.
    void start() {
        std::unique_lock<std::mutex> lock(mutex_);
        launch(lock, "kernel-creation-failed", "Kernel creation has failed.");
    }

    /// Queues a run. @throws problem when the id is taken or too many runs wait.
    void add(run item) {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (find(item.id)) throw invalid_parameters("runId: a run of this name is not finished");
        // A run that ended and whose caller never came back for the result must not stay for ever.
        while (runs_.size() >= max_runs && runs_.front()->has_ended()) runs_.pop_front();
        if (runs_.size() >= max_runs) throw problem(503, "service-unavailable", "Too many runs wait in this session.");
        runs_.push_back(std::make_shared<run>(std::move(item)));
        ++queries_;
    }

    /// Answers the question of a run that waits for input.
    void answer(const std::string& id, const std::string& text) {
        const std::lock_guard<std::mutex> lock(mutex_);
        const std::shared_ptr<run> item = require(id);
        if (!item->asks_password) throw invalid_parameters("mode: the run does not wait for input");
        item->asks_password.reset();
        requests_.emplace_back('i', text);
    }

    /// Works on a run until it has something to tell that ends a step, its console is full, or the time is over.
    /// @param eager also return as soon as there is any output.
    nlohmann::json step(const std::string& id, std::chrono::milliseconds slice, bool eager = false) {
        const auto deadline = std::chrono::steady_clock::now() + slice;
        std::unique_lock<std::mutex> lock(mutex_);
        const std::shared_ptr<run> item = require(id);
        while (!item->has_news() && item->console_size < setup_.max_output && !(eager && item->console_size > 0)) {
            if (closed_ || dead_) {
                end_run(*item, 130); // what the protocol says of a container that has died
                break;
            }
            const auto left = deadline - std::chrono::steady_clock::now();
            if (left.count() <= 0) break;
            work(lock, left);
        }
        nlohmann::json result = item->take_result();
        if (item->is_over) drop(item);
        changed_.notify_all();
        return result;
    }

    /// Interrupts the code that runs now, if any. @param id when given, only if it is of that run
    void interrupt(const std::string& id = {}) {
        const std::lock_guard<std::mutex> lock(mutex_);
        const std::shared_ptr<run> item = active();
        if (!item || !item->started || item->exit_code || (!id.empty() && item->id != id)) return;
        item->asks_password.reset();
        (item->is_batch ? command_ : interpreter_).process.signal(SIGINT);
    }

    /// A new interpreter over the same folder; what ran is told `finished` with exit code 130.
    void restart() {
        std::unique_lock<std::mutex> lock(mutex_);
        if (closed_ || dead_) throw kernel_not_found();
        restarting_ = true;
        changed_.wait(lock, [this] { return !pumping_; });
        interpreter_.process.kill_and_wait();
        command_.process.kill_and_wait();
        interpreter_ = runner();
        command_ = runner();
        requests_.clear();
        for (const auto& item : runs_) end_run(*item, 130);
        restarting_ = false;
        launch(lock, "kernel-restart-failed", "Kernel restart has failed.");
    }

    /// Candidates to go on after the code; empty while code runs.
    nlohmann::json complete(const nlohmann::json& request) {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(2);
        std::unique_lock<std::mutex> lock(mutex_);
        if (active() || closed_ || dead_) return nlohmann::json::array();
        completions_.reset();
        requests_.emplace_back('c', request.dump());
        while (!completions_ && !closed_ && !dead_ && std::chrono::steady_clock::now() < deadline) {
            work(lock, deadline - std::chrono::steady_clock::now());
        }
        return completions_.value_or(nlohmann::json::array());
    }

    std::string logs() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return logs_;
    }
    std::int64_t queries() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return queries_;
    }
    /// Whether the interpreter has ended by itself and every run has been told.
    bool is_gone() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return dead_ && runs_.empty();
    }
    const std::filesystem::path& directory() const { return setup_.directory; }
    const std::map<std::string, std::string>& environment() const { return setup_.environment; }

    /// Kills everything and removes the folder; calls that wait return. Statistics of what it had used.
    os::process_usage destroy() {
        std::unique_lock<std::mutex> lock(mutex_);
        if (!closed_) {
            closed_ = true;
            interpreter_.process.signal(SIGKILL);
            command_.process.signal(SIGKILL);
            changed_.notify_all();
            changed_.wait(lock, [this] { return !pumping_; });
            interpreter_.process.kill_and_wait();
            command_.process.kill_and_wait();
            usage_ = interpreter_.process.usage();
            interpreter_ = runner();
            command_ = runner();
            std::error_code ignored; // a file that a stray process still makes there is left to the system's cleaner
            std::filesystem::remove_all(setup_.directory, ignored);
        }
        return usage_;
    }

private:
    using file_times = std::map<std::string, std::filesystem::file_time_type>;

    void launch(std::unique_lock<std::mutex>& lock, const char* type, const char* title) {
        const auto fail = [&](const std::string& why) {
            dead_ = true;
            return problem(500, type, title,
                           {{"agent-details", {{"type", "agent-failure"}, {"title", why}, {"exception", why}}}});
        };
        try {
            interpreter_ = runner(setup_.language.command, setup_.environment, setup_.directory.string(), true);
        } catch (const std::system_error& error) {
            throw fail(error.what());
        }
        ready_ = false;
        const auto deadline = std::chrono::steady_clock::now() + setup_.start_timeout;
        while (!ready_ && !dead_ && !closed_) {
            const auto left = deadline - std::chrono::steady_clock::now();
            if (left.count() <= 0) break;
            work(lock, left);
        }
        if (!ready_) throw fail("the interpreter did not start");
    }

    // One turn for the run in front, by this thread or by waiting for the one that has it.
    template <class Duration>
    void work(std::unique_lock<std::mutex>& lock, Duration left) {
        const auto slot =
            (std::min)(std::chrono::duration_cast<std::chrono::milliseconds>(left) + std::chrono::milliseconds(1),
                       std::chrono::milliseconds(50));
        // While an interpreter starts anew nobody runs: those whom the restart ended have yet to be told.
        const std::shared_ptr<run> front = ready_ ? active() : nullptr;
        const bool is_blocked = front && (front->has_news() || front->console_size >= setup_.max_output);
        if (pumping_ || restarting_ || is_blocked) {
            changed_.wait_for(lock, slot);
            return;
        }
        if (front && !front->started) begin(*front);
        if (front && front->has_news()) return;
        runner& source = front && front->is_batch ? command_ : interpreter_;
        for (const auto& request : std::exchange(requests_, {})) interpreter_.send(request.first, request.second);
        pumping_ = true;
        lock.unlock();
        std::vector<runner_event> events = source.pump(slot);
        lock.lock();
        pumping_ = false;
        for (runner_event& event : events) handle(event, front.get());
        if (source.is_started() && source.process.try_wait()) {
            // Whoever still holds its pipes is not of its process group any more: what they held until now counts.
            for (runner_event& event : source.pump(std::chrono::milliseconds(0))) handle(event, front.get());
            ended(front.get());
        }
        changed_.notify_all();
    }

    void begin(run& item) {
        item.started = true;
        if (item.phase == 2) before_ = output_files();
        if (!item.is_batch) {
            requests_.emplace_back('q', item.code);
            return;
        }
        std::string text = item.commands[item.phase];
        const interpreter& language = setup_.language;
        if (text == "*") text = item.phase == 0 ? language.clean : item.phase == 1 ? language.build : language.exec;
        if (text.empty()) {
            end_run(item, 0);
            return;
        }
        try {
            command_ = runner({"/bin/sh", "-c", text}, setup_.environment, setup_.directory.string(), false);
        } catch (const std::system_error& error) {
            item.print("stderr", std::string(error.what()) + '\n');
            end_run(item, 127);
        }
    }

    void handle(runner_event& event, run* item) {
        switch (event.tag) {
        case 'o':
        case 'e': print(item, event.tag == 'o' ? "stdout" : "stderr", event.payload); break;
        case 'm': {
            const auto record = nlohmann::json::parse(event.payload, nullptr, false);
            if (record.is_array() && record.size() == 2 && record[0].is_string() && record[1].is_string()) {
                print(item, record[0].get<std::string>(), record[1].get<std::string>());
            }
            break;
        }
        case 'w':
            if (item != nullptr) item->asks_password = event.payload.find("true") != std::string::npos;
            break;
        case 'f':
            if (item != nullptr && !item->is_batch) {
                const auto status = nlohmann::json::parse(event.payload, nullptr, false);
                end_run(*item, status.is_object() ? status.value("exitCode", 1) : 1);
            }
            break;
        case 'C': completions_ = nlohmann::json::parse(event.payload, nullptr, false); break;
        case 'r': ready_ = true; break;
        case 's': interpreter_.send('s', event.payload); break;
        default: break; // 'x': the end of the process is told by try_wait()
        }
    }

    void print(run* item, const std::string& type, const std::string& text) {
        if (type == "stdout" || type == "stderr") {
            logs_ += text;
            if (logs_.size() > 128 * 1024) logs_.erase(0, logs_.size() - 64 * 1024);
        }
        if (item != nullptr) item->print(type, text);
    }

    // The process of the run has ended: an interpreter means the end of the session, a command the end of a phase.
    void ended(run* item) {
        if (item != nullptr && item->is_batch) {
            const int status = command_.process.wait();
            command_ = runner();
            end_run(*item, status);
        } else {
            dead_ = true;
            usage_ = interpreter_.process.usage();
        }
    }

    void end_run(run& item, int status) {
        if (item.exit_code || item.is_over) return;
        item.asks_password.reset();
        if (closed_ || dead_ || restarting_) item.phase = 2;
        item.exit_code = status;
        if (item.phase != 2) return;
        for (const auto& file : output_files()) {
            const auto old = before_.find(file.first);
            if (old == before_.end() || old->second != file.second) {
                item.files.push_back(
                    {{"name", file.first}, {"url", setup_.output_url + codec::escape_segment(file.first)}});
            }
        }
    }

    // The protocol's generated files: what the code leaves in .output of its working directory.
    file_times output_files() const {
        file_times result;
        const std::filesystem::path root = setup_.directory / ".output";
        for_each_file(root, [&](const std::filesystem::directory_entry& file) {
            std::error_code gone;
            const auto time = file.last_write_time(gone);
            if (!gone) result[file.path().lexically_relative(root).generic_string()] = time;
        });
        return result;
    }

    std::shared_ptr<run> active() const {
        for (const auto& item : runs_) {
            if (!item->has_ended()) return item;
        }
        return nullptr;
    }
    std::shared_ptr<run> find(const std::string& id) const {
        for (const auto& item : runs_) {
            if (item->id == id) return item;
        }
        return nullptr;
    }
    std::shared_ptr<run> require(const std::string& id) const {
        std::shared_ptr<run> item = find(id);
        if (!item) throw invalid_parameters("runId: no such run");
        return item;
    }
    void drop(const std::shared_ptr<run>& item) {
        for (auto entry = runs_.begin(); entry != runs_.end(); ++entry) {
            if (*entry == item) {
                runs_.erase(entry);
                return;
            }
        }
    }

    static constexpr std::size_t max_runs = 64;

    const kernel_setup setup_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    runner interpreter_, command_;
    std::deque<std::shared_ptr<run>> runs_; ///< in their order; active() is the one that runs
    std::vector<std::pair<char, std::string>> requests_;
    std::optional<nlohmann::json> completions_;
    file_times before_;
    std::string logs_;
    std::int64_t queries_ = 0;
    bool ready_ = false, pumping_ = false, restarting_ = false, closed_ = false, dead_ = false;
    os::process_usage usage_;
};

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif

#include <openssl/rand.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// Random hexadecimal digits, two for a byte.
inline std::string random_token(std::size_t bytes) {
    std::string raw(bytes, '\0');
    if (RAND_bytes(reinterpret_cast<unsigned char*>(&raw[0]), static_cast<int>(bytes)) != 1) {
        throw std::runtime_error("no random numbers");
    }
    return codec::to_hex(raw);
}

/// A random UUID in text.
inline std::string random_uuid() {
    std::string text = random_token(16);
    text[12] = '4';
    for (const std::size_t dash : {20U, 16U, 12U, 8U}) text.insert(dash, "-");
    return text;
}

/// What a client asks for in a creation, checked.
struct session_request {
    std::string token; ///< what the table knows the session by: the client token, and a UUID on modern servers
    std::string name;  ///< the client token; later names are session_entry's
    std::string owner; ///< access key; empty on 19.03, where all sessions are the gateway's own key's
    std::string language, tag;
    std::string type = "interactive", startup_command;
    std::int64_t cluster_size = 1;
    std::string cluster_mode = "single-node";
    bool reuse = true; ///< a session of that name that is there may be given back
    std::map<std::string, std::string> environment;
    std::vector<std::string> mounts;
    std::int64_t memory_kib = 0;
};

/// One session in the table.
struct session_entry {
    session_request request;
    std::string id; ///< UUID
    image_name image;
    std::string secret; ///< part of the URLs of generated files
    std::chrono::system_clock::time_point created;
    std::chrono::system_clock::time_point last_used; ///< guarded by the table's mutex
    int users = 0;                                   ///< calls under way; guarded by the table's mutex
    std::unique_ptr<kernel> body;
    std::shared_future<void> started;

    std::string name() const {
        const std::lock_guard<std::mutex> lock(name_mutex_);
        return name_;
    }
    void set_name(const std::string& name) {
        const std::lock_guard<std::mutex> lock(name_mutex_);
        name_ = name;
    }

private:
    mutable std::mutex name_mutex_;
    std::string name_;
};

/// What is remembered of a session that has ended.
struct ended_session {
    std::string id, name, owner, language, tag, type, startup_command, logs;
    std::chrono::system_clock::time_point created, terminated;
};

/// Thread-safe.
class session_table {
public:
    explicit session_table(const gateway_options& options)
        : options_(options), protocol_(find_protocol(options.protocol)) {
        root_ = (options.directory.empty() ? std::filesystem::temp_directory_path()
                                           : std::filesystem::path(options.directory)) /
                ("backendai-gateway-" + random_token(8));
        std::filesystem::create_directories(root_ / "vfolders");
        std::filesystem::permissions(root_, std::filesystem::perms::owner_all);
        root_ = std::filesystem::canonical(root_);
        for (const std::string& name : options.vfolders) std::filesystem::create_directory(root_ / "vfolders" / name);
    }
    session_table(const session_table&) = delete;
    session_table& operator=(const session_table&) = delete;
    ~session_table() {
        close();
        std::error_code ignored; // what is left of a temporary folder is the system's to clean
        std::filesystem::remove_all(root_, ignored);
    }

    const std::filesystem::path& root() const { return root_; }
    void set_endpoint(const std::string& endpoint) {
        const std::lock_guard<std::mutex> lock(mutex_);
        endpoint_ = endpoint;
    }

    /// Told what happens to sessions, by the name of the event and its reason; called outside of the table's lock. To
    /// be set before the first session.
    std::function<void(const char* event, const session_entry& entry, const char* reason)> on_event;

    /// Keeps a session from idle cleanup while a call uses it.
    class use {
    public:
        use(session_table& table, std::shared_ptr<session_entry> entry) : table_(table), entry_(std::move(entry)) {}
        use(const use&) = delete;
        use& operator=(const use&) = delete;
        ~use() { table_.release(*entry_); }
        session_entry* operator->() const { return entry_.get(); }
        kernel& body() const { return *entry_->body; }

    private:
        session_table& table_;
        std::shared_ptr<session_entry> entry_;
    };

    /// The session of this token, a new one or the one there is, when its interpreter runs. The second member says
    /// whether it is new. @throws problem.
    std::pair<std::shared_ptr<session_entry>, bool> get_or_create(session_request request) {
        std::shared_ptr<session_entry> entry;
        std::promise<void> started;
        bool is_new = false;
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            if (closed_) throw problem(503, "service-unavailable", "The server is shutting down.");
            const auto found = existing(request);
            is_new = found == entries_.end() || found->second->body->is_gone();
            if (!is_new) {
                entry = found->second;
                if (entry->request.language != request.language || !request.reuse) {
                    throw problem(400, "kernel-already-exists",
                                  "The kernel already exists with a different environment.",
                                  protocol_.is_modern ? nlohmann::json({{"data", {{"existingSessionId", entry->id}}}})
                                                      : nlohmann::json());
                }
                entry->last_used = options_.clock();
            } else {
                if (found == entries_.end() && entries_.size() >= options_.max_sessions) {
                    throw problem(412, "quota-exceeded", "You have reached your resource limit.");
                }
                entry = prepare(std::move(request));
                entry->started = started.get_future().share();
                entries_[entry->request.token] = entry;
                peak_ = (std::max)(peak_, entries_.size());
                ++created_;
            }
        }
        if (!is_new) {
            entry->started.get(); // throws the other caller's problem when the start failed
            return {entry, false};
        }
        try {
            tell("kernel_preparing", *entry, "");
            tell("kernel_creating", *entry, "");
            entry->body->start();
            tell("kernel_started", *entry, "");
            started.set_value();
        } catch (...) {
            started.set_exception(std::current_exception());
            remove(entry->request.token, entry.get());
            throw;
        }
        return {entry, true};
    }

    /// The token of a session by the text that a request names it with: on modern servers its name or UUID, if it is
    /// @p owner's. @throws problem
    std::string key_of(const std::string& text, const std::string& owner) const {
        if (!protocol_.is_modern) return text;
        const std::lock_guard<std::mutex> lock(mutex_);
        for (const auto& entry : entries_) {
            const session_entry& it = *entry.second;
            if (it.request.owner == owner && (it.id == text || it.name() == text)) return entry.first;
        }
        throw problem(404, "kernel-not-found", "No such kernel.", nullptr, "Session (id=" + text + ") does not exist.");
    }
    /// @throws problem when the owner has a session of that name.
    void rename(const std::string& token, const std::string& name) {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = entries_.find(token);
        if (found == entries_.end()) throw kernel_not_found();
        for (const auto& entry : entries_) {
            const session_entry& other = *entry.second;
            if (entry.first != token && other.request.owner == found->second->request.owner && other.name() == name)
                throw invalid_parameters("Duplicate session name");
        }
        found->second->set_name(name);
    }
    /// Sessions that have ended, the latest first.
    std::vector<ended_session> ended() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return {ended_.begin(), ended_.end()};
    }

    /// @throws problem kernel-not-found.
    std::unique_ptr<use> find(const std::string& token) {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = entries_.find(token);
        if (found == entries_.end() || found->second->body->is_gone()) throw kernel_not_found();
        ++found->second->users;
        return std::make_unique<use>(*this, found->second);
    }

    /// Ends a session. Statistics, or null when there is none of this name.
    nlohmann::json destroy(const std::string& token) {
        const std::shared_ptr<session_entry> entry = remove(token, nullptr);
        if (!entry) return nullptr;
        const os::process_usage usage = end(*entry, "user-requested");
        return {{"cpu_used", usage.cpu_ms}, {"mem_max_bytes", usage.max_resident_kib * 1024},
                {"mem_cur_bytes", 0},       {"net_rx_bytes", 0},
                {"net_tx_bytes", 0},        {"io_read_bytes", 0},
                {"io_write_bytes", 0},      {"io_max_scratch_size", 0},
                {"io_cur_scratch_size", 0}};
    }

    void destroy_all() {
        for (const std::string& token : tokens()) destroy(token);
    }

    /// Ends sessions that nobody has used for the idle limit, and forgets those whose interpreter has ended.
    void sweep() {
        std::vector<std::shared_ptr<session_entry>> ended;
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            const auto now = options_.clock();
            for (auto entry = entries_.begin(); entry != entries_.end();) {
                session_entry& it = *entry->second;
                const bool is_idle =
                    options_.idle_timeout.count() > 0 && it.users == 0 && now - it.last_used > options_.idle_timeout;
                if (is_idle || it.body->is_gone()) {
                    ended.push_back(entry->second);
                    entry = entries_.erase(entry);
                } else {
                    ++entry;
                }
            }
        }
        for (const auto& entry : ended) end(*entry, entry->body->is_gone() ? "self-terminated" : "idle-timeout");
    }

    /// No more sessions; those there are end.
    void close() {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            closed_ = true;
        }
        destroy_all();
    }

    std::vector<std::string> tokens() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        std::vector<std::string> result;
        for (const auto& entry : entries_) result.push_back(entry.first);
        return result;
    }
    /// The sessions there are, in the order of their tokens.
    std::vector<std::shared_ptr<session_entry>> list() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        std::vector<std::shared_ptr<session_entry>> result;
        for (const auto& entry : entries_) result.push_back(entry.second);
        return result;
    }
    std::size_t live() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return entries_.size();
    }
    std::size_t peak() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return peak_;
    }
    std::size_t created() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return created_;
    }
    /// The folder of generated files that this secret opens; empty when there is none.
    std::filesystem::path generated_files(const std::string& secret) const {
        const std::lock_guard<std::mutex> lock(mutex_);
        for (const auto& entry : entries_) {
            if (entry.second->secret == secret) return entry.second->body->directory() / ".output";
        }
        return {};
    }

private:
    void tell(const char* event, const session_entry& entry, const char* reason) const {
        if (on_event) on_event(event, entry, reason);
    }
    os::process_usage end(session_entry& entry, const char* reason) {
        tell("session_terminating", entry, reason);
        tell("kernel_terminating", entry, reason);
        const os::process_usage usage = entry.body->destroy();
        tell("kernel_terminated", entry, reason);
        tell("session_terminated", entry, reason);
        const session_request& made = entry.request;
        const std::lock_guard<std::mutex> lock(mutex_);
        ended_.push_front({entry.id, entry.name(), made.owner, made.language, made.tag, made.type, made.startup_command,
                           entry.body->logs(), entry.created, options_.clock()});
        if (ended_.size() > 1000) ended_.pop_back();
        return usage;
    }

    void release(session_entry& entry) {
        const std::lock_guard<std::mutex> lock(mutex_);
        --entry.users;
        entry.last_used = options_.clock();
    }

    std::map<std::string, std::shared_ptr<session_entry>>::iterator existing(const session_request& request) {
        if (!protocol_.is_modern) return entries_.find(request.token);
        for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
            if (entry->second->request.owner == request.owner && entry->second->name() == request.name) return entry;
        }
        return entries_.end();
    }

    std::shared_ptr<session_entry> remove(const std::string& token, const session_entry* only) {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = entries_.find(token);
        if (found == entries_.end() || (only != nullptr && found->second.get() != only)) return nullptr;
        const std::shared_ptr<session_entry> entry = found->second;
        entries_.erase(found);
        return entry;
    }

    // The interpreter is looked up by language; a name that has none, or that the options leave out, is unknown.
    interpreter find_language(const session_request& request, const image_name& image) const {
        const auto found = interpreters().find(image.language);
        bool known = found != interpreters().end();
        if (!options_.images.empty()) {
            const auto is = [&](const std::string& name) {
                return name == request.language || name == image.name || name == image.name + ':' + image.tag;
            };
            known = known && std::any_of(options_.images.begin(), options_.images.end(), is);
        }
        if (!known) throw invalid_parameters("Unknown image reference: " + request.language);
        return found->second;
    }

    std::shared_ptr<session_entry> prepare(session_request request) {
        auto entry = std::make_shared<session_entry>();
        entry->image = parse_image(request.language);
        kernel_setup setup;
        setup.language = find_language(request, entry->image);
        for (const std::string& name : request.mounts) {
            if (!std::filesystem::is_directory(root_ / "vfolders" / name)) {
                throw problem(404, "vfolder-not-found", "No such virtual folder.");
            }
        }
        entry->id = random_uuid();
        entry->set_name(request.name);
        if (protocol_.is_modern) request.token = entry->id;
        entry->secret = random_token(16);
        setup.directory = root_ / ("session-" + random_token(8));
        std::filesystem::create_directory(setup.directory);
        for (const std::string& name : request.mounts) {
            std::filesystem::create_directory_symlink(root_ / "vfolders" / name, setup.directory / name);
        }
        setup.environment = base_environment();
        setup.environment["HOME"] = setup.directory.string();
        setup.environment["BACKENDAI_KERNEL_ID"] = request.token;
        for (const auto& variable : request.environment) setup.environment[variable.first] = variable.second;
        setup.output_url = endpoint_ + options_.path_prefix + "/generated/" + entry->secret + '/';
        setup.start_timeout = options_.start_timeout;
        setup.max_output = options_.max_output;
        entry->body = std::make_unique<kernel>(std::move(setup));
        entry->request = std::move(request);
        entry->created = entry->last_used = options_.clock();
        return entry;
    }

    // What the code sees of the caller's environment: everything but the client's own settings, secrets above all.
    static std::map<std::string, std::string> base_environment() {
        std::map<std::string, std::string> result = os::current_environment(environ);
        for (auto entry = result.begin(); entry != result.end();) {
            const bool is_ours =
                entry->first.compare(0, 8, "BACKEND_") == 0 || entry->first.compare(0, 6, "SORNA_") == 0;
            entry = is_ours ? result.erase(entry) : std::next(entry);
        }
        return result;
    }

    const gateway_options& options_;
    const gateway_protocol& protocol_;
    std::filesystem::path root_;
    mutable std::mutex mutex_;
    std::map<std::string, std::shared_ptr<session_entry>> entries_;
    std::deque<ended_session> ended_;
    std::string endpoint_;
    std::size_t peak_ = 0, created_ = 0;
    bool closed_ = false;
};

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/testing/gateway_tar.hpp
/// @file
/// The archives that the embedded gateway sends: of real files, and of such as no honest server sends.
#ifndef BACKENDAI_TESTING_GATEWAY_TAR_HPP
#define BACKENDAI_TESTING_GATEWAY_TAR_HPP

// ---- backendai/codec/tar_writer.hpp
/// @file
/// Writes tar archives: ustar, with pax extended headers for what does not fit.
#ifndef BACKENDAI_CODEC_TAR_WRITER_HPP
#define BACKENDAI_CODEC_TAR_WRITER_HPP


#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// Writes a tar archive piece by piece; each function returns the bytes that come next in the archive.
///
/// An entry is begin_entry(), its content as it is (the writer only counts it: add_content()), end_entry().
/// Not thread-safe.
class tar_writer {
public:
    /// The header of the next entry. Content of exactly `entry.size` bytes follows.
    /// @throws std::invalid_argument when the name is empty or has a NUL byte, when a link has no target, when anything
    /// but a regular file has content; std::logic_error when the entry before is not complete.
    std::string begin_entry(const tar_entry& entry) {
        if (open_ || ended_) throw std::logic_error("tar writer: an entry is open, or the archive has ended");
        check(entry);
        std::string header(detail::tar_block_size, '\0');
        std::string records;
        const std::string_view name = entry.name;
        const std::size_t split = split_at(name);
        if (is_ascii(name) && name.size() <= detail::tar_layout::name.length) {
            put(header, detail::tar_layout::name, name);
        } else if (is_ascii(name) && split != std::string_view::npos) {
            put(header, detail::tar_layout::prefix, name.substr(0, split));
            put(header, detail::tar_layout::name, name.substr(split + 1));
        } else {
            records += record("path", name);
            put(header, detail::tar_layout::name, name);
        }
        if (!is_ascii(entry.link_name) || entry.link_name.size() > detail::tar_layout::link_name.length)
            records += record("linkpath", entry.link_name);
        put(header, detail::tar_layout::link_name, entry.link_name);
        constexpr std::uint64_t twelve_digits = std::uint64_t{1} << 33; // eleven octal digits and a NUL
        if (entry.size >= twelve_digits) records += record("size", std::to_string(entry.size));
        put_octal(header, detail::tar_layout::size, entry.size < twelve_digits ? entry.size : 0);
        const bool plain_time = entry.mtime_nanoseconds == 0 && entry.mtime_seconds >= 0 &&
                                static_cast<std::uint64_t>(entry.mtime_seconds) < twelve_digits;
        if (!plain_time) records += record("mtime", time_text(entry));
        const bool fits = entry.mtime_seconds >= 0 && static_cast<std::uint64_t>(entry.mtime_seconds) < twelve_digits;
        put_octal(header, detail::tar_layout::mtime, fits ? static_cast<std::uint64_t>(entry.mtime_seconds) : 0);
        put_octal(header, detail::tar_layout::mode, entry.mode & 07777U);
        header[detail::tar_layout::type.offset] = type_flag(entry.type);
        complete(header);
        open_ = true;
        left_ = entry.size;
        padding_ = detail::tar_padding(entry.size);
        return records.empty() ? header : extended(records) + header;
    }

    /// Says that `bytes` of content have been written. @throws std::logic_error when they are more than announced.
    void add_content(std::uint64_t bytes) {
        if (!open_ || bytes > left_) throw std::logic_error("tar writer: more content than announced");
        left_ -= bytes;
    }

    /// The padding that ends the entry. @throws std::logic_error when content is missing.
    std::string end_entry() {
        if (!open_ || left_ != 0) throw std::logic_error("tar writer: content is missing");
        open_ = false;
        return std::string(static_cast<std::size_t>(padding_), '\0');
    }

    /// The end of the archive. @throws std::logic_error when an entry is open.
    std::string finish() {
        if (open_ || ended_) throw std::logic_error("tar writer: an entry is open, or the archive has ended");
        ended_ = true;
        return std::string(2 * detail::tar_block_size, '\0');
    }

private:
    static void check(const tar_entry& entry) {
        const bool link = entry.type == tar_type::hard_link || entry.type == tar_type::symbolic_link;
        const char* why = nullptr;
        if (entry.name.empty() || entry.name.find('\0') != std::string::npos) why = " has no usable name";
        if (link && (entry.link_name.empty() || entry.link_name.find('\0') != std::string::npos))
            why = " is a link without a usable target";
        if (!link && !entry.link_name.empty()) why = " is no link and has a target";
        if (entry.type != tar_type::regular && entry.size != 0) why = " is no regular file and has content";
        if (entry.type == tar_type::regular && !entry.name.empty() && entry.name.back() == '/')
            why = " is a regular file with a directory's name";
        if (entry.size > std::uint64_t{1} << 62 || entry.mtime_nanoseconds >= 1'000'000'000) why = " is out of range";
        if (why != nullptr) throw std::invalid_argument("tar entry " + printable(entry.name) + why);
    }

    static bool is_ascii(std::string_view text) noexcept {
        return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
    }

    // Where a name of more than 100 bytes may be cut into ustar's prefix and name: at a slash that leaves both in size.
    static std::size_t split_at(std::string_view name) noexcept {
        const std::size_t cut = name.substr(0, detail::tar_layout::prefix.length + 1).rfind('/');
        const bool fits = cut != std::string_view::npos && cut != 0 && cut + 1 < name.size() &&
                          name.size() - cut - 1 <= detail::tar_layout::name.length;
        return fits ? cut : std::string_view::npos;
    }

    static void put(std::string& header, detail::tar_field field, std::string_view text) {
        const std::size_t count = (std::min)(text.size(), field.length);
        header.replace(field.offset, count, text.substr(0, count));
    }

    static void put_octal(std::string& header, detail::tar_field field, std::uint64_t value) {
        for (std::size_t i = field.length - 1; i-- > 0; value >>= 3)
            header[field.offset + i] = static_cast<char>('0' + (value & 7));
    }

    static char type_flag(tar_type type) {
        switch (type) {
        case tar_type::regular: return '0';
        case tar_type::hard_link: return '1';
        case tar_type::symbolic_link: return '2';
        case tar_type::character_device: return '3';
        case tar_type::block_device: return '4';
        case tar_type::directory: return '5';
        case tar_type::fifo: return '6';
        }
        throw std::invalid_argument("tar entry type out of range");
    }

    // What every header has: owner 0, the magic and the checksum (six digits, NUL, blank).
    static void complete(std::string& header) {
        for (const detail::tar_field field : {detail::tar_layout::uid, detail::tar_layout::gid,
                                              detail::tar_layout::device_major, detail::tar_layout::device_minor})
            put_octal(header, field, 0);
        put(header, detail::tar_layout::magic, detail::posix_magic);
        const detail::tar_field sum = detail::tar_layout::checksum;
        put_octal(header, {sum.offset, sum.length - 1},
                  static_cast<std::uint64_t>(detail::sum_tar_header(header).of_unsigned));
        header[sum.offset + sum.length - 1] = ' ';
    }

    // A record's length counts its own digits.
    static std::string record(std::string_view key, std::string_view value) {
        const std::size_t rest = key.size() + value.size() + 3; // blank, equals sign, line feed
        std::size_t length = rest + 1;
        while (rest + std::to_string(length).size() != length) length = rest + std::to_string(length).size();
        std::string result = std::to_string(length);
        result += ' ';
        result.append(key).append("=").append(value).append("\n");
        return result;
    }

    static std::string time_text(const tar_entry& entry) {
        // seconds are rounded down: -1.5 is -2 s and 500,000,000 ns
        const bool negative = entry.mtime_seconds < 0;
        std::uint64_t seconds = negative ? ~static_cast<std::uint64_t>(entry.mtime_seconds) + 1
                                         : static_cast<std::uint64_t>(entry.mtime_seconds);
        std::uint32_t nanoseconds = entry.mtime_nanoseconds;
        if (negative && nanoseconds != 0) {
            seconds -= 1;
            nanoseconds = 1'000'000'000 - nanoseconds;
        }
        std::string result = (negative ? "-" : "") + std::to_string(seconds);
        if (nanoseconds != 0) {
            const std::string digits = std::to_string(nanoseconds);
            result += '.' + std::string(9 - digits.size(), '0') + digits;
        }
        return result;
    }

    static std::string extended(const std::string& records) {
        std::string header(detail::tar_block_size, '\0');
        put(header, detail::tar_layout::name, "././@PaxHeader");
        put_octal(header, detail::tar_layout::mode, 0644);
        put_octal(header, detail::tar_layout::size, records.size());
        put_octal(header, detail::tar_layout::mtime, 0);
        header[detail::tar_layout::type.offset] = 'x';
        complete(header);
        const auto padding = static_cast<std::size_t>(detail::tar_padding(records.size()));
        return header + records + std::string(padding, '\0');
    }

    bool open_ = false;
    bool ended_ = false;
    std::uint64_t left_ = 0;
    std::uint64_t padding_ = 0;
};

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <system_error>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// A whole file. @throws std::filesystem::filesystem_error.
inline std::string read_whole(const std::filesystem::path& path) {
    try {
        os::open_file file = os::open_for_reading(path);
        std::string bytes(static_cast<std::size_t>(file.size()), '\0');
        std::size_t filled = 0;
        while (filled < bytes.size()) {
            const std::size_t count = file.read(&bytes[filled], bytes.size() - filled);
            if (count == 0) break;
            filled += count;
        }
        bytes.resize(filled);
        return bytes;
    } catch (const std::filesystem::filesystem_error&) {
        throw;
    } catch (const std::system_error& e) {
        throw std::filesystem::filesystem_error("read", path, e.code());
    }
}

inline void add_to_archive(codec::tar_writer& writer, std::string& bytes, const std::filesystem::path& path,
                           const std::string& name, std::size_t limit) {
    if (bytes.size() > limit) return; // too large already; the caller looks at the size
    struct stat data {};
    if (::lstat(path.c_str(), &data) != 0) {
        throw std::filesystem::filesystem_error("stat", path, std::error_code(errno, std::generic_category()));
    }
    codec::tar_entry entry;
    entry.name = name;
    entry.mode = data.st_mode & 07777U;
    entry.mtime_seconds = data.st_mtime;
    if (S_ISDIR(data.st_mode)) {
        entry.name += '/';
        entry.type = codec::tar_type::directory;
        bytes += writer.begin_entry(entry);
        bytes += writer.end_entry();
        std::vector<std::filesystem::path> children;
        for (const auto& child : std::filesystem::directory_iterator(path)) children.push_back(child.path());
        std::sort(children.begin(), children.end());
        for (const auto& child : children)
            add_to_archive(writer, bytes, child, name + '/' + child.filename().string(), limit);
    } else if (S_ISLNK(data.st_mode)) {
        entry.type = codec::tar_type::symbolic_link;
        entry.link_name = std::filesystem::read_symlink(path).string();
        bytes += writer.begin_entry(entry);
        bytes += writer.end_entry();
    } else if (S_ISREG(data.st_mode)) {
        if (static_cast<std::uint64_t>(data.st_size) > limit) {
            bytes.resize(limit + 1);
            return;
        }
        const std::string content = read_whole(path);
        entry.size = content.size();
        bytes += writer.begin_entry(entry) + content;
        writer.add_content(content.size());
        bytes += writer.end_entry();
    }
}

/// The archive of a file or directory, under its last name, as the container engine makes it. Something longer than
/// @p limit, with no meaning, when it would be larger. @throws std::filesystem::filesystem_error.
inline std::string make_archive(const std::filesystem::path& path, std::size_t limit) {
    codec::tar_writer writer;
    std::string bytes;
    const std::filesystem::path real = std::filesystem::is_symlink(path) ? std::filesystem::canonical(path) : path;
    std::string name = path.filename().string();
    if (name.empty()) name = path.has_relative_path() ? path.parent_path().filename().string() : ".";
    add_to_archive(writer, bytes, real, name, limit);
    if (bytes.size() <= limit) bytes += writer.finish();
    return bytes;
}

inline std::string one_file_archive(const std::string& name, const std::string& content = "hostile") {
    codec::tar_writer writer;
    codec::tar_entry entry;
    entry.name = name;
    entry.size = content.size();
    entry.mode = 0644;
    std::string bytes = writer.begin_entry(entry) + content;
    writer.add_content(content.size());
    bytes += writer.end_entry();
    return bytes + writer.finish();
}

/// A symbolic link, and a file that would go through it.
inline std::string link_archive(const std::string& name, const std::string& target) {
    codec::tar_writer writer;
    codec::tar_entry entry;
    entry.name = name;
    entry.type = codec::tar_type::symbolic_link;
    entry.link_name = target;
    std::string bytes = writer.begin_entry(entry);
    bytes += writer.end_entry();
    return bytes + one_file_archive(name + "/escaped");
}

/// So many zero bytes, compressed.
inline std::string zero_bomb(codec::deflate_format format, std::uint64_t size) {
    const std::string zeros(1024 * 1024, '\0');
    std::string bytes;
    const auto keep = [&bytes](std::string_view piece) { bytes += piece; };
    codec::deflate_encoder encoder(format, 9);
    for (std::uint64_t done = 0; done < size; done += zeros.size()) encoder.feed(zeros, keep);
    encoder.finish(keep);
    return bytes;
}

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif

#include <nlohmann/json.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <system_error>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {

/// How the gateway lies in answers to downloads, so that clients can be tested against a hostile or broken server.
enum class file_lie {
    none,
    traversal_name,  ///< names that lead out of the destination
    absolute_name,   ///< names from the root directory
    bomb,            ///< compressed parts that expand to far more than they should
    truncated_part,  ///< the last part stops in its middle, well-formed around it
    truncated_body,  ///< the body stops in its middle, with a length that says it is whole
    total_too_large, ///< X-TOTAL-PAYLOADS-LENGTH one byte more than the truth
    total_too_small, ///< and one less
    missing_part,    ///< the last part is left out
    additional_part, ///< one that nobody asked for
    symbolic_link    ///< sessions only: a link in the archive, and an entry behind it
};

namespace detail {

/// A place below @p root. @throws std::filesystem::filesystem_error, problem when it lies outside, by links too.
inline std::filesystem::path place_below(const std::filesystem::path& root, const std::string& text,
                                         const std::filesystem::path& also_allowed = {}) {
    const std::filesystem::path path = (root / text).lexically_normal();
    const std::filesystem::path real = std::filesystem::weakly_canonical(path);
    const auto is_below = [&real](const std::filesystem::path& base) {
        return std::mismatch(base.begin(), base.end(), real.begin(), real.end()).first == base.end();
    };
    if (text.find('\0') != std::string::npos || (!is_below(root) && (also_allowed.empty() || !is_below(also_allowed))))
        throw invalid_parameters("the path leads out of the folder");
    return path;
}

/// "drwxr-xr-x", as Python's stat.filemode.
inline std::string mode_text(mode_t mode) {
    std::string text = S_ISDIR(mode) ? "d" : S_ISLNK(mode) ? "l" : S_ISFIFO(mode) ? "p" : "-";
    for (int i = 8; i >= 0; --i) text += ((mode >> i) & 1) != 0 ? "xwr"[i % 3] : '-';
    return text;
}

/// The JSON text of a directory's listing.
inline std::string list_directory(const std::filesystem::path& path) {
    nlohmann::json list = nlohmann::json::array();
    std::vector<std::filesystem::path> entries;
    for (const auto& entry : std::filesystem::directory_iterator(path)) entries.push_back(entry.path());
    std::sort(entries.begin(), entries.end());
    for (const auto& entry : entries) {
        struct stat data {};
        if (::lstat(entry.c_str(), &data) != 0) continue; // gone meanwhile
        list.push_back({{"mode", mode_text(data.st_mode)},
                        {"size", data.st_size},
                        {"ctime", static_cast<double>(data.st_ctime)},
                        {"mtime", static_cast<double>(data.st_mtime)},
                        {"atime", static_cast<double>(data.st_atime)},
                        {"filename", entry.filename().string()}});
    }
    return list.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// The regular files below a directory.
struct disk_usage {
    std::uintmax_t files = 0, bytes = 0;
};
inline disk_usage usage_of(const std::filesystem::path& directory) {
    disk_usage sum;
    for_each_file(directory, [&](const std::filesystem::directory_entry& file) {
        std::error_code gone;
        const std::uintmax_t size = file.file_size(gone);
        if (gone) return;
        ++sum.files;
        sum.bytes += size;
    });
    return sum;
}

/// The `files` member of a request: a list of texts.
inline std::vector<std::string> file_names(const nlohmann::json& body) {
    const auto list = body.find("files");
    if (list == body.end() || !list->is_array()) throw invalid_parameters("files: is required, a list");
    std::vector<std::string> names;
    for (const auto& item : *list) {
        if (!item.is_string()) throw invalid_parameters("files: value is not a string");
        names.push_back(item.get<std::string>());
    }
    return names;
}

/// Writes the parts of an upload into a directory; they appear when the whole request was good.
class upload_receiver final : private codec::multipart_handler {
public:
    /// @param max_bytes a file must be smaller; 0 = any size
    upload_receiver(const std::filesystem::path& root, std::size_t max_files, std::uint64_t max_bytes)
        : target_(root, existing_files::overwrite), max_files_(max_files), max_bytes_(max_bytes) {}

    /// @throws problem.
    void receive(const http_call& call) {
        const std::string* type = find_header(call.headers, "Content-Type");
        try {
            codec::multipart_handler& parts = *this;
            codec::multipart_reader reader(codec::multipart_boundary(type == nullptr ? std::string() : *type), parts);
            reader.feed(call.body);
            if (call.stream) {
                std::vector<char> buffer(256 * 1024);
                while (const std::size_t count = call.stream(buffer.data(), buffer.size()))
                    reader.feed({buffer.data(), count});
            }
            reader.finish();
        } catch (const codec::decode_error& e) {
            throw invalid_parameters(e.what());
        }
        target_.commit();
    }

private:
    void on_part_begin(const codec::part_headers& headers) override {
        if (++files_ > max_files_) throw invalid_parameters("Too many files");
        const auto name = headers.disposition().filename;
        if (!name) throw invalid_parameters("a part has no filename");
        bytes_ = 0;
        target_.begin_file(codec::safe_relative_path(*name, codec::root_name::refuse, codec::path_policy::posix));
    }
    void on_data(std::string_view data) override {
        bytes_ += data.size();
        if (max_bytes_ != 0 && bytes_ >= max_bytes_) throw invalid_parameters("Too large file");
        target_.write(data);
    }
    void on_part_end() override { target_.end_file(); }

    backendai::detail::destination<> target_;
    std::size_t max_files_, files_ = 0;
    std::uint64_t max_bytes_, bytes_ = 0;
};

/// Handlers of /kernel/S/upload, download and files, or the same below /session. Thread-safe.
class kernel_file_routes {
public:
    kernel_file_routes(const gateway_options& options, session_table& sessions, const std::atomic<file_lie>& lie)
        : protocol_(find_protocol(options.protocol)), sessions_(sessions), lie_(lie) {}

    void add_to(router& table) {
        const std::string base = protocol_.is_modern ? "/session/{}" : "/kernel/{}";
        const auto download_by = [this](const gateway_request& request) { return download(request); };
        table.add("POST", base + "/upload", true, [this](const gateway_request& request) { return upload(request); });
        table.add("GET", base + "/files", true, [this](const gateway_request& request) { return list(request); });
        if (!protocol_.has_post_download) {
            table.add("GET", base + "/download", true, download_by);
            return;
        }
        table.add("POST", base + "/download", true, download_by);
        table.add("GET", base + "/download", true, [](const gateway_request&) -> http_reply {
            throw problem(400, "deprecated", "This API is deprecated.");
        });
    }

private:
    static constexpr std::uint64_t mebibyte = 1024 * 1024;

    std::unique_ptr<session_table::use> find(const gateway_request& request) const {
        return sessions_.find(sessions_.key_of(request.arguments[0], access_key_of(request.call)));
    }

    http_reply upload(const gateway_request& request) {
        const auto session = find(request);
        upload_receiver(session->body().directory(), 20, mebibyte).receive(request.call);
        return empty_reply();
    }

    http_reply download(const gateway_request& request) {
        const auto session = find(request);
        const std::vector<std::string> names = requested_files(request);
        if (names.size() > 5) throw problem(500, "internal-server-error", "Internal server error.");
        std::vector<std::string> archives;
        for (const std::string& name : names) archives.push_back(archive(session->body().directory(), name));
        return lying_reply(std::move(archives));
    }

    std::vector<std::string> requested_files(const gateway_request& request) const {
        if (!protocol_.is_modern) return file_names(request.json());
        parameters given(request);
        std::vector<std::string> names;
        if (request.call.body.empty()) {
            names.push_back(given.required_text({"files"})); // of several in a query the first only
        } else {
            names = given.texts({"files"}, true);
        }
        given.finish();
        if (names.empty()) throw problem(500, "internal-server-error", "Internal server error.");
        return names;
    }

    std::string archive(const std::filesystem::path& directory, const std::string& name) const {
        std::string bytes;
        try {
            const auto path = place_below(directory, name, sessions_.root() / "vfolders");
            bytes = make_archive(path, mebibyte);
        } catch (const problem&) {
            throw execution_failed("ValueError('the path leads out of the working directory')");
        } catch (const std::filesystem::filesystem_error&) {
            throw execution_failed("FileNotFoundError('" + name + "')");
        }
        if (bytes.size() >= mebibyte) throw execution_failed("ValueError('too large archive file')");
        return bytes;
    }

    static problem execution_failed(const std::string& exception) {
        return {500,
                "kernel-execution-failed",
                "Kernel execution has failed.",
                {{"agent-details",
                  {{"type", "https://api.backend.ai/probs/agent-failure"},
                   {"title", "Agent-side exception occurred."},
                   {"exception", exception}}}}};
    }

    http_reply lying_reply(std::vector<std::string> archives) const {
        std::string encoding = "identity";
        switch (lie_.load()) {
        case file_lie::traversal_name: archives.assign(archives.size(), one_file_archive("../../escaped")); break;
        case file_lie::absolute_name: archives.assign(archives.size(), one_file_archive("/tmp/escaped")); break;
        case file_lie::symbolic_link: archives.assign(archives.size(), link_archive("link", "..")); break;
        case file_lie::bomb:
            archives.assign(archives.size(), zero_bomb(codec::deflate_format::gzip, std::uint64_t{1} << 31));
            encoding = "gzip";
            break;
        case file_lie::truncated_part: archives.back().resize(archives.back().size() / 2); break;
        case file_lie::missing_part: archives.pop_back(); break;
        case file_lie::additional_part: archives.push_back(one_file_archive("additional")); break;
        default: break;
        }
        const std::string boundary = codec::make_boundary();
        http_reply reply;
        reply.headers = {{"Content-Type", "multipart/mixed; boundary=" + boundary}};
        for (const std::string& bytes : archives) {
            reply.body += "--" + boundary +
                          "\r\nContent-Type: application/octet-stream\r\nContent-Encoding: " + encoding + "\r\n\r\n" +
                          bytes + "\r\n";
        }
        reply.body += "--" + boundary + "--\r\n";
        if (lie_ == file_lie::truncated_body) reply.body.resize(reply.body.size() / 2);
        return reply;
    }

    http_reply list(const gateway_request& request) {
        const auto session = find(request);
        if (protocol_.is_modern && request.call.body.empty())
            throw invalid_parameters("Expecting value: line 1 column 1 (char 0)"); // the query is not looked at
        const nlohmann::json body = request.json();
        const auto text = body.find("path");
        const std::string path = text != body.end() && text->is_string() ? text->get<std::string>() : ".";
        try {
            const auto place = place_below(session->body().directory(), path, sessions_.root() / "vfolders");
            return json_reply({{"files", list_directory(place)}, {"errors", ""}, {"abspath", place.string()}});
        } catch (const problem&) {
            return json_reply({{"files", ""}, {"errors", "the path leads out of the working directory"}});
        } catch (const std::filesystem::filesystem_error& e) {
            return json_reply({{"files", ""}, {"errors", e.code().message() + ": " + path}});
        }
    }

    const gateway_protocol& protocol_;
    session_table& sessions_;
    const std::atomic<file_lie>& lie_;
};

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/testing/gateway_folders.hpp
/// @file
/// The embedded gateway's virtual folders: directories under its root, owners, invitations, and the endpoints.
#ifndef BACKENDAI_TESTING_GATEWAY_FOLDERS_HPP
#define BACKENDAI_TESTING_GATEWAY_FOLDERS_HPP

// ---- backendai/testing/gateway_folder_download.hpp
/// @file
/// The body of a virtual folder download, made while it is read: files of any size in little memory.
#ifndef BACKENDAI_TESTING_GATEWAY_FOLDER_DOWNLOAD_HPP
#define BACKENDAI_TESTING_GATEWAY_FOLDER_DOWNLOAD_HPP


#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// multipart/mixed with a part for each file, compressed on its own, named by its percent-encoded base name. One
/// thread.
class folder_download {
public:
    /// @param encoding gzip, deflate (raw) or identity
    folder_download(std::vector<std::filesystem::path> files, std::string encoding, file_lie lie)
        : files_(std::move(files)), encoding_(std::move(encoding)), lie_(lie), buffer_(64 * 1024) {
        for (const auto& file : files_) total_ += std::filesystem::file_size(file);
        if (lie_ == file_lie::missing_part && !files_.empty()) files_.pop_back();
        if (lie_ == file_lie::additional_part && !files_.empty()) files_.push_back(files_.back());
    }

    const std::string& boundary() const { return boundary_; }
    std::uint64_t announced_total() const {
        if (lie_ == file_lie::total_too_large) return total_ + 1;
        return lie_ == file_lie::total_too_small && total_ > 0 ? total_ - 1 : total_;
    }

    /// Up to @p capacity bytes of the body; 0 at its end.
    std::size_t read(char* buffer, std::size_t capacity) {
        while (position_ == pending_.size() && next_ <= files_.size() && !ended_) produce();
        const std::size_t count = (std::min)(capacity, pending_.size() - position_);
        std::memcpy(buffer, pending_.data() + position_, count);
        position_ += count;
        return count;
    }

private:
    void produce() {
        pending_.clear();
        position_ = 0;
        if (!file_.is_open()) {
            begin_part();
            return;
        }
        const bool bomb = lie_ == file_lie::bomb;
        const std::size_t count = bomb ? bomb_piece() : file_.read(buffer_.data(), buffer_.size());
        const bool cut = lie_ == file_lie::truncated_part && next_ == files_.size();
        if (count == 0 || cut) {
            if (count != 0) put({buffer_.data(), count / 2});
            end_part(cut);
        } else {
            put({buffer_.data(), count});
        }
    }

    void begin_part() {
        if (next_ == files_.size()) {
            pending_ = "--" + boundary_ + "--\r\n";
            ended_ = true;
            return;
        }
        const std::filesystem::path& path = files_[next_++];
        file_ = os::open_for_reading(path);
        bomb_left_ = std::uint64_t{256} << 20;
        std::string name = codec::escape_segment(path.filename().string());
        if (lie_ == file_lie::traversal_name) name = "..%2F..%2Fescaped";
        if (lie_ == file_lie::absolute_name) name = "%2Ftmp%2Fescaped";
        pending_ = "--" + boundary_ + "\r\nContent-Type: application/octet-stream\r\nContent-Encoding: " + encoding_ +
                   "\r\nContent-Disposition: attachment; filename=\"" + name + "\"\r\n\r\n";
        encoder_.reset();
        if (encoding_ != "identity") {
            encoder_.emplace(encoding_ == "deflate" ? codec::deflate_format::raw : codec::deflate_format::gzip, 1);
        }
    }

    void put(std::string_view data) {
        if (encoder_) {
            encoder_->feed(data, [this](std::string_view piece) { pending_ += piece; });
        } else {
            pending_ += data;
        }
    }

    void end_part(bool cut) {
        if (encoder_ && !cut) encoder_->finish([this](std::string_view piece) { pending_ += piece; });
        pending_ += "\r\n";
        file_ = os::open_file();
    }

    std::size_t bomb_piece() {
        const auto count = static_cast<std::size_t>((std::min)(std::uint64_t{buffer_.size()}, bomb_left_));
        std::fill_n(buffer_.begin(), count, '\0');
        bomb_left_ -= count;
        return count;
    }

    std::vector<std::filesystem::path> files_;
    std::string encoding_, boundary_ = codec::make_boundary();
    file_lie lie_;
    std::uint64_t total_ = 0, bomb_left_ = 0;
    std::size_t next_ = 0; // the file after the present one
    os::open_file file_;
    std::optional<codec::deflate_encoder> encoder_;
    std::vector<char> buffer_;
    std::string pending_;
    std::size_t position_ = 0;
    bool ended_ = false;
};

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/testing/gateway_folder_table.hpp
/// @file
/// Who owns and who may use the embedded gateway's virtual folders.
#ifndef BACKENDAI_TESTING_GATEWAY_FOLDER_TABLE_HPP
#define BACKENDAI_TESTING_GATEWAY_FOLDER_TABLE_HPP


#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// One folder.
struct folder {
    std::string id, name, host, owner, created;
    std::chrono::system_clock::time_point created_at;
    // Of modern servers. What the owner may do is not more than `permission` there.
    std::string usage_mode = "general", permission = "wd", group;
    bool cloneable = false;
    std::map<std::string, std::string> members; ///< access key -> permission, from accepted invitations

    std::string permission_of(const std::string& user) const {
        if (user == owner) return permission;
        const auto found = members.find(user);
        return found == members.end() ? std::string() : found->second;
    }
};

/// One invitation that waits for an answer.
struct invitation {
    std::string id, inviter, invitee, permission, created, folder_id, folder_name; ///< inviter, invitee: e-mails
};

/// Thread-safe. Names are unique for the whole gateway, so that a session can mount any folder by its name; on real
/// servers they are for each owner.
class folder_table {
public:
    explicit folder_table(const gateway_options& options) : options_(options) {}

    /// `[a-zA-Z0-9]([a-zA-Z0-9._-]*[a-zA-Z0-9])?`
    static bool is_name(const std::string& text) {
        const auto alphanumeric = [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        };
        bool good = !text.empty() && alphanumeric(text.front()) && alphanumeric(text.back());
        for (const char c : text) good = good && (alphanumeric(c) || c == '.' || c == '_' || c == '-');
        return good;
    }

    /// @throws problem vfolder-already-exists.
    folder create(const std::string& owner, const std::string& name, const std::string& host) {
        folder made;
        made.name = name;
        made.host = host.empty() ? "local" : host;
        made.owner = owner;
        return create(std::move(made));
    }
    /// The same with all that a folder has but its id and date.
    folder create(folder made) {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (folders_.count(made.name) != 0)
            throw problem(400, "vfolder-already-exists", "The virtual folder already exists with the same name.");
        made.id = random_token(16);
        made.created_at = options_.clock();
        made.created = codec::format_date(made.created_at);
        folders_[made.name] = made;
        return made;
    }
    /// @throws problem when it is not the user's, or the name is taken.
    void rename(const std::string& user, const std::string& name, const std::string& new_name) {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = folders_.find(name);
        if (found == folders_.end() || found->second.owner != user) throw not_found();
        if (folders_.count(new_name) != 0)
            throw invalid_parameters("One of your accessible vfolders already has the name you requested.");
        folder moved = found->second;
        moved.name = new_name;
        folders_.erase(found);
        folders_[new_name] = std::move(moved);
        for (auto& item : invitations_) {
            if (item.second.folder_name == name) item.second.folder_name = new_name;
        }
    }
    /// Gives up what an accepted invitation gave.
    void leave(const std::string& user, const std::string& name) {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = folders_.find(name);
        if (found == folders_.end() || found->second.members.erase(user) == 0) throw not_found();
    }

    /// A folder that the user may use so: "ro", "rw" or "wd". @throws problem vfolder-not-found.
    folder find(const std::string& user, const std::string& name, const std::string& permission) const {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = folders_.find(name);
        const std::string has = found == folders_.end() ? std::string() : found->second.permission_of(user);
        static const std::string order = "ro rw wd";
        if (has.empty() || order.find(has) < order.find(permission)) throw not_found();
        return found->second;
    }

    void remove(const std::string& user, const std::string& name) {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = folders_.find(name);
        if (found == folders_.end() || found->second.owner != user) throw not_found();
        for (auto item = invitations_.begin(); item != invitations_.end();) {
            item = item->second.folder_name == name ? invitations_.erase(item) : std::next(item);
        }
        folders_.erase(found);
    }

    std::vector<folder> seen_by(const std::string& user) const {
        const std::lock_guard<std::mutex> lock(mutex_);
        std::vector<folder> result;
        for (const auto& item : folders_) {
            if (!item.second.permission_of(user).empty()) result.push_back(item.second);
        }
        return result;
    }

    /// False when nobody of this e-mail address can be invited (again).
    bool invite(const std::string& user, const std::string& name, const std::string& permission,
                const std::string& email) {
        if (permission != "ro" && permission != "rw" && permission != "wd") throw invalid_parameters("perm: unknown");
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = folders_.find(name);
        if (found == folders_.end() || found->second.owner != user) throw not_found();
        const std::string invitee = key_of(email);
        if (invitee.empty() || !found->second.permission_of(invitee).empty()) return false;
        for (const auto& item : invitations_) {
            if (item.second.invitee == email && item.second.folder_name == name) return false;
        }
        invitation made;
        made.id = random_token(16);
        made.inviter = email_of(user);
        made.invitee = email;
        made.permission = permission;
        made.created = codec::format_date(options_.clock());
        made.folder_id = found->second.id;
        made.folder_name = name;
        invitations_[made.id] = made;
        return true;
    }

    std::vector<invitation> invitations_of(const std::string& user) const {
        const std::lock_guard<std::mutex> lock(mutex_);
        std::vector<invitation> result;
        for (const auto& item : invitations_) {
            if (item.second.invitee == email_of(user)) result.push_back(item.second);
        }
        return result;
    }

    std::vector<invitation> sent_by(const std::string& user) const {
        const std::lock_guard<std::mutex> lock(mutex_);
        std::vector<invitation> result;
        for (const auto& item : invitations_) {
            if (item.second.inviter == email_of(user)) result.push_back(item.second);
        }
        return result;
    }

    /// The folder's name, or nothing when there is no such invitation for the user and that access key of theirs.
    std::string accept(const std::string& user, const std::string& id, const std::string& access_key) {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = invitations_.find(id);
        if (found == invitations_.end() || found->second.invitee != email_of(user) || access_key != user) return {};
        const std::string name = found->second.folder_name;
        folders_.at(name).members[user] = found->second.permission;
        invitations_.erase(found);
        return name;
    }

    /// @param or_inviter who made it may take it back too
    bool reject(const std::string& user, const std::string& id, bool or_inviter = false) {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = invitations_.find(id);
        const std::string email = email_of(user);
        if (found == invitations_.end()) return false;
        if (found->second.invitee != email && !(or_inviter && found->second.inviter == email)) return false;
        invitations_.erase(found);
        return true;
    }

    std::string email_of(const std::string& access_key) const {
        if (access_key == options_.access_key) return options_.email;
        for (const gateway_user& user : options_.other_users) {
            if (user.access_key == access_key) return user.email;
        }
        return {};
    }

private:
    static problem not_found() { return {404, "vfolder-not-found", "No such virtual folder."}; }

    std::string key_of(const std::string& email) const {
        if (email == options_.email) return options_.access_key;
        for (const gateway_user& user : options_.other_users) {
            if (user.email == email) return user.access_key;
        }
        return {};
    }

    const gateway_options& options_;
    mutable std::mutex mutex_;
    std::map<std::string, folder> folders_;
    std::map<std::string, invitation> invitations_;
};

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif

#include <nlohmann/json.hpp>

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// Handlers of /folders. Thread-safe.
class folder_routes {
public:
    folder_routes(const gateway_options& options, session_table& sessions, const std::atomic<file_lie>& lie)
        : options_(options), root_(sessions.root() / "vfolders"), folders_(options), lie_(lie) {
        for (const std::string& name : options.vfolders) folders_.create(options.access_key, name, "");
    }
    folder_routes(const folder_routes&) = delete;
    folder_routes& operator=(const folder_routes&) = delete;
    virtual ~folder_routes() = default;

    /// What GraphQL lists: the folders that the key itself owns.
    nlohmann::json owned_by(const std::string& access_key) const {
        nlohmann::json result = nlohmann::json::array();
        for (const folder& item : folders_.seen_by(access_key)) {
            if (item.owner != access_key) continue;
            result.push_back({{"id", item.id},
                              {"name", item.name},
                              {"host", item.host},
                              {"created_at", item.created},
                              {"usage_mode", item.usage_mode},
                              {"permission", item.permission},
                              {"cloneable", item.cloneable}});
        }
        return result;
    }

    /// Where the folder lies that the user may use so. @throws problem
    std::filesystem::path place_of(const std::string& user, const std::string& name, const char* permission) const {
        return root_ / folders_.find(user, name, permission).name;
    }

    virtual void add_to(router& table) {
        const auto bind = [this](http_reply (folder_routes::*handler)(const gateway_request&)) {
            return [this, handler](const gateway_request& request) { return (this->*handler)(request); };
        };
        table.add("POST", "/folders", true, bind(&folder_routes::create));
        table.add("GET", "/folders", true, bind(&folder_routes::list));
        table.add("GET", "/folders/invitations/list", true, bind(&folder_routes::invitations));
        table.add("POST", "/folders/invitations/accept", true, bind(&folder_routes::accept));
        table.add("DELETE", "/folders/invitations/delete", true, bind(&folder_routes::reject));
        table.add("GET", "/folders/{}", true, bind(&folder_routes::info));
        table.add("DELETE", "/folders/{}", true, bind(&folder_routes::remove));
        table.add("POST", "/folders/{}/mkdir", true, bind(&folder_routes::mkdir));
        table.add("POST", "/folders/{}/upload", true, bind(&folder_routes::upload));
        table.add("GET", "/folders/{}/download", true, bind(&folder_routes::download));
        table.add("DELETE", "/folders/{}/delete_files", true, bind(&folder_routes::delete_files));
        table.add("GET", "/folders/{}/files", true, bind(&folder_routes::list_files));
        table.add("POST", "/folders/{}/invite", true, bind(&folder_routes::invite));
    }

private:
    http_reply create(const gateway_request& request) {
        const nlohmann::json body = request.json();
        const auto name = body.find("name");
        if (name == body.end() || !name->is_string() || !folder_table::is_name(name->get<std::string>())) {
            throw problem(500, "internal-server-error", "Internal server error."); // a failed assertion there
        }
        const auto host = body.find("host");
        const std::string place = host != body.end() && host->is_string() ? host->get<std::string>() : std::string();
        const folder made = folders_.create(access_key_of(request.call), name->get<std::string>(), place);
        std::filesystem::create_directory(root_ / made.name);
        return json_reply({{"id", made.id}, {"name", made.name}, {"host", made.host}}, 201);
    }

    http_reply list(const gateway_request& request) {
        nlohmann::json result = nlohmann::json::array();
        const std::string user = access_key_of(request.call);
        for (const folder& item : folders_.seen_by(user)) {
            result.push_back({{"name", item.name},
                              {"id", item.id},
                              {"host", item.host},
                              {"is_owner", item.owner == user},
                              {"permission", item.permission_of(user)}});
        }
        return json_reply(result);
    }

    http_reply info(const gateway_request& request) {
        const std::string user = access_key_of(request.call);
        const folder item = folders_.find(user, request.arguments[0], "ro");
        const disk_usage used = usage_of(root_ / item.name);
        return json_reply({{"name", item.name},
                           {"id", item.id},
                           {"host", item.host},
                           {"numFiles", used.files},
                           {"created", item.created},
                           {"is_owner", item.owner == user},
                           {"permission", item.permission_of(user)}});
    }

    http_reply remove(const gateway_request& request) {
        folders_.remove(access_key_of(request.call), request.arguments[0]);
        std::filesystem::remove_all(root_ / request.arguments[0]);
        return empty_reply();
    }

protected:
    std::filesystem::path directory(const gateway_request& request, const char* permission) const {
        return place_of(access_key_of(request.call), request.arguments[0], permission);
    }

private:
    http_reply mkdir(const gateway_request& request) {
        const auto path = place_below(directory(request, "rw"), text_of(request.json(), "path"));
        std::error_code error;
        std::filesystem::create_directories(path, error);
        if (error) throw invalid_parameters(error.message());
        http_reply reply;
        reply.status = 201;
        return reply;
    }

    http_reply upload(const gateway_request& request) {
        upload_receiver(directory(request, "rw"), 10, 0).receive(request.call);
        http_reply reply;
        reply.status = 201;
        return reply;
    }

    http_reply download(const gateway_request& request) {
        const auto root = directory(request, "ro");
        std::vector<std::filesystem::path> files;
        for (const std::string& name : file_names(request.json())) {
            files.push_back(place_below(root, name));
            if (!std::filesystem::is_regular_file(files.back()))
                throw invalid_parameters("You cannot download \"" + name + "\" because it is not a regular file.");
        }
        const auto body = std::make_shared<folder_download>(std::move(files), options_.vfolder_encoding, lie_.load());
        http_reply reply;
        reply.headers = {{"Content-Type", "multipart/mixed; boundary=" + body->boundary()},
                         {"X-TOTAL-PAYLOADS-LENGTH", std::to_string(body->announced_total())}};
        const auto pull = [body](char* buffer, std::size_t capacity) { return body->read(buffer, capacity); };
        if (request.call.takes_stream && lie_ != file_lie::truncated_body) {
            reply.stream = pull;
            return reply;
        }
        std::vector<char> buffer(64 * 1024);
        while (const std::size_t count = pull(buffer.data(), buffer.size())) reply.body.append(buffer.data(), count);
        if (lie_ == file_lie::truncated_body) reply.body.resize(reply.body.size() / 2);
        return reply;
    }

    http_reply delete_files(const gateway_request& request) {
        const nlohmann::json body = request.json();
        const auto root = directory(request, "wd");
        const auto flag = body.find("recursive");
        const bool recursive = flag != body.end() && flag->is_boolean() && flag->get<bool>();
        std::vector<std::filesystem::path> places;
        for (const std::string& name : file_names(body)) {
            places.push_back(place_below(root, name));
            const auto status = std::filesystem::symlink_status(places.back());
            if (!std::filesystem::exists(status)) throw invalid_parameters("no such file: " + name);
            if (places.back() == root || (std::filesystem::is_directory(status) && !recursive))
                throw invalid_parameters("cannot delete directories without recursive option");
        }
        for (const auto& path : places) std::filesystem::remove_all(path);
        return json_reply(nlohmann::json::object());
    }

    http_reply list_files(const gateway_request& request) {
        const auto root = directory(request, "ro");
        const nlohmann::json body = request.json();
        try {
            const auto found = body.find("path");
            const auto path = place_below(root, found == body.end() ? "." : found->get<std::string>());
            return json_reply({{"files", list_directory(path)}});
        } catch (const problem&) {
            return json_reply({{"error_msg", "No such file or directory"}}, 404);
        } catch (const std::filesystem::filesystem_error&) {
            return json_reply({{"error_msg", "No such file or directory"}}, 404);
        }
    }

    http_reply invite(const gateway_request& request) {
        const nlohmann::json body = request.json();
        const auto users = body.find("user_ids");
        if (users == body.end() || !users->is_array()) throw invalid_parameters("user_ids: is required, a list");
        nlohmann::json invited = nlohmann::json::array();
        for (const auto& user : *users) {
            const std::string email = user.is_string() ? user.get<std::string>() : std::string();
            if (folders_.invite(access_key_of(request.call), request.arguments[0], text_of(body, "perm"), email))
                invited.push_back(email);
        }
        return json_reply({{"invited_ids", invited}}, 201);
    }

    http_reply invitations(const gateway_request& request) {
        nlohmann::json list = nlohmann::json::array();
        for (const invitation& item : folders_.invitations_of(access_key_of(request.call))) {
            list.push_back({{"id", item.id},
                            {"inviter", item.inviter},
                            {"perm", item.permission},
                            {"state", "pending"},
                            {"created_at", item.created},
                            {"vfolder_id", item.folder_id}});
        }
        return json_reply({{"invitations", list}});
    }

    // An unknown invitation is answered {msg}, which is no problem document.
    http_reply accept(const gateway_request& request) {
        const nlohmann::json body = request.json();
        const std::string name =
            folders_.accept(access_key_of(request.call), text_of(body, "inv_id"), text_of(body, "inv_ak"));
        if (name.empty()) return json_reply({{"msg", "No such vfolder invitation."}}, 404);
        return json_reply({{"msg", "Vfolder " + name + " can now be accessed by you."}}, 201);
    }
    http_reply reject(const gateway_request& request) {
        if (!folders_.reject(access_key_of(request.call), text_of(request.json(), "inv_id")))
            return json_reply({{"msg", "No such vfolder invitation."}}, 404);
        return json_reply({{"msg", "Vfolder invitation is rejected."}});
    }

    static std::string text_of(const nlohmann::json& body, const char* key) {
        const auto found = body.find(key);
        if (found == body.end() || !found->is_string()) throw invalid_parameters(std::string(key) + ": is required");
        return found->get<std::string>();
    }

protected:
    const gateway_options& options_;
    std::filesystem::path root_;
    folder_table folders_;

private:
    const std::atomic<file_lie>& lie_;
};

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/testing/gateway_folders_modern.hpp
/// @file
/// The embedded gateway's endpoints for virtual folders as servers from 20.09 on have them; the bytes of files go
/// through its storage proxy.
#ifndef BACKENDAI_TESTING_GATEWAY_FOLDERS_MODERN_HPP
#define BACKENDAI_TESTING_GATEWAY_FOLDERS_MODERN_HPP


#include <nlohmann/json.hpp>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <string>
#include <sys/stat.h>
#include <system_error>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// Handlers of /folders. Thread-safe. Deleting is at once, as on 23.09 and before.
class modern_folder_routes final : public folder_routes {
public:
    modern_folder_routes(const gateway_options& options, session_table& sessions, const std::atomic<file_lie>& lie,
                         const keypair_store& keypairs, const std::atomic<bool>& frozen)
        : folder_routes(options, sessions, lie),
          protocol_(find_protocol(options.protocol)),
          keypairs_(keypairs),
          frozen_(frozen) {}

    void add_to(router& table) override {
        using routes = modern_folder_routes;
        const auto add = [&](const char* method, const char* path,
                             http_reply (routes::*handler)(const gateway_request&), bool changes = false) {
            table.add(method, path, true, [this, handler, changes](const gateway_request& request) {
                if (changes && frozen_) throw server_frozen();
                return (this->*handler)(request);
            });
        };
        add("POST", "/folders", &routes::create, true);
        add("GET", "/folders", &routes::list);
        for (const char* path : {"/folders/_/hosts", "/folders/_/all-hosts", "/folders/_/all_hosts"})
            add("GET", path, &routes::hosts);
        for (const char* path : {"/folders/_/allowed-types", "/folders/_/allowed_types"})
            add("GET", path, &routes::allowed_types);
        add("GET", "/folders/invitations/list", &routes::invitations);
        for (const char* path : {"/folders/invitations/list-sent", "/folders/invitations/list_sent"})
            add("GET", path, &routes::sent_invitations);
        add("POST", "/folders/invitations/accept", &routes::accept, true);
        add("DELETE", "/folders/invitations/delete", &routes::reject, true);
        add("GET", "/folders/{}", &routes::info);
        add("DELETE", "/folders/{}", &routes::remove, true);
        add("POST", "/folders/{}/rename", &routes::rename, true);
        add("POST", "/folders/{}/leave", &routes::leave);
        add("POST", "/folders/{}/invite", &routes::invite, true);
        add("POST", "/folders/{}/mkdir", &routes::mkdir);
        add("GET", "/folders/{}/files", &routes::list_files);
        for (const char* path : {"/folders/{}/rename-file", "/folders/{}/rename_file"})
            add("POST", path, &routes::rename_file);
        add("POST", "/folders/{}/move-file", &routes::move_file);
        for (const char* path : {"/folders/{}/delete-files", "/folders/{}/delete_files"}) {
            add("DELETE", path, &routes::delete_files);
            if (protocol_.has_post_delete) add("POST", path, &routes::delete_files);
        }
    }

private:
    using json = nlohmann::json;

    static constexpr const char* host_name = "local:volume1";

    // --- folders -----------------------------------------------------------------------------------------------------

    http_reply create(const gateway_request& request) {
        parameters given(request);
        folder wanted;
        wanted.owner = access_key_of(request.call);
        const bool has_name = given.find({"name"}) != nullptr;
        wanted.name = given.required_text({"name"});
        if (has_name && !is_slug(wanted.name)) given.wrong("name", "value must be a valid slug.");
        wanted.host = given.text({"host"}).value_or(host_name);
        const auto choose = [&given](const char* key, const char* fallback, std::initializer_list<const char*> allowed,
                                     const char* type) {
            const std::string value = given.text({key}).value_or(fallback);
            for (const char* each : allowed) {
                if (value == each) return value;
            }
            given.wrong(key, std::string("value is not a valid member of ") + type);
            return value;
        };
        wanted.usage_mode = choose("usage_mode", "general", {"general", "model", "data"}, "VFolderUsageMode");
        wanted.permission = choose("permission", "rw", {"ro", "rw", "wd"}, "VFolderPermission");
        wanted.group = given.text({"group", "groupId", "group_id"}).value_or("");
        wanted.cloneable = given.boolean({"cloneable"}, false);
        given.text({"unmanaged_path", "unmanagedPath"});
        given.find({"quota"});
        given.finish();
        if (wanted.name == ".ssh" || wanted.name == ".bash_profile")
            throw invalid_parameters(wanted.name + " is reserved for internal operations.");
        if (wanted.host != host_name) {
            throw invalid_parameters("`VFolderHostPermission.CREATE` Not allowed in vfolder host(`" + wanted.host +
                                     "`)");
        }
        if (wanted.name.size() > 64 ||
            (!wanted.group.empty() && wanted.group != "default" && wanted.group != group_id()))
            throw problem(500, "internal-server-error", "Internal server error.");
        if (!wanted.group.empty() && !is_admin(wanted.owner))
            throw problem(403, "generic-forbidden", "Forbidden operation.");
        const folder made = folders_.create(std::move(wanted));
        std::filesystem::create_directory(root_ / made.name);
        json answer = describe(made);
        answer.update({{"permission", made.permission}, {"max_size", nullptr}});
        return json_reply(answer, 201);
    }

    // What all answers about a folder tell.
    json describe(const folder& item) const {
        const bool is_group = !item.group.empty();
        return {{"id", item.id},
                {"name", item.name},
                {"quota_scope_id", is_group ? "project:" + group_id() : "user:" + user_uuid(item.owner)},
                {"host", host_name},
                {"usage_mode", item.usage_mode},
                {"creator", folders_.email_of(item.owner)},
                {"ownership_type", is_group ? "group" : "user"},
                {"user", is_group ? json() : json(user_uuid(item.owner))},
                {"group", is_group ? json(group_id()) : json()},
                {"cloneable", item.cloneable},
                {"status", "ready"}};
    }

    http_reply list(const gateway_request& request) {
        if (request.call.body.empty()) {
            parameters given(request);
            for (const char* key : {"group_id", "owner_user_email"}) given.text({key});
            given.find({"all"});
            given.finish();
        }
        const std::string user = access_key_of(request.call);
        json result = json::array();
        for (const folder& item : folders_.seen_by(user)) {
            json told = describe(item);
            told.update({{"created_at", python_date(item.created_at)},
                         {"is_owner", item.owner == user},
                         {"permission", item.permission_of(user)},
                         {"user_email", folders_.email_of(item.owner)},
                         {"group_name", item.group.empty() ? json() : json("default")},
                         {"type", told["ownership_type"]},
                         {"max_files", 1000},
                         {"max_size", nullptr},
                         {"cur_size", 0}});
            result.push_back(std::move(told));
        }
        return json_reply(result);
    }

    http_reply info(const gateway_request& request) {
        const std::string user = access_key_of(request.call);
        const folder item = find(request, "ro");
        const disk_usage used = usage_of(root_ / item.name);
        const bool is_group = !item.group.empty();
        const std::string created = python_date(item.created_at);
        return json_reply({{"name", item.name},
                           {"id", item.id},
                           {"host", host_name},
                           {"quota_scope_id", describe(item)["quota_scope_id"]},
                           {"status", "ready"},
                           {"numFiles", used.files},
                           {"num_files", used.files},
                           {"used_bytes", used.bytes},
                           {"created", created},
                           {"created_at", created},
                           {"last_used", created},
                           {"user", is_group ? "None" : user_uuid(item.owner)}, // absent ones are the text "None"
                           {"group", is_group ? group_id() : "None"},
                           {"type", is_group ? "group" : "user"},
                           {"is_owner", item.owner == user},
                           {"permission", item.permission_of(user)},
                           {"usage_mode", item.usage_mode},
                           {"cloneable", item.cloneable},
                           {"max_size", nullptr},
                           {"cur_size", 0}});
    }

    http_reply remove(const gateway_request& request) {
        const std::string user = access_key_of(request.call);
        if (find(request, "ro").owner != user)
            throw invalid_parameters("Cannot delete the vfolder that is not owned by myself.");
        folders_.remove(user, request.arguments[0]);
        std::filesystem::remove_all(root_ / request.arguments[0]);
        return empty_reply();
    }

    http_reply rename(const gateway_request& request) {
        parameters given(request);
        const std::string name = given.required_text({"new_name"});
        if (!name.empty() && !is_slug(name)) given.wrong("new_name", "value must be a valid slug.");
        given.finish();
        const std::string old = request.arguments[0];
        if (find(request, "ro").owner != access_key_of(request.call)) throw not_found(request);
        folders_.rename(access_key_of(request.call), old, name);
        std::filesystem::rename(root_ / old, root_ / name);
        return empty_with(201);
    }

    http_reply leave(const gateway_request& request) {
        folders_.leave(access_key_of(request.call), request.arguments[0]);
        return json_reply({{"msg", "left the shared vfolder"}});
    }

    http_reply hosts(const gateway_request& request) {
        const bool all = request.call.target.find("/all") != std::string::npos;
        if (all && !is_admin(access_key_of(request.call))) throw authorization_failed("Unauthorized access");
        json answer = {{"default", host_name}, {"allowed", {host_name}}};
        if (!all) {
            answer["volume_info"][host_name] = {{"backend", "vfs"},
                                                {"capabilities", {"vfolder"}},
                                                {"usage", {{"percentage", 0.0}}},
                                                {"sftp_scaling_groups", json::array()}};
        }
        return json_reply(answer);
    }
    http_reply allowed_types(const gateway_request& /*request*/) { return json_reply({"user", "group"}); }

    // --- files -------------------------------------------------------------------------------------------------------

    http_reply mkdir(const gateway_request& request) {
        parameters given(request);
        const std::string text = given.required_text({"path"});
        const bool parents = given.boolean({"parents"}, true), exist_ok = given.boolean({"exist_ok"}, false);
        given.finish();
        const auto path = place(request, text, "rw");
        std::error_code error;
        if (std::filesystem::exists(path)) {
            if (!exist_ok || !std::filesystem::is_directory(path)) throw failed(EEXIST, text);
        } else if (parents) {
            std::filesystem::create_directories(path, error);
        } else if (!std::filesystem::is_directory(path.parent_path())) {
            throw failed(ENOENT, text);
        } else {
            std::filesystem::create_directory(path, error);
        }
        if (error) throw failed(error.value(), text);
        if (!protocol_.answers_mkdir) return empty_with(201);
        return json_reply(
            {{"results", {{"success", json::array({{{"msg", nullptr}, {"item", text}}})}, {"failed", json::array()}}}});
    }

    http_reply list_files(const gateway_request& request) {
        parameters given(request);
        const std::string text = given.text({"path"}).value_or("");
        given.finish();
        const auto directory = place(request, text.empty() ? "." : text, "ro");
        if (!std::filesystem::exists(directory)) throw failed(ENOENT, text);
        if (!std::filesystem::is_directory(directory)) throw failed(ENOTDIR, text);
        json items = json::array();
        for (const auto& entry : std::filesystem::directory_iterator(directory)) {
            struct stat data {};
            if (::lstat(entry.path().c_str(), &data) != 0) continue; // gone meanwhile
            char mode[8];
            std::snprintf(mode, sizeof mode, "%o", static_cast<unsigned>(data.st_mode & 07777));
            items.push_back({{"name", entry.path().filename().string()},
                             {"type", S_ISDIR(data.st_mode)   ? "DIRECTORY"
                                      : S_ISLNK(data.st_mode) ? "SYMBOLIC_LINK"
                                                              : "FILE"},
                             {"size", data.st_size},
                             {"mode", mode},
                             {"created", date_of(data.st_ctime)},
                             {"modified", date_of(data.st_mtime)}});
        }
        json answer = {{"items", items}};
        if (!protocol_.reads_run_id) answer["files"] = list_directory(directory); // gone by 25.6
        return json_reply(answer);
    }
    static std::string date_of(time_t time) {
        return codec::format_date(
            std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::from_time_t(time)));
    }

    http_reply rename_file(const gateway_request& request) {
        parameters given(request);
        const std::string target = given.required_text({"target_path"}), name = given.required_text({"new_name"});
        given.finish();
        const auto from = place(request, target, "rw");
        move(from, from.parent_path() / name, target);
        return json_reply(json::object());
    }
    http_reply move_file(const gateway_request& request) {
        parameters given(request);
        const std::string source = given.required_text({"src"}), target = given.required_text({"dst"});
        given.finish();
        move(place(request, source, "rw"), place(request, target, "rw"), source);
        return json_reply(json::object());
    }
    void move(const std::filesystem::path& from, const std::filesystem::path& to, const std::string& text) const {
        std::error_code error;
        if (!std::filesystem::exists(std::filesystem::symlink_status(from))) throw failed(ENOENT, text);
        std::filesystem::rename(from, to, error);
        if (error) throw failed(error.value(), text);
    }

    http_reply delete_files(const gateway_request& request) {
        parameters given(request);
        const std::vector<std::string> names = given.texts({"files"}, true);
        const bool recursive = given.boolean({"recursive"}, false);
        given.finish();
        if (names.empty()) throw operation_failed();
        const auto root = root_ / find(request, "rw").name;
        std::vector<std::filesystem::path> places;
        for (const std::string& name : names) {
            places.push_back(place_in(root, name));
            const auto status = std::filesystem::symlink_status(places.back());
            if (!std::filesystem::exists(status)) throw failed(ENOENT, name);
            if (places.back() == root || (std::filesystem::is_directory(status) && !recursive))
                throw failed(EISDIR, name);
        }
        for (const auto& path : places) std::filesystem::remove_all(path);
        return json_reply(json::object());
    }

    // --- invitations -------------------------------------------------------------------------------------------------

    http_reply invite(const gateway_request& request) {
        parameters given(request);
        const std::string permission = given.text({"perm", "permission"}).value_or("rw");
        const std::vector<std::string> emails = given.texts({"emails", "user_ids", "userIDs"}, true);
        given.finish();
        const folder item = find(request, "ro");
        if (item.owner != access_key_of(request.call)) throw not_found(request);
        if (!item.group.empty()) throw problem(404, "vfolder-not-found", "No such virtual folder.");
        if (emails.empty()) throw no_invitation();
        json invited = json::array();
        for (const std::string& email : emails) {
            if (folders_.invite(item.owner, item.name, permission, email)) invited.push_back(email);
        }
        return json_reply({{"invited_ids", invited}}, 201);
    }

    http_reply tell(const std::vector<invitation>& list) const {
        json told = json::array();
        for (const invitation& item : list) {
            std::string folder_id = item.folder_id;
            for (const std::size_t dash : {20U, 16U, 12U, 8U}) folder_id.insert(dash, "-");
            told.push_back({{"id", item.id},
                            {"inviter", item.inviter},
                            {"invitee", item.invitee},
                            {"perm", item.permission},
                            {"state", "pending"},
                            {"created_at", item.created},
                            {"modified_at", "None"},
                            {"vfolder_id", folder_id},
                            {"vfolder_name", item.folder_name}});
        }
        return json_reply({{"invitations", told}});
    }
    http_reply invitations(const gateway_request& request) {
        return tell(folders_.invitations_of(access_key_of(request.call)));
    }
    http_reply sent_invitations(const gateway_request& request) {
        return tell(folders_.sent_by(access_key_of(request.call)));
    }
    http_reply accept(const gateway_request& request) {
        parameters given(request);
        const std::string id = given.required_text({"inv_id"});
        given.finish();
        const std::string user = access_key_of(request.call);
        if (folders_.accept(user, id, user).empty()) throw no_invitation();
        return json_reply(json::object());
    }
    http_reply reject(const gateway_request& request) {
        parameters given(request);
        const std::string id = given.required_text({"inv_id"});
        given.finish();
        if (!folders_.reject(access_key_of(request.call), id, true)) {
            throw problem(500, "internal-server-error", "Internal server error.", nullptr,
                          "unexpected error: No such vfolder invitation.");
        }
        return json_reply(json::object());
    }

    // -----------------------------------------------------------------------------------------------------------------

    static std::string group_id() { return "2de2b969-1d04-48a6-af16-0bc8adb3c831"; }

    bool is_admin(const std::string& access_key) const {
        const auto caller = keypairs_.find(access_key);
        return caller && caller->is_admin;
    }
    static bool is_slug(const std::string& text) {
        return folder_table::is_name(text.rfind('.', 0) == 0 ? text.substr(1) : text);
    }
    static problem not_found(const gateway_request& request) {
        return {404, "vfolder-not-found", "No such virtual folder.", {{"data", request.arguments[0]}}};
    }
    static problem no_invitation() { return {404, "object-not-found", "No such vfolder invitation."}; }
    static problem operation_failed() {
        return {400, "vfolder-operation-failed", "Virtual folder operation has failed.", nullptr,
                "Storage proxy responded with 500 Internal Server Error"};
    }
    static problem failed(int number, const std::string& path) {
        return {400,
                "invalid-api-params",
                "Missing or invalid API parameters.",
                {{"data", {{"errno", number}, {"paths", {path}}}}},
                std::generic_category().message(number)};
    }
    static http_reply empty_with(int status) {
        http_reply reply;
        reply.status = status;
        reply.headers = {{"Content-Type", "application/octet-stream"}};
        return reply;
    }

    // What goes beyond the caller's permission is said not to be there. Who may write may delete as well.
    folder find(const gateway_request& request, const std::string& permission) const {
        try {
            return folders_.find(access_key_of(request.call), request.arguments[0], permission);
        } catch (const problem&) {
            throw not_found(request);
        }
    }
    std::filesystem::path place(const gateway_request& request, const std::string& text, const char* permission) const {
        return place_in(root_ / find(request, permission).name, text);
    }
    static std::filesystem::path place_in(const std::filesystem::path& root, const std::string& text) {
        if (!text.empty() && text.front() == '/') {
            throw problem(400, "invalid-api-params", "Missing or invalid API parameters.",
                          {{"data",
                            {{"type", "https://api.backend.ai/probs/storage/invalid-api-params"},
                             {"title", "Invalid API parameters"},
                             {"data", {{"relpath", "expected relative path but the value is absolute"}}}}}});
        }
        try {
            return place_below(root, text);
        } catch (const problem&) {
            throw operation_failed(); // out of the folder: the storage proxy fails
        }
    }

    const gateway_protocol& protocol_;
    const keypair_store& keypairs_;
    const std::atomic<bool>& frozen_;
};

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/testing/gateway_graphql.hpp
/// @file
/// The embedded gateway's GraphQL endpoint: the fields of the 19.03 line's schema, resolved from the gateway's state.
#ifndef BACKENDAI_TESTING_GATEWAY_GRAPHQL_HPP
#define BACKENDAI_TESTING_GATEWAY_GRAPHQL_HPP

// ---- backendai/testing/gateway_graphql_executor.hpp
/// @file
/// Runs GraphQL documents for the embedded gateway: variables, fragments, directives, aliases, errors with their path.
#ifndef BACKENDAI_TESTING_GATEWAY_GRAPHQL_EXECUTOR_HPP
#define BACKENDAI_TESTING_GATEWAY_GRAPHQL_EXECUTOR_HPP

// ---- backendai/testing/gateway_graphql_parser.hpp
/// @file
/// GraphQL documents for the embedded gateway: lexer and parser of the executable part of the language as servers of
/// 2019 had it (GraphQL of October 2016: no null literals, no block strings). Errors are worded as those servers word
/// them.
#ifndef BACKENDAI_TESTING_GATEWAY_GRAPHQL_PARSER_HPP
#define BACKENDAI_TESTING_GATEWAY_GRAPHQL_PARSER_HPP


#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace graphql {

/// What is wrong with a document: where in its text, and the message.
class query_error : public std::runtime_error {
public:
    query_error(const std::string& message, std::vector<std::size_t> positions, nlohmann::json path = nullptr)
        : std::runtime_error(message), positions_(std::move(positions)), path_(std::move(path)) {}

    /// {message, locations, path} as the server tells it.
    nlohmann::json format(std::string_view document) const {
        nlohmann::json result = {{"message", what()}};
        for (const std::size_t position : positions_) result["locations"].push_back(locate(document, position));
        if (!path_.is_null()) result["path"] = path_;
        return result;
    }
    static nlohmann::json locate(std::string_view document, std::size_t position) {
        int line = 1;
        std::size_t start = 0;
        for (std::size_t i = 0; i < position && i < document.size(); ++i) {
            const bool is_pair = document[i] == '\r' && i + 1 < document.size() && document[i + 1] == '\n';
            if ((document[i] == '\n' || document[i] == '\r') && !is_pair) {
                ++line;
                start = i + 1;
            }
        }
        return {{"line", line}, {"column", position - start + 1}};
    }

private:
    std::vector<std::size_t> positions_;
    nlohmann::json path_;
};

struct value_member;

/// A literal or variable in a document.
struct value {
    enum class kind { variable, integer, floating, text, boolean, enumeration, list, object };
    kind is = kind::text;
    std::string word; ///< name, number or text
    std::vector<value> items;
    std::vector<value_member> members;
    std::size_t position = 0;

    std::string print() const;
};

struct value_member {
    std::string name;
    value content;
};

/// As in a document.
inline std::string value::print() const {
    switch (is) {
    case kind::variable: return '$' + word;
    case kind::text: return nlohmann::json(word).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
    case kind::list: {
        std::string out;
        for (const value& item : items) out += (out.empty() ? "" : ", ") + item.print();
        return '[' + out + ']';
    }
    case kind::object: {
        std::string out;
        for (const value_member& item : members) {
            out += (out.empty() ? "" : ", ") + item.name + ": " + item.content.print();
        }
        return '{' + out + '}';
    }
    default: return word;
    }
}

struct argument {
    std::string name;
    value content;
    std::size_t position = 0;
};
struct directive {
    std::string name;
    std::vector<argument> arguments;
    std::size_t position = 0;
};
struct selection {
    enum class kind { field, spread, inline_fragment };
    kind is = kind::field;
    std::string alias, name; ///< of a field; the name of a spread fragment; the type of an inline one, or empty
    std::vector<argument> arguments;
    std::vector<directive> directives;
    std::vector<selection> selections;
    bool has_selections = false;
    std::size_t position = 0;

    const std::string& response_name() const { return alias.empty() ? name : alias; }
};
/// "[String!]!": wrappers from outside in, and the named type.
struct type_name {
    std::string name;
    bool required = false, list = false, required_items = false;

    std::string print() const {
        const std::string inner = name + (list ? (required_items ? "!" : "") : "");
        return (list ? '[' + inner + ']' : inner) + (required ? "!" : "");
    }
};
struct variable_definition {
    std::string name;
    type_name type;
    std::optional<value> fallback;
    std::size_t position = 0;
};
struct definition {
    std::string operation; ///< "query", "mutation", "subscription", or "fragment"
    std::string name, on_type;
    std::vector<variable_definition> variables;
    std::vector<directive> directives;
    std::vector<selection> selections;
    std::size_t position = 0;
};

class parser {
public:
    explicit parser(std::string_view text) : text_(text) { advance(); }

    /// @throws query_error with the server's wording of syntax errors.
    std::vector<definition> parse() {
        std::vector<definition> result;
        do {
            result.push_back(parse_definition());
        } while (token_.is != token::kind::end);
        return result;
    }

private:
    static constexpr int max_depth = 100;

    struct token {
        enum class kind { end, punctuator, name, integer, floating, text };
        kind is = kind::end;
        std::string word;
        std::size_t position = 0;

        std::string describe() const {
            switch (is) {
            case kind::end: return "EOF";
            case kind::punctuator: return word;
            case kind::name: return "Name \"" + word + '"';
            case kind::integer: return "Int \"" + word + '"';
            case kind::floating: return "Float \"" + word + '"';
            case kind::text: return word.empty() ? "String" : "String \"" + word + '"';
            }
            return word;
        }
    };

    [[noreturn]] void fail(std::size_t position, const std::string& message) const {
        const nlohmann::json place = query_error::locate(text_, position);
        const std::string where = '(' + place["line"].dump() + ':' + place["column"].dump() + ')';
        throw query_error("Syntax Error GraphQL " + where + ' ' + message, {position});
    }
    [[noreturn]] void unexpected() const { fail(token_.position, "Unexpected " + token_.describe()); }

    bool at(char punctuator) const { return token_.is == token::kind::punctuator && token_.word[0] == punctuator; }
    bool take(char punctuator) {
        if (!at(punctuator)) return false;
        advance();
        return true;
    }
    void expect(char punctuator) {
        if (!take(punctuator)) {
            fail(token_.position, std::string("Expected ") + punctuator + ", found " + token_.describe());
        }
    }
    bool at_word(const char* word) const { return token_.is == token::kind::name && token_.word == word; }
    std::string name() {
        if (token_.is != token::kind::name) fail(token_.position, "Expected Name, found " + token_.describe());
        std::string word = token_.word;
        advance();
        return word;
    }

    definition parse_definition() {
        definition result;
        result.position = token_.position;
        if (at('{')) {
            result.operation = "query";
            result.selections = parse_selections(0);
            return result;
        }
        if (token_.is != token::kind::name) unexpected();
        if (at_word("fragment")) {
            result.operation = "fragment";
            advance();
            if (at_word("on")) unexpected();
            result.name = name();
            if (!at_word("on")) fail(token_.position, "Expected \"on\", found " + token_.describe());
            advance();
            result.on_type = name();
        } else if (at_word("query") || at_word("mutation") || at_word("subscription")) {
            result.operation = name();
            if (token_.is == token::kind::name) result.name = name();
            if (take('(')) {
                do {
                    result.variables.push_back(parse_variable());
                } while (!take(')'));
            }
        } else {
            unexpected();
        }
        result.directives = parse_directives();
        result.selections = parse_selections(0);
        return result;
    }

    variable_definition parse_variable() {
        variable_definition result;
        result.position = token_.position;
        expect('$');
        result.name = name();
        expect(':');
        result.type = parse_type();
        if (take('=')) result.fallback = parse_value(true, 0);
        return result;
    }

    type_name parse_type() {
        type_name result;
        if (take('[')) {
            result.list = true;
            result.name = name();
            result.required_items = take('!');
            expect(']');
        } else {
            result.name = name();
        }
        result.required = take('!');
        return result;
    }

    std::vector<selection> parse_selections(int depth) {
        if (depth > max_depth) fail(token_.position, "The document is nested too deep");
        std::vector<selection> result;
        expect('{');
        do {
            result.push_back(parse_selection(depth));
        } while (!take('}'));
        return result;
    }

    selection parse_selection(int depth) {
        selection result;
        result.position = token_.position;
        if (take('.')) {
            result.is = selection::kind::inline_fragment;
            if (token_.is == token::kind::name && !at_word("on")) {
                result.is = selection::kind::spread;
                result.name = name();
                result.directives = parse_directives();
                return result;
            }
            if (at_word("on")) {
                advance();
                result.name = name();
            }
        } else {
            result.name = name();
            if (take(':')) {
                result.alias = result.name;
                result.name = name();
            }
            result.arguments = parse_arguments();
        }
        result.directives = parse_directives();
        if (result.is == selection::kind::inline_fragment || at('{')) {
            result.selections = parse_selections(depth + 1);
            result.has_selections = true;
        }
        return result;
    }

    std::vector<argument> parse_arguments() {
        std::vector<argument> result;
        if (!take('(')) return result;
        do {
            argument item;
            item.position = token_.position;
            item.name = name();
            expect(':');
            item.content = parse_value(false, 0);
            result.push_back(std::move(item));
        } while (!take(')'));
        return result;
    }

    std::vector<directive> parse_directives() {
        std::vector<directive> result;
        while (at('@')) {
            directive item;
            item.position = token_.position;
            advance();
            item.name = name();
            item.arguments = parse_arguments();
            result.push_back(std::move(item));
        }
        return result;
    }

    value parse_value(bool is_constant, int depth) {
        if (depth > max_depth) fail(token_.position, "The document is nested too deep");
        value result;
        result.position = token_.position;
        if (at('$') && !is_constant) {
            advance();
            result.is = value::kind::variable;
            result.word = name();
        } else if (take('[')) {
            result.is = value::kind::list;
            while (!take(']')) result.items.push_back(parse_value(is_constant, depth + 1));
        } else if (take('{')) {
            result.is = value::kind::object;
            while (!take('}')) {
                std::string member = name();
                expect(':');
                result.members.push_back({std::move(member), parse_value(is_constant, depth + 1)});
            }
        } else if (token_.is == token::kind::punctuator || token_.is == token::kind::end || at_word("null")) {
            unexpected();
        } else {
            using from = token::kind;
            result.is = token_.is == from::integer                        ? value::kind::integer
                        : token_.is == from::floating                     ? value::kind::floating
                        : token_.is == from::text                         ? value::kind::text
                        : token_.word == "true" || token_.word == "false" ? value::kind::boolean
                                                                          : value::kind::enumeration;
            result.word = token_.word;
            advance();
        }
        return result;
    }

    // --- lexer -----------------------------------------------------------------------------------------------------
    static bool is_letter(char c) { return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
    static bool is_digit(char c) { return c >= '0' && c <= '9'; }
    char peek(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }

    void advance() {
        skip_ignored();
        token_ = token();
        token_.position = at_;
        if (at_ >= text_.size()) return;
        const char c = peek();
        if (std::string_view("!$():=@[]{|}").find(c) != std::string_view::npos) {
            token_.is = token::kind::punctuator;
            token_.word = c;
            ++at_;
        } else if (c == '.' && peek(1) == '.' && peek(2) == '.') {
            token_.is = token::kind::punctuator;
            token_.word = "...";
            at_ += 3;
        } else if (is_letter(c)) {
            token_.is = token::kind::name;
            while (is_letter(peek()) || is_digit(peek())) token_.word += text_[at_++];
        } else if (c == '-' || is_digit(c)) {
            read_number();
        } else if (c == '"') {
            read_text();
        } else {
            fail(at_, std::string(static_cast<unsigned char>(c) < 0x20 ? "Invalid" : "Unexpected") + " character " +
                          quoted(c) + '.');
        }
    }

    static std::string quoted(char c) {
        return nlohmann::json(std::string(1, c)).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
    }

    void skip_ignored() {
        while (at_ < text_.size()) {
            const char c = text_[at_];
            if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ',') {
                ++at_;
            } else if (text_.substr(at_, 3) == "\xef\xbb\xbf") {
                at_ += 3;
            } else if (c == '#') {
                while (at_ < text_.size() && text_[at_] != '\n' && text_[at_] != '\r') ++at_;
            } else {
                return;
            }
        }
    }

    void read_digits() {
        if (!is_digit(peek())) {
            const std::string found = at_ < text_.size() ? quoted(peek()) : "<EOF>";
            fail(at_, "Invalid number, expected digit but got: " + found + '.');
        }
        while (is_digit(peek())) token_.word += text_[at_++];
    }
    void read_number() {
        token_.is = token::kind::integer;
        if (peek() == '-') token_.word += text_[at_++];
        if (peek() == '0' && is_digit(peek(1))) {
            fail(at_ + 1, "Invalid number, unexpected digit after 0: " + quoted(peek(1)) + '.');
        }
        read_digits();
        if (peek() == '.') {
            token_.is = token::kind::floating;
            token_.word += text_[at_++];
            read_digits();
        }
        if (peek() == 'e' || peek() == 'E') {
            token_.is = token::kind::floating;
            token_.word += text_[at_++];
            if (peek() == '+' || peek() == '-') token_.word += text_[at_++];
            read_digits();
        }
    }

    void read_text() {
        token_.is = token::kind::text;
        // The escapes are JSON's, so its parser turns the literal into the text.
        const std::size_t start = at_++;
        while (at_ < text_.size() && text_[at_] != '"' && text_[at_] != '\n' && text_[at_] != '\r') {
            const char c = text_[at_];
            if (static_cast<unsigned char>(c) < 0x20 && c != '\t') {
                fail(at_, "Invalid character within String: " + quoted(c) + '.');
            }
            at_ += c == '\\' && at_ + 1 < text_.size() ? 2 : 1;
        }
        if (peek() != '"') fail(at_, "Unterminated string");
        ++at_;
        std::string literal;
        for (const char c : text_.substr(start, at_ - start)) literal += c == '\t' ? "\\t" : std::string(1, c);
        const nlohmann::json text = nlohmann::json::parse(literal, nullptr, false);
        if (!text.is_string()) fail(start, "Invalid character escape sequence.");
        token_.word = text.get<std::string>();
    }

    std::string_view text_;
    std::size_t at_ = 0;
    token token_;
};

} // namespace graphql
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/testing/gateway_graphql_schema.hpp
/// @file
/// The GraphQL schema of the embedded gateway, that of the 19.03 line, and the rules for values of its types.
#ifndef BACKENDAI_TESTING_GATEWAY_GRAPHQL_SCHEMA_HPP
#define BACKENDAI_TESTING_GATEWAY_GRAPHQL_SCHEMA_HPP


#include <nlohmann/json.hpp>

#include <cctype>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace graphql {

/// An argument, a field, or a member of an input type.
struct member {
    std::string name;
    type_name type;
    std::string other_type; ///< another named type that is as good
    std::vector<member> arguments;

    const member* argument_of(const std::string& wanted) const {
        for (const member& item : arguments) {
            if (item.name == wanted) return &item;
        }
        return nullptr;
    }
};
struct named_type {
    std::string name;
    bool is_input = false;
    std::vector<member> members;

    const member* find(const std::string& wanted) const {
        for (const member& item : members) {
            if (item.name == wanted) return &item;
        }
        return nullptr;
    }
};

/// Types by name, read from a text in the schema language. `A|B` after an argument's colon takes either: servers of the
/// line differ there, or convert.
class schema {
public:
    explicit schema(std::string_view text) : text_(text) {
        next();
        while (!word_.empty()) read_type();
    }

    const named_type* find(const std::string& name) const {
        const auto found = types_.find(name);
        return found == types_.end() ? nullptr : &found->second;
    }
    bool is_input(const std::string& name) const {
        const named_type* type = find(name);
        return type != nullptr ? type->is_input : is_scalar(name);
    }
    static bool is_scalar(const std::string& name) {
        for (const char* known :
             {"String", "Int", "Float", "Boolean", "ID", "JSONString", "DateTime", "UUID", "BigInt"}) {
            if (name == known) return true;
        }
        return false;
    }

    /// Why @p given is no value of the type; none when it is one. @param named in place of the type's own name
    std::vector<std::string> check(const nlohmann::json& given, const type_name& type, const std::string& named) const {
        if (given.is_null()) {
            if (!type.required) return {};
            return {"Expected \"" + with_name(type, named).print() + "\", found null."};
        }
        if (type.list && given.is_array()) {
            std::vector<std::string> wrong;
            for (std::size_t i = 0; i < given.size(); ++i) {
                for (const std::string& why : check(given[i], item_of(type), named)) {
                    wrong.push_back("In element #" + std::to_string(i) + ": " + why);
                }
            }
            return wrong;
        }
        if (const named_type* input = find(named)) return check_members(given, *input);
        if (coerce_scalar(given, named).is_null())
            return {"Expected type \"" + named + "\", found " + print(given) + '.'};
        return {};
    }

    /// The same for a literal.
    std::vector<std::string> check(const value& given, const type_name& type, const std::string& named) const {
        if (given.is == value::kind::variable) return {};
        if (type.list && given.is == value::kind::list) {
            std::vector<std::string> wrong;
            for (std::size_t i = 0; i < given.items.size(); ++i) {
                for (const std::string& why : check(given.items[i], item_of(type), named)) {
                    wrong.push_back("In element #" + std::to_string(i) + ": " + why);
                }
            }
            return wrong;
        }
        if (const named_type* input = find(named)) return check_members(given, *input);
        if (literal(given, named).is_null()) return {"Expected type \"" + named + "\", found " + given.print() + '.'};
        return {};
    }

    /// A checked value as resolvers get it; numbers become texts where a text is wanted, and so on.
    nlohmann::json coerce(const nlohmann::json& given, const type_name& type, const std::string& named) const {
        if (given.is_null()) return given;
        if (type.list) {
            nlohmann::json result = nlohmann::json::array();
            if (!given.is_array()) return nlohmann::json::array({coerce(given, item_of(type), named)});
            for (const auto& item : given) result.push_back(coerce(item, item_of(type), named));
            return result;
        }
        const named_type* input = find(named);
        if (input == nullptr) return coerce_scalar(given, named);
        nlohmann::json result = nlohmann::json::object();
        for (const member& item : input->members) {
            if (given.contains(item.name)) result[item.name] = coerce(given[item.name], item.type, item.type.name);
        }
        return result;
    }

    /// A checked literal as JSON; null for a variable without a value.
    nlohmann::json literal_value(const value& given, const type_name& type, const std::string& named,
                                 const nlohmann::json& variables) const {
        if (given.is == value::kind::variable) return variables.value(given.word, nlohmann::json());
        if (type.list) {
            nlohmann::json result = nlohmann::json::array();
            if (given.is != value::kind::list) result.push_back(literal_value(given, item_of(type), named, variables));
            for (const value& item : given.items) {
                result.push_back(literal_value(item, item_of(type), named, variables));
            }
            return result;
        }
        const named_type* input = find(named);
        if (input == nullptr) return literal(given, named);
        nlohmann::json result = nlohmann::json::object();
        for (const value_member& item : given.members) {
            if (const member* known = input->find(item.name)) {
                result[item.name] = literal_value(item.content, known->type, known->type.name, variables);
            }
        }
        return result;
    }

private:
    static type_name with_name(type_name type, const std::string& named) {
        type.name = named;
        return type;
    }
    static type_name item_of(const type_name& type) { return {type.name, type.required_items, false, false}; }
    static std::string print(const nlohmann::json& value) {
        return value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
    }

    std::vector<std::string> check_members(const nlohmann::json& given, const named_type& input) const {
        if (!given.is_object()) return {"Expected \"" + input.name + "\", found not an object."};
        std::vector<std::string> wrong;
        for (const auto& item : given.items()) {
            if (input.find(item.key()) == nullptr) wrong.push_back("In field \"" + item.key() + "\": Unknown field.");
        }
        for (const member& item : input.members) {
            const auto found = given.find(item.name);
            const nlohmann::json none;
            for (const std::string& why : check(found == given.end() ? none : *found, item.type, item.type.name)) {
                wrong.push_back("In field \"" + item.name + "\": " + why);
            }
        }
        return wrong;
    }
    std::vector<std::string> check_members(const value& given, const named_type& input) const {
        if (given.is != value::kind::object) return {"Expected \"" + input.name + "\", found not an object."};
        std::vector<std::string> wrong;
        std::map<std::string, const value*> members;
        for (const value_member& item : given.members) {
            members[item.name] = &item.content;
            if (input.find(item.name) == nullptr) wrong.push_back("In field \"" + item.name + "\": Unknown field.");
        }
        for (const member& item : input.members) {
            const auto found = members.find(item.name);
            std::vector<std::string> reasons;
            if (found != members.end()) {
                reasons = check(*found->second, item.type, item.type.name);
            } else if (item.type.required) {
                reasons = {"Expected \"" + item.type.print() + "\", found null."};
            }
            for (const std::string& why : reasons) wrong.push_back("In field \"" + item.name + "\": " + why);
        }
        return wrong;
    }

    // What the server's library makes of a variable's value; null when it refuses it.
    static nlohmann::json coerce_scalar(const nlohmann::json& given, const std::string& named) {
        if (named == "Boolean") {
            if (given.is_boolean()) return given;
            if (given.is_number()) return given != 0;
            return !given.empty() && given != ""; // NOLINT(readability-container-size-empty): a JSON text
        }
        if (given.is_object() || given.is_array()) return nullptr;
        if (named == "Int") return integer(given);
        if (named == "Float") return given.is_number() ? given : nlohmann::json();
        return given.is_string() ? given : nlohmann::json(given.dump());
    }
    static nlohmann::json integer(const nlohmann::json& given) {
        double number = 0;
        if (given.is_boolean()) {
            number = given.get<bool>() ? 1 : 0;
        } else if (given.is_number()) {
            number = given.get<double>();
        } else {
            const std::string text = given.get<std::string>();
            char* end = nullptr;
            number = std::strtod(text.c_str(), &end);
            if (text.empty() || *end != '\0') return nullptr;
        }
        if (!(number >= -2147483648.0 && number <= 2147483647.0)) return nullptr;
        return static_cast<std::int64_t>(number);
    }
    static nlohmann::json literal(const value& given, const std::string& named) {
        using kind = value::kind;
        const bool is_number = given.is == kind::integer || given.is == kind::floating;
        if (named == "Boolean") return given.is == kind::boolean ? nlohmann::json(given.word == "true") : nullptr;
        if (named == "Int") return given.is == kind::integer ? integer(given.word) : nullptr;
        if (named == "Float") return is_number ? nlohmann::json(std::strtod(given.word.c_str(), nullptr)) : nullptr;
        if (named == "ID" && given.is == kind::integer) return given.word;
        return given.is == kind::text ? nlohmann::json(given.word) : nullptr;
    }

    // --- the schema's text -------------------------------------------------------------------------------------------
    void next() {
        while (at_ < text_.size() && (std::isspace(static_cast<unsigned char>(text_[at_])) != 0 || text_[at_] == ',')) {
            ++at_;
        }
        word_.clear();
        while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 || text_[at_] == '_')) {
            word_ += text_[at_++];
        }
        if (word_.empty() && at_ < text_.size()) word_ = text_[at_++];
    }
    bool take(const char* word) {
        if (word_ != word) return false;
        next();
        return true;
    }
    std::string name() {
        std::string result = word_;
        next();
        return result;
    }
    void read_type() {
        named_type type;
        type.is_input = take("input");
        if (!type.is_input) take("type");
        type.name = name();
        take("{");
        while (!take("}")) type.members.push_back(read_member());
        types_[type.name] = std::move(type);
    }
    member read_member() {
        member result;
        result.name = name();
        if (take("(")) {
            while (!take(")")) result.arguments.push_back(read_member());
        }
        take(":");
        result.type.list = take("[");
        result.type.name = name();
        if (take("|")) result.other_type = name();
        if (result.type.list) {
            result.type.required_items = take("!");
            take("]");
        }
        result.type.required = take("!");
        return result;
    }

    std::string_view text_;
    std::size_t at_ = 0;
    std::string word_;
    std::map<std::string, named_type> types_;
};

// user_id: a number before 18.12, an e-mail address now. The limits of a KeyPairInput: both are wanted until spring
// 2019, a resource policy in place of concurrency_limit after that; gateway_graphql.hpp sees to it that one is there.
// ModifyKeyPairInput, agent_list and compute_session_list came within the line.
inline constexpr const char* common_types = R"(
type KVPair { key: String value: String }
type ResourceLimit { key: String min: String max: String }
type Image { name: String humanized_name: String tag: String registry: String digest: String labels: [KVPair]
  aliases: [String] size_bytes: BigInt resource_limits: [ResourceLimit] supported_accelerators: [String]
  installed: Boolean hash: String }
type VirtualFolder { id: UUID host: String name: String max_files: Int max_size: Int created_at: DateTime
  last_used: DateTime num_files: Int cur_size: Int }
type ComputeSession { sess_id: String id: ID role: String image: String registry: String tag: String status: String
  status_info: String created_at: DateTime terminated_at: DateTime agent: String container_id: String
  service_ports: JSONString occupied_slots: JSONString occupied_shares: JSONString lang: String mem_slot: Int
  cpu_slot: Float gpu_slot: Float tpu_slot: Float num_queries: BigInt cpu_used: BigInt mem_max_bytes: BigInt
  mem_cur_bytes: BigInt net_rx_bytes: BigInt net_tx_bytes: BigInt io_read_bytes: BigInt io_write_bytes: BigInt
  io_max_scratch_size: BigInt io_cur_scratch_size: BigInt cpu_using: Float workers(status: String): [ComputeWorker] }
type ComputeWorker { sess_id: String id: ID role: String image: String registry: String status: String
  status_info: String created_at: DateTime terminated_at: DateTime agent: String container_id: String
  service_ports: JSONString occupied_slots: JSONString occupied_shares: JSONString lang: String mem_slot: Int
  cpu_slot: Float gpu_slot: Float tpu_slot: Float num_queries: BigInt cpu_used: BigInt mem_max_bytes: BigInt
  mem_cur_bytes: BigInt net_rx_bytes: BigInt net_tx_bytes: BigInt io_read_bytes: BigInt io_write_bytes: BigInt
  io_max_scratch_size: BigInt io_cur_scratch_size: BigInt cpu_using: Float }
type KeyPair { user_id: String access_key: String secret_key: String is_active: Boolean is_admin: Boolean
  resource_policy: String created_at: DateTime last_used: DateTime concurrency_limit: Int concurrency_used: Int
  rate_limit: Int num_queries: Int vfolders: [VirtualFolder] compute_sessions(status: String): [ComputeSession] }
)";
inline constexpr const char* admin_types = R"(
type Agent { id: String status: String region: String addr: String first_contact: DateTime lost_at: DateTime
  available_slots: JSONString occupied_slots: JSONString mem_slots: Int cpu_slots: Float gpu_slots: Float
  tpu_slots: Float used_mem_slots: Int used_cpu_slots: Float used_gpu_slots: Float used_tpu_slots: Float
  cpu_cur_pct: Float mem_cur_bytes: Float computations(status: String): [ComputeWorker] }
type AgentList { items: [Agent] total_count: Int }
type ComputeSessionList { items: [ComputeSession] total_count: Int }
type QueryForAdmin { agent(agent_id: String!): Agent agents(status: String): [Agent]
  agent_list(limit: Int! offset: Int! status: String): AgentList
  image(reference: String!): Image images: [Image] keypair(access_key: String): KeyPair
  keypairs(user_id: String|Int is_active: Boolean): [KeyPair] vfolders(access_key: String): [VirtualFolder]
  compute_session_list(limit: Int! offset: Int! access_key: String status: String): ComputeSessionList
  compute_sessions(access_key: String status: String): [ComputeSession] compute_session(sess_id: String): ComputeSession
  compute_workers(sess_id: String! status: String): [ComputeWorker] }
input KeyPairInput { is_active: Boolean is_admin: Boolean resource_policy: String concurrency_limit: Int
  rate_limit: Int! }
input ModifyKeyPairInput { is_active: Boolean is_admin: Boolean resource_policy: String concurrency_limit: Int
  rate_limit: Int }
type CreateKeyPair { ok: Boolean msg: String keypair: KeyPair }
type ModifyKeyPair { ok: Boolean msg: String }
type DeleteKeyPair { ok: Boolean msg: String }
type RescanImages { ok: Boolean msg: String }
type AliasImage { ok: Boolean msg: String }
type DealiasImage { ok: Boolean msg: String }
type MutationForAdmin { create_keypair(user_id: String|Int! props: KeyPairInput!): CreateKeyPair
  modify_keypair(access_key: String! props: KeyPairInput|ModifyKeyPairInput!): ModifyKeyPair
  delete_keypair(access_key: String!): DeleteKeyPair rescan_images(registry: String): RescanImages
  alias_image(alias: String! target: String!): AliasImage dealias_image(alias: String!): DealiasImage }
)";
inline constexpr const char* user_types = R"(
type QueryForUser { image(reference: String!): Image images: [Image] keypair: KeyPair vfolders: [VirtualFolder]
  compute_sessions(status: String): [ComputeSession] compute_session(sess_id: String): ComputeSession
  compute_workers(sess_id: String! status: String): [ComputeWorker] }
)";

inline const schema& admin_schema() {
    static const std::string text = std::string(common_types) + admin_types;
    static const schema instance(text);
    return instance;
}
inline const schema& user_schema() {
    static const std::string text = std::string(common_types) + user_types;
    static const schema instance(text);
    return instance;
}

} // namespace graphql
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/testing/gateway_graphql_validation.hpp
/// @file
/// The checks that a GraphQL document passes before the embedded gateway runs it, with the wording of 2019's servers.
#ifndef BACKENDAI_TESTING_GATEWAY_GRAPHQL_VALIDATION_HPP
#define BACKENDAI_TESTING_GATEWAY_GRAPHQL_VALIDATION_HPP


#include <algorithm>
#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace graphql {

/// Names of @p known that resemble @p wanted, as `Did you mean "a" or "b"?` would list them; empty when none does.
inline std::string suggest(const std::string& wanted, const std::vector<std::string>& known) {
    const auto distance = [](const std::string& a, const std::string& b) {
        std::vector<std::size_t> row(b.size() + 1);
        for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
        for (std::size_t i = 1; i <= a.size(); ++i) {
            std::size_t diagonal = row[0];
            row[0] = i;
            for (std::size_t j = 1; j <= b.size(); ++j) {
                const std::size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
                diagonal = row[j];
                row[j] = (std::min)({row[j] + 1, row[j - 1] + 1, substituted});
            }
        }
        return row[b.size()];
    };
    std::vector<std::pair<std::size_t, std::string>> near_ones;
    for (const std::string& name : known) {
        const std::size_t far = distance(wanted, name);
        const std::size_t most = (std::max)({wanted.size(), name.size(), std::size_t{2}});
        if (far * 2 <= most) near_ones.emplace_back(far, name);
    }
    std::stable_sort(near_ones.begin(), near_ones.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    if (near_ones.size() > 5) near_ones.resize(5);
    std::string text;
    for (std::size_t i = 0; i < near_ones.size(); ++i) {
        if (i > 0) text += i + 1 < near_ones.size() ? ", " : near_ones.size() > 2 ? ", or " : " or ";
        text += '"' + near_ones[i].second + '"';
    }
    return text;
}

/// Checks one document. Errors are collected, as a client wants to see all of them.
class validator {
public:
    validator(const schema& types, std::string query_type, std::string mutation_type)
        : types_(types), query_type_(std::move(query_type)), mutation_type_(std::move(mutation_type)) {}

    std::vector<query_error> check(const std::vector<definition>& document) {
        std::size_t operations = 0;
        for (const definition& item : document) {
            if (item.operation == "fragment") {
                if (!fragments_.emplace(item.name, &item).second) {
                    report("There can only be one fragment named \"" + item.name + "\".", {item.position});
                }
            } else {
                ++operations;
            }
        }
        std::set<std::string> names;
        for (const definition& item : document) {
            if (item.operation == "fragment") {
                check_type_condition(item.on_type, item.position, item.name);
                check_cycle(item);
                continue;
            }
            if (item.name.empty() && operations > 1) {
                report("This anonymous operation must be the only defined operation.", {item.position});
            }
            if (!item.name.empty() && !names.insert(item.name).second) {
                report("There can only be one operation named \"" + item.name + "\".", {item.position});
            }
        }
        if (!errors_.empty()) return errors_; // what follows walks through fragments, which must end
        for (const definition& item : document) {
            if (item.operation != "fragment") check_operation(item);
        }
        for (const definition& item : document) {
            if (item.operation != "fragment" || used_fragments_.count(item.name) > 0) continue;
            report("Fragment \"" + item.name + "\" is never used.", {item.position});
        }
        return errors_;
    }

private:
    void report(const std::string& message, std::vector<std::size_t> positions) {
        // A fragment is walked through wherever it is spread: its errors are told once.
        if (told_.insert({message, positions}).second) errors_.emplace_back(message, std::move(positions));
    }
    static std::string did_you_mean(const std::string& suggestions) {
        return suggestions.empty() ? "" : " Did you mean " + suggestions + '?';
    }

    void check_type_condition(const std::string& name, std::size_t position, const std::string& fragment) {
        if (name.empty()) return;
        const named_type* type = types_.find(name);
        if (type == nullptr && !schema::is_scalar(name)) {
            report("Unknown type \"" + name + "\".", {position});
        } else if (type == nullptr || type->is_input) {
            const std::string who = fragment.empty() ? "Fragment" : "Fragment \"" + fragment + '"';
            report(who + " cannot condition on non composite type \"" + name + "\".", {position});
        }
    }

    void check_cycle(const definition& fragment) {
        std::set<std::string> seen;
        if (leads_to(fragment.selections, fragment.name, seen)) {
            report("Cannot spread fragment \"" + fragment.name + "\" within itself.", {fragment.position});
        }
    }
    bool leads_to(const std::vector<selection>& selections, const std::string& wanted, std::set<std::string>& seen) {
        for (const selection& item : selections) {
            if (item.is == selection::kind::spread) {
                if (item.name == wanted) return true;
                const auto found = fragments_.find(item.name);
                const bool is_new = found != fragments_.end() && seen.insert(item.name).second;
                if (is_new && leads_to(found->second->selections, wanted, seen)) return true;
            } else if (leads_to(item.selections, wanted, seen)) {
                return true;
            }
        }
        return false;
    }

    void check_operation(const definition& operation) {
        operation_ = &operation;
        used_variables_.clear();
        std::set<std::string> names;
        for (const variable_definition& item : operation.variables) {
            if (!names.insert(item.name).second) {
                report("There can be only one variable named \"" + item.name + "\".", {item.position});
            }
            if (types_.find(item.type.name) == nullptr && !schema::is_scalar(item.type.name)) {
                report("Unknown type \"" + item.type.name + "\".", {item.position});
            } else if (!types_.is_input(item.type.name)) {
                report("Variable \"$" + item.name + "\" cannot be non-input type \"" + item.type.print() + "\".",
                       {item.position});
            } else if (item.fallback) {
                check_default(item);
            }
        }
        const std::string root = operation.operation == "query"      ? query_type_
                                 : operation.operation == "mutation" ? mutation_type_
                                                                     : std::string();
        check_directives(operation.directives);
        if (!root.empty()) {
            check_selections(operation.selections, *types_.find(root));
            check_merge(operation.selections, *types_.find(root));
        }
        for (const variable_definition& item : operation.variables) {
            if (root.empty() || used_variables_.count(item.name) > 0) continue;
            const std::string where = operation.name.empty() ? "" : " in operation \"" + operation.name + '"';
            report("Variable \"$" + item.name + "\" is never used" + where + '.', {item.position});
        }
    }

    void check_default(const variable_definition& item) {
        if (item.type.required) {
            type_name optional = item.type;
            optional.required = false;
            report("Variable \"$" + item.name + "\" of type \"" + item.type.print() +
                       "\" is required and will not use the default value. Perhaps you meant to use type \"" +
                       optional.print() + "\".",
                   {item.fallback->position});
            return;
        }
        const auto wrong = types_.check(*item.fallback, item.type, item.type.name);
        if (wrong.empty()) return;
        report("Variable \"$" + item.name + "\" of type \"" + item.type.print() +
                   "\" has invalid default value: " + item.fallback->print() + '.' + join(wrong),
               {item.fallback->position});
    }

    static std::string join(const std::vector<std::string>& lines) {
        std::string text;
        for (const std::string& line : lines) text += '\n' + line;
        return text;
    }

    void check_selections(const std::vector<selection>& selections, const named_type& type) {
        for (const selection& item : selections) {
            check_directives(item.directives);
            if (item.is == selection::kind::field) {
                check_field(item, type);
                continue;
            }
            const bool is_spread = item.is == selection::kind::spread;
            const auto fragment = is_spread ? fragments_.find(item.name) : fragments_.end();
            if (is_spread && fragment == fragments_.end()) {
                report("Unknown fragment \"" + item.name + "\".", {item.position});
                continue;
            }
            if (is_spread) used_fragments_.insert(item.name);
            const std::string on = is_spread ? fragment->second->on_type : item.name;
            if (!is_spread) check_type_condition(on, item.position, {});
            const named_type* wanted = on.empty() ? &type : types_.find(on);
            if (wanted == nullptr || wanted->is_input) continue;
            if (wanted->name != type.name) {
                report("Fragment " + (is_spread ? item.name + ' ' : std::string()) +
                           "cannot be spread here as objects of type " + type.name + " can never be of type " +
                           wanted->name,
                       {item.position});
            }
            check_selections(is_spread ? fragment->second->selections : item.selections, *wanted);
        }
    }

    void check_field(const selection& item, const named_type& type) {
        if (item.name == "__typename") {
            check_arguments(item.arguments, member(), "Unknown argument \"", "\" on field \"__typename\"",
                            item.position);
            return;
        }
        const member* field = type.find(item.name);
        if (field == nullptr) {
            std::vector<std::string> names;
            for (const member& known : type.members) names.push_back(known.name);
            report("Cannot query field \"" + item.name + "\" on type \"" + type.name + "\"." +
                       did_you_mean(suggest(item.name, names)),
                   {item.position});
            return;
        }
        check_arguments(item.arguments, *field, "Unknown argument \"",
                        "\" on field \"" + item.name + "\" of type \"" + type.name + '"', item.position);
        const named_type* inner = types_.find(field->type.name);
        const std::string of_type = "Field \"" + item.name + "\" of type \"" + field->type.print() + '"';
        if (inner == nullptr && item.has_selections) {
            report(of_type + " must not have a sub selection.", {item.position});
        } else if (inner != nullptr && !item.has_selections) {
            report(of_type + " must have a sub selection.", {item.position});
        } else if (inner != nullptr) {
            check_selections(item.selections, *inner);
        }
    }

    void check_arguments(const std::vector<argument>& given, const member& field, const std::string& unknown,
                         const std::string& on, std::size_t position) {
        std::set<std::string> names;
        for (const argument& item : given) {
            if (!names.insert(item.name).second) {
                report("There can only be one argument named \"" + item.name + "\".", {item.position});
            }
            const member* known = field.argument_of(item.name);
            if (known == nullptr) {
                std::vector<std::string> others;
                for (const member& other : field.arguments) others.push_back(other.name);
                report(unknown + item.name + on + '.' + did_you_mean(suggest(item.name, others)), {item.position});
                note_variables(item.content);
                continue;
            }
            std::vector<std::string> wrong = types_.check(item.content, known->type, known->type.name);
            if (!wrong.empty() && !known->other_type.empty() &&
                types_.check(item.content, known->type, known->other_type).empty()) {
                wrong.clear();
            }
            if (!wrong.empty()) {
                report("Argument \"" + item.name + "\" has invalid value " + item.content.print() + '.' + join(wrong),
                       {item.content.position});
            }
            check_variables(item.content, known->type, known->other_type);
        }
        for (const member& known : field.arguments) {
            if (!known.type.required || names.count(known.name) > 0) continue;
            report("Field \"" + field.name + "\" argument \"" + known.name + "\" of type \"" + known.type.print() +
                       "\" is required but not provided.",
                   {position});
        }
    }

    // Variables of unknown places count as used.
    void note_variables(const value& content) {
        if (content.is == value::kind::variable) used_variables_.insert(content.word);
        for (const value& item : content.items) note_variables(item);
        for (const value_member& item : content.members) note_variables(item.content);
    }

    void check_variables(const value& content, const type_name& wanted, const std::string& other) {
        if (content.is == value::kind::variable) {
            check_variable(content, wanted, other);
        }
        const type_name item_type = {wanted.name, wanted.required_items, false, false};
        for (const value& item : content.items) check_variables(item, item_type, other);
        for (const value_member& item : content.members) {
            const named_type* input = types_.find(wanted.name);
            const member* known = input == nullptr ? nullptr : input->find(item.name);
            if (known != nullptr) {
                check_variables(item.content, known->type, {});
            } else {
                note_variables(item.content);
            }
        }
    }

    void check_variable(const value& content, const type_name& wanted, const std::string& other) {
        used_variables_.insert(content.word);
        for (const variable_definition& item : operation_->variables) {
            if (item.name != content.word) continue;
            if (!types_.is_input(item.type.name)) return; // told where it is defined
            const bool named = item.type.name == wanted.name || (!other.empty() && item.type.name == other);
            const bool is_set = item.type.required || item.fallback;
            const bool fits = named && item.type.list == wanted.list && (is_set || !wanted.required) &&
                              (item.type.required_items || !wanted.required_items);
            if (!fits) {
                report("Variable \"" + item.name + "\" of type \"" + item.type.print() +
                           "\" used in position expecting type \"" + wanted.print() + "\".",
                       {item.position, content.position});
            }
            return;
        }
        const std::string by = operation_->name.empty() ? "" : " by operation \"" + operation_->name + '"';
        report("Variable \"$" + content.word + "\" is not defined" + by + '.',
               {content.position, operation_->position});
    }

    void check_directives(const std::vector<directive>& directives) {
        static const member condition = [] {
            member made;
            member argument;
            argument.name = "if";
            argument.type = {"Boolean", true, false, false};
            made.arguments = {argument};
            return made;
        }();
        for (const directive& item : directives) {
            if (item.name != "include" && item.name != "skip") {
                report("Unknown directive \"" + item.name + "\".", {item.position});
                continue;
            }
            check_arguments(item.arguments, condition, "Unknown argument \"", "\" on directive \"@" + item.name + '"',
                            item.position);
        }
    }

    // Two fields of one response name must be the same field with the same arguments.
    void check_merge(const std::vector<selection>& selections, const named_type& type) {
        std::map<std::string, std::vector<const selection*>> groups;
        collect(selections, groups);
        for (const auto& group : groups) {
            const selection& first = *group.second.front();
            std::vector<selection> inner;
            for (const selection* other : group.second) {
                std::string reason;
                if (first.name != other->name) {
                    reason = first.name + " and " + other->name + " are different fields";
                } else if (print(first) != print(*other)) {
                    reason = "they have differing arguments";
                }
                if (!reason.empty()) {
                    report("Fields \"" + group.first + "\" conflict because " + reason +
                               ". Use different aliases on the fields to fetch both if this was intentional.",
                           {first.position, other->position});
                    return;
                }
                inner.insert(inner.end(), other->selections.begin(), other->selections.end());
            }
            const member* field = type.find(first.name);
            const named_type* inner_type = field == nullptr ? nullptr : types_.find(field->type.name);
            if (inner_type != nullptr && !inner.empty()) check_merge(inner, *inner_type);
        }
    }
    void collect(const std::vector<selection>& selections,
                 std::map<std::string, std::vector<const selection*>>& groups) {
        for (const selection& item : selections) {
            if (item.is == selection::kind::field) {
                groups[item.response_name()].push_back(&item);
            } else if (item.is == selection::kind::inline_fragment) {
                collect(item.selections, groups);
            } else if (const auto found = fragments_.find(item.name); found != fragments_.end()) {
                collect(found->second->selections, groups);
            }
        }
    }
    static std::string print(const selection& item) {
        std::map<std::string, std::string> sorted;
        for (const argument& given : item.arguments) sorted[given.name] = given.content.print();
        std::string text;
        for (const auto& given : sorted) text += given.first + ':' + given.second + ',';
        return text;
    }

    const schema& types_;
    std::string query_type_, mutation_type_;
    std::map<std::string, const definition*> fragments_;
    std::set<std::string> used_fragments_, used_variables_;
    std::set<std::pair<std::string, std::vector<std::size_t>>> told_;
    const definition* operation_ = nullptr;
    std::vector<query_error> errors_;
};

} // namespace graphql
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif

#include <nlohmann/json.hpp>

#include <exception>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace graphql {

/// JSON whose members keep their order: clients print the fields in the order in which they asked for them.
using ordered_json = nlohmann::ordered_json;

/// Gives the value of a field. @param parent the object that it belongs to, null for the root. What it throws becomes
/// an error of that field.
using resolver = std::function<nlohmann::json(const std::string& type, const std::string& field,
                                              const nlohmann::json& parent, const nlohmann::json& arguments)>;

/// data, and the errors in the server's form; data may be partial when there are errors.
struct outcome {
    ordered_json data;
    nlohmann::json errors = nlohmann::json::array();
};

class executor {
public:
    /// @param mutation_type empty when the caller may not change anything
    executor(const schema& types, std::string query_type, std::string mutation_type, resolver resolve)
        : types_(types),
          query_type_(std::move(query_type)),
          mutation_type_(std::move(mutation_type)),
          resolve_(std::move(resolve)) {}

    /// Runs a document; never throws for what is wrong with it.
    /// @param operation the name of the one to run, when the document has several
    outcome run(std::string_view document, const nlohmann::json& variables, const std::string& operation = {}) {
        result_ = outcome();
        document_ = document;
        try {
            const std::vector<definition> definitions = parser(document).parse();
            for (const query_error& error : validator(types_, query_type_, mutation_type_).check(definitions)) {
                result_.errors.push_back(error.format(document));
            }
            if (result_.errors.empty()) execute(definitions, variables, operation);
        } catch (const query_error& error) {
            result_.errors.push_back(error.format(document));
        }
        return std::move(result_);
    }

private:
    using group = std::pair<std::string, std::vector<const selection*>>;

    void execute(const std::vector<definition>& definitions, const nlohmann::json& variables,
                 const std::string& wanted) {
        const definition* operation = nullptr;
        fragments_.clear();
        for (const definition& item : definitions) {
            if (item.operation == "fragment") {
                fragments_[item.name] = &item;
            } else if (!wanted.empty()) {
                if (item.name == wanted) operation = &item;
            } else if (operation != nullptr) {
                throw query_error("Must provide operation name if query contains multiple operations.", {});
            } else {
                operation = &item;
            }
        }
        if (operation == nullptr && !wanted.empty())
            throw query_error("Unknown operation named \"" + wanted + "\".", {});
        if (operation == nullptr) throw query_error("Must provide an operation.", {});
        const std::string& root = operation->operation == "query" ? query_type_ : mutation_type_;
        if (operation->operation == "subscription" || root.empty()) {
            throw query_error("Schema is not configured for " + operation->operation + 's', {operation->position});
        }
        coerce_variables(*operation, variables);
        std::vector<group> groups;
        collect(operation->selections, groups);
        result_.data = run_groups(groups, *types_.find(root), nullptr, nlohmann::json::array());
    }

    void coerce_variables(const definition& operation, const nlohmann::json& given) {
        variables_ = nlohmann::json::object();
        for (const variable_definition& item : operation.variables) {
            const nlohmann::json content =
                given.is_object() ? given.value(item.name, nlohmann::json()) : nlohmann::json();
            if (content.is_null()) {
                if (item.fallback) {
                    variables_[item.name] = types_.literal_value(*item.fallback, item.type, item.type.name, {});
                } else if (item.type.required) {
                    throw query_error("Variable \"$" + item.name + "\" of required type \"" + item.type.print() +
                                          "\" was not provided.",
                                      {item.position});
                }
                continue;
            }
            const std::vector<std::string> wrong = types_.check(content, item.type, item.type.name);
            if (!wrong.empty()) {
                std::string text = "Variable \"$" + item.name + "\" got invalid value " +
                                   content.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace) + '.';
                for (const std::string& why : wrong) text += '\n' + why;
                throw query_error(text, {item.position});
            }
            variables_[item.name] = types_.coerce(content, item.type, item.type.name);
        }
    }

    bool is_included(const selection& item) const {
        for (const directive& condition : item.directives) {
            const value& wanted = condition.arguments.front().content;
            const bool yes =
                wanted.is == value::kind::variable ? variables_.value(wanted.word, false) : wanted.word == "true";
            if (yes != (condition.name == "include")) return false;
        }
        return true;
    }

    // The fields of a selection set in the order of their first mention, those of one response name together.
    void collect(const std::vector<selection>& selections, std::vector<group>& groups) const {
        for (const selection& item : selections) {
            if (!is_included(item)) continue;
            if (item.is == selection::kind::inline_fragment) {
                collect(item.selections, groups);
            } else if (item.is == selection::kind::spread) {
                collect(fragments_.at(item.name)->selections, groups);
            } else {
                group* same = nullptr;
                for (group& other : groups) {
                    if (other.first == item.response_name()) same = &other;
                }
                if (same == nullptr) same = &groups.emplace_back(item.response_name(), std::vector<const selection*>());
                same->second.push_back(&item);
            }
        }
    }

    ordered_json run_groups(const std::vector<group>& groups, const named_type& type, const nlohmann::json& object,
                            const nlohmann::json& path) {
        ordered_json result = ordered_json::object();
        for (const group& item : groups) {
            nlohmann::json here = path;
            here.push_back(item.first);
            result[item.first] = run_field(item.second, type, object, here);
        }
        return result;
    }

    ordered_json run_field(const std::vector<const selection*>& same, const named_type& type,
                           const nlohmann::json& object, const nlohmann::json& path) {
        const selection& first = *same.front();
        if (first.name == "__typename") return type.name;
        const member& field = *type.find(first.name);
        try {
            const nlohmann::json content = resolve_(type.name, first.name, object, arguments_of(first, field));
            return complete(content, field.type, field.type.list, same, path);
        } catch (const std::exception& error) {
            result_.errors.push_back(query_error(error.what(), {first.position}, path).format(document_));
            return nullptr;
        }
    }

    nlohmann::json arguments_of(const selection& item, const member& field) const {
        nlohmann::json result = nlohmann::json::object();
        for (const argument& given : item.arguments) {
            const member& known = *field.argument_of(given.name);
            nlohmann::json content = types_.literal_value(given.content, known.type, known.type.name, variables_);
            if (content.is_null() && !known.other_type.empty()) {
                content = types_.literal_value(given.content, known.type, known.other_type, variables_);
            }
            if (!content.is_null()) result[given.name] = std::move(content);
        }
        return result;
    }

    ordered_json complete(const nlohmann::json& content, const type_name& type, bool is_list,
                          const std::vector<const selection*>& same, const nlohmann::json& path) {
        if (content.is_null()) return nullptr;
        if (is_list) {
            ordered_json items = ordered_json::array();
            for (std::size_t i = 0; i < content.size(); ++i) {
                nlohmann::json here = path;
                here.push_back(i);
                items.push_back(complete(content[i], type, false, same, here));
            }
            return items;
        }
        const named_type* inner = types_.find(type.name);
        if (inner != nullptr) {
            std::vector<group> groups;
            for (const selection* item : same) collect(item->selections, groups);
            return run_groups(groups, *inner, content, path);
        }
        // What the schema calls a JSONString is JSON inside a text.
        if (type.name == "JSONString") return content.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
        return ordered_json(content);
    }

    const schema& types_;
    std::string query_type_, mutation_type_;
    resolver resolve_;
    std::string_view document_;
    std::map<std::string, const definition*> fragments_;
    nlohmann::json variables_;
    outcome result_;
};

} // namespace graphql
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif

#include <nlohmann/json.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// `POST /admin/graphql`. Thread-safe.
class graphql_routes {
public:
    /// Lists the folders that a key owns: objects with id, host, name and created_at.
    using folder_lister = std::function<nlohmann::json(const std::string& access_key)>;

    graphql_routes(const gateway_options& options, session_table& sessions, keypair_store& keypairs,
                   const std::atomic<bool>& frozen, folder_lister folders)
        : options_(options),
          protocol_(find_protocol(options.protocol)),
          sessions_(sessions),
          keypairs_(keypairs),
          frozen_(frozen),
          folders_(std::move(folders)),
          started_(options.clock()) {}

    graphql_routes(const graphql_routes&) = delete;
    graphql_routes& operator=(const graphql_routes&) = delete;
    virtual ~graphql_routes() = default;

    virtual void add_to(router& table) {
        table.add("POST", "/admin/graphql", true, [this](const gateway_request& request) { return answer(request); });
    }

    /// What a session's service_ports are; to be set before the first request.
    std::function<nlohmann::json()> service_ports;

protected:
    using json = nlohmann::json;

private:
    http_reply answer(const gateway_request& request) {
        const json body = request.json();
        const auto query = body.find("query");
        if (query == body.end()) throw invalid_parameters("The request must have \"query\" JSON field.");
        if (!query->is_string()) throw invalid_parameters("The \"query\" field must be a JSON string.");
        const json variables = body.value("variables", json());
        if (!variables.is_null() && !variables.is_object()) {
            throw invalid_parameters("The \"variables\" field must be an JSON object or null.");
        }
        const std::string caller = access_key_of(request.call);
        const auto who = keypairs_.find(caller);
        const bool is_admin = who && who->is_admin;
        graphql::executor run(
            is_admin ? graphql::admin_schema() : graphql::user_schema(), is_admin ? "QueryForAdmin" : "QueryForUser",
            is_admin ? "MutationForAdmin" : "",
            [this, &caller](const std::string& type, const std::string& field, const json& parent,
                            const json& arguments) { return resolve(caller, type, field, parent, arguments); });
        const graphql::outcome result = run.run(query->get_ref<const std::string&>(), variables);
        if (!result.errors.empty()) {
            throw problem(400, "graphql-error", "GraphQL-generated error.", {{"data", result.errors}});
        }
        http_reply reply = json_reply(nullptr);
        reply.body = result.data.dump(-1, ' ', false, json::error_handler_t::replace);
        return reply;
    }

    json resolve(const std::string& caller, const std::string& type, const std::string& field, const json& parent,
                 const json& arguments) {
        if (type == "QueryForAdmin" || type == "QueryForUser") return query(caller, field, arguments);
        if (type == "MutationForAdmin") return mutate(field, arguments);
        if (field == "vfolders") return folders_of(parent.at("access_key").get<std::string>());
        if (field == "compute_sessions") {
            return sessions_of(parent.at("access_key").get<std::string>(), status_of(arguments));
        }
        if (field == "computations") return compute_sessions(status_of(arguments));
        if (field == "workers") return json::array(); // a session here is one process
        return parent.value(field, json());
    }

    json query(const std::string& caller, const std::string& field, const json& arguments) {
        const std::string access_key = text(arguments, "access_key", caller);
        if (field == "agent") return text(arguments, "agent_id", "") == agent_id() ? agent() : json();
        if (field == "agents") return agents(arguments);
        if (field == "agent_list") return page(agents(arguments), arguments);
        if (field == "images") return images();
        if (field == "image") return image(text(arguments, "reference", ""));
        if (field == "keypair") {
            const auto found = keypairs_.find(access_key);
            return found ? keypair(*found) : json();
        }
        if (field == "keypairs") return keypairs(arguments);
        if (field == "vfolders") return folders_of(access_key);
        if (field == "compute_sessions") {
            const bool is_admin = keypairs_.find(caller).value_or(stored_keypair()).is_admin;
            if (!is_admin || arguments.contains("access_key")) return sessions_of(access_key, status_of(arguments));
            const std::string status = status_of(arguments);
            return compute_sessions(status.empty() ? "RUNNING" : status);
        }
        if (field == "compute_session_list") {
            const std::string status = status_of(arguments);
            return page(arguments.contains("access_key") ? sessions_of(access_key, status) : compute_sessions(status),
                        arguments);
        }
        if (field == "compute_session") {
            for (const json& item : compute_sessions("RUNNING")) {
                if (item["sess_id"] == text(arguments, "sess_id", "")) return item;
            }
            return json::object(); // an object that is null in every field, as 19.03 answers
        }
        if (field == "compute_workers") return json::array();
        throw std::runtime_error("not resolved: " + field);
    }

protected:
    json mutate(const std::string& field, const json& arguments) {
        if (frozen_) throw std::runtime_error("The server is frozen due to maintenance. Please try again later.");
        if (field == "create_keypair") return create_keypair(arguments);
        if (field == "modify_keypair") return modify_keypair(arguments);
        if (field == "delete_keypair") {
            const bool done = keypairs_.remove(text(arguments, "access_key", ""));
            return {{"ok", done}, {"msg", done ? "success" : "failed to delete keypair"}};
        }
        const std::lock_guard<std::mutex> lock(mutex_);
        if (field == "alias_image") {
            const json target = find_image(text(arguments, "target", ""));
            if (target.is_null()) return {{"ok", false}, {"msg", "Unknown image reference"}};
            aliases_[text(arguments, "alias", "")] = target["humanized_name"];
        }
        if (field == "dealias_image") aliases_.erase(text(arguments, "alias", ""));
        return {{"ok", true}, {"msg", ""}};
    }

    // --- key pairs ---------------------------------------------------------------------------------------------------
    json create_keypair(const json& arguments) {
        const json& props = arguments.at("props");
        // The earlier servers of the line want the one, the later ones the other.
        if (!has(props, "concurrency_limit") && !has(props, "resource_policy")) {
            throw std::runtime_error("In field \"concurrency_limit\": Expected \"Int!\", found null.");
        }
        stored_keypair made;
        const json& user = arguments.at("user_id");
        made.user_id = user.is_string() ? user.get<std::string>() : user.dump();
        keypair_store::make_keys(made);
        made.is_active = made.is_admin = false; // what is not said is false
        made.created_at = options_.clock();
        apply(props, made);
        keypairs_.put(made);
        return {{"ok", true}, {"msg", "success"}, {"keypair", keypair(made)}};
    }
    json modify_keypair(const json& arguments) {
        const json& props = arguments.at("props");
        const bool done =
            keypairs_.change(text(arguments, "access_key", ""), [&props](stored_keypair& item) { apply(props, item); });
        return {{"ok", done}, {"msg", done ? "success" : "failed to modify keypair"}};
    }
    // Null means: leave it.
    static void apply(const json& props, stored_keypair& item) {
        if (has(props, "is_active")) item.is_active = props["is_active"].get<bool>();
        if (has(props, "is_admin")) item.is_admin = props["is_admin"].get<bool>();
        if (has(props, "resource_policy")) item.resource_policy = props["resource_policy"].get<std::string>();
        if (has(props, "rate_limit")) item.rate_limit = props["rate_limit"].get<std::int64_t>();
        if (has(props, "concurrency_limit")) item.concurrency_limit = props["concurrency_limit"].get<std::int64_t>();
    }
    static bool has(const json& object, const char* name) {
        const auto found = object.find(name);
        return found != object.end() && !found->is_null();
    }
    json keypairs(const json& arguments) const {
        const json user = arguments.value("user_id", json());
        json result = json::array();
        for (const stored_keypair& item : keypairs_.all()) {
            if (!user.is_null() && item.user_id != (user.is_string() ? user.get<std::string>() : user.dump())) continue;
            if (arguments.contains("is_active") && item.is_active != arguments["is_active"].get<bool>()) continue;
            result.push_back(keypair(item));
        }
        return result;
    }
    json keypair(const stored_keypair& item) const {
        const bool is_owner = item.access_key == options_.access_key;
        return {{"user_id", item.user_id},
                {"access_key", item.access_key},
                {"secret_key", item.secret_key},
                {"is_active", item.is_active},
                {"is_admin", item.is_admin},
                {"resource_policy", item.resource_policy.empty() ? json() : json(item.resource_policy)},
                {"created_at", codec::format_date(item.created_at)},
                {"last_used", item.last_used ? json(codec::format_date(*item.last_used)) : json()},
                {"concurrency_limit", item.concurrency_limit},
                {"concurrency_used", is_owner ? sessions_.live() : 0},
                {"rate_limit", item.rate_limit},
                {"num_queries", item.num_queries}};
    }

    // --- sessions ----------------------------------------------------------------------------------------------------
    // 19.03 looks the name up in its enumeration; the error is Python's KeyError.
    static std::string status_of(const json& arguments) {
        const std::string status = text(arguments, "status", "");
        for (const char* known : {"", "PREPARING", "BUILDING", "RUNNING", "RESTARTING", "RESIZING", "SUSPENDED",
                                  "TERMINATING", "TERMINATED", "ERROR"}) {
            if (status == known) return status;
        }
        throw std::runtime_error('\'' + status + '\'');
    }
    // All sessions are the gateway's own key's.
    json sessions_of(const std::string& access_key, const std::string& status) const {
        return access_key == options_.access_key ? compute_sessions(status) : json::array();
    }
    json compute_sessions(const std::string& status) const {
        json result = json::array();
        for (const auto& entry : sessions_.list()) {
            json item = compute_session(*entry);
            if (status.empty() || item["status"] == status) result.push_back(std::move(item));
        }
        return result;
    }
    json compute_session(const session_entry& entry) const {
        const session_request& made = entry.request;
        const bool is_ready = entry.started.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
        const std::string created = codec::format_date(entry.created);
        const std::string& id = entry.id;
        const std::string memory = std::to_string(made.memory_kib * 1024);
        json result = {{"sess_id", made.token},
                       {"id", id},
                       {"role", "master"},
                       {"image", made.language},
                       {"lang", made.language},
                       {"registry", entry.image.registry},
                       {"tag", made.tag.empty() ? json() : json(made.tag)},
                       {"status", is_ready ? "RUNNING" : "PREPARING"},
                       {"created_at", created},
                       {"agent", agent_id()},
                       {"container_id", codec::to_hex(codec::digest("sha256", id))},
                       {"service_ports", service_ports ? service_ports() : json::array()},
                       {"occupied_slots", {{"cpu", "1"}, {"mem", memory}}},
                       {"occupied_shares", json::object()},
                       {"mem_slot", made.memory_kib / 1024},
                       {"cpu_slot", 1.0},
                       {"gpu_slot", 0.0},
                       {"tpu_slot", 0.0},
                       {"cpu_using", 0.0},
                       {"num_queries", is_ready ? json(entry.body->queries()) : json(0)}};
        for (const char* unmeasured :
             {"cpu_used", "mem_max_bytes", "mem_cur_bytes", "net_rx_bytes", "net_tx_bytes", "io_read_bytes",
              "io_write_bytes", "io_max_scratch_size", "io_cur_scratch_size"}) {
            result[unmeasured] = 0;
        }
        return result;
    }

    // --- the one agent, its images, folders --------------------------------------------------------------------------
    static const char* agent_id() { return "i-embedded"; }
    json agents(const json& arguments) const {
        const std::string status = text(arguments, "status", "");
        bool known = status.empty();
        for (const char* name : {"ALIVE", "LOST", "RESTARTING", "TERMINATED"}) known = known || status == name;
        if (!known) throw std::runtime_error('\'' + status + '\'');
        return status.empty() || status == "ALIVE" ? json::array({agent()}) : json::array();
    }
    json agent() const {
        const unsigned cores = (std::max)(1u, std::thread::hardware_concurrency());
        const std::size_t used = sessions_.live();
        std::int64_t used_kib = 0;
        for (const auto& entry : sessions_.list()) used_kib += entry->request.memory_kib;
        return {{"id", agent_id()},
                {"status", "ALIVE"},
                {"region", "local"},
                {"addr", "tcp://127.0.0.1:6001"},
                {"first_contact", codec::format_date(started_)},
                {"available_slots", {{"cpu", std::to_string(cores)}, {"mem", "8g"}}},
                {"occupied_slots", {{"cpu", std::to_string(used)}, {"mem", std::to_string(used_kib * 1024)}}},
                {"mem_slots", 8192},
                {"cpu_slots", cores},
                {"gpu_slots", 0.0},
                {"tpu_slots", 0.0},
                {"used_mem_slots", used_kib / 1024},
                {"used_cpu_slots", used},
                {"used_gpu_slots", 0.0},
                {"used_tpu_slots", 0.0},
                {"cpu_cur_pct", 0.0},
                {"mem_cur_bytes", 0.0}};
    }

    json images() {
        const std::lock_guard<std::mutex> lock(mutex_);
        return list_images();
    }
    json image(const std::string& reference) {
        const std::lock_guard<std::mutex> lock(mutex_);
        json found = find_image(reference);
        if (found.is_null()) throw std::runtime_error("Unknown image reference");
        return found;
    }
    json list_images() const {
        std::vector<std::string> names = options_.images;
        if (names.empty()) {
            for (const auto& item : interpreters()) names.push_back(item.first);
        }
        json result = json::array();
        for (const std::string& name : names) {
            const image_name parts = parse_image(name);
            const std::string tag = parts.tag.empty() ? "latest" : parts.tag;
            const std::string humanized = parts.name + ':' + tag;
            const std::string digest = "sha256:" + codec::to_hex(codec::digest("sha256", humanized));
            json aliases = json::array();
            for (const auto& alias : aliases_) {
                if (alias.second == humanized) aliases.push_back(alias.first);
            }
            result.push_back({{"name", parts.name},
                              {"humanized_name", humanized},
                              {"tag", tag},
                              {"registry", parts.registry.empty() ? "local" : parts.registry},
                              {"digest", digest},
                              {"hash", digest},
                              {"labels", json::array({{{"key", "ai.backend.kernelspec"}, {"value", "1"}}})},
                              {"aliases", aliases},
                              {"size_bytes", 0},
                              {"resource_limits", json::array({{{"key", "cpu"}, {"min", "1"}, {"max", nullptr}},
                                                               {{"key", "mem"}, {"min", "64m"}, {"max", nullptr}}})},
                              {"supported_accelerators", json::array()},
                              {"installed", true}});
        }
        return result;
    }
    json find_image(const std::string& reference) const {
        const auto alias = aliases_.find(reference);
        const image_name wanted = parse_image(alias == aliases_.end() ? reference : alias->second);
        for (const json& item : list_images()) {
            const bool is_registry = wanted.registry.empty() || item["registry"] == wanted.registry;
            if (item["name"] == wanted.name && is_registry && (wanted.tag.empty() || item["tag"] == wanted.tag)) {
                return item;
            }
        }
        return nullptr;
    }

    json folders_of(const std::string& access_key) const {
        json result = folders_ ? folders_(access_key) : json::array();
        for (json& item : result) {
            item["max_files"] = 1000;
            item["max_size"] = 1048576;               // KiB
            item["num_files"] = item["cur_size"] = 0; // 19.03 does not measure them either
        }
        return result;
    }

    static std::string text(const json& arguments, const char* name, const std::string& fallback) {
        const auto found = arguments.find(name);
        return found == arguments.end() || !found->is_string() ? fallback : found->get<std::string>();
    }
    static json page(const json& all, const json& arguments) {
        const auto limit = arguments.at("limit").get<std::int64_t>(),
                   offset = arguments.at("offset").get<std::int64_t>();
        if (limit < 0 || offset < 0) throw std::runtime_error("limit and offset must not be negative");
        json items = json::array();
        for (std::int64_t i = offset; i < static_cast<std::int64_t>(all.size()) && i - offset < limit; ++i) {
            items.push_back(all[static_cast<std::size_t>(i)]);
        }
        return {{"items", items}, {"total_count", all.size()}};
    }

    const gateway_options& options_;
    const gateway_protocol& protocol_;
    session_table& sessions_;
    keypair_store& keypairs_;
    const std::atomic<bool>& frozen_;

private:
    folder_lister folders_;
    std::chrono::system_clock::time_point started_;
    std::mutex mutex_;
    std::map<std::string, std::string> aliases_; ///< alias -> humanized name
};

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/testing/gateway_graphql_modern.hpp
/// @file
/// The embedded gateway's GraphQL as servers from 20.09 on have it: their schema, lists with pages, the envelope of
/// /admin/gql.
#ifndef BACKENDAI_TESTING_GATEWAY_GRAPHQL_MODERN_HPP
#define BACKENDAI_TESTING_GATEWAY_GRAPHQL_MODERN_HPP

// ---- backendai/testing/gateway_graphql_pages.hpp
/// @file
/// Pages of the embedded gateway's GraphQL listings: the little languages of `filter` and `order`.
#ifndef BACKENDAI_TESTING_GATEWAY_GRAPHQL_PAGES_HPP
#define BACKENDAI_TESTING_GATEWAY_GRAPHQL_PAGES_HPP


#include <nlohmann/json.hpp>

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace graphql {

/// `name == "x" & (status == "RUNNING" | status == "PENDING")`, with ==, !=, <, <=, >, >=, contains and ilike.
class page_filter {
public:
    explicit page_filter(std::string text) : text_(std::move(text)) {}

    /// @throws std::runtime_error for what is no filter, or names a field that the item does not have.
    bool matches(const nlohmann::json& item) {
        item_ = &item;
        at_ = 0;
        const bool result = expression();
        skip();
        if (at_ != text_.size()) fail();
        return result;
    }

private:
    [[noreturn]] void fail() const {
        const std::string found = at_ < text_.size() ? text_.substr(at_, 1) : "";
        throw std::runtime_error("Query filter parsing error: Unexpected token Token('" +
                                 std::string(found.empty() ? "$END" : "TOKEN") + "', '" + found +
                                 "') at line 1, column " + std::to_string(at_ + 1) + '.');
    }
    void skip() {
        while (at_ < text_.size() && text_[at_] == ' ') ++at_;
    }
    bool take(const char* token) {
        skip();
        const std::string wanted = token;
        if (text_.compare(at_, wanted.size(), wanted) != 0) return false;
        at_ += wanted.size();
        return true;
    }
    bool expression() {
        bool result = comparison();
        for (;;) {
            if (take("&")) {
                const bool other = comparison();
                result = result && other;
            } else if (take("|")) {
                const bool other = comparison();
                result = result || other;
            } else {
                return result;
            }
        }
    }
    bool comparison() {
        if (take("(")) {
            const bool inner = expression();
            if (!take(")")) fail();
            return inner;
        }
        skip();
        std::string field;
        while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 || text_[at_] == '_'))
            field += text_[at_++];
        if (field.empty()) fail();
        std::string relation;
        for (const char* known : {"==", "!=", "<=", ">=", "<", ">", "contains", "ilike"}) {
            if (relation.empty() && take(known)) relation = known;
        }
        if (relation.empty()) fail();
        const nlohmann::json wanted = value();
        const auto found = item_->find(field);
        if (found == item_->end()) {
            throw std::runtime_error("Query filter parsing error: Error trying to process rule \"binary_expr\":\n\n"
                                     "('Unknown/unsupported field name', '" +
                                     field + "')");
        }
        return holds(*found, relation, wanted);
    }
    nlohmann::json value() {
        skip();
        const std::size_t start = at_;
        if (at_ < text_.size() && text_[at_] == '"') {
            for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) at_ += text_[at_] == '\\' ? 1 : 0;
            if (at_ >= text_.size()) fail();
            ++at_;
        } else {
            while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 ||
                                          text_[at_] == '-' || text_[at_] == '.' || text_[at_] == '_'))
                ++at_;
        }
        nlohmann::json result = nlohmann::json::parse(text_.substr(start, at_ - start), nullptr, false);
        if (result.is_discarded() || start == at_) {
            at_ = start;
            fail();
        }
        return result;
    }
    static std::string lower(std::string text) {
        for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        return text;
    }
    static bool holds(const nlohmann::json& is, const std::string& relation, const nlohmann::json& wanted) {
        if (relation == "==") return is == wanted;
        if (relation == "!=") return is != wanted;
        if (relation == "<") return is < wanted;
        if (relation == "<=") return is <= wanted;
        if (relation == ">") return is > wanted;
        if (relation == ">=") return is >= wanted;
        if (!is.is_string() || !wanted.is_string()) return false;
        std::string text = is.get<std::string>(), part = wanted.get<std::string>();
        if (relation == "ilike") {
            text = lower(text);
            part = lower(part);
            part.erase(std::remove(part.begin(), part.end(), '%'), part.end());
        }
        return text.find(part) != std::string::npos;
    }

    const std::string text_;
    const nlohmann::json* item_ = nullptr;
    std::size_t at_ = 0;
};

/// Puts items in order by "-created_at,+name". @throws std::runtime_error for a field that they do not have
inline void order_items(std::vector<nlohmann::json>& items, const std::string& order) {
    std::vector<std::pair<std::string, bool>> fields; // and whether downward
    std::size_t start = 0;
    while (start <= order.size()) {
        const std::size_t end = (std::min)(order.find(',', start), order.size());
        std::string field = order.substr(start, end - start);
        while (!field.empty() && field.front() == ' ') field.erase(0, 1);
        const bool down = !field.empty() && field.front() == '-';
        if (!field.empty() && (field.front() == '-' || field.front() == '+')) field.erase(0, 1);
        if (!items.empty() && !items.front().contains(field)) {
            throw std::runtime_error("Query ordering parsing error: Error trying to process rule \"col\":\n\n"
                                     "('Unknown/unsupported field name', '" +
                                     field + "')");
        }
        fields.emplace_back(field, down);
        start = end + 1;
    }
    std::stable_sort(items.begin(), items.end(), [&](const nlohmann::json& a, const nlohmann::json& b) {
        for (const auto& item : fields) {
            const nlohmann::json &left = a[item.first], &right = b[item.first];
            if (left != right) return item.second ? right < left : left < right;
        }
        return false;
    });
}

/// {items, total_count} by the arguments limit, offset, filter and order.
inline nlohmann::json page_of(const nlohmann::json& all, const nlohmann::json& arguments) {
    const auto limit = arguments.at("limit").get<std::int64_t>(), offset = arguments.at("offset").get<std::int64_t>();
    if (limit < 0 || offset < 0) throw std::runtime_error("limit and offset must not be negative");
    std::vector<nlohmann::json> items(all.begin(), all.end());
    if (arguments.contains("filter")) {
        page_filter filter(arguments["filter"].get<std::string>());
        items.erase(std::remove_if(items.begin(), items.end(), [&](const auto& item) { return !filter.matches(item); }),
                    items.end());
    }
    if (arguments.contains("order")) order_items(items, arguments["order"].get<std::string>());
    if (arguments.contains("order_key")) {
        order_items(items,
                    (arguments.value("order_asc", true) ? "+" : "-") + arguments["order_key"].get<std::string>());
    }
    const auto total = static_cast<std::int64_t>(items.size());
    const auto begin = items.begin() + static_cast<std::ptrdiff_t>((std::min)(offset, total));
    const auto end = items.begin() + static_cast<std::ptrdiff_t>((std::min)(offset + limit, total));
    return {{"items", std::vector<nlohmann::json>(begin, end)}, {"total_count", total}};
}

/// The same of what @p make makes an item of; of long listings only the page's items are made where that will do.
template <class Source, class Make>
nlohmann::json page_of(const std::vector<Source>& source, Make make, const nlohmann::json& arguments) {
    nlohmann::json all = nlohmann::json::array();
    if (arguments.contains("filter") || arguments.contains("order") || arguments.contains("order_key")) {
        for (const Source& each : source) all.push_back(make(each));
        return page_of(all, arguments);
    }
    const auto limit = arguments.at("limit").get<std::int64_t>(), offset = arguments.at("offset").get<std::int64_t>();
    if (limit < 0 || offset < 0) throw std::runtime_error("limit and offset must not be negative");
    const auto total = static_cast<std::int64_t>(source.size());
    for (std::int64_t i = offset; i < (std::min)(offset + limit, total); ++i)
        all.push_back(make(source[static_cast<std::size_t>(i)]));
    return {{"items", std::move(all)}, {"total_count", total}};
}

} // namespace graphql
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstddef>
#include <future>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace graphql {

inline constexpr const char* modern_types = R"(
type KVPair { key: String value: String }
type ResourceLimit { key: String min: String max: String }
type Image { name: String humanized_name: String tag: String registry: String architecture: String is_local: Boolean
  digest: String labels: [KVPair] aliases: [String] size_bytes: BigInt resource_limits: [ResourceLimit]
  supported_accelerators: [String] installed: Boolean installed_agents: [String] hash: String }
type VirtualFolder { id: ID host: String name: String user: UUID user_email: String group: UUID group_name: String
  creator: String usage_mode: String permission: String ownership_type: String max_files: Int max_size: BigInt
  created_at: DateTime last_used: DateTime num_files: Int cur_size: BigInt cloneable: Boolean status: String }
type VirtualFolderList { items: [VirtualFolder] total_count: Int }
type ComputeContainer { id: ID role: String hostname: String cluster_role: String cluster_idx: Int
  cluster_hostname: String session_id: UUID image: String registry: String status: String agent: String
  container_id: String }
type ComputeSession { id: ID session_id: UUID main_kernel_id: UUID name: String type: String tag: String image: String
  architecture: String registry: String cluster_mode: String cluster_size: Int domain_name: String group_name: String
  group_id: UUID user_email: String user_id: UUID access_key: String status: String status_changed: DateTime
  status_info: String status_data: JSONString created_at: DateTime terminated_at: DateTime starts_at: DateTime
  startup_command: String result: String scaling_group: String service_ports: JSONString mounts: [String]
  vfolder_mounts: [String] resource_opts: JSONString occupying_slots: JSONString occupied_slots: JSONString
  num_queries: BigInt containers: [ComputeContainer] dependencies: [ComputeSession] }
type ComputeSessionList { items: [ComputeSession] total_count: Int }
type KeyPair { user_id: String full_name: String access_key: String secret_key: String is_active: Boolean
  is_admin: Boolean resource_policy: String created_at: DateTime last_used: DateTime rate_limit: Int num_queries: Int
  user: UUID ssh_public_key: String concurrency_used: Int concurrency_limit: Int vfolders: [VirtualFolder]
  compute_sessions(status: String): [ComputeSession] }
type KeyPairList { items: [KeyPair] total_count: Int }
type Agent { id: String status: String status_changed: DateTime region: String scaling_group: String
  schedulable: Boolean available_slots: JSONString occupied_slots: JSONString addr: String architecture: String
  first_contact: DateTime lost_at: DateTime live_stat: JSONString version: String compute_plugins: JSONString
  hardware_metadata: JSONString mem_slots: Int cpu_slots: Float gpu_slots: Float tpu_slots: Float used_mem_slots: Int
  used_cpu_slots: Float used_gpu_slots: Float used_tpu_slots: Float cpu_cur_pct: Float mem_cur_bytes: Float
  compute_containers(status: String): [ComputeContainer] }
type AgentList { items: [Agent] total_count: Int }
input KeyPairInput { is_active: Boolean is_admin: Boolean resource_policy: String! concurrency_limit: Int
  rate_limit: Int! }
input ModifyKeyPairInput { is_active: Boolean is_admin: Boolean resource_policy: String concurrency_limit: Int
  rate_limit: Int }
type CreateKeyPair { ok: Boolean msg: String keypair: KeyPair }
type ModifyKeyPair { ok: Boolean msg: String }
type DeleteKeyPair { ok: Boolean msg: String }
type RescanImages { ok: Boolean msg: String task_id: String }
type AliasImage { ok: Boolean msg: String }
type DealiasImage { ok: Boolean msg: String }
type Mutations { create_keypair(user_id: String! props: KeyPairInput!): CreateKeyPair
  modify_keypair(access_key: String! props: ModifyKeyPairInput!): ModifyKeyPair
  delete_keypair(access_key: String!): DeleteKeyPair rescan_images(registry: String): RescanImages
  alias_image(alias: String! target: String! architecture: String): AliasImage
  dealias_image(alias: String!): DealiasImage }
)";
/// The queries. @param order_arguments those of pages: they differ by version.
inline std::string modern_queries(const std::string& order_arguments) {
    const std::string page = "limit: Int! offset: Int! " + order_arguments;
    return "type Queries { agent(agent_id: String!): Agent agents(scaling_group: String status: String): [Agent] "
           "agent_list(" +
           page +
           " scaling_group: String status: String): AgentList "
           "image(reference: String! architecture: String): Image "
           "images(is_installed: Boolean is_operation: Boolean): [Image] "
           "keypair(domain_name: String access_key: String): KeyPair "
           "keypairs(domain_name: String email: String is_active: Boolean): [KeyPair] "
           "keypair_list(" +
           page +
           " domain_name: String email: String is_active: Boolean): KeyPairList "
           "vfolders(domain_name: String group_id: String access_key: String): [VirtualFolder] "
           "vfolder_list(" +
           page +
           " domain_name: String group_id: UUID access_key: String): VirtualFolderList "
           "compute_session(id: UUID!): ComputeSession "
           "compute_session_list(" +
           page + " domain_name: String group_id: UUID access_key: String status: String): ComputeSessionList }";
}
inline const schema& modern_schema(bool has_filters) {
    static const std::string with = std::string(modern_types) + modern_queries("filter: String order: String");
    static const std::string without =
        std::string(modern_types) + modern_queries("order_key: String order_asc: Boolean");
    static const schema first(with), second(without);
    return has_filters ? first : second;
}

} // namespace graphql

namespace detail {

/// `POST /admin/graphql` and `/admin/gql`. Thread-safe.
class modern_graphql_routes final : public graphql_routes {
public:
    using graphql_routes::graphql_routes;

    void add_to(router& table) override {
        table.add("POST", "/admin/graphql", true, [this](const gateway_request& request) {
            const graphql::outcome result = run(request);
            if (!result.errors.empty())
                throw problem(400, "graphql-error", "GraphQL-generated error.", {{"data", result.errors}});
            return text_reply(result.data);
        });
        if (!protocol_.has_sub_gql) return;
        table.add("POST", "/admin/gql", true, [this](const gateway_request& request) {
            const graphql::outcome result = run(request);
            graphql::ordered_json body = graphql::ordered_json::object();
            if (!result.errors.empty()) body["errors"] = result.errors;
            // None at all when nothing was run.
            if (result.errors.empty() || !result.data.is_null()) body["data"] = result.data;
            return text_reply(body);
        });
    }

private:
    graphql::outcome run(const gateway_request& request) {
        parameters given(request);
        const std::string query = given.required_text({"query"});
        const json* value = given.find({"variables"});
        const json variables = value == nullptr ? json::object() : *value;
        if (!variables.is_object()) given.wrong("variables", "value is not a dict");
        const std::string operation = given.text({"operation_name", "operationName"}).value_or("");
        if (query.empty() && given.find({"query"}) != nullptr) given.wrong("query", "blank value is not allowed");
        given.finish();
        const std::string caller = access_key_of(request.call);
        graphql::executor executor(
            graphql::modern_schema(protocol_.has_sub_gql), "Queries", "Mutations",
            [this, &caller](const std::string& type, const std::string& field, const json& parent,
                            const json& arguments) { return resolve_modern(caller, type, field, parent, arguments); });
        return executor.run(query, variables, operation);
    }
    static http_reply text_reply(const graphql::ordered_json& body) {
        http_reply reply = json_reply(nullptr);
        reply.body = body.dump(-1, ' ', false, json::error_handler_t::replace);
        return reply;
    }

    bool is_admin(const std::string& access_key) const {
        const auto found = keypairs_.find(access_key);
        return found && found->is_admin;
    }
    void require_superadmin(const std::string& caller) const {
        if (!is_admin(caller)) throw std::runtime_error("Forbidden operation. (superadmin privilege required)");
    }

    json resolve_modern(const std::string& caller, const std::string& type, const std::string& field,
                        const json& parent, const json& arguments) {
        if (type == "Queries") return query_modern(caller, field, arguments);
        if (type == "Mutations") return mutate_modern(caller, field, arguments);
        if (type == "KeyPair" && field == "vfolders") return folders_modern(parent.at("access_key"));
        if (type == "KeyPair" && field == "compute_sessions")
            return sessions_modern(parent.at("access_key"), text(arguments, "status", ""));
        return parent.value(field, json());
    }

    json query_modern(const std::string& caller, const std::string& field, const json& arguments) {
        if (field == "agents" || field == "agent_list" || field == "agent") require_superadmin(caller);
        if (field == "agent") return text(arguments, "agent_id", "") == agent_id() ? agent_modern() : json();
        if (field == "agents") return agents_modern(arguments);
        if (field == "agent_list") return graphql::page_of(agents_modern(arguments), arguments);
        if (field == "images") return with_architecture(images());
        if (field == "image") return with_architecture(json::array({image(text(arguments, "reference", ""))}))[0];
        if (field == "keypair") return keypair_modern(caller, text(arguments, "access_key", caller));
        if (field == "keypairs") {
            require_superadmin(caller);
            json found = json::array();
            for (const stored_keypair& item : keypairs_modern(caller, arguments)) {
                if (found.size() < 100) found.push_back(keypair_item(item));
            }
            return found;
        }
        if (field == "keypair_list") {
            const auto make = [this](const stored_keypair& item) { return keypair_item(item); };
            return graphql::page_of(keypairs_modern(caller, arguments), make, arguments);
        }
        if (field == "vfolders") return nullptr;
        if (field == "vfolder_list") {
            const std::string owner = text(arguments, "access_key", caller);
            if (owner != caller) require_superadmin(caller);
            return graphql::page_of(folders_modern(owner), arguments);
        }
        if (field == "compute_session_list") {
            const std::string owner = text(arguments, "access_key", is_admin(caller) ? "" : caller);
            if (owner != caller && !is_admin(caller)) throw std::runtime_error("Forbidden operation.");
            return graphql::page_of(sessions_modern(owner, text(arguments, "status", "")), arguments);
        }
        if (field == "compute_session") {
            for (const json& item : sessions_modern(is_admin(caller) ? "" : caller, "")) {
                if (item["id"] == text(arguments, "id", "")) return item;
            }
            return nullptr;
        }
        throw std::runtime_error("not resolved: " + field);
    }

    // --- key pairs ---------------------------------------------------------------------------------------------------

    static json refused(const std::string& message) { return {{"ok", false}, {"msg", message}, {"keypair", nullptr}}; }
    json mutate_modern(const std::string& caller, const std::string& field, const json& arguments) {
        if (frozen_) throw std::runtime_error("The server is frozen due to maintenance. Please try again later.");
        if (!is_admin(caller)) return refused("no permission to execute " + field);
        if (field == "create_keypair") {
            const json& props = arguments.at("props");
            if (!knows_policy(props)) return refused("integrity error: no such resource policy");
            stored_keypair made;
            made.user_id = arguments.at("user_id").get<std::string>();
            keypair_store::make_keys(made);
            made.created_at = options_.clock();
            apply(props, made);
            keypairs_.put(made);
            return {{"ok", true}, {"msg", "success"}, {"keypair", keypair_item(made)}};
        }
        const std::string access_key = text(arguments, "access_key", "");
        if (field == "modify_keypair") {
            const json& props = arguments.at("props");
            if (!knows_policy(props)) return refused("integrity error: no such resource policy");
            const bool done = keypairs_.change(access_key, [&props](stored_keypair& item) { apply(props, item); });
            return done ? json({{"ok", true}, {"msg", "success"}}) : refused("no matching modifykeypair");
        }
        if (field == "delete_keypair") {
            return keypairs_.remove(access_key) ? json({{"ok", true}, {"msg", "success"}})
                                                : refused("no matching deletekeypair");
        }
        return mutate(field, arguments);
    }
    static bool knows_policy(const json& props) {
        return !has(props, "resource_policy") || props["resource_policy"] == "default";
    }

    json keypair_modern(const std::string& caller, const std::string& access_key) const {
        if (access_key != caller && !is_admin(caller)) throw std::runtime_error("Forbidden operation.");
        const auto found = keypairs_.find(access_key);
        return found ? keypair_item(*found) : json();
    }
    json keypair_item(const stored_keypair& item) const {
        json result = keypair(item);
        result["full_name"] = item.user_id.substr(0, item.user_id.find('@'));
        result["user"] = user_uuid(item.access_key);
        result["concurrency_limit"] = 0;
        result["concurrency_used"] = sessions_modern(item.access_key, "RUNNING").size();
        result["ssh_public_key"] = "";
        return result;
    }
    // A user sees their own.
    std::vector<stored_keypair> keypairs_modern(const std::string& caller, const json& arguments) const {
        const std::string email = text(arguments, "email", "");
        const bool sees_all = is_admin(caller);
        std::vector<stored_keypair> result;
        std::vector<stored_keypair> all = keypairs_.all();
        for (stored_keypair& item : all) {
            if (!sees_all && item.access_key != caller) continue;
            if (!email.empty() && item.user_id != email) continue;
            if (arguments.contains("is_active") && item.is_active != arguments["is_active"].get<bool>()) continue;
            result.push_back(std::move(item));
        }
        return result;
    }

    // --- sessions ----------------------------------------------------------------------------------------------------

    // The newest first. @param owner empty: everybody's  @param statuses names with commas between; empty: all
    json sessions_modern(const std::string& owner, const std::string& statuses) const {
        static const std::set<std::string> known = {"PENDING",    "SCHEDULED",  "PULLING",          "PREPARING",
                                                    "RUNNING",    "RESTARTING", "RUNNING_DEGRADED", "TERMINATING",
                                                    "TERMINATED", "ERROR",      "CANCELLED"};
        std::set<std::string> wanted;
        for (std::size_t start = 0; !statuses.empty() && start <= statuses.size();) {
            const std::size_t end = (std::min)(statuses.find(',', start), statuses.size());
            const std::string name = statuses.substr(start, end - start);
            if (known.count(name) == 0) throw std::runtime_error('\'' + name + '\'');
            wanted.insert(name);
            start = end + 1;
        }
        std::vector<json> items;
        const auto add = [&](json item) {
            const bool is_theirs = owner.empty() || item["access_key"] == owner;
            if (is_theirs && (wanted.empty() || wanted.count(item["status"].get<std::string>()) != 0))
                items.push_back(std::move(item));
        };
        for (const auto& entry : sessions_.list()) add(running_session(*entry));
        for (const ended_session& entry : sessions_.ended()) add(session_item(entry, "TERMINATED", {}));
        graphql::order_items(items, "-created_at");
        return items;
    }
    json running_session(const session_entry& entry) const {
        const session_request& made = entry.request;
        ended_session base{entry.id,  entry.name(),         made.owner, made.language, made.tag,
                           made.type, made.startup_command, {},         entry.created, {}};
        const bool is_ready = entry.started.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
        json item = session_item(base, is_ready ? "RUNNING" : "PREPARING", entry.image.registry);
        item["terminated_at"] = nullptr;
        item["num_queries"] = is_ready ? entry.body->queries() : 0;
        item["cluster_size"] = made.cluster_size;
        item["cluster_mode"] = made.cluster_mode;
        item["mounts"] = made.mounts;
        item["occupied_slots"] = {{"cpu", "1"}, {"mem", std::to_string(made.memory_kib * 1024)}};
        return item;
    }
    json session_item(const ended_session& entry, const std::string& status, const std::string& registry) const {
        std::string type = entry.type;
        std::transform(type.begin(), type.end(), type.begin(), [](unsigned char c) { return std::toupper(c); });
        const auto owner = keypairs_.find(entry.owner);
        const std::string kernel_id = uuid_of("kernel:" + entry.id);
        const json container = {{"id", kernel_id},        {"role", "main"},          {"hostname", "main1"},
                                {"cluster_role", "main"}, {"cluster_idx", 1},        {"cluster_hostname", "main1"},
                                {"session_id", entry.id}, {"image", entry.language}, {"registry", registry},
                                {"status", status},       {"agent", agent_id()},     {"container_id", ""}};
        return {{"id", entry.id},
                {"session_id", entry.id},
                {"main_kernel_id", kernel_id},
                {"name", entry.name},
                {"type", type},
                {"tag", entry.tag.empty() ? json() : json(entry.tag)},
                {"image", entry.language},
                {"architecture", "x86_64"},
                {"registry", registry},
                {"cluster_mode", "single-node"},
                {"cluster_size", 1},
                {"domain_name", "default"},
                {"group_name", "['default']"},
                {"group_id", "2de2b969-1d04-48a6-af16-0bc8adb3c831"},
                {"user_email", owner ? json(owner->user_id) : json()},
                {"user_id", user_uuid(entry.owner)},
                {"access_key", entry.owner},
                {"status", status},
                {"status_changed", codec::format_date(entry.created)},
                {"status_info", ""},
                {"status_data", json::object()},
                {"created_at", codec::format_date(entry.created)},
                {"terminated_at", codec::format_date(entry.terminated)},
                {"starts_at", nullptr},
                {"startup_command", entry.startup_command.empty() ? json() : json(entry.startup_command)},
                {"result", "UNDEFINED"},
                {"scaling_group", "default"},
                {"service_ports", json::array()},
                {"mounts", json::array()},
                {"vfolder_mounts", json::array()},
                {"resource_opts", json::object()},
                {"occupying_slots", json::object()},
                {"occupied_slots", json::object()},
                {"num_queries", 0},
                {"containers", json::array({container})},
                {"dependencies", json::array()}};
    }

    // --- the one agent, its images, folders --------------------------------------------------------------------------

    json agent_modern() const {
        json item = agent();
        item.update({{"scaling_group", "default"},
                     {"schedulable", true},
                     {"status_changed", item["first_contact"]},
                     {"architecture", "x86_64"},
                     {"lost_at", nullptr},
                     {"live_stat", json::object()},
                     {"version", protocol_.manager},
                     {"compute_plugins", json::object()},
                     {"hardware_metadata", json::object()},
                     {"compute_containers", json::array()}});
        return item;
    }
    json agents_modern(const json& arguments) const {
        const json found = agents(arguments);
        const std::string group = text(arguments, "scaling_group", "default");
        return found.empty() || group != "default" ? json::array() : json::array({agent_modern()});
    }
    static json with_architecture(json items) {
        for (json& item : items)
            item.update({{"architecture", "x86_64"}, {"is_local", false}, {"installed_agents", {agent_id()}}});
        return items;
    }
    json folders_modern(const std::string& access_key) const {
        json items = folders_of(access_key);
        const auto owner = keypairs_.find(access_key);
        for (json& item : items) {
            item["max_size"] = nullptr;
            item.update({{"user", user_uuid(access_key)},
                         {"user_email", owner ? json(owner->user_id) : json()},
                         {"creator", owner ? json(owner->user_id) : json()},
                         {"group", nullptr},
                         {"group_name", nullptr},
                         {"ownership_type", "user"},
                         {"last_used", nullptr},
                         {"status", "ready"}});
        }
        return items;
    }
};

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/testing/gateway_kernel_routes.hpp
/// @file
/// The embedded gateway's endpoints for compute sessions.
#ifndef BACKENDAI_TESTING_GATEWAY_KERNEL_ROUTES_HPP
#define BACKENDAI_TESTING_GATEWAY_KERNEL_ROUTES_HPP


#include <nlohmann/json.hpp>

#include <atomic>
#include <cctype>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// A member that is text, or @p fallback when it is absent or null. @throws problem for another type.
inline std::string text_member(const nlohmann::json& object, const char* name, const std::string& fallback = {}) {
    const auto found = object.find(name);
    if (found == object.end() || found->is_null()) return fallback;
    if (!found->is_string()) throw invalid_parameters(std::string(name) + ": value is not a string");
    return found->get<std::string>();
}

/// A member that is an object, or an empty one when it is absent or null. @throws problem for another type.
inline nlohmann::json object_member(const nlohmann::json& object, const char* name) {
    const auto found = object.find(name);
    if (found == object.end() || found->is_null()) return nlohmann::json::object();
    if (!found->is_object()) throw invalid_parameters(std::string(name) + ": value is not a dict");
    return *found;
}

/// 4 to 64 characters, `\w[\w.-]*\w`.
inline bool is_session_token(const std::string& text) {
    const auto is_word = [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || (c & 0x80) != 0;
    };
    if (text.size() < 4 || text.size() > 64 || !is_word(text.front()) || !is_word(text.back())) return false;
    for (const char c : text) {
        if (!is_word(c) && c != '.' && c != '-') return false;
    }
    return true;
}

/// "4g" in KiB. @throws problem.
inline std::int64_t memory_kib(const std::string& text) {
    std::istringstream in(text);
    double amount = 0;
    if (!(in >> amount) || amount < 0 || amount > 1e15) throw invalid_parameters("resources: mem is not an amount");
    std::string unit;
    in >> unit;
    const std::string units = "bkmgtp";
    const std::size_t power =
        unit.empty() ? 0 : units.find(static_cast<char>(std::tolower(static_cast<unsigned char>(unit[0]))));
    if (power == std::string::npos || unit.size() > 3) throw invalid_parameters("resources: mem has an unknown unit");
    for (std::size_t i = 0; i < power; ++i) amount *= 1024;
    return static_cast<std::int64_t>(amount / 1024);
}

/// Reads what all generations of servers have in `config`: environ, mounts, resources.
inline void read_config(const nlohmann::json& config, session_request& request) {
    const nlohmann::json variables = object_member(config, "environ");
    for (const auto& item : variables.items()) {
        if (!item.value().is_string()) throw invalid_parameters("environ: value is not a string");
        const bool is_name = !item.key().empty() && item.key().find('=') == std::string::npos;
        if (!is_name || item.key().find('\0') != std::string::npos)
            throw invalid_parameters("environ: not a variable's name");
        request.environment[item.key()] = item.value().get<std::string>();
    }
    const auto mounts = config.find("mounts");
    if (mounts != config.end() && !mounts->is_null()) {
        if (!mounts->is_array()) throw invalid_parameters("mounts: value is not a list");
        for (const auto& name : *mounts) {
            if (!name.is_string() || name.get<std::string>().empty())
                throw invalid_parameters("mounts: value is not a string");
            const std::string text = name.get<std::string>();
            if (text.find('/') != std::string::npos || text.front() == '.') {
                throw problem(404, "vfolder-not-found", "No such virtual folder.");
            }
            request.mounts.push_back(text);
        }
    }
    const nlohmann::json resources = object_member(config, "resources");
    for (const auto& item : resources.items()) {
        if (!item.value().is_string() && !item.value().is_number())
            throw invalid_parameters("resources: value is not an amount");
        if (item.key() != "mem") continue;
        request.memory_kib =
            memory_kib(item.value().is_string() ? item.value().get<std::string>() : item.value().dump());
    }
}

/// Reads and checks the body of a creation.
inline session_request read_creation(const nlohmann::json& body) {
    session_request request;
    request.language = text_member(body, "lang");
    if (request.language.empty()) throw invalid_parameters("lang: is required");
    request.tag = text_member(body, "tag");
    request.token = request.name = text_member(body, "clientSessionToken");
    if (!is_session_token(request.token)) {
        throw invalid_parameters("clientSessionToken: is required, 4 to 64 characters, letters, digits, '_', '.', '-'");
    }
    const nlohmann::json config = object_member(body, "config");
    read_config(config, request);
    const auto cluster_size = config.find("clusterSize");
    if (cluster_size != config.end() && !cluster_size->is_null()) {
        if (!cluster_size->is_number_integer()) throw invalid_parameters("clusterSize: value is not an integer");
        if (cluster_size->get<std::int64_t>() < 1) throw invalid_parameters("clusterSize: value is less than 1");
    }
    return request;
}

/// One step of a run. @param id of the run; may be empty in its first step
inline nlohmann::json execute_step(const gateway_options& options, kernel& target, const nlohmann::json& body,
                                   std::string id) {
    const std::string mode = text_member(body, "mode");
    const std::string code = text_member(body, "code");
    if (code.size() > options.max_code) throw invalid_parameters("code: too long");
    if (id.size() > 64) throw invalid_parameters("runId: too long");
    const nlohmann::json more = object_member(body, "options");
    if (mode == "complete")
        return {{"status", "finished"}, {"completions", target.complete({{"code", code}, {"options", more}})}};
    if (mode == "query" || mode == "batch") {
        if (id.empty()) id = random_token(8);
        run item;
        item.id = id;
        item.code = code;
        if (mode == "batch") {
            item.is_batch = true;
            item.phase = 0;
            item.commands = {text_member(more, "clean"), text_member(more, "build"), text_member(more, "exec")};
        }
        target.add(std::move(item));
    } else if (mode == "continue" || mode == "input") {
        if (id.empty()) throw invalid_parameters("runId: is required");
        if (mode == "continue" && !code.empty()) throw invalid_parameters("code: must be empty");
        if (mode == "input") target.answer(id, code);
    } else {
        throw invalid_parameters("mode: must be one of query, batch, continue, input, complete");
    }
    return target.step(id, options.slice);
}

/// Handlers of /kernel. Thread-safe.
class kernel_routes {
public:
    kernel_routes(const gateway_options& options, session_table& sessions, std::atomic<bool>& frozen)
        : options_(options), sessions_(sessions), frozen_(frozen) {}

    /// What to tell as servicePorts; set before the first request.
    std::function<nlohmann::json()> service_ports;

    void add_to(router& table) {
        const auto bind = [this](http_reply (kernel_routes::*handler)(const gateway_request&)) {
            return [this, handler](const gateway_request& request) { return (this->*handler)(request); };
        };
        table.add("POST", "/kernel", true, bind(&kernel_routes::create));
        table.add("POST", "/kernel/create", true, bind(&kernel_routes::create));
        table.add("GET", "/kernel/{}", true, bind(&kernel_routes::info));
        table.add("DELETE", "/kernel/{}", true, bind(&kernel_routes::destroy));
        table.add("PATCH", "/kernel/{}", true, bind(&kernel_routes::restart));
        table.add("POST", "/kernel/{}", true, bind(&kernel_routes::execute));
        table.add("POST", "/kernel/{}/interrupt", true, bind(&kernel_routes::interrupt));
        table.add("POST", "/kernel/{}/complete", true, bind(&kernel_routes::complete));
        table.add("GET", "/kernel/{}/logs", true, bind(&kernel_routes::logs));
        add_generated_files(table);
    }
    /// Of all generations: real servers keep generated files in an object store and tell an unguessable URL there.
    void add_generated_files(router& table) {
        table.add("GET", "/generated/{}/{}", false,
                  [this](const gateway_request& request) { return generated(request); });
    }

private:
    http_reply create(const gateway_request& request) {
        session_request wanted = read_creation(request.json());
        if (frozen_) throw server_frozen();
        const auto result = sessions_.get_or_create(std::move(wanted));
        return json_reply({{"kernelId", result.first->request.token},
                           {"servicePorts", service_ports ? service_ports() : nlohmann::json::array()},
                           {"created", result.second}},
                          201);
    }

    http_reply info(const gateway_request& request) {
        const auto session = sessions_.find(request.arguments[0]);
        const session_request& made = (*session)->request;
        const image_name& image = (*session)->image;
        const std::chrono::duration<double, std::milli> age = options_.clock() - (*session)->created;
        return json_reply({{"lang", made.language},
                           {"image", image.name},
                           {"registry", image.registry},
                           {"tag", made.tag.empty() ? nlohmann::json(nullptr) : nlohmann::json(made.tag)},
                           {"age", age.count()},
                           {"memoryLimit", made.memory_kib},
                           {"numQueriesExecuted", session->body().queries()},
                           {"cpuCreditUsed", 0},
                           // deprecated
                           {"queryTimeout", -1},
                           {"idleTimeout", -1},
                           {"maxCpuCredit", -1},
                           {"idle", -1},
                           {"memoryUsed", -1}});
    }

    http_reply destroy(const gateway_request& request) {
        return json_reply({{"stats", sessions_.destroy(request.arguments[0])}});
    }

    http_reply restart(const gateway_request& request) {
        sessions_.find(request.arguments[0])->body().restart();
        return empty_reply();
    }

    http_reply interrupt(const gateway_request& request) {
        sessions_.find(request.arguments[0])->body().interrupt();
        return empty_reply();
    }

    http_reply logs(const gateway_request& request) {
        return json_reply({{"result", {{"logs", sessions_.find(request.arguments[0])->body().logs()}}}});
    }

    http_reply complete(const gateway_request& request) {
        const nlohmann::json body = request.json();
        const nlohmann::json wanted = {{"code", text_member(body, "code")},
                                       {"options", object_member(body, "options")}};
        const auto session = sessions_.find(request.arguments[0]);
        return json_reply({{"result", {{"status", "finished"}, {"completions", session->body().complete(wanted)}}}});
    }

    http_reply execute(const gateway_request& request) {
        const nlohmann::json body = request.json();
        const auto session = sessions_.find(request.arguments[0]);
        return json_reply({{"result", execute_step(options_, session->body(), body, text_member(body, "runId"))}});
    }

    http_reply generated(const gateway_request& request) {
        const std::filesystem::path root = sessions_.generated_files(request.arguments[0]);
        const std::filesystem::path path = (root / request.arguments[1]).lexically_normal();
        std::error_code error;
        const std::string relative = path.lexically_relative(root).generic_string();
        const bool is_inside =
            !root.empty() && relative.compare(0, 2, "..") != 0 && std::filesystem::is_regular_file(path, error);
        std::ifstream file(path, std::ios::binary);
        if (!is_inside || !file) throw problem(404, "generic-not-found", "Unknown URL path.");
        std::ostringstream content;
        content << file.rdbuf();
        http_reply reply;
        reply.headers = {{"Content-Type", "application/octet-stream"}};
        reply.body = content.str();
        return reply;
    }

    const gateway_options& options_;
    session_table& sessions_;
    std::atomic<bool>& frozen_;
};

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/testing/gateway_login.hpp
/// @file
/// The embedded gateway's webserver: logins by password, and the manager's API behind a cookie, below /func.
#ifndef BACKENDAI_TESTING_GATEWAY_LOGIN_HPP
#define BACKENDAI_TESTING_GATEWAY_LOGIN_HPP


#include <nlohmann/json.hpp>

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// Who is logged in, and the endpoints below /server. Thread-safe.
class webserver {
public:
    webserver(const gateway_options& options, const keypair_store& keypairs) : options_(options), keypairs_(keypairs) {}

    void add_to(router& table) {
        table.add("POST", "/server/login", false, [this](const gateway_request& request) { return login(request); });
        table.add("POST", "/server/login-check", false,
                  [this](const gateway_request& request) { return login_check(request); });
        table.add("POST", "/server/logout", false, [this](const gateway_request& request) { return logout(request); });
    }

    /// Whether the request is for the manager behind the webserver.
    static bool is_for_manager(std::string_view path) { return path.substr(0, 6) == "/func/"; }

    /// The request as the webserver hands it on: without /func, in the name of who is logged in; without authorization
    /// when nobody is. Signatures are not made, as they would be checked against themselves.
    http_call hand_on(const http_call& call) const {
        http_call inner = call;
        inner.target.erase(options_.path_prefix.size(), 5);
        for (auto field = inner.headers.begin(); field != inner.headers.end();) {
            const std::string name = lower_case(field->first);
            field = name == "authorization" || name == "cookie" ? inner.headers.erase(field) : std::next(field);
        }
        if (const auto key = user_of(call))
            inner.headers.emplace_back("Authorization",
                                       "BackendAI signMethod=HMAC-SHA256, credential=" + *key + ":web");
        return inner;
    }
    bool is_logged_in(const http_call& call) const { return user_of(call).has_value(); }
    std::size_t logins() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return sessions_.size();
    }

    /// What the webserver answers where it has nobody to speak for.
    static http_reply unauthorized() { return problem(401, "auth-failed", "Unauthorized access").reply(); }

private:
    static constexpr const char* cookie_name = "AIOHTTP_SESSION";
    static constexpr int most_failures = 10;

    struct account {
        std::string access_key, password;
    };

    static std::string cookie_of(const http_call& call) {
        const std::string* header = find_header(call.headers, "Cookie");
        std::string_view rest = header != nullptr ? std::string_view(*header) : std::string_view();
        while (!rest.empty()) {
            const std::size_t end = rest.find(';');
            const std::string_view pair = trim(rest.substr(0, end));
            const std::size_t equals = pair.find('=');
            if (pair.substr(0, equals) == cookie_name && equals != std::string_view::npos)
                return std::string(pair.substr(equals + 1));
            if (end == std::string_view::npos) break;
            rest.remove_prefix(end + 1);
        }
        return {};
    }

    std::optional<std::string> user_of(const http_call& call) const {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = sessions_.find(cookie_of(call));
        if (found == sessions_.end()) return {};
        return found->second;
    }

    std::optional<account> account_of(const std::string& email) const {
        if (email == options_.email) return account{options_.access_key, options_.password};
        for (const gateway_user& user : options_.other_users) {
            if (user.email == email) return account{user.access_key, user.password};
        }
        return {};
    }

    nlohmann::json description_of(const std::string& access_key) const {
        const auto keypair = keypairs_.find(access_key);
        return {{"access_key", access_key},
                {"role", keypair && keypair->is_admin ? "superadmin" : "user"},
                {"status", "active"}};
    }

    static void set_cookie(http_reply& reply, const std::string& value) {
        reply.headers.emplace_back("X-BackendAI-SessionID", random_token(16));
        reply.headers.emplace_back("Set-Cookie", std::string(cookie_name) + '=' + value +
                                                     "; expires=Mon, 30-Nov-2099 15:34:00 GMT; HttpOnly; "
                                                     "Max-Age=604800; Path=/");
    }

    http_reply login(const gateway_request& request) {
        const nlohmann::json body = nlohmann::json::parse(request.call.body, nullptr, false);
        const auto field = [&body](const char* key) -> std::optional<std::string> {
            if (!body.is_object() || !body.contains(key) || !body[key].is_string()) return {};
            return body[key].get<std::string>();
        };
        for (const char* key : {"username", "password"}) {
            if (!field(key))
                throw problem(400, "invalid-api-params", "You must provide the " + std::string(key) + " field.");
        }
        if (is_logged_in(request.call)) throw problem(400, "generic-bad-request", "You have already logged in.");
        const std::string user = *field("username");
        const std::lock_guard<std::mutex> lock(mutex_);
        if (failures_[user] >= most_failures) throw problem(429, "too-many-requests", "Too many failed login attempts");
        const auto known = account_of(user);
        const bool good = known && !known->password.empty() && known->password == *field("password");
        if (good && !options_.otp.empty() && field("otp") != options_.otp) {
            // 23.03 says it in words, later servers by the type.
            if (options_.login_refused_by_status) {
                return refused({{"type", "https://api.backend.ai/probs/require-totp-authentication"},
                                {"title", "TOTP authentication is required"}},
                               200);
            }
            return refused({{"type", "https://api.backend.ai/probs/auth-failed"},
                            {"title", "Credential/signature mismatch."},
                            {"details", "OTP not provided"}},
                           200);
        }
        if (!good) {
            ++failures_[user];
            return refused({{"type", "https://api.backend.ai/probs/auth-failed"},
                            {"title", "Credential/signature mismatch."},
                            {"details", "User credential mismatch."}},
                           options_.login_refused_by_status ? 401 : 200);
        }
        failures_.erase(user);
        const std::string cookie = random_token(16);
        sessions_[cookie] = known->access_key;
        http_reply reply = json_reply({{"authenticated", true}, {"data", description_of(known->access_key)}});
        set_cookie(reply, cookie);
        return reply;
    }

    // A cookie comes along all the same, of nobody.
    static http_reply refused(nlohmann::json why, int status) {
        http_reply reply = json_reply({{"authenticated", false}, {"data", std::move(why)}}, status);
        set_cookie(reply, random_token(16));
        return reply;
    }

    http_reply login_check(const gateway_request& request) {
        const auto user = user_of(request.call);
        if (!user) return json_reply({{"authenticated", false}, {"data", nullptr}, {"session_id", nullptr}});
        return json_reply(
            {{"authenticated", true}, {"data", description_of(*user)}, {"session_id", cookie_of(request.call)}});
    }

    http_reply logout(const gateway_request& request) {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            sessions_.erase(cookie_of(request.call));
        }
        http_reply reply;
        reply.status = options_.login_refused_by_status ? 200 : 201;
        reply.headers.emplace_back("Set-Cookie", std::string(cookie_name) +
                                                     "=\"\"; expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/");
        return reply;
    }

    const gateway_options& options_;
    const keypair_store& keypairs_;
    mutable std::mutex mutex_;
    std::map<std::string, std::string> sessions_; // cookie -> access key
    std::map<std::string, int> failures_;         // by user name
};

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/testing/gateway_server.hpp
/// @file
/// The embedded gateway's server: a listening thread, a thread for each connection, and faults on the wire.
#ifndef BACKENDAI_TESTING_GATEWAY_SERVER_HPP
#define BACKENDAI_TESTING_GATEWAY_SERVER_HPP


#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// Serves a handler on a loopback port. The destructor stops and joins everything.
class http_server {
public:
    using handler = std::function<http_reply(const http_call&)>;
    /// Asked on a new connection (with null) and when a request's head has come: the fault that ends it there, or null.
    using early_fault = std::function<std::shared_ptr<const fault>(const http_call*)>;

    http_server(const gateway_options& options, handler handle, early_fault early)
        : options_(options),
          handle_(std::move(handle)),
          early_(std::move(early)),
          listener_(os::tcp_socket::listen_loopback(options.port)),
          port_(listener_.local_port()) {
        acceptor_ = std::thread([this] { accept_loop(); });
    }
    http_server(const http_server&) = delete;
    http_server& operator=(const http_server&) = delete;
    ~http_server() { stop(); }

    std::uint16_t port() const { return port_; }
    std::size_t connections() const { return accepted_; }

    /// Closes every connection and joins the threads; handlers that still work are waited for.
    void stop() {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            if (stopping_) return;
            stopping_ = true;
            for (connection& item : connections_) item.shutdown();
        }
        stopped_.notify_all();
        try {
            os::tcp_socket::connect_loopback(port_); // wakes the listening thread
        } catch (const std::system_error&) {
            // It wakes by itself after a short while.
        }
        acceptor_.join();
        for (connection& item : connections_) item.thread.join();
        connections_.clear();
        listener_.close();
    }

private:
    struct connection {
        os::tcp_socket socket;
        std::thread thread;
        std::mutex mutex; ///< between closing here and shutdown() by stop()
        std::atomic<bool> is_done{false};

        void shutdown() {
            const std::lock_guard<std::mutex> lock(mutex);
            socket.shutdown();
        }
        void close(bool by_reset) {
            const std::lock_guard<std::mutex> lock(mutex);
            if (by_reset) {
                socket.reset();
            } else {
                socket.close();
            }
        }
    };

    void accept_loop() {
        for (;;) {
            os::tcp_socket socket = listener_.accept(std::chrono::milliseconds(200));
            join_finished();
            const std::lock_guard<std::mutex> lock(mutex_);
            if (stopping_) return;
            if (!socket.is_open()) continue;
            ++accepted_;
            const auto refused = early_(nullptr);
            if (refused || connections_.size() >= options_.max_connections) {
                if (refused && refused->reset) socket.reset();
                continue;
            }
            connections_.emplace_back();
            connection& item = connections_.back();
            item.socket = std::move(socket);
            item.thread = std::thread([this, &item] {
                serve(item);
                item.is_done = true;
            });
        }
    }

    void join_finished() {
        std::list<connection> finished;
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            for (auto item = connections_.begin(); item != connections_.end();) {
                const auto next = std::next(item);
                if (item->is_done) finished.splice(finished.end(), connections_, item);
                item = next;
            }
        }
        for (connection& item : finished) item.thread.join();
    }

    void serve(connection& item) {
        bool by_reset = false;
        try {
            request_reader reader(item.socket, options_);
            bool goes_on = true;
            while (goes_on && !is_stopping()) goes_on = serve_one(item, reader, by_reset);
        } catch (const bad_request& refused) {
            refuse(item, refused);
        } catch (const end_of_connection&) {
            // The ordinary end of a kept-alive connection.
        } catch (const std::system_error&) {
            // The peer is gone: there is nobody left to tell.
        }
        item.close(by_reset);
    }

    bool serve_one(connection& item, request_reader& reader, bool& by_reset) {
        http_call call = reader.read_head();
        if (const auto dropped = early_(&call)) {
            by_reset = dropped->reset;
            return false;
        }
        if (!reader.stream_body(call)) reader.read_body(call);
        call.takes_stream = true;
        http_reply reply = handle_(call);
        reader.drain_stream();
        if (reply.stream && reply.wire_fault) collect(reply);
        if (reply.wire_fault) {
            by_reset = reply.wire_fault->reset;
            return write_faulty(item, call, reply, *reply.wire_fault, reader.keeps_alive());
        }
        if (reply.upgrade) {
            item.socket.write(head_of(reply, std::string::npos, true));
            reply.upgrade(item.socket, reader.take_rest());
            return false;
        }
        if (reply.stream && call.method != "HEAD") {
            write_stream(item.socket, reply, reader.keeps_alive());
            return reader.keeps_alive();
        }
        std::string bytes = head_of(reply, reply.body.size(), reader.keeps_alive());
        if (call.method != "HEAD") bytes += reply.body;
        item.socket.write(bytes);
        return reader.keeps_alive();
    }

    static void collect(http_reply& reply) {
        char buffer[16384];
        while (const std::size_t count = reply.stream(buffer, sizeof buffer)) reply.body.append(buffer, count);
    }

    static void write_stream(os::tcp_socket& socket, http_reply& reply, bool alive) {
        std::vector<char> buffer(256 * 1024);
        if (reply.stream_length) {
            socket.write(head_of(reply, static_cast<std::size_t>(*reply.stream_length), alive));
            while (const std::size_t count = reply.stream(buffer.data(), buffer.size()))
                socket.write({buffer.data(), count});
            return;
        }
        reply.headers.emplace_back("Transfer-Encoding", "chunked");
        socket.write(head_of(reply, std::string::npos, alive));
        for (;;) {
            const std::size_t count = reply.stream(buffer.data(), buffer.size());
            char size[32];
            std::snprintf(size, sizeof size, "%zx\r\n", count);
            socket.write(size + std::string(buffer.data(), count) + "\r\n"); // the last one is empty
            if (count == 0) return;
        }
    }

    // Whether the connection goes on after it.
    bool write_faulty(connection& item, const http_call& call, const http_reply& reply, const fault& what, bool alive) {
        os::tcp_socket& socket = item.socket;
        const std::string_view body = reply.body;
        const std::string head = head_of(reply, body.size(), alive);
        const auto part = [&what](std::size_t whole) {
            return (std::min)(whole, what.position != 0 ? what.position : whole / 2);
        };
        switch (what.kind) {
        case fault_kind::drop_in_head: socket.write(std::string_view(head).substr(0, part(head.size()))); return false;
        case fault_kind::drop_after_head: socket.write(head); return false;
        case fault_kind::drop_in_body:
            socket.write(head + std::string(body.substr(0, part(body.size()))));
            return false;
        case fault_kind::garbage_response: socket.write("\x16\x03\x01 this is no HTTP\n\n\x7f"); return false;
        case fault_kind::length_too_long:
            socket.write(head_of(reply, body.size() + (what.position != 0 ? what.position : 10), alive));
            socket.write(body);
            return false;
        case fault_kind::length_too_short: {
            const std::size_t less = (std::min)(body.size(), what.position != 0 ? what.position : 1);
            socket.write(head_of(reply, body.size() - less, alive) + std::string(body));
            return alive; // the rest now stands where the next answer is expected
        }
        case fault_kind::bad_chunk: {
            http_reply chunked = reply;
            chunked.headers.emplace_back("Transfer-Encoding", "chunked");
            socket.write(head_of(chunked, std::string::npos, alive) + "1\r\n{\r\nno length\r\n" + std::string(body));
            return false;
        }
        case fault_kind::drip_head: return drip(socket, head, what.interval) && write_all(socket, body) && alive;
        case fault_kind::drip_body: return write_all(socket, head) && drip(socket, body, what.interval) && alive;
        case fault_kind::stall: stall(socket); return false;
        case fault_kind::stall_in_body:
            socket.write(head + std::string(body.substr(0, part(body.size()))));
            stall(socket);
            return false;
        case fault_kind::raw: socket.write(what.bytes); return false;
        default: static_cast<void>(call); return false; // the drops before anything is written
        }
    }

    static bool write_all(os::tcp_socket& socket, std::string_view bytes) {
        socket.write(bytes);
        return true;
    }

    // Waits, and returns whether the server goes on.
    bool pause(std::chrono::milliseconds time) {
        std::unique_lock<std::mutex> lock(mutex_);
        return !stopped_.wait_for(lock, time, [this] { return stopping_; });
    }

    bool drip(os::tcp_socket& socket, std::string_view bytes, std::chrono::milliseconds interval) {
        for (std::size_t i = 0; i < bytes.size(); ++i) {
            socket.write(bytes.substr(i, 1));
            if (!pause(interval)) return false;
        }
        return true;
    }

    // Until the peer closes or the server stops; what the peer still sends is thrown away.
    void stall(os::tcp_socket& socket) {
        char buffer[4096];
        while (!is_stopping()) {
            if (socket.wait_readable(std::chrono::milliseconds(200)) && socket.read(buffer, sizeof buffer) == 0) return;
        }
    }

    // Answers, and reads on for a moment, so that bytes under way do not turn the answer into a reset.
    void refuse(connection& item, const bad_request& refused) {
        http_reply reply = problem(refused.status, "generic-bad-request", "Bad request.").reply();
        try {
            item.socket.write(head_of(reply, reply.body.size(), false) + reply.body);
            item.socket.shutdown_writes();
            char buffer[16384];
            for (int i = 0; i < 256 && item.socket.wait_readable(std::chrono::milliseconds(500)); ++i) {
                if (item.socket.read(buffer, sizeof buffer) == 0) break;
            }
        } catch (const std::system_error&) {
            // The peer did not wait for the answer.
        }
    }

    bool is_stopping() {
        const std::lock_guard<std::mutex> lock(mutex_);
        return stopping_;
    }

    const gateway_options& options_;
    handler handle_;
    early_fault early_;
    os::tcp_socket listener_;
    std::uint16_t port_;
    std::mutex mutex_;
    std::condition_variable stopped_;
    bool stopping_ = false;
    std::list<connection> connections_;
    std::atomic<std::size_t> accepted_{0};
    std::thread acceptor_;
};

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/testing/gateway_session_routes.hpp
/// @file
/// The embedded gateway's endpoints for compute sessions as servers from 20.09 on have them.
#ifndef BACKENDAI_TESTING_GATEWAY_SESSION_ROUTES_HPP
#define BACKENDAI_TESTING_GATEWAY_SESSION_ROUTES_HPP


#include <nlohmann/json.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// Name, protocol and ports of a service in the form of a creation's answer, from the form of service_table.
inline nlohmann::json modern_services(const nlohmann::json& services) {
    nlohmann::json list = nlohmann::json::array();
    for (const auto& item : services) {
        list.push_back({{"name", item["name"]},
                        {"protocol", item["protocol"]},
                        {"ports", nlohmann::json::array({item["container_port"]})}});
    }
    return list;
}
/// The same of a session that is given back.
inline nlohmann::json reused_services(const nlohmann::json& services) {
    nlohmann::json list = nlohmann::json::array();
    for (const auto& item : services) {
        list.push_back({{"name", item["name"]},
                        {"protocol", item["protocol"]},
                        {"host_ports", nlohmann::json::array({item["host_port"]})},
                        {"container_ports", nlohmann::json::array({item["container_port"]})},
                        {"is_inference", false}});
    }
    return list;
}

/// Handlers of /session. Thread-safe.
///
/// A session starts at once, however long its queue is said to be: enqueueOnly answers PENDING all the same.
class session_routes {
public:
    session_routes(const gateway_options& options, session_table& sessions, const keypair_store& keypairs,
                   std::atomic<bool>& frozen)
        : options_(options),
          protocol_(find_protocol(options.protocol)),
          sessions_(sessions),
          keypairs_(keypairs),
          frozen_(frozen) {}

    /// The services of each session; set before the first request.
    std::function<nlohmann::json()> service_ports;

    void add_to(router& table) {
        const auto bind = [this](http_reply (session_routes::*handler)(const gateway_request&)) {
            return [this, handler](const gateway_request& request) { return (this->*handler)(request); };
        };
        table.add("POST", "/session", true, bind(&session_routes::create));
        table.add("POST", "/session/_/create", true, bind(&session_routes::create));
        table.add("GET", "/session/_/match", true, bind(&session_routes::match));
        table.add("GET", "/session/{}", true, bind(&session_routes::info));
        table.add("DELETE", "/session/{}", true, bind(&session_routes::destroy));
        table.add("PATCH", "/session/{}", true, bind(&session_routes::restart));
        table.add("POST", "/session/{}", true, bind(&session_routes::execute));
        table.add("POST", "/session/{}/interrupt", true, bind(&session_routes::interrupt));
        table.add("POST", "/session/{}/complete", true, bind(&session_routes::complete));
        table.add("GET", "/session/{}/logs", true, bind(&session_routes::logs));
        table.add("POST", "/session/{}/rename", true, bind(&session_routes::rename));
        table.add("POST", "/session/{}/start-service", true, bind(&session_routes::start_service));
        table.add("POST", "/session/{}/shutdown-service", true, bind(&session_routes::shutdown_service));
        table.add("GET", "/stream/session/{}/apps", true, bind(&session_routes::apps));
    }

private:
    using json = nlohmann::json;

    std::string key_of(const gateway_request& request) const {
        return sessions_.key_of(request.arguments[0], access_key_of(request.call));
    }
    std::unique_ptr<session_table::use> find(const gateway_request& request) const {
        return sessions_.find(key_of(request));
    }

    // --- creation ----------------------------------------------------------------------------------------------------

    http_reply create(const gateway_request& request) {
        if (frozen_) throw server_frozen();
        const std::string* version = find_header(request.call.headers, "X-BackendAI-Version");
        // The handler reads what the schema of older headers does not have.
        if (version != nullptr && is_before_storage_proxy(*version))
            throw problem(500, "internal-server-error", "Internal server error.");
        bool enqueue_only = false;
        session_request wanted = read_request(request, enqueue_only);
        const bool is_batch = wanted.type == "batch";
        const auto result = sessions_.get_or_create(std::move(wanted));
        session_entry& entry = *result.first;
        json body = {{"sessionId", entry.id},
                     {"sessionName", entry.name()},
                     {"status", enqueue_only && result.second ? "PENDING" : "RUNNING"},
                     {"created", result.second}};
        if (!result.second) {
            body["service_ports"] = reused_services(service_ports());
            return json_reply(body, 201);
        }
        body["servicePorts"] = enqueue_only || is_batch ? json::array() : modern_services(service_ports());
        if (is_batch) body["status"] = run_batch(entry);
        return json_reply(body, 201);
    }

    session_request read_request(const gateway_request& request, bool& enqueue_only) const {
        parameters given(request);
        session_request wanted;
        const std::string caller = access_key_of(request.call);
        wanted.name = given.required_text({"name", "clientSessionToken"}, "session_name");
        if (!wanted.name.empty()) check_name(given, wanted.name);
        wanted.language = given.required_text({"image", "lang"});
        wanted.tag = given.text({"tag"}).value_or("");
        wanted.type =
            given.word({"type", "sessionType"}, "interactive", {"interactive", "batch", "inference"}, "SessionTypes");
        wanted.cluster_size = given.integer({"clusterSize", "cluster_size"}, 1, 1);
        wanted.cluster_mode =
            given.word({"clusterMode", "cluster_mode"}, "single-node", {"single-node", "multi-node"}, "ClusterMode");
        wanted.startup_command = given.text({"startupCommand"}).value_or("");
        wanted.reuse = given.boolean({"reuseIfExists"}, true);
        wanted.owner = given.text({"owner_access_key"}).value_or(caller);
        enqueue_only = given.boolean({"enqueueOnly"}, false);
        given.integer({"maxWaitSeconds"}, 0, 0);
        const std::string group = given.text({"group", "groupName", "group_name"}).value_or("default");
        const std::string domain = given.text({"domain", "domainName", "domain_name"}).value_or("default");
        for (const char* unused : {"architecture", "starts_at", "bootstrap_script", "callback_url", "dependencies"})
            given.find({unused});
        const auto config = given.object({"config"});
        if (protocol_.reads_run_id) given.find({"priority"});
        given.finish();
        check_config(config);
        if (domain != "default") throw invalid_parameters("You can only set the domain to your domain.");
        if (group != "default") throw invalid_parameters("Invalid group");
        if (wanted.type == "batch" && wanted.startup_command.empty())
            throw invalid_parameters("Batch sessions must have a non-empty startup command.");
        if (wanted.owner != caller && !is_admin(caller)) {
            throw problem(403, "generic-forbidden", "Forbidden operation.", nullptr,
                          "Only admins can perform operations on behalf of other users.");
        }
        read_config(config, wanted);
        return wanted;
    }

    // An unknown member or one of the wrong type is no bad request to those servers but a failure.
    static void check_config(const json& config) {
        static const std::set<std::string> known = {
            "mounts",       "environ",       "resources", "resource_opts", "resourceOpts",  "scaling_group",
            "scalingGroup", "mount_map",     "mountMap",  "preopen_ports", "preopenPorts",  "agent_list",
            "agentList",    "mount_options", "mount_ids", "mount_id_map",  "attach_network"};
        for (const auto& item : config.items()) {
            const bool is_list = item.key() == "mounts" || item.key() == "preopen_ports" || item.key() == "agent_list";
            const bool is_map = item.key() == "environ" || item.key() == "resources" || item.key() == "mount_map" ||
                                item.key() == "resource_opts";
            const json& value = item.value();
            if (known.count(item.key()) == 0 ||
                (!value.is_null() && ((is_list && !value.is_array()) || (is_map && !value.is_object()))))
                throw problem(500, "internal-server-error", "Internal server error.");
        }
    }

    static void check_name(parameters& given, const std::string& name) {
        bool ascii = true;
        for (const char c : name) ascii = ascii && (c & 0x80) == 0;
        if (!ascii || !is_session_token(name))
            given.wrong("name", R"(does not match pattern ^(?=.{4,64}$)\w[\w.-]*\w$)");
    }

    bool is_admin(const std::string& access_key) const {
        const auto caller = keypairs_.find(access_key);
        return caller && caller->is_admin;
    }

    // Runs the command of a batch session to its end, and so the session.
    std::string run_batch(const session_entry& entry) {
        const auto session = sessions_.find(entry.request.token);
        run item;
        item.id = random_token(8);
        item.is_batch = true;
        item.phase = 2;
        item.commands = {"", "", entry.request.startup_command};
        const std::string id = item.id;
        session->body().add(std::move(item));
        while (session->body().step(id, options_.slice)["status"] != "finished") continue;
        sessions_.destroy(entry.request.token);
        return "TERMINATED";
    }

    // --- one session -------------------------------------------------------------------------------------------------

    http_reply match(const gateway_request& request) {
        parameters given(request);
        const std::string wanted = given.required_text({"id"});
        given.finish();
        const std::string owner = access_key_of(request.call);
        json matches = json::array();
        const auto add = [&](const std::string& id, const std::string& name, const char* status) {
            if (wanted == id || wanted == name) matches.push_back({{"id", id}, {"name", name}, {"status", status}});
        };
        for (const auto& entry : sessions_.list()) {
            if (entry->request.owner == owner) add(entry->id, entry->name(), "RUNNING");
        }
        for (const ended_session& entry : sessions_.ended()) {
            if (entry.owner == owner) add(entry.id, entry.name, "TERMINATED");
        }
        return json_reply({{"matches", matches}});
    }

    // Several values are Python's way to print a value.
    http_reply info(const gateway_request& request) {
        const auto session = find(request);
        const session_entry& entry = *session->operator->();
        const session_request& made = entry.request;
        const auto age = std::chrono::duration_cast<std::chrono::milliseconds>(options_.clock() - entry.created);
        const std::string slots =
            "{'cpu': Decimal('1'), 'mem': Decimal('" + std::to_string(made.memory_kib * 1024) + "')}";
        std::string environ;
        for (const auto& item : made.environment)
            environ += (environ.empty() ? "'" : ", '") + item.first + "': '" + item.second + '\'';
        return json_reply({{"domainName", "default"},
                           {"groupId", "2de2b969-1d04-48a6-af16-0bc8adb3c831"},
                           {"userId", user_uuid(made.owner)},
                           {"lang", made.language},
                           {"image", made.language},
                           {"architecture", "x86_64"},
                           {"registry", entry.image.registry},
                           {"tag", made.tag.empty() ? json() : json(made.tag)},
                           {"containerId", ""},
                           {"occupiedSlots", slots},
                           {"occupyingSlots", "{}"},
                           {"requestedSlots", slots},
                           {"occupiedShares", "{}"},
                           {"environ", "{" + environ + "}"},
                           {"resourceOpts", "{'main1': {'shmem': 67108864}}"},
                           {"status", "RUNNING"},
                           {"statusInfo", ""},
                           {"statusData", json::object()},
                           {"age", age.count()},
                           {"creationTime", python_date(entry.created)},
                           {"terminationTime", nullptr},
                           {"numQueriesExecuted", session->body().queries()},
                           {"lastStat", nullptr},
                           {"idleChecks", json::object()}});
    }

    http_reply destroy(const gateway_request& request) {
        parameters given(request);
        given.boolean({"forced"}, false);
        const std::string caller = access_key_of(request.call);
        const std::string owner = given.text({"owner_access_key"}).value_or(caller);
        if (protocol_.reads_run_id) given.boolean({"recursive"}, false);
        given.finish();
        if (owner != caller && !is_admin(caller)) throw problem(403, "generic-forbidden", "Forbidden operation.");
        sessions_.destroy(sessions_.key_of(request.arguments[0], owner));
        return json_reply({{"stats", {{"status", "terminated"}}}});
    }

    http_reply restart(const gateway_request& request) {
        find(request)->body().restart();
        return empty_reply();
    }
    http_reply interrupt(const gateway_request& request) {
        find(request)->body().interrupt();
        return empty_reply();
    }

    http_reply logs(const gateway_request& request) {
        parameters given(request);
        given.text({"owner_access_key"});
        given.finish();
        const std::string owner = access_key_of(request.call);
        const std::string& wanted = request.arguments[0];
        json matches = json::array();
        std::string text;
        for (const auto& entry : sessions_.list()) {
            if (entry->request.owner != owner || (entry->id != wanted && entry->name() != wanted)) continue;
            matches.push_back({{"id", entry->id}, {"name", entry->name()}, {"status", "RUNNING"}});
            text = entry->body->logs();
        }
        for (const ended_session& entry : sessions_.ended()) {
            if (entry.owner != owner || (entry.id != wanted && entry.name != wanted)) continue;
            if (matches.empty()) text = entry.logs;
            matches.push_back({{"id", entry.id}, {"name", entry.name}, {"status", "TERMINATED"}});
        }
        if (matches.size() > 1) {
            throw problem(404, "too-many-sessions-matched", "Too many sessions matched.",
                          {{"data", {{"matches", matches}}}});
        }
        if (matches.empty()) sessions_.key_of(wanted, owner); // throws
        return json_reply({{"result", {{"logs", text}}}});
    }

    http_reply rename(const gateway_request& request) {
        if (frozen_) throw server_frozen();
        parameters given(request);
        const std::string name = given.required_text({"name", "session_name", "clientSessionToken"}, "session_name");
        if (!name.empty()) check_name(given, name);
        given.finish();
        sessions_.rename(key_of(request), name);
        return empty_reply();
    }

    // --- code --------------------------------------------------------------------------------------------------------

    http_reply complete(const gateway_request& request) {
        const json body = body_of(request);
        const auto session = find(request);
        const json found = session->body().complete(
            {{"code", text_member(body, "code")}, {"options", object_member(body, "options")}});
        // What later servers answer; those between 23.03 and 25.8 answer null.
        return json_reply({{"result", {{"status", "finished"}, {"completions", found}}}});
    }

    http_reply execute(const gateway_request& request) {
        const json body = body_of(request);
        const char* key = protocol_.reads_run_id ? "run_id" : "runId";
        const auto session = find(request);
        if (!protocol_.reads_run_id && !body.contains(key)) throw invalid_parameters("runId is missing!");
        const std::string mode = text_member(body, "mode");
        if (mode.empty()) throw invalid_parameters("mode is missing or empty!");
        const std::string id = text_member(body, key);
        if (id.empty() && (mode == "continue" || mode == "input"))
            throw invalid_parameters("continuation requires explicit run ID");
        return json_reply({{"result", execute_step(options_, session->body(), body, id)}});
    }

    // The body and nothing else, which may be any object.
    static json body_of(const gateway_request& request) {
        json body = json::parse(request.call.body, nullptr, false);
        if (body.is_discarded()) throw invalid_parameters("");
        return body.is_object() ? body : json::object();
    }

    // --- services ----------------------------------------------------------------------------------------------------

    http_reply apps(const gateway_request& request) {
        find(request);
        return json_reply(modern_services(service_ports()));
    }

    http_reply start_service(const gateway_request& request) {
        parameters given(request);
        const std::string app = given.required_text({"app", "service"});
        const std::int64_t port = given.integer({"port"}, 0, 1024);
        for (const char* key : {"envs", "arguments", "login_session_token"}) given.text({key});
        given.finish();
        const auto session = find(request);
        if (options_.wsproxy_addr.empty()) {
            throw problem(503, "service-unavailable", "Serivce unavailable.", nullptr,
                          "No coordinator configured for this resource group");
        }
        for (const auto& item : service_ports()) {
            if (item["name"] != app) continue;
            if (port != 0 && item["container_port"] != port) {
                throw invalid_parameters("Service " + app + " does not open the port number " + std::to_string(port) +
                                         '.');
            }
            return json_reply({{"token", random_token(32)}, {"wsproxy_addr", options_.wsproxy_addr}});
        }
        throw problem(404, "app-not-found", "No such app service.", nullptr, request.arguments[0] + ':' + app);
    }

    http_reply shutdown_service(const gateway_request& request) {
        parameters given(request);
        given.required_text({"service_name"});
        given.finish();
        find(request);
        return empty_reply();
    }

    const gateway_options& options_;
    const gateway_protocol& protocol_;
    session_table& sessions_;
    const keypair_store& keypairs_;
    std::atomic<bool>& frozen_;
};

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/testing/gateway_storage.hpp
/// @file
/// The embedded gateway's storage proxy: uploads by TUS and downloads with ranges, at an origin of its own, with tokens
/// that the manager gives out. And the ways in which it can lie.
#ifndef BACKENDAI_TESTING_GATEWAY_STORAGE_HPP
#define BACKENDAI_TESTING_GATEWAY_STORAGE_HPP

// ---- backendai/testing/gateway_zip.hpp
/// @file
/// A directory as the storage proxy packs it: a ZIP archive whose sizes stand behind each file, as in a stream.
#ifndef BACKENDAI_TESTING_GATEWAY_ZIP_HPP
#define BACKENDAI_TESTING_GATEWAY_ZIP_HPP


#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// In memory; sizes below 4 GiB.
inline std::string make_zip(const std::filesystem::path& root) {
    std::string archive, directory;
    const auto put = [](std::string& text, std::uint64_t value, int bytes) {
        for (int i = 0; i < bytes; ++i) text += static_cast<char>((value >> (8 * i)) & 0xFF);
    };
    std::vector<std::filesystem::path> entries;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) entries.push_back(entry.path());
    std::sort(entries.begin(), entries.end());
    std::size_t count = 0;
    for (const auto& path : entries) {
        const bool is_directory = std::filesystem::is_directory(path);
        if (!is_directory && !std::filesystem::is_regular_file(path)) continue;
        const std::string name = os::path_text(path.lexically_relative(root)) + (is_directory ? "/" : "");
        std::string content, packed;
        if (!is_directory) {
            os::open_file file = os::open_for_reading(path);
            content.resize(static_cast<std::size_t>(file.size()));
            for (std::size_t at = 0; at < content.size();) at += file.read(&content[at], content.size() - at);
        }
        codec::deflate_encoder encoder(codec::deflate_format::raw, 6);
        const auto keep = [&packed](std::string_view bytes) { packed += bytes; };
        encoder.feed(content, keep);
        encoder.finish(keep);
        const auto sum = ::crc32(0, reinterpret_cast<const Bytef*>(content.data()), static_cast<uInt>(content.size()));
        const std::uint64_t offset = archive.size();
        std::string common; // of both headers: version, flags (sizes follow; UTF-8), method, time, date
        for (const std::uint64_t value : {20U, 0x0808U, 8U, 0U, 0x21U}) put(common, value, 2);
        std::string sizes;
        for (const std::uint64_t value :
             {std::uint64_t{sum}, std::uint64_t{packed.size()}, std::uint64_t{content.size()}})
            put(sizes, value, 4);
        archive += "PK\x03\x04" + common + std::string(12, '\0');
        put(archive, name.size(), 2);
        put(archive, 0, 2);
        archive += name + packed + "PK\x07\x08" + sizes;
        directory += "PK\x01\x02";
        put(directory, 0x0314, 2); // made by a Unix
        directory += common + sizes;
        put(directory, name.size(), 2);
        put(directory, 0, 8);
        const auto mode = static_cast<std::uint64_t>(std::filesystem::status(path).permissions());
        put(directory, ((is_directory ? 0040000U : 0100000U) | mode) << 16, 4);
        put(directory, offset, 4);
        directory += name;
        ++count;
    }
    const std::uint64_t begin = archive.size();
    archive += directory + "PK\x05\x06" + std::string(4, '\0');
    put(archive, count, 2);
    put(archive, count, 2);
    put(archive, directory.size(), 4);
    put(archive, begin, 4);
    put(archive, 0, 2);
    return archive;
}

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif

#include <nlohmann/json.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {

/// How the storage proxy lies, so that clients can be tested against a hostile or broken one.
enum class storage_lie {
    none,
    offset_ahead,    ///< an upload's offset is told one byte too large
    offset_behind,   ///< and one too small
    offset_stuck,    ///< nothing is kept of a chunk, and the offset stays
    offset_missing,  ///< no Upload-Offset
    offset_garbage,  ///< Upload-Offset is no number
    keeps_half,      ///< half of each chunk is kept, and told honestly
    whole_chunks,    ///< a chunk that is cut off is not kept at all; honest otherwise
    wrong_length,    ///< Upload-Length is not the size that was announced
    conflict,        ///< an upload's offset is called wrong (409)
    lost,            ///< no upload session is known (404)
    done_is_lost,    ///< the answer to the last chunk is "no such upload session"
    token_refused,   ///< tokens are called bad (400)
    range_elsewhere, ///< a range begins elsewhere than asked for, and says so
    range_of_other,  ///< the whole that a range is part of is said to be longer
    range_ignored,   ///< 200 and the whole file for a range
    range_refused,   ///< 416 for any range
    new_validators,  ///< ETag and Last-Modified are others each time
    no_validators,   ///< neither of both
    encoded          ///< says that the content is compressed
};

namespace detail {

/// Thread-safe.
class storage_proxy {
public:
    /// @param place where uploads are kept until they are whole
    storage_proxy(const gateway_options& options, fault_list& faults, std::filesystem::path place)
        : options_(options), faults_(faults), place_(std::move(place)) {}

    /// Tokens for one file each, of a folder that lies at @p root.
    std::string make_upload_token(std::filesystem::path root, std::string path, std::uint64_t size) {
        const std::lock_guard<std::mutex> lock(mutex_);
        std::filesystem::create_directories(place_);
        const std::string token = make_token();
        tickets_[token] = {true, std::move(root), std::move(path), random_token(16)};
        upload made;
        made.part = place_ / tickets_[token].upload;
        made.size = size;
        std::ofstream(made.part).close();
        uploads_[tickets_[token].upload] = std::make_shared<upload>(std::move(made));
        return token;
    }
    std::string make_download_token(std::filesystem::path root, std::string path) {
        const std::lock_guard<std::mutex> lock(mutex_);
        const std::string token = make_token();
        tickets_[token] = {false, std::move(root), std::move(path), {}};
        return token;
    }

    /// Its whole table: it shares no path with the manager's.
    void add_to(router& table) {
        const auto bind = [this](http_reply (storage_proxy::*handler)(const gateway_request&)) {
            return [this, handler](const gateway_request& request) {
                http_reply reply = (this->*handler)(request);
                reply.headers.emplace_back("Date", http_date(options_.clock()));
                return reply;
            };
        };
        table.add("HEAD", "/upload", false, bind(&storage_proxy::tell_offset));
        table.add("OPTIONS", "/upload", false, bind(&storage_proxy::describe));
        table.add("PATCH", "/upload", false, bind(&storage_proxy::append));
        table.add("GET", "/download", false, bind(&storage_proxy::download));
        table.add("OPTIONS", "/download", false, [](const gateway_request&) {
            http_reply reply; // what it says to a client that is no browser
            reply.status = 403;
            reply.headers = {{"Content-Type", "text/plain; charset=utf-8"}};
            reply.body = "CORS preflight request failed: origin header is not specified in the request";
            return reply;
        });
    }

    void lie(storage_lie kind, int times) {
        const std::lock_guard<std::mutex> lock(mutex_);
        lie_ = kind;
        lie_times_ = times;
    }
    /// Bytes of file content that have come, whatever became of them.
    std::uint64_t received_bytes() const { return received_; }
    /// Bytes of files that have been taken out of the disk to be sent.
    std::uint64_t sent_bytes() const { return sent_; }
    std::size_t open_uploads() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return uploads_.size();
    }
    /// Makes all tokens bad, as when their time is over.
    void expire_tokens() {
        const std::lock_guard<std::mutex> lock(mutex_);
        tickets_.clear();
    }

    /// "Sun, 06 Nov 1994 08:49:37 GMT"
    static std::string http_date(std::chrono::system_clock::time_point time) {
        const std::string iso = codec::format_date(time); // 1994-11-06T08:49:37.000000+00:00
        static const char* const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                             "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
        static const char* const days[] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
        const auto day = std::chrono::duration_cast<std::chrono::hours>(time.time_since_epoch()).count() / 24;
        const auto month = static_cast<std::size_t>(std::stoi(iso.substr(5, 2)) - 1);
        return std::string(days[day % 7]) + ", " + iso.substr(8, 2) + ' ' + months[month] + ' ' + iso.substr(0, 4) +
               ' ' + iso.substr(11, 8) + " GMT";
    }

private:
    struct ticket {
        bool is_upload = false;
        std::filesystem::path root;
        std::string path;
        std::string upload;
    };
    struct upload {
        std::filesystem::path part;
        std::uint64_t size = 0;
    };

    static std::string make_token() { return "eyJ0eXAiOiJKV1QifQ." + random_token(24) + '.' + random_token(16); }

    static problem storage_problem(int status, const std::string& type, const std::string& title,
                                   nlohmann::json data = nullptr) {
        return {status, "storage/" + type, title,
                data.is_null() ? nlohmann::json() : nlohmann::json{{"data", std::move(data)}}};
    }

    bool lies(storage_lie kind) {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (lie_ != kind || lie_times_ == 0) return false;
        if (lie_times_ > 0) --lie_times_;
        return true;
    }

    ticket ticket_of(const gateway_request& request, bool is_upload) {
        std::string token;
        for (const auto& item : request.query) {
            if (item.first == "token") token = item.second;
        }
        const bool refused = lies(storage_lie::token_refused);
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = tickets_.find(token);
        // It tells the token back, as real ones do.
        if (found == tickets_.end() || refused)
            throw storage_problem(400, "invalid-api-params", "Invalid API parameters", {{"token", token}});
        if (found->second.is_upload != is_upload) {
            const std::string op = is_upload ? "value is not exactly 'upload'" : "value is not exactly 'download'";
            throw storage_problem(400, "invalid-api-params", "Invalid API parameters", {{"token", {{"op", op}}}});
        }
        return found->second;
    }

    // --- uploads -----------------------------------------------------------------------------------------------------

    http_reply describe(const gateway_request& /*request*/) {
        http_reply reply;
        reply.headers = {{"Tus-Resumable", "1.0.0"}, {"Tus-Version", "1.0.0"}, {"Tus-Max-Size", "1099511627776"}};
        return reply;
    }

    std::shared_ptr<upload> upload_of(const ticket& item) {
        const bool lost = lies(storage_lie::lost);
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = uploads_.find(item.upload);
        if (found == uploads_.end() || lost)
            throw storage_problem(404, "no-such-upload-session", "No such upload session");
        return found->second;
    }

    http_reply offset_reply(int status, std::uint64_t offset, std::uint64_t size) {
        http_reply reply;
        reply.status = status;
        if (lies(storage_lie::offset_ahead)) ++offset;
        if (lies(storage_lie::offset_behind) && offset > 0) --offset;
        if (lies(storage_lie::wrong_length)) ++size;
        reply.headers = {{"Cache-Control", "no-store"}, {"Tus-Resumable", "1.0.0"}};
        if (!lies(storage_lie::offset_missing)) {
            reply.headers.emplace_back("Upload-Offset",
                                       lies(storage_lie::offset_garbage) ? "-1x" : std::to_string(offset));
        }
        reply.headers.emplace_back("Upload-Length", std::to_string(size));
        return reply;
    }

    http_reply tell_offset(const gateway_request& request) {
        const std::shared_ptr<upload> item = upload_of(ticket_of(request, true));
        return offset_reply(200, std::filesystem::file_size(item->part), item->size);
    }

    http_reply append(const gateway_request& request) {
        const ticket what = ticket_of(request, true);
        const std::shared_ptr<upload> item = upload_of(what);
        if (options_.storage_checks_offset) {
            const std::string* told = find_header(request.call.headers, "Upload-Offset");
            if (told == nullptr || told->empty() || told->find_first_not_of("0123456789") != std::string::npos)
                throw storage_problem(400, "invalid-api-params", "Invalid API parameters");
            if (std::stoull(*told) != std::filesystem::file_size(item->part))
                throw storage_problem(409, "upload-offset-mismatch", "Upload offset mismatch");
        }
        if (lies(storage_lie::conflict)) throw storage_problem(409, "upload-offset-mismatch", "Upload offset mismatch");
        take_body(request, *item);
        const std::uint64_t offset = std::filesystem::file_size(item->part);
        if (offset >= item->size) {
            finish(what, *item);
            if (lies(storage_lie::done_is_lost))
                throw storage_problem(404, "no-such-upload-session", "No such upload session");
        }
        return offset_reply(204, offset, item->size);
    }

    // Each piece is in the file as soon as it has come, so that it stays when the connection ends.
    void take_body(const gateway_request& request, const upload& item) {
        const auto cut = faults_.take_in_request(request.call.method, "/upload");
        std::uint64_t left = cut ? cut->position : (std::numeric_limits<std::uint64_t>::max)();
        const bool stuck = lies(storage_lie::offset_stuck);
        const bool half = lies(storage_lie::keeps_half);
        const bool whole = lies(storage_lie::whole_chunks);
        std::ofstream file(item.part, std::ios::binary | std::ios::app);
        std::string held; // for those lies
        const auto take = [&](std::string_view data) {
            received_ += data.size();
            if (stuck || half || whole) {
                held += data;
            } else {
                file.write(data.data(), static_cast<std::streamsize>(data.size())).flush();
            }
            if (options_.storage_pace.count() > 0) std::this_thread::sleep_for(options_.storage_pace);
        };
        take(request.call.body);
        std::vector<char> buffer(64 * 1024);
        while (request.call.stream) {
            const auto most = static_cast<std::size_t>((std::min)(std::uint64_t{buffer.size()}, left));
            if (most == 0) throw end_of_connection{};
            const std::size_t count = request.call.stream(buffer.data(), most);
            if (count == 0) break;
            take({buffer.data(), count});
            left -= count;
        }
        if (stuck) held.clear();
        if (half) held.resize((held.size() + 1) / 2);
        file.write(held.data(), static_cast<std::streamsize>(held.size())).flush();
        if (!file) throw problem(500, "internal-server-error", "Internal server error.");
    }

    void finish(const ticket& what, const upload& item) {
        const auto target = place_below(what.root, what.path);
        std::filesystem::create_directories(target.parent_path());
        std::filesystem::rename(item.part, target);
        const std::lock_guard<std::mutex> lock(mutex_);
        uploads_.erase(what.upload);
    }

    // --- downloads ---------------------------------------------------------------------------------------------------

    http_reply download(const gateway_request& request) {
        const ticket what = ticket_of(request, false);
        bool archive = false;
        for (const auto& item : request.query) archive = archive || (item.first == "archive" && item.second == "true");
        const auto path = place_below(what.root, what.path);
        if (std::filesystem::is_directory(path)) {
            if (!archive) throw storage_problem(400, "The file is not a regular file.", "Invalid API parameters");
            http_reply reply;
            reply.headers = {{"Content-Type", "application/zip"},
                             {"Content-Disposition", disposition(path.filename().string() + ".zip")}};
            reply.body = make_zip(path);
            return reply;
        }
        if (!std::filesystem::exists(path)) throw storage_problem(404, "file-not-found", "File not found");
        return send_file(request, path);
    }

    static std::string disposition(const std::string& name) {
        const std::string escaped = codec::escape_segment(name);
        return "attachment;filename=\"" + escaped + "\"; filename*=UTF-8''" + escaped;
    }

    struct range {
        std::uint64_t begin = 0, end = 0; // one behind the last byte
    };

    // "bytes=a-", "bytes=a-b", "bytes=-n"; nothing for what cannot be served.
    static std::optional<range> parse_range(const std::string& text, std::uint64_t size) {
        if (text.compare(0, 6, "bytes=") != 0) return {};
        const std::size_t dash = text.find('-');
        if (dash == std::string::npos || text.find_first_not_of("0123456789-", 6) != std::string::npos) return {};
        const std::string first = text.substr(6, dash - 6), last = text.substr(dash + 1);
        if (last.find('-') != std::string::npos || (first.empty() && last.empty())) return {};
        range result{0, size};
        if (first.empty()) {
            result.begin = size - (std::min)(size, std::uint64_t{std::stoull(last)});
        } else {
            result.begin = std::stoull(first);
            if (!last.empty()) result.end = (std::min)(size, std::uint64_t{std::stoull(last)} + 1);
        }
        if (result.begin >= result.end) return {};
        return result;
    }

    http_reply send_file(const gateway_request& request, const std::filesystem::path& path) {
        auto file = std::make_shared<os::open_file>(os::open_for_reading(path));
        const std::uint64_t size = file->size();
        const os::file_time modified = file->modified();
        auto time = std::chrono::system_clock::time_point(std::chrono::seconds(modified.seconds));
        char digits[64];
        std::snprintf(digits, sizeof digits, "%llx-%llx",
                      static_cast<unsigned long long>(modified.seconds) * 1'000'000'000U +
                          static_cast<unsigned long long>(modified.nanoseconds),
                      static_cast<unsigned long long>(size));
        std::string tag = digits;
        if (lies(storage_lie::new_validators)) {
            tag = random_token(8);
            time += std::chrono::hours(++changes_);
        }
        http_reply reply;
        reply.headers = {{"Content-Type", "application/octet-stream"},
                         {"Content-Disposition", disposition(path.filename().string())}};
        const std::string* wanted = find_header(request.call.headers, "Range");
        const std::string* unless = find_header(request.call.headers, "If-Range");
        // aiohttp knows dates there only, and takes an entity tag for no condition at all.
        const auto since = unless != nullptr ? codec::parse_http_date(*unless) : std::nullopt;
        if ((since && time > *since) || lies(storage_lie::range_ignored)) wanted = nullptr;
        range part{0, size};
        if (wanted != nullptr) {
            const auto parsed = parse_range(*wanted, size);
            if (!parsed || lies(storage_lie::range_refused)) {
                reply.status = 416;
                reply.headers.emplace_back("Content-Range", "bytes */" + std::to_string(size));
                return reply;
            }
            part = *parsed;
            reply.status = 206;
            const std::uint64_t told = lies(storage_lie::range_elsewhere) ? part.begin + 1 : part.begin;
            const std::uint64_t whole = lies(storage_lie::range_of_other) ? size + 1 : size;
            reply.headers.emplace_back("Content-Range", "bytes " + std::to_string(told) + '-' +
                                                            std::to_string(part.end - 1) + '/' + std::to_string(whole));
        }
        if (!lies(storage_lie::no_validators)) {
            reply.headers.emplace_back("Etag", '"' + tag + '"');
            reply.headers.emplace_back("Last-Modified", http_date(time));
        }
        const std::string* newer = find_header(request.call.headers, "If-Modified-Since");
        const auto known = newer != nullptr ? codec::parse_http_date(*newer) : std::nullopt;
        if (known && time <= *known) {
            reply.status = 304;
            return reply;
        }
        for (const auto& item : request.query) {
            if (item.first == "no_cache" && item.second == "true")
                reply.headers.emplace_back("Cache-Control", "no-store");
        }
        if (lies(storage_lie::encoded)) reply.headers.emplace_back("Content-Encoding", "gzip");
        reply.headers.emplace_back("Accept-Ranges", "bytes");
        file->seek(part.begin);
        auto left = std::make_shared<std::uint64_t>(part.end - part.begin);
        const auto pull = [this, file, left](char* buffer, std::size_t capacity) {
            const auto most = static_cast<std::size_t>((std::min)(std::uint64_t{capacity}, *left));
            const std::size_t count = most == 0 ? 0 : file->read(buffer, most);
            *left -= count;
            sent_ += count;
            if (count != 0 && options_.storage_pace.count() > 0) std::this_thread::sleep_for(options_.storage_pace);
            return count;
        };
        if (request.call.takes_stream) {
            reply.stream = pull;
            reply.stream_length = *left;
            return reply;
        }
        std::vector<char> buffer(64 * 1024);
        while (const std::size_t count = pull(buffer.data(), buffer.size())) reply.body.append(buffer.data(), count);
        return reply;
    }

    const gateway_options& options_;
    fault_list& faults_;
    std::filesystem::path place_;
    mutable std::mutex mutex_;
    std::map<std::string, ticket> tickets_;                  // by token
    std::map<std::string, std::shared_ptr<upload>> uploads_; // by upload session
    storage_lie lie_ = storage_lie::none;
    int lie_times_ = 0;
    std::atomic<std::uint64_t> received_{0}, sent_{0};
    std::atomic<int> changes_{0};
};

/// The manager's part: who asks for a token must be allowed to use the folder. Thread-safe.
class storage_routes {
public:
    /// Where a folder lies that a user may use so. @throws problem
    using finder =
        std::function<std::filesystem::path(const std::string& user, const std::string& name, const char* permission)>;

    /// @param url of the storage proxy
    storage_routes(const gateway_options& options, storage_proxy& proxy, finder find, std::function<std::string()> url)
        : options_(options), proxy_(proxy), find_(std::move(find)), url_(std::move(url)) {}

    void add_to(router& table) {
        table.add("POST", "/folders/{}/request-upload", true, [this](const gateway_request& request) {
            const auto root = find_(access_key_of(request.call), request.arguments[0], "rw");
            const nlohmann::json body = request.json();
            const std::string path = text(body, "path");
            const auto size = body.find("size");
            if (size == body.end() || !size->is_number_integer()) throw missing("size");
            // Neither sign nor `..` is looked at here.
            return answer(proxy_.make_upload_token(root, path, static_cast<std::uint64_t>(size->get<std::int64_t>())),
                          "/upload");
        });
        table.add("POST", "/folders/{}/request-download", true, [this](const gateway_request& request) {
            const auto root = find_(access_key_of(request.call), request.arguments[0], "ro");
            const nlohmann::json body = request.json();
            return answer(proxy_.make_download_token(root, text(body, body.contains("file") ? "file" : "path")),
                          "/download");
        });
    }

private:
    static problem missing(const char* key) {
        return {400,
                "invalid-api-params",
                "Missing or invalid API parameters.",
                {{"msg", "Input validation error"}, {"data", {{key, "is required"}}}}};
    }
    static std::string text(const nlohmann::json& body, const char* key) {
        const auto found = body.find(key);
        if (found == body.end() || !found->is_string()) throw missing(key);
        return found->get<std::string>();
    }
    http_reply answer(const std::string& token, const char* path) const {
        http_reply reply = json_reply({{"token", token}, {"url", url_() + path}});
        reply.headers.emplace_back("Date", storage_proxy::http_date(options_.clock()));
        return reply;
    }

    const gateway_options& options_;
    storage_proxy& proxy_;
    finder find_;
    std::function<std::string()> url_;
};

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/testing/gateway_streams.hpp
/// @file
/// The embedded gateway's websocket endpoints: runs, terminals, and connections to services.
#ifndef BACKENDAI_TESTING_GATEWAY_STREAMS_HPP
#define BACKENDAI_TESTING_GATEWAY_STREAMS_HPP

// ---- backendai/testing/gateway_pty.hpp
/// @file
/// A shell on a pseudo terminal.
#ifndef BACKENDAI_TESTING_GATEWAY_PTY_HPP
#define BACKENDAI_TESTING_GATEWAY_PTY_HPP


#include <chrono>
#include <cstdlib>
#include <fcntl.h>
#include <map>
#include <optional>
#include <poll.h>
#include <string>
#include <string_view>
#include <sys/ioctl.h>
#include <system_error>
#include <termios.h>
#include <unistd.h>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// Ends the shell when it is destroyed. One thread may read while another writes and resizes.
class pty_shell {
public:
    pty_shell(const std::map<std::string, std::string>& environment, const std::string& directory) {
        main_ = os::descriptor(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
        char name[128] = {};
        if (!main_.is_open() || ::grantpt(main_.get()) != 0 || ::unlockpt(main_.get()) != 0 ||
            ::ptsname_r(main_.get(), name, sizeof name) != 0) {
            throw std::system_error(errno, std::generic_category(), "pseudo terminal");
        }
        resize(24, 80);
        // A session leader without a terminal gets the first one that it opens: here by the redirection.
        std::string shell = os::find_program("bash");
        const bool is_bash = !shell.empty();
        if (!is_bash) shell = "/bin/sh";
        os::process_options options;
        options.arguments = {"/bin/sh", "-c", R"(exec <"$0" >"$0" 2>&1; exec "$@")", name, shell};
        if (is_bash) options.arguments.insert(options.arguments.end(), {"--noprofile", "--norc", "--noediting"});
        options.arguments.emplace_back("-i");
        options.environment = environment;
        options.environment["TERM"] = "xterm";
        options.environment["PS1"] = "$ ";
        options.environment.erase("PROMPT_COMMAND");
        options.directory = directory;
        // Held open as long as the other side: a terminal that nobody holds reads as ended, and what is typed before
        // the shell has it is echoed already.
        other_ = os::descriptor(::open(name, O_RDWR | O_NOCTTY | O_CLOEXEC));
        process_ = os::child_process(options);
    }

    /// What the terminal shows; empty when nothing came within @p limit; nothing when the shell has ended.
    std::optional<std::string> read_for(std::chrono::milliseconds limit) {
        pollfd entry{main_.get(), POLLIN, 0};
        if (::poll(&entry, 1, static_cast<int>(limit.count())) <= 0) {
            if (process_.try_wait()) return std::nullopt;
            return std::string();
        }
        char buffer[16384];
        const ssize_t count = ::read(main_.get(), buffer, sizeof buffer);
        if (count > 0) return std::string(buffer, static_cast<std::size_t>(count));
        if (count < 0 && (errno == EINTR || errno == EAGAIN)) return std::string();
        return std::nullopt;
    }
    void write(std::string_view bytes) {
        while (!bytes.empty()) {
            const ssize_t count = ::write(main_.get(), bytes.data(), bytes.size());
            if (count < 0 && errno != EINTR) return; // the shell has ended, which read_for() tells
            if (count > 0) bytes.remove_prefix(static_cast<std::size_t>(count));
        }
    }
    void resize(int rows, int cols) {
        winsize size{};
        size.ws_row = static_cast<unsigned short>(rows);
        size.ws_col = static_cast<unsigned short>(cols);
        ::ioctl(main_.get(), TIOCSWINSZ, &size);
    }

private:
    os::descriptor main_, other_;
    os::child_process process_;
};

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/testing/gateway_services.hpp
/// @file
/// The network services in the embedded gateway's sessions: python's http.server as "jupyter", an echo service, and
/// whatever ports of this machine a test adds.
#ifndef BACKENDAI_TESTING_GATEWAY_SERVICES_HPP
#define BACKENDAI_TESTING_GATEWAY_SERVICES_HPP


#include <nlohmann/json.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// Sends back what it gets, and ends its side when the peer has.
class echo_service {
public:
    echo_service() : listener_(os::tcp_socket::listen_loopback(0)), port_(listener_.local_port()) {
        acceptor_ = std::thread([this] { accept_loop(); });
    }
    echo_service(const echo_service&) = delete;
    echo_service& operator=(const echo_service&) = delete;
    ~echo_service() {
        stopping_ = true;
        acceptor_.join();
        for (connection& item : connections_) item.socket.shutdown();
        for (connection& item : connections_) item.thread.join();
    }
    std::uint16_t port() const { return port_; }

private:
    struct connection {
        os::tcp_socket socket;
        std::thread thread;
        std::atomic<bool> is_done{false};
    };

    void accept_loop() {
        while (!stopping_) {
            os::tcp_socket socket = listener_.accept(std::chrono::milliseconds(100));
            for (auto item = connections_.begin(); item != connections_.end();) {
                if (item->is_done) {
                    item->thread.join();
                    item = connections_.erase(item);
                } else {
                    ++item;
                }
            }
            if (!socket.is_open()) continue;
            connections_.emplace_back();
            connection& item = connections_.back();
            item.socket = std::move(socket);
            item.thread = std::thread([&item] {
                try {
                    std::vector<char> buffer(128 * 1024);
                    while (const std::size_t count = item.socket.read(buffer.data(), buffer.size())) {
                        item.socket.write({buffer.data(), count});
                    }
                    item.socket.shutdown_writes();
                } catch (const std::system_error&) {
                    // The client went away in the middle.
                }
                item.socket.shutdown();
                item.is_done = true;
            });
        }
    }

    os::tcp_socket listener_;
    std::uint16_t port_;
    std::atomic<bool> stopping_{false};
    std::list<connection> connections_; // of the accepting thread until that has ended
    std::thread acceptor_;
};

/// Thread-safe. Services start when they are first asked for.
class service_table {
public:
    /// A port of this machine as a service in every session.
    void add(const std::string& name, const std::string& protocol, std::uint16_t port) {
        const std::lock_guard<std::mutex> lock(mutex_);
        added_[name] = {protocol, port};
    }

    /// As get_or_create tells them.
    nlohmann::json list() const {
        nlohmann::json result = nlohmann::json::array();
        const auto tell = [&result](const std::string& name, const std::string& protocol, int port) {
            result.push_back({{"name", name}, {"protocol", protocol}, {"container_port", port}, {"host_port", port}});
        };
        if (interpreters().count("python") != 0) tell("jupyter", "http", 8080);
        tell("echo", "tcp", 7000);
        const std::lock_guard<std::mutex> lock(mutex_);
        for (const auto& item : added_) tell(item.first, item.second.first, item.second.second);
        return result;
    }

    /// The local port of a service; 0 when there is none of that name.
    std::uint16_t port_of(const std::string& name, const std::string& session, const std::string& directory,
                          const std::map<std::string, std::string>& environment) {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = added_.find(name);
        if (found != added_.end()) return found->second.second;
        if (name == "echo") {
            if (!echo_) echo_ = std::make_unique<echo_service>();
            return echo_->port();
        }
        const auto python = interpreters().find("python");
        if (name != "jupyter" || python == interpreters().end()) return 0;
        std::unique_ptr<web_server>& server = web_servers_[session];
        if (!server || server->process.try_wait()) {
            server = std::make_unique<web_server>(python->second.command.at(0), directory, environment);
        }
        return server->port;
    }
    /// Ends what runs for sessions that are gone.
    void keep_only(const std::vector<std::string>& sessions) {
        const std::lock_guard<std::mutex> lock(mutex_);
        for (auto item = web_servers_.begin(); item != web_servers_.end();) {
            bool lives = false;
            for (const std::string& session : sessions) lives = lives || session == item->first;
            item = lives ? std::next(item) : web_servers_.erase(item);
        }
    }

private:
    struct web_server {
        web_server(const std::string& python, const std::string& directory,
                   const std::map<std::string, std::string>& environment) {
            os::pipe_ends out = os::make_pipe();
            os::process_options options;
            options.arguments = {python, "-u", "-c",
                                 "import http.server\n"
                                 "class handler(http.server.SimpleHTTPRequestHandler):\n"
                                 "    protocol_version = 'HTTP/1.1'\n"
                                 "    def log_message(self, *arguments): pass\n"
                                 "server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)\n"
                                 "print(server.server_port, flush=True)\n"
                                 "server.serve_forever()\n"};
            options.environment = environment;
            options.directory = directory;
            options.descriptors = {{1, out.write_end.get()}};
            process = os::child_process(options);
            out.write_end.close();
            std::string line;
            char c = 0;
            while (::read(out.read_end.get(), &c, 1) == 1 && c != '\n') line += c;
            port = static_cast<std::uint16_t>(std::strtoul(line.c_str(), nullptr, 10));
        }
        os::child_process process;
        std::uint16_t port = 0;
    };

    mutable std::mutex mutex_;
    std::map<std::string, std::pair<std::string, std::uint16_t>> added_;
    std::unique_ptr<echo_service> echo_;
    std::map<std::string, std::unique_ptr<web_server>> web_servers_;
};

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/testing/gateway_websocket.hpp
/// @file
/// The server's side of a websocket on a connection of the embedded gateway, which can also lie.
#ifndef BACKENDAI_TESTING_GATEWAY_WEBSOCKET_HPP
#define BACKENDAI_TESTING_GATEWAY_WEBSOCKET_HPP


#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// What came from a client.
struct client_message {
    bool is_closed = false; ///< by a close frame, or by the end of the connection
    std::string data;
};

/// Thrown out of a handler when its websocket is over for a scripted fault.
struct scripted_end {};

/// One thread receives while others send.
class server_websocket {
public:
    server_websocket(os::tcp_socket& socket, std::string rest, std::shared_ptr<const fault> wrong)
        : socket_(socket), early_(std::move(rest)), wrong_(std::move(wrong)), input_(early_) {}

    /// The next message, or nothing when none came within @p limit.
    std::optional<client_message> receive_for(std::chrono::milliseconds limit) {
        const auto end = std::chrono::steady_clock::now() + limit;
        try {
            for (;;) {
                while (const auto event = codec_.decode(input_)) {
                    const bool is_data = !codec::is_control(event->opcode);
                    if (is_data) return client_message{false, codec_.take()};
                    const bool is_close = event->opcode == codec::websocket_opcode::close;
                    answer([&] { codec_.note(*event); });
                    if (is_close) return client_message{true, {}};
                }
                const auto left =
                    std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
                if (!socket_.wait_readable((std::max)(left, std::chrono::milliseconds(0)))) return std::nullopt;
                buffer_.prepare();
                const std::size_t count = socket_.read(buffer_.data(), buffer_.size());
                buffer_.note(count);
                if (count == 0) return client_message{true, {}};
                input_ = std::string_view(buffer_.data(), count);
            }
        } catch (const codec::websocket_error& error) {
            answer([&] { codec_.note(error); });
        } catch (const std::system_error&) {
            // A broken connection is an end like another to a server.
        }
        return client_message{true, {}};
    }

    /// @throws std::system_error when the client is gone, scripted_end.
    void send_text(std::string_view text) { send(codec::websocket_opcode::text, text, text.size()); }
    /// In messages of @p message_size bytes at most, which go out together.
    void send_binary(std::string_view bytes, std::size_t message_size) {
        send(codec::websocket_opcode::binary, bytes, message_size);
    }

    /// Says goodbye; another thread that receives sees the client's.
    void close_nowait(std::uint16_t code, std::string_view reason = {}) {
        try {
            answer([&] { codec_.write_close(out_, code, reason); });
        } catch (const std::system_error&) {
            // Gone without a goodbye.
        }
    }
    /// Says goodbye and waits a moment for the client's.
    void close(std::uint16_t code, std::string_view reason = {}) {
        try {
            answer([&] { codec_.write_close(out_, code, reason); });
            if (has_lied()) return;
            const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(2);
            while (std::chrono::steady_clock::now() < end) {
                const auto message = receive_for(std::chrono::milliseconds(200));
                if (message && message->is_closed) break;
            }
        } catch (const std::system_error&) {
            // Gone without a goodbye.
        }
    }

private:
    bool has_lied() {
        const std::lock_guard<std::mutex> lock(mutex_);
        return has_lied_;
    }

    template <class Note>
    void answer(Note&& note) {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (has_lied_) return;
        note();
        codec_.write_pending(out_);
        flush();
    }

    void send(codec::websocket_opcode opcode, std::string_view bytes, std::size_t message_size) {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (has_lied_ || !codec_.control().may_send()) return; // it will see the client's close soon
        do {
            const std::string_view payload = bytes.substr(0, message_size);
            bytes.remove_prefix(payload.size());
            if (wrong_ && sent_++ == wrong_->position) {
                flush();
                lie(opcode, payload);
            }
            codec_.write_message(out_, opcode, payload);
        } while (!bytes.empty());
        flush();
    }

    void flush() {
        std::string bytes;
        bytes.swap(out_); // which is empty when the client is gone
        if (!bytes.empty()) socket_.write(bytes);
        bytes.clear();
        bytes.swap(out_); // its memory serves the next
    }

    [[noreturn]] void lie(codec::websocket_opcode opcode, std::string_view payload) {
        has_lied_ = true; // nothing more may follow, a goodbye least of all
        std::string bytes;
        switch (wrong_->kind) {
        case fault_kind::websocket_drop:
            codec::websocket_append_frame(bytes, opcode, true, payload, nullptr);
            bytes.resize(bytes.size() / 2);
            break;
        case fault_kind::websocket_bad_frame: bytes = "\xC1\x02??"; break; // text with the first reserved bit
        case fault_kind::websocket_oversized_frame: {
            unsigned char head[codec::websocket_max_header_size];
            const std::size_t size =
                codec::websocket_write_header(head, opcode, true, std::uint64_t{1} << 62U, nullptr);
            bytes.assign(reinterpret_cast<const char*>(head), size);
            break;
        }
        case fault_kind::websocket_close:
            codec_.write_close(bytes, static_cast<std::uint16_t>(wrong_->status), wrong_->bytes);
            break;
        case fault_kind::websocket_message:
            codec_.write_message(bytes, codec::websocket_opcode::text, wrong_->bytes);
            break;
        default: break; // websocket_stall sends nothing more
        }
        if (!bytes.empty()) socket_.write(bytes);
        if (wrong_->kind != fault_kind::websocket_drop) {
            // Until the client gives up: what it still sends is thrown away. Another thread may be receiving.
            std::vector<char> ignored(4096);
            while (socket_.read(ignored.data(), ignored.size()) != 0) continue;
        }
        throw scripted_end{};
    }

    os::tcp_socket& socket_;
    const std::string early_;
    const std::shared_ptr<const fault> wrong_;
    os::read_buffer buffer_;
    std::string_view input_;
    std::mutex mutex_; // of everything below but codec_.decode()
    codec::websocket_codec codec_{codec::websocket_role::server};
    std::string out_;
    std::size_t sent_ = 0;
    bool has_lied_ = false;
};

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif

#include <nlohmann/json.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// Handlers of /stream/kernel. Thread-safe.
class stream_routes {
public:
    stream_routes(const gateway_options& options, session_table& sessions, fault_list& faults)
        : options_(options), protocol_(find_protocol(options.protocol)), sessions_(sessions), faults_(faults) {}

    void add_to(router& table) {
        const auto add = [&](const std::string& path, void (stream_routes::*serve)(server_websocket&, const peer&)) {
            table.add("GET", path, true,
                      [this, serve](const gateway_request& request) { return open(request, serve); });
        };
        const std::string base = protocol_.is_modern ? "/stream/session/{}" : "/stream/kernel/{}";
        add(base + "/execute", &stream_routes::execute);
        add(base + "/pty", &stream_routes::terminal);
        add(base + "/httpproxy", &stream_routes::proxy);
        add(base + "/tcpproxy", &stream_routes::proxy);
    }

    service_table& services() { return services_; }
    std::size_t open_streams() const { return open_; }

private:
    struct peer {
        std::string session;
        std::string app;
    };
    using serve_function = void (stream_routes::*)(server_websocket&, const peer&);

    http_reply open(const gateway_request& request, serve_function serve) {
        peer who;
        who.session = sessions_.key_of(request.arguments[0], access_key_of(request.call));
        sessions_.find(who.session); // 404 while it can still be told so
        services_.keep_only(sessions_.tokens());
        for (const auto& item : request.query) {
            if (item.first == "app" || (protocol_.is_modern && item.first == "service")) who.app = item.second;
        }
        if (serve == &stream_routes::proxy) {
            check_app(request, who.app);
        }
        const codec::websocket_server_answer answer =
            codec::websocket_answer(request.call.method, request.call.headers);
        http_reply reply;
        reply.status = answer.status;
        reply.reason = answer.reason;
        for (const auto& field : answer.headers) {
            const bool is_connections =
                field.first == "Content-Length" || (!answer.accepted() && field.first == "Connection");
            if (!is_connections) reply.headers.push_back(field);
        }
        if (!answer.accepted()) return reply;
        const std::string path =
            request.call.target.substr(0, request.call.target.find('?')).substr(options_.path_prefix.size());
        reply.upgrade = [this, who, serve, wrong = faults_.take_websocket(request.call.method, path)](
                            os::tcp_socket& socket, std::string rest) {
            ++open_;
            server_websocket stream(socket, std::move(rest), wrong);
            try {
                (this->*serve)(stream, who);
            } catch (const scripted_end&) {
                // As the script wants it.
            } catch (const std::system_error&) {
                // The client is gone, which makes this harmless; or what it wanted cannot be started.
                stream.close_nowait(is_gone(who.session) ? codec::websocket_close::going_away
                                                         : codec::websocket_close::internal_error);
            } catch (const problem& reason) {
                stream.close(codec::websocket_close::going_away, reason.what()); // the session ended meanwhile
            }
            --open_;
        };
        return reply;
    }

    void check_app(const gateway_request& request, const std::string& app) const {
        if (protocol_.is_modern) {
            parameters given(request);
            given.required_text({"app", "service"}, "app");
            for (const char* key : {"envs", "arguments"}) given.text({key});
            // The text of the query is not taken for a number.
            if (given.find({"port"}) != nullptr) given.wrong("port", "value should be None");
            given.finish();
        }
        if (app.empty()) throw invalid_parameters("app: is required");
        for (const auto& item : services_.list()) {
            if (item["name"] == app) return;
        }
        throw problem(404, "app-not-found", "No such app service provided by the session.", nullptr,
                      protocol_.is_modern ? request.arguments[0] + ':' + app : std::string());
    }

    bool is_gone(const std::string& session) {
        try {
            sessions_.find(session);
            return false;
        } catch (const problem&) {
            return true;
        }
    }

    // --- runs --------------------------------------------------------------------------------------------------------

    void execute(server_websocket& stream, const peer& who) {
        std::string id;
        try {
            const auto first = stream.receive_for(options_.keep_alive);
            if (!first || first->is_closed) return;
            const auto session = sessions_.find(who.session);
            kernel& body = session->body();
            id = add_run(body, first->data);
            if (!run_to_end(stream, body, id)) abandon(body, id);
        } catch (const problem& wrong) {
            stream.send_text(nlohmann::json({{"status", "error"}, {"msg", wrong.what()}}).dump());
        }
        stream.close(codec::websocket_close::normal);
    }

    std::string add_run(kernel& body, const std::string& text) {
        const nlohmann::json command = nlohmann::json::parse(text, nullptr, false);
        if (!command.is_object()) throw invalid_parameters("the first message is not an object");
        const std::string mode = text_member(command, "mode");
        const nlohmann::json options = object_member(command, "options");
        run item;
        item.id = random_token(8);
        item.code = text_member(command, "code");
        if (mode == "batch") {
            item.is_batch = true;
            item.phase = 0;
            item.commands = {text_member(options, "clean"), text_member(options, "build"),
                             text_member(options, "exec")};
        } else if (mode != "query") {
            throw invalid_parameters("mode: must be one of query, batch");
        }
        const std::string id = item.id;
        body.add(std::move(item));
        return id;
    }

    // False when the client left before.
    bool run_to_end(server_websocket& stream, kernel& body, const std::string& id) {
        for (;;) {
            nlohmann::json result = body.step(id, std::chrono::milliseconds(100), true);
            const std::string status = result["status"];
            result.erase("runId");
            if (status != "continued" || !result["console"].empty()) {
                try {
                    stream.send_text(result.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
                } catch (...) {
                    if (status != "finished") abandon(body, id);
                    throw;
                }
            }
            if (status == "finished") return true;
            const bool waits = status == "waiting-input";
            std::optional<client_message> message;
            do {
                message = stream.receive_for(std::chrono::milliseconds(waits ? 200 : 0));
                if (message && message->is_closed) return false;
            } while (waits && !message && !is_gone_run(body));
            if (message) body.answer(id, message->data);
        }
    }
    static bool is_gone_run(kernel& body) { return body.is_gone(); }

    // The client left: its code is interrupted, and the end of it taken, so that the next run can begin.
    static void abandon(kernel& body, const std::string& id) {
        try {
            for (int i = 0; i < 20; ++i) {
                if (i == 0) body.interrupt(id); // the next run may have begun
                if (body.step(id, std::chrono::milliseconds(100))["status"] == "finished") return;
            }
        } catch (const problem&) {
            // The run is over already.
        }
    }

    // --- terminals ---------------------------------------------------------------------------------------------------

    void terminal(server_websocket& stream, const peer& who) {
        std::map<std::string, std::string> environment;
        std::string directory;
        {
            const auto session = sessions_.find(who.session);
            directory = session->body().directory().string();
            environment = session->body().environment();
        }
        auto shell = std::make_shared<pty_shell>(environment, directory);
        std::mutex mutex; // of the pointer: restart replaces the shell
        const auto present = [&] {
            const std::lock_guard<std::mutex> lock(mutex);
            return shell;
        };
        std::atomic<bool> is_over{false}, has_ended{false};
        std::thread output([&] {
            try {
                while (!is_over) {
                    const std::shared_ptr<pty_shell> source = present();
                    const std::optional<std::string> bytes = source->read_for(std::chrono::milliseconds(50));
                    if (!bytes && source == present()) break;
                    if (!bytes || bytes->empty()) continue;
                    stream.send_text(nlohmann::json({{"type", "out"}, {"data", codec::base64_encode(*bytes)}}).dump());
                }
            } catch (const std::system_error&) {
                // The client is gone, which the other thread sees too.
            } catch (const scripted_end&) {
                // As the script wants it.
            }
            has_ended = true;
        });
        while (!has_ended && !is_gone(who.session)) {
            const auto message = stream.receive_for(std::chrono::milliseconds(50));
            if (!message) continue;
            if (message->is_closed) break;
            const nlohmann::json command = nlohmann::json::parse(message->data, nullptr, false);
            const std::string type = command.is_object() ? command.value("type", "") : "";
            if (type == "stdin") {
                present()->write(decode(command.value("chars", "")));
            } else if (type == "resize") {
                present()->resize(command.value("rows", 24), command.value("cols", 80));
            } else if (type == "restart") {
                auto fresh = std::make_shared<pty_shell>(environment, directory);
                const std::lock_guard<std::mutex> lock(mutex);
                shell = std::move(fresh);
            }
        }
        is_over = true;
        output.join();
        stream.close(codec::websocket_close::normal);
    }

    static std::string decode(const std::string& text) {
        try {
            return codec::base64_decode(text);
        } catch (const codec::decode_error&) {
            return {}; // the official server drops it too
        }
    }

    // --- services ----------------------------------------------------------------------------------------------------

    void proxy(server_websocket& stream, const peer& who) {
        os::tcp_socket service;
        try {
            std::uint16_t port = 0;
            {
                const auto session = sessions_.find(who.session);
                port = services_.port_of(who.app, who.session, session->body().directory().string(),
                                         session->body().environment());
            }
            service = os::tcp_socket::connect_loopback(port);
        } catch (const std::system_error&) {
            stream.close(protocol_.is_modern ? codec::websocket_close::try_again_later
                                             : codec::websocket_close::bad_gateway,
                         "the service refused the connection");
            return;
        } catch (const problem&) {
            stream.close(codec::websocket_close::going_away, "the session is gone");
            return;
        }
        std::atomic<bool> has_ended{false};
        std::thread downward([&] {
            try {
                os::read_buffer buffer;
                while (const std::size_t count = service.read(buffer.data(), buffer.size())) {
                    buffer.note(count);
                    stream.send_binary({buffer.data(), count}, protocol_.service_message_size);
                    buffer.prepare();
                }
            } catch (const std::system_error&) {
                // Either side broke: the end of both.
            } catch (const scripted_end&) {
                // As the script wants it.
            }
            has_ended = true;
            stream.close_nowait(codec::websocket_close::normal);
        });
        try {
            for (int idle_after_end = 0; idle_after_end < 25;) {
                const auto message = stream.receive_for(std::chrono::milliseconds(200));
                if (!message) {
                    idle_after_end += has_ended ? 1 : 0;
                    if (!has_ended && is_gone(who.session)) stream.close_nowait(codec::websocket_close::going_away);
                    continue;
                }
                if (message->is_closed) break;
                if (!has_ended) service.write(message->data);
            }
        } catch (const std::system_error&) {
            stream.close_nowait(codec::websocket_close::normal);
        }
        service.shutdown();
        downward.join();
    }

    const gateway_options& options_;
    const gateway_protocol& protocol_;
    session_table& sessions_;
    fault_list& faults_;
    service_table services_;
    std::atomic<std::size_t> open_{0};
};

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {

/// Speaks API v4.20190315, or what gateway_options::protocol says. Starts when it is made, and stops when it is
/// destroyed: connections are closed, interpreters killed, threads joined, folders removed. All functions may be called
/// from several threads at once.
class gateway {
public:
    /// @throws std::system_error when the port is taken; std::invalid_argument for an unknown protocol.
    explicit gateway(gateway_options options = {})
        : options_(std::move(options)),
          protocol_(detail::find_protocol(options_.protocol)),
          keypairs_(options_),
          authenticator_(options_, keypairs_),
          sessions_(options_),
          kernels_(options_, sessions_, frozen_),
          modern_sessions_(options_, sessions_, keypairs_, frozen_),
          kernel_files_(options_, sessions_, file_lie_),
          folders_(make_folders()),
          graphql_(make_graphql()) {
        add_routes();
        server_ = std::make_unique<detail::http_server>(
            options_, [this](const http_call& call) { return handle(call); },
            [this](const http_call* call) { return early_fault(call); });
        sessions_.set_endpoint("http://127.0.0.1:" + std::to_string(port()));
        sweeper_ = std::thread([this] { sweep_loop(); });
    }
    gateway(const gateway&) = delete;
    gateway& operator=(const gateway&) = delete;
    ~gateway() {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            stopping_ = true;
        }
        stopped_.notify_all();
        sweeper_.join();
        sessions_.close(); // first, so that calls which wait for code return
        events_.hub().close();
        server_->stop();
        if (storage_server_) storage_server_->stop();
    }

    /// "http://127.0.0.1:PORT" and the path prefix: what a client takes for its endpoint.
    std::string endpoint() const { return "http://127.0.0.1:" + std::to_string(port()) + options_.path_prefix; }
    std::uint16_t port() const { return server_->port(); }
    const std::string& access_key() const { return options_.access_key; }
    const std::string& secret_key() const { return options_.secret_key; }

    /// Scripts a fault for requests to come. Returns its number for fault_uses().
    std::size_t inject(fault item) { return faults_.add(std::move(item)); }
    int fault_uses(std::size_t number) const { return faults_.uses(number); }
    void clear_faults() { faults_.clear(); }
    /// From now on answers to downloads lie so.
    void lie_about_files(file_lie lie) { file_lie_ = lie; }

    /// How many whole requests of a method have come for a path (without prefix and query), refused ones included.
    std::size_t received(const std::string& method, const std::string& path) const {
        return count(received_, method, path);
    }
    /// How many of them have reached their handler, and so may have run code or made something.
    std::size_t served(const std::string& method, const std::string& path) const {
        return count(served_, method, path);
    }
    /// All whole requests.
    std::size_t received() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        std::size_t sum = 0;
        for (const auto& entry : received_) sum += entry.second;
        return sum;
    }
    /// From now on the storage proxy lies so, @p times times; -1: for ever.
    void lie_about_storage(storage_lie kind, int times = -1) { storage_.lie(kind, times); }
    /// Bytes of files that uploads have brought to the storage proxy, whatever became of them.
    std::uint64_t storage_received() const { return storage_.received_bytes(); }
    /// Bytes of files that the storage proxy has begun to send.
    std::uint64_t storage_sent() const { return storage_.sent_bytes(); }
    std::size_t open_uploads() const { return storage_.open_uploads(); } ///< those that are not whole yet
    void expire_storage_tokens() { storage_.expire_tokens(); }           ///< those given out until now
    /// "http://127.0.0.1:PORT", an origin of its own. It is there from the first token on.
    std::string storage_origin() {
        const std::lock_guard<std::mutex> lock(storage_mutex_);
        if (!storage_server_) {
            storage_options_ = options_;
            storage_options_.port = 0;
            storage_server_ = std::make_unique<detail::http_server>(
                storage_options_, [this](const http_call& call) { return handle(call); },
                [this](const http_call* call) { return call == nullptr ? nullptr : early_fault(call); });
            storage_host_ = "127.0.0.1:" + std::to_string(storage_server_->port());
        }
        return "http://" + storage_host_;
    }
    /// Ends the event streams that are open: as a server does in good order, or by breaking the connection.
    void end_event_streams(bool in_order) {
        events_.hub().end_streams(in_order ? detail::event_hub::end::orderly : detail::event_hub::end::broken);
    }
    std::size_t event_listeners() const { return events_.listeners(); } ///< event streams that are open now
    std::size_t logins() const { return webserver_.logins(); }          ///< who is logged in at the webserver now
    std::size_t connections() const { return server_->connections(); }  ///< accepted until now
    std::size_t live_sessions() const { return sessions_.live(); }
    std::size_t peak_sessions() const { return sessions_.peak(); }
    std::size_t created_sessions() const { return sessions_.created(); }
    /// A port of this machine as a service of every session, for tunnels. @param protocol "http" or "tcp"
    void add_service(const std::string& name, const std::string& protocol, std::uint16_t port) {
        streams_.services().add(name, protocol, port);
    }
    std::size_t open_streams() const { return streams_.open_streams(); } ///< websockets that are open now
    /// Ends sessions that are over the idle limit by the options' clock; also done on every request, and four times a
    /// second.
    void sweep() { sessions_.sweep(); }

    /// Answers one request without a connection, as the server does with one. A fault that only a connection can show
    /// is handed over in http_reply::wire_fault.
    http_reply handle(const http_call& call) {
        const std::string path = path_of(call);
        note(received_, call.method, path);
        if (options_.on_request) options_.on_request(call);
        sessions_.sweep();
        const std::shared_ptr<const fault> wrong = faults_.take(false, call.method, path);
        if (wrong && wrong->kind == fault_kind::status) return detail::status_reply(*wrong);
        http_reply reply;
        if (!wrong || !detail::keeps_from_handler(wrong->kind)) {
            if (wrong && wrong->kind == fault_kind::delay) pause(wrong->interval);
            const bool clock_is_wrong = wrong && wrong->kind == fault_kind::clock_skew;
            if (is_for_storage(call)) {
                reply = answer_of(storage_router_, call, path);
            } else if (detail::webserver::is_for_manager(path)) {
                reply = answer_behind_webserver(call, path);
            } else {
                reply = answer(call, path, clock_is_wrong);
            }
        }
        if (wrong && wrong->kind == fault_kind::garbage_body) {
            reply.headers = {{"Content-Type", "application/json"}};
            reply.body = "{\"result\": \x01 nothing";
            if (reply.status == 204) reply.status = 200;
        }
        if (wrong && !detail::is_whole_answer(wrong->kind)) reply.wire_fault = wrong;
        return reply;
    }

private:
    using counters = std::map<std::pair<std::string, std::string>, std::size_t>;

    void add_routes() {
        storage_.add_to(storage_router_);
        webserver_.add_to(router_);
        if (protocol_.is_modern) {
            storage_routes_.add_to(router_);
            events_.add_to(router_, "/events/session");
            modern_sessions_.service_ports = [this] { return streams_.services().list(); };
            modern_sessions_.add_to(router_);
            kernels_.add_generated_files(router_);
        } else {
            kernels_.service_ports = [this] { return streams_.services().list(); };
            kernels_.add_to(router_);
        }
        sessions_.on_event = [this](const char* event, const detail::session_entry& entry, const char* reason) {
            detail::lifecycle_event what;
            what.name = event;
            what.session_name = entry.name();
            what.session_id = protocol_.is_modern ? entry.id : entry.request.token;
            what.owner = protocol_.is_modern ? entry.request.owner : options_.access_key;
            what.reason = reason;
            events_.hub().publish(std::move(what));
        };
        streams_.add_to(router_);
        graphql_->service_ports = [this] { return streams_.services().list(); };
        kernel_files_.add_to(router_);
        folders_->add_to(router_);
        graphql_->add_to(router_);
        router_.add("GET", "/", false, [this](const gateway_request&) {
            return json_reply(
                {{"version", protocol_.version}, {"manager", std::string(protocol_.manager) + " (embedded gateway)"}});
        });
        add_common_routes();
    }

    std::unique_ptr<detail::folder_routes> make_folders() {
        if (!protocol_.is_modern) return std::make_unique<detail::folder_routes>(options_, sessions_, file_lie_);
        return std::make_unique<detail::modern_folder_routes>(options_, sessions_, file_lie_, keypairs_, frozen_);
    }
    std::unique_ptr<detail::graphql_routes> make_graphql() {
        const auto folders = [this](const std::string& access_key) { return folders_->owned_by(access_key); };
        if (!protocol_.is_modern)
            return std::make_unique<detail::graphql_routes>(options_, sessions_, keypairs_, frozen_, folders);
        return std::make_unique<detail::modern_graphql_routes>(options_, sessions_, keypairs_, frozen_, folders);
    }

    void add_common_routes() {
        const auto echo = [this](const gateway_request& request) {
            if (protocol_.is_modern) {
                detail::parameters given(request);
                const std::string text = given.required_text({"echo"});
                given.finish();
                return json_reply({{"authorized", "yes"}, {"echo", text}});
            }
            const nlohmann::json body = request.json();
            const auto found = body.find("echo");
            if (found == body.end() || !found->is_string()) throw invalid_parameters("echo: is required");
            return json_reply({{"authorized", "yes"}, {"echo", *found}});
        };
        router_.add("GET", "/auth/test", true, echo);
        router_.add("POST", "/auth/test", true, echo);
        if (protocol_.is_modern) {
            router_.add("GET", "/auth", true, echo);
            router_.add("POST", "/auth", true, echo);
            router_.add("GET", "/auth/role", true, [this](const gateway_request& request) {
                const auto caller = keypairs_.find(detail::access_key_of(request.call));
                const bool is_admin = caller && caller->is_admin;
                return json_reply({{"global_role", is_admin ? "superadmin" : "user"},
                                   {"domain_role", is_admin ? "admin" : "user"},
                                   {"group_role", nullptr}});
            });
        }
        router_.add("GET", "/manager/status", false,
                    [this](const gateway_request& request) { return tell_status(request); });
        router_.add("PUT", "/manager/status", true,
                    [this](const gateway_request& request) { return set_status(request); });
    }

    http_reply tell_status(const gateway_request& request) const {
        nlohmann::json answer = {{"status", frozen_ ? "frozen" : "running"}, {"active_sessions", sessions_.live()}};
        if (protocol_.is_modern) {
            const std::string* header = find_header(request.call.headers, "X-BackendAI-Version");
            const std::string version = header != nullptr ? *header : std::string(protocol_.version);
            const std::size_t dot = version.find('.');
            answer["nodes"] = {{{"id", "i-gateway"},
                                {"num_proc", 1},
                                {"service_addr", "127.0.0.1:" + std::to_string(port())},
                                {"heartbeat_timeout", 40.0},
                                {"ssl_enabled", false},
                                {"active_sessions", sessions_.live()},
                                {"status", answer["status"]},
                                {"version", protocol_.manager},
                                {"api_version", {std::stoi(version.substr(1, dot - 1)), version.substr(dot + 1)}}}};
        }
        return json_reply(answer);
    }

    http_reply set_status(const gateway_request& request) {
        const auto caller = keypairs_.find(detail::access_key_of(request.call));
        if (!caller || !caller->is_admin)
            throw authorization_failed(protocol_.is_modern ? "Unauthorized access" : "Admin privilege required");
        if (protocol_.is_modern) return set_modern_status(request);
        const nlohmann::json body = request.json();
        const std::string status = detail::text_member(body, "status");
        if (status != "frozen" && status != "running") throw invalid_parameters("status: must be running or frozen");
        const auto force = body.find("force_kill");
        if (force != body.end() && !force->is_boolean()) throw invalid_parameters("force_kill: value is not a bool");
        frozen_ = status == "frozen";
        if (frozen_ && force != body.end() && force->get<bool>()) sessions_.destroy_all();
        return empty_reply();
    }

    http_reply set_modern_status(const gateway_request& request) {
        detail::parameters given(request);
        const bool is_given = given.find({"status"}) != nullptr;
        const std::string status = given.required_text({"status"});
        if (is_given && status != "frozen" && status != "running")
            given.wrong("status", "value is not a valid member of ManagerStatus");
        const bool force = given.boolean({"force_kill"}, false);
        given.finish();
        frozen_ = status == "frozen";
        if (frozen_ && force) sessions_.destroy_all();
        return empty_reply();
    }

    bool is_for_storage(const http_call& call) const {
        const std::string* host = find_header(call.headers, "Host");
        const std::lock_guard<std::mutex> lock(storage_mutex_);
        return host != nullptr && !storage_host_.empty() && *host == storage_host_;
    }

    // Of a table whose endpoints need no authorization. What it does not know is answered in plain text.
    http_reply answer_of(const router& table, const http_call& call, const std::string& path) {
        try {
            const router::match match = table.find(call.method, path);
            if (match.found == nullptr) {
                http_reply reply;
                reply.status = match.allowed.empty() ? 404 : 405;
                reply.headers = {{"Content-Type", "text/plain; charset=utf-8"}};
                if (!match.allowed.empty()) reply.headers.emplace_back("Allow", match.allowed);
                reply.body = std::to_string(reply.status) + ": " + reason_of(reply.status);
                return reply;
            }
            note(served_, call.method, path);
            return match.found->handle({call, match.arguments, query_of(call)});
        } catch (const problem& error) {
            return error.reply();
        } catch (const std::exception&) {
            return problem(500, "internal-server-error", "Internal server error.").reply();
        }
    }
    static codec::query_list query_of(const http_call& call) {
        const std::size_t question = call.target.find('?');
        return codec::parse_query(question == std::string::npos ? std::string_view()
                                                                : std::string_view(call.target).substr(question + 1));
    }

    http_reply answer_behind_webserver(const http_call& call, const std::string& path) {
        const std::string inner_path = path.substr(5);
        const router::match match = router_.find(call.method, inner_path);
        if (match.found != nullptr && match.found->needs_authorization && !webserver_.is_logged_in(call))
            return detail::webserver::unauthorized();
        http_reply reply = answer(webserver_.hand_on(call), inner_path, false, true);
        // It does not pass on why the manager refuses a websocket.
        if (find_header(call.headers, "Upgrade") != nullptr && reply.status != 101)
            return problem(502, "bad-gateway", "The proxy target server is inaccessible.").reply();
        return reply;
    }

    http_reply answer(const http_call& call, const std::string& path, bool clock_is_wrong, bool is_trusted = false) {
        try {
            check_version(call);
            const router::match match = router_.find(call.method, path);
            if (match.found == nullptr) {
                if (protocol_.is_modern) return refuse_route(path, match.allowed.empty());
                if (match.allowed.empty()) throw problem(404, "generic-not-found", "Unknown URL path.");
                http_reply reply = problem(405, "method-not-allowed", "HTTP Method Not Allowed.").reply();
                reply.headers.emplace_back("Allow", match.allowed);
                return reply;
            }
            if (clock_is_wrong) authenticator_.check(call, std::chrono::minutes(60));
            if (match.found->needs_authorization) {
                if (!is_trusted) authenticator_.check(call);
                keypairs_.note_use(detail::access_key_of(call), options_.clock());
            }
            if (match.found->needs_authorization) count_for_limit();
            note(served_, call.method, path);
            http_reply reply = match.found->handle({call, match.arguments, query_of(call)});
            const bool is_stream = reply.upgrade || reply.stream;
            if (match.found->needs_authorization && !(protocol_.is_modern && is_stream)) {
                add_limit_headers(reply);
            } else if (protocol_.is_modern && !is_stream) {
                add_open_limit_headers(reply);
            }
            return reply;
        } catch (const problem& error) {
            return error.reply(protocol_.is_modern);
        } catch (const std::exception&) {
            // Told to the client, as a server does; what it was stays out of the answer.
            return problem(500, "internal-server-error", "Internal server error.").reply();
        }
    }

    // A wrong method on a path that there is makes those servers fail.
    static http_reply refuse_route(const std::string& path, bool is_unknown) {
        if (is_unknown) return problem(404, "url-not-found", "Unknown URL path.", {{"data", path}}).reply(true);
        http_reply reply;
        reply.status = 500;
        reply.headers = {{"Content-Type", "text/plain; charset=utf-8"}};
        reply.body = "500 Internal Server Error\n\nServer got itself in trouble";
        return reply;
    }

    void check_version(const http_call& call) const {
        const std::string* version = find_header(call.headers, "X-BackendAI-Version");
        if (version == nullptr) version = find_header(call.headers, "X-Sorna-Version");
        if (version == nullptr) return;
        const bool is_known = detail::accepts_version(protocol_, *version);
        if (!is_known) throw problem(400, "generic-bad-request", "Unsupported API version.");
    }

    // A window that begins anew every 15 minutes.
    void count_for_limit() {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto now = options_.clock();
        if (now - window_begin_ >= std::chrono::seconds(900)) {
            window_begin_ = now;
            in_window_ = 0;
        }
        if (in_window_ >= options_.rate_limit) {
            throw problem(429, "rate-limit-exceeded", "You have reached your API query rate limit.");
        }
        ++in_window_;
    }
    void add_limit_headers(http_reply& reply) {
        const std::lock_guard<std::mutex> lock(mutex_);
        reply.headers.emplace_back("X-RateLimit-Limit", std::to_string(options_.rate_limit));
        reply.headers.emplace_back("X-RateLimit-Remaining", std::to_string(options_.rate_limit - in_window_));
        reply.headers.emplace_back("X-RateLimit-Window", "900");
    }

    static void add_open_limit_headers(http_reply& reply) {
        reply.headers.emplace_back("X-RateLimit-Limit", "1000");
        reply.headers.emplace_back("X-RateLimit-Remaining", "1000");
        reply.headers.emplace_back("X-RateLimit-Window", "900");
    }

    std::shared_ptr<const fault> early_fault(const http_call* call) {
        if (call == nullptr) return faults_.take(true, {}, {});
        return faults_.take_early(call->method, path_of(*call));
    }

    std::string path_of(const http_call& call) const {
        std::string_view path = std::string_view(call.target).substr(0, call.target.find('?'));
        if (is_for_storage(call)) return std::string(path);
        const std::string& prefix = options_.path_prefix;
        if (prefix.empty()) return std::string(path);
        if (path.substr(0, prefix.size()) != prefix) return "//outside"; // matches no route
        path.remove_prefix(prefix.size());
        return path.empty() ? "/" : std::string(path);
    }

    void note(counters& table, const std::string& method, const std::string& path) {
        const std::lock_guard<std::mutex> lock(mutex_);
        ++table[{method, path}];
    }
    std::size_t count(const counters& table, const std::string& method, const std::string& path) const {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = table.find({method, path});
        return found == table.end() ? 0 : found->second;
    }

    void pause(std::chrono::milliseconds time) {
        std::unique_lock<std::mutex> lock(mutex_);
        stopped_.wait_for(lock, time, [this] { return stopping_; });
    }
    void sweep_loop() {
        std::unique_lock<std::mutex> lock(mutex_);
        while (!stopped_.wait_for(lock, std::chrono::milliseconds(250), [this] { return stopping_; })) {
            lock.unlock();
            sessions_.sweep();
            lock.lock();
        }
    }

    const gateway_options options_;
    const detail::gateway_protocol& protocol_;
    detail::keypair_store keypairs_;
    authenticator authenticator_;
    detail::session_table sessions_;
    std::atomic<bool> frozen_{false};
    std::atomic<file_lie> file_lie_{file_lie::none};
    detail::kernel_routes kernels_; // of 19.03
    detail::session_routes modern_sessions_;
    detail::kernel_file_routes kernel_files_;
    std::unique_ptr<detail::folder_routes> folders_;
    std::unique_ptr<detail::graphql_routes> graphql_;
    router router_;
    fault_list faults_;
    detail::event_routes events_{options_, protocol_.is_modern, [this](const std::string& access_key) {
                                     const auto caller = keypairs_.find(access_key);
                                     return caller && caller->is_admin;
                                 }};
    detail::webserver webserver_{options_, keypairs_};
    detail::storage_proxy storage_{options_, faults_, sessions_.root() / "uploads"};
    detail::storage_routes storage_routes_{
        options_, storage_,
        [this](const std::string& user, const std::string& name, const char* permission) {
            return folders_->place_of(user, name, permission);
        },
        [this] { return options_.storage_url.empty() ? storage_origin() : options_.storage_url; }};
    router storage_router_;
    mutable std::mutex storage_mutex_;
    gateway_options storage_options_;
    std::string storage_host_;
    detail::stream_routes streams_{options_, sessions_, faults_};
    mutable std::mutex mutex_;
    std::condition_variable stopped_;
    bool stopping_ = false;
    counters received_, served_;
    std::chrono::system_clock::time_point window_begin_{};
    std::int64_t in_window_ = 0;
    std::unique_ptr<detail::http_server> server_, storage_server_;
    std::thread sweeper_;
};

} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/testing/memory_transport.hpp
/// @file
/// A transport without sockets: calls the embedded gateway in the same process.
#ifndef BACKENDAI_TESTING_MEMORY_TRANSPORT_HPP
#define BACKENDAI_TESTING_MEMORY_TRANSPORT_HPP

// ---- backendai/transport/framing.hpp
/// @file
/// The framing rules of an answer (RFC 7230 section 3.3.3) that an HTTP library may be lenient about, checked here for
/// every transport: a body whose end is in doubt must not pass as whole.
#ifndef BACKENDAI_TRANSPORT_FRAMING_HPP
#define BACKENDAI_TRANSPORT_FRAMING_HPP


#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// Checks an answer's head, then counts its body.
class body_framing {
public:
    /// @throws client_error{protocol} when the head leaves the body's length in doubt or is out of bounds
    template <class = void>
    body_framing(const response_head& head, const std::string& method) {
        if (head.status < 200 || head.status > 599)
            bad("the status " + std::to_string(head.status) + " was not asked for");
        std::size_t size = 0;
        const std::string* coding = nullptr;
        const std::string* length = nullptr;
        const auto only = [](const std::string*& known, const std::string& value, const char* what) {
            if (known != nullptr) bad(what);
            known = &value;
        };
        for (const auto& field : head.headers) {
            size += field.first.size() + field.second.size();
            // "Content-Length : 5" would otherwise pass as a header of another name.
            if (!codec::is_token(field.first)) bad("a header line is not \"name: value\"");
            if (field.second.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) {
                bad("a header holds a line break or NUL");
            }
            if (equal_ignoring_case(field.first, "Transfer-Encoding")) {
                only(coding, field.second, "its transfer coding is not \"chunked\"");
            } else if (equal_ignoring_case(field.first, "Content-Length")) {
                only(length, field.second, "it has more than one Content-Length");
            }
        }
        if (head.headers.size() > 256 || size > 256 * 1024) bad("its head is larger than 256 fields or 256 KiB");
        if (coding != nullptr && !equal_ignoring_case(*coding, "chunked")) {
            bad("its transfer coding is not \"chunked\"");
        }
        if (length == nullptr) {
            open_ended_ = coding == nullptr && method != "HEAD" && head.status != 204 && head.status != 304;
            return;
        }
        if (coding != nullptr) bad("it has both Content-Length and Transfer-Encoding");
        if (length->empty() || length->size() > 18) bad("its Content-Length is not a number");
        std::uint64_t value = 0;
        for (const char c : *length) {
            if (c < '0' || c > '9') bad("its Content-Length is not a number");
            value = value * 10 + static_cast<std::uint64_t>(c - '0');
        }
        if (method != "HEAD" && head.status != 204 && head.status != 304) expected_ = value;
    }

    /// Whether the body goes on until the connection ends, so that breaking it off looks like its end.
    bool ends_with_connection() const noexcept { return open_ended_; }

    void count(std::uint64_t bytes) noexcept { received_ += bytes; }

    /// @throws client_error{protocol} when the body is not as long as the head said
    template <class = void>
    void finish() const {
        if (expected_ && *expected_ != received_) {
            bad("its body is cut short: " + std::to_string(received_) + " of " + std::to_string(*expected_) + " bytes");
        }
    }

private:
    template <class = void>
    [[noreturn]] static void bad(const std::string& what) {
        throw client_error(error_kind::protocol, "the answer is not usable: " + what,
                           client_error::progress::maybe_sent);
    }

    std::optional<std::uint64_t> expected_;
    std::uint64_t received_ = 0;
    bool open_ended_ = false;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif

#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {

/// Hands requests to a gateway by a function call. A scripted fault that needs a connection to show (a drop, a wrong
/// length) comes out as the error that a connection would have led to.
/// Thread-safe. The gateway must live longer; destroying the transport waits for calls that were given up on.
class memory_transport {
public:
    explicit memory_transport(gateway& server) : state_(std::make_shared<shared>(server)) {}
    memory_transport(memory_transport&&) noexcept = default;
    memory_transport& operator=(memory_transport&&) = delete;
    ~memory_transport() {
        if (!state_) return;
        std::unique_lock<std::mutex> lock(state_->mutex);
        state_->idle.wait(lock, [this] { return state_->running == 0; });
    }

    /// See transport/concept.hpp.
    response_head exchange(http_request& request, body_sink& sink, const exchange_context& context) {
        context.check();
        const http_reply reply = ask(make_call(request), context);
        if (reply.wire_fault) {
            throw client_error(error_kind::protocol, "the gateway's scripted fault broke the answer",
                               client_error::progress::maybe_sent);
        }
        response_head head;
        head.status = reply.status;
        head.reason = reply.reason.empty() ? reason_of(reply.status) : reply.reason;
        for (const auto& field : reply.headers) head.headers.add(field.first, field.second);
        if (head.status != 204) head.headers.set("Content-Length", std::to_string(reply.body.size()));
        backendai::detail::body_framing framing(head, request.method);
        sink.on_head(head);
        if (request.method != "HEAD" && !reply.body.empty()) {
            framing.count(reply.body.size());
            sink.on_data(reply.body);
        }
        framing.finish();
        return head;
    }

private:
    struct shared {
        explicit shared(gateway& g) : server(g) {}
        gateway& server;
        std::mutex mutex;
        std::condition_variable idle;
        int running = 0;
    };
    // One call, which outlives its caller when that cannot wait.
    struct pending {
        std::mutex mutex;
        std::condition_variable changed;
        bool done = false, interrupted = false;
        http_reply reply;
        std::exception_ptr failure;
    };

    static http_call make_call(http_request& request) {
        http_call call;
        call.method = request.method;
        call.target = request.url.target();
        call.headers.emplace_back("Host", request.url.host_header());
        for (const auto& field : request.headers) call.headers.push_back(field);
        call.body = request.body;
        if (request.source) {
            call.body.resize(static_cast<std::size_t>(request.source->size()));
            std::size_t filled = 0;
            while (filled < call.body.size()) {
                const std::size_t count = request.source->read(&call.body[filled], call.body.size() - filled);
                if (count == 0) {
                    throw client_error(error_kind::io, "the body ended before its announced length",
                                       client_error::progress::maybe_sent);
                }
                filled += count;
            }
        }
        if (request.has_body()) call.headers.emplace_back("Content-Length", std::to_string(call.body.size()));
        return call;
    }

    http_reply ask(http_call call, const exchange_context& context) {
        auto work = std::make_shared<pending>();
        {
            const std::lock_guard<std::mutex> lock(state_->mutex);
            ++state_->running;
        }
        std::thread([work, state = state_, call = std::move(call)] {
            http_reply reply;
            std::exception_ptr failure;
            try {
                reply = state->server.handle(call);
            } catch (...) {
                failure = std::current_exception();
            }
            {
                const std::lock_guard<std::mutex> lock(work->mutex);
                work->done = true;
                work->reply = std::move(reply);
                work->failure = failure;
                work->changed.notify_all();
            }
            const std::lock_guard<std::mutex> lock(state->mutex);
            if (--state->running == 0) state->idle.notify_all();
        }).detach();

        const auto interrupt = [work] {
            const std::lock_guard<std::mutex> lock(work->mutex);
            work->interrupted = true;
            work->changed.notify_all();
        };
        const cancel_token::listener on_cancel(context.cancel, interrupt);
        const cancel_token::listener on_close(context.closing, interrupt);
        const auto limit = context.within(context.read_timeout);
        std::unique_lock<std::mutex> lock(work->mutex);
        const auto ready = [&] { return work->done || work->interrupted; };
        if (limit.count() == 0) {
            work->changed.wait(lock, ready);
        } else {
            work->changed.wait_for(lock, limit, ready);
        }
        if (!work->done) {
            lock.unlock();
            context.check(client_error::progress::maybe_sent);
            throw client_error(error_kind::timeout, "the gateway did not answer in time",
                               client_error::progress::maybe_sent);
        }
        if (work->failure) std::rethrow_exception(work->failure);
        return std::move(work->reply);
    }

    std::shared_ptr<shared> state_;
};

} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
#endif
