// Sessions in async mode: every API function, many calls, time limits, and the end of a session at any moment.
#include "async_support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <thread>

using namespace async_support;
using backendai::future;

namespace {

// What a server would say to each call, as far as the functions read it.
answer serve(const backendai::http_request& request) {
    const std::string& path = request.url.path;
    const std::string& method = request.method;
    if (path == "/") return greeting();
    if (path == "/kernel/create") {
        return json{{"kernelId", json::parse(request.body)["clientSessionToken"]}, {"created", true}};
    }
    const auto ends_with = [&](const std::string& end) {
        return path.size() >= end.size() && path.compare(path.size() - end.size(), end.size(), end) == 0;
    };
    if (ends_with("/logs")) return json{{"result", {{"logs", "some log"}}}};
    if (ends_with("/complete")) return json{{"result", {{"status", "finished"}, {"completions", {"print"}}}}};
    if (ends_with("/interrupt") || method == "PATCH") return answer(204, "");
    if (method == "DELETE") return json{{"stats", {{"cpu_used", 1}}}};
    if (method == "GET") return json{{"lang", "python:3.6"}, {"age", 12}};
    return json{{"result",
                 {{"status", "finished"},
                  {"runId", "run-1"},
                  {"exitCode", 0},
                  {"console", json::array({json::array({"stdout", "hello\n"})})},
                  {"options", nullptr}}}};
}

const script serves = [](const auto& request, const auto&) { return serve(request); };

} // namespace

TEST_CASE("async session: every function returns a future of what it returns in blocking mode") {
    async_session session(config(), scripted_transport(serves));
    static_assert(std::is_same_v<decltype(session.hello()), future<backendai::server_info>>);
    CHECK(session.hello().get().manager == "19.03");

    backendai::create_options options;
    options.client_token = "my-token";
    future<async_kernel> created = session.kernel().get_or_create("python:3.6-ubuntu", options);
    const async_kernel kernel = created.get();
    CHECK(kernel.kernel_id() == "my-token");
    CHECK(kernel.created());
    future<backendai::destroy_result> destroyed = kernel.destroy();
    CHECK(destroyed.get().stats == json{{"cpu_used", 1}});
    future<void> restarted = kernel.restart();
    restarted.get();
    kernel.interrupt().get();
    CHECK(kernel.complete("pri").get() == std::vector<std::string>{"print"});
    CHECK(kernel.get_info().get().lang == "python:3.6");
    CHECK(kernel.get_logs().get() == "some log");
    CHECK(kernel.execute("", "print('hello')").get().run_id == "run-1");
    backendai::batch_commands commands;
    commands.exec = "true";
    CHECK(kernel.execute(commands).get().status == backendai::run_status::finished);
    CHECK(kernel.run("print('hello')").get().out == "hello\n");
    CHECK(kernel.run(commands).get().exit_code == 0);
    CHECK(backendai::request(session, "GET", "/").fetch().get().json()["version"] == "v4.20190315");
    std::string body;
    const auto status =
        backendai::request(session, "GET", "/").fetch([&](std::string_view data) { body += data; }).get().status();
    CHECK(status == 200);
    CHECK(json::parse(body)["version"] == "v4.20190315");
}

TEST_CASE("async session: arguments belong to the call, which may outlive the caller's") {
    gate door;
    async_session session(config(1), scripted_transport([&](const auto& request, const auto& context) {
                              door.pass(context);
                              return serve(request);
                          }));
    mailbox<std::string> said;
    auto held = std::make_shared<int>(0);
    future<backendai::run_result> ran;
    {
        std::string code(1000, 'x');
        backendai::run_handlers handlers;
        handlers.on_stdout = [&said, held](std::string_view text) { said.put(std::string(text)); };
        const async_kernel kernel = session.kernel("some-id");
        ran = kernel.run(std::move(code), std::move(handlers));
        auto request = backendai::request(session, "POST", "/x");
        request.set_content(std::string(1000, 'y'));
        request.fetch();
    }
    door.open();
    const backendai::run_result result = ran.get(); // where it throws, nothing is said that could be waited for
    CHECK(result.exit_code == 0);
    CHECK(said.wait() == "hello\n");
    CHECK(held.use_count() == 1); // the handlers went with the call
}

TEST_CASE("async session: an exception that unwinds over calls which wait, run or have failed meets no hang") {
    struct unwound {};
    for (int round = 0; round < 60; ++round) {
        gate door;
        mailbox<bool> begun;
        auto held = std::make_shared<int>(0);
        const auto go = [&] {
            const script answers = [&, round](const auto& request, const auto& context) -> answer {
                begun.put(true);
                if (request.url.path == "/kernel/bad") return answer(200, "{\"result\":");
                // The interrupt of a run that failed is not held up: a server that did would cost bad.get() its 5 s.
                const bool is_interrupt = request.url.path == "/kernel/bad/interrupt";
                if (round % 3 != 0 && !is_interrupt) door.pass(context);
                return serve(request);
            };
            future<int> outer, inner; // one outlives the session, one does not
            async_session session(config(1 + static_cast<std::uint32_t>(round) % 3), scripted_transport(answers));
            backendai::run_handlers handlers;
            handlers.on_stdout = [held](std::string_view) {};
            future<backendai::run_result> bad = session.kernel("bad").run("x", handlers);
            future<backendai::run_result> runs = session.kernel("good").run("x", handlers);
            future<backendai::server_info> waits = session.hello();
            outer = session.hello().then([held](const backendai::server_info&) { return 1; });
            inner = session.kernel("bad").run("x", handlers).then([held](const backendai::run_result&) { return 2; });
            begun.wait();
            if (round % 2 != 0) bad.get(); // throws in the middle of the rest
            throw unwound();
        };
        if (round % 2 != 0) {
            CHECK(kind_of(go) == error_kind::protocol);
        } else {
            CHECK_THROWS_AS(go(), unwound);
        }
        CHECK(held.use_count() == 1);
    }
}

TEST_CASE("async session: wrong arguments come out of the future") {
    async_session session(config(), scripted_transport(serves));
    backendai::create_options options;
    options.cluster_size = 0;
    auto created = session.kernel().get_or_create("python", options);
    CHECK(kind_of([&] { created.get(); }) == error_kind::argument);
    auto nameless = session.kernel("").get_info();
    CHECK(kind_of([&] { nameless.get(); }) == error_kind::argument);
    auto not_text = session.kernel("some-id").complete("\xff");
    CHECK(kind_of([&] { not_text.get(); }) == error_kind::argument);
    backendai::call_options limits;
    limits.timeout = std::chrono::milliseconds(-1);
    auto negative = session.with(limits).hello();
    CHECK(kind_of([&] { negative.get(); }) == error_kind::argument);
    backendai::api_config none = config(0);
    CHECK(kind_of([&] { async_session(none, scripted_transport(serves)); }) == error_kind::argument);
}

TEST_CASE("async session: 1,000 calls are in flight with 4 threads") {
    gate door;
    async_session session(config(4), scripted_transport([&](const auto& request, const auto& context) {
                              door.pass(context);
                              return serve(request);
                          }));
    std::vector<future<std::string>> calls;
    for (int i = 0; i < 1000; ++i) {
        calls.push_back(session.kernel("id-" + std::to_string(i)).get_logs().then([i](const std::string& text) {
            return text + std::to_string(i);
        }));
    }
    door.await(4);
    CHECK(std::none_of(calls.begin(), calls.end(), [](const auto& call) { return call.ready(); }));
    door.open();
    for (int i = 0; i < 1000; ++i) {
        CHECK(calls[static_cast<std::size_t>(i)].get() == "some log" + std::to_string(i));
    }
    CHECK(door.peak() <= 4);
    CHECK(door.entered() == 1000);
}

TEST_CASE("async session: a time limit counts from the call, the wait for a thread included") {
    gate door;
    async_session session(config(1), scripted_transport([&](const auto& request, const auto& context) {
                              door.pass(context);
                              return serve(request);
                          }));
    auto blocks = session.hello();
    door.await(1);
    backendai::call_options limits;
    limits.timeout = std::chrono::milliseconds(20);
    auto late = session.with(limits).hello();
    auto after = late.then([](future<backendai::server_info> ended) { return kind_of([&] { ended.get(); }); });
    door.open(); // after the limit or before: the continuation needs the thread, the verdict does not
    CHECK_NOTHROW(blocks.get());
    const auto kind = after.get();
    CHECK((!kind || kind == error_kind::timeout));

    gate shut;
    async_session stuck(config(1), scripted_transport([&](const auto& request, const auto& context) {
                            shut.pass(context);
                            return serve(request);
                        }));
    auto first = stuck.hello();
    shut.await(1);
    auto waits = stuck.with(limits).hello();
    CHECK(kind_of([&] { waits.get(); }) == error_kind::timeout);
    CHECK_FALSE(first.ready());
    CHECK(shut.entered() == 1);
    shut.open();
    CHECK_NOTHROW(first.get());
    auto runs = stuck.with(limits).kernel("x");
    CHECK(runs.kernel_id() == "x");
}

TEST_CASE("async session: a running call obeys the time limit, each step of a run has its own") {
    int steps = 0;
    std::vector<bool> limited;
    async_session session(
        config(1), scripted_transport([&](const auto&, const auto& context) -> answer {
            limited.push_back(context.has_deadline());
            if (++steps < 3) {
                return json{{"result", {{"status", "continued"}, {"runId", "r"}, {"console", json::array()}}}};
            }
            gate never;
            never.pass(context);
            return greeting();
        }));
    backendai::call_options limits;
    limits.timeout = std::chrono::milliseconds(300);
    auto ran = session.with(limits).kernel("x").run("endless");
    CHECK(kind_of([&] { ran.get(); }) == error_kind::timeout);
    CHECK(steps == 4); // and the interrupt
    CHECK(limited == std::vector<bool>{true, true, true, true});
}

TEST_CASE("async session: closing ends what runs and what waits, and what comes later") {
    gate door;
    async_session session(config(2), scripted_transport([&](const auto& request, const auto& context) {
                              door.pass(context);
                              return serve(request);
                          }));
    const async_kernel kernel = session.kernel("some-id");
    std::vector<future<backendai::kernel_info>> calls;
    for (int i = 0; i < 50; ++i) calls.push_back(kernel.get_info());
    auto after =
        session.hello().then([](future<backendai::server_info> ended) { return kind_of([&] { ended.get(); }); });
    door.await(2);
    session.close();
    session.close();
    CHECK(session.closed());
    for (auto& call : calls) {
        REQUIRE(call.ready());
        CHECK(kind_of([&] { call.get(); }) == error_kind::closed);
    }
    REQUIRE(after.ready());
    CHECK(after.get() == error_kind::closed);
    auto late = kernel.get_info();
    REQUIRE(late.ready());
    // Its continuations run on the thread at hand: no other is left.
    auto chained = late.then([](future<backendai::kernel_info> ended) {
        return std::make_pair(kind_of([&] { ended.get(); }), std::this_thread::get_id());
    });
    REQUIRE(chained.ready());
    CHECK(chained.get() == std::make_pair(std::optional<error_kind>(error_kind::closed), std::this_thread::get_id()));
    CHECK(door.entered() == 2);
}

TEST_CASE("async session: a session that was closed before its first call starts no thread") {
    async_session session(config(2), scripted_transport(serves));
    session.close();
    auto late = session.hello();
    REQUIRE(late.ready());
    CHECK(kind_of([&] { late.get(); }) == error_kind::closed);
}

TEST_CASE("async session: handles and futures keep what they need, not the session") {
    future<async_kernel> created;
    std::optional<async_kernel> kernel;
    {
        async_session session(config(), scripted_transport(serves));
        created = session.kernel().get_or_create("python");
        kernel = session.kernel().get_or_create("python").get();
        created.wait();
    }
    CHECK(created.get().created());
    auto late = kernel->get_info();
    CHECK(kind_of([&] { late.get(); }) == error_kind::closed);
}

TEST_CASE("async session: the handle from get_or_create is not bound to that call's cancel") {
    async_session session(config(), scripted_transport(serves));
    auto created = session.kernel().get_or_create("python");
    created.wait();
    created.cancel();
    const async_kernel kernel = created.get();
    CHECK(kernel.get_info().get().lang == "python:3.6");
    created.cancel();
    CHECK(kernel.get_info().get().lang == "python:3.6");
}

TEST_CASE("async session: closing it from a continuation or a handler does not wait for itself") {
    for (const bool destroy : {false, true}) {
        auto session = std::make_unique<async_session>(config(2), scripted_transport(serves));
        auto closed = session->hello().then([&](const backendai::server_info&) {
            if (destroy) {
                session.reset();
            } else {
                session->close();
            }
            return true;
        });
        CHECK(closed.get());
        CHECK((session == nullptr) == destroy);
    }
    auto session = std::make_unique<async_session>(config(1), scripted_transport(serves));
    const async_kernel kernel = session->kernel("some-id");
    backendai::run_handlers handlers;
    handlers.on_stdout = [&](std::string_view) { session.reset(); };
    CHECK(kernel.run("x", std::move(handlers)).get().exit_code == 0);
    CHECK(session == nullptr);

    backendai::api_config logged = config(1);
    logged.on_log = [&](const backendai::log_record&) { session.reset(); };
    session = std::make_unique<async_session>(logged, scripted_transport(serves));
    auto hello = session->hello();
    CHECK(hello.get().manager == "19.03");
}

TEST_CASE("async session: several threads may close it at once") {
    gate door;
    async_session session(config(), scripted_transport([&](const auto& request, const auto& context) {
                              door.pass(context);
                              return serve(request);
                          }));
    std::vector<future<backendai::server_info>> calls;
    for (int i = 0; i < 20; ++i) calls.push_back(session.hello());
    door.await(1);
    std::vector<std::thread> closers;
    for (int i = 0; i < 4; ++i) closers.emplace_back([&] { session.close(); });
    for (std::thread& closer : closers) closer.join();
    for (auto& call : calls) CHECK(kind_of([&] { call.get(); }) == error_kind::closed);
}

TEST_CASE("async session: cancelled and destroyed at random points it neither hangs nor loses a result") {
    std::mt19937 random(4711); // fixed: a failure can be repeated, as far as threads allow
    const int rounds = rounds_of(1000);
    for (int round = 0; round < rounds; ++round) {
        const unsigned fate = static_cast<unsigned>(random());
        const int pause = static_cast<int>(random() % 50);
        std::atomic<int> exchanges{0};
        auto session = std::make_unique<async_session>(
            config(1 + fate % 4), scripted_transport([&](const auto& request, const auto& context) {
                if (++exchanges % 3 == 0) {
                    gate never;
                    never.pass(context);
                }
                return serve(request);
            }));
        const backendai::cancel_source source;
        backendai::call_options options;
        options.cancel = source.token();
        options.timeout = std::chrono::milliseconds(1 + fate % 20);
        std::vector<future<int>> ends;
        for (int i = 0; i < 12; ++i) {
            auto call = i % 2 != 0 ? session->with(options).hello() : session->hello();
            auto end = call.then([i](future<backendai::server_info> done) {
                const auto kind = kind_of([&] { done.get(); });
                return kind ? static_cast<int>(*kind) : -i;
            });
            if (i % 5 == 4) end.cancel();
            if (i % 4 != 3) ends.push_back(std::move(end)); // and some are dropped
        }
        std::thread canceller([&] {
            for (int i = 0; i < pause; ++i) std::this_thread::yield();
            source.cancel();
        });
        for (int i = 0; i < static_cast<int>(fate % 64); ++i) std::this_thread::yield();
        if (fate % 3 == 0) {
            session.reset();
        } else if (fate % 3 == 1) {
            std::thread([&] { session->close(); }).join();
        } else {
            ends[0].cancel();
            session.reset();
        }
        canceller.join();
        int settled = 0;
        for (auto& end : ends) {
            REQUIRE(end.ready()); // closing has waited for the threads
            kind_of([&] { end.get(); });
            settled += end.valid() ? 0 : 1;
        }
        CHECK(settled == static_cast<int>(ends.size()));
    }
}
