/// @file
/// The archives that the embedded gateway sends: of real files, and of such as no honest server sends.
#ifndef BACKENDAI_TESTING_GATEWAY_TAR_HPP
#define BACKENDAI_TESTING_GATEWAY_TAR_HPP

#include <backendai/codec/gzip.hpp>
#include <backendai/codec/tar_writer.hpp>
#include <backendai/os/file.hpp>
#include <backendai/version.hpp>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <system_error>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// A whole file. @throws std::filesystem::filesystem_error.
inline std::string read_whole(const std::filesystem::path& path) {
    try {
        os::open_file file = os::open_for_reading(path);
        std::string bytes(static_cast<std::size_t>(file.size()), '\0');
        std::size_t filled = 0;
        while (filled < bytes.size()) {
            const std::size_t count = file.read(&bytes[filled], bytes.size() - filled);
            if (count == 0) break;
            filled += count;
        }
        bytes.resize(filled);
        return bytes;
    } catch (const std::filesystem::filesystem_error&) {
        throw;
    } catch (const std::system_error& e) {
        throw std::filesystem::filesystem_error("read", path, e.code());
    }
}

inline void add_to_archive(codec::tar_writer& writer, std::string& bytes, const std::filesystem::path& path,
                           const std::string& name, std::size_t limit) {
    if (bytes.size() > limit) return; // too large already; the caller looks at the size
    struct stat data {};
    if (::lstat(path.c_str(), &data) != 0) {
        throw std::filesystem::filesystem_error("stat", path, std::error_code(errno, std::generic_category()));
    }
    codec::tar_entry entry;
    entry.name = name;
    entry.mode = data.st_mode & 07777U;
    entry.mtime_seconds = data.st_mtime;
    if (S_ISDIR(data.st_mode)) {
        entry.name += '/';
        entry.type = codec::tar_type::directory;
        bytes += writer.begin_entry(entry);
        bytes += writer.end_entry();
        std::vector<std::filesystem::path> children;
        for (const auto& child : std::filesystem::directory_iterator(path)) children.push_back(child.path());
        std::sort(children.begin(), children.end());
        for (const auto& child : children)
            add_to_archive(writer, bytes, child, name + '/' + child.filename().string(), limit);
    } else if (S_ISLNK(data.st_mode)) {
        entry.type = codec::tar_type::symbolic_link;
        entry.link_name = std::filesystem::read_symlink(path).string();
        bytes += writer.begin_entry(entry);
        bytes += writer.end_entry();
    } else if (S_ISREG(data.st_mode)) {
        if (static_cast<std::uint64_t>(data.st_size) > limit) {
            bytes.resize(limit + 1);
            return;
        }
        const std::string content = read_whole(path);
        entry.size = content.size();
        bytes += writer.begin_entry(entry) + content;
        writer.add_content(content.size());
        bytes += writer.end_entry();
    }
}

/// The archive of a file or directory, under its last name, as the container engine makes it. Something longer than
/// @p limit, with no meaning, when it would be larger. @throws std::filesystem::filesystem_error.
inline std::string make_archive(const std::filesystem::path& path, std::size_t limit) {
    codec::tar_writer writer;
    std::string bytes;
    const std::filesystem::path real = std::filesystem::is_symlink(path) ? std::filesystem::canonical(path) : path;
    std::string name = path.filename().string();
    if (name.empty()) name = path.has_relative_path() ? path.parent_path().filename().string() : ".";
    add_to_archive(writer, bytes, real, name, limit);
    if (bytes.size() <= limit) bytes += writer.finish();
    return bytes;
}

inline std::string one_file_archive(const std::string& name, const std::string& content = "hostile") {
    codec::tar_writer writer;
    codec::tar_entry entry;
    entry.name = name;
    entry.size = content.size();
    entry.mode = 0644;
    std::string bytes = writer.begin_entry(entry) + content;
    writer.add_content(content.size());
    bytes += writer.end_entry();
    return bytes + writer.finish();
}

/// A symbolic link, and a file that would go through it.
inline std::string link_archive(const std::string& name, const std::string& target) {
    codec::tar_writer writer;
    codec::tar_entry entry;
    entry.name = name;
    entry.type = codec::tar_type::symbolic_link;
    entry.link_name = target;
    std::string bytes = writer.begin_entry(entry);
    bytes += writer.end_entry();
    return bytes + one_file_archive(name + "/escaped");
}

/// So many zero bytes, compressed.
inline std::string zero_bomb(codec::deflate_format format, std::uint64_t size) {
    const std::string zeros(1024 * 1024, '\0');
    std::string bytes;
    const auto keep = [&bytes](std::string_view piece) { bytes += piece; };
    codec::deflate_encoder encoder(format, 9);
    for (std::uint64_t done = 0; done < size; done += zeros.size()) encoder.feed(zeros, keep);
    encoder.finish(keep);
    return bytes;
}

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
