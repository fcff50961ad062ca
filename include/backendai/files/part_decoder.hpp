/// @file
/// Undoes the Content-Encoding of one part of a download.
#ifndef BACKENDAI_FILES_PART_DECODER_HPP
#define BACKENDAI_FILES_PART_DECODER_HPP

#include <backendai/codec/decode_error.hpp>
#include <backendai/codec/gzip.hpp>
#include <backendai/codec/printable.hpp>
#include <backendai/version.hpp>

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// One part's decoder: identity, gzip, or deflate, which in this protocol is raw, without a zlib header.
/// Not thread-safe; throws codec::decode_error.
template <class = void>
class part_decoder {
public:
    /// @param limit how many decoded bytes are acceptable
    part_decoder(const std::string& encoding, std::uint64_t limit) : left_(limit) {
        if (encoding == "gzip" || encoding == "x-gzip") {
            inflate_.emplace(codec::deflate_format::gzip, codec::expansion_limits{limit, 0, 0});
        } else if (encoding == "deflate") {
            inflate_.emplace(codec::deflate_format::raw, codec::expansion_limits{limit, 0, 0});
        } else if (encoding != "identity") {
            throw codec::decode_error("content encoding " + codec::printable(encoding) + " is not supported");
        }
    }

    template <class Sink>
    void feed(std::string_view data, Sink&& sink) {
        if (inflate_) return inflate_->feed(data, std::forward<Sink>(sink));
        if (data.size() > left_) throw codec::decode_error("the data is longer than the limit");
        left_ -= data.size();
        sink(data);
    }
    void finish() {
        if (inflate_) inflate_->finish();
    }

private:
    std::optional<codec::inflate_decoder> inflate_;
    std::uint64_t left_;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
