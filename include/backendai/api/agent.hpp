/// @file
/// Agents, the machines that compute sessions run on. Everything here needs admin rights. Errors as in api/admin.hpp.
#ifndef BACKENDAI_API_AGENT_HPP
#define BACKENDAI_API_AGENT_HPP

#include <backendai/api/admin.hpp>
#include <backendai/version.hpp>

#include <optional>
#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

/// Which agents are listed a page at a time.
struct agent_filter {
    std::optional<std::string> status = "ALIVE"; ///< ALIVE, LOST, RESTARTING or TERMINATED; std::nullopt for all
    std::optional<std::string> scaling_group;    ///< 19.09 (v4.20190615) on
    field_list fields; ///< default: id addr status first_contact mem_slots cpu_slots gpu_slots
};

namespace detail {

inline constexpr const char* default_agent_fields = "id addr status first_contact mem_slots cpu_slots gpu_slots";

template <class = void>
std::vector<json> agent_list(const call_scope& scope, const std::optional<std::string>& status,
                             const field_list& fields) {
    graphql_text<> text("query", "agents");
    text.argument("status", "String", status ? json(*status) : json());
    text.select(select_fields(fields, default_agent_fields));
    return query_list(scope, text);
}

template <class = void>
listing agent_listing(agent_filter filter) {
    listing what{"agent_list", "agents", &dialect_rules::agent_pages, {}, {}};
    what.selection = [fields = filter.fields](const dialect&) { return select_fields(fields, default_agent_fields); };
    what.arguments = [filter = std::move(filter)](graphql_text<>& text, const dialect& language) {
        if (filter.scaling_group) {
            language.require(feature::list_scaling_group);
            text.argument("scaling_group", "String", *filter.scaling_group);
        }
        text.argument("status", "String", filter.status ? json(*filter.status) : json());
    };
    return what;
}

template <class = void>
json agent_info(const call_scope& scope, const std::string& agent_id, const field_list& fields) {
    graphql_text<> text("query", "agent");
    text.argument("agent_id", "String!", agent_id);
    text.select(select_fields(fields, default_agent_fields));
    return query_field(scope, text);
}

} // namespace detail

/// An agent: a handle by its id.
template <class Transport, class Mode>
class basic_agent {
public:
    basic_agent(detail::call_scope scope, std::string agent_id)
        : scope_(std::move(scope)), agent_id_(std::move(agent_id)) {}

    const std::string& agent_id() const noexcept { return agent_id_; }

    /// What the server knows of it, capacity and usage included; null when there is no such agent.
    /// @param fields default: id addr status first_contact mem_slots cpu_slots gpu_slots
    /// Retry class: safe.
    typename Mode::template result<json> info(field_list fields = {}) const {
        return Mode::run(scope_, [agent_id = agent_id_, fields = std::move(fields)](const detail::call_scope& scope) {
            return detail::agent_info(scope, agent_id, fields);
        });
    }

private:
    detail::call_scope scope_;
    std::string agent_id_;
};

/// Functions of agents in general: `session.agent()`.
template <class Transport, class Mode>
class basic_agent_functions {
public:
    explicit basic_agent_functions(detail::call_scope scope) : scope_(std::move(scope)) {}

    /// The agents of a status. Slot amounts that the server sends as JSON texts are decoded.
    /// @param status ALIVE, LOST, RESTARTING or TERMINATED; std::nullopt for all
    /// @param fields default: id addr status first_contact mem_slots cpu_slots gpu_slots
    /// Retry class: safe.
    typename Mode::template result<std::vector<json>> list(std::optional<std::string> status = "ALIVE",
                                                           field_list fields = {}) const {
        return Mode::run(scope_,
                         [status = std::move(status), fields = std::move(fields)](const detail::call_scope& scope) {
                             return detail::agent_list(scope, status, fields);
                         });
    }
    /// The agents that fit the filter, a page at a time; see page_range.
    page_range<Mode> paginated_list(agent_filter filter = {}, page_query wanted = {}) const {
        return {scope_, detail::agent_listing(std::move(filter)), std::move(wanted)};
    }
    /// One page of them. Retry class: safe.
    typename Mode::template result<page_result> list_page(agent_filter filter = {}, page_query wanted = {}) const {
        return Mode::run(scope_, [what = detail::agent_listing(std::move(filter)),
                                  wanted = std::move(wanted)](const detail::call_scope& scope) {
            return detail::fetch_single_page(scope, what, wanted);
        });
    }

private:
    detail::call_scope scope_;
};

BACKENDAI_NAMESPACE_END

#endif
