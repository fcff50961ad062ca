#include "help.hpp"

#include <sstream>

namespace cli {
namespace {

constexpr std::size_t name_columns = 30, text_columns = 68, all_columns = 98;

} // namespace

std::string wrapped(const std::string& text, std::size_t width) {
    std::string result, word;
    std::size_t column = 0;
    const auto add_word = [&] {
        if (word.empty()) return;
        if (column > 0 && column + 1 + word.size() > width) {
            result += '\n';
            column = 0;
        } else if (column > 0) {
            result += ' ';
            ++column;
        }
        result += word;
        column += word.size();
        word.clear();
    };
    for (const char c : text) {
        if (c != ' ' && c != '\n') {
            word += c;
            continue;
        }
        add_word();
        if (c == '\n') {
            result += '\n';
            column = 0;
        }
    }
    add_word();
    return result;
}

help_formatter::help_formatter() {
    column_width(name_columns);
    label("OPTIONS", "OPTIONS");
    label("Positionals", "Arguments");
    label("SUBCOMMAND", "COMMAND");
}

std::string help_formatter::make_option_opts(const CLI::Option* option) const {
    if (option->get_positional()) return option->get_expected_max() > 1 ? " ..." : "";
    return option->get_type_size() == 0 ? "" : ' ' + option->get_type_name();
}

std::string help_formatter::make_option_desc(const CLI::Option* option) const {
    return wrapped(option->get_description(), text_columns);
}

std::string help_formatter::make_subcommand(const CLI::App* command) const {
    // In lists the first sentence is enough.
    const std::string& text = command->get_description();
    std::stringstream out;
    CLI::detail::format_help(out, command->get_display_name(true),
                             wrapped(text.substr(0, text.find('\n')), text_columns), name_columns);
    return out.str();
}

std::string help_formatter::make_usage(const CLI::App* command, std::string) const {
    std::string path;
    for (const CLI::App* each = command; each != nullptr; each = each->get_parent()) {
        path = each->get_name() + (path.empty() ? "" : " ") + path;
    }
    return CLI::Formatter::make_usage(command, path);
}

std::string help_formatter::make_description(const CLI::App* command) const {
    return wrapped(command->get_description(), all_columns) + "\n\n";
}

} // namespace cli
