/// @file
/// The upgrade of a connection to a websocket: handshake, and what the websockets of a transport share.
#ifndef BACKENDAI_TRANSPORT_WEBSOCKET_UPGRADE_HPP
#define BACKENDAI_TRANSPORT_WEBSOCKET_UPGRADE_HPP

#include <backendai/codec/websocket_handshake.hpp>
#include <backendai/config.hpp>
#include <backendai/http.hpp>
#include <backendai/message_stream.hpp>
#include <backendai/os/stream.hpp>
#include <backendai/transport/websocket.hpp>
#include <backendai/transport/websocket_keeper.hpp>
#include <backendai/version.hpp>

#include <openssl/rand.h>

#include <array>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// Performs the handshake of RFC 6455 section 4.1 on a fresh stream.
template <class = void>
websocket_opening shake_hands(std::unique_ptr<os::byte_stream> stream, const http_request& request,
                              const websocket_options& options, const exchange_context& context,
                              std::shared_ptr<websocket_keeper<>> keeper) {
    std::array<unsigned char, 16> nonce{};
    if (RAND_bytes(nonce.data(), static_cast<int>(nonce.size())) != 1) {
        throw client_error(error_kind::io, "no random numbers");
    }
    const std::string peer = request.url.host_header();
    std::vector<std::string> protocols;
    std::string head = "GET " + request.url.target() + " HTTP/1.1\r\nHost: " + peer + "\r\n";
    for (const auto& field : request.headers) {
        if (equal_ignoring_case(field.first, "Sec-WebSocket-Protocol")) {
            for (const std::string& item : split_list(field.second)) protocols.push_back(item);
            continue;
        }
        if (!codec::is_token(field.first) || !codec::is_field_value(field.second)) {
            throw client_error(error_kind::argument, "not a header: \"" + field.first + '"');
        }
        head += field.first + ": " + field.second + "\r\n";
    }
    std::optional<codec::websocket_client_handshake> handshake;
    try {
        handshake.emplace(nonce, std::move(protocols));
    } catch (const std::invalid_argument& e) {
        throw client_error(error_kind::argument, e.what());
    }
    for (const auto& field : handshake->headers()) head += field.first + ": " + field.second + "\r\n";
    head += "\r\n";

    using progress = client_error::progress;
    os::phase_clock clock(context, context.read_timeout, "the websocket handshake with " + peer, progress::maybe_sent);
    std::string_view rest = head;
    std::string buffer(16384, '\0');
    std::string_view input;
    bool answered = false;
    try {
        while (!rest.empty()) {
            const os::io_result sent = stream->write(rest);
            if (sent.state == os::io_state::done) {
                rest.remove_prefix(sent.count);
            } else {
                clock.wait(stream->handle(), sent.state);
            }
        }
        while (!handshake->feed(input)) {
            const os::io_result got = stream->read(&buffer[0], buffer.size());
            if (got.state == os::io_state::done) {
                input = std::string_view(buffer).substr(0, got.count);
                answered = true;
                clock.restart();
            } else if (got.state == os::io_state::ended) {
                if (!answered) {
                    throw client_error(error_kind::connect, peer + " closed the connection without an answer",
                                       progress::maybe_sent);
                }
                handshake->finish();
                break;
            } else {
                clock.wait(stream->handle(), got.state);
            }
        }
    } catch (const codec::decode_error& e) {
        throw client_error(error_kind::protocol, "the answer of " + peer + " is not usable: " + e.what(),
                           progress::maybe_sent);
    } catch (const client_error& e) {
        if (!answered || e.kind() != error_kind::connect) throw;
        throw client_error(error_kind::protocol, "the answer of " + peer + " is cut short, " + e.what(),
                           progress::maybe_sent);
    }
    context.check(progress::maybe_sent);

    websocket_opening opening;
    opening.head.status = handshake->response().status;
    opening.head.reason = handshake->response().reason;
    for (const auto& field : handshake->response().headers) opening.head.headers.add(field.first, field.second);
    if (handshake->accepted()) {
        opening.stream = std::make_unique<websocket<>>(std::move(stream), std::string(input), handshake->protocol(),
                                                       options, context, std::move(keeper));
    } else {
        opening.body = handshake->response().body;
    }
    return opening;
}

/// What all websockets of a transport share. They may outlive it. Thread-safe.
class websocket_upgrader {
public:
    template <class = void>
    explicit websocket_upgrader(const api_config& config) : keeper_(std::make_shared<websocket_keeper<>>()) {
        options_.limits.max_message_size = config.max_websocket_message;
        options_.ping_interval = config.websocket_ping_interval;
        options_.ping_timeout = config.websocket_ping_timeout;
    }

    /// Turns a fresh connection into a websocket, see transport/concept.hpp.
    template <class = void>
    websocket_opening upgrade(std::unique_ptr<os::byte_stream> stream, const http_request& request,
                              const exchange_context& context) const {
        websocket_options options = options_;
        options.send_timeout = context.read_timeout;
        return shake_hands(std::move(stream), request, options, context, keeper_);
    }

private:
    const std::shared_ptr<websocket_keeper<>> keeper_;
    websocket_options options_;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
