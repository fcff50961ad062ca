/// @file
/// What differs between the generations of servers, in one place: a table of rules and a table of features, both by the
/// protocol version they hold from. The API classes ask a dialect and compare no versions; a new generation is one more
/// entry in dialect_table, which changes what it changes in the entry before.
#ifndef BACKENDAI_DIALECT_HPP
#define BACKENDAI_DIALECT_HPP

#include <backendai/error.hpp>
#include <backendai/protocol_version.hpp>
#include <backendai/version.hpp>

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// How the bytes of a virtual folder's files travel.
enum class folder_transfer {
    multipart,    ///< form-data to the manager, multipart/mixed from it
    storage_proxy ///< a token from the manager, then TUS and ranges with the storage proxy
};

/// How the files of a compute session are asked for.
enum class session_download {
    get,         ///< GET
    get_or_post, ///< GET, and POST where the server calls that deprecated
    post         ///< POST
};

/// How a page of a GraphQL listing is filtered and put in order.
enum class page_order {
    none,              ///< there are no pages: the list comes whole
    key_and_direction, ///< `order_key` and `order_asc`; no filter
    expressions        ///< `filter` and `order`
};

/// A field that has another name since.
struct field_rename {
    std::string_view from, to;
};

/// How a generation of servers wants to be spoken to.
struct dialect_rules {
    std::string_view since; ///< the first protocol version that it holds for

    // --- compute sessions --------------------------------------------------------------------------------------------
    std::string_view session_path;        ///< what stands before a compute session's id
    std::string_view create_session_path; ///< where compute sessions are made
    std::string_view stream_path;         ///< what stands before a compute session's id in websocket paths
    std::string_view events_path;         ///< the stream of events
    std::string_view events_name_key;     ///< its parameter for the session's name
    std::string_view events_id_key;       ///< its parameter for the session's UUID; empty: it takes names only
    std::string_view session_name_key;    ///< a creation's member for the client token
    std::string_view image_key;           ///< a creation's member for the image
    std::string_view session_id_key;      ///< the member of its answer that holds the session's id
    bool cluster_size_in_config;          ///< `clusterSize` stands in `config`; else beside it
    bool arguments_in_query_too; ///< file requests carry their arguments in body and query: servers read either
    bool run_id_twice;           ///< the run is named by `runId` and `run_id`: servers read either
    session_download download;

    // --- virtual folders ---------------------------------------------------------------------------------------------
    folder_transfer transfer;
    bool uploads_make_parents;            ///< the storage proxy makes the directories above a file
    bool folder_listing_in_query;         ///< the path to list is in the query; else in a body
    std::string_view delete_files_path;   ///< below the folder's
    std::string_view delete_files_method; ///< with a body in any case
    std::string_view rename_file_path;    ///< below the folder's
    std::string_view sent_invitations_path;
    std::string_view invitees_key;    ///< an invitation's member for whom to invite
    bool acceptance_names_access_key; ///< accepting an invitation says for which access key

    // --- GraphQL -----------------------------------------------------------------------------------------------------
    std::string_view graphql_path;
    bool graphql_envelope;          ///< answers are {data, errors} with status 200; else bare data, or 400 with a list
    std::string_view keypair_input; ///< type of the `props` of modify_keypair
    bool keypair_input_is_whole;    ///< a modification has to send the limits that stay too
    bool integer_user_ids;          ///< user ids may be numbers; else e-mail addresses only
    std::string_view keypair_user_key;           ///< argument of the key pair listings for whose they are
    page_order session_pages;                    ///< of compute_session_list; none: compute_sessions
    page_order folder_pages;                     ///< of vfolder_list; none: vfolders
    page_order keypair_pages;                    ///< of keypair_list; none: keypairs
    page_order agent_pages;                      ///< of agent_list; none: agents
    bool session_by_uuid;                        ///< compute_session() takes the UUID `id`; else the name `sess_id`
    std::string_view group_id_type;              ///< of the argument group_id of listings
    std::string_view sessions_fields;            ///< what is told of each session by default
    std::string_view session_fields;             ///< what is told of one session by default
    std::array<field_rename, 3> session_renames; ///< fields of sessions that are asked for under another name
};

// Fields that 19.03 has and later servers do not come under their old name, by an alias, where something takes their
// place: a program written for the one works with the others.
inline constexpr dialect_rules dialect_v4_20190315 = [] {
    dialect_rules rules{};
    rules.since = "v4.20190315"; // 19.03
    rules.session_path = "/kernel";
    rules.create_session_path = "/kernel/create";
    rules.stream_path = "/stream/kernel";
    rules.events_path = "/stream/kernel/_/events"; // served from 19.09 on, see feature::events
    rules.events_name_key = "sessionId";
    rules.session_name_key = "clientSessionToken";
    rules.image_key = "lang";
    rules.session_id_key = "kernelId";
    rules.cluster_size_in_config = true;
    rules.download = session_download::get;
    rules.transfer = folder_transfer::multipart;
    rules.delete_files_path = "/delete_files";
    rules.delete_files_method = "DELETE";
    rules.rename_file_path = "/rename_file";
    rules.sent_invitations_path = "/folders/invitations/list_sent";
    rules.invitees_key = "user_ids";
    rules.acceptance_names_access_key = true;
    rules.graphql_path = "/admin/graphql";
    rules.keypair_input = "KeyPairInput";
    rules.keypair_input_is_whole = true;
    rules.integer_user_ids = true;
    rules.keypair_user_key = "user_id";
    rules.group_id_type = "String";
    rules.sessions_fields = "sess_id image tag created_at terminated_at status occupied_slots mem_cur_bytes "
                            "mem_max_bytes cpu_using";
    rules.session_fields = "sess_id role image tag created_at terminated_at agent status status_info occupied_slots "
                           "cpu_used mem_cur_bytes mem_max_bytes num_queries net_rx_bytes net_tx_bytes io_read_bytes "
                           "io_write_bytes io_max_scratch_size io_cur_scratch_size cpu_using";
    return rules;
}();
inline constexpr dialect_rules dialect_v4_20190615 = [] {
    dialect_rules rules = dialect_v4_20190315;
    rules.since = "v4.20190615"; // 19.09
    rules.acceptance_names_access_key = false;
    rules.keypair_input = "ModifyKeyPairInput";
    rules.keypair_input_is_whole = false;
    rules.integer_user_ids = false;
    rules.keypair_user_key = "email";
    rules.session_pages = rules.folder_pages = rules.agent_pages = page_order::key_and_direction;
    return rules;
}();
inline constexpr dialect_rules dialect_v5_20191215 = [] {
    dialect_rules rules = dialect_v4_20190615;
    rules.since = "v5.20191215"; // 20.03
    rules.session_path = rules.create_session_path = "/session";
    rules.stream_path = "/stream/session";
    rules.events_path = "/events/session";
    rules.events_name_key = "name";
    rules.session_name_key = "name";
    rules.image_key = "image";
    rules.session_id_key = "sessionId";
    rules.arguments_in_query_too = true;
    rules.run_id_twice = true;
    rules.folder_listing_in_query = true;
    rules.keypair_pages = page_order::key_and_direction;
    rules.session_by_uuid = true;
    rules.session_renames = {{{"sess_id", "name"}, {"lang", "image"}, {"sess_type", "type"}}};
    rules.sessions_fields = "sess_id: name id name type image tag created_at terminated_at status occupied_slots";
    rules.session_fields = "sess_id: name id name type image tag created_at terminated_at status status_info "
                           "occupied_slots num_queries service_ports domain_name group_name user_email access_key "
                           "scaling_group mounts startup_command result";
    return rules;
}();
inline constexpr dialect_rules dialect_v6_20200815 = [] {
    dialect_rules rules = dialect_v5_20191215;
    rules.since = "v6.20200815";           // 20.09
    rules.events_name_key = "sessionName"; // the spelling before is gone from 26.3 on
    rules.events_id_key = "sessionId";
    rules.cluster_size_in_config = false;
    rules.transfer = folder_transfer::storage_proxy;
    rules.delete_files_path = "/delete-files";
    rules.rename_file_path = "/rename-file";
    rules.sent_invitations_path = "/folders/invitations/list-sent";
    rules.invitees_key = "emails";
    rules.group_id_type = "UUID";
    return rules;
}();
inline constexpr dialect_rules dialect_v6_20210815 = [] {
    dialect_rules rules = dialect_v6_20200815;
    rules.since = "v6.20210815"; // 20.09.29, 21.03.x, 21.09; servers from 26.4 on do not know it any more
    rules.graphql_path = "/admin/gql";
    rules.graphql_envelope = true;
    rules.session_pages = rules.folder_pages = rules.keypair_pages = rules.agent_pages = page_order::expressions;
    return rules;
}();
inline constexpr dialect_rules dialect_v6_20220315 = [] {
    dialect_rules rules = dialect_v6_20210815;
    rules.since = "v6.20220315"; // 22.03
    return rules;
}();
inline constexpr dialect_rules dialect_v6_20220615 = [] {
    dialect_rules rules = dialect_v6_20220315;
    rules.since = "v6.20220615"; // 22.09
    return rules;
}();
inline constexpr dialect_rules dialect_v6_20230315 = [] {
    dialect_rules rules = dialect_v6_20220615;
    rules.since = "v6.20230315"; // 23.03.0
    return rules;
}();
inline constexpr dialect_rules dialect_v7_20230615 = [] {
    dialect_rules rules = dialect_v6_20230315;
    rules.since = "v7.20230615"; // 23.03.12, 23.09
    rules.uploads_make_parents = true;
    return rules;
}();
inline constexpr dialect_rules dialect_v8_20240315 = [] {
    dialect_rules rules = dialect_v7_20230615;
    rules.since = "v8.20240315"; // 24.03
    rules.download = session_download::get_or_post;
    return rules;
}();
inline constexpr dialect_rules dialect_v8_20240915 = [] {
    dialect_rules rules = dialect_v8_20240315;
    rules.since = "v8.20240915"; // 24.09 to 25.6
    rules.download = session_download::post;
    rules.delete_files_method = "POST";
    return rules;
}();
inline constexpr dialect_rules dialect_v9_20250722 = [] {
    dialect_rules rules = dialect_v8_20240915;
    rules.since = "v9.20250722"; // 25.12 on
    return rules;
}();

/// Ordered by `since`. The highest version that the SDK speaks is the last entry's.
inline constexpr std::array<dialect_rules, 12> dialect_table = {
    {dialect_v4_20190315, dialect_v4_20190615, dialect_v5_20191215, dialect_v6_20200815, dialect_v6_20210815,
     dialect_v6_20220315, dialect_v6_20220615, dialect_v6_20230315, dialect_v7_20230615, dialect_v8_20240315,
     dialect_v8_20240915, dialect_v9_20250722}};

/// Functions and arguments that not every server knows; feature_table says since when there are.
enum class feature {
    // of a compute session's creation
    session_type,
    group,
    domain,
    enqueue_only,
    max_wait,
    no_reuse,
    startup_command,
    owner_access_key,
    mount_map,
    preopen_ports,
    bootstrap_script,
    starts_at,
    cluster_mode,
    agent_list,
    dependencies,
    callback_url,
    architecture,
    mount_options,
    attach_network,
    priority,
    mount_ids,
    mount_id_map,
    // functions of compute sessions
    forced_destroy,
    match,
    service_list,
    shutdown_service,
    rename_session,
    start_service,
    events,
    event_scope,
    // of virtual folders
    dot_folders,
    folder_group,
    usage_mode,
    folder_permission,
    unmanaged_path,
    cloneable,
    quota,
    mkdir_parents,
    rename_file,
    move_file,
    sent_invitations,
    resumable_upload,
    resumable_download,
    // of listings
    list_domain,
    list_group,
    list_scaling_group,
    page_filter,
    page_order
};

struct feature_entry {
    feature what;
    std::string_view name; ///< as the SDK calls it
    std::string_view since;
};

inline constexpr feature_entry feature_table[] = {
    {feature::session_type, "type", "v4.20190615"},
    {feature::group, "group", "v4.20190615"},
    {feature::domain, "domain", "v4.20190615"},
    {feature::enqueue_only, "enqueue_only", "v4.20190615"},
    {feature::max_wait, "max_wait", "v4.20190615"},
    {feature::no_reuse, "no_reuse", "v4.20190615"},
    {feature::startup_command, "startup_command", "v4.20190615"},
    {feature::owner_access_key, "owner_access_key", "v4.20190615"},
    {feature::mount_map, "mount_map", "v5.20191215"},
    {feature::preopen_ports, "preopen_ports", "v5.20191215"},
    {feature::bootstrap_script, "bootstrap_script", "v5.20191215"},
    {feature::starts_at, "starts_at", "v5.20191215"},
    {feature::cluster_mode, "cluster_mode", "v6.20200815"},
    {feature::agent_list, "agent_list", "v6.20200815"},
    {feature::dependencies, "dependencies", "v6.20220315"},
    {feature::callback_url, "callback_url", "v6.20220315"},
    {feature::architecture, "architecture", "v6.20220315"},
    {feature::mount_options, "mount_options", "v8.20240315"},
    {feature::attach_network, "attach_network", "v8.20240915"},
    {feature::priority, "priority", "v8.20240915"},
    {feature::mount_ids, "mount_ids", "v9.20250722"},
    {feature::mount_id_map, "mount_id_map", "v9.20250722"},
    {feature::forced_destroy, "forced", "v5.20191215"},
    {feature::match, "match()", "v5.20191215"},
    {feature::service_list, "apps()", "v5.20191215"},
    {feature::shutdown_service, "shutdown_service()", "v6.20200815"},
    {feature::rename_session, "rename()", "v6.20210815"},
    {feature::start_service, "start_service()", "v6.20210815"},
    {feature::events, "events()", "v4.20190615"},
    {feature::dot_folders, "a folder's name with a dot in front", "v4.20190615"},
    {feature::event_scope, "scope", "v6.20200815"},
    {feature::folder_group, "group", "v4.20190615"},
    {feature::usage_mode, "usage_mode", "v5.20191215"},
    {feature::folder_permission, "permission", "v5.20191215"},
    {feature::unmanaged_path, "unmanaged_path", "v5.20191215"},
    {feature::cloneable, "cloneable", "v6.20200815"},
    {feature::quota, "quota", "v6.20200815"},
    {feature::mkdir_parents, "parents and exist_ok", "v6.20200815"},
    {feature::rename_file, "rename_file()", "v5.20191215"},
    {feature::move_file, "move_file()", "v6.20220315"},
    {feature::sent_invitations, "sent_invitations()", "v4.20190615"},
    {feature::list_domain, "domain_name", "v4.20190615"},
    {feature::list_group, "group_id", "v4.20190615"},
    {feature::list_scaling_group, "scaling_group", "v4.20190615"},
    {feature::resumable_upload, "resume_file", "v6.20200815"},
    {feature::resumable_download, "resume", "v6.20200815"},
    {feature::page_filter, "filter", "v6.20210815"},
    {feature::page_order, "order", "v4.20190615"},
};

/// What is spoken with a server that does not tell its version.
inline constexpr std::string_view default_protocol_version = "v4.20190315";

/// The version of the header, and what holds for it.
struct dialect : dialect_rules {
    std::string version;

    template <class = void>
    bool knows(feature what) const {
        const auto first = parse_protocol_version(entry_of(what).since);
        return first && !(number() < *first);
    }
    /// @throws client_error{argument} that says since when there is such a thing
    template <class = void>
    void require(feature what) const {
        if (knows(what)) return;
        const feature_entry& entry = entry_of(what);
        throw client_error(error_kind::argument, std::string(entry.name) + " exists since protocol version " +
                                                     std::string(entry.since) + "; this session speaks " + version);
    }

private:
    template <class = void>
    protocol_version number() const {
        const auto told = parse_protocol_version(version);
        return told ? *told : *parse_protocol_version(since);
    }
    template <class = void>
    static const feature_entry& entry_of(feature what) {
        for (const feature_entry& entry : feature_table) {
            if (entry.what == what) return entry;
        }
        throw client_error(error_kind::argument, "a feature without an entry in the table");
    }
};

/// The dialect of @p version, which is sent as it is. Versions older than the table get its first entry, and so do
/// texts that are no version: they come from the user, who knows why.
template <class = void>
dialect dialect_of(std::string version) {
    const dialect_rules* rules = &dialect_table.front();
    if (const auto wanted = parse_protocol_version(version)) {
        for (const dialect_rules& entry : dialect_table) {
            const auto since = parse_protocol_version(entry.since);
            if (since && !(*wanted < *since)) rules = &entry;
        }
    }
    return dialect{*rules, std::move(version)};
}

/// What to speak with a server whose newest version is @p announced: the lower of that and @p highest, which is the
/// highest that the SDK speaks; the default when it is no version.
template <class = void>
std::string choose_version(std::string_view announced, std::string_view highest = dialect_table.back().since) {
    const auto theirs = parse_protocol_version(announced);
    const auto ours = parse_protocol_version(highest);
    if (!theirs || !ours) return std::string(default_protocol_version);
    return std::string(*theirs < *ours ? announced : highest);
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
