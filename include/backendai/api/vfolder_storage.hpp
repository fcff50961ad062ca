/// @file
/// Files of virtual folders behind a storage proxy: what upload() and download() do on servers from 20.09 on.
///
/// A directory is fetched by its listings and file by file, not as the ZIP archive that storage proxies make of one:
/// the archive has neither length nor ranges, so that nothing of it can be gone on with, and sizes and modes stand at
/// its end; here each file is checked against its announced length, and hostile archives cannot come.
#ifndef BACKENDAI_API_VFOLDER_STORAGE_HPP
#define BACKENDAI_API_VFOLDER_STORAGE_HPP

#include <backendai/api/file_types.hpp>
#include <backendai/api/vfolder_call.hpp>
#include <backendai/api/vfolder_manage.hpp>
#include <backendai/codec/decode_error.hpp>
#include <backendai/codec/json.hpp>
#include <backendai/codec/name_collisions.hpp>
#include <backendai/codec/path_rules.hpp>
#include <backendai/codec/printable.hpp>
#include <backendai/error.hpp>
#include <backendai/files/destination.hpp>
#include <backendai/files/progress.hpp>
#include <backendai/files/ranged_download.hpp>
#include <backendai/files/storage_ticket.hpp>
#include <backendai/files/transfer_options.hpp>
#include <backendai/files/transfer_scope.hpp>
#include <backendai/files/tus_upload.hpp>
#include <backendai/files/upload_journal.hpp>
#include <backendai/files/upload_list.hpp>
#include <backendai/pipeline.hpp>
#include <backendai/version.hpp>
#include <backendai/wire.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

template <class = void>
storage_ticket request_upload(const transfer_scope& scope, const std::string& folder, const std::string& file,
                              std::uint64_t size) {
    call what = vfolder_call("POST", folder, "/request-upload");
    what.retry = retry_class::safe; // one more upload that nobody begins
    what.set_json({{"path", file}, {"size", size}});
    return request_ticket(scope, std::move(what));
}

template <class = void>
storage_ticket request_download(const transfer_scope& scope, const std::string& folder, const std::string& file) {
    call what = vfolder_call("POST", folder, "/request-download");
    what.retry = retry_class::safe;
    what.set_json({{"path", file}, {"archive", false}});
    return request_ticket(scope, std::move(what));
}

/// What names a session's server where parts of transfers are kept.
template <class = void>
std::string server_name(const session_state& state) {
    const codec::url endpoint = codec::parse_url(*state.config().endpoint);
    return endpoint.origin() + endpoint.path;
}

/// Makes the directories that the files lie in, for storage proxies that do not do it by themselves.
template <class = void>
void make_parents(const transfer_scope& scope, const std::string& folder, const std::vector<upload_entry>& entries) {
    std::set<std::string> parents;
    for (const upload_entry& entry : entries) {
        const std::size_t slash = entry.name.rfind('/');
        if (slash == std::string::npos || !parents.insert(entry.name.substr(0, slash)).second) continue;
        call what = vfolder_call("POST", folder, "/mkdir");
        what.retry = retry_class::safe; // one that exists is none to complain of
        what.set_json({{"path", entry.name.substr(0, slash)}, {"parents", true}, {"exist_ok", true}});
        scope.perform(std::move(what));
    }
}

template <class = void>
void storage_upload(const call_scope& call_limits, const dialect& language, const std::string& folder,
                    const std::vector<upload_entry>& entries, const upload_options& options) {
    if (options.chunk_size == 0) throw client_error(error_kind::argument, "chunk_size is 0");
    std::uint64_t total = 0;
    for (const upload_entry& entry : entries) {
        folder_path(entry.name); // the server checks nothing
        total += entry.size;
    }
    const transfer_scope scope(call_limits);
    std::optional<upload_journal<>> journal;
    if (!options.resume_file.empty()) journal.emplace(options.resume_file, server_name(scope.state()), folder);
    storage_tickets tickets;
    tickets.for_upload = [&](const std::string& name, std::uint64_t size) {
        return request_upload(scope, folder, name, size);
    };
    tickets.for_download = [&](const std::string& name) { return request_download(scope, folder, name); };
    transfer_meter meter(options.progress, total);
    scope.part([&](const call_scope& /*step*/) {
        if (!language.uploads_make_parents) make_parents(scope, folder, entries);
        for (const upload_entry& entry : entries)
            tus_upload<>(scope, tickets, entry, options.chunk_size, journal ? &*journal : nullptr, meter).run();
        if (journal) journal->remove();
    });
}

/// Downloads files and directories, one after the other.
template <class = void>
class storage_download {
public:
    storage_download(const call_scope& scope, const std::string& folder, const std::filesystem::path& dest,
                     const download_options& options)
        : scope_(scope),
          folder_(folder),
          target_(dest, options.existing),
          options_(options),
          meter_(options.progress),
          left_(options.max_bytes != 0 ? options.max_bytes : (std::numeric_limits<std::uint64_t>::max)()) {}

    void run(const std::vector<std::string>& paths) {
        std::vector<components> names;
        std::set<std::string> known;
        for (const std::string& path : paths) {
            components name = folder_path(path, codec::root_name::allow);
            if (!name.empty()) checked_name(codec::join_path(name), error_kind::argument);
            if (!known.insert(codec::join_path(name)).second) continue;
            // A directory that is here is one that what comes may go into.
            if (name.empty() || target_.is_directory(name) || target_.wants(name)) names.push_back(std::move(name));
        }
        only_one_ = names.size() == 1;
        scope_.part([&](const call_scope& /*step*/) {
            for (const components& name : names) {
                if (name.empty() || !fetch_file(name, std::nullopt)) fetch_directory(name);
            }
            target_.commit();
        });
    }

private:
    using components = destination<>::components;
    // Of one directory, as far as memory is concerned: servers may lie, with a directory that has itself in it, say.
    static constexpr std::size_t most_entries = 1'000'000;
    static constexpr std::size_t most_name_bytes = std::size_t{64} << 20;

    struct listed {
        std::string name; // joined: of a million names the components would take much more
        file_metadata metadata;
    };

    // False when the server says that it is no file.
    bool fetch_file(const components& name, std::optional<file_metadata> metadata) {
        const std::string path = codec::join_path(name);
        ranged_download<> file(
            scope_, [&] { return request_download(scope_, folder_, path); }, target_, name, metadata, meter_);
        file.set_limit(left_ - meter_.done());
        if (only_one_ && !metadata) file.tells_total();
        if (options_.resume) file.keep_parts(server_name(scope_.state()) + '\n' + folder_ + '\n' + path);
        try {
            file.run();
            return true;
        } catch (const ranged_download<>::not_a_file& found) {
            refusal_.emplace(found.refusal);
            return false;
        }
    }

    // Looks at everything first: a name that cannot be used is told before anything is written.
    void fetch_directory(const components& top) {
        std::vector<listed> files, directories;
        const std::string asked_for = codec::join_path(top);
        std::vector<std::string> open = {asked_for};
        std::uint64_t total = 0;
        std::size_t entries = 0, name_bytes = 0;
        while (!open.empty()) {
            const std::string here = std::move(open.back());
            open.pop_back();
            for (const file_entry& entry : list(here, here == asked_for)) {
                if (++entries > most_entries) throw unusable("the directory has more than a million entries");
                const std::string& last = entry.filename;
                if (last.empty() || last.find('/') != std::string::npos || last == "." || last == "..")
                    throw unusable("unsafe file name " + codec::printable(entry.filename));
                listed item{here.empty() ? last : here + '/' + last,
                            {entry.permissions.value_or(entry.is_directory ? 0755U : 0644U) & 0777U, time_of(entry)}};
                if (is_link(entry)) {
                    if (options_.special == special_files::skip) continue;
                    throw unusable(codec::printable(item.name) + " is a symbolic link, which is not followed");
                }
                const components name = checked_name(item.name, error_kind::protocol);
                name_bytes += item.name.size();
                if (name_bytes > most_name_bytes) throw unusable("the names in the directory take more than 64 MiB");
                if (entry.is_directory) {
                    open.push_back(item.name);
                    directories.push_back(std::move(item));
                } else if (target_.wants(name)) {
                    if (entry.size > (std::numeric_limits<std::uint64_t>::max)() - total)
                        throw unusable("the sizes in the directory add up to more than 64 bits hold");
                    total += entry.size;
                    files.push_back(std::move(item));
                }
            }
        }
        if (options_.max_bytes != 0 && total > left_ - meter_.done())
            throw unusable("the directory has " + std::to_string(total) + " bytes, max_bytes is less");
        if (only_one_) meter_.set_total(total);
        if (!top.empty()) target_.make_directory(top);
        for (const listed& item : directories) target_.make_directory(folder_path(item.name), item.metadata);
        for (const listed& item : files) {
            if (!fetch_file(folder_path(item.name), item.metadata)) throw *refusal_;
        }
    }

    std::vector<file_entry> list(const std::string& path, bool is_asked_for) {
        try {
            file_listing found = scope_.part(
                [&](const call_scope& step) { return vfolder_list_files(step, folder_, path.empty() ? "." : path); });
            if (!found.errors.empty())
                throw unusable("the listing of " + codec::printable(path) + ": " +
                               codec::printable_text(found.errors, 512));
            return std::move(found.files);
        } catch (const api_error&) {
            // What is neither file nor directory: the first answer says more.
            if (is_asked_for && refusal_) throw *refusal_;
            throw;
        }
    }

    // The components of a name that may be used here.
    components checked_name(const std::string& name, error_kind blame) {
        try {
            components parts = codec::safe_relative_path(name, codec::root_name::refuse, options_.names);
            if (options_.names == codec::path_policy::portable) collisions_.add(parts);
            return parts;
        } catch (const codec::decode_error& e) {
            if (blame == error_kind::argument) throw client_error(error_kind::argument, e.what());
            throw unusable(e.what());
        }
    }
    static client_error unusable(const std::string& why) {
        return {error_kind::protocol, "the download is not usable: " + why, client_error::progress::maybe_sent};
    }
    static bool is_link(const file_entry& entry) {
        return codec::is_equal(entry.raw.value("type", json()), "SYMBOLIC_LINK") ||
               (!entry.mode.empty() && entry.mode[0] == 'l');
    }
    static os::file_time time_of(const file_entry& entry) {
        const auto since = entry.mtime.time_since_epoch();
        auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since);
        if (seconds > since) --seconds;
        return {seconds.count(), static_cast<std::uint32_t>(
                                     std::chrono::duration_cast<std::chrono::nanoseconds>(since - seconds).count())};
    }

    transfer_scope scope_;
    const std::string& folder_;
    destination<> target_;
    const download_options& options_;
    transfer_meter meter_;
    std::uint64_t left_; // of max_bytes
    codec::name_collisions collisions_;
    std::optional<api_error> refusal_;
    bool only_one_ = false;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
