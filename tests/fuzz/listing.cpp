/// @file
/// libFuzzer target: what a server's lists are made of. The first byte (a digit) says which: the JSON text of a list of
/// files inside an answer, a whole answer with such a text, or the lists of folders and invitations. Properties:
/// nothing but the SDK's own errors; every element of a list is in the result, with a size and times that fit their
/// types and permission bits that fit twelve; the raw JSON that is kept reads as the same list again.
///
/// Build and run:
///   clang++ -std=c++17 -g -O1 -fsanitize=fuzzer,address,undefined -Iinclude tests/fuzz/listing.cpp -o fuzz_listing
///   ./fuzz_listing -max_total_time=600 tests/fuzz/corpus/listing
#include <backendai/api/file_types.hpp>
#include <backendai/api/vfolder_types.hpp>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using backendai::json;

void require(bool good) {
    if (!good) std::abort();
}

void check_listing(const backendai::file_listing& listing) {
    for (const backendai::file_entry& file : listing.files) {
        require(file.filename == file.raw.at("filename").get<std::string>());
        require(!file.permissions || *file.permissions <= 07777);
        require(file.size <= static_cast<std::uint64_t>(INT64_MAX));
        if (!file.mode.empty() && file.permissions && file.mode[0] == 'd') require(file.is_directory);
    }
    const backendai::file_listing again = backendai::detail::read_file_listing(listing.raw);
    require(again.files.size() == listing.files.size() && again.errors == listing.errors &&
            again.abspath == listing.abspath);
    for (std::size_t i = 0; i < again.files.size(); ++i) {
        const backendai::file_entry& one = listing.files[i];
        const backendai::file_entry& two = again.files[i];
        require(one.filename == two.filename && one.mode == two.mode && one.permissions == two.permissions &&
                one.is_directory == two.is_directory && one.size == two.size && one.mtime == two.mtime);
    }
}

void read(unsigned kind, std::string_view text) {
    using namespace backendai::detail;
    switch (kind) {
    case 0:
        check_listing(read_file_listing({{"files", std::string(text)}, {"errors", ""}, {"abspath", "/home"}}));
        break;
    case 1: check_listing(read_file_listing(backendai::codec::parse_json(text))); break;
    case 2: {
        const json answer = backendai::codec::parse_json(text);
        require(read_vfolder_list(answer).size() == answer.size());
        break;
    }
    case 3: read_vfolder_info(backendai::codec::parse_json(text)); break;
    default: {
        const json answer = backendai::codec::parse_json(text);
        const std::size_t count = read_vfolder_invitations(answer).size();
        require(count == (answer.contains("invitations") ? answer["invitations"].size() : 0));
        break;
    }
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    try {
        read((data[0] + 2U) % 5, {reinterpret_cast<const char*>(data) + 1, size - 1});
    } catch (const backendai::error&) {
    } catch (const backendai::codec::decode_error&) {
    }
    return 0;
}
