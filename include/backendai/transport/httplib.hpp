/// @file
/// The default transport, on cpp-httplib. Declared here, defined in httplib_impl.hpp, the only header that includes
/// httplib.h.
///
/// A program of many files can keep httplib.h, and the code of the default sessions, out of all but one of them: define
/// BACKENDAI_EXTERN_HTTPLIB for the whole program, and BACKENDAI_HTTPLIB_IMPLEMENTATION in exactly one file before it
/// includes <backendai.hpp>. See examples/two_files.
#ifndef BACKENDAI_TRANSPORT_HTTPLIB_HPP
#define BACKENDAI_TRANSPORT_HTTPLIB_HPP

#include <backendai/codec/json.hpp>
#include <backendai/config.hpp>
#include <backendai/http.hpp>
#include <backendai/message_stream.hpp>
#include <backendai/mode_async.hpp>
#include <backendai/pipeline.hpp>
#include <backendai/request.hpp>
#include <backendai/session.hpp>
#include <backendai/transport/concept.hpp>
#include <backendai/version.hpp>

#include <memory>
#include <string_view>

BACKENDAI_NAMESPACE_BEGIN

/// HTTP by cpp-httplib, 0.11.4 to the newest: one connection a caller, kept alive in a bounded pool for the next one.
/// TLS is checked against the host name in the certificate's SAN, TLS 1.2 at least.
/// Thread-safe. Moving it is only allowed while no exchange runs.
class httplib_transport {
public:
    /// Takes the connection part of a resolved configuration: time limits, CA and client certificate files, the skip
    /// flag, the number of idle connections.
    template <class = void>
    explicit httplib_transport(const api_config& config);
    httplib_transport(httplib_transport&&) noexcept = default;
    httplib_transport& operator=(httplib_transport&&) noexcept = default;

    /// See transport/concept.hpp.
    template <class = void>
    response_head exchange(http_request& request, body_sink& sink, const exchange_context& context);
    /// See transport/concept.hpp. By sockets and OpenSSL of our own: cpp-httplib has no part in it.
    template <class = void>
    websocket_opening open_websocket(http_request& request, const exchange_context& context);

private:
    template <class>
    class implementation;
    std::shared_ptr<implementation<void>> implementation_; // of this one alone; it can delete what is not seen here
};

/// The default session: calls block.
using session = basic_session<httplib_transport, blocking>;
/// A handle to a compute session, made by `session::kernel()`.
using kernel = basic_kernel<httplib_transport, blocking>;

/// The default session whose calls return futures: `async_session session; auto info = session.hello();`.
using async_session = basic_session<httplib_transport, async>;
/// A handle to a compute session, made by `async_session::kernel()`.
using async_kernel = basic_kernel<httplib_transport, async>;

BACKENDAI_NAMESPACE_END

#if !defined(BACKENDAI_EXTERN_HTTPLIB) || defined(BACKENDAI_HTTPLIB_IMPLEMENTATION)
#include <backendai/transport/httplib_impl.hpp>
#endif

#ifdef BACKENDAI_EXTERN_HTTPLIB
// Everything that users call on the default session: declared in all files, made in the one with the implementation.
// The asynchronous one is made where it is used: most programs have one or the other. The first four are what inline
// functions, which a compiler generates all the same, come to in the end.
#ifdef BACKENDAI_HTTPLIB_IMPLEMENTATION
#define BACKENDAI_TEMPLATE template
#else
#define BACKENDAI_TEMPLATE extern template
#endif
BACKENDAI_NAMESPACE_BEGIN
BACKENDAI_TEMPLATE api_config resolve_config(api_config);
BACKENDAI_TEMPLATE nlohmann::json codec::parse_json(std::string_view);
BACKENDAI_TEMPLATE detail::session_state::session_state(api_config, std::unique_ptr<detail::any_transport>);
BACKENDAI_TEMPLATE response detail::session_state::perform(detail::call&, const detail::call_scope&);
BACKENDAI_TEMPLATE httplib_transport::httplib_transport(const api_config&);
BACKENDAI_TEMPLATE response_head httplib_transport::exchange(http_request&, body_sink&, const exchange_context&);
BACKENDAI_TEMPLATE websocket_opening httplib_transport::open_websocket(http_request&, const exchange_context&);
BACKENDAI_TEMPLATE class basic_session_view<httplib_transport, blocking>;
BACKENDAI_TEMPLATE class basic_session<httplib_transport, blocking>;
BACKENDAI_TEMPLATE class basic_kernel<httplib_transport, blocking>;
BACKENDAI_TEMPLATE class basic_kernel_functions<httplib_transport, blocking>;
BACKENDAI_TEMPLATE class basic_vfolder<httplib_transport, blocking>;
BACKENDAI_TEMPLATE class basic_vfolder_functions<httplib_transport, blocking>;
BACKENDAI_TEMPLATE class basic_admin_functions<httplib_transport, blocking>;
BACKENDAI_TEMPLATE class basic_agent<httplib_transport, blocking>;
BACKENDAI_TEMPLATE class basic_agent_functions<httplib_transport, blocking>;
BACKENDAI_TEMPLATE class basic_image_functions<httplib_transport, blocking>;
BACKENDAI_TEMPLATE class basic_keypair<httplib_transport, blocking>;
BACKENDAI_TEMPLATE class basic_keypair_functions<httplib_transport, blocking>;
BACKENDAI_TEMPLATE class basic_manager_functions<httplib_transport, blocking>;
BACKENDAI_TEMPLATE class request<httplib_transport, blocking>;
BACKENDAI_NAMESPACE_END

#undef BACKENDAI_TEMPLATE
#endif

#endif
