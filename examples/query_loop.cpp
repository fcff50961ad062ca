// The query loop of the Python SDK's manual, step by step, with user input: what kernel.run() does in one call.
#include "where.hpp"

#include <vector>

int main(int argc, char** argv) {
    try {
        const examples::where place(argc, argv);
        backendai::session session(place.config());
        auto kernel = session.kernel().get_or_create("python");
        std::string code = "name = input('your name? ')\n"
                           "import time; time.sleep(2.5)\n"
                           "print('hello', name)\n";
        auto mode = backendai::execute_mode::query;
        std::string run_id; // keeps track of this particular run loop
        for (;;) {
            const auto result = kernel.execute(run_id, code, mode);
            run_id = result.run_id;
            for (const backendai::console_record& record : result.console) {
                if (record.is_stdout()) {
                    std::cout << record.payload;
                } else if (record.is_stderr()) {
                    std::cerr << record.payload;
                } else {
                    const backendai::media_content media = backendai::decode_media(record);
                    std::cout << "[" << media.mime_type << ", " << media.bytes.size() << " bytes]\n";
                }
            }
            std::cout.flush();
            if (result.status == backendai::run_status::finished) break;
            code.clear();
            mode = backendai::execute_mode::continue_;
            if (result.status == backendai::run_status::waiting_input) {
                mode = backendai::execute_mode::input;
                std::getline(std::cin, code); // a program with a terminal would not echo it when result.is_password
            }
        }
        kernel.destroy();
    } catch (const backendai::error& e) {
        std::cerr << "error: " << e.what() << '\n';
        return 1;
    }
}
