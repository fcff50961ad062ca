/// @file
/// Brings a stream of server-sent events from the network to whoever asks for the next one: a thread of its own that
/// reads, connects anew, and waits when nobody takes what it has.
#ifndef BACKENDAI_API_EVENT_PUMP_HPP
#define BACKENDAI_API_EVENT_PUMP_HPP

#include <backendai/cancel.hpp>
#include <backendai/codec/decode_error.hpp>
#include <backendai/codec/printable.hpp>
#include <backendai/codec/sse.hpp>
#include <backendai/error.hpp>
#include <backendai/pipeline.hpp>
#include <backendai/response.hpp>
#include <backendai/version.hpp>
#include <backendai/wire.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// One thread takes, cancel() may come from any.
template <class = void>
class event_pump {
public:
    using clock = std::chrono::steady_clock;

    /// Opens the stream and returns when the server's answer has begun, within the limits of @p scope; its cancel token
    /// holds on. @throws what the call throws; client_error{io} when no thread can be started
    event_pump(const call_scope& scope, call what, int max_reconnects)
        : scope_(scope.outside_call()),
          what_(std::move(what)),
          max_reconnects_(max_reconnects),
          policy_(scope.state->policy_of(scope)),
          on_cancel_(scope.options.cancel, [this] { cancel(); }),
          on_close_(scope_.state->closing(), [this] { stop_waiting(); }) {
        scope.check();
        scope_.options.cancel = stopping_.token();
        scope_.options.timeout = std::chrono::milliseconds(0); // a stream is over when it is
        what_.content_type = "application/octet-stream";
        what_.headers = {{"Accept", "text/event-stream"}, {"Cache-Control", "no-cache"}};
        what_.on_head = [this](const response_head& head) { begin(head); };
        what_.receiver = [this](std::string_view bytes) { receive(bytes); };
        try {
            thread_ = std::thread([this] { run(); });
        } catch (const std::system_error& e) {
            throw client_error(error_kind::io, std::string("no thread can be started: ") + e.what());
        }
        try {
            const cancel_token::listener on_task_cancel(scope.task_cancel, [this] { cancel(); });
            wait_for_opening(*scope.begun().deadline);
        } catch (...) {
            cancel();
            thread_.join();
            throw;
        }
    }
    event_pump(const event_pump&) = delete;
    event_pump& operator=(const event_pump&) = delete;
    ~event_pump() {
        cancel();
        thread_.join();
    }

    /// The next event, or nothing: when none came until @p limit, or, and then @p over is set, when there are no more.
    std::optional<codec::sse_event> take(clock::time_point limit, bool& over) {
        std::unique_lock<std::mutex> lock(mutex_);
        const auto ready = [this] { return cancelled_ || !events_.empty() || ended_; };
        if (limit == (clock::time_point::max)()) {
            changed_.wait(lock, ready);
        } else if (!changed_.wait_until(lock, limit, ready)) {
            return std::nullopt;
        }
        if (cancelled_) {
            throw client_error(error_kind::cancelled, "the stream was cancelled", client_error::progress::maybe_sent);
        }
        if (events_.empty()) {
            if (failure_) std::rethrow_exception(failure_);
            over = true;
            return std::nullopt;
        }
        std::optional<codec::sse_event> event = std::move(events_.front());
        events_.pop_front();
        waiting_bytes_ -= cost_of(*event);
        lock.unlock();
        changed_.notify_all();
        return event;
    }

    void cancel() noexcept {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            cancelled_ = true;
        }
        stop_waiting();
        stopping_.cancel();
    }

private:
    // That wait to be taken; one more event comes in below these.
    static constexpr std::size_t most_events = 256, most_bytes = 4U << 20U;

    static std::size_t cost_of(const codec::sse_event& event) {
        return sizeof event + event.name.size() + event.data.size() + event.id.size();
    }

    // The end of one connection for which there is no other.
    struct end_of_stream {};

    // Of this object's own waits; transports end theirs by the tokens.
    void stop_waiting() {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            stopped_ = true;
        }
        changed_.notify_all();
    }

    void wait_for_opening(clock::time_point deadline) {
        std::unique_lock<std::mutex> lock(mutex_);
        const auto ready = [this] { return opened_ || ended_; };
        if (deadline == (clock::time_point::max)()) {
            changed_.wait(lock, ready);
        } else if (!changed_.wait_until(lock, deadline, ready)) {
            throw client_error(error_kind::timeout, "the call's time limit was reached",
                               client_error::progress::maybe_sent);
        }
        if (!opened_ && failure_) std::rethrow_exception(failure_);
    }

    // --- the thread --------------------------------------------------------------------------------------------------

    void run() noexcept {
        std::exception_ptr failure;
        try {
            int hasty = 0; // connections in a row that were soon over
            for (int failures = 0; !failure;) {
                const auto start = clock::now();
                had_event_ = false;
                failure = connect();
                if (!failure) break; // ended for good
                // A connection that was of use does not count as a failed one, but events alone, each on a connection
                // of its own, are no reason to hurry.
                const bool lasted = clock::now() - start > std::chrono::seconds(10);
                if (had_event_ || lasted) failures = 0;
                hasty = lasted ? 1 : hasty + 1;
                if (is_final_ || ++failures > max_reconnects_) break;
                failure = nullptr;
                wait_before(hasty);
            }
        } catch (...) {
            failure = std::current_exception();
        }
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            failure_ = failure;
            ended_ = true;
        }
        changed_.notify_all();
    }

    // One connection from its beginning to its end. Returns why it ended; null when the server wants no other.
    std::exception_ptr connect() {
        is_final_ = true;
        codec::sse_parser next;
        if (parser_) next.set_last_event_id(parser_->last_event_id());
        parser_.emplace(std::move(next));
        if (!parser_->last_event_id().empty()) what_.headers.set("Last-Event-ID", parser_->last_event_id());
        try {
            scope_.perform(what_);
            is_final_ = false;
            return std::make_exception_ptr(client_error(error_kind::connect, "the server ended the event stream",
                                                        client_error::progress::maybe_sent));
        } catch (const end_of_stream&) {
            return nullptr;
        } catch (const api_error& e) {
            is_final_ = !opened_ || (e.status() < 500 && e.status() != 429);
            return std::current_exception();
        } catch (const client_error& e) {
            // A stream that is cut off comes out as an error of the HTTP protocol.
            const bool lost =
                e.kind() == error_kind::connect || e.kind() == error_kind::timeout || e.kind() == error_kind::protocol;
            is_final_ = !opened_ || !lost || is_broken_;
            return std::current_exception();
        } catch (...) {
            return std::current_exception();
        }
    }

    void begin(const response_head& head) {
        if (head.status == 204) throw end_of_stream(); // how the standard says "do not come again"
        const std::string type = codec::media_type(head.headers.get("Content-Type"));
        if (type != "text/event-stream") {
            is_broken_ = true;
            bad_answer("no event stream but \"" + codec::printable_text(type, 100) + '"');
        }
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            opened_ = true;
        }
        changed_.notify_all();
    }

    void receive(std::string_view bytes) {
        try {
            parser_->feed(bytes, [this](codec::sse_event event) { put(std::move(event)); });
        } catch (const codec::decode_error& e) {
            is_broken_ = true;
            bad_answer(e.what());
        }
    }

    void put(codec::sse_event event) {
        had_event_ = true;
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [this] { return stopped_ || has_room(); });
        if (stopped_) {
            throw client_error(scope_.state->closed() && !cancelled_ ? error_kind::closed : error_kind::cancelled,
                               "the stream was broken off", client_error::progress::maybe_sent);
        }
        waiting_bytes_ += cost_of(event);
        events_.push_back(std::move(event));
        lock.unlock();
        changed_.notify_all();
    }

    bool has_room() const { return events_.size() < most_events && waiting_bytes_ < most_bytes; }

    // As long as the server asks for, but not less than between the attempts of a call. Up to a quarter more, so that
    // the clients of a server that starts anew do not come all at once.
    void wait_before(int hasty) {
        if (parser_->retry()) server_delay_ = parser_->retry();
        std::chrono::milliseconds delay = (std::max)(server_delay_.value_or(policy_.base_delay), policy_.base_delay);
        for (int i = 1; i < hasty && delay < policy_.max_delay; ++i) delay *= 2;
        delay = (std::min)(delay, policy_.max_delay);
        delay += std::chrono::milliseconds(
            static_cast<std::int64_t>(scope_.state->jitter() * 0.25 * static_cast<double>(delay.count())));
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait_for(lock, delay, [this] { return stopped_; });
    }

    call_scope scope_;
    call what_;
    const int max_reconnects_;
    const retry_policy policy_;
    cancel_source stopping_;
    // Of the thread alone:
    std::optional<codec::sse_parser> parser_;
    std::optional<std::chrono::milliseconds> server_delay_;
    bool had_event_ = false, is_final_ = true, is_broken_ = false;

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<codec::sse_event> events_;
    std::size_t waiting_bytes_ = 0; // of events_
    std::exception_ptr failure_;
    bool opened_ = false, ended_ = false, stopped_ = false, cancelled_ = false;
    std::thread thread_;
    cancel_token::listener on_cancel_, on_close_; // last: gone first, as they use the rest
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
