/// @file
/// The server's answer, and its mapping to api_error.
#ifndef BACKENDAI_RESPONSE_HPP
#define BACKENDAI_RESPONSE_HPP

#include <backendai/codec/json.hpp>
#include <backendai/codec/signature.hpp>
#include <backendai/error.hpp>
#include <backendai/http.hpp>
#include <backendai/version.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

/// An answer of the server. The body is kept in memory unless the request was fetched into a receiver.
class response {
public:
    response() = default;
    response(response_head head, std::string body) : head_(std::move(head)), body_(std::move(body)) {}

    int status() const noexcept { return head_.status; }
    bool ok() const noexcept { return head_.status >= 200 && head_.status < 300; }
    const std::string& reason() const noexcept { return head_.reason; }
    const header_list& headers() const noexcept { return head_.headers; }
    /// The media type in lower case without parameters; empty when the server named none.
    template <class = void>
    std::string content_type() const {
        return codec::media_type(head_.headers.get("Content-Type"));
    }
    /// The Content-Length header's number; nothing when there is none.
    template <class = void>
    std::optional<std::uint64_t> content_length() const {
        const std::string* text = head_.headers.find("Content-Length");
        if (text == nullptr || text->empty() || text->size() > 18) return {};
        std::uint64_t value = 0;
        for (const char c : *text) {
            if (c < '0' || c > '9') return {};
            value = value * 10 + static_cast<std::uint64_t>(c - '0');
        }
        return value;
    }
    /// The body as received.
    const std::string& text() const& noexcept { return body_; }
    std::string text() && noexcept { return std::move(body_); }
    /// The body parsed as JSON. @throws client_error{protocol} when it is not JSON or is nested too deep.
    template <class = void>
    backendai::json json() const {
        try {
            return codec::parse_json(body_);
        } catch (const codec::decode_error& e) {
            throw client_error(error_kind::protocol, std::string("the answer is not usable: ") + e.what(),
                               client_error::progress::maybe_sent);
        }
    }

private:
    response_head head_;
    std::string body_;
};

/// Receives the pieces of a streamed body.
using body_receiver = std::function<void(std::string_view)>;
/// Sees the head of an answer whose body is streamed, before the first piece of it.
using head_receiver = std::function<void(const response_head&)>;

namespace detail {

inline constexpr std::size_t max_error_body = 64 * 1024;

/// Takes secrets out of what a server says, as they are and as JSON spells them; not one so short that ordinary words
/// hold it. Its functions return whether there was any.
class redactor {
public:
    template <class = void>
    explicit redactor(const std::vector<std::string>& secrets) {
        for (const std::string& secret : secrets) {
            if (secret.size() < 4) continue;
            for (const bool ascii : {true, false}) {
                const std::string quoted = json(secret).dump(-1, ' ', ascii, json::error_handler_t::replace);
                spellings_.push_back(quoted.substr(1, quoted.size() - 2));
            }
            spellings_.push_back(secret);
        }
    }

    template <class = void>
    bool redact(std::string& text) const {
        bool found = false;
        for (const std::string& secret : spellings_) {
            for (std::size_t at = 0; (at = text.find(secret, at)) != std::string::npos; found = true)
                text.replace(at, secret.size(), "***");
        }
        return found;
    }
    /// In every text of a document, names of members too.
    template <class = void>
    bool redact(json& value) const {
        if (value.is_string()) return redact(value.get_ref<std::string&>());
        bool found = false;
        if (value.is_object()) {
            json clean = json::object();
            for (auto it = value.begin(); it != value.end(); ++it) {
                std::string name = it.key();
                found = redact(name) || found;
                found = redact(it.value()) || found;
                clean[name] = std::move(it.value());
            }
            value = std::move(clean);
        } else if (value.is_array()) {
            for (json& item : value) found = redact(item) || found;
        }
        return found;
    }
    /// A body keeps its form, unless JSON in it hides a secret in a spelling of its own.
    template <class = void>
    void redact_body(std::string& body) const {
        redact(body);
        try {
            json document = codec::parse_json(body);
            if (redact(document)) body = document.dump(-1, ' ', false, json::error_handler_t::replace);
        } catch (const codec::decode_error&) {
            // Not JSON: no other spellings.
        }
    }
    template <class = void>
    void redact(api_error::details& what) const {
        for (std::string* text : {&what.reason, &what.type, &what.title, &what.retry_after}) redact(*text);
        for (json* value : {&what.data, &what.agent_details}) redact(*value);
        redact_body(what.body);
    }

private:
    std::vector<std::string> spellings_;
};

/// What an answer with a failure status means; never fails, whatever the body holds.
/// @param secrets of the request: a server or proxy that echoes requests must not bring them into a log
template <class = void>
api_error make_api_error(const response_head& head, std::string body, const std::vector<std::string>& secrets = {}) {
    api_error::details what;
    what.status = head.status;
    what.reason = head.reason;
    what.retry_after = head.headers.get("Retry-After");
    what.body = std::move(body);
    try {
        const json problem = codec::parse_json(what.body);
        const auto text = [&problem](const char* key) {
            const auto it = problem.find(key);
            return it != problem.end() && it->is_string() ? it->get<std::string>() : std::string();
        };
        if (problem.is_object()) {
            what.type = text("type");
            what.title = text("title");
            // Some folder endpoints answer {msg} or {error_msg} in place of a problem object.
            for (const char* key : {"msg", "error_msg"}) {
                if (what.title.empty()) what.title = text(key);
            }
            what.data = problem.value("data", json());
            what.agent_details = problem.value("agent-details", json());
        }
    } catch (const codec::decode_error&) {
        // Not JSON: a proxy's page, or an answer cut off. status, reason and body say what there is to say.
    }
    redactor(secrets).redact(what); // after parsing: what JSON escapes is not found before
    return api_error(std::move(what));
}

/// Keeps an answer, or hands its data on: a failure status is always kept, so that the server's words survive.
template <class = void>
class response_sink final : public body_sink {
public:
    /// @param errors whether a failure status becomes an api_error, which keeps only the beginning of a body
    /// @param on_success sees the head of a 2xx answer before its body; may be empty
    response_sink(const body_receiver& receiver, std::uint64_t limit, bool errors = true, head_receiver on_success = {})
        : receiver_(receiver), limit_(limit), errors_(errors), on_success_(std::move(on_success)) {}

    void on_head(const response_head& head) override {
        head_ = head;
        const bool success = head.status >= 200 && head.status < 300;
        streaming_ = receiver_ && success;
        if (on_success_ && success) on_success_(head_);
    }
    void on_data(std::string_view data) override {
        if (streaming_) {
            delivered_ = true;
            receiver_(data);
        } else if (errors_ && head_.status >= 400) {
            body_.append(data.substr(0, max_error_body - (std::min)(max_error_body, body_.size())));
        } else if (data.size() > limit_ - (std::min)(limit_, static_cast<std::uint64_t>(body_.size()))) {
            throw client_error(error_kind::protocol,
                               "the answer is larger than max_response_size (" + std::to_string(limit_) + " bytes)",
                               client_error::progress::maybe_sent);
        } else {
            body_.append(data);
        }
    }

    /// Whether the receiver has seen data, after which the call cannot be repeated.
    bool delivered() const { return delivered_; }
    const response_head& head() const { return head_; }
    response_head take_head() { return std::move(head_); }
    std::string take_body() { return std::move(body_); }

private:
    const body_receiver& receiver_;
    std::uint64_t limit_;
    bool errors_;
    head_receiver on_success_;
    response_head head_;
    std::string body_;
    bool streaming_ = false, delivered_ = false;
};

} // namespace detail

BACKENDAI_NAMESPACE_END

#endif
