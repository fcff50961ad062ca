/// @file
/// The session: configuration, transport and the front doors of the API classes.
#ifndef BACKENDAI_SESSION_HPP
#define BACKENDAI_SESSION_HPP

#include <backendai/api/admin.hpp>
#include <backendai/api/agent.hpp>
#include <backendai/api/image.hpp>
#include <backendai/api/kernel.hpp>
#include <backendai/api/keypair.hpp>
#include <backendai/api/login.hpp>
#include <backendai/api/manager.hpp>
#include <backendai/api/vfolder.hpp>
#include <backendai/config.hpp>
#include <backendai/mode.hpp>
#include <backendai/pipeline.hpp>
#include <backendai/transport/concept.hpp>
#include <backendai/version.hpp>
#include <backendai/wire.hpp>

#include <memory>
#include <optional>
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

namespace detail {

// Needs no authorization and no agreed version, and so works on every server.
template <class = void>
server_info say_hello(const call_scope& scope) {
    call what;
    what.negotiates = false;
    server_info info;
    info.raw = scope.perform(std::move(what)).json();
    const wire_object fields(info.raw, "the greeting");
    info.version = fields.string("version");
    info.manager = fields.string_or("manager", "");
    scope.state->negotiation().note_announced(info.version);
    return info;
}

} // namespace detail

/// The front doors of the API classes, with the limits of one set of call_options. Made by basic_session::with();
/// does not keep the session open. Thread-safe; cheap to copy.
template <class Transport, class Mode>
class basic_session_view {
    static_assert(is_transport_v<Transport>,
                  "backendai: this type is not a transport: it lacks response_head exchange(http_request&, body_sink&, "
                  "const exchange_context&), see backendai/transport/concept.hpp");

public:
    /// Asks the server for its versions: `GET /`, which needs no authorization. Retry class: safe.
    /// @throws api_error, client_error
    typename Mode::template result<server_info> hello() const {
        return Mode::run(scope_, [](const detail::call_scope& scope) { return detail::say_hello(scope); });
    }
    /// The newest protocol version that the server speaks, as it says. Asked once, `GET /`, if that was not done yet;
    /// the answer is kept. Retry class: safe. @throws api_error, client_error
    typename Mode::template result<std::string> server_version() const {
        return Mode::run(scope_, [](const detail::call_scope& scope) {
            std::string version = scope.state->negotiation().announced();
            return version.empty() ? detail::say_hello(scope).version : version;
        });
    }
    /// The protocol version that calls are made in: the configuration's, or else the lower of what the server and this
    /// SDK know, v4.20190315 for a server that does not say. Retry class: safe. @throws client_error
    typename Mode::template result<std::string> protocol_version() const {
        return Mode::run(scope_, [](const detail::call_scope& scope) { return scope.negotiate().version; });
    }

    /// Logs in at a webserver, endpoint_type "session": `POST /server/login`. All that follows is done as this user, by
    /// all who share the session object; who was logged in before is not any more. Retry class: unsafe.
    /// @param otp the one-time password, for users who have set that up
    /// @throws login_error when the server refuses it; api_error 429 after too many of those; client_error{argument}
    ///         for an endpoint of another type; client_error{io} when cookie_file cannot be written
    typename Mode::template result<login_info> login(std::string user, std::string password,
                                                     std::string otp = {}) const {
        return Mode::run(scope_, [user = std::move(user), password = std::move(password),
                                  otp = std::move(otp)](const detail::call_scope& scope) {
            return detail::session_login(scope, user, password, otp);
        });
    }
    /// Who is logged in, if anybody: `POST /server/login-check`. Retry class: safe.
    /// @throws api_error, client_error; argument for an endpoint of another type
    typename Mode::template result<std::optional<login_info>> login_check() const {
        return Mode::run(scope_, [](const detail::call_scope& scope) { return detail::session_login_check(scope); });
    }
    /// Ends the login, and deletes cookie_file: `POST /server/logout`. Retry class: safe.
    /// @throws as login_check()
    typename Mode::template result<void> logout() const {
        return Mode::run(scope_, [](const detail::call_scope& scope) { detail::session_logout(scope); });
    }

    /// Functions of compute sessions in general: `session.kernel().get_or_create(...)`.
    basic_kernel_functions<Transport, Mode> kernel() const { return basic_kernel_functions<Transport, Mode>(scope_); }
    /// A handle to an existing compute session, by its id or client token. Makes no request.
    basic_kernel<Transport, Mode> kernel(std::string kernel_id) const {
        kernel_creation existing;
        existing.name = kernel_id;
        existing.kernel_id = std::move(kernel_id);
        return basic_kernel<Transport, Mode>(scope_, std::move(existing));
    }

    /// Functions of virtual folders in general: `session.vfolder().create(...)`.
    basic_vfolder_functions<Transport, Mode> vfolder() const {
        return basic_vfolder_functions<Transport, Mode>(scope_);
    }
    /// A handle to a virtual folder, by its name. Makes no request.
    basic_vfolder<Transport, Mode> vfolder(std::string name) const {
        return basic_vfolder<Transport, Mode>(scope_, std::move(name));
    }

    /// Administration by GraphQL, and listings for administrators.
    basic_admin_functions<Transport, Mode> admin() const { return basic_admin_functions<Transport, Mode>(scope_); }
    /// Functions of agents in general.
    basic_agent_functions<Transport, Mode> agent() const { return basic_agent_functions<Transport, Mode>(scope_); }
    /// A handle to an agent by its id. Makes no request.
    basic_agent<Transport, Mode> agent(std::string agent_id) const {
        return basic_agent<Transport, Mode>(scope_, std::move(agent_id));
    }
    /// Functions of images.
    basic_image_functions<Transport, Mode> image() const { return basic_image_functions<Transport, Mode>(scope_); }
    /// Functions of key pairs in general.
    basic_keypair_functions<Transport, Mode> keypair() const {
        return basic_keypair_functions<Transport, Mode>(scope_);
    }
    /// A handle to a key pair by its access key. Makes no request.
    basic_keypair<Transport, Mode> keypair(std::string access_key) const {
        return basic_keypair<Transport, Mode>(scope_, std::move(access_key));
    }
    /// Control of the server.
    basic_manager_functions<Transport, Mode> manager() const {
        return basic_manager_functions<Transport, Mode>(scope_);
    }

    /// The same doors, with other limits for the calls made through them.
    basic_session_view with(call_options options) const {
        return basic_session_view({scope_.state, std::move(options)});
    }

    /// The configuration in force, every field filled; but for the version, when it is negotiated.
    const api_config& config() const noexcept { return scope_.state->config(); }
    /// Whether the session was closed, or moved from.
    bool closed() const noexcept { return !scope_.state || scope_.state->closed(); }

    const detail::call_scope& scope() const noexcept { return scope_; }

protected:
    // Not for users: a scope knows the type of its transport only by the view that it is in.
    explicit basic_session_view(detail::call_scope scope) : scope_(std::move(scope)) {}

    detail::call_scope scope_;
};

/// A session: meant to live as long as the program talks to the server, shared by its threads.
/// Closing or destroying it ends the calls that are running with client_error{closed} and waits for them; later calls
/// on handles made from it throw the same. One that was moved from can be closed, destroyed and asked whether it
/// is closed(), nothing else. Thread-safe, close() included. In async mode see also mode_async.hpp.
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
    ~basic_session() { close(); }

    /// Ends the session; see the class. May be called more than once.
    void close() {
        if (this->scope_.state) this->scope_.state->close();
    }

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
