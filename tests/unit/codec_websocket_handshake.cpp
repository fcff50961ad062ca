#include <backendai/codec/websocket_handshake.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace codec = backendai::codec;

namespace {

// RFC 6455 section 1.3: the nonce whose base64 is dGhlIHNhbXBsZSBub25jZQ==.
const std::array<unsigned char, 16> sample_nonce = {
    {'t', 'h', 'e', ' ', 's', 'a', 'm', 'p', 'l', 'e', ' ', 'n', 'o', 'n', 'c', 'e'}};
const std::string sample_key = "dGhlIHNhbXBsZSBub25jZQ==";
const std::string sample_accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const std::string agreed = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                           "Sec-WebSocket-Accept: " +
                           sample_accept + "\r\n";

codec::http_fields sample_request() {
    return {{"Host", "server.example.com"},
            {"Upgrade", "websocket"},
            {"Connection", "Upgrade"},
            {"Sec-WebSocket-Key", sample_key},
            {"Sec-WebSocket-Protocol", "chat, superchat"},
            {"Sec-WebSocket-Version", "13"}};
}

void set(codec::http_fields& fields, const std::string& name, const std::string& value) {
    for (auto& field : fields) {
        if (codec::equals_ignoring_case(field.first, name)) field.second = value;
    }
}

// What the client says to an answer: "" when it accepts, else the text of the error. Whole and byte by byte.
std::string objection(const std::string& answer, const std::vector<std::string>& protocols = {}) {
    std::string verdicts[2];
    for (const std::size_t chunk : {answer.size(), std::size_t{1}}) {
        codec::websocket_client_handshake handshake(sample_nonce, protocols);
        std::string& verdict = verdicts[chunk == 1 ? 1 : 0];
        try {
            for (std::size_t at = 0; at < answer.size(); at += chunk) {
                std::string_view input = std::string_view(answer).substr(at, chunk);
                if (handshake.feed(input)) break;
            }
            if (!handshake.accepted()) verdict = "refused";
        } catch (const codec::decode_error& error) {
            verdict = error.what();
        }
    }
    CHECK(verdicts[0] == verdicts[1]);
    return verdicts[0];
}

} // namespace

TEST_CASE("key and accept are those of RFC 6455 section 1.3") {
    CHECK(codec::websocket_accept(sample_key) == sample_accept);
    const codec::http_fields headers = codec::websocket_client_handshake(sample_nonce, {"chat", "superchat"}).headers();
    CHECK(headers == codec::http_fields{{"Upgrade", "websocket"},
                                        {"Connection", "Upgrade"},
                                        {"Sec-WebSocket-Key", sample_key},
                                        {"Sec-WebSocket-Version", "13"},
                                        {"Sec-WebSocket-Protocol", "chat, superchat"}});
    CHECK(codec::find_field(codec::websocket_client_handshake(sample_nonce).headers(), "Sec-WebSocket-Protocol") ==
          nullptr);
}

TEST_CASE("subprotocols that are no tokens, or repeat, are not offered") {
    for (const char* bad : {"", "a b", "a,b", "a\r\nX: y", "\xc3\xa9"}) {
        CHECK_THROWS_AS(codec::websocket_client_handshake(sample_nonce, {bad}), std::invalid_argument);
    }
    CHECK_THROWS_AS(codec::websocket_client_handshake(sample_nonce, {"a", "b", "a"}), std::invalid_argument);
}

TEST_CASE("bytes behind the 101 head stay for the frame decoder") {
    const std::string answer = agreed + "\r\n\x81\x05Hello";
    for (std::size_t cut = 0; cut <= answer.size(); ++cut) {
        codec::websocket_client_handshake handshake(sample_nonce);
        std::string_view first = std::string_view(answer).substr(0, cut);
        std::string_view second = std::string_view(answer).substr(cut);
        handshake.feed(first);
        REQUIRE(handshake.feed(second));
        CHECK(handshake.accepted());
        CHECK(std::string(first) + std::string(second) == "\x81\x05Hello");
    }
}

TEST_CASE("the client accepts only an answer that agrees to what it asked") {
    CHECK(objection(agreed + "\r\n") == "");
    CHECK(objection(agreed + "X-Other: a\r\nX-Other: b\r\n\r\n") == "");
    CHECK(objection(agreed + "Content-Length: 0\r\n\r\n") == "");
    CHECK(objection(agreed + "Sec-WebSocket-Protocol: superchat\r\n\r\n", {"chat", "superchat"}) == "");
    CHECK(objection(agreed + "\r\n", {"chat"}) == "");
    const auto with = [](const std::string& upgrade, const std::string& connection, const std::string& accept) {
        return "HTTP/1.1 101 x\r\n" + upgrade + connection + accept + "\r\n";
    };
    const std::string upgrade = "UPGRADE: WebSocket\r\n";
    const std::string connection = "connection: keep-alive, upgrade\r\n";
    const std::string accept = "Sec-Websocket-Accept:" + sample_accept + "\r\n";
    CHECK(objection(with(upgrade, connection, accept)) == "");
    const std::string prefix = "websocket handshake: ";
    CHECK(objection(with("", connection, accept)) == prefix + "no upgrade to websocket");
    CHECK(objection(with("Upgrade: h2c\r\n", connection, accept)) == prefix + "no upgrade to websocket");
    CHECK(objection(with(upgrade, "", accept)) == prefix + "no upgrade of the connection");
    CHECK(objection(with(upgrade, "Connection: close\r\n", accept)) == prefix + "no upgrade of the connection");
    CHECK(objection(with(upgrade, connection, "")) == prefix + "wrong Sec-WebSocket-Accept");
    CHECK(objection(with(upgrade, connection, "Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n")) ==
          prefix + "wrong Sec-WebSocket-Accept");
    CHECK(objection(with(upgrade, connection, "Sec-WebSocket-Accept: " + sample_key + "\r\n")) ==
          prefix + "wrong Sec-WebSocket-Accept");
    CHECK(objection(with(upgrade, connection, accept + accept)) == prefix + "repeated header Sec-WebSocket-Accept");
    CHECK(objection(with(upgrade + upgrade, connection, accept)) == prefix + "repeated header Upgrade");
    CHECK(objection(agreed + "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n") ==
          prefix + "extension that was not offered");
    CHECK(objection(agreed + "Sec-WebSocket-Protocol: mqtt\r\n\r\n", {"chat"}) ==
          prefix + "subprotocol that was not offered");
    CHECK(objection(agreed + "Sec-WebSocket-Protocol: chat\r\n\r\n") == prefix + "subprotocol that was not offered");
    CHECK(objection(agreed + "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: chat\r\n\r\n", {"chat"}) ==
          prefix + "repeated header Sec-WebSocket-Protocol");
    CHECK(objection(agreed + "Content-Length: 5\r\n\r\n") == prefix + "101 with a body");
    CHECK(objection(agreed + "Transfer-Encoding: chunked\r\n\r\n") == prefix + "101 with a body");
    CHECK(objection("HTTP/1.0 101 x\r\n\r\n") == "http response: protocol switch in HTTP/1.0");
    CHECK(objection("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") == "refused");
}

TEST_CASE("a refusal hands out status, reason, headers and body") {
    codec::websocket_client_handshake handshake(sample_nonce);
    std::string_view input = "HTTP/1.1 401 Unauthorized\r\nContent-Type: application/problem+json\r\n"
                             "Content-Length: 25\r\n\r\n{\"title\": \"Unauthorized\"}rest";
    REQUIRE(handshake.feed(input));
    CHECK_FALSE(handshake.accepted());
    CHECK(handshake.response().status == 401);
    CHECK(handshake.response().reason == "Unauthorized");
    CHECK(*codec::find_field(handshake.response().headers, "content-type") == "application/problem+json");
    CHECK(handshake.response().body == "{\"title\": \"Unauthorized\"}");
    CHECK(input == "rest");

    codec::websocket_client_handshake closed(sample_nonce);
    input = "HTTP/1.1 502 Bad Gateway\r\n\r\nsorry";
    CHECK_FALSE(closed.feed(input));
    closed.finish();
    CHECK_FALSE(closed.accepted());
    CHECK(closed.response().body == "sorry");

    codec::websocket_client_handshake early(sample_nonce);
    input = "HTTP/1.1 101 Switch";
    CHECK_FALSE(early.feed(input));
    CHECK_THROWS_AS(early.finish(), codec::decode_error);
}

TEST_CASE("the server's answer is the one of RFC 6455 section 1.3, and pleases our client") {
    const auto answer = codec::websocket_answer("GET", sample_request(), {"chat"});
    REQUIRE(answer.accepted());
    CHECK(answer.protocol == "chat");
    CHECK(answer.head() == agreed + "Sec-WebSocket-Protocol: chat\r\n\r\n");
    CHECK(objection(answer.head(), {"chat", "superchat"}) == "");
    // The client's order decides, not the server's.
    CHECK(codec::websocket_answer("GET", sample_request(), {"superchat", "chat"}).protocol == "chat");
    CHECK(codec::websocket_answer("GET", sample_request(), {"mqtt"}).protocol.empty());
    auto lists = sample_request();
    set(lists, "Connection", "keep-alive, UPGRADE");
    set(lists, "Upgrade", "h2c, WebSocket");
    lists.emplace_back("Sec-WebSocket-Extensions", "permessage-deflate");
    const auto declined = codec::websocket_answer("GET", lists);
    CHECK(declined.accepted());
    CHECK(codec::find_field(declined.headers, "Sec-WebSocket-Extensions") == nullptr);
}

TEST_CASE("the server refuses requests that are no handshake") {
    const auto status = [](const std::string& name, const std::string& value, bool add = false) {
        auto request = sample_request();
        if (add) {
            request.emplace_back(name, value);
        } else {
            set(request, name, value);
        }
        const auto answer = codec::websocket_answer("GET", request);
        CHECK(codec::find_field(answer.headers, "Sec-WebSocket-Accept") == nullptr);
        return answer.status;
    };
    CHECK(codec::websocket_answer("POST", sample_request()).status == 405);
    CHECK(codec::websocket_answer("GET", {}).status == 400);
    CHECK(status("Host", "twice", true) == 400);
    CHECK(status("Upgrade", "h2c") == 426);
    CHECK(status("Connection", "close") == 400);
    CHECK(status("Sec-WebSocket-Version", "8") == 426);
    CHECK(status("Sec-WebSocket-Version", "13", true) == 426);
    CHECK(status("Sec-WebSocket-Key", "") == 400);
    CHECK(status("Sec-WebSocket-Key", "c2hvcnQ=") == 400);
    CHECK(status("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZR==") == 400); // stray bits in the last digit
    CHECK(status("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZ!==") == 400);
    CHECK(status("Sec-WebSocket-Key", sample_key, true) == 400);
    CHECK(status("Sec-WebSocket-Protocol", "a b") == 400);
    const auto old = codec::websocket_answer("GET", {{"Host", "x"}});
    CHECK(old.status == 426);
    CHECK(*codec::find_field(old.headers, "Sec-WebSocket-Version") == "13");
}
