/// @file
/// Finds a multipart delimiter in a stream of pieces, without copying and without looking at every byte.
#ifndef BACKENDAI_CODEC_DELIMITER_SEARCH_HPP
#define BACKENDAI_CODEC_DELIMITER_SEARCH_HPP

#include <backendai/version.hpp>

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
    template <class = void>
    explicit delimiter_search(const std::string& boundary) : delimiter_("\r\n--" + boundary) {
        skip_.fill(static_cast<unsigned char>(delimiter_.size()));
        for (std::size_t i = 0; i + 1 < delimiter_.size(); ++i)
            skip_[static_cast<unsigned char>(delimiter_[i])] = static_cast<unsigned char>(delimiter_.size() - 1 - i);
    }

    std::string_view delimiter() const noexcept { return delimiter_; }

    /// Offset of the first whole delimiter in `text`, or npos.
    template <class = void>
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
    template <class = void>
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
    template <class = void>
    bool matches(std::string_view text, std::size_t offset) const noexcept {
        return text.size() <= delimiter_.size() - offset &&
               std::memcmp(text.data(), delimiter_.data() + offset, text.size()) == 0;
    }

private:
    // Looks at the byte where the delimiter would end, and skips what that one rules out.
    template <class = void>
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
