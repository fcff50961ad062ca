/// @file
/// The textual form of UUIDs.
#ifndef BACKENDAI_CODEC_UUID_HPP
#define BACKENDAI_CODEC_UUID_HPP

#include <backendai/version.hpp>

#include <cstddef>
#include <string_view>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// Whether the text is a UUID: 36 characters, hexadecimal digits in any case and four dashes.
template <class = void>
bool is_uuid(std::string_view text) {
    if (text.size() != 36) return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        const char c = text[i];
        const bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        if (dash ? c != '-' : !hex) return false;
    }
    return true;
}

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif
