// What uploads, downloads and listings of files have in common, in sessions and in virtual folders.
#ifndef BACKENDAI_CLI_TRANSFERS_HPP
#define BACKENDAI_CLI_TRANSFERS_HPP

#include "context.hpp"

#include <string>
#include <vector>

namespace cli {

// A bar on a terminal; nothing elsewhere, and where NO_COLOR asks for plain output.
backendai::progress_callback progress_bar();

// What is told where an upload had nothing to send.
void note_no_files(context& ctx, const std::vector<std::string>& paths);

// A directory's content as a table, or as JSON. Throws failure when the server could not list it.
void print_listing(context& ctx, const backendai::file_listing& listing, const std::string& path);

} // namespace cli

#endif
