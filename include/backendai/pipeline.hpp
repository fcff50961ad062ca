/// @file
/// The only road to the transport: retry, then sign, then log, then transport. Every attempt has a fresh date and
/// signature. Everything that a session, its handles and its views share lives here.
#ifndef BACKENDAI_PIPELINE_HPP
#define BACKENDAI_PIPELINE_HPP

#include <backendai/async/executor.hpp>
#include <backendai/codec/date.hpp>
#include <backendai/codec/signature.hpp>
#include <backendai/config.hpp>
#include <backendai/cookie_jar.hpp>
#include <backendai/dialect.hpp>
#include <backendai/http.hpp>
#include <backendai/message_stream.hpp>
#include <backendai/negotiation.hpp>
#include <backendai/response.hpp>
#include <backendai/retry.hpp>
#include <backendai/transport/concept.hpp>
#include <backendai/version.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

/// Limits of the calls made through a view: `session.with(call_options{...})`.
struct call_options {
    std::optional<std::chrono::milliseconds> timeout; ///< of each call (of run(): of each step), all of its requests,
                                                      ///< their retries and, in async mode, its wait for a thread
                                                      ///< included; 0 is none; unset: config's
    cancel_token cancel;                              ///< ends the calls with client_error{cancelled}
    std::optional<retry_policy> retry;                ///< in place of the config's
};

namespace detail {

/// The JSON text of an argument. @throws client_error{argument} when a text in it is not UTF-8
template <class = void>
std::string json_text(const json& value) {
    try {
        return value.dump();
    } catch (const json::exception&) {
        throw client_error(error_kind::argument, "an argument is not valid UTF-8 text");
    }
}

/// Texts of a call that must not come out in an error: a token, a password and what goes with it.
struct secret_texts {
    secret_texts() = default;
    secret_texts(std::string one) : all{std::move(one)} {}                      // NOLINT(google-explicit-constructor)
    secret_texts(std::vector<std::string> several) : all(std::move(several)) {} // NOLINT(google-explicit-constructor)
    std::vector<std::string> all;
};

class any_transport;

/// How the session's transport opens a websocket, and the stream that comes of it. Named by the calls that open one, so
/// that programs without such a call hold no code for websockets.
struct websocket_call {
    /// A handshake as an exchange: a refusal is an answer like any other.
    response_head (*open)(websocket_call&, any_transport&, http_request&, body_sink&, const exchange_context&);
    std::unique_ptr<message_stream> stream = {};
};

/// One call as an API function describes it.
struct call {
    std::string method = "GET";
    std::string path = "/"; ///< after the endpoint's own path; brought to canonical spelling
    codec::query_list query;
    header_list headers; ///< further header fields
    std::string content_type = "text/plain";
    std::string body;
    std::shared_ptr<codec::byte_source> source;
    retry_class retry = retry_class::safe;
    bool waits_for_compute = false;            ///< compute_timeout in place of read_timeout
    bool check_status = true;                  ///< throw api_error unless the status is 2xx
    body_receiver receiver;                    ///< takes the body of a 2xx answer piece by piece
    head_receiver on_head;                     ///< sees the head of a 2xx answer before that
    std::shared_ptr<websocket_call> websocket; ///< when set: a handshake, whose stream goes there
    bool negotiates = true;                    ///< wait until the protocol version is known
    /// A whole URL in place of path and query, for what is not part of the API (a storage proxy): it gets no
    /// signature, no cookie and no version, whatever its origin.
    std::optional<codec::url> elsewhere;
    secret_texts secret;
    /// Writes what depends on the server's generation (path, names of members) once that is known.
    std::function<void(call&, const dialect&)> complete;

    template <class = void>
    void set_json(const json& value) {
        body = json_text(value);
        content_type = "application/json";
    }
};

/// A transport of any type behind one virtual call, so that everything above is compiled once for all of them.
class any_transport {
public:
    any_transport() = default;
    any_transport(const any_transport&) = delete;
    any_transport& operator=(const any_transport&) = delete;
    virtual ~any_transport() = default;
    virtual response_head exchange(http_request& request, body_sink& sink, const exchange_context& context) = 0;
};

template <class Transport>
class transport_holder final : public any_transport {
public:
    template <class... Arguments>
    explicit transport_holder(Arguments&&... arguments) : transport_(std::forward<Arguments>(arguments)...) {}
    response_head exchange(http_request& request, body_sink& sink, const exchange_context& context) override {
        return transport_.exchange(request, sink, context);
    }
    Transport& transport() { return transport_; }

private:
    Transport transport_;
};

template <class Transport>
response_head open_websocket(websocket_call& call, any_transport& transport, http_request& request, body_sink& sink,
                             const exchange_context& context) {
    auto& holder = static_cast<transport_holder<Transport>&>(transport);
    websocket_opening opening = holder.transport().open_websocket(request, context);
    sink.on_head(opening.head);
    if (!opening.body.empty()) sink.on_data(opening.body);
    call.stream = std::move(opening.stream);
    return std::move(opening.head);
}

/// When a call that began at @p start and has that limit must be over; max() when there is no limit.
template <class = void>
exchange_context::clock::time_point deadline_of(std::chrono::milliseconds limit,
                                                exchange_context::clock::time_point start) {
    return limit.count() > 0 ? time_after(limit, start) : (exchange_context::clock::time_point::max)();
}

template <class = void>
bool is_token(std::string_view text) {
    if (text.empty()) return false;
    for (const char c : text) {
        if (!codec::detail::is_unreserved(static_cast<unsigned char>(c)) &&
            std::string_view("!#$%&'*+^`|").find(c) == std::string_view::npos) {
            return false;
        }
    }
    return true;
}

template <class = void>
void require_field_value(std::string_view text, const char* what) {
    if (text.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos) {
        throw client_error(error_kind::argument, std::string(what) + " holds a line break or NUL");
    }
}

template <class = void>
double random_fraction() {
    thread_local std::mt19937_64 generator{std::random_device{}()};
    return std::uniform_real_distribution<double>(0.0, 1.0)(generator);
}

/// The calls that run on this thread, the innermost first, so that a close() from inside a hook of one does not wait
/// for itself. A chain through the callers' stacks.
struct thread_call {
    const void* state;
    const thread_call* outer;
};
template <class = void>
const thread_call*& innermost_call() {
    thread_local const thread_call* innermost = nullptr;
    return innermost;
}
/// Whether a call of @p state runs on this thread right now.
template <class = void>
bool calls_on_this_thread(const void* state) {
    for (const thread_call* each = innermost_call(); each != nullptr; each = each->outer) {
        if (each->state == state) return true;
    }
    return false;
}

class session_state;

/// What a handle or a view needs to make calls, and the limits of a call that has begun.
struct call_scope {
    std::shared_ptr<session_state> state;
    call_options options;
    cancel_token task_cancel = {}; ///< of the asynchronous call that is running, in place of the options'
    /// When the call that has begun must be over; unset: each request has the whole time.
    std::optional<exchange_context::clock::time_point> deadline = {};

    /// For the requests of one call together, whose time counts from now; of a call that has begun, the same.
    template <class = void>
    call_scope begun() const;
    /// The same limits, for handles and streams that outlive the call which makes them.
    call_scope outside_call() const { return {state, options}; }

    template <class = void>
    response perform(call what) const;
    template <class = void>
    dialect negotiate() const;
    /// For what takes long without a request. @throws client_error{cancelled, closed, timeout} when it must not go on;
    /// argument for limits that are none
    template <class = void>
    void check() const;
    /// Opens a websocket by the session's transport. Retry class: safe, as a handshake has no effect. @throws api_error
    /// when it is refused
    template <class Transport>
    std::unique_ptr<message_stream> open_websocket(call what) const;
};

/// What a session, its views and its handles share. Thread-safe.
class session_state {
public:
    template <class = void>
    session_state(api_config config, std::unique_ptr<any_transport> transport);
    session_state(const session_state&) = delete;
    session_state& operator=(const session_state&) = delete;
    ~session_state() {
        if (executor_) executor_->stop(); // its threads, which share it, end by that
    }

    const api_config& config() const noexcept { return config_; }
    any_transport& transport() noexcept { return *transport_; }
    bool closed() const noexcept { return closing_.cancelled(); }

    /// Ends running calls with client_error{closed} and waits for them, and for the threads of the asynchronous mode:
    /// unless it is called by one of them or from a hook of a running call, which would be waiting for itself.
    template <class = void>
    void close() {
        closing_.cancel();
        std::unique_lock<std::mutex> lock(mutex_);
        const std::shared_ptr<executor> threads = executor_;
        lock.unlock();
        if (threads) threads->stop();
        if (calls_on_this_thread(this) || (threads && threads->on_own_thread())) return;
        lock.lock();
        idle_.wait(lock, [this] { return running_ == 0; });
        lock.unlock();
        if (threads) threads->join();
    }

    /// The threads of the asynchronous mode, made when first asked for; stopped when the session is closed.
    template <class = void>
    std::shared_ptr<executor> threads() {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (!executor_) {
            executor_ = std::make_shared<executor>(config_.async_threads);
            if (closed()) executor_->stop();
        }
        return executor_;
    }

    /// Performs a request: the whole pipeline.
    template <class = void>
    response perform(call& what, const call_scope& scope);

    /// How to speak with the server: as the configuration says, else as negotiated, now if need be. Errors as
    /// perform().
    template <class = void>
    dialect negotiate(const call_scope& scope) {
        const running_call guard(*this);
        return negotiated(make_context(call(), scope), policy_of(scope));
    }
    /// What is known of that now; the default while nothing is.
    template <class = void>
    dialect present_dialect() const {
        if (pinned_) return *pinned_;
        const auto known = negotiation_.look();
        return known ? *known : dialect_of(std::string(default_protocol_version));
    }
    version_negotiation& negotiation() noexcept { return negotiation_; }
    /// Those of endpoint_type "session"; null for "api".
    cookie_jar<>* cookies() noexcept { return cookies_.get(); }
    /// Triggered when the session is closed.
    cancel_token closing() const { return closing_.token(); }

    /// Waits before another attempt of what ended with @p failure; false when there must be none. @param attempt the
    /// number of the one that failed @throws client_error when the waiting is cancelled, closed or out of time
    template <class = void>
    bool wait_for_retry(const error& failure, int attempt, const call_scope& scope) {
        const running_call guard(*this);
        const exchange_context context = make_context(call(), scope);
        const auto delay = retry_delay(policy_of(scope), retry_class::safe, attempt, failure, now(), jitter());
        if (!delay || ends_before(context, *delay) || !budget_.take(false)) return false;
        pause(*delay, context);
        return true;
    }
    /// Waits. @throws as wait_for_retry()
    template <class = void>
    void wait(std::chrono::milliseconds time, const call_scope& scope) {
        const running_call guard(*this);
        pause(time, make_context(call(), scope));
    }
    /// That of the call's options, else the configuration's.
    template <class = void>
    const retry_policy& policy_of(const call_scope& scope) const {
        return scope.options.retry ? *scope.options.retry : config_.retry;
    }
    /// See call_scope.
    template <class = void>
    void check(const call_scope& scope) const {
        make_context(call(), scope).check();
    }

    codec::utc_time now() const { return config_.clock ? config_.clock() : std::chrono::system_clock::now(); }
    /// A part of a delay, 0 to 1.
    template <class = void>
    double jitter() const {
        return config_.jitter ? config_.jitter() : random_fraction();
    }

    /// The headers that identify and authorise a request to @p target with @p content_type.
    /// @param version empty for the present one
    template <class = void>
    header_list signed_headers(const http_request& request, const std::string& content_type,
                               std::string version = {}) const {
        if (version.empty()) version = present_dialect().version;
        const std::string date = codec::format_date(now());
        const std::string target = request.url.target();
        const std::string host = request.url.host_header();
        header_list headers;
        headers.reserve(8);
        headers.add("User-Agent", *config_.user_agent);
        headers.add("X-BackendAI-Version", version);
        headers.add("Date", date);
        headers.add("Content-Type", content_type);
        if (!cookies_) {
            headers.add("Authorization",
                        signer_.sign({request.method, target, date, host, content_type, version, request.body}));
        } else if (std::string cookies = cookies_->header(request.url, now()); !cookies.empty()) {
            headers.add("Cookie", std::move(cookies));
        }
        return headers;
    }

private:
    // Counts a call in and out, so that close() can wait for it.
    class running_call {
    public:
        template <class = void>
        explicit running_call(session_state& state) : state_(state) {
            ++state_.running_; // before the look: close() sees either the call or its refusal
            if (state_.closed()) {
                end();
                throw client_error(error_kind::closed, "the session was closed");
            }
            innermost_call() = &link_;
        }
        running_call(const running_call&) = delete;
        running_call& operator=(const running_call&) = delete;
        ~running_call() {
            innermost_call() = link_.outer;
            end();
        }

    private:
        // Only close() waits for the last one, so that calls need no lock before it.
        template <class = void>
        void end() {
            if (--state_.running_ != 0 || !state_.closed()) return;
            const std::lock_guard<std::mutex> lock(state_.mutex_);
            state_.idle_.notify_all();
        }

        session_state& state_;
        const thread_call link_{&state_, innermost_call()};
    };

    template <class = void>
    exchange_context make_context(const call& what, const call_scope& scope) const {
        exchange_context context;
        const auto limit = scope.options.timeout.value_or(config_.timeout);
        if (limit.count() < 0) throw client_error(error_kind::argument, "a time limit is negative; 0 means no limit");
        context.deadline = scope.deadline ? *scope.deadline : deadline_of(limit, exchange_context::clock::now());
        context.connect_timeout = config_.connect_timeout;
        context.read_timeout = what.waits_for_compute ? config_.compute_timeout : config_.read_timeout;
        context.cancel = scope.task_cancel.can_be_cancelled() ? scope.task_cancel : scope.options.cancel;
        context.closing = closing_.token();
        return context;
    }

    template <class = void>
    dialect negotiated(const exchange_context& context, const retry_policy& policy) {
        if (pinned_) return *pinned_;
        return negotiation_.get(context, [&] { return probe(context, policy); });
    }

    // `GET /` under the limits of the call that wants to know.
    template <class = void>
    probe_result probe(const exchange_context& call_context, const retry_policy& policy) {
        exchange_context context = call_context;
        context.read_timeout = config_.read_timeout;
        call what;
        http_request request = make_request(what);
        try {
            const response answer =
                make_attempts(request, what, context, policy, std::string(default_protocol_version));
            const json greeting = answer.json();
            probe_result result;
            if (greeting.is_object() && greeting.contains("version") && greeting["version"].is_string()) {
                result.announced = greeting["version"].get<std::string>();
            }
            return result;
        } catch (const error& failure) {
            return judge_probe_failure(failure,
                                       context.has_deadline() && exchange_context::clock::now() >= context.deadline);
        }
    }

    // Sends the request until there is an answer to give back, or no more patience.
    template <class = void>
    response make_attempts(http_request& request, const call& what, const exchange_context& context,
                           const retry_policy& policy, const std::string& version) {
        for (int attempt = 1;; ++attempt) {
            context.check(attempt > 1 ? client_error::progress::maybe_sent : client_error::progress::nothing_sent);
            response_sink<> sink(what.receiver, config_.max_response_size, what.check_status, what.on_head);
            std::optional<api_error> refused;
            std::optional<client_error> failed;
            try {
                attempt_once(request, what, sink, context, attempt, version);
                const int status = sink.head().status;
                if ((status >= 200 && status < 300 && !what.websocket) || (status == 101 && what.websocket)) {
                    budget_.refund(attempt > 1);
                    return response(sink.take_head(), sink.take_body());
                }
                if (status < 400 && !what.check_status) return response(sink.take_head(), sink.take_body());
                refused.emplace(make_api_error(sink.head(), sink.take_body(), secrets_of(request, what)));
            } catch (const client_error& e) {
                failed.emplace(e);
            }
            const error& failure = refused ? static_cast<const error&>(*refused) : *failed;
            const auto delay =
                sink.delivered() ? std::nullopt : retry_delay(policy, what.retry, attempt, failure, now(), jitter());
            const bool timed_out = failed && failed->kind() == error_kind::timeout;
            if (!delay || ends_before(context, *delay) || !budget_.take(timed_out)) {
                if (failed) throw *failed;
                if (what.check_status) throw *refused;
                return response(sink.take_head(), refused->body());
            }
            wait(*delay, context);
        }
    }

    // Takes the body out of the call.
    template <class = void>
    http_request make_request(call& what) const {
        http_request request;
        if (!is_token(what.method))
            throw client_error(error_kind::argument, "not an HTTP method: \"" + what.method + '"');
        request.method = upper_case(what.method);
        require_field_value(what.content_type, "the content type");
        for (const auto& header : what.headers) {
            if (!is_token(header.first))
                throw client_error(error_kind::argument, "not a header name: \"" + header.first + '"');
            require_field_value(header.second, "a header value");
        }
        try {
            if (what.elsewhere) {
                request.url = *what.elsewhere;
            } else {
                set_place(request, what);
            }
        } catch (const codec::decode_error& e) {
            throw client_error(error_kind::argument, std::string("the path is not usable, ") + e.what());
        }
        if (!what.query.empty()) {
            if (!request.url.query.empty()) request.url.query += '&';
            request.url.query += codec::make_query(what.query);
        }
        request.body = std::move(what.body);
        request.source = what.source;
        return request;
    }

    template <class = void>
    void set_place(http_request& request, const call& what) const {
        request.url = endpoint_;
        const std::size_t question = what.path.find('?');
        std::string path = codec::canonical_path(what.path.substr(0, question));
        if (path.empty() || path.front() != '/') path.insert(0, "/");
        // A webserver has the manager's whole API below this, and a few paths of its own.
        if (cookies_ && path.compare(0, 8, "/server/") != 0) request.url.path += "/func";
        request.url.path += path;
        if (question != std::string::npos) request.url.query = codec::canonical_query(what.path.substr(question + 1));
    }

    template <class = void>
    void attempt_once(http_request& request, const call& what, response_sink<>& sink, const exchange_context& context,
                      int attempt, const std::string& version) {
        if (request.source) rewind(*request.source);
        sign(request, what, version);
        log_record record;
        const auto start = exchange_context::clock::now();
        const std::string asked = config_.on_log ? request.url.path : std::string(); // a redirect changes the request's
        std::optional<codec::url> original;
        const auto finish = [&] {
            if (original) request.url = *original; // another attempt begins at the beginning, not where a redirect led
            if (!config_.on_log) return;
            record.method = request.method;
            record.path = asked;
            record.attempt = attempt;
            record.duration =
                std::chrono::duration_cast<std::chrono::microseconds>(exchange_context::clock::now() - start);
            config_.on_log(record);
        };
        try {
            for (int redirects = 0;; ++redirects) {
                const response_head head =
                    what.websocket ? what.websocket->open(*what.websocket, *transport_, request, sink, context)
                                   : transport_->exchange(request, sink, context);
                record.status = head.status;
                if (cookies_ && !what.elsewhere) cookies_->absorb(head, request.url, now());
                const auto next = redirects < 5 ? redirect_target(request, head) : std::nullopt;
                if (!next) break;
                if (!original) original = request.url;
                request.url.path = next->path;
                request.url.query = next->query;
                sink.take_body();
                sign(request, what, version);
            }
        } catch (const client_error& e) {
            record.status = 0; // of the redirect
            record.failure = to_string(e.kind());
            finish();
            // A local file that fails in the middle of an exchange does not know that it is in one.
            if (e.kind() == error_kind::io) throw e.after_sending();
            throw;
        } catch (...) {
            record.failure = "handler"; // what receives the body threw an exception of its own
            finish();
            throw;
        }
        finish();
    }

    // Also before the first attempt: a source may have been read before, by an earlier call with the same request.
    template <class = void>
    static void rewind(codec::byte_source& source) {
        try {
            source.rewind();
        } catch (const codec::source_error& e) {
            throw client_error(error_kind::io, std::string("the body cannot be read from its start: ") + e.what());
        }
    }

    template <class = void>
    void sign(http_request& request, const call& what, const std::string& version) const {
        if (what.elsewhere) {
            request.headers = {{"User-Agent", *config_.user_agent}};
            if (request.has_body()) request.headers.add("Content-Type", what.content_type);
        } else {
            request.headers = signed_headers(request, what.content_type, version);
        }
        for (const auto& header : what.headers) request.headers.set(header.first, header.second);
    }

    // What a server or proxy that echoes requests must not bring into a log.
    template <class = void>
    static std::vector<std::string> secrets_of(const http_request& request, const call& what) {
        const std::string header = request.headers.get("Authorization");
        std::vector<std::string> secrets = what.secret.all;
        secrets.push_back(header.substr(header.rfind(':') + 1));
        const std::string cookies = request.headers.get("Cookie");
        for (std::size_t at = 0; at < cookies.size();) {
            const std::size_t end = (std::min)(cookies.find("; ", at), cookies.size());
            secrets.push_back(cookies.substr(at, end - at).substr(cookies.find('=', at) + 1 - at));
            at = end + 2;
        }
        return secrets;
    }

    // Where a redirect leads when it may be followed: a GET without a body that stays on the same origin.
    template <class = void>
    static std::optional<codec::url> redirect_target(const http_request& request, const response_head& head) {
        const int status = head.status;
        const bool redirect = status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
        if (!redirect || request.method != "GET" || request.has_body()) return {};
        std::string location = head.headers.get("Location");
        if (location.empty()) return {};
        if (location[0] == '/' && location.substr(0, 2) != "//") location.insert(0, request.url.origin());
        try {
            codec::url next = codec::parse_url(location);
            if (next.origin() != request.url.origin()) return {};
            return next;
        } catch (const codec::decode_error&) {
            return {}; // not a place this client goes to: the caller gets the 3xx answer
        }
    }

    template <class = void>
    static bool ends_before(const exchange_context& context, std::chrono::milliseconds delay) {
        return context.has_deadline() && exchange_context::clock::now() + delay >= context.deadline;
    }

    template <class = void>
    void pause(std::chrono::milliseconds delay, const exchange_context& context) const {
        wait(delay, context);
        context.check(client_error::progress::maybe_sent);
    }

    template <class = void>
    void wait(std::chrono::milliseconds delay, const exchange_context& context) const {
        if (config_.sleeper) {
            config_.sleeper(delay);
            return;
        }
        std::mutex mutex;
        std::condition_variable woken;
        const auto wake = [&] {
            const std::lock_guard<std::mutex> lock(mutex);
            woken.notify_all();
        };
        const cancel_token::listener on_cancel(context.cancel, wake);
        const cancel_token::listener on_close(context.closing, wake);
        std::unique_lock<std::mutex> lock(mutex);
        woken.wait_for(lock, delay, [&] { return context.interrupted(); });
    }

    const api_config config_;
    const std::optional<dialect> pinned_; // of the version that the configuration names
    codec::url endpoint_;
    const codec::signer signer_;
    std::unique_ptr<cookie_jar<>> cookies_; // in place of signatures
    retry_budget budget_;
    std::unique_ptr<any_transport> transport_;
    version_negotiation negotiation_;
    cancel_source closing_;
    std::mutex mutex_;
    std::condition_variable idle_;
    std::atomic<int> running_{0};
    std::shared_ptr<executor> executor_;
};

// Out of the class, so that they are not inline and can be made in one file for a whole program, see
// transport/httplib.hpp.
template <class>
session_state::session_state(api_config config, std::unique_ptr<any_transport> transport)
    : config_(std::move(config)),
      pinned_(config_.version ? std::optional<dialect>(dialect_of(*config_.version)) : std::nullopt),
      endpoint_(codec::parse_url(*config_.endpoint)),
      signer_(*config_.access_key, *config_.secret_key, *config_.hash_type),
      budget_(config_.retry),
      transport_(std::move(transport)) {
    while (!endpoint_.path.empty() && endpoint_.path.back() == '/') endpoint_.path.pop_back();
    if (*config_.endpoint_type == "session") cookies_ = std::make_unique<cookie_jar<>>(endpoint_, config_.cookie_file);
}

template <class>
response session_state::perform(call& what, const call_scope& scope) {
    const running_call guard(*this);
    if (scope.options.retry) check_retry_policy(*scope.options.retry);
    const exchange_context context = make_context(what, scope);
    const retry_policy& policy = policy_of(scope);
    // What is wrong with the arguments is found before anything is sent, the question for the version included.
    http_request request;
    if (!what.complete) request = make_request(what);
    const dialect language = what.negotiates && !what.elsewhere ? negotiated(context, policy) : present_dialect();
    if (what.complete) {
        what.complete(what, language);
        request = make_request(what);
    }
    return make_attempts(request, what, context, policy, language.version);
}

template <class>
call_scope call_scope::begun() const {
    call_scope call = *this;
    if (!deadline) {
        const auto limit = options.timeout.value_or(state->config().timeout);
        call.deadline = deadline_of(limit, exchange_context::clock::now());
    }
    return call;
}
template <class>
response call_scope::perform(call what) const {
    return state->perform(what, *this);
}
template <class>
dialect call_scope::negotiate() const {
    return state->negotiate(*this);
}
template <class>
void call_scope::check() const {
    state->check(*this);
}
template <class Transport>
std::unique_ptr<message_stream> call_scope::open_websocket(call what) const {
    what.method = "GET";
    what.content_type = "application/octet-stream";
    what.retry = retry_class::safe;
    what.check_status = true;
    what.websocket = std::make_shared<websocket_call>(websocket_call{&detail::open_websocket<Transport>});
    state->perform(what, *this);
    // Its opening obeyed the asynchronous call's cancel, which the caller's token triggers only as long as that runs.
    if (!task_cancel.can_be_cancelled() || !options.cancel.can_be_cancelled()) return std::move(what.websocket->stream);
    return std::make_unique<cancellable_stream<>>(std::move(what.websocket->stream), options.cancel);
}

} // namespace detail

BACKENDAI_NAMESPACE_END

#endif
