/// @file
/// Opens websockets with our own TCP, TLS and HTTP upgrade: what a transport without websockets of its own uses.
#ifndef BACKENDAI_TRANSPORT_WEBSOCKET_CONNECTOR_HPP
#define BACKENDAI_TRANSPORT_WEBSOCKET_CONNECTOR_HPP

#include <backendai/config.hpp>
#include <backendai/http.hpp>
#include <backendai/message_stream.hpp>
#include <backendai/os/tcp_stream.hpp>
#include <backendai/transport/proxy.hpp>
#include <backendai/transport/websocket_upgrade.hpp>
#include <backendai/version.hpp>

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

// A program that does without https links no libssl.
#if defined(CPPHTTPLIB_OPENSSL_SUPPORT) || !defined(BACKENDAI_ALLOW_PLAIN_HTTP)
#define BACKENDAI_WEBSOCKET_TLS
#include <backendai/os/tls_stream.hpp>
#endif

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// What a transport keeps to open websockets: settings, TLS context, keeper. Thread-safe. The websockets may outlive
/// it.
template <class = void>
class websocket_connector {
public:
    explicit websocket_connector(api_config config) : config_(std::move(config)), upgrader_(config_) {}

    /// See transport/concept.hpp. The stream stays bound to the context's cancel tokens, not to its deadline.
    websocket_opening open(http_request& request, const exchange_context& context) {
        context.check();
        const std::optional<proxy_server> proxy = find_proxy(config_, request.url);
        std::unique_ptr<os::tcp_stream<>> tcp =
            proxy ? os::tcp_stream<>::connect(proxy->host, proxy->port, context)
                  : os::tcp_stream<>::connect(request.url.host, request.url.port, context);
        if (proxy) connect_through(*tcp, *proxy, request.url, context);
        std::unique_ptr<os::byte_stream> stream;
        if (request.url.is_tls()) {
            stream = secure(std::move(tcp), request.url.host, context);
        } else {
            stream = std::move(tcp);
        }
        return upgrader_.upgrade(std::move(stream), request, context);
    }

private:
#ifdef BACKENDAI_WEBSOCKET_TLS
    std::unique_ptr<os::byte_stream> secure(std::unique_ptr<os::tcp_stream<>> tcp, const std::string& host,
                                            const exchange_context& context) {
        {
            // Made by the first that needs it: reading the system's authorities takes milliseconds.
            const std::lock_guard<std::mutex> lock(mutex_);
            if (!tls_) {
                tls_ = std::make_shared<os::tls_context>(
                    os::tls_settings{!config_.skip_sslcert_validation.value_or(false), config_.ca_file,
                                     config_.client_certificate_file, config_.client_key_file});
            }
        }
        return std::make_unique<os::tls_stream<>>(std::move(tcp), *tls_, host, context);
    }
    std::mutex mutex_;
    std::shared_ptr<os::tls_context> tls_; // SSL objects count their references to OpenSSL's part of it
#else
    static std::unique_ptr<os::byte_stream> secure(std::unique_ptr<os::tcp_stream<>>, const std::string&,
                                                   const exchange_context&) {
        throw client_error(error_kind::tls, "this program was built without TLS");
    }
#endif

    const api_config config_;
    const websocket_upgrader upgrader_;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
