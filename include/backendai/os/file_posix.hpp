/// @file
/// Files and directories of POSIX systems; include <backendai/os/file.hpp>.
///
/// Directories are descriptors and names are looked up in them (openat and its kin, with O_NOFOLLOW), so that nobody
/// can slip a link into a path between its check and its use.
#ifndef BACKENDAI_OS_FILE_POSIX_HPP
#define BACKENDAI_OS_FILE_POSIX_HPP

#include <backendai/os/file_types.hpp>
#include <backendai/version.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <limits>
#include <string>
#include <string_view>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <system_error>
#include <unistd.h>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace os {
namespace detail {

[[noreturn]] inline void throw_errno(int code, const char* what) {
    throw std::system_error(code, std::generic_category(), what);
}

/// A call that a signal may interrupt, until it is through.
template <class Call>
auto retry_interrupted(Call&& call) -> decltype(call()) {
    for (;;) {
        const auto result = call();
        if (result >= 0 || errno != EINTR) return result;
    }
}

/// A descriptor that closes itself.
class owned_descriptor {
public:
    explicit owned_descriptor(int number = -1) noexcept : number_(number) {}
    owned_descriptor(owned_descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
    owned_descriptor& operator=(owned_descriptor&& other) noexcept {
        std::swap(number_, other.number_);
        return *this;
    }
    ~owned_descriptor() { release(); }
    int get() const noexcept { return number_; }
    int release() noexcept { return number_ >= 0 ? ::close(std::exchange(number_, -1)) : 0; }

private:
    int number_;
};

template <class = void>
file_kind kind_of_mode(mode_t mode) noexcept {
    if (S_ISREG(mode)) return file_kind::regular;
    if (S_ISDIR(mode)) return file_kind::directory;
    return S_ISLNK(mode) ? file_kind::symbolic_link : file_kind::other;
}

} // namespace detail

/// An open file. Not thread-safe.
class open_file {
public:
    open_file() = default;
    explicit open_file(int descriptor) noexcept : descriptor_(descriptor) {}

    bool is_open() const noexcept { return descriptor_.get() >= 0; }

    /// Up to @p capacity bytes; 0 at the end.
    template <class = void>
    std::size_t read(char* buffer, std::size_t capacity) {
        const ssize_t count = detail::retry_interrupted([&] { return ::read(descriptor_.get(), buffer, capacity); });
        if (count < 0) detail::throw_errno(errno, "read");
        return static_cast<std::size_t>(count);
    }
    template <class = void>
    void write(std::string_view bytes) {
        while (!bytes.empty()) {
            const ssize_t count =
                detail::retry_interrupted([&] { return ::write(descriptor_.get(), bytes.data(), bytes.size()); });
            if (count < 0) detail::throw_errno(errno, "write");
            bytes.remove_prefix(static_cast<std::size_t>(count));
        }
    }
    template <class = void>
    std::uint64_t size() const {
        return static_cast<std::uint64_t>(status().st_size);
    }
    /// The nine permission bits.
    template <class = void>
    unsigned permissions() const {
        return static_cast<unsigned>(status().st_mode) & 0777U;
    }
    template <class = void>
    file_time modified() const {
        const struct stat data = status();
#ifdef __APPLE__
        return {data.st_mtimespec.tv_sec, static_cast<std::uint32_t>(data.st_mtimespec.tv_nsec)};
#else
        return {data.st_mtim.tv_sec, static_cast<std::uint32_t>(data.st_mtim.tv_nsec)};
#endif
    }
    /// Where the next read or write is, from the file's beginning.
    template <class = void>
    void seek(std::uint64_t position) {
        if (::lseek(descriptor_.get(), static_cast<off_t>(position), SEEK_SET) < 0) detail::throw_errno(errno, "seek");
    }
    /// Cuts the file off.
    template <class = void>
    void resize(std::uint64_t size) {
        if (detail::retry_interrupted([&] { return ::ftruncate(descriptor_.get(), static_cast<off_t>(size)); }) != 0)
            detail::throw_errno(errno, "truncate");
    }
    /// @param mode the nine permission bits
    template <class = void>
    void set_mode(unsigned mode) {
        if (::fchmod(descriptor_.get(), static_cast<mode_t>(mode & 0777U)) != 0) detail::throw_errno(errno, "chmod");
    }
    template <class = void>
    void set_modified(file_time time) {
        struct timespec times[2] = {};
        times[0].tv_nsec = UTIME_OMIT; // the time of access
        times[1].tv_sec = static_cast<time_t>(time.seconds);
        times[1].tv_nsec = static_cast<long>(time.nanoseconds);
        if (::futimens(descriptor_.get(), times) != 0) detail::throw_errno(errno, "setting the time");
    }
    /// Reports what the system kept back until now (a network file system's full disk, say).
    template <class = void>
    void close() {
        if (descriptor_.release() != 0 && errno != EINTR) detail::throw_errno(errno, "close");
    }

private:
    friend class directory;
    friend class file_lock;

    template <class = void>
    struct stat status() const {
        struct stat data {};
        if (::fstat(descriptor_.get(), &data) != 0) detail::throw_errno(errno, "fstat");
        return data;
    }

    detail::owned_descriptor descriptor_;
};

/// While one holds a file, no other that was made from the file's being opened anew can, in whatever process. It
/// outlasts the open_file it was made from. Some file systems know no locks: there it always holds.
class file_lock {
public:
    file_lock() = default;
    /// Does not wait when the file is held: see is_held().
    template <class = void>
    explicit file_lock(const open_file& file) : descriptor_(::fcntl(file.descriptor_.get(), F_DUPFD_CLOEXEC, 0)) {
        if (!is_held()) detail::throw_errno(errno, "dup");
        if (detail::retry_interrupted([&] { return ::flock(descriptor_.get(), LOCK_EX | LOCK_NB); }) == 0) return;
        if (errno == EWOULDBLOCK) {
            descriptor_.release();
        } else if (errno != EOPNOTSUPP && errno != ENOSYS) {
            detail::throw_errno(errno, "lock");
        }
    }
    bool is_held() const noexcept { return descriptor_.get() >= 0; }

private:
    detail::owned_descriptor descriptor_;
};

/// Opens a regular file, through links. @throws std::system_error also when it is no regular file.
template <class = void>
open_file open_for_reading(const std::filesystem::path& path) {
    // O_NONBLOCK: opening a FIFO must not wait for a writer. It has no effect on regular files.
    const int descriptor =
        detail::retry_interrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); });
    if (descriptor < 0) detail::throw_errno(errno, "open");
    open_file result(descriptor);
    struct stat data {};
    if (::fstat(descriptor, &data) != 0) detail::throw_errno(errno, "fstat");
    if (!S_ISREG(data.st_mode)) detail::throw_errno(S_ISDIR(data.st_mode) ? EISDIR : EINVAL, "open");
    return result;
}

/// An open directory. Names are single components; links among them are never followed. Not thread-safe.
class directory {
public:
    directory() = default;
    /// Opens a directory by its path, through links.
    explicit directory(const std::filesystem::path& path) : directory(AT_FDCWD, path.c_str(), 0) {}

    bool is_open() const noexcept { return descriptor_.get() >= 0; }

    template <class = void>
    file_kind kind_of(const std::string& name) const {
        struct stat data {};
        if (::fstatat(descriptor_.get(), name.c_str(), &data, AT_SYMLINK_NOFOLLOW) == 0)
            return detail::kind_of_mode(data.st_mode);
        if (errno == ENOENT) return file_kind::none;
        detail::throw_errno(errno, "stat");
    }
    /// @throws std::system_error{ENOTDIR or ELOOP} also when the name is a link, wherever it leads.
    directory open_child(const std::string& name) const {
        return directory(descriptor_.get(), name.c_str(), O_NOFOLLOW);
    }
    /// False when there is something of that name.
    template <class = void>
    bool make_child(const std::string& name) const {
        if (::mkdirat(descriptor_.get(), name.c_str(), 0777) == 0) return true;
        if (errno == EEXIST) return false;
        detail::throw_errno(errno, "mkdir");
    }
    /// Creates a file that must not exist. @param mode of the new file, less the process's umask
    template <class = void>
    open_file create(const std::string& name, unsigned mode) const {
        const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
        const int descriptor = detail::retry_interrupted(
            [&] { return ::openat(descriptor_.get(), name.c_str(), flags, static_cast<mode_t>(mode)); });
        if (descriptor < 0) detail::throw_errno(errno, "create");
        return open_file(descriptor);
    }
    /// Opens a file that exists. @throws std::system_error also when it is a link or no regular file.
    template <class = void>
    open_file open_file_for_reading(const std::string& name) const {
        return open_regular(name, O_RDONLY);
    }
    /// The same, to write into it from its beginning on.
    template <class = void>
    open_file open_file_for_writing(const std::string& name) const {
        return open_regular(name, O_WRONLY);
    }
    /// Whether the name still is that of the file that was opened under it.
    template <class = void>
    bool has(const std::string& name, const open_file& file) const {
        const struct stat opened = file.status();
        struct stat data {};
        if (::fstatat(descriptor_.get(), name.c_str(), &data, AT_SYMLINK_NOFOLLOW) == 0)
            return data.st_dev == opened.st_dev && data.st_ino == opened.st_ino;
        if (errno == ENOENT) return false;
        detail::throw_errno(errno, "stat");
    }
    /// Gives a file another name, in place of the file or link of that name, if any.
    template <class = void>
    void rename(const std::string& from, const std::string& to) const {
        if (::renameat(descriptor_.get(), from.c_str(), descriptor_.get(), to.c_str()) != 0)
            detail::throw_errno(errno, "rename");
    }
    /// Gives a file another name unless that is taken; false when it is.
    template <class = void>
    bool rename_new(const std::string& from, const std::string& to) const {
        if (::linkat(descriptor_.get(), from.c_str(), descriptor_.get(), to.c_str(), 0) == 0) {
            remove_file(from);
            return true;
        }
        if (errno == EEXIST) return false;
        // A file system without hard links: the check and the renaming are two steps there.
        if (kind_of(to) != file_kind::none) return false;
        rename(from, to);
        return true;
    }
    bool remove_file(const std::string& name) const noexcept {
        return ::unlinkat(descriptor_.get(), name.c_str(), 0) == 0;
    }
    /// Removes an empty directory.
    template <class = void>
    bool remove_directory(const std::string& name) const noexcept {
        return ::unlinkat(descriptor_.get(), name.c_str(), AT_REMOVEDIR) == 0;
    }
    directory duplicate() const { return open_child("."); }
    /// Mode and time of the directory itself.
    template <class = void>
    void set_metadata(unsigned mode, file_time modified) const {
        open_file self(::fcntl(descriptor_.get(), F_DUPFD_CLOEXEC, 0));
        if (!self.is_open()) detail::throw_errno(errno, "dup");
        self.set_mode(mode);
        self.set_modified(modified);
    }

private:
    directory(int parent, const char* name, int flags)
        : descriptor_(detail::retry_interrupted(
              [&] { return ::openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags); })) {
        if (!is_open()) detail::throw_errno(errno, "open");
    }

    template <class = void>
    open_file open_regular(const std::string& name, int how) const {
        const int flags = how | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK; // see open_for_reading
        const int descriptor =
            detail::retry_interrupted([&] { return ::openat(descriptor_.get(), name.c_str(), flags); });
        if (descriptor < 0) detail::throw_errno(errno, "open");
        open_file result(descriptor);
        struct stat data {};
        if (::fstat(descriptor, &data) != 0) detail::throw_errno(errno, "fstat");
        if (!S_ISREG(data.st_mode)) detail::throw_errno(EINVAL, "open");
        return result;
    }

    detail::owned_descriptor descriptor_;
};

} // namespace os
BACKENDAI_NAMESPACE_END

#endif
