// Random messages through encoder and decoder: whatever the fragmentation and the chunking, what comes out is what went
// in.
#include <backendai/codec/websocket.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace codec = backendai::codec;
using codec::websocket_opcode;
using codec::websocket_role;

namespace {

using message = std::pair<websocket_opcode, std::string>;

websocket_role other(websocket_role role) {
    return role == websocket_role::client ? websocket_role::server : websocket_role::client;
}

class generator {
public:
    explicit generator(std::uint32_t seed) : random_(seed) {}

    std::size_t below(std::size_t bound) { return static_cast<std::size_t>(random_()) % bound; }

    codec::websocket_mask_key mask() {
        codec::websocket_mask_key key;
        for (unsigned char& byte : key) byte = static_cast<unsigned char>(below(256));
        return key;
    }

    std::string binary(std::size_t size) {
        std::string data(size, '\0');
        for (char& c : data) c = static_cast<char>(static_cast<unsigned char>(below(256)));
        return data;
    }

    std::string text(std::size_t characters) {
        static const char* const alphabet[] = {"a",
                                               "Z",
                                               " ",
                                               "\xc2\x80",
                                               "\xc3\xa9",
                                               "\xe2\x82\xac",
                                               "\xed\x9f\xbf",
                                               "\xef\xbf\xbf",
                                               "\xf0\x90\x80\x80",
                                               "\xf4\x8f\xbf\xbf",
                                               "plain words "};
        std::string data;
        for (std::size_t i = 0; i < characters; ++i) data += alphabet[below(11)];
        return data;
    }

    std::size_t size() {
        static const std::size_t edges[] = {0, 1, 2, 3, 7, 8, 9, 124, 125, 126, 127, 128, 1000, 65535, 65536, 65537};
        return below(20) == 0 ? edges[13 + below(3)] : edges[below(13)];
    }

private:
    std::mt19937 random_;
};

std::vector<message> decode(websocket_role role, std::string_view stream, generator& random, std::size_t largest_chunk,
                            bool streaming) {
    codec::websocket_limits limits;
    limits.stream_fragments = streaming;
    codec::websocket_decoder decoder(role, limits);
    std::vector<message> found;
    std::string gathered;
    while (!stream.empty()) {
        // A chunk in memory of its own: a view that outlives its input would show under a sanitizer.
        const std::string chunk(stream.substr(0, 1 + random.below(largest_chunk)));
        stream.remove_prefix(chunk.size());
        std::string_view input = chunk;
        while (const auto event = decoder.next(input)) {
            const bool control = codec::is_control(event->opcode);
            const bool last = event->last;
            const websocket_opcode opcode = event->opcode;
            std::string payload = decoder.take();
            if (!control) {
                gathered += payload;
                if (!last) continue;
                payload = std::exchange(gathered, {});
            }
            found.emplace_back(opcode, std::move(payload));
        }
    }
    CHECK_FALSE(decoder.in_message());
    return found;
}

} // namespace

TEST_CASE("random messages survive random fragmentation and chunking, in both roles, whole and streamed") {
    for (std::uint32_t seed = 1; seed <= 300; ++seed) {
        generator random(seed);
        const websocket_role sender = seed % 2 == 0 ? websocket_role::client : websocket_role::server;
        codec::websocket_encoder encoder(sender, [&] { return random.mask(); });
        std::string stream;
        std::vector<message> sent;
        for (std::size_t n = 1 + random.below(6); n != 0; --n) {
            const bool is_text = random.below(2) == 0;
            const websocket_opcode opcode = is_text ? websocket_opcode::text : websocket_opcode::binary;
            const std::string payload = is_text ? random.text(random.size() / 3) : random.binary(random.size());
            if (random.below(2) == 0) {
                encoder.message(stream, opcode, payload, random.below(3) * random.below(payload.size() + 1));
            } else {
                std::string_view rest = payload;
                do {
                    const std::string_view piece = rest.substr(0, random.below(payload.size() + 2));
                    rest.remove_prefix(piece.size());
                    encoder.fragment(stream, opcode, piece, rest.empty());
                    if (!rest.empty() && random.below(4) == 0) {
                        sent.emplace_back(websocket_opcode::ping, random.binary(random.below(126)));
                        encoder.ping(stream, sent.back().second);
                    }
                } while (!rest.empty());
            }
            sent.emplace_back(opcode, payload);
        }
        const std::size_t chunks[] = {1, 5, 100, 5000, 1U << 20U};
        for (const std::size_t largest : chunks) {
            if (largest < 100 && stream.size() > 20000) continue;
            for (const bool streaming : {false, true}) {
                if (decode(other(sender), stream, random, largest, streaming) != sent) {
                    FAIL("seed " << seed << ", chunks up to " << largest << ", streaming " << streaming);
                }
            }
        }
    }
}

TEST_CASE("every pair of cuts through a short conversation gives the same events") {
    for (const websocket_role sender : {websocket_role::client, websocket_role::server}) {
        codec::websocket_encoder encoder(sender, [] { return codec::websocket_mask_key{{0x37, 0xfa, 0x21, 0x3d}}; });
        std::string stream;
        encoder.fragment(stream, websocket_opcode::text, "\xe2\x82", false);
        encoder.ping(stream, "ping");
        encoder.fragment(stream, websocket_opcode::text, "\xac!", true);
        encoder.message(stream, websocket_opcode::binary, std::string(130, '\xfe'));
        encoder.message(stream, websocket_opcode::text, "");
        encoder.close(stream, 4000, "bye");
        const std::vector<message> expected = {{websocket_opcode::ping, "ping"},
                                               {websocket_opcode::text, "\xe2\x82\xac!"},
                                               {websocket_opcode::binary, std::string(130, '\xfe')},
                                               {websocket_opcode::text, ""},
                                               {websocket_opcode::close, "bye"}};
        for (std::size_t first = 0; first <= stream.size(); ++first) {
            for (std::size_t second = first; second <= stream.size(); ++second) {
                codec::websocket_decoder decoder(other(sender));
                std::vector<message> found;
                const auto sink = [&](const codec::websocket_event& event) {
                    found.emplace_back(event.opcode, std::string(event.payload));
                };
                const std::string_view all = stream;
                decoder.feed(all.substr(0, first), sink);
                decoder.feed(all.substr(first, second - first), sink);
                decoder.feed(all.substr(second), sink);
                if (found != expected) FAIL("cuts at " << first << " and " << second);
            }
        }
    }
}

TEST_CASE("random bytes give the same events and the same error in every chunking") {
    for (std::uint32_t seed = 1; seed <= 2000; ++seed) {
        generator random(seed);
        std::string stream;
        // Frames with random faults in their headers get deeper than plain noise.
        for (int i = 0; i < 6; ++i) {
            codec::websocket_append_frame(
                stream, static_cast<websocket_opcode>(random.below(11)), random.below(4) != 0,
                random.below(2) == 0 ? random.text(random.below(20)) : random.binary(random.below(140)), nullptr);
        }
        if (random.below(3) == 0) stream[random.below(stream.size())] ^= static_cast<char>(1U << random.below(7));
        const auto outcome = [&](std::size_t largest) {
            codec::websocket_decoder decoder(websocket_role::client);
            std::string log;
            std::string_view rest = stream;
            try {
                while (!rest.empty()) {
                    const std::string_view chunk = rest.substr(0, 1 + random.below(largest));
                    rest.remove_prefix(chunk.size());
                    decoder.feed(chunk, [&](const codec::websocket_event& event) {
                        log += std::to_string(static_cast<int>(event.opcode)) + std::string(event.payload) + "|";
                    });
                }
            } catch (const codec::websocket_error& error) {
                log += std::to_string(error.close_code()) + error.what();
            }
            return log;
        };
        const std::string expected = outcome(1);
        for (const std::size_t largest : {2U, 9U, 300U}) {
            if (outcome(largest) != expected) FAIL("seed " << seed << ", chunks up to " << largest);
        }
    }
}
