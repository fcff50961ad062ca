/// @file
/// The header fields of one part of a multipart body.
#ifndef BACKENDAI_CODEC_PART_HEADERS_HPP
#define BACKENDAI_CODEC_PART_HEADERS_HPP

#include <backendai/codec/content_disposition.hpp>
#include <backendai/codec/decode_error.hpp>
#include <backendai/codec/http_fields.hpp>
#include <backendai/codec/mime_parameters.hpp>
#include <backendai/codec/printable.hpp>
#include <backendai/version.hpp>

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
    template <class = void>
    const std::string* find(std::string_view name) const noexcept {
        for (const auto& field : fields_) {
            if (equals_ignoring_case(field.first, name)) return &field.second;
        }
        return nullptr;
    }

    /// The parsed Content-Disposition; empty fields when there is none. @throws decode_error when it is malformed.
    template <class = void>
    content_disposition disposition() const {
        const std::string* text = find("content-disposition");
        return text == nullptr ? content_disposition{} : parse_content_disposition(*text);
    }

    /// The Content-Encoding in lower case, `identity` when there is none.
    template <class = void>
    std::string content_encoding() const {
        const std::string* text = find("content-encoding");
        return text == nullptr ? "identity" : detail::ascii_lower(*text);
    }

    /// The Content-Length, where there is one. @throws decode_error when it is no number.
    template <class = void>
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
    template <class = void>
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
