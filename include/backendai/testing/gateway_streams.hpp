/// @file
/// The embedded gateway's websocket endpoints: runs, terminals, and connections to services.
#ifndef BACKENDAI_TESTING_GATEWAY_STREAMS_HPP
#define BACKENDAI_TESTING_GATEWAY_STREAMS_HPP

#include <backendai/codec/base64.hpp>
#include <backendai/codec/websocket_handshake.hpp>
#include <backendai/os/read_buffer.hpp>
#include <backendai/testing/gateway_auth.hpp>
#include <backendai/testing/gateway_faults.hpp>
#include <backendai/testing/gateway_kernel_routes.hpp>
#include <backendai/testing/gateway_parameters.hpp>
#include <backendai/testing/gateway_protocol.hpp>
#include <backendai/testing/gateway_pty.hpp>
#include <backendai/testing/gateway_router.hpp>
#include <backendai/testing/gateway_services.hpp>
#include <backendai/testing/gateway_sessions.hpp>
#include <backendai/testing/gateway_websocket.hpp>
#include <backendai/version.hpp>

#include <nlohmann/json.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// Handlers of /stream/kernel. Thread-safe.
class stream_routes {
public:
    stream_routes(const gateway_options& options, session_table& sessions, fault_list& faults)
        : options_(options), protocol_(find_protocol(options.protocol)), sessions_(sessions), faults_(faults) {}

    void add_to(router& table) {
        const auto add = [&](const std::string& path, void (stream_routes::*serve)(server_websocket&, const peer&)) {
            table.add("GET", path, true,
                      [this, serve](const gateway_request& request) { return open(request, serve); });
        };
        const std::string base = protocol_.is_modern ? "/stream/session/{}" : "/stream/kernel/{}";
        add(base + "/execute", &stream_routes::execute);
        add(base + "/pty", &stream_routes::terminal);
        add(base + "/httpproxy", &stream_routes::proxy);
        add(base + "/tcpproxy", &stream_routes::proxy);
    }

    service_table& services() { return services_; }
    std::size_t open_streams() const { return open_; }

private:
    struct peer {
        std::string session;
        std::string app;
    };
    using serve_function = void (stream_routes::*)(server_websocket&, const peer&);

    http_reply open(const gateway_request& request, serve_function serve) {
        peer who;
        who.session = sessions_.key_of(request.arguments[0], access_key_of(request.call));
        sessions_.find(who.session); // 404 while it can still be told so
        services_.keep_only(sessions_.tokens());
        for (const auto& item : request.query) {
            if (item.first == "app" || (protocol_.is_modern && item.first == "service")) who.app = item.second;
        }
        if (serve == &stream_routes::proxy) {
            check_app(request, who.app);
        }
        const codec::websocket_server_answer answer =
            codec::websocket_answer(request.call.method, request.call.headers);
        http_reply reply;
        reply.status = answer.status;
        reply.reason = answer.reason;
        for (const auto& field : answer.headers) {
            const bool is_connections =
                field.first == "Content-Length" || (!answer.accepted() && field.first == "Connection");
            if (!is_connections) reply.headers.push_back(field);
        }
        if (!answer.accepted()) return reply;
        const std::string path =
            request.call.target.substr(0, request.call.target.find('?')).substr(options_.path_prefix.size());
        reply.upgrade = [this, who, serve, wrong = faults_.take_websocket(request.call.method, path)](
                            os::tcp_socket& socket, std::string rest) {
            ++open_;
            server_websocket stream(socket, std::move(rest), wrong);
            try {
                (this->*serve)(stream, who);
            } catch (const scripted_end&) {
                // As the script wants it.
            } catch (const std::system_error&) {
                // The client is gone, which makes this harmless; or what it wanted cannot be started.
                stream.close_nowait(is_gone(who.session) ? codec::websocket_close::going_away
                                                         : codec::websocket_close::internal_error);
            } catch (const problem& reason) {
                stream.close(codec::websocket_close::going_away, reason.what()); // the session ended meanwhile
            }
            --open_;
        };
        return reply;
    }

    void check_app(const gateway_request& request, const std::string& app) const {
        if (protocol_.is_modern) {
            parameters given(request);
            given.required_text({"app", "service"}, "app");
            for (const char* key : {"envs", "arguments"}) given.text({key});
            // The text of the query is not taken for a number.
            if (given.find({"port"}) != nullptr) given.wrong("port", "value should be None");
            given.finish();
        }
        if (app.empty()) throw invalid_parameters("app: is required");
        for (const auto& item : services_.list()) {
            if (item["name"] == app) return;
        }
        throw problem(404, "app-not-found", "No such app service provided by the session.", nullptr,
                      protocol_.is_modern ? request.arguments[0] + ':' + app : std::string());
    }

    bool is_gone(const std::string& session) {
        try {
            sessions_.find(session);
            return false;
        } catch (const problem&) {
            return true;
        }
    }

    // --- runs --------------------------------------------------------------------------------------------------------

    void execute(server_websocket& stream, const peer& who) {
        std::string id;
        try {
            const auto first = stream.receive_for(options_.keep_alive);
            if (!first || first->is_closed) return;
            const auto session = sessions_.find(who.session);
            kernel& body = session->body();
            id = add_run(body, first->data);
            if (!run_to_end(stream, body, id)) abandon(body, id);
        } catch (const problem& wrong) {
            stream.send_text(nlohmann::json({{"status", "error"}, {"msg", wrong.what()}}).dump());
        }
        stream.close(codec::websocket_close::normal);
    }

    std::string add_run(kernel& body, const std::string& text) {
        const nlohmann::json command = nlohmann::json::parse(text, nullptr, false);
        if (!command.is_object()) throw invalid_parameters("the first message is not an object");
        const std::string mode = text_member(command, "mode");
        const nlohmann::json options = object_member(command, "options");
        run item;
        item.id = random_token(8);
        item.code = text_member(command, "code");
        if (mode == "batch") {
            item.is_batch = true;
            item.phase = 0;
            item.commands = {text_member(options, "clean"), text_member(options, "build"),
                             text_member(options, "exec")};
        } else if (mode != "query") {
            throw invalid_parameters("mode: must be one of query, batch");
        }
        const std::string id = item.id;
        body.add(std::move(item));
        return id;
    }

    // False when the client left before.
    bool run_to_end(server_websocket& stream, kernel& body, const std::string& id) {
        for (;;) {
            nlohmann::json result = body.step(id, std::chrono::milliseconds(100), true);
            const std::string status = result["status"];
            result.erase("runId");
            if (status != "continued" || !result["console"].empty()) {
                try {
                    stream.send_text(result.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
                } catch (...) {
                    if (status != "finished") abandon(body, id);
                    throw;
                }
            }
            if (status == "finished") return true;
            const bool waits = status == "waiting-input";
            std::optional<client_message> message;
            do {
                message = stream.receive_for(std::chrono::milliseconds(waits ? 200 : 0));
                if (message && message->is_closed) return false;
            } while (waits && !message && !is_gone_run(body));
            if (message) body.answer(id, message->data);
        }
    }
    static bool is_gone_run(kernel& body) { return body.is_gone(); }

    // The client left: its code is interrupted, and the end of it taken, so that the next run can begin.
    static void abandon(kernel& body, const std::string& id) {
        try {
            for (int i = 0; i < 20; ++i) {
                if (i == 0) body.interrupt(id); // the next run may have begun
                if (body.step(id, std::chrono::milliseconds(100))["status"] == "finished") return;
            }
        } catch (const problem&) {
            // The run is over already.
        }
    }

    // --- terminals ---------------------------------------------------------------------------------------------------

    void terminal(server_websocket& stream, const peer& who) {
        std::map<std::string, std::string> environment;
        std::string directory;
        {
            const auto session = sessions_.find(who.session);
            directory = session->body().directory().string();
            environment = session->body().environment();
        }
        auto shell = std::make_shared<pty_shell>(environment, directory);
        std::mutex mutex; // of the pointer: restart replaces the shell
        const auto present = [&] {
            const std::lock_guard<std::mutex> lock(mutex);
            return shell;
        };
        std::atomic<bool> is_over{false}, has_ended{false};
        std::thread output([&] {
            try {
                while (!is_over) {
                    const std::shared_ptr<pty_shell> source = present();
                    const std::optional<std::string> bytes = source->read_for(std::chrono::milliseconds(50));
                    if (!bytes && source == present()) break;
                    if (!bytes || bytes->empty()) continue;
                    stream.send_text(nlohmann::json({{"type", "out"}, {"data", codec::base64_encode(*bytes)}}).dump());
                }
            } catch (const std::system_error&) {
                // The client is gone, which the other thread sees too.
            } catch (const scripted_end&) {
                // As the script wants it.
            }
            has_ended = true;
        });
        while (!has_ended && !is_gone(who.session)) {
            const auto message = stream.receive_for(std::chrono::milliseconds(50));
            if (!message) continue;
            if (message->is_closed) break;
            const nlohmann::json command = nlohmann::json::parse(message->data, nullptr, false);
            const std::string type = command.is_object() ? command.value("type", "") : "";
            if (type == "stdin") {
                present()->write(decode(command.value("chars", "")));
            } else if (type == "resize") {
                present()->resize(command.value("rows", 24), command.value("cols", 80));
            } else if (type == "restart") {
                auto fresh = std::make_shared<pty_shell>(environment, directory);
                const std::lock_guard<std::mutex> lock(mutex);
                shell = std::move(fresh);
            }
        }
        is_over = true;
        output.join();
        stream.close(codec::websocket_close::normal);
    }

    static std::string decode(const std::string& text) {
        try {
            return codec::base64_decode(text);
        } catch (const codec::decode_error&) {
            return {}; // the official server drops it too
        }
    }

    // --- services ----------------------------------------------------------------------------------------------------

    void proxy(server_websocket& stream, const peer& who) {
        os::tcp_socket service;
        try {
            std::uint16_t port = 0;
            {
                const auto session = sessions_.find(who.session);
                port = services_.port_of(who.app, who.session, session->body().directory().string(),
                                         session->body().environment());
            }
            service = os::tcp_socket::connect_loopback(port);
        } catch (const std::system_error&) {
            stream.close(protocol_.is_modern ? codec::websocket_close::try_again_later
                                             : codec::websocket_close::bad_gateway,
                         "the service refused the connection");
            return;
        } catch (const problem&) {
            stream.close(codec::websocket_close::going_away, "the session is gone");
            return;
        }
        std::atomic<bool> has_ended{false};
        std::thread downward([&] {
            try {
                os::read_buffer buffer;
                while (const std::size_t count = service.read(buffer.data(), buffer.size())) {
                    buffer.note(count);
                    stream.send_binary({buffer.data(), count}, protocol_.service_message_size);
                    buffer.prepare();
                }
            } catch (const std::system_error&) {
                // Either side broke: the end of both.
            } catch (const scripted_end&) {
                // As the script wants it.
            }
            has_ended = true;
            stream.close_nowait(codec::websocket_close::normal);
        });
        try {
            for (int idle_after_end = 0; idle_after_end < 25;) {
                const auto message = stream.receive_for(std::chrono::milliseconds(200));
                if (!message) {
                    idle_after_end += has_ended ? 1 : 0;
                    if (!has_ended && is_gone(who.session)) stream.close_nowait(codec::websocket_close::going_away);
                    continue;
                }
                if (message->is_closed) break;
                if (!has_ended) service.write(message->data);
            }
        } catch (const std::system_error&) {
            stream.close_nowait(codec::websocket_close::normal);
        }
        service.shutdown();
        downward.join();
    }

    const gateway_options& options_;
    const gateway_protocol& protocol_;
    session_table& sessions_;
    fault_list& faults_;
    service_table services_;
    std::atomic<std::size_t> open_{0};
};

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
