/// @file
/// Options and results of the compute session functions.
#ifndef BACKENDAI_API_KERNEL_TYPES_HPP
#define BACKENDAI_API_KERNEL_TYPES_HPP

#include <backendai/config.hpp>
#include <backendai/media.hpp>
#include <backendai/version.hpp>
#include <backendai/wire.hpp>

#include <chrono>
#include <cstdint>
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

/// Options of get_or_create().
struct create_options {
    /// Names the session for reuse, 4 to 64 letters, digits, `_`, and `.` or `-` inside. None: a random name, hence a
    /// new session.
    std::optional<std::string> client_token;
    std::vector<std::string> mounts;                  ///< virtual folders, besides api_config::vfolder_mounts
    std::map<std::string, std::string> envs;          ///< environment variables of the session
    std::map<std::string, resource_amount> resources; ///< {"cpu", 1}, {"mem", "4g"}, {"cuda.shares", "0.5"} ...
    int cluster_size = 1;                             ///< containers in the session, at least 1
    std::optional<std::string> tag;                   ///< a note of your own
};

/// A network service inside a compute session.
struct service_port {
    std::string name;     ///< "jupyter"
    std::string protocol; ///< "http", "tcp", "pty"
    int container_port = 0;
    int host_port = 0;
    json raw;
};

/// What get_or_create() came to know.
struct kernel_creation {
    std::string kernel_id;
    bool created = false; ///< false when an existing session was reused
    std::vector<service_port> service_ports;
    json raw;
};

/// The state of a compute session. Counters the server does not keep are -1.
struct kernel_info {
    std::string lang, image, registry, tag;
    std::chrono::milliseconds age{0};
    std::int64_t memory_limit_kib = -1;
    std::int64_t num_queries_executed = -1;
    std::int64_t idle_timeout_ms = -1;
    json raw;
};

/// What destroy() reports of the session that ended; null when the server has no statistics.
struct destroy_result {
    json stats;
};

/// The kind of one step of a run.
enum class execute_mode {
    query,     ///< a code snippet
    batch,     ///< shell commands, see batch_commands
    continue_, ///< wait on for the run; the code must be empty. NOLINT(readability-identifier-naming)
    input,     ///< the code is what the user typed
    complete   ///< completion candidates, the legacy way
};

/// What is to happen after a step.
enum class run_status {
    continued,      ///< still running: call again with execute_mode::continue_
    clean_finished, ///< a batch's clean command ended; continue
    build_finished, ///< a batch's build command ended; continue
    finished,       ///< the run is over
    waiting_input,  ///< the code reads a line: call again with execute_mode::input
    exec_timeout    ///< the server ended the run for its time limit
};

/// A file that the code made and the server offers for download.
struct generated_file {
    std::string name;
    std::string url;
};

/// One step of a run.
struct execute_result {
    run_status status = run_status::finished;
    std::string run_id;           ///< names the run in later steps
    std::optional<int> exit_code; ///< set when a phase ended
    std::vector<console_record> console;
    bool is_password = false; ///< with waiting_input: do not echo what the user types
    std::vector<generated_file> files;
    json options; ///< the server's options object, or null
    json raw;
};

/// The commands of a batch run; unset ones are skipped, "*" asks for the language's default.
struct batch_commands {
    std::optional<std::string> clean, build, exec;
    bool build_log = false; ///< show the build's output
};

/// Where the cursor is, for complete().
struct completion_options {
    int row = 0, col = 0;
    std::string line; ///< the whole line
    std::string post; ///< what follows the cursor
};

namespace detail {

inline service_port read_service_port(const json& value) {
    const wire_object fields(value, "a service port");
    service_port port;
    port.name = fields.string("name");
    port.protocol = fields.string_or("protocol", "");
    port.container_port = fields.optional_int("container_port").value_or(0);
    port.host_port = fields.optional_int("host_port").value_or(0);
    port.raw = value;
    return port;
}

inline kernel_creation read_creation(json answer) {
    kernel_creation made;
    const wire_object fields(answer, "the created session");
    made.kernel_id = fields.string("kernelId");
    if (made.kernel_id.empty()) bad_answer("kernelId of the created session is empty");
    made.created = fields.boolean_or("created", true);
    for (const json& port : fields.array_or_empty("servicePorts"))
        made.service_ports.push_back(read_service_port(port));
    made.raw = std::move(answer);
    return made;
}

inline kernel_info read_info(json answer) {
    kernel_info info;
    const wire_object fields(answer, "the session's information");
    info.lang = fields.string_or("lang", "");
    info.image = fields.string_or("image", "");
    info.registry = fields.string_or("registry", "");
    info.tag = fields.string_or("tag", "");
    info.age = std::chrono::milliseconds(fields.integer_or("age", 0));
    info.memory_limit_kib = fields.integer_or("memoryLimit", -1);
    info.num_queries_executed = fields.integer_or("numQueriesExecuted", -1);
    info.idle_timeout_ms = fields.integer_or("idleTimeout", -1);
    info.raw = std::move(answer);
    return info;
}

inline const char* mode_name(execute_mode mode) {
    switch (mode) {
    case execute_mode::query: return "query";
    case execute_mode::batch: return "batch";
    case execute_mode::continue_: return "continue";
    case execute_mode::input: return "input";
    case execute_mode::complete: return "complete";
    }
    throw client_error(error_kind::argument, "not an execute_mode");
}

inline run_status read_status(const std::string& text) {
    if (text == "continued") return run_status::continued;
    if (text == "clean-finished") return run_status::clean_finished;
    if (text == "build-finished") return run_status::build_finished;
    if (text == "finished") return run_status::finished;
    if (text == "waiting-input") return run_status::waiting_input;
    if (text == "exec-timeout") return run_status::exec_timeout;
    bad_answer("unknown run status \"" + text.substr(0, 40) + '"');
}

inline console_record read_console_record(const json& value) {
    if (!value.is_array() || value.size() < 2 || !value[0].is_string())
        bad_answer("a console record is no [type, payload]");
    // Some kinds carry an object in place of text.
    return {value[0].get<std::string>(), value[1].is_string() ? value[1].get<std::string>() : value[1].dump()};
}

inline execute_result read_execute_result(json value) {
    execute_result result;
    const wire_object fields(value, "the run's result");
    result.status = read_status(fields.string("status"));
    result.run_id = fields.string_or("runId", "");
    result.exit_code = fields.optional_int("exitCode");
    for (const json& record : fields.array_or_empty("console")) result.console.push_back(read_console_record(record));
    for (const json& file : fields.array_or_empty("files")) {
        const wire_object entry(file, "a generated file");
        result.files.push_back({entry.string("name"), entry.string_or("url", "")});
    }
    if (const json* options = fields.find("options")) {
        result.options = *options;
        result.is_password = wire_object(*options, "the run's options").boolean_or("is_password", false);
    }
    result.raw = std::move(value);
    return result;
}

inline json batch_options(const batch_commands& commands) {
    const auto text = [](const std::optional<std::string>& command) { return command ? json(*command) : json(); };
    return {{"clean", text(commands.clean)},
            {"build", text(commands.build)},
            {"buildLog", commands.build_log},
            {"exec", text(commands.exec)}};
}

// Client token: 4 to 64 characters, letters, digits and `_` at both ends, `.` and `-` allowed inside.
inline void check_client_token(const std::string& token) {
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

inline std::string random_token() {
    std::random_device device;
    std::string text;
    for (int i = 0; i < 4; ++i) {
        constexpr char digits[] = "0123456789abcdef";
        unsigned value = device();
        for (int j = 0; j < 8; ++j, value >>= 4) text += digits[value & 15];
    }
    return text;
}

inline void require_single_name(const std::string& text, const char* what) {
    if (text.empty() || has_control_character(text)) {
        throw client_error(error_kind::argument, std::string(what) + " is empty or holds a control character");
    }
}

} // namespace detail

BACKENDAI_NAMESPACE_END

#endif
