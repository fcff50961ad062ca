// The commands, a group in each file. Each function adds its commands to the parser; a command that is chosen leaves
// what is to be done in context::action.
#ifndef BACKENDAI_CLI_COMMANDS_HPP
#define BACKENDAI_CLI_COMMANDS_HPP

#include "context.hpp"

#include <CLI/CLI.hpp>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace cli {

void add_config(CLI::App& root, context& ctx);                 // config.cpp: config
void add_run(CLI::App& root, context& ctx);                    // run.cpp: run
void add_sessions(CLI::App& root, context& ctx);               // sessions.cpp: start, terminate, info, ps, logs
void add_files(CLI::App& root, context& ctx);                  // files.cpp: upload, download, ls
void add_app(CLI::App& root, context& ctx);                    // app.cpp: app
void add_proxy(CLI::App& root, context& ctx);                  // proxy.cpp: proxy
void add_vfolder(CLI::App& root, context& ctx);                // vfolder.cpp: vfolder ...
void add_admin(CLI::App& root, context& ctx);                  // admin.cpp: admin ...
void add_manager(CLI::App& root, context& ctx);                // manager.cpp: manager ...
void add_completion(CLI::App& root, context& ctx);             // completion.cpp: completion
void add_vfolder_cp(CLI::App& vfolder, context& ctx);          // vfolder_cp.cpp: vfolder cp
void add_vfolder_invitations(CLI::App& vfolder, context& ctx); // vfolder_invitations.cpp: vfolder invite, invitations
void add_admin_sessions(CLI::App& admin, context& ctx);        // sessions.cpp: admin sessions, admin session
void add_admin_policies(CLI::App& admin, context& ctx);        // admin_policies.cpp: resource policies
void add_admin_keypairs(CLI::App& admin, context& ctx);        // admin_keypairs.cpp: admin keypair, admin keypairs ...

inline constexpr const char* session_help = "Id of the session, or the name it was started under.";

// A command whose options live in an object of their own, made here and kept by the parser.
// `act(options)` runs when the whole command line was found to be right, and returns the exit code.
template <class Options, class Act>
CLI::App* add_command(CLI::App& parent, context& ctx, const std::string& name, const std::string& description,
                      const std::shared_ptr<Options>& options, Act act) {
    CLI::App* command = parent.add_subcommand(name, description)->group("Commands");
    command->callback([&ctx, options, act] { ctx.action = [options, act] { return act(*options); }; });
    return command;
}

// A group of commands, of which one has to be chosen.
inline CLI::App* add_group(CLI::App& parent, const std::string& name, const std::string& description) {
    CLI::App* group = parent.add_subcommand(name, description)->group("Commands");
    group->require_subcommand(1);
    return group;
}

// An option that may be given many times, with one value each time.
inline CLI::Option* add_repeated(CLI::App& command, const std::string& names, std::vector<std::string>& values,
                                 const std::string& description) {
    return command.add_option(names, values, description)->allow_extra_args(false)->expected(1)->take_all();
}

// "KEY=VALUE" taken apart. Throws failure(2).
std::pair<std::string, std::string> split_pair(const std::string& text, const char* option);

} // namespace cli

#endif
