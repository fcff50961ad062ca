// backend.ai vfolder invite and invitations: folders shared with others.
#include "commands.hpp"
#include "prompt.hpp"

namespace cli {
namespace {

struct invite_options {
    std::string name, permission = "rw";
    std::vector<std::string> emails;
};

int invite(context& ctx, const invite_options& options) {
    const std::vector<std::string> invited =
        ctx.server().vfolder(options.name).invite(options.permission, options.emails);
    if (ctx.wants_json()) {
        ctx.print_json(invited);
    } else {
        for (const std::string& user : invited) ctx.out.line("Invitation sent to: " + cell_text(user));
    }
    if (invited.empty()) throw failure("No users found. Invitation was not sent.");
    return 0;
}

struct answer_options {
    std::string accept, reject;
};

std::string permission_text(const std::string& permission) {
    if (permission == "rw") return "read-write";
    if (permission == "ro") return "read-only";
    return permission == "wd" ? "read-write-delete" : cell_text(permission);
}

int accept(context& ctx, const std::string& id) {
    // The folder is to be seen by the key pair that is in use here.
    ctx.server().vfolder().accept_invitation(id, *ctx.server().config().access_key);
    ctx.notes.done("The invitation is accepted.");
    return 0;
}

int reject(context& ctx, const std::string& id) {
    ctx.server().vfolder().delete_invitation(id);
    ctx.notes.done("The invitation is rejected.");
    return 0;
}

// A question and its answer; nothing at the end of the input.
std::optional<std::string> ask(context& ctx, const std::string& question) {
    ctx.out.flush();
    ctx.notes.raw(question);
    return read_line(ctx.interrupts);
}

int answer(context& ctx, const answer_options& options) {
    if (!options.accept.empty()) return accept(ctx, options.accept);
    if (!options.reject.empty()) return reject(ctx, options.reject);
    const std::vector<backendai::vfolder_invitation> invitations = ctx.server().vfolder().invitations();
    std::vector<backendai::json> items;
    for (const backendai::vfolder_invitation& each : invitations) {
        if (ctx.wants_json()) {
            items.push_back(each.raw);
        } else {
            items.push_back({{"number", '[' + std::to_string(items.size() + 1) + ']'},
                             {"id", each.id},
                             {"inviter", each.inviter},
                             {"vfolder", each.vfolder_id},
                             {"permission", permission_text(each.permission)}});
        }
    }
    ctx.list(items,
             {{"No.", "number"},
              {"Inviter", "inviter"},
              {"VFolder ID", "vfolder"},
              {"Permission", "permission"},
              {"Invitation ID", "id"}},
             "No invitations.");
    if (invitations.empty() || ctx.wants_json()) return 0;

    const auto choice = ask(ctx, "Choose invitation number to manage: ");
    if (!choice || choice->empty()) return 0;
    const std::string digits = "0123456789";
    const bool is_number = choice->size() < 6 && choice->find_first_not_of(digits) == std::string::npos;
    const std::size_t number = is_number ? std::stoul(*choice) : 0;
    if (number < 1 || number > invitations.size()) throw failure("There is no invitation " + cell_text(*choice) + '.');
    const std::string& id = invitations[number - 1].id;
    for (;;) {
        const auto action = ask(ctx, "Choose action. (a)ccept, (r)eject, (c)ancel: ");
        if (!action || *action == "c" || *action == "C") return 0;
        if (*action == "a" || *action == "A") return accept(ctx, id);
        if (*action == "r" || *action == "R") return reject(ctx, id);
    }
}

} // namespace

void add_vfolder_invitations(CLI::App& vfolder, context& ctx) {
    const auto sent = std::make_shared<invite_options>();
    CLI::App* command = add_command(vfolder, ctx, "invite", "Invite users to a folder.", sent,
                                    [&ctx](const invite_options& given) { return invite(ctx, given); });
    command->add_option("NAME", sent->name, "Name of the folder.")->required();
    command->add_option("EMAILS", sent->emails, "E-mail addresses of the users.")->required();
    command
        ->add_option("-p,--perm", sent->permission,
                     "What they may do: ro (read), rw (write, too) or wd (delete, too); rw "
                     "if not given.")
        ->type_name("PERMISSION")
        ->check(CLI::IsMember({"ro", "rw", "wd"}).description(""));

    const auto received = std::make_shared<answer_options>();
    command =
        add_command(vfolder, ctx, "invitations",
                    "List the invitations that you got, and accept or reject them.\n\nAsks which one; the options "
                    "are for scripts.",
                    received, [&ctx](const answer_options& given) { return answer(ctx, given); });
    CLI::Option* yes = command->add_option("--accept", received->accept, "Accept the invitation of this id.");
    CLI::Option* no = command->add_option("--reject", received->reject, "Reject the invitation of this id.");
    yes->type_name("ID");
    no->type_name("ID")->excludes(yes);
}

} // namespace cli
