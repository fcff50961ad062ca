// Runs a snippet of Python in a compute session and prints what it printed.
#include "where.hpp"

int main(int argc, char** argv) {
    try {
        const examples::where place(argc, argv);
        backendai::session session(place.config());
        auto kernel = session.kernel().get_or_create("python:3.6-ubuntu");
        const auto result = kernel.run("import sys\n"
                                       "for i in range(3):\n"
                                       "    print('hello world', i)\n"
                                       "print('this is stderr', file=sys.stderr)\n");
        std::cout << result.out << std::flush;
        std::cerr << result.err;
        kernel.destroy();
        return result.exit_code;
    } catch (const backendai::error& e) {
        std::cerr << "error: " << e.what() << '\n';
        return 1;
    }
}
