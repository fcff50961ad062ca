#include "interrupt.hpp"

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <stdexcept>
#include <unistd.h>

namespace cli {
namespace {

volatile std::sig_atomic_t signal_number = 0;
int signal_pipe = -1;

// All that a handler may do: note the number and make the pipe readable.
extern "C" void on_signal(int number) {
    if (signal_number != 0) {
        if (number == SIGHUP) return; // comes from the terminal and from the shell
        ::_exit(128 + number);
    }
    signal_number = number;
    const int before = errno;
    const char byte = 0;
    const ssize_t written = ::write(signal_pipe, &byte, 1);
    static_cast<void>(written); // the pipe is empty, so there is room
    errno = before;
}

extern "C" void on_broken_pipe(int) {}

void handle(int number, void (*handler)(int), int flags) {
    struct sigaction before {};
    ::sigaction(number, nullptr, &before);
    if (before.sa_handler == SIG_IGN) return; // a background job of a shell keeps ignoring Ctrl-C
    struct sigaction action {};
    action.sa_handler = handler;
    action.sa_flags = flags;
    ::sigaction(number, &action, nullptr);
}

} // namespace

interrupt::~interrupt() {
    over_ = true;
    if (!thread_.joinable()) return;
    const char byte = 0;
    if (::write(pipe_[1], &byte, 1) == 1) thread_.join();
    // The ends stay open: a late signal still writes there.
}

void interrupt::watch() {
    if (thread_.joinable()) return;
    if (::pipe(pipe_) != 0) throw std::runtime_error("no pipe can be made");
    for (const int end : pipe_) ::fcntl(end, F_SETFD, FD_CLOEXEC);
    signal_pipe = pipe_[1];
    handle(SIGINT, on_signal, SA_RESTART);
    handle(SIGTERM, on_signal, SA_RESTART);
    handle(SIGHUP, on_signal, SA_RESTART); // the terminal is closed: sessions are to be removed all the same
    thread_ = std::thread([this] {
        wait();
        if (!over_) source_.cancel();
    });
}

void interrupt::survive_broken_pipes() {
    // A handler, not SIG_IGN, as programs that are started from here would inherit that.
    handle(SIGPIPE, on_broken_pipe, SA_RESTART);
}

// From the signal itself: the thread that triggers the token may be a moment late.
bool interrupt::happened() const {
    return signal_number != 0;
}

int interrupt::exit_code() const {
    return 128 + (signal_number != 0 ? static_cast<int>(signal_number) : SIGINT);
}

bool interrupt::wait_for(std::chrono::milliseconds limit) const {
    pollfd entry{pipe_[0], POLLIN, 0};
    return ::poll(&entry, 1, static_cast<int>(limit.count())) > 0;
}

void interrupt::wait() const {
    while (!wait_for(std::chrono::hours(1))) continue;
}

} // namespace cli
