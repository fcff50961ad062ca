/// @file
/// A terminal in a compute session.
#ifndef BACKENDAI_API_STREAM_PTY_HPP
#define BACKENDAI_API_STREAM_PTY_HPP

#include <backendai/api/stream_execute.hpp>
#include <backendai/codec/base64.hpp>
#include <backendai/message_stream.hpp>
#include <backendai/mode.hpp>
#include <backendai/version.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN

namespace detail {

/// The terminal behind a pty_stream: what goes over its websocket, in blocking calls. One thread reads; the rest may
/// come from others.
template <class = void>
class pty_link {
public:
    using value = std::optional<std::string>; ///< bytes; nothing at the end

    explicit pty_link(std::unique_ptr<message_stream> stream) : stream_(std::move(stream)) {}

    value read() {
        for (;;) {
            if (std::optional<value> bytes = take(stream_->receive())) return std::move(*bytes);
        }
    }
    std::optional<value> read_for(std::chrono::milliseconds limit) {
        const auto end = time_after(limit);
        for (;;) {
            const auto left = end - std::chrono::steady_clock::now();
            const auto message = stream_->receive_for(std::chrono::duration_cast<std::chrono::milliseconds>(left));
            if (!message) return std::nullopt;
            if (std::optional<value> bytes = take(*message)) return bytes;
        }
    }
    void send(const json& message) { stream_->send_text(message.dump()); }
    void end() noexcept { close_quietly(*stream_); }
    void cancel() noexcept { stream_->cancel(); }

private:
    // Nothing for messages that show nothing. They are text or binary frames, by the server's version.
    static std::optional<value> take(const stream_message& message) {
        if (message.is_closed()) {
            const bool is_end =
                message.code == 1000 || message.code == 1001 || message.code == 1005 || message.code == 1006;
            if (!is_end) throw closed_early(message, "the terminal");
            return value();
        }
        const json object = read_stream_object(message);
        const wire_object fields(object, "the terminal's message");
        const std::string type = fields.string_or("type", "");
        if (type == "error") throw stream_error(type, object, message.data);
        if (type != "out") return std::nullopt; // types that are not known yet are for newer clients
        try {
            return value(codec::base64_decode(fields.string("data")));
        } catch (const codec::decode_error&) {
            bad_answer("the terminal's output is not base64");
        }
    }

    const std::unique_ptr<message_stream> stream_;
};

} // namespace detail

/// An open terminal. One thread may read while others write, resize and so on; cancel() may come from any thread.
/// Errors: client_error{connect} when the connection is lost or the server closes it for a failure, protocol,
/// cancelled, closed; api_error when the server reports an error in the stream.
///
/// In asynchronous mode the calls return futures and take none of the session's threads while they wait; see
/// async_message_stream for their order and their cancel().
template <class Mode>
class basic_pty_stream {
    template <class T>
    using result = typename Mode::template result<T>;

public:
    basic_pty_stream(const detail::call_scope& scope, std::unique_ptr<message_stream> stream)
        : io_(scope, std::move(stream)) {}

    /// What the terminal shows next, bytes with escape sequences; waits for it. Nothing when the terminal has ended.
    result<std::optional<std::string>> read() { return io_.read(); }
    /// As read(), but an empty text when nothing came within @p limit.
    result<std::optional<std::string>> read_for(std::chrono::milliseconds limit) {
        using shown = std::optional<std::string>;
        return io_.template read_for<shown>(
            limit, [](std::optional<shown>&& bytes) { return bytes ? std::move(*bytes) : shown(std::string()); });
    }

    /// Types bytes into the terminal.
    result<void> write(std::string_view bytes) {
        json message;
        if (!bytes.empty()) message = {{"type", "stdin"}, {"chars", codec::base64_encode(bytes)}};
        return io_.write([message = std::move(message)](detail::pty_link<>& link) {
            if (!message.is_null()) link.send(message);
        });
    }
    /// Tells the terminal's size in characters, both at least 1. @throws client_error{argument}
    result<void> resize(int rows, int cols) {
        return io_.write([rows, cols](detail::pty_link<>& link) {
            if (rows < 1 || cols < 1) {
                throw client_error(error_kind::argument, "a terminal has at least one row and column");
            }
            link.send({{"type", "resize"}, {"rows", rows}, {"cols", cols}});
        });
    }
    /// Starts the terminal's shell anew.
    result<void> restart() { return send({{"type", "restart"}}); }
    /// Keeps the session from being taken for idle.
    result<void> ping() { return send({{"type", "ping"}}); }
    /// Leaves the terminal; read() then ends. Harmless when it has ended.
    result<void> close() {
        return io_.write([](detail::pty_link<>& link) { link.end(); });
    }
    /// Breaks the connection off: read() throws client_error{cancelled}.
    void cancel() noexcept { io_.body().cancel(); }

private:
    result<void> send(json message) {
        return io_.write([message = std::move(message)](detail::pty_link<>& link) { link.send(message); });
    }

    typename Mode::template stream_io<detail::pty_link<>> io_;
};

/// The terminal of a blocking session.
using pty_stream = basic_pty_stream<blocking>;

namespace detail {

template <class Transport, class Mode>
basic_pty_stream<Mode> open_pty_stream(const call_scope& scope, const std::string& kernel_id) {
    return {scope, scope.open_websocket<Transport>(stream_call(kernel_id, "/pty"))};
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
