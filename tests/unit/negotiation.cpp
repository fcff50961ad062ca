#include "scripted_transport.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <string>
#include <thread>
#include <vector>

using backendai::client_error;
using backendai::error_kind;
using backendai::json;
using scripted::answer;
using scripted::answer_json;
using scripted::attempt;
using scripted::bench;

namespace {

void unpinned(backendai::api_config& config) {
    config.version.reset();
}
json greeting(const std::string& version) {
    return {{"version", version}, {"manager", "19.03.0"}};
}
json logs() {
    return {{"result", {{"logs", ""}}}};
}
std::string version_of(const scripted::seen& request) {
    return request.headers.get("X-BackendAI-Version");
}

} // namespace

TEST_CASE("without a version in the config the first call asks for the server's, and later ones do not") {
    bench b(unpinned);
    b->add(answer_json(greeting("v4.20181215")));
    b->add(answer_json(logs()));
    b->add(answer_json(logs()));
    b.sdk->kernel("sess-1").get_logs();
    b.sdk->kernel("sess-1").get_logs();
    const auto requests = b->requests();
    REQUIRE(requests.size() == 3);
    CHECK(requests[0].method == "GET");
    CHECK(requests[0].target == "/base/");
    CHECK(requests[0].body.empty());
    CHECK(requests[1].target == "/base/kernel/sess-1/logs");
    CHECK(version_of(requests[1]) == "v4.20181215");
    CHECK(version_of(requests[2]) == "v4.20181215");
    CHECK(b.sdk->server_version() == "v4.20181215");
    CHECK(b.sdk->protocol_version() == "v4.20181215");
    CHECK(b->count() == 3);
}

TEST_CASE("a newer server is spoken to in the highest version of the SDK, and its own is told") {
    bench b(unpinned);
    b->add(answer_json(greeting("v12.20300101")));
    b->add(answer_json(logs()));
    b.sdk->kernel("sess-1").get_logs();
    CHECK(version_of(b->requests()[1]) == "v9.20250722");
    CHECK(b->requests()[1].target == "/base/session/sess-1/logs");
    CHECK(b.sdk->server_version() == "v12.20300101");
    CHECK(b.sdk->protocol_version() == "v9.20250722");
}

TEST_CASE("a pinned version is used as it is, without a question") {
    bench b([](backendai::api_config& config) { config.version = "v8.20240915"; });
    b->add(answer_json(logs()));
    b.sdk->kernel("sess-1").get_logs();
    REQUIRE(b->count() == 1);
    CHECK(version_of(b->requests()[0]) == "v8.20240915");
    CHECK(b.sdk->protocol_version() == "v8.20240915");
    b->add(answer_json(greeting("v4.20190315")));
    CHECK(b.sdk->server_version() == "v4.20190315"); // asks, as nobody has yet
    CHECK(b.sdk->server_version() == "v4.20190315");
    CHECK(b->count() == 2);
}

TEST_CASE("answers that tell no version mean the default, for good") {
    const std::vector<scripted::reply> answers = {
        answer(404, "no"),
        answer(200, "<html>"),
        answer_json(json::array()),
        answer_json({{"version", 5}}),
        answer_json({{"version", "newest"}}),
        answer(500, "oops"),
        scripted::failure(error_kind::protocol, client_error::progress::maybe_sent)};
    for (const scripted::reply& given : answers) {
        bench b(unpinned);
        b->add(given);
        b->add(answer_json(logs()));
        b->add(answer_json(logs()));
        b.sdk->kernel("sess-1").get_logs();
        b.sdk->kernel("sess-1").get_logs();
        REQUIRE(b->count() == 3);
        CHECK(version_of(b->requests()[1]) == "v4.20190315");
        CHECK(version_of(b->requests()[2]) == "v4.20190315");
    }
}

TEST_CASE("a server that is busy is asked again by the next call") {
    bench b([](backendai::api_config& config) {
        config.version.reset();
        config.retry.max_attempts = 1;
    });
    b->add(answer(503));
    b->add(answer_json(logs()));
    b->add(answer_json(greeting("v4.20181215")));
    b->add(answer_json(logs()));
    b.sdk->kernel("sess-1").get_logs();
    b.sdk->kernel("sess-1").get_logs();
    const auto requests = b->requests();
    REQUIRE(requests.size() == 4);
    CHECK(version_of(requests[1]) == "v4.20190315");
    CHECK(version_of(requests[3]) == "v4.20181215");
}

TEST_CASE("a connection that is dropped at the question means the default for this call") {
    bench b([](backendai::api_config& config) {
        config.version.reset();
        config.retry.max_attempts = 1;
    });
    b->add(scripted::failure(error_kind::connect, client_error::progress::maybe_sent));
    b->add(answer_json(logs()));
    b.sdk->kernel("sess-1").get_logs();
    CHECK(version_of(b->requests()[1]) == "v4.20190315");
}

TEST_CASE("a server that cannot be reached fails the call by the call's own retry policy") {
    bench b(unpinned);
    b->otherwise([](const scripted::seen&) { return scripted::failure(error_kind::connect); });
    const auto result = attempt([&] { b.sdk->kernel("sess-1").get_logs(); });
    CHECK(result.kind == error_kind::connect);
    CHECK(b->count() == 3);
    backendai::call_options once;
    once.retry = backendai::retry_policy();
    once.retry->max_attempts = 1;
    CHECK(attempt([&] { b.sdk->with(once).kernel("sess-1").get_logs(); }).kind == error_kind::connect);
    CHECK(b->count() == 4);
}

TEST_CASE("the question is tried again as the call's policy says") {
    bench b(unpinned);
    b->add(answer(502));
    b->add(scripted::failure(error_kind::connect));
    b->add(answer_json(greeting("v4.20181215")));
    b->add(answer_json(logs()));
    b.sdk->kernel("sess-1").get_logs();
    CHECK(version_of(b->requests()[3]) == "v4.20181215");
    CHECK(b.slept.size() == 2);
}

TEST_CASE(
    "the question is part of the call's time limit, and a call that times out in it leaves the rest able to ask") {
    bench b(unpinned);
    b->add(scripted::hang());
    backendai::call_options brief;
    brief.timeout = std::chrono::milliseconds(30);
    const auto result = attempt([&] { b.sdk->with(brief).kernel("sess-1").get_logs(); });
    CHECK(result.kind == error_kind::timeout);
    b->add(answer_json(greeting("v4.20181215")));
    b->add(answer_json(logs()));
    b.sdk->kernel("sess-1").get_logs();
    CHECK(version_of(b->requests().back()) == "v4.20181215");
}

TEST_CASE("wrong arguments are told before anything is sent") {
    bench b(unpinned);
    CHECK(attempt([&] { b.sdk->kernel("").get_logs(); }).kind == error_kind::argument);
    CHECK(attempt([&] { backendai::request(*b.sdk, "GE T", "/").fetch(); }).kind == error_kind::argument);
    CHECK(b->count() == 0);
}

TEST_CASE("hello asks nothing else, and what it hears is remembered") {
    bench b(unpinned);
    b->add(answer_json(greeting("v5.20191215")));
    CHECK(b.sdk->hello().manager == "19.03.0");
    CHECK(b.sdk->server_version() == "v5.20191215");
    CHECK(b->count() == 1);
}

TEST_CASE("many threads that begin at the same time ask once") {
    bench b(unpinned);
    std::atomic<int> questions{0};
    std::promise<void> all_called;
    const std::shared_future<void> go = all_called.get_future().share();
    b->otherwise([&](const scripted::seen& request) {
        if (request.target != "/base/") return answer_json(logs());
        ++questions;
        go.wait();
        return answer_json(greeting("v4.20181215"));
    });
    std::vector<std::future<scripted::thrown>> calls;
    for (int i = 0; i < 8; ++i) {
        calls.push_back(
            std::async(std::launch::async, [&] { return attempt([&] { b.sdk->kernel("sess-1").get_logs(); }); }));
    }
    b->wait_for(1);
    all_called.set_value();
    for (auto& call : calls) CHECK(call.get().text.empty());
    CHECK(questions == 1);
    for (const auto& request : b->requests()) {
        if (request.target != "/base/") CHECK(version_of(request) == "v4.20181215");
    }
}

TEST_CASE("who waits for another thread's question waits no longer than their own limits") {
    bench b(unpinned);
    b->add(scripted::hang());
    backendai::cancel_source ends_first, ends_second;
    const auto with = [&](const backendai::cancel_source& source) {
        backendai::call_options options;
        options.cancel = source.token();
        return b.sdk->with(options);
    };
    auto first =
        std::async(std::launch::async, [&] { return attempt([&] { with(ends_first).kernel("sess-1").get_logs(); }); });
    b->wait_for(1);
    auto second =
        std::async(std::launch::async, [&] { return attempt([&] { with(ends_second).kernel("sess-1").get_logs(); }); });
    ends_second.cancel();
    CHECK(second.get().kind == error_kind::cancelled);
    backendai::call_options brief;
    brief.timeout = std::chrono::milliseconds(20);
    CHECK(attempt([&] { b.sdk->with(brief).kernel("sess-1").get_logs(); }).kind == error_kind::timeout);
    CHECK(b->count() == 1);
    // The asker gives up; one who waits asks in its place.
    b->add(answer_json(greeting("v4.20181215")));
    b->add(answer_json(logs()));
    auto third = std::async(std::launch::async, [&] { return attempt([&] { b.sdk->kernel("sess-1").get_logs(); }); });
    ends_first.cancel();
    CHECK(first.get().kind == error_kind::cancelled);
    CHECK(third.get().text.empty());
    CHECK(version_of(b->requests().back()) == "v4.20181215");
}

TEST_CASE("closing the session ends the question and those who wait for it") {
    bench b(unpinned);
    b->add(scripted::hang());
    const auto call = [&] { return attempt([&] { b.sdk->kernel("sess-1").get_logs(); }); };
    auto first = std::async(std::launch::async, call);
    b->wait_for(1);
    auto second = std::async(std::launch::async, call);
    b.sdk->close();
    CHECK(first.get().kind == error_kind::closed);
    CHECK(second.get().kind == error_kind::closed);
}

TEST_CASE("a hook that makes a call while the question is asked does not wait for itself") {
    bench* self = nullptr;
    std::atomic<bool> nested{false};
    bench b([&](backendai::api_config& config) {
        config.version.reset();
        config.on_log = [&](const backendai::log_record&) {
            if (!nested.exchange(true)) self->sdk->kernel("sess-2").get_logs();
        };
    });
    self = &b;
    b->otherwise([](const scripted::seen& request) {
        return request.target == "/base/" ? answer_json(greeting("v4.20181215")) : answer_json(logs());
    });
    b.sdk->kernel("sess-1").get_logs();
    CHECK(nested);
    CHECK(b->count() == 3);
}
