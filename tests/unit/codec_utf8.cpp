#include <backendai/codec/utf8.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace codec = backendai::codec;

namespace {

// Plain bit arithmetic, the definition to compare with: RFC 3629 sections 3 and 4.
std::string encode(std::uint32_t c) {
    const auto byte = [](std::uint32_t value) { return static_cast<char>(static_cast<unsigned char>(value)); };
    if (c < 0x80) return {byte(c)};
    if (c < 0x800) return {byte(0xC0 | (c >> 6U)), byte(0x80 | (c & 0x3FU))};
    if (c < 0x10000) return {byte(0xE0 | (c >> 12U)), byte(0x80 | ((c >> 6U) & 0x3FU)), byte(0x80 | (c & 0x3FU))};
    return {byte(0xF0 | (c >> 18U)), byte(0x80 | ((c >> 12U) & 0x3FU)), byte(0x80 | ((c >> 6U) & 0x3FU)),
            byte(0x80 | (c & 0x3FU))};
}

bool valid_byte_by_byte(std::string_view text) {
    codec::utf8_validator validator;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (!validator.feed(text.substr(i, 1))) return false;
    }
    return validator.complete();
}

// At which byte the validator gives up; npos when it does not.
std::size_t failing_byte(std::string_view text) {
    codec::utf8_validator validator;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (!validator.feed(text.substr(i, 1))) return i;
    }
    return std::string_view::npos;
}

} // namespace

TEST_CASE("every code point but the surrogates is valid, and nothing above U+10FFFF") {
    std::uint32_t wrong = 0;
    for (std::uint32_t c = 0; c <= 0x1FFFFF; ++c) {
        const bool expected = c <= 0x10FFFF && !(c >= 0xD800 && c <= 0xDFFF);
        const std::string text = encode(c);
        if (codec::is_utf8(text) != expected || codec::is_utf8(text + "tail") != expected) ++wrong;
    }
    CHECK(wrong == 0);
}

TEST_CASE("all sequences of up to three bytes give the same verdict whole, byte by byte and behind other text") {
    std::uint32_t wrong = 0;
    std::uint32_t valid = 0;
    const std::string ascii(19, 'x');
    for (std::uint32_t value = 0; value < (1U << 24U); value += (value & 0xFFU) == 0xFF ? 1 : 3) {
        const char bytes[3] = {static_cast<char>(static_cast<unsigned char>(value >> 16U)),
                               static_cast<char>(static_cast<unsigned char>((value >> 8U) & 0xFFU)),
                               static_cast<char>(static_cast<unsigned char>(value & 0xFFU))};
        const std::string_view text(bytes, 3);
        const bool whole = codec::is_utf8(text);
        valid += whole ? 1 : 0;
        if (whole != valid_byte_by_byte(text)) ++wrong;
        if ((value & 0x3FU) == 0 && whole != codec::is_utf8(ascii + std::string(text) + ascii)) ++wrong;
    }
    CHECK(wrong == 0);
    CHECK(valid > 0);
}

TEST_CASE("valid texts stay valid at every cut") {
    const std::vector<std::string> texts = {"",
                                            "plain ASCII that is longer than sixteen bytes",
                                            "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5",
                                            "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf",
                                            "\xef\xbf\xbe\xef\xbf\xbf\xef\xb7\x90",
                                            std::string(15, 'a') + "\xf0\x9f\x98\x80" + std::string(17, 'b') +
                                                "\xc3\xa9",
                                            std::string("nul\0inside", 10)};
    for (const std::string& text : texts) {
        for (std::size_t cut = 0; cut <= text.size(); ++cut) {
            codec::utf8_validator validator;
            CHECK(validator.feed(std::string_view(text).substr(0, cut)));
            CHECK(validator.feed(std::string_view(text).substr(cut)));
            CHECK(validator.complete());
        }
    }
}

TEST_CASE("invalid texts fail at the first byte that cannot be right") {
    struct row {
        std::string_view text;
        std::size_t failing;
    };
    const row rows[] = {
        {"\x80", 0},             // continuation without a lead
        {"ab\xbf", 2},           //
        {"\xc0\xaf", 0},         // overlong in two bytes
        {"\xc1\xbf", 0},         //
        {"\xe0\x80\xaf", 1},     // overlong in three
        {"\xe0\x9f\xbf", 1},     //
        {"\xf0\x80\x80\xaf", 1}, // overlong in four
        {"\xf0\x8f\xbf\xbf", 1}, //
        {"\xed\xa0\x80", 1},     // surrogates
        {"\xed\xbf\xbf", 1},     //
        {"\xf4\x90\x80\x80", 1}, // above U+10FFFF
        {"\xf5\x80\x80\x80", 0}, //
        {"\xf8\x88\x80\x80\x80", 0},
        {"\xfe", 0},
        {"\xff", 0},
        {"\xe2\x82z", 2},     // ASCII inside a character
        {"\xe2\xe2\x82", 1},  // lead inside a character
        {"\xf1\x80\x80", 99}, // only the end shows it
        {"\xc2", 99},
    };
    for (const row& each : rows) {
        CAPTURE(each.text.size());
        CAPTURE(each.failing);
        CHECK_FALSE(codec::is_utf8(each.text));
        CHECK_FALSE(valid_byte_by_byte(each.text));
        CHECK(failing_byte(each.text) == (each.failing == 99 ? std::string_view::npos : each.failing));
        for (const std::size_t before : {7U, 15U, 16U, 33U}) {
            CHECK_FALSE(codec::is_utf8(std::string(before, 'x') + std::string(each.text)));
        }
    }
}

TEST_CASE("a validator that failed stays failed until it is reset") {
    codec::utf8_validator validator;
    CHECK_FALSE(validator.feed("\xff"));
    CHECK_FALSE(validator.feed("fine"));
    CHECK_FALSE(validator.feed(""));
    CHECK_FALSE(validator.complete());
    validator.reset();
    CHECK(validator.feed("fine"));
    CHECK(validator.complete());
}

TEST_CASE("an unfinished character is not complete, though nothing is wrong yet") {
    codec::utf8_validator validator;
    CHECK(validator.feed("\xf0\x9f\x98"));
    CHECK_FALSE(validator.complete());
    CHECK(validator.feed("\x80"));
    CHECK(validator.complete());
}
