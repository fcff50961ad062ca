/// @file
/// Compute sessions looked up by name.
#ifndef BACKENDAI_API_KERNEL_MATCH_HPP
#define BACKENDAI_API_KERNEL_MATCH_HPP

#include <backendai/api/kernel_call.hpp>
#include <backendai/dialect.hpp>
#include <backendai/pipeline.hpp>
#include <backendai/version.hpp>
#include <backendai/wire.hpp>

#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

/// A session that match() found.
struct session_match {
    std::string id; ///< UUID
    std::string name, status;
};

namespace detail {

template <class = void>
std::vector<session_match> kernel_match(const call_scope& scope, const std::string& id) {
    require_single_name(id, "the session id");
    call what;
    what.query.emplace_back("id", id);
    what.complete = [](call& request, const dialect& language) {
        language.require(feature::match);
        request.path = std::string(language.session_path) + "/_/match";
    };
    const json answer = scope.perform(std::move(what)).json();
    std::vector<session_match> matches;
    for (const json& item : wire_object(answer, "the answer").array_or_empty("matches")) {
        const wire_object fields(item, "a match");
        matches.push_back({fields.string("id"), fields.string_or("name", ""), fields.string_or("status", "")});
    }
    return matches;
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
