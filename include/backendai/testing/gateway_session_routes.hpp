/// @file
/// The embedded gateway's endpoints for compute sessions as servers from 20.09 on have them.
#ifndef BACKENDAI_TESTING_GATEWAY_SESSION_ROUTES_HPP
#define BACKENDAI_TESTING_GATEWAY_SESSION_ROUTES_HPP

#include <backendai/codec/date.hpp>
#include <backendai/testing/gateway_auth.hpp>
#include <backendai/testing/gateway_kernel_routes.hpp>
#include <backendai/testing/gateway_keypairs.hpp>
#include <backendai/testing/gateway_parameters.hpp>
#include <backendai/testing/gateway_protocol.hpp>
#include <backendai/testing/gateway_router.hpp>
#include <backendai/testing/gateway_sessions.hpp>
#include <backendai/testing/gateway_types.hpp>
#include <backendai/version.hpp>

#include <nlohmann/json.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// Name, protocol and ports of a service in the form of a creation's answer, from the form of service_table.
inline nlohmann::json modern_services(const nlohmann::json& services) {
    nlohmann::json list = nlohmann::json::array();
    for (const auto& item : services) {
        list.push_back({{"name", item["name"]},
                        {"protocol", item["protocol"]},
                        {"ports", nlohmann::json::array({item["container_port"]})}});
    }
    return list;
}
/// The same of a session that is given back.
inline nlohmann::json reused_services(const nlohmann::json& services) {
    nlohmann::json list = nlohmann::json::array();
    for (const auto& item : services) {
        list.push_back({{"name", item["name"]},
                        {"protocol", item["protocol"]},
                        {"host_ports", nlohmann::json::array({item["host_port"]})},
                        {"container_ports", nlohmann::json::array({item["container_port"]})},
                        {"is_inference", false}});
    }
    return list;
}

/// Handlers of /session. Thread-safe.
///
/// A session starts at once, however long its queue is said to be: enqueueOnly answers PENDING all the same.
class session_routes {
public:
    session_routes(const gateway_options& options, session_table& sessions, const keypair_store& keypairs,
                   std::atomic<bool>& frozen)
        : options_(options),
          protocol_(find_protocol(options.protocol)),
          sessions_(sessions),
          keypairs_(keypairs),
          frozen_(frozen) {}

    /// The services of each session; set before the first request.
    std::function<nlohmann::json()> service_ports;

    void add_to(router& table) {
        const auto bind = [this](http_reply (session_routes::*handler)(const gateway_request&)) {
            return [this, handler](const gateway_request& request) { return (this->*handler)(request); };
        };
        table.add("POST", "/session", true, bind(&session_routes::create));
        table.add("POST", "/session/_/create", true, bind(&session_routes::create));
        table.add("GET", "/session/_/match", true, bind(&session_routes::match));
        table.add("GET", "/session/{}", true, bind(&session_routes::info));
        table.add("DELETE", "/session/{}", true, bind(&session_routes::destroy));
        table.add("PATCH", "/session/{}", true, bind(&session_routes::restart));
        table.add("POST", "/session/{}", true, bind(&session_routes::execute));
        table.add("POST", "/session/{}/interrupt", true, bind(&session_routes::interrupt));
        table.add("POST", "/session/{}/complete", true, bind(&session_routes::complete));
        table.add("GET", "/session/{}/logs", true, bind(&session_routes::logs));
        table.add("POST", "/session/{}/rename", true, bind(&session_routes::rename));
        table.add("POST", "/session/{}/start-service", true, bind(&session_routes::start_service));
        table.add("POST", "/session/{}/shutdown-service", true, bind(&session_routes::shutdown_service));
        table.add("GET", "/stream/session/{}/apps", true, bind(&session_routes::apps));
    }

private:
    using json = nlohmann::json;

    std::string key_of(const gateway_request& request) const {
        return sessions_.key_of(request.arguments[0], access_key_of(request.call));
    }
    std::unique_ptr<session_table::use> find(const gateway_request& request) const {
        return sessions_.find(key_of(request));
    }

    // --- creation ----------------------------------------------------------------------------------------------------

    http_reply create(const gateway_request& request) {
        if (frozen_) throw server_frozen();
        const std::string* version = find_header(request.call.headers, "X-BackendAI-Version");
        // The handler reads what the schema of older headers does not have.
        if (version != nullptr && is_before_storage_proxy(*version))
            throw problem(500, "internal-server-error", "Internal server error.");
        bool enqueue_only = false;
        session_request wanted = read_request(request, enqueue_only);
        const bool is_batch = wanted.type == "batch";
        const auto result = sessions_.get_or_create(std::move(wanted));
        session_entry& entry = *result.first;
        json body = {{"sessionId", entry.id},
                     {"sessionName", entry.name()},
                     {"status", enqueue_only && result.second ? "PENDING" : "RUNNING"},
                     {"created", result.second}};
        if (!result.second) {
            body["service_ports"] = reused_services(service_ports());
            return json_reply(body, 201);
        }
        body["servicePorts"] = enqueue_only || is_batch ? json::array() : modern_services(service_ports());
        if (is_batch) body["status"] = run_batch(entry);
        return json_reply(body, 201);
    }

    session_request read_request(const gateway_request& request, bool& enqueue_only) const {
        parameters given(request);
        session_request wanted;
        const std::string caller = access_key_of(request.call);
        wanted.name = given.required_text({"name", "clientSessionToken"}, "session_name");
        if (!wanted.name.empty()) check_name(given, wanted.name);
        wanted.language = given.required_text({"image", "lang"});
        wanted.tag = given.text({"tag"}).value_or("");
        wanted.type =
            given.word({"type", "sessionType"}, "interactive", {"interactive", "batch", "inference"}, "SessionTypes");
        wanted.cluster_size = given.integer({"clusterSize", "cluster_size"}, 1, 1);
        wanted.cluster_mode =
            given.word({"clusterMode", "cluster_mode"}, "single-node", {"single-node", "multi-node"}, "ClusterMode");
        wanted.startup_command = given.text({"startupCommand"}).value_or("");
        wanted.reuse = given.boolean({"reuseIfExists"}, true);
        wanted.owner = given.text({"owner_access_key"}).value_or(caller);
        enqueue_only = given.boolean({"enqueueOnly"}, false);
        given.integer({"maxWaitSeconds"}, 0, 0);
        const std::string group = given.text({"group", "groupName", "group_name"}).value_or("default");
        const std::string domain = given.text({"domain", "domainName", "domain_name"}).value_or("default");
        for (const char* unused : {"architecture", "starts_at", "bootstrap_script", "callback_url", "dependencies"})
            given.find({unused});
        const auto config = given.object({"config"});
        if (protocol_.reads_run_id) given.find({"priority"});
        given.finish();
        check_config(config);
        if (domain != "default") throw invalid_parameters("You can only set the domain to your domain.");
        if (group != "default") throw invalid_parameters("Invalid group");
        if (wanted.type == "batch" && wanted.startup_command.empty())
            throw invalid_parameters("Batch sessions must have a non-empty startup command.");
        if (wanted.owner != caller && !is_admin(caller)) {
            throw problem(403, "generic-forbidden", "Forbidden operation.", nullptr,
                          "Only admins can perform operations on behalf of other users.");
        }
        read_config(config, wanted);
        return wanted;
    }

    // An unknown member or one of the wrong type is no bad request to those servers but a failure.
    static void check_config(const json& config) {
        static const std::set<std::string> known = {
            "mounts",       "environ",       "resources", "resource_opts", "resourceOpts",  "scaling_group",
            "scalingGroup", "mount_map",     "mountMap",  "preopen_ports", "preopenPorts",  "agent_list",
            "agentList",    "mount_options", "mount_ids", "mount_id_map",  "attach_network"};
        for (const auto& item : config.items()) {
            const bool is_list = item.key() == "mounts" || item.key() == "preopen_ports" || item.key() == "agent_list";
            const bool is_map = item.key() == "environ" || item.key() == "resources" || item.key() == "mount_map" ||
                                item.key() == "resource_opts";
            const json& value = item.value();
            if (known.count(item.key()) == 0 ||
                (!value.is_null() && ((is_list && !value.is_array()) || (is_map && !value.is_object()))))
                throw problem(500, "internal-server-error", "Internal server error.");
        }
    }

    static void check_name(parameters& given, const std::string& name) {
        bool ascii = true;
        for (const char c : name) ascii = ascii && (c & 0x80) == 0;
        if (!ascii || !is_session_token(name))
            given.wrong("name", R"(does not match pattern ^(?=.{4,64}$)\w[\w.-]*\w$)");
    }

    bool is_admin(const std::string& access_key) const {
        const auto caller = keypairs_.find(access_key);
        return caller && caller->is_admin;
    }

    // Runs the command of a batch session to its end, and so the session.
    std::string run_batch(const session_entry& entry) {
        const auto session = sessions_.find(entry.request.token);
        run item;
        item.id = random_token(8);
        item.is_batch = true;
        item.phase = 2;
        item.commands = {"", "", entry.request.startup_command};
        const std::string id = item.id;
        session->body().add(std::move(item));
        while (session->body().step(id, options_.slice)["status"] != "finished") continue;
        sessions_.destroy(entry.request.token);
        return "TERMINATED";
    }

    // --- one session -------------------------------------------------------------------------------------------------

    http_reply match(const gateway_request& request) {
        parameters given(request);
        const std::string wanted = given.required_text({"id"});
        given.finish();
        const std::string owner = access_key_of(request.call);
        json matches = json::array();
        const auto add = [&](const std::string& id, const std::string& name, const char* status) {
            if (wanted == id || wanted == name) matches.push_back({{"id", id}, {"name", name}, {"status", status}});
        };
        for (const auto& entry : sessions_.list()) {
            if (entry->request.owner == owner) add(entry->id, entry->name(), "RUNNING");
        }
        for (const ended_session& entry : sessions_.ended()) {
            if (entry.owner == owner) add(entry.id, entry.name, "TERMINATED");
        }
        return json_reply({{"matches", matches}});
    }

    // Several values are Python's way to print a value.
    http_reply info(const gateway_request& request) {
        const auto session = find(request);
        const session_entry& entry = *session->operator->();
        const session_request& made = entry.request;
        const auto age = std::chrono::duration_cast<std::chrono::milliseconds>(options_.clock() - entry.created);
        const std::string slots =
            "{'cpu': Decimal('1'), 'mem': Decimal('" + std::to_string(made.memory_kib * 1024) + "')}";
        std::string environ;
        for (const auto& item : made.environment)
            environ += (environ.empty() ? "'" : ", '") + item.first + "': '" + item.second + '\'';
        return json_reply({{"domainName", "default"},
                           {"groupId", "2de2b969-1d04-48a6-af16-0bc8adb3c831"},
                           {"userId", user_uuid(made.owner)},
                           {"lang", made.language},
                           {"image", made.language},
                           {"architecture", "x86_64"},
                           {"registry", entry.image.registry},
                           {"tag", made.tag.empty() ? json() : json(made.tag)},
                           {"containerId", ""},
                           {"occupiedSlots", slots},
                           {"occupyingSlots", "{}"},
                           {"requestedSlots", slots},
                           {"occupiedShares", "{}"},
                           {"environ", "{" + environ + "}"},
                           {"resourceOpts", "{'main1': {'shmem': 67108864}}"},
                           {"status", "RUNNING"},
                           {"statusInfo", ""},
                           {"statusData", json::object()},
                           {"age", age.count()},
                           {"creationTime", python_date(entry.created)},
                           {"terminationTime", nullptr},
                           {"numQueriesExecuted", session->body().queries()},
                           {"lastStat", nullptr},
                           {"idleChecks", json::object()}});
    }

    http_reply destroy(const gateway_request& request) {
        parameters given(request);
        given.boolean({"forced"}, false);
        const std::string caller = access_key_of(request.call);
        const std::string owner = given.text({"owner_access_key"}).value_or(caller);
        if (protocol_.reads_run_id) given.boolean({"recursive"}, false);
        given.finish();
        if (owner != caller && !is_admin(caller)) throw problem(403, "generic-forbidden", "Forbidden operation.");
        sessions_.destroy(sessions_.key_of(request.arguments[0], owner));
        return json_reply({{"stats", {{"status", "terminated"}}}});
    }

    http_reply restart(const gateway_request& request) {
        find(request)->body().restart();
        return empty_reply();
    }
    http_reply interrupt(const gateway_request& request) {
        find(request)->body().interrupt();
        return empty_reply();
    }

    http_reply logs(const gateway_request& request) {
        parameters given(request);
        given.text({"owner_access_key"});
        given.finish();
        const std::string owner = access_key_of(request.call);
        const std::string& wanted = request.arguments[0];
        json matches = json::array();
        std::string text;
        for (const auto& entry : sessions_.list()) {
            if (entry->request.owner != owner || (entry->id != wanted && entry->name() != wanted)) continue;
            matches.push_back({{"id", entry->id}, {"name", entry->name()}, {"status", "RUNNING"}});
            text = entry->body->logs();
        }
        for (const ended_session& entry : sessions_.ended()) {
            if (entry.owner != owner || (entry.id != wanted && entry.name != wanted)) continue;
            if (matches.empty()) text = entry.logs;
            matches.push_back({{"id", entry.id}, {"name", entry.name}, {"status", "TERMINATED"}});
        }
        if (matches.size() > 1) {
            throw problem(404, "too-many-sessions-matched", "Too many sessions matched.",
                          {{"data", {{"matches", matches}}}});
        }
        if (matches.empty()) sessions_.key_of(wanted, owner); // throws
        return json_reply({{"result", {{"logs", text}}}});
    }

    http_reply rename(const gateway_request& request) {
        if (frozen_) throw server_frozen();
        parameters given(request);
        const std::string name = given.required_text({"name", "session_name", "clientSessionToken"}, "session_name");
        if (!name.empty()) check_name(given, name);
        given.finish();
        sessions_.rename(key_of(request), name);
        return empty_reply();
    }

    // --- code --------------------------------------------------------------------------------------------------------

    http_reply complete(const gateway_request& request) {
        const json body = body_of(request);
        const auto session = find(request);
        const json found = session->body().complete(
            {{"code", text_member(body, "code")}, {"options", object_member(body, "options")}});
        // What later servers answer; those between 23.03 and 25.8 answer null.
        return json_reply({{"result", {{"status", "finished"}, {"completions", found}}}});
    }

    http_reply execute(const gateway_request& request) {
        const json body = body_of(request);
        const char* key = protocol_.reads_run_id ? "run_id" : "runId";
        const auto session = find(request);
        if (!protocol_.reads_run_id && !body.contains(key)) throw invalid_parameters("runId is missing!");
        const std::string mode = text_member(body, "mode");
        if (mode.empty()) throw invalid_parameters("mode is missing or empty!");
        const std::string id = text_member(body, key);
        if (id.empty() && (mode == "continue" || mode == "input"))
            throw invalid_parameters("continuation requires explicit run ID");
        return json_reply({{"result", execute_step(options_, session->body(), body, id)}});
    }

    // The body and nothing else, which may be any object.
    static json body_of(const gateway_request& request) {
        json body = json::parse(request.call.body, nullptr, false);
        if (body.is_discarded()) throw invalid_parameters("");
        return body.is_object() ? body : json::object();
    }

    // --- services ----------------------------------------------------------------------------------------------------

    http_reply apps(const gateway_request& request) {
        find(request);
        return json_reply(modern_services(service_ports()));
    }

    http_reply start_service(const gateway_request& request) {
        parameters given(request);
        const std::string app = given.required_text({"app", "service"});
        const std::int64_t port = given.integer({"port"}, 0, 1024);
        for (const char* key : {"envs", "arguments", "login_session_token"}) given.text({key});
        given.finish();
        const auto session = find(request);
        if (options_.wsproxy_addr.empty()) {
            throw problem(503, "service-unavailable", "Serivce unavailable.", nullptr,
                          "No coordinator configured for this resource group");
        }
        for (const auto& item : service_ports()) {
            if (item["name"] != app) continue;
            if (port != 0 && item["container_port"] != port) {
                throw invalid_parameters("Service " + app + " does not open the port number " + std::to_string(port) +
                                         '.');
            }
            return json_reply({{"token", random_token(32)}, {"wsproxy_addr", options_.wsproxy_addr}});
        }
        throw problem(404, "app-not-found", "No such app service.", nullptr, request.arguments[0] + ':' + app);
    }

    http_reply shutdown_service(const gateway_request& request) {
        parameters given(request);
        given.required_text({"service_name"});
        given.finish();
        find(request);
        return empty_reply();
    }

    const gateway_options& options_;
    const gateway_protocol& protocol_;
    session_table& sessions_;
    const keypair_store& keypairs_;
    std::atomic<bool>& frozen_;
};

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
