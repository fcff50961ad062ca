// The local proxy: takes requests without a signature, and passes them on with one.
#ifndef BACKENDAI_CLI_PROXY_SERVER_HPP
#define BACKENDAI_CLI_PROXY_SERVER_HPP

#include "context.hpp"
#include "proxy_http.hpp"

#include <atomic>
#include <list>
#include <mutex>
#include <thread>

namespace cli {

struct proxy_options {
    std::string bind = "localhost", allow_origin;
    std::uint16_t port = 8084;
};

// Listens from its making to its end. A thread for each connection.
class proxy_server {
public:
    // Throws client_error for an address that cannot be listened on.
    proxy_server(context& ctx, const proxy_options& options);
    proxy_server(const proxy_server&) = delete;
    proxy_server& operator=(const proxy_server&) = delete;
    // To be called when the calls that run have been interrupted.
    ~proxy_server();
    std::uint16_t port() const { return port_; }

private:
    struct connection {
        backendai::os::tcp_socket socket;
        std::atomic<bool> is_done{false};
        std::thread thread;
    };
    void accept_loop();
    void serve(backendai::os::tcp_socket& socket);
    // Each answers one request; false when the connection cannot go on.
    bool pass(client_connection& client, const proxy_request& request);
    bool pass_http(client_connection& client, const proxy_request& request, const std::string& target);
    void pass_websocket(client_connection& client, const proxy_request& request, const std::string& target);
    bool is_allowed(const proxy_request& request) const;

    context& ctx_;
    const proxy_options options_;
    const server_view server_;
    backendai::os::tcp_socket listener_;
    std::uint16_t port_ = 0;
    std::atomic<bool> stopping_{false};
    std::mutex mutex_;
    std::list<connection> connections_;
    std::thread acceptor_;
};

} // namespace cli

#endif
