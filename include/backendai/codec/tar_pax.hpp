/// @file
/// pax extended headers (POSIX.1-2001): the records that override fields of a tar header.
#ifndef BACKENDAI_CODEC_TAR_PAX_HPP
#define BACKENDAI_CODEC_TAR_PAX_HPP

#include <backendai/codec/decode_error.hpp>
#include <backendai/codec/printable.hpp>
#include <backendai/version.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {
namespace detail {

/// Seconds and nanoseconds since 1970.
struct pax_time {
    std::int64_t seconds = 0;
    std::uint32_t nanoseconds = 0;
};

/// What pax records say about an entry, as far as this SDK uses it.
struct pax_values {
    std::optional<std::string> path;
    std::optional<std::string> link_path;
    std::optional<std::uint64_t> size;
    std::optional<pax_time> mtime;
};

template <class = void>
[[noreturn]] inline void refuse_pax(std::string_view record, const char* why) {
    throw decode_error("tar: pax record " + printable(record) + ' ' + why);
}

/// A decimal number that fits 63 bits.
template <class = void>
std::optional<std::int64_t> parse_decimal(std::string_view text) noexcept {
    if (text.empty()) return std::nullopt;
    std::int64_t value = 0;
    for (const char c : text) {
        if (c < '0' || c > '9') return std::nullopt;
        const std::int64_t digit = c - '0';
        if (value > ((std::numeric_limits<std::int64_t>::max)() - digit) / 10) return std::nullopt;
        value = value * 10 + digit;
    }
    return value;
}

/// `1700000000.25`, `-1.5`; digits beyond nanoseconds are cut off.
template <class = void>
std::optional<pax_time> parse_pax_time(std::string_view text) noexcept {
    const bool negative = !text.empty() && text.front() == '-';
    if (negative) text.remove_prefix(1);
    const std::size_t point = text.find('.');
    const std::optional<std::int64_t> whole = parse_decimal(text.substr(0, point));
    if (!whole) return std::nullopt;
    std::uint32_t nanoseconds = 0;
    if (point != std::string_view::npos) {
        const std::string_view fraction = text.substr(point + 1);
        std::uint32_t unit = 100'000'000;
        for (const char c : fraction) {
            if (c < '0' || c > '9') return std::nullopt;
            nanoseconds += unit * static_cast<std::uint32_t>(c - '0');
            unit /= 10;
        }
    }
    if (!negative) return pax_time{*whole, nanoseconds};
    if (nanoseconds == 0) return pax_time{-*whole, 0};
    return pax_time{-*whole - 1, 1'000'000'000 - nanoseconds};
}

/// Puts one record into `values`. Keywords that regard neither name, size nor time (owners, comments, vendors' own) do
/// not change what is extracted here and are passed over.
template <class = void>
void apply_pax_record(std::string_view key, std::string_view value, bool global, pax_values& values) {
    // Sparse files: the content is not what the size says, and a reader that does not know it writes garbage.
    if (key.substr(0, 10) == "GNU.sparse" || key == "SUN.holesdata" || key == "SCHILY.realsize")
        refuse_pax(key, "marks a sparse file, which is not supported");
    const bool known = key == "path" || key == "linkpath" || key == "size" || key == "mtime";
    if (!known) return;
    if (value.empty()) {
        // POSIX: an empty value deletes what was said before. A global one may; an entry with no name is nothing.
        if (!global) refuse_pax(key, "is empty");
        if (key == "path") values.path.reset();
        if (key == "linkpath") values.link_path.reset();
        if (key == "size") values.size.reset();
        if (key == "mtime") values.mtime.reset();
        return;
    }
    if (key == "path" || key == "linkpath") {
        if (value.find('\0') != std::string_view::npos) refuse_pax(value, "has a NUL byte in a name");
        (key == "path" ? values.path : values.link_path) = std::string(value);
    } else if (key == "size") {
        const std::optional<std::int64_t> size = parse_decimal(value);
        if (!size) refuse_pax(value, "is not a size");
        values.size = static_cast<std::uint64_t>(*size);
    } else {
        values.mtime = parse_pax_time(value);
        if (!values.mtime) refuse_pax(value, "is not a time");
    }
}

/// Reads the records of one extended header, each `LENGTH KEY=VALUE\n`, LENGTH counting all of it.
/// @throws decode_error when they are malformed.
template <class = void>
void parse_pax_records(std::string_view records, bool global, pax_values& values) {
    while (!records.empty()) {
        const std::size_t blank = records.substr(0, 20).find(' ');
        const std::optional<std::int64_t> length =
            blank == std::string_view::npos ? std::nullopt : parse_decimal(records.substr(0, blank));
        if (!length || static_cast<std::uint64_t>(*length) > records.size() ||
            static_cast<std::uint64_t>(*length) < blank + 3)
            refuse_pax(records.substr(0, 40), "has a wrong length");
        const std::string_view record = records.substr(0, static_cast<std::size_t>(*length));
        records.remove_prefix(record.size());
        if (record.back() != '\n') refuse_pax(record, "does not end in a line feed");
        const std::string_view body = record.substr(blank + 1, record.size() - blank - 2);
        const std::size_t equals = body.find('=');
        if (equals == std::string_view::npos || equals == 0) refuse_pax(record, "has no keyword");
        apply_pax_record(body.substr(0, equals), body.substr(equals + 1), global, values);
    }
}

} // namespace detail
} // namespace codec
BACKENDAI_NAMESPACE_END

#endif
