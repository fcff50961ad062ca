/// @file
/// MIME header values with parameters: `form-data; name="src"; filename="a b"`, `multipart/mixed; boundary=x`.
#ifndef BACKENDAI_CODEC_MIME_PARAMETERS_HPP
#define BACKENDAI_CODEC_MIME_PARAMETERS_HPP

#include <backendai/codec/decode_error.hpp>
#include <backendai/codec/http_fields.hpp>
#include <backendai/codec/printable.hpp>
#include <backendai/version.hpp>

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
    template <class = void>
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

template <class = void>
std::string ascii_lower(std::string_view text) {
    std::string result;
    result.reserve(text.size());
    for (const char c : text) result += ascii_lower(c);
    return result;
}

/// Reads a header value from left to right.
class mime_scanner {
public:
    explicit mime_scanner(std::string_view text) : text_(text), rest_(text) {}

    template <class = void>
    [[noreturn]] void fail(const char* why) const {
        throw decode_error("header value " + printable(text_) + ": " + why);
    }

    bool at_end() const noexcept { return rest_.empty(); }

    template <class = void>
    void skip_blanks() noexcept {
        while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\t')) rest_.remove_prefix(1);
    }

    template <class = void>
    bool accept(char c) noexcept {
        if (rest_.empty() || rest_.front() != c) return false;
        rest_.remove_prefix(1);
        return true;
    }

    /// What stands before the next character of `stops`.
    template <class = void>
    std::string_view until(std::string_view stops) noexcept {
        const std::string_view result = rest_.substr(0, rest_.find_first_of(stops));
        rest_.remove_prefix(result.size());
        return result;
    }

    /// The contents of a quoted-string whose opening quote has been read.
    template <class = void>
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
template <class = void>
mime_value parse_mime_value(std::string_view text) {
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
template <class = void>
std::string multipart_boundary(std::string_view content_type) {
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
