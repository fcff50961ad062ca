/// @file
/// The creation of compute sessions: what can be asked for, how it is written for each generation of servers, and what
/// the answer tells.
#ifndef BACKENDAI_API_KERNEL_CREATE_HPP
#define BACKENDAI_API_KERNEL_CREATE_HPP

#include <backendai/api/kernel_call.hpp>
#include <backendai/dialect.hpp>
#include <backendai/error.hpp>
#include <backendai/pipeline.hpp>
#include <backendai/version.hpp>
#include <backendai/wire.hpp>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

/// An amount of a resource: a text ("0.5", "4g") or a number, sent as it was given.
struct resource_amount {
    resource_amount(const char* text) : value(text) {}            // NOLINT(google-explicit-constructor)
    resource_amount(std::string text) : value(std::move(text)) {} // NOLINT(google-explicit-constructor)
    template <class Number, std::enable_if_t<std::is_arithmetic_v<Number>, int> = 0>
    resource_amount(Number number) : value(number) {} // NOLINT(google-explicit-constructor)
    json value;
};

/// Options of get_or_create(). The servers that know an option first are named with it; setting one that the session's
/// protocol version does not know is a client_error{argument}.
struct create_options {
    /// Names the session for reuse, 4 to 64 letters, digits, `_`, and `.` or `-` inside. None: a random name, hence a
    /// new session.
    std::optional<std::string> client_token;
    std::vector<std::string> mounts;                      ///< virtual folders, besides api_config::vfolder_mounts
    std::map<std::string, std::string> envs;              ///< environment variables of the session
    std::map<std::string, resource_amount> resources;     ///< {"cpu", 1}, {"mem", "4g"}, {"cuda.shares", "0.5"} ...
    std::map<std::string, resource_amount> resource_opts; ///< {"shmem", "64m"}
    std::optional<std::string> scaling_group;             ///< which group of agents to run on
    int cluster_size = 1;                                 ///< containers in the session, at least 1
    std::optional<std::string> tag;                       ///< a note of your own

    // 19.09 (v4.20190615) on
    std::optional<std::string> type;            ///< "interactive" (default), "batch", "inference" (23.03 on)
    std::optional<std::string> group;           ///< the project that pays, "default" when not given
    std::optional<std::string> domain;          ///< "default" when not given
    std::optional<std::string> startup_command; ///< what a batch session runs
    bool enqueue_only = false;                  ///< return at once; status() is then "PENDING"
    std::chrono::seconds max_wait{0};           ///< how long the server waits for the start; 0 = without limit. When it
                                                ///< is over the session stays queued and status() is "TIMEOUT"
    bool no_reuse = false;                      ///< a running session of that name is an error
    std::optional<std::string> owner_access_key; ///< whose session it is to be; admins only

    // 20.03 (v5.20191215) on
    std::map<std::string, std::string> mount_map; ///< virtual folder -> absolute path in the session
    std::vector<int> preopen_ports;               ///< ports of your own that are to be services too
    std::optional<std::string> bootstrap_script;  ///< runs before the session can be used
    std::optional<std::string> starts_at;         ///< ISO 8601; batch sessions only

    // 20.09 (v6.20200815) on
    std::optional<std::string> cluster_mode; ///< "single-node" (default) or "multi-node"
    std::vector<std::string> agent_list;     ///< the agents to run on; super-admins only

    // 22.03 (v6.20220315) on
    std::vector<std::string> dependencies;   ///< sessions that have to succeed before, by name or UUID
    std::optional<std::string> callback_url; ///< is told of the session's state
    std::optional<std::string> architecture; ///< "x86_64" (default), "aarch64"

    std::map<std::string, json> mount_options;       ///< folder -> {"permission": ...}; 24.03 (v8.20240315) on
    std::optional<int> priority;                     ///< in the queue; 24.09 (v8.20240915) on
    std::optional<std::string> attach_network;       ///< UUID of a network; 24.12 (v8.20240915) on
    std::vector<std::string> mount_ids;              ///< folders by UUID; 25.12 (v9.20250722) on
    std::map<std::string, std::string> mount_id_map; ///< folder's UUID -> path; 25.12 (v9.20250722) on
};

/// A network service inside a compute session.
struct service_port {
    std::string name;     ///< "jupyter"
    std::string protocol; ///< "http", "tcp", "pty"
    int container_port = 0;
    int host_port = 0; ///< 0 where the server does not say
    json raw;          ///< with all ports of a service that has several
};

/// What get_or_create() came to know.
struct kernel_creation {
    std::string kernel_id; ///< the client token, and the session's UUID from 20.03 on
    std::string name;      ///< the client token
    bool created = false;  ///< false when an existing session was reused
    std::string status;    ///< "RUNNING", "PENDING", "TIMEOUT" ...; empty where the server does not say
    std::vector<service_port> service_ports;
    json raw;
};

namespace detail {

// Client token: 4 to 64 characters, letters, digits and `_` at both ends, `.` and `-` allowed inside.
template <class = void>
void check_client_token(const std::string& token) {
    const auto word = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    };
    bool good = token.size() >= 4 && token.size() <= 64 && word(token.front()) && word(token.back());
    for (const char c : token) good = good && (word(c) || c == '.' || c == '-');
    if (!good) {
        throw client_error(error_kind::argument, "the client token \"" + token +
                                                     "\" is not 4 to 64 letters, digits, '_', and '.' or '-' inside");
    }
}

template <class = void>
std::string random_token() {
    std::random_device device;
    std::string text;
    for (int i = 0; i < 4; ++i) {
        constexpr char digits[] = "0123456789abcdef";
        unsigned value = device();
        for (int j = 0; j < 8; ++j, value >>= 4) text += digits[value & 15];
    }
    return text;
}

/// Writes the options that not every server knows: those that are set, each refused where it is not known.
class optional_members {
public:
    explicit optional_members(const dialect& language) : language_(language) {}

    template <class T>
    void add(json& to, const char* key, feature what, const std::optional<T>& value) const {
        if (!value) return;
        language_.require(what);
        to[key] = *value;
    }
    /// A list or map; an empty one is not set.
    template <class Container>
    void add_all(json& to, const char* key, feature what, const Container& values) const {
        if (values.empty()) return;
        language_.require(what);
        to[key] = values;
    }
    /// A number or switch that is set when it is not @p usual.
    template <class T>
    void add_unless(json& to, const char* key, feature what, const T& value, const T& usual) const {
        if (value == usual) return;
        language_.require(what);
        to[key] = value;
    }

private:
    const dialect& language_;
};

template <class = void>
json write_amounts(const std::map<std::string, resource_amount>& amounts) {
    json object = json::object();
    for (const auto& [name, amount] : amounts) object[name] = amount.value;
    return object;
}

/// The body of a creation. @param mounts those of the configuration included
template <class = void>
json write_creation(const std::string& image, const create_options& options, const std::vector<std::string>& mounts,
                    const dialect& language) {
    const optional_members maybe(language);
    json config = {{"mounts", mounts}, {"environ", options.envs}, {"resources", write_amounts(options.resources)}};
    if (!options.resource_opts.empty()) config["resource_opts"] = write_amounts(options.resource_opts);
    if (options.scaling_group) config["scaling_group"] = *options.scaling_group;
    maybe.add_all(config, "mount_map", feature::mount_map, options.mount_map);
    maybe.add_all(config, "preopen_ports", feature::preopen_ports, options.preopen_ports);
    maybe.add_all(config, "agent_list", feature::agent_list, options.agent_list);
    maybe.add_all(config, "mount_options", feature::mount_options, options.mount_options);
    maybe.add(config, "attach_network", feature::attach_network, options.attach_network);
    maybe.add_all(config, "mount_ids", feature::mount_ids, options.mount_ids);
    maybe.add_all(config, "mount_id_map", feature::mount_id_map, options.mount_id_map);

    json body = {{std::string(language.image_key), image},
                 {"tag", options.tag ? json(*options.tag) : json()},
                 {std::string(language.session_name_key), options.client_token.value_or(random_token())}};
    maybe.add(body, "type", feature::session_type, options.type);
    maybe.add(body, "group", feature::group, options.group);
    maybe.add(body, "domain", feature::domain, options.domain);
    maybe.add(body, "startupCommand", feature::startup_command, options.startup_command);
    maybe.add_unless(body, "enqueueOnly", feature::enqueue_only, options.enqueue_only, false);
    maybe.add_unless(body, "maxWaitSeconds", feature::max_wait, options.max_wait.count(), std::chrono::seconds::rep{0});
    maybe.add_unless(body, "reuseIfExists", feature::no_reuse, !options.no_reuse, true);
    maybe.add(body, "owner_access_key", feature::owner_access_key, options.owner_access_key);
    maybe.add(body, "bootstrap_script", feature::bootstrap_script, options.bootstrap_script);
    maybe.add(body, "starts_at", feature::starts_at, options.starts_at);
    maybe.add(body, "clusterMode", feature::cluster_mode, options.cluster_mode);
    maybe.add_all(body, "dependencies", feature::dependencies, options.dependencies);
    maybe.add(body, "callback_url", feature::callback_url, options.callback_url);
    maybe.add(body, "architecture", feature::architecture, options.architecture);
    maybe.add(body, "priority", feature::priority, options.priority);
    (language.cluster_size_in_config ? config : body)["clusterSize"] = options.cluster_size;
    body["config"] = std::move(config);
    return body;
}

/// A port of a service: a number, or the first one of a list.
template <class = void>
int first_port(const wire_object& fields, const char* number, const char* list) {
    if (const auto port = fields.optional_int(number)) return *port;
    const json::array_t& ports = fields.array_or_empty(list);
    if (ports.empty()) return 0;
    if (!ports.front().is_number_integer()) bad_answer(std::string("a port in \"") + list + "\" is not a number");
    return ports.front().get<int>();
}

// {name, protocol, container_port, host_port} in 19.03, {name, protocol, ports} later, {..., container_ports,
// host_ports} of sessions that are reused.
template <class = void>
service_port read_service_port(const json& value) {
    const wire_object fields(value, "a service port");
    service_port port;
    port.name = fields.string("name");
    port.protocol = fields.string_or("protocol", "");
    port.container_port =
        first_port(fields, "container_port", fields.find("ports") != nullptr ? "ports" : "container_ports");
    port.host_port = first_port(fields, "host_port", "host_ports");
    port.raw = value;
    return port;
}

/// @param id_key the member that holds the session's id
template <class = void>
kernel_creation read_creation(json answer, const std::string& id_key) {
    kernel_creation made;
    const wire_object fields(answer, "the created session");
    made.kernel_id = fields.string(id_key.c_str());
    if (made.kernel_id.empty()) bad_answer(id_key + " of the created session is empty");
    made.name = fields.string_or("sessionName", made.kernel_id);
    made.created = fields.boolean_or("created", true);
    made.status = fields.string_or("status", "");
    // A reused session tells its services under the other name.
    for (const char* key : {"servicePorts", "service_ports"}) {
        for (const json& port : fields.array_or_empty(key)) made.service_ports.push_back(read_service_port(port));
    }
    made.raw = std::move(answer);
    return made;
}

template <class = void>
void check_create_options(const std::string& lang, const create_options& options) {
    require_single_name(lang, "the image name");
    if (options.client_token) check_client_token(*options.client_token);
    if (options.cluster_size < 1) throw client_error(error_kind::argument, "cluster_size must be at least 1");
    if (options.max_wait.count() < 0) throw client_error(error_kind::argument, "max_wait must not be negative");
    for (const std::string& mount : options.mounts) require_single_name(mount, "a mount");
}

template <class = void>
kernel_creation kernel_get_or_create(const call_scope& scope, const std::string& lang, const create_options& options) {
    check_create_options(lang, options);
    std::vector<std::string> mounts = *scope.state->config().vfolder_mounts;
    for (const std::string& mount : options.mounts) {
        if (std::find(mounts.begin(), mounts.end(), mount) == mounts.end()) mounts.push_back(mount);
    }
    call what;
    what.method = "POST";
    what.waits_for_compute = true;
    // The client token makes it idempotent: a second try gets the session that the first one made.
    what.retry = options.no_reuse ? retry_class::unsafe : retry_class::safe;
    std::string id_key;
    what.complete = [&](call& request, const dialect& language) {
        id_key = language.session_id_key;
        request.path = std::string(language.create_session_path);
        request.set_json(write_creation(lang, options, mounts, language));
    };
    json answer = scope.perform(std::move(what)).json();
    return read_creation(std::move(answer), id_key);
}

} // namespace detail

BACKENDAI_NAMESPACE_END

#endif
