/// @file
/// Failures of the local file system as client_error{io}, with the path.
#ifndef BACKENDAI_FILES_IO_ERROR_HPP
#define BACKENDAI_FILES_IO_ERROR_HPP

#include <backendai/codec/printable.hpp>
#include <backendai/error.hpp>
#include <backendai/os/file.hpp>
#include <backendai/version.hpp>

#include <filesystem>
#include <string>
#include <system_error>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

template <class = void>
std::string shown(const std::filesystem::path& path) {
    return codec::printable(os::path_text(path), 1024);
}

template <class = void>
[[noreturn]] inline void io_failure(const std::filesystem::path& path, const std::string& why) {
    // Nothing was sent yet, as far as is known here; who runs it in the middle of an exchange says after_sending().
    throw client_error(error_kind::io, shown(path) + ": " + why);
}

/// Runs file system calls about @p path.
template <class Work>
auto with_io_errors(const std::filesystem::path& path, Work&& work) -> decltype(work()) {
    try {
        return work();
    } catch (const std::filesystem::filesystem_error& e) {
        io_failure(path, e.code().message());
    } catch (const std::system_error& e) {
        io_failure(path, e.code().message());
    }
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
