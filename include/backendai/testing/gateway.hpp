/// @file
/// The embedded gateway: a small real Backend.AI server in a header, for tests and for trying programs out.
///
/// It is an emulator. It listens on the loopback interface only, and runs the code that it is given as the user who
/// started it, with that user's rights: keep its keys to yourself on a machine that others use.
#ifndef BACKENDAI_TESTING_GATEWAY_HPP
#define BACKENDAI_TESTING_GATEWAY_HPP

#include <backendai/testing/gateway_auth.hpp>
#include <backendai/testing/gateway_events.hpp>
#include <backendai/testing/gateway_faults.hpp>
#include <backendai/testing/gateway_files.hpp>
#include <backendai/testing/gateway_folders.hpp>
#include <backendai/testing/gateway_folders_modern.hpp>
#include <backendai/testing/gateway_graphql.hpp>
#include <backendai/testing/gateway_graphql_modern.hpp>
#include <backendai/testing/gateway_kernel_routes.hpp>
#include <backendai/testing/gateway_keypairs.hpp>
#include <backendai/testing/gateway_login.hpp>
#include <backendai/testing/gateway_parameters.hpp>
#include <backendai/testing/gateway_protocol.hpp>
#include <backendai/testing/gateway_router.hpp>
#include <backendai/testing/gateway_server.hpp>
#include <backendai/testing/gateway_session_routes.hpp>
#include <backendai/testing/gateway_sessions.hpp>
#include <backendai/testing/gateway_storage.hpp>
#include <backendai/testing/gateway_streams.hpp>
#include <backendai/testing/gateway_types.hpp>
#include <backendai/version.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {

/// Speaks API v4.20190315, or what gateway_options::protocol says. Starts when it is made, and stops when it is
/// destroyed: connections are closed, interpreters killed, threads joined, folders removed. All functions may be called
/// from several threads at once.
class gateway {
public:
    /// @throws std::system_error when the port is taken; std::invalid_argument for an unknown protocol.
    explicit gateway(gateway_options options = {})
        : options_(std::move(options)),
          protocol_(detail::find_protocol(options_.protocol)),
          keypairs_(options_),
          authenticator_(options_, keypairs_),
          sessions_(options_),
          kernels_(options_, sessions_, frozen_),
          modern_sessions_(options_, sessions_, keypairs_, frozen_),
          kernel_files_(options_, sessions_, file_lie_),
          folders_(make_folders()),
          graphql_(make_graphql()) {
        add_routes();
        server_ = std::make_unique<detail::http_server>(
            options_, [this](const http_call& call) { return handle(call); },
            [this](const http_call* call) { return early_fault(call); });
        sessions_.set_endpoint("http://127.0.0.1:" + std::to_string(port()));
        sweeper_ = std::thread([this] { sweep_loop(); });
    }
    gateway(const gateway&) = delete;
    gateway& operator=(const gateway&) = delete;
    ~gateway() {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            stopping_ = true;
        }
        stopped_.notify_all();
        sweeper_.join();
        sessions_.close(); // first, so that calls which wait for code return
        events_.hub().close();
        server_->stop();
        if (storage_server_) storage_server_->stop();
    }

    /// "http://127.0.0.1:PORT" and the path prefix: what a client takes for its endpoint.
    std::string endpoint() const { return "http://127.0.0.1:" + std::to_string(port()) + options_.path_prefix; }
    std::uint16_t port() const { return server_->port(); }
    const std::string& access_key() const { return options_.access_key; }
    const std::string& secret_key() const { return options_.secret_key; }

    /// Scripts a fault for requests to come. Returns its number for fault_uses().
    std::size_t inject(fault item) { return faults_.add(std::move(item)); }
    int fault_uses(std::size_t number) const { return faults_.uses(number); }
    void clear_faults() { faults_.clear(); }
    /// From now on answers to downloads lie so.
    void lie_about_files(file_lie lie) { file_lie_ = lie; }

    /// How many whole requests of a method have come for a path (without prefix and query), refused ones included.
    std::size_t received(const std::string& method, const std::string& path) const {
        return count(received_, method, path);
    }
    /// How many of them have reached their handler, and so may have run code or made something.
    std::size_t served(const std::string& method, const std::string& path) const {
        return count(served_, method, path);
    }
    /// All whole requests.
    std::size_t received() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        std::size_t sum = 0;
        for (const auto& entry : received_) sum += entry.second;
        return sum;
    }
    /// From now on the storage proxy lies so, @p times times; -1: for ever.
    void lie_about_storage(storage_lie kind, int times = -1) { storage_.lie(kind, times); }
    /// Bytes of files that uploads have brought to the storage proxy, whatever became of them.
    std::uint64_t storage_received() const { return storage_.received_bytes(); }
    /// Bytes of files that the storage proxy has begun to send.
    std::uint64_t storage_sent() const { return storage_.sent_bytes(); }
    std::size_t open_uploads() const { return storage_.open_uploads(); } ///< those that are not whole yet
    void expire_storage_tokens() { storage_.expire_tokens(); }           ///< those given out until now
    /// "http://127.0.0.1:PORT", an origin of its own. It is there from the first token on.
    std::string storage_origin() {
        const std::lock_guard<std::mutex> lock(storage_mutex_);
        if (!storage_server_) {
            storage_options_ = options_;
            storage_options_.port = 0;
            storage_server_ = std::make_unique<detail::http_server>(
                storage_options_, [this](const http_call& call) { return handle(call); },
                [this](const http_call* call) { return call == nullptr ? nullptr : early_fault(call); });
            storage_host_ = "127.0.0.1:" + std::to_string(storage_server_->port());
        }
        return "http://" + storage_host_;
    }
    /// Ends the event streams that are open: as a server does in good order, or by breaking the connection.
    void end_event_streams(bool in_order) {
        events_.hub().end_streams(in_order ? detail::event_hub::end::orderly : detail::event_hub::end::broken);
    }
    std::size_t event_listeners() const { return events_.listeners(); } ///< event streams that are open now
    std::size_t logins() const { return webserver_.logins(); }          ///< who is logged in at the webserver now
    std::size_t connections() const { return server_->connections(); }  ///< accepted until now
    std::size_t live_sessions() const { return sessions_.live(); }
    std::size_t peak_sessions() const { return sessions_.peak(); }
    std::size_t created_sessions() const { return sessions_.created(); }
    /// A port of this machine as a service of every session, for tunnels. @param protocol "http" or "tcp"
    void add_service(const std::string& name, const std::string& protocol, std::uint16_t port) {
        streams_.services().add(name, protocol, port);
    }
    std::size_t open_streams() const { return streams_.open_streams(); } ///< websockets that are open now
    /// Ends sessions that are over the idle limit by the options' clock; also done on every request, and four times a
    /// second.
    void sweep() { sessions_.sweep(); }

    /// Answers one request without a connection, as the server does with one. A fault that only a connection can show
    /// is handed over in http_reply::wire_fault.
    http_reply handle(const http_call& call) {
        const std::string path = path_of(call);
        note(received_, call.method, path);
        if (options_.on_request) options_.on_request(call);
        sessions_.sweep();
        const std::shared_ptr<const fault> wrong = faults_.take(false, call.method, path);
        if (wrong && wrong->kind == fault_kind::status) return detail::status_reply(*wrong);
        http_reply reply;
        if (!wrong || !detail::keeps_from_handler(wrong->kind)) {
            if (wrong && wrong->kind == fault_kind::delay) pause(wrong->interval);
            const bool clock_is_wrong = wrong && wrong->kind == fault_kind::clock_skew;
            if (is_for_storage(call)) {
                reply = answer_of(storage_router_, call, path);
            } else if (detail::webserver::is_for_manager(path)) {
                reply = answer_behind_webserver(call, path);
            } else {
                reply = answer(call, path, clock_is_wrong);
            }
        }
        if (wrong && wrong->kind == fault_kind::garbage_body) {
            reply.headers = {{"Content-Type", "application/json"}};
            reply.body = "{\"result\": \x01 nothing";
            if (reply.status == 204) reply.status = 200;
        }
        if (wrong && !detail::is_whole_answer(wrong->kind)) reply.wire_fault = wrong;
        return reply;
    }

private:
    using counters = std::map<std::pair<std::string, std::string>, std::size_t>;

    void add_routes() {
        storage_.add_to(storage_router_);
        webserver_.add_to(router_);
        if (protocol_.is_modern) {
            storage_routes_.add_to(router_);
            events_.add_to(router_, "/events/session");
            modern_sessions_.service_ports = [this] { return streams_.services().list(); };
            modern_sessions_.add_to(router_);
            kernels_.add_generated_files(router_);
        } else {
            kernels_.service_ports = [this] { return streams_.services().list(); };
            kernels_.add_to(router_);
        }
        sessions_.on_event = [this](const char* event, const detail::session_entry& entry, const char* reason) {
            detail::lifecycle_event what;
            what.name = event;
            what.session_name = entry.name();
            what.session_id = protocol_.is_modern ? entry.id : entry.request.token;
            what.owner = protocol_.is_modern ? entry.request.owner : options_.access_key;
            what.reason = reason;
            events_.hub().publish(std::move(what));
        };
        streams_.add_to(router_);
        graphql_->service_ports = [this] { return streams_.services().list(); };
        kernel_files_.add_to(router_);
        folders_->add_to(router_);
        graphql_->add_to(router_);
        router_.add("GET", "/", false, [this](const gateway_request&) {
            return json_reply(
                {{"version", protocol_.version}, {"manager", std::string(protocol_.manager) + " (embedded gateway)"}});
        });
        add_common_routes();
    }

    std::unique_ptr<detail::folder_routes> make_folders() {
        if (!protocol_.is_modern) return std::make_unique<detail::folder_routes>(options_, sessions_, file_lie_);
        return std::make_unique<detail::modern_folder_routes>(options_, sessions_, file_lie_, keypairs_, frozen_);
    }
    std::unique_ptr<detail::graphql_routes> make_graphql() {
        const auto folders = [this](const std::string& access_key) { return folders_->owned_by(access_key); };
        if (!protocol_.is_modern)
            return std::make_unique<detail::graphql_routes>(options_, sessions_, keypairs_, frozen_, folders);
        return std::make_unique<detail::modern_graphql_routes>(options_, sessions_, keypairs_, frozen_, folders);
    }

    void add_common_routes() {
        const auto echo = [this](const gateway_request& request) {
            if (protocol_.is_modern) {
                detail::parameters given(request);
                const std::string text = given.required_text({"echo"});
                given.finish();
                return json_reply({{"authorized", "yes"}, {"echo", text}});
            }
            const nlohmann::json body = request.json();
            const auto found = body.find("echo");
            if (found == body.end() || !found->is_string()) throw invalid_parameters("echo: is required");
            return json_reply({{"authorized", "yes"}, {"echo", *found}});
        };
        router_.add("GET", "/auth/test", true, echo);
        router_.add("POST", "/auth/test", true, echo);
        if (protocol_.is_modern) {
            router_.add("GET", "/auth", true, echo);
            router_.add("POST", "/auth", true, echo);
            router_.add("GET", "/auth/role", true, [this](const gateway_request& request) {
                const auto caller = keypairs_.find(detail::access_key_of(request.call));
                const bool is_admin = caller && caller->is_admin;
                return json_reply({{"global_role", is_admin ? "superadmin" : "user"},
                                   {"domain_role", is_admin ? "admin" : "user"},
                                   {"group_role", nullptr}});
            });
        }
        router_.add("GET", "/manager/status", false,
                    [this](const gateway_request& request) { return tell_status(request); });
        router_.add("PUT", "/manager/status", true,
                    [this](const gateway_request& request) { return set_status(request); });
    }

    http_reply tell_status(const gateway_request& request) const {
        nlohmann::json answer = {{"status", frozen_ ? "frozen" : "running"}, {"active_sessions", sessions_.live()}};
        if (protocol_.is_modern) {
            const std::string* header = find_header(request.call.headers, "X-BackendAI-Version");
            const std::string version = header != nullptr ? *header : std::string(protocol_.version);
            const std::size_t dot = version.find('.');
            answer["nodes"] = {{{"id", "i-gateway"},
                                {"num_proc", 1},
                                {"service_addr", "127.0.0.1:" + std::to_string(port())},
                                {"heartbeat_timeout", 40.0},
                                {"ssl_enabled", false},
                                {"active_sessions", sessions_.live()},
                                {"status", answer["status"]},
                                {"version", protocol_.manager},
                                {"api_version", {std::stoi(version.substr(1, dot - 1)), version.substr(dot + 1)}}}};
        }
        return json_reply(answer);
    }

    http_reply set_status(const gateway_request& request) {
        const auto caller = keypairs_.find(detail::access_key_of(request.call));
        if (!caller || !caller->is_admin)
            throw authorization_failed(protocol_.is_modern ? "Unauthorized access" : "Admin privilege required");
        if (protocol_.is_modern) return set_modern_status(request);
        const nlohmann::json body = request.json();
        const std::string status = detail::text_member(body, "status");
        if (status != "frozen" && status != "running") throw invalid_parameters("status: must be running or frozen");
        const auto force = body.find("force_kill");
        if (force != body.end() && !force->is_boolean()) throw invalid_parameters("force_kill: value is not a bool");
        frozen_ = status == "frozen";
        if (frozen_ && force != body.end() && force->get<bool>()) sessions_.destroy_all();
        return empty_reply();
    }

    http_reply set_modern_status(const gateway_request& request) {
        detail::parameters given(request);
        const bool is_given = given.find({"status"}) != nullptr;
        const std::string status = given.required_text({"status"});
        if (is_given && status != "frozen" && status != "running")
            given.wrong("status", "value is not a valid member of ManagerStatus");
        const bool force = given.boolean({"force_kill"}, false);
        given.finish();
        frozen_ = status == "frozen";
        if (frozen_ && force) sessions_.destroy_all();
        return empty_reply();
    }

    bool is_for_storage(const http_call& call) const {
        const std::string* host = find_header(call.headers, "Host");
        const std::lock_guard<std::mutex> lock(storage_mutex_);
        return host != nullptr && !storage_host_.empty() && *host == storage_host_;
    }

    // Of a table whose endpoints need no authorization. What it does not know is answered in plain text.
    http_reply answer_of(const router& table, const http_call& call, const std::string& path) {
        try {
            const router::match match = table.find(call.method, path);
            if (match.found == nullptr) {
                http_reply reply;
                reply.status = match.allowed.empty() ? 404 : 405;
                reply.headers = {{"Content-Type", "text/plain; charset=utf-8"}};
                if (!match.allowed.empty()) reply.headers.emplace_back("Allow", match.allowed);
                reply.body = std::to_string(reply.status) + ": " + reason_of(reply.status);
                return reply;
            }
            note(served_, call.method, path);
            return match.found->handle({call, match.arguments, query_of(call)});
        } catch (const problem& error) {
            return error.reply();
        } catch (const std::exception&) {
            return problem(500, "internal-server-error", "Internal server error.").reply();
        }
    }
    static codec::query_list query_of(const http_call& call) {
        const std::size_t question = call.target.find('?');
        return codec::parse_query(question == std::string::npos ? std::string_view()
                                                                : std::string_view(call.target).substr(question + 1));
    }

    http_reply answer_behind_webserver(const http_call& call, const std::string& path) {
        const std::string inner_path = path.substr(5);
        const router::match match = router_.find(call.method, inner_path);
        if (match.found != nullptr && match.found->needs_authorization && !webserver_.is_logged_in(call))
            return detail::webserver::unauthorized();
        http_reply reply = answer(webserver_.hand_on(call), inner_path, false, true);
        // It does not pass on why the manager refuses a websocket.
        if (find_header(call.headers, "Upgrade") != nullptr && reply.status != 101)
            return problem(502, "bad-gateway", "The proxy target server is inaccessible.").reply();
        return reply;
    }

    http_reply answer(const http_call& call, const std::string& path, bool clock_is_wrong, bool is_trusted = false) {
        try {
            check_version(call);
            const router::match match = router_.find(call.method, path);
            if (match.found == nullptr) {
                if (protocol_.is_modern) return refuse_route(path, match.allowed.empty());
                if (match.allowed.empty()) throw problem(404, "generic-not-found", "Unknown URL path.");
                http_reply reply = problem(405, "method-not-allowed", "HTTP Method Not Allowed.").reply();
                reply.headers.emplace_back("Allow", match.allowed);
                return reply;
            }
            if (clock_is_wrong) authenticator_.check(call, std::chrono::minutes(60));
            if (match.found->needs_authorization) {
                if (!is_trusted) authenticator_.check(call);
                keypairs_.note_use(detail::access_key_of(call), options_.clock());
            }
            if (match.found->needs_authorization) count_for_limit();
            note(served_, call.method, path);
            http_reply reply = match.found->handle({call, match.arguments, query_of(call)});
            const bool is_stream = reply.upgrade || reply.stream;
            if (match.found->needs_authorization && !(protocol_.is_modern && is_stream)) {
                add_limit_headers(reply);
            } else if (protocol_.is_modern && !is_stream) {
                add_open_limit_headers(reply);
            }
            return reply;
        } catch (const problem& error) {
            return error.reply(protocol_.is_modern);
        } catch (const std::exception&) {
            // Told to the client, as a server does; what it was stays out of the answer.
            return problem(500, "internal-server-error", "Internal server error.").reply();
        }
    }

    // A wrong method on a path that there is makes those servers fail.
    static http_reply refuse_route(const std::string& path, bool is_unknown) {
        if (is_unknown) return problem(404, "url-not-found", "Unknown URL path.", {{"data", path}}).reply(true);
        http_reply reply;
        reply.status = 500;
        reply.headers = {{"Content-Type", "text/plain; charset=utf-8"}};
        reply.body = "500 Internal Server Error\n\nServer got itself in trouble";
        return reply;
    }

    void check_version(const http_call& call) const {
        const std::string* version = find_header(call.headers, "X-BackendAI-Version");
        if (version == nullptr) version = find_header(call.headers, "X-Sorna-Version");
        if (version == nullptr) return;
        const bool is_known = detail::accepts_version(protocol_, *version);
        if (!is_known) throw problem(400, "generic-bad-request", "Unsupported API version.");
    }

    // A window that begins anew every 15 minutes.
    void count_for_limit() {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto now = options_.clock();
        if (now - window_begin_ >= std::chrono::seconds(900)) {
            window_begin_ = now;
            in_window_ = 0;
        }
        if (in_window_ >= options_.rate_limit) {
            throw problem(429, "rate-limit-exceeded", "You have reached your API query rate limit.");
        }
        ++in_window_;
    }
    void add_limit_headers(http_reply& reply) {
        const std::lock_guard<std::mutex> lock(mutex_);
        reply.headers.emplace_back("X-RateLimit-Limit", std::to_string(options_.rate_limit));
        reply.headers.emplace_back("X-RateLimit-Remaining", std::to_string(options_.rate_limit - in_window_));
        reply.headers.emplace_back("X-RateLimit-Window", "900");
    }

    static void add_open_limit_headers(http_reply& reply) {
        reply.headers.emplace_back("X-RateLimit-Limit", "1000");
        reply.headers.emplace_back("X-RateLimit-Remaining", "1000");
        reply.headers.emplace_back("X-RateLimit-Window", "900");
    }

    std::shared_ptr<const fault> early_fault(const http_call* call) {
        if (call == nullptr) return faults_.take(true, {}, {});
        return faults_.take_early(call->method, path_of(*call));
    }

    std::string path_of(const http_call& call) const {
        std::string_view path = std::string_view(call.target).substr(0, call.target.find('?'));
        if (is_for_storage(call)) return std::string(path);
        const std::string& prefix = options_.path_prefix;
        if (prefix.empty()) return std::string(path);
        if (path.substr(0, prefix.size()) != prefix) return "//outside"; // matches no route
        path.remove_prefix(prefix.size());
        return path.empty() ? "/" : std::string(path);
    }

    void note(counters& table, const std::string& method, const std::string& path) {
        const std::lock_guard<std::mutex> lock(mutex_);
        ++table[{method, path}];
    }
    std::size_t count(const counters& table, const std::string& method, const std::string& path) const {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = table.find({method, path});
        return found == table.end() ? 0 : found->second;
    }

    void pause(std::chrono::milliseconds time) {
        std::unique_lock<std::mutex> lock(mutex_);
        stopped_.wait_for(lock, time, [this] { return stopping_; });
    }
    void sweep_loop() {
        std::unique_lock<std::mutex> lock(mutex_);
        while (!stopped_.wait_for(lock, std::chrono::milliseconds(250), [this] { return stopping_; })) {
            lock.unlock();
            sessions_.sweep();
            lock.lock();
        }
    }

    const gateway_options options_;
    const detail::gateway_protocol& protocol_;
    detail::keypair_store keypairs_;
    authenticator authenticator_;
    detail::session_table sessions_;
    std::atomic<bool> frozen_{false};
    std::atomic<file_lie> file_lie_{file_lie::none};
    detail::kernel_routes kernels_; // of 19.03
    detail::session_routes modern_sessions_;
    detail::kernel_file_routes kernel_files_;
    std::unique_ptr<detail::folder_routes> folders_;
    std::unique_ptr<detail::graphql_routes> graphql_;
    router router_;
    fault_list faults_;
    detail::event_routes events_{options_, protocol_.is_modern, [this](const std::string& access_key) {
                                     const auto caller = keypairs_.find(access_key);
                                     return caller && caller->is_admin;
                                 }};
    detail::webserver webserver_{options_, keypairs_};
    detail::storage_proxy storage_{options_, faults_, sessions_.root() / "uploads"};
    detail::storage_routes storage_routes_{
        options_, storage_,
        [this](const std::string& user, const std::string& name, const char* permission) {
            return folders_->place_of(user, name, permission);
        },
        [this] { return options_.storage_url.empty() ? storage_origin() : options_.storage_url; }};
    router storage_router_;
    mutable std::mutex storage_mutex_;
    gateway_options storage_options_;
    std::string storage_host_;
    detail::stream_routes streams_{options_, sessions_, faults_};
    mutable std::mutex mutex_;
    std::condition_variable stopped_;
    bool stopping_ = false;
    counters received_, served_;
    std::chrono::system_clock::time_point window_begin_{};
    std::int64_t in_window_ = 0;
    std::unique_ptr<detail::http_server> server_, storage_server_;
    std::thread sweeper_;
};

} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
