/// @file
/// A watchdog thread that breaks off blocking work when its time has come: every exchange with a deadline is watched,
/// and every cancelled one is handed to it.
#ifndef BACKENDAI_WATCHDOG_HPP
#define BACKENDAI_WATCHDOG_HPP

#include <backendai/http.hpp>
#include <backendai/os/thread.hpp>
#include <backendai/version.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// Something that can be broken off from another thread. interrupt() must not block and may come more than once.
/// Watched by one watchdog at a time, in whose list it is a link, so that no memory is needed to watch it.
class interruptible {
public:
    interruptible() = default;
    interruptible(const interruptible&) = delete;
    interruptible& operator=(const interruptible&) = delete;
    virtual ~interruptible() = default;
    virtual void interrupt() noexcept = 0;

private:
    friend class watchdog;
    interruptible *before_ = nullptr, *after_ = nullptr;
    exchange_context::clock::time_point when_;
    bool watched_ = false;
};

/// Interrupts its targets at their times, and then again every 20 ms until they are removed: a single interrupt could
/// fall into the moment between two system calls. The thread starts with the first target. Thread-safe.
class watchdog {
public:
    using clock = exchange_context::clock;

    watchdog() = default;
    watchdog(const watchdog&) = delete;
    watchdog& operator=(const watchdog&) = delete;
    ~watchdog() {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            stopping_ = true;
        }
        changed_.notify_all();
        if (thread_.joinable()) thread_.join();
    }

    /// Interrupts @p target at @p when, or earlier if it is watched already with an earlier time.
    /// @throws client_error{io} when the system gives no thread for it, std::bad_alloc; it is not watched then
    template <class = void>
    void watch(interruptible& target, clock::time_point when) {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            if (!thread_.joinable()) thread_ = os::start_thread([this] { run(); });
            if (!target.watched_) {
                link(target);
                target.when_ = when;
            } else if (target.when_ > when) {
                target.when_ = when;
            }
            if (when >= next_) return;
        }
        changed_.notify_all();
    }
    /// Interrupts @p target now and on until it is forgotten; where no thread can be had for that, once.
    template <class = void>
    void break_off(interruptible& target) noexcept {
        try {
            watch(target, {});
        } catch (const std::exception&) {
            target.interrupt();
        }
    }

    /// After this @p target is not touched any more.
    template <class = void>
    void forget(interruptible& target) {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (target.watched_) unlink(target);
    }

private:
    template <class = void>
    void link(interruptible& target) noexcept {
        target.before_ = nullptr;
        target.after_ = first_;
        if (first_ != nullptr) first_->before_ = &target;
        first_ = &target;
        target.watched_ = true;
    }
    template <class = void>
    void unlink(interruptible& target) noexcept {
        (target.before_ != nullptr ? target.before_->after_ : first_) = target.after_;
        if (target.after_ != nullptr) target.after_->before_ = target.before_;
        target.watched_ = false;
    }

    template <class = void>
    void run() {
        std::unique_lock<std::mutex> lock(mutex_);
        while (!stopping_) {
            const auto now = clock::now();
            next_ = (clock::time_point::max)();
            for (interruptible* target = first_; target != nullptr; target = target->after_) {
                if (target->when_ <= now) {
                    target->interrupt();
                    target->when_ = now + std::chrono::milliseconds(20);
                }
                if (target->when_ < next_) next_ = target->when_;
            }
            if (next_ == (clock::time_point::max)()) {
                changed_.wait(lock);
            } else {
                changed_.wait_until(lock, next_);
            }
        }
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    interruptible* first_ = nullptr;
    clock::time_point next_ = (clock::time_point::max)();
    bool stopping_ = false;
    std::thread thread_;
};

/// Watches @p target for the duration of one exchange: its deadline and both of its cancel tokens.
class watched {
public:
    template <class = void>
    watched(watchdog& dog, interruptible& target, const exchange_context& context)
        : watch_{dog, target},
          on_cancel_(context.cancel, [this] { watch_.break_off(); }),
          on_close_(context.closing, [this] { watch_.break_off(); }) {
        if (context.has_deadline()) watch_.begin(context.deadline);
    }

private:
    struct watch { // first member, hence gone last: after the listeners that may still begin it
        watch(watchdog& d, interruptible& t) : dog(d), target(t) {}
        watch(const watch&) = delete;
        watch& operator=(const watch&) = delete;
        ~watch() {
            if (begun) dog.forget(target);
        }
        template <class = void>
        void begin(watchdog::clock::time_point when) {
            begun = true;
            dog.watch(target, when);
        }
        template <class = void>
        void break_off() noexcept {
            begun = true;
            dog.break_off(target);
        }
        watchdog& dog;
        interruptible& target;
        std::atomic<bool> begun{false}; // most exchanges have no deadline and end without the watchdog
    } watch_;
    cancel_token::listener on_cancel_, on_close_;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
