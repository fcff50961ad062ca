// backend.ai start, terminate, info, ps and logs: compute sessions. And `admin sessions`, `admin session`.
#include "commands.hpp"
#include "errors.hpp"
#include "run_case.hpp"

#include <unistd.h>

namespace cli {
namespace {

constexpr const char* owner_help = "Whose session it is, for administrators; on servers from 19.09 on.";

struct start_options {
    std::string lang, session_id, tag, owner;
    std::vector<std::string> envs, mounts, resources;
    int cluster_size = 1;
};

int start(context& ctx, const start_options& options) {
    const std::string session_id = options.session_id.empty() ? random_session_id() : options.session_id;
    backendai::create_options wanted =
        creation_options(options.mounts, options.resources, options.cluster_size, options.tag, session_id);
    for (const std::string& text : options.envs) wanted.envs.insert(split_pair(text, "-e"));
    if (!options.owner.empty()) wanted.owner_access_key = options.owner;
    ctx.notes.wait("Starting a session...");
    const backendai::kernel kernel = ctx.server().kernel().get_or_create(options.lang, wanted);
    backendai::json services = backendai::json::array();
    std::string names;
    for (const backendai::service_port& port : kernel.service_ports()) {
        services.push_back({{"name", port.name}, {"protocol", port.protocol}});
        names += (names.empty() ? "" : ", ") + port.name;
    }
    ctx.notes.done("Session ID " + kernel.kernel_id() +
                   (kernel.created() ? " is created and ready." : " is already running and ready."));
    if (!names.empty()) ctx.notes.info("This session provides the following app services: " + names);
    if (ctx.wants_json()) {
        ctx.print_json(
            {{"session_id", kernel.kernel_id()}, {"created", kernel.created()}, {"service_ports", services}});
    } else if (::isatty(STDOUT_FILENO) == 0) {
        ctx.out.line(kernel.kernel_id()); // for id=$(backend.ai start ...)
    }
    return 0;
}

struct terminate_options {
    std::vector<std::string> sessions;
    std::string owner;
    bool stats = false;
};

int terminate(context& ctx, const terminate_options& options) {
    int code = 0;
    for (const std::string& session : options.sessions) {
        try {
            ctx.notes.wait("Terminating " + session + "...");
            const auto kernel = ctx.server().kernel(session);
            backendai::destroy_options how;
            if (options.owner.empty()) {
                kernel.get_info(); // destroying what is not there succeeds on some servers
            } else {
                how.owner_access_key = options.owner;
            }
            const backendai::destroy_result end = kernel.destroy(how);
            ctx.notes.done(session + " is terminated.");
            if (!options.stats) continue;
            ctx.out.write(end.stats.is_object() ? format_stats(end.stats) : "Statistics is not available.\n");
        } catch (const backendai::error& error) {
            if (ctx.interrupts.happened()) throw;
            ctx.notes.fail(session + ": " + explain(error, ctx.config()));
            code = 1;
        }
    }
    return code;
}

const std::vector<column>& list_columns() {
    static const std::vector<column> columns = {{"Session ID", "sess_id"},
                                                {"Image", "image"},
                                                {"Tag", "tag"},
                                                {"Created At", "created_at"},
                                                {"Terminated At", "terminated_at"},
                                                {"Status", "status"},
                                                {"Occupied Resource", "occupied_slots"},
                                                {"Used Memory (MiB)", "mem_cur_bytes", column::form::mebibytes},
                                                {"Max Used Memory (MiB)", "mem_max_bytes", column::form::mebibytes},
                                                {"CPU Using (%)", "cpu_using"}};
    return columns;
}

struct list_options {
    std::string status = "RUNNING", access_key;
    bool id_only = false, all = false;
};

int list_sessions(context& ctx, const list_options& options) {
    backendai::session_filter filter;
    filter.status = options.status;
    if (options.status == "ALL") filter.status.reset();
    if (!options.access_key.empty()) filter.access_key = options.access_key;
    if (options.id_only) filter.fields = {"sess_id"};
    std::vector<backendai::json> sessions;
    if (options.all) {
        auto pages = ctx.server().kernel().paginated_list(filter);
        for (const backendai::json& session : pages) sessions.push_back(session);
    } else {
        sessions = ctx.server().admin().sessions(filter);
    }
    if (options.id_only && !ctx.wants_json()) {
        for (const backendai::json& session : sessions)
            ctx.out.line(cell_text(session.value("sess_id", backendai::json())));
        return 0;
    }
    std::string lower = options.status;
    for (char& c : lower) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    ctx.list(sessions, list_columns(),
             options.status == "ALL" ? "There are no compute sessions."
                                     : "There are no compute sessions " + lower + '.');
    return 0;
}

int show_session(context& ctx, const std::string& session) {
    static const std::vector<column> columns = {{"Session ID", "sess_id"},
                                                {"Role", "role"},
                                                {"Image", "image"},
                                                {"Tag", "tag"},
                                                {"Created At", "created_at"},
                                                {"Terminated At", "terminated_at"},
                                                {"Agent", "agent"},
                                                {"Status", "status"},
                                                {"Status Info", "status_info"},
                                                {"Occupied Resources", "occupied_slots"},
                                                {"CPU Used (ms)", "cpu_used"},
                                                {"Used Memory (MiB)", "mem_cur_bytes", column::form::mebibytes},
                                                {"Max Used Memory (MiB)", "mem_max_bytes", column::form::mebibytes},
                                                {"Number of Queries", "num_queries"},
                                                {"Network RX Bytes", "net_rx_bytes"},
                                                {"Network TX Bytes", "net_tx_bytes"},
                                                {"IO Read Bytes", "io_read_bytes"},
                                                {"IO Write Bytes", "io_write_bytes"},
                                                {"IO Max Scratch Size", "io_max_scratch_size"},
                                                {"IO Current Scratch Size", "io_cur_scratch_size"},
                                                {"CPU Using (%)", "cpu_using"}};
    const backendai::json found = ctx.server().admin().session(session);
    if (found.is_null())
        throw failure("There is no running session " + session + ". `backend.ai ps` shows those that run.");
    ctx.show(found, columns);
    return 0;
}

void add_list(CLI::App& parent, context& ctx, const std::string& name, const std::string& description) {
    const auto options = std::make_shared<list_options>();
    CLI::App* command = add_command(parent, ctx, name, description, options,
                                    [&ctx](const list_options& given) { return list_sessions(ctx, given); });
    command->add_option("--status", options->status, "Those of one status, or ALL (RUNNING).")
        ->type_name("STATUS")
        ->transform(CLI::IsMember({"PREPARING", "BUILDING", "RUNNING", "RESTARTING", "RESIZING", "SUSPENDED",
                                   "TERMINATING", "TERMINATED", "ERROR", "ALL"},
                                  CLI::ignore_case)
                        .description(""));
    command->add_option("--access-key", options->access_key, "Those of another key pair, for administrators.")
        ->type_name("KEY");
    command->add_flag("--id-only", options->id_only, "Print the ids only, one a line.");
    command->add_flag("--all", options->all,
                      "All of them; else the newest, as many as the server tells at once (100).");
}

void add_show(CLI::App& parent, context& ctx, const std::string& name, const std::string& description) {
    const auto session = std::make_shared<std::string>();
    add_command(parent, ctx, name, description, session,
                [&ctx](const std::string& given) { return show_session(ctx, given); })
        ->add_option("SESSID", *session, session_help)
        ->required();
}

int show_logs(context& ctx, const std::string& session) {
    const std::string logs = ctx.server().kernel(session).get_logs();
    if (ctx.wants_json()) {
        ctx.print_json({{"logs", logs}});
    } else {
        ctx.out.write(logs);
        if (!logs.empty() && logs.back() != '\n') ctx.out.write("\n");
    }
    return 0;
}

} // namespace

void add_sessions(CLI::App& root, context& ctx) {
    const auto begin = std::make_shared<start_options>();
    CLI::App* command = add_command(root, ctx, "start",
                                    "Start a compute session without running code.\n\nPrints its id. `run -t`, `app`, "
                                    "`upload` and others take it from there.",
                                    begin, [&ctx](const start_options& given) { return start(ctx, given); });
    command->add_option("LANG", begin->lang, "Image to run in, with or without a tag: python:3.6-ubuntu")->required();
    command->add_option("-t,--session-id,--client-token", begin->session_id, "Name of the session; else a random one.")
        ->type_name("SESSID");
    command->add_option("-o,--owner,--owner-access-key", begin->owner, owner_help)->type_name("ACCESS_KEY");
    add_repeated(*command, "-e,--env", begin->envs, "Environment variable of the session. May be repeated.")
        ->type_name("KEY=VAL");
    add_repeated(*command, "-m,--mount", begin->mounts, "Virtual folder to mount. May be repeated.")->type_name("NAME");
    add_repeated(*command, "-r,--resources", begin->resources,
                 "Resource for the session: cpu=2, mem=512m, gpu=0.5. May "
                 "be repeated.")
        ->type_name("KEY=VAL");
    command->add_option("--cluster-size", begin->cluster_size, "Containers in the session, 1 to 3.")
        ->type_name("NUMBER")
        ->check(CLI::Range(1, 3).description(""));
    command->add_option("--tag", begin->tag, "Note of your own to mark the session with.")->type_name("TEXT");
    command->footer("Example:\n  backend.ai start -t mysession python\n  backend.ai app -p 9900 mysession jupyter");

    add_list(root, ctx, "ps", "List the compute sessions that run.\n\nThe same as `admin sessions`.");
    add_show(root, ctx, "info", "Show a running compute session in detail.\n\nThe same as `admin session`.");

    const auto shown = std::make_shared<std::string>();
    add_command(root, ctx, "logs", "Show what a compute session's container has logged.", shown,
                [&ctx](const std::string& given) { return show_logs(ctx, given); })
        ->add_option("SESSID", *shown, session_help)
        ->required();

    const auto end = std::make_shared<terminate_options>();
    command = add_command(root, ctx, "terminate", "Terminate compute sessions.", end,
                          [&ctx](const terminate_options& given) { return terminate(ctx, given); });
    command->alias("rm")->alias("kill");
    command->add_option("SESSID", end->sessions, "Ids or names of the sessions.")->required();
    command->add_option("-o,--owner,--owner-access-key", end->owner, owner_help)->type_name("ACCESS_KEY");
    command->add_flag("-s,--stats", end->stats, "Show what they have used.");
}

void add_admin_sessions(CLI::App& admin, context& ctx) {
    add_list(admin, ctx, "sessions", "List compute sessions.");
    add_show(admin, ctx, "session", "Show a running compute session in detail.");
}

} // namespace cli
