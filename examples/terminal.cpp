// This terminal, attached to a shell in a compute session. Ctrl-] leaves it. Commands from a file work as well:
// terminal < commands
#include "where.hpp"

int main(int argc, char** argv) {
    try {
        const examples::where place(argc, argv);
        backendai::session session(place.config());
        auto kernel = session.kernel().get_or_create("bash");
        auto pty = kernel.stream_pty();
        const backendai::terminal_end end = backendai::attach_terminal(pty);
        std::cerr << (end == backendai::terminal_end::detached ? "\ndetached\n" : "\nthe shell has ended\n");
        kernel.destroy();
    } catch (const backendai::error& e) {
        std::cerr << "error: " << e.what() << '\n';
        return 1;
    }
}
