/// @file
/// Options and results of the compute session functions; those of the creation are in kernel_create.hpp.
#ifndef BACKENDAI_API_KERNEL_TYPES_HPP
#define BACKENDAI_API_KERNEL_TYPES_HPP

#include <backendai/media.hpp>
#include <backendai/version.hpp>
#include <backendai/wire.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

/// The state of a compute session. Counters the server does not keep are -1.
struct kernel_info {
    std::string lang, image, registry, tag;
    std::string status; ///< "RUNNING" ...; empty where the server does not say
    std::chrono::milliseconds age{0};
    std::int64_t memory_limit_kib = -1;
    std::int64_t num_queries_executed = -1;
    std::int64_t idle_timeout_ms = -1;
    json raw;
};

/// Options of destroy().
struct destroy_options {
    bool forced = false;                         ///< whatever the session's state is; 20.03 (v5.20191215) on
    std::optional<std::string> owner_access_key; ///< whose session it is; admins only, 19.09 (v4.20190615) on
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

template <class = void>
kernel_info read_info(json answer) {
    kernel_info info;
    const wire_object fields(answer, "the session's information");
    info.lang = fields.string_or("lang", "");
    info.image = fields.string_or("image", "");
    info.registry = fields.string_or("registry", "");
    info.tag = fields.string_or("tag", "");
    info.status = fields.string_or("status", "");
    info.age = std::chrono::milliseconds(fields.integer_or("age", 0));
    info.memory_limit_kib = fields.integer_or("memoryLimit", -1);
    info.num_queries_executed = fields.integer_or("numQueriesExecuted", -1);
    info.idle_timeout_ms = fields.integer_or("idleTimeout", -1);
    info.raw = std::move(answer);
    return info;
}

template <class = void>
const char* mode_name(execute_mode mode) {
    switch (mode) {
    case execute_mode::query: return "query";
    case execute_mode::batch: return "batch";
    case execute_mode::continue_: return "continue";
    case execute_mode::input: return "input";
    case execute_mode::complete: return "complete";
    }
    throw client_error(error_kind::argument, "not an execute_mode");
}

template <class = void>
run_status read_status(const std::string& text) {
    if (text == "continued") return run_status::continued;
    if (text == "clean-finished") return run_status::clean_finished;
    if (text == "build-finished") return run_status::build_finished;
    if (text == "finished") return run_status::finished;
    if (text == "waiting-input") return run_status::waiting_input;
    if (text == "exec-timeout") return run_status::exec_timeout;
    bad_answer("unknown run status \"" + text.substr(0, 40) + '"');
}

template <class = void>
console_record read_console_record(const json& value) {
    if (!value.is_array() || value.size() < 2 || !value[0].is_string())
        bad_answer("a console record is no [type, payload]");
    // Some kinds carry an object in place of text.
    return {value[0].get<std::string>(), value[1].is_string() ? value[1].get<std::string>() : value[1].dump()};
}

template <class = void>
execute_result read_execute_result(json value) {
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

template <class = void>
json batch_options(const batch_commands& commands) {
    const auto text = [](const std::optional<std::string>& command) { return command ? json(*command) : json(); };
    return {{"clean", text(commands.clean)},
            {"build", text(commands.build)},
            {"buildLog", commands.build_log},
            {"exec", text(commands.exec)}};
}

} // namespace detail

BACKENDAI_NAMESPACE_END

#endif
