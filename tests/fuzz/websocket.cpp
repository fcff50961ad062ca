// Fuzzes the websocket decoder and control state: however the bytes are cut, the same events and the same error come
// out, and every answer can be encoded and decoded again by the other side.
#include <backendai/codec/websocket.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace codec = backendai::codec;

namespace {

void require(bool condition, const char* what) {
    if (condition) return;
    std::fprintf(stderr, "property violated: %s\n", what);
    std::abort();
}

// A run's whole outcome as text. Streamed pieces of a message join up, as their borders depend on the chunking; of a
// message that an error cuts off they are left out.
std::string outcome(codec::websocket_role role, const codec::websocket_limits& limits, std::string_view bytes,
                    std::optional<std::uint32_t> chunking) {
    codec::websocket_codec decoder(role, limits, [] { return codec::websocket_mask_key{{1, 2, 3, 4}}; });
    std::string log;
    std::string message;
    std::string answers;
    try {
        while (!bytes.empty()) {
            std::size_t size = bytes.size();
            if (chunking) {
                *chunking = *chunking * 1664525U + 1013904223U;
                size = 1 + (*chunking >> 24U) % 23U;
            }
            std::string_view input = bytes.substr(0, size);
            bytes.remove_prefix(input.size());
            while (const std::optional<codec::websocket_event> event = decoder.next(input)) {
                require(!codec::is_control(event->opcode) || (event->first && event->last), "control frame is whole");
                require(event->opcode != codec::websocket_opcode::continuation, "no continuation event");
                if (!codec::is_control(event->opcode)) {
                    require((event->first && event->last) || limits.stream_fragments, "whole message");
                    if (event->first) require(message.empty(), "a first piece begins a message");
                    message += event->payload;
                    if (!event->last) continue;
                    if (event->opcode == codec::websocket_opcode::text) require(codec::is_utf8(message), "UTF-8");
                    require(limits.max_message_size == 0 || message.size() <= limits.max_message_size, "limit");
                } else {
                    decoder.write_pending(answers);
                }
                const std::string payload =
                    codec::is_control(event->opcode) ? decoder.take() : std::exchange(message, {});
                log += std::to_string(static_cast<int>(event->opcode)) + " " + std::to_string(event->code) + " " +
                       std::to_string(payload.size()) + ":" + payload + "\n";
            }
        }
    } catch (const codec::websocket_error& error) {
        log += "error " + std::to_string(error.close_code()) + " " + error.what() + "\n";
    }
    decoder.write_pending(answers);
    // The other side must understand whatever we answered.
    codec::websocket_decoder other(role == codec::websocket_role::client ? codec::websocket_role::server
                                                                         : codec::websocket_role::client);
    other.feed(answers, [&](const codec::websocket_event& event) {
        require(event.opcode == codec::websocket_opcode::pong || event.opcode == codec::websocket_opcode::close,
                "answers are pongs and one close");
        log += "answer " + std::to_string(event.code) + " " + std::string(event.payload) + "\n";
    });
    require(!other.in_message(), "answers are whole");
    require(other.closed() == !decoder.control().may_send(), "close sent");
    return log;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 5) return 0;
    const unsigned options = data[0];
    std::uint32_t chunking = 0;
    for (int i = 1; i < 5; ++i) chunking = (chunking << 8U) | data[i];
    const auto role = (options & 1U) != 0 ? codec::websocket_role::server : codec::websocket_role::client;
    codec::websocket_limits limits;
    limits.stream_fragments = (options & 2U) != 0;
    limits.max_message_size = (options & 4U) != 0 ? 100 : 1U << 20U;
    limits.max_frame_size = (options & 8U) != 0 ? 40 : 0;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 5, size - 5);

    const std::string whole = outcome(role, limits, bytes, std::nullopt);
    const std::string cut = outcome(role, limits, bytes, chunking);
    require(whole == cut, "chunking changes nothing");
    return 0;
}
