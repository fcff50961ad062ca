// Batch mode, as in the Python SDK's manual: upload source files, build them, run a command, and fetch what it wrote.
#include "where.hpp"

#include <filesystem>
#include <fstream>

namespace {

// The files to upload, made here so that the example needs nothing but itself.
std::filesystem::path make_sources() {
    const std::filesystem::path folder = std::filesystem::temp_directory_path() / "backendai-batch-example";
    std::filesystem::create_directories(folder / "src");
    // The default build command of a Python image runs setup.py; one that makes a module will do here.
    std::ofstream(folder / "src/setup.py") << "open('built.py', 'w').write('greeting = \"hello from the build\"')\n";
    std::ofstream(folder / "src/mycode.py") << "import built, sys\n"
                                               "print(built.greeting)\n"
                                               "open('result.txt', 'w').write(' and '.join(sys.argv[1:]) + '\\n')\n";
    return folder;
}

} // namespace

int main(int argc, char** argv) {
    try {
        const examples::where place(argc, argv);
        backendai::session session(place.config());
        const std::filesystem::path folder = make_sources();
        auto kernel = session.kernel().get_or_create("python");

        backendai::upload_options options;
        options.basedir = folder / "src"; // names in the session are relative to it
        options.progress = backendai::terminal_progress();
        kernel.upload({folder / "src/mycode.py", folder / "src/setup.py"}, options);

        backendai::batch_commands commands;
        commands.build = "*"; // the image's default
        commands.exec = "python3 mycode.py arg1 arg2";
        backendai::run_handlers handlers;
        handlers.on_stdout = [](std::string_view text) { std::cout << text << std::flush; };
        handlers.on_stderr = [](std::string_view text) { std::cerr << text; };
        const auto result = kernel.run(commands, handlers);
        std::cout << "exit code " << result.exit_code << '\n';

        kernel.download({"result.txt"}, folder / "results");
        std::cout << "result.txt: " << std::ifstream(folder / "results/result.txt").rdbuf() << std::flush;
        kernel.destroy();
        std::filesystem::remove_all(folder);
        return result.exit_code;
    } catch (const backendai::error& e) {
        std::cerr << "error: " << e.what() << '\n';
        return 1;
    }
}
