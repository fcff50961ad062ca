/// @file
/// TCP sockets on the loopback interface, the same on POSIX systems and Windows.
#ifndef BACKENDAI_OS_SOCKET_HPP
#define BACKENDAI_OS_SOCKET_HPP

#include <backendai/version.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#ifdef _WIN32
#ifndef NOMINMAX
#define NOMINMAX
#endif
#include <winsock2.h>
#include <ws2tcpip.h>
#else
#include <arpa/inet.h>
#include <cerrno>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#endif

BACKENDAI_NAMESPACE_BEGIN
namespace os {

namespace detail {

#ifdef _WIN32
using socket_handle = SOCKET;
constexpr socket_handle no_socket = INVALID_SOCKET;
inline int last_socket_error() {
    return ::WSAGetLastError();
}
inline void close_handle(socket_handle handle) {
    ::closesocket(handle);
}
inline int poll_one(socket_handle handle, short events, int timeout_ms) {
    WSAPOLLFD entry{handle, events, 0};
    return ::WSAPoll(&entry, 1, timeout_ms);
}
inline bool is_interrupted(int error) {
    return error == WSAEINTR;
}
// Winsock wants to be started once in a process; it is left running, since other code may use it as well.
inline void start_sockets() {
    static const int result = [] {
        WSADATA data;
        return ::WSAStartup(MAKEWORD(2, 2), &data);
    }();
    if (result != 0) throw std::system_error(result, std::system_category(), "WSAStartup");
}
constexpr int shutdown_both = SD_BOTH, shutdown_writes = SD_SEND;
#else
using socket_handle = int;
constexpr socket_handle no_socket = -1;
inline int last_socket_error() {
    return errno;
}
inline void close_handle(socket_handle handle) {
    ::close(handle);
}
template <class = void>
int poll_one(socket_handle handle, short events, int timeout_ms) {
    pollfd entry{handle, events, 0};
    return ::poll(&entry, 1, timeout_ms);
}
inline bool is_interrupted(int error) {
    return error == EINTR;
}
inline void start_sockets() {}
constexpr int shutdown_both = SHUT_RDWR, shutdown_writes = SHUT_WR;
#endif

#ifdef MSG_NOSIGNAL
constexpr int send_flags = MSG_NOSIGNAL; // a peer that is gone is an error here, not a SIGPIPE
#else
constexpr int send_flags = 0;
#endif

/// For a connection that does not leave the machine, before it is made; what a listening socket accepts inherits it.
/// Between two processes nothing is congested. A congestion control that paces what is sent, as BBR does where it is
/// the system's choice, has a timer go off for every few packets there, and costs as much again as all the rest.
template <class = void>
void send_unpaced(socket_handle handle) noexcept {
#ifdef TCP_CONGESTION
    constexpr char control[] = "reno"; // the one that every kernel has, for every user
    ::setsockopt(handle, IPPROTO_TCP, TCP_CONGESTION, control, sizeof control - 1);
#else
    static_cast<void>(handle);
#endif
}

template <class = void>
[[noreturn]] inline void throw_socket_error(const char* what) {
    throw std::system_error(last_socket_error(), std::system_category(), what);
}

} // namespace detail

/// One TCP socket. Owns its handle.
///
/// Thread-safety: one thread may read while another writes; shutdown() may be called while others block in read() or
/// write() and makes them return. close() and moving need the object alone.
class tcp_socket {
public:
    tcp_socket() = default;
    explicit tcp_socket(detail::socket_handle handle) : handle_(handle) {}
    tcp_socket(tcp_socket&& other) noexcept : handle_(std::exchange(other.handle_, detail::no_socket)) {}
    tcp_socket& operator=(tcp_socket&& other) noexcept {
        if (this != &other) {
            close();
            handle_ = std::exchange(other.handle_, detail::no_socket);
        }
        return *this;
    }
    ~tcp_socket() { close(); }

    bool is_open() const { return handle_ != detail::no_socket; }
    /// For calls of the system that this class lacks; stays this object's.
    detail::socket_handle handle() const noexcept { return handle_; }

    /// Listens on 127.0.0.1. @param port 0 = any free one, see local_port().
    /// @throws std::system_error when the port is taken.
    template <class = void>
    static tcp_socket listen_loopback(std::uint16_t port) {
        tcp_socket result = create();
#ifndef _WIN32 // on Windows this option would let a second listener take the port over
        const int on = 1;
        ::setsockopt(result.handle_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
#endif
        sockaddr_in address = loopback(port);
        if (::bind(result.handle_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
            detail::throw_socket_error("bind");
        }
        if (::listen(result.handle_, SOMAXCONN) != 0) detail::throw_socket_error("listen");
        return result;
    }

    /// Connects to a port of 127.0.0.1. @throws std::system_error when nobody listens there.
    template <class = void>
    static tcp_socket connect_loopback(std::uint16_t port) {
        tcp_socket result = create();
        sockaddr_in address = loopback(port);
        if (::connect(result.handle_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
            detail::throw_socket_error("connect");
        }
        result.send_at_once();
        return result;
    }

    /// The next connection of a listening socket, or one that is not open when none came within @p timeout.
    template <class = void>
    tcp_socket accept(std::chrono::milliseconds timeout) {
        if (!wait_readable(timeout)) return {};
#if defined(__linux__)
        tcp_socket result(::accept4(handle_, nullptr, nullptr, SOCK_CLOEXEC));
#else
        tcp_socket result(::accept(handle_, nullptr, nullptr));
#endif
        if (!result.is_open()) {
            // Out of descriptors, say: the connection waits on, and a caller's loop would turn at full speed.
            std::this_thread::sleep_for((std::min)(timeout, std::chrono::milliseconds(10)));
            return result;
        }
        result.keep_from_children();
        result.send_at_once();
        return result;
    }

    template <class = void>
    std::uint16_t local_port() const {
        sockaddr_in address{};
        socklen_t length = sizeof address;
        if (::getsockname(handle_, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
            detail::throw_socket_error("getsockname");
        }
        return ntohs(address.sin_port);
    }

    /// Whether read() would return at once (bytes, end of stream or an error) within @p timeout.
    template <class = void>
    bool wait_readable(std::chrono::milliseconds timeout) const {
        const int result = detail::poll_one(handle_, POLLIN, static_cast<int>(timeout.count()));
        return result > 0;
    }

    /// Reads what is there, at least one byte; blocks until then. 0 = the peer ended its side.
    /// @throws std::system_error when the connection broke.
    template <class = void>
    std::size_t read(char* buffer, std::size_t capacity) {
        for (;;) {
#ifdef _WIN32
            const int count = ::recv(handle_, buffer, static_cast<int>(capacity), 0);
#else
            const ssize_t count = ::recv(handle_, buffer, capacity, 0);
#endif
            if (count >= 0) return static_cast<std::size_t>(count);
            if (!detail::is_interrupted(detail::last_socket_error())) detail::throw_socket_error("recv");
        }
    }

    /// Writes all bytes; blocks until the system has taken them.
    /// @throws std::system_error when the connection broke.
    template <class = void>
    void write(std::string_view bytes) {
        while (!bytes.empty()) {
#ifdef _WIN32
            const int count = ::send(handle_, bytes.data(), static_cast<int>(bytes.size()), 0);
#else
            const ssize_t count = ::send(handle_, bytes.data(), bytes.size(), detail::send_flags);
#endif
            if (count >= 0) {
                bytes.remove_prefix(static_cast<std::size_t>(count));
            } else if (!detail::is_interrupted(detail::last_socket_error())) {
                detail::throw_socket_error("send");
            }
        }
    }

    /// Ends both directions; threads that block in read() or write() return.
    void shutdown() {
        if (is_open()) ::shutdown(handle_, detail::shutdown_both);
    }
    /// Tells the peer that nothing more comes; reading goes on.
    void shutdown_writes() {
        if (is_open()) ::shutdown(handle_, detail::shutdown_writes);
    }

    /// Closes with a reset instead of an orderly end, as a crashed peer's system does.
    template <class = void>
    void reset() {
        if (!is_open()) return;
        linger option{};
        option.l_onoff = 1;
        ::setsockopt(handle_, SOL_SOCKET, SO_LINGER, reinterpret_cast<const char*>(&option), sizeof option);
        close();
    }

    template <class = void>
    void close() {
        if (is_open()) detail::close_handle(std::exchange(handle_, detail::no_socket));
    }

private:
    template <class = void>
    static tcp_socket create() {
        detail::start_sockets();
#if defined(__linux__)
        tcp_socket result(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
#else
        tcp_socket result(::socket(AF_INET, SOCK_STREAM, 0));
#endif
        if (!result.is_open()) detail::throw_socket_error("socket");
        result.keep_from_children();
        detail::send_unpaced(result.handle_);
        return result;
    }
    template <class = void>
    static sockaddr_in loopback(std::uint16_t port) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return address;
    }
    template <class = void>
    void keep_from_children() {
#if !defined(_WIN32) && !defined(__linux__)
        ::fcntl(handle_, F_SETFD, FD_CLOEXEC);
#endif
#ifdef SO_NOSIGPIPE
        const int on = 1;
        ::setsockopt(handle_, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
    }
    template <class = void>
    void send_at_once() {
        const int on = 1;
        ::setsockopt(handle_, IPPROTO_TCP, TCP_NODELAY, reinterpret_cast<const char*>(&on), sizeof on);
    }

    detail::socket_handle handle_ = detail::no_socket;
};

} // namespace os
BACKENDAI_NAMESPACE_END

#endif
