/// @file
/// A directory as the storage proxy packs it: a ZIP archive whose sizes stand behind each file, as in a stream.
#ifndef BACKENDAI_TESTING_GATEWAY_ZIP_HPP
#define BACKENDAI_TESTING_GATEWAY_ZIP_HPP

#include <backendai/codec/gzip.hpp>
#include <backendai/os/file.hpp>
#include <backendai/version.hpp>

#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// In memory; sizes below 4 GiB.
inline std::string make_zip(const std::filesystem::path& root) {
    std::string archive, directory;
    const auto put = [](std::string& text, std::uint64_t value, int bytes) {
        for (int i = 0; i < bytes; ++i) text += static_cast<char>((value >> (8 * i)) & 0xFF);
    };
    std::vector<std::filesystem::path> entries;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) entries.push_back(entry.path());
    std::sort(entries.begin(), entries.end());
    std::size_t count = 0;
    for (const auto& path : entries) {
        const bool is_directory = std::filesystem::is_directory(path);
        if (!is_directory && !std::filesystem::is_regular_file(path)) continue;
        const std::string name = os::path_text(path.lexically_relative(root)) + (is_directory ? "/" : "");
        std::string content, packed;
        if (!is_directory) {
            os::open_file file = os::open_for_reading(path);
            content.resize(static_cast<std::size_t>(file.size()));
            for (std::size_t at = 0; at < content.size();) at += file.read(&content[at], content.size() - at);
        }
        codec::deflate_encoder encoder(codec::deflate_format::raw, 6);
        const auto keep = [&packed](std::string_view bytes) { packed += bytes; };
        encoder.feed(content, keep);
        encoder.finish(keep);
        const auto sum = ::crc32(0, reinterpret_cast<const Bytef*>(content.data()), static_cast<uInt>(content.size()));
        const std::uint64_t offset = archive.size();
        std::string common; // of both headers: version, flags (sizes follow; UTF-8), method, time, date
        for (const std::uint64_t value : {20U, 0x0808U, 8U, 0U, 0x21U}) put(common, value, 2);
        std::string sizes;
        for (const std::uint64_t value :
             {std::uint64_t{sum}, std::uint64_t{packed.size()}, std::uint64_t{content.size()}})
            put(sizes, value, 4);
        archive += "PK\x03\x04" + common + std::string(12, '\0');
        put(archive, name.size(), 2);
        put(archive, 0, 2);
        archive += name + packed + "PK\x07\x08" + sizes;
        directory += "PK\x01\x02";
        put(directory, 0x0314, 2); // made by a Unix
        directory += common + sizes;
        put(directory, name.size(), 2);
        put(directory, 0, 8);
        const auto mode = static_cast<std::uint64_t>(std::filesystem::status(path).permissions());
        put(directory, ((is_directory ? 0040000U : 0100000U) | mode) << 16, 4);
        put(directory, offset, 4);
        directory += name;
        ++count;
    }
    const std::uint64_t begin = archive.size();
    archive += directory + "PK\x05\x06" + std::string(4, '\0');
    put(archive, count, 2);
    put(archive, count, 2);
    put(archive, directory.size(), 4);
    put(archive, begin, 4);
    put(archive, 0, 2);
    return archive;
}

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
