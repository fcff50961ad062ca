/// @file
/// WebSockets (RFC 6455) without I/O, both roles: the front of the handshake, the decoder, the encoder and the control
/// state, and one object that ties the last three together for a connection.
#ifndef BACKENDAI_CODEC_WEBSOCKET_HPP
#define BACKENDAI_CODEC_WEBSOCKET_HPP

#include <backendai/codec/websocket_control.hpp>
#include <backendai/codec/websocket_decoder.hpp>
#include <backendai/codec/websocket_encoder.hpp>
#include <backendai/codec/websocket_handshake.hpp>
#include <backendai/codec/websocket_types.hpp>
#include <backendai/version.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// An open websocket without its socket: bytes that came go in by next(), bytes to send come out of the writing
/// functions, which append to the caller's buffer.
///
/// Threads: a connection with one reader and one writer calls decode() in the reader without a lock (it touches the
/// decoder only) and everything else, note() and the writing functions, under its one lock. next() is both at once,
/// for a single thread.
class websocket_codec {
public:
    /// `masks` gives a fresh, unpredictable mask per frame; required for a client, unused for a server.
    /// Throws std::invalid_argument for a client without.
    template <class = void>
    explicit websocket_codec(websocket_role role, websocket_limits limits = {},
                             websocket_encoder::mask_source masks = {})
        : decoder_(role, limits), encoder_(role, std::move(masks)) {}

    /// The next event at the front of `input`, whose answer (pong, close) is then pending; see websocket_decoder::next
    /// for the lifetime of its payload. Nothing when all of `input` is taken. Throws websocket_error when the peer
    /// broke the protocol; the close frame that says so is then pending.
    template <class = void>
    std::optional<websocket_event> next(std::string_view& input) {
        try {
            std::optional<websocket_event> event = decode(input);
            if (event) note(*event);
            return event;
        } catch (const websocket_error& error) {
            note(error);
            throw;
        }
    }

    /// next() without noting the answer: the reader's half, see the class.
    template <class = void>
    std::optional<websocket_event> decode(std::string_view& input) {
        return decoder_.next(input);
    }

    /// The last event's payload as a string of its own, moved where possible; see websocket_decoder::take.
    template <class = void>
    std::string take() {
        return decoder_.take();
    }

    /// Queues what the event or the error demands: a pong, the echo of a close, the close that reports an error.
    template <class = void>
    void note(const websocket_event& event) {
        control_.received(event);
    }
    template <class = void>
    void note(const websocket_error& error) {
        control_.failed(error);
    }

    /// Appends the pending control frames (a pong, a close) to `out`. Returns false when there was none.
    template <class = void>
    bool write_pending(std::string& out) {
        bool any = false;
        while (const std::optional<websocket_reply> reply = control_.next_reply()) {
            any = true;
            if (reply->opcode == websocket_opcode::pong) {
                encoder_.pong(out, reply->payload);
            } else {
                encoder_.close(out, reply->code, reply->payload);
            }
        }
        return any;
    }

    /// Appends a message; see websocket_encoder::message. Throws std::logic_error after a close was begun.
    template <class = void>
    void write_message(std::string& out, websocket_opcode opcode, std::string_view payload,
                       std::size_t fragment_size = 0) {
        require_open();
        encoder_.message(out, opcode, payload, fragment_size);
    }

    /// Appends a piece of a message; see websocket_encoder::fragment. Throws std::logic_error after a close was begun.
    template <class = void>
    void write_fragment(std::string& out, websocket_opcode opcode, std::string_view piece, bool last) {
        require_open();
        encoder_.fragment(out, opcode, piece, last);
    }

    /// Appends a ping (125 bytes at most, else std::invalid_argument). Throws std::logic_error after a close was begun.
    template <class = void>
    void write_ping(std::string& out, std::string_view payload) {
        require_open();
        encoder_.ping(out, payload);
    }

    /// Begins the closing handshake: appends what is pending and the close frame. Returns false, and appends nothing
    /// new, when a close was begun before. Throws std::invalid_argument for a code or reason that may not be sent.
    template <class = void>
    bool write_close(std::string& out, std::uint16_t code = websocket_close::normal, std::string_view reason = {}) {
        const bool begun = control_.close(code, reason);
        write_pending(out);
        return begun;
    }

    /// True when write_pending() would append something.
    bool has_pending() const noexcept { return control_.has_reply(); }

    /// Where the closing handshake stands.
    const websocket_control& control() const noexcept { return control_; }

    /// The reading half: whether it stands inside a message.
    const websocket_decoder& decoder() const noexcept { return decoder_; }

private:
    template <class = void>
    void require_open() const {
        if (!control_.may_send()) throw std::logic_error("websocket: nothing may be sent after a close frame");
    }

    websocket_decoder decoder_;
    websocket_encoder encoder_;
    websocket_control control_;
};

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif
