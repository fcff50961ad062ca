// Ctrl-C, SIGTERM and SIGHUP, as something that calls and waits can end by.
#ifndef BACKENDAI_CLI_INTERRUPT_HPP
#define BACKENDAI_CLI_INTERRUPT_HPP

#include <backendai/cancel.hpp>

#include <atomic>
#include <chrono>
#include <thread>

namespace cli {

// One object in the program. Nothing is watched until watch(): a program that only prints its help has no thread.
class interrupt {
public:
    interrupt() = default;
    interrupt(const interrupt&) = delete;
    interrupt& operator=(const interrupt&) = delete;
    ~interrupt();

    // A closed pipe is an error of the write from now on, and not the end of the program.
    static void survive_broken_pipes();
    // From now on the first signal triggers the token, and the second one ends the program on the spot.
    void watch();

    backendai::cancel_token token() const { return source_.token(); }
    bool happened() const;
    // 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP, as shells have it.
    int exit_code() const;
    // Becomes readable when it happens, and stays so: for poll().
    int descriptor() const { return pipe_[0]; }
    // Returns whether it happened within the time.
    bool wait_for(std::chrono::milliseconds limit) const;
    void wait() const;

private:
    backendai::cancel_source source_;
    int pipe_[2] = {-1, -1};
    std::atomic<bool> over_{false};
    std::thread thread_;
};

} // namespace cli

#endif
