/// @file
/// The terminal that a program runs in: raw mode, size, and keys as they are typed.
#ifndef BACKENDAI_OS_TERMINAL_HPP
#define BACKENDAI_OS_TERMINAL_HPP

#include <backendai/error.hpp>
#include <backendai/os/terminal_signals.hpp>
#include <backendai/version.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#ifdef _WIN32
#ifndef NOMINMAX
#define NOMINMAX
#endif
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>
#else
#include <cerrno>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#endif

BACKENDAI_NAMESPACE_BEGIN
namespace os {

/// In characters; 0 by 0 where there is no terminal.
struct terminal_size {
    int rows = 0, cols = 0;
    friend bool operator==(const terminal_size& a, const terminal_size& b) {
        return a.rows == b.rows && a.cols == b.cols;
    }
    friend bool operator!=(const terminal_size& a, const terminal_size& b) { return !(a == b); }
};

namespace detail {

template <class = void>
[[noreturn]] inline void throw_terminal(const char* what) {
#ifdef _WIN32
    const int error = static_cast<int>(GetLastError());
#else
    const int error = errno;
#endif
    throw client_error(error_kind::io,
                       std::string("the terminal: ") + what + ": " + std::system_category().message(error));
}

} // namespace detail

#ifdef _WIN32

/// In raw mode from its making to its end. One thread reads, another writes; wake() may come from any thread.
class raw_terminal {
public:
    raw_terminal()
        : input_(GetStdHandle(STD_INPUT_HANDLE)),
          output_(GetStdHandle(STD_OUTPUT_HANDLE)),
          woken_(CreateEventW(nullptr, TRUE, FALSE, nullptr)) {
        if (woken_ == nullptr) detail::throw_terminal("no event");
        is_input_ = GetConsoleMode(input_, &input_mode_) != 0;
        is_output_ = GetConsoleMode(output_, &output_mode_) != 0;
        if (is_input_) SetConsoleMode(input_, ENABLE_VIRTUAL_TERMINAL_INPUT);
        if (is_output_) {
            SetConsoleMode(output_, ENABLE_PROCESSED_OUTPUT | ENABLE_VIRTUAL_TERMINAL_PROCESSING);
        }
    }
    raw_terminal(const raw_terminal&) = delete;
    raw_terminal& operator=(const raw_terminal&) = delete;
    ~raw_terminal() {
        if (is_input_) SetConsoleMode(input_, input_mode_);
        if (is_output_) SetConsoleMode(output_, output_mode_);
        CloseHandle(woken_);
    }

    terminal_size size() const {
        CONSOLE_SCREEN_BUFFER_INFO info{};
        if (!is_input_ || !is_output_ || !GetConsoleScreenBufferInfo(output_, &info)) return {};
        return {info.srWindow.Bottom - info.srWindow.Top + 1, info.srWindow.Right - info.srWindow.Left + 1};
    }
    std::optional<std::string> read_for(std::chrono::milliseconds limit) {
        const HANDLE both[] = {woken_, input_};
        if (WaitForMultipleObjects(2, both, FALSE, static_cast<DWORD>(limit.count())) != WAIT_OBJECT_0 + 1) {
            return std::string();
        }
        char buffer[4096];
        DWORD count = 0;
        if (!ReadFile(input_, buffer, sizeof buffer, &count, nullptr) || count == 0) return std::nullopt;
        return std::string(buffer, count);
    }
    void write(std::string_view bytes) {
        while (!bytes.empty()) {
            DWORD count = 0;
            if (!WriteFile(output_, bytes.data(), static_cast<DWORD>(bytes.size()), &count, nullptr)) {
                detail::throw_terminal("cannot write");
            }
            bytes.remove_prefix(count);
        }
    }
    void wake() noexcept { SetEvent(woken_); }

private:
    const HANDLE input_, output_, woken_;
    DWORD input_mode_ = 0, output_mode_ = 0;
    bool is_input_ = false, is_output_ = false;
};

#else

/// In raw mode from its making to its end; what is no terminal is left as it is. One thread reads, another writes;
/// wake() may come from any thread.
class raw_terminal {
public:
    /// @param signals see terminal_signals
    explicit raw_terminal(int input = STDIN_FILENO, int output = STDOUT_FILENO, bool signals = true)
        : input_(input), output_(output) {
        if (::pipe(wake_) != 0) detail::throw_terminal("no pipe");
        for (const int end : wake_) {
            ::fcntl(end, F_SETFD, FD_CLOEXEC);
            ::fcntl(end, F_SETFL, O_NONBLOCK);
        }
        is_terminal_ = ::tcgetattr(input_, &before_) == 0;
        if (!is_terminal_) return;
        if (signals) signals_.emplace(input_, before_, wake_[1]);
        termios raw = before_;
        ::cfmakeraw(&raw);
        if (::tcsetattr(input_, TCSANOW, &raw) != 0) {
            for (const int end : wake_) ::close(end);
            detail::throw_terminal("cannot be set to raw mode");
        }
    }
    raw_terminal(const raw_terminal&) = delete;
    raw_terminal& operator=(const raw_terminal&) = delete;
    ~raw_terminal() {
        if (is_terminal_) ::tcsetattr(input_, TCSADRAIN, &before_);
        signals_.reset(); // before the pipe goes
        for (const int end : wake_) ::close(end);
    }

    template <class = void>
    terminal_size size() const {
        winsize known{};
        if (!is_terminal_ || ::ioctl(input_, TIOCGWINSZ, &known) != 0) return {};
        return {known.ws_row, known.ws_col};
    }
    /// What was typed; empty when nothing came within @p limit or wake() was called; nothing at the end of the input.
    template <class = void>
    std::optional<std::string> read_for(std::chrono::milliseconds limit) {
        pollfd both[] = {{input_, POLLIN, 0}, {wake_[0], POLLIN, 0}};
        if (::poll(both, 2, static_cast<int>(limit.count())) <= 0) return std::string();
        char buffer[4096];
        if (both[1].revents != 0 && ::read(wake_[0], buffer, sizeof buffer) < 0) return std::string();
        if (both[0].revents == 0) return std::string();
        const ssize_t count = ::read(input_, buffer, sizeof buffer);
        if (count > 0) return std::string(buffer, static_cast<std::size_t>(count));
        if (count < 0 && (errno == EINTR || errno == EAGAIN)) return std::string();
        return std::nullopt;
    }
    template <class = void>
    void write(std::string_view bytes) {
        while (!bytes.empty()) {
            const ssize_t count = ::write(output_, bytes.data(), bytes.size());
            if (count > 0) {
                bytes.remove_prefix(static_cast<std::size_t>(count));
            } else if (errno == EAGAIN) {
                pollfd entry{output_, POLLOUT, 0};
                ::poll(&entry, 1, 1000);
            } else if (errno != EINTR) {
                detail::throw_terminal("cannot be written to");
            }
        }
    }
    /// Makes read_for() return, now or the next time.
    template <class = void>
    void wake() noexcept {
        const char byte = 0;
        if (::write(wake_[1], &byte, 1) < 0) return; // full of wake-ups already
    }

private:
    const int input_, output_;
    int wake_[2] = {-1, -1};
    termios before_{};
    bool is_terminal_ = false;
    std::optional<terminal_signals> signals_;
};

#endif

} // namespace os
BACKENDAI_NAMESPACE_END

#endif
