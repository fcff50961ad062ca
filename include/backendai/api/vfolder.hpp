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
#include <backendai/api/vfolder_list.hpp>
#include <backendai/api/vfolder_manage.hpp>
#include <backendai/api/vfolder_sharing.hpp>
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
    /// Deletes the folder and all that is in it: `DELETE /folders/NAME`. Servers from 24.03 on move it to a trash bin;
    /// 23.03 and 23.09 go on deleting when the call has returned. Retry class: unsafe.
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
            detail::vfolder_download(scope, name, files, dest, options);
        });
    }
    /// Gives the folder another name: `POST /folders/NAME/rename`. Handles by the old name find it no more.
    /// Retry class: unsafe.
    result<void> rename(std::string new_name) const {
        return invoke([new_name = std::move(new_name)](const detail::call_scope& scope, const std::string& name) {
            detail::vfolder_rename(scope, name, new_name);
        });
    }
    /// Makes a directory and its parents: `POST /folders/NAME/mkdir`. @param path relative to the folder.
    /// Retry class: unsafe.
    result<void> mkdir(std::string path, mkdir_options options = {}) const {
        return invoke([path = std::move(path), options](const detail::call_scope& scope, const std::string& name) {
            detail::vfolder_mkdir(scope, name, path, options);
        });
    }
    /// Gives a file or directory another name in its place: `POST /folders/NAME/rename-file`, from 20.03 (v5.20191215)
    /// on. A file that has the new name is replaced. Retry class: unsafe.
    /// @param path relative to the folder  @param new_name without a directory
    result<void> rename_file(std::string path, std::string new_name) const {
        return invoke([path = std::move(path), new_name = std::move(new_name)](const detail::call_scope& scope,
                                                                               const std::string& name) {
            detail::vfolder_rename_file(scope, name, path, new_name);
        });
    }
    /// Moves a file or directory to another place in the folder: `POST /folders/NAME/move-file`, from 22.03
    /// (v6.20220315) on. Retry class: unsafe. @param from, to relative to the folder
    result<void> move_file(std::string from, std::string to) const {
        return invoke(
            [from = std::move(from), to = std::move(to)](const detail::call_scope& scope, const std::string& name) {
                detail::vfolder_move_file(scope, name, from, to);
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
        vfolder_create_options options;
        options.host = std::move(host);
        return create(std::move(name), std::move(options));
    }
    /// The same with more to say. @throws also client_error{argument} for what the server's version does not know
    result<vfolder_creation> create(std::string name, vfolder_create_options options) const {
        return Mode::run(scope_,
                         [name = std::move(name), options = std::move(options)](const detail::call_scope& scope) {
                             return detail::vfolder_create(scope, name, options);
                         });
    }
    /// Where folders can be made: `GET /folders/_/hosts`. Retry class: safe.
    result<vfolder_hosts> hosts() const {
        return Mode::run(scope_, [](const detail::call_scope& scope) { return detail::vfolder_list_hosts(scope); });
    }
    /// The folders that one owns or was invited to: `GET /folders`. Retry class: safe.
    result<std::vector<vfolder_summary>> list() const {
        return Mode::run(scope_, [](const detail::call_scope& scope) { return detail::vfolder_list(scope); });
    }
    /// The folders that fit the filter as GraphQL tells them, a page at a time; see page_range. Of other users: needs
    /// admin rights.
    page_range<Mode> paginated_list(vfolder_filter filter = {}, page_query wanted = {}) const {
        return {scope_, detail::vfolder_listing(std::move(filter)), std::move(wanted)};
    }
    /// One page of them. Retry class: safe.
    result<page_result> list_page(vfolder_filter filter = {}, page_query wanted = {}) const {
        return Mode::run(scope_, [what = detail::vfolder_listing(std::move(filter)),
                                  wanted = std::move(wanted)](const detail::call_scope& scope) {
            return detail::fetch_single_page(scope, what, wanted);
        });
    }
    /// The invitations that wait for an answer: `GET /folders/invitations/list`. Retry class: safe.
    result<std::vector<vfolder_invitation>> invitations() const {
        return Mode::run(scope_, [](const detail::call_scope& scope) { return detail::vfolder_invitations(scope); });
    }
    /// The caller's own invitations to others that wait for an answer: `GET /folders/invitations/list_sent`, from 19.09
    /// (v4.20190615) on. Retry class: safe.
    result<std::vector<vfolder_invitation>> sent_invitations() const {
        return Mode::run(scope_,
                         [](const detail::call_scope& scope) { return detail::vfolder_sent_invitations(scope); });
    }
    /// Accepts one: `POST /folders/invitations/accept`. Retry class: unsafe.
    /// @param inv_ak the access key for which the folder is to be seen, the session's own when empty; from 19.09
    ///               (v4.20190615) on folders are shared with users, and another key is client_error{argument}
    result<void> accept_invitation(std::string inv_id, std::string inv_ak = {}) const {
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
