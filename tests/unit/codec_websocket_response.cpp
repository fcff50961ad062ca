#include <backendai/codec/http_response.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <string>
#include <string_view>

namespace codec = backendai::codec;

namespace {

struct outcome {
    std::string error;
    bool whole = false;
    codec::http_response response;
    std::string rest;
};

outcome parse_in(const std::string& bytes, std::size_t chunk, codec::http_response_limits limits, bool connect) {
    codec::http_response_parser parser(limits, connect);
    outcome result;
    try {
        for (std::size_t at = 0; at < bytes.size(); at += chunk) {
            std::string_view input = std::string_view(bytes).substr(at, chunk);
            parser.feed(input);
            result.rest += input;
        }
        result.whole = parser.done();
        result.response = parser.response();
    } catch (const codec::decode_error& error) {
        result.error = error.what();
    }
    return result;
}

// Parses at once and in every chunk size up to 40, which must all agree.
outcome parse(const std::string& bytes, codec::http_response_limits limits = {}, bool connect = false) {
    outcome whole = parse_in(bytes, bytes.size(), limits, connect);
    for (std::size_t chunk = 1; chunk <= 40; ++chunk) {
        const outcome cut = parse_in(bytes, chunk, limits, connect);
        CHECK(cut.error == whole.error);
        CHECK(cut.whole == whole.whole);
        CHECK(cut.response.body == whole.response.body);
        CHECK((cut.response.headers == whole.response.headers));
        CHECK(cut.rest == whole.rest);
    }
    return whole;
}

std::string error_of(const std::string& bytes, codec::http_response_limits limits = {}) {
    const std::string text = parse(bytes, limits).error;
    const std::string prefix = "http response: ";
    return text.substr(0, prefix.size()) == prefix ? text.substr(prefix.size()) : text;
}

} // namespace

TEST_CASE("a response with a length, in chunks, or up to the end of the connection") {
    const outcome length = parse("HTTP/1.1 404 Not Found\r\nA: 1\r\nContent-Length: 5\r\n\r\nHellorest");
    CHECK(length.whole);
    CHECK(length.response.status == 404);
    CHECK(length.response.reason == "Not Found");
    CHECK((length.response.headers == codec::http_fields{{"A", "1"}, {"Content-Length", "5"}}));
    CHECK(length.response.body == "Hello");
    CHECK(length.rest == "rest");

    const outcome chunked = parse("HTTP/1.1 500 x\r\nTransfer-Encoding: Chunked\r\n\r\n"
                                  "5;name=value\r\nHello\r\nA\r\n, world...\r\n00\r\nTrailer: t\r\n\r\nrest");
    CHECK(chunked.whole);
    CHECK(chunked.response.body == "Hello, world...");
    CHECK(codec::find_field(chunked.response.headers, "Trailer") == nullptr);
    CHECK(chunked.rest == "rest");

    const outcome open = parse("HTTP/1.0 500 x\r\n\r\nall there is");
    CHECK_FALSE(open.whole);
    CHECK(open.response.body == "all there is");
}

TEST_CASE("responses without a body end with their head") {
    CHECK(parse("HTTP/1.1 204 No Content\r\n\r\nrest").rest == "rest");
    CHECK(parse("HTTP/1.1 304\r\nContent-Length: 7\r\n\r\nrest").rest == "rest");
    CHECK(parse("HTTP/1.1 400 x\r\nContent-Length: 0\r\n\r\nrest").rest == "rest");
    CHECK(parse("HTTP/1.1 101 x\r\n\r\n\x81").rest == "\x81");
    const outcome tunnel = parse("HTTP/1.0 200 Connection established\r\nContent-Length: 3\r\n\r\nTLS", {}, true);
    CHECK(tunnel.whole);
    CHECK(tunnel.rest == "TLS");
    CHECK(parse("HTTP/1.1 407 x\r\nContent-Length: 3\r\n\r\nwhy", {}, true).response.body == "why");
}

TEST_CASE("interim responses are skipped, their headers forgotten") {
    const outcome result = parse("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
                                 "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    CHECK(result.whole);
    CHECK(result.response.status == 403);
    CHECK(codec::find_field(result.response.headers, "Link") == nullptr);
}

TEST_CASE("values are trimmed, may be empty and may hold bytes beyond ASCII") {
    const outcome result = parse("HTTP/1.1 204 \r\nA: \t b c \t\r\nB:\r\nC: \xc3\xa9\r\n\r\n");
    CHECK(result.whole);
    CHECK(result.response.reason.empty());
    CHECK((result.response.headers == codec::http_fields{{"A", "b c"}, {"B", ""}, {"C", "\xc3\xa9"}}));
}

TEST_CASE("malformed heads are refused") {
    for (const char* line : {"HTTP/2 200 OK", "HTTP/1.2 200 OK", "http/1.1 200 OK", "HTTP/1.1  200 OK", "HTTP/1.1 20",
                             "HTTP/1.1 2000 OK", "HTTP/1.1 099 OK", "HTTP/1.1 600 OK", "HTTP/1.1 2x0 OK", "", "junk",
                             "HTTP/1.1 200 a\rb", "HTTP/1.1 200\tOK"}) {
        CAPTURE(line);
        CHECK(error_of(std::string(line) + "\r\n\r\n") == "malformed status line");
    }
    const std::string ok = "HTTP/1.1 200 OK\r\n";
    CHECK(error_of("HTTP/1.1 200 OK\n\n") == "line that does not end with CR LF");
    CHECK(error_of(ok + "A: b\nC: d\r\n\r\n") == "line that does not end with CR LF");
    CHECK(error_of(ok + "A: b\r\n folded\r\n\r\n") == "malformed header");
    CHECK(error_of(ok + "no colon\r\n\r\n") == "malformed header");
    CHECK(error_of(ok + "A : b\r\n\r\n") == "malformed header");
    CHECK(error_of(ok + ": b\r\n\r\n") == "malformed header");
    CHECK(error_of(ok + "A\xc3\xa9: b\r\n\r\n") == "malformed header");
    CHECK(error_of(ok + "A: b\rc\r\n\r\n") == "control character in a header");
    CHECK(error_of(ok + std::string("A: b\0c\r\n\r\n", 10)) == "control character in a header");
    CHECK(error_of(ok + "A: \x7f\r\n\r\n") == "control character in a header");
}

TEST_CASE("bodies whose length is in doubt are refused") {
    const std::string ok = "HTTP/1.1 400 x\r\n";
    for (const char* length : {"", "-1", "+1", "0x10", "1 2", "1,1", "1234567890123456789", "five"}) {
        CAPTURE(length);
        CHECK(error_of(ok + "Content-Length: " + length + "\r\n\r\n") == "malformed length");
    }
    CHECK(error_of(ok + "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx") == "more than one length of the body");
    CHECK(error_of(ok + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx") ==
          "more than one length of the body");
    CHECK(error_of(ok + "Transfer-Encoding: gzip, chunked\r\n\r\n") == "unknown transfer coding");
    CHECK(error_of("HTTP/1.0 400 x\r\nTransfer-Encoding: chunked\r\n\r\n") == "unknown transfer coding");
    const std::string chunked = ok + "Transfer-Encoding: chunked\r\n\r\n";
    CHECK(error_of(chunked + "x\r\n") == "malformed length");
    CHECK(error_of(chunked + "\r\n") == "malformed length");
    CHECK(error_of(chunked + "fffffffffffffffff\r\n") == "malformed length");
    CHECK(error_of(chunked + "3\r\nabcd\r\n") == "chunk longer than its size");
    CHECK(error_of(chunked + "3\nabc\r\n") == "line that does not end with CR LF");
    CHECK(error_of(chunked + "0\r\nbad trailer\r\n\r\n") == "malformed header");
}

TEST_CASE("heads over a limit are refused, bodies over it are cut") {
    codec::http_response_limits limits;
    limits.max_head_size = 60;
    limits.max_header_count = 3;
    limits.max_body_size = 4;
    CHECK(error_of("HTTP/1.1 200 OK\r\nA: " + std::string(100, 'x'), limits) == "head over the size limit");
    CHECK(error_of(std::string(61, 'x'), limits) == "head over the size limit");
    CHECK(error_of("HTTP/1.1 200 OK\r\nA:\r\nA:\r\nA:\r\nA:\r\n\r\n", limits) == "too many headers");
    std::string interim;
    for (int i = 0; i < 10; ++i) interim += "HTTP/1.1 100 x\r\n\r\n";
    CHECK(error_of(interim, limits) == "head over the size limit");
    const outcome cut = parse("HTTP/1.1 400 x\r\nContent-Length: 10\r\n\r\n0123456789", limits);
    CHECK(cut.whole);
    CHECK(cut.response.body == "0123");
    CHECK(cut.response.body_cut);
    CHECK_FALSE(parse("HTTP/1.1 400 x\r\nContent-Length: 4\r\n\r\n0123", limits).response.body_cut);
    CHECK(parse("HTTP/1.1 400 x\r\n\r\n01234", limits).response.body_cut);
}

TEST_CASE("a connection that ends early is an error unless the body has no length") {
    for (const char* part :
         {"", "HTTP/1.1 2", "HTTP/1.1 200 OK\r\nA: b\r\n", "HTTP/1.1 400 x\r\nContent-Length: 2\r\n\r\n1",
          "HTTP/1.1 400 x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"}) {
        codec::http_response_parser parser;
        std::string_view input = part;
        parser.feed(input);
        CHECK_THROWS_AS(parser.finish(), codec::decode_error);
    }
    codec::http_response_parser parser;
    std::string_view input = "HTTP/1.1 400 x\r\n\r\n";
    CHECK_FALSE(parser.feed(input));
    CHECK(parser.head_done());
    parser.finish();
    CHECK(parser.done());
}
