/// @file
/// TLS by OpenSSL over a TCP connection, for one reader and one writer at once: every call on the SSL object is made
/// under a mutex and does not block, the waiting is done outside of it.
#ifndef BACKENDAI_OS_TLS_STREAM_HPP
#define BACKENDAI_OS_TLS_STREAM_HPP

#include <backendai/http.hpp>
#include <backendai/os/stream.hpp>
#include <backendai/os/tcp_stream.hpp>
#include <backendai/os/tls_rules.hpp>
#include <backendai/version.hpp>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <memory>
#include <mutex>
#include <string>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace os {

/// Whom a TLS client trusts and who it is.
struct tls_settings {
    bool verify = true;
    std::string ca_file; ///< PEM; empty: the system's authorities
    std::string client_certificate_file, client_key_file;
};

namespace detail {

template <class = void>
std::string tls_error_text() {
    const unsigned long code = ERR_peek_error();
    const char* text = code != 0 ? ERR_reason_error_string(code) : nullptr;
    return text != nullptr ? std::string(": ") + text : std::string();
}

// OpenSSL's own socket BIO writes without MSG_NOSIGNAL: a peer that is gone would be a SIGPIPE.
template <class = void>
int bio_write(BIO* bio, const char* bytes, int size) {
    BIO_clear_retry_flags(bio);
    const auto& tcp = *static_cast<tcp_stream<>*>(BIO_get_data(bio));
    long count = 0;
    do {
        count = send_to(tcp.handle(), bytes, static_cast<std::size_t>(size));
    } while (count < 0 && is_interrupted(last_socket_error()));
    if (count < 0 && would_block(last_socket_error())) BIO_set_retry_write(bio);
    return static_cast<int>(count);
}
template <class = void>
int bio_read(BIO* bio, char* buffer, int size) {
    BIO_clear_retry_flags(bio);
    const auto& tcp = *static_cast<tcp_stream<>*>(BIO_get_data(bio));
    long count = 0;
    do {
        count = receive_from(tcp.handle(), buffer, static_cast<std::size_t>(size));
    } while (count < 0 && is_interrupted(last_socket_error()));
    if (count < 0 && would_block(last_socket_error())) BIO_set_retry_read(bio);
    return static_cast<int>(count);
}
inline long bio_control(BIO*, int command, long, void*) {
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

template <class = void>
BIO_METHOD* bio_method() {
    static BIO_METHOD* const method = [] {
        BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "backendai tcp");
        BIO_meth_set_write(made, bio_write);
        BIO_meth_set_read(made, bio_read);
        BIO_meth_set_ctrl(made, bio_control);
        return made;
    }();
    return method;
}

} // namespace detail

/// The settings in OpenSSL's form, shared by all connections. Thread-safe once made.
class tls_context {
public:
    /// @throws client_error{tls} when a file cannot be used.
    template <class = void>
    explicit tls_context(const tls_settings& settings) : context_(SSL_CTX_new(TLS_client_method()), SSL_CTX_free) {
        if (!context_) throw client_error(error_kind::tls, "TLS cannot be set up");
        SSL_CTX* const context = context_.get();
        restrict_tls(context);
        // The websocket layer tells a cut connection from an orderly end itself.
#ifdef SSL_OP_IGNORE_UNEXPECTED_EOF
        SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF);
#endif
        SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        SSL_CTX_set_verify(context, settings.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
        ERR_clear_error();
        const bool trusts = settings.ca_file.empty()
                                ? SSL_CTX_set_default_verify_paths(context) == 1
                                : SSL_CTX_load_verify_locations(context, settings.ca_file.c_str(), nullptr) == 1;
        if (!trusts && settings.verify) {
            throw client_error(error_kind::tls, "the CA certificates cannot be loaded" + detail::tls_error_text());
        }
        if (settings.client_certificate_file.empty()) return;
        const std::string& key =
            settings.client_key_file.empty() ? settings.client_certificate_file : settings.client_key_file;
        if (SSL_CTX_use_certificate_chain_file(context, settings.client_certificate_file.c_str()) != 1 ||
            SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1) {
            throw client_error(error_kind::tls, "the client certificate or its key cannot be used: " +
                                                    settings.client_certificate_file + detail::tls_error_text());
        }
    }
    SSL_CTX* get() const noexcept {
        return context_.get();
    }

private:
    std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context_;
};

/// See byte_stream for threads.
template <class = void>
class tls_stream final : public byte_stream {
public:
    /// Performs the handshake, within the context's connect_timeout. The certificate must name @p host in its SAN.
    /// @throws client_error{tls} that says what is wrong with the certificate or the handshake; timeout, cancelled,
    /// closed
    tls_stream(std::unique_ptr<tcp_stream<>> tcp, const tls_context& tls, const std::string& host,
               const exchange_context& context)
        : tcp_(std::move(tcp)), ssl_(SSL_new(tls.get()), SSL_free) {
        BIO* const bio = ssl_ ? BIO_new(detail::bio_method()) : nullptr;
        if (bio == nullptr) throw client_error(error_kind::tls, "TLS cannot be set up");
        BIO_set_data(bio, tcp_.get());
        BIO_set_init(bio, 1);
        SSL_set_bio(ssl_.get(), bio, bio);
        expect(host);
        handshake(host, context);
    }

    io_result read(char* buffer, std::size_t capacity) override {
        const std::lock_guard<std::mutex> lock(mutex_);
        ERR_clear_error();
        std::size_t count = 0;
        const int result = SSL_read_ex(ssl_.get(), buffer, capacity, &count);
        return judge(result, count);
    }
    io_result write(std::string_view bytes) override {
        const std::lock_guard<std::mutex> lock(mutex_);
        ERR_clear_error();
        std::size_t count = 0;
        const int result = SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &count);
        const io_result outcome = judge(result, count);
        if (outcome.state == io_state::ended) {
            throw client_error(error_kind::connect, "the connection was lost", client_error::progress::maybe_sent);
        }
        return outcome;
    }
    void end_writes() noexcept override {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            ERR_clear_error();
            if (!broken_) SSL_shutdown(ssl_.get());
        }
        tcp_->end_writes();
    }
    detail::socket_handle handle() const noexcept override { return tcp_->handle(); }

private:
    void expect(const std::string& host) {
        if (expect_host(SSL_get0_param(ssl_.get()), host)) return;
        // The macro of OpenSSL casts const away in C's way.
        SSL_ctrl(ssl_.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, const_cast<char*>(host.c_str()));
    }

    void handshake(const std::string& host, const exchange_context& context) {
        const phase_clock clock(context, context.connect_timeout, "the TLS handshake with " + host,
                                client_error::progress::nothing_sent);
        for (;;) {
            ERR_clear_error();
            const int result = SSL_connect(ssl_.get());
            if (result == 1) return;
            const int error = SSL_get_error(ssl_.get(), result);
            if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
                clock.wait(handle(), error == SSL_ERROR_WANT_READ, error == SSL_ERROR_WANT_WRITE);
                continue;
            }
            const long refused = SSL_get_verify_result(ssl_.get());
            if (refused != X509_V_OK && SSL_get_verify_mode(ssl_.get()) != SSL_VERIFY_NONE) {
                throw client_error(error_kind::tls, "the certificate of " + host +
                                                        " was refused: " + X509_verify_cert_error_string(refused));
            }
            throw client_error(error_kind::tls,
                               "the TLS handshake with " + host + " failed" + detail::tls_error_text());
        }
    }

    io_result judge(int result, std::size_t count) {
        if (result == 1) return {io_state::done, count};
        const int system_error = detail::last_socket_error();
        switch (SSL_get_error(ssl_.get(), result)) {
        case SSL_ERROR_WANT_READ: return {io_state::wants_read, 0};
        case SSL_ERROR_WANT_WRITE: return {io_state::wants_write, 0};
        case SSL_ERROR_ZERO_RETURN: return {io_state::ended, 0};
        case SSL_ERROR_SYSCALL:
            broken_ = true;
            if (ERR_peek_error() == 0 && system_error == 0) return {io_state::ended, 0};
            detail::throw_lost(system_error);
        default:
            broken_ = true;
            throw client_error(error_kind::tls, "the TLS connection broke" + detail::tls_error_text(),
                               client_error::progress::maybe_sent);
        }
    }

    std::unique_ptr<tcp_stream<>> tcp_; // outlives the SSL object, whose BIO refers to it
    std::mutex mutex_;
    std::unique_ptr<SSL, void (*)(SSL*)> ssl_;
    bool broken_ = false;
};

} // namespace os
BACKENDAI_NAMESPACE_END

#endif
