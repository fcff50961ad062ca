/// @file
/// RFC 6455 frames to messages: a push parser that takes bytes in any chunking.
#ifndef BACKENDAI_CODEC_WEBSOCKET_DECODER_HPP
#define BACKENDAI_CODEC_WEBSOCKET_DECODER_HPP

#include <backendai/codec/utf8.hpp>
#include <backendai/codec/websocket_types.hpp>
#include <backendai/version.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// Decodes what the peer sends after the handshake. `role` is our own: a client's decoder wants unmasked frames, a
/// server's masked ones. Not thread-safe: one thread (the reader) uses it.
///
/// The sequence of events and the error, if any, do not depend on how the bytes are cut into calls (but for the sizes
/// of the pieces when fragments are streamed). UTF-8 is checked as it comes, so a bad text fails before its end.
class websocket_decoder {
public:
    explicit websocket_decoder(websocket_role role, websocket_limits limits = {}) : role_(role), limits_(limits) {}

    /// Takes bytes off the front of `input` until one event is complete and returns it; without an event all input is
    /// taken. Call again with the rest until it returns nothing. After a close frame everything is taken and ignored.
    /// An unmasked, unfragmented message that lies wholly in `input` is handed out as a view into it, uncopied.
    /// Throws websocket_error when the peer broke the protocol or a limit, and again on every later call.
    template <class = void>
    std::optional<websocket_event> next(std::string_view& input) {
        if (failed_) throw *failed_;
        payload_ = {};
        recycle();
        while (!closed_) {
            if (!in_payload_ && !read_header(input)) return std::nullopt;
            if (remaining_ != 0 && input.empty()) return std::nullopt;
            std::optional<websocket_event> event = is_control(opcode_) ? read_control(input) : read_data(input);
            if (event) {
                payload_ = event->payload;
                return event;
            }
        }
        input.remove_prefix(input.size());
        return std::nullopt;
    }

    /// Feeds one chunk and calls `sink(const websocket_event&)` for every event in it. Throws as next() does.
    template <typename Sink>
    void feed(std::string_view chunk, Sink&& sink) {
        while (const std::optional<websocket_event> event = next(chunk)) sink(*event);
    }

    /// The payload of the event that next() returned last, as a string of its own: moved out of the decoder where the
    /// message was assembled there, else copied. Once per event, before the next call and while the input lives.
    template <class = void>
    std::string take() {
        std::string taken;
        if (handed_out_ && payload_.data() == message_.data() && payload_.size() == message_.size()) {
            taken.swap(message_);
        } else {
            taken.assign(payload_);
        }
        payload_ = {};
        return taken;
    }

    /// True after a close frame: nothing more will come.
    bool closed() const noexcept { return closed_; }

    /// True inside a frame or between the fragments of a message: an end of the connection here cuts something off.
    bool in_message() const noexcept { return in_payload_ || header_size_ != 0 || fragmented_; }

private:
    [[noreturn]] void fail(std::uint16_t code, const char* what) {
        failed_.emplace(code, what);
        throw *failed_;
    }

    // The buffer of the message that the last event handed out is ours again, but for a fragment still being gathered.
    template <class = void>
    void recycle() {
        if (!handed_out_) return;
        handed_out_ = false;
        // One huge message must not hold its memory for the rest of a long connection.
        if (message_.capacity() > kept_capacity) std::string().swap(message_);
        message_.clear();
    }

    template <class = void>
    bool read_header(std::string_view& input) {
        for (;;) {
            const std::size_t wanted = header_size_ < 2 ? 2 : header_wanted();
            if (header_size_ < wanted) {
                const std::size_t n = (std::min)(wanted - header_size_, input.size());
                // An empty view may hold a null pointer, which memcpy must not get.
                if (n != 0) std::memcpy(header_ + header_size_, input.data(), n);
                header_size_ += n;
                input.remove_prefix(n);
                if (header_size_ < wanted) return false;
                if (wanted == 2) check_start();
                if (header_wanted() != wanted) continue;
            }
            start_frame();
            return true;
        }
    }

    template <class = void>
    std::size_t header_wanted() const noexcept {
        const unsigned length = header_[1] & 0x7FU;
        return 2 + (length == 127 ? 8U : length == 126 ? 2U : 0U) + ((header_[1] & 0x80U) != 0 ? 4U : 0U);
    }

    // Everything that the first two bytes of a frame can already get wrong.
    template <class = void>
    void check_start() {
        using websocket_close::protocol_error;
        if ((header_[0] & 0x70U) != 0) fail(protocol_error, "reserved bit set without an extension");
        const unsigned opcode = header_[0] & 0x0FU;
        const bool control = opcode >= 8;
        if ((opcode > 2 && !control) || opcode > 10) fail(protocol_error, "reserved opcode");
        const bool masked = (header_[1] & 0x80U) != 0;
        if (masked && role_ == websocket_role::client) fail(protocol_error, "masked frame from a server");
        if (!masked && role_ == websocket_role::server) fail(protocol_error, "unmasked frame from a client");
        if (control) {
            if ((header_[0] & 0x80U) == 0) fail(protocol_error, "fragmented control frame");
            if ((header_[1] & 0x7FU) > 125) fail(protocol_error, "control frame of more than 125 bytes");
            if (opcode == 8 && (header_[1] & 0x7FU) == 1) fail(protocol_error, "close frame with half a code");
        } else if (opcode == 0 && !fragmented_) {
            fail(protocol_error, "continuation of no message");
        } else if (opcode != 0 && fragmented_) {
            fail(protocol_error, "new message inside a fragmented one");
        }
    }

    template <class = void>
    std::uint64_t read_length() {
        const unsigned marker = header_[1] & 0x7FU;
        if (marker < 126) return marker;
        const std::size_t bytes = marker == 126 ? 2 : 8;
        std::uint64_t length = 0;
        for (std::size_t i = 0; i < bytes; ++i) length = (length << 8U) | header_[2 + i];
        if ((length >> 63U) != 0) fail(websocket_close::protocol_error, "length with its highest bit set");
        if (length < 126 || (bytes == 8 && length < 65536)) {
            fail(websocket_close::protocol_error, "length not in its shortest form");
        }
        return length;
    }

    template <class = void>
    void start_frame() {
        const std::uint64_t length = read_length();
        opcode_ = static_cast<websocket_opcode>(header_[0] & 0x0FU);
        last_frame_ = (header_[0] & 0x80U) != 0;
        masked_ = (header_[1] & 0x80U) != 0;
        if (masked_) std::memcpy(mask_.data(), header_ + header_size_ - 4, 4);
        if (!is_control(opcode_)) start_data(length);
        remaining_ = length;
        offset_ = 0;
        header_size_ = 0;
        in_payload_ = true;
    }

    // Refused by the announced length, before a byte of the payload was taken.
    template <class = void>
    void start_data(std::uint64_t length) {
        if (limits_.max_frame_size != 0 && length > limits_.max_frame_size) {
            fail(websocket_close::message_too_big, "frame over the size limit");
        }
        std::uint64_t most = limits_.max_message_size != 0 ? limits_.max_message_size : ~std::uint64_t{0};
        if (!limits_.stream_fragments) most = (std::min)(most, std::uint64_t{message_.max_size()});
        if (most < message_size_ || length > most - message_size_) {
            fail(websocket_close::message_too_big, "message over the size limit");
        }
        message_size_ += length;
        if (opcode_ != websocket_opcode::continuation) {
            message_opcode_ = opcode_;
            first_piece_ = true;
            utf8_.reset();
        }
        fragmented_ = !last_frame_;
    }

    template <class = void>
    std::string_view take_payload(std::string_view& input) {
        const std::size_t n = remaining_ < input.size() ? static_cast<std::size_t>(remaining_) : input.size();
        const std::string_view piece = input.substr(0, n);
        input.remove_prefix(n);
        remaining_ -= n;
        return piece;
    }

    // The piece as the peer meant it, behind what `buffer` already holds.
    template <class = void>
    std::string_view append_unmasked(std::string& buffer, std::string_view piece) {
        const std::size_t before = buffer.size();
        buffer.append(piece);
        if (masked_) websocket_mask(&buffer[before], &buffer[before], piece.size(), mask_, offset_);
        offset_ += piece.size();
        return std::string_view(buffer).substr(before);
    }

    template <class = void>
    void check_text(std::string_view piece, bool end_of_message) {
        if (message_opcode_ != websocket_opcode::text) return;
        if (!utf8_.feed(piece)) fail(websocket_close::invalid_payload, "text that is not UTF-8");
        if (end_of_message && !utf8_.complete()) {
            fail(websocket_close::invalid_payload, "text that ends inside a character");
        }
    }

    template <class = void>
    std::optional<websocket_event> read_data(std::string_view& input) {
        const bool whole_in_input = remaining_ <= input.size() && last_frame_ && !masked_ && message_.empty();
        if (limits_.stream_fragments) return read_piece(input);
        if (whole_in_input) {
            const std::string_view payload = take_payload(input);
            check_text(payload, true);
            return end_of_data_frame(payload);
        }
        if (offset_ == 0) {
            // A length is only a promise: reserve a megabyte of it at most, then grow with what really comes.
            const std::uint64_t ahead = (std::min)(remaining_, std::uint64_t{1U << 20U});
            if (message_.empty()) message_.reserve(static_cast<std::size_t>(ahead));
        }
        while (remaining_ != 0 && !input.empty()) {
            // Blocks that stay in the first-level cache: copied, unmasked and checked while they are there.
            std::string_view block = input.substr(0, block_size);
            const std::size_t offered = block.size();
            const std::string_view piece = append_unmasked(message_, take_payload(block));
            input.remove_prefix(offered - block.size());
            check_text(piece, remaining_ == 0 && last_frame_);
        }
        if (remaining_ != 0) return std::nullopt;
        if (last_frame_) {
            check_text({}, true); // an empty last fragment ends the text too
            handed_out_ = true;
        }
        return end_of_data_frame(message_);
    }

    template <class = void>
    std::optional<websocket_event> end_of_data_frame(std::string_view message) {
        in_payload_ = false;
        if (!last_frame_) return std::nullopt;
        message_size_ = 0;
        websocket_event event;
        event.opcode = message_opcode_;
        event.payload = message;
        return event;
    }

    // Streaming: hands out what is there of this frame, a view into the input where it is unmasked.
    template <class = void>
    std::optional<websocket_event> read_piece(std::string_view& input) {
        std::string_view rest = masked_ ? input.substr(0, stream_piece_size) : input;
        const std::size_t offered = rest.size();
        std::string_view piece = take_payload(rest);
        input.remove_prefix(offered - rest.size());
        const bool last = remaining_ == 0 && last_frame_;
        if (masked_) {
            piece = append_unmasked(message_, piece);
            handed_out_ = true;
        }
        check_text(piece, last);
        if (remaining_ == 0) in_payload_ = false;
        if (last) message_size_ = 0;
        if (piece.empty() && !last) return std::nullopt;
        websocket_event event;
        event.opcode = message_opcode_;
        event.payload = piece;
        event.first = std::exchange(first_piece_, false);
        event.last = last;
        return event;
    }

    template <class = void>
    std::optional<websocket_event> read_control(std::string_view& input) {
        if (offset_ == 0) control_.clear();
        append_unmasked(control_, take_payload(input));
        if (remaining_ != 0) return std::nullopt;
        in_payload_ = false;
        websocket_event event;
        event.opcode = opcode_;
        event.payload = control_;
        if (opcode_ != websocket_opcode::close) return event;
        if (control_.empty()) {
            event.code = websocket_close::no_status;
        } else {
            event.code = static_cast<std::uint16_t>((static_cast<unsigned char>(control_[0]) << 8U) |
                                                    static_cast<unsigned char>(control_[1]));
            event.payload.remove_prefix(2);
            if (!is_valid_close_code(event.code)) fail(websocket_close::protocol_error, "invalid close code");
            if (!is_utf8(event.payload)) fail(websocket_close::invalid_payload, "close reason that is not UTF-8");
        }
        closed_ = true;
        return event;
    }

    static constexpr std::size_t block_size = 16U << 10U;
    static constexpr std::size_t stream_piece_size = 64U << 10U;
    static constexpr std::size_t kept_capacity = 4U << 20U;

    websocket_role role_;
    websocket_limits limits_;
    std::optional<websocket_error> failed_;
    unsigned char header_[14] = {};
    std::size_t header_size_ = 0;
    bool in_payload_ = false; // the header is read, the payload (which may be empty) is not yet done
    bool last_frame_ = false;
    bool masked_ = false;
    websocket_opcode opcode_ = websocket_opcode::text;
    websocket_mask_key mask_ = {};
    std::uint64_t remaining_ = 0;    // bytes of this frame's payload still to come
    std::uint64_t offset_ = 0;       // bytes of this frame's payload already unmasked into a buffer
    bool fragmented_ = false;        // between the first and the last frame of a message
    std::uint64_t message_size_ = 0; // announced so far, all fragments together
    websocket_opcode message_opcode_ = websocket_opcode::text;
    bool first_piece_ = true;
    utf8_validator utf8_;
    std::string message_;
    std::string control_;
    std::string_view payload_;
    bool handed_out_ = false; // the last event's payload lies in message_
    bool closed_ = false;
};

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif
