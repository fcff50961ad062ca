// The pool of threads: bounded, lazy, in order, and an end that neither hangs nor loses anything.
#include "async_support.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>

using namespace async_support;
using backendai::detail::executor;
using backendai::detail::work;

namespace {

class job : public work {
public:
    explicit job(
        std::function<void()> run, std::function<void()> refused = [] {})
        : run_(std::move(run)), refused_(std::move(refused)) {}
    void run() noexcept override { run_(); }
    void refuse() noexcept override { refused_(); }

private:
    std::function<void()> run_, refused_;
};

std::shared_ptr<work> make(
    std::function<void()> run, std::function<void()> refused = [] {}) {
    return std::make_shared<job>(std::move(run), std::move(refused));
}

} // namespace

TEST_CASE("executor: tasks begin in the order in which they came, continuations before them") {
    const auto pool = std::make_shared<executor>(1);
    mailbox<bool> go, done;
    std::vector<int> order;
    pool->submit(make([&] { go.wait(); }));
    for (int i = 0; i < 100; ++i) pool->submit(make([&order, i] { order.push_back(i); }));
    pool->resume(make([&] { order.push_back(-1); }));
    pool->submit(make([&] { done.put(true); }));
    go.put(true);
    done.wait();
    pool->stop();
    pool->join();
    REQUIRE(order.size() == 101);
    CHECK(order[0] == -1);
    for (int i = 0; i < 100; ++i) CHECK(order[static_cast<std::size_t>(i) + 1] == i);
}

TEST_CASE("executor: never more threads than allowed, and all of them when there is work") {
    const auto pool = std::make_shared<executor>(3);
    std::mutex mutex;
    std::condition_variable changed;
    int now = 0, peak = 0, done = 0;
    bool open = false;
    for (int i = 0; i < 50; ++i) {
        pool->submit(make([&] {
            std::unique_lock<std::mutex> lock(mutex);
            peak = (std::max)(peak, ++now);
            changed.notify_all();
            changed.wait(lock, [&] { return open; });
            --now;
            ++done;
            changed.notify_all();
        }));
    }
    {
        std::unique_lock<std::mutex> lock(mutex);
        changed.wait(lock, [&] { return now == 3; });
        open = true;
        changed.notify_all();
        changed.wait(lock, [&] { return done == 50; });
        CHECK(peak == 3);
    }
    pool->stop();
    pool->join();
}

TEST_CASE("executor: stopping refuses what waits, finishes what runs, and then takes nothing") {
    const auto pool = std::make_shared<executor>(1);
    mailbox<bool> began, go;
    std::atomic<int> refused{0}, ran{0}, continued{0};
    pool->submit(make([&] {
        began.put(true);
        go.wait();
        ++ran;
        pool->resume(make([&] { ++continued; }));
    }));
    began.wait();
    for (int i = 0; i < 10; ++i) {
        pool->submit(make([&] { ++ran; },
                          [&] {
                              ++refused;
                              pool->resume(make([&] { ++continued; }));
                          }));
    }
    pool->stop();
    CHECK(refused == 10);
    CHECK_FALSE(pool->submit(make([&] { ++ran; })));
    go.put(true);
    pool->join();
    pool->join();
    CHECK(ran == 1);
    CHECK(continued == 11);
    CHECK_FALSE(pool->resume(make([&] { ++continued; })));
    CHECK(continued == 11);
}

TEST_CASE("executor: stopped from one of its own threads it ends without waiting for itself") {
    auto pool = std::make_shared<executor>(2);
    mailbox<bool> joined;
    pool->submit(make([&] {
        pool->stop();
        pool->join();
        joined.put(pool->on_own_thread());
    }));
    CHECK(joined.wait());
    CHECK_FALSE(pool->on_own_thread());
    pool->join(); // from here it does wait
}

TEST_CASE("executor: its own thread may be the last to let go of it") {
    auto pool = std::make_shared<executor>(2);
    const std::weak_ptr<executor> watch = pool;
    // Shared, as nothing here waits for the end of the thread.
    const auto alone = std::make_shared<mailbox<bool>>();
    pool->submit(make([held = pool, alone]() mutable {
        alone->wait();
        held->stop();
        held.reset();
    }));
    pool.reset();
    alone->put(true);
    while (!watch.expired()) std::this_thread::yield();
}

TEST_CASE("executor: one that was never used ends at once") {
    const auto pool = std::make_shared<executor>(4);
    CHECK_FALSE(pool->on_own_thread());
    pool->stop();
    pool->stop();
    pool->join();
    CHECK_FALSE(pool->submit(make([] {})));
}
