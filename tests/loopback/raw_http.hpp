/// @file
/// A client for the tests of the embedded gateway that shares nothing with the SDK's own: raw sockets, every byte as
/// the test wants it, and requests signed with codec/signature.hpp.
#ifndef BACKENDAI_TESTS_LOOPBACK_RAW_HTTP_HPP
#define BACKENDAI_TESTS_LOOPBACK_RAW_HTTP_HPP

#include <backendai/codec/date.hpp>
#include <backendai/codec/signature.hpp>
#include <backendai/os/socket.hpp>
#include <backendai/testing/gateway.hpp>

#include <nlohmann/json.hpp>

#include <chrono>
#include <stdexcept>
#include <string>
#include <utility>

namespace raw_http {

using nlohmann::json;

struct answer {
    int status = 0;
    std::string head, body;
    bool is_complete = false; ///< the announced length has come
    json data() const { return json::parse(body); }
    bool has(const std::string& text) const { return head.find(text) != std::string::npos; }
};

/// How a request differs from an ordinary one.
struct tweaks {
    std::string secret_key, access_key, hash_type = "sha256", version = "v4.20190315", authorization;
    std::chrono::minutes clock_error{0};
    bool is_signed = true;
    std::string extra_headers;
};

inline std::string request_text(const backendai::testing::gateway& server, const std::string& method,
                                const std::string& target, const std::string& body, const tweaks& change = {}) {
    const std::string host = "127.0.0.1:" + std::to_string(server.port());
    const std::string date = backendai::codec::format_date(std::chrono::system_clock::now() + change.clock_error);
    const std::string type = body.empty() ? "text/plain" : "application/json";
    backendai::codec::signer signer(change.access_key.empty() ? server.access_key() : change.access_key,
                                    change.secret_key.empty() ? server.secret_key() : change.secret_key,
                                    change.hash_type);
    std::string text = method + ' ' + target + " HTTP/1.1\r\nHost: " + host + "\r\nDate: " + date +
                       "\r\nContent-Type: " + type + "\r\nX-BackendAI-Version: " + change.version + "\r\n" +
                       change.extra_headers;
    if (change.is_signed) {
        const std::string header = signer.sign({method, target, date, host, type, change.version, body});
        text += "Authorization: " + (change.authorization.empty() ? header : change.authorization) + "\r\n";
    }
    if (!body.empty()) text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    return text + "\r\n" + body;
}

/// One connection, kept alive.
class connection {
public:
    explicit connection(const backendai::testing::gateway& server)
        : socket_(backendai::os::tcp_socket::connect_loopback(server.port())) {}

    void send(const std::string& bytes) { socket_.write(bytes); }
    backendai::os::tcp_socket& socket() { return socket_; }

    /// Reads one answer. Not complete when the peer closed before its end; status 0 when there was no head.
    answer receive() {
        answer result;
        std::size_t end = 0;
        while ((end = bytes_.find("\r\n\r\n")) == std::string::npos) {
            if (!fill()) {
                result.head = std::exchange(bytes_, {});
                return result;
            }
        }
        result.head = bytes_.substr(0, end + 2);
        bytes_.erase(0, end + 4);
        result.status = std::stoi(result.head.substr(9, 3));
        const std::size_t at = result.head.find("Content-Length: ");
        const std::size_t length = at == std::string::npos ? 0 : std::stoul(result.head.substr(at + 16));
        while (bytes_.size() < length && fill()) continue;
        result.is_complete = bytes_.size() >= length;
        result.body = bytes_.substr(0, length);
        bytes_.erase(0, result.body.size());
        return result;
    }

    /// Everything until the peer closes.
    std::string receive_all() {
        while (fill()) continue;
        return std::exchange(bytes_, {});
    }

private:
    bool fill() {
        if (!socket_.wait_readable(std::chrono::seconds(60))) throw std::runtime_error("no answer within a minute");
        char buffer[4096];
        std::size_t count = 0;
        try {
            count = socket_.read(buffer, sizeof buffer);
        } catch (const std::system_error&) {
            return false; // a reset
        }
        bytes_.append(buffer, count);
        return count != 0;
    }

    backendai::os::tcp_socket socket_;
    std::string bytes_;
};

inline answer call(const backendai::testing::gateway& server, const std::string& method, const std::string& target,
                   const json& body = nullptr, const tweaks& change = {}) {
    connection peer(server);
    peer.send(request_text(server, method, target, body.is_null() ? std::string() : body.dump(), change));
    return peer.receive();
}

inline json creation(const std::string& language, const std::string& token, json config = json::object()) {
    return {{"lang", language}, {"tag", nullptr}, {"clientSessionToken", token}, {"config", std::move(config)}};
}

inline json step(const backendai::testing::gateway& server, const std::string& token, const std::string& mode,
                 const std::string& code, const json& run_id = nullptr, const json& options = json::object()) {
    const answer got = call(server, "POST", "/kernel/" + token,
                            {{"mode", mode}, {"code", code}, {"runId", run_id}, {"options", options}});
    if (got.status != 200) throw std::runtime_error("execute: " + got.head + got.body);
    return got.data()["result"];
}

/// What a whole run gave.
struct outcome {
    std::string out, err;
    json records = json::array(), last;
    std::vector<std::string> statuses;
    int exit_code() const { return last["exitCode"].get<int>(); }
};

/// The run loop; answers questions with @p inputs in turn.
inline outcome run(const backendai::testing::gateway& server, const std::string& token, const std::string& code,
                   std::vector<std::string> inputs = {}, const std::string& mode = "query",
                   const json& options = json::object()) {
    outcome result;
    json last = step(server, token, mode, code, nullptr, options);
    for (;;) {
        result.statuses.push_back(last["status"]);
        for (const auto& record : last["console"]) {
            if (record[0] == "stdout") {
                result.out += record[1].get<std::string>();
            } else if (record[0] == "stderr") {
                result.err += record[1].get<std::string>();
            } else {
                result.records.push_back(record);
            }
        }
        if (last["status"] == "finished") break;
        if (last["status"] == "waiting-input") {
            if (inputs.empty()) throw std::runtime_error("an unexpected question");
            last = step(server, token, "input", inputs.front(), last["runId"]);
            inputs.erase(inputs.begin());
        } else {
            last = step(server, token, "continue", "", last["runId"]);
        }
    }
    result.last = last;
    return result;
}

} // namespace raw_http

#endif
