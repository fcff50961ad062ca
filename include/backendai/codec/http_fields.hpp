/// @file
/// HTTP header fields as a list, and the syntax rules that every parser and writer of them needs (RFC 9110 section 5).
#ifndef BACKENDAI_CODEC_HTTP_FIELDS_HPP
#define BACKENDAI_CODEC_HTTP_FIELDS_HPP

#include <backendai/version.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// Names and values in the order of the message; names compare without regard to case, and may repeat.
using http_fields = std::vector<std::pair<std::string, std::string>>;

/// Compares without regard to the case of ASCII letters.
template <class = void>
bool equals_ignoring_case(std::string_view a, std::string_view b) noexcept {
    if (a.size() != b.size()) return false;
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (lower(a[i]) != lower(b[i])) return false;
    }
    return true;
}

/// A token of RFC 9110 section 5.6.2: header names, subprotocols, methods.
template <class = void>
bool is_token(std::string_view text) noexcept {
    for (const char c : text) {
        const bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!alphanumeric && std::string_view("!#$%&'*+-.^_`|~").find(c) == std::string_view::npos) return false;
    }
    return !text.empty();
}

/// A header's value may hold anything but control characters; tab is allowed. Keeps CR, LF and NUL out.
template <class = void>
bool is_field_value(std::string_view text) noexcept {
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if ((byte < 0x20 && byte != '\t') || byte == 0x7F) return false;
    }
    return true;
}

/// Without the spaces and tabs around it.
template <class = void>
std::string_view trim_field(std::string_view text) noexcept {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

/// The first header of that name, or null.
template <class = void>
const std::string* find_field(const http_fields& fields, std::string_view name) noexcept {
    for (const auto& field : fields) {
        if (equals_ignoring_case(field.first, name)) return &field.second;
    }
    return nullptr;
}

/// How often the name occurs.
template <class = void>
std::size_t count_fields(const http_fields& fields, std::string_view name) noexcept {
    std::size_t count = 0;
    for (const auto& field : fields) {
        if (equals_ignoring_case(field.first, name)) ++count;
    }
    return count;
}

/// The members of a comma-separated list, over all headers of that name, empty members left out.
template <class = void>
std::vector<std::string> list_members(const http_fields& fields, std::string_view name) {
    std::vector<std::string> members;
    for (const auto& field : fields) {
        if (!equals_ignoring_case(field.first, name)) continue;
        std::string_view rest = field.second;
        for (;;) {
            const std::size_t comma = rest.find(',');
            const std::string_view member = trim_field(rest.substr(0, comma));
            if (!member.empty()) members.emplace_back(member);
            if (comma == std::string_view::npos) break;
            rest.remove_prefix(comma + 1);
        }
    }
    return members;
}

/// True when the comma-separated list of that name has this member, case ignored.
template <class = void>
bool list_has(const http_fields& fields, std::string_view name, std::string_view member) {
    for (const std::string& candidate : list_members(fields, name)) {
        if (equals_ignoring_case(candidate, member)) return true;
    }
    return false;
}

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif
