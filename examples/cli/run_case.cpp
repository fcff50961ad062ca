#include "run_case.hpp"

#include "commands.hpp"
#include "errors.hpp"
#include "prompt.hpp"
#include "transfers.hpp"

#include <random>
#include <set>
#include <thread>

namespace cli {
namespace {

// A case under way. The destructor's work, to remove the session, is finish(), as it may fail.
class running_case {
public:
    running_case(context& ctx, const run_options& options, const run_case& values, std::size_t index,
                 const std::string& session_id, const case_output& output)
        : ctx_(ctx),
          options_(options),
          values_(values),
          session_id_(session_id),
          output_(output),
          label_('[' + std::to_string(index) + "] ") {}

    int run() {
        try {
            const backendai::kernel kernel = create();
            if (!options_.files.empty()) upload(kernel);
            if (options_.terminal) {
                attach(kernel);
            } else if (options_.code) {
                execute(kernel.stream_execute(*options_.code));
            } else {
                backendai::batch_commands commands;
                commands.clean = options_.clean.empty() ? "*" : options_.clean;
                commands.build = values_.build;
                commands.exec = values_.exec;
                execute(kernel.stream_execute(commands));
            }
        } catch (...) {
            finish(true);
            throw;
        }
        finish(false);
        return exit_code_;
    }

private:
    backendai::kernel create() {
        backendai::create_options wanted =
            creation_options(options_.mounts, options_.resources, options_.cluster_size, options_.tag, session_id_);
        for (const auto& env : values_.envs) wanted.envs[env.first] = env.second;
        may_exist_ = true;
        backendai::kernel kernel = get_or_create(wanted);
        is_known_ = true;
        note("Session " + kernel.kernel_id() + (kernel.created() ? " is ready." : " is reused."));
        std::string services;
        for (const backendai::service_port& port : kernel.service_ports())
            services += (services.empty() ? "" : ", ") + port.name;
        if (!services.empty() && !output_.is_logged)
            ctx_.notes.info("This session provides the following app services: " + services);
        return kernel;
    }

    // Takes note of failures after which there is no session for sure.
    backendai::kernel get_or_create(const backendai::create_options& wanted) {
        try {
            return ctx_.server().kernel().get_or_create(options_.lang, wanted);
        } catch (const backendai::api_error& error) {
            may_exist_ = error.status() >= 500;
            throw;
        } catch (const backendai::client_error& error) {
            may_exist_ = error.sent() != backendai::client_error::progress::nothing_sent;
            throw;
        }
    }

    void upload(const backendai::kernel& kernel) {
        backendai::upload_options how;
        how.basedir = options_.basedir;
        if (!output_.is_logged && !options_.quiet) how.progress = progress_bar();
        kernel.upload({options_.files.begin(), options_.files.end()}, how);
        how.progress = {}; // ends the bar's line
        if (!output_.is_logged) note("Uploaded " + std::to_string(options_.files.size()) + " file(s).");
    }

    void execute(backendai::execute_stream stream) {
        for (const backendai::execute_result& event : stream) {
            for (const backendai::console_record& record : event.console) print(record);
            for (const backendai::generated_file& file : event.files)
                output_.out("--- generated file: " + file.name + ": " + file.url + '\n');
            if (event.status == backendai::run_status::waiting_input) answer(stream, event.is_password);
            take_phase(event);
        }
    }

    void print(const backendai::console_record& record) {
        if (record.is_stdout()) {
            output_.out(record.payload);
        } else if (record.is_stderr()) {
            output_.err(record.payload);
        } else {
            output_.out("----- output record (type: " + record.type + ") -----\n" + record.payload +
                        "\n----- end of record -----\n");
        }
    }

    void answer(backendai::execute_stream& stream, bool is_password) {
        if (output_.is_logged) throw failure("The code asks for input, which several cases at once cannot have.");
        const auto line = is_password ? read_password(ctx_.interrupts) : read_line(ctx_.interrupts);
        if (!line) throw failure("The code asks for input, and there is no more of it on standard input.");
        stream.send_input(*line);
    }

    // The code's own failure counts; a build that fails counts when the code does not.
    void take_phase(const backendai::execute_result& event) {
        const char* name = nullptr;
        switch (event.status) {
        case backendai::run_status::clean_finished: name = "Clean"; break;
        case backendai::run_status::build_finished: name = "Build"; break;
        case backendai::run_status::finished: name = "Execution"; break;
        case backendai::run_status::exec_timeout:
            throw failure("The server has ended the run, as it took longer than it allows.");
        case backendai::run_status::continued:
        case backendai::run_status::waiting_input: return;
        }
        const int code = event.exit_code.value_or(0);
        note(std::string(name) + " finished. (exit code = " + std::to_string(code) + ')');
        const bool counts = event.status != backendai::run_status::clean_finished && code != 0;
        // An exit status has eight bits; what is not 0 must not become 0.
        if (counts) exit_code_ = (code & 0xFF) != 0 ? code & 0xFF : 1;
    }

    void attach(const backendai::kernel& kernel) {
        backendai::pty_stream pty = kernel.stream_pty();
        ctx_.notes.info("Ctrl-] leaves the terminal.");
        const backendai::terminal_end end = backendai::attach_terminal(pty);
        const std::string again =
            options_.rm ? "" : " The session goes on; `backend.ai rm " + session_id_ + "` ends it.";
        ctx_.notes.raw("\n");
        note((end == backendai::terminal_end::detached ? "Detached." : "The terminal has ended.") + again);
    }

    // The interrupted run is ended by its stream. What is left is the session.
    void finish(bool has_failed) {
        if (!may_exist_) return;
        if (!options_.rm) {
            if (has_failed && ctx_.interrupts.happened())
                ctx_.notes.info("Session " + session_id_ + " may still run; `backend.ai rm " + session_id_ +
                                "` ends it.");
            return;
        }
        try {
            ctx_.notes.wait(label_ + "Cleaning up the session...");
            const server_view server = ctx_.server_for_cleanup();
            const backendai::destroy_result end = server.kernel(session_id_).destroy();
            if (!is_known_) await_late_creation(server);
            note("Cleaned up the session.");
            if (options_.stats) tell_stats(end.stats);
        } catch (const backendai::api_error& error) {
            // A session that was never made need not be removed.
            if (!has_failed) throw;
            if (error.status() != 404) leave_behind(error);
        } catch (const backendai::error& error) {
            if (!has_failed && !ctx_.interrupts.happened()) throw;
            leave_behind(error);
        }
    }

    // The server may still be making a session that was given up: once it is there it is removed, too.
    void await_late_creation(const server_view& server) {
        for (int i = 0; i < 5; ++i) {
            std::this_thread::sleep_for(std::chrono::milliseconds(200));
            try {
                server.kernel(session_id_).get_info();
            } catch (const backendai::api_error& error) {
                if (error.status() == 404) continue;
                throw;
            }
            server.kernel(session_id_).destroy();
        }
    }

    void leave_behind(const backendai::error& why) {
        ctx_.notes.fail(label_ + "Session " + session_id_ + " could not be removed. " + explain(why, ctx_.config()) +
                        " `backend.ai rm " + session_id_ + "` tries again.");
    }

    void tell_stats(const backendai::json& stats) {
        const std::string text =
            stats.is_object() ? "Statistics:\n" + format_stats(stats) : "Statistics: unavailable.\n";
        ctx_.notes.raw(label_ + text);
        if (output_.is_logged) output_.err(text);
    }

    void note(const std::string& text) {
        ctx_.notes.done(label_ + text);
        if (output_.is_logged) output_.err(text + '\n');
    }

    context& ctx_;
    const run_options& options_;
    const run_case& values_;
    const std::string& session_id_;
    const case_output& output_;
    const std::string label_;
    bool may_exist_ = false; // the session: from when it was asked for
    bool is_known_ = false;  // and was told to exist
    int exit_code_ = 0;
};

} // namespace

int run_one_case(context& ctx, const run_options& options, const run_case& values, std::size_t index,
                 const std::string& session_id, const case_output& output) {
    return running_case(ctx, options, values, index, session_id, output).run();
}

backendai::create_options creation_options(const std::vector<std::string>& mounts,
                                           const std::vector<std::string>& resources, int cluster_size,
                                           const std::string& tag, const std::string& session_id) {
    backendai::create_options wanted;
    wanted.client_token = session_id;
    wanted.mounts = mounts;
    for (const std::string& text : resources) {
        const auto [name, amount] = split_pair(text, "-r");
        wanted.resources.insert_or_assign(name, amount);
    }
    wanted.cluster_size = cluster_size;
    if (!tag.empty()) wanted.tag = tag;
    return wanted;
}

std::string format_stats(const backendai::json& stats) {
    // Counters of the container's host that say nothing of the session.
    static const std::set<std::string> hidden = {"precpu_used", "precpu_system_used", "cpu_system_used"};
    const auto ends_with = [](const std::string& text, std::string_view end) {
        return text.size() > end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
    };
    std::string text;
    for (const auto& item : stats.items()) {
        if (hidden.count(item.key()) != 0) continue;
        const bool is_size = ends_with(item.key(), "_size") || ends_with(item.key(), "_bytes");
        const std::string name = item.key() == "cpu_used" ? "cpu_used_msec" : item.key();
        text += "  " + name + ": " + cell_text(item.value(), is_size ? column::form::bytes : column::form::text) + '\n';
    }
    return text;
}

std::string random_session_id() {
    std::random_device device;
    std::string text;
    while (text.size() < 10) text += "0123456789abcdef"[device() & 15U];
    return text;
}

} // namespace cli
