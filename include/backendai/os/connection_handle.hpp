/// @file
/// A second handle on a socket that a library keeps to itself: enough to break its connection off from another thread
/// and to see whether bytes wait in it, without touching a descriptor that the library may have closed meanwhile.
#ifndef BACKENDAI_OS_CONNECTION_HANDLE_HPP
#define BACKENDAI_OS_CONNECTION_HANDLE_HPP

#include <backendai/version.hpp>

#ifdef _WIN32
#include <winsock2.h>
#else
#include <cerrno>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>
#endif

#include <cstdint>
#include <mutex>

BACKENDAI_NAMESPACE_BEGIN
namespace os {

#ifdef _WIN32
using native_socket = SOCKET;
#else
using native_socket = int;
#endif

/// Thread-safe.
class connection_handle {
public:
    connection_handle() = default;
    connection_handle(const connection_handle&) = delete;
    connection_handle& operator=(const connection_handle&) = delete;
    ~connection_handle() { reset(); }

    /// Duplicates @p socket, in place of what was held before.
    template <class = void>
    void hold(native_socket socket) {
        const std::lock_guard<std::mutex> lock(mutex_);
        close_held();
#ifdef _WIN32
        WSAPROTOCOL_INFOW info;
        if (WSADuplicateSocketW(socket, GetCurrentProcessId(), &info) == 0) {
            held_ = WSASocketW(FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, &info, 0, 0);
        }
#else
        held_ = ::fcntl(socket, F_DUPFD_CLOEXEC, 0);
#endif
    }
    template <class = void>
    void reset() {
        const std::lock_guard<std::mutex> lock(mutex_);
        close_held();
    }
    /// Breaks the connection off: whoever reads, writes or connects on it comes back with an error. False when there is
    /// none, or the system gave no second handle on it.
    template <class = void>
    bool shut_down() noexcept {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (held_ == none) return false;
#ifdef _WIN32
        ::shutdown(held_, SD_BOTH);
#else
        ::shutdown(held_, SHUT_RDWR);
#endif
        return true;
    }
    /// Whether an idle connection can be used again: open, and no byte has come that nobody asked for.
    template <class = void>
    bool is_quiet() {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (held_ == none) return false;
        char byte = 0;
#ifdef _WIN32
        u_long waiting = 0;
        (void)byte;
        return ::ioctlsocket(held_, FIONREAD, &waiting) == 0 && waiting == 0;
#else
        return ::recv(held_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
#endif
    }
    /// How many bytes the peer has sent on this connection, where the system tells (Linux), else 0.
    template <class = void>
    std::uint64_t bytes_received() {
#ifdef __linux__
        const std::lock_guard<std::mutex> lock(mutex_);
        // tcp_info of <netinet/tcp.h> ends before tcpi_bytes_received, which stands at byte 128 since Linux 4.1.
        struct {
            unsigned char before[128];
            std::uint64_t bytes_received;
        } info{};
        socklen_t size = sizeof info;
        if (held_ != none && ::getsockopt(held_, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 && size == sizeof info) {
            return info.bytes_received;
        }
#endif
        return 0;
    }

private:
#ifdef _WIN32
    static constexpr native_socket none = INVALID_SOCKET;
    void close_held() {
        if (held_ != none) ::closesocket(held_);
        held_ = none;
    }
#else
    static constexpr native_socket none = -1;
    void close_held() {
        if (held_ != none) ::close(held_);
        held_ = none;
    }
#endif
    std::mutex mutex_;
    native_socket held_ = none;
};

} // namespace os
BACKENDAI_NAMESPACE_END

#endif
