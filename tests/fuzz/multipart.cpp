/// @file
/// libFuzzer target: multipart_reader. The first line of the input is the boundary, the second says how the body is
/// cut. Property: pieces of any size give the same parts, bytes and verdict as the body in one piece.
///
/// Build and run:
///   clang++ -std=c++17 -g -O1 -fsanitize=fuzzer,address,undefined -Iinclude tests/fuzz/multipart.cpp -o fuzz_multipart
///   ./fuzz_multipart -max_total_time=600 tests/fuzz/corpus/multipart
#include <backendai/codec/multipart_reader.hpp>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace codec = backendai::codec;

namespace {

class recorder final : public codec::multipart_handler {
public:
    void on_part_begin(const codec::part_headers& headers) override {
        log += "[begin";
        for (const auto& field : headers.fields()) log += '|' + field.first + '=' + field.second;
        try {
            const codec::content_disposition names = headers.disposition();
            log += '|' + names.name.value_or("-") + '|' + names.filename.value_or("-");
        } catch (const codec::decode_error& e) {
            log += e.what();
        }
        log += ']';
    }
    void on_data(std::string_view data) override {
        if (data.empty()) std::abort();
        log += data;
    }
    void on_part_end() override { log += "[end]"; }
    void on_end() override { log += "[over]"; }

    std::string log;
};

// The bytes of a failing run are compared too, but a handler may have seen more or less of them before the error.
struct outcome {
    bool good = true;
    std::string log;
};

outcome read(const std::string& boundary, std::string_view body, std::string_view cuts) {
    recorder handler;
    outcome result;
    try {
        codec::multipart_reader reader(boundary, handler, {512, 8, 16, 4096});
        std::size_t cut = 0;
        while (!body.empty()) {
            std::size_t count = body.size();
            if (!cuts.empty()) count = 1 + static_cast<unsigned char>(cuts[cut++ % cuts.size()]) % 97;
            const std::string piece(body.substr(0, count)); // a copy, so that reading past its end is seen
            reader.feed(piece);
            body.remove_prefix(piece.size());
        }
        reader.finish();
    } catch (const codec::decode_error&) {
        result.good = false;
    }
    result.log = handler.log;
    return result;
}

std::string_view take_line(std::string_view& text) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    return line;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view input(reinterpret_cast<const char*>(data), size);
    const std::string boundary(take_line(input));
    const std::string_view cuts = take_line(input);
    const outcome whole = read(boundary, input, {});
    for (const std::string_view pieces : {cuts, std::string_view("\0", 1)}) {
        const outcome cut = read(boundary, input, pieces);
        if (cut.good != whole.good) std::abort();
        if (whole.good && cut.log != whole.log) std::abort();
    }
    return 0;
}
