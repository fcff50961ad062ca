/// @file
/// A terminal in raw mode gets its settings back also when the program ends by a signal, abort() or exit(), and its
/// change of size is told. POSIX only: a Windows console sends no such signals in raw mode.
#ifndef BACKENDAI_OS_TERMINAL_SIGNALS_HPP
#define BACKENDAI_OS_TERMINAL_SIGNALS_HPP

#include <backendai/version.hpp>

#ifndef _WIN32
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <signal.h> // NOLINT(modernize-deprecated-headers): sigaction is POSIX, not C++
#include <termios.h>
#include <unistd.h>

BACKENDAI_NAMESPACE_BEGIN
namespace os {

/// Handles the signals of one terminal for its lifetime; a second object at the same time does nothing. A signal for
/// which the program has a handler, or which it ignores, stays the program's.
class terminal_signals {
public:
    /// @param terminal whose settings @p before are restored when the program ends
    /// @param wake descriptor of a non-blocking pipe that gets a byte when the size changes
    template <class = void>
    terminal_signals(int terminal, const termios& before, int wake)
        : terminal_(terminal), before_(before), wake_(wake) {
        terminal_signals* none = nullptr;
        if (!current().compare_exchange_strong(none, this)) return;
        static const int registered = std::atexit(&restore);
        (void)registered;
        take(SIGWINCH, &on_resize, SA_RESTART, window_);
        for (std::size_t i = 0; i < deadly.size(); ++i) take(deadly[i], &on_end, 0, others_[i]);
    }
    terminal_signals(const terminal_signals&) = delete;
    terminal_signals& operator=(const terminal_signals&) = delete;
    /// The terminal's settings should be restored before.
    ~terminal_signals() {
        if (current().load() != this) return;
        for (std::size_t i = 0; i < deadly.size(); ++i) give_back(deadly[i], others_[i]);
        give_back(SIGWINCH, window_);
        current() = nullptr;
    }

private:
    static constexpr std::array<int, 9> deadly{
        {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}};

    struct former {
        struct sigaction action {};
        bool taken = false;
    };

    template <class = void>
    static std::atomic<terminal_signals*>& current() noexcept {
        static std::atomic<terminal_signals*> present{nullptr};
        return present;
    }

    template <class = void>
    static void take(int number, void (*handler)(int), int flags, former& before) noexcept {
        if (::sigaction(number, nullptr, &before.action) != 0) return;
        const bool is_default = (before.action.sa_flags & SA_SIGINFO) == 0 && before.action.sa_handler == SIG_DFL;
        if (!is_default) return;
        struct sigaction action {};
        action.sa_handler = handler;
        action.sa_flags = flags;
        sigemptyset(&action.sa_mask);
        sigaddset(&action.sa_mask, SIGTTOU); // a program in the background would be stopped in restore()
        before.taken = ::sigaction(number, &action, nullptr) == 0;
    }
    static void give_back(int number, former& before) noexcept {
        if (before.taken) ::sigaction(number, &before.action, nullptr);
    }

    // From here on nothing but what POSIX allows in a signal handler.
    template <class = void>
    static void restore() {
        if (const terminal_signals* const present = current().load()) {
            ::tcsetattr(present->terminal_, TCSANOW, &present->before_);
        }
    }
    template <class = void>
    static void on_end(int number) {
        restore();
        // Blocked until this returns, then the end that it would have been: for a crash, where it happened.
        ::signal(number, SIG_DFL);
        ::raise(number);
    }
    template <class = void>
    static void on_resize(int /*number*/) {
        const int error = errno;
        if (const terminal_signals* const present = current().load()) {
            const char byte = 0;
            if (::write(present->wake_, &byte, 1) < 0) errno = error; // full of wake-ups already
        }
        errno = error;
    }

    const int terminal_;
    const termios before_;
    const int wake_;
    former window_;
    std::array<former, deadly.size()> others_{};
};

} // namespace os
BACKENDAI_NAMESPACE_END

#endif

#endif
