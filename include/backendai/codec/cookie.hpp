/// @file
/// Set-Cookie header fields (RFC 6265).
#ifndef BACKENDAI_CODEC_COOKIE_HPP
#define BACKENDAI_CODEC_COOKIE_HPP

#include <backendai/codec/date.hpp>
#include <backendai/version.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// What one Set-Cookie field says.
struct cookie {
    std::string name, value;
    std::string path = "/";          ///< where it is to be sent: there and below
    std::string domain;              ///< lower case, without a leading dot; empty: the host that set it
    bool secure = false;             ///< over TLS only
    std::optional<utc_time> expires; ///< none: with the session
};

namespace detail {

template <class = void>
std::string_view trim_spaces(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

template <class = void>
std::string lower_ascii(std::string_view text) {
    std::string lower(text);
    for (char& c : lower) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    return lower;
}

template <class = void>
bool is_cookie_text(std::string_view text, std::string_view forbidden) {
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte >= 0x7f || forbidden.find(c) != std::string_view::npos) return false;
    }
    return true;
}

/// Max-Age in seconds: digits, perhaps after a minus; more than nine of them are more than a program lives.
template <class = void>
std::optional<std::chrono::seconds> parse_max_age(std::string_view text) {
    const bool negative = !text.empty() && text.front() == '-';
    if (negative) text.remove_prefix(1);
    if (text.empty() || text.find_first_not_of("0123456789") != std::string_view::npos) return {};
    if (negative) return std::chrono::seconds(0);
    std::int64_t value = 0;
    for (const char c : text.size() > 9 ? std::string_view("999999999") : text) value = value * 10 + (c - '0');
    return std::chrono::seconds(value);
}

/// Also with dashes in the date, as many servers write it: "Mon, 30-Nov-2026 15:34:00 GMT".
template <class = void>
std::optional<utc_time> parse_cookie_date(std::string_view text) {
    std::string date(text);
    for (char& c : date) c = c == '-' ? ' ' : c;
    return parse_http_date(date);
}

} // namespace detail

/// Reads the value of a Set-Cookie field; nothing when it is none, or holds characters that could not be sent back.
/// Attributes that are unknown or cannot be read are passed over. @param now what Max-Age counts from
template <class = void>
std::optional<cookie> parse_set_cookie(std::string_view text, utc_time now) {
    const std::size_t end = text.find(';');
    const std::string_view pair = text.substr(0, end);
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos) return {};
    cookie result;
    result.name = detail::trim_spaces(pair.substr(0, equals));
    result.value = detail::trim_spaces(pair.substr(equals + 1));
    if (result.name.empty() || !detail::is_cookie_text(result.name, " ,;=\"\\") ||
        !detail::is_cookie_text(result.value, ";,"))
        return {};
    bool has_age = false;
    for (std::size_t at = end; at != std::string_view::npos;) {
        text.remove_prefix(at + 1);
        at = text.find(';');
        const std::string_view attribute = text.substr(0, at);
        const std::size_t sign = attribute.find('=');
        const std::string name = detail::lower_ascii(detail::trim_spaces(attribute.substr(0, sign)));
        const std::string_view value =
            sign == std::string_view::npos ? std::string_view() : detail::trim_spaces(attribute.substr(sign + 1));
        if (name == "path" && !value.empty() && value.front() == '/') result.path = value;
        if (name == "domain") result.domain = detail::lower_ascii(value.substr(!value.empty() && value[0] == '.'));
        if (name == "secure") result.secure = true;
        if (name == "max-age") {
            if (const auto age = detail::parse_max_age(value)) {
                // Zero is the past, whatever the resolution of the clock.
                result.expires = age->count() == 0 ? utc_time() : now + *age;
                has_age = true;
            }
        }
        if (name == "expires" && !has_age) {
            if (const auto date = detail::parse_cookie_date(value)) result.expires = date;
        }
    }
    return result;
}

/// Whether a request to @p path is below a cookie's path (RFC 6265 section 5.1.4).
template <class = void>
bool cookie_path_matches(std::string_view cookie_path, std::string_view path) {
    if (path.substr(0, cookie_path.size()) != cookie_path) return false;
    return path.size() == cookie_path.size() || cookie_path.back() == '/' || path[cookie_path.size()] == '/';
}

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif
