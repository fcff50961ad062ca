/// @file
/// The limits of a transfer that takes many requests, and what they have in common.
#ifndef BACKENDAI_FILES_TRANSFER_SCOPE_HPP
#define BACKENDAI_FILES_TRANSFER_SCOPE_HPP

#include <backendai/error.hpp>
#include <backendai/pipeline.hpp>
#include <backendai/version.hpp>

#include <chrono>
#include <type_traits>
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
        return state().policy_of(scope_).max_attempts;
    }

    /// Calls @p work with the scope, for a request or for all of the transfer: once a request may have been sent, what
    /// fails later says so.
    template <class Work>
    auto part(Work&& work) const -> decltype(work(std::declval<const call_scope&>())) {
        try {
            if constexpr (std::is_void_v<decltype(work(scope_))>) {
                work(scope_);
                may_have_sent_ = true;
            } else {
                auto result = work(scope_);
                may_have_sent_ = true;
                return result;
            }
        } catch (const api_error&) {
            may_have_sent_ = true;
            throw;
        } catch (const client_error& e) {
            if (e.sent() == client_error::progress::nothing_sent && may_have_sent_) throw e.after_sending();
            may_have_sent_ = e.sent() == client_error::progress::maybe_sent;
            throw;
        }
    }
    template <class = void>
    response perform(call what) const {
        return part([&](const call_scope& scope) { return scope.perform(std::move(what)); });
    }
    /// One attempt: for what has to be looked after before there is another.
    template <class = void>
    response perform_once(call what) const {
        return part([&](call_scope once) {
            once.options.retry = state().policy_of(scope_);
            once.options.retry->max_attempts = 1;
            return once.perform(std::move(what));
        });
    }
    /// Waits before attempt number @p attempt + 1 of something that can go on where it was interrupted; false when
    /// there must be none. A connection that was lost, or was silent for too long, is reason enough for one.
    template <class = void>
    bool wait_for_retry(const error& failure, int attempt) const {
        const auto* local = failure.as_client_error();
        if (local == nullptr) return state().wait_for_retry(failure, attempt, scope_);
        const bool lost = local->kind() == error_kind::connect || local->kind() == error_kind::timeout ||
                          local->kind() == error_kind::protocol; // an answer that is cut short
        return lost && state().wait_for_retry(client_error(error_kind::connect, ""), attempt, scope_);
    }
    template <class = void>
    void wait(std::chrono::milliseconds time) const {
        state().wait(time, scope_);
    }

private:
    const call_scope scope_; // with a deadline
    mutable bool may_have_sent_ = false;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
