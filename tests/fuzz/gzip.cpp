/// @file
/// libFuzzer target: inflate_decoder and deflate_encoder. The first byte says format and how the input is cut.
/// Properties: pieces of any size give the same output and verdict as the input in one piece; limits hold; what is
/// encoded decodes to itself.
///
/// Build and run:
///   clang++ -std=c++17 -g -O1 -fsanitize=fuzzer,address,undefined -Iinclude tests/fuzz/gzip.cpp -lz -o fuzz_gzip
///   ./fuzz_gzip -max_total_time=600 tests/fuzz/corpus/gzip
#include <backendai/codec/gzip.hpp>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace codec = backendai::codec;

namespace {

constexpr std::uint64_t most = 1 << 20;

bool decode(codec::deflate_format format, std::string_view input, std::size_t step, std::string& output) {
    codec::inflate_decoder decoder(format, {most, 200, 64 * 1024});
    try {
        while (!input.empty()) {
            const std::string piece(input.substr(0, step)); // a copy, so that reading past its end is seen
            decoder.feed(piece, [&](std::string_view data) { output += data; });
            input.remove_prefix(piece.size());
            if (output.size() > most || decoder.bytes_out() != output.size()) std::abort();
        }
        decoder.finish();
    } catch (const codec::decode_error&) {
        return false;
    }
    return true;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const auto format = static_cast<codec::deflate_format>(data[0] % 3);
    const std::size_t step = 1 + data[0] / 3;
    const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
    std::string whole;
    std::string pieces;
    const bool good = decode(format, input, input.size() + 1, whole);
    const bool good_in_pieces = decode(format, input, step, pieces);
    // The ratio is judged against the input so far, which depends on the pieces; below its floor it is not.
    if (whole.size() < 32 * 1024 && pieces.size() < 32 * 1024) {
        if (good != good_in_pieces || (good && whole != pieces)) std::abort();
    }

    std::string encoded;
    const auto keep = [&](std::string_view bytes) { encoded += bytes; };
    codec::deflate_encoder encoder(format, static_cast<int>(data[0] % 10));
    for (std::string_view rest = input; !rest.empty(); rest.remove_prefix((std::min)(step, rest.size())))
        encoder.feed(rest.substr(0, step), keep);
    encoder.finish(keep);
    std::string decoded;
    codec::inflate_decoder decoder(format, {input.size(), 0, 0});
    decoder.feed(encoded, [&](std::string_view bytes) { decoded += bytes; });
    decoder.finish();
    if (decoded != input) std::abort();
    return 0;
}
