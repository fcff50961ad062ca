// Fuzzes the response parser, the client's handshake and the server's answer: however the bytes are cut, the outcome is
// the same, and what our server accepts our client accepts too.
#include <backendai/codec/websocket_handshake.hpp>

#include <array>
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

const std::array<unsigned char, 16>& sample_nonce() {
    static const std::array<unsigned char, 16> nonce = {
        {'t', 'h', 'e', ' ', 's', 'a', 'm', 'p', 'l', 'e', ' ', 'n', 'o', 'n', 'c', 'e'}};
    return nonce;
}

std::string text_of(const codec::http_response& response) {
    std::string text = std::to_string(response.status) + " " + response.reason + "\n";
    for (const auto& field : response.headers) {
        require(codec::is_token(field.first) && codec::is_field_value(field.second), "headers are clean");
        text += field.first + ": " + field.second + "\n";
    }
    return text + response.body + (response.body_cut ? "cut" : "");
}

std::string outcome(std::string_view bytes, std::optional<std::uint32_t> chunking) {
    codec::http_response_limits limits;
    limits.max_head_size = 400;
    limits.max_header_count = 8;
    limits.max_body_size = 50;
    codec::websocket_client_handshake handshake(sample_nonce(), {"chat", "superchat"}, limits);
    std::string left_over;
    try {
        bool done = false;
        while (!bytes.empty()) {
            std::size_t size = bytes.size();
            if (chunking) {
                *chunking = *chunking * 1664525U + 1013904223U;
                size = 1 + (*chunking >> 24U) % 23U;
            }
            std::string_view input = bytes.substr(0, size);
            bytes.remove_prefix(input.size());
            done = handshake.feed(input);
            require(done || input.empty(), "input is taken or left for the next layer");
            left_over += input;
        }
        if (!done) handshake.finish();
    } catch (const codec::decode_error& error) {
        return error.what();
    }
    require(handshake.response().body.size() <= limits.max_body_size, "body within its limit");
    return text_of(handshake.response()) + (handshake.accepted() ? " accepted " : " refused ") + handshake.protocol() +
           " left " + left_over;
}

// Header lines of the input as a request to our server.
void answer_request(std::string_view bytes) {
    codec::http_response_parser lines;
    const std::string head = "HTTP/1.1 101 x\r\n";
    std::string_view first = head;
    lines.feed(first);
    try {
        if (!lines.feed(bytes)) return;
    } catch (const codec::decode_error&) {
        return; // not headers at all
    }
    codec::http_fields request = lines.response().headers;
    const codec::websocket_server_answer answer = codec::websocket_answer("GET", request, {"chat", "superchat"});
    require(answer.accepted() == (codec::count_fields(answer.headers, "Sec-WebSocket-Accept") == 1),
            "accept key with 101");
    for (const auto& field : answer.headers) require(codec::is_field_value(field.second), "clean answer");

    // With what our client sends in place of the fuzzed handshake headers, the answer must please our client.
    codec::websocket_client_handshake client(sample_nonce(), {"superchat"});
    codec::http_fields ours = client.headers();
    ours.emplace_back("Host", "localhost");
    const std::string reply = codec::websocket_answer("GET", ours, {"chat", "superchat"}).head();
    std::string_view input = reply;
    require(client.feed(input) && client.accepted() && client.protocol() == "superchat", "our two sides agree");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 4) return 0;
    std::uint32_t chunking = 0;
    for (int i = 0; i < 4; ++i) chunking = (chunking << 8U) | data[i];
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 4, size - 4);
    require(outcome(bytes, std::nullopt) == outcome(bytes, chunking), "chunking changes nothing");
    answer_request(bytes);
    return 0;
}
