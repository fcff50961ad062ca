/// @file
/// The second built-in transport, on libcurl (7.68 or newer, any TLS backend): quick to compile, strict about the heads
/// of answers, at home on embedded systems. Define BACKENDAI_USE_CURL to have <backendai.hpp> include it, and link
/// libcurl.
#ifndef BACKENDAI_TRANSPORT_CURL_HPP
#define BACKENDAI_TRANSPORT_CURL_HPP

#include <backendai/config.hpp>
#include <backendai/http.hpp>
#include <backendai/os/resolver.hpp>
#include <backendai/os/sigpipe.hpp>
#include <backendai/session.hpp>
#include <backendai/transport/concept.hpp>
#include <backendai/transport/curl_connection.hpp>
#include <backendai/transport/curl_exchange.hpp>
#include <backendai/transport/curl_stream.hpp>
#include <backendai/transport/pool.hpp>
#include <backendai/transport/proxy.hpp>
#include <backendai/transport/websocket_upgrade.hpp>
#include <backendai/version.hpp>

#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

/// HTTP/1.1 by libcurl: one connection a caller, kept alive in a bounded pool for the next one. Certificates are
/// checked by libcurl; with OpenSSL and its relatives a name counts only when it stands in the SAN. TLS 1.2 at least.
/// Websockets: connections by libcurl, frames by the SDK.
///
/// Where it differs from httplib_transport: connect_timeout covers TCP and TLS handshake together, and an answer's head
/// is limited while it is read (256 fields, 256 KiB).
/// Thread-safe. Moving it is only allowed while no exchange runs.
class curl_transport {
public:
    /// Takes the connection part of a resolved configuration: time limits, CA and client certificate files, the skip
    /// flag, the number of idle connections. @throws client_error{argument} when one of the files cannot be read
    template <class = void>
    explicit curl_transport(const api_config& config) : shared_(std::make_unique<shared>(config)) {
        for (const std::string* file : {&config.ca_file, &config.client_certificate_file, &config.client_key_file}) {
            if (!file->empty() && !std::ifstream(*file)) {
                throw client_error(error_kind::argument, "cannot read the file " + *file);
            }
        }
    }

    /// See transport/concept.hpp.
    template <class = void>
    response_head exchange(http_request& request, body_sink& sink, const exchange_context& context) {
        context.check();
        connection_pool& pool = pool_of(request.url.origin());
        std::unique_ptr<detail::curl_connection<>> connection = pool.take();
        while (connection && !connection->is_reusable(exchange_context::clock::now())) connection = pool.take();
        const std::optional<detail::proxy_server> proxy = detail::find_proxy(shared_->config, request.url);
        std::vector<std::string> addresses;
        if (!connection) {
            addresses = os::resolve(proxy ? proxy->host : request.url.host, context);
            connection = std::make_unique<detail::curl_connection<>>(shared_->config, request.url);
        }
        std::optional<os::sigpipe_guard> guard; // without TLS libcurl sends with MSG_NOSIGNAL
        if (request.url.is_tls()) guard.emplace();
        detail::curl_exchange<> work(*connection, request, sink, context);
        if (work.run(proxy, addresses)) pool.give_back(std::move(connection));
        return work.take_head();
    }

    /// See transport/concept.hpp.
    template <class = void>
    websocket_opening open_websocket(http_request& request, const exchange_context& context) {
        context.check();
        const std::optional<detail::proxy_server> proxy = detail::find_proxy(shared_->config, request.url);
        const auto addresses = os::resolve(proxy ? proxy->host : request.url.host, context);
        return shared_->websockets.upgrade(
            std::make_unique<detail::curl_stream<>>(shared_->config, request.url, proxy, addresses, context), request,
            context);
    }

private:
    using connection_pool = detail::slot_pool<detail::curl_connection<>>;

    struct shared {
        template <class = void>
        explicit shared(const api_config& c) : config(c), websockets(c) {}
        const api_config config;
        const detail::websocket_upgrader websockets;
        std::shared_mutex mutex;
        std::map<std::string, std::unique_ptr<connection_pool>> pools;
    };

    // One pool an origin; origins are few and never go away, so that a reference stays good.
    template <class = void>
    connection_pool& pool_of(const std::string& origin) {
        {
            const std::shared_lock<std::shared_mutex> lock(shared_->mutex);
            const auto known = shared_->pools.find(origin);
            if (known != shared_->pools.end()) return *known->second;
        }
        const std::lock_guard<std::shared_mutex> lock(shared_->mutex);
        auto& pool = shared_->pools[origin];
        if (!pool) pool = std::make_unique<connection_pool>(shared_->config.max_idle_connections);
        return *pool;
    }

    std::unique_ptr<shared> shared_;
};

/// A session on curl_transport; calls block.
using curl_session = basic_session<curl_transport, blocking>;

BACKENDAI_NAMESPACE_END

#endif
