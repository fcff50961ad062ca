// A server that does what a script says, byte by byte: what no honest server would do. Each connection has a thread of
// its own that runs the script; sockets only, no HTTP library.
#ifndef BACKENDAI_TESTS_HOSTILE_SERVER_HPP
#define BACKENDAI_TESTS_HOSTILE_SERVER_HPP

#include <backendai/os/socket.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

namespace hostile {

// A request as it came: the head with its final empty line, and the body by its Content-Length.
struct received {
    std::string head, body;

    std::string target() const {
        const std::size_t from = head.find(' ') + 1;
        return head.substr(from, head.find(' ', from) - from);
    }
    bool has(std::string_view text) const { return head.find(text) != std::string::npos; }
};

// The server's end of one connection. A peer that is gone shows as false or nothing, never as an exception.
class peer {
public:
    peer(backendai::os::tcp_socket socket, int number, const std::atomic<bool>& stopping)
        : socket_(std::move(socket)), number_(number), stopping_(stopping) {}

    int number() const { return number_; } // 0 for the first connection
    bool stopping() const { return stopping_; }

    std::optional<received> read_request(bool with_body = true) {
        received request;
        std::size_t end = 0;
        while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
            if (!read_more()) return {};
        }
        request.head = buffer_.substr(0, end + 4);
        buffer_.erase(0, end + 4);
        const std::size_t field = request.head.find("Content-Length: ");
        if (!with_body || field == std::string::npos) return request;
        const std::size_t size = std::strtoul(request.head.c_str() + field + 16, nullptr, 10);
        while (buffer_.size() < size) {
            if (!read_more()) return {};
        }
        request.body = buffer_.substr(0, size);
        buffer_.erase(0, size);
        return request;
    }
    // What comes next, of no particular size; empty at the end.
    std::string read_some() {
        if (buffer_.empty() && !read_more()) return {};
        return std::exchange(buffer_, std::string());
    }
    bool send(std::string_view bytes) {
        try {
            socket_.write(bytes);
            return !stopping_;
        } catch (const std::system_error&) {
            return false;
        }
    }
    // Sends the same bytes over and over, as fast as they are taken, at most `limit` bytes.
    void flood(const std::string& bytes, std::size_t limit) {
        for (std::size_t sent = 0; sent < limit && send(bytes); sent += bytes.size()) {
        }
    }
    // Sends the same bytes at intervals until the other side or the test ends.
    void drip(std::string_view bytes, std::chrono::milliseconds interval) {
        while (send(bytes) && !wait_for_end(interval)) {
        }
    }
    // Waits until the other side sends something or ends; whether it ended, or the test does.
    bool wait_for_end(std::chrono::milliseconds timeout) {
        const auto end = std::chrono::steady_clock::now() + timeout;
        while (!stopping_ && std::chrono::steady_clock::now() < end) {
            if (!socket_.wait_readable(std::chrono::milliseconds(5))) continue;
            if (!read_more()) return true;
        }
        return stopping_;
    }
    void stall() { wait_for_end(std::chrono::minutes(1)); }
    void end_writes() { socket_.shutdown_writes(); }
    void close() {
        const std::lock_guard<std::mutex> lock(ending_);
        socket_.close();
    }
    void reset() {
        const std::lock_guard<std::mutex> lock(ending_);
        socket_.reset();
    }
    // From the server's own thread, when the test ends.
    void shutdown() {
        const std::lock_guard<std::mutex> lock(ending_);
        socket_.shutdown();
    }

private:
    bool read_more() {
        char block[16384];
        try {
            while (!stopping_) {
                if (!socket_.wait_readable(std::chrono::milliseconds(20))) continue;
                const std::size_t count = socket_.read(block, sizeof block);
                buffer_.append(block, count);
                return count != 0;
            }
        } catch (const std::system_error&) {
            return false; // reset by the client
        }
        return false;
    }

    backendai::os::tcp_socket socket_;
    std::mutex ending_;
    std::string buffer_;
    int number_;
    const std::atomic<bool>& stopping_;
};

class server {
public:
    using script = std::function<void(peer&)>;

    explicit server(script run)
        : script_(std::move(run)),
          listener_(backendai::os::tcp_socket::listen_loopback(0)),
          port_(listener_.local_port()),
          acceptor_([this] { accept_all(); }) {}
    server(const server&) = delete;
    server& operator=(const server&) = delete;
    ~server() {
        stopping_ = true;
        acceptor_.join();
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            for (peer* open : open_) open->shutdown();
        }
        for (std::thread& thread : threads_) thread.join();
    }

    std::uint16_t port() const { return port_; }
    std::string endpoint() const { return "http://127.0.0.1:" + std::to_string(port_); }
    int connections() const { return connections_; }

private:
    void accept_all() {
        while (!stopping_) {
            backendai::os::tcp_socket socket = listener_.accept(std::chrono::milliseconds(20));
            if (!socket.is_open()) continue;
            auto shared = std::make_shared<backendai::os::tcp_socket>(std::move(socket));
            const int number = connections_++;
            threads_.emplace_back([this, shared, number] {
                peer connection(std::move(*shared), number, stopping_);
                {
                    const std::lock_guard<std::mutex> lock(mutex_);
                    open_.push_back(&connection);
                }
                script_(connection);
                const std::lock_guard<std::mutex> lock(mutex_);
                open_.remove(&connection);
                connection.close();
            });
        }
    }

    script script_;
    backendai::os::tcp_socket listener_;
    std::uint16_t port_;
    std::atomic<bool> stopping_{false};
    std::atomic<int> connections_{0};
    std::mutex mutex_;
    std::list<peer*> open_;
    std::list<std::thread> threads_;
    std::thread acceptor_;
};

inline std::string answer(std::string_view body, std::string_view fields = {}, std::string_view status = "200 OK") {
    std::string text = "HTTP/1.1 ";
    text.append(status).append("\r\nContent-Type: application/json\r\n").append(fields);
    text += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n";
    return text.append(body);
}

} // namespace hostile

#endif
