/// @file
/// Results of the virtual folder functions, and the rules for folder names.
#ifndef BACKENDAI_API_VFOLDER_TYPES_HPP
#define BACKENDAI_API_VFOLDER_TYPES_HPP

#include <backendai/codec/printable.hpp>
#include <backendai/dialect.hpp>
#include <backendai/error.hpp>
#include <backendai/version.hpp>
#include <backendai/wire.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

/// Options of create(). Setting one that the session's protocol version does not know is a client_error{argument}.
struct vfolder_create_options {
    std::string host;                      ///< the storage to lie on; empty for the server's default
    std::optional<std::string> group;      ///< whose it is to be, in place of the caller's: UUID, or name before 26.3;
                                           ///< 19.09 (v4.20190615) on
    std::optional<std::string> usage_mode; ///< "general" (default), "model", "data"; 20.03 (v5.20191215) on
    std::optional<std::string> permission; ///< "ro", "rw" (default), "wd"; 20.03 (v5.20191215) on
    std::optional<std::string> unmanaged_path; ///< a place on the host that exists; admins only, 20.03 (v5.20191215) on
    std::optional<bool> cloneable;             ///< others may copy it; 20.09 (v6.20200815) on
    std::optional<std::string> quota;          ///< "10g"; 20.09 (v6.20200815) on, not every storage has it
};

/// Options of mkdir(); what is not the default is known from 20.09 (v6.20200815) on.
struct mkdir_options {
    bool parents = true;   ///< make those that are missing
    bool exist_ok = false; ///< one that exists is no error
};

/// Where folders can be made.
struct vfolder_hosts {
    std::optional<std::string> default_host; ///< where they are made when create() names none
    std::vector<std::string> allowed;
    json raw;
};

/// What create() made.
struct vfolder_creation {
    std::string id, name;
    std::string host; ///< the storage it lies on
    json raw;
};

/// A folder as list() tells it.
struct vfolder_summary {
    std::string id, name, host;
    bool is_owner = false;  ///< else it was shared by an invitation
    std::string permission; ///< "ro", "rw", "wd"; servers may know more
    json raw;
};

/// A folder as info() tells it.
struct vfolder_info {
    std::string id, name, host;
    std::int64_t num_files = 0;
    std::string created; ///< the server's text for the time
    bool is_owner = false;
    std::string permission;
    json raw;
};

/// An invitation to somebody else's folder.
struct vfolder_invitation {
    std::string id;
    std::string inviter; ///< e-mail address
    std::string invitee; ///< e-mail address; empty where the server does not say
    std::string permission;
    std::string state; ///< "pending"
    std::string created_at;
    std::string vfolder_id;
    std::string vfolder_name; ///< empty where the server does not say
    json raw;
};

namespace detail {

/// `.?[a-zA-Z0-9]([a-zA-Z0-9._-]*[a-zA-Z0-9])?`. @throws client_error{argument}
template <class = void>
void check_vfolder_name(const std::string& name) {
    const auto alphanumeric = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    };
    const std::size_t first = name.rfind('.', 0) == 0 ? 1 : 0;
    bool valid = name.size() > first && alphanumeric(name[first]) && alphanumeric(name.back());
    for (const char c : name) valid = valid && (alphanumeric(c) || c == '.' || c == '_' || c == '-');
    if (!valid) {
        throw client_error(error_kind::argument,
                           codec::printable(name) +
                               " is no name for a virtual folder: letters and digits, and '.', '_' "
                               "or '-' between them");
    }
}

/// The same by the server's version: 19.03 knows no names with a dot in front.
template <class = void>
void check_vfolder_name(const std::string& name, const dialect& language) {
    check_vfolder_name(name);
    if (name.front() == '.') language.require(feature::dot_folders);
}

/// Ids are UUIDs, in text; some servers have numbers.
template <class = void>
std::string id_text(const wire_object& fields, const char* key) {
    const json* member = fields.find(key);
    if (member == nullptr) return {};
    return member->is_number_integer() ? member->dump() : fields.string(key);
}

template <class = void>
vfolder_creation read_vfolder_creation(json answer) {
    const wire_object fields(answer, "the answer");
    vfolder_creation made;
    made.id = id_text(fields, "id");
    made.name = fields.string("name");
    made.host = fields.string_or("host", "");
    made.raw = std::move(answer);
    return made;
}

template <class = void>
std::vector<vfolder_summary> read_vfolder_list(const json& answer) {
    if (!answer.is_array()) bad_answer("the folders are not a list");
    std::vector<vfolder_summary> folders;
    for (const json& item : answer) {
        const wire_object fields(item, "a folder");
        vfolder_summary folder;
        folder.id = id_text(fields, "id");
        folder.name = fields.string("name");
        folder.host = fields.string_or("host", "");
        folder.is_owner = fields.boolean_or("is_owner", false);
        folder.permission = fields.string_or("permission", "");
        folder.raw = item;
        folders.push_back(std::move(folder));
    }
    return folders;
}

template <class = void>
vfolder_info read_vfolder_info(json answer) {
    const wire_object fields(answer, "the folder");
    vfolder_info folder;
    folder.id = id_text(fields, "id");
    folder.name = fields.string("name");
    folder.host = fields.string_or("host", "");
    // Both names are sent by servers of the years between.
    folder.num_files = fields.integer_or("num_files", fields.integer_or("numFiles", 0));
    folder.created = fields.string_or("created_at", fields.string_or("created", ""));
    folder.is_owner = fields.boolean_or("is_owner", false);
    folder.permission = fields.string_or("permission", "");
    folder.raw = std::move(answer);
    return folder;
}

template <class = void>
vfolder_hosts read_vfolder_hosts(json answer) {
    const wire_object fields(answer, "the hosts");
    vfolder_hosts hosts;
    if (fields.find("default") != nullptr) hosts.default_host = fields.string("default");
    for (const json& host : fields.array_or_empty("allowed")) {
        if (!host.is_string()) bad_answer("a host's name is not a text");
        hosts.allowed.push_back(host.get<std::string>());
    }
    hosts.raw = std::move(answer);
    return hosts;
}

template <class = void>
std::vector<vfolder_invitation> read_vfolder_invitations(const json& answer) {
    std::vector<vfolder_invitation> invitations;
    for (const json& item : wire_object(answer, "the answer").array_or_empty("invitations")) {
        const wire_object fields(item, "an invitation");
        vfolder_invitation invitation;
        invitation.id = id_text(fields, "id");
        invitation.inviter = fields.string_or("inviter", "");
        invitation.invitee = fields.string_or("invitee", "");
        invitation.permission = fields.string_or("perm", "");
        invitation.state = fields.string_or("state", "");
        invitation.created_at = fields.string_or("created_at", "");
        invitation.vfolder_id = id_text(fields, "vfolder_id");
        invitation.vfolder_name = fields.string_or("vfolder_name", "");
        invitation.raw = item;
        invitations.push_back(std::move(invitation));
    }
    return invitations;
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
