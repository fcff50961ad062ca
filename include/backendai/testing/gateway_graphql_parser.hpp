/// @file
/// GraphQL documents for the embedded gateway: lexer and parser of the executable part of the language as servers of
/// 2019 had it (GraphQL of October 2016: no null literals, no block strings). Errors are worded as those servers word
/// them.
#ifndef BACKENDAI_TESTING_GATEWAY_GRAPHQL_PARSER_HPP
#define BACKENDAI_TESTING_GATEWAY_GRAPHQL_PARSER_HPP

#include <backendai/version.hpp>

#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace graphql {

/// What is wrong with a document: where in its text, and the message.
class query_error : public std::runtime_error {
public:
    query_error(const std::string& message, std::vector<std::size_t> positions, nlohmann::json path = nullptr)
        : std::runtime_error(message), positions_(std::move(positions)), path_(std::move(path)) {}

    /// {message, locations, path} as the server tells it.
    nlohmann::json format(std::string_view document) const {
        nlohmann::json result = {{"message", what()}};
        for (const std::size_t position : positions_) result["locations"].push_back(locate(document, position));
        if (!path_.is_null()) result["path"] = path_;
        return result;
    }
    static nlohmann::json locate(std::string_view document, std::size_t position) {
        int line = 1;
        std::size_t start = 0;
        for (std::size_t i = 0; i < position && i < document.size(); ++i) {
            const bool is_pair = document[i] == '\r' && i + 1 < document.size() && document[i + 1] == '\n';
            if ((document[i] == '\n' || document[i] == '\r') && !is_pair) {
                ++line;
                start = i + 1;
            }
        }
        return {{"line", line}, {"column", position - start + 1}};
    }

private:
    std::vector<std::size_t> positions_;
    nlohmann::json path_;
};

struct value_member;

/// A literal or variable in a document.
struct value {
    enum class kind { variable, integer, floating, text, boolean, enumeration, list, object };
    kind is = kind::text;
    std::string word; ///< name, number or text
    std::vector<value> items;
    std::vector<value_member> members;
    std::size_t position = 0;

    std::string print() const;
};

struct value_member {
    std::string name;
    value content;
};

/// As in a document.
inline std::string value::print() const {
    switch (is) {
    case kind::variable: return '$' + word;
    case kind::text: return nlohmann::json(word).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
    case kind::list: {
        std::string out;
        for (const value& item : items) out += (out.empty() ? "" : ", ") + item.print();
        return '[' + out + ']';
    }
    case kind::object: {
        std::string out;
        for (const value_member& item : members) {
            out += (out.empty() ? "" : ", ") + item.name + ": " + item.content.print();
        }
        return '{' + out + '}';
    }
    default: return word;
    }
}

struct argument {
    std::string name;
    value content;
    std::size_t position = 0;
};
struct directive {
    std::string name;
    std::vector<argument> arguments;
    std::size_t position = 0;
};
struct selection {
    enum class kind { field, spread, inline_fragment };
    kind is = kind::field;
    std::string alias, name; ///< of a field; the name of a spread fragment; the type of an inline one, or empty
    std::vector<argument> arguments;
    std::vector<directive> directives;
    std::vector<selection> selections;
    bool has_selections = false;
    std::size_t position = 0;

    const std::string& response_name() const { return alias.empty() ? name : alias; }
};
/// "[String!]!": wrappers from outside in, and the named type.
struct type_name {
    std::string name;
    bool required = false, list = false, required_items = false;

    std::string print() const {
        const std::string inner = name + (list ? (required_items ? "!" : "") : "");
        return (list ? '[' + inner + ']' : inner) + (required ? "!" : "");
    }
};
struct variable_definition {
    std::string name;
    type_name type;
    std::optional<value> fallback;
    std::size_t position = 0;
};
struct definition {
    std::string operation; ///< "query", "mutation", "subscription", or "fragment"
    std::string name, on_type;
    std::vector<variable_definition> variables;
    std::vector<directive> directives;
    std::vector<selection> selections;
    std::size_t position = 0;
};

class parser {
public:
    explicit parser(std::string_view text) : text_(text) { advance(); }

    /// @throws query_error with the server's wording of syntax errors.
    std::vector<definition> parse() {
        std::vector<definition> result;
        do {
            result.push_back(parse_definition());
        } while (token_.is != token::kind::end);
        return result;
    }

private:
    static constexpr int max_depth = 100;

    struct token {
        enum class kind { end, punctuator, name, integer, floating, text };
        kind is = kind::end;
        std::string word;
        std::size_t position = 0;

        std::string describe() const {
            switch (is) {
            case kind::end: return "EOF";
            case kind::punctuator: return word;
            case kind::name: return "Name \"" + word + '"';
            case kind::integer: return "Int \"" + word + '"';
            case kind::floating: return "Float \"" + word + '"';
            case kind::text: return word.empty() ? "String" : "String \"" + word + '"';
            }
            return word;
        }
    };

    [[noreturn]] void fail(std::size_t position, const std::string& message) const {
        const nlohmann::json place = query_error::locate(text_, position);
        const std::string where = '(' + place["line"].dump() + ':' + place["column"].dump() + ')';
        throw query_error("Syntax Error GraphQL " + where + ' ' + message, {position});
    }
    [[noreturn]] void unexpected() const { fail(token_.position, "Unexpected " + token_.describe()); }

    bool at(char punctuator) const { return token_.is == token::kind::punctuator && token_.word[0] == punctuator; }
    bool take(char punctuator) {
        if (!at(punctuator)) return false;
        advance();
        return true;
    }
    void expect(char punctuator) {
        if (!take(punctuator)) {
            fail(token_.position, std::string("Expected ") + punctuator + ", found " + token_.describe());
        }
    }
    bool at_word(const char* word) const { return token_.is == token::kind::name && token_.word == word; }
    std::string name() {
        if (token_.is != token::kind::name) fail(token_.position, "Expected Name, found " + token_.describe());
        std::string word = token_.word;
        advance();
        return word;
    }

    definition parse_definition() {
        definition result;
        result.position = token_.position;
        if (at('{')) {
            result.operation = "query";
            result.selections = parse_selections(0);
            return result;
        }
        if (token_.is != token::kind::name) unexpected();
        if (at_word("fragment")) {
            result.operation = "fragment";
            advance();
            if (at_word("on")) unexpected();
            result.name = name();
            if (!at_word("on")) fail(token_.position, "Expected \"on\", found " + token_.describe());
            advance();
            result.on_type = name();
        } else if (at_word("query") || at_word("mutation") || at_word("subscription")) {
            result.operation = name();
            if (token_.is == token::kind::name) result.name = name();
            if (take('(')) {
                do {
                    result.variables.push_back(parse_variable());
                } while (!take(')'));
            }
        } else {
            unexpected();
        }
        result.directives = parse_directives();
        result.selections = parse_selections(0);
        return result;
    }

    variable_definition parse_variable() {
        variable_definition result;
        result.position = token_.position;
        expect('$');
        result.name = name();
        expect(':');
        result.type = parse_type();
        if (take('=')) result.fallback = parse_value(true, 0);
        return result;
    }

    type_name parse_type() {
        type_name result;
        if (take('[')) {
            result.list = true;
            result.name = name();
            result.required_items = take('!');
            expect(']');
        } else {
            result.name = name();
        }
        result.required = take('!');
        return result;
    }

    std::vector<selection> parse_selections(int depth) {
        if (depth > max_depth) fail(token_.position, "The document is nested too deep");
        std::vector<selection> result;
        expect('{');
        do {
            result.push_back(parse_selection(depth));
        } while (!take('}'));
        return result;
    }

    selection parse_selection(int depth) {
        selection result;
        result.position = token_.position;
        if (take('.')) {
            result.is = selection::kind::inline_fragment;
            if (token_.is == token::kind::name && !at_word("on")) {
                result.is = selection::kind::spread;
                result.name = name();
                result.directives = parse_directives();
                return result;
            }
            if (at_word("on")) {
                advance();
                result.name = name();
            }
        } else {
            result.name = name();
            if (take(':')) {
                result.alias = result.name;
                result.name = name();
            }
            result.arguments = parse_arguments();
        }
        result.directives = parse_directives();
        if (result.is == selection::kind::inline_fragment || at('{')) {
            result.selections = parse_selections(depth + 1);
            result.has_selections = true;
        }
        return result;
    }

    std::vector<argument> parse_arguments() {
        std::vector<argument> result;
        if (!take('(')) return result;
        do {
            argument item;
            item.position = token_.position;
            item.name = name();
            expect(':');
            item.content = parse_value(false, 0);
            result.push_back(std::move(item));
        } while (!take(')'));
        return result;
    }

    std::vector<directive> parse_directives() {
        std::vector<directive> result;
        while (at('@')) {
            directive item;
            item.position = token_.position;
            advance();
            item.name = name();
            item.arguments = parse_arguments();
            result.push_back(std::move(item));
        }
        return result;
    }

    value parse_value(bool is_constant, int depth) {
        if (depth > max_depth) fail(token_.position, "The document is nested too deep");
        value result;
        result.position = token_.position;
        if (at('$') && !is_constant) {
            advance();
            result.is = value::kind::variable;
            result.word = name();
        } else if (take('[')) {
            result.is = value::kind::list;
            while (!take(']')) result.items.push_back(parse_value(is_constant, depth + 1));
        } else if (take('{')) {
            result.is = value::kind::object;
            while (!take('}')) {
                std::string member = name();
                expect(':');
                result.members.push_back({std::move(member), parse_value(is_constant, depth + 1)});
            }
        } else if (token_.is == token::kind::punctuator || token_.is == token::kind::end || at_word("null")) {
            unexpected();
        } else {
            using from = token::kind;
            result.is = token_.is == from::integer                        ? value::kind::integer
                        : token_.is == from::floating                     ? value::kind::floating
                        : token_.is == from::text                         ? value::kind::text
                        : token_.word == "true" || token_.word == "false" ? value::kind::boolean
                                                                          : value::kind::enumeration;
            result.word = token_.word;
            advance();
        }
        return result;
    }

    // --- lexer -----------------------------------------------------------------------------------------------------
    static bool is_letter(char c) { return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
    static bool is_digit(char c) { return c >= '0' && c <= '9'; }
    char peek(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }

    void advance() {
        skip_ignored();
        token_ = token();
        token_.position = at_;
        if (at_ >= text_.size()) return;
        const char c = peek();
        if (std::string_view("!$():=@[]{|}").find(c) != std::string_view::npos) {
            token_.is = token::kind::punctuator;
            token_.word = c;
            ++at_;
        } else if (c == '.' && peek(1) == '.' && peek(2) == '.') {
            token_.is = token::kind::punctuator;
            token_.word = "...";
            at_ += 3;
        } else if (is_letter(c)) {
            token_.is = token::kind::name;
            while (is_letter(peek()) || is_digit(peek())) token_.word += text_[at_++];
        } else if (c == '-' || is_digit(c)) {
            read_number();
        } else if (c == '"') {
            read_text();
        } else {
            fail(at_, std::string(static_cast<unsigned char>(c) < 0x20 ? "Invalid" : "Unexpected") + " character " +
                          quoted(c) + '.');
        }
    }

    static std::string quoted(char c) {
        return nlohmann::json(std::string(1, c)).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
    }

    void skip_ignored() {
        while (at_ < text_.size()) {
            const char c = text_[at_];
            if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ',') {
                ++at_;
            } else if (text_.substr(at_, 3) == "\xef\xbb\xbf") {
                at_ += 3;
            } else if (c == '#') {
                while (at_ < text_.size() && text_[at_] != '\n' && text_[at_] != '\r') ++at_;
            } else {
                return;
            }
        }
    }

    void read_digits() {
        if (!is_digit(peek())) {
            const std::string found = at_ < text_.size() ? quoted(peek()) : "<EOF>";
            fail(at_, "Invalid number, expected digit but got: " + found + '.');
        }
        while (is_digit(peek())) token_.word += text_[at_++];
    }
    void read_number() {
        token_.is = token::kind::integer;
        if (peek() == '-') token_.word += text_[at_++];
        if (peek() == '0' && is_digit(peek(1))) {
            fail(at_ + 1, "Invalid number, unexpected digit after 0: " + quoted(peek(1)) + '.');
        }
        read_digits();
        if (peek() == '.') {
            token_.is = token::kind::floating;
            token_.word += text_[at_++];
            read_digits();
        }
        if (peek() == 'e' || peek() == 'E') {
            token_.is = token::kind::floating;
            token_.word += text_[at_++];
            if (peek() == '+' || peek() == '-') token_.word += text_[at_++];
            read_digits();
        }
    }

    void read_text() {
        token_.is = token::kind::text;
        // The escapes are JSON's, so its parser turns the literal into the text.
        const std::size_t start = at_++;
        while (at_ < text_.size() && text_[at_] != '"' && text_[at_] != '\n' && text_[at_] != '\r') {
            const char c = text_[at_];
            if (static_cast<unsigned char>(c) < 0x20 && c != '\t') {
                fail(at_, "Invalid character within String: " + quoted(c) + '.');
            }
            at_ += c == '\\' && at_ + 1 < text_.size() ? 2 : 1;
        }
        if (peek() != '"') fail(at_, "Unterminated string");
        ++at_;
        std::string literal;
        for (const char c : text_.substr(start, at_ - start)) literal += c == '\t' ? "\\t" : std::string(1, c);
        const nlohmann::json text = nlohmann::json::parse(literal, nullptr, false);
        if (!text.is_string()) fail(start, "Invalid character escape sequence.");
        token_.word = text.get<std::string>();
    }

    std::string_view text_;
    std::size_t at_ = 0;
    token token_;
};

} // namespace graphql
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
