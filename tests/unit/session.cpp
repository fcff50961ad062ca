#include "scripted_transport.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace backendai;
using scripted::answer;
using scripted::answer_json;
using scripted::attempt;
using scripted::bench;
using scripted::contains;
using scripted::thrown;

TEST_CASE("hello asks for the root and tells the versions") {
    bench on;
    on->add(answer_json({{"version", "v4.20190315"}, {"manager", "19.03.5"}, {"more", 1}}));
    const server_info info = on.sdk->hello();
    CHECK(info.version == "v4.20190315");
    CHECK(info.manager == "19.03.5");
    CHECK(info.raw.at("more") == 1);
    CHECK(on->requests().at(0).method == "GET");
    CHECK(on->requests().at(0).target == "/base/");
    on->add(answer_json({{"version", "v4.20190315"}}));
    CHECK(on.sdk->hello().manager.empty());
    for (const json& wrong : {json(), json(5), json::array(), json{{"version", 5}}, json::object()}) {
        on->add(answer_json(wrong));
        CHECK(attempt([&] { on.sdk->hello(); }).kind == error_kind::protocol);
    }
}

TEST_CASE("an endpoint without a prefix has / as its root") {
    bench on([](api_config& config) { config.endpoint = "http://[::1]:80"; });
    on->add(answer_json({{"version", "v4"}}));
    on.sdk->hello();
    CHECK(on->requests().at(0).target == "/");
    CHECK(on->requests().at(0).host == "[::1]");
}

TEST_CASE("the config in force is filled, and is refused when it cannot work") {
    const scripted::clean_environment clean;
    bench on;
    CHECK(on.sdk->config().hash_type == "sha256");
    CHECK(on.sdk->config().skip_sslcert_validation == false);
    CHECK(attempt([] { scripted::session broken(api_config(), scripted::transport(nullptr)); }).kind ==
          error_kind::argument);
}

TEST_CASE("calls after close throw closed, on the session and on everything made from it") {
    bench on;
    const auto handle = on.sdk->kernel("s");
    const auto view = on.sdk->with({});
    const request low(*on.sdk, "GET", "/");
    CHECK(!on.sdk->closed());
    on.sdk->close();
    on.sdk->close();
    CHECK(on.sdk->closed());
    CHECK(view.closed());
    CHECK(attempt([&] { on.sdk->hello(); }).kind == error_kind::closed);
    CHECK(attempt([&] { view.hello(); }).kind == error_kind::closed);
    CHECK(attempt([&] { handle.get_info(); }).kind == error_kind::closed);
    CHECK(attempt([&] { low.fetch(); }).kind == error_kind::closed);
    CHECK(on->count() == 0);
}

TEST_CASE("close from another thread ends running calls and waits for them") {
    bench on;
    on->otherwise([](const scripted::seen&) { return scripted::hang(); });
    std::atomic<int> finished{0};
    std::vector<thrown> results(4);
    std::vector<std::thread> threads;
    for (thrown& result : results) {
        threads.emplace_back([&] {
            result = attempt([&] { on.sdk->hello(); });
            ++finished;
        });
    }
    on->wait_for(4);
    on.sdk->close();
    for (std::thread& thread : threads) thread.join();
    CHECK(finished == 4);
    for (const thrown& result : results) CHECK(result.kind == error_kind::closed);
}

TEST_CASE("the session's end is a close; handles that outlive it throw closed") {
    std::optional<scripted::session> sdk;
    const scripted::clean_environment clean;
    api_config config;
    config.access_key = "k";
    config.secret_key = "s";
    const auto lines = std::make_shared<scripted::script>();
    lines->otherwise([](const scripted::seen&) { return scripted::hang(); });
    sdk.emplace(config, scripted::transport(lines));
    const auto handle = sdk->kernel("s");
    thrown result;
    std::thread caller([&] { result = attempt([&] { handle.get_info(); }); });
    lines->wait_for(1);
    sdk.reset();
    caller.join();
    CHECK(result.kind == error_kind::closed);
    CHECK(attempt([&] { handle.get_info(); }).kind == error_kind::closed);
}

TEST_CASE("a moved session goes on, its handles too") {
    bench on;
    const auto handle = on.sdk->kernel("s");
    scripted::session moved(std::move(*on.sdk));
    on->add(answer(204));
    handle.interrupt();
    on->add(answer_json({{"version", "v4"}}));
    moved.hello();
    CHECK(on->count() == 2);
    CHECK(!moved.closed());
    CHECK(on.sdk->closed());
    on.sdk->close(); // does nothing, least of all to the one that lives on
    CHECK(!moved.closed());
    moved.close();
    CHECK(attempt([&] { handle.interrupt(); }).kind == error_kind::closed);
}

TEST_CASE("close from inside the log hook does not wait for itself") {
    bench* self = nullptr;
    int calls = 0;
    bench on([&](api_config& config) {
        config.on_log = [&](const log_record&) {
            ++calls;
            self->sdk->close();
        };
    });
    self = &on;
    on->add(answer_json({{"version", "v4"}}));
    CHECK(on.sdk->hello().version == "v4"); // its answer was there already
    CHECK(calls == 1);
    CHECK(attempt([&] { on.sdk->hello(); }).kind == error_kind::closed);
}

TEST_CASE("close of another session from inside a hook waits for that session's calls") {
    std::atomic<bool> over{false};
    bench other([&](api_config& config) {
        config.on_log = [&](const log_record&) { // the last thing that the call does
            std::this_thread::sleep_for(
                std::chrono::milliseconds(50)); // longer than a close() takes that does not wait
            over = true;
        };
    });
    other->add(scripted::hang());
    thrown result;
    std::thread caller([&] { result = attempt([&] { other.sdk->hello(); }); });
    other->wait_for(1);
    bench on([&](api_config& config) {
        config.on_log = [&](const log_record&) {
            other.sdk->close();
            CHECK(over);
        };
    });
    on->add(answer_json({{"version", "v4"}}));
    on.sdk->hello();
    caller.join();
    CHECK(result.kind == error_kind::closed);
}

TEST_CASE("views carry their own limits and leave the session's alone") {
    bench on([](api_config& config) { config.timeout = std::chrono::minutes(5); });
    on->otherwise([](const scripted::seen&) {
        return answer_json({{"version", "v4"}, {"kernelId", "tok1"}, {"result", nullptr}});
    });
    const cancel_source source;
    call_options options;
    options.cancel = source.token();
    options.timeout = std::chrono::milliseconds(0);
    const auto view = on.sdk->with(options);
    view.hello();
    CHECK(!on->requests().back().context.has_deadline());
    on.sdk->hello();
    CHECK(on->requests().back().context.has_deadline());
    const auto kernel = view.kernel().get_or_create("python");
    source.cancel();
    CHECK(attempt([&] { view.hello(); }).kind == error_kind::cancelled);
    CHECK(attempt([&] { kernel.complete("x"); }).kind == error_kind::cancelled); // a handle made through it obeys too
    CHECK(on.sdk->hello().version == "v4");
}

TEST_CASE("a cancel from another thread ends a call that hangs") {
    bench on;
    on->add(scripted::hang());
    const cancel_source source;
    thrown result;
    const auto view = on.sdk->with({{}, source.token(), {}});
    std::thread caller([&] { result = attempt([&] { view.hello(); }); });
    on->wait_for(1);
    source.cancel();
    caller.join();
    CHECK(result.kind == error_kind::cancelled);
    CHECK(result.sent == client_error::progress::maybe_sent);
}

TEST_CASE("threads share one session") {
    bench on;
    on->otherwise([](const scripted::seen& request) {
        return request.headers.get("X-Number") == "3" ? answer(404, "no")
                                                      : answer(200, request.headers.get("X-Number"));
    });
    std::vector<int> good(4, 0);
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < good.size(); ++i) {
        threads.emplace_back([&, i] {
            const std::string number = std::to_string(i);
            for (int round = 0; round < 50; ++round) {
                const response got =
                    request(*on.sdk, "GET", "/x").set_header("X-Number", number).fetch(check_status{false});
                good[i] += got.text() == (i == 3 ? "no" : number) ? 1 : 0;
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(good == std::vector<int>(4, 50));
    CHECK(on.log.size() == 200);
}
