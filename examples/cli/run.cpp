// backend.ai run: code or files in a compute session, or in many of them.
#include "commands.hpp"
#include "errors.hpp"
#include "run_case.hpp"

#include <backendai/os/file.hpp>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <map>
#include <unistd.h>

namespace cli {
namespace {

std::vector<value_range> parse_ranges(const std::vector<std::string>& texts, const char* option) {
    std::vector<value_range> ranges;
    for (const std::string& text : texts) {
        ranges.push_back(parse_range(text, option));
        for (std::size_t i = 0; i + 1 < ranges.size(); ++i) {
            if (ranges[i].name == ranges.back().name)
                throw failure(std::string(option) + ": there are two ranges of the name " + ranges[i].name + ".", 2);
        }
    }
    return ranges;
}

void check(const run_options& options) {
    if (options.terminal) {
        if (options.code) throw failure("--terminal and -c exclude each other.", 2);
        return;
    }
    if (!options.files.empty() && options.code) throw failure("Either files or code by -c can be run, not both.", 2);
    if (options.files.empty() && !options.code && options.exec.empty())
        throw failure("There is nothing to run: give files, code by -c, or a command by --exec.", 2);
    if (options.code && (!options.build.empty() || !options.exec.empty() || !options.clean.empty()))
        throw failure("--clean, --build and --exec go with files; -c is run as it is.", 2);
}

// What "*" runs on the server is main.py or the like. One file of another name is what the user wants to run, so that
// it is run by the program that its name tells; nothing where that is not clear.
std::string command_for(const run_options& options) {
    static const std::map<std::string, std::string> programs = {{".py", "python"}, {".sh", "bash"},  {".js", "node"},
                                                                {".rb", "ruby"},   {".pl", "perl"},  {".lua", "lua"},
                                                                {".R", "Rscript"}, {".jl", "julia"}, {".php", "php"}};
    if (options.files.size() != 1) return {};
    const std::filesystem::path file = options.files.front();
    const auto program = programs.find(file.extension().string());
    if (program == programs.end() || file.stem() == "main" || file.filename() == "setup.py") return {};
    std::error_code none; // a file that is not there is told by the upload
    const std::filesystem::path base = options.basedir.empty() ? "." : options.basedir;
    std::string quoted;
    for (const char c : std::filesystem::proximate(file, base, none).generic_string())
        quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return program->second + " '" + quoted + '\'';
}

// The log of a case, in a file of its own.
class log_file {
public:
    explicit log_file(const std::filesystem::path& path)
        : name_(path.string()), descriptor_(::open(name_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) {
        if (descriptor_ < 0) throw failure(name_ + " cannot be written: " + std::strerror(errno) + '.');
    }
    log_file(const log_file&) = delete;
    log_file& operator=(const log_file&) = delete;
    ~log_file() { ::close(descriptor_); }
    void write(std::string_view text) const { write_all(descriptor_, text, name_.c_str()); }

private:
    const std::string name_;
    const int descriptor_;
};

std::filesystem::path log_folder() {
    const char* home = std::getenv("HOME");
    if (home == nullptr || *home == '\0') throw failure("HOME is not set, so that there is no place for the logs.");
    const std::filesystem::path folder = std::filesystem::path(home) / ".cache" / "backend.ai" / "client-logs";
    std::filesystem::create_directories(folder);
    return folder;
}

int run_single(context& ctx, const run_options& options, const run_case& only, const std::string& session_id) {
    case_output output;
    output.out = [&ctx](std::string_view text) {
        ctx.out.write(text);
        ctx.out.flush();
    };
    output.err = [&ctx](std::string_view text) { ctx.notes.raw(text); };
    return run_one_case(ctx, options, only, 0, session_id, output);
}

void announce(context& ctx, const std::vector<run_case>& cases) {
    ctx.notes.info("Running multiple sessions for the following combinations:");
    if (ctx.notes.quiet()) return;
    for (const run_case& each : cases) {
        std::string envs;
        for (const auto& env : each.envs) envs += (envs.empty() ? "" : " ") + env.first + '=' + env.second;
        ctx.notes.raw("env = '" + envs + "', build = '" + each.build + "', exec = '" + each.exec + "'\n");
    }
}

int run_many(context& ctx, const run_options& options, const std::vector<run_case>& cases, const std::string& prefix) {
    announce(ctx, cases);
    const std::filesystem::path folder = log_folder();
    ctx.notes.info("The output of each case goes to " + folder.string() + '/' + prefix + "-N.{stdout,stderr}.log");
    std::vector<std::function<int()>> jobs;
    for (std::size_t i = 0; i < cases.size(); ++i) {
        jobs.emplace_back([&, i] {
            const std::string session_id = prefix + '-' + std::to_string(i);
            const log_file out(folder / (session_id + ".stdout.log")), err(folder / (session_id + ".stderr.log"));
            case_output output;
            output.is_logged = true;
            output.out = [&out](std::string_view text) { out.write(text); };
            output.err = [&err](std::string_view text) { err.write(text); };
            try {
                return run_one_case(ctx, options, cases[i], i, session_id, output);
            } catch (const backendai::error& error) {
                const std::string why = explain(error, ctx.config());
                ctx.notes.fail('[' + std::to_string(i) + "] " + why);
                output.err(why + '\n');
                throw;
            } catch (const std::exception& error) {
                ctx.notes.fail('[' + std::to_string(i) + "] " + error.what());
                throw;
            }
        });
    }
    std::size_t failed = 0;
    for (auto& end :
         backendai::run_parallel(jobs, static_cast<std::size_t>(options.max_parallel), ctx.interrupts.token())) {
        if (!end.ok() || end.get() != 0) ++failed;
    }
    if (ctx.interrupts.happened()) return ctx.interrupts.exit_code();
    if (failed != 0)
        throw failure(std::to_string(failed) + " of " + std::to_string(cases.size()) + " cases have failed.");
    return 0;
}

int run(context& ctx, const run_options& options) {
    check(options);
    ctx.notes.set_quiet(options.quiet);
    std::vector<std::pair<std::string, std::string>> envs;
    for (const std::string& text : options.envs) envs.push_back(split_pair(text, "-e"));
    const std::string exec = options.exec.empty() ? command_for(options) : options.exec;
    const std::vector<run_case> cases = make_cases(
        envs, options.build, exec, parse_ranges(options.env_ranges, "--env-range"),
        parse_ranges(options.build_ranges, "--build-range"), parse_ranges(options.exec_ranges, "--exec-range"));
    const std::string session_id = options.session_id.empty() ? random_session_id() : options.session_id;
    if (cases.size() == 1) return run_single(ctx, options, cases.front(), session_id);
    if (options.terminal) throw failure("Several cases cannot share a terminal.", 2);
    return run_many(ctx, options, cases, session_id);
}

} // namespace

void add_run(CLI::App& root, context& ctx) {
    const auto options = std::make_shared<run_options>();
    CLI::App* command = add_command(
        root, ctx, "run",
        "Run code or files in a compute session.\n\nThe session is made first, or taken when one of the name given by "
        "-t runs already. It stays alive until the server finds it idle for too long, unless --rm is given. The exit "
        "code is that of the code.",
        options, [&ctx](const run_options& given) { return run(ctx, given); });
    run_options& to = *options;
    command->add_option("LANG", to.lang, "Image to run in, with or without a tag: python:3.6-ubuntu")->required();
    command->add_option("FILES", to.files, "Files and directories to upload and run.");
    command->add_option("-c,--code", to.code, "Code to run.")->type_name("CODE");
    command->add_option("--clean", to.clean, "Shell command that cleans up before the build.")->type_name("CMD");
    command->add_option("--build", to.build, "Shell command that builds the files.")->type_name("CMD");
    command
        ->add_option(
            "--exec", to.exec,
            "Shell command that runs the files. Else a single file is run by the program that its name tells (.py, "
            ".sh, .js ...), of several main.py or the like.")
        ->type_name("CMD");
    command->add_flag("--terminal", to.terminal, "A shell in the session, in this terminal. Ctrl-] leaves it.");
    command->add_option("--basedir", to.basedir, "Directory that the files' names in the session are relative to.")
        ->type_name("PATH");
    command->add_flag("--rm", to.rm, "Remove the session afterwards, whatever happens.");
    command->add_option("-t,--session-id,--client-token", to.session_id, "Name of the session; else a random one.")
        ->type_name("SESSID");
    add_repeated(*command, "-e,--env", to.envs, "Environment variable of the session; repeatable, as -m and -r.")
        ->type_name("KEY=VAL");
    add_repeated(*command, "-m,--mount", to.mounts, "Virtual folder to mount.")->type_name("NAME");
    add_repeated(*command, "-r,--resources", to.resources, "Resource for the session: cpu=2, mem=512m, gpu=0.5")
        ->type_name("KEY=VAL");
    command->add_option("--cluster-size", to.cluster_size, "Containers in the session, 1 to 3.")
        ->type_name("NUMBER")
        ->check(CLI::Range(1, 3).description(""));
    command->add_option("--tag", to.tag, "Note of your own to mark the session with.")->type_name("TEXT");
    command->add_flag("-s,--stats", to.stats, "Show what the session has used, with --rm.");
    command->add_flag("-q,--quiet", to.quiet, "Print nothing but the code's output.");
    const std::string many = "Many cases";
    add_repeated(*command, "--env-range", to.env_ranges, "Values for $NAME in -e.")->type_name("RANGE")->group(many);
    add_repeated(*command, "--build-range", to.build_ranges, "Values for $NAME in --build.")
        ->type_name("RANGE")
        ->group(many);
    add_repeated(*command, "--exec-range", to.exec_ranges, "Values for $NAME in --exec.")
        ->type_name("RANGE")
        ->group(many);
    command->add_option("--max-parallel", to.max_parallel, "How many cases run at once (2).")
        ->type_name("NUM")
        ->check(CLI::PositiveNumber.description(""))
        ->group(many);
    command->footer(
        "A RANGE is NAME=case:A,B,C or NAME=linspace:START,STOP,NUM or NAME=range:START,STOP[,STEP]. Every\n"
        "combination of the values is a case with a session of its own, whose output goes to\n"
        "~/.cache/backend.ai/client-logs.\n\n"
        "Examples:\n"
        "  backend.ai run --rm -c 'print(\"hello world\")' python\n"
        "  backend.ai run --rm --exec 'python myscript.py arg1 arg2' python ./myscript.py\n"
        "  backend.ai run --rm -r gpu=0.5 python-tensorflow ./mygpucode.py\n"
        "  backend.ai run --rm -e 'RATE=$x' --env-range x=linspace:0,1,5 --max-parallel 3 python main.py");
}

} // namespace cli
