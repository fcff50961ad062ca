// A run over one websocket: events as they come, a question answered, and a batch run with its phases.
#include "where.hpp"

namespace {

void print(const backendai::execute_result& event) {
    for (const backendai::console_record& record : event.console) std::cout << record.payload << std::flush;
}

} // namespace

int main(int argc, char** argv) {
    try {
        const examples::where place(argc, argv);
        backendai::session session(place.config());
        auto kernel = session.kernel().get_or_create("python");
        auto stream = kernel.stream_execute("import time\n"
                                            "for step in range(3):\n"
                                            "    print('step', step, flush=True)\n"
                                            "    time.sleep(0.1)\n"
                                            "print('hello', input('name? '))\n");
        for (auto&& event : stream) {
            print(event);
            if (event.status == backendai::run_status::waiting_input) {
                std::string line;
                std::getline(std::cin, line);
                stream.send_input(line);
            }
            if (event.exit_code) std::cout << "exit code " << *event.exit_code << '\n';
        }
        backendai::batch_commands commands;
        commands.build = "echo 'print(6 * 7)' > answer.py";
        commands.exec = "python3 answer.py";
        for (auto&& event : kernel.stream_execute(commands)) {
            print(event);
            if (event.status == backendai::run_status::build_finished) std::cout << "built\n";
        }
        // A stream that is left before its end interrupts the code.
        for (auto&& event : kernel.stream_execute("print('for ever', flush=True)\nwhile True: pass")) {
            print(event);
            // Text and line break may come in two events.
            if (!event.console.empty() && event.console.back().payload.back() == '\n') break;
        }
        std::cout << kernel.run("print('and on')").out;
        kernel.destroy();
    } catch (const backendai::error& e) {
        std::cerr << "error: " << e.what() << '\n';
        return 1;
    }
}
