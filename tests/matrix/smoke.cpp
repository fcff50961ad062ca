// Against a running gateway: a signed request, a kernel that runs code, an error of each kind. Prints "ok".
#include <backendai.hpp>

#include <iostream>

int main() {
    try {
        backendai::session session;
        auto kernel = session.kernel().get_or_create("bash");
        const auto result = kernel.run("echo smoke");
        kernel.destroy();
        if (result.out != "smoke\n") {
            std::cerr << "the code printed: " << result.out << '\n';
            return 1;
        }
        try {
            session.kernel("no-such-session").get_info();
            std::cerr << "a session that does not exist has answered\n";
            return 1;
        } catch (const backendai::api_error& e) {
            if (e.status() != 404) throw;
        }
        try {
            backendai::request(session, "GET", "/").set_header("Host", "elsewhere");
            std::cerr << "a header of the SDK's own was taken\n";
            return 1;
        } catch (const backendai::client_error& e) {
            if (e.kind() != backendai::error_kind::argument) throw;
        }
    } catch (const backendai::error& e) {
        std::cerr << e.what() << '\n';
        return 1;
    }
    std::cout << "ok\n";
}
