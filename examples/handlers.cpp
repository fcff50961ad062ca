// run() with handlers: output as it comes, passwords, media records and the exit code.
#include "where.hpp"

int main(int argc, char** argv) {
    try {
        const examples::where place(argc, argv);
        backendai::session session(place.config());
        auto kernel = session.kernel().get_or_create("python");
        backendai::run_handlers handlers;
        handlers.on_stdout = [](std::string_view text) { std::cout << text << std::flush; };
        handlers.on_stderr = [](std::string_view text) { std::cerr << text; };
        handlers.on_input = [](const backendai::input_request& request) {
            std::string line;
            std::getline(std::cin, line);
            std::cout << (request.is_password ? std::string(line.size(), '*') : line) << '\n';
            return line;
        };
        handlers.on_media = [](const backendai::console_record& record) {
            const backendai::media_content media = backendai::decode_media(record);
            std::cout << "media: " << media.mime_type << ", " << media.bytes.size() << " bytes\n";
        };
        // The helper for media records stands in for matplotlib and the like; the embedded gateway has it.
        const auto result = kernel.run("import getpass, sys\n"
                                       "user = input('user: ')\n"
                                       "password = getpass.getpass('password: ')\n"
                                       "print(user, 'has a password of', len(password), 'characters')\n"
                                       "try:\n"
                                       "    backendai_media('image/png', 'data:image/png;base64,iVBORw0KGgo=')\n"
                                       "    backendai_media('text/html', '<b>bold</b>')\n"
                                       "except NameError:\n"
                                       "    print('no media helper here')\n"
                                       "sys.exit(3)\n",
                                       handlers);
        std::cout << "exit code " << result.exit_code << '\n';
        kernel.destroy();
    } catch (const backendai::error& e) {
        std::cerr << "error: " << e.what() << '\n';
        return 1;
    }
}
