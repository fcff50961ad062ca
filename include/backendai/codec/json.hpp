/// @file
/// JSON text of an untrusted peer: parsed with limits on nesting, since copying or printing a value that is nested too
/// deep overflows the stack, and on the number of values, since a short text ("[[],[],...]") can take a lot of memory.
#ifndef BACKENDAI_CODEC_JSON_HPP
#define BACKENDAI_CODEC_JSON_HPP

#include <backendai/codec/decode_error.hpp>
#include <backendai/version.hpp>

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
template <class = void>
bool may_exceed_limits(std::string_view text) {
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
template <class = void>
void check_limits(std::string_view text) {
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
template <class = void>
nlohmann::json parse_json(std::string_view text) {
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

/// @p a == @p b, for values of JSON. A template on their types, so that a file that compares nothing does not pay:
/// where a compiler knows both, it tries at once to turn the values into whatever else can be compared.
template <class A, class B>
bool is_equal(const A& a, const B& b) {
    return a == b;
}

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif
