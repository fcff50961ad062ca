// backend.ai manager: the server's state, and maintenance.
#include "commands.hpp"

namespace cli {
namespace {

int show_status(context& ctx) {
    const backendai::manager_status status = ctx.server().manager().status();
    ctx.list({ctx.wants_json()
                  ? status.raw
                  : backendai::json{{"status", status.status}, {"active_sessions", status.active_sessions}}},
             {{"Status", "status"}, {"Active Sessions", "active_sessions"}}, "");
    return 0;
}

struct freeze_options {
    bool waits = false, force_kill = false;
};

int freeze(context& ctx, const freeze_options& options) {
    while (options.waits) {
        const auto left = ctx.server().manager().status().active_sessions;
        if (left == 0) {
            ctx.notes.done("All sessions are terminated.");
            break;
        }
        ctx.notes.wait("Waiting for all sessions to end... (" + std::to_string(left) + " left)");
        ctx.interrupts.wait_for(std::chrono::seconds(3)); // the next call ends at once when that was an interrupt
    }
    if (options.force_kill) ctx.notes.wait("Killing all sessions...");
    ctx.server().manager().freeze(options.force_kill);
    if (options.force_kill) ctx.notes.done("All sessions are killed.");
    ctx.notes.done("Manager is successfully frozen.");
    return 0;
}

int unfreeze(context& ctx) {
    ctx.server().manager().unfreeze();
    ctx.notes.done("Manager is successfully unfrozen.");
    return 0;
}

} // namespace

void add_manager(CLI::App& root, context& ctx) {
    CLI::App& group = *add_group(root, "manager", "State and maintenance of the server.");
    struct nothing {};
    add_command(group, ctx, "status", "Show the server's state.", std::make_shared<nothing>(),
                [&ctx](const nothing&) { return show_status(ctx); });
    const auto options = std::make_shared<freeze_options>();
    CLI::App* command =
        add_command(group, ctx, "freeze", "Begin maintenance: no sessions can be created until `manager unfreeze`.",
                    options, [&ctx](const freeze_options& given) { return freeze(ctx, given); });
    CLI::Option* waits = command->add_flag("--wait", options->waits, "Not before all sessions have ended.");
    command->add_flag("--force-kill", options->force_kill, "End all running sessions at once.")->excludes(waits);
    add_command(group, ctx, "unfreeze", "End maintenance.", std::make_shared<nothing>(),
                [&ctx](const nothing&) { return unfreeze(ctx); });
}

} // namespace cli
