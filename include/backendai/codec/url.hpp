/// @file
/// Absolute URLs and the one spelling of paths and queries that the server's URL library (Python's yarl) leaves alone.
/// The signature covers the request target, and the server rebuilds that text with yarl before it checks: a target that
/// yarl would spell differently is refused as a wrong signature.
#ifndef BACKENDAI_CODEC_URL_HPP
#define BACKENDAI_CODEC_URL_HPP

#include <backendai/codec/decode_error.hpp>
#include <backendai/version.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// A host as it stands in a URL: an IPv6 address in brackets.
template <class = void>
std::string url_host(const std::string& host) {
    return host.find(':') == std::string::npos ? host : '[' + host + ']';
}

/// An absolute http or https URL, split. Only what an HTTP request needs: no user info, no fragment.
struct url {
    std::string scheme;     ///< "http" or "https"
    std::string host;       ///< lower case; an IPv6 address without its brackets
    std::uint16_t port = 0; ///< never 0 after parse_url()
    std::string path;       ///< canonical; empty or beginning with '/'
    std::string query;      ///< canonical; without '?'

    bool is_tls() const { return scheme == "https"; }
    bool has_default_port() const { return port == (is_tls() ? 443 : 80); }
    /// The value of the Host header: brackets around IPv6, the port only when it is not the scheme's default.
    template <class = void>
    std::string host_header() const {
        std::string text = url_host(host);
        if (!has_default_port()) text += ':' + std::to_string(port);
        return text;
    }
    /// "scheme://host:port", port included: what connections are kept under and what credentials are bound to.
    template <class = void>
    std::string origin() const {
        return scheme + "://" + url_host(host) + ':' + std::to_string(port);
    }
    /// What stands on the request line: path (at least "/") and query.
    template <class = void>
    std::string target() const {
        std::string text = path.empty() ? "/" : path;
        if (!query.empty()) text += '?' + query;
        return text;
    }
};

/// Names and values of a query, in order; a name may occur more than once.
using query_list = std::vector<std::pair<std::string, std::string>>;

namespace detail {

template <class = void>
bool is_unreserved(unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_' || c == '~';
}
inline bool is_one_of(char c, std::string_view set) {
    return set.find(c) != std::string_view::npos;
}

// Sub-delimiters that stand for themselves in a path or a query value; yarl decodes their escapes, so they must be raw.
constexpr std::string_view raw_in_segment = "!$&'()*,:;=@";
constexpr std::string_view raw_in_value = "!$'()*,:@/?";
// In a given path or query text, these carry structure when raw and stay escaped when escaped.
constexpr std::string_view structure_of_path = "/+";
constexpr std::string_view structure_of_query = "&=+;";

template <class = void>
void put_escaped(std::string& out, unsigned char c) {
    constexpr char digits[] = "0123456789ABCDEF";
    out += '%';
    out += digits[c >> 4];
    out += digits[c & 15];
}
template <class = void>
int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}
// The byte of an escape that begins at text[at], or -1 when there is none.
template <class = void>
int escape_at(std::string_view text, std::size_t at) {
    if (text[at] != '%' || at + 2 >= text.size()) return -1;
    const int high = hex_value(text[at + 1]);
    const int low = hex_value(text[at + 2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

template <class = void>
std::string escape(std::string_view text, std::string_view raw, bool space_as_plus) {
    std::string out;
    out.reserve(text.size());
    for (const char c : text) {
        if (is_unreserved(static_cast<unsigned char>(c)) || is_one_of(c, raw)) {
            out += c;
        } else if (c == ' ' && space_as_plus) {
            out += '+';
        } else {
            put_escaped(out, static_cast<unsigned char>(c));
        }
    }
    return out;
}

template <class = void>
std::string canonical(std::string_view text, std::string_view raw, std::string_view structure, bool in_query) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        const int escaped = escape_at(text, i);
        const char c = escaped < 0 ? text[i] : static_cast<char>(escaped);
        if (c == '\0' || c == '\r' || c == '\n') throw decode_error("URL: NUL and line breaks are not allowed");
        if (escaped >= 0) i += 2;
        const bool plain = is_unreserved(static_cast<unsigned char>(c)) || is_one_of(c, raw);
        if (plain && !(escaped >= 0 && is_one_of(c, structure))) { // NOLINT(bugprone-branch-clone)
            out += c;
        } else if (escaped < 0 && is_one_of(c, structure)) {
            out += c;
        } else if (c == ' ' && in_query) {
            out += '+';
        } else {
            put_escaped(out, static_cast<unsigned char>(c));
        }
    }
    return out;
}

template <class = void>
void refuse_dot_segments(std::string_view path) {
    while (!path.empty()) {
        const std::size_t slash = path.find('/');
        const std::string_view segment = path.substr(0, slash);
        if (segment == "." || segment == "..") throw decode_error("URL: dot segments are not allowed in a path");
        if (slash == std::string_view::npos) break;
        path.remove_prefix(slash + 1);
    }
}

} // namespace detail

/// Escapes @p text as one path segment: a '/' in it is escaped too.
template <class = void>
std::string escape_segment(std::string_view text) {
    return detail::escape(text, detail::raw_in_segment, false);
}

/// Escapes @p text as a name or value of a query, with '+' for a space.
template <class = void>
std::string escape_query(std::string_view text) {
    return detail::escape(text, detail::raw_in_value, true);
}

/// Joins names and values to a query text in canonical spelling, without '?'.
template <class = void>
std::string make_query(const query_list& items) {
    std::string text;
    for (const auto& item : items) {
        if (!text.empty()) text += '&';
        text += escape_query(item.first) + '=' + escape_query(item.second);
    }
    return text;
}

/// Brings a path, escaped or not, to the canonical spelling.
/// @throws decode_error on NUL, line breaks and dot segments.
template <class = void>
std::string canonical_path(std::string_view path) {
    std::string text = detail::canonical(path, detail::raw_in_segment, detail::structure_of_path, false);
    detail::refuse_dot_segments(text);
    return text;
}

/// Brings a query text ("a=b&c=d", escaped or not) to the canonical spelling.
/// @throws decode_error on NUL and line breaks.
template <class = void>
std::string canonical_query(std::string_view query) {
    return detail::canonical(query, detail::raw_in_value, detail::structure_of_query, true);
}

/// Replaces escapes by their bytes, and '+' by a space when @p plus_is_space.
template <class = void>
std::string unescape(std::string_view text, bool plus_is_space) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        const int escaped = detail::escape_at(text, i);
        if (escaped >= 0) {
            out += static_cast<char>(escaped);
            i += 2;
        } else {
            out += text[i] == '+' && plus_is_space ? ' ' : text[i];
        }
    }
    return out;
}

/// Splits a query text into unescaped names and values.
template <class = void>
query_list parse_query(std::string_view query) {
    query_list items;
    while (!query.empty()) {
        const std::size_t end = query.find('&');
        const std::string_view item = query.substr(0, end);
        const std::size_t equals = item.find('=');
        if (!item.empty()) {
            items.emplace_back(unescape(item.substr(0, equals), true),
                               equals == std::string_view::npos ? "" : unescape(item.substr(equals + 1), true));
        }
        if (end == std::string_view::npos) break;
        query.remove_prefix(end + 1);
    }
    return items;
}

/// Splits an absolute http or https URL.
/// @throws decode_error saying what is wrong: relative, another scheme, user info, no host, a bad port or character.
template <class = void>
url parse_url(std::string_view text) {
    url result;
    const std::size_t scheme_end = text.find("://");
    if (scheme_end == std::string_view::npos) throw decode_error("URL: not absolute (no scheme such as https://)");
    for (const char c : text.substr(0, scheme_end)) {
        result.scheme += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
    if (result.scheme != "http" && result.scheme != "https") throw decode_error("URL: the scheme is not http or https");
    text.remove_prefix(scheme_end + 3);
    text = text.substr(0, text.find('#'));
    const std::size_t authority_end = text.find_first_of("/?");
    std::string_view authority = text.substr(0, authority_end);
    text = authority_end == std::string_view::npos ? std::string_view() : text.substr(authority_end);
    if (authority.find('@') != std::string_view::npos) throw decode_error("URL: user info is not allowed");
    std::string_view port;
    if (!authority.empty() && authority.front() == '[') {
        const std::size_t close = authority.find(']');
        if (close == std::string_view::npos) throw decode_error("URL: a bracket of the IPv6 address is missing");
        result.host = authority.substr(1, close - 1);
        if (result.host.find_first_not_of("0123456789abcdefABCDEF:.") != std::string::npos ||
            result.host.find(':') == std::string::npos) {
            throw decode_error("URL: not an IPv6 address in brackets");
        }
        port = authority.substr(close + 1);
    } else {
        const std::size_t colon = authority.find(':');
        result.host = authority.substr(0, colon);
        port = colon == std::string_view::npos ? std::string_view() : authority.substr(colon);
        for (const char c : result.host) {
            if (!detail::is_unreserved(static_cast<unsigned char>(c))) {
                throw decode_error("URL: a character that is not allowed in a host name");
            }
        }
    }
    for (char& c : result.host) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    if (result.host.empty()) throw decode_error("URL: the host is missing");
    result.port = result.is_tls() ? 443 : 80;
    if (!port.empty()) {
        std::uint32_t number = 0;
        if (port.front() != ':' || port.size() < 2 || port.size() > 6) throw decode_error("URL: a bad port");
        for (const char c : port.substr(1)) {
            if (c < '0' || c > '9') throw decode_error("URL: a bad port");
            number = number * 10 + static_cast<std::uint32_t>(c - '0');
        }
        if (number == 0 || number > 65535) throw decode_error("URL: a bad port");
        result.port = static_cast<std::uint16_t>(number);
    }
    const std::size_t question = text.find('?');
    result.path = canonical_path(text.substr(0, question));
    if (question != std::string_view::npos) result.query = canonical_query(text.substr(question + 1));
    return result;
}

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif
