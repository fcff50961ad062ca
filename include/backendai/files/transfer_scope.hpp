/// @file
/// The limits of a transfer that takes many requests, and what they have in common.
#ifndef BACKENDAI_FILES_TRANSFER_SCOPE_HPP
#define BACKENDAI_FILES_TRANSFER_SCOPE_HPP

#include <backendai/error.hpp>
#include <backendai/pipeline.hpp>
#include <backendai/version.hpp>

#include <chrono>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// A call's scope, whose time limit holds for all of its requests together. Not thread-safe.
class transfer_scope {
public:
    using clock = exchange_context::clock;

    template <class = void>
    explicit transfer_scope(const call_scope& scope) : scope_(scope) {
        const auto limit = scope.options.timeout.value_or(scope.state->config().timeout);
        const bool first = scope.task && !scope.task->counted.exchange(true);
        deadline_ = deadline_of(limit, first ? scope.task->called : clock::now());
    }

    session_state& state() const { return *scope_.state; }
    template <class = void>
    int max_attempts() const {
        return scope_.options.retry ? scope_.options.retry->max_attempts : state().config().retry.max_attempts;
    }

    /// The scope of one request of it, with what is left of the time. @throws client_error{timeout} when nothing is
    template <class = void>
    call_scope step() const {
        return now();
    }
    template <class = void>
    response perform(call what) const {
        return now().perform(std::move(what));
    }
    /// One attempt: for what has to be looked after before there is another.
    template <class = void>
    response perform_once(call what) const {
        call_scope step = now();
        if (!step.options.retry) step.options.retry = state().config().retry;
        step.options.retry->max_attempts = 1;
        return step.perform(std::move(what));
    }
    /// Waits before attempt number @p attempt + 1 of something that can go on where it was interrupted; false when
    /// there must be none. A connection that was lost, or was silent for too long, is reason enough for one.
    template <class = void>
    bool wait_for_retry(const error& failure, int attempt) const {
        const call_scope step = now();
        const auto* local = failure.as_client_error();
        if (local == nullptr) return state().wait_for_retry(failure, attempt, step.options, step.task.get());
        const bool lost = local->kind() == error_kind::connect || local->kind() == error_kind::timeout ||
                          local->kind() == error_kind::protocol; // an answer that is cut short
        return lost &&
               state().wait_for_retry(client_error(error_kind::connect, ""), attempt, step.options, step.task.get());
    }
    template <class = void>
    void wait(std::chrono::milliseconds time) const {
        const call_scope step = now();
        state().wait(time, step.options, step.task.get());
    }

private:
    // With what is left of the time.
    template <class = void>
    call_scope now() const {
        call_scope step = scope_;
        if (deadline_ == (clock::time_point::max)()) {
            step.options.timeout = std::chrono::milliseconds(0);
            return step;
        }
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline_ - clock::now());
        if (left.count() <= 0) {
            throw client_error(error_kind::timeout, "the call's time limit was reached",
                               client_error::progress::maybe_sent);
        }
        step.options.timeout = left;
        return step;
    }

    call_scope scope_;
    clock::time_point deadline_;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
