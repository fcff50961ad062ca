// Coroutines over futures; nothing to test before C++20.
#include "async_support.hpp"

#include <doctest/doctest.h>

#include <stdexcept>
#include <thread>

#ifdef BACKENDAI_HAS_COROUTINES

using namespace async_support;
using backendai::future;

namespace {

const script greets = [](const auto&, const auto&) { return greeting(); };

future<std::string> twice(const async_session& session) {
    const std::string first = (co_await session.hello()).manager;
    auto second = session.hello();
    co_return first + "+" + (co_await second).manager;
}

future<int> count_down(const async_session& session, int from) {
    if (from == 0) co_return 0;
    co_await session.hello();
    co_return 1 + co_await count_down(session, from - 1);
}

future<void> fails(const async_session& session, std::shared_ptr<int> held) {
    const std::shared_ptr<int> local = held;
    co_await session.hello();
    throw std::out_of_range("of a coroutine");
}

future<bool> closes(std::unique_ptr<async_session>& session) {
    co_await session->hello();
    session.reset();
    co_return true;
}

} // namespace

TEST_CASE("coroutine: awaits calls and returns a value") {
    async_session session(config(1), scripted_transport(greets));
    CHECK(twice(session).get() == "19.03+19.03");
    CHECK(count_down(session, 50).get() == 50);
    CHECK(twice(session).then([](const std::string& text) { return text.size(); }).get() == 11);
}

TEST_CASE("coroutine: begins on the caller's thread and goes on on the session's") {
    gate door;
    async_session session(config(1), scripted_transport([&](const auto&, const auto& context) {
                              door.pass(context);
                              return greeting();
                          }));
    const auto threads = [](const async_session& s) -> future<std::pair<std::thread::id, std::thread::id>> {
        const auto before = std::this_thread::get_id();
        co_await s.hello();
        co_return std::make_pair(before, std::this_thread::get_id());
    };
    auto result = threads(session);
    CHECK_FALSE(result.ready());
    door.open();
    const auto [before, after] = result.get();
    CHECK(before == std::this_thread::get_id());
    CHECK(after != before);
}

TEST_CASE("coroutine: a result that is there, or a plain return, needs no pause") {
    async_session session(config(), scripted_transport(greets));
    auto ready = session.hello();
    ready.wait();
    const auto immediate = [](future<backendai::server_info> given) -> future<std::string> {
        co_return(co_await given).version;
    };
    auto result = immediate(std::move(ready));
    CHECK(result.ready());
    CHECK(result.get() == "v4.20190315");
    const auto none = []() -> future<void> { co_return; };
    none().get();
}

TEST_CASE("coroutine: exceptions come out of the future, and nothing of the coroutine is left by then") {
    async_session session(config(), scripted_transport(greets));
    const auto held = std::make_shared<int>(1);
    auto failed = fails(session, held);
    CHECK_THROWS_AS(failed.get(), std::out_of_range);
    CHECK(held.use_count() == 1);
    const auto caught = [](const async_session& s) -> future<std::string> {
        try {
            co_await s.kernel("").get_info();
        } catch (const client_error& e) {
            co_return to_string(e.kind());
        }
        co_return "nothing";
    };
    CHECK(caught(session).get() == "argument");
    const auto twice_taken = [](const async_session& s) -> future<int> {
        auto hello = s.hello();
        co_await hello;
        co_await hello;
        co_return 1;
    };
    auto taken = twice_taken(session);
    CHECK(kind_of([&] { taken.get(); }) == error_kind::argument);
}

TEST_CASE("coroutine: cancel reaches what it awaits, through other coroutines too") {
    gate door;
    async_session session(config(), scripted_transport([&](const auto&, const auto& context) {
                              door.pass(context);
                              return greeting();
                          }));
    const auto outer = [](const async_session& s) -> future<std::size_t> { co_return(co_await twice(s)).size(); };
    auto result = outer(session);
    door.await(1);
    result.cancel();
    CHECK(kind_of([&] { result.get(); }) == error_kind::cancelled);
    CHECK(door.entered() == 1);
}

TEST_CASE("coroutine: waiting for one on the session's own thread throws") {
    gate door;
    async_session session(config(1), scripted_transport([&](const auto& request, const auto& context) {
                              if (request.url.path != "/") door.pass(context);
                              return greeting();
                          }));
    const auto logs = [](const async_session& s) -> future<void> { co_await s.kernel("x").get_info(); };
    auto inside = session.hello().then([&](const auto&) {
        auto pending = logs(session);
        const auto kind = kind_of([&] { pending.get(); });
        door.open();
        return kind;
    });
    CHECK(inside.get() == error_kind::argument);
}

TEST_CASE("coroutine: closing the session ends it with closed, and it may close the session itself") {
    gate door;
    async_session session(config(1), scripted_transport([&](const auto&, const auto& context) {
                              door.pass(context);
                              return greeting();
                          }));
    std::vector<future<std::string>> all;
    for (int i = 0; i < 20; ++i) all.push_back(twice(session));
    door.await(1);
    session.close();
    for (auto& one : all) {
        REQUIRE(one.ready());
        CHECK(kind_of([&] { one.get(); }) == error_kind::closed);
    }
    CHECK(kind_of([&] { twice(session).get(); }) == error_kind::closed);
    auto own = std::make_unique<async_session>(config(1), scripted_transport(greets));
    CHECK(closes(own).get());
    CHECK(own == nullptr);
}

#endif
