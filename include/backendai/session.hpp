/// @file
/// The session: configuration, transport and the front doors of the API classes.
#ifndef BACKENDAI_SESSION_HPP
#define BACKENDAI_SESSION_HPP

#include <backendai/api/kernel.hpp>
#include <backendai/config.hpp>
#include <backendai/mode.hpp>
#include <backendai/pipeline.hpp>
#include <backendai/transport/concept.hpp>
#include <backendai/version.hpp>
#include <backendai/wire.hpp>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN

/// What a server says of itself.
struct server_info {
    std::string version; ///< newest protocol version it speaks, "v4.20190315"
    std::string manager; ///< version of the server software; empty when it does not say
    json raw;
};

/// The front doors of the API classes, with the limits of one set of call_options. Made by basic_session::with();
/// does not keep the session open. Thread-safe; cheap to copy.
template <class Transport, class Mode>
class basic_session_view {
    static_assert(is_transport_v<Transport>,
                  "backendai: this type is not a transport: it lacks response_head exchange(http_request&, body_sink&, "
                  "const exchange_context&), see backendai/transport/concept.hpp");

public:
    explicit basic_session_view(detail::call_scope scope) : scope_(std::move(scope)) {}

    /// Asks the server for its versions: `GET /`, which needs no authorization. Retry class: safe.
    /// @throws api_error, client_error
    typename Mode::template result<server_info> hello() const {
        return Mode::run(scope_, [](const detail::call_scope& scope) {
            server_info info;
            info.raw = scope.perform(detail::call()).json();
            const detail::wire_object fields(info.raw, "the greeting");
            info.version = fields.string("version");
            info.manager = fields.string_or("manager", "");
            return info;
        });
    }

    /// Functions of compute sessions in general: `session.kernel().get_or_create(...)`.
    basic_kernel_functions<Transport, Mode> kernel() const { return basic_kernel_functions<Transport, Mode>(scope_); }
    /// A handle to an existing compute session, by its id or client token. Makes no request.
    basic_kernel<Transport, Mode> kernel(std::string kernel_id) const {
        kernel_creation existing;
        existing.kernel_id = std::move(kernel_id);
        return basic_kernel<Transport, Mode>(scope_, std::move(existing));
    }

    /// The same doors, with other limits for the calls made through them.
    basic_session_view with(call_options options) const {
        return basic_session_view({scope_.state, std::move(options)});
    }

    /// The configuration in force, every field filled.
    const api_config& config() const noexcept { return scope_.state->config(); }
    /// Whether the session was closed.
    bool closed() const noexcept { return scope_.state->closed(); }

    const detail::call_scope& scope() const noexcept { return scope_; }

protected:
    detail::call_scope scope_;
};

/// A session: meant to live as long as the program talks to the server, shared by its threads.
/// Closing or destroying it ends the calls that are running with client_error{closed} and waits for them; later calls
/// on handles made from it throw the same. Thread-safe, close() included.
template <class Transport, class Mode>
class basic_session : public basic_session_view<Transport, Mode> {
    using view = basic_session_view<Transport, Mode>;

public:
    /// With the process-wide configuration. @throws client_error{argument} as get_config().
    basic_session() : basic_session(get_config()) {}

    /// With a configuration whose unset fields come from the environment and the defaults.
    explicit basic_session(api_config config) : view(build(resolve_config(std::move(config)))) {}

    /// With a ready-made transport.
    basic_session(api_config config, Transport transport)
        : view({std::make_shared<detail::session_state>(
                    resolve_config(std::move(config)),
                    std::make_unique<detail::transport_holder<Transport>>(std::move(transport))),
                {}}) {}

    basic_session(basic_session&& other) noexcept = default;
    basic_session& operator=(basic_session&&) = delete;
    ~basic_session() {
        if (this->scope_.state) this->scope_.state->close();
    }

    /// Ends the session; see the class. May be called more than once.
    void close() { this->scope_.state->close(); }

    /// The transport it was made with.
    Transport& transport() noexcept {
        return static_cast<detail::transport_holder<Transport>&>(this->scope_.state->transport()).transport();
    }

private:
    static detail::call_scope build(api_config config) {
        static_assert(
            std::is_constructible_v<Transport, const api_config&>,
            "backendai: this transport cannot be made from an api_config: use basic_session(config, transport)");
        auto transport = std::make_unique<detail::transport_holder<Transport>>(config);
        return {std::make_shared<detail::session_state>(std::move(config), std::move(transport)), {}};
    }
};

BACKENDAI_NAMESPACE_END

#endif
