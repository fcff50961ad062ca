/// @file
/// Base64 (RFC 4648 section 4, with padding), by OpenSSL.
#ifndef BACKENDAI_CODEC_BASE64_HPP
#define BACKENDAI_CODEC_BASE64_HPP

#include <backendai/codec/decode_error.hpp>
#include <backendai/version.hpp>

#include <openssl/evp.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// Encodes @p data with padding and without line breaks.
template <class = void>
std::string base64_encode(std::string_view data) {
    // OpenSSL counts in int: work in pieces of a multiple of three bytes, which leave no padding in between.
    constexpr std::size_t piece = std::size_t{3} << 20;
    std::string text;
    text.reserve((data.size() + 2) / 3 * 4 + 1);
    while (!data.empty()) {
        const std::size_t take = (std::min)(piece, data.size());
        const std::size_t used = text.size();
        text.resize(used + (take + 2) / 3 * 4 + 1); // EVP_EncodeBlock writes a closing NUL
        const int written =
            EVP_EncodeBlock(reinterpret_cast<unsigned char*>(&text[used]),
                            reinterpret_cast<const unsigned char*>(data.data()), static_cast<int>(take));
        text.resize(used + static_cast<std::size_t>(written));
        data.remove_prefix(take);
    }
    return text;
}

/// Decodes padded base64; ASCII white space is allowed anywhere, as senders wrap long lines.
/// @throws decode_error on a foreign character, misplaced padding or a length that is no multiple of four.
template <class = void>
std::string base64_decode(std::string_view text) {
    std::string data;
    data.reserve(text.size() / 4 * 3);
    unsigned quantum = 0;
    unsigned digits = 0;
    unsigned padding = 0;
    for (const char c : text) {
        unsigned value = 0;
        if (c >= 'A' && c <= 'Z') {
            value = static_cast<unsigned>(c - 'A');
        } else if (c >= 'a' && c <= 'z') {
            value = static_cast<unsigned>(c - 'a') + 26;
        } else if (c >= '0' && c <= '9') {
            value = static_cast<unsigned>(c - '0') + 52;
        } else if (c == '+') {
            value = 62;
        } else if (c == '/') {
            value = 63;
        } else if (c == '=') {
            if (digits < 2) throw decode_error("base64: padding in the wrong place");
            ++padding;
        } else if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
            continue;
        } else {
            throw decode_error("base64: a character that does not belong to the alphabet");
        }
        if (padding != 0 && c != '=') throw decode_error("base64: data after the padding");
        quantum = (quantum << 6) | value;
        if (++digits < 4) continue;
        data.push_back(static_cast<char>((quantum >> 16) & 0xff));
        if (padding < 2) data.push_back(static_cast<char>((quantum >> 8) & 0xff));
        if (padding < 1) data.push_back(static_cast<char>(quantum & 0xff));
        quantum = 0;
        digits = 0;
    }
    if (digits != 0) throw decode_error("base64: the text ends in the middle of a group of four");
    return data;
}

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif
