// Calls through an HTTP proxy on each transport with sockets of its own: what the scripts of tests/interop cannot see.
#include "stream_support.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

namespace {

using namespace stream_support;

api_config config_by(const connect_proxy& proxy, const testing::gateway& gateway, const tls_front& front) {
    api_config config = config_for(gateway);
    config.endpoint = "https://localhost:" + std::to_string(front.port());
    config.ca_file = hostile::certificate("ca");
    config.proxy = "http://127.0.0.1:" + std::to_string(proxy.port());
    return config;
}

} // namespace

TEST_CASE_TEMPLATE("proxy: a tunnel is kept for later calls, as a connection is", T, BACKENDAI_SOCKET_TRANSPORTS) {
    testing::gateway gateway;
    hostile::tls_options options;
    options.certificate = hostile::certificate("good");
    tls_front front(gateway.port(), options);
    connect_proxy proxy;
    basic_session<T, blocking> session(config_by(proxy, gateway, front));
    for (int i = 0; i < 5; ++i) CHECK(session.hello().version == "v4.20190315");
    CHECK(proxy.tunnels() == 1);
    const std::string large(3'000'000, 'x'); // both ways
    const auto answer = request(session, "POST", "/auth/test").set_json({{"echo", large}}).fetch();
    CHECK(answer.json().at("echo") == large);
    CHECK(proxy.tunnels() == 1);
}

TEST_CASE_TEMPLATE("proxy: one that does not answer costs no more than the call's limit", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    hostile::server mute([](hostile::peer& client) { client.stall(); });
    for (const std::string scheme : {"http", "https"}) {
        api_config config;
        config.endpoint = scheme + "://localhost:1";
        config.access_key = "AKIAPROXY";
        config.secret_key = "not-for-others";
        config.version = "v4.20190315";
        config.proxy = mute.endpoint();
        config.retry.max_attempts = 1;
        config.connect_timeout = config.read_timeout = milliseconds(200);
        basic_session<T, blocking> hasty(config);
        config.connect_timeout = config.read_timeout = seconds(60);
        basic_session<T, blocking> patient(config);
        const auto check = [&](const char* what, auto&& call) {
            const auto start = std::chrono::steady_clock::now();
            const call_result result = result_of(call);
            INFO(scheme << ": " << result.message);
            CHECK(result.what == what);
            CHECK(std::chrono::steady_clock::now() - start < milliseconds(400) + seconds(2));
        };
        check("timeout", [&] { hasty.hello(); });
        check("timeout", [&] { hasty.kernel("x").stream_pty(); });
        call_options limits;
        limits.timeout = milliseconds(200);
        check("timeout", [&] { patient.with(limits).hello(); });
        const cancel_source source;
        call_options stop;
        stop.cancel = source.token();
        const int before = mute.connections();
        std::thread other([&] {
            while (mute.connections() == before) std::this_thread::yield();
            source.cancel();
        });
        check("cancelled", [&] { patient.with(stop).hello(); });
        other.join();
    }
}

TEST_CASE_TEMPLATE("proxy: a server that asks for another handshake hears nothing that was meant for the proxy", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    hostile::tls_options options;
    options.certificate = hostile::certificate("good");
    options.max_version = TLS1_2_VERSION;
    const hostile::tls_context context(options);
    std::atomic<int> requests{0};
    std::atomic<bool> plain{false};
    hostile::server proxy([&](hostile::peer& client) {
        if (!client.read_request()) return;
        client.send("HTTP/1.1 200 Connection established\r\n\r\n");
        hostile::tls_peer origin(client, context);
        if (!origin.handshake() || !origin.read_request()) return;
        ++requests;
        origin.send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
        if (!origin.read_request()) return;
        ++requests;
        origin.ask_anew();
        plain = client.read_some().find("CONNECT") != std::string::npos; // else an alert, or nothing
        origin.send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
    });
    api_config config;
    config.endpoint = "https://localhost:1";
    config.access_key = "AKIAPROXY";
    config.secret_key = "not-for-others";
    config.version = "v4.20190315";
    config.ca_file = hostile::certificate("ca");
    config.proxy = "http://user:password@127.0.0.1:" + std::to_string(proxy.port());
    config.read_timeout = seconds(3);
    basic_session<T, blocking> session(config);
    CHECK(request(session, "GET", "/").fetch().status() == 200);
    const call_result second = result_of([&] { request(session, "POST", "/unsafe").set_json({}).fetch(); });
    INFO(second.message);
    CHECK_FALSE(plain);
    CHECK(requests == 2); // a call that may have done something is not made again
}
