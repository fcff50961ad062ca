// The embedded gateway as a program: a Backend.AI server on a loopback port, for trying things out.
//
//   gateway [OPTIONS]                  prints the environment to export, serves until SIGINT or SIGTERM
//   gateway [OPTIONS] --run CMD...     runs a command with that environment and ends with its exit status
//
// Options: --port N, else any free one; --user ACCESS_KEY:SECRET_KEY:EMAIL, another user, to share folders with;
// --service NAME:PROTOCOL:PORT, a port of this machine as a service in every session, its protocol http or tcp;
// --protocol V, the generation of servers that it acts as: v4.20190315 (default), v7.20230615, v8.20240915 ...
#include <backendai/testing/gateway.hpp>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>
#include <unistd.h>
#include <vector>

namespace {

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
    struct service {
        std::string name, protocol;
        std::uint16_t port;
    };
    std::vector<service> services;
    char** command = nullptr;
    for (int i = 1; i < count; ++i) {
        if (std::strcmp(arguments[i], "--port") == 0 && i + 1 < count) {
            const long port = std::strtol(arguments[++i], nullptr, 10);
            if (port < 0 || port > 65535) {
                std::cerr << "gateway: the port is a number from 0 to 65535\n";
                return 2;
            }
            options.port = static_cast<std::uint16_t>(port);
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
            const long port = first == last ? 0 : std::strtol(text.c_str() + last + 1, nullptr, 10);
            if (port <= 0 || port > 65535) {
                std::cerr << "gateway: a service is NAME:PROTOCOL:PORT\n";
                return 2;
            }
            services.push_back(
                {text.substr(0, first), text.substr(first + 1, last - first - 1), static_cast<std::uint16_t>(port)});
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
        for (const service& item : services) server.add_service(item.name, item.protocol, item.port);
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
