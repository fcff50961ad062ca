#include <backendai/watchdog.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

using namespace backendai;
using backendai::detail::watchdog;
using clock_type = watchdog::clock;
using std::chrono::milliseconds;

namespace {

class counter final : public backendai::detail::interruptible {
public:
    void interrupt() noexcept override {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (count_++ == 0) first_ = clock_type::now();
        changed_.notify_all();
    }
    void wait_for(int number) {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [&] { return count_ >= number; });
    }
    int count() {
        const std::lock_guard<std::mutex> lock(mutex_);
        return count_;
    }
    clock_type::time_point first() {
        const std::lock_guard<std::mutex> lock(mutex_);
        return first_;
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    int count_ = 0;
    clock_type::time_point first_;
};

} // namespace

TEST_CASE("a target is interrupted not before its time, and again until it is forgotten") {
    watchdog dog;
    counter target;
    const auto when = clock_type::now() + milliseconds(30);
    dog.watch(target, when);
    target.wait_for(3);
    CHECK(target.first() >= when);
    dog.forget(target);
    const int count = target.count();
    // Others are still served, and by then this one would have been too.
    counter other;
    dog.watch(other, {});
    other.wait_for(4);
    dog.forget(other);
    CHECK(target.count() == count);
}

TEST_CASE("the earliest time holds, whichever target and call it comes from") {
    watchdog dog;
    counter late, early, moved;
    const auto far = clock_type::now() + std::chrono::hours(1);
    dog.watch(late, far);
    dog.watch(moved, far);
    dog.watch(early, clock_type::now() + milliseconds(1));
    early.wait_for(1);
    dog.watch(moved, clock_type::now());
    moved.wait_for(1);
    dog.watch(moved, far); // does not put it off
    moved.wait_for(3);
    CHECK(late.count() == 0);
    for (counter* each : {&late, &early, &moved}) dog.forget(*each);
}

TEST_CASE("the watchdog ends with targets still watched, or none ever") {
    counter target;
    { const watchdog unused; }
    watchdog dog;
    dog.watch(target, clock_type::now() + std::chrono::hours(1));
    dog.forget(target);
    dog.forget(target);
    dog.watch(target, clock_type::now() + std::chrono::hours(1));
}

TEST_CASE("an exchange is watched for its deadline, its cancel and its session's close") {
    watchdog dog;
    for (int cause = 0; cause < 3; ++cause) {
        counter target;
        const cancel_source cancel, closing;
        exchange_context context;
        context.cancel = cancel.token();
        context.closing = closing.token();
        if (cause == 0) context.deadline = clock_type::now() + milliseconds(1);
        {
            const backendai::detail::watched guard(dog, target, context);
            if (cause == 1) cancel.cancel();
            if (cause == 2) closing.cancel();
            target.wait_for(2);
        }
        const int count = target.count();
        counter other;
        {
            exchange_context ended;
            ended.deadline = clock_type::now();
            const backendai::detail::watched guard(dog, other, ended);
            other.wait_for(3);
        }
        cancel.cancel();
        closing.cancel();
        CHECK(target.count() == count);
    }
    // One that was cancelled before is interrupted from the start.
    counter target;
    const cancel_source source;
    source.cancel();
    exchange_context context;
    context.cancel = source.token();
    const backendai::detail::watched guard(dog, target, context);
    target.wait_for(1);
}

TEST_CASE("targets that are gone are not touched, among threads") {
    watchdog dog;
    std::vector<std::thread> threads;
    std::atomic<int> rounds{0};
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            for (int round = 0; round < 200; ++round) {
                counter target; // on the stack: the sanitizers see a late touch
                const cancel_source source;
                exchange_context context;
                context.cancel = source.token();
                context.deadline = clock_type::now() + std::chrono::microseconds(round);
                const backendai::detail::watched guard(dog, target, context);
                if (round % 2 == 0) source.cancel();
                if (round % 5 == 0) target.wait_for(1);
                ++rounds;
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(rounds == 800);
}
