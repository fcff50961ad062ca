// System calls that fail on demand. These definitions take the place of the C library's for the program and for the
// libraries that it is linked with.
#include "fuse.hpp"

#include <cerrno>
#include <cstdarg>
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace torture {

fuse& of_calls() {
    static fuse instance;
    return instance;
}
std::atomic<bool> calls_are_interrupted{false};

namespace {

// A sanitizer's own replacement of the function comes before the C library's.
template <class Function>
Function find(Function sanitizers, const char* name) {
    return sanitizers != nullptr ? sanitizers : reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

// Whether the call fails now. @param can_be_interrupted by a signal, after which it is made again
bool fails(const char* name, int error, bool can_be_interrupted) {
    if (calls_are_interrupted && !can_be_interrupted) return false;
    if (!of_calls().blows(name)) return false;
    errno = calls_are_interrupted ? EINTR : error;
    return true;
}

} // namespace
} // namespace torture

// A function of the C library with its parameters, and the error it fails with.
#define BACKENDAI_CALL(type, name, parameters, arguments, specifier, error, interruptible) \
    extern "C" __attribute__((weak)) type __interceptor_##name parameters; \
    extern "C" type name parameters specifier { \
        static const auto real = torture::find(&__interceptor_##name, #name); \
        if (torture::fails(#name, error, interruptible)) return -1; \
        return real arguments; \
    }

BACKENDAI_CALL(int, socket, (int domain, int type, int protocol), (domain, type, protocol), __THROW, EMFILE, false)
BACKENDAI_CALL(int, connect, (int fd, const sockaddr* address, socklen_t size), (fd, address, size), , ENETUNREACH,
               false)
BACKENDAI_CALL(ssize_t, send, (int fd, const void* data, size_t size, int flags), (fd, data, size, flags), , ECONNRESET,
               true)
BACKENDAI_CALL(ssize_t, recv, (int fd, void* data, size_t size, int flags), (fd, data, size, flags), , ECONNRESET, true)
BACKENDAI_CALL(int, poll, (pollfd * list, nfds_t count, int timeout), (list, count, timeout), , ENOMEM, true)
BACKENDAI_CALL(int, select, (int count, fd_set* in, fd_set* out, fd_set* other, timeval* timeout),
               (count, in, out, other, timeout), , ENOMEM, true)
BACKENDAI_CALL(int, getsockopt, (int fd, int level, int name, void* value, socklen_t* size),
               (fd, level, name, value, size), __THROW, ENOBUFS, false)
BACKENDAI_CALL(int, setsockopt, (int fd, int level, int name, const void* value, socklen_t size),
               (fd, level, name, value, size), __THROW, ENOPROTOOPT, false)
BACKENDAI_CALL(int, shutdown, (int fd, int how), (fd, how), __THROW, ENOTCONN, false)
BACKENDAI_CALL(int, socketpair, (int domain, int type, int protocol, int pair[2]), (domain, type, protocol, pair),
               __THROW, EMFILE, false)
BACKENDAI_CALL(int, pipe2, (int pair[2], int flags), (pair, flags), __THROW, EMFILE, false)
BACKENDAI_CALL(int, pipe, (int pair[2]), (pair), __THROW, EMFILE, false)
BACKENDAI_CALL(ssize_t, read, (int fd, void* data, size_t size), (fd, data, size), , EIO, true)
BACKENDAI_CALL(ssize_t, write, (int fd, const void* data, size_t size), (fd, data, size), , ENOSPC, true)
BACKENDAI_CALL(int, fstat, (int fd, struct stat* state), (fd, state), __THROW, EIO, false)
BACKENDAI_CALL(int, fstatat, (int fd, const char* name, struct stat* state, int flags), (fd, name, state, flags),
               __THROW, EACCES, false)
BACKENDAI_CALL(int, fchmod, (int fd, mode_t mode), (fd, mode), __THROW, EPERM, false)
BACKENDAI_CALL(int, futimens, (int fd, const timespec times[2]), (fd, times), __THROW, EPERM, false)
BACKENDAI_CALL(int, mkdir, (const char* name, mode_t mode), (name, mode), __THROW, EACCES, false)
BACKENDAI_CALL(int, mkdirat, (int fd, const char* name, mode_t mode), (fd, name, mode), __THROW, EACCES, false)
BACKENDAI_CALL(int, renameat, (int from, const char* name, int to, const char* new_name), (from, name, to, new_name),
               __THROW, EIO, false)
BACKENDAI_CALL(int, linkat, (int from, const char* name, int to, const char* new_name, int flags),
               (from, name, to, new_name, flags), __THROW, EPERM, false)

extern "C" {

int fcntl(int fd, int command, ...) {
    using function = int (*)(int, int, ...);
    static const auto real = torture::find<function>(nullptr, "fcntl");
    va_list list;
    va_start(list, command);
    void* const argument = va_arg(list, void*);
    va_end(list);
    // Nothing ever hangs on that flag, and cpp-httplib 0.11.4 forgets its socket when it cannot be set.
    if (command != F_SETFD && torture::fails("fcntl", EMFILE, false)) return -1;
    return real(fd, command, argument);
}

int open(const char* name, int flags, ...) {
    using function = int (*)(const char*, int, ...);
    static const auto real = torture::find<function>(nullptr, "open");
    va_list list;
    va_start(list, flags);
    const auto mode = (flags & O_CREAT) != 0 ? va_arg(list, unsigned) : 0;
    va_end(list);
    if (torture::fails("open", EMFILE, true)) return -1;
    return real(name, flags, mode);
}

int openat(int fd, const char* name, int flags, ...) {
    using function = int (*)(int, const char*, int, ...);
    static const auto real = torture::find<function>(nullptr, "openat");
    va_list list;
    va_start(list, flags);
    const auto mode = (flags & O_CREAT) != 0 ? va_arg(list, unsigned) : 0;
    va_end(list);
    if (torture::fails("openat", EMFILE, true)) return -1;
    return real(fd, name, flags, mode);
}

// The descriptor is gone all the same, as Linux does it.
int close(int fd) {
    using function = int (*)(int);
    static const auto real = torture::find<function>(nullptr, "close");
    const int result = real(fd);
    return torture::fails("close", EIO, false) ? -1 : result;
}

__attribute__((weak)) int __interceptor_pthread_create(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*run)(void*), void* argument) __THROWNL {
    static const auto real = torture::find(&__interceptor_pthread_create, "pthread_create");
    if (torture::fails("pthread_create", EAGAIN, false)) return EAGAIN;
    return real(thread, attributes, run, argument);
}

} // extern "C"
