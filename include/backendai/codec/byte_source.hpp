/// @file
/// The pull source that request bodies are read from: bytes of a known length that can be read again from the start.
#ifndef BACKENDAI_CODEC_BYTE_SOURCE_HPP
#define BACKENDAI_CODEC_BYTE_SOURCE_HPP

#include <backendai/version.hpp>

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
