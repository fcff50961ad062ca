/// @file
/// Compute sessions, historically "kernels": create, run code, inspect, end.
///
/// Unless a function says otherwise it throws api_error when the server refuses, client_error{argument} for arguments
/// that are wrong before anything is sent, and client_error of the other kinds when no usable answer came. All
/// functions may be called from several threads at once; one run at a time makes sense in one compute session.
///
/// Paths are those of 19.03 (v4); from 20.03 (v5) on they begin with /session in place of /kernel. A function or
/// argument that the session's protocol version does not have is client_error{argument}, which says since when there is
/// one.
#ifndef BACKENDAI_API_KERNEL_HPP
#define BACKENDAI_API_KERNEL_HPP

#include <backendai/api/events.hpp>
#include <backendai/api/kernel_call.hpp>
#include <backendai/api/kernel_create.hpp>
#include <backendai/api/kernel_files.hpp>
#include <backendai/api/kernel_match.hpp>
#include <backendai/api/kernel_services.hpp>
#include <backendai/api/kernel_types.hpp>
#include <backendai/api/pages.hpp>
#include <backendai/api/run.hpp>
#include <backendai/api/session_list.hpp>
#include <backendai/api/stream_execute.hpp>
#include <backendai/api/stream_pty.hpp>
#include <backendai/codec/url.hpp>
#include <backendai/dialect.hpp>
#include <backendai/mode.hpp>
#include <backendai/pipeline.hpp>
#include <backendai/transport/concept.hpp>
#include <backendai/version.hpp>

#include <chrono>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

namespace detail {

template <class = void>
destroy_result kernel_destroy(const call_scope& scope, const std::string& kernel_id, const destroy_options& options) {
    call what = kernel_call("DELETE", kernel_id, "", [options](call& request, const dialect& language) {
        if (options.forced) {
            language.require(feature::forced_destroy);
            request.query.emplace_back("forced", "true");
        }
        if (options.owner_access_key) {
            language.require(feature::owner_access_key);
            request.query.emplace_back("owner_access_key", *options.owner_access_key);
        }
    });
    what.waits_for_compute = true;
    destroy_result result;
    try {
        const response answer = scope.perform(std::move(what));
        // Older servers answer 204 without a body.
        if (!answer.text().empty()) {
            const json body = answer.json();
            if (const json* stats = wire_object(body, "the answer to destroy").find("stats")) result.stats = *stats;
        }
    } catch (const api_error& refused) {
        // 19.03 answers so with null statistics; later servers refuse what is gone, also when the answer to a first
        // try was lost.
        if (refused.status() != 404 || !is_problem(refused, "object-not-found")) throw;
    }
    return result;
}

template <class = void>
void kernel_rename(const call_scope& scope, const std::string& kernel_id, const std::string& name) {
    check_client_token(name);
    call what = kernel_call("POST", kernel_id, "/rename", feature::rename_session);
    what.retry = retry_class::unsafe; // a handle by name would not find it the second time
    what.set_json({{"name", name}});
    scope.perform(std::move(what));
}

template <class = void>
void kernel_restart(const call_scope& scope, const std::string& kernel_id) {
    call what = kernel_call("PATCH", kernel_id);
    what.waits_for_compute = true;
    what.retry = retry_class::unsafe;
    scope.perform(std::move(what));
}

template <class = void>
void kernel_interrupt(const call_scope& scope, const std::string& kernel_id) {
    call what = kernel_call("POST", kernel_id, "/interrupt");
    what.retry = retry_class::unsafe; // a late second one could hit the next run
    scope.perform(std::move(what));
}

template <class = void>
std::vector<std::string> read_completions(const json& answer) {
    // {status, completions: [...]}, the bare list, or null: all three are sent by servers of the time.
    const json* list = wire_object(answer, "the completions").find("result");
    if (list != nullptr && list->is_object()) list = wire_object(*list, "the completions").find("completions");
    std::vector<std::string> candidates;
    if (list == nullptr) return candidates;
    if (!list->is_array()) bad_answer("the completions are not a list");
    for (const json& candidate : *list) {
        if (!candidate.is_string()) bad_answer("a completion is not a text");
        candidates.push_back(candidate.get<std::string>());
    }
    return candidates;
}

template <class = void>
std::vector<std::string> kernel_complete(const call_scope& scope, const std::string& kernel_id, const std::string& code,
                                         const completion_options& options) {
    call what = kernel_call("POST", kernel_id, "/complete");
    what.waits_for_compute = true;
    what.set_json(
        {{"code", code},
         {"options", {{"row", options.row}, {"col", options.col}, {"line", options.line}, {"post", options.post}}}});
    return read_completions(scope.perform(std::move(what)).json());
}

template <class = void>
kernel_info kernel_get_info(const call_scope& scope, const std::string& kernel_id) {
    return read_info(scope.perform(kernel_call("GET", kernel_id)).json());
}

template <class = void>
std::string kernel_get_logs(const call_scope& scope, const std::string& kernel_id) {
    const json answer = scope.perform(kernel_call("GET", kernel_id, "/logs")).json();
    return wire_object(answer, "the answer").object("result").string_or("logs", "");
}

template <class = void>
execute_result kernel_execute(const call_scope& scope, const std::string& kernel_id, const std::string& run_id,
                              const std::string& code, execute_mode mode, const json& options) {
    const bool goes_on = mode == execute_mode::continue_ || mode == execute_mode::input;
    if (goes_on && run_id.empty()) {
        throw client_error(error_kind::argument, "continuing a run needs the run id of its first step");
    }
    if (mode == execute_mode::continue_ && !code.empty()) {
        throw client_error(error_kind::argument, "the code must be empty when a run is continued");
    }
    if (!options.is_object()) throw client_error(error_kind::argument, "the options of execute() are no JSON object");
    const json run = run_id.empty() ? json() : json(run_id);
    json body = {{"mode", mode_name(mode)}, {"code", code}, {"runId", run}, {"options", options}};
    call what = kernel_call("POST", kernel_id, "", [&body, &run](call& request, const dialect& language) {
        if (!language.run_id_twice) return;
        body["run_id"] = run;
        request.set_json(body);
    });
    what.set_json(body);
    what.waits_for_compute = true;
    what.retry = retry_class::unsafe;
    const json answer = scope.perform(std::move(what)).json();
    const wire_object fields(answer, "the answer");
    if (mode == execute_mode::complete && fields.find("result") == nullptr) {
        // 23.03 to 25.8 lose the candidates on their way from the agent, see read_completions().
        execute_result nothing;
        nothing.run_id = run_id;
        nothing.raw = nullptr;
        return nothing;
    }
    return read_execute_result(fields.require("result"));
}

template <class = void>
void kernel_interrupt_briefly(const std::shared_ptr<session_state>& state, const std::string& kernel_id) {
    // Not under the limits of the run: those may be why it ends.
    call_options brief;
    brief.timeout = std::chrono::seconds(5);
    brief.retry = retry_policy();
    brief.retry->max_attempts = 1;
    kernel_interrupt({state, brief}, kernel_id);
}

template <class = void>
run_result kernel_run(const call_scope& scope, const std::string& kernel_id, std::string code, execute_mode mode,
                      json options, const run_handlers& handlers) {
    call_scope limits = scope;
    run_steps steps;
    steps.execute = [&](const std::string& run_id, const std::string& text, execute_mode step, const json& more) {
        execute_result result = kernel_execute(limits, kernel_id, run_id, text, step, more);
        limits.deadline.reset(); // each step has the whole time
        return result;
    };
    steps.interrupt = [&] { kernel_interrupt_briefly(scope.state, kernel_id); };
    return run_loop(steps, std::move(code), mode, std::move(options), handlers);
}

} // namespace detail

/// A compute session: a handle, cheap to copy, that holds no resource of the server. It stays usable until the session
/// object it was made from is closed.
template <class Transport, class Mode>
class basic_kernel {
    template <class T>
    using result = typename Mode::template result<T>;

public:
    basic_kernel(detail::call_scope scope, kernel_creation creation)
        : scope_(std::move(scope)), creation_(std::move(creation)) {}

    /// Names the session in calls: its UUID when get_or_create() was told one, else the client token or the id that the
    /// handle was made with.
    const std::string& kernel_id() const noexcept { return creation_.kernel_id; }
    /// The client token, also when get_or_create() chose one; of handles by id, the id.
    const std::string& name() const noexcept { return creation_.name; }
    /// The state that get_or_create() was told: "RUNNING", "PENDING", "TIMEOUT" ...; empty for handles by id and
    /// on 19.03.
    const std::string& status() const noexcept { return creation_.status; }
    /// Whether get_or_create() made it anew; false for reused ones and for handles by id.
    bool created() const noexcept { return creation_.created; }
    /// The network services in it, as told by get_or_create(); empty for handles by id.
    const std::vector<service_port>& service_ports() const noexcept { return creation_.service_ports; }
    /// The server's whole answer to get_or_create(); null for handles by id.
    const json& raw() const noexcept { return creation_.raw; }

    /// Ends the compute session and whatever runs in it: `DELETE /kernel/ID`. Ending one that is gone is no error.
    /// Retry class: safe.
    result<destroy_result> destroy(destroy_options options = {}) const {
        return invoke([options = std::move(options)](const detail::call_scope& scope, const std::string& id) {
            return detail::kernel_destroy(scope, id, options);
        });
    }
    /// Gives a running session another name: `POST /session/ID/rename`, from 21.09 (v6.20210815) on. Handles by the old
    /// name find it no more. Retry class: unsafe. @throws client_error{argument} for a name that is no client token
    result<void> rename(std::string name) const {
        return invoke([name = std::move(name)](const detail::call_scope& scope, const std::string& id) {
            detail::kernel_rename(scope, id, name);
        });
    }
    /// Restarts the containers; files stay, state is lost: `PATCH /kernel/ID`. Retry class: unsafe.
    result<void> restart() const {
        return invoke(
            [](const detail::call_scope& scope, const std::string& id) { detail::kernel_restart(scope, id); });
    }
    /// Interrupts the code that runs, as Ctrl-C would: `POST /kernel/ID/interrupt`. That the server accepted it does
    /// not mean that the code obeys. Retry class: unsafe.
    result<void> interrupt() const {
        return invoke(
            [](const detail::call_scope& scope, const std::string& id) { detail::kernel_interrupt(scope, id); });
    }
    /// Completion candidates for @p code, in the server's order; none where the language has no completion:
    /// `POST /kernel/ID/complete`. Retry class: safe.
    result<std::vector<std::string>> complete(std::string code, completion_options options = {}) const {
        return invoke([code = std::move(code), options = std::move(options)](const detail::call_scope& scope,
                                                                             const std::string& id) {
            return detail::kernel_complete(scope, id, code, options);
        });
    }
    /// What the server knows of the session: `GET /kernel/ID`. Retry class: safe.
    result<kernel_info> get_info() const {
        return invoke(
            [](const detail::call_scope& scope, const std::string& id) { return detail::kernel_get_info(scope, id); });
    }
    /// The console log of the container: `GET /kernel/ID/logs`. Retry class: safe.
    result<std::string> get_logs() const {
        return invoke(
            [](const detail::call_scope& scope, const std::string& id) { return detail::kernel_get_logs(scope, id); });
    }

    /// The network services in the session: `GET /stream/session/ID/apps`, from 20.03 (v5.20191215) on.
    /// Retry class: safe.
    result<std::vector<service_port>> apps() const {
        return invoke(
            [](const detail::call_scope& scope, const std::string& id) { return detail::kernel_apps(scope, id); });
    }
    /// Starts a service and has a proxy of the cluster's lead to it: `POST /session/ID/start-service`, from 21.09
    /// (v6.20210815) on. Retry class: unsafe. @throws api_error service-unavailable where there is no such proxy
    result<service_address> start_service(std::string app, service_options options = {}) const {
        return invoke([app = std::move(app), options = std::move(options)](const detail::call_scope& scope,
                                                                           const std::string& id) {
            return detail::kernel_start_service(scope, id, app, options);
        });
    }
    /// Ends a service: `POST /session/ID/shutdown-service`, from 20.09 (v6.20200815) on. Retry class: safe.
    result<void> shutdown_service(std::string app) const {
        return invoke([app = std::move(app)](const detail::call_scope& scope, const std::string& id) {
            detail::kernel_shutdown_service(scope, id, app);
        });
    }

    /// One step of a run: `POST /kernel/ID`. Returns after about 2 s at the latest even when the code goes on.
    /// @param run_id  empty in the first step, the first result's run_id in later ones
    /// @param code    the snippet; empty to continue; the user's line for input
    /// @param options a JSON object of mode-specific options
    /// Retry class: unsafe.
    result<execute_result> execute(std::string run_id, std::string code, execute_mode mode = execute_mode::query,
                                   json options = json::object()) const {
        return invoke([run_id = std::move(run_id), code = std::move(code), mode,
                       options = std::move(options)](const detail::call_scope& scope, const std::string& id) {
            return detail::kernel_execute(scope, id, run_id, code, mode, options);
        });
    }
    /// The first step of a batch run.
    result<execute_result> execute(batch_commands commands) const {
        return execute({}, {}, execute_mode::batch, detail::batch_options(commands));
    }

    /// Runs @p code to its end: continues, hands output to the handlers as it comes, asks them for input.
    /// Output that no handler takes is in the result. A time limit holds for each step.
    /// @throws client_error{argument} also when the code asks for input and there is no on_input
    result<run_result> run(std::string code, run_handlers handlers = {}) const {
        return invoke([code = std::move(code), handlers = std::move(handlers)](const detail::call_scope& scope,
                                                                               const std::string& id) {
            return detail::kernel_run(scope, id, code, execute_mode::query, json::object(), handlers);
        });
    }
    /// Runs the clean, build and exec commands to their end.
    result<run_result> run(batch_commands commands, run_handlers handlers = {}) const {
        return invoke([commands = std::move(commands), handlers = std::move(handlers)](const detail::call_scope& scope,
                                                                                       const std::string& id) {
            return detail::kernel_run(scope, id, {}, execute_mode::batch, detail::batch_options(commands), handlers);
        });
    }

    /// Uploads files, and directories with the files below them, to the session's working directory:
    /// `POST /kernel/ID/upload`. Names there are relative to options.basedir, and parents are made.
    /// At most 20 files, each smaller than 1 MiB. Retry class: safe, as it leaves the same files behind.
    /// @throws client_error{argument} beyond the limits, for files outside of basedir and what upload_options::special
    ///         refuses; client_error{io} for files that cannot be read or change their size meanwhile; see
    ///         progress_callback
    result<void> upload(std::vector<std::filesystem::path> files, upload_options options = {}) const {
        return invoke([files = std::move(files), options = std::move(options)](const detail::call_scope& scope,
                                                                               const std::string& id) {
            detail::kernel_upload(scope, id, files, options);
        });
    }
    /// Downloads files or directories to @p dest, which is made if missing, by requests of five:
    /// `GET /kernel/ID/download`. Each comes under its last name (`data/a.csv` becomes `dest/a.csv`), with mode and
    /// time. The files of a request appear when all of them are whole. Retry class: safe until the first byte has come.
    /// @param files relative to the working directory, or absolute
    /// @throws client_error{argument} for two files of the same last name; client_error{io} for what the local disk
    ///         refuses; client_error{protocol} for archives that are damaged, or hold links, devices or names that lead
    ///         out of dest; see progress_callback
    result<void> download(std::vector<std::string> files, std::filesystem::path dest = ".",
                          download_options options = {}) const {
        return invoke([files = std::move(files), dest = std::move(dest),
                       options = std::move(options)](const detail::call_scope& scope, const std::string& id) {
            detail::kernel_download(scope, id, files, dest, options);
        });
    }
    /// What is in a directory: `GET /kernel/ID/files`. Retry class: safe.
    result<file_listing> list_files(std::string path = ".") const {
        return invoke([path = std::move(path)](const detail::call_scope& scope, const std::string& id) {
            return detail::kernel_list_files(scope, id, path);
        });
    }

    /// Runs @p code over a websocket: `GET /stream/kernel/ID/execute`. Events come as they happen, see execute_stream.
    /// The limits set by with() hold for the opening, its cancel token for the stream's whole life.
    /// Retry class of the opening: safe.
    /// @param mode query or batch  @param options a JSON object of mode-specific options
    result<basic_execute_stream<Mode>> stream_execute(std::string code, execute_mode mode = execute_mode::query,
                                                      json options = json::object()) const {
        static_assert(is_websocket_transport_v<Transport>,
                      "backendai: stream_execute needs a transport with websockets: this one lacks websocket_opening "
                      "open_websocket(http_request&, const exchange_context&), see backendai/transport/concept.hpp");
        return invoke([code = std::move(code), mode, options = std::move(options)](const detail::call_scope& scope,
                                                                                   const std::string& id) {
            return detail::open_execute_stream<Transport, Mode>(
                scope, id, code, mode, options,
                [state = scope.state, id] { detail::kernel_interrupt_briefly(state, id); });
        });
    }
    /// Runs the clean, build and exec commands over a websocket.
    result<basic_execute_stream<Mode>> stream_execute(batch_commands commands) const {
        return stream_execute({}, execute_mode::batch, detail::batch_options(commands));
    }
    /// What happens to the compute session from now on: `GET /events/session`, see event_stream. The stream does not
    /// end by itself when the session ends. The limits set by with() hold for the opening, its cancel token for the
    /// stream's whole life. Retry class: safe.
    /// @throws client_error{argument} for servers before 19.09, and a scope with servers before 20.09
    result<basic_event_stream<Mode>> events(event_options options = {}) const {
        return invoke([options = std::move(options)](const detail::call_scope& scope, const std::string& id) {
            return detail::open_event_stream<Mode>(scope, id, options);
        });
    }
    /// Opens a terminal in the compute session: `GET /stream/kernel/ID/pty`. See pty_stream; limits as
    /// stream_execute().
    result<basic_pty_stream<Mode>> stream_pty() const {
        static_assert(is_websocket_transport_v<Transport>,
                      "backendai: stream_pty needs a transport with websockets: this one lacks websocket_opening "
                      "open_websocket(http_request&, const exchange_context&), see backendai/transport/concept.hpp");
        return invoke([](const detail::call_scope& scope, const std::string& id) {
            return detail::open_pty_stream<Transport, Mode>(scope, id);
        });
    }

private:
    template <class Body>
    auto invoke(Body body) const {
        return Mode::run(scope_, [body = std::move(body), id = creation_.kernel_id](const detail::call_scope& scope) {
            return body(scope, id);
        });
    }

    detail::call_scope scope_;
    kernel_creation creation_;
};

/// The class-level functions of compute sessions: `session.kernel()`.
template <class Transport, class Mode>
class basic_kernel_functions {
public:
    explicit basic_kernel_functions(detail::call_scope scope) : scope_(std::move(scope)) {}

    /// Gets the compute session of that client token, or creates one: `POST /kernel/create`, or `/session` from 20.03
    /// (v5) on. The call waits until the session can be used, unless the options say otherwise. Retry class: safe, as
    /// the client token makes it idempotent; with no_reuse unsafe.
    /// @param lang image name and tag, "python:3.6-ubuntu"
    /// @throws client_error{argument} for a bad token, cluster size or name; api_error kernel-already-exists when the
    ///         token belongs to a session of another image
    typename Mode::template result<basic_kernel<Transport, Mode>> get_or_create(std::string lang,
                                                                                create_options options = {}) const {
        return Mode::run(scope_,
                         [lang = std::move(lang), options = std::move(options)](const detail::call_scope& scope) {
                             return basic_kernel<Transport, Mode>(scope.outside_call(),
                                                                  detail::kernel_get_or_create(scope, lang, options));
                         });
    }
    /// The compute sessions that fit the filter, a page at a time; see page_range. Of other users: needs admin rights.
    page_range<Mode> paginated_list(session_filter filter = {}, page_query wanted = {}) const {
        return {scope_, detail::session_listing(std::move(filter)), std::move(wanted)};
    }
    /// One page of them. Retry class: safe.
    typename Mode::template result<page_result> list_page(session_filter filter = {}, page_query wanted = {}) const {
        return Mode::run(scope_, [what = detail::session_listing(std::move(filter)),
                                  wanted = std::move(wanted)](const detail::call_scope& scope) {
            return detail::fetch_single_page(scope, what, wanted);
        });
    }
    /// The caller's sessions of that name or UUID, terminated ones included: `GET /session/_/match`, from 20.03
    /// (v5.20191215) on. Retry class: safe.
    /// @param id a whole name or UUID: what some servers take for the beginning of one, others do not
    typename Mode::template result<std::vector<session_match>> match(std::string id) const {
        return Mode::run(
            scope_, [id = std::move(id)](const detail::call_scope& scope) { return detail::kernel_match(scope, id); });
    }

    /// What happens to all of one's compute sessions from now on; as basic_kernel::events().
    typename Mode::template result<basic_event_stream<Mode>> events(event_options options = {}) const {
        return Mode::run(scope_, [options = std::move(options)](const detail::call_scope& scope) {
            return detail::open_event_stream<Mode>(scope, {}, options);
        });
    }

private:
    detail::call_scope scope_;
};

BACKENDAI_NAMESPACE_END

#endif
