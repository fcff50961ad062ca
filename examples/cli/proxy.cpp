// backend.ai proxy: the API on a local port, without signatures.
#include "commands.hpp"
#include "proxy_server.hpp"

namespace cli {
namespace {

int run_proxy(context& ctx, const proxy_options& options) {
    const proxy_server proxy(ctx, options);
    const std::string address =
        "http://" + backendai::codec::url_host(options.bind) + ':' + std::to_string(proxy.port());
    ctx.notes.info("The API of " + *ctx.server().config().endpoint +
                   " is available, unsigned and for everybody on this "
                   "machine, at:");
    if (ctx.wants_json()) {
        ctx.print_json({{"address", address}, {"bind", options.bind}, {"port", proxy.port()}});
    } else {
        ctx.out.line(address);
    }
    ctx.out.flush();
    ctx.interrupts.wait(); // Ctrl-C is how it is meant to end
    ctx.notes.info("Shutting down....");
    return 0;
}

} // namespace

void add_proxy(CLI::App& root, context& ctx) {
    const auto options = std::make_shared<proxy_options>();
    CLI::App* command =
        add_command(root, ctx, "proxy",
                    "Open a local port that takes API requests without signatures, HTTP and websockets, "
                    "and passes them on.\n\nFor development only: whoever can reach the port acts with "
                    "your keys. Requests of web pages of other sites are refused.",
                    options, [&ctx](const proxy_options& given) { return run_proxy(ctx, given); });
    command->add_option("--bind", options->bind, "Address of this machine to listen on (localhost).")
        ->type_name("ADDRESS");
    command->add_option("-p,--port", options->port, "Port to listen on (8084); 0 for any free one.")->type_name("PORT");
    command
        ->add_option("--allow-origin", options->allow_origin,
                     "A site whose web pages may use the proxy, "
                     "http://localhost:3000, or * for all.")
        ->type_name("ORIGIN");
}

} // namespace cli
