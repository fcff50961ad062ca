/// @file
/// What the tests of file transfers share: a sandbox on disk, archives, and multipart bodies.
#ifndef BACKENDAI_TESTS_FILES_SUPPORT_HPP
#define BACKENDAI_TESTS_FILES_SUPPORT_HPP

#include <backendai/codec/gzip.hpp>
#include <backendai/codec/tar_writer.hpp>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace files_support {

namespace fs = std::filesystem;

/// A directory of its own, gone with the object. `out` inside it is the usual destination, not made yet.
class sandbox {
public:
    sandbox() {
        std::random_device random;
        root_ = fs::canonical(fs::temp_directory_path()) /
                ("backendai-files-" + std::to_string(random()) + std::to_string(random()));
        fs::create_directory(root_);
    }
    sandbox(const sandbox&) = delete;
    sandbox& operator=(const sandbox&) = delete;
    ~sandbox() {
        std::error_code ignored;
        fs::remove_all(root_, ignored);
    }
    const fs::path& root() const { return root_; }
    fs::path out() const { return root_ / "out"; }

    fs::path put(const std::string& name, std::string_view content = "content") const {
        const fs::path path = root_ / name;
        fs::create_directories(path.parent_path());
        std::ofstream(path, std::ios::binary) << content;
        return path;
    }

    /// Everything in it, with types, link targets and contents, to be compared.
    std::set<std::string> listing() const {
        std::set<std::string> result;
        for (const auto& entry : fs::recursive_directory_iterator(root_)) {
            std::string line = entry.path().lexically_relative(root_).string();
            if (entry.is_symlink()) {
                line += " -> " + fs::read_symlink(entry.path()).string();
            } else if (entry.is_directory()) {
                line += '/';
            } else if (entry.is_regular_file()) {
                line += " = " + read(entry.path()).substr(0, 200);
            }
            result.insert(line);
        }
        return result;
    }

    static std::string read(const fs::path& path) {
        std::ifstream file(path, std::ios::binary);
        if (!file) return "<cannot be read>";
        std::ostringstream content;
        content << file.rdbuf();
        return content.str();
    }

private:
    fs::path root_;
};

using backendai::codec::tar_entry;
using backendai::codec::tar_type;

/// An archive, entry by entry.
class archive {
public:
    archive& file(const std::string& name, std::string_view content = "hostile", unsigned mode = 0644,
                  std::int64_t mtime = 1'500'000'000) {
        tar_entry entry;
        entry.name = name;
        entry.size = content.size();
        entry.mode = mode;
        entry.mtime_seconds = mtime;
        bytes_ += writer_.begin_entry(entry);
        bytes_ += content;
        writer_.add_content(content.size());
        bytes_ += writer_.end_entry();
        return *this;
    }
    archive& special(const std::string& name, tar_type type, const std::string& link = {}, unsigned mode = 0755) {
        tar_entry entry;
        entry.name = name;
        entry.type = type;
        entry.link_name = link;
        entry.mode = mode;
        entry.mtime_seconds = 1'400'000'000;
        bytes_ += writer_.begin_entry(entry);
        bytes_ += writer_.end_entry();
        return *this;
    }
    std::string end() { return bytes_ + writer_.finish(); }

private:
    backendai::codec::tar_writer writer_;
    std::string bytes_;
};

inline std::string compress(std::string_view text, backendai::codec::deflate_format format) {
    std::string result;
    const auto keep = [&](std::string_view bytes) { result += bytes; };
    backendai::codec::deflate_encoder encoder(format);
    encoder.feed(text, keep);
    encoder.finish(keep);
    return result;
}
inline std::string gzip(std::string_view text) {
    return compress(text, backendai::codec::deflate_format::gzip);
}

/// One part of an answer.
struct part {
    std::string content;
    std::string filename = {}; ///< as it stands between the quotes
    std::string encoding = "identity";
};

inline std::string multipart(const std::vector<part>& parts, const std::string& boundary = "frontier") {
    std::string body;
    for (const part& each : parts) {
        body += "--" + boundary + "\r\nContent-Encoding: " + each.encoding + "\r\n";
        if (!each.filename.empty()) body += "Content-Disposition: attachment; filename=\"" + each.filename + "\"\r\n";
        body += "\r\n" + each.content + "\r\n";
    }
    return body + "--" + boundary + "--\r\n";
}

/// Bytes that do not compress and differ by seed.
inline std::string noise(std::size_t size, unsigned seed = 1) {
    std::mt19937 random(seed);
    std::string bytes(size, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    return bytes;
}

} // namespace files_support

#endif
