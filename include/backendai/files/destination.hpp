/// @file
/// Where downloaded files go: each is written beside its place under a temporary name and gets its own name when it is
/// whole, and nothing is ever written outside of the directory the user named.
#ifndef BACKENDAI_FILES_DESTINATION_HPP
#define BACKENDAI_FILES_DESTINATION_HPP

#include <backendai/codec/path_rules.hpp>
#include <backendai/error.hpp>
#include <backendai/files/io_error.hpp>
#include <backendai/files/transfer_options.hpp>
#include <backendai/os/file.hpp>
#include <backendai/version.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// What an archive says of a file besides its content.
struct file_metadata {
    unsigned mode = 0; ///< the nine permission bits; set-user-id, set-group-id and sticky bits are never taken over
    os::file_time modified;
};

/// A directory that receives files, all or none: files are staged under temporary names until commit(), and what was
/// not committed is gone, with the directories made for it, after discard() or destruction.
///
/// Names are components from codec::safe_relative_path(). Directories on the way are opened one inside the other
/// without following links, so a link inside the destination (made by whom ever, whenever) stops the transfer instead
/// of leading it elsewhere. The destination itself may be reached through links: the user named it. Not thread-safe.
/// All functions throw client_error{io} with the path.
template <class = void>
class destination {
public:
    using components = std::vector<std::string>;

    /// Makes nothing yet. @throws client_error{io} when @p root exists and is no directory.
    destination(std::filesystem::path root, existing_files policy) : root_path_(std::move(root)), policy_(policy) {
        if (root_path_.empty()) root_path_ = ".";
        with_io_errors(root_path_, [&] {
            const auto status = std::filesystem::status(root_path_);
            if (std::filesystem::exists(status) && !std::filesystem::is_directory(status))
                io_failure(root_path_, "is not a directory");
        });
    }
    destination(const destination&) = delete;
    destination& operator=(const destination&) = delete;
    ~destination() { discard(); }

    /// Whether a file that is to come under this name is wanted: not when it exists and is to be kept.
    /// @throws client_error{io} when the name cannot be used: a directory, or taken and the policy is `fail`.
    bool wants(const components& name) const {
        const std::filesystem::path path = path_of(name);
        return with_io_errors(path, [&] {
            if (!root_.is_open() && !std::filesystem::exists(root_path_)) return true;
            os::directory holder = root_.is_open() ? root_.duplicate() : os::directory(root_path_);
            for (std::size_t i = 0; i + 1 < name.size(); ++i) {
                const os::file_kind kind = holder.kind_of(name[i]);
                if (kind == os::file_kind::none) return true;
                check_directory(kind, name, i + 1);
                holder = holder.open_child(name[i]);
            }
            return wanted(holder.kind_of(name.back()), path);
        });
    }

    /// Whether there is a directory of this name; a link to one is none.
    bool is_directory(const components& name) const {
        return with_io_errors(path_of(name), [&] {
            if (!std::filesystem::exists(root_path_)) return false;
            os::directory holder(root_path_);
            for (const std::string& part : name) {
                if (holder.kind_of(part) != os::file_kind::directory) return false;
                holder = holder.open_child(part);
            }
            return true;
        });
    }

    /// Begins a file; data follows by write(), end_file() completes it. A file that is not wanted takes its data and
    /// drops it. Without metadata it gets the usual mode of new files and the present time.
    void begin_file(const components& name, std::optional<file_metadata> metadata = std::nullopt) {
        current_path_ = path_of(name);
        with_io_errors(current_path_, [&] {
            const os::directory holder = make_parent(name);
            const std::string key = codec::join_path(name);
            if (!wanted(holder.kind_of(name.back()), current_path_)) return;
            staged next;
            next.name = name;
            next.temporary = ".backendai-" + random_digits() + ".part";
            next.metadata = metadata;
            current_ = key;
            // In an archive a later entry replaces an earlier one. It is noted before there is a file, so that
            // discard() finds it whatever fails.
            const auto known = staged_.try_emplace(key);
            staged& entry = known.first->second;
            if (!known.second) holder.remove_file(entry.temporary);
            entry = std::move(next);
            // With metadata: readable by nobody else until its mode is set, which may be narrower than the usual one.
            file_ = holder.create(entry.temporary, metadata ? 0600 : 0666);
        });
    }
    /// Begins a file under a temporary name that is the same each time: what is there of an earlier time is gone on
    /// with, and discard() leaves it. Returns how many bytes that is. Until the file has its own name nobody else can
    /// begin one under that temporary name: that is client_error{io}.
    std::uint64_t begin_kept_file(const components& name, const std::string& temporary,
                                  std::optional<file_metadata> metadata = std::nullopt) {
        current_path_ = path_of(name);
        return with_io_errors(current_path_, [&]() -> std::uint64_t {
            const os::directory holder = make_parent(name);
            os::open_file file;
            os::file_lock lock;
            do {
                file = holder.kind_of(temporary) == os::file_kind::none
                           ? holder.create(temporary, metadata ? 0600 : 0666)
                           : holder.open_file_for_writing(temporary);
                lock = os::file_lock(file);
                if (!lock.is_held()) io_failure(current_path_, "another download is writing it");
                // Before that another one may have become complete: this is its file then.
            } while (!holder.has(temporary, file));
            file_ = std::move(file);
            current_ = codec::join_path(name);
            staged_[current_] = {name, temporary, metadata, true, std::move(lock)};
            const std::uint64_t size = file_.size();
            file_.seek(size);
            return size;
        });
    }
    /// Cuts the file that was begun off; what follows goes there.
    void cut_file(std::uint64_t size) {
        with_io_errors(current_path_, [&] {
            file_.resize(size);
            file_.seek(size);
        });
    }
    /// A small file beside @p name, for what is to be known of it later; nothing when there is none.
    std::optional<std::string> read_note(const components& name, const std::string& note) {
        return with_io_errors(path_of(name), [&]() -> std::optional<std::string> {
            const os::directory holder = make_parent(name);
            if (holder.kind_of(note) != os::file_kind::regular) return {};
            os::open_file file = holder.open_file_for_reading(note);
            std::string text(4096, '\0');
            text.resize(file.read(&text[0], text.size()));
            return text;
        });
    }
    void write_note(const components& name, const std::string& note, std::string_view text) {
        with_io_errors(path_of(name), [&] {
            const os::directory holder = make_parent(name);
            holder.remove_file(note);
            os::open_file file = holder.create(note, 0600);
            file.write(text);
            file.close();
        });
    }
    void remove_note(const components& name, const std::string& note) {
        with_io_errors(path_of(name), [&] { open_parent(name).remove_file(note); });
    }
    void write(std::string_view data) {
        if (!file_.is_open()) return;
        with_io_errors(current_path_, [&] { file_.write(data); });
    }
    void end_file() {
        if (!file_.is_open()) return;
        with_io_errors(current_path_, [&] {
            const auto& metadata = staged_.at(current_).metadata;
            if (metadata) {
                file_.set_mode(metadata->mode);
                file_.set_modified(metadata->modified);
            }
            file_.close();
        });
    }

    /// Makes a directory, or takes the one that is there. Mode and time are set by commit(), for new ones only, since a
    /// directory without write permission could not be filled.
    void make_directory(const components& name, std::optional<file_metadata> metadata = std::nullopt) {
        with_io_errors(path_of(name), [&] {
            components inside = name;
            inside.emplace_back(); // the parent of a nameless entry is the directory
            std::size_t number = 0;
            make_parent(inside, &number);
            if (directories_[number].made) directories_[number].metadata = metadata;
        });
    }

    /// Gives all staged files their names, and the directories that were made their modes. The last thing that can fail
    /// is checked for all of them first.
    void commit() {
        commit_files();
        // Inner ones first: what a directory's mode forbids and its time says holds once all is in it.
        for (std::size_t i = directories_.size(); i-- > 1;) {
            if (!directories_[i].metadata) continue;
            components name = name_of(i);
            with_io_errors(path_of(name), [&] {
                name.emplace_back();
                open_parent(name).set_metadata(directories_[i].metadata->mode, directories_[i].metadata->modified);
            });
        }
        forget_directories();
        made_above_.clear();
    }
    /// The first half of that: more files may follow, into directories that are to be read-only at the end.
    void commit_files() {
        for (const auto& item : staged_) {
            const staged& file = item.second;
            with_io_errors(path_of(file.name),
                           [&] { wanted(open_parent(file.name).kind_of(file.name.back()), path_of(file.name)); });
        }
        while (!staged_.empty()) {
            const staged& file = staged_.begin()->second;
            with_io_errors(path_of(file.name), [&] { put_in_place(file); });
            staged_.erase(staged_.begin());
        }
    }

    /// Removes what was staged and the directories that were made for it, where they still are. Files are removed also
    /// when memory is used up, which may be why.
    void discard() noexcept {
        file_ = os::open_file();
        for (const auto& item : staged_) {
            const staged& file = item.second;
            if (file.kept) continue;
            try_to([&] { open_parent(file.name).remove_file(file.temporary); });
        }
        staged_.clear();
        for (std::size_t i = directories_.size(); i-- > 1;) {
            if (directories_[i].made) try_to([&] { open_parent(name_of(i)).remove_directory(directories_[i].name); });
        }
        forget_directories();
        root_ = os::directory();
        // One that is not empty stays: somebody else has put something into it.
        for (auto made = made_above_.rbegin(); made != made_above_.rend(); ++made)
            try_to([&] { os::directory(made->parent_path()).remove_directory(os::path_text(made->filename())); });
        made_above_.clear();
    }

private:
    struct staged {
        components name;
        std::string temporary;
        std::optional<file_metadata> metadata;
        bool kept = false;  // by discard()
        os::file_lock lock; // of one that is kept
    };
    // A directory inside the destination that was walked through. The first is the destination itself; each one's
    // parent stands before it. With names as a whole, deep ones would cost memory by the square of their depth.
    struct known_directory {
        std::size_t parent = 0;
        std::string name;
        bool made = false; // by this object
        std::optional<file_metadata> metadata;
    };

    std::filesystem::path path_of(const components& name) const {
        return root_path_ / os::text_path(codec::join_path(name));
    }

    // For cleaning up while an error is on its way to the caller already: one file whose directory was taken away
    // must not keep the others from being removed.
    template <class Work>
    static void try_to(Work&& work) noexcept {
        try {
            work();
        } catch (const std::exception&) {
        }
    }

    static std::string random_digits() {
        std::random_device random;
        static constexpr char digits[] = "0123456789abcdef";
        std::string text;
        for (int word = 0; word < 4; ++word) {
            auto bits = static_cast<std::uint32_t>(random());
            for (int i = 0; i < 8; ++i, bits >>= 4) text += digits[bits & 0xF];
        }
        return text;
    }

    void check_directory(os::file_kind kind, const components& name, std::size_t depth) const {
        if (kind == os::file_kind::directory) return;
        const std::filesystem::path path =
            path_of(components(name.begin(), name.begin() + static_cast<std::ptrdiff_t>(depth)));
        if (kind == os::file_kind::symbolic_link) io_failure(path, "is a symbolic link, which is not followed");
        if (kind == os::file_kind::none) io_failure(path, "was removed during the transfer");
        io_failure(path, "is not a directory");
    }

    bool wanted(os::file_kind kind, const std::filesystem::path& path) const {
        if (kind == os::file_kind::none) return true;
        if (kind == os::file_kind::directory) io_failure(path, "a directory is where the file should go");
        if (policy_ == existing_files::fail) io_failure(path, "exists already");
        return policy_ == existing_files::overwrite;
    }

    void open_root() {
        if (root_.is_open()) return;
        std::filesystem::path missing = std::filesystem::absolute(root_path_).lexically_normal();
        if (!missing.has_filename()) missing = missing.parent_path();
        std::vector<std::filesystem::path> above;
        for (; !std::filesystem::exists(missing) && missing.has_relative_path(); missing = missing.parent_path())
            above.push_back(missing);
        made_above_.reserve(above.size()); // what is made is noted without fail
        for (auto path = above.rbegin(); path != above.rend(); ++path) {
            if (std::filesystem::create_directory(*path)) made_above_.push_back(std::move(*path));
        }
        root_ = os::directory(root_path_);
    }

    // The directory that holds @p name, made where it is missing; its number.
    os::directory make_parent(const components& name, std::size_t* number = nullptr) {
        open_root();
        os::directory holder = root_.duplicate();
        std::size_t at = 0;
        for (std::size_t i = 0; i + 1 < name.size(); ++i) {
            if (directories_.size() == directories_.capacity()) directories_.reserve(2 * directories_.size());
            known_directory next{at, name[i], false, {}};
            // Noted before it is made, so that discard() finds it whatever fails.
            const auto added = numbers_.try_emplace({at, name[i]}, directories_.size());
            if (added.second) directories_.push_back(std::move(next));
            at = added.first->second;
            if (holder.make_child(name[i])) {
                directories_[at].made = true;
            } else {
                check_directory(holder.kind_of(name[i]), name, i + 1);
            }
            holder = holder.open_child(name[i]);
        }
        if (number != nullptr) *number = at;
        return holder;
    }

    // The directory that holds @p name, which was there before: one that somebody took away is not made again. Needs no
    // memory while all is well.
    os::directory open_parent(const components& name) const {
        os::directory holder = root_.duplicate();
        for (std::size_t i = 0; i + 1 < name.size(); ++i) {
            check_directory(holder.kind_of(name[i]), name, i + 1);
            holder = holder.open_child(name[i]);
        }
        return holder;
    }

    components name_of(std::size_t number) const {
        components name;
        for (; number != 0; number = directories_[number].parent) name.push_back(directories_[number].name);
        std::reverse(name.begin(), name.end());
        return name;
    }

    void forget_directories() {
        numbers_.clear();
        directories_.resize(1);
    }

    void put_in_place(const staged& file) {
        const os::directory holder = open_parent(file.name);
        const std::string& name = file.name.back();
        if (policy_ == existing_files::overwrite) {
            holder.rename(file.temporary, name);
        } else if (!holder.rename_new(file.temporary, name)) {
            // It came into being after the check.
            if (policy_ == existing_files::fail) io_failure(path_of(file.name), "exists already");
            holder.remove_file(file.temporary);
        }
    }

    std::filesystem::path root_path_;
    existing_files policy_;
    os::directory root_;
    std::map<std::string, staged> staged_;
    std::vector<known_directory> directories_ = std::vector<known_directory>(1);
    std::map<std::pair<std::size_t, std::string>, std::size_t> numbers_; // by parent and name
    std::vector<std::filesystem::path> made_above_;                      // the destination itself and what it lies in
    std::filesystem::path current_path_;
    std::string current_;
    os::open_file file_;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
