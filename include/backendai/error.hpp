/// @file
/// The exceptions of the SDK: what the server said (api_error) and what went wrong before it could say anything useful
/// (client_error). Messages are for people; programs switch on status(), type() and kind().
#ifndef BACKENDAI_ERROR_HPP
#define BACKENDAI_ERROR_HPP

#include <backendai/codec/printable.hpp>
#include <backendai/version.hpp>

#include <nlohmann/json.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN

using json = nlohmann::json;

class api_error;
class client_error;

/// Base of every exception that the SDK throws on its own account.
class error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
    /// This error as what it is, or nullptr: what dynamic_cast would say, in programs without RTTI, too.
    virtual const api_error* as_api_error() const noexcept { return nullptr; }
    virtual const client_error* as_client_error() const noexcept { return nullptr; }
};

/// What kind of failure a client_error reports.
enum class error_kind {
    argument,  ///< the call or the configuration is wrong; nothing was sent
    timeout,   ///< a connect, read or call time limit was reached
    connect,   ///< no connection: name unknown, refused, unreachable, or lost before an answer began
    tls,       ///< no trusted connection: certificate or handshake
    protocol,  ///< the peer's answer is not what HTTP or the Backend.AI protocol allows, or is cut short
    cancelled, ///< the caller's cancel_token was triggered
    closed,    ///< the session was closed
    io         ///< a local file, device or other resource (threads, say) failed
};

template <class = void>
const char* to_string(error_kind kind) {
    switch (kind) {
    case error_kind::argument: return "argument";
    case error_kind::timeout: return "timeout";
    case error_kind::connect: return "connect";
    case error_kind::tls: return "tls";
    case error_kind::protocol: return "protocol";
    case error_kind::cancelled: return "cancelled";
    case error_kind::closed: return "closed";
    case error_kind::io: return "io";
    }
    return "unknown";
}

/// A failure on this side: no usable answer of the server exists.
class client_error : public error {
public:
    /// Whether any byte of the request may have left this machine. `nothing_sent` lets even calls that must not run
    /// twice be tried again.
    enum class progress { nothing_sent, maybe_sent };

    template <class = void>
    client_error(error_kind kind, const std::string& message, progress sent = progress::nothing_sent)
        : error(std::string(to_string(kind)) + ": " + message), kind_(kind), sent_(sent) {}

    error_kind kind() const noexcept { return kind_; }
    progress sent() const noexcept { return sent_; }
    const client_error* as_client_error() const noexcept override { return this; }
    /// The same error, of a call that had begun to send when it failed.
    template <class = void>
    client_error after_sending() const {
        client_error result(*this);
        result.sent_ = progress::maybe_sent;
        return result;
    }

private:
    error_kind kind_;
    progress sent_;
};

/// The server answered with a failure status. The fields come from its RFC 7807 body; a body of another form (an HTML
/// page of a proxy, say) leaves them empty and is kept in body().
class api_error : public error {
public:
    /// Everything an api_error carries.
    struct details {
        int status = 0;          ///< HTTP status
        std::string reason;      ///< reason phrase of the status line
        std::string type;        ///< URI that identifies the problem, the thing to switch on
        std::string title;       ///< short text for people
        json data;               ///< the problem's `data` member, null when absent
        json agent_details;      ///< `agent-details` {type, title, exception} of errors raised on the agent, else null
        std::string body;        ///< the body as received, at most 64 KiB of it
        std::string retry_after; ///< the Retry-After header as received
    };

    template <class = void>
    explicit api_error(details what) : api_error(std::make_shared<const details>(std::move(what))) {}

    int status() const noexcept { return details_->status; }
    const std::string& reason() const noexcept { return details_->reason; }
    const std::string& type() const noexcept { return details_->type; }
    const std::string& title() const noexcept { return details_->title; }
    const json& data() const noexcept { return details_->data; }
    const json& agent_details() const noexcept { return details_->agent_details; }
    const std::string& body() const noexcept { return details_->body; }
    const std::string& retry_after() const noexcept { return details_->retry_after; }
    const api_error* as_api_error() const noexcept override { return this; }

private:
    template <class = void>
    explicit api_error(std::shared_ptr<const details> what) : error(message_of(*what)), details_(std::move(what)) {}

    // For people, on terminals and in logs: the server's words are cut to a size and cannot command the terminal. The
    // members hold them as they came.
    template <class = void>
    static std::string message_of(const details& what) {
        constexpr std::size_t limit = 512;
        std::string text = std::to_string(what.status);
        if (!what.reason.empty()) text += ' ' + codec::printable_text(what.reason, limit);
        if (!what.title.empty()) text += ": " + codec::printable_text(what.title, limit);
        if (!what.type.empty()) text += " [" + codec::printable_text(what.type, limit) + ']';
        if (what.agent_details.is_object()) {
            const auto title = what.agent_details.find("title");
            if (title != what.agent_details.end() && title->is_string()) {
                text += "; agent: " + codec::printable_text(title->get_ref<const std::string&>(), limit);
            }
        }
        return text;
    }

    std::shared_ptr<const details> details_; // shared, so that copying the exception cannot throw
};

BACKENDAI_NAMESPACE_END

#endif
