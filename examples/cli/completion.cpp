// backend.ai completion: scripts that teach a shell the commands, made from what the parser knows.
#include "commands.hpp"

#include <algorithm>

namespace cli {
namespace {

// A command as completion sees it. Its path is " vfolder ls", that of the program itself "".
struct completable {
    std::string path;
    std::vector<std::pair<std::string, std::string>> commands; // name and what it does, aliases too
    struct option {
        std::vector<std::string> names; // "-e", "--env"
        std::string description;
        bool takes_value = false;
    };
    std::vector<option> options;
    bool takes_session = false;
};

std::string first_line(const std::string& text) {
    return text.substr(0, text.find('\n'));
}

void collect(const CLI::App& app, const std::vector<std::string>& paths, std::vector<completable>& found) {
    completable here;
    for (const CLI::Option* option : app.get_options()) {
        if (option->get_positional()) {
            here.takes_session = here.takes_session || option->get_name(true) == "SESSID";
            continue;
        }
        completable::option known;
        for (const std::string& name : option->get_snames()) known.names.push_back('-' + name);
        for (const std::string& name : option->get_lnames()) known.names.push_back("--" + name);
        known.description = first_line(option->get_description());
        known.takes_value = option->get_items_expected_max() != 0;
        here.options.push_back(known);
    }
    std::vector<std::pair<const CLI::App*, std::vector<std::string>>> below;
    for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
        std::vector<std::string> names = command->get_aliases();
        names.insert(names.begin(), command->get_name());
        for (const std::string& name : names) here.commands.emplace_back(name, first_line(command->get_description()));
        below.emplace_back(command, names);
    }
    for (const std::string& path : paths) {
        here.path = path;
        found.push_back(here);
    }
    for (const auto& [command, names] : below) {
        std::vector<std::string> longer;
        for (const std::string& path : paths) {
            for (const std::string& name : names) longer.push_back(path + ' ' + name);
        }
        collect(*command, longer, found);
    }
}

// In single quotes, as all three shells read it.
std::string shell_quoted(const std::string& text, bool is_fish = false) {
    std::string result = "'";
    for (const char c : text) {
        if (c == '\'') {
            result += is_fish ? "\\'" : "'\\''";
        } else if (c == '\\' && is_fish) {
            result += "\\\\";
        } else {
            result += c;
        }
    }
    return result + '\'';
}

std::string paths_of(const std::vector<completable>& all, const char* separator, bool only_sessions = false) {
    std::string text;
    for (const completable& each : all) {
        if (each.path.empty() || (only_sessions && !each.takes_session)) continue;
        text += (text.empty() ? "" : separator) + shell_quoted(each.path);
    }
    return text;
}

std::string bash_script(const std::vector<completable>& all) {
    std::string script = "# source <(backend.ai completion bash)\n"
                         "_backend_ai() {\n"
                         "    local word path='' words='' current=${COMP_WORDS[COMP_CWORD]}\n"
                         "    for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
                         "        case \"$path $word\" in\n"
                         "            " +
                         paths_of(all, "|") +
                         ") path=\"$path $word\" ;;\n"
                         "        esac\n"
                         "    done\n"
                         "    case \"$path\" in\n";
    for (const completable& each : all) {
        std::string commands, options;
        for (const auto& command : each.commands) commands += command.first + ' ';
        for (const auto& option : each.options) {
            for (const std::string& name : option.names) options += name + ' ';
        }
        script += "        " + shell_quoted(each.path) + ") [[ $current == -* ]] && words=" + shell_quoted(options) +
                  " || words=" + shell_quoted(commands) + " ;;\n";
    }
    return script +
           "    esac\n"
           "    [[ $current == -* ]] || case \"$path\" in\n"
           "        " +
           paths_of(all, "|", true) +
           ") words=\"$words $(backend.ai ps --id-only 2>/dev/null)\" ;;\n"
           "    esac\n"
           "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
           "}\n"
           "complete -o default -F _backend_ai backend.ai\n";
}

// A colon divides the word from its description there.
std::string zsh_item(const std::string& name, const std::string& description) {
    std::string escaped;
    for (const char c : name) escaped += c == ':' ? "\\:" : std::string(1, c);
    return shell_quoted(escaped + ':' + description);
}

std::string zsh_script(const std::vector<completable>& all) {
    std::string script = "#compdef backend.ai\n"
                         "# source <(backend.ai completion zsh), after compinit; or as a file _backend.ai in $fpath\n"
                         "_backend_ai() {\n"
                         "    local word place=''\n"
                         "    local -a commands options sessions\n"
                         "    for word in \"${(@)words[2,CURRENT-1]}\"; do\n"
                         "        case \"$place $word\" in\n"
                         "            (" +
                         paths_of(all, "|") +
                         ") place=\"$place $word\" ;;\n"
                         "        esac\n"
                         "    done\n"
                         "    case \"$place\" in\n";
    for (const completable& each : all) {
        std::string commands, options;
        for (const auto& command : each.commands) commands += ' ' + zsh_item(command.first, command.second);
        for (const auto& option : each.options) {
            for (const std::string& name : option.names) options += ' ' + zsh_item(name, option.description);
        }
        script +=
            "        (" + shell_quoted(each.path) + ") commands=(" + commands + " ); options=(" + options + " ) ;;\n";
    }
    return script +
           "    esac\n"
           "    if [[ $words[CURRENT] == -* ]]; then\n"
           "        _describe option options\n"
           "    elif (( $#commands )); then\n"
           "        _describe command commands\n"
           "    else\n"
           "        case \"$place\" in\n"
           "            (" +
           paths_of(all, "|", true) +
           ") sessions=(${(f)\"$(backend.ai ps --id-only 2>/dev/null)\"}); compadd -a sessions ;;\n"
           "        esac\n"
           "        _files\n"
           "    fi\n"
           "}\n"
           "compdef _backend_ai backend.ai\n";
}

std::string fish_script(const std::vector<completable>& all) {
    std::string script = "# backend.ai completion fish | source\n"
                         "function __backend_ai_at\n"
                         "    set -l place ''\n"
                         "    for word in (commandline -opc)[2..-1]\n"
                         "        switch \"$place $word\"\n"
                         "            case " +
                         paths_of(all, " ") +
                         "\n"
                         "                set place \"$place $word\"\n"
                         "        end\n"
                         "    end\n"
                         "    test \"$place\" = \"$argv[1]\"\n"
                         "end\n";
    for (const completable& each : all) {
        const std::string begin =
            "complete -c backend.ai -n " + shell_quoted("__backend_ai_at \"" + each.path + '"', true);
        for (const auto& command : each.commands)
            script += begin + " -f -a " + command.first + " -d " + shell_quoted(command.second, true) + '\n';
        for (const auto& option : each.options) {
            script += begin;
            for (const std::string& name : option.names)
                script += name.compare(0, 2, "--") == 0 ? " -l " + name.substr(2) : " -s " + name.substr(1);
            script +=
                std::string(option.takes_value ? " -r" : "") + " -d " + shell_quoted(option.description, true) + '\n';
        }
        if (each.takes_session) script += begin + " -a '(backend.ai ps --id-only 2>/dev/null)'\n";
    }
    return script;
}

int print_script(context& ctx, const CLI::App& root, const std::string& shell) {
    std::vector<completable> all;
    collect(root, {""}, all);
    ctx.out.write(shell == "bash" ? bash_script(all) : shell == "zsh" ? zsh_script(all) : fish_script(all));
    return 0;
}

} // namespace

void add_completion(CLI::App& root, context& ctx) {
    const auto shell = std::make_shared<std::string>();
    CLI::App* command =
        add_command(root, ctx, "completion", "Print a script that completes command lines in a shell.", shell,
                    [&ctx, &root](const std::string& given) { return print_script(ctx, root, given); });
    command->add_option("SHELL", *shell, "bash, zsh or fish")
        ->required()
        ->check(CLI::IsMember({"bash", "zsh", "fish"}).description(""));
    command->footer("Examples:\n"
                    "  source <(backend.ai completion bash)\n"
                    "  source <(backend.ai completion zsh)\n"
                    "  backend.ai completion fish | source");
}

} // namespace cli
