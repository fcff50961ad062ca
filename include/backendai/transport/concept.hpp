/// @file
/// The contract of a transport: what carries HTTP requests (and, as a second capability, websockets) for a session.
///
/// Valid expressions, for `T t`, `http_request& r`, `body_sink& s`, `const exchange_context& c`:
///
/// | expression          | type                | meaning |
/// |---------------------|---------------------|---------|
/// | `t.exchange(r,s,c)` | `response_head`     | sends one request; `s.on_head(head)` once, then `s.on_data(bytes)`...;
/// returns the head | | `T(cfg)`            | optional            | built from a resolved `api_config`; needed by
/// `basic_session(config)` only | | `t.open_websocket(r,c)` | optional        | the second trait,
/// `is_websocket_transport` |
///
/// Rules
/// - Any HTTP status is a success. An exception means that there was no usable answer: `client_error` of kind connect,
///   tls, timeout, protocol, cancelled or closed, whose `sent()` says `nothing_sent` only when no byte of the request
///   can have left. An answer that is cut short, framed wrongly or not HTTP is an error of kind protocol.
/// - What the sink throws comes out unchanged, and the connection is not used again.
/// - It follows no redirect, decodes no content coding, adds no credentials, sends the target as it stands.
/// - open_websocket() performs a signed handshake as `r` says (plus Upgrade, Connection and Sec-WebSocket-*; a header
///   Sec-WebSocket-Protocol of `r` names the subprotocols) under the same rules. An answer other than 101 is a success
///   too: `websocket_opening` without a stream and with the answer's body. The stream obeys `c.cancel` and `c.closing`
///   for as long as it lives, and may outlive the transport.
/// - It ends within 200 ms of `c.deadline` and of `c.cancel` or `c.closing` being triggered.
/// - Thread-safe: many threads call exchange() on one object. The object is neither copied nor moved while in use.
/// - No exception of an HTTP library and no type of one gets out.
#ifndef BACKENDAI_TRANSPORT_CONCEPT_HPP
#define BACKENDAI_TRANSPORT_CONCEPT_HPP

#include <backendai/http.hpp>
#include <backendai/message_stream.hpp>
#include <backendai/version.hpp>

#include <type_traits>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN

namespace detail {

template <class T, class = void>
struct has_exchange : std::false_type {};
template <class T>
struct has_exchange<
    T, std::void_t<decltype(std::declval<T&>().exchange(std::declval<http_request&>(), std::declval<body_sink&>(),
                                                        std::declval<const exchange_context&>()))>>
    : std::is_same<response_head,
                   decltype(std::declval<T&>().exchange(std::declval<http_request&>(), std::declval<body_sink&>(),
                                                        std::declval<const exchange_context&>()))> {};

template <class T, class = void>
struct has_open_websocket : std::false_type {};
template <class T>
struct has_open_websocket<T, std::void_t<decltype(std::declval<T&>().open_websocket(
                                 std::declval<http_request&>(), std::declval<const exchange_context&>()))>>
    : std::is_same<websocket_opening, decltype(std::declval<T&>().open_websocket(
                                          std::declval<http_request&>(), std::declval<const exchange_context&>()))> {};

} // namespace detail

/// Whether @p T models a transport.
template <class T>
struct is_transport : detail::has_exchange<T> {};
template <class T>
inline constexpr bool is_transport_v = is_transport<T>::value;

/// Whether @p T also opens websockets.
template <class T>
struct is_websocket_transport : std::conjunction<is_transport<T>, detail::has_open_websocket<T>> {};
template <class T>
inline constexpr bool is_websocket_transport_v = is_websocket_transport<T>::value;

#if defined(__cpp_concepts) && __cpp_concepts >= 201907L
template <class T>
concept http_transport = is_transport_v<T>;
#endif

namespace detail {

/// The exemplar: the least that is a transport, compiled so that the table above cannot drift from the trait.
struct transport_exemplar {
    template <class = void>
    response_head exchange(http_request& request, body_sink& sink, const exchange_context& context) {
        context.check();
        response_head head;
        head.status = request.has_body() ? 413 : 204;
        sink.on_head(head);
        return head;
    }
};
static_assert(is_transport_v<transport_exemplar> && !is_websocket_transport_v<transport_exemplar>);

/// The same with the second capability: the least that also opens websockets, here by refusing all of them.
struct websocket_transport_exemplar : transport_exemplar {
    template <class = void>
    websocket_opening open_websocket(http_request& request, const exchange_context& context) {
        context.check();
        websocket_opening opening;
        opening.head.status = request.url.is_tls() ? 501 : 426;
        return opening;
    }
};
static_assert(is_websocket_transport_v<websocket_transport_exemplar>);

} // namespace detail

BACKENDAI_NAMESPACE_END

#endif
