#include <backendai/codec/gzip.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>

namespace codec = backendai::codec;
using codec::deflate_format;

namespace {

constexpr codec::expansion_limits no_limits{~std::uint64_t{0}, 0, 0};

std::string encode(std::string_view text, deflate_format format, int level = -1) {
    std::string result;
    const auto keep = [&](std::string_view bytes) { result += bytes; };
    codec::deflate_encoder encoder(format, level);
    encoder.feed(text, keep);
    encoder.finish(keep);
    return result;
}

std::string decode(std::string_view bytes, deflate_format format, std::size_t step = std::string_view::npos,
                   codec::expansion_limits limits = no_limits) {
    std::string result;
    codec::inflate_decoder decoder(format, limits);
    while (!bytes.empty()) {
        const std::string piece(bytes.substr(0, step));
        decoder.feed(piece, [&](std::string_view data) { result += data; });
        bytes.remove_prefix(piece.size());
    }
    decoder.finish();
    return result;
}

std::string sample(std::size_t size) {
    std::mt19937 random(7);
    std::string text;
    while (text.size() < size) text.append(random() % 5, static_cast<char>(random() % 256));
    text.resize(size);
    return text;
}

} // namespace

TEST_CASE("what is encoded decodes to itself in every format and at every cut") {
    const std::string text = sample(3000);
    for (const auto format : {deflate_format::gzip, deflate_format::zlib, deflate_format::raw}) {
        const std::string encoded = encode(text, format);
        for (std::size_t cut = 0; cut <= encoded.size(); ++cut) {
            std::string result;
            const auto keep = [&](std::string_view data) { result += data; };
            codec::inflate_decoder decoder(format, no_limits);
            decoder.feed(std::string_view(encoded).substr(0, cut), keep);
            decoder.feed(std::string_view(encoded).substr(cut), keep);
            decoder.finish();
            REQUIRE(result == text);
        }
        CHECK(decode(encoded, format, 1) == text);
        CHECK(decode(encode("", format), format).empty());
        CHECK(decode(encode(text, format, 0), format) == text);
    }
}

TEST_CASE("output of many buffers arrives whole") {
    const std::string zeros(1'000'000, '\0');
    CHECK(decode(encode(zeros, deflate_format::gzip), deflate_format::gzip) == zeros);
    // exactly as much as the buffer, so that nothing is left for the call after it
    const std::string buffer = sample(codec::detail::deflate_buffer_size);
    CHECK(decode(encode(buffer, deflate_format::raw), deflate_format::raw) == buffer);
    CHECK(decode(encode(buffer + buffer, deflate_format::gzip), deflate_format::gzip, 7) == buffer + buffer);
}

TEST_CASE("every truncation is an error") {
    const std::string text = sample(500);
    for (const auto format : {deflate_format::gzip, deflate_format::zlib, deflate_format::raw}) {
        const std::string encoded = encode(text, format);
        for (std::size_t length = 0; length < encoded.size(); ++length)
            REQUIRE_THROWS_AS(decode(encoded.substr(0, length), format), codec::decode_error);
    }
}

TEST_CASE("gzip members follow each other, and nothing else may") {
    const std::string one = encode("one", deflate_format::gzip);
    const std::string two = encode("two", deflate_format::gzip);
    CHECK(decode(one + two, deflate_format::gzip) == "onetwo");
    CHECK(decode(one + two, deflate_format::gzip, 1) == "onetwo");
    CHECK_THROWS_AS(decode(one + two.substr(0, two.size() - 1), deflate_format::gzip), codec::decode_error);
    CHECK_THROWS_AS(decode(one + "x", deflate_format::gzip), codec::decode_error);
    CHECK_THROWS_AS(decode(one + std::string(1, '\0'), deflate_format::gzip), codec::decode_error);
    CHECK_THROWS_AS(decode(one + "garbage garbage", deflate_format::gzip), codec::decode_error);
    for (const auto format : {deflate_format::zlib, deflate_format::raw})
        CHECK_THROWS_AS(decode(encode("one", format) + "x", format), codec::decode_error);
}

TEST_CASE("damage is found by the checksum and the length") {
    const std::string encoded = encode(sample(200), deflate_format::gzip);
    for (std::size_t from_end = 1; from_end <= 8; ++from_end) {
        std::string damaged = encoded;
        damaged[damaged.size() - from_end] = static_cast<char>(damaged[damaged.size() - from_end] ^ 1);
        CHECK_THROWS_AS(decode(damaged, deflate_format::gzip), codec::decode_error);
    }
    CHECK_THROWS_AS(decode("no gzip at all", deflate_format::gzip), codec::decode_error);
    CHECK_THROWS_AS(decode(encode("a", deflate_format::zlib), deflate_format::gzip), codec::decode_error);
    CHECK_THROWS_AS(decode(encode("a", deflate_format::raw), deflate_format::zlib), codec::decode_error);
}

TEST_CASE("a bomb stops at the limits") {
    const std::string bomb = encode(std::string(5'000'000, '\0'), deflate_format::gzip);
    CHECK_THROWS_AS(decode(bomb, deflate_format::gzip, 100, {4'999'999, 0, 0}), codec::decode_error);
    CHECK(decode(bomb, deflate_format::gzip, 100, {5'000'000, 0, 0}).size() == 5'000'000);
    CHECK_THROWS_AS(decode(bomb, deflate_format::gzip, 100, {~std::uint64_t{0}, 100, 1'000'000}), codec::decode_error);
    CHECK(decode(bomb, deflate_format::gzip, 100, {~std::uint64_t{0}, 100, 5'000'000}).size() == 5'000'000);
    CHECK(decode(bomb, deflate_format::gzip, 100, {~std::uint64_t{0}, 1032, 0}).size() == 5'000'000);
    std::uint64_t seen = 0;
    codec::inflate_decoder decoder(deflate_format::gzip, {100'000, 0, 0});
    CHECK_THROWS_AS(decoder.feed(bomb, [&](std::string_view data) { seen += data.size(); }), codec::decode_error);
    CHECK(seen <= 100'000);
    CHECK_THROWS_AS(decoder.finish(), codec::decode_error);
}

TEST_CASE("a decoder takes nothing after an error, also one of the sink") {
    const std::string encoded = encode("text", deflate_format::gzip);
    codec::inflate_decoder decoder(deflate_format::gzip, no_limits);
    CHECK_THROWS_AS(decoder.feed(encoded, [](std::string_view) { throw std::runtime_error("disk full"); }),
                    std::runtime_error);
    CHECK_THROWS_AS(decoder.feed("x", [](std::string_view) {}), codec::decode_error);
    CHECK_THROWS_AS(decoder.finish(), codec::decode_error);
    CHECK_THROWS_AS(codec::deflate_encoder(deflate_format::gzip, 10), std::invalid_argument);
}
