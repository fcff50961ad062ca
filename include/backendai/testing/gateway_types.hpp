/// @file
/// What the parts of the embedded gateway hand to each other: calls, replies, options, and errors as RFC 7807 problems.
#ifndef BACKENDAI_TESTING_GATEWAY_TYPES_HPP
#define BACKENDAI_TESTING_GATEWAY_TYPES_HPP

#include <backendai/os/socket.hpp>
#include <backendai/version.hpp>

#include <nlohmann/json.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {

/// Header fields in the order of the wire; names in any case.
using header_list = std::vector<std::pair<std::string, std::string>>;

/// One request, whole.
struct http_call {
    std::string method; ///< upper case
    std::string target; ///< as on the request line: path with prefix, and query
    header_list headers;
    std::string body;
    /// The body of an upload that comes over a connection: up to so many bytes, 0 at the end. Null when the
    /// body is in `body`.
    std::function<std::size_t(char*, std::size_t)> stream = {};
    bool takes_stream = false; ///< whether the answer may be a stream
};

struct fault;

/// One answer, whole.
struct http_reply {
    int status = 200;
    std::string reason;  ///< empty = the usual one
    header_list headers; ///< without Content-Length and Connection, which belong to the connection
    std::string body;
    /// A body of unknown length in place of `body`, if http_call::takes_stream: up to so many bytes, 0 at the end.
    std::function<std::size_t(char*, std::size_t)> stream = {};
    std::optional<std::uint64_t> stream_length = {}; ///< of that body, when it is known before
    /// A scripted fault that only a connection can show (a drop, a wrong length ...): gateway::handle() leaves it to
    /// the caller to turn it into an error. Null on an honest answer.
    std::shared_ptr<const fault> wire_fault;
    /// Takes the connection over after the head has been sent (status 101), until it returns. The second argument holds
    /// bytes that came behind the request.
    std::function<void(os::tcp_socket&, std::string)> upgrade;
};

/// A user besides the one of gateway_options::access_key, to share virtual folders with.
struct gateway_user {
    std::string access_key, secret_key, email;
    std::string password = {}; ///< at the webserver; empty: no login
};

/// How an embedded gateway behaves. Every field has a default that suits tests.
struct gateway_options {
    std::string access_key = "AKIAIOSFODNN7EXAMPLE";
    std::string secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    std::string email = "user@example.com"; ///< of that key pair's user
    std::vector<gateway_user> other_users;
    /// Which generation of servers it acts as: v4.20190315 (19.03), or v6.20200815 to v9.20250722 (20.09 to 25.12).
    std::string protocol = "v4.20190315";
    std::string wsproxy_addr;              ///< what start-service tells; empty: no such proxy is configured
    std::string vfolder_encoding = "gzip"; ///< of virtual folder downloads: gzip, deflate (raw) or identity
    std::uint16_t port = 0;                ///< 0 = any free port; always on 127.0.0.1
    std::string path_prefix;               ///< such as "/api": what stands in front of every path
    std::string directory;                 ///< where session folders are made; empty = the system's temporary directory
    std::vector<std::string> images;       ///< names that may be created; empty = whatever an interpreter was found for
    std::vector<std::string> vfolders;     ///< folder names that a session may mount
    /// The wall clock, for date checks, ages and the idle limit. Called from several threads at once.
    std::function<std::chrono::system_clock::time_point()> clock = [] { return std::chrono::system_clock::now(); };
    std::chrono::milliseconds idle_timeout = std::chrono::minutes(30); ///< 0 = sessions live for ever
    std::chrono::milliseconds slice = std::chrono::seconds(2);         ///< how long one call to execute may take
    std::chrono::milliseconds start_timeout = std::chrono::seconds(30);
    std::chrono::milliseconds keep_alive = std::chrono::seconds(75);
    std::size_t max_sessions = 100;
    std::size_t max_connections = 1000;
    std::size_t max_head = 64 * 1024;
    std::size_t max_body = 64 * 1024 * 1024;
    std::size_t max_code = 1024 * 1024;
    std::size_t max_output = 1024 * 1024; ///< console bytes in one answer; a program that prints more waits
    std::int64_t rate_limit = 1000000;    ///< requests in 15 minutes
    // The webserver, for clients with endpoint_type "session": below /server and /func.
    std::string password = "gateway-password"; ///< of `email`
    std::string otp;                           ///< the one-time password that it wants besides; empty: none
    bool login_refused_by_status = false;      ///< 401 and other signs of servers from 26 on; else as in 23.03
    // The storage proxy.
    std::string storage_url;                   ///< what the manager calls it; empty: where it is
    bool storage_checks_offset = false;        ///< of uploads, as from 26.2 on
    std::chrono::milliseconds storage_pace{0}; ///< how long it rests after each 64 KiB
    // Events of compute sessions.
    bool event_ids = false;                                          ///< number them, and go on behind Last-Event-ID
    std::chrono::milliseconds event_ping = std::chrono::seconds(15); ///< between comments in a quiet stream
    /// Sees every whole request before it is answered, on the connection's thread; several at once.
    std::function<void(const http_call&)> on_request;
};

/// A header's value by its name in any case, or null.
inline const std::string* find_header(const header_list& headers, std::string_view name) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    for (const auto& field : headers) {
        if (field.first.size() != name.size()) continue;
        std::size_t i = 0;
        while (i < name.size() && lower(field.first[i]) == lower(name[i])) ++i;
        if (i == name.size()) return &field.second;
    }
    return nullptr;
}

/// The usual reason phrase of a status.
inline std::string reason_of(int status) {
    static const std::vector<std::pair<int, const char*>> reasons = {{100, "Continue"},
                                                                     {101, "Switching Protocols"},
                                                                     {200, "OK"},
                                                                     {201, "Created"},
                                                                     {204, "No Content"},
                                                                     {206, "Partial Content"},
                                                                     {301, "Moved Permanently"},
                                                                     {302, "Found"},
                                                                     {304, "Not Modified"},
                                                                     {400, "Bad Request"},
                                                                     {401, "Unauthorized"},
                                                                     {403, "Forbidden"},
                                                                     {404, "Not Found"},
                                                                     {405, "Method Not Allowed"},
                                                                     {409, "Conflict"},
                                                                     {412, "Precondition Failed"},
                                                                     {413, "Payload Too Large"},
                                                                     {416, "Range Not Satisfiable"},
                                                                     {417, "Expectation Failed"},
                                                                     {429, "Too Many Requests"},
                                                                     {431, "Request Header Fields Too Large"},
                                                                     {500, "Internal Server Error"},
                                                                     {501, "Not Implemented"},
                                                                     {502, "Bad Gateway"},
                                                                     {503, "Service Unavailable"},
                                                                     {504, "Gateway Timeout"},
                                                                     {505, "HTTP Version Not Supported"}};
    for (const auto& item : reasons) {
        if (item.first == status) return item.second;
    }
    return "Unknown";
}

/// An error as the server tells it: thrown by handlers, answered as application/problem+json.
class problem : public std::runtime_error {
public:
    /// @param extra further members of the answer  @param detail part of the title on 19.03, `msg` later
    problem(int status, const std::string& type, const std::string& title, nlohmann::json extra = nullptr,
            const std::string& detail = {})
        : std::runtime_error(detail.empty() ? title : title + " (" + detail + ")"),
          status_(status),
          type_(type),
          title_(title),
          detail_(detail),
          extra_(std::move(extra)) {}

    /// @param is_modern in the form of 20.09 and later
    http_reply reply(bool is_modern = false) const {
        nlohmann::json body = {{"type", type_}, {"title", what()}};
        if (is_modern) {
            body["title"] = title_;
            if (!detail_.empty()) body["msg"] = detail_;
            rename(body);
        }
        body["type"] = "https://api.backend.ai/probs/" + body["type"].get<std::string>();
        if (extra_.is_object()) body.update(extra_);
        http_reply result;
        result.status = status_;
        result.headers = {{"Content-Type", "application/problem+json; charset=utf-8"}};
        result.body = body.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
        return result;
    }
    int status() const { return status_; }

private:
    // What 19.03 has a type of its own for.
    static void rename(nlohmann::json& body) {
        struct row {
            const char *old, *type, *title;
        };
        static const row rows[] = {
            {"generic-not-found", "url-not-found", "Unknown URL path."},
            {"kernel-not-found", "object-not-found", "No such session."},
            {"vfolder-not-found", "object-not-found", "No such virtual folder."},
            {"app-not-found", "object-not-found", "No such app service."},
            {"generic-bad-request", "generic-bad-request", "Bad request."},
            {"kernel-already-exists", "session-already-exists",
             "The session already exists but you requested not to reuse existing one."},
        };
        for (const row& each : rows) {
            if (body["type"] != each.old) continue;
            body["type"] = each.type;
            if (body["type"] == "generic-bad-request" && body["title"] != each.title) body["msg"] = body["title"];
            body["title"] = each.title;
            return;
        }
    }

    int status_;
    std::string type_, title_, detail_;
    nlohmann::json extra_;
};

inline problem invalid_parameters(const std::string& detail) {
    return {400, "invalid-api-params", "Missing or invalid API parameters.", nullptr, detail};
}
inline problem invalid_authorization(const std::string& detail) {
    return {400, "invalid-auth-params", "Missing or invalid authorization parameters.", nullptr, detail};
}
inline problem authorization_failed(const std::string& detail) {
    return {401, "auth-failed", "Credential/signature mismatch.", nullptr, detail};
}
inline problem kernel_not_found() {
    return {404, "kernel-not-found", "No such kernel."};
}
inline problem server_frozen() {
    return {503, "server-frozen", "The server is frozen due to maintenance. Please try again later."};
}

/// A JSON answer.
inline http_reply json_reply(const nlohmann::json& body, int status = 200) {
    http_reply reply;
    reply.status = status;
    reply.headers = {{"Content-Type", "application/json; charset=utf-8"}};
    reply.body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    return reply;
}

/// 204.
inline http_reply empty_reply() {
    http_reply reply;
    reply.status = 204;
    return reply;
}

} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
