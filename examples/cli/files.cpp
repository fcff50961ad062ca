// backend.ai upload, download and ls: files in compute sessions.
#include "commands.hpp"
#include "transfers.hpp"

#include <ctime>
#include <unistd.h>
#include <utility>

namespace cli {

backendai::progress_callback progress_bar() {
    if (!notes::has_colours(STDERR_FILENO)) return {};
    return backendai::terminal_progress();
}

void upload_files(
    context& ctx, const std::vector<std::string>& files, backendai::upload_options options, const char* done,
    const std::function<void(const std::vector<std::filesystem::path>&, const backendai::upload_options&)>& send) {
    options.progress = progress_bar();
    std::size_t count = 0;
    options.rename = [&count, rename = std::move(options.rename)](const std::string& name) {
        ++count;
        return rename ? rename(name) : name;
    };
    send({files.begin(), files.end()}, options);
    options.progress = {}; // ends the bar's line
    if (count != 0) {
        if (*done != '\0') ctx.notes.done(done);
        return;
    }
    std::string names;
    for (const std::string& file : files) names += (names.empty() ? "" : ", ") + file;
    ctx.notes.info("There are no files in " + names + ": nothing was uploaded.");
}

namespace {

std::string local_time(std::chrono::system_clock::time_point when) {
    const std::time_t seconds = std::chrono::system_clock::to_time_t(when);
    std::tm parts{};
    ::localtime_r(&seconds, &parts);
    char text[32];
    std::strftime(text, sizeof text, "%b %d %Y %H:%M:%S", &parts);
    return text;
}

} // namespace

void print_listing(context& ctx, const backendai::file_listing& listing, const std::string& path) {
    if (!listing.errors.empty()) throw failure(path + " cannot be listed: " + cell_text(listing.errors) + '.');
    std::vector<backendai::json> items;
    for (const backendai::file_entry& entry : listing.files) {
        // The same members on all servers, whatever theirs are called.
        const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(entry.mtime.time_since_epoch()).count();
        backendai::json item = {{"filename", entry.filename}, {"size", entry.size}, {"mode", entry.mode}};
        if (ctx.wants_json()) {
            item["mtime"] = seconds;
            item["is_directory"] = entry.is_directory;
        } else {
            item["modified"] = local_time(entry.mtime);
        }
        items.push_back(std::move(item));
    }
    ctx.list(items, {{"file name", "filename"}, {"size", "size"}, {"modified", "modified"}, {"mode", "mode"}},
             path == "." ? "There are no files." : "There are no files in " + path + '.');
}

namespace {

struct transfer {
    std::string session, path = ".", dest = ".", basedir;
    std::vector<std::string> files;
};

int upload(context& ctx, const transfer& what) {
    backendai::upload_options options;
    options.basedir = what.basedir;
    upload_files(ctx, what.files, options, "Uploaded.",
                 [&](const auto& files, const auto& how) { ctx.server().kernel(what.session).upload(files, how); });
    return 0;
}

int download(context& ctx, const transfer& what) {
    backendai::download_options options;
    options.progress = progress_bar();
    ctx.server().kernel(what.session).download(what.files, what.dest, options);
    options.progress = {};
    ctx.notes.done("Downloaded to " + std::filesystem::absolute(what.dest).lexically_normal().string() + '.');
    return 0;
}

int list(context& ctx, const transfer& what) {
    const backendai::file_listing listing = ctx.server().kernel(what.session).list_files(what.path);
    if (!listing.abspath.empty()) ctx.notes.info("Path in the session: " + cell_text(listing.abspath));
    print_listing(ctx, listing, what.path);
    return 0;
}

} // namespace

void add_files(CLI::App& root, context& ctx) {
    const auto add = [&](const char* name, const char* description, int (*act)(context&, const transfer&)) {
        const auto options = std::make_shared<transfer>();
        CLI::App* command = add_command(root, ctx, name, description, options,
                                        [&ctx, act](const transfer& given) { return act(ctx, given); });
        command->add_option("SESSID", options->session, session_help)->required();
        return std::make_pair(command, options);
    };
    const auto [up, up_options] = add("upload",
                                      "Upload files to a session's working directory.\n\nAt most 20 files, each "
                                      "of less than 1 MiB; virtual folders take more.",
                                      upload);
    up->add_option("FILES", up_options->files, "Files, and directories with all that is below them.")->required();
    up->add_option("--basedir", up_options->basedir, "Directory that the files' names in the session are relative to.")
        ->type_name("PATH");
    const auto [down, down_options] = add("download", "Download files from a session.", download);
    down->add_option("FILES", down_options->files, "Paths in the session, of files or directories.")->required();
    down->add_option("--dest", down_options->dest, "Directory to put them into (.).")->type_name("PATH");
    const auto [ls, ls_options] = add("ls", "List files in a session.", list);
    ls->add_option("PATH", ls_options->path, "Path in the session; the working directory if not given.");
}

} // namespace cli
