// The compute session functions on servers from 20.03 on: what goes out by version, and what their answers become.
#include "scripted_transport.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

using namespace backendai;
using scripted::answer;
using scripted::answer_json;
using scripted::attempt;
using scripted::bench;
using scripted::contains;
using scripted::seen;
using scripted::speaking;

namespace {

const json created = {{"sessionId", "9ef96549-4bfd-4381-ab63-b6cf5e59b467"},
                      {"sessionName", "my-sess"},
                      {"status", "RUNNING"},
                      {"servicePorts", {{{"name", "jupyter"}, {"protocol", "http"}, {"ports", {8081, 8082}}}}},
                      {"created", true}};

json problem(const std::string& id) {
    return {{"type", "https://api.backend.ai/probs/" + id}, {"title", "No."}};
}

// Each option of a creation alone, with the version that brought it, and where it goes.
struct option_case {
    const char* name;
    const char* since;
    const char* place; // JSON pointer in the body
    json value;
    void (*set)(create_options&);
};
const std::vector<option_case>& option_cases() {
    static const std::vector<option_case> cases = {
        {"type", "v4.20190615", "/type", "batch", [](create_options& o) { o.type = "batch"; }},
        {"group", "v4.20190615", "/group", "g", [](create_options& o) { o.group = "g"; }},
        {"domain", "v4.20190615", "/domain", "d", [](create_options& o) { o.domain = "d"; }},
        {"startup_command", "v4.20190615", "/startupCommand", "ls",
         [](create_options& o) { o.startup_command = "ls"; }},
        {"enqueue_only", "v4.20190615", "/enqueueOnly", true, [](create_options& o) { o.enqueue_only = true; }},
        {"max_wait", "v4.20190615", "/maxWaitSeconds", 20,
         [](create_options& o) { o.max_wait = std::chrono::seconds(20); }},
        {"no_reuse", "v4.20190615", "/reuseIfExists", false, [](create_options& o) { o.no_reuse = true; }},
        {"owner_access_key", "v4.20190615", "/owner_access_key", "AK",
         [](create_options& o) { o.owner_access_key = "AK"; }},
        {"mount_map",
         "v5.20191215",
         "/config/mount_map",
         {{"data", "/home/work/x"}},
         [](create_options& o) {
             o.mount_map = {{"data", "/home/work/x"}};
         }},
        {"preopen_ports", "v5.20191215", "/config/preopen_ports", json::array({9000, 9001}),
         [](create_options& o) {
             o.preopen_ports = {9000, 9001};
         }},
        {"bootstrap_script", "v5.20191215", "/bootstrap_script", "echo",
         [](create_options& o) { o.bootstrap_script = "echo"; }},
        {"starts_at", "v5.20191215", "/starts_at", "2026-01-01T00:00:00+00:00",
         [](create_options& o) { o.starts_at = "2026-01-01T00:00:00+00:00"; }},
        {"cluster_mode", "v6.20200815", "/clusterMode", "multi-node",
         [](create_options& o) { o.cluster_mode = "multi-node"; }},
        {"agent_list", "v6.20200815", "/config/agent_list", json::array({"i-1"}),
         [](create_options& o) { o.agent_list = {"i-1"}; }},
        {"dependencies", "v6.20220315", "/dependencies", json::array({"before"}),
         [](create_options& o) { o.dependencies = {"before"}; }},
        {"callback_url", "v6.20220315", "/callback_url", "http://x/",
         [](create_options& o) { o.callback_url = "http://x/"; }},
        {"architecture", "v6.20220315", "/architecture", "aarch64",
         [](create_options& o) { o.architecture = "aarch64"; }},
        {"mount_options",
         "v8.20240315",
         "/config/mount_options",
         {{"data", {{"permission", "ro"}}}},
         [](create_options& o) {
             o.mount_options = {{"data", {{"permission", "ro"}}}};
         }},
        {"priority", "v8.20240915", "/priority", 7, [](create_options& o) { o.priority = 7; }},
        {"attach_network", "v8.20240915", "/config/attach_network", "n-1",
         [](create_options& o) { o.attach_network = "n-1"; }},
        {"mount_ids", "v9.20250722", "/config/mount_ids", json::array({"f-1"}),
         [](create_options& o) { o.mount_ids = {"f-1"}; }},
        {"mount_id_map",
         "v9.20250722",
         "/config/mount_id_map",
         {{"f-1", "/x"}},
         [](create_options& o) {
             o.mount_id_map = {{"f-1", "/x"}};
         }},
    };
    return cases;
}

const std::vector<std::string>& versions() {
    static const std::vector<std::string> all = [] {
        std::vector<std::string> list;
        for (const auto& entry : detail::dialect_table) list.emplace_back(entry.since);
        return list;
    }();
    return all;
}

std::size_t place_of(const std::string& version) {
    for (std::size_t i = 0; i < versions().size(); ++i) {
        if (versions()[i] == version) return i;
    }
    FAIL("not in the table: " << version);
    return 0;
}

json answer_of(const std::string& version) {
    json made = created;
    if (version[1] == '4') made["kernelId"] = "my-sess";
    return made;
}

} // namespace

TEST_CASE("a creation without options is the least that a server of each generation wants") {
    for (const std::string& version : versions()) {
        CAPTURE(version);
        bench on(speaking(version));
        on->add(answer_json(answer_of(version), 201));
        create_options options;
        options.client_token = "my-sess";
        on.sdk->kernel().get_or_create("python", options);
        json config = {{"mounts", json::array()}, {"environ", json::object()}, {"resources", json::object()}};
        json body = {{"tag", nullptr}};
        const bool is_old = version[1] == '4';
        (is_old || version[1] == '5' ? config : body)["clusterSize"] = 1;
        body[is_old ? "lang" : "image"] = "python";
        body[is_old ? "clientSessionToken" : "name"] = "my-sess";
        body["config"] = config;
        const seen sent = on->requests().at(0);
        CHECK(sent.body_json() == body);
        CHECK(sent.target == (is_old ? "/base/kernel/create" : "/base/session"));
        CHECK(sent.method == "POST");
        CHECK(sent.headers.get("X-BackendAI-Version") == version);
    }
}

TEST_CASE("every option of a creation goes to its place, and is refused by name where the version lacks it") {
    for (const option_case& option : option_cases()) {
        CAPTURE(option.name);
        const std::size_t first = place_of(option.since);
        for (std::size_t i = 0; i < versions().size(); ++i) {
            CAPTURE(versions()[i]);
            bench on(speaking(versions()[i]));
            on->otherwise([&](const seen&) { return answer_json(answer_of(versions()[i]), 201); });
            create_options options;
            option.set(options);
            const auto result = attempt([&] { on.sdk->kernel().get_or_create("python", options); });
            if (i < first) {
                CHECK(result.kind == error_kind::argument);
                CHECK(
                    contains(result.text, std::string(option.name) + " exists since protocol version " + option.since));
                CHECK(on->count() == 0);
            } else {
                REQUIRE(result.text == "");
                const json body = on->requests().at(0).body_json();
                REQUIRE(body.contains(json::json_pointer(option.place)));
                CHECK(body[json::json_pointer(option.place)] == option.value);
            }
        }
    }
}

TEST_CASE("resource options and scaling groups are known to all servers") {
    for (const std::string& version : versions()) {
        bench on(speaking(version));
        on->add(answer_json(answer_of(version), 201));
        create_options options;
        options.resource_opts = {{"shmem", "64m"}};
        options.scaling_group = "gpu";
        on.sdk->kernel().get_or_create("python", options);
        const json config = on->requests().at(0).body_json()["config"];
        CHECK(config["resource_opts"] == json{{"shmem", "64m"}});
        CHECK(config["scaling_group"] == "gpu");
    }
}

TEST_CASE("the answer's UUID names the session from then on") {
    bench on(speaking("v6.20230315"));
    on->add(answer_json(created, 201));
    const auto kernel = on.sdk->kernel().get_or_create("python");
    CHECK(kernel.kernel_id() == "9ef96549-4bfd-4381-ab63-b6cf5e59b467");
    CHECK(kernel.name() == "my-sess");
    CHECK(kernel.status() == "RUNNING");
    CHECK(kernel.created());
    REQUIRE(kernel.service_ports().size() == 1);
    CHECK(kernel.service_ports()[0].name == "jupyter");
    CHECK(kernel.service_ports()[0].container_port == 8081);
    CHECK(kernel.service_ports()[0].host_port == 0);
    on->add(answer_json({{"result", {{"logs", "x"}}}}));
    CHECK(kernel.get_logs() == "x");
    CHECK(on->requests().at(1).target == "/base/session/9ef96549-4bfd-4381-ab63-b6cf5e59b467/logs");
    CHECK(on.sdk->kernel("by-name").name() == "by-name");
}

TEST_CASE("a reused session tells its services under another name, and a pending one none") {
    bench on(speaking("v7.20230615"));
    json reused = created;
    reused.erase("servicePorts");
    reused["created"] = false;
    reused["service_ports"] = {
        {{"name", "jupyter"}, {"protocol", "http"}, {"host_ports", {46615}}, {"container_ports", {8081}}}};
    on->add(answer_json(reused));
    const auto kernel = on.sdk->kernel().get_or_create("python");
    CHECK_FALSE(kernel.created());
    REQUIRE(kernel.service_ports().size() == 1);
    CHECK(kernel.service_ports()[0].container_port == 8081);
    CHECK(kernel.service_ports()[0].host_port == 46615);
    reused["service_ports"] = nullptr;
    reused["status"] = "PENDING";
    on->add(answer_json(reused, 201));
    const auto pending = on.sdk->kernel().get_or_create("python");
    CHECK(pending.service_ports().empty());
    CHECK(pending.status() == "PENDING");
    reused["service_ports"] = {{{"name", "x"}, {"host_ports", {"46615"}}}};
    on->add(answer_json(reused));
    CHECK(attempt([&] { on.sdk->kernel().get_or_create("python"); }).kind == error_kind::protocol);
}

TEST_CASE("a creation that must be new is not tried again when it may have arrived") {
    bench on(speaking("v6.20230315"));
    const auto lost = scripted::failure(error_kind::connect, client_error::progress::maybe_sent);
    on->add(lost);
    create_options options;
    options.no_reuse = true;
    CHECK(attempt([&] { on.sdk->kernel().get_or_create("python", options); }).kind == error_kind::connect);
    CHECK(on->count() == 1);
    on->add(lost);
    on->add(answer_json(created, 201));
    on.sdk->kernel().get_or_create("python");
    CHECK(on->count() == 3);
}

TEST_CASE("execute names its run twice, as servers before and after 25.6 read different names") {
    for (const char* version : {"v4.20190315", "v6.20230315", "v8.20240915"}) {
        CAPTURE(version);
        const bool twice = version[1] != '4';
        bench on(speaking(version));
        on->otherwise([](const seen&) {
            return answer_json({{"result", {{"status", "finished"}, {"runId", "r-1"}, {"exitCode", 0}}}});
        });
        const auto kernel = on.sdk->kernel("my-sess");
        kernel.execute("", "1+1");
        kernel.execute("r-1", "", execute_mode::continue_);
        const json first = on->requests().at(0).body_json(), second = on->requests().at(1).body_json();
        CHECK(first["runId"].is_null());
        CHECK(second["runId"] == "r-1");
        CHECK(first.contains("run_id") == twice);
        if (twice) {
            CHECK(first["run_id"].is_null());
            CHECK(second["run_id"] == "r-1");
        }
    }
}

TEST_CASE("lists and downloads of files carry their arguments in body and query") {
    bench on(speaking("v8.20240915"));
    on->add(answer_json({{"files", "[]"}, {"errors", ""}, {"abspath", "/home/work"}}));
    on.sdk->kernel("my-sess").list_files("a b");
    CHECK(on->requests().at(0).method == "GET");
    CHECK(on->requests().at(0).target == "/base/session/my-sess/files?path=a+b");
    CHECK(on->requests().at(0).body_json() == json{{"path", "a b"}});
    const json gone = problem("object-not-found");
    on->add(answer_json(gone, 404));
    CHECK(attempt([&] { on.sdk->kernel("my-sess").download({"a", "b"}, "/nonexistent-by-design"); }).status == 404);
    CHECK(on->requests().at(1).method == "POST");
    CHECK(on->requests().at(1).target == "/base/session/my-sess/download?files=a&files=b");
    CHECK(on->requests().at(1).body_json() == json{{"files", {"a", "b"}}});
}

TEST_CASE("downloads are GET before 24.03.7 and POST after it; where the version does not tell, GET comes first") {
    const auto methods = [](const char* version, const json& refusal) {
        bench on(speaking(version));
        on->otherwise([&](const seen&) { return answer_json(refusal, 400); });
        CHECK(attempt([&] { on.sdk->kernel("my-sess").download({"a"}, "/nonexistent-by-design"); }).status == 400);
        std::string list;
        for (const seen& request : on->requests()) list += request.method + ' ';
        return list;
    };
    for (const char* version : {"v4.20190315", "v5.20191215", "v7.20230615"}) {
        CHECK(methods(version, problem("deprecated")) == "GET ");
    }
    CHECK(methods("v8.20240315", problem("deprecated")) == "GET POST ");
    CHECK(methods("v8.20240315", problem("invalid-api-params")) == "GET ");
    CHECK(methods("v8.20240915", problem("deprecated")) == "POST ");
    CHECK(methods("v9.20250722", problem("deprecated")) == "POST ");
}

TEST_CASE("destroy can be forced, and one that is gone is no error") {
    bench on(speaking("v6.20230315"));
    const auto kernel = on.sdk->kernel("my-sess");
    on->add(answer_json({{"stats", {{"status", "terminated"}}}}));
    destroy_options options;
    options.forced = true;
    options.owner_access_key = "AK";
    CHECK(kernel.destroy(options).stats["status"] == "terminated");
    CHECK(on->requests().at(0).target == "/base/session/my-sess?forced=true&owner_access_key=AK");
    CHECK(on->requests().at(0).body.empty());
    on->add(answer_json(problem("object-not-found"), 404));
    CHECK(kernel.destroy().stats.is_null());
    CHECK(on->requests().at(1).target == "/base/session/my-sess");
    on->add(answer_json(problem("generic-forbidden"), 403));
    CHECK(attempt([&] { kernel.destroy(); }).status == 403);
    on->add(answer_json(problem("url-not-found"), 404)); // a wrong endpoint is not a session that is gone
    CHECK(attempt([&] { kernel.destroy(); }).status == 404);
    bench old;
    CHECK(attempt([&] { old.sdk->kernel("my-sess").destroy(options); }).kind == error_kind::argument);
    CHECK(old->count() == 0);
}

TEST_CASE("sessions are renamed, matched, and their services told, started and ended") {
    bench on(speaking("v8.20240915"));
    const auto kernel = on.sdk->kernel("my-sess");
    on->add(answer(204));
    kernel.rename("other");
    CHECK(on->requests().at(0).target == "/base/session/my-sess/rename");
    CHECK(on->requests().at(0).body_json() == json{{"name", "other"}});
    CHECK(attempt([&] { kernel.rename("a b"); }).kind == error_kind::argument);

    on->add(answer_json({{"matches", {{{"id", "u-1"}, {"name", "my-sess"}, {"status", "RUNNING"}}}}}));
    const auto matches = on.sdk->kernel().match("my-sess");
    REQUIRE(matches.size() == 1);
    CHECK(matches[0].id == "u-1");
    CHECK(matches[0].name == "my-sess");
    CHECK(matches[0].status == "RUNNING");
    CHECK(on->requests().at(1).target == "/base/session/_/match?id=my-sess");
    CHECK(on->requests().at(1).body.empty());

    on->add(answer_json({{{"name", "jupyter"}, {"protocol", "http"}, {"ports", {8081}}}}));
    CHECK(kernel.apps().at(0).container_port == 8081);
    CHECK(on->requests().at(2).target == "/base/stream/session/my-sess/apps");

    on->add(answer_json({{"token", "t-1"}, {"wsproxy_addr", "http://proxy:10200"}}));
    service_options options;
    options.port = 8082;
    options.envs = {{"A", "1"}};
    options.arguments = {{"--x", "y"}};
    const service_address address = kernel.start_service("jupyter", options);
    CHECK(address.token == "t-1");
    CHECK(address.wsproxy_addr == "http://proxy:10200");
    const json body = on->requests().at(3).body_json();
    CHECK(body["app"] == "jupyter");
    CHECK(body["port"] == 8082);
    CHECK(body["envs"] == R"({"A":"1"})"); // texts that are JSON
    CHECK(body["arguments"] == R"({"--x":"y"})");
    on->add(answer_json({{"token", "t-1"}, {"wsproxy_addr", "x"}}));
    kernel.start_service("jupyter");
    CHECK(on->requests().at(4).body_json() == json{{"app", "jupyter"}});
    options.arguments = 5;
    CHECK(attempt([&] { kernel.start_service("jupyter", options); }).kind == error_kind::argument);
    options.arguments = {{"x", "\xff"}};
    CHECK(attempt([&] { kernel.start_service("jupyter", options); }).kind == error_kind::argument);

    on->add(answer(204));
    kernel.shutdown_service("jupyter");
    CHECK(on->requests().at(5).method == "POST");
    CHECK(on->requests().at(5).target == "/base/session/my-sess/shutdown-service?service_name=jupyter");
    CHECK(on->requests().at(5).body.empty());
    CHECK(on->count() == 6);
}

TEST_CASE("functions that a version lacks are refused before anything is sent") {
    bench on;
    const auto kernel = on.sdk->kernel("my-sess");
    for (const auto& [text, call] : std::vector<std::pair<std::string, std::function<void()>>>{
             {"rename() exists since protocol version v6.20210815", [&] { kernel.rename("other"); }},
             {"match() exists since protocol version v5.20191215", [&] { on.sdk->kernel().match("x"); }},
             {"apps() exists since protocol version v5.20191215", [&] { kernel.apps(); }},
             {"start_service() exists since protocol version v6.20210815", [&] { kernel.start_service("x"); }},
             {"shutdown_service() exists since protocol version v6.20200815", [&] { kernel.shutdown_service("x"); }}}) {
        const auto result = attempt(call);
        CHECK(result.kind == error_kind::argument);
        CHECK_MESSAGE(contains(result.text, text), result.text);
    }
    CHECK(on->count() == 0);
}

TEST_CASE("a modern server's information comes in the same struct") {
    bench on(speaking("v7.20230615"));
    on->add(answer_json({{"lang", "cr.backend.ai/stable/python:3.9-ubuntu20.04"},
                         {"image", "cr.backend.ai/stable/python:3.9-ubuntu20.04"},
                         {"registry", "cr.backend.ai"},
                         {"tag", nullptr},
                         {"containerId", ""},
                         {"occupiedSlots", "{'cpu': Decimal('1')}"},
                         {"status", "RUNNING"},
                         {"statusData", json::object()},
                         {"age", 2070},
                         {"numQueriesExecuted", 3}}));
    const kernel_info info = on.sdk->kernel("my-sess").get_info();
    CHECK(info.lang == "cr.backend.ai/stable/python:3.9-ubuntu20.04");
    CHECK(info.tag == "");
    CHECK(info.status == "RUNNING");
    CHECK(info.age == std::chrono::milliseconds(2070));
    CHECK(info.num_queries_executed == 3);
    CHECK(info.memory_limit_kib == -1);
    CHECK(info.raw["occupiedSlots"] == "{'cpu': Decimal('1')}");
    on->add(answer_json({{"result", nullptr}})); // what servers from 23.03 to 25.8 answer
    CHECK(on.sdk->kernel("my-sess").complete("impo").empty());
}
