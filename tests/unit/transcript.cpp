// Every answer of a recorded real server goes through the SDK: first as it stands through the low-level request, then
// through the function that a program would have called, which must make the right result or the right error of it.
#include "transcript_support.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>

namespace {
namespace transcript_test {

using backendai::api_error;
using backendai::error_kind;
using transcript::exchange;
using transcript::json;
using transcript::part;
using transcript::rule;
using transcript::scratch;

/// The errors of a GraphQL answer on either endpoint: a list in `errors`, or in the problem's `data`.
json graphql_errors(const exchange& from) {
    const json body = from.body();
    if (!body.is_object()) return json();
    if (from.succeeded()) return body.value("errors", json());
    const json data = body.value("data", json());
    return data.is_array() ? data : json();
}

json optional_text(const std::string& text) {
    return text.empty() ? json() : json(text);
}

void create_session(const exchange& from, scripted::session& sdk) {
    // Some requests were malformed on purpose, so only the name is taken from them, when it is one.
    backendai::create_options options;
    options.client_token = "some-name";
    const auto made = sdk.kernel().get_or_create("python", options);
    const json body = from.body();
    CHECK(made.kernel_id() == body.at("sessionId"));
    CHECK(made.created() == body.at("created"));
    json ports = body.value("servicePorts", json());
    if (!ports.is_array()) ports = body.value("service_ports", json());
    CHECK(made.service_ports().size() == (ports.is_array() ? ports.size() : 0));
    for (std::size_t i = 0; i < made.service_ports().size(); ++i) {
        CHECK(made.service_ports()[i].name == ports[i].at("name"));
        CHECK(made.service_ports()[i].protocol == ports[i].at("protocol"));
        CHECK(made.service_ports()[i].container_port ==
              ports[i].at(ports[i].contains("ports") ? "ports" : "container_ports").at(0));
    }
    CHECK(made.raw() == body);
}

void get_info(const exchange& from, scripted::session& sdk) {
    const auto info = sdk.kernel(part(from, 1)).get_info();
    const json body = from.body();
    CHECK(info.lang == body.at("lang"));
    CHECK(info.image == body.at("image"));
    CHECK(info.registry == body.at("registry"));
    CHECK(optional_text(info.tag) == body.at("tag"));
    CHECK(info.age.count() == body.at("age"));
    CHECK(info.num_queries_executed == body.at("numQueriesExecuted"));
    CHECK(info.raw == body);
}

void execute(const exchange& from, scripted::session& sdk) {
    const json request = from.request();
    const bool completes = request.is_object() && request.value("mode", json()) == "complete";
    const auto mode = completes ? backendai::execute_mode::complete : backendai::execute_mode::query;
    const auto result = sdk.kernel(part(from, 1)).execute("run-1", "1", mode);
    const json body = from.body().at("result");
    if (body.is_null()) { // what the agent found was lost on the way
        CHECK(completes);
        CHECK(result.status == backendai::run_status::finished);
        CHECK(result.run_id == "run-1");
        return;
    }
    static const std::map<std::string, backendai::run_status> statuses = {
        {"continued", backendai::run_status::continued},
        {"clean-finished", backendai::run_status::clean_finished},
        {"build-finished", backendai::run_status::build_finished},
        {"finished", backendai::run_status::finished},
        {"waiting-input", backendai::run_status::waiting_input},
    };
    CHECK(result.status == statuses.at(body.at("status")));
    CHECK(optional_text(result.run_id) == body.at("runId"));
    CHECK((result.exit_code ? json(*result.exit_code) : json()) == body.at("exitCode"));
    json console = json::array();
    for (const auto& record : result.console) console.push_back({record.type, record.payload});
    CHECK(console == body.at("console"));
    CHECK(result.raw == body);
}

void download(const exchange& from, scripted::session& sdk) {
    const scratch folder;
    std::vector<std::string> files;
    const json request = from.request();
    if (request.is_object() && request.value("files", json()).is_string()) {
        files.push_back(request.at("files").get<std::string>());
    } else if (request.is_object() && request.value("files", json()).is_array()) {
        for (const json& file : request.at("files")) files.push_back(file.get<std::string>());
    } else {
        files.push_back("a/b.txt");
    }
    if (files.empty() || files.size() > 5) files.resize(1, "x");
    if (from.succeeded() && files.size() > 1) {
        // Of two archives the recording has half of the first: an answer that was cut off.
        const auto result = scripted::attempt([&] { sdk.kernel(part(from, 1)).download(files, folder.path); });
        CHECK(result.kind == error_kind::protocol);
        CHECK(std::filesystem::is_empty(folder.path));
        return;
    }
    sdk.kernel(part(from, 1)).download(files, folder.path);
    int found = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder.path)) {
        if (!entry.is_regular_file()) continue;
        ++found;
        CHECK(entry.path().filename() == std::filesystem::path(files[0]).filename());
        // What is in the file stands in the answer, which is neither compressed nor encoded.
        const std::string content = transcript::read_file(entry.path());
        CHECK(!content.empty());
        CHECK(from.body_bytes().find(content) != std::string::npos);
    }
    CHECK(found == 1);
}

/// A GraphQL document of the recording, as a program would hand it to the SDK.
void query(const exchange& from, scripted::session& sdk) {
    const json request = from.request();
    const bool usable = request.is_object() && request.value("query", json()).is_string();
    const json variables = usable ? request.value("variables", json()) : json();
    const json errors = graphql_errors(from);
    try {
        const json data = sdk.admin().query(usable ? request.at("query").get<std::string>() : "{ x }",
                                            variables.is_object() ? variables : json::object());
        CHECK(!errors.is_array());
        CHECK(data == (from.body().contains("data") ? from.body().at("data") : from.body()));
    } catch (const backendai::graphql_error& e) {
        REQUIRE(errors.is_array());
        REQUIRE(e.errors().size() == errors.size());
        for (std::size_t i = 0; i < errors.size(); ++i) {
            CHECK(e.errors()[i].message == errors[i].at("message"));
            CHECK(e.errors()[i].path == errors[i].value("path", json()));
            const json places = errors[i].value("locations", json());
            REQUIRE(e.errors()[i].locations.size() == (places.is_array() ? places.size() : 0));
            if (!places.is_array() || places.empty()) continue;
            CHECK(e.errors()[i].locations[0].line == places[0].at("line"));
            CHECK(e.errors()[i].locations[0].column == places[0].at("column"));
        }
        if (!from.succeeded()) throw;
    } catch (const api_error&) {
        CHECK(!errors.is_array()); // else it is to be the error that lists them
        throw;
    }
}

/// What a mutation's answer says in-band becomes an error of its own.
void mutate_keypair(const exchange& from, scripted::session& sdk) {
    const std::string text = from.request().at("query");
    const bool creates = text.find("create_keypair") != std::string::npos;
    const bool modifies = text.find("modify_keypair") != std::string::npos;
    const json answer = from.body().at("data").at(creates    ? "create_keypair"
                                                  : modifies ? "modify_keypair"
                                                             : "delete_keypair");
    try {
        backendai::keypair_changes changes;
        changes.rate_limit = 100;
        if (creates) {
            const auto made = sdk.keypair().create("user@example.com");
            CHECK(made.access_key == answer.at("keypair").at("access_key"));
        } else if (modifies) {
            sdk.keypair("AKIANOSUCHKEYEXAMPLE").update(changes);
        } else {
            sdk.keypair("AKIANOSUCHKEYEXAMPLE").remove();
        }
        CHECK(answer.at("ok") == true);
    } catch (const backendai::graphql_error& e) {
        CHECK(answer.at("ok") == false);
        REQUIRE(e.errors().size() == 1);
        CHECK(e.errors()[0].message == answer.at("msg"));
    }
}

const std::vector<rule>& rules() {
    using session = scripted::session;
    static const std::vector<rule> table = {
        {"hello", "GET", "/",
         [](const exchange& from, session& sdk) {
             const auto info = sdk.hello();
             CHECK(info.version == from.body().at("version"));
             CHECK(info.manager == from.body().at("manager"));
         }},
        {"manager.status", "GET", "/manager/status",
         [](const exchange& from, session& sdk) {
             const auto status = sdk.manager().status();
             CHECK(status.raw == from.body());
             CHECK(status.status == from.body().at("status"));
         }},
        {"manager.freeze", "PUT", "/manager/status", [](const exchange&, session& sdk) { sdk.manager().freeze(); }},
        {"kernel.get_or_create", "POST", "/session", create_session},
        {"kernel.match", "GET", "/session/_/match",
         [](const exchange& from, session& sdk) {
             const auto found = sdk.kernel().match("v6-sess");
             const json matches = from.body().at("matches");
             REQUIRE(found.size() == matches.size());
             for (std::size_t i = 0; i < found.size(); ++i) {
                 CHECK(found[i].id == matches[i].at("id"));
                 CHECK(found[i].name == matches[i].at("name"));
                 CHECK(found[i].status == matches[i].at("status"));
             }
         }},
        {"kernel.get_info", "GET", "/session/[^/_]+", get_info},
        {"kernel.destroy", "DELETE", "/session/[^/_]+",
         [](const exchange& from, session& sdk) {
             const auto result = sdk.kernel(part(from, 1)).destroy();
             // That a session is gone already is what was wanted: no error.
             if (from.succeeded()) CHECK(result.stats == from.body().at("stats"));
         }},
        {"kernel.restart", "PATCH", "/session/[^/_]+",
         [](const exchange& from, session& sdk) { sdk.kernel(part(from, 1)).restart(); }},
        {"kernel.execute", "POST", "/session/[^/_]+", execute},
        {"kernel.interrupt", "POST", "/session/[^/]+/interrupt",
         [](const exchange& from, session& sdk) { sdk.kernel(part(from, 1)).interrupt(); }},
        {"kernel.complete", "POST", "/session/[^/]+/complete",
         [](const exchange& from, session& sdk) {
             const auto found = sdk.kernel(part(from, 1)).complete("pri");
             // Servers of the time lose what the agent found.
             CHECK(from.body().at("result").is_null());
             CHECK(found.empty());
         }},
        {"kernel.get_logs", "GET", "/session/[^/_]+/logs",
         [](const exchange& from, session& sdk) {
             const std::string logs = sdk.kernel(part(from, 1)).get_logs();
             CHECK(logs == from.body().at("result").at("logs"));
         }},
        {"kernel.upload", "POST", "/session/[^/]+/upload",
         [](const exchange& from, session& sdk) {
             const scratch folder;
             std::ofstream(folder.path / "a.txt") << "a";
             backendai::upload_options options;
             options.basedir = folder.path;
             sdk.kernel(part(from, 1)).upload({folder.path / "a.txt"}, options);
         }},
        {"kernel.download", "GET", "/session/[^/]+/download", download},
        {"kernel.list_files", "GET", "/session/[^/]+/files",
         [](const exchange& from, session& sdk) {
             const auto listing = sdk.kernel(part(from, 1)).list_files();
             transcript::check_listing(listing, from.body());
         }},
        {"kernel.rename", "POST", "/session/[^/]+/rename",
         [](const exchange& from, session& sdk) { sdk.kernel(part(from, 1)).rename("new-name"); }},
        {"kernel.start_service", "POST", "/session/[^/]+/start-service",
         [](const exchange& from, session& sdk) {
             const auto address = sdk.kernel(part(from, 1)).start_service("jupyter");
             CHECK(address.token == from.body().at("token"));
         }},
        {"kernel.shutdown_service", "POST", "/session/[^/]+/shutdown-service",
         [](const exchange& from, session& sdk) { sdk.kernel(part(from, 1)).shutdown_service("jupyter"); }},
        {"kernel.apps", "GET", "/stream/session/[^/]+/apps",
         [](const exchange& from, session& sdk) {
             const auto apps = sdk.kernel(part(from, 2)).apps();
             const json body = from.body();
             REQUIRE(apps.size() == body.size());
             for (std::size_t i = 0; i < apps.size(); ++i) CHECK(apps[i].name == body[i].at("name"));
         }},
        {"admin.query", "POST", "/admin/(gql|graphql)", query},
    };
    return table;
}

} // namespace transcript_test
} // namespace

TEST_CASE("transcript: every answer as it stands") {
    int answers = 0, failures = 0;
    for (const auto& from : transcript::all()) {
        if (from.is_websocket()) continue;
        INFO(from.label());
        std::optional<scripted::bench> bench;
        transcript::speaking(bench, from);
        auto low = backendai::request(*bench->sdk, from.method(), from.path());
        const auto answer = low.fetch(backendai::check_status(false));
        CHECK(answer.status() == from.status());
        CHECK(answer.reason() == from.reason());
        if (!from.is_cut()) CHECK(answer.text() == from.body_bytes());
        if (from.is_json()) CHECK(answer.json() == from.body());
        CHECK(answer.headers().size() == from.headers().size());
        CHECK((*bench)->requests().at(0).method == from.method());
        ++answers;
        if (from.succeeded()) {
            CHECK(low.fetch().status() == from.status());
            continue;
        }
        ++failures;
        try {
            low.fetch();
            FAIL("a failure status was taken for a success");
        } catch (const backendai::api_error& e) {
            transcript::check_error(from, e);
        }
    }
    CHECK(answers == 1383 - 63);
    CHECK(failures > 400);
}

TEST_CASE("transcript: what mutations of key pairs say in-band") {
    namespace test = transcript_test;
    int answers = 0;
    for (const auto& from : transcript::all()) {
        const auto request = from.request();
        if (from.path() != "/admin/gql" || !request.is_object() || !from.body().is_object()) continue;
        const std::string text = request.value("query", backendai::json()).is_string() ? request.at("query") : "";
        const auto data = from.body().value("data", backendai::json());
        if (!std::regex_search(text, std::regex("(create|modify|delete)_keypair")) || !data.is_object() ||
            from.body().contains("errors")) {
            continue;
        }
        INFO(from.label());
        std::optional<scripted::bench> bench;
        transcript::speaking(bench, from);
        test::mutate_keypair(from, *bench->sdk);
        if (text.find("modify_keypair") != std::string::npos) {
            // What is not to change is not spoken of: to 23.09 a null is a value.
            const auto sent = (*bench)->requests().back().body_json();
            CHECK(sent.at("variables").at("input") == backendai::json{{"rate_limit", 100}});
        }
        ++answers;
    }
    CHECK(answers > 20);
}

TEST_CASE("transcript: every answer about sessions, and of GraphQL, to its function") {
    const auto counts = transcript::digest(transcript::group::sessions, transcript_test::rules());
    CHECK(counts.exchanges > 700);
    CHECK(counts.results > 400);
    CHECK(counts.errors > 200);
}

TEST_CASE("transcript: there is a function for every exchange, or a reason why not") {
    std::map<transcript::group, int> counts;
    for (const auto& from : transcript::all()) {
        INFO(from.label());
        CHECK(transcript::group_of(from) != transcript::group::unknown);
        ++counts[transcript::group_of(from)];
    }
    CHECK(counts[transcript::group::none] < 200);
    CHECK(transcript::all().size() == 1383);
}
