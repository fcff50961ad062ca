/// @file
/// The asynchronous mode: every API function returns a future at once, its body runs on a thread of the session.
///
/// Arguments are moved into the task, and every error, of validation too, comes out of the future. A call's time limit
/// counts from the call, so that waiting for a free thread is part of it; of run(), whose steps have the limit each, it
/// is part of the first. A session has api_config::async_threads threads; any number of calls may wait for them.
/// Closing or destroying the session ends the calls that wait and those that run with client_error{closed} and waits
/// until the threads have ended, handlers and continuations included; done on one of its own threads it does not wait,
/// as it would for itself.
#ifndef BACKENDAI_MODE_ASYNC_HPP
#define BACKENDAI_MODE_ASYNC_HPP

#include <backendai/async/coroutine.hpp>
#include <backendai/async/future.hpp>
#include <backendai/async/message_stream.hpp>
#include <backendai/async/state.hpp>
#include <backendai/cancel.hpp>
#include <backendai/error.hpp>
#include <backendai/message_stream.hpp>
#include <backendai/pipeline.hpp>
#include <backendai/version.hpp>
#include <backendai/watchdog.hpp>

#include <atomic>
#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// One call: waits in the queue, runs, ends. Who claims it (the thread whose turn it is, a cancel, the time limit, the
/// closing session) says how it ends. It stays in the queue until its turn also when it has ended before, and what it
/// holds is let go there and then.
template <class Body, class T>
class call_task final : public future_state<T>, public work, public interruptible {
public:
    call_task(std::shared_ptr<executor> threads, const call_scope& scope, Body&& body)
        : future_state<T>(threads), timer_(threads->timer()), scope_(scope.begun()), body_(std::move(body)) {
        scope_.task_cancel = cancel_.token();
    }

    void start() {
        const auto self = std::static_pointer_cast<call_task>(this->shared_from_this());
        if (scope_.options.cancel.can_be_cancelled()) on_cancel_.emplace(scope_.options.cancel, [this] { cancel(); });
        try {
            if (*scope_.deadline != (exchange_context::clock::time_point::max)()) {
                timed_ = true;
                timer_.watch(*this, *scope_.deadline);
            }
            if (!this->threads()->submit(self)) refuse();
        } catch (const client_error&) {
            end_unrun(std::current_exception()); // no thread can be started
        } catch (...) {
            leave_queue();
            throw;
        }
    }

    void run() noexcept override {
        leave_queue();
        if (!claim()) {
            let_go();
            return;
        }
        std::exception_ptr failure;
        try {
            const call_scope& scope = scope_;
            if constexpr (std::is_void_v<T>) {
                (*body_)(scope);
                this->set_value();
            } else {
                this->set_value((*body_)(scope));
            }
        } catch (...) {
            failure = std::current_exception();
        }
        let_go();
        if (failure) {
            this->fail(std::move(failure));
        } else {
            this->finish();
        }
    }

    void refuse() noexcept override { end_unrun(failure_of(error_kind::closed, "the session was closed")); }

    void cancel() override {
        if (this->ready()) return;
        cancel_.cancel();
        if (claim()) this->fail(cancelled_before_start());
    }

    // The time limit is over while the call waits. Comes again until the call has left the queue.
    void interrupt() noexcept override {
        if (claim()) {
            this->fail(failure_of(error_kind::timeout, "the call's time limit was reached before its turn came"));
        }
    }

private:
    bool claim() noexcept { return !claimed_.exchange(true, std::memory_order_acq_rel); }

    void end_unrun(std::exception_ptr why) noexcept {
        leave_queue();
        let_go();
        if (claim()) this->fail(std::move(why));
    }
    void leave_queue() noexcept {
        if (timed_) timer_.forget(*this);
    }
    void let_go() noexcept {
        on_cancel_.reset();
        body_.reset();
        scope_ = call_scope();
    }

    watchdog& timer_;      // of the executor that the future's state keeps
    cancel_source cancel_; // which the caller's token triggers, too
    call_scope scope_;
    std::optional<Body> body_;
    std::optional<cancel_token::listener> on_cancel_;
    std::atomic<bool> claimed_{false};
    bool timed_ = false;
};

} // namespace detail

/// Calls return a future at once and run on the session's threads; see the file's description.
struct async {
    template <class T>
    using result = future<T>;

    template <class Body>
    static auto run(const detail::call_scope& scope, Body body)
        -> future<std::invoke_result_t<Body&, const detail::call_scope&>> {
        using value = std::invoke_result_t<Body&, const detail::call_scope&>;
        const auto task =
            std::make_shared<detail::call_task<Body, value>>(scope.state->threads(), scope, std::move(body));
        task->start();
        return detail::future_access::make<value>(task);
    }

    /// What connect_websocket() opens.
    using stream = async_message_stream;
    template <class = void>
    static std::unique_ptr<stream> wrap(const detail::call_scope& scope, std::unique_ptr<message_stream> opened) {
        return std::make_unique<stream>(scope.state->threads(), std::move(opened));
    }
    template <class Body>
    class stream_io : public detail::async_stream_io<Body> {
    public:
        template <class... Arguments>
        explicit stream_io(const detail::call_scope& scope, Arguments&&... arguments)
            : detail::async_stream_io<Body>(scope.state->threads(), std::forward<Arguments>(arguments)...) {}
    };
};

BACKENDAI_NAMESPACE_END

#endif
