// The conformance suite: what transport/concept.hpp promises, checked on any transport that reaches the embedded
// gateway. A fixture has a member `gateway server` and a function `transport make(const api_config&)`.
#ifndef BACKENDAI_TESTS_CONFORMANCE_HPP
#define BACKENDAI_TESTS_CONFORMANCE_HPP

#include <backendai/core.hpp>
#include <backendai/testing/gateway.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <string>
#include <thread>
#include <vector>

namespace conformance {

using namespace backendai;

inline api_config config_for(const testing::gateway& server) {
    api_config config;
    config.endpoint = server.endpoint();
    config.access_key = server.access_key();
    config.secret_key = server.secret_key();
    config.version = "v4.20190315"; // requests are made here by hand: nothing is negotiated
    return resolve_config(config);
}

// Keeps all that a transport tells.
class recording_sink final : public body_sink {
public:
    void on_head(const response_head& head) override {
        ++heads;
        status = head.status;
        if (!body.empty()) data_before_head = true;
    }
    void on_data(std::string_view data) override {
        if (heads == 0) data_before_head = true;
        body += data;
    }
    int heads = 0, status = 0;
    bool data_before_head = false;
    std::string body;
};

// A signed request as the pipeline would make it.
inline http_request make_request(const api_config& config, const std::string& method, const std::string& path,
                                 const std::string& body = {}, const std::string& type = "text/plain") {
    http_request request;
    request.method = method;
    request.url = codec::parse_url(*config.endpoint + path);
    request.body = body;
    const std::string date = codec::format_date(std::chrono::system_clock::now());
    const codec::signer signer(*config.access_key, *config.secret_key, *config.hash_type);
    const std::string target = request.url.target();
    const std::string host = request.url.host_header();
    request.headers = {{"Date", date},
                       {"Content-Type", type},
                       {"X-BackendAI-Version", *config.version},
                       {"Authorization", signer.sign({method, target, date, host, type, *config.version, body})}};
    return request;
}

// A signed request whose answer repeats the text: JSON on GET, as this server line takes it; the query is signed too.
inline http_request make_echo(const api_config& config, const std::string& method, const std::string& text) {
    return make_request(config, method, "/auth/test?text=" + codec::escape_query(text), json{{"echo", text}}.dump(),
                        "application/json");
}

template <class Function>
error_kind kind_of(Function&& function) {
    try {
        function();
    } catch (const client_error& e) {
        return e.kind();
    }
    FAIL("no client_error was thrown");
    return error_kind::argument;
}

inline void check_soon(std::chrono::steady_clock::time_point start, std::chrono::milliseconds expected) {
    const auto took = std::chrono::steady_clock::now() - start;
    // 200 ms is the promise; the rest is for a loaded machine and for sanitizers.
    CHECK(took < expected + std::chrono::milliseconds(200) + std::chrono::seconds(2));
}

template <class Fixture>
void run_suite() {
    Fixture fixture;
    const api_config config = config_for(fixture.server);
    auto transport = fixture.make(config);
    exchange_context context;
    recording_sink sink;

    SUBCASE("tells the head once, then the body, and returns the head") {
        http_request request = make_request(config, "GET", "/");
        const response_head head = transport.exchange(request, sink, context);
        CHECK(head.status == 200);
        CHECK(head.reason == "OK");
        CHECK(head.headers.get("content-type").find("application/json") == 0);
        CHECK(sink.heads == 1);
        CHECK(sink.status == 200);
        CHECK_FALSE(sink.data_before_head);
        CHECK(json::parse(sink.body).contains("version"));
    }
    SUBCASE("any status is a success") {
        http_request request = make_request(config, "GET", "/nothing/here");
        CHECK(transport.exchange(request, sink, context).status == 404);
        CHECK(json::parse(sink.body).contains("type"));
        http_request unsigned_request = make_echo(config, "GET", "x");
        unsigned_request.headers.remove("Authorization");
        recording_sink second;
        CHECK(transport.exchange(unsigned_request, second, context).status >= 400);
    }
    SUBCASE("an answer without a body has a head all the same") {
        http_request request =
            make_request(config, "PUT", "/manager/status", R"({"status":"running"})", "application/json");
        CHECK(transport.exchange(request, sink, context).status == 204);
        CHECK(sink.heads == 1);
        CHECK(sink.body.empty());
    }
    SUBCASE("target, headers and body arrive as they were given") {
        const std::string text = "a b+c&d=\xC3\xA9/?\"%";
        for (const char* method : {"GET", "POST"}) { // a JSON body on GET too
            recording_sink own;
            http_request request = make_echo(config, method, text);
            CHECK(transport.exchange(request, own, context).status == 200);
            CHECK(json::parse(own.body).at("echo") == text);
        }
    }
    SUBCASE("a request may be sent again with the same object") {
        http_request request = make_request(config, "POST", "/auth/test", R"({"echo":"again"})", "application/json");
        for (int i = 0; i < 3; ++i) {
            recording_sink other;
            CHECK(transport.exchange(request, other, context).status == 200);
            CHECK(json::parse(other.body).at("echo") == "again");
        }
    }
    SUBCASE("a body is pulled from a source") {
        const std::string text(200'000, 'x');
        const std::string body = json{{"echo", text}}.dump();
        http_request request = make_request(config, "POST", "/auth/test", {}, "application/json");
        request.source = std::make_shared<codec::string_source>(body);
        CHECK(transport.exchange(request, sink, context).status == 200);
        CHECK(json::parse(sink.body).at("echo") == text);
        request.source->rewind();
        recording_sink second;
        CHECK(transport.exchange(request, second, context).status == 200);
    }
    SUBCASE("what the sink throws comes out unchanged, and the next exchange is not harmed") {
        struct refusing_sink final : body_sink {
            explicit refusing_sink(bool at_head) : at_head_(at_head) {}
            void on_head(const response_head&) override {
                if (at_head_) throw std::domain_error("no head wanted");
            }
            void on_data(std::string_view) override { throw std::domain_error("no data wanted"); }
            bool at_head_;
        };
        for (const bool at_head : {true, false}) {
            refusing_sink refusing(at_head);
            http_request request = make_request(config, "GET", "/");
            CHECK_THROWS_AS(transport.exchange(request, refusing, context), std::domain_error);
        }
        http_request request = make_request(config, "GET", "/");
        CHECK(transport.exchange(request, sink, context).status == 200);
    }
    SUBCASE("a triggered cancel token ends it before anything is sent") {
        cancel_source source;
        context.cancel = source.token();
        source.cancel();
        http_request request = make_request(config, "GET", "/");
        CHECK(kind_of([&] { transport.exchange(request, sink, context); }) == error_kind::cancelled);
        exchange_context closing;
        closing.closing = source.token();
        CHECK(kind_of([&] { transport.exchange(request, sink, closing); }) == error_kind::closed);
    }
    SUBCASE("a cancel from another thread ends a running exchange") {
        testing::fault slow;
        slow.kind = testing::fault_kind::delay;
        slow.interval = std::chrono::seconds(4);
        const auto number = fixture.server.inject(slow);
        cancel_source source;
        context.cancel = source.token();
        std::chrono::steady_clock::time_point cancelled;
        std::thread other([&] {
            while (fixture.server.fault_uses(number) == 0) std::this_thread::yield();
            cancelled = std::chrono::steady_clock::now();
            source.cancel();
        });
        http_request request = make_request(config, "GET", "/");
        const error_kind kind = kind_of([&] { transport.exchange(request, sink, context); });
        other.join();
        CHECK(kind == error_kind::cancelled);
        check_soon(cancelled, std::chrono::milliseconds(0));
    }
    SUBCASE("a deadline ends it") {
        testing::fault slow;
        slow.kind = testing::fault_kind::delay;
        slow.interval = std::chrono::seconds(4);
        fixture.server.inject(slow);
        const auto start = std::chrono::steady_clock::now();
        context.deadline = start + std::chrono::milliseconds(300);
        http_request request = make_request(config, "GET", "/");
        CHECK(kind_of([&] { transport.exchange(request, sink, context); }) == error_kind::timeout);
        CHECK(std::chrono::steady_clock::now() >= context.deadline);
        check_soon(start, std::chrono::milliseconds(300));
    }
    SUBCASE("a stall longer than the read timeout ends it") {
        testing::fault slow;
        slow.kind = testing::fault_kind::delay;
        slow.interval = std::chrono::seconds(4);
        fixture.server.inject(slow);
        const auto start = std::chrono::steady_clock::now();
        context.read_timeout = std::chrono::milliseconds(300);
        http_request request = make_request(config, "GET", "/");
        CHECK(kind_of([&] { transport.exchange(request, sink, context); }) == error_kind::timeout);
        check_soon(start, std::chrono::milliseconds(300));
    }
    SUBCASE("it follows no redirect") {
        testing::fault redirect;
        redirect.kind = testing::fault_kind::status;
        redirect.status = 302;
        redirect.bytes = "moved";
        fixture.server.inject(redirect);
        http_request request = make_request(config, "GET", "/");
        CHECK(transport.exchange(request, sink, context).status == 302);
    }
    SUBCASE("many threads share it") {
        std::atomic<int> good{0};
        std::vector<std::thread> threads;
        for (int t = 0; t < 8; ++t) {
            threads.emplace_back([&, t] {
                for (int i = 0; i < 25; ++i) {
                    const std::string text = std::to_string(t) + '.' + std::to_string(i);
                    http_request request = make_echo(config, "GET", text);
                    recording_sink own;
                    try {
                        if (transport.exchange(request, own, exchange_context()).status == 200 &&
                            json::parse(own.body).at("echo") == text) {
                            ++good;
                        }
                    } catch (const std::exception&) {
                        // counted by its absence
                    }
                }
            });
        }
        for (std::thread& thread : threads) thread.join();
        CHECK(good == 200);
    }
}

} // namespace conformance

#endif
