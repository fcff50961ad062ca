// backend.ai: the command line of Backend.AI. This file puts the commands together, parses, and turns whatever
// happens into an exit code: what the code in a session exits with, 1 for a failure, 2 for a wrong command line, 130
// for Ctrl-C.
#include "commands.hpp"
#include "errors.hpp"
#include "help.hpp"

#include <algorithm>
#include <fcntl.h>
#include <unistd.h>

namespace cli {

std::pair<std::string, std::string> split_pair(const std::string& text, const char* option) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
        throw failure(std::string(option) + " takes KEY=VALUE, not \"" + text + "\".", 2);
    return {text.substr(0, equals), text.substr(equals + 1)};
}

namespace {

// CLI11 takes "[a,b]" for a list of two where a list may be given. A file may have that name, so a mark is put before
// it while the command line is parsed.
constexpr char bracket_mark = '\x02';

void remove_marks(CLI::App& command) {
    for (CLI::Option* option : command.get_options()) {
        option->transform(
            [](std::string text) { return !text.empty() && text.front() == bracket_mark ? text.substr(1) : text; });
    }
    for (CLI::App* each : command.get_subcommands(nullptr)) remove_marks(*each);
}

// The names that the program may be called under, to run code of one language.
std::vector<std::string> arguments_of(int count, char** words) {
    std::vector<std::string> arguments(words + 1, words + count);
    std::string name = count > 0 ? words[0] : "";
    name.erase(0, name.rfind('/') + 1);
    if (name != "lpython" && name != "lcc") return arguments;
    if (arguments.empty()) arguments.emplace_back("--help");
    arguments.insert(arguments.begin(), {"run", name == "lcc" ? "c" : "python"});
    return arguments;
}

void add_commands(CLI::App& root, context& ctx) {
    root.formatter(std::make_shared<help_formatter>());
    root.set_help_flag("-h,--help", "Show this message and exit.");
    root.set_version_flag("--version", "backend.ai, version " BACKENDAI_VERSION, "Show the version and exit.");
    root.require_subcommand(1);
    root.fallthrough(); // the options below may stand behind a command, too
    root.add_flag("--skip-sslcert-validation", ctx.options.skip_sslcert_validation,
                  "Do not check the server's certificate.");
    root.add_flag(
        "--local", ctx.options.is_local,
        "Use no cluster: an emulated one that lives as long as this command, and runs code on this machine as "
        "this user.");
    root.add_option("--output", ctx.options.output, "Listings as \"table\" for people or as \"json\" for programs.")
        ->type_name("FORMAT")
        ->transform(CLI::IsMember({"table", "json"}, CLI::ignore_case).description(""));
    add_run(root, ctx);
    add_sessions(root, ctx);
    add_files(root, ctx);
    add_app(root, ctx);
    add_vfolder(root, ctx);
    add_admin(root, ctx);
    add_manager(root, ctx);
    add_config(root, ctx);
    add_proxy(root, ctx);
    add_completion(root, ctx);
    // At the end, as commands inherit it.
    root.footer("The server and its keys come from the environment:\n"
                "  BACKEND_ENDPOINT                  URL of the server (https://api.backend.ai)\n"
                "  BACKEND_ACCESS_KEY                access key\n"
                "  BACKEND_SECRET_KEY                secret key\n"
                "  BACKEND_VFOLDER_MOUNTS            virtual folders for every session, a,b,c\n"
                "  BACKEND_SKIP_SSLCERT_VALIDATION   yes or no\n"
                "`backend.ai COMMAND -h` explains a command.");
}

const CLI::App& chosen_command(const CLI::App& root) {
    const CLI::App* command = &root;
    while (!command->get_subcommands().empty()) command = command->get_subcommands().back();
    return *command;
}

std::string path_of(const CLI::App& command) {
    const CLI::App* parent = command.get_parent();
    return (parent == nullptr ? "" : path_of(*parent) + ' ') + command.get_name();
}

int run(int count, char** words) {
    context ctx;
    CLI::App root("The command line of Backend.AI: runs code in compute sessions, and manages them.", "backend.ai");
    try {
        add_commands(root, ctx);
        std::vector<std::string> arguments = arguments_of(count, words);
        bool has_marks = false;
        for (std::string& argument : arguments) {
            if (argument.empty() || argument.front() != '[') continue;
            argument.insert(argument.begin(), bracket_mark);
            has_marks = true;
        }
        if (has_marks) remove_marks(root);
        std::reverse(arguments.begin(), arguments.end()); // as CLI11 wants them
        root.parse(arguments);
        ctx.interrupts.watch();
        const int code = ctx.action();
        ctx.out.flush();
        return code;
    } catch (const CLI::CallForHelp&) {
        ctx.out.write(chosen_command(root).help());
    } catch (const CLI::CallForVersion& version) {
        ctx.out.line(version.what());
    } catch (const CLI::ParseError& error) {
        const CLI::App& command = chosen_command(root);
        std::string message = error.what();
        if (error.get_name() == "RequiredError" && command.get_require_subcommand_min() != 0) {
            const std::vector<std::string> left = command.remaining();
            if (left.empty()) { // a group of commands, and none was chosen
                ctx.notes.raw(command.help());
                return 2;
            }
            message = "There is no command " + left.front();
        }
        message.erase(std::remove(message.begin(), message.end(), bracket_mark), message.end());
        ctx.notes.fail(message + ". Try `" + path_of(command) + " -h`.");
        return 2;
    } catch (...) {
        try {
            ctx.out.flush(); // what came before the failure
        } catch (const failure&) {
            // The failure that is told next is this one, or came before it.
        }
        return report_failure(ctx);
    }
    ctx.out.flush();
    return 0;
}

// A descriptor from 0 to 2 that the caller has closed would be taken by the next socket, which would then get what is
// meant for the terminal. Writing to these fails, as it should.
void occupy_standard_descriptors() {
    for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        if (::fcntl(descriptor, F_GETFD) == -1 && ::open("/dev/null", O_RDONLY) == -1) return;
    }
}

} // namespace
} // namespace cli

int main(int count, char** words) {
    cli::occupy_standard_descriptors();
    cli::interrupt::survive_broken_pipes();
    try {
        return cli::run(count, words);
    } catch (const cli::failure& error) { // help that cannot be printed
        cli::notes().fail(error.what());
        return error.exit_code();
    }
}
