/// @file
/// RFC 6455 sections 5.5 and 7: what has to be answered to control frames, and where the closing handshake stands.
#ifndef BACKENDAI_CODEC_WEBSOCKET_CONTROL_HPP
#define BACKENDAI_CODEC_WEBSOCKET_CONTROL_HPP

#include <backendai/codec/websocket_encoder.hpp>
#include <backendai/codec/websocket_types.hpp>
#include <backendai/version.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// A control frame that waits to be sent.
struct websocket_reply {
    websocket_opcode opcode = websocket_opcode::pong; ///< pong or close
    std::string payload;                              ///< of a close frame the reason
    std::uint16_t code = 0;                           ///< of a close frame its code; 1005: none
};

/// Says what to answer and when the connection is over. One pong at most is pending, the one for the latest ping
/// (section 5.5.3 allows it): a peer that pings faster than we can write does not fill our memory.
/// Not thread-safe: reader and writer share it under the connection's lock.
class websocket_control {
public:
    /// Tells it what the decoder found. Messages and pongs need no answer.
    template <class = void>
    void received(const websocket_event& event) {
        if (peer_close_code_) return;
        if (event.opcode == websocket_opcode::ping) {
            if (!close_queued_) pong_ = std::string(event.payload);
        } else if (event.opcode == websocket_opcode::close) {
            peer_close_code_ = event.code;
            peer_close_reason_ = std::string(event.payload);
            pong_.reset();
            // Section 5.5.1: the echo carries the code that came; an empty close is answered by an empty one.
            queue_close(event.code, {});
        }
    }

    /// Tells it that the decoder threw: a close frame with the error's code goes out, nothing more is expected.
    template <class = void>
    void failed(const websocket_error& error) {
        failed_ = true;
        pong_.reset();
        queue_close(error.close_code(), {});
    }

    /// Begins the closing handshake from our side. False when a close was already begun or answered (nothing changes).
    /// Throws std::invalid_argument for a code or reason that may not be sent. Code 1005 sends an empty close frame.
    template <class = void>
    bool close(std::uint16_t code = websocket_close::normal, std::string_view reason = {}) {
        websocket_encoder::require_close(code, reason);
        if (close_queued_) return false;
        queue_close(code, reason);
        return true;
    }

    /// The next control frame to send, which then counts as sent; nothing after our close frame.
    template <class = void>
    std::optional<websocket_reply> next_reply() {
        std::optional<websocket_reply> reply;
        if (pong_) {
            reply = websocket_reply{websocket_opcode::pong, std::move(*pong_), 0};
            pong_.reset();
        } else if (close_) {
            reply = std::move(close_);
            close_.reset();
            close_sent_ = true;
        }
        return reply;
    }

    /// True when next_reply() has something.
    bool has_reply() const noexcept { return pong_.has_value() || close_.has_value(); }

    /// True while messages and pings may be sent: no close frame of ours is sent or waiting.
    bool may_send() const noexcept { return !close_queued_; }

    /// True when both close frames went their way, or ours after an error: the server now ends the connection, the
    /// client waits for that (section 7.1.1).
    bool finished() const noexcept { return close_sent_ && (peer_close_code_.has_value() || failed_); }

    /// True when both sides said goodbye: the connection was closed cleanly (section 7.1.4).
    bool clean() const noexcept { return close_sent_ && peer_close_code_.has_value() && !failed_; }

    /// The code of the peer's close frame: 1005 when it had none, 1006 while no close frame has come (section 7.1.5).
    std::uint16_t peer_close_code() const noexcept { return peer_close_code_.value_or(websocket_close::abnormal); }

    /// The reason of the peer's close frame, UTF-8.
    const std::string& peer_close_reason() const noexcept { return peer_close_reason_; }

private:
    template <class = void>
    void queue_close(std::uint16_t code, std::string_view reason) {
        if (close_queued_) return;
        close_queued_ = true;
        close_ = websocket_reply{websocket_opcode::close, std::string(reason), code};
    }

    std::optional<std::string> pong_;
    std::optional<websocket_reply> close_;
    bool close_queued_ = false;
    bool close_sent_ = false;
    bool failed_ = false;
    std::optional<std::uint16_t> peer_close_code_;
    std::string peer_close_reason_;
};

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif
