#include <backendai/codec/websocket.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace codec = backendai::codec;
using codec::websocket_opcode;
using codec::websocket_role;

namespace {

const codec::websocket_mask_key rfc_mask = {{0x37, 0xfa, 0x21, 0x3d}};

std::string bytes(std::initializer_list<unsigned> values) {
    std::string text;
    for (const unsigned value : values) text.push_back(static_cast<char>(static_cast<unsigned char>(value)));
    return text;
}

struct seen {
    websocket_opcode opcode;
    std::string payload;
    std::uint16_t code;
};

std::vector<seen> decode(websocket_role role, std::string_view input, codec::websocket_limits limits = {}) {
    codec::websocket_decoder decoder(role, limits);
    std::vector<seen> events;
    decoder.feed(input, [&](const codec::websocket_event& event) {
        events.push_back({event.opcode, std::string(event.payload), event.code});
    });
    return events;
}

// The close code that a decoder demands, 0 when it finds nothing wrong; the same whole and byte by byte.
unsigned verdict(websocket_role role, const std::string& input, codec::websocket_limits limits = {}) {
    unsigned whole = 0;
    unsigned cut = 0;
    try {
        decode(role, input, limits);
    } catch (const codec::websocket_error& error) {
        whole = error.close_code();
    }
    codec::websocket_decoder decoder(role, limits);
    try {
        for (const char c : input) decoder.feed(std::string_view(&c, 1), [](const codec::websocket_event&) {});
    } catch (const codec::websocket_error& error) {
        cut = error.close_code();
    }
    CHECK(whole == cut);
    return whole;
}

std::string frame(websocket_opcode opcode, std::string_view payload, bool last = true,
                  const codec::websocket_mask_key* mask = nullptr) {
    std::string out;
    codec::websocket_append_frame(out, opcode, last, payload, mask);
    return out;
}

} // namespace

TEST_CASE("the examples of RFC 6455 section 5.7 are decoded") {
    SUBCASE("unmasked text") {
        const auto events = decode(websocket_role::client, bytes({0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f}));
        REQUIRE(events.size() == 1);
        CHECK(events[0].opcode == websocket_opcode::text);
        CHECK(events[0].payload == "Hello");
    }
    SUBCASE("masked text") {
        const auto events =
            decode(websocket_role::server, bytes({0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}));
        REQUIRE(events.size() == 1);
        CHECK(events[0].payload == "Hello");
    }
    SUBCASE("fragmented text") {
        const auto events =
            decode(websocket_role::client, bytes({0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f}));
        REQUIRE(events.size() == 1);
        CHECK(events[0].payload == "Hello");
    }
    SUBCASE("ping and masked pong") {
        const auto ping = decode(websocket_role::client, bytes({0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f}));
        REQUIRE(ping.size() == 1);
        CHECK(ping[0].opcode == websocket_opcode::ping);
        const auto pong =
            decode(websocket_role::server, bytes({0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}));
        REQUIRE(pong.size() == 1);
        CHECK(pong[0].opcode == websocket_opcode::pong);
        CHECK(pong[0].payload == "Hello");
    }
    SUBCASE("256 bytes and 64 KiB of binary") {
        for (const std::size_t size : {std::size_t{256}, std::size_t{65536}}) {
            const std::string head =
                size == 256 ? bytes({0x82, 0x7e, 0x01, 0x00}) : bytes({0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0});
            const auto events = decode(websocket_role::client, head + std::string(size, '\xff'));
            REQUIRE(events.size() == 1);
            CHECK(events[0].opcode == websocket_opcode::binary);
            CHECK(events[0].payload == std::string(size, '\xff'));
        }
    }
}

TEST_CASE("the examples of RFC 6455 section 5.7 are encoded") {
    CHECK(frame(websocket_opcode::text, "Hello") == bytes({0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f}));
    CHECK(frame(websocket_opcode::text, "Hello", true, &rfc_mask) ==
          bytes({0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}));
    CHECK(frame(websocket_opcode::binary, std::string(256, 'x')).substr(0, 4) == bytes({0x82, 0x7e, 0x01, 0x00}));
    CHECK(frame(websocket_opcode::binary, std::string(65536, 'x')).substr(0, 10) ==
          bytes({0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0}));
    CHECK(frame(websocket_opcode::binary, std::string(65535, 'x')).substr(0, 4) == bytes({0x82, 0x7e, 0xff, 0xff}));
    CHECK(frame(websocket_opcode::binary, std::string(125, 'x')).substr(0, 2) == bytes({0x82, 125}));
    CHECK(frame(websocket_opcode::binary, std::string(126, 'x')).substr(0, 4) == bytes({0x82, 0x7e, 0, 126}));

    codec::websocket_encoder server(websocket_role::server);
    std::string out;
    server.fragment(out, websocket_opcode::text, "Hel", false);
    server.fragment(out, websocket_opcode::text, "lo", true);
    CHECK(out == bytes({0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f}));
}

TEST_CASE("masking equals the definition at every offset and length, in place and not") {
    std::string source;
    for (unsigned i = 0; i < 100; ++i) source.push_back(static_cast<char>(static_cast<unsigned char>(i * 7 + 1)));
    for (std::size_t size = 0; size <= 100; ++size) {
        for (std::uint64_t offset : {0U, 1U, 2U, 3U, 4U, 1001U}) {
            std::string expected;
            for (std::size_t i = 0; i < size; ++i) {
                expected.push_back(static_cast<char>(static_cast<unsigned char>(source[i]) ^
                                                     rfc_mask[static_cast<std::size_t>((offset + i) % 4)]));
            }
            std::string target(size, '\0');
            codec::websocket_mask(&target[0], source.data(), size, rfc_mask, offset);
            std::string in_place = source.substr(0, size);
            codec::websocket_mask(&in_place[0], in_place.data(), size, rfc_mask, offset);
            if (target != expected || in_place != expected) FAIL("size " << size << ", offset " << offset);
        }
    }
}

TEST_CASE("what breaks the protocol is refused with the code to send") {
    struct row {
        const char* what;
        std::string input;
        unsigned code;
    };
    const std::string hello = frame(websocket_opcode::text, "Hello");
    const std::vector<row> rows = {
        {"nothing wrong", hello, 0},
        {"RSV1", bytes({0xC1, 0}), 1002},
        {"RSV2", bytes({0xA1, 0}), 1002},
        {"RSV3", bytes({0x91, 0}), 1002},
        {"opcode 3", bytes({0x83, 0}), 1002},
        {"opcode 7", bytes({0x87, 0}), 1002},
        {"opcode 11", bytes({0x8B, 0}), 1002},
        {"opcode 15", bytes({0x8F, 0}), 1002},
        {"masked", frame(websocket_opcode::text, "Hello", true, &rfc_mask), 1002},
        {"continuation first", bytes({0x80, 0}), 1002},
        {"new message in a message", bytes({0x01, 0, 0x81, 0}), 1002},
        {"fragmented ping", bytes({0x09, 0}), 1002},
        {"long ping", bytes({0x89, 126, 0, 126}), 1002},
        {"short length in 16 bits", bytes({0x82, 126, 0, 125}), 1002},
        {"short length in 64 bits", bytes({0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff}), 1002},
        {"64th bit of a length", bytes({0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0}), 1002},
        {"63 bits of length", bytes({0x82, 127, 0x7f, 255, 255, 255, 255, 255, 255, 255}), 1009},
        {"half a close code", bytes({0x88, 1, 3}), 1002},
        {"close 1005", bytes({0x88, 2, 0x03, 0xed}), 1002},
        {"close 2999", bytes({0x88, 2, 0x0b, 0xb7}), 1002},
        {"close reason", bytes({0x88, 3, 0x03, 0xe8, 0xff}), 1007},
        {"text", bytes({0x81, 1, 0xff}), 1007},
        {"text that ends early", bytes({0x81, 1, 0xc3}), 1007},
        {"text that ends early in an empty fragment", bytes({0x01, 1, 0xc3, 0x80, 0}), 1007},
    };
    for (const row& each : rows) {
        CAPTURE(each.what);
        CHECK(verdict(websocket_role::client, each.input) == each.code);
        CHECK(verdict(websocket_role::client, hello + each.input) == each.code);
    }
    CHECK(verdict(websocket_role::server, hello) == 1002);
    CHECK(verdict(websocket_role::server, frame(websocket_opcode::text, "\xff", true, &rfc_mask)) == 1007);
}

TEST_CASE("close codes: the registered ones and 3000 to 4999 are valid, all others are not") {
    unsigned wrong = 0;
    for (unsigned code = 0; code <= 65535; ++code) {
        const bool expected = (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
                              (code >= 3000 && code <= 4999);
        unsigned found = 1;
        try {
            const auto events = decode(websocket_role::client, bytes({0x88, 2, code >> 8U, code & 0xFFU}));
            found = events.size() == 1 && events[0].code == code ? 0 : 2;
        } catch (const codec::websocket_error& error) {
            found = error.close_code() == 1002 ? 1 : 2;
        }
        if (found != (expected ? 0U : 1U)) ++wrong;
    }
    CHECK(wrong == 0);
}

TEST_CASE("a decoder that failed gives the same error again, whatever comes") {
    codec::websocket_decoder decoder(websocket_role::client);
    std::string_view bad = "\x83\x7f";
    CHECK_THROWS_AS(decoder.next(bad), codec::websocket_error);
    std::string_view good = "\x81\x01x";
    CHECK_THROWS_WITH(decoder.next(good), "websocket: reserved opcode");
}

TEST_CASE("after a close frame everything is ignored") {
    codec::websocket_decoder decoder(websocket_role::client);
    const std::string stream = bytes({0x88, 5, 0x03, 0xe9, 'b', 'y', 'e'}) + "\xff\xff\xff";
    std::string_view input = stream;
    const auto event = decoder.next(input);
    REQUIRE(event);
    CHECK(event->code == 1001);
    CHECK(event->payload == "bye");
    CHECK(decoder.closed());
    CHECK_FALSE(decoder.next(input));
    CHECK(input.empty());
}

TEST_CASE("a message that lies wholly in the input is handed out without a copy, one in pieces is moved out") {
    codec::websocket_decoder decoder(websocket_role::client);
    const std::string stream = frame(websocket_opcode::binary, std::string(1000, 'z'));
    std::string_view input = stream;
    const auto direct = decoder.next(input);
    REQUIRE(direct);
    CHECK(direct->payload.data() == stream.data() + 4);
    CHECK(decoder.take() == std::string(1000, 'z'));

    std::string_view first = std::string_view(stream).substr(0, 300);
    std::string_view second = std::string_view(stream).substr(300);
    CHECK_FALSE(decoder.next(first));
    CHECK(decoder.in_message());
    const auto assembled = decoder.next(second);
    REQUIRE(assembled);
    const char* const where = assembled->payload.data();
    const std::string taken = decoder.take();
    CHECK(taken.data() == where);
    CHECK(taken == std::string(1000, 'z'));
    CHECK_FALSE(decoder.in_message());
}

TEST_CASE("streamed fragments arrive as they come, with the ends marked and the limits kept") {
    codec::websocket_limits limits;
    limits.stream_fragments = true;
    limits.max_message_size = 10;
    codec::websocket_decoder decoder(websocket_role::client, limits);
    std::vector<std::string> pieces;
    const auto sink = [&](const codec::websocket_event& event) {
        pieces.push_back((event.first ? "<" : "") + std::string(event.payload) + (event.last ? ">" : ""));
    };
    const std::string stream = bytes({0x01, 4}) + "abcd" + bytes({0x89, 1}) + "p" + bytes({0x80, 2}) + "ef" +
                               frame(websocket_opcode::text, "") + frame(websocket_opcode::binary, "0123456789");
    decoder.feed(std::string_view(stream).substr(0, 4), sink);
    decoder.feed(std::string_view(stream).substr(4), sink);
    CHECK(pieces == std::vector<std::string>{"<ab", "cd", "<p>", "ef>", "<>", "<0123456789>"});
    const std::string over = frame(websocket_opcode::binary, "01234567890");
    std::string_view input = over;
    CHECK_THROWS_AS(decoder.next(input), codec::websocket_error);
}

TEST_CASE("a huge announced length reserves no huge memory") {
    codec::websocket_limits limits;
    limits.max_message_size = 0;
    codec::websocket_decoder decoder(websocket_role::client, limits);
    const std::string stream = bytes({0x82, 127, 0, 0, 1, 0, 0, 0, 0, 0}) + "some bytes of a terabyte";
    std::string_view input = stream;
    if (sizeof(std::size_t) >= 8) {
        CHECK_FALSE(decoder.next(input));
        CHECK(decoder.in_message());
    } else {
        CHECK_THROWS_AS(decoder.next(input), codec::websocket_error);
    }
}

TEST_CASE("the encoder refuses what may not be sent") {
    std::string out;
    CHECK_THROWS_AS(codec::websocket_encoder{websocket_role::client}, std::invalid_argument);
    codec::websocket_encoder encoder(websocket_role::server);
    CHECK_THROWS_AS(encoder.message(out, websocket_opcode::text, "\xff"), std::invalid_argument);
    CHECK_THROWS_AS(encoder.message(out, websocket_opcode::ping, "x"), std::invalid_argument);
    CHECK_THROWS_AS(encoder.message(out, websocket_opcode::continuation, "x"), std::invalid_argument);
    CHECK_THROWS_AS(encoder.ping(out, std::string(126, 'x')), std::invalid_argument);
    CHECK_THROWS_AS(encoder.pong(out, std::string(126, 'x')), std::invalid_argument);
    static constexpr std::uint16_t unsendable[] = {0, 999, 1004, 1006, 1015, 1016, 2999, 5000};
    for (const std::uint16_t code : unsendable) {
        CHECK_THROWS_AS(encoder.close(out, code, ""), std::invalid_argument);
    }
    CHECK_THROWS_AS(encoder.close(out, 1005, "reason"), std::invalid_argument);
    CHECK_THROWS_AS(encoder.close(out, 1000, std::string(124, 'x')), std::invalid_argument);
    CHECK_THROWS_AS(encoder.close(out, 1000, "\xed\xa0\x80"), std::invalid_argument);
    CHECK(out.empty());
    CHECK_THROWS_AS(encoder.fragment(out, websocket_opcode::text, "\xc3", true), std::invalid_argument);
    CHECK(out.empty());
    encoder.fragment(out, websocket_opcode::text, "\xc3", false);
    CHECK(encoder.in_message());
    CHECK_THROWS_AS(encoder.fragment(out, websocket_opcode::binary, "x", true), std::logic_error);
    CHECK_THROWS_AS(encoder.message(out, websocket_opcode::text, "x"), std::logic_error);
    CHECK_THROWS_AS(encoder.fragment(out, websocket_opcode::text, "x", true), std::invalid_argument);
}
