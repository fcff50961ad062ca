/// @file
/// GraphQL on the client's side: texts that are built from checked names only, and errors taken apart.
#ifndef BACKENDAI_API_GRAPHQL_HPP
#define BACKENDAI_API_GRAPHQL_HPP

#include <backendai/codec/json.hpp>
#include <backendai/codec/printable.hpp>
#include <backendai/error.hpp>
#include <backendai/version.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

/// One error of a GraphQL answer.
struct graphql_problem {
    struct location {
        std::int64_t line = 0, column = 0; ///< in the query's text, from 1
    };
    std::string message;
    std::vector<location> locations;
    json path; ///< names and indices that lead to the field; null when the error has none
    json raw;

    /// The path in one text, "keypair.user_id"; empty when there is none.
    template <class = void>
    std::string path_text() const {
        std::string text;
        if (!path.is_array()) return text;
        for (const json& step : path) {
            if (!text.empty()) text += '.';
            text += step.is_string() ? step.get<std::string>() : step.dump();
        }
        return text;
    }
};

/// The server understood the request but not the query, or could not do what it asks. what() lists every error with its
/// path and place. A mutation that the server answers with `ok: false` is one too: its message is the server's `msg`.
class graphql_error : public api_error {
public:
    template <class = void>
    graphql_error(details what, std::vector<graphql_problem> problems)
        : api_error(std::move(what)),
          problems_(std::make_shared<const std::vector<graphql_problem>>(std::move(problems))),
          text_(std::make_shared<const std::string>(describe(api_error::what(), *problems_))) {}

    const char* what() const noexcept override { return text_->c_str(); }
    const std::vector<graphql_problem>& errors() const noexcept { return *problems_; }

private:
    // The first line of each message: servers add the statement that failed, with the values in it, a new key pair's
    // secret key among them.
    template <class = void>
    static std::string describe(std::string text, const std::vector<graphql_problem>& problems) {
        constexpr std::size_t limit = 512;
        for (const graphql_problem& problem : problems) {
            text += "; " + codec::printable_text(problem.message.substr(0, problem.message.find('\n')), limit);
            const std::string path = codec::printable_text(problem.path_text(), limit);
            if (!path.empty()) text += " at " + path;
            for (const auto& place : problem.locations) {
                text += " (line " + std::to_string(place.line) + ", column " + std::to_string(place.column) + ')';
            }
        }
        return text;
    }

    std::shared_ptr<const std::vector<graphql_problem>> problems_; // shared, so that copying cannot throw
    std::shared_ptr<const std::string> text_;
};

/// Which fields of each item to fetch, by the server's names. An entry may select inside a field:
/// "compute_sessions { sess_id status }". An empty list stands for the default ones.
using field_list = std::vector<std::string>;

/// Whose key pairs: an e-mail address, or a number as servers before 18.12 had them.
class user_id {
public:
    user_id(std::string email) : value_(std::move(email)) {}    // NOLINT(google-explicit-constructor)
    user_id(const char* email) : user_id(std::string(email)) {} // NOLINT(google-explicit-constructor)
    template <class Integer, std::enable_if_t<std::is_integral_v<Integer> && !std::is_same_v<Integer, bool> &&
                                                  !std::is_same_v<Integer, char>,
                                              int> = 0>
    user_id(Integer number) : value_(number) {} // NOLINT(google-explicit-constructor)

    bool is_number() const { return value_.is_number(); }
    const json& value() const { return value_; }

private:
    json value_;
};

namespace detail {

inline bool is_name_start(char c) {
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
inline bool is_name_character(char c) {
    return is_name_start(c) || (c >= '0' && c <= '9');
}

/// Rewrites one entry of a field list, `name` or `name { ... }`, from its parts: nothing but names, braces and single
/// spaces leaves this function. @throws client_error{argument}
class field_checker {
public:
    explicit field_checker(std::string_view text) : text_(text) {}

    template <class = void>
    std::string check() {
        std::string out = field(0);
        skip();
        if (at_ != text_.size()) refuse();
        return out;
    }

private:
    static constexpr int max_depth = 16;

    template <class = void>
    [[noreturn]] void refuse() const {
        throw client_error(error_kind::argument, "not a field: a field is a name of letters, digits and _, with { } "
                                                 "around names inside it (the text has " +
                                                     std::to_string(text_.size()) + " bytes, byte " +
                                                     std::to_string(at_) + " is wrong)");
    }
    template <class = void>
    void skip() {
        while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' ||
                                      text_[at_] == '\r' || (text_[at_] == ',' && at_ > 0))) {
            ++at_;
        }
    }
    template <class = void>
    std::string field(int depth) {
        skip();
        if (at_ == text_.size() || !is_name_start(text_[at_]) || depth > max_depth) refuse();
        std::string out;
        while (at_ < text_.size() && is_name_character(text_[at_])) out += text_[at_++];
        const std::size_t after_name = at_;
        skip();
        if (at_ == text_.size() || text_[at_] != '{') {
            at_ = after_name;
            return out;
        }
        ++at_;
        out += " {";
        skip();
        do {
            out += ' ' + field(depth + 1);
            skip();
            if (at_ == text_.size()) refuse();
        } while (text_[at_] != '}');
        ++at_;
        return out + " }";
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

/// The fields of a selection, checked and joined; @p fallback when the list is empty.
template <class = void>
std::string select_fields(const field_list& fields, std::string_view fallback) {
    if (fields.empty()) return std::string(fallback);
    std::string out;
    for (const std::string& field : fields) {
        if (!out.empty()) out += ' ';
        out += field_checker(field).check();
    }
    return out;
}

/// A query or mutation of one field. Its text depends on names in the SDK's source and on checked field names alone;
/// every value travels beside it, as a variable.
template <class = void>
class graphql_text {
public:
    /// @param operation "query" or "mutation"
    graphql_text(const char* operation, const char* field) : operation_(operation), field_(field) {}

    graphql_text& argument(const char* name, const std::string& type, json value, const char* variable = nullptr) {
        if (variable == nullptr) variable = name;
        const char* comma = definitions_.empty() ? "" : ", ";
        definitions_ += comma + std::string("$") + variable + ": " + type;
        arguments_ += comma + std::string(name) + ": $" + variable;
        variables_[variable] = std::move(value);
        return *this;
    }
    /// @param selection from select_fields(), or a text of the SDK
    graphql_text& select(std::string selection) {
        selection_ = std::move(selection);
        return *this;
    }

    std::string text() const {
        std::string out = operation_;
        if (!definitions_.empty()) out += '(' + definitions_ + ')';
        out += " { " + field_;
        if (!arguments_.empty()) out += '(' + arguments_ + ')';
        return out + " { " + selection_ + " } }";
    }
    const json& variables() const { return variables_; }
    const std::string& field() const { return field_; }

private:
    std::string operation_, field_, definitions_, arguments_, selection_;
    json variables_ = json::object();
};

/// Whether a document may change something: it holds a mutation (or what this cannot read), outside of braces, strings
/// and comments.
template <class = void>
bool may_mutate(std::string_view document) {
    int depth = 0;
    for (std::size_t i = 0; i < document.size(); ++i) {
        const char c = document[i];
        if (c == '#') {
            while (i + 1 < document.size() && document[i + 1] != '\n' && document[i + 1] != '\r') ++i;
        } else if (c == '"') {
            const std::string_view quote = document.substr(i, 3) == "\"\"\"" ? "\"\"\"" : "\"";
            for (i += quote.size(); i < document.size() && document.substr(i, quote.size()) != quote; ++i) {
                if (document[i] == '\\') ++i;
            }
            if (i >= document.size()) return true;
            i += quote.size() - 1;
        } else if (c == '{' || c == '(') {
            ++depth;
        } else if (c == '}' || c == ')') {
            --depth;
        } else if (is_name_start(c)) {
            const std::size_t start = i;
            while (i + 1 < document.size() && is_name_character(document[i + 1])) ++i;
            const std::string_view word = document.substr(start, i - start + 1);
            if (depth <= 0 && (word == "mutation" || word == "subscription")) return true;
        }
    }
    return depth != 0;
}

template <class = void>
std::vector<graphql_problem> read_problems(const json& list) {
    std::vector<graphql_problem> problems;
    if (!list.is_array()) return problems;
    for (const json& item : list) {
        graphql_problem problem;
        problem.raw = item;
        if (item.is_object()) {
            const auto message = item.find("message");
            if (message != item.end()) {
                problem.message = message->is_string() ? message->get<std::string>() : message->dump();
            }
            problem.path = item.value("path", json());
            for (const json& place : item.value("locations", json::array())) {
                if (!place.is_object()) continue;
                const auto number = [&place](const char* key) {
                    const auto it = place.find(key);
                    return it != place.end() && it->is_number_integer() ? it->get<std::int64_t>() : 0;
                };
                problem.locations.push_back({number("line"), number("column")});
            }
        } else {
            problem.message = item.is_string() ? item.get<std::string>() : item.dump();
        }
        problems.push_back(std::move(problem));
    }
    return problems;
}

/// The fields that servers send as JSON inside a text.
template <class = void>
bool holds_json_text(std::string_view field) {
    for (const std::string_view known :
         {"available_slots", "occupied_slots", "occupied_shares", "service_ports", "requested_slots", "live_stat",
          "status_data", "resource_opts", "total_resource_slots", "hardware_metadata", "compute_plugins"}) {
        if (field == known) return true;
    }
    // 20.09 and later
    return field == "occupying_slots";
}

/// Replaces such texts by what they hold, inside nested items too. A text that is not JSON stays as it is.
template <class = void>
void decode_json_texts(json& value) {
    if (value.is_array()) {
        for (json& item : value) decode_json_texts(item);
    } else if (value.is_object()) {
        for (auto it = value.begin(); it != value.end(); ++it) {
            if (!it->is_string() || !holds_json_text(it.key())) {
                decode_json_texts(*it);
                continue;
            }
            try {
                *it = codec::parse_json(it->get_ref<const std::string&>());
            } catch (const codec::decode_error&) {
                // A server's plain text ("-", say) is more use than an error.
            }
        }
    }
}

} // namespace detail

BACKENDAI_NAMESPACE_END

#endif
