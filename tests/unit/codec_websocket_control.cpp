#include <backendai/codec/websocket.hpp>

#include <doctest/doctest.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace codec = backendai::codec;
using codec::websocket_opcode;
using codec::websocket_role;

namespace {

codec::websocket_codec make(websocket_role role) {
    return codec::websocket_codec(role, {}, [] { return codec::websocket_mask_key{{1, 2, 3, 4}}; });
}

// All events in `bytes`, as "opcode payload code"; their answers stay pending.
std::vector<std::string> run(codec::websocket_codec& side, std::string_view bytes) {
    std::vector<std::string> events;
    while (const std::optional<codec::websocket_event> event = side.next(bytes)) {
        events.push_back(std::to_string(static_cast<int>(event->opcode)) + " " + std::string(event->payload) +
                         (event->code != 0 ? " " + std::to_string(event->code) : ""));
    }
    return events;
}

std::string pending(codec::websocket_codec& side) {
    std::string out;
    side.write_pending(out);
    return out;
}

} // namespace

TEST_CASE("a ping is answered by a pong with its payload, several by one for the latest") {
    auto client = make(websocket_role::client);
    auto server = make(websocket_role::server);
    std::string out;
    for (const char* payload : {"one", "two", "three"}) server.write_ping(out, payload);
    CHECK(run(client, out).size() == 3);
    CHECK(client.has_pending());
    CHECK(run(server, pending(client)) == std::vector<std::string>{"10 three"});
    CHECK_FALSE(client.has_pending());
    CHECK(pending(client).empty());
}

TEST_CASE("the peer's close is echoed with its code, and the connection is then over for both") {
    auto client = make(websocket_role::client);
    auto server = make(websocket_role::server);
    std::string out;
    CHECK(server.write_close(out, 4001, "session gone"));
    CHECK_FALSE(server.control().may_send());
    CHECK(run(client, out) == std::vector<std::string>{"8 session gone 4001"});
    CHECK_FALSE(client.control().finished()); // the echo is not sent yet
    CHECK(client.control().peer_close_code() == 4001);
    CHECK(client.control().peer_close_reason() == "session gone");
    CHECK(run(server, pending(client)) == std::vector<std::string>{"8  4001"});
    CHECK(client.control().finished());
    CHECK(client.control().clean());
    CHECK(server.control().finished());
    CHECK(server.control().clean());
    CHECK(pending(server).empty()); // no echo of an echo
}

TEST_CASE("an empty close is answered by an empty one and reads as 1005") {
    auto client = make(websocket_role::client);
    CHECK(run(client, std::string_view("\x88\x00", 2)) == std::vector<std::string>{"8  1005"});
    auto server = make(websocket_role::server);
    CHECK(run(server, pending(client)) == std::vector<std::string>{"8  1005"});
}

TEST_CASE("closes that cross each other end the connection without further answers") {
    auto client = make(websocket_role::client);
    auto server = make(websocket_role::server);
    std::string from_client;
    std::string from_server;
    client.write_close(from_client, 1000, "done");
    server.write_close(from_server, 1001, "shutdown");
    run(client, from_server);
    run(server, from_client);
    CHECK(pending(client).empty());
    CHECK(pending(server).empty());
    CHECK(client.control().clean());
    CHECK(server.control().clean());
    CHECK(client.control().peer_close_code() == 1001);
    CHECK(server.control().peer_close_code() == 1000);
}

TEST_CASE("after our close nothing but what the peer still sends goes on") {
    auto client = make(websocket_role::client);
    auto server = make(websocket_role::server);
    std::string out;
    CHECK(client.write_close(out));
    CHECK_FALSE(client.write_close(out, 1001, "again"));
    CHECK_THROWS_AS(client.write_message(out, websocket_opcode::text, "x"), std::logic_error);
    CHECK_THROWS_AS(client.write_fragment(out, websocket_opcode::text, "x", true), std::logic_error);
    CHECK_THROWS_AS(client.write_ping(out, "x"), std::logic_error);
    CHECK(run(server, out) == std::vector<std::string>{"8  1000"});
    std::string late;
    auto other_server = make(websocket_role::server);
    other_server.write_message(late, websocket_opcode::text, "still under way");
    other_server.write_ping(late, "p");
    CHECK(run(client, late) == std::vector<std::string>{"1 still under way", "9 p"});
    CHECK(pending(client).empty()); // no pong after a close frame
    CHECK_FALSE(client.control().finished());
}

TEST_CASE("a violation sends a close frame with its code and ends the connection") {
    auto client = make(websocket_role::client);
    auto server = make(websocket_role::server);
    std::string_view bad("\x89\x01p\x81\x01\xff", 6);
    CHECK(client.next(bad));
    CHECK_THROWS_AS(client.next(bad), codec::websocket_error);
    CHECK(run(server, pending(client)) == std::vector<std::string>{"8  1007"});
    CHECK(client.control().finished());
    CHECK_FALSE(client.control().clean());
    CHECK(client.control().peer_close_code() == 1006);
}

TEST_CASE("a pong that waits goes before our own close frame") {
    auto client = make(websocket_role::client);
    auto server = make(websocket_role::server);
    std::string out;
    server.write_ping(out, "p");
    run(client, out);
    out.clear();
    client.write_close(out);
    CHECK(run(server, out) == std::vector<std::string>{"10 p", "8  1000"});
}

TEST_CASE("control frames go between the fragments of our message") {
    auto client = make(websocket_role::client);
    auto server = make(websocket_role::server);
    std::string out;
    client.write_fragment(out, websocket_opcode::text, "Hel", false);
    client.write_ping(out, "p");
    client.write_fragment(out, websocket_opcode::text, "lo", true);
    CHECK(run(server, out) == std::vector<std::string>{"9 p", "1 Hello"});
}

TEST_CASE("a close code that may not be sent changes nothing") {
    auto client = make(websocket_role::client);
    std::string out;
    CHECK_THROWS_AS(client.write_close(out, 1006), std::invalid_argument);
    CHECK(out.empty());
    CHECK(client.control().may_send());
}

TEST_CASE("what a peer sends after its close frame changes nothing") {
    codec::websocket_control control;
    codec::websocket_event event;
    event.opcode = websocket_opcode::close;
    event.code = 1000;
    event.payload = "first";
    control.received(event);
    event.code = 1001;
    event.payload = "second";
    control.received(event);
    event.opcode = websocket_opcode::ping;
    control.received(event);
    CHECK(control.peer_close_code() == 1000);
    CHECK(control.peer_close_reason() == "first");
    const auto reply = control.next_reply();
    REQUIRE(reply);
    CHECK(reply->opcode == websocket_opcode::close);
    CHECK(reply->code == 1000);
    CHECK_FALSE(control.next_reply());
}
