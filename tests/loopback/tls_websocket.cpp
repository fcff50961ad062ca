// TLS of websockets, on both transports that use sockets, as far as it is not told by the tests of plain calls: each
// kind of connection has its own code on the way to OpenSSL.
#include "api_operations.hpp"
#include "call_result.hpp"
#include "certificates.hpp"
#include "tls_server.hpp"

#include <backendai.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <type_traits>

namespace {

using namespace backendai;
using hostile::certificate;
using hostile::peer;
using hostile::tls_options;

// Accepts every handshake, says one thing, and ends the stream in an orderly way unless told otherwise.
struct stream_server {
    explicit stream_server(const tls_options& options, bool orderly = true)
        : context(options), server([this, orderly](peer& client) {
              hostile::tls_peer secured(client, context);
              if (!secured.handshake()) return;
              const auto request = secured.read_request();
              if (!request) return;
              ++requests;
              std::string bytes = api_operations::websocket_head(*request);
              codec::websocket_append_frame(bytes, codec::websocket_opcode::text, true,
                                            R"({"type":"out","data":"aGk="})", nullptr);
              if (orderly) {
                  codec::websocket_append_frame(bytes, codec::websocket_opcode::close, true, "\x03\xe8", nullptr);
              }
              secured.send(bytes);
              client.end_writes(); // without TLS's own goodbye
              client.wait_for_end(std::chrono::seconds(5));
          }) {}
    hostile::tls_context context;
    std::atomic<int> requests{0};
    hostile::server server; // ends before what its threads use
};

tls_options showing(const std::string& name, int version) {
    tls_options options;
    options.certificate = certificate(name);
    options.min_version = options.max_version = version;
    return options;
}

api_config config_for(const hostile::server& server, const std::string& host = "localhost") {
    api_config config;
    config.endpoint = "https://" + host + ":" + std::to_string(server.port());
    config.access_key = "AKIATLS";
    config.secret_key = "not-for-others";
    config.version = "v4.20190315";
    config.proxy = "";
    config.retry.max_attempts = 1;
    config.timeout = std::chrono::seconds(20);
    config.ca_file = certificate("ca");
    return config;
}

// Opens a terminal and reads it to its end.
template <class Transport>
call_result read_all(const api_config& config) {
    return result_of([&] {
        basic_session<Transport, blocking> session(config);
        auto pty = session.kernel("k1").stream_pty();
        std::string text;
        while (auto more = pty.read()) text += *more;
        CHECK(text == "hi");
    });
}

} // namespace

TEST_CASE_TEMPLATE("tls websocket: a bad certificate is refused, and the error says why", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    struct bad {
        const char *certificate, *host;
        std::string words;
    };
    const bool curl = !std::is_same_v<T, httplib_transport>;
    const bad cases[] = {
        {"expired", "localhost", "certificate has expired"},
        {"not-yet-valid", "localhost", "certificate is not yet valid"},
        {"self-signed", "localhost", "self-signed certificate"},
        {"unknown-ca", "localhost", "unable to get local issuer certificate"},
        {"wrong-name", "localhost", curl ? "subject name" : "hostname mismatch"},
        {"cn-only", "localhost", curl ? "subjectAltName" : "hostname mismatch"},
        {"wrong-ip", "127.0.0.1", curl ? "subject name" : "IP address mismatch"},
    };
    for (const bad& each : cases) {
        for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
            stream_server peer(showing(each.certificate, version));
            const call_result result = read_all<T>(config_for(peer.server, each.host));
            INFO(std::string(each.certificate));
            INFO(result.message);
            CHECK(result.what == "tls");
            CHECK(result.message.find(each.words) != std::string::npos);
            CHECK(result.sent == client_error::progress::nothing_sent);
            CHECK(peer.requests.load() == 0);
        }
    }
}

TEST_CASE_TEMPLATE("tls websocket: a server that knows only TLS 1.1, or no TLS, is refused", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    for (const bool skip : {false, true}) {
        stream_server old(showing("good", TLS1_1_VERSION));
        api_config config = config_for(old.server);
        config.skip_sslcert_validation = skip;
        const call_result result = read_all<T>(config);
        INFO(result.message);
        CHECK(result.what == "tls");
        CHECK(result.message.find("protocol") != std::string::npos);
        CHECK(old.requests.load() == 0);
        hostile::server plain([](peer& client) {
            client.read_some();
            client.send("HTTP/1.1 400 Bad Request\r\n\r\n");
        });
        config = config_for(plain);
        config.skip_sslcert_validation = skip;
        CHECK(read_all<T>(config).what == "tls");
    }
}

TEST_CASE_TEMPLATE("tls websocket: the authorities are those of ca_file, else the system's", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    stream_server peer(showing("good", TLS1_3_VERSION));
    api_config config = config_for(peer.server);
    config.ca_file.clear();
    CHECK(read_all<T>(config).what == "tls");
    config.ca_file = certificate("other-ca");
    CHECK(read_all<T>(config).what == "tls");
    CHECK(peer.requests.load() == 0);
    config.ca_file = certificate("ca");
    CHECK(read_all<T>(config).what == "ok");
    config.ca_file.clear();
    config.skip_sslcert_validation = true;
    CHECK(read_all<T>(config).what == "ok");
}

TEST_CASE_TEMPLATE("tls websocket: client certificates", T, BACKENDAI_SOCKET_TRANSPORTS) {
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        tls_options options = showing("good", version);
        options.client_authority = certificate("ca");
        stream_server peer(options);
        api_config config = config_for(peer.server);
        const call_result missing = read_all<T>(config);
        INFO(missing.message);
        CHECK(missing.what == "tls");
        config.client_certificate_file = config.client_key_file = certificate("foreign-client");
        const call_result foreign = read_all<T>(config);
        INFO(foreign.message);
        CHECK(foreign.what == "tls");
        config.client_certificate_file = certificate("client");
        config.client_key_file = certificate("good"); // of another certificate
        CHECK(read_all<T>(config).what == "tls");
        CHECK(peer.requests.load() == 0);
        config.client_key_file = certificate("client");
        const call_result right = read_all<T>(config);
        INFO(right.message);
        CHECK(right.what == "ok");
        CHECK(peer.requests.load() == 1);
    }
}

TEST_CASE_TEMPLATE("tls websocket: an end without a close frame is a lost connection, whatever TLS says", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        stream_server peer(showing("good", version), false);
        const call_result result = read_all<T>(config_for(peer.server));
        INFO(result.message);
        CHECK(result.what == "connect");
        CHECK(result.sent == client_error::progress::maybe_sent);
    }
}
