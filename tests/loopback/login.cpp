// Sessions that log in at a webserver, over sockets: everything else is as with keys.
#include "storage_bench.hpp"

#include <doctest/doctest.h>

#include <mutex>

using namespace files_support;
using backendai::login_error;
using backendai::login_refusal;

namespace {

constexpr const char* password = "correct-horse-battery";

struct login_recorder {
    backendai::testing::gateway_options options(const char* protocol = "v4.20190315") {
        backendai::testing::gateway_options made;
        made.protocol = protocol;
        made.password = password;
        made.other_users = {{"AKIAOTHEROTHEROTHER1", "secret-of-the-other-user-0123456789abcdef", "other@example.com",
                             "another-password"}};
        made.on_request = [this](const backendai::testing::http_call& call) {
            const std::lock_guard<std::mutex> lock(mutex);
            const bool cookie = backendai::testing::find_header(call.headers, "Cookie") != nullptr;
            const bool signature = backendai::testing::find_header(call.headers, "Authorization") != nullptr;
            calls.push_back(call.method + ' ' + call.target.substr(0, call.target.find('?')) +
                            (cookie ? " cookie" : "") + (signature ? " signature" : ""));
        };
        return made;
    }
    bool has(const std::string& call) {
        const std::lock_guard<std::mutex> lock(mutex);
        return std::find(calls.begin(), calls.end(), call) != calls.end();
    }
    bool any(const std::string& text) {
        const std::lock_guard<std::mutex> lock(mutex);
        return std::any_of(calls.begin(), calls.end(),
                           [&](const std::string& call) { return call.find(text) != std::string::npos; });
    }
    std::mutex mutex;
    std::vector<std::string> calls;
};

backendai::api_config login_config(const backendai::testing::gateway& server, const char* version = "v4.20190315") {
    backendai::api_config config;
    config.endpoint = server.endpoint();
    config.endpoint_type = "session";
    config.access_key = config.secret_key = "";
    config.version = version;
    config.vfolder_mounts = std::vector<std::string>();
    config.sleeper = [](std::chrono::milliseconds) {};
    return config;
}

template <class Session>
std::string refusal_of(Session& session, const std::string& user, const std::string& word,
                       const std::string& otp = {}) {
    try {
        session.login(user, word, otp);
        return "ok";
    } catch (const login_error& e) {
        CHECK(e.status() == 401);
        CHECK(std::string(e.what()).find(word) == std::string::npos);
        CHECK(e.body().find(word) == std::string::npos);
        switch (e.refusal()) {
        case login_refusal::credentials: return "credentials";
        case login_refusal::otp_required: return "otp";
        case login_refusal::otp_not_registered: return "registration";
        }
        return "?";
    } catch (const backendai::api_error& e) {
        return "api " + std::to_string(e.status());
    }
}

} // namespace

TEST_CASE_TEMPLATE("login: the whole API by a cookie, without a signature", T, BACKENDAI_SOCKET_TRANSPORTS) {
    login_recorder seen;
    auto options = seen.options();
    SUBCASE("at the root") {}
    SUBCASE("below a path") {
        options.path_prefix = "/console";
    }
    backendai::testing::gateway server(options);
    const std::string prefix = options.path_prefix;
    backendai::basic_session<T, backendai::blocking> session(login_config(server));
    CHECK(session.hello().version == "v4.20190315"); // needs no login
    CHECK(result_of([&] { session.vfolder().list(); }).what == "api 401");
    CHECK_FALSE(session.login_check());
    const auto who = session.login("user@example.com", password);
    CHECK(who.access_key == server.access_key());
    CHECK(who.role == "superadmin");
    CHECK(who.status == "active");
    CHECK(server.logins() == 1);
    REQUIRE(session.login_check());
    CHECK(session.login_check()->access_key == server.access_key());

    auto kernel = session.kernel().get_or_create("python:3.6-ubuntu");
    CHECK(kernel.run("print(6 * 7)").out == "42\n");
    std::string streamed;
    for (auto&& event : kernel.stream_execute("print('streamed')")) {
        for (const auto& record : event.console) streamed += record.payload;
    }
    CHECK(streamed == "streamed\n");
    const sandbox box;
    box.put("f", "text");
    backendai::upload_options from;
    from.basedir = box.root();
    kernel.upload({box.root() / "f"}, from);
    kernel.download({"f"}, box.out());
    CHECK(sandbox::read(box.out() / "f") == "text");
    CHECK_NOTHROW(session.admin().query("query { images { name } }", backendai::json::object()));
    kernel.destroy();

    CHECK(seen.has("GET " + prefix + "/func/"));
    CHECK(seen.has("POST " + prefix + "/func/kernel/create cookie"));
    CHECK(seen.any("GET " + prefix + "/func/stream/kernel/"));
    CHECK_FALSE(seen.any("signature"));
    session.logout();
    CHECK(server.logins() == 0);
    CHECK_FALSE(session.login_check());
    CHECK(result_of([&] { session.vfolder().list(); }).what == "api 401");
}

TEST_CASE_TEMPLATE("login: storage proxies see neither cookie nor signature", T, BACKENDAI_SOCKET_TRANSPORTS) {
    login_recorder seen;
    backendai::testing::gateway server(seen.options("v7.20230615"));
    backendai::basic_session<T, backendai::blocking> session(login_config(server, "v7.20230615"));
    session.login("user@example.com", password);
    session.vfolder().create("data");
    const sandbox box;
    box.put("f", "text");
    backendai::upload_options from;
    from.basedir = box.root();
    session.vfolder("data").upload({box.root() / "f"}, from);
    session.vfolder("data").download({"f"}, box.out());
    CHECK(sandbox::read(box.out() / "f") == "text");
    CHECK(seen.has("POST /func/folders/data/request-upload cookie"));
    CHECK(seen.has("PATCH /upload"));
    CHECK(seen.has("GET /download"));
    CHECK_FALSE(seen.any("upload cookie") == false); // the manager's did have one
    CHECK_FALSE(seen.has("PATCH /upload cookie"));
    CHECK_FALSE(seen.has("GET /download cookie"));
}

TEST_CASE_TEMPLATE("login: refusals are told apart, by servers of both generations", T, BACKENDAI_SOCKET_TRANSPORTS) {
    for (const bool by_status : {false, true}) {
        login_recorder seen;
        auto options = seen.options();
        options.login_refused_by_status = by_status;
        options.otp = "123456";
        backendai::testing::gateway server(options);
        backendai::basic_session<T, backendai::blocking> session(login_config(server));
        CHECK(refusal_of(session, "user@example.com", "wrong-password") == "credentials");
        CHECK(refusal_of(session, "nobody@example.com", password) == "credentials");
        CHECK(refusal_of(session, "user@example.com", password) == "otp");
        CHECK(refusal_of(session, "user@example.com", password, "000000") == "otp");
        CHECK_FALSE(session.login_check());
        CHECK(refusal_of(session, "user@example.com", password, "123456") == "ok");
        // Another login takes the place of the one before.
        CHECK(refusal_of(session, "other@example.com", "another-password", "123456") == "ok");
        CHECK(session.login_check()->access_key == "AKIAOTHEROTHEROTHER1");
        CHECK(session.login_check()->role == "user");
        for (int i = 0; i < 10; ++i) refusal_of(session, "nobody@example.com", "wrong-password");
        CHECK(refusal_of(session, "nobody@example.com", password) == "api 429");
        session.logout();
    }
}

TEST_CASE("login: answers that are no login") {
    backendai::testing::gateway server;
    backendai::session session(login_config(server));
    const auto answer = [&](int status, const std::string& body, const char* type = "application/json") {
        backendai::testing::fault item;
        item.kind = backendai::testing::fault_kind::status;
        item.status = status;
        item.bytes = body;
        item.content_type = type;
        item.path_prefix = "/server/login";
        server.inject(item);
        return result_of([&] { session.login("user@example.com", password); });
    };
    CHECK(answer(200, "<html>welcome</html>", "text/html").what == "protocol");
    CHECK(answer(200, "{}").what == "protocol");
    CHECK(answer(200, R"({"authenticated":true})").what == "protocol");
    CHECK(answer(200, R"({"authenticated":"yes","data":{}})").what == "protocol");
    CHECK(answer(200, R"({"authenticated":true,"data":{"role":"user"}})").what == "protocol");
    CHECK(answer(502, "<html>bad gateway</html>", "text/html").what == "api 502");
    CHECK(answer(500, "{\"title\":\"you sent " + std::string(password) + "\"}").message.find(password) ==
          std::string::npos);
    try {
        answer(401, "");
        backendai::testing::fault item;
        item.kind = backendai::testing::fault_kind::status;
        item.status = 200;
        item.content_type = "application/json";
        item.bytes =
            R"({"authenticated":false,"data":{"type":"https://api.backend.ai/probs/require-totp-registration"}})";
        server.inject(item);
        session.login("user@example.com", password);
        FAIL("no error");
    } catch (const login_error& e) {
        CHECK(e.refusal() == login_refusal::otp_not_registered);
    }
}

TEST_CASE("login: no error says the password or the one-time password, however the server spells them") {
    backendai::testing::gateway server;
    backendai::session session(login_config(server));
    const std::string word = "p\"ss\\w\xC3\xB6rd", otp = "135790";
    const backendai::json said = {
        {"type", "t"}, {"title", word + ' ' + otp}, {"details", "not " + word + ", not " + otp}};
    for (const int status : {200, 401, 500}) {
        for (const bool ascii : {true, false}) {
            for (const backendai::json& body : {backendai::json{{"authenticated", false}, {"data", said}}, said}) {
                CAPTURE(status);
                CAPTURE(body);
                backendai::testing::fault item;
                item.kind = backendai::testing::fault_kind::status;
                item.status = status;
                item.bytes = body.dump(-1, ' ', ascii);
                item.content_type = "application/json";
                item.path_prefix = "/server/login";
                server.inject(item);
                const auto is_clean = [&](const std::string& text) {
                    return text.find("ss") == std::string::npos && text.find(otp) == std::string::npos;
                };
                try {
                    session.login("user@example.com", word, otp);
                    FAIL("no error");
                } catch (const backendai::api_error& e) {
                    for (const std::string& text : {std::string(e.what()), e.title(), e.body(), e.data().dump()})
                        CHECK_MESSAGE(is_clean(text), text);
                } catch (const backendai::client_error& e) {
                    CHECK(status == 200); // it does not say whether
                    CHECK(is_clean(e.what()));
                }
            }
        }
    }
}

TEST_CASE_TEMPLATE("login: a cookie file carries the login to the next program", T, BACKENDAI_SOCKET_TRANSPORTS) {
    login_recorder seen;
    backendai::testing::gateway server(seen.options());
    const sandbox box;
    auto config = login_config(server);
    config.cookie_file = box.root() / "cookies";
    using session_type = backendai::basic_session<T, backendai::blocking>;
    {
        session_type session(config);
        CHECK(refusal_of(session, "user@example.com", "wrong-password") == "credentials");
        CHECK_FALSE(fs::exists(config.cookie_file));
        session.login("user@example.com", password);
    }
    CHECK((fs::status(config.cookie_file).permissions() & fs::perms(0777)) == fs::perms(0600));
    CHECK(sandbox::read(config.cookie_file).find(password) == std::string::npos);
    session_type next(config);
    REQUIRE(next.login_check());
    CHECK(next.vfolder().list().empty());
    next.logout();
    CHECK_FALSE(fs::exists(config.cookie_file));
    CHECK(result_of([&] { session_type(config).vfolder().list(); }).what == "api 401");
}

TEST_CASE("login: is for webservers, and the kind of endpoint comes from the environment too") {
    backendai::testing::gateway server;
    backendai::session by_keys(files_bench::config_of(server.endpoint()));
    CHECK(result_of([&] { by_keys.login("user@example.com", password); }).what == "argument");
    CHECK(result_of([&] { by_keys.login_check(); }).what == "argument");
    CHECK(result_of([&] { by_keys.logout(); }).what == "argument");
    auto config = login_config(server);
    config.endpoint_type.reset();
    ::setenv("BACKEND_ENDPOINT_TYPE", "session", 1);
    CHECK(result_of([&] { backendai::session(config).login_check(); }).what == "ok");
    ::setenv("BACKEND_ENDPOINT_TYPE", "console", 1);
    CHECK(result_of([&] { backendai::session made(config); }).what == "argument");
    ::unsetenv("BACKEND_ENDPOINT_TYPE");
    CHECK(result_of([&] { backendai::session made(config); }).what == "argument"); // an API endpoint wants keys
}

TEST_CASE("login: in asynchronous mode") {
    login_recorder seen;
    backendai::testing::gateway server(seen.options());
    backendai::async_session session(login_config(server));
    CHECK(session.login("user@example.com", password).get().role == "superadmin");
    CHECK(session.login_check().get());
    session.logout().get();
    CHECK_THROWS_AS(session.login("user@example.com", "wrong").get(), login_error);
}
