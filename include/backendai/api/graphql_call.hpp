/// @file
/// GraphQL requests: sent, and their answers taken out of whichever envelope they come in.
#ifndef BACKENDAI_API_GRAPHQL_CALL_HPP
#define BACKENDAI_API_GRAPHQL_CALL_HPP

#include <backendai/api/graphql.hpp>
#include <backendai/dialect.hpp>
#include <backendai/pipeline.hpp>
#include <backendai/version.hpp>
#include <backendai/wire.hpp>

#include <optional>
#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// Servers from 26.3 on have the envelope at the old path too: exactly `data` and `errors`.
template <class = void>
bool is_graphql_envelope(const json& answer) {
    if (!answer.is_object() || answer.size() != 2 || !answer.contains("data") || !answer.contains("errors"))
        return false;
    const json& errors = answer["errors"];
    return errors.is_null() ||
           (errors.is_array() && !errors.empty() && errors[0].is_object() && errors[0].contains("message"));
}

/// Sends a GraphQL request and returns the data, in whichever envelope they come.
template <class = void>
json admin_query(const call_scope& scope, const std::string& query, const json& variables) {
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
    if (!envelope && !is_graphql_envelope(data)) return data;
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
template <class = void>
json query_field(const call_scope& scope, const graphql_text<>& text) {
    const json data = admin_query(scope, text.text(), text.variables());
    const json* found = wire_object(data, "the answer").find(text.field().c_str());
    json value = found == nullptr ? json() : *found;
    decode_json_texts(value);
    return value;
}

/// The same for a field that is a list of objects; null counts as an empty one.
template <class = void>
std::vector<json> query_list(const call_scope& scope, const graphql_text<>& text) {
    json value = query_field(scope, text);
    if (value.is_null()) return {};
    if (!value.is_array()) bad_answer('"' + text.field() + "\" is not a list");
    return std::move(value.get_ref<json::array_t&>());
}

/// Runs a mutation that answers {ok, msg, ...}; `ok: false` comes with status 200 and without `errors`.
template <class = void>
json run_mutation(const call_scope& scope, const graphql_text<>& text) {
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

BACKENDAI_NAMESPACE_END

#endif
