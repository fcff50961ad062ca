/// @file
/// A run over one websocket in place of a request a step: events come as the code makes them.
#ifndef BACKENDAI_API_STREAM_EXECUTE_HPP
#define BACKENDAI_API_STREAM_EXECUTE_HPP

#include <backendai/api/kernel_call.hpp>
#include <backendai/api/kernel_types.hpp>
#include <backendai/api/stream_iterator.hpp>
#include <backendai/codec/json.hpp>
#include <backendai/codec/url.hpp>
#include <backendai/message_stream.hpp>
#include <backendai/pipeline.hpp>
#include <backendai/version.hpp>
#include <backendai/wire.hpp>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN

namespace detail {

inline call stream_call(const std::string& kernel_id, const std::string& endpoint) {
    require_single_name(kernel_id, "the session id");
    call what;
    what.waits_for_compute = true;
    what.complete = [rest = '/' + codec::escape_segment(kernel_id) + endpoint](call& request, const dialect& language) {
        request.path = std::string(language.stream_path) + rest;
    };
    return what;
}

/// The JSON object in a message of the server. @throws client_error{protocol}
inline json read_stream_object(const stream_message& message) {
    try {
        json value = codec::parse_json(message.data);
        if (value.is_object()) return value;
    } catch (const codec::decode_error&) {
        // said below
    }
    bad_answer("a message of the stream is not a JSON object");
}

/// What a server says in a stream in place of a status and a problem document.
inline api_error stream_error(const std::string& status, const json& message, const std::string& body) {
    api_error::details what;
    what.type = status;
    const auto text = message.find("msg");
    if (text != message.end() && text->is_string()) what.title = text->get<std::string>();
    what.body = body.substr(0, max_error_body);
    return api_error(std::move(what));
}

inline client_error closed_early(const stream_message& end, const char* what) {
    std::string text = std::string("the server closed ") + what + " with code " + std::to_string(end.code);
    if (!end.data.empty()) text += ": " + end.data;
    return client_error(error_kind::connect, text, client_error::progress::maybe_sent);
}

} // namespace detail

/// A run under way. One thread iterates; send_input(), and cancel() at any time, may come from others.
///
/// An event is what execute() returns for one step, without a run id: `continued` with output, `waiting_input` (answer
/// with send_input() before going on), `clean_finished`, `build_finished`, at last `finished`, after which there are
/// no more. Destroying the stream before that interrupts the code.
///
/// Errors of next(), and of the iteration: api_error without an HTTP status when the server reports one in the stream,
/// type() "error" or "server-restarting"; client_error{connect} when the stream ends before the run does, protocol,
/// cancelled, closed; argument when input was asked for and none was sent.
class execute_stream {
public:
    /// @param interrupt tells the server to interrupt the code; called at most once
    execute_stream(std::unique_ptr<message_stream> stream, const json& command, std::function<void()> interrupt)
        : run_(std::make_unique<run>()) {
        run_->stream = std::move(stream);
        run_->interrupt = std::move(interrupt);
        run_->stream->send_text(command.dump());
    }
    execute_stream(execute_stream&&) noexcept = default;
    execute_stream& operator=(execute_stream&&) noexcept = default;
    ~execute_stream() = default; // of the run, see there

    /// The next event; nothing after `finished`.
    std::optional<execute_result> next() { return run_->next(); }

    /// Answers the code that waits for a line. @param text the line, without its line break
    /// @throws client_error{argument} when it is not UTF-8, else as message_stream::send_text()
    void send_input(std::string_view text) {
        run_->waits_for_input = false; // before: the next question may come while this still sends
        run_->stream->send_text(text);
    }

    /// Ends the run early, as the destructor does: interrupts the code and closes the stream. Harmless afterwards.
    void close() noexcept { run_->end(); }

    /// Breaks the stream off from any thread: next() throws client_error{cancelled}.
    void cancel() noexcept { run_->stream->cancel(); }

    /// For range-for: `for (auto&& event : stream)`. Single pass; begin() reads the first event.
    using iterator = detail::stream_iterator<execute_stream, execute_result>;
    iterator begin() { return iterator(*this); }
    iterator end() { return {}; }

private:
    struct run {
        run() = default;
        run(const run&) = delete;
        run& operator=(const run&) = delete;
        ~run() { end(); }

        std::optional<execute_result> next() {
            if (over) return std::nullopt;
            if (waits_for_input) {
                throw client_error(error_kind::argument, "the code waits for input: answer with send_input()",
                                   client_error::progress::maybe_sent);
            }
            const stream_message message = stream->receive();
            if (message.is_closed()) {
                // The server ended it, so that there is nothing left to interrupt.
                over = true;
                throw detail::closed_early(message, "the run's stream before its end,");
            }
            json value = detail::read_stream_object(message);
            const detail::wire_object fields(value, "the event");
            const std::string status = fields.string("status");
            if (status == "error" || status == "server-restarting") {
                over = true;
                throw detail::stream_error(status, value, message.data);
            }
            execute_result event = detail::read_execute_result(std::move(value));
            over = event.status == run_status::finished || event.status == run_status::exec_timeout;
            waits_for_input = event.status == run_status::waiting_input;
            return event;
        }

        void end() noexcept {
            if (!stream) return;
            try {
                if (!over) {
                    over = true;
                    interrupt();
                }
                stream->close();
            } catch (const std::exception&) {
                // The caller goes away. An interrupt that fails, since the connection or the session is gone, leaves
                // the code to the server's own care.
            }
        }

        std::unique_ptr<message_stream> stream;
        std::function<void()> interrupt;
        bool over = false;
        std::atomic<bool> waits_for_input{false};
    };

    std::unique_ptr<run> run_;
};

namespace detail {

inline execute_stream open_execute_stream(const call_scope& scope, const std::string& kernel_id,
                                          const std::string& code, execute_mode mode, const json& options,
                                          std::function<void()> interrupt) {
    if (mode != execute_mode::query && mode != execute_mode::batch) {
        throw client_error(error_kind::argument, "a stream runs in the modes query and batch");
    }
    if (!options.is_object()) throw client_error(error_kind::argument, "the options are not a JSON object");
    const json command = {{"mode", mode_name(mode)}, {"code", code}, {"options", options}};
    call().set_json(command); // finds text that is not UTF-8 before anything is sent
    return execute_stream(scope.open_websocket(stream_call(kernel_id, "/execute")), command, std::move(interrupt));
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
