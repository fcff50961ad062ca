/// @file
/// Keeps SIGPIPE, whose default is to end the program, away from a thread while it writes to a connection whose peer
/// may be gone. Sockets have MSG_NOSIGNAL for that; OpenSSL's own socket calls do not use it.
#ifndef BACKENDAI_OS_SIGPIPE_HPP
#define BACKENDAI_OS_SIGPIPE_HPP

#include <backendai/version.hpp>

#ifndef _WIN32
#include <pthread.h>
#include <signal.h> // NOLINT(modernize-deprecated-headers): sigset_t and its functions are POSIX, not C++
#endif

BACKENDAI_NAMESPACE_BEGIN
namespace os {

/// Blocks SIGPIPE on this thread for its lifetime and swallows the one that came meanwhile. The process-wide setting,
/// which belongs to the program, is not touched. Windows knows no such signal.
class sigpipe_guard {
public:
#ifdef _WIN32
    sigpipe_guard() {}
    ~sigpipe_guard() {}
#else
    sigpipe_guard() {
        sigset_t added;
        sigemptyset(&added);
        sigaddset(&added, SIGPIPE);
        pthread_sigmask(SIG_BLOCK, &added, &before_);
        // One can only be waiting already where it was blocked already.
        was_waiting_ = sigismember(&before_, SIGPIPE) == 1 && is_waiting();
    }
    ~sigpipe_guard() {
        if (!was_waiting_ && is_waiting()) {
            sigset_t taken;
            sigemptyset(&taken);
            sigaddset(&taken, SIGPIPE);
            int number = 0;
            sigwait(&taken, &number); // it waits already, so that this returns at once
        }
        pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }
#endif
    sigpipe_guard(const sigpipe_guard&) = delete;
    sigpipe_guard& operator=(const sigpipe_guard&) = delete;

private:
#ifndef _WIN32
    template <class = void>
    static bool is_waiting() {
        sigset_t waiting;
        sigemptyset(&waiting);
        sigpending(&waiting);
        return sigismember(&waiting, SIGPIPE) == 1;
    }
    sigset_t before_{};
    bool was_waiting_ = false;
#endif
};

} // namespace os
BACKENDAI_NAMESPACE_END

#endif
