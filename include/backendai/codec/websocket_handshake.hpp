/// @file
/// The opening handshake of RFC 6455 section 4, both sides.
#ifndef BACKENDAI_CODEC_WEBSOCKET_HANDSHAKE_HPP
#define BACKENDAI_CODEC_WEBSOCKET_HANDSHAKE_HPP

#include <backendai/codec/base64.hpp>
#include <backendai/codec/decode_error.hpp>
#include <backendai/codec/digest.hpp>
#include <backendai/codec/http_fields.hpp>
#include <backendai/codec/http_response.hpp>
#include <backendai/version.hpp>

#include <array>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// The Sec-WebSocket-Accept that answers a Sec-WebSocket-Key.
template <class = void>
std::string websocket_accept(std::string_view key) {
    return base64_encode(digest("sha1", std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
}

/// The client's side of one handshake: makes the headers, then reads and judges the answer. Not thread-safe.
class websocket_client_handshake {
public:
    /// `nonce`: 16 fresh random bytes. `protocols`: the subprotocols offered, the preferred one first.
    /// Throws std::invalid_argument for a subprotocol that is no token or is offered twice.
    template <class = void>
    explicit websocket_client_handshake(const std::array<unsigned char, 16>& nonce,
                                        std::vector<std::string> protocols = {}, http_response_limits limits = {})
        : key_(base64_encode(std::string_view(reinterpret_cast<const char*>(nonce.data()), nonce.size()))),
          protocols_(std::move(protocols)),
          parser_(limits) {
        for (std::size_t i = 0; i < protocols_.size(); ++i) {
            if (!is_token(protocols_[i])) throw std::invalid_argument("websocket: malformed subprotocol");
            for (std::size_t j = 0; j < i; ++j) {
                if (protocols_[i] == protocols_[j]) throw std::invalid_argument("websocket: subprotocol offered twice");
            }
        }
    }

    /// What the request needs besides its line (GET, HTTP/1.1), Host and whatever else the caller sends.
    template <class = void>
    http_fields headers() const {
        http_fields fields = {{"Upgrade", "websocket"},
                              {"Connection", "Upgrade"},
                              {"Sec-WebSocket-Key", key_},
                              {"Sec-WebSocket-Version", "13"}};
        std::string offered;
        for (const std::string& protocol : protocols_) offered += (offered.empty() ? "" : ", ") + protocol;
        if (!offered.empty()) fields.emplace_back("Sec-WebSocket-Protocol", std::move(offered));
        return fields;
    }

    /// Takes bytes off the front of `input`. True when the answer is whole: either accepted(), and what is left in
    /// `input` are frames for the decoder; or refused, and response() has status, headers and body.
    /// Throws decode_error for malformed HTTP and for a 101 that does not agree to what was asked.
    template <class = void>
    bool feed(std::string_view& input) {
        if (done_) return true;
        if (!parser_.feed(input)) return false;
        if (response().status == 101) verify();
        done_ = true;
        return true;
    }

    /// Tells that the connection ended, which completes a refusal without a length; else throws decode_error.
    template <class = void>
    void finish() {
        if (done_) return;
        parser_.finish();
        done_ = true;
    }

    /// True when the websocket is open.
    bool accepted() const noexcept { return done_ && response().status == 101; }

    /// The subprotocol that the server chose among ours; empty for none.
    const std::string& protocol() const noexcept { return protocol_; }

    /// The server's answer; of a refusal with its body.
    const http_response& response() const noexcept { return parser_.response(); }

private:
    [[noreturn]] static void fail(const char* what) { throw decode_error(std::string("websocket handshake: ") + what); }

    template <class = void>
    const std::string* single(const char* name) const {
        if (count_fields(response().headers, name) > 1) {
            throw decode_error(std::string("websocket handshake: repeated header ") + name);
        }
        return find_field(response().headers, name);
    }

    // RFC 6455 section 4.1, what the client must check in the server's answer.
    template <class = void>
    void verify() {
        const std::string* upgrade = single("Upgrade");
        if (upgrade == nullptr || !equals_ignoring_case(*upgrade, "websocket")) fail("no upgrade to websocket");
        if (!list_has(response().headers, "Connection", "Upgrade")) fail("no upgrade of the connection");
        const std::string* accept = single("Sec-WebSocket-Accept");
        if (accept == nullptr || *accept != websocket_accept(key_)) fail("wrong Sec-WebSocket-Accept");
        if (count_fields(response().headers, "Sec-WebSocket-Extensions") != 0) {
            fail("extension that was not offered");
        }
        // A body has no place in front of frames: whoever announces one disagrees with us about where they begin.
        if (const std::string* length = single("Content-Length")) {
            if (*length != "0") fail("101 with a body");
        }
        if (count_fields(response().headers, "Transfer-Encoding") != 0) fail("101 with a body");
        const std::string* protocol = single("Sec-WebSocket-Protocol");
        if (protocol == nullptr) return; // none chosen: allowed, the caller decides whether it can live with that
        for (const std::string& offered : protocols_) {
            if (*protocol == offered) protocol_ = offered;
        }
        if (protocol_.empty()) fail("subprotocol that was not offered");
    }

    std::string key_;
    std::vector<std::string> protocols_;
    http_response_parser parser_;
    bool done_ = false;
    std::string protocol_;
};

/// A server's answer to a handshake.
struct websocket_server_answer {
    int status = 101;     ///< 101 when the websocket is open; else 400, 405 or 426
    std::string reason;   ///< of the status line; of a refusal it says what was wrong
    http_fields headers;  ///< of the answer
    std::string protocol; ///< the subprotocol chosen; empty for none

    bool accepted() const noexcept { return status == 101; }

    /// The answer's head for the wire; the caller may add headers before.
    template <class = void>
    std::string head() const {
        std::string text = "HTTP/1.1 " + std::to_string(status) + " " + reason + "\r\n";
        for (const auto& field : headers) text += field.first + ": " + field.second + "\r\n";
        return text + "\r\n";
    }
};

/// Judges a request's method and headers and makes the answer (RFC 6455 section 4.2). `supported`: the subprotocols we
/// speak; the first one of the client's list among them is chosen. Extensions are declined. Never throws for a bad
/// request: that is an answer too.
template <class = void>
websocket_server_answer websocket_answer(std::string_view method, const http_fields& request,
                                         const std::vector<std::string>& supported = {}) {
    const auto refuse = [](int status, const char* reason, http_fields headers = {}) {
        headers.emplace_back("Connection", "close");
        headers.emplace_back("Content-Length", "0");
        return websocket_server_answer{status, reason, std::move(headers), {}};
    };
    if (method != "GET") return refuse(405, "Method Not Allowed", {{"Allow", "GET"}});
    if (count_fields(request, "Host") != 1) return refuse(400, "Bad Request: Host");
    if (!list_has(request, "Upgrade", "websocket")) {
        return refuse(426, "Upgrade Required", {{"Upgrade", "websocket"}, {"Sec-WebSocket-Version", "13"}});
    }
    if (!list_has(request, "Connection", "Upgrade")) return refuse(400, "Bad Request: Connection");
    const std::string* version = find_field(request, "Sec-WebSocket-Version");
    if (version == nullptr || count_fields(request, "Sec-WebSocket-Version") != 1 || *version != "13") {
        return refuse(426, "Upgrade Required", {{"Upgrade", "websocket"}, {"Sec-WebSocket-Version", "13"}});
    }
    const std::string* key = find_field(request, "Sec-WebSocket-Key");
    bool good_key = key != nullptr && key->size() == 24 && count_fields(request, "Sec-WebSocket-Key") == 1;
    if (good_key) {
        try {
            const std::string nonce = base64_decode(*key);
            good_key = nonce.size() == 16 && base64_encode(nonce) == *key;
        } catch (const decode_error&) {
            good_key = false; // answered with 400 below
        }
    }
    if (!good_key) return refuse(400, "Bad Request: Sec-WebSocket-Key");
    websocket_server_answer answer;
    answer.reason = "Switching Protocols";
    answer.headers = {
        {"Upgrade", "websocket"}, {"Connection", "Upgrade"}, {"Sec-WebSocket-Accept", websocket_accept(*key)}};
    for (const std::string& offered : list_members(request, "Sec-WebSocket-Protocol")) {
        if (!is_token(offered)) return refuse(400, "Bad Request: Sec-WebSocket-Protocol");
        for (const std::string& ours : supported) {
            if (answer.protocol.empty() && offered == ours) answer.protocol = ours;
        }
    }
    if (!answer.protocol.empty()) answer.headers.emplace_back("Sec-WebSocket-Protocol", answer.protocol);
    return answer;
}

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif
