/// @file
/// The whole run loop over execute(): what a user's program would otherwise write itself, with the ends tied up.
#ifndef BACKENDAI_API_RUN_HPP
#define BACKENDAI_API_RUN_HPP

#include <backendai/api/kernel_types.hpp>
#include <backendai/version.hpp>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

/// The code waits for a line of input.
struct input_request {
    bool is_password = false; ///< do not echo what the user types
};

/// What run() calls while the code runs, one at a time, on the thread that runs it. Unset ones collect into run_result.
/// One that throws ends the run: the code is interrupted and the exception comes out of run().
struct run_handlers {
    std::function<void(std::string_view)> on_stdout;
    std::function<void(std::string_view)> on_stderr;
    std::function<void(const console_record&)> on_media; ///< every record that is not stdout or stderr
    std::function<void(const generated_file&)> on_file;
    /// Returns the line, without its line break.
    std::function<std::string(const input_request&)> on_input;
    /// A phase ended (clean_finished, build_finished, finished), with its exit code if the server says one.
    std::function<void(run_status, std::optional<int>)> on_phase;
};

/// The outcome of a run, and what no handler took of its output.
struct run_result {
    int exit_code = 0; ///< of the last phase that had one
    std::string out;   ///< standard output
    std::string err;   ///< standard error
    std::vector<console_record> media;
    std::vector<generated_file> files;
};

namespace detail {

/// What the loop needs of a compute session; execute() makes one step.
struct run_steps {
    std::function<execute_result(const std::string& run_id, const std::string& code, execute_mode, const json& options)>
        execute;
    std::function<void()> interrupt;
};

/// Hands what one step brought to the handlers, or collects it.
template <class = void>
void deliver(execute_result& step, const run_handlers& handlers, run_result& result) {
    for (console_record& record : step.console) {
        if (record.is_stdout()) {
            if (handlers.on_stdout) {
                handlers.on_stdout(record.payload);
            } else {
                result.out += record.payload;
            }
        } else if (record.is_stderr()) {
            if (handlers.on_stderr) {
                handlers.on_stderr(record.payload);
            } else {
                result.err += record.payload;
            }
        } else if (handlers.on_media) {
            handlers.on_media(record);
        } else {
            result.media.push_back(std::move(record));
        }
    }
    for (generated_file& file : step.files) {
        if (handlers.on_file) {
            handlers.on_file(file);
        } else {
            result.files.push_back(std::move(file));
        }
    }
    if (step.exit_code) result.exit_code = *step.exit_code;
    const bool phase_ended = step.status == run_status::finished || step.status == run_status::build_finished ||
                             step.status == run_status::clean_finished || step.status == run_status::exec_timeout;
    if (phase_ended && handlers.on_phase) handlers.on_phase(step.status, step.exit_code);
}

/// Runs to the end. Whatever ends it early (a handler, a cancel, a time limit) interrupts the remote code, unless that
/// cannot be running: nothing was sent, the server itself ended it, or its last step is done.
template <class = void>
run_result run_loop(const run_steps& steps, std::string code, execute_mode mode, json options,
                    const run_handlers& handlers) {
    run_result result;
    std::string run_id;
    bool running = false; // whether the code may be running there
    const auto interrupt = [&] {
        if (!running) return;
        try {
            steps.interrupt();
        } catch (...) {
            // The reason for the early end is what the caller must see; an interrupt that fails on top of it (the
            // connection is gone, say) says nothing new.
        }
    };
    const auto take_step = [&] {
        try {
            execute_result step = steps.execute(run_id, code, mode, options);
            running = step.status != run_status::finished && step.status != run_status::exec_timeout;
            return step;
        } catch (const api_error& e) {
            // A refusal of the step (no such session, say) leaves nothing to interrupt; one for the load or a fault of
            // the server leaves the code as it was; and behind a proxy that lost the server it may have begun.
            const int status = e.status();
            if (status == 502 || status == 504) {
                running = true;
            } else if (status < 500 && status != 429) {
                running = false;
            }
            throw;
        } catch (const client_error& e) {
            running = running || e.sent() != client_error::progress::nothing_sent;
            throw;
        }
    };
    try {
        for (;;) {
            execute_result step = take_step();
            if (!step.run_id.empty()) run_id = step.run_id;
            options = json::object(); // the commands go with the first step only
            code.clear();
            deliver(step, handlers, result);
            switch (step.status) {
            case run_status::finished:
            case run_status::exec_timeout: return result;
            case run_status::waiting_input:
                if (!handlers.on_input) {
                    throw client_error(error_kind::argument,
                                       "the code waits for input and run() was given no on_input handler",
                                       client_error::progress::maybe_sent);
                }
                code = handlers.on_input(input_request{step.is_password});
                mode = execute_mode::input;
                break;
            case run_status::continued:
            case run_status::clean_finished:
            case run_status::build_finished: mode = execute_mode::continue_; break;
            }
        }
    } catch (...) {
        interrupt();
        throw;
    }
}

} // namespace detail

BACKENDAI_NAMESPACE_END

#endif
