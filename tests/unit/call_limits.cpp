// What a call's time limit holds for: all of its requests together, whatever the call.
#include "files_support.hpp"
#include "scripted_transport.hpp"

#include <backendai/mode_async.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <vector>

using namespace backendai;
using files_support::sandbox;
using scripted::answer;
using scripted::answer_json;
using scripted::attempt;
using scripted::bench;

namespace {

void limited(api_config& config) {
    config.timeout = std::chrono::minutes(5);
}
void limited_and_unpinned(api_config& config) {
    limited(config);
    config.version.reset();
}

scripted::reply serve(const scripted::seen& request) {
    if (request.target == "/base/") return answer_json({{"version", "v4.20190315"}, {"manager", "19.03.0"}});
    if (request.target == "/base/admin/graphql") return answer_json({{"agents", json::array()}});
    return answer(201);
}

std::vector<exchange_context::clock::time_point> deadlines(bench& on) {
    std::vector<exchange_context::clock::time_point> found;
    for (const scripted::seen& request : on->requests()) {
        REQUIRE(request.context.has_deadline());
        found.push_back(request.context.deadline);
    }
    return found;
}

} // namespace

TEST_CASE("the question for the version and what follows it share the call's time limit") {
    bench on(limited_and_unpinned);
    on->otherwise(serve);
    SUBCASE("blocking") {
        on.sdk->agent().list_page();
    }
    SUBCASE("asynchronous") {
        api_config config = on.sdk->config();
        config.version.reset();
        basic_session<scripted::transport, backendai::async> session(config, scripted::transport(on.lines));
        session.agent().list_page().get();
    }
    const auto found = deadlines(on);
    REQUIRE(found.size() == 2);
    CHECK(found[0] == found[1]);
}

TEST_CASE("the requests of a transfer share the call's time limit") {
    bench on(limited);
    on->otherwise(serve);
    const sandbox box;
    for (char name = 'a'; name <= 'k'; ++name) box.put(std::string("tree/") + name); // one more than fits a request
    upload_options options;
    options.basedir = box.root();
    on.sdk->vfolder("data").upload({box.root() / "tree"}, options);
    const auto found = deadlines(on);
    REQUIRE(found.size() == 2);
    CHECK(found[0] == found[1]);
}

TEST_CASE("a transfer that ends between two requests says that something was sent") {
    const sandbox box;
    for (char name = 'a'; name <= 'k'; ++name) box.put(std::string("in/") + name);
    const cancel_source source;
    call_options options;
    options.cancel = source.token();
    bench on;
    std::string body;
    on->otherwise([&](const scripted::seen&) {
        source.cancel();
        return answer(200, body, {{"Content-Type", "multipart/mixed; boundary=frontier"}});
    });
    scripted::thrown ended;
    SUBCASE("an upload of more files than fit a request") {
        upload_options from;
        from.basedir = box.root();
        ended = attempt([&] { on.sdk->with(options).vfolder("data").upload({box.root() / "in"}, from); });
    }
    SUBCASE("a download of more files than fit a request") {
        std::vector<files_support::part> parts;
        for (const char* name : {"a", "b", "c", "d", "e"})
            parts.push_back({files_support::archive().file(name, name).end()});
        body = files_support::multipart(parts);
        ended = attempt([&] { on.sdk->with(options).kernel("x").download({"a", "b", "c", "d", "e", "f"}, box.out()); });
    }
    CHECK(ended.kind == error_kind::cancelled);
    CHECK(ended.sent == client_error::progress::maybe_sent);
    CHECK(on->count() == 1);
}

TEST_CASE("a handle that a call made has limits of its own") {
    bench on(limited);
    on->otherwise([](const scripted::seen&) {
        return answer_json({{"kernelId", "x"}, {"created", true}, {"result", {{"logs", ""}}}});
    });
    SUBCASE("blocking") {
        on.sdk->kernel().get_or_create("python").get_logs();
    }
    SUBCASE("asynchronous") {
        basic_session<scripted::transport, backendai::async> session(on.sdk->config(), scripted::transport(on.lines));
        const auto kernel = session.kernel().get_or_create("python").get();
        kernel.get_logs().get();
    }
    const auto found = deadlines(on);
    REQUIRE(found.size() == 2);
    CHECK(found[1] > found[0]);
}

TEST_CASE("a negative limit is refused by what opens a stream, too") {
    bench on(scripted::speaking("v6.20220615"));
    on->otherwise([](const scripted::seen&) { return answer(200, "", {{"Content-Type", "text/event-stream"}}); });
    call_options options;
    options.timeout = std::chrono::milliseconds(-1);
    const auto refused = attempt([&] { on.sdk->with(options).kernel().events(); });
    CHECK(refused.kind == error_kind::argument);
    CHECK(scripted::contains(refused.text, "negative"));
    CHECK(on->count() == 0);
}

TEST_CASE("each step of a run has the whole time, and so has a later call of the same handle") {
    bench on(limited);
    int steps = 0;
    on->otherwise([&](const scripted::seen&) {
        const bool last = ++steps % 3 == 0;
        return answer_json({{"result", {{"status", last ? "finished" : "continued"}, {"runId", "r"}}}});
    });
    const auto kernel = on.sdk->kernel("x");
    kernel.run("code");
    kernel.run("code");
    const auto found = deadlines(on);
    REQUIRE(found.size() == 6);
    for (std::size_t i = 1; i < found.size(); ++i) CHECK(found[i] > found[i - 1]);
}
