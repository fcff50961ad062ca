/// @file
/// One HTTP exchange on one libcurl connection: the callbacks between libcurl and the SDK, the waiting, the errors.
#ifndef BACKENDAI_TRANSPORT_CURL_EXCHANGE_HPP
#define BACKENDAI_TRANSPORT_CURL_EXCHANGE_HPP

#include <backendai/transport/callback_guard.hpp>
#include <backendai/transport/curl_connection.hpp>
#include <backendai/transport/curl_setup.hpp>
#include <backendai/transport/framing.hpp>
#include <backendai/transport/head_reader.hpp>
#include <backendai/transport/proxy.hpp>
#include <backendai/version.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

template <class = void>
class curl_exchange {
    using progress = client_error::progress;
    using clock = exchange_context::clock;

public:
    curl_exchange(curl_connection<>& connection, http_request& request, body_sink& sink,
                  const exchange_context& context)
        : connection_(connection), request_(request), sink_(sink), context_(context) {}
    curl_exchange(const curl_exchange&) = delete;
    curl_exchange& operator=(const curl_exchange&) = delete;

    /// Performs the exchange; @p addresses are those of the host, or of the proxy, when it was looked up. Returns
    /// whether the connection can be kept. @throws as transport/concept.hpp says
    bool run(const std::optional<proxy_server>& proxy, const std::vector<std::string>& addresses) {
        connection_.begin_exchange();
        tls_events::reset();
        set_request(proxy, addresses);
        const cancel_token::listener on_cancel(context_.cancel, [this] { connection_.wake_up(); });
        const cancel_token::listener on_close(context_.closing, [this] { connection_.wake_up(); });
        last_byte_ = clock::now();
        const curl_attachment in_multi(connection_);
        const CURLcode code = wait_for_end();
        guard_.rethrow();
        if (code != CURLE_OK) fail(code);
        if (!framing_) fail(CURLE_GOT_NOTHING);
        framing_->finish();
        if (framing_->ends_with_connection() && request_.url.is_tls() && !curl_connection<>::end_is_announced()) {
            throw client_error(error_kind::protocol, "the answer of " + request_.url.host_header() + " is cut short",
                               progress::maybe_sent);
        }
        return connection_.keep(clock::now());
    }

    response_head take_head() { return std::move(reader_.head()); }

private:
    template <class T>
    void set(CURLoption option, T value) {
        curl_set(connection_.easy(), option, value);
    }

    void set_request(const std::optional<proxy_server>& proxy, const std::vector<std::string>& addresses) {
        const codec::url& url = request_.url;
        set(CURLOPT_URL, (url.origin() + '/').c_str());
        // A proxy that gets a plain request wants all of the URL; through a TLS tunnel only the server sees it.
        const bool whole_url = proxy && !url.is_tls();
        set(CURLOPT_REQUEST_TARGET, ((whole_url ? url.origin() : std::string()) + url.target()).c_str());
        curl_set_proxy(connection_.easy(), proxy);
        curl_set_connect_timeout(connection_.easy(), context_.connect_timeout);
        curl_add_addresses(resolved_, proxy ? proxy->host : url.host, proxy ? proxy->port : url.port, addresses);
        set(CURLOPT_RESOLVE, resolved_.get());
        set_body();
        headers_.add("Host: " + url.host_header());
        headers_.add("Expect:"); // no waiting for a "100 Continue" that may never come
        if (request_.headers.find("Content-Type") == nullptr) headers_.add("Content-Type:");
        for (const auto& field : request_.headers) {
            headers_.add(field.second.empty() ? field.first + ';' : field.first + ": " + field.second);
        }
        set(CURLOPT_HTTPHEADER, headers_.get());
        set(CURLOPT_HEADERDATA, static_cast<void*>(this));
        set(CURLOPT_HEADERFUNCTION, &on_header);
        set(CURLOPT_WRITEDATA, static_cast<void*>(this));
        set(CURLOPT_WRITEFUNCTION, &on_body);
        // libcurl repeats a request on a new connection when a kept one turns out dead, also a POST that the server may
        // have worked on. The second round is refused where libcurl tells of it; before that, only GET may use a kept
        // one.
        knows_start_ = false;
#if LIBCURL_VERSION_NUM >= 0x075000
        knows_start_ = curl_easy_setopt(connection_.easy(), CURLOPT_PREREQDATA, static_cast<void*>(this)) == CURLE_OK &&
                       curl_easy_setopt(connection_.easy(), CURLOPT_PREREQFUNCTION, &on_start) == CURLE_OK;
#endif
        set(CURLOPT_FRESH_CONNECT, knows_start_ || request_.method == "GET" ? 0L : 1L);
    }

    void set_body() {
        set(CURLOPT_POSTFIELDS, static_cast<char*>(nullptr)); // which makes it a POST, hence first
        set(CURLOPT_HTTPGET, 1L);                             // forgets the method of the exchange before
        set(CURLOPT_CUSTOMREQUEST, static_cast<char*>(nullptr));
        if (request_.method == "HEAD") {
            set(CURLOPT_NOBODY, 1L);
            return;
        }
        set(CURLOPT_CUSTOMREQUEST, request_.method.c_str());
        const std::uint64_t size = request_.source ? request_.source->size() : request_.body.size();
        if (size > static_cast<std::uint64_t>((std::numeric_limits<curl_off_t>::max)())) {
            throw client_error(error_kind::argument, "the body is too large");
        }
        const bool expects_body = request_.method == "POST" || request_.method == "PUT" || request_.method == "PATCH";
        if (size == 0 && !expects_body) return;
        set(CURLOPT_POST, 1L);
        set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(size));
        if (size == 0) {
            set(CURLOPT_POSTFIELDS, "");
        } else if (!request_.source) {
            set(CURLOPT_POSTFIELDS, request_.body.data());
        } else {
            left_ = size;
            set(CURLOPT_UPLOAD_BUFFERSIZE, 1024L * 1024);
            set(CURLOPT_READDATA, static_cast<void*>(this));
            set(CURLOPT_READFUNCTION, &on_read);
        }
    }

    CURLcode wait_for_end() {
        for (;;) {
            int running = 0;
            if (curl_multi_perform(connection_.multi(), &running) != CURLM_OK) throw std::bad_alloc();
            int left = 0;
            while (const CURLMsg* message = curl_multi_info_read(connection_.multi(), &left)) {
                if (message->msg == CURLMSG_DONE) return message->data.result;
            }
            context_.check(sent());
            int active = 0;
            if (curl_multi_poll(connection_.multi(), nullptr, 0, next_look(), &active) != CURLM_OK) {
                throw std::bad_alloc();
            }
            if (active > 0) last_byte_ = clock::now();
            context_.check(sent());
        }
    }

    // How long to wait for the socket, in milliseconds. @throws client_error{timeout} when the peer has stalled
    int next_look() const {
        using std::chrono::milliseconds;
        milliseconds longest = context_.within(milliseconds(1000));
        const milliseconds limit = context_.read_timeout;
        if (limit.count() > 0 && sent() == progress::maybe_sent) {
            const auto quiet = std::chrono::duration_cast<milliseconds>(clock::now() - last_byte_);
            if (quiet >= limit) {
                const std::string peer = request_.url.host_header();
                throw client_error(error_kind::timeout,
                                   left_ > 0 ? peer + " took nothing of the request for too long"
                                             : "no byte of the answer of " + peer + " came for too long",
                                   progress::maybe_sent);
            }
            longest = (std::min)(longest, limit - quiet + milliseconds(1));
        }
        return static_cast<int>(longest.count());
    }

    progress sent() const {
        bool started = started_;
        if (!knows_start_) {
            curl_off_t time = 0;
            started = curl_easy_getinfo(connection_.easy(), CURLINFO_PRETRANSFER_TIME_T, &time) == CURLE_OK && time > 0;
        }
        return started ? progress::maybe_sent : progress::nothing_sent;
    }

    [[noreturn]] void fail(CURLcode code) {
        const std::string peer = request_.url.host_header();
        const std::string_view words = connection_.error_text();
        const std::string why = ": " + (words.empty() ? std::string(curl_easy_strerror(code)) : std::string(words));
        context_.check(sent());
        const bool lost = code == CURLE_GOT_NOTHING || code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR ||
                          code == CURLE_SEND_FAIL_REWIND || code == CURLE_ABORTED_BY_CALLBACK;
        // What libcurl before 8.6 calls it when a line of the head outgrows its limit of 100 KB.
        const bool overlong = code == CURLE_OUT_OF_MEMORY && started_ && !framing_;
        if (code == CURLE_OUT_OF_MEMORY && !overlong) throw std::bad_alloc();
        if (overlong || reader_.started() || (lost && answered())) {
            throw client_error(error_kind::protocol, "the answer of " + peer + " is cut short or wrongly framed" + why,
                               progress::maybe_sent);
        }
        if (lost) {
            // With TLS 1.3 a server that misses a client certificate says so after the handshake, by an alert.
            if (request_.url.is_tls() && words.find("alert") != std::string_view::npos) {
                throw client_error(error_kind::tls, peer + " ended the TLS connection" + why, progress::maybe_sent);
            }
            throw client_error(error_kind::connect, peer + " closed the connection without an answer" + why, sent());
        }
        curl_throw_if_unconnected(code, connection_.easy(), peer, why, sent());
        throw client_error(error_kind::protocol, "the answer of " + peer + " is not usable" + why, sent());
    }

    // Whether bytes of an answer came that did not make a line; the end of the peer's data counts as a byte, too. What
    // TLS carries cannot be told from its own records.
    bool answered() {
        return started_ && !request_.url.is_tls() && connection_.bytes_received() > received_before_ + 1;
    }

    static std::size_t on_header(char* data, std::size_t size, std::size_t count, void* self) {
        curl_exchange& exchange = *static_cast<curl_exchange*>(self);
        const bool good = exchange.guard_.run([&] { exchange.take_line({data, size * count}); });
        return good ? size * count : 0;
    }
    static std::size_t on_body(char* data, std::size_t size, std::size_t count, void* self) {
        curl_exchange& exchange = *static_cast<curl_exchange*>(self);
        const bool good = exchange.guard_.run([&] { exchange.take_data({data, size * count}); });
        return good ? size * count : 0;
    }
    static std::size_t on_read(char* buffer, std::size_t size, std::size_t count, void* self) {
        curl_exchange& exchange = *static_cast<curl_exchange*>(self);
        std::size_t given = 0;
        const bool good = exchange.guard_.run([&] { given = exchange.give_data(buffer, size * count); });
        return good ? given : static_cast<std::size_t>(CURL_READFUNC_ABORT);
    }
#if LIBCURL_VERSION_NUM >= 0x075000
    // The connection stands and nothing of the request has left.
    static int on_start(void* self, char* /*peer*/, char* /*own*/, int /*peer_port*/, int /*own_port*/) {
        curl_exchange& exchange = *static_cast<curl_exchange*>(self);
        return exchange.guard_.run([&] { exchange.start(); }) ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
    }
#endif

    void start() {
        const std::string peer = request_.url.host_header();
        if (started_) {
            throw client_error(error_kind::connect, peer + " closed the connection without an answer",
                               progress::maybe_sent);
        }
        if (connection_.opened() > 0 && request_.url.is_tls()) curl_require_names(connection_.easy(), peer);
        context_.check();
        started_ = true;
        received_before_ = connection_.bytes_received();
        last_byte_ = clock::now();
    }

    void take_line(std::string_view line) {
        if (framing_) { // a trailer
            trailer_bytes_ += line.size();
            if (trailer_bytes_ > head_reader::max_bytes) {
                throw client_error(error_kind::protocol, "the answer is not usable: its trailer is too large",
                                   progress::maybe_sent);
            }
            return;
        }
        if (!reader_.add_line(line)) return;
        framing_.emplace(reader_.head(), request_.method);
        sink_.on_head(reader_.head());
    }

    void take_data(std::string_view data) {
        context_.check(progress::maybe_sent);
        if (!framing_) {
            throw client_error(error_kind::protocol, "the answer is not usable: it has a body but no head",
                               progress::maybe_sent);
        }
        framing_->count(data.size());
        if (!data.empty()) sink_.on_data(data);
    }

    std::size_t give_data(char* buffer, std::size_t capacity) {
        context_.check(progress::maybe_sent);
        const auto wanted = static_cast<std::size_t>((std::min)(static_cast<std::uint64_t>(capacity), left_));
        if (wanted == 0) return 0;
        const std::size_t count = request_.source->read(buffer, wanted);
        if (count == 0) throw codec::source_error("the body ended before its announced length");
        left_ -= count;
        return count;
    }

    curl_connection<>& connection_;
    http_request& request_;
    body_sink& sink_;
    const exchange_context& context_;
    curl_list headers_, resolved_;
    head_reader reader_;
    std::optional<body_framing> framing_;
    callback_guard guard_;
    clock::time_point last_byte_;
    std::uint64_t left_ = 0, received_before_ = 0;
    std::size_t trailer_bytes_ = 0;
    bool knows_start_ = false, started_ = false;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
