// tunnel_peer [curl]: opens tunnels to the gateway's services "echo" and "jupyter" in a compute session of its own,
// prints their ports, and ends with the end of its input. Pings that are not answered for 2 s end a connection.
#include <backendai.hpp>

#include <chrono>
#include <cstring>
#include <iostream>
#include <string>
#include <thread>

namespace {

using namespace backendai;

template <class Transport>
int run() {
    api_config config;
    config.websocket_ping_interval = std::chrono::seconds(1);
    config.websocket_ping_timeout = std::chrono::seconds(2);
    basic_session<Transport, blocking> session(config);
    const auto kernel = session.kernel().get_or_create("python");
    kernel.run("open('page.txt', 'w').write('carried by a tunnel')");
    tunnel_options options;
    options.on_error = [](const error& e) { std::cerr << e.what() << '\n'; };
    const app_tunnel web(session, kernel.kernel_id(), "jupyter", options);
    options.protocol = tunnel_protocol::tcp;
    const app_tunnel echo(session, kernel.kernel_id(), "echo", options);
    std::cout << echo.port() << ' ' << web.port() << std::endl;
    while (std::cin.get() != std::char_traits<char>::eof()) continue;
    // Those that have just ended linger for a moment.
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (echo.connections() != 0 && std::chrono::steady_clock::now() < end) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    std::cout << echo.connections() << std::endl;
    return 0;
}

} // namespace

int main(int count, char** arguments) {
    try {
        if (count > 1 && std::strcmp(arguments[1], "curl") == 0) {
#ifdef BACKENDAI_USE_CURL
            return run<curl_transport>();
#else
            return 77;
#endif
        }
        return run<httplib_transport>();
    } catch (const error& e) {
        std::cerr << e.what() << std::endl;
        return 1;
    }
}
