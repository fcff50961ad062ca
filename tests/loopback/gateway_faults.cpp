// Scripted faults of the embedded gateway, as they look on the wire.
#include "raw_http.hpp"

#include <doctest/doctest.h>

using namespace raw_http;
using backendai::testing::fault;
using backendai::testing::fault_kind;
using backendai::testing::gateway;

namespace {

fault make(fault_kind kind) {
    fault item;
    item.kind = kind;
    item.path_prefix = "/auth";
    item.interval = std::chrono::milliseconds(1);
    return item;
}

// One connection's bytes for one request that is to fail; the request closes the connection where the fault does not.
std::string bytes_of(const gateway& server) {
    connection peer(server);
    tweaks change;
    change.extra_headers = "Connection: close\r\n";
    peer.send(request_text(server, "POST", "/auth/test", R"({"echo":"x"})", change));
    return peer.receive_all();
}

} // namespace

TEST_CASE("gateway faults: statuses, n times, with Retry-After, problem or HTML") {
    gateway server;
    fault item = make(fault_kind::status);
    item.times = 2;
    item.retry_after = "7";
    const std::size_t number = server.inject(item);
    CHECK(call(server, "GET", "/").status == 200); // another path
    for (int i = 0; i < 2; ++i) {
        const answer got = call(server, "POST", "/auth/test", {{"echo", "x"}});
        CHECK(got.status == 503);
        CHECK(got.has("Retry-After: 7"));
        CHECK(got.data()["type"] == "https://api.backend.ai/probs/service-unavailable");
    }
    CHECK(call(server, "POST", "/auth/test", {{"echo", "x"}}).status == 200);
    CHECK(server.fault_uses(number) == 2);
    CHECK(server.received("POST", "/auth/test") == 3);
    CHECK(server.served("POST", "/auth/test") == 1);
    item.times = 1;
    item.status = 502;
    item.bytes = "<h1>Bad Gateway</h1>";
    server.inject(item);
    const answer html = call(server, "POST", "/auth/test", {{"echo", "x"}});
    CHECK(html.status == 502);
    CHECK(html.has("text/html"));
    CHECK(html.body == item.bytes);
}

TEST_CASE("gateway faults: skip and clear") {
    gateway server;
    fault item = make(fault_kind::status);
    item.skip = 1;
    item.times = -1;
    server.inject(item);
    CHECK(call(server, "POST", "/auth/test", {{"echo", "x"}}).status == 200);
    CHECK(call(server, "POST", "/auth/test", {{"echo", "x"}}).status == 503);
    CHECK(call(server, "POST", "/auth/test", {{"echo", "x"}}).status == 503);
    server.clear_faults();
    CHECK(call(server, "POST", "/auth/test", {{"echo", "x"}}).status == 200);
}

TEST_CASE("gateway faults: drops at every place") {
    gateway server;
    const std::string whole = bytes_of(server);
    const std::size_t head = whole.find("\r\n\r\n") + 4;
    std::size_t served = 1;
    const auto dropped = [&](fault_kind kind, bool is_served) {
        const std::size_t number = server.inject(make(kind));
        const std::string bytes = bytes_of(server);
        CHECK(server.fault_uses(number) == 1);
        served += is_served ? 1 : 0;
        CHECK(server.served("POST", "/auth/test") == served);
        return bytes;
    };
    CHECK(dropped(fault_kind::refuse_connection, false).empty());
    CHECK(dropped(fault_kind::drop_before_reading, false).empty());
    CHECK(dropped(fault_kind::drop_before_handling, false).empty());
    CHECK(dropped(fault_kind::drop_before_head, true).empty());
    const std::string in_head = dropped(fault_kind::drop_in_head, true);
    CHECK(!in_head.empty());
    CHECK(in_head.size() < head);
    CHECK(dropped(fault_kind::drop_after_head, true).size() == head);
    const std::string in_body = dropped(fault_kind::drop_in_body, true);
    CHECK(in_body.size() > head);
    CHECK(in_body.size() < whole.size());
    fault reset = make(fault_kind::drop_before_head);
    reset.reset = true;
    server.inject(reset);
    CHECK(bytes_of(server).empty());
}

TEST_CASE("gateway faults: lies about the body") {
    gateway server;
    const auto faulty = [&](fault_kind kind) {
        server.inject(make(kind));
        return bytes_of(server);
    };
    const std::string body = R"({"authorized":"yes","echo":"x"})"; // 31 bytes
    CHECK(faulty(fault_kind::length_too_long).find("Content-Length: 41\r\n") != std::string::npos);
    CHECK(faulty(fault_kind::length_too_short).find("Content-Length: 30\r\n") != std::string::npos);
    CHECK(faulty(fault_kind::bad_chunk).find("1\r\n{\r\nno length\r\n") != std::string::npos);
    CHECK(faulty(fault_kind::garbage_response).compare(0, 4, "HTTP") != 0);
    const std::string garbage = faulty(fault_kind::garbage_body);
    CHECK(garbage.find("application/json") != std::string::npos);
    CHECK_FALSE(json::accept(garbage.substr(garbage.find("\r\n\r\n") + 4)));
    fault raw = make(fault_kind::raw);
    raw.bytes = std::string("HTTP/1.1 200 OK\r\n\0\r\n", 20);
    server.inject(raw);
    CHECK(bytes_of(server) == raw.bytes);
}

TEST_CASE("gateway faults: slow answers are whole in the end") {
    gateway server;
    for (const fault_kind kind : {fault_kind::drip_head, fault_kind::drip_body, fault_kind::delay}) {
        const std::size_t number = server.inject(make(kind));
        const answer got = call(server, "POST", "/auth/test", {{"echo", "x"}});
        CHECK(got.status == 200);
        CHECK(got.is_complete);
        CHECK(server.fault_uses(number) == 1);
    }
}

TEST_CASE("gateway faults: a stall ends with the peer, and with the gateway") {
    auto server = std::make_unique<gateway>();
    fault item = make(fault_kind::stall);
    item.times = -1;
    const std::size_t number = server->inject(item);
    {
        connection peer(*server);
        peer.send(request_text(*server, "POST", "/auth/test", R"({"echo":"x"})"));
        CHECK_FALSE(peer.socket().wait_readable(std::chrono::milliseconds(100)));
    }
    connection peer(*server);
    peer.send(request_text(*server, "POST", "/auth/test", R"({"echo":"x"})"));
    CHECK_FALSE(peer.socket().wait_readable(std::chrono::milliseconds(100)));
    CHECK(server->fault_uses(number) == 2);
    server.reset();
    CHECK(peer.receive_all().empty());
}

TEST_CASE("gateway faults: a wrong clock") {
    gateway server;
    server.inject(make(fault_kind::clock_skew));
    const answer got = call(server, "POST", "/auth/test", {{"echo", "x"}});
    CHECK(got.status == 400);
    CHECK(got.data()["type"] == "https://api.backend.ai/probs/invalid-auth-params");
    CHECK(server.served("POST", "/auth/test") == 0);
}

TEST_CASE("gateway faults: without a connection the reply carries the fault") {
    gateway server;
    fault item;
    item.kind = fault_kind::drop_in_body;
    item.times = 1;
    server.inject(item);
    const auto reply = server.handle({"GET", "/", {}, {}});
    CHECK(reply.status == 200);
    REQUIRE(reply.wire_fault);
    CHECK(reply.wire_fault->kind == fault_kind::drop_in_body);
    CHECK_FALSE(server.handle({"GET", "/", {}, {}}).wire_fault);
}
