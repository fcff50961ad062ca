/// @file
/// Writes tar archives: ustar, with pax extended headers for what does not fit.
#ifndef BACKENDAI_CODEC_TAR_WRITER_HPP
#define BACKENDAI_CODEC_TAR_WRITER_HPP

#include <backendai/codec/printable.hpp>
#include <backendai/codec/tar_format.hpp>
#include <backendai/version.hpp>

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
