// backend.ai admin keypair and keypairs: who may use the cluster, and how much of it.
#include "commands.hpp"

namespace cli {
namespace {

const std::vector<column>& keypair_columns() {
    static const std::vector<column> columns = {{"User ID", "user_id"},
                                                {"Access Key", "access_key"},
                                                {"Secret Key", "secret_key"},
                                                {"Active?", "is_active"},
                                                {"Admin?", "is_admin"},
                                                {"Created At", "created_at"},
                                                {"Last Used", "last_used"},
                                                {"Res.Policy", "resource_policy"},
                                                {"Rate Limit", "rate_limit"},
                                                {"Concur.Limit", "concurrency_limit"},
                                                {"Concur.Used", "concurrency_used"}};
    return columns;
}

// A number is a user of servers before 18.12.
backendai::user_id parse_user(const std::string& text) {
    const bool is_number =
        !text.empty() && text.size() < 10 && text.find_first_not_of("0123456789") == std::string::npos;
    return is_number ? backendai::user_id(std::stoi(text)) : backendai::user_id(text);
}

struct keypair_options {
    std::string user, access_key, resource_policy;
    bool is_admin = false, is_inactive = false;
    std::optional<bool> sets_admin, is_active;
    std::optional<int> rate_limit, concurrency_limit;
};

int show_own(context& ctx) {
    const server_view server = ctx.server();
    const backendai::json found = server.keypair(*server.config().access_key).info(fields_of(keypair_columns()));
    if (found.is_null()) throw failure("The server does not know this key pair.");
    ctx.show(found, keypair_columns());
    return 0;
}

int list(context& ctx, const keypair_options& options) {
    std::optional<backendai::user_id> user;
    if (!options.user.empty()) user = parse_user(options.user);
    ctx.list(ctx.server().keypair().list(user, options.is_active, fields_of(keypair_columns())), keypair_columns(),
             options.user.empty() ? "There are no matching keypairs."
                                  : "There are no matching keypairs associated with the user ID " + options.user);
    return 0;
}

int add_keypair(context& ctx, const keypair_options& options) {
    backendai::keypair_options wanted;
    wanted.is_active = !options.is_inactive;
    wanted.is_admin = options.is_admin;
    if (!options.resource_policy.empty()) wanted.resource_policy = options.resource_policy;
    if (options.rate_limit) wanted.rate_limit = *options.rate_limit;
    if (options.concurrency_limit) wanted.concurrency_limit = *options.concurrency_limit;
    const backendai::keypair_creation made = ctx.server().keypair().create(parse_user(options.user), wanted);
    ctx.show({{"access_key", made.access_key}, {"secret_key", made.secret_key}},
             {{"Access Key", "access_key"}, {"Secret Key", "secret_key"}});
    return 0;
}

int update(context& ctx, const keypair_options& options) {
    backendai::keypair_changes changes;
    changes.is_active = options.is_active;
    changes.is_admin = options.sets_admin;
    if (!options.resource_policy.empty()) changes.resource_policy = options.resource_policy;
    if (options.rate_limit) changes.rate_limit = options.rate_limit;
    if (options.concurrency_limit) changes.concurrency_limit = options.concurrency_limit;
    ctx.server().keypair(options.access_key).update(changes);
    ctx.notes.done("Key pair is updated: " + options.access_key + '.');
    return 0;
}

int remove(context& ctx, const keypair_options& options) {
    ctx.server().keypair(options.access_key).remove();
    ctx.notes.done("Key pair is deleted: " + options.access_key + '.');
    return 0;
}

int activate(context& ctx, const keypair_options& options) {
    ctx.server().keypair(options.access_key).activate();
    ctx.notes.done("Key pair is activated: " + options.access_key + '.');
    return 0;
}

int deactivate(context& ctx, const keypair_options& options) {
    ctx.server().keypair(options.access_key).deactivate();
    ctx.notes.done("Key pair is deactivated: " + options.access_key + '.');
    return 0;
}

} // namespace

void add_admin_keypairs(CLI::App& admin, context& ctx) {
    struct nothing {};
    add_command(admin, ctx, "keypair", "Show the key pair in use.", std::make_shared<nothing>(),
                [&ctx](const nothing&) { return show_own(ctx); });

    // `admin keypairs` alone lists them; with a command behind it, that is what is done.
    const auto listed = std::make_shared<keypair_options>();
    CLI::App& group = *add_group(admin, "keypairs", "List key pairs, or change them.");
    group.require_subcommand(0, 1);
    group.callback([&ctx, &group, listed] {
        if (group.get_subcommands().empty()) ctx.action = [&ctx, listed] { return list(ctx, *listed); };
    });
    group.add_option("-u,--user-id", listed->user, "Those of one user.")->type_name("USERID");
    group.add_option("--is-active", listed->is_active, "Those that are active (true), or are not (false).")
        ->type_name("BOOLEAN");

    const auto add_one = [&](const char* name, const char* description, int (*act)(context&, const keypair_options&)) {
        const auto options = std::make_shared<keypair_options>();
        CLI::App* command = add_command(group, ctx, name, description, options,
                                        [&ctx, act](const keypair_options& given) { return act(ctx, given); });
        if (act != add_keypair)
            command->add_option("ACCESSKEY", options->access_key, "Access key of the key pair.")->required();
        return std::make_pair(command, options);
    };
    const auto add_limits = [](CLI::App& command, keypair_options& options) {
        command.add_option("-r,--rate-limit", options.rate_limit, "Requests in 15 minutes (5000 for new ones).")
            ->type_name("NUMBER");
        command.add_option("-c,--concurrency-limit", options.concurrency_limit, "Sessions at once (1 for new ones).")
            ->type_name("NUMBER");
    };
    const auto [make, make_options] = add_one("add", "Make a key pair for a user, and print it.", add_keypair);
    make->add_option("USERID", make_options->user, "E-mail address of the user.")->required();
    make->add_option("RESOURCE_POLICY", make_options->resource_policy, "Resource policy; else the server's default.");
    make->add_flag("-a,--admin", make_options->is_admin, "With the rights of an administrator.");
    make->add_flag("-i,--inactive", make_options->is_inactive, "Not active yet.");
    add_limits(*make, *make_options);
    const auto [change, change_options] = add_one("update", "Change a key pair.", update);
    change->add_option("--resource-policy", change_options->resource_policy, "Its resource policy.")->type_name("NAME");
    change->add_option("--is-admin", change_options->sets_admin, "Whether it has the rights of an administrator.")
        ->type_name("BOOLEAN");
    change->add_option("--is-active", change_options->is_active, "Whether it may be used.")->type_name("BOOLEAN");
    add_limits(*change, *change_options);
    add_one("activate", "Let a key pair be used again.", activate);
    add_one("deactivate", "Let a key pair be used no more.", deactivate);
    add_one("delete", "Delete a key pair, for good.", remove);
}

} // namespace cli
