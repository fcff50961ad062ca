/// @file
/// Files and directories, where systems differ: directories are walked without following links, files are created
/// exclusively and get their name at the end. Failures are std::system_error.
#ifndef BACKENDAI_OS_FILE_HPP
#define BACKENDAI_OS_FILE_HPP

#include <backendai/version.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#ifdef _WIN32
#include <backendai/os/file_windows.hpp>
#else
#include <backendai/os/file_posix.hpp>
#endif

BACKENDAI_NAMESPACE_BEGIN
namespace os {

/// A path as UTF-8 with `/` between its components: what goes into requests and messages.
template <class = void>
std::string path_text(const std::filesystem::path& path) {
    const auto text = path.generic_u8string(); // std::u8string from C++20 on
    return std::string(text.begin(), text.end());
}

/// The path that UTF-8 text means.
template <class = void>
std::filesystem::path text_path(std::string_view text) {
#if defined(__cpp_char8_t)
    return std::filesystem::path(std::u8string(text.begin(), text.end()));
#else
    return std::filesystem::u8path(text.begin(), text.end());
#endif
}

} // namespace os
BACKENDAI_NAMESPACE_END

#endif
