/// @file
/// A libcurl handle with what a configuration says about connections: limits, trust, identity. One connection at most.
#ifndef BACKENDAI_TRANSPORT_CURL_CONNECTION_HPP
#define BACKENDAI_TRANSPORT_CURL_CONNECTION_HPP

#include <backendai/config.hpp>
#include <backendai/http.hpp>
#include <backendai/os/connection_handle.hpp>
#include <backendai/os/sigpipe.hpp>
#include <backendai/os/tcp_stream.hpp>
#include <backendai/transport/tls_events.hpp>
#include <backendai/version.hpp>

#include <curl/curl.h>

#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#if LIBCURL_VERSION_NUM < 0x074400
#error "backendai: curl_transport needs libcurl 7.68 or newer"
#endif

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

// CURL and CURLM are both void to a C++ compiler, unless libcurl is built with strict typing.
struct curl_easy_deleter {
    void operator()(void* handle) const { curl_easy_cleanup(static_cast<CURL*>(handle)); }
};
struct curl_multi_deleter {
    void operator()(void* handle) const { curl_multi_cleanup(static_cast<CURLM*>(handle)); }
};
struct curl_list_deleter {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

/// Sets an option. @p value must have the very type that libcurl expects: long, curl_off_t, or a pointer.
template <class T>
void curl_set(CURL* easy, CURLoption option, T value) {
    const CURLcode code = curl_easy_setopt(easy, option, value);
    if (code == CURLE_OUT_OF_MEMORY) throw std::bad_alloc();
    if (code != CURLE_OK) {
        throw client_error(error_kind::argument, std::string("this libcurl cannot do what is asked of it: ") +
                                                     curl_easy_strerror(code) + ", option " + std::to_string(option));
    }
}

/// Strings in libcurl's form.
class curl_list {
public:
    template <class = void>
    void add(const std::string& text) {
        curl_slist* longer = curl_slist_append(list_.get(), text.c_str());
        if (longer == nullptr) throw std::bad_alloc();
        list_.release(); // NOLINT(bugprone-unused-return-value): the longer list holds it
        list_.reset(longer);
    }
    curl_slist* get() const noexcept { return list_.get(); }

private:
    std::unique_ptr<curl_slist, curl_list_deleter> list_;
};

/// Applies what @p config says about TLS to a handle that will connect to @p url.
template <class = void>
void curl_set_up_tls(CURL* easy, const api_config& config) {
    const bool verify = !config.skip_sslcert_validation.value_or(false);
    curl_set(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    curl_set(easy, CURLOPT_SSL_VERIFYPEER, verify ? 1L : 0L);
    curl_set(easy, CURLOPT_SSL_VERIFYHOST, verify ? 2L : 0L);
    // A connection that is lost is not made again in the same handle. And libcurl 7.88 frees the cache's entries twice
    // when it runs out of memory.
    curl_set(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
    if (verify) curl_easy_setopt(easy, CURLOPT_CERTINFO, 1L); // not every TLS backend has it
    if (!config.ca_file.empty()) {
        curl_set(easy, CURLOPT_CAINFO, config.ca_file.c_str());
        curl_easy_setopt(easy, CURLOPT_CAPATH, nullptr); // those authorities in place of the system's
    }
    if (!config.client_certificate_file.empty()) {
        curl_set(easy, CURLOPT_SSLCERT, config.client_certificate_file.c_str());
        const std::string& key =
            config.client_key_file.empty() ? config.client_certificate_file : config.client_key_file;
        curl_set(easy, CURLOPT_SSLKEY, key.c_str());
    }
}

/// Whether @p library is what libcurl does TLS with.
template <class = void>
bool curl_uses(std::string_view library) {
    return std::string_view(curl_version_info(CURLVERSION_NOW)->ssl_version).find(library) == 0;
}

/// Whether a fresh connection's certificate names hosts in its subjectAltName. libcurl falls back to the subject's CN
/// where a certificate has none, which RFC 9110 section 4.3.4 forbids. Only OpenSSL and its relatives show extensions;
/// with another backend the answer is true, and the backend's own rule stands.
template <class = void>
bool curl_has_alternative_names(CURL* easy) {
    const bool shows_extensions =
        curl_uses("OpenSSL") || curl_uses("LibreSSL") || curl_uses("BoringSSL") || curl_uses("AWS-LC");
    curl_certinfo* certificates = nullptr;
    if (!shows_extensions || curl_easy_getinfo(easy, CURLINFO_CERTINFO, &certificates) != CURLE_OK ||
        certificates == nullptr || certificates->num_of_certs == 0) {
        return true;
    }
    for (const curl_slist* line = certificates->certinfo[0]; line != nullptr; line = line->next) {
        const std::string_view text = line->data;
        if (text.find("X509v3 Subject Alternative Name:") == 0) return true;
    }
    return false;
}

/// Called by libcurl for every TLS connection that it opens.
inline CURLcode curl_watch_tls(CURL* /*easy*/, void* context, void* /*user*/) {
    tls_events::watch(static_cast<SSL_CTX*>(context));
    return CURLE_OK;
}

/// An easy handle in a multi handle of its own, which keeps the connection between exchanges.
/// Used by one thread at a time, but for wake_up().
template <class = void>
class curl_connection {
public:
    /// @throws client_error{argument}, std::bad_alloc
    curl_connection(const api_config& config, const codec::url& url)
        : multi_(initialised() ? curl_multi_init() : nullptr), easy_(curl_easy_init()) {
        if (!multi_ || !easy_) throw std::bad_alloc();
        CURL* const handle = easy();
        curl_multi_setopt(multi(), CURLMOPT_MAXCONNECTS, 1L);
        curl_set(handle, CURLOPT_NOSIGNAL, 1L);
        curl_set(handle, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
        curl_set(handle, CURLOPT_HTTP09_ALLOWED, 0L);
        curl_set(handle, CURLOPT_FOLLOWLOCATION, 0L);
        curl_set(handle, CURLOPT_HTTP_CONTENT_DECODING, 0L);
        curl_set(handle, CURLOPT_PATH_AS_IS, 1L);
        curl_set(handle, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
        curl_set(handle, CURLOPT_TCP_NODELAY, 1L);
        curl_set(handle, CURLOPT_BUFFERSIZE, 128L * 1024);
        curl_set(handle, CURLOPT_ERRORBUFFER, error_);
        curl_set(handle, CURLOPT_SOCKOPTDATA, static_cast<void*>(this));
        curl_set(handle, CURLOPT_SOCKOPTFUNCTION, &on_socket);
        if (url.is_tls()) {
            curl_set_up_tls(handle, config);
            // The context is OpenSSL's only where libcurl's own backend is.
            if (curl_uses("OpenSSL")) curl_set(handle, CURLOPT_SSL_CTX_FUNCTION, &curl_watch_tls);
        }
    }

    curl_connection(const curl_connection&) = delete;
    curl_connection& operator=(const curl_connection&) = delete;
    ~curl_connection() {
        const os::sigpipe_guard guard; // the end of a TLS connection is written to a peer that may be gone
        easy_.reset();
        multi_.reset();
    }

    CURL* easy() const noexcept { return static_cast<CURL*>(easy_.get()); }
    CURLM* multi() const noexcept { return static_cast<CURLM*>(multi_.get()); }
    /// Makes a wait on the multi handle return; from any thread.
    void wake_up() const noexcept { curl_multi_wakeup(multi()); }

    /// How many sockets were opened in the current exchange.
    int opened() const noexcept { return opened_; }
    std::uint64_t bytes_received() { return handle_.bytes_received(); }
    /// libcurl's words on what went wrong; may be empty.
    std::string_view error_text() const noexcept { return error_; }

    void begin_exchange() noexcept {
        opened_ = 0;
        error_[0] = '\0';
    }
    /// After a whole answer, the easy handle still being in the multi handle: whether the connection can be kept.
    bool keep(exchange_context::clock::time_point now) {
        curl_socket_t socket = CURL_SOCKET_BAD;
        curl_easy_getinfo(easy(), CURLINFO_ACTIVESOCKET, &socket);
        if (socket == CURL_SOCKET_BAD) return false;
        if (opened_ > 1) handle_.hold(socket); // of several attempts to connect another one may have won
        last_used_ = now;
        return true;
    }
    /// Whether the end of the peer's data, just met on this thread, was its own. libcurl takes a TLS connection that is
    /// cut for one that ends; where its TLS is not OpenSSL's there is nothing to tell them apart by.
    static bool end_is_announced() { return !curl_uses("OpenSSL") || tls_events::of_this_thread().end_is_announced(); }
    bool is_open() const { return last_used_ != exchange_context::clock::time_point(); }
    /// Servers close what idles, and a connection that is about to be closed is where requests get lost. Bytes that
    /// nobody asked for would be taken for the next answer: libcurl looks for an end of the stream only.
    bool is_reusable(exchange_context::clock::time_point now) {
        return now - last_used_ < std::chrono::seconds(15) && handle_.is_quiet();
    }

private:
    static bool initialised() {
        // Once a process and never undone: other code may use libcurl too.
        static const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
        return code == CURLE_OK;
    }
    static int on_socket(void* self, curl_socket_t socket, curlsocktype /*purpose*/) {
        auto& connection = *static_cast<curl_connection*>(self);
        ++connection.opened_;
        connection.handle_.hold(socket);
        // libcurl does it too, but does not look whether it worked, and would block for ever.
        return os::detail::set_non_blocking(socket) ? CURL_SOCKOPT_OK : CURL_SOCKOPT_ERROR;
    }

    os::connection_handle handle_;
    char error_[CURL_ERROR_SIZE] = {};
    int opened_ = 0;
    exchange_context::clock::time_point last_used_;
    std::unique_ptr<void, curl_multi_deleter> multi_;
    std::unique_ptr<void, curl_easy_deleter> easy_;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
