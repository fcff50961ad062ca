// backend.ai vfolder: virtual folders, and the files in them.
#include "commands.hpp"
#include "prompt.hpp"
#include "transfers.hpp"

#include <unistd.h>

namespace cli {
namespace {

struct folder_options {
    std::string name, host, path = ".", dest = ".", basedir, new_name;
    std::vector<std::string> files;
    bool recursive = false, yes = false;
};

int list_folders(context& ctx, const folder_options&) {
    std::vector<backendai::json> items;
    for (const backendai::vfolder_summary& folder : ctx.server().vfolder().list()) items.push_back(folder.raw);
    ctx.list(items,
             {{"Name", "name"}, {"ID", "id"}, {"Owner", "is_owner"}, {"Permission", "permission"}, {"Host", "host"}},
             "There are no virtual folders yet.");
    return 0;
}

int create(context& ctx, const folder_options& what) {
    const backendai::vfolder_creation made = ctx.server().vfolder().create(what.name, what.host);
    if (ctx.wants_json()) {
        ctx.print_json(made.raw);
    } else {
        ctx.out.line("Virtual folder \"" + made.name + "\" is created.");
    }
    return 0;
}

int list_hosts(context& ctx, const folder_options&) {
    const backendai::vfolder_hosts hosts = ctx.server().vfolder().hosts();
    if (ctx.wants_json()) {
        ctx.print_json(hosts.raw);
        return 0;
    }
    ctx.show({{"default", hosts.default_host ? backendai::json(*hosts.default_host) : backendai::json()},
              {"allowed", hosts.allowed}},
             {{"Default vfolder host", "default"}, {"Usable hosts", "allowed"}});
    return 0;
}

int rename(context& ctx, const folder_options& what) {
    ctx.server().vfolder(what.name).rename(what.new_name);
    ctx.notes.done("Renamed.");
    return 0;
}

int remove(context& ctx, const folder_options& what) {
    ctx.server().vfolder(what.name).remove();
    ctx.notes.done("Deleted.");
    return 0;
}

int info(context& ctx, const folder_options& what) {
    const backendai::vfolder_info found = ctx.server().vfolder(what.name).info();
    if (ctx.wants_json()) {
        ctx.print_json(found.raw);
        return 0;
    }
    ctx.show({{"name", found.name},
              {"id", found.id},
              {"host", found.host},
              {"owner", found.is_owner},
              {"permission", found.permission},
              {"files", found.num_files},
              {"created", found.created}},
             {{"Name", "name"},
              {"ID", "id"},
              {"Host", "host"},
              {"Owner", "owner"},
              {"Permission", "permission"},
              {"Number of files", "files"},
              {"Created at", "created"}});
    return 0;
}

int upload(context& ctx, const folder_options& what) {
    backendai::upload_options options;
    options.basedir = what.basedir;
    upload_files(ctx, what.files, options, "Done.",
                 [&](const auto& files, const auto& how) { ctx.server().vfolder(what.name).upload(files, how); });
    return 0;
}

int download(context& ctx, const folder_options& what) {
    backendai::download_options options;
    options.progress = progress_bar();
    ctx.server().vfolder(what.name).download(what.files, what.dest, options);
    options.progress = {};
    ctx.notes.done("Done.");
    return 0;
}

int make_directory(context& ctx, const folder_options& what) {
    ctx.server().vfolder(what.name).mkdir(what.path);
    ctx.notes.done("Done.");
    return 0;
}

int remove_files(context& ctx, const folder_options& what) {
    const std::string question =
        "> Delete " + std::to_string(what.files.size()) + " path(s) in " + what.name + " for good?";
    if (!what.yes && !confirm(ctx, question)) return 1;
    ctx.server().vfolder(what.name).delete_files(what.files, what.recursive);
    ctx.notes.done("Done.");
    return 0;
}

int list_files(context& ctx, const folder_options& what) {
    print_listing(ctx, ctx.server().vfolder(what.name).list_files(what.path), what.path);
    return 0;
}

} // namespace

void add_vfolder(CLI::App& root, context& ctx) {
    CLI::App& group = *add_group(root, "vfolder", "Virtual folders: storage that outlives sessions.");
    const auto add = [&](const char* name, const char* description, int (*act)(context&, const folder_options&)) {
        const auto options = std::make_shared<folder_options>();
        CLI::App* command = add_command(group, ctx, name, description, options,
                                        [&ctx, act](const folder_options& given) { return act(ctx, given); });
        if (act != list_folders && act != list_hosts)
            command->add_option("NAME", options->name, "Name of the folder.")->required();
        return std::make_pair(command, options);
    };
    add("list", "List the folders that you own or were invited to.", list_folders);
    add("list-hosts", "List the storages that folders can be made on.", list_hosts);
    const auto [make, make_options] = add("create", "Create a folder.", create);
    make->add_option("HOST", make_options->host, "Storage to create it on; else the server's default.");
    const auto [move, move_options] = add("rename", "Give a folder another name.", rename);
    move->add_option("NEW_NAME", move_options->new_name, "Its new name.")->required();
    add("delete", "Delete a folder with all that is in it, for good.", remove);
    add("info", "Show a folder in detail.", info);
    const auto [up, up_options] =
        add("upload", "Upload files, of any size. Files of the same name are replaced.", upload);
    up->add_option("FILES", up_options->files, "Files, and directories with all that is below them.")->required();
    up->add_option("--basedir", up_options->basedir, "Directory that the names in the folder are relative to (.).")
        ->type_name("PATH");
    const auto [down, down_options] = add("download", "Download files. Files of the same name are replaced.", download);
    down->add_option("FILES", down_options->files, "Paths in the folder; a/b.csv becomes a/b.csv here.")->required();
    down->add_option("--dest", down_options->dest, "Directory to put them into (.).")->type_name("PATH");
    add_vfolder_cp(group, ctx);
    const auto [dir, dir_options] = add("mkdir", "Make a directory in a folder, with its parents.", make_directory);
    dir->add_option("PATH", dir_options->path, "Path in the folder.")->required();
    const auto [rm, rm_options] = add("rm", "Delete files in a folder, for good. Asks first.", remove_files);
    rm->alias("delete-file");
    rm->add_option("FILES", rm_options->files, "Paths in the folder.")->required();
    rm->add_flag("-r,--recursive", rm_options->recursive, "Directories, too, with all that is below them.");
    rm->add_flag("-y,--yes", rm_options->yes, "Do not ask.");
    const auto [ls, ls_options] = add("ls", "List files in a folder.", list_files);
    ls->add_option("PATH", ls_options->path, "Path in the folder; all of it if not given.");
    add_vfolder_invitations(group, ctx);
    group.footer("Examples:\n"
                 "  backend.ai vfolder create mydata1\n"
                 "  backend.ai vfolder upload mydata1 ./bigdata.csv\n"
                 "  backend.ai run --rm -m mydata1 python ./mycode.py\n"
                 "  backend.ai vfolder download mydata1 ./bigresult.txt");
}

} // namespace cli
