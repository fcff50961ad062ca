/// @file
/// The result of an asynchronous call.
#ifndef BACKENDAI_ASYNC_FUTURE_HPP
#define BACKENDAI_ASYNC_FUTURE_HPP

#include <backendai/async/state.hpp>
#include <backendai/error.hpp>
#include <backendai/version.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN

template <class T>
class future;

namespace detail {

template <class T>
struct is_future : std::false_type {};
template <class T>
struct is_future<future<T>> : std::true_type {};

template <class T>
struct without_future {
    using type = T;
};
template <class T>
struct without_future<future<T>> {
    using type = T;
};

// How the function given to then() is called: with the value where it takes that, else with the future.
template <class F, class T>
struct continuation_traits {
    static constexpr bool takes_value = std::is_invocable_v<F, T>;
    using returned =
        typename std::conditional_t<takes_value, std::invoke_result<F, T>, std::invoke_result<F, future<T>>>::type;
    using result = typename without_future<returned>::type;
};
template <class F>
struct continuation_traits<F, void> {
    static constexpr bool takes_value = std::is_invocable_v<F>;
    using returned =
        typename std::conditional_t<takes_value, std::invoke_result<F>, std::invoke_result<F, future<void>>>::type;
    using result = typename without_future<returned>::type;
};

struct future_access {
    template <class T>
    static const std::shared_ptr<future_state<T>>& state(const future<T>& result) {
        return result.state_;
    }
    template <class T>
    static future<T> make(std::shared_ptr<future_state<T>> state) {
        return future<T>(std::move(state));
    }
    // Takes the result away from a future, for whoever is going to read it.
    template <class T>
    static std::shared_ptr<future_state<T>> claim(const future<T>& result) {
        if (!result.state_ || !result.state_->take()) no_result();
        return result.state_;
    }
    template <class = void>
    [[noreturn]] static void no_result() {
        throw client_error(error_kind::argument, "this future has no result, or it was taken already");
    }
};

} // namespace detail

/// The result of an asynchronous call, there now or later: a value or the exception that the call would have thrown.
/// Letting go of a future neither waits nor cancels: the call goes on by itself. Movable, not copyable. valid(),
/// ready(), wait(), wait_for() and cancel() may be called by several threads at once; get() and then() take the result,
/// once.
template <class T>
class future {
public:
    using value_type = T;

    /// Without a result: not valid().
    future() noexcept = default;
    future(future&&) noexcept = default;
    future& operator=(future&&) noexcept = default;
    future(const future&) = delete;
    future& operator=(const future&) = delete;
    ~future() = default;

    /// Whether there is a result, now or later, that was not taken yet.
    bool valid() const noexcept { return state_ && !state_->taken(); }
    /// Whether the result is there, so that get() will not wait.
    bool ready() const noexcept { return valid() && state_->ready(); }

    /// Waits for the result.
    /// @throws client_error{argument} when there is none; and on a thread of the call's own session (in a continuation,
    ///         in a handler), which would wait for itself, unless the result is there
    void wait() const { waitable().wait(); }
    /// Waits for the result at most so long, without cancelling anything. @return ready()
    /// @throws client_error{argument} when there is no result
    template <class Rep, class Period>
    bool wait_for(std::chrono::duration<Rep, Period> limit) const {
        using clock = std::chrono::steady_clock;
        // Years are as good as ever, and cannot overflow the clock.
        const std::chrono::duration<double> years = std::chrono::hours(24 * 365 * 10);
        const auto wanted = std::chrono::duration<double>(limit) < years ? std::chrono::ceil<clock::duration>(limit)
                                                                         : std::chrono::ceil<clock::duration>(years);
        return waitable().wait_until(clock::now() + wanted);
    }
    /// Waits for the result and takes it.
    /// @throws what the call threw; client_error{argument} as wait()
    T get() {
        waitable().wait();
        return detail::future_access::claim(*this)->take_result();
    }

    /// Has @p next called with the result when it is there, on a thread of the session (where the session is closed: on
    /// the thread at hand), and returns the future of what it returns. @p next takes the value (nothing for
    /// future<void>), and is skipped when there is an exception instead, which goes on to the returned future; or it
    /// takes the future, which is ready, and sees both. Where it returns a future itself, the returned future is that.
    /// Takes the result: valid() is false afterwards. cancel() of the returned future reaches this call.
    /// @throws client_error{argument} when there is no result
    template <class F>
    auto then(F&& next) -> future<typename detail::continuation_traits<std::decay_t<F>, T>::result>;

    /// Asks the call to end with client_error{cancelled}; does not wait for that. A call that still waits for its turn
    /// ends at once. Nothing happens when the result is there.
    void cancel() const {
        if (state_) state_->cancel();
    }

private:
    friend struct detail::future_access;
    explicit future(std::shared_ptr<detail::future_state<T>> state) noexcept : state_(std::move(state)) {}

    detail::future_core& waitable() const {
        if (!valid()) detail::future_access::no_result();
        return *state_;
    }

    std::shared_ptr<detail::future_state<T>> state_;
};

namespace detail {

/// Hands the result of a future on to a state that stands for it.
template <class T>
class forwarding final : public work {
public:
    forwarding(std::shared_ptr<future_state<T>> from, std::shared_ptr<dependent_state<T>> to)
        : from_(std::move(from)), to_(std::move(to)) {}
    void run() noexcept override {
        to_->depend_on_nothing();
        if (from_->failed()) {
            to_->fail(from_->take_failure());
            return;
        }
        try {
            to_->set_value(from_->take_value());
        } catch (...) {
            to_->fail(std::current_exception()); // of the value's move constructor
            return;
        }
        to_->finish();
    }

private:
    std::shared_ptr<future_state<T>> from_;
    std::shared_ptr<dependent_state<T>> to_;
};

/// The future that then() returns, and the work that makes it ready.
template <class T, class F>
class continuation final : public dependent_state<typename continuation_traits<F, T>::result>, public work {
    using traits = continuation_traits<F, T>;
    using base = dependent_state<typename traits::result>;

public:
    template <class G>
    continuation(std::shared_ptr<future_state<T>> before, G&& next)
        : base(before->threads()), before_(std::move(before)), next_(std::forward<G>(next)) {}

    void start() {
        const auto self = std::static_pointer_cast<continuation>(this->shared_from_this());
        this->depend_on(before_);
        const std::shared_ptr<future_state<T>> before = before_;
        before->then(self);
    }

    void run() noexcept override {
        std::shared_ptr<future_state<T>> before = std::move(before_);
        this->depend_on_nothing();
        std::exception_ptr failure;
        if constexpr (traits::takes_value) {
            if (before->failed()) {
                failure = before->take_failure();
            } else if (this->cancelled()) {
                failure = cancelled_before_start();
            }
        }
        if (failure) {
            next_.reset();
            this->fail(std::move(failure));
            return;
        }
        try {
            proceed(std::move(before));
            return;
        } catch (...) {
            failure = std::current_exception();
        }
        next_.reset();
        this->fail(std::move(failure));
    }

private:
    void proceed(std::shared_ptr<future_state<T>> before) {
        if constexpr (is_future<typename traits::returned>::value) {
            auto inner = future_access::claim(call(std::move(before)));
            auto self = std::static_pointer_cast<base>(this->shared_from_this());
            auto hand_on = std::make_shared<forwarding<typename traits::result>>(inner, std::move(self));
            this->depend_on(inner);
            inner->then(hand_on);
        } else {
            if constexpr (std::is_void_v<typename traits::returned>) {
                call(std::move(before));
                this->set_value();
            } else {
                this->set_value(call(std::move(before)));
            }
            this->finish();
        }
    }
    // The function, and what it holds, is gone before the result is there.
    typename traits::returned call(std::shared_ptr<future_state<T>> before) {
        F next = std::move(*next_);
        next_.reset();
        if constexpr (!traits::takes_value) {
            auto again = std::make_shared<passed_on>(before->threads());
            if (before->failed()) {
                again->fail(before->take_failure());
            } else {
                again->set_value(before->take_value());
                again->finish();
            }
            return std::invoke(std::move(next), future_access::make<T>(std::move(again)));
        } else if constexpr (std::is_void_v<T>) {
            before.reset();
            return std::invoke(std::move(next));
        } else {
            return std::invoke(std::move(next), before->take_value());
        }
    }

    class passed_on final : public future_state<T> {
    public:
        using future_state<T>::future_state;
        void cancel() override {}
    };

    std::shared_ptr<future_state<T>> before_;
    std::optional<F> next_;
};

} // namespace detail

template <class T>
template <class F>
auto future<T>::then(F&& next) -> future<typename detail::continuation_traits<std::decay_t<F>, T>::result> {
    using function = std::decay_t<F>;
    auto before = detail::future_access::claim(*this);
    const auto after = std::make_shared<detail::continuation<T, function>>(std::move(before), std::forward<F>(next));
    after->start();
    return detail::future_access::make<typename detail::continuation_traits<function, T>::result>(after);
}

BACKENDAI_NAMESPACE_END

#endif
