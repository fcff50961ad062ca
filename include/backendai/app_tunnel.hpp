/// @file
/// Tunnels: a port of this machine that leads to a service in a compute session.
#ifndef BACKENDAI_APP_TUNNEL_HPP
#define BACKENDAI_APP_TUNNEL_HPP

#include <backendai/api/stream_execute.hpp>
#include <backendai/os/tcp_stream.hpp>
#include <backendai/os/thread.hpp>
#include <backendai/session.hpp>
#include <backendai/tunnel_connection.hpp>
#include <backendai/version.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN

namespace detail {

/// The listening side of a tunnel: one thread that accepts, and the connections.
template <class = void>
class tunnel {
public:
    using opener = std::unique_ptr<message_stream> (*)(const call_scope& scope, call what);

    tunnel(call_scope scope, opener open, const std::string& kernel_id, const std::string& app, tunnel_options options)
        : options_(std::move(options)) {
        require_single_name(app, "the service's name");
        call what = stream_call(kernel_id, options_.protocol == tunnel_protocol::http ? "/httpproxy" : "/tcpproxy");
        what.query.emplace_back("app", app);
        on_cancel_ = std::make_unique<cancel_token::listener>(scope.options.cancel, [this] { interrupt(); });
        scope.options.cancel = stopping_.token();
        open_ = [scope = std::move(scope), what = std::move(what), open] { return open(scope, what); };
        os::tcp_listener listener = os::listen_on(options_.bind, options_.port);
        listener_ = std::move(listener.socket);
        port_ = listener.port;
        acceptor_ = os::start_thread([this] { accept_loop(); });
    }
    tunnel(const tunnel&) = delete;
    tunnel& operator=(const tunnel&) = delete;
    ~tunnel() { stop(); }

    std::uint16_t port() const noexcept { return port_; }
    std::size_t connections() {
        join_finished();
        const std::lock_guard<std::mutex> lock(mutex_);
        return connections_.size();
    }

    void stop() {
        const std::lock_guard<std::mutex> once(stop_mutex_);
        on_cancel_.reset();
        interrupt();
        if (!acceptor_.joinable()) return;
        acceptor_.join();
        listener_.close();
        std::list<tunnel_connection<>> last; // joined outside the lock, which their threads may wait for
        const std::lock_guard<std::mutex> lock(mutex_);
        last.swap(connections_);
    }

private:
    // Everything that blocks comes back: websockets by the token, the local sides by their shutdown.
    void interrupt() {
        stopping_.cancel();
        const std::lock_guard<std::mutex> lock(mutex_);
        for (tunnel_connection<>& item : connections_) item.interrupt();
    }

    void accept_loop() {
        while (!stopping_.cancelled()) {
            os::tcp_socket local = listener_.accept(std::chrono::milliseconds(100));
            join_finished();
            if (!local.is_open()) continue;
            const std::lock_guard<std::mutex> lock(mutex_);
            if (stopping_.cancelled()) return;
            const bool is_full = connections_.size() >= options_.max_connections;
            try {
                connections_.emplace_back(std::move(local), options_, open_, errors_, is_full);
            } catch (const std::exception&) {
                // No thread or no memory for it: it is closed, and the next one may fare better.
            }
        }
    }

    void join_finished() {
        std::list<tunnel_connection<>> finished;
        const std::lock_guard<std::mutex> lock(mutex_);
        for (auto item = connections_.begin(); item != connections_.end();) {
            const auto next = std::next(item);
            if (item->is_done()) finished.splice(finished.end(), connections_, item);
            item = next;
        }
    }

    const tunnel_options options_;
    cancel_source stopping_;
    std::unique_ptr<cancel_token::listener> on_cancel_;
    std::function<std::unique_ptr<message_stream>()> open_;
    std::mutex errors_; // one call of on_error at a time
    os::tcp_socket listener_;
    std::uint16_t port_ = 0;
    std::mutex mutex_, stop_mutex_;
    std::list<tunnel_connection<>> connections_;
    std::thread acceptor_;
};

} // namespace detail

/// Listens on a port of this machine and carries each connection to a service of a compute session over a websocket of
/// its own: `GET /stream/kernel/ID/httpproxy` or `/tcpproxy`.
///
/// - Threads: one that accepts, and two for each connection that is open, of which there are tunnel_options::
///   max_connections at most. Memory: a buffer of 32 to 256 KiB, by what comes, and as much or one message on its way
///   for each direction of a connection; a side that does not read stops the other.
/// - When the local side ends its half, what the service still sends is carried until the service ends too, or sends
///   nothing for half_close_timeout: the protocol cannot tell the service about the half-close.
/// - A service that refuses, a session that is gone: an HTTP client gets a 502, 503, 504 or 404 answer that says why,
///   others a closed connection; on_error is told.
///
/// Stops when it is destroyed, and when the session is closed its connections end. Thread-safe.
class app_tunnel {
public:
    /// @param app the service's name, one of get_or_create()'s service_ports()
    /// @throws client_error{argument} for a bad address, io when the port cannot be listened on
    template <class Transport, class Mode>
    app_tunnel(const basic_session_view<Transport, Mode>& session, const std::string& kernel_id, const std::string& app,
               tunnel_options options = {})
        : tunnel_(std::make_unique<detail::tunnel<>>(
              session.scope(),
              [](const detail::call_scope& scope, detail::call what) {
                  return scope.open_websocket<Transport>(std::move(what));
              },
              kernel_id, app, std::move(options))) {
        static_assert(is_websocket_transport_v<Transport>,
                      "backendai: app_tunnel needs a transport with websockets: this one lacks websocket_opening "
                      "open_websocket(http_request&, const exchange_context&), see backendai/transport/concept.hpp");
    }
    /// To a service as get_or_create() told it, by the protocol that it names.
    template <class Transport, class Mode>
    app_tunnel(const basic_session_view<Transport, Mode>& session, const std::string& kernel_id,
               const service_port& service, tunnel_options options = {})
        : app_tunnel(session, kernel_id, service.name,
                     (options.protocol = service.protocol == "http" ? tunnel_protocol::http : tunnel_protocol::tcp,
                      std::move(options))) {}

    /// The local port.
    std::uint16_t port() const noexcept { return tunnel_->port(); }
    /// How many connections are open now.
    template <class = void>
    std::size_t connections() const {
        return tunnel_->connections();
    }
    /// Ends the tunnel and all its connections, and waits for their threads. May be called more than once; not from
    /// on_error.
    template <class = void>
    void stop() {
        tunnel_->stop();
    }

private:
    std::unique_ptr<detail::tunnel<>> tunnel_;
};

BACKENDAI_NAMESPACE_END

#endif
