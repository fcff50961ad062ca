// The server's end of a TLS connection for the tests, by OpenSSL over memory, so that any certificate, version and
// ending can be shown to a client.
#ifndef BACKENDAI_TESTS_TLS_SERVER_HPP
#define BACKENDAI_TESTS_TLS_SERVER_HPP

#include "hostile_server.hpp"

#include <openssl/ssl.h>

#include <cstdlib>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace hostile {

struct tls_options {
    std::string certificate; // PEM file with certificate and key
    int min_version = TLS1_2_VERSION, max_version = TLS1_3_VERSION;
    std::string client_authority; // PEM file; the client must show a certificate of it
};

class tls_context {
public:
    explicit tls_context(const tls_options& options) : context_(SSL_CTX_new(TLS_server_method()), SSL_CTX_free) {
        SSL_CTX* const context = get();
        const char* file = options.certificate.c_str();
        if (SSL_CTX_use_certificate_file(context, file, SSL_FILETYPE_PEM) != 1 ||
            SSL_CTX_use_PrivateKey_file(context, file, SSL_FILETYPE_PEM) != 1) {
            throw std::runtime_error("cannot use " + options.certificate);
        }
        // Debian's security level forbids versions before 1.2.
        if (options.min_version < TLS1_2_VERSION) SSL_CTX_set_cipher_list(context, "DEFAULT@SECLEVEL=0");
        SSL_CTX_set_min_proto_version(context, options.min_version);
        SSL_CTX_set_max_proto_version(context, options.max_version);
        if (!options.client_authority.empty()) {
            SSL_CTX_load_verify_locations(context, options.client_authority.c_str(), nullptr);
            SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
        }
    }
    SSL_CTX* get() const { return context_.get(); }

private:
    std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_;
};

class tls_peer {
public:
    tls_peer(peer& under, const tls_context& context) : under_(under), ssl_(SSL_new(context.get()), SSL_free) {
        SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
        SSL_set_accept_state(ssl_.get());
    }
    bool handshake() {
        return work([this] { return SSL_do_handshake(ssl_.get()); }) > 0;
    }
    bool send(std::string_view bytes) {
        return work([&] { return SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size())); }) > 0;
    }
    // The head of the next request, with what came of its body.
    std::optional<std::string> read_request() {
        std::string text;
        char block[4096];
        while (text.find("\r\n\r\n") == std::string::npos) {
            const int count = work([&] { return SSL_read(ssl_.get(), block, sizeof block); });
            if (count <= 0) return {};
            text.append(block, static_cast<std::size_t>(count));
        }
        return text;
    }
    // Asks the client for another handshake (TLS 1.2).
    bool ask_anew() {
        return SSL_renegotiate(ssl_.get()) == 1 && work([this] { return SSL_do_handshake(ssl_.get()); }) > 0;
    }
    // Tells the client that nothing more comes; TCP's end alone could be an attacker's.
    void close_notify() {
        SSL_shutdown(ssl_.get());
        flush();
    }

private:
    template <class Call>
    int work(Call&& call) {
        for (;;) {
            const int result = call();
            const bool wants = result <= 0 && SSL_get_error(ssl_.get(), result) == SSL_ERROR_WANT_READ;
            const bool flushed = flush(); // an alert, too
            if (!wants) return flushed ? result : -1;
            const std::string more = flushed ? under_.read_some() : std::string();
            if (more.empty()) return -1;
            BIO_write(SSL_get_rbio(ssl_.get()), more.data(), static_cast<int>(more.size()));
        }
    }
    bool flush() {
        char* data = nullptr;
        const long size = BIO_get_mem_data(SSL_get_wbio(ssl_.get()), &data);
        if (size <= 0) return true;
        const bool sent = under_.send({data, static_cast<std::size_t>(size)});
        BIO_reset(SSL_get_wbio(ssl_.get()));
        return sent;
    }

    peer& under_;
    std::unique_ptr<SSL, decltype(&SSL_free)> ssl_;
};

} // namespace hostile

#endif
