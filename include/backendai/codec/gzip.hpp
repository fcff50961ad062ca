/// @file
/// gzip, zlib and raw deflate streams, decoded and encoded piece by piece with zlib.
#ifndef BACKENDAI_CODEC_GZIP_HPP
#define BACKENDAI_CODEC_GZIP_HPP

#include <backendai/codec/decode_error.hpp>
#include <backendai/version.hpp>

#include <zlib.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// The wrapping of a deflate stream.
enum class deflate_format {
    gzip, ///< RFC 1952, several members may follow each other; `Content-Encoding: gzip`
    zlib, ///< RFC 1950
    raw   ///< RFC 1951, no checksum; what a vfolder download calls `Content-Encoding: deflate`
};

/// How far a compressed stream may expand. There is no default: what is right only the caller knows (the length that
/// was announced, the size of answer that makes sense).
struct expansion_limits {
    std::uint64_t output_bytes; ///< in all
    /// Output bytes for each input byte, judged once the output is more than `ratio_floor`; 0 = any. Deflate reaches
    /// 1032 at most, and on files of zeros it does.
    std::uint64_t ratio;
    std::uint64_t ratio_floor; ///< in bytes of output
};

namespace detail {

constexpr std::size_t deflate_buffer_size = 64 * 1024;

template <class = void>
int window_bits(deflate_format format) noexcept {
    return format == deflate_format::gzip ? 15 + 16 : format == deflate_format::zlib ? 15 : -15;
}

/// The next piece of `bytes` that zlib's 32-bit counters can take; removed from it.
template <class = void>
void give_input(z_stream& stream, std::string_view& bytes) noexcept {
    const std::size_t count = (std::min)(bytes.size(), std::size_t{1} << 30);
    // zlib takes the input as non-const for historical reasons and does not write to it
    stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes.data()));
    stream.avail_in = static_cast<uInt>(count);
    bytes.remove_prefix(count);
}

} // namespace detail

/// Decodes a compressed stream with constant memory (about 110 KB). Not thread-safe.
class inflate_decoder {
public:
    template <class = void>
    inflate_decoder(deflate_format format, expansion_limits limits)
        : format_(format), limits_(limits), buffer_(new char[detail::deflate_buffer_size]) {
        if (inflateInit2(&stream_, detail::window_bits(format)) != Z_OK) throw std::bad_alloc();
    }
    inflate_decoder(const inflate_decoder&) = delete;
    inflate_decoder& operator=(const inflate_decoder&) = delete;
    ~inflate_decoder() { inflateEnd(&stream_); }

    /// Decodes the next bytes; calls `sink(std::string_view)` with each piece of output, valid during the call.
    /// @throws decode_error when the stream is damaged, goes on after its end, or expands beyond a limit (the sink has
    /// then not seen the piece that was too much); what the sink throws. The decoder takes nothing after that.
    template <class Sink>
    void feed(std::string_view bytes, Sink&& sink) {
        if (failed_) throw decode_error("compressed data after an error");
        failed_ = true; // until the end of this call: also when the sink throws
        while (!bytes.empty()) {
            detail::give_input(stream_, bytes);
            while (stream_.avail_in != 0 || full_) {
                if (at_end_) begin_member();
                step(sink);
            }
        }
        failed_ = false;
    }

    /// Says that the input is over. @throws decode_error when the stream's end and checksum have not come.
    template <class = void>
    void finish() {
        if (failed_) throw decode_error("compressed data ends after an error");
        failed_ = true;
        if (!at_end_) throw decode_error("compressed data is truncated");
        failed_ = false;
    }

    std::uint64_t bytes_in() const noexcept { return bytes_in_; }
    std::uint64_t bytes_out() const noexcept { return bytes_out_; }

private:
    // What follows a gzip member must be another (RFC 1952 2.2); its damaged magic is found by inflate.
    template <class = void>
    void begin_member() {
        if (format_ != deflate_format::gzip) throw decode_error("something follows the end of compressed data");
        if (inflateReset(&stream_) != Z_OK) throw decode_error("compressed data cannot be decoded");
        at_end_ = false;
    }

    template <class Sink>
    void step(Sink&& sink) {
        const uInt before = stream_.avail_in;
        stream_.next_out = reinterpret_cast<Bytef*>(buffer_.get());
        stream_.avail_out = static_cast<uInt>(detail::deflate_buffer_size);
        const int status = inflate(&stream_, Z_NO_FLUSH);
        const std::size_t produced = detail::deflate_buffer_size - stream_.avail_out;
        bytes_in_ += before - stream_.avail_in;
        full_ = stream_.avail_out == 0 && status != Z_STREAM_END; // there may be more output without more input
        if (status == Z_MEM_ERROR) throw std::bad_alloc();
        if (status == Z_NEED_DICT) throw decode_error("compressed data needs a dictionary");
        // Z_BUF_ERROR: all input is used and nothing more came out, which a full buffer before leads to
        if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
            throw decode_error(std::string("compressed data is damaged: ") +
                               (stream_.msg != nullptr ? stream_.msg : "unknown reason"));
        count_output(produced);
        if (produced != 0) sink(std::string_view(buffer_.get(), produced));
        at_end_ = status == Z_STREAM_END;
    }

    template <class = void>
    void count_output(std::size_t produced) {
        if (produced > limits_.output_bytes - bytes_out_)
            throw decode_error("compressed data expands beyond the limit of " + std::to_string(limits_.output_bytes) +
                               " bytes");
        bytes_out_ += produced;
        if (limits_.ratio != 0 && bytes_out_ > limits_.ratio_floor && bytes_out_ / limits_.ratio > bytes_in_)
            throw decode_error("compressed data expands more than " + std::to_string(limits_.ratio) + " times");
    }

    deflate_format format_;
    expansion_limits limits_;
    std::unique_ptr<char[]> buffer_;
    z_stream stream_{};
    bool failed_ = false;
    bool at_end_ = false; // of a member
    bool full_ = false;   // the last call filled the buffer
    std::uint64_t bytes_in_ = 0;
    std::uint64_t bytes_out_ = 0;
};

/// Encodes a stream with constant memory (about 330 KB). Not thread-safe.
class deflate_encoder {
public:
    /// @param level 0 (none) to 9 (smallest), -1 for zlib's default
    /// @throws std::invalid_argument for another level
    template <class = void>
    explicit deflate_encoder(deflate_format format, int level = -1) : buffer_(new char[detail::deflate_buffer_size]) {
        if (level < -1 || level > 9) throw std::invalid_argument("compression level out of range");
        if (deflateInit2(&stream_, level, Z_DEFLATED, detail::window_bits(format), 8, Z_DEFAULT_STRATEGY) != Z_OK)
            throw std::bad_alloc();
    }
    deflate_encoder(const deflate_encoder&) = delete;
    deflate_encoder& operator=(const deflate_encoder&) = delete;
    ~deflate_encoder() { deflateEnd(&stream_); }

    /// Encodes the next bytes; calls `sink(std::string_view)` with each piece of output, valid during the call.
    template <class Sink>
    void feed(std::string_view bytes, Sink&& sink) {
        if (finished_) throw std::logic_error("deflate encoder: data after the end");
        while (!bytes.empty()) {
            detail::give_input(stream_, bytes);
            while (stream_.avail_in != 0) step(Z_NO_FLUSH, sink);
        }
    }

    /// Ends the stream. Call once.
    template <class Sink>
    void finish(Sink&& sink) {
        if (finished_) throw std::logic_error("deflate encoder: finished twice");
        finished_ = true;
        while (step(Z_FINISH, sink) != Z_STREAM_END) {
        }
    }

private:
    template <class Sink>
    int step(int flush, Sink&& sink) {
        stream_.next_out = reinterpret_cast<Bytef*>(buffer_.get());
        stream_.avail_out = static_cast<uInt>(detail::deflate_buffer_size);
        const int status = deflate(&stream_, flush);
        const std::size_t produced = detail::deflate_buffer_size - stream_.avail_out;
        if (status == Z_STREAM_ERROR) throw std::logic_error("deflate encoder: inconsistent state");
        if (produced != 0) sink(std::string_view(buffer_.get(), produced));
        return status;
    }

    std::unique_ptr<char[]> buffer_;
    z_stream stream_{};
    bool finished_ = false;
};

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif
