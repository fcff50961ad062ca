// run_parallel(): many jobs, at most so many at once.
#include "async_support.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <stdexcept>

using namespace async_support;

namespace {

std::vector<std::function<int()>> numbered(int count, const std::function<int(int)>& work) {
    std::vector<std::function<int()>> jobs;
    for (int i = 0; i < count; ++i) jobs.emplace_back([i, work] { return work(i); });
    return jobs;
}

} // namespace

TEST_CASE("run_parallel: results and failures in the order of the jobs") {
    auto ends = backendai::run_parallel(numbered(100,
                                                 [](int i) {
                                                     if (i % 10 == 3) throw std::out_of_range("job");
                                                     return i * i;
                                                 }),
                                        7);
    REQUIRE(ends.size() == 100);
    for (int i = 0; i < 100; ++i) {
        auto& end = ends[static_cast<std::size_t>(i)];
        CHECK(end.ok() == (i % 10 != 3));
        if (end.ok()) {
            CHECK(end.get() == i * i);
        } else {
            CHECK_THROWS_AS(end.get(), std::out_of_range);
        }
    }
}

TEST_CASE("run_parallel: never more at once than asked for, and as many") {
    std::mutex mutex;
    std::condition_variable changed;
    int now = 0, peak = 0;
    backendai::run_parallel(numbered(40,
                                     [&](int i) {
                                         std::unique_lock<std::mutex> lock(mutex);
                                         peak = (std::max)(peak, ++now);
                                         changed.notify_all();
                                         changed.wait(lock, [&] { return peak == 5; }); // hangs if there are never 5
                                         --now;
                                         return i;
                                     }),
                            5);
    CHECK(peak == 5);
    CHECK(backendai::run_parallel(std::vector<std::function<void()>>(), 3).empty());
    CHECK(kind_of([] { backendai::run_parallel(std::vector<std::function<void()>>(1), 0); }) == error_kind::argument);
}

TEST_CASE("run_parallel: blocking sessions") {
    blocking_session session(config(), scripted_transport([](const auto&, const auto&) { return greeting(); }));
    std::vector<std::function<std::string()>> jobs(10, [&] { return session.hello().manager; });
    for (auto& end : backendai::run_parallel(jobs, 4)) CHECK(end.get() == "19.03");
}

TEST_CASE("run_parallel: async sessions, at most so many calls in flight") {
    std::atomic<int> now{0}, peak{0};
    async_session session(config(8), scripted_transport([&](const auto&, const auto&) {
                              const int mine = ++now;
                              int before = peak;
                              while (before < mine && !peak.compare_exchange_weak(before, mine)) continue;
                              std::this_thread::yield();
                              --now;
                              return greeting();
                          }));
    int started = 0;
    const auto job = [&, i = 0]() mutable {
        ++started;
        if (++i > 1) throw std::logic_error("jobs are copies");
        return session.hello().then([](const auto& info) { return info.manager; });
    };
    auto ends = backendai::run_parallel(std::vector<std::decay_t<decltype(job)>>(200, job), 3);
    for (auto& end : ends) CHECK(end.get() == "19.03");
    CHECK(started == 200);
    CHECK(peak <= 3);
}

TEST_CASE("run_parallel: a cancel starts nothing further and ends futures that run") {
    const backendai::cancel_source source;
    auto ends = backendai::run_parallel(numbered(50,
                                                 [&](int i) {
                                                     if (i == 10) source.cancel();
                                                     return i;
                                                 }),
                                        1, source.token());
    int done = 0, cancelled = 0;
    for (auto& end : ends) {
        if (end.ok()) {
            ++done;
        } else if (kind_of([&] { end.get(); }) == error_kind::cancelled) {
            ++cancelled;
        }
    }
    CHECK(done == 11);
    CHECK(cancelled == 39);

    gate door;
    async_session session(config(2), scripted_transport([&](const auto&, const auto& context) {
                              door.pass(context);
                              return greeting();
                          }));
    const backendai::cancel_source stop;
    std::thread other([&] {
        door.await(2);
        stop.cancel();
    });
    std::vector<std::function<backendai::future<backendai::server_info>()>> calls(20, [&] { return session.hello(); });
    for (auto& end : backendai::run_parallel(calls, 4, stop.token())) {
        CHECK(kind_of([&] { end.get(); }) == error_kind::cancelled);
    }
    other.join();
    CHECK(door.entered() == 2);
}

TEST_CASE("run_parallel: jobs without a result, jobs that cannot start, and the thread that would wait for itself") {
    async_session session(config(1), scripted_transport([](const auto&, const auto&) { return greeting(); }));
    std::vector<std::function<backendai::future<void>()>> jobs(
        3, [&] { return session.hello().then([](const auto&) {}); });
    jobs[1] = []() -> backendai::future<void> { throw std::length_error("not started"); };
    jobs.emplace_back([] { return backendai::future<void>(); });
    auto ends = backendai::run_parallel(jobs, 2);
    CHECK_NOTHROW(ends[0].get());
    CHECK_THROWS_AS(ends[1].get(), std::length_error);
    CHECK_NOTHROW(ends[2].get());
    CHECK(kind_of([&] { ends[3].get(); }) == error_kind::argument);
    auto inside = session.hello().then([&](const auto&) { return kind_of([&] { backendai::run_parallel(jobs, 2); }); });
    CHECK(inside.get() == error_kind::argument);
}
