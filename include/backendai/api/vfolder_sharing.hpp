/// @file
/// Virtual folders shared by invitations: the bodies of the functions for both sides.
#ifndef BACKENDAI_API_VFOLDER_SHARING_HPP
#define BACKENDAI_API_VFOLDER_SHARING_HPP

#include <backendai/api/vfolder_call.hpp>
#include <backendai/api/vfolder_types.hpp>
#include <backendai/dialect.hpp>
#include <backendai/pipeline.hpp>
#include <backendai/version.hpp>
#include <backendai/wire.hpp>

#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

template <class = void>
std::vector<std::string> vfolder_invite(const call_scope& scope, const std::string& name, const std::string& perm,
                                        const std::vector<std::string>& emails) {
    if (perm != "ro" && perm != "rw" && perm != "wd")
        throw client_error(error_kind::argument, "the permission of an invitation is ro, rw or wd");
    if (emails.empty()) throw client_error(error_kind::argument, "nobody to invite");
    call what = vfolder_call("POST", name, "/invite", [&](call& request, const dialect& language) {
        request.set_json({{"perm", perm}, {std::string(language.invitees_key), emails}});
    });
    what.retry = retry_class::unsafe; // invitations are made once each
    const json answer = scope.perform(std::move(what)).json();
    std::vector<std::string> ids;
    for (const json& id : wire_object(answer, "the answer").array_or_empty("invited_ids"))
        ids.push_back(id.is_string() ? id.get<std::string>() : id.dump());
    return ids;
}

template <class = void>
std::vector<vfolder_invitation> vfolder_invitations(const call_scope& scope) {
    call what;
    what.path = "/folders/invitations/list";
    return read_vfolder_invitations(scope.perform(std::move(what)).json());
}

template <class = void>
std::vector<vfolder_invitation> vfolder_sent_invitations(const call_scope& scope) {
    call what;
    what.complete = [](call& request, const dialect& language) {
        language.require(feature::sent_invitations);
        request.path = std::string(language.sent_invitations_path);
    };
    return read_vfolder_invitations(scope.perform(std::move(what)).json());
}

template <class = void>
void vfolder_accept_invitation(const call_scope& scope, const std::string& inv_id, const std::string& inv_ak) {
    const std::string own_key = *scope.state->config().access_key;
    call what;
    what.method = "POST";
    what.path = "/folders/invitations/accept";
    what.retry = retry_class::unsafe; // an accepted invitation is gone: a second try would be refused
    what.complete = [&](call& request, const dialect& language) {
        json body = {{"inv_id", inv_id}};
        if (language.acceptance_names_access_key) {
            body["inv_ak"] = inv_ak.empty() ? own_key : inv_ak;
        } else if (!inv_ak.empty() && inv_ak != own_key) {
            throw client_error(error_kind::argument,
                               "inv_ak ended with protocol version v4.20190315: this server shares with the user");
        }
        request.set_json(body);
    };
    scope.perform(std::move(what));
}

template <class = void>
void vfolder_delete_invitation(const call_scope& scope, const std::string& inv_id) {
    call what;
    what.method = "DELETE";
    what.path = "/folders/invitations/delete";
    what.retry = retry_class::unsafe;
    what.set_json({{"inv_id", inv_id}});
    scope.perform(std::move(what));
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
