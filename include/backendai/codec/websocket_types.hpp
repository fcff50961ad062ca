/// @file
/// The words of RFC 6455 that encoder, decoder and handshake share: roles, opcodes, close codes, events, the error.
#ifndef BACKENDAI_CODEC_WEBSOCKET_TYPES_HPP
#define BACKENDAI_CODEC_WEBSOCKET_TYPES_HPP

#include <backendai/codec/decode_error.hpp>
#include <backendai/version.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// Which side of the connection we are. A client masks every frame it sends, a server none (RFC 6455 section 5.1).
enum class websocket_role { client, server };

/// RFC 6455 section 5.2. The values are those of the wire.
enum class websocket_opcode : std::uint8_t { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

/// Close codes of RFC 6455 section 7.4.1 and of the IANA registry that followed it.
namespace websocket_close {
inline constexpr std::uint16_t normal = 1000;
inline constexpr std::uint16_t going_away = 1001;
inline constexpr std::uint16_t protocol_error = 1002;
inline constexpr std::uint16_t unsupported_data = 1003;
inline constexpr std::uint16_t no_status = 1005; ///< never on the wire: a close frame without a code
inline constexpr std::uint16_t abnormal = 1006;  ///< never on the wire: the connection ended without a close frame
inline constexpr std::uint16_t invalid_payload = 1007;
inline constexpr std::uint16_t policy_violation = 1008;
inline constexpr std::uint16_t message_too_big = 1009;
inline constexpr std::uint16_t extension_required = 1010;
inline constexpr std::uint16_t internal_error = 1011;
inline constexpr std::uint16_t service_restart = 1012;
inline constexpr std::uint16_t try_again_later = 1013;
inline constexpr std::uint16_t bad_gateway = 1014; ///< Backend.AI: the service port refused the connection
} // namespace websocket_close

/// True when a close frame may carry this code: registered ones, and the ranges for libraries and applications.
constexpr bool is_valid_close_code(unsigned code) noexcept {
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

/// True for close, ping and pong: at most 125 bytes, never fragmented, allowed between the fragments of a message.
constexpr bool is_control(websocket_opcode opcode) noexcept {
    return static_cast<unsigned>(opcode) >= 8;
}

/// The peer broke RFC 6455 (or one of our limits). close_code() is what to send in the close frame; what() says why.
class websocket_error : public decode_error {
public:
    websocket_error(std::uint16_t close_code, const std::string& what)
        : decode_error("websocket: " + what), close_code_(close_code) {}

    /// 1002 protocol error, 1007 invalid UTF-8, 1009 too big.
    std::uint16_t close_code() const noexcept { return close_code_; }

private:
    std::uint16_t close_code_;
};

/// What a decoder found. Views stay valid until the decoder's next call and as long as the input they came from.
struct websocket_event {
    websocket_opcode opcode = websocket_opcode::text; ///< text, binary, ping, pong or close; never continuation
    std::string_view payload;                         ///< the message or its piece; of a close frame the reason
    std::uint16_t code = 0;                           ///< of a close frame: its code, 1005 when it had none
    bool first = true;                                ///< false for later pieces of a streamed message
    bool last = true;                                 ///< false while more pieces of a streamed message follow
};

/// What a decoder accepts and how it hands messages out.
struct websocket_limits {
    std::uint64_t max_frame_size = 0;            ///< bytes of payload in one frame; 0: only the message limit
    std::uint64_t max_message_size = 64U << 20U; ///< bytes of a whole message, fragments together; 0: no limit
    bool stream_fragments = false;               ///< hand out pieces as they arrive instead of whole messages
};

/// The four bytes of a client's mask, in the order of the wire.
using websocket_mask_key = std::array<unsigned char, 4>;

/// XORs `size` bytes at `source` with the mask into `target` (the same address, or not overlapping). `offset` is the
/// position of the first byte in the frame's payload: a payload may be masked in pieces. Masking twice restores.
template <class = void>
void websocket_mask(char* target, const char* source, std::size_t size, const websocket_mask_key& key,
                    std::uint64_t offset = 0) noexcept {
    unsigned char turned[8];
    for (std::size_t i = 0; i < 8; ++i) turned[i] = key[static_cast<std::size_t>((offset + i) & 3U)];
    std::uint64_t wide;
    std::memcpy(&wide, turned, 8); // bytes in, bytes out: right on either endianness
    std::size_t i = 0;
    for (; size - i >= 32; i += 32) {
        std::uint64_t block[4];
        std::memcpy(block, source + i, 32);
        block[0] ^= wide;
        block[1] ^= wide;
        block[2] ^= wide;
        block[3] ^= wide;
        std::memcpy(target + i, block, 32);
    }
    for (; size - i >= 8; i += 8) {
        std::uint64_t block;
        std::memcpy(&block, source + i, 8);
        block ^= wide;
        std::memcpy(target + i, &block, 8);
    }
    for (std::size_t rest = 0; i < size; ++i, ++rest) {
        target[i] = static_cast<char>(static_cast<unsigned char>(source[i]) ^ turned[rest]);
    }
}

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif
