// Help texts that fit a terminal.
#ifndef BACKENDAI_CLI_HELP_HPP
#define BACKENDAI_CLI_HELP_HPP

#include <CLI/CLI.hpp>

#include <string>

namespace cli {

// CLI11's formatter with descriptions broken into lines.
class help_formatter : public CLI::Formatter {
public:
    help_formatter();
    std::string make_option_opts(const CLI::Option* option) const override;
    std::string make_option_desc(const CLI::Option* option) const override;
    std::string make_subcommand(const CLI::App* command) const override;
    std::string make_usage(const CLI::App* command,
                           std::string) const override; // with the whole path, "backend.ai vfolder ls"
    std::string make_description(const CLI::App* command) const override;
};

// Breaks at spaces, keeping line breaks, so that no line is longer than `width`.
std::string wrapped(const std::string& text, std::size_t width);

} // namespace cli

#endif
