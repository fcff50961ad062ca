#include "prompt.hpp"

#include "context.hpp"

#include <backendai/error.hpp>

#include <cerrno>
#include <poll.h>
#include <termios.h>
#include <unistd.h>

namespace cli {
namespace {

// Standard input without echo; the line break that ends the password is not shown either, so that one is printed.
class no_echo {
public:
    no_echo() {
        is_terminal_ = ::tcgetattr(STDIN_FILENO, &before_) == 0;
        if (!is_terminal_) return;
        termios silent = before_;
        silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    }
    no_echo(const no_echo&) = delete;
    no_echo& operator=(const no_echo&) = delete;
    ~no_echo() {
        if (!is_terminal_) return;
        ::tcsetattr(STDIN_FILENO, TCSADRAIN, &before_);
        if (::write(STDERR_FILENO, "\n", 1) != 1) return; // cosmetic
    }

private:
    termios before_{};
    bool is_terminal_ = false;
};

} // namespace

std::optional<std::string> read_line(const interrupt& interrupts) {
    // Byte by byte from the descriptor, so that nothing is taken that belongs to whoever reads it next.
    std::string line;
    for (;;) {
        pollfd entries[] = {{STDIN_FILENO, POLLIN, 0}, {interrupts.descriptor(), POLLIN, 0}};
        if (::poll(entries, 2, -1) < 0 && errno != EINTR) break;
        if (entries[1].revents != 0)
            throw backendai::client_error(backendai::error_kind::cancelled, "interrupted while waiting for input");
        if (entries[0].revents == 0) continue;
        char c = 0;
        const ssize_t count = ::read(STDIN_FILENO, &c, 1);
        if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (count <= 0) break;
        if (c == '\n') return line;
        line += c;
    }
    if (line.empty()) return std::nullopt;
    return line;
}

bool confirm(context& ctx, const std::string& question) {
    ctx.notes.raw(question + " Are you sure? (y/n): ");
    const auto answer = read_line(ctx.interrupts);
    if (!answer) throw failure("Nothing was deleted: there is nobody to ask. -y deletes without asking.");
    const bool yes = !answer->empty() && (answer->front() == 'y' || answer->front() == 'Y');
    if (!yes) ctx.notes.info("Nothing was deleted.");
    return yes;
}

std::optional<std::string> read_password(const interrupt& interrupts) {
    const no_echo silence;
    return read_line(interrupts);
}

} // namespace cli
