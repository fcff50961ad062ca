/// @file
/// Who owns and who may use the embedded gateway's virtual folders.
#ifndef BACKENDAI_TESTING_GATEWAY_FOLDER_TABLE_HPP
#define BACKENDAI_TESTING_GATEWAY_FOLDER_TABLE_HPP

#include <backendai/codec/date.hpp>
#include <backendai/testing/gateway_sessions.hpp>
#include <backendai/testing/gateway_types.hpp>
#include <backendai/version.hpp>

#include <chrono>
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
    std::chrono::system_clock::time_point created_at;
    // Of modern servers. What the owner may do is not more than `permission` there.
    std::string usage_mode = "general", permission = "wd", group;
    bool cloneable = false;
    std::map<std::string, std::string> members; ///< access key -> permission, from accepted invitations

    std::string permission_of(const std::string& user) const {
        if (user == owner) return permission;
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
        folder made;
        made.name = name;
        made.host = host.empty() ? "local" : host;
        made.owner = owner;
        return create(std::move(made));
    }
    /// The same with all that a folder has but its id and date.
    folder create(folder made) {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (folders_.count(made.name) != 0)
            throw problem(400, "vfolder-already-exists", "The virtual folder already exists with the same name.");
        made.id = random_token(16);
        made.created_at = options_.clock();
        made.created = codec::format_date(made.created_at);
        folders_[made.name] = made;
        return made;
    }
    /// @throws problem when it is not the user's, or the name is taken.
    void rename(const std::string& user, const std::string& name, const std::string& new_name) {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = folders_.find(name);
        if (found == folders_.end() || found->second.owner != user) throw not_found();
        if (folders_.count(new_name) != 0)
            throw invalid_parameters("One of your accessible vfolders already has the name you requested.");
        folder moved = found->second;
        moved.name = new_name;
        folders_.erase(found);
        folders_[new_name] = std::move(moved);
        for (auto& item : invitations_) {
            if (item.second.folder_name == name) item.second.folder_name = new_name;
        }
    }
    /// Gives up what an accepted invitation gave.
    void leave(const std::string& user, const std::string& name) {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = folders_.find(name);
        if (found == folders_.end() || found->second.members.erase(user) == 0) throw not_found();
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

    std::vector<invitation> sent_by(const std::string& user) const {
        const std::lock_guard<std::mutex> lock(mutex_);
        std::vector<invitation> result;
        for (const auto& item : invitations_) {
            if (item.second.inviter == email_of(user)) result.push_back(item.second);
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

    /// @param or_inviter who made it may take it back too
    bool reject(const std::string& user, const std::string& id, bool or_inviter = false) {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = invitations_.find(id);
        const std::string email = email_of(user);
        if (found == invitations_.end()) return false;
        if (found->second.invitee != email && !(or_inviter && found->second.inviter == email)) return false;
        invitations_.erase(found);
        return true;
    }

    std::string email_of(const std::string& access_key) const {
        if (access_key == options_.access_key) return options_.email;
        for (const gateway_user& user : options_.other_users) {
            if (user.access_key == access_key) return user.email;
        }
        return {};
    }

private:
    static problem not_found() { return {404, "vfolder-not-found", "No such virtual folder."}; }

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
