/// @file
/// The network services in the embedded gateway's sessions: python's http.server as "jupyter", an echo service, and
/// whatever ports of this machine a test adds.
#ifndef BACKENDAI_TESTING_GATEWAY_SERVICES_HPP
#define BACKENDAI_TESTING_GATEWAY_SERVICES_HPP

#include <backendai/os/process.hpp>
#include <backendai/os/socket.hpp>
#include <backendai/testing/gateway_interpreters.hpp>
#include <backendai/testing/gateway_types.hpp>
#include <backendai/version.hpp>

#include <nlohmann/json.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// Sends back what it gets, and ends its side when the peer has.
class echo_service {
public:
    echo_service() : listener_(os::tcp_socket::listen_loopback(0)), port_(listener_.local_port()) {
        acceptor_ = std::thread([this] { accept_loop(); });
    }
    echo_service(const echo_service&) = delete;
    echo_service& operator=(const echo_service&) = delete;
    ~echo_service() {
        stopping_ = true;
        acceptor_.join();
        for (connection& item : connections_) item.socket.shutdown();
        for (connection& item : connections_) item.thread.join();
    }
    std::uint16_t port() const { return port_; }

private:
    struct connection {
        os::tcp_socket socket;
        std::thread thread;
        std::atomic<bool> is_done{false};
    };

    void accept_loop() {
        while (!stopping_) {
            os::tcp_socket socket = listener_.accept(std::chrono::milliseconds(100));
            for (auto item = connections_.begin(); item != connections_.end();) {
                if (item->is_done) {
                    item->thread.join();
                    item = connections_.erase(item);
                } else {
                    ++item;
                }
            }
            if (!socket.is_open()) continue;
            connections_.emplace_back();
            connection& item = connections_.back();
            item.socket = std::move(socket);
            item.thread = std::thread([&item] {
                try {
                    std::vector<char> buffer(128 * 1024);
                    while (const std::size_t count = item.socket.read(buffer.data(), buffer.size())) {
                        item.socket.write({buffer.data(), count});
                    }
                    item.socket.shutdown_writes();
                } catch (const std::system_error&) {
                    // The client went away in the middle.
                }
                item.socket.shutdown();
                item.is_done = true;
            });
        }
    }

    os::tcp_socket listener_;
    std::uint16_t port_;
    std::atomic<bool> stopping_{false};
    std::list<connection> connections_; // of the accepting thread until that has ended
    std::thread acceptor_;
};

/// Thread-safe. Services start when they are first asked for.
class service_table {
public:
    /// A port of this machine as a service in every session.
    void add(const std::string& name, const std::string& protocol, std::uint16_t port) {
        const std::lock_guard<std::mutex> lock(mutex_);
        added_[name] = {protocol, port};
    }

    /// As get_or_create tells them.
    nlohmann::json list() const {
        nlohmann::json result = nlohmann::json::array();
        const auto tell = [&result](const std::string& name, const std::string& protocol, int port) {
            result.push_back({{"name", name}, {"protocol", protocol}, {"container_port", port}, {"host_port", port}});
        };
        if (interpreters().count("python") != 0) tell("jupyter", "http", 8080);
        tell("echo", "tcp", 7000);
        const std::lock_guard<std::mutex> lock(mutex_);
        for (const auto& item : added_) tell(item.first, item.second.first, item.second.second);
        return result;
    }

    /// The local port of a service; 0 when there is none of that name.
    std::uint16_t port_of(const std::string& name, const std::string& session, const std::string& directory,
                          const std::map<std::string, std::string>& environment) {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = added_.find(name);
        if (found != added_.end()) return found->second.second;
        if (name == "echo") {
            if (!echo_) echo_ = std::make_unique<echo_service>();
            return echo_->port();
        }
        const auto python = interpreters().find("python");
        if (name != "jupyter" || python == interpreters().end()) return 0;
        std::unique_ptr<web_server>& server = web_servers_[session];
        if (!server || server->process.try_wait()) {
            server = std::make_unique<web_server>(python->second.command.at(0), directory, environment);
        }
        return server->port;
    }
    /// Ends what runs for sessions that are gone.
    void keep_only(const std::vector<std::string>& sessions) {
        const std::lock_guard<std::mutex> lock(mutex_);
        for (auto item = web_servers_.begin(); item != web_servers_.end();) {
            bool lives = false;
            for (const std::string& session : sessions) lives = lives || session == item->first;
            item = lives ? std::next(item) : web_servers_.erase(item);
        }
    }

private:
    struct web_server {
        web_server(const std::string& python, const std::string& directory,
                   const std::map<std::string, std::string>& environment) {
            os::pipe_ends out = os::make_pipe();
            os::process_options options;
            options.arguments = {python, "-u", "-c",
                                 "import http.server\n"
                                 "class handler(http.server.SimpleHTTPRequestHandler):\n"
                                 "    protocol_version = 'HTTP/1.1'\n"
                                 "    def log_message(self, *arguments): pass\n"
                                 "server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)\n"
                                 "print(server.server_port, flush=True)\n"
                                 "server.serve_forever()\n"};
            options.environment = environment;
            options.directory = directory;
            options.descriptors = {{1, out.write_end.get()}};
            process = os::child_process(options);
            out.write_end.close();
            std::string line;
            char c = 0;
            while (::read(out.read_end.get(), &c, 1) == 1 && c != '\n') line += c;
            port = static_cast<std::uint16_t>(std::strtoul(line.c_str(), nullptr, 10));
        }
        os::child_process process;
        std::uint16_t port = 0;
    };

    mutable std::mutex mutex_;
    std::map<std::string, std::pair<std::string, std::uint16_t>> added_;
    std::unique_ptr<echo_service> echo_;
    std::map<std::string, std::unique_ptr<web_server>> web_servers_;
};

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
