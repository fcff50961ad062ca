// The embedded gateway as an HTTP/1.1 server: framing, limits, routes, signatures and dates.
#include "raw_http.hpp"

#include <doctest/doctest.h>

using namespace raw_http;
using backendai::testing::gateway;
using backendai::testing::gateway_options;

TEST_CASE("gateway: hello needs no signature") {
    gateway server;
    tweaks plain;
    plain.is_signed = false;
    const answer got = call(server, "GET", "/", nullptr, plain);
    CHECK(got.status == 200);
    CHECK(got.data()["version"] == "v4.20190315");
}

TEST_CASE("gateway: unknown paths, wrong methods and the path prefix") {
    gateway_options options;
    options.path_prefix = "/some/api";
    gateway server(options);
    CHECK(call(server, "GET", "/some/api/").status == 200);
    CHECK(call(server, "GET", "/").status == 404);
    const answer unknown = call(server, "GET", "/some/api/nothing");
    CHECK(unknown.status == 404);
    CHECK(unknown.data()["type"] == "https://api.backend.ai/probs/generic-not-found");
    CHECK(unknown.has("application/problem+json"));
    const answer wrong = call(server, "PUT", "/some/api/auth/test");
    CHECK(wrong.status == 405);
    CHECK(wrong.has("Allow: GET,POST"));
    CHECK(call(server, "POST", "/some/api/auth/test", {{"echo", "x"}}).status == 200);
}

TEST_CASE("gateway: a right signature of every hash type passes, with rate limit headers") {
    gateway server;
    for (const char* hash : {"sha1", "sha224", "sha256", "sha384", "sha512", "blake2b", "blake2s", "sha3_256"}) {
        tweaks change;
        change.hash_type = hash;
        const answer got = call(server, "GET", "/auth/test?a=b%20c", {{"echo", hash}}, change);
        CHECK(got.status == 200);
        CHECK(got.data() == json{{"authorized", "yes"}, {"echo", hash}});
        CHECK(got.has("X-RateLimit-Window: 900"));
    }
    tweaks old;
    old.version = "v3.20170615";
    CHECK(call(server, "POST", "/auth/test", {{"echo", "signed body"}}, old).status == 200);
}

TEST_CASE("gateway: wrong signatures, keys, dates and headers are refused as the protocol says") {
    gateway server;
    const auto refused = [&](const tweaks& change) {
        const answer got = call(server, "POST", "/auth/test", {{"echo", "x"}}, change);
        CHECK_FALSE(got.has("X-RateLimit-Limit"));
        const std::string type = got.data().value("type", "");
        return std::to_string(got.status) + ' ' + type.substr(type.rfind('/') + 1);
    };
    tweaks change;
    change.secret_key = "another secret";
    CHECK(refused(change) == "401 auth-failed");
    change = {};
    change.access_key = "AKIAANOTHERONE";
    CHECK(refused(change) == "401 auth-failed");
    change = {};
    change.is_signed = false;
    CHECK(refused(change) == "401 auth-failed");
    change = {};
    change.clock_error = std::chrono::minutes(16);
    CHECK(refused(change) == "400 invalid-auth-params");
    change.clock_error = std::chrono::minutes(-16);
    CHECK(refused(change) == "400 invalid-auth-params");
    change = {};
    for (const char* header :
         {"Basic x", "BackendAI nothing", "BackendAI signMethod=HMAC-MD4, credential=a:b", "BackendAI"}) {
        change.authorization = header;
        CHECK(refused(change) == "400 invalid-auth-params");
    }
    change = {};
    change.version = "v99.20990101";
    CHECK(refused(change) == "400 generic-bad-request");
    CHECK(server.received("POST", "/auth/test") == 10);
    CHECK(server.served("POST", "/auth/test") == 0);
}

TEST_CASE("gateway: the echo must be there") {
    gateway server;
    CHECK(call(server, "POST", "/auth/test", json::object()).status == 400);
    CHECK(call(server, "POST", "/auth/test", {{"echo", 5}}).status == 400);
    CHECK(call(server, "POST", "/auth/test", "text").status == 400);
}

TEST_CASE("gateway: one connection serves many requests, pipelined ones too") {
    gateway server;
    connection peer(server);
    const std::string one = request_text(server, "GET", "/", ""),
                      two = request_text(server, "POST", "/auth/test", R"({"echo":"2"})");
    peer.send(one + two + one);
    CHECK(peer.receive().data().contains("version"));
    CHECK(peer.receive().data()["echo"] == "2");
    CHECK(peer.receive().status == 200);
    CHECK(server.connections() == 1);
}

TEST_CASE("gateway: chunked bodies and Expect: 100-continue") {
    gateway server;
    connection peer(server);
    tweaks change;
    change.extra_headers = "Transfer-Encoding: chunked\r\n";
    std::string head = request_text(server, "POST", "/auth/test", "x", change);
    head = head.substr(0, head.find("Content-Length"));
    peer.send(head + "\r\n5;ext=1\r\n{\"ech\r\nA\r\no\": \"abc\"}\r\n0\r\nTrailer: x\r\n\r\n");
    CHECK(peer.receive().data()["echo"] == "abc");
    change.extra_headers = "Expect: 100-continue\r\n";
    const std::string text = request_text(server, "POST", "/auth/test", R"({"echo":"e"})", change);
    const std::size_t end = text.find("\r\n\r\n") + 4;
    peer.send(text.substr(0, end));
    CHECK(peer.receive().status == 100);
    peer.send(text.substr(end));
    CHECK(peer.receive().data()["echo"] == "e");
}

TEST_CASE("gateway: what is no HTTP, or too large, is refused and the connection closed") {
    gateway_options options;
    options.max_head = 4096;
    options.max_body = 1000;
    gateway server(options);
    const auto status_of = [&](const std::string& bytes) {
        connection peer(server);
        peer.send(bytes);
        const answer got = peer.receive();
        CHECK(peer.receive_all().empty());
        return got.status;
    };
    CHECK(status_of("nonsense\r\n\r\n") == 400);
    CHECK(status_of("GET / HTTP/2.0\r\nHost: a\r\n\r\n") == 505);
    CHECK(status_of("GET / HTTP/1.1\r\n\r\n") == 400);
    CHECK(status_of("GET / HTTP/1.1\r\nHost : a\r\n\r\n") == 400);
    CHECK(status_of("GET http://x/ HTTP/1.1\r\nHost: a\r\n\r\n") == 400);
    CHECK(status_of("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n") == 400);
    CHECK(status_of("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n") == 400);
    CHECK(status_of("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n") == 400);
    CHECK(status_of("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n") == 413);
    CHECK(status_of("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nFFFF\r\n") == 413);
    CHECK(status_of("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n") == 400);
    CHECK(status_of("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n") == 501);
    CHECK(status_of("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(5000, 'x') + "\r\n\r\n") == 431);
    CHECK(status_of("GET / HTTP/1.0\r\n\r\n") == 200);
    CHECK(status_of("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") == 200);
}

TEST_CASE("gateway: the rate limit refuses what is over it, until its window has passed") {
    gateway_options options;
    options.rate_limit = 2;
    std::atomic<int> minutes{0};
    options.clock = [&] { return std::chrono::system_clock::now() + std::chrono::minutes(minutes); };
    gateway server(options);
    CHECK(call(server, "POST", "/auth/test", {{"echo", "x"}}).has("X-RateLimit-Remaining: 1"));
    CHECK(call(server, "POST", "/auth/test", {{"echo", "x"}}).status == 200);
    const answer over = call(server, "POST", "/auth/test", {{"echo", "x"}});
    CHECK(over.status == 429);
    CHECK(over.data()["type"] == "https://api.backend.ai/probs/rate-limit-exceeded");
    minutes = 16;
    tweaks late;
    late.clock_error = std::chrono::minutes(16);
    CHECK(call(server, "POST", "/auth/test", {{"echo", "x"}}, late).status == 200);
}

TEST_CASE("gateway: the same logic answers without a connection") {
    gateway server;
    const auto reply = server.handle({"GET", "/", {}, {}});
    CHECK(reply.status == 200);
    CHECK(server.handle({"GET", "/auth/test", {}, {}}).status == 400);
    CHECK(server.connections() == 0);
}
