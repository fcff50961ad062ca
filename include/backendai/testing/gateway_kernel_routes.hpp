/// @file
/// The embedded gateway's endpoints for compute sessions.
#ifndef BACKENDAI_TESTING_GATEWAY_KERNEL_ROUTES_HPP
#define BACKENDAI_TESTING_GATEWAY_KERNEL_ROUTES_HPP

#include <backendai/testing/gateway_router.hpp>
#include <backendai/testing/gateway_sessions.hpp>
#include <backendai/testing/gateway_types.hpp>
#include <backendai/version.hpp>

#include <nlohmann/json.hpp>

#include <atomic>
#include <cctype>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// A member that is text, or @p fallback when it is absent or null. @throws problem for another type.
inline std::string text_member(const nlohmann::json& object, const char* name, const std::string& fallback = {}) {
    const auto found = object.find(name);
    if (found == object.end() || found->is_null()) return fallback;
    if (!found->is_string()) throw invalid_parameters(std::string(name) + ": value is not a string");
    return found->get<std::string>();
}

/// A member that is an object, or an empty one when it is absent or null. @throws problem for another type.
inline nlohmann::json object_member(const nlohmann::json& object, const char* name) {
    const auto found = object.find(name);
    if (found == object.end() || found->is_null()) return nlohmann::json::object();
    if (!found->is_object()) throw invalid_parameters(std::string(name) + ": value is not a dict");
    return *found;
}

/// 4 to 64 characters, `\w[\w.-]*\w`.
inline bool is_session_token(const std::string& text) {
    const auto is_word = [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || (c & 0x80) != 0;
    };
    if (text.size() < 4 || text.size() > 64 || !is_word(text.front()) || !is_word(text.back())) return false;
    for (const char c : text) {
        if (!is_word(c) && c != '.' && c != '-') return false;
    }
    return true;
}

/// "4g" in KiB. @throws problem.
inline std::int64_t memory_kib(const std::string& text) {
    std::istringstream in(text);
    double amount = 0;
    if (!(in >> amount) || amount < 0 || amount > 1e15) throw invalid_parameters("resources: mem is not an amount");
    std::string unit;
    in >> unit;
    const std::string units = "bkmgtp";
    const std::size_t power =
        unit.empty() ? 0 : units.find(static_cast<char>(std::tolower(static_cast<unsigned char>(unit[0]))));
    if (power == std::string::npos || unit.size() > 3) throw invalid_parameters("resources: mem has an unknown unit");
    for (std::size_t i = 0; i < power; ++i) amount *= 1024;
    return static_cast<std::int64_t>(amount / 1024);
}

/// Reads what all generations of servers have in `config`: environ, mounts, resources.
inline void read_config(const nlohmann::json& config, session_request& request) {
    const nlohmann::json variables = object_member(config, "environ");
    for (const auto& item : variables.items()) {
        if (!item.value().is_string()) throw invalid_parameters("environ: value is not a string");
        const bool is_name = !item.key().empty() && item.key().find('=') == std::string::npos;
        if (!is_name || item.key().find('\0') != std::string::npos)
            throw invalid_parameters("environ: not a variable's name");
        request.environment[item.key()] = item.value().get<std::string>();
    }
    const auto mounts = config.find("mounts");
    if (mounts != config.end() && !mounts->is_null()) {
        if (!mounts->is_array()) throw invalid_parameters("mounts: value is not a list");
        for (const auto& name : *mounts) {
            if (!name.is_string() || name.get<std::string>().empty())
                throw invalid_parameters("mounts: value is not a string");
            const std::string text = name.get<std::string>();
            if (text.find('/') != std::string::npos || text.front() == '.') {
                throw problem(404, "vfolder-not-found", "No such virtual folder.");
            }
            request.mounts.push_back(text);
        }
    }
    const nlohmann::json resources = object_member(config, "resources");
    for (const auto& item : resources.items()) {
        if (!item.value().is_string() && !item.value().is_number())
            throw invalid_parameters("resources: value is not an amount");
        if (item.key() != "mem") continue;
        request.memory_kib =
            memory_kib(item.value().is_string() ? item.value().get<std::string>() : item.value().dump());
    }
}

/// Reads and checks the body of a creation.
inline session_request read_creation(const nlohmann::json& body) {
    session_request request;
    request.language = text_member(body, "lang");
    if (request.language.empty()) throw invalid_parameters("lang: is required");
    request.tag = text_member(body, "tag");
    request.token = request.name = text_member(body, "clientSessionToken");
    if (!is_session_token(request.token)) {
        throw invalid_parameters("clientSessionToken: is required, 4 to 64 characters, letters, digits, '_', '.', '-'");
    }
    const nlohmann::json config = object_member(body, "config");
    read_config(config, request);
    const auto cluster_size = config.find("clusterSize");
    if (cluster_size != config.end() && !cluster_size->is_null()) {
        if (!cluster_size->is_number_integer()) throw invalid_parameters("clusterSize: value is not an integer");
        if (cluster_size->get<std::int64_t>() < 1) throw invalid_parameters("clusterSize: value is less than 1");
    }
    return request;
}

/// One step of a run. @param id of the run; may be empty in its first step
inline nlohmann::json execute_step(const gateway_options& options, kernel& target, const nlohmann::json& body,
                                   std::string id) {
    const std::string mode = text_member(body, "mode");
    const std::string code = text_member(body, "code");
    if (code.size() > options.max_code) throw invalid_parameters("code: too long");
    if (id.size() > 64) throw invalid_parameters("runId: too long");
    const nlohmann::json more = object_member(body, "options");
    if (mode == "complete")
        return {{"status", "finished"}, {"completions", target.complete({{"code", code}, {"options", more}})}};
    if (mode == "query" || mode == "batch") {
        if (id.empty()) id = random_token(8);
        run item;
        item.id = id;
        item.code = code;
        if (mode == "batch") {
            item.is_batch = true;
            item.phase = 0;
            item.commands = {text_member(more, "clean"), text_member(more, "build"), text_member(more, "exec")};
        }
        target.add(std::move(item));
    } else if (mode == "continue" || mode == "input") {
        if (id.empty()) throw invalid_parameters("runId: is required");
        if (mode == "continue" && !code.empty()) throw invalid_parameters("code: must be empty");
        if (mode == "input") target.answer(id, code);
    } else {
        throw invalid_parameters("mode: must be one of query, batch, continue, input, complete");
    }
    return target.step(id, options.slice);
}

/// Handlers of /kernel. Thread-safe.
class kernel_routes {
public:
    kernel_routes(const gateway_options& options, session_table& sessions, std::atomic<bool>& frozen)
        : options_(options), sessions_(sessions), frozen_(frozen) {}

    /// What to tell as servicePorts; set before the first request.
    std::function<nlohmann::json()> service_ports;

    void add_to(router& table) {
        const auto bind = [this](http_reply (kernel_routes::*handler)(const gateway_request&)) {
            return [this, handler](const gateway_request& request) { return (this->*handler)(request); };
        };
        table.add("POST", "/kernel", true, bind(&kernel_routes::create));
        table.add("POST", "/kernel/create", true, bind(&kernel_routes::create));
        table.add("GET", "/kernel/{}", true, bind(&kernel_routes::info));
        table.add("DELETE", "/kernel/{}", true, bind(&kernel_routes::destroy));
        table.add("PATCH", "/kernel/{}", true, bind(&kernel_routes::restart));
        table.add("POST", "/kernel/{}", true, bind(&kernel_routes::execute));
        table.add("POST", "/kernel/{}/interrupt", true, bind(&kernel_routes::interrupt));
        table.add("POST", "/kernel/{}/complete", true, bind(&kernel_routes::complete));
        table.add("GET", "/kernel/{}/logs", true, bind(&kernel_routes::logs));
        add_generated_files(table);
    }
    /// Of all generations: real servers keep generated files in an object store and tell an unguessable URL there.
    void add_generated_files(router& table) {
        table.add("GET", "/generated/{}/{}", false,
                  [this](const gateway_request& request) { return generated(request); });
    }

private:
    http_reply create(const gateway_request& request) {
        session_request wanted = read_creation(request.json());
        if (frozen_) throw server_frozen();
        const auto result = sessions_.get_or_create(std::move(wanted));
        return json_reply({{"kernelId", result.first->request.token},
                           {"servicePorts", service_ports ? service_ports() : nlohmann::json::array()},
                           {"created", result.second}},
                          201);
    }

    http_reply info(const gateway_request& request) {
        const auto session = sessions_.find(request.arguments[0]);
        const session_request& made = (*session)->request;
        const image_name& image = (*session)->image;
        const std::chrono::duration<double, std::milli> age = options_.clock() - (*session)->created;
        return json_reply({{"lang", made.language},
                           {"image", image.name},
                           {"registry", image.registry},
                           {"tag", made.tag.empty() ? nlohmann::json(nullptr) : nlohmann::json(made.tag)},
                           {"age", age.count()},
                           {"memoryLimit", made.memory_kib},
                           {"numQueriesExecuted", session->body().queries()},
                           {"cpuCreditUsed", 0},
                           // deprecated
                           {"queryTimeout", -1},
                           {"idleTimeout", -1},
                           {"maxCpuCredit", -1},
                           {"idle", -1},
                           {"memoryUsed", -1}});
    }

    http_reply destroy(const gateway_request& request) {
        return json_reply({{"stats", sessions_.destroy(request.arguments[0])}});
    }

    http_reply restart(const gateway_request& request) {
        sessions_.find(request.arguments[0])->body().restart();
        return empty_reply();
    }

    http_reply interrupt(const gateway_request& request) {
        sessions_.find(request.arguments[0])->body().interrupt();
        return empty_reply();
    }

    http_reply logs(const gateway_request& request) {
        return json_reply({{"result", {{"logs", sessions_.find(request.arguments[0])->body().logs()}}}});
    }

    http_reply complete(const gateway_request& request) {
        const nlohmann::json body = request.json();
        const nlohmann::json wanted = {{"code", text_member(body, "code")},
                                       {"options", object_member(body, "options")}};
        const auto session = sessions_.find(request.arguments[0]);
        return json_reply({{"result", {{"status", "finished"}, {"completions", session->body().complete(wanted)}}}});
    }

    http_reply execute(const gateway_request& request) {
        const nlohmann::json body = request.json();
        const auto session = sessions_.find(request.arguments[0]);
        return json_reply({{"result", execute_step(options_, session->body(), body, text_member(body, "runId"))}});
    }

    http_reply generated(const gateway_request& request) {
        const std::filesystem::path root = sessions_.generated_files(request.arguments[0]);
        const std::filesystem::path path = (root / request.arguments[1]).lexically_normal();
        std::error_code error;
        const std::string relative = path.lexically_relative(root).generic_string();
        const bool is_inside =
            !root.empty() && relative.compare(0, 2, "..") != 0 && std::filesystem::is_regular_file(path, error);
        std::ifstream file(path, std::ios::binary);
        if (!is_inside || !file) throw problem(404, "generic-not-found", "Unknown URL path.");
        std::ostringstream content;
        content << file.rdbuf();
        http_reply reply;
        reply.headers = {{"Content-Type", "application/octet-stream"}};
        reply.body = content.str();
        return reply;
    }

    const gateway_options& options_;
    session_table& sessions_;
    std::atomic<bool>& frozen_;
};

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
