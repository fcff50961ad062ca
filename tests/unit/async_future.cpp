// futures: one result, taken once; continuations; cancel; what waits and what does not.
#include "async_support.hpp"

#include <doctest/doctest.h>

#include <stdexcept>
#include <thread>

using namespace async_support;
using backendai::future;

namespace {

const script greets = [](const auto&, const auto&) { return greeting(); };

} // namespace

TEST_CASE("future: a default-made one has no result") {
    future<int> none;
    CHECK_FALSE(none.valid());
    CHECK_FALSE(none.ready());
    none.cancel();
    CHECK(kind_of([&] { none.get(); }) == error_kind::argument);
    CHECK(kind_of([&] { none.wait(); }) == error_kind::argument);
    CHECK(kind_of([&] { none.wait_for(std::chrono::seconds(1)); }) == error_kind::argument);
    CHECK(kind_of([&] { none.then([](int) {}); }) == error_kind::argument);
}

TEST_CASE("future: the result is there once") {
    async_session session(config(), scripted_transport(greets));
    auto hello = session.hello();
    CHECK(hello.valid());
    hello.wait();
    CHECK(hello.ready());
    CHECK(hello.get().manager == "19.03");
    CHECK_FALSE(hello.valid());
    CHECK_FALSE(hello.ready());
    CHECK(kind_of([&] { hello.get(); }) == error_kind::argument);
}

TEST_CASE("future: wait_for tells whether the result is there and cancels nothing") {
    gate door;
    async_session session(config(), scripted_transport([&](const auto&, const auto& context) {
                              door.pass(context);
                              return greeting();
                          }));
    auto hello = session.hello();
    CHECK_FALSE(hello.wait_for(std::chrono::milliseconds(1)));
    CHECK_FALSE(hello.wait_for(std::chrono::milliseconds(-1)));
    CHECK_FALSE(hello.ready());
    door.open();
    CHECK(hello.wait_for((std::chrono::hours::max)()));
    CHECK(hello.wait_for(std::chrono::seconds(0)));
    CHECK(hello.get().version == "v4.20190315");
}

TEST_CASE("future: letting go of one neither waits nor cancels") {
    gate door;
    mailbox<bool> done;
    async_session session(config(), scripted_transport([&](const auto&, const auto& context) {
                              door.pass(context);
                              done.put(true);
                              return greeting();
                          }));
    { auto dropped = session.hello(); }
    session.hello();
    door.await(2);
    door.open();
    CHECK(done.wait());
}

TEST_CASE("future: exceptions of each kind are carried") {
    const auto failing = [](auto thrown) {
        async_session session(config(), scripted_transport([=](const auto&, const auto&) -> answer { throw thrown; }));
        session.hello().get();
    };
    for (const auto kind : {error_kind::argument, error_kind::timeout, error_kind::connect, error_kind::tls,
                            error_kind::protocol, error_kind::cancelled, error_kind::closed, error_kind::io}) {
        CHECK(kind_of([&] { failing(client_error(kind, "scripted")); }) == kind);
    }
    CHECK_THROWS_AS(failing(std::logic_error("of the user's own")), std::logic_error);
    async_session refusing(config(), scripted_transport([](const auto&, const auto&) {
                               return answer(404, R"({"type": "https://api.backend.ai/probs/x", "title": "no"})");
                           }));
    try {
        refusing.kernel("some-id").get_info().get();
        FAIL("no exception");
    } catch (const backendai::api_error& e) {
        CHECK(e.status() == 404);
        CHECK(e.type() == "https://api.backend.ai/probs/x");
    }
}

TEST_CASE("future: then gives the value on, on a thread of the session") {
    async_session session(config(), scripted_transport(greets));
    const auto caller = std::this_thread::get_id();
    auto hello = session.hello();
    auto length = hello.then([&](backendai::server_info info) {
        return std::make_pair(info.version.size(), std::this_thread::get_id() != caller);
    });
    CHECK_FALSE(hello.valid());
    const auto [size, elsewhere] = length.get();
    CHECK(size == 11);
    CHECK(elsewhere);
}

TEST_CASE("future: a chain of continuations, of a ready result, of void, of futures") {
    async_session session(config(), scripted_transport(greets));
    auto ready = session.hello();
    ready.wait();
    future<int> end =
        ready.then([](backendai::server_info) {})
            .then([] { return 1; })
            .then([](int value) { return value + 1; })
            .then([&session](int value) {
                return session.hello().then([value](const backendai::server_info&) { return value * 10; });
            })
            .then([](future<int> value) { return value.get() + 1; });
    CHECK(end.get() == 21);
}

TEST_CASE("future: results and functions need only be movable") {
    async_session session(config(), scripted_transport(greets));
    auto made =
        session.hello().then([owned = std::make_unique<int>(7)](const auto&) mutable { return std::move(owned); });
    CHECK(*made.get() == 7);
}

TEST_CASE("future: an exception passes over functions of the value and reaches one of the future") {
    async_session session(config(), scripted_transport([](const auto&, const auto&) -> answer {
                              throw client_error(error_kind::connect, "scripted");
                          }));
    bool called = false;
    auto skipped = session.hello().then([&](const backendai::server_info&) { called = true; });
    CHECK(kind_of([&] { skipped.get(); }) == error_kind::connect);
    CHECK_FALSE(called);
    auto handled = session.hello()
                       .then([&](const backendai::server_info& info) {
                           called = true;
                           return info.version;
                       })
                       .then([](future<std::string> before) -> std::string {
                           if (!before.ready()) return "not ready";
                           const auto kind = kind_of([&] { before.get(); });
                           return kind ? to_string(*kind) : "no failure";
                       });
    CHECK(handled.get() == "connect");
    CHECK_FALSE(called);
    auto thrown =
        handled.valid() ? std::move(handled) : session.hello().then([](future<backendai::server_info>) -> std::string {
            throw std::out_of_range("of a continuation");
        });
    CHECK_THROWS_AS(thrown.get(), std::out_of_range);
}

TEST_CASE("future: a continuation that returns a future without a result is an error, not a hang") {
    async_session session(config(), scripted_transport(greets));
    auto wrong = session.hello().then([](const auto&) { return future<int>(); });
    CHECK(kind_of([&] { wrong.get(); }) == error_kind::argument);
}

TEST_CASE("future: what a continuation holds is gone when its result is there") {
    async_session session(config(), scripted_transport(greets));
    auto held = std::make_shared<int>(1);
    session.hello().then([held](const auto&) {}).get();
    CHECK(held.use_count() == 1);
    auto failed = session.hello().then([](const auto&) { throw std::logic_error("x"); }).then([held] {});
    CHECK_THROWS_AS(failed.get(), std::logic_error);
    CHECK(held.use_count() == 1);
}

TEST_CASE("future: waiting on a thread of its own session throws in place of dead-locking") {
    gate door;
    async_session session(config(1), scripted_transport([&](const auto& request, const auto& context) {
                              if (request.url.path != "/") door.pass(context);
                              return greeting();
                          }));
    auto inner = session.hello().then([&](const auto&) {
        auto pending = session.kernel("some-id").get_logs();
        const auto got = kind_of([&] { pending.get(); });
        const auto waited = kind_of([&] { pending.wait(); });
        const bool limited = pending.wait_for(std::chrono::milliseconds(1));
        const bool kept = pending.valid();
        pending.cancel();
        return std::make_tuple(got, waited, limited, kept, kind_of([&] { pending.get(); }));
    });
    const auto [got, waited, limited, kept, cancelled] = inner.get();
    CHECK(got == error_kind::argument);
    CHECK(waited == error_kind::argument);
    CHECK_FALSE(limited);
    CHECK(kept);
    CHECK(cancelled == error_kind::cancelled); // it was ready then, so that taking it was allowed
    // A thread of another session may wait.
    async_session other(config(1), scripted_transport(greets));
    auto crossed = other.hello().then([&](const auto&) { return session.hello().get().manager; });
    CHECK(crossed.get() == "19.03");
}

TEST_CASE("future: cancel ends a running call, and a waiting one at once") {
    gate door;
    async_session session(config(1), scripted_transport([&](const auto&, const auto& context) {
                              door.pass(context);
                              return greeting();
                          }));
    auto running = session.hello();
    door.await(1);
    auto waiting = session.hello();
    waiting.cancel();
    CHECK(waiting.ready()); // although the only thread is taken
    CHECK(kind_of([&] { waiting.get(); }) == error_kind::cancelled);
    CHECK_FALSE(running.ready());
    running.cancel();
    running.cancel();
    CHECK(kind_of([&] { running.get(); }) == error_kind::cancelled);
    door.open();
    auto done = session.hello();
    done.wait();
    done.cancel();
    CHECK(done.get().manager == "19.03");
    CHECK(door.entered() == 2);
}

TEST_CASE("future: the token of call_options cancels too, and before the call as well") {
    gate door;
    async_session session(config(1), scripted_transport([&](const auto&, const auto& context) {
                              door.pass(context);
                              return greeting();
                          }));
    const backendai::cancel_source source;
    backendai::call_options options;
    options.cancel = source.token();
    const auto view = session.with(options);
    auto running = view.hello();
    door.await(1);
    auto waiting = view.hello();
    auto other = session.hello();
    source.cancel();
    CHECK(waiting.ready());
    CHECK(kind_of([&] { running.get(); }) == error_kind::cancelled);
    CHECK(kind_of([&] { waiting.get(); }) == error_kind::cancelled);
    CHECK(kind_of([&] { view.hello().get(); }) == error_kind::cancelled);
    door.open();
    CHECK(other.get().manager == "19.03");
}

TEST_CASE("future: cancelling a chain reaches the call it waits for, of before and of within") {
    gate door;
    async_session session(config(2), scripted_transport([&](const auto& request, const auto& context) {
                              if (request.url.path != "/") door.pass(context);
                              return greeting();
                          }));
    bool called = false;
    auto before = session.kernel("a").get_logs().then([&](const std::string&) { called = true; });
    door.await(1);
    before.cancel();
    CHECK(kind_of([&] { before.get(); }) == error_kind::cancelled);
    CHECK_FALSE(called);
    auto within = session.hello()
                      .then([&](const auto&) { return session.kernel("b").get_logs(); })
                      .then([](const std::string& text) { return text.size(); });
    door.await(2);
    within.cancel();
    CHECK(kind_of([&] { within.get(); }) == error_kind::cancelled);
}

TEST_CASE("future: one that is waited for in one thread can be cancelled from another") {
    gate door;
    async_session session(config(), scripted_transport([&](const auto&, const auto& context) {
                              door.pass(context);
                              return greeting();
                          }));
    auto hello = session.hello();
    std::thread other([&] {
        door.await(1);
        hello.cancel();
    });
    CHECK(kind_of([&] { hello.get(); }) == error_kind::cancelled);
    other.join();
}
