/// @file
/// Virtual folders: storage that outlives compute sessions and is mounted into them.
///
/// Unless a function says otherwise it throws api_error when the server refuses, client_error{argument} for arguments
/// that are wrong before anything is sent, and client_error of the other kinds when no usable answer came. All
/// functions may be called from several threads at once.
#ifndef BACKENDAI_API_VFOLDER_HPP
#define BACKENDAI_API_VFOLDER_HPP

#include <backendai/api/file_types.hpp>
#include <backendai/api/vfolder_files.hpp>
#include <backendai/api/vfolder_types.hpp>
#include <backendai/files/transfer_options.hpp>
#include <backendai/mode.hpp>
#include <backendai/pipeline.hpp>
#include <backendai/version.hpp>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

namespace detail {

inline vfolder_creation vfolder_create(const call_scope& scope, const std::string& name, const std::string& host) {
    check_vfolder_name(name);
    call what;
    what.method = "POST";
    what.path = "/folders";
    what.retry = retry_class::unsafe; // a second one would find the first one's folder and fail
    what.set_json({{"name", name}, {"host", host.empty() ? json() : json(host)}});
    return read_vfolder_creation(scope.perform(std::move(what)).json());
}

inline std::vector<vfolder_summary> vfolder_list(const call_scope& scope) {
    call what;
    what.path = "/folders";
    return read_vfolder_list(scope.perform(std::move(what)).json());
}

inline std::vector<vfolder_invitation> vfolder_invitations(const call_scope& scope) {
    call what;
    what.path = "/folders/invitations/list";
    return read_vfolder_invitations(scope.perform(std::move(what)).json());
}

inline void vfolder_accept_invitation(const call_scope& scope, const std::string& inv_id, const std::string& inv_ak) {
    call what;
    what.method = "POST";
    what.path = "/folders/invitations/accept";
    what.retry = retry_class::unsafe; // an accepted invitation is gone: a second try would be refused
    what.set_json({{"inv_id", inv_id}, {"inv_ak", inv_ak}});
    scope.perform(std::move(what));
}

inline void vfolder_delete_invitation(const call_scope& scope, const std::string& inv_id) {
    call what;
    what.method = "DELETE";
    what.path = "/folders/invitations/delete";
    what.retry = retry_class::unsafe;
    what.set_json({{"inv_id", inv_id}});
    scope.perform(std::move(what));
}

inline vfolder_info vfolder_get_info(const call_scope& scope, const std::string& name) {
    return read_vfolder_info(scope.perform(vfolder_call("GET", name)).json());
}

inline void vfolder_remove(const call_scope& scope, const std::string& name) {
    call what = vfolder_call("DELETE", name);
    what.retry = retry_class::unsafe; // a second one could hit a new folder of that name
    scope.perform(std::move(what));
}

inline void vfolder_mkdir(const call_scope& scope, const std::string& name, const std::string& path) {
    call what = vfolder_call("POST", name, "/mkdir");
    what.retry = retry_class::unsafe; // servers differ on whether one that exists is an error
    what.set_json({{"path", codec::join_path(folder_path(path))}});
    scope.perform(std::move(what));
}

inline void vfolder_delete_files(const call_scope& scope, const std::string& name,
                                 const std::vector<std::string>& files, bool recursive) {
    call what = vfolder_call("DELETE", name, "/delete_files");
    what.retry = retry_class::unsafe; // what is gone is an error the second time
    std::vector<std::string> paths;
    for (const std::string& file : files) paths.push_back(codec::join_path(folder_path(file)));
    what.set_json({{"files", paths}, {"recursive", recursive}});
    scope.perform(std::move(what));
}

inline file_listing vfolder_list_files(const call_scope& scope, const std::string& name, const std::string& path) {
    call what = vfolder_call("GET", name, "/files");
    const std::string place = codec::join_path(folder_path(path, codec::root_name::allow));
    what.set_json({{"path", place.empty() ? "." : place}});
    return read_file_listing(scope.perform(std::move(what)).json());
}

inline std::vector<std::string> vfolder_invite(const call_scope& scope, const std::string& name,
                                               const std::string& perm, const std::vector<std::string>& emails) {
    if (perm != "ro" && perm != "rw" && perm != "wd")
        throw client_error(error_kind::argument, "the permission of an invitation is ro, rw or wd");
    if (emails.empty()) throw client_error(error_kind::argument, "nobody to invite");
    call what = vfolder_call("POST", name, "/invite");
    what.retry = retry_class::unsafe; // invitations are made once each
    what.set_json({{"perm", perm}, {"user_ids", emails}});
    const json answer = scope.perform(std::move(what)).json();
    std::vector<std::string> ids;
    for (const json& id : wire_object(answer, "the answer").array_or_empty("invited_ids"))
        ids.push_back(id.is_string() ? id.get<std::string>() : id.dump());
    return ids;
}

} // namespace detail

/// A virtual folder, by its name: a handle, cheap to copy. Names are checked when a function is called.
template <class Transport, class Mode>
class basic_vfolder {
    template <class T>
    using result = typename Mode::template result<T>;

public:
    basic_vfolder(detail::call_scope scope, std::string name) : scope_(std::move(scope)), name_(std::move(name)) {}

    const std::string& name() const noexcept { return name_; }

    /// What the server knows of the folder: `GET /folders/NAME`. Retry class: safe.
    result<vfolder_info> info() const {
        return invoke([](const detail::call_scope& scope, const std::string& name) {
            return detail::vfolder_get_info(scope, name);
        });
    }
    /// Deletes the folder and all that is in it: `DELETE /folders/NAME`. Retry class: unsafe.
    result<void> remove() const {
        return invoke(
            [](const detail::call_scope& scope, const std::string& name) { detail::vfolder_remove(scope, name); });
    }
    /// Uploads files, and directories with the files below them, in requests of ten: `POST /folders/NAME/upload`.
    /// Files are read while they are sent, of any size; their names are relative to options.basedir, and parents are
    /// made. Existing files are replaced. Directories without files are not sent: see mkdir().
    /// What was sent before a failure stays. Retry class: safe.
    /// @throws client_error{argument} for files outside of basedir and what upload_options::special refuses;
    ///         client_error{io} for files that cannot be read or change their size meanwhile; see progress_callback
    result<void> upload(std::vector<std::filesystem::path> files, upload_options options = {}) const {
        return invoke([files = std::move(files), options = std::move(options)](const detail::call_scope& scope,
                                                                               const std::string& name) {
            detail::vfolder_upload(scope, name, files, options);
        });
    }
    /// Downloads files (no directories) to @p dest, which is made if missing; `data/a.csv` becomes `dest/data/a.csv`:
    /// `GET /folders/NAME/download`. A file appears under its name when it is whole; those that were whole before a
    /// failure stay. Retry class: safe until the first byte of a file has come.
    /// @throws client_error{argument} for names that are absolute, lead out of the folder or break
    ///         download_options::names; client_error{io} for what the local disk refuses; client_error{protocol} for an
    ///         answer that is damaged, cut short or not as long as announced; see progress_callback
    result<void> download(std::vector<std::string> files, std::filesystem::path dest = ".",
                          download_options options = {}) const {
        return invoke([files = std::move(files), dest = std::move(dest),
                       options = std::move(options)](const detail::call_scope& scope, const std::string& name) {
            detail::vfolder_download(scope, name, files, dest, options, [&](const std::string& path) {
                return detail::vfolder_list_files(scope, name, path);
            });
        });
    }
    /// Makes a directory and its parents: `POST /folders/NAME/mkdir`. @param path relative to the folder.
    /// Retry class: unsafe.
    result<void> mkdir(std::string path) const {
        return invoke([path = std::move(path)](const detail::call_scope& scope, const std::string& name) {
            detail::vfolder_mkdir(scope, name, path);
        });
    }
    /// Deletes files, and directories if @p recursive: `DELETE /folders/NAME/delete_files`. Retry class: unsafe.
    result<void> delete_files(std::vector<std::string> files, bool recursive = false) const {
        return invoke([files = std::move(files), recursive](const detail::call_scope& scope, const std::string& name) {
            detail::vfolder_delete_files(scope, name, files, recursive);
        });
    }
    /// What is in a directory: `GET /folders/NAME/files`. Retry class: safe.
    result<file_listing> list_files(std::string path = ".") const {
        return invoke([path = std::move(path)](const detail::call_scope& scope, const std::string& name) {
            return detail::vfolder_list_files(scope, name, path);
        });
    }
    /// Invites users to the folder: `POST /folders/NAME/invite`. Retry class: unsafe.
    /// @param perm "ro" (read), "rw" (write) or "wd" (write and delete)
    /// @return the users who were invited, by the server's words
    result<std::vector<std::string>> invite(std::string perm, std::vector<std::string> emails) const {
        return invoke([perm = std::move(perm), emails = std::move(emails)](const detail::call_scope& scope,
                                                                           const std::string& name) {
            return detail::vfolder_invite(scope, name, perm, emails);
        });
    }

private:
    template <class Body>
    auto invoke(Body body) const {
        return Mode::run(scope_, [body = std::move(body), name = name_](const detail::call_scope& scope) {
            return body(scope, name);
        });
    }

    detail::call_scope scope_;
    std::string name_;
};

/// The class-level functions of virtual folders: `session.vfolder()`.
template <class Transport, class Mode>
class basic_vfolder_functions {
    template <class T>
    using result = typename Mode::template result<T>;

public:
    explicit basic_vfolder_functions(detail::call_scope scope) : scope_(std::move(scope)) {}

    /// Makes a folder: `POST /folders`. Retry class: unsafe.
    /// @param name letters and digits, and `.`, `_` or `-` between them  @param host empty for the server's default
    /// @throws api_error vfolder-already-exists
    result<vfolder_creation> create(std::string name, std::string host = {}) const {
        return Mode::run(scope_, [name = std::move(name), host = std::move(host)](const detail::call_scope& scope) {
            return detail::vfolder_create(scope, name, host);
        });
    }
    /// The folders that one owns or was invited to: `GET /folders`. Retry class: safe.
    result<std::vector<vfolder_summary>> list() const {
        return Mode::run(scope_, [](const detail::call_scope& scope) { return detail::vfolder_list(scope); });
    }
    /// The invitations that wait for an answer: `GET /folders/invitations/list`. Retry class: safe.
    result<std::vector<vfolder_invitation>> invitations() const {
        return Mode::run(scope_, [](const detail::call_scope& scope) { return detail::vfolder_invitations(scope); });
    }
    /// Accepts one: `POST /folders/invitations/accept`. Retry class: unsafe.
    /// @param inv_ak the access key for which the folder is to be seen
    result<void> accept_invitation(std::string inv_id, std::string inv_ak) const {
        return Mode::run(scope_,
                         [inv_id = std::move(inv_id), inv_ak = std::move(inv_ak)](const detail::call_scope& scope) {
                             detail::vfolder_accept_invitation(scope, inv_id, inv_ak);
                         });
    }
    /// Turns one down: `DELETE /folders/invitations/delete`. Retry class: unsafe.
    result<void> delete_invitation(std::string inv_id) const {
        return Mode::run(scope_, [inv_id = std::move(inv_id)](const detail::call_scope& scope) {
            detail::vfolder_delete_invitation(scope, inv_id);
        });
    }

private:
    detail::call_scope scope_;
};

BACKENDAI_NAMESPACE_END

#endif
