#include <backendai/codec/base64.hpp>
#include <backendai/codec/digest.hpp>

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

namespace codec = backendai::codec;

TEST_CASE("base64 has the test vectors of RFC 4648 in both directions") {
    const std::vector<std::pair<std::string, std::string>> vectors = {{"", ""},
                                                                      {"f", "Zg=="},
                                                                      {"fo", "Zm8="},
                                                                      {"foo", "Zm9v"},
                                                                      {"foob", "Zm9vYg=="},
                                                                      {"fooba", "Zm9vYmE="},
                                                                      {"foobar", "Zm9vYmFy"},
                                                                      {"\xff\xfe\xfd", "//79"},
                                                                      {"\xfb\xef\xbe", "++++"}};
    for (const auto& [plain, text] : vectors) {
        CHECK(codec::base64_encode(plain) == text);
        CHECK(codec::base64_decode(text) == plain);
    }
}

TEST_CASE("base64 keeps all byte values at all lengths") {
    std::string data;
    for (unsigned i = 0; i < 300; ++i) {
        CHECK(codec::base64_decode(codec::base64_encode(data)) == data);
        data.push_back(static_cast<char>((i * 7) & 0xffU));
    }
}

TEST_CASE("base64 of more than one encoding block has padding at its end only") {
    const std::string data((std::size_t{3} << 20) + 1, 'x');
    const std::string text = codec::base64_encode(data);
    CHECK(text.size() == (data.size() + 2) / 3 * 4);
    CHECK(text.find('=') == text.size() - 2);
    CHECK(text.find('\0') == std::string::npos);
    CHECK(codec::base64_decode(text) == data);
}

TEST_CASE("base64 white space is skipped wherever it stands") {
    CHECK(codec::base64_decode(" Zm9v\r\nYm\tFy\n") == "foobar");
    CHECK(codec::base64_decode("Z g = =") == "f");
}

TEST_CASE("base64 that is malformed is refused") {
    const std::vector<std::string> broken = {
        "Z",        "Zg",    "Zg=",  "=",    "====", "Z===",  "Zg=g",  "Zg==Zg==",
        "Zm8=Zm8=", "Zm9v=", "Zm9*", "Zm9-", "Zm9_", "Zm9v!", "Zg===", std::string("Zm9\0", 4),
        "Zm9\x80"};
    for (const std::string& text : broken) {
        CAPTURE(text);
        CHECK_THROWS_AS(codec::base64_decode(text), codec::decode_error);
    }
}
