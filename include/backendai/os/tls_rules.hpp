/// @file
/// What every TLS connection keeps to, whether it is our own or one that an HTTP library makes.
#ifndef BACKENDAI_OS_TLS_RULES_HPP
#define BACKENDAI_OS_TLS_RULES_HPP

#include <backendai/version.hpp>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <string>

BACKENDAI_NAMESPACE_BEGIN
namespace os {

/// TLS 1.2 at least, and no second handshake at a peer's wish.
template <class = void>
void restrict_tls(SSL_CTX* context) {
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
#ifdef SSL_OP_NO_RENEGOTIATION
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
#endif
}

/// The certificate must name @p host, which is a name or an address, in its SAN; OpenSSL would take one that stands in
/// the subject's CN only.
/// @returns whether it is an address
template <class = void>
bool expect_host(X509_VERIFY_PARAM* parameters, const std::string& host) {
    X509_VERIFY_PARAM_set_hostflags(parameters,
                                    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (X509_VERIFY_PARAM_set1_ip_asc(parameters, host.c_str()) == 1) return true;
    ERR_clear_error(); // that it is not an address
    X509_VERIFY_PARAM_set1_host(parameters, host.c_str(), host.size());
    return false;
}

} // namespace os
BACKENDAI_NAMESPACE_END

#endif
