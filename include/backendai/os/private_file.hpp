/// @file
/// Small files that hold secrets: nobody but their owner may read them. Failures are std::system_error.
#ifndef BACKENDAI_OS_PRIVATE_FILE_HPP
#define BACKENDAI_OS_PRIVATE_FILE_HPP

#include <backendai/os/file.hpp>
#include <backendai/version.hpp>

#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <system_error>

BACKENDAI_NAMESPACE_BEGIN
namespace os {

namespace detail {

template <class = void>
std::filesystem::path folder_of(const std::filesystem::path& file) {
    return file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
}

} // namespace detail

/// The content of a file; nothing when there is none.
/// @throws std::system_error{EACCES} when others may read or write it (not on Windows, which has no such bits);
///         {EFBIG} when it is larger than @p limit bytes
template <class = void>
std::optional<std::string> read_private_file(const std::filesystem::path& path, std::size_t limit) {
    const directory folder(detail::folder_of(path));
    const std::string name = path_text(path.filename());
    if (folder.kind_of(name) == file_kind::none) return {};
    open_file file = folder.open_file_for_reading(name);
    if ((file.permissions() & 077U) != 0) {
        throw std::system_error(EACCES, std::generic_category(), "others than its owner may read it");
    }
    std::string text;
    char buffer[4096];
    while (const std::size_t count = file.read(buffer, sizeof buffer)) {
        if (count > limit - text.size()) throw std::system_error(EFBIG, std::generic_category(), "read");
        text.append(buffer, count);
    }
    return text;
}

/// Replaces a file, or makes it, with mode 0600: at every moment it has the old content or the new one.
template <class = void>
void write_private_file(const std::filesystem::path& path, std::string_view content) {
    const directory folder(detail::folder_of(path));
    const std::string temporary = ".backendai-" + std::to_string(std::random_device{}()) + ".tmp";
    open_file file = folder.create(temporary, 0600);
    try {
        file.write(content);
        file.close();
        folder.rename(temporary, path_text(path.filename()));
    } catch (...) {
        folder.remove_file(temporary);
        throw;
    }
}

} // namespace os
BACKENDAI_NAMESPACE_END

#endif
