/// @file
/// The signature of a request (protocol section "Request signing"): what is signed, with which key, and how it is sent.
#ifndef BACKENDAI_CODEC_SIGNATURE_HPP
#define BACKENDAI_CODEC_SIGNATURE_HPP

#include <backendai/codec/digest.hpp>
#include <backendai/version.hpp>

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// The parts of a request that its signature covers.
struct signed_fields {
    std::string_view method;       ///< upper case
    std::string_view target;       ///< path and query exactly as on the request line
    std::string_view date;         ///< the Date header's text; its first ten characters are the day (YYYY-MM-DD)
    std::string_view host;         ///< the Host header's text
    std::string_view content_type; ///< with or without parameters: only the media type is signed
    std::string_view version;      ///< "v4.20190315"
    std::string_view body;         ///< counts only before v4.20181215, and not for multipart bodies
};

/// "v4.20181215" and later sign the digest of nothing in place of the body's digest.
template <class = void>
bool signs_body(std::string_view version) {
    const auto number = [](std::string_view text) {
        unsigned long value = 0;
        for (const char c : text) {
            if (c < '0' || c > '9' || value > 99999999) break;
            value = value * 10 + static_cast<unsigned long>(c - '0');
        }
        return value;
    };
    const std::size_t dot = version.find('.');
    const unsigned long major = number(version.substr(version.empty() ? 0 : 1, dot - 1));
    const unsigned long date = dot == std::string_view::npos ? 0 : number(version.substr(dot + 1));
    return major < 4 || (major == 4 && date < 20181215);
}

/// The media type of a Content-Type value in lower case, without parameters.
template <class = void>
std::string media_type(std::string_view content_type) {
    content_type = content_type.substr(0, content_type.find(';'));
    while (!content_type.empty() && (content_type.back() == ' ' || content_type.back() == '\t')) {
        content_type.remove_suffix(1);
    }
    std::string text(content_type);
    for (char& c : text) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    return text;
}

namespace detail {

template <class = void>
bool counts_body(const signed_fields& fields) {
    return signs_body(fields.version) && media_type(fields.content_type).compare(0, 10, "multipart/") != 0;
}

template <class = void>
std::string join_fields(const signed_fields& fields, std::string_view body_digest) {
    std::string text;
    text.reserve(320 + fields.target.size());
    text.append(fields.method).append("\n").append(fields.target).append("\n").append(fields.date);
    text.append("\nhost:").append(fields.host).append("\ncontent-type:").append(media_type(fields.content_type));
    return text.append("\nx-backendai-version:").append(fields.version).append("\n").append(body_digest);
}

} // namespace detail

/// The text that is signed: seven fields, a line break between them.
template <class = void>
std::string string_to_sign(const signed_fields& fields, std::string_view hash_type) {
    const std::string_view body = detail::counts_body(fields) ? fields.body : std::string_view();
    return detail::join_fields(fields, to_hex(digest(hash_type, body)));
}

/// Signs requests with one key pair. The key for a day and host is derived once and kept.
/// Thread-safety: sign() may be called from several threads at once.
class signer {
public:
    /// @throws std::invalid_argument for a hash type that has_digest() does not know.
    template <class = void>
    signer(std::string access_key, std::string secret_key, std::string hash_type)
        : access_key_(std::move(access_key)),
          secret_key_(std::move(secret_key)),
          hash_type_(std::move(hash_type)),
          empty_digest_(to_hex(digest(hash_type_, ""))),
          prefix_("BackendAI signMethod=HMAC-") {
        for (const char c : hash_type_) prefix_ += static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
        prefix_ += ", credential=" + access_key_ + ':';
    }

    /// The value of the Authorization header for a request.
    template <class = void>
    std::string sign(const signed_fields& fields) const {
        return prefix_ + to_hex((*day_key(fields.date, fields.host))(text_of(fields)));
    }

private:
    struct cached_key {
        std::string day, host;
        std::shared_ptr<const hmac_key> key;
    };

    template <class = void>
    std::string text_of(const signed_fields& fields) const {
        return detail::counts_body(fields) ? string_to_sign(fields, hash_type_)
                                           : detail::join_fields(fields, empty_digest_);
    }

    template <class = void>
    std::shared_ptr<const hmac_key> day_key(std::string_view date, std::string_view host) const {
        const std::string_view day = date.substr(0, 10);
        const std::lock_guard<std::mutex> lock(mutex_);
        if (!cache_.key || cache_.day != day || cache_.host != host) {
            std::string digits; // YYYYMMDD
            for (const char c : day) {
                if (c != '-') digits += c;
            }
            const std::string k1 = hmac_key(hash_type_, secret_key_)(digits);
            const std::string k2 = hmac_key(hash_type_, k1)(host);
            cache_ = {std::string(day), std::string(host), std::make_shared<const hmac_key>(hash_type_, k2)};
        }
        return cache_.key;
    }

    std::string access_key_, secret_key_, hash_type_, empty_digest_, prefix_;
    mutable std::mutex mutex_;
    mutable cached_key cache_;
};

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif
