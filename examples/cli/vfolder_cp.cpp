// backend.ai vfolder cp: copies to and from virtual folders, by names as scp has them.
#include "commands.hpp"
#include "transfers.hpp"

#include <backendai/codec/path_rules.hpp>

#include <algorithm>
#include <random>
#include <utility>

namespace cli {
namespace {

namespace fs = std::filesystem;

struct copy_options {
    std::vector<std::string> paths;
    bool recursive = false;
};

// "folder:path" is in a virtual folder, unless a '/' comes before the colon; what is left is on this machine.
struct place {
    std::string folder; // empty: this machine
    std::string path;
};

place parse_place(const std::string& text) {
    const std::size_t colon = text.find(':');
    if (colon == std::string::npos || colon == 0 || text.find('/') < colon) return {"", text};
    return {text.substr(0, colon), text.substr(colon + 1)};
}

std::string without_slashes(std::string path) {
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    while (path.compare(0, 2, "./") == 0) path.erase(0, 2);
    return path == "." ? "" : path;
}

std::string last_name(const std::string& path) {
    const std::string clean = without_slashes(path);
    return clean.substr(clean.rfind('/') + 1);
}

std::string joined(const std::string& folder, const std::string& name) {
    return folder.empty() ? name : folder + '/' + name;
}

// A temporary directory beside where things will be, so that they can be moved there.
class scratch_folder {
public:
    explicit scratch_folder(const fs::path& parent) {
        std::random_device device;
        path_ = parent / (".backend.ai-" + std::to_string(device()));
        fs::create_directories(path_);
    }
    scratch_folder(const scratch_folder&) = delete;
    scratch_folder& operator=(const scratch_folder&) = delete;
    ~scratch_folder() {
        std::error_code ignored; // what is left of it does no harm
        fs::remove_all(path_, ignored);
    }
    const fs::path& path() const { return path_; }

private:
    fs::path path_;
};

class copier {
public:
    copier(context& ctx, const copy_options& options) : ctx_(ctx), options_(options) {}

    int run() {
        std::vector<place> sources;
        for (const std::string& path : options_.paths) sources.push_back(parse_place(path));
        const place target = sources.back();
        sources.pop_back();
        const bool from_here =
            std::all_of(sources.begin(), sources.end(), [](const place& p) { return p.folder.empty(); });
        const bool from_there =
            std::all_of(sources.begin(), sources.end(), [](const place& p) { return !p.folder.empty(); });
        if (target.folder.empty() ? !from_there : !from_here) {
            throw failure("One side of a copy is in a virtual folder, NAME:PATH, and the other is on this machine.", 2);
        }
        if (target.folder.empty()) {
            for (const place& source : sources) download(source, target.path, sources.size() > 1);
        } else {
            for (const place& source : sources) upload(source.path, target, sources.size() > 1);
        }
        ctx_.notes.done("Done.");
        return 0;
    }

private:
    // What a path in a folder is.
    enum class kind { none, file, directory };
    kind kind_of(const std::string& folder, const std::string& path) {
        const std::string clean = without_slashes(path);
        if (clean.empty()) return kind::directory;
        const std::size_t slash = clean.rfind('/');
        backendai::file_listing parent;
        try {
            parent =
                ctx_.server().vfolder(folder).list_files(slash == std::string::npos ? "." : clean.substr(0, slash));
        } catch (const backendai::api_error& error) {
            // A parent that is not there: 404, or 400 from servers from 20.03 on.
            const bool is_missing = error.status() == 404 || error.status() == 400;
            if (!is_missing || slash == std::string::npos) throw;
            return kind::none;
        }
        for (const backendai::file_entry& entry : parent.files) {
            if (entry.filename == last_name(clean)) return entry.is_directory ? kind::directory : kind::file;
        }
        return kind::none;
    }

    void upload(const fs::path& source, const place& target, bool is_one_of_many) {
        std::error_code unknown; // which upload() tells of
        const bool is_tree = fs::is_directory(source, unknown);
        if (is_tree && !options_.recursive)
            throw failure(source.string() + " is a directory; -r copies it with all that is in it.", 2);
        const kind there = kind_of(target.folder, target.path);
        const bool ends_with_slash = !target.path.empty() && target.path.back() == '/';
        const bool into = there == kind::directory || ends_with_slash || is_one_of_many;
        const std::string clean = without_slashes(target.path);
        const fs::path absolute = fs::absolute(source).lexically_normal();
        const std::string own_name = (absolute.has_filename() ? absolute : absolute.parent_path()).filename().string();
        const std::string name = into ? joined(clean, own_name) : clean;
        // A link that is named stands for what it leads to. Links below a directory must not lead out of it.
        fs::path root = fs::canonical(source, unknown);
        if (unknown) root = absolute;
        backendai::upload_options how;
        how.basedir = is_tree ? root : root.parent_path();
        how.rename = [&](const std::string& local) { return is_tree ? joined(name, local) : name; };
        upload_files(ctx_, {source.string()}, how, "", [&](const auto&, const auto& options) {
            ctx_.server().vfolder(target.folder).upload({root}, options);
        });
    }

    void download(const place& source, const fs::path& target, bool is_one_of_many) {
        const kind there = kind_of(source.folder, source.path);
        if (there == kind::none) throw failure("There is no " + source.path + " in " + source.folder + '.');
        if (there == kind::directory && !options_.recursive)
            throw failure(source.path + " is a directory; -r copies it with all that is in it.", 2);
        const std::string clean = without_slashes(source.path);
        const std::string own_name = clean.empty() ? source.folder : last_name(clean);
        const bool into = fs::is_directory(target) || !target.has_filename() || is_one_of_many;
        const fs::path to = fs::absolute(into ? target / own_name : target);
        const fs::path parent = to.parent_path();
        fs::create_directories(parent);
        std::vector<std::string> files; // their paths in the folder
        std::vector<fs::path> places;   // where each is to be
        if (there == kind::file) {
            files.push_back(clean);
            places.push_back(to);
        } else {
            for (const std::string& file : files_below(source.folder, clean)) {
                files.push_back(joined(clean, file));
                places.push_back(to / file);
            }
            fs::create_directories(to);
        }
        const scratch_folder scratch(parent);
        backendai::download_options how;
        how.progress = progress_bar();
        ctx_.server().vfolder(source.folder).download(files, scratch.path(), how);
        for (std::size_t i = 0; i < files.size(); ++i) {
            fs::create_directories(places[i].parent_path());
            fs::rename(scratch.path() / files[i], places[i]);
        }
    }

    // The paths of the files below a directory, from there. They are the server's word and become paths of this
    // machine, and the server could tell of directories in directories without an end.
    std::vector<std::string> files_below(const std::string& folder, const std::string& path) {
        namespace codec = backendai::codec;
        constexpr std::size_t most_directories = 100000;
        std::size_t count = 0;
        std::vector<std::string> files, open = {""};
        while (!open.empty()) {
            const std::string directory = std::exchange(open.back(), {});
            open.pop_back();
            if (++count > most_directories)
                throw failure("The server lists more than " + std::to_string(most_directories) + " directories.");
            const std::string place = directory.empty() ? path : joined(path, directory);
            for (const backendai::file_entry& entry :
                 ctx_.server().vfolder(folder).list_files(place.empty() ? "." : place).files) {
                const std::string below = joined(directory, entry.filename);
                codec::safe_relative_path(entry.filename, codec::root_name::refuse, codec::path_policy::posix);
                codec::safe_relative_path(below, codec::root_name::refuse, codec::path_policy::posix);
                if (entry.filename.find('/') != std::string::npos)
                    throw failure("The server lists a file by a name with a slash in it: " + cell_text(entry.filename));
                (entry.is_directory ? open : files).push_back(below);
            }
        }
        return files;
    }

    context& ctx_;
    const copy_options& options_;
};

} // namespace

void add_vfolder_cp(CLI::App& vfolder, context& ctx) {
    const auto options = std::make_shared<copy_options>();
    CLI::App* command =
        add_command(vfolder, ctx, "cp",
                    "Copy files to or from a folder, as scp does.\n\nThe last path is where the others are "
                    "copied to. Paths in a folder begin with its name and a colon.",
                    options, [&ctx](const copy_options& given) { return copier(ctx, given).run(); });
    command->add_option("PATHS", options->paths, "Sources, and the target.")
        ->required()
        ->expected(2, CLI::detail::expected_max_vector_size);
    command->add_flag("-r,--recursive", options->recursive, "Directories, too, with all that is below them.");
    command->footer("Examples:\n"
                    "  backend.ai vfolder cp train.csv test.csv mydata1:inputs/\n"
                    "  backend.ai vfolder cp mydata1:results/score.txt .\n"
                    "  backend.ai vfolder cp -r mydata1:results ./results");
}

} // namespace cli
