/// @file
/// Incremental UTF-8 validation (RFC 3629): text may arrive in pieces of any size, cut anywhere, also inside a
/// character.
#ifndef BACKENDAI_CODEC_UTF8_HPP
#define BACKENDAI_CODEC_UTF8_HPP

#include <backendai/version.hpp>

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
    template <class = void>
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
    template <class = void>
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
    template <class = void>
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
    template <class = void>
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
template <class = void>
bool is_utf8(std::string_view text) noexcept {
    utf8_validator validator;
    return validator.feed(text) && validator.complete();
}

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif
