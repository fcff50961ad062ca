/// @file
/// Logging in at a webserver: endpoint_type "session".
#ifndef BACKENDAI_API_LOGIN_HPP
#define BACKENDAI_API_LOGIN_HPP

#include <backendai/codec/json.hpp>
#include <backendai/error.hpp>
#include <backendai/pipeline.hpp>
#include <backendai/version.hpp>
#include <backendai/wire.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

/// Who is logged in.
struct login_info {
    std::string access_key; ///< the key pair that the webserver signs with
    std::string role;       ///< "user", "admin", "superadmin"; servers may know more
    std::string status;     ///< "active"
    json raw;
};

/// Why a login was refused.
enum class login_refusal {
    credentials,       ///< wrong name or password, or a user who may not log in
    otp_required,      ///< a one-time password is wanted, or the one given is wrong
    otp_not_registered ///< the server wants one, and the user has none set up yet
};

/// A refused login. status() is 401, also for servers that say so with status 200; type(), title() as the server says.
class login_error : public api_error {
public:
    template <class = void>
    login_error(details what, login_refusal refusal) : api_error(std::move(what)), refusal_(refusal) {}
    login_refusal refusal() const noexcept { return refusal_; }

private:
    login_refusal refusal_;
};

namespace detail {

template <class = void>
call webserver_call(const call_scope& scope, const char* path) {
    if (scope.state->cookies() == nullptr) {
        throw client_error(
            error_kind::argument,
            "there is no login at this endpoint: endpoint_type (BACKEND_ENDPOINT_TYPE) is not \"session\"");
    }
    call what;
    what.method = "POST";
    what.path = path;
    what.negotiates = false;
    what.retry = retry_class::unsafe;
    return what;
}

template <class = void>
login_info read_login(const json& data) {
    const wire_object fields(data, "the answer to the login");
    return {fields.string("access_key"), fields.string_or("role", ""), fields.string_or("status", ""), data};
}

template <class = void>
login_refusal login_refusal_of(const wire_object& problem) {
    const auto ends_with = [type = problem.string_or("type", "")](std::string_view end) {
        return type.size() >= end.size() && type.compare(type.size() - end.size(), end.size(), end) == 0;
    };
    if (ends_with("require-totp-registration")) return login_refusal::otp_not_registered;
    // The second is how 23.03 says it.
    if (ends_with("require-totp-authentication") || problem.string_or("details", "") == "OTP not provided")
        return login_refusal::otp_required;
    return login_refusal::credentials;
}

template <class = void>
login_error make_login_error(const response& answer, const json& problem, const std::vector<std::string>& secrets) {
    const wire_object fields(problem, "the refusal of the login");
    api_error::details what;
    what.status = 401;
    what.reason = "Unauthorized";
    what.type = fields.string_or("type", "");
    what.title = fields.string_or("details", fields.string_or("title", ""));
    what.data = problem;
    what.body = answer.text();
    redactor(secrets).redact(what);
    if (what.body.size() > max_error_body) what.body.resize(max_error_body); // after that: no half of a secret
    return {std::move(what), login_refusal_of(fields)};
}

// {authenticated, data}: status 200 from older servers for yes and no, 401 for no from newer ones.
// No error says the secrets, which are what was sent.
template <class = void>
login_info read_login_answer(const response& answer, const std::vector<std::string>& secrets) {
    json body;
    try {
        body = codec::parse_json(answer.text());
    } catch (const codec::decode_error&) {
        // A proxy's page: said below.
    }
    if (!body.is_object() || !body.contains("authenticated")) {
        if (answer.ok()) bad_answer("the webserver does not say whether the login is good");
        throw make_api_error({answer.status(), answer.reason(), answer.headers()}, answer.text(), secrets);
    }
    const wire_object fields(body, "the answer to the login");
    if (!fields.boolean_or("authenticated", false)) {
        const json* problem = fields.find("data");
        throw make_login_error(answer, problem != nullptr ? *problem : json::object(), secrets);
    }
    return read_login(fields.require("data"));
}

template <class = void>
login_info session_login(const call_scope& scope, const std::string& user, const std::string& password,
                         const std::string& otp) {
    call what = webserver_call(scope, "/server/login");
    json body = {{"username", user}, {"password", password}};
    if (!otp.empty()) body["otp"] = otp;
    what.set_json(body);
    const std::vector<std::string> secrets = {password, otp};
    what.secret = secrets;
    what.check_status = false;
    cookie_jar<>& cookies = *scope.state->cookies();
    cookies.clear(); // who is logged in is refused another login
    try {
        login_info who = read_login_answer(scope.perform(std::move(what)), secrets);
        cookies.keep();
        return who;
    } catch (const error&) {
        cookies.clear(); // a refusal sets a cookie too, of nobody
        throw;
    }
}

template <class = void>
std::optional<login_info> session_login_check(const call_scope& scope) {
    call what = webserver_call(scope, "/server/login-check");
    what.retry = retry_class::safe;
    what.set_json(json::object());
    const json answer = scope.perform(std::move(what)).json();
    const wire_object fields(answer, "the answer to the login check");
    if (!fields.boolean_or("authenticated", false)) return {};
    return read_login(fields.require("data"));
}

template <class = void>
void session_logout(const call_scope& scope) {
    call what = webserver_call(scope, "/server/logout");
    what.retry = retry_class::safe;
    scope.perform(std::move(what));
    scope.state->cookies()->discard();
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
