/// @file
/// The file in which an upload notes what a later program needs to go on with it.
#ifndef BACKENDAI_FILES_UPLOAD_JOURNAL_HPP
#define BACKENDAI_FILES_UPLOAD_JOURNAL_HPP

#include <backendai/codec/decode_error.hpp>
#include <backendai/codec/digest.hpp>
#include <backendai/codec/json.hpp>
#include <backendai/error.hpp>
#include <backendai/files/io_error.hpp>
#include <backendai/files/storage_ticket.hpp>
#include <backendai/os/file.hpp>
#include <backendai/os/private_file.hpp>
#include <backendai/version.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// By what a local file is taken for the same that it was.
struct file_identity {
    std::uint64_t size = 0;
    os::file_time modified;

    friend bool operator==(const file_identity& a, const file_identity& b) {
        return a.size == b.size && a.modified.seconds == b.modified.seconds &&
               a.modified.nanoseconds == b.modified.nanoseconds;
    }
    friend bool operator!=(const file_identity& a, const file_identity& b) { return !(a == b); }
};

/// @throws std::system_error
template <class = void>
file_identity identity_of(const os::open_file& file) {
    return {file.size(), file.modified()};
}

/// The digest of a file's beginning and end, for those that were changed without a trace in size and time.
/// @throws std::system_error
template <class = void>
std::string sample_digest(os::open_file& file) {
    constexpr std::uint64_t most = 64 * 1024;
    const std::uint64_t size = file.size();
    std::string sample;
    const auto take = [&](std::uint64_t begin, std::uint64_t end) {
        file.seek(begin);
        std::string piece(static_cast<std::size_t>(end - begin), '\0');
        std::size_t filled = 0;
        while (filled < piece.size()) {
            const std::size_t count = file.read(&piece[filled], piece.size() - filled);
            if (count == 0) break; // it is being cut off: its size will tell
            filled += count;
        }
        sample.append(piece, 0, filled);
    };
    take(0, (std::min)(size, most));
    if (size > most) take((std::max)(most, size - (std::min)(size, most)), size);
    return codec::to_hex(codec::digest("sha256", sample));
}

/// One JSON object a line: the first says whose it is, the others what became of a file; the last one about a file
/// counts. Lines are appended, so that a program which is killed leaves at worst half a line at the end, which is cut
/// off. Not thread-safe; failures are client_error{io}, a file of something else is client_error{argument}.
template <class = void>
class upload_journal {
public:
    upload_journal(std::filesystem::path path, const std::string& endpoint, const std::string& folder)
        : path_(std::move(path)), head_({{"backendai", "upload"}, {"endpoint", endpoint}, {"folder", folder}}) {
        with_io_errors(path_, [this] { open(); });
    }

    /// Whether the file was uploaded already, as it is now.
    bool is_done(const std::string& name, const std::filesystem::path& local, const file_identity& now) const {
        const auto found = entries_.find(name);
        return found != entries_.end() && found->second.contains("done") && is_same(found->second, local, now);
    }
    /// How to go on with an upload that was begun, if the file is as it was.
    std::optional<storage_ticket> find(const std::string& name, const std::filesystem::path& local,
                                       const file_identity& now) const {
        const auto found = entries_.find(name);
        if (found == entries_.end() || !found->second.contains("token") || !is_same(found->second, local, now))
            return {};
        const auto text = [&](const char* key) { return found->second.value(key, std::string()); };
        return storage_ticket{text("url"), text("token"), text("issued")};
    }
    void note_begin(const std::string& name, const std::filesystem::path& local, const file_identity& now,
                    const storage_ticket& ticket) {
        json entry = describe(name, local, now);
        entry["url"] = ticket.url;
        entry["token"] = ticket.token;
        entry["issued"] = ticket.issued;
        append(std::move(entry));
    }
    void note_done(const std::string& name, const std::filesystem::path& local, const file_identity& now) {
        json entry = describe(name, local, now);
        entry["done"] = true;
        append(std::move(entry));
    }
    /// The whole upload is complete.
    void remove() {
        file_ = os::open_file();
        std::error_code error;
        std::filesystem::remove(path_, error);
        if (error) io_failure(path_, error.message());
    }

private:
    static constexpr std::size_t largest = std::size_t{256} << 20;

    void open() {
        const auto text = os::read_private_file(path_, largest);
        const os::directory folder(path_.has_parent_path() ? path_.parent_path() : std::filesystem::path("."));
        const std::string name = os::path_text(path_.filename());
        if (!text) {
            file_ = folder.create(name, 0600);
            write(head_);
            return;
        }
        const std::size_t good = read(*text);
        file_ = folder.open_file_for_writing(name);
        file_.resize(good);
        file_.seek(good);
        if (good == 0) write(head_);
    }

    // Returns where the last whole line ends.
    std::size_t read(std::string_view text) {
        std::size_t begin = 0;
        bool is_first = true;
        for (std::size_t end = 0; (end = text.find('\n', begin)) != std::string_view::npos; begin = end + 1) {
            json line;
            try {
                line = codec::parse_json(text.substr(begin, end - begin));
            } catch (const codec::decode_error&) {
                foreign("holds a line that no upload has written");
            }
            if (std::exchange(is_first, false)) {
                if (!line.is_object() || !codec::is_equal(line.value("backendai", json()), "upload"))
                    foreign("is no resume file");
                if (!codec::is_equal(line, head_)) foreign("belongs to an upload to another server or folder");
            } else if (line.is_object() && line.contains("file") && line["file"].is_string()) {
                const std::string name = line["file"].get<std::string>();
                entries_[name] = std::move(line);
            }
        }
        // Of a first line that was being written nothing is known but how it began.
        if (is_first && !text.empty() && (head_.dump() + '\n').compare(0, text.size(), text) != 0)
            foreign("is no resume file");
        return begin;
    }
    [[noreturn]] void foreign(const char* why) const {
        throw client_error(error_kind::argument, "resume_file " + shown(path_) + ' ' + why);
    }

    static json describe(const std::string& name, const std::filesystem::path& local, const file_identity& now) {
        return {{"file", name},
                {"size", now.size},
                {"modified", {now.modified.seconds, now.modified.nanoseconds}},
                {"sample", sample_of(local)}};
    }
    static std::string sample_of(const std::filesystem::path& local) {
        return with_io_errors(local, [&] {
            os::open_file file = os::open_for_reading(local);
            return sample_digest(file);
        });
    }
    static bool is_same(const json& entry, const std::filesystem::path& local, const file_identity& now) {
        const json as_noted = {{"size", now.size}, {"modified", {now.modified.seconds, now.modified.nanoseconds}}};
        return codec::is_equal(entry.value("size", json()), as_noted["size"]) &&
               codec::is_equal(entry.value("modified", json()), as_noted["modified"]) &&
               entry.value("sample", "") == sample_of(local);
    }

    void append(json entry) {
        with_io_errors(path_, [&] { write(entry); });
        const std::string name = entry["file"].get<std::string>();
        entries_[name] = std::move(entry);
    }
    void write(const json& line) { file_.write(line.dump() + '\n'); }

    std::filesystem::path path_;
    json head_;
    os::open_file file_;
    std::map<std::string, json> entries_; // by the name on the server
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
