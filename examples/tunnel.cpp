// A port of this machine that leads to a web server in a compute session. With --wait it stays open until a line is
// typed; else it fetches one page through the tunnel and ends.
#include "where.hpp"

#include <backendai/os/socket.hpp>

namespace {

// Any HTTP client would do; a browser, for one. This one has nothing but a socket.
std::string fetch(std::uint16_t port, const std::string& path) {
    auto socket = backendai::os::tcp_socket::connect_loopback(port);
    socket.write("GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    std::string answer;
    char buffer[4096];
    while (const std::size_t count = socket.read(buffer, sizeof buffer)) answer.append(buffer, count);
    const std::size_t head = answer.find("\r\n\r\n");
    return answer.substr(0, answer.find('\r')) + '\n' + (head == std::string::npos ? "" : answer.substr(head + 4));
}

} // namespace

int main(int argc, char** argv) {
    try {
        const examples::where place(argc, argv);
        backendai::session session(place.config());
        auto kernel = session.kernel().get_or_create("python");
        kernel.run("open('page.txt', 'w').write('a page from a compute session\\n')");
        for (const backendai::service_port& service : kernel.service_ports()) {
            if (service.name != "jupyter") continue;
            backendai::tunnel_options options;
            options.on_error = [](const backendai::error& e) { std::cerr << "tunnel: " << e.what() << '\n'; };
            const backendai::app_tunnel tunnel(session, kernel.kernel_id(), service, options);
            std::cerr << service.name << " at http://127.0.0.1:" << tunnel.port() << '\n';
            if (std::string_view(argc > 1 ? argv[argc - 1] : "") == "--wait") {
                std::cin.get();
            } else {
                std::cout << fetch(tunnel.port(), "/page.txt");
            }
        }
        kernel.destroy();
    } catch (const std::exception& e) {
        std::cerr << "error: " << e.what() << '\n';
        return 1;
    }
}
