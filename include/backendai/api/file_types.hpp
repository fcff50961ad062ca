/// @file
/// Listings of files in compute sessions and virtual folders.
#ifndef BACKENDAI_API_FILE_TYPES_HPP
#define BACKENDAI_API_FILE_TYPES_HPP

#include <backendai/codec/date.hpp>
#include <backendai/codec/decode_error.hpp>
#include <backendai/codec/json.hpp>
#include <backendai/error.hpp>
#include <backendai/version.hpp>
#include <backendai/wire.hpp>

#include <chrono>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

/// One entry of a listing.
struct file_entry {
    std::string filename; ///< without its directory
    std::string mode;     ///< as `ls -l` writes it, "-rw-r--r--"; when the server sends a number, its decimal digits
    std::optional<unsigned> permissions; ///< the twelve permission bits, when the mode could be read
    bool is_directory = false;
    std::uint64_t size = 0; ///< bytes
    std::chrono::system_clock::time_point ctime, mtime, atime;
    json raw;
};

/// A directory's content.
struct file_listing {
    std::vector<file_entry> files; ///< in the server's order
    std::string abspath;           ///< of the directory, on the server; empty when it does not say
    std::string errors;            ///< what the server could not do, for people; empty when all went well
    json raw;
};

namespace detail {

/// "drwxr-sr-x" as permission bits; nothing when it is not of that form.
template <class = void>
std::optional<unsigned> parse_mode_text(std::string_view text) {
    if (text.size() < 10) return {};
    unsigned bits = 0;
    for (std::size_t i = 0; i < 9; ++i) {
        const char c = text[i + 1];
        const unsigned bit = 0400U >> i;
        const unsigned special = 04000U >> (i / 3); // shown in place of each x: s, s, t; upper case without x
        if (i % 3 == 2 && (c == 's' || c == 't' || c == 'S' || c == 'T')) {
            bits |= special | (c == 's' || c == 't' ? bit : 0U);
        } else if (c == "rwx"[i % 3]) {
            bits |= bit;
        } else if (c != '-') {
            return {};
        }
    }
    return bits;
}

template <class = void>
std::chrono::system_clock::time_point time_from_seconds(double seconds, const char* key) {
    using std::chrono::system_clock;
    // Nine thousand million seconds: the year 2255, which fits a clock of nanoseconds.
    if (!(std::fabs(seconds) < 9e9)) bad_answer(std::string("a file's \"") + key + "\" is out of range");
    return system_clock::time_point(
        std::chrono::duration_cast<system_clock::duration>(std::chrono::duration<double>(seconds)));
}

template <class = void>
file_entry read_file_entry(const json& item) {
    const wire_object fields(item, "an entry of the file list");
    file_entry entry;
    entry.raw = item;
    entry.filename = fields.string("filename");
    if (const json* mode = fields.find("mode")) {
        if (mode->is_string()) {
            entry.mode = mode->get<std::string>();
            entry.permissions = parse_mode_text(entry.mode);
            entry.is_directory = !entry.mode.empty() && entry.mode[0] == 'd';
        } else {
            const std::int64_t number = fields.integer("mode"); // st_mode
            entry.mode = std::to_string(number);
            entry.permissions = static_cast<unsigned>(number & 07777);
            entry.is_directory = (number & 0170000) == 0040000;
        }
    }
    const std::int64_t size = fields.integer_or("size", 0);
    if (size < 0) bad_answer("a file's size is negative");
    entry.size = static_cast<std::uint64_t>(size);
    entry.ctime = time_from_seconds(fields.number_or("ctime", 0), "ctime");
    entry.mtime = time_from_seconds(fields.number_or("mtime", 0), "mtime");
    entry.atime = time_from_seconds(fields.number_or("atime", 0), "atime");
    return entry;
}

/// The bits as `ls -l` writes them, after the letter of the kind.
template <class = void>
std::string mode_text(char kind, unsigned bits) {
    std::string text(1, kind);
    for (unsigned i = 0; i < 9; ++i) text += (bits & (0400U >> i)) != 0 ? "rwx"[i % 3] : '-';
    return text;
}

template <class = void>
std::chrono::system_clock::time_point time_from_text(const wire_object& fields, const char* key) {
    const json* member = fields.find(key);
    if (member == nullptr) return {};
    if (member->is_number()) return time_from_seconds(member->get<double>(), key);
    const auto time = codec::parse_iso_date(fields.string(key));
    if (!time) bad_answer(std::string("a file's \"") + key + "\" is no date");
    return std::chrono::time_point_cast<std::chrono::system_clock::duration>(*time);
}

/// An entry of the form that storage proxies have: {name, type, size, mode in octal digits, created, modified}.
template <class = void>
file_entry read_file_item(const json& item) {
    const wire_object fields(item, "an entry of the file list");
    file_entry entry;
    entry.raw = item;
    entry.filename = fields.string("name");
    const std::string type = fields.string_or("type", "");
    entry.is_directory = type == "DIRECTORY";
    const std::string mode = fields.string_or("mode", "");
    if (!mode.empty() && mode.size() < 8 && mode.find_first_not_of("01234567") == std::string::npos) {
        entry.permissions = static_cast<unsigned>(std::stoul(mode, nullptr, 8)) & 07777U;
        entry.mode = mode_text(entry.is_directory ? 'd' : type == "SYMBOLIC_LINK" ? 'l' : '-', *entry.permissions);
    } else {
        entry.mode = mode;
    }
    const std::int64_t size = fields.integer_or("size", 0);
    if (size < 0) bad_answer("a file's size is negative");
    entry.size = static_cast<std::uint64_t>(size);
    entry.ctime = time_from_text(fields, "created");
    entry.mtime = time_from_text(fields, "modified");
    return entry;
}

/// {files: "<JSON text of a list>", errors, abspath}: `files` is a text that is JSON itself, empty on an error. Folders
/// behind a storage proxy tell {items: [...]}, for some years with the older form beside it.
template <class = void>
file_listing read_file_listing(json answer) {
    file_listing listing;
    const wire_object fields(answer, "the file list");
    listing.abspath = fields.string_or("abspath", "");
    if (const json* errors = fields.find("errors")) {
        if (errors->is_string()) {
            listing.errors = errors->get<std::string>();
        } else if (!errors->empty()) {
            listing.errors = errors->dump();
        }
    }
    if (fields.find("items") != nullptr) {
        for (const json& item : fields.array_or_empty("items")) listing.files.push_back(read_file_item(item));
        listing.raw = std::move(answer);
        return listing;
    }
    json items = json::array();
    if (const json* files = fields.find("files")) {
        if (!files->is_string()) {
            items = *files;
        } else if (!files->get_ref<const std::string&>().empty()) {
            try {
                items = codec::parse_json(files->get_ref<const std::string&>());
            } catch (const codec::decode_error& e) {
                bad_answer(std::string("the file list inside it: ") + e.what());
            }
        }
    }
    if (!items.is_array()) bad_answer("its file list is not a list");
    for (const json& item : items) listing.files.push_back(read_file_entry(item));
    listing.raw = std::move(answer);
    return listing;
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
