/// @file
/// The embedded gateway's endpoints for virtual folders as servers from 20.09 on have them; the bytes of files go
/// through its storage proxy.
#ifndef BACKENDAI_TESTING_GATEWAY_FOLDERS_MODERN_HPP
#define BACKENDAI_TESTING_GATEWAY_FOLDERS_MODERN_HPP

#include <backendai/testing/gateway_folders.hpp>
#include <backendai/testing/gateway_keypairs.hpp>
#include <backendai/testing/gateway_parameters.hpp>
#include <backendai/testing/gateway_protocol.hpp>
#include <backendai/version.hpp>

#include <nlohmann/json.hpp>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <string>
#include <sys/stat.h>
#include <system_error>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// Handlers of /folders. Thread-safe. Deleting is at once, as on 23.09 and before.
class modern_folder_routes final : public folder_routes {
public:
    modern_folder_routes(const gateway_options& options, session_table& sessions, const std::atomic<file_lie>& lie,
                         const keypair_store& keypairs, const std::atomic<bool>& frozen)
        : folder_routes(options, sessions, lie),
          protocol_(find_protocol(options.protocol)),
          keypairs_(keypairs),
          frozen_(frozen) {}

    void add_to(router& table) override {
        using routes = modern_folder_routes;
        const auto add = [&](const char* method, const char* path,
                             http_reply (routes::*handler)(const gateway_request&), bool changes = false) {
            table.add(method, path, true, [this, handler, changes](const gateway_request& request) {
                if (changes && frozen_) throw server_frozen();
                return (this->*handler)(request);
            });
        };
        add("POST", "/folders", &routes::create, true);
        add("GET", "/folders", &routes::list);
        for (const char* path : {"/folders/_/hosts", "/folders/_/all-hosts", "/folders/_/all_hosts"})
            add("GET", path, &routes::hosts);
        for (const char* path : {"/folders/_/allowed-types", "/folders/_/allowed_types"})
            add("GET", path, &routes::allowed_types);
        add("GET", "/folders/invitations/list", &routes::invitations);
        for (const char* path : {"/folders/invitations/list-sent", "/folders/invitations/list_sent"})
            add("GET", path, &routes::sent_invitations);
        add("POST", "/folders/invitations/accept", &routes::accept, true);
        add("DELETE", "/folders/invitations/delete", &routes::reject, true);
        add("GET", "/folders/{}", &routes::info);
        add("DELETE", "/folders/{}", &routes::remove, true);
        add("POST", "/folders/{}/rename", &routes::rename, true);
        add("POST", "/folders/{}/leave", &routes::leave);
        add("POST", "/folders/{}/invite", &routes::invite, true);
        add("POST", "/folders/{}/mkdir", &routes::mkdir);
        add("GET", "/folders/{}/files", &routes::list_files);
        for (const char* path : {"/folders/{}/rename-file", "/folders/{}/rename_file"})
            add("POST", path, &routes::rename_file);
        add("POST", "/folders/{}/move-file", &routes::move_file);
        for (const char* path : {"/folders/{}/delete-files", "/folders/{}/delete_files"}) {
            add("DELETE", path, &routes::delete_files);
            if (protocol_.has_post_delete) add("POST", path, &routes::delete_files);
        }
    }

private:
    using json = nlohmann::json;

    static constexpr const char* host_name = "local:volume1";

    // --- folders -----------------------------------------------------------------------------------------------------

    http_reply create(const gateway_request& request) {
        parameters given(request);
        folder wanted;
        wanted.owner = access_key_of(request.call);
        const bool has_name = given.find({"name"}) != nullptr;
        wanted.name = given.required_text({"name"});
        if (has_name && !is_slug(wanted.name)) given.wrong("name", "value must be a valid slug.");
        wanted.host = given.text({"host"}).value_or(host_name);
        const auto choose = [&given](const char* key, const char* fallback, std::initializer_list<const char*> allowed,
                                     const char* type) {
            const std::string value = given.text({key}).value_or(fallback);
            for (const char* each : allowed) {
                if (value == each) return value;
            }
            given.wrong(key, std::string("value is not a valid member of ") + type);
            return value;
        };
        wanted.usage_mode = choose("usage_mode", "general", {"general", "model", "data"}, "VFolderUsageMode");
        wanted.permission = choose("permission", "rw", {"ro", "rw", "wd"}, "VFolderPermission");
        wanted.group = given.text({"group", "groupId", "group_id"}).value_or("");
        wanted.cloneable = given.boolean({"cloneable"}, false);
        given.text({"unmanaged_path", "unmanagedPath"});
        given.find({"quota"});
        given.finish();
        if (wanted.name == ".ssh" || wanted.name == ".bash_profile")
            throw invalid_parameters(wanted.name + " is reserved for internal operations.");
        if (wanted.host != host_name) {
            throw invalid_parameters("`VFolderHostPermission.CREATE` Not allowed in vfolder host(`" + wanted.host +
                                     "`)");
        }
        if (wanted.name.size() > 64 ||
            (!wanted.group.empty() && wanted.group != "default" && wanted.group != group_id()))
            throw problem(500, "internal-server-error", "Internal server error.");
        if (!wanted.group.empty() && !is_admin(wanted.owner))
            throw problem(403, "generic-forbidden", "Forbidden operation.");
        const folder made = folders_.create(std::move(wanted));
        std::filesystem::create_directory(root_ / made.name);
        json answer = describe(made);
        answer.update({{"permission", made.permission}, {"max_size", nullptr}});
        return json_reply(answer, 201);
    }

    // What all answers about a folder tell.
    json describe(const folder& item) const {
        const bool is_group = !item.group.empty();
        return {{"id", item.id},
                {"name", item.name},
                {"quota_scope_id", is_group ? "project:" + group_id() : "user:" + user_uuid(item.owner)},
                {"host", host_name},
                {"usage_mode", item.usage_mode},
                {"creator", folders_.email_of(item.owner)},
                {"ownership_type", is_group ? "group" : "user"},
                {"user", is_group ? json() : json(user_uuid(item.owner))},
                {"group", is_group ? json(group_id()) : json()},
                {"cloneable", item.cloneable},
                {"status", "ready"}};
    }

    http_reply list(const gateway_request& request) {
        if (request.call.body.empty()) {
            parameters given(request);
            for (const char* key : {"group_id", "owner_user_email"}) given.text({key});
            given.find({"all"});
            given.finish();
        }
        const std::string user = access_key_of(request.call);
        json result = json::array();
        for (const folder& item : folders_.seen_by(user)) {
            json told = describe(item);
            told.update({{"created_at", python_date(item.created_at)},
                         {"is_owner", item.owner == user},
                         {"permission", item.permission_of(user)},
                         {"user_email", folders_.email_of(item.owner)},
                         {"group_name", item.group.empty() ? json() : json("default")},
                         {"type", told["ownership_type"]},
                         {"max_files", 1000},
                         {"max_size", nullptr},
                         {"cur_size", 0}});
            result.push_back(std::move(told));
        }
        return json_reply(result);
    }

    http_reply info(const gateway_request& request) {
        const std::string user = access_key_of(request.call);
        const folder item = find(request, "ro");
        const disk_usage used = usage_of(root_ / item.name);
        const bool is_group = !item.group.empty();
        const std::string created = python_date(item.created_at);
        return json_reply({{"name", item.name},
                           {"id", item.id},
                           {"host", host_name},
                           {"quota_scope_id", describe(item)["quota_scope_id"]},
                           {"status", "ready"},
                           {"numFiles", used.files},
                           {"num_files", used.files},
                           {"used_bytes", used.bytes},
                           {"created", created},
                           {"created_at", created},
                           {"last_used", created},
                           {"user", is_group ? "None" : user_uuid(item.owner)}, // absent ones are the text "None"
                           {"group", is_group ? group_id() : "None"},
                           {"type", is_group ? "group" : "user"},
                           {"is_owner", item.owner == user},
                           {"permission", item.permission_of(user)},
                           {"usage_mode", item.usage_mode},
                           {"cloneable", item.cloneable},
                           {"max_size", nullptr},
                           {"cur_size", 0}});
    }

    http_reply remove(const gateway_request& request) {
        const std::string user = access_key_of(request.call);
        if (find(request, "ro").owner != user)
            throw invalid_parameters("Cannot delete the vfolder that is not owned by myself.");
        folders_.remove(user, request.arguments[0]);
        std::filesystem::remove_all(root_ / request.arguments[0]);
        return empty_reply();
    }

    http_reply rename(const gateway_request& request) {
        parameters given(request);
        const std::string name = given.required_text({"new_name"});
        if (!name.empty() && !is_slug(name)) given.wrong("new_name", "value must be a valid slug.");
        given.finish();
        const std::string old = request.arguments[0];
        if (find(request, "ro").owner != access_key_of(request.call)) throw not_found(request);
        folders_.rename(access_key_of(request.call), old, name);
        std::filesystem::rename(root_ / old, root_ / name);
        return empty_with(201);
    }

    http_reply leave(const gateway_request& request) {
        folders_.leave(access_key_of(request.call), request.arguments[0]);
        return json_reply({{"msg", "left the shared vfolder"}});
    }

    http_reply hosts(const gateway_request& request) {
        const bool all = request.call.target.find("/all") != std::string::npos;
        if (all && !is_admin(access_key_of(request.call))) throw authorization_failed("Unauthorized access");
        json answer = {{"default", host_name}, {"allowed", {host_name}}};
        if (!all) {
            answer["volume_info"][host_name] = {{"backend", "vfs"},
                                                {"capabilities", {"vfolder"}},
                                                {"usage", {{"percentage", 0.0}}},
                                                {"sftp_scaling_groups", json::array()}};
        }
        return json_reply(answer);
    }
    http_reply allowed_types(const gateway_request& /*request*/) { return json_reply({"user", "group"}); }

    // --- files -------------------------------------------------------------------------------------------------------

    http_reply mkdir(const gateway_request& request) {
        parameters given(request);
        const std::string text = given.required_text({"path"});
        const bool parents = given.boolean({"parents"}, true), exist_ok = given.boolean({"exist_ok"}, false);
        given.finish();
        const auto path = place(request, text, "rw");
        std::error_code error;
        if (std::filesystem::exists(path)) {
            if (!exist_ok || !std::filesystem::is_directory(path)) throw failed(EEXIST, text);
        } else if (parents) {
            std::filesystem::create_directories(path, error);
        } else if (!std::filesystem::is_directory(path.parent_path())) {
            throw failed(ENOENT, text);
        } else {
            std::filesystem::create_directory(path, error);
        }
        if (error) throw failed(error.value(), text);
        if (!protocol_.answers_mkdir) return empty_with(201);
        return json_reply(
            {{"results", {{"success", json::array({{{"msg", nullptr}, {"item", text}}})}, {"failed", json::array()}}}});
    }

    http_reply list_files(const gateway_request& request) {
        parameters given(request);
        const std::string text = given.text({"path"}).value_or("");
        given.finish();
        const auto directory = place(request, text.empty() ? "." : text, "ro");
        if (!std::filesystem::exists(directory)) throw failed(ENOENT, text);
        if (!std::filesystem::is_directory(directory)) throw failed(ENOTDIR, text);
        json items = json::array();
        for (const auto& entry : std::filesystem::directory_iterator(directory)) {
            struct stat data {};
            if (::lstat(entry.path().c_str(), &data) != 0) continue; // gone meanwhile
            char mode[8];
            std::snprintf(mode, sizeof mode, "%o", static_cast<unsigned>(data.st_mode & 07777));
            items.push_back({{"name", entry.path().filename().string()},
                             {"type", S_ISDIR(data.st_mode)   ? "DIRECTORY"
                                      : S_ISLNK(data.st_mode) ? "SYMBOLIC_LINK"
                                                              : "FILE"},
                             {"size", data.st_size},
                             {"mode", mode},
                             {"created", date_of(data.st_ctime)},
                             {"modified", date_of(data.st_mtime)}});
        }
        json answer = {{"items", items}};
        if (!protocol_.reads_run_id) answer["files"] = list_directory(directory); // gone by 25.6
        return json_reply(answer);
    }
    static std::string date_of(time_t time) {
        return codec::format_date(
            std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::from_time_t(time)));
    }

    http_reply rename_file(const gateway_request& request) {
        parameters given(request);
        const std::string target = given.required_text({"target_path"}), name = given.required_text({"new_name"});
        given.finish();
        const auto from = place(request, target, "rw");
        move(from, from.parent_path() / name, target);
        return json_reply(json::object());
    }
    http_reply move_file(const gateway_request& request) {
        parameters given(request);
        const std::string source = given.required_text({"src"}), target = given.required_text({"dst"});
        given.finish();
        move(place(request, source, "rw"), place(request, target, "rw"), source);
        return json_reply(json::object());
    }
    void move(const std::filesystem::path& from, const std::filesystem::path& to, const std::string& text) const {
        std::error_code error;
        if (!std::filesystem::exists(std::filesystem::symlink_status(from))) throw failed(ENOENT, text);
        std::filesystem::rename(from, to, error);
        if (error) throw failed(error.value(), text);
    }

    http_reply delete_files(const gateway_request& request) {
        parameters given(request);
        const std::vector<std::string> names = given.texts({"files"}, true);
        const bool recursive = given.boolean({"recursive"}, false);
        given.finish();
        if (names.empty()) throw operation_failed();
        const auto root = root_ / find(request, "rw").name;
        std::vector<std::filesystem::path> places;
        for (const std::string& name : names) {
            places.push_back(place_in(root, name));
            const auto status = std::filesystem::symlink_status(places.back());
            if (!std::filesystem::exists(status)) throw failed(ENOENT, name);
            if (places.back() == root || (std::filesystem::is_directory(status) && !recursive))
                throw failed(EISDIR, name);
        }
        for (const auto& path : places) std::filesystem::remove_all(path);
        return json_reply(json::object());
    }

    // --- invitations -------------------------------------------------------------------------------------------------

    http_reply invite(const gateway_request& request) {
        parameters given(request);
        const std::string permission = given.text({"perm", "permission"}).value_or("rw");
        const std::vector<std::string> emails = given.texts({"emails", "user_ids", "userIDs"}, true);
        given.finish();
        const folder item = find(request, "ro");
        if (item.owner != access_key_of(request.call)) throw not_found(request);
        if (!item.group.empty()) throw problem(404, "vfolder-not-found", "No such virtual folder.");
        if (emails.empty()) throw no_invitation();
        json invited = json::array();
        for (const std::string& email : emails) {
            if (folders_.invite(item.owner, item.name, permission, email)) invited.push_back(email);
        }
        return json_reply({{"invited_ids", invited}}, 201);
    }

    http_reply tell(const std::vector<invitation>& list) const {
        json told = json::array();
        for (const invitation& item : list) {
            std::string folder_id = item.folder_id;
            for (const std::size_t dash : {20U, 16U, 12U, 8U}) folder_id.insert(dash, "-");
            told.push_back({{"id", item.id},
                            {"inviter", item.inviter},
                            {"invitee", item.invitee},
                            {"perm", item.permission},
                            {"state", "pending"},
                            {"created_at", item.created},
                            {"modified_at", "None"},
                            {"vfolder_id", folder_id},
                            {"vfolder_name", item.folder_name}});
        }
        return json_reply({{"invitations", told}});
    }
    http_reply invitations(const gateway_request& request) {
        return tell(folders_.invitations_of(access_key_of(request.call)));
    }
    http_reply sent_invitations(const gateway_request& request) {
        return tell(folders_.sent_by(access_key_of(request.call)));
    }
    http_reply accept(const gateway_request& request) {
        parameters given(request);
        const std::string id = given.required_text({"inv_id"});
        given.finish();
        const std::string user = access_key_of(request.call);
        if (folders_.accept(user, id, user).empty()) throw no_invitation();
        return json_reply(json::object());
    }
    http_reply reject(const gateway_request& request) {
        parameters given(request);
        const std::string id = given.required_text({"inv_id"});
        given.finish();
        if (!folders_.reject(access_key_of(request.call), id, true)) {
            throw problem(500, "internal-server-error", "Internal server error.", nullptr,
                          "unexpected error: No such vfolder invitation.");
        }
        return json_reply(json::object());
    }

    // -----------------------------------------------------------------------------------------------------------------

    static std::string group_id() { return "2de2b969-1d04-48a6-af16-0bc8adb3c831"; }

    bool is_admin(const std::string& access_key) const {
        const auto caller = keypairs_.find(access_key);
        return caller && caller->is_admin;
    }
    static bool is_slug(const std::string& text) {
        return folder_table::is_name(text.rfind('.', 0) == 0 ? text.substr(1) : text);
    }
    static problem not_found(const gateway_request& request) {
        return {404, "vfolder-not-found", "No such virtual folder.", {{"data", request.arguments[0]}}};
    }
    static problem no_invitation() { return {404, "object-not-found", "No such vfolder invitation."}; }
    static problem operation_failed() {
        return {400, "vfolder-operation-failed", "Virtual folder operation has failed.", nullptr,
                "Storage proxy responded with 500 Internal Server Error"};
    }
    static problem failed(int number, const std::string& path) {
        return {400,
                "invalid-api-params",
                "Missing or invalid API parameters.",
                {{"data", {{"errno", number}, {"paths", {path}}}}},
                std::generic_category().message(number)};
    }
    static http_reply empty_with(int status) {
        http_reply reply;
        reply.status = status;
        reply.headers = {{"Content-Type", "application/octet-stream"}};
        return reply;
    }

    // What goes beyond the caller's permission is said not to be there. Who may write may delete as well.
    folder find(const gateway_request& request, const std::string& permission) const {
        try {
            return folders_.find(access_key_of(request.call), request.arguments[0], permission);
        } catch (const problem&) {
            throw not_found(request);
        }
    }
    std::filesystem::path place(const gateway_request& request, const std::string& text, const char* permission) const {
        return place_in(root_ / find(request, permission).name, text);
    }
    static std::filesystem::path place_in(const std::filesystem::path& root, const std::string& text) {
        if (!text.empty() && text.front() == '/') {
            throw problem(400, "invalid-api-params", "Missing or invalid API parameters.",
                          {{"data",
                            {{"type", "https://api.backend.ai/probs/storage/invalid-api-params"},
                             {"title", "Invalid API parameters"},
                             {"data", {{"relpath", "expected relative path but the value is absolute"}}}}}});
        }
        try {
            return place_below(root, text);
        } catch (const problem&) {
            throw operation_failed(); // out of the folder: the storage proxy fails
        }
    }

    const gateway_protocol& protocol_;
    const keypair_store& keypairs_;
    const std::atomic<bool>& frozen_;
};

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
