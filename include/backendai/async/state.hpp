/// @file
/// What a future and the work behind it share.
#ifndef BACKENDAI_ASYNC_STATE_HPP
#define BACKENDAI_ASYNC_STATE_HPP

#include <backendai/async/executor.hpp>
#include <backendai/error.hpp>
#include <backendai/version.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// The part that does not depend on the result's type. Whoever does the work writes the result and then calls finish(),
/// once; whoever took the future reads it when it is ready, once.
class future_core : public std::enable_shared_from_this<future_core> {
public:
    explicit future_core(std::shared_ptr<executor> threads) : executor_(std::move(threads)) {}
    future_core(const future_core&) = delete;
    future_core& operator=(const future_core&) = delete;
    virtual ~future_core() = default;

    /// Asks the work to end early. Does not wait.
    virtual void cancel() = 0;

    bool ready() const noexcept { return ready_.load(std::memory_order_acquire); }
    bool taken() const noexcept { return taken_.load(std::memory_order_relaxed); }
    /// Whether the caller is the first who wants the result.
    bool take() noexcept { return !taken_.exchange(true, std::memory_order_relaxed); }

    /// @throws client_error{argument} on a thread of the executor that the result comes from, unless it is there.
    template <class = void>
    void wait() {
        if (ready()) return;
        std::unique_lock<std::mutex> lock(mutex_);
        if (!ready() && executor_ && executor_->on_own_thread()) {
            throw client_error(error_kind::argument,
                               "waiting for a future on a thread of its session would never end: use then() or "
                               "co_await");
        }
        changed_.wait(lock, [this] { return ready(); });
    }
    template <class = void>
    bool wait_until(std::chrono::steady_clock::time_point when) {
        if (ready()) return true;
        std::unique_lock<std::mutex> lock(mutex_);
        return changed_.wait_until(lock, when, [this] { return ready(); });
    }

    /// Has @p next run on the executor when the result is there. @return false when it is there already, and @p next
    /// was not touched.
    template <class = void>
    bool continue_with(std::shared_ptr<work> next) {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (ready()) return false;
        next_ = std::move(next);
        return true;
    }
    /// As continue_with(), but a result that is there already makes @p next run too.
    template <class = void>
    void then(const std::shared_ptr<work>& next) {
        if (!continue_with(next)) dispatch(next, threads());
    }

    template <class = void>
    std::shared_ptr<executor> threads() {
        const std::lock_guard<std::mutex> lock(mutex_);
        return executor_;
    }

protected:
    template <class = void>
    void set_threads(std::shared_ptr<executor> threads) {
        const std::lock_guard<std::mutex> lock(mutex_);
        executor_ = std::move(threads);
    }
    template <class = void>
    void announce() noexcept {
        std::shared_ptr<work> next;
        std::shared_ptr<executor> threads;
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            ready_.store(true, std::memory_order_release);
            next.swap(next_);
            if (next) threads = executor_;
            changed_.notify_all();
        }
        if (next) dispatch(next, threads);
    }

private:
    // Once the session is closed and its threads are gone, the thread at hand does it.
    template <class = void>
    static void dispatch(const std::shared_ptr<work>& next, const std::shared_ptr<executor>& threads) {
        if (!threads || !threads->resume(next)) next->run();
    }

    std::atomic<bool> ready_{false}, taken_{false};
    std::mutex mutex_;
    std::condition_variable changed_;
    std::shared_ptr<work> next_;
    std::shared_ptr<executor> executor_;
};

/// Result or exception.
template <class T>
class future_state : public future_core {
    static_assert(!std::is_reference_v<T>, "backendai: a future cannot carry a reference");

public:
    using stored = std::conditional_t<std::is_void_v<T>, std::monostate, T>;
    using future_core::future_core;

    template <class... Arguments>
    void set_value(Arguments&&... arguments) {
        value_.emplace(std::forward<Arguments>(arguments)...);
    }
    void set_failure(std::exception_ptr failure) noexcept { failure_ = std::move(failure); }
    void finish() noexcept { this->announce(); }
    void fail(std::exception_ptr failure) noexcept {
        value_.reset();
        set_failure(std::move(failure));
        finish();
    }

    // For the one who took the result, when it is ready. Nothing of it stays behind.
    bool failed() const noexcept { return failure_ != nullptr; }
    std::exception_ptr take_failure() noexcept { return std::move(failure_); }
    stored take_value() {
        stored value = std::move(*value_);
        value_.reset();
        return value;
    }
    T take_result() {
        if (failure_) std::rethrow_exception(take_failure());
        if constexpr (std::is_void_v<T>) {
            value_.reset();
        } else {
            return take_value();
        }
    }

private:
    std::optional<stored> value_;
    std::exception_ptr failure_;
};

/// A result that waits for other futures in turn: cancelling it cancels the one that it waits for.
template <class T>
class dependent_state : public future_state<T> {
public:
    using future_state<T>::future_state;

    void cancel() override {
        std::shared_ptr<future_core> waits_for;
        {
            const std::lock_guard<std::mutex> lock(dependency_mutex_);
            if (this->ready()) return;
            cancelled_ = true;
            waits_for = dependency_;
        }
        if (waits_for) waits_for->cancel();
    }

    /// From now on the result depends on @p other, and comes from its executor.
    void depend_on(const std::shared_ptr<future_core>& other) {
        if (auto threads = other->threads()) this->set_threads(std::move(threads));
        bool cancelled = false;
        {
            const std::lock_guard<std::mutex> lock(dependency_mutex_);
            dependency_ = other;
            cancelled = cancelled_;
        }
        if (cancelled) other->cancel();
    }
    void depend_on_nothing() {
        std::shared_ptr<future_core> last;
        const std::lock_guard<std::mutex> lock(dependency_mutex_);
        last.swap(dependency_);
    }
    bool cancelled() {
        const std::lock_guard<std::mutex> lock(dependency_mutex_);
        return cancelled_;
    }

private:
    std::mutex dependency_mutex_;
    std::shared_ptr<future_core> dependency_;
    bool cancelled_ = false;
};

/// A client_error, or the std::bad_alloc that stands for it when there is no memory for its text.
template <class = void>
std::exception_ptr failure_of(error_kind kind, const char* why) noexcept {
    try {
        throw client_error(kind, why);
    } catch (...) {
        return std::current_exception();
    }
}
template <class = void>
std::exception_ptr cancelled_before_start() noexcept {
    return failure_of(error_kind::cancelled, "the call was cancelled");
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
