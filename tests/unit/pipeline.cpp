// The road of a call: retry, then sign, then log, then transport.
#include "scripted_transport.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace backendai;
using scripted::answer;
using scripted::attempt;
using scripted::bench;
using scripted::contains;
using scripted::failure;
using scripted::thrown;
using std::chrono::milliseconds;
constexpr auto maybe = client_error::progress::maybe_sent;

namespace {

thrown get(bench& on, const std::string& path = "/auth/test") {
    return attempt([&] { request(*on.sdk, "GET", path).fetch(); });
}

codec::url url_of(const scripted::seen& sent) {
    return codec::parse_url("https://" + sent.host + sent.target);
}

// The Authorization that belongs to a request as it was sent.
std::string right_signature(const scripted::seen& sent) {
    const codec::signer signer(scripted::access_key(), scripted::secret_key(), "sha256");
    const std::string date = sent.headers.get("Date"), type = sent.headers.get("Content-Type");
    const std::string version = sent.headers.get("X-BackendAI-Version");
    return signer.sign({sent.method, sent.target, date, sent.host, type, version, ""});
}

} // namespace

TEST_CASE("a request has the headers that identify and sign it, under the endpoint's prefix") {
    bench on;
    on->add(answer(200));
    request(*on.sdk, "get", "/auth/test?b=1").set_param("echo", "a b").set_header("X-Mine", "yes").fetch();
    const scripted::seen sent = on->requests().at(0);
    CHECK(sent.method == "GET");
    CHECK(sent.target == "/base/auth/test?b=1&echo=a+b");
    CHECK(sent.host == "gw.example.org:8443");
    CHECK(sent.headers.get("X-Mine") == "yes");
    CHECK(sent.headers.get("X-BackendAI-Version") == "v4.20190315");
    CHECK(sent.headers.get("Content-Type") == "text/plain");
    CHECK(!sent.headers.get("User-Agent").empty());
    CHECK(sent.headers.get("Authorization") == right_signature(sent));
    for (const char* name : {"Date", "Authorization", "User-Agent", "Content-Type", "X-BackendAI-Version"})
        CHECK(sent.headers.count(name) == 1);
    for (const char* name : {"Host", "Content-Length", "Connection", "Transfer-Encoding"})
        CHECK(sent.headers.count(name) == 0);
}

TEST_CASE("every attempt has a fresh date and signature, and the same headers and body") {
    bench on;
    on->add(answer(503, "busy", {{"Retry-After", "2"}}));
    on->add(failure(error_kind::connect));
    on->add(answer(200, "done"));
    request call(*on.sdk, "POST", "/x");
    call.set_json({{"a", 1}}).set_header("X-Mine", "yes");
    CHECK(call.fetch().text() == "done");
    const auto sent = on->requests();
    REQUIRE(sent.size() == 3);
    for (const scripted::seen& each : sent) {
        CHECK(each.body == "{\"a\":1}");
        CHECK(each.headers.get("X-Mine") == "yes");
        CHECK(each.headers.get("Content-Type") == "application/json");
        CHECK(each.headers.get("Authorization") == right_signature(each));
    }
    CHECK(sent[0].headers.get("Date") < sent[1].headers.get("Date"));
    CHECK(sent[1].headers.get("Date") < sent[2].headers.get("Date"));
    CHECK(on.slept == std::vector<milliseconds>{milliseconds(2000), milliseconds(100)});
    REQUIRE(on.log.size() == 3);
    for (std::size_t i = 0; i < 3; ++i) {
        CHECK(on.log[i].attempt == static_cast<int>(i) + 1);
        CHECK(on.log[i].method == "POST");
        CHECK(on.log[i].path == "/base/x");
    }
    CHECK(on.log[0].status == 503);
    CHECK(on.log[0].failure.empty());
    CHECK(on.log[1].status == 0);
    CHECK(on.log[1].failure == "connect");
    CHECK(on.log[2].status == 200);
}

TEST_CASE("attempts end with the policy, the last failure comes out") {
    bench on;
    for (int i = 0; i < 3; ++i) on->add(answer(502 + i, "p" + std::to_string(i)));
    CHECK(get(on).status == 504);
    CHECK(on->count() == 3);
    on->add(failure(error_kind::connect, maybe));
    on->add(failure(error_kind::timeout, maybe));
    CHECK(get(on).kind == error_kind::timeout);
    CHECK(on->count() == 5);
    // A view's own policy.
    retry_policy once;
    once.max_attempts = 1;
    on->add(answer(503));
    CHECK(attempt([&] { request(on.sdk->with({{}, {}, once}), "GET", "/").fetch(); }).status == 503);
    CHECK(on->count() == 6);
}

TEST_CASE("a call that may have run is not repeated unless the server asks for it") {
    for (const char* method : {"POST", "PUT", "PATCH", "DELETE"}) {
        bench on;
        on->add(failure(error_kind::connect, maybe));
        CHECK(attempt([&] { request(*on.sdk, method, "/x").fetch(); }).kind == error_kind::connect);
        on->add(answer(503));
        CHECK(attempt([&] { request(*on.sdk, method, "/x").fetch(); }).status == 503);
        CHECK(on->count() == 2);
        on->add(failure(error_kind::connect, maybe));
        on->add(answer(200));
        request(*on.sdk, method, "/x").set_retry_class(retry_class::safe).fetch();
        CHECK(on->count() == 4);
    }
}

TEST_CASE("the retry budget of a session runs out") {
    bench on([](api_config& config) {
        config.retry.bucket_capacity = 10;
        config.retry.success_refund = 0;
    });
    on->otherwise([](const scripted::seen&) { return answer(503); });
    CHECK(get(on).status == 503);
    CHECK(on->count() == 3);
    CHECK(get(on).status == 503);
    CHECK(on->count() == 4);
}

TEST_CASE("a source is read from its start in every attempt and in every call") {
    bench on;
    const auto source = std::make_shared<codec::string_source>("0123456789abcdef");
    request call(*on.sdk, "PUT", "/x");
    call.set_content(source, "text/csv").set_retry_class(retry_class::safe);
    on->add(answer(502));
    on->add(answer(200));
    call.fetch();
    on->add(answer(200));
    call.fetch();
    const auto sent = on->requests();
    REQUIRE(sent.size() == 3);
    for (const scripted::seen& each : sent) CHECK(each.body == "0123456789abcdef");
}

TEST_CASE("a source that cannot go back is an io error") {
    struct stuck final : codec::byte_source {
        std::uint64_t size() const override { return 1; }
        std::size_t read(char*, std::size_t) override { return 0; }
        void rewind() override { throw codec::source_error("gone"); }
    };
    bench on;
    request call(*on.sdk, "PUT", "/x");
    call.set_content(std::make_shared<stuck>());
    CHECK(attempt([&] { call.fetch(); }).kind == error_kind::io);
    CHECK(on->count() == 0);
}

TEST_CASE("a receiver that has seen data ends the retries; one that has not does not") {
    bench on;
    std::string received;
    const body_receiver receiver = [&](std::string_view piece) { received += piece; };
    scripted::reply broken = answer(200, "half");
    broken.after_body = client_error(error_kind::connect, "lost", maybe);
    on->add(broken);
    CHECK(attempt([&] { request(*on.sdk, "GET", "/x").fetch(receiver); }).kind == error_kind::connect);
    CHECK(received == "half");
    CHECK(on->count() == 1);
    received.clear();
    on->add(answer(503, "not for the receiver"));
    broken.pieces.clear();
    on->add(broken);
    on->add(answer(200, "whole"));
    const response done = request(*on.sdk, "GET", "/x").fetch(receiver);
    CHECK(received == "whole");
    CHECK(done.text().empty());
    CHECK(on->count() == 4);
    on->add(answer(404, R"({"title":"No such file"})"));
    received.clear();
    CHECK(contains(attempt([&] { request(*on.sdk, "GET", "/x").fetch(receiver); }).text, "No such file"));
    CHECK(received.empty());
}

TEST_CASE("what a receiver throws comes out unchanged and ends the call") {
    bench on;
    on->otherwise([](const scripted::seen&) { return answer(200, "data"); });
    const auto thrower = [](std::string_view) { throw std::runtime_error("mine"); };
    const thrown result = attempt([&] { request(*on.sdk, "GET", "/x").fetch(thrower); });
    CHECK(result.other);
    CHECK(result.text == "mine");
    CHECK(on->count() == 1);
}

TEST_CASE("failure bodies of any kind become api errors") {
    bench on;
    on->add(answer(404, "<html>nginx</html>", {{"Content-Type", "text/html"}}));
    try {
        request(*on.sdk, "GET", "/x").fetch();
        FAIL("no error");
    } catch (const api_error& e) {
        CHECK(e.status() == 404);
        CHECK(e.body() == "<html>nginx</html>");
        CHECK(e.title().empty());
    }
    on->add(answer(500, R"({"type":"t","title":"x","agent-details":{"type":"agent-timeout","title":"late"}})"));
    try {
        request(*on.sdk, "POST", "/x").fetch();
        FAIL("no error");
    } catch (const api_error& e) {
        CHECK(e.agent_details().at("type") == "agent-timeout");
        CHECK(contains(e.what(), "late"));
    }
}

TEST_CASE("without the status check any answer is a response, its whole body included") {
    bench on;
    for (const int status : {301, 400, 404, 500}) {
        on->add(answer(status, "body"));
        const response got = request(*on.sdk, "POST", "/x").fetch(check_status{false});
        CHECK(got.status() == status);
        CHECK(got.text() == "body");
    }
    on->otherwise([](const scripted::seen&) { return answer(503, "busy"); });
    CHECK(request(*on.sdk, "GET", "/x").fetch(check_status{false}).text() == "busy"); // after its retries
    CHECK(on->count() == 7);
    const std::string large(200000, 'x');
    on->otherwise([&](const scripted::seen&) { return answer(404, large); });
    CHECK(request(*on.sdk, "GET", "/x").fetch(check_status{false}).text().size() == large.size());
}

TEST_CASE("redirects of a GET within the origin are followed, each with its own signature") {
    bench on;
    const char* where[] = {"/1?a=b", "https://gw.example.org:8443/2", "HTTPS://GW.example.org:8443/base/3", "/4", "/5"};
    const int status[] = {301, 302, 303, 307, 308};
    for (std::size_t i = 0; i < 5; ++i) on->add(answer(status[i], "moved", {{"Location", where[i]}}));
    on->add(answer(200, "there"));
    CHECK(request(*on.sdk, "GET", "/start").fetch().text() == "there");
    const auto sent = on->requests();
    REQUIRE(sent.size() == 6);
    const std::vector<std::string> targets = {"/base/start", "/1?a=b", "/2", "/base/3", "/4", "/5"};
    for (std::size_t i = 0; i < 6; ++i) {
        CHECK(sent[i].target == targets[i]);
        CHECK(sent[i].headers.get("Authorization") == right_signature(sent[i]));
        CHECK(url_of(sent[i]).origin() == "https://gw.example.org:8443");
    }
    // The sixth is one too many.
    on->otherwise([](const scripted::seen&) { return answer(302, "", {{"Location", "/again"}}); });
    CHECK(get(on).status == 302);
    CHECK(on->count() == 12);
}

TEST_CASE("other redirects are not followed") {
    for (const char* where :
         {"", "https://evil.example.org:8443/x", "http://gw.example.org:8443/x", "https://gw.example.org/x",
          "//evil.example.org/x", "relative", "../x", "/a/../b", "https://u:p@gw.example.org:8443/x",
          "javascript:alert(1)", "\xff\xfe", "https://gw.example.org:8443:1/"}) {
        CAPTURE(where);
        bench on;
        on->add(answer(302, "", {{"Location", where}}));
        CHECK(get(on).status == 302);
        CHECK(on->count() == 1);
    }
    for (const char* method : {"POST", "PUT", "DELETE", "HEAD"}) {
        bench on;
        on->add(answer(307, "", {{"Location", "/x"}}));
        CHECK(attempt([&] { request(*on.sdk, method, "/y").fetch(); }).status == 307);
        CHECK(on->count() == 1);
    }
    bench on;
    on->add(answer(307, "", {{"Location", "/x"}}));
    CHECK(attempt([&] { request(*on.sdk, "GET", "/y").set_json({{"a", 1}}).fetch(); }).status == 307);
    on->add(answer(304, "", {{"Location", "/x"}}));
    CHECK(get(on).status == 304);
    on->add(answer(302));
    CHECK(get(on).status == 302);
    CHECK(on->count() == 3);
}

TEST_CASE("an attempt after one that failed behind a redirect begins at the beginning") {
    bench on;
    on->add(answer(302, "", {{"Location", "/elsewhere"}}));
    on->add(failure(error_kind::connect, maybe));
    on->add(answer(200));
    CHECK(get(on, "/start").text.empty());
    const auto sent = on->requests();
    REQUIRE(sent.size() == 3);
    CHECK(sent[2].target == "/base/start");
    REQUIRE(on.log.size() == 2);
    CHECK(on.log[0].status == 0); // there was no answer
    CHECK(on.log[0].failure == "connect");
    CHECK(on.log[1].path == "/base/start");
}

TEST_CASE("an attempt after a refusal behind a redirect begins at the beginning too") {
    bench on;
    on->add(answer(302, "", {{"Location", "/elsewhere"}}));
    on->add(answer(503));
    on->add(answer(200));
    CHECK(get(on, "/start").text.empty());
    const auto sent = on->requests();
    REQUIRE(sent.size() == 3);
    CHECK(sent[1].target == "/elsewhere");
    CHECK(sent[2].target == "/base/start");
    CHECK(sent[2].headers.get("Authorization") == right_signature(sent[2]));
}

TEST_CASE("an answer that is larger than allowed is a protocol error, once") {
    bench on([](api_config& config) { config.max_response_size = 10; });
    on->add(answer(200, "0123456789"));
    CHECK(get(on).text.empty());
    on->add(answer(200, "0123456789a"));
    CHECK(get(on).kind == error_kind::protocol);
    CHECK(on->count() == 2);
}

TEST_CASE("limits reach the transport: the call's deadline, and compute calls' longer patience") {
    bench on;
    on->otherwise([](const scripted::seen&) { return answer(204); });
    get(on);
    on.sdk->kernel("s").restart();
    const auto before = exchange_context::clock::now();
    request(on.sdk->with({milliseconds(60000), {}, {}}), "GET", "/").fetch();
    // As good as none, and no overflow.
    request(on.sdk->with({(milliseconds::max)(), {}, {}}), "GET", "/").fetch();
    const auto sent = on->requests();
    CHECK(sent[0].context.read_timeout == std::chrono::seconds(60));
    CHECK(sent[0].context.connect_timeout == std::chrono::seconds(30));
    CHECK(!sent[0].context.has_deadline());
    CHECK(sent[1].context.read_timeout == std::chrono::minutes(10));
    CHECK(sent[2].context.has_deadline());
    CHECK(sent[2].context.deadline >= before + milliseconds(60000));
    CHECK(!sent[3].context.has_deadline());
    CHECK(attempt([&] {
              request(on.sdk->with({milliseconds(-1), {}, {}}), "GET", "/").fetch();
          }).kind == error_kind::argument);
}

TEST_CASE("a deadline ends a call that hangs, and back-off never sleeps past it") {
    bench on;
    on->add(scripted::hang());
    const auto limited = on.sdk->with({milliseconds(30), {}, {}});
    CHECK(attempt([&] { request(limited, "GET", "/").fetch(); }).kind == error_kind::timeout);
    CHECK(on->count() == 1);
    on->otherwise([](const scripted::seen&) { return answer(503, "", {{"Retry-After", "15"}}); });
    CHECK(attempt([&] { request(on.sdk->with({milliseconds(10000), {}, {}}), "GET", "/").fetch(); }).status == 503);
    CHECK(on->count() == 2);
    CHECK(on.slept.empty());
}

TEST_CASE("a cancelled token ends a call before anything is sent") {
    bench on;
    const cancel_source source;
    source.cancel();
    const thrown result = attempt([&] { request(on.sdk->with({{}, source.token(), {}}), "GET", "/").fetch(); });
    CHECK(result.kind == error_kind::cancelled);
    CHECK(result.sent == client_error::progress::nothing_sent);
    CHECK(on->count() == 0);
}

TEST_CASE("a cancel or a close during a long back-off ends the call at once") {
    for (const bool by_close : {false, true}) {
        bench on([](api_config& config) {
            config.sleeper = {};
            config.retry.max_delay = std::chrono::hours(2);
        });
        on->add(answer(503, "", {{"Retry-After", "3600"}}));
        const cancel_source source;
        thrown result;
        const auto view = on.sdk->with({{}, source.token(), {}});
        std::thread caller([&] { result = attempt([&] { request(view, "GET", "/").fetch(); }); });
        on->wait_for(1);
        if (by_close) {
            on.sdk->close();
        } else {
            source.cancel();
        }
        caller.join(); // would take an hour
        CHECK(result.kind == (by_close ? error_kind::closed : error_kind::cancelled));
        CHECK(result.sent == client_error::progress::maybe_sent);
        CHECK(on->count() == 1);
    }
}

TEST_CASE("header injection, bad methods and bad paths are refused before anything is sent") {
    bench on;
    const std::string with_nul("a\0b", 3);
    const std::vector<std::string> values = {"a\r\nX-Evil: 1", "a\nb", "a\rb", with_nul};
    for (const std::string& value : values) {
        CHECK(attempt([&] { request(*on.sdk, "GET", "/").set_header("X-A", value).fetch(); }).kind ==
              error_kind::argument);
        CHECK(attempt([&] { request(*on.sdk, "POST", "/").set_content("x", value).fetch(); }).kind ==
              error_kind::argument);
        CHECK(attempt([&] { request(*on.sdk, "GET", "/" + value).fetch(); }).kind == error_kind::argument);
        CHECK(attempt([&] { request(*on.sdk, value, "/").fetch(); }).kind == error_kind::argument);
        CHECK(attempt([&] { request(*on.sdk, "GET", "/").set_header(value, "x").fetch(); }).kind ==
              error_kind::argument);
    }
    for (const char* name : {"", "X A", "X:A", "X\tA", "X-\xc3\xa9", "(X)", "Authorization "})
        CHECK(attempt([&] { request(*on.sdk, "GET", "/").set_header(name, "x").fetch(); }).kind ==
              error_kind::argument);
    for (const char* method : {"", "G ET", "GET/", "GET\t", "\xc3\xa9", "GET HTTP/1.1"})
        CHECK(attempt([&] { request(*on.sdk, method, "/").fetch(); }).kind == error_kind::argument);
    for (const char* path : {"/../x", "/a/%2e%2E/b", "/%00", "/a%0d%0ab", "/?a=%0A"})
        CHECK(attempt([&] { request(*on.sdk, "GET", path).fetch(); }).kind == error_kind::argument);
    // In a query, data may hold anything: it is escaped.
    on->add(answer(200));
    request(*on.sdk, "GET", "/").set_param("a", "b\r\nc").fetch();
    CHECK(on->count() == 1);
    CHECK(on->requests().at(0).target == "/base/?a=b%0D%0Ac");
}

TEST_CASE("log records hold no query, no header and no secret") {
    bench on;
    on->add(answer(200));
    request(*on.sdk, "GET", "/x?token=hidden").set_param("password", "hidden2").fetch();
    std::ostringstream out;
    out << on.log.at(0);
    CHECK(contains(out.str(), "GET /base/x #1 200"));
    CHECK(!contains(out.str(), "hidden"));
    CHECK(!contains(out.str(), "token"));
}

TEST_CASE("an attempt that a receiver's own exception ends is in the log too") {
    bench on;
    on->add(answer(200, "data"));
    CHECK_THROWS_AS(request(*on.sdk, "GET", "/x").fetch([](std::string_view) { throw std::domain_error("mine"); }),
                    std::domain_error);
    REQUIRE(on.log.size() == 1);
    CHECK(on.log.at(0).failure == "handler");
}

TEST_CASE("no failure shows the secret key or a signature: error text, log and config print") {
    std::vector<std::string> texts;
    std::vector<scripted::seen> all;
    std::size_t failures = 0;
    const auto scenario = [&](const std::vector<scripted::reply>& replies, auto call) {
        bench on;
        for (const scripted::reply& each : replies) on->add(each);
        const thrown result = attempt([&] { call(on); });
        failures += result.text.empty() ? 0 : 1;
        texts.push_back(result.text);
        std::ostringstream out;
        for (const log_record& record : on.log) out << record << '\n';
        out << on.sdk->config();
        texts.push_back(out.str());
        for (const scripted::seen& each : on->requests()) all.push_back(each);
    };
    const auto fetch = [](bench& on) { request(*on.sdk, "POST", "/x?q=1").set_json({{"a", 1}}).fetch(); };
    const auto create = [](bench& on) { on.sdk->kernel().get_or_create("python:3.6"); };
    const auto run = [](bench& on) { on.sdk->kernel("s").run("1"); };
    std::size_t expected = 0;
    for (const error_kind kind : {error_kind::timeout, error_kind::connect, error_kind::tls, error_kind::protocol,
                                  error_kind::cancelled, error_kind::closed, error_kind::io}) {
        scenario({failure(kind, maybe)}, fetch);
        ++expected;
    }
    for (const int status : {301, 400, 401, 403, 404, 429, 500, 502, 503, 504}) {
        scenario({answer(status, R"({"type":"t","title":"refused"})")}, fetch);
        scenario({answer(status, "<html>")}, fetch);
        expected += 2;
    }
    for (const char* body : {"", "null", "[]", "{}", "{\"kernelId\":5}", "garbage", "\xff"}) {
        scenario({answer(200, body)}, create);
        scenario({answer(200, body), answer(204)}, run);
        expected += 2;
    }
    const auto echo = [](bench& on) {
        on->otherwise([](const scripted::seen& request) {
            const std::string header = request.headers.get("Authorization");
            return scripted::answer_json({{"type", header}, {"title", header}, {"agent-details", {{"title", header}}}},
                                         400);
        });
        request(*on.sdk, "GET", "/").fetch();
    };
    scenario({}, echo);
    ++expected;
    scenario({}, [](bench& on) { request(*on.sdk, "GET", "/").set_header("X", "a\nb").fetch(); });
    scenario({}, [](bench& on) { request(*on.sdk, "G T", "/").fetch(); });
    scenario({}, [](bench& on) { request(*on.sdk, "GET", "/..").fetch(); });
    scenario({}, [](bench& on) { request(*on.sdk, "GET", "/").set_header("Authorization", "x"); });
    scenario({}, [](bench& on) {
        on.sdk->kernel().get_or_create("x", [] {
            create_options o;
            o.client_token = "?";
            return o;
        }());
    });
    scenario({}, [](bench& on) {
        on.sdk->close();
        on.sdk->hello();
    });
    scenario({}, [](bench& on) {
        auto config = on.sdk->config();
        config.hash_type = "x";
        resolve_config(config);
    });
    scenario({}, [](bench& on) {
        auto config = on.sdk->config();
        *config.secret_key += '\n';
        resolve_config(config);
    });
    scenario({}, [](bench& on) {
        auto config = on.sdk->config();
        config.access_key = "a b";
        resolve_config(config);
    });
    expected += 9;
    CHECK(failures == expected);
    CHECK(all.size() >= 25);
    std::vector<std::string> secrets = {scripted::secret_key()};
    for (const scripted::seen& each : all) {
        const std::string header = each.headers.get("Authorization");
        const std::string signature = header.substr(header.rfind(':') + 1);
        REQUIRE(signature.size() == 64);
        secrets.push_back(signature);
    }
    for (const std::string& text : texts) {
        for (const std::string& secret : secrets) {
            CHECK_MESSAGE(!contains(text, secret), text);
            CHECK_MESSAGE(!contains(text, secret.substr(0, 12)), text);
            CHECK_MESSAGE(!contains(text, secret.substr(secret.size() - 12)), text);
        }
    }
}
