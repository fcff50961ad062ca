/// @file
/// C++20: futures can be awaited with co_await, and a function that returns future<T> can be a coroutine. Nothing is
/// here for older standards. A program may mix files of both.
#ifndef BACKENDAI_ASYNC_COROUTINE_HPP
#define BACKENDAI_ASYNC_COROUTINE_HPP

#include <backendai/async/future.hpp>
#include <backendai/version.hpp>

#if defined(__cpp_impl_coroutine) && __cpp_impl_coroutine >= 201902L
#if __has_include(<coroutine>)
#include <coroutine>
#endif
#endif

#if defined(__cpp_lib_coroutine) && __cpp_lib_coroutine >= 201902L
/// Defined where coroutines work.
#define BACKENDAI_HAS_COROUTINES 1

#include <exception>
#include <memory>
#include <type_traits>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

class resumption final : public work {
public:
    explicit resumption(std::coroutine_handle<> coroutine) : coroutine_(coroutine) {}
    void run() noexcept override { coroutine_.resume(); }

private:
    std::coroutine_handle<> coroutine_;
};

/// Marks the promises of this file.
struct coroutine_promise_mark {};

/// Ends a coroutine: the result appears when its variables and arguments are gone.
struct coroutine_finish {
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> coroutine) const noexcept {
        const auto state = coroutine.promise().take_state();
        coroutine.destroy();
        state->depend_on_nothing();
        state->finish();
    }
    void await_resume() const noexcept {}
};

/// The result of a coroutine that runs: its future's state, which depends on whatever the coroutine awaits.
template <class T>
class coroutine_promise_base : public coroutine_promise_mark {
public:
    coroutine_promise_base() : state_(std::make_shared<dependent_state<T>>(nullptr)) {}

    future<T> get_return_object() { return future_access::make<T>(state_); }
    /// A coroutine begins at once, on the thread that calls it, like any function.
    std::suspend_never initial_suspend() const noexcept { return {}; }
    coroutine_finish final_suspend() const noexcept { return {}; }
    void unhandled_exception() noexcept { state_->set_failure(std::current_exception()); }

    void awaits(const std::shared_ptr<future_core>& other) { state_->depend_on(other); }
    std::shared_ptr<dependent_state<T>> take_state() noexcept { return std::move(state_); }

protected:
    std::shared_ptr<dependent_state<T>> state_;
};

template <class T>
class coroutine_promise : public coroutine_promise_base<T> {
public:
    template <class U>
    void return_value(U&& value) {
        this->state_->set_value(std::forward<U>(value));
    }
};
template <>
class coroutine_promise<void> : public coroutine_promise_base<void> {
public:
    void return_void() { this->state_->set_value(); }
};

/// Awaits a future; the coroutine goes on on a thread of the session, or without a pause when the result is there.
template <class T>
class future_awaiter {
public:
    explicit future_awaiter(std::shared_ptr<future_state<T>> state) : state_(std::move(state)) {}

    bool await_ready() const noexcept { return state_->ready(); }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> coroutine) {
        // Of its own: once the continuation is set the coroutine, and this object in it, may be gone.
        const std::shared_ptr<future_state<T>> state = state_;
        auto next = std::make_shared<resumption>(coroutine);
        if constexpr (std::is_base_of_v<coroutine_promise_mark, Promise>) coroutine.promise().awaits(state);
        return state->continue_with(std::move(next));
    }
    T await_resume() { return state_->take_result(); }

private:
    std::shared_ptr<future_state<T>> state_;
};

} // namespace detail

/// `co_await session.kernel().get_or_create(...)`: waits without holding a thread. Takes the result, as get() does.
/// @throws what the call threw; client_error{argument} when the future has no result
template <class T>
detail::future_awaiter<T> operator co_await(future<T>&& result) {
    return detail::future_awaiter<T>(detail::future_access::claim(result));
}
template <class T>
detail::future_awaiter<T> operator co_await(future<T>& result) {
    return detail::future_awaiter<T>(detail::future_access::claim(result));
}

BACKENDAI_NAMESPACE_END

/// Makes every function that returns a backendai::future a possible coroutine. cancel() of its future cancels what it
/// awaits at that time, and everything that it awaits later.
template <class T, class... Arguments>
struct std::coroutine_traits<backendai::future<T>, Arguments...> {
    using promise_type = backendai::detail::coroutine_promise<T>;
};

#endif

#endif
