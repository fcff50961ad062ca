// What a stream does in async mode: its own threads, the order of its calls, cancels that lose nothing, and its end at
// any moment.
#include "async_support.hpp"

#include <backendai/async/message_stream.hpp>
#include <backendai/mode_async.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace async_support;
using backendai::async_message_stream;
using backendai::future;
using backendai::stream_message;
using std::chrono::milliseconds;
using std::chrono::seconds;

// The far end of a stream: what it sends is put in, and what came out of the other end is looked at.
struct far_end {
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<stream_message> coming;
    std::vector<std::string> sent;
    bool closed = false, cancelled = false, broken = false, holds_sends = false;
    int reading = 0, sending = 0;

    void put(const std::string& text) {
        const std::lock_guard<std::mutex> lock(mutex);
        coming.push_back({stream_message::type::text, text, 0});
        changed.notify_all();
    }
    template <class Change>
    void change(Change&& what) {
        const std::lock_guard<std::mutex> lock(mutex);
        what(*this);
        changed.notify_all();
    }
    template <class Condition>
    bool await(Condition&& condition) {
        std::unique_lock<std::mutex> lock(mutex);
        return changed.wait_for(lock, seconds(60), [&] { return condition(*this); });
    }
};

class near_end final : public backendai::message_stream {
public:
    explicit near_end(std::shared_ptr<far_end> far) : far_(std::move(far)) {}
    stream_message receive() override { return *receive_for(std::chrono::hours(1)); }
    std::optional<stream_message> receive_for(milliseconds limit) override {
        std::unique_lock<std::mutex> lock(far_->mutex);
        ++far_->reading;
        far_->changed.notify_all();
        far_->changed.wait_for(
            lock, limit, [&] { return !far_->coming.empty() || far_->closed || far_->cancelled || far_->broken; });
        --far_->reading;
        if (far_->cancelled) throw client_error(error_kind::cancelled, "cancelled");
        if (far_->broken) {
            far_->broken = false; // says it once, as a stream does that reports an error of the server
            throw client_error(error_kind::protocol, "broken");
        }
        if (!far_->coming.empty()) {
            stream_message message = std::move(far_->coming.front());
            far_->coming.pop_front();
            return message;
        }
        if (far_->closed) return stream_message{};
        return std::nullopt;
    }
    void send_text(std::string_view text) override { send(std::string(text)); }
    void send_binary(std::string_view bytes) override { send('b' + std::string(bytes)); }
    void close(std::uint16_t code, std::string_view reason) override {
        far_->change([&](far_end& far) {
            if (!far.closed) far.sent.push_back("close " + std::to_string(code) + std::string(reason));
            far.closed = true;
        });
    }
    void cancel() noexcept override {
        far_->change([](far_end& far) { far.cancelled = true; });
    }
    const std::string& protocol() const noexcept override { return protocol_; }

private:
    void send(std::string what) {
        std::unique_lock<std::mutex> lock(far_->mutex);
        ++far_->sending;
        far_->changed.notify_all();
        far_->changed.wait(lock, [&] { return !far_->holds_sends || far_->cancelled; });
        --far_->sending;
        if (far_->cancelled) throw client_error(error_kind::cancelled, "cancelled");
        far_->sent.push_back(std::move(what));
        far_->changed.notify_all();
    }
    const std::shared_ptr<far_end> far_;
    const std::string protocol_ = "chat";
};

struct both_ends {
    std::shared_ptr<backendai::detail::executor> threads = std::make_shared<backendai::detail::executor>(1);
    std::shared_ptr<far_end> far = std::make_shared<far_end>();
    std::unique_ptr<async_message_stream> stream =
        std::make_unique<async_message_stream>(threads, std::make_unique<near_end>(far));
    both_ends() = default;
    both_ends(const both_ends&) = delete;
    both_ends& operator=(const both_ends&) = delete;
    ~both_ends() {
        stream.reset();
        threads->stop();
        threads->join();
    }
};

} // namespace

TEST_CASE("async streams: receives and sends are served in their order, each beside the other") {
    both_ends here;
    std::vector<future<stream_message>> reads;
    for (int i = 0; i < 5; ++i) reads.push_back(here.stream->receive());
    here.stream->send_text("one");
    here.stream->send_binary("two");
    auto last = here.stream->send_text("three");
    last.get(); // while all reads wait
    CHECK(here.far->sent == std::vector<std::string>{"one", "btwo", "three"});
    for (int i = 0; i < 5; ++i) here.far->put(std::to_string(i));
    for (int i = 0; i < 5; ++i) CHECK(reads[static_cast<std::size_t>(i)].get().data == std::to_string(i));
    CHECK(here.stream->protocol() == "chat");
    auto closed = here.stream->close(4000, "bye");
    closed.get();
    CHECK(here.far->sent.back() == "close 4000bye");
    CHECK(here.stream->receive().get().is_closed());
}

TEST_CASE("async streams: a stream that waits holds no thread of the session") {
    both_ends here;
    std::vector<std::unique_ptr<async_message_stream>> others;
    std::vector<future<stream_message>> waiting;
    for (int i = 0; i < 10; ++i) {
        others.push_back(std::make_unique<async_message_stream>(here.threads, std::make_unique<near_end>(here.far)));
        waiting.push_back(others.back()->receive());
    }
    CHECK(here.far->await([](const far_end& far) { return far.reading == 10; }));
    // The only thread is there for continuations.
    auto sent = here.stream->send_text("x").then([] { return std::this_thread::get_id(); });
    CHECK(sent.get() != std::this_thread::get_id());
    for (const auto& each : waiting) CHECK_FALSE(each.ready());
}

TEST_CASE("async streams: a cancelled receive ends at once and takes nothing away from the next") {
    both_ends here;
    auto first = here.stream->receive();
    CHECK(here.far->await([](const far_end& far) { return far.reading == 1; }));
    first.cancel();
    REQUIRE(first.ready());
    CHECK(kind_of([&] { first.get(); }) == error_kind::cancelled);
    here.far->put("kept");
    CHECK(here.far->await([](const far_end& far) { return far.coming.empty() || far.reading == 0; }));
    CHECK(here.stream->receive().get().data == "kept");
    // The same for an error that is told once.
    auto second = here.stream->receive();
    CHECK(here.far->await([](const far_end& far) { return far.reading == 1; }));
    second.cancel();
    here.far->change([](far_end& far) { far.broken = true; });
    auto third = here.stream->receive();
    CHECK(kind_of([&] { third.get(); }) == error_kind::protocol);
    here.far->put("goes on");
    CHECK(here.stream->receive().get().data == "goes on");
}

TEST_CASE("async streams: a send is cancelled until its turn comes") {
    both_ends here;
    here.far->change([](far_end& far) { far.holds_sends = true; });
    auto runs = here.stream->send_text("runs");
    CHECK(here.far->await([](const far_end& far) { return far.sending == 1; }));
    auto waits = here.stream->send_text("waits");
    waits.cancel();
    CHECK(kind_of([&] { waits.get(); }) == error_kind::cancelled);
    runs.cancel(); // too late: it goes on
    CHECK_FALSE(runs.ready());
    here.far->change([](far_end& far) { far.holds_sends = false; });
    CHECK_NOTHROW(runs.get());
    here.stream->send_text("after").get();
    CHECK(here.far->sent == std::vector<std::string>{"runs", "after"});
}

TEST_CASE("async streams: receive_for yields nothing when its time is over, behind others too") {
    both_ends here;
    CHECK_FALSE(here.stream->receive_for(milliseconds(1)).get());
    here.far->put("there");
    CHECK(here.stream->receive_for(std::chrono::hours(24 * 365 * 200)).get()->data == "there");
    auto first = here.stream->receive();
    auto second = here.stream->receive_for(milliseconds(1));
    CHECK_FALSE(second.wait_for(milliseconds(20))); // its turn has not come
    here.far->put("for the first");
    CHECK(first.get().data == "for the first");
    CHECK_FALSE(second.get());
}

TEST_CASE("async streams: letting go of one says goodbye and ends what waits") {
    both_ends here;
    auto read = here.stream->receive();
    auto later = here.stream->receive_for(seconds(100));
    here.stream.reset();
    REQUIRE(read.ready());
    REQUIRE(later.ready());
    CHECK(kind_of([&] { later.get(); }) == error_kind::cancelled);
    CHECK(here.far->sent == std::vector<std::string>{"close 1000"});
    // A send that is stuck is not waited for, and there is no goodbye then.
    here.far = std::make_shared<far_end>();
    here.far->holds_sends = true;
    here.stream = std::make_unique<async_message_stream>(here.threads, std::make_unique<near_end>(here.far));
    auto stuck = here.stream->send_text("x"), behind = here.stream->send_text("y");
    CHECK(here.far->await([](const far_end& far) { return far.sending == 1; }));
    here.stream.reset();
    REQUIRE(stuck.ready());
    REQUIRE(behind.ready());
    CHECK(kind_of([&] { stuck.get(); }) == error_kind::cancelled);
    CHECK(kind_of([&] { behind.get(); }) == error_kind::cancelled);
    CHECK(here.far->sent.empty());
}

TEST_CASE("async streams: a continuation may let go of its own stream, on whatever thread it runs") {
    for (const bool with_session : {true, false}) {
        both_ends here;
        if (!with_session) { // continuations run on the stream's own thread
            here.threads->stop();
            here.threads->join();
        }
        mailbox<bool> gone;
        auto read = here.stream->receive().then([&](const stream_message&) {
            here.stream.reset();
            gone.put(true);
        });
        here.far->put("x");
        CHECK(gone.wait());
        read.get();
    }
}

TEST_CASE("async streams: ended, cancelled and let go of at random points") {
    std::mt19937 random(20195);
    const int rounds = rounds_of(200);
    for (int round = 0; round < rounds; ++round) {
        both_ends here;
        std::vector<future<stream_message>> reads;
        std::vector<future<void>> writes;
        for (int i = 0; i < 5; ++i) {
            reads.push_back(here.stream->receive());
            writes.push_back(here.stream->send_text("x"));
        }
        std::thread other([far = here.far, pause = random() % 200] {
            for (int i = 0; i < 3; ++i) far->put("y");
            std::this_thread::sleep_for(std::chrono::microseconds(pause));
            far->put("z");
        });
        const std::size_t victim = random() % 5;
        std::this_thread::sleep_for(std::chrono::microseconds(random() % 200));
        if (random() % 2 != 0) reads[victim].cancel();
        if (random() % 2 != 0) writes[victim].cancel();
        if (random() % 3 == 0) here.stream->cancel();
        here.stream.reset();
        other.join();
        for (auto& read : reads) {
            REQUIRE(read.ready());
            const auto kind = kind_of([&] { read.get(); });
            CHECK((!kind || kind == error_kind::cancelled));
        }
        for (auto& write : writes) {
            REQUIRE(write.ready());
            const auto kind = kind_of([&] { write.get(); });
            CHECK((!kind || kind == error_kind::cancelled));
        }
    }
}
