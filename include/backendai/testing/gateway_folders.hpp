/// @file
/// The embedded gateway's virtual folders: directories under its root, owners, invitations, and the endpoints.
#ifndef BACKENDAI_TESTING_GATEWAY_FOLDERS_HPP
#define BACKENDAI_TESTING_GATEWAY_FOLDERS_HPP

#include <backendai/testing/gateway_auth.hpp>
#include <backendai/testing/gateway_files.hpp>
#include <backendai/testing/gateway_folder_download.hpp>
#include <backendai/testing/gateway_folder_table.hpp>
#include <backendai/testing/gateway_router.hpp>
#include <backendai/testing/gateway_sessions.hpp>
#include <backendai/testing/gateway_types.hpp>
#include <backendai/version.hpp>

#include <nlohmann/json.hpp>

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// Handlers of /folders. Thread-safe.
class folder_routes {
public:
    folder_routes(const gateway_options& options, session_table& sessions, const std::atomic<file_lie>& lie)
        : options_(options), root_(sessions.root() / "vfolders"), folders_(options), lie_(lie) {
        for (const std::string& name : options.vfolders) folders_.create(options.access_key, name, "");
    }
    folder_routes(const folder_routes&) = delete;
    folder_routes& operator=(const folder_routes&) = delete;
    virtual ~folder_routes() = default;

    /// What GraphQL lists: the folders that the key itself owns.
    nlohmann::json owned_by(const std::string& access_key) const {
        nlohmann::json result = nlohmann::json::array();
        for (const folder& item : folders_.seen_by(access_key)) {
            if (item.owner != access_key) continue;
            result.push_back({{"id", item.id},
                              {"name", item.name},
                              {"host", item.host},
                              {"created_at", item.created},
                              {"usage_mode", item.usage_mode},
                              {"permission", item.permission},
                              {"cloneable", item.cloneable}});
        }
        return result;
    }

    /// Where the folder lies that the user may use so. @throws problem
    std::filesystem::path place_of(const std::string& user, const std::string& name, const char* permission) const {
        return root_ / folders_.find(user, name, permission).name;
    }

    virtual void add_to(router& table) {
        const auto bind = [this](http_reply (folder_routes::*handler)(const gateway_request&)) {
            return [this, handler](const gateway_request& request) { return (this->*handler)(request); };
        };
        table.add("POST", "/folders", true, bind(&folder_routes::create));
        table.add("GET", "/folders", true, bind(&folder_routes::list));
        table.add("GET", "/folders/invitations/list", true, bind(&folder_routes::invitations));
        table.add("POST", "/folders/invitations/accept", true, bind(&folder_routes::accept));
        table.add("DELETE", "/folders/invitations/delete", true, bind(&folder_routes::reject));
        table.add("GET", "/folders/{}", true, bind(&folder_routes::info));
        table.add("DELETE", "/folders/{}", true, bind(&folder_routes::remove));
        table.add("POST", "/folders/{}/mkdir", true, bind(&folder_routes::mkdir));
        table.add("POST", "/folders/{}/upload", true, bind(&folder_routes::upload));
        table.add("GET", "/folders/{}/download", true, bind(&folder_routes::download));
        table.add("DELETE", "/folders/{}/delete_files", true, bind(&folder_routes::delete_files));
        table.add("GET", "/folders/{}/files", true, bind(&folder_routes::list_files));
        table.add("POST", "/folders/{}/invite", true, bind(&folder_routes::invite));
    }

private:
    http_reply create(const gateway_request& request) {
        const nlohmann::json body = request.json();
        const auto name = body.find("name");
        if (name == body.end() || !name->is_string() || !folder_table::is_name(name->get<std::string>())) {
            throw problem(500, "internal-server-error", "Internal server error."); // a failed assertion there
        }
        const auto host = body.find("host");
        const std::string place = host != body.end() && host->is_string() ? host->get<std::string>() : std::string();
        const folder made = folders_.create(access_key_of(request.call), name->get<std::string>(), place);
        std::filesystem::create_directory(root_ / made.name);
        return json_reply({{"id", made.id}, {"name", made.name}, {"host", made.host}}, 201);
    }

    http_reply list(const gateway_request& request) {
        nlohmann::json result = nlohmann::json::array();
        const std::string user = access_key_of(request.call);
        for (const folder& item : folders_.seen_by(user)) {
            result.push_back({{"name", item.name},
                              {"id", item.id},
                              {"host", item.host},
                              {"is_owner", item.owner == user},
                              {"permission", item.permission_of(user)}});
        }
        return json_reply(result);
    }

    http_reply info(const gateway_request& request) {
        const std::string user = access_key_of(request.call);
        const folder item = folders_.find(user, request.arguments[0], "ro");
        const disk_usage used = usage_of(root_ / item.name);
        return json_reply({{"name", item.name},
                           {"id", item.id},
                           {"host", item.host},
                           {"numFiles", used.files},
                           {"created", item.created},
                           {"is_owner", item.owner == user},
                           {"permission", item.permission_of(user)}});
    }

    http_reply remove(const gateway_request& request) {
        folders_.remove(access_key_of(request.call), request.arguments[0]);
        std::filesystem::remove_all(root_ / request.arguments[0]);
        return empty_reply();
    }

protected:
    std::filesystem::path directory(const gateway_request& request, const char* permission) const {
        return place_of(access_key_of(request.call), request.arguments[0], permission);
    }

private:
    http_reply mkdir(const gateway_request& request) {
        const auto path = place_below(directory(request, "rw"), text_of(request.json(), "path"));
        std::error_code error;
        std::filesystem::create_directories(path, error);
        if (error) throw invalid_parameters(error.message());
        http_reply reply;
        reply.status = 201;
        return reply;
    }

    http_reply upload(const gateway_request& request) {
        upload_receiver(directory(request, "rw"), 10, 0).receive(request.call);
        http_reply reply;
        reply.status = 201;
        return reply;
    }

    http_reply download(const gateway_request& request) {
        const auto root = directory(request, "ro");
        std::vector<std::filesystem::path> files;
        for (const std::string& name : file_names(request.json())) {
            files.push_back(place_below(root, name));
            if (!std::filesystem::is_regular_file(files.back()))
                throw invalid_parameters("You cannot download \"" + name + "\" because it is not a regular file.");
        }
        const auto body = std::make_shared<folder_download>(std::move(files), options_.vfolder_encoding, lie_.load());
        http_reply reply;
        reply.headers = {{"Content-Type", "multipart/mixed; boundary=" + body->boundary()},
                         {"X-TOTAL-PAYLOADS-LENGTH", std::to_string(body->announced_total())}};
        const auto pull = [body](char* buffer, std::size_t capacity) { return body->read(buffer, capacity); };
        if (request.call.takes_stream && lie_ != file_lie::truncated_body) {
            reply.stream = pull;
            return reply;
        }
        std::vector<char> buffer(64 * 1024);
        while (const std::size_t count = pull(buffer.data(), buffer.size())) reply.body.append(buffer.data(), count);
        if (lie_ == file_lie::truncated_body) reply.body.resize(reply.body.size() / 2);
        return reply;
    }

    http_reply delete_files(const gateway_request& request) {
        const nlohmann::json body = request.json();
        const auto root = directory(request, "wd");
        const auto flag = body.find("recursive");
        const bool recursive = flag != body.end() && flag->is_boolean() && flag->get<bool>();
        std::vector<std::filesystem::path> places;
        for (const std::string& name : file_names(body)) {
            places.push_back(place_below(root, name));
            const auto status = std::filesystem::symlink_status(places.back());
            if (!std::filesystem::exists(status)) throw invalid_parameters("no such file: " + name);
            if (places.back() == root || (std::filesystem::is_directory(status) && !recursive))
                throw invalid_parameters("cannot delete directories without recursive option");
        }
        for (const auto& path : places) std::filesystem::remove_all(path);
        return json_reply(nlohmann::json::object());
    }

    http_reply list_files(const gateway_request& request) {
        const auto root = directory(request, "ro");
        const nlohmann::json body = request.json();
        try {
            const auto found = body.find("path");
            const auto path = place_below(root, found == body.end() ? "." : found->get<std::string>());
            return json_reply({{"files", list_directory(path)}});
        } catch (const problem&) {
            return json_reply({{"error_msg", "No such file or directory"}}, 404);
        } catch (const std::filesystem::filesystem_error&) {
            return json_reply({{"error_msg", "No such file or directory"}}, 404);
        }
    }

    http_reply invite(const gateway_request& request) {
        const nlohmann::json body = request.json();
        const auto users = body.find("user_ids");
        if (users == body.end() || !users->is_array()) throw invalid_parameters("user_ids: is required, a list");
        nlohmann::json invited = nlohmann::json::array();
        for (const auto& user : *users) {
            const std::string email = user.is_string() ? user.get<std::string>() : std::string();
            if (folders_.invite(access_key_of(request.call), request.arguments[0], text_of(body, "perm"), email))
                invited.push_back(email);
        }
        return json_reply({{"invited_ids", invited}}, 201);
    }

    http_reply invitations(const gateway_request& request) {
        nlohmann::json list = nlohmann::json::array();
        for (const invitation& item : folders_.invitations_of(access_key_of(request.call))) {
            list.push_back({{"id", item.id},
                            {"inviter", item.inviter},
                            {"perm", item.permission},
                            {"state", "pending"},
                            {"created_at", item.created},
                            {"vfolder_id", item.folder_id}});
        }
        return json_reply({{"invitations", list}});
    }

    // An unknown invitation is answered {msg}, which is no problem document.
    http_reply accept(const gateway_request& request) {
        const nlohmann::json body = request.json();
        const std::string name =
            folders_.accept(access_key_of(request.call), text_of(body, "inv_id"), text_of(body, "inv_ak"));
        if (name.empty()) return json_reply({{"msg", "No such vfolder invitation."}}, 404);
        return json_reply({{"msg", "Vfolder " + name + " can now be accessed by you."}}, 201);
    }
    http_reply reject(const gateway_request& request) {
        if (!folders_.reject(access_key_of(request.call), text_of(request.json(), "inv_id")))
            return json_reply({{"msg", "No such vfolder invitation."}}, 404);
        return json_reply({{"msg", "Vfolder invitation is rejected."}});
    }

    static std::string text_of(const nlohmann::json& body, const char* key) {
        const auto found = body.find(key);
        if (found == body.end() || !found->is_string()) throw invalid_parameters(std::string(key) + ": is required");
        return found->get<std::string>();
    }

protected:
    const gateway_options& options_;
    std::filesystem::path root_;
    folder_table folders_;

private:
    const std::atomic<file_lie>& lie_;
};

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
