#include "proxy_server.hpp"

#include "errors.hpp"
#include "proxy_websocket.hpp"

#include <backendai/codec/websocket_handshake.hpp>
#include <backendai/os/tcp_stream.hpp>
#include <backendai/os/thread.hpp>

#include <arpa/inet.h>
#include <cstdio>
#include <netinet/in.h>
#include <system_error>

namespace cli {
namespace {

namespace codec = backendai::codec;

constexpr std::size_t most_connections = 256;

// The first "/v4/" of a path is what web clients put there; the version goes in a header.
std::string without_version(std::string target) {
    std::size_t end = 2;
    while (end < target.size() && target[end] >= '0' && target[end] <= '9') ++end;
    if (target.compare(0, 2, "/v") == 0 && end > 2 && target.compare(end, 1, "/") == 0) target.erase(0, end);
    return target;
}

// Header fields that belong to one connection and not to the message.
bool is_of_connection(const std::string& name) {
    for (const char* each : {"Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade", "Trailer", "TE"}) {
        if (codec::equals_ignoring_case(name, each)) return true;
    }
    return false;
}

std::string head_text(int status, const std::string& reason, const backendai::header_list& fields,
                      const std::string& allow_origin) {
    std::string text = "HTTP/1.1 " + std::to_string(status) + ' ' + reason + "\r\n";
    for (const auto& field : fields) {
        if (!is_of_connection(field.first) && !codec::equals_ignoring_case(field.first, "Content-Length"))
            text += field.first + ": " + field.second + "\r\n";
    }
    if (!allow_origin.empty()) text += "Access-Control-Allow-Origin: " + allow_origin + "\r\n";
    return text;
}

// Requests are passed on once: to try again is for the client, which knows what it asked for.
server_view single_attempts(context& ctx) {
    backendai::call_options limits;
    limits.cancel = ctx.interrupts.token();
    limits.retry = backendai::retry_policy();
    limits.retry->max_attempts = 1;
    return ctx.server().with(limits);
}

// A Host field without its port, and an IPv6 address without its brackets.
std::string host_name(const std::string& host) {
    if (host.front() == '[') {
        const std::size_t end = host.find(']');
        const bool is_whole = end != std::string::npos && (end + 1 == host.size() || host[end + 1] == ':');
        return is_whole ? host.substr(1, end - 1) : std::string();
    }
    return host.substr(0, host.find(':'));
}

// By the address itself: "127.example.com" is a name that anybody may own.
bool is_loopback(const std::string& host) {
    in_addr v4{};
    in6_addr v6{};
    if (::inet_pton(AF_INET, host.c_str(), &v4) == 1) return ntohl(v4.s_addr) >> 24U == 127;
    if (::inet_pton(AF_INET6, host.c_str(), &v6) == 1) return IN6_IS_ADDR_LOOPBACK(&v6);
    return host == "localhost";
}

// Whether an address to listen on is of this machine only. As getaddrinfo reads it: "127.1" and "::ffff:127.0.0.1" are,
// too.
bool is_local(const std::string& address) {
    if (is_loopback(address)) return true;
    try {
        return backendai::os::detail::numeric_address(address, 0).is_loopback();
    } catch (const backendai::client_error&) {
        return false;
    }
}

// On the accepting thread, which must not wait for long. The request is taken, as closing over it would reset the
// connection, and with it the answer.
void refuse(backendai::os::tcp_socket& socket) {
    try {
        char ignored[16384];
        if (socket.wait_readable(std::chrono::milliseconds(5))) socket.read(ignored, sizeof ignored);
        client_connection(socket).answer(503, "Service Unavailable", "The proxy has too many connections.\n", false);
    } catch (const std::exception&) {
        // It is gone, or there is no memory for an answer.
    }
}

std::string chunk(std::string_view data) {
    char size[24];
    std::snprintf(size, sizeof size, "%zx\r\n", data.size());
    return size + std::string(data) + "\r\n";
}

} // namespace

proxy_server::proxy_server(context& ctx, const proxy_options& options)
    : ctx_(ctx), options_(options), server_(single_attempts(ctx)) {
    const std::string address = options.bind == "localhost" ? "127.0.0.1" : options.bind;
    backendai::os::tcp_listener listener = backendai::os::listen_on(address, options.port);
    listener_ = std::move(listener.socket);
    port_ = listener.port;
    acceptor_ = backendai::os::start_thread([this] { accept_loop(); });
}

proxy_server::~proxy_server() {
    stopping_ = true;
    acceptor_.join();
    for (connection& each : connections_) each.socket.shutdown();
    for (connection& each : connections_) each.thread.join();
}

void proxy_server::accept_loop() {
    while (!stopping_) {
        backendai::os::tcp_socket socket = listener_.accept(std::chrono::milliseconds(100));
        connections_.remove_if([](connection& each) {
            const bool is_done = each.is_done;
            if (is_done) each.thread.join();
            return is_done;
        });
        if (!socket.is_open()) continue;
        if (connections_.size() >= most_connections) {
            refuse(socket);
            continue;
        }
        const std::size_t before = connections_.size();
        try {
            connection& added = connections_.emplace_back();
            added.socket = std::move(socket);
            added.thread = backendai::os::start_thread([this, &added] {
                serve(added.socket);
                added.is_done = true;
            });
        } catch (const std::exception&) { // no more threads or memory now; later there may be
            if (connections_.size() == before) continue;
            refuse(connections_.back().socket);
            connections_.pop_back();
        }
    }
}

void proxy_server::serve(backendai::os::tcp_socket& socket) {
    client_connection client(socket);
    try {
        while (const auto request = client.next()) {
            if (!pass(client, *request)) break;
        }
    } catch (const bad_proxy_request& bad) {
        try {
            client.answer(bad.status, bad.reason, "The proxy cannot read this request.\n", false);
        } catch (const std::exception&) {
            // It is gone.
        }
    } catch (const std::exception&) {
        // The client is gone, or was told half an answer: all that is left is to close the connection.
    }
    socket.shutdown_writes();
    socket.shutdown();
}

// A web page of anywhere could otherwise have the browser run code with the user's keys.
bool proxy_server::is_allowed(const proxy_request& request) const {
    const std::string origin = request.field("Origin");
    const bool is_known = origin.empty() || options_.allow_origin == "*" || options_.allow_origin == origin;
    if (!is_known || !is_local(options_.bind)) return is_known;
    const std::string host = request.field("Host");
    return host.empty() || is_loopback(host_name(host));
}

bool proxy_server::pass(client_connection& client, const proxy_request& request) {
    if (!is_allowed(request)) {
        client.answer(403, "Forbidden", "The proxy takes no requests of other sites; see --allow-origin.\n", false);
        return false;
    }
    const std::string target = without_version(request.target);
    try {
        if (codec::list_has(request.fields, "Upgrade", "websocket")) {
            pass_websocket(client, request, target);
            return false;
        }
        return pass_http(client, request, target);
    } catch (const backendai::api_error& error) { // of a handshake
        client.answer(error.status(), error.reason(), error.body(), false);
    } catch (const backendai::client_error& error) {
        if (error.kind() == backendai::error_kind::cancelled) {
            client.answer(503, "Service Unavailable", "The proxy is being shut down.\n", false);
        } else {
            ctx_.notes.fail(request.method + ' ' + request.target + ": " + explain(error, ctx_.config()));
            client.answer(502, "Bad Gateway", "The proxy target server is inaccessible.\n", false);
        }
    }
    return false;
}

bool proxy_server::pass_http(client_connection& client, const proxy_request& request, const std::string& target) {
    backendai::request call(server_, request.method, target);
    const std::string type = request.field("Content-Type");
    if (const auto body = client.body(request)) {
        call.set_content(body, type.empty() ? "application/octet-stream" : type);
    }
    // Answers of success go on as they come, in chunks unless their length is known; the others are short.
    const bool keeps_alive = request.keeps_alive() && request.is_http_1_1;
    bool has_begun = false, in_chunks = false;
    try {
        const backendai::response answer = call.fetch(
            [&](const backendai::response_head& head) {
                const std::string* length = head.headers.find("Content-Length");
                const bool has_body = head.status != 204 && request.method != "HEAD";
                in_chunks = length == nullptr && request.is_http_1_1 && has_body;
                std::string text = head_text(head.status, head.reason, head.headers, options_.allow_origin);
                if (length != nullptr) text += "Content-Length: " + *length + "\r\n";
                if (in_chunks) text += "Transfer-Encoding: chunked\r\n";
                client.write(text + "Connection: " + (keeps_alive ? "keep-alive" : "close") + "\r\n\r\n");
                has_begun = true;
            },
            [&](std::string_view data) {
                if (!data.empty()) client.write(in_chunks ? chunk(data) : std::string(data));
            },
            backendai::check_status(false));
        if (!has_begun) {
            client.write(head_text(answer.status(), answer.reason(), answer.headers(), options_.allow_origin) +
                         "Content-Length: " + std::to_string(answer.text().size()) +
                         "\r\nConnection: " + (keeps_alive ? "keep-alive" : "close") + "\r\n\r\n" + answer.text());
        } else if (in_chunks) {
            client.write("0\r\n\r\n");
        }
    } catch (const backendai::error&) {
        if (!has_begun) throw;
        return false; // an answer that breaks off must look like one
    }
    return keeps_alive && client.is_body_done();
}

void proxy_server::pass_websocket(client_connection& client, const proxy_request& request, const std::string& target) {
    backendai::request call(server_, "GET", target);
    const std::vector<std::string> protocols = codec::list_members(request.fields, "Sec-WebSocket-Protocol");
    std::string offered;
    for (const std::string& protocol : protocols) offered += (offered.empty() ? "" : ", ") + protocol;
    if (!offered.empty()) call.set_header("Sec-WebSocket-Protocol", offered);
    codec::websocket_server_answer answer = codec::websocket_answer(request.method, request.fields);
    if (answer.status != 101) return client.write(answer.head());
    const std::unique_ptr<backendai::message_stream> stream = call.connect_websocket();
    if (!stream->protocol().empty()) answer.headers.emplace_back("Sec-WebSocket-Protocol", stream->protocol());
    client.write(answer.head());
    carry_websocket(client.socket(), client.take_rest(), *stream);
}

} // namespace cli
