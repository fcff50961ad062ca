/// @file
/// The network services in compute sessions: which there are, starting and ending them.
#ifndef BACKENDAI_API_KERNEL_SERVICES_HPP
#define BACKENDAI_API_KERNEL_SERVICES_HPP

#include <backendai/api/kernel_call.hpp>
#include <backendai/api/kernel_create.hpp>
#include <backendai/dialect.hpp>
#include <backendai/pipeline.hpp>
#include <backendai/version.hpp>
#include <backendai/wire.hpp>

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

/// Options of start_service().
struct service_options {
    std::optional<int> port;                 ///< one of the service's ports; default: its first
    std::map<std::string, std::string> envs; ///< environment variables of the service
    json arguments;                          ///< an object of command-line arguments, or null for none
    std::optional<std::string> login_session_token;
};

/// Where a service that was started can be reached, by a proxy of the cluster's.
struct service_address {
    std::string token; ///< opens it: a secret
    std::string wsproxy_addr;
    json raw;
};

namespace detail {

template <class = void>
service_address kernel_start_service(const call_scope& scope, const std::string& kernel_id, const std::string& app,
                                     const service_options& options) {
    require_single_name(app, "the service's name");
    if (!options.arguments.is_null() && !options.arguments.is_object())
        throw client_error(error_kind::argument, "the arguments of a service are a JSON object");
    json body = {{"app", app}};
    if (options.port) body["port"] = *options.port;
    // Texts that are JSON themselves.
    if (!options.envs.empty()) body["envs"] = json_text(options.envs);
    if (!options.arguments.is_null()) body["arguments"] = json_text(options.arguments);
    if (options.login_session_token) body["login_session_token"] = *options.login_session_token;
    call what = kernel_call("POST", kernel_id, "/start-service", feature::start_service);
    what.waits_for_compute = true;
    what.retry = retry_class::unsafe;
    what.set_json(body);
    service_address address;
    address.raw = scope.perform(std::move(what)).json();
    const wire_object fields(address.raw, "the service's address");
    address.token = fields.string_or("token", "");
    address.wsproxy_addr = fields.string_or("wsproxy_addr", "");
    return address;
}

template <class = void>
void kernel_shutdown_service(const call_scope& scope, const std::string& kernel_id, const std::string& app) {
    require_single_name(app, "the service's name");
    call what = kernel_call("POST", kernel_id, "/shutdown-service", feature::shutdown_service);
    // In the query and with no body: all servers read it there.
    what.query.emplace_back("service_name", app);
    scope.perform(std::move(what));
}

template <class = void>
std::vector<service_port> kernel_apps(const call_scope& scope, const std::string& kernel_id) {
    require_single_name(kernel_id, "the session id");
    call what;
    what.complete = [rest = '/' + codec::escape_segment(kernel_id) + "/apps"](call& request, const dialect& language) {
        language.require(feature::service_list);
        request.path = std::string(language.stream_path) + rest;
    };
    const json answer = scope.perform(std::move(what)).json();
    if (!answer.is_array()) bad_answer("the services are not a list");
    std::vector<service_port> services;
    for (const json& item : answer) services.push_back(read_service_port(item));
    return services;
}

} // namespace detail

BACKENDAI_NAMESPACE_END

#endif
