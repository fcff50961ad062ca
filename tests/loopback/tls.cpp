// TLS on both transports that use sockets: what must be refused is refused with kind tls, before anything is sent and
// with words that say what is wrong. The certificates are made when the test begins.
#include "call_result.hpp"
#include "certificates.hpp"
#include "tls_server.hpp"

#include <backendai.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

namespace {

using namespace backendai;
using hostile::answer;
using hostile::certificate;
using hostile::peer;
using hostile::tls_context;
using hostile::tls_options;
using hostile::tls_peer;
using std::chrono::milliseconds;

const std::string greeting = R"({"version":"v4.20190315"})";

tls_options showing(const std::string& name) {
    tls_options options;
    options.certificate = certificate(name);
    return options;
}

api_config config_for(const hostile::server& server, const std::string& host) {
    api_config config;
    config.endpoint = "https://" + host + ":" + std::to_string(server.port());
    config.access_key = "AKIATLS";
    config.secret_key = "not-for-others";
    config.version = "v4.20190315"; // given, so that no greeting comes before the call
    config.retry.max_attempts = 1;
    config.timeout = milliseconds(20'000);
    config.ca_file = certificate("ca");
    return config;
}

// A good server but for its options; counts the requests that reach it.
struct tls_server {
    explicit tls_server(const tls_options& options)
        : context(options), server([this](peer& client) {
              tls_peer secured(client, context);
              if (!secured.handshake()) return;
              while (secured.read_request()) {
                  ++requests;
                  if (!secured.send(answer(greeting))) return;
              }
          }) {}
    tls_context context;
    std::atomic<int> requests{0};
    hostile::server server; // ends before what its threads use
};

template <class Transport>
call_result hello(const api_config& config) {
    return result_of([&] { basic_session<Transport, blocking>(config).hello(); });
}

} // namespace

TEST_CASE_TEMPLATE("tls: a good certificate is accepted, by name and by address", T, BACKENDAI_SOCKET_TRANSPORTS) {
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        tls_options options = showing("good");
        options.min_version = options.max_version = version;
        for (const char* host : {"localhost", "127.0.0.1"}) {
            tls_server peer(options);
            const call_result result = hello<T>(config_for(peer.server, host));
            INFO(result.message);
            CHECK(result.what == "ok");
            CHECK(peer.requests.load() == 1);
        }
    }
}

TEST_CASE_TEMPLATE("tls: a bad certificate is refused before anything is sent, and the error says why", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    struct bad {
        const char *certificate, *host;
        std::string words;
    };
    const bool curl = !std::is_same_v<T, httplib_transport>;
    const std::string name = curl ? "subject name" : "does not name this host";
    const bad cases[] = {
        {"expired", "localhost", "certificate has expired"},
        {"not-yet-valid", "localhost", "certificate is not yet valid"},
        {"self-signed", "localhost", "self-signed certificate"},
        {"unknown-ca", "localhost", "unable to get local issuer certificate"},
        {"wrong-name", "localhost", curl ? name : "hostname mismatch"},
        {"wildcard", "localhost", curl ? name : "hostname mismatch"},
        {"cn-only", "localhost", curl ? "subjectAltName" : "hostname mismatch"},
        {"wrong-ip", "127.0.0.1", curl ? name : "IP address mismatch"},
        {"cn-only", "127.0.0.1", curl ? "" : "IP address mismatch"},
    };
    for (const bad& each : cases) {
        for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
            tls_options options = showing(each.certificate);
            options.min_version = options.max_version = version;
            tls_server peer(options);
            const call_result result = hello<T>(config_for(peer.server, each.host));
            INFO(std::string(each.certificate));
            INFO(std::string(each.host));
            INFO(result.message);
            CHECK(result.what == "tls");
            CHECK(result.message.find(each.words) != std::string::npos);
            CHECK(result.message.find("certificate") != std::string::npos);
            CHECK(result.sent == client_error::progress::nothing_sent);
            CHECK(peer.requests.load() == 0);
        }
    }
}

TEST_CASE_TEMPLATE("tls: the skip flag accepts every certificate", T, BACKENDAI_SOCKET_TRANSPORTS) {
    for (const char* certificate : {"expired", "not-yet-valid", "self-signed", "unknown-ca", "wrong-name", "cn-only"}) {
        tls_server peer(showing(certificate));
        api_config config = config_for(peer.server, "localhost");
        config.ca_file.clear();
        config.skip_sslcert_validation = true;
        const call_result result = hello<T>(config);
        INFO(std::string(certificate));
        INFO(result.message);
        CHECK(result.what == "ok");
    }
}

TEST_CASE_TEMPLATE("tls: the authorities are those of ca_file, else the system's", T, BACKENDAI_SOCKET_TRANSPORTS) {
    tls_server peer(showing("good"));
    api_config config = config_for(peer.server, "localhost");
    config.ca_file.clear();
    CHECK(hello<T>(config).what == "tls");
    config.ca_file = certificate("other-ca");
    CHECK(hello<T>(config).what == "tls");
    config.ca_file = BACKENDAI_TEST_DATA "/websocket_cases.json";
    const call_result not_pem = hello<T>(config);
    INFO(not_pem.message);
    CHECK(not_pem.what == "tls");
    config.ca_file = certificate("no-such-file");
    CHECK(hello<T>(config).what == "argument");
    CHECK(peer.requests.load() == 0);
}

TEST_CASE_TEMPLATE("tls: a server that knows only TLS 1.1 is refused, whatever is skipped", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    for (const bool skip : {false, true}) {
        tls_options options = showing("good");
        options.min_version = options.max_version = TLS1_1_VERSION;
        tls_server peer(options);
        api_config config = config_for(peer.server, "localhost");
        config.skip_sslcert_validation = skip;
        const call_result result = hello<T>(config);
        INFO(result.message);
        CHECK(result.what == "tls");
        CHECK(result.message.find("protocol") != std::string::npos);
        CHECK(peer.requests.load() == 0);
    }
}

TEST_CASE_TEMPLATE("tls: a server without TLS is refused", T, BACKENDAI_SOCKET_TRANSPORTS) {
    hostile::server server([](peer& client) {
        client.read_some();
        client.send("HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    const call_result result = hello<T>(config_for(server, "localhost"));
    INFO(result.message);
    CHECK(result.what == "tls");
    CHECK(result.sent == client_error::progress::nothing_sent);
}

TEST_CASE_TEMPLATE("tls: client certificates", T, BACKENDAI_SOCKET_TRANSPORTS) {
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        tls_options options = showing("good");
        options.min_version = options.max_version = version;
        options.client_authority = certificate("ca");
        tls_server peer(options);
        api_config config = config_for(peer.server, "localhost");
        const call_result missing = hello<T>(config);
        INFO(missing.message);
        CHECK(missing.what == "tls");
        config.client_certificate_file = config.client_key_file = certificate("foreign-client");
        const call_result foreign = hello<T>(config);
        INFO(foreign.message);
        CHECK(foreign.what == "tls");
        CHECK(peer.requests.load() == 0);
        config.client_certificate_file = config.client_key_file = certificate("client");
        const call_result good = hello<T>(config);
        INFO(good.message);
        CHECK(good.what == "ok");
        CHECK(peer.requests.load() == 1);
        config.client_key_file = certificate("good"); // of another certificate
        const call_result mismatch = hello<T>(config);
        INFO(mismatch.message);
        CHECK(mismatch.what == "tls");
        CHECK(peer.requests.load() == 1);
    }
}

TEST_CASE_TEMPLATE("tls: an end of the connection that is not announced is no end of a body", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    for (const bool with_length : {true, false}) {
        for (const bool announced : {true, false}) {
            for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
                tls_options options = showing("good");
                options.min_version = options.max_version = version;
                const tls_context context(options);
                hostile::server server([&](peer& client) {
                    tls_peer secured(client, context);
                    if (!secured.handshake() || !secured.read_request()) return;
                    secured.send(with_length ? answer(greeting) : "HTTP/1.1 200 OK\r\n\r\n" + greeting);
                    if (announced) secured.close_notify();
                    client.end_writes();
                    client.wait_for_end(std::chrono::seconds(5));
                });
                const call_result result = hello<T>(config_for(server, "localhost"));
                INFO("with a length: " << with_length << ", announced: " << announced);
                INFO(result.message);
                CHECK(result.what == (with_length || announced ? "ok" : "protocol"));
            }
        }
    }
}

TEST_CASE_TEMPLATE("tls: a handshake that stalls ends in time", T, BACKENDAI_SOCKET_TRANSPORTS) {
    hostile::server server([](peer& client) { client.stall(); });
    api_config config = config_for(server, "127.0.0.1");
    const auto check = [&](const char* what, auto&& call) {
        const auto start = std::chrono::steady_clock::now();
        const call_result result = result_of(call);
        INFO(result.message);
        CHECK(result.what == what);
        CHECK(result.sent == client_error::progress::nothing_sent);
        CHECK(std::chrono::steady_clock::now() - start < milliseconds(500) + std::chrono::seconds(2));
    };
    {
        api_config limited = config;
        limited.timeout = milliseconds(300);
        basic_session<T, blocking> session(limited);
        check("timeout", [&] { session.hello(); });
    }
    {
        api_config limited = config;
        limited.connect_timeout = milliseconds(300);
        basic_session<T, blocking> session(limited);
        check("timeout", [&] { session.hello(); });
    }
    basic_session<T, blocking> session(config);
    const cancel_source source;
    call_options options;
    options.cancel = source.token();
    std::thread other([&] {
        while (server.connections() < 3) std::this_thread::yield();
        source.cancel();
    });
    check("cancelled", [&] { session.with(options).hello(); });
    other.join();
}

TEST_CASE_TEMPLATE("tls: more bytes than were announced, in the same record, do not become the next answer", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    const std::string poison = answer(R"({"version":"poison"})");
    for (const std::string& first : {answer(greeting) + poison, "HTTP/1.1 204 No Content\r\n\r\n" + poison,
                                     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + poison}) {
        const tls_context context(showing("good"));
        hostile::server server([&](peer& client) {
            tls_peer secured(client, context);
            if (!secured.handshake()) return;
            if (client.number() == 0 && secured.read_request()) secured.send(first);
            while (secured.read_request()) secured.send(answer(greeting));
        });
        basic_session<T, blocking> session(config_for(server, "localhost"));
        INFO(first);
        result_of([&] { request(session, "GET", "/").fetch(check_status(false)); });
        for (int i = 0; i < 2; ++i) CHECK(session.hello().version == "v4.20190315");
    }
}

TEST_CASE_TEMPLATE("tls: a connection that breaks during an upload ends the call, not the process", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    const tls_context context(showing("good"));
    hostile::server server([&](peer& client) {
        tls_peer secured(client, context);
        if (secured.handshake()) secured.read_request();
        client.reset();
    });
    basic_session<T, blocking> session(config_for(server, "localhost"));
    for (int i = 0; i < 3; ++i) {
        auto call = request(session, "POST", "/upload");
        call.set_content(std::make_shared<codec::string_source>(std::string(std::size_t{8} << 20, 'x')));
        const call_result result = result_of([&] { call.fetch(); });
        INFO(result.message);
        CHECK(result.what == "connect");
        CHECK(result.sent == client_error::progress::maybe_sent);
    }
}
