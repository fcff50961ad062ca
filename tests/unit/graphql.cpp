#include <backendai/api/graphql.hpp>

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace backendai;
using detail::may_mutate;
using detail::select_fields;

namespace {

bool refused(const std::string& field) {
    try {
        select_fields({"id", field}, "");
        return false;
    } catch (const client_error& e) {
        return e.kind() == error_kind::argument;
    }
}

} // namespace

TEST_CASE("fields are joined, and the default ones stand for an empty list") {
    CHECK(select_fields({}, "a b") == "a b");
    CHECK(select_fields({"id", "_x9", "Status"}, "a b") == "id _x9 Status");
    CHECK(select_fields({" id\n"}, "") == "id");
}

TEST_CASE("fields inside fields are rewritten from their names") {
    CHECK(select_fields({"labels{key value}"}, "") == "labels { key value }");
    CHECK(select_fields({"keypair {\n vfolders { name, host },\tuser_id }"}, "") ==
          "keypair { vfolders { name host } user_id }");
}

TEST_CASE("what is not a field is refused") {
    const std::vector<std::string> wrong = {"",
                                            " ",
                                            "9a",
                                            "a-b",
                                            "a b",
                                            "a: b",
                                            "a(b: 1)",
                                            "...F",
                                            "a @skip",
                                            "a { }",
                                            "a {",
                                            "a }",
                                            "a { b } c",
                                            "} { b",
                                            "a{b{}}",
                                            "$a",
                                            "a\"",
                                            "a # comment",
                                            "id } } {x",
                                            "__typename}}#",
                                            "a\xc3\xa9",
                                            std::string("a\0b", 3),
                                            "a { b(c:1) }",
                                            ","};
    for (const std::string& field : wrong) {
        CAPTURE(field);
        CHECK(refused(field));
    }
}

TEST_CASE("nesting has a limit") {
    std::string deep = "a";
    for (int i = 0; i < 16; ++i) deep = "a { " + deep + " }";
    CHECK_FALSE(refused(deep));
    for (int i = 0; i < 100000; ++i) deep.insert(0, "a{");
    CHECK(refused(deep));
}

TEST_CASE("a text holds names only, the values are beside it") {
    detail::graphql_text<> text("query", "keypairs");
    text.argument("user_id", "String!", "} mutation { x")
        .argument("props", "Input!", {{"a", 1}}, "input")
        .select("a b");
    CHECK(text.text() ==
          "query($user_id: String!, $input: Input!) { keypairs(user_id: $user_id, props: $input) { a b } }");
    CHECK(text.variables() == json({{"user_id", "} mutation { x"}, {"input", {{"a", 1}}}}));
    CHECK(detail::graphql_text<>("query", "images").select("a").text() == "query { images { a } }");
}

TEST_CASE("documents that may change something are told from those that do not") {
    CHECK_FALSE(may_mutate("{ agents { id } }"));
    CHECK_FALSE(may_mutate("query mutations($a: String = \"mutation\") { mutation: agents { mutation } }"));
    CHECK_FALSE(may_mutate("# mutation { }\nquery { a(b: \"} mutation {\") }"));
    CHECK_FALSE(may_mutate("query { a(b: \"\\\"} mutation {\") } fragment mutation_fields on A { b }"));
    CHECK(may_mutate("mutation { delete_keypair(access_key: \"a\") { ok } }"));
    CHECK(may_mutate("query A { a } mutation B { b }"));
    CHECK(may_mutate("fragment F on A { b }\n# x\n mutation($a: Int) { b { ...F } }"));
    CHECK(may_mutate("query { a(b: \"unterminated) }"));
    CHECK(may_mutate("query { a"));
}

TEST_CASE("errors are listed with message, path and place") {
    const json list = json::parse(R"([
        {"message": "no such field", "locations": [{"line": 2, "column": 7}], "path": ["keypairs", 0, "user_id"]},
        {"message": "bad"}, "a text", {"message": 5, "locations": "x", "path": null}, 7])");
    api_error::details details;
    details.status = 400;
    details.reason = "Bad Request";
    const graphql_error error(details, detail::read_problems(list));
    REQUIRE(error.errors().size() == 5);
    CHECK(error.errors()[0].message == "no such field");
    CHECK(error.errors()[0].path_text() == "keypairs.0.user_id");
    REQUIRE(error.errors()[0].locations.size() == 1);
    CHECK(error.errors()[0].locations[0].line == 2);
    CHECK(error.errors()[0].locations[0].column == 7);
    CHECK(error.errors()[1].path_text().empty());
    CHECK(error.errors()[2].message == "a text");
    CHECK(error.errors()[3].message == "5");
    CHECK(std::string(error.what()) ==
          "400 Bad Request; no such field at keypairs.0.user_id (line 2, column 7); bad; a text; 5; 7");
    CHECK(detail::read_problems(json()).empty());
    CHECK(detail::read_problems(json::object()).empty());
}

TEST_CASE("an error's path commands no terminal and has a limit") {
    const json list = {{{"message", "m"}, {"path", {"\x1b]0;owned\a", std::string(2000, 'x')}}}};
    const graphql_error error({}, detail::read_problems(list));
    const std::string text = error.what();
    CHECK(text.find("m at \\x1b]0;owned\\x07.xxx") != std::string::npos);
    CHECK(text.find('\x1b') == std::string::npos);
    CHECK(text.size() < 600);
    CHECK(error.errors()[0].path_text().size() == 2011); // as it came
}

TEST_CASE("JSON inside a text is decoded where the server sends such, at any depth") {
    json value = json::parse(R"([{"occupied_slots": "{\"cpu\": \"1\"}", "service_ports": "null", "name": "{}",
        "compute_sessions": [{"occupied_slots": "[1]"}], "available_slots": "not json", "live_stat": null}])");
    detail::decode_json_texts(value);
    CHECK(value[0]["occupied_slots"] == json({{"cpu", "1"}}));
    CHECK(value[0]["service_ports"].is_null());
    CHECK(value[0]["name"] == "{}");
    CHECK(value[0]["compute_sessions"][0]["occupied_slots"] == json::array({1}));
    CHECK(value[0]["available_slots"] == "not json");
    CHECK(value[0]["live_stat"].is_null());
}
