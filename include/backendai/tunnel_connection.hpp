/// @file
/// One connection of a tunnel: a local socket, a websocket, and a thread for each direction.
#ifndef BACKENDAI_TUNNEL_CONNECTION_HPP
#define BACKENDAI_TUNNEL_CONNECTION_HPP

#include <backendai/error.hpp>
#include <backendai/message_stream.hpp>
#include <backendai/os/read_buffer.hpp>
#include <backendai/os/socket.hpp>
#include <backendai/os/thread.hpp>
#include <backendai/version.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

/// What the service speaks, which decides the endpoint and how a refusal is told to the local side.
enum class tunnel_protocol { http, tcp };

/// Options of app_tunnel.
struct tunnel_options {
    std::string bind = "127.0.0.1"; ///< numeric address to listen on. Others than loopback let other machines in!
    std::uint16_t port = 0;         ///< 0 is any free one
    tunnel_protocol protocol = tunnel_protocol::http;
    std::size_t max_connections = 256; ///< more are refused
    std::chrono::milliseconds half_close_timeout{
        60'000}; ///< how long to wait for the service after the local side's end
    /// Told why a connection failed; one call at a time, on a thread of the tunnel. Must not throw.
    std::function<void(const error&)> on_error;
};

namespace detail {

/// Made by the accepting thread; runs until either side is done.
template <class = void>
class tunnel_connection {
    using clock = std::chrono::steady_clock;

public:
    using opener = std::function<std::unique_ptr<message_stream>()>;

    tunnel_connection(os::tcp_socket local, const tunnel_options& options, const opener& open, std::mutex& errors,
                      bool is_refused)
        : local_(std::move(local)), options_(options), errors_(errors) {
        thread_ = os::start_thread([this, &open, is_refused] {
            try {
                run(open, is_refused);
            } catch (const std::exception&) {
                local_.shutdown(); // no memory: both sides see their connections end
            }
            done_ = true;
        });
    }
    tunnel_connection(const tunnel_connection&) = delete;
    tunnel_connection& operator=(const tunnel_connection&) = delete;
    ~tunnel_connection() { thread_.join(); }

    bool is_done() const noexcept { return done_; }
    /// Ends the local side; the websocket is ended by the tunnel's cancel token.
    void interrupt() noexcept { local_.shutdown(); }

private:
    void run(const opener& open, bool is_refused) {
        std::thread upward;
        try {
            if (is_refused) throw client_error(error_kind::io, "too many connections");
            remote_ = open();
            last_received_ = clock::now();
            upward = os::start_thread([this] { carry_up(); });
        } catch (const api_error& e) {
            refuse(e.status() == 404 ? "404 Not Found" : "502 Bad Gateway", e);
            return;
        } catch (const client_error& e) {
            const bool is_busy =
                e.kind() == error_kind::io || e.kind() == error_kind::closed || e.kind() == error_kind::cancelled;
            refuse(is_busy                           ? "503 Service Unavailable"
                   : e.kind() == error_kind::timeout ? "504 Gateway Timeout"
                                                     : "502 Bad Gateway",
                   e);
            return;
        }
        bool is_clean = false;
        try {
            is_clean = carry_down();
        } catch (const std::bad_alloc&) {
            // As a connection that breaks, to either side.
        }
        end(is_clean);
        upward.join();
        remote_->close();
    }

    // Service to local side, until the service ends (true) or either is broken.
    bool carry_down() {
        bool any = false;
        try {
            for (;;) {
                const stream_message message = remote_->receive_joined(os::read_buffer::most);
                if (message.is_closed()) return judge_end(message, any);
                {
                    const std::lock_guard<std::mutex> lock(mutex_);
                    last_received_ = clock::now();
                }
                any = any || !message.data.empty();
                local_.write(message.data);
            }
        } catch (const client_error& e) {
            if (e.kind() != error_kind::cancelled && e.kind() != error_kind::closed) {
                if (!any) answer("502 Bad Gateway", e.what());
                report(e);
                return !any;
            }
        } catch (const std::system_error&) {
            // The local side is gone: it does not want to hear more, and nobody else is concerned.
        }
        return false;
    }

    bool judge_end(const stream_message& end, bool any) {
        // 1006 comes after a goodbye of our own only. 1001: the service has closed its connection.
        if (end.code == 1000 || end.code == 1001 || end.code == 1005 || end.code == 1006) return true;
        const bool is_refusal = end.code == 1011 || end.code == 1013 || end.code == 1014;
        std::string text =
            is_refusal && !any ? "the service refused the connection" : "the connection to the service failed";
        text += " (close code " + std::to_string(end.code) + (end.data.empty() ? ")" : "): " + end.data);
        if (!any) answer("502 Bad Gateway", text);
        report(client_error(error_kind::connect, text, client_error::progress::maybe_sent));
        return !any;
    }

    // Local side to service, until the local side ends; then waits for the other direction.
    void carry_up() noexcept {
        bool is_reset = false;
        try {
            os::read_buffer buffer;
            bool discards = false; // what comes after the service's end
            while (const std::size_t count = local_.read(buffer.data(), buffer.size())) {
                buffer.note(count);
                if (discards) continue;
                try {
                    remote_->send_binary(std::string_view(buffer.data(), count));
                    buffer.prepare();
                } catch (const client_error& e) {
                    discards = true;
                    give_up(e);
                }
            }
        } catch (const std::exception&) { // the local side is gone, or there is no memory
            is_reset = true;
        }
        std::unique_lock<std::mutex> lock(mutex_);
        up_over_ = true;
        changed_.notify_all();
        while (!down_over_ && !is_reset && !lost_) {
            const auto end = last_received_ + options_.half_close_timeout;
            if (clock::now() >= end) break;
            changed_.wait_until(lock, end);
        }
        if (down_over_) return;
        lock.unlock();
        try {
            remote_->close();
        } catch (const std::bad_alloc&) {
            remote_->cancel();
        }
        lock.lock();
        if (!changed_.wait_for(lock, std::chrono::seconds(5), [this] { return down_over_; })) remote_->cancel();
    }

    // Nothing can be sent to the service any more. The other direction tells why, unless it waits for a peer that only
    // this one has lost, which would go on as long as the local side waits for an answer.
    void give_up(const client_error& why) {
        {
            std::unique_lock<std::mutex> lock(mutex_);
            lost_ = true;
            changed_.notify_all();
            if (why.kind() == error_kind::closed) return;
            if (changed_.wait_for(lock, std::chrono::seconds(2), [this] { return down_over_; })) return;
        }
        report(why);
        remote_->cancel();
    }

    // The other direction reads on for a moment, as closing over unread bytes would reset what was just sent.
    void end(bool is_clean) {
        if (is_clean) local_.shutdown_writes();
        std::unique_lock<std::mutex> lock(mutex_);
        down_over_ = true;
        changed_.notify_all();
        if (is_clean) changed_.wait_for(lock, std::chrono::seconds(2), [this] { return up_over_; });
        lock.unlock();
        local_.shutdown();
    }

    // No websocket came about.
    void refuse(const char* status, const error& why) {
        answer(status, why.what());
        report(why);
        try {
            local_.shutdown_writes();
            std::vector<char> buffer(4096);
            const auto end = clock::now() + std::chrono::seconds(2);
            while (clock::now() < end && local_.wait_readable(std::chrono::milliseconds(100)) &&
                   local_.read(buffer.data(), buffer.size()) != 0) {
            }
        } catch (const std::system_error&) {
            // It did not wait for the answer.
        }
        local_.shutdown();
    }

    void answer(const char* status, const std::string& why) {
        if (options_.protocol != tunnel_protocol::http) return;
        const std::string body = "Backend.AI tunnel: " + why + "\n";
        try {
            local_.write("HTTP/1.1 " + std::string(status) +
                         "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: " +
                         std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" + body);
        } catch (const std::system_error&) {
            // It is gone; on_error is told all the same.
        }
    }

    void report(const error& why) {
        const std::lock_guard<std::mutex> lock(errors_);
        if (options_.on_error) options_.on_error(why);
    }

    os::tcp_socket local_; // closed by the destructor only: interrupt() may come at any time
    const tunnel_options& options_;
    std::mutex& errors_;
    std::unique_ptr<message_stream> remote_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool up_over_ = false, down_over_ = false, lost_ = false;
    clock::time_point last_received_;
    std::atomic<bool> done_{false};
    std::thread thread_;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
