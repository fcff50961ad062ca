#include "scripted_transport.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <vector>

using backendai::error_kind;
using backendai::graphql_error;
using backendai::json;
using scripted::answer;
using scripted::answer_json;
using scripted::attempt;
using scripted::bench;

namespace {

// The n-th request, which must be a GraphQL one.
json sent(bench& b, std::size_t number = 0) {
    const auto requests = b->requests();
    REQUIRE(requests.size() > number);
    CHECK(requests[number].method == "POST");
    CHECK(requests[number].target == "/base/admin/graphql");
    CHECK(requests[number].headers.get("Content-Type") == "application/json");
    return requests[number].body_json();
}
json done() {
    return {{"ok", true}, {"msg", "success"}};
}
json limits(const json& rate, const json& concurrency, const json& policy) {
    return {{"keypair", {{"rate_limit", rate}, {"concurrency_limit", concurrency}, {"resource_policy", policy}}}};
}

} // namespace

TEST_CASE("a query goes out with its variables, and the bare data come back") {
    bench b;
    b->add(answer_json({{"x", {{"occupied_slots", "{}"}}}}));
    const json data = b.sdk->admin().query("query($a: Int) { x(a: $a) { occupied_slots } }", {{"a", 1}});
    CHECK(data == json({{"x", {{"occupied_slots", "{}"}}}})); // as the server sent it
    CHECK(sent(b) == json({{"query", "query($a: Int) { x(a: $a) { occupied_slots } }"}, {"variables", {{"a", 1}}}}));
    b->add(answer_json(json::object()));
    b.sdk->admin().query("{ images { name } }", nullptr);
    CHECK(sent(b, 1)["variables"] == json::object());
}

TEST_CASE("queries without a text and variables that are no object are refused before anything is sent") {
    bench b;
    CHECK(attempt([&] { b.sdk->admin().query(""); }).kind == error_kind::argument);
    CHECK(attempt([&] { b.sdk->admin().query("{ a }", json::array()); }).kind == error_kind::argument);
    CHECK(attempt([&] { b.sdk->admin().query("{ a }", {{"x", "\xff"}}); }).kind == error_kind::argument);
    CHECK(b->count() == 0);
}

TEST_CASE("a refused query is a graphql_error that is an api_error too") {
    bench b;
    const json problem = {
        {"type", "https://api.backend.ai/probs/graphql-error"},
        {"title", "GraphQL-generated error."},
        {"data", {{{"message", "wrong"}, {"locations", {{{"line", 1}, {"column", 3}}}}, {"path", {"a"}}}}}};
    b->add(answer_json(problem, 400));
    try {
        b.sdk->admin().query("{ a }");
        FAIL("no error");
    } catch (const backendai::api_error& e) {
        CHECK(e.status() == 400);
        CHECK(e.type() == "https://api.backend.ai/probs/graphql-error");
        const auto* precise = dynamic_cast<const graphql_error*>(&e);
        REQUIRE(precise != nullptr);
        REQUIRE(precise->errors().size() == 1);
        CHECK(precise->errors()[0].message == "wrong");
        CHECK(scripted::contains(e.what(), "wrong at a (line 1, column 3)"));
    }
    b->add(answer_json({{"type", "https://api.backend.ai/probs/auth-failed"}}, 401));
    try {
        b.sdk->admin().query("{ a }");
        FAIL("no error");
    } catch (const backendai::api_error& e) {
        CHECK(e.status() == 401);
        CHECK(dynamic_cast<const graphql_error*>(&e) == nullptr);
    }
}

TEST_CASE("queries are tried again after a lost connection, mutations are not") {
    bench b;
    const auto lost = scripted::failure(error_kind::connect, backendai::client_error::progress::maybe_sent);
    b->add(lost);
    b->add(answer_json({{"images", json::array()}}));
    CHECK(b.sdk->image().list().empty());
    b->add(lost);
    CHECK(attempt([&] { b.sdk->keypair("AK").remove(); }).kind == error_kind::connect);
    b->add(lost);
    CHECK(attempt([&] { b.sdk->admin().query("mutation { x }"); }).kind == error_kind::connect);
    CHECK(b->count() == 4);
}

TEST_CASE("agents are listed with the official client's default fields, slots decoded") {
    bench b;
    b->add(answer_json({{"agents", {{{"id", "i-1"}, {"available_slots", "{\"cpu\": \"2\"}"}}}}}));
    const auto agents = b.sdk->agent().list();
    REQUIRE(agents.size() == 1);
    CHECK(agents[0]["available_slots"]["cpu"] == "2");
    CHECK(sent(b) == json({{"query", "query($status: String) { agents(status: $status) { id addr status first_contact "
                                     "mem_slots cpu_slots gpu_slots } }"},
                           {"variables", {{"status", "ALIVE"}}}}));
    b->add(answer_json({{"agents", nullptr}}));
    CHECK(b.sdk->agent().list(std::nullopt, {"id", "region"}).empty());
    CHECK(sent(b, 1) == json({{"query", "query($status: String) { agents(status: $status) { id region } }"},
                              {"variables", {{"status", nullptr}}}}));
    b->add(answer_json({{"agent", nullptr}}));
    CHECK(b.sdk->agent("i-2").info().is_null());
    CHECK(sent(b, 2)["variables"] == json({{"agent_id", "i-2"}}));
}

TEST_CASE("images are listed, and named anew") {
    bench b;
    b->add(answer_json({{"images", {{{"name", "python"}}}}}));
    CHECK(b.sdk->image().list()[0]["name"] == "python");
    CHECK(sent(b)["query"] == "query { images { name tag hash } }");
    b->add(answer_json({{"alias_image", done()}}));
    b.sdk->image().alias("py", "python:3.6");
    CHECK(sent(b, 1)["variables"] == json({{"alias", "py"}, {"target", "python:3.6"}}));
    b->add(answer_json({{"dealias_image", {{"ok", false}, {"msg", "no such alias"}}}}));
    const auto result = attempt([&] { b.sdk->image().dealias("py"); });
    CHECK(result.status == 200);
    CHECK(scripted::contains(result.text, "no such alias at dealias_image"));
    b->add(answer_json({{"rescan_images", done()}}));
    b.sdk->image().rescan("local");
    CHECK(sent(b, 3)["variables"] == json({{"registry", "local"}}));
}

TEST_CASE("key pairs are made with the official command line's defaults, for a number or an e-mail address") {
    bench b;
    json made = done();
    made["keypair"] = {{"access_key", "AK"}, {"secret_key", "SK"}};
    b->add(answer_json({{"create_keypair", made}}));
    const auto keypair = b.sdk->keypair().create("user@example.com");
    CHECK(keypair.access_key == "AK");
    CHECK(keypair.secret_key == "SK");
    CHECK(sent(b)["query"] == "mutation($user_id: String!, $input: KeyPairInput!) { create_keypair(user_id: $user_id, "
                              "props: $input) { ok msg keypair { access_key secret_key } } }");
    CHECK(sent(b)["variables"] == json({{"user_id", "user@example.com"},
                                        {"input",
                                         {{"is_active", true},
                                          {"is_admin", false},
                                          {"resource_policy", "default"},
                                          {"rate_limit", 5000},
                                          {"concurrency_limit", 1}}}}));
    b->add(answer_json({{"create_keypair", made}}));
    backendai::keypair_options options;
    options.is_active = false;
    options.rate_limit = 10;
    options.fields = {"user_id"};
    b.sdk->keypair().create(0, options);
    CHECK(scripted::contains(sent(b, 1)["query"].get<std::string>(), "$user_id: Int!"));
    CHECK(scripted::contains(sent(b, 1)["query"].get<std::string>(), "keypair { user_id }"));
    CHECK(sent(b, 1)["variables"]["user_id"] == 0);
    CHECK(sent(b, 1)["variables"]["input"]["rate_limit"] == 10);
    CHECK(attempt([&] { b.sdk->keypair().create(5000000000); }).kind == error_kind::argument);
    CHECK(attempt([&] { b.sdk->keypair().create(-5000000000); }).kind == error_kind::argument);
    CHECK(b->count() == 2);
}

TEST_CASE("key pairs are listed by user and state") {
    bench b;
    b->otherwise([](const scripted::seen&) { return answer_json({{"keypairs", json::array()}}); });
    b.sdk->keypair().list();
    b.sdk->keypair().list("a@example.com", true);
    b.sdk->keypair().list(7, false, {"access_key"});
    CHECK(sent(b, 0) == json({{"query", "query($is_active: Boolean) { keypairs(is_active: $is_active) { access_key "
                                        "secret_key is_active is_admin } }"},
                              {"variables", {{"is_active", nullptr}}}}));
    CHECK(sent(b, 1)["variables"] == json({{"user_id", "a@example.com"}, {"is_active", true}}));
    CHECK(sent(b, 2) == json({{"query", "query($user_id: Int!, $is_active: Boolean) { keypairs(user_id: $user_id, "
                                        "is_active: $is_active) { access_key } }"},
                              {"variables", {{"user_id", 7}, {"is_active", false}}}}));
}

TEST_CASE("a key pair's handle asks for that key; the caller's own needs no argument") {
    bench b;
    b->otherwise([](const scripted::seen&) { return answer_json({{"keypair", {{"is_admin", true}}}}); });
    CHECK(b.sdk->keypair("AKOTHER").info()["is_admin"] == true);
    CHECK(sent(b) == json({{"query", "query($access_key: String) { keypair(access_key: $access_key) { access_key "
                                     "secret_key is_active is_admin } }"},
                           {"variables", {{"access_key", "AKOTHER"}}}}));
    b.sdk->keypair(scripted::access_key()).info({"is_admin"});
    CHECK(sent(b, 1) == json({{"query", "query { keypair { is_admin } }"}, {"variables", json::object()}}));
}

TEST_CASE("activate and deactivate read the limits of the given key and send them back") {
    for (const bool active : {true, false}) {
        bench b;
        b->add(answer_json(limits(123, 4, "gold")));
        b->add(answer_json({{"modify_keypair", done()}}));
        if (active) {
            b.sdk->keypair("AKOTHER").activate();
        } else {
            b.sdk->keypair("AKOTHER").deactivate();
        }
        CHECK(sent(b)["variables"] == json({{"access_key", "AKOTHER"}}));
        CHECK(sent(b, 1)["query"] ==
              "mutation($access_key: String!, $input: KeyPairInput!) { modify_keypair(access_key: "
              "$access_key, props: $input) { ok msg } }");
        CHECK(sent(b, 1)["variables"] == json({{"access_key", "AKOTHER"},
                                               {"input",
                                                {{"is_active", active},
                                                 {"is_admin", nullptr},
                                                 {"resource_policy", "gold"},
                                                 {"rate_limit", 123},
                                                 {"concurrency_limit", 4}}}}));
    }
}

TEST_CASE("an update sends what it changes and the limits that stay") {
    bench b;
    b->add(answer_json(limits(123, nullptr, nullptr)));
    b->add(answer_json({{"modify_keypair", done()}}));
    backendai::keypair_changes changes;
    changes.is_admin = true;
    changes.rate_limit = 9;
    b.sdk->keypair("AK").update(changes);
    CHECK(sent(b, 1)["variables"]["input"] == json({{"is_active", nullptr},
                                                    {"is_admin", true},
                                                    {"resource_policy", nullptr},
                                                    {"rate_limit", 9},
                                                    {"concurrency_limit", 1}}));
}

TEST_CASE("changes of a key pair that is not there, and refused ones, are errors") {
    bench b;
    b->add(answer_json({{"keypair", nullptr}}));
    CHECK(attempt([&] { b.sdk->keypair("AK").activate(); }).status == 200);
    CHECK(b->count() == 1);
    b->add(answer_json({{"delete_keypair", {{"ok", false}, {"msg", "failed to delete keypair"}}}}));
    CHECK(scripted::contains(attempt([&] { b.sdk->keypair("AK").remove(); }).text, "failed to delete keypair"));
    b->add(answer_json({{"delete_keypair", nullptr}}));
    CHECK(attempt([&] { b.sdk->keypair("AK").remove(); }).kind == error_kind::protocol);
}

TEST_CASE("sessions and folders are listed; the access key is sent only when it is given") {
    bench b;
    b->otherwise([](const scripted::seen&) {
        return answer_json({{"compute_sessions", {{{"occupied_slots", "{}"}}}}, {"vfolders", json::array()}});
    });
    CHECK(b.sdk->admin().sessions()[0]["occupied_slots"] == json::object());
    CHECK(sent(b) ==
          json({{"query", "query($status: String) { compute_sessions(status: $status) { sess_id image tag created_at "
                          "terminated_at status occupied_slots mem_cur_bytes mem_max_bytes cpu_using } }"},
                {"variables", {{"status", "RUNNING"}}}}));
    backendai::session_filter filter;
    filter.status.reset();
    filter.access_key = "AK";
    filter.fields = {"sess_id"};
    b.sdk->admin().sessions(filter);
    CHECK(sent(b, 1) == json({{"query", "query($access_key: String, $status: String) { compute_sessions(access_key: "
                                        "$access_key, status: $status) { sess_id } }"},
                              {"variables", {{"access_key", "AK"}, {"status", nullptr}}}}));
    b.sdk->admin().vfolders();
    CHECK(sent(b, 2)["query"] == "query { vfolders { name created_at last_used max_files max_size } }");
    backendai::vfolder_filter whose;
    whose.access_key = "AK";
    b.sdk->admin().vfolders(whose);
    CHECK(sent(b, 3)["variables"] == json({{"access_key", "AK"}}));
}

TEST_CASE("an unknown session is null, whichever way the server says so") {
    bench b;
    b->add(answer_json({{"compute_session", {{"sess_id", nullptr}, {"status", nullptr}}}}));
    b->add(answer_json({{"compute_session", nullptr}}));
    b->add(answer_json({{"compute_session", {{"sess_id", "a"}}}}));
    CHECK(b.sdk->admin().session("none").is_null());
    CHECK(b.sdk->admin().session("none").is_null());
    CHECK(b.sdk->admin().session("some")["sess_id"] == "a");
    CHECK(sent(b)["variables"] == json({{"sess_id", "none"}}));
}

TEST_CASE("the manager's status is read, frozen and unfrozen") {
    bench b;
    b->add(answer_json({{"status", "running"}, {"active_sessions", 3}}));
    const auto status = b.sdk->manager().status();
    CHECK(status.status == "running");
    CHECK(status.active_sessions == 3);
    b->add(answer(204));
    b->add(answer(204));
    b->add(answer(200));
    b.sdk->manager().freeze();
    b.sdk->manager().freeze(true);
    b.sdk->manager().unfreeze();
    const auto requests = b->requests();
    CHECK(requests[0].method == "GET");
    CHECK(requests[0].target == "/base/manager/status");
    CHECK(requests[0].body_json() == json({{"status", "running"}}));
    CHECK(requests[1].method == "PUT");
    CHECK(requests[1].body_json() == json({{"status", "frozen"}, {"force_kill", false}}));
    CHECK(requests[2].body_json() == json({{"status", "frozen"}, {"force_kill", true}}));
    CHECK(requests[3].body_json() == json({{"status", "running"}}));
}

TEST_CASE("no string argument changes the text of a query") {
    const std::vector<std::string> attacks = {"\") { id } } mutation { delete_keypair(access_key: \"x",
                                              "} } { images { name } } #",
                                              "\\",
                                              "\"",
                                              "\n",
                                              "$status",
                                              "a\") @include(if: false",
                                              "{}",
                                              "'; --",
                                              std::string("nul\0byte", 8),
                                              "\xe2\x80\xa8",
                                              "${x}",
                                              "%s%n",
                                              ""};
    using call = std::function<void(scripted::session&, const std::string&)>;
    const std::vector<call> calls = {
        [](auto& s, const auto& text) { s.agent().list(text); },
        [](auto& s, const auto& text) { s.agent(text).info(); },
        [](auto& s, const auto& text) { s.image().rescan(text); },
        [](auto& s, const auto& text) { s.image().alias(text, "b"); },
        [](auto& s, const auto& text) { s.image().alias("a", text); },
        [](auto& s, const auto& text) { s.image().dealias(text); },
        [](auto& s, const auto& text) { s.keypair().create(text); },
        [](auto& s, const auto& text) {
            backendai::keypair_options options;
            options.resource_policy = text;
            s.keypair().create("a", options);
        },
        [](auto& s, const auto& text) { s.keypair().list(text); },
        [](auto& s, const auto& text) { s.keypair(text).info(); },
        [](auto& s, const auto& text) { s.keypair(text).activate(); },
        [](auto& s, const auto& text) { s.keypair(text).deactivate(); },
        [](auto& s, const auto& text) {
            backendai::keypair_changes changes;
            changes.resource_policy = text;
            s.keypair("a").update(changes);
        },
        [](auto& s, const auto& text) { s.keypair(text).remove(); },
        [](auto& s, const auto& text) { s.admin().session(text); },
        [](auto& s, const auto& text) {
            backendai::session_filter filter;
            filter.status = text;
            s.admin().sessions(filter);
        },
        [](auto& s, const auto& text) {
            backendai::session_filter filter;
            filter.access_key = text;
            s.admin().sessions(filter);
        },
        [](auto& s, const auto& text) {
            backendai::vfolder_filter filter;
            filter.access_key = text;
            s.admin().vfolders(filter);
        },
    };
    // Every query and all variables that a call sends.
    const auto record = [](const call& make, const std::string& text) {
        bench b;
        b->otherwise([](const scripted::seen&) {
            json all = limits(1, 1, "p");
            for (const char* name : {"rescan_images", "alias_image", "dealias_image", "create_keypair",
                                     "modify_keypair", "delete_keypair"}) {
                all[name] = {{"ok", true}, {"keypair", json::object()}};
            }
            return answer_json(all);
        });
        make(*b.sdk, text);
        std::pair<std::vector<std::string>, json> seen;
        for (const auto& request : b->requests()) {
            const json body = request.body_json();
            seen.first.push_back(body["query"]);
            seen.second.push_back(body["variables"]);
        }
        return seen;
    };
    for (std::size_t i = 0; i < calls.size(); ++i) {
        CAPTURE(i);
        const auto harmless = record(calls[i], "harmless");
        for (const std::string& attack : attacks) {
            CAPTURE(attack);
            const auto attacked = record(calls[i], attack);
            CHECK(attacked.first == harmless.first);
            // The text arrives whole, as the value of its variable.
            json expected = harmless.second;
            const std::function<void(json&)> put = [&](json& value) {
                if (value == "harmless")
                    value = attack;
                else if (value.is_structured())
                    for (json& item : value) put(item);
            };
            put(expected);
            CHECK(attacked.second == expected);
        }
    }
}

TEST_CASE("no field name smuggles anything in") {
    const std::vector<std::string> attacks = {"id } } mutation { x",
                                              "id) {",
                                              "id # ",
                                              "id \"x\"",
                                              "a: id",
                                              "id @skip(if: true)",
                                              "keypair(access_key: \"x\") { secret_key }",
                                              "...F"};
    for (const std::string& attack : attacks) {
        CAPTURE(attack);
        bench b;
        const backendai::field_list fields = {"id", attack};
        backendai::keypair_options options;
        options.fields = fields;
        backendai::session_filter sessions;
        sessions.fields = fields;
        backendai::vfolder_filter folders;
        folders.fields = fields;
        CHECK(attempt([&] { b.sdk->agent().list("ALIVE", fields); }).kind == error_kind::argument);
        CHECK(attempt([&] { b.sdk->agent("a").info(fields); }).kind == error_kind::argument);
        CHECK(attempt([&] { b.sdk->image().list(fields); }).kind == error_kind::argument);
        CHECK(attempt([&] { b.sdk->keypair().create("a", options); }).kind == error_kind::argument);
        CHECK(attempt([&] { b.sdk->keypair().list({}, {}, fields); }).kind == error_kind::argument);
        CHECK(attempt([&] { b.sdk->keypair("a").info(fields); }).kind == error_kind::argument);
        CHECK(attempt([&] { b.sdk->admin().sessions(sessions); }).kind == error_kind::argument);
        CHECK(attempt([&] { b.sdk->admin().session("a", fields); }).kind == error_kind::argument);
        CHECK(attempt([&] { b.sdk->admin().vfolders(folders); }).kind == error_kind::argument);
        CHECK(b->count() == 0);
    }
}
