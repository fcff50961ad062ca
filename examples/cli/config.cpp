// backend.ai config: what the program goes by.
#include "commands.hpp"

#include <unistd.h>

namespace cli {
namespace {

int show_config(context& ctx) {
    // Resolved as a session does it, and without asking the server.
    const backendai::api_config config =
        ctx.options.is_local ? ctx.server().config() : backendai::resolve_config(ctx.config());
    std::string mounts;
    for (const std::string& mount : *config.vfolder_mounts) mounts += (mounts.empty() ? "" : ", ") + mount;
    const backendai::json shown = {
        {"client_version", BACKENDAI_VERSION},
        {"endpoint", *config.endpoint},
        {"api_version", config.version ? *config.version : "negotiated with the server"},
        {"access_key", *config.access_key},
        {"secret_key", "set, not shown (" + std::to_string(config.secret_key->size()) + " characters)"},
        {"hash_type", *config.hash_type},
        {"skip_sslcert_validation", *config.skip_sslcert_validation},
        {"vfolder_mounts", mounts.empty() ? backendai::json() : backendai::json(mounts)}};
    ctx.show(shown, {{"Client version", "client_version"},
                     {"API endpoint", "endpoint"},
                     {"API version", "api_version"},
                     {"Access key", "access_key"},
                     {"Secret key", "secret_key"},
                     {"Signature hash type", "hash_type"},
                     {"Skip SSL certificate validation?", "skip_sslcert_validation"},
                     {"Virtual folders for every session", "vfolder_mounts"}});
    return 0;
}

} // namespace

void add_config(CLI::App& root, context& ctx) {
    struct nothing {};
    add_command(root, ctx, "config", "Show the configuration. The secret key is not shown.",
                std::make_shared<nothing>(), [&ctx](const nothing&) { return show_config(ctx); });
}

} // namespace cli
