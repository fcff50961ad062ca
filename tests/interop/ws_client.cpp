// A small websocket client made of the SDK, for peers that are not.
//
//   ws_client cases                reads "PORT MAX_FRAME MAX_MESSAGE" lines, echoes on ws://127.0.0.1:PORT/ until the
//   end,
//                                  and prints how it ended: "closed CODE" or "error KIND"
//   ws_client echo URL [OPTION...] opens URL as a signed request, sends what comes on stdin line by line, prints the
//                                  answers, and at the end says goodbye
//   options: --ca FILE, --insecure, --proxy URL, --protocol NAME, --ping MILLISECONDS, --binary
#include <backendai.hpp>

#include <cstring>
#include <iostream>
#include <string>

namespace {

using namespace backendai;

std::string echo_until_end(message_stream& stream) {
    for (;;) {
        const stream_message message = stream.receive();
        if (message.is_closed()) return "closed " + std::to_string(message.code);
        if (message.is_text()) {
            stream.send_text(message.data);
        } else {
            stream.send_binary(message.data);
        }
    }
}

int run_cases() {
    const auto keeper = std::make_shared<detail::websocket_keeper>();
    unsigned port = 0;
    websocket_options options;
    while (std::cin >> port >> options.limits.max_frame_size >> options.limits.max_message_size) {
        try {
            http_request request;
            request.url = codec::parse_url("http://127.0.0.1:" + std::to_string(port) + "/");
            const exchange_context context;
            websocket_opening opening =
                detail::shake_hands(os::tcp_stream::connect(request.url.host, request.url.port, context), request,
                                    options, context, keeper);
            std::cout << (opening.stream ? echo_until_end(*opening.stream) : "refused") << std::endl;
        } catch (const client_error& e) {
            std::cout << "error " << to_string(e.kind()) << std::endl;
        }
    }
    return 0;
}

int run_echo(int count, char** arguments) {
    api_config config;
    config.access_key = "key";
    config.secret_key = "secret";
    config.version = "v4.20190315";
    config.connect_timeout = std::chrono::seconds(10);
    config.read_timeout = std::chrono::seconds(10);
    config.retry.max_attempts = 1;
    const codec::url url = codec::parse_url(arguments[2]);
    config.endpoint = url.origin();
    std::string protocol;
    bool binary = false;
    for (int i = 3; i < count; ++i) {
        const std::string option = arguments[i];
        const auto value = [&] { return std::string(++i < count ? arguments[i] : ""); };
        if (option == "--ca") config.ca_file = value();
        if (option == "--insecure") config.skip_sslcert_validation = true;
        if (option == "--proxy") config.proxy = value();
        if (option == "--protocol") protocol = value();
        if (option == "--ping") config.websocket_ping_interval = std::chrono::milliseconds(std::stoi(value()));
        if (option == "--binary") binary = true;
    }
    try {
        session here(config);
        request opening(here, "GET", url.target());
        if (!protocol.empty()) opening.set_header("Sec-WebSocket-Protocol", protocol);
        const auto stream = opening.connect_websocket();
        std::cout << "open " << stream->protocol() << std::endl;
        std::string line;
        while (std::getline(std::cin, line)) {
            if (binary) {
                stream->send_binary(line);
            } else {
                stream->send_text(line);
            }
            const stream_message answer = stream->receive();
            if (answer.is_closed()) {
                std::cout << "closed " << answer.code << ' ' << answer.data << std::endl;
                return 0;
            }
            std::cout << (answer.is_text() ? "text " : "binary ") << answer.data << std::endl;
        }
        stream->close();
        std::cout << "closed " << stream->receive().code << std::endl;
    } catch (const error& e) {
        std::cout << e.what() << std::endl;
        return 1;
    }
    return 0;
}

} // namespace

int main(int count, char** arguments) {
    if (count >= 2 && std::strcmp(arguments[1], "cases") == 0) return run_cases();
    if (count >= 3 && std::strcmp(arguments[1], "echo") == 0) return run_echo(count, arguments);
    std::cerr << "usage: ws_client cases | echo URL [OPTION...]\n";
    return 2;
}
