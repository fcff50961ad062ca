/// @file
/// A stream of messages both ways, as a websocket carries it: what the second capability of a transport opens.
#ifndef BACKENDAI_MESSAGE_STREAM_HPP
#define BACKENDAI_MESSAGE_STREAM_HPP

#include <backendai/cancel.hpp>
#include <backendai/http.hpp>
#include <backendai/version.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

BACKENDAI_NAMESPACE_BEGIN

/// What receive() yields: a message, or the end of the stream.
struct stream_message {
    enum class type { text, binary, closed };
    type kind = type::closed;
    std::string data; ///< the message; of `closed` the peer's reason
    std::uint16_t code =
        0; ///< of `closed`: RFC 6455 section 7.4; 1005 when the peer gave none, 1006 without a close frame

    bool is_text() const noexcept { return kind == type::text; }
    bool is_binary() const noexcept { return kind == type::binary; }
    bool is_closed() const noexcept { return kind == type::closed; }
};

/// An open websocket. One thread may receive while others send; cancel() may be called from any thread at any time.
/// Pings are answered, and sent, without anybody's doing. Destroying it says goodbye without waiting for the answer.
class message_stream {
public:
    message_stream() = default;
    message_stream(const message_stream&) = delete;
    message_stream& operator=(const message_stream&) = delete;
    virtual ~message_stream() = default;

    /// The next message; waits for it. After the peer's close frame always `closed`.
    /// @throws client_error: connect when the connection is lost without a close frame, timeout when the peer is dead,
    ///         protocol when it breaks RFC 6455 or a limit, cancelled, closed
    virtual stream_message receive() = 0;
    /// As receive(), but nothing when no message came within @p limit.
    virtual std::optional<stream_message> receive_for(std::chrono::milliseconds limit) = 0;
    /// As receive(), for those to whom the borders between binary messages mean nothing: binary messages that have come
    /// already are joined to a first one until they are @p size bytes or more.
    virtual stream_message receive_joined(std::size_t size) {
        static_cast<void>(size);
        return receive();
    }
    /// Sends a message; returns when the system has taken it.
    /// @throws client_error: argument for text that is not UTF-8, closed after either side's close frame, connect when
    ///         the connection is lost, timeout when the peer takes nothing for the read timeout, cancelled
    virtual void send_text(std::string_view text) = 0;
    virtual void send_binary(std::string_view bytes) = 0;
    /// Begins the closing handshake; receive() then yields `closed` when the peer has answered. Harmless when a close
    /// was begun before, by either side. @throws client_error{argument} for a code or reason that may not be sent
    virtual void close(std::uint16_t code = 1000, std::string_view reason = {}) = 0;
    /// Breaks the connection off: running and later calls throw client_error{cancelled}.
    virtual void cancel() noexcept = 0;
    /// The subprotocol that the server chose; empty for none.
    virtual const std::string& protocol() const noexcept = 0;
};

namespace detail {

/// Says goodbye for an owner that lets go of a stream: when that fails there is nobody left to tell.
template <class = void>
void close_quietly(message_stream& stream) noexcept {
    try {
        stream.close();
    } catch (const std::exception&) {
        // As said.
    }
}

/// A stream that a token ends, too.
template <class = void>
class cancellable_stream final : public message_stream {
public:
    cancellable_stream(std::unique_ptr<message_stream> stream, const cancel_token& token)
        : stream_(std::move(stream)), on_cancel_(token, [this] { stream_->cancel(); }) {}

    stream_message receive() override { return stream_->receive(); }
    std::optional<stream_message> receive_for(std::chrono::milliseconds limit) override {
        return stream_->receive_for(limit);
    }
    stream_message receive_joined(std::size_t size) override { return stream_->receive_joined(size); }
    void send_text(std::string_view text) override { stream_->send_text(text); }
    void send_binary(std::string_view bytes) override { stream_->send_binary(bytes); }
    void close(std::uint16_t code, std::string_view reason) override { stream_->close(code, reason); }
    void cancel() noexcept override { stream_->cancel(); }
    const std::string& protocol() const noexcept override { return stream_->protocol(); }

private:
    const std::unique_ptr<message_stream> stream_;
    const cancel_token::listener on_cancel_; // ends before the stream does
};

} // namespace detail

/// What came of a websocket handshake: `stream` when the answer was 101; else it is null, and `body` holds the refusal.
struct websocket_opening {
    response_head head;
    std::string body;
    std::unique_ptr<message_stream> stream;
};

BACKENDAI_NAMESPACE_END

#endif
