#include <backendai/codec/json.hpp>

#include <doctest/doctest.h>

#include <string>

namespace codec = backendai::codec;

TEST_CASE("JSON text is parsed") {
    CHECK(codec::parse_json(R"({"a":[1,2.5,null,true,"\u00e9\"["]})").at("a").size() == 5);
    CHECK(codec::parse_json(" null ").is_null());
}

TEST_CASE("what is not JSON is a decode error that does not quote the text") {
    for (const char* text :
         {"", " ", "{", "[1,]", "{\"a\":}", "nul", "'a'", "{} {}", "<html>secret</html>", "\"secret", "\xff",
          "\"\xc3\"", "\"\xed\xa0\x80\"", "[1e999]", "\"\\ud800\"", "]", "NaN", "01", "\"a\nb\""}) {
        CAPTURE(text);
        try {
            codec::parse_json(text);
            FAIL("accepted");
        } catch (const codec::decode_error& e) {
            CHECK(std::string(e.what()).find("secret") == std::string::npos);
            CHECK(std::string(e.what()).compare(0, 5, "JSON:") == 0);
        }
    }
    CHECK_THROWS_AS(codec::parse_json(std::string_view()), codec::decode_error);
}

TEST_CASE("nesting is limited, brackets in strings do not count") {
    const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
    CHECK_NOTHROW(codec::parse_json(nested(codec::max_json_depth)));
    CHECK_THROWS_AS(codec::parse_json(nested(codec::max_json_depth + 1)), codec::decode_error);
    CHECK_THROWS_AS(codec::parse_json(std::string(1000000, '[')), codec::decode_error);
    CHECK_THROWS_AS(codec::parse_json(std::string(1000000, '{')), codec::decode_error);
    CHECK_NOTHROW(codec::parse_json("\"" + std::string(1000, '[') + "\""));
    CHECK_NOTHROW(codec::parse_json("[\"\\\"" + std::string(1000, '[') + "\\\\\"]"));
    std::string wide = "[";
    for (int i = 0; i < 1000; ++i) wide += "[],";
    CHECK(codec::parse_json(wide + "{}]").size() == 1001);
    // A closing bracket too many must not let a deep rest through.
    CHECK_THROWS_AS(codec::parse_json("]]]]" + nested(300)), codec::decode_error);
}

TEST_CASE("the number of values is limited by the length of the text") {
    const auto list = [](const std::string& item, std::size_t count) {
        std::string text = "[" + item;
        for (std::size_t i = 1; i < count; ++i) text += ',' + item;
        return text + ']';
    };
    CHECK_NOTHROW(codec::parse_json(list("1", codec::max_json_values)));
    CHECK_THROWS_AS(codec::parse_json(list("1", 2 * codec::max_json_values)), codec::decode_error);
    CHECK_THROWS_AS(codec::parse_json(list("[]", codec::max_json_values)), codec::decode_error);
    CHECK_THROWS_AS(codec::parse_json(list("{\"\":{}}", codec::max_json_values)), codec::decode_error);
    CHECK_NOTHROW(codec::parse_json(list("\"a text of length\"", 4 * codec::max_json_values)));
    CHECK_NOTHROW(codec::parse_json("\"" + std::string(5 * codec::max_json_values, ',') + "\""));
}
