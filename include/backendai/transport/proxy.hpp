/// @file
/// HTTP proxies: which one, if any, leads to a URL, and CONNECT, by which websockets and TLS pass through it.
#ifndef BACKENDAI_TRANSPORT_PROXY_HPP
#define BACKENDAI_TRANSPORT_PROXY_HPP

#include <backendai/codec/base64.hpp>
#include <backendai/codec/http_response.hpp>
#include <backendai/codec/printable.hpp>
#include <backendai/codec/url.hpp>
#include <backendai/config.hpp>
#include <backendai/http.hpp>
#include <backendai/os/stream.hpp>
#include <backendai/version.hpp>

#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// A proxy, and who we are to it.
struct proxy_server {
    std::string host;
    std::uint16_t port = 0;
    std::string user, password; ///< empty: none

    template <class = void>
    std::string authorization() const {
        return user.empty() && password.empty() ? std::string()
                                                : "Basic " + codec::base64_encode(user + ':' + password);
    }
};

/// Reads "http://user:password@host:port", or without the scheme. @throws client_error{argument}; the message holds no
/// credentials
template <class = void>
proxy_server parse_proxy(std::string_view text) {
    proxy_server proxy;
    std::string address(text);
    if (address.find("://") == std::string::npos) address.insert(0, "http://");
    const std::size_t start = address.find("://") + 3;
    const std::size_t at = address.find_last_of('@', address.find('/', start));
    if (at != std::string::npos && at >= start) {
        const std::string user_info = address.substr(start, at - start);
        const std::size_t colon = user_info.find(':');
        proxy.user = codec::unescape(user_info.substr(0, colon), false);
        if (colon != std::string::npos) proxy.password = codec::unescape(user_info.substr(colon + 1), false);
        address.erase(start, at + 1 - start);
    }
    try {
        const codec::url url = codec::parse_url(address);
        if (url.is_tls())
            throw client_error(error_kind::argument, "a proxy is spoken to by plain HTTP: http://host:port");
        proxy.host = url.host;
        proxy.port = url.port;
    } catch (const codec::decode_error& e) {
        throw client_error(error_kind::argument, std::string("the proxy is not usable, ") + e.what());
    }
    return proxy;
}

/// Whether a list as of NO_PROXY ("*", "host", ".domain", "domain:port") takes this URL out.
template <class = void>
bool is_excluded(std::string_view list, const codec::url& url) {
    for (std::string item : split_list(list)) {
        if (item == "*") return true;
        for (char& c : item) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
        // A port, unless the colon is one of several of an IPv6 address.
        const std::size_t colon = item.rfind(':');
        if (colon != std::string::npos && (item.find(':') == colon || item[colon - 1] == ']')) {
            if (item.substr(colon + 1) != std::to_string(url.port)) continue;
            item.erase(colon);
        }
        if (item.size() > 1 && item.front() == '[' && item.back() == ']') item = item.substr(1, item.size() - 2);
        if (!item.empty() && item.front() == '*') item.erase(0, 1);
        if (!item.empty() && item.front() == '.') item.erase(0, 1);
        if (item.empty()) continue;
        if (url.host == item) return true;
        const std::size_t longer = url.host.size() > item.size() ? url.host.size() - item.size() : 0;
        if (longer != 0 && url.host[longer - 1] == '.' && url.host.compare(longer, std::string::npos, item) == 0)
            return true;
    }
    return false;
}

template <class = void>
bool is_this_machine(const std::string& host) {
    return host == "localhost" || host == "::1" || host.compare(0, 4, "127.") == 0;
}

/// The proxy for a URL. api_config::proxy, when set, holds for everything (empty: none); else the environment's
/// HTTPS_PROXY, for plain http http_proxy (the upper-case name can be set by a web server's caller), then ALL_PROXY,
/// less NO_PROXY and this machine. @throws client_error{argument} for one that cannot be read
template <class = void>
std::optional<proxy_server> find_proxy(const api_config& config, const codec::url& url) {
    if (config.proxy) {
        if (config.proxy->empty()) return {};
        return parse_proxy(*config.proxy);
    }
    const auto variable = [](std::initializer_list<const char*> names) {
        for (const char* name : names) {
            const char* value = std::getenv(name);
            if (value != nullptr && *value != '\0') return std::string(value);
        }
        return std::string();
    };
    const std::string text = url.is_tls() ? variable({"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"})
                                          : variable({"http_proxy", "all_proxy", "ALL_PROXY"});
    if (text.empty() || is_this_machine(url.host) || is_excluded(variable({"no_proxy", "NO_PROXY"}), url)) return {};
    return parse_proxy(text);
}

/// Asks a proxy, to which @p stream leads, for a tunnel to @p url. @throws client_error{connect} when it refuses
template <class = void>
void connect_through(os::byte_stream& stream, const proxy_server& proxy, const codec::url& url,
                     const exchange_context& context) {
    const std::string target = codec::url_host(url.host) + ':' + std::to_string(url.port);
    std::string head = "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n";
    const std::string authorization = proxy.authorization();
    if (!authorization.empty()) head += "Proxy-Authorization: " + authorization + "\r\n";
    head += "\r\n";
    const std::string name = "the proxy " + proxy.host + ':' + std::to_string(proxy.port);
    const os::phase_clock clock(context, context.connect_timeout, "the answer of " + name,
                                client_error::progress::nothing_sent);
    std::string_view rest = head;
    while (!rest.empty()) {
        const os::io_result sent = stream.write(rest);
        if (sent.state == os::io_state::done) {
            rest.remove_prefix(sent.count);
        } else {
            clock.wait(stream.handle(), sent.state);
        }
    }
    codec::http_response_parser parser({}, true);
    try {
        // A byte at a time: what follows the head belongs to the peer behind the proxy.
        while (!parser.done()) {
            char byte = 0;
            const os::io_result got = stream.read(&byte, 1);
            if (got.state == os::io_state::ended) {
                parser.finish();
            } else if (got.state != os::io_state::done) {
                clock.wait(stream.handle(), got.state);
            } else {
                std::string_view input(&byte, 1);
                parser.feed(input);
            }
            if (parser.head_done() && parser.response().status / 100 != 2) break;
        }
    } catch (const codec::decode_error& e) {
        throw client_error(error_kind::connect, name + " gave no usable answer: " + e.what());
    }
    if (parser.response().status / 100 != 2) {
        throw client_error(error_kind::connect, name + " refused the connection to " + target + ": " +
                                                    std::to_string(parser.response().status) + ' ' +
                                                    codec::printable_text(parser.response().reason, 512));
    }
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
