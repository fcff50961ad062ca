#include <backendai/cancel.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

using backendai::cancel_source;
using backendai::cancel_token;

TEST_CASE("a token tells of its source's cancel, a default-made one never does") {
    const cancel_source source;
    const cancel_source copy = source;
    const cancel_token token = source.token();
    CHECK(!token.cancelled());
    CHECK(token.can_be_cancelled());
    copy.cancel();
    CHECK(token.cancelled());
    CHECK(source.cancelled());
    CHECK(source.token().cancelled());
    CHECK(!cancel_token().cancelled());
    CHECK(!cancel_token().can_be_cancelled());
}

TEST_CASE("listeners are called once, whether they come before or after the cancel") {
    const cancel_source source;
    int before = 0, after = 0, gone = 0, never = 0;
    const cancel_token::listener first(source.token(), [&] { ++before; });
    {
        const cancel_token::listener short_lived(source.token(), [&] { ++gone; });
    }
    const cancel_token::listener idle(cancel_token(), [&] { ++never; });
    CHECK(before == 0);
    source.cancel();
    source.cancel();
    const cancel_token::listener second(source.token(), [&] { ++after; });
    CHECK(before == 1);
    CHECK(after == 1);
    CHECK(gone == 0);
    CHECK(never == 0);
}

TEST_CASE("a listener may cancel again, add listeners and remove itself or others") {
    const cancel_source source;
    int calls = 0, victim_calls = 0;
    std::unique_ptr<cancel_token::listener> self, victim, added;
    self = std::make_unique<cancel_token::listener>(source.token(), [&] {
        ++calls;
        source.cancel();
        victim.reset();
        added = std::make_unique<cancel_token::listener>(source.token(), [&] { calls += 10; });
        self.reset();
    });
    victim = std::make_unique<cancel_token::listener>(source.token(), [&] { ++victim_calls; });
    source.cancel();
    CHECK(calls == 11);
    CHECK(victim_calls == 0);
}

TEST_CASE("after a listener is gone what it refers to is not touched, even while a cancel runs elsewhere") {
    for (int round = 0; round < 200; ++round) {
        const cancel_source source;
        std::atomic<bool> ready{false};
        std::thread canceller([&] {
            while (!ready) std::this_thread::yield();
            source.cancel();
        });
        int touched = 0; // not atomic: the sanitizers see a touch after the end
        {
            const cancel_token::listener listener(source.token(), [&touched] { ++touched; });
            ready = true;
        }
        CHECK(touched <= 1);
        touched = 7;
        canceller.join();
        CHECK(touched == 7);
    }
}

TEST_CASE("listeners come and go on many threads while the source is cancelled") {
    const cancel_source source;
    std::atomic<int> calls{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            for (int round = 0; round < 300; ++round) {
                int mine = 0;
                {
                    const cancel_token::listener listener(source.token(), [&] {
                        ++mine;
                        ++calls;
                    });
                    if (round == 150) source.cancel();
                }
                if (mine > 1) calls += 1000000;
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(calls >= 4 * 149); // those that came after the cancel, at least
    CHECK(calls < 1000000);
}
