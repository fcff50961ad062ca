/// @file
/// What a stream does in asynchronous mode: a thread that reads for it and one that writes, each started when it is
/// first needed. They are the stream's own, so that a stream which waits holds none of the session's threads.
#ifndef BACKENDAI_ASYNC_STREAM_ENGINE_HPP
#define BACKENDAI_ASYNC_STREAM_ENGINE_HPP

#include <backendai/async/executor.hpp>
#include <backendai/async/future.hpp>
#include <backendai/async/state.hpp>
#include <backendai/error.hpp>
#include <backendai/os/thread.hpp>
#include <backendai/version.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// A call on a stream. Who claims it says how it ends: the stream's thread, or a cancel.
template <class T>
class stream_call_state : public future_state<T> {
public:
    using future_state<T>::future_state;
    bool claim() noexcept { return !claimed_.exchange(true, std::memory_order_acq_rel); }
    bool claimed() const noexcept { return claimed_.load(std::memory_order_acquire); }
    void cancel() override {
        if (claim()) this->fail(cancelled_before_start());
    }

private:
    std::atomic<bool> claimed_{false};
};

/// A call that waits for what a stream yields, whatever it makes of it.
template <class Value>
class stream_waiter {
public:
    using clock = std::chrono::steady_clock;

    explicit stream_waiter(clock::time_point limit) : deadline(limit) {}
    stream_waiter(const stream_waiter&) = delete;
    stream_waiter& operator=(const stream_waiter&) = delete;
    virtual ~stream_waiter() = default;
    /// Whether it was cancelled, and wants nothing any more.
    virtual bool gave_up() const noexcept = 0;
    /// Hands a value over, or nothing at the deadline. @return false when it gave up; the value is untouched then, and
    /// so is the failure
    virtual bool give(std::optional<Value>& value) noexcept = 0;
    virtual bool fail_with(std::exception_ptr& failure) noexcept = 0;

    const clock::time_point deadline;
};

template <class Value, class T>
class stream_read final : public stream_call_state<T>, public stream_waiter<Value> {
public:
    using conversion = T (*)(std::optional<Value>&&);

    stream_read(std::shared_ptr<executor> threads, conversion convert,
                typename stream_waiter<Value>::clock::time_point limit)
        : stream_call_state<T>(std::move(threads)), stream_waiter<Value>(limit), convert_(convert) {}
    bool gave_up() const noexcept override { return this->claimed(); }
    bool give(std::optional<Value>& value) noexcept override {
        if (!this->claim()) return false;
        std::exception_ptr failure;
        try {
            this->set_value(convert_(std::move(value)));
        } catch (...) {
            failure = std::current_exception();
        }
        if (failure) {
            this->fail(std::move(failure));
        } else {
            this->finish();
        }
        return true;
    }
    bool fail_with(std::exception_ptr& failure) noexcept override {
        if (!this->claim()) return false;
        this->fail(std::exchange(failure, nullptr));
        return true;
    }

private:
    const conversion convert_;
};

template <class Body>
class stream_write final : public stream_call_state<void> {
public:
    stream_write(std::shared_ptr<executor> threads, std::function<void(Body&)> what)
        : stream_call_state<void>(std::move(threads)), what_(std::move(what)) {}
    void run(Body& body) noexcept {
        if (!claim()) return;
        std::exception_ptr failure; // handed over when nothing of it is left here
        try {
            what_(body);
            set_value();
        } catch (...) {
            failure = std::current_exception();
        }
        if (failure) {
            fail(std::move(failure));
        } else {
            finish();
        }
    }
    void refuse(std::exception_ptr failure) noexcept {
        if (claim()) fail(std::move(failure));
    }

private:
    const std::function<void(Body&)> what_;
};

/// @tparam Body the stream's blocking functions: `value`, what it yields; `std::optional<value> read_for(limit)`,
/// nothing
///              when the limit is over; `void end() noexcept`, the orderly end, may be called more than once; `void
///              cancel() noexcept`, after which all of them return soon. One thread reads while others do the rest.
/// Made by make_shared(); the threads share it.
template <class Body>
class stream_engine final : public std::enable_shared_from_this<stream_engine<Body>> {
    using clock = std::chrono::steady_clock;

public:
    using value = typename Body::value;
    template <class T>
    using conversion = T (*)(std::optional<value>&&);

    template <class... Arguments>
    explicit stream_engine(std::shared_ptr<executor> threads, Arguments&&... arguments)
        : threads_(std::move(threads)), body_(std::forward<Arguments>(arguments)...) {}
    stream_engine(const stream_engine&) = delete;
    stream_engine& operator=(const stream_engine&) = delete;
    ~stream_engine() = default; // stop() was called, and the threads have let go of it

    Body& body() noexcept { return body_; }

    /// What the stream yields next, made into a T. Reads are served in the order in which they were asked for; one that
    /// is cancelled takes nothing away from the next.
    template <class T>
    future<T> read(conversion<T> convert, clock::time_point deadline = (clock::time_point::max)()) {
        const auto task = std::make_shared<stream_read<value, T>>(threads_, convert, deadline);
        try {
            const std::lock_guard<std::mutex> lock(mutex_);
            if (!reader_.joinable()) reader_ = start(&stream_engine::serve_reads);
            reads_.push_back(task);
        } catch (const client_error&) { // no thread for it
            std::exception_ptr failure = std::current_exception();
            task->fail_with(failure);
        }
        reads_changed_.notify_one();
        return future_access::make<T>(task);
    }

    /// Calls @p what in the order in which it was asked for, beside the reads. A cancel reaches it until its turn
    /// comes.
    future<void> write(std::function<void(Body&)> what) {
        const auto task = std::make_shared<stream_write<Body>>(threads_, std::move(what));
        try {
            const std::lock_guard<std::mutex> lock(mutex_);
            if (!writer_.joinable()) writer_ = start(&stream_engine::serve_writes);
            writes_.push_back(task);
        } catch (const client_error&) { // no thread for it
            task->refuse(std::current_exception());
        }
        writes_changed_.notify_one();
        return future_access::make<void>(task);
    }

    /// Ends the stream, in an orderly way unless a write is stuck, and waits for the threads. Calls that wait end with
    /// client_error{cancelled}. Once, by the stream's owner.
    void stop() noexcept {
        bool writes = false;
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            stopping_ = true;
            writes = writing_;
        }
        reads_changed_.notify_all();
        writes_changed_.notify_all();
        if (!writes) body_.end();
        body_.cancel();
        join(reader_);
        join(writer_);
    }

private:
    // How long one read of the body may last when nobody waits with a limit: a cancelled one makes room by then.
    static constexpr std::chrono::milliseconds slice{100};

    std::thread start(void (stream_engine::*serve)()) {
        return os::start_thread([self = this->shared_from_this(), serve] { (self.get()->*serve)(); });
    }
    // Where a continuation that runs here lets go of the stream the thread cannot wait for itself; it shares all it
    // needs.
    static void join(std::thread& thread) noexcept {
        if (!thread.joinable()) return;
        if (thread.get_id() == std::this_thread::get_id()) {
            thread.detach();
        } else {
            thread.join();
        }
    }

    void serve_reads() {
        std::unique_lock<std::mutex> lock(mutex_);
        std::optional<value> kept; // of reads that gave up meanwhile
        std::exception_ptr failure;
        for (;;) {
            reads_changed_.wait(lock, [this] { return stopping_ || !reads_.empty(); });
            if (reads_.empty()) return;
            const std::shared_ptr<stream_waiter<value>> first = reads_.front();
            const bool is_late = clock::now() >= first->deadline;
            const bool stops = stopping_;
            if (stops || kept || failure || is_late || first->gave_up()) {
                reads_.pop_front();
                lock.unlock();
                if (stops) {
                    std::exception_ptr end = cancelled_before_start();
                    first->fail_with(end);
                } else if (kept || !failure) {
                    if (first->give(kept)) kept.reset();
                } else {
                    first->fail_with(failure);
                }
            } else {
                lock.unlock();
                const auto left = first->deadline - clock::now();
                const auto limit = left < slice ? std::chrono::ceil<std::chrono::milliseconds>(left) : slice;
                try {
                    kept = body_.read_for(limit);
                } catch (...) {
                    failure = std::current_exception();
                }
            }
            lock.lock();
        }
    }

    void serve_writes() {
        std::unique_lock<std::mutex> lock(mutex_);
        for (;;) {
            writes_changed_.wait(lock, [this] { return stopping_ || !writes_.empty(); });
            if (writes_.empty()) return;
            const std::shared_ptr<stream_write<Body>> first = std::move(writes_.front());
            writes_.pop_front();
            const bool stops = stopping_;
            writing_ = !stops;
            lock.unlock();
            if (stops) {
                first->refuse(cancelled_before_start());
            } else {
                first->run(body_);
            }
            lock.lock();
            writing_ = false;
        }
    }

    const std::shared_ptr<executor> threads_;
    Body body_;
    std::mutex mutex_;
    std::condition_variable reads_changed_, writes_changed_;
    std::deque<std::shared_ptr<stream_waiter<value>>> reads_;
    std::deque<std::shared_ptr<stream_write<Body>>> writes_;
    bool stopping_ = false, writing_ = false;
    std::thread reader_, writer_;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
