// A program whose terminal is attached to one in a compute session, and which comes to its end as the argument says:
//   quiet      by what is typed or sent to it
//   abort, segv, exit, throw   by another thread, once "end" is read from the descriptor 3
//   own        it has a handler of its own for SIGTERM, which ends it in an orderly way
// The window's size is not looked at by itself: only the signal can tell it.
#include <backendai.hpp>

#include <csignal>
#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>

int main(int count, char** arguments) {
    const std::string end = count > 1 ? arguments[1] : "quiet";
    try {
        backendai::session session;
        auto kernel = session.kernel().get_or_create("bash");
        auto pty = kernel.stream_pty();
        backendai::terminal_options options;
        options.size_interval = std::chrono::hours(1);
        if (end == "own") std::signal(SIGTERM, [](int) { ::_exit(7); });
        if (end != "quiet" && end != "own") {
            std::thread([end] {
                char byte = 0;
                if (::read(3, &byte, 1) != 1) return;
                if (end == "abort") std::abort();
                if (end == "segv") std::raise(SIGSEGV);
                if (end == "exit") std::exit(5); // NOLINT(concurrency-mt-unsafe): what such programs do
                if (end == "throw") throw std::runtime_error("nobody catches this");
            }).detach();
        }
        const auto how = backendai::attach_terminal(pty, options);
        std::cout << (how == backendai::terminal_end::detached ? "detached" : "ended") << std::endl;
        kernel.destroy();
    } catch (const backendai::error& e) {
        std::cerr << e.what() << std::endl;
        return 1;
    }
}
