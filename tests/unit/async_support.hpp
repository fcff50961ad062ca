// A transport that does what a test says, and small helpers, for the tests of the asynchronous mode.
#ifndef BACKENDAI_TESTS_ASYNC_SUPPORT_HPP
#define BACKENDAI_TESTS_ASYNC_SUPPORT_HPP

#include <backendai/mode_async.hpp>
#include <backendai/parallel.hpp>
#include <backendai/request.hpp>
#include <backendai/session.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace async_support {

using backendai::client_error;
using backendai::error_kind;
using backendai::json;

struct answer {
    answer(int s, std::string b) : status(s), body(std::move(b)) {}
    answer(const json& b) : body(b.dump()) {}
    int status = 200;
    std::string body;
};

using script = std::function<answer(const backendai::http_request&, const backendai::exchange_context&)>;

class scripted_transport {
public:
    explicit scripted_transport(script what) : script_(std::move(what)) {}
    backendai::response_head exchange(backendai::http_request& request, backendai::body_sink& sink,
                                      const backendai::exchange_context& context) {
        context.check();
        const answer said = script_(request, context);
        backendai::response_head head;
        head.status = said.status;
        head.reason = "Scripted";
        sink.on_head(head);
        if (!said.body.empty()) sink.on_data(said.body);
        return head;
    }

private:
    script script_;
};

using async_session = backendai::basic_session<scripted_transport, backendai::async>;
using blocking_session = backendai::basic_session<scripted_transport, backendai::blocking>;
using async_kernel = backendai::basic_kernel<scripted_transport, backendai::async>;

inline backendai::api_config config(std::uint32_t threads = 4) {
    backendai::api_config made;
    made.endpoint = "http://gateway.test";
    made.access_key = "TESTKEY";
    made.secret_key = "testsecret";
    made.version = "v4.20190315"; // so that nothing is negotiated
    made.async_threads = threads;
    made.retry.max_attempts = 1;
    return made;
}

inline answer greeting() {
    return json{{"version", "v4.20190315"}, {"manager", "19.03"}};
}

// Holds exchanges up until it is opened, or they are cancelled, or their time is over.
class gate {
public:
    void pass(const backendai::exchange_context& context) {
        const auto wake = [this] {
            const std::lock_guard<std::mutex> lock(mutex_);
            changed_.notify_all();
        };
        const backendai::cancel_token::listener on_cancel(context.cancel, wake);
        const backendai::cancel_token::listener on_close(context.closing, wake);
        std::unique_lock<std::mutex> lock(mutex_);
        ++entered_;
        peak_ = (std::max)(peak_, entered_ - left_);
        changed_.notify_all();
        const auto go = [&] { return open_ || context.interrupted(); };
        if (context.has_deadline()) {
            changed_.wait_until(lock, context.deadline, go);
        } else {
            changed_.wait(lock, go);
        }
        ++left_;
        lock.unlock();
        context.check(client_error::progress::maybe_sent);
    }
    void open() {
        const std::lock_guard<std::mutex> lock(mutex_);
        open_ = true;
        changed_.notify_all();
    }
    // Waits until so many exchanges have come.
    void await(int count) {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [&] { return entered_ >= count; });
    }
    int entered() {
        const std::lock_guard<std::mutex> lock(mutex_);
        return entered_;
    }
    int peak() {
        const std::lock_guard<std::mutex> lock(mutex_);
        return peak_;
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    int entered_ = 0, left_ = 0, peak_ = 0;
    bool open_ = false;
};

// A value that another thread hands over, soon: where something went wrong before and it never comes, the wait ends by
// an exception, so that the test fails in place of hanging.
template <class T>
class mailbox {
public:
    void put(T value) {
        const std::lock_guard<std::mutex> lock(mutex_);
        value_ = std::move(value);
        changed_.notify_all();
    }
    T wait() {
        std::unique_lock<std::mutex> lock(mutex_);
        if (!changed_.wait_for(lock, std::chrono::seconds(60), [&] { return value_.has_value(); })) {
            throw std::runtime_error("nothing was handed over");
        }
        return *value_;
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::optional<T> value_;
};

// How often a test that meets random points does so: BACKENDAI_TEST_ROUNDS in place of @p usual, for long runs.
inline int rounds_of(int usual) {
    const char* said = std::getenv("BACKENDAI_TEST_ROUNDS"); // NOLINT(concurrency-mt-unsafe): nobody sets it
    return said != nullptr && std::atoi(said) > 0 ? std::atoi(said) : usual;
}

// The kind of client_error that a call throws; nothing when it does not.
template <class Call>
std::optional<error_kind> kind_of(Call&& call) {
    try {
        call();
    } catch (const client_error& e) {
        return e.kind();
    }
    return {};
}

} // namespace async_support

#endif
