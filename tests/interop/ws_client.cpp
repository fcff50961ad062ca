// A small websocket client made of the SDK, for peers that are not.
//
//   ws_client cases [curl]         reads "PORT MAX_FRAME MAX_MESSAGE" lines, echoes on ws://127.0.0.1:PORT/ until the
//                                  end, and prints how it ended: "closed CODE" or "error KIND"
//   ws_client echo URL [OPTION...] opens URL as a signed request, sends what comes on stdin line by line, prints the
//                                  answers, and at the end says goodbye
//   ws_client get URL [OPTION...]  sends one signed GET, and prints the status and the answer
//   options: --ca FILE, --insecure, --proxy URL (else the environment's), --protocol NAME, --ping MILLISECONDS,
//            --binary, --curl
//
// Connections are those of httplib_transport or, by `curl`, of curl_transport; exit status 77 when that was not built.
#include <backendai.hpp>

#include <cstring>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

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

// Connects as the transports do.
std::unique_ptr<os::byte_stream> connect(const codec::url& url, const exchange_context& context, bool by_curl) {
#ifdef BACKENDAI_USE_CURL
    if (by_curl) {
        api_config config;
        return std::make_unique<detail::curl_stream<>>(config, url, std::nullopt, std::vector<std::string>{url.host},
                                                       context);
    }
#else
    (void)by_curl;
#endif
    return os::tcp_stream<>::connect(url.host, url.port, context);
}

int run_cases(bool by_curl) {
    const auto keeper = std::make_shared<detail::websocket_keeper<>>();
    unsigned port = 0;
    websocket_options options;
    while (std::cin >> port >> options.limits.max_frame_size >> options.limits.max_message_size) {
        try {
            http_request request;
            request.url = codec::parse_url("http://127.0.0.1:" + std::to_string(port) + "/");
            const exchange_context context;
            websocket_opening opening =
                detail::shake_hands(connect(request.url, context, by_curl), request, options, context, keeper);
            std::cout << (opening.stream ? echo_until_end(*opening.stream) : "refused") << std::endl;
        } catch (const client_error& e) {
            std::cout << "error " << to_string(e.kind()) << std::endl;
        }
    }
    return 0;
}

struct arguments {
    api_config config;
    codec::url url;
    std::string protocol;
    bool binary = false, curl = false;
};

arguments read_arguments(int count, char** words) {
    arguments given;
    api_config& config = given.config;
    config.access_key = "key";
    config.secret_key = "secret";
    config.version = "v4.20190315";
    config.connect_timeout = std::chrono::seconds(10);
    config.read_timeout = std::chrono::seconds(10);
    config.retry.max_attempts = 1;
    given.url = codec::parse_url(words[2]);
    config.endpoint = given.url.origin();
    for (int i = 3; i < count; ++i) {
        const std::string option = words[i];
        const auto value = [&] { return std::string(++i < count ? words[i] : ""); };
        if (option == "--ca") config.ca_file = value();
        if (option == "--insecure") config.skip_sslcert_validation = true;
        if (option == "--proxy") config.proxy = value();
        if (option == "--protocol") given.protocol = value();
        if (option == "--ping") config.websocket_ping_interval = std::chrono::milliseconds(std::stoi(value()));
        if (option == "--binary") given.binary = true;
        if (option == "--curl") given.curl = true;
    }
    return given;
}

template <class Transport>
void echo(const arguments& given) {
    basic_session<Transport, blocking> here(given.config);
    request opening(here, "GET", given.url.target());
    if (!given.protocol.empty()) opening.set_header("Sec-WebSocket-Protocol", given.protocol);
    const auto stream = opening.connect_websocket();
    std::cout << "open " << stream->protocol() << std::endl;
    std::string line;
    while (std::getline(std::cin, line)) {
        if (given.binary) {
            stream->send_binary(line);
        } else {
            stream->send_text(line);
        }
        const stream_message answer = stream->receive();
        if (answer.is_closed()) {
            std::cout << "closed " << answer.code << ' ' << answer.data << std::endl;
            return;
        }
        std::cout << (answer.is_text() ? "text " : "binary ") << answer.data << std::endl;
    }
    stream->close();
    std::cout << "closed " << stream->receive().code << std::endl;
}

template <class Transport>
void get(const arguments& given) {
    basic_session<Transport, blocking> here(given.config);
    const response answer = request(here, "GET", given.url.target()).fetch();
    std::cout << answer.status() << ' ' << answer.text() << std::endl;
}

int run(bool is_get, const arguments& given) {
    try {
        if (given.curl) {
#ifdef BACKENDAI_USE_CURL
            is_get ? get<curl_transport>(given) : echo<curl_transport>(given);
#else
            return 77;
#endif
        } else {
            is_get ? get<httplib_transport>(given) : echo<httplib_transport>(given);
        }
    } catch (const error& e) {
        std::cout << e.what() << std::endl;
        return 1;
    }
    return 0;
}

} // namespace

int main(int count, char** words) {
    const std::string what = count >= 2 ? words[1] : "";
    if (what == "cases") {
        const bool by_curl = count >= 3 && std::strcmp(words[2], "curl") == 0;
#ifndef BACKENDAI_USE_CURL
        if (by_curl) return 77;
#endif
        return run_cases(by_curl);
    }
    if (count >= 3 && (what == "echo" || what == "get")) return run(what == "get", read_arguments(count, words));
    std::cerr << "usage: ws_client cases [curl] | echo URL [OPTION...] | get URL [OPTION...]\n";
    return 2;
}
