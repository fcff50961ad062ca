/// @file
/// libFuzzer target: sse_parser. The first byte says how the input is cut.
/// Properties: pieces of any size give the same events, id, retry and verdict as the input in one piece; events respect
/// the limit; the parser takes nothing after an error.
///
/// Build and run:
///   clang++ -std=c++17 -g -O1 -fsanitize=fuzzer,address,undefined -Iinclude tests/fuzz/sse.cpp -o fuzz_sse
///   ./fuzz_sse -max_total_time=600 tests/fuzz/corpus/sse
#include <backendai/codec/sse.hpp>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace codec = backendai::codec;

namespace {

constexpr std::size_t limit = 512;

// What became of the stream, as text. Whether it was taken whole is at the end of it.
std::string parse(std::string_view input, std::size_t step) {
    codec::sse_parser parser(limit);
    std::string outcome;
    const std::size_t whole = input.size();
    try {
        while (!input.empty()) {
            const std::string piece(input.substr(0, step)); // a copy, so that reading past its end is seen
            input.remove_prefix(piece.size());
            parser.feed(piece, [&](const codec::sse_event& event) {
                if (event.data.size() > limit || event.name.size() > limit || event.id.size() > limit) std::abort();
                if (event.name.empty() || event.id.find('\0') != std::string::npos) std::abort();
                outcome += event.name + '|' + event.id + '|' + event.data + '\n';
            });
        }
        if (parser.bytes() != whole) std::abort();
        outcome += parser.last_event_id();
        if (parser.retry()) outcome += std::to_string(parser.retry()->count());
        return outcome + " whole";
    } catch (const codec::decode_error&) {
        try {
            parser.feed("\n", [](const codec::sse_event&) { std::abort(); });
            std::abort();
        } catch (const codec::decode_error&) {
            return outcome + " refused";
        }
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
    if (parse(input, input.size() + 1) != parse(input, 1U + data[0] % 7U)) std::abort();
    return 0;
}
