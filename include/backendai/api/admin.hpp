/// @file
/// Administration: GraphQL queries of any kind, and the listings that have no class of their own.
///
/// Unless a function says otherwise it throws graphql_error when the server refuses the query, api_error when it
/// refuses the request, client_error{argument} for arguments that are wrong before anything is sent, and client_error
/// of the other kinds when no usable answer came. All functions may be called from several threads at once.
#ifndef BACKENDAI_API_ADMIN_HPP
#define BACKENDAI_API_ADMIN_HPP

#include <backendai/api/graphql.hpp>
#include <backendai/dialect.hpp>
#include <backendai/mode.hpp>
#include <backendai/pipeline.hpp>
#include <backendai/version.hpp>
#include <backendai/wire.hpp>

#include <optional>
#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

namespace detail {

/// Sends a GraphQL request and returns the data, in whichever envelope they come.
inline json admin_query(const call_scope& scope, const std::string& query, const json& variables) {
    if (query.empty()) throw client_error(error_kind::argument, "the GraphQL query is empty");
    if (!variables.is_object() && !variables.is_null()) {
        throw client_error(error_kind::argument, "the variables of a GraphQL query must be an object");
    }
    call what;
    what.method = "POST";
    what.retry = may_mutate(query) ? retry_class::unsafe : retry_class::safe;
    what.set_json({{"query", query}, {"variables", variables.is_null() ? json::object() : variables}});
    bool envelope = false;
    what.complete = [&envelope](call& request, const dialect& language) {
        request.path = std::string(language.graphql_path);
        envelope = language.graphql_envelope;
    };
    std::optional<response> answer;
    try {
        answer = scope.perform(std::move(what));
    } catch (const api_error& refused) {
        if (!is_problem(refused, "graphql-error")) throw;
        throw graphql_error({refused.status(), refused.reason(), refused.type(), refused.title(), refused.data(),
                             refused.agent_details(), refused.body(), refused.retry_after()},
                            read_problems(refused.data()));
    }
    json data = answer->json();
    if (!envelope) return data;
    const wire_object fields(data, "the answer");
    if (const json* errors = fields.find("errors"); errors != nullptr && !errors->empty()) {
        api_error::details details;
        details.status = answer->status();
        details.reason = answer->reason();
        details.title = "GraphQL-generated error.";
        details.data = *errors;
        details.body = answer->text();
        throw graphql_error(std::move(details), read_problems(*errors));
    }
    return fields.require("data");
}

/// Runs a query of the SDK and returns its one field, decoded; null stays null.
inline json query_field(const call_scope& scope, const graphql_text& text) {
    const json data = admin_query(scope, text.text(), text.variables());
    const json* found = wire_object(data, "the answer").find(text.field().c_str());
    json value = found == nullptr ? json() : *found;
    decode_json_texts(value);
    return value;
}

/// The same for a field that is a list of objects; null counts as an empty one.
inline std::vector<json> query_list(const call_scope& scope, const graphql_text& text) {
    json value = query_field(scope, text);
    if (value.is_null()) return {};
    if (!value.is_array()) bad_answer('"' + text.field() + "\" is not a list");
    return std::move(value.get_ref<json::array_t&>());
}

/// Runs a mutation that answers {ok, msg, ...}; `ok: false` comes with status 200 and without `errors`.
inline json run_mutation(const call_scope& scope, const graphql_text& text) {
    json value = query_field(scope, text);
    const wire_object fields(value, '"' + text.field() + '"');
    if (!fields.boolean_or("ok", false)) {
        graphql_problem problem;
        problem.message = fields.string_or("msg", "");
        problem.path = json::array({text.field()});
        problem.raw = value;
        api_error::details details;
        details.status = 200;
        details.reason = "OK";
        details.title = "The server could not carry out " + text.field();
        details.data = value;
        throw graphql_error(std::move(details), {std::move(problem)});
    }
    return value;
}

} // namespace detail

/// What admin().sessions() lists.
struct session_filter {
    /// PREPARING, BUILDING, RUNNING, RESTARTING, RESIZING, SUSPENDED, TERMINATING, TERMINATED or ERROR; with nothing
    /// given the server decides.
    std::optional<std::string> status = "RUNNING";
    std::optional<std::string> access_key; ///< whose; needs admin rights
    field_list fields; ///< default: sess_id image tag created_at terminated_at status occupied_slots mem_cur_bytes
                       ///< mem_max_bytes cpu_using
};

/// What admin().vfolders() lists.
struct vfolder_filter {
    std::optional<std::string> access_key; ///< whose; another one than the caller's needs admin rights
    field_list fields;                     ///< default: name created_at last_used max_files max_size
};

namespace detail {

inline std::vector<json> admin_sessions(const call_scope& scope, const session_filter& filter) {
    graphql_text text("query", "compute_sessions");
    // User keys have no such argument, so it is there only when it is used.
    if (filter.access_key) text.argument("access_key", "String", *filter.access_key);
    text.argument("status", "String", filter.status ? json(*filter.status) : json());
    text.select(select_fields(filter.fields, "sess_id image tag created_at terminated_at status occupied_slots "
                                             "mem_cur_bytes mem_max_bytes cpu_using"));
    return query_list(scope, text);
}

inline json admin_session(const call_scope& scope, const std::string& kernel_id, const field_list& fields) {
    graphql_text text("query", "compute_session");
    text.argument("sess_id", "String", kernel_id);
    text.select(select_fields(
        fields, "sess_id role image tag created_at terminated_at agent status status_info occupied_slots cpu_used "
                "mem_cur_bytes mem_max_bytes num_queries net_rx_bytes net_tx_bytes io_read_bytes io_write_bytes "
                "io_max_scratch_size io_cur_scratch_size cpu_using"));
    json found = query_field(scope, text);
    // 19.03 answers an unknown id with an object that is null in every field.
    bool empty = found.is_object();
    for (const json& value : found) empty = empty && value.is_null();
    return empty ? json() : found;
}

inline std::vector<json> admin_vfolders(const call_scope& scope, const vfolder_filter& filter) {
    graphql_text text("query", "vfolders");
    if (filter.access_key) text.argument("access_key", "String", *filter.access_key);
    text.select(select_fields(filter.fields, "name created_at last_used max_files max_size"));
    return query_list(scope, text);
}

} // namespace detail

/// Administration: `session.admin()`.
template <class Transport, class Mode>
class basic_admin_functions {
    template <class T>
    using result = typename Mode::template result<T>;

public:
    explicit basic_admin_functions(detail::call_scope scope) : scope_(std::move(scope)) {}

    /// Runs a GraphQL document of the caller's and returns the data, as the server sent them: `POST /admin/graphql`.
    /// @param query     the document; put values into variables, not into its text
    /// @param variables an object, or null
    /// Retry class: safe for queries, unsafe for what holds a mutation.
    result<json> query(std::string query, json variables = json::object()) const {
        return Mode::run(scope_,
                         [query = std::move(query), variables = std::move(variables)](const detail::call_scope& scope) {
                             return detail::admin_query(scope, query, variables);
                         });
    }
    /// The compute sessions that fit the filter, newest first, at most 100. Texts that hold JSON are decoded.
    /// Retry class: safe.
    result<std::vector<json>> sessions(session_filter filter = {}) const {
        return Mode::run(scope_, [filter = std::move(filter)](const detail::call_scope& scope) {
            return detail::admin_sessions(scope, filter);
        });
    }
    /// One running compute session in detail, or null when there is none of that id. Retry class: safe.
    result<json> session(std::string kernel_id, field_list fields = {}) const {
        return Mode::run(
            scope_, [kernel_id = std::move(kernel_id), fields = std::move(fields)](const detail::call_scope& scope) {
                return detail::admin_session(scope, kernel_id, fields);
            });
    }
    /// The virtual folders of the caller or of the filter's access key. Retry class: safe.
    result<std::vector<json>> vfolders(vfolder_filter filter = {}) const {
        return Mode::run(scope_, [filter = std::move(filter)](const detail::call_scope& scope) {
            return detail::admin_vfolders(scope, filter);
        });
    }

private:
    detail::call_scope scope_;
};

BACKENDAI_NAMESPACE_END

#endif
