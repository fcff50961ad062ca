/// @file
/// A connection made by libcurl (TCP, proxy, TLS) as a plain byte stream, for websockets.
#ifndef BACKENDAI_TRANSPORT_CURL_STREAM_HPP
#define BACKENDAI_TRANSPORT_CURL_STREAM_HPP

#include <backendai/codec/url.hpp>
#include <backendai/config.hpp>
#include <backendai/http.hpp>
#include <backendai/os/sigpipe.hpp>
#include <backendai/os/stream.hpp>
#include <backendai/transport/curl_connection.hpp>
#include <backendai/transport/curl_setup.hpp>
#include <backendai/transport/proxy.hpp>
#include <backendai/transport/tls_events.hpp>
#include <backendai/version.hpp>

#include <curl/curl.h>

#include <chrono>
#include <cstddef>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// See byte_stream for threads. libcurl knows no handle in two threads at once: every call on it is made under a mutex
/// and does not block, the waiting is done outside.
template <class = void>
class curl_stream final : public os::byte_stream {
    using progress = client_error::progress;

public:
    /// Connects within the context's connect_timeout, which covers a proxy's answer and the TLS handshake too.
    /// @throws client_error{connect, tls, timeout, cancelled or closed}, nothing sent
    curl_stream(const api_config& config, const codec::url& url, const std::optional<proxy_server>& proxy,
                const std::vector<std::string>& addresses, const exchange_context& context)
        : is_tls_(url.is_tls()), connection_(config, url) {
        CURL* const easy = connection_.easy();
        curl_set(easy, CURLOPT_URL, (url.origin() + '/').c_str());
        curl_set(easy, CURLOPT_CONNECT_ONLY, 1L);
        curl_set_proxy(easy, proxy);
        if (proxy) curl_set(easy, CURLOPT_HTTPPROXYTUNNEL, 1L);
        curl_set_connect_timeout(easy, context.connect_timeout);
        curl_add_addresses(resolved_, proxy ? proxy->host : url.host, proxy ? proxy->port : url.port, addresses);
        curl_set(easy, CURLOPT_RESOLVE, resolved_.get());
        connection_.begin_exchange();
        // Stays there: libcurl closes the connection of a handle that leaves its multi handle.
        in_multi_.emplace(connection_);
        connect(url.host_header(), context);
        if (is_tls_) curl_require_names(easy, url.host_header());
    }

    os::io_result read(char* buffer, std::size_t capacity) override {
        const std::lock_guard<std::mutex> lock(mutex_);
        const pipe_guard guard(is_tls_);
        std::size_t count = 0;
        tls_events::of_this_thread().alert = tls_events::none;
        const CURLcode code = curl_easy_recv(connection_.easy(), buffer, capacity, &count);
        if (code == CURLE_AGAIN) return {os::io_state::wants_read, 0};
        if (code != CURLE_OK) lost(code);
        if (count == 0) return {os::io_state::ended, 0};
        return {os::io_state::done, count};
    }
    os::io_result write(std::string_view bytes) override {
        const std::lock_guard<std::mutex> lock(mutex_);
        const pipe_guard guard(is_tls_);
        std::size_t count = 0;
        tls_events::of_this_thread().alert = tls_events::none;
        const CURLcode code = curl_easy_send(connection_.easy(), bytes.data(), bytes.size(), &count);
        if (code == CURLE_AGAIN) return {os::io_state::wants_write, 0};
        if (code != CURLE_OK) lost(code);
        return {os::io_state::done, count};
    }
    void end_writes() noexcept override { ::shutdown(socket_, os::detail::shutdown_writes); }
    os::detail::socket_handle handle() const noexcept override { return socket_; }

private:
    // Without TLS libcurl sends with MSG_NOSIGNAL.
    struct pipe_guard {
        explicit pipe_guard(bool is_tls) {
            if (is_tls) guard.emplace();
        }
        std::optional<os::sigpipe_guard> guard;
    };

    void connect(const std::string& peer, const exchange_context& context) {
        const pipe_guard guard(is_tls_);
        const cancel_token::listener on_cancel(context.cancel, [this] { connection_.wake_up(); });
        const cancel_token::listener on_close(context.closing, [this] { connection_.wake_up(); });
        std::optional<CURLcode> end;
        while (!end) {
            int running = 0;
            if (curl_multi_perform(connection_.multi(), &running) != CURLM_OK) throw std::bad_alloc();
            int left = 0;
            while (const CURLMsg* message = curl_multi_info_read(connection_.multi(), &left)) {
                if (message->msg == CURLMSG_DONE) end = message->data.result;
            }
            context.check();
            if (end) break;
            const auto limit = static_cast<int>(context.within(std::chrono::milliseconds(1000)).count());
            if (curl_multi_poll(connection_.multi(), nullptr, 0, limit, nullptr) != CURLM_OK) throw std::bad_alloc();
            context.check();
        }
        if (*end == CURLE_OUT_OF_MEMORY) throw std::bad_alloc();
        if (*end != CURLE_OK) {
            const std::string_view words = connection_.error_text();
            const std::string why = ": " + (words.empty() ? std::string(curl_easy_strerror(*end)) : std::string(words));
            curl_throw_if_unconnected(*end, connection_.easy(), peer, why, progress::nothing_sent);
            throw client_error(error_kind::connect, "cannot connect to " + peer + why, progress::nothing_sent);
        }
        curl_socket_t socket = CURL_SOCKET_BAD;
        if (curl_easy_getinfo(connection_.easy(), CURLINFO_ACTIVESOCKET, &socket) != CURLE_OK ||
            socket == CURL_SOCKET_BAD) {
            throw client_error(error_kind::connect, peer + " closed the connection at once", progress::nothing_sent);
        }
        socket_ = socket;
    }

    [[noreturn]] static void lost(CURLcode code) {
        // With TLS 1.3 a server that misses a client certificate says so after the handshake, by an alert.
        if (const tls_events& events = tls_events::of_this_thread(); events.is_refused()) {
            throw client_error(error_kind::tls, "the peer ended the TLS connection: " + events.alert_text(),
                               progress::maybe_sent);
        }
        throw client_error(error_kind::connect, std::string("the connection was lost: ") + curl_easy_strerror(code),
                           progress::maybe_sent);
    }

    const bool is_tls_;
    curl_list resolved_;
    curl_connection<> connection_;
    std::optional<curl_attachment> in_multi_; // ends before the connection
    os::detail::socket_handle socket_{};
    std::mutex mutex_; // of the handle, once connected
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
