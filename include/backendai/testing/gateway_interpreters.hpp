/// @file
/// Which interpreter an image name means, how to start it, and the default commands of batch mode.
#ifndef BACKENDAI_TESTING_GATEWAY_INTERPRETERS_HPP
#define BACKENDAI_TESTING_GATEWAY_INTERPRETERS_HPP

#include <backendai/os/process.hpp>
#include <backendai/testing/gateway_drivers.hpp>
#include <backendai/testing/gateway_drivers_more.hpp>
#include <backendai/version.hpp>

#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {

/// How code of one language is run here.
struct interpreter {
    std::vector<std::string> command; ///< with the driver's text; empty = not installed
    std::string clean, build, exec;   ///< what "*" means in batch mode
};

/// An image reference taken apart: "registry/name:tag".
struct image_name {
    std::string registry, name, tag;
    std::string language; ///< the name before the first '-', lower case: "python" of "python-tensorflow"
};

inline image_name parse_image(std::string_view reference) {
    image_name result;
    const std::size_t slash = reference.rfind('/');
    if (slash != std::string_view::npos) {
        result.registry = reference.substr(0, slash);
        reference.remove_prefix(slash + 1);
    }
    const std::size_t colon = reference.find(':');
    result.name = reference.substr(0, colon);
    if (colon != std::string_view::npos) result.tag = reference.substr(colon + 1);
    for (const char c : result.name.substr(0, result.name.find('-'))) {
        result.language += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
    return result;
}

namespace detail {

inline const char* python_loader() {
    return "import sys; exec(compile(sys.argv.pop(), '<backendai-driver>', 'exec'), {'__name__': 'backendai_driver'})";
}

// The interpreter itself behind whatever "python3" is in PATH: wrappers that choose a version take longer to start
// than the interpreter, and may look for their files in HOME, which is another one in a session.
inline std::string real_python() {
    const std::string found = os::find_program("python3");
    if (found.empty()) return found;
    os::pipe_ends pipe = os::make_pipe();
    os::process_options options;
    options.arguments = {found, "-c", "import sys; sys.stdout.write(sys.executable)"};
    options.environment = os::current_environment(environ);
    options.descriptors = {{1, pipe.write_end.get()}};
    os::child_process process(options);
    pipe.write_end.close();
    std::string path;
    char buffer[1024];
    ssize_t count = 0;
    while ((count = ::read(pipe.read_end.get(), buffer, sizeof buffer)) > 0) {
        path.append(buffer, static_cast<std::size_t>(count));
    }
    return process.wait() == 0 && os::find_program(path) == path ? path : found;
}

inline std::map<std::string, interpreter> find_interpreters() {
    std::map<std::string, interpreter> found;
    const auto add = [&found](const std::vector<std::string>& names, const interpreter& entry) {
        for (const std::string& name : names) found[name] = entry;
    };
    const auto first_of = [](const std::vector<std::string>& names) {
        for (const std::string& name : names) {
            const std::string path = os::find_program(name);
            if (!path.empty()) return path;
        }
        return std::string();
    };
    const std::string python = real_python();
    if (!python.empty()) {
        add({"python", "python3"}, {{python, "-u", "-c", python_loader(), python_driver()},
                                    "rm -rf build dist *.egg-info",
                                    "if [ -f setup.py ]; then \"" + python + "\" setup.py build; fi",
                                    "\"" + python + "\" main.py"});
    }
    const std::string bash = os::find_program("bash");
    if (!bash.empty()) {
        const auto shell = [&bash](const std::string& compiler) {
            return std::vector<std::string>{bash, "--noprofile", "--norc", "-c", bash_driver(), "backendai", compiler};
        };
        add({"bash", "sh", "shell"},
            {shell(""), "true", "if [ -f Makefile ]; then make; fi", "\"" + bash + "\" main.sh"});
        const auto compiled = [&](const std::string& compiler, const std::string& pattern) {
            const std::string build =
                "if [ -f Makefile ]; then make; else \"" + compiler + "\" -o main " + pattern + " -lm; fi";
            return interpreter{shell(compiler), "if [ -f Makefile ]; then make clean; else rm -f main; fi", build,
                               "./main"};
        };
        const std::string c = first_of({"gcc", "cc", "clang"}), cpp = first_of({"g++", "c++", "clang++"});
        if (!c.empty()) add({"c", "gcc"}, compiled(c, "*.c"));
        if (!cpp.empty()) add({"cpp", "c++"}, compiled(cpp, "*.cpp"));
    }
    const std::string node = first_of({"node", "nodejs"});
    if (!node.empty()) {
        add({"node", "nodejs", "javascript", "js"}, {{node, "-e", node_driver()},
                                                     "rm -rf node_modules",
                                                     "if [ -f package.json ]; then npm install; fi",
                                                     "\"" + node + "\" main.js"});
    }
    const std::string perl = os::find_program("perl");
    if (!perl.empty()) add({"perl"}, {{perl, "-e", perl_driver()}, "true", "true", "\"" + perl + "\" main.pl"});
    const std::string lua = first_of({"lua5.4", "lua5.3", "lua"});
    if (!lua.empty()) add({"lua"}, {{lua, "-e", lua_driver()}, "true", "true", "\"" + lua + "\" main.lua"});
    const std::string ruby = os::find_program("ruby");
    if (!ruby.empty()) add({"ruby"}, {{ruby, "-e", ruby_driver()}, "true", "true", "\"" + ruby + "\" main.rb"});
    return found;
}

} // namespace detail

/// What is installed here, by language name. Looked up once in a process.
inline const std::map<std::string, interpreter>& interpreters() {
    static const std::map<std::string, interpreter> found = detail::find_interpreters();
    return found;
}

} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
