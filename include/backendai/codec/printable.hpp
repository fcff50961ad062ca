/// @file
/// UTF-8 by character, and names made fit to appear in an error message.
#ifndef BACKENDAI_CODEC_PRINTABLE_HPP
#define BACKENDAI_CODEC_PRINTABLE_HPP

#include <backendai/version.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

namespace detail {

/// One decoded character of a UTF-8 text.
struct utf8_character {
    std::uint32_t code_point = 0;
    std::size_t length = 0; ///< in bytes; 0 = the bytes are not UTF-8
};

/// Decodes the first character of `text` (not empty) by RFC 3629: overlong forms, surrogates and values above U+10FFFF
/// are not UTF-8.
template <class = void>
utf8_character decode_utf8_character(std::string_view text) noexcept {
    const auto byte = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i])); };
    const std::uint32_t lead = byte(0);
    if (lead < 0x80) return {lead, 1};
    std::size_t length = 0;
    std::uint32_t value = 0;
    std::uint32_t smallest = 0;
    if (lead >= 0xC2 && lead <= 0xDF) {
        length = 2, value = lead & 0x1F, smallest = 0x80;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
        length = 3, value = lead & 0x0F, smallest = 0x800;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
        length = 4, value = lead & 0x07, smallest = 0x10000;
    } else {
        return {};
    }
    if (text.size() < length) return {};
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xC0) != 0x80) return {};
        value = (value << 6) | (byte(i) & 0x3F);
    }
    if (value < smallest || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) return {};
    return {value, length};
}

/// C0, DEL and C1: what a terminal may take for a command.
inline bool is_control_character(std::uint32_t code_point) noexcept {
    return code_point < 0x20 || (code_point >= 0x7F && code_point <= 0x9F);
}

} // namespace detail

namespace detail {

template <class = void>
std::string escape_for_display(std::string_view text, std::size_t limit, std::string_view also_escaped) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string result;
    std::size_t position = 0;
    while (position < text.size() && position < limit) {
        const utf8_character next = decode_utf8_character(text.substr(position));
        const bool plain = next.length != 0 && !is_control_character(next.code_point) &&
                           also_escaped.find(text[position]) == std::string_view::npos;
        const std::size_t length = next.length == 0 ? 1 : next.length;
        for (std::size_t i = 0; i < length; ++i) {
            const char c = text[position + i];
            if (plain) {
                result += c;
            } else {
                const unsigned value = static_cast<unsigned char>(c);
                result += "\\x";
                result += digits[value >> 4];
                result += digits[value & 0xF];
            }
        }
        position += length;
    }
    return result;
}

} // namespace detail

/// `text` in single quotes, fit for a message or a terminal: control characters, backslashes, single quotes and bytes
/// that are not UTF-8 become `\xNN`; a text longer than `limit` bytes is cut and ends in `...`.
template <class = void>
std::string printable(std::string_view text, std::size_t limit = 256) {
    return '\'' + detail::escape_for_display(text, limit, "\\'") + (text.size() > limit ? "'..." : "'");
}

/// The same for prose, without quotes: only control characters and bytes that are not UTF-8 are spelled out.
template <class = void>
std::string printable_text(std::string_view text, std::size_t limit) {
    return detail::escape_for_display(text, limit, {}) + (text.size() > limit ? "..." : "");
}

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif
