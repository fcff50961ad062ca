/// @file
/// data: URIs (RFC 2397), the form in which images come in console records.
#ifndef BACKENDAI_CODEC_DATA_URI_HPP
#define BACKENDAI_CODEC_DATA_URI_HPP

#include <backendai/codec/base64.hpp>
#include <backendai/codec/decode_error.hpp>
#include <backendai/codec/http_fields.hpp>
#include <backendai/codec/url.hpp>
#include <backendai/version.hpp>

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
template <class = void>
bool is_data_uri(std::string_view text) {
    return text.size() >= 5 && (text[0] == 'd' || text[0] == 'D') && (text[1] == 'a' || text[1] == 'A') &&
           (text[2] == 't' || text[2] == 'T') && (text[3] == 'a' || text[3] == 'A') && text[4] == ':';
}

/// Decodes "data:[type][;parameter...][;base64],content".
/// @throws decode_error when it is not a data URI or its base64 is broken.
template <class = void>
data_uri decode_data_uri(std::string_view text) {
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
