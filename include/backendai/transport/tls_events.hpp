/// @file
/// What OpenSSL tells of TLS connections that a library below us drives and does not tell of.
#ifndef BACKENDAI_TRANSPORT_TLS_EVENTS_HPP
#define BACKENDAI_TRANSPORT_TLS_EVENTS_HPP

#include <backendai/version.hpp>

#include <openssl/ssl.h>

#include <functional>
#include <string>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// What happened on this thread's TLS connections since the last reset(). A context takes part once watched.
struct tls_events {
    static constexpr int none = -1;
    /// Called once, when the first handshake of a connection is about to begin. Must not throw.
    const std::function<void(SSL*)>* before_handshake = nullptr;
    SSL* finished_handshake = nullptr; ///< the connection that a handshake made
    int alert = none;                  ///< the last alert of the peer, RFC 8446 section 6

    /// Whether the peer said that its data ends. A connection that just ends may have been cut by anyone on the way.
    bool end_is_announced() const noexcept { return alert == SSL_AD_CLOSE_NOTIFY; }
    bool is_refused() const noexcept { return alert != none && alert != SSL_AD_CLOSE_NOTIFY; }
    std::string alert_text() const { return SSL_alert_desc_string_long(alert); }

    static tls_events& of_this_thread() {
        thread_local tls_events events;
        return events;
    }
    static void reset() { of_this_thread() = tls_events(); }
    template <class = void>
    static void watch(SSL_CTX* context) {
        SSL_CTX_set_info_callback(context, &note);
    }

private:
    template <class = void>
    static void note(const SSL* ssl, int where, int value) {
        tls_events& events = of_this_thread();
        // A server may ask for another handshake at any time; that one is none of the caller's business.
        if ((where & SSL_CB_HANDSHAKE_START) != 0 && SSL_get_finished(ssl, nullptr, 0) == 0) {
            if (const auto* call = std::exchange(events.before_handshake, nullptr)) (*call)(const_cast<SSL*>(ssl));
        }
        if ((where & SSL_CB_HANDSHAKE_DONE) != 0) events.finished_handshake = const_cast<SSL*>(ssl);
        if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT) events.alert = value & 0xff;
    }
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
