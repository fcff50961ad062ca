/// @file
/// The low-level API: any signed request to any path of the server, for what the API classes do not cover.
#ifndef BACKENDAI_REQUEST_HPP
#define BACKENDAI_REQUEST_HPP

#include <backendai/files/multipart_upload.hpp>
#include <backendai/pipeline.hpp>
#include <backendai/response.hpp>
#include <backendai/session.hpp>
#include <backendai/version.hpp>

#include <memory>
#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

/// Says whether fetch() throws an api_error for an answer that is no success: `fetch(check_status{false})`.
struct check_status {
    explicit check_status(bool value = true) : enabled(value) {}
    bool enabled;
};

/// A file in a multipart/form-data request.
struct attached_file {
    std::string filename;                       ///< UTF-8, relative, with `/`
    std::shared_ptr<codec::byte_source> stream; ///< what it holds; file_source reads it from disk
    std::string content_type = "application/octet-stream";
    std::string bytes = {};         ///< what it holds when there is no stream
    std::string field_name = "src"; ///< of the form; uploads expect "src"
};

/// One request: `request(session, "GET", "/auth/test").set_param("echo", "hi").fetch().json()`.
/// Not thread-safe; fetch() may be called again and sends the same request anew.
template <class Transport, class Mode>
class request {
public:
    /// @param method any HTTP method.  @param path after the endpoint, with or without a query, escaped or not.
    request(const basic_session_view<Transport, Mode>& session, std::string method, std::string path)
        : scope_(session.scope()) {
        call_.method = std::move(method);
        call_.path = std::move(path);
        call_.retry = detail::upper_case(call_.method) == "GET" ? retry_class::safe : retry_class::unsafe;
    }

    /// Adds a query parameter. A name may be given more than once.
    request& set_param(std::string name, std::string value) {
        call_.query.emplace_back(std::move(name), std::move(value));
        return *this;
    }
    /// Adds a header field, in place of one of the same name. @p name must not be one that the signature covers.
    request& set_header(const std::string& name, std::string value) {
        for (const char* reserved : {"Authorization", "Date", "Host", "Content-Type", "Content-Length",
                                     "Transfer-Encoding", "Connection", "X-BackendAI-Version"}) {
            if (detail::equal_ignoring_case(name, reserved)) {
                throw client_error(error_kind::argument, std::string("the header ") + reserved + " is set by the SDK");
            }
        }
        call_.headers.set(name, std::move(value));
        return *this;
    }
    /// Sets a body of bytes or text, sent with any method.
    request& set_content(std::string body, std::string content_type = "application/octet-stream") {
        call_.body = std::move(body);
        call_.source.reset();
        call_.content_type = std::move(content_type);
        return *this;
    }
    /// Sets a body that is read while it is sent.
    request& set_content(std::shared_ptr<codec::byte_source> source,
                         std::string content_type = "application/octet-stream") {
        call_.source = std::move(source);
        call_.body.clear();
        call_.content_type = std::move(content_type);
        return *this;
    }
    /// Sets a JSON body, sent with any method, GET and DELETE included.
    /// @throws client_error{argument} when a text in it is not UTF-8.
    request& set_json(const json& value) {
        call_.set_json(value);
        call_.source.reset();
        return *this;
    }
    /// Sets a multipart/form-data body of files, which are read while they are sent.
    /// @throws client_error{argument} for a name or type with a line break, a NUL byte or what is not UTF-8.
    request& attach_files(std::vector<attached_file> files) {
        std::vector<codec::form_part> parts;
        for (attached_file& file : files) {
            codec::form_part part;
            part.name = std::move(file.field_name);
            part.filename = std::move(file.filename);
            part.content_type = std::move(file.content_type);
            part.content =
                file.stream ? std::move(file.stream) : std::make_shared<codec::string_source>(std::move(file.bytes));
            parts.push_back(std::move(part));
        }
        detail::set_multipart(call_, std::move(parts));
        return *this;
    }
    /// Says that repeating the request does no harm (a GET) or may do some (everything else), against the default.
    request& set_retry_class(retry_class kind) {
        call_.retry = kind;
        return *this;
    }

    /// Sends the request and returns the answer, body in memory.
    /// @throws api_error for an answer that is no success (unless switched off), client_error when there is none.
    typename Mode::template result<response> fetch(check_status check = check_status()) const {
        return fetch(body_receiver(), check);
    }
    /// Sends the request and hands the body of a successful answer to @p receiver as it arrives; the returned response
    /// has no body then. Once the receiver has seen data the request is not tried again.
    typename Mode::template result<response> fetch(body_receiver receiver, check_status check = check_status()) const {
        return fetch(head_receiver(), std::move(receiver), check);
    }
    /// The same; @p head sees status and header fields of a successful answer before its body begins.
    typename Mode::template result<response> fetch(head_receiver head, body_receiver receiver,
                                                   check_status check = check_status()) const {
        detail::call what = call_;
        what.on_head = std::move(head);
        what.receiver = std::move(receiver);
        what.check_status = check.enabled;
        return Mode::run(scope_, [what = std::move(what)](const detail::call_scope& scope) mutable {
            return scope.perform(std::move(what));
        });
    }

    /// Opens a websocket at the path, a signed GET whatever the method; the body is not sent. Subprotocols go into the
    /// header Sec-WebSocket-Protocol. A message_stream comes of it, in asynchronous mode an async_message_stream.
    /// @throws api_error when the answer is not 101; client_error
    typename Mode::template result<std::unique_ptr<typename Mode::stream>> connect_websocket() const {
        static_assert(
            is_websocket_transport_v<Transport>,
            "backendai: connect_websocket needs a transport with websockets: this one lacks websocket_opening "
            "open_websocket(http_request&, const exchange_context&), see backendai/transport/concept.hpp");
        detail::call what = call_;
        what.body.clear();
        what.source.reset();
        return Mode::run(scope_, [what = std::move(what)](const detail::call_scope& scope) {
            return Mode::wrap(scope, scope.template open_websocket<Transport>(what));
        });
    }

private:
    detail::call_scope scope_;
    detail::call call_;
};

template <class Transport, class Mode>
request(const basic_session<Transport, Mode>&, std::string, std::string) -> request<Transport, Mode>;

BACKENDAI_NAMESPACE_END

#endif
