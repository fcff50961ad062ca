/// @file
/// What happens to compute sessions, told by the server while it happens (server-sent events).
#ifndef BACKENDAI_API_EVENTS_HPP
#define BACKENDAI_API_EVENTS_HPP

#include <backendai/api/event_pump.hpp>
#include <backendai/api/kernel_call.hpp>
#include <backendai/api/stream_iterator.hpp>
#include <backendai/codec/json.hpp>
#include <backendai/codec/sse.hpp>
#include <backendai/codec/uuid.hpp>
#include <backendai/dialect.hpp>
#include <backendai/error.hpp>
#include <backendai/mode.hpp>
#include <backendai/pipeline.hpp>
#include <backendai/version.hpp>
#include <backendai/wire.hpp>

#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN

/// One event in the life of a compute session.
struct session_event {
    /// "kernel_started", "session_terminated" and so on: session_ with enqueued, scheduled, preparing, started,
    /// cancelled, terminating, terminated, success, failure; kernel_ with preparing, pulling, creating, started,
    /// cancelled, terminating, terminated. Not every server sends all of them, and some send one twice.
    std::string name;
    std::string session_name, session_id; ///< the second is empty where the server does not tell it
    std::string kernel_id;                ///< of the container, if it is about one
    std::string reason;                   ///< "user-requested", for example; may be empty
    std::string owner_access_key;
    std::optional<int> exit_code;
    std::string id; ///< of the event in the stream; servers of today send none
    json raw;
};

/// Options of events().
struct event_options {
    std::string scope = "*";      ///< "*": all; "session" or "kernel": only events with names that begin so
    std::string owner_access_key; ///< whose sessions, for administrators; empty: one's own
    /// How often the stream connects anew in a row, without an event between, before it gives up.
    int max_reconnects = 5;
};

namespace detail {

template <class = void>
session_event read_session_event(const codec::sse_event& event) {
    session_event result;
    result.name = event.name;
    result.id = event.id;
    try {
        result.raw = codec::parse_json(event.data);
    } catch (const codec::decode_error& e) {
        bad_answer(std::string("the data of an event: ") + e.what());
    }
    const wire_object fields(result.raw, "an event");
    result.session_name = fields.string_or("sessionName", "");
    result.session_id = fields.string_or("sessionId", "");
    result.kernel_id = fields.string_or("kernelId", "");
    result.reason = fields.string_or("reason", "");
    result.owner_access_key = fields.string_or("ownerAccessKey", "");
    result.exit_code = fields.optional_int("exitCode");
    return result;
}

} // namespace detail

namespace detail {

/// The events behind an event_stream, in blocking calls. One thread takes them; the rest may come from others.
template <class = void>
class event_feed {
public:
    using value = std::optional<session_event>; ///< nothing when there are no more

    event_feed(const call_scope& scope, call what, int max_reconnects, std::string session)
        : session_(std::move(session)), pump_(scope, std::move(what), max_reconnects) {}

    value read() { return std::move(*read_until((std::chrono::steady_clock::time_point::max)())); }
    std::optional<value> read_for(std::chrono::milliseconds limit) { return read_until(time_after(limit)); }
    bool over() const noexcept { return over_; }
    void end() noexcept { pump_.cancel(); }
    void cancel() noexcept { pump_.cancel(); }

private:
    std::optional<value> read_until(std::chrono::steady_clock::time_point limit) {
        while (!over_) {
            bool ended = false;
            std::optional<codec::sse_event> taken = pump_.take(limit, ended);
            if (ended || (taken && taken->name == "server_close")) over_ = true;
            if (over_) break;
            if (!taken) return std::nullopt;
            session_event event = read_session_event(*taken);
            if (is_wanted(event)) return event;
        }
        return value();
    }
    // Some servers do not filter by id, and tell all of the user's events.
    bool is_wanted(const session_event& event) const {
        return session_.empty() || event.session_name == session_ || event.session_id == session_;
    }

    const std::string session_; // empty: all
    event_pump<> pump_;
    std::atomic<bool> over_{false};
};

} // namespace detail

/// Events as they happen; connects anew when the connection is lost, and goes on behind the last event where the server
/// numbers them. What happens between two connections is not told. One thread takes events; cancel() may come from any.
///
/// Errors of next(), and of the iteration: api_error when the server refuses a new connection; client_error{connect,
/// timeout, tls} when there is none after event_options::max_reconnects; protocol for a stream that is none; cancelled,
/// closed.
///
/// In asynchronous mode next() and next_for() return futures and take none of the session's threads while they wait;
/// see async_message_stream for their order and their cancel().
template <class Mode>
class basic_event_stream {
    template <class T>
    using result = typename Mode::template result<T>;

public:
    basic_event_stream(const detail::call_scope& scope, detail::call what, int max_reconnects, std::string session)
        : io_(scope, scope, std::move(what), max_reconnects, std::move(session)) {}

    /// The next event; waits for it. Nothing when the server has ended the stream for good.
    result<std::optional<session_event>> next() { return io_.read(); }
    /// As next(), but nothing also when no event came within @p limit; over() tells which.
    result<std::optional<session_event>> next_for(std::chrono::milliseconds limit) {
        using next_one = std::optional<session_event>;
        return io_.template read_for<next_one>(
            limit, [](std::optional<next_one>&& event) { return event ? std::move(*event) : next_one(); });
    }
    /// Whether there will be no more events.
    bool over() const noexcept { return io_.body().over(); }
    /// Breaks the stream off from any thread: next() throws client_error{cancelled}.
    void cancel() noexcept { io_.body().cancel(); }

    /// For range-for: `for (auto&& event : stream)`. Single pass; begin() waits for the first event. Blocking mode
    /// only.
    using iterator = detail::stream_iterator<basic_event_stream, session_event>;
    iterator begin() { return iterator(*this); }
    iterator end() { return {}; }

private:
    typename Mode::template stream_io<detail::event_feed<>> io_;
};

/// The events of a blocking session.
using event_stream = basic_event_stream<blocking>;

namespace detail {

template <class Mode>
basic_event_stream<Mode> open_event_stream(const call_scope& scope, const std::string& session,
                                           const event_options& options) {
    if (options.scope != "*" && options.scope != "session" && options.scope != "kernel")
        throw client_error(error_kind::argument, "the scope of events is *, session or kernel");
    if (options.max_reconnects < 0) throw client_error(error_kind::argument, "max_reconnects is negative");
    if (!session.empty()) require_single_name(session, "the session id");
    call what;
    what.complete = [session, options](call& request, const dialect& language) {
        language.require(feature::events);
        request.path = std::string(language.events_path);
        request.query.clear(); // of the connection before
        const bool by_id = !language.events_id_key.empty() && codec::is_uuid(session);
        if (!session.empty()) {
            request.query.emplace_back(by_id ? language.events_id_key : language.events_name_key, session);
        }
        if (options.scope != "*") {
            language.require(feature::event_scope);
            request.query.emplace_back("scope", options.scope);
        }
        if (!options.owner_access_key.empty()) request.query.emplace_back("ownerAccessKey", options.owner_access_key);
    };
    return {scope, std::move(what), options.max_reconnects, session};
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
