/// @file
/// Content-Disposition: the names of the parts of a multipart body (RFC 2183, RFC 5987, RFC 7578).
#ifndef BACKENDAI_CODEC_CONTENT_DISPOSITION_HPP
#define BACKENDAI_CODEC_CONTENT_DISPOSITION_HPP

#include <backendai/codec/decode_error.hpp>
#include <backendai/codec/mime_parameters.hpp>
#include <backendai/codec/printable.hpp>
#include <backendai/codec/url.hpp>
#include <backendai/codec/utf8.hpp>
#include <backendai/version.hpp>

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
template <class = void>
std::string decode_extended_value(std::string_view text) {
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
template <class = void>
std::optional<std::string> find_extended(const mime_value& value, const std::string& name) {
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
template <class = void>
content_disposition parse_content_disposition(std::string_view text) {
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
template <class = void>
std::string format_form_data(std::string_view name, const std::optional<std::string>& filename) {
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
