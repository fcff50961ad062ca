// backend.ai app: a port of this machine that leads to a service in a compute session.
#include "commands.hpp"
#include "errors.hpp"

namespace cli {
namespace {

struct app_options {
    std::string session, app, bind = "127.0.0.1", protocol;
    std::uint16_t port = 8080;
};

// The services of a session, by the server's word; nothing where it does not tell.
std::vector<backendai::json> services_of(context& ctx, const std::string& session) {
    backendai::json found;
    try {
        found = ctx.server().admin().session(session, {"sess_id", "service_ports"});
    } catch (const backendai::graphql_error&) {
        return {}; // a server that tells it in another way; the tunnel finds out
    }
    if (found.is_null())
        throw failure("There is no running session " + session + ". `backend.ai ps` shows those that run.");
    const backendai::json ports = found.value("service_ports", backendai::json());
    return ports.is_array() ? std::vector<backendai::json>(ports.begin(), ports.end()) : std::vector<backendai::json>();
}

backendai::tunnel_protocol protocol_of(context& ctx, const app_options& options) {
    std::string protocol = options.protocol, names;
    const std::vector<backendai::json> services = services_of(ctx, options.session);
    bool is_known = services.empty();
    for (const backendai::json& service : services) {
        const std::string name = cell_text(service.value("name", backendai::json()));
        names += (names.empty() ? "" : ", ") + name;
        if (name != options.app) continue;
        is_known = true;
        if (protocol.empty()) protocol = service.value("protocol", "http");
    }
    if (!is_known) {
        throw failure("The session " + options.session + " has no service " + options.app + "; it has " + names + '.');
    }
    return protocol.empty() || protocol == "http" ? backendai::tunnel_protocol::http : backendai::tunnel_protocol::tcp;
}

int run_app(context& ctx, const app_options& options) {
    backendai::tunnel_options how;
    how.bind = options.bind == "localhost" ? "127.0.0.1" : options.bind;
    how.port = options.port;
    how.protocol = protocol_of(ctx, options);
    how.on_error = [&ctx](const backendai::error& error) {
        // Ctrl-C breaks connections off, which is no news; what the server said before is.
        const bool is_over = ctx.interrupts.happened() && error.as_client_error() != nullptr;
        if (!is_over) ctx.notes.fail(explain(error, ctx.config()));
    };
    const char* scheme = how.protocol == backendai::tunnel_protocol::http ? "http" : "tcp";
    backendai::app_tunnel tunnel(ctx.server(), options.session, options.app, how);
    ctx.notes.info("A local proxy to the application \"" + options.app + "\" provided by the session \"" +
                   options.session + "\" is available at:");
    const std::string address =
        std::string(scheme) + "://" + backendai::codec::url_host(options.bind) + ':' + std::to_string(tunnel.port());
    if (ctx.wants_json()) {
        ctx.print_json({{"address", address}, {"bind", options.bind}, {"port", tunnel.port()}});
    } else {
        ctx.out.line(address);
    }
    ctx.out.flush();
    ctx.interrupts.wait(); // Ctrl-C is how it is meant to end
    ctx.notes.info("Shutting down....");
    tunnel.stop();
    ctx.notes.info("The local proxy to \"" + options.app + "\" has terminated.");
    return 0;
}

} // namespace

void add_app(CLI::App& root, context& ctx) {
    const auto options = std::make_shared<app_options>();
    CLI::App* command =
        add_command(root, ctx, "app",
                    "Open a local port that leads to a service of a compute session.\n\nPrints the address and stays "
                    "until Ctrl-C. `start` tells which services there are.",
                    options, [&ctx](const app_options& given) { return run_app(ctx, given); });
    command->add_option("SESSID", options->session, session_help)->required();
    command->add_option("APP", options->app, "Name of the service: jupyter")->required();
    command
        ->add_option("--bind", options->bind,
                     "Address of this machine to listen on (127.0.0.1). Others than that let "
                     "other machines in!")
        ->type_name("ADDRESS");
    command->add_option("-p,--port", options->port, "Port to listen on (8080); 0 for any free one.")->type_name("PORT");
    command->add_option("--protocol", options->protocol, "Of the service: http or tcp; else the server's word.")
        ->type_name("NAME")
        ->check(CLI::IsMember({"http", "tcp"}).description(""));
    command->footer("Example:\n  backend.ai start -t mysession python\n  backend.ai app -p 9900 mysession jupyter");
}

} // namespace cli
