/// @file
/// A connected byte stream that never blocks: TCP (tcp_stream.hpp) and TLS over it (tls_stream.hpp).
#ifndef BACKENDAI_OS_STREAM_HPP
#define BACKENDAI_OS_STREAM_HPP

#include <backendai/http.hpp>
#include <backendai/os/socket.hpp>
#include <backendai/version.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <system_error>

BACKENDAI_NAMESPACE_BEGIN
namespace os {

/// What a call that does not block came to.
enum class io_state {
    done,        ///< `count` bytes, at least one
    wants_read,  ///< try again when the socket is readable
    wants_write, ///< try again when the socket is writable
    ended        ///< the peer ended its side
};

struct io_result {
    io_state state = io_state::done;
    std::size_t count = 0;
};

/// One thread may read while another writes; shut_down() may be called from any thread. Waiting is the caller's,
/// outside of any lock, with wait_ready().
class byte_stream {
public:
    byte_stream() = default;
    byte_stream(const byte_stream&) = delete;
    byte_stream& operator=(const byte_stream&) = delete;
    virtual ~byte_stream() = default;

    /// @throws client_error{connect or tls} when the connection is broken.
    virtual io_result read(char* buffer, std::size_t capacity) = 0;
    /// Takes what the system takes now. @throws as read()
    virtual io_result write(std::string_view bytes) = 0;
    /// Tells the peer, as far as that goes without waiting, that nothing more comes.
    virtual void end_writes() noexcept = 0;
    virtual detail::socket_handle handle() const noexcept = 0;

    /// Breaks the connection off: whoever waits on it or uses it comes back.
    void shut_down() noexcept { ::shutdown(handle(), detail::shutdown_both); }
};

namespace detail {

inline std::string error_text(int error) {
    return std::system_category().message(error);
}

template <class = void>
bool would_block(int error) {
#ifdef _WIN32
    return error == WSAEWOULDBLOCK;
#else
    return error == EAGAIN || error == EWOULDBLOCK;
#endif
}

template <class = void>
[[noreturn]] inline void throw_lost(int error) {
    throw client_error(error_kind::connect, "the connection was lost: " + error_text(error),
                       client_error::progress::maybe_sent);
}

} // namespace detail

/// Waits until the socket can be read or written, is broken or shut down, or @p limit is over (negative: no limit).
/// Returns whether there is something to do.
template <class = void>
bool wait_ready(detail::socket_handle handle, bool readable, bool writable, std::chrono::milliseconds limit) {
    const auto events = static_cast<short>((readable ? POLLIN : 0) | (writable ? POLLOUT : 0));
    const int timeout =
        limit.count() < 0 ? -1 : static_cast<int>((std::min)(limit.count(), decltype(limit.count())(1000'000'000)));
    return detail::poll_one(handle, events, timeout) != 0;
}

/// The waits of one phase of a connection's making: each ends in time, and within 50 ms of a cancel.
class phase_clock {
public:
    /// @param limit of the whole phase (or, with restart(), between two steps); 0 is none.
    phase_clock(const exchange_context& context, std::chrono::milliseconds limit, std::string what,
                client_error::progress sent)
        : context_(context), limit_(limit), what_(std::move(what)), sent_(sent) {
        restart();
    }
    void restart() { start_ = exchange_context::clock::now(); }

    /// Waits for the socket. @throws client_error{timeout, cancelled or closed}
    template <class = void>
    void wait(detail::socket_handle handle, bool readable, bool writable) const {
        constexpr std::chrono::milliseconds slice(50); // no socket call can be woken the same way on all systems
        for (;;) {
            context_.check(sent_);
            const auto now = exchange_context::clock::now();
            if (limit_.count() > 0 && now - start_ >= limit_) {
                throw client_error(error_kind::timeout, what_ + " took too long", sent_);
            }
            std::chrono::milliseconds left = slice;
            const auto shorten = [&](exchange_context::clock::duration rest) {
                const auto rounded =
                    std::chrono::duration_cast<std::chrono::milliseconds>(rest) + std::chrono::milliseconds(1);
                left = (std::min)(left, rounded);
            };
            if (limit_.count() > 0) shorten(start_ + limit_ - now);
            if (context_.has_deadline()) shorten(context_.deadline - now);
            if (wait_ready(handle, readable, writable, left)) return;
        }
    }
    template <class = void>
    void wait(detail::socket_handle handle, io_state state) const {
        wait(handle, state == io_state::wants_read, state == io_state::wants_write);
    }

private:
    const exchange_context& context_;
    std::chrono::milliseconds limit_;
    std::string what_;
    client_error::progress sent_;
    exchange_context::clock::time_point start_;
};

} // namespace os
BACKENDAI_NAMESPACE_END

#endif
