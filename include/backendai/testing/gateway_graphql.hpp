/// @file
/// The embedded gateway's GraphQL endpoint: the fields of the 19.03 line's schema, resolved from the gateway's state.
#ifndef BACKENDAI_TESTING_GATEWAY_GRAPHQL_HPP
#define BACKENDAI_TESTING_GATEWAY_GRAPHQL_HPP

#include <backendai/codec/date.hpp>
#include <backendai/codec/digest.hpp>
#include <backendai/testing/gateway_auth.hpp>
#include <backendai/testing/gateway_graphql_executor.hpp>
#include <backendai/testing/gateway_interpreters.hpp>
#include <backendai/testing/gateway_keypairs.hpp>
#include <backendai/testing/gateway_protocol.hpp>
#include <backendai/testing/gateway_router.hpp>
#include <backendai/testing/gateway_sessions.hpp>
#include <backendai/testing/gateway_types.hpp>
#include <backendai/version.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// `POST /admin/graphql`. Thread-safe.
class graphql_routes {
public:
    /// Lists the folders that a key owns: objects with id, host, name and created_at.
    using folder_lister = std::function<nlohmann::json(const std::string& access_key)>;

    graphql_routes(const gateway_options& options, session_table& sessions, keypair_store& keypairs,
                   const std::atomic<bool>& frozen, folder_lister folders)
        : options_(options),
          protocol_(find_protocol(options.protocol)),
          sessions_(sessions),
          keypairs_(keypairs),
          frozen_(frozen),
          folders_(std::move(folders)),
          started_(options.clock()) {}

    graphql_routes(const graphql_routes&) = delete;
    graphql_routes& operator=(const graphql_routes&) = delete;
    virtual ~graphql_routes() = default;

    virtual void add_to(router& table) {
        table.add("POST", "/admin/graphql", true, [this](const gateway_request& request) { return answer(request); });
    }

    /// What a session's service_ports are; to be set before the first request.
    std::function<nlohmann::json()> service_ports;

protected:
    using json = nlohmann::json;

private:
    http_reply answer(const gateway_request& request) {
        const json body = request.json();
        const auto query = body.find("query");
        if (query == body.end()) throw invalid_parameters("The request must have \"query\" JSON field.");
        if (!query->is_string()) throw invalid_parameters("The \"query\" field must be a JSON string.");
        const json variables = body.value("variables", json());
        if (!variables.is_null() && !variables.is_object()) {
            throw invalid_parameters("The \"variables\" field must be an JSON object or null.");
        }
        const std::string caller = access_key_of(request.call);
        const auto who = keypairs_.find(caller);
        const bool is_admin = who && who->is_admin;
        graphql::executor run(
            is_admin ? graphql::admin_schema() : graphql::user_schema(), is_admin ? "QueryForAdmin" : "QueryForUser",
            is_admin ? "MutationForAdmin" : "",
            [this, &caller](const std::string& type, const std::string& field, const json& parent,
                            const json& arguments) { return resolve(caller, type, field, parent, arguments); });
        const graphql::outcome result = run.run(query->get_ref<const std::string&>(), variables);
        if (!result.errors.empty()) {
            throw problem(400, "graphql-error", "GraphQL-generated error.", {{"data", result.errors}});
        }
        http_reply reply = json_reply(nullptr);
        reply.body = result.data.dump(-1, ' ', false, json::error_handler_t::replace);
        return reply;
    }

    json resolve(const std::string& caller, const std::string& type, const std::string& field, const json& parent,
                 const json& arguments) {
        if (type == "QueryForAdmin" || type == "QueryForUser") return query(caller, field, arguments);
        if (type == "MutationForAdmin") return mutate(field, arguments);
        if (field == "vfolders") return folders_of(parent.at("access_key").get<std::string>());
        if (field == "compute_sessions") {
            return sessions_of(parent.at("access_key").get<std::string>(), status_of(arguments));
        }
        if (field == "computations") return compute_sessions(status_of(arguments));
        if (field == "workers") return json::array(); // a session here is one process
        return parent.value(field, json());
    }

    json query(const std::string& caller, const std::string& field, const json& arguments) {
        const std::string access_key = text(arguments, "access_key", caller);
        if (field == "agent") return text(arguments, "agent_id", "") == agent_id() ? agent() : json();
        if (field == "agents") return agents(arguments);
        if (field == "agent_list") return page(agents(arguments), arguments);
        if (field == "images") return images();
        if (field == "image") return image(text(arguments, "reference", ""));
        if (field == "keypair") {
            const auto found = keypairs_.find(access_key);
            return found ? keypair(*found) : json();
        }
        if (field == "keypairs") return keypairs(arguments);
        if (field == "vfolders") return folders_of(access_key);
        if (field == "compute_sessions") {
            const bool is_admin = keypairs_.find(caller).value_or(stored_keypair()).is_admin;
            if (!is_admin || arguments.contains("access_key")) return sessions_of(access_key, status_of(arguments));
            const std::string status = status_of(arguments);
            return compute_sessions(status.empty() ? "RUNNING" : status);
        }
        if (field == "compute_session_list") {
            const std::string status = status_of(arguments);
            return page(arguments.contains("access_key") ? sessions_of(access_key, status) : compute_sessions(status),
                        arguments);
        }
        if (field == "compute_session") {
            for (const json& item : compute_sessions("RUNNING")) {
                if (item["sess_id"] == text(arguments, "sess_id", "")) return item;
            }
            return json::object(); // an object that is null in every field, as 19.03 answers
        }
        if (field == "compute_workers") return json::array();
        throw std::runtime_error("not resolved: " + field);
    }

protected:
    json mutate(const std::string& field, const json& arguments) {
        if (frozen_) throw std::runtime_error("The server is frozen due to maintenance. Please try again later.");
        if (field == "create_keypair") return create_keypair(arguments);
        if (field == "modify_keypair") return modify_keypair(arguments);
        if (field == "delete_keypair") {
            const bool done = keypairs_.remove(text(arguments, "access_key", ""));
            return {{"ok", done}, {"msg", done ? "success" : "failed to delete keypair"}};
        }
        const std::lock_guard<std::mutex> lock(mutex_);
        if (field == "alias_image") {
            const json target = find_image(text(arguments, "target", ""));
            if (target.is_null()) return {{"ok", false}, {"msg", "Unknown image reference"}};
            aliases_[text(arguments, "alias", "")] = target["humanized_name"];
        }
        if (field == "dealias_image") aliases_.erase(text(arguments, "alias", ""));
        return {{"ok", true}, {"msg", ""}};
    }

    // --- key pairs ---------------------------------------------------------------------------------------------------
    json create_keypair(const json& arguments) {
        const json& props = arguments.at("props");
        // The earlier servers of the line want the one, the later ones the other.
        if (!has(props, "concurrency_limit") && !has(props, "resource_policy")) {
            throw std::runtime_error("In field \"concurrency_limit\": Expected \"Int!\", found null.");
        }
        stored_keypair made;
        const json& user = arguments.at("user_id");
        made.user_id = user.is_string() ? user.get<std::string>() : user.dump();
        keypair_store::make_keys(made);
        made.is_active = made.is_admin = false; // what is not said is false
        made.created_at = options_.clock();
        apply(props, made);
        keypairs_.put(made);
        return {{"ok", true}, {"msg", "success"}, {"keypair", keypair(made)}};
    }
    json modify_keypair(const json& arguments) {
        const json& props = arguments.at("props");
        const bool done =
            keypairs_.change(text(arguments, "access_key", ""), [&props](stored_keypair& item) { apply(props, item); });
        return {{"ok", done}, {"msg", done ? "success" : "failed to modify keypair"}};
    }
    // Null means: leave it.
    static void apply(const json& props, stored_keypair& item) {
        if (has(props, "is_active")) item.is_active = props["is_active"].get<bool>();
        if (has(props, "is_admin")) item.is_admin = props["is_admin"].get<bool>();
        if (has(props, "resource_policy")) item.resource_policy = props["resource_policy"].get<std::string>();
        if (has(props, "rate_limit")) item.rate_limit = props["rate_limit"].get<std::int64_t>();
        if (has(props, "concurrency_limit")) item.concurrency_limit = props["concurrency_limit"].get<std::int64_t>();
    }
    static bool has(const json& object, const char* name) {
        const auto found = object.find(name);
        return found != object.end() && !found->is_null();
    }
    json keypairs(const json& arguments) const {
        const json user = arguments.value("user_id", json());
        json result = json::array();
        for (const stored_keypair& item : keypairs_.all()) {
            if (!user.is_null() && item.user_id != (user.is_string() ? user.get<std::string>() : user.dump())) continue;
            if (arguments.contains("is_active") && item.is_active != arguments["is_active"].get<bool>()) continue;
            result.push_back(keypair(item));
        }
        return result;
    }
    json keypair(const stored_keypair& item) const {
        const bool is_owner = item.access_key == options_.access_key;
        return {{"user_id", item.user_id},
                {"access_key", item.access_key},
                {"secret_key", item.secret_key},
                {"is_active", item.is_active},
                {"is_admin", item.is_admin},
                {"resource_policy", item.resource_policy.empty() ? json() : json(item.resource_policy)},
                {"created_at", codec::format_date(item.created_at)},
                {"last_used", item.last_used ? json(codec::format_date(*item.last_used)) : json()},
                {"concurrency_limit", item.concurrency_limit},
                {"concurrency_used", is_owner ? sessions_.live() : 0},
                {"rate_limit", item.rate_limit},
                {"num_queries", item.num_queries}};
    }

    // --- sessions ----------------------------------------------------------------------------------------------------
    // 19.03 looks the name up in its enumeration; the error is Python's KeyError.
    static std::string status_of(const json& arguments) {
        const std::string status = text(arguments, "status", "");
        for (const char* known : {"", "PREPARING", "BUILDING", "RUNNING", "RESTARTING", "RESIZING", "SUSPENDED",
                                  "TERMINATING", "TERMINATED", "ERROR"}) {
            if (status == known) return status;
        }
        throw std::runtime_error('\'' + status + '\'');
    }
    // All sessions are the gateway's own key's.
    json sessions_of(const std::string& access_key, const std::string& status) const {
        return access_key == options_.access_key ? compute_sessions(status) : json::array();
    }
    json compute_sessions(const std::string& status) const {
        json result = json::array();
        for (const auto& entry : sessions_.list()) {
            json item = compute_session(*entry);
            if (status.empty() || item["status"] == status) result.push_back(std::move(item));
        }
        return result;
    }
    json compute_session(const session_entry& entry) const {
        const session_request& made = entry.request;
        const bool is_ready = entry.started.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
        const std::string created = codec::format_date(entry.created);
        const std::string& id = entry.id;
        const std::string memory = std::to_string(made.memory_kib * 1024);
        json result = {{"sess_id", made.token},
                       {"id", id},
                       {"role", "master"},
                       {"image", made.language},
                       {"lang", made.language},
                       {"registry", entry.image.registry},
                       {"tag", made.tag.empty() ? json() : json(made.tag)},
                       {"status", is_ready ? "RUNNING" : "PREPARING"},
                       {"created_at", created},
                       {"agent", agent_id()},
                       {"container_id", codec::to_hex(codec::digest("sha256", id))},
                       {"service_ports", service_ports ? service_ports() : json::array()},
                       {"occupied_slots", {{"cpu", "1"}, {"mem", memory}}},
                       {"occupied_shares", json::object()},
                       {"mem_slot", made.memory_kib / 1024},
                       {"cpu_slot", 1.0},
                       {"gpu_slot", 0.0},
                       {"tpu_slot", 0.0},
                       {"cpu_using", 0.0},
                       {"num_queries", is_ready ? json(entry.body->queries()) : json(0)}};
        for (const char* unmeasured :
             {"cpu_used", "mem_max_bytes", "mem_cur_bytes", "net_rx_bytes", "net_tx_bytes", "io_read_bytes",
              "io_write_bytes", "io_max_scratch_size", "io_cur_scratch_size"}) {
            result[unmeasured] = 0;
        }
        return result;
    }

    // --- the one agent, its images, folders --------------------------------------------------------------------------
    static const char* agent_id() { return "i-embedded"; }
    json agents(const json& arguments) const {
        const std::string status = text(arguments, "status", "");
        bool known = status.empty();
        for (const char* name : {"ALIVE", "LOST", "RESTARTING", "TERMINATED"}) known = known || status == name;
        if (!known) throw std::runtime_error('\'' + status + '\'');
        return status.empty() || status == "ALIVE" ? json::array({agent()}) : json::array();
    }
    json agent() const {
        const unsigned cores = (std::max)(1u, std::thread::hardware_concurrency());
        const std::size_t used = sessions_.live();
        std::int64_t used_kib = 0;
        for (const auto& entry : sessions_.list()) used_kib += entry->request.memory_kib;
        return {{"id", agent_id()},
                {"status", "ALIVE"},
                {"region", "local"},
                {"addr", "tcp://127.0.0.1:6001"},
                {"first_contact", codec::format_date(started_)},
                {"available_slots", {{"cpu", std::to_string(cores)}, {"mem", "8g"}}},
                {"occupied_slots", {{"cpu", std::to_string(used)}, {"mem", std::to_string(used_kib * 1024)}}},
                {"mem_slots", 8192},
                {"cpu_slots", cores},
                {"gpu_slots", 0.0},
                {"tpu_slots", 0.0},
                {"used_mem_slots", used_kib / 1024},
                {"used_cpu_slots", used},
                {"used_gpu_slots", 0.0},
                {"used_tpu_slots", 0.0},
                {"cpu_cur_pct", 0.0},
                {"mem_cur_bytes", 0.0}};
    }

    json images() {
        const std::lock_guard<std::mutex> lock(mutex_);
        return list_images();
    }
    json image(const std::string& reference) {
        const std::lock_guard<std::mutex> lock(mutex_);
        json found = find_image(reference);
        if (found.is_null()) throw std::runtime_error("Unknown image reference");
        return found;
    }
    json list_images() const {
        std::vector<std::string> names = options_.images;
        if (names.empty()) {
            for (const auto& item : interpreters()) names.push_back(item.first);
        }
        json result = json::array();
        for (const std::string& name : names) {
            const image_name parts = parse_image(name);
            const std::string tag = parts.tag.empty() ? "latest" : parts.tag;
            const std::string humanized = parts.name + ':' + tag;
            const std::string digest = "sha256:" + codec::to_hex(codec::digest("sha256", humanized));
            json aliases = json::array();
            for (const auto& alias : aliases_) {
                if (alias.second == humanized) aliases.push_back(alias.first);
            }
            result.push_back({{"name", parts.name},
                              {"humanized_name", humanized},
                              {"tag", tag},
                              {"registry", parts.registry.empty() ? "local" : parts.registry},
                              {"digest", digest},
                              {"hash", digest},
                              {"labels", json::array({{{"key", "ai.backend.kernelspec"}, {"value", "1"}}})},
                              {"aliases", aliases},
                              {"size_bytes", 0},
                              {"resource_limits", json::array({{{"key", "cpu"}, {"min", "1"}, {"max", nullptr}},
                                                               {{"key", "mem"}, {"min", "64m"}, {"max", nullptr}}})},
                              {"supported_accelerators", json::array()},
                              {"installed", true}});
        }
        return result;
    }
    json find_image(const std::string& reference) const {
        const auto alias = aliases_.find(reference);
        const image_name wanted = parse_image(alias == aliases_.end() ? reference : alias->second);
        for (const json& item : list_images()) {
            const bool is_registry = wanted.registry.empty() || item["registry"] == wanted.registry;
            if (item["name"] == wanted.name && is_registry && (wanted.tag.empty() || item["tag"] == wanted.tag)) {
                return item;
            }
        }
        return nullptr;
    }

    json folders_of(const std::string& access_key) const {
        json result = folders_ ? folders_(access_key) : json::array();
        for (json& item : result) {
            item["max_files"] = 1000;
            item["max_size"] = 1048576;               // KiB
            item["num_files"] = item["cur_size"] = 0; // 19.03 does not measure them either
        }
        return result;
    }

    static std::string text(const json& arguments, const char* name, const std::string& fallback) {
        const auto found = arguments.find(name);
        return found == arguments.end() || !found->is_string() ? fallback : found->get<std::string>();
    }
    static json page(const json& all, const json& arguments) {
        const auto limit = arguments.at("limit").get<std::int64_t>(),
                   offset = arguments.at("offset").get<std::int64_t>();
        if (limit < 0 || offset < 0) throw std::runtime_error("limit and offset must not be negative");
        json items = json::array();
        for (std::int64_t i = offset; i < static_cast<std::int64_t>(all.size()) && i - offset < limit; ++i) {
            items.push_back(all[static_cast<std::size_t>(i)]);
        }
        return {{"items", items}, {"total_count", all.size()}};
    }

    const gateway_options& options_;
    const gateway_protocol& protocol_;
    session_table& sessions_;
    keypair_store& keypairs_;
    const std::atomic<bool>& frozen_;

private:
    folder_lister folders_;
    std::chrono::system_clock::time_point started_;
    std::mutex mutex_;
    std::map<std::string, std::string> aliases_; ///< alias -> humanized name
};

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
