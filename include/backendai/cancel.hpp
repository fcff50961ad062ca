/// @file
/// Cancellation: a cancel_source is triggered by whoever wants a call to end, its tokens are handed to the calls.
#ifndef BACKENDAI_CANCEL_HPP
#define BACKENDAI_CANCEL_HPP

#include <backendai/version.hpp>

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN

namespace detail {

// Shared by a source, its tokens and the listeners. Listeners run on the cancelling thread, outside the lock; removing
// one waits for a running one, so that what it refers to may be destroyed afterwards.
class cancel_state {
public:
    bool cancelled() const noexcept { return cancelled_.load(std::memory_order_acquire); }

    void cancel() {
        const std::lock_guard<std::recursive_mutex> running(running_);
        std::unique_lock<std::mutex> lock(mutex_);
        if (cancelled_.exchange(true, std::memory_order_acq_rel)) return;
        pending_.merge(listeners_); // needs no memory: cancelling must not fail
        while (!pending_.empty()) {
            const auto first = pending_.begin();
            const std::function<void()> call = std::move(first->second);
            pending_.erase(first);
            lock.unlock();
            call();
            lock.lock();
        }
    }

    // Returns 0 after having called the listener at once when already cancelled.
    std::uint64_t add(std::function<void()> listener) {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            if (!cancelled_.load(std::memory_order_acquire)) {
                listeners_.emplace(++last_, std::move(listener));
                return last_;
            }
        }
        listener();
        return 0;
    }

    void remove(std::uint64_t id) {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            if (listeners_.erase(id) != 0 || pending_.erase(id) != 0) return;
        }
        if (cancelled()) const std::lock_guard<std::recursive_mutex> wait(running_);
    }

private:
    std::atomic<bool> cancelled_{false};
    std::mutex mutex_;
    std::recursive_mutex running_; // held while listeners run; recursive: a listener may remove itself
    std::map<std::uint64_t, std::function<void()>> listeners_, pending_;
    std::uint64_t last_ = 0;
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
        listener(const cancel_token& token, std::function<void()> call) : state_(token.state_) {
            if (state_) id_ = state_->add(std::move(call));
        }
        listener(const listener&) = delete;
        listener& operator=(const listener&) = delete;
        ~listener() {
            if (id_ != 0) state_->remove(id_);
        }

    private:
        std::shared_ptr<detail::cancel_state> state_;
        std::uint64_t id_ = 0;
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
    void cancel() const { state_->cancel(); }
    bool cancelled() const noexcept { return state_->cancelled(); }
    cancel_token token() const { return cancel_token(state_); }

private:
    std::shared_ptr<detail::cancel_state> state_;
};

BACKENDAI_NAMESPACE_END

#endif
