/// @file
/// What every use of libcurl has in common: which way a connection goes, and what it means when none comes about.
#ifndef BACKENDAI_TRANSPORT_CURL_SETUP_HPP
#define BACKENDAI_TRANSPORT_CURL_SETUP_HPP

#include <backendai/codec/url.hpp>
#include <backendai/error.hpp>
#include <backendai/transport/curl_connection.hpp>
#include <backendai/transport/proxy.hpp>
#include <backendai/version.hpp>

#include <curl/curl.h>

#include <chrono>
#include <cstdint>
#include <new>
#include <optional>
#include <string>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// Puts the easy handle into its multi handle for as long as it lives.
struct curl_attachment {
    template <class = void>
    explicit curl_attachment(curl_connection<>& c) : connection(c) {
        if (curl_multi_add_handle(connection.multi(), connection.easy()) != CURLM_OK) throw std::bad_alloc();
    }
    curl_attachment(const curl_attachment&) = delete;
    curl_attachment& operator=(const curl_attachment&) = delete;
    ~curl_attachment() { curl_multi_remove_handle(connection.multi(), connection.easy()); }
    curl_connection<>& connection;
};

template <class = void>
void curl_set_proxy(CURL* easy, const std::optional<proxy_server>& proxy) {
    if (!proxy) {
        curl_set(easy, CURLOPT_PROXY, ""); // not what environment variables say to libcurl
        return;
    }
    const bool v6 = proxy->host.find(':') != std::string::npos;
    const std::string host = v6 ? '[' + proxy->host + ']' : proxy->host;
    curl_set(easy, CURLOPT_PROXY, ("http://" + host + ':' + std::to_string(proxy->port)).c_str());
    curl_set(easy, CURLOPT_NOPROXY, "");
    if (proxy->authorization().empty()) return;
    curl_set(easy, CURLOPT_PROXYAUTH, static_cast<long>(CURLAUTH_BASIC));
    curl_set(easy, CURLOPT_PROXYUSERNAME, proxy->user.c_str());
    curl_set(easy, CURLOPT_PROXYPASSWORD, proxy->password.c_str());
}

template <class = void>
void curl_set_connect_timeout(CURL* easy, std::chrono::milliseconds limit) {
    const long longest = 0x7fffffffL; // 24 days: to libcurl 0 means five minutes
    const bool limited = limit.count() > 0 && limit.count() < longest;
    curl_set(easy, CURLOPT_CONNECTTIMEOUT_MS, limited ? static_cast<long>(limit.count()) : longest);
}

/// Adds an entry for CURLOPT_RESOLVE, so that libcurl looks up nothing itself.
template <class = void>
void curl_add_addresses(curl_list& entries, const std::string& host, std::uint16_t port,
                        const std::vector<std::string>& addresses) {
    std::string list;
    for (const std::string& address : addresses) {
        if (address == host || address.find('%') != std::string::npos) continue;
        if (!list.empty()) list += ',';
        list += codec::url_host(address);
    }
    if (!list.empty()) entries.add(host + ':' + std::to_string(port) + ':' + list);
}

/// See curl_has_alternative_names(). @throws client_error{tls}
template <class = void>
void curl_require_names(CURL* easy, const std::string& peer) {
    if (curl_has_alternative_names(easy)) return;
    throw client_error(error_kind::tls, "the certificate of " + peer +
                                            " was refused: it names no host in its subjectAltName, and a name "
                                            "in the subject's CN does not count");
}

/// Throws what a result means that says that there is no connection; for other results returns.
template <class = void>
void curl_throw_if_unconnected(CURLcode code, CURL* easy, const std::string& peer, const std::string& why,
                               client_error::progress sent) {
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT: {
        curl_off_t time = 0;
        const bool connected = curl_easy_getinfo(easy, CURLINFO_CONNECT_TIME_T, &time) == CURLE_OK && time > 0;
        throw client_error(error_kind::timeout,
                           (connected ? "the TLS handshake with " : "connecting to ") + peer + " took too long", sent);
    }
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT: throw client_error(error_kind::connect, "cannot connect to " + peer + why, sent);
    case CURLE_PEER_FAILED_VERIFICATION:
        throw client_error(error_kind::tls, "the certificate of " + peer + " was refused" + why, sent);
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_SSL_ENGINE_INITFAILED:
    case CURLE_SSL_ENGINE_SETFAILED:
    case CURLE_SSL_SHUTDOWN_FAILED:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_USE_SSL_FAILED:
        throw client_error(error_kind::tls, "the TLS handshake with " + peer + " failed" + why, sent);
    case CURLE_UNSUPPORTED_PROTOCOL:
        if (sent == client_error::progress::nothing_sent) {
            throw client_error(error_kind::tls, "this libcurl was built without what is needed" + why);
        }
        break;
    default: break;
    }
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
