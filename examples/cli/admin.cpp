// backend.ai admin: what administrators look at and change; key pairs are in admin_keypairs.cpp.
#include "commands.hpp"

namespace cli {
namespace {

const std::vector<column>& agent_columns() {
    static const std::vector<column> columns = {{"ID", "id"},
                                                {"Status", "status"},
                                                {"Region", "region"},
                                                {"First Contact", "first_contact"},
                                                {"CPU Usage (%)", "cpu_cur_pct"},
                                                {"Used Memory (MiB)", "mem_cur_bytes", column::form::mebibytes},
                                                {"Total slots", "available_slots"},
                                                {"Occupied slots", "occupied_slots"}};
    return columns;
}

struct agents_options {
    std::string status = "ALIVE", id;
    bool all = false;
};

int list_agents(context& ctx, const agents_options& options) {
    std::optional<std::string> status = options.status;
    if (options.status == "ALL") status.reset();
    std::vector<backendai::json> agents;
    if (options.all) {
        backendai::agent_filter filter;
        filter.status = status;
        filter.fields = fields_of(agent_columns());
        auto pages = ctx.server().agent().paginated_list(filter);
        for (const backendai::json& agent : pages) agents.push_back(agent);
    } else {
        agents = ctx.server().agent().list(status, fields_of(agent_columns()));
    }
    ctx.list(agents, agent_columns(), "There are no matching agents.");
    return 0;
}

int show_agent(context& ctx, const agents_options& options) {
    const backendai::json agent = ctx.server().agent(options.id).info(fields_of(agent_columns()));
    if (agent.is_null())
        throw failure("There is no agent " + options.id + ". `backend.ai admin agents` shows the agents.");
    ctx.show(agent, agent_columns());
    return 0;
}

int list_images(context& ctx) {
    const std::vector<column> columns = {{"Name", "name"},
                                         {"Registry", "registry"},
                                         {"Tag", "tag"},
                                         {"Digest", "digest"},
                                         {"Size", "size_bytes", column::form::bytes},
                                         {"Aliases", "aliases"}};
    ctx.list(ctx.server().image().list(fields_of(columns)), columns, "There are no registered images.");
    return 0;
}

struct image_options {
    std::string registry, alias, target;
};

int rescan_images(context& ctx, const image_options& options) {
    std::optional<std::string> registry;
    if (!options.registry.empty()) registry = options.registry;
    ctx.server().image().rescan(registry);
    ctx.notes.done("The images' metadata is updated.");
    return 0;
}

int alias_image(context& ctx, const image_options& options) {
    ctx.server().image().alias(options.alias, options.target);
    ctx.notes.done("Alias " + options.alias + " is created for " + options.target + '.');
    return 0;
}

int dealias_image(context& ctx, const image_options& options) {
    ctx.server().image().dealias(options.alias);
    ctx.notes.done("Alias " + options.alias + " is removed.");
    return 0;
}

int list_vfolders(context& ctx, const std::string& access_key) {
    const std::vector<column> columns = {{"Name", "name"},
                                         {"Created At", "created_at"},
                                         {"Last Used", "last_used"},
                                         {"Max Files", "max_files"},
                                         {"Max Size", "max_size"}};
    backendai::vfolder_filter filter;
    if (!access_key.empty()) filter.access_key = access_key;
    ctx.list(ctx.server().admin().vfolders(filter), columns, "There are no virtual folders.");
    return 0;
}

} // namespace

void add_admin(CLI::App& root, context& ctx) {
    CLI::App& admin = *add_group(root, "admin", "Sessions, agents, images, key pairs and folders of the cluster.");
    add_admin_sessions(admin, ctx);

    const auto many = std::make_shared<agents_options>();
    CLI::App* command = add_command(admin, ctx, "agents", "List the agents, the machines that run sessions.", many,
                                    [&ctx](const agents_options& given) { return list_agents(ctx, given); });
    command->add_option("-s,--status", many->status, "Those of one status, or ALL (ALIVE).")
        ->type_name("STATUS")
        ->transform(
            CLI::IsMember({"ALIVE", "LOST", "RESTARTING", "TERMINATED", "ALL"}, CLI::ignore_case).description(""));
    command->add_flag("--all", many->all, "All of them; else as many as the server tells at once (100).");
    const auto one = std::make_shared<agents_options>();
    command = add_command(admin, ctx, "agent", "Show an agent in detail.", one,
                          [&ctx](const agents_options& given) { return show_agent(ctx, given); });
    command->add_option("-i,--id", one->id, "Id of the agent; required.")->type_name("ID")->required();

    struct nothing {};
    add_command(admin, ctx, "images", "List the images that sessions can be made of.", std::make_shared<nothing>(),
                [&ctx](const nothing&) { return list_images(ctx); });
    const auto image = std::make_shared<image_options>();
    command = add_command(admin, ctx, "rescan-images", "Have the server look for images in its registries.", image,
                          [&ctx](const image_options& given) { return rescan_images(ctx, given); });
    command->add_option("-r,--registry", image->registry, "One registry only.")->type_name("NAME");
    command = add_command(admin, ctx, "alias-image", "Give an image another name.", image,
                          [&ctx](const image_options& given) { return alias_image(ctx, given); });
    command->add_option("ALIAS", image->alias, "The other name.")->required();
    command->add_option("TARGET", image->target, "The image.")->required();
    command = add_command(admin, ctx, "dealias-image", "Take another name of an image away.", image,
                          [&ctx](const image_options& given) { return dealias_image(ctx, given); });
    command->add_option("ALIAS", image->alias, "The other name.")->required();

    const auto access_key = std::make_shared<std::string>();
    add_command(admin, ctx, "vfolders", "List virtual folders.", access_key,
                [&ctx](const std::string& given) { return list_vfolders(ctx, given); })
        ->add_option("--access-key", *access_key, "Those of another key pair, for administrators.")
        ->type_name("KEY");
    add_admin_keypairs(admin, ctx);
    add_admin_policies(admin, ctx);
}

} // namespace cli
