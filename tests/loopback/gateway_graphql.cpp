// The gateway's GraphQL: the language, its checks, and the schema of the 19.03 line. Queries that the SDK never sends
// behave too, as other clients are tested against it.
#include <backendai/core.hpp>
#include <backendai/testing/gateway.hpp>
#include <backendai/testing/memory_transport.hpp>

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace {

using namespace backendai;
using memory_session = basic_session<testing::memory_transport, blocking>;

constexpr const char* user_key = "AKIAUSERUSERUSERUSER";

testing::gateway_options with_user() {
    testing::gateway_options options;
    options.images = {"python:3.6-ubuntu", "cr.example.org/stable/python-tensorflow:1.12"};
    options.vfolders = {"mydata"};
    options.other_users = {{user_key, "a-secret-of-the-user", "other@example.com"}};
    return options;
}

struct fixture {
    testing::gateway gateway{with_user()};
    memory_session session = as(gateway.access_key(), gateway.secret_key());
    memory_session user = as(user_key, "a-secret-of-the-user");

    memory_session as(const std::string& access_key, const std::string& secret_key) {
        api_config config;
        config.endpoint = gateway.endpoint();
        config.access_key = access_key;
        config.secret_key = secret_key;
        config.version = "v4.20190315";
        return memory_session(config, testing::memory_transport(gateway));
    }
    json ask(const std::string& query, const json& variables = json::object()) {
        return session.admin().query(query, variables);
    }
    // All error messages, a line break between them; empty when there is none.
    std::string errors(const std::string& query, const json& variables = json::object()) {
        try {
            ask(query, variables);
            return {};
        } catch (const graphql_error& e) {
            CHECK(e.status() == 400);
            CHECK(e.type() == "https://api.backend.ai/probs/graphql-error");
            std::string text;
            for (const auto& problem : e.errors()) text += (text.empty() ? "" : "\n") + problem.message;
            return text;
        }
    }
};

} // namespace

TEST_CASE_FIXTURE(fixture, "graphql: answers are the bare data, in the order of the query") {
    std::string raw;
    raw = request(session, "POST", "/admin/graphql")
              .set_json({{"query", "{ images { tag name } agents { status id } }"}})
              .fetch()
              .text();
    CHECK(raw.find("{\"images\":[{\"tag\":\"3.6-ubuntu\",\"name\":\"python\"}") == 0);
    CHECK(raw.find("\"agents\":[{\"status\":\"ALIVE\",\"id\":\"i-embedded\"}]") != std::string::npos);
}

TEST_CASE_FIXTURE(fixture, "graphql: aliases, nested selections and __typename") {
    const json data = ask("{ mine: keypair { who: user_id __typename vfolders { name } } all: agents { id } "
                          "live: agents(status: \"ALIVE\") { id __typename } }");
    CHECK(data["mine"] ==
          json({{"who", "user@example.com"}, {"__typename", "KeyPair"}, {"vfolders", {{{"name", "mydata"}}}}}));
    CHECK(data["all"].size() == 1);
    CHECK(data["live"][0]["__typename"] == "Agent");
    CHECK(ask("{ __typename }")["__typename"] == "QueryForAdmin");
}

TEST_CASE_FIXTURE(fixture, "graphql: variables with types, defaults and coercion") {
    CHECK(ask("query($s: String) { agents(status: $s) { id } }", {{"s", "LOST"}})["agents"].empty());
    CHECK(ask("query($s: String = \"LOST\") { agents(status: $s) { id } }")["agents"].empty());
    CHECK(ask("query($s: String = \"LOST\") { agents(status: $s) { id } }", {{"s", "ALIVE"}})["agents"].size() == 1);
    CHECK(ask("query($s: String) { agents(status: $s) { id } }", {{"s", nullptr}, {"unused", 1}})["agents"].size() ==
          1);
    CHECK(ask("query($i: Int!) { agent_list(limit: $i, offset: 0) { items { id } total_count } }",
              {{"i", 0}})["agent_list"] == json({{"items", json::array()}, {"total_count", 1}}));
    CHECK(errors("query($a: String!) { keypair(access_key: $a) { user_id } }") ==
          "Variable \"$a\" of required type \"String!\" was not provided.");
    CHECK(errors("query($i: Int!) { agent_list(limit: $i, offset: 0) { total_count } }", {{"i", "x"}}) ==
          "Variable \"$i\" got invalid value \"x\".\nExpected type \"Int\", found \"x\".");
    CHECK(errors("mutation($p: KeyPairInput!) { create_keypair(user_id: \"a\", props: $p) { ok } }",
                 {{"p", {{"is_admin", false}, {"what", 1}}}}) ==
          "Variable \"$p\" got invalid value {\"is_admin\":false,\"what\":1}.\nIn field \"what\": Unknown field.\n"
          "In field \"rate_limit\": Expected \"Int!\", found null.");
}

TEST_CASE_FIXTURE(fixture, "graphql: fragments, named and inline, and directives") {
    const std::string document = "query Q($yes: Boolean!) { agents { ...A ... on Agent { region } ... { addr } "
                                 "id @include(if: $yes) status @skip(if: $yes) ... @skip(if: true) { lost_at } } } "
                                 "fragment A on Agent { cpu_slots ...B } fragment B on Agent { mem_slots }";
    const json shown = ask(document, {{"yes", true}})["agents"][0];
    CHECK(shown.size() == 5);
    for (const char* name : {"cpu_slots", "mem_slots", "region", "addr", "id"}) CHECK(shown.contains(name));
    const json hidden = ask(document, {{"yes", false}})["agents"][0];
    CHECK_FALSE(hidden.contains("id"));
    CHECK(hidden.contains("status"));
    // Selections of the same field are merged.
    CHECK(ask("{ agents { id } agents { status id } }")["agents"][0].size() == 2);
}

TEST_CASE_FIXTURE(fixture, "graphql: unknown names are told with their place and what was meant") {
    try {
        ask("{\n  keypair {\n    user_idd\n  }\n}");
        FAIL("no error");
    } catch (const graphql_error& e) {
        REQUIRE(e.errors().size() == 1);
        CHECK(e.errors()[0].message ==
              "Cannot query field \"user_idd\" on type \"KeyPair\". Did you mean \"user_id\"?");
        REQUIRE(e.errors()[0].locations.size() == 1);
        CHECK(e.errors()[0].locations[0].line == 3);
        CHECK(e.errors()[0].locations[0].column == 5);
        CHECK(e.errors()[0].path.is_null());
    }
    CHECK(errors("{ agents(state: \"x\") { id } }") ==
          "Unknown argument \"state\" on field \"agents\" of type \"QueryForAdmin\". Did you mean \"status\"?");
    CHECK(errors("{ zzz }\n") == "Cannot query field \"zzz\" on type \"QueryForAdmin\".");
    CHECK(errors("{ agents { ...F } }") == "Unknown fragment \"F\".");
    CHECK(errors("{ agents { id @foo } }") == "Unknown directive \"foo\".");
    CHECK(errors("query($a: Foo) { agents(status: $a) { id } }") == "Unknown type \"Foo\".");
    CHECK(errors("{ agents { ... on Foo { id } } }") == "Unknown type \"Foo\".");
}

TEST_CASE_FIXTURE(fixture, "graphql: the other rules of validation") {
    const std::vector<std::pair<std::string, std::string>> table = {
        {"{ agents }", "Field \"agents\" of type \"[Agent]\" must have a sub selection."},
        {"{ agents { id { x } } }", "Field \"id\" of type \"String\" must not have a sub selection."},
        {"{ agent { id } }", "Field \"agent\" argument \"agent_id\" of type \"String!\" is required but not provided."},
        {"{ agents(status: 5) { id } }",
         "Argument \"status\" has invalid value 5.\nExpected type \"String\", found 5."},
        {"{ agents(status: \"a\" status: \"b\") { id } }", "There can only be one argument named \"status\"."},
        {"query($a: Int) { agents(status: $a) { id } }",
         "Variable \"a\" of type \"Int\" used in position expecting type \"String\"."},
        {"query($a: String) { agent(agent_id: $a) { id } }",
         "Variable \"a\" of type \"String\" used in position expecting type \"String!\"."},
        {"query Q { agents(status: $a) { id } }", "Variable \"$a\" is not defined by operation \"Q\"."},
        {"query($a: Int) { agents { id } }", "Variable \"$a\" is never used."},
        {"query($a: String $a: String) { agents(status: $a) { id } }", "There can be only one variable named \"a\"."},
        {"query($a: Agent) { agents(status: $a) { id } }", "Variable \"$a\" cannot be non-input type \"Agent\"."},
        {"query($a: Int = \"x\") { agent_list(limit: 1, offset: 0, status: \"ALIVE\") { total_count } agents(status: "
         "$a) { id } }",
         "Variable \"$a\" of type \"Int\" has invalid default value: \"x\".\nExpected type \"Int\", found \"x\".\n"
         "Variable \"a\" of type \"Int\" used in position expecting type \"String\"."},
        {"{ agents { id } } fragment F on Agent { id }", "Fragment \"F\" is never used."},
        {"{ agents { ...F } } fragment F on Agent { ...G } fragment G on Agent { ...F }",
         "Cannot spread fragment \"F\" within itself.\nCannot spread fragment \"G\" within itself."},
        {"{ agents { ...F } } fragment F on Image { name }",
         "Fragment F cannot be spread here as objects of type Agent can never be of type Image"},
        {"{ a: agents { id } a: images { name } }",
         "Fields \"a\" conflict because agents and images are different fields. Use different aliases on the fields to "
         "fetch both if this was intentional."},
        {"{ agents { id } agents(status: \"LOST\") { id } }", "Fields \"agents\" conflict because they have differing "
                                                              "arguments. Use different aliases on the fields to fetch "
                                                              "both if this was intentional."},
        {"{ agents { id } } query Q { images { name } }",
         "This anonymous operation must be the only defined operation."},
        {"query A { agents { id } } query A { images { name } }", "There can only be one operation named \"A\"."},
        {"query A { agents { id } } query B { images { name } }",
         "Must provide operation name if query contains multiple operations."},
        {"subscription { agents { id } }", "Schema is not configured for subscriptions"},
        {"fragment F on Agent { id }", "Fragment \"F\" is never used."},
    };
    for (const auto& [text, message] : table) {
        const std::string& query = text; // C++17's lambdas, and so CAPTURE, take no structured binding
        CAPTURE(query);
        CHECK(errors(query) == message);
    }
}

TEST_CASE_FIXTURE(fixture, "graphql: texts that are no GraphQL") {
    const std::vector<std::pair<std::string, std::string>> table = {
        {"{", "Syntax Error GraphQL (1:2) Expected Name, found EOF"},
        {"{ agents { id }", "Syntax Error GraphQL (1:16) Expected Name, found EOF"},
        {"{ }", "Syntax Error GraphQL (1:3) Expected Name, found }"},
        {"agents", "Syntax Error GraphQL (1:1) Unexpected Name \"agents\""},
        {"\n { agents(status: null) { id } }", "Syntax Error GraphQL (2:19) Unexpected Name \"null\""},
        {"{ a(b: \"x) }", "Syntax Error GraphQL (1:13) Unterminated string"},
        {"{ a(b: 01) }", "Syntax Error GraphQL (1:9) Invalid number, unexpected digit after 0: \"1\"."},
        {"{ a ? }", "Syntax Error GraphQL (1:5) Unexpected character \"?\"."},
        {"{ a(b: 1.) }", "Syntax Error GraphQL (1:10) Invalid number, expected digit but got: \")\"."},
    };
    for (const auto& [text, message] : table) {
        const std::string& query = text; // C++17's lambdas, and so CAPTURE, take no structured binding
        CAPTURE(query);
        CHECK(errors(query) == message);
    }
    CHECK(errors(std::string(100000, '{')) != "");
    std::string lists = "{ agents(status: ";
    CHECK(errors(lists + std::string(100000, '[')) != "");
}

TEST_CASE_FIXTURE(fixture, "graphql: an error of a field has a path, and the request fails as a whole") {
    try {
        ask("{ agents { id } bad: compute_sessions(status: \"FOO\") { sess_id } }");
        FAIL("no error");
    } catch (const graphql_error& e) {
        REQUIRE(e.errors().size() == 1);
        CHECK(e.errors()[0].message == "'FOO'");
        CHECK(e.errors()[0].path_text() == "bad");
        CHECK(e.errors()[0].locations.size() == 1);
    }
}

TEST_CASE_FIXTURE(fixture, "graphql: requests that hold no query") {
    const std::vector<json> bodies = {
        json::object(), {{"query", 5}}, {{"query", "{ agents { id } }"}, {"variables", 5}}};
    for (const json& body : bodies) {
        CAPTURE(body);
        const auto answer = request(session, "POST", "/admin/graphql").set_json(body).fetch(check_status{false});
        CHECK(answer.status() == 400);
        CHECK(answer.json()["type"] == "https://api.backend.ai/probs/invalid-api-params");
    }
    CHECK(request(session, "POST", "/admin/graphql")
              .set_content("{", "application/json")
              .fetch(check_status{false})
              .status() == 400);
}

TEST_CASE_FIXTURE(fixture, "graphql: user ids may be numbers or texts, as literals and as variables") {
    const std::string rest = ", props: {rate_limit: 1, concurrency_limit: 2}) { ok keypair { user_id is_active } } }";
    CHECK(ask("mutation { create_keypair(user_id: 7" + rest)["create_keypair"]["keypair"] ==
          json({{"user_id", "7"}, {"is_active", false}}));
    CHECK(ask("mutation { create_keypair(user_id: \"a@b\"" + rest)["create_keypair"]["keypair"]["user_id"] == "a@b");
    CHECK(ask("mutation($u: Int!) { create_keypair(user_id: $u" + rest, {{"u", 7}})["create_keypair"]["ok"] == true);
    CHECK(ask("query($u: Int!) { keypairs(user_id: $u) { user_id } }", {{"u", 7}})["keypairs"].size() == 2);
    CHECK(ask("query($u: String!) { keypairs(user_id: $u) { user_id } }", {{"u", "7"}})["keypairs"].size() == 2);
}

TEST_CASE_FIXTURE(fixture, "graphql: a key pair needs its limits") {
    CHECK(errors("mutation { create_keypair(user_id: \"a\", props: {concurrency_limit: 1}) { ok } }") ==
          "Argument \"props\" has invalid value {concurrency_limit: 1}.\nIn field \"rate_limit\": Expected \"Int!\", "
          "found null.");
    CHECK(errors("mutation { create_keypair(user_id: \"a\", props: {rate_limit: 1}) { ok } }") ==
          "In field \"concurrency_limit\": Expected \"Int!\", found null.");
    CHECK(errors("mutation($p: KeyPairInput!) { modify_keypair(access_key: \"a\", props: $p) { ok } }",
                 {{"p", {{"is_active", true}}}}) != "");
    // The later servers of the line have a type of its own for changes.
    CHECK(ask("mutation($p: ModifyKeyPairInput!) { modify_keypair(access_key: \"a\", props: $p) { ok msg } }",
              {{"p", {{"is_active", true}}}})["modify_keypair"] ==
          json({{"ok", false}, {"msg", "failed to modify keypair"}}));
}

TEST_CASE_FIXTURE(fixture, "graphql: users see their own things only and change nothing") {
    CHECK(user.admin().query("{ __typename keypair { user_id is_admin } vfolders { name } }") ==
          json({{"__typename", "QueryForUser"},
                {"keypair", {{"user_id", "other@example.com"}, {"is_admin", false}}},
                {"vfolders", json::array()}}));
    const auto refused = [&](const std::string& query) {
        try {
            user.admin().query(query);
            return std::string();
        } catch (const graphql_error& e) {
            return e.errors().at(0).message;
        }
    };
    CHECK(refused("{ agents { id } }") == "Cannot query field \"agents\" on type \"QueryForUser\".");
    CHECK(refused("{ keypair(access_key: \"x\") { user_id } }") ==
          "Unknown argument \"access_key\" on field \"keypair\" of type \"QueryForUser\".");
    CHECK(refused("mutation { rescan_images { ok } }") == "Schema is not configured for mutations");
}

TEST_CASE_FIXTURE(fixture, "graphql: images with what belongs to them") {
    session.image().alias("tf", "python-tensorflow:1.12");
    const json data =
        ask("{ image(reference: \"tf\") { name registry tag humanized_name aliases installed labels { key } "
            "resource_limits { key min max } hash digest } }")["image"];
    CHECK(data["name"] == "python-tensorflow");
    CHECK(data["registry"] == "cr.example.org/stable");
    CHECK(data["aliases"] == json::array({"tf"}));
    CHECK(data["resource_limits"][0]["key"] == "cpu");
    CHECK(data["hash"] == data["digest"]);
    session.image().dealias("tf");
    CHECK(errors("{ image(reference: \"tf\") { name } }") == "Unknown image reference");
}
