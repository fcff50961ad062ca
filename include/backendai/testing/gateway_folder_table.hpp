/// @file
/// Who owns and who may use the embedded gateway's virtual folders.
#ifndef BACKENDAI_TESTING_GATEWAY_FOLDER_TABLE_HPP
#define BACKENDAI_TESTING_GATEWAY_FOLDER_TABLE_HPP

#include <backendai/codec/date.hpp>
#include <backendai/testing/gateway_sessions.hpp>
#include <backendai/testing/gateway_types.hpp>
#include <backendai/version.hpp>

#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// One folder.
struct folder {
    std::string id, name, host, owner, created;
    std::map<std::string, std::string> members; ///< access key -> permission, from accepted invitations

    std::string permission_of(const std::string& user) const {
        if (user == owner) return "wd";
        const auto found = members.find(user);
        return found == members.end() ? std::string() : found->second;
    }
};

/// One invitation that waits for an answer.
struct invitation {
    std::string id, inviter, invitee, permission, created, folder_id, folder_name; ///< inviter, invitee: e-mails
};

/// Thread-safe. Names are unique for the whole gateway, so that a session can mount any folder by its name; on real
/// servers they are for each owner.
class folder_table {
public:
    explicit folder_table(const gateway_options& options) : options_(options) {}

    /// `[a-zA-Z0-9]([a-zA-Z0-9._-]*[a-zA-Z0-9])?`
    static bool is_name(const std::string& text) {
        const auto alphanumeric = [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        };
        bool good = !text.empty() && alphanumeric(text.front()) && alphanumeric(text.back());
        for (const char c : text) good = good && (alphanumeric(c) || c == '.' || c == '_' || c == '-');
        return good;
    }

    /// @throws problem vfolder-already-exists.
    folder create(const std::string& owner, const std::string& name, const std::string& host) {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (folders_.count(name) != 0)
            throw problem(400, "vfolder-already-exists", "The virtual folder already exists with the same name.");
        folder made;
        made.id = random_token(16);
        made.name = name;
        made.host = host.empty() ? "local" : host;
        made.owner = owner;
        made.created = codec::format_date(options_.clock());
        folders_[name] = made;
        return made;
    }

    /// A folder that the user may use so: "ro", "rw" or "wd". @throws problem vfolder-not-found.
    folder find(const std::string& user, const std::string& name, const std::string& permission) const {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = folders_.find(name);
        const std::string has = found == folders_.end() ? std::string() : found->second.permission_of(user);
        static const std::string order = "ro rw wd";
        if (has.empty() || order.find(has) < order.find(permission)) throw not_found();
        return found->second;
    }

    void remove(const std::string& user, const std::string& name) {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = folders_.find(name);
        if (found == folders_.end() || found->second.owner != user) throw not_found();
        for (auto item = invitations_.begin(); item != invitations_.end();) {
            item = item->second.folder_name == name ? invitations_.erase(item) : std::next(item);
        }
        folders_.erase(found);
    }

    std::vector<folder> seen_by(const std::string& user) const {
        const std::lock_guard<std::mutex> lock(mutex_);
        std::vector<folder> result;
        for (const auto& item : folders_) {
            if (!item.second.permission_of(user).empty()) result.push_back(item.second);
        }
        return result;
    }

    /// False when nobody of this e-mail address can be invited (again).
    bool invite(const std::string& user, const std::string& name, const std::string& permission,
                const std::string& email) {
        if (permission != "ro" && permission != "rw" && permission != "wd") throw invalid_parameters("perm: unknown");
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = folders_.find(name);
        if (found == folders_.end() || found->second.owner != user) throw not_found();
        const std::string invitee = key_of(email);
        if (invitee.empty() || !found->second.permission_of(invitee).empty()) return false;
        for (const auto& item : invitations_) {
            if (item.second.invitee == email && item.second.folder_name == name) return false;
        }
        invitation made;
        made.id = random_token(16);
        made.inviter = email_of(user);
        made.invitee = email;
        made.permission = permission;
        made.created = codec::format_date(options_.clock());
        made.folder_id = found->second.id;
        made.folder_name = name;
        invitations_[made.id] = made;
        return true;
    }

    std::vector<invitation> invitations_of(const std::string& user) const {
        const std::lock_guard<std::mutex> lock(mutex_);
        std::vector<invitation> result;
        for (const auto& item : invitations_) {
            if (item.second.invitee == email_of(user)) result.push_back(item.second);
        }
        return result;
    }

    /// The folder's name, or nothing when there is no such invitation for the user and that access key of theirs.
    std::string accept(const std::string& user, const std::string& id, const std::string& access_key) {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = invitations_.find(id);
        if (found == invitations_.end() || found->second.invitee != email_of(user) || access_key != user) return {};
        const std::string name = found->second.folder_name;
        folders_.at(name).members[user] = found->second.permission;
        invitations_.erase(found);
        return name;
    }

    bool reject(const std::string& user, const std::string& id) {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = invitations_.find(id);
        if (found == invitations_.end() || found->second.invitee != email_of(user)) return false;
        invitations_.erase(found);
        return true;
    }

private:
    static problem not_found() { return {404, "vfolder-not-found", "No such virtual folder."}; }

    std::string email_of(const std::string& access_key) const {
        if (access_key == options_.access_key) return options_.email;
        for (const gateway_user& user : options_.other_users) {
            if (user.access_key == access_key) return user.email;
        }
        return {};
    }
    std::string key_of(const std::string& email) const {
        if (email == options_.email) return options_.access_key;
        for (const gateway_user& user : options_.other_users) {
            if (user.email == email) return user.access_key;
        }
        return {};
    }

    const gateway_options& options_;
    mutable std::mutex mutex_;
    std::map<std::string, folder> folders_;
    std::map<std::string, invitation> invitations_;
};

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
