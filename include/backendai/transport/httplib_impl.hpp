/// @file
/// The definition of httplib_transport. Only cpp-httplib's documented interface is used: Client, its setters, and
/// Client::send() with the public fields of Request, which is the same from 0.11.4 to the newest.
#ifndef BACKENDAI_TRANSPORT_HTTPLIB_IMPL_HPP
#define BACKENDAI_TRANSPORT_HTTPLIB_IMPL_HPP

// The macro changes the layout of httplib's classes, so that it must come from the build, for all files alike.
#if !defined(CPPHTTPLIB_OPENSSL_SUPPORT) && !defined(BACKENDAI_ALLOW_PLAIN_HTTP)
#error \
    "backendai: define CPPHTTPLIB_OPENSSL_SUPPORT for the whole program (https needs it), or BACKENDAI_ALLOW_PLAIN_HTTP to do without https"
#endif

#include <backendai/os/connection_handle.hpp>
#include <backendai/os/resolver.hpp>
#include <backendai/os/sigpipe.hpp>
#include <backendai/os/tcp_stream.hpp>
#include <backendai/os/tls_rules.hpp>
#include <backendai/transport/callback_guard.hpp>
#include <backendai/transport/framing.hpp>
#include <backendai/transport/httplib.hpp>
#include <backendai/transport/pool.hpp>
#include <backendai/transport/proxy.hpp>
#include <backendai/transport/tls_events.hpp>
#include <backendai/transport/websocket_connector.hpp>
#include <backendai/version.hpp>
#include <backendai/watchdog.hpp>

#include <httplib.h>

#ifdef CPPHTTPLIB_OPENSSL_SUPPORT
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#endif

#include <algorithm>
#include <fstream>
#include <functional>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <type_traits>
#include <utility>

// Files that disagree on the macro would share functions of httplib that do not fit the other's classes, and crash. A
// variable that is thread-local in one file and not in the other makes the linker refuse them; its name is the message.
#ifdef _MSC_VER
#ifdef CPPHTTPLIB_OPENSSL_SUPPORT
#pragma detect_mismatch("CPPHTTPLIB_OPENSSL_SUPPORT must be defined in all files or in none", "defined")
#else
#pragma detect_mismatch("CPPHTTPLIB_OPENSSL_SUPPORT must be defined in all files or in none", "not defined")
#endif
#elif defined(CPPHTTPLIB_OPENSSL_SUPPORT)
[[gnu::used]] inline thread_local char backendai_cpphttplib_openssl_support_must_be_defined_in_all_files_or_in_none = 1;
#else
[[gnu::used]] inline char backendai_cpphttplib_openssl_support_must_be_defined_in_all_files_or_in_none = 1;
#endif

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

#ifdef CPPHTTPLIB_OPENSSL_SUPPORT
// cpp-httplib renamed ssl_context() to tls_context() when it learnt other TLS libraries.
template <class Client, class = void>
struct native_tls {
    static SSL_CTX* context(const Client& client) { return client.ssl_context(); }
};
template <class Client>
struct native_tls<Client, std::void_t<decltype(std::declval<const Client&>().tls_context())>> {
    static SSL_CTX* context(const Client& client) { return static_cast<SSL_CTX*>(client.tls_context()); }
};

// Why the last certificate that this thread's handshakes met was refused; httplib tells only that it was.
inline int& refused_certificate() {
    thread_local int code = X509_V_OK;
    return code;
}
template <class = void>
int note_refused_certificate(int accepted, X509_STORE_CTX* context) {
    if (accepted == 0) refused_certificate() = X509_STORE_CTX_get_error(context);
    return accepted;
}
#endif

/// One httplib client, which is one connection at most, and the handle that can break it off.
template <class = void>
class httplib_connection final : public interruptible {
public:
    httplib_connection(const api_config& config, const codec::url& url, std::optional<proxy_server> proxy)
        : proxy_(std::move(proxy)),
          client_(origin(url, proxy_), config.client_certificate_file, config.client_key_file) {
        client_.set_keep_alive(true);
        client_.set_tcp_nodelay(true); // off, it costs 40 ms a POST: Nagle against delayed acknowledgements
        client_.set_follow_location(false);
        client_.set_decompress(false);
        disable_path_encoding(client_);
        client_.set_socket_options([this](auto socket) { handle_.hold(static_cast<os::native_socket>(socket)); });
#ifdef CPPHTTPLIB_OPENSSL_SUPPORT
        if (url.is_tls()) set_up_tls(config, url.host);
#endif
    }

    ~httplib_connection() override {
        quiet_.emplace();
    }

    void interrupt() noexcept override {
        if (!handle_.shut_down()) client_.stop(); // which knows the connection only once it stands
    }

    httplib::Client& client() {
        return client_;
    }
    os::connection_handle& handle() {
        return handle_;
    }
    const std::optional<proxy_server>& proxy() const {
        return proxy_;
    }
    bool is_reusable(exchange_context::clock::time_point now) {
        // Servers close what idles; a connection that is about to be closed is where requests get lost.
        return now - last_used_ < std::chrono::seconds(15) && handle_.is_quiet() && client_.is_socket_open() != 0 &&
               !holds_bytes();
    }
    /// After an exchange on this thread.
    void mark_used(exchange_context::clock::time_point now) {
        last_used_ = now;
#ifdef CPPHTTPLIB_OPENSSL_SUPPORT
        if (SSL* const made = tls_events::of_this_thread().finished_handshake) ssl_ = made;
#endif
    }
    bool is_open() const {
        return last_used_ != exchange_context::clock::time_point();
    }

private:
    // Through a tunnel httplib connects to the proxy's port while it takes it for the server's: see dig_tunnel().
    static std::string origin(const codec::url& url, const std::optional<proxy_server>& proxy) {
        if (!proxy || !url.is_tls()) return url.origin();
        codec::url through = url;
        through.port = proxy->port;
        return through.origin();
    }

    // The target is in its final spelling, which is signed. The setter got its second name in 0.19.
    template <class Client>
    static auto disable_path_encoding(Client& client) -> decltype(client.set_path_encode(false)) {
        client.set_path_encode(false);
    }
    template <class Client, class... None>
    static auto disable_path_encoding(Client& client, None...) -> decltype(client.set_url_encode(false)) {
        client.set_url_encode(false);
    }

#ifdef CPPHTTPLIB_OPENSSL_SUPPORT
    void set_up_tls(const api_config& config, const std::string& host) {
        SSL_CTX* context = native_tls<httplib::Client>::context(client_);
        if (context == nullptr) {
            throw client_error(error_kind::tls,
                               "the client certificate or its key cannot be used: " + config.client_certificate_file);
        }
        os::restrict_tls(context);
        tls_events::watch(context);
        const bool verify = !config.skip_sslcert_validation.value_or(false);
        client_.enable_server_certificate_verification(verify);
        if (!config.ca_file.empty()) client_.set_ca_cert_path(config.ca_file);
        if (!verify) return;
        X509_STORE_set_verify_cb(SSL_CTX_get_cert_store(context), note_refused_certificate);
        // httplib itself would accept a host name that stands in the subject's CN only.
        os::expect_host(SSL_CTX_get0_param(context), host);
    }
#endif

    // Whether bytes that nobody asked for are decrypted already, where the socket does not show them any more: they
    // would be taken for the next answer. The connection must be open.
    bool holds_bytes() const {
#ifdef CPPHTTPLIB_OPENSSL_SUPPORT
        return ssl_ != nullptr && SSL_has_pending(ssl_) == 1;
#else
        return false;
#endif
    }

    const std::optional<proxy_server> proxy_;
    os::connection_handle handle_;
    // From the destructor on until client_ is gone, which says goodbye to a TLS peer that may be gone, too.
    std::optional<os::sigpipe_guard> quiet_;
    httplib::Client client_;
#ifdef CPPHTTPLIB_OPENSSL_SUPPORT
    SSL* ssl_ = nullptr; // httplib's; alive as long as its connection is open
#endif
    exchange_context::clock::time_point last_used_;
};

/// One exchange on one connection.
template <class = void>
class httplib_exchange {
public:
    httplib_exchange(httplib_connection<>& connection, http_request& request, body_sink& sink,
                     const exchange_context& context)
        : connection_(connection), request_(request), sink_(sink), context_(context), proxy_(connection.proxy()) {}

    /// Whether @p error means that no connection came about at this address, so that another may be tried.
    static bool is_unreachable(httplib::Error error) {
        return error == httplib::Error::Connection || error == httplib::Error::ConnectionTimeout;
    }

    httplib::Error run() {
        set_limits();
        httplib::Request wire;
        wire.method = request_.method;
        wire.path = request_.url.target();
        wire.headers.emplace("Host", request_.url.host_header());
        for (const auto& field : request_.headers) wire.headers.emplace(field.first, field.second);
        if (proxy_ && !request_.url.is_tls() && !proxy_->authorization().empty()) {
            wire.headers.emplace("Proxy-Authorization", proxy_->authorization());
        }
        if (request_.source) {
            provide_body(wire);
        } else {
            wire.body = std::move(request_.body);
        }
        wire.response_handler = [this](const httplib::Response& answer) {
            return guard_.run([&] { take_head(answer); });
        };
        wire.content_receiver = [this](const char* data, std::size_t size, auto /*offset*/, auto /*total*/) {
            return guard_.run([&] {
                last_byte_ = exchange_context::clock::now();
                framing_->count(size);
                if (size != 0) sink_.on_data({data, size});
            });
        };
        const std::uint64_t before = connection_.handle().bytes_received();
        start_ = last_byte_ = exchange_context::clock::now();
        httplib::Response answer;
        httplib::Error error = httplib::Error::Success;
#ifdef CPPHTTPLIB_OPENSSL_SUPPORT
        tls_events::reset();
        ERR_clear_error(); // what is in this thread's queue afterwards is this exchange's
        refused_certificate() = X509_V_OK;
        const std::function<void(SSL*)> dig = [this](SSL* ssl) { dig_tunnel(ssl); };
        if (proxy_) tls_events::of_this_thread().before_handshake = &dig;
#endif
        const bool done = connection_.client().send(wire, answer, error);
#ifdef CPPHTTPLIB_OPENSSL_SUPPORT
        tls_events::of_this_thread().before_handshake = nullptr;
#endif
        if (!request_.source) request_.body = std::move(wire.body);
        guard_.rethrow();
        if (!done) {
            // Fewer bytes than before: it is another connection than the one that was open then. The end of the peer's
            // data counts as a byte, too. What TLS carries cannot be told from its own records.
            const std::uint64_t after = connection_.handle().bytes_received();
            answered_ = head_.status != 0 || (!request_.url.is_tls() && after - (after < before ? 0 : before) > 1);
            return error == httplib::Error::Success ? httplib::Error::Unknown : error;
        }
        if (!framing_) take_head(answer); // httplib does not announce the head of an answer without body
        framing_->finish();
        // The watchdog's shutdown looks like the peer's end of the stream; so does anyone's, unless TLS announces the
        // end.
        if (framing_->ends_with_connection()) {
            context_.check(client_error::progress::maybe_sent);
#ifdef CPPHTTPLIB_OPENSSL_SUPPORT
            const bool announced = !request_.url.is_tls() || tls_events::of_this_thread().end_is_announced();
            if (!announced) return httplib::Error::Read;
#endif
        }
        return httplib::Error::Success;
    }

    response_head take_head() {
        return std::move(head_);
    }

    /// @param address that of the last attempt to connect, when there was one
    [[noreturn]] void fail(httplib::Error error, const std::string& address) {
        using progress = client_error::progress;
        const bool unsent = error == httplib::Error::Connection || error == httplib::Error::ConnectionTimeout ||
                            error == httplib::Error::BindIPAddress || error == httplib::Error::SSLConnection ||
                            error == httplib::Error::SSLLoadingCerts ||
                            error == httplib::Error::SSLServerVerification || is_host_mismatch(error);
        const progress sent = unsent ? progress::nothing_sent : progress::maybe_sent;
        context_.check(sent);
        const std::string peer = request_.url.host_header();
        const auto now = exchange_context::clock::now();
        const auto stalled = [&](std::chrono::milliseconds limit) {
            return limit.count() > 0 && now - last_byte_ >= limit - std::chrono::milliseconds(5);
        };
        switch (error) {
        case httplib::Error::ConnectionTimeout:
            throw client_error(error_kind::timeout, "connecting to " + peer + " took too long", sent);
        case httplib::Error::Connection:
        case httplib::Error::BindIPAddress:
            throw client_error(error_kind::connect, "cannot connect to " + peer + why_unreachable(address), sent);
        case httplib::Error::SSLConnection:
            if (stalled(context_.connect_timeout)) {
                throw client_error(error_kind::timeout, "the TLS handshake with " + peer + " took too long", sent);
            }
            throw client_error(error_kind::tls, "the TLS handshake with " + peer + " failed" + tls_reason(), sent);
        case httplib::Error::SSLLoadingCerts:
            throw client_error(error_kind::tls, "the CA certificates cannot be loaded" + tls_reason(), sent);
        case httplib::Error::SSLServerVerification:
            throw client_error(error_kind::tls, "the certificate of " + peer + " was refused: " + verify_reason(),
                               sent);
        case httplib::Error::Write:
            if (stalled(context_.read_timeout)) {
                throw client_error(error_kind::timeout, peer + " took nothing of the request for too long", sent);
            }
            throw client_error(error_kind::connect, "the connection to " + peer + " was lost while sending", sent);
        default: break;
        }
        if (is_host_mismatch(error)) {
            throw client_error(error_kind::tls, "the certificate of " + peer + " does not name this host", sent);
        }
        // With TLS 1.3 a server refuses the client's certificate after the handshake, in place of an answer.
#ifdef CPPHTTPLIB_OPENSSL_SUPPORT
        if (const tls_events& events = tls_events::of_this_thread(); head_.status == 0 && events.is_refused()) {
            throw client_error(error_kind::tls, peer + " ended the TLS connection: " + events.alert_text(), sent);
        }
#endif
        if (stalled(context_.read_timeout)) {
            throw client_error(error_kind::timeout, "no byte of the answer of " + peer + " came for too long", sent);
        }
        if (head_.status != 0) {
            throw client_error(error_kind::protocol, "the answer of " + peer + " is cut short or wrongly framed", sent);
        }
        if (answered_) {
            throw client_error(error_kind::protocol, "the answer of " + peer + " is not HTTP, or its head is cut short",
                               sent);
        }
        throw client_error(error_kind::connect, peer + " closed the connection without an answer", sent);
    }

private:
    static void split(std::chrono::milliseconds limit, time_t& seconds, time_t& microseconds) {
        // "No limit" as 20 days: httplib counts milliseconds in an int.
        if (limit.count() <= 0 || limit > std::chrono::hours(480)) limit = std::chrono::hours(480);
        seconds = static_cast<time_t>(limit.count() / 1000);
        microseconds = static_cast<time_t>(limit.count() % 1000 * 1000);
    }

    // httplib does not tell what the system said.
    std::string why_unreachable(const std::string& address) const {
        if (address.empty()) return {};
        const std::string where = proxy_ ? " by the proxy at " + address + ", port " + std::to_string(proxy_->port)
                                         : (address == request_.url.host ? "" : " at " + address);
        try {
            return where + os::tcp_stream<>::why_unreachable(address, proxy_ ? proxy_->port : request_.url.port);
        } catch (const client_error& e) { // such as no more descriptors, which may have been the reason before
            return where + ": " + e.what();
        }
    }

    void set_limits() {
        time_t seconds = 0;
        time_t microseconds = 0;
        split(context_.within(context_.connect_timeout), seconds, microseconds);
        connection_.client().set_connection_timeout(seconds, microseconds);
        split(context_.within(context_.read_timeout), seconds, microseconds);
        connection_.client().set_read_timeout(seconds, microseconds);
        connection_.client().set_write_timeout(seconds, microseconds);
    }

#ifdef CPPHTTPLIB_OPENSSL_SUPPORT
    // httplib's own CONNECT waits for ever when the proxy ends the connection with its answer (0.11.4), takes a refusal
    // for a tunnel or for the server's answer, and shows the proxy's password to the server. So httplib is told nothing
    // of the proxy, connects to it as if it were the server, and the tunnel is made when it is about to begin with TLS.
    void dig_tunnel(SSL* ssl) {
        const bool made = guard_.run([&] {
            os::borrowed_stream<> stream(static_cast<os::detail::socket_handle>(SSL_get_fd(ssl)));
            try {
                connect_through(stream, *proxy_, request_.url, context_);
            } catch (const client_error&) {
                context_.check(); // the watchdog's shutdown looks like the proxy's end
                throw;
            }
        });
        if (!made) connection_.handle().shut_down();
    }
#endif

    void provide_body(httplib::Request& wire) {
        const std::uint64_t size = request_.source->size();
        if (size > (std::numeric_limits<std::size_t>::max)()) {
            throw client_error(error_kind::argument, "the body is too large for this system");
        }
        if (size == 0) {
            wire.headers.emplace("Content-Length", "0");
            return;
        }
        wire.content_length_ = static_cast<std::size_t>(size);
        wire.content_provider_ = [this](std::size_t, std::size_t left, httplib::DataSink& out) {
            return guard_.run([&] {
                if (block_.empty()) block_.resize((std::min)(left, std::size_t{1} << 20));
                const std::size_t count = request_.source->read(&block_[0], (std::min)(left, block_.size()));
                if (count == 0) throw codec::source_error("the body ended before its announced length");
                last_byte_ = exchange_context::clock::now();
                out.write(block_.data(), count);
            });
        };
    }

    void take_head(const httplib::Response& answer) {
        last_byte_ = exchange_context::clock::now();
        head_.status = answer.status;
        head_.reason = answer.reason;
        for (const auto& field : answer.headers) head_.headers.add(field.first, field.second);
        framing_.emplace(head_, request_.method);
        sink_.on_head(head_);
    }

    // Error::SSLServerHostnameVerification exists since 0.18; its absence must compile.
    template <class Error>
    static auto host_mismatch(Error error) -> decltype(Error::SSLServerHostnameVerification, bool()) {
        return error == Error::SSLServerHostnameVerification;
    }
    template <class Error, class... None>
    static bool host_mismatch(Error, None...) {
        return false;
    }
    static bool is_host_mismatch(httplib::Error error) {
        return host_mismatch(error);
    }

    static std::string tls_reason() {
#ifdef CPPHTTPLIB_OPENSSL_SUPPORT
        if (const unsigned long code = ERR_peek_error()) {
            if (const char* text = ERR_reason_error_string(code)) return std::string(": ") + text;
        }
#endif
        return {};
    }
    static std::string verify_reason() {
#ifdef CPPHTTPLIB_OPENSSL_SUPPORT
        const int code = refused_certificate();
        return code == X509_V_OK ? "it does not name this host" : X509_verify_cert_error_string(code);
#else
        return {};
#endif
    }

    httplib_connection<>& connection_;
    http_request& request_;
    body_sink& sink_;
    const exchange_context& context_;
    const std::optional<proxy_server>& proxy_;
    response_head head_;
    std::optional<body_framing> framing_;
    callback_guard guard_;
    std::string block_;
    exchange_context::clock::time_point start_, last_byte_;
    bool answered_ = false;
};

} // namespace detail

template <class>
class httplib_transport::implementation {
public:
    explicit implementation(api_config config) : config_(std::move(config)), websockets_(config_) {
        for (const std::string* file : {&config_.ca_file, &config_.client_certificate_file, &config_.client_key_file}) {
            if (!file->empty() && !std::ifstream(*file)) {
                throw client_error(error_kind::argument, "cannot read the file " + *file);
            }
        }
    }

    response_head exchange(http_request& request, body_sink& sink, const exchange_context& context) {
        context.check();
        auto& pool = pool_of(request.url.origin());
        const auto now = exchange_context::clock::now();
        while (auto idle = pool.take()) {
            if (!idle->is_reusable(now)) continue;
            return exchange_on(std::move(idle), pool, request, sink, context);
        }
#ifndef CPPHTTPLIB_OPENSSL_SUPPORT
        if (request.url.is_tls()) {
            throw client_error(error_kind::tls, "this program was built without CPPHTTPLIB_OPENSSL_SUPPORT");
        }
#endif
        return exchange_on(std::make_unique<detail::httplib_connection<>>(config_, request.url,
                                                                          detail::find_proxy(config_, request.url)),
                           pool, request, sink, context);
    }

    websocket_opening open_websocket(http_request& request, const exchange_context& context) {
        return websockets_.open(request, context);
    }

private:
    using connection_pool = detail::slot_pool<detail::httplib_connection<>>;

    response_head exchange_on(std::unique_ptr<detail::httplib_connection<>> connection, connection_pool& pool,
                              http_request& request, body_sink& sink, const exchange_context& context) {
        std::vector<std::string> addresses; // of the proxy or the server; a connection that is open is there
        if (!connection->is_open()) {
            addresses = os::resolve(connection->proxy() ? connection->proxy()->host : request.url.host, context);
        }
        for (std::size_t i = 0;; ++i) {
            if (i < addresses.size()) set_route(*connection, request, addresses[i]);
            detail::httplib_exchange<> work(*connection, request, sink, context);
            httplib::Error error = httplib::Error::Unknown;
            {
                const os::sigpipe_guard guard; // neither httplib nor OpenSSL writes with MSG_NOSIGNAL
                const detail::watched watch(dog_, *connection, context);
                context.check();
                error = work.run();
            }
            if (error == httplib::Error::Success) {
                connection->mark_used(exchange_context::clock::now());
                pool.give_back(std::move(connection));
                return work.take_head();
            }
            const bool another =
                detail::httplib_exchange<>::is_unreachable(error) && i + 1 < addresses.size() && !context.interrupted();
            if (!another) work.fail(error, i < addresses.size() ? addresses[i] : std::string());
        }
    }

    static void set_route(detail::httplib_connection<>& connection, const http_request& request,
                          const std::string& address) {
        if (connection.proxy() && !request.url.is_tls()) {
            connection.client().set_proxy(address, connection.proxy()->port);
        } else if (address != request.url.host) {
            connection.client().set_hostname_addr_map({{request.url.host, address}});
        }
    }

    // One pool an origin; origins are few and never go away, so that a reference stays good.
    connection_pool& pool_of(const std::string& origin) {
        {
            const std::shared_lock<std::shared_mutex> lock(mutex_);
            const auto known = pools_.find(origin);
            if (known != pools_.end()) return *known->second;
        }
        const std::lock_guard<std::shared_mutex> lock(mutex_);
        auto& pool = pools_[origin];
        if (!pool) pool = std::make_unique<connection_pool>(config_.max_idle_connections);
        return *pool;
    }

    const api_config config_;
    detail::websocket_connector<> websockets_;
    detail::watchdog dog_;
    std::shared_mutex mutex_;
    std::map<std::string, std::unique_ptr<connection_pool>> pools_;
};

template <class>
httplib_transport::httplib_transport(const api_config& config)
    : implementation_(std::make_shared<implementation<void>>(config)) {}

template <class>
response_head httplib_transport::exchange(http_request& request, body_sink& sink, const exchange_context& context) {
    return implementation_->exchange(request, sink, context);
}
template <class>
websocket_opening httplib_transport::open_websocket(http_request& request, const exchange_context& context) {
    return implementation_->open_websocket(request, context);
}

BACKENDAI_NAMESPACE_END

#endif
