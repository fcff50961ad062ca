/// @file
/// The terminal that the program runs in, attached to one in a compute session.
#ifndef BACKENDAI_ATTACH_TERMINAL_HPP
#define BACKENDAI_ATTACH_TERMINAL_HPP

#include <backendai/api/stream_pty.hpp>
#include <backendai/error.hpp>
#include <backendai/os/terminal.hpp>
#include <backendai/os/thread.hpp>
#include <backendai/version.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN

/// Options of attach_terminal().
struct terminal_options {
    /// What is typed to detach: Ctrl-], as in telnet. Several characters are held back until they are all there, or
    /// another one comes. Empty: nothing detaches.
    std::string detach = "\x1d";
    std::chrono::milliseconds size_interval{250}; ///< how often the window's size is looked at
#ifndef _WIN32
    int input = 0, output = 1; ///< descriptors of the terminal, or of whatever stands for it
    /// Handles signals meanwhile, those for which the program has no handler: a change of size is told at once, and a
    /// signal, crash or exit() that ends the program leaves the terminal as it was.
    bool signals = true;
#endif
};

/// How attach_terminal() came to an end.
enum class terminal_end {
    ended,   ///< the terminal in the compute session did
    detached ///< the user typed terminal_options::detach; what runs there goes on as far as the server lets it
};

namespace detail {

/// Finds the sequence that detaches among what is typed.
class detach_filter {
public:
    explicit detach_filter(std::string sequence) : sequence_(std::move(sequence)) {}

    /// What of @p typed is to be sent on; what follows the sequence is dropped.
    template <class = void>
    std::string pass(std::string_view typed) {
        std::string text;
        for (const char c : typed) {
            if (found_) break;
            held_ += c;
            while (!held_.empty() && sequence_.compare(0, held_.size(), held_) != 0) {
                text += held_.front(); // cannot be its beginning; what follows may be
                held_.erase(0, 1);
            }
            found_ = !sequence_.empty() && held_ == sequence_;
        }
        return text;
    }
    bool found() const noexcept { return found_; }

private:
    const std::string sequence_;
    std::string held_; // the part of the sequence that was typed until now
    bool found_ = false;
};

/// The side that shows what comes, on a thread of its own.
template <class = void>
class terminal_output {
public:
    terminal_output(pty_stream& pty, os::raw_terminal& terminal) : pty_(pty), terminal_(terminal) {
        thread_ = os::start_thread([this] { run(); });
    }
    terminal_output(const terminal_output&) = delete;
    terminal_output& operator=(const terminal_output&) = delete;
    ~terminal_output() {
        pty_.cancel();
        thread_.join();
    }

    bool over() const noexcept { return over_; }
    /// @return whether it ended within @p limit
    bool wait_for(std::chrono::milliseconds limit) {
        std::unique_lock<std::mutex> lock(mutex_);
        return changed_.wait_for(lock, limit, [this] { return over_.load(); });
    }
    /// Once it is over. @throws what ended it
    void rethrow() const {
        if (failure_) std::rethrow_exception(failure_);
    }

private:
    void run() {
        try {
            while (const std::optional<std::string> bytes = pty_.read()) terminal_.write(*bytes);
        } catch (...) {
            failure_ = std::current_exception();
        }
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            over_ = true;
        }
        changed_.notify_all();
        terminal_.wake();
    }

    pty_stream& pty_;
    os::raw_terminal& terminal_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::exception_ptr failure_; // written before over_
    std::atomic<bool> over_{false};
    std::thread thread_;
};

} // namespace detail

/// Hands the program's own terminal over to @p pty: raw mode, so that every key goes there; its size, and every change
/// of it (by the signal, and looked at from time to time, where that is the program's); what comes is shown. Returns
/// when either end is over, with the terminal as it was before. Input or output that is no terminal works too, a file
/// of commands for example: at its end the terminal there is waited for.
/// @throws what pty_stream::read() and write() throw; client_error{io} when the local terminal cannot be used
template <class = void>
terminal_end attach_terminal(pty_stream& pty, terminal_options options = {}) {
#ifdef _WIN32
    os::raw_terminal local;
#else
    os::raw_terminal local(options.input, options.output, options.signals);
#endif
    detail::detach_filter filter(std::move(options.detach));
    detail::terminal_output<> output(pty, local);
    os::terminal_size size;
    bool has_input = true;
    while (!output.over()) {
        const os::terminal_size present = local.size();
        try {
            if (present != size && present.rows > 0 && present.cols > 0) {
                size = present;
                pty.resize(size.rows, size.cols);
            }
            if (!has_input) {
                output.wait_for(options.size_interval);
                continue;
            }
            const std::optional<std::string> typed = local.read_for(options.size_interval);
            has_input = typed.has_value();
            if (!typed) continue;
            pty.write(filter.pass(*typed));
        } catch (const client_error&) {
            // The other direction knows better why the stream is over, if it is.
            if (output.wait_for(std::chrono::seconds(2))) break;
            throw;
        }
        if (filter.found()) {
            pty.close();
            output.wait_for(std::chrono::seconds(2)); // for what was under way; a server that is silent is left behind
            return terminal_end::detached;
        }
    }
    output.rethrow();
    return terminal_end::ended;
}

BACKENDAI_NAMESPACE_END

#endif
