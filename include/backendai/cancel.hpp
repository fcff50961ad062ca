/// @file
/// Cancellation: a cancel_source is triggered by whoever wants a call to end, its tokens are handed to the calls.
#ifndef BACKENDAI_CANCEL_HPP
#define BACKENDAI_CANCEL_HPP

#include <backendai/version.hpp>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN

namespace detail {

// What is called when a source is triggered, and its place in the list of those that are; part of the listener itself,
// so that listening takes no memory.
struct cancel_hook {
    std::function<void()> call;
    cancel_hook *before = nullptr, *after = nullptr;
    bool listed = false;
};

// Shared by a source, its tokens and the listeners. Listeners run on the cancelling thread, outside the lock; removing
// one waits for a running one, so that what it refers to may be destroyed afterwards.
class cancel_state {
public:
    bool cancelled() const noexcept { return cancelled_.load(std::memory_order_acquire); }

    template <class = void>
    void cancel() {
        const std::lock_guard<std::recursive_mutex> running(running_);
        std::unique_lock<std::mutex> lock(mutex_);
        if (cancelled_.exchange(true, std::memory_order_acq_rel)) return;
        while (first_ != nullptr) {
            const std::function<void()> call = std::move(first_->call);
            take_out(*first_);
            lock.unlock();
            call();
            lock.lock();
        }
    }

    // Calls the hook at once, and returns false, when already cancelled.
    template <class = void>
    bool add(cancel_hook& hook) {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            if (!cancelled_.load(std::memory_order_acquire)) {
                hook.before = last_;
                (last_ != nullptr ? last_->after : first_) = &hook;
                last_ = &hook;
                hook.listed = true;
                return true;
            }
        }
        hook.call();
        return false;
    }

    template <class = void>
    void remove(cancel_hook& hook) {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            if (hook.listed) return take_out(hook);
        }
        const std::lock_guard<std::recursive_mutex> wait(running_);
    }

private:
    template <class = void>
    void take_out(cancel_hook& hook) {
        (hook.before != nullptr ? hook.before->after : first_) = hook.after;
        (hook.after != nullptr ? hook.after->before : last_) = hook.before;
        hook.listed = false;
    }

    std::atomic<bool> cancelled_{false};
    std::mutex mutex_;
    std::recursive_mutex running_; // held while listeners run; recursive: a listener may remove itself
    cancel_hook *first_ = nullptr, *last_ = nullptr;
};

} // namespace detail

/// Tells whether the work it was given to shall stop. Cheap to copy; a default-made one is never triggered.
/// Thread-safety: all members may be called from any thread.
class cancel_token {
public:
    cancel_token() = default;
    bool cancelled() const noexcept { return state_ && state_->cancelled(); }
    bool can_be_cancelled() const noexcept { return state_ != nullptr; }

    /// Calls a function once when the token is triggered, for as long as the object lives.
    class listener {
    public:
        listener() = default;
        /// @p call must not throw; it runs on the thread that cancels, or here and now if that has happened already.
        template <class = void>
        listener(const cancel_token& token, std::function<void()> call) : state_(token.state_) {
            if (!state_) return;
            hook_.call = std::move(call);
            if (!state_->add(hook_)) state_.reset();
        }
        listener(const listener&) = delete;
        listener& operator=(const listener&) = delete;
        ~listener() {
            if (state_) state_->remove(hook_);
        }

    private:
        std::shared_ptr<detail::cancel_state> state_;
        detail::cancel_hook hook_;
    };

private:
    friend class cancel_source;
    explicit cancel_token(std::shared_ptr<detail::cancel_state> state) : state_(std::move(state)) {}
    std::shared_ptr<detail::cancel_state> state_;
};

/// Makes tokens and triggers them. Copies share one state. Thread-safety: as cancel_token.
class cancel_source {
public:
    cancel_source() : state_(std::make_shared<detail::cancel_state>()) {}
    template <class = void>
    void cancel() const {
        state_->cancel();
    }
    bool cancelled() const noexcept { return state_->cancelled(); }
    cancel_token token() const { return cancel_token(state_); }

private:
    std::shared_ptr<detail::cancel_state> state_;
};

BACKENDAI_NAMESPACE_END

#endif
