/// @file
/// Console records of a run: text, and media of any MIME type.
#ifndef BACKENDAI_MEDIA_HPP
#define BACKENDAI_MEDIA_HPP

#include <backendai/codec/data_uri.hpp>
#include <backendai/error.hpp>
#include <backendai/version.hpp>

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
template <class = void>
media_content decode_media(const console_record& record) {
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
