#include "scripted_transport.hpp"

#include <backendai/transport/framing.hpp>

#include <doctest/doctest.h>

#include <string>

using namespace backendai;
using backendai::detail::body_framing;

namespace {

// The error text for an answer with this head and a body of `bytes`, in two pieces; empty when it is whole.
std::string check(int status, const header_list& headers, std::uint64_t bytes, const std::string& method = "GET") {
    response_head head;
    head.status = status;
    head.headers = headers;
    const scripted::thrown result = scripted::attempt([&] {
        body_framing framing(head, method);
        framing.count(bytes / 2);
        framing.count(bytes - bytes / 2);
        framing.finish();
    });
    if (!result.text.empty()) {
        CHECK(result.kind == error_kind::protocol);
        CHECK(result.sent == client_error::progress::maybe_sent);
    }
    return result.text;
}

} // namespace

TEST_CASE("a body that is as long as announced passes, a shorter or longer one does not") {
    CHECK(check(200, {{"Content-Length", "10"}}, 10).empty());
    CHECK(check(200, {{"content-length", "0"}}, 0).empty());
    CHECK(check(200, {{"Content-Length", "00000000000000010"}}, 10).empty());
    CHECK(scripted::contains(check(200, {{"Content-Length", "10"}}, 9), "9 of 10"));
    CHECK(!check(200, {{"Content-Length", "10"}}, 0).empty());
    CHECK(!check(200, {{"Content-Length", "10"}}, 11).empty());
    CHECK(check(200, {}, 12345).empty());
    CHECK(check(200, {{"Transfer-Encoding", "Chunked"}}, 5).empty());
}

TEST_CASE("answers without a body may announce one") {
    CHECK(check(200, {{"Content-Length", "10"}}, 0, "HEAD").empty());
    CHECK(check(304, {{"Content-Length", "10"}}, 0).empty());
    CHECK(check(204, {{"Content-Length", "10"}}, 0).empty());
    CHECK(!check(205, {{"Content-Length", "10"}}, 0).empty());
}

TEST_CASE("a length that is in doubt is refused") {
    for (const char* length : {"", " ", "-1", "+1", "1a", "0x10", "1 ", " 1", "1,1", "1, 1", "1.0",
                               "1234567890123456789", "99999999999999999999999"}) {
        CHECK_MESSAGE(!check(200, {{"Content-Length", length}}, 1).empty(), length);
    }
    CHECK(!check(200, {{"Content-Length", "1"}, {"Content-Length", "2"}}, 1).empty());
    CHECK(!check(200, {{"Content-Length", "1"}, {"content-length", "1"}}, 1).empty());
    CHECK(!check(200, {{"Content-Length", "1"}, {"Transfer-Encoding", "chunked"}}, 1).empty());
    for (const char* coding : {"", "gzip", "gzip, chunked", "chunked, chunked", "identity", "xchunked", " chunked"})
        CHECK_MESSAGE(!check(200, {{"Transfer-Encoding", coding}}, 1).empty(), coding);
    CHECK(!check(200, {{"Transfer-Encoding", "chunked"}, {"Transfer-Encoding", "chunked"}}, 1).empty());
}

TEST_CASE("statuses that are no final answer and heads out of bounds are refused") {
    for (const int status : {0, -1, 100, 101, 199, 600, 999}) CHECK(!check(status, {}, 0).empty());
    for (const int status : {200, 299, 404, 599}) CHECK(check(status, {}, 0).empty());
    header_list many;
    for (int i = 0; i < 256; ++i) many.add("X-" + std::to_string(i), "v");
    CHECK(check(200, many, 0).empty());
    many.add("X-more", "v");
    CHECK(!check(200, many, 0).empty());
    CHECK(check(200, {{"X", std::string(200 * 1024, 'v')}}, 0).empty());
    CHECK(!check(200, {{"X", std::string(256 * 1024, 'v')}}, 0).empty());
}
