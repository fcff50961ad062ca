/// @file
/// The checks that a GraphQL document passes before the embedded gateway runs it, with the wording of 2019's servers.
#ifndef BACKENDAI_TESTING_GATEWAY_GRAPHQL_VALIDATION_HPP
#define BACKENDAI_TESTING_GATEWAY_GRAPHQL_VALIDATION_HPP

#include <backendai/testing/gateway_graphql_schema.hpp>
#include <backendai/version.hpp>

#include <algorithm>
#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace graphql {

/// Names of @p known that resemble @p wanted, as `Did you mean "a" or "b"?` would list them; empty when none does.
inline std::string suggest(const std::string& wanted, const std::vector<std::string>& known) {
    const auto distance = [](const std::string& a, const std::string& b) {
        std::vector<std::size_t> row(b.size() + 1);
        for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
        for (std::size_t i = 1; i <= a.size(); ++i) {
            std::size_t diagonal = row[0];
            row[0] = i;
            for (std::size_t j = 1; j <= b.size(); ++j) {
                const std::size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
                diagonal = row[j];
                row[j] = (std::min)({row[j] + 1, row[j - 1] + 1, substituted});
            }
        }
        return row[b.size()];
    };
    std::vector<std::pair<std::size_t, std::string>> near_ones;
    for (const std::string& name : known) {
        const std::size_t far = distance(wanted, name);
        const std::size_t most = (std::max)({wanted.size(), name.size(), std::size_t{2}});
        if (far * 2 <= most) near_ones.emplace_back(far, name);
    }
    std::stable_sort(near_ones.begin(), near_ones.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    if (near_ones.size() > 5) near_ones.resize(5);
    std::string text;
    for (std::size_t i = 0; i < near_ones.size(); ++i) {
        if (i > 0) text += i + 1 < near_ones.size() ? ", " : near_ones.size() > 2 ? ", or " : " or ";
        text += '"' + near_ones[i].second + '"';
    }
    return text;
}

/// Checks one document. Errors are collected, as a client wants to see all of them.
class validator {
public:
    validator(const schema& types, std::string query_type, std::string mutation_type)
        : types_(types), query_type_(std::move(query_type)), mutation_type_(std::move(mutation_type)) {}

    std::vector<query_error> check(const std::vector<definition>& document) {
        std::size_t operations = 0;
        for (const definition& item : document) {
            if (item.operation == "fragment") {
                if (!fragments_.emplace(item.name, &item).second) {
                    report("There can only be one fragment named \"" + item.name + "\".", {item.position});
                }
            } else {
                ++operations;
            }
        }
        std::set<std::string> names;
        for (const definition& item : document) {
            if (item.operation == "fragment") {
                check_type_condition(item.on_type, item.position, item.name);
                check_cycle(item);
                continue;
            }
            if (item.name.empty() && operations > 1) {
                report("This anonymous operation must be the only defined operation.", {item.position});
            }
            if (!item.name.empty() && !names.insert(item.name).second) {
                report("There can only be one operation named \"" + item.name + "\".", {item.position});
            }
        }
        if (!errors_.empty()) return errors_; // what follows walks through fragments, which must end
        for (const definition& item : document) {
            if (item.operation != "fragment") check_operation(item);
        }
        for (const definition& item : document) {
            if (item.operation != "fragment" || used_fragments_.count(item.name) > 0) continue;
            report("Fragment \"" + item.name + "\" is never used.", {item.position});
        }
        return errors_;
    }

private:
    void report(const std::string& message, std::vector<std::size_t> positions) {
        // A fragment is walked through wherever it is spread: its errors are told once.
        if (told_.insert({message, positions}).second) errors_.emplace_back(message, std::move(positions));
    }
    static std::string did_you_mean(const std::string& suggestions) {
        return suggestions.empty() ? "" : " Did you mean " + suggestions + '?';
    }

    void check_type_condition(const std::string& name, std::size_t position, const std::string& fragment) {
        if (name.empty()) return;
        const named_type* type = types_.find(name);
        if (type == nullptr && !schema::is_scalar(name)) {
            report("Unknown type \"" + name + "\".", {position});
        } else if (type == nullptr || type->is_input) {
            const std::string who = fragment.empty() ? "Fragment" : "Fragment \"" + fragment + '"';
            report(who + " cannot condition on non composite type \"" + name + "\".", {position});
        }
    }

    void check_cycle(const definition& fragment) {
        std::set<std::string> seen;
        if (leads_to(fragment.selections, fragment.name, seen)) {
            report("Cannot spread fragment \"" + fragment.name + "\" within itself.", {fragment.position});
        }
    }
    bool leads_to(const std::vector<selection>& selections, const std::string& wanted, std::set<std::string>& seen) {
        for (const selection& item : selections) {
            if (item.is == selection::kind::spread) {
                if (item.name == wanted) return true;
                const auto found = fragments_.find(item.name);
                const bool is_new = found != fragments_.end() && seen.insert(item.name).second;
                if (is_new && leads_to(found->second->selections, wanted, seen)) return true;
            } else if (leads_to(item.selections, wanted, seen)) {
                return true;
            }
        }
        return false;
    }

    void check_operation(const definition& operation) {
        operation_ = &operation;
        used_variables_.clear();
        std::set<std::string> names;
        for (const variable_definition& item : operation.variables) {
            if (!names.insert(item.name).second) {
                report("There can be only one variable named \"" + item.name + "\".", {item.position});
            }
            if (types_.find(item.type.name) == nullptr && !schema::is_scalar(item.type.name)) {
                report("Unknown type \"" + item.type.name + "\".", {item.position});
            } else if (!types_.is_input(item.type.name)) {
                report("Variable \"$" + item.name + "\" cannot be non-input type \"" + item.type.print() + "\".",
                       {item.position});
            } else if (item.fallback) {
                check_default(item);
            }
        }
        const std::string root = operation.operation == "query"      ? query_type_
                                 : operation.operation == "mutation" ? mutation_type_
                                                                     : std::string();
        check_directives(operation.directives);
        if (!root.empty()) {
            check_selections(operation.selections, *types_.find(root));
            check_merge(operation.selections, *types_.find(root));
        }
        for (const variable_definition& item : operation.variables) {
            if (root.empty() || used_variables_.count(item.name) > 0) continue;
            const std::string where = operation.name.empty() ? "" : " in operation \"" + operation.name + '"';
            report("Variable \"$" + item.name + "\" is never used" + where + '.', {item.position});
        }
    }

    void check_default(const variable_definition& item) {
        if (item.type.required) {
            type_name optional = item.type;
            optional.required = false;
            report("Variable \"$" + item.name + "\" of type \"" + item.type.print() +
                       "\" is required and will not use the default value. Perhaps you meant to use type \"" +
                       optional.print() + "\".",
                   {item.fallback->position});
            return;
        }
        const auto wrong = types_.check(*item.fallback, item.type, item.type.name);
        if (wrong.empty()) return;
        report("Variable \"$" + item.name + "\" of type \"" + item.type.print() +
                   "\" has invalid default value: " + item.fallback->print() + '.' + join(wrong),
               {item.fallback->position});
    }

    static std::string join(const std::vector<std::string>& lines) {
        std::string text;
        for (const std::string& line : lines) text += '\n' + line;
        return text;
    }

    void check_selections(const std::vector<selection>& selections, const named_type& type) {
        for (const selection& item : selections) {
            check_directives(item.directives);
            if (item.is == selection::kind::field) {
                check_field(item, type);
                continue;
            }
            const bool is_spread = item.is == selection::kind::spread;
            const auto fragment = is_spread ? fragments_.find(item.name) : fragments_.end();
            if (is_spread && fragment == fragments_.end()) {
                report("Unknown fragment \"" + item.name + "\".", {item.position});
                continue;
            }
            if (is_spread) used_fragments_.insert(item.name);
            const std::string on = is_spread ? fragment->second->on_type : item.name;
            if (!is_spread) check_type_condition(on, item.position, {});
            const named_type* wanted = on.empty() ? &type : types_.find(on);
            if (wanted == nullptr || wanted->is_input) continue;
            if (wanted->name != type.name) {
                report("Fragment " + (is_spread ? item.name + ' ' : std::string()) +
                           "cannot be spread here as objects of type " + type.name + " can never be of type " +
                           wanted->name,
                       {item.position});
            }
            check_selections(is_spread ? fragment->second->selections : item.selections, *wanted);
        }
    }

    void check_field(const selection& item, const named_type& type) {
        if (item.name == "__typename") {
            check_arguments(item.arguments, member(), "Unknown argument \"", "\" on field \"__typename\"",
                            item.position);
            return;
        }
        const member* field = type.find(item.name);
        if (field == nullptr) {
            std::vector<std::string> names;
            for (const member& known : type.members) names.push_back(known.name);
            report("Cannot query field \"" + item.name + "\" on type \"" + type.name + "\"." +
                       did_you_mean(suggest(item.name, names)),
                   {item.position});
            return;
        }
        check_arguments(item.arguments, *field, "Unknown argument \"",
                        "\" on field \"" + item.name + "\" of type \"" + type.name + '"', item.position);
        const named_type* inner = types_.find(field->type.name);
        const std::string of_type = "Field \"" + item.name + "\" of type \"" + field->type.print() + '"';
        if (inner == nullptr && item.has_selections) {
            report(of_type + " must not have a sub selection.", {item.position});
        } else if (inner != nullptr && !item.has_selections) {
            report(of_type + " must have a sub selection.", {item.position});
        } else if (inner != nullptr) {
            check_selections(item.selections, *inner);
        }
    }

    void check_arguments(const std::vector<argument>& given, const member& field, const std::string& unknown,
                         const std::string& on, std::size_t position) {
        std::set<std::string> names;
        for (const argument& item : given) {
            if (!names.insert(item.name).second) {
                report("There can only be one argument named \"" + item.name + "\".", {item.position});
            }
            const member* known = field.argument_of(item.name);
            if (known == nullptr) {
                std::vector<std::string> others;
                for (const member& other : field.arguments) others.push_back(other.name);
                report(unknown + item.name + on + '.' + did_you_mean(suggest(item.name, others)), {item.position});
                note_variables(item.content);
                continue;
            }
            std::vector<std::string> wrong = types_.check(item.content, known->type, known->type.name);
            if (!wrong.empty() && !known->other_type.empty() &&
                types_.check(item.content, known->type, known->other_type).empty()) {
                wrong.clear();
            }
            if (!wrong.empty()) {
                report("Argument \"" + item.name + "\" has invalid value " + item.content.print() + '.' + join(wrong),
                       {item.content.position});
            }
            check_variables(item.content, known->type, known->other_type);
        }
        for (const member& known : field.arguments) {
            if (!known.type.required || names.count(known.name) > 0) continue;
            report("Field \"" + field.name + "\" argument \"" + known.name + "\" of type \"" + known.type.print() +
                       "\" is required but not provided.",
                   {position});
        }
    }

    // Variables of unknown places count as used.
    void note_variables(const value& content) {
        if (content.is == value::kind::variable) used_variables_.insert(content.word);
        for (const value& item : content.items) note_variables(item);
        for (const value_member& item : content.members) note_variables(item.content);
    }

    void check_variables(const value& content, const type_name& wanted, const std::string& other) {
        if (content.is == value::kind::variable) {
            check_variable(content, wanted, other);
        }
        const type_name item_type = {wanted.name, wanted.required_items, false, false};
        for (const value& item : content.items) check_variables(item, item_type, other);
        for (const value_member& item : content.members) {
            const named_type* input = types_.find(wanted.name);
            const member* known = input == nullptr ? nullptr : input->find(item.name);
            if (known != nullptr) {
                check_variables(item.content, known->type, {});
            } else {
                note_variables(item.content);
            }
        }
    }

    void check_variable(const value& content, const type_name& wanted, const std::string& other) {
        used_variables_.insert(content.word);
        for (const variable_definition& item : operation_->variables) {
            if (item.name != content.word) continue;
            if (!types_.is_input(item.type.name)) return; // told where it is defined
            const bool named = item.type.name == wanted.name || (!other.empty() && item.type.name == other);
            const bool is_set = item.type.required || item.fallback;
            const bool fits = named && item.type.list == wanted.list && (is_set || !wanted.required) &&
                              (item.type.required_items || !wanted.required_items);
            if (!fits) {
                report("Variable \"" + item.name + "\" of type \"" + item.type.print() +
                           "\" used in position expecting type \"" + wanted.print() + "\".",
                       {item.position, content.position});
            }
            return;
        }
        const std::string by = operation_->name.empty() ? "" : " by operation \"" + operation_->name + '"';
        report("Variable \"$" + content.word + "\" is not defined" + by + '.',
               {content.position, operation_->position});
    }

    void check_directives(const std::vector<directive>& directives) {
        static const member condition = [] {
            member made;
            member argument;
            argument.name = "if";
            argument.type = {"Boolean", true, false, false};
            made.arguments = {argument};
            return made;
        }();
        for (const directive& item : directives) {
            if (item.name != "include" && item.name != "skip") {
                report("Unknown directive \"" + item.name + "\".", {item.position});
                continue;
            }
            check_arguments(item.arguments, condition, "Unknown argument \"", "\" on directive \"@" + item.name + '"',
                            item.position);
        }
    }

    // Two fields of one response name must be the same field with the same arguments.
    void check_merge(const std::vector<selection>& selections, const named_type& type) {
        std::map<std::string, std::vector<const selection*>> groups;
        collect(selections, groups);
        for (const auto& group : groups) {
            const selection& first = *group.second.front();
            std::vector<selection> inner;
            for (const selection* other : group.second) {
                std::string reason;
                if (first.name != other->name) {
                    reason = first.name + " and " + other->name + " are different fields";
                } else if (print(first) != print(*other)) {
                    reason = "they have differing arguments";
                }
                if (!reason.empty()) {
                    report("Fields \"" + group.first + "\" conflict because " + reason +
                               ". Use different aliases on the fields to fetch both if this was intentional.",
                           {first.position, other->position});
                    return;
                }
                inner.insert(inner.end(), other->selections.begin(), other->selections.end());
            }
            const member* field = type.find(first.name);
            const named_type* inner_type = field == nullptr ? nullptr : types_.find(field->type.name);
            if (inner_type != nullptr && !inner.empty()) check_merge(inner, *inner_type);
        }
    }
    void collect(const std::vector<selection>& selections,
                 std::map<std::string, std::vector<const selection*>>& groups) {
        for (const selection& item : selections) {
            if (item.is == selection::kind::field) {
                groups[item.response_name()].push_back(&item);
            } else if (item.is == selection::kind::inline_fragment) {
                collect(item.selections, groups);
            } else if (const auto found = fragments_.find(item.name); found != fragments_.end()) {
                collect(found->second->selections, groups);
            }
        }
    }
    static std::string print(const selection& item) {
        std::map<std::string, std::string> sorted;
        for (const argument& given : item.arguments) sorted[given.name] = given.content.print();
        std::string text;
        for (const auto& given : sorted) text += given.first + ':' + given.second + ',';
        return text;
    }

    const schema& types_;
    std::string query_type_, mutation_type_;
    std::map<std::string, const definition*> fragments_;
    std::set<std::string> used_fragments_, used_variables_;
    std::set<std::pair<std::string, std::vector<std::size_t>>> told_;
    const definition* operation_ = nullptr;
    std::vector<query_error> errors_;
};

} // namespace graphql
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
