/// @file
/// The block layout of tar archives (POSIX.1-1988 ustar, old v7, GNU) and the number formats in it.
#ifndef BACKENDAI_CODEC_TAR_FORMAT_HPP
#define BACKENDAI_CODEC_TAR_FORMAT_HPP

#include <backendai/codec/decode_error.hpp>
#include <backendai/version.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// The kinds of entries a tar archive has.
enum class tar_type { regular, hard_link, symbolic_link, character_device, block_device, directory, fifo };

/// One entry of a tar archive, by the letter of the archive: nothing in it has been checked against escaping from a
/// destination (safe_relative_path()), and the mode may have set-user-id bits.
struct tar_entry {
    std::string name;      ///< as in the archive; a directory's may end in a slash
    std::string link_name; ///< of hard and symbolic links
    tar_type type = tar_type::regular;
    std::uint64_t size = 0;              ///< bytes of content; 0 unless regular
    std::uint32_t mode = 0;              ///< the lower twelve permission bits
    std::int64_t mtime_seconds = 0;      ///< since 1970; rounded down, so before 1970 too
    std::uint32_t mtime_nanoseconds = 0; ///< to be added to the seconds
};

namespace detail {

constexpr std::size_t tar_block_size = 512;

/// Where a field stands in the header block.
struct tar_field {
    std::size_t offset;
    std::size_t length;

    std::string_view of(std::string_view block) const noexcept { return block.substr(offset, length); }
};

namespace tar_layout {
constexpr tar_field name{0, 100};
constexpr tar_field mode{100, 8};
constexpr tar_field uid{108, 8};
constexpr tar_field gid{116, 8};
constexpr tar_field size{124, 12};
constexpr tar_field mtime{136, 12};
constexpr tar_field checksum{148, 8};
constexpr tar_field type{156, 1};
constexpr tar_field link_name{157, 100};
constexpr tar_field magic{257, 8}; // with the version
constexpr tar_field device_major{329, 8};
constexpr tar_field device_minor{337, 8};
constexpr tar_field prefix{345, 155};
} // namespace tar_layout

constexpr std::string_view posix_magic{"ustar\00000", 8};

/// The text of a field, which ends at its first NUL or fills it.
inline std::string_view tar_text(std::string_view field) noexcept {
    return field.substr(0, field.find('\0'));
}

inline bool all_zero(std::string_view bytes) noexcept {
    return bytes.find_first_not_of('\0') == std::string_view::npos;
}

/// A number field: octal digits with blanks around them, or GNU's base-256 (first byte 0x80, or 0xFF when negative).
/// @throws decode_error when it is neither or does not fit.
template <class = void>
std::int64_t parse_tar_number(std::string_view field, const char* what) {
    const auto fail = [&](const char* why) { throw decode_error(std::string("tar header: the ") + what + ' ' + why); };
    const auto first = static_cast<unsigned char>(field.front());
    if (first == 0x80 || first == 0xFF) {
        const bool negative = first == 0xFF;
        const std::uint64_t fill = negative ? 0xFF : 0;
        std::uint64_t value = negative ? ~std::uint64_t{0} : 0;
        for (const char c : field.substr(1)) {
            if ((value >> 56) != fill) fail("is too large");
            value = (value << 8) | static_cast<unsigned char>(c);
        }
        if ((value >> 63 != 0) != negative) fail("is too large");
        return negative ? -static_cast<std::int64_t>(~value) - 1 : static_cast<std::int64_t>(value);
    }
    std::size_t i = 0;
    while (i < field.size() && field[i] == ' ') ++i;
    std::int64_t value = 0;
    for (; i < field.size() && field[i] >= '0' && field[i] <= '7'; ++i) {
        if (value > ((std::numeric_limits<std::int64_t>::max)() >> 3)) fail("is too large");
        value = (value << 3) | (field[i] - '0');
    }
    if (i < field.size() && field[i] != ' ' && field[i] != '\0') fail("is not a number");
    return value;
}

/// The sums of a header's bytes, the checksum field counted as blanks: unsigned as POSIX wants, signed as some old
/// tars.
struct tar_checksums {
    std::int64_t of_unsigned = 0;
    std::int64_t of_signed = 0;
};

template <class = void>
tar_checksums sum_tar_header(std::string_view block) noexcept {
    tar_checksums result;
    const tar_field field = tar_layout::checksum;
    for (std::size_t i = 0; i < block.size(); ++i) {
        const char c = i >= field.offset && i < field.offset + field.length ? ' ' : block[i];
        result.of_unsigned += static_cast<unsigned char>(c);
        result.of_signed += static_cast<signed char>(c);
    }
    return result;
}

inline std::uint64_t tar_padding(std::uint64_t size) noexcept {
    return (tar_block_size - size % tar_block_size) % tar_block_size;
}

} // namespace detail
} // namespace codec
BACKENDAI_NAMESPACE_END

#endif
