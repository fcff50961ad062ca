/// @file
/// The server itself: its state, and maintenance. Errors as in api/admin.hpp.
#ifndef BACKENDAI_API_MANAGER_HPP
#define BACKENDAI_API_MANAGER_HPP

#include <backendai/mode.hpp>
#include <backendai/pipeline.hpp>
#include <backendai/version.hpp>
#include <backendai/wire.hpp>

#include <cstdint>
#include <string>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN

/// What a server says of its state.
struct manager_status {
    std::string status;               ///< "running", "frozen" and, of some servers, "preparing" or "terminated"
    std::int64_t active_sessions = 0; ///< compute sessions that are not terminated, of all users
    json raw;
};

namespace detail {

template <class = void>
manager_status manager_get_status(const call_scope& scope) {
    call what;
    what.path = "/manager/status";
    // The official client sends this body; servers ignore it, but it has always been there.
    what.set_json({{"status", "running"}});
    manager_status result;
    result.raw = scope.perform(std::move(what)).json();
    const wire_object fields(result.raw, "the manager's status");
    result.status = fields.string("status");
    result.active_sessions = fields.integer_or("active_sessions", 0);
    return result;
}

template <class = void>
void manager_set_status(const call_scope& scope, const json& status) {
    call what;
    what.method = "PUT";
    what.path = "/manager/status";
    what.waits_for_compute = true; // it may have to kill every session first
    what.set_json(status);
    scope.perform(std::move(what));
}

} // namespace detail

/// Control of the server: `session.manager()`.
template <class Transport, class Mode>
class basic_manager_functions {
    template <class T>
    using result = typename Mode::template result<T>;

public:
    explicit basic_manager_functions(detail::call_scope scope) : scope_(std::move(scope)) {}

    /// The state of the server: `GET /manager/status`. Retry class: safe.
    result<manager_status> status() const {
        return Mode::run(scope_, [](const detail::call_scope& scope) { return detail::manager_get_status(scope); });
    }
    /// Begins maintenance: nobody can create compute sessions or change folders and key pairs. Needs admin rights.
    /// `PUT /manager/status`. Retry class: safe.
    /// @param force_kill ends all compute sessions at once; else they can be used until they end
    result<void> freeze(bool force_kill = false) const {
        return Mode::run(scope_, [force_kill](const detail::call_scope& scope) {
            detail::manager_set_status(scope, {{"status", "frozen"}, {"force_kill", force_kill}});
        });
    }
    /// Ends maintenance. Needs admin rights. `PUT /manager/status`. Retry class: safe.
    result<void> unfreeze() const {
        return Mode::run(scope_, [](const detail::call_scope& scope) {
            detail::manager_set_status(scope, {{"status", "running"}});
        });
    }

private:
    detail::call_scope scope_;
};

BACKENDAI_NAMESPACE_END

#endif
