/// @file
/// The embedded gateway's webserver: logins by password, and the manager's API behind a cookie, below /func.
#ifndef BACKENDAI_TESTING_GATEWAY_LOGIN_HPP
#define BACKENDAI_TESTING_GATEWAY_LOGIN_HPP

#include <backendai/testing/gateway_http.hpp>
#include <backendai/testing/gateway_keypairs.hpp>
#include <backendai/testing/gateway_router.hpp>
#include <backendai/testing/gateway_sessions.hpp>
#include <backendai/testing/gateway_types.hpp>
#include <backendai/version.hpp>

#include <nlohmann/json.hpp>

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// Who is logged in, and the endpoints below /server. Thread-safe.
class webserver {
public:
    webserver(const gateway_options& options, const keypair_store& keypairs) : options_(options), keypairs_(keypairs) {}

    void add_to(router& table) {
        table.add("POST", "/server/login", false, [this](const gateway_request& request) { return login(request); });
        table.add("POST", "/server/login-check", false,
                  [this](const gateway_request& request) { return login_check(request); });
        table.add("POST", "/server/logout", false, [this](const gateway_request& request) { return logout(request); });
    }

    /// Whether the request is for the manager behind the webserver.
    static bool is_for_manager(std::string_view path) { return path.substr(0, 6) == "/func/"; }

    /// The request as the webserver hands it on: without /func, in the name of who is logged in; without authorization
    /// when nobody is. Signatures are not made, as they would be checked against themselves.
    http_call hand_on(const http_call& call) const {
        http_call inner = call;
        inner.target.erase(options_.path_prefix.size(), 5);
        for (auto field = inner.headers.begin(); field != inner.headers.end();) {
            const std::string name = lower_case(field->first);
            field = name == "authorization" || name == "cookie" ? inner.headers.erase(field) : std::next(field);
        }
        if (const auto key = user_of(call))
            inner.headers.emplace_back("Authorization",
                                       "BackendAI signMethod=HMAC-SHA256, credential=" + *key + ":web");
        return inner;
    }
    bool is_logged_in(const http_call& call) const { return user_of(call).has_value(); }
    std::size_t logins() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return sessions_.size();
    }

    /// What the webserver answers where it has nobody to speak for.
    static http_reply unauthorized() { return problem(401, "auth-failed", "Unauthorized access").reply(); }

private:
    static constexpr const char* cookie_name = "AIOHTTP_SESSION";
    static constexpr int most_failures = 10;

    struct account {
        std::string access_key, password;
    };

    static std::string cookie_of(const http_call& call) {
        const std::string* header = find_header(call.headers, "Cookie");
        std::string_view rest = header != nullptr ? std::string_view(*header) : std::string_view();
        while (!rest.empty()) {
            const std::size_t end = rest.find(';');
            const std::string_view pair = trim(rest.substr(0, end));
            const std::size_t equals = pair.find('=');
            if (pair.substr(0, equals) == cookie_name && equals != std::string_view::npos)
                return std::string(pair.substr(equals + 1));
            if (end == std::string_view::npos) break;
            rest.remove_prefix(end + 1);
        }
        return {};
    }

    std::optional<std::string> user_of(const http_call& call) const {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = sessions_.find(cookie_of(call));
        if (found == sessions_.end()) return {};
        return found->second;
    }

    std::optional<account> account_of(const std::string& email) const {
        if (email == options_.email) return account{options_.access_key, options_.password};
        for (const gateway_user& user : options_.other_users) {
            if (user.email == email) return account{user.access_key, user.password};
        }
        return {};
    }

    nlohmann::json description_of(const std::string& access_key) const {
        const auto keypair = keypairs_.find(access_key);
        return {{"access_key", access_key},
                {"role", keypair && keypair->is_admin ? "superadmin" : "user"},
                {"status", "active"}};
    }

    static void set_cookie(http_reply& reply, const std::string& value) {
        reply.headers.emplace_back("X-BackendAI-SessionID", random_token(16));
        reply.headers.emplace_back("Set-Cookie", std::string(cookie_name) + '=' + value +
                                                     "; expires=Mon, 30-Nov-2099 15:34:00 GMT; HttpOnly; "
                                                     "Max-Age=604800; Path=/");
    }

    http_reply login(const gateway_request& request) {
        const nlohmann::json body = nlohmann::json::parse(request.call.body, nullptr, false);
        const auto field = [&body](const char* key) -> std::optional<std::string> {
            if (!body.is_object() || !body.contains(key) || !body[key].is_string()) return {};
            return body[key].get<std::string>();
        };
        for (const char* key : {"username", "password"}) {
            if (!field(key))
                throw problem(400, "invalid-api-params", "You must provide the " + std::string(key) + " field.");
        }
        if (is_logged_in(request.call)) throw problem(400, "generic-bad-request", "You have already logged in.");
        const std::string user = *field("username");
        const std::lock_guard<std::mutex> lock(mutex_);
        if (failures_[user] >= most_failures) throw problem(429, "too-many-requests", "Too many failed login attempts");
        const auto known = account_of(user);
        const bool good = known && !known->password.empty() && known->password == *field("password");
        if (good && !options_.otp.empty() && field("otp") != options_.otp) {
            // 23.03 says it in words, later servers by the type.
            if (options_.login_refused_by_status) {
                return refused({{"type", "https://api.backend.ai/probs/require-totp-authentication"},
                                {"title", "TOTP authentication is required"}},
                               200);
            }
            return refused({{"type", "https://api.backend.ai/probs/auth-failed"},
                            {"title", "Credential/signature mismatch."},
                            {"details", "OTP not provided"}},
                           200);
        }
        if (!good) {
            ++failures_[user];
            return refused({{"type", "https://api.backend.ai/probs/auth-failed"},
                            {"title", "Credential/signature mismatch."},
                            {"details", "User credential mismatch."}},
                           options_.login_refused_by_status ? 401 : 200);
        }
        failures_.erase(user);
        const std::string cookie = random_token(16);
        sessions_[cookie] = known->access_key;
        http_reply reply = json_reply({{"authenticated", true}, {"data", description_of(known->access_key)}});
        set_cookie(reply, cookie);
        return reply;
    }

    // A cookie comes along all the same, of nobody.
    static http_reply refused(nlohmann::json why, int status) {
        http_reply reply = json_reply({{"authenticated", false}, {"data", std::move(why)}}, status);
        set_cookie(reply, random_token(16));
        return reply;
    }

    http_reply login_check(const gateway_request& request) {
        const auto user = user_of(request.call);
        if (!user) return json_reply({{"authenticated", false}, {"data", nullptr}, {"session_id", nullptr}});
        return json_reply(
            {{"authenticated", true}, {"data", description_of(*user)}, {"session_id", cookie_of(request.call)}});
    }

    http_reply logout(const gateway_request& request) {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            sessions_.erase(cookie_of(request.call));
        }
        http_reply reply;
        reply.status = options_.login_refused_by_status ? 200 : 201;
        reply.headers.emplace_back("Set-Cookie", std::string(cookie_name) +
                                                     "=\"\"; expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/");
        return reply;
    }

    const gateway_options& options_;
    const keypair_store& keypairs_;
    mutable std::mutex mutex_;
    std::map<std::string, std::string> sessions_; // cookie -> access key
    std::map<std::string, int> failures_;         // by user name
};

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
