// backendai.hpp: Backend.AI client SDK for C++, version 0.1.0
// SPDX-License-Identifier: MIT
// Generated from include/ by single_include/amalgamate.py. Do not edit: change include/ and run that script.

// ---- backendai.hpp
/// @file
/// The Backend.AI client SDK for C++: everything, with the default transport (unless BACKENDAI_NO_HTTPLIB is defined)
/// and with the one on libcurl if BACKENDAI_USE_CURL is defined.
#ifndef BACKENDAI_HPP
#define BACKENDAI_HPP

// ---- backendai/core.hpp
/// @file
/// Everything but a transport. Include <backendai.hpp> for the default one too.
#ifndef BACKENDAI_CORE_HPP
#define BACKENDAI_CORE_HPP

// ---- backendai/api/admin.hpp
/// @file
/// Administration: GraphQL queries of any kind, and the listings that have no class of their own.
///
/// Unless a function says otherwise it throws graphql_error when the server refuses the query, api_error when it
/// refuses the request, client_error{argument} for arguments that are wrong before anything is sent, and client_error
/// of the other kinds when no usable answer came. All functions may be called from several threads at once.
#ifndef BACKENDAI_API_ADMIN_HPP
#define BACKENDAI_API_ADMIN_HPP

// ---- backendai/api/graphql_call.hpp
/// @file
/// GraphQL requests: sent, and their answers taken out of whichever envelope they come in.
#ifndef BACKENDAI_API_GRAPHQL_CALL_HPP
#define BACKENDAI_API_GRAPHQL_CALL_HPP

// ---- backendai/api/graphql.hpp
/// @file
/// GraphQL on the client's side: texts that are built from checked names only, and errors taken apart.
#ifndef BACKENDAI_API_GRAPHQL_HPP
#define BACKENDAI_API_GRAPHQL_HPP

// ---- backendai/codec/json.hpp
/// @file
/// JSON text of an untrusted peer: parsed with limits on nesting, since copying or printing a value that is nested too
/// deep overflows the stack, and on the number of values, since a short text ("[[],[],...]") can take a lot of memory.
#ifndef BACKENDAI_CODEC_JSON_HPP
#define BACKENDAI_CODEC_JSON_HPP

// ---- backendai/codec/decode_error.hpp
/// @file
/// What a codec throws when the bytes it was given are not what the format allows.
#ifndef BACKENDAI_CODEC_DECODE_ERROR_HPP
#define BACKENDAI_CODEC_DECODE_ERROR_HPP

// ---- backendai/version.hpp
/// @file
/// The SDK's version and the inline namespace that keeps two incompatible copies of it apart in one program.
#ifndef BACKENDAI_VERSION_HPP
#define BACKENDAI_VERSION_HPP

#define BACKENDAI_VERSION_MAJOR 0
#define BACKENDAI_VERSION_MINOR 1
#define BACKENDAI_VERSION_PATCH 0
#define BACKENDAI_VERSION "0.1.0"

// Symbols carry the version, so that two versions linked into one program never share a function by accident.
#define BACKENDAI_ABI v0_1_0

#define BACKENDAI_NAMESPACE_BEGIN \
    namespace backendai { \
    inline namespace BACKENDAI_ABI {
#define BACKENDAI_NAMESPACE_END \
    } \
    }

#endif

#include <stdexcept>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// Malformed, truncated or over-limit input of a codec. Layers above turn it into a client_error of the fitting kind.
class decode_error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif

#include <nlohmann/json.hpp>

#include <cstddef>
#include <string>
#include <string_view>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

inline constexpr std::size_t max_json_depth = 256;
/// So many values may be in any text, and one more for every 16 bytes of it: what servers send has longer ones.
inline constexpr std::size_t max_json_values = 100'000;

namespace detail {

/// Whether it takes a look at every byte to know that a text keeps to the limits: not where it is short and has few
/// brackets, which is quickly seen of nearly every answer.
inline bool may_exceed_limits(std::string_view text) {
    if (text.size() >= max_json_values) return true;
    std::size_t brackets = 0;
    for (const char open : {'{', '['}) {
        for (std::size_t at = text.find(open); at != std::string_view::npos; at = text.find(open, at + 1)) {
            if (++brackets > max_json_depth) return true;
        }
    }
    return false;
}

/// Brackets and commas outside strings bound depth and values from above; broken text is left to the parser.
inline void check_limits(std::string_view text) {
    std::size_t depth = 0, values = 1;
    bool in_string = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (in_string) {
            if (c == '\\') {
                ++i;
            } else if (c == '"') {
                in_string = false;
            }
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > max_json_depth) throw decode_error("JSON: nested too deep");
            ++values;
        } else if ((c == '}' || c == ']') && depth > 0) {
            --depth;
        } else if (c == ',') {
            ++values;
        }
    }
    if (values > max_json_values + text.size() / 16) throw decode_error("JSON: too many values");
}

} // namespace detail

/// Parses @p text.
/// @throws decode_error when it is not JSON (UTF-8 included), is nested deeper than max_json_depth or holds too many
/// values.
inline nlohmann::json parse_json(std::string_view text) {
    if (detail::may_exceed_limits(text)) detail::check_limits(text);
    try {
        return nlohmann::json::parse(text.begin(), text.end());
    } catch (const nlohmann::json::parse_error& e) {
        // The parser's message quotes the input, which may be anything; its position is what helps.
        throw decode_error("JSON: malformed at byte " + std::to_string(e.byte));
    } catch (const nlohmann::json::exception&) {
        throw decode_error("JSON: malformed");
    }
}

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/codec/printable.hpp
/// @file
/// UTF-8 by character, and names made fit to appear in an error message.
#ifndef BACKENDAI_CODEC_PRINTABLE_HPP
#define BACKENDAI_CODEC_PRINTABLE_HPP


#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

namespace detail {

/// One decoded character of a UTF-8 text.
struct utf8_character {
    std::uint32_t code_point = 0;
    std::size_t length = 0; ///< in bytes; 0 = the bytes are not UTF-8
};

/// Decodes the first character of `text` (not empty) by RFC 3629: overlong forms, surrogates and values above U+10FFFF
/// are not UTF-8.
inline utf8_character decode_utf8_character(std::string_view text) noexcept {
    const auto byte = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i])); };
    const std::uint32_t lead = byte(0);
    if (lead < 0x80) return {lead, 1};
    std::size_t length = 0;
    std::uint32_t value = 0;
    std::uint32_t smallest = 0;
    if (lead >= 0xC2 && lead <= 0xDF) {
        length = 2, value = lead & 0x1F, smallest = 0x80;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
        length = 3, value = lead & 0x0F, smallest = 0x800;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
        length = 4, value = lead & 0x07, smallest = 0x10000;
    } else {
        return {};
    }
    if (text.size() < length) return {};
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xC0) != 0x80) return {};
        value = (value << 6) | (byte(i) & 0x3F);
    }
    if (value < smallest || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) return {};
    return {value, length};
}

/// C0, DEL and C1: what a terminal may take for a command.
inline bool is_control_character(std::uint32_t code_point) noexcept {
    return code_point < 0x20 || (code_point >= 0x7F && code_point <= 0x9F);
}

} // namespace detail

namespace detail {

inline std::string escape_for_display(std::string_view text, std::size_t limit, std::string_view also_escaped) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string result;
    std::size_t position = 0;
    while (position < text.size() && position < limit) {
        const utf8_character next = decode_utf8_character(text.substr(position));
        const bool plain = next.length != 0 && !is_control_character(next.code_point) &&
                           also_escaped.find(text[position]) == std::string_view::npos;
        const std::size_t length = next.length == 0 ? 1 : next.length;
        for (std::size_t i = 0; i < length; ++i) {
            const char c = text[position + i];
            if (plain) {
                result += c;
            } else {
                const unsigned value = static_cast<unsigned char>(c);
                result += "\\x";
                result += digits[value >> 4];
                result += digits[value & 0xF];
            }
        }
        position += length;
    }
    return result;
}

} // namespace detail

/// `text` in single quotes, fit for a message or a terminal: control characters, backslashes, single quotes and bytes
/// that are not UTF-8 become `\xNN`; a text longer than `limit` bytes is cut and ends in `...`.
inline std::string printable(std::string_view text, std::size_t limit = 256) {
    return '\'' + detail::escape_for_display(text, limit, "\\'") + (text.size() > limit ? "'..." : "'");
}

/// The same for prose, without quotes: only control characters and bytes that are not UTF-8 are spelled out.
inline std::string printable_text(std::string_view text, std::size_t limit) {
    return detail::escape_for_display(text, limit, {}) + (text.size() > limit ? "..." : "");
}

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/error.hpp
/// @file
/// The exceptions of the SDK: what the server said (api_error) and what went wrong before it could say anything useful
/// (client_error). Messages are for people; programs switch on status(), type() and kind().
#ifndef BACKENDAI_ERROR_HPP
#define BACKENDAI_ERROR_HPP


#include <nlohmann/json.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN

using json = nlohmann::json;

class api_error;
class client_error;

/// Base of every exception that the SDK throws on its own account.
class error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
    /// This error as what it is, or nullptr: what dynamic_cast would say, in programs without RTTI, too.
    virtual const api_error* as_api_error() const noexcept { return nullptr; }
    virtual const client_error* as_client_error() const noexcept { return nullptr; }
};

/// What kind of failure a client_error reports.
enum class error_kind {
    argument,  ///< the call or the configuration is wrong; nothing was sent
    timeout,   ///< a connect, read or call time limit was reached
    connect,   ///< no connection: name unknown, refused, unreachable, or lost before an answer began
    tls,       ///< no trusted connection: certificate or handshake
    protocol,  ///< the peer's answer is not what HTTP or the Backend.AI protocol allows, or is cut short
    cancelled, ///< the caller's cancel_token was triggered
    closed,    ///< the session was closed
    io         ///< a local file, device or other resource (threads, say) failed
};

inline const char* to_string(error_kind kind) {
    switch (kind) {
    case error_kind::argument: return "argument";
    case error_kind::timeout: return "timeout";
    case error_kind::connect: return "connect";
    case error_kind::tls: return "tls";
    case error_kind::protocol: return "protocol";
    case error_kind::cancelled: return "cancelled";
    case error_kind::closed: return "closed";
    case error_kind::io: return "io";
    }
    return "unknown";
}

/// A failure on this side: no usable answer of the server exists.
class client_error : public error {
public:
    /// Whether any byte of the request may have left this machine. `nothing_sent` lets even calls that must not run
    /// twice be tried again.
    enum class progress { nothing_sent, maybe_sent };

    client_error(error_kind kind, const std::string& message, progress sent = progress::nothing_sent)
        : error(std::string(to_string(kind)) + ": " + message), kind_(kind), sent_(sent) {}

    error_kind kind() const noexcept { return kind_; }
    progress sent() const noexcept { return sent_; }
    const client_error* as_client_error() const noexcept override { return this; }
    /// The same error, of a call that had begun to send when it failed.
    client_error after_sending() const {
        client_error result(*this);
        result.sent_ = progress::maybe_sent;
        return result;
    }

private:
    error_kind kind_;
    progress sent_;
};

/// The server answered with a failure status. The fields come from its RFC 7807 body; a body of another form (an HTML
/// page of a proxy, say) leaves them empty and is kept in body().
class api_error : public error {
public:
    /// Everything an api_error carries.
    struct details {
        int status = 0;          ///< HTTP status
        std::string reason;      ///< reason phrase of the status line
        std::string type;        ///< URI that identifies the problem, the thing to switch on
        std::string title;       ///< short text for people
        json data;               ///< the problem's `data` member, null when absent
        json agent_details;      ///< `agent-details` {type, title, exception} of errors raised on the agent, else null
        std::string body;        ///< the body as received, at most 64 KiB of it
        std::string retry_after; ///< the Retry-After header as received
    };

    explicit api_error(details what) : api_error(std::make_shared<const details>(std::move(what))) {}

    int status() const noexcept { return details_->status; }
    const std::string& reason() const noexcept { return details_->reason; }
    const std::string& type() const noexcept { return details_->type; }
    const std::string& title() const noexcept { return details_->title; }
    const json& data() const noexcept { return details_->data; }
    const json& agent_details() const noexcept { return details_->agent_details; }
    const std::string& body() const noexcept { return details_->body; }
    const std::string& retry_after() const noexcept { return details_->retry_after; }
    const api_error* as_api_error() const noexcept override { return this; }

private:
    explicit api_error(std::shared_ptr<const details> what) : error(message_of(*what)), details_(std::move(what)) {}

    // For people, on terminals and in logs: the server's words are cut to a size and cannot command the terminal. The
    // members hold them as they came.
    static std::string message_of(const details& what) {
        constexpr std::size_t limit = 512;
        std::string text = std::to_string(what.status);
        if (!what.reason.empty()) text += ' ' + codec::printable_text(what.reason, limit);
        if (!what.title.empty()) text += ": " + codec::printable_text(what.title, limit);
        if (!what.type.empty()) text += " [" + codec::printable_text(what.type, limit) + ']';
        if (what.agent_details.is_object()) {
            const auto title = what.agent_details.find("title");
            if (title != what.agent_details.end() && title->is_string()) {
                text += "; agent: " + codec::printable_text(title->get_ref<const std::string&>(), limit);
            }
        }
        return text;
    }

    std::shared_ptr<const details> details_; // shared, so that copying the exception cannot throw
};

BACKENDAI_NAMESPACE_END

#endif

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
    graphql_error(details what, std::vector<graphql_problem> problems)
        : api_error(std::move(what)),
          problems_(std::make_shared<const std::vector<graphql_problem>>(std::move(problems))),
          text_(std::make_shared<const std::string>(describe(api_error::what(), *problems_))) {}

    const char* what() const noexcept override { return text_->c_str(); }
    const std::vector<graphql_problem>& errors() const noexcept { return *problems_; }

private:
    // The first line of each message: servers add the statement that failed, with the values in it, a new key pair's
    // secret key among them.
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

    std::string check() {
        std::string out = field(0);
        skip();
        if (at_ != text_.size()) refuse();
        return out;
    }

private:
    static constexpr int max_depth = 16;

    [[noreturn]] void refuse() const {
        throw client_error(error_kind::argument, "not a field: a field is a name of letters, digits and _, with { } "
                                                 "around names inside it (the text has " +
                                                     std::to_string(text_.size()) + " bytes, byte " +
                                                     std::to_string(at_) + " is wrong)");
    }
    void skip() {
        while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' ||
                                      text_[at_] == '\r' || (text_[at_] == ',' && at_ > 0))) {
            ++at_;
        }
    }
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
inline std::string select_fields(const field_list& fields, std::string_view fallback) {
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
inline bool may_mutate(std::string_view document) {
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

inline std::vector<graphql_problem> read_problems(const json& list) {
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
inline bool holds_json_text(std::string_view field) {
    for (const std::string_view known :
         {"available_slots", "occupied_slots", "occupied_shares", "service_ports", "requested_slots", "live_stat",
          "status_data", "resource_opts", "total_resource_slots", "hardware_metadata", "compute_plugins"}) {
        if (field == known) return true;
    }
    // 20.09 and later
    return field == "occupying_slots";
}

/// Replaces such texts by what they hold, inside nested items too. A text that is not JSON stays as it is.
inline void decode_json_texts(json& value) {
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
// ---- backendai/dialect.hpp
/// @file
/// What differs between the generations of servers, in one place: a table of rules and a table of features, both by the
/// protocol version they hold from. The API classes ask a dialect and compare no versions; a new generation is one more
/// entry in dialect_table, which changes what it changes in the entry before.
#ifndef BACKENDAI_DIALECT_HPP
#define BACKENDAI_DIALECT_HPP

// ---- backendai/protocol_version.hpp
/// @file
/// The protocol's versions, "v4.20190315", as numbers that can be put in order.
#ifndef BACKENDAI_PROTOCOL_VERSION_HPP
#define BACKENDAI_PROTOCOL_VERSION_HPP


#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// "v4.20190315" as numbers, in the order of time.
struct protocol_version {
    std::uint32_t major = 0, date = 0;

    friend bool operator<(const protocol_version& a, const protocol_version& b) {
        return a.major != b.major ? a.major < b.major : a.date < b.date;
    }
    friend bool operator==(const protocol_version& a, const protocol_version& b) {
        return a.major == b.major && a.date == b.date;
    }
};

/// Reads `v<number>.<eight digits>`; nothing for any other text.
inline std::optional<protocol_version> parse_protocol_version(std::string_view text) {
    const std::size_t dot = text.find('.');
    if (text.empty() || text[0] != 'v' || dot == std::string_view::npos || text.size() - dot != 9) return {};
    const auto number = [](std::string_view digits) -> std::optional<std::uint32_t> {
        if (digits.empty() || digits.size() > 8) return {};
        std::uint32_t value = 0;
        for (const char c : digits) {
            if (c < '0' || c > '9') return {};
            value = value * 10 + static_cast<std::uint32_t>(c - '0');
        }
        return value;
    };
    const auto major = number(text.substr(1, dot - 1));
    const auto date = number(text.substr(dot + 1));
    if (!major || !date) return {};
    return protocol_version{*major, *date};
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// How the bytes of a virtual folder's files travel.
enum class folder_transfer {
    multipart,    ///< form-data to the manager, multipart/mixed from it
    storage_proxy ///< a token from the manager, then TUS and ranges with the storage proxy
};

/// How the files of a compute session are asked for.
enum class session_download {
    get,         ///< GET
    get_or_post, ///< GET, and POST where the server calls that deprecated
    post         ///< POST
};

/// How a page of a GraphQL listing is filtered and put in order.
enum class page_order {
    none,              ///< there are no pages: the list comes whole
    key_and_direction, ///< `order_key` and `order_asc`; no filter
    expressions        ///< `filter` and `order`
};

/// A field that has another name since.
struct field_rename {
    std::string_view from, to;
};

/// How a generation of servers wants to be spoken to.
struct dialect_rules {
    std::string_view since; ///< the first protocol version that it holds for

    // --- compute sessions --------------------------------------------------------------------------------------------
    std::string_view session_path;        ///< what stands before a compute session's id
    std::string_view create_session_path; ///< where compute sessions are made
    std::string_view stream_path;         ///< what stands before a compute session's id in websocket paths
    std::string_view events_path;         ///< the stream of events
    std::string_view events_name_key;     ///< its parameter for the session's name
    std::string_view events_id_key;       ///< its parameter for the session's UUID; empty: it takes names only
    std::string_view session_name_key;    ///< a creation's member for the client token
    std::string_view image_key;           ///< a creation's member for the image
    std::string_view session_id_key;      ///< the member of its answer that holds the session's id
    bool cluster_size_in_config;          ///< `clusterSize` stands in `config`; else beside it
    bool arguments_in_query_too; ///< file requests carry their arguments in body and query: servers read either
    bool run_id_twice;           ///< the run is named by `runId` and `run_id`: servers read either
    session_download download;

    // --- virtual folders ---------------------------------------------------------------------------------------------
    folder_transfer transfer;
    bool uploads_make_parents;            ///< the storage proxy makes the directories above a file
    bool folder_listing_in_query;         ///< the path to list is in the query; else in a body
    std::string_view delete_files_path;   ///< below the folder's
    std::string_view delete_files_method; ///< with a body in any case
    std::string_view rename_file_path;    ///< below the folder's
    std::string_view sent_invitations_path;
    std::string_view invitees_key;    ///< an invitation's member for whom to invite
    bool acceptance_names_access_key; ///< accepting an invitation says for which access key

    // --- GraphQL -----------------------------------------------------------------------------------------------------
    std::string_view graphql_path;
    bool graphql_envelope;          ///< answers are {data, errors} with status 200; else bare data, or 400 with a list
    std::string_view keypair_input; ///< type of the `props` of modify_keypair
    bool keypair_input_is_whole;    ///< a modification has to send the limits that stay too
    bool integer_user_ids;          ///< user ids may be numbers; else e-mail addresses only
    std::string_view keypair_user_key;           ///< argument of the key pair listings for whose they are
    page_order session_pages;                    ///< of compute_session_list; none: compute_sessions
    page_order folder_pages;                     ///< of vfolder_list; none: vfolders
    page_order keypair_pages;                    ///< of keypair_list; none: keypairs
    page_order agent_pages;                      ///< of agent_list; none: agents
    bool session_by_uuid;                        ///< compute_session() takes the UUID `id`; else the name `sess_id`
    std::string_view group_id_type;              ///< of the argument group_id of listings
    std::string_view sessions_fields;            ///< what is told of each session by default
    std::string_view session_fields;             ///< what is told of one session by default
    std::array<field_rename, 3> session_renames; ///< fields of sessions that are asked for under another name
};

// Fields that 19.03 has and later servers do not come under their old name, by an alias, where something takes their
// place: a program written for the one works with the others.
inline constexpr dialect_rules dialect_v4_20190315 = [] {
    dialect_rules rules{};
    rules.since = "v4.20190315"; // 19.03
    rules.session_path = "/kernel";
    rules.create_session_path = "/kernel/create";
    rules.stream_path = "/stream/kernel";
    rules.events_path = "/stream/kernel/_/events"; // served from 19.09 on, see feature::events
    rules.events_name_key = "sessionId";
    rules.session_name_key = "clientSessionToken";
    rules.image_key = "lang";
    rules.session_id_key = "kernelId";
    rules.cluster_size_in_config = true;
    rules.download = session_download::get;
    rules.transfer = folder_transfer::multipart;
    rules.delete_files_path = "/delete_files";
    rules.delete_files_method = "DELETE";
    rules.rename_file_path = "/rename_file";
    rules.sent_invitations_path = "/folders/invitations/list_sent";
    rules.invitees_key = "user_ids";
    rules.acceptance_names_access_key = true;
    rules.graphql_path = "/admin/graphql";
    rules.keypair_input = "KeyPairInput";
    rules.keypair_input_is_whole = true;
    rules.integer_user_ids = true;
    rules.keypair_user_key = "user_id";
    rules.group_id_type = "String";
    rules.sessions_fields = "sess_id image tag created_at terminated_at status occupied_slots mem_cur_bytes "
                            "mem_max_bytes cpu_using";
    rules.session_fields = "sess_id role image tag created_at terminated_at agent status status_info occupied_slots "
                           "cpu_used mem_cur_bytes mem_max_bytes num_queries net_rx_bytes net_tx_bytes io_read_bytes "
                           "io_write_bytes io_max_scratch_size io_cur_scratch_size cpu_using";
    return rules;
}();
inline constexpr dialect_rules dialect_v4_20190615 = [] {
    dialect_rules rules = dialect_v4_20190315;
    rules.since = "v4.20190615"; // 19.09
    rules.acceptance_names_access_key = false;
    rules.keypair_input = "ModifyKeyPairInput";
    rules.keypair_input_is_whole = false;
    rules.integer_user_ids = false;
    rules.keypair_user_key = "email";
    rules.session_pages = rules.folder_pages = rules.agent_pages = page_order::key_and_direction;
    return rules;
}();
inline constexpr dialect_rules dialect_v5_20191215 = [] {
    dialect_rules rules = dialect_v4_20190615;
    rules.since = "v5.20191215"; // 20.03
    rules.session_path = rules.create_session_path = "/session";
    rules.stream_path = "/stream/session";
    rules.events_path = "/events/session";
    rules.events_name_key = "name";
    rules.session_name_key = "name";
    rules.image_key = "image";
    rules.session_id_key = "sessionId";
    rules.arguments_in_query_too = true;
    rules.run_id_twice = true;
    rules.folder_listing_in_query = true;
    rules.keypair_pages = page_order::key_and_direction;
    rules.session_by_uuid = true;
    rules.session_renames = {{{"sess_id", "name"}, {"lang", "image"}, {"sess_type", "type"}}};
    rules.sessions_fields = "sess_id: name id name type image tag created_at terminated_at status occupied_slots";
    rules.session_fields = "sess_id: name id name type image tag created_at terminated_at status status_info "
                           "occupied_slots num_queries service_ports domain_name group_name user_email access_key "
                           "scaling_group mounts startup_command result";
    return rules;
}();
inline constexpr dialect_rules dialect_v6_20200815 = [] {
    dialect_rules rules = dialect_v5_20191215;
    rules.since = "v6.20200815";           // 20.09
    rules.events_name_key = "sessionName"; // the spelling before is gone from 26.3 on
    rules.events_id_key = "sessionId";
    rules.cluster_size_in_config = false;
    rules.transfer = folder_transfer::storage_proxy;
    rules.delete_files_path = "/delete-files";
    rules.rename_file_path = "/rename-file";
    rules.sent_invitations_path = "/folders/invitations/list-sent";
    rules.invitees_key = "emails";
    rules.group_id_type = "UUID";
    return rules;
}();
inline constexpr dialect_rules dialect_v6_20210815 = [] {
    dialect_rules rules = dialect_v6_20200815;
    rules.since = "v6.20210815"; // 20.09.29, 21.03.x, 21.09; servers from 26.4 on do not know it any more
    rules.graphql_path = "/admin/gql";
    rules.graphql_envelope = true;
    rules.session_pages = rules.folder_pages = rules.keypair_pages = rules.agent_pages = page_order::expressions;
    return rules;
}();
inline constexpr dialect_rules dialect_v6_20220315 = [] {
    dialect_rules rules = dialect_v6_20210815;
    rules.since = "v6.20220315"; // 22.03
    return rules;
}();
inline constexpr dialect_rules dialect_v6_20220615 = [] {
    dialect_rules rules = dialect_v6_20220315;
    rules.since = "v6.20220615"; // 22.09
    return rules;
}();
inline constexpr dialect_rules dialect_v6_20230315 = [] {
    dialect_rules rules = dialect_v6_20220615;
    rules.since = "v6.20230315"; // 23.03.0
    return rules;
}();
inline constexpr dialect_rules dialect_v7_20230615 = [] {
    dialect_rules rules = dialect_v6_20230315;
    rules.since = "v7.20230615"; // 23.03.12, 23.09
    rules.uploads_make_parents = true;
    return rules;
}();
inline constexpr dialect_rules dialect_v8_20240315 = [] {
    dialect_rules rules = dialect_v7_20230615;
    rules.since = "v8.20240315"; // 24.03
    rules.download = session_download::get_or_post;
    return rules;
}();
inline constexpr dialect_rules dialect_v8_20240915 = [] {
    dialect_rules rules = dialect_v8_20240315;
    rules.since = "v8.20240915"; // 24.09 to 25.6
    rules.download = session_download::post;
    rules.delete_files_method = "POST";
    return rules;
}();
inline constexpr dialect_rules dialect_v9_20250722 = [] {
    dialect_rules rules = dialect_v8_20240915;
    rules.since = "v9.20250722"; // 25.12 on
    return rules;
}();

/// Ordered by `since`. The highest version that the SDK speaks is the last entry's.
inline constexpr std::array<dialect_rules, 12> dialect_table = {
    {dialect_v4_20190315, dialect_v4_20190615, dialect_v5_20191215, dialect_v6_20200815, dialect_v6_20210815,
     dialect_v6_20220315, dialect_v6_20220615, dialect_v6_20230315, dialect_v7_20230615, dialect_v8_20240315,
     dialect_v8_20240915, dialect_v9_20250722}};

/// Functions and arguments that not every server knows; feature_table says since when there are.
enum class feature {
    // of a compute session's creation
    session_type,
    group,
    domain,
    enqueue_only,
    max_wait,
    no_reuse,
    startup_command,
    owner_access_key,
    mount_map,
    preopen_ports,
    bootstrap_script,
    starts_at,
    cluster_mode,
    agent_list,
    dependencies,
    callback_url,
    architecture,
    mount_options,
    attach_network,
    priority,
    mount_ids,
    mount_id_map,
    // functions of compute sessions
    forced_destroy,
    match,
    service_list,
    shutdown_service,
    rename_session,
    start_service,
    events,
    event_scope,
    // of virtual folders
    dot_folders,
    folder_group,
    usage_mode,
    folder_permission,
    unmanaged_path,
    cloneable,
    quota,
    mkdir_parents,
    rename_file,
    move_file,
    sent_invitations,
    resumable_upload,
    resumable_download,
    // of listings
    list_domain,
    list_group,
    list_scaling_group,
    page_filter,
    page_order
};

struct feature_entry {
    feature what;
    std::string_view name; ///< as the SDK calls it
    std::string_view since;
};

inline constexpr feature_entry feature_table[] = {
    {feature::session_type, "type", "v4.20190615"},
    {feature::group, "group", "v4.20190615"},
    {feature::domain, "domain", "v4.20190615"},
    {feature::enqueue_only, "enqueue_only", "v4.20190615"},
    {feature::max_wait, "max_wait", "v4.20190615"},
    {feature::no_reuse, "no_reuse", "v4.20190615"},
    {feature::startup_command, "startup_command", "v4.20190615"},
    {feature::owner_access_key, "owner_access_key", "v4.20190615"},
    {feature::mount_map, "mount_map", "v5.20191215"},
    {feature::preopen_ports, "preopen_ports", "v5.20191215"},
    {feature::bootstrap_script, "bootstrap_script", "v5.20191215"},
    {feature::starts_at, "starts_at", "v5.20191215"},
    {feature::cluster_mode, "cluster_mode", "v6.20200815"},
    {feature::agent_list, "agent_list", "v6.20200815"},
    {feature::dependencies, "dependencies", "v6.20220315"},
    {feature::callback_url, "callback_url", "v6.20220315"},
    {feature::architecture, "architecture", "v6.20220315"},
    {feature::mount_options, "mount_options", "v8.20240315"},
    {feature::attach_network, "attach_network", "v8.20240915"},
    {feature::priority, "priority", "v8.20240915"},
    {feature::mount_ids, "mount_ids", "v9.20250722"},
    {feature::mount_id_map, "mount_id_map", "v9.20250722"},
    {feature::forced_destroy, "forced", "v5.20191215"},
    {feature::match, "match()", "v5.20191215"},
    {feature::service_list, "apps()", "v5.20191215"},
    {feature::shutdown_service, "shutdown_service()", "v6.20200815"},
    {feature::rename_session, "rename()", "v6.20210815"},
    {feature::start_service, "start_service()", "v6.20210815"},
    {feature::events, "events()", "v4.20190615"},
    {feature::dot_folders, "a folder's name with a dot in front", "v4.20190615"},
    {feature::event_scope, "scope", "v6.20200815"},
    {feature::folder_group, "group", "v4.20190615"},
    {feature::usage_mode, "usage_mode", "v5.20191215"},
    {feature::folder_permission, "permission", "v5.20191215"},
    {feature::unmanaged_path, "unmanaged_path", "v5.20191215"},
    {feature::cloneable, "cloneable", "v6.20200815"},
    {feature::quota, "quota", "v6.20200815"},
    {feature::mkdir_parents, "parents and exist_ok", "v6.20200815"},
    {feature::rename_file, "rename_file()", "v5.20191215"},
    {feature::move_file, "move_file()", "v6.20220315"},
    {feature::sent_invitations, "sent_invitations()", "v4.20190615"},
    {feature::list_domain, "domain_name", "v4.20190615"},
    {feature::list_group, "group_id", "v4.20190615"},
    {feature::list_scaling_group, "scaling_group", "v4.20190615"},
    {feature::resumable_upload, "resume_file", "v6.20200815"},
    {feature::resumable_download, "resume", "v6.20200815"},
    {feature::page_filter, "filter", "v6.20210815"},
    {feature::page_order, "order", "v4.20190615"},
};

/// What is spoken with a server that does not tell its version.
inline constexpr std::string_view default_protocol_version = "v4.20190315";

/// The version of the header, and what holds for it.
struct dialect : dialect_rules {
    std::string version;

    bool knows(feature what) const {
        const auto first = parse_protocol_version(entry_of(what).since);
        return first && !(number() < *first);
    }
    /// @throws client_error{argument} that says since when there is such a thing
    void require(feature what) const {
        if (knows(what)) return;
        const feature_entry& entry = entry_of(what);
        throw client_error(error_kind::argument, std::string(entry.name) + " exists since protocol version " +
                                                     std::string(entry.since) + "; this session speaks " + version);
    }

private:
    protocol_version number() const {
        const auto told = parse_protocol_version(version);
        return told ? *told : *parse_protocol_version(since);
    }
    static const feature_entry& entry_of(feature what) {
        for (const feature_entry& entry : feature_table) {
            if (entry.what == what) return entry;
        }
        throw client_error(error_kind::argument, "a feature without an entry in the table");
    }
};

/// The dialect of @p version, which is sent as it is. Versions older than the table get its first entry, and so do
/// texts that are no version: they come from the user, who knows why.
inline dialect dialect_of(std::string version) {
    const dialect_rules* rules = &dialect_table.front();
    if (const auto wanted = parse_protocol_version(version)) {
        for (const dialect_rules& entry : dialect_table) {
            const auto since = parse_protocol_version(entry.since);
            if (since && !(*wanted < *since)) rules = &entry;
        }
    }
    return dialect{*rules, std::move(version)};
}

/// What to speak with a server whose newest version is @p announced: the lower of that and @p highest, which is the
/// highest that the SDK speaks; the default when it is no version.
inline std::string choose_version(std::string_view announced, std::string_view highest = dialect_table.back().since) {
    const auto theirs = parse_protocol_version(announced);
    const auto ours = parse_protocol_version(highest);
    if (!theirs || !ours) return std::string(default_protocol_version);
    return std::string(*theirs < *ours ? announced : highest);
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/pipeline.hpp
/// @file
/// The only road to the transport: retry, then sign, then log, then transport. Every attempt has a fresh date and
/// signature. Everything that a session, its handles and its views share lives here.
#ifndef BACKENDAI_PIPELINE_HPP
#define BACKENDAI_PIPELINE_HPP

// ---- backendai/async/executor.hpp
/// @file
/// The threads of the asynchronous mode: a bounded pool that belongs to one session and ends with it.
#ifndef BACKENDAI_ASYNC_EXECUTOR_HPP
#define BACKENDAI_ASYNC_EXECUTOR_HPP

// ---- backendai/os/thread.hpp
/// @file
/// Starting threads, which the system may refuse.
#ifndef BACKENDAI_OS_THREAD_HPP
#define BACKENDAI_OS_THREAD_HPP


#include <string>
#include <system_error>
#include <thread>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace os {

/// A thread that runs @p work. @throws client_error{io} when the system gives no more threads
template <class Work>
std::thread start_thread(Work&& work) {
    try {
        return std::thread(std::forward<Work>(work));
    } catch (const std::system_error& e) {
        throw client_error(error_kind::io, std::string("no thread can be started: ") + e.what());
    }
}

} // namespace os
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/watchdog.hpp
/// @file
/// A watchdog thread that breaks off blocking work when its time has come: every exchange with a deadline is watched,
/// and every cancelled one is handed to it.
#ifndef BACKENDAI_WATCHDOG_HPP
#define BACKENDAI_WATCHDOG_HPP

// ---- backendai/http.hpp
/// @file
/// The vocabulary between the session and a transport: request, response head, where a body comes from and goes to.
/// No type of an HTTP library appears here.
#ifndef BACKENDAI_HTTP_HPP
#define BACKENDAI_HTTP_HPP

// ---- backendai/cancel.hpp
/// @file
/// Cancellation: a cancel_source is triggered by whoever wants a call to end, its tokens are handed to the calls.
#ifndef BACKENDAI_CANCEL_HPP
#define BACKENDAI_CANCEL_HPP


#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN

namespace detail {

// What is called when a source is triggered, and its place in the list of those that are; part of the listener itself,
// so that listening takes no memory.
struct cancel_hook {
    std::function<void()> call;
    cancel_hook *before = nullptr, *after = nullptr;
    bool listed = false;
};

// Shared by a source, its tokens and the listeners. Listeners run on the cancelling thread, outside the lock; removing
// one waits for a running one, so that what it refers to may be destroyed afterwards.
class cancel_state {
public:
    bool cancelled() const noexcept { return cancelled_.load(std::memory_order_acquire); }

    void cancel() {
        const std::lock_guard<std::recursive_mutex> running(running_);
        std::unique_lock<std::mutex> lock(mutex_);
        if (cancelled_.exchange(true, std::memory_order_acq_rel)) return;
        while (first_ != nullptr) {
            const std::function<void()> call = std::move(first_->call);
            take_out(*first_);
            lock.unlock();
            call();
            lock.lock();
        }
    }

    // Calls the hook at once, and returns false, when already cancelled.
    bool add(cancel_hook& hook) {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            if (!cancelled_.load(std::memory_order_acquire)) {
                hook.before = last_;
                (last_ != nullptr ? last_->after : first_) = &hook;
                last_ = &hook;
                hook.listed = true;
                return true;
            }
        }
        hook.call();
        return false;
    }

    void remove(cancel_hook& hook) {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            if (hook.listed) return take_out(hook);
        }
        const std::lock_guard<std::recursive_mutex> wait(running_);
    }

private:
    void take_out(cancel_hook& hook) {
        (hook.before != nullptr ? hook.before->after : first_) = hook.after;
        (hook.after != nullptr ? hook.after->before : last_) = hook.before;
        hook.listed = false;
    }

    std::atomic<bool> cancelled_{false};
    std::mutex mutex_;
    std::recursive_mutex running_; // held while listeners run; recursive: a listener may remove itself
    cancel_hook *first_ = nullptr, *last_ = nullptr;
};

} // namespace detail

/// Tells whether the work it was given to shall stop. Cheap to copy; a default-made one is never triggered.
/// Thread-safety: all members may be called from any thread.
class cancel_token {
public:
    cancel_token() = default;
    bool cancelled() const noexcept { return state_ && state_->cancelled(); }
    bool can_be_cancelled() const noexcept { return state_ != nullptr; }

    /// Calls a function once when the token is triggered, for as long as the object lives.
    class listener {
    public:
        listener() = default;
        /// @p call must not throw; it runs on the thread that cancels, or here and now if that has happened already.
        listener(const cancel_token& token, std::function<void()> call) : state_(token.state_) {
            if (!state_) return;
            hook_.call = std::move(call);
            if (!state_->add(hook_)) state_.reset();
        }
        listener(const listener&) = delete;
        listener& operator=(const listener&) = delete;
        ~listener() {
            if (state_) state_->remove(hook_);
        }

    private:
        std::shared_ptr<detail::cancel_state> state_;
        detail::cancel_hook hook_;
    };

private:
    friend class cancel_source;
    explicit cancel_token(std::shared_ptr<detail::cancel_state> state) : state_(std::move(state)) {}
    std::shared_ptr<detail::cancel_state> state_;
};

/// Makes tokens and triggers them. Copies share one state. Thread-safety: as cancel_token.
class cancel_source {
public:
    cancel_source() : state_(std::make_shared<detail::cancel_state>()) {}
    void cancel() const { state_->cancel(); }
    bool cancelled() const noexcept { return state_->cancelled(); }
    cancel_token token() const { return cancel_token(state_); }

private:
    std::shared_ptr<detail::cancel_state> state_;
};

BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/codec/byte_source.hpp
/// @file
/// The pull source that request bodies are read from: bytes of a known length that can be read again from the start.
#ifndef BACKENDAI_CODEC_BYTE_SOURCE_HPP
#define BACKENDAI_CODEC_BYTE_SOURCE_HPP


#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// A source did not deliver what it had announced: a read failed, or there were fewer or more bytes than size() said.
class source_error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// Bytes of a known length, pulled in pieces as the receiver takes them.
///
/// Not thread-safe: one source is read by one thread at a time.
class byte_source {
public:
    byte_source() = default;
    byte_source(const byte_source&) = delete;
    byte_source& operator=(const byte_source&) = delete;
    virtual ~byte_source() = default;

    /// The number of bytes from the start to the end, wherever reading stands. It must not change while in use, since
    /// it goes out as Content-Length before the first byte is read.
    virtual std::uint64_t size() const = 0;

    /// Writes up to `capacity` bytes to `buffer` and returns how many.
    ///
    /// Returns 0 only at the end (or when `capacity` is 0); fewer bytes than asked for do not mean the end.
    /// Throws (source_error or what fits the cause) when reading fails.
    virtual std::size_t read(char* buffer, std::size_t capacity) = 0;

    /// Goes back to the first byte, so that a request can be sent again. Throws when that is impossible.
    virtual void rewind() = 0;
};

/// A source over bytes that are in memory anyway.
class string_source final : public byte_source {
public:
    explicit string_source(std::string bytes) : bytes_(std::move(bytes)) {}

    std::uint64_t size() const override { return bytes_.size(); }

    std::size_t read(char* buffer, std::size_t capacity) override {
        const std::size_t count = (std::min)(capacity, bytes_.size() - position_);
        if (count != 0) std::memcpy(buffer, bytes_.data() + position_, count);
        position_ += count;
        return count;
    }

    void rewind() override { position_ = 0; }

private:
    std::string bytes_;
    std::size_t position_ = 0;
};

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/codec/url.hpp
/// @file
/// Absolute URLs and the one spelling of paths and queries that the server's URL library (Python's yarl) leaves alone.
/// The signature covers the request target, and the server rebuilds that text with yarl before it checks: a target that
/// yarl would spell differently is refused as a wrong signature.
#ifndef BACKENDAI_CODEC_URL_HPP
#define BACKENDAI_CODEC_URL_HPP


#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// An absolute http or https URL, split. Only what an HTTP request needs: no user info, no fragment.
struct url {
    std::string scheme;     ///< "http" or "https"
    std::string host;       ///< lower case; an IPv6 address without its brackets
    std::uint16_t port = 0; ///< never 0 after parse_url()
    std::string path;       ///< canonical; empty or beginning with '/'
    std::string query;      ///< canonical; without '?'

    bool is_tls() const { return scheme == "https"; }
    bool has_default_port() const { return port == (is_tls() ? 443 : 80); }
    /// The value of the Host header: brackets around IPv6, the port only when it is not the scheme's default.
    std::string host_header() const {
        std::string text = host.find(':') == std::string::npos ? host : '[' + host + ']';
        if (!has_default_port()) text += ':' + std::to_string(port);
        return text;
    }
    /// "scheme://host:port", port included: what connections are kept under and what credentials are bound to.
    std::string origin() const {
        const std::string name = host.find(':') == std::string::npos ? host : '[' + host + ']';
        return scheme + "://" + name + ':' + std::to_string(port);
    }
    /// What stands on the request line: path (at least "/") and query.
    std::string target() const {
        std::string text = path.empty() ? "/" : path;
        if (!query.empty()) text += '?' + query;
        return text;
    }
};

/// Names and values of a query, in order; a name may occur more than once.
using query_list = std::vector<std::pair<std::string, std::string>>;

namespace detail {

inline bool is_unreserved(unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_' || c == '~';
}
inline bool is_one_of(char c, std::string_view set) {
    return set.find(c) != std::string_view::npos;
}

// Sub-delimiters that stand for themselves in a path or a query value; yarl decodes their escapes, so they must be raw.
constexpr std::string_view raw_in_segment = "!$&'()*,:;=@";
constexpr std::string_view raw_in_value = "!$'()*,:@/?";
// In a given path or query text, these carry structure when raw and stay escaped when escaped.
constexpr std::string_view structure_of_path = "/+";
constexpr std::string_view structure_of_query = "&=+;";

inline void put_escaped(std::string& out, unsigned char c) {
    constexpr char digits[] = "0123456789ABCDEF";
    out += '%';
    out += digits[c >> 4];
    out += digits[c & 15];
}
inline int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}
// The byte of an escape that begins at text[at], or -1 when there is none.
inline int escape_at(std::string_view text, std::size_t at) {
    if (text[at] != '%' || at + 2 >= text.size()) return -1;
    const int high = hex_value(text[at + 1]);
    const int low = hex_value(text[at + 2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

inline std::string escape(std::string_view text, std::string_view raw, bool space_as_plus) {
    std::string out;
    out.reserve(text.size());
    for (const char c : text) {
        if (is_unreserved(static_cast<unsigned char>(c)) || is_one_of(c, raw)) {
            out += c;
        } else if (c == ' ' && space_as_plus) {
            out += '+';
        } else {
            put_escaped(out, static_cast<unsigned char>(c));
        }
    }
    return out;
}

inline std::string canonical(std::string_view text, std::string_view raw, std::string_view structure, bool in_query) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        const int escaped = escape_at(text, i);
        const char c = escaped < 0 ? text[i] : static_cast<char>(escaped);
        if (c == '\0' || c == '\r' || c == '\n') throw decode_error("URL: NUL and line breaks are not allowed");
        if (escaped >= 0) i += 2;
        const bool plain = is_unreserved(static_cast<unsigned char>(c)) || is_one_of(c, raw);
        if (plain && !(escaped >= 0 && is_one_of(c, structure))) { // NOLINT(bugprone-branch-clone)
            out += c;
        } else if (escaped < 0 && is_one_of(c, structure)) {
            out += c;
        } else if (c == ' ' && in_query) {
            out += '+';
        } else {
            put_escaped(out, static_cast<unsigned char>(c));
        }
    }
    return out;
}

inline void refuse_dot_segments(std::string_view path) {
    while (!path.empty()) {
        const std::size_t slash = path.find('/');
        const std::string_view segment = path.substr(0, slash);
        if (segment == "." || segment == "..") throw decode_error("URL: dot segments are not allowed in a path");
        if (slash == std::string_view::npos) break;
        path.remove_prefix(slash + 1);
    }
}

} // namespace detail

/// Escapes @p text as one path segment: a '/' in it is escaped too.
inline std::string escape_segment(std::string_view text) {
    return detail::escape(text, detail::raw_in_segment, false);
}

/// Escapes @p text as a name or value of a query, with '+' for a space.
inline std::string escape_query(std::string_view text) {
    return detail::escape(text, detail::raw_in_value, true);
}

/// Joins names and values to a query text in canonical spelling, without '?'.
inline std::string make_query(const query_list& items) {
    std::string text;
    for (const auto& item : items) {
        if (!text.empty()) text += '&';
        text += escape_query(item.first) + '=' + escape_query(item.second);
    }
    return text;
}

/// Brings a path, escaped or not, to the canonical spelling.
/// @throws decode_error on NUL, line breaks and dot segments.
inline std::string canonical_path(std::string_view path) {
    std::string text = detail::canonical(path, detail::raw_in_segment, detail::structure_of_path, false);
    detail::refuse_dot_segments(text);
    return text;
}

/// Brings a query text ("a=b&c=d", escaped or not) to the canonical spelling.
/// @throws decode_error on NUL and line breaks.
inline std::string canonical_query(std::string_view query) {
    return detail::canonical(query, detail::raw_in_value, detail::structure_of_query, true);
}

/// Replaces escapes by their bytes, and '+' by a space when @p plus_is_space.
inline std::string unescape(std::string_view text, bool plus_is_space) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        const int escaped = detail::escape_at(text, i);
        if (escaped >= 0) {
            out += static_cast<char>(escaped);
            i += 2;
        } else {
            out += text[i] == '+' && plus_is_space ? ' ' : text[i];
        }
    }
    return out;
}

/// Splits a query text into unescaped names and values.
inline query_list parse_query(std::string_view query) {
    query_list items;
    while (!query.empty()) {
        const std::size_t end = query.find('&');
        const std::string_view item = query.substr(0, end);
        const std::size_t equals = item.find('=');
        if (!item.empty()) {
            items.emplace_back(unescape(item.substr(0, equals), true),
                               equals == std::string_view::npos ? "" : unescape(item.substr(equals + 1), true));
        }
        if (end == std::string_view::npos) break;
        query.remove_prefix(end + 1);
    }
    return items;
}

/// Splits an absolute http or https URL.
/// @throws decode_error saying what is wrong: relative, another scheme, user info, no host, a bad port or character.
inline url parse_url(std::string_view text) {
    url result;
    const std::size_t scheme_end = text.find("://");
    if (scheme_end == std::string_view::npos) throw decode_error("URL: not absolute (no scheme such as https://)");
    for (const char c : text.substr(0, scheme_end)) {
        result.scheme += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
    if (result.scheme != "http" && result.scheme != "https") throw decode_error("URL: the scheme is not http or https");
    text.remove_prefix(scheme_end + 3);
    text = text.substr(0, text.find('#'));
    const std::size_t authority_end = text.find_first_of("/?");
    std::string_view authority = text.substr(0, authority_end);
    text = authority_end == std::string_view::npos ? std::string_view() : text.substr(authority_end);
    if (authority.find('@') != std::string_view::npos) throw decode_error("URL: user info is not allowed");
    std::string_view port;
    if (!authority.empty() && authority.front() == '[') {
        const std::size_t close = authority.find(']');
        if (close == std::string_view::npos) throw decode_error("URL: a bracket of the IPv6 address is missing");
        result.host = authority.substr(1, close - 1);
        if (result.host.find_first_not_of("0123456789abcdefABCDEF:.") != std::string::npos ||
            result.host.find(':') == std::string::npos) {
            throw decode_error("URL: not an IPv6 address in brackets");
        }
        port = authority.substr(close + 1);
    } else {
        const std::size_t colon = authority.find(':');
        result.host = authority.substr(0, colon);
        port = colon == std::string_view::npos ? std::string_view() : authority.substr(colon);
        for (const char c : result.host) {
            if (!detail::is_unreserved(static_cast<unsigned char>(c))) {
                throw decode_error("URL: a character that is not allowed in a host name");
            }
        }
    }
    for (char& c : result.host) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    if (result.host.empty()) throw decode_error("URL: the host is missing");
    result.port = result.is_tls() ? 443 : 80;
    if (!port.empty()) {
        std::uint32_t number = 0;
        if (port.front() != ':' || port.size() < 2 || port.size() > 6) throw decode_error("URL: a bad port");
        for (const char c : port.substr(1)) {
            if (c < '0' || c > '9') throw decode_error("URL: a bad port");
            number = number * 10 + static_cast<std::uint32_t>(c - '0');
        }
        if (number == 0 || number > 65535) throw decode_error("URL: a bad port");
        result.port = static_cast<std::uint16_t>(number);
    }
    const std::size_t question = text.find('?');
    result.path = canonical_path(text.substr(0, question));
    if (question != std::string_view::npos) result.query = canonical_query(text.substr(question + 1));
    return result;
}

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

namespace detail {

inline bool equal_ignoring_case(std::string_view a, std::string_view b) {
    if (a.size() != b.size()) return false;
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (lower(a[i]) != lower(b[i])) return false;
    }
    return true;
}

} // namespace detail

/// Header fields in order; names compare without regard to case.
class header_list {
public:
    using value_type = std::pair<std::string, std::string>;
    using const_iterator = std::vector<value_type>::const_iterator;

    header_list() = default;
    header_list(std::initializer_list<value_type> items) : items_(items) {}

    void reserve(std::size_t count) { items_.reserve(count); }
    void add(std::string name, std::string value) { items_.emplace_back(std::move(name), std::move(value)); }
    /// Replaces all fields of that name by one.
    void set(const std::string& name, std::string value) {
        remove(name);
        add(name, std::move(value));
    }
    void remove(std::string_view name) {
        for (auto it = items_.begin(); it != items_.end();) {
            it = detail::equal_ignoring_case(it->first, name) ? items_.erase(it) : it + 1;
        }
    }
    /// The value of the first field of that name, or nullptr.
    const std::string* find(std::string_view name) const {
        for (const value_type& item : items_) {
            if (detail::equal_ignoring_case(item.first, name)) return &item.second;
        }
        return nullptr;
    }
    /// The value of the first field of that name, or an empty string.
    std::string get(std::string_view name) const {
        const std::string* value = find(name);
        return value != nullptr ? *value : std::string();
    }
    std::size_t count(std::string_view name) const {
        std::size_t number = 0;
        for (const value_type& item : items_) number += detail::equal_ignoring_case(item.first, name) ? 1 : 0;
        return number;
    }
    const_iterator begin() const noexcept { return items_.begin(); }
    const_iterator end() const noexcept { return items_.end(); }
    std::size_t size() const noexcept { return items_.size(); }
    bool empty() const noexcept { return items_.empty(); }

private:
    std::vector<value_type> items_;
};

/// One HTTP request as it goes to a transport. The body is `source` when that is set, else `body`.
struct http_request {
    std::string method = "GET";
    codec::url url;
    header_list headers; ///< without Host, Content-Length, Connection: those are the transport's
    std::string body;
    std::shared_ptr<codec::byte_source> source; ///< of known length; rewound by whoever sends the request again

    bool has_body() const { return source != nullptr || !body.empty(); }
};

/// Status line and header fields of an answer.
struct response_head {
    int status = 0;
    std::string reason;
    header_list headers;
};

/// Receives an answer while it arrives, on the thread that called exchange(). What it throws ends the exchange and
/// comes out of exchange() unchanged.
class body_sink {
public:
    body_sink() = default;
    body_sink(const body_sink&) = delete;
    body_sink& operator=(const body_sink&) = delete;
    virtual ~body_sink() = default;
    /// Called once, before any data, with the final answer's head (never an interim 1xx).
    virtual void on_head(const response_head& head) = 0;
    /// Called with each piece of the body as it arrives; transfer coding is removed, content coding is not.
    virtual void on_data(std::string_view data) = 0;
};

namespace detail {

/// The moment when @p limit is over. More than a century is as good as no limit, max(), and would overflow the clock.
inline std::chrono::steady_clock::time_point
time_after(std::chrono::milliseconds limit,
           std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now()) {
    if (limit >= std::chrono::hours(24 * 365 * 100)) return (std::chrono::steady_clock::time_point::max)();
    return limit.count() > 0 ? start + limit : start;
}

} // namespace detail

/// Limits of one exchange: when it must be over, how long it may stall, who may cancel it.
struct exchange_context {
    using clock = std::chrono::steady_clock;
    clock::time_point deadline = (clock::time_point::max)(); ///< max() is none
    std::chrono::milliseconds connect_timeout{30'000};       ///< 0 is none
    std::chrono::milliseconds read_timeout{60'000};          ///< between two bytes of the answer; 0 is none
    cancel_token cancel;
    cancel_token closing; ///< triggered when the session closes

    bool has_deadline() const { return deadline != (clock::time_point::max)(); }
    bool interrupted() const { return cancel.cancelled() || closing.cancelled(); }

    /// @p limit (0: none) or what is left until the deadline, whichever is shorter, never less than 1 ms; 0 when there
    /// is neither.
    std::chrono::milliseconds within(std::chrono::milliseconds limit) const {
        using std::chrono::milliseconds;
        if (!has_deadline()) return limit;
        const auto left = std::chrono::duration_cast<milliseconds>(deadline - clock::now()) + milliseconds(1);
        const milliseconds rest = left < milliseconds(1) ? milliseconds(1) : left;
        return limit.count() == 0 || rest < limit ? rest : limit;
    }

    /// @throws client_error{cancelled, closed or timeout} when the exchange must not go on.
    void check(client_error::progress sent = client_error::progress::nothing_sent) const {
        if (cancel.cancelled()) throw client_error(error_kind::cancelled, "the call was cancelled", sent);
        if (closing.cancelled()) throw client_error(error_kind::closed, "the session was closed", sent);
        if (has_deadline() && clock::now() >= deadline) {
            throw client_error(error_kind::timeout, "the call's time limit was reached", sent);
        }
    }
};

BACKENDAI_NAMESPACE_END

#endif

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// Something that can be broken off from another thread. interrupt() must not block and may come more than once.
/// Watched by one watchdog at a time, in whose list it is a link, so that no memory is needed to watch it.
class interruptible {
public:
    interruptible() = default;
    interruptible(const interruptible&) = delete;
    interruptible& operator=(const interruptible&) = delete;
    virtual ~interruptible() = default;
    virtual void interrupt() noexcept = 0;

private:
    friend class watchdog;
    interruptible *before_ = nullptr, *after_ = nullptr;
    exchange_context::clock::time_point when_;
    bool watched_ = false;
};

/// Interrupts its targets at their times, and then again every 20 ms until they are removed: a single interrupt could
/// fall into the moment between two system calls. The thread starts with the first target. Thread-safe.
class watchdog {
public:
    using clock = exchange_context::clock;

    watchdog() = default;
    watchdog(const watchdog&) = delete;
    watchdog& operator=(const watchdog&) = delete;
    ~watchdog() {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            stopping_ = true;
        }
        changed_.notify_all();
        if (thread_.joinable()) thread_.join();
    }

    /// Interrupts @p target at @p when, or earlier if it is watched already with an earlier time.
    /// @throws client_error{io} when the system gives no thread for it, std::bad_alloc; it is not watched then
    void watch(interruptible& target, clock::time_point when) {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            if (!thread_.joinable()) thread_ = os::start_thread([this] { run(); });
            if (!target.watched_) {
                link(target);
                target.when_ = when;
            } else if (target.when_ > when) {
                target.when_ = when;
            }
            if (when >= next_) return;
        }
        changed_.notify_all();
    }
    /// Interrupts @p target now and on until it is forgotten; where no thread can be had for that, once.
    void break_off(interruptible& target) noexcept {
        try {
            watch(target, {});
        } catch (const std::exception&) {
            target.interrupt();
        }
    }

    /// After this @p target is not touched any more.
    void forget(interruptible& target) {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (target.watched_) unlink(target);
    }

private:
    void link(interruptible& target) noexcept {
        target.before_ = nullptr;
        target.after_ = first_;
        if (first_ != nullptr) first_->before_ = &target;
        first_ = &target;
        target.watched_ = true;
    }
    void unlink(interruptible& target) noexcept {
        (target.before_ != nullptr ? target.before_->after_ : first_) = target.after_;
        if (target.after_ != nullptr) target.after_->before_ = target.before_;
        target.watched_ = false;
    }

    void run() {
        std::unique_lock<std::mutex> lock(mutex_);
        while (!stopping_) {
            const auto now = clock::now();
            next_ = (clock::time_point::max)();
            for (interruptible* target = first_; target != nullptr; target = target->after_) {
                if (target->when_ <= now) {
                    target->interrupt();
                    target->when_ = now + std::chrono::milliseconds(20);
                }
                if (target->when_ < next_) next_ = target->when_;
            }
            if (next_ == (clock::time_point::max)()) {
                changed_.wait(lock);
            } else {
                changed_.wait_until(lock, next_);
            }
        }
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    interruptible* first_ = nullptr;
    clock::time_point next_ = (clock::time_point::max)();
    bool stopping_ = false;
    std::thread thread_;
};

/// Watches @p target for the duration of one exchange: its deadline and both of its cancel tokens.
class watched {
public:
    watched(watchdog& dog, interruptible& target, const exchange_context& context)
        : watch_{dog, target},
          on_cancel_(context.cancel, [this] { watch_.break_off(); }),
          on_close_(context.closing, [this] { watch_.break_off(); }) {
        if (context.has_deadline()) watch_.begin(context.deadline);
    }

private:
    struct watch { // first member, hence gone last: after the listeners that may still begin it
        watch(watchdog& d, interruptible& t) : dog(d), target(t) {}
        watch(const watch&) = delete;
        watch& operator=(const watch&) = delete;
        ~watch() {
            if (begun) dog.forget(target);
        }
        void begin(watchdog::clock::time_point when) {
            begun = true;
            dog.watch(target, when);
        }
        void break_off() noexcept {
            begun = true;
            dog.break_off(target);
        }
        watchdog& dog;
        interruptible& target;
        std::atomic<bool> begun{false}; // most exchanges have no deadline and end without the watchdog
    } watch_;
    cancel_token::listener on_cancel_, on_close_;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <list>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// A piece of work for an executor. Exactly one of the two functions is called, once.
class work {
public:
    work() = default;
    work(const work&) = delete;
    work& operator=(const work&) = delete;
    virtual ~work() = default;
    virtual void run() noexcept = 0;
    /// In place of run(), when the executor stops before the turn came.
    virtual void refuse() noexcept { run(); }
};

/// At most so many threads, started one by one when there is something for them to do. Tasks wait without bound and are
/// taken in the order in which they came; continuations of finished tasks go before tasks that have not begun, so that
/// what was begun gets done. Thread-safe. The threads share the object, so that it may be let go anywhere.
class executor : public std::enable_shared_from_this<executor> {
public:
    explicit executor(std::uint32_t threads) : limit_(threads) {}
    executor(const executor&) = delete;
    executor& operator=(const executor&) = delete;
    ~executor() {
        // No thread uses the object any more; where the last one lets go of it, that one cannot wait for itself.
        for (std::thread& thread : threads_) {
            if (thread.get_id() == std::this_thread::get_id()) {
                thread.detach();
            } else {
                thread.join();
            }
        }
    }

    /// Queues a task. @return false when the executor is stopped; the task was not touched then.
    /// @throws client_error{io} when the system gives not even one thread
    bool submit(std::shared_ptr<work> task) {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            if (stopping_) return false;
            tasks_.push_back(std::move(task));
            try {
                start_thread();
            } catch (...) {
                tasks_.pop_back();
                throw;
            }
        }
        changed_.notify_one();
        return true;
    }

    /// Queues a continuation, which is run also while the executor stops. @return false when no thread is there to run
    /// it; it was not touched then.
    bool resume(const std::shared_ptr<work>& continuation) {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            if (stopping_ && running_ == 0) return false;
            const std::size_t before = continuations_.size();
            try {
                continuations_.push_back(continuation);
                if (!stopping_) start_thread();
            } catch (const std::exception&) {
                continuations_.resize(before); // shorter or as it is: needs no memory
                return false;
            }
        }
        changed_.notify_one();
        return true;
    }

    /// Refuses the tasks that wait, and all later ones. The threads end once their tasks and what continues them ended.
    void stop() {
        std::list<std::shared_ptr<work>> refused; // a list: an empty one needs no memory, and stopping must not fail
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            if (stopping_) return;
            stopping_ = refusing_ = true;
            refused.swap(tasks_);
        }
        for (std::shared_ptr<work>& task : refused) {
            task->refuse();
            task.reset();
        }
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            refusing_ = false;
        }
        changed_.notify_all();
    }

    /// Waits until the threads of a stopped executor have ended; on one of them it returns at once.
    void join() {
        if (on_own_thread()) return;
        std::vector<std::thread> threads;
        {
            std::unique_lock<std::mutex> lock(mutex_);
            ended_.wait(lock, [this] { return running_ == 0; });
            threads.swap(threads_);
        }
        for (std::thread& thread : threads) thread.join();
    }

    /// Whether the caller is one of the threads.
    bool on_own_thread() const noexcept { return current() == this; }

    /// The executor whose thread the caller is, or null.
    static const executor*& current() noexcept {
        thread_local const executor* mine = nullptr;
        return mine;
    }

    /// Ends tasks whose time is over while they wait. Never called with a lock held.
    watchdog& timer() noexcept { return timer_; }

private:
    // Under the lock. Fewer threads than allowed will do when the system gives no more.
    void start_thread() {
        if (running_ >= limit_ || tasks_.size() + continuations_.size() <= idle_) return;
        threads_.reserve(threads_.size() + 1); // what could fail once there is a thread
        try {
            threads_.push_back(os::start_thread([self = shared_from_this()] { self->serve(); }));
            ++running_;
        } catch (const client_error&) {
            if (running_ == 0) throw;
        }
    }

    void serve() {
        current() = this;
        std::unique_lock<std::mutex> lock(mutex_);
        for (;;) {
            std::list<std::shared_ptr<work>>& queue = continuations_.empty() ? tasks_ : continuations_;
            if (!queue.empty()) {
                std::shared_ptr<work> next = std::move(queue.front());
                queue.pop_front();
                lock.unlock();
                next->run();
                next.reset();
                lock.lock();
            } else if (stopping_ && !refusing_) {
                break;
            } else {
                ++idle_;
                changed_.wait(lock);
                --idle_;
            }
        }
        if (--running_ == 0) ended_.notify_all();
    }

    const std::uint32_t limit_;
    watchdog timer_;
    std::mutex mutex_;
    std::condition_variable changed_, ended_;
    std::list<std::shared_ptr<work>> tasks_, continuations_;
    std::vector<std::thread> threads_;
    std::size_t running_ = 0, idle_ = 0;
    bool stopping_ = false;
    bool refusing_ = false; // stop() is telling tasks; what continues them still needs the threads
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/codec/date.hpp
/// @file
/// The date texts of the protocol: ISO 8601 for the Date header of a request, RFC 7231 dates in Retry-After.
#ifndef BACKENDAI_CODEC_DATE_HPP
#define BACKENDAI_CODEC_DATE_HPP


#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// A point of time as the wall clock gives it, in UTC.
using utc_time = std::chrono::system_clock::time_point;

namespace detail {

struct civil_date {
    std::int64_t year;
    unsigned month, day;
};

// Days since 1970-01-01 to the proleptic Gregorian calendar and back, in 400-year eras that begin on 1 March,
// so that the leap day is the last one of its year. No time zone data base and no locale is involved.
inline civil_date civil_from_days(std::int64_t days) {
    days += 719468;
    const std::int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    const auto day_of_era = static_cast<unsigned>(days - era * 146097);
    const unsigned year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const unsigned shifted_month = (5 * day_of_year + 2) / 153;
    const unsigned month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
    return {static_cast<std::int64_t>(year_of_era) + era * 400 + (month <= 2 ? 1 : 0), month,
            day_of_year - (153 * shifted_month + 2) / 5 + 1};
}

inline std::int64_t days_from_civil(civil_date date) {
    const std::int64_t year = date.year - (date.month <= 2 ? 1 : 0);
    const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
    const auto year_of_era = static_cast<unsigned>(year - era * 400);
    const unsigned day_of_year = (153 * (date.month > 2 ? date.month - 3 : date.month + 9) + 2) / 5 + date.day - 1;
    const unsigned day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + static_cast<std::int64_t>(day_of_era) - 719468;
}

inline void put_digits(std::string& text, std::int64_t value, int width) {
    const std::size_t end = text.size() + static_cast<std::size_t>(width);
    text.resize(end, '0');
    for (std::size_t at = end; width > 0; --width, value /= 10) text[--at] = static_cast<char>('0' + value % 10);
}

// A reader of fixed-width digits; one failure sticks.
class digit_reader {
public:
    explicit digit_reader(std::string_view text) : text_(text) {}
    std::int64_t number(std::size_t width) {
        std::int64_t value = 0;
        if (text_.size() < width) return fail();
        for (std::size_t i = 0; i < width; ++i) {
            if (text_[i] < '0' || text_[i] > '9') return fail();
            value = value * 10 + (text_[i] - '0');
        }
        text_.remove_prefix(width);
        return value;
    }
    void literal(std::string_view expected) {
        if (text_.substr(0, expected.size()) == expected) {
            text_.remove_prefix(expected.size());
        } else {
            fail();
        }
    }
    std::size_t one_of(const std::array<std::string_view, 12>& words) {
        for (std::size_t i = 0; i < words.size(); ++i) {
            if (text_.substr(0, words[i].size()) == words[i]) {
                text_.remove_prefix(words[i].size());
                return i;
            }
        }
        return static_cast<std::size_t>(fail());
    }
    bool good() const { return good_; }
    std::string_view rest() const { return text_; }
    void skip(std::size_t count) { text_.remove_prefix(count); }

private:
    std::int64_t fail() {
        good_ = false;
        return 0;
    }
    std::string_view text_;
    bool good_ = true;
};

struct time_of_day {
    std::int64_t hour, minute, second;
};

// Nothing for days and times that do not exist, a leap second apart, and for what the system's clock cannot hold.
inline std::optional<utc_time> make_utc(civil_date date, time_of_day time) {
    constexpr std::array<unsigned, 12> month_lengths = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (date.month < 1 || date.month > 12 || date.day < 1 || date.day > month_lengths[date.month - 1]) return {};
    const bool leap_year = (date.year % 4 == 0 && date.year % 100 != 0) || date.year % 400 == 0;
    if (date.month == 2 && date.day == 29 && !leap_year) return {};
    if (time.hour > 23 || time.minute > 59 || time.second > 60) return {};
    const std::chrono::seconds since_epoch(days_from_civil(date) * 86400 + time.hour * 3600 + time.minute * 60 +
                                           time.second);
    // Two days off the ends leave room for an offset and a fraction.
    constexpr auto last = std::chrono::duration_cast<std::chrono::seconds>((utc_time::duration::max)());
    constexpr auto limit = last - std::chrono::hours(48);
    if (since_epoch > limit || since_epoch < -limit) return {};
    return utc_time(std::chrono::duration_cast<utc_time::duration>(since_epoch));
}

} // namespace detail

/// "2019-02-14T09:30:00.123456+00:00", the form of the Date header that the official client sends and signs.
inline std::string format_date(utc_time time) {
    using namespace std::chrono;
    const std::int64_t micros = duration_cast<microseconds>(time.time_since_epoch()).count();
    std::int64_t seconds = micros / 1000000;
    std::int64_t fraction = micros % 1000000;
    if (fraction < 0) {
        fraction += 1000000;
        --seconds;
    }
    std::int64_t days = seconds / 86400;
    std::int64_t in_day = seconds % 86400;
    if (in_day < 0) {
        in_day += 86400;
        --days;
    }
    const detail::civil_date date = detail::civil_from_days(days);
    std::string text;
    text.reserve(32);
    detail::put_digits(text, date.year, 4);
    text += '-';
    detail::put_digits(text, date.month, 2);
    text += '-';
    detail::put_digits(text, date.day, 2);
    text += 'T';
    detail::put_digits(text, in_day / 3600, 2);
    text += ':';
    detail::put_digits(text, in_day / 60 % 60, 2);
    text += ':';
    detail::put_digits(text, in_day % 60, 2);
    text += '.';
    detail::put_digits(text, fraction, 6);
    text += "+00:00";
    return text;
}

/// Reads an ISO 8601 date and time with an offset ("2019-02-14T09:30:00[.123456]+09:00", or "Z"); nothing when the
/// text has another form.
inline std::optional<utc_time> parse_iso_date(std::string_view text) {
    detail::digit_reader in(text);
    const std::int64_t year = in.number(4);
    in.literal("-");
    const auto month = static_cast<unsigned>(in.number(2));
    in.literal("-");
    const auto day = static_cast<unsigned>(in.number(2));
    in.literal("T");
    detail::time_of_day time{};
    time.hour = in.number(2);
    in.literal(":");
    time.minute = in.number(2);
    in.literal(":");
    time.second = in.number(2);
    std::int64_t micros = 0;
    if (in.good() && !in.rest().empty() && in.rest().front() == '.') {
        in.skip(1);
        std::int64_t unit = 100000;
        std::size_t digits = 0;
        for (; !in.rest().empty() && in.rest().front() >= '0' && in.rest().front() <= '9'; ++digits, unit /= 10) {
            micros += unit * (in.rest().front() - '0');
            in.skip(1);
        }
        if (digits == 0) return {};
    }
    std::int64_t offset = 0;
    if (in.good() && in.rest() == "Z") {
        in.skip(1);
    } else if (in.good() && !in.rest().empty() && (in.rest().front() == '+' || in.rest().front() == '-')) {
        const std::int64_t sign = in.rest().front() == '-' ? -1 : 1;
        in.skip(1);
        const std::int64_t hours = in.number(2);
        in.literal(":");
        const std::int64_t minutes = in.number(2);
        if (hours > 23 || minutes > 59) return {};
        offset = sign * (hours * 3600 + minutes * 60);
    } else {
        return {};
    }
    if (!in.good() || !in.rest().empty()) return {};
    const auto whole = detail::make_utc({year, month, day}, time);
    if (!whole) return {};
    return *whole - std::chrono::seconds(offset) +
           std::chrono::duration_cast<utc_time::duration>(std::chrono::microseconds(micros));
}

/// Reads the preferred form of an HTTP date ("Sun, 06 Nov 1994 08:49:37 GMT", RFC 7231 section 7.1.1.1); nothing when
/// the text has another form.
inline std::optional<utc_time> parse_http_date(std::string_view text) {
    static const std::array<std::string_view, 12> months = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const std::size_t comma = text.find(", ");
    if (comma != 3) return {};
    detail::digit_reader in(text.substr(comma + 2));
    const auto day = static_cast<unsigned>(in.number(2));
    in.literal(" ");
    const auto month = static_cast<unsigned>(in.one_of(months) + 1);
    in.literal(" ");
    const std::int64_t year = in.number(4);
    in.literal(" ");
    detail::time_of_day time{};
    time.hour = in.number(2);
    in.literal(":");
    time.minute = in.number(2);
    in.literal(":");
    time.second = in.number(2);
    in.literal(" GMT");
    if (!in.good() || !in.rest().empty()) return {};
    return detail::make_utc({year, month, day}, time);
}

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/codec/signature.hpp
/// @file
/// The signature of a request (protocol section "Request signing"): what is signed, with which key, and how it is sent.
#ifndef BACKENDAI_CODEC_SIGNATURE_HPP
#define BACKENDAI_CODEC_SIGNATURE_HPP

// ---- backendai/codec/digest.hpp
/// @file
/// Message digests and HMAC (RFC 2104) by OpenSSL, under the names that Python's hashlib gives them.
#ifndef BACKENDAI_CODEC_DIGEST_HPP
#define BACKENDAI_CODEC_DIGEST_HPP


#include <openssl/evp.h>

#include <array>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

namespace detail {

struct digest_name {
    const char* python;  // the spelling of hashlib, which is what the server looks up
    const char* openssl; // the spelling of EVP_get_digestbyname
};

inline const std::array<digest_name, 11>& digest_names() {
    static const std::array<digest_name, 11> names = {{{"sha1", "SHA1"},
                                                       {"sha224", "SHA224"},
                                                       {"sha256", "SHA256"},
                                                       {"sha384", "SHA384"},
                                                       {"sha512", "SHA512"},
                                                       {"blake2b", "BLAKE2b512"},
                                                       {"blake2s", "BLAKE2s256"},
                                                       {"sha3_224", "SHA3-224"},
                                                       {"sha3_256", "SHA3-256"},
                                                       {"sha3_384", "SHA3-384"},
                                                       {"sha3_512", "SHA3-512"}}};
    return names;
}

inline const EVP_MD* find_digest(std::string_view name) {
    for (const digest_name& candidate : digest_names()) {
        if (name == candidate.python) return EVP_get_digestbyname(candidate.openssl);
    }
    return nullptr;
}

inline const EVP_MD* require_digest(std::string_view name) {
    const EVP_MD* md = find_digest(name);
    if (md == nullptr) throw std::invalid_argument("unknown or unusable hash type: " + std::string(name));
    return md;
}

} // namespace detail

/// Whether @p name (Python's spelling: "sha256", "sha3_512", "blake2b" ...) can be used with HMAC here.
inline bool has_digest(std::string_view name) {
    return detail::find_digest(name) != nullptr;
}

/// Lower-case hexadecimal text of @p data.
inline std::string to_hex(std::string_view data) {
    constexpr char digits[] = "0123456789abcdef";
    std::string text;
    text.reserve(data.size() * 2);
    for (const char c : data) {
        const auto byte = static_cast<unsigned char>(c);
        text.push_back(digits[byte >> 4]);
        text.push_back(digits[byte & 15]);
    }
    return text;
}

/// The raw digest of @p data.
/// @throws std::invalid_argument when has_digest(algorithm) is false.
inline std::string digest(std::string_view algorithm, std::string_view data) {
    std::string result(EVP_MAX_MD_SIZE, '\0');
    unsigned length = 0;
    if (EVP_Digest(data.data(), data.size(), reinterpret_cast<unsigned char*>(&result[0]), &length,
                   detail::require_digest(algorithm), nullptr) != 1) {
        throw std::runtime_error("OpenSSL could not compute a digest");
    }
    result.resize(length);
    return result;
}

/// HMAC with one key for many messages: the key is prepared once, and each message costs a copy of that state.
/// Thread-safety: const members may be called from several threads at once.
class hmac_key {
public:
    /// @param algorithm Python's name of the hash.  @param key raw bytes of any length.
    /// @throws std::invalid_argument when has_digest(algorithm) is false.
    hmac_key(std::string_view algorithm, std::string_view key) : md_(detail::require_digest(algorithm)) {
        const auto block = static_cast<std::size_t>(EVP_MD_block_size(md_));
        std::string padded(key.size() > block ? digest(algorithm, key) : std::string(key));
        padded.resize(block, '\0');
        inner_ = keyed(padded, 0x36);
        outer_ = keyed(padded, 0x5c);
    }

    /// The raw HMAC of @p message.
    std::string operator()(std::string_view message) const {
        // One scratch context a thread: creating one costs more than hashing a short message.
        thread_local const context scratch(EVP_MD_CTX_new(), EVP_MD_CTX_free);
        std::string result(EVP_MAX_MD_SIZE, '\0');
        auto* out = reinterpret_cast<unsigned char*>(&result[0]);
        unsigned length = 0;
        const bool done = scratch && EVP_MD_CTX_copy_ex(scratch.get(), inner_.get()) == 1 &&
                          EVP_DigestUpdate(scratch.get(), message.data(), message.size()) == 1 &&
                          EVP_DigestFinal_ex(scratch.get(), out, &length) == 1 &&
                          EVP_MD_CTX_copy_ex(scratch.get(), outer_.get()) == 1 &&
                          EVP_DigestUpdate(scratch.get(), out, length) == 1 &&
                          EVP_DigestFinal_ex(scratch.get(), out, &length) == 1;
        if (!done) throw std::runtime_error("OpenSSL could not compute an HMAC");
        result.resize(length);
        return result;
    }

private:
    using context = std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)>;

    context keyed(std::string block, unsigned char pad) const {
        for (char& c : block) c = static_cast<char>(static_cast<unsigned char>(c) ^ pad);
        context state(EVP_MD_CTX_new(), EVP_MD_CTX_free);
        if (!state || EVP_DigestInit_ex(state.get(), md_, nullptr) != 1 ||
            EVP_DigestUpdate(state.get(), block.data(), block.size()) != 1) {
            throw std::runtime_error("OpenSSL could not prepare an HMAC key");
        }
        return state;
    }

    const EVP_MD* md_;
    context inner_{nullptr, EVP_MD_CTX_free};
    context outer_{nullptr, EVP_MD_CTX_free};
};

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// The parts of a request that its signature covers.
struct signed_fields {
    std::string_view method;       ///< upper case
    std::string_view target;       ///< path and query exactly as on the request line
    std::string_view date;         ///< the Date header's text; its first ten characters are the day (YYYY-MM-DD)
    std::string_view host;         ///< the Host header's text
    std::string_view content_type; ///< with or without parameters: only the media type is signed
    std::string_view version;      ///< "v4.20190315"
    std::string_view body;         ///< counts only before v4.20181215, and not for multipart bodies
};

/// "v4.20181215" and later sign the digest of nothing in place of the body's digest.
inline bool signs_body(std::string_view version) {
    const auto number = [](std::string_view text) {
        unsigned long value = 0;
        for (const char c : text) {
            if (c < '0' || c > '9' || value > 99999999) break;
            value = value * 10 + static_cast<unsigned long>(c - '0');
        }
        return value;
    };
    const std::size_t dot = version.find('.');
    const unsigned long major = number(version.substr(version.empty() ? 0 : 1, dot - 1));
    const unsigned long date = dot == std::string_view::npos ? 0 : number(version.substr(dot + 1));
    return major < 4 || (major == 4 && date < 20181215);
}

/// The media type of a Content-Type value in lower case, without parameters.
inline std::string media_type(std::string_view content_type) {
    content_type = content_type.substr(0, content_type.find(';'));
    while (!content_type.empty() && (content_type.back() == ' ' || content_type.back() == '\t')) {
        content_type.remove_suffix(1);
    }
    std::string text(content_type);
    for (char& c : text) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    return text;
}

namespace detail {

inline bool counts_body(const signed_fields& fields) {
    return signs_body(fields.version) && media_type(fields.content_type).compare(0, 10, "multipart/") != 0;
}

inline std::string join_fields(const signed_fields& fields, std::string_view body_digest) {
    std::string text;
    text.reserve(320 + fields.target.size());
    text.append(fields.method).append("\n").append(fields.target).append("\n").append(fields.date);
    text.append("\nhost:").append(fields.host).append("\ncontent-type:").append(media_type(fields.content_type));
    return text.append("\nx-backendai-version:").append(fields.version).append("\n").append(body_digest);
}

} // namespace detail

/// The text that is signed: seven fields, a line break between them.
inline std::string string_to_sign(const signed_fields& fields, std::string_view hash_type) {
    const std::string_view body = detail::counts_body(fields) ? fields.body : std::string_view();
    return detail::join_fields(fields, to_hex(digest(hash_type, body)));
}

/// Signs requests with one key pair. The key for a day and host is derived once and kept.
/// Thread-safety: sign() may be called from several threads at once.
class signer {
public:
    /// @throws std::invalid_argument for a hash type that has_digest() does not know.
    signer(std::string access_key, std::string secret_key, std::string hash_type)
        : access_key_(std::move(access_key)),
          secret_key_(std::move(secret_key)),
          hash_type_(std::move(hash_type)),
          empty_digest_(to_hex(digest(hash_type_, ""))),
          prefix_("BackendAI signMethod=HMAC-") {
        for (const char c : hash_type_) prefix_ += static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
        prefix_ += ", credential=" + access_key_ + ':';
    }

    /// The value of the Authorization header for a request.
    std::string sign(const signed_fields& fields) const {
        return prefix_ + to_hex((*day_key(fields.date, fields.host))(text_of(fields)));
    }

private:
    struct cached_key {
        std::string day, host;
        std::shared_ptr<const hmac_key> key;
    };

    std::string text_of(const signed_fields& fields) const {
        return detail::counts_body(fields) ? string_to_sign(fields, hash_type_)
                                           : detail::join_fields(fields, empty_digest_);
    }

    std::shared_ptr<const hmac_key> day_key(std::string_view date, std::string_view host) const {
        const std::string_view day = date.substr(0, 10);
        const std::lock_guard<std::mutex> lock(mutex_);
        if (!cache_.key || cache_.day != day || cache_.host != host) {
            std::string digits; // YYYYMMDD
            for (const char c : day) {
                if (c != '-') digits += c;
            }
            const std::string k1 = hmac_key(hash_type_, secret_key_)(digits);
            const std::string k2 = hmac_key(hash_type_, k1)(host);
            cache_ = {std::string(day), std::string(host), std::make_shared<const hmac_key>(hash_type_, k2)};
        }
        return cache_.key;
    }

    std::string access_key_, secret_key_, hash_type_, empty_digest_, prefix_;
    mutable std::mutex mutex_;
    mutable cached_key cache_;
};

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/config.hpp
/// @file
/// Configuration: explicit values beat the environment, the environment beats the defaults, field by field.
#ifndef BACKENDAI_CONFIG_HPP
#define BACKENDAI_CONFIG_HPP

// ---- backendai/log.hpp
/// @file
/// What the log hook sees of every attempt.
#ifndef BACKENDAI_LOG_HPP
#define BACKENDAI_LOG_HPP


#include <chrono>
#include <ostream>
#include <string>

BACKENDAI_NAMESPACE_BEGIN

/// One attempt of one call. Holds no header and no query value, hence no secret and no signature.
struct log_record {
    std::string method;                    ///< upper case
    std::string path;                      ///< path without query
    int attempt = 1;                       ///< 1 is the first
    int status = 0;                        ///< HTTP status, 0 when there was no answer
    std::chrono::microseconds duration{0}; ///< from the signing to the end of the answer
    std::string failure;                   ///< why there was no whole answer (an error_kind's name, or "handler" for
                                           ///< an exception of the caller's own receiver), else empty
};

inline std::ostream& operator<<(std::ostream& out, const log_record& record) {
    out << record.method << ' ' << record.path << " #" << record.attempt << ' ';
    if (record.status != 0) {
        out << record.status;
    } else {
        out << record.failure;
    }
    return out << ' ' << record.duration.count() << "us";
}

BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/retry.hpp
/// @file
/// When a failed call is tried again and how long it waits before. Pure: no clock, no sleeping, no randomness of its
/// own.
#ifndef BACKENDAI_RETRY_HPP
#define BACKENDAI_RETRY_HPP


#include <algorithm>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

BACKENDAI_NAMESPACE_BEGIN

/// How often and when a failed call is tried again. The defaults are in the neighbourhood of the large cloud SDKs'.
struct retry_policy {
    int max_attempts = 3;                      ///< the first one included; 1 switches retries off
    std::chrono::milliseconds base_delay{100}; ///< back-off before the second attempt, doubled for each further one
    std::chrono::milliseconds throttled_base_delay{1000}; ///< the same after a 429 without Retry-After
    std::chrono::milliseconds max_delay{20'000}; ///< upper limit of a back-off, and of a Retry-After that is obeyed
    int bucket_capacity = 500;                   ///< tokens of the session's retry budget
    int retry_cost = 5;                          ///< tokens a retry takes
    int timeout_cost = 10;                       ///< tokens a retry after a timeout takes
    int success_refund = 1;                      ///< tokens a call gives back that succeeded at once
};

/// @throws client_error{argument} for a policy with values that cannot be meant.
inline void check_retry_policy(const retry_policy& policy) {
    const auto require = [](bool good, const char* rule) {
        if (!good) throw client_error(error_kind::argument, std::string("retry policy: ") + rule);
    };
    require(policy.max_attempts >= 1, "max_attempts must be at least 1");
    require(policy.base_delay.count() >= 0 && policy.throttled_base_delay.count() >= 0 && policy.max_delay.count() >= 0,
            "a delay is negative");
    require(policy.max_delay <= std::chrono::hours(24), "max_delay is more than a day");
    require(policy.bucket_capacity >= 0 && policy.retry_cost >= 0 && policy.timeout_cost >= 0 &&
                policy.success_refund >= 0,
            "a number of tokens is negative");
    require(policy.success_refund <= 1'000'000 && policy.retry_cost <= 1'000'000 && policy.bucket_capacity <= 1'000'000,
            "a number of tokens is more than a million");
}

/// Whether a call may be repeated when it is unknown what became of it.
enum class retry_class {
    safe,  ///< repeating does no harm: reads, and what the protocol makes idempotent
    unsafe ///< may have run code or created something
};

/// A per-session budget of retries, so that a sick server is not hammered by every caller's retries at once.
/// Thread-safe.
class retry_budget {
public:
    explicit retry_budget(const retry_policy& policy) : policy_(policy), tokens_(policy.bucket_capacity) {}
    /// Takes the tokens of one retry; false when the budget is used up.
    bool take(bool after_timeout) {
        const int cost = after_timeout ? policy_.timeout_cost : policy_.retry_cost;
        const std::lock_guard<std::mutex> lock(mutex_);
        if (tokens_ < cost) return false;
        tokens_ -= cost;
        return true;
    }
    /// Gives tokens back after a success.
    void refund(bool was_retried) {
        const std::lock_guard<std::mutex> lock(mutex_);
        tokens_ =
            (std::min)(policy_.bucket_capacity, tokens_ + (was_retried ? policy_.retry_cost : policy_.success_refund));
    }

private:
    retry_policy policy_;
    std::mutex mutex_;
    int tokens_;
};

/// Reads a Retry-After header, seconds or an HTTP date, relative to @p now; nothing when it is neither.
inline std::optional<std::chrono::milliseconds> parse_retry_after(std::string_view text, codec::utc_time now) {
    if (text.empty()) return {};
    if (text.find_first_not_of("0123456789") == std::string_view::npos) {
        if (text.size() > 9) text = "999999999"; // more than the longest wait in any case
        std::int64_t seconds = 0;
        for (const char c : text) seconds = seconds * 10 + (c - '0');
        return std::chrono::seconds(seconds);
    }
    const auto date = codec::parse_http_date(text);
    if (!date) return {};
    // In milliseconds first: the difference of two dates may be more than the clock's own unit can count.
    using std::chrono::milliseconds;
    const auto wait = std::chrono::duration_cast<milliseconds>(date->time_since_epoch()) -
                      std::chrono::duration_cast<milliseconds>(now.time_since_epoch());
    return (std::max)(wait, milliseconds(0));
}

/// How long to wait before attempt number @p attempt + 1 after @p failure, or nothing when the call must not be tried
/// again. @p jitter is a random number in [0, 1): full jitter, as synchronous callers must not come back in step.
inline std::optional<std::chrono::milliseconds> retry_delay(const retry_policy& policy, retry_class kind, int attempt,
                                                            const error& failure, codec::utc_time now, double jitter) {
    using std::chrono::milliseconds;
    if (attempt >= policy.max_attempts) return {};
    milliseconds base = policy.base_delay;
    if (const auto* answer = failure.as_api_error()) {
        const int status = answer->status();
        const bool overload = status == 429 || status == 503;
        if (overload) {
            if (const auto wait = parse_retry_after(answer->retry_after(), now)) {
                if (*wait > policy.max_delay) return {}; // not within our patience: the caller decides
                return *wait;
            }
        }
        if (kind == retry_class::unsafe) return {};
        if (!overload && status != 502 && status != 504) return {};
        if (status == 429) base = policy.throttled_base_delay;
    } else if (const auto* local = failure.as_client_error()) {
        // A time limit that was reached before anything was sent is a connection that did not come about.
        const bool connection =
            local->kind() == error_kind::connect ||
            (local->kind() == error_kind::timeout && local->sent() == client_error::progress::nothing_sent);
        if (!connection) return {};
        if (kind == retry_class::unsafe && local->sent() != client_error::progress::nothing_sent) return {};
    } else {
        return {};
    }
    milliseconds ceiling = base;
    for (int i = 1; i < attempt && ceiling < policy.max_delay; ++i) ceiling *= 2;
    ceiling = (std::min)(ceiling, policy.max_delay);
    return milliseconds(static_cast<std::int64_t>(static_cast<double>(ceiling.count()) * jitter));
}

BACKENDAI_NAMESPACE_END

#endif

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

/// How to reach the server and as whom. A plain struct: set what you want to set, leave the rest.
/// A field left unset is taken from `BACKEND_<NAME>`, then `SORNA_<NAME>`, then its default.
struct api_config {
    std::optional<std::string> endpoint; ///< absolute http(s) URL, may have a path prefix; `BACKEND_ENDPOINT`
    /// What stands at the endpoint: "api", the manager, which wants signatures; "session", a webserver, which wants
    /// session::login(), no keys. `BACKEND_ENDPOINT_TYPE`
    std::optional<std::string> endpoint_type;
    std::optional<std::string> version;    ///< protocol version, "v4.20190315"; unset: negotiated by the first call
    std::optional<std::string> user_agent; ///< the User-Agent header
    std::optional<std::string> access_key; ///< required but for endpoint_type "session"; `BACKEND_ACCESS_KEY`
    std::optional<std::string> secret_key; ///< likewise; `BACKEND_SECRET_KEY`
    std::optional<std::string> hash_type;  ///< "sha256" and others of Python's hashlib
    /// Virtual folders mounted into every session that is created; united with `BACKEND_VFOLDER_MOUNTS` (a,b,c).
    std::optional<std::vector<std::string>> vfolder_mounts;
    /// true switches certificate checks off; `BACKEND_SKIP_SSLCERT_VALIDATION`.
    std::optional<bool> skip_sslcert_validation;
    /// Where storage proxies are reached from here: what their URLs begin with in the server's answers, and what that
    /// is to be replaced by. The longest match counts. Empty: from
    /// `BACKEND_OVERRIDE_STORAGE_PROXY` (a=b,c=d).
    std::map<std::string, std::string> storage_proxy_urls;

    /// Keeps the login of endpoint_type "session" between programs: a file that only its owner may read. Empty: memory.
    std::filesystem::path cookie_file;

    std::string ca_file; ///< PEM file of the authorities to trust in place of the system's
    std::string client_certificate_file, client_key_file; ///< PEM files, for servers that ask for a client certificate

    // Time limits; 0 is no limit.
    std::chrono::milliseconds connect_timeout{30'000};         ///< name look-up, TCP and TLS handshakes, each
    std::chrono::milliseconds read_timeout{60'000};            ///< between two bytes of an answer
    std::chrono::milliseconds compute_timeout{600'000};        ///< the same, for calls that wait for compute
    std::chrono::milliseconds timeout{0};                      ///< one whole call, its retries included
    retry_policy retry;                                        ///< how often and when a failed call is tried again
    std::uint64_t max_response_size = std::uint64_t{16} << 20; ///< bytes of an answer that is kept in memory
    std::uint32_t max_idle_connections = 16;                   ///< connections kept open for the next call
    /// HTTP proxy, "http://user:password@host:port"; empty: none. Unset: the environment's HTTPS_PROXY, http_proxy (for
    /// plain http), ALL_PROXY, less NO_PROXY and this machine.
    std::optional<std::string> proxy;
    std::chrono::milliseconds websocket_ping_interval{30'000};     ///< 0 is no pings
    std::chrono::milliseconds websocket_ping_timeout{30'000};      ///< silence after a ping that means a dead peer
    std::uint64_t max_websocket_message = std::uint64_t{16} << 20; ///< bytes of one message
    std::uint32_t async_threads = 4;                               ///< threads of an asynchronous session, at least 1

    std::function<void(const log_record&)> on_log; ///< called after every attempt, on the calling thread

    // For tests of time: what time it is, how to wait, and a random number in [0, 1).
    std::function<std::chrono::system_clock::time_point()> clock;
    std::function<void(std::chrono::milliseconds)> sleeper;
    std::function<double()> jitter;
};

namespace detail {

inline constexpr std::string_view default_endpoint = "https://api.backend.ai";
inline constexpr std::string_view default_hash_type = "sha256";

[[noreturn]] inline void bad_config(const std::string& message) {
    throw client_error(error_kind::argument, message);
}

inline bool has_control_character(std::string_view text) {
    for (const char c : text) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return true;
    }
    return false;
}

inline std::vector<std::string> split_list(std::string_view text) {
    std::vector<std::string> items;
    while (!text.empty()) {
        const std::size_t comma = text.find(',');
        std::string_view item = text.substr(0, comma);
        while (!item.empty() && item.front() == ' ') item.remove_prefix(1);
        while (!item.empty() && item.back() == ' ') item.remove_suffix(1);
        if (!item.empty()) items.emplace_back(item);
        if (comma == std::string_view::npos) break;
        text.remove_prefix(comma + 1);
    }
    return items;
}

inline std::optional<std::string> environment(const std::string& key) {
    for (const char* prefix : {"BACKEND_", "SORNA_"}) {
        if (const char* value = std::getenv((prefix + key).c_str())) return std::string(value);
    }
    return {};
}

inline std::string upper_case(std::string_view text) {
    std::string upper(text);
    for (char& c : upper) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    return upper;
}

} // namespace detail

/// Reads y/yes/t/true/1 and n/no/f/false/0 in any case.
/// @throws client_error{argument} for anything else.
inline bool parse_boolean(std::string_view text) {
    const std::string word = detail::upper_case(text);
    for (const char* yes : {"Y", "YES", "T", "TRUE", "1"}) {
        if (word == yes) return true;
    }
    for (const char* no : {"N", "NO", "F", "FALSE", "0"}) {
        if (word == no) return false;
    }
    throw client_error(error_kind::argument,
                       "not a boolean (yes, no, true, false, 1, 0): \"" + std::string(text) + '"');
}

/// The value of `BACKEND_<KEY>`, or `SORNA_<KEY>` when that is not set, or @p fallback; handed through @p clean.
/// A variable that is set but empty counts as set. @p key is upper-cased.
inline std::string get_env(std::string_view key, const std::string& fallback = {},
                           const std::function<std::string(std::string)>& clean = {}) {
    std::string value = detail::environment(detail::upper_case(key)).value_or(fallback);
    return clean ? clean(std::move(value)) : value;
}

/// Fills what is not set in @p config from the environment and the defaults, and checks everything.
/// @throws client_error{argument} that names the field and how to set it: relative or malformed endpoint, missing key,
///         unknown hash or boolean, characters that cannot stand in a header.
inline api_config resolve_config(api_config config) {
    const auto fill = [](std::optional<std::string>& field, const char* key, std::string_view fallback) {
        if (!field) field = detail::environment(key);
        if (!field) field = std::string(fallback);
    };
    fill(config.endpoint, "ENDPOINT", detail::default_endpoint);
    fill(config.endpoint_type, "ENDPOINT_TYPE", "api");
    fill(config.access_key, "ACCESS_KEY", "");
    fill(config.secret_key, "SECRET_KEY", "");
    if (!config.hash_type) config.hash_type = std::string(detail::default_hash_type);
    if (!config.user_agent) config.user_agent = "Backend.AI Client for C++ " BACKENDAI_VERSION;
    std::vector<std::string> mounts = config.vfolder_mounts.value_or(std::vector<std::string>());
    for (std::string& mount : detail::split_list(detail::environment("VFOLDER_MOUNTS").value_or(""))) {
        bool known = false;
        for (const std::string& other : mounts) known = known || other == mount;
        if (!known) mounts.push_back(std::move(mount));
    }
    config.vfolder_mounts = std::move(mounts);
    if (!config.skip_sslcert_validation) {
        const auto text = detail::environment("SKIP_SSLCERT_VALIDATION");
        try {
            config.skip_sslcert_validation = text && parse_boolean(*text);
        } catch (const client_error&) {
            detail::bad_config("BACKEND_SKIP_SSLCERT_VALIDATION is not a boolean (yes, no, true, false, 1, 0): \"" +
                               *text + '"');
        }
    }

    if (config.storage_proxy_urls.empty()) {
        for (const std::string& item : detail::split_list(detail::environment("OVERRIDE_STORAGE_PROXY").value_or(""))) {
            const std::size_t equals = item.find('=');
            if (equals == std::string::npos)
                detail::bad_config("BACKEND_OVERRIDE_STORAGE_PROXY is not of the form a=b,c=d: \"" + item + '"');
            config.storage_proxy_urls.emplace(item.substr(0, equals), item.substr(equals + 1));
        }
    }
    for (const auto& item : config.storage_proxy_urls) {
        try {
            codec::parse_url(item.first);
            codec::parse_url(item.second);
        } catch (const codec::decode_error& e) {
            detail::bad_config("storage_proxy_urls (BACKEND_OVERRIDE_STORAGE_PROXY) is not usable, " +
                               std::string(e.what()));
        }
    }

    try {
        const codec::url endpoint = codec::parse_url(*config.endpoint);
        if (!endpoint.query.empty()) detail::bad_config("endpoint (BACKEND_ENDPOINT) must not have a query");
    } catch (const codec::decode_error& e) {
        detail::bad_config("endpoint (BACKEND_ENDPOINT) is not usable, " + std::string(e.what()));
    }
    if (*config.endpoint_type != "api" && *config.endpoint_type != "session") {
        detail::bad_config("endpoint_type (BACKEND_ENDPOINT_TYPE) is neither \"api\" nor \"session\": \"" +
                           *config.endpoint_type + '"');
    }
    const bool has_keys = *config.endpoint_type == "api";
    // The access key stands before a colon in the Authorization header; the secret key is never sent.
    const auto require = [](const std::string& value, const char* field, const char* variable, bool colon) {
        if (value.empty()) {
            detail::bad_config(std::string(field) + " is missing: set api_config::" + field + " or " + variable);
        }
        for (const char c : value) {
            if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f ||
                (c == ':' && !colon)) {
                detail::bad_config(std::string(field) + " (" + variable + ") holds a character that a key cannot have");
            }
        }
    };
    if (has_keys) require(*config.access_key, "access_key", "BACKEND_ACCESS_KEY", false);
    if (has_keys) require(*config.secret_key, "secret_key", "BACKEND_SECRET_KEY", true);
    if (!codec::has_digest(*config.hash_type)) {
        detail::bad_config("hash_type is unknown or cannot be used for signatures: \"" + *config.hash_type + '"');
    }
    if (config.version &&
        (config.version->size() < 2 || (*config.version)[0] != 'v' || detail::has_control_character(*config.version) ||
         (*config.version)[1] < '0' || (*config.version)[1] > '9')) {
        detail::bad_config("version does not look like \"v4.20190315\": \"" + *config.version + '"');
    }
    if (detail::has_control_character(*config.user_agent)) {
        detail::bad_config("user_agent holds a control character");
    }
    for (const auto limit : {config.connect_timeout, config.read_timeout, config.compute_timeout, config.timeout,
                             config.websocket_ping_interval, config.websocket_ping_timeout}) {
        if (limit.count() < 0) detail::bad_config("a time limit is negative; 0 means no limit");
    }
    if (config.async_threads < 1) detail::bad_config("async_threads must be at least 1");
    check_retry_policy(config.retry);
    return config;
}

namespace detail {

struct process_config {
    std::mutex mutex;
    std::optional<api_config> value;
};
inline process_config& the_process_config() {
    static process_config instance;
    return instance;
}

} // namespace detail

/// The process-wide configuration: what set_config() was given, or else one made now from environment and defaults.
/// Every field of the result is filled. @throws client_error{argument} as resolve_config(). Thread-safe.
inline api_config get_config() {
    detail::process_config& process = detail::the_process_config();
    api_config config;
    {
        const std::lock_guard<std::mutex> lock(process.mutex);
        if (process.value) config = *process.value;
    }
    return resolve_config(std::move(config));
}

/// Sets the configuration that sessions made without one use from now on. Thread-safe.
inline void set_config(api_config config) {
    detail::process_config& process = detail::the_process_config();
    const std::lock_guard<std::mutex> lock(process.mutex);
    process.value = std::move(config);
}

/// Prints a configuration for people; the secret key is shown as set or unset, never in part.
inline std::ostream& operator<<(std::ostream& out, const api_config& config) {
    const auto line = [&out](const char* name, const std::optional<std::string>& value) {
        out << name << ": " << (value ? *value : "(unset)") << '\n';
    };
    line("endpoint", config.endpoint);
    line("endpoint_type", config.endpoint_type);
    line("version", config.version);
    line("user_agent", config.user_agent);
    line("access_key", config.access_key);
    out << "secret_key: " << (config.secret_key && !config.secret_key->empty() ? "(set, not shown)" : "(unset)")
        << '\n';
    line("hash_type", config.hash_type);
    out << "vfolder_mounts:";
    for (const std::string& mount : config.vfolder_mounts.value_or(std::vector<std::string>())) out << ' ' << mount;
    return out << "\nskip_sslcert_validation: " << (config.skip_sslcert_validation.value_or(false) ? "yes" : "no")
               << '\n';
}

BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/cookie_jar.hpp
/// @file
/// The cookies of a session that has logged in at a webserver.
#ifndef BACKENDAI_COOKIE_JAR_HPP
#define BACKENDAI_COOKIE_JAR_HPP

// ---- backendai/codec/cookie.hpp
/// @file
/// Set-Cookie header fields (RFC 6265).
#ifndef BACKENDAI_CODEC_COOKIE_HPP
#define BACKENDAI_CODEC_COOKIE_HPP


#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// What one Set-Cookie field says.
struct cookie {
    std::string name, value;
    std::string path = "/";          ///< where it is to be sent: there and below
    std::string domain;              ///< lower case, without a leading dot; empty: the host that set it
    bool secure = false;             ///< over TLS only
    std::optional<utc_time> expires; ///< none: with the session
};

namespace detail {

inline std::string_view trim_spaces(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

inline std::string lower_ascii(std::string_view text) {
    std::string lower(text);
    for (char& c : lower) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    return lower;
}

inline bool is_cookie_text(std::string_view text, std::string_view forbidden) {
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte >= 0x7f || forbidden.find(c) != std::string_view::npos) return false;
    }
    return true;
}

/// Max-Age in seconds: digits, perhaps after a minus; more than nine of them are more than a program lives.
inline std::optional<std::chrono::seconds> parse_max_age(std::string_view text) {
    const bool negative = !text.empty() && text.front() == '-';
    if (negative) text.remove_prefix(1);
    if (text.empty() || text.find_first_not_of("0123456789") != std::string_view::npos) return {};
    if (negative) return std::chrono::seconds(0);
    std::int64_t value = 0;
    for (const char c : text.size() > 9 ? std::string_view("999999999") : text) value = value * 10 + (c - '0');
    return std::chrono::seconds(value);
}

/// Also with dashes in the date, as many servers write it: "Mon, 30-Nov-2026 15:34:00 GMT".
inline std::optional<utc_time> parse_cookie_date(std::string_view text) {
    std::string date(text);
    for (char& c : date) c = c == '-' ? ' ' : c;
    return parse_http_date(date);
}

} // namespace detail

/// Reads the value of a Set-Cookie field; nothing when it is none, or holds characters that could not be sent back.
/// Attributes that are unknown or cannot be read are passed over. @param now what Max-Age counts from
inline std::optional<cookie> parse_set_cookie(std::string_view text, utc_time now) {
    const std::size_t end = text.find(';');
    const std::string_view pair = text.substr(0, end);
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos) return {};
    cookie result;
    result.name = detail::trim_spaces(pair.substr(0, equals));
    result.value = detail::trim_spaces(pair.substr(equals + 1));
    if (result.name.empty() || !detail::is_cookie_text(result.name, " ,;=\"\\") ||
        !detail::is_cookie_text(result.value, ";,"))
        return {};
    bool has_age = false;
    for (std::size_t at = end; at != std::string_view::npos;) {
        text.remove_prefix(at + 1);
        at = text.find(';');
        const std::string_view attribute = text.substr(0, at);
        const std::size_t sign = attribute.find('=');
        const std::string name = detail::lower_ascii(detail::trim_spaces(attribute.substr(0, sign)));
        const std::string_view value =
            sign == std::string_view::npos ? std::string_view() : detail::trim_spaces(attribute.substr(sign + 1));
        if (name == "path" && !value.empty() && value.front() == '/') result.path = value;
        if (name == "domain") result.domain = detail::lower_ascii(value.substr(!value.empty() && value[0] == '.'));
        if (name == "secure") result.secure = true;
        if (name == "max-age") {
            if (const auto age = detail::parse_max_age(value)) {
                // Zero is the past, whatever the resolution of the clock.
                result.expires = age->count() == 0 ? utc_time() : now + *age;
                has_age = true;
            }
        }
        if (name == "expires" && !has_age) {
            if (const auto date = detail::parse_cookie_date(value)) result.expires = date;
        }
    }
    return result;
}

/// Whether a request to @p path is below a cookie's path (RFC 6265 section 5.1.4).
inline bool cookie_path_matches(std::string_view cookie_path, std::string_view path) {
    if (path.substr(0, cookie_path.size()) != cookie_path) return false;
    return path.size() == cookie_path.size() || cookie_path.back() == '/' || path[cookie_path.size()] == '/';
}

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/os/private_file.hpp
/// @file
/// Small files that hold secrets: nobody but their owner may read them. Failures are std::system_error.
#ifndef BACKENDAI_OS_PRIVATE_FILE_HPP
#define BACKENDAI_OS_PRIVATE_FILE_HPP

// ---- backendai/os/file.hpp
/// @file
/// Files and directories, where systems differ: directories are walked without following links, files are created
/// exclusively and get their name at the end. Failures are std::system_error.
#ifndef BACKENDAI_OS_FILE_HPP
#define BACKENDAI_OS_FILE_HPP


#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#ifdef _WIN32
// ---- backendai/os/file_windows.hpp
/// @file
/// Files and directories of Windows; include <backendai/os/file.hpp>.
///
/// Windows has no openat: a directory is its path, and each name is checked to be no reparse point (link, junction)
/// before it is used. Somebody who may write to the destination could swap a directory between check and use; against
/// such a one the destination itself must be protected.
#ifndef BACKENDAI_OS_FILE_WINDOWS_HPP
#define BACKENDAI_OS_FILE_WINDOWS_HPP
#ifdef _WIN32

// ---- backendai/os/file_types.hpp
/// @file
/// What the file headers of all systems share.
#ifndef BACKENDAI_OS_FILE_TYPES_HPP
#define BACKENDAI_OS_FILE_TYPES_HPP


#include <cstdint>

BACKENDAI_NAMESPACE_BEGIN
namespace os {

/// What a name stands for; links are not followed.
enum class file_kind { none, regular, directory, symbolic_link, other };

/// A point in time as file systems keep it.
struct file_time {
    std::int64_t seconds = 0; ///< since 1970, rounded down
    std::uint32_t nanoseconds = 0;
};

} // namespace os
BACKENDAI_NAMESPACE_END

#endif

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#ifndef NOMINMAX
#define NOMINMAX
#endif
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>

BACKENDAI_NAMESPACE_BEGIN
namespace os {
namespace detail {

[[noreturn]] inline void throw_last_error(const char* what) {
    throw std::system_error(static_cast<int>(GetLastError()), std::system_category(), what);
}

inline std::filesystem::path utf8_path(const std::string& name) {
#if defined(__cpp_char8_t)
    return std::filesystem::path(std::u8string(name.begin(), name.end()));
#else
    return std::filesystem::u8path(name);
#endif
}

inline file_kind kind_of_path(const std::filesystem::path& path) {
    const DWORD attributes = GetFileAttributesW(path.c_str());
    if (attributes == INVALID_FILE_ATTRIBUTES) {
        const DWORD code = GetLastError();
        if (code == ERROR_FILE_NOT_FOUND || code == ERROR_PATH_NOT_FOUND) return file_kind::none;
        throw_last_error("stat");
    }
    if ((attributes & FILE_ATTRIBUTE_REPARSE_POINT) != 0) return file_kind::symbolic_link;
    if ((attributes & FILE_ATTRIBUTE_DIRECTORY) != 0) return file_kind::directory;
    return (attributes & FILE_ATTRIBUTE_DEVICE) != 0 ? file_kind::other : file_kind::regular;
}

} // namespace detail

/// An open file. Not thread-safe.
class open_file {
public:
    open_file() = default;
    explicit open_file(HANDLE handle) noexcept : handle_(handle) {}
    open_file(open_file&& other) noexcept : handle_(std::exchange(other.handle_, INVALID_HANDLE_VALUE)) {}
    open_file& operator=(open_file&& other) noexcept {
        std::swap(handle_, other.handle_);
        return *this;
    }
    ~open_file() {
        if (is_open()) CloseHandle(handle_);
    }

    bool is_open() const noexcept { return handle_ != INVALID_HANDLE_VALUE; }

    std::size_t read(char* buffer, std::size_t capacity) {
        DWORD count = 0;
        if (!ReadFile(handle_, buffer, static_cast<DWORD>((std::min)(capacity, std::size_t{1} << 30)), &count, nullptr))
            detail::throw_last_error("read");
        return count;
    }
    void write(std::string_view bytes) {
        while (!bytes.empty()) {
            DWORD count = 0;
            const auto wanted = static_cast<DWORD>((std::min)(bytes.size(), std::size_t{1} << 30));
            if (!WriteFile(handle_, bytes.data(), wanted, &count, nullptr)) detail::throw_last_error("write");
            bytes.remove_prefix(count);
        }
    }
    std::uint64_t size() const {
        LARGE_INTEGER size{};
        if (!GetFileSizeEx(handle_, &size)) detail::throw_last_error("stat");
        return static_cast<std::uint64_t>(size.QuadPart);
    }
    /// Windows has no permission bits: as if only the owner had any.
    unsigned permissions() const { return 0600; }
    file_time modified() const {
        FILETIME time{};
        if (!GetFileTime(handle_, nullptr, nullptr, &time)) detail::throw_last_error("stat");
        const std::uint64_t ticks = (std::uint64_t{time.dwHighDateTime} << 32) | time.dwLowDateTime;
        constexpr std::int64_t epoch = 11'644'473'600; // seconds from 1601 to 1970
        return {static_cast<std::int64_t>(ticks / 10'000'000) - epoch,
                static_cast<std::uint32_t>(ticks % 10'000'000 * 100)};
    }
    void seek(std::uint64_t position) {
        LARGE_INTEGER place{};
        place.QuadPart = static_cast<LONGLONG>(position);
        if (!SetFilePointerEx(handle_, place, nullptr, FILE_BEGIN)) detail::throw_last_error("seek");
    }
    void resize(std::uint64_t size) {
        seek(size);
        if (!SetEndOfFile(handle_)) detail::throw_last_error("truncate");
    }
    /// Windows has no permission bits.
    void set_mode(unsigned /*mode*/) {}
    void set_modified(file_time time) {
        constexpr std::int64_t epoch = 11'644'473'600; // seconds from 1601 to 1970
        const auto ticks = static_cast<std::uint64_t>((time.seconds + epoch) * 10'000'000 + time.nanoseconds / 100);
        FILETIME value{static_cast<DWORD>(ticks), static_cast<DWORD>(ticks >> 32)};
        if (!SetFileTime(handle_, nullptr, nullptr, &value)) detail::throw_last_error("setting the time");
    }
    void close() {
        if (!CloseHandle(std::exchange(handle_, INVALID_HANDLE_VALUE))) detail::throw_last_error("close");
    }

private:
    HANDLE handle_ = INVALID_HANDLE_VALUE;
};

/// Nothing to do here: a file that is open for writing can be opened for that by nobody else, nor renamed.
class file_lock {
public:
    file_lock() = default;
    explicit file_lock(const open_file& /*file*/) {}
    bool is_held() const noexcept { return true; }
};

/// Opens a regular file, through links. @throws std::system_error also when it is no regular file.
inline open_file open_for_reading(const std::filesystem::path& path) {
    open_file result(CreateFileW(path.c_str(), GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                                 nullptr, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, nullptr));
    if (!result.is_open()) detail::throw_last_error("open");
    return result;
}

/// An open directory. Names are single components; links among them are never followed. Not thread-safe.
class directory {
public:
    directory() = default;
    explicit directory(const std::filesystem::path& path) : path_(path) {
        if (!std::filesystem::is_directory(path)) throw std::system_error(ENOTDIR, std::generic_category(), "open");
    }

    bool is_open() const noexcept { return !path_.empty(); }
    file_kind kind_of(const std::string& name) const { return detail::kind_of_path(at(name)); }
    directory open_child(const std::string& name) const {
        if (kind_of(name) != file_kind::directory) throw std::system_error(ENOTDIR, std::generic_category(), "open");
        return directory(at(name));
    }
    bool make_child(const std::string& name) const {
        if (CreateDirectoryW(at(name).c_str(), nullptr)) return true;
        if (GetLastError() == ERROR_ALREADY_EXISTS) return false;
        detail::throw_last_error("mkdir");
    }
    open_file create(const std::string& name, unsigned /*mode*/) const {
        open_file result(CreateFileW(at(name).c_str(), GENERIC_WRITE | FILE_WRITE_ATTRIBUTES, 0, nullptr, CREATE_NEW,
                                     FILE_ATTRIBUTE_NORMAL, nullptr));
        if (!result.is_open()) detail::throw_last_error("create");
        return result;
    }
    open_file open_file_for_reading(const std::string& name) const {
        return open_regular(name, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_DELETE);
    }
    /// @throws std::system_error also when it is open for writing already
    open_file open_file_for_writing(const std::string& name) const {
        return open_regular(name, GENERIC_WRITE | FILE_WRITE_ATTRIBUTES, FILE_SHARE_READ);
    }
    /// A file that is open for writing keeps its name.
    bool has(const std::string& /*name*/, const open_file& /*file*/) const { return true; }
    void rename(const std::string& from, const std::string& to) const {
        if (!MoveFileExW(at(from).c_str(), at(to).c_str(), MOVEFILE_REPLACE_EXISTING))
            detail::throw_last_error("rename");
    }
    bool rename_new(const std::string& from, const std::string& to) const {
        if (MoveFileExW(at(from).c_str(), at(to).c_str(), 0)) return true;
        const DWORD code = GetLastError();
        if (code == ERROR_ALREADY_EXISTS || code == ERROR_FILE_EXISTS) return false;
        detail::throw_last_error("rename");
    }
    bool remove_file(const std::string& name) const noexcept { return DeleteFileW(at(name).c_str()) != 0; }
    bool remove_directory(const std::string& name) const noexcept { return RemoveDirectoryW(at(name).c_str()) != 0; }
    directory duplicate() const { return *this; }
    /// A directory's time is of no use on Windows, where every change inside sets it.
    void set_metadata(unsigned /*mode*/, file_time /*modified*/) const {}

private:
    open_file open_regular(const std::string& name, DWORD access, DWORD share) const {
        if (kind_of(name) != file_kind::regular) throw std::system_error(EINVAL, std::generic_category(), "open");
        open_file result(
            CreateFileW(at(name).c_str(), access, share, nullptr, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, nullptr));
        if (!result.is_open()) detail::throw_last_error("open");
        return result;
    }

    std::filesystem::path at(const std::string& name) const { return path_ / detail::utf8_path(name); }

    std::filesystem::path path_;
};

} // namespace os
BACKENDAI_NAMESPACE_END

#endif // _WIN32
#endif
#else
// ---- backendai/os/file_posix.hpp
/// @file
/// Files and directories of POSIX systems; include <backendai/os/file.hpp>.
///
/// Directories are descriptors and names are looked up in them (openat and its kin, with O_NOFOLLOW), so that nobody
/// can slip a link into a path between its check and its use.
#ifndef BACKENDAI_OS_FILE_POSIX_HPP
#define BACKENDAI_OS_FILE_POSIX_HPP

// ---- backendai/os/file_types.hpp
/// @file
/// What the file headers of all systems share.
#ifndef BACKENDAI_OS_FILE_TYPES_HPP
#define BACKENDAI_OS_FILE_TYPES_HPP


#include <cstdint>

BACKENDAI_NAMESPACE_BEGIN
namespace os {

/// What a name stands for; links are not followed.
enum class file_kind { none, regular, directory, symbolic_link, other };

/// A point in time as file systems keep it.
struct file_time {
    std::int64_t seconds = 0; ///< since 1970, rounded down
    std::uint32_t nanoseconds = 0;
};

} // namespace os
BACKENDAI_NAMESPACE_END

#endif

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <limits>
#include <string>
#include <string_view>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <system_error>
#include <unistd.h>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace os {
namespace detail {

[[noreturn]] inline void throw_errno(int code, const char* what) {
    throw std::system_error(code, std::generic_category(), what);
}

/// A call that a signal may interrupt, until it is through.
template <class Call>
auto retry_interrupted(Call&& call) -> decltype(call()) {
    for (;;) {
        const auto result = call();
        if (result >= 0 || errno != EINTR) return result;
    }
}

/// A descriptor that closes itself.
class owned_descriptor {
public:
    explicit owned_descriptor(int number = -1) noexcept : number_(number) {}
    owned_descriptor(owned_descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
    owned_descriptor& operator=(owned_descriptor&& other) noexcept {
        std::swap(number_, other.number_);
        return *this;
    }
    ~owned_descriptor() { release(); }
    int get() const noexcept { return number_; }
    int release() noexcept { return number_ >= 0 ? ::close(std::exchange(number_, -1)) : 0; }

private:
    int number_;
};

inline file_kind kind_of_mode(mode_t mode) noexcept {
    if (S_ISREG(mode)) return file_kind::regular;
    if (S_ISDIR(mode)) return file_kind::directory;
    return S_ISLNK(mode) ? file_kind::symbolic_link : file_kind::other;
}

} // namespace detail

/// An open file. Not thread-safe.
class open_file {
public:
    open_file() = default;
    explicit open_file(int descriptor) noexcept : descriptor_(descriptor) {}

    bool is_open() const noexcept { return descriptor_.get() >= 0; }

    /// Up to @p capacity bytes; 0 at the end.
    std::size_t read(char* buffer, std::size_t capacity) {
        const ssize_t count = detail::retry_interrupted([&] { return ::read(descriptor_.get(), buffer, capacity); });
        if (count < 0) detail::throw_errno(errno, "read");
        return static_cast<std::size_t>(count);
    }
    void write(std::string_view bytes) {
        while (!bytes.empty()) {
            const ssize_t count =
                detail::retry_interrupted([&] { return ::write(descriptor_.get(), bytes.data(), bytes.size()); });
            if (count < 0) detail::throw_errno(errno, "write");
            bytes.remove_prefix(static_cast<std::size_t>(count));
        }
    }
    std::uint64_t size() const { return static_cast<std::uint64_t>(status().st_size); }
    /// The nine permission bits.
    unsigned permissions() const { return static_cast<unsigned>(status().st_mode) & 0777U; }
    file_time modified() const {
        const struct stat data = status();
#ifdef __APPLE__
        return {data.st_mtimespec.tv_sec, static_cast<std::uint32_t>(data.st_mtimespec.tv_nsec)};
#else
        return {data.st_mtim.tv_sec, static_cast<std::uint32_t>(data.st_mtim.tv_nsec)};
#endif
    }
    /// Where the next read or write is, from the file's beginning.
    void seek(std::uint64_t position) {
        if (::lseek(descriptor_.get(), static_cast<off_t>(position), SEEK_SET) < 0) detail::throw_errno(errno, "seek");
    }
    /// Cuts the file off.
    void resize(std::uint64_t size) {
        if (detail::retry_interrupted([&] { return ::ftruncate(descriptor_.get(), static_cast<off_t>(size)); }) != 0)
            detail::throw_errno(errno, "truncate");
    }
    /// @param mode the nine permission bits
    void set_mode(unsigned mode) {
        if (::fchmod(descriptor_.get(), static_cast<mode_t>(mode & 0777U)) != 0) detail::throw_errno(errno, "chmod");
    }
    void set_modified(file_time time) {
        struct timespec times[2] = {};
        times[0].tv_nsec = UTIME_OMIT; // the time of access
        times[1].tv_sec = static_cast<time_t>(time.seconds);
        times[1].tv_nsec = static_cast<long>(time.nanoseconds);
        if (::futimens(descriptor_.get(), times) != 0) detail::throw_errno(errno, "setting the time");
    }
    /// Reports what the system kept back until now (a network file system's full disk, say).
    void close() {
        if (descriptor_.release() != 0 && errno != EINTR) detail::throw_errno(errno, "close");
    }

private:
    friend class directory;
    friend class file_lock;

    struct stat status() const {
        struct stat data {};
        if (::fstat(descriptor_.get(), &data) != 0) detail::throw_errno(errno, "fstat");
        return data;
    }

    detail::owned_descriptor descriptor_;
};

/// While one holds a file, no other that was made from the file's being opened anew can, in whatever process. It
/// outlasts the open_file it was made from. Some file systems know no locks: there it always holds.
class file_lock {
public:
    file_lock() = default;
    /// Does not wait when the file is held: see is_held().
    explicit file_lock(const open_file& file) : descriptor_(::fcntl(file.descriptor_.get(), F_DUPFD_CLOEXEC, 0)) {
        if (!is_held()) detail::throw_errno(errno, "dup");
        if (detail::retry_interrupted([&] { return ::flock(descriptor_.get(), LOCK_EX | LOCK_NB); }) == 0) return;
        if (errno == EWOULDBLOCK) {
            descriptor_.release();
        } else if (errno != EOPNOTSUPP && errno != ENOSYS) {
            detail::throw_errno(errno, "lock");
        }
    }
    bool is_held() const noexcept { return descriptor_.get() >= 0; }

private:
    detail::owned_descriptor descriptor_;
};

/// Opens a regular file, through links. @throws std::system_error also when it is no regular file.
inline open_file open_for_reading(const std::filesystem::path& path) {
    // O_NONBLOCK: opening a FIFO must not wait for a writer. It has no effect on regular files.
    const int descriptor =
        detail::retry_interrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); });
    if (descriptor < 0) detail::throw_errno(errno, "open");
    open_file result(descriptor);
    struct stat data {};
    if (::fstat(descriptor, &data) != 0) detail::throw_errno(errno, "fstat");
    if (!S_ISREG(data.st_mode)) detail::throw_errno(S_ISDIR(data.st_mode) ? EISDIR : EINVAL, "open");
    return result;
}

/// An open directory. Names are single components; links among them are never followed. Not thread-safe.
class directory {
public:
    directory() = default;
    /// Opens a directory by its path, through links.
    explicit directory(const std::filesystem::path& path) : directory(AT_FDCWD, path.c_str(), 0) {}

    bool is_open() const noexcept { return descriptor_.get() >= 0; }

    file_kind kind_of(const std::string& name) const {
        struct stat data {};
        if (::fstatat(descriptor_.get(), name.c_str(), &data, AT_SYMLINK_NOFOLLOW) == 0)
            return detail::kind_of_mode(data.st_mode);
        if (errno == ENOENT) return file_kind::none;
        detail::throw_errno(errno, "stat");
    }
    /// @throws std::system_error{ENOTDIR or ELOOP} also when the name is a link, wherever it leads.
    directory open_child(const std::string& name) const {
        return directory(descriptor_.get(), name.c_str(), O_NOFOLLOW);
    }
    /// False when there is something of that name.
    bool make_child(const std::string& name) const {
        if (::mkdirat(descriptor_.get(), name.c_str(), 0777) == 0) return true;
        if (errno == EEXIST) return false;
        detail::throw_errno(errno, "mkdir");
    }
    /// Creates a file that must not exist. @param mode of the new file, less the process's umask
    open_file create(const std::string& name, unsigned mode) const {
        const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
        const int descriptor = detail::retry_interrupted(
            [&] { return ::openat(descriptor_.get(), name.c_str(), flags, static_cast<mode_t>(mode)); });
        if (descriptor < 0) detail::throw_errno(errno, "create");
        return open_file(descriptor);
    }
    /// Opens a file that exists. @throws std::system_error also when it is a link or no regular file.
    open_file open_file_for_reading(const std::string& name) const { return open_regular(name, O_RDONLY); }
    /// The same, to write into it from its beginning on.
    open_file open_file_for_writing(const std::string& name) const { return open_regular(name, O_WRONLY); }
    /// Whether the name still is that of the file that was opened under it.
    bool has(const std::string& name, const open_file& file) const {
        const struct stat opened = file.status();
        struct stat data {};
        if (::fstatat(descriptor_.get(), name.c_str(), &data, AT_SYMLINK_NOFOLLOW) == 0)
            return data.st_dev == opened.st_dev && data.st_ino == opened.st_ino;
        if (errno == ENOENT) return false;
        detail::throw_errno(errno, "stat");
    }
    /// Gives a file another name, in place of the file or link of that name, if any.
    void rename(const std::string& from, const std::string& to) const {
        if (::renameat(descriptor_.get(), from.c_str(), descriptor_.get(), to.c_str()) != 0)
            detail::throw_errno(errno, "rename");
    }
    /// Gives a file another name unless that is taken; false when it is.
    bool rename_new(const std::string& from, const std::string& to) const {
        if (::linkat(descriptor_.get(), from.c_str(), descriptor_.get(), to.c_str(), 0) == 0) {
            remove_file(from);
            return true;
        }
        if (errno == EEXIST) return false;
        // A file system without hard links: the check and the renaming are two steps there.
        if (kind_of(to) != file_kind::none) return false;
        rename(from, to);
        return true;
    }
    bool remove_file(const std::string& name) const noexcept {
        return ::unlinkat(descriptor_.get(), name.c_str(), 0) == 0;
    }
    /// Removes an empty directory.
    bool remove_directory(const std::string& name) const noexcept {
        return ::unlinkat(descriptor_.get(), name.c_str(), AT_REMOVEDIR) == 0;
    }
    directory duplicate() const { return open_child("."); }
    /// Mode and time of the directory itself.
    void set_metadata(unsigned mode, file_time modified) const {
        open_file self(::fcntl(descriptor_.get(), F_DUPFD_CLOEXEC, 0));
        if (!self.is_open()) detail::throw_errno(errno, "dup");
        self.set_mode(mode);
        self.set_modified(modified);
    }

private:
    directory(int parent, const char* name, int flags)
        : descriptor_(detail::retry_interrupted(
              [&] { return ::openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags); })) {
        if (!is_open()) detail::throw_errno(errno, "open");
    }

    open_file open_regular(const std::string& name, int how) const {
        const int flags = how | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK; // see open_for_reading
        const int descriptor =
            detail::retry_interrupted([&] { return ::openat(descriptor_.get(), name.c_str(), flags); });
        if (descriptor < 0) detail::throw_errno(errno, "open");
        open_file result(descriptor);
        struct stat data {};
        if (::fstat(descriptor, &data) != 0) detail::throw_errno(errno, "fstat");
        if (!S_ISREG(data.st_mode)) detail::throw_errno(EINVAL, "open");
        return result;
    }

    detail::owned_descriptor descriptor_;
};

} // namespace os
BACKENDAI_NAMESPACE_END

#endif
#endif

BACKENDAI_NAMESPACE_BEGIN
namespace os {

/// A path as UTF-8 with `/` between its components: what goes into requests and messages.
inline std::string path_text(const std::filesystem::path& path) {
    const auto text = path.generic_u8string(); // std::u8string from C++20 on
    return std::string(text.begin(), text.end());
}

/// The path that UTF-8 text means.
inline std::filesystem::path text_path(std::string_view text) {
#if defined(__cpp_char8_t)
    return std::filesystem::path(std::u8string(text.begin(), text.end()));
#else
    return std::filesystem::u8path(text.begin(), text.end());
#endif
}

} // namespace os
BACKENDAI_NAMESPACE_END

#endif

#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <system_error>

BACKENDAI_NAMESPACE_BEGIN
namespace os {

namespace detail {

inline std::filesystem::path folder_of(const std::filesystem::path& file) {
    return file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
}

} // namespace detail

/// The content of a file; nothing when there is none.
/// @throws std::system_error{EACCES} when others may read or write it (not on Windows, which has no such bits);
///         {EFBIG} when it is larger than @p limit bytes
inline std::optional<std::string> read_private_file(const std::filesystem::path& path, std::size_t limit) {
    const directory folder(detail::folder_of(path));
    const std::string name = path_text(path.filename());
    if (folder.kind_of(name) == file_kind::none) return {};
    open_file file = folder.open_file_for_reading(name);
    if ((file.permissions() & 077U) != 0) {
        throw std::system_error(EACCES, std::generic_category(), "others than its owner may read it");
    }
    std::string text;
    char buffer[4096];
    while (const std::size_t count = file.read(buffer, sizeof buffer)) {
        if (count > limit - text.size()) throw std::system_error(EFBIG, std::generic_category(), "read");
        text.append(buffer, count);
    }
    return text;
}

/// Replaces a file, or makes it, with mode 0600: at every moment it has the old content or the new one.
inline void write_private_file(const std::filesystem::path& path, std::string_view content) {
    const directory folder(detail::folder_of(path));
    const std::string temporary = ".backendai-" + std::to_string(std::random_device{}()) + ".tmp";
    open_file file = folder.create(temporary, 0600);
    try {
        file.write(content);
        file.close();
        folder.rename(temporary, path_text(path.filename()));
    } catch (...) {
        folder.remove_file(temporary);
        throw;
    }
}

} // namespace os
BACKENDAI_NAMESPACE_END

#endif

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <mutex>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// Cookies of one endpoint, sent to no other origin; in memory, and in a file if one is named. The file is read when
/// the jar is made and written from keep() on, whenever a cookie changes. What a server may leave here is bounded.
/// Thread-safe.
class cookie_jar {
public:
    /// With a file that is no cookie file nobody is logged in; the next login replaces it.
    /// @throws client_error{io} when the file cannot be read, or others than its owner may read it
    cookie_jar(const codec::url& endpoint, std::filesystem::path file)
        : origin_(endpoint.origin()), host_(endpoint.host), is_tls_(endpoint.is_tls()), file_(std::move(file)) {
        if (!file_.empty()) load();
    }

    /// The value of the Cookie header for a request; empty when there is none to send.
    std::string header(const codec::url& place, codec::utc_time now) const {
        if (place.origin() != origin_) return {};
        const std::lock_guard<std::mutex> lock(mutex_);
        std::string text;
        for (const codec::cookie& item : cookies_) {
            if ((item.expires && *item.expires <= now) || (item.secure && !is_tls_)) continue;
            if (!codec::cookie_path_matches(item.path, place.path.empty() ? "/" : place.path)) continue;
            if (!text.empty()) text += "; ";
            text += item.name + '=' + item.value;
        }
        return text;
    }

    /// Takes what an answer sets. A file that cannot be written does not fail the call that has just succeeded: the
    /// cookies stay in memory, and every later answer tries to write them again.
    void absorb(const response_head& head, const codec::url& place, codec::utc_time now) {
        if (place.origin() != origin_) return;
        const std::lock_guard<std::mutex> lock(mutex_);
        bool changed = unsaved_;
        for (const auto& field : head.headers) {
            if (!equal_ignoring_case(field.first, "Set-Cookie")) continue;
            if (auto item = codec::parse_set_cookie(field.second, now)) changed = put(std::move(*item), now) || changed;
        }
        if (!changed || !kept_) return;
        try {
            save();
        } catch (const client_error&) {
            unsaved_ = true;
        }
    }

    /// From now on the file holds what the jar holds. @throws client_error{io}
    void keep() {
        const std::lock_guard<std::mutex> lock(mutex_);
        kept_ = !file_.empty();
        if (kept_) save();
    }
    /// Forgets all cookies; the file stays as it is.
    void clear() {
        const std::lock_guard<std::mutex> lock(mutex_);
        cookies_.clear();
        kept_ = unsaved_ = false;
    }
    /// Forgets all cookies, those in the file too. @throws client_error{io}
    void discard() {
        clear();
        const std::lock_guard<std::mutex> lock(mutex_);
        std::error_code error;
        if (!file_.empty()) std::filesystem::remove(file_, error);
        if (error) failure(error.message());
    }

private:
    static constexpr std::size_t most_cookies = 50, largest_cookie = 4096;
    // Of cookies within those limits, each byte escaped.
    static constexpr std::size_t largest_file = most_cookies * (6 * largest_cookie + 256);

    static bool is_too_large(const codec::cookie& item) {
        return item.name.size() + item.value.size() + item.path.size() > largest_cookie;
    }

    bool put(codec::cookie item, codec::utc_time now) {
        const bool ours =
            item.domain.empty() || item.domain == host_ ||
            (host_.size() > item.domain.size() &&
             host_.compare(host_.size() - item.domain.size() - 1, std::string::npos, '.' + item.domain) == 0);
        if (!ours || is_too_large(item)) return false;
        const bool gone = item.expires && *item.expires <= now;
        for (auto known = cookies_.begin(); known != cookies_.end(); ++known) {
            if (known->name != item.name || known->path != item.path) continue;
            if (gone) {
                cookies_.erase(known);
            } else {
                *known = std::move(item);
            }
            return true;
        }
        if (gone) return false;
        if (cookies_.size() >= most_cookies) {
            cookies_.erase(std::remove_if(cookies_.begin(), cookies_.end(),
                                          [&](const codec::cookie& old) { return old.expires && *old.expires <= now; }),
                           cookies_.end());
        }
        if (cookies_.size() >= most_cookies) return false; // the login's own came first, and must stay
        cookies_.push_back(std::move(item));
        return true;
    }

    [[noreturn]] void failure(const std::string& why) const {
        throw client_error(error_kind::io, "the cookie file " + os::path_text(file_) + ": " + why);
    }

    void load() {
        try {
            const auto text = os::read_private_file(file_, largest_file);
            if (!text) return;
            const json content = codec::parse_json(*text);
            if (content.at("endpoint") != origin_) return; // of another server: replaced by the next login
            for (const json& each : content.at("cookies")) {
                auto item = codec::parse_set_cookie(
                    each.at("name").get<std::string>() + '=' + each.at("value").get<std::string>(), {});
                if (!item) continue;
                item->path = each.at("path").get<std::string>();
                item->secure = each.at("secure").get<bool>();
                if (each.contains("expires")) item->expires = codec::parse_iso_date(each["expires"].get<std::string>());
                if (item->path.empty()) item->path = "/";
                if (is_too_large(*item) || cookies_.size() >= most_cookies) continue;
                cookies_.push_back(std::move(*item));
            }
            kept_ = true;
        } catch (const std::system_error& e) {
            if (e.code() != std::errc::file_too_large) failure(e.what());
        } catch (const json::exception&) {
            cookies_.clear();
        } catch (const codec::decode_error&) {
            cookies_.clear();
        }
    }

    void save() {
        json content = {{"endpoint", origin_}, {"cookies", json::array()}};
        for (const codec::cookie& item : cookies_) {
            json each = {{"name", item.name}, {"value", item.value}, {"path", item.path}, {"secure", item.secure}};
            if (item.expires) each["expires"] = codec::format_date(*item.expires);
            content["cookies"].push_back(std::move(each));
        }
        try {
            os::write_private_file(file_, content.dump());
            unsaved_ = false;
        } catch (const std::system_error& e) {
            failure(e.what());
        }
    }

    const std::string origin_, host_;
    const bool is_tls_;
    const std::filesystem::path file_;
    mutable std::mutex mutex_;
    std::vector<codec::cookie> cookies_;
    bool kept_ = false, unsaved_ = false;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/message_stream.hpp
/// @file
/// A stream of messages both ways, as a websocket carries it: what the second capability of a transport opens.
#ifndef BACKENDAI_MESSAGE_STREAM_HPP
#define BACKENDAI_MESSAGE_STREAM_HPP


#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

BACKENDAI_NAMESPACE_BEGIN

/// What receive() yields: a message, or the end of the stream.
struct stream_message {
    enum class type { text, binary, closed };
    type kind = type::closed;
    std::string data; ///< the message; of `closed` the peer's reason
    std::uint16_t code =
        0; ///< of `closed`: RFC 6455 section 7.4; 1005 when the peer gave none, 1006 without a close frame

    bool is_text() const noexcept { return kind == type::text; }
    bool is_binary() const noexcept { return kind == type::binary; }
    bool is_closed() const noexcept { return kind == type::closed; }
};

/// An open websocket. One thread may receive while others send; cancel() may be called from any thread at any time.
/// Pings are answered, and sent, without anybody's doing. Destroying it says goodbye without waiting for the answer.
class message_stream {
public:
    message_stream() = default;
    message_stream(const message_stream&) = delete;
    message_stream& operator=(const message_stream&) = delete;
    virtual ~message_stream() = default;

    /// The next message; waits for it. After the peer's close frame always `closed`.
    /// @throws client_error: connect when the connection is lost without a close frame, timeout when the peer is dead,
    ///         protocol when it breaks RFC 6455 or a limit, cancelled, closed
    virtual stream_message receive() = 0;
    /// As receive(), but nothing when no message came within @p limit.
    virtual std::optional<stream_message> receive_for(std::chrono::milliseconds limit) = 0;
    /// Sends a message; returns when the system has taken it.
    /// @throws client_error: argument for text that is not UTF-8, closed after either side's close frame, connect when
    ///         the connection is lost, timeout when the peer takes nothing for the read timeout, cancelled
    virtual void send_text(std::string_view text) = 0;
    virtual void send_binary(std::string_view bytes) = 0;
    /// Begins the closing handshake; receive() then yields `closed` when the peer has answered. Harmless when a close
    /// was begun before, by either side. @throws client_error{argument} for a code or reason that may not be sent
    virtual void close(std::uint16_t code = 1000, std::string_view reason = {}) = 0;
    /// Breaks the connection off: running and later calls throw client_error{cancelled}.
    virtual void cancel() noexcept = 0;
    /// The subprotocol that the server chose; empty for none.
    virtual const std::string& protocol() const noexcept = 0;
};

/// What came of a websocket handshake: `stream` when the answer was 101; else it is null, and `body` holds the refusal.
struct websocket_opening {
    response_head head;
    std::string body;
    std::unique_ptr<message_stream> stream;
};

BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/negotiation.hpp
/// @file
/// Which protocol version a session speaks: asked from the server once, however many threads begin at the same time.
#ifndef BACKENDAI_NEGOTIATION_HPP
#define BACKENDAI_NEGOTIATION_HPP


#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// What came of asking a server for its version.
struct probe_result {
    std::string announced; ///< as the server told it; empty when it told none
    bool final = true;     ///< false: the server may answer better another time, so ask again then
};

/// What a probe means that ended with @p failure: the default version, or the failure itself where the call that waits
/// for the probe could not do better. @param out_of_time the call's time limit is over
inline probe_result judge_probe_failure(const error& failure, bool out_of_time) {
    probe_result result;
    if (const auto* refused = failure.as_api_error()) {
        const int status = refused->status();
        result.final = status != 429 && status != 502 && status != 503 && status != 504;
        return result;
    }
    const client_error* local = failure.as_client_error();
    if (local == nullptr) throw error(failure); // a transport's own
    const error_kind kind = local->kind();
    const bool unreachable = local->sent() == client_error::progress::nothing_sent;
    const bool is_answer = kind == error_kind::protocol || (kind == error_kind::timeout && !unreachable);
    const bool is_dropped = (kind == error_kind::connect || kind == error_kind::tls) && !unreachable;
    if (out_of_time || (!is_answer && !is_dropped)) throw *local;
    result.final = is_answer;
    return result;
}

/// The version of one session. Thread-safe.
class version_negotiation {
public:
    /// The dialect to speak; when it is not known yet one caller runs @p probe, which returns a probe_result, and the
    /// others wait for it, each no longer than its own limits allow. A probe that throws fails its own call only.
    template <class Probe>
    dialect get(const exchange_context& context, Probe probe) {
        if (auto known = look()) return *known;
        const auto wake = [this] {
            const std::lock_guard<std::mutex> lock(mutex_);
            changed_.notify_all();
        };
        // Made before the lock is taken, as they may call wake() at once, and gone after it is released.
        const cancel_token::listener on_cancel(context.cancel, wake);
        const cancel_token::listener on_close(context.closing, wake);
        std::unique_lock<std::mutex> lock(mutex_);
        // A hook of the probe that makes a call of its own would wait for itself.
        if (asking_ && asker_ == std::this_thread::get_id()) return dialect_of(std::string(default_protocol_version));
        const auto ready = [&] { return known_ || !asking_ || context.interrupted(); };
        if (context.has_deadline()) {
            changed_.wait_until(lock, context.deadline, ready);
        } else {
            changed_.wait(lock, ready);
        }
        if (known_) return *known_;
        context.check();
        asking_ = true;
        asker_ = std::this_thread::get_id();
        lock.unlock();
        const end_of_question ended(*this);
        const probe_result result = probe();
        dialect chosen = dialect_of(choose_version(result.announced));
        lock.lock();
        if (!result.announced.empty()) announced_ = result.announced;
        if (result.final) known_ = chosen;
        lock.unlock();
        return chosen;
    }

    /// What is known now.
    std::optional<dialect> look() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return known_;
    }

    /// The newest version of the server as it told it; empty when it was not asked or told none.
    std::string announced() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return announced_;
    }
    void note_announced(const std::string& version) {
        const std::lock_guard<std::mutex> lock(mutex_);
        announced_ = version;
    }

private:
    class end_of_question {
    public:
        explicit end_of_question(version_negotiation& owner) : owner_(owner) {}
        end_of_question(const end_of_question&) = delete;
        end_of_question& operator=(const end_of_question&) = delete;
        ~end_of_question() {
            const std::lock_guard<std::mutex> lock(owner_.mutex_);
            owner_.asking_ = false;
            owner_.changed_.notify_all();
        }

    private:
        version_negotiation& owner_;
    };

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::optional<dialect> known_;
    std::string announced_;
    bool asking_ = false;
    std::thread::id asker_;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/response.hpp
/// @file
/// The server's answer, and its mapping to api_error.
#ifndef BACKENDAI_RESPONSE_HPP
#define BACKENDAI_RESPONSE_HPP


#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

/// An answer of the server. The body is kept in memory unless the request was fetched into a receiver.
class response {
public:
    response() = default;
    response(response_head head, std::string body) : head_(std::move(head)), body_(std::move(body)) {}

    int status() const noexcept { return head_.status; }
    bool ok() const noexcept { return head_.status >= 200 && head_.status < 300; }
    const std::string& reason() const noexcept { return head_.reason; }
    const header_list& headers() const noexcept { return head_.headers; }
    /// The media type in lower case without parameters; empty when the server named none.
    std::string content_type() const { return codec::media_type(head_.headers.get("Content-Type")); }
    /// The Content-Length header's number; nothing when there is none.
    std::optional<std::uint64_t> content_length() const {
        const std::string* text = head_.headers.find("Content-Length");
        if (text == nullptr || text->empty() || text->size() > 18) return {};
        std::uint64_t value = 0;
        for (const char c : *text) {
            if (c < '0' || c > '9') return {};
            value = value * 10 + static_cast<std::uint64_t>(c - '0');
        }
        return value;
    }
    /// The body as received.
    const std::string& text() const& noexcept { return body_; }
    std::string text() && noexcept { return std::move(body_); }
    /// The body parsed as JSON. @throws client_error{protocol} when it is not JSON or is nested too deep.
    backendai::json json() const {
        try {
            return codec::parse_json(body_);
        } catch (const codec::decode_error& e) {
            throw client_error(error_kind::protocol, std::string("the answer is not usable: ") + e.what(),
                               client_error::progress::maybe_sent);
        }
    }

private:
    response_head head_;
    std::string body_;
};

/// Receives the pieces of a streamed body.
using body_receiver = std::function<void(std::string_view)>;
/// Sees the head of an answer whose body is streamed, before the first piece of it.
using head_receiver = std::function<void(const response_head&)>;

namespace detail {

inline constexpr std::size_t max_error_body = 64 * 1024;

/// Takes secrets out of what a server says, as they are and as JSON spells them; not one so short that ordinary words
/// hold it. Its functions return whether there was any.
class redactor {
public:
    explicit redactor(const std::vector<std::string>& secrets) {
        for (const std::string& secret : secrets) {
            if (secret.size() < 4) continue;
            for (const bool ascii : {true, false}) {
                const std::string quoted = json(secret).dump(-1, ' ', ascii, json::error_handler_t::replace);
                spellings_.push_back(quoted.substr(1, quoted.size() - 2));
            }
            spellings_.push_back(secret);
        }
    }

    bool redact(std::string& text) const {
        bool found = false;
        for (const std::string& secret : spellings_) {
            for (std::size_t at = 0; (at = text.find(secret, at)) != std::string::npos; found = true)
                text.replace(at, secret.size(), "***");
        }
        return found;
    }
    /// In every text of a document, names of members too.
    bool redact(json& value) const {
        if (value.is_string()) return redact(value.get_ref<std::string&>());
        bool found = false;
        if (value.is_object()) {
            json clean = json::object();
            for (auto it = value.begin(); it != value.end(); ++it) {
                std::string name = it.key();
                found = redact(name) || found;
                found = redact(it.value()) || found;
                clean[name] = std::move(it.value());
            }
            value = std::move(clean);
        } else if (value.is_array()) {
            for (json& item : value) found = redact(item) || found;
        }
        return found;
    }
    /// A body keeps its form, unless JSON in it hides a secret in a spelling of its own.
    void redact_body(std::string& body) const {
        redact(body);
        try {
            json document = codec::parse_json(body);
            if (redact(document)) body = document.dump(-1, ' ', false, json::error_handler_t::replace);
        } catch (const codec::decode_error&) {
            // Not JSON: no other spellings.
        }
    }
    void redact(api_error::details& what) const {
        for (std::string* text : {&what.reason, &what.type, &what.title, &what.retry_after}) redact(*text);
        for (json* value : {&what.data, &what.agent_details}) redact(*value);
        redact_body(what.body);
    }

private:
    std::vector<std::string> spellings_;
};

/// What an answer with a failure status means; never fails, whatever the body holds.
/// @param secrets of the request: a server or proxy that echoes requests must not bring them into a log
inline api_error make_api_error(const response_head& head, std::string body,
                                const std::vector<std::string>& secrets = {}) {
    api_error::details what;
    what.status = head.status;
    what.reason = head.reason;
    what.retry_after = head.headers.get("Retry-After");
    what.body = std::move(body);
    try {
        const json problem = codec::parse_json(what.body);
        const auto text = [&problem](const char* key) {
            const auto it = problem.find(key);
            return it != problem.end() && it->is_string() ? it->get<std::string>() : std::string();
        };
        if (problem.is_object()) {
            what.type = text("type");
            what.title = text("title");
            // Some folder endpoints answer {msg} or {error_msg} in place of a problem object.
            for (const char* key : {"msg", "error_msg"}) {
                if (what.title.empty()) what.title = text(key);
            }
            what.data = problem.value("data", json());
            what.agent_details = problem.value("agent-details", json());
        }
    } catch (const codec::decode_error&) {
        // Not JSON: a proxy's page, or an answer cut off. status, reason and body say what there is to say.
    }
    redactor(secrets).redact(what); // after parsing: what JSON escapes is not found before
    return api_error(std::move(what));
}

/// Keeps an answer, or hands its data on: a failure status is always kept, so that the server's words survive.
class response_sink final : public body_sink {
public:
    /// @param errors whether a failure status becomes an api_error, which keeps only the beginning of a body
    /// @param on_success sees the head of a 2xx answer before its body; may be empty
    response_sink(const body_receiver& receiver, std::uint64_t limit, bool errors = true, head_receiver on_success = {})
        : receiver_(receiver), limit_(limit), errors_(errors), on_success_(std::move(on_success)) {}

    void on_head(const response_head& head) override {
        head_ = head;
        const bool success = head.status >= 200 && head.status < 300;
        streaming_ = receiver_ && success;
        if (on_success_ && success) on_success_(head_);
    }
    void on_data(std::string_view data) override {
        if (streaming_) {
            delivered_ = true;
            receiver_(data);
        } else if (errors_ && head_.status >= 400) {
            body_.append(data.substr(0, max_error_body - (std::min)(max_error_body, body_.size())));
        } else if (data.size() > limit_ - (std::min)(limit_, static_cast<std::uint64_t>(body_.size()))) {
            throw client_error(error_kind::protocol,
                               "the answer is larger than max_response_size (" + std::to_string(limit_) + " bytes)",
                               client_error::progress::maybe_sent);
        } else {
            body_.append(data);
        }
    }

    /// Whether the receiver has seen data, after which the call cannot be repeated.
    bool delivered() const { return delivered_; }
    const response_head& head() const { return head_; }
    response_head take_head() { return std::move(head_); }
    std::string take_body() { return std::move(body_); }

private:
    const body_receiver& receiver_;
    std::uint64_t limit_;
    bool errors_;
    head_receiver on_success_;
    response_head head_;
    std::string body_;
    bool streaming_ = false, delivered_ = false;
};

} // namespace detail

BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/transport/concept.hpp
/// @file
/// The contract of a transport: what carries HTTP requests (and, as a second capability, websockets) for a session.
///
/// Valid expressions, for `T t`, `http_request& r`, `body_sink& s`, `const exchange_context& c`:
///
/// | expression          | type                | meaning |
/// |---------------------|---------------------|---------|
/// | `t.exchange(r,s,c)` | `response_head`     | sends one request; `s.on_head(head)` once, then `s.on_data(bytes)`...;
/// returns the head | | `T(cfg)`            | optional            | built from a resolved `api_config`; needed by
/// `basic_session(config)` only | | `t.open_websocket(r,c)` | optional        | the second trait,
/// `is_websocket_transport` |
///
/// Rules
/// - Any HTTP status is a success. An exception means that there was no usable answer: `client_error` of kind connect,
///   tls, timeout, protocol, cancelled or closed, whose `sent()` says `nothing_sent` only when no byte of the request
///   can have left. An answer that is cut short, framed wrongly or not HTTP is an error of kind protocol.
/// - What the sink throws comes out unchanged, and the connection is not used again.
/// - It follows no redirect, decodes no content coding, adds no credentials, sends the target as it stands.
/// - open_websocket() performs a signed handshake as `r` says (plus Upgrade, Connection and Sec-WebSocket-*; a header
///   Sec-WebSocket-Protocol of `r` names the subprotocols) under the same rules. An answer other than 101 is a success
///   too: `websocket_opening` without a stream and with the answer's body. The stream obeys `c.cancel` and `c.closing`
///   for as long as it lives, and may outlive the transport.
/// - It ends within 200 ms of `c.deadline` and of `c.cancel` or `c.closing` being triggered.
/// - Thread-safe: many threads call exchange() on one object. The object is neither copied nor moved while in use.
/// - No exception of an HTTP library and no type of one gets out.
#ifndef BACKENDAI_TRANSPORT_CONCEPT_HPP
#define BACKENDAI_TRANSPORT_CONCEPT_HPP


#include <type_traits>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN

namespace detail {

template <class T, class = void>
struct has_exchange : std::false_type {};
template <class T>
struct has_exchange<
    T, std::void_t<decltype(std::declval<T&>().exchange(std::declval<http_request&>(), std::declval<body_sink&>(),
                                                        std::declval<const exchange_context&>()))>>
    : std::is_same<response_head,
                   decltype(std::declval<T&>().exchange(std::declval<http_request&>(), std::declval<body_sink&>(),
                                                        std::declval<const exchange_context&>()))> {};

template <class T, class = void>
struct has_open_websocket : std::false_type {};
template <class T>
struct has_open_websocket<T, std::void_t<decltype(std::declval<T&>().open_websocket(
                                 std::declval<http_request&>(), std::declval<const exchange_context&>()))>>
    : std::is_same<websocket_opening, decltype(std::declval<T&>().open_websocket(
                                          std::declval<http_request&>(), std::declval<const exchange_context&>()))> {};

} // namespace detail

/// Whether @p T models a transport.
template <class T>
struct is_transport : detail::has_exchange<T> {};
template <class T>
inline constexpr bool is_transport_v = is_transport<T>::value;

/// Whether @p T also opens websockets.
template <class T>
struct is_websocket_transport : std::conjunction<is_transport<T>, detail::has_open_websocket<T>> {};
template <class T>
inline constexpr bool is_websocket_transport_v = is_websocket_transport<T>::value;

#if defined(__cpp_concepts) && __cpp_concepts >= 201907L
template <class T>
concept http_transport = is_transport_v<T>;
#endif

namespace detail {

/// The exemplar: the least that is a transport, compiled so that the table above cannot drift from the trait.
struct transport_exemplar {
    response_head exchange(http_request& request, body_sink& sink, const exchange_context& context) {
        context.check();
        response_head head;
        head.status = request.has_body() ? 413 : 204;
        sink.on_head(head);
        return head;
    }
};
static_assert(is_transport_v<transport_exemplar> && !is_websocket_transport_v<transport_exemplar>);

/// The same with the second capability: the least that also opens websockets, here by refusing all of them.
struct websocket_transport_exemplar : transport_exemplar {
    websocket_opening open_websocket(http_request& request, const exchange_context& context) {
        context.check();
        websocket_opening opening;
        opening.head.status = request.url.is_tls() ? 501 : 426;
        return opening;
    }
};
static_assert(is_websocket_transport_v<websocket_transport_exemplar>);

} // namespace detail

BACKENDAI_NAMESPACE_END

#endif

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

/// Limits of the calls made through a view: `session.with(call_options{...})`.
struct call_options {
    std::optional<std::chrono::milliseconds> timeout; ///< of each call, its retries and, in async mode, its wait for a
                                                      ///< thread included; 0 is none; unset: config's
    cancel_token cancel;                              ///< ends the calls with client_error{cancelled}
    std::optional<retry_policy> retry;                ///< in place of the config's
};

namespace detail {

/// The JSON text of an argument. @throws client_error{argument} when a text in it is not UTF-8
inline std::string json_text(const json& value) {
    try {
        return value.dump();
    } catch (const json::exception&) {
        throw client_error(error_kind::argument, "an argument is not valid UTF-8 text");
    }
}

/// Texts of a call that must not come out in an error: a token, a password and what goes with it.
struct secret_texts {
    secret_texts() = default;
    secret_texts(std::string one) : all{std::move(one)} {}                      // NOLINT(google-explicit-constructor)
    secret_texts(std::vector<std::string> several) : all(std::move(several)) {} // NOLINT(google-explicit-constructor)
    std::vector<std::string> all;
};

/// One call as an API function describes it.
struct call {
    std::string method = "GET";
    std::string path = "/"; ///< after the endpoint's own path; brought to canonical spelling
    codec::query_list query;
    header_list headers; ///< further header fields
    std::string content_type = "text/plain";
    std::string body;
    std::shared_ptr<codec::byte_source> source;
    retry_class retry = retry_class::safe;
    bool waits_for_compute = false;                             ///< compute_timeout in place of read_timeout
    bool check_status = true;                                   ///< throw api_error unless the status is 2xx
    body_receiver receiver;                                     ///< takes the body of a 2xx answer piece by piece
    head_receiver on_head;                                      ///< sees the head of a 2xx answer before that
    std::shared_ptr<std::unique_ptr<message_stream>> websocket; ///< when set: a handshake, whose stream goes there
    bool negotiates = true;                                     ///< wait until the protocol version is known
    /// A whole URL in place of path and query, for what is not part of the API (a storage proxy): it gets no
    /// signature, no cookie and no version, whatever its origin.
    std::optional<codec::url> elsewhere;
    secret_texts secret;
    /// Writes what depends on the server's generation (path, names of members) once that is known.
    std::function<void(call&, const dialect&)> complete;

    void set_json(const json& value) {
        body = json_text(value);
        content_type = "application/json";
    }
};

/// A transport of any type behind one virtual call, so that everything above is compiled once for all of them.
class any_transport {
public:
    any_transport() = default;
    any_transport(const any_transport&) = delete;
    any_transport& operator=(const any_transport&) = delete;
    virtual ~any_transport() = default;
    virtual response_head exchange(http_request& request, body_sink& sink, const exchange_context& context) = 0;
    virtual websocket_opening open_websocket(http_request& request, const exchange_context& context) = 0;
};

template <class Transport>
class transport_holder final : public any_transport {
public:
    template <class... Arguments>
    explicit transport_holder(Arguments&&... arguments) : transport_(std::forward<Arguments>(arguments)...) {}
    response_head exchange(http_request& request, body_sink& sink, const exchange_context& context) override {
        return transport_.exchange(request, sink, context);
    }
    websocket_opening open_websocket(http_request& request, const exchange_context& context) override {
        if constexpr (is_websocket_transport_v<Transport>) {
            return transport_.open_websocket(request, context);
        } else {
            // The calls that need one do not compile with such a transport.
            (void)request;
            (void)context;
            throw client_error(error_kind::argument, "this transport opens no websockets");
        }
    }
    Transport& transport() { return transport_; }

private:
    Transport transport_;
};

/// What the asynchronous mode adds to one call: a cancel of its own, which the caller's token triggers too, and the
/// time from which its limit counts.
struct task_control {
    cancel_source cancel;
    const exchange_context::clock::time_point called = exchange_context::clock::now();
    std::atomic<bool> counted{false}; ///< the time in the queue is part of the first request's limit, and of no other's
};

/// When a call that began at @p start and has that limit must be over; max() when there is no limit.
inline exchange_context::clock::time_point deadline_of(std::chrono::milliseconds limit,
                                                       exchange_context::clock::time_point start) {
    return limit.count() > 0 ? time_after(limit, start) : (exchange_context::clock::time_point::max)();
}

inline bool is_token(std::string_view text) {
    if (text.empty()) return false;
    for (const char c : text) {
        if (!codec::detail::is_unreserved(static_cast<unsigned char>(c)) &&
            std::string_view("!#$%&'*+^`|").find(c) == std::string_view::npos) {
            return false;
        }
    }
    return true;
}

inline void require_field_value(std::string_view text, const char* what) {
    if (text.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos) {
        throw client_error(error_kind::argument, std::string(what) + " holds a line break or NUL");
    }
}

inline double random_fraction() {
    thread_local std::mt19937_64 generator{std::random_device{}()};
    return std::uniform_real_distribution<double>(0.0, 1.0)(generator);
}

/// The calls that run on this thread, the innermost first, so that a close() from inside a hook of one does not wait
/// for itself. A chain through the callers' stacks.
struct thread_call {
    const void* state;
    const thread_call* outer;
};
inline const thread_call*& innermost_call() {
    thread_local const thread_call* innermost = nullptr;
    return innermost;
}
/// Whether a call of @p state runs on this thread right now.
inline bool calls_on_this_thread(const void* state) {
    for (const thread_call* each = innermost_call(); each != nullptr; each = each->outer) {
        if (each->state == state) return true;
    }
    return false;
}

/// What a session, its views and its handles share. Thread-safe.
class session_state {
public:
    session_state(api_config config, std::unique_ptr<any_transport> transport)
        : config_(std::move(config)),
          pinned_(config_.version ? std::optional<dialect>(dialect_of(*config_.version)) : std::nullopt),
          endpoint_(codec::parse_url(*config_.endpoint)),
          signer_(*config_.access_key, *config_.secret_key, *config_.hash_type),
          budget_(config_.retry),
          transport_(std::move(transport)) {
        while (!endpoint_.path.empty() && endpoint_.path.back() == '/') endpoint_.path.pop_back();
        if (*config_.endpoint_type == "session")
            cookies_ = std::make_unique<cookie_jar>(endpoint_, config_.cookie_file);
    }

    session_state(const session_state&) = delete;
    session_state& operator=(const session_state&) = delete;
    ~session_state() {
        if (executor_) executor_->stop(); // its threads, which share it, end by that
    }

    const api_config& config() const noexcept { return config_; }
    any_transport& transport() noexcept { return *transport_; }
    bool closed() const noexcept { return closing_.cancelled(); }

    /// Ends running calls with client_error{closed} and waits for them, and for the threads of the asynchronous mode:
    /// unless it is called by one of them or from a hook of a running call, which would be waiting for itself.
    void close() {
        closing_.cancel();
        std::unique_lock<std::mutex> lock(mutex_);
        const std::shared_ptr<executor> threads = executor_;
        lock.unlock();
        if (threads) threads->stop();
        if (calls_on_this_thread(this) || (threads && threads->on_own_thread())) return;
        lock.lock();
        idle_.wait(lock, [this] { return running_ == 0; });
        lock.unlock();
        if (threads) threads->join();
    }

    /// The threads of the asynchronous mode, made when first asked for; stopped when the session is closed.
    std::shared_ptr<executor> threads() {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (!executor_) {
            executor_ = std::make_shared<executor>(config_.async_threads);
            if (closed()) executor_->stop();
        }
        return executor_;
    }

    /// Performs a call: the whole pipeline. @p task is that of the asynchronous mode, or null.
    response perform(call& what, const call_options& options, task_control* task = nullptr) {
        const running_call guard(*this);
        if (options.retry) check_retry_policy(*options.retry);
        const exchange_context context = make_context(what, options, task);
        const retry_policy& policy = options.retry ? *options.retry : config_.retry;
        // What is wrong with the arguments is found before anything is sent, the question for the version included.
        http_request request;
        if (!what.complete) request = make_request(what);
        const dialect language = what.negotiates && !what.elsewhere ? negotiated(context, policy) : present_dialect();
        if (what.complete) {
            what.complete(what, language);
            request = make_request(what);
        }
        return make_attempts(request, what, context, policy, language.version);
    }

    /// How to speak with the server: as the configuration says, else as negotiated, now if need be. Errors as
    /// perform().
    dialect negotiate(const call_options& options, task_control* task = nullptr) {
        const running_call guard(*this);
        return negotiated(make_context(call(), options, task), options.retry ? *options.retry : config_.retry);
    }
    /// What is known of that now; the default while nothing is.
    dialect present_dialect() const {
        if (pinned_) return *pinned_;
        const auto known = negotiation_.look();
        return known ? *known : dialect_of(std::string(default_protocol_version));
    }
    version_negotiation& negotiation() noexcept { return negotiation_; }
    /// Those of endpoint_type "session"; null for "api".
    cookie_jar* cookies() noexcept { return cookies_.get(); }
    /// Triggered when the session is closed.
    cancel_token closing() const { return closing_.token(); }

    /// Waits before another attempt of what ended with @p failure; false when there must be none. @param attempt the
    /// number of the one that failed @throws client_error when the waiting is cancelled, closed or out of time
    bool wait_for_retry(const error& failure, int attempt, const call_options& options, task_control* task = nullptr) {
        const running_call guard(*this);
        const retry_policy& policy = options.retry ? *options.retry : config_.retry;
        const exchange_context context = make_context(call(), options, task);
        const auto delay = retry_delay(policy, retry_class::safe, attempt, failure, now(), jitter());
        if (!delay || ends_before(context, *delay) || !budget_.take(false)) return false;
        pause(*delay, context);
        return true;
    }
    /// Waits. @throws as wait_for_retry()
    void wait(std::chrono::milliseconds time, const call_options& options, task_control* task = nullptr) {
        const running_call guard(*this);
        pause(time, make_context(call(), options, task));
    }

    codec::utc_time now() const { return config_.clock ? config_.clock() : std::chrono::system_clock::now(); }
    /// A part of a delay, 0 to 1.
    double jitter() const { return config_.jitter ? config_.jitter() : random_fraction(); }

    /// The headers that identify and authorise a request to @p target with @p content_type.
    /// @param version empty for the present one
    header_list signed_headers(const http_request& request, const std::string& content_type,
                               std::string version = {}) const {
        if (version.empty()) version = present_dialect().version;
        const std::string date = codec::format_date(now());
        const std::string target = request.url.target();
        const std::string host = request.url.host_header();
        header_list headers;
        headers.reserve(8);
        headers.add("User-Agent", *config_.user_agent);
        headers.add("X-BackendAI-Version", version);
        headers.add("Date", date);
        headers.add("Content-Type", content_type);
        if (!cookies_) {
            headers.add("Authorization",
                        signer_.sign({request.method, target, date, host, content_type, version, request.body}));
        } else if (std::string cookies = cookies_->header(request.url, now()); !cookies.empty()) {
            headers.add("Cookie", std::move(cookies));
        }
        return headers;
    }

private:
    // Counts a call in and out, so that close() can wait for it.
    class running_call {
    public:
        explicit running_call(session_state& state) : state_(state) {
            ++state_.running_; // before the look: close() sees either the call or its refusal
            if (state_.closed()) {
                end();
                throw client_error(error_kind::closed, "the session was closed");
            }
            innermost_call() = &link_;
        }
        running_call(const running_call&) = delete;
        running_call& operator=(const running_call&) = delete;
        ~running_call() {
            innermost_call() = link_.outer;
            end();
        }

    private:
        // Only close() waits for the last one, so that calls need no lock before it.
        void end() {
            if (--state_.running_ != 0 || !state_.closed()) return;
            const std::lock_guard<std::mutex> lock(state_.mutex_);
            state_.idle_.notify_all();
        }

        session_state& state_;
        const thread_call link_{&state_, innermost_call()};
    };

    exchange_context make_context(const call& what, const call_options& options, task_control* task) const {
        exchange_context context;
        const auto limit = options.timeout.value_or(config_.timeout);
        if (limit.count() < 0) throw client_error(error_kind::argument, "a time limit is negative; 0 means no limit");
        const bool first = task != nullptr && !task->counted.exchange(true);
        context.deadline = deadline_of(limit, first ? task->called : exchange_context::clock::now());
        context.connect_timeout = config_.connect_timeout;
        context.read_timeout = what.waits_for_compute ? config_.compute_timeout : config_.read_timeout;
        context.cancel = task != nullptr ? task->cancel.token() : options.cancel;
        context.closing = closing_.token();
        return context;
    }

    dialect negotiated(const exchange_context& context, const retry_policy& policy) {
        if (pinned_) return *pinned_;
        return negotiation_.get(context, [&] { return probe(context, policy); });
    }

    // `GET /` under the limits of the call that wants to know.
    probe_result probe(const exchange_context& call_context, const retry_policy& policy) {
        exchange_context context = call_context;
        context.read_timeout = config_.read_timeout;
        call what;
        http_request request = make_request(what);
        try {
            const response answer =
                make_attempts(request, what, context, policy, std::string(default_protocol_version));
            const json greeting = answer.json();
            probe_result result;
            if (greeting.is_object() && greeting.contains("version") && greeting["version"].is_string()) {
                result.announced = greeting["version"].get<std::string>();
            }
            return result;
        } catch (const error& failure) {
            return judge_probe_failure(failure,
                                       context.has_deadline() && exchange_context::clock::now() >= context.deadline);
        }
    }

    // Sends the request until there is an answer to give back, or no more patience.
    response make_attempts(http_request& request, const call& what, const exchange_context& context,
                           const retry_policy& policy, const std::string& version) {
        for (int attempt = 1;; ++attempt) {
            context.check();
            response_sink sink(what.receiver, config_.max_response_size, what.check_status, what.on_head);
            std::optional<api_error> refused;
            std::optional<client_error> failed;
            try {
                attempt_once(request, what, sink, context, attempt, version);
                const int status = sink.head().status;
                if ((status >= 200 && status < 300 && !what.websocket) || (status == 101 && what.websocket)) {
                    budget_.refund(attempt > 1);
                    return response(sink.take_head(), sink.take_body());
                }
                if (status < 400 && !what.check_status) return response(sink.take_head(), sink.take_body());
                refused.emplace(make_api_error(sink.head(), sink.take_body(), secrets_of(request, what)));
            } catch (const client_error& e) {
                failed.emplace(e);
            }
            const error& failure = refused ? static_cast<const error&>(*refused) : *failed;
            const auto delay =
                sink.delivered() ? std::nullopt : retry_delay(policy, what.retry, attempt, failure, now(), jitter());
            const bool timed_out = failed && failed->kind() == error_kind::timeout;
            if (!delay || ends_before(context, *delay) || !budget_.take(timed_out)) {
                if (failed) throw *failed;
                if (what.check_status) throw *refused;
                return response(sink.take_head(), refused->body());
            }
            wait(*delay, context);
        }
    }

    // Takes the body out of the call.
    http_request make_request(call& what) const {
        http_request request;
        if (!is_token(what.method))
            throw client_error(error_kind::argument, "not an HTTP method: \"" + what.method + '"');
        request.method = upper_case(what.method);
        require_field_value(what.content_type, "the content type");
        for (const auto& header : what.headers) {
            if (!is_token(header.first))
                throw client_error(error_kind::argument, "not a header name: \"" + header.first + '"');
            require_field_value(header.second, "a header value");
        }
        try {
            if (what.elsewhere) {
                request.url = *what.elsewhere;
            } else {
                set_place(request, what);
            }
        } catch (const codec::decode_error& e) {
            throw client_error(error_kind::argument, std::string("the path is not usable, ") + e.what());
        }
        if (!what.query.empty()) {
            if (!request.url.query.empty()) request.url.query += '&';
            request.url.query += codec::make_query(what.query);
        }
        request.body = std::move(what.body);
        request.source = what.source;
        return request;
    }

    void set_place(http_request& request, const call& what) const {
        request.url = endpoint_;
        const std::size_t question = what.path.find('?');
        std::string path = codec::canonical_path(what.path.substr(0, question));
        if (path.empty() || path.front() != '/') path.insert(0, "/");
        // A webserver has the manager's whole API below this, and a few paths of its own.
        if (cookies_ && path.compare(0, 8, "/server/") != 0) request.url.path += "/func";
        request.url.path += path;
        if (question != std::string::npos) request.url.query = codec::canonical_query(what.path.substr(question + 1));
    }

    void attempt_once(http_request& request, const call& what, response_sink& sink, const exchange_context& context,
                      int attempt, const std::string& version) {
        if (request.source) rewind(*request.source);
        sign(request, what, version);
        log_record record;
        const auto start = exchange_context::clock::now();
        const std::string asked = config_.on_log ? request.url.path : std::string(); // a redirect changes the request's
        std::optional<codec::url> original;
        const auto finish = [&] {
            if (original) request.url = *original; // another attempt begins at the beginning, not where a redirect led
            if (!config_.on_log) return;
            record.method = request.method;
            record.path = asked;
            record.attempt = attempt;
            record.duration =
                std::chrono::duration_cast<std::chrono::microseconds>(exchange_context::clock::now() - start);
            config_.on_log(record);
        };
        try {
            for (int redirects = 0;; ++redirects) {
                const response_head head = what.websocket ? open_websocket(request, what, sink, context)
                                                          : transport_->exchange(request, sink, context);
                record.status = head.status;
                if (cookies_ && !what.elsewhere) cookies_->absorb(head, request.url, now());
                const auto next = redirects < 5 ? redirect_target(request, head) : std::nullopt;
                if (!next) break;
                if (!original) original = request.url;
                request.url.path = next->path;
                request.url.query = next->query;
                sink.take_body();
                sign(request, what, version);
            }
        } catch (const client_error& e) {
            record.status = 0; // of the redirect
            record.failure = to_string(e.kind());
            finish();
            // A local file that fails in the middle of an exchange does not know that it is in one.
            if (e.kind() == error_kind::io) throw e.after_sending();
            throw;
        } catch (...) {
            record.failure = "handler"; // what receives the body threw an exception of its own
            finish();
            throw;
        }
        finish();
    }

    // A handshake as an exchange: a refusal is an answer like any other.
    response_head open_websocket(http_request& request, const call& what, response_sink& sink,
                                 const exchange_context& context) {
        websocket_opening opening = transport_->open_websocket(request, context);
        sink.on_head(opening.head);
        if (!opening.body.empty()) sink.on_data(opening.body);
        *what.websocket = std::move(opening.stream);
        return std::move(opening.head);
    }

    // Also before the first attempt: a source may have been read before, by an earlier call with the same request.
    static void rewind(codec::byte_source& source) {
        try {
            source.rewind();
        } catch (const codec::source_error& e) {
            throw client_error(error_kind::io, std::string("the body cannot be read from its start: ") + e.what());
        }
    }

    void sign(http_request& request, const call& what, const std::string& version) const {
        if (what.elsewhere) {
            request.headers = {{"User-Agent", *config_.user_agent}};
            if (request.has_body()) request.headers.add("Content-Type", what.content_type);
        } else {
            request.headers = signed_headers(request, what.content_type, version);
        }
        for (const auto& header : what.headers) request.headers.set(header.first, header.second);
    }

    // What a server or proxy that echoes requests must not bring into a log.
    static std::vector<std::string> secrets_of(const http_request& request, const call& what) {
        const std::string header = request.headers.get("Authorization");
        std::vector<std::string> secrets = what.secret.all;
        secrets.push_back(header.substr(header.rfind(':') + 1));
        const std::string cookies = request.headers.get("Cookie");
        for (std::size_t at = 0; at < cookies.size();) {
            const std::size_t end = (std::min)(cookies.find("; ", at), cookies.size());
            secrets.push_back(cookies.substr(at, end - at).substr(cookies.find('=', at) + 1 - at));
            at = end + 2;
        }
        return secrets;
    }

    // Where a redirect leads when it may be followed: a GET without a body that stays on the same origin.
    static std::optional<codec::url> redirect_target(const http_request& request, const response_head& head) {
        const int status = head.status;
        const bool redirect = status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
        if (!redirect || request.method != "GET" || request.has_body()) return {};
        std::string location = head.headers.get("Location");
        if (location.empty()) return {};
        if (location[0] == '/' && location.substr(0, 2) != "//") location.insert(0, request.url.origin());
        try {
            codec::url next = codec::parse_url(location);
            if (next.origin() != request.url.origin()) return {};
            return next;
        } catch (const codec::decode_error&) {
            return {}; // not a place this client goes to: the caller gets the 3xx answer
        }
    }

    static bool ends_before(const exchange_context& context, std::chrono::milliseconds delay) {
        return context.has_deadline() && exchange_context::clock::now() + delay >= context.deadline;
    }

    void pause(std::chrono::milliseconds delay, const exchange_context& context) const {
        wait(delay, context);
        context.check(client_error::progress::maybe_sent);
    }

    void wait(std::chrono::milliseconds delay, const exchange_context& context) const {
        if (config_.sleeper) {
            config_.sleeper(delay);
            return;
        }
        std::mutex mutex;
        std::condition_variable woken;
        const auto wake = [&] {
            const std::lock_guard<std::mutex> lock(mutex);
            woken.notify_all();
        };
        const cancel_token::listener on_cancel(context.cancel, wake);
        const cancel_token::listener on_close(context.closing, wake);
        std::unique_lock<std::mutex> lock(mutex);
        woken.wait_for(lock, delay, [&] { return context.interrupted(); });
    }

    const api_config config_;
    const std::optional<dialect> pinned_; // of the version that the configuration names
    codec::url endpoint_;
    const codec::signer signer_;
    std::unique_ptr<cookie_jar> cookies_; // in place of signatures
    retry_budget budget_;
    std::unique_ptr<any_transport> transport_;
    version_negotiation negotiation_;
    cancel_source closing_;
    std::mutex mutex_;
    std::condition_variable idle_;
    std::atomic<int> running_{0};
    std::shared_ptr<executor> executor_;
};

/// What a handle or a view needs to make calls.
struct call_scope {
    std::shared_ptr<session_state> state;
    call_options options;
    std::shared_ptr<task_control> task = {}; ///< of the asynchronous call that is running

    response perform(call what) const { return state->perform(what, options, task.get()); }
    dialect negotiate() const { return state->negotiate(options, task.get()); }
    /// Opens a websocket. Retry class: safe, as a handshake has no effect. @throws api_error when it is refused
    std::unique_ptr<message_stream> open_websocket(call what) const {
        what.method = "GET";
        what.content_type = "application/octet-stream";
        what.retry = retry_class::safe;
        what.check_status = true;
        what.websocket = std::make_shared<std::unique_ptr<message_stream>>();
        state->perform(what, options, task.get());
        return std::move(*what.websocket);
    }
    /// The same limits, for handles that outlive the call which makes them.
    call_scope outside_task() const { return {state, options}; }
};

} // namespace detail

BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/wire.hpp
/// @file
/// Reading the fields of an answer whose types are not to be trusted: each wrong type is a protocol error that names
/// the field.
#ifndef BACKENDAI_WIRE_HPP
#define BACKENDAI_WIRE_HPP


#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

[[noreturn]] inline void bad_answer(const std::string& what) {
    throw client_error(error_kind::protocol, "the answer is not usable: " + what, client_error::progress::maybe_sent);
}

/// Whether the server's refusal is of a type: the last part of its URI, "object-not-found".
inline bool is_problem(const api_error& refused, std::string_view id) {
    const std::string& type = refused.type();
    return type.size() > id.size() && type.compare(type.size() - id.size(), id.size(), id) == 0 &&
           type[type.size() - id.size() - 1] == '/';
}

/// The members of one JSON object of an answer.
class wire_object {
public:
    /// @param value must be an object, else a protocol error that names @p what.
    wire_object(const json& value, std::string what) : value_(value), what_(std::move(what)) {
        if (!value_.is_object()) bad_answer(what_ + " is not an object");
    }

    /// The member, or nullptr when it is absent or null.
    const json* find(const char* key) const {
        const auto it = value_.find(key);
        return it == value_.end() || it->is_null() ? nullptr : &*it;
    }
    const json& require(const char* key) const {
        const json* member = find(key);
        if (member == nullptr) bad_answer(what_ + " has no \"" + key + '"');
        return *member;
    }
    std::string string(const char* key) const { return as_string(require(key), key); }
    std::string string_or(const char* key, std::string_view fallback) const {
        const json* member = find(key);
        return member == nullptr ? std::string(fallback) : as_string(*member, key);
    }
    std::int64_t integer(const char* key) const { return as_integer(require(key), key); }
    std::int64_t integer_or(const char* key, std::int64_t fallback) const {
        const json* member = find(key);
        return member == nullptr ? fallback : as_integer(*member, key);
    }
    std::optional<int> optional_int(const char* key) const {
        const json* member = find(key);
        if (member == nullptr) return {};
        const std::int64_t value = as_integer(*member, key);
        if (value < INT32_MIN || value > INT32_MAX) bad_answer(what_ + ": \"" + key + "\" is out of range");
        return static_cast<int>(value);
    }
    double number_or(const char* key, double fallback) const {
        const json* member = find(key);
        if (member == nullptr) return fallback;
        if (!member->is_number()) bad_answer(what_ + ": \"" + key + "\" is not a number");
        return member->get<double>();
    }
    bool boolean_or(const char* key, bool fallback) const {
        const json* member = find(key);
        if (member == nullptr) return fallback;
        if (!member->is_boolean()) bad_answer(what_ + ": \"" + key + "\" is not a boolean");
        return member->get<bool>();
    }
    /// The elements of an array member; none when it is absent or null.
    const json::array_t& array_or_empty(const char* key) const {
        static const json::array_t none;
        const json* member = find(key);
        if (member == nullptr) return none;
        if (!member->is_array()) bad_answer(what_ + ": \"" + key + "\" is not a list");
        return member->get_ref<const json::array_t&>();
    }
    wire_object object(const char* key) const { return wire_object(require(key), what_ + "." + key); }

private:
    std::string as_string(const json& member, const char* key) const {
        if (!member.is_string()) bad_answer(what_ + ": \"" + key + "\" is not a text");
        return member.get<std::string>();
    }
    std::int64_t as_integer(const json& member, const char* key) const {
        // Servers send some counts as floats (an age in milliseconds, say).
        if (member.is_number_float()) {
            const double value = member.get<double>();
            if (!(std::fabs(value) < 9e15)) bad_answer(what_ + ": \"" + key + "\" is out of range");
            return static_cast<std::int64_t>(value);
        }
        if (!member.is_number_integer()) bad_answer(what_ + ": \"" + key + "\" is not a number");
        if (member.is_number_unsigned() && member.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX)) {
            bad_answer(what_ + ": \"" + key + "\" is out of range");
        }
        return member.get<std::int64_t>();
    }

    const json& value_;
    std::string what_;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif

#include <optional>
#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// Servers from 26.3 on have the envelope at the old path too: exactly `data` and `errors`.
inline bool is_graphql_envelope(const json& answer) {
    if (!answer.is_object() || answer.size() != 2 || !answer.contains("data") || !answer.contains("errors"))
        return false;
    const json& errors = answer["errors"];
    return errors.is_null() ||
           (errors.is_array() && !errors.empty() && errors[0].is_object() && errors[0].contains("message"));
}

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

BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/api/pages.hpp
/// @file
/// Long listings, a page at a time.
#ifndef BACKENDAI_API_PAGES_HPP
#define BACKENDAI_API_PAGES_HPP

// ---- backendai/mode.hpp
/// @file
/// The modes of a session. Every API function's body is written once, blocking; the mode decides how it is run.
#ifndef BACKENDAI_MODE_HPP
#define BACKENDAI_MODE_HPP


#include <chrono>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// A stream's functions called where they are wanted. The asynchronous counterpart is async_stream_io.
/// @tparam Body see stream_engine; and `value read()`, which waits
template <class Body>
class blocking_stream_io {
public:
    using value = typename Body::value;

    template <class... Arguments>
    explicit blocking_stream_io(const call_scope& /*scope*/, Arguments&&... arguments)
        : body_(std::make_unique<Body>(std::forward<Arguments>(arguments)...)) {}
    blocking_stream_io(blocking_stream_io&&) noexcept = default;
    blocking_stream_io& operator=(blocking_stream_io&& other) noexcept {
        if (this != &other) {
            end();
            body_ = std::move(other.body_);
        }
        return *this;
    }
    blocking_stream_io(const blocking_stream_io&) = delete;
    blocking_stream_io& operator=(const blocking_stream_io&) = delete;
    ~blocking_stream_io() { end(); }

    Body& body() const noexcept { return *body_; }
    value read() const { return body_->read(); }
    template <class T>
    T read_for(std::chrono::milliseconds limit, T (*convert)(std::optional<value>&&)) const {
        return convert(body_->read_for(limit));
    }
    template <class Work>
    void write(Work&& work) const {
        std::forward<Work>(work)(*body_);
    }

private:
    void end() noexcept {
        if (body_) body_->end();
    }

    std::unique_ptr<Body> body_;
};

} // namespace detail

/// Calls run on the calling thread and return their result.
struct blocking {
    template <class T>
    using result = T;

    template <class Body>
    static auto run(const detail::call_scope& scope, Body&& body)
        -> std::invoke_result_t<Body, const detail::call_scope&> {
        return std::forward<Body>(body)(scope);
    }

    /// What connect_websocket() opens.
    using stream = message_stream;
    static std::unique_ptr<stream> wrap(const detail::call_scope& /*scope*/, std::unique_ptr<message_stream> opened) {
        return opened;
    }
    template <class Body>
    using stream_io = detail::blocking_stream_io<Body>;
};

BACKENDAI_NAMESPACE_END

#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

/// Which part of a listing, and how it is put in order.
struct page_query {
    int page_size = 100;     ///< items of a page, 1 to 100
    std::int64_t offset = 0; ///< items to leave out at the beginning
    /// An expression of the server's, `status == "TERMINATED"`; from v6.20210815 on. What is put into it from outside
    /// is the caller's to check: the expression is theirs, and only data that the caller may see anyway are listed.
    std::optional<std::string> filter;
    /// A field with `+` or `-` before it, "-created_at"; from 19.09 (v4.20190615) on, where there are pages.
    std::optional<std::string> order;
};

/// One page of a listing.
struct page_result {
    std::vector<json> items;
    std::int64_t total_count = 0; ///< of the whole listing, by the server's count at that time
};

namespace detail {

/// A listing of one kind.
struct listing {
    const char* paged; ///< GraphQL field of a page: {items, total_count}
    const char* plain; ///< GraphQL field of the whole list, where there are no pages
    page_order dialect_rules::*order;
    /// Adds what the listing is filtered by.
    std::function<void(graphql_text&, const dialect&)> arguments;
    std::function<std::string(const dialect&)> selection;
};

inline void check_page_query(const page_query& wanted) {
    if (wanted.page_size < 1 || wanted.page_size > 100)
        throw client_error(error_kind::argument, "page_size is not from 1 to 100");
    if (wanted.offset < 0 || wanted.offset > INT32_MAX) // GraphQL's Int
        throw client_error(error_kind::argument, "offset is out of range");
    if (!wanted.order) return;
    const std::string& order = *wanted.order;
    const std::size_t name = order.find_first_not_of("+-");
    bool good = name <= 1 && name < order.size() && is_name_start(order[name]);
    for (std::size_t i = name; good && i < order.size(); ++i) good = is_name_character(order[i]);
    if (!good) throw client_error(error_kind::argument, "order is not a field with + or - before it");
}

inline void write_order(graphql_text& text, const page_query& wanted, page_order order) {
    if (order == page_order::expressions) {
        if (wanted.filter) text.argument("filter", "String", *wanted.filter);
        if (wanted.order) text.argument("order", "String", *wanted.order);
    } else if (wanted.order) {
        text.argument("order_key", "String", wanted.order->substr(wanted.order->find_first_not_of("+-")));
        text.argument("order_asc", "Boolean", wanted.order->front() != '-');
    }
}

/// The whole list of a server without pages, from the offset on.
inline page_result read_plain(std::vector<json> items, std::int64_t offset) {
    page_result result;
    result.total_count = static_cast<std::int64_t>(items.size());
    const auto skipped = (std::min)(offset, result.total_count);
    items.erase(items.begin(), items.begin() + static_cast<std::ptrdiff_t>(skipped));
    result.items = std::move(items);
    return result;
}

/// Fetches one page; all of the rest where there are no pages.
inline page_result fetch_page(const call_scope& scope, const listing& what, const page_query& wanted) {
    check_page_query(wanted);
    const dialect language = scope.negotiate();
    const page_order order = language.*what.order;
    if (wanted.filter) language.require(feature::page_filter);
    if (wanted.order) language.require(feature::page_order);
    if (order == page_order::none) {
        if (wanted.order) throw client_error(error_kind::argument, "this server has no pages of it, and so no order");
        graphql_text text("query", what.plain);
        what.arguments(text, language);
        text.select(what.selection(language));
        return read_plain(query_list(scope, text), wanted.offset);
    }
    graphql_text text("query", what.paged);
    text.argument("limit", "Int!", wanted.page_size).argument("offset", "Int!", wanted.offset);
    write_order(text, wanted, order);
    what.arguments(text, language);
    text.select("items { " + what.selection(language) + " } total_count");
    json found = query_field(scope, text);
    const wire_object fields(found, '"' + text.field() + '"');
    page_result result;
    result.total_count = fields.integer("total_count");
    fields.array_or_empty("items"); // of the right type
    if (found["items"].is_array()) result.items = std::move(found["items"].get_ref<json::array_t&>());
    return result;
}

/// The page that was asked for and no more, also where the server gives the whole list.
inline page_result fetch_single_page(const call_scope& scope, const listing& what, const page_query& wanted) {
    page_result result = fetch_page(scope, what, wanted);
    if (result.items.size() > static_cast<std::size_t>(wanted.page_size))
        result.items.resize(static_cast<std::size_t>(wanted.page_size));
    return result;
}

/// Where an iteration stands. Thread-safe.
class page_cursor {
public:
    page_cursor(listing what, page_query wanted) : what_(std::move(what)), wanted_(std::move(wanted)) {}

    std::optional<json> next(const call_scope& scope) {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (at_ == page_.items.size()) {
            if (is_over_) return std::nullopt;
            page_ = fetch_page(scope, what_, wanted_);
            at_ = 0;
            wanted_.offset += static_cast<std::int64_t>(page_.items.size());
            is_over_ = page_.items.empty() || wanted_.offset >= page_.total_count;
            if (page_.items.empty()) return std::nullopt;
        }
        return std::move(page_.items[at_++]);
    }

private:
    std::mutex mutex_;
    const listing what_;
    page_query wanted_;
    page_result page_;
    std::size_t at_ = 0;
    bool is_over_ = false;
};

} // namespace detail

/// A listing that is fetched a page at a time while it is gone through, so that one page of it is in memory. Single
/// pass; copies share the place. What the server adds or removes meanwhile may be missed or come twice, as it counts
/// from the beginning for each page. Makes no request before the first item is asked for.
///
/// In blocking mode: `for (const json& item : range)`, or next() until there is none. In asynchronous mode next() is a
/// future; ask for the next one when the one before has come. Errors as in api/admin.hpp; after one the same page can
/// be asked for again.
template <class Mode>
class page_range {
public:
    page_range(detail::call_scope scope, detail::listing what, page_query wanted)
        : scope_(std::move(scope)),
          cursor_(std::make_shared<detail::page_cursor>(std::move(what), std::move(wanted))) {}

    /// The next item, or nothing at the end. Retry class: safe.
    typename Mode::template result<std::optional<json>> next() {
        return Mode::run(scope_, [cursor = cursor_](const detail::call_scope& scope) { return cursor->next(scope); });
    }

    class iterator {
    public:
        using iterator_category = std::input_iterator_tag;
        using value_type = json;
        using difference_type = std::ptrdiff_t;
        using pointer = const json*;
        using reference = const json&;

        iterator() = default;
        explicit iterator(page_range& range) : range_(&range) { ++*this; }
        const json& operator*() const { return *item_; }
        const json* operator->() const { return item_.get(); }
        iterator& operator++() {
            std::optional<json> item = range_->next();
            if (item) {
                item_ = std::make_shared<const json>(std::move(*item));
            } else {
                range_ = nullptr;
            }
            return *this;
        }
        friend bool operator==(const iterator& a, const iterator& b) { return a.range_ == b.range_; }
        friend bool operator!=(const iterator& a, const iterator& b) { return !(a == b); }

    private:
        page_range* range_ = nullptr;
        std::shared_ptr<const json> item_; // copies of an iterator see the same item
    };
    iterator begin() {
        static_assert(std::is_same_v<Mode, blocking>,
                      "backendai: range-for over pages is for blocking sessions: use next(), which is a future here");
        return iterator(*this);
    }
    iterator end() { return {}; }

private:
    detail::call_scope scope_;
    std::shared_ptr<detail::page_cursor> cursor_;
};

BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/api/session_list.hpp
/// @file
/// Compute sessions as administrators and owners see them: listed, and looked at by id.
#ifndef BACKENDAI_API_SESSION_LIST_HPP
#define BACKENDAI_API_SESSION_LIST_HPP

// ---- backendai/api/kernel_call.hpp
/// @file
/// Calls about one compute session.
#ifndef BACKENDAI_API_KERNEL_CALL_HPP
#define BACKENDAI_API_KERNEL_CALL_HPP


#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

inline void require_single_name(const std::string& text, const char* what) {
    if (text.empty() || has_control_character(text)) {
        throw client_error(error_kind::argument, std::string(what) + " is empty or holds a control character");
    }
}

/// The 36 characters of a UUID.
inline bool is_uuid(std::string_view text) {
    if (text.size() != 36) return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        const char c = text[i];
        const bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        if (dash ? c != '-' : !hex) return false;
    }
    return true;
}

/// A call about a session. Its path depends on the server's generation and is written at the end, with what @p more
/// adds then.
inline call kernel_call(const char* method, const std::string& kernel_id, const char* suffix = "",
                        std::function<void(call&, const dialect&)> more = {}) {
    require_single_name(kernel_id, "the session id");
    call what;
    what.method = method;
    what.complete = [rest = '/' + codec::escape_segment(kernel_id) + suffix,
                     more = std::move(more)](call& request, const dialect& language) {
        request.path = std::string(language.session_path) + rest;
        if (more) more(request, language);
    };
    return what;
}

/// The same for a function that not every server has.
inline call kernel_call(const char* method, const std::string& kernel_id, const char* suffix, feature needed) {
    return kernel_call(method, kernel_id, suffix,
                       [needed](call& /*request*/, const dialect& language) { language.require(needed); });
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/api/kernel_create.hpp
/// @file
/// The creation of compute sessions: what can be asked for, how it is written for each generation of servers, and what
/// the answer tells.
#ifndef BACKENDAI_API_KERNEL_CREATE_HPP
#define BACKENDAI_API_KERNEL_CREATE_HPP


#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

/// An amount of a resource: a text ("0.5", "4g") or a number, sent as it was given.
struct resource_amount {
    resource_amount(const char* text) : value(text) {}            // NOLINT(google-explicit-constructor)
    resource_amount(std::string text) : value(std::move(text)) {} // NOLINT(google-explicit-constructor)
    template <class Number, std::enable_if_t<std::is_arithmetic_v<Number>, int> = 0>
    resource_amount(Number number) : value(number) {} // NOLINT(google-explicit-constructor)
    json value;
};

/// Options of get_or_create(). The servers that know an option first are named with it; setting one that the session's
/// protocol version does not know is a client_error{argument}.
struct create_options {
    /// Names the session for reuse, 4 to 64 letters, digits, `_`, and `.` or `-` inside. None: a random name, hence a
    /// new session.
    std::optional<std::string> client_token;
    std::vector<std::string> mounts;                      ///< virtual folders, besides api_config::vfolder_mounts
    std::map<std::string, std::string> envs;              ///< environment variables of the session
    std::map<std::string, resource_amount> resources;     ///< {"cpu", 1}, {"mem", "4g"}, {"cuda.shares", "0.5"} ...
    std::map<std::string, resource_amount> resource_opts; ///< {"shmem", "64m"}
    std::optional<std::string> scaling_group;             ///< which group of agents to run on
    int cluster_size = 1;                                 ///< containers in the session, at least 1
    std::optional<std::string> tag;                       ///< a note of your own

    // 19.09 (v4.20190615) on
    std::optional<std::string> type;            ///< "interactive" (default), "batch", "inference" (23.03 on)
    std::optional<std::string> group;           ///< the project that pays, "default" when not given
    std::optional<std::string> domain;          ///< "default" when not given
    std::optional<std::string> startup_command; ///< what a batch session runs
    bool enqueue_only = false;                  ///< return at once; status() is then "PENDING"
    std::chrono::seconds max_wait{0};           ///< how long the server waits for the start; 0 = without limit. When it
                                                ///< is over the session stays queued and status() is "TIMEOUT"
    bool no_reuse = false;                      ///< a running session of that name is an error
    std::optional<std::string> owner_access_key; ///< whose session it is to be; admins only

    // 20.03 (v5.20191215) on
    std::map<std::string, std::string> mount_map; ///< virtual folder -> absolute path in the session
    std::vector<int> preopen_ports;               ///< ports of your own that are to be services too
    std::optional<std::string> bootstrap_script;  ///< runs before the session can be used
    std::optional<std::string> starts_at;         ///< ISO 8601; batch sessions only

    // 20.09 (v6.20200815) on
    std::optional<std::string> cluster_mode; ///< "single-node" (default) or "multi-node"
    std::vector<std::string> agent_list;     ///< the agents to run on; super-admins only

    // 22.03 (v6.20220315) on
    std::vector<std::string> dependencies;   ///< sessions that have to succeed before, by name or UUID
    std::optional<std::string> callback_url; ///< is told of the session's state
    std::optional<std::string> architecture; ///< "x86_64" (default), "aarch64"

    std::map<std::string, json> mount_options;       ///< folder -> {"permission": ...}; 24.03 (v8.20240315) on
    std::optional<int> priority;                     ///< in the queue; 24.09 (v8.20240915) on
    std::optional<std::string> attach_network;       ///< UUID of a network; 24.12 (v8.20240915) on
    std::vector<std::string> mount_ids;              ///< folders by UUID; 25.12 (v9.20250722) on
    std::map<std::string, std::string> mount_id_map; ///< folder's UUID -> path; 25.12 (v9.20250722) on
};

/// A network service inside a compute session.
struct service_port {
    std::string name;     ///< "jupyter"
    std::string protocol; ///< "http", "tcp", "pty"
    int container_port = 0;
    int host_port = 0; ///< 0 where the server does not say
    json raw;          ///< with all ports of a service that has several
};

/// What get_or_create() came to know.
struct kernel_creation {
    std::string kernel_id; ///< the client token, and the session's UUID from 20.03 on
    std::string name;      ///< the client token
    bool created = false;  ///< false when an existing session was reused
    std::string status;    ///< "RUNNING", "PENDING", "TIMEOUT" ...; empty where the server does not say
    std::vector<service_port> service_ports;
    json raw;
};

namespace detail {

// Client token: 4 to 64 characters, letters, digits and `_` at both ends, `.` and `-` allowed inside.
inline void check_client_token(const std::string& token) {
    const auto word = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    };
    bool good = token.size() >= 4 && token.size() <= 64 && word(token.front()) && word(token.back());
    for (const char c : token) good = good && (word(c) || c == '.' || c == '-');
    if (!good) {
        throw client_error(error_kind::argument, "the client token \"" + token +
                                                     "\" is not 4 to 64 letters, digits, '_', and '.' or '-' inside");
    }
}

inline std::string random_token() {
    std::random_device device;
    std::string text;
    for (int i = 0; i < 4; ++i) {
        constexpr char digits[] = "0123456789abcdef";
        unsigned value = device();
        for (int j = 0; j < 8; ++j, value >>= 4) text += digits[value & 15];
    }
    return text;
}

/// Writes the options that not every server knows: those that are set, each refused where it is not known.
class optional_members {
public:
    explicit optional_members(const dialect& language) : language_(language) {}

    template <class T>
    void add(json& to, const char* key, feature what, const std::optional<T>& value) const {
        if (!value) return;
        language_.require(what);
        to[key] = *value;
    }
    /// A list or map; an empty one is not set.
    template <class Container>
    void add_all(json& to, const char* key, feature what, const Container& values) const {
        if (values.empty()) return;
        language_.require(what);
        to[key] = values;
    }
    /// A number or switch that is set when it is not @p usual.
    template <class T>
    void add_unless(json& to, const char* key, feature what, const T& value, const T& usual) const {
        if (value == usual) return;
        language_.require(what);
        to[key] = value;
    }

private:
    const dialect& language_;
};

inline json write_amounts(const std::map<std::string, resource_amount>& amounts) {
    json object = json::object();
    for (const auto& [name, amount] : amounts) object[name] = amount.value;
    return object;
}

/// The body of a creation. @param mounts those of the configuration included
inline json write_creation(const std::string& image, const create_options& options,
                           const std::vector<std::string>& mounts, const dialect& language) {
    const optional_members maybe(language);
    json config = {{"mounts", mounts}, {"environ", options.envs}, {"resources", write_amounts(options.resources)}};
    if (!options.resource_opts.empty()) config["resource_opts"] = write_amounts(options.resource_opts);
    if (options.scaling_group) config["scaling_group"] = *options.scaling_group;
    maybe.add_all(config, "mount_map", feature::mount_map, options.mount_map);
    maybe.add_all(config, "preopen_ports", feature::preopen_ports, options.preopen_ports);
    maybe.add_all(config, "agent_list", feature::agent_list, options.agent_list);
    maybe.add_all(config, "mount_options", feature::mount_options, options.mount_options);
    maybe.add(config, "attach_network", feature::attach_network, options.attach_network);
    maybe.add_all(config, "mount_ids", feature::mount_ids, options.mount_ids);
    maybe.add_all(config, "mount_id_map", feature::mount_id_map, options.mount_id_map);

    json body = {{std::string(language.image_key), image},
                 {"tag", options.tag ? json(*options.tag) : json()},
                 {std::string(language.session_name_key), options.client_token.value_or(random_token())}};
    maybe.add(body, "type", feature::session_type, options.type);
    maybe.add(body, "group", feature::group, options.group);
    maybe.add(body, "domain", feature::domain, options.domain);
    maybe.add(body, "startupCommand", feature::startup_command, options.startup_command);
    maybe.add_unless(body, "enqueueOnly", feature::enqueue_only, options.enqueue_only, false);
    maybe.add_unless(body, "maxWaitSeconds", feature::max_wait, options.max_wait.count(), std::chrono::seconds::rep{0});
    maybe.add_unless(body, "reuseIfExists", feature::no_reuse, !options.no_reuse, true);
    maybe.add(body, "owner_access_key", feature::owner_access_key, options.owner_access_key);
    maybe.add(body, "bootstrap_script", feature::bootstrap_script, options.bootstrap_script);
    maybe.add(body, "starts_at", feature::starts_at, options.starts_at);
    maybe.add(body, "clusterMode", feature::cluster_mode, options.cluster_mode);
    maybe.add_all(body, "dependencies", feature::dependencies, options.dependencies);
    maybe.add(body, "callback_url", feature::callback_url, options.callback_url);
    maybe.add(body, "architecture", feature::architecture, options.architecture);
    maybe.add(body, "priority", feature::priority, options.priority);
    (language.cluster_size_in_config ? config : body)["clusterSize"] = options.cluster_size;
    body["config"] = std::move(config);
    return body;
}

/// A port of a service: a number, or the first one of a list.
inline int first_port(const wire_object& fields, const char* number, const char* list) {
    if (const auto port = fields.optional_int(number)) return *port;
    const json::array_t& ports = fields.array_or_empty(list);
    if (ports.empty()) return 0;
    if (!ports.front().is_number_integer()) bad_answer(std::string("a port in \"") + list + "\" is not a number");
    return ports.front().get<int>();
}

// {name, protocol, container_port, host_port} in 19.03, {name, protocol, ports} later, {..., container_ports,
// host_ports} of sessions that are reused.
inline service_port read_service_port(const json& value) {
    const wire_object fields(value, "a service port");
    service_port port;
    port.name = fields.string("name");
    port.protocol = fields.string_or("protocol", "");
    port.container_port =
        first_port(fields, "container_port", fields.find("ports") != nullptr ? "ports" : "container_ports");
    port.host_port = first_port(fields, "host_port", "host_ports");
    port.raw = value;
    return port;
}

/// @param id_key the member that holds the session's id
inline kernel_creation read_creation(json answer, const std::string& id_key) {
    kernel_creation made;
    const wire_object fields(answer, "the created session");
    made.kernel_id = fields.string(id_key.c_str());
    if (made.kernel_id.empty()) bad_answer(id_key + " of the created session is empty");
    made.name = fields.string_or("sessionName", made.kernel_id);
    made.created = fields.boolean_or("created", true);
    made.status = fields.string_or("status", "");
    // A reused session tells its services under the other name.
    for (const char* key : {"servicePorts", "service_ports"}) {
        for (const json& port : fields.array_or_empty(key)) made.service_ports.push_back(read_service_port(port));
    }
    made.raw = std::move(answer);
    return made;
}

inline void check_create_options(const std::string& lang, const create_options& options) {
    require_single_name(lang, "the image name");
    if (options.client_token) check_client_token(*options.client_token);
    if (options.cluster_size < 1) throw client_error(error_kind::argument, "cluster_size must be at least 1");
    if (options.max_wait.count() < 0) throw client_error(error_kind::argument, "max_wait must not be negative");
    for (const std::string& mount : options.mounts) require_single_name(mount, "a mount");
}

inline kernel_creation kernel_get_or_create(const call_scope& scope, const std::string& lang,
                                            const create_options& options) {
    check_create_options(lang, options);
    std::vector<std::string> mounts = *scope.state->config().vfolder_mounts;
    for (const std::string& mount : options.mounts) {
        if (std::find(mounts.begin(), mounts.end(), mount) == mounts.end()) mounts.push_back(mount);
    }
    call what;
    what.method = "POST";
    what.waits_for_compute = true;
    // The client token makes it idempotent: a second try gets the session that the first one made.
    what.retry = options.no_reuse ? retry_class::unsafe : retry_class::safe;
    std::string id_key;
    what.complete = [&](call& request, const dialect& language) {
        id_key = language.session_id_key;
        request.path = std::string(language.create_session_path);
        request.set_json(write_creation(lang, options, mounts, language));
    };
    json answer = scope.perform(std::move(what)).json();
    return read_creation(std::move(answer), id_key);
}

} // namespace detail

BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/api/kernel_match.hpp
/// @file
/// Compute sessions looked up by name.
#ifndef BACKENDAI_API_KERNEL_MATCH_HPP
#define BACKENDAI_API_KERNEL_MATCH_HPP


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

inline std::vector<session_match> kernel_match(const call_scope& scope, const std::string& id) {
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
// ---- backendai/codec/uuid.hpp
/// @file
/// The textual form of UUIDs.
#ifndef BACKENDAI_CODEC_UUID_HPP
#define BACKENDAI_CODEC_UUID_HPP


#include <cstddef>
#include <string_view>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// Whether the text is a UUID: 36 characters, hexadecimal digits in any case and four dashes.
inline bool is_uuid(std::string_view text) {
    if (text.size() != 36) return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        const char c = text[i];
        const bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        if (dash ? c != '-' : !hex) return false;
    }
    return true;
}

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

/// Which compute sessions are listed.
struct session_filter {
    /// PREPARING, BUILDING, RUNNING, RESTARTING, RESIZING, SUSPENDED, TERMINATING, TERMINATED, ERROR; from 20.03 on
    /// more (PENDING, CANCELLED ...), and several with commas between. With nothing given the server decides.
    std::optional<std::string> status = "RUNNING";
    std::optional<std::string> access_key;  ///< whose; needs admin rights
    std::optional<std::string> domain_name; ///< needs admin rights; 19.09 (v4.20190615) on
    std::optional<std::string> group_id;    ///< UUID; 19.09 (v4.20190615) on
    /// By the server's names; those of 19.03 (sess_id, lang) do on later servers too. Default: sess_id image tag
    /// created_at terminated_at status occupied_slots, and mem_cur_bytes mem_max_bytes cpu_using before 20.03, id name
    /// type from it on.
    field_list fields;
};

namespace detail {

/// The selection of session fields: old names come as aliases of what took their place.
inline std::string select_session_fields(const field_list& fields, std::string_view fallback, const dialect& language) {
    if (fields.empty()) return std::string(fallback);
    std::string out;
    for (const std::string& field : fields) {
        std::string text = field_checker(field).check();
        for (const field_rename& known : language.session_renames) {
            if (text == known.from) text += ": " + std::string(known.to);
        }
        out += (out.empty() ? "" : " ") + text;
    }
    return out;
}

inline void filter_by_group(graphql_text& text, const dialect& language, const std::optional<std::string>& domain_name,
                            const std::optional<std::string>& group_id) {
    if (domain_name) {
        language.require(feature::list_domain);
        text.argument("domain_name", "String", *domain_name);
    }
    if (group_id) {
        language.require(feature::list_group);
        text.argument("group_id", std::string(language.group_id_type), *group_id);
    }
}

inline listing session_listing(session_filter filter) {
    listing what{"compute_session_list", "compute_sessions", &dialect_rules::session_pages, {}, {}};
    what.selection = [fields = filter.fields](const dialect& language) {
        return select_session_fields(fields, language.sessions_fields, language);
    };
    what.arguments = [filter = std::move(filter)](graphql_text& text, const dialect& language) {
        // User keys have no such argument, so it is there only when it is used.
        if (filter.access_key) text.argument("access_key", "String", *filter.access_key);
        filter_by_group(text, language, filter.domain_name, filter.group_id);
        text.argument("status", "String", filter.status ? json(*filter.status) : json());
    };
    return what;
}

inline json session_by_uuid(const call_scope& scope, const std::string& id, const std::string& selection) {
    graphql_text text("query", "compute_session");
    text.argument("id", "UUID!", id).select(selection);
    return query_field(scope, text);
}

inline json session_by_name(const call_scope& scope, const std::string& name, const std::string& selection,
                            const dialect& language) {
    check_client_token(name); // and so nothing that means something in a filter
    if (language.session_pages == page_order::expressions) {
        listing what{"compute_session_list", "", &dialect_rules::session_pages, [](graphql_text&, const dialect&) {},
                     [&selection](const dialect&) { return selection; }};
        page_query wanted;
        wanted.page_size = 1;
        wanted.filter = "name == \"" + name + '"';
        wanted.order = "-created_at"; // names are used again: the newest
        page_result found = fetch_page(scope, what, wanted);
        return found.items.empty() ? json() : std::move(found.items.front());
    }
    for (const session_match& match : kernel_match(scope, name)) {
        if (match.name == name) return session_by_uuid(scope, match.id, selection);
    }
    return {};
}

inline json session_info(const call_scope& scope, const std::string& kernel_id, const field_list& fields) {
    const dialect language = scope.negotiate();
    const std::string selection = select_session_fields(fields, language.session_fields, language);
    if (language.session_by_uuid) {
        return codec::is_uuid(kernel_id) ? session_by_uuid(scope, kernel_id, selection)
                                         : session_by_name(scope, kernel_id, selection, language);
    }
    graphql_text text("query", "compute_session");
    text.argument("sess_id", "String", kernel_id).select(selection);
    json found = query_field(scope, text);
    // 19.03 answers an unknown id with an object that is null in every field.
    bool empty = found.is_object();
    for (const json& value : found) empty = empty && value.is_null();
    return empty ? json() : found;
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/api/vfolder_list.hpp
/// @file
/// Virtual folders as administrators and owners see them: listed by GraphQL.
#ifndef BACKENDAI_API_VFOLDER_LIST_HPP
#define BACKENDAI_API_VFOLDER_LIST_HPP


#include <optional>
#include <string>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN

/// Which virtual folders are listed.
struct vfolder_filter {
    std::optional<std::string> access_key;  ///< whose; another one than the caller's needs admin rights
    std::optional<std::string> domain_name; ///< needs admin rights; 19.09 (v4.20190615) on
    std::optional<std::string> group_id;    ///< UUID; 19.09 (v4.20190615) on
    field_list fields;                      ///< default: name created_at last_used max_files max_size
};

namespace detail {

inline listing vfolder_listing(vfolder_filter filter) {
    listing what{"vfolder_list", "vfolders", &dialect_rules::folder_pages, {}, {}};
    what.selection = [fields = filter.fields](const dialect&) {
        return select_fields(fields, "name created_at last_used max_files max_size");
    };
    what.arguments = [filter = std::move(filter)](graphql_text& text, const dialect& language) {
        if (filter.access_key) text.argument("access_key", "String", *filter.access_key);
        filter_by_group(text, language, filter.domain_name, filter.group_id);
    };
    return what;
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif

#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

/// Administration: `session.admin()`.
template <class Transport, class Mode>
class basic_admin_functions {
    template <class T>
    using result = typename Mode::template result<T>;

public:
    explicit basic_admin_functions(detail::call_scope scope) : scope_(std::move(scope)) {}

    /// Runs a GraphQL document of the caller's and returns the data, as the server sent them: `POST /admin/graphql`, or
    /// `/admin/gql` from v6.20210815 on. The schema is the server's: see its version's manual.
    /// @param query     the document; put values into variables, not into its text
    /// @param variables an object, or null
    /// Retry class: safe for queries, unsafe for what holds a mutation.
    result<json> query(std::string query, json variables = json::object()) const {
        return Mode::run(scope_,
                         [query = std::move(query), variables = std::move(variables)](const detail::call_scope& scope) {
                             return detail::admin_query(scope, query, variables);
                         });
    }
    /// The compute sessions that fit the filter, newest first, at most 100: kernel().paginated_list() gives all. Texts
    /// that hold JSON are decoded. Retry class: safe.
    result<std::vector<json>> sessions(session_filter filter = {}) const {
        return Mode::run(scope_, [filter = std::move(filter)](const detail::call_scope& scope) {
            return detail::fetch_single_page(scope, detail::session_listing(filter), {}).items;
        });
    }
    /// One compute session in detail, or null when there is none of that id. Retry class: safe.
    /// @param kernel_id client token, or UUID from 20.03 on; of several sessions of a token the newest, on 19.03 the
    /// one
    ///                  that runs
    /// @param fields    default: what the dialect's server has of sess_id image tag created_at terminated_at status
    ///                  status_info occupied_slots num_queries, and more
    result<json> session(std::string kernel_id, field_list fields = {}) const {
        return Mode::run(
            scope_, [kernel_id = std::move(kernel_id), fields = std::move(fields)](const detail::call_scope& scope) {
                return detail::session_info(scope, kernel_id, fields);
            });
    }
    /// The virtual folders of the caller or of the filter's access key, at most 100: vfolder().paginated_list() gives
    /// all. Retry class: safe.
    result<std::vector<json>> vfolders(vfolder_filter filter = {}) const {
        return Mode::run(scope_, [filter = std::move(filter)](const detail::call_scope& scope) {
            return detail::fetch_single_page(scope, detail::vfolder_listing(filter), {}).items;
        });
    }

private:
    detail::call_scope scope_;
};

BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/api/agent.hpp
/// @file
/// Agents, the machines that compute sessions run on. Everything here needs admin rights. Errors as in api/admin.hpp.
#ifndef BACKENDAI_API_AGENT_HPP
#define BACKENDAI_API_AGENT_HPP


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

inline std::vector<json> agent_list(const call_scope& scope, const std::optional<std::string>& status,
                                    const field_list& fields) {
    graphql_text text("query", "agents");
    text.argument("status", "String", status ? json(*status) : json());
    text.select(select_fields(fields, default_agent_fields));
    return query_list(scope, text);
}

inline listing agent_listing(agent_filter filter) {
    listing what{"agent_list", "agents", &dialect_rules::agent_pages, {}, {}};
    what.selection = [fields = filter.fields](const dialect&) { return select_fields(fields, default_agent_fields); };
    what.arguments = [filter = std::move(filter)](graphql_text& text, const dialect& language) {
        if (filter.scaling_group) {
            language.require(feature::list_scaling_group);
            text.argument("scaling_group", "String", *filter.scaling_group);
        }
        text.argument("status", "String", filter.status ? json(*filter.status) : json());
    };
    return what;
}

inline json agent_info(const call_scope& scope, const std::string& agent_id, const field_list& fields) {
    graphql_text text("query", "agent");
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
// ---- backendai/api/image.hpp
/// @file
/// Images, what compute sessions are made from. Errors as in api/admin.hpp.
#ifndef BACKENDAI_API_IMAGE_HPP
#define BACKENDAI_API_IMAGE_HPP


#include <optional>
#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

namespace detail {

inline std::vector<json> image_list(const call_scope& scope, const field_list& fields) {
    graphql_text text("query", "images");
    text.select(select_fields(fields, "name tag hash"));
    return query_list(scope, text);
}

inline void image_rescan(const call_scope& scope, const std::optional<std::string>& registry) {
    graphql_text text("mutation", "rescan_images");
    text.argument("registry", "String", registry ? json(*registry) : json()).select("ok msg");
    run_mutation(scope, text);
}

inline void image_alias(const call_scope& scope, const std::string& alias, const std::string& target) {
    graphql_text text("mutation", "alias_image");
    text.argument("alias", "String!", alias).argument("target", "String!", target).select("ok msg");
    run_mutation(scope, text);
}

inline void image_dealias(const call_scope& scope, const std::string& alias) {
    graphql_text text("mutation", "dealias_image");
    text.argument("alias", "String!", alias).select("ok msg");
    run_mutation(scope, text);
}

} // namespace detail

/// Functions of images: `session.image()`.
template <class Transport, class Mode>
class basic_image_functions {
    template <class T>
    using result = typename Mode::template result<T>;

public:
    explicit basic_image_functions(detail::call_scope scope) : scope_(std::move(scope)) {}

    /// The images of the cluster. @param fields default: name tag hash. Retry class: safe.
    result<std::vector<json>> list(field_list fields = {}) const {
        return Mode::run(scope_, [fields = std::move(fields)](const detail::call_scope& scope) {
            return detail::image_list(scope, fields);
        });
    }
    /// Has the server look for new images. Needs admin rights. @param registry all when not given. Retry class: unsafe.
    result<void> rescan(std::optional<std::string> registry = {}) const {
        return Mode::run(scope_, [registry = std::move(registry)](const detail::call_scope& scope) {
            detail::image_rescan(scope, registry);
        });
    }
    /// Makes @p alias another name of the image @p target. Needs admin rights. Retry class: unsafe.
    result<void> alias(std::string alias, std::string target) const {
        return Mode::run(scope_, [alias = std::move(alias), target = std::move(target)](
                                     const detail::call_scope& scope) { detail::image_alias(scope, alias, target); });
    }
    /// Takes an alias away. Needs admin rights. Retry class: unsafe.
    result<void> dealias(std::string alias) const {
        return Mode::run(scope_, [alias = std::move(alias)](const detail::call_scope& scope) {
            detail::image_dealias(scope, alias);
        });
    }

private:
    detail::call_scope scope_;
};

BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/api/kernel.hpp
/// @file
/// Compute sessions, historically "kernels": create, run code, inspect, end.
///
/// Unless a function says otherwise it throws api_error when the server refuses, client_error{argument} for arguments
/// that are wrong before anything is sent, and client_error of the other kinds when no usable answer came. All
/// functions may be called from several threads at once; one run at a time makes sense in one compute session.
///
/// Paths are those of 19.03 (v4); from 20.03 (v5) on they begin with /session in place of /kernel. A function or
/// argument that the session's protocol version does not have is client_error{argument}, which says since when there is
/// one.
#ifndef BACKENDAI_API_KERNEL_HPP
#define BACKENDAI_API_KERNEL_HPP

// ---- backendai/api/events.hpp
/// @file
/// What happens to compute sessions, told by the server while it happens (server-sent events).
#ifndef BACKENDAI_API_EVENTS_HPP
#define BACKENDAI_API_EVENTS_HPP

// ---- backendai/api/event_pump.hpp
/// @file
/// Brings a stream of server-sent events from the network to whoever asks for the next one: a thread of its own that
/// reads, connects anew, and waits when nobody takes what it has.
#ifndef BACKENDAI_API_EVENT_PUMP_HPP
#define BACKENDAI_API_EVENT_PUMP_HPP

// ---- backendai/codec/sse.hpp
/// @file
/// Server-sent events, as the HTML standard defines them (section 9.2): a push parser without I/O.
#ifndef BACKENDAI_CODEC_SSE_HPP
#define BACKENDAI_CODEC_SSE_HPP


#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// One event.
struct sse_event {
    std::string name = "message"; ///< of the `event` field
    std::string data;             ///< the `data` fields, a line feed between them
    std::string id;               ///< of this event or the last before it that had one
};

/// Takes a stream apart into events; one parser for each connection. Bytes are not changed and not checked for UTF-8.
/// Not thread-safe.
class sse_parser {
public:
    /// @param limit bytes of one event, its longest line included
    explicit sse_parser(std::size_t limit = 1 << 20) : limit_(limit) {}

    /// Takes the next bytes; calls `sink(sse_event)` for each event that is complete. What the stream ends with,
    /// without the empty line behind it, is no event.
    /// @throws decode_error when an event is larger than the limit (nothing may follow); what the sink throws
    template <class Sink>
    void feed(std::string_view bytes, Sink&& sink) {
        if (failed_) throw decode_error("event stream: data after an error");
        failed_ = true; // until the end of this call: also when the sink throws
        bytes_ += bytes.size();
        skip_mark(bytes);
        while (!bytes.empty()) {
            if (after_return_ && bytes.front() == '\n') bytes.remove_prefix(1); // the rest of a CR LF
            after_return_ = false;
            const std::size_t end = bytes.find_first_of("\r\n");
            const std::string_view piece = bytes.substr(0, end);
            if (piece.size() > limit_ - (std::min)(limit_, line_.size() + data_.size()))
                throw decode_error("event stream: an event is larger than " + std::to_string(limit_) + " bytes");
            line_ += piece;
            if (end == std::string_view::npos) break;
            after_return_ = bytes[end] == '\r';
            bytes.remove_prefix(end + 1);
            take_line(sink);
        }
        failed_ = false;
    }

    /// The id to go on after, for the header Last-Event-ID of the next connection; empty for none.
    const std::string& last_event_id() const noexcept { return id_; }
    void set_last_event_id(std::string id) { id_ = std::move(id); }
    /// How long the server wants its clients to wait before they connect again, if it said so.
    std::optional<std::chrono::milliseconds> retry() const noexcept { return retry_; }
    /// Bytes taken until now, comments included, which servers send as a sign of life.
    std::uint64_t bytes() const noexcept { return bytes_; }

private:
    // U+FEFF may stand before everything else.
    void skip_mark(std::string_view& bytes) {
        static constexpr std::string_view mark = "\xEF\xBB\xBF";
        while (mark_seen_ < mark.size() && !bytes.empty()) {
            if (bytes.front() != mark[mark_seen_]) {
                line_ = mark.substr(0, mark_seen_); // it only began like one
                mark_seen_ = mark.size();
                return;
            }
            ++mark_seen_;
            bytes.remove_prefix(1);
        }
    }

    template <class Sink>
    void take_line(Sink& sink) {
        const std::string line = std::exchange(line_, {});
        if (line.empty()) return dispatch(sink);
        const std::size_t colon = line.find(':');
        const std::string_view field = std::string_view(line).substr(0, colon);
        std::string_view value =
            colon == std::string::npos ? std::string_view() : std::string_view(line).substr(colon + 1);
        if (!value.empty() && value.front() == ' ') value.remove_prefix(1);
        if (field == "data") {
            data_ += value;
            data_ += '\n';
        } else if (field == "event") {
            name_ = value;
        } else if (field == "id") {
            if (value.find('\0') == std::string_view::npos) next_id_ = value;
        } else if (field == "retry") {
            set_retry(value);
        } // else a comment (an empty field name), or a field of another time, which the standard says to ignore
    }

    template <class Sink>
    void dispatch(Sink& sink) {
        if (next_id_) id_ = std::move(*next_id_);
        next_id_.reset();
        std::string name = std::exchange(name_, {});
        std::string data = std::exchange(data_, {});
        if (data.empty()) return;
        data.pop_back();
        sink(sse_event{name.empty() ? "message" : std::move(name), std::move(data), id_});
    }

    void set_retry(std::string_view value) {
        if (value.empty() || value.size() > 9 || value.find_first_not_of("0123456789") != std::string_view::npos)
            return;
        std::int64_t milliseconds = 0;
        for (const char c : value) milliseconds = milliseconds * 10 + (c - '0');
        retry_ = std::chrono::milliseconds(milliseconds);
    }

    std::size_t limit_;
    std::string line_, name_, data_, id_;
    std::optional<std::string> next_id_; // of the event that is coming
    std::optional<std::chrono::milliseconds> retry_;
    std::uint64_t bytes_ = 0;
    std::size_t mark_seen_ = 0;
    bool after_return_ = false, failed_ = false;
};

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// One thread takes, cancel() may come from any.
class event_pump {
public:
    using clock = std::chrono::steady_clock;

    /// Opens the stream and returns when the server's answer has begun, within the limits of @p scope; its cancel token
    /// holds on. @throws what the call throws; client_error{io} when no thread can be started
    event_pump(const call_scope& scope, call what, int max_reconnects)
        : scope_(scope.outside_task()),
          what_(std::move(what)),
          max_reconnects_(max_reconnects),
          policy_(scope.options.retry ? *scope.options.retry : scope.state->config().retry),
          opening_limit_(scope.options.timeout.value_or(scope.state->config().timeout)),
          on_cancel_(scope.options.cancel, [this] { cancel(); }),
          on_close_(scope_.state->closing(), [this] { stop_waiting(); }) {
        scope_.options.cancel = stopping_.token();
        scope_.options.timeout = std::chrono::milliseconds(0); // a stream is over when it is
        what_.content_type = "application/octet-stream";
        what_.headers = {{"Accept", "text/event-stream"}, {"Cache-Control", "no-cache"}};
        what_.on_head = [this](const response_head& head) { begin(head); };
        what_.receiver = [this](std::string_view bytes) { receive(bytes); };
        const cancel_token of_task = scope.task ? scope.task->cancel.token() : cancel_token();
        const auto start = scope.task ? scope.task->called : clock::now();
        try {
            thread_ = std::thread([this] { run(); });
        } catch (const std::system_error& e) {
            throw client_error(error_kind::io, std::string("no thread can be started: ") + e.what());
        }
        try {
            const cancel_token::listener on_task_cancel(of_task, [this] { cancel(); });
            wait_for_opening(deadline_of(opening_limit_, start));
        } catch (...) {
            cancel();
            thread_.join();
            throw;
        }
    }
    event_pump(const event_pump&) = delete;
    event_pump& operator=(const event_pump&) = delete;
    ~event_pump() {
        cancel();
        thread_.join();
    }

    /// The next event, or nothing: when none came until @p limit, or, and then @p over is set, when there are no more.
    std::optional<codec::sse_event> take(clock::time_point limit, bool& over) {
        std::unique_lock<std::mutex> lock(mutex_);
        const auto ready = [this] { return cancelled_ || !events_.empty() || ended_; };
        if (limit == (clock::time_point::max)()) {
            changed_.wait(lock, ready);
        } else if (!changed_.wait_until(lock, limit, ready)) {
            return std::nullopt;
        }
        if (cancelled_) {
            throw client_error(error_kind::cancelled, "the stream was cancelled", client_error::progress::maybe_sent);
        }
        if (events_.empty()) {
            if (failure_) std::rethrow_exception(failure_);
            over = true;
            return std::nullopt;
        }
        std::optional<codec::sse_event> event = std::move(events_.front());
        events_.pop_front();
        waiting_bytes_ -= cost_of(*event);
        lock.unlock();
        changed_.notify_all();
        return event;
    }

    void cancel() noexcept {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            cancelled_ = true;
        }
        stop_waiting();
        stopping_.cancel();
    }

private:
    // That wait to be taken; one more event comes in below these.
    static constexpr std::size_t most_events = 256, most_bytes = 4U << 20U;

    static std::size_t cost_of(const codec::sse_event& event) {
        return sizeof event + event.name.size() + event.data.size() + event.id.size();
    }

    // The end of one connection for which there is no other.
    struct end_of_stream {};

    // Of this object's own waits; transports end theirs by the tokens.
    void stop_waiting() {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            stopped_ = true;
        }
        changed_.notify_all();
    }

    void wait_for_opening(clock::time_point deadline) {
        std::unique_lock<std::mutex> lock(mutex_);
        const auto ready = [this] { return opened_ || ended_; };
        if (deadline == (clock::time_point::max)()) {
            changed_.wait(lock, ready);
        } else if (!changed_.wait_until(lock, deadline, ready)) {
            throw client_error(error_kind::timeout, "the call's time limit was reached",
                               client_error::progress::maybe_sent);
        }
        if (!opened_ && failure_) std::rethrow_exception(failure_);
    }

    // --- the thread --------------------------------------------------------------------------------------------------

    void run() noexcept {
        std::exception_ptr failure;
        try {
            int hasty = 0; // connections in a row that were soon over
            for (int failures = 0; !failure;) {
                const auto start = clock::now();
                had_event_ = false;
                failure = connect();
                if (!failure) break; // ended for good
                // A connection that was of use does not count as a failed one, but events alone, each on a connection
                // of its own, are no reason to hurry.
                const bool lasted = clock::now() - start > std::chrono::seconds(10);
                if (had_event_ || lasted) failures = 0;
                hasty = lasted ? 1 : hasty + 1;
                if (is_final_ || ++failures > max_reconnects_) break;
                failure = nullptr;
                wait_before(hasty);
            }
        } catch (...) {
            failure = std::current_exception();
        }
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            failure_ = failure;
            ended_ = true;
        }
        changed_.notify_all();
    }

    // One connection from its beginning to its end. Returns why it ended; null when the server wants no other.
    std::exception_ptr connect() {
        is_final_ = true;
        codec::sse_parser next;
        if (parser_) next.set_last_event_id(parser_->last_event_id());
        parser_.emplace(std::move(next));
        if (!parser_->last_event_id().empty()) what_.headers.set("Last-Event-ID", parser_->last_event_id());
        try {
            scope_.perform(what_);
            is_final_ = false;
            return std::make_exception_ptr(client_error(error_kind::connect, "the server ended the event stream",
                                                        client_error::progress::maybe_sent));
        } catch (const end_of_stream&) {
            return nullptr;
        } catch (const api_error& e) {
            is_final_ = !opened_ || (e.status() < 500 && e.status() != 429);
            return std::current_exception();
        } catch (const client_error& e) {
            // A stream that is cut off comes out as an error of the HTTP protocol.
            const bool lost =
                e.kind() == error_kind::connect || e.kind() == error_kind::timeout || e.kind() == error_kind::protocol;
            is_final_ = !opened_ || !lost || is_broken_;
            return std::current_exception();
        } catch (...) {
            return std::current_exception();
        }
    }

    void begin(const response_head& head) {
        if (head.status == 204) throw end_of_stream(); // how the standard says "do not come again"
        const std::string type = codec::media_type(head.headers.get("Content-Type"));
        if (type != "text/event-stream") {
            is_broken_ = true;
            bad_answer("no event stream but \"" + codec::printable_text(type, 100) + '"');
        }
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            opened_ = true;
        }
        changed_.notify_all();
    }

    void receive(std::string_view bytes) {
        try {
            parser_->feed(bytes, [this](codec::sse_event event) { put(std::move(event)); });
        } catch (const codec::decode_error& e) {
            is_broken_ = true;
            bad_answer(e.what());
        }
    }

    void put(codec::sse_event event) {
        had_event_ = true;
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [this] { return stopped_ || has_room(); });
        if (stopped_) {
            throw client_error(scope_.state->closed() && !cancelled_ ? error_kind::closed : error_kind::cancelled,
                               "the stream was broken off", client_error::progress::maybe_sent);
        }
        waiting_bytes_ += cost_of(event);
        events_.push_back(std::move(event));
        lock.unlock();
        changed_.notify_all();
    }

    bool has_room() const { return events_.size() < most_events && waiting_bytes_ < most_bytes; }

    // As long as the server asks for, but not less than between the attempts of a call. Up to a quarter more, so that
    // the clients of a server that starts anew do not come all at once.
    void wait_before(int hasty) {
        if (parser_->retry()) server_delay_ = parser_->retry();
        std::chrono::milliseconds delay = (std::max)(server_delay_.value_or(policy_.base_delay), policy_.base_delay);
        for (int i = 1; i < hasty && delay < policy_.max_delay; ++i) delay *= 2;
        delay = (std::min)(delay, policy_.max_delay);
        delay += std::chrono::milliseconds(
            static_cast<std::int64_t>(scope_.state->jitter() * 0.25 * static_cast<double>(delay.count())));
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait_for(lock, delay, [this] { return stopped_; });
    }

    call_scope scope_;
    call what_;
    const int max_reconnects_;
    const retry_policy policy_;
    const std::chrono::milliseconds opening_limit_;
    cancel_source stopping_;
    // Of the thread alone:
    std::optional<codec::sse_parser> parser_;
    std::optional<std::chrono::milliseconds> server_delay_;
    bool had_event_ = false, is_final_ = true, is_broken_ = false;

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<codec::sse_event> events_;
    std::size_t waiting_bytes_ = 0; // of events_
    std::exception_ptr failure_;
    bool opened_ = false, ended_ = false, stopped_ = false, cancelled_ = false;
    std::thread thread_;
    cancel_token::listener on_cancel_, on_close_; // last: gone first, as they use the rest
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/api/stream_iterator.hpp
/// @file
/// Range-for over a stream whose next() returns an optional.
#ifndef BACKENDAI_API_STREAM_ITERATOR_HPP
#define BACKENDAI_API_STREAM_ITERATOR_HPP


#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// Single pass: making one that is not the end reads the first event.
template <class Stream, class Event>
class stream_iterator {
public:
    using iterator_category = std::input_iterator_tag;
    using value_type = Event;
    using difference_type = std::ptrdiff_t;
    using pointer = Event*;
    using reference = Event&;

    stream_iterator() = default;
    explicit stream_iterator(Stream& stream) : stream_(&stream) { ++*this; }
    Event& operator*() const { return *event_; }
    Event* operator->() const { return event_.get(); }
    stream_iterator& operator++() {
        static_assert(std::is_same_v<decltype(stream_->next()), std::optional<Event>>,
                      "backendai: a range-for waits for each event, which only a stream of a blocking session does: in "
                      "asynchronous mode `while (auto event = co_await stream.next())`");
        std::optional<Event> event = stream_->next();
        if (event) {
            event_ = std::make_shared<Event>(std::move(*event));
        } else {
            stream_ = nullptr;
        }
        return *this;
    }
    friend bool operator==(const stream_iterator& a, const stream_iterator& b) { return a.stream_ == b.stream_; }
    friend bool operator!=(const stream_iterator& a, const stream_iterator& b) { return !(a == b); }

private:
    Stream* stream_ = nullptr;
    std::shared_ptr<Event> event_; // copies of an iterator see the same event
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif

#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN

/// One event in the life of a compute session.
struct session_event {
    /// "kernel_started", "session_terminated" and so on: session_ with enqueued, scheduled, preparing, started,
    /// cancelled, terminating, terminated, success, failure; kernel_ with preparing, pulling, creating, started,
    /// cancelled, terminating, terminated. Not every server sends all of them, and some send one twice.
    std::string name;
    std::string session_name, session_id; ///< the second is empty where the server does not tell it
    std::string kernel_id;                ///< of the container, if it is about one
    std::string reason;                   ///< "user-requested", for example; may be empty
    std::string owner_access_key;
    std::optional<int> exit_code;
    std::string id; ///< of the event in the stream; servers of today send none
    json raw;
};

/// Options of events().
struct event_options {
    std::string scope = "*";      ///< "*": all; "session" or "kernel": only events with names that begin so
    std::string owner_access_key; ///< whose sessions, for administrators; empty: one's own
    /// How often the stream connects anew in a row, without an event between, before it gives up.
    int max_reconnects = 5;
};

namespace detail {

inline session_event read_session_event(const codec::sse_event& event) {
    session_event result;
    result.name = event.name;
    result.id = event.id;
    try {
        result.raw = codec::parse_json(event.data);
    } catch (const codec::decode_error& e) {
        bad_answer(std::string("the data of an event: ") + e.what());
    }
    const wire_object fields(result.raw, "an event");
    result.session_name = fields.string_or("sessionName", "");
    result.session_id = fields.string_or("sessionId", "");
    result.kernel_id = fields.string_or("kernelId", "");
    result.reason = fields.string_or("reason", "");
    result.owner_access_key = fields.string_or("ownerAccessKey", "");
    result.exit_code = fields.optional_int("exitCode");
    return result;
}

} // namespace detail

namespace detail {

/// The events behind an event_stream, in blocking calls. One thread takes them; the rest may come from others.
class event_feed {
public:
    using value = std::optional<session_event>; ///< nothing when there are no more

    event_feed(const call_scope& scope, call what, int max_reconnects, std::string session)
        : session_(std::move(session)), pump_(scope, std::move(what), max_reconnects) {}

    value read() { return std::move(*read_until((std::chrono::steady_clock::time_point::max)())); }
    std::optional<value> read_for(std::chrono::milliseconds limit) { return read_until(time_after(limit)); }
    bool over() const noexcept { return over_; }
    void end() noexcept { pump_.cancel(); }
    void cancel() noexcept { pump_.cancel(); }

private:
    std::optional<value> read_until(std::chrono::steady_clock::time_point limit) {
        while (!over_) {
            bool ended = false;
            std::optional<codec::sse_event> taken = pump_.take(limit, ended);
            if (ended || (taken && taken->name == "server_close")) over_ = true;
            if (over_) break;
            if (!taken) return std::nullopt;
            session_event event = read_session_event(*taken);
            if (is_wanted(event)) return event;
        }
        return value();
    }
    // Some servers do not filter by id, and tell all of the user's events.
    bool is_wanted(const session_event& event) const {
        return session_.empty() || event.session_name == session_ || event.session_id == session_;
    }

    const std::string session_; // empty: all
    event_pump pump_;
    std::atomic<bool> over_{false};
};

} // namespace detail

/// Events as they happen; connects anew when the connection is lost, and goes on behind the last event where the server
/// numbers them. What happens between two connections is not told. One thread takes events; cancel() may come from any.
///
/// Errors of next(), and of the iteration: api_error when the server refuses a new connection; client_error{connect,
/// timeout, tls} when there is none after event_options::max_reconnects; protocol for a stream that is none; cancelled,
/// closed.
///
/// In asynchronous mode next() and next_for() return futures and take none of the session's threads while they wait;
/// see async_message_stream for their order and their cancel().
template <class Mode>
class basic_event_stream {
    template <class T>
    using result = typename Mode::template result<T>;

public:
    basic_event_stream(const detail::call_scope& scope, detail::call what, int max_reconnects, std::string session)
        : io_(scope, scope, std::move(what), max_reconnects, std::move(session)) {}

    /// The next event; waits for it. Nothing when the server has ended the stream for good.
    result<std::optional<session_event>> next() { return io_.read(); }
    /// As next(), but nothing also when no event came within @p limit; over() tells which.
    result<std::optional<session_event>> next_for(std::chrono::milliseconds limit) {
        using next_one = std::optional<session_event>;
        return io_.template read_for<next_one>(
            limit, [](std::optional<next_one>&& event) { return event ? std::move(*event) : next_one(); });
    }
    /// Whether there will be no more events.
    bool over() const noexcept { return io_.body().over(); }
    /// Breaks the stream off from any thread: next() throws client_error{cancelled}.
    void cancel() noexcept { io_.body().cancel(); }

    /// For range-for: `for (auto&& event : stream)`. Single pass; begin() waits for the first event. Blocking mode
    /// only.
    using iterator = detail::stream_iterator<basic_event_stream, session_event>;
    iterator begin() { return iterator(*this); }
    iterator end() { return {}; }

private:
    typename Mode::template stream_io<detail::event_feed> io_;
};

/// The events of a blocking session.
using event_stream = basic_event_stream<blocking>;

namespace detail {

template <class Mode>
basic_event_stream<Mode> open_event_stream(const call_scope& scope, const std::string& session,
                                           const event_options& options) {
    if (options.scope != "*" && options.scope != "session" && options.scope != "kernel")
        throw client_error(error_kind::argument, "the scope of events is *, session or kernel");
    if (options.max_reconnects < 0) throw client_error(error_kind::argument, "max_reconnects is negative");
    if (!session.empty()) require_single_name(session, "the session id");
    call what;
    what.complete = [session, options](call& request, const dialect& language) {
        language.require(feature::events);
        request.path = std::string(language.events_path);
        request.query.clear(); // of the connection before
        const bool by_id = !language.events_id_key.empty() && codec::is_uuid(session);
        if (!session.empty()) {
            request.query.emplace_back(by_id ? language.events_id_key : language.events_name_key, session);
        }
        if (options.scope != "*") {
            language.require(feature::event_scope);
            request.query.emplace_back("scope", options.scope);
        }
        if (!options.owner_access_key.empty()) request.query.emplace_back("ownerAccessKey", options.owner_access_key);
    };
    return {scope, std::move(what), options.max_reconnects, session};
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/api/kernel_files.hpp
/// @file
/// Files of compute sessions: the bodies of kernel.upload(), download() and list_files().
#ifndef BACKENDAI_API_KERNEL_FILES_HPP
#define BACKENDAI_API_KERNEL_FILES_HPP

// ---- backendai/api/file_types.hpp
/// @file
/// Listings of files in compute sessions and virtual folders.
#ifndef BACKENDAI_API_FILE_TYPES_HPP
#define BACKENDAI_API_FILE_TYPES_HPP


#include <chrono>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

/// One entry of a listing.
struct file_entry {
    std::string filename; ///< without its directory
    std::string mode;     ///< as `ls -l` writes it, "-rw-r--r--"; when the server sends a number, its decimal digits
    std::optional<unsigned> permissions; ///< the twelve permission bits, when the mode could be read
    bool is_directory = false;
    std::uint64_t size = 0; ///< bytes
    std::chrono::system_clock::time_point ctime, mtime, atime;
    json raw;
};

/// A directory's content.
struct file_listing {
    std::vector<file_entry> files; ///< in the server's order
    std::string abspath;           ///< of the directory, on the server; empty when it does not say
    std::string errors;            ///< what the server could not do, for people; empty when all went well
    json raw;
};

namespace detail {

/// "drwxr-sr-x" as permission bits; nothing when it is not of that form.
inline std::optional<unsigned> parse_mode_text(std::string_view text) {
    if (text.size() < 10) return {};
    unsigned bits = 0;
    for (std::size_t i = 0; i < 9; ++i) {
        const char c = text[i + 1];
        const unsigned bit = 0400U >> i;
        const unsigned special = 04000U >> (i / 3); // shown in place of each x: s, s, t; upper case without x
        if (i % 3 == 2 && (c == 's' || c == 't' || c == 'S' || c == 'T')) {
            bits |= special | (c == 's' || c == 't' ? bit : 0U);
        } else if (c == "rwx"[i % 3]) {
            bits |= bit;
        } else if (c != '-') {
            return {};
        }
    }
    return bits;
}

inline std::chrono::system_clock::time_point time_from_seconds(double seconds, const char* key) {
    using std::chrono::system_clock;
    // Nine thousand million seconds: the year 2255, which fits a clock of nanoseconds.
    if (!(std::fabs(seconds) < 9e9)) bad_answer(std::string("a file's \"") + key + "\" is out of range");
    return system_clock::time_point(
        std::chrono::duration_cast<system_clock::duration>(std::chrono::duration<double>(seconds)));
}

inline file_entry read_file_entry(const json& item) {
    const wire_object fields(item, "an entry of the file list");
    file_entry entry;
    entry.raw = item;
    entry.filename = fields.string("filename");
    if (const json* mode = fields.find("mode")) {
        if (mode->is_string()) {
            entry.mode = mode->get<std::string>();
            entry.permissions = parse_mode_text(entry.mode);
            entry.is_directory = !entry.mode.empty() && entry.mode[0] == 'd';
        } else {
            const std::int64_t number = fields.integer("mode"); // st_mode
            entry.mode = std::to_string(number);
            entry.permissions = static_cast<unsigned>(number & 07777);
            entry.is_directory = (number & 0170000) == 0040000;
        }
    }
    const std::int64_t size = fields.integer_or("size", 0);
    if (size < 0) bad_answer("a file's size is negative");
    entry.size = static_cast<std::uint64_t>(size);
    entry.ctime = time_from_seconds(fields.number_or("ctime", 0), "ctime");
    entry.mtime = time_from_seconds(fields.number_or("mtime", 0), "mtime");
    entry.atime = time_from_seconds(fields.number_or("atime", 0), "atime");
    return entry;
}

/// The bits as `ls -l` writes them, after the letter of the kind.
inline std::string mode_text(char kind, unsigned bits) {
    std::string text(1, kind);
    for (unsigned i = 0; i < 9; ++i) text += (bits & (0400U >> i)) != 0 ? "rwx"[i % 3] : '-';
    return text;
}

inline std::chrono::system_clock::time_point time_from_text(const wire_object& fields, const char* key) {
    const json* member = fields.find(key);
    if (member == nullptr) return {};
    if (member->is_number()) return time_from_seconds(member->get<double>(), key);
    const auto time = codec::parse_iso_date(fields.string(key));
    if (!time) bad_answer(std::string("a file's \"") + key + "\" is no date");
    return std::chrono::time_point_cast<std::chrono::system_clock::duration>(*time);
}

/// An entry of the form that storage proxies have: {name, type, size, mode in octal digits, created, modified}.
inline file_entry read_file_item(const json& item) {
    const wire_object fields(item, "an entry of the file list");
    file_entry entry;
    entry.raw = item;
    entry.filename = fields.string("name");
    const std::string type = fields.string_or("type", "");
    entry.is_directory = type == "DIRECTORY";
    const std::string mode = fields.string_or("mode", "");
    if (!mode.empty() && mode.size() < 8 && mode.find_first_not_of("01234567") == std::string::npos) {
        entry.permissions = static_cast<unsigned>(std::stoul(mode, nullptr, 8)) & 07777U;
        entry.mode = mode_text(entry.is_directory ? 'd' : type == "SYMBOLIC_LINK" ? 'l' : '-', *entry.permissions);
    } else {
        entry.mode = mode;
    }
    const std::int64_t size = fields.integer_or("size", 0);
    if (size < 0) bad_answer("a file's size is negative");
    entry.size = static_cast<std::uint64_t>(size);
    entry.ctime = time_from_text(fields, "created");
    entry.mtime = time_from_text(fields, "modified");
    return entry;
}

/// {files: "<JSON text of a list>", errors, abspath}: `files` is a text that is JSON itself, empty on an error. Folders
/// behind a storage proxy tell {items: [...]}, for some years with the older form beside it.
inline file_listing read_file_listing(json answer) {
    file_listing listing;
    const wire_object fields(answer, "the file list");
    listing.abspath = fields.string_or("abspath", "");
    if (const json* errors = fields.find("errors")) {
        if (errors->is_string()) {
            listing.errors = errors->get<std::string>();
        } else if (!errors->empty()) {
            listing.errors = errors->dump();
        }
    }
    if (fields.find("items") != nullptr) {
        for (const json& item : fields.array_or_empty("items")) listing.files.push_back(read_file_item(item));
        listing.raw = std::move(answer);
        return listing;
    }
    json items = json::array();
    if (const json* files = fields.find("files")) {
        if (!files->is_string()) {
            items = *files;
        } else if (!files->get_ref<const std::string&>().empty()) {
            try {
                items = codec::parse_json(files->get_ref<const std::string&>());
            } catch (const codec::decode_error& e) {
                bad_answer(std::string("the file list inside it: ") + e.what());
            }
        }
    }
    if (!items.is_array()) bad_answer("its file list is not a list");
    for (const json& item : items) listing.files.push_back(read_file_entry(item));
    listing.raw = std::move(answer);
    return listing;
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/codec/name_collisions.hpp
/// @file
/// Finds names that are different here and the same on file systems which do not tell upper from lower case.
#ifndef BACKENDAI_CODEC_NAME_COLLISIONS_HPP
#define BACKENDAI_CODEC_NAME_COLLISIONS_HPP

// ---- backendai/codec/path_rules.hpp
/// @file
/// Which names from a server may be used below a destination directory.
#ifndef BACKENDAI_CODEC_PATH_RULES_HPP
#define BACKENDAI_CODEC_PATH_RULES_HPP


#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// How careful to be with a server's names.
enum class path_policy {
    /// Refuses everywhere what is special anywhere, so that one archive gives the same files, or the same error, on
    /// Linux, macOS and Windows, and a tree that was downloaded may be copied to any of them.
    portable,
    /// For a destination on a POSIX file system only: lets through what is an ordinary character there and special
    /// on Windows alone (colons, device names such as `aux.c`, names that end in a dot or a space).
    posix
};

/// What to do with a name that means the destination directory itself, such as `.` or `./`
/// (`tar -C directory .` writes one as its first entry).
enum class root_name {
    refuse,
    allow ///< safe_relative_path returns no components for it
};

namespace detail {

inline char ascii_upper(char c) noexcept {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

/// Whether Windows opens a device instead of a file of this name. It looks at what stands before the first dot (or
/// colon), without trailing spaces, in any case: `nul`, `Com1.txt`, `aux .c`; the superscript digits count as digits.
inline bool is_windows_device_name(std::string_view component) {
    std::string_view stem = component.substr(0, component.find_first_of(".:"));
    while (!stem.empty() && stem.back() == ' ') stem.remove_suffix(1);
    std::string upper;
    for (const char c : stem) upper += ascii_upper(c);
    for (const char* device : {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$"}) {
        if (upper == device) return true;
    }
    if (upper.compare(0, 3, "COM") != 0 && upper.compare(0, 3, "LPT") != 0) return false;
    const std::string_view number = std::string_view(upper).substr(3);
    if (number.size() == 1) return number[0] >= '0' && number[0] <= '9';
    return number == "\xC2\xB9" || number == "\xC2\xB2" || number == "\xC2\xB3"; // superscript 1, 2, 3 in UTF-8
}

[[noreturn]] inline void refuse_name(std::string_view what, std::string_view name, std::string_view why) {
    std::string message(what);
    message += ' ';
    message += printable(name);
    message += ": ";
    message += why;
    throw decode_error(message);
}

/// The checks that regard characters, wherever in the name they stand.
inline void check_path_characters(std::string_view what, std::string_view name, path_policy policy) {
    std::string_view rest = name;
    while (!rest.empty()) {
        const utf8_character next = decode_utf8_character(rest);
        // Bytes that are not UTF-8 are no name on macOS and Windows, and hide slashes in overlong forms; servers send
        // names in JSON and tar as UTF-8, so such a name is damaged or made to deceive.
        if (next.length == 0) refuse_name(what, name, "is not valid UTF-8");
        if (next.code_point == 0) refuse_name(what, name, "contains a NUL byte");
        if (is_control_character(next.code_point)) refuse_name(what, name, "contains a control character");
        // Not only on Windows: a Windows server's separators would make one flat file named 'a\b' elsewhere.
        if (next.code_point == '\\') refuse_name(what, name, "contains a backslash");
        if (next.code_point == ':' && policy == path_policy::portable)
            refuse_name(what, name, "contains a colon, which means a drive or a stream on Windows");
        rest.remove_prefix(next.length);
    }
}

/// The checks that regard one component, neither empty nor `.`.
inline void check_path_component(std::string_view what, std::string_view name, std::string_view component,
                                 path_policy policy) {
    constexpr std::size_t longest_component = 255; // bytes; NAME_MAX of Linux, macOS and NTFS (there in UTF-16 units)
    if (component.size() > longest_component) refuse_name(what, name, "has a component of more than 255 bytes");
    if (policy != path_policy::portable) return;
    if (component.back() == '.' || component.back() == ' ')
        refuse_name(what, name, "has a component that ends in a dot or a space, which Windows drops");
    if (is_windows_device_name(component)) refuse_name(what, name, "names a device on Windows");
}

constexpr std::size_t longest_path = 4096; // bytes; Linux's PATH_MAX
constexpr std::size_t deepest_path = 256;  // components; what one entry of a few bytes can make of a disk has an end

} // namespace detail

/// Decides whether `name`, which came from a server, may be used below a destination directory.
///
/// Refused are: the empty name, absolute names, `..` anywhere, NUL and other control characters, backslashes, bytes
/// that are not UTF-8, components longer than 255 bytes, names longer than 4096 bytes or deeper than 256 components,
/// and by path_policy::portable also colons (drives, streams), Windows device names, and components that end in a dot
/// or a space. Empty components and `.` are dropped (`./a`, `a//b`, `a/./b` and `a/` are ordinary output of archivers).
/// Everything else goes through: UTF-8, spaces, quotes, percent signs, leading dots and dashes.
///
/// It says nothing about links that already exist below the destination: the caller must not walk through those.
///
/// @return the components, outermost first; empty only for a root name with root_name::allow.
/// @throws decode_error that names the entry (escaped, see printable()). Pure; thread-safe.
inline std::vector<std::string> safe_relative_path(std::string_view name, root_name root = root_name::refuse,
                                                   path_policy policy = path_policy::portable) {
    static constexpr std::string_view what = "unsafe file name";
    if (name.empty()) detail::refuse_name(what, name, "is empty");
    if (name.size() > detail::longest_path) detail::refuse_name(what, name, "is longer than 4096 bytes");
    if (name.front() == '/') detail::refuse_name(what, name, "is absolute");
    detail::check_path_characters(what, name, policy);
    std::vector<std::string> components;
    for (std::size_t begin = 0; begin <= name.size();) {
        const std::size_t end = (std::min)(name.find('/', begin), name.size());
        const std::string_view component = name.substr(begin, end - begin);
        begin = end + 1;
        if (component.empty() || component == ".") continue;
        if (component == "..") detail::refuse_name(what, name, "leads out of its directory");
        detail::check_path_component(what, name, component, policy);
        if (components.size() == detail::deepest_path) detail::refuse_name(what, name, "is deeper than 256 components");
        components.emplace_back(component);
    }
    if (components.empty() && root == root_name::refuse) detail::refuse_name(what, name, "names no file");
    return components;
}

/// The components joined by `/`, the normal form of a name in this SDK.
inline std::string join_path(const std::vector<std::string>& components) {
    std::string result;
    for (const std::string& component : components) {
        if (!result.empty()) result += '/';
        result += component;
    }
    return result;
}

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {
namespace detail {

/// Lower case of the scripts that have one, letter by letter as file systems do it. Rare letters are left out: what is
/// missed here meets the file system's own rule.
inline std::uint32_t lower_case(std::uint32_t c) noexcept {
    const auto within = [c](std::uint32_t first, std::uint32_t last) { return c >= first && c <= last; };
    if (within('A', 'Z')) return c + 32;
    if (within(0xC0, 0xDE) && c != 0xD7) return c + 32; // Latin-1, but for the multiplication sign
    if (c == 0x178) return 0xFF;
    // Pairs, the upper case first: even numbers, and odd ones in two stretches.
    if (within(0x139, 0x148) || within(0x179, 0x17E)) return c + c % 2;
    if ((within(0x100, 0x177) && c != 0x130 && c != 0x131 && c != 0x138) || within(0x460, 0x481) ||
        within(0x48A, 0x4BF) || within(0x4D0, 0x52F) || within(0x1E00, 0x1E95) || within(0x1EA0, 0x1EFF)) {
        return c | 1U;
    }
    if (within(0x391, 0x3AB) && c != 0x3A2) return c + 32; // Greek
    if (c == 0x386) return 0x3AC;
    if (within(0x388, 0x38A)) return c + 37;
    if (within(0x410, 0x42F)) return c + 32; // Cyrillic
    if (within(0x400, 0x40F)) return c + 80;
    if (within(0x531, 0x556)) return c + 48;   // Armenian
    if (within(0xFF21, 0xFF3A)) return c + 32; // full width
    return c;
}

/// A name's key: equal for names that differ by case only. @p name is UTF-8.
inline std::u32string case_key(std::string_view name) {
    std::u32string key;
    while (!name.empty()) {
        const utf8_character next = decode_utf8_character(name);
        if (next.length == 0) break; // not from safe_relative_path()
        key += static_cast<char32_t>(lower_case(next.code_point));
        name.remove_prefix(next.length);
    }
    return key;
}

} // namespace detail

/// The names of one transfer. On macOS and Windows `README` and `readme` are one file, of which the second would
/// replace the first unseen. Not thread-safe. Memory: linear in the components of the names.
class name_collisions {
public:
    /// @param name from safe_relative_path(); the same one again is no collision
    /// @throws decode_error when an earlier name, or a directory of one, is spelled differently by case only
    void add(const std::vector<std::string>& name) {
        std::size_t at = 0; // the number of the directory
        for (const std::string& component : name) {
            const auto added = known_.try_emplace({at, detail::case_key(component)});
            spelling& known = added.first->second;
            if (added.second) {
                known = {component, known_.size()};
            } else if (known.text != component) {
                detail::refuse_name("unsafe file name", join_path(name),
                                    "differs only by case from an earlier name with " + printable(known.text));
            }
            at = known.number;
        }
    }

private:
    struct spelling {
        std::string text;
        std::size_t number = 0;
    };
    std::map<std::pair<std::size_t, std::u32string>, spelling> known_;
};

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/codec/tar_reader.hpp
/// @file
/// A push parser for tar archives: feed it pieces of any size, it calls a handler.
#ifndef BACKENDAI_CODEC_TAR_READER_HPP
#define BACKENDAI_CODEC_TAR_READER_HPP

// ---- backendai/codec/tar_format.hpp
/// @file
/// The block layout of tar archives (POSIX.1-1988 ustar, old v7, GNU) and the number formats in it.
#ifndef BACKENDAI_CODEC_TAR_FORMAT_HPP
#define BACKENDAI_CODEC_TAR_FORMAT_HPP


#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// The kinds of entries a tar archive has.
enum class tar_type { regular, hard_link, symbolic_link, character_device, block_device, directory, fifo };

/// One entry of a tar archive, by the letter of the archive: nothing in it has been checked against escaping from a
/// destination (safe_relative_path()), and the mode may have set-user-id bits.
struct tar_entry {
    std::string name;      ///< as in the archive; a directory's may end in a slash
    std::string link_name; ///< of hard and symbolic links
    tar_type type = tar_type::regular;
    std::uint64_t size = 0;              ///< bytes of content; 0 unless regular
    std::uint32_t mode = 0;              ///< the lower twelve permission bits
    std::int64_t mtime_seconds = 0;      ///< since 1970; rounded down, so before 1970 too
    std::uint32_t mtime_nanoseconds = 0; ///< to be added to the seconds
};

namespace detail {

constexpr std::size_t tar_block_size = 512;

/// Where a field stands in the header block.
struct tar_field {
    std::size_t offset;
    std::size_t length;

    std::string_view of(std::string_view block) const noexcept { return block.substr(offset, length); }
};

namespace tar_layout {
constexpr tar_field name{0, 100};
constexpr tar_field mode{100, 8};
constexpr tar_field uid{108, 8};
constexpr tar_field gid{116, 8};
constexpr tar_field size{124, 12};
constexpr tar_field mtime{136, 12};
constexpr tar_field checksum{148, 8};
constexpr tar_field type{156, 1};
constexpr tar_field link_name{157, 100};
constexpr tar_field magic{257, 8}; // with the version
constexpr tar_field device_major{329, 8};
constexpr tar_field device_minor{337, 8};
constexpr tar_field prefix{345, 155};
} // namespace tar_layout

constexpr std::string_view posix_magic{"ustar\00000", 8};

/// The text of a field, which ends at its first NUL or fills it.
inline std::string_view tar_text(std::string_view field) noexcept {
    return field.substr(0, field.find('\0'));
}

inline bool all_zero(std::string_view bytes) noexcept {
    return bytes.find_first_not_of('\0') == std::string_view::npos;
}

/// A number field: octal digits with blanks around them, or GNU's base-256 (first byte 0x80, or 0xFF when negative).
/// @throws decode_error when it is neither or does not fit.
inline std::int64_t parse_tar_number(std::string_view field, const char* what) {
    const auto fail = [&](const char* why) { throw decode_error(std::string("tar header: the ") + what + ' ' + why); };
    const auto first = static_cast<unsigned char>(field.front());
    if (first == 0x80 || first == 0xFF) {
        const bool negative = first == 0xFF;
        const std::uint64_t fill = negative ? 0xFF : 0;
        std::uint64_t value = negative ? ~std::uint64_t{0} : 0;
        for (const char c : field.substr(1)) {
            if ((value >> 56) != fill) fail("is too large");
            value = (value << 8) | static_cast<unsigned char>(c);
        }
        if ((value >> 63 != 0) != negative) fail("is too large");
        return negative ? -static_cast<std::int64_t>(~value) - 1 : static_cast<std::int64_t>(value);
    }
    std::size_t i = 0;
    while (i < field.size() && field[i] == ' ') ++i;
    std::int64_t value = 0;
    for (; i < field.size() && field[i] >= '0' && field[i] <= '7'; ++i) {
        if (value > ((std::numeric_limits<std::int64_t>::max)() >> 3)) fail("is too large");
        value = (value << 3) | (field[i] - '0');
    }
    if (i < field.size() && field[i] != ' ' && field[i] != '\0') fail("is not a number");
    return value;
}

/// The sums of a header's bytes, the checksum field counted as blanks: unsigned as POSIX wants, signed as some old
/// tars.
struct tar_checksums {
    std::int64_t of_unsigned = 0;
    std::int64_t of_signed = 0;
};

inline tar_checksums sum_tar_header(std::string_view block) noexcept {
    tar_checksums result;
    const tar_field field = tar_layout::checksum;
    for (std::size_t i = 0; i < block.size(); ++i) {
        const char c = i >= field.offset && i < field.offset + field.length ? ' ' : block[i];
        result.of_unsigned += static_cast<unsigned char>(c);
        result.of_signed += static_cast<signed char>(c);
    }
    return result;
}

inline std::uint64_t tar_padding(std::uint64_t size) noexcept {
    return (tar_block_size - size % tar_block_size) % tar_block_size;
}

} // namespace detail
} // namespace codec
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/codec/tar_pax.hpp
/// @file
/// pax extended headers (POSIX.1-2001): the records that override fields of a tar header.
#ifndef BACKENDAI_CODEC_TAR_PAX_HPP
#define BACKENDAI_CODEC_TAR_PAX_HPP


#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {
namespace detail {

/// Seconds and nanoseconds since 1970.
struct pax_time {
    std::int64_t seconds = 0;
    std::uint32_t nanoseconds = 0;
};

/// What pax records say about an entry, as far as this SDK uses it.
struct pax_values {
    std::optional<std::string> path;
    std::optional<std::string> link_path;
    std::optional<std::uint64_t> size;
    std::optional<pax_time> mtime;
};

[[noreturn]] inline void refuse_pax(std::string_view record, const char* why) {
    throw decode_error("tar: pax record " + printable(record) + ' ' + why);
}

/// A decimal number that fits 63 bits.
inline std::optional<std::int64_t> parse_decimal(std::string_view text) noexcept {
    if (text.empty()) return std::nullopt;
    std::int64_t value = 0;
    for (const char c : text) {
        if (c < '0' || c > '9') return std::nullopt;
        const std::int64_t digit = c - '0';
        if (value > ((std::numeric_limits<std::int64_t>::max)() - digit) / 10) return std::nullopt;
        value = value * 10 + digit;
    }
    return value;
}

/// `1700000000.25`, `-1.5`; digits beyond nanoseconds are cut off.
inline std::optional<pax_time> parse_pax_time(std::string_view text) noexcept {
    const bool negative = !text.empty() && text.front() == '-';
    if (negative) text.remove_prefix(1);
    const std::size_t point = text.find('.');
    const std::optional<std::int64_t> whole = parse_decimal(text.substr(0, point));
    if (!whole) return std::nullopt;
    std::uint32_t nanoseconds = 0;
    if (point != std::string_view::npos) {
        const std::string_view fraction = text.substr(point + 1);
        std::uint32_t unit = 100'000'000;
        for (const char c : fraction) {
            if (c < '0' || c > '9') return std::nullopt;
            nanoseconds += unit * static_cast<std::uint32_t>(c - '0');
            unit /= 10;
        }
    }
    if (!negative) return pax_time{*whole, nanoseconds};
    if (nanoseconds == 0) return pax_time{-*whole, 0};
    return pax_time{-*whole - 1, 1'000'000'000 - nanoseconds};
}

/// Puts one record into `values`. Keywords that regard neither name, size nor time (owners, comments, vendors' own) do
/// not change what is extracted here and are passed over.
inline void apply_pax_record(std::string_view key, std::string_view value, bool global, pax_values& values) {
    // Sparse files: the content is not what the size says, and a reader that does not know it writes garbage.
    if (key.substr(0, 10) == "GNU.sparse" || key == "SUN.holesdata" || key == "SCHILY.realsize")
        refuse_pax(key, "marks a sparse file, which is not supported");
    const bool known = key == "path" || key == "linkpath" || key == "size" || key == "mtime";
    if (!known) return;
    if (value.empty()) {
        // POSIX: an empty value deletes what was said before. A global one may; an entry with no name is nothing.
        if (!global) refuse_pax(key, "is empty");
        if (key == "path") values.path.reset();
        if (key == "linkpath") values.link_path.reset();
        if (key == "size") values.size.reset();
        if (key == "mtime") values.mtime.reset();
        return;
    }
    if (key == "path" || key == "linkpath") {
        if (value.find('\0') != std::string_view::npos) refuse_pax(value, "has a NUL byte in a name");
        (key == "path" ? values.path : values.link_path) = std::string(value);
    } else if (key == "size") {
        const std::optional<std::int64_t> size = parse_decimal(value);
        if (!size) refuse_pax(value, "is not a size");
        values.size = static_cast<std::uint64_t>(*size);
    } else {
        values.mtime = parse_pax_time(value);
        if (!values.mtime) refuse_pax(value, "is not a time");
    }
}

/// Reads the records of one extended header, each `LENGTH KEY=VALUE\n`, LENGTH counting all of it.
/// @throws decode_error when they are malformed.
inline void parse_pax_records(std::string_view records, bool global, pax_values& values) {
    while (!records.empty()) {
        const std::size_t blank = records.substr(0, 20).find(' ');
        const std::optional<std::int64_t> length =
            blank == std::string_view::npos ? std::nullopt : parse_decimal(records.substr(0, blank));
        if (!length || static_cast<std::uint64_t>(*length) > records.size() ||
            static_cast<std::uint64_t>(*length) < blank + 3)
            refuse_pax(records.substr(0, 40), "has a wrong length");
        const std::string_view record = records.substr(0, static_cast<std::size_t>(*length));
        records.remove_prefix(record.size());
        if (record.back() != '\n') refuse_pax(record, "does not end in a line feed");
        const std::string_view body = record.substr(blank + 1, record.size() - blank - 2);
        const std::size_t equals = body.find('=');
        if (equals == std::string_view::npos || equals == 0) refuse_pax(record, "has no keyword");
        apply_pax_record(body.substr(0, equals), body.substr(equals + 1), global, values);
    }
}

} // namespace detail
} // namespace codec
BACKENDAI_NAMESPACE_END

#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// What a tar_reader calls. Whatever a function throws leaves feed(), and the reader takes nothing any more.
class tar_handler {
public:
    virtual ~tar_handler() = default;
    /// An entry begins; `entry` is valid during the call only.
    virtual void on_entry(const tar_entry& entry) = 0;
    /// More of the entry's content, never empty; the bytes are valid during the call only.
    virtual void on_data(std::string_view data) = 0;
    /// The entry is complete.
    virtual void on_entry_end() = 0;
};

/// What a tar_reader accepts.
struct tar_limits {
    std::size_t name_bytes = 32 * 1024;      ///< of a name or link target
    std::size_t extended_bytes = 256 * 1024; ///< of one pax header
    std::uint64_t entries = 10'000'000;      ///< of one archive
};

/// Reads ustar, pax, GNU and old v7 archives.
///
/// Refused with a clear error: sparse files; entry types that are neither POSIX's nor GNU long names (POSIX would have
/// them read as regular files, but what a vendor meant by its own type is not known, and a directory dump or a volume
/// label extracted as a file is a wrong result that looks right); content on anything but regular files (readers
/// disagree on whether it is there); repeated long names or extended headers for one entry; an archive that does not
/// end in two zero blocks, or has something other than zeros after them.
/// Memory: one block and one extended header. Content is handed on in place. Not thread-safe.
class tar_reader {
public:
    /// @param handler must outlive the reader
    explicit tar_reader(tar_handler& handler, tar_limits limits = {}) : handler_(handler), limits_(limits) {}

    /// Takes the next bytes of the archive. @throws decode_error when they are malformed or beyond a limit.
    void feed(std::string_view bytes) {
        if (failed_) throw decode_error("tar: data after an error");
        failed_ = true; // until the end of this call: also when the handler throws
        while (!bytes.empty()) {
            switch (state_) {
            case state::header: bytes.remove_prefix(take_header(bytes)); break;
            case state::content: bytes.remove_prefix(take_content(bytes)); break;
            case state::extension: bytes.remove_prefix(take_extension(bytes)); break;
            case state::padding: bytes.remove_prefix(take_padding(bytes)); break;
            case state::after_end:
                if (!detail::all_zero(bytes)) throw decode_error("tar: something follows the end of the archive");
                bytes = {};
                break;
            }
        }
        failed_ = false;
    }

    /// Says that the archive is over. @throws decode_error when its end (two zero blocks) has not come.
    void finish() {
        if (failed_) throw decode_error("tar: the archive ends after an error");
        if (state_ == state::after_end) return;
        failed_ = true;
        throw decode_error(entry_.name.empty()
                               ? std::string("tar: the archive is truncated")
                               : "tar: the archive is truncated after or in entry " + printable(entry_.name));
    }

    /// Whether the end of the archive has come.
    bool ended() const noexcept { return state_ == state::after_end; }

private:
    enum class state { header, content, extension, padding, after_end };

    std::size_t take_header(std::string_view bytes) {
        if (block_.empty() && bytes.size() >= detail::tar_block_size) {
            read_header(bytes.substr(0, detail::tar_block_size));
            return detail::tar_block_size;
        }
        const std::size_t count = (std::min)(bytes.size(), detail::tar_block_size - block_.size());
        block_.append(bytes.data(), count);
        if (block_.size() == detail::tar_block_size) {
            read_header(block_);
            block_.clear();
        }
        return count;
    }

    void read_header(std::string_view block) {
        if (detail::all_zero(block)) {
            if (pending_long_name_ || pending_long_link_ || pending_pax_)
                throw decode_error("tar: the archive ends after an extended header");
            if (zero_block_) state_ = state::after_end;
            zero_block_ = true;
            return;
        }
        if (zero_block_) throw decode_error("tar: a header follows a lone zero block");
        check_sum(block);
        const std::int64_t size = detail::parse_tar_number(detail::tar_layout::size.of(block), "size");
        if (size < 0) throw decode_error("tar header: the size is negative");
        const char type = block[detail::tar_layout::type.offset];
        if (type == 'L' || type == 'K' || type == 'x' || type == 'g') {
            begin_extension(type, static_cast<std::uint64_t>(size));
        } else {
            begin_entry(block, type, static_cast<std::uint64_t>(size));
        }
    }

    static void check_sum(std::string_view block) {
        const std::int64_t stored = detail::parse_tar_number(detail::tar_layout::checksum.of(block), "checksum");
        const detail::tar_checksums sums = detail::sum_tar_header(block);
        if (stored != sums.of_unsigned && stored != sums.of_signed)
            throw decode_error("tar header: the checksum is wrong (not a tar archive, or damaged)");
    }

    // GNU long names and link targets, pax headers for the next entry or for all that follow.
    void begin_extension(char type, std::uint64_t size) {
        const bool repeated =
            (type == 'L' && pending_long_name_) || (type == 'K' && pending_long_link_) || (type == 'x' && pending_pax_);
        if (repeated) throw decode_error("tar: an entry has two extended headers of one kind");
        const bool pax = type == 'x' || type == 'g';
        if (size > (pax ? limits_.extended_bytes : limits_.name_bytes))
            throw decode_error("tar: an extended header or long name is longer than the limit");
        extension_type_ = type;
        extension_.clear();
        left_ = size;
        padding_ = detail::tar_padding(size);
        state_ = state::extension;
        if (left_ == 0) end_extension();
    }

    std::size_t take_extension(std::string_view bytes) {
        const auto count = static_cast<std::size_t>((std::min)(std::uint64_t{bytes.size()}, left_));
        extension_.append(bytes.data(), count);
        left_ -= count;
        if (left_ == 0) end_extension();
        return count;
    }

    void end_extension() {
        state_ = padding_ == 0 ? state::header : state::padding;
        if (extension_type_ == 'g') {
            detail::parse_pax_records(extension_, true, global_);
        } else if (extension_type_ == 'x') {
            pending_pax_.emplace();
            detail::parse_pax_records(extension_, false, *pending_pax_);
        } else {
            const std::string_view text = detail::tar_text(extension_); // GNU tar counts a NUL at its end
            if (text.empty() || !detail::all_zero(std::string_view(extension_).substr(text.size())))
                throw decode_error("tar: a long name is empty or has a NUL byte inside");
            (extension_type_ == 'L' ? pending_long_name_ : pending_long_link_) = std::string(text);
        }
    }

    // pax goes before GNU's long names, and these before the header; of pax the entry's own records before the global.
    void begin_entry(std::string_view block, char type, std::uint64_t size) {
        if (++entries_ > limits_.entries) throw decode_error("tar: the archive has too many entries");
        const detail::pax_values own = pending_pax_.value_or(detail::pax_values{});
        entry_ = tar_entry{};
        entry_.name = own.path             ? *own.path
                      : global_.path       ? *global_.path
                      : pending_long_name_ ? *pending_long_name_
                                           : header_name(block);
        if (entry_.name.empty()) throw decode_error("tar: an entry has no name");
        if (entry_.name.size() > limits_.name_bytes)
            throw decode_error("tar: an entry's name is longer than the limit");
        entry_.type = type_of(type);
        entry_.size = own.size ? *own.size : global_.size ? *global_.size : size;
        if (entry_.type == tar_type::regular && entry_.name.back() == '/')
            entry_.type = tar_type::directory; // as in v7
        if (entry_.type == tar_type::hard_link || entry_.type == tar_type::symbolic_link) {
            entry_.link_name = own.link_path       ? *own.link_path
                               : global_.link_path ? *global_.link_path
                               : pending_long_link_
                                   ? *pending_long_link_
                                   : std::string(detail::tar_text(detail::tar_layout::link_name.of(block)));
            if (entry_.link_name.empty()) refuse_entry("is a link to nothing");
            if (entry_.link_name.size() > limits_.name_bytes) refuse_entry("has a link target longer than the limit");
        }
        if (entry_.type != tar_type::regular && entry_.size != 0) refuse_entry("is no regular file and has content");
        entry_.mode =
            static_cast<std::uint32_t>(detail::parse_tar_number(detail::tar_layout::mode.of(block), "mode") & 07777);
        entry_.mtime_seconds = detail::parse_tar_number(detail::tar_layout::mtime.of(block), "time");
        if (const auto& time = own.mtime ? own.mtime : global_.mtime) {
            entry_.mtime_seconds = time->seconds;
            entry_.mtime_nanoseconds = time->nanoseconds;
        }
        pending_long_name_.reset();
        pending_long_link_.reset();
        pending_pax_.reset();
        left_ = entry_.size;
        padding_ = detail::tar_padding(entry_.size);
        state_ = left_ == 0 ? state::header : state::content;
        handler_.on_entry(entry_);
        if (left_ == 0) handler_.on_entry_end();
    }

    static std::string header_name(std::string_view block) {
        const std::string_view name = detail::tar_text(detail::tar_layout::name.of(block));
        std::string result;
        if (detail::tar_layout::magic.of(block) == detail::posix_magic) { // GNU has other things in the prefix's place
            result = detail::tar_text(detail::tar_layout::prefix.of(block));
            if (!result.empty() && !name.empty()) result += '/';
        }
        return result.append(name);
    }

    tar_type type_of(char type) const {
        switch (type) {
        case '0':
        case '\0':
        case '7': return tar_type::regular; // contiguous: a regular file to whoever does not know better, says POSIX
        case '1': return tar_type::hard_link;
        case '2': return tar_type::symbolic_link;
        case '3': return tar_type::character_device;
        case '4': return tar_type::block_device;
        case '5': return tar_type::directory;
        case '6': return tar_type::fifo;
        case 'S': refuse_entry("is a sparse file, which is not supported");
        default: refuse_entry("is of an unknown type");
        }
    }

    [[noreturn]] void refuse_entry(const char* why) const {
        throw decode_error("tar: entry " + printable(entry_.name) + ' ' + why);
    }

    std::size_t take_content(std::string_view bytes) {
        const auto count = static_cast<std::size_t>((std::min)(std::uint64_t{bytes.size()}, left_));
        left_ -= count;
        if (left_ == 0) state_ = padding_ == 0 ? state::header : state::padding;
        handler_.on_data(bytes.substr(0, count));
        if (left_ == 0) handler_.on_entry_end();
        return count;
    }

    std::size_t take_padding(std::string_view bytes) {
        const auto count = static_cast<std::size_t>((std::min)(std::uint64_t{bytes.size()}, padding_));
        padding_ -= count;
        if (padding_ == 0) state_ = state::header;
        return count;
    }

    tar_handler& handler_;
    tar_limits limits_;
    state state_ = state::header;
    bool failed_ = false;
    bool zero_block_ = false;
    std::string block_;      // of a header that came in pieces
    std::uint64_t left_ = 0; // of the content or extended header
    std::uint64_t padding_ = 0;
    std::uint64_t entries_ = 0;
    char extension_type_ = 0;
    std::string extension_;
    std::optional<std::string> pending_long_name_; // for the next entry
    std::optional<std::string> pending_long_link_;
    std::optional<detail::pax_values> pending_pax_;
    detail::pax_values global_;
    tar_entry entry_;
};

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/files/destination.hpp
/// @file
/// Where downloaded files go: each is written beside its place under a temporary name and gets its own name when it is
/// whole, and nothing is ever written outside of the directory the user named.
#ifndef BACKENDAI_FILES_DESTINATION_HPP
#define BACKENDAI_FILES_DESTINATION_HPP

// ---- backendai/files/io_error.hpp
/// @file
/// Failures of the local file system as client_error{io}, with the path.
#ifndef BACKENDAI_FILES_IO_ERROR_HPP
#define BACKENDAI_FILES_IO_ERROR_HPP


#include <filesystem>
#include <string>
#include <system_error>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

inline std::string shown(const std::filesystem::path& path) {
    return codec::printable(os::path_text(path), 1024);
}

[[noreturn]] inline void io_failure(const std::filesystem::path& path, const std::string& why) {
    // Nothing was sent yet, as far as is known here; who runs it in the middle of an exchange says after_sending().
    throw client_error(error_kind::io, shown(path) + ": " + why);
}

/// Runs file system calls about @p path.
template <class Work>
auto with_io_errors(const std::filesystem::path& path, Work&& work) -> decltype(work()) {
    try {
        return work();
    } catch (const std::filesystem::filesystem_error& e) {
        io_failure(path, e.code().message());
    } catch (const std::system_error& e) {
        io_failure(path, e.code().message());
    }
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/files/transfer_options.hpp
/// @file
/// Options of uploads and downloads, for compute sessions and virtual folders alike.
#ifndef BACKENDAI_FILES_TRANSFER_OPTIONS_HPP
#define BACKENDAI_FILES_TRANSFER_OPTIONS_HPP

// ---- backendai/files/progress.hpp
/// @file
/// Progress of transfers: who wants to see it, and who counts the bytes.
#ifndef BACKENDAI_FILES_PROGRESS_HPP
#define BACKENDAI_FILES_PROGRESS_HPP


#include <cstdint>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN

/// Sees a transfer go on: any callable that takes (const std::string& file, std::uint64_t bytes_done, std::uint64_t
/// bytes_total). The bytes are those of the whole call; the total is 0 while nobody knows it. It is called on the
/// thread that does the transfer, after each piece of data, and bytes_done goes back when a request is tried again.
/// Returning false ends the transfer with client_error{cancelled}; what it throws ends it too and comes out unchanged.
/// A callable that returns void never ends it.
class progress_callback {
public:
    progress_callback() = default;
    template <class Callable,
              std::enable_if_t<!std::is_same_v<std::decay_t<Callable>, progress_callback> &&
                                   std::is_invocable_v<Callable&, const std::string&, std::uint64_t, std::uint64_t>,
                               int> = 0>
    progress_callback(Callable callable) { // NOLINT(google-explicit-constructor)
        using returned = std::invoke_result_t<Callable&, const std::string&, std::uint64_t, std::uint64_t>;
        if constexpr (std::is_void_v<returned>) {
            call_ = [callable = std::move(callable)](const std::string& file, std::uint64_t done,
                                                     std::uint64_t total) mutable {
                callable(file, done, total);
                return true;
            };
        } else {
            call_ = std::move(callable);
        }
    }

    explicit operator bool() const noexcept { return static_cast<bool>(call_); }

    /// Whether the transfer shall go on.
    bool operator()(const std::string& file, std::uint64_t done, std::uint64_t total) const {
        return !call_ || call_(file, done, total);
    }

private:
    std::function<bool(const std::string&, std::uint64_t, std::uint64_t)> call_;
};

namespace detail {

/// Counts the bytes of one call and tells the callback. Not thread-safe.
class transfer_meter {
public:
    explicit transfer_meter(progress_callback callback, std::uint64_t total = 0)
        : callback_(std::move(callback)), total_(total) {}

    void set_total(std::uint64_t total) { total_ = total; }
    std::uint64_t done() const { return done_; }
    void add(const std::string& file, std::uint64_t bytes) {
        done_ += bytes;
        if (!callback_(file, done_, total_)) {
            throw client_error(error_kind::cancelled, "the progress callback ended the transfer",
                               client_error::progress::maybe_sent);
        }
    }
    void take_back(std::uint64_t bytes) { done_ -= bytes; }

private:
    progress_callback callback_;
    std::uint64_t total_, done_ = 0;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

BACKENDAI_NAMESPACE_BEGIN

/// What an upload does with what cannot be sent: sockets, FIFOs, devices, and symbolic links that lead out of the base
/// directory, in a circle, or nowhere.
enum class special_files {
    refuse, ///< client_error{argument} that names it, before anything is sent
    skip    ///< leave it out
};

/// Options of upload().
struct upload_options {
    /// Names on the server are relative to this; empty: the current working directory.
    std::filesystem::path basedir = {};
    progress_callback progress = {};
    special_files special = special_files::refuse;
    /// What a file is called on the server, from the name it would have without this; unset: that one. For two files of
    /// one name client_error{argument} comes before anything is sent.
    std::function<std::string(const std::string&)> rename = {};
    /// Virtual folders behind a storage proxy only: bytes sent in one request, so that no more than these are sent
    /// again when a connection is lost.
    std::uint64_t chunk_size = std::uint64_t{16} << 20;
    /// Virtual folders behind a storage proxy only: where to note, as long as the upload is not complete, what a later
    /// call needs to go on where this one stops, be the program killed. That call must be for the same folder; files
    /// that have changed since are sent anew. It holds tokens and is for its owner only (mode 0600); two uploads at a
    /// time must not use the same. Empty: nothing is noted.
    std::filesystem::path resume_file = {};
};

/// What a download does where a file of that name exists.
enum class existing_files {
    overwrite, ///< replace it when the new one is whole; a symbolic link is replaced, not followed
    skip,      ///< keep it
    fail       ///< client_error{io}; files that exist before the call are found before anything is sent
};

/// Options of download().
struct download_options {
    existing_files existing = existing_files::overwrite;
    progress_callback progress = {};
    /// Which names are acceptable. The default refuses what is special on any system, and names that differ from each
    /// other by case only; `posix` lets colons, `aux.c`, `README` beside `readme` and the like through.
    codec::path_policy names = codec::path_policy::portable;
    /// More decoded bytes than this in one call are an error; 0: as many as the server announces, or without limit
    /// when it announces nothing and compresses nothing.
    std::uint64_t max_bytes = 0;
    /// Virtual folders behind a storage proxy only: what a download does with the links in a directory.
    special_files special = special_files::refuse;
    /// Virtual folders behind a storage proxy only: what has come of a file stays when the download fails or the
    /// program is killed, under a hidden name (.backendai-*) beside it, and a later call with this option goes on
    /// there, unless the file has changed on the server.
    bool resume = false;
};

BACKENDAI_NAMESPACE_END

#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// What an archive says of a file besides its content.
struct file_metadata {
    unsigned mode = 0; ///< the nine permission bits; set-user-id, set-group-id and sticky bits are never taken over
    os::file_time modified;
};

/// A directory that receives files, all or none: files are staged under temporary names until commit(), and what was
/// not committed is gone, with the directories made for it, after discard() or destruction.
///
/// Names are components from codec::safe_relative_path(). Directories on the way are opened one inside the other
/// without following links, so a link inside the destination (made by whom ever, whenever) stops the transfer instead
/// of leading it elsewhere. The destination itself may be reached through links: the user named it. Not thread-safe.
/// All functions throw client_error{io} with the path.
class destination {
public:
    using components = std::vector<std::string>;

    /// Makes nothing yet. @throws client_error{io} when @p root exists and is no directory.
    destination(std::filesystem::path root, existing_files policy) : root_path_(std::move(root)), policy_(policy) {
        if (root_path_.empty()) root_path_ = ".";
        with_io_errors(root_path_, [&] {
            const auto status = std::filesystem::status(root_path_);
            if (std::filesystem::exists(status) && !std::filesystem::is_directory(status))
                io_failure(root_path_, "is not a directory");
        });
    }
    destination(const destination&) = delete;
    destination& operator=(const destination&) = delete;
    ~destination() { discard(); }

    /// Whether a file that is to come under this name is wanted: not when it exists and is to be kept.
    /// @throws client_error{io} when the name cannot be used: a directory, or taken and the policy is `fail`.
    bool wants(const components& name) const {
        const std::filesystem::path path = path_of(name);
        return with_io_errors(path, [&] {
            if (!root_.is_open() && !std::filesystem::exists(root_path_)) return true;
            os::directory holder = root_.is_open() ? root_.duplicate() : os::directory(root_path_);
            for (std::size_t i = 0; i + 1 < name.size(); ++i) {
                const os::file_kind kind = holder.kind_of(name[i]);
                if (kind == os::file_kind::none) return true;
                check_directory(kind, name, i + 1);
                holder = holder.open_child(name[i]);
            }
            return wanted(holder.kind_of(name.back()), path);
        });
    }

    /// Whether there is a directory of this name; a link to one is none.
    bool is_directory(const components& name) const {
        return with_io_errors(path_of(name), [&] {
            if (!std::filesystem::exists(root_path_)) return false;
            os::directory holder(root_path_);
            for (const std::string& part : name) {
                if (holder.kind_of(part) != os::file_kind::directory) return false;
                holder = holder.open_child(part);
            }
            return true;
        });
    }

    /// Begins a file; data follows by write(), end_file() completes it. A file that is not wanted takes its data and
    /// drops it. Without metadata it gets the usual mode of new files and the present time.
    void begin_file(const components& name, std::optional<file_metadata> metadata = std::nullopt) {
        current_path_ = path_of(name);
        with_io_errors(current_path_, [&] {
            const os::directory holder = make_parent(name);
            const std::string key = codec::join_path(name);
            if (!wanted(holder.kind_of(name.back()), current_path_)) return;
            staged next;
            next.name = name;
            next.temporary = ".backendai-" + random_digits() + ".part";
            next.metadata = metadata;
            current_ = key;
            // In an archive a later entry replaces an earlier one. It is noted before there is a file, so that
            // discard() finds it whatever fails.
            const auto known = staged_.try_emplace(key);
            staged& entry = known.first->second;
            if (!known.second) holder.remove_file(entry.temporary);
            entry = std::move(next);
            // With metadata: readable by nobody else until its mode is set, which may be narrower than the usual one.
            file_ = holder.create(entry.temporary, metadata ? 0600 : 0666);
        });
    }
    /// Begins a file under a temporary name that is the same each time: what is there of an earlier time is gone on
    /// with, and discard() leaves it. Returns how many bytes that is. Until the file has its own name nobody else can
    /// begin one under that temporary name: that is client_error{io}.
    std::uint64_t begin_kept_file(const components& name, const std::string& temporary,
                                  std::optional<file_metadata> metadata = std::nullopt) {
        current_path_ = path_of(name);
        return with_io_errors(current_path_, [&]() -> std::uint64_t {
            const os::directory holder = make_parent(name);
            os::open_file file;
            os::file_lock lock;
            do {
                file = holder.kind_of(temporary) == os::file_kind::none
                           ? holder.create(temporary, metadata ? 0600 : 0666)
                           : holder.open_file_for_writing(temporary);
                lock = os::file_lock(file);
                if (!lock.is_held()) io_failure(current_path_, "another download is writing it");
                // Before that another one may have become complete: this is its file then.
            } while (!holder.has(temporary, file));
            file_ = std::move(file);
            current_ = codec::join_path(name);
            staged_[current_] = {name, temporary, metadata, true, std::move(lock)};
            const std::uint64_t size = file_.size();
            file_.seek(size);
            return size;
        });
    }
    /// Cuts the file that was begun off; what follows goes there.
    void cut_file(std::uint64_t size) {
        with_io_errors(current_path_, [&] {
            file_.resize(size);
            file_.seek(size);
        });
    }
    /// A small file beside @p name, for what is to be known of it later; nothing when there is none.
    std::optional<std::string> read_note(const components& name, const std::string& note) {
        return with_io_errors(path_of(name), [&]() -> std::optional<std::string> {
            const os::directory holder = make_parent(name);
            if (holder.kind_of(note) != os::file_kind::regular) return {};
            os::open_file file = holder.open_file_for_reading(note);
            std::string text(4096, '\0');
            text.resize(file.read(&text[0], text.size()));
            return text;
        });
    }
    void write_note(const components& name, const std::string& note, std::string_view text) {
        with_io_errors(path_of(name), [&] {
            const os::directory holder = make_parent(name);
            holder.remove_file(note);
            os::open_file file = holder.create(note, 0600);
            file.write(text);
            file.close();
        });
    }
    void remove_note(const components& name, const std::string& note) {
        with_io_errors(path_of(name), [&] { open_parent(name).remove_file(note); });
    }
    void write(std::string_view data) {
        if (!file_.is_open()) return;
        with_io_errors(current_path_, [&] { file_.write(data); });
    }
    void end_file() {
        if (!file_.is_open()) return;
        with_io_errors(current_path_, [&] {
            const auto& metadata = staged_.at(current_).metadata;
            if (metadata) {
                file_.set_mode(metadata->mode);
                file_.set_modified(metadata->modified);
            }
            file_.close();
        });
    }

    /// Makes a directory, or takes the one that is there. Mode and time are set by commit(), for new ones only, since a
    /// directory without write permission could not be filled.
    void make_directory(const components& name, std::optional<file_metadata> metadata = std::nullopt) {
        with_io_errors(path_of(name), [&] {
            components inside = name;
            inside.emplace_back(); // the parent of a nameless entry is the directory
            std::size_t number = 0;
            make_parent(inside, &number);
            if (directories_[number].made) directories_[number].metadata = metadata;
        });
    }

    /// Gives all staged files their names, and the directories that were made their modes. The last thing that can fail
    /// is checked for all of them first.
    void commit() {
        commit_files();
        // Inner ones first: what a directory's mode forbids and its time says holds once all is in it.
        for (std::size_t i = directories_.size(); i-- > 1;) {
            if (!directories_[i].metadata) continue;
            components name = name_of(i);
            with_io_errors(path_of(name), [&] {
                name.emplace_back();
                open_parent(name).set_metadata(directories_[i].metadata->mode, directories_[i].metadata->modified);
            });
        }
        forget_directories();
        made_above_.clear();
    }
    /// The first half of that: more files may follow, into directories that are to be read-only at the end.
    void commit_files() {
        for (const auto& item : staged_) {
            const staged& file = item.second;
            with_io_errors(path_of(file.name),
                           [&] { wanted(open_parent(file.name).kind_of(file.name.back()), path_of(file.name)); });
        }
        while (!staged_.empty()) {
            const staged& file = staged_.begin()->second;
            with_io_errors(path_of(file.name), [&] { put_in_place(file); });
            staged_.erase(staged_.begin());
        }
    }

    /// Removes what was staged and the directories that were made for it, where they still are. Files are removed also
    /// when memory is used up, which may be why.
    void discard() noexcept {
        file_ = os::open_file();
        for (const auto& item : staged_) {
            const staged& file = item.second;
            if (file.kept) continue;
            try_to([&] { open_parent(file.name).remove_file(file.temporary); });
        }
        staged_.clear();
        for (std::size_t i = directories_.size(); i-- > 1;) {
            if (directories_[i].made) try_to([&] { open_parent(name_of(i)).remove_directory(directories_[i].name); });
        }
        forget_directories();
        root_ = os::directory();
        // One that is not empty stays: somebody else has put something into it.
        for (auto made = made_above_.rbegin(); made != made_above_.rend(); ++made)
            try_to([&] { os::directory(made->parent_path()).remove_directory(os::path_text(made->filename())); });
        made_above_.clear();
    }

private:
    struct staged {
        components name;
        std::string temporary;
        std::optional<file_metadata> metadata;
        bool kept = false;  // by discard()
        os::file_lock lock; // of one that is kept
    };
    // A directory inside the destination that was walked through. The first is the destination itself; each one's
    // parent stands before it. With names as a whole, deep ones would cost memory by the square of their depth.
    struct known_directory {
        std::size_t parent = 0;
        std::string name;
        bool made = false; // by this object
        std::optional<file_metadata> metadata;
    };

    std::filesystem::path path_of(const components& name) const {
        return root_path_ / os::text_path(codec::join_path(name));
    }

    // For cleaning up while an error is on its way to the caller already: one file whose directory was taken away
    // must not keep the others from being removed.
    template <class Work>
    static void try_to(Work&& work) noexcept {
        try {
            work();
        } catch (const std::exception&) {
        }
    }

    static std::string random_digits() {
        std::random_device random;
        static constexpr char digits[] = "0123456789abcdef";
        std::string text;
        for (int word = 0; word < 4; ++word) {
            auto bits = static_cast<std::uint32_t>(random());
            for (int i = 0; i < 8; ++i, bits >>= 4) text += digits[bits & 0xF];
        }
        return text;
    }

    void check_directory(os::file_kind kind, const components& name, std::size_t depth) const {
        if (kind == os::file_kind::directory) return;
        const std::filesystem::path path =
            path_of(components(name.begin(), name.begin() + static_cast<std::ptrdiff_t>(depth)));
        if (kind == os::file_kind::symbolic_link) io_failure(path, "is a symbolic link, which is not followed");
        if (kind == os::file_kind::none) io_failure(path, "was removed during the transfer");
        io_failure(path, "is not a directory");
    }

    bool wanted(os::file_kind kind, const std::filesystem::path& path) const {
        if (kind == os::file_kind::none) return true;
        if (kind == os::file_kind::directory) io_failure(path, "a directory is where the file should go");
        if (policy_ == existing_files::fail) io_failure(path, "exists already");
        return policy_ == existing_files::overwrite;
    }

    void open_root() {
        if (root_.is_open()) return;
        std::filesystem::path missing = std::filesystem::absolute(root_path_).lexically_normal();
        if (!missing.has_filename()) missing = missing.parent_path();
        std::vector<std::filesystem::path> above;
        for (; !std::filesystem::exists(missing) && missing.has_relative_path(); missing = missing.parent_path())
            above.push_back(missing);
        made_above_.reserve(above.size()); // what is made is noted without fail
        for (auto path = above.rbegin(); path != above.rend(); ++path) {
            if (std::filesystem::create_directory(*path)) made_above_.push_back(std::move(*path));
        }
        root_ = os::directory(root_path_);
    }

    // The directory that holds @p name, made where it is missing; its number.
    os::directory make_parent(const components& name, std::size_t* number = nullptr) {
        open_root();
        os::directory holder = root_.duplicate();
        std::size_t at = 0;
        for (std::size_t i = 0; i + 1 < name.size(); ++i) {
            if (directories_.size() == directories_.capacity()) directories_.reserve(2 * directories_.size());
            known_directory next{at, name[i], false, {}};
            // Noted before it is made, so that discard() finds it whatever fails.
            const auto added = numbers_.try_emplace({at, name[i]}, directories_.size());
            if (added.second) directories_.push_back(std::move(next));
            at = added.first->second;
            if (holder.make_child(name[i])) {
                directories_[at].made = true;
            } else {
                check_directory(holder.kind_of(name[i]), name, i + 1);
            }
            holder = holder.open_child(name[i]);
        }
        if (number != nullptr) *number = at;
        return holder;
    }

    // The directory that holds @p name, which was there before: one that somebody took away is not made again. Needs no
    // memory while all is well.
    os::directory open_parent(const components& name) const {
        os::directory holder = root_.duplicate();
        for (std::size_t i = 0; i + 1 < name.size(); ++i) {
            check_directory(holder.kind_of(name[i]), name, i + 1);
            holder = holder.open_child(name[i]);
        }
        return holder;
    }

    components name_of(std::size_t number) const {
        components name;
        for (; number != 0; number = directories_[number].parent) name.push_back(directories_[number].name);
        std::reverse(name.begin(), name.end());
        return name;
    }

    void forget_directories() {
        numbers_.clear();
        directories_.resize(1);
    }

    void put_in_place(const staged& file) {
        const os::directory holder = open_parent(file.name);
        const std::string& name = file.name.back();
        if (policy_ == existing_files::overwrite) {
            holder.rename(file.temporary, name);
        } else if (!holder.rename_new(file.temporary, name)) {
            // It came into being after the check.
            if (policy_ == existing_files::fail) io_failure(path_of(file.name), "exists already");
            holder.remove_file(file.temporary);
        }
    }

    std::filesystem::path root_path_;
    existing_files policy_;
    os::directory root_;
    std::map<std::string, staged> staged_;
    std::vector<known_directory> directories_ = std::vector<known_directory>(1);
    std::map<std::pair<std::size_t, std::string>, std::size_t> numbers_; // by parent and name
    std::vector<std::filesystem::path> made_above_;                      // the destination itself and what it lies in
    std::filesystem::path current_path_;
    std::string current_;
    os::open_file file_;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/files/multipart_download.hpp
/// @file
/// What the downloads of compute sessions and virtual folders have in common: the parts of a multipart answer, decoded
/// while they arrive.
#ifndef BACKENDAI_FILES_MULTIPART_DOWNLOAD_HPP
#define BACKENDAI_FILES_MULTIPART_DOWNLOAD_HPP

// ---- backendai/codec/mime_parameters.hpp
/// @file
/// MIME header values with parameters: `form-data; name="src"; filename="a b"`, `multipart/mixed; boundary=x`.
#ifndef BACKENDAI_CODEC_MIME_PARAMETERS_HPP
#define BACKENDAI_CODEC_MIME_PARAMETERS_HPP

// ---- backendai/codec/http_fields.hpp
/// @file
/// HTTP header fields as a list, and the syntax rules that every parser and writer of them needs (RFC 9110 section 5).
#ifndef BACKENDAI_CODEC_HTTP_FIELDS_HPP
#define BACKENDAI_CODEC_HTTP_FIELDS_HPP


#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// Names and values in the order of the message; names compare without regard to case, and may repeat.
using http_fields = std::vector<std::pair<std::string, std::string>>;

/// Compares without regard to the case of ASCII letters.
inline bool equals_ignoring_case(std::string_view a, std::string_view b) noexcept {
    if (a.size() != b.size()) return false;
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (lower(a[i]) != lower(b[i])) return false;
    }
    return true;
}

/// A token of RFC 9110 section 5.6.2: header names, subprotocols, methods.
inline bool is_token(std::string_view text) noexcept {
    for (const char c : text) {
        const bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!alphanumeric && std::string_view("!#$%&'*+-.^_`|~").find(c) == std::string_view::npos) return false;
    }
    return !text.empty();
}

/// A header's value may hold anything but control characters; tab is allowed. Keeps CR, LF and NUL out.
inline bool is_field_value(std::string_view text) noexcept {
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if ((byte < 0x20 && byte != '\t') || byte == 0x7F) return false;
    }
    return true;
}

/// Without the spaces and tabs around it.
inline std::string_view trim_field(std::string_view text) noexcept {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

/// The first header of that name, or null.
inline const std::string* find_field(const http_fields& fields, std::string_view name) noexcept {
    for (const auto& field : fields) {
        if (equals_ignoring_case(field.first, name)) return &field.second;
    }
    return nullptr;
}

/// How often the name occurs.
inline std::size_t count_fields(const http_fields& fields, std::string_view name) noexcept {
    std::size_t count = 0;
    for (const auto& field : fields) {
        if (equals_ignoring_case(field.first, name)) ++count;
    }
    return count;
}

/// The members of a comma-separated list, over all headers of that name, empty members left out.
inline std::vector<std::string> list_members(const http_fields& fields, std::string_view name) {
    std::vector<std::string> members;
    for (const auto& field : fields) {
        if (!equals_ignoring_case(field.first, name)) continue;
        std::string_view rest = field.second;
        for (;;) {
            const std::size_t comma = rest.find(',');
            const std::string_view member = trim_field(rest.substr(0, comma));
            if (!member.empty()) members.emplace_back(member);
            if (comma == std::string_view::npos) break;
            rest.remove_prefix(comma + 1);
        }
    }
    return members;
}

/// True when the comma-separated list of that name has this member, case ignored.
inline bool list_has(const http_fields& fields, std::string_view name, std::string_view member) {
    for (const std::string& candidate : list_members(fields, name)) {
        if (equals_ignoring_case(candidate, member)) return true;
    }
    return false;
}

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// A header value split into what stands before the first semicolon and the parameters after it.
struct mime_value {
    std::string value;                                           ///< in lower case: `form-data`, `multipart/mixed`
    std::vector<std::pair<std::string, std::string>> parameters; ///< names in lower case, values unquoted

    /// The value of the parameter `name` (in lower case), or nullptr.
    const std::string* find(std::string_view name) const {
        for (const auto& parameter : parameters) {
            if (parameter.first == name) return &parameter.second;
        }
        return nullptr;
    }
};

namespace detail {

inline char ascii_lower(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

inline std::string ascii_lower(std::string_view text) {
    std::string result;
    result.reserve(text.size());
    for (const char c : text) result += ascii_lower(c);
    return result;
}

/// Reads a header value from left to right.
class mime_scanner {
public:
    explicit mime_scanner(std::string_view text) : text_(text), rest_(text) {}

    [[noreturn]] void fail(const char* why) const {
        throw decode_error("header value " + printable(text_) + ": " + why);
    }

    bool at_end() const noexcept { return rest_.empty(); }

    void skip_blanks() noexcept {
        while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\t')) rest_.remove_prefix(1);
    }

    bool accept(char c) noexcept {
        if (rest_.empty() || rest_.front() != c) return false;
        rest_.remove_prefix(1);
        return true;
    }

    /// What stands before the next character of `stops`.
    std::string_view until(std::string_view stops) noexcept {
        const std::string_view result = rest_.substr(0, rest_.find_first_of(stops));
        rest_.remove_prefix(result.size());
        return result;
    }

    /// The contents of a quoted-string whose opening quote has been read.
    std::string quoted() {
        std::string result;
        while (!rest_.empty()) {
            char c = rest_.front();
            rest_.remove_prefix(1);
            if (c == '"') return result;
            if (c == '\\') { // quoted-pair, RFC 2822 3.2.2
                if (rest_.empty()) break;
                c = rest_.front();
                rest_.remove_prefix(1);
            }
            result += c;
        }
        fail("the closing quote is missing");
    }

private:
    std::string_view text_;
    std::string_view rest_;
};

} // namespace detail

/// Splits a header value with parameters.
///
/// Unquoted parameter values may hold anything but blanks, quotes and semicolons (a slash, say, which RFC 2045 wants
/// quoted and senders do not quote). A parameter that comes twice is an error: two readers could take different ones.
/// @throws decode_error when the text does not have this form. Pure; thread-safe.
inline mime_value parse_mime_value(std::string_view text) {
    detail::mime_scanner scanner(text);
    mime_value result;
    result.value = detail::ascii_lower(trim_field(scanner.until(";")));
    if (result.value.empty()) scanner.fail("nothing stands before the parameters");
    while (scanner.accept(';')) {
        scanner.skip_blanks();
        if (scanner.at_end()) break; // a semicolon at the end is common and harmless
        std::string name = detail::ascii_lower(trim_field(scanner.until("=;")));
        if (!is_token(name)) scanner.fail("a parameter's name is not a token");
        if (!scanner.accept('=')) scanner.fail("a parameter has no value");
        if (result.find(name) != nullptr) scanner.fail("a parameter comes twice");
        scanner.skip_blanks();
        std::string value;
        if (scanner.accept('"')) {
            value = scanner.quoted();
        } else {
            value = std::string(scanner.until("; \t\""));
            if (value.empty()) scanner.fail("a parameter has no value");
        }
        result.parameters.emplace_back(std::move(name), std::move(value));
        scanner.skip_blanks();
    }
    if (!scanner.at_end()) scanner.fail("something follows a parameter's value");
    return result;
}

/// The boundary of a Content-Type header value such as `multipart/mixed; boundary="x y"`.
/// @throws decode_error when it is not multipart, or has no boundary that RFC 2046 allows (1 to 70 printable ASCII
/// characters, the last one no space). Pure; thread-safe.
inline std::string multipart_boundary(std::string_view content_type) {
    const mime_value parsed = parse_mime_value(content_type);
    if (parsed.value.compare(0, 10, "multipart/") != 0)
        throw decode_error("content type " + printable(content_type) + " is not multipart");
    const std::string* boundary = parsed.find("boundary");
    if (boundary == nullptr) throw decode_error("content type " + printable(content_type) + " has no boundary");
    bool valid = !boundary->empty() && boundary->size() <= 70 && boundary->back() != ' ';
    for (const char c : *boundary) valid = valid && c >= ' ' && c <= '~';
    if (!valid) throw decode_error("content type " + printable(content_type) + " has a boundary that is not allowed");
    return *boundary;
}

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/codec/multipart_reader.hpp
/// @file
/// A push parser for multipart bodies (RFC 2046): feed it pieces of any size, it calls a handler.
#ifndef BACKENDAI_CODEC_MULTIPART_READER_HPP
#define BACKENDAI_CODEC_MULTIPART_READER_HPP

// ---- backendai/codec/delimiter_search.hpp
/// @file
/// Finds a multipart delimiter in a stream of pieces, without copying and without looking at every byte.
#ifndef BACKENDAI_CODEC_DELIMITER_SEARCH_HPP
#define BACKENDAI_CODEC_DELIMITER_SEARCH_HPP


#include <array>
#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {
namespace detail {

/// Searches for CRLF, two dashes and the boundary (Horspool's algorithm).
///
/// CR stands in the delimiter once, at its front (a boundary has none). So a delimiter that was begun and went wrong
/// hides no other one, its bytes are known without keeping them, and comparing stays linear whatever the data.
class delimiter_search {
public:
    explicit delimiter_search(const std::string& boundary) : delimiter_("\r\n--" + boundary) {
        skip_.fill(static_cast<unsigned char>(delimiter_.size()));
        for (std::size_t i = 0; i + 1 < delimiter_.size(); ++i)
            skip_[static_cast<unsigned char>(delimiter_[i])] = static_cast<unsigned char>(delimiter_.size() - 1 - i);
    }

    std::string_view delimiter() const noexcept { return delimiter_; }

    /// Offset of the first whole delimiter in `text`, or npos.
    std::size_t find(std::string_view text) const noexcept {
        const std::size_t length = delimiter_.size();
        if (text.size() < length) return std::string_view::npos;
        const std::size_t end = text.size() - length;
        // Where CR is rare (text, compressed and other binary data), looking for it is the fastest way to go.
        std::size_t tries = 0;
        for (std::size_t at = 0; at <= end; ++at) {
            if (++tries * 64 > at + 4096) return find_skipping(text, at);
            const void* const found = std::memchr(text.data() + at, '\r', end - at + 1);
            if (found == nullptr) return std::string_view::npos;
            at = static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
            if (std::memcmp(text.data() + at, delimiter_.data(), length) == 0) return at;
        }
        return std::string_view::npos;
    }

    /// How many bytes at the end of `text`, which holds no whole delimiter, may be the beginning of one.
    std::size_t partial_at_end(std::string_view text) const noexcept {
        const std::size_t longest = delimiter_.size() - 1;
        if (text.size() > longest) text.remove_prefix(text.size() - longest);
        for (std::size_t at = 0; at < text.size(); ++at) {
            at = text.find('\r', at);
            if (at == std::string_view::npos) return 0;
            if (matches(text.substr(at), 0)) return text.size() - at;
        }
        return 0;
    }

    /// Whether `text` is what the delimiter has at `offset`; no more than the delimiter's length counts.
    bool matches(std::string_view text, std::size_t offset) const noexcept {
        return text.size() <= delimiter_.size() - offset &&
               std::memcmp(text.data(), delimiter_.data() + offset, text.size()) == 0;
    }

private:
    // Looks at the byte where the delimiter would end, and skips what that one rules out.
    std::size_t find_skipping(std::string_view text, std::size_t at) const noexcept {
        const std::size_t length = delimiter_.size();
        const char* const data = text.data();
        const char last = delimiter_.back();
        const std::size_t end = text.size() - length;
        while (at <= end) {
            const char c = data[at + length - 1];
            if (c == last && std::memcmp(data + at, delimiter_.data(), length) == 0) return at;
            at += skip_[static_cast<unsigned char>(c)];
        }
        return std::string_view::npos;
    }

    std::string delimiter_; // at most 74 bytes, so that skips fit a byte
    std::array<unsigned char, 256> skip_{};
};

} // namespace detail
} // namespace codec
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/codec/part_headers.hpp
/// @file
/// The header fields of one part of a multipart body.
#ifndef BACKENDAI_CODEC_PART_HEADERS_HPP
#define BACKENDAI_CODEC_PART_HEADERS_HPP

// ---- backendai/codec/content_disposition.hpp
/// @file
/// Content-Disposition: the names of the parts of a multipart body (RFC 2183, RFC 5987, RFC 7578).
#ifndef BACKENDAI_CODEC_CONTENT_DISPOSITION_HPP
#define BACKENDAI_CODEC_CONTENT_DISPOSITION_HPP

// ---- backendai/codec/utf8.hpp
/// @file
/// Incremental UTF-8 validation (RFC 3629): text may arrive in pieces of any size, cut anywhere, also inside a
/// character.
#ifndef BACKENDAI_CODEC_UTF8_HPP
#define BACKENDAI_CODEC_UTF8_HPP


#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// Validates UTF-8 piece by piece and fails at the first byte that no valid text can continue with: overlong forms,
/// surrogates (U+D800 to U+DFFF) and everything above U+10FFFF are refused at their second byte, not at their last.
/// Not thread-safe; one object per text.
class utf8_validator {
public:
    /// Checks the next piece. Returns false when the text is invalid; after that every call returns false until
    /// reset().
    bool feed(std::string_view piece) noexcept {
        if (invalid_) return false;
        const char* at = piece.data();
        const char* const end = at + piece.size();
        while (at != end) {
            if (missing_ == 0) {
                at = skip_whole_characters(at, end);
                if (at == end) return true;
            }
            if (!accept(static_cast<unsigned char>(*at++))) {
                invalid_ = true;
                return false;
            }
        }
        return true;
    }

    /// True when the text so far is valid and does not end inside a character.
    bool complete() const noexcept { return !invalid_ && missing_ == 0; }

    /// Forgets everything: ready for another text.
    void reset() noexcept { *this = utf8_validator(); }

private:
    static bool continuation(unsigned char byte) noexcept { return (byte & 0xC0U) == 0x80U; }

    // Skips ASCII by 16 and 8 bytes at a time and whole multi-byte characters; stops at a character that is invalid or
    // not wholly there, which accept() then judges byte by byte (and so gives both cases one definition).
    static const char* skip_whole_characters(const char* at, const char* end) noexcept {
        constexpr std::uint64_t high_bits = 0x8080808080808080U;
        for (;;) {
            while (end - at >= 16) {
                std::uint64_t first;
                std::uint64_t second;
                std::memcpy(&first, at, 8);
                std::memcpy(&second, at + 8, 8);
                if (((first | second) & high_bits) != 0) break;
                at += 16;
            }
            if (end - at >= 8) {
                std::uint64_t block;
                std::memcpy(&block, at, 8);
                if ((block & high_bits) == 0) at += 8;
            }
            while (at != end && static_cast<unsigned char>(*at) < 0x80U) ++at;
            const char* const before = at;
            while (end - at >= 4) {
                const std::size_t length = whole_character(reinterpret_cast<const unsigned char*>(at));
                if (length == 0) break;
                at += length;
            }
            if (at == before) return at;
        }
    }

    // Length of the valid multi-byte character at p (four bytes are readable); 0 for ASCII and for anything invalid.
    static std::size_t whole_character(const unsigned char* p) noexcept {
        const unsigned char lead = p[0];
        if (lead < 0xC2U || lead > 0xF4U || !continuation(p[1])) return 0;
        if (lead < 0xE0U) return 2;
        if (!continuation(p[2])) return 0;
        if (lead < 0xF0U) {
            if ((lead == 0xE0U && p[1] < 0xA0U) || (lead == 0xEDU && p[1] > 0x9FU)) return 0;
            return 3;
        }
        if ((lead == 0xF0U && p[1] < 0x90U) || (lead == 0xF4U && p[1] > 0x8FU) || !continuation(p[3])) return 0;
        return 4;
    }

    // RFC 3629 section 4: the lead byte says how many bytes follow and which range the first of them may have.
    bool accept(unsigned char byte) noexcept {
        if (missing_ != 0) {
            if (byte < lowest_ || byte > highest_) return false;
            lowest_ = 0x80;
            highest_ = 0xBF;
            --missing_;
            return true;
        }
        if (byte < 0x80U) return true;
        if (byte < 0xC2U || byte > 0xF4U) return false;
        missing_ = static_cast<unsigned char>(byte < 0xE0U ? 1 : byte < 0xF0U ? 2 : 3);
        if (byte == 0xE0U) lowest_ = 0xA0;
        if (byte == 0xEDU) highest_ = 0x9F;
        if (byte == 0xF0U) lowest_ = 0x90;
        if (byte == 0xF4U) highest_ = 0x8F;
        return true;
    }

    bool invalid_ = false;
    unsigned char missing_ = 0;
    unsigned char lowest_ = 0x80;
    unsigned char highest_ = 0xBF;
};

/// True when the whole text is valid UTF-8. Thread-safe.
inline bool is_utf8(std::string_view text) noexcept {
    utf8_validator validator;
    return validator.feed(text) && validator.complete();
}

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// A parsed Content-Disposition.
struct content_disposition {
    std::string type;                    ///< in lower case: `form-data`, `attachment`, `inline`
    std::optional<std::string> name;     ///< of the form field
    std::optional<std::string> filename; ///< as the sender meant it: not checked, see safe_relative_path()
};

namespace detail {

/// `UTF-8'en'a%20b` of RFC 5987, in UTF-8.
inline std::string decode_extended_value(std::string_view text) {
    const auto fail = [&](const char* why) {
        throw decode_error("extended parameter value " + printable(text) + ": " + why);
    };
    const std::size_t first = text.find('\'');
    const std::size_t second = first == std::string_view::npos ? first : text.find('\'', first + 1);
    if (second == std::string_view::npos) fail("is not of the form charset'language'value");
    const std::string charset = ascii_lower(text.substr(0, first));
    std::string value = unescape(text.substr(second + 1), false);
    if (charset == "iso-8859-1") {
        std::string converted;
        for (const char c : value) {
            const unsigned code = static_cast<unsigned char>(c);
            if (code < 0x80) {
                converted += c;
            } else {
                converted += static_cast<char>(0xC0 | (code >> 6));
                converted += static_cast<char>(0x80 | (code & 0x3F));
            }
        }
        return converted;
    }
    // aiohttp takes a missing charset for UTF-8.
    if (charset != "utf-8" && charset != "us-ascii" && !charset.empty()) fail("has a charset that is not supported");
    if (!is_utf8(value)) fail("is not valid UTF-8");
    return value;
}

/// A parameter by RFC 5987: the extended form (`name*`) goes before the plain one, wherever they stand.
inline std::optional<std::string> find_extended(const mime_value& value, const std::string& name) {
    if (const std::string* extended = value.find(name + '*')) return decode_extended_value(*extended);
    if (const std::string* plain = value.find(name)) return *plain;
    return std::nullopt;
}

} // namespace detail

/// Parses a Content-Disposition header's value.
///
/// A plain `filename="..."` is taken by the letter after undoing backslash escapes, as aiohttp's reader does: percent
/// signs in it are not decoded (a vfolder download's parts carry a percent-encoded base name: codec::unescape()).
/// @throws decode_error when it is malformed. Pure; thread-safe.
inline content_disposition parse_content_disposition(std::string_view text) {
    const mime_value parsed = parse_mime_value(text);
    if (!is_token(parsed.value))
        throw decode_error("content disposition " + printable(text) + ": the type is not a token");
    content_disposition result;
    result.type = parsed.value;
    result.name = detail::find_extended(parsed, "name");
    result.filename = detail::find_extended(parsed, "filename");
    return result;
}

/// Writes the Content-Disposition value of a form-data part.
///
/// A server's aiohttp splits the header at semicolons before it looks at quotes, strips leading slashes and
/// backslashes and decodes no percent signs, so only names free of all these go as they are. For the others both forms
/// are sent, as the official 19.03 client does: `filename*` (RFC 5987), which aiohttp prefers, and a plain `filename`
/// with the troublesome characters percent-encoded, as browsers do, for readers that know nothing else.
/// @throws std::invalid_argument for an empty or non-ASCII field name, for CR, LF or NUL in a name (they would inject
/// headers), and for a filename that is not UTF-8. Pure; thread-safe.
inline std::string format_form_data(std::string_view name, const std::optional<std::string>& filename) {
    if (name.empty()) throw std::invalid_argument("the name of a form field is empty");
    for (const char c : name) {
        if (c < ' ' || c > '~' || c == '"' || c == '\\' || c == ';')
            throw std::invalid_argument("the name of form field " + printable(name) + " has a forbidden character");
    }
    std::string result = "form-data; name=\"" + std::string(name) + '"';
    if (!filename) return result;
    if (filename->find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos)
        throw std::invalid_argument("file name " + printable(*filename) + " has a line break or NUL byte");
    if (!is_utf8(*filename)) throw std::invalid_argument("file name " + printable(*filename) + " is not valid UTF-8");
    bool needs_extended = filename->empty() || filename->front() == '/';
    std::string plain;
    for (const char c : *filename) {
        const bool ascii = c >= ' ' && c <= '~';
        const bool awkward =
            c == '"' || c == '\\' || c == ';' || c == '%' || static_cast<unsigned char>(c) < ' ' || c == 0x7F;
        needs_extended = needs_extended || awkward || !ascii;
        if (awkward) {
            detail::put_escaped(plain, static_cast<unsigned char>(c));
        } else {
            plain += c;
        }
    }
    result += "; filename=\"" + plain + '"';
    if (needs_extended) result += "; filename*=utf-8''" + detail::escape(*filename, "", false);
    return result;
}

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// The header fields of one part, in the order of the wire.
class part_headers {
public:
    const std::vector<std::pair<std::string, std::string>>& fields() const noexcept { return fields_; }

    /// The value of the field `name` (any case), or nullptr.
    const std::string* find(std::string_view name) const noexcept {
        for (const auto& field : fields_) {
            if (equals_ignoring_case(field.first, name)) return &field.second;
        }
        return nullptr;
    }

    /// The parsed Content-Disposition; empty fields when there is none. @throws decode_error when it is malformed.
    content_disposition disposition() const {
        const std::string* text = find("content-disposition");
        return text == nullptr ? content_disposition{} : parse_content_disposition(*text);
    }

    /// The Content-Encoding in lower case, `identity` when there is none.
    std::string content_encoding() const {
        const std::string* text = find("content-encoding");
        return text == nullptr ? "identity" : detail::ascii_lower(*text);
    }

    /// The Content-Length, where there is one. @throws decode_error when it is no number.
    std::optional<std::uint64_t> content_length() const {
        const std::string* text = find("content-length");
        if (text == nullptr) return std::nullopt;
        std::uint64_t value = 0;
        bool valid = !text->empty();
        for (const char c : *text) {
            const auto digit = static_cast<std::uint64_t>(static_cast<unsigned char>(c) - unsigned{'0'});
            valid =
                valid && c >= '0' && c <= '9' && value <= ((std::numeric_limits<std::uint64_t>::max)() - digit) / 10;
            if (!valid) break;
            value = value * 10 + digit;
        }
        if (!valid) throw decode_error("content length " + printable(*text) + " of a part is not a number");
        return value;
    }

    /// Adds a line of the header block, without its CRLF: a field, or the continuation of the one before (folding).
    /// @throws decode_error when it is neither, or repeats a field that has one meaning only.
    void add_line(std::string_view line) {
        if (line.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos)
            throw decode_error("part header " + printable(line) + " has a stray CR, LF or NUL");
        if (!line.empty() && (line.front() == ' ' || line.front() == '\t')) {
            if (fields_.empty()) throw decode_error("part header " + printable(line) + " continues nothing");
            fields_.back().second += ' ';
            fields_.back().second += trim_field(line);
            return;
        }
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos || !is_token(line.substr(0, colon)))
            throw decode_error("part header " + printable(line) + " has no field name");
        const std::string_view name = line.substr(0, colon);
        for (const char* single : {"content-disposition", "content-type", "content-encoding", "content-length",
                                   "content-transfer-encoding"}) {
            if (equals_ignoring_case(name, single) && find(name) != nullptr)
                throw decode_error("part header " + printable(name) + " comes twice");
        }
        fields_.emplace_back(name, trim_field(line.substr(colon + 1)));
    }

    void clear() noexcept { fields_.clear(); }

private:
    std::vector<std::pair<std::string, std::string>> fields_;
};

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// What a multipart_reader calls. Whatever a function throws leaves feed(), and the reader takes nothing any more.
class multipart_handler {
public:
    virtual ~multipart_handler() = default;
    /// A part begins; `headers` is valid during the call only.
    virtual void on_part_begin(const part_headers& headers) = 0;
    /// More of the part's content, never empty; the bytes are valid during the call only.
    virtual void on_data(std::string_view data) = 0;
    /// The part is complete.
    virtual void on_part_end() = 0;
    /// The closing delimiter has come. Only finish() says that the body was well-formed to its end.
    virtual void on_end() {}
};

/// What a multipart_reader accepts.
struct multipart_limits {
    std::size_t header_bytes = 16 * 1024;      ///< of one part's header block
    std::size_t header_lines = 64;             ///< of one part
    std::uint64_t parts = 100'000;             ///< of one body
    std::uint64_t outside_bytes = 1024 * 1024; ///< before the first delimiter and after the last
};

/// Splits a multipart body of any subtype into its parts.
///
/// Strict where the standard is: lines end in CRLF; a delimiter line holds nothing else but blanks at its end (RFC 2046
/// forbids content in which CRLF, dashes and the boundary occur, so something else behind them is a damaged body).
/// A part's Content-Length, where there is one and no content encoding, must agree with what came. Transfer encodings
/// (base64, quoted-printable), which HTTP does not need, are refused.
/// Memory: one header block. Content is handed on in place. Not thread-safe.
class multipart_reader {
public:
    /// @param boundary see multipart_boundary()
    /// @param handler  must outlive the reader
    /// @throws decode_error when the boundary is not 1 to 70 printable characters
    multipart_reader(const std::string& boundary, multipart_handler& handler, multipart_limits limits = {})
        : search_(checked(boundary)), handler_(handler), limits_(limits) {}

    /// Takes the next bytes of the body. @throws decode_error when they are malformed or beyond a limit.
    void feed(std::string_view bytes) {
        if (failed_) throw decode_error("multipart body: data after an error");
        failed_ = true; // until the end of this call: also when the handler throws
        while (!bytes.empty()) {
            switch (state_) {
            case state::content: bytes.remove_prefix(take_content(bytes)); break;
            case state::delimiter_tail: bytes.remove_prefix(take_delimiter_tail(bytes)); break;
            case state::headers: bytes.remove_prefix(take_header_line(bytes)); break;
            case state::after_end: bytes.remove_prefix(take_after_end(bytes)); break;
            }
        }
        failed_ = false;
    }

    /// Says that the body is over. @throws decode_error when the closing delimiter has not come.
    void finish() {
        if (failed_) throw decode_error("multipart body: it ends after an error");
        failed_ = true;
        if (state_ != state::after_end)
            throw decode_error(parts_ == 0 ? "multipart body: it ends before its first delimiter"
                                           : "multipart body: it ends before its closing delimiter");
        if (end_line_ == end_line::cr) throw decode_error("multipart body: stray CR after the closing delimiter");
        failed_ = false;
    }

    /// Whether the closing delimiter has come.
    bool ended() const noexcept { return state_ == state::after_end; }

private:
    enum class state {
        content, // also the preamble
        delimiter_tail,
        headers,
        after_end
    };
    enum class end_line { blanks, cr, epilogue };

    static const std::string& checked(const std::string& boundary) {
        bool valid = !boundary.empty() && boundary.size() <= 70;
        for (const char c : boundary) valid = valid && c >= ' ' && c <= '~';
        if (!valid) throw decode_error("multipart boundary " + printable(boundary) + " is not allowed");
        return boundary;
    }

    // matched_ counts the delimiter's bytes that have gone by. The first given_ of them are the CRLF that ended the
    // line before the content (or that the start of the body stands for), so they are no content if it goes wrong.
    std::size_t take_content(std::string_view bytes) {
        const std::string_view delimiter = search_.delimiter();
        if (matched_ != 0) {
            const std::size_t count = (std::min)(bytes.size(), delimiter.size() - matched_);
            std::size_t same = 0;
            while (same < count && bytes[same] == delimiter[matched_ + same]) ++same;
            matched_ += same;
            if (same == count) {
                if (matched_ == delimiter.size()) begin_delimiter_tail();
                return count;
            }
            const std::size_t begin = given_;
            const std::size_t end = matched_;
            matched_ = given_ = 0;
            emit(delimiter.substr(begin, end - begin));
            return same;
        }
        const std::size_t found = search_.find(bytes);
        if (found != std::string_view::npos) {
            emit(bytes.substr(0, found));
            begin_delimiter_tail();
            return found + delimiter.size();
        }
        const std::size_t partial = search_.partial_at_end(bytes);
        emit(bytes.substr(0, bytes.size() - partial));
        matched_ = partial;
        return bytes.size();
    }

    void emit(std::string_view data) {
        if (data.empty()) return;
        if (!in_part_) {
            count_outside(data.size());
            return;
        }
        received_ += data.size();
        if (announced_ && received_ > *announced_)
            throw decode_error("multipart body: a part is longer than its Content-Length");
        handler_.on_data(data);
    }

    void begin_delimiter_tail() {
        matched_ = given_ = 0;
        state_ = state::delimiter_tail;
        line_.clear();
    }

    // What follows the boundary on its line: blanks and CRLF, or the two dashes of the closing delimiter.
    std::size_t take_delimiter_tail(std::string_view bytes) {
        const char c = bytes.front();
        if (line_ == "\r") {
            if (c != '\n') throw decode_error("multipart body: stray CR after a delimiter");
            end_part();
            begin_headers();
        } else if (line_ == "-") {
            if (c != '-') throw decode_error("multipart body: a delimiter line goes on after the boundary");
            end_part();
            state_ = state::after_end;
            end_line_ = end_line::blanks;
            handler_.on_end();
        } else if (c == '\r' || (c == '-' && line_.empty())) {
            line_ = c;
        } else if (c == ' ' || c == '\t') {
            line_ = ' '; // transport padding (RFC 2046 5.1.1); no closing dashes after it
            count_outside(1);
        } else {
            throw decode_error("multipart body: a delimiter line goes on after the boundary");
        }
        return 1;
    }

    void end_part() {
        if (!in_part_) return;
        if (announced_ && received_ != *announced_)
            throw decode_error("multipart body: a part is shorter than its Content-Length");
        in_part_ = false;
        handler_.on_part_end();
    }

    void begin_headers() {
        if (++parts_ > limits_.parts) throw decode_error("multipart body: too many parts");
        state_ = state::headers;
        headers_.clear();
        header_bytes_ = header_lines_ = 0;
        line_.clear();
    }

    std::size_t take_header_line(std::string_view bytes) {
        const std::size_t newline = bytes.find('\n');
        const std::size_t count = newline == std::string_view::npos ? bytes.size() : newline + 1;
        header_bytes_ += count;
        if (header_bytes_ > limits_.header_bytes) throw decode_error("multipart body: a part's headers are too long");
        line_.append(bytes.data(), count);
        if (newline == std::string_view::npos) return count;
        if (line_.size() < 2 || line_[line_.size() - 2] != '\r')
            throw decode_error("multipart body: a header line does not end in CRLF");
        line_.resize(line_.size() - 2);
        if (line_.empty()) {
            begin_content();
        } else {
            if (++header_lines_ > limits_.header_lines)
                throw decode_error("multipart body: a part has too many headers");
            headers_.add_line(line_);
            line_.clear();
        }
        return count;
    }

    void begin_content() {
        if (const std::string* encoding = headers_.find("content-transfer-encoding")) {
            const std::string name = detail::ascii_lower(*encoding);
            if (name != "binary" && name != "8bit" && name != "7bit")
                throw decode_error("multipart body: transfer encoding " + printable(*encoding) + " is not supported");
        }
        announced_ = headers_.content_length();
        if (headers_.content_encoding() != "identity") announced_.reset(); // it may count the decoded bytes
        received_ = 0;
        in_part_ = true;
        state_ = state::content;
        matched_ = given_ = 2; // the grammar lets the blank line's CRLF be the delimiter's: a part without content
        handler_.on_part_begin(headers_);
    }

    std::size_t take_after_end(std::string_view bytes) {
        if (end_line_ == end_line::epilogue) {
            count_outside(bytes.size());
            return bytes.size();
        }
        count_outside(1);
        const char c = bytes.front();
        if (end_line_ == end_line::cr) {
            if (c != '\n') throw decode_error("multipart body: stray CR after the closing delimiter");
            end_line_ = end_line::epilogue;
        } else if (c == '\r') {
            end_line_ = end_line::cr;
        } else if (c != ' ' && c != '\t') {
            throw decode_error("multipart body: the line of the closing delimiter goes on");
        }
        return 1;
    }

    void count_outside(std::size_t bytes) {
        outside_ += bytes;
        if (outside_ > limits_.outside_bytes) throw decode_error("multipart body: too many bytes outside its parts");
    }

    detail::delimiter_search search_;
    multipart_handler& handler_;
    multipart_limits limits_;
    state state_ = state::content;
    end_line end_line_ = end_line::blanks;
    bool in_part_ = false;
    bool failed_ = false;
    std::size_t matched_ = 2; // the first delimiter may stand at the very start, without CRLF
    std::size_t given_ = 2;
    std::uint64_t outside_ = 0;
    std::uint64_t parts_ = 0;
    std::string line_; // the header line, or the last character after the boundary, so far
    part_headers headers_;
    std::size_t header_bytes_ = 0;
    std::size_t header_lines_ = 0;
    std::optional<std::uint64_t> announced_;
    std::uint64_t received_ = 0;
};

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/files/part_decoder.hpp
/// @file
/// Undoes the Content-Encoding of one part of a download.
#ifndef BACKENDAI_FILES_PART_DECODER_HPP
#define BACKENDAI_FILES_PART_DECODER_HPP

// ---- backendai/codec/gzip.hpp
/// @file
/// gzip, zlib and raw deflate streams, decoded and encoded piece by piece with zlib.
#ifndef BACKENDAI_CODEC_GZIP_HPP
#define BACKENDAI_CODEC_GZIP_HPP


#include <zlib.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// The wrapping of a deflate stream.
enum class deflate_format {
    gzip, ///< RFC 1952, several members may follow each other; `Content-Encoding: gzip`
    zlib, ///< RFC 1950
    raw   ///< RFC 1951, no checksum; what a vfolder download calls `Content-Encoding: deflate`
};

/// How far a compressed stream may expand. There is no default: what is right only the caller knows (the length that
/// was announced, the size of answer that makes sense).
struct expansion_limits {
    std::uint64_t output_bytes; ///< in all
    /// Output bytes for each input byte, judged once the output is more than `ratio_floor`; 0 = any. Deflate reaches
    /// 1032 at most, and on files of zeros it does.
    std::uint64_t ratio;
    std::uint64_t ratio_floor; ///< in bytes of output
};

namespace detail {

constexpr std::size_t deflate_buffer_size = 64 * 1024;

inline int window_bits(deflate_format format) noexcept {
    return format == deflate_format::gzip ? 15 + 16 : format == deflate_format::zlib ? 15 : -15;
}

/// The next piece of `bytes` that zlib's 32-bit counters can take; removed from it.
inline void give_input(z_stream& stream, std::string_view& bytes) noexcept {
    const std::size_t count = (std::min)(bytes.size(), std::size_t{1} << 30);
    // zlib takes the input as non-const for historical reasons and does not write to it
    stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes.data()));
    stream.avail_in = static_cast<uInt>(count);
    bytes.remove_prefix(count);
}

} // namespace detail

/// Decodes a compressed stream with constant memory (about 110 KB). Not thread-safe.
class inflate_decoder {
public:
    inflate_decoder(deflate_format format, expansion_limits limits)
        : format_(format), limits_(limits), buffer_(new char[detail::deflate_buffer_size]) {
        if (inflateInit2(&stream_, detail::window_bits(format)) != Z_OK) throw std::bad_alloc();
    }
    inflate_decoder(const inflate_decoder&) = delete;
    inflate_decoder& operator=(const inflate_decoder&) = delete;
    ~inflate_decoder() { inflateEnd(&stream_); }

    /// Decodes the next bytes; calls `sink(std::string_view)` with each piece of output, valid during the call.
    /// @throws decode_error when the stream is damaged, goes on after its end, or expands beyond a limit (the sink has
    /// then not seen the piece that was too much); what the sink throws. The decoder takes nothing after that.
    template <class Sink>
    void feed(std::string_view bytes, Sink&& sink) {
        if (failed_) throw decode_error("compressed data after an error");
        failed_ = true; // until the end of this call: also when the sink throws
        while (!bytes.empty()) {
            detail::give_input(stream_, bytes);
            while (stream_.avail_in != 0 || full_) {
                if (at_end_) begin_member();
                step(sink);
            }
        }
        failed_ = false;
    }

    /// Says that the input is over. @throws decode_error when the stream's end and checksum have not come.
    void finish() {
        if (failed_) throw decode_error("compressed data ends after an error");
        failed_ = true;
        if (!at_end_) throw decode_error("compressed data is truncated");
        failed_ = false;
    }

    std::uint64_t bytes_in() const noexcept { return bytes_in_; }
    std::uint64_t bytes_out() const noexcept { return bytes_out_; }

private:
    // What follows a gzip member must be another (RFC 1952 2.2); its damaged magic is found by inflate.
    void begin_member() {
        if (format_ != deflate_format::gzip) throw decode_error("something follows the end of compressed data");
        if (inflateReset(&stream_) != Z_OK) throw decode_error("compressed data cannot be decoded");
        at_end_ = false;
    }

    template <class Sink>
    void step(Sink&& sink) {
        const uInt before = stream_.avail_in;
        stream_.next_out = reinterpret_cast<Bytef*>(buffer_.get());
        stream_.avail_out = static_cast<uInt>(detail::deflate_buffer_size);
        const int status = inflate(&stream_, Z_NO_FLUSH);
        const std::size_t produced = detail::deflate_buffer_size - stream_.avail_out;
        bytes_in_ += before - stream_.avail_in;
        full_ = stream_.avail_out == 0 && status != Z_STREAM_END; // there may be more output without more input
        if (status == Z_MEM_ERROR) throw std::bad_alloc();
        if (status == Z_NEED_DICT) throw decode_error("compressed data needs a dictionary");
        // Z_BUF_ERROR: all input is used and nothing more came out, which a full buffer before leads to
        if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
            throw decode_error(std::string("compressed data is damaged: ") +
                               (stream_.msg != nullptr ? stream_.msg : "unknown reason"));
        count_output(produced);
        if (produced != 0) sink(std::string_view(buffer_.get(), produced));
        at_end_ = status == Z_STREAM_END;
    }

    void count_output(std::size_t produced) {
        if (produced > limits_.output_bytes - bytes_out_)
            throw decode_error("compressed data expands beyond the limit of " + std::to_string(limits_.output_bytes) +
                               " bytes");
        bytes_out_ += produced;
        if (limits_.ratio != 0 && bytes_out_ > limits_.ratio_floor && bytes_out_ / limits_.ratio > bytes_in_)
            throw decode_error("compressed data expands more than " + std::to_string(limits_.ratio) + " times");
    }

    deflate_format format_;
    expansion_limits limits_;
    std::unique_ptr<char[]> buffer_;
    z_stream stream_{};
    bool failed_ = false;
    bool at_end_ = false; // of a member
    bool full_ = false;   // the last call filled the buffer
    std::uint64_t bytes_in_ = 0;
    std::uint64_t bytes_out_ = 0;
};

/// Encodes a stream with constant memory (about 330 KB). Not thread-safe.
class deflate_encoder {
public:
    /// @param level 0 (none) to 9 (smallest), -1 for zlib's default
    /// @throws std::invalid_argument for another level
    explicit deflate_encoder(deflate_format format, int level = -1) : buffer_(new char[detail::deflate_buffer_size]) {
        if (level < -1 || level > 9) throw std::invalid_argument("compression level out of range");
        if (deflateInit2(&stream_, level, Z_DEFLATED, detail::window_bits(format), 8, Z_DEFAULT_STRATEGY) != Z_OK)
            throw std::bad_alloc();
    }
    deflate_encoder(const deflate_encoder&) = delete;
    deflate_encoder& operator=(const deflate_encoder&) = delete;
    ~deflate_encoder() { deflateEnd(&stream_); }

    /// Encodes the next bytes; calls `sink(std::string_view)` with each piece of output, valid during the call.
    template <class Sink>
    void feed(std::string_view bytes, Sink&& sink) {
        if (finished_) throw std::logic_error("deflate encoder: data after the end");
        while (!bytes.empty()) {
            detail::give_input(stream_, bytes);
            while (stream_.avail_in != 0) step(Z_NO_FLUSH, sink);
        }
    }

    /// Ends the stream. Call once.
    template <class Sink>
    void finish(Sink&& sink) {
        if (finished_) throw std::logic_error("deflate encoder: finished twice");
        finished_ = true;
        while (step(Z_FINISH, sink) != Z_STREAM_END) {
        }
    }

private:
    template <class Sink>
    int step(int flush, Sink&& sink) {
        stream_.next_out = reinterpret_cast<Bytef*>(buffer_.get());
        stream_.avail_out = static_cast<uInt>(detail::deflate_buffer_size);
        const int status = deflate(&stream_, flush);
        const std::size_t produced = detail::deflate_buffer_size - stream_.avail_out;
        if (status == Z_STREAM_ERROR) throw std::logic_error("deflate encoder: inconsistent state");
        if (produced != 0) sink(std::string_view(buffer_.get(), produced));
        return status;
    }

    std::unique_ptr<char[]> buffer_;
    z_stream stream_{};
    bool finished_ = false;
};

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// One part's decoder: identity, gzip, or deflate, which in this protocol is raw, without a zlib header.
/// Not thread-safe; throws codec::decode_error.
class part_decoder {
public:
    /// @param limit how many decoded bytes are acceptable
    part_decoder(const std::string& encoding, std::uint64_t limit) : left_(limit) {
        if (encoding == "gzip" || encoding == "x-gzip") {
            inflate_.emplace(codec::deflate_format::gzip, codec::expansion_limits{limit, 0, 0});
        } else if (encoding == "deflate") {
            inflate_.emplace(codec::deflate_format::raw, codec::expansion_limits{limit, 0, 0});
        } else if (encoding != "identity") {
            throw codec::decode_error("content encoding " + codec::printable(encoding) + " is not supported");
        }
    }

    template <class Sink>
    void feed(std::string_view data, Sink&& sink) {
        if (inflate_) return inflate_->feed(data, std::forward<Sink>(sink));
        if (data.size() > left_) throw codec::decode_error("the data is longer than the limit");
        left_ -= data.size();
        sink(data);
    }
    void finish() {
        if (inflate_) inflate_->finish();
    }

private:
    std::optional<codec::inflate_decoder> inflate_;
    std::uint64_t left_;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// Receives one multipart/mixed answer whose parts belong, in this order, to the files that were asked for.
/// What is wrong with the answer becomes client_error{protocol} with the name of the file.
class multipart_download : private codec::multipart_handler {
public:
    explicit multipart_download(std::vector<std::string> requested) : requested_(std::move(requested)) {}
    multipart_download(const multipart_download&) = delete;
    multipart_download& operator=(const multipart_download&) = delete;

    /// Makes @p what stream its answer into this object, performs it, and checks that everything came.
    void perform(const call_scope& scope, call what) {
        what.on_head = [this](const response_head& head) {
            decoded([&] {
                // Each attempt begins anew; none follows one that has delivered data.
                codec::multipart_handler& parts = *this; // a private base: the conversion is possible here only
                gathered_.clear();
                reader_ = std::make_unique<codec::multipart_reader>(
                    codec::multipart_boundary(head.headers.get("Content-Type")), parts);
                on_answer(head);
            });
        };
        what.receiver = [this](std::string_view data) { gather(data); };
        scope.perform(std::move(what));
        decoded([&] {
            if (!reader_) throw codec::decode_error("the answer has no body");
            reader_->feed(gathered_);
            reader_->finish();
            if (parts_ != requested_.size()) {
                throw codec::decode_error("the answer has " + std::to_string(parts_) + " parts for " +
                                          std::to_string(requested_.size()) + " files");
            }
            on_complete();
        });
    }

protected:
    ~multipart_download() override = default;

    /// The head of a successful answer.
    virtual void on_answer(const response_head& head) = 0;
    /// The part of requested()[current()] begins. Returns how many decoded bytes it may have.
    virtual std::uint64_t on_file(const codec::part_headers& headers) = 0;
    virtual void on_content(std::string_view data) = 0;
    virtual void on_file_end() = 0;
    /// The whole answer came, well-formed to its end.
    virtual void on_complete() = 0;

    const std::string& file() const { return requested_[parts_ - 1]; }
    std::size_t index() const { return parts_ - 1; }

private:
    // Some HTTP libraries hand over 4 to 16 KiB at a time; decoders and the disk are a third faster with larger pieces.
    void gather(std::string_view data) {
        if (gathered_.empty() && data.size() >= piece_size / 4) {
            decoded([&] { reader_->feed(data); });
            return;
        }
        if (gathered_.capacity() < piece_size) gathered_.reserve(piece_size);
        while (!data.empty()) {
            const std::size_t count = (std::min)(data.size(), piece_size - gathered_.size());
            gathered_.append(data.data(), count);
            data.remove_prefix(count);
            if (gathered_.size() < piece_size) return;
            decoded([this] { reader_->feed(gathered_); });
            gathered_.clear();
        }
    }

    template <class Work>
    void decoded(Work&& work) const {
        try {
            work();
        } catch (const codec::decode_error& e) {
            const std::string at = in_part_ ? codec::printable(file()) + ": " : std::string();
            throw client_error(error_kind::protocol, "the download is not usable: " + at + e.what(),
                               client_error::progress::maybe_sent);
        } catch (const client_error& e) {
            throw e.after_sending(); // the local disk's, of a call that has its answer
        }
    }

    void on_part_begin(const codec::part_headers& headers) override {
        if (parts_ == requested_.size()) throw codec::decode_error("the answer has more parts than files asked for");
        ++parts_;
        in_part_ = true;
        const std::uint64_t limit = on_file(headers);
        decoder_.emplace(headers.content_encoding(), limit);
    }
    void on_data(std::string_view data) override {
        decoder_->feed(data, [this](std::string_view plain) { on_content(plain); });
    }
    void on_part_end() override {
        decoder_->finish();
        decoder_.reset();
        on_file_end();
        in_part_ = false;
    }

    static constexpr std::size_t piece_size = 128 * 1024;

    std::vector<std::string> requested_;
    std::string gathered_;
    std::unique_ptr<codec::multipart_reader> reader_;
    std::optional<part_decoder> decoder_;
    std::size_t parts_ = 0;
    bool in_part_ = false;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/files/multipart_upload.hpp
/// @file
/// Local files as the multipart/form-data body of an upload call.
#ifndef BACKENDAI_FILES_MULTIPART_UPLOAD_HPP
#define BACKENDAI_FILES_MULTIPART_UPLOAD_HPP

// ---- backendai/codec/multipart_writer.hpp
/// @file
/// A multipart/form-data body as a pull source: its length is known before, its files are read as the socket takes
/// them.
#ifndef BACKENDAI_CODEC_MULTIPART_WRITER_HPP
#define BACKENDAI_CODEC_MULTIPART_WRITER_HPP


#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// One part of a multipart/form-data body.
struct form_part {
    std::string name;                                      ///< of the form field, ASCII
    std::optional<std::string> filename;                   ///< UTF-8; unset for a field that is no file
    std::string content_type = "application/octet-stream"; ///< empty: no Content-Type header
    std::shared_ptr<byte_source> content;                  ///< its size() is asked for once, when the writer is made
};

/// A boundary of 32 random hexadecimal digits: nobody can put it into a file on purpose.
inline std::string make_boundary() {
    static constexpr char digits[] = "0123456789abcdef";
    std::random_device random;
    std::string result;
    for (int word = 0; word < 4; ++word) {
        auto bits = static_cast<std::uint32_t>(random());
        for (int i = 0; i < 8; ++i, bits >>= 4) result += digits[bits & 0xF];
    }
    return result;
}

/// The body of a multipart/form-data request.
///
/// Parts carry no Content-Length: RFC 7578 deprecates it, and aiohttp's reader believes it more than the boundary.
/// Not thread-safe.
class multipart_writer final : public byte_source {
public:
    /// @param parts    sources in their initial position; a request with no part is allowed
    /// @param boundary 1 to 70 letters, digits and `'()+_,-./:=?`
    /// @throws std::invalid_argument for names, content types and boundaries that cannot be sent (see
    /// format_form_data()), for a part without content, and when the whole is longer than 2^64 - 1 bytes.
    explicit multipart_writer(std::vector<form_part> parts, std::string boundary = make_boundary())
        : boundary_(std::move(boundary)) {
        check_boundary();
        for (form_part& part : parts) {
            if (!part.content) throw std::invalid_argument("form field " + printable(part.name) + " has no content");
            segment next;
            next.head = (segments_.empty() ? "--" : "\r\n--") + boundary_ +
                        "\r\nContent-Disposition: " + format_form_data(part.name, part.filename) + "\r\n";
            if (!part.content_type.empty()) {
                check_content_type(part.content_type);
                next.head += "Content-Type: " + part.content_type + "\r\n";
            }
            next.head += "\r\n";
            next.label = printable(part.filename ? *part.filename : part.name);
            next.length = part.content->size();
            next.content = std::move(part.content);
            add_to_size(next.head.size());
            add_to_size(next.length);
            segments_.push_back(std::move(next));
        }
        segment last;
        last.head = (segments_.empty() ? "--" : "\r\n--") + boundary_ + "--\r\n";
        add_to_size(last.head.size());
        segments_.push_back(std::move(last));
    }

    /// The value of the request's Content-Type header. The signature covers `multipart/form-data` alone.
    std::string content_type() const {
        const bool token = is_token(boundary_);
        return "multipart/form-data; boundary=" + (token ? boundary_ : '"' + boundary_ + '"');
    }

    const std::string& boundary() const noexcept { return boundary_; }

    std::uint64_t size() const override { return size_; }

    /// Fills the buffer as far as the body goes: one call may read several parts.
    /// @throws source_error when a part's source has fewer or more bytes than it announced; what the source throws.
    std::size_t read(char* buffer, std::size_t capacity) override {
        std::size_t written = 0;
        while (written < capacity && current_ < segments_.size()) {
            segment& now = segments_[current_];
            if (position_ < now.head.size()) {
                const auto offset = static_cast<std::size_t>(position_);
                const std::size_t count = (std::min)(capacity - written, now.head.size() - offset);
                std::copy_n(now.head.data() + offset, count, buffer + written);
                written += count;
                position_ += count;
            } else if (position_ - now.head.size() < now.length) {
                const std::size_t count = read_content(now, buffer + written, capacity - written);
                written += count;
                position_ += count;
            } else {
                check_end(now);
                ++current_;
                position_ = 0;
            }
        }
        return written;
    }

    void rewind() override {
        for (segment& each : segments_) {
            if (each.content) each.content->rewind();
        }
        current_ = 0;
        position_ = 0;
    }

private:
    struct segment {
        std::string head;  // delimiter and part headers; the last segment has the closing delimiter only
        std::string label; // for messages
        std::uint64_t length = 0;
        std::shared_ptr<byte_source> content;
    };

    void check_boundary() const {
        bool valid = !boundary_.empty() && boundary_.size() <= 70;
        for (const char c : boundary_) {
            const bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
            valid = valid && (alphanumeric || (c != '\0' && std::strchr("'()+_,-./:=?", c) != nullptr));
        }
        if (!valid) throw std::invalid_argument("multipart boundary " + printable(boundary_) + " is not allowed");
    }

    static void check_content_type(std::string_view text) {
        for (const char c : text) {
            if (c < ' ' || c > '~')
                throw std::invalid_argument("content type " + printable(text) + " has a forbidden character");
        }
    }

    void add_to_size(std::uint64_t bytes) {
        if (bytes > (std::numeric_limits<std::uint64_t>::max)() - size_)
            throw std::invalid_argument("the multipart body would be too long");
        size_ += bytes;
    }

    std::size_t read_content(segment& now, char* buffer, std::size_t capacity) {
        const std::uint64_t left = now.length - (position_ - now.head.size());
        const auto wanted = static_cast<std::size_t>((std::min)(std::uint64_t{capacity}, left));
        const std::size_t count = now.content->read(buffer, wanted);
        if (count == 0) throw source_error("file " + now.label + " became shorter while it was sent");
        if (count > wanted) throw source_error("the source of " + now.label + " read more than it was asked for");
        return count;
    }

    // The length is already on the wire: a file that grew must not pass for the one that was announced.
    static void check_end(segment& now) {
        char extra = 0;
        if (now.content && now.content->read(&extra, 1) != 0)
            throw source_error("file " + now.label + " became longer while it was sent");
    }

    std::string boundary_;
    std::vector<segment> segments_;
    std::uint64_t size_ = 0;
    std::size_t current_ = 0;
    std::uint64_t position_ = 0; // in the current segment: head, then content
};

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/files/file_source.hpp
/// @file
/// A file of the local disk as the content of a request, read while it is sent.
#ifndef BACKENDAI_FILES_FILE_SOURCE_HPP
#define BACKENDAI_FILES_FILE_SOURCE_HPP


#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN

/// A regular file, opened when it is first read and closed at its end, so that a request of many files needs one
/// descriptor. Failures, and a size that is not the announced one any more, are client_error{io}. Not thread-safe.
class file_source final : public codec::byte_source {
public:
    /// @throws client_error{io} when there is no such regular file or it cannot be read.
    explicit file_source(std::filesystem::path path) : path_(std::move(path)) {
        size_ = detail::with_io_errors(path_, [&] { return os::open_for_reading(path_).size(); });
    }
    /// With a size that is known from a listing; the file is looked at when it is read.
    file_source(std::filesystem::path path, std::uint64_t size) : path_(std::move(path)), size_(size) {}

    std::uint64_t size() const override { return size_; }

    std::size_t read(char* buffer, std::size_t capacity) override {
        if (ended_ || capacity == 0) return 0;
        return detail::with_io_errors(path_, [&]() -> std::size_t {
            if (!file_.is_open()) {
                file_ = os::open_for_reading(path_);
                if (file_.size() != size_) changed();
            }
            const std::size_t count = file_.read(buffer, capacity);
            position_ += count;
            if (position_ > size_ || (count == 0 && position_ < size_)) changed();
            if (count == 0) {
                file_ = os::open_file();
                ended_ = true;
            }
            return count;
        });
    }

    void rewind() override {
        file_ = os::open_file();
        position_ = 0;
        ended_ = false;
    }

private:
    [[noreturn]] void changed() const { detail::io_failure(path_, "its size changed while it was sent"); }

    std::filesystem::path path_;
    std::uint64_t size_ = 0, position_ = 0;
    os::open_file file_;
    bool ended_ = false;
};

namespace detail {

/// Passes a source on and counts what is read from it.
class metered_source final : public codec::byte_source {
public:
    metered_source(std::shared_ptr<codec::byte_source> source, std::string name, std::shared_ptr<transfer_meter> meter)
        : source_(std::move(source)), name_(std::move(name)), meter_(std::move(meter)) {}

    std::uint64_t size() const override { return source_->size(); }
    std::size_t read(char* buffer, std::size_t capacity) override {
        const std::size_t count = source_->read(buffer, capacity);
        counted_ += count;
        const bool empty_file = count == 0 && counted_ == 0; // it is to be seen once, too
        if (count != 0 || empty_file) meter_->add(name_, count);
        return count;
    }
    void rewind() override {
        source_->rewind();
        meter_->take_back(counted_);
        counted_ = 0;
    }

private:
    std::shared_ptr<codec::byte_source> source_;
    std::string name_;
    std::shared_ptr<transfer_meter> meter_;
    std::uint64_t counted_ = 0;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/files/upload_list.hpp
/// @file
/// Which files an upload sends, and under which names.
#ifndef BACKENDAI_FILES_UPLOAD_LIST_HPP
#define BACKENDAI_FILES_UPLOAD_LIST_HPP


#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// One file to be sent.
struct upload_entry {
    std::filesystem::path path;
    std::string name; ///< on the server: relative to the base directory, UTF-8, `/` between components
    std::uint64_t size = 0;
};

/// Makes the list: files in the order given, directories replaced by the files below them, sorted by name; what is
/// named twice is sent once. Directories without files do not appear: an upload carries files only (mkdir() makes
/// directories in virtual folders).
///
/// A relative path is relative to the current directory, not to the base directory. Symbolic links are taken for what
/// they lead to, under the link's name, as long as that lies below the base directory and is no directory the walk is
/// in.
class upload_lister {
public:
    explicit upload_lister(const upload_options& options) : special_(options.special), rename_(options.rename) {
        const std::filesystem::path base = options.basedir.empty() ? std::filesystem::path(".") : options.basedir;
        base_ = with_io_errors(base, [&] { return std::filesystem::canonical(base); });
        if (!std::filesystem::is_directory(base_)) wrong(base, "the base directory is not a directory");
    }

    /// @throws client_error{argument} for a file outside of the base directory, a name that cannot be sent, and what
    ///         special_files::refuse refuses; client_error{io} for what is not there or cannot be read.
    std::vector<upload_entry> list(const std::vector<std::filesystem::path>& files) {
        for (const std::filesystem::path& file : files) {
            const std::filesystem::path place = with_io_errors(file, [&] { return locate(file); });
            const std::filesystem::path relative = place.lexically_relative(base_);
            if (relative.empty() || *relative.begin() == "..")
                wrong(file, "lies outside of the base directory " + shown(base_));
            with_io_errors(file, [&] { add(place, relative == "." ? std::string() : os::path_text(relative)); });
        }
        return std::move(entries_);
    }

private:
    [[noreturn]] static void wrong(const std::filesystem::path& path, const std::string& why) {
        throw client_error(error_kind::argument, shown(path) + ": " + why);
    }

    // Absolute, with links resolved in all but the last component: that one's name is the user's choice.
    static std::filesystem::path locate(const std::filesystem::path& file) {
        std::filesystem::path absolute = std::filesystem::absolute(file).lexically_normal();
        if (!absolute.has_filename()) absolute = absolute.parent_path(); // "folder/"
        if (!absolute.has_filename()) return absolute;                   // the root directory
        return std::filesystem::canonical(absolute.parent_path()) / absolute.filename();
    }

    static bool is_below(const std::filesystem::path& path, const std::filesystem::path& base) {
        const auto ends = std::mismatch(base.begin(), base.end(), path.begin(), path.end());
        return ends.first == base.end();
    }

    void add(const std::filesystem::path& path, const std::string& name) {
        namespace fs = std::filesystem;
        fs::file_status status = fs::symlink_status(path);
        if (fs::is_symlink(status)) {
            std::error_code error;
            const fs::path target = fs::canonical(path, error);
            if (error) return special(path, "is a symbolic link that leads nowhere or in a circle");
            if (!is_below(target, base_))
                return special(path, "is a symbolic link that leads out of the base directory");
            status = fs::status(target);
        }
        if (fs::is_directory(status)) return walk(path, name);
        if (!fs::exists(status))
            throw fs::filesystem_error("stat", std::make_error_code(std::errc::no_such_file_or_directory));
        if (!fs::is_regular_file(status)) return special(path, "is neither a file nor a directory");
        check_name(path, name);
        // Opened for a moment, so that a file which cannot be read is told before anything is sent.
        if (!names_.insert(name).second) return;
        entries_.push_back({path, renamed(path, name), os::open_for_reading(path).size()});
    }

    std::string renamed(const std::filesystem::path& path, const std::string& name) {
        if (!rename_) return name;
        std::string other = rename_(name);
        check_name(path, other);
        if (other.empty() || !new_names_.insert(other).second)
            wrong(path, "upload_options::rename gives it no name, or one that another file has");
        return other;
    }

    void walk(const std::filesystem::path& path, const std::string& name) {
        namespace fs = std::filesystem;
        const fs::path real = fs::canonical(path);
        if (std::find(open_.begin(), open_.end(), real) != open_.end())
            return special(path, "is a symbolic link to a directory that it lies in");
        open_.push_back(real);
        std::vector<std::string> children;
        with_io_errors(path, [&] {
            for (const fs::directory_entry& entry : fs::directory_iterator(path))
                children.push_back(os::path_text(entry.path().filename()));
        });
        std::sort(children.begin(), children.end());
        for (const std::string& child : children) {
            const fs::path inside = path / os::text_path(child);
            with_io_errors(inside, [&] { add(inside, name.empty() ? child : name + '/' + child); });
        }
        open_.pop_back();
    }

    void special(const std::filesystem::path& path, const char* why) const {
        if (special_ == special_files::refuse) wrong(path, why);
    }

    static void check_name(const std::filesystem::path& path, std::string_view name) {
        if (!codec::is_utf8(name)) wrong(path, "its name is not UTF-8");
        if (name.find_first_of("\r\n") != std::string_view::npos) wrong(path, "its name holds a line break");
    }

    special_files special_;
    std::function<std::string(const std::string&)> rename_;
    std::filesystem::path base_;
    std::vector<upload_entry> entries_;
    std::set<std::string> names_, new_names_;
    std::vector<std::filesystem::path> open_; // the directories the walk is in, links resolved
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// Makes the parts the body of a call. @throws client_error{argument} when one of them cannot be sent.
inline void set_multipart(call& what, std::vector<codec::form_part> parts) {
    try {
        auto body = std::make_shared<codec::multipart_writer>(std::move(parts));
        what.content_type = body->content_type();
        what.source = std::move(body);
        what.body.clear();
    } catch (const std::invalid_argument& e) {
        throw client_error(error_kind::argument, e.what());
    }
}

/// Sends the files by as many copies of @p what as batches of @p batch files need, one after the other.
inline void upload_files(const call_scope& scope, const call& what, const std::vector<upload_entry>& files,
                         std::size_t batch, const progress_callback& progress) {
    std::uint64_t total = 0;
    for (const upload_entry& file : files) total += file.size;
    const auto meter = std::make_shared<transfer_meter>(progress, total);
    for (std::size_t begin = 0; begin < files.size(); begin += batch) {
        std::vector<codec::form_part> parts;
        for (std::size_t i = begin; i < files.size() && i < begin + batch; ++i) {
            codec::form_part part;
            part.name = "src"; // what the official client calls each part
            part.filename = files[i].name;
            part.content = std::make_shared<metered_source>(std::make_shared<file_source>(files[i].path, files[i].size),
                                                            files[i].name, meter);
            parts.push_back(std::move(part));
        }
        call step = what;
        set_multipart(step, std::move(parts));
        scope.perform(std::move(step));
    }
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/files/tar_extractor.hpp
/// @file
/// Puts the entries of a tar archive into a destination.
#ifndef BACKENDAI_FILES_TAR_EXTRACTOR_HPP
#define BACKENDAI_FILES_TAR_EXTRACTOR_HPP


#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// Regular files and directories only. Links are refused, also harmless ones: the archives of this protocol hold the
/// files somebody asked for, and what a link would mean on this side depends on what else is there. So are devices and
/// FIFOs. Throws codec::decode_error that names the entry before anything of it is written; client_error{io}.
class tar_extractor final : public codec::tar_handler {
public:
    /// @param known the names of the whole transfer, of which this may be one archive among several
    tar_extractor(destination& target, codec::path_policy names, codec::name_collisions& known, transfer_meter& meter)
        : target_(target), names_(names), known_(known), meter_(meter) {}

    void on_entry(const codec::tar_entry& entry) override {
        if (entry.type != codec::tar_type::regular && entry.type != codec::tar_type::directory) {
            throw codec::decode_error("archive entry " + codec::printable(entry.name) + " is a " + kind_of(entry.type) +
                                      ", which is not extracted");
        }
        const bool is_directory = entry.type == codec::tar_type::directory;
        const std::vector<std::string> name = codec::safe_relative_path(
            entry.name, is_directory ? codec::root_name::allow : codec::root_name::refuse, names_);
        if (names_ == codec::path_policy::portable) known_.add(name);
        file_metadata metadata;
        metadata.mode = entry.mode & 0777U;
        metadata.modified = {entry.mtime_seconds, entry.mtime_nanoseconds};
        is_file_ = !is_directory;
        if (is_file_) {
            name_ = codec::join_path(name);
            target_.begin_file(name, metadata);
            meter_.add(name_, 0);
        } else if (!name.empty()) {
            target_.make_directory(name, metadata);
        }
    }
    void on_data(std::string_view data) override {
        target_.write(data);
        meter_.add(name_, data.size());
    }
    void on_entry_end() override {
        if (is_file_) target_.end_file();
    }

private:
    static const char* kind_of(codec::tar_type type) {
        switch (type) {
        case codec::tar_type::hard_link: return "hard link";
        case codec::tar_type::symbolic_link: return "symbolic link";
        case codec::tar_type::fifo: return "FIFO";
        default: return "device";
        }
    }

    destination& target_;
    codec::path_policy names_;
    codec::name_collisions& known_;
    transfer_meter& meter_;
    std::string name_;
    bool is_file_ = false;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

// The server's limits (19.03).
inline constexpr std::size_t kernel_upload_files = 20;
inline constexpr std::uint64_t kernel_upload_bytes = 1024 * 1024; // a file must be smaller
inline constexpr std::size_t kernel_download_files = 5;           // of one request

/// A call with arguments that some servers read from the body, others from the query: both have them.
inline call kernel_query_call(const std::string& kernel_id, const char* suffix, const json& arguments) {
    call what = kernel_call("GET", kernel_id, suffix, [arguments](call& request, const dialect& language) {
        if (!language.arguments_in_query_too) return;
        for (const auto& item : arguments.items()) {
            if (item.value().is_string()) {
                request.query.emplace_back(item.key(), item.value().get<std::string>());
            } else {
                for (const json& each : item.value()) request.query.emplace_back(item.key(), each.get<std::string>());
            }
        }
    });
    what.set_json(arguments);
    return what;
}

inline void kernel_upload(const call_scope& scope, const std::string& kernel_id,
                          const std::vector<std::filesystem::path>& files, const upload_options& options) {
    if (!options.resume_file.empty()) throw client_error(error_kind::argument, "resume_file is for virtual folders");
    // Sending the same files again leaves the same files behind.
    call what = kernel_call("POST", kernel_id, "/upload");
    what.retry = retry_class::safe;
    what.waits_for_compute = true;
    const std::vector<upload_entry> list = upload_lister(options).list(files);
    if (list.size() > kernel_upload_files) {
        throw client_error(error_kind::argument, std::to_string(list.size()) + " files to upload; the limit is " +
                                                     std::to_string(kernel_upload_files) +
                                                     " (a virtual folder has none)");
    }
    for (const upload_entry& file : list) {
        if (file.size >= kernel_upload_bytes) {
            throw client_error(error_kind::argument, shown(file.path) + ": " + std::to_string(file.size) +
                                                         " bytes; a file uploaded to a session must be smaller than "
                                                         "1 MiB (a virtual folder has no limit)");
        }
    }
    upload_files(scope, what, list, kernel_upload_files, options.progress);
}

/// Receives the archives of one request and extracts them into the destination, all or none.
class kernel_download_sink final : public multipart_download {
public:
    kernel_download_sink(std::vector<std::string> files, destination& target, const download_options& options,
                         codec::name_collisions& known, transfer_meter& meter)
        : multipart_download(std::move(files)),
          target_(target),
          limit_(options.max_bytes),
          extractor_(target, options.names, known, meter) {}

protected:
    void on_answer(const response_head& /*head*/) override {}
    std::uint64_t on_file(const codec::part_headers& headers) override {
        reader_.emplace(extractor_);
        if (limit_ != 0) return limit_;
        // An archive is less than 1 MiB by the protocol, which some servers raise; what is compressed needs some limit.
        constexpr std::uint64_t expansion = std::uint64_t{1} << 30;
        return headers.content_encoding() == "identity" ? (std::numeric_limits<std::uint64_t>::max)() : expansion;
    }
    void on_content(std::string_view data) override { reader_->feed(data); }
    void on_file_end() override { reader_->finish(); }
    void on_complete() override { target_.commit(); }

private:
    destination& target_;
    std::uint64_t limit_;
    tar_extractor extractor_;
    std::optional<codec::tar_reader> reader_;
};

/// The name that the archive of a file has in it: the last component.
inline std::string archive_name(std::string_view file) {
    while (!file.empty() && file.back() == '/') file.remove_suffix(1);
    return std::string(file.substr(file.rfind('/') + 1)); // npos + 1 is 0
}

/// One request of a download.
inline void kernel_download_some(const call_scope& scope, const std::string& kernel_id, std::vector<std::string> files,
                                 destination& target, const download_options& options, codec::name_collisions& known,
                                 transfer_meter& meter) {
    const session_download method = scope.negotiate().download;
    call what = kernel_query_call(kernel_id, "/download", {{"files", files}});
    if (method == session_download::post) what.method = "POST";
    try {
        kernel_download_sink sink(files, target, options, known, meter);
        sink.perform(scope, what);
    } catch (const api_error& refused) {
        if (method != session_download::get_or_post || !is_problem(refused, "deprecated")) throw;
        what.method = "POST";
        kernel_download_sink sink(std::move(files), target, options, known, meter);
        sink.perform(scope, std::move(what));
    }
}

inline void kernel_download(const call_scope& scope, const std::string& kernel_id,
                            const std::vector<std::string>& files, const std::filesystem::path& dest,
                            const download_options& options) {
    if (options.resume) throw client_error(error_kind::argument, "resume is for virtual folders");
    std::set<std::string> names;
    for (const std::string& file : files) {
        if (file.empty() || has_control_character(file))
            throw client_error(error_kind::argument,
                               "a file to download has an empty name or a control character in it");
        const std::string name = archive_name(file);
        if (name != "." && name != ".." && !name.empty() && !names.insert(name).second) {
            throw client_error(error_kind::argument, codec::printable(name) + " is asked for twice: files from several "
                                                                              "directories would replace each other");
        }
    }
    require_single_name(kernel_id, "the session id");
    destination target(dest, options.existing);
    codec::name_collisions known;
    transfer_meter meter(options.progress);
    for (std::size_t begin = 0; begin < files.size(); begin += kernel_download_files) {
        const std::size_t end = (std::min)(files.size(), begin + kernel_download_files);
        std::vector<std::string> some(files.begin() + static_cast<std::ptrdiff_t>(begin),
                                      files.begin() + static_cast<std::ptrdiff_t>(end));
        kernel_download_some(scope, kernel_id, std::move(some), target, options, known, meter);
    }
}

inline file_listing kernel_list_files(const call_scope& scope, const std::string& kernel_id, const std::string& path) {
    return read_file_listing(scope.perform(kernel_query_call(kernel_id, "/files", {{"path", path}})).json());
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/api/kernel_services.hpp
/// @file
/// The network services in compute sessions: which there are, starting and ending them.
#ifndef BACKENDAI_API_KERNEL_SERVICES_HPP
#define BACKENDAI_API_KERNEL_SERVICES_HPP


#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

/// Options of start_service().
struct service_options {
    std::optional<int> port;                 ///< one of the service's ports; default: its first
    std::map<std::string, std::string> envs; ///< environment variables of the service
    json arguments;                          ///< an object of command-line arguments, or null for none
    std::optional<std::string> login_session_token;
};

/// Where a service that was started can be reached, by a proxy of the cluster's.
struct service_address {
    std::string token; ///< opens it: a secret
    std::string wsproxy_addr;
    json raw;
};

namespace detail {

inline service_address kernel_start_service(const call_scope& scope, const std::string& kernel_id,
                                            const std::string& app, const service_options& options) {
    require_single_name(app, "the service's name");
    if (!options.arguments.is_null() && !options.arguments.is_object())
        throw client_error(error_kind::argument, "the arguments of a service are a JSON object");
    json body = {{"app", app}};
    if (options.port) body["port"] = *options.port;
    // Texts that are JSON themselves.
    if (!options.envs.empty()) body["envs"] = json_text(options.envs);
    if (!options.arguments.is_null()) body["arguments"] = json_text(options.arguments);
    if (options.login_session_token) body["login_session_token"] = *options.login_session_token;
    call what = kernel_call("POST", kernel_id, "/start-service", feature::start_service);
    what.waits_for_compute = true;
    what.retry = retry_class::unsafe;
    what.set_json(body);
    service_address address;
    address.raw = scope.perform(std::move(what)).json();
    const wire_object fields(address.raw, "the service's address");
    address.token = fields.string_or("token", "");
    address.wsproxy_addr = fields.string_or("wsproxy_addr", "");
    return address;
}

inline void kernel_shutdown_service(const call_scope& scope, const std::string& kernel_id, const std::string& app) {
    require_single_name(app, "the service's name");
    call what = kernel_call("POST", kernel_id, "/shutdown-service", feature::shutdown_service);
    // In the query and with no body: all servers read it there.
    what.query.emplace_back("service_name", app);
    scope.perform(std::move(what));
}

inline std::vector<service_port> kernel_apps(const call_scope& scope, const std::string& kernel_id) {
    require_single_name(kernel_id, "the session id");
    call what;
    what.complete = [rest = '/' + codec::escape_segment(kernel_id) + "/apps"](call& request, const dialect& language) {
        language.require(feature::service_list);
        request.path = std::string(language.stream_path) + rest;
    };
    const json answer = scope.perform(std::move(what)).json();
    if (!answer.is_array()) bad_answer("the services are not a list");
    std::vector<service_port> services;
    for (const json& item : answer) services.push_back(read_service_port(item));
    return services;
}

} // namespace detail

BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/api/kernel_types.hpp
/// @file
/// Options and results of the compute session functions; those of the creation are in kernel_create.hpp.
#ifndef BACKENDAI_API_KERNEL_TYPES_HPP
#define BACKENDAI_API_KERNEL_TYPES_HPP

// ---- backendai/media.hpp
/// @file
/// Console records of a run: text, and media of any MIME type.
#ifndef BACKENDAI_MEDIA_HPP
#define BACKENDAI_MEDIA_HPP

// ---- backendai/codec/data_uri.hpp
/// @file
/// data: URIs (RFC 2397), the form in which images come in console records.
#ifndef BACKENDAI_CODEC_DATA_URI_HPP
#define BACKENDAI_CODEC_DATA_URI_HPP

// ---- backendai/codec/base64.hpp
/// @file
/// Base64 (RFC 4648 section 4, with padding), by OpenSSL.
#ifndef BACKENDAI_CODEC_BASE64_HPP
#define BACKENDAI_CODEC_BASE64_HPP


#include <openssl/evp.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// Encodes @p data with padding and without line breaks.
inline std::string base64_encode(std::string_view data) {
    // OpenSSL counts in int: work in pieces of a multiple of three bytes, which leave no padding in between.
    constexpr std::size_t piece = std::size_t{3} << 20;
    std::string text;
    text.reserve((data.size() + 2) / 3 * 4 + 1);
    while (!data.empty()) {
        const std::size_t take = (std::min)(piece, data.size());
        const std::size_t used = text.size();
        text.resize(used + (take + 2) / 3 * 4 + 1); // EVP_EncodeBlock writes a closing NUL
        const int written =
            EVP_EncodeBlock(reinterpret_cast<unsigned char*>(&text[used]),
                            reinterpret_cast<const unsigned char*>(data.data()), static_cast<int>(take));
        text.resize(used + static_cast<std::size_t>(written));
        data.remove_prefix(take);
    }
    return text;
}

/// Decodes padded base64; ASCII white space is allowed anywhere, as senders wrap long lines.
/// @throws decode_error on a foreign character, misplaced padding or a length that is no multiple of four.
inline std::string base64_decode(std::string_view text) {
    std::string data;
    data.reserve(text.size() / 4 * 3);
    unsigned quantum = 0;
    unsigned digits = 0;
    unsigned padding = 0;
    for (const char c : text) {
        unsigned value = 0;
        if (c >= 'A' && c <= 'Z') {
            value = static_cast<unsigned>(c - 'A');
        } else if (c >= 'a' && c <= 'z') {
            value = static_cast<unsigned>(c - 'a') + 26;
        } else if (c >= '0' && c <= '9') {
            value = static_cast<unsigned>(c - '0') + 52;
        } else if (c == '+') {
            value = 62;
        } else if (c == '/') {
            value = 63;
        } else if (c == '=') {
            if (digits < 2) throw decode_error("base64: padding in the wrong place");
            ++padding;
        } else if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
            continue;
        } else {
            throw decode_error("base64: a character that does not belong to the alphabet");
        }
        if (padding != 0 && c != '=') throw decode_error("base64: data after the padding");
        quantum = (quantum << 6) | value;
        if (++digits < 4) continue;
        data.push_back(static_cast<char>((quantum >> 16) & 0xff));
        if (padding < 2) data.push_back(static_cast<char>((quantum >> 8) & 0xff));
        if (padding < 1) data.push_back(static_cast<char>(quantum & 0xff));
        quantum = 0;
        digits = 0;
    }
    if (digits != 0) throw decode_error("base64: the text ends in the middle of a group of four");
    return data;
}

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif

#include <string>
#include <string_view>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// The content of a data URI.
struct data_uri {
    std::string media_type; ///< with its parameters; "text/plain;charset=US-ASCII" when the URI names none
    std::string bytes;
};

/// Whether @p text begins as a data URI does.
inline bool is_data_uri(std::string_view text) {
    return text.size() >= 5 && (text[0] == 'd' || text[0] == 'D') && (text[1] == 'a' || text[1] == 'A') &&
           (text[2] == 't' || text[2] == 'T') && (text[3] == 'a' || text[3] == 'A') && text[4] == ':';
}

/// Decodes "data:[type][;parameter...][;base64],content".
/// @throws decode_error when it is not a data URI or its base64 is broken.
inline data_uri decode_data_uri(std::string_view text) {
    if (!is_data_uri(text)) throw decode_error("data URI: does not begin with data:");
    const std::size_t comma = text.find(',');
    if (comma == std::string_view::npos) throw decode_error("data URI: the comma before the content is missing");
    std::string_view head = text.substr(5, comma - 5);
    const std::string_view content = text.substr(comma + 1);
    constexpr std::string_view marker = ";base64";
    const bool base64 =
        head.size() >= marker.size() && equals_ignoring_case(head.substr(head.size() - marker.size()), marker);
    if (base64) head.remove_suffix(marker.size());
    data_uri result;
    result.media_type = head.empty()          ? "text/plain;charset=US-ASCII"
                        : head.front() == ';' ? "text/plain" + std::string(head)
                                              : std::string(head);
    const std::string plain = unescape(content, false);
    result.bytes = base64 ? base64_decode(plain) : plain;
    return result;
}

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif

#include <string>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN

/// One record of a run's console: type "stdout" or "stderr" with text, or a MIME type with content.
/// Binary images come as data URIs, SVG as XML, "text/html" as HTML, "application/x-sorna-drawing" as JSON text.
struct console_record {
    std::string type;
    std::string payload;

    bool is_stdout() const { return type == "stdout"; }
    bool is_stderr() const { return type == "stderr"; }
    bool is_media() const { return !is_stdout() && !is_stderr(); }
};

/// The content of a media record.
struct media_content {
    std::string mime_type;
    std::string bytes;
};

/// The bytes and MIME type of a media record: a data URI is decoded, anything else is its own content.
/// @throws client_error{protocol} for a broken data URI.
inline media_content decode_media(const console_record& record) {
    if (!codec::is_data_uri(record.payload)) return {record.type, record.payload};
    try {
        codec::data_uri content = codec::decode_data_uri(record.payload);
        return {std::move(content.media_type), std::move(content.bytes)};
    } catch (const codec::decode_error& e) {
        throw client_error(error_kind::protocol, e.what(), client_error::progress::maybe_sent);
    }
}

BACKENDAI_NAMESPACE_END

#endif

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

/// The state of a compute session. Counters the server does not keep are -1.
struct kernel_info {
    std::string lang, image, registry, tag;
    std::string status; ///< "RUNNING" ...; empty where the server does not say
    std::chrono::milliseconds age{0};
    std::int64_t memory_limit_kib = -1;
    std::int64_t num_queries_executed = -1;
    std::int64_t idle_timeout_ms = -1;
    json raw;
};

/// Options of destroy().
struct destroy_options {
    bool forced = false;                         ///< whatever the session's state is; 20.03 (v5.20191215) on
    std::optional<std::string> owner_access_key; ///< whose session it is; admins only, 19.09 (v4.20190615) on
};

/// What destroy() reports of the session that ended; null when the server has no statistics.
struct destroy_result {
    json stats;
};

/// The kind of one step of a run.
enum class execute_mode {
    query,     ///< a code snippet
    batch,     ///< shell commands, see batch_commands
    continue_, ///< wait on for the run; the code must be empty. NOLINT(readability-identifier-naming)
    input,     ///< the code is what the user typed
    complete   ///< completion candidates, the legacy way
};

/// What is to happen after a step.
enum class run_status {
    continued,      ///< still running: call again with execute_mode::continue_
    clean_finished, ///< a batch's clean command ended; continue
    build_finished, ///< a batch's build command ended; continue
    finished,       ///< the run is over
    waiting_input,  ///< the code reads a line: call again with execute_mode::input
    exec_timeout    ///< the server ended the run for its time limit
};

/// A file that the code made and the server offers for download.
struct generated_file {
    std::string name;
    std::string url;
};

/// One step of a run.
struct execute_result {
    run_status status = run_status::finished;
    std::string run_id;           ///< names the run in later steps
    std::optional<int> exit_code; ///< set when a phase ended
    std::vector<console_record> console;
    bool is_password = false; ///< with waiting_input: do not echo what the user types
    std::vector<generated_file> files;
    json options; ///< the server's options object, or null
    json raw;
};

/// The commands of a batch run; unset ones are skipped, "*" asks for the language's default.
struct batch_commands {
    std::optional<std::string> clean, build, exec;
    bool build_log = false; ///< show the build's output
};

/// Where the cursor is, for complete().
struct completion_options {
    int row = 0, col = 0;
    std::string line; ///< the whole line
    std::string post; ///< what follows the cursor
};

namespace detail {

inline kernel_info read_info(json answer) {
    kernel_info info;
    const wire_object fields(answer, "the session's information");
    info.lang = fields.string_or("lang", "");
    info.image = fields.string_or("image", "");
    info.registry = fields.string_or("registry", "");
    info.tag = fields.string_or("tag", "");
    info.status = fields.string_or("status", "");
    info.age = std::chrono::milliseconds(fields.integer_or("age", 0));
    info.memory_limit_kib = fields.integer_or("memoryLimit", -1);
    info.num_queries_executed = fields.integer_or("numQueriesExecuted", -1);
    info.idle_timeout_ms = fields.integer_or("idleTimeout", -1);
    info.raw = std::move(answer);
    return info;
}

inline const char* mode_name(execute_mode mode) {
    switch (mode) {
    case execute_mode::query: return "query";
    case execute_mode::batch: return "batch";
    case execute_mode::continue_: return "continue";
    case execute_mode::input: return "input";
    case execute_mode::complete: return "complete";
    }
    throw client_error(error_kind::argument, "not an execute_mode");
}

inline run_status read_status(const std::string& text) {
    if (text == "continued") return run_status::continued;
    if (text == "clean-finished") return run_status::clean_finished;
    if (text == "build-finished") return run_status::build_finished;
    if (text == "finished") return run_status::finished;
    if (text == "waiting-input") return run_status::waiting_input;
    if (text == "exec-timeout") return run_status::exec_timeout;
    bad_answer("unknown run status \"" + text.substr(0, 40) + '"');
}

inline console_record read_console_record(const json& value) {
    if (!value.is_array() || value.size() < 2 || !value[0].is_string())
        bad_answer("a console record is no [type, payload]");
    // Some kinds carry an object in place of text.
    return {value[0].get<std::string>(), value[1].is_string() ? value[1].get<std::string>() : value[1].dump()};
}

inline execute_result read_execute_result(json value) {
    execute_result result;
    const wire_object fields(value, "the run's result");
    result.status = read_status(fields.string("status"));
    result.run_id = fields.string_or("runId", "");
    result.exit_code = fields.optional_int("exitCode");
    for (const json& record : fields.array_or_empty("console")) result.console.push_back(read_console_record(record));
    for (const json& file : fields.array_or_empty("files")) {
        const wire_object entry(file, "a generated file");
        result.files.push_back({entry.string("name"), entry.string_or("url", "")});
    }
    if (const json* options = fields.find("options")) {
        result.options = *options;
        result.is_password = wire_object(*options, "the run's options").boolean_or("is_password", false);
    }
    result.raw = std::move(value);
    return result;
}

inline json batch_options(const batch_commands& commands) {
    const auto text = [](const std::optional<std::string>& command) { return command ? json(*command) : json(); };
    return {{"clean", text(commands.clean)},
            {"build", text(commands.build)},
            {"buildLog", commands.build_log},
            {"exec", text(commands.exec)}};
}

} // namespace detail

BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/api/run.hpp
/// @file
/// The whole run loop over execute(): what a user's program would otherwise write itself, with the ends tied up.
#ifndef BACKENDAI_API_RUN_HPP
#define BACKENDAI_API_RUN_HPP


#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

/// The code waits for a line of input.
struct input_request {
    bool is_password = false; ///< do not echo what the user types
};

/// What run() calls while the code runs, one at a time, on the thread that runs it. Unset ones collect into run_result.
/// One that throws ends the run: the code is interrupted and the exception comes out of run().
struct run_handlers {
    std::function<void(std::string_view)> on_stdout;
    std::function<void(std::string_view)> on_stderr;
    std::function<void(const console_record&)> on_media; ///< every record that is not stdout or stderr
    std::function<void(const generated_file&)> on_file;
    /// Returns the line, without its line break.
    std::function<std::string(const input_request&)> on_input;
    /// A phase ended (clean_finished, build_finished, finished), with its exit code if the server says one.
    std::function<void(run_status, std::optional<int>)> on_phase;
};

/// The outcome of a run, and what no handler took of its output.
struct run_result {
    int exit_code = 0; ///< of the last phase that had one
    std::string out;   ///< standard output
    std::string err;   ///< standard error
    std::vector<console_record> media;
    std::vector<generated_file> files;
};

namespace detail {

/// What the loop needs of a compute session; execute() makes one step.
struct run_steps {
    std::function<execute_result(const std::string& run_id, const std::string& code, execute_mode, const json& options)>
        execute;
    std::function<void()> interrupt;
};

/// Hands what one step brought to the handlers, or collects it.
inline void deliver(execute_result& step, const run_handlers& handlers, run_result& result) {
    for (console_record& record : step.console) {
        if (record.is_stdout()) {
            if (handlers.on_stdout) {
                handlers.on_stdout(record.payload);
            } else {
                result.out += record.payload;
            }
        } else if (record.is_stderr()) {
            if (handlers.on_stderr) {
                handlers.on_stderr(record.payload);
            } else {
                result.err += record.payload;
            }
        } else if (handlers.on_media) {
            handlers.on_media(record);
        } else {
            result.media.push_back(std::move(record));
        }
    }
    for (generated_file& file : step.files) {
        if (handlers.on_file) {
            handlers.on_file(file);
        } else {
            result.files.push_back(std::move(file));
        }
    }
    if (step.exit_code) result.exit_code = *step.exit_code;
    const bool phase_ended = step.status == run_status::finished || step.status == run_status::build_finished ||
                             step.status == run_status::clean_finished || step.status == run_status::exec_timeout;
    if (phase_ended && handlers.on_phase) handlers.on_phase(step.status, step.exit_code);
}

/// Runs to the end. Whatever ends it early (a handler, a cancel, a time limit) interrupts the remote code, unless that
/// cannot be running: nothing was sent, the server itself ended it, or its last step is done.
inline run_result run_loop(const run_steps& steps, std::string code, execute_mode mode, json options,
                           const run_handlers& handlers) {
    run_result result;
    std::string run_id;
    bool running = false; // whether the code may be running there
    const auto interrupt = [&] {
        if (!running) return;
        try {
            steps.interrupt();
        } catch (...) {
            // The reason for the early end is what the caller must see; an interrupt that fails on top of it (the
            // connection is gone, say) says nothing new.
        }
    };
    const auto take_step = [&] {
        try {
            execute_result step = steps.execute(run_id, code, mode, options);
            running = step.status != run_status::finished && step.status != run_status::exec_timeout;
            return step;
        } catch (const api_error& e) {
            // A refusal of the step (no such session, say) leaves nothing to interrupt; one for the load or a fault of
            // the server leaves the code as it was; and behind a proxy that lost the server it may have begun.
            const int status = e.status();
            if (status == 502 || status == 504) {
                running = true;
            } else if (status < 500 && status != 429) {
                running = false;
            }
            throw;
        } catch (const client_error& e) {
            running = running || e.sent() != client_error::progress::nothing_sent;
            throw;
        }
    };
    try {
        for (;;) {
            execute_result step = take_step();
            if (!step.run_id.empty()) run_id = step.run_id;
            options = json::object(); // the commands go with the first step only
            code.clear();
            deliver(step, handlers, result);
            switch (step.status) {
            case run_status::finished:
            case run_status::exec_timeout: return result;
            case run_status::waiting_input:
                if (!handlers.on_input) {
                    throw client_error(error_kind::argument,
                                       "the code waits for input and run() was given no on_input handler",
                                       client_error::progress::maybe_sent);
                }
                code = handlers.on_input(input_request{step.is_password});
                mode = execute_mode::input;
                break;
            case run_status::continued:
            case run_status::clean_finished:
            case run_status::build_finished: mode = execute_mode::continue_; break;
            }
        }
    } catch (...) {
        interrupt();
        throw;
    }
}

} // namespace detail

BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/api/stream_execute.hpp
/// @file
/// A run over one websocket in place of a request a step: events come as the code makes them.
#ifndef BACKENDAI_API_STREAM_EXECUTE_HPP
#define BACKENDAI_API_STREAM_EXECUTE_HPP


#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN

namespace detail {

inline call stream_call(const std::string& kernel_id, const std::string& endpoint) {
    require_single_name(kernel_id, "the session id");
    call what;
    what.waits_for_compute = true;
    what.complete = [rest = '/' + codec::escape_segment(kernel_id) + endpoint](call& request, const dialect& language) {
        request.path = std::string(language.stream_path) + rest;
    };
    return what;
}

/// The JSON object in a message of the server. @throws client_error{protocol}
inline json read_stream_object(const stream_message& message) {
    try {
        json value = codec::parse_json(message.data);
        if (value.is_object()) return value;
    } catch (const codec::decode_error&) {
        // said below
    }
    bad_answer("a message of the stream is not a JSON object");
}

/// What a server says in a stream in place of a status and a problem document.
inline api_error stream_error(const std::string& status, const json& message, const std::string& body) {
    api_error::details what;
    what.type = status;
    const auto text = message.find("msg");
    if (text != message.end() && text->is_string()) what.title = text->get<std::string>();
    what.body = body.substr(0, max_error_body);
    return api_error(std::move(what));
}

inline client_error closed_early(const stream_message& end, const char* what) {
    std::string text = std::string("the server closed ") + what + " with code " + std::to_string(end.code);
    if (!end.data.empty()) text += ": " + codec::printable_text(end.data, 512);
    return client_error(error_kind::connect, text, client_error::progress::maybe_sent);
}

/// The run behind an execute_stream: what goes over its websocket, in blocking calls. One thread reads; the rest may
/// come from others.
class execute_run {
public:
    using value = std::optional<execute_result>;

    execute_run(std::unique_ptr<message_stream> stream, const json& command, std::function<void()> interrupt)
        : stream_(std::move(stream)), interrupt_(std::move(interrupt)) {
        stream_->send_text(command.dump());
    }

    value read() {
        if (is_over()) return std::nullopt;
        return take(stream_->receive());
    }
    std::optional<value> read_for(std::chrono::milliseconds limit) {
        if (is_over()) return value();
        std::optional<stream_message> message = stream_->receive_for(limit);
        if (!message) return std::nullopt;
        return take(*message);
    }

    /// To be said before answer(): the next question may come while that still sends.
    void expect_answer() noexcept { waits_for_input_ = false; }
    void answer(std::string_view text) { stream_->send_text(text); }

    /// Interrupts the code unless the run is over, and closes the stream.
    void end() noexcept {
        const auto quietly = [](const auto& step) {
            try {
                step();
            } catch (const std::exception&) {
                // The caller goes away. An interrupt that fails, since the connection or the session is gone, leaves
                // the code to the server's own care.
            }
        };
        quietly([this] {
            if (!over_.exchange(true)) interrupt_();
        });
        quietly([this] { stream_->close(); });
    }
    void cancel() noexcept { stream_->cancel(); }

private:
    bool is_over() const {
        if (over_) return true;
        if (waits_for_input_) {
            throw client_error(error_kind::argument, "the code waits for input: answer with send_input()",
                               client_error::progress::maybe_sent);
        }
        return false;
    }

    value take(const stream_message& message) {
        if (message.is_closed()) {
            if (over_.exchange(true)) return std::nullopt; // we have ended it meanwhile
            // The server ended it, so that there is nothing left to interrupt.
            throw closed_early(message, "the run's stream before its end,");
        }
        json object = read_stream_object(message);
        const wire_object fields(object, "the event");
        const std::string status = fields.string("status");
        if (status == "error" || status == "server-restarting") {
            over_ = true;
            throw stream_error(status, object, message.data);
        }
        execute_result event = read_execute_result(std::move(object));
        if (event.status == run_status::finished || event.status == run_status::exec_timeout) over_ = true;
        waits_for_input_ = event.status == run_status::waiting_input;
        return event;
    }

    const std::unique_ptr<message_stream> stream_;
    const std::function<void()> interrupt_;
    std::atomic<bool> over_{false}, waits_for_input_{false};
};

} // namespace detail

/// A run under way. One thread iterates; send_input(), and cancel() at any time, may come from others.
///
/// An event is what execute() returns for one step, without a run id: `continued` with output, `waiting_input` (answer
/// with send_input() before going on), `clean_finished`, `build_finished`, at last `finished`, after which there are
/// no more. Destroying the stream before that interrupts the code.
///
/// Errors of next(), and of the iteration: api_error without an HTTP status when the server reports one in the stream,
/// type() "error" or "server-restarting"; client_error{connect} when the stream ends before the run does, protocol,
/// cancelled, closed; argument when input was asked for and none was sent.
///
/// In asynchronous mode the calls return futures and take none of the session's threads while they wait; see
/// async_message_stream for their order and their cancel().
template <class Mode>
class basic_execute_stream {
    template <class T>
    using result = typename Mode::template result<T>;

public:
    /// @param interrupt tells the server to interrupt the code; called at most once
    basic_execute_stream(const detail::call_scope& scope, std::unique_ptr<message_stream> stream, const json& command,
                         std::function<void()> interrupt)
        : io_(scope, std::move(stream), command, std::move(interrupt)) {}

    /// The next event; nothing after `finished`.
    result<std::optional<execute_result>> next() { return io_.read(); }

    /// Answers the code that waits for a line. @param text the line, without its line break
    /// @throws client_error{argument} when it is not UTF-8, else as message_stream::send_text()
    result<void> send_input(std::string text) {
        io_.body().expect_answer();
        return io_.write([text = std::move(text)](detail::execute_run& run) { run.answer(text); });
    }

    /// Ends the run early, as the destructor does: interrupts the code and closes the stream. Harmless afterwards.
    result<void> close() {
        return io_.write([](detail::execute_run& run) { run.end(); });
    }

    /// Breaks the stream off from any thread: next() throws client_error{cancelled}.
    void cancel() noexcept { io_.body().cancel(); }

    /// For range-for: `for (auto&& event : stream)`. Single pass; begin() reads the first event. Blocking mode only.
    using iterator = detail::stream_iterator<basic_execute_stream, execute_result>;
    iterator begin() { return iterator(*this); }
    iterator end() { return {}; }

private:
    typename Mode::template stream_io<detail::execute_run> io_;
};

/// The stream of a blocking session.
using execute_stream = basic_execute_stream<blocking>;

namespace detail {

template <class Mode>
basic_execute_stream<Mode> open_execute_stream(const call_scope& scope, const std::string& kernel_id,
                                               const std::string& code, execute_mode mode, const json& options,
                                               std::function<void()> interrupt) {
    if (mode != execute_mode::query && mode != execute_mode::batch) {
        throw client_error(error_kind::argument, "a stream runs in the modes query and batch");
    }
    if (!options.is_object()) throw client_error(error_kind::argument, "the options are not a JSON object");
    const json command = {{"mode", mode_name(mode)}, {"code", code}, {"options", options}};
    call().set_json(command); // finds text that is not UTF-8 before anything is sent
    return {scope, scope.open_websocket(stream_call(kernel_id, "/execute")), command, std::move(interrupt)};
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/api/stream_pty.hpp
/// @file
/// A terminal in a compute session.
#ifndef BACKENDAI_API_STREAM_PTY_HPP
#define BACKENDAI_API_STREAM_PTY_HPP


#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN

namespace detail {

/// The terminal behind a pty_stream: what goes over its websocket, in blocking calls. One thread reads; the rest may
/// come from others.
class pty_link {
public:
    using value = std::optional<std::string>; ///< bytes; nothing at the end

    explicit pty_link(std::unique_ptr<message_stream> stream) : stream_(std::move(stream)) {}

    value read() {
        for (;;) {
            if (std::optional<value> bytes = take(stream_->receive())) return std::move(*bytes);
        }
    }
    std::optional<value> read_for(std::chrono::milliseconds limit) {
        const auto end = time_after(limit);
        for (;;) {
            const auto left = end - std::chrono::steady_clock::now();
            const auto message = stream_->receive_for(std::chrono::duration_cast<std::chrono::milliseconds>(left));
            if (!message) return std::nullopt;
            if (std::optional<value> bytes = take(*message)) return bytes;
        }
    }
    void send(const json& message) { stream_->send_text(message.dump()); }
    void end() noexcept {
        try {
            stream_->close();
        } catch (const std::exception&) {
            // The owner lets go of it: there is nobody left to tell.
        }
    }
    void cancel() noexcept { stream_->cancel(); }

private:
    // Nothing for messages that show nothing. They are text or binary frames, by the server's version.
    static std::optional<value> take(const stream_message& message) {
        if (message.is_closed()) {
            const bool is_end =
                message.code == 1000 || message.code == 1001 || message.code == 1005 || message.code == 1006;
            if (!is_end) throw closed_early(message, "the terminal");
            return value();
        }
        const json object = read_stream_object(message);
        const wire_object fields(object, "the terminal's message");
        const std::string type = fields.string_or("type", "");
        if (type == "error") throw stream_error(type, object, message.data);
        if (type != "out") return std::nullopt; // types that are not known yet are for newer clients
        try {
            return value(codec::base64_decode(fields.string("data")));
        } catch (const codec::decode_error&) {
            bad_answer("the terminal's output is not base64");
        }
    }

    const std::unique_ptr<message_stream> stream_;
};

} // namespace detail

/// An open terminal. One thread may read while others write, resize and so on; cancel() may come from any thread.
/// Errors: client_error{connect} when the connection is lost or the server closes it for a failure, protocol,
/// cancelled, closed; api_error when the server reports an error in the stream.
///
/// In asynchronous mode the calls return futures and take none of the session's threads while they wait; see
/// async_message_stream for their order and their cancel().
template <class Mode>
class basic_pty_stream {
    template <class T>
    using result = typename Mode::template result<T>;

public:
    basic_pty_stream(const detail::call_scope& scope, std::unique_ptr<message_stream> stream)
        : io_(scope, std::move(stream)) {}

    /// What the terminal shows next, bytes with escape sequences; waits for it. Nothing when the terminal has ended.
    result<std::optional<std::string>> read() { return io_.read(); }
    /// As read(), but an empty text when nothing came within @p limit.
    result<std::optional<std::string>> read_for(std::chrono::milliseconds limit) {
        using shown = std::optional<std::string>;
        return io_.template read_for<shown>(
            limit, [](std::optional<shown>&& bytes) { return bytes ? std::move(*bytes) : shown(std::string()); });
    }

    /// Types bytes into the terminal.
    result<void> write(std::string_view bytes) {
        json message;
        if (!bytes.empty()) message = {{"type", "stdin"}, {"chars", codec::base64_encode(bytes)}};
        return io_.write([message = std::move(message)](detail::pty_link& link) {
            if (!message.is_null()) link.send(message);
        });
    }
    /// Tells the terminal's size in characters, both at least 1. @throws client_error{argument}
    result<void> resize(int rows, int cols) {
        return io_.write([rows, cols](detail::pty_link& link) {
            if (rows < 1 || cols < 1) {
                throw client_error(error_kind::argument, "a terminal has at least one row and column");
            }
            link.send({{"type", "resize"}, {"rows", rows}, {"cols", cols}});
        });
    }
    /// Starts the terminal's shell anew.
    result<void> restart() { return send({{"type", "restart"}}); }
    /// Keeps the session from being taken for idle.
    result<void> ping() { return send({{"type", "ping"}}); }
    /// Leaves the terminal; read() then ends. Harmless when it has ended.
    result<void> close() {
        return io_.write([](detail::pty_link& link) { link.end(); });
    }
    /// Breaks the connection off: read() throws client_error{cancelled}.
    void cancel() noexcept { io_.body().cancel(); }

private:
    result<void> send(json message) {
        return io_.write([message = std::move(message)](detail::pty_link& link) { link.send(message); });
    }

    typename Mode::template stream_io<detail::pty_link> io_;
};

/// The terminal of a blocking session.
using pty_stream = basic_pty_stream<blocking>;

namespace detail {

template <class Mode>
basic_pty_stream<Mode> open_pty_stream(const call_scope& scope, const std::string& kernel_id) {
    return {scope, scope.open_websocket(stream_call(kernel_id, "/pty"))};
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif

#include <chrono>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

namespace detail {

inline destroy_result kernel_destroy(const call_scope& scope, const std::string& kernel_id,
                                     const destroy_options& options) {
    call what = kernel_call("DELETE", kernel_id, "", [options](call& request, const dialect& language) {
        if (options.forced) {
            language.require(feature::forced_destroy);
            request.query.emplace_back("forced", "true");
        }
        if (options.owner_access_key) {
            language.require(feature::owner_access_key);
            request.query.emplace_back("owner_access_key", *options.owner_access_key);
        }
    });
    what.waits_for_compute = true;
    destroy_result result;
    try {
        const response answer = scope.perform(std::move(what));
        // Older servers answer 204 without a body.
        if (!answer.text().empty()) {
            const json body = answer.json();
            if (const json* stats = wire_object(body, "the answer to destroy").find("stats")) result.stats = *stats;
        }
    } catch (const api_error& refused) {
        // 19.03 answers so with null statistics; later servers refuse what is gone, also when the answer to a first
        // try was lost.
        if (refused.status() != 404 || !is_problem(refused, "object-not-found")) throw;
    }
    return result;
}

inline void kernel_rename(const call_scope& scope, const std::string& kernel_id, const std::string& name) {
    check_client_token(name);
    call what = kernel_call("POST", kernel_id, "/rename", feature::rename_session);
    what.retry = retry_class::unsafe; // a handle by name would not find it the second time
    what.set_json({{"name", name}});
    scope.perform(std::move(what));
}

inline void kernel_restart(const call_scope& scope, const std::string& kernel_id) {
    call what = kernel_call("PATCH", kernel_id);
    what.waits_for_compute = true;
    what.retry = retry_class::unsafe;
    scope.perform(std::move(what));
}

inline void kernel_interrupt(const call_scope& scope, const std::string& kernel_id) {
    call what = kernel_call("POST", kernel_id, "/interrupt");
    what.retry = retry_class::unsafe; // a late second one could hit the next run
    scope.perform(std::move(what));
}

inline std::vector<std::string> read_completions(const json& answer) {
    // {status, completions: [...]}, the bare list, or null: all three are sent by servers of the time.
    const json* list = wire_object(answer, "the completions").find("result");
    if (list != nullptr && list->is_object()) list = wire_object(*list, "the completions").find("completions");
    std::vector<std::string> candidates;
    if (list == nullptr) return candidates;
    if (!list->is_array()) bad_answer("the completions are not a list");
    for (const json& candidate : *list) {
        if (!candidate.is_string()) bad_answer("a completion is not a text");
        candidates.push_back(candidate.get<std::string>());
    }
    return candidates;
}

inline std::vector<std::string> kernel_complete(const call_scope& scope, const std::string& kernel_id,
                                                const std::string& code, const completion_options& options) {
    call what = kernel_call("POST", kernel_id, "/complete");
    what.waits_for_compute = true;
    what.set_json(
        {{"code", code},
         {"options", {{"row", options.row}, {"col", options.col}, {"line", options.line}, {"post", options.post}}}});
    return read_completions(scope.perform(std::move(what)).json());
}

inline kernel_info kernel_get_info(const call_scope& scope, const std::string& kernel_id) {
    return read_info(scope.perform(kernel_call("GET", kernel_id)).json());
}

inline std::string kernel_get_logs(const call_scope& scope, const std::string& kernel_id) {
    const json answer = scope.perform(kernel_call("GET", kernel_id, "/logs")).json();
    return wire_object(answer, "the answer").object("result").string_or("logs", "");
}

inline execute_result kernel_execute(const call_scope& scope, const std::string& kernel_id, const std::string& run_id,
                                     const std::string& code, execute_mode mode, const json& options) {
    const bool goes_on = mode == execute_mode::continue_ || mode == execute_mode::input;
    if (goes_on && run_id.empty()) {
        throw client_error(error_kind::argument, "continuing a run needs the run id of its first step");
    }
    if (mode == execute_mode::continue_ && !code.empty()) {
        throw client_error(error_kind::argument, "the code must be empty when a run is continued");
    }
    if (!options.is_object()) throw client_error(error_kind::argument, "the options of execute() are no JSON object");
    const json run = run_id.empty() ? json() : json(run_id);
    json body = {{"mode", mode_name(mode)}, {"code", code}, {"runId", run}, {"options", options}};
    call what = kernel_call("POST", kernel_id, "", [&body, &run](call& request, const dialect& language) {
        if (!language.run_id_twice) return;
        body["run_id"] = run;
        request.set_json(body);
    });
    what.set_json(body);
    what.waits_for_compute = true;
    what.retry = retry_class::unsafe;
    const json answer = scope.perform(std::move(what)).json();
    const wire_object fields(answer, "the answer");
    if (mode == execute_mode::complete && fields.find("result") == nullptr) {
        // 23.03 to 25.8 lose the candidates on their way from the agent, see read_completions().
        execute_result nothing;
        nothing.run_id = run_id;
        nothing.raw = nullptr;
        return nothing;
    }
    return read_execute_result(fields.require("result"));
}

inline void kernel_interrupt_briefly(const std::shared_ptr<session_state>& state, const std::string& kernel_id) {
    // Not under the limits of the run: those may be why it ends.
    call_options brief;
    brief.timeout = std::chrono::seconds(5);
    brief.retry = retry_policy();
    brief.retry->max_attempts = 1;
    kernel_interrupt({state, brief}, kernel_id);
}

inline run_result kernel_run(const call_scope& scope, const std::string& kernel_id, std::string code, execute_mode mode,
                             json options, const run_handlers& handlers) {
    run_steps steps;
    steps.execute = [&](const std::string& run_id, const std::string& text, execute_mode step, const json& more) {
        return kernel_execute(scope, kernel_id, run_id, text, step, more);
    };
    steps.interrupt = [&] { kernel_interrupt_briefly(scope.state, kernel_id); };
    return run_loop(steps, std::move(code), mode, std::move(options), handlers);
}

} // namespace detail

/// A compute session: a handle, cheap to copy, that holds no resource of the server. It stays usable until the session
/// object it was made from is closed.
template <class Transport, class Mode>
class basic_kernel {
    template <class T>
    using result = typename Mode::template result<T>;

public:
    basic_kernel(detail::call_scope scope, kernel_creation creation)
        : scope_(std::move(scope)), creation_(std::move(creation)) {}

    /// Names the session in calls: its UUID when get_or_create() was told one, else the client token or the id that the
    /// handle was made with.
    const std::string& kernel_id() const noexcept { return creation_.kernel_id; }
    /// The client token, also when get_or_create() chose one; of handles by id, the id.
    const std::string& name() const noexcept { return creation_.name; }
    /// The state that get_or_create() was told: "RUNNING", "PENDING", "TIMEOUT" ...; empty for handles by id and
    /// on 19.03.
    const std::string& status() const noexcept { return creation_.status; }
    /// Whether get_or_create() made it anew; false for reused ones and for handles by id.
    bool created() const noexcept { return creation_.created; }
    /// The network services in it, as told by get_or_create(); empty for handles by id.
    const std::vector<service_port>& service_ports() const noexcept { return creation_.service_ports; }
    /// The server's whole answer to get_or_create(); null for handles by id.
    const json& raw() const noexcept { return creation_.raw; }

    /// Ends the compute session and whatever runs in it: `DELETE /kernel/ID`. Ending one that is gone is no error.
    /// Retry class: safe.
    result<destroy_result> destroy(destroy_options options = {}) const {
        return invoke([options = std::move(options)](const detail::call_scope& scope, const std::string& id) {
            return detail::kernel_destroy(scope, id, options);
        });
    }
    /// Gives a running session another name: `POST /session/ID/rename`, from 21.09 (v6.20210815) on. Handles by the old
    /// name find it no more. Retry class: unsafe. @throws client_error{argument} for a name that is no client token
    result<void> rename(std::string name) const {
        return invoke([name = std::move(name)](const detail::call_scope& scope, const std::string& id) {
            detail::kernel_rename(scope, id, name);
        });
    }
    /// Restarts the containers; files stay, state is lost: `PATCH /kernel/ID`. Retry class: unsafe.
    result<void> restart() const {
        return invoke(
            [](const detail::call_scope& scope, const std::string& id) { detail::kernel_restart(scope, id); });
    }
    /// Interrupts the code that runs, as Ctrl-C would: `POST /kernel/ID/interrupt`. That the server accepted it does
    /// not mean that the code obeys. Retry class: unsafe.
    result<void> interrupt() const {
        return invoke(
            [](const detail::call_scope& scope, const std::string& id) { detail::kernel_interrupt(scope, id); });
    }
    /// Completion candidates for @p code, in the server's order; none where the language has no completion:
    /// `POST /kernel/ID/complete`. Retry class: safe.
    result<std::vector<std::string>> complete(std::string code, completion_options options = {}) const {
        return invoke([code = std::move(code), options = std::move(options)](const detail::call_scope& scope,
                                                                             const std::string& id) {
            return detail::kernel_complete(scope, id, code, options);
        });
    }
    /// What the server knows of the session: `GET /kernel/ID`. Retry class: safe.
    result<kernel_info> get_info() const {
        return invoke(
            [](const detail::call_scope& scope, const std::string& id) { return detail::kernel_get_info(scope, id); });
    }
    /// The console log of the container: `GET /kernel/ID/logs`. Retry class: safe.
    result<std::string> get_logs() const {
        return invoke(
            [](const detail::call_scope& scope, const std::string& id) { return detail::kernel_get_logs(scope, id); });
    }

    /// The network services in the session: `GET /stream/session/ID/apps`, from 20.03 (v5.20191215) on.
    /// Retry class: safe.
    result<std::vector<service_port>> apps() const {
        return invoke(
            [](const detail::call_scope& scope, const std::string& id) { return detail::kernel_apps(scope, id); });
    }
    /// Starts a service and has a proxy of the cluster's lead to it: `POST /session/ID/start-service`, from 21.09
    /// (v6.20210815) on. Retry class: unsafe. @throws api_error service-unavailable where there is no such proxy
    result<service_address> start_service(std::string app, service_options options = {}) const {
        return invoke([app = std::move(app), options = std::move(options)](const detail::call_scope& scope,
                                                                           const std::string& id) {
            return detail::kernel_start_service(scope, id, app, options);
        });
    }
    /// Ends a service: `POST /session/ID/shutdown-service`, from 20.09 (v6.20200815) on. Retry class: safe.
    result<void> shutdown_service(std::string app) const {
        return invoke([app = std::move(app)](const detail::call_scope& scope, const std::string& id) {
            detail::kernel_shutdown_service(scope, id, app);
        });
    }

    /// One step of a run: `POST /kernel/ID`. Returns after about 2 s at the latest even when the code goes on.
    /// @param run_id  empty in the first step, the first result's run_id in later ones
    /// @param code    the snippet; empty to continue; the user's line for input
    /// @param options a JSON object of mode-specific options
    /// Retry class: unsafe.
    result<execute_result> execute(std::string run_id, std::string code, execute_mode mode = execute_mode::query,
                                   json options = json::object()) const {
        return invoke([run_id = std::move(run_id), code = std::move(code), mode,
                       options = std::move(options)](const detail::call_scope& scope, const std::string& id) {
            return detail::kernel_execute(scope, id, run_id, code, mode, options);
        });
    }
    /// The first step of a batch run.
    result<execute_result> execute(batch_commands commands) const {
        return execute({}, {}, execute_mode::batch, detail::batch_options(commands));
    }

    /// Runs @p code to its end: continues, hands output to the handlers as it comes, asks them for input.
    /// Output that no handler takes is in the result. A time limit set by with() holds for each step.
    /// @throws client_error{argument} also when the code asks for input and there is no on_input
    result<run_result> run(std::string code, run_handlers handlers = {}) const {
        return invoke([code = std::move(code), handlers = std::move(handlers)](const detail::call_scope& scope,
                                                                               const std::string& id) {
            return detail::kernel_run(scope, id, code, execute_mode::query, json::object(), handlers);
        });
    }
    /// Runs the clean, build and exec commands to their end.
    result<run_result> run(batch_commands commands, run_handlers handlers = {}) const {
        return invoke([commands = std::move(commands), handlers = std::move(handlers)](const detail::call_scope& scope,
                                                                                       const std::string& id) {
            return detail::kernel_run(scope, id, {}, execute_mode::batch, detail::batch_options(commands), handlers);
        });
    }

    /// Uploads files, and directories with the files below them, to the session's working directory:
    /// `POST /kernel/ID/upload`. Names there are relative to options.basedir, and parents are made.
    /// At most 20 files, each smaller than 1 MiB. Retry class: safe, as it leaves the same files behind.
    /// @throws client_error{argument} beyond the limits, for files outside of basedir and what upload_options::special
    ///         refuses; client_error{io} for files that cannot be read or change their size meanwhile; see
    ///         progress_callback
    result<void> upload(std::vector<std::filesystem::path> files, upload_options options = {}) const {
        return invoke([files = std::move(files), options = std::move(options)](const detail::call_scope& scope,
                                                                               const std::string& id) {
            detail::kernel_upload(scope, id, files, options);
        });
    }
    /// Downloads files or directories to @p dest, which is made if missing, by requests of five:
    /// `GET /kernel/ID/download`. Each comes under its last name (`data/a.csv` becomes `dest/a.csv`), with mode and
    /// time. The files of a request appear when all of them are whole. Retry class: safe until the first byte has come.
    /// @param files relative to the working directory, or absolute
    /// @throws client_error{argument} for two files of the same last name; client_error{io} for what the local disk
    ///         refuses; client_error{protocol} for archives that are damaged, or hold links, devices or names that lead
    ///         out of dest; see progress_callback
    result<void> download(std::vector<std::string> files, std::filesystem::path dest = ".",
                          download_options options = {}) const {
        return invoke([files = std::move(files), dest = std::move(dest),
                       options = std::move(options)](const detail::call_scope& scope, const std::string& id) {
            detail::kernel_download(scope, id, files, dest, options);
        });
    }
    /// What is in a directory: `GET /kernel/ID/files`. Retry class: safe.
    result<file_listing> list_files(std::string path = ".") const {
        return invoke([path = std::move(path)](const detail::call_scope& scope, const std::string& id) {
            return detail::kernel_list_files(scope, id, path);
        });
    }

    /// Runs @p code over a websocket: `GET /stream/kernel/ID/execute`. Events come as they happen, see execute_stream.
    /// The limits set by with() hold for the opening, its cancel token for the stream's whole life.
    /// Retry class of the opening: safe.
    /// @param mode query or batch  @param options a JSON object of mode-specific options
    result<basic_execute_stream<Mode>> stream_execute(std::string code, execute_mode mode = execute_mode::query,
                                                      json options = json::object()) const {
        static_assert(is_websocket_transport_v<Transport>,
                      "backendai: stream_execute needs a transport with websockets: this one lacks websocket_opening "
                      "open_websocket(http_request&, const exchange_context&), see backendai/transport/concept.hpp");
        return invoke([code = std::move(code), mode, options = std::move(options)](const detail::call_scope& scope,
                                                                                   const std::string& id) {
            return detail::open_execute_stream<Mode>(scope, id, code, mode, options, [state = scope.state, id] {
                detail::kernel_interrupt_briefly(state, id);
            });
        });
    }
    /// Runs the clean, build and exec commands over a websocket.
    result<basic_execute_stream<Mode>> stream_execute(batch_commands commands) const {
        return stream_execute({}, execute_mode::batch, detail::batch_options(commands));
    }
    /// What happens to the compute session from now on: `GET /events/session`, see event_stream. The stream does not
    /// end by itself when the session ends. The limits set by with() hold for the opening, its cancel token for the
    /// stream's whole life. Retry class: safe.
    /// @throws client_error{argument} for servers before 19.09, and a scope with servers before 20.09
    result<basic_event_stream<Mode>> events(event_options options = {}) const {
        return invoke([options = std::move(options)](const detail::call_scope& scope, const std::string& id) {
            return detail::open_event_stream<Mode>(scope, id, options);
        });
    }
    /// Opens a terminal in the compute session: `GET /stream/kernel/ID/pty`. See pty_stream; limits as
    /// stream_execute().
    result<basic_pty_stream<Mode>> stream_pty() const {
        static_assert(is_websocket_transport_v<Transport>,
                      "backendai: stream_pty needs a transport with websockets: this one lacks websocket_opening "
                      "open_websocket(http_request&, const exchange_context&), see backendai/transport/concept.hpp");
        return invoke([](const detail::call_scope& scope, const std::string& id) {
            return detail::open_pty_stream<Mode>(scope, id);
        });
    }

private:
    template <class Body>
    auto invoke(Body body) const {
        return Mode::run(scope_, [body = std::move(body), id = creation_.kernel_id](const detail::call_scope& scope) {
            return body(scope, id);
        });
    }

    detail::call_scope scope_;
    kernel_creation creation_;
};

/// The class-level functions of compute sessions: `session.kernel()`.
template <class Transport, class Mode>
class basic_kernel_functions {
public:
    explicit basic_kernel_functions(detail::call_scope scope) : scope_(std::move(scope)) {}

    /// Gets the compute session of that client token, or creates one: `POST /kernel/create`, or `/session` from 20.03
    /// (v5) on. The call waits until the session can be used, unless the options say otherwise. Retry class: safe, as
    /// the client token makes it idempotent; with no_reuse unsafe.
    /// @param lang image name and tag, "python:3.6-ubuntu"
    /// @throws client_error{argument} for a bad token, cluster size or name; api_error kernel-already-exists when the
    ///         token belongs to a session of another image
    typename Mode::template result<basic_kernel<Transport, Mode>> get_or_create(std::string lang,
                                                                                create_options options = {}) const {
        return Mode::run(scope_,
                         [lang = std::move(lang), options = std::move(options)](const detail::call_scope& scope) {
                             return basic_kernel<Transport, Mode>(scope.outside_task(),
                                                                  detail::kernel_get_or_create(scope, lang, options));
                         });
    }
    /// The compute sessions that fit the filter, a page at a time; see page_range. Of other users: needs admin rights.
    page_range<Mode> paginated_list(session_filter filter = {}, page_query wanted = {}) const {
        return {scope_, detail::session_listing(std::move(filter)), std::move(wanted)};
    }
    /// One page of them. Retry class: safe.
    typename Mode::template result<page_result> list_page(session_filter filter = {}, page_query wanted = {}) const {
        return Mode::run(scope_, [what = detail::session_listing(std::move(filter)),
                                  wanted = std::move(wanted)](const detail::call_scope& scope) {
            return detail::fetch_single_page(scope, what, wanted);
        });
    }
    /// The caller's sessions of that name or UUID, terminated ones included: `GET /session/_/match`, from 20.03
    /// (v5.20191215) on. Retry class: safe.
    /// @param id a whole name or UUID: what some servers take for the beginning of one, others do not
    typename Mode::template result<std::vector<session_match>> match(std::string id) const {
        return Mode::run(
            scope_, [id = std::move(id)](const detail::call_scope& scope) { return detail::kernel_match(scope, id); });
    }

    /// What happens to all of one's compute sessions from now on; as basic_kernel::events().
    typename Mode::template result<basic_event_stream<Mode>> events(event_options options = {}) const {
        return Mode::run(scope_, [options = std::move(options)](const detail::call_scope& scope) {
            return detail::open_event_stream<Mode>(scope, {}, options);
        });
    }

private:
    detail::call_scope scope_;
};

BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/api/keypair.hpp
/// @file
/// Key pairs: who may use the API, and how much. Most of it needs admin rights. Errors as in api/admin.hpp.
#ifndef BACKENDAI_API_KEYPAIR_HPP
#define BACKENDAI_API_KEYPAIR_HPP


#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

/// What keypair().create() makes. The limits default to what the official command line gives.
struct keypair_options {
    bool is_active = true;
    bool is_admin = false;
    /// Servers since spring 2019 require one and have "default"; earlier ones only keep the name.
    std::optional<std::string> resource_policy = "default";
    int rate_limit = 5000;     ///< API calls in 15 minutes
    int concurrency_limit = 1; ///< compute sessions at the same time; later servers take it from the resource policy
    field_list fields;         ///< of the new key pair; default: access_key secret_key
};

/// What keypair(key).update() changes; what is not set stays.
struct keypair_changes {
    std::optional<bool> is_active, is_admin;
    std::optional<std::string> resource_policy;
    std::optional<int> rate_limit, concurrency_limit;
};

/// Which key pairs are listed.
struct keypair_filter {
    std::optional<user_id> user = {};   ///< whose
    std::optional<bool> is_active = {}; ///< active ones, inactive ones, or both
    field_list fields = {};             ///< default: access_key secret_key is_active is_admin
};

/// A new key pair. The secret key cannot be asked for by anyone else later, so keep it.
struct keypair_creation {
    std::string access_key, secret_key; ///< empty when the fields asked for left them out
    json raw;                           ///< the fields asked for
};

namespace detail {

inline constexpr const char* default_keypair_fields = "access_key secret_key is_active is_admin";

inline void check_user(const user_id& user) {
    if (!user.is_number()) return;
    // GraphQL's Int has 32 bits.
    const json& number = user.value();
    const bool fits = number.is_number_unsigned()
                          ? number.get<std::uint64_t>() <= INT32_MAX
                          : number.get<std::int64_t>() >= INT32_MIN && number.get<std::int64_t>() <= INT32_MAX;
    if (!fits) throw client_error(error_kind::argument, "the user id is out of range");
}
inline void check_user(const user_id& user, const dialect& language) {
    if (!user.is_number() || language.integer_user_ids) return;
    throw client_error(error_kind::argument,
                       "user ids that are numbers ended with v4.20190315; use the e-mail address");
}
inline const char* user_type(const user_id& user) {
    return user.is_number() ? "Int!" : "String!";
}

inline keypair_creation keypair_create(const call_scope& scope, const user_id& user, const keypair_options& options) {
    graphql_text text("mutation", "create_keypair");
    text.argument("user_id", user_type(user), user.value());
    text.argument("props", "KeyPairInput!",
                  {{"is_active", options.is_active},
                   {"is_admin", options.is_admin},
                   {"resource_policy", options.resource_policy ? json(*options.resource_policy) : json()},
                   {"rate_limit", options.rate_limit},
                   {"concurrency_limit", options.concurrency_limit}},
                  "input");
    text.select("ok msg keypair { " + select_fields(options.fields, "access_key secret_key") + " }");
    check_user(user);
    check_user(user, scope.negotiate());
    const json answer = run_mutation(scope, text);
    keypair_creation made;
    made.raw = wire_object(answer, "the answer").require("keypair");
    const wire_object fields(made.raw, "the key pair");
    made.access_key = fields.string_or("access_key", "");
    made.secret_key = fields.string_or("secret_key", "");
    return made;
}

inline listing keypair_listing(keypair_filter filter) {
    listing what{"keypair_list", "keypairs", &dialect_rules::keypair_pages, {}, {}};
    what.selection = [fields = filter.fields](const dialect&) { return select_fields(fields, default_keypair_fields); };
    what.arguments = [filter = std::move(filter)](graphql_text& text, const dialect& language) {
        if (filter.user) {
            check_user(*filter.user, language);
            const std::string key(language.keypair_user_key);
            text.argument(key.c_str(), user_type(*filter.user), filter.user->value());
        }
        text.argument("is_active", "Boolean", filter.is_active ? json(*filter.is_active) : json());
    };
    return what;
}

inline std::vector<json> keypair_list(const call_scope& scope, keypair_filter filter) {
    if (filter.user) check_user(*filter.user);
    page_cursor cursor(keypair_listing(std::move(filter)), {});
    std::vector<json> all;
    while (auto item = cursor.next(scope)) all.push_back(std::move(*item));
    return all;
}

inline json keypair_info(const call_scope& scope, const std::string& access_key, const field_list& fields) {
    graphql_text text("query", "keypair");
    // Without an argument it is the caller's own, which user keys may ask for too.
    if (access_key != *scope.state->config().access_key) text.argument("access_key", "String", access_key);
    text.select(select_fields(fields, default_keypair_fields));
    return query_field(scope, text);
}

inline void keypair_update(const call_scope& scope, const std::string& access_key, keypair_changes changes) {
    const dialect language = scope.negotiate();
    if (language.keypair_input_is_whole) {
        // The server takes no modification without the limits, so those that stay are read and sent back.
        const json present = keypair_info(scope, access_key, {"resource_policy", "rate_limit", "concurrency_limit"});
        if (present.is_null()) {
            graphql_problem problem;
            problem.message = "there is no key pair of this access key";
            problem.path = json::array({"keypair"});
            api_error::details details;
            details.status = 200;
            details.reason = "OK";
            details.title = "The key pair was not found";
            throw graphql_error(std::move(details), {std::move(problem)});
        }
        const wire_object fields(present, "the key pair");
        const keypair_options defaults;
        if (!changes.rate_limit) changes.rate_limit = fields.optional_int("rate_limit").value_or(defaults.rate_limit);
        if (!changes.concurrency_limit) {
            changes.concurrency_limit = fields.optional_int("concurrency_limit").value_or(defaults.concurrency_limit);
        }
        if (!changes.resource_policy && fields.find("resource_policy") != nullptr) {
            changes.resource_policy = fields.string("resource_policy");
        }
    }
    // What stays is left out: 23.09 takes a null for the new value, where 23.03 and 19.03 leave things as they are.
    json input = json::object();
    const auto maybe = [&](const char* name, const auto& value) {
        if (value || language.keypair_input_is_whole) input[name] = value ? json(*value) : json();
    };
    maybe("is_active", changes.is_active);
    maybe("is_admin", changes.is_admin);
    maybe("resource_policy", changes.resource_policy);
    maybe("rate_limit", changes.rate_limit);
    maybe("concurrency_limit", changes.concurrency_limit);
    graphql_text text("mutation", "modify_keypair");
    text.argument("access_key", "String!", access_key);
    text.argument("props", std::string(language.keypair_input) + '!', std::move(input), "input");
    text.select("ok msg");
    run_mutation(scope, text);
}

inline void keypair_remove(const call_scope& scope, const std::string& access_key) {
    graphql_text text("mutation", "delete_keypair");
    text.argument("access_key", "String!", access_key).select("ok msg");
    run_mutation(scope, text);
}

} // namespace detail

/// A key pair: a handle by its access key. Makes no request by itself.
template <class Transport, class Mode>
class basic_keypair {
    template <class T>
    using result = typename Mode::template result<T>;

public:
    basic_keypair(detail::call_scope scope, std::string access_key)
        : scope_(std::move(scope)), access_key_(std::move(access_key)) {}

    const std::string& access_key() const noexcept { return access_key_; }

    /// What the server knows of this key pair; null when there is none. A key of a user may ask for itself only.
    /// @param fields default: access_key secret_key is_active is_admin
    /// Retry class: safe.
    result<json> info(field_list fields = {}) const {
        return Mode::run(scope_, [key = access_key_, fields = std::move(fields)](const detail::call_scope& scope) {
            return detail::keypair_info(scope, key, fields);
        });
    }
    /// Lets it make calls again. Needs admin rights. Reads the present limits first, as the server wants them back.
    /// Retry class: unsafe.
    result<void> activate() const { return set_active(true); }
    /// Lets it make no more calls. As activate().
    result<void> deactivate() const { return set_active(false); }
    /// Changes what is set in @p changes. Needs admin rights. Retry class: unsafe.
    result<void> update(keypair_changes changes) const {
        return Mode::run(scope_, [key = access_key_, changes = std::move(changes)](const detail::call_scope& scope) {
            detail::keypair_update(scope, key, changes);
        });
    }
    /// Deletes it. Needs admin rights. Retry class: unsafe. @throws graphql_error also when there is none
    result<void> remove() const {
        return Mode::run(scope_,
                         [key = access_key_](const detail::call_scope& scope) { detail::keypair_remove(scope, key); });
    }

private:
    result<void> set_active(bool value) const {
        keypair_changes changes;
        changes.is_active = value;
        return update(std::move(changes));
    }

    detail::call_scope scope_;
    std::string access_key_;
};

/// Functions of key pairs in general: `session.keypair()`.
template <class Transport, class Mode>
class basic_keypair_functions {
    template <class T>
    using result = typename Mode::template result<T>;

public:
    explicit basic_keypair_functions(detail::call_scope scope) : scope_(std::move(scope)) {}

    /// Makes a key pair for a user. Needs admin rights. Retry class: unsafe.
    /// @param user e-mail address, or the number that servers of the 19.03 line and before had
    result<keypair_creation> create(user_id user, keypair_options options = {}) const {
        return Mode::run(scope_,
                         [user = std::move(user), options = std::move(options)](const detail::call_scope& scope) {
                             return detail::keypair_create(scope, user, options);
                         });
    }
    /// The key pairs of a user, or of all; active ones, inactive ones, or both, in as many requests as it takes. Needs
    /// admin rights.
    /// @param fields default: access_key secret_key is_active is_admin
    /// Retry class: safe.
    result<std::vector<json>> list(std::optional<user_id> user = {}, std::optional<bool> is_active = {},
                                   field_list fields = {}) const {
        return Mode::run(scope_, [filter = keypair_filter{std::move(user), is_active, std::move(fields)}](
                                     const detail::call_scope& scope) { return detail::keypair_list(scope, filter); });
    }
    /// The key pairs that fit the filter, a page at a time; see page_range. Needs admin rights.
    page_range<Mode> paginated_list(keypair_filter filter = {}, page_query wanted = {}) const {
        return {scope_, detail::keypair_listing(std::move(filter)), std::move(wanted)};
    }
    /// One page of them. Retry class: safe.
    result<page_result> list_page(keypair_filter filter = {}, page_query wanted = {}) const {
        return Mode::run(scope_, [what = detail::keypair_listing(std::move(filter)),
                                  wanted = std::move(wanted)](const detail::call_scope& scope) {
            return detail::fetch_single_page(scope, what, wanted);
        });
    }

private:
    detail::call_scope scope_;
};

BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/api/manager.hpp
/// @file
/// The server itself: its state, and maintenance. Errors as in api/admin.hpp.
#ifndef BACKENDAI_API_MANAGER_HPP
#define BACKENDAI_API_MANAGER_HPP


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

inline manager_status manager_get_status(const call_scope& scope) {
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

inline void manager_set_status(const call_scope& scope, const json& status) {
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
// ---- backendai/api/vfolder.hpp
/// @file
/// Virtual folders: storage that outlives compute sessions and is mounted into them.
///
/// Unless a function says otherwise it throws api_error when the server refuses, client_error{argument} for arguments
/// that are wrong before anything is sent, and client_error of the other kinds when no usable answer came. All
/// functions may be called from several threads at once.
#ifndef BACKENDAI_API_VFOLDER_HPP
#define BACKENDAI_API_VFOLDER_HPP

// ---- backendai/api/vfolder_files.hpp
/// @file
/// Files of virtual folders: the bodies of vfolder upload() and download().
#ifndef BACKENDAI_API_VFOLDER_FILES_HPP
#define BACKENDAI_API_VFOLDER_FILES_HPP

// ---- backendai/api/vfolder_call.hpp
/// @file
/// What requests about one virtual folder have in common.
#ifndef BACKENDAI_API_VFOLDER_CALL_HPP
#define BACKENDAI_API_VFOLDER_CALL_HPP

// ---- backendai/api/vfolder_types.hpp
/// @file
/// Results of the virtual folder functions, and the rules for folder names.
#ifndef BACKENDAI_API_VFOLDER_TYPES_HPP
#define BACKENDAI_API_VFOLDER_TYPES_HPP


#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

/// Options of create(). Setting one that the session's protocol version does not know is a client_error{argument}.
struct vfolder_create_options {
    std::string host;                      ///< the storage to lie on; empty for the server's default
    std::optional<std::string> group;      ///< whose it is to be, in place of the caller's: UUID, or name before 26.3;
                                           ///< 19.09 (v4.20190615) on
    std::optional<std::string> usage_mode; ///< "general" (default), "model", "data"; 20.03 (v5.20191215) on
    std::optional<std::string> permission; ///< "ro", "rw" (default), "wd"; 20.03 (v5.20191215) on
    std::optional<std::string> unmanaged_path; ///< a place on the host that exists; admins only, 20.03 (v5.20191215) on
    std::optional<bool> cloneable;             ///< others may copy it; 20.09 (v6.20200815) on
    std::optional<std::string> quota;          ///< "10g"; 20.09 (v6.20200815) on, not every storage has it
};

/// Options of mkdir(); what is not the default is known from 20.09 (v6.20200815) on.
struct mkdir_options {
    bool parents = true;   ///< make those that are missing
    bool exist_ok = false; ///< one that exists is no error
};

/// Where folders can be made.
struct vfolder_hosts {
    std::optional<std::string> default_host; ///< where they are made when create() names none
    std::vector<std::string> allowed;
    json raw;
};

/// What create() made.
struct vfolder_creation {
    std::string id, name;
    std::string host; ///< the storage it lies on
    json raw;
};

/// A folder as list() tells it.
struct vfolder_summary {
    std::string id, name, host;
    bool is_owner = false;  ///< else it was shared by an invitation
    std::string permission; ///< "ro", "rw", "wd"; servers may know more
    json raw;
};

/// A folder as info() tells it.
struct vfolder_info {
    std::string id, name, host;
    std::int64_t num_files = 0;
    std::string created; ///< the server's text for the time
    bool is_owner = false;
    std::string permission;
    json raw;
};

/// An invitation to somebody else's folder.
struct vfolder_invitation {
    std::string id;
    std::string inviter; ///< e-mail address
    std::string invitee; ///< e-mail address; empty where the server does not say
    std::string permission;
    std::string state; ///< "pending"
    std::string created_at;
    std::string vfolder_id;
    std::string vfolder_name; ///< empty where the server does not say
    json raw;
};

namespace detail {

/// `.?[a-zA-Z0-9]([a-zA-Z0-9._-]*[a-zA-Z0-9])?`. @throws client_error{argument}
inline void check_vfolder_name(const std::string& name) {
    const auto alphanumeric = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    };
    const std::size_t first = name.rfind('.', 0) == 0 ? 1 : 0;
    bool valid = name.size() > first && alphanumeric(name[first]) && alphanumeric(name.back());
    for (const char c : name) valid = valid && (alphanumeric(c) || c == '.' || c == '_' || c == '-');
    if (!valid) {
        throw client_error(error_kind::argument,
                           codec::printable(name) +
                               " is no name for a virtual folder: letters and digits, and '.', '_' "
                               "or '-' between them");
    }
}

/// The same by the server's version: 19.03 knows no names with a dot in front.
inline void check_vfolder_name(const std::string& name, const dialect& language) {
    check_vfolder_name(name);
    if (name.front() == '.') language.require(feature::dot_folders);
}

/// Ids are UUIDs, in text; some servers have numbers.
inline std::string id_text(const wire_object& fields, const char* key) {
    const json* member = fields.find(key);
    if (member == nullptr) return {};
    return member->is_number_integer() ? member->dump() : fields.string(key);
}

inline vfolder_creation read_vfolder_creation(json answer) {
    const wire_object fields(answer, "the answer");
    vfolder_creation made;
    made.id = id_text(fields, "id");
    made.name = fields.string("name");
    made.host = fields.string_or("host", "");
    made.raw = std::move(answer);
    return made;
}

inline std::vector<vfolder_summary> read_vfolder_list(const json& answer) {
    if (!answer.is_array()) bad_answer("the folders are not a list");
    std::vector<vfolder_summary> folders;
    for (const json& item : answer) {
        const wire_object fields(item, "a folder");
        vfolder_summary folder;
        folder.id = id_text(fields, "id");
        folder.name = fields.string("name");
        folder.host = fields.string_or("host", "");
        folder.is_owner = fields.boolean_or("is_owner", false);
        folder.permission = fields.string_or("permission", "");
        folder.raw = item;
        folders.push_back(std::move(folder));
    }
    return folders;
}

inline vfolder_info read_vfolder_info(json answer) {
    const wire_object fields(answer, "the folder");
    vfolder_info folder;
    folder.id = id_text(fields, "id");
    folder.name = fields.string("name");
    folder.host = fields.string_or("host", "");
    // Both names are sent by servers of the years between.
    folder.num_files = fields.integer_or("num_files", fields.integer_or("numFiles", 0));
    folder.created = fields.string_or("created_at", fields.string_or("created", ""));
    folder.is_owner = fields.boolean_or("is_owner", false);
    folder.permission = fields.string_or("permission", "");
    folder.raw = std::move(answer);
    return folder;
}

inline vfolder_hosts read_vfolder_hosts(json answer) {
    const wire_object fields(answer, "the hosts");
    vfolder_hosts hosts;
    if (fields.find("default") != nullptr) hosts.default_host = fields.string("default");
    for (const json& host : fields.array_or_empty("allowed")) {
        if (!host.is_string()) bad_answer("a host's name is not a text");
        hosts.allowed.push_back(host.get<std::string>());
    }
    hosts.raw = std::move(answer);
    return hosts;
}

inline std::vector<vfolder_invitation> read_vfolder_invitations(const json& answer) {
    std::vector<vfolder_invitation> invitations;
    for (const json& item : wire_object(answer, "the answer").array_or_empty("invitations")) {
        const wire_object fields(item, "an invitation");
        vfolder_invitation invitation;
        invitation.id = id_text(fields, "id");
        invitation.inviter = fields.string_or("inviter", "");
        invitation.invitee = fields.string_or("invitee", "");
        invitation.permission = fields.string_or("perm", "");
        invitation.state = fields.string_or("state", "");
        invitation.created_at = fields.string_or("created_at", "");
        invitation.vfolder_id = id_text(fields, "vfolder_id");
        invitation.vfolder_name = fields.string_or("vfolder_name", "");
        invitation.raw = item;
        invitations.push_back(std::move(invitation));
    }
    return invitations;
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif

#include <functional>
#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// A call about a folder; @p more adds what depends on the server's generation.
inline call vfolder_call(const char* method, const std::string& name, const char* suffix = "",
                         std::function<void(call&, const dialect&)> more = {}) {
    check_vfolder_name(name);
    call what;
    what.method = method;
    what.path = "/folders/" + codec::escape_segment(name) + suffix;
    what.complete = [name, more = std::move(more)](call& request, const dialect& language) {
        check_vfolder_name(name, language);
        if (more) more(request, language);
    };
    return what;
}

/// A path inside a folder in its normal form. @throws client_error{argument} when it is none.
inline std::vector<std::string> folder_path(const std::string& path, codec::root_name root = codec::root_name::refuse) {
    try {
        // The caller's own names are not held to the rules of other systems.
        return codec::safe_relative_path(path, root, codec::path_policy::posix);
    } catch (const codec::decode_error& e) {
        throw client_error(error_kind::argument, e.what());
    }
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/api/vfolder_storage.hpp
/// @file
/// Files of virtual folders behind a storage proxy: what upload() and download() do on servers from 20.09 on.
///
/// A directory is fetched by its listings and file by file, not as the ZIP archive that storage proxies make of one:
/// the archive has neither length nor ranges, so that nothing of it can be gone on with, and sizes and modes stand at
/// its end; here each file is checked against its announced length, and hostile archives cannot come.
#ifndef BACKENDAI_API_VFOLDER_STORAGE_HPP
#define BACKENDAI_API_VFOLDER_STORAGE_HPP

// ---- backendai/api/vfolder_manage.hpp
/// @file
/// Virtual folders and the files in them: the bodies of what makes, lists, renames, moves and deletes.
#ifndef BACKENDAI_API_VFOLDER_MANAGE_HPP
#define BACKENDAI_API_VFOLDER_MANAGE_HPP


#include <optional>
#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

inline vfolder_creation vfolder_create(const call_scope& scope, const std::string& name,
                                       const vfolder_create_options& options) {
    check_vfolder_name(name);
    call what;
    what.method = "POST";
    what.path = "/folders";
    what.retry = retry_class::unsafe; // a second one would find the first one's folder and fail
    what.complete = [&](call& request, const dialect& language) {
        json body = {{"name", name}, {"host", options.host.empty() ? json() : json(options.host)}};
        const auto maybe = [&](const char* key, feature needed, const auto& value) {
            if (!value) return;
            language.require(needed);
            body[key] = *value;
        };
        check_vfolder_name(name, language);
        maybe("group", feature::folder_group, options.group);
        maybe("usage_mode", feature::usage_mode, options.usage_mode);
        maybe("permission", feature::folder_permission, options.permission);
        maybe("unmanaged_path", feature::unmanaged_path, options.unmanaged_path);
        maybe("cloneable", feature::cloneable, options.cloneable);
        maybe("quota", feature::quota, options.quota);
        request.set_json(body);
    };
    return read_vfolder_creation(scope.perform(std::move(what)).json());
}

inline std::vector<vfolder_summary> vfolder_list(const call_scope& scope) {
    call what;
    what.path = "/folders";
    return read_vfolder_list(scope.perform(std::move(what)).json());
}

inline vfolder_hosts vfolder_list_hosts(const call_scope& scope) {
    call what;
    what.path = "/folders/_/hosts";
    return read_vfolder_hosts(scope.perform(std::move(what)).json());
}

inline vfolder_info vfolder_get_info(const call_scope& scope, const std::string& name) {
    return read_vfolder_info(scope.perform(vfolder_call("GET", name)).json());
}

inline void vfolder_remove(const call_scope& scope, const std::string& name) {
    call what = vfolder_call("DELETE", name);
    what.retry = retry_class::unsafe; // a second one could hit a new folder of that name
    scope.perform(std::move(what));
}

inline void vfolder_rename(const call_scope& scope, const std::string& name, const std::string& new_name) {
    check_vfolder_name(new_name);
    call what = vfolder_call("POST", name, "/rename");
    what.retry = retry_class::unsafe; // the second one would not find the old name
    what.set_json({{"new_name", new_name}});
    scope.perform(std::move(what));
}

/// Servers from 24.03 on answer 2xx with what they did and what they could not do.
inline void check_results(const response& answer) {
    if (answer.text().empty() || answer.content_type() != "application/json") return;
    const json body = answer.json();
    const auto results = body.is_object() ? body.find("results") : body.end();
    if (results == body.end() || !results->is_object()) return;
    const auto failed = results->find("failed");
    if (failed == results->end() || failed->empty()) return;
    api_error::details details;
    details.status = answer.status();
    details.reason = answer.reason();
    details.title = "The server could not do all of it";
    details.data = *failed;
    details.body = answer.text().substr(0, max_error_body);
    throw api_error(std::move(details));
}

inline void vfolder_mkdir(const call_scope& scope, const std::string& name, const std::string& path,
                          const mkdir_options& options) {
    const bool is_usual = options.parents && !options.exist_ok;
    json body = {{"path", codec::join_path(folder_path(path))}};
    if (!is_usual) body.update({{"parents", options.parents}, {"exist_ok", options.exist_ok}});
    call what = vfolder_call("POST", name, "/mkdir", [is_usual](call& /*request*/, const dialect& language) {
        if (!is_usual) language.require(feature::mkdir_parents);
    });
    what.retry = retry_class::unsafe; // servers differ on whether one that exists is an error
    what.set_json(body);
    check_results(scope.perform(std::move(what)));
}

inline void vfolder_rename_file(const call_scope& scope, const std::string& name, const std::string& path,
                                const std::string& new_name) {
    if (new_name.empty() || new_name == "." || new_name == ".." || new_name.find('/') != std::string::npos ||
        has_control_character(new_name)) {
        throw client_error(error_kind::argument, codec::printable(new_name) + " is no name for a file");
    }
    call what = vfolder_call("POST", name, "", [](call& request, const dialect& language) {
        language.require(feature::rename_file);
        request.path += language.rename_file_path;
    });
    what.retry = retry_class::unsafe; // the second one would not find the old name
    what.set_json({{"target_path", codec::join_path(folder_path(path))}, {"new_name", new_name}});
    scope.perform(std::move(what));
}

inline void vfolder_move_file(const call_scope& scope, const std::string& name, const std::string& from,
                              const std::string& to) {
    call what = vfolder_call("POST", name, "/move-file",
                             [](call& /*request*/, const dialect& language) { language.require(feature::move_file); });
    what.retry = retry_class::unsafe;
    what.set_json({{"src", codec::join_path(folder_path(from))}, {"dst", codec::join_path(folder_path(to))}});
    scope.perform(std::move(what));
}

inline void vfolder_delete_files(const call_scope& scope, const std::string& name,
                                 const std::vector<std::string>& files, bool recursive) {
    std::vector<std::string> paths;
    for (const std::string& file : files) paths.push_back(codec::join_path(folder_path(file)));
    call what = vfolder_call("DELETE", name, "", [](call& request, const dialect& language) {
        request.path += language.delete_files_path;
        request.method = std::string(language.delete_files_method);
    });
    what.retry = retry_class::unsafe; // what is gone is an error the second time
    what.set_json({{"files", paths}, {"recursive", recursive}});
    scope.perform(std::move(what));
}

inline file_listing vfolder_list_files(const call_scope& scope, const std::string& name, const std::string& path) {
    const std::string joined = codec::join_path(folder_path(path, codec::root_name::allow));
    const std::string place = joined.empty() ? "." : joined;
    call what = vfolder_call("GET", name, "/files", [place](call& request, const dialect& language) {
        if (language.folder_listing_in_query) {
            request.query.emplace_back("path", place);
        } else {
            request.set_json({{"path", place}});
        }
    });
    return read_file_listing(scope.perform(std::move(what)).json());
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/files/ranged_download.hpp
/// @file
/// One file from a storage proxy: what is interrupted goes on where it stopped, if the file is still the same.
#ifndef BACKENDAI_FILES_RANGED_DOWNLOAD_HPP
#define BACKENDAI_FILES_RANGED_DOWNLOAD_HPP

// ---- backendai/files/storage_ticket.hpp
/// @file
/// What the manager gives out for one file's way to or from a storage proxy: a URL and a token for it.
#ifndef BACKENDAI_FILES_STORAGE_TICKET_HPP
#define BACKENDAI_FILES_STORAGE_TICKET_HPP

// ---- backendai/files/transfer_scope.hpp
/// @file
/// The limits of a transfer that takes many requests, and what they have in common.
#ifndef BACKENDAI_FILES_TRANSFER_SCOPE_HPP
#define BACKENDAI_FILES_TRANSFER_SCOPE_HPP


#include <chrono>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// A call's scope, whose time limit holds for all of its requests together. Not thread-safe.
class transfer_scope {
public:
    using clock = exchange_context::clock;

    explicit transfer_scope(const call_scope& scope) : scope_(scope) {
        const auto limit = scope.options.timeout.value_or(scope.state->config().timeout);
        const bool first = scope.task && !scope.task->counted.exchange(true);
        deadline_ = deadline_of(limit, first ? scope.task->called : clock::now());
    }

    session_state& state() const { return *scope_.state; }
    int max_attempts() const {
        return scope_.options.retry ? scope_.options.retry->max_attempts : state().config().retry.max_attempts;
    }

    /// The scope of one request of it, with what is left of the time. @throws client_error{timeout} when nothing is
    call_scope step() const { return now(); }
    response perform(call what) const { return now().perform(std::move(what)); }
    /// One attempt: for what has to be looked after before there is another.
    response perform_once(call what) const {
        call_scope step = now();
        if (!step.options.retry) step.options.retry = state().config().retry;
        step.options.retry->max_attempts = 1;
        return step.perform(std::move(what));
    }
    /// Waits before attempt number @p attempt + 1 of something that can go on where it was interrupted; false when
    /// there must be none. A connection that was lost, or was silent for too long, is reason enough for one.
    bool wait_for_retry(const error& failure, int attempt) const {
        const call_scope step = now();
        const auto* local = failure.as_client_error();
        if (local == nullptr) return state().wait_for_retry(failure, attempt, step.options, step.task.get());
        const bool lost = local->kind() == error_kind::connect || local->kind() == error_kind::timeout ||
                          local->kind() == error_kind::protocol; // an answer that is cut short
        return lost &&
               state().wait_for_retry(client_error(error_kind::connect, ""), attempt, step.options, step.task.get());
    }
    void wait(std::chrono::milliseconds time) const {
        const call_scope step = now();
        state().wait(time, step.options, step.task.get());
    }

private:
    // With what is left of the time.
    call_scope now() const {
        call_scope step = scope_;
        if (deadline_ == (clock::time_point::max)()) {
            step.options.timeout = std::chrono::milliseconds(0);
            return step;
        }
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline_ - clock::now());
        if (left.count() <= 0) {
            throw client_error(error_kind::timeout, "the call's time limit was reached",
                               client_error::progress::maybe_sent);
        }
        step.options.timeout = left;
        return step;
    }

    call_scope scope_;
    clock::time_point deadline_;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// The token opens one file, for a day or so: it is a secret.
struct storage_ticket {
    std::string url, token;
    std::string issued; ///< the server's Date header, as it came
};

/// Asks for one. @param what the request, to be answered by {token, url}
inline storage_ticket request_ticket(const transfer_scope& scope, call what) {
    const response answer = scope.perform(std::move(what));
    const json body = answer.json();
    const wire_object fields(body, "the answer");
    storage_ticket ticket{fields.string("url"), fields.string("token"), answer.headers().get("Date")};
    if (ticket.token.empty()) bad_answer("its token is empty");
    return ticket;
}

/// Where the storage proxy is reached from here, by api_config::storage_proxy_urls. What is replaced ends where a part
/// of the URL does: a host is not taken for another that begins like it.
inline std::string reachable_url(const api_config& config, const std::string& told) {
    const std::pair<const std::string, std::string>* best = nullptr;
    for (const auto& item : config.storage_proxy_urls) {
        const std::size_t end = item.first.size();
        const bool fits = told.compare(0, end, item.first) == 0 &&
                          (told.size() == end || item.first.back() == '/' || told[end] == '/' || told[end] == '?');
        if (fits && (best == nullptr || end > best->first.size())) best = &item;
    }
    return best == nullptr ? told : best->second + told.substr(best->first.size());
}

/// A request to the storage proxy. It carries nothing but the token.
inline call storage_call(const transfer_scope& scope, const storage_ticket& ticket, const char* method) {
    call what;
    what.method = method;
    try {
        what.elsewhere = codec::parse_url(reachable_url(scope.state().config(), ticket.url));
    } catch (const codec::decode_error& e) {
        bad_answer(std::string("where the storage proxy is, ") + e.what());
    }
    std::string& query = what.elsewhere->query;
    query += (query.empty() ? "token=" : "&token=") + codec::escape_query(ticket.token);
    what.secret = ticket.token;
    what.content_type.clear();
    what.waits_for_compute = false;
    return what;
}

/// A header that is a number of bytes; nothing when it is absent. @throws client_error{protocol} when it is no number
inline std::optional<std::uint64_t> size_header(const header_list& headers, const char* name) {
    const std::string* text = headers.find(name);
    if (text == nullptr) return {};
    if (text->empty() || text->size() > 18 || text->find_first_not_of("0123456789") != std::string::npos)
        bad_answer(std::string("its ") + name + " is no number");
    std::uint64_t value = 0;
    for (const char c : *text) value = value * 10 + static_cast<std::uint64_t>(c - '0');
    return value;
}

/// "bytes 4-9/10"
struct content_range {
    std::uint64_t first = 0, last = 0, size = 0;
};
/// Reads a Content-Range header; nothing when it is absent or not of that form.
inline std::optional<content_range> parse_content_range(std::string_view text) {
    if (text.substr(0, 6) != "bytes ") return {};
    text.remove_prefix(6);
    const auto number = [&text](char end) -> std::optional<std::uint64_t> {
        const std::size_t stop = end == '\0' ? text.size() : text.find(end);
        if (stop == std::string_view::npos || stop == 0 || stop > 18) return {};
        std::uint64_t value = 0;
        for (const char c : text.substr(0, stop)) {
            if (c < '0' || c > '9') return {};
            value = value * 10 + static_cast<std::uint64_t>(c - '0');
        }
        text.remove_prefix(end == '\0' ? stop : stop + 1);
        return value;
    };
    const auto first = number('-');
    const auto last = first ? number('/') : std::nullopt;
    const auto size = last ? number('\0') : std::nullopt;
    if (!size || *first > *last || *last >= *size) return {};
    return content_range{*first, *last, *size};
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// What a server says of the state that a file is in.
struct file_validators {
    std::string etag, last_modified;
    std::uint64_t size = 0;

    /// Whether a part of this state can be told from a part of another.
    bool are_usable() const { return !last_modified.empty() && (etag.empty() || etag.compare(0, 2, "W/") != 0); }
    friend bool operator==(const file_validators& a, const file_validators& b) {
        return a.etag == b.etag && a.last_modified == b.last_modified && a.size == b.size;
    }
    friend bool operator!=(const file_validators& a, const file_validators& b) { return !(a == b); }
};

/// Fetches one file into a destination that is ready to stage it.
class ranged_download {
public:
    /// The first answer says that this is no file: a directory, perhaps.
    struct not_a_file {
        api_error refusal;
    };

    /// @param ticket asks for a ticket; asked anew for each request, as tokens grow old
    ranged_download(const transfer_scope& scope, std::function<storage_ticket()> ticket, destination& target,
                    destination::components name, std::optional<file_metadata> metadata, transfer_meter& meter)
        : scope_(scope),
          ticket_(std::move(ticket)),
          target_(target),
          name_(std::move(name)),
          shown_(codec::join_path(name_)),
          metadata_(metadata),
          meter_(meter) {}

    /// More bytes than this are an error.
    void set_limit(std::uint64_t bytes) { limit_ = bytes; }
    /// The whole size is told to the meter as its total when it is known.
    void tells_total() { tells_total_ = true; }
    /// Keeps what has come when the download fails, for a later one with the same key.
    /// @param key names what is downloaded, wherever it goes: endpoint, folder and path
    void keep_parts(const std::string& key) {
        const std::string digest = codec::to_hex(codec::digest("sha256", key)).substr(0, 24);
        part_ = ".backendai-" + digest + ".part";
        note_ = ".backendai-" + digest + ".json";
    }

    /// Returns when the file is whole and has its name.
    /// @throws not_a_file when nothing was staged and the server does not give it out as a file; api_error;
    /// client_error
    void run() {
        go_on_with_part();
        int failures = 0; // in a row, without a byte
        int changes = 0;  // of the file on the server
        for (bool whole = false; !whole;) {
            try {
                whole = fetch();
            } catch (const other_state&) {
                if (++changes > most_changes) broken("the file changes while it is downloaded");
                begin_anew();
            } catch (const api_error& e) {
                if (e.status() == 416 && offset_ != 0) {
                    if (++changes > most_changes) broken("the file changes while it is downloaded");
                    begin_anew();
                    continue;
                }
                if (e.status() == 400 && offset_ == 0 && !is_staged_) throw not_a_file{e};
                if (!scope_.wait_for_retry(e, ++failures)) throw;
            } catch (const client_error& e) {
                if (offset_ > furthest_) failures = 0;
                furthest_ = (std::max)(furthest_, offset_);
                if (is_broken_ || !scope_.wait_for_retry(e, ++failures)) throw;
            }
        }
        target_.end_file();
        target_.commit_files();
        if (!note_.empty()) target_.remove_note(name_, note_);
    }

private:
    static constexpr int most_changes = 3;
    struct other_state {};

    void go_on_with_part() {
        if (!part_.empty()) known_ = read_note();
        if (!known_) return;
        offset_ = target_.begin_kept_file(name_, part_, metadata_);
        is_staged_ = true;
        known_ = read_note(); // again: until now another download may have been at it
        const std::uint64_t size = known_ ? known_->size : 0;
        // The server has nothing to say of a range that begins at the end; so the last byte comes again.
        if (offset_ != 0 && offset_ == size) --offset_;
        if (offset_ > size) offset_ = 0;
        target_.cut_file(offset_);
        if (offset_ != 0) meter_.add(shown_, offset_);
    }
    void begin_anew() {
        meter_.take_back(offset_);
        offset_ = 0;
        known_.reset();
        if (part_.empty()) {
            target_.begin_file(name_, metadata_);
        } else {
            if (!is_staged_) target_.begin_kept_file(name_, part_, metadata_);
            target_.remove_note(name_, note_); // it is of what was there, not of what comes
            target_.cut_file(0);
        }
        is_staged_ = true;
    }

    // One request. Whether the file is whole after it.
    bool fetch() {
        if (offset_ != 0 && !(known_ && known_->are_usable())) begin_anew();
        call what = storage_call(scope_, ticket_(), "GET");
        asked_from_ = offset_;
        if (offset_ != 0) {
            what.headers.add("Range", "bytes=" + std::to_string(offset_) + '-');
            // A date: some servers take an entity tag here for no condition at all.
            what.headers.add("If-Range", known_->last_modified);
        }
        what.on_head = [this](const response_head& head) { judge(head); };
        what.receiver = [this](std::string_view data) { take(data); };
        scope_.perform_once(std::move(what));
        if (length_ && offset_ != *length_) broken("it is not as long as announced");
        return true;
    }

    void judge(const response_head& head) {
        const std::string* coding = head.headers.find("Content-Encoding");
        if (coding != nullptr && *coding != "identity") broken("the content is encoded, which nobody asked for");
        if (head.status == 206) {
            judge_part(head);
        } else if (head.status == 200) {
            // Nothing was asked for but the whole, or the file is another one now.
            checked([&] { begin_anew(); });
            length_ = checked([&] { return size_header(head.headers, "Content-Length"); });
            if (length_) known_ = validators_of(head, *length_);
            if (!note_.empty() && known_ && known_->are_usable()) write_note();
        } else {
            broken("status " + std::to_string(head.status) + " is no answer to a download");
        }
        if (length_ && *length_ > limit_) broken("it has " + std::to_string(*length_) + " bytes, max_bytes is less");
        if (length_ && tells_total_) meter_.set_total(*length_);
        meter_.add(shown_, 0); // an empty file is to be seen once, too
    }

    void judge_part(const response_head& head) {
        const auto range = parse_content_range(head.headers.get("Content-Range"));
        if (asked_from_ == 0 || !range || range->first != offset_ || range->last + 1 != range->size)
            broken("the part that comes is not the one that was asked for");
        if (validators_of(head, range->size) != *known_) throw other_state();
        length_ = range->size;
    }

    static file_validators validators_of(const response_head& head, std::uint64_t size) {
        return {head.headers.get("ETag"), head.headers.get("Last-Modified"), size};
    }

    void take(std::string_view data) {
        if (data.size() > limit_ - (std::min)(limit_, offset_)) broken("it has more bytes than max_bytes");
        if (length_ && data.size() > *length_ - offset_) broken("it has more bytes than announced");
        checked([&] { target_.write(data); });
        offset_ += data.size();
        meter_.add(shown_, data.size());
    }

    // The local disk's failures, of a call that has its answer; and what is not to be tried again.
    template <class Work>
    auto checked(Work&& work) -> decltype(work()) {
        try {
            return work();
        } catch (const client_error& e) {
            is_broken_ = true;
            throw e.after_sending();
        }
    }
    [[noreturn]] void broken(const std::string& why) {
        is_broken_ = true;
        throw client_error(error_kind::protocol, "the download is not usable: " + codec::printable(shown_) + ": " + why,
                           client_error::progress::maybe_sent);
    }

    std::optional<file_validators> read_note() {
        const auto text = target_.read_note(name_, note_);
        if (!text) return {};
        try {
            const json note = codec::parse_json(*text);
            return file_validators{note.at("etag").get<std::string>(), note.at("last_modified").get<std::string>(),
                                   note.at("size").get<std::uint64_t>()};
        } catch (const codec::decode_error&) {
            return {}; // half written by a program that was killed
        } catch (const json::exception&) {
            return {};
        }
    }
    void write_note() {
        const json note = {{"etag", known_->etag}, {"last_modified", known_->last_modified}, {"size", known_->size}};
        checked([&] { target_.write_note(name_, note_, note.dump(-1, ' ', false, json::error_handler_t::replace)); });
    }

    const transfer_scope& scope_;
    std::function<storage_ticket()> ticket_;
    destination& target_;
    destination::components name_;
    std::string shown_, part_, note_;
    std::optional<file_metadata> metadata_;
    transfer_meter& meter_;
    std::uint64_t limit_ = (std::numeric_limits<std::uint64_t>::max)();
    std::optional<file_validators> known_; // of the state that the staged bytes are from
    std::optional<std::uint64_t> length_;  // of the whole file
    std::uint64_t offset_ = 0, asked_from_ = 0;
    std::uint64_t furthest_ = 0; // that an attempt has come: only what goes beyond is progress
    bool is_staged_ = false, is_broken_ = false, tells_total_ = false;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/files/tus_upload.hpp
/// @file
/// One file to a storage proxy, by the TUS protocol (1.0.0, without creation): pieces appended at an offset that the
/// server knows, so that what was interrupted goes on there.
#ifndef BACKENDAI_FILES_TUS_UPLOAD_HPP
#define BACKENDAI_FILES_TUS_UPLOAD_HPP

// ---- backendai/files/upload_journal.hpp
/// @file
/// The file in which an upload notes what a later program needs to go on with it.
#ifndef BACKENDAI_FILES_UPLOAD_JOURNAL_HPP
#define BACKENDAI_FILES_UPLOAD_JOURNAL_HPP


#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// By what a local file is taken for the same that it was.
struct file_identity {
    std::uint64_t size = 0;
    os::file_time modified;

    friend bool operator==(const file_identity& a, const file_identity& b) {
        return a.size == b.size && a.modified.seconds == b.modified.seconds &&
               a.modified.nanoseconds == b.modified.nanoseconds;
    }
    friend bool operator!=(const file_identity& a, const file_identity& b) { return !(a == b); }
};

/// @throws std::system_error
inline file_identity identity_of(const os::open_file& file) {
    return {file.size(), file.modified()};
}

/// The digest of a file's beginning and end, for those that were changed without a trace in size and time.
/// @throws std::system_error
inline std::string sample_digest(os::open_file& file) {
    constexpr std::uint64_t most = 64 * 1024;
    const std::uint64_t size = file.size();
    std::string sample;
    const auto take = [&](std::uint64_t begin, std::uint64_t end) {
        file.seek(begin);
        std::string piece(static_cast<std::size_t>(end - begin), '\0');
        std::size_t filled = 0;
        while (filled < piece.size()) {
            const std::size_t count = file.read(&piece[filled], piece.size() - filled);
            if (count == 0) break; // it is being cut off: its size will tell
            filled += count;
        }
        sample.append(piece, 0, filled);
    };
    take(0, (std::min)(size, most));
    if (size > most) take((std::max)(most, size - (std::min)(size, most)), size);
    return codec::to_hex(codec::digest("sha256", sample));
}

/// One JSON object a line: the first says whose it is, the others what became of a file; the last one about a file
/// counts. Lines are appended, so that a program which is killed leaves at worst half a line at the end, which is cut
/// off. Not thread-safe; failures are client_error{io}, a file of something else is client_error{argument}.
class upload_journal {
public:
    upload_journal(std::filesystem::path path, const std::string& endpoint, const std::string& folder)
        : path_(std::move(path)), head_({{"backendai", "upload"}, {"endpoint", endpoint}, {"folder", folder}}) {
        with_io_errors(path_, [this] { open(); });
    }

    /// Whether the file was uploaded already, as it is now.
    bool is_done(const std::string& name, const std::filesystem::path& local, const file_identity& now) const {
        const auto found = entries_.find(name);
        return found != entries_.end() && found->second.contains("done") && is_same(found->second, local, now);
    }
    /// How to go on with an upload that was begun, if the file is as it was.
    std::optional<storage_ticket> find(const std::string& name, const std::filesystem::path& local,
                                       const file_identity& now) const {
        const auto found = entries_.find(name);
        if (found == entries_.end() || !found->second.contains("token") || !is_same(found->second, local, now))
            return {};
        const auto text = [&](const char* key) { return found->second.value(key, std::string()); };
        return storage_ticket{text("url"), text("token"), text("issued")};
    }
    void note_begin(const std::string& name, const std::filesystem::path& local, const file_identity& now,
                    const storage_ticket& ticket) {
        json entry = describe(name, local, now);
        entry["url"] = ticket.url;
        entry["token"] = ticket.token;
        entry["issued"] = ticket.issued;
        append(std::move(entry));
    }
    void note_done(const std::string& name, const std::filesystem::path& local, const file_identity& now) {
        json entry = describe(name, local, now);
        entry["done"] = true;
        append(std::move(entry));
    }
    /// The whole upload is complete.
    void remove() {
        file_ = os::open_file();
        std::error_code error;
        std::filesystem::remove(path_, error);
        if (error) io_failure(path_, error.message());
    }

private:
    static constexpr std::size_t largest = std::size_t{256} << 20;

    void open() {
        const auto text = os::read_private_file(path_, largest);
        const os::directory folder(path_.has_parent_path() ? path_.parent_path() : std::filesystem::path("."));
        const std::string name = os::path_text(path_.filename());
        if (!text) {
            file_ = folder.create(name, 0600);
            write(head_);
            return;
        }
        const std::size_t good = read(*text);
        file_ = folder.open_file_for_writing(name);
        file_.resize(good);
        file_.seek(good);
        if (good == 0) write(head_);
    }

    // Returns where the last whole line ends.
    std::size_t read(std::string_view text) {
        std::size_t begin = 0;
        bool is_first = true;
        for (std::size_t end = 0; (end = text.find('\n', begin)) != std::string_view::npos; begin = end + 1) {
            json line;
            try {
                line = codec::parse_json(text.substr(begin, end - begin));
            } catch (const codec::decode_error&) {
                foreign("holds a line that no upload has written");
            }
            if (std::exchange(is_first, false)) {
                if (!line.is_object() || line.value("backendai", json()) != "upload") foreign("is no resume file");
                if (line != head_) foreign("belongs to an upload to another server or folder");
            } else if (line.is_object() && line.contains("file") && line["file"].is_string()) {
                const std::string name = line["file"].get<std::string>();
                entries_[name] = std::move(line);
            }
        }
        // Of a first line that was being written nothing is known but how it began.
        if (is_first && !text.empty() && (head_.dump() + '\n').compare(0, text.size(), text) != 0)
            foreign("is no resume file");
        return begin;
    }
    [[noreturn]] void foreign(const char* why) const {
        throw client_error(error_kind::argument, "resume_file " + shown(path_) + ' ' + why);
    }

    static json describe(const std::string& name, const std::filesystem::path& local, const file_identity& now) {
        return {{"file", name},
                {"size", now.size},
                {"modified", {now.modified.seconds, now.modified.nanoseconds}},
                {"sample", sample_of(local)}};
    }
    static std::string sample_of(const std::filesystem::path& local) {
        return with_io_errors(local, [&] {
            os::open_file file = os::open_for_reading(local);
            return sample_digest(file);
        });
    }
    static bool is_same(const json& entry, const std::filesystem::path& local, const file_identity& now) {
        const json as_noted = {{"size", now.size}, {"modified", {now.modified.seconds, now.modified.nanoseconds}}};
        return entry.value("size", json()) == as_noted["size"] &&
               entry.value("modified", json()) == as_noted["modified"] && entry.value("sample", "") == sample_of(local);
    }

    void append(json entry) {
        with_io_errors(path_, [&] { write(entry); });
        const std::string name = entry["file"].get<std::string>();
        entries_[name] = std::move(entry);
    }
    void write(const json& line) { file_.write(line.dump() + '\n'); }

    std::filesystem::path path_;
    json head_;
    os::open_file file_;
    std::map<std::string, json> entries_; // by the name on the server
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// A part of a local file as the body of a request. Tells how far it was read.
class file_slice final : public codec::byte_source {
public:
    /// @param on_read gets how many bytes more, or fewer after a rewind, were read
    file_slice(const std::filesystem::path& path, const file_identity& identity, std::uint64_t begin,
               std::uint64_t size, std::function<void(std::int64_t)> on_read)
        : path_(path), identity_(identity), begin_(begin), size_(size), on_read_(std::move(on_read)) {}

    std::uint64_t size() const override { return size_; }
    std::size_t read(char* buffer, std::size_t capacity) override {
        const auto most = static_cast<std::size_t>((std::min)(std::uint64_t{capacity}, size_ - position_));
        if (most == 0) return 0;
        const std::size_t count = with_io_errors(path_, [&] {
            if (!file_.is_open()) {
                file_ = os::open_for_reading(path_);
                file_.seek(begin_);
            }
            // Each time: what was sent cannot be taken back, and a file of two halves is worse than none.
            if (identity_of(file_) != identity_) io_failure(path_, "it changed while it was sent");
            return file_.read(buffer, most);
        });
        if (count == 0) io_failure(path_, "it changed while it was sent");
        position_ += count;
        on_read_(static_cast<std::int64_t>(count));
        return count;
    }
    void rewind() override {
        file_ = os::open_file();
        if (position_ != 0) on_read_(-static_cast<std::int64_t>(position_));
        position_ = 0;
    }

private:
    const std::filesystem::path& path_;
    const file_identity& identity_;
    std::uint64_t begin_, size_, position_ = 0;
    std::function<void(std::int64_t)> on_read_;
    os::open_file file_;
};

/// How an upload gets its tickets, and one to look at the result.
struct storage_tickets {
    std::function<storage_ticket(const std::string& name, std::uint64_t size)> for_upload;
    std::function<storage_ticket(const std::string& name)> for_download;
};

/// Sends one file. The server's word on the offset is checked against what was sent: never is more than the file sent,
/// and nothing again that the server has acknowledged.
class tus_upload {
public:
    tus_upload(const transfer_scope& scope, const storage_tickets& tickets, const upload_entry& entry,
               std::uint64_t chunk_size, upload_journal* journal, transfer_meter& meter)
        : scope_(scope), tickets_(tickets), entry_(entry), chunk_size_(chunk_size), journal_(journal), meter_(meter) {}

    void run() {
        identity_ = with_io_errors(entry_.path, [this] { return identity_of(os::open_for_reading(entry_.path)); });
        if (identity_.size != entry_.size) io_failure(entry_.path, "it changed while it was sent");
        std::optional<storage_ticket> begun;
        if (journal_ != nullptr) {
            if (journal_->is_done(entry_.name, entry_.path, identity_)) return meter_.add(entry_.name, size());
            begun = journal_->find(entry_.name, entry_.path, identity_);
        }
        is_resumed_ = begun.has_value();
        ticket_ = begun ? std::move(*begun) : new_ticket();
        for (int beginnings = 1; !send(); ++beginnings) {
            if (beginnings == 3) std::rethrow_exception(lost_);
            is_resumed_ = false;
            ticket_ = new_ticket();
        }
        if (journal_ != nullptr) journal_->note_done(entry_.name, entry_.path, identity_);
    }

private:
    std::uint64_t size() const { return identity_.size; }

    storage_ticket new_ticket() {
        storage_ticket ticket = tickets_.for_upload(entry_.name, size());
        // A file of one piece is sent again as a whole in any case.
        if (journal_ != nullptr && size() > chunk_size_)
            journal_->note_begin(entry_.name, entry_.path, identity_, ticket);
        return ticket;
    }

    // Whether the file arrived; false when the server does not know the upload any more (see lost_).
    bool send() {
        std::uint64_t offset = 0;                          // what the server has acknowledged
        std::uint64_t in_doubt = is_resumed_ ? size() : 0; // how much may have arrived behind that
        bool must_ask = is_resumed_;
        int failures = 0;                      // in a row, without a byte of progress
        storage_call(scope_, ticket_, "HEAD"); // fails for a URL that is none
        set_position(0);
        for (;;) {
            std::uint64_t piece = 0;
            try {
                if (must_ask) {
                    const std::uint64_t told = ask();
                    check_offset(told, offset, offset + in_doubt);
                    if (told > offset) failures = 0;
                    offset = told;
                    set_position(offset);
                    must_ask = false;
                    was_asked_ = true;
                }
                in_doubt = 0;
                piece = (std::min)(chunk_size_, size() - offset);
                const std::uint64_t told = append(offset, piece);
                if (told > offset + piece && was_asked_) {
                    // Bytes of the connection before came late, between the question and this piece.
                    return lost("the storage proxy has put two pieces over each other");
                }
                check_offset(told, offset, offset + piece);
                if (told == size()) {
                    set_position(told);
                    if (size() == 0) meter_.add(entry_.name, 0);
                    return true;
                }
                failures = told > offset ? 0 : failures + 1;
                if (failures >= scope_.max_attempts())
                    broken("the storage proxy does not take anything of " + codec::printable(entry_.name));
                offset = told;
                set_position(offset);
            } catch (const api_error& e) {
                if (e.status() == 404) {
                    // Unknown, or complete: which of the two is to be seen at the file.
                    const bool may_be_whole = offset + (std::max)(piece, in_doubt) == size();
                    if (may_be_whole && is_there()) {
                        set_position(size());
                        return true;
                    }
                    return lost(std::current_exception());
                }
                // The answer to a question has no body that would say so.
                const bool is_of_token = must_ask || tells_of_token(e);
                if (e.status() == 400 && is_of_token && (offset != 0 || is_resumed_)) {
                    return lost(std::current_exception()); // its time is over
                }
                const bool is_conflict = e.status() == 409;
                if (is_conflict ? ++failures >= scope_.max_attempts() : !scope_.wait_for_retry(e, ++failures)) throw;
                in_doubt = (std::max)(in_doubt, piece);
                must_ask = true;
            } catch (const client_error& e) {
                if (is_broken_ || !scope_.wait_for_retry(e, ++failures)) throw;
                in_doubt = (std::max)(in_doubt, piece);
                must_ask = true;
            }
        }
    }

    // The offset of the next byte. Asked until two answers agree: the server may still work on what came before the
    // connection was lost.
    std::uint64_t ask() {
        std::optional<std::uint64_t> before;
        for (int tries = 0; tries < 100; ++tries) {
            call what = storage_call(scope_, ticket_, "HEAD");
            what.headers = {{"Tus-Resumable", "1.0.0"}};
            const std::uint64_t told = read_offset(scope_.perform(std::move(what)));
            if (told == before) return told;
            before = told;
            scope_.wait(std::chrono::milliseconds(50));
        }
        return broken("the storage proxy's offset does not come to rest");
    }

    std::uint64_t append(std::uint64_t offset, std::uint64_t piece) {
        call what = storage_call(scope_, ticket_, "PATCH");
        what.headers = {{"Tus-Resumable", "1.0.0"},
                        {"Upload-Offset", std::to_string(offset)},
                        {"Content-Type", "application/offset+octet-stream"}};
        if (piece != 0) {
            what.source = std::make_shared<file_slice>(entry_.path, identity_, offset, piece,
                                                       [this](std::int64_t bytes) { count(bytes); });
        }
        return read_offset(scope_.perform_once(std::move(what)));
    }

    std::uint64_t read_offset(const response& answer) {
        std::optional<std::uint64_t> offset;
        std::optional<std::uint64_t> length;
        try {
            offset = size_header(answer.headers(), "Upload-Offset");
            length = size_header(answer.headers(), "Upload-Length");
        } catch (const client_error&) {
            is_broken_ = true;
            throw;
        }
        if (!offset) broken("the storage proxy does not tell the offset");
        if (length && *length != size()) broken("the storage proxy expects another size than was announced");
        return *offset;
    }

    void check_offset(std::uint64_t told, std::uint64_t least, std::uint64_t most) {
        if (told >= least && told <= most) return;
        broken("the storage proxy's offset is " + std::to_string(told) + ", which is not between " +
               std::to_string(least) + " and " + std::to_string(most));
    }

    // Not to be tried again.
    [[noreturn]] std::uint64_t broken(const std::string& why) {
        is_broken_ = true;
        bad_answer(why);
    }

    bool lost(const char* why) {
        return lost(
            std::make_exception_ptr(client_error(error_kind::protocol, why, client_error::progress::maybe_sent)));
    }
    bool lost(std::exception_ptr why) {
        lost_ = std::move(why);
        was_asked_ = false;
        return false;
    }

    static bool tells_of_token(const api_error& failure) {
        return failure.data().is_object() && failure.data().contains("token");
    }

    // Whether the file on the server is this one: by its size, by the end of its content, and by having been written
    // since the ticket was issued, all by the servers' clocks.
    bool is_there() {
        const auto issued = codec::parse_http_date(ticket_.issued);
        const std::uint64_t tail = (std::min)(size(), std::uint64_t{64} * 1024);
        if (!issued || tail == 0) return false;
        call what = storage_call(scope_, tickets_.for_download(entry_.name), "GET");
        what.headers = {{"Range", "bytes=" + std::to_string(size() - tail) + '-'}};
        std::string content;
        what.receiver = [&content, tail](std::string_view data) {
            if (content.size() <= tail) content += data;
        };
        try {
            const response answer = scope_.perform(std::move(what));
            const auto range = parse_content_range(answer.headers().get("Content-Range"));
            const auto modified = codec::parse_http_date(answer.headers().get("Last-Modified"));
            if (answer.status() != 206 || !range || range->size != size() || range->first != size() - tail || !modified)
                return false;
            // Headers tell whole seconds, and clocks of one cluster differ a little.
            return *modified + std::chrono::seconds(2) >= *issued && content == read_end(tail);
        } catch (const api_error&) {
            return false; // no such file, or shorter
        }
    }
    std::string read_end(std::uint64_t bytes) {
        file_slice slice(entry_.path, identity_, size() - bytes, bytes, [](std::int64_t) {});
        std::string content(static_cast<std::size_t>(bytes), '\0');
        for (std::size_t at = 0; at < content.size();) at += slice.read(&content[at], content.size() - at);
        return content;
    }

    // --- progress ----------------------------------------------------------------------------------------------------

    void count(std::int64_t bytes) {
        if (bytes < 0) {
            meter_.take_back(static_cast<std::uint64_t>(-bytes));
            position_ -= static_cast<std::uint64_t>(-bytes);
        } else {
            position_ += static_cast<std::uint64_t>(bytes);
            meter_.add(entry_.name, static_cast<std::uint64_t>(bytes));
        }
    }
    void set_position(std::uint64_t position) {
        if (position < position_) {
            meter_.take_back(position_ - position);
        } else if (position > position_) {
            meter_.add(entry_.name, position - position_);
        }
        position_ = position;
    }

    const transfer_scope& scope_;
    const storage_tickets& tickets_;
    const upload_entry& entry_;
    std::uint64_t chunk_size_;
    upload_journal* journal_;
    transfer_meter& meter_;
    file_identity identity_;
    storage_ticket ticket_;
    std::uint64_t position_ = 0; // as the meter has been told
    std::exception_ptr lost_;
    bool is_resumed_ = false, was_asked_ = false, is_broken_ = false;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

inline storage_ticket request_upload(const transfer_scope& scope, const std::string& folder, const std::string& file,
                                     std::uint64_t size) {
    call what = vfolder_call("POST", folder, "/request-upload");
    what.retry = retry_class::safe; // one more upload that nobody begins
    what.set_json({{"path", file}, {"size", size}});
    return request_ticket(scope, std::move(what));
}

inline storage_ticket request_download(const transfer_scope& scope, const std::string& folder,
                                       const std::string& file) {
    call what = vfolder_call("POST", folder, "/request-download");
    what.retry = retry_class::safe;
    what.set_json({{"path", file}, {"archive", false}});
    return request_ticket(scope, std::move(what));
}

/// What names a session's server where parts of transfers are kept.
inline std::string server_name(const session_state& state) {
    const codec::url endpoint = codec::parse_url(*state.config().endpoint);
    return endpoint.origin() + endpoint.path;
}

/// Makes the directories that the files lie in, for storage proxies that do not do it by themselves.
inline void make_parents(const transfer_scope& scope, const std::string& folder,
                         const std::vector<upload_entry>& entries) {
    std::set<std::string> parents;
    for (const upload_entry& entry : entries) {
        const std::size_t slash = entry.name.rfind('/');
        if (slash == std::string::npos || !parents.insert(entry.name.substr(0, slash)).second) continue;
        call what = vfolder_call("POST", folder, "/mkdir");
        what.retry = retry_class::safe; // one that exists is none to complain of
        what.set_json({{"path", entry.name.substr(0, slash)}, {"parents", true}, {"exist_ok", true}});
        scope.perform(std::move(what));
    }
}

inline void storage_upload(const call_scope& call_limits, const dialect& language, const std::string& folder,
                           const std::vector<upload_entry>& entries, const upload_options& options) {
    if (options.chunk_size == 0) throw client_error(error_kind::argument, "chunk_size is 0");
    std::uint64_t total = 0;
    for (const upload_entry& entry : entries) {
        folder_path(entry.name); // the server checks nothing
        total += entry.size;
    }
    const transfer_scope scope(call_limits);
    std::optional<upload_journal> journal;
    if (!options.resume_file.empty()) journal.emplace(options.resume_file, server_name(scope.state()), folder);
    storage_tickets tickets;
    tickets.for_upload = [&](const std::string& name, std::uint64_t size) {
        return request_upload(scope, folder, name, size);
    };
    tickets.for_download = [&](const std::string& name) { return request_download(scope, folder, name); };
    if (!language.uploads_make_parents) make_parents(scope, folder, entries);
    transfer_meter meter(options.progress, total);
    for (const upload_entry& entry : entries)
        tus_upload(scope, tickets, entry, options.chunk_size, journal ? &*journal : nullptr, meter).run();
    if (journal) journal->remove();
}

/// Downloads files and directories, one after the other.
class storage_download {
public:
    storage_download(const call_scope& scope, const std::string& folder, const std::filesystem::path& dest,
                     const download_options& options)
        : scope_(scope),
          folder_(folder),
          target_(dest, options.existing),
          options_(options),
          meter_(options.progress),
          left_(options.max_bytes != 0 ? options.max_bytes : (std::numeric_limits<std::uint64_t>::max)()) {}

    void run(const std::vector<std::string>& paths) {
        std::vector<components> names;
        std::set<std::string> known;
        for (const std::string& path : paths) {
            components name = folder_path(path, codec::root_name::allow);
            if (!name.empty()) checked_name(codec::join_path(name), error_kind::argument);
            if (!known.insert(codec::join_path(name)).second) continue;
            // A directory that is here is one that what comes may go into.
            if (name.empty() || target_.is_directory(name) || target_.wants(name)) names.push_back(std::move(name));
        }
        only_one_ = names.size() == 1;
        for (const components& name : names) {
            if (name.empty() || !fetch_file(name, std::nullopt)) fetch_directory(name);
        }
        target_.commit();
    }

private:
    using components = destination::components;
    // Of one directory, as far as memory is concerned: servers may lie, with a directory that has itself in it, say.
    static constexpr std::size_t most_entries = 1'000'000;
    static constexpr std::size_t most_name_bytes = std::size_t{64} << 20;

    struct listed {
        std::string name; // joined: of a million names the components would take much more
        file_metadata metadata;
    };

    // False when the server says that it is no file.
    bool fetch_file(const components& name, std::optional<file_metadata> metadata) {
        const std::string path = codec::join_path(name);
        ranged_download file(
            scope_, [&] { return request_download(scope_, folder_, path); }, target_, name, metadata, meter_);
        file.set_limit(left_ - meter_.done());
        if (only_one_ && !metadata) file.tells_total();
        if (options_.resume) file.keep_parts(server_name(scope_.state()) + '\n' + folder_ + '\n' + path);
        try {
            file.run();
            return true;
        } catch (const ranged_download::not_a_file& found) {
            refusal_.emplace(found.refusal);
            return false;
        }
    }

    // Looks at everything first: a name that cannot be used is told before anything is written.
    void fetch_directory(const components& top) {
        std::vector<listed> files, directories;
        const std::string asked_for = codec::join_path(top);
        std::vector<std::string> open = {asked_for};
        std::uint64_t total = 0;
        std::size_t entries = 0, name_bytes = 0;
        while (!open.empty()) {
            const std::string here = std::move(open.back());
            open.pop_back();
            for (const file_entry& entry : list(here, here == asked_for)) {
                if (++entries > most_entries) throw unusable("the directory has more than a million entries");
                const std::string& last = entry.filename;
                if (last.empty() || last.find('/') != std::string::npos || last == "." || last == "..")
                    throw unusable("unsafe file name " + codec::printable(entry.filename));
                listed item{here.empty() ? last : here + '/' + last,
                            {entry.permissions.value_or(entry.is_directory ? 0755U : 0644U) & 0777U, time_of(entry)}};
                if (is_link(entry)) {
                    if (options_.special == special_files::skip) continue;
                    throw unusable(codec::printable(item.name) + " is a symbolic link, which is not followed");
                }
                const components name = checked_name(item.name, error_kind::protocol);
                name_bytes += item.name.size();
                if (name_bytes > most_name_bytes) throw unusable("the names in the directory take more than 64 MiB");
                if (entry.is_directory) {
                    open.push_back(item.name);
                    directories.push_back(std::move(item));
                } else if (target_.wants(name)) {
                    total += entry.size;
                    files.push_back(std::move(item));
                }
            }
        }
        if (options_.max_bytes != 0 && total > left_ - meter_.done())
            throw unusable("the directory has " + std::to_string(total) + " bytes, max_bytes is less");
        if (only_one_) meter_.set_total(total);
        if (!top.empty()) target_.make_directory(top);
        for (const listed& item : directories) target_.make_directory(folder_path(item.name), item.metadata);
        for (const listed& item : files) {
            if (!fetch_file(folder_path(item.name), item.metadata)) throw *refusal_;
        }
    }

    std::vector<file_entry> list(const std::string& path, bool is_asked_for) {
        try {
            file_listing found = vfolder_list_files(scope_.step(), folder_, path.empty() ? "." : path);
            if (!found.errors.empty())
                throw unusable("the listing of " + codec::printable(path) + ": " +
                               codec::printable_text(found.errors, 512));
            return std::move(found.files);
        } catch (const api_error&) {
            // What is neither file nor directory: the first answer says more.
            if (is_asked_for && refusal_) throw *refusal_;
            throw;
        }
    }

    // The components of a name that may be used here.
    components checked_name(const std::string& name, error_kind blame) {
        try {
            components parts = codec::safe_relative_path(name, codec::root_name::refuse, options_.names);
            if (options_.names == codec::path_policy::portable) collisions_.add(parts);
            return parts;
        } catch (const codec::decode_error& e) {
            if (blame == error_kind::argument) throw client_error(error_kind::argument, e.what());
            throw unusable(e.what());
        }
    }
    static client_error unusable(const std::string& why) {
        return {error_kind::protocol, "the download is not usable: " + why, client_error::progress::maybe_sent};
    }
    static bool is_link(const file_entry& entry) {
        return entry.raw.value("type", json()) == "SYMBOLIC_LINK" || (!entry.mode.empty() && entry.mode[0] == 'l');
    }
    static os::file_time time_of(const file_entry& entry) {
        const auto since = entry.mtime.time_since_epoch();
        auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since);
        if (seconds > since) --seconds;
        return {seconds.count(), static_cast<std::uint32_t>(
                                     std::chrono::duration_cast<std::chrono::nanoseconds>(since - seconds).count())};
    }

    transfer_scope scope_;
    const std::string& folder_;
    destination target_;
    const download_options& options_;
    transfer_meter meter_;
    std::uint64_t left_; // of max_bytes
    codec::name_collisions collisions_;
    std::optional<api_error> refusal_;
    bool only_one_ = false;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

inline constexpr std::size_t vfolder_upload_files = 10; // the server's limit for one request

inline void vfolder_upload(const call_scope& scope, const std::string& name,
                           const std::vector<std::filesystem::path>& files, const upload_options& options) {
    check_vfolder_name(name);
    const std::vector<upload_entry> entries = upload_lister(options).list(files);
    const dialect language = scope.negotiate();
    if (language.transfer == folder_transfer::storage_proxy)
        return storage_upload(scope, language, name, entries, options);
    if (!options.resume_file.empty()) language.require(feature::resumable_upload);
    call what = vfolder_call("POST", name, "/upload");
    what.retry = retry_class::safe; // sending the same files again leaves the same files behind
    upload_files(scope, what, entries, vfolder_upload_files, options.progress);
}

/// Receives the files of one request, in the order of the request. A file appears under its name when it is whole, the
/// last one when the whole answer is.
class vfolder_download_sink final : public multipart_download {
public:
    vfolder_download_sink(const std::vector<std::vector<std::string>>& names, destination& target,
                          std::uint64_t max_bytes, transfer_meter& meter)
        : multipart_download(texts(names)), names_(names), target_(target), max_bytes_(max_bytes), meter_(meter) {}

    static std::vector<std::string> texts(const std::vector<std::vector<std::string>>& names) {
        std::vector<std::string> result;
        for (const auto& name : names) result.push_back(codec::join_path(name));
        return result;
    }

protected:
    void on_answer(const response_head& head) override {
        const std::string* text = head.headers.find("X-TOTAL-PAYLOADS-LENGTH");
        if (text == nullptr) return;
        if (text->empty() || text->size() > 18 || text->find_first_not_of("0123456789") != std::string::npos)
            throw codec::decode_error("X-TOTAL-PAYLOADS-LENGTH is no number: " + codec::printable(*text));
        std::uint64_t total = 0;
        for (const char c : *text) total = total * 10 + static_cast<std::uint64_t>(c - '0');
        if (max_bytes_ != 0 && total > max_bytes_)
            throw codec::decode_error("X-TOTAL-PAYLOADS-LENGTH is " + *text + ", max_bytes is less");
        total_ = total;
        meter_.set_total(total);
    }
    std::uint64_t on_file(const codec::part_headers& headers) override {
        target_.commit();
        check_name(headers);
        target_.begin_file(names_[index()]);
        meter_.add(file(), 0);
        const std::uint64_t limit = total_            ? *total_
                                    : max_bytes_ != 0 ? max_bytes_
                                                      : (std::numeric_limits<std::uint64_t>::max)();
        return limit - meter_.done();
    }
    void on_content(std::string_view data) override {
        target_.write(data);
        meter_.add(file(), data.size());
    }
    void on_file_end() override { target_.end_file(); }
    void on_complete() override {
        if (total_ && meter_.done() != *total_) {
            throw codec::decode_error(std::to_string(meter_.done()) + " bytes came, X-TOTAL-PAYLOADS-LENGTH is " +
                                      std::to_string(*total_));
        }
        target_.commit();
    }

private:
    // The server tells the base name only, percent-encoded, and some libraries encode that once more. The place of the
    // file is the one that was asked for; a name that does not fit shows that the parts are not those.
    void check_name(const codec::part_headers& headers) const {
        const auto told = headers.disposition().filename;
        if (!told) return;
        const std::string& wanted = names_[index()].back();
        const std::string once = codec::unescape(*told, false);
        if (*told == wanted || once == wanted || codec::unescape(once, false) == wanted) return;
        throw codec::decode_error("the server sends a part named " + codec::printable(*told));
    }

    const std::vector<std::vector<std::string>>& names_;
    destination& target_;
    std::uint64_t max_bytes_;
    transfer_meter& meter_;
    std::optional<std::uint64_t> total_;
};

inline void vfolder_download(const call_scope& scope, const std::string& name, const std::vector<std::string>& files,
                             const std::filesystem::path& dest, const download_options& options) {
    check_vfolder_name(name);
    const dialect language = scope.negotiate();
    if (language.transfer == folder_transfer::storage_proxy)
        return storage_download(scope, name, dest, options).run(files);
    if (options.resume) language.require(feature::resumable_download);
    call what = vfolder_call("GET", name, "/download");
    destination target(dest, options.existing);
    std::vector<std::vector<std::string>> names;
    std::set<std::string> known;
    codec::name_collisions collisions;
    for (const std::string& file : files) {
        std::vector<std::string> parts = folder_path(file);
        try {
            codec::safe_relative_path(file, codec::root_name::refuse, options.names);
            if (options.names == codec::path_policy::portable) collisions.add(parts);
        } catch (const codec::decode_error& e) {
            throw client_error(error_kind::argument, e.what());
        }
        if (!known.insert(codec::join_path(parts)).second || !target.wants(parts)) continue;
        names.push_back(std::move(parts));
    }
    if (names.empty()) return;
    what.set_json({{"files", vfolder_download_sink::texts(names)}});
    transfer_meter meter(options.progress);
    vfolder_download_sink sink(names, target, options.max_bytes, meter);
    sink.perform(scope, std::move(what));
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/api/vfolder_sharing.hpp
/// @file
/// Virtual folders shared by invitations: the bodies of the functions for both sides.
#ifndef BACKENDAI_API_VFOLDER_SHARING_HPP
#define BACKENDAI_API_VFOLDER_SHARING_HPP


#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

inline std::vector<std::string> vfolder_invite(const call_scope& scope, const std::string& name,
                                               const std::string& perm, const std::vector<std::string>& emails) {
    if (perm != "ro" && perm != "rw" && perm != "wd")
        throw client_error(error_kind::argument, "the permission of an invitation is ro, rw or wd");
    if (emails.empty()) throw client_error(error_kind::argument, "nobody to invite");
    call what = vfolder_call("POST", name, "/invite", [&](call& request, const dialect& language) {
        request.set_json({{"perm", perm}, {std::string(language.invitees_key), emails}});
    });
    what.retry = retry_class::unsafe; // invitations are made once each
    const json answer = scope.perform(std::move(what)).json();
    std::vector<std::string> ids;
    for (const json& id : wire_object(answer, "the answer").array_or_empty("invited_ids"))
        ids.push_back(id.is_string() ? id.get<std::string>() : id.dump());
    return ids;
}

inline std::vector<vfolder_invitation> vfolder_invitations(const call_scope& scope) {
    call what;
    what.path = "/folders/invitations/list";
    return read_vfolder_invitations(scope.perform(std::move(what)).json());
}

inline std::vector<vfolder_invitation> vfolder_sent_invitations(const call_scope& scope) {
    call what;
    what.complete = [](call& request, const dialect& language) {
        language.require(feature::sent_invitations);
        request.path = std::string(language.sent_invitations_path);
    };
    return read_vfolder_invitations(scope.perform(std::move(what)).json());
}

inline void vfolder_accept_invitation(const call_scope& scope, const std::string& inv_id, const std::string& inv_ak) {
    const std::string own_key = *scope.state->config().access_key;
    call what;
    what.method = "POST";
    what.path = "/folders/invitations/accept";
    what.retry = retry_class::unsafe; // an accepted invitation is gone: a second try would be refused
    what.complete = [&](call& request, const dialect& language) {
        json body = {{"inv_id", inv_id}};
        if (language.acceptance_names_access_key) {
            body["inv_ak"] = inv_ak.empty() ? own_key : inv_ak;
        } else if (!inv_ak.empty() && inv_ak != own_key) {
            throw client_error(error_kind::argument,
                               "inv_ak ended with protocol version v4.20190315: this server shares with the user");
        }
        request.set_json(body);
    };
    scope.perform(std::move(what));
}

inline void vfolder_delete_invitation(const call_scope& scope, const std::string& inv_id) {
    call what;
    what.method = "DELETE";
    what.path = "/folders/invitations/delete";
    what.retry = retry_class::unsafe;
    what.set_json({{"inv_id", inv_id}});
    scope.perform(std::move(what));
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

/// A virtual folder, by its name: a handle, cheap to copy. Names are checked when a function is called.
template <class Transport, class Mode>
class basic_vfolder {
    template <class T>
    using result = typename Mode::template result<T>;

public:
    basic_vfolder(detail::call_scope scope, std::string name) : scope_(std::move(scope)), name_(std::move(name)) {}

    const std::string& name() const noexcept { return name_; }

    /// What the server knows of the folder: `GET /folders/NAME`. Retry class: safe.
    result<vfolder_info> info() const {
        return invoke([](const detail::call_scope& scope, const std::string& name) {
            return detail::vfolder_get_info(scope, name);
        });
    }
    /// Deletes the folder and all that is in it: `DELETE /folders/NAME`. Servers from 24.03 on move it to a trash bin;
    /// 23.03 and 23.09 go on deleting when the call has returned. Retry class: unsafe.
    result<void> remove() const {
        return invoke(
            [](const detail::call_scope& scope, const std::string& name) { detail::vfolder_remove(scope, name); });
    }
    /// Uploads files, and directories with the files below them, in requests of ten: `POST /folders/NAME/upload`.
    /// Files are read while they are sent, of any size; their names are relative to options.basedir, and parents are
    /// made. Existing files are replaced. Directories without files are not sent: see mkdir().
    /// What was sent before a failure stays. Retry class: safe.
    /// @throws client_error{argument} for files outside of basedir and what upload_options::special refuses;
    ///         client_error{io} for files that cannot be read or change their size meanwhile; see progress_callback
    result<void> upload(std::vector<std::filesystem::path> files, upload_options options = {}) const {
        return invoke([files = std::move(files), options = std::move(options)](const detail::call_scope& scope,
                                                                               const std::string& name) {
            detail::vfolder_upload(scope, name, files, options);
        });
    }
    /// Downloads files (no directories) to @p dest, which is made if missing; `data/a.csv` becomes `dest/data/a.csv`:
    /// `GET /folders/NAME/download`. A file appears under its name when it is whole; those that were whole before a
    /// failure stay. Retry class: safe until the first byte of a file has come.
    /// @throws client_error{argument} for names that are absolute, lead out of the folder or break
    ///         download_options::names; client_error{io} for what the local disk refuses; client_error{protocol} for an
    ///         answer that is damaged, cut short or not as long as announced; see progress_callback
    result<void> download(std::vector<std::string> files, std::filesystem::path dest = ".",
                          download_options options = {}) const {
        return invoke([files = std::move(files), dest = std::move(dest),
                       options = std::move(options)](const detail::call_scope& scope, const std::string& name) {
            detail::vfolder_download(scope, name, files, dest, options);
        });
    }
    /// Gives the folder another name: `POST /folders/NAME/rename`. Handles by the old name find it no more.
    /// Retry class: unsafe.
    result<void> rename(std::string new_name) const {
        return invoke([new_name = std::move(new_name)](const detail::call_scope& scope, const std::string& name) {
            detail::vfolder_rename(scope, name, new_name);
        });
    }
    /// Makes a directory and its parents: `POST /folders/NAME/mkdir`. @param path relative to the folder.
    /// Retry class: unsafe.
    result<void> mkdir(std::string path, mkdir_options options = {}) const {
        return invoke([path = std::move(path), options](const detail::call_scope& scope, const std::string& name) {
            detail::vfolder_mkdir(scope, name, path, options);
        });
    }
    /// Gives a file or directory another name in its place: `POST /folders/NAME/rename-file`, from 20.03 (v5.20191215)
    /// on. A file that has the new name is replaced. Retry class: unsafe.
    /// @param path relative to the folder  @param new_name without a directory
    result<void> rename_file(std::string path, std::string new_name) const {
        return invoke([path = std::move(path), new_name = std::move(new_name)](const detail::call_scope& scope,
                                                                               const std::string& name) {
            detail::vfolder_rename_file(scope, name, path, new_name);
        });
    }
    /// Moves a file or directory to another place in the folder: `POST /folders/NAME/move-file`, from 22.03
    /// (v6.20220315) on. Retry class: unsafe. @param from, to relative to the folder
    result<void> move_file(std::string from, std::string to) const {
        return invoke(
            [from = std::move(from), to = std::move(to)](const detail::call_scope& scope, const std::string& name) {
                detail::vfolder_move_file(scope, name, from, to);
            });
    }
    /// Deletes files, and directories if @p recursive: `DELETE /folders/NAME/delete_files`. Retry class: unsafe.
    result<void> delete_files(std::vector<std::string> files, bool recursive = false) const {
        return invoke([files = std::move(files), recursive](const detail::call_scope& scope, const std::string& name) {
            detail::vfolder_delete_files(scope, name, files, recursive);
        });
    }
    /// What is in a directory: `GET /folders/NAME/files`. Retry class: safe.
    result<file_listing> list_files(std::string path = ".") const {
        return invoke([path = std::move(path)](const detail::call_scope& scope, const std::string& name) {
            return detail::vfolder_list_files(scope, name, path);
        });
    }
    /// Invites users to the folder: `POST /folders/NAME/invite`. Retry class: unsafe.
    /// @param perm "ro" (read), "rw" (write) or "wd" (write and delete)
    /// @return the users who were invited, by the server's words
    result<std::vector<std::string>> invite(std::string perm, std::vector<std::string> emails) const {
        return invoke([perm = std::move(perm), emails = std::move(emails)](const detail::call_scope& scope,
                                                                           const std::string& name) {
            return detail::vfolder_invite(scope, name, perm, emails);
        });
    }

private:
    template <class Body>
    auto invoke(Body body) const {
        return Mode::run(scope_, [body = std::move(body), name = name_](const detail::call_scope& scope) {
            return body(scope, name);
        });
    }

    detail::call_scope scope_;
    std::string name_;
};

/// The class-level functions of virtual folders: `session.vfolder()`.
template <class Transport, class Mode>
class basic_vfolder_functions {
    template <class T>
    using result = typename Mode::template result<T>;

public:
    explicit basic_vfolder_functions(detail::call_scope scope) : scope_(std::move(scope)) {}

    /// Makes a folder: `POST /folders`. Retry class: unsafe.
    /// @param name letters and digits, and `.`, `_` or `-` between them  @param host empty for the server's default
    /// @throws api_error vfolder-already-exists
    result<vfolder_creation> create(std::string name, std::string host = {}) const {
        vfolder_create_options options;
        options.host = std::move(host);
        return create(std::move(name), std::move(options));
    }
    /// The same with more to say. @throws also client_error{argument} for what the server's version does not know
    result<vfolder_creation> create(std::string name, vfolder_create_options options) const {
        return Mode::run(scope_,
                         [name = std::move(name), options = std::move(options)](const detail::call_scope& scope) {
                             return detail::vfolder_create(scope, name, options);
                         });
    }
    /// Where folders can be made: `GET /folders/_/hosts`. Retry class: safe.
    result<vfolder_hosts> hosts() const {
        return Mode::run(scope_, [](const detail::call_scope& scope) { return detail::vfolder_list_hosts(scope); });
    }
    /// The folders that one owns or was invited to: `GET /folders`. Retry class: safe.
    result<std::vector<vfolder_summary>> list() const {
        return Mode::run(scope_, [](const detail::call_scope& scope) { return detail::vfolder_list(scope); });
    }
    /// The folders that fit the filter as GraphQL tells them, a page at a time; see page_range. Of other users: needs
    /// admin rights.
    page_range<Mode> paginated_list(vfolder_filter filter = {}, page_query wanted = {}) const {
        return {scope_, detail::vfolder_listing(std::move(filter)), std::move(wanted)};
    }
    /// One page of them. Retry class: safe.
    result<page_result> list_page(vfolder_filter filter = {}, page_query wanted = {}) const {
        return Mode::run(scope_, [what = detail::vfolder_listing(std::move(filter)),
                                  wanted = std::move(wanted)](const detail::call_scope& scope) {
            return detail::fetch_single_page(scope, what, wanted);
        });
    }
    /// The invitations that wait for an answer: `GET /folders/invitations/list`. Retry class: safe.
    result<std::vector<vfolder_invitation>> invitations() const {
        return Mode::run(scope_, [](const detail::call_scope& scope) { return detail::vfolder_invitations(scope); });
    }
    /// The caller's own invitations to others that wait for an answer: `GET /folders/invitations/list_sent`, from 19.09
    /// (v4.20190615) on. Retry class: safe.
    result<std::vector<vfolder_invitation>> sent_invitations() const {
        return Mode::run(scope_,
                         [](const detail::call_scope& scope) { return detail::vfolder_sent_invitations(scope); });
    }
    /// Accepts one: `POST /folders/invitations/accept`. Retry class: unsafe.
    /// @param inv_ak the access key for which the folder is to be seen, the session's own when empty; from 19.09
    ///               (v4.20190615) on folders are shared with users, and another key is client_error{argument}
    result<void> accept_invitation(std::string inv_id, std::string inv_ak = {}) const {
        return Mode::run(scope_,
                         [inv_id = std::move(inv_id), inv_ak = std::move(inv_ak)](const detail::call_scope& scope) {
                             detail::vfolder_accept_invitation(scope, inv_id, inv_ak);
                         });
    }
    /// Turns one down: `DELETE /folders/invitations/delete`. Retry class: unsafe.
    result<void> delete_invitation(std::string inv_id) const {
        return Mode::run(scope_, [inv_id = std::move(inv_id)](const detail::call_scope& scope) {
            detail::vfolder_delete_invitation(scope, inv_id);
        });
    }

private:
    detail::call_scope scope_;
};

BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/app_tunnel.hpp
/// @file
/// Tunnels: a port of this machine that leads to a service in a compute session.
#ifndef BACKENDAI_APP_TUNNEL_HPP
#define BACKENDAI_APP_TUNNEL_HPP

// ---- backendai/os/tcp_stream.hpp
/// @file
/// TCP connections to anywhere, made within time limits and without blocking.
#ifndef BACKENDAI_OS_TCP_STREAM_HPP
#define BACKENDAI_OS_TCP_STREAM_HPP

// ---- backendai/os/resolver.hpp
/// @file
/// Name look-up that ends in time. No system can cancel getaddrinfo(), so it runs on a thread of its own, which is left
/// behind when the caller cannot wait any longer.
#ifndef BACKENDAI_OS_RESOLVER_HPP
#define BACKENDAI_OS_RESOLVER_HPP


#ifdef _WIN32
#include <winsock2.h>
#include <ws2tcpip.h>
#else
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/types.h>
#endif

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace os {

namespace detail {

struct lookup {
    std::mutex mutex;
    std::condition_variable done_or_interrupted;
    bool done = false, interrupted = false;
    std::vector<std::string> addresses;
    std::string failure;          // in the system's words, when there are no addresses
    std::exception_ptr exception; // what else went wrong
};

inline std::vector<std::string> numeric_addresses(const addrinfo* list) {
    std::vector<std::string> addresses;
    for (const addrinfo* item = list; item != nullptr; item = item->ai_next) {
        char text[NI_MAXHOST];
        if (getnameinfo(item->ai_addr, static_cast<socklen_t>(item->ai_addrlen), text, sizeof text, nullptr, 0,
                        NI_NUMERICHOST) == 0) {
            addresses.emplace_back(text);
        }
    }
    return addresses;
}

// Throws nothing, as it may be all that its thread does.
inline void run_lookup(const std::string& host, int flags, lookup& state) noexcept {
    addrinfo hints;
    std::memset(&hints, 0, sizeof hints);
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = flags;
    addrinfo* list = nullptr;
    const int code = getaddrinfo(host.c_str(), nullptr, &hints, &list);
    std::vector<std::string> addresses;
    std::string failure;
    std::exception_ptr exception;
    try {
        if (code == 0) {
            addresses = numeric_addresses(list);
        } else {
            failure = gai_strerror(code);
        }
    } catch (...) {
        exception = std::current_exception();
    }
    if (code == 0) freeaddrinfo(list);
    const std::lock_guard<std::mutex> lock(state.mutex);
    state.done = true;
    state.addresses = std::move(addresses);
    state.failure = std::move(failure);
    state.exception = std::move(exception);
    state.done_or_interrupted.notify_all();
}

} // namespace detail

/// The numeric addresses of @p host, in the order in which they should be tried.
/// @throws client_error{connect} when there are none, timeout, cancelled or closed as @p context says, io when no
/// thread can be started; std::bad_alloc
inline std::vector<std::string> resolve(const std::string& host, const exchange_context& context) {
    auto state = std::make_shared<detail::lookup>();
    detail::run_lookup(host, AI_NUMERICHOST, *state);
    if (state->exception) std::rethrow_exception(state->exception);
    if (!state->addresses.empty()) return state->addresses; // a numeric address needs no look-up
    state = std::make_shared<detail::lookup>();
    start_thread([state, host] { detail::run_lookup(host, 0, *state); }).detach();
    const auto interrupt = [state] {
        const std::lock_guard<std::mutex> lock(state->mutex);
        state->interrupted = true;
        state->done_or_interrupted.notify_all();
    };
    const cancel_token::listener on_cancel(context.cancel, interrupt);
    const cancel_token::listener on_close(context.closing, interrupt);
    const auto limit = context.within(context.connect_timeout);
    std::unique_lock<std::mutex> lock(state->mutex);
    const auto ready = [&] { return state->done || state->interrupted; };
    if (limit.count() == 0) {
        state->done_or_interrupted.wait(lock, ready);
    } else {
        state->done_or_interrupted.wait_for(lock, limit, ready);
    }
    if (state->done && state->exception) std::rethrow_exception(state->exception);
    if (state->done && !state->addresses.empty()) return state->addresses;
    if (state->done) {
        throw client_error(error_kind::connect, "the host name \"" + host + "\" cannot be resolved: " + state->failure);
    }
    lock.unlock();
    context.check();
    throw client_error(error_kind::timeout, "looking up \"" + host + "\" took too long");
}

} // namespace os
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/os/socket.hpp
/// @file
/// TCP sockets on the loopback interface, the same on POSIX systems and Windows.
#ifndef BACKENDAI_OS_SOCKET_HPP
#define BACKENDAI_OS_SOCKET_HPP


#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#ifdef _WIN32
#ifndef NOMINMAX
#define NOMINMAX
#endif
#include <winsock2.h>
#include <ws2tcpip.h>
#else
#include <arpa/inet.h>
#include <cerrno>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#endif

BACKENDAI_NAMESPACE_BEGIN
namespace os {

namespace detail {

#ifdef _WIN32
using socket_handle = SOCKET;
constexpr socket_handle no_socket = INVALID_SOCKET;
inline int last_socket_error() {
    return ::WSAGetLastError();
}
inline void close_handle(socket_handle handle) {
    ::closesocket(handle);
}
inline int poll_one(socket_handle handle, short events, int timeout_ms) {
    WSAPOLLFD entry{handle, events, 0};
    return ::WSAPoll(&entry, 1, timeout_ms);
}
inline bool is_interrupted(int error) {
    return error == WSAEINTR;
}
// Winsock wants to be started once in a process; it is left running, since other code may use it as well.
inline void start_sockets() {
    static const int result = [] {
        WSADATA data;
        return ::WSAStartup(MAKEWORD(2, 2), &data);
    }();
    if (result != 0) throw std::system_error(result, std::system_category(), "WSAStartup");
}
constexpr int shutdown_both = SD_BOTH, shutdown_writes = SD_SEND;
#else
using socket_handle = int;
constexpr socket_handle no_socket = -1;
inline int last_socket_error() {
    return errno;
}
inline void close_handle(socket_handle handle) {
    ::close(handle);
}
inline int poll_one(socket_handle handle, short events, int timeout_ms) {
    pollfd entry{handle, events, 0};
    return ::poll(&entry, 1, timeout_ms);
}
inline bool is_interrupted(int error) {
    return error == EINTR;
}
inline void start_sockets() {}
constexpr int shutdown_both = SHUT_RDWR, shutdown_writes = SHUT_WR;
#endif

#ifdef MSG_NOSIGNAL
constexpr int send_flags = MSG_NOSIGNAL; // a peer that is gone is an error here, not a SIGPIPE
#else
constexpr int send_flags = 0;
#endif

[[noreturn]] inline void throw_socket_error(const char* what) {
    throw std::system_error(last_socket_error(), std::system_category(), what);
}

} // namespace detail

/// One TCP socket. Owns its handle.
///
/// Thread-safety: one thread may read while another writes; shutdown() may be called while others block in read() or
/// write() and makes them return. close() and moving need the object alone.
class tcp_socket {
public:
    tcp_socket() = default;
    explicit tcp_socket(detail::socket_handle handle) : handle_(handle) {}
    tcp_socket(tcp_socket&& other) noexcept : handle_(std::exchange(other.handle_, detail::no_socket)) {}
    tcp_socket& operator=(tcp_socket&& other) noexcept {
        if (this != &other) {
            close();
            handle_ = std::exchange(other.handle_, detail::no_socket);
        }
        return *this;
    }
    ~tcp_socket() { close(); }

    bool is_open() const { return handle_ != detail::no_socket; }

    /// Listens on 127.0.0.1. @param port 0 = any free one, see local_port().
    /// @throws std::system_error when the port is taken.
    static tcp_socket listen_loopback(std::uint16_t port) {
        tcp_socket result = create();
#ifndef _WIN32 // on Windows this option would let a second listener take the port over
        const int on = 1;
        ::setsockopt(result.handle_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
#endif
        sockaddr_in address = loopback(port);
        if (::bind(result.handle_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
            detail::throw_socket_error("bind");
        }
        if (::listen(result.handle_, SOMAXCONN) != 0) detail::throw_socket_error("listen");
        return result;
    }

    /// Connects to a port of 127.0.0.1. @throws std::system_error when nobody listens there.
    static tcp_socket connect_loopback(std::uint16_t port) {
        tcp_socket result = create();
        sockaddr_in address = loopback(port);
        if (::connect(result.handle_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
            detail::throw_socket_error("connect");
        }
        result.send_at_once();
        return result;
    }

    /// The next connection of a listening socket, or one that is not open when none came within @p timeout.
    tcp_socket accept(std::chrono::milliseconds timeout) {
        if (!wait_readable(timeout)) return {};
#if defined(__linux__)
        tcp_socket result(::accept4(handle_, nullptr, nullptr, SOCK_CLOEXEC));
#else
        tcp_socket result(::accept(handle_, nullptr, nullptr));
#endif
        if (!result.is_open()) {
            // Out of descriptors, say: the connection waits on, and a caller's loop would turn at full speed.
            std::this_thread::sleep_for((std::min)(timeout, std::chrono::milliseconds(10)));
            return result;
        }
        result.keep_from_children();
        result.send_at_once();
        return result;
    }

    std::uint16_t local_port() const {
        sockaddr_in address{};
        socklen_t length = sizeof address;
        if (::getsockname(handle_, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
            detail::throw_socket_error("getsockname");
        }
        return ntohs(address.sin_port);
    }

    /// Whether read() would return at once (bytes, end of stream or an error) within @p timeout.
    bool wait_readable(std::chrono::milliseconds timeout) const {
        const int result = detail::poll_one(handle_, POLLIN, static_cast<int>(timeout.count()));
        return result > 0;
    }

    /// Reads what is there, at least one byte; blocks until then. 0 = the peer ended its side.
    /// @throws std::system_error when the connection broke.
    std::size_t read(char* buffer, std::size_t capacity) {
        for (;;) {
#ifdef _WIN32
            const int count = ::recv(handle_, buffer, static_cast<int>(capacity), 0);
#else
            const ssize_t count = ::recv(handle_, buffer, capacity, 0);
#endif
            if (count >= 0) return static_cast<std::size_t>(count);
            if (!detail::is_interrupted(detail::last_socket_error())) detail::throw_socket_error("recv");
        }
    }

    /// Writes all bytes; blocks until the system has taken them.
    /// @throws std::system_error when the connection broke.
    void write(std::string_view bytes) {
        while (!bytes.empty()) {
#ifdef _WIN32
            const int count = ::send(handle_, bytes.data(), static_cast<int>(bytes.size()), 0);
#else
            const ssize_t count = ::send(handle_, bytes.data(), bytes.size(), detail::send_flags);
#endif
            if (count >= 0) {
                bytes.remove_prefix(static_cast<std::size_t>(count));
            } else if (!detail::is_interrupted(detail::last_socket_error())) {
                detail::throw_socket_error("send");
            }
        }
    }

    /// Ends both directions; threads that block in read() or write() return.
    void shutdown() {
        if (is_open()) ::shutdown(handle_, detail::shutdown_both);
    }
    /// Tells the peer that nothing more comes; reading goes on.
    void shutdown_writes() {
        if (is_open()) ::shutdown(handle_, detail::shutdown_writes);
    }

    /// Closes with a reset instead of an orderly end, as a crashed peer's system does.
    void reset() {
        if (!is_open()) return;
        linger option{};
        option.l_onoff = 1;
        ::setsockopt(handle_, SOL_SOCKET, SO_LINGER, reinterpret_cast<const char*>(&option), sizeof option);
        close();
    }

    void close() {
        if (is_open()) detail::close_handle(std::exchange(handle_, detail::no_socket));
    }

private:
    static tcp_socket create() {
        detail::start_sockets();
#if defined(__linux__)
        tcp_socket result(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
#else
        tcp_socket result(::socket(AF_INET, SOCK_STREAM, 0));
#endif
        if (!result.is_open()) detail::throw_socket_error("socket");
        result.keep_from_children();
        return result;
    }
    static sockaddr_in loopback(std::uint16_t port) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return address;
    }
    void keep_from_children() {
#if !defined(_WIN32) && !defined(__linux__)
        ::fcntl(handle_, F_SETFD, FD_CLOEXEC);
#endif
#ifdef SO_NOSIGPIPE
        const int on = 1;
        ::setsockopt(handle_, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
    }
    void send_at_once() {
        const int on = 1;
        ::setsockopt(handle_, IPPROTO_TCP, TCP_NODELAY, reinterpret_cast<const char*>(&on), sizeof on);
    }

    detail::socket_handle handle_ = detail::no_socket;
};

} // namespace os
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/os/stream.hpp
/// @file
/// A connected byte stream that never blocks: TCP (tcp_stream.hpp) and TLS over it (tls_stream.hpp).
#ifndef BACKENDAI_OS_STREAM_HPP
#define BACKENDAI_OS_STREAM_HPP


#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <system_error>

BACKENDAI_NAMESPACE_BEGIN
namespace os {

/// What a call that does not block came to.
enum class io_state {
    done,        ///< `count` bytes, at least one
    wants_read,  ///< try again when the socket is readable
    wants_write, ///< try again when the socket is writable
    ended        ///< the peer ended its side
};

struct io_result {
    io_state state = io_state::done;
    std::size_t count = 0;
};

/// One thread may read while another writes; shut_down() may be called from any thread. Waiting is the caller's,
/// outside of any lock, with wait_ready().
class byte_stream {
public:
    byte_stream() = default;
    byte_stream(const byte_stream&) = delete;
    byte_stream& operator=(const byte_stream&) = delete;
    virtual ~byte_stream() = default;

    /// @throws client_error{connect or tls} when the connection is broken.
    virtual io_result read(char* buffer, std::size_t capacity) = 0;
    /// Takes what the system takes now. @throws as read()
    virtual io_result write(std::string_view bytes) = 0;
    /// Tells the peer, as far as that goes without waiting, that nothing more comes.
    virtual void end_writes() noexcept = 0;
    virtual detail::socket_handle handle() const noexcept = 0;

    /// Breaks the connection off: whoever waits on it or uses it comes back.
    void shut_down() noexcept { ::shutdown(handle(), detail::shutdown_both); }
};

namespace detail {

inline std::string error_text(int error) {
    return std::system_category().message(error);
}

inline bool would_block(int error) {
#ifdef _WIN32
    return error == WSAEWOULDBLOCK;
#else
    return error == EAGAIN || error == EWOULDBLOCK;
#endif
}

[[noreturn]] inline void throw_lost(int error) {
    throw client_error(error_kind::connect, "the connection was lost: " + error_text(error),
                       client_error::progress::maybe_sent);
}

} // namespace detail

/// Waits until the socket can be read or written, is broken or shut down, or @p limit is over (negative: no limit).
/// Returns whether there is something to do.
inline bool wait_ready(detail::socket_handle handle, bool readable, bool writable, std::chrono::milliseconds limit) {
    const auto events = static_cast<short>((readable ? POLLIN : 0) | (writable ? POLLOUT : 0));
    const int timeout =
        limit.count() < 0 ? -1 : static_cast<int>((std::min)(limit.count(), decltype(limit.count())(1000'000'000)));
    return detail::poll_one(handle, events, timeout) != 0;
}

/// The waits of one phase of a connection's making: each ends in time, and within 50 ms of a cancel.
class phase_clock {
public:
    /// @param limit of the whole phase (or, with restart(), between two steps); 0 is none.
    phase_clock(const exchange_context& context, std::chrono::milliseconds limit, std::string what,
                client_error::progress sent)
        : context_(context), limit_(limit), what_(std::move(what)), sent_(sent) {
        restart();
    }
    void restart() { start_ = exchange_context::clock::now(); }

    /// Waits for the socket. @throws client_error{timeout, cancelled or closed}
    void wait(detail::socket_handle handle, bool readable, bool writable) const {
        constexpr std::chrono::milliseconds slice(50); // no socket call can be woken the same way on all systems
        for (;;) {
            context_.check(sent_);
            const auto now = exchange_context::clock::now();
            if (limit_.count() > 0 && now - start_ >= limit_) {
                throw client_error(error_kind::timeout, what_ + " took too long", sent_);
            }
            std::chrono::milliseconds left = slice;
            const auto shorten = [&](exchange_context::clock::duration rest) {
                const auto rounded =
                    std::chrono::duration_cast<std::chrono::milliseconds>(rest) + std::chrono::milliseconds(1);
                left = (std::min)(left, rounded);
            };
            if (limit_.count() > 0) shorten(start_ + limit_ - now);
            if (context_.has_deadline()) shorten(context_.deadline - now);
            if (wait_ready(handle, readable, writable, left)) return;
        }
    }
    void wait(detail::socket_handle handle, io_state state) const {
        wait(handle, state == io_state::wants_read, state == io_state::wants_write);
    }

private:
    const exchange_context& context_;
    std::chrono::milliseconds limit_;
    std::string what_;
    client_error::progress sent_;
    exchange_context::clock::time_point start_;
};

} // namespace os
BACKENDAI_NAMESPACE_END

#endif

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace os {

namespace detail {

/// A numeric address for the socket calls.
struct socket_address {
    sockaddr_storage storage{};
    socklen_t size = 0;
    int family() const { return storage.ss_family; }
};

/// @throws client_error{argument} when @p host is not a numeric address.
inline socket_address numeric_address(const std::string& host, std::uint16_t port) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    addrinfo* list = nullptr;
    if (::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list) != 0 || list == nullptr) {
        throw client_error(error_kind::argument, "not a numeric address: \"" + host + '"');
    }
    socket_address address;
    std::memcpy(&address.storage, list->ai_addr, list->ai_addrlen);
    address.size = static_cast<socklen_t>(list->ai_addrlen);
    ::freeaddrinfo(list);
    return address;
}

inline bool set_non_blocking(socket_handle handle) noexcept {
#ifdef _WIN32
    u_long on = 1;
    return ::ioctlsocket(handle, FIONBIO, &on) == 0;
#else
    const int flags = ::fcntl(handle, F_GETFL);
    return flags != -1 && ::fcntl(handle, F_SETFL, flags | O_NONBLOCK) == 0;
#endif
}

inline socket_handle new_socket(int family) {
    start_sockets();
#if defined(__linux__)
    const socket_handle handle = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
#else
    const socket_handle handle = ::socket(family, SOCK_STREAM, 0);
#endif
    if (handle == no_socket) {
        throw client_error(error_kind::connect, "no socket: " + error_text(last_socket_error()));
    }
    const int on = 1;
#if !defined(_WIN32) && !defined(__linux__)
    ::fcntl(handle, F_SETFD, FD_CLOEXEC);
#endif
#ifdef SO_NOSIGPIPE
    ::setsockopt(handle, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
    ::setsockopt(handle, IPPROTO_TCP, TCP_NODELAY, reinterpret_cast<const char*>(&on), sizeof on);
    return handle;
}

inline bool is_in_progress(int error) {
#ifdef _WIN32
    return error == WSAEWOULDBLOCK;
#else
    return error == EINPROGRESS || error == EINTR;
#endif
}

inline long receive_from(socket_handle handle, char* buffer, std::size_t capacity) {
#ifdef _WIN32
    return ::recv(handle, buffer, static_cast<int>((std::min)(capacity, std::size_t{1} << 30)), 0);
#else
    return static_cast<long>(::recv(handle, buffer, capacity, 0));
#endif
}

inline long send_to(socket_handle handle, const char* bytes, std::size_t size) {
    size = (std::min)(size, std::size_t{1} << 30);
#ifdef _WIN32
    return ::send(handle, bytes, static_cast<int>(size), 0);
#else
    return static_cast<long>(::send(handle, bytes, size, send_flags));
#endif
}

inline io_result read_now(socket_handle handle, char* buffer, std::size_t capacity) {
    for (;;) {
        const long count = receive_from(handle, buffer, capacity);
        if (count > 0) return {io_state::done, static_cast<std::size_t>(count)};
        if (count == 0) return {io_state::ended, 0};
        const int error = last_socket_error();
        if (would_block(error)) return {io_state::wants_read, 0};
        if (!is_interrupted(error)) throw_lost(error);
    }
}

inline io_result write_now(socket_handle handle, std::string_view bytes) {
    for (;;) {
        const long count = send_to(handle, bytes.data(), bytes.size());
        if (count >= 0) return {io_state::done, static_cast<std::size_t>(count)};
        const int error = last_socket_error();
        if (would_block(error)) return {io_state::wants_write, 0};
        if (!is_interrupted(error)) throw_lost(error);
    }
}

} // namespace detail

/// A connection that somebody else owns, used for a while; non-blocking if its owner made it so.
class borrowed_stream final : public byte_stream {
public:
    explicit borrowed_stream(detail::socket_handle handle) : handle_(handle) {}
    io_result read(char* buffer, std::size_t capacity) override { return detail::read_now(handle_, buffer, capacity); }
    io_result write(std::string_view bytes) override { return detail::write_now(handle_, bytes); }
    void end_writes() noexcept override { ::shutdown(handle_, detail::shutdown_writes); }
    detail::socket_handle handle() const noexcept override { return handle_; }

private:
    detail::socket_handle handle_;
};

/// A TCP connection. See byte_stream for threads.
class tcp_stream final : public byte_stream {
public:
    /// Takes over a connected socket and makes it non-blocking. @throws client_error{connect} when that fails, and the
    /// socket stays the caller's
    explicit tcp_stream(detail::socket_handle handle) : handle_(handle) {
        if (!detail::set_non_blocking(handle)) {
            throw client_error(error_kind::connect, "no socket: " + detail::error_text(detail::last_socket_error()));
        }
    }
    ~tcp_stream() override { detail::close_handle(handle_); }

    /// Looks @p host up and connects to the first of its addresses that answers; look-up and each attempt have the
    /// context's connect_timeout. @throws client_error{connect, timeout, cancelled or closed}
    static std::unique_ptr<tcp_stream> connect(const std::string& host, std::uint16_t port,
                                               const exchange_context& context) {
        const std::vector<std::string> addresses = resolve(host, context);
        for (std::size_t i = 0;; ++i) {
            try {
                return connect_to(addresses[i], host, port, context);
            } catch (const client_error& e) {
                const bool unreachable = e.kind() == error_kind::connect || e.kind() == error_kind::timeout;
                if (!unreachable || i + 1 == addresses.size()) throw;
                context.check();
            }
        }
    }

    io_result read(char* buffer, std::size_t capacity) override { return detail::read_now(handle_, buffer, capacity); }
    io_result write(std::string_view bytes) override { return detail::write_now(handle_, bytes); }
    void end_writes() noexcept override { ::shutdown(handle_, detail::shutdown_writes); }
    detail::socket_handle handle() const noexcept override { return handle_; }

private:
    static std::unique_ptr<tcp_stream> own(detail::socket_handle handle) {
        try {
            return std::make_unique<tcp_stream>(handle);
        } catch (...) {
            detail::close_handle(handle);
            throw;
        }
    }

    static std::unique_ptr<tcp_stream> connect_to(const std::string& address, const std::string& host,
                                                  std::uint16_t port, const exchange_context& context) {
        const std::string peer =
            (host.find(':') == std::string::npos ? host : '[' + host + ']') + ':' + std::to_string(port);
        const detail::socket_address target = detail::numeric_address(address, port);
        std::unique_ptr<tcp_stream> stream = own(detail::new_socket(target.family()));
        const auto fail = [&](int error) {
            throw client_error(error_kind::connect, "cannot connect to " + peer + ": " + detail::error_text(error));
        };
        if (::connect(stream->handle_, reinterpret_cast<const sockaddr*>(&target.storage), target.size) != 0) {
            const int error = detail::last_socket_error();
            if (!detail::is_in_progress(error)) fail(error);
            const phase_clock clock(context, context.connect_timeout, "connecting to " + peer,
                                    client_error::progress::nothing_sent);
            clock.wait(stream->handle_, false, true);
        }
        int error = 0;
        socklen_t size = sizeof error;
        ::getsockopt(stream->handle_, SOL_SOCKET, SO_ERROR, reinterpret_cast<char*>(&error), &size);
        if (error != 0) fail(error);
        return stream;
    }

    detail::socket_handle handle_;
};

/// A listening socket and its port.
struct tcp_listener {
    tcp_socket socket;
    std::uint16_t port = 0;
};

/// Listens on a numeric address of this machine, "127.0.0.1", "::1", "0.0.0.0". @param port 0 is any free one.
/// @throws client_error{argument} when it is no address, io when it cannot be listened on
inline tcp_listener listen_on(const std::string& address, std::uint16_t port) {
    const detail::socket_address local = detail::numeric_address(address, port);
    const detail::socket_handle handle = detail::new_socket(local.family());
    tcp_listener result{tcp_socket(handle), 0};
#ifndef _WIN32 // on Windows this option would let a second listener take the port over
    const int on = 1;
    ::setsockopt(handle, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
#endif
    sockaddr_storage bound{};
    socklen_t size = sizeof bound;
    if (::bind(handle, reinterpret_cast<const sockaddr*>(&local.storage), local.size) != 0 ||
        ::listen(handle, SOMAXCONN) != 0 || ::getsockname(handle, reinterpret_cast<sockaddr*>(&bound), &size) != 0) {
        throw client_error(error_kind::io, "cannot listen on " + address + ", port " + std::to_string(port) + ": " +
                                               detail::error_text(detail::last_socket_error()));
    }
    result.port = ntohs(bound.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(bound).sin6_port
                                                    : reinterpret_cast<const sockaddr_in&>(bound).sin_port);
    return result;
}

} // namespace os
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/session.hpp
/// @file
/// The session: configuration, transport and the front doors of the API classes.
#ifndef BACKENDAI_SESSION_HPP
#define BACKENDAI_SESSION_HPP

// ---- backendai/api/login.hpp
/// @file
/// Logging in at a webserver: endpoint_type "session".
#ifndef BACKENDAI_API_LOGIN_HPP
#define BACKENDAI_API_LOGIN_HPP


#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

/// Who is logged in.
struct login_info {
    std::string access_key; ///< the key pair that the webserver signs with
    std::string role;       ///< "user", "admin", "superadmin"; servers may know more
    std::string status;     ///< "active"
    json raw;
};

/// Why a login was refused.
enum class login_refusal {
    credentials,       ///< wrong name or password, or a user who may not log in
    otp_required,      ///< a one-time password is wanted, or the one given is wrong
    otp_not_registered ///< the server wants one, and the user has none set up yet
};

/// A refused login. status() is 401, also for servers that say so with status 200; type(), title() as the server says.
class login_error : public api_error {
public:
    login_error(details what, login_refusal refusal) : api_error(std::move(what)), refusal_(refusal) {}
    login_refusal refusal() const noexcept { return refusal_; }

private:
    login_refusal refusal_;
};

namespace detail {

inline call webserver_call(const call_scope& scope, const char* path) {
    if (scope.state->cookies() == nullptr) {
        throw client_error(
            error_kind::argument,
            "there is no login at this endpoint: endpoint_type (BACKEND_ENDPOINT_TYPE) is not \"session\"");
    }
    call what;
    what.method = "POST";
    what.path = path;
    what.negotiates = false;
    what.retry = retry_class::unsafe;
    return what;
}

inline login_info read_login(const json& data) {
    const wire_object fields(data, "the answer to the login");
    return {fields.string("access_key"), fields.string_or("role", ""), fields.string_or("status", ""), data};
}

inline login_refusal login_refusal_of(const wire_object& problem) {
    const auto ends_with = [type = problem.string_or("type", "")](std::string_view end) {
        return type.size() >= end.size() && type.compare(type.size() - end.size(), end.size(), end) == 0;
    };
    if (ends_with("require-totp-registration")) return login_refusal::otp_not_registered;
    // The second is how 23.03 says it.
    if (ends_with("require-totp-authentication") || problem.string_or("details", "") == "OTP not provided")
        return login_refusal::otp_required;
    return login_refusal::credentials;
}

inline login_error make_login_error(const response& answer, const json& problem,
                                    const std::vector<std::string>& secrets) {
    const wire_object fields(problem, "the refusal of the login");
    api_error::details what;
    what.status = 401;
    what.reason = "Unauthorized";
    what.type = fields.string_or("type", "");
    what.title = fields.string_or("details", fields.string_or("title", ""));
    what.data = problem;
    what.body = answer.text();
    redactor(secrets).redact(what);
    if (what.body.size() > max_error_body) what.body.resize(max_error_body); // after that: no half of a secret
    return {std::move(what), login_refusal_of(fields)};
}

// {authenticated, data}: status 200 from older servers for yes and no, 401 for no from newer ones.
// No error says the secrets, which are what was sent.
inline login_info read_login_answer(const response& answer, const std::vector<std::string>& secrets) {
    json body;
    try {
        body = codec::parse_json(answer.text());
    } catch (const codec::decode_error&) {
        // A proxy's page: said below.
    }
    if (!body.is_object() || !body.contains("authenticated")) {
        if (answer.ok()) bad_answer("the webserver does not say whether the login is good");
        throw make_api_error({answer.status(), answer.reason(), answer.headers()}, answer.text(), secrets);
    }
    const wire_object fields(body, "the answer to the login");
    if (!fields.boolean_or("authenticated", false)) {
        const json* problem = fields.find("data");
        throw make_login_error(answer, problem != nullptr ? *problem : json::object(), secrets);
    }
    return read_login(fields.require("data"));
}

inline login_info session_login(const call_scope& scope, const std::string& user, const std::string& password,
                                const std::string& otp) {
    call what = webserver_call(scope, "/server/login");
    json body = {{"username", user}, {"password", password}};
    if (!otp.empty()) body["otp"] = otp;
    what.set_json(body);
    const std::vector<std::string> secrets = {password, otp};
    what.secret = secrets;
    what.check_status = false;
    cookie_jar& cookies = *scope.state->cookies();
    cookies.clear(); // who is logged in is refused another login
    try {
        login_info who = read_login_answer(scope.perform(std::move(what)), secrets);
        cookies.keep();
        return who;
    } catch (const error&) {
        cookies.clear(); // a refusal sets a cookie too, of nobody
        throw;
    }
}

inline std::optional<login_info> session_login_check(const call_scope& scope) {
    call what = webserver_call(scope, "/server/login-check");
    what.retry = retry_class::safe;
    what.set_json(json::object());
    const json answer = scope.perform(std::move(what)).json();
    const wire_object fields(answer, "the answer to the login check");
    if (!fields.boolean_or("authenticated", false)) return {};
    return read_login(fields.require("data"));
}

inline void session_logout(const call_scope& scope) {
    call what = webserver_call(scope, "/server/logout");
    what.retry = retry_class::safe;
    scope.perform(std::move(what));
    scope.state->cookies()->discard();
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif

#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN

/// What a server says of itself.
struct server_info {
    std::string version; ///< newest protocol version it speaks, "v4.20190315"
    std::string manager; ///< version of the server software; empty when it does not say
    json raw;
};

namespace detail {

// Needs no authorization and no agreed version, and so works on every server.
inline server_info say_hello(const call_scope& scope) {
    call what;
    what.negotiates = false;
    server_info info;
    info.raw = scope.perform(std::move(what)).json();
    const wire_object fields(info.raw, "the greeting");
    info.version = fields.string("version");
    info.manager = fields.string_or("manager", "");
    scope.state->negotiation().note_announced(info.version);
    return info;
}

} // namespace detail

/// The front doors of the API classes, with the limits of one set of call_options. Made by basic_session::with();
/// does not keep the session open. Thread-safe; cheap to copy.
template <class Transport, class Mode>
class basic_session_view {
    static_assert(is_transport_v<Transport>,
                  "backendai: this type is not a transport: it lacks response_head exchange(http_request&, body_sink&, "
                  "const exchange_context&), see backendai/transport/concept.hpp");

public:
    explicit basic_session_view(detail::call_scope scope) : scope_(std::move(scope)) {}

    /// Asks the server for its versions: `GET /`, which needs no authorization. Retry class: safe.
    /// @throws api_error, client_error
    typename Mode::template result<server_info> hello() const {
        return Mode::run(scope_, [](const detail::call_scope& scope) { return detail::say_hello(scope); });
    }
    /// The newest protocol version that the server speaks, as it says. Asked once, `GET /`, if that was not done yet;
    /// the answer is kept. Retry class: safe. @throws api_error, client_error
    typename Mode::template result<std::string> server_version() const {
        return Mode::run(scope_, [](const detail::call_scope& scope) {
            std::string version = scope.state->negotiation().announced();
            return version.empty() ? detail::say_hello(scope).version : version;
        });
    }
    /// The protocol version that calls are made in: the configuration's, or else the lower of what the server and this
    /// SDK know, v4.20190315 for a server that does not say. Retry class: safe. @throws client_error
    typename Mode::template result<std::string> protocol_version() const {
        return Mode::run(scope_, [](const detail::call_scope& scope) { return scope.negotiate().version; });
    }

    /// Logs in at a webserver, endpoint_type "session": `POST /server/login`. All that follows is done as this user, by
    /// all who share the session object; who was logged in before is not any more. Retry class: unsafe.
    /// @param otp the one-time password, for users who have set that up
    /// @throws login_error when the server refuses it; api_error 429 after too many of those; client_error{argument}
    ///         for an endpoint of another type; client_error{io} when cookie_file cannot be written
    typename Mode::template result<login_info> login(std::string user, std::string password,
                                                     std::string otp = {}) const {
        return Mode::run(scope_, [user = std::move(user), password = std::move(password),
                                  otp = std::move(otp)](const detail::call_scope& scope) {
            return detail::session_login(scope, user, password, otp);
        });
    }
    /// Who is logged in, if anybody: `POST /server/login-check`. Retry class: safe.
    /// @throws api_error, client_error; argument for an endpoint of another type
    typename Mode::template result<std::optional<login_info>> login_check() const {
        return Mode::run(scope_, [](const detail::call_scope& scope) { return detail::session_login_check(scope); });
    }
    /// Ends the login, and deletes cookie_file: `POST /server/logout`. Retry class: safe.
    /// @throws as login_check()
    typename Mode::template result<void> logout() const {
        return Mode::run(scope_, [](const detail::call_scope& scope) { detail::session_logout(scope); });
    }

    /// Functions of compute sessions in general: `session.kernel().get_or_create(...)`.
    basic_kernel_functions<Transport, Mode> kernel() const { return basic_kernel_functions<Transport, Mode>(scope_); }
    /// A handle to an existing compute session, by its id or client token. Makes no request.
    basic_kernel<Transport, Mode> kernel(std::string kernel_id) const {
        kernel_creation existing;
        existing.name = kernel_id;
        existing.kernel_id = std::move(kernel_id);
        return basic_kernel<Transport, Mode>(scope_, std::move(existing));
    }

    /// Functions of virtual folders in general: `session.vfolder().create(...)`.
    basic_vfolder_functions<Transport, Mode> vfolder() const {
        return basic_vfolder_functions<Transport, Mode>(scope_);
    }
    /// A handle to a virtual folder, by its name. Makes no request.
    basic_vfolder<Transport, Mode> vfolder(std::string name) const {
        return basic_vfolder<Transport, Mode>(scope_, std::move(name));
    }

    /// Administration by GraphQL, and listings for administrators.
    basic_admin_functions<Transport, Mode> admin() const { return basic_admin_functions<Transport, Mode>(scope_); }
    /// Functions of agents in general.
    basic_agent_functions<Transport, Mode> agent() const { return basic_agent_functions<Transport, Mode>(scope_); }
    /// A handle to an agent by its id. Makes no request.
    basic_agent<Transport, Mode> agent(std::string agent_id) const {
        return basic_agent<Transport, Mode>(scope_, std::move(agent_id));
    }
    /// Functions of images.
    basic_image_functions<Transport, Mode> image() const { return basic_image_functions<Transport, Mode>(scope_); }
    /// Functions of key pairs in general.
    basic_keypair_functions<Transport, Mode> keypair() const {
        return basic_keypair_functions<Transport, Mode>(scope_);
    }
    /// A handle to a key pair by its access key. Makes no request.
    basic_keypair<Transport, Mode> keypair(std::string access_key) const {
        return basic_keypair<Transport, Mode>(scope_, std::move(access_key));
    }
    /// Control of the server.
    basic_manager_functions<Transport, Mode> manager() const {
        return basic_manager_functions<Transport, Mode>(scope_);
    }

    /// The same doors, with other limits for the calls made through them.
    basic_session_view with(call_options options) const {
        return basic_session_view({scope_.state, std::move(options)});
    }

    /// The configuration in force, every field filled; but for the version, when it is negotiated.
    const api_config& config() const noexcept { return scope_.state->config(); }
    /// Whether the session was closed, or moved from.
    bool closed() const noexcept { return !scope_.state || scope_.state->closed(); }

    const detail::call_scope& scope() const noexcept { return scope_; }

protected:
    detail::call_scope scope_;
};

/// A session: meant to live as long as the program talks to the server, shared by its threads.
/// Closing or destroying it ends the calls that are running with client_error{closed} and waits for them; later calls
/// on handles made from it throw the same. One that was moved from can be closed, destroyed and asked whether it
/// is closed(), nothing else. Thread-safe, close() included. In async mode see also mode_async.hpp.
template <class Transport, class Mode>
class basic_session : public basic_session_view<Transport, Mode> {
    using view = basic_session_view<Transport, Mode>;

public:
    /// With the process-wide configuration. @throws client_error{argument} as get_config().
    basic_session() : basic_session(get_config()) {}

    /// With a configuration whose unset fields come from the environment and the defaults.
    explicit basic_session(api_config config) : view(build(resolve_config(std::move(config)))) {}

    /// With a ready-made transport.
    basic_session(api_config config, Transport transport)
        : view({std::make_shared<detail::session_state>(
                    resolve_config(std::move(config)),
                    std::make_unique<detail::transport_holder<Transport>>(std::move(transport))),
                {}}) {}

    basic_session(basic_session&& other) noexcept = default;
    basic_session& operator=(basic_session&&) = delete;
    ~basic_session() { close(); }

    /// Ends the session; see the class. May be called more than once.
    void close() {
        if (this->scope_.state) this->scope_.state->close();
    }

    /// The transport it was made with.
    Transport& transport() noexcept {
        return static_cast<detail::transport_holder<Transport>&>(this->scope_.state->transport()).transport();
    }

private:
    static detail::call_scope build(api_config config) {
        static_assert(
            std::is_constructible_v<Transport, const api_config&>,
            "backendai: this transport cannot be made from an api_config: use basic_session(config, transport)");
        auto transport = std::make_unique<detail::transport_holder<Transport>>(config);
        return {std::make_shared<detail::session_state>(std::move(config), std::move(transport)), {}};
    }
};

BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/tunnel_connection.hpp
/// @file
/// One connection of a tunnel: a local socket, a websocket, and a thread for each direction.
#ifndef BACKENDAI_TUNNEL_CONNECTION_HPP
#define BACKENDAI_TUNNEL_CONNECTION_HPP


#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

/// What the service speaks, which decides the endpoint and how a refusal is told to the local side.
enum class tunnel_protocol { http, tcp };

/// Options of app_tunnel.
struct tunnel_options {
    std::string bind = "127.0.0.1"; ///< numeric address to listen on. Others than loopback let other machines in!
    std::uint16_t port = 0;         ///< 0 is any free one
    tunnel_protocol protocol = tunnel_protocol::http;
    std::size_t max_connections = 256; ///< more are refused
    std::chrono::milliseconds half_close_timeout{
        60'000}; ///< how long to wait for the service after the local side's end
    /// Told why a connection failed; one call at a time, on a thread of the tunnel. Must not throw.
    std::function<void(const error&)> on_error;
};

namespace detail {

/// Made by the accepting thread; runs until either side is done.
class tunnel_connection {
    using clock = std::chrono::steady_clock;

public:
    using opener = std::function<std::unique_ptr<message_stream>()>;

    tunnel_connection(os::tcp_socket local, const tunnel_options& options, const opener& open, std::mutex& errors,
                      bool is_refused)
        : local_(std::move(local)), options_(options), errors_(errors) {
        thread_ = os::start_thread([this, &open, is_refused] {
            try {
                run(open, is_refused);
            } catch (const std::exception&) {
                local_.shutdown(); // no memory: both sides see their connections end
            }
            done_ = true;
        });
    }
    tunnel_connection(const tunnel_connection&) = delete;
    tunnel_connection& operator=(const tunnel_connection&) = delete;
    ~tunnel_connection() { thread_.join(); }

    bool is_done() const noexcept { return done_; }
    /// Ends the local side; the websocket is ended by the tunnel's cancel token.
    void interrupt() noexcept { local_.shutdown(); }

private:
    static constexpr std::size_t buffer_size = 128U << 10U;

    void run(const opener& open, bool is_refused) {
        std::thread upward;
        try {
            if (is_refused) throw client_error(error_kind::io, "too many connections");
            remote_ = open();
            last_received_ = clock::now();
            upward = os::start_thread([this] { carry_up(); });
        } catch (const api_error& e) {
            refuse(e.status() == 404 ? "404 Not Found" : "502 Bad Gateway", e);
            return;
        } catch (const client_error& e) {
            const bool is_busy =
                e.kind() == error_kind::io || e.kind() == error_kind::closed || e.kind() == error_kind::cancelled;
            refuse(is_busy                           ? "503 Service Unavailable"
                   : e.kind() == error_kind::timeout ? "504 Gateway Timeout"
                                                     : "502 Bad Gateway",
                   e);
            return;
        }
        bool is_clean = false;
        try {
            is_clean = carry_down();
        } catch (const std::bad_alloc&) {
            // As a connection that breaks, to either side.
        }
        end(is_clean);
        upward.join();
        remote_->close();
    }

    // Service to local side, until the service ends (true) or either is broken.
    bool carry_down() {
        bool any = false;
        try {
            for (;;) {
                const stream_message message = remote_->receive();
                if (message.is_closed()) return judge_end(message, any);
                {
                    const std::lock_guard<std::mutex> lock(mutex_);
                    last_received_ = clock::now();
                }
                any = any || !message.data.empty();
                local_.write(message.data);
            }
        } catch (const client_error& e) {
            if (e.kind() != error_kind::cancelled && e.kind() != error_kind::closed) {
                if (!any) answer("502 Bad Gateway", e.what());
                report(e);
                return !any;
            }
        } catch (const std::system_error&) {
            // The local side is gone: it does not want to hear more, and nobody else is concerned.
        }
        return false;
    }

    bool judge_end(const stream_message& end, bool any) {
        // 1006 comes after a goodbye of our own only. 1001: the service has closed its connection.
        if (end.code == 1000 || end.code == 1001 || end.code == 1005 || end.code == 1006) return true;
        const bool is_refusal = end.code == 1011 || end.code == 1013 || end.code == 1014;
        std::string text =
            is_refusal && !any ? "the service refused the connection" : "the connection to the service failed";
        text += " (close code " + std::to_string(end.code) + (end.data.empty() ? ")" : "): " + end.data);
        if (!any) answer("502 Bad Gateway", text);
        report(client_error(error_kind::connect, text, client_error::progress::maybe_sent));
        return !any;
    }

    // Local side to service, until the local side ends; then waits for the other direction.
    void carry_up() noexcept {
        bool is_reset = false;
        try {
            std::vector<char> buffer(buffer_size);
            bool discards = false; // what comes after the service's end
            while (const std::size_t count = local_.read(buffer.data(), buffer.size())) {
                if (discards) continue;
                try {
                    remote_->send_binary(std::string_view(buffer.data(), count));
                } catch (const client_error& e) {
                    discards = true;
                    give_up(e);
                }
            }
        } catch (const std::exception&) { // the local side is gone, or there is no memory
            is_reset = true;
        }
        std::unique_lock<std::mutex> lock(mutex_);
        up_over_ = true;
        changed_.notify_all();
        while (!down_over_ && !is_reset && !lost_) {
            const auto end = last_received_ + options_.half_close_timeout;
            if (clock::now() >= end) break;
            changed_.wait_until(lock, end);
        }
        if (down_over_) return;
        lock.unlock();
        try {
            remote_->close();
        } catch (const std::bad_alloc&) {
            remote_->cancel();
        }
        lock.lock();
        if (!changed_.wait_for(lock, std::chrono::seconds(5), [this] { return down_over_; })) remote_->cancel();
    }

    // Nothing can be sent to the service any more. The other direction tells why, unless it waits for a peer that only
    // this one has lost, which would go on as long as the local side waits for an answer.
    void give_up(const client_error& why) {
        {
            std::unique_lock<std::mutex> lock(mutex_);
            lost_ = true;
            changed_.notify_all();
            if (why.kind() == error_kind::closed) return;
            if (changed_.wait_for(lock, std::chrono::seconds(2), [this] { return down_over_; })) return;
        }
        report(why);
        remote_->cancel();
    }

    // The other direction reads on for a moment, as closing over unread bytes would reset what was just sent.
    void end(bool is_clean) {
        if (is_clean) local_.shutdown_writes();
        std::unique_lock<std::mutex> lock(mutex_);
        down_over_ = true;
        changed_.notify_all();
        if (is_clean) changed_.wait_for(lock, std::chrono::seconds(2), [this] { return up_over_; });
        lock.unlock();
        local_.shutdown();
    }

    // No websocket came about.
    void refuse(const char* status, const error& why) {
        answer(status, why.what());
        report(why);
        try {
            local_.shutdown_writes();
            std::vector<char> buffer(4096);
            const auto end = clock::now() + std::chrono::seconds(2);
            while (clock::now() < end && local_.wait_readable(std::chrono::milliseconds(100)) &&
                   local_.read(buffer.data(), buffer.size()) != 0) {
            }
        } catch (const std::system_error&) {
            // It did not wait for the answer.
        }
        local_.shutdown();
    }

    void answer(const char* status, const std::string& why) {
        if (options_.protocol != tunnel_protocol::http) return;
        const std::string body = "Backend.AI tunnel: " + why + "\n";
        try {
            local_.write("HTTP/1.1 " + std::string(status) +
                         "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: " +
                         std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" + body);
        } catch (const std::system_error&) {
            // It is gone; on_error is told all the same.
        }
    }

    void report(const error& why) {
        const std::lock_guard<std::mutex> lock(errors_);
        if (options_.on_error) options_.on_error(why);
    }

    os::tcp_socket local_; // closed by the destructor only: interrupt() may come at any time
    const tunnel_options& options_;
    std::mutex& errors_;
    std::unique_ptr<message_stream> remote_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool up_over_ = false, down_over_ = false, lost_ = false;
    clock::time_point last_received_;
    std::atomic<bool> done_{false};
    std::thread thread_;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN

namespace detail {

/// The listening side of a tunnel: one thread that accepts, and the connections.
class tunnel {
public:
    tunnel(call_scope scope, const std::string& kernel_id, const std::string& app, tunnel_options options)
        : options_(std::move(options)) {
        require_single_name(app, "the service's name");
        call what = stream_call(kernel_id, options_.protocol == tunnel_protocol::http ? "/httpproxy" : "/tcpproxy");
        what.query.emplace_back("app", app);
        on_cancel_ = std::make_unique<cancel_token::listener>(scope.options.cancel, [this] { interrupt(); });
        scope.options.cancel = stopping_.token();
        open_ = [scope = std::move(scope), what = std::move(what)] { return scope.open_websocket(what); };
        os::tcp_listener listener = os::listen_on(options_.bind, options_.port);
        listener_ = std::move(listener.socket);
        port_ = listener.port;
        acceptor_ = os::start_thread([this] { accept_loop(); });
    }
    tunnel(const tunnel&) = delete;
    tunnel& operator=(const tunnel&) = delete;
    ~tunnel() { stop(); }

    std::uint16_t port() const noexcept { return port_; }
    std::size_t connections() {
        join_finished();
        const std::lock_guard<std::mutex> lock(mutex_);
        return connections_.size();
    }

    void stop() {
        const std::lock_guard<std::mutex> once(stop_mutex_);
        on_cancel_.reset();
        interrupt();
        if (!acceptor_.joinable()) return;
        acceptor_.join();
        listener_.close();
        std::list<tunnel_connection> last; // joined outside the lock, which their threads may wait for
        const std::lock_guard<std::mutex> lock(mutex_);
        last.swap(connections_);
    }

private:
    // Everything that blocks comes back: websockets by the token, the local sides by their shutdown.
    void interrupt() {
        stopping_.cancel();
        const std::lock_guard<std::mutex> lock(mutex_);
        for (tunnel_connection& item : connections_) item.interrupt();
    }

    void accept_loop() {
        while (!stopping_.cancelled()) {
            os::tcp_socket local = listener_.accept(std::chrono::milliseconds(100));
            join_finished();
            if (!local.is_open()) continue;
            const std::lock_guard<std::mutex> lock(mutex_);
            if (stopping_.cancelled()) return;
            const bool is_full = connections_.size() >= options_.max_connections;
            try {
                connections_.emplace_back(std::move(local), options_, open_, errors_, is_full);
            } catch (const std::exception&) {
                // No thread or no memory for it: it is closed, and the next one may fare better.
            }
        }
    }

    void join_finished() {
        std::list<tunnel_connection> finished;
        const std::lock_guard<std::mutex> lock(mutex_);
        for (auto item = connections_.begin(); item != connections_.end();) {
            const auto next = std::next(item);
            if (item->is_done()) finished.splice(finished.end(), connections_, item);
            item = next;
        }
    }

    const tunnel_options options_;
    cancel_source stopping_;
    std::unique_ptr<cancel_token::listener> on_cancel_;
    std::function<std::unique_ptr<message_stream>()> open_;
    std::mutex errors_; // one call of on_error at a time
    os::tcp_socket listener_;
    std::uint16_t port_ = 0;
    std::mutex mutex_, stop_mutex_;
    std::list<tunnel_connection> connections_;
    std::thread acceptor_;
};

} // namespace detail

/// Listens on a port of this machine and carries each connection to a service of a compute session over a websocket of
/// its own: `GET /stream/kernel/ID/httpproxy` or `/tcpproxy`.
///
/// - Threads: one that accepts, and two for each connection that is open, of which there are tunnel_options::
///   max_connections at most. Memory: a fixed buffer and one message for each direction of a connection; a side that
///   does not read stops the other.
/// - When the local side ends its half, what the service still sends is carried until the service ends too, or sends
///   nothing for half_close_timeout: the protocol cannot tell the service about the half-close.
/// - A service that refuses, a session that is gone: an HTTP client gets a 502, 503, 504 or 404 answer that says why,
///   others a closed connection; on_error is told.
///
/// Stops when it is destroyed, and when the session is closed its connections end. Thread-safe.
class app_tunnel {
public:
    /// @param app the service's name, one of get_or_create()'s service_ports()
    /// @throws client_error{argument} for a bad address, io when the port cannot be listened on
    template <class Transport, class Mode>
    app_tunnel(const basic_session_view<Transport, Mode>& session, const std::string& kernel_id, const std::string& app,
               tunnel_options options = {})
        : tunnel_(std::make_unique<detail::tunnel>(session.scope(), kernel_id, app, std::move(options))) {
        static_assert(is_websocket_transport_v<Transport>,
                      "backendai: app_tunnel needs a transport with websockets: this one lacks websocket_opening "
                      "open_websocket(http_request&, const exchange_context&), see backendai/transport/concept.hpp");
    }
    /// To a service as get_or_create() told it, by the protocol that it names.
    template <class Transport, class Mode>
    app_tunnel(const basic_session_view<Transport, Mode>& session, const std::string& kernel_id,
               const service_port& service, tunnel_options options = {})
        : app_tunnel(session, kernel_id, service.name,
                     (options.protocol = service.protocol == "http" ? tunnel_protocol::http : tunnel_protocol::tcp,
                      std::move(options))) {}

    /// The local port.
    std::uint16_t port() const noexcept { return tunnel_->port(); }
    /// How many connections are open now.
    std::size_t connections() const { return tunnel_->connections(); }
    /// Ends the tunnel and all its connections, and waits for their threads. May be called more than once; not from
    /// on_error.
    void stop() { tunnel_->stop(); }

private:
    std::unique_ptr<detail::tunnel> tunnel_;
};

BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/attach_terminal.hpp
/// @file
/// The terminal that the program runs in, attached to one in a compute session.
#ifndef BACKENDAI_ATTACH_TERMINAL_HPP
#define BACKENDAI_ATTACH_TERMINAL_HPP

// ---- backendai/os/terminal.hpp
/// @file
/// The terminal that a program runs in: raw mode, size, and keys as they are typed.
#ifndef BACKENDAI_OS_TERMINAL_HPP
#define BACKENDAI_OS_TERMINAL_HPP

// ---- backendai/os/terminal_signals.hpp
/// @file
/// A terminal in raw mode gets its settings back also when the program ends by a signal, abort() or exit(), and its
/// change of size is told. POSIX only: a Windows console sends no such signals in raw mode.
#ifndef BACKENDAI_OS_TERMINAL_SIGNALS_HPP
#define BACKENDAI_OS_TERMINAL_SIGNALS_HPP


#ifndef _WIN32
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <signal.h> // NOLINT(modernize-deprecated-headers): sigaction is POSIX, not C++
#include <termios.h>
#include <unistd.h>

BACKENDAI_NAMESPACE_BEGIN
namespace os {

/// Handles the signals of one terminal for its lifetime; a second object at the same time does nothing. A signal for
/// which the program has a handler, or which it ignores, stays the program's.
class terminal_signals {
public:
    /// @param terminal whose settings @p before are restored when the program ends
    /// @param wake descriptor of a non-blocking pipe that gets a byte when the size changes
    terminal_signals(int terminal, const termios& before, int wake)
        : terminal_(terminal), before_(before), wake_(wake) {
        terminal_signals* none = nullptr;
        if (!current().compare_exchange_strong(none, this)) return;
        static const int registered = std::atexit(&restore);
        (void)registered;
        take(SIGWINCH, &on_resize, SA_RESTART, window_);
        for (std::size_t i = 0; i < deadly.size(); ++i) take(deadly[i], &on_end, 0, others_[i]);
    }
    terminal_signals(const terminal_signals&) = delete;
    terminal_signals& operator=(const terminal_signals&) = delete;
    /// The terminal's settings should be restored before.
    ~terminal_signals() {
        if (current().load() != this) return;
        for (std::size_t i = 0; i < deadly.size(); ++i) give_back(deadly[i], others_[i]);
        give_back(SIGWINCH, window_);
        current() = nullptr;
    }

private:
    static constexpr std::array<int, 9> deadly{
        {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}};

    struct former {
        struct sigaction action {};
        bool taken = false;
    };

    static std::atomic<terminal_signals*>& current() noexcept {
        static std::atomic<terminal_signals*> present{nullptr};
        return present;
    }

    static void take(int number, void (*handler)(int), int flags, former& before) noexcept {
        if (::sigaction(number, nullptr, &before.action) != 0) return;
        const bool is_default = (before.action.sa_flags & SA_SIGINFO) == 0 && before.action.sa_handler == SIG_DFL;
        if (!is_default) return;
        struct sigaction action {};
        action.sa_handler = handler;
        action.sa_flags = flags;
        sigemptyset(&action.sa_mask);
        sigaddset(&action.sa_mask, SIGTTOU); // a program in the background would be stopped in restore()
        before.taken = ::sigaction(number, &action, nullptr) == 0;
    }
    static void give_back(int number, former& before) noexcept {
        if (before.taken) ::sigaction(number, &before.action, nullptr);
    }

    // From here on nothing but what POSIX allows in a signal handler.
    static void restore() {
        if (const terminal_signals* const present = current().load()) {
            ::tcsetattr(present->terminal_, TCSANOW, &present->before_);
        }
    }
    static void on_end(int number) {
        restore();
        // Blocked until this returns, then the end that it would have been: for a crash, where it happened.
        ::signal(number, SIG_DFL);
        ::raise(number);
    }
    static void on_resize(int /*number*/) {
        const int error = errno;
        if (const terminal_signals* const present = current().load()) {
            const char byte = 0;
            if (::write(present->wake_, &byte, 1) < 0) errno = error; // full of wake-ups already
        }
        errno = error;
    }

    const int terminal_;
    const termios before_;
    const int wake_;
    former window_;
    std::array<former, deadly.size()> others_{};
};

} // namespace os
BACKENDAI_NAMESPACE_END

#endif

#endif

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#ifdef _WIN32
#ifndef NOMINMAX
#define NOMINMAX
#endif
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>
#else
#include <cerrno>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#endif

BACKENDAI_NAMESPACE_BEGIN
namespace os {

/// In characters; 0 by 0 where there is no terminal.
struct terminal_size {
    int rows = 0, cols = 0;
    friend bool operator==(const terminal_size& a, const terminal_size& b) {
        return a.rows == b.rows && a.cols == b.cols;
    }
    friend bool operator!=(const terminal_size& a, const terminal_size& b) { return !(a == b); }
};

namespace detail {

[[noreturn]] inline void throw_terminal(const char* what) {
#ifdef _WIN32
    const int error = static_cast<int>(GetLastError());
#else
    const int error = errno;
#endif
    throw client_error(error_kind::io,
                       std::string("the terminal: ") + what + ": " + std::system_category().message(error));
}

} // namespace detail

#ifdef _WIN32

/// In raw mode from its making to its end. One thread reads, another writes; wake() may come from any thread.
class raw_terminal {
public:
    raw_terminal()
        : input_(GetStdHandle(STD_INPUT_HANDLE)),
          output_(GetStdHandle(STD_OUTPUT_HANDLE)),
          woken_(CreateEventW(nullptr, TRUE, FALSE, nullptr)) {
        if (woken_ == nullptr) detail::throw_terminal("no event");
        is_input_ = GetConsoleMode(input_, &input_mode_) != 0;
        is_output_ = GetConsoleMode(output_, &output_mode_) != 0;
        if (is_input_) SetConsoleMode(input_, ENABLE_VIRTUAL_TERMINAL_INPUT);
        if (is_output_) {
            SetConsoleMode(output_, ENABLE_PROCESSED_OUTPUT | ENABLE_VIRTUAL_TERMINAL_PROCESSING);
        }
    }
    raw_terminal(const raw_terminal&) = delete;
    raw_terminal& operator=(const raw_terminal&) = delete;
    ~raw_terminal() {
        if (is_input_) SetConsoleMode(input_, input_mode_);
        if (is_output_) SetConsoleMode(output_, output_mode_);
        CloseHandle(woken_);
    }

    terminal_size size() const {
        CONSOLE_SCREEN_BUFFER_INFO info{};
        if (!is_input_ || !is_output_ || !GetConsoleScreenBufferInfo(output_, &info)) return {};
        return {info.srWindow.Bottom - info.srWindow.Top + 1, info.srWindow.Right - info.srWindow.Left + 1};
    }
    std::optional<std::string> read_for(std::chrono::milliseconds limit) {
        const HANDLE both[] = {woken_, input_};
        if (WaitForMultipleObjects(2, both, FALSE, static_cast<DWORD>(limit.count())) != WAIT_OBJECT_0 + 1) {
            return std::string();
        }
        char buffer[4096];
        DWORD count = 0;
        if (!ReadFile(input_, buffer, sizeof buffer, &count, nullptr) || count == 0) return std::nullopt;
        return std::string(buffer, count);
    }
    void write(std::string_view bytes) {
        while (!bytes.empty()) {
            DWORD count = 0;
            if (!WriteFile(output_, bytes.data(), static_cast<DWORD>(bytes.size()), &count, nullptr)) {
                detail::throw_terminal("cannot write");
            }
            bytes.remove_prefix(count);
        }
    }
    void wake() noexcept { SetEvent(woken_); }

private:
    const HANDLE input_, output_, woken_;
    DWORD input_mode_ = 0, output_mode_ = 0;
    bool is_input_ = false, is_output_ = false;
};

#else

/// In raw mode from its making to its end; what is no terminal is left as it is. One thread reads, another writes;
/// wake() may come from any thread.
class raw_terminal {
public:
    /// @param signals see terminal_signals
    explicit raw_terminal(int input = STDIN_FILENO, int output = STDOUT_FILENO, bool signals = true)
        : input_(input), output_(output) {
        if (::pipe(wake_) != 0) detail::throw_terminal("no pipe");
        for (const int end : wake_) {
            ::fcntl(end, F_SETFD, FD_CLOEXEC);
            ::fcntl(end, F_SETFL, O_NONBLOCK);
        }
        is_terminal_ = ::tcgetattr(input_, &before_) == 0;
        if (!is_terminal_) return;
        if (signals) signals_.emplace(input_, before_, wake_[1]);
        termios raw = before_;
        ::cfmakeraw(&raw);
        if (::tcsetattr(input_, TCSANOW, &raw) != 0) {
            for (const int end : wake_) ::close(end);
            detail::throw_terminal("cannot be set to raw mode");
        }
    }
    raw_terminal(const raw_terminal&) = delete;
    raw_terminal& operator=(const raw_terminal&) = delete;
    ~raw_terminal() {
        if (is_terminal_) ::tcsetattr(input_, TCSADRAIN, &before_);
        signals_.reset(); // before the pipe goes
        for (const int end : wake_) ::close(end);
    }

    terminal_size size() const {
        winsize known{};
        if (!is_terminal_ || ::ioctl(input_, TIOCGWINSZ, &known) != 0) return {};
        return {known.ws_row, known.ws_col};
    }
    /// What was typed; empty when nothing came within @p limit or wake() was called; nothing at the end of the input.
    std::optional<std::string> read_for(std::chrono::milliseconds limit) {
        pollfd both[] = {{input_, POLLIN, 0}, {wake_[0], POLLIN, 0}};
        if (::poll(both, 2, static_cast<int>(limit.count())) <= 0) return std::string();
        char buffer[4096];
        if (both[1].revents != 0 && ::read(wake_[0], buffer, sizeof buffer) < 0) return std::string();
        if (both[0].revents == 0) return std::string();
        const ssize_t count = ::read(input_, buffer, sizeof buffer);
        if (count > 0) return std::string(buffer, static_cast<std::size_t>(count));
        if (count < 0 && (errno == EINTR || errno == EAGAIN)) return std::string();
        return std::nullopt;
    }
    void write(std::string_view bytes) {
        while (!bytes.empty()) {
            const ssize_t count = ::write(output_, bytes.data(), bytes.size());
            if (count > 0) {
                bytes.remove_prefix(static_cast<std::size_t>(count));
            } else if (errno == EAGAIN) {
                pollfd entry{output_, POLLOUT, 0};
                ::poll(&entry, 1, 1000);
            } else if (errno != EINTR) {
                detail::throw_terminal("cannot be written to");
            }
        }
    }
    /// Makes read_for() return, now or the next time.
    void wake() noexcept {
        const char byte = 0;
        if (::write(wake_[1], &byte, 1) < 0) return; // full of wake-ups already
    }

private:
    const int input_, output_;
    int wake_[2] = {-1, -1};
    termios before_{};
    bool is_terminal_ = false;
    std::optional<terminal_signals> signals_;
};

#endif

} // namespace os
BACKENDAI_NAMESPACE_END

#endif

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN

/// Options of attach_terminal().
struct terminal_options {
    /// What is typed to detach: Ctrl-], as in telnet. Several characters are held back until they are all there, or
    /// another one comes. Empty: nothing detaches.
    std::string detach = "\x1d";
    std::chrono::milliseconds size_interval{250}; ///< how often the window's size is looked at
#ifndef _WIN32
    int input = 0, output = 1; ///< descriptors of the terminal, or of whatever stands for it
    /// Handles signals meanwhile, those for which the program has no handler: a change of size is told at once, and a
    /// signal, crash or exit() that ends the program leaves the terminal as it was.
    bool signals = true;
#endif
};

/// How attach_terminal() came to an end.
enum class terminal_end {
    ended,   ///< the terminal in the compute session did
    detached ///< the user typed terminal_options::detach; what runs there goes on as far as the server lets it
};

namespace detail {

/// Finds the sequence that detaches among what is typed.
class detach_filter {
public:
    explicit detach_filter(std::string sequence) : sequence_(std::move(sequence)) {}

    /// What of @p typed is to be sent on; what follows the sequence is dropped.
    std::string pass(std::string_view typed) {
        std::string text;
        for (const char c : typed) {
            if (found_) break;
            held_ += c;
            while (!held_.empty() && sequence_.compare(0, held_.size(), held_) != 0) {
                text += held_.front(); // cannot be its beginning; what follows may be
                held_.erase(0, 1);
            }
            found_ = !sequence_.empty() && held_ == sequence_;
        }
        return text;
    }
    bool found() const noexcept { return found_; }

private:
    const std::string sequence_;
    std::string held_; // the part of the sequence that was typed until now
    bool found_ = false;
};

/// The side that shows what comes, on a thread of its own.
class terminal_output {
public:
    terminal_output(pty_stream& pty, os::raw_terminal& terminal) : pty_(pty), terminal_(terminal) {
        thread_ = os::start_thread([this] { run(); });
    }
    terminal_output(const terminal_output&) = delete;
    terminal_output& operator=(const terminal_output&) = delete;
    ~terminal_output() {
        pty_.cancel();
        thread_.join();
    }

    bool over() const noexcept { return over_; }
    /// @return whether it ended within @p limit
    bool wait_for(std::chrono::milliseconds limit) {
        std::unique_lock<std::mutex> lock(mutex_);
        return changed_.wait_for(lock, limit, [this] { return over_.load(); });
    }
    /// Once it is over. @throws what ended it
    void rethrow() const {
        if (failure_) std::rethrow_exception(failure_);
    }

private:
    void run() {
        try {
            while (const std::optional<std::string> bytes = pty_.read()) terminal_.write(*bytes);
        } catch (...) {
            failure_ = std::current_exception();
        }
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            over_ = true;
        }
        changed_.notify_all();
        terminal_.wake();
    }

    pty_stream& pty_;
    os::raw_terminal& terminal_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::exception_ptr failure_; // written before over_
    std::atomic<bool> over_{false};
    std::thread thread_;
};

} // namespace detail

/// Hands the program's own terminal over to @p pty: raw mode, so that every key goes there; its size, and every change
/// of it (by the signal, and looked at from time to time, where that is the program's); what comes is shown. Returns
/// when either end is over, with the terminal as it was before. Input or output that is no terminal works too, a file
/// of commands for example: at its end the terminal there is waited for.
/// @throws what pty_stream::read() and write() throw; client_error{io} when the local terminal cannot be used
inline terminal_end attach_terminal(pty_stream& pty, terminal_options options = {}) {
#ifdef _WIN32
    os::raw_terminal local;
#else
    os::raw_terminal local(options.input, options.output, options.signals);
#endif
    detail::detach_filter filter(std::move(options.detach));
    detail::terminal_output output(pty, local);
    os::terminal_size size;
    bool has_input = true;
    while (!output.over()) {
        const os::terminal_size present = local.size();
        try {
            if (present != size && present.rows > 0 && present.cols > 0) {
                size = present;
                pty.resize(size.rows, size.cols);
            }
            if (!has_input) {
                output.wait_for(options.size_interval);
                continue;
            }
            const std::optional<std::string> typed = local.read_for(options.size_interval);
            has_input = typed.has_value();
            if (!typed) continue;
            pty.write(filter.pass(*typed));
        } catch (const client_error&) {
            // The other direction knows better why the stream is over, if it is.
            if (output.wait_for(std::chrono::seconds(2))) break;
            throw;
        }
        if (filter.found()) {
            pty.close();
            output.wait_for(std::chrono::seconds(2)); // for what was under way; a server that is silent is left behind
            return terminal_end::detached;
        }
    }
    output.rethrow();
    return terminal_end::ended;
}

BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/codec/websocket.hpp
/// @file
/// WebSockets (RFC 6455) without I/O, both roles: the front of the handshake, the decoder, the encoder and the control
/// state, and one object that ties the last three together for a connection.
#ifndef BACKENDAI_CODEC_WEBSOCKET_HPP
#define BACKENDAI_CODEC_WEBSOCKET_HPP

// ---- backendai/codec/websocket_control.hpp
/// @file
/// RFC 6455 sections 5.5 and 7: what has to be answered to control frames, and where the closing handshake stands.
#ifndef BACKENDAI_CODEC_WEBSOCKET_CONTROL_HPP
#define BACKENDAI_CODEC_WEBSOCKET_CONTROL_HPP

// ---- backendai/codec/websocket_encoder.hpp
/// @file
/// Messages to RFC 6455 frames.
#ifndef BACKENDAI_CODEC_WEBSOCKET_ENCODER_HPP
#define BACKENDAI_CODEC_WEBSOCKET_ENCODER_HPP

// ---- backendai/codec/websocket_types.hpp
/// @file
/// The words of RFC 6455 that encoder, decoder and handshake share: roles, opcodes, close codes, events, the error.
#ifndef BACKENDAI_CODEC_WEBSOCKET_TYPES_HPP
#define BACKENDAI_CODEC_WEBSOCKET_TYPES_HPP


#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// Which side of the connection we are. A client masks every frame it sends, a server none (RFC 6455 section 5.1).
enum class websocket_role { client, server };

/// RFC 6455 section 5.2. The values are those of the wire.
enum class websocket_opcode : std::uint8_t { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

/// Close codes of RFC 6455 section 7.4.1 and of the IANA registry that followed it.
namespace websocket_close {
inline constexpr std::uint16_t normal = 1000;
inline constexpr std::uint16_t going_away = 1001;
inline constexpr std::uint16_t protocol_error = 1002;
inline constexpr std::uint16_t unsupported_data = 1003;
inline constexpr std::uint16_t no_status = 1005; ///< never on the wire: a close frame without a code
inline constexpr std::uint16_t abnormal = 1006;  ///< never on the wire: the connection ended without a close frame
inline constexpr std::uint16_t invalid_payload = 1007;
inline constexpr std::uint16_t policy_violation = 1008;
inline constexpr std::uint16_t message_too_big = 1009;
inline constexpr std::uint16_t extension_required = 1010;
inline constexpr std::uint16_t internal_error = 1011;
inline constexpr std::uint16_t service_restart = 1012;
inline constexpr std::uint16_t try_again_later = 1013;
inline constexpr std::uint16_t bad_gateway = 1014; ///< Backend.AI: the service port refused the connection
} // namespace websocket_close

/// True when a close frame may carry this code: registered ones, and the ranges for libraries and applications.
constexpr bool is_valid_close_code(unsigned code) noexcept {
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

/// True for close, ping and pong: at most 125 bytes, never fragmented, allowed between the fragments of a message.
constexpr bool is_control(websocket_opcode opcode) noexcept {
    return static_cast<unsigned>(opcode) >= 8;
}

/// The peer broke RFC 6455 (or one of our limits). close_code() is what to send in the close frame; what() says why.
class websocket_error : public decode_error {
public:
    websocket_error(std::uint16_t close_code, const std::string& what)
        : decode_error("websocket: " + what), close_code_(close_code) {}

    /// 1002 protocol error, 1007 invalid UTF-8, 1009 too big.
    std::uint16_t close_code() const noexcept { return close_code_; }

private:
    std::uint16_t close_code_;
};

/// What a decoder found. Views stay valid until the decoder's next call and as long as the input they came from.
struct websocket_event {
    websocket_opcode opcode = websocket_opcode::text; ///< text, binary, ping, pong or close; never continuation
    std::string_view payload;                         ///< the message or its piece; of a close frame the reason
    std::uint16_t code = 0;                           ///< of a close frame: its code, 1005 when it had none
    bool first = true;                                ///< false for later pieces of a streamed message
    bool last = true;                                 ///< false while more pieces of a streamed message follow
};

/// What a decoder accepts and how it hands messages out.
struct websocket_limits {
    std::uint64_t max_frame_size = 0;            ///< bytes of payload in one frame; 0: only the message limit
    std::uint64_t max_message_size = 64U << 20U; ///< bytes of a whole message, fragments together; 0: no limit
    bool stream_fragments = false;               ///< hand out pieces as they arrive instead of whole messages
};

/// The four bytes of a client's mask, in the order of the wire.
using websocket_mask_key = std::array<unsigned char, 4>;

/// XORs `size` bytes at `source` with the mask into `target` (the same address, or not overlapping). `offset` is the
/// position of the first byte in the frame's payload: a payload may be masked in pieces. Masking twice restores.
inline void websocket_mask(char* target, const char* source, std::size_t size, const websocket_mask_key& key,
                           std::uint64_t offset = 0) noexcept {
    unsigned char turned[8];
    for (std::size_t i = 0; i < 8; ++i) turned[i] = key[static_cast<std::size_t>((offset + i) & 3U)];
    std::uint64_t wide;
    std::memcpy(&wide, turned, 8); // bytes in, bytes out: right on either endianness
    std::size_t i = 0;
    for (; size - i >= 32; i += 32) {
        std::uint64_t block[4];
        std::memcpy(block, source + i, 32);
        block[0] ^= wide;
        block[1] ^= wide;
        block[2] ^= wide;
        block[3] ^= wide;
        std::memcpy(target + i, block, 32);
    }
    for (; size - i >= 8; i += 8) {
        std::uint64_t block;
        std::memcpy(&block, source + i, 8);
        block ^= wide;
        std::memcpy(target + i, &block, 8);
    }
    for (std::size_t rest = 0; i < size; ++i, ++rest) {
        target[i] = static_cast<char>(static_cast<unsigned char>(source[i]) ^ turned[rest]);
    }
}

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// Room for the longest frame header: two bytes, a 64-bit length, a mask.
inline constexpr std::size_t websocket_max_header_size = 14;

/// Writes a frame's header to `target` (room for websocket_max_header_size bytes) and returns its size in bytes.
/// `mask` is the key of a client's frame, null for a server's. For callers that send the payload from where it lies.
inline std::size_t websocket_write_header(unsigned char* target, websocket_opcode opcode, bool last,
                                          std::uint64_t payload_size, const websocket_mask_key* mask) noexcept {
    target[0] = static_cast<unsigned char>((last ? 0x80U : 0U) | static_cast<unsigned>(opcode));
    const unsigned mask_bit = mask != nullptr ? 0x80U : 0U;
    std::size_t size = 2;
    std::size_t length_bytes = 0;
    if (payload_size < 126) {
        target[1] = static_cast<unsigned char>(mask_bit | static_cast<unsigned>(payload_size));
    } else {
        length_bytes = payload_size < 65536 ? 2 : 8;
        target[1] = static_cast<unsigned char>(mask_bit | (length_bytes == 2 ? 126U : 127U));
    }
    for (std::size_t i = length_bytes; i != 0; --i) {
        target[size++] = static_cast<unsigned char>((payload_size >> (8 * (i - 1))) & 0xFFU);
    }
    if (mask != nullptr) {
        for (const unsigned char byte : *mask) target[size++] = byte;
    }
    return size;
}

/// Appends one frame to `out`, its payload masked with `mask` unless that is null. Checks nothing: the caller keeps to
/// the protocol (or, in a test, breaks it on purpose).
inline void websocket_append_frame(std::string& out, websocket_opcode opcode, bool last, std::string_view payload,
                                   const websocket_mask_key* mask) {
    unsigned char header[websocket_max_header_size];
    const std::size_t header_size = websocket_write_header(header, opcode, last, payload.size(), mask);
    const std::size_t needed = out.size() + header_size + payload.size();
    if (needed > out.capacity()) out.reserve((std::max)(needed, 2 * out.capacity()));
    out.append(reinterpret_cast<const char*>(header), header_size);
    if (mask == nullptr) {
        out.append(payload);
        return;
    }
    // In blocks that stay in the cache, so that memory is written once.
    constexpr std::size_t block = 16U << 10U;
    for (std::size_t done = 0; done < payload.size();) {
        const std::string_view piece = payload.substr(done, block);
        const std::size_t at = out.size();
        out.append(piece);
        websocket_mask(&out[at], &out[at], piece.size(), *mask, done);
        done += piece.size();
    }
}

/// Frames what we send and keeps it legal: control frames, text that is UTF-8, fragments in order. Frames are appended
/// to the caller's buffer. Not thread-safe: callers that send from several threads hold a lock.
class websocket_encoder {
public:
    /// Gives a fresh mask for every frame of a client: unpredictable, from a cryptographic source (RFC 6455 section
    /// 10.3), since a page must not choose the bytes that a proxy sees.
    using mask_source = std::function<websocket_mask_key()>;

    /// `masks` is required for a client and unused for a server. Throws std::invalid_argument for a client without.
    explicit websocket_encoder(websocket_role role, mask_source masks = {}) : role_(role), masks_(std::move(masks)) {
        if (role == websocket_role::client && !masks_) {
            throw std::invalid_argument("websocket: a client needs a source of masks");
        }
    }

    /// Appends a whole message (text or binary), in one frame or, with `fragment_size` bytes other than 0, in as many
    /// as that takes. Throws std::invalid_argument for text that is not UTF-8, std::logic_error inside a message that
    /// fragment() has begun.
    void message(std::string& out, websocket_opcode opcode, std::string_view payload, std::size_t fragment_size = 0) {
        require_data(opcode);
        if (in_message_) throw std::logic_error("websocket: a fragmented message is not finished");
        if (opcode == websocket_opcode::text && !is_utf8(payload)) {
            throw std::invalid_argument("websocket: text that is not UTF-8");
        }
        if (fragment_size == 0) fragment_size = (std::max)(payload.size(), std::size_t{1});
        bool first = true;
        do {
            const std::string_view piece = payload.substr(0, fragment_size);
            payload.remove_prefix(piece.size());
            frame(out, first ? opcode : websocket_opcode::continuation, payload.empty(), piece);
            first = false;
        } while (!payload.empty());
    }

    /// Appends the next piece of a message whose end is not known yet; the first piece sets the type, the later ones
    /// must repeat it. Control frames may go between. Throws std::invalid_argument for text that is not UTF-8
    /// (characters may be cut by pieces), std::logic_error when the type changes inside a message.
    void fragment(std::string& out, websocket_opcode opcode, std::string_view piece, bool last) {
        require_data(opcode);
        if (in_message_ && opcode != message_opcode_) {
            throw std::logic_error("websocket: another type inside a fragmented message");
        }
        if (!in_message_) utf8_.reset();
        if (opcode == websocket_opcode::text && (!utf8_.feed(piece) || (last && !utf8_.complete()))) {
            throw std::invalid_argument("websocket: text that is not UTF-8");
        }
        frame(out, in_message_ ? websocket_opcode::continuation : opcode, last, piece);
        message_opcode_ = opcode;
        in_message_ = !last;
    }

    /// Appends a ping. `payload` of 125 bytes at most, else std::invalid_argument.
    void ping(std::string& out, std::string_view payload) { control(out, websocket_opcode::ping, payload); }

    /// Appends a pong. `payload` of 125 bytes at most, else std::invalid_argument.
    void pong(std::string& out, std::string_view payload) { control(out, websocket_opcode::pong, payload); }

    /// Appends a close frame; `code` 1005 makes an empty one. Throws std::invalid_argument for a code that may not
    /// be sent, and for a reason that is not UTF-8, longer than 123 bytes or without a code.
    void close(std::string& out, std::uint16_t code, std::string_view reason) {
        require_close(code, reason);
        std::string payload;
        if (code != websocket_close::no_status) {
            payload.push_back(static_cast<char>(static_cast<unsigned char>(code >> 8U)));
            payload.push_back(static_cast<char>(static_cast<unsigned char>(code & 0xFFU)));
            payload.append(reason);
        }
        control(out, websocket_opcode::close, payload);
    }

    /// Throws std::invalid_argument unless close() would take these.
    static void require_close(std::uint16_t code, std::string_view reason) {
        if (code != websocket_close::no_status && !is_valid_close_code(code)) {
            throw std::invalid_argument("websocket: close code " + std::to_string(code) + " may not be sent");
        }
        if (code == websocket_close::no_status && !reason.empty()) {
            throw std::invalid_argument("websocket: close reason without a code");
        }
        if (reason.size() > 123) throw std::invalid_argument("websocket: close reason of more than 123 bytes");
        if (!is_utf8(reason)) throw std::invalid_argument("websocket: close reason that is not UTF-8");
    }

    /// True between the first and the last piece of a message sent by fragment().
    bool in_message() const noexcept { return in_message_; }

private:
    static void require_data(websocket_opcode opcode) {
        if (opcode != websocket_opcode::text && opcode != websocket_opcode::binary) {
            throw std::invalid_argument("websocket: a message is text or binary");
        }
    }

    void control(std::string& out, websocket_opcode opcode, std::string_view payload) {
        if (payload.size() > 125) throw std::invalid_argument("websocket: control frame of more than 125 bytes");
        frame(out, opcode, true, payload);
    }

    void frame(std::string& out, websocket_opcode opcode, bool last, std::string_view payload) {
        if (role_ == websocket_role::server) {
            websocket_append_frame(out, opcode, last, payload, nullptr);
        } else {
            const websocket_mask_key mask = masks_();
            websocket_append_frame(out, opcode, last, payload, &mask);
        }
    }

    websocket_role role_;
    mask_source masks_;
    bool in_message_ = false;
    websocket_opcode message_opcode_ = websocket_opcode::text;
    utf8_validator utf8_;
};

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// A control frame that waits to be sent.
struct websocket_reply {
    websocket_opcode opcode = websocket_opcode::pong; ///< pong or close
    std::string payload;                              ///< of a close frame the reason
    std::uint16_t code = 0;                           ///< of a close frame its code; 1005: none
};

/// Says what to answer and when the connection is over. One pong at most is pending, the one for the latest ping
/// (section 5.5.3 allows it): a peer that pings faster than we can write does not fill our memory.
/// Not thread-safe: reader and writer share it under the connection's lock.
class websocket_control {
public:
    /// Tells it what the decoder found. Messages and pongs need no answer.
    void received(const websocket_event& event) {
        if (peer_close_code_) return;
        if (event.opcode == websocket_opcode::ping) {
            if (!close_queued_) pong_ = std::string(event.payload);
        } else if (event.opcode == websocket_opcode::close) {
            peer_close_code_ = event.code;
            peer_close_reason_ = std::string(event.payload);
            pong_.reset();
            // Section 5.5.1: the echo carries the code that came; an empty close is answered by an empty one.
            queue_close(event.code, {});
        }
    }

    /// Tells it that the decoder threw: a close frame with the error's code goes out, nothing more is expected.
    void failed(const websocket_error& error) {
        failed_ = true;
        pong_.reset();
        queue_close(error.close_code(), {});
    }

    /// Begins the closing handshake from our side. False when a close was already begun or answered (nothing changes).
    /// Throws std::invalid_argument for a code or reason that may not be sent. Code 1005 sends an empty close frame.
    bool close(std::uint16_t code = websocket_close::normal, std::string_view reason = {}) {
        websocket_encoder::require_close(code, reason);
        if (close_queued_) return false;
        queue_close(code, reason);
        return true;
    }

    /// The next control frame to send, which then counts as sent; nothing after our close frame.
    std::optional<websocket_reply> next_reply() {
        std::optional<websocket_reply> reply;
        if (pong_) {
            reply = websocket_reply{websocket_opcode::pong, std::move(*pong_), 0};
            pong_.reset();
        } else if (close_) {
            reply = std::move(close_);
            close_.reset();
            close_sent_ = true;
        }
        return reply;
    }

    /// True when next_reply() has something.
    bool has_reply() const noexcept { return pong_.has_value() || close_.has_value(); }

    /// True while messages and pings may be sent: no close frame of ours is sent or waiting.
    bool may_send() const noexcept { return !close_queued_; }

    /// True when both close frames went their way, or ours after an error: the server now ends the connection, the
    /// client waits for that (section 7.1.1).
    bool finished() const noexcept { return close_sent_ && (peer_close_code_.has_value() || failed_); }

    /// True when both sides said goodbye: the connection was closed cleanly (section 7.1.4).
    bool clean() const noexcept { return close_sent_ && peer_close_code_.has_value() && !failed_; }

    /// The code of the peer's close frame: 1005 when it had none, 1006 while no close frame has come (section 7.1.5).
    std::uint16_t peer_close_code() const noexcept { return peer_close_code_.value_or(websocket_close::abnormal); }

    /// The reason of the peer's close frame, UTF-8.
    const std::string& peer_close_reason() const noexcept { return peer_close_reason_; }

private:
    void queue_close(std::uint16_t code, std::string_view reason) {
        if (close_queued_) return;
        close_queued_ = true;
        close_ = websocket_reply{websocket_opcode::close, std::string(reason), code};
    }

    std::optional<std::string> pong_;
    std::optional<websocket_reply> close_;
    bool close_queued_ = false;
    bool close_sent_ = false;
    bool failed_ = false;
    std::optional<std::uint16_t> peer_close_code_;
    std::string peer_close_reason_;
};

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/codec/websocket_decoder.hpp
/// @file
/// RFC 6455 frames to messages: a push parser that takes bytes in any chunking.
#ifndef BACKENDAI_CODEC_WEBSOCKET_DECODER_HPP
#define BACKENDAI_CODEC_WEBSOCKET_DECODER_HPP


#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// Decodes what the peer sends after the handshake. `role` is our own: a client's decoder wants unmasked frames, a
/// server's masked ones. Not thread-safe: one thread (the reader) uses it.
///
/// The sequence of events and the error, if any, do not depend on how the bytes are cut into calls (but for the sizes
/// of the pieces when fragments are streamed). UTF-8 is checked as it comes, so a bad text fails before its end.
class websocket_decoder {
public:
    explicit websocket_decoder(websocket_role role, websocket_limits limits = {}) : role_(role), limits_(limits) {}

    /// Takes bytes off the front of `input` until one event is complete and returns it; without an event all input is
    /// taken. Call again with the rest until it returns nothing. After a close frame everything is taken and ignored.
    /// An unmasked, unfragmented message that lies wholly in `input` is handed out as a view into it, uncopied.
    /// Throws websocket_error when the peer broke the protocol or a limit, and again on every later call.
    std::optional<websocket_event> next(std::string_view& input) {
        if (failed_) throw *failed_;
        payload_ = {};
        recycle();
        while (!closed_) {
            if (!in_payload_ && !read_header(input)) return std::nullopt;
            if (remaining_ != 0 && input.empty()) return std::nullopt;
            std::optional<websocket_event> event = is_control(opcode_) ? read_control(input) : read_data(input);
            if (event) {
                payload_ = event->payload;
                return event;
            }
        }
        input.remove_prefix(input.size());
        return std::nullopt;
    }

    /// Feeds one chunk and calls `sink(const websocket_event&)` for every event in it. Throws as next() does.
    template <typename Sink>
    void feed(std::string_view chunk, Sink&& sink) {
        while (const std::optional<websocket_event> event = next(chunk)) sink(*event);
    }

    /// The payload of the event that next() returned last, as a string of its own: moved out of the decoder where the
    /// message was assembled there, else copied. Once per event, before the next call and while the input lives.
    std::string take() {
        std::string taken;
        if (handed_out_ && payload_.data() == message_.data() && payload_.size() == message_.size()) {
            taken.swap(message_);
        } else {
            taken.assign(payload_);
        }
        payload_ = {};
        return taken;
    }

    /// True after a close frame: nothing more will come.
    bool closed() const noexcept { return closed_; }

    /// True inside a frame or between the fragments of a message: an end of the connection here cuts something off.
    bool in_message() const noexcept { return in_payload_ || header_size_ != 0 || fragmented_; }

private:
    [[noreturn]] void fail(std::uint16_t code, const char* what) {
        failed_.emplace(code, what);
        throw *failed_;
    }

    // The buffer of the message that the last event handed out is ours again, but for a fragment still being gathered.
    void recycle() {
        if (!handed_out_) return;
        handed_out_ = false;
        // One huge message must not hold its memory for the rest of a long connection.
        if (message_.capacity() > kept_capacity) std::string().swap(message_);
        message_.clear();
    }

    bool read_header(std::string_view& input) {
        for (;;) {
            const std::size_t wanted = header_size_ < 2 ? 2 : header_wanted();
            if (header_size_ < wanted) {
                const std::size_t n = (std::min)(wanted - header_size_, input.size());
                // An empty view may hold a null pointer, which memcpy must not get.
                if (n != 0) std::memcpy(header_ + header_size_, input.data(), n);
                header_size_ += n;
                input.remove_prefix(n);
                if (header_size_ < wanted) return false;
                if (wanted == 2) check_start();
                if (header_wanted() != wanted) continue;
            }
            start_frame();
            return true;
        }
    }

    std::size_t header_wanted() const noexcept {
        const unsigned length = header_[1] & 0x7FU;
        return 2 + (length == 127 ? 8U : length == 126 ? 2U : 0U) + ((header_[1] & 0x80U) != 0 ? 4U : 0U);
    }

    // Everything that the first two bytes of a frame can already get wrong.
    void check_start() {
        using websocket_close::protocol_error;
        if ((header_[0] & 0x70U) != 0) fail(protocol_error, "reserved bit set without an extension");
        const unsigned opcode = header_[0] & 0x0FU;
        const bool control = opcode >= 8;
        if ((opcode > 2 && !control) || opcode > 10) fail(protocol_error, "reserved opcode");
        const bool masked = (header_[1] & 0x80U) != 0;
        if (masked && role_ == websocket_role::client) fail(protocol_error, "masked frame from a server");
        if (!masked && role_ == websocket_role::server) fail(protocol_error, "unmasked frame from a client");
        if (control) {
            if ((header_[0] & 0x80U) == 0) fail(protocol_error, "fragmented control frame");
            if ((header_[1] & 0x7FU) > 125) fail(protocol_error, "control frame of more than 125 bytes");
            if (opcode == 8 && (header_[1] & 0x7FU) == 1) fail(protocol_error, "close frame with half a code");
        } else if (opcode == 0 && !fragmented_) {
            fail(protocol_error, "continuation of no message");
        } else if (opcode != 0 && fragmented_) {
            fail(protocol_error, "new message inside a fragmented one");
        }
    }

    std::uint64_t read_length() {
        const unsigned marker = header_[1] & 0x7FU;
        if (marker < 126) return marker;
        const std::size_t bytes = marker == 126 ? 2 : 8;
        std::uint64_t length = 0;
        for (std::size_t i = 0; i < bytes; ++i) length = (length << 8U) | header_[2 + i];
        if ((length >> 63U) != 0) fail(websocket_close::protocol_error, "length with its highest bit set");
        if (length < 126 || (bytes == 8 && length < 65536)) {
            fail(websocket_close::protocol_error, "length not in its shortest form");
        }
        return length;
    }

    void start_frame() {
        const std::uint64_t length = read_length();
        opcode_ = static_cast<websocket_opcode>(header_[0] & 0x0FU);
        last_frame_ = (header_[0] & 0x80U) != 0;
        masked_ = (header_[1] & 0x80U) != 0;
        if (masked_) std::memcpy(mask_.data(), header_ + header_size_ - 4, 4);
        if (!is_control(opcode_)) start_data(length);
        remaining_ = length;
        offset_ = 0;
        header_size_ = 0;
        in_payload_ = true;
    }

    // Refused by the announced length, before a byte of the payload was taken.
    void start_data(std::uint64_t length) {
        if (limits_.max_frame_size != 0 && length > limits_.max_frame_size) {
            fail(websocket_close::message_too_big, "frame over the size limit");
        }
        std::uint64_t most = limits_.max_message_size != 0 ? limits_.max_message_size : ~std::uint64_t{0};
        if (!limits_.stream_fragments) most = (std::min)(most, std::uint64_t{message_.max_size()});
        if (most < message_size_ || length > most - message_size_) {
            fail(websocket_close::message_too_big, "message over the size limit");
        }
        message_size_ += length;
        if (opcode_ != websocket_opcode::continuation) {
            message_opcode_ = opcode_;
            first_piece_ = true;
            utf8_.reset();
        }
        fragmented_ = !last_frame_;
    }

    std::string_view take_payload(std::string_view& input) {
        const std::size_t n = remaining_ < input.size() ? static_cast<std::size_t>(remaining_) : input.size();
        const std::string_view piece = input.substr(0, n);
        input.remove_prefix(n);
        remaining_ -= n;
        return piece;
    }

    // The piece as the peer meant it, behind what `buffer` already holds.
    std::string_view append_unmasked(std::string& buffer, std::string_view piece) {
        const std::size_t before = buffer.size();
        buffer.append(piece);
        if (masked_) websocket_mask(&buffer[before], &buffer[before], piece.size(), mask_, offset_);
        offset_ += piece.size();
        return std::string_view(buffer).substr(before);
    }

    void check_text(std::string_view piece, bool end_of_message) {
        if (message_opcode_ != websocket_opcode::text) return;
        if (!utf8_.feed(piece)) fail(websocket_close::invalid_payload, "text that is not UTF-8");
        if (end_of_message && !utf8_.complete()) {
            fail(websocket_close::invalid_payload, "text that ends inside a character");
        }
    }

    std::optional<websocket_event> read_data(std::string_view& input) {
        const bool whole_in_input = remaining_ <= input.size() && last_frame_ && !masked_ && message_.empty();
        if (limits_.stream_fragments) return read_piece(input);
        if (whole_in_input) {
            const std::string_view payload = take_payload(input);
            check_text(payload, true);
            return end_of_data_frame(payload);
        }
        if (offset_ == 0) {
            // A length is only a promise: reserve a megabyte of it at most, then grow with what really comes.
            const std::uint64_t ahead = (std::min)(remaining_, std::uint64_t{1U << 20U});
            if (message_.empty()) message_.reserve(static_cast<std::size_t>(ahead));
        }
        while (remaining_ != 0 && !input.empty()) {
            // Blocks that stay in the first-level cache: copied, unmasked and checked while they are there.
            std::string_view block = input.substr(0, block_size);
            const std::size_t offered = block.size();
            const std::string_view piece = append_unmasked(message_, take_payload(block));
            input.remove_prefix(offered - block.size());
            check_text(piece, remaining_ == 0 && last_frame_);
        }
        if (remaining_ != 0) return std::nullopt;
        if (last_frame_) {
            check_text({}, true); // an empty last fragment ends the text too
            handed_out_ = true;
        }
        return end_of_data_frame(message_);
    }

    std::optional<websocket_event> end_of_data_frame(std::string_view message) {
        in_payload_ = false;
        if (!last_frame_) return std::nullopt;
        message_size_ = 0;
        websocket_event event;
        event.opcode = message_opcode_;
        event.payload = message;
        return event;
    }

    // Streaming: hands out what is there of this frame, a view into the input where it is unmasked.
    std::optional<websocket_event> read_piece(std::string_view& input) {
        std::string_view rest = masked_ ? input.substr(0, stream_piece_size) : input;
        const std::size_t offered = rest.size();
        std::string_view piece = take_payload(rest);
        input.remove_prefix(offered - rest.size());
        const bool last = remaining_ == 0 && last_frame_;
        if (masked_) {
            piece = append_unmasked(message_, piece);
            handed_out_ = true;
        }
        check_text(piece, last);
        if (remaining_ == 0) in_payload_ = false;
        if (last) message_size_ = 0;
        if (piece.empty() && !last) return std::nullopt;
        websocket_event event;
        event.opcode = message_opcode_;
        event.payload = piece;
        event.first = std::exchange(first_piece_, false);
        event.last = last;
        return event;
    }

    std::optional<websocket_event> read_control(std::string_view& input) {
        if (offset_ == 0) control_.clear();
        append_unmasked(control_, take_payload(input));
        if (remaining_ != 0) return std::nullopt;
        in_payload_ = false;
        websocket_event event;
        event.opcode = opcode_;
        event.payload = control_;
        if (opcode_ != websocket_opcode::close) return event;
        if (control_.empty()) {
            event.code = websocket_close::no_status;
        } else {
            event.code = static_cast<std::uint16_t>((static_cast<unsigned char>(control_[0]) << 8U) |
                                                    static_cast<unsigned char>(control_[1]));
            event.payload.remove_prefix(2);
            if (!is_valid_close_code(event.code)) fail(websocket_close::protocol_error, "invalid close code");
            if (!is_utf8(event.payload)) fail(websocket_close::invalid_payload, "close reason that is not UTF-8");
        }
        closed_ = true;
        return event;
    }

    static constexpr std::size_t block_size = 16U << 10U;
    static constexpr std::size_t stream_piece_size = 64U << 10U;
    static constexpr std::size_t kept_capacity = 4U << 20U;

    websocket_role role_;
    websocket_limits limits_;
    std::optional<websocket_error> failed_;
    unsigned char header_[14] = {};
    std::size_t header_size_ = 0;
    bool in_payload_ = false; // the header is read, the payload (which may be empty) is not yet done
    bool last_frame_ = false;
    bool masked_ = false;
    websocket_opcode opcode_ = websocket_opcode::text;
    websocket_mask_key mask_ = {};
    std::uint64_t remaining_ = 0;    // bytes of this frame's payload still to come
    std::uint64_t offset_ = 0;       // bytes of this frame's payload already unmasked into a buffer
    bool fragmented_ = false;        // between the first and the last frame of a message
    std::uint64_t message_size_ = 0; // announced so far, all fragments together
    websocket_opcode message_opcode_ = websocket_opcode::text;
    bool first_piece_ = true;
    utf8_validator utf8_;
    std::string message_;
    std::string control_;
    std::string_view payload_;
    bool handed_out_ = false; // the last event's payload lies in message_
    bool closed_ = false;
};

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/codec/websocket_handshake.hpp
/// @file
/// The opening handshake of RFC 6455 section 4, both sides.
#ifndef BACKENDAI_CODEC_WEBSOCKET_HANDSHAKE_HPP
#define BACKENDAI_CODEC_WEBSOCKET_HANDSHAKE_HPP

// ---- backendai/codec/http_response.hpp
/// @file
/// A strict push parser of one HTTP/1.x response: what answers a websocket handshake or a proxy's CONNECT, whether it
/// agrees or sends an error page. (RFC 9112; obsolete line folding and bare line ends are refused.)
#ifndef BACKENDAI_CODEC_HTTP_RESPONSE_HPP
#define BACKENDAI_CODEC_HTTP_RESPONSE_HPP


#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// A response as it came. `body` is that of an error, cut at the limit when `body_cut` is set.
struct http_response {
    int status = 0;
    std::string reason;
    http_fields headers;
    std::string body;
    bool body_cut = false;
};

/// Bounds of a response.
struct http_response_limits {
    std::size_t max_head_size = 32U << 10U; ///< bytes of all heads (interim ones too) and of chunk sizes and trailers
    std::size_t max_header_count = 100;
    std::size_t max_body_size = 256U << 10U; ///< bytes of the body that are kept; a longer one is cut, not an error
};

/// Parses in any chunking. Interim responses (1xx but 101) are skipped. After 101, and after a success to CONNECT, what
/// follows the head is not HTTP and stays in the caller's input. Not thread-safe. Malformed input and heads over a
/// limit throw decode_error; the parser is useless then.
class http_response_parser {
public:
    /// `connect_request`: the request was a CONNECT, whose success (2xx) has no body.
    explicit http_response_parser(http_response_limits limits = {}, bool connect_request = false)
        : limits_(limits), connect_request_(connect_request) {}

    /// Takes bytes off the front of `input`, as many as belong to the response. True when the response is whole.
    bool feed(std::string_view& input) {
        while (state_ != state::done && !input.empty()) {
            if (state_ == state::body || state_ == state::chunk || state_ == state::until_close) {
                read_body(input);
            } else if (read_line(input)) {
                const std::string line = std::exchange(line_, {});
                line_done(line);
            }
        }
        return state_ == state::done;
    }

    /// Tells that the connection ended: that is the end of a body without a length; anywhere else decode_error.
    void finish() {
        if (state_ == state::until_close) state_ = state::done;
        if (state_ != state::done) throw decode_error("http response: the connection ended before its end");
    }

    /// True when the response is whole.
    bool done() const noexcept { return state_ == state::done; }

    /// True once status and headers are known, though the body may be outstanding.
    bool head_done() const noexcept { return state_ != state::status_line && state_ != state::header; }

    /// The response so far.
    const http_response& response() const noexcept { return response_; }

private:
    enum class state { status_line, header, body, until_close, chunk_size, chunk, chunk_end, trailer, done };

    [[noreturn]] static void fail(const char* what) { throw decode_error(std::string("http response: ") + what); }

    // A line up to CR LF into line_, without them. Judged as a whole, so the result does not depend on the chunking.
    bool read_line(std::string_view& input) {
        const std::size_t end = input.find('\n');
        const std::size_t size = end == std::string_view::npos ? input.size() : end + 1;
        if (size > limits_.max_head_size - head_size_) fail("head over the size limit");
        head_size_ += size;
        line_.append(input.substr(0, size));
        input.remove_prefix(size);
        if (end == std::string_view::npos) return false;
        line_.pop_back();
        if (line_.empty() || line_.back() != '\r') fail("line that does not end with CR LF");
        line_.pop_back();
        return true;
    }

    void line_done(std::string_view line) {
        switch (state_) {
        case state::status_line: read_status(line); break;
        case state::header:
            if (line.empty()) {
                end_of_head();
            } else {
                read_header(line, response_.headers);
            }
            break;
        case state::chunk_size: read_chunk_size(line); break;
        case state::chunk_end:
            if (!line.empty()) fail("chunk longer than its size");
            state_ = state::chunk_size;
            break;
        case state::trailer:
            if (line.empty()) {
                state_ = state::done;
            } else {
                read_header(line, trailers_);
            }
            break;
        default: fail("line where none belongs");
        }
    }

    void read_status(std::string_view line) {
        // "HTTP/1.1 101 Switching Protocols"; the space before an empty reason is often missing in practice.
        if (line.size() < 12 || line.substr(0, 7) != "HTTP/1." || (line[7] != '0' && line[7] != '1') ||
            line[8] != ' ' || (line.size() > 12 && line[12] != ' ')) {
            fail("malformed status line");
        }
        int status = 0;
        for (const char digit : line.substr(9, 3)) {
            if (digit < '0' || digit > '9') fail("malformed status line");
            status = status * 10 + (digit - '0');
        }
        const std::string_view reason = line.size() > 13 ? line.substr(13) : std::string_view();
        if (status < 100 || status > 599 || !is_field_value(reason)) fail("malformed status line");
        http_1_0_ = line[7] == '0';
        response_.status = status;
        response_.reason = std::string(reason);
        state_ = state::header;
    }

    void read_header(std::string_view line, http_fields& fields) const {
        if (fields.size() == limits_.max_header_count) fail("too many headers");
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) fail("malformed header");
        const std::string_view value = trim_field(line.substr(colon + 1));
        if (!is_field_value(value)) fail("control character in a header");
        fields.emplace_back(std::string(line.substr(0, colon)), std::string(value));
    }

    void end_of_head() {
        const int status = response_.status;
        if (status == 101 || (connect_request_ && status / 100 == 2)) {
            if (http_1_0_ && status == 101) fail("protocol switch in HTTP/1.0");
            state_ = state::done;
        } else if (status < 200) {
            response_ = http_response();
            state_ = state::status_line;
        } else if (status == 204 || status == 304) {
            state_ = state::done;
        } else {
            start_body();
        }
    }

    void start_body() {
        const std::size_t codings = count_fields(response_.headers, "Transfer-Encoding");
        const std::size_t lengths = count_fields(response_.headers, "Content-Length");
        if (codings + lengths > 1) fail("more than one length of the body");
        if (codings == 1) {
            if (http_1_0_ || !equals_ignoring_case(*find_field(response_.headers, "Transfer-Encoding"), "chunked")) {
                fail("unknown transfer coding");
            }
            state_ = state::chunk_size;
        } else if (lengths == 1) {
            remaining_ = parse_length(*find_field(response_.headers, "Content-Length"), 10);
            state_ = remaining_ == 0 ? state::done : state::body;
        } else {
            state_ = state::until_close;
        }
    }

    static std::uint64_t parse_length(std::string_view digits, unsigned base) {
        // 18 decimal or 15 hexadecimal digits fit into 64 bits; nothing longer is honest.
        if (digits.empty() || digits.size() > (base == 10 ? 18U : 15U)) fail("malformed length");
        std::uint64_t value = 0;
        for (const char c : digits) {
            unsigned digit = base;
            if (c >= '0' && c <= '9') digit = static_cast<unsigned>(c - '0');
            if (c >= 'a' && c <= 'f') digit = static_cast<unsigned>(c - 'a') + 10;
            if (c >= 'A' && c <= 'F') digit = static_cast<unsigned>(c - 'A') + 10;
            if (digit >= base) fail("malformed length");
            value = value * base + digit;
        }
        return value;
    }

    void read_chunk_size(std::string_view line) {
        const std::size_t extension = line.find(';');
        if (!is_field_value(line)) fail("control character in a chunk's head");
        if (extension != std::string_view::npos) line = trim_field(line.substr(0, extension));
        remaining_ = parse_length(line, 16);
        state_ = remaining_ == 0 ? state::trailer : state::chunk;
    }

    void read_body(std::string_view& input) {
        std::size_t n = input.size();
        if (state_ != state::until_close && remaining_ < n) n = static_cast<std::size_t>(remaining_);
        const std::size_t kept = (std::min)(n, limits_.max_body_size - response_.body.size());
        response_.body.append(input.substr(0, kept));
        input.remove_prefix(kept);
        remaining_ -= state_ == state::until_close ? 0 : kept;
        if (kept < n) {
            // Nobody reads the rest of an endless error page: the connection is of no more use anyway.
            response_.body_cut = true;
            state_ = state::done;
        } else if (state_ != state::until_close && remaining_ == 0) {
            state_ = state_ == state::chunk ? state::chunk_end : state::done;
        }
    }

    http_response_limits limits_;
    bool connect_request_;
    state state_ = state::status_line;
    bool http_1_0_ = false;
    std::size_t head_size_ = 0;
    std::uint64_t remaining_ = 0; // bytes of the body, or of the chunk, still to come
    std::string line_;
    http_fields trailers_;
    http_response response_;
};

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif

#include <array>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// The Sec-WebSocket-Accept that answers a Sec-WebSocket-Key.
inline std::string websocket_accept(std::string_view key) {
    return base64_encode(digest("sha1", std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
}

/// The client's side of one handshake: makes the headers, then reads and judges the answer. Not thread-safe.
class websocket_client_handshake {
public:
    /// `nonce`: 16 fresh random bytes. `protocols`: the subprotocols offered, the preferred one first.
    /// Throws std::invalid_argument for a subprotocol that is no token or is offered twice.
    explicit websocket_client_handshake(const std::array<unsigned char, 16>& nonce,
                                        std::vector<std::string> protocols = {}, http_response_limits limits = {})
        : key_(base64_encode(std::string_view(reinterpret_cast<const char*>(nonce.data()), nonce.size()))),
          protocols_(std::move(protocols)),
          parser_(limits) {
        for (std::size_t i = 0; i < protocols_.size(); ++i) {
            if (!is_token(protocols_[i])) throw std::invalid_argument("websocket: malformed subprotocol");
            for (std::size_t j = 0; j < i; ++j) {
                if (protocols_[i] == protocols_[j]) throw std::invalid_argument("websocket: subprotocol offered twice");
            }
        }
    }

    /// What the request needs besides its line (GET, HTTP/1.1), Host and whatever else the caller sends.
    http_fields headers() const {
        http_fields fields = {{"Upgrade", "websocket"},
                              {"Connection", "Upgrade"},
                              {"Sec-WebSocket-Key", key_},
                              {"Sec-WebSocket-Version", "13"}};
        std::string offered;
        for (const std::string& protocol : protocols_) offered += (offered.empty() ? "" : ", ") + protocol;
        if (!offered.empty()) fields.emplace_back("Sec-WebSocket-Protocol", std::move(offered));
        return fields;
    }

    /// Takes bytes off the front of `input`. True when the answer is whole: either accepted(), and what is left in
    /// `input` are frames for the decoder; or refused, and response() has status, headers and body.
    /// Throws decode_error for malformed HTTP and for a 101 that does not agree to what was asked.
    bool feed(std::string_view& input) {
        if (done_) return true;
        if (!parser_.feed(input)) return false;
        if (response().status == 101) verify();
        done_ = true;
        return true;
    }

    /// Tells that the connection ended, which completes a refusal without a length; else throws decode_error.
    void finish() {
        if (done_) return;
        parser_.finish();
        done_ = true;
    }

    /// True when the websocket is open.
    bool accepted() const noexcept { return done_ && response().status == 101; }

    /// The subprotocol that the server chose among ours; empty for none.
    const std::string& protocol() const noexcept { return protocol_; }

    /// The server's answer; of a refusal with its body.
    const http_response& response() const noexcept { return parser_.response(); }

private:
    [[noreturn]] static void fail(const char* what) { throw decode_error(std::string("websocket handshake: ") + what); }

    const std::string* single(const char* name) const {
        if (count_fields(response().headers, name) > 1) {
            throw decode_error(std::string("websocket handshake: repeated header ") + name);
        }
        return find_field(response().headers, name);
    }

    // RFC 6455 section 4.1, what the client must check in the server's answer.
    void verify() {
        const std::string* upgrade = single("Upgrade");
        if (upgrade == nullptr || !equals_ignoring_case(*upgrade, "websocket")) fail("no upgrade to websocket");
        if (!list_has(response().headers, "Connection", "Upgrade")) fail("no upgrade of the connection");
        const std::string* accept = single("Sec-WebSocket-Accept");
        if (accept == nullptr || *accept != websocket_accept(key_)) fail("wrong Sec-WebSocket-Accept");
        if (count_fields(response().headers, "Sec-WebSocket-Extensions") != 0) {
            fail("extension that was not offered");
        }
        // A body has no place in front of frames: whoever announces one disagrees with us about where they begin.
        if (const std::string* length = single("Content-Length")) {
            if (*length != "0") fail("101 with a body");
        }
        if (count_fields(response().headers, "Transfer-Encoding") != 0) fail("101 with a body");
        const std::string* protocol = single("Sec-WebSocket-Protocol");
        if (protocol == nullptr) return; // none chosen: allowed, the caller decides whether it can live with that
        for (const std::string& offered : protocols_) {
            if (*protocol == offered) protocol_ = offered;
        }
        if (protocol_.empty()) fail("subprotocol that was not offered");
    }

    std::string key_;
    std::vector<std::string> protocols_;
    http_response_parser parser_;
    bool done_ = false;
    std::string protocol_;
};

/// A server's answer to a handshake.
struct websocket_server_answer {
    int status = 101;     ///< 101 when the websocket is open; else 400, 405 or 426
    std::string reason;   ///< of the status line; of a refusal it says what was wrong
    http_fields headers;  ///< of the answer
    std::string protocol; ///< the subprotocol chosen; empty for none

    bool accepted() const noexcept { return status == 101; }

    /// The answer's head for the wire; the caller may add headers before.
    std::string head() const {
        std::string text = "HTTP/1.1 " + std::to_string(status) + " " + reason + "\r\n";
        for (const auto& field : headers) text += field.first + ": " + field.second + "\r\n";
        return text + "\r\n";
    }
};

/// Judges a request's method and headers and makes the answer (RFC 6455 section 4.2). `supported`: the subprotocols we
/// speak; the first one of the client's list among them is chosen. Extensions are declined. Never throws for a bad
/// request: that is an answer too.
inline websocket_server_answer websocket_answer(std::string_view method, const http_fields& request,
                                                const std::vector<std::string>& supported = {}) {
    const auto refuse = [](int status, const char* reason, http_fields headers = {}) {
        headers.emplace_back("Connection", "close");
        headers.emplace_back("Content-Length", "0");
        return websocket_server_answer{status, reason, std::move(headers), {}};
    };
    if (method != "GET") return refuse(405, "Method Not Allowed", {{"Allow", "GET"}});
    if (count_fields(request, "Host") != 1) return refuse(400, "Bad Request: Host");
    if (!list_has(request, "Upgrade", "websocket")) {
        return refuse(426, "Upgrade Required", {{"Upgrade", "websocket"}, {"Sec-WebSocket-Version", "13"}});
    }
    if (!list_has(request, "Connection", "Upgrade")) return refuse(400, "Bad Request: Connection");
    const std::string* version = find_field(request, "Sec-WebSocket-Version");
    if (version == nullptr || count_fields(request, "Sec-WebSocket-Version") != 1 || *version != "13") {
        return refuse(426, "Upgrade Required", {{"Upgrade", "websocket"}, {"Sec-WebSocket-Version", "13"}});
    }
    const std::string* key = find_field(request, "Sec-WebSocket-Key");
    bool good_key = key != nullptr && key->size() == 24 && count_fields(request, "Sec-WebSocket-Key") == 1;
    if (good_key) {
        try {
            const std::string nonce = base64_decode(*key);
            good_key = nonce.size() == 16 && base64_encode(nonce) == *key;
        } catch (const decode_error&) {
            good_key = false; // answered with 400 below
        }
    }
    if (!good_key) return refuse(400, "Bad Request: Sec-WebSocket-Key");
    websocket_server_answer answer;
    answer.reason = "Switching Protocols";
    answer.headers = {
        {"Upgrade", "websocket"}, {"Connection", "Upgrade"}, {"Sec-WebSocket-Accept", websocket_accept(*key)}};
    for (const std::string& offered : list_members(request, "Sec-WebSocket-Protocol")) {
        if (!is_token(offered)) return refuse(400, "Bad Request: Sec-WebSocket-Protocol");
        for (const std::string& ours : supported) {
            if (answer.protocol.empty() && offered == ours) answer.protocol = ours;
        }
    }
    if (!answer.protocol.empty()) answer.headers.emplace_back("Sec-WebSocket-Protocol", answer.protocol);
    return answer;
}

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// An open websocket without its socket: bytes that came go in by next(), bytes to send come out of the writing
/// functions, which append to the caller's buffer.
///
/// Threads: a connection with one reader and one writer calls decode() in the reader without a lock (it touches the
/// decoder only) and everything else, note() and the writing functions, under its one lock. next() is both at once,
/// for a single thread.
class websocket_codec {
public:
    /// `masks` gives a fresh, unpredictable mask per frame; required for a client, unused for a server.
    /// Throws std::invalid_argument for a client without.
    explicit websocket_codec(websocket_role role, websocket_limits limits = {},
                             websocket_encoder::mask_source masks = {})
        : decoder_(role, limits), encoder_(role, std::move(masks)) {}

    /// The next event at the front of `input`, whose answer (pong, close) is then pending; see websocket_decoder::next
    /// for the lifetime of its payload. Nothing when all of `input` is taken. Throws websocket_error when the peer
    /// broke the protocol; the close frame that says so is then pending.
    std::optional<websocket_event> next(std::string_view& input) {
        try {
            std::optional<websocket_event> event = decode(input);
            if (event) note(*event);
            return event;
        } catch (const websocket_error& error) {
            note(error);
            throw;
        }
    }

    /// next() without noting the answer: the reader's half, see the class.
    std::optional<websocket_event> decode(std::string_view& input) { return decoder_.next(input); }

    /// The last event's payload as a string of its own, moved where possible; see websocket_decoder::take.
    std::string take() { return decoder_.take(); }

    /// Queues what the event or the error demands: a pong, the echo of a close, the close that reports an error.
    void note(const websocket_event& event) { control_.received(event); }
    void note(const websocket_error& error) { control_.failed(error); }

    /// Appends the pending control frames (a pong, a close) to `out`. Returns false when there was none.
    bool write_pending(std::string& out) {
        bool any = false;
        while (const std::optional<websocket_reply> reply = control_.next_reply()) {
            any = true;
            if (reply->opcode == websocket_opcode::pong) {
                encoder_.pong(out, reply->payload);
            } else {
                encoder_.close(out, reply->code, reply->payload);
            }
        }
        return any;
    }

    /// Appends a message; see websocket_encoder::message. Throws std::logic_error after a close was begun.
    void write_message(std::string& out, websocket_opcode opcode, std::string_view payload,
                       std::size_t fragment_size = 0) {
        require_open();
        encoder_.message(out, opcode, payload, fragment_size);
    }

    /// Appends a piece of a message; see websocket_encoder::fragment. Throws std::logic_error after a close was begun.
    void write_fragment(std::string& out, websocket_opcode opcode, std::string_view piece, bool last) {
        require_open();
        encoder_.fragment(out, opcode, piece, last);
    }

    /// Appends a ping (125 bytes at most, else std::invalid_argument). Throws std::logic_error after a close was begun.
    void write_ping(std::string& out, std::string_view payload) {
        require_open();
        encoder_.ping(out, payload);
    }

    /// Begins the closing handshake: appends what is pending and the close frame. Returns false, and appends nothing
    /// new, when a close was begun before. Throws std::invalid_argument for a code or reason that may not be sent.
    bool write_close(std::string& out, std::uint16_t code = websocket_close::normal, std::string_view reason = {}) {
        const bool begun = control_.close(code, reason);
        write_pending(out);
        return begun;
    }

    /// True when write_pending() would append something.
    bool has_pending() const noexcept { return control_.has_reply(); }

    /// Where the closing handshake stands.
    const websocket_control& control() const noexcept { return control_; }

    /// The reading half: whether it stands inside a message.
    const websocket_decoder& decoder() const noexcept { return decoder_; }

private:
    void require_open() const {
        if (!control_.may_send()) throw std::logic_error("websocket: nothing may be sent after a close frame");
    }

    websocket_decoder decoder_;
    websocket_encoder encoder_;
    websocket_control control_;
};

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/files/terminal_progress.hpp
/// @file
/// A ready-made progress bar for programs that run in a terminal.
#ifndef BACKENDAI_FILES_TERMINAL_PROGRESS_HPP
#define BACKENDAI_FILES_TERMINAL_PROGRESS_HPP

// ---- backendai/os/terminal_output.hpp
/// @file
/// Whether standard error is a terminal, and how wide.
#ifndef BACKENDAI_OS_TERMINAL_OUTPUT_HPP
#define BACKENDAI_OS_TERMINAL_OUTPUT_HPP


#ifdef _WIN32
#ifndef NOMINMAX
#define NOMINMAX
#endif
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>
#else
#include <sys/ioctl.h>
#include <unistd.h>
#endif

BACKENDAI_NAMESPACE_BEGIN
namespace os {

/// The columns of the terminal that standard error writes to; 0 when it is none.
inline int error_terminal_width() {
#ifdef _WIN32
    CONSOLE_SCREEN_BUFFER_INFO info{};
    if (!GetConsoleScreenBufferInfo(GetStdHandle(STD_ERROR_HANDLE), &info)) return 0;
    return info.srWindow.Right - info.srWindow.Left + 1;
#else
    if (isatty(STDERR_FILENO) == 0) return 0;
    struct winsize size {};
    const bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return known ? size.ws_col : 80;
#endif
}

} // namespace os
BACKENDAI_NAMESPACE_END

#endif

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

BACKENDAI_NAMESPACE_BEGIN

/// Draws a bar on standard error, at most ten times a second: `options.progress = backendai::terminal_progress();`.
/// Draws nothing when standard error is no terminal. The line is ended when the last copy goes away.
/// One object for one transfer at a time.
class terminal_progress {
public:
    terminal_progress() : state_(std::make_shared<state>(os::error_terminal_width())) {}

    void operator()(const std::string& file, std::uint64_t done, std::uint64_t total) const {
        if (state_->width == 0) return;
        const auto now = std::chrono::steady_clock::now();
        const bool complete = total != 0 && done == total;
        if (state_->drawn && !complete && now - state_->last < std::chrono::milliseconds(100)) return;
        state_->last = now;
        state_->drawn = true;
        std::fprintf(stderr, "\r%s\033[K", line(file, done, total, state_->width - 1).c_str());
        std::fflush(stderr);
    }

    /// The line that is drawn, cut to @p width columns (a byte counts as one).
    static std::string line(const std::string& file, std::uint64_t done, std::uint64_t total, int width) {
        constexpr std::uint64_t steps = 24;
        std::string text;
        if (total != 0) {
            const double fraction = static_cast<double>((std::min)(done, total)) / static_cast<double>(total);
            const auto filled = static_cast<std::size_t>(fraction * static_cast<double>(steps));
            char percent[16];
            std::snprintf(percent, sizeof percent, "%3d%% ", static_cast<int>(fraction * 100));
            text = '[' + std::string(filled, '#') + std::string(steps - filled, ' ') + "] " + percent;
        }
        text += size_text(done);
        if (total != 0) text += " of " + size_text(total);
        text += ' ' + codec::printable(file); // a server's file name may hold escape sequences
        const auto columns = static_cast<std::size_t>((std::max)(width, 0));
        if (text.size() > columns) {
            std::size_t end = columns;
            while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end; // not inside a character
            text.resize(end);
        }
        return text;
    }

private:
    struct state {
        explicit state(int columns) : width(columns) {}
        state(const state&) = delete;
        state& operator=(const state&) = delete;
        ~state() {
            if (drawn) std::fputc('\n', stderr);
        }
        int width;
        bool drawn = false;
        std::chrono::steady_clock::time_point last;
    };

    static std::string size_text(std::uint64_t bytes) {
        static constexpr const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
        auto amount = static_cast<double>(bytes);
        std::size_t unit = 0;
        for (; amount >= 1024 && unit < 4; ++unit) amount /= 1024;
        char text[32];
        std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", amount, units[unit]);
        return text;
    }

    std::shared_ptr<state> state_;
};

BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/mode_async.hpp
/// @file
/// The asynchronous mode: every API function returns a future at once, its body runs on a thread of the session.
///
/// Arguments are moved into the task, and every error, of validation too, comes out of the future. A call's time limit
/// counts from the call, so that waiting for a free thread is part of it; where a call makes several requests under
/// limits of their own (run()), that holds for the first. A session has api_config::async_threads threads; any number
/// of calls may wait for them. Closing or destroying the session ends the calls that wait and those that run with
/// client_error{closed} and waits until the threads have ended, handlers and continuations included; done on one of its
/// own threads it does not wait, as it would for itself.
#ifndef BACKENDAI_MODE_ASYNC_HPP
#define BACKENDAI_MODE_ASYNC_HPP

// ---- backendai/async/coroutine.hpp
/// @file
/// C++20: futures can be awaited with co_await, and a function that returns future<T> can be a coroutine. Nothing is
/// here for older standards. A program may mix files of both.
#ifndef BACKENDAI_ASYNC_COROUTINE_HPP
#define BACKENDAI_ASYNC_COROUTINE_HPP

// ---- backendai/async/future.hpp
/// @file
/// The result of an asynchronous call.
#ifndef BACKENDAI_ASYNC_FUTURE_HPP
#define BACKENDAI_ASYNC_FUTURE_HPP

// ---- backendai/async/state.hpp
/// @file
/// What a future and the work behind it share.
#ifndef BACKENDAI_ASYNC_STATE_HPP
#define BACKENDAI_ASYNC_STATE_HPP


#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// The part that does not depend on the result's type. Whoever does the work writes the result and then calls finish(),
/// once; whoever took the future reads it when it is ready, once.
class future_core : public std::enable_shared_from_this<future_core> {
public:
    explicit future_core(std::shared_ptr<executor> threads) : executor_(std::move(threads)) {}
    future_core(const future_core&) = delete;
    future_core& operator=(const future_core&) = delete;
    virtual ~future_core() = default;

    /// Asks the work to end early. Does not wait.
    virtual void cancel() = 0;

    bool ready() const noexcept { return ready_.load(std::memory_order_acquire); }
    bool taken() const noexcept { return taken_.load(std::memory_order_relaxed); }
    /// Whether the caller is the first who wants the result.
    bool take() noexcept { return !taken_.exchange(true, std::memory_order_relaxed); }

    /// @throws client_error{argument} on a thread of the executor that the result comes from, unless it is there.
    void wait() {
        if (ready()) return;
        std::unique_lock<std::mutex> lock(mutex_);
        if (!ready() && executor_ && executor_->on_own_thread()) {
            throw client_error(error_kind::argument,
                               "waiting for a future on a thread of its session would never end: use then() or "
                               "co_await");
        }
        changed_.wait(lock, [this] { return ready(); });
    }
    bool wait_until(std::chrono::steady_clock::time_point when) {
        if (ready()) return true;
        std::unique_lock<std::mutex> lock(mutex_);
        return changed_.wait_until(lock, when, [this] { return ready(); });
    }

    /// Has @p next run on the executor when the result is there. @return false when it is there already, and @p next
    /// was not touched.
    bool continue_with(std::shared_ptr<work> next) {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (ready()) return false;
        next_ = std::move(next);
        return true;
    }
    /// As continue_with(), but a result that is there already makes @p next run too.
    void then(const std::shared_ptr<work>& next) {
        if (!continue_with(next)) dispatch(next, threads());
    }

    std::shared_ptr<executor> threads() {
        const std::lock_guard<std::mutex> lock(mutex_);
        return executor_;
    }

protected:
    void set_threads(std::shared_ptr<executor> threads) {
        const std::lock_guard<std::mutex> lock(mutex_);
        executor_ = std::move(threads);
    }
    void announce() noexcept {
        std::shared_ptr<work> next;
        std::shared_ptr<executor> threads;
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            ready_.store(true, std::memory_order_release);
            next.swap(next_);
            if (next) threads = executor_;
            changed_.notify_all();
        }
        if (next) dispatch(next, threads);
    }

private:
    // Once the session is closed and its threads are gone, the thread at hand does it.
    static void dispatch(const std::shared_ptr<work>& next, const std::shared_ptr<executor>& threads) {
        if (!threads || !threads->resume(next)) next->run();
    }

    std::atomic<bool> ready_{false}, taken_{false};
    std::mutex mutex_;
    std::condition_variable changed_;
    std::shared_ptr<work> next_;
    std::shared_ptr<executor> executor_;
};

/// Result or exception.
template <class T>
class future_state : public future_core {
    static_assert(!std::is_reference_v<T>, "backendai: a future cannot carry a reference");

public:
    using stored = std::conditional_t<std::is_void_v<T>, std::monostate, T>;
    using future_core::future_core;

    template <class... Arguments>
    void set_value(Arguments&&... arguments) {
        value_.emplace(std::forward<Arguments>(arguments)...);
    }
    void set_failure(std::exception_ptr failure) noexcept { failure_ = std::move(failure); }
    void finish() noexcept { this->announce(); }
    void fail(std::exception_ptr failure) noexcept {
        value_.reset();
        set_failure(std::move(failure));
        finish();
    }

    // For the one who took the result, when it is ready. Nothing of it stays behind.
    bool failed() const noexcept { return failure_ != nullptr; }
    std::exception_ptr take_failure() noexcept { return std::move(failure_); }
    stored take_value() {
        stored value = std::move(*value_);
        value_.reset();
        return value;
    }
    T take_result() {
        if (failure_) std::rethrow_exception(take_failure());
        if constexpr (std::is_void_v<T>) {
            value_.reset();
        } else {
            return take_value();
        }
    }

private:
    std::optional<stored> value_;
    std::exception_ptr failure_;
};

/// A result that waits for other futures in turn: cancelling it cancels the one that it waits for.
template <class T>
class dependent_state : public future_state<T> {
public:
    using future_state<T>::future_state;

    void cancel() override {
        std::shared_ptr<future_core> waits_for;
        {
            const std::lock_guard<std::mutex> lock(dependency_mutex_);
            if (this->ready()) return;
            cancelled_ = true;
            waits_for = dependency_;
        }
        if (waits_for) waits_for->cancel();
    }

    /// From now on the result depends on @p other, and comes from its executor.
    void depend_on(const std::shared_ptr<future_core>& other) {
        if (auto threads = other->threads()) this->set_threads(std::move(threads));
        bool cancelled = false;
        {
            const std::lock_guard<std::mutex> lock(dependency_mutex_);
            dependency_ = other;
            cancelled = cancelled_;
        }
        if (cancelled) other->cancel();
    }
    void depend_on_nothing() {
        std::shared_ptr<future_core> last;
        const std::lock_guard<std::mutex> lock(dependency_mutex_);
        last.swap(dependency_);
    }
    bool cancelled() {
        const std::lock_guard<std::mutex> lock(dependency_mutex_);
        return cancelled_;
    }

private:
    std::mutex dependency_mutex_;
    std::shared_ptr<future_core> dependency_;
    bool cancelled_ = false;
};

/// A client_error, or the std::bad_alloc that stands for it when there is no memory for its text.
inline std::exception_ptr failure_of(error_kind kind, const char* why) noexcept {
    try {
        throw client_error(kind, why);
    } catch (...) {
        return std::current_exception();
    }
}
inline std::exception_ptr cancelled_before_start() noexcept {
    return failure_of(error_kind::cancelled, "the call was cancelled");
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN

template <class T>
class future;

namespace detail {

template <class T>
struct is_future : std::false_type {};
template <class T>
struct is_future<future<T>> : std::true_type {};

template <class T>
struct without_future {
    using type = T;
};
template <class T>
struct without_future<future<T>> {
    using type = T;
};

// How the function given to then() is called: with the value where it takes that, else with the future.
template <class F, class T>
struct continuation_traits {
    static constexpr bool takes_value = std::is_invocable_v<F, T>;
    using returned =
        typename std::conditional_t<takes_value, std::invoke_result<F, T>, std::invoke_result<F, future<T>>>::type;
    using result = typename without_future<returned>::type;
};
template <class F>
struct continuation_traits<F, void> {
    static constexpr bool takes_value = std::is_invocable_v<F>;
    using returned =
        typename std::conditional_t<takes_value, std::invoke_result<F>, std::invoke_result<F, future<void>>>::type;
    using result = typename without_future<returned>::type;
};

struct future_access {
    template <class T>
    static const std::shared_ptr<future_state<T>>& state(const future<T>& result) {
        return result.state_;
    }
    template <class T>
    static future<T> make(std::shared_ptr<future_state<T>> state) {
        return future<T>(std::move(state));
    }
    // Takes the result away from a future, for whoever is going to read it.
    template <class T>
    static std::shared_ptr<future_state<T>> claim(const future<T>& result) {
        if (!result.state_ || !result.state_->take()) no_result();
        return result.state_;
    }
    [[noreturn]] static void no_result() {
        throw client_error(error_kind::argument, "this future has no result, or it was taken already");
    }
};

} // namespace detail

/// The result of an asynchronous call, there now or later: a value or the exception that the call would have thrown.
/// Letting go of a future neither waits nor cancels: the call goes on by itself. Movable, not copyable. valid(),
/// ready(), wait(), wait_for() and cancel() may be called by several threads at once; get() and then() take the result,
/// once.
template <class T>
class future {
public:
    using value_type = T;

    /// Without a result: not valid().
    future() noexcept = default;
    future(future&&) noexcept = default;
    future& operator=(future&&) noexcept = default;
    future(const future&) = delete;
    future& operator=(const future&) = delete;
    ~future() = default;

    /// Whether there is a result, now or later, that was not taken yet.
    bool valid() const noexcept { return state_ && !state_->taken(); }
    /// Whether the result is there, so that get() will not wait.
    bool ready() const noexcept { return valid() && state_->ready(); }

    /// Waits for the result.
    /// @throws client_error{argument} when there is none; and on a thread of the call's own session (in a continuation,
    ///         in a handler), which would wait for itself, unless the result is there
    void wait() const { waitable().wait(); }
    /// Waits for the result at most so long, without cancelling anything. @return ready()
    /// @throws client_error{argument} when there is no result
    template <class Rep, class Period>
    bool wait_for(std::chrono::duration<Rep, Period> limit) const {
        using clock = std::chrono::steady_clock;
        // Years are as good as ever, and cannot overflow the clock.
        const std::chrono::duration<double> years = std::chrono::hours(24 * 365 * 10);
        const auto wanted = std::chrono::duration<double>(limit) < years ? std::chrono::ceil<clock::duration>(limit)
                                                                         : std::chrono::ceil<clock::duration>(years);
        return waitable().wait_until(clock::now() + wanted);
    }
    /// Waits for the result and takes it.
    /// @throws what the call threw; client_error{argument} as wait()
    T get() {
        waitable().wait();
        return detail::future_access::claim(*this)->take_result();
    }

    /// Has @p next called with the result when it is there, on a thread of the session (where the session is closed: on
    /// the thread at hand), and returns the future of what it returns. @p next takes the value (nothing for
    /// future<void>), and is skipped when there is an exception instead, which goes on to the returned future; or it
    /// takes the future, which is ready, and sees both. Where it returns a future itself, the returned future is that.
    /// Takes the result: valid() is false afterwards. cancel() of the returned future reaches this call.
    /// @throws client_error{argument} when there is no result
    template <class F>
    auto then(F&& next) -> future<typename detail::continuation_traits<std::decay_t<F>, T>::result>;

    /// Asks the call to end with client_error{cancelled}; does not wait for that. A call that still waits for its turn
    /// ends at once. Nothing happens when the result is there.
    void cancel() const {
        if (state_) state_->cancel();
    }

private:
    friend struct detail::future_access;
    explicit future(std::shared_ptr<detail::future_state<T>> state) noexcept : state_(std::move(state)) {}

    detail::future_core& waitable() const {
        if (!valid()) detail::future_access::no_result();
        return *state_;
    }

    std::shared_ptr<detail::future_state<T>> state_;
};

namespace detail {

/// Hands the result of a future on to a state that stands for it.
template <class T>
class forwarding final : public work {
public:
    forwarding(std::shared_ptr<future_state<T>> from, std::shared_ptr<dependent_state<T>> to)
        : from_(std::move(from)), to_(std::move(to)) {}
    void run() noexcept override {
        to_->depend_on_nothing();
        if (from_->failed()) {
            to_->fail(from_->take_failure());
            return;
        }
        try {
            to_->set_value(from_->take_value());
        } catch (...) {
            to_->fail(std::current_exception()); // of the value's move constructor
            return;
        }
        to_->finish();
    }

private:
    std::shared_ptr<future_state<T>> from_;
    std::shared_ptr<dependent_state<T>> to_;
};

/// The future that then() returns, and the work that makes it ready.
template <class T, class F>
class continuation final : public dependent_state<typename continuation_traits<F, T>::result>, public work {
    using traits = continuation_traits<F, T>;
    using base = dependent_state<typename traits::result>;

public:
    template <class G>
    continuation(std::shared_ptr<future_state<T>> before, G&& next)
        : base(before->threads()), before_(std::move(before)), next_(std::forward<G>(next)) {}

    void start() {
        const auto self = std::static_pointer_cast<continuation>(this->shared_from_this());
        this->depend_on(before_);
        const std::shared_ptr<future_state<T>> before = before_;
        before->then(self);
    }

    void run() noexcept override {
        std::shared_ptr<future_state<T>> before = std::move(before_);
        this->depend_on_nothing();
        std::exception_ptr failure;
        if constexpr (traits::takes_value) {
            if (before->failed()) {
                failure = before->take_failure();
            } else if (this->cancelled()) {
                failure = cancelled_before_start();
            }
        }
        if (failure) {
            next_.reset();
            this->fail(std::move(failure));
            return;
        }
        try {
            proceed(std::move(before));
            return;
        } catch (...) {
            failure = std::current_exception();
        }
        next_.reset();
        this->fail(std::move(failure));
    }

private:
    void proceed(std::shared_ptr<future_state<T>> before) {
        if constexpr (is_future<typename traits::returned>::value) {
            auto inner = future_access::claim(call(std::move(before)));
            auto self = std::static_pointer_cast<base>(this->shared_from_this());
            auto hand_on = std::make_shared<forwarding<typename traits::result>>(inner, std::move(self));
            this->depend_on(inner);
            inner->then(hand_on);
        } else {
            if constexpr (std::is_void_v<typename traits::returned>) {
                call(std::move(before));
                this->set_value();
            } else {
                this->set_value(call(std::move(before)));
            }
            this->finish();
        }
    }
    // The function, and what it holds, is gone before the result is there.
    typename traits::returned call(std::shared_ptr<future_state<T>> before) {
        F next = std::move(*next_);
        next_.reset();
        if constexpr (!traits::takes_value) {
            auto again = std::make_shared<passed_on>(before->threads());
            if (before->failed()) {
                again->fail(before->take_failure());
            } else {
                again->set_value(before->take_value());
                again->finish();
            }
            return std::invoke(std::move(next), future_access::make<T>(std::move(again)));
        } else if constexpr (std::is_void_v<T>) {
            before.reset();
            return std::invoke(std::move(next));
        } else {
            return std::invoke(std::move(next), before->take_value());
        }
    }

    class passed_on final : public future_state<T> {
    public:
        using future_state<T>::future_state;
        void cancel() override {}
    };

    std::shared_ptr<future_state<T>> before_;
    std::optional<F> next_;
};

} // namespace detail

template <class T>
template <class F>
auto future<T>::then(F&& next) -> future<typename detail::continuation_traits<std::decay_t<F>, T>::result> {
    using function = std::decay_t<F>;
    auto before = detail::future_access::claim(*this);
    const auto after = std::make_shared<detail::continuation<T, function>>(std::move(before), std::forward<F>(next));
    after->start();
    return detail::future_access::make<typename detail::continuation_traits<function, T>::result>(after);
}

BACKENDAI_NAMESPACE_END

#endif

#if defined(__cpp_impl_coroutine) && __cpp_impl_coroutine >= 201902L
#if __has_include(<coroutine>)
#include <coroutine>
#endif
#endif

#if defined(__cpp_lib_coroutine) && __cpp_lib_coroutine >= 201902L
/// Defined where coroutines work.
#define BACKENDAI_HAS_COROUTINES 1

#include <exception>
#include <memory>
#include <type_traits>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

class resumption final : public work {
public:
    explicit resumption(std::coroutine_handle<> coroutine) : coroutine_(coroutine) {}
    void run() noexcept override { coroutine_.resume(); }

private:
    std::coroutine_handle<> coroutine_;
};

/// Marks the promises of this file.
struct coroutine_promise_mark {};

/// Ends a coroutine: the result appears when its variables and arguments are gone.
struct coroutine_finish {
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> coroutine) const noexcept {
        const auto state = coroutine.promise().take_state();
        coroutine.destroy();
        state->depend_on_nothing();
        state->finish();
    }
    void await_resume() const noexcept {}
};

/// The result of a coroutine that runs: its future's state, which depends on whatever the coroutine awaits.
template <class T>
class coroutine_promise_base : public coroutine_promise_mark {
public:
    coroutine_promise_base() : state_(std::make_shared<dependent_state<T>>(nullptr)) {}

    future<T> get_return_object() { return future_access::make<T>(state_); }
    /// A coroutine begins at once, on the thread that calls it, like any function.
    std::suspend_never initial_suspend() const noexcept { return {}; }
    coroutine_finish final_suspend() const noexcept { return {}; }
    void unhandled_exception() noexcept { state_->set_failure(std::current_exception()); }

    void awaits(const std::shared_ptr<future_core>& other) { state_->depend_on(other); }
    std::shared_ptr<dependent_state<T>> take_state() noexcept { return std::move(state_); }

protected:
    std::shared_ptr<dependent_state<T>> state_;
};

template <class T>
class coroutine_promise : public coroutine_promise_base<T> {
public:
    template <class U>
    void return_value(U&& value) {
        this->state_->set_value(std::forward<U>(value));
    }
};
template <>
class coroutine_promise<void> : public coroutine_promise_base<void> {
public:
    void return_void() { this->state_->set_value(); }
};

/// Awaits a future; the coroutine goes on on a thread of the session, or without a pause when the result is there.
template <class T>
class future_awaiter {
public:
    explicit future_awaiter(std::shared_ptr<future_state<T>> state) : state_(std::move(state)) {}

    bool await_ready() const noexcept { return state_->ready(); }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> coroutine) {
        // Of its own: once the continuation is set the coroutine, and this object in it, may be gone.
        const std::shared_ptr<future_state<T>> state = state_;
        auto next = std::make_shared<resumption>(coroutine);
        if constexpr (std::is_base_of_v<coroutine_promise_mark, Promise>) coroutine.promise().awaits(state);
        return state->continue_with(std::move(next));
    }
    T await_resume() { return state_->take_result(); }

private:
    std::shared_ptr<future_state<T>> state_;
};

} // namespace detail

/// `co_await session.kernel().get_or_create(...)`: waits without holding a thread. Takes the result, as get() does.
/// @throws what the call threw; client_error{argument} when the future has no result
template <class T>
detail::future_awaiter<T> operator co_await(future<T>&& result) {
    return detail::future_awaiter<T>(detail::future_access::claim(result));
}
template <class T>
detail::future_awaiter<T> operator co_await(future<T>& result) {
    return detail::future_awaiter<T>(detail::future_access::claim(result));
}

BACKENDAI_NAMESPACE_END

/// Makes every function that returns a backendai::future a possible coroutine. cancel() of its future cancels what it
/// awaits at that time, and everything that it awaits later.
template <class T, class... Arguments>
struct std::coroutine_traits<backendai::future<T>, Arguments...> {
    using promise_type = backendai::detail::coroutine_promise<T>;
};

#endif

#endif
// ---- backendai/async/message_stream.hpp
/// @file
/// Streams in asynchronous mode: their calls return futures.
#ifndef BACKENDAI_ASYNC_MESSAGE_STREAM_HPP
#define BACKENDAI_ASYNC_MESSAGE_STREAM_HPP

// ---- backendai/async/stream_engine.hpp
/// @file
/// What a stream does in asynchronous mode: a thread that reads for it and one that writes, each started when it is
/// first needed. They are the stream's own, so that a stream which waits holds none of the session's threads.
#ifndef BACKENDAI_ASYNC_STREAM_ENGINE_HPP
#define BACKENDAI_ASYNC_STREAM_ENGINE_HPP


#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// A call on a stream. Who claims it says how it ends: the stream's thread, or a cancel.
template <class T>
class stream_call_state : public future_state<T> {
public:
    using future_state<T>::future_state;
    bool claim() noexcept { return !claimed_.exchange(true, std::memory_order_acq_rel); }
    bool claimed() const noexcept { return claimed_.load(std::memory_order_acquire); }
    void cancel() override {
        if (claim()) this->fail(cancelled_before_start());
    }

private:
    std::atomic<bool> claimed_{false};
};

/// A call that waits for what a stream yields, whatever it makes of it.
template <class Value>
class stream_waiter {
public:
    using clock = std::chrono::steady_clock;

    explicit stream_waiter(clock::time_point limit) : deadline(limit) {}
    stream_waiter(const stream_waiter&) = delete;
    stream_waiter& operator=(const stream_waiter&) = delete;
    virtual ~stream_waiter() = default;
    /// Whether it was cancelled, and wants nothing any more.
    virtual bool gave_up() const noexcept = 0;
    /// Hands a value over, or nothing at the deadline. @return false when it gave up; the value is untouched then, and
    /// so is the failure
    virtual bool give(std::optional<Value>& value) noexcept = 0;
    virtual bool fail_with(std::exception_ptr& failure) noexcept = 0;

    const clock::time_point deadline;
};

template <class Value, class T>
class stream_read final : public stream_call_state<T>, public stream_waiter<Value> {
public:
    using conversion = T (*)(std::optional<Value>&&);

    stream_read(std::shared_ptr<executor> threads, conversion convert,
                typename stream_waiter<Value>::clock::time_point limit)
        : stream_call_state<T>(std::move(threads)), stream_waiter<Value>(limit), convert_(convert) {}
    bool gave_up() const noexcept override { return this->claimed(); }
    bool give(std::optional<Value>& value) noexcept override {
        if (!this->claim()) return false;
        std::exception_ptr failure;
        try {
            this->set_value(convert_(std::move(value)));
        } catch (...) {
            failure = std::current_exception();
        }
        if (failure) {
            this->fail(std::move(failure));
        } else {
            this->finish();
        }
        return true;
    }
    bool fail_with(std::exception_ptr& failure) noexcept override {
        if (!this->claim()) return false;
        this->fail(std::exchange(failure, nullptr));
        return true;
    }

private:
    const conversion convert_;
};

template <class Body>
class stream_write final : public stream_call_state<void> {
public:
    stream_write(std::shared_ptr<executor> threads, std::function<void(Body&)> what)
        : stream_call_state<void>(std::move(threads)), what_(std::move(what)) {}
    void run(Body& body) noexcept {
        if (!claim()) return;
        std::exception_ptr failure; // handed over when nothing of it is left here
        try {
            what_(body);
            set_value();
        } catch (...) {
            failure = std::current_exception();
        }
        if (failure) {
            fail(std::move(failure));
        } else {
            finish();
        }
    }
    void refuse(std::exception_ptr failure) noexcept {
        if (claim()) fail(std::move(failure));
    }

private:
    const std::function<void(Body&)> what_;
};

/// @tparam Body the stream's blocking functions: `value`, what it yields; `std::optional<value> read_for(limit)`,
/// nothing
///              when the limit is over; `void end() noexcept`, the orderly end, may be called more than once; `void
///              cancel() noexcept`, after which all of them return soon. One thread reads while others do the rest.
/// Made by make_shared(); the threads share it.
template <class Body>
class stream_engine final : public std::enable_shared_from_this<stream_engine<Body>> {
    using clock = std::chrono::steady_clock;

public:
    using value = typename Body::value;
    template <class T>
    using conversion = T (*)(std::optional<value>&&);

    template <class... Arguments>
    explicit stream_engine(std::shared_ptr<executor> threads, Arguments&&... arguments)
        : threads_(std::move(threads)), body_(std::forward<Arguments>(arguments)...) {}
    stream_engine(const stream_engine&) = delete;
    stream_engine& operator=(const stream_engine&) = delete;
    ~stream_engine() = default; // stop() was called, and the threads have let go of it

    Body& body() noexcept { return body_; }

    /// What the stream yields next, made into a T. Reads are served in the order in which they were asked for; one that
    /// is cancelled takes nothing away from the next.
    template <class T>
    future<T> read(conversion<T> convert, clock::time_point deadline = (clock::time_point::max)()) {
        const auto task = std::make_shared<stream_read<value, T>>(threads_, convert, deadline);
        try {
            const std::lock_guard<std::mutex> lock(mutex_);
            if (!reader_.joinable()) reader_ = start(&stream_engine::serve_reads);
            reads_.push_back(task);
        } catch (const client_error&) { // no thread for it
            std::exception_ptr failure = std::current_exception();
            task->fail_with(failure);
        }
        reads_changed_.notify_one();
        return future_access::make<T>(task);
    }

    /// Calls @p what in the order in which it was asked for, beside the reads. A cancel reaches it until its turn
    /// comes.
    future<void> write(std::function<void(Body&)> what) {
        const auto task = std::make_shared<stream_write<Body>>(threads_, std::move(what));
        try {
            const std::lock_guard<std::mutex> lock(mutex_);
            if (!writer_.joinable()) writer_ = start(&stream_engine::serve_writes);
            writes_.push_back(task);
        } catch (const client_error&) { // no thread for it
            task->refuse(std::current_exception());
        }
        writes_changed_.notify_one();
        return future_access::make<void>(task);
    }

    /// Ends the stream, in an orderly way unless a write is stuck, and waits for the threads. Calls that wait end with
    /// client_error{cancelled}. Once, by the stream's owner.
    void stop() noexcept {
        bool writes = false;
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            stopping_ = true;
            writes = writing_;
        }
        reads_changed_.notify_all();
        writes_changed_.notify_all();
        if (!writes) body_.end();
        body_.cancel();
        join(reader_);
        join(writer_);
    }

private:
    // How long one read of the body may last when nobody waits with a limit: a cancelled one makes room by then.
    static constexpr std::chrono::milliseconds slice{100};

    std::thread start(void (stream_engine::*serve)()) {
        return os::start_thread([self = this->shared_from_this(), serve] { (self.get()->*serve)(); });
    }
    // Where a continuation that runs here lets go of the stream the thread cannot wait for itself; it shares all it
    // needs.
    static void join(std::thread& thread) noexcept {
        if (!thread.joinable()) return;
        if (thread.get_id() == std::this_thread::get_id()) {
            thread.detach();
        } else {
            thread.join();
        }
    }

    void serve_reads() {
        std::unique_lock<std::mutex> lock(mutex_);
        std::optional<value> kept; // of reads that gave up meanwhile
        std::exception_ptr failure;
        for (;;) {
            reads_changed_.wait(lock, [this] { return stopping_ || !reads_.empty(); });
            if (reads_.empty()) return;
            const std::shared_ptr<stream_waiter<value>> first = reads_.front();
            const bool is_late = clock::now() >= first->deadline;
            const bool stops = stopping_;
            if (stops || kept || failure || is_late || first->gave_up()) {
                reads_.pop_front();
                lock.unlock();
                if (stops) {
                    std::exception_ptr end = cancelled_before_start();
                    first->fail_with(end);
                } else if (kept || !failure) {
                    if (first->give(kept)) kept.reset();
                } else {
                    first->fail_with(failure);
                }
            } else {
                lock.unlock();
                const auto left = first->deadline - clock::now();
                const auto limit = left < slice ? std::chrono::ceil<std::chrono::milliseconds>(left) : slice;
                try {
                    kept = body_.read_for(limit);
                } catch (...) {
                    failure = std::current_exception();
                }
            }
            lock.lock();
        }
    }

    void serve_writes() {
        std::unique_lock<std::mutex> lock(mutex_);
        for (;;) {
            writes_changed_.wait(lock, [this] { return stopping_ || !writes_.empty(); });
            if (writes_.empty()) return;
            const std::shared_ptr<stream_write<Body>> first = std::move(writes_.front());
            writes_.pop_front();
            const bool stops = stopping_;
            writing_ = !stops;
            lock.unlock();
            if (stops) {
                first->refuse(cancelled_before_start());
            } else {
                first->run(body_);
            }
            lock.lock();
            writing_ = false;
        }
    }

    const std::shared_ptr<executor> threads_;
    Body body_;
    std::mutex mutex_;
    std::condition_variable reads_changed_, writes_changed_;
    std::deque<std::shared_ptr<stream_waiter<value>>> reads_;
    std::deque<std::shared_ptr<stream_write<Body>>> writes_;
    bool stopping_ = false, writing_ = false;
    std::thread reader_, writer_;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// The owner of a stream's engine; movable. Letting go of it ends the stream.
template <class Body>
class async_stream_io {
public:
    using value = typename Body::value;

    template <class... Arguments>
    explicit async_stream_io(std::shared_ptr<executor> threads, Arguments&&... arguments)
        : engine_(std::make_shared<stream_engine<Body>>(std::move(threads), std::forward<Arguments>(arguments)...)) {}
    async_stream_io(async_stream_io&&) noexcept = default;
    async_stream_io& operator=(async_stream_io&& other) noexcept {
        if (this != &other) {
            stop();
            engine_ = std::move(other.engine_);
        }
        return *this;
    }
    async_stream_io(const async_stream_io&) = delete;
    async_stream_io& operator=(const async_stream_io&) = delete;
    ~async_stream_io() { stop(); }

    Body& body() const noexcept { return engine_->body(); }
    future<value> read() const {
        return engine_->template read<value>([](std::optional<value>&& got) { return std::move(*got); });
    }
    template <class T>
    future<T> read_for(std::chrono::milliseconds limit, T (*convert)(std::optional<value>&&)) const {
        return engine_->template read<T>(convert, time_after(limit));
    }
    future<void> write(std::function<void(Body&)> what) const { return engine_->write(std::move(what)); }

private:
    void stop() noexcept {
        if (engine_) engine_->stop();
    }

    std::shared_ptr<stream_engine<Body>> engine_;
};

/// A message_stream as a stream_engine wants it.
class message_stream_body {
public:
    using value = stream_message;

    explicit message_stream_body(std::unique_ptr<message_stream> stream) : stream_(std::move(stream)) {}
    message_stream& stream() const noexcept { return *stream_; }
    std::optional<stream_message> read_for(std::chrono::milliseconds limit) { return stream_->receive_for(limit); }
    void end() noexcept {
        try {
            stream_->close();
        } catch (const std::exception&) {
            // The owner lets go of it: there is nobody left to tell.
        }
    }
    void cancel() noexcept { stream_->cancel(); }

private:
    const std::unique_ptr<message_stream> stream_;
};

} // namespace detail

/// A message_stream whose calls return futures, from connect_websocket() on an asynchronous session. Its calls never
/// wait for one of the session's threads. Receives are served in the order in which they were made, sends and closes
/// too, each beside the other. A future's cancel() ends that call only: a message that comes is for the next receive().
/// Destroying the stream says goodbye and ends the calls that wait with client_error{cancelled}. Thread-safe but for
/// that.
class async_message_stream {
public:
    async_message_stream(std::shared_ptr<detail::executor> threads, std::unique_ptr<message_stream> stream)
        : io_(std::move(threads), std::move(stream)) {}

    /// See message_stream, also for the errors, which come out of the futures.
    future<stream_message> receive() const { return io_.read(); }
    /// Nothing when no message came within @p limit.
    future<std::optional<stream_message>> receive_for(std::chrono::milliseconds limit) const {
        return io_.read_for<std::optional<stream_message>>(
            limit, [](std::optional<stream_message>&& message) { return std::move(message); });
    }
    future<void> send_text(std::string text) const {
        return io_.write([text = std::move(text)](body& on) { on.stream().send_text(text); });
    }
    future<void> send_binary(std::string bytes) const {
        return io_.write([bytes = std::move(bytes)](body& on) { on.stream().send_binary(bytes); });
    }
    future<void> close(std::uint16_t code = 1000, std::string reason = {}) const {
        return io_.write([code, reason = std::move(reason)](body& on) { on.stream().close(code, reason); });
    }
    /// Breaks the connection off: calls that run and later ones end with client_error{cancelled}.
    void cancel() const noexcept { io_.body().cancel(); }
    const std::string& protocol() const noexcept { return io_.body().stream().protocol(); }

private:
    using body = detail::message_stream_body;
    detail::async_stream_io<body> io_;
};

BACKENDAI_NAMESPACE_END

#endif

#include <atomic>
#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// One call: waits in the queue, runs, ends. Who claims it (the thread whose turn it is, a cancel, the time limit, the
/// closing session) says how it ends. It stays in the queue until its turn also when it has ended before, and what it
/// holds is let go there and then.
template <class Body, class T>
class call_task final : public future_state<T>, public work, public interruptible {
public:
    call_task(std::shared_ptr<executor> threads, call_scope scope, Body&& body)
        : future_state<T>(threads), timer_(threads->timer()), scope_(std::move(scope)), body_(std::move(body)) {
        scope_.task = control_;
    }

    void start() {
        const auto self = std::static_pointer_cast<call_task>(this->shared_from_this());
        const auto limit = scope_.options.timeout.value_or(scope_.state->config().timeout);
        if (scope_.options.cancel.can_be_cancelled()) on_cancel_.emplace(scope_.options.cancel, [this] { cancel(); });
        try {
            const auto deadline = deadline_of(limit, control_->called);
            if (deadline != (exchange_context::clock::time_point::max)()) {
                timed_ = true;
                timer_.watch(*this, deadline);
            }
            if (!this->threads()->submit(self)) refuse();
        } catch (const client_error&) {
            end_unrun(std::current_exception()); // no thread can be started
        } catch (...) {
            leave_queue();
            throw;
        }
    }

    void run() noexcept override {
        leave_queue();
        if (!claim()) {
            let_go();
            return;
        }
        std::exception_ptr failure;
        try {
            const call_scope& scope = scope_;
            if constexpr (std::is_void_v<T>) {
                (*body_)(scope);
                this->set_value();
            } else {
                this->set_value((*body_)(scope));
            }
        } catch (...) {
            failure = std::current_exception();
        }
        let_go();
        if (failure) {
            this->fail(std::move(failure));
        } else {
            this->finish();
        }
    }

    void refuse() noexcept override { end_unrun(failure_of(error_kind::closed, "the session was closed")); }

    void cancel() override {
        if (this->ready()) return;
        control_->cancel.cancel();
        if (claim()) this->fail(cancelled_before_start());
    }

    // The time limit is over while the call waits. Comes again until the call has left the queue.
    void interrupt() noexcept override {
        if (claim()) {
            this->fail(failure_of(error_kind::timeout, "the call's time limit was reached before its turn came"));
        }
    }

private:
    bool claim() noexcept { return !claimed_.exchange(true, std::memory_order_acq_rel); }

    void end_unrun(std::exception_ptr why) noexcept {
        leave_queue();
        let_go();
        if (claim()) this->fail(std::move(why));
    }
    void leave_queue() noexcept {
        if (timed_) timer_.forget(*this);
    }
    void let_go() noexcept {
        on_cancel_.reset();
        body_.reset();
        scope_ = call_scope();
    }

    watchdog& timer_; // of the executor that the future's state keeps
    const std::shared_ptr<task_control> control_ = std::make_shared<task_control>();
    call_scope scope_;
    std::optional<Body> body_;
    std::optional<cancel_token::listener> on_cancel_;
    std::atomic<bool> claimed_{false};
    bool timed_ = false;
};

} // namespace detail

/// Calls return a future at once and run on the session's threads; see the file's description.
struct async {
    template <class T>
    using result = future<T>;

    template <class Body>
    static auto run(const detail::call_scope& scope, Body body)
        -> future<std::invoke_result_t<Body&, const detail::call_scope&>> {
        using value = std::invoke_result_t<Body&, const detail::call_scope&>;
        const auto task =
            std::make_shared<detail::call_task<Body, value>>(scope.state->threads(), scope, std::move(body));
        task->start();
        return detail::future_access::make<value>(task);
    }

    /// What connect_websocket() opens.
    using stream = async_message_stream;
    static std::unique_ptr<stream> wrap(const detail::call_scope& scope, std::unique_ptr<message_stream> opened) {
        return std::make_unique<stream>(scope.state->threads(), std::move(opened));
    }
    template <class Body>
    class stream_io : public detail::async_stream_io<Body> {
    public:
        template <class... Arguments>
        explicit stream_io(const detail::call_scope& scope, Arguments&&... arguments)
            : detail::async_stream_io<Body>(scope.state->threads(), std::forward<Arguments>(arguments)...) {}
    };
};

BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/parallel.hpp
/// @file
/// Fan-out: many jobs, at most so many of them at once.
#ifndef BACKENDAI_PARALLEL_HPP
#define BACKENDAI_PARALLEL_HPP


#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

/// How one job of run_parallel() ended.
template <class T>
struct outcome {
    std::optional<std::conditional_t<std::is_void_v<T>, std::monostate, T>> value;
    std::exception_ptr failure; ///< what the job threw; null when it succeeded

    bool ok() const noexcept { return !failure; }
    /// The value. @throws what the job threw
    T get() {
        if (failure) std::rethrow_exception(failure);
        if constexpr (!std::is_void_v<T>) return std::move(*value);
    }
};

namespace detail {

template <class Job>
using job_result = typename without_future<std::invoke_result_t<Job&>>::type;

template <class T, class Work>
void settle(outcome<T>& end, Work&& work) {
    try {
        if constexpr (std::is_void_v<T>) {
            work();
            end.value.emplace();
        } else {
            end.value.emplace(work());
        }
    } catch (...) {
        end.failure = std::current_exception();
    }
}

// Blocking jobs: the caller and further threads take one after the other.
template <class Job>
void run_on_threads(std::vector<Job>& jobs, std::size_t width, const cancel_token& cancel,
                    std::vector<outcome<job_result<Job>>>& ends) {
    std::atomic<std::size_t> next{0};
    const auto lane = [&] {
        for (std::size_t i = next++; i < jobs.size() && !cancel.cancelled(); i = next++) settle(ends[i], jobs[i]);
    };
    std::vector<std::thread> helpers;
    helpers.reserve(width);
    try {
        while (helpers.size() + 1 < width) helpers.emplace_back(lane);
    } catch (const std::exception&) {
        // The system gives no more threads, or memory for them: fewer at once is within what was asked for.
    }
    lane();
    for (std::thread& helper : helpers) helper.join();
}

// Jobs that return futures need no threads: the end of one makes room for the next.
template <class Job>
void run_by_futures(std::vector<Job>& jobs, std::size_t width, const cancel_token& cancel,
                    std::vector<outcome<job_result<Job>>>& ends) {
    using result = job_result<Job>;
    std::mutex mutex;
    std::condition_variable changed;
    std::map<std::size_t, future<void>> running;
    std::vector<std::size_t> ended;
    const auto wake = [&] {
        const std::lock_guard<std::mutex> lock(mutex);
        changed.notify_all();
    };
    const cancel_token::listener on_cancel(cancel, wake);
    bool told = false;
    std::size_t next = 0;
    for (;;) {
        while (running.size() < width && next < jobs.size() && !cancel.cancelled()) {
            const std::size_t i = next++;
            try {
                running.emplace(i, jobs[i]().then([&, i](future<result> done) {
                    settle(ends[i], [&] { return done.get(); });
                    const std::lock_guard<std::mutex> lock(mutex);
                    ended.push_back(i);
                    changed.notify_all();
                }));
            } catch (...) {
                ends[i].failure = std::current_exception();
            }
        }
        if (running.empty() && (next == jobs.size() || cancel.cancelled())) return;
        if (cancel.cancelled() && !std::exchange(told, true)) {
            for (auto& job : running) job.second.cancel();
        }
        std::vector<std::size_t> gone;
        {
            std::unique_lock<std::mutex> lock(mutex);
            changed.wait(lock, [&] { return !ended.empty() || (cancel.cancelled() && !told); });
            gone.swap(ended);
        }
        for (const std::size_t i : gone) running.erase(i);
    }
}

} // namespace detail

/// Runs all @p jobs, at most @p max_parallel of them at once, and waits until they ended. Each is a function without
/// arguments; where it returns a future, that is what runs (`[&] { return kernel.run(code); }` on an async_session),
/// else it runs on a thread of its own and on the caller's. They are started in order. One that fails does not stop the
/// others. Where @p cancel is triggered no further job is started, and futures are cancelled; a blocking job that shall
/// end early too gets the same token by `session.with()`.
/// @return how each job ended, in the order of the jobs; client_error{cancelled} for those that were not started
/// @throws client_error{argument} when @p max_parallel is 0, or for jobs with futures on a thread of a session
template <class Job>
std::vector<outcome<detail::job_result<Job>>> run_parallel(std::vector<Job> jobs, std::size_t max_parallel,
                                                           const cancel_token& cancel = {}) {
    using returned = std::invoke_result_t<Job&>;
    if (max_parallel == 0) throw client_error(error_kind::argument, "max_parallel must be at least 1");
    std::vector<outcome<detail::job_result<Job>>> ends(jobs.size());
    const std::size_t width = (std::min)(max_parallel, jobs.size());
    if constexpr (detail::is_future<returned>::value) {
        if (detail::executor::current() != nullptr) {
            throw client_error(
                error_kind::argument,
                "run_parallel() would wait for futures on a thread of a session: use then() or co_await");
        }
        detail::run_by_futures(jobs, width, cancel, ends);
    } else {
        detail::run_on_threads(jobs, width, cancel, ends);
    }
    for (auto& end : ends) {
        if (!end.value && !end.failure) end.failure = detail::cancelled_before_start();
    }
    return ends;
}

BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/request.hpp
/// @file
/// The low-level API: any signed request to any path of the server, for what the API classes do not cover.
#ifndef BACKENDAI_REQUEST_HPP
#define BACKENDAI_REQUEST_HPP


#include <memory>
#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

/// Says whether fetch() throws an api_error for an answer that is no success: `fetch(check_status{false})`.
struct check_status {
    explicit check_status(bool value = true) : enabled(value) {}
    bool enabled;
};

/// A file in a multipart/form-data request.
struct attached_file {
    std::string filename;                       ///< UTF-8, relative, with `/`
    std::shared_ptr<codec::byte_source> stream; ///< what it holds; file_source reads it from disk
    std::string content_type = "application/octet-stream";
    std::string bytes = {};         ///< what it holds when there is no stream
    std::string field_name = "src"; ///< of the form; uploads expect "src"
};

/// One request: `request(session, "GET", "/auth/test").set_param("echo", "hi").fetch().json()`.
/// Not thread-safe; fetch() may be called again and sends the same request anew.
template <class Transport, class Mode>
class request {
public:
    /// @param method any HTTP method.  @param path after the endpoint, with or without a query, escaped or not.
    request(const basic_session_view<Transport, Mode>& session, std::string method, std::string path)
        : scope_(session.scope()) {
        call_.method = std::move(method);
        call_.path = std::move(path);
        call_.retry = detail::upper_case(call_.method) == "GET" ? retry_class::safe : retry_class::unsafe;
    }

    /// Adds a query parameter. A name may be given more than once.
    request& set_param(std::string name, std::string value) {
        call_.query.emplace_back(std::move(name), std::move(value));
        return *this;
    }
    /// Adds a header field, in place of one of the same name. @p name must not be one that the signature covers.
    request& set_header(const std::string& name, std::string value) {
        for (const char* reserved : {"Authorization", "Date", "Host", "Content-Type", "Content-Length",
                                     "Transfer-Encoding", "Connection", "X-BackendAI-Version"}) {
            if (detail::equal_ignoring_case(name, reserved)) {
                throw client_error(error_kind::argument, std::string("the header ") + reserved + " is set by the SDK");
            }
        }
        call_.headers.set(name, std::move(value));
        return *this;
    }
    /// Sets a body of bytes or text, sent with any method.
    request& set_content(std::string body, std::string content_type = "application/octet-stream") {
        call_.body = std::move(body);
        call_.source.reset();
        call_.content_type = std::move(content_type);
        return *this;
    }
    /// Sets a body that is read while it is sent.
    request& set_content(std::shared_ptr<codec::byte_source> source,
                         std::string content_type = "application/octet-stream") {
        call_.source = std::move(source);
        call_.body.clear();
        call_.content_type = std::move(content_type);
        return *this;
    }
    /// Sets a JSON body, sent with any method, GET and DELETE included.
    /// @throws client_error{argument} when a text in it is not UTF-8.
    request& set_json(const json& value) {
        call_.set_json(value);
        call_.source.reset();
        return *this;
    }
    /// Sets a multipart/form-data body of files, which are read while they are sent.
    /// @throws client_error{argument} for a name or type with a line break, a NUL byte or what is not UTF-8.
    request& attach_files(std::vector<attached_file> files) {
        std::vector<codec::form_part> parts;
        for (attached_file& file : files) {
            codec::form_part part;
            part.name = std::move(file.field_name);
            part.filename = std::move(file.filename);
            part.content_type = std::move(file.content_type);
            part.content =
                file.stream ? std::move(file.stream) : std::make_shared<codec::string_source>(std::move(file.bytes));
            parts.push_back(std::move(part));
        }
        detail::set_multipart(call_, std::move(parts));
        return *this;
    }
    /// Says that repeating the request does no harm (a GET) or may do some (everything else), against the default.
    request& set_retry_class(retry_class kind) {
        call_.retry = kind;
        return *this;
    }

    /// Sends the request and returns the answer, body in memory.
    /// @throws api_error for an answer that is no success (unless switched off), client_error when there is none.
    typename Mode::template result<response> fetch(check_status check = check_status()) const {
        return fetch(body_receiver(), check);
    }
    /// Sends the request and hands the body of a successful answer to @p receiver as it arrives; the returned response
    /// has no body then. Once the receiver has seen data the request is not tried again.
    typename Mode::template result<response> fetch(body_receiver receiver, check_status check = check_status()) const {
        return fetch(head_receiver(), std::move(receiver), check);
    }
    /// The same; @p head sees status and header fields of a successful answer before its body begins.
    typename Mode::template result<response> fetch(head_receiver head, body_receiver receiver,
                                                   check_status check = check_status()) const {
        detail::call what = call_;
        what.on_head = std::move(head);
        what.receiver = std::move(receiver);
        what.check_status = check.enabled;
        return Mode::run(scope_, [what = std::move(what)](const detail::call_scope& scope) mutable {
            return scope.perform(std::move(what));
        });
    }

    /// Opens a websocket at the path, a signed GET whatever the method; the body is not sent. Subprotocols go into the
    /// header Sec-WebSocket-Protocol. A message_stream comes of it, in asynchronous mode an async_message_stream.
    /// @throws api_error when the answer is not 101; client_error
    typename Mode::template result<std::unique_ptr<typename Mode::stream>> connect_websocket() const {
        static_assert(
            is_websocket_transport_v<Transport>,
            "backendai: connect_websocket needs a transport with websockets: this one lacks websocket_opening "
            "open_websocket(http_request&, const exchange_context&), see backendai/transport/concept.hpp");
        detail::call what = call_;
        what.body.clear();
        what.source.reset();
        return Mode::run(scope_, [what = std::move(what)](const detail::call_scope& scope) {
            return Mode::wrap(scope, scope.open_websocket(what));
        });
    }

private:
    detail::call_scope scope_;
    detail::call call_;
};

template <class Transport, class Mode>
request(const basic_session<Transport, Mode>&, std::string, std::string) -> request<Transport, Mode>;

BACKENDAI_NAMESPACE_END

#endif

#endif

#ifndef BACKENDAI_NO_HTTPLIB
// ---- backendai/transport/httplib.hpp
/// @file
/// The default transport, on cpp-httplib. Declared here, defined in httplib_impl.hpp, the only header that includes
/// httplib.h.
///
/// A program of many files can keep httplib.h, and the code of the default sessions, out of all but one of them: define
/// BACKENDAI_EXTERN_HTTPLIB for the whole program, and BACKENDAI_HTTPLIB_IMPLEMENTATION in exactly one file before it
/// includes <backendai.hpp>. See examples/two_files.
#ifndef BACKENDAI_TRANSPORT_HTTPLIB_HPP
#define BACKENDAI_TRANSPORT_HTTPLIB_HPP


#include <memory>

BACKENDAI_NAMESPACE_BEGIN

/// HTTP by cpp-httplib, 0.11.4 to the newest: one connection a caller, kept alive in a bounded pool for the next one.
/// TLS is checked against the host name in the certificate's SAN, TLS 1.2 at least.
/// Thread-safe. Moving it is only allowed while no exchange runs.
class httplib_transport {
public:
    /// Takes the connection part of a resolved configuration: time limits, CA and client certificate files, the skip
    /// flag, the number of idle connections.
    explicit httplib_transport(const api_config& config);
    httplib_transport(httplib_transport&&) noexcept;
    httplib_transport& operator=(httplib_transport&&) noexcept;
    ~httplib_transport();

    /// See transport/concept.hpp.
    response_head exchange(http_request& request, body_sink& sink, const exchange_context& context);
    /// See transport/concept.hpp. By sockets and OpenSSL of our own: cpp-httplib has no part in it.
    websocket_opening open_websocket(http_request& request, const exchange_context& context);

private:
    class implementation;
    std::unique_ptr<implementation> implementation_;
};

/// The default session: calls block.
using session = basic_session<httplib_transport, blocking>;
/// A handle to a compute session, made by `session::kernel()`.
using kernel = basic_kernel<httplib_transport, blocking>;

/// The default session whose calls return futures: `async_session session; auto info = session.hello();`.
using async_session = basic_session<httplib_transport, async>;
/// A handle to a compute session, made by `async_session::kernel()`.
using async_kernel = basic_kernel<httplib_transport, async>;

BACKENDAI_NAMESPACE_END

#if !defined(BACKENDAI_EXTERN_HTTPLIB) || defined(BACKENDAI_HTTPLIB_IMPLEMENTATION)
// ---- backendai/transport/httplib_impl.hpp
/// @file
/// The definition of httplib_transport. Only cpp-httplib's documented interface is used: Client, its setters, and
/// Client::send() with the public fields of Request, which is the same from 0.11.4 to the newest.
#ifndef BACKENDAI_TRANSPORT_HTTPLIB_IMPL_HPP
#define BACKENDAI_TRANSPORT_HTTPLIB_IMPL_HPP

// The macro changes the layout of httplib's classes, so that it must come from the build, for all files alike.
#if !defined(CPPHTTPLIB_OPENSSL_SUPPORT) && !defined(BACKENDAI_ALLOW_PLAIN_HTTP)
#error \
    "backendai: define CPPHTTPLIB_OPENSSL_SUPPORT for the whole program (https needs it), or BACKENDAI_ALLOW_PLAIN_HTTP to do without https"
#endif

// ---- backendai/os/connection_handle.hpp
/// @file
/// A second handle on a socket that a library keeps to itself: enough to break its connection off from another thread
/// and to see whether bytes wait in it, without touching a descriptor that the library may have closed meanwhile.
#ifndef BACKENDAI_OS_CONNECTION_HANDLE_HPP
#define BACKENDAI_OS_CONNECTION_HANDLE_HPP


#ifdef _WIN32
#include <winsock2.h>
#else
#include <cerrno>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>
#endif

#include <cstdint>
#include <mutex>

BACKENDAI_NAMESPACE_BEGIN
namespace os {

#ifdef _WIN32
using native_socket = SOCKET;
#else
using native_socket = int;
#endif

/// Thread-safe.
class connection_handle {
public:
    connection_handle() = default;
    connection_handle(const connection_handle&) = delete;
    connection_handle& operator=(const connection_handle&) = delete;
    ~connection_handle() { reset(); }

    /// Duplicates @p socket, in place of what was held before.
    void hold(native_socket socket) {
        const std::lock_guard<std::mutex> lock(mutex_);
        close_held();
#ifdef _WIN32
        WSAPROTOCOL_INFOW info;
        if (WSADuplicateSocketW(socket, GetCurrentProcessId(), &info) == 0) {
            held_ = WSASocketW(FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, &info, 0, 0);
        }
#else
        held_ = ::fcntl(socket, F_DUPFD_CLOEXEC, 0);
#endif
    }
    void reset() {
        const std::lock_guard<std::mutex> lock(mutex_);
        close_held();
    }
    /// Breaks the connection off: whoever reads, writes or connects on it comes back with an error. False when there is
    /// none, or the system gave no second handle on it.
    bool shut_down() noexcept {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (held_ == none) return false;
#ifdef _WIN32
        ::shutdown(held_, SD_BOTH);
#else
        ::shutdown(held_, SHUT_RDWR);
#endif
        return true;
    }
    /// Whether an idle connection can be used again: open, and no byte has come that nobody asked for.
    bool is_quiet() {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (held_ == none) return false;
        char byte = 0;
#ifdef _WIN32
        u_long waiting = 0;
        (void)byte;
        return ::ioctlsocket(held_, FIONREAD, &waiting) == 0 && waiting == 0;
#else
        return ::recv(held_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
#endif
    }
    /// How many bytes the peer has sent on this connection, where the system tells (Linux), else 0.
    std::uint64_t bytes_received() {
#ifdef __linux__
        const std::lock_guard<std::mutex> lock(mutex_);
        // tcp_info of <netinet/tcp.h> ends before tcpi_bytes_received, which stands at byte 128 since Linux 4.1.
        struct {
            unsigned char before[128];
            std::uint64_t bytes_received;
        } info{};
        socklen_t size = sizeof info;
        if (held_ != none && ::getsockopt(held_, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 && size == sizeof info) {
            return info.bytes_received;
        }
#endif
        return 0;
    }

private:
#ifdef _WIN32
    static constexpr native_socket none = INVALID_SOCKET;
    void close_held() {
        if (held_ != none) ::closesocket(held_);
        held_ = none;
    }
#else
    static constexpr native_socket none = -1;
    void close_held() {
        if (held_ != none) ::close(held_);
        held_ = none;
    }
#endif
    std::mutex mutex_;
    native_socket held_ = none;
};

} // namespace os
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/os/sigpipe.hpp
/// @file
/// Keeps SIGPIPE, whose default is to end the program, away from a thread while it writes to a connection whose peer
/// may be gone. Sockets have MSG_NOSIGNAL for that; OpenSSL's own socket calls do not use it.
#ifndef BACKENDAI_OS_SIGPIPE_HPP
#define BACKENDAI_OS_SIGPIPE_HPP


#ifndef _WIN32
#include <pthread.h>
#include <signal.h> // NOLINT(modernize-deprecated-headers): sigset_t and its functions are POSIX, not C++
#endif

BACKENDAI_NAMESPACE_BEGIN
namespace os {

/// Blocks SIGPIPE on this thread for its lifetime and swallows the one that came meanwhile. The process-wide setting,
/// which belongs to the program, is not touched. Windows knows no such signal.
class sigpipe_guard {
public:
#ifdef _WIN32
    sigpipe_guard() {}
    ~sigpipe_guard() {}
#else
    sigpipe_guard() {
        sigset_t added;
        sigemptyset(&added);
        sigaddset(&added, SIGPIPE);
        pthread_sigmask(SIG_BLOCK, &added, &before_);
        // One can only be waiting already where it was blocked already.
        was_waiting_ = sigismember(&before_, SIGPIPE) == 1 && is_waiting();
    }
    ~sigpipe_guard() {
        if (!was_waiting_ && is_waiting()) {
            sigset_t taken;
            sigemptyset(&taken);
            sigaddset(&taken, SIGPIPE);
            int number = 0;
            sigwait(&taken, &number); // it waits already, so that this returns at once
        }
        pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }
#endif
    sigpipe_guard(const sigpipe_guard&) = delete;
    sigpipe_guard& operator=(const sigpipe_guard&) = delete;

private:
#ifndef _WIN32
    static bool is_waiting() {
        sigset_t waiting;
        sigemptyset(&waiting);
        sigpending(&waiting);
        return sigismember(&waiting, SIGPIPE) == 1;
    }
    sigset_t before_{};
    bool was_waiting_ = false;
#endif
};

} // namespace os
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/transport/framing.hpp
/// @file
/// The framing rules of an answer (RFC 7230 section 3.3.3) that an HTTP library may be lenient about, checked here for
/// every transport: a body whose end is in doubt must not pass as whole.
#ifndef BACKENDAI_TRANSPORT_FRAMING_HPP
#define BACKENDAI_TRANSPORT_FRAMING_HPP


#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// Checks an answer's head, then counts its body.
class body_framing {
public:
    /// @throws client_error{protocol} when the head leaves the body's length in doubt or is out of bounds
    body_framing(const response_head& head, const std::string& method) {
        if (head.status < 200 || head.status > 599)
            bad("the status " + std::to_string(head.status) + " was not asked for");
        std::size_t size = 0;
        const std::string* coding = nullptr;
        const std::string* length = nullptr;
        const auto only = [](const std::string*& known, const std::string& value, const char* what) {
            if (known != nullptr) bad(what);
            known = &value;
        };
        for (const auto& field : head.headers) {
            size += field.first.size() + field.second.size();
            // "Content-Length : 5" would otherwise pass as a header of another name.
            if (!codec::is_token(field.first)) bad("a header line is not \"name: value\"");
            if (field.second.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) {
                bad("a header holds a line break or NUL");
            }
            if (equal_ignoring_case(field.first, "Transfer-Encoding")) {
                only(coding, field.second, "its transfer coding is not \"chunked\"");
            } else if (equal_ignoring_case(field.first, "Content-Length")) {
                only(length, field.second, "it has more than one Content-Length");
            }
        }
        if (head.headers.size() > 256 || size > 256 * 1024) bad("its head is larger than 256 fields or 256 KiB");
        if (coding != nullptr && !equal_ignoring_case(*coding, "chunked")) {
            bad("its transfer coding is not \"chunked\"");
        }
        if (length == nullptr) {
            open_ended_ = coding == nullptr && method != "HEAD" && head.status != 204 && head.status != 304;
            return;
        }
        if (coding != nullptr) bad("it has both Content-Length and Transfer-Encoding");
        if (length->empty() || length->size() > 18) bad("its Content-Length is not a number");
        std::uint64_t value = 0;
        for (const char c : *length) {
            if (c < '0' || c > '9') bad("its Content-Length is not a number");
            value = value * 10 + static_cast<std::uint64_t>(c - '0');
        }
        if (method != "HEAD" && head.status != 204 && head.status != 304) expected_ = value;
    }

    /// Whether the body goes on until the connection ends, so that breaking it off looks like its end.
    bool ends_with_connection() const noexcept { return open_ended_; }

    void count(std::uint64_t bytes) noexcept { received_ += bytes; }

    /// @throws client_error{protocol} when the body is not as long as the head said
    void finish() const {
        if (expected_ && *expected_ != received_) {
            bad("its body is cut short: " + std::to_string(received_) + " of " + std::to_string(*expected_) + " bytes");
        }
    }

private:
    [[noreturn]] static void bad(const std::string& what) {
        throw client_error(error_kind::protocol, "the answer is not usable: " + what,
                           client_error::progress::maybe_sent);
    }

    std::optional<std::uint64_t> expected_;
    std::uint64_t received_ = 0;
    bool open_ended_ = false;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/transport/pool.hpp
/// @file
/// Idle connections waiting for their next use: a fixed number of slots, taken and given back without a lock.
#ifndef BACKENDAI_TRANSPORT_POOL_HPP
#define BACKENDAI_TRANSPORT_POOL_HPP


#include <atomic>
#include <cstddef>
#include <memory>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// Keeps at most as many objects as it has slots; one more is destroyed by whoever gives it back. Thread-safe.
template <class T>
class slot_pool {
public:
    explicit slot_pool(std::size_t slots) : slots_(slots) {}
    slot_pool(const slot_pool&) = delete;
    slot_pool& operator=(const slot_pool&) = delete;
    ~slot_pool() {
        while (take()) {
        }
    }

    /// An idle object, or nothing.
    std::unique_ptr<T> take() noexcept {
        for (std::atomic<T*>& slot : slots_) {
            if (slot.load(std::memory_order_relaxed) == nullptr) continue;
            if (T* object = slot.exchange(nullptr, std::memory_order_acquire)) return std::unique_ptr<T>(object);
        }
        return nullptr;
    }
    void give_back(std::unique_ptr<T> object) noexcept {
        for (std::atomic<T*>& slot : slots_) {
            T* empty = nullptr;
            if (slot.load(std::memory_order_relaxed) == nullptr &&
                slot.compare_exchange_strong(empty, object.get(), std::memory_order_release,
                                             std::memory_order_relaxed)) {
                object.release(); // NOLINT(bugprone-unused-return-value): the slot owns it now
                return;
            }
        }
    }

private:
    std::vector<std::atomic<T*>> slots_;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/transport/proxy.hpp
/// @file
/// HTTP proxies: which one, if any, leads to a URL, and CONNECT, by which websockets and TLS pass through it.
#ifndef BACKENDAI_TRANSPORT_PROXY_HPP
#define BACKENDAI_TRANSPORT_PROXY_HPP


#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// A proxy, and who we are to it.
struct proxy_server {
    std::string host;
    std::uint16_t port = 0;
    std::string user, password; ///< empty: none

    std::string authorization() const {
        return user.empty() && password.empty() ? std::string()
                                                : "Basic " + codec::base64_encode(user + ':' + password);
    }
};

/// Reads "http://user:password@host:port", or without the scheme. @throws client_error{argument}; the message holds no
/// credentials
inline proxy_server parse_proxy(std::string_view text) {
    proxy_server proxy;
    std::string address(text);
    if (address.find("://") == std::string::npos) address.insert(0, "http://");
    const std::size_t start = address.find("://") + 3;
    const std::size_t at = address.find_last_of('@', address.find('/', start));
    if (at != std::string::npos && at >= start) {
        const std::string user_info = address.substr(start, at - start);
        const std::size_t colon = user_info.find(':');
        proxy.user = codec::unescape(user_info.substr(0, colon), false);
        if (colon != std::string::npos) proxy.password = codec::unescape(user_info.substr(colon + 1), false);
        address.erase(start, at + 1 - start);
    }
    try {
        const codec::url url = codec::parse_url(address);
        if (url.is_tls())
            throw client_error(error_kind::argument, "a proxy is spoken to by plain HTTP: http://host:port");
        proxy.host = url.host;
        proxy.port = url.port;
    } catch (const codec::decode_error& e) {
        throw client_error(error_kind::argument, std::string("the proxy is not usable, ") + e.what());
    }
    return proxy;
}

/// Whether a list as of NO_PROXY ("*", "host", ".domain", "domain:port") takes this URL out.
inline bool is_excluded(std::string_view list, const codec::url& url) {
    for (std::string item : split_list(list)) {
        if (item == "*") return true;
        for (char& c : item) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
        // A port, unless the colon is one of several of an IPv6 address.
        const std::size_t colon = item.rfind(':');
        if (colon != std::string::npos && (item.find(':') == colon || item[colon - 1] == ']')) {
            if (item.substr(colon + 1) != std::to_string(url.port)) continue;
            item.erase(colon);
        }
        if (item.size() > 1 && item.front() == '[' && item.back() == ']') item = item.substr(1, item.size() - 2);
        if (!item.empty() && item.front() == '*') item.erase(0, 1);
        if (!item.empty() && item.front() == '.') item.erase(0, 1);
        if (item.empty()) continue;
        if (url.host == item) return true;
        const std::size_t longer = url.host.size() > item.size() ? url.host.size() - item.size() : 0;
        if (longer != 0 && url.host[longer - 1] == '.' && url.host.compare(longer, std::string::npos, item) == 0)
            return true;
    }
    return false;
}

inline bool is_this_machine(const std::string& host) {
    return host == "localhost" || host == "::1" || host.compare(0, 4, "127.") == 0;
}

/// The proxy for a URL. api_config::proxy, when set, holds for everything (empty: none); else the environment's
/// HTTPS_PROXY, for plain http http_proxy (the upper-case name can be set by a web server's caller), then ALL_PROXY,
/// less NO_PROXY and this machine. @throws client_error{argument} for one that cannot be read
inline std::optional<proxy_server> find_proxy(const api_config& config, const codec::url& url) {
    if (config.proxy) {
        if (config.proxy->empty()) return {};
        return parse_proxy(*config.proxy);
    }
    const auto variable = [](std::initializer_list<const char*> names) {
        for (const char* name : names) {
            const char* value = std::getenv(name);
            if (value != nullptr && *value != '\0') return std::string(value);
        }
        return std::string();
    };
    const std::string text = url.is_tls() ? variable({"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"})
                                          : variable({"http_proxy", "all_proxy", "ALL_PROXY"});
    if (text.empty() || is_this_machine(url.host) || is_excluded(variable({"no_proxy", "NO_PROXY"}), url)) return {};
    return parse_proxy(text);
}

/// Asks a proxy, to which @p stream leads, for a tunnel to @p url. @throws client_error{connect} when it refuses
inline void connect_through(os::byte_stream& stream, const proxy_server& proxy, const codec::url& url,
                            const exchange_context& context) {
    const std::string target =
        (url.host.find(':') == std::string::npos ? url.host : '[' + url.host + ']') + ':' + std::to_string(url.port);
    std::string head = "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n";
    const std::string authorization = proxy.authorization();
    if (!authorization.empty()) head += "Proxy-Authorization: " + authorization + "\r\n";
    head += "\r\n";
    const std::string name = "the proxy " + proxy.host + ':' + std::to_string(proxy.port);
    const os::phase_clock clock(context, context.connect_timeout, "the answer of " + name,
                                client_error::progress::nothing_sent);
    std::string_view rest = head;
    while (!rest.empty()) {
        const os::io_result sent = stream.write(rest);
        if (sent.state == os::io_state::done) {
            rest.remove_prefix(sent.count);
        } else {
            clock.wait(stream.handle(), sent.state);
        }
    }
    codec::http_response_parser parser({}, true);
    try {
        // A byte at a time: what follows the head belongs to the peer behind the proxy.
        while (!parser.done()) {
            char byte = 0;
            const os::io_result got = stream.read(&byte, 1);
            if (got.state == os::io_state::ended) {
                parser.finish();
            } else if (got.state != os::io_state::done) {
                clock.wait(stream.handle(), got.state);
            } else {
                std::string_view input(&byte, 1);
                parser.feed(input);
            }
            if (parser.head_done() && parser.response().status / 100 != 2) break;
        }
    } catch (const codec::decode_error& e) {
        throw client_error(error_kind::connect, name + " gave no usable answer: " + e.what());
    }
    if (parser.response().status / 100 != 2) {
        throw client_error(error_kind::connect, name + " refused the connection to " + target + ": " +
                                                    std::to_string(parser.response().status) + ' ' +
                                                    codec::printable_text(parser.response().reason, 512));
    }
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/transport/tls_events.hpp
/// @file
/// What OpenSSL tells of TLS connections that a library below us drives and does not tell of.
#ifndef BACKENDAI_TRANSPORT_TLS_EVENTS_HPP
#define BACKENDAI_TRANSPORT_TLS_EVENTS_HPP


#include <openssl/ssl.h>

#include <functional>
#include <string>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// What happened on this thread's TLS connections since the last reset(). A context takes part once watched.
struct tls_events {
    static constexpr int none = -1;
    /// Called once, when the first handshake of a connection is about to begin. Must not throw.
    const std::function<void(SSL*)>* before_handshake = nullptr;
    SSL* finished_handshake = nullptr; ///< the connection that a handshake made
    int alert = none;                  ///< the last alert of the peer, RFC 8446 section 6

    /// Whether the peer said that its data ends. A connection that just ends may have been cut by anyone on the way.
    bool end_is_announced() const noexcept { return alert == SSL_AD_CLOSE_NOTIFY; }
    bool is_refused() const noexcept { return alert != none && alert != SSL_AD_CLOSE_NOTIFY; }
    std::string alert_text() const { return SSL_alert_desc_string_long(alert); }

    static tls_events& of_this_thread() {
        thread_local tls_events events;
        return events;
    }
    static void reset() { of_this_thread() = tls_events(); }
    static void watch(SSL_CTX* context) { SSL_CTX_set_info_callback(context, &note); }

private:
    static void note(const SSL* ssl, int where, int value) {
        tls_events& events = of_this_thread();
        // A server may ask for another handshake at any time; that one is none of the caller's business.
        if ((where & SSL_CB_HANDSHAKE_START) != 0 && SSL_get_finished(ssl, nullptr, 0) == 0) {
            if (const auto* call = std::exchange(events.before_handshake, nullptr)) (*call)(const_cast<SSL*>(ssl));
        }
        if ((where & SSL_CB_HANDSHAKE_DONE) != 0) events.finished_handshake = const_cast<SSL*>(ssl);
        if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT) events.alert = value & 0xff;
    }
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/transport/websocket_connector.hpp
/// @file
/// Opens websockets with our own TCP, TLS and HTTP upgrade: what a transport without websockets of its own uses.
#ifndef BACKENDAI_TRANSPORT_WEBSOCKET_CONNECTOR_HPP
#define BACKENDAI_TRANSPORT_WEBSOCKET_CONNECTOR_HPP

// ---- backendai/transport/websocket_upgrade.hpp
/// @file
/// The upgrade of a connection to a websocket: handshake, and what the websockets of a transport share.
#ifndef BACKENDAI_TRANSPORT_WEBSOCKET_UPGRADE_HPP
#define BACKENDAI_TRANSPORT_WEBSOCKET_UPGRADE_HPP

// ---- backendai/transport/websocket.hpp
/// @file
/// An open websocket: the codec over a byte stream, with one reader, any number of senders and a keeper.
#ifndef BACKENDAI_TRANSPORT_WEBSOCKET_HPP
#define BACKENDAI_TRANSPORT_WEBSOCKET_HPP

// ---- backendai/transport/websocket_keeper.hpp
/// @file
/// Looks after open websockets from time to time: pings, and answers to pings while nobody receives.
#ifndef BACKENDAI_TRANSPORT_WEBSOCKET_KEEPER_HPP
#define BACKENDAI_TRANSPORT_WEBSOCKET_KEEPER_HPP


#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// Something that wants a tick now and then. tick() must not block.
class ticked {
public:
    ticked() = default;
    ticked(const ticked&) = delete;
    ticked& operator=(const ticked&) = delete;
    virtual ~ticked() = default;
    virtual void tick(std::chrono::steady_clock::time_point now) noexcept = 0;
};

/// One thread for all websockets of a transport; it starts with the first one. Thread-safe.
class websocket_keeper {
public:
    using clock = std::chrono::steady_clock;

    websocket_keeper() = default;
    websocket_keeper(const websocket_keeper&) = delete;
    websocket_keeper& operator=(const websocket_keeper&) = delete;
    ~websocket_keeper() {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            stopping_ = true;
        }
        changed_.notify_all();
        if (thread_.joinable()) thread_.join();
    }

    /// @throws client_error{io} when no thread can be started, std::bad_alloc; it is not looked after then
    void add(ticked& item, std::chrono::milliseconds period) {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            if (!thread_.joinable()) thread_ = os::start_thread([this] { run(); });
            items_[&item] = {period, clock::now() + period};
        }
        changed_.notify_all();
    }
    /// After this @p item is not touched any more.
    void remove(ticked& item) {
        const std::lock_guard<std::mutex> lock(mutex_);
        items_.erase(&item);
    }

private:
    struct schedule {
        std::chrono::milliseconds period{};
        clock::time_point next;
    };

    void run() {
        std::unique_lock<std::mutex> lock(mutex_);
        while (!stopping_) {
            const auto now = clock::now();
            auto next = (clock::time_point::max)();
            for (auto& item : items_) {
                if (item.second.next <= now) {
                    item.first->tick(now);
                    item.second.next = now + item.second.period;
                }
                next = item.second.next < next ? item.second.next : next;
            }
            if (items_.empty()) {
                changed_.wait(lock);
            } else {
                changed_.wait_until(lock, next);
            }
        }
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::map<ticked*, schedule> items_;
    bool stopping_ = false;
    std::thread thread_;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif

#include <openssl/rand.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

/// How an open websocket behaves.
struct websocket_options {
    codec::websocket_limits limits;
    std::chrono::milliseconds ping_interval{30'000}; ///< 0 is no pings
    std::chrono::milliseconds ping_timeout{30'000};  ///< silence after a ping that means a dead peer
    std::chrono::milliseconds send_timeout{60'000};  ///< the peer takes nothing for so long; 0 is no limit
};

namespace detail {

/// Masks from a cryptographic source, drawn in batches. Not thread-safe.
class mask_generator {
public:
    codec::websocket_mask_key operator()() {
        if (used_ + 4 > sizeof pool_) {
            if (RAND_bytes(pool_, static_cast<int>(sizeof pool_)) != 1) {
                throw client_error(error_kind::io, "no random numbers", client_error::progress::maybe_sent);
            }
            used_ = 0;
        }
        codec::websocket_mask_key key;
        std::memcpy(key.data(), pool_ + used_, 4);
        used_ += 4;
        return key;
    }

private:
    unsigned char pool_[1024] = {};
    std::size_t used_ = sizeof pool_;
};

/// See message_stream. Three locks, taken in this order: reading_ (who reads and decodes), state_ (what is written and
/// how it all stands), the stream's own. Only the one that has the flushing turn writes to the stream.
class websocket final : public message_stream, private ticked {
    using clock = exchange_context::clock;

public:
    /// @param early bytes that came behind the handshake's answer
    websocket(std::unique_ptr<os::byte_stream> stream, std::string early, std::string protocol,
              const websocket_options& options, const exchange_context& context,
              std::shared_ptr<websocket_keeper> keeper)
        : stream_(std::move(stream)),
          early_(std::move(early)),
          protocol_(std::move(protocol)),
          options_(options),
          keeper_(std::move(keeper)),
          codec_(codec::websocket_role::client, options.limits, mask_generator()),
          buffer_(buffer_size),
          input_(early_),
          next_ping_(clock::now() + options.ping_interval) {
        last_received_ = clock::now().time_since_epoch().count();
        on_cancel_.emplace(context.cancel, [this] { fail(error_kind::cancelled, "the stream was cancelled"); });
        on_close_.emplace(context.closing, [this] { fail(error_kind::closed, "the session was closed"); });
        std::chrono::milliseconds period(1000);
        if (options_.ping_interval.count() > 0) period = (std::min)(period, options_.ping_interval / 2);
        keeper_->add(*this, (std::max)(period, std::chrono::milliseconds(10)));
    }
    ~websocket() override {
        on_cancel_.reset();
        on_close_.reset();
        keeper_->remove(*this);
        try {
            std::unique_lock<std::mutex> lock(state_);
            if (!failure_ && !flushing_) {
                codec_.write_close(out_);
                flush(lock, false);
            }
        } catch (const std::exception&) {
            // A goodbye to a peer that is gone is nothing that anybody misses.
        }
        stream_->end_writes();
    }

    stream_message receive() override { return *receive_until((clock::time_point::max)()); }
    std::optional<stream_message> receive_for(std::chrono::milliseconds limit) override {
        return receive_until(time_after(limit));
    }

    void send_text(std::string_view text) override { send(codec::websocket_opcode::text, text); }
    void send_binary(std::string_view bytes) override { send(codec::websocket_opcode::binary, bytes); }

    void close(std::uint16_t code, std::string_view reason) override {
        try {
            codec::websocket_encoder::require_close(code, reason);
        } catch (const std::invalid_argument& e) {
            throw client_error(error_kind::argument, e.what());
        }
        std::unique_lock<std::mutex> lock(state_);
        await_turn(lock);
        if (failure_ || !codec_.write_close(out_, code, reason)) return;
        try {
            flush(lock, true);
        } catch (const client_error&) {
            // The connection is lost: receive() tells, if anybody wants to know.
        }
    }

    void cancel() noexcept override { fail(error_kind::cancelled, "the stream was cancelled"); }
    const std::string& protocol() const noexcept override { return protocol_; }

private:
    static constexpr std::size_t buffer_size = 64U << 10U;
    static constexpr std::size_t max_kept_messages = 1U << 20U; // bytes read while nobody receives

    static std::size_t cost_of(const stream_message& message) { return message.data.size() + sizeof message; }

    // --- receiving: all of this under reading_ -----------------------------------------------------------------------

    std::optional<stream_message> receive_until(clock::time_point deadline) {
        const std::lock_guard<std::mutex> reader(reading_);
        for (;;) {
            check();
            if (!kept_.empty()) {
                stream_message message = std::move(kept_.front());
                kept_.pop_front();
                kept_size_ -= cost_of(message);
                return message;
            }
            if (broken_) throw *broken_;
            if (closed_) return *closed_;
            if (std::optional<stream_message> message = decode()) return message;
            if (closed_) continue;
            if (!fill(deadline, true)) return std::nullopt;
        }
    }

    // The next message of what has been read; a close frame sets closed_.
    std::optional<stream_message> decode() {
        try {
            while (const std::optional<codec::websocket_event> event = codec_.decode(input_)) {
                switch (event->opcode) {
                case codec::websocket_opcode::text: return stream_message{stream_message::type::text, codec_.take(), 0};
                case codec::websocket_opcode::binary:
                    return stream_message{stream_message::type::binary, codec_.take(), 0};
                case codec::websocket_opcode::pong: break;
                default: answer(*event); break;
                }
                if (closed_) return std::nullopt;
            }
        } catch (const codec::websocket_error& e) {
            refuse(e);
        } catch (const std::bad_alloc&) {
            lose_place();
            throw;
        }
        return std::nullopt;
    }

    // A message, or a part of one, was lost for want of memory: nothing that comes after it may be taken for whole.
    void lose_place() noexcept {
        input_ = {};
        stream_->shut_down();
    }

    void answer(const codec::websocket_event& event) {
        const bool is_close = event.opcode == codec::websocket_opcode::close;
        if (is_close) closed_ = stream_message{stream_message::type::closed, std::string(event.payload), event.code};
        std::unique_lock<std::mutex> lock(state_);
        codec_.note(event);
        codec_.write_pending(out_);
        if (flushing_) return; // whoever flushes takes it along
        try {
            flush(lock, false);
        } catch (const client_error&) {
            // Writing is over, which the next send tells; reading goes on to its own end.
        }
    }

    [[noreturn]] void refuse(const codec::websocket_error& error) {
        broken_.emplace(error_kind::protocol, error.what(), client_error::progress::maybe_sent);
        {
            std::unique_lock<std::mutex> lock(state_);
            codec_.note(error);
            codec_.write_pending(out_);
            try {
                if (!flushing_) flush(lock, false);
            } catch (const client_error&) {
                // The peer does not learn what was wrong with it; the caller does.
            }
        }
        // Bytes unread when the socket is closed would reset the connection, and the peer lose our close frame.
        stream_->end_writes();
        try {
            const auto end = clock::now() + std::chrono::milliseconds(100);
            for (std::size_t left = 1U << 20U; left > buffer_.size() && clock::now() < end;) {
                const os::io_result got = stream_->read(buffer_.data(), buffer_.size());
                if (got.state == os::io_state::ended) break;
                left -= got.count;
                if (got.state != os::io_state::done)
                    os::wait_ready(stream_->handle(), true, false, std::chrono::milliseconds(20));
            }
        } catch (const client_error&) {
            // It is gone already.
        }
        throw *broken_;
    }

    // Reads some bytes. False when there were none until the deadline (or at once, with @p wait false).
    bool fill(clock::time_point deadline, bool wait) {
        for (;;) {
            const os::io_result got = read_some();
            if (got.state == os::io_state::done) {
                input_ = std::string_view(buffer_.data(), got.count);
                last_received_ = clock::now().time_since_epoch().count();
                return true;
            }
            if (got.state == os::io_state::ended) {
                end_of_stream();
                return true;
            }
            if (!wait) return false;
            std::chrono::milliseconds limit(-1);
            if (deadline != (clock::time_point::max)()) {
                const auto left = deadline - clock::now();
                if (left.count() <= 0) return false;
                limit = std::chrono::duration_cast<std::chrono::milliseconds>(left) + std::chrono::milliseconds(1);
            }
            const bool unsent = has_unsent();
            os::wait_ready(stream_->handle(), got.state == os::io_state::wants_read,
                           unsent || got.state == os::io_state::wants_write, limit);
            check();
            if (unsent) flush_quietly();
        }
    }

    os::io_result read_some() {
        try {
            return stream_->read(buffer_.data(), buffer_.size());
        } catch (const client_error& e) {
            check();
            broken_ = e;
            throw;
        }
    }

    void end_of_stream() {
        check();
        {
            const std::lock_guard<std::mutex> lock(state_);
            if (!codec_.control().may_send()) { // we had said goodbye; that it was not returned loses nothing
                closed_ = stream_message{stream_message::type::closed, {}, codec::websocket_close::abnormal};
                return;
            }
        }
        broken_.emplace(error_kind::connect, "the connection ended without a close frame",
                        client_error::progress::maybe_sent);
        throw *broken_;
    }

    // --- sending: under state_ ---------------------------------------------------------------------------------------

    void send(codec::websocket_opcode opcode, std::string_view payload) {
        std::unique_lock<std::mutex> lock(state_);
        await_turn(lock);
        if (failure_) throw_failure();
        if (unwritable_) throw *unwritable_;
        if (!codec_.control().may_send()) {
            throw client_error(error_kind::closed, "the websocket is closed", client_error::progress::maybe_sent);
        }
        const std::size_t before = out_.size();
        try {
            codec_.write_message(out_, opcode, payload);
        } catch (const std::invalid_argument& e) {
            throw client_error(error_kind::argument, e.what(), client_error::progress::maybe_sent);
        } catch (...) {
            out_.resize(before); // no half of a frame
            throw;
        }
        flush(lock, true);
    }

    void await_turn(std::unique_lock<std::mutex>& lock) {
        turn_.wait(lock, [this] { return !flushing_ || failure_; });
    }

    // Writes what waits; with @p wait all of it. The lock is open while the stream works.
    void flush(std::unique_lock<std::mutex>& lock, bool wait) {
        if (unwritable_) throw *unwritable_;
        flushing_ = true;
        auto last_progress = clock::now();
        try {
            for (;;) {
                if (failure_) throw_failure();
                if (sent_ == sending_.size()) {
                    if (sending_.capacity() > (4U << 20U)) std::string().swap(sending_);
                    sending_.clear();
                    sent_ = 0;
                    if (out_.empty()) break;
                    sending_.swap(out_);
                }
                lock.unlock();
                os::io_result wrote = write_some();
                if (wrote.state != os::io_state::done && wait) {
                    await_writable(wrote.state, last_progress);
                    wrote.count = 0;
                } else if (wrote.state == os::io_state::done) {
                    last_progress = clock::now();
                }
                lock.lock();
                sent_ += wrote.count;
                if (wrote.state != os::io_state::done && !wait) break;
            }
        } catch (const client_error& e) {
            if (!lock.owns_lock()) lock.lock();
            flushing_ = false;
            if (!unwritable_) unwritable_ = e;
            turn_.notify_all();
            if (failure_) throw_failure();
            throw;
        } catch (...) { // no memory: how much of a frame is out is not known any more
            stream_->shut_down();
            if (!lock.owns_lock()) lock.lock();
            flushing_ = false;
            turn_.notify_all();
            throw;
        }
        flushing_ = false;
        turn_.notify_all();
    }

    os::io_result write_some() { return stream_->write(std::string_view(sending_).substr(sent_)); }

    void await_writable(os::io_state state, clock::time_point last_progress) {
        std::chrono::milliseconds limit(-1);
        if (options_.send_timeout.count() > 0) {
            const auto left = last_progress + options_.send_timeout - clock::now();
            if (left.count() <= 0) {
                throw client_error(error_kind::timeout, "the peer took nothing for too long",
                                   client_error::progress::maybe_sent);
            }
            limit = std::chrono::duration_cast<std::chrono::milliseconds>(left) + std::chrono::milliseconds(1);
        }
        if (state == os::io_state::wants_read) {
            // Only inside a TLS handshake message; the reader may take what this waits for.
            limit = std::chrono::milliseconds(50);
        }
        os::wait_ready(stream_->handle(), state == os::io_state::wants_read, state == os::io_state::wants_write, limit);
    }

    bool has_unsent() {
        const std::lock_guard<std::mutex> lock(state_);
        return !flushing_ && !unwritable_ && (sent_ != sending_.size() || !out_.empty());
    }
    void flush_quietly() {
        std::unique_lock<std::mutex> lock(state_);
        if (flushing_ || unwritable_) return;
        try {
            flush(lock, false);
        } catch (const client_error&) {
            // Kept in unwritable_ for the next send.
        }
    }

    // --- the end, and the keeper -------------------------------------------------------------------------------------

    void check() {
        const std::lock_guard<std::mutex> lock(state_);
        if (failure_) throw_failure();
    }
    [[noreturn]] void throw_failure() const {
        throw client_error(failure_->kind, failure_->message, client_error::progress::maybe_sent);
    }

    void fail(error_kind kind, const char* message) noexcept {
        {
            const std::lock_guard<std::mutex> lock(state_);
            if (!failure_) failure_ = failure{kind, message};
            stream_->shut_down();
        }
        turn_.notify_all();
    }

    void tick(clock::time_point now) noexcept override {
        const bool reads = drain();
        bool is_dead = false;
        {
            std::unique_lock<std::mutex> lock(state_);
            if (failure_ || unwritable_) return;
            try {
                const bool may_ping = options_.ping_interval.count() > 0 && codec_.control().may_send();
                if (may_ping && now >= next_ping_) {
                    codec_.write_ping(out_, {});
                    next_ping_ = now + options_.ping_interval;
                    if (!pinged_) pinged_ = now;
                }
                if (!flushing_) flush(lock, false);
            } catch (const std::exception&) {
                return; // kept in unwritable_; reading goes on to its own end
            }
            // While nobody takes what was read, silence says nothing about the peer.
            const clock::time_point last{clock::duration(last_received_.load())};
            if (pinged_ && (last >= *pinged_ || !reads)) pinged_.reset();
            is_dead = pinged_ && now - *pinged_ > options_.ping_timeout;
        }
        if (is_dead) fail(error_kind::timeout, "the peer does not answer pings any more");
    }

    // Reads ahead a little while nobody receives, so that pings and pongs are seen. False when it may not.
    bool drain() noexcept {
        const std::unique_lock<std::mutex> reader(reading_, std::try_to_lock);
        if (!reader.owns_lock()) return true; // somebody receives
        try {
            for (int rounds = 0; rounds < 16 && !broken_ && !closed_; ++rounds) {
                while (kept_size_ < max_kept_messages) {
                    std::optional<stream_message> message = decode();
                    if (!message) break;
                    kept_size_ += cost_of(*message);
                    kept_.push_back(std::move(*message));
                }
                if (kept_size_ >= max_kept_messages) return false;
                if (closed_ || !fill({}, false)) break;
            }
        } catch (const std::bad_alloc&) {
            lose_place();
        } catch (const std::exception&) {
            // Kept in broken_ for the next receive().
        }
        return true;
    }

    const std::unique_ptr<os::byte_stream> stream_;
    const std::string early_;
    const std::string protocol_;
    const websocket_options options_;
    const std::shared_ptr<websocket_keeper> keeper_;
    codec::websocket_codec codec_; // decode() under reading_, the rest under state_

    std::mutex reading_;
    std::vector<char> buffer_;
    std::string_view input_; // read and not yet decoded, in buffer_ (at first in early_)
    std::deque<stream_message> kept_;
    std::size_t kept_size_ = 0;
    std::optional<stream_message> closed_;
    std::optional<client_error> broken_;
    std::atomic<clock::rep> last_received_{0};

    std::mutex state_;
    std::condition_variable turn_;
    bool flushing_ = false;
    std::string out_;      // framed, waits for the flushing turn
    std::string sending_;  // of the one that has the turn
    std::size_t sent_ = 0; // of sending_
    clock::time_point next_ping_;
    std::optional<clock::time_point> pinged_; // the first ping since which nothing came
    // An error that can be noted without memory for its text.
    struct failure {
        error_kind kind;
        const char* message;
    };
    std::optional<failure> failure_;         // cancelled, closed, dead
    std::optional<client_error> unwritable_; // the connection takes nothing any more
    std::optional<cancel_token::listener> on_cancel_, on_close_;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif

#include <openssl/rand.h>

#include <array>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// Performs the handshake of RFC 6455 section 4.1 on a fresh stream.
inline websocket_opening shake_hands(std::unique_ptr<os::byte_stream> stream, const http_request& request,
                                     const websocket_options& options, const exchange_context& context,
                                     std::shared_ptr<websocket_keeper> keeper) {
    std::array<unsigned char, 16> nonce{};
    if (RAND_bytes(nonce.data(), static_cast<int>(nonce.size())) != 1) {
        throw client_error(error_kind::io, "no random numbers");
    }
    const std::string peer = request.url.host_header();
    std::vector<std::string> protocols;
    std::string head = "GET " + request.url.target() + " HTTP/1.1\r\nHost: " + peer + "\r\n";
    for (const auto& field : request.headers) {
        if (equal_ignoring_case(field.first, "Sec-WebSocket-Protocol")) {
            for (const std::string& item : split_list(field.second)) protocols.push_back(item);
            continue;
        }
        if (!codec::is_token(field.first) || !codec::is_field_value(field.second)) {
            throw client_error(error_kind::argument, "not a header: \"" + field.first + '"');
        }
        head += field.first + ": " + field.second + "\r\n";
    }
    std::optional<codec::websocket_client_handshake> handshake;
    try {
        handshake.emplace(nonce, std::move(protocols));
    } catch (const std::invalid_argument& e) {
        throw client_error(error_kind::argument, e.what());
    }
    for (const auto& field : handshake->headers()) head += field.first + ": " + field.second + "\r\n";
    head += "\r\n";

    using progress = client_error::progress;
    os::phase_clock clock(context, context.read_timeout, "the websocket handshake with " + peer, progress::maybe_sent);
    std::string_view rest = head;
    std::string buffer(16384, '\0');
    std::string_view input;
    bool answered = false;
    try {
        while (!rest.empty()) {
            const os::io_result sent = stream->write(rest);
            if (sent.state == os::io_state::done) {
                rest.remove_prefix(sent.count);
            } else {
                clock.wait(stream->handle(), sent.state);
            }
        }
        while (!handshake->feed(input)) {
            const os::io_result got = stream->read(&buffer[0], buffer.size());
            if (got.state == os::io_state::done) {
                input = std::string_view(buffer).substr(0, got.count);
                answered = true;
                clock.restart();
            } else if (got.state == os::io_state::ended) {
                if (!answered) {
                    throw client_error(error_kind::connect, peer + " closed the connection without an answer",
                                       progress::maybe_sent);
                }
                handshake->finish();
                break;
            } else {
                clock.wait(stream->handle(), got.state);
            }
        }
    } catch (const codec::decode_error& e) {
        throw client_error(error_kind::protocol, "the answer of " + peer + " is not usable: " + e.what(),
                           progress::maybe_sent);
    } catch (const client_error& e) {
        if (!answered || e.kind() != error_kind::connect) throw;
        throw client_error(error_kind::protocol, "the answer of " + peer + " is cut short, " + e.what(),
                           progress::maybe_sent);
    }
    context.check(progress::maybe_sent);

    websocket_opening opening;
    opening.head.status = handshake->response().status;
    opening.head.reason = handshake->response().reason;
    for (const auto& field : handshake->response().headers) opening.head.headers.add(field.first, field.second);
    if (handshake->accepted()) {
        opening.stream = std::make_unique<websocket>(std::move(stream), std::string(input), handshake->protocol(),
                                                     options, context, std::move(keeper));
    } else {
        opening.body = handshake->response().body;
    }
    return opening;
}

/// What all websockets of a transport share. They may outlive it. Thread-safe.
class websocket_upgrader {
public:
    explicit websocket_upgrader(const api_config& config) : keeper_(std::make_shared<websocket_keeper>()) {
        options_.limits.max_message_size = config.max_websocket_message;
        options_.ping_interval = config.websocket_ping_interval;
        options_.ping_timeout = config.websocket_ping_timeout;
    }

    /// Turns a fresh connection into a websocket, see transport/concept.hpp.
    websocket_opening upgrade(std::unique_ptr<os::byte_stream> stream, const http_request& request,
                              const exchange_context& context) const {
        websocket_options options = options_;
        options.send_timeout = context.read_timeout;
        return shake_hands(std::move(stream), request, options, context, keeper_);
    }

private:
    const std::shared_ptr<websocket_keeper> keeper_;
    websocket_options options_;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

// A program that does without https links no libssl.
#if defined(CPPHTTPLIB_OPENSSL_SUPPORT) || !defined(BACKENDAI_ALLOW_PLAIN_HTTP)
#define BACKENDAI_WEBSOCKET_TLS
// ---- backendai/os/tls_stream.hpp
/// @file
/// TLS by OpenSSL over a TCP connection, for one reader and one writer at once: every call on the SSL object is made
/// under a mutex and does not block, the waiting is done outside of it.
#ifndef BACKENDAI_OS_TLS_STREAM_HPP
#define BACKENDAI_OS_TLS_STREAM_HPP


#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <memory>
#include <mutex>
#include <string>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace os {

/// Whom a TLS client trusts and who it is.
struct tls_settings {
    bool verify = true;
    std::string ca_file; ///< PEM; empty: the system's authorities
    std::string client_certificate_file, client_key_file;
};

namespace detail {

inline std::string tls_error_text() {
    const unsigned long code = ERR_peek_error();
    const char* text = code != 0 ? ERR_reason_error_string(code) : nullptr;
    return text != nullptr ? std::string(": ") + text : std::string();
}

// OpenSSL's own socket BIO writes without MSG_NOSIGNAL: a peer that is gone would be a SIGPIPE.
inline int bio_write(BIO* bio, const char* bytes, int size) {
    BIO_clear_retry_flags(bio);
    const auto& tcp = *static_cast<tcp_stream*>(BIO_get_data(bio));
    long count = 0;
    do {
        count = send_to(tcp.handle(), bytes, static_cast<std::size_t>(size));
    } while (count < 0 && is_interrupted(last_socket_error()));
    if (count < 0 && would_block(last_socket_error())) BIO_set_retry_write(bio);
    return static_cast<int>(count);
}
inline int bio_read(BIO* bio, char* buffer, int size) {
    BIO_clear_retry_flags(bio);
    const auto& tcp = *static_cast<tcp_stream*>(BIO_get_data(bio));
    long count = 0;
    do {
        count = receive_from(tcp.handle(), buffer, static_cast<std::size_t>(size));
    } while (count < 0 && is_interrupted(last_socket_error()));
    if (count < 0 && would_block(last_socket_error())) BIO_set_retry_read(bio);
    return static_cast<int>(count);
}
inline long bio_control(BIO*, int command, long, void*) {
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

inline BIO_METHOD* bio_method() {
    static BIO_METHOD* const method = [] {
        BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "backendai tcp");
        BIO_meth_set_write(made, bio_write);
        BIO_meth_set_read(made, bio_read);
        BIO_meth_set_ctrl(made, bio_control);
        return made;
    }();
    return method;
}

} // namespace detail

/// The settings in OpenSSL's form, shared by all connections. Thread-safe once made.
class tls_context {
public:
    /// @throws client_error{tls} when a file cannot be used.
    explicit tls_context(const tls_settings& settings) : context_(SSL_CTX_new(TLS_client_method()), SSL_CTX_free) {
        if (!context_) throw client_error(error_kind::tls, "TLS cannot be set up");
        SSL_CTX* const context = context_.get();
        SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
        // The websocket layer tells a cut connection from an orderly end itself.
#ifdef SSL_OP_IGNORE_UNEXPECTED_EOF
        SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF);
#endif
#ifdef SSL_OP_NO_RENEGOTIATION
        SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
#endif
        SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        SSL_CTX_set_verify(context, settings.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
        ERR_clear_error();
        const bool trusts = settings.ca_file.empty()
                                ? SSL_CTX_set_default_verify_paths(context) == 1
                                : SSL_CTX_load_verify_locations(context, settings.ca_file.c_str(), nullptr) == 1;
        if (!trusts && settings.verify) {
            throw client_error(error_kind::tls, "the CA certificates cannot be loaded" + detail::tls_error_text());
        }
        if (settings.client_certificate_file.empty()) return;
        const std::string& key =
            settings.client_key_file.empty() ? settings.client_certificate_file : settings.client_key_file;
        if (SSL_CTX_use_certificate_chain_file(context, settings.client_certificate_file.c_str()) != 1 ||
            SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1) {
            throw client_error(error_kind::tls, "the client certificate or its key cannot be used: " +
                                                    settings.client_certificate_file + detail::tls_error_text());
        }
    }
    SSL_CTX* get() const noexcept {
        return context_.get();
    }

private:
    std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context_;
};

/// See byte_stream for threads.
class tls_stream final : public byte_stream {
public:
    /// Performs the handshake, within the context's connect_timeout. The certificate must name @p host in its SAN.
    /// @throws client_error{tls} that says what is wrong with the certificate or the handshake; timeout, cancelled,
    /// closed
    tls_stream(std::unique_ptr<tcp_stream> tcp, const tls_context& tls, const std::string& host,
               const exchange_context& context)
        : tcp_(std::move(tcp)), ssl_(SSL_new(tls.get()), SSL_free) {
        BIO* const bio = ssl_ ? BIO_new(detail::bio_method()) : nullptr;
        if (bio == nullptr) throw client_error(error_kind::tls, "TLS cannot be set up");
        BIO_set_data(bio, tcp_.get());
        BIO_set_init(bio, 1);
        SSL_set_bio(ssl_.get(), bio, bio);
        expect(host);
        handshake(host, context);
    }

    io_result read(char* buffer, std::size_t capacity) override {
        const std::lock_guard<std::mutex> lock(mutex_);
        ERR_clear_error();
        std::size_t count = 0;
        const int result = SSL_read_ex(ssl_.get(), buffer, capacity, &count);
        return judge(result, count);
    }
    io_result write(std::string_view bytes) override {
        const std::lock_guard<std::mutex> lock(mutex_);
        ERR_clear_error();
        std::size_t count = 0;
        const int result = SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &count);
        const io_result outcome = judge(result, count);
        if (outcome.state == io_state::ended) {
            throw client_error(error_kind::connect, "the connection was lost", client_error::progress::maybe_sent);
        }
        return outcome;
    }
    void end_writes() noexcept override {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            ERR_clear_error();
            if (!broken_) SSL_shutdown(ssl_.get());
        }
        tcp_->end_writes();
    }
    detail::socket_handle handle() const noexcept override { return tcp_->handle(); }

private:
    void expect(const std::string& host) {
        X509_VERIFY_PARAM* parameters = SSL_get0_param(ssl_.get());
        X509_VERIFY_PARAM_set_hostflags(parameters,
                                        X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        if (X509_VERIFY_PARAM_set1_ip_asc(parameters, host.c_str()) == 1) return;
        ERR_clear_error();
        X509_VERIFY_PARAM_set1_host(parameters, host.c_str(), host.size());
        // The macro of OpenSSL casts const away in C's way.
        SSL_ctrl(ssl_.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, const_cast<char*>(host.c_str()));
    }

    void handshake(const std::string& host, const exchange_context& context) {
        const phase_clock clock(context, context.connect_timeout, "the TLS handshake with " + host,
                                client_error::progress::nothing_sent);
        for (;;) {
            ERR_clear_error();
            const int result = SSL_connect(ssl_.get());
            if (result == 1) return;
            const int error = SSL_get_error(ssl_.get(), result);
            if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
                clock.wait(handle(), error == SSL_ERROR_WANT_READ, error == SSL_ERROR_WANT_WRITE);
                continue;
            }
            const long refused = SSL_get_verify_result(ssl_.get());
            if (refused != X509_V_OK && SSL_get_verify_mode(ssl_.get()) != SSL_VERIFY_NONE) {
                throw client_error(error_kind::tls, "the certificate of " + host +
                                                        " was refused: " + X509_verify_cert_error_string(refused));
            }
            throw client_error(error_kind::tls,
                               "the TLS handshake with " + host + " failed" + detail::tls_error_text());
        }
    }

    io_result judge(int result, std::size_t count) {
        if (result == 1) return {io_state::done, count};
        const int system_error = detail::last_socket_error();
        switch (SSL_get_error(ssl_.get(), result)) {
        case SSL_ERROR_WANT_READ: return {io_state::wants_read, 0};
        case SSL_ERROR_WANT_WRITE: return {io_state::wants_write, 0};
        case SSL_ERROR_ZERO_RETURN: return {io_state::ended, 0};
        case SSL_ERROR_SYSCALL:
            broken_ = true;
            if (ERR_peek_error() == 0 && system_error == 0) return {io_state::ended, 0};
            detail::throw_lost(system_error);
        default:
            broken_ = true;
            throw client_error(error_kind::tls, "the TLS connection broke" + detail::tls_error_text(),
                               client_error::progress::maybe_sent);
        }
    }

    std::unique_ptr<tcp_stream> tcp_; // outlives the SSL object, whose BIO refers to it
    std::mutex mutex_;
    std::unique_ptr<SSL, void (*)(SSL*)> ssl_;
    bool broken_ = false;
};

} // namespace os
BACKENDAI_NAMESPACE_END

#endif
#endif

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// What a transport keeps to open websockets: settings, TLS context, keeper. Thread-safe. The websockets may outlive
/// it.
class websocket_connector {
public:
    explicit websocket_connector(api_config config) : config_(std::move(config)), upgrader_(config_) {}

    /// See transport/concept.hpp. The stream stays bound to the context's cancel tokens, not to its deadline.
    websocket_opening open(http_request& request, const exchange_context& context) {
        context.check();
        const std::optional<proxy_server> proxy = find_proxy(config_, request.url);
        std::unique_ptr<os::tcp_stream> tcp =
            proxy ? os::tcp_stream::connect(proxy->host, proxy->port, context)
                  : os::tcp_stream::connect(request.url.host, request.url.port, context);
        if (proxy) connect_through(*tcp, *proxy, request.url, context);
        std::unique_ptr<os::byte_stream> stream;
        if (request.url.is_tls()) {
            stream = secure(std::move(tcp), request.url.host, context);
        } else {
            stream = std::move(tcp);
        }
        return upgrader_.upgrade(std::move(stream), request, context);
    }

private:
#ifdef BACKENDAI_WEBSOCKET_TLS
    std::unique_ptr<os::byte_stream> secure(std::unique_ptr<os::tcp_stream> tcp, const std::string& host,
                                            const exchange_context& context) {
        {
            // Made by the first that needs it: reading the system's authorities takes milliseconds.
            const std::lock_guard<std::mutex> lock(mutex_);
            if (!tls_) {
                tls_ = std::make_shared<os::tls_context>(
                    os::tls_settings{!config_.skip_sslcert_validation.value_or(false), config_.ca_file,
                                     config_.client_certificate_file, config_.client_key_file});
            }
        }
        return std::make_unique<os::tls_stream>(std::move(tcp), *tls_, host, context);
    }
    std::mutex mutex_;
    std::shared_ptr<os::tls_context> tls_; // SSL objects count their references to OpenSSL's part of it
#else
    static std::unique_ptr<os::byte_stream> secure(std::unique_ptr<os::tcp_stream>, const std::string&,
                                                   const exchange_context&) {
        throw client_error(error_kind::tls, "this program was built without TLS");
    }
#endif

    const api_config config_;
    const websocket_upgrader upgrader_;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif

#include <httplib.h>

#ifdef CPPHTTPLIB_OPENSSL_SUPPORT
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#endif

#include <algorithm>
#include <exception>
#include <fstream>
#include <functional>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <type_traits>
#include <utility>

// With BACKENDAI_EXTERN_HTTPLIB one file holds these functions for the whole program, so that they cannot be inline.
#ifdef BACKENDAI_EXTERN_HTTPLIB
#define BACKENDAI_HTTPLIB_INLINE
#else
#define BACKENDAI_HTTPLIB_INLINE inline
#endif

// Files that disagree on the macro would share functions of httplib that do not fit the other's classes, and crash. A
// variable that is thread-local in one file and not in the other makes the linker refuse them; its name is the message.
#ifdef _MSC_VER
#ifdef CPPHTTPLIB_OPENSSL_SUPPORT
#pragma detect_mismatch("CPPHTTPLIB_OPENSSL_SUPPORT must be defined in all files or in none", "defined")
#else
#pragma detect_mismatch("CPPHTTPLIB_OPENSSL_SUPPORT must be defined in all files or in none", "not defined")
#endif
#elif defined(CPPHTTPLIB_OPENSSL_SUPPORT)
[[gnu::used]] inline thread_local char backendai_cpphttplib_openssl_support_must_be_defined_in_all_files_or_in_none = 1;
#else
[[gnu::used]] inline char backendai_cpphttplib_openssl_support_must_be_defined_in_all_files_or_in_none = 1;
#endif

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

#ifdef CPPHTTPLIB_OPENSSL_SUPPORT
// cpp-httplib renamed ssl_context() to tls_context() when it learnt other TLS libraries.
template <class Client, class = void>
struct native_tls {
    static SSL_CTX* context(const Client& client) { return client.ssl_context(); }
};
template <class Client>
struct native_tls<Client, std::void_t<decltype(std::declval<const Client&>().tls_context())>> {
    static SSL_CTX* context(const Client& client) { return static_cast<SSL_CTX*>(client.tls_context()); }
};

// Why the last certificate that this thread's handshakes met was refused; httplib tells only that it was.
inline int& refused_certificate() {
    thread_local int code = X509_V_OK;
    return code;
}
inline int note_refused_certificate(int accepted, X509_STORE_CTX* context) {
    if (accepted == 0) refused_certificate() = X509_STORE_CTX_get_error(context);
    return accepted;
}
#endif

/// One httplib client, which is one connection at most, and the handle that can break it off.
class httplib_connection final : public interruptible {
public:
    httplib_connection(const api_config& config, const codec::url& url, std::optional<proxy_server> proxy)
        : proxy_(std::move(proxy)),
          client_(origin(url, proxy_), config.client_certificate_file, config.client_key_file) {
        client_.set_keep_alive(true);
        client_.set_tcp_nodelay(true); // off, it costs 40 ms a POST: Nagle against delayed acknowledgements
        client_.set_follow_location(false);
        client_.set_decompress(false);
        disable_path_encoding(client_);
        client_.set_socket_options([this](auto socket) { handle_.hold(static_cast<os::native_socket>(socket)); });
#ifdef CPPHTTPLIB_OPENSSL_SUPPORT
        if (url.is_tls()) set_up_tls(config, url.host);
#endif
    }

    ~httplib_connection() override {
        quiet_.emplace();
    }

    void interrupt() noexcept override {
        if (!handle_.shut_down()) client_.stop(); // which knows the connection only once it stands
    }

    httplib::Client& client() {
        return client_;
    }
    os::connection_handle& handle() {
        return handle_;
    }
    const std::optional<proxy_server>& proxy() const {
        return proxy_;
    }
    bool is_reusable(exchange_context::clock::time_point now) {
        // Servers close what idles; a connection that is about to be closed is where requests get lost.
        return now - last_used_ < std::chrono::seconds(15) && handle_.is_quiet() && client_.is_socket_open() != 0 &&
               !holds_bytes();
    }
    /// After an exchange on this thread.
    void mark_used(exchange_context::clock::time_point now) {
        last_used_ = now;
#ifdef CPPHTTPLIB_OPENSSL_SUPPORT
        if (SSL* const made = tls_events::of_this_thread().finished_handshake) ssl_ = made;
#endif
    }
    bool is_open() const {
        return last_used_ != exchange_context::clock::time_point();
    }

private:
    // Through a tunnel httplib connects to the proxy's port while it takes it for the server's: see dig_tunnel().
    static std::string origin(const codec::url& url, const std::optional<proxy_server>& proxy) {
        if (!proxy || !url.is_tls()) return url.origin();
        codec::url through = url;
        through.port = proxy->port;
        return through.origin();
    }

    // The target is in its final spelling, which is signed. The setter got its second name in 0.19.
    template <class Client>
    static auto disable_path_encoding(Client& client) -> decltype(client.set_path_encode(false)) {
        client.set_path_encode(false);
    }
    template <class Client, class... None>
    static auto disable_path_encoding(Client& client, None...) -> decltype(client.set_url_encode(false)) {
        client.set_url_encode(false);
    }

#ifdef CPPHTTPLIB_OPENSSL_SUPPORT
    void set_up_tls(const api_config& config, const std::string& host) {
        SSL_CTX* context = native_tls<httplib::Client>::context(client_);
        if (context == nullptr) {
            throw client_error(error_kind::tls,
                               "the client certificate or its key cannot be used: " + config.client_certificate_file);
        }
        SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
#ifdef SSL_OP_NO_RENEGOTIATION
        SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
#endif
        tls_events::watch(context);
        const bool verify = !config.skip_sslcert_validation.value_or(false);
        client_.enable_server_certificate_verification(verify);
        if (!config.ca_file.empty()) client_.set_ca_cert_path(config.ca_file);
        if (!verify) return;
        X509_STORE_set_verify_cb(SSL_CTX_get_cert_store(context), note_refused_certificate);
        // httplib itself would accept a host name that stands in the subject's CN only.
        X509_VERIFY_PARAM* parameters = SSL_CTX_get0_param(context);
        X509_VERIFY_PARAM_set_hostflags(parameters,
                                        X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        if (X509_VERIFY_PARAM_set1_ip_asc(parameters, host.c_str()) != 1) {
            X509_VERIFY_PARAM_set1_host(parameters, host.c_str(), host.size());
        }
    }
#endif

    // Whether bytes that nobody asked for are decrypted already, where the socket does not show them any more: they
    // would be taken for the next answer. The connection must be open.
    bool holds_bytes() const {
#ifdef CPPHTTPLIB_OPENSSL_SUPPORT
        return ssl_ != nullptr && SSL_has_pending(ssl_) == 1;
#else
        return false;
#endif
    }

    const std::optional<proxy_server> proxy_;
    os::connection_handle handle_;
    // From the destructor on until client_ is gone, which says goodbye to a TLS peer that may be gone, too.
    std::optional<os::sigpipe_guard> quiet_;
    httplib::Client client_;
#ifdef CPPHTTPLIB_OPENSSL_SUPPORT
    SSL* ssl_ = nullptr; // httplib's; alive as long as its connection is open
#endif
    exchange_context::clock::time_point last_used_;
};

/// One exchange on one connection.
class httplib_exchange {
public:
    httplib_exchange(httplib_connection& connection, http_request& request, body_sink& sink,
                     const exchange_context& context)
        : connection_(connection), request_(request), sink_(sink), context_(context), proxy_(connection.proxy()) {}

    /// Whether @p error means that no connection came about at this address, so that another may be tried.
    static bool is_unreachable(httplib::Error error) {
        return error == httplib::Error::Connection || error == httplib::Error::ConnectionTimeout;
    }

    httplib::Error run() {
        set_limits();
        httplib::Request wire;
        wire.method = request_.method;
        wire.path = request_.url.target();
        wire.headers.emplace("Host", request_.url.host_header());
        for (const auto& field : request_.headers) wire.headers.emplace(field.first, field.second);
        if (proxy_ && !request_.url.is_tls() && !proxy_->authorization().empty()) {
            wire.headers.emplace("Proxy-Authorization", proxy_->authorization());
        }
        if (request_.source) {
            provide_body(wire);
        } else {
            wire.body = std::move(request_.body);
        }
        wire.response_handler = [this](const httplib::Response& answer) { return guarded([&] { take_head(answer); }); };
        wire.content_receiver = [this](const char* data, std::size_t size, auto /*offset*/, auto /*total*/) {
            return guarded([&] {
                last_byte_ = exchange_context::clock::now();
                framing_->count(size);
                if (size != 0) sink_.on_data({data, size});
            });
        };
        const std::uint64_t before = connection_.handle().bytes_received();
        start_ = last_byte_ = exchange_context::clock::now();
        httplib::Response answer;
        httplib::Error error = httplib::Error::Success;
#ifdef CPPHTTPLIB_OPENSSL_SUPPORT
        tls_events::reset();
        ERR_clear_error(); // what is in this thread's queue afterwards is this exchange's
        refused_certificate() = X509_V_OK;
        const std::function<void(SSL*)> dig = [this](SSL* ssl) { dig_tunnel(ssl); };
        if (proxy_) tls_events::of_this_thread().before_handshake = &dig;
#endif
        const bool done = connection_.client().send(wire, answer, error);
#ifdef CPPHTTPLIB_OPENSSL_SUPPORT
        tls_events::of_this_thread().before_handshake = nullptr;
#endif
        if (!request_.source) request_.body = std::move(wire.body);
        if (failure_) std::rethrow_exception(failure_);
        if (!done) {
            // Fewer bytes than before: it is another connection than the one that was open then. The end of the peer's
            // data counts as a byte, too. What TLS carries cannot be told from its own records.
            const std::uint64_t after = connection_.handle().bytes_received();
            answered_ = head_.status != 0 || (!request_.url.is_tls() && after - (after < before ? 0 : before) > 1);
            return error == httplib::Error::Success ? httplib::Error::Unknown : error;
        }
        if (!framing_) take_head(answer); // httplib does not announce the head of an answer without body
        framing_->finish();
        // The watchdog's shutdown looks like the peer's end of the stream; so does anyone's, unless TLS announces the
        // end.
        if (framing_->ends_with_connection()) {
            context_.check(client_error::progress::maybe_sent);
#ifdef CPPHTTPLIB_OPENSSL_SUPPORT
            const bool announced = !request_.url.is_tls() || tls_events::of_this_thread().end_is_announced();
            if (!announced) return httplib::Error::Read;
#endif
        }
        return httplib::Error::Success;
    }

    response_head take_head() {
        return std::move(head_);
    }

    [[noreturn]] void fail(httplib::Error error) {
        using progress = client_error::progress;
        const bool unsent = error == httplib::Error::Connection || error == httplib::Error::ConnectionTimeout ||
                            error == httplib::Error::BindIPAddress || error == httplib::Error::SSLConnection ||
                            error == httplib::Error::SSLLoadingCerts ||
                            error == httplib::Error::SSLServerVerification || is_host_mismatch(error);
        const progress sent = unsent ? progress::nothing_sent : progress::maybe_sent;
        context_.check(sent);
        const std::string peer = request_.url.host_header();
        const auto now = exchange_context::clock::now();
        const auto stalled = [&](std::chrono::milliseconds limit) {
            return limit.count() > 0 && now - last_byte_ >= limit - std::chrono::milliseconds(5);
        };
        switch (error) {
        case httplib::Error::ConnectionTimeout:
            throw client_error(error_kind::timeout, "connecting to " + peer + " took too long", sent);
        case httplib::Error::Connection:
        case httplib::Error::BindIPAddress: throw client_error(error_kind::connect, "cannot connect to " + peer, sent);
        case httplib::Error::SSLConnection:
            if (stalled(context_.connect_timeout)) {
                throw client_error(error_kind::timeout, "the TLS handshake with " + peer + " took too long", sent);
            }
            throw client_error(error_kind::tls, "the TLS handshake with " + peer + " failed" + tls_reason(), sent);
        case httplib::Error::SSLLoadingCerts:
            throw client_error(error_kind::tls, "the CA certificates cannot be loaded" + tls_reason(), sent);
        case httplib::Error::SSLServerVerification:
            throw client_error(error_kind::tls, "the certificate of " + peer + " was refused: " + verify_reason(),
                               sent);
        case httplib::Error::Write:
            if (stalled(context_.read_timeout)) {
                throw client_error(error_kind::timeout, peer + " took nothing of the request for too long", sent);
            }
            throw client_error(error_kind::connect, "the connection to " + peer + " was lost while sending", sent);
        default: break;
        }
        if (is_host_mismatch(error)) {
            throw client_error(error_kind::tls, "the certificate of " + peer + " does not name this host", sent);
        }
        // With TLS 1.3 a server refuses the client's certificate after the handshake, in place of an answer.
#ifdef CPPHTTPLIB_OPENSSL_SUPPORT
        if (const tls_events& events = tls_events::of_this_thread(); head_.status == 0 && events.is_refused()) {
            throw client_error(error_kind::tls, peer + " ended the TLS connection: " + events.alert_text(), sent);
        }
#endif
        if (stalled(context_.read_timeout)) {
            throw client_error(error_kind::timeout, "no byte of the answer of " + peer + " came for too long", sent);
        }
        if (head_.status != 0) {
            throw client_error(error_kind::protocol, "the answer of " + peer + " is cut short or wrongly framed", sent);
        }
        if (answered_) {
            throw client_error(error_kind::protocol, "the answer of " + peer + " is not HTTP, or its head is cut short",
                               sent);
        }
        throw client_error(error_kind::connect, peer + " closed the connection without an answer", sent);
    }

private:
    static void split(std::chrono::milliseconds limit, time_t& seconds, time_t& microseconds) {
        // "No limit" as 20 days: httplib counts milliseconds in an int.
        if (limit.count() <= 0 || limit > std::chrono::hours(480)) limit = std::chrono::hours(480);
        seconds = static_cast<time_t>(limit.count() / 1000);
        microseconds = static_cast<time_t>(limit.count() % 1000 * 1000);
    }

    void set_limits() {
        time_t seconds = 0;
        time_t microseconds = 0;
        split(context_.within(context_.connect_timeout), seconds, microseconds);
        connection_.client().set_connection_timeout(seconds, microseconds);
        split(context_.within(context_.read_timeout), seconds, microseconds);
        connection_.client().set_read_timeout(seconds, microseconds);
        connection_.client().set_write_timeout(seconds, microseconds);
    }

#ifdef CPPHTTPLIB_OPENSSL_SUPPORT
    // httplib's own CONNECT waits for ever when the proxy ends the connection with its answer (0.11.4), takes a refusal
    // for a tunnel or for the server's answer, and shows the proxy's password to the server. So httplib is told nothing
    // of the proxy, connects to it as if it were the server, and the tunnel is made when it is about to begin with TLS.
    void dig_tunnel(SSL* ssl) {
        const bool made = guarded([&] {
            os::borrowed_stream stream(static_cast<os::detail::socket_handle>(SSL_get_fd(ssl)));
            try {
                connect_through(stream, *proxy_, request_.url, context_);
            } catch (const client_error&) {
                context_.check(); // the watchdog's shutdown looks like the proxy's end
                throw;
            }
        });
        if (!made) connection_.handle().shut_down();
    }
#endif

    void provide_body(httplib::Request& wire) {
        const std::uint64_t size = request_.source->size();
        if (size > (std::numeric_limits<std::size_t>::max)()) {
            throw client_error(error_kind::argument, "the body is too large for this system");
        }
        if (size == 0) {
            wire.headers.emplace("Content-Length", "0");
            return;
        }
        wire.content_length_ = static_cast<std::size_t>(size);
        wire.content_provider_ = [this](std::size_t, std::size_t left, httplib::DataSink& out) {
            return guarded([&] {
                if (block_.empty()) block_.resize((std::min)(left, std::size_t{1} << 20));
                const std::size_t count = request_.source->read(&block_[0], (std::min)(left, block_.size()));
                if (count == 0) throw codec::source_error("the body ended before its announced length");
                last_byte_ = exchange_context::clock::now();
                out.write(block_.data(), count);
            });
        };
    }

    void take_head(const httplib::Response& answer) {
        last_byte_ = exchange_context::clock::now();
        head_.status = answer.status;
        head_.reason = answer.reason;
        for (const auto& field : answer.headers) head_.headers.add(field.first, field.second);
        framing_.emplace(head_, request_.method);
        sink_.on_head(head_);
    }

    // Exceptions must not pass through httplib: keep the first one, and have it stop.
    template <class Work>
    bool guarded(Work&& work) {
        if (failure_) return false;
        try {
            work();
            return true;
        } catch (const codec::source_error& e) {
            failure_ =
                std::make_exception_ptr(client_error(error_kind::io, e.what(), client_error::progress::maybe_sent));
        } catch (...) {
            failure_ = std::current_exception();
        }
        return false;
    }

    // Error::SSLServerHostnameVerification exists since 0.18; its absence must compile.
    template <class Error>
    static auto host_mismatch(Error error) -> decltype(Error::SSLServerHostnameVerification, bool()) {
        return error == Error::SSLServerHostnameVerification;
    }
    template <class Error, class... None>
    static bool host_mismatch(Error, None...) {
        return false;
    }
    static bool is_host_mismatch(httplib::Error error) {
        return host_mismatch(error);
    }

    static std::string tls_reason() {
#ifdef CPPHTTPLIB_OPENSSL_SUPPORT
        if (const unsigned long code = ERR_peek_error()) {
            if (const char* text = ERR_reason_error_string(code)) return std::string(": ") + text;
        }
#endif
        return {};
    }
    static std::string verify_reason() {
#ifdef CPPHTTPLIB_OPENSSL_SUPPORT
        const int code = refused_certificate();
        return code == X509_V_OK ? "it does not name this host" : X509_verify_cert_error_string(code);
#else
        return {};
#endif
    }

    httplib_connection& connection_;
    http_request& request_;
    body_sink& sink_;
    const exchange_context& context_;
    const std::optional<proxy_server>& proxy_;
    response_head head_;
    std::optional<body_framing> framing_;
    std::exception_ptr failure_;
    std::string block_;
    exchange_context::clock::time_point start_, last_byte_;
    bool answered_ = false;
};

} // namespace detail

class httplib_transport::implementation {
public:
    explicit implementation(api_config config) : config_(std::move(config)), websockets_(config_) {
        for (const std::string* file : {&config_.ca_file, &config_.client_certificate_file, &config_.client_key_file}) {
            if (!file->empty() && !std::ifstream(*file)) {
                throw client_error(error_kind::argument, "cannot read the file " + *file);
            }
        }
    }

    response_head exchange(http_request& request, body_sink& sink, const exchange_context& context) {
        context.check();
        auto& pool = pool_of(request.url.origin());
        const auto now = exchange_context::clock::now();
        while (auto idle = pool.take()) {
            if (!idle->is_reusable(now)) continue;
            return exchange_on(std::move(idle), pool, request, sink, context);
        }
#ifndef CPPHTTPLIB_OPENSSL_SUPPORT
        if (request.url.is_tls()) {
            throw client_error(error_kind::tls, "this program was built without CPPHTTPLIB_OPENSSL_SUPPORT");
        }
#endif
        return exchange_on(std::make_unique<detail::httplib_connection>(config_, request.url,
                                                                        detail::find_proxy(config_, request.url)),
                           pool, request, sink, context);
    }

    websocket_opening open_websocket(http_request& request, const exchange_context& context) {
        return websockets_.open(request, context);
    }

private:
    using connection_pool = detail::slot_pool<detail::httplib_connection>;

    response_head exchange_on(std::unique_ptr<detail::httplib_connection> connection, connection_pool& pool,
                              http_request& request, body_sink& sink, const exchange_context& context) {
        std::vector<std::string> addresses; // of the proxy or the server; a connection that is open is there
        if (!connection->is_open()) {
            addresses = os::resolve(connection->proxy() ? connection->proxy()->host : request.url.host, context);
        }
        for (std::size_t i = 0;; ++i) {
            if (i < addresses.size()) set_route(*connection, request, addresses[i]);
            detail::httplib_exchange work(*connection, request, sink, context);
            httplib::Error error = httplib::Error::Unknown;
            {
                const os::sigpipe_guard guard; // neither httplib nor OpenSSL writes with MSG_NOSIGNAL
                const detail::watched watch(dog_, *connection, context);
                context.check();
                error = work.run();
            }
            if (error == httplib::Error::Success) {
                connection->mark_used(exchange_context::clock::now());
                pool.give_back(std::move(connection));
                return work.take_head();
            }
            const bool another =
                detail::httplib_exchange::is_unreachable(error) && i + 1 < addresses.size() && !context.interrupted();
            if (!another) work.fail(error);
        }
    }

    static void set_route(detail::httplib_connection& connection, const http_request& request,
                          const std::string& address) {
        if (connection.proxy() && !request.url.is_tls()) {
            connection.client().set_proxy(address, connection.proxy()->port);
        } else if (address != request.url.host) {
            connection.client().set_hostname_addr_map({{request.url.host, address}});
        }
    }

    // One pool an origin; origins are few and never go away, so that a reference stays good.
    connection_pool& pool_of(const std::string& origin) {
        {
            const std::shared_lock<std::shared_mutex> lock(mutex_);
            const auto known = pools_.find(origin);
            if (known != pools_.end()) return *known->second;
        }
        const std::lock_guard<std::shared_mutex> lock(mutex_);
        auto& pool = pools_[origin];
        if (!pool) pool = std::make_unique<connection_pool>(config_.max_idle_connections);
        return *pool;
    }

    const api_config config_;
    detail::websocket_connector websockets_;
    detail::watchdog dog_;
    std::shared_mutex mutex_;
    std::map<std::string, std::unique_ptr<connection_pool>> pools_;
};

BACKENDAI_HTTPLIB_INLINE httplib_transport::httplib_transport(const api_config& config)
    : implementation_(std::make_unique<implementation>(config)) {}
BACKENDAI_HTTPLIB_INLINE httplib_transport::httplib_transport(httplib_transport&&) noexcept = default;
BACKENDAI_HTTPLIB_INLINE httplib_transport& httplib_transport::operator=(httplib_transport&&) noexcept = default;
BACKENDAI_HTTPLIB_INLINE httplib_transport::~httplib_transport() = default;

BACKENDAI_HTTPLIB_INLINE response_head httplib_transport::exchange(http_request& request, body_sink& sink,
                                                                   const exchange_context& context) {
    return implementation_->exchange(request, sink, context);
}
BACKENDAI_HTTPLIB_INLINE websocket_opening httplib_transport::open_websocket(http_request& request,
                                                                             const exchange_context& context) {
    return implementation_->open_websocket(request, context);
}

BACKENDAI_NAMESPACE_END

#undef BACKENDAI_HTTPLIB_INLINE

#endif
#endif

#ifdef BACKENDAI_EXTERN_HTTPLIB
// Everything that users call on the default session: declared in all files, made in the one with the implementation.
// The asynchronous one is made where it is used: most programs have one or the other.
#ifdef BACKENDAI_HTTPLIB_IMPLEMENTATION
#define BACKENDAI_TEMPLATE template
#else
#define BACKENDAI_TEMPLATE extern template
#endif
BACKENDAI_NAMESPACE_BEGIN
BACKENDAI_TEMPLATE class basic_session_view<httplib_transport, blocking>;
BACKENDAI_TEMPLATE class basic_session<httplib_transport, blocking>;
BACKENDAI_TEMPLATE class basic_kernel<httplib_transport, blocking>;
BACKENDAI_TEMPLATE class basic_kernel_functions<httplib_transport, blocking>;
BACKENDAI_TEMPLATE class basic_vfolder<httplib_transport, blocking>;
BACKENDAI_TEMPLATE class basic_vfolder_functions<httplib_transport, blocking>;
BACKENDAI_TEMPLATE class basic_admin_functions<httplib_transport, blocking>;
BACKENDAI_TEMPLATE class basic_agent<httplib_transport, blocking>;
BACKENDAI_TEMPLATE class basic_agent_functions<httplib_transport, blocking>;
BACKENDAI_TEMPLATE class basic_image_functions<httplib_transport, blocking>;
BACKENDAI_TEMPLATE class basic_keypair<httplib_transport, blocking>;
BACKENDAI_TEMPLATE class basic_keypair_functions<httplib_transport, blocking>;
BACKENDAI_TEMPLATE class basic_manager_functions<httplib_transport, blocking>;
BACKENDAI_TEMPLATE class request<httplib_transport, blocking>;
BACKENDAI_NAMESPACE_END

#undef BACKENDAI_TEMPLATE
#endif

#endif
#endif

#ifdef BACKENDAI_USE_CURL
// ---- backendai/transport/curl.hpp
/// @file
/// The second built-in transport, on libcurl (7.68 or newer, any TLS backend): quick to compile, strict about the heads
/// of answers, at home on embedded systems. Define BACKENDAI_USE_CURL to have <backendai.hpp> include it, and link
/// libcurl.
#ifndef BACKENDAI_TRANSPORT_CURL_HPP
#define BACKENDAI_TRANSPORT_CURL_HPP

// ---- backendai/os/sigpipe.hpp
/// @file
/// Keeps SIGPIPE, whose default is to end the program, away from a thread while it writes to a connection whose peer
/// may be gone. Sockets have MSG_NOSIGNAL for that; OpenSSL's own socket calls do not use it.
#ifndef BACKENDAI_OS_SIGPIPE_HPP
#define BACKENDAI_OS_SIGPIPE_HPP


#ifndef _WIN32
#include <pthread.h>
#include <signal.h> // NOLINT(modernize-deprecated-headers): sigset_t and its functions are POSIX, not C++
#endif

BACKENDAI_NAMESPACE_BEGIN
namespace os {

/// Blocks SIGPIPE on this thread for its lifetime and swallows the one that came meanwhile. The process-wide setting,
/// which belongs to the program, is not touched. Windows knows no such signal.
class sigpipe_guard {
public:
#ifdef _WIN32
    sigpipe_guard() {}
    ~sigpipe_guard() {}
#else
    sigpipe_guard() {
        sigset_t added;
        sigemptyset(&added);
        sigaddset(&added, SIGPIPE);
        pthread_sigmask(SIG_BLOCK, &added, &before_);
        // One can only be waiting already where it was blocked already.
        was_waiting_ = sigismember(&before_, SIGPIPE) == 1 && is_waiting();
    }
    ~sigpipe_guard() {
        if (!was_waiting_ && is_waiting()) {
            sigset_t taken;
            sigemptyset(&taken);
            sigaddset(&taken, SIGPIPE);
            int number = 0;
            sigwait(&taken, &number); // it waits already, so that this returns at once
        }
        pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }
#endif
    sigpipe_guard(const sigpipe_guard&) = delete;
    sigpipe_guard& operator=(const sigpipe_guard&) = delete;

private:
#ifndef _WIN32
    static bool is_waiting() {
        sigset_t waiting;
        sigemptyset(&waiting);
        sigpending(&waiting);
        return sigismember(&waiting, SIGPIPE) == 1;
    }
    sigset_t before_{};
    bool was_waiting_ = false;
#endif
};

} // namespace os
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/transport/curl_connection.hpp
/// @file
/// A libcurl handle with what a configuration says about connections: limits, trust, identity. One connection at most.
#ifndef BACKENDAI_TRANSPORT_CURL_CONNECTION_HPP
#define BACKENDAI_TRANSPORT_CURL_CONNECTION_HPP

// ---- backendai/os/connection_handle.hpp
/// @file
/// A second handle on a socket that a library keeps to itself: enough to break its connection off from another thread
/// and to see whether bytes wait in it, without touching a descriptor that the library may have closed meanwhile.
#ifndef BACKENDAI_OS_CONNECTION_HANDLE_HPP
#define BACKENDAI_OS_CONNECTION_HANDLE_HPP


#ifdef _WIN32
#include <winsock2.h>
#else
#include <cerrno>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>
#endif

#include <cstdint>
#include <mutex>

BACKENDAI_NAMESPACE_BEGIN
namespace os {

#ifdef _WIN32
using native_socket = SOCKET;
#else
using native_socket = int;
#endif

/// Thread-safe.
class connection_handle {
public:
    connection_handle() = default;
    connection_handle(const connection_handle&) = delete;
    connection_handle& operator=(const connection_handle&) = delete;
    ~connection_handle() { reset(); }

    /// Duplicates @p socket, in place of what was held before.
    void hold(native_socket socket) {
        const std::lock_guard<std::mutex> lock(mutex_);
        close_held();
#ifdef _WIN32
        WSAPROTOCOL_INFOW info;
        if (WSADuplicateSocketW(socket, GetCurrentProcessId(), &info) == 0) {
            held_ = WSASocketW(FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, &info, 0, 0);
        }
#else
        held_ = ::fcntl(socket, F_DUPFD_CLOEXEC, 0);
#endif
    }
    void reset() {
        const std::lock_guard<std::mutex> lock(mutex_);
        close_held();
    }
    /// Breaks the connection off: whoever reads, writes or connects on it comes back with an error. False when there is
    /// none, or the system gave no second handle on it.
    bool shut_down() noexcept {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (held_ == none) return false;
#ifdef _WIN32
        ::shutdown(held_, SD_BOTH);
#else
        ::shutdown(held_, SHUT_RDWR);
#endif
        return true;
    }
    /// Whether an idle connection can be used again: open, and no byte has come that nobody asked for.
    bool is_quiet() {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (held_ == none) return false;
        char byte = 0;
#ifdef _WIN32
        u_long waiting = 0;
        (void)byte;
        return ::ioctlsocket(held_, FIONREAD, &waiting) == 0 && waiting == 0;
#else
        return ::recv(held_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
#endif
    }
    /// How many bytes the peer has sent on this connection, where the system tells (Linux), else 0.
    std::uint64_t bytes_received() {
#ifdef __linux__
        const std::lock_guard<std::mutex> lock(mutex_);
        // tcp_info of <netinet/tcp.h> ends before tcpi_bytes_received, which stands at byte 128 since Linux 4.1.
        struct {
            unsigned char before[128];
            std::uint64_t bytes_received;
        } info{};
        socklen_t size = sizeof info;
        if (held_ != none && ::getsockopt(held_, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 && size == sizeof info) {
            return info.bytes_received;
        }
#endif
        return 0;
    }

private:
#ifdef _WIN32
    static constexpr native_socket none = INVALID_SOCKET;
    void close_held() {
        if (held_ != none) ::closesocket(held_);
        held_ = none;
    }
#else
    static constexpr native_socket none = -1;
    void close_held() {
        if (held_ != none) ::close(held_);
        held_ = none;
    }
#endif
    std::mutex mutex_;
    native_socket held_ = none;
};

} // namespace os
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/transport/tls_events.hpp
/// @file
/// What OpenSSL tells of TLS connections that a library below us drives and does not tell of.
#ifndef BACKENDAI_TRANSPORT_TLS_EVENTS_HPP
#define BACKENDAI_TRANSPORT_TLS_EVENTS_HPP


#include <openssl/ssl.h>

#include <functional>
#include <string>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// What happened on this thread's TLS connections since the last reset(). A context takes part once watched.
struct tls_events {
    static constexpr int none = -1;
    /// Called once, when the first handshake of a connection is about to begin. Must not throw.
    const std::function<void(SSL*)>* before_handshake = nullptr;
    SSL* finished_handshake = nullptr; ///< the connection that a handshake made
    int alert = none;                  ///< the last alert of the peer, RFC 8446 section 6

    /// Whether the peer said that its data ends. A connection that just ends may have been cut by anyone on the way.
    bool end_is_announced() const noexcept { return alert == SSL_AD_CLOSE_NOTIFY; }
    bool is_refused() const noexcept { return alert != none && alert != SSL_AD_CLOSE_NOTIFY; }
    std::string alert_text() const { return SSL_alert_desc_string_long(alert); }

    static tls_events& of_this_thread() {
        thread_local tls_events events;
        return events;
    }
    static void reset() { of_this_thread() = tls_events(); }
    static void watch(SSL_CTX* context) { SSL_CTX_set_info_callback(context, &note); }

private:
    static void note(const SSL* ssl, int where, int value) {
        tls_events& events = of_this_thread();
        // A server may ask for another handshake at any time; that one is none of the caller's business.
        if ((where & SSL_CB_HANDSHAKE_START) != 0 && SSL_get_finished(ssl, nullptr, 0) == 0) {
            if (const auto* call = std::exchange(events.before_handshake, nullptr)) (*call)(const_cast<SSL*>(ssl));
        }
        if ((where & SSL_CB_HANDSHAKE_DONE) != 0) events.finished_handshake = const_cast<SSL*>(ssl);
        if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT) events.alert = value & 0xff;
    }
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif

#include <curl/curl.h>

#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#if LIBCURL_VERSION_NUM < 0x074400
#error "backendai: curl_transport needs libcurl 7.68 or newer"
#endif

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

// CURL and CURLM are both void to a C++ compiler, unless libcurl is built with strict typing.
struct curl_easy_deleter {
    void operator()(void* handle) const { curl_easy_cleanup(static_cast<CURL*>(handle)); }
};
struct curl_multi_deleter {
    void operator()(void* handle) const { curl_multi_cleanup(static_cast<CURLM*>(handle)); }
};
struct curl_list_deleter {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

/// Sets an option. @p value must have the very type that libcurl expects: long, curl_off_t, or a pointer.
template <class T>
void curl_set(CURL* easy, CURLoption option, T value) {
    const CURLcode code = curl_easy_setopt(easy, option, value);
    if (code == CURLE_OUT_OF_MEMORY) throw std::bad_alloc();
    if (code != CURLE_OK) {
        throw client_error(error_kind::argument, std::string("this libcurl cannot do what is asked of it: ") +
                                                     curl_easy_strerror(code) + ", option " + std::to_string(option));
    }
}

/// Strings in libcurl's form.
class curl_list {
public:
    void add(const std::string& text) {
        curl_slist* longer = curl_slist_append(list_.get(), text.c_str());
        if (longer == nullptr) throw std::bad_alloc();
        list_.release(); // NOLINT(bugprone-unused-return-value): the longer list holds it
        list_.reset(longer);
    }
    curl_slist* get() const noexcept { return list_.get(); }

private:
    std::unique_ptr<curl_slist, curl_list_deleter> list_;
};

/// Applies what @p config says about TLS to a handle that will connect to @p url.
inline void curl_set_up_tls(CURL* easy, const api_config& config) {
    const bool verify = !config.skip_sslcert_validation.value_or(false);
    curl_set(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    curl_set(easy, CURLOPT_SSL_VERIFYPEER, verify ? 1L : 0L);
    curl_set(easy, CURLOPT_SSL_VERIFYHOST, verify ? 2L : 0L);
    // A connection that is lost is not made again in the same handle. And libcurl 7.88 frees the cache's entries twice
    // when it runs out of memory.
    curl_set(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
    if (verify) curl_easy_setopt(easy, CURLOPT_CERTINFO, 1L); // not every TLS backend has it
    if (!config.ca_file.empty()) {
        curl_set(easy, CURLOPT_CAINFO, config.ca_file.c_str());
        curl_easy_setopt(easy, CURLOPT_CAPATH, nullptr); // those authorities in place of the system's
    }
    if (!config.client_certificate_file.empty()) {
        curl_set(easy, CURLOPT_SSLCERT, config.client_certificate_file.c_str());
        const std::string& key =
            config.client_key_file.empty() ? config.client_certificate_file : config.client_key_file;
        curl_set(easy, CURLOPT_SSLKEY, key.c_str());
    }
}

/// Whether @p library is what libcurl does TLS with.
inline bool curl_uses(std::string_view library) {
    return std::string_view(curl_version_info(CURLVERSION_NOW)->ssl_version).find(library) == 0;
}

/// Whether a fresh connection's certificate names hosts in its subjectAltName. libcurl falls back to the subject's CN
/// where a certificate has none, which RFC 9110 section 4.3.4 forbids. Only OpenSSL and its relatives show extensions;
/// with another backend the answer is true, and the backend's own rule stands.
inline bool curl_has_alternative_names(CURL* easy) {
    const bool shows_extensions =
        curl_uses("OpenSSL") || curl_uses("LibreSSL") || curl_uses("BoringSSL") || curl_uses("AWS-LC");
    curl_certinfo* certificates = nullptr;
    if (!shows_extensions || curl_easy_getinfo(easy, CURLINFO_CERTINFO, &certificates) != CURLE_OK ||
        certificates == nullptr || certificates->num_of_certs == 0) {
        return true;
    }
    for (const curl_slist* line = certificates->certinfo[0]; line != nullptr; line = line->next) {
        const std::string_view text = line->data;
        if (text.find("X509v3 Subject Alternative Name:") == 0) return true;
    }
    return false;
}

/// Called by libcurl for every TLS connection that it opens.
inline CURLcode curl_watch_tls(CURL* /*easy*/, void* context, void* /*user*/) {
    tls_events::watch(static_cast<SSL_CTX*>(context));
    return CURLE_OK;
}

/// An easy handle in a multi handle of its own, which keeps the connection between exchanges.
/// Used by one thread at a time, but for wake_up().
class curl_connection {
public:
    /// @throws client_error{argument}, std::bad_alloc
    curl_connection(const api_config& config, const codec::url& url)
        : multi_(initialised() ? curl_multi_init() : nullptr), easy_(curl_easy_init()) {
        if (!multi_ || !easy_) throw std::bad_alloc();
        CURL* const handle = easy();
        curl_multi_setopt(multi(), CURLMOPT_MAXCONNECTS, 1L);
        curl_set(handle, CURLOPT_NOSIGNAL, 1L);
        curl_set(handle, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
        curl_set(handle, CURLOPT_HTTP09_ALLOWED, 0L);
        curl_set(handle, CURLOPT_FOLLOWLOCATION, 0L);
        curl_set(handle, CURLOPT_HTTP_CONTENT_DECODING, 0L);
        curl_set(handle, CURLOPT_PATH_AS_IS, 1L);
        curl_set(handle, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
        curl_set(handle, CURLOPT_TCP_NODELAY, 1L);
        curl_set(handle, CURLOPT_BUFFERSIZE, 128L * 1024);
        curl_set(handle, CURLOPT_ERRORBUFFER, error_);
        curl_set(handle, CURLOPT_SOCKOPTDATA, static_cast<void*>(this));
        curl_set(handle, CURLOPT_SOCKOPTFUNCTION, &on_socket);
        if (url.is_tls()) {
            curl_set_up_tls(handle, config);
            // The context is OpenSSL's only where libcurl's own backend is.
            if (curl_uses("OpenSSL")) curl_set(handle, CURLOPT_SSL_CTX_FUNCTION, &curl_watch_tls);
        }
    }

    curl_connection(const curl_connection&) = delete;
    curl_connection& operator=(const curl_connection&) = delete;
    ~curl_connection() {
        const os::sigpipe_guard guard; // the end of a TLS connection is written to a peer that may be gone
        easy_.reset();
        multi_.reset();
    }

    CURL* easy() const noexcept { return static_cast<CURL*>(easy_.get()); }
    CURLM* multi() const noexcept { return static_cast<CURLM*>(multi_.get()); }
    /// Makes a wait on the multi handle return; from any thread.
    void wake_up() const noexcept { curl_multi_wakeup(multi()); }

    /// How many sockets were opened in the current exchange.
    int opened() const noexcept { return opened_; }
    std::uint64_t bytes_received() { return handle_.bytes_received(); }
    /// libcurl's words on what went wrong; may be empty.
    std::string_view error_text() const noexcept { return error_; }

    void begin_exchange() noexcept {
        opened_ = 0;
        error_[0] = '\0';
    }
    /// After a whole answer, the easy handle still being in the multi handle: whether the connection can be kept.
    bool keep(exchange_context::clock::time_point now) {
        curl_socket_t socket = CURL_SOCKET_BAD;
        curl_easy_getinfo(easy(), CURLINFO_ACTIVESOCKET, &socket);
        if (socket == CURL_SOCKET_BAD) return false;
        if (opened_ > 1) handle_.hold(socket); // of several attempts to connect another one may have won
        last_used_ = now;
        return true;
    }
    /// Whether the end of the peer's data, just met on this thread, was its own. libcurl takes a TLS connection that is
    /// cut for one that ends; where its TLS is not OpenSSL's there is nothing to tell them apart by.
    static bool end_is_announced() { return !curl_uses("OpenSSL") || tls_events::of_this_thread().end_is_announced(); }
    bool is_open() const { return last_used_ != exchange_context::clock::time_point(); }
    /// Servers close what idles, and a connection that is about to be closed is where requests get lost. Bytes that
    /// nobody asked for would be taken for the next answer: libcurl looks for an end of the stream only.
    bool is_reusable(exchange_context::clock::time_point now) {
        return now - last_used_ < std::chrono::seconds(15) && handle_.is_quiet();
    }

private:
    static bool initialised() {
        // Once a process and never undone: other code may use libcurl too.
        static const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
        return code == CURLE_OK;
    }
    static int on_socket(void* self, curl_socket_t socket, curlsocktype /*purpose*/) {
        auto& connection = *static_cast<curl_connection*>(self);
        ++connection.opened_;
        connection.handle_.hold(socket);
        // libcurl does it too, but does not look whether it worked, and would block for ever.
        return os::detail::set_non_blocking(socket) ? CURL_SOCKOPT_OK : CURL_SOCKOPT_ERROR;
    }

    os::connection_handle handle_;
    char error_[CURL_ERROR_SIZE] = {};
    int opened_ = 0;
    exchange_context::clock::time_point last_used_;
    std::unique_ptr<void, curl_multi_deleter> multi_;
    std::unique_ptr<void, curl_easy_deleter> easy_;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/transport/curl_exchange.hpp
/// @file
/// One HTTP exchange on one libcurl connection: the callbacks between libcurl and the SDK, the waiting, the errors.
#ifndef BACKENDAI_TRANSPORT_CURL_EXCHANGE_HPP
#define BACKENDAI_TRANSPORT_CURL_EXCHANGE_HPP

// ---- backendai/transport/curl_setup.hpp
/// @file
/// What every use of libcurl has in common: which way a connection goes, and what it means when none comes about.
#ifndef BACKENDAI_TRANSPORT_CURL_SETUP_HPP
#define BACKENDAI_TRANSPORT_CURL_SETUP_HPP

// ---- backendai/transport/proxy.hpp
/// @file
/// HTTP proxies: which one, if any, leads to a URL, and CONNECT, by which websockets and TLS pass through it.
#ifndef BACKENDAI_TRANSPORT_PROXY_HPP
#define BACKENDAI_TRANSPORT_PROXY_HPP


#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// A proxy, and who we are to it.
struct proxy_server {
    std::string host;
    std::uint16_t port = 0;
    std::string user, password; ///< empty: none

    std::string authorization() const {
        return user.empty() && password.empty() ? std::string()
                                                : "Basic " + codec::base64_encode(user + ':' + password);
    }
};

/// Reads "http://user:password@host:port", or without the scheme. @throws client_error{argument}; the message holds no
/// credentials
inline proxy_server parse_proxy(std::string_view text) {
    proxy_server proxy;
    std::string address(text);
    if (address.find("://") == std::string::npos) address.insert(0, "http://");
    const std::size_t start = address.find("://") + 3;
    const std::size_t at = address.find_last_of('@', address.find('/', start));
    if (at != std::string::npos && at >= start) {
        const std::string user_info = address.substr(start, at - start);
        const std::size_t colon = user_info.find(':');
        proxy.user = codec::unescape(user_info.substr(0, colon), false);
        if (colon != std::string::npos) proxy.password = codec::unescape(user_info.substr(colon + 1), false);
        address.erase(start, at + 1 - start);
    }
    try {
        const codec::url url = codec::parse_url(address);
        if (url.is_tls())
            throw client_error(error_kind::argument, "a proxy is spoken to by plain HTTP: http://host:port");
        proxy.host = url.host;
        proxy.port = url.port;
    } catch (const codec::decode_error& e) {
        throw client_error(error_kind::argument, std::string("the proxy is not usable, ") + e.what());
    }
    return proxy;
}

/// Whether a list as of NO_PROXY ("*", "host", ".domain", "domain:port") takes this URL out.
inline bool is_excluded(std::string_view list, const codec::url& url) {
    for (std::string item : split_list(list)) {
        if (item == "*") return true;
        for (char& c : item) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
        // A port, unless the colon is one of several of an IPv6 address.
        const std::size_t colon = item.rfind(':');
        if (colon != std::string::npos && (item.find(':') == colon || item[colon - 1] == ']')) {
            if (item.substr(colon + 1) != std::to_string(url.port)) continue;
            item.erase(colon);
        }
        if (item.size() > 1 && item.front() == '[' && item.back() == ']') item = item.substr(1, item.size() - 2);
        if (!item.empty() && item.front() == '*') item.erase(0, 1);
        if (!item.empty() && item.front() == '.') item.erase(0, 1);
        if (item.empty()) continue;
        if (url.host == item) return true;
        const std::size_t longer = url.host.size() > item.size() ? url.host.size() - item.size() : 0;
        if (longer != 0 && url.host[longer - 1] == '.' && url.host.compare(longer, std::string::npos, item) == 0)
            return true;
    }
    return false;
}

inline bool is_this_machine(const std::string& host) {
    return host == "localhost" || host == "::1" || host.compare(0, 4, "127.") == 0;
}

/// The proxy for a URL. api_config::proxy, when set, holds for everything (empty: none); else the environment's
/// HTTPS_PROXY, for plain http http_proxy (the upper-case name can be set by a web server's caller), then ALL_PROXY,
/// less NO_PROXY and this machine. @throws client_error{argument} for one that cannot be read
inline std::optional<proxy_server> find_proxy(const api_config& config, const codec::url& url) {
    if (config.proxy) {
        if (config.proxy->empty()) return {};
        return parse_proxy(*config.proxy);
    }
    const auto variable = [](std::initializer_list<const char*> names) {
        for (const char* name : names) {
            const char* value = std::getenv(name);
            if (value != nullptr && *value != '\0') return std::string(value);
        }
        return std::string();
    };
    const std::string text = url.is_tls() ? variable({"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"})
                                          : variable({"http_proxy", "all_proxy", "ALL_PROXY"});
    if (text.empty() || is_this_machine(url.host) || is_excluded(variable({"no_proxy", "NO_PROXY"}), url)) return {};
    return parse_proxy(text);
}

/// Asks a proxy, to which @p stream leads, for a tunnel to @p url. @throws client_error{connect} when it refuses
inline void connect_through(os::byte_stream& stream, const proxy_server& proxy, const codec::url& url,
                            const exchange_context& context) {
    const std::string target =
        (url.host.find(':') == std::string::npos ? url.host : '[' + url.host + ']') + ':' + std::to_string(url.port);
    std::string head = "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n";
    const std::string authorization = proxy.authorization();
    if (!authorization.empty()) head += "Proxy-Authorization: " + authorization + "\r\n";
    head += "\r\n";
    const std::string name = "the proxy " + proxy.host + ':' + std::to_string(proxy.port);
    const os::phase_clock clock(context, context.connect_timeout, "the answer of " + name,
                                client_error::progress::nothing_sent);
    std::string_view rest = head;
    while (!rest.empty()) {
        const os::io_result sent = stream.write(rest);
        if (sent.state == os::io_state::done) {
            rest.remove_prefix(sent.count);
        } else {
            clock.wait(stream.handle(), sent.state);
        }
    }
    codec::http_response_parser parser({}, true);
    try {
        // A byte at a time: what follows the head belongs to the peer behind the proxy.
        while (!parser.done()) {
            char byte = 0;
            const os::io_result got = stream.read(&byte, 1);
            if (got.state == os::io_state::ended) {
                parser.finish();
            } else if (got.state != os::io_state::done) {
                clock.wait(stream.handle(), got.state);
            } else {
                std::string_view input(&byte, 1);
                parser.feed(input);
            }
            if (parser.head_done() && parser.response().status / 100 != 2) break;
        }
    } catch (const codec::decode_error& e) {
        throw client_error(error_kind::connect, name + " gave no usable answer: " + e.what());
    }
    if (parser.response().status / 100 != 2) {
        throw client_error(error_kind::connect, name + " refused the connection to " + target + ": " +
                                                    std::to_string(parser.response().status) + ' ' +
                                                    codec::printable_text(parser.response().reason, 512));
    }
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif

#include <curl/curl.h>

#include <chrono>
#include <cstdint>
#include <new>
#include <optional>
#include <string>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// Puts the easy handle into its multi handle for as long as it lives.
struct curl_attachment {
    explicit curl_attachment(curl_connection& c) : connection(c) {
        if (curl_multi_add_handle(connection.multi(), connection.easy()) != CURLM_OK) throw std::bad_alloc();
    }
    curl_attachment(const curl_attachment&) = delete;
    curl_attachment& operator=(const curl_attachment&) = delete;
    ~curl_attachment() { curl_multi_remove_handle(connection.multi(), connection.easy()); }
    curl_connection& connection;
};

inline void curl_set_proxy(CURL* easy, const std::optional<proxy_server>& proxy) {
    if (!proxy) {
        curl_set(easy, CURLOPT_PROXY, ""); // not what environment variables say to libcurl
        return;
    }
    const bool v6 = proxy->host.find(':') != std::string::npos;
    const std::string host = v6 ? '[' + proxy->host + ']' : proxy->host;
    curl_set(easy, CURLOPT_PROXY, ("http://" + host + ':' + std::to_string(proxy->port)).c_str());
    curl_set(easy, CURLOPT_NOPROXY, "");
    if (proxy->authorization().empty()) return;
    curl_set(easy, CURLOPT_PROXYAUTH, static_cast<long>(CURLAUTH_BASIC));
    curl_set(easy, CURLOPT_PROXYUSERNAME, proxy->user.c_str());
    curl_set(easy, CURLOPT_PROXYPASSWORD, proxy->password.c_str());
}

inline void curl_set_connect_timeout(CURL* easy, std::chrono::milliseconds limit) {
    const long longest = 0x7fffffffL; // 24 days: to libcurl 0 means five minutes
    const bool limited = limit.count() > 0 && limit.count() < longest;
    curl_set(easy, CURLOPT_CONNECTTIMEOUT_MS, limited ? static_cast<long>(limit.count()) : longest);
}

/// Adds an entry for CURLOPT_RESOLVE, so that libcurl looks up nothing itself.
inline void curl_add_addresses(curl_list& entries, const std::string& host, std::uint16_t port,
                               const std::vector<std::string>& addresses) {
    std::string list;
    for (const std::string& address : addresses) {
        if (address == host || address.find('%') != std::string::npos) continue;
        if (!list.empty()) list += ',';
        list += address.find(':') == std::string::npos ? address : '[' + address + ']';
    }
    if (!list.empty()) entries.add(host + ':' + std::to_string(port) + ':' + list);
}

/// See curl_has_alternative_names(). @throws client_error{tls}
inline void curl_require_names(CURL* easy, const std::string& peer) {
    if (curl_has_alternative_names(easy)) return;
    throw client_error(error_kind::tls, "the certificate of " + peer +
                                            " was refused: it names no host in its subjectAltName, and a name "
                                            "in the subject's CN does not count");
}

/// Throws what a result means that says that there is no connection; for other results returns.
inline void curl_throw_if_unconnected(CURLcode code, CURL* easy, const std::string& peer, const std::string& why,
                                      client_error::progress sent) {
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT: {
        curl_off_t time = 0;
        const bool connected = curl_easy_getinfo(easy, CURLINFO_CONNECT_TIME_T, &time) == CURLE_OK && time > 0;
        throw client_error(error_kind::timeout,
                           (connected ? "the TLS handshake with " : "connecting to ") + peer + " took too long", sent);
    }
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT: throw client_error(error_kind::connect, "cannot connect to " + peer + why, sent);
    case CURLE_PEER_FAILED_VERIFICATION:
        throw client_error(error_kind::tls, "the certificate of " + peer + " was refused" + why, sent);
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_SSL_ENGINE_INITFAILED:
    case CURLE_SSL_ENGINE_SETFAILED:
    case CURLE_SSL_SHUTDOWN_FAILED:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_USE_SSL_FAILED:
        throw client_error(error_kind::tls, "the TLS handshake with " + peer + " failed" + why, sent);
    case CURLE_UNSUPPORTED_PROTOCOL:
        if (sent == client_error::progress::nothing_sent) {
            throw client_error(error_kind::tls, "this libcurl was built without what is needed" + why);
        }
        break;
    default: break;
    }
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/transport/framing.hpp
/// @file
/// The framing rules of an answer (RFC 7230 section 3.3.3) that an HTTP library may be lenient about, checked here for
/// every transport: a body whose end is in doubt must not pass as whole.
#ifndef BACKENDAI_TRANSPORT_FRAMING_HPP
#define BACKENDAI_TRANSPORT_FRAMING_HPP


#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// Checks an answer's head, then counts its body.
class body_framing {
public:
    /// @throws client_error{protocol} when the head leaves the body's length in doubt or is out of bounds
    body_framing(const response_head& head, const std::string& method) {
        if (head.status < 200 || head.status > 599)
            bad("the status " + std::to_string(head.status) + " was not asked for");
        std::size_t size = 0;
        const std::string* coding = nullptr;
        const std::string* length = nullptr;
        const auto only = [](const std::string*& known, const std::string& value, const char* what) {
            if (known != nullptr) bad(what);
            known = &value;
        };
        for (const auto& field : head.headers) {
            size += field.first.size() + field.second.size();
            // "Content-Length : 5" would otherwise pass as a header of another name.
            if (!codec::is_token(field.first)) bad("a header line is not \"name: value\"");
            if (field.second.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) {
                bad("a header holds a line break or NUL");
            }
            if (equal_ignoring_case(field.first, "Transfer-Encoding")) {
                only(coding, field.second, "its transfer coding is not \"chunked\"");
            } else if (equal_ignoring_case(field.first, "Content-Length")) {
                only(length, field.second, "it has more than one Content-Length");
            }
        }
        if (head.headers.size() > 256 || size > 256 * 1024) bad("its head is larger than 256 fields or 256 KiB");
        if (coding != nullptr && !equal_ignoring_case(*coding, "chunked")) {
            bad("its transfer coding is not \"chunked\"");
        }
        if (length == nullptr) {
            open_ended_ = coding == nullptr && method != "HEAD" && head.status != 204 && head.status != 304;
            return;
        }
        if (coding != nullptr) bad("it has both Content-Length and Transfer-Encoding");
        if (length->empty() || length->size() > 18) bad("its Content-Length is not a number");
        std::uint64_t value = 0;
        for (const char c : *length) {
            if (c < '0' || c > '9') bad("its Content-Length is not a number");
            value = value * 10 + static_cast<std::uint64_t>(c - '0');
        }
        if (method != "HEAD" && head.status != 204 && head.status != 304) expected_ = value;
    }

    /// Whether the body goes on until the connection ends, so that breaking it off looks like its end.
    bool ends_with_connection() const noexcept { return open_ended_; }

    void count(std::uint64_t bytes) noexcept { received_ += bytes; }

    /// @throws client_error{protocol} when the body is not as long as the head said
    void finish() const {
        if (expected_ && *expected_ != received_) {
            bad("its body is cut short: " + std::to_string(received_) + " of " + std::to_string(*expected_) + " bytes");
        }
    }

private:
    [[noreturn]] static void bad(const std::string& what) {
        throw client_error(error_kind::protocol, "the answer is not usable: " + what,
                           client_error::progress::maybe_sent);
    }

    std::optional<std::uint64_t> expected_;
    std::uint64_t received_ = 0;
    bool open_ended_ = false;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/transport/head_reader.hpp
/// @file
/// Reads the head of an answer from its lines, with the strictness and the limits that HTTP libraries may lack.
#ifndef BACKENDAI_TRANSPORT_HEAD_READER_HPP
#define BACKENDAI_TRANSPORT_HEAD_READER_HPP


#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// Takes the lines of one answer's head, skips interim (1xx) heads, and keeps the final one. 101 counts as final: it
/// ends HTTP on the connection.
class head_reader {
public:
    static constexpr std::size_t max_fields = 256, max_bytes = std::size_t{256} * 1024;
    static constexpr int max_interim_heads = 16;

    /// Takes the next line with or without its line end. Returns whether the final head is complete, after which no
    /// line must follow. @throws client_error{protocol} when it is not HTTP/1 or is out of bounds
    bool add_line(std::string_view line) {
        bytes_ += line.size();
        if (bytes_ > max_bytes) bad("its head is larger than 256 KiB");
        if (!line.empty() && line.back() == '\n') line.remove_suffix(1);
        if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
        if (line.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos) {
            bad("its head holds a NUL or a stray carriage return");
        }
        if (head_.status == 0) {
            add_status_line(line);
            return false;
        }
        if (!line.empty()) {
            add_field(line);
            return false;
        }
        for (auto& field : fields_) head_.headers.add(std::move(field.first), std::move(field.second));
        fields_.clear();
        if (head_.status >= 200 || head_.status == 101) return true;
        if (++interim_ > max_interim_heads) bad("it has too many interim (1xx) heads");
        head_ = response_head();
        return false;
    }

    response_head& head() noexcept { return head_; }
    /// Whether any line has come.
    bool started() const noexcept { return bytes_ != 0; }

private:
    [[noreturn]] static void bad(const std::string& what) {
        throw client_error(error_kind::protocol, "the answer is not usable: " + what,
                           client_error::progress::maybe_sent);
    }
    static bool is_digit(char c) { return c >= '0' && c <= '9'; }

    // HTTP/1.x SP 3DIGIT SP [ reason ]; that the second space is missing when there is no reason is common.
    void add_status_line(std::string_view line) {
        const bool version = line.size() >= 12 && line.substr(0, 7) == "HTTP/1." && is_digit(line[7]) && line[8] == ' ';
        if (!version) bad("its status line is not HTTP/1");
        const bool status = is_digit(line[9]) && is_digit(line[10]) && is_digit(line[11]) &&
                            (line.size() == 12 || line[12] == ' ') && line[9] != '0';
        if (!status) bad("its status is not a number from 100 to 999");
        head_.status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
        if (line.size() > 13) head_.reason = std::string(line.substr(13));
    }

    void add_field(std::string_view line) {
        if (line.front() == ' ' || line.front() == '\t') { // obs-fold: RFC 9112 section 5.2 has it read as a space
            if (fields_.empty()) bad("its first header line is a continuation");
            const std::string_view more = codec::trim_field(line);
            fields_.back().second += ' ';
            fields_.back().second += more;
            return;
        }
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos || !codec::is_token(line.substr(0, colon))) {
            bad("a header line is not \"name: value\"");
        }
        if (fields_.size() == max_fields) bad("its head has more than 256 fields");
        fields_.emplace_back(line.substr(0, colon), codec::trim_field(line.substr(colon + 1)));
    }

    response_head head_;
    codec::http_fields fields_;
    std::size_t bytes_ = 0;
    int interim_ = 0;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <exception>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

class curl_exchange {
    using progress = client_error::progress;
    using clock = exchange_context::clock;

public:
    curl_exchange(curl_connection& connection, http_request& request, body_sink& sink, const exchange_context& context)
        : connection_(connection), request_(request), sink_(sink), context_(context) {}
    curl_exchange(const curl_exchange&) = delete;
    curl_exchange& operator=(const curl_exchange&) = delete;

    /// Performs the exchange; @p addresses are those of the host, or of the proxy, when it was looked up. Returns
    /// whether the connection can be kept. @throws as transport/concept.hpp says
    bool run(const std::optional<proxy_server>& proxy, const std::vector<std::string>& addresses) {
        connection_.begin_exchange();
        tls_events::reset();
        set_request(proxy, addresses);
        const cancel_token::listener on_cancel(context_.cancel, [this] { connection_.wake_up(); });
        const cancel_token::listener on_close(context_.closing, [this] { connection_.wake_up(); });
        last_byte_ = clock::now();
        const curl_attachment in_multi(connection_);
        const CURLcode code = wait_for_end();
        if (failure_) std::rethrow_exception(failure_);
        if (code != CURLE_OK) fail(code);
        if (!framing_) fail(CURLE_GOT_NOTHING);
        framing_->finish();
        if (framing_->ends_with_connection() && request_.url.is_tls() && !curl_connection::end_is_announced()) {
            throw client_error(error_kind::protocol, "the answer of " + request_.url.host_header() + " is cut short",
                               progress::maybe_sent);
        }
        return connection_.keep(clock::now());
    }

    response_head take_head() { return std::move(reader_.head()); }

private:
    template <class T>
    void set(CURLoption option, T value) {
        curl_set(connection_.easy(), option, value);
    }

    void set_request(const std::optional<proxy_server>& proxy, const std::vector<std::string>& addresses) {
        const codec::url& url = request_.url;
        set(CURLOPT_URL, (url.origin() + '/').c_str());
        // A proxy that gets a plain request wants all of the URL; through a TLS tunnel only the server sees it.
        const bool whole_url = proxy && !url.is_tls();
        set(CURLOPT_REQUEST_TARGET, ((whole_url ? url.origin() : std::string()) + url.target()).c_str());
        curl_set_proxy(connection_.easy(), proxy);
        curl_set_connect_timeout(connection_.easy(), context_.connect_timeout);
        curl_add_addresses(resolved_, proxy ? proxy->host : url.host, proxy ? proxy->port : url.port, addresses);
        set(CURLOPT_RESOLVE, resolved_.get());
        set_body();
        headers_.add("Host: " + url.host_header());
        headers_.add("Expect:"); // no waiting for a "100 Continue" that may never come
        if (request_.headers.find("Content-Type") == nullptr) headers_.add("Content-Type:");
        for (const auto& field : request_.headers) {
            headers_.add(field.second.empty() ? field.first + ';' : field.first + ": " + field.second);
        }
        set(CURLOPT_HTTPHEADER, headers_.get());
        set(CURLOPT_HEADERDATA, static_cast<void*>(this));
        set(CURLOPT_HEADERFUNCTION, &on_header);
        set(CURLOPT_WRITEDATA, static_cast<void*>(this));
        set(CURLOPT_WRITEFUNCTION, &on_body);
        // libcurl repeats a request on a new connection when a kept one turns out dead, also a POST that the server may
        // have worked on. The second round is refused where libcurl tells of it; before that, only GET may use a kept
        // one.
        knows_start_ = false;
#if LIBCURL_VERSION_NUM >= 0x075000
        knows_start_ = curl_easy_setopt(connection_.easy(), CURLOPT_PREREQDATA, static_cast<void*>(this)) == CURLE_OK &&
                       curl_easy_setopt(connection_.easy(), CURLOPT_PREREQFUNCTION, &on_start) == CURLE_OK;
#endif
        set(CURLOPT_FRESH_CONNECT, knows_start_ || request_.method == "GET" ? 0L : 1L);
    }

    void set_body() {
        set(CURLOPT_POSTFIELDS, static_cast<char*>(nullptr)); // which makes it a POST, hence first
        set(CURLOPT_HTTPGET, 1L);                             // forgets the method of the exchange before
        set(CURLOPT_CUSTOMREQUEST, static_cast<char*>(nullptr));
        if (request_.method == "HEAD") {
            set(CURLOPT_NOBODY, 1L);
            return;
        }
        set(CURLOPT_CUSTOMREQUEST, request_.method.c_str());
        const std::uint64_t size = request_.source ? request_.source->size() : request_.body.size();
        if (size > static_cast<std::uint64_t>((std::numeric_limits<curl_off_t>::max)())) {
            throw client_error(error_kind::argument, "the body is too large");
        }
        const bool expects_body = request_.method == "POST" || request_.method == "PUT" || request_.method == "PATCH";
        if (size == 0 && !expects_body) return;
        set(CURLOPT_POST, 1L);
        set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(size));
        if (size == 0) {
            set(CURLOPT_POSTFIELDS, "");
        } else if (!request_.source) {
            set(CURLOPT_POSTFIELDS, request_.body.data());
        } else {
            left_ = size;
            set(CURLOPT_UPLOAD_BUFFERSIZE, 1024L * 1024);
            set(CURLOPT_READDATA, static_cast<void*>(this));
            set(CURLOPT_READFUNCTION, &on_read);
        }
    }

    CURLcode wait_for_end() {
        for (;;) {
            int running = 0;
            if (curl_multi_perform(connection_.multi(), &running) != CURLM_OK) throw std::bad_alloc();
            int left = 0;
            while (const CURLMsg* message = curl_multi_info_read(connection_.multi(), &left)) {
                if (message->msg == CURLMSG_DONE) return message->data.result;
            }
            context_.check(sent());
            int active = 0;
            if (curl_multi_poll(connection_.multi(), nullptr, 0, next_look(), &active) != CURLM_OK) {
                throw std::bad_alloc();
            }
            if (active > 0) last_byte_ = clock::now();
            context_.check(sent());
        }
    }

    // How long to wait for the socket, in milliseconds. @throws client_error{timeout} when the peer has stalled
    int next_look() const {
        using std::chrono::milliseconds;
        milliseconds longest = context_.within(milliseconds(1000));
        const milliseconds limit = context_.read_timeout;
        if (limit.count() > 0 && sent() == progress::maybe_sent) {
            const auto quiet = std::chrono::duration_cast<milliseconds>(clock::now() - last_byte_);
            if (quiet >= limit) {
                const std::string peer = request_.url.host_header();
                throw client_error(error_kind::timeout,
                                   left_ > 0 ? peer + " took nothing of the request for too long"
                                             : "no byte of the answer of " + peer + " came for too long",
                                   progress::maybe_sent);
            }
            longest = (std::min)(longest, limit - quiet + milliseconds(1));
        }
        return static_cast<int>(longest.count());
    }

    progress sent() const {
        bool started = started_;
        if (!knows_start_) {
            curl_off_t time = 0;
            started = curl_easy_getinfo(connection_.easy(), CURLINFO_PRETRANSFER_TIME_T, &time) == CURLE_OK && time > 0;
        }
        return started ? progress::maybe_sent : progress::nothing_sent;
    }

    [[noreturn]] void fail(CURLcode code) {
        const std::string peer = request_.url.host_header();
        const std::string_view words = connection_.error_text();
        const std::string why = ": " + (words.empty() ? std::string(curl_easy_strerror(code)) : std::string(words));
        context_.check(sent());
        const bool lost = code == CURLE_GOT_NOTHING || code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR ||
                          code == CURLE_SEND_FAIL_REWIND || code == CURLE_ABORTED_BY_CALLBACK;
        // What libcurl before 8.6 calls it when a line of the head outgrows its limit of 100 KB.
        const bool overlong = code == CURLE_OUT_OF_MEMORY && started_ && !framing_;
        if (code == CURLE_OUT_OF_MEMORY && !overlong) throw std::bad_alloc();
        if (overlong || reader_.started() || (lost && answered())) {
            throw client_error(error_kind::protocol, "the answer of " + peer + " is cut short or wrongly framed" + why,
                               progress::maybe_sent);
        }
        if (lost) {
            // With TLS 1.3 a server that misses a client certificate says so after the handshake, by an alert.
            if (request_.url.is_tls() && words.find("alert") != std::string_view::npos) {
                throw client_error(error_kind::tls, peer + " ended the TLS connection" + why, progress::maybe_sent);
            }
            throw client_error(error_kind::connect, peer + " closed the connection without an answer" + why, sent());
        }
        curl_throw_if_unconnected(code, connection_.easy(), peer, why, sent());
        throw client_error(error_kind::protocol, "the answer of " + peer + " is not usable" + why, sent());
    }

    // Whether bytes of an answer came that did not make a line; the end of the peer's data counts as a byte, too. What
    // TLS carries cannot be told from its own records.
    bool answered() {
        return started_ && !request_.url.is_tls() && connection_.bytes_received() > received_before_ + 1;
    }

    // Exceptions must not pass through libcurl: keep the first one, and have libcurl stop.
    template <class Work>
    bool guarded(Work&& work) {
        if (failure_) return false;
        try {
            work();
            return true;
        } catch (const codec::source_error& e) {
            failure_ = std::make_exception_ptr(client_error(error_kind::io, e.what(), progress::maybe_sent));
        } catch (...) {
            failure_ = std::current_exception();
        }
        return false;
    }

    static std::size_t on_header(char* data, std::size_t size, std::size_t count, void* self) {
        curl_exchange& exchange = *static_cast<curl_exchange*>(self);
        const bool good = exchange.guarded([&] { exchange.take_line({data, size * count}); });
        return good ? size * count : 0;
    }
    static std::size_t on_body(char* data, std::size_t size, std::size_t count, void* self) {
        curl_exchange& exchange = *static_cast<curl_exchange*>(self);
        const bool good = exchange.guarded([&] { exchange.take_data({data, size * count}); });
        return good ? size * count : 0;
    }
    static std::size_t on_read(char* buffer, std::size_t size, std::size_t count, void* self) {
        curl_exchange& exchange = *static_cast<curl_exchange*>(self);
        std::size_t given = 0;
        const bool good = exchange.guarded([&] { given = exchange.give_data(buffer, size * count); });
        return good ? given : static_cast<std::size_t>(CURL_READFUNC_ABORT);
    }
#if LIBCURL_VERSION_NUM >= 0x075000
    // The connection stands and nothing of the request has left.
    static int on_start(void* self, char* /*peer*/, char* /*own*/, int /*peer_port*/, int /*own_port*/) {
        curl_exchange& exchange = *static_cast<curl_exchange*>(self);
        return exchange.guarded([&] { exchange.start(); }) ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
    }
#endif

    void start() {
        const std::string peer = request_.url.host_header();
        if (started_) {
            throw client_error(error_kind::connect, peer + " closed the connection without an answer",
                               progress::maybe_sent);
        }
        if (connection_.opened() > 0 && request_.url.is_tls()) curl_require_names(connection_.easy(), peer);
        context_.check();
        started_ = true;
        received_before_ = connection_.bytes_received();
        last_byte_ = clock::now();
    }

    void take_line(std::string_view line) {
        if (framing_) { // a trailer
            trailer_bytes_ += line.size();
            if (trailer_bytes_ > head_reader::max_bytes) {
                throw client_error(error_kind::protocol, "the answer is not usable: its trailer is too large",
                                   progress::maybe_sent);
            }
            return;
        }
        if (!reader_.add_line(line)) return;
        framing_.emplace(reader_.head(), request_.method);
        sink_.on_head(reader_.head());
    }

    void take_data(std::string_view data) {
        context_.check(progress::maybe_sent);
        if (!framing_) {
            throw client_error(error_kind::protocol, "the answer is not usable: it has a body but no head",
                               progress::maybe_sent);
        }
        framing_->count(data.size());
        if (!data.empty()) sink_.on_data(data);
    }

    std::size_t give_data(char* buffer, std::size_t capacity) {
        context_.check(progress::maybe_sent);
        const auto wanted = static_cast<std::size_t>((std::min)(static_cast<std::uint64_t>(capacity), left_));
        if (wanted == 0) return 0;
        const std::size_t count = request_.source->read(buffer, wanted);
        if (count == 0) throw codec::source_error("the body ended before its announced length");
        left_ -= count;
        return count;
    }

    curl_connection& connection_;
    http_request& request_;
    body_sink& sink_;
    const exchange_context& context_;
    curl_list headers_, resolved_;
    head_reader reader_;
    std::optional<body_framing> framing_;
    std::exception_ptr failure_;
    clock::time_point last_byte_;
    std::uint64_t left_ = 0, received_before_ = 0;
    std::size_t trailer_bytes_ = 0;
    bool knows_start_ = false, started_ = false;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/transport/curl_stream.hpp
/// @file
/// A connection made by libcurl (TCP, proxy, TLS) as a plain byte stream, for websockets.
#ifndef BACKENDAI_TRANSPORT_CURL_STREAM_HPP
#define BACKENDAI_TRANSPORT_CURL_STREAM_HPP


#include <curl/curl.h>

#include <chrono>
#include <cstddef>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// See byte_stream for threads. libcurl knows no handle in two threads at once: every call on it is made under a mutex
/// and does not block, the waiting is done outside.
class curl_stream final : public os::byte_stream {
    using progress = client_error::progress;

public:
    /// Connects within the context's connect_timeout, which covers a proxy's answer and the TLS handshake too.
    /// @throws client_error{connect, tls, timeout, cancelled or closed}, nothing sent
    curl_stream(const api_config& config, const codec::url& url, const std::optional<proxy_server>& proxy,
                const std::vector<std::string>& addresses, const exchange_context& context)
        : is_tls_(url.is_tls()), connection_(config, url) {
        CURL* const easy = connection_.easy();
        curl_set(easy, CURLOPT_URL, (url.origin() + '/').c_str());
        curl_set(easy, CURLOPT_CONNECT_ONLY, 1L);
        curl_set_proxy(easy, proxy);
        if (proxy) curl_set(easy, CURLOPT_HTTPPROXYTUNNEL, 1L);
        curl_set_connect_timeout(easy, context.connect_timeout);
        curl_add_addresses(resolved_, proxy ? proxy->host : url.host, proxy ? proxy->port : url.port, addresses);
        curl_set(easy, CURLOPT_RESOLVE, resolved_.get());
        connection_.begin_exchange();
        // Stays there: libcurl closes the connection of a handle that leaves its multi handle.
        in_multi_.emplace(connection_);
        connect(url.host_header(), context);
        if (is_tls_) curl_require_names(easy, url.host_header());
    }

    os::io_result read(char* buffer, std::size_t capacity) override {
        const std::lock_guard<std::mutex> lock(mutex_);
        const pipe_guard guard(is_tls_);
        std::size_t count = 0;
        tls_events::of_this_thread().alert = tls_events::none;
        const CURLcode code = curl_easy_recv(connection_.easy(), buffer, capacity, &count);
        if (code == CURLE_AGAIN) return {os::io_state::wants_read, 0};
        if (code != CURLE_OK) lost(code);
        if (count == 0) return {os::io_state::ended, 0};
        return {os::io_state::done, count};
    }
    os::io_result write(std::string_view bytes) override {
        const std::lock_guard<std::mutex> lock(mutex_);
        const pipe_guard guard(is_tls_);
        std::size_t count = 0;
        tls_events::of_this_thread().alert = tls_events::none;
        const CURLcode code = curl_easy_send(connection_.easy(), bytes.data(), bytes.size(), &count);
        if (code == CURLE_AGAIN) return {os::io_state::wants_write, 0};
        if (code != CURLE_OK) lost(code);
        return {os::io_state::done, count};
    }
    void end_writes() noexcept override { ::shutdown(socket_, os::detail::shutdown_writes); }
    os::detail::socket_handle handle() const noexcept override { return socket_; }

private:
    // Without TLS libcurl sends with MSG_NOSIGNAL.
    struct pipe_guard {
        explicit pipe_guard(bool is_tls) {
            if (is_tls) guard.emplace();
        }
        std::optional<os::sigpipe_guard> guard;
    };

    void connect(const std::string& peer, const exchange_context& context) {
        const pipe_guard guard(is_tls_);
        const cancel_token::listener on_cancel(context.cancel, [this] { connection_.wake_up(); });
        const cancel_token::listener on_close(context.closing, [this] { connection_.wake_up(); });
        std::optional<CURLcode> end;
        while (!end) {
            int running = 0;
            if (curl_multi_perform(connection_.multi(), &running) != CURLM_OK) throw std::bad_alloc();
            int left = 0;
            while (const CURLMsg* message = curl_multi_info_read(connection_.multi(), &left)) {
                if (message->msg == CURLMSG_DONE) end = message->data.result;
            }
            context.check();
            if (end) break;
            const auto limit = static_cast<int>(context.within(std::chrono::milliseconds(1000)).count());
            if (curl_multi_poll(connection_.multi(), nullptr, 0, limit, nullptr) != CURLM_OK) throw std::bad_alloc();
            context.check();
        }
        if (*end == CURLE_OUT_OF_MEMORY) throw std::bad_alloc();
        if (*end != CURLE_OK) {
            const std::string_view words = connection_.error_text();
            const std::string why = ": " + (words.empty() ? std::string(curl_easy_strerror(*end)) : std::string(words));
            curl_throw_if_unconnected(*end, connection_.easy(), peer, why, progress::nothing_sent);
            throw client_error(error_kind::connect, "cannot connect to " + peer + why, progress::nothing_sent);
        }
        curl_socket_t socket = CURL_SOCKET_BAD;
        if (curl_easy_getinfo(connection_.easy(), CURLINFO_ACTIVESOCKET, &socket) != CURLE_OK ||
            socket == CURL_SOCKET_BAD) {
            throw client_error(error_kind::connect, peer + " closed the connection at once", progress::nothing_sent);
        }
        socket_ = socket;
    }

    [[noreturn]] static void lost(CURLcode code) {
        // With TLS 1.3 a server that misses a client certificate says so after the handshake, by an alert.
        if (const tls_events& events = tls_events::of_this_thread(); events.is_refused()) {
            throw client_error(error_kind::tls, "the peer ended the TLS connection: " + events.alert_text(),
                               progress::maybe_sent);
        }
        throw client_error(error_kind::connect, std::string("the connection was lost: ") + curl_easy_strerror(code),
                           progress::maybe_sent);
    }

    const bool is_tls_;
    curl_list resolved_;
    curl_connection connection_;
    std::optional<curl_attachment> in_multi_; // ends before the connection
    os::detail::socket_handle socket_{};
    std::mutex mutex_; // of the handle, once connected
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/transport/pool.hpp
/// @file
/// Idle connections waiting for their next use: a fixed number of slots, taken and given back without a lock.
#ifndef BACKENDAI_TRANSPORT_POOL_HPP
#define BACKENDAI_TRANSPORT_POOL_HPP


#include <atomic>
#include <cstddef>
#include <memory>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// Keeps at most as many objects as it has slots; one more is destroyed by whoever gives it back. Thread-safe.
template <class T>
class slot_pool {
public:
    explicit slot_pool(std::size_t slots) : slots_(slots) {}
    slot_pool(const slot_pool&) = delete;
    slot_pool& operator=(const slot_pool&) = delete;
    ~slot_pool() {
        while (take()) {
        }
    }

    /// An idle object, or nothing.
    std::unique_ptr<T> take() noexcept {
        for (std::atomic<T*>& slot : slots_) {
            if (slot.load(std::memory_order_relaxed) == nullptr) continue;
            if (T* object = slot.exchange(nullptr, std::memory_order_acquire)) return std::unique_ptr<T>(object);
        }
        return nullptr;
    }
    void give_back(std::unique_ptr<T> object) noexcept {
        for (std::atomic<T*>& slot : slots_) {
            T* empty = nullptr;
            if (slot.load(std::memory_order_relaxed) == nullptr &&
                slot.compare_exchange_strong(empty, object.get(), std::memory_order_release,
                                             std::memory_order_relaxed)) {
                object.release(); // NOLINT(bugprone-unused-return-value): the slot owns it now
                return;
            }
        }
    }

private:
    std::vector<std::atomic<T*>> slots_;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
// ---- backendai/transport/websocket_upgrade.hpp
/// @file
/// The upgrade of a connection to a websocket: handshake, and what the websockets of a transport share.
#ifndef BACKENDAI_TRANSPORT_WEBSOCKET_UPGRADE_HPP
#define BACKENDAI_TRANSPORT_WEBSOCKET_UPGRADE_HPP

// ---- backendai/transport/websocket.hpp
/// @file
/// An open websocket: the codec over a byte stream, with one reader, any number of senders and a keeper.
#ifndef BACKENDAI_TRANSPORT_WEBSOCKET_HPP
#define BACKENDAI_TRANSPORT_WEBSOCKET_HPP

// ---- backendai/transport/websocket_keeper.hpp
/// @file
/// Looks after open websockets from time to time: pings, and answers to pings while nobody receives.
#ifndef BACKENDAI_TRANSPORT_WEBSOCKET_KEEPER_HPP
#define BACKENDAI_TRANSPORT_WEBSOCKET_KEEPER_HPP


#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// Something that wants a tick now and then. tick() must not block.
class ticked {
public:
    ticked() = default;
    ticked(const ticked&) = delete;
    ticked& operator=(const ticked&) = delete;
    virtual ~ticked() = default;
    virtual void tick(std::chrono::steady_clock::time_point now) noexcept = 0;
};

/// One thread for all websockets of a transport; it starts with the first one. Thread-safe.
class websocket_keeper {
public:
    using clock = std::chrono::steady_clock;

    websocket_keeper() = default;
    websocket_keeper(const websocket_keeper&) = delete;
    websocket_keeper& operator=(const websocket_keeper&) = delete;
    ~websocket_keeper() {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            stopping_ = true;
        }
        changed_.notify_all();
        if (thread_.joinable()) thread_.join();
    }

    /// @throws client_error{io} when no thread can be started, std::bad_alloc; it is not looked after then
    void add(ticked& item, std::chrono::milliseconds period) {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            if (!thread_.joinable()) thread_ = os::start_thread([this] { run(); });
            items_[&item] = {period, clock::now() + period};
        }
        changed_.notify_all();
    }
    /// After this @p item is not touched any more.
    void remove(ticked& item) {
        const std::lock_guard<std::mutex> lock(mutex_);
        items_.erase(&item);
    }

private:
    struct schedule {
        std::chrono::milliseconds period{};
        clock::time_point next;
    };

    void run() {
        std::unique_lock<std::mutex> lock(mutex_);
        while (!stopping_) {
            const auto now = clock::now();
            auto next = (clock::time_point::max)();
            for (auto& item : items_) {
                if (item.second.next <= now) {
                    item.first->tick(now);
                    item.second.next = now + item.second.period;
                }
                next = item.second.next < next ? item.second.next : next;
            }
            if (items_.empty()) {
                changed_.wait(lock);
            } else {
                changed_.wait_until(lock, next);
            }
        }
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::map<ticked*, schedule> items_;
    bool stopping_ = false;
    std::thread thread_;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif

#include <openssl/rand.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

/// How an open websocket behaves.
struct websocket_options {
    codec::websocket_limits limits;
    std::chrono::milliseconds ping_interval{30'000}; ///< 0 is no pings
    std::chrono::milliseconds ping_timeout{30'000};  ///< silence after a ping that means a dead peer
    std::chrono::milliseconds send_timeout{60'000};  ///< the peer takes nothing for so long; 0 is no limit
};

namespace detail {

/// Masks from a cryptographic source, drawn in batches. Not thread-safe.
class mask_generator {
public:
    codec::websocket_mask_key operator()() {
        if (used_ + 4 > sizeof pool_) {
            if (RAND_bytes(pool_, static_cast<int>(sizeof pool_)) != 1) {
                throw client_error(error_kind::io, "no random numbers", client_error::progress::maybe_sent);
            }
            used_ = 0;
        }
        codec::websocket_mask_key key;
        std::memcpy(key.data(), pool_ + used_, 4);
        used_ += 4;
        return key;
    }

private:
    unsigned char pool_[1024] = {};
    std::size_t used_ = sizeof pool_;
};

/// See message_stream. Three locks, taken in this order: reading_ (who reads and decodes), state_ (what is written and
/// how it all stands), the stream's own. Only the one that has the flushing turn writes to the stream.
class websocket final : public message_stream, private ticked {
    using clock = exchange_context::clock;

public:
    /// @param early bytes that came behind the handshake's answer
    websocket(std::unique_ptr<os::byte_stream> stream, std::string early, std::string protocol,
              const websocket_options& options, const exchange_context& context,
              std::shared_ptr<websocket_keeper> keeper)
        : stream_(std::move(stream)),
          early_(std::move(early)),
          protocol_(std::move(protocol)),
          options_(options),
          keeper_(std::move(keeper)),
          codec_(codec::websocket_role::client, options.limits, mask_generator()),
          buffer_(buffer_size),
          input_(early_),
          next_ping_(clock::now() + options.ping_interval) {
        last_received_ = clock::now().time_since_epoch().count();
        on_cancel_.emplace(context.cancel, [this] { fail(error_kind::cancelled, "the stream was cancelled"); });
        on_close_.emplace(context.closing, [this] { fail(error_kind::closed, "the session was closed"); });
        std::chrono::milliseconds period(1000);
        if (options_.ping_interval.count() > 0) period = (std::min)(period, options_.ping_interval / 2);
        keeper_->add(*this, (std::max)(period, std::chrono::milliseconds(10)));
    }
    ~websocket() override {
        on_cancel_.reset();
        on_close_.reset();
        keeper_->remove(*this);
        try {
            std::unique_lock<std::mutex> lock(state_);
            if (!failure_ && !flushing_) {
                codec_.write_close(out_);
                flush(lock, false);
            }
        } catch (const std::exception&) {
            // A goodbye to a peer that is gone is nothing that anybody misses.
        }
        stream_->end_writes();
    }

    stream_message receive() override { return *receive_until((clock::time_point::max)()); }
    std::optional<stream_message> receive_for(std::chrono::milliseconds limit) override {
        return receive_until(time_after(limit));
    }

    void send_text(std::string_view text) override { send(codec::websocket_opcode::text, text); }
    void send_binary(std::string_view bytes) override { send(codec::websocket_opcode::binary, bytes); }

    void close(std::uint16_t code, std::string_view reason) override {
        try {
            codec::websocket_encoder::require_close(code, reason);
        } catch (const std::invalid_argument& e) {
            throw client_error(error_kind::argument, e.what());
        }
        std::unique_lock<std::mutex> lock(state_);
        await_turn(lock);
        if (failure_ || !codec_.write_close(out_, code, reason)) return;
        try {
            flush(lock, true);
        } catch (const client_error&) {
            // The connection is lost: receive() tells, if anybody wants to know.
        }
    }

    void cancel() noexcept override { fail(error_kind::cancelled, "the stream was cancelled"); }
    const std::string& protocol() const noexcept override { return protocol_; }

private:
    static constexpr std::size_t buffer_size = 64U << 10U;
    static constexpr std::size_t max_kept_messages = 1U << 20U; // bytes read while nobody receives

    static std::size_t cost_of(const stream_message& message) { return message.data.size() + sizeof message; }

    // --- receiving: all of this under reading_ -----------------------------------------------------------------------

    std::optional<stream_message> receive_until(clock::time_point deadline) {
        const std::lock_guard<std::mutex> reader(reading_);
        for (;;) {
            check();
            if (!kept_.empty()) {
                stream_message message = std::move(kept_.front());
                kept_.pop_front();
                kept_size_ -= cost_of(message);
                return message;
            }
            if (broken_) throw *broken_;
            if (closed_) return *closed_;
            if (std::optional<stream_message> message = decode()) return message;
            if (closed_) continue;
            if (!fill(deadline, true)) return std::nullopt;
        }
    }

    // The next message of what has been read; a close frame sets closed_.
    std::optional<stream_message> decode() {
        try {
            while (const std::optional<codec::websocket_event> event = codec_.decode(input_)) {
                switch (event->opcode) {
                case codec::websocket_opcode::text: return stream_message{stream_message::type::text, codec_.take(), 0};
                case codec::websocket_opcode::binary:
                    return stream_message{stream_message::type::binary, codec_.take(), 0};
                case codec::websocket_opcode::pong: break;
                default: answer(*event); break;
                }
                if (closed_) return std::nullopt;
            }
        } catch (const codec::websocket_error& e) {
            refuse(e);
        } catch (const std::bad_alloc&) {
            lose_place();
            throw;
        }
        return std::nullopt;
    }

    // A message, or a part of one, was lost for want of memory: nothing that comes after it may be taken for whole.
    void lose_place() noexcept {
        input_ = {};
        stream_->shut_down();
    }

    void answer(const codec::websocket_event& event) {
        const bool is_close = event.opcode == codec::websocket_opcode::close;
        if (is_close) closed_ = stream_message{stream_message::type::closed, std::string(event.payload), event.code};
        std::unique_lock<std::mutex> lock(state_);
        codec_.note(event);
        codec_.write_pending(out_);
        if (flushing_) return; // whoever flushes takes it along
        try {
            flush(lock, false);
        } catch (const client_error&) {
            // Writing is over, which the next send tells; reading goes on to its own end.
        }
    }

    [[noreturn]] void refuse(const codec::websocket_error& error) {
        broken_.emplace(error_kind::protocol, error.what(), client_error::progress::maybe_sent);
        {
            std::unique_lock<std::mutex> lock(state_);
            codec_.note(error);
            codec_.write_pending(out_);
            try {
                if (!flushing_) flush(lock, false);
            } catch (const client_error&) {
                // The peer does not learn what was wrong with it; the caller does.
            }
        }
        // Bytes unread when the socket is closed would reset the connection, and the peer lose our close frame.
        stream_->end_writes();
        try {
            const auto end = clock::now() + std::chrono::milliseconds(100);
            for (std::size_t left = 1U << 20U; left > buffer_.size() && clock::now() < end;) {
                const os::io_result got = stream_->read(buffer_.data(), buffer_.size());
                if (got.state == os::io_state::ended) break;
                left -= got.count;
                if (got.state != os::io_state::done)
                    os::wait_ready(stream_->handle(), true, false, std::chrono::milliseconds(20));
            }
        } catch (const client_error&) {
            // It is gone already.
        }
        throw *broken_;
    }

    // Reads some bytes. False when there were none until the deadline (or at once, with @p wait false).
    bool fill(clock::time_point deadline, bool wait) {
        for (;;) {
            const os::io_result got = read_some();
            if (got.state == os::io_state::done) {
                input_ = std::string_view(buffer_.data(), got.count);
                last_received_ = clock::now().time_since_epoch().count();
                return true;
            }
            if (got.state == os::io_state::ended) {
                end_of_stream();
                return true;
            }
            if (!wait) return false;
            std::chrono::milliseconds limit(-1);
            if (deadline != (clock::time_point::max)()) {
                const auto left = deadline - clock::now();
                if (left.count() <= 0) return false;
                limit = std::chrono::duration_cast<std::chrono::milliseconds>(left) + std::chrono::milliseconds(1);
            }
            const bool unsent = has_unsent();
            os::wait_ready(stream_->handle(), got.state == os::io_state::wants_read,
                           unsent || got.state == os::io_state::wants_write, limit);
            check();
            if (unsent) flush_quietly();
        }
    }

    os::io_result read_some() {
        try {
            return stream_->read(buffer_.data(), buffer_.size());
        } catch (const client_error& e) {
            check();
            broken_ = e;
            throw;
        }
    }

    void end_of_stream() {
        check();
        {
            const std::lock_guard<std::mutex> lock(state_);
            if (!codec_.control().may_send()) { // we had said goodbye; that it was not returned loses nothing
                closed_ = stream_message{stream_message::type::closed, {}, codec::websocket_close::abnormal};
                return;
            }
        }
        broken_.emplace(error_kind::connect, "the connection ended without a close frame",
                        client_error::progress::maybe_sent);
        throw *broken_;
    }

    // --- sending: under state_ ---------------------------------------------------------------------------------------

    void send(codec::websocket_opcode opcode, std::string_view payload) {
        std::unique_lock<std::mutex> lock(state_);
        await_turn(lock);
        if (failure_) throw_failure();
        if (unwritable_) throw *unwritable_;
        if (!codec_.control().may_send()) {
            throw client_error(error_kind::closed, "the websocket is closed", client_error::progress::maybe_sent);
        }
        const std::size_t before = out_.size();
        try {
            codec_.write_message(out_, opcode, payload);
        } catch (const std::invalid_argument& e) {
            throw client_error(error_kind::argument, e.what(), client_error::progress::maybe_sent);
        } catch (...) {
            out_.resize(before); // no half of a frame
            throw;
        }
        flush(lock, true);
    }

    void await_turn(std::unique_lock<std::mutex>& lock) {
        turn_.wait(lock, [this] { return !flushing_ || failure_; });
    }

    // Writes what waits; with @p wait all of it. The lock is open while the stream works.
    void flush(std::unique_lock<std::mutex>& lock, bool wait) {
        if (unwritable_) throw *unwritable_;
        flushing_ = true;
        auto last_progress = clock::now();
        try {
            for (;;) {
                if (failure_) throw_failure();
                if (sent_ == sending_.size()) {
                    if (sending_.capacity() > (4U << 20U)) std::string().swap(sending_);
                    sending_.clear();
                    sent_ = 0;
                    if (out_.empty()) break;
                    sending_.swap(out_);
                }
                lock.unlock();
                os::io_result wrote = write_some();
                if (wrote.state != os::io_state::done && wait) {
                    await_writable(wrote.state, last_progress);
                    wrote.count = 0;
                } else if (wrote.state == os::io_state::done) {
                    last_progress = clock::now();
                }
                lock.lock();
                sent_ += wrote.count;
                if (wrote.state != os::io_state::done && !wait) break;
            }
        } catch (const client_error& e) {
            if (!lock.owns_lock()) lock.lock();
            flushing_ = false;
            if (!unwritable_) unwritable_ = e;
            turn_.notify_all();
            if (failure_) throw_failure();
            throw;
        } catch (...) { // no memory: how much of a frame is out is not known any more
            stream_->shut_down();
            if (!lock.owns_lock()) lock.lock();
            flushing_ = false;
            turn_.notify_all();
            throw;
        }
        flushing_ = false;
        turn_.notify_all();
    }

    os::io_result write_some() { return stream_->write(std::string_view(sending_).substr(sent_)); }

    void await_writable(os::io_state state, clock::time_point last_progress) {
        std::chrono::milliseconds limit(-1);
        if (options_.send_timeout.count() > 0) {
            const auto left = last_progress + options_.send_timeout - clock::now();
            if (left.count() <= 0) {
                throw client_error(error_kind::timeout, "the peer took nothing for too long",
                                   client_error::progress::maybe_sent);
            }
            limit = std::chrono::duration_cast<std::chrono::milliseconds>(left) + std::chrono::milliseconds(1);
        }
        if (state == os::io_state::wants_read) {
            // Only inside a TLS handshake message; the reader may take what this waits for.
            limit = std::chrono::milliseconds(50);
        }
        os::wait_ready(stream_->handle(), state == os::io_state::wants_read, state == os::io_state::wants_write, limit);
    }

    bool has_unsent() {
        const std::lock_guard<std::mutex> lock(state_);
        return !flushing_ && !unwritable_ && (sent_ != sending_.size() || !out_.empty());
    }
    void flush_quietly() {
        std::unique_lock<std::mutex> lock(state_);
        if (flushing_ || unwritable_) return;
        try {
            flush(lock, false);
        } catch (const client_error&) {
            // Kept in unwritable_ for the next send.
        }
    }

    // --- the end, and the keeper -------------------------------------------------------------------------------------

    void check() {
        const std::lock_guard<std::mutex> lock(state_);
        if (failure_) throw_failure();
    }
    [[noreturn]] void throw_failure() const {
        throw client_error(failure_->kind, failure_->message, client_error::progress::maybe_sent);
    }

    void fail(error_kind kind, const char* message) noexcept {
        {
            const std::lock_guard<std::mutex> lock(state_);
            if (!failure_) failure_ = failure{kind, message};
            stream_->shut_down();
        }
        turn_.notify_all();
    }

    void tick(clock::time_point now) noexcept override {
        const bool reads = drain();
        bool is_dead = false;
        {
            std::unique_lock<std::mutex> lock(state_);
            if (failure_ || unwritable_) return;
            try {
                const bool may_ping = options_.ping_interval.count() > 0 && codec_.control().may_send();
                if (may_ping && now >= next_ping_) {
                    codec_.write_ping(out_, {});
                    next_ping_ = now + options_.ping_interval;
                    if (!pinged_) pinged_ = now;
                }
                if (!flushing_) flush(lock, false);
            } catch (const std::exception&) {
                return; // kept in unwritable_; reading goes on to its own end
            }
            // While nobody takes what was read, silence says nothing about the peer.
            const clock::time_point last{clock::duration(last_received_.load())};
            if (pinged_ && (last >= *pinged_ || !reads)) pinged_.reset();
            is_dead = pinged_ && now - *pinged_ > options_.ping_timeout;
        }
        if (is_dead) fail(error_kind::timeout, "the peer does not answer pings any more");
    }

    // Reads ahead a little while nobody receives, so that pings and pongs are seen. False when it may not.
    bool drain() noexcept {
        const std::unique_lock<std::mutex> reader(reading_, std::try_to_lock);
        if (!reader.owns_lock()) return true; // somebody receives
        try {
            for (int rounds = 0; rounds < 16 && !broken_ && !closed_; ++rounds) {
                while (kept_size_ < max_kept_messages) {
                    std::optional<stream_message> message = decode();
                    if (!message) break;
                    kept_size_ += cost_of(*message);
                    kept_.push_back(std::move(*message));
                }
                if (kept_size_ >= max_kept_messages) return false;
                if (closed_ || !fill({}, false)) break;
            }
        } catch (const std::bad_alloc&) {
            lose_place();
        } catch (const std::exception&) {
            // Kept in broken_ for the next receive().
        }
        return true;
    }

    const std::unique_ptr<os::byte_stream> stream_;
    const std::string early_;
    const std::string protocol_;
    const websocket_options options_;
    const std::shared_ptr<websocket_keeper> keeper_;
    codec::websocket_codec codec_; // decode() under reading_, the rest under state_

    std::mutex reading_;
    std::vector<char> buffer_;
    std::string_view input_; // read and not yet decoded, in buffer_ (at first in early_)
    std::deque<stream_message> kept_;
    std::size_t kept_size_ = 0;
    std::optional<stream_message> closed_;
    std::optional<client_error> broken_;
    std::atomic<clock::rep> last_received_{0};

    std::mutex state_;
    std::condition_variable turn_;
    bool flushing_ = false;
    std::string out_;      // framed, waits for the flushing turn
    std::string sending_;  // of the one that has the turn
    std::size_t sent_ = 0; // of sending_
    clock::time_point next_ping_;
    std::optional<clock::time_point> pinged_; // the first ping since which nothing came
    // An error that can be noted without memory for its text.
    struct failure {
        error_kind kind;
        const char* message;
    };
    std::optional<failure> failure_;         // cancelled, closed, dead
    std::optional<client_error> unwritable_; // the connection takes nothing any more
    std::optional<cancel_token::listener> on_cancel_, on_close_;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif

#include <openssl/rand.h>

#include <array>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// Performs the handshake of RFC 6455 section 4.1 on a fresh stream.
inline websocket_opening shake_hands(std::unique_ptr<os::byte_stream> stream, const http_request& request,
                                     const websocket_options& options, const exchange_context& context,
                                     std::shared_ptr<websocket_keeper> keeper) {
    std::array<unsigned char, 16> nonce{};
    if (RAND_bytes(nonce.data(), static_cast<int>(nonce.size())) != 1) {
        throw client_error(error_kind::io, "no random numbers");
    }
    const std::string peer = request.url.host_header();
    std::vector<std::string> protocols;
    std::string head = "GET " + request.url.target() + " HTTP/1.1\r\nHost: " + peer + "\r\n";
    for (const auto& field : request.headers) {
        if (equal_ignoring_case(field.first, "Sec-WebSocket-Protocol")) {
            for (const std::string& item : split_list(field.second)) protocols.push_back(item);
            continue;
        }
        if (!codec::is_token(field.first) || !codec::is_field_value(field.second)) {
            throw client_error(error_kind::argument, "not a header: \"" + field.first + '"');
        }
        head += field.first + ": " + field.second + "\r\n";
    }
    std::optional<codec::websocket_client_handshake> handshake;
    try {
        handshake.emplace(nonce, std::move(protocols));
    } catch (const std::invalid_argument& e) {
        throw client_error(error_kind::argument, e.what());
    }
    for (const auto& field : handshake->headers()) head += field.first + ": " + field.second + "\r\n";
    head += "\r\n";

    using progress = client_error::progress;
    os::phase_clock clock(context, context.read_timeout, "the websocket handshake with " + peer, progress::maybe_sent);
    std::string_view rest = head;
    std::string buffer(16384, '\0');
    std::string_view input;
    bool answered = false;
    try {
        while (!rest.empty()) {
            const os::io_result sent = stream->write(rest);
            if (sent.state == os::io_state::done) {
                rest.remove_prefix(sent.count);
            } else {
                clock.wait(stream->handle(), sent.state);
            }
        }
        while (!handshake->feed(input)) {
            const os::io_result got = stream->read(&buffer[0], buffer.size());
            if (got.state == os::io_state::done) {
                input = std::string_view(buffer).substr(0, got.count);
                answered = true;
                clock.restart();
            } else if (got.state == os::io_state::ended) {
                if (!answered) {
                    throw client_error(error_kind::connect, peer + " closed the connection without an answer",
                                       progress::maybe_sent);
                }
                handshake->finish();
                break;
            } else {
                clock.wait(stream->handle(), got.state);
            }
        }
    } catch (const codec::decode_error& e) {
        throw client_error(error_kind::protocol, "the answer of " + peer + " is not usable: " + e.what(),
                           progress::maybe_sent);
    } catch (const client_error& e) {
        if (!answered || e.kind() != error_kind::connect) throw;
        throw client_error(error_kind::protocol, "the answer of " + peer + " is cut short, " + e.what(),
                           progress::maybe_sent);
    }
    context.check(progress::maybe_sent);

    websocket_opening opening;
    opening.head.status = handshake->response().status;
    opening.head.reason = handshake->response().reason;
    for (const auto& field : handshake->response().headers) opening.head.headers.add(field.first, field.second);
    if (handshake->accepted()) {
        opening.stream = std::make_unique<websocket>(std::move(stream), std::string(input), handshake->protocol(),
                                                     options, context, std::move(keeper));
    } else {
        opening.body = handshake->response().body;
    }
    return opening;
}

/// What all websockets of a transport share. They may outlive it. Thread-safe.
class websocket_upgrader {
public:
    explicit websocket_upgrader(const api_config& config) : keeper_(std::make_shared<websocket_keeper>()) {
        options_.limits.max_message_size = config.max_websocket_message;
        options_.ping_interval = config.websocket_ping_interval;
        options_.ping_timeout = config.websocket_ping_timeout;
    }

    /// Turns a fresh connection into a websocket, see transport/concept.hpp.
    websocket_opening upgrade(std::unique_ptr<os::byte_stream> stream, const http_request& request,
                              const exchange_context& context) const {
        websocket_options options = options_;
        options.send_timeout = context.read_timeout;
        return shake_hands(std::move(stream), request, options, context, keeper_);
    }

private:
    const std::shared_ptr<websocket_keeper> keeper_;
    websocket_options options_;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif

#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

/// HTTP/1.1 by libcurl: one connection a caller, kept alive in a bounded pool for the next one. Certificates are
/// checked by libcurl; with OpenSSL and its relatives a name counts only when it stands in the SAN. TLS 1.2 at least.
/// Websockets: connections by libcurl, frames by the SDK.
///
/// Where it differs from httplib_transport: connect_timeout covers TCP and TLS handshake together, and an answer's head
/// is limited while it is read (256 fields, 256 KiB).
/// Thread-safe. Moving it is only allowed while no exchange runs.
class curl_transport {
public:
    /// Takes the connection part of a resolved configuration: time limits, CA and client certificate files, the skip
    /// flag, the number of idle connections. @throws client_error{argument} when one of the files cannot be read
    explicit curl_transport(const api_config& config) : shared_(std::make_unique<shared>(config)) {
        for (const std::string* file : {&config.ca_file, &config.client_certificate_file, &config.client_key_file}) {
            if (!file->empty() && !std::ifstream(*file)) {
                throw client_error(error_kind::argument, "cannot read the file " + *file);
            }
        }
    }

    /// See transport/concept.hpp.
    response_head exchange(http_request& request, body_sink& sink, const exchange_context& context) {
        context.check();
        connection_pool& pool = pool_of(request.url.origin());
        std::unique_ptr<detail::curl_connection> connection = pool.take();
        while (connection && !connection->is_reusable(exchange_context::clock::now())) connection = pool.take();
        const std::optional<detail::proxy_server> proxy = detail::find_proxy(shared_->config, request.url);
        std::vector<std::string> addresses;
        if (!connection) {
            addresses = os::resolve(proxy ? proxy->host : request.url.host, context);
            connection = std::make_unique<detail::curl_connection>(shared_->config, request.url);
        }
        std::optional<os::sigpipe_guard> guard; // without TLS libcurl sends with MSG_NOSIGNAL
        if (request.url.is_tls()) guard.emplace();
        detail::curl_exchange work(*connection, request, sink, context);
        if (work.run(proxy, addresses)) pool.give_back(std::move(connection));
        return work.take_head();
    }

    /// See transport/concept.hpp.
    websocket_opening open_websocket(http_request& request, const exchange_context& context) {
        context.check();
        const std::optional<detail::proxy_server> proxy = detail::find_proxy(shared_->config, request.url);
        const auto addresses = os::resolve(proxy ? proxy->host : request.url.host, context);
        return shared_->websockets.upgrade(
            std::make_unique<detail::curl_stream>(shared_->config, request.url, proxy, addresses, context), request,
            context);
    }

private:
    using connection_pool = detail::slot_pool<detail::curl_connection>;

    struct shared {
        explicit shared(const api_config& c) : config(c), websockets(c) {}
        const api_config config;
        const detail::websocket_upgrader websockets;
        std::shared_mutex mutex;
        std::map<std::string, std::unique_ptr<connection_pool>> pools;
    };

    // One pool an origin; origins are few and never go away, so that a reference stays good.
    connection_pool& pool_of(const std::string& origin) {
        {
            const std::shared_lock<std::shared_mutex> lock(shared_->mutex);
            const auto known = shared_->pools.find(origin);
            if (known != shared_->pools.end()) return *known->second;
        }
        const std::lock_guard<std::shared_mutex> lock(shared_->mutex);
        auto& pool = shared_->pools[origin];
        if (!pool) pool = std::make_unique<connection_pool>(shared_->config.max_idle_connections);
        return *pool;
    }

    std::unique_ptr<shared> shared_;
};

/// A session on curl_transport; calls block.
using curl_session = basic_session<curl_transport, blocking>;

BACKENDAI_NAMESPACE_END

#endif
#endif

#endif
