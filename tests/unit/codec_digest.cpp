#include "scripted_transport.hpp"

#include <backendai/codec/digest.hpp>

#include <doctest/doctest.h>

#include <string>
#include <thread>
#include <vector>

namespace codec = backendai::codec;

TEST_CASE("digests of \"abc\" have the values that the standards print") {
    CHECK(codec::to_hex(codec::digest("sha1", "abc")) == "a9993e364706816aba3e25717850c26c9cd0d89d");
    CHECK(codec::to_hex(codec::digest("sha256", "abc")) ==
          "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(codec::to_hex(codec::digest("sha3_224", "abc")) ==
          "e642824c3f8cf24ad09234ee7d3c766fc9a3a5168d0c94ad73b46fdf");
    CHECK(codec::to_hex(codec::digest("blake2s", "abc")) ==
          "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982");
    CHECK(codec::to_hex(codec::digest("sha256", "")) ==
          "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST_CASE("HMAC has the test vectors of RFC 4231, keys longer than a block included") {
    CHECK(codec::to_hex(codec::hmac_key("sha256", std::string(20, '\x0b'))("Hi There")) ==
          "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    CHECK(codec::to_hex(codec::hmac_key("sha256", "Jefe")("what do ya want for nothing?")) ==
          "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    CHECK(codec::to_hex(codec::hmac_key("sha256", std::string(131, '\xaa'))(
              "Test Using Larger Than Block-Size Key - Hash Key First")) ==
          "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    CHECK(codec::to_hex(codec::hmac_key("sha512", std::string(20, '\x0b'))("Hi There")).substr(0, 32) ==
          "87aa7cdea5ef619d4ff0b4241a1d6cb0");
}

TEST_CASE("one HMAC key serves many messages and threads, and keys do not mix") {
    const codec::hmac_key first("sha256", "first");
    const codec::hmac_key second("sha3_512", "second");
    const std::string one = first("message");
    const std::string two = second("message");
    CHECK(one != two);
    CHECK(one == first("message"));
    std::vector<int> wrong(4, 0);
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < wrong.size(); ++i) {
        threads.emplace_back([&, i] {
            for (int round = 0; round < 200; ++round) {
                if (first("message") != one || second("message") != two) ++wrong[i];
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(wrong == std::vector<int>(4, 0));
}

TEST_CASE("only the hashes that a server can use with HMAC are known, in Python's spelling") {
    for (const char* name : {"sha1", "sha224", "sha256", "sha384", "sha512", "blake2b", "blake2s", "sha3_224",
                             "sha3_256", "sha3_384", "sha3_512"}) {
        CHECK_MESSAGE(codec::has_digest(name), name);
    }
    for (const char* name :
         {"", "md5", "SHA256", "sha-256", "sha3-256", "shake_128", "shake_256", "sha256 ", "BLAKE2b512"}) {
        CHECK_MESSAGE(!codec::has_digest(name), name);
        CHECK_THROWS_AS(codec::digest(name, "x"), std::invalid_argument);
        CHECK_THROWS_AS(codec::hmac_key(name, "x"), std::invalid_argument);
    }
}

TEST_CASE("hexadecimal text is lower case and covers all bytes") {
    CHECK(codec::to_hex(std::string_view("\0\x0f\xf0\xff", 4)) == "000ff0ff");
    CHECK(codec::to_hex("").empty());
}
