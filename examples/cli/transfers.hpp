// What uploads, downloads and listings of files have in common, in sessions and in virtual folders.
#ifndef BACKENDAI_CLI_TRANSFERS_HPP
#define BACKENDAI_CLI_TRANSFERS_HPP

#include "context.hpp"

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace cli {

// A bar on a terminal; nothing elsewhere, and where NO_COLOR asks for plain output.
backendai::progress_callback progress_bar();

// Sends files by what `send` does, with a progress bar, and tells that it is done unless `done` is empty, or that there
// were no files.
void upload_files(
    context& ctx, const std::vector<std::string>& files, backendai::upload_options options, const char* done,
    const std::function<void(const std::vector<std::filesystem::path>&, const backendai::upload_options&)>& send);

// A directory's content as a table, or as JSON. Throws failure when the server could not list it.
void print_listing(context& ctx, const backendai::file_listing& listing, const std::string& path);

} // namespace cli

#endif
