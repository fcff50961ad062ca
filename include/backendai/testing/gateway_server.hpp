/// @file
/// The embedded gateway's server: a listening thread, a thread for each connection, and faults on the wire.
#ifndef BACKENDAI_TESTING_GATEWAY_SERVER_HPP
#define BACKENDAI_TESTING_GATEWAY_SERVER_HPP

#include <backendai/os/socket.hpp>
#include <backendai/testing/gateway_faults.hpp>
#include <backendai/testing/gateway_http.hpp>
#include <backendai/testing/gateway_types.hpp>
#include <backendai/version.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// Serves a handler on a loopback port. The destructor stops and joins everything.
class http_server {
public:
    using handler = std::function<http_reply(const http_call&)>;
    /// Asked on a new connection (with null) and when a request's head has come: the fault that ends it there, or null.
    using early_fault = std::function<std::shared_ptr<const fault>(const http_call*)>;

    http_server(const gateway_options& options, handler handle, early_fault early)
        : options_(options),
          handle_(std::move(handle)),
          early_(std::move(early)),
          listener_(os::tcp_socket::listen_loopback(options.port)),
          port_(listener_.local_port()) {
        acceptor_ = std::thread([this] { accept_loop(); });
    }
    http_server(const http_server&) = delete;
    http_server& operator=(const http_server&) = delete;
    ~http_server() { stop(); }

    std::uint16_t port() const { return port_; }
    std::size_t connections() const { return accepted_; }

    /// Closes every connection and joins the threads; handlers that still work are waited for.
    void stop() {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            if (stopping_) return;
            stopping_ = true;
            for (connection& item : connections_) item.shutdown();
        }
        stopped_.notify_all();
        try {
            os::tcp_socket::connect_loopback(port_); // wakes the listening thread
        } catch (const std::system_error&) {
            // It wakes by itself after a short while.
        }
        acceptor_.join();
        for (connection& item : connections_) item.thread.join();
        connections_.clear();
        listener_.close();
    }

private:
    struct connection {
        os::tcp_socket socket;
        std::thread thread;
        std::mutex mutex; ///< between closing here and shutdown() by stop()
        std::atomic<bool> is_done{false};

        void shutdown() {
            const std::lock_guard<std::mutex> lock(mutex);
            socket.shutdown();
        }
        void close(bool by_reset) {
            const std::lock_guard<std::mutex> lock(mutex);
            if (by_reset) {
                socket.reset();
            } else {
                socket.close();
            }
        }
    };

    void accept_loop() {
        for (;;) {
            os::tcp_socket socket = listener_.accept(std::chrono::milliseconds(200));
            join_finished();
            const std::lock_guard<std::mutex> lock(mutex_);
            if (stopping_) return;
            if (!socket.is_open()) continue;
            ++accepted_;
            const auto refused = early_(nullptr);
            if (refused || connections_.size() >= options_.max_connections) {
                if (refused && refused->reset) socket.reset();
                continue;
            }
            connections_.emplace_back();
            connection& item = connections_.back();
            item.socket = std::move(socket);
            item.thread = std::thread([this, &item] {
                serve(item);
                item.is_done = true;
            });
        }
    }

    void join_finished() {
        std::list<connection> finished;
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            for (auto item = connections_.begin(); item != connections_.end();) {
                const auto next = std::next(item);
                if (item->is_done) finished.splice(finished.end(), connections_, item);
                item = next;
            }
        }
        for (connection& item : finished) item.thread.join();
    }

    void serve(connection& item) {
        bool by_reset = false;
        try {
            request_reader reader(item.socket, options_);
            bool goes_on = true;
            while (goes_on && !is_stopping()) goes_on = serve_one(item, reader, by_reset);
        } catch (const bad_request& refused) {
            refuse(item, refused);
        } catch (const end_of_connection&) {
            // The ordinary end of a kept-alive connection.
        } catch (const std::system_error&) {
            // The peer is gone: there is nobody left to tell.
        }
        item.close(by_reset);
    }

    bool serve_one(connection& item, request_reader& reader, bool& by_reset) {
        http_call call = reader.read_head();
        if (const auto dropped = early_(&call)) {
            by_reset = dropped->reset;
            return false;
        }
        if (!reader.stream_body(call)) reader.read_body(call);
        call.takes_stream = true;
        http_reply reply = handle_(call);
        reader.drain_stream();
        if (reply.stream && reply.wire_fault) collect(reply);
        if (reply.wire_fault) {
            by_reset = reply.wire_fault->reset;
            return write_faulty(item, call, reply, *reply.wire_fault, reader.keeps_alive());
        }
        if (reply.upgrade) {
            item.socket.write(head_of(reply, std::string::npos, true));
            reply.upgrade(item.socket, reader.take_rest());
            return false;
        }
        if (reply.stream && call.method != "HEAD") {
            write_stream(item.socket, reply, reader.keeps_alive());
            return reader.keeps_alive();
        }
        std::string bytes = head_of(reply, reply.body.size(), reader.keeps_alive());
        if (call.method != "HEAD") bytes += reply.body;
        item.socket.write(bytes);
        return reader.keeps_alive();
    }

    static void collect(http_reply& reply) {
        char buffer[16384];
        while (const std::size_t count = reply.stream(buffer, sizeof buffer)) reply.body.append(buffer, count);
    }

    static void write_stream(os::tcp_socket& socket, http_reply& reply, bool alive) {
        std::vector<char> buffer(256 * 1024);
        if (reply.stream_length) {
            socket.write(head_of(reply, static_cast<std::size_t>(*reply.stream_length), alive));
            while (const std::size_t count = reply.stream(buffer.data(), buffer.size()))
                socket.write({buffer.data(), count});
            return;
        }
        reply.headers.emplace_back("Transfer-Encoding", "chunked");
        socket.write(head_of(reply, std::string::npos, alive));
        for (;;) {
            const std::size_t count = reply.stream(buffer.data(), buffer.size());
            char size[32];
            std::snprintf(size, sizeof size, "%zx\r\n", count);
            socket.write(size + std::string(buffer.data(), count) + "\r\n"); // the last one is empty
            if (count == 0) return;
        }
    }

    // Whether the connection goes on after it.
    bool write_faulty(connection& item, const http_call& call, const http_reply& reply, const fault& what, bool alive) {
        os::tcp_socket& socket = item.socket;
        const std::string_view body = reply.body;
        const std::string head = head_of(reply, body.size(), alive);
        const auto part = [&what](std::size_t whole) {
            return (std::min)(whole, what.position != 0 ? what.position : whole / 2);
        };
        switch (what.kind) {
        case fault_kind::drop_in_head: socket.write(std::string_view(head).substr(0, part(head.size()))); return false;
        case fault_kind::drop_after_head: socket.write(head); return false;
        case fault_kind::drop_in_body:
            socket.write(head + std::string(body.substr(0, part(body.size()))));
            return false;
        case fault_kind::garbage_response: socket.write("\x16\x03\x01 this is no HTTP\n\n\x7f"); return false;
        case fault_kind::length_too_long:
            socket.write(head_of(reply, body.size() + (what.position != 0 ? what.position : 10), alive));
            socket.write(body);
            return false;
        case fault_kind::length_too_short: {
            const std::size_t less = (std::min)(body.size(), what.position != 0 ? what.position : 1);
            socket.write(head_of(reply, body.size() - less, alive) + std::string(body));
            return alive; // the rest now stands where the next answer is expected
        }
        case fault_kind::bad_chunk: {
            http_reply chunked = reply;
            chunked.headers.emplace_back("Transfer-Encoding", "chunked");
            socket.write(head_of(chunked, std::string::npos, alive) + "1\r\n{\r\nno length\r\n" + std::string(body));
            return false;
        }
        case fault_kind::drip_head: return drip(socket, head, what.interval) && write_all(socket, body) && alive;
        case fault_kind::drip_body: return write_all(socket, head) && drip(socket, body, what.interval) && alive;
        case fault_kind::stall: stall(socket); return false;
        case fault_kind::stall_in_body:
            socket.write(head + std::string(body.substr(0, part(body.size()))));
            stall(socket);
            return false;
        case fault_kind::raw: socket.write(what.bytes); return false;
        default: static_cast<void>(call); return false; // the drops before anything is written
        }
    }

    static bool write_all(os::tcp_socket& socket, std::string_view bytes) {
        socket.write(bytes);
        return true;
    }

    // Waits, and returns whether the server goes on.
    bool pause(std::chrono::milliseconds time) {
        std::unique_lock<std::mutex> lock(mutex_);
        return !stopped_.wait_for(lock, time, [this] { return stopping_; });
    }

    bool drip(os::tcp_socket& socket, std::string_view bytes, std::chrono::milliseconds interval) {
        for (std::size_t i = 0; i < bytes.size(); ++i) {
            socket.write(bytes.substr(i, 1));
            if (!pause(interval)) return false;
        }
        return true;
    }

    // Until the peer closes or the server stops; what the peer still sends is thrown away.
    void stall(os::tcp_socket& socket) {
        char buffer[4096];
        while (!is_stopping()) {
            if (socket.wait_readable(std::chrono::milliseconds(200)) && socket.read(buffer, sizeof buffer) == 0) return;
        }
    }

    // Answers, and reads on for a moment, so that bytes under way do not turn the answer into a reset.
    void refuse(connection& item, const bad_request& refused) {
        http_reply reply = problem(refused.status, "generic-bad-request", "Bad request.").reply();
        try {
            item.socket.write(head_of(reply, reply.body.size(), false) + reply.body);
            item.socket.shutdown_writes();
            char buffer[16384];
            for (int i = 0; i < 256 && item.socket.wait_readable(std::chrono::milliseconds(500)); ++i) {
                if (item.socket.read(buffer, sizeof buffer) == 0) break;
            }
        } catch (const std::system_error&) {
            // The peer did not wait for the answer.
        }
    }

    bool is_stopping() {
        const std::lock_guard<std::mutex> lock(mutex_);
        return stopping_;
    }

    const gateway_options& options_;
    handler handle_;
    early_fault early_;
    os::tcp_socket listener_;
    std::uint16_t port_;
    std::mutex mutex_;
    std::condition_variable stopped_;
    bool stopping_ = false;
    std::list<connection> connections_;
    std::atomic<std::size_t> accepted_{0};
    std::thread acceptor_;
};

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
