/// @file
/// A running interpreter or shell command with its pipes: frames to it, console output and frames from it.
#ifndef BACKENDAI_TESTING_GATEWAY_RUNNER_HPP
#define BACKENDAI_TESTING_GATEWAY_RUNNER_HPP

#include <backendai/os/process.hpp>
#include <backendai/version.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <map>
#include <poll.h>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// One thing that came out of a process, in order.
struct runner_event {
    char tag = 0; ///< of gateway_drivers.hpp; 'x' = the process has closed its descriptors
    std::string payload;
};

/// Text cut so that no UTF-8 character is torn: returns the whole part of @p pending and leaves the rest in it.
inline std::string take_whole_utf8(std::string& pending) {
    std::size_t end = pending.size();
    for (std::size_t back = 1; back <= 3 && back <= pending.size(); ++back) {
        const auto byte = static_cast<unsigned char>(pending[pending.size() - back]);
        if ((byte & 0xC0) == 0x80) continue;
        const std::size_t length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
        if (length > back) end = pending.size() - back;
        break;
    }
    std::string whole = pending.substr(0, end);
    pending.erase(0, end);
    return whole;
}

/// Owns a process and its pipes. One thread at a time.
class runner {
public:
    runner() = default;

    /// Starts a command. @param frames whether it is a driver, with descriptors 3 and 4.
    runner(std::vector<std::string> command, const std::map<std::string, std::string>& environment,
           const std::string& directory, bool frames) {
        os::process_options options;
        options.arguments = std::move(command);
        options.environment = environment;
        options.directory = directory;
        os::pipe_ends out = os::make_pipe(), err = os::make_pipe(), requests, events;
        options.descriptors = {{1, out.write_end.get()}, {2, err.write_end.get()}};
        if (frames) {
            requests = os::make_pipe();
            events = os::make_pipe();
            options.descriptors[3] = requests.read_end.get();
            options.descriptors[4] = events.write_end.get();
            os::set_nonblocking(requests.write_end.get());
            os::set_nonblocking(events.read_end.get());
        }
        os::set_nonblocking(out.read_end.get());
        os::set_nonblocking(err.read_end.get());
        process = os::child_process(options);
        requests_ = std::move(requests.write_end);
        sources_[0] = std::move(events.read_end);
        sources_[1] = std::move(out.read_end);
        sources_[2] = std::move(err.read_end);
        frames_ = frames;
    }

    bool is_started() const { return sources_[1].is_open() || sources_[2].is_open() || process.is_running(); }

    /// Puts a frame into the queue to the driver; pump() sends it.
    void send(char tag, std::string_view payload) {
        outgoing_ += tag;
        outgoing_ += ' ' + std::to_string(payload.size()) + '\n';
        outgoing_.append(payload);
    }

    /// Waits up to @p timeout for something to happen and returns what came.
    std::vector<runner_event> pump(std::chrono::milliseconds timeout) {
        std::array<pollfd, 4> polled{};
        nfds_t count = 0;
        for (const os::descriptor& source : sources_) {
            if (source.is_open()) polled[count++] = {source.get(), POLLIN, 0};
        }
        if (!outgoing_.empty() && requests_.is_open()) polled[count++] = {requests_.get(), POLLOUT, 0};
        ::poll(polled.data(), count, static_cast<int>(timeout.count()));
        write_outgoing();
        // The frames are read first and told last: what was written to the descriptors 1 and 2 before a frame is in
        // their pipes by then, so it is told before the frame.
        const bool had_frames = sources_[0].is_open();
        read_source(0, frame_bytes_, 1 << 20);
        std::vector<runner_event> events;
        for (std::size_t i = 1; i < sources_.size(); ++i) {
            read_source(i, torn_[i], 256 * 1024); // more than a pipe holds
            std::string text = sources_[i].is_open() ? take_whole_utf8(torn_[i]) : std::exchange(torn_[i], {});
            if (!text.empty()) events.push_back({i == 1 ? 'o' : 'e', std::move(text)});
        }
        parse_frames(events);
        if (frames_ ? had_frames && !sources_[0].is_open() : !sources_[1].is_open() && !sources_[2].is_open()) {
            events.push_back({'x', {}});
        }
        return events;
    }

    os::child_process process;

private:
    void write_outgoing() {
        while (!outgoing_.empty() && requests_.is_open()) {
            // A driver that is gone must not raise SIGPIPE in a program that has not asked for it.
            const blocked_sigpipe guard;
            const ssize_t count = ::write(requests_.get(), outgoing_.data(), outgoing_.size());
            if (count >= 0) {
                outgoing_.erase(0, static_cast<std::size_t>(count));
            } else if (errno == EAGAIN) {
                return;
            } else if (errno != EINTR) {
                requests_.close();
            }
        }
    }

    // Blocks SIGPIPE in this thread, and takes the one that a write may have left pending.
    class blocked_sigpipe {
    public:
        blocked_sigpipe() {
            sigemptyset(&set_);
            sigaddset(&set_, SIGPIPE);
            pthread_sigmask(SIG_BLOCK, &set_, &before_);
        }
        ~blocked_sigpipe() {
            const int error = errno;
            if (sigismember(&before_, SIGPIPE) == 0) {
                sigset_t pending;
                sigpending(&pending);
                int number = 0;
                if (sigismember(&pending, SIGPIPE) == 1) sigwait(&set_, &number);
                pthread_sigmask(SIG_SETMASK, &before_, nullptr);
            }
            errno = error;
        }
        blocked_sigpipe(const blocked_sigpipe&) = delete;
        blocked_sigpipe& operator=(const blocked_sigpipe&) = delete;

    private:
        sigset_t set_, before_;
    };

    void read_source(std::size_t index, std::string& into, std::size_t limit) {
        os::descriptor& source = sources_[index];
        char buffer[65536];
        while (source.is_open() && limit > 0) {
            const ssize_t count = ::read(source.get(), buffer, (std::min)(limit, sizeof buffer));
            if (count > 0) {
                into.append(buffer, static_cast<std::size_t>(count));
                limit -= static_cast<std::size_t>(count);
            } else if (count == 0 || (errno != EINTR && errno != EAGAIN)) {
                source.close();
            } else if (errno == EAGAIN) {
                return;
            }
        }
    }

    void parse_frames(std::vector<runner_event>& events) {
        std::size_t at = 0;
        for (;;) {
            const std::size_t end = frame_bytes_.find('\n', at);
            if (end == std::string::npos || end < at + 3) break;
            std::size_t length = 0;
            for (std::size_t i = at + 2; i < end; ++i) {
                const char c = frame_bytes_[i];
                if (c >= '0' && c <= '9' && length < (1u << 30))
                    length = length * 10 + static_cast<std::size_t>(c - '0');
            }
            if (frame_bytes_.size() - end - 1 < length) break;
            events.push_back({frame_bytes_[at], frame_bytes_.substr(end + 1, length)});
            at = end + 1 + length;
        }
        frame_bytes_.erase(0, at);
    }

    bool frames_ = false;
    os::descriptor requests_;
    std::array<os::descriptor, 3> sources_; ///< frames, stdout, stderr
    std::array<std::string, 3> torn_;
    std::string frame_bytes_, outgoing_;
};

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
