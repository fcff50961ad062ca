/// @file
/// A run over one websocket in place of a request a step: events come as the code makes them.
#ifndef BACKENDAI_API_STREAM_EXECUTE_HPP
#define BACKENDAI_API_STREAM_EXECUTE_HPP

#include <backendai/api/kernel_call.hpp>
#include <backendai/api/kernel_types.hpp>
#include <backendai/api/stream_iterator.hpp>
#include <backendai/codec/json.hpp>
#include <backendai/codec/printable.hpp>
#include <backendai/codec/url.hpp>
#include <backendai/message_stream.hpp>
#include <backendai/mode.hpp>
#include <backendai/pipeline.hpp>
#include <backendai/version.hpp>
#include <backendai/wire.hpp>

#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN

namespace detail {

template <class = void>
call stream_call(const std::string& kernel_id, const std::string& endpoint) {
    require_single_name(kernel_id, "the session id");
    call what;
    what.waits_for_compute = true;
    what.complete = [rest = '/' + codec::escape_segment(kernel_id) + endpoint](call& request, const dialect& language) {
        request.path = std::string(language.stream_path) + rest;
    };
    return what;
}

/// The JSON object in a message of the server. @throws client_error{protocol}
template <class = void>
json read_stream_object(const stream_message& message) {
    try {
        json value = codec::parse_json(message.data);
        if (value.is_object()) return value;
    } catch (const codec::decode_error&) {
        // said below
    }
    bad_answer("a message of the stream is not a JSON object");
}

/// What a server says in a stream in place of a status and a problem document.
template <class = void>
api_error stream_error(const std::string& status, const json& message, const std::string& body) {
    api_error::details what;
    what.type = status;
    const auto text = message.find("msg");
    if (text != message.end() && text->is_string()) what.title = text->get<std::string>();
    what.body = body.substr(0, max_error_body);
    return api_error(std::move(what));
}

template <class = void>
client_error closed_early(const stream_message& end, const char* what) {
    std::string text = std::string("the server closed ") + what + " with code " + std::to_string(end.code);
    if (!end.data.empty()) text += ": " + codec::printable_text(end.data, 512);
    return client_error(error_kind::connect, text, client_error::progress::maybe_sent);
}

/// The run behind an execute_stream: what goes over its websocket, in blocking calls. One thread reads; the rest may
/// come from others.
template <class = void>
class execute_run {
public:
    using value = std::optional<execute_result>;

    execute_run(std::unique_ptr<message_stream> stream, const json& command, std::function<void()> interrupt)
        : stream_(std::move(stream)), interrupt_(std::move(interrupt)) {
        stream_->send_text(command.dump());
    }

    value read() {
        if (is_over()) return std::nullopt;
        return take(stream_->receive());
    }
    std::optional<value> read_for(std::chrono::milliseconds limit) {
        if (is_over()) return value();
        std::optional<stream_message> message = stream_->receive_for(limit);
        if (!message) return std::nullopt;
        return take(*message);
    }

    /// To be said before answer(): the next question may come while that still sends.
    void expect_answer() noexcept { waits_for_input_ = false; }
    void answer(std::string_view text) { stream_->send_text(text); }

    /// Interrupts the code unless the run is over, and closes the stream.
    void end() noexcept {
        try {
            if (!over_.exchange(true)) interrupt_();
        } catch (const std::exception&) {
            // The caller goes away. An interrupt that fails, since the connection or the session is gone, leaves the
            // code to the server's own care.
        }
        close_quietly(*stream_);
    }
    void cancel() noexcept { stream_->cancel(); }

private:
    bool is_over() const {
        if (over_) return true;
        if (waits_for_input_) {
            throw client_error(error_kind::argument, "the code waits for input: answer with send_input()",
                               client_error::progress::maybe_sent);
        }
        return false;
    }

    value take(const stream_message& message) {
        if (message.is_closed()) {
            if (over_.exchange(true)) return std::nullopt; // we have ended it meanwhile
            // The server ended it, so that there is nothing left to interrupt.
            throw closed_early(message, "the run's stream before its end,");
        }
        json object = read_stream_object(message);
        const wire_object fields(object, "the event");
        const std::string status = fields.string("status");
        if (status == "error" || status == "server-restarting") {
            over_ = true;
            throw stream_error(status, object, message.data);
        }
        execute_result event = read_execute_result(std::move(object));
        if (event.status == run_status::finished || event.status == run_status::exec_timeout) over_ = true;
        waits_for_input_ = event.status == run_status::waiting_input;
        return event;
    }

    const std::unique_ptr<message_stream> stream_;
    const std::function<void()> interrupt_;
    std::atomic<bool> over_{false}, waits_for_input_{false};
};

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
///
/// In asynchronous mode the calls return futures and take none of the session's threads while they wait; see
/// async_message_stream for their order and their cancel().
template <class Mode>
class basic_execute_stream {
    template <class T>
    using result = typename Mode::template result<T>;

public:
    /// @param interrupt tells the server to interrupt the code; called at most once
    basic_execute_stream(const detail::call_scope& scope, std::unique_ptr<message_stream> stream, const json& command,
                         std::function<void()> interrupt)
        : io_(scope, std::move(stream), command, std::move(interrupt)) {}

    /// The next event; nothing after `finished`.
    result<std::optional<execute_result>> next() { return io_.read(); }

    /// Answers the code that waits for a line. @param text the line, without its line break
    /// @throws client_error{argument} when it is not UTF-8, else as message_stream::send_text()
    result<void> send_input(std::string text) {
        io_.body().expect_answer();
        return io_.write([text = std::move(text)](detail::execute_run<>& run) { run.answer(text); });
    }

    /// Ends the run early, as the destructor does: interrupts the code and closes the stream. Harmless afterwards.
    result<void> close() {
        return io_.write([](detail::execute_run<>& run) { run.end(); });
    }

    /// Breaks the stream off from any thread: next() throws client_error{cancelled}.
    void cancel() noexcept { io_.body().cancel(); }

    /// For range-for: `for (auto&& event : stream)`. Single pass; begin() reads the first event. Blocking mode only.
    using iterator = detail::stream_iterator<basic_execute_stream, execute_result>;
    iterator begin() { return iterator(*this); }
    iterator end() { return {}; }

private:
    typename Mode::template stream_io<detail::execute_run<>> io_;
};

/// The stream of a blocking session.
using execute_stream = basic_execute_stream<blocking>;

namespace detail {

template <class Transport, class Mode>
basic_execute_stream<Mode> open_execute_stream(const call_scope& scope, const std::string& kernel_id,
                                               const std::string& code, execute_mode mode, const json& options,
                                               std::function<void()> interrupt) {
    if (mode != execute_mode::query && mode != execute_mode::batch) {
        throw client_error(error_kind::argument, "a stream runs in the modes query and batch");
    }
    if (!options.is_object()) throw client_error(error_kind::argument, "the options are not a JSON object");
    const json command = {{"mode", mode_name(mode)}, {"code", code}, {"options", options}};
    call().set_json(command); // finds text that is not UTF-8 before anything is sent
    return {scope, scope.open_websocket<Transport>(stream_call(kernel_id, "/execute")), command, std::move(interrupt)};
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
