/// @file
/// Which files an upload sends, and under which names.
#ifndef BACKENDAI_FILES_UPLOAD_LIST_HPP
#define BACKENDAI_FILES_UPLOAD_LIST_HPP

#include <backendai/codec/path_rules.hpp>
#include <backendai/codec/printable.hpp>
#include <backendai/codec/utf8.hpp>
#include <backendai/error.hpp>
#include <backendai/files/io_error.hpp>
#include <backendai/files/transfer_options.hpp>
#include <backendai/os/file.hpp>
#include <backendai/version.hpp>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// One file to be sent.
struct upload_entry {
    std::filesystem::path path;
    std::string name; ///< on the server: relative to the base directory, UTF-8, `/` between components
    std::uint64_t size = 0;
};

/// Makes the list: files in the order given, directories replaced by the files below them, sorted by name; what is
/// named twice is sent once. Directories without files do not appear: an upload carries files only (mkdir() makes
/// directories in virtual folders).
///
/// A relative path is relative to the current directory, not to the base directory. Symbolic links are taken for what
/// they lead to, under the link's name, as long as that lies below the base directory and is no directory the walk is
/// in.
template <class = void>
class upload_lister {
public:
    /// @param check is called at each file and directory: a list can take long, and links to directories that hold
    ///        such links can multiply a few of them beyond all limits
    upload_lister(const upload_options& options, std::function<void()> check)
        : check_(std::move(check)), special_(options.special), rename_(options.rename) {
        const std::filesystem::path base = options.basedir.empty() ? std::filesystem::path(".") : options.basedir;
        base_ = with_io_errors(base, [&] { return std::filesystem::canonical(base); });
        if (!std::filesystem::is_directory(base_)) wrong(base, "the base directory is not a directory");
    }

    /// @throws client_error{argument} for a file outside of the base directory, a name that cannot be sent, and what
    ///         special_files::refuse refuses; client_error{io} for what is not there or cannot be read; and what
    ///         @p check throws
    std::vector<upload_entry> list(const std::vector<std::filesystem::path>& files) {
        for (const std::filesystem::path& file : files) {
            const std::filesystem::path place = with_io_errors(file, [&] { return locate(file); });
            const std::filesystem::path relative = place.lexically_relative(base_);
            if (relative.empty() || *relative.begin() == "..")
                wrong(file, "lies outside of the base directory " + shown(base_));
            with_io_errors(file, [&] { add(place, relative == "." ? std::string() : os::path_text(relative)); });
        }
        return std::move(entries_);
    }

private:
    [[noreturn]] static void wrong(const std::filesystem::path& path, const std::string& why) {
        throw client_error(error_kind::argument, shown(path) + ": " + why);
    }

    // Absolute, with links resolved in all but the last component: that one's name is the user's choice.
    static std::filesystem::path locate(const std::filesystem::path& file) {
        std::filesystem::path absolute = std::filesystem::absolute(file).lexically_normal();
        if (!absolute.has_filename()) absolute = absolute.parent_path(); // "folder/"
        if (!absolute.has_filename()) return absolute;                   // the root directory
        return std::filesystem::canonical(absolute.parent_path()) / absolute.filename();
    }

    static bool is_below(const std::filesystem::path& path, const std::filesystem::path& base) {
        const auto ends = std::mismatch(base.begin(), base.end(), path.begin(), path.end());
        return ends.first == base.end();
    }

    void add(const std::filesystem::path& path, const std::string& name) {
        namespace fs = std::filesystem;
        check_();
        fs::file_status status = fs::symlink_status(path);
        if (fs::is_symlink(status)) {
            std::error_code error;
            const fs::path target = fs::canonical(path, error);
            if (error) return special(path, "is a symbolic link that leads nowhere or in a circle");
            if (!is_below(target, base_))
                return special(path, "is a symbolic link that leads out of the base directory");
            status = fs::status(target);
        }
        if (fs::is_directory(status)) return walk(path, name);
        if (!fs::exists(status))
            throw fs::filesystem_error("stat", std::make_error_code(std::errc::no_such_file_or_directory));
        if (!fs::is_regular_file(status)) return special(path, "is neither a file nor a directory");
        check_name(path, name);
        // Opened for a moment, so that a file which cannot be read is told before anything is sent.
        if (!names_.insert(name).second) return;
        entries_.push_back({path, renamed(path, name), os::open_for_reading(path).size()});
    }

    std::string renamed(const std::filesystem::path& path, const std::string& name) {
        if (!rename_) return name;
        std::string other = rename_(name);
        check_name(path, other);
        if (other.empty() || !new_names_.insert(other).second)
            wrong(path, "upload_options::rename gives it no name, or one that another file has");
        return other;
    }

    void walk(const std::filesystem::path& path, const std::string& name) {
        namespace fs = std::filesystem;
        const fs::path real = fs::canonical(path);
        if (std::find(open_.begin(), open_.end(), real) != open_.end())
            return special(path, "is a symbolic link to a directory that it lies in");
        // As deep as a download may be. Without an end, the search for circles alone would take minutes.
        if (open_.size() == codec::detail::deepest_path) wrong(path, "lies more than 256 directories deep");
        open_.push_back(real);
        std::vector<std::string> children;
        with_io_errors(path, [&] {
            for (const fs::directory_entry& entry : fs::directory_iterator(path)) {
                check_();
                children.push_back(os::path_text(entry.path().filename()));
            }
        });
        std::sort(children.begin(), children.end());
        for (const std::string& child : children) {
            const fs::path inside = path / os::text_path(child);
            with_io_errors(inside, [&] { add(inside, name.empty() ? child : name + '/' + child); });
        }
        open_.pop_back();
    }

    void special(const std::filesystem::path& path, const char* why) const {
        if (special_ == special_files::refuse) wrong(path, why);
    }

    static void check_name(const std::filesystem::path& path, std::string_view name) {
        if (!codec::is_utf8(name)) wrong(path, "its name is not UTF-8");
        if (name.find_first_of("\r\n") != std::string_view::npos) wrong(path, "its name holds a line break");
    }

    std::function<void()> check_;
    special_files special_;
    std::function<std::string(const std::string&)> rename_;
    std::filesystem::path base_;
    std::vector<upload_entry> entries_;
    std::set<std::string> names_, new_names_;
    std::vector<std::filesystem::path> open_; // the directories the walk is in, links resolved
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
