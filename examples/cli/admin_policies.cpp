// backend.ai admin resource-policy and resource-policies: how much key pairs may use. The SDK has no class for them, so
// that this is also an example of GraphQL queries of one's own.
#include "commands.hpp"
#include "prompt.hpp"

namespace cli {
namespace {

using backendai::json;

const std::vector<column>& policy_columns() {
    static const std::vector<column> columns = {{"Name", "name"},
                                                {"Created At", "created_at"},
                                                {"Default for Unspecified", "default_for_unspecified"},
                                                {"Total Resource Slots", "total_resource_slots"},
                                                {"Max Concurrent Sessions", "max_concurrent_sessions"},
                                                {"Max Containers per Session", "max_containers_per_session"},
                                                {"Max vFolder Count", "max_vfolder_count"},
                                                {"Max vFolder Size", "max_vfolder_size"},
                                                {"Idle Timeout", "idle_timeout"},
                                                {"Allowed vFolder Hosts", "allowed_vfolder_hosts"}};
    return columns;
}

std::string selection() {
    std::string text;
    for (const column& each : policy_columns()) text += ' ' + each.field;
    return '{' + text + " }";
}

struct policy_options {
    std::string name;
    std::optional<std::string> unspecified, slots, hosts;
    std::optional<int> sessions, containers, folders, folder_size, idle_timeout;
    bool yes = false;

    // The GraphQL input object; what was not given is null.
    json properties() const {
        const auto maybe = [](const auto& value) { return value ? json(*value) : json(); };
        json allowed;
        if (hosts) {
            allowed = json::array();
            for (std::string rest = *hosts; !rest.empty();) {
                const std::size_t comma = rest.find(',');
                allowed.push_back(rest.substr(0, comma));
                rest.erase(0, comma == std::string::npos ? rest.size() : comma + 1);
            }
        }
        return {{"default_for_unspecified", maybe(unspecified)}, {"total_resource_slots", maybe(slots)},
                {"max_concurrent_sessions", maybe(sessions)},    {"max_containers_per_session", maybe(containers)},
                {"max_vfolder_count", maybe(folders)},           {"max_vfolder_size", maybe(folder_size)},
                {"idle_timeout", maybe(idle_timeout)},           {"allowed_vfolder_hosts", allowed}};
    }
};

int show(context& ctx, const policy_options& options) {
    const json name = options.name.empty() ? json() : json(options.name);
    const json data = ctx.server().admin().query(
        "query($name: String) { keypair_resource_policy(name: $name) " + selection() + " }", {{"name", name}});
    const json policy = data.value("keypair_resource_policy", json());
    if (policy.is_null())
        throw failure("There is no such resource policy. `backend.ai admin resource-policies` shows them.");
    ctx.show(policy, policy_columns());
    return 0;
}

int list(context& ctx) {
    const json data = ctx.server().admin().query("query { keypair_resource_policies " + selection() + " }");
    const json policies = data.value("keypair_resource_policies", json::array());
    ctx.list({policies.begin(), policies.end()}, policy_columns(), "There are no keypair resource policies.");
    return 0;
}

// A mutation answers {ok, msg}; one that could not be done does so with `ok: false` and no error.
void mutate(context& ctx, const std::string& field, const std::string& arguments, const std::string& parameters,
            const json& variables) {
    const json data = ctx.server().admin().query(
        "mutation(" + parameters + ") { " + field + '(' + arguments + ") { ok msg } }", variables);
    const json answer = data.value(field, json::object());
    if (!answer.value("ok", false))
        throw failure("The server could not do it: " + cell_text(answer.value("msg", json())) + '.');
}

int add(context& ctx, const policy_options& given) {
    policy_options options = given;
    // The server wants all of them; these are the official client's.
    if (!options.unspecified) options.unspecified = "UNLIMITED";
    if (!options.slots) options.slots = "{}";
    if (!options.sessions) options.sessions = 30;
    if (!options.containers) options.containers = 1;
    if (!options.folders) options.folders = 10;
    if (!options.folder_size) options.folder_size = 0;
    if (!options.idle_timeout) options.idle_timeout = 1800;
    if (!options.hosts) options.hosts = "local";
    mutate(ctx, "create_keypair_resource_policy", "name: $name, props: $input",
           "$name: String!, $input: CreateKeyPairResourcePolicyInput!",
           {{"name", options.name}, {"input", options.properties()}});
    ctx.notes.done("Keypair resource policy " + options.name + " is created.");
    return 0;
}

int update(context& ctx, const policy_options& options) {
    mutate(ctx, "modify_keypair_resource_policy", "name: $name, props: $input",
           "$name: String!, $input: ModifyKeyPairResourcePolicyInput!",
           {{"name", options.name}, {"input", options.properties()}});
    ctx.notes.done("Keypair resource policy " + options.name + " is updated.");
    return 0;
}

int remove(context& ctx, const policy_options& options) {
    if (!options.yes && !confirm(ctx, "> Delete the resource policy " + options.name + '?')) return 1;
    mutate(ctx, "delete_keypair_resource_policy", "name: $name", "$name: String!", {{"name", options.name}});
    ctx.notes.done("Resource policy " + options.name + " is deleted.");
    return 0;
}

void add_properties(CLI::App& command, policy_options& options) {
    command
        .add_option("--default-for-unspecified", options.unspecified, "What holds for resources that are not named.")
        ->check(CLI::IsMember({"LIMITED", "UNLIMITED"}).description(""))
        ->type_name("LIMITED|UNLIMITED");
    command
        .add_option("--total-resource-slots", options.slots, "Of all sessions, as JSON: {\"cpu\": 8, \"mem\": \"16g\"}")
        ->type_name("JSON");
    command.add_option("--max-concurrent-sessions", options.sessions, "Sessions at once.")->type_name("NUMBER");
    command.add_option("--max-containers-per-session", options.containers, "Containers in a session.")
        ->type_name("NUMBER");
    command.add_option("--max-vfolder-count", options.folders, "Virtual folders.")->type_name("NUMBER");
    command.add_option("--max-vfolder-size", options.folder_size, "Size of a virtual folder.")->type_name("NUMBER");
    command.add_option("--idle-timeout", options.idle_timeout, "How long a session may be idle.")->type_name("SECONDS");
    command.add_option("--allowed-vfolder-hosts", options.hosts, "Where virtual folders may be made, a,b,c.")
        ->type_name("HOSTS");
}

} // namespace

void add_admin_policies(CLI::App& admin, context& ctx) {
    const auto shown = std::make_shared<policy_options>();
    add_command(admin, ctx, "resource-policy", "Show a resource policy, or that of the key pair in use.", shown,
                [&ctx](const policy_options& given) { return show(ctx, given); })
        ->add_option("-n,--name", shown->name, "Name of the policy.")
        ->type_name("NAME");

    CLI::App& group = *add_group(admin, "resource-policies", "List resource policies, or change them.");
    group.require_subcommand(0, 1);
    group.callback([&ctx, &group] {
        if (group.get_subcommands().empty()) ctx.action = [&ctx] { return list(ctx); };
    });
    const auto add_one = [&](const char* name, const char* description, int (*act)(context&, const policy_options&)) {
        const auto options = std::make_shared<policy_options>();
        CLI::App* command = add_command(group, ctx, name, description, options,
                                        [&ctx, act](const policy_options& given) { return act(ctx, given); });
        command->add_option("NAME", options->name, "Name of the policy.")->required();
        return std::make_pair(command, options);
    };
    const auto [make, make_options] = add_one("add", "Make a resource policy.", add);
    add_properties(*make, *make_options);
    const auto [change, change_options] = add_one("update", "Change a resource policy.", update);
    add_properties(*change, *change_options);
    const auto [end, end_options] = add_one("delete", "Delete a resource policy, for good. Asks first.", remove);
    end->add_flag("-y,--yes", end_options->yes, "Do not ask.");
}

} // namespace cli
