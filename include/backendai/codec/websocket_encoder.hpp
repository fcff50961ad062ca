/// @file
/// Messages to RFC 6455 frames.
#ifndef BACKENDAI_CODEC_WEBSOCKET_ENCODER_HPP
#define BACKENDAI_CODEC_WEBSOCKET_ENCODER_HPP

#include <backendai/codec/utf8.hpp>
#include <backendai/codec/websocket_types.hpp>
#include <backendai/version.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// Room for the longest frame header: two bytes, a 64-bit length, a mask.
inline constexpr std::size_t websocket_max_header_size = 14;

/// Writes a frame's header to `target` (room for websocket_max_header_size bytes) and returns its size in bytes.
/// `mask` is the key of a client's frame, null for a server's. For callers that send the payload from where it lies.
template <class = void>
std::size_t websocket_write_header(unsigned char* target, websocket_opcode opcode, bool last,
                                   std::uint64_t payload_size, const websocket_mask_key* mask) noexcept {
    target[0] = static_cast<unsigned char>((last ? 0x80U : 0U) | static_cast<unsigned>(opcode));
    const unsigned mask_bit = mask != nullptr ? 0x80U : 0U;
    std::size_t size = 2;
    std::size_t length_bytes = 0;
    if (payload_size < 126) {
        target[1] = static_cast<unsigned char>(mask_bit | static_cast<unsigned>(payload_size));
    } else {
        length_bytes = payload_size < 65536 ? 2 : 8;
        target[1] = static_cast<unsigned char>(mask_bit | (length_bytes == 2 ? 126U : 127U));
    }
    for (std::size_t i = length_bytes; i != 0; --i) {
        target[size++] = static_cast<unsigned char>((payload_size >> (8 * (i - 1))) & 0xFFU);
    }
    if (mask != nullptr) {
        for (const unsigned char byte : *mask) target[size++] = byte;
    }
    return size;
}

/// Appends one frame to `out`, its payload masked with `mask` unless that is null. Checks nothing: the caller keeps to
/// the protocol (or, in a test, breaks it on purpose).
template <class = void>
void websocket_append_frame(std::string& out, websocket_opcode opcode, bool last, std::string_view payload,
                            const websocket_mask_key* mask) {
    unsigned char header[websocket_max_header_size];
    const std::size_t header_size = websocket_write_header(header, opcode, last, payload.size(), mask);
    const std::size_t needed = out.size() + header_size + payload.size();
    if (needed > out.capacity()) out.reserve((std::max)(needed, 2 * out.capacity()));
    out.append(reinterpret_cast<const char*>(header), header_size);
    if (mask == nullptr) {
        out.append(payload);
        return;
    }
    // In blocks that stay in the cache, so that memory is written once.
    constexpr std::size_t block = 16U << 10U;
    for (std::size_t done = 0; done < payload.size();) {
        const std::string_view piece = payload.substr(done, block);
        const std::size_t at = out.size();
        out.append(piece);
        websocket_mask(&out[at], &out[at], piece.size(), *mask, done);
        done += piece.size();
    }
}

/// Frames what we send and keeps it legal: control frames, text that is UTF-8, fragments in order. Frames are appended
/// to the caller's buffer. Not thread-safe: callers that send from several threads hold a lock.
class websocket_encoder {
public:
    /// Gives a fresh mask for every frame of a client: unpredictable, from a cryptographic source (RFC 6455 section
    /// 10.3), since a page must not choose the bytes that a proxy sees.
    using mask_source = std::function<websocket_mask_key()>;

    /// `masks` is required for a client and unused for a server. Throws std::invalid_argument for a client without.
    template <class = void>
    explicit websocket_encoder(websocket_role role, mask_source masks = {}) : role_(role), masks_(std::move(masks)) {
        if (role == websocket_role::client && !masks_) {
            throw std::invalid_argument("websocket: a client needs a source of masks");
        }
    }

    /// Appends a whole message (text or binary), in one frame or, with `fragment_size` bytes other than 0, in as many
    /// as that takes. Throws std::invalid_argument for text that is not UTF-8, std::logic_error inside a message that
    /// fragment() has begun.
    template <class = void>
    void message(std::string& out, websocket_opcode opcode, std::string_view payload, std::size_t fragment_size = 0) {
        require_data(opcode);
        if (in_message_) throw std::logic_error("websocket: a fragmented message is not finished");
        if (opcode == websocket_opcode::text && !is_utf8(payload)) {
            throw std::invalid_argument("websocket: text that is not UTF-8");
        }
        if (fragment_size == 0) fragment_size = (std::max)(payload.size(), std::size_t{1});
        bool first = true;
        do {
            const std::string_view piece = payload.substr(0, fragment_size);
            payload.remove_prefix(piece.size());
            frame(out, first ? opcode : websocket_opcode::continuation, payload.empty(), piece);
            first = false;
        } while (!payload.empty());
    }

    /// Appends the next piece of a message whose end is not known yet; the first piece sets the type, the later ones
    /// must repeat it. Control frames may go between. Throws std::invalid_argument for text that is not UTF-8
    /// (characters may be cut by pieces), std::logic_error when the type changes inside a message.
    template <class = void>
    void fragment(std::string& out, websocket_opcode opcode, std::string_view piece, bool last) {
        require_data(opcode);
        if (in_message_ && opcode != message_opcode_) {
            throw std::logic_error("websocket: another type inside a fragmented message");
        }
        if (!in_message_) utf8_.reset();
        if (opcode == websocket_opcode::text && (!utf8_.feed(piece) || (last && !utf8_.complete()))) {
            throw std::invalid_argument("websocket: text that is not UTF-8");
        }
        frame(out, in_message_ ? websocket_opcode::continuation : opcode, last, piece);
        message_opcode_ = opcode;
        in_message_ = !last;
    }

    /// Appends a ping. `payload` of 125 bytes at most, else std::invalid_argument.
    template <class = void>
    void ping(std::string& out, std::string_view payload) {
        control(out, websocket_opcode::ping, payload);
    }

    /// Appends a pong. `payload` of 125 bytes at most, else std::invalid_argument.
    template <class = void>
    void pong(std::string& out, std::string_view payload) {
        control(out, websocket_opcode::pong, payload);
    }

    /// Appends a close frame; `code` 1005 makes an empty one. Throws std::invalid_argument for a code that may not
    /// be sent, and for a reason that is not UTF-8, longer than 123 bytes or without a code.
    template <class = void>
    void close(std::string& out, std::uint16_t code, std::string_view reason) {
        require_close(code, reason);
        std::string payload;
        if (code != websocket_close::no_status) {
            payload.push_back(static_cast<char>(static_cast<unsigned char>(code >> 8U)));
            payload.push_back(static_cast<char>(static_cast<unsigned char>(code & 0xFFU)));
            payload.append(reason);
        }
        control(out, websocket_opcode::close, payload);
    }

    /// Throws std::invalid_argument unless close() would take these.
    template <class = void>
    static void require_close(std::uint16_t code, std::string_view reason) {
        if (code != websocket_close::no_status && !is_valid_close_code(code)) {
            throw std::invalid_argument("websocket: close code " + std::to_string(code) + " may not be sent");
        }
        if (code == websocket_close::no_status && !reason.empty()) {
            throw std::invalid_argument("websocket: close reason without a code");
        }
        if (reason.size() > 123) throw std::invalid_argument("websocket: close reason of more than 123 bytes");
        if (!is_utf8(reason)) throw std::invalid_argument("websocket: close reason that is not UTF-8");
    }

    /// True between the first and the last piece of a message sent by fragment().
    bool in_message() const noexcept { return in_message_; }

private:
    template <class = void>
    static void require_data(websocket_opcode opcode) {
        if (opcode != websocket_opcode::text && opcode != websocket_opcode::binary) {
            throw std::invalid_argument("websocket: a message is text or binary");
        }
    }

    template <class = void>
    void control(std::string& out, websocket_opcode opcode, std::string_view payload) {
        if (payload.size() > 125) throw std::invalid_argument("websocket: control frame of more than 125 bytes");
        frame(out, opcode, true, payload);
    }

    template <class = void>
    void frame(std::string& out, websocket_opcode opcode, bool last, std::string_view payload) {
        if (role_ == websocket_role::server) {
            websocket_append_frame(out, opcode, last, payload, nullptr);
        } else {
            const websocket_mask_key mask = masks_();
            websocket_append_frame(out, opcode, last, payload, &mask);
        }
    }

    websocket_role role_;
    mask_source masks_;
    bool in_message_ = false;
    websocket_opcode message_opcode_ = websocket_opcode::text;
    utf8_validator utf8_;
};

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif
