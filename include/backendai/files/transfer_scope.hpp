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

/// A call's scope, for the requests of a transfer. Not thread-safe.
class transfer_scope {
public:
    template <class = void>
    explicit transfer_scope(const call_scope& scope) : scope_(scope.begun()) {}

    session_state& state() const { return *scope_.state; }
    template <class = void>
    int max_attempts() const {
        return scope_.options.retry ? scope_.options.retry->max_attempts : state().config().retry.max_attempts;
    }

    /// The scope of one request of it. @throws client_error when there must be none, see call_scope::check(); from the
    /// second on it says that something was sent
    template <class = void>
    const call_scope& step() const {
        using progress = client_error::progress;
        scope_.check(std::exchange(has_begun_, true) ? progress::maybe_sent : progress::nothing_sent);
        return scope_;
    }
    template <class = void>
    response perform(call what) const {
        return step().perform(std::move(what));
    }
    /// One attempt: for what has to be looked after before there is another.
    template <class = void>
    response perform_once(call what) const {
        call_scope once = step();
        if (!once.options.retry) once.options.retry = state().config().retry;
        once.options.retry->max_attempts = 1;
        return once.perform(std::move(what));
    }
    /// Waits before attempt number @p attempt + 1 of something that can go on where it was interrupted; false when
    /// there must be none. A connection that was lost, or was silent for too long, is reason enough for one.
    template <class = void>
    bool wait_for_retry(const error& failure, int attempt) const {
        const auto* local = failure.as_client_error();
        if (local == nullptr) return state().wait_for_retry(failure, attempt, step());
        const bool lost = local->kind() == error_kind::connect || local->kind() == error_kind::timeout ||
                          local->kind() == error_kind::protocol; // an answer that is cut short
        return lost && state().wait_for_retry(client_error(error_kind::connect, ""), attempt, step());
    }
    template <class = void>
    void wait(std::chrono::milliseconds time) const {
        state().wait(time, step());
    }

private:
    const call_scope scope_; // with a deadline
    mutable bool has_begun_ = false;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
