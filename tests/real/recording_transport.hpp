/// @file
/// A transport that carries on like the default one and writes down what was said: one JSON object a line, in the form
/// of tests/data/transcript-23.03.12.jsonl.gz. Secrets (tokens, cookies, keys, passwords, signatures) are masked.
#ifndef BACKENDAI_TESTS_RECORDING_TRANSPORT_HPP
#define BACKENDAI_TESTS_RECORDING_TRANSPORT_HPP

#include <backendai.hpp>
#include <backendai/codec/base64.hpp>
#include <backendai/codec/utf8.hpp>

#include <fstream>
#include <memory>
#include <mutex>
#include <regex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace recording {

using backendai::json;

/// Where the lines go; shared by the sessions of a program.
class transcript {
public:
    explicit transcript(const std::string& path) : file_(path, std::ios::binary | std::ios::trunc) {
        if (!file_.good()) throw std::runtime_error("cannot write the transcript to " + path);
    }
    /// What the exchanges from now on are called: the function that makes them.
    void label(std::string name) {
        const std::lock_guard<std::mutex> lock(mutex_);
        label_ = std::move(name);
    }
    /// The server behind a port: "manager", "storage-proxy" or "webserver".
    std::string server_of(const backendai::codec::url& url, bool first) const {
        if (url.path.compare(0, 8, "/server/") == 0 || url.path.compare(0, 6, "/func/") == 0) return "webserver";
        return first ? "manager" : "storage-proxy";
    }
    void write(json record) {
        const std::lock_guard<std::mutex> lock(mutex_);
        record["n"] = ++count_;
        record["name"] = label_;
        file_ << record.dump() << '\n' << std::flush;
    }
    int count() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return count_;
    }

private:
    mutable std::mutex mutex_;
    std::ofstream file_;
    std::string label_;
    int count_ = 0;
};

inline constexpr std::size_t longest_body = 64 * 1024; ///< of what is kept; more is cut, with a note

inline bool is_secret(const std::string& key) {
    for (const char* name : {"secret_key", "token", "password", "access_key", "session_id", "login_session_token",
                             "ssh_private_key", "ssh_public_key"}) {
        if (key == name) return true;
    }
    return false;
}
inline json masked(json value) {
    if (value.is_object()) {
        for (auto it = value.begin(); it != value.end(); ++it) {
            *it = it->is_string() && is_secret(it.key()) ? json("<masked>") : masked(*it);
        }
    } else if (value.is_array()) {
        for (json& item : value) item = masked(item);
    }
    return value;
}

/// Writes a body or message into @p record, as JSON, text or base64.
inline void describe(json& record, const std::string& prefix, const std::string& bytes) {
    json& kind = record[prefix + "_kind"];
    json& value = record[prefix];
    if (bytes.empty()) {
        kind = "empty";
        return;
    }
    const std::string kept = bytes.substr(0, longest_body);
    if (kept.size() != bytes.size()) {
        record[prefix + "_note"] =
            "cut to " + std::to_string(kept.size()) + " of " + std::to_string(bytes.size()) + " bytes";
    }
    try {
        value = masked(backendai::codec::parse_json(bytes));
        kind = "json";
    } catch (const backendai::codec::decode_error&) {
        const bool text = backendai::codec::is_utf8(kept);
        kind = text ? "text" : "base64";
        value = text ? kept : backendai::codec::base64_encode(kept);
    }
}

inline std::string masked_target(std::string target) {
    return std::regex_replace(target, std::regex("([?&]token=)[^&]*"), "$1<masked>");
}

inline json head_of(const backendai::header_list& headers, std::initializer_list<const char*> names) {
    json kept = json::object();
    for (const char* name : names) {
        if (const std::string* value = headers.find(name)) kept[name] = *value;
    }
    return kept;
}

inline json begin_record(const transcript& book, const backendai::http_request& request, const std::string& home) {
    json record;
    record["method"] = request.method;
    record["target"] = masked_target(request.url.target());
    record["server"] = book.server_of(request.url, request.url.host_header() == home);
    record["request_headers"] = head_of(request.headers, {"X-BackendAI-Version", "Content-Type", "Tus-Resumable",
                                                          "Upload-Offset", "Range", "If-Range", "Last-Event-ID"});
    return record;
}
inline void end_record(json& record, const backendai::response_head& head, const std::string& body) {
    record["status"] = head.status;
    record["reason"] = head.reason;
    record["response_headers"] =
        head_of(head.headers, {"Content-Type", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Window",
                               "Tus-Resumable", "Upload-Offset", "Upload-Length", "Accept-Ranges", "Content-Range",
                               "Content-Disposition", "Cache-Control", "Upgrade", "Location", "Content-Length"});
    if (head.headers.find("Set-Cookie") != nullptr) record["response_headers"]["Set-Cookie"] = "<masked>";
    describe(record, "response_body", body);
}

/// Passes an answer on and keeps its beginning.
class tee final : public backendai::body_sink {
public:
    explicit tee(backendai::body_sink& next) : next_(next) {}
    void on_head(const backendai::response_head& head) override {
        head_ = head;
        next_.on_head(head);
    }
    void on_data(std::string_view data) override {
        // One byte more than is kept tells that there was more.
        if (body_.size() <= longest_body) body_.append(data.substr(0, longest_body + 1 - body_.size()));
        next_.on_data(data);
    }
    backendai::response_head head_;
    std::string body_;

private:
    backendai::body_sink& next_;
};

/// A websocket whose messages are written down when it is gone.
class stream final : public backendai::message_stream {
public:
    stream(std::unique_ptr<backendai::message_stream> inner, std::shared_ptr<transcript> book, json record)
        : inner_(std::move(inner)), book_(std::move(book)), record_(std::move(record)) {
        record_["kind"] = "websocket";
        record_["messages"] = json::array();
    }
    stream(const stream&) = delete;
    stream& operator=(const stream&) = delete;
    ~stream() override { book_->write(std::move(record_)); }

    backendai::stream_message receive() override { return received(inner_->receive()); }
    std::optional<backendai::stream_message> receive_for(std::chrono::milliseconds limit) override {
        auto message = inner_->receive_for(limit);
        if (message) received(*message);
        return message;
    }
    void send_text(std::string_view text) override {
        note("client", "text", std::string(text));
        inner_->send_text(text);
    }
    void send_binary(std::string_view bytes) override {
        note("client", "binary", std::string(bytes));
        inner_->send_binary(bytes);
    }
    void close(std::uint16_t code, std::string_view reason) override { inner_->close(code, reason); }
    void cancel() noexcept override { inner_->cancel(); }
    const std::string& protocol() const noexcept override { return inner_->protocol(); }

private:
    backendai::stream_message received(backendai::stream_message message) {
        if (message.is_closed()) {
            const std::lock_guard<std::mutex> lock(mutex_);
            record_["messages"].push_back(
                {{"direction", "server"}, {"opcode", "close"}, {"code", message.code}, {"reason", message.data}});
        } else {
            note("server", message.is_text() ? "text" : "binary", message.data);
        }
        return message;
    }
    void note(const char* direction, const char* opcode, const std::string& data) {
        json entry = {{"direction", direction}, {"opcode", opcode}};
        describe(entry, "payload", data);
        const std::lock_guard<std::mutex> lock(mutex_);
        record_["messages"].push_back(std::move(entry));
    }

    std::unique_ptr<backendai::message_stream> inner_;
    std::shared_ptr<transcript> book_;
    std::mutex mutex_;
    json record_;
};

class transport {
public:
    /// @param config of the session, resolved
    transport(const backendai::api_config& config, std::shared_ptr<transcript> book)
        : inner_(config), book_(std::move(book)), home_(backendai::codec::parse_url(*config.endpoint).host_header()) {}

    backendai::response_head exchange(backendai::http_request& request, backendai::body_sink& sink,
                                      const backendai::exchange_context& context) {
        json record = begin_record(*book_, request, home_);
        if (request.source) {
            record["request_body_kind"] = "stream";
            record["request_body_note"] = std::to_string(request.source->size()) + " bytes";
        } else {
            describe(record, "request_body", request.body);
        }
        tee both(sink);
        const auto finish = [&](const char* end) {
            if (both.head_.status == 0) return;
            if (end != nullptr) record["stream_end"] = end;
            end_record(record, both.head_, both.body_);
            if (both.head_.headers.get("Content-Type").compare(0, 17, "text/event-stream") == 0) record["kind"] = "sse";
            book_->write(std::move(record));
        };
        try {
            const backendai::response_head head = inner_.exchange(request, both, context);
            finish(nullptr);
            return head;
        } catch (...) {
            finish("client"); // an event stream has no other end
            throw;
        }
    }
    backendai::websocket_opening open_websocket(backendai::http_request& request,
                                                const backendai::exchange_context& context) {
        json record = begin_record(*book_, request, home_);
        backendai::websocket_opening opening = inner_.open_websocket(request, context);
        end_record(record, opening.head, opening.body);
        if (opening.stream) {
            opening.stream = std::make_unique<stream>(std::move(opening.stream), book_, std::move(record));
        } else {
            book_->write(std::move(record));
        }
        return opening;
    }

private:
    backendai::httplib_transport inner_;
    std::shared_ptr<transcript> book_;
    std::string home_;
};
static_assert(backendai::is_websocket_transport_v<transport>);

} // namespace recording

#endif
