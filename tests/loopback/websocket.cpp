// Websockets on a session, on each transport with sockets of its own: the low level, its errors, dead peers, TLS and
// proxies.
#include "stream_support.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace stream_support;
using hostile::peer;
using testing::fault_kind;

// A peer that accepts every handshake and then does what a test says, with frames by its own hand.
class frame_server {
public:
    explicit frame_server(std::function<void(peer&)> play, std::string fields = {})
        : server_([play = std::move(play), fields = std::move(fields)](peer& client) {
              const auto request = client.read_request(false);
              if (!request) return;
              const codec::websocket_server_answer answer = codec::websocket_answer("GET", fields_of(request->head));
              std::string head = "HTTP/1.1 101 Switching Protocols\r\n" + fields;
              for (const auto& field : answer.headers) head += field.first + ": " + field.second + "\r\n";
              if (client.send(head + "\r\n")) play(client);
          }) {}
    std::string endpoint() const { return server_.endpoint(); }

private:
    static std::vector<std::pair<std::string, std::string>> fields_of(const std::string& head) {
        std::vector<std::pair<std::string, std::string>> fields;
        for (std::size_t at = head.find("\r\n") + 2; at + 2 < head.size();) {
            const std::size_t end = head.find("\r\n", at), colon = head.find(": ", at);
            fields.emplace_back(head.substr(at, colon - at), head.substr(colon + 2, end - colon - 2));
            at = end + 2;
        }
        return fields;
    }
    hostile::server server_;
};

api_config config_for_endpoint(const std::string& endpoint) {
    api_config config;
    config.endpoint = endpoint;
    config.access_key = "AKIASOCKET";
    config.secret_key = "not-for-others";
    config.version = "v4.20190315";
    config.proxy = "";
    config.retry.max_attempts = 1;
    return config;
}

template <class T>
std::unique_ptr<message_stream> open(basic_session<T, blocking>& session, const std::string& path = "/anything",
                                     const std::string& protocols = {}) {
    request opening(session, "GET", path);
    if (!protocols.empty()) opening.set_header("Sec-WebSocket-Protocol", protocols);
    return opening.connect_websocket();
}

} // namespace

TEST_CASE_TEMPLATE("websocket: the low level talks to the gateway", T, BACKENDAI_SOCKET_TRANSPORTS) {
    fixture<T> here;
    const auto kernel = here.make();
    // The method, and a body, of the request do not count: a handshake is a GET without one.
    auto stream = request(here.session, "POST", "/stream/kernel/" + kernel.kernel_id() + "/execute")
                      .set_json({{"not", "sent"}})
                      .connect_websocket();
    CHECK(stream->protocol().empty());
    CHECK_FALSE(stream->receive_for(milliseconds(1)));
    const json command = {{"mode", "query"}, {"code", "print(6*7)"}, {"options", json::object()}};
    stream->send_text(command.dump());
    std::string out;
    json message;
    do {
        const auto received = stream->receive_for(milliseconds::max()); // which is later than the clock can tell
        REQUIRE(received);
        message = json::parse(received->data);
        for (const json& record : message.at("console")) out += record.at(1).template get<std::string>();
    } while (message.at("status") != "finished");
    CHECK(out == "42\n");
    const stream_message end = stream->receive();
    CHECK(end.is_closed());
    CHECK(end.code == 1000);
    CHECK(stream->receive().is_closed()); // and again
    CHECK(result_of([&] { stream->send_text("late"); }).what == "closed");
    CHECK_NOTHROW(stream->close());
    CHECK(here.gateway.served("GET", "/stream/kernel/" + kernel.kernel_id() + "/execute") == 1);
}

TEST_CASE_TEMPLATE("websocket: a handshake that is refused is an api_error with the server's body", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    fixture<T> here;
    CHECK(result_of([&] { open(here.session, "/stream/kernel/none/execute"); }).what == "api 404");
    CHECK(result_of([&] { open(here.session, "/no/such/path"); }).what == "api 404");
    CHECK(result_of([&] { open(here.session, "/"); }).what != "ok"); // 200 is no 101
    api_config wrong = config_for(here.gateway);
    wrong.secret_key = "not-the-key";
    basic_session<T, blocking> stranger(wrong);
    try {
        open(stranger, "/stream/kernel/none/execute");
        FAIL("a wrong key was accepted");
    } catch (const api_error& e) {
        CHECK(e.status() == 401);
        CHECK(e.type() == "https://api.backend.ai/probs/auth-failed");
    }
    // A proxy in front says it in HTML; and a busy server is asked again, as a handshake has no effect.
    testing::fault busy;
    busy.bytes = "<h1>busy</h1>";
    busy.times = 1;
    busy.retry_after = "0";
    const auto number = here.gateway.inject(busy);
    const auto kernel = here.session.kernel("none");
    CHECK(result_of([&] { kernel.stream_pty(); }).what == "api 404");
    CHECK(here.gateway.fault_uses(number) == 1);
}

TEST_CASE_TEMPLATE("websocket: answers that are no handshake", T, BACKENDAI_SOCKET_TRANSPORTS) {
    struct row {
        const char* answer;
        std::string what;
    };
    const row rows[] = {
        {"HTTP/1.1 101 Switching Protocols\r\n\r\n", "protocol"},
        {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
         "protocol"},
        {"garbage\r\n\r\n", "protocol"},
        {"", "connect"},
        {"HTTP/1.1 101 Swi", "protocol"},
        {"HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno!", "api 403"},
        {"HTTP/1.1 302 Found\r\nLocation: /else\r\nContent-Length: 0\r\n\r\n", "api 302"},
        {"HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nno!\r\n0\r\n\r\n", "api 500"},
    };
    for (const row& each : rows) {
        hostile::server server([&](peer& client) {
            if (client.read_request(false)) client.send(each.answer);
        });
        basic_session<T, blocking> session(config_for_endpoint(server.endpoint()));
        const call_result result = result_of([&] { open(session); });
        INFO(std::string(each.answer));
        INFO(result.message);
        CHECK(result.what == each.what);
    }
}

TEST_CASE_TEMPLATE("websocket: a handshake obeys time limits and cancels", T, BACKENDAI_SOCKET_TRANSPORTS) {
    hostile::server server([](peer& client) { client.stall(); });
    const api_config config = config_for_endpoint(server.endpoint());
    const auto check = [&](const char* what, auto&& call) {
        const auto start = std::chrono::steady_clock::now();
        const call_result result = result_of(call);
        INFO(result.message);
        CHECK(result.what == what);
        CHECK(std::chrono::steady_clock::now() - start < milliseconds(500) + seconds(2));
    };
    {
        api_config limited = config;
        limited.read_timeout = limited.compute_timeout = milliseconds(200);
        basic_session<T, blocking> session(limited);
        check("timeout", [&] { open(session); });
    }
    basic_session<T, blocking> session(config);
    call_options limits;
    limits.timeout = milliseconds(200);
    check("timeout", [&] { session.with(limits).kernel("x").stream_pty(); });
    const cancel_source source;
    call_options stop;
    stop.cancel = source.token();
    std::thread other([&] {
        while (server.connections() < 3) std::this_thread::yield();
        source.cancel();
    });
    check("cancelled", [&] { session.with(stop).kernel("x").stream_pty(); });
    other.join();
    std::thread closer([&] {
        while (server.connections() < 4) std::this_thread::yield();
        session.close();
    });
    check("closed", [&] { open(session); });
    closer.join();
}

TEST_CASE_TEMPLATE("websocket: subprotocols", T, BACKENDAI_SOCKET_TRANSPORTS) {
    frame_server server([](peer& client) { client.wait_for_end(seconds(5)); }, "Sec-WebSocket-Protocol: second\r\n");
    basic_session<T, blocking> session(config_for_endpoint(server.endpoint()));
    CHECK(open(session, "/", "first, second")->protocol() == "second");
    CHECK(result_of([&] { open(session, "/", "first"); }).what == "protocol"); // one that was not offered
    CHECK(result_of([&] { open(session, "/"); }).what == "protocol");
    CHECK(result_of([&] { open(session, "/", "a b"); }).what == "argument");
}

TEST_CASE_TEMPLATE("websocket: messages that came with the handshake's answer are not lost", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    // The whole conversation in one piece: answer, a fragmented text with a ping inside, a close with a reason.
    hostile::server server([](peer& client) {
        const auto request = client.read_request(false);
        const std::size_t at = request->head.find("Sec-WebSocket-Key: ") + 19;
        const std::string key = request->head.substr(at, request->head.find('\r', at) - at);
        client.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    "Sec-WebSocket-Accept: " +
                    codec::websocket_accept(key) +
                    "\r\n\r\n"
                    "\x01\x02He\x89\x01p\x80\x03llo\x82\x01\xff\x88\x05\x0f\xa1"
                    "bye");
        client.wait_for_end(seconds(5));
    });
    basic_session<T, blocking> session(config_for_endpoint(server.endpoint()));
    const auto stream = open(session);
    const stream_message text = stream->receive();
    CHECK(text.is_text());
    CHECK(text.data == "Hello");
    const stream_message binary = stream->receive();
    CHECK(binary.is_binary());
    CHECK(binary.data == "\xff");
    const stream_message end = stream->receive();
    CHECK(end.is_closed());
    CHECK(end.code == 4001);
    CHECK(end.data == "bye");
}

TEST_CASE_TEMPLATE("websocket: a peer that breaks the rules", T, BACKENDAI_SOCKET_TRANSPORTS) {
    struct row {
        std::string bytes, what;
    };
    const row rows[] = {
        {std::string("\x81\x80\0\0\0\0", 6), "protocol"},            // masked
        {"\x81\x02\xc3\x28", "protocol"},                            // not UTF-8
        {"\xc1\x01x", "protocol"},                                   // a reserved bit
        {"\x83\x01x", "protocol"},                                   // an opcode that nobody knows
        {"\x80\x01x", "protocol"},                                   // goes on with nothing
        {std::string("\x82\x7f\x40\0\0\0\0\0\0\0", 10), "protocol"}, // 4 EiB
        {"\x88\x01x", "protocol"},                                   // a close code of one byte
        {"\x81\x05he", "connect"},                                   // cut off
        {"", "connect"},
    };
    for (const row& each : rows) {
        std::atomic<bool> told{false};
        frame_server server([&](peer& client) {
            client.send(each.bytes);
            if (each.what == "connect") return;
            std::string all;
            for (std::string more = client.read_some(); !more.empty(); more = client.read_some()) all += more;
            // A close frame, masked, whose code is 1002, 1007 or 1009.
            told = all.size() >= 8 && all[0] == '\x88' && (all[1] & 0x80) != 0 && (all[2] ^ all[6]) == 0x03;
        });
        {
            basic_session<T, blocking> session(config_for_endpoint(server.endpoint()));
            const auto stream = open(session);
            const call_result result = result_of([&] { stream->receive(); });
            INFO(result.message);
            CHECK(result.what == each.what);
            CHECK(result_of([&] { stream->receive(); }).what == each.what); // and again
        }
        if (each.what == "protocol") CHECK(soon([&] { return told.load(); }));
    }
}

TEST_CASE_TEMPLATE("websocket: the limit on messages is the configuration's", T, BACKENDAI_SOCKET_TRANSPORTS) {
    frame_server server([](peer& client) {
        client.send("\x82\x7e\x03\xe8" + std::string(1000, 'x'));
        client.send("\x82\x7e\x03\xe9" + std::string(1001, 'x'));
        client.wait_for_end(seconds(5));
    });
    api_config config = config_for_endpoint(server.endpoint());
    config.max_websocket_message = 1000;
    basic_session<T, blocking> session(config);
    const auto stream = open(session);
    CHECK(stream->receive().data.size() == 1000);
    CHECK(result_of([&] { stream->receive(); }).what == "protocol");
}

TEST_CASE_TEMPLATE("websocket: cancel from another thread ends a receive and a send", T, BACKENDAI_SOCKET_TRANSPORTS) {
    frame_server server([](peer& client) {
        while (!client.stopping()) std::this_thread::sleep_for(milliseconds(5)); // neither reads nor writes
    });
    basic_session<T, blocking> session(config_for_endpoint(server.endpoint()));
    for (const bool sends : {false, true}) {
        const auto stream = open(session);
        std::atomic<int> sent{0};
        call_result result;
        std::thread worker([&] {
            result = result_of([&] {
                if (!sends) stream->receive();
                const std::string block(1 << 20, 'x');
                for (;; ++sent) stream->send_binary(block);
            });
        });
        int before = -1;
        if (sends) { // until nothing moves any more
            while (before != sent) {
                before = sent;
                std::this_thread::sleep_for(milliseconds(100));
            }
        }
        const auto start = std::chrono::steady_clock::now();
        stream->cancel();
        worker.join();
        CHECK(std::chrono::steady_clock::now() - start < milliseconds(200) + seconds(2));
        CHECK(result.what == "cancelled");
        CHECK(result_of([&] { stream->send_text("x"); }).what == "cancelled");
        CHECK(result_of([&] { stream->receive(); }).what == "cancelled");
    }
}

TEST_CASE_TEMPLATE("websocket: a dead peer is found by pings, a quiet one is left alone", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    std::atomic<bool> answers{true};
    std::atomic<int> pings{0};
    frame_server server([&](peer& client) {
        std::string all;
        for (std::string more = client.read_some(); !more.empty(); more = client.read_some()) {
            all += more;
            while (all.size() >= 6 && all[0] == '\x89' && all[1] == '\x80') { // a ping without payload
                all.erase(0, 6);
                ++pings;
                if (answers) client.send(std::string("\x8a\x00", 2));
            }
        }
    });
    api_config config = config_for_endpoint(server.endpoint());
    config.websocket_ping_interval = milliseconds(20);
    config.websocket_ping_timeout = milliseconds(1000);
    basic_session<T, blocking> session(config);
    for (const bool receives : {true, false}) {
        answers = true;
        const auto stream = open(session);
        const int before = pings;
        if (receives) {
            CHECK_FALSE(stream->receive_for(milliseconds(300)));
        } else {
            std::this_thread::sleep_for(milliseconds(300)); // the keeper sees the pongs
        }
        CHECK(pings - before >= 3);
        CHECK_NOTHROW(stream->send_text("alive"));
        answers = false;
        const auto start = std::chrono::steady_clock::now();
        const call_result result = result_of([&] { stream->receive(); });
        INFO(result.message);
        CHECK(result.what == "timeout");
        CHECK(std::chrono::steady_clock::now() - start < milliseconds(1000) + seconds(5));
        CHECK(result_of([&] { stream->send_text("x"); }).what == "timeout");
    }
}

TEST_CASE_TEMPLATE("websocket: one reads while others write", T, BACKENDAI_SOCKET_TRANSPORTS) {
    for (const bool secure : {false, true}) {
        fixture<T> here;
        std::optional<tls_front> front;
        api_config config = config_for(here.gateway);
        if (secure) {
            hostile::tls_options options;
            options.certificate = hostile::certificate("good");
            front.emplace(here.gateway.port(), options);
            config.endpoint = "https://localhost:" + std::to_string(front->port());
            config.ca_file = hostile::certificate("ca");
        }
        basic_session<T, blocking> session(config);
        const auto kernel = session.kernel().get_or_create("bash");
        const auto stream =
            request(session, "GET", "/stream/kernel/" + kernel.kernel_id() + "/tcpproxy?app=echo").connect_websocket();
        constexpr int writers = 3, blocks = 100;
        constexpr std::size_t size = 8000;
        std::vector<std::thread> threads;
        for (int w = 0; w < writers; ++w) {
            threads.emplace_back([&, w] {
                for (int i = 0; i < blocks; ++i) stream->send_binary(std::string(size, static_cast<char>('a' + w)));
            });
        }
        std::map<char, std::size_t> counts;
        std::size_t changes = 0, total = 0;
        char last = 0;
        while (total < writers * blocks * size) {
            const stream_message message = stream->receive();
            REQUIRE(message.is_binary());
            total += message.data.size();
            for (const char c : message.data) {
                ++counts[c];
                if (c != last) ++changes;
                last = c;
            }
        }
        for (std::thread& thread : threads) thread.join();
        CHECK(counts.size() == writers);
        for (const auto& count : counts) CHECK(count.second == blocks * size);
        CHECK(changes <= writers * blocks); // no message was torn by another
        if (front) CHECK(front->handshakes() >= 2);
    }
}

TEST_CASE_TEMPLATE("websocket: certificates are checked as for HTTP", T, BACKENDAI_SOCKET_TRANSPORTS) {
    fixture<T> here;
    const auto kernel = here.make();
    const auto run_on = [&](const char* name, const char* host, bool skip, int version) {
        hostile::tls_options options;
        options.certificate = hostile::certificate(name);
        options.min_version = options.max_version = version;
        tls_front front(here.gateway.port(), options);
        api_config config = config_for(here.gateway);
        config.endpoint = std::string("https://") + host + ":" + std::to_string(front.port());
        config.retry.max_attempts = 1;
        if (skip) {
            config.skip_sslcert_validation = true;
        } else {
            config.ca_file = hostile::certificate("ca");
        }
        basic_session<T, blocking> session(config);
        const std::size_t before = here.gateway.received();
        std::string out;
        call_result result = result_of([&] {
            for (auto&& event : session.kernel(kernel.kernel_id()).stream_execute("print('secure')")) {
                for (const console_record& record : event.console) out += record.payload;
            }
        });
        INFO(std::string(name) << ": " << result.message);
        if (result.what == "ok") {
            CHECK(out == "secure\n");
        } else {
            CHECK(result.sent == client_error::progress::nothing_sent);
            CHECK(here.gateway.received() == before);
        }
        return result.what;
    };
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        CHECK(run_on("good", "localhost", false, version) == "ok");
        CHECK(run_on("good", "127.0.0.1", false, version) == "ok");
        for (const char* bad : {"expired", "not-yet-valid", "self-signed", "unknown-ca", "wrong-name", "cn-only"}) {
            CHECK(run_on(bad, "localhost", false, version) == "tls");
            CHECK(run_on(bad, "localhost", true, version) == "ok");
        }
        CHECK(run_on("wrong-ip", "127.0.0.1", false, version) == "tls");
    }
}

TEST_CASE_TEMPLATE("websocket: through a proxy, plain and with TLS, with and without a password", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    fixture<T> here;
    const auto kernel = here.make();
    hostile::tls_options options;
    options.certificate = hostile::certificate("good");
    tls_front front(here.gateway.port(), options);
    for (const bool secure : {false, true}) {
        for (const bool locked : {false, true}) {
            connect_proxy proxy(locked ? "Basic dXNlcjpwYTpzcw==" : "");
            const auto run_by = [&](const std::string& credentials) {
                api_config config = config_for(here.gateway);
                if (secure) {
                    config.endpoint = "https://localhost:" + std::to_string(front.port());
                    config.ca_file = hostile::certificate("ca");
                }
                config.retry.max_attempts = 1;
                config.proxy = "http://" + credentials + "127.0.0.1:" + std::to_string(proxy.port());
                basic_session<T, blocking> session(config);
                std::string out;
                call_result result = result_of([&] {
                    auto stream = session.kernel(kernel.kernel_id()).stream_execute("print('far away')");
                    for (auto&& event : stream) {
                        for (const console_record& record : event.console) out += record.payload;
                    }
                });
                INFO(result.message);
                CHECK((out == "far away\n") == (result.what == "ok"));
                CHECK(result.message.find("pa:ss") == std::string::npos);
                return result.what;
            };
            CHECK(run_by(locked ? "user:pa%3Ass@" : "") == "ok");
            CHECK(proxy.tunnels() == 1);
            if (locked) {
                CHECK(run_by("") == "connect");
                CHECK(run_by("user:wrong@") == "connect");
                CHECK(proxy.tunnels() == 1);
            }
        }
    }
    api_config config = config_for(here.gateway);
    config.proxy = "http://127.0.0.1:1"; // nobody there
    config.retry.max_attempts = 1;
    basic_session<T, blocking> session(config);
    CHECK(result_of([&] { session.kernel(kernel.kernel_id()).stream_pty(); }).what == "connect");
}

TEST_CASE_TEMPLATE("websocket: what waits unread is bounded, and nothing of it is lost", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    constexpr int count = 3000;
    std::atomic<int> sent{0};
    frame_server server([&](peer& client) {
        const std::string frame = std::string("\x82\x7e\x40\x00", 4) + std::string(16384, 'x');
        for (; sent < count && client.send(frame); ++sent) {
        }
        client.send(std::string("\x88\x02\x03\xe8", 4));
        client.wait_for_end(seconds(20));
    });
    api_config config = config_for_endpoint(server.endpoint());
    config.websocket_ping_interval = milliseconds(20);
    basic_session<T, blocking> session(config);
    const auto stream = open(session);
    int before = -1;
    while (before != sent) { // nobody receives: the peer comes to a stop, or gets all of it into the system's buffers
        before = sent;
        std::this_thread::sleep_for(milliseconds(300));
    }
    CHECK(sent < count);
    int got = 0;
    for (stream_message message = stream->receive(); !message.is_closed(); message = stream->receive()) {
        CHECK(message.data.size() == 16384);
        ++got;
    }
    CHECK(got == count);
}

TEST_CASE_TEMPLATE("websocket: binary messages that are there already can be had together", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    std::atomic<bool> is_read{false};
    frame_server server([&](peer& client) {
        client.send(std::string("\x82\x02"
                                "ab"
                                "\x82\x03"
                                "cde"
                                "\x89\x00" // a ping between them
                                "\x02\x01" // a message in two fragments
                                "f"
                                "\x80\x01"
                                "g"
                                "\x81\x04"
                                "text"
                                "\x82\x00"
                                "\x82\x02"
                                "hi"
                                "\x82\x02"
                                "jk"
                                "\xc2\x00", // which breaks the rules
                                35));
        while (!is_read && !client.stopping()) std::this_thread::sleep_for(milliseconds(2));
    });
    api_config config = config_for_endpoint(server.endpoint());
    for (const bool is_late : {false, true}) { // read by the call, and before it while nobody received
        is_read = false;
        config.websocket_ping_interval = milliseconds(is_late ? 20 : 30'000);
        basic_session<T, blocking> session(config);
        const auto stream = open(session);
        if (is_late) std::this_thread::sleep_for(milliseconds(200));
        const stream_message first = stream->receive_joined(100);
        CHECK(first.is_binary());
        CHECK(first.data == "abcdefg");
        const stream_message text = stream->receive_joined(100);
        CHECK(text.is_text());
        CHECK(text.data == "text");
        CHECK(stream->receive_joined(2).data == "hi"); // as much as asked for is enough
        CHECK(stream->receive_joined(100).data == "jk");
        CHECK(result_of([&] { stream->receive_joined(100); }).what == "protocol");
        CHECK(result_of([&] { stream->receive_joined(100); }).what == "protocol");
        is_read = true;
    }
}
