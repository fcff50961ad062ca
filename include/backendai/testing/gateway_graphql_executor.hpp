/// @file
/// Runs GraphQL documents for the embedded gateway: variables, fragments, directives, aliases, errors with their path.
#ifndef BACKENDAI_TESTING_GATEWAY_GRAPHQL_EXECUTOR_HPP
#define BACKENDAI_TESTING_GATEWAY_GRAPHQL_EXECUTOR_HPP

#include <backendai/testing/gateway_graphql_parser.hpp>
#include <backendai/testing/gateway_graphql_schema.hpp>
#include <backendai/testing/gateway_graphql_validation.hpp>
#include <backendai/version.hpp>

#include <nlohmann/json.hpp>

#include <exception>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace graphql {

/// JSON whose members keep their order: clients print the fields in the order in which they asked for them.
using ordered_json = nlohmann::ordered_json;

/// Gives the value of a field. @param parent the object that it belongs to, null for the root. What it throws becomes
/// an error of that field.
using resolver = std::function<nlohmann::json(const std::string& type, const std::string& field,
                                              const nlohmann::json& parent, const nlohmann::json& arguments)>;

/// data, and the errors in the server's form; data may be partial when there are errors.
struct outcome {
    ordered_json data;
    nlohmann::json errors = nlohmann::json::array();
};

class executor {
public:
    /// @param mutation_type empty when the caller may not change anything
    executor(const schema& types, std::string query_type, std::string mutation_type, resolver resolve)
        : types_(types),
          query_type_(std::move(query_type)),
          mutation_type_(std::move(mutation_type)),
          resolve_(std::move(resolve)) {}

    /// Runs a document; never throws for what is wrong with it.
    /// @param operation the name of the one to run, when the document has several
    outcome run(std::string_view document, const nlohmann::json& variables, const std::string& operation = {}) {
        result_ = outcome();
        document_ = document;
        try {
            const std::vector<definition> definitions = parser(document).parse();
            for (const query_error& error : validator(types_, query_type_, mutation_type_).check(definitions)) {
                result_.errors.push_back(error.format(document));
            }
            if (result_.errors.empty()) execute(definitions, variables, operation);
        } catch (const query_error& error) {
            result_.errors.push_back(error.format(document));
        }
        return std::move(result_);
    }

private:
    using group = std::pair<std::string, std::vector<const selection*>>;

    void execute(const std::vector<definition>& definitions, const nlohmann::json& variables,
                 const std::string& wanted) {
        const definition* operation = nullptr;
        fragments_.clear();
        for (const definition& item : definitions) {
            if (item.operation == "fragment") {
                fragments_[item.name] = &item;
            } else if (!wanted.empty()) {
                if (item.name == wanted) operation = &item;
            } else if (operation != nullptr) {
                throw query_error("Must provide operation name if query contains multiple operations.", {});
            } else {
                operation = &item;
            }
        }
        if (operation == nullptr && !wanted.empty())
            throw query_error("Unknown operation named \"" + wanted + "\".", {});
        if (operation == nullptr) throw query_error("Must provide an operation.", {});
        const std::string& root = operation->operation == "query" ? query_type_ : mutation_type_;
        if (operation->operation == "subscription" || root.empty()) {
            throw query_error("Schema is not configured for " + operation->operation + 's', {operation->position});
        }
        coerce_variables(*operation, variables);
        std::vector<group> groups;
        collect(operation->selections, groups);
        result_.data = run_groups(groups, *types_.find(root), nullptr, nlohmann::json::array());
    }

    void coerce_variables(const definition& operation, const nlohmann::json& given) {
        variables_ = nlohmann::json::object();
        for (const variable_definition& item : operation.variables) {
            const nlohmann::json content =
                given.is_object() ? given.value(item.name, nlohmann::json()) : nlohmann::json();
            if (content.is_null()) {
                if (item.fallback) {
                    variables_[item.name] = types_.literal_value(*item.fallback, item.type, item.type.name, {});
                } else if (item.type.required) {
                    throw query_error("Variable \"$" + item.name + "\" of required type \"" + item.type.print() +
                                          "\" was not provided.",
                                      {item.position});
                }
                continue;
            }
            const std::vector<std::string> wrong = types_.check(content, item.type, item.type.name);
            if (!wrong.empty()) {
                std::string text = "Variable \"$" + item.name + "\" got invalid value " +
                                   content.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace) + '.';
                for (const std::string& why : wrong) text += '\n' + why;
                throw query_error(text, {item.position});
            }
            variables_[item.name] = types_.coerce(content, item.type, item.type.name);
        }
    }

    bool is_included(const selection& item) const {
        for (const directive& condition : item.directives) {
            const value& wanted = condition.arguments.front().content;
            const bool yes =
                wanted.is == value::kind::variable ? variables_.value(wanted.word, false) : wanted.word == "true";
            if (yes != (condition.name == "include")) return false;
        }
        return true;
    }

    // The fields of a selection set in the order of their first mention, those of one response name together.
    void collect(const std::vector<selection>& selections, std::vector<group>& groups) const {
        for (const selection& item : selections) {
            if (!is_included(item)) continue;
            if (item.is == selection::kind::inline_fragment) {
                collect(item.selections, groups);
            } else if (item.is == selection::kind::spread) {
                collect(fragments_.at(item.name)->selections, groups);
            } else {
                group* same = nullptr;
                for (group& other : groups) {
                    if (other.first == item.response_name()) same = &other;
                }
                if (same == nullptr) same = &groups.emplace_back(item.response_name(), std::vector<const selection*>());
                same->second.push_back(&item);
            }
        }
    }

    ordered_json run_groups(const std::vector<group>& groups, const named_type& type, const nlohmann::json& object,
                            const nlohmann::json& path) {
        ordered_json result = ordered_json::object();
        for (const group& item : groups) {
            nlohmann::json here = path;
            here.push_back(item.first);
            result[item.first] = run_field(item.second, type, object, here);
        }
        return result;
    }

    ordered_json run_field(const std::vector<const selection*>& same, const named_type& type,
                           const nlohmann::json& object, const nlohmann::json& path) {
        const selection& first = *same.front();
        if (first.name == "__typename") return type.name;
        const member& field = *type.find(first.name);
        try {
            const nlohmann::json content = resolve_(type.name, first.name, object, arguments_of(first, field));
            return complete(content, field.type, field.type.list, same, path);
        } catch (const std::exception& error) {
            result_.errors.push_back(query_error(error.what(), {first.position}, path).format(document_));
            return nullptr;
        }
    }

    nlohmann::json arguments_of(const selection& item, const member& field) const {
        nlohmann::json result = nlohmann::json::object();
        for (const argument& given : item.arguments) {
            const member& known = *field.argument_of(given.name);
            nlohmann::json content = types_.literal_value(given.content, known.type, known.type.name, variables_);
            if (content.is_null() && !known.other_type.empty()) {
                content = types_.literal_value(given.content, known.type, known.other_type, variables_);
            }
            if (!content.is_null()) result[given.name] = std::move(content);
        }
        return result;
    }

    ordered_json complete(const nlohmann::json& content, const type_name& type, bool is_list,
                          const std::vector<const selection*>& same, const nlohmann::json& path) {
        if (content.is_null()) return nullptr;
        if (is_list) {
            ordered_json items = ordered_json::array();
            for (std::size_t i = 0; i < content.size(); ++i) {
                nlohmann::json here = path;
                here.push_back(i);
                items.push_back(complete(content[i], type, false, same, here));
            }
            return items;
        }
        const named_type* inner = types_.find(type.name);
        if (inner != nullptr) {
            std::vector<group> groups;
            for (const selection* item : same) collect(item->selections, groups);
            return run_groups(groups, *inner, content, path);
        }
        // What the schema calls a JSONString is JSON inside a text.
        if (type.name == "JSONString") return content.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
        return ordered_json(content);
    }

    const schema& types_;
    std::string query_type_, mutation_type_;
    resolver resolve_;
    std::string_view document_;
    std::map<std::string, const definition*> fragments_;
    nlohmann::json variables_;
    outcome result_;
};

} // namespace graphql
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
