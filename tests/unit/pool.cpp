#include <backendai/transport/pool.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <set>
#include <thread>
#include <vector>

using backendai::detail::slot_pool;

namespace {

struct counted {
    explicit counted(std::atomic<int>& alive) : alive_(alive) { ++alive_; }
    counted(const counted&) = delete;
    counted& operator=(const counted&) = delete;
    ~counted() { --alive_; }
    int uses = 0; // not atomic: whoever took it is alone with it
    std::atomic<int>& alive_;
};

} // namespace

TEST_CASE("a pool gives back what it was given, and nothing when it is empty") {
    std::atomic<int> alive{0};
    slot_pool<counted> pool(2);
    CHECK(!pool.take());
    pool.give_back(nullptr);
    CHECK(!pool.take());
    auto made = std::make_unique<counted>(alive);
    const counted* address = made.get();
    pool.give_back(std::move(made));
    const auto taken = pool.take();
    CHECK(taken.get() == address);
    CHECK(!pool.take());
}

TEST_CASE("a pool keeps no more than it has slots, and destroys the rest") {
    std::atomic<int> alive{0};
    {
        slot_pool<counted> pool(3);
        for (int i = 0; i < 5; ++i) pool.give_back(std::make_unique<counted>(alive));
        CHECK(alive == 3);
        std::set<counted*> different;
        std::vector<std::unique_ptr<counted>> taken;
        while (auto one = pool.take()) {
            different.insert(one.get());
            taken.push_back(std::move(one));
        }
        CHECK(different.size() == 3);
        for (auto& one : taken) pool.give_back(std::move(one));
        CHECK(alive == 3);
    }
    CHECK(alive == 0);
    slot_pool<counted> none(0);
    none.give_back(std::make_unique<counted>(alive));
    CHECK(alive == 0);
    CHECK(!none.take());
}

TEST_CASE("no two threads hold the same object, and none is lost") {
    std::atomic<int> alive{0};
    std::vector<int> uses(4, 0);
    {
        slot_pool<counted> pool(2);
        std::vector<std::thread> threads;
        for (std::size_t i = 0; i < uses.size(); ++i) {
            threads.emplace_back([&, i] {
                for (int round = 0; round < 2000; ++round) {
                    auto one = pool.take();
                    if (!one) one = std::make_unique<counted>(alive);
                    ++one->uses;
                    ++uses[i];
                    pool.give_back(std::move(one));
                }
            });
        }
        for (std::thread& thread : threads) thread.join();
        CHECK(alive <= 2);
    }
    CHECK(alive == 0);
    CHECK(uses == std::vector<int>(4, 2000));
}
