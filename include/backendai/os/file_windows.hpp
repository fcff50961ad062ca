/// @file
/// Files and directories of Windows; include <backendai/os/file.hpp>.
///
/// Windows has no openat: a directory is its path, and each name is checked to be no reparse point (link, junction)
/// before it is used. Somebody who may write to the destination could swap a directory between check and use; against
/// such a one the destination itself must be protected.
#ifndef BACKENDAI_OS_FILE_WINDOWS_HPP
#define BACKENDAI_OS_FILE_WINDOWS_HPP
#ifdef _WIN32

#include <backendai/os/file_types.hpp>
#include <backendai/version.hpp>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#ifndef NOMINMAX
#define NOMINMAX
#endif
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>

BACKENDAI_NAMESPACE_BEGIN
namespace os {
namespace detail {

[[noreturn]] inline void throw_last_error(const char* what) {
    throw std::system_error(static_cast<int>(GetLastError()), std::system_category(), what);
}

inline std::filesystem::path utf8_path(const std::string& name) {
#if defined(__cpp_char8_t)
    return std::filesystem::path(std::u8string(name.begin(), name.end()));
#else
    return std::filesystem::u8path(name);
#endif
}

inline file_kind kind_of_path(const std::filesystem::path& path) {
    const DWORD attributes = GetFileAttributesW(path.c_str());
    if (attributes == INVALID_FILE_ATTRIBUTES) {
        const DWORD code = GetLastError();
        if (code == ERROR_FILE_NOT_FOUND || code == ERROR_PATH_NOT_FOUND) return file_kind::none;
        throw_last_error("stat");
    }
    if ((attributes & FILE_ATTRIBUTE_REPARSE_POINT) != 0) return file_kind::symbolic_link;
    if ((attributes & FILE_ATTRIBUTE_DIRECTORY) != 0) return file_kind::directory;
    return (attributes & FILE_ATTRIBUTE_DEVICE) != 0 ? file_kind::other : file_kind::regular;
}

} // namespace detail

/// An open file. Not thread-safe.
class open_file {
public:
    open_file() = default;
    explicit open_file(HANDLE handle) noexcept : handle_(handle) {}
    open_file(open_file&& other) noexcept : handle_(std::exchange(other.handle_, INVALID_HANDLE_VALUE)) {}
    open_file& operator=(open_file&& other) noexcept {
        std::swap(handle_, other.handle_);
        return *this;
    }
    ~open_file() {
        if (is_open()) CloseHandle(handle_);
    }

    bool is_open() const noexcept { return handle_ != INVALID_HANDLE_VALUE; }

    std::size_t read(char* buffer, std::size_t capacity) {
        DWORD count = 0;
        if (!ReadFile(handle_, buffer, static_cast<DWORD>((std::min)(capacity, std::size_t{1} << 30)), &count, nullptr))
            detail::throw_last_error("read");
        return count;
    }
    void write(std::string_view bytes) {
        while (!bytes.empty()) {
            DWORD count = 0;
            const auto wanted = static_cast<DWORD>((std::min)(bytes.size(), std::size_t{1} << 30));
            if (!WriteFile(handle_, bytes.data(), wanted, &count, nullptr)) detail::throw_last_error("write");
            bytes.remove_prefix(count);
        }
    }
    std::uint64_t size() const {
        LARGE_INTEGER size{};
        if (!GetFileSizeEx(handle_, &size)) detail::throw_last_error("stat");
        return static_cast<std::uint64_t>(size.QuadPart);
    }
    /// Windows has no permission bits: as if only the owner had any.
    unsigned permissions() const { return 0600; }
    file_time modified() const {
        FILETIME time{};
        if (!GetFileTime(handle_, nullptr, nullptr, &time)) detail::throw_last_error("stat");
        const std::uint64_t ticks = (std::uint64_t{time.dwHighDateTime} << 32) | time.dwLowDateTime;
        constexpr std::int64_t epoch = 11'644'473'600; // seconds from 1601 to 1970
        return {static_cast<std::int64_t>(ticks / 10'000'000) - epoch,
                static_cast<std::uint32_t>(ticks % 10'000'000 * 100)};
    }
    void seek(std::uint64_t position) {
        LARGE_INTEGER place{};
        place.QuadPart = static_cast<LONGLONG>(position);
        if (!SetFilePointerEx(handle_, place, nullptr, FILE_BEGIN)) detail::throw_last_error("seek");
    }
    void resize(std::uint64_t size) {
        seek(size);
        if (!SetEndOfFile(handle_)) detail::throw_last_error("truncate");
    }
    /// Windows has no permission bits.
    void set_mode(unsigned /*mode*/) {}
    void set_modified(file_time time) {
        constexpr std::int64_t epoch = 11'644'473'600; // seconds from 1601 to 1970
        const auto ticks = static_cast<std::uint64_t>((time.seconds + epoch) * 10'000'000 + time.nanoseconds / 100);
        FILETIME value{static_cast<DWORD>(ticks), static_cast<DWORD>(ticks >> 32)};
        if (!SetFileTime(handle_, nullptr, nullptr, &value)) detail::throw_last_error("setting the time");
    }
    void close() {
        if (!CloseHandle(std::exchange(handle_, INVALID_HANDLE_VALUE))) detail::throw_last_error("close");
    }

private:
    HANDLE handle_ = INVALID_HANDLE_VALUE;
};

/// Nothing to do here: a file that is open for writing can be opened for that by nobody else, nor renamed.
class file_lock {
public:
    file_lock() = default;
    explicit file_lock(const open_file& /*file*/) {}
    bool is_held() const noexcept { return true; }
};

/// Opens a regular file, through links. @throws std::system_error also when it is no regular file.
inline open_file open_for_reading(const std::filesystem::path& path) {
    open_file result(CreateFileW(path.c_str(), GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                                 nullptr, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, nullptr));
    if (!result.is_open()) detail::throw_last_error("open");
    return result;
}

/// An open directory. Names are single components; links among them are never followed. Not thread-safe.
class directory {
public:
    directory() = default;
    explicit directory(const std::filesystem::path& path) : path_(path) {
        if (!std::filesystem::is_directory(path)) throw std::system_error(ENOTDIR, std::generic_category(), "open");
    }

    bool is_open() const noexcept { return !path_.empty(); }
    file_kind kind_of(const std::string& name) const { return detail::kind_of_path(at(name)); }
    directory open_child(const std::string& name) const {
        if (kind_of(name) != file_kind::directory) throw std::system_error(ENOTDIR, std::generic_category(), "open");
        return directory(at(name));
    }
    bool make_child(const std::string& name) const {
        if (CreateDirectoryW(at(name).c_str(), nullptr)) return true;
        if (GetLastError() == ERROR_ALREADY_EXISTS) return false;
        detail::throw_last_error("mkdir");
    }
    open_file create(const std::string& name, unsigned /*mode*/) const {
        open_file result(CreateFileW(at(name).c_str(), GENERIC_WRITE | FILE_WRITE_ATTRIBUTES, 0, nullptr, CREATE_NEW,
                                     FILE_ATTRIBUTE_NORMAL, nullptr));
        if (!result.is_open()) detail::throw_last_error("create");
        return result;
    }
    open_file open_file_for_reading(const std::string& name) const {
        return open_regular(name, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_DELETE);
    }
    /// @throws std::system_error also when it is open for writing already
    open_file open_file_for_writing(const std::string& name) const {
        return open_regular(name, GENERIC_WRITE | FILE_WRITE_ATTRIBUTES, FILE_SHARE_READ);
    }
    /// A file that is open for writing keeps its name.
    bool has(const std::string& /*name*/, const open_file& /*file*/) const { return true; }
    void rename(const std::string& from, const std::string& to) const {
        if (!MoveFileExW(at(from).c_str(), at(to).c_str(), MOVEFILE_REPLACE_EXISTING))
            detail::throw_last_error("rename");
    }
    bool rename_new(const std::string& from, const std::string& to) const {
        if (MoveFileExW(at(from).c_str(), at(to).c_str(), 0)) return true;
        const DWORD code = GetLastError();
        if (code == ERROR_ALREADY_EXISTS || code == ERROR_FILE_EXISTS) return false;
        detail::throw_last_error("rename");
    }
    bool remove_file(const std::string& name) const noexcept { return DeleteFileW(at(name).c_str()) != 0; }
    bool remove_directory(const std::string& name) const noexcept { return RemoveDirectoryW(at(name).c_str()) != 0; }
    directory duplicate() const { return *this; }
    /// A directory's time is of no use on Windows, where every change inside sets it.
    void set_metadata(unsigned /*mode*/, file_time /*modified*/) const {}

private:
    open_file open_regular(const std::string& name, DWORD access, DWORD share) const {
        if (kind_of(name) != file_kind::regular) throw std::system_error(EINVAL, std::generic_category(), "open");
        open_file result(
            CreateFileW(at(name).c_str(), access, share, nullptr, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, nullptr));
        if (!result.is_open()) detail::throw_last_error("open");
        return result;
    }

    std::filesystem::path at(const std::string& name) const { return path_ / detail::utf8_path(name); }

    std::filesystem::path path_;
};

} // namespace os
BACKENDAI_NAMESPACE_END

#endif // _WIN32
#endif
