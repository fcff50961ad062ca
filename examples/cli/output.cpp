#include "output.hpp"

#include <cerrno>
#include <cstdlib>
#include <poll.h>
#include <sys/ioctl.h>
#include <system_error>
#include <unistd.h>

namespace cli {

void write_all(int descriptor, std::string_view text, const char* name) {
    while (!text.empty()) {
        const ssize_t count = ::write(descriptor, text.data(), text.size());
        if (count >= 0) {
            text.remove_prefix(static_cast<std::size_t>(count));
        } else if (errno == EAGAIN) {
            pollfd entry{descriptor, POLLOUT, 0};
            ::poll(&entry, 1, 1000);
        } else if (errno == EPIPE && descriptor == STDOUT_FILENO) {
            throw closed_output();
        } else if (errno != EINTR) {
            throw failure(std::string(name) + " cannot be written to: " + std::generic_category().message(errno) + '.');
        }
    }
}

int terminal_width(int descriptor) {
    if (::isatty(descriptor) == 0) return 0;
    winsize size{};
    return ::ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

void output::write(std::string_view text) {
    const std::lock_guard<std::mutex> lock(mutex_);
    buffer_ += text;
    if (buffer_.size() > 65536) flush_locked();
}

void output::line(std::string_view text) {
    write(std::string(text) + '\n');
}

void output::flush() {
    const std::lock_guard<std::mutex> lock(mutex_);
    flush_locked();
}

void output::flush_locked() {
    const std::string text = std::move(buffer_);
    buffer_.clear(); // also when it cannot be written: it is not tried twice
    write_all(STDOUT_FILENO, text, "Standard output");
}

notes::notes(bool is_quiet)
    : is_quiet_(is_quiet), is_terminal_(::isatty(STDERR_FILENO) != 0), has_colours_(has_colours(STDERR_FILENO)) {}

void notes::info(const std::string& text) {
    if (!is_quiet_) print("\u2219", "\033[96m", text, false);
}

void notes::done(const std::string& text) {
    if (!is_quiet_) print("\u2714", "\033[92m", text, false);
}

void notes::fail(const std::string& text) {
    print("\u2718", "\033[91m", text, false);
}

void notes::wait(const std::string& text) {
    if (!is_quiet_ && is_terminal_) print("\u22ef", "\033[93m", text, true);
}

void notes::raw(std::string_view text) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (waits_) write_all(STDERR_FILENO, "\r\033[2K", "Standard error");
    waits_ = false;
    write_all(STDERR_FILENO, text, "Standard error");
}

void notes::print(const char* mark, const char* colour, const std::string& text, bool transient) {
    std::string line;
    if (is_terminal_) {
        line = has_colours_ ? std::string(colour) + mark + "\033[0m " : std::string(mark) + ' ';
    }
    line += text;
    if (!transient) line += '\n';
    const std::lock_guard<std::mutex> lock(mutex_);
    if (waits_) line.insert(0, "\r\033[2K");
    waits_ = transient;
    try {
        write_all(STDERR_FILENO, line, "Standard error");
    } catch (const failure&) {
        // There is nowhere left to say so; the exit code tells what became of the command.
    }
}

std::string notes::bold(const std::string& text, int descriptor) {
    return has_colours(descriptor) ? "\033[1m" + text + "\033[0m" : text;
}

bool notes::has_colours(int descriptor) {
    const char* never = std::getenv("NO_COLOR");
    const char* terminal = std::getenv("TERM");
    const bool is_dumb = terminal != nullptr && std::string_view(terminal) == "dumb";
    return (never == nullptr || *never == '\0') && !is_dumb && ::isatty(descriptor) != 0;
}

} // namespace cli
