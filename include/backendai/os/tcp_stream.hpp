/// @file
/// TCP connections to anywhere, made within time limits and without blocking.
#ifndef BACKENDAI_OS_TCP_STREAM_HPP
#define BACKENDAI_OS_TCP_STREAM_HPP

#include <backendai/codec/url.hpp>
#include <backendai/http.hpp>
#include <backendai/os/resolver.hpp>
#include <backendai/os/socket.hpp>
#include <backendai/os/stream.hpp>
#include <backendai/version.hpp>

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace os {

namespace detail {

/// A numeric address for the socket calls.
struct socket_address {
    sockaddr_storage storage{};
    socklen_t size = 0;
    int family() const { return storage.ss_family; }
    /// Whether it is one of this machine that no other can reach.
    template <class = void>
    bool is_loopback() const {
        if (storage.ss_family == AF_INET6) {
            const in6_addr& address = reinterpret_cast<const sockaddr_in6&>(storage).sin6_addr;
            return IN6_IS_ADDR_LOOPBACK(&address) || (IN6_IS_ADDR_V4MAPPED(&address) && address.s6_addr[12] == 127);
        }
        return ntohl(reinterpret_cast<const sockaddr_in&>(storage).sin_addr.s_addr) >> 24U == 127;
    }
};

/// @throws client_error{argument} when @p host is not a numeric address.
template <class = void>
socket_address numeric_address(const std::string& host, std::uint16_t port) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    addrinfo* list = nullptr;
    if (::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list) != 0 || list == nullptr) {
        throw client_error(error_kind::argument, "not a numeric address: \"" + host + '"');
    }
    socket_address address;
    std::memcpy(&address.storage, list->ai_addr, list->ai_addrlen);
    address.size = static_cast<socklen_t>(list->ai_addrlen);
    ::freeaddrinfo(list);
    return address;
}

template <class = void>
bool set_non_blocking(socket_handle handle) noexcept {
#ifdef _WIN32
    u_long on = 1;
    return ::ioctlsocket(handle, FIONBIO, &on) == 0;
#else
    const int flags = ::fcntl(handle, F_GETFL);
    return flags != -1 && ::fcntl(handle, F_SETFL, flags | O_NONBLOCK) == 0;
#endif
}

/// For a connection to or at @p address.
template <class = void>
socket_handle new_socket(const socket_address& address) {
    start_sockets();
#if defined(__linux__)
    const socket_handle handle = ::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
#else
    const socket_handle handle = ::socket(address.family(), SOCK_STREAM, 0);
#endif
    if (handle == no_socket) {
        throw client_error(error_kind::connect, "no socket: " + error_text(last_socket_error()));
    }
    const int on = 1;
#if !defined(_WIN32) && !defined(__linux__)
    ::fcntl(handle, F_SETFD, FD_CLOEXEC);
#endif
#ifdef SO_NOSIGPIPE
    ::setsockopt(handle, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
    ::setsockopt(handle, IPPROTO_TCP, TCP_NODELAY, reinterpret_cast<const char*>(&on), sizeof on);
    if (address.is_loopback()) send_unpaced(handle);
    return handle;
}

template <class = void>
bool is_in_progress(int error) {
#ifdef _WIN32
    return error == WSAEWOULDBLOCK;
#else
    return error == EINPROGRESS || error == EINTR;
#endif
}

/// 0 when the connection is there at once; else the error, which is_in_progress() when it may still come about.
template <class = void>
int begin_connect(socket_handle handle, const socket_address& to) noexcept {
    const int status = ::connect(handle, reinterpret_cast<const sockaddr*>(&to.storage), to.size);
    return status == 0 ? 0 : last_socket_error();
}

/// What became of a connection that was in progress: its error, or 0.
template <class = void>
int pending_error(socket_handle handle) noexcept {
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(handle, SOL_SOCKET, SO_ERROR, reinterpret_cast<char*>(&error), &size);
    return error;
}

template <class = void>
long receive_from(socket_handle handle, char* buffer, std::size_t capacity) {
#ifdef _WIN32
    return ::recv(handle, buffer, static_cast<int>((std::min)(capacity, std::size_t{1} << 30)), 0);
#else
    return static_cast<long>(::recv(handle, buffer, capacity, 0));
#endif
}

template <class = void>
long send_to(socket_handle handle, const char* bytes, std::size_t size) {
    size = (std::min)(size, std::size_t{1} << 30);
#ifdef _WIN32
    return ::send(handle, bytes, static_cast<int>(size), 0);
#else
    return static_cast<long>(::send(handle, bytes, size, send_flags));
#endif
}

template <class = void>
io_result read_now(socket_handle handle, char* buffer, std::size_t capacity) {
    for (;;) {
        const long count = receive_from(handle, buffer, capacity);
        if (count > 0) return {io_state::done, static_cast<std::size_t>(count)};
        if (count == 0) return {io_state::ended, 0};
        const int error = last_socket_error();
        if (would_block(error)) return {io_state::wants_read, 0};
        if (!is_interrupted(error)) throw_lost(error);
    }
}

template <class = void>
io_result write_now(socket_handle handle, std::string_view bytes) {
    for (;;) {
        const long count = send_to(handle, bytes.data(), bytes.size());
        if (count >= 0) return {io_state::done, static_cast<std::size_t>(count)};
        const int error = last_socket_error();
        if (would_block(error)) return {io_state::wants_write, 0};
        if (!is_interrupted(error)) throw_lost(error);
    }
}

} // namespace detail

/// A connection that somebody else owns, used for a while; non-blocking if its owner made it so.
template <class = void>
class borrowed_stream final : public byte_stream {
public:
    explicit borrowed_stream(detail::socket_handle handle) : handle_(handle) {}
    io_result read(char* buffer, std::size_t capacity) override { return detail::read_now(handle_, buffer, capacity); }
    io_result write(std::string_view bytes) override { return detail::write_now(handle_, bytes); }
    void end_writes() noexcept override { ::shutdown(handle_, detail::shutdown_writes); }
    detail::socket_handle handle() const noexcept override { return handle_; }

private:
    detail::socket_handle handle_;
};

/// A TCP connection. See byte_stream for threads.
template <class = void>
class tcp_stream final : public byte_stream {
public:
    /// Takes over a connected socket and makes it non-blocking. @throws client_error{connect} when that fails, and the
    /// socket stays the caller's
    explicit tcp_stream(detail::socket_handle handle) : handle_(handle) {
        if (!detail::set_non_blocking(handle)) {
            throw client_error(error_kind::connect, "no socket: " + detail::error_text(detail::last_socket_error()));
        }
    }
    ~tcp_stream() override { detail::close_handle(handle_); }

    /// Looks @p host up and connects to the first of its addresses that answers; look-up and each attempt have the
    /// context's connect_timeout. @throws client_error{connect, timeout, cancelled or closed}
    static std::unique_ptr<tcp_stream> connect(const std::string& host, std::uint16_t port,
                                               const exchange_context& context) {
        const std::vector<std::string> addresses = resolve(host, context);
        for (std::size_t i = 0;; ++i) {
            try {
                return connect_to(addresses[i], host, port, context);
            } catch (const client_error& e) {
                const bool unreachable = e.kind() == error_kind::connect || e.kind() == error_kind::timeout;
                if (!unreachable || i + 1 == addresses.size()) throw;
                context.check();
            }
        }
    }

    /// Why connections to a numeric address do not come about, as the system says it, ": Connection refused"; empty
    /// when it says nothing within 100 ms. For libraries that keep the reason to themselves; makes one more attempt.
    static std::string why_unreachable(const std::string& address, std::uint16_t port) {
        const detail::socket_address target = detail::numeric_address(address, port);
        const std::unique_ptr<tcp_stream> probe = own(detail::new_socket(target));
        int error = detail::begin_connect(probe->handle_, target);
        if (detail::is_in_progress(error)) {
            detail::poll_one(probe->handle_, POLLOUT, 100);
            error = detail::pending_error(probe->handle_);
        }
        return error == 0 ? std::string() : ": " + detail::error_text(error);
    }

    io_result read(char* buffer, std::size_t capacity) override { return detail::read_now(handle_, buffer, capacity); }
    io_result write(std::string_view bytes) override { return detail::write_now(handle_, bytes); }
    void end_writes() noexcept override { ::shutdown(handle_, detail::shutdown_writes); }
    detail::socket_handle handle() const noexcept override { return handle_; }

private:
    static std::unique_ptr<tcp_stream> own(detail::socket_handle handle) {
        try {
            return std::make_unique<tcp_stream>(handle);
        } catch (...) {
            detail::close_handle(handle);
            throw;
        }
    }

    static std::unique_ptr<tcp_stream> connect_to(const std::string& address, const std::string& host,
                                                  std::uint16_t port, const exchange_context& context) {
        const std::string peer = codec::url_host(host) + ':' + std::to_string(port);
        const detail::socket_address target = detail::numeric_address(address, port);
        std::unique_ptr<tcp_stream> stream = own(detail::new_socket(target));
        const auto fail = [&](int error) {
            throw client_error(error_kind::connect, "cannot connect to " + peer + ": " + detail::error_text(error));
        };
        if (const int error = detail::begin_connect(stream->handle_, target); error != 0) {
            if (!detail::is_in_progress(error)) fail(error);
            const phase_clock clock(context, context.connect_timeout, "connecting to " + peer,
                                    client_error::progress::nothing_sent);
            clock.wait(stream->handle_, false, true);
        }
        if (const int error = detail::pending_error(stream->handle_); error != 0) fail(error);
        return stream;
    }

    detail::socket_handle handle_;
};

/// A listening socket and its port.
struct tcp_listener {
    tcp_socket socket;
    std::uint16_t port = 0;
};

/// Listens on a numeric address of this machine, "127.0.0.1", "::1", "0.0.0.0". @param port 0 is any free one.
/// @throws client_error{argument} when it is no address, io when it cannot be listened on
template <class = void>
tcp_listener listen_on(const std::string& address, std::uint16_t port) {
    const detail::socket_address local = detail::numeric_address(address, port);
    const detail::socket_handle handle = detail::new_socket(local);
    tcp_listener result{tcp_socket(handle), 0};
#ifndef _WIN32 // on Windows this option would let a second listener take the port over
    const int on = 1;
    ::setsockopt(handle, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
#endif
    sockaddr_storage bound{};
    socklen_t size = sizeof bound;
    if (::bind(handle, reinterpret_cast<const sockaddr*>(&local.storage), local.size) != 0 ||
        ::listen(handle, SOMAXCONN) != 0 || ::getsockname(handle, reinterpret_cast<sockaddr*>(&bound), &size) != 0) {
        throw client_error(error_kind::io, "cannot listen on " + address + ", port " + std::to_string(port) + ": " +
                                               detail::error_text(detail::last_socket_error()));
    }
    result.port = ntohs(bound.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(bound).sin6_port
                                                    : reinterpret_cast<const sockaddr_in&>(bound).sin_port);
    return result;
}

} // namespace os
BACKENDAI_NAMESPACE_END

#endif
