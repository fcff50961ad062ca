/// @file
/// A terminal in a compute session.
#ifndef BACKENDAI_API_STREAM_PTY_HPP
#define BACKENDAI_API_STREAM_PTY_HPP

#include <backendai/api/stream_execute.hpp>
#include <backendai/codec/base64.hpp>
#include <backendai/message_stream.hpp>
#include <backendai/version.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN

/// An open terminal. One thread may read while others write, resize and so on; cancel() may come from any thread.
/// Errors: client_error{connect} when the connection is lost or the server closes it for a failure, protocol,
/// cancelled, closed; api_error when the server reports an error in the stream.
class pty_stream {
public:
    explicit pty_stream(std::unique_ptr<message_stream> stream) : stream_(std::move(stream)) {}

    /// What the terminal shows next, bytes with escape sequences; waits for it. Nothing when the terminal has ended.
    std::optional<std::string> read() {
        for (;;) {
            std::optional<std::string> bytes;
            if (!take(stream_->receive(), bytes)) return std::nullopt;
            if (bytes) return bytes;
        }
    }
    /// As read(), but an empty text when nothing came within @p limit.
    std::optional<std::string> read_for(std::chrono::milliseconds limit) {
        const auto end = std::chrono::steady_clock::now() + limit;
        for (;;) {
            const auto left = end - std::chrono::steady_clock::now();
            const auto message = stream_->receive_for(std::chrono::duration_cast<std::chrono::milliseconds>(left));
            if (!message) return std::string();
            std::optional<std::string> bytes;
            if (!take(*message, bytes)) return std::nullopt;
            if (bytes) return bytes;
        }
    }

    /// Types bytes into the terminal.
    void write(std::string_view bytes) {
        if (!bytes.empty()) send({{"type", "stdin"}, {"chars", codec::base64_encode(bytes)}});
    }
    /// Tells the terminal's size in characters, both at least 1. @throws client_error{argument}
    void resize(int rows, int cols) {
        if (rows < 1 || cols < 1)
            throw client_error(error_kind::argument, "a terminal has at least one row and column");
        send({{"type", "resize"}, {"rows", rows}, {"cols", cols}});
    }
    /// Starts the terminal's shell anew.
    void restart() { send({{"type", "restart"}}); }
    /// Keeps the session from being taken for idle.
    void ping() { send({{"type", "ping"}}); }
    /// Leaves the terminal; read() then ends. Harmless when it has ended.
    void close() { stream_->close(); }
    /// Breaks the connection off: read() throws client_error{cancelled}.
    void cancel() noexcept { stream_->cancel(); }

private:
    void send(const json& message) { stream_->send_text(message.dump()); }

    // False at the end of the stream. Messages are text or binary frames, by the server's version.
    static bool take(const stream_message& message, std::optional<std::string>& bytes) {
        if (message.is_closed()) {
            const bool is_end =
                message.code == 1000 || message.code == 1001 || message.code == 1005 || message.code == 1006;
            if (!is_end) throw detail::closed_early(message, "the terminal");
            return false;
        }
        const json value = detail::read_stream_object(message);
        const detail::wire_object fields(value, "the terminal's message");
        const std::string type = fields.string_or("type", "");
        if (type == "out") {
            try {
                bytes = codec::base64_decode(fields.string("data"));
            } catch (const codec::decode_error&) {
                detail::bad_answer("the terminal's output is not base64");
            }
        } else if (type == "error") {
            throw detail::stream_error(type, value, message.data);
        }
        return true; // types that are not known yet are for newer clients
    }

    std::unique_ptr<message_stream> stream_;
};

namespace detail {

inline pty_stream open_pty_stream(const call_scope& scope, const std::string& kernel_id) {
    return pty_stream(scope.open_websocket(stream_call(kernel_id, "/pty")));
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
