/// @file
/// The embedded gateway's GraphQL as servers from 20.09 on have it: their schema, lists with pages, the envelope of
/// /admin/gql.
#ifndef BACKENDAI_TESTING_GATEWAY_GRAPHQL_MODERN_HPP
#define BACKENDAI_TESTING_GATEWAY_GRAPHQL_MODERN_HPP

#include <backendai/codec/date.hpp>
#include <backendai/testing/gateway_graphql.hpp>
#include <backendai/testing/gateway_graphql_pages.hpp>
#include <backendai/testing/gateway_parameters.hpp>
#include <backendai/testing/gateway_protocol.hpp>
#include <backendai/version.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstddef>
#include <future>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace graphql {

inline constexpr const char* modern_types = R"(
type KVPair { key: String value: String }
type ResourceLimit { key: String min: String max: String }
type Image { name: String humanized_name: String tag: String registry: String architecture: String is_local: Boolean
  digest: String labels: [KVPair] aliases: [String] size_bytes: BigInt resource_limits: [ResourceLimit]
  supported_accelerators: [String] installed: Boolean installed_agents: [String] hash: String }
type VirtualFolder { id: ID host: String name: String user: UUID user_email: String group: UUID group_name: String
  creator: String usage_mode: String permission: String ownership_type: String max_files: Int max_size: BigInt
  created_at: DateTime last_used: DateTime num_files: Int cur_size: BigInt cloneable: Boolean status: String }
type VirtualFolderList { items: [VirtualFolder] total_count: Int }
type ComputeContainer { id: ID role: String hostname: String cluster_role: String cluster_idx: Int
  cluster_hostname: String session_id: UUID image: String registry: String status: String agent: String
  container_id: String }
type ComputeSession { id: ID session_id: UUID main_kernel_id: UUID name: String type: String tag: String image: String
  architecture: String registry: String cluster_mode: String cluster_size: Int domain_name: String group_name: String
  group_id: UUID user_email: String user_id: UUID access_key: String status: String status_changed: DateTime
  status_info: String status_data: JSONString created_at: DateTime terminated_at: DateTime starts_at: DateTime
  startup_command: String result: String scaling_group: String service_ports: JSONString mounts: [String]
  vfolder_mounts: [String] resource_opts: JSONString occupying_slots: JSONString occupied_slots: JSONString
  num_queries: BigInt containers: [ComputeContainer] dependencies: [ComputeSession] }
type ComputeSessionList { items: [ComputeSession] total_count: Int }
type KeyPair { user_id: String full_name: String access_key: String secret_key: String is_active: Boolean
  is_admin: Boolean resource_policy: String created_at: DateTime last_used: DateTime rate_limit: Int num_queries: Int
  user: UUID ssh_public_key: String concurrency_used: Int concurrency_limit: Int vfolders: [VirtualFolder]
  compute_sessions(status: String): [ComputeSession] }
type KeyPairList { items: [KeyPair] total_count: Int }
type Agent { id: String status: String status_changed: DateTime region: String scaling_group: String
  schedulable: Boolean available_slots: JSONString occupied_slots: JSONString addr: String architecture: String
  first_contact: DateTime lost_at: DateTime live_stat: JSONString version: String compute_plugins: JSONString
  hardware_metadata: JSONString mem_slots: Int cpu_slots: Float gpu_slots: Float tpu_slots: Float used_mem_slots: Int
  used_cpu_slots: Float used_gpu_slots: Float used_tpu_slots: Float cpu_cur_pct: Float mem_cur_bytes: Float
  compute_containers(status: String): [ComputeContainer] }
type AgentList { items: [Agent] total_count: Int }
input KeyPairInput { is_active: Boolean is_admin: Boolean resource_policy: String! concurrency_limit: Int
  rate_limit: Int! }
input ModifyKeyPairInput { is_active: Boolean is_admin: Boolean resource_policy: String concurrency_limit: Int
  rate_limit: Int }
type CreateKeyPair { ok: Boolean msg: String keypair: KeyPair }
type ModifyKeyPair { ok: Boolean msg: String }
type DeleteKeyPair { ok: Boolean msg: String }
type RescanImages { ok: Boolean msg: String task_id: String }
type AliasImage { ok: Boolean msg: String }
type DealiasImage { ok: Boolean msg: String }
type Mutations { create_keypair(user_id: String! props: KeyPairInput!): CreateKeyPair
  modify_keypair(access_key: String! props: ModifyKeyPairInput!): ModifyKeyPair
  delete_keypair(access_key: String!): DeleteKeyPair rescan_images(registry: String): RescanImages
  alias_image(alias: String! target: String! architecture: String): AliasImage
  dealias_image(alias: String!): DealiasImage }
)";
/// The queries. @param order_arguments those of pages: they differ by version.
inline std::string modern_queries(const std::string& order_arguments) {
    const std::string page = "limit: Int! offset: Int! " + order_arguments;
    return "type Queries { agent(agent_id: String!): Agent agents(scaling_group: String status: String): [Agent] "
           "agent_list(" +
           page +
           " scaling_group: String status: String): AgentList "
           "image(reference: String! architecture: String): Image "
           "images(is_installed: Boolean is_operation: Boolean): [Image] "
           "keypair(domain_name: String access_key: String): KeyPair "
           "keypairs(domain_name: String email: String is_active: Boolean): [KeyPair] "
           "keypair_list(" +
           page +
           " domain_name: String email: String is_active: Boolean): KeyPairList "
           "vfolders(domain_name: String group_id: String access_key: String): [VirtualFolder] "
           "vfolder_list(" +
           page +
           " domain_name: String group_id: UUID access_key: String): VirtualFolderList "
           "compute_session(id: UUID!): ComputeSession "
           "compute_session_list(" +
           page + " domain_name: String group_id: UUID access_key: String status: String): ComputeSessionList }";
}
inline const schema& modern_schema(bool has_filters) {
    static const std::string with = std::string(modern_types) + modern_queries("filter: String order: String");
    static const std::string without =
        std::string(modern_types) + modern_queries("order_key: String order_asc: Boolean");
    static const schema first(with), second(without);
    return has_filters ? first : second;
}

} // namespace graphql

namespace detail {

/// `POST /admin/graphql` and `/admin/gql`. Thread-safe.
class modern_graphql_routes final : public graphql_routes {
public:
    using graphql_routes::graphql_routes;

    void add_to(router& table) override {
        table.add("POST", "/admin/graphql", true, [this](const gateway_request& request) {
            const graphql::outcome result = run(request);
            if (!result.errors.empty())
                throw problem(400, "graphql-error", "GraphQL-generated error.", {{"data", result.errors}});
            return text_reply(result.data);
        });
        if (!protocol_.has_sub_gql) return;
        table.add("POST", "/admin/gql", true, [this](const gateway_request& request) {
            const graphql::outcome result = run(request);
            graphql::ordered_json body = graphql::ordered_json::object();
            if (!result.errors.empty()) body["errors"] = result.errors;
            // None at all when nothing was run.
            if (result.errors.empty() || !result.data.is_null()) body["data"] = result.data;
            return text_reply(body);
        });
    }

private:
    graphql::outcome run(const gateway_request& request) {
        parameters given(request);
        const std::string query = given.required_text({"query"});
        const json* value = given.find({"variables"});
        const json variables = value == nullptr ? json::object() : *value;
        if (!variables.is_object()) given.wrong("variables", "value is not a dict");
        const std::string operation = given.text({"operation_name", "operationName"}).value_or("");
        if (query.empty() && given.find({"query"}) != nullptr) given.wrong("query", "blank value is not allowed");
        given.finish();
        const std::string caller = access_key_of(request.call);
        graphql::executor executor(
            graphql::modern_schema(protocol_.has_sub_gql), "Queries", "Mutations",
            [this, &caller](const std::string& type, const std::string& field, const json& parent,
                            const json& arguments) { return resolve_modern(caller, type, field, parent, arguments); });
        return executor.run(query, variables, operation);
    }
    static http_reply text_reply(const graphql::ordered_json& body) {
        http_reply reply = json_reply(nullptr);
        reply.body = body.dump(-1, ' ', false, json::error_handler_t::replace);
        return reply;
    }

    bool is_admin(const std::string& access_key) const {
        const auto found = keypairs_.find(access_key);
        return found && found->is_admin;
    }
    void require_superadmin(const std::string& caller) const {
        if (!is_admin(caller)) throw std::runtime_error("Forbidden operation. (superadmin privilege required)");
    }

    json resolve_modern(const std::string& caller, const std::string& type, const std::string& field,
                        const json& parent, const json& arguments) {
        if (type == "Queries") return query_modern(caller, field, arguments);
        if (type == "Mutations") return mutate_modern(caller, field, arguments);
        if (type == "KeyPair" && field == "vfolders") return folders_modern(parent.at("access_key"));
        if (type == "KeyPair" && field == "compute_sessions")
            return sessions_modern(parent.at("access_key"), text(arguments, "status", ""));
        return parent.value(field, json());
    }

    json query_modern(const std::string& caller, const std::string& field, const json& arguments) {
        if (field == "agents" || field == "agent_list" || field == "agent") require_superadmin(caller);
        if (field == "agent") return text(arguments, "agent_id", "") == agent_id() ? agent_modern() : json();
        if (field == "agents") return agents_modern(arguments);
        if (field == "agent_list") return graphql::page_of(agents_modern(arguments), arguments);
        if (field == "images") return with_architecture(images());
        if (field == "image") return with_architecture(json::array({image(text(arguments, "reference", ""))}))[0];
        if (field == "keypair") return keypair_modern(caller, text(arguments, "access_key", caller));
        if (field == "keypairs") {
            require_superadmin(caller);
            json found = json::array();
            for (const stored_keypair& item : keypairs_modern(caller, arguments)) {
                if (found.size() < 100) found.push_back(keypair_item(item));
            }
            return found;
        }
        if (field == "keypair_list") {
            const auto make = [this](const stored_keypair& item) { return keypair_item(item); };
            return graphql::page_of(keypairs_modern(caller, arguments), make, arguments);
        }
        if (field == "vfolders") return nullptr;
        if (field == "vfolder_list") {
            const std::string owner = text(arguments, "access_key", caller);
            if (owner != caller) require_superadmin(caller);
            return graphql::page_of(folders_modern(owner), arguments);
        }
        if (field == "compute_session_list") {
            const std::string owner = text(arguments, "access_key", is_admin(caller) ? "" : caller);
            if (owner != caller && !is_admin(caller)) throw std::runtime_error("Forbidden operation.");
            return graphql::page_of(sessions_modern(owner, text(arguments, "status", "")), arguments);
        }
        if (field == "compute_session") {
            for (const json& item : sessions_modern(is_admin(caller) ? "" : caller, "")) {
                if (item["id"] == text(arguments, "id", "")) return item;
            }
            return nullptr;
        }
        throw std::runtime_error("not resolved: " + field);
    }

    // --- key pairs ---------------------------------------------------------------------------------------------------

    static json refused(const std::string& message) { return {{"ok", false}, {"msg", message}, {"keypair", nullptr}}; }
    json mutate_modern(const std::string& caller, const std::string& field, const json& arguments) {
        if (frozen_) throw std::runtime_error("The server is frozen due to maintenance. Please try again later.");
        if (!is_admin(caller)) return refused("no permission to execute " + field);
        if (field == "create_keypair") {
            const json& props = arguments.at("props");
            if (!knows_policy(props)) return refused("integrity error: no such resource policy");
            stored_keypair made;
            made.user_id = arguments.at("user_id").get<std::string>();
            keypair_store::make_keys(made);
            made.created_at = options_.clock();
            apply(props, made);
            keypairs_.put(made);
            return {{"ok", true}, {"msg", "success"}, {"keypair", keypair_item(made)}};
        }
        const std::string access_key = text(arguments, "access_key", "");
        if (field == "modify_keypair") {
            const json& props = arguments.at("props");
            if (!knows_policy(props)) return refused("integrity error: no such resource policy");
            const bool done = keypairs_.change(access_key, [&props](stored_keypair& item) { apply(props, item); });
            return done ? json({{"ok", true}, {"msg", "success"}}) : refused("no matching modifykeypair");
        }
        if (field == "delete_keypair") {
            return keypairs_.remove(access_key) ? json({{"ok", true}, {"msg", "success"}})
                                                : refused("no matching deletekeypair");
        }
        return mutate(field, arguments);
    }
    static bool knows_policy(const json& props) {
        return !has(props, "resource_policy") || props["resource_policy"] == "default";
    }

    json keypair_modern(const std::string& caller, const std::string& access_key) const {
        if (access_key != caller && !is_admin(caller)) throw std::runtime_error("Forbidden operation.");
        const auto found = keypairs_.find(access_key);
        return found ? keypair_item(*found) : json();
    }
    json keypair_item(const stored_keypair& item) const {
        json result = keypair(item);
        result["full_name"] = item.user_id.substr(0, item.user_id.find('@'));
        result["user"] = user_uuid(item.access_key);
        result["concurrency_limit"] = 0;
        result["concurrency_used"] = sessions_modern(item.access_key, "RUNNING").size();
        result["ssh_public_key"] = "";
        return result;
    }
    // A user sees their own.
    std::vector<stored_keypair> keypairs_modern(const std::string& caller, const json& arguments) const {
        const std::string email = text(arguments, "email", "");
        const bool sees_all = is_admin(caller);
        std::vector<stored_keypair> result;
        std::vector<stored_keypair> all = keypairs_.all();
        for (stored_keypair& item : all) {
            if (!sees_all && item.access_key != caller) continue;
            if (!email.empty() && item.user_id != email) continue;
            if (arguments.contains("is_active") && item.is_active != arguments["is_active"].get<bool>()) continue;
            result.push_back(std::move(item));
        }
        return result;
    }

    // --- sessions ----------------------------------------------------------------------------------------------------

    // The newest first. @param owner empty: everybody's  @param statuses names with commas between; empty: all
    json sessions_modern(const std::string& owner, const std::string& statuses) const {
        static const std::set<std::string> known = {"PENDING",    "SCHEDULED",  "PULLING",          "PREPARING",
                                                    "RUNNING",    "RESTARTING", "RUNNING_DEGRADED", "TERMINATING",
                                                    "TERMINATED", "ERROR",      "CANCELLED"};
        std::set<std::string> wanted;
        for (std::size_t start = 0; !statuses.empty() && start <= statuses.size();) {
            const std::size_t end = (std::min)(statuses.find(',', start), statuses.size());
            const std::string name = statuses.substr(start, end - start);
            if (known.count(name) == 0) throw std::runtime_error('\'' + name + '\'');
            wanted.insert(name);
            start = end + 1;
        }
        std::vector<json> items;
        const auto add = [&](json item) {
            const bool is_theirs = owner.empty() || item["access_key"] == owner;
            if (is_theirs && (wanted.empty() || wanted.count(item["status"].get<std::string>()) != 0))
                items.push_back(std::move(item));
        };
        for (const auto& entry : sessions_.list()) add(running_session(*entry));
        for (const ended_session& entry : sessions_.ended()) add(session_item(entry, "TERMINATED", {}));
        graphql::order_items(items, "-created_at");
        return items;
    }
    json running_session(const session_entry& entry) const {
        const session_request& made = entry.request;
        ended_session base{entry.id,  entry.name(),         made.owner, made.language, made.tag,
                           made.type, made.startup_command, {},         entry.created, {}};
        const bool is_ready = entry.started.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
        json item = session_item(base, is_ready ? "RUNNING" : "PREPARING", entry.image.registry);
        item["terminated_at"] = nullptr;
        item["num_queries"] = is_ready ? entry.body->queries() : 0;
        item["cluster_size"] = made.cluster_size;
        item["cluster_mode"] = made.cluster_mode;
        item["mounts"] = made.mounts;
        item["occupied_slots"] = {{"cpu", "1"}, {"mem", std::to_string(made.memory_kib * 1024)}};
        return item;
    }
    json session_item(const ended_session& entry, const std::string& status, const std::string& registry) const {
        std::string type = entry.type;
        std::transform(type.begin(), type.end(), type.begin(), [](unsigned char c) { return std::toupper(c); });
        const auto owner = keypairs_.find(entry.owner);
        const std::string kernel_id = uuid_of("kernel:" + entry.id);
        const json container = {{"id", kernel_id},        {"role", "main"},          {"hostname", "main1"},
                                {"cluster_role", "main"}, {"cluster_idx", 1},        {"cluster_hostname", "main1"},
                                {"session_id", entry.id}, {"image", entry.language}, {"registry", registry},
                                {"status", status},       {"agent", agent_id()},     {"container_id", ""}};
        return {{"id", entry.id},
                {"session_id", entry.id},
                {"main_kernel_id", kernel_id},
                {"name", entry.name},
                {"type", type},
                {"tag", entry.tag.empty() ? json() : json(entry.tag)},
                {"image", entry.language},
                {"architecture", "x86_64"},
                {"registry", registry},
                {"cluster_mode", "single-node"},
                {"cluster_size", 1},
                {"domain_name", "default"},
                {"group_name", "['default']"},
                {"group_id", "2de2b969-1d04-48a6-af16-0bc8adb3c831"},
                {"user_email", owner ? json(owner->user_id) : json()},
                {"user_id", user_uuid(entry.owner)},
                {"access_key", entry.owner},
                {"status", status},
                {"status_changed", codec::format_date(entry.created)},
                {"status_info", ""},
                {"status_data", json::object()},
                {"created_at", codec::format_date(entry.created)},
                {"terminated_at", codec::format_date(entry.terminated)},
                {"starts_at", nullptr},
                {"startup_command", entry.startup_command.empty() ? json() : json(entry.startup_command)},
                {"result", "UNDEFINED"},
                {"scaling_group", "default"},
                {"service_ports", json::array()},
                {"mounts", json::array()},
                {"vfolder_mounts", json::array()},
                {"resource_opts", json::object()},
                {"occupying_slots", json::object()},
                {"occupied_slots", json::object()},
                {"num_queries", 0},
                {"containers", json::array({container})},
                {"dependencies", json::array()}};
    }

    // --- the one agent, its images, folders --------------------------------------------------------------------------

    json agent_modern() const {
        json item = agent();
        item.update({{"scaling_group", "default"},
                     {"schedulable", true},
                     {"status_changed", item["first_contact"]},
                     {"architecture", "x86_64"},
                     {"lost_at", nullptr},
                     {"live_stat", json::object()},
                     {"version", protocol_.manager},
                     {"compute_plugins", json::object()},
                     {"hardware_metadata", json::object()},
                     {"compute_containers", json::array()}});
        return item;
    }
    json agents_modern(const json& arguments) const {
        const json found = agents(arguments);
        const std::string group = text(arguments, "scaling_group", "default");
        return found.empty() || group != "default" ? json::array() : json::array({agent_modern()});
    }
    static json with_architecture(json items) {
        for (json& item : items)
            item.update({{"architecture", "x86_64"}, {"is_local", false}, {"installed_agents", {agent_id()}}});
        return items;
    }
    json folders_modern(const std::string& access_key) const {
        json items = folders_of(access_key);
        const auto owner = keypairs_.find(access_key);
        for (json& item : items) {
            item["max_size"] = nullptr;
            item.update({{"user", user_uuid(access_key)},
                         {"user_email", owner ? json(owner->user_id) : json()},
                         {"creator", owner ? json(owner->user_id) : json()},
                         {"group", nullptr},
                         {"group_name", nullptr},
                         {"ownership_type", "user"},
                         {"last_used", nullptr},
                         {"status", "ready"}});
        }
        return items;
    }
};

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
