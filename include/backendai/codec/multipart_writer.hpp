/// @file
/// A multipart/form-data body as a pull source: its length is known before, its files are read as the socket takes
/// them.
#ifndef BACKENDAI_CODEC_MULTIPART_WRITER_HPP
#define BACKENDAI_CODEC_MULTIPART_WRITER_HPP

#include <backendai/codec/byte_source.hpp>
#include <backendai/codec/content_disposition.hpp>
#include <backendai/codec/http_fields.hpp>
#include <backendai/codec/printable.hpp>
#include <backendai/version.hpp>

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
template <class = void>
std::string make_boundary() {
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
    template <class = void>
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
    template <class = void>
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

    template <class = void>
    void check_boundary() const {
        bool valid = !boundary_.empty() && boundary_.size() <= 70;
        for (const char c : boundary_) {
            const bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
            valid = valid && (alphanumeric || (c != '\0' && std::strchr("'()+_,-./:=?", c) != nullptr));
        }
        if (!valid) throw std::invalid_argument("multipart boundary " + printable(boundary_) + " is not allowed");
    }

    template <class = void>
    static void check_content_type(std::string_view text) {
        for (const char c : text) {
            if (c < ' ' || c > '~')
                throw std::invalid_argument("content type " + printable(text) + " has a forbidden character");
        }
    }

    template <class = void>
    void add_to_size(std::uint64_t bytes) {
        if (bytes > (std::numeric_limits<std::uint64_t>::max)() - size_)
            throw std::invalid_argument("the multipart body would be too long");
        size_ += bytes;
    }

    template <class = void>
    std::size_t read_content(segment& now, char* buffer, std::size_t capacity) {
        const std::uint64_t left = now.length - (position_ - now.head.size());
        const auto wanted = static_cast<std::size_t>((std::min)(std::uint64_t{capacity}, left));
        const std::size_t count = now.content->read(buffer, wanted);
        if (count == 0) throw source_error("file " + now.label + " became shorter while it was sent");
        if (count > wanted) throw source_error("the source of " + now.label + " read more than it was asked for");
        return count;
    }

    // The length is already on the wire: a file that grew must not pass for the one that was announced.
    template <class = void>
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
