/// @file
/// libFuzzer target: tar_reader, the path rules and tar_writer. The first byte of the input says how the rest is cut.
/// Properties: pieces of any size give the same entries, bytes and verdict as the archive in one piece; what is read
/// without an error and written again reads the same; a name that the path rules let through stays below its directory.
///
/// A reader that verifies checksums gives a fuzzer little to do, so the target repairs them first.
///
/// Build and run:
///   clang++ -std=c++17 -g -O1 -fsanitize=fuzzer,address,undefined -Iinclude tests/fuzz/tar.cpp -o fuzz_tar
///   ./fuzz_tar -max_total_time=600 tests/fuzz/corpus/tar
#include <backendai/codec/name_collisions.hpp>
#include <backendai/codec/path_rules.hpp>
#include <backendai/codec/tar_reader.hpp>
#include <backendai/codec/tar_writer.hpp>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace codec = backendai::codec;

namespace {

struct recorded {
    codec::tar_entry entry;
    std::string content;
    bool complete = false;
};

class recorder final : public codec::tar_handler {
public:
    void on_entry(const codec::tar_entry& entry) override { entries.push_back({entry, {}, false}); }
    void on_data(std::string_view data) override {
        if (data.empty() || entries.empty()) std::abort();
        entries.back().content += data;
    }
    void on_entry_end() override {
        if (entries.back().content.size() != entries.back().entry.size) std::abort();
        entries.back().complete = true;
    }
    std::vector<recorded> entries;
};

bool same(const recorded& a, const recorded& b) {
    return a.entry.name == b.entry.name && a.entry.link_name == b.entry.link_name && a.entry.type == b.entry.type &&
           a.entry.size == b.entry.size && a.entry.mode == b.entry.mode &&
           a.entry.mtime_seconds == b.entry.mtime_seconds && a.entry.mtime_nanoseconds == b.entry.mtime_nanoseconds &&
           a.content == b.content && a.complete == b.complete;
}

bool read(std::string_view archive, std::size_t step, std::vector<recorded>& entries) {
    recorder handler;
    bool good = true;
    try {
        codec::tar_reader reader(handler, {2048, 4096, 100});
        while (!archive.empty()) {
            const std::string piece(archive.substr(0, step)); // a copy, so that reading past its end is seen
            reader.feed(piece);
            archive.remove_prefix(piece.size());
        }
        reader.finish();
    } catch (const codec::decode_error&) {
        good = false;
    }
    entries = std::move(handler.entries);
    return good;
}

void check_same(const std::vector<recorded>& a, const std::vector<recorded>& b) {
    if (a.size() != b.size()) std::abort();
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (!same(a[i], b[i])) std::abort();
    }
}

// A name collides neither with itself nor with its own directories.
void check_alone(const std::vector<std::string>& components) {
    codec::name_collisions names;
    try {
        names.add(components);
        names.add(components);
    } catch (const codec::decode_error&) {
        std::abort();
    }
}

void check_path(const codec::tar_entry& entry) {
    for (const auto policy : {codec::path_policy::portable, codec::path_policy::posix}) {
        try {
            const auto components = codec::safe_relative_path(entry.name, codec::root_name::allow, policy);
            for (const std::string& component : components) {
                if (component.empty() || component == "." || component == "..") std::abort();
                if (component.find_first_of(std::string_view("/\\\0", 3)) != std::string::npos) std::abort();
            }
            check_alone(components);
            const std::string joined = codec::join_path(components);
            if (!joined.empty() && codec::safe_relative_path(joined, codec::root_name::refuse, policy) != components)
                std::abort();
        } catch (const codec::decode_error&) {
        }
    }
}

std::string write(const std::vector<recorded>& entries) {
    codec::tar_writer writer;
    std::string archive;
    for (const recorded& each : entries) {
        archive += writer.begin_entry(each.entry) + each.content;
        writer.add_content(each.content.size());
        archive += writer.end_entry();
    }
    return archive + writer.finish();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    std::string archive(reinterpret_cast<const char*>(data) + 1, size - 1);
    for (std::size_t at = 0; at + 512 <= archive.size(); at += 512) {
        if (archive.compare(at + 257, 5, "ustar") != 0) continue;
        char sum[8];
        const auto sums = codec::detail::sum_tar_header(std::string_view(archive).substr(at, 512));
        std::snprintf(sum, sizeof sum, "%06o", static_cast<unsigned>(sums.of_unsigned));
        archive.replace(at + 148, 8, sum, 8);
    }
    std::vector<recorded> whole;
    std::vector<recorded> pieces;
    const bool good = read(archive, archive.size() + 1, whole);
    if (read(archive, 1u + data[0], pieces) != good) std::abort();
    // of a damaged archive both have read the same entries too; the content of the last may have ended earlier
    if (good) check_same(whole, pieces);
    for (const recorded& each : whole) check_path(each.entry);
    if (!good) return 0;
    std::vector<recorded> again;
    if (!read(write(whole), 4096, again)) {
        // names near the limits grow in a pax record; nothing else may fail
        for (const recorded& each : whole) {
            if (each.entry.name.size() + each.entry.link_name.size() > 3500) return 0;
        }
        std::abort();
    }
    check_same(whole, again);
    return 0;
}
