// The embedded gateway as a program: a Backend.AI server on a loopback port, for trying things out.
//
//   gateway [OPTIONS]                  prints the environment to export, serves until SIGINT or SIGTERM
//   gateway [OPTIONS] --run CMD...     runs a command with that environment and ends with its exit status
//
// Options: --port N, else any free one; --user ACCESS_KEY:SECRET_KEY:EMAIL, another user, to share folders with;
// --protocol V, the generation of servers that it acts as: v4.20190315 (default), v7.20230615, v8.20240915 ...;
// --service NAME:PROTOCOL:PORT, a port of this machine as a service in every session, for http or tcp
#include <backendai/testing/gateway.hpp>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <optional>
#include <string>
#include <unistd.h>
#include <vector>

namespace {

struct service {
    std::string name, protocol;
    std::uint16_t port;
};

// Nothing for a text that is no number of a port.
std::optional<std::uint16_t> parse_port(const std::string& text) {
    const bool is_number = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
    const long port = is_number && text.size() < 6 ? std::strtol(text.c_str(), nullptr, 10) : -1;
    if (port < 0 || port > 65535) return {};
    return static_cast<std::uint16_t>(port);
}

int run_command(const backendai::testing::gateway& server, char** arguments) {
    const pid_t child = ::fork();
    if (child < 0) {
        std::cerr << "gateway: cannot start " << arguments[0] << '\n';
        return 126;
    }
    if (child == 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, nullptr);
        ::setenv("BACKEND_ENDPOINT", server.endpoint().c_str(), 1);
        ::setenv("BACKEND_ACCESS_KEY", server.access_key().c_str(), 1);
        ::setenv("BACKEND_SECRET_KEY", server.secret_key().c_str(), 1);
        ::execvp(arguments[0], arguments);
        std::perror(arguments[0]);
        ::_exit(127);
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

} // namespace

int main(int count, char** arguments) {
    backendai::testing::gateway_options options;
    std::vector<service> services;
    char** command = nullptr;
    for (int i = 1; i < count; ++i) {
        if (std::strcmp(arguments[i], "--port") == 0 && i + 1 < count) {
            const std::optional<std::uint16_t> port = parse_port(arguments[++i]);
            if (!port) {
                std::cerr << "gateway: the port is a number from 0 to 65535\n";
                return 2;
            }
            options.port = *port;
        } else if (std::strcmp(arguments[i], "--user") == 0 && i + 1 < count) {
            const std::string text = arguments[++i];
            const std::size_t first = text.find(':'), last = text.rfind(':');
            if (first == last) {
                std::cerr << "gateway: a user is ACCESS_KEY:SECRET_KEY:EMAIL\n";
                return 2;
            }
            options.other_users.push_back(
                {text.substr(0, first), text.substr(first + 1, last - first - 1), text.substr(last + 1)});
        } else if (std::strcmp(arguments[i], "--service") == 0 && i + 1 < count) {
            const std::string text = arguments[++i];
            const std::size_t first = text.find(':'), last = text.rfind(':');
            const std::optional<std::uint16_t> port = first == last ? std::nullopt : parse_port(text.substr(last + 1));
            const std::string protocol = port ? text.substr(first + 1, last - first - 1) : "";
            if (first == 0 || port == 0 || (protocol != "http" && protocol != "tcp")) {
                std::cerr << "gateway: a service is NAME:PROTOCOL:PORT, for http or tcp\n";
                return 2;
            }
            services.push_back({text.substr(0, first), protocol, *port});
        } else if (std::strcmp(arguments[i], "--protocol") == 0 && i + 1 < count) {
            options.protocol = arguments[++i];
        } else if (std::strcmp(arguments[i], "--run") == 0 && i + 1 < count) {
            command = arguments + i + 1;
            break;
        } else {
            std::cerr << "usage: gateway [--port N] [--protocol VERSION] [--user ACCESS_KEY:SECRET_KEY:EMAIL]... "
                         "[--service NAME:PROTOCOL:PORT]... [--run COMMAND...]\n";
            return 2;
        }
    }
    // The signals are taken by sigwait() here, so every thread has to have them blocked.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    try {
        backendai::testing::gateway server(options);
        for (const service& each : services) server.add_service(each.name, each.protocol, each.port);
        if (command != nullptr) return run_command(server, command);
        std::cerr
            << "This is an emulator of a Backend.AI server. It runs code as the user who started it, and listens on "
               "the loopback interface only.\n";
        std::cout << "export BACKEND_ENDPOINT=" << server.endpoint()
                  << "\nexport BACKEND_ACCESS_KEY=" << server.access_key()
                  << "\nexport BACKEND_SECRET_KEY=" << server.secret_key() << std::endl;
        int number = 0;
        sigwait(&signals, &number);
        std::cerr << server.created_sessions() << " sessions were created, of which " << server.peak_sessions()
                  << " at most were there at once.\n";
    } catch (const std::exception& error) {
        std::cerr << "gateway: " << error.what() << '\n';
        return 1;
    }
    return 0;
}
