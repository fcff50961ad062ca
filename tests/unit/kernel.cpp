// The compute session functions: what goes out, and what is made of what comes back.
#include "scripted_transport.hpp"

#include <doctest/doctest.h>

#include <initializer_list>
#include <set>
#include <string>
#include <utility>
#include <vector>

using namespace backendai;
using scripted::answer;
using scripted::answer_json;
using scripted::attempt;
using scripted::bench;
using scripted::contains;
using scripted::records;
using scripted::seen;
using scripted::thrown;

namespace {

const json finished = {{"result", {{"status", "finished"}, {"runId", "r1"}, {"exitCode", 0}}}};

// A value of each JSON type.
const std::vector<std::pair<std::string, json>>& types() {
    static const std::vector<std::pair<std::string, json>> values = {
        {"text", "text"}, {"number", 5}, {"boolean", true}, {"list", json::array({1})}, {"object", {{"k", 1}}}};
    return values;
}

// Puts a value of every type but the allowed ones at a place of a good answer; each must be a protocol error that names
// the last part of the place.
template <class Call>
void refuse_wrong_types(const json& good, const std::string& place, const std::set<std::string>& allowed,
                        const std::string& name, Call call) {
    for (const auto& [name_of_type, value] : types()) {
        const std::string& type = name_of_type; // C++17's lambdas, and so CAPTURE, take no structured binding
        if (allowed.count(type) != 0) continue;
        CAPTURE(place);
        CAPTURE(type);
        json wrong = good;
        wrong[json::json_pointer(place)] = value;
        bench on;
        on->add(answer_json(wrong));
        const thrown result = attempt([&] { call(on); });
        CHECK(result.kind == error_kind::protocol);
        CHECK_MESSAGE(contains(result.text, name), result.text);
    }
}

template <class Call>
void refuse_wrong_roots(Call call) {
    for (const json& wrong : {json(), json(5), json("x"), json::array(), json(true)}) {
        bench on;
        on->add(answer_json(wrong));
        CHECK(attempt([&] { call(on); }).kind == error_kind::protocol);
    }
    for (const char* wrong : {"", "<html>", "{"}) {
        bench on;
        on->add(answer(200, wrong));
        CHECK(attempt([&] { call(on); }).kind == error_kind::protocol);
    }
}

} // namespace

TEST_CASE("get_or_create sends every option, and reads the whole answer") {
    bench on([](api_config& config) { config.vfolder_mounts = {"common", "data"}; });
    const json reply = {{"kernelId", "mytoken"},
                        {"created", false},
                        {"servicePorts",
                         {{{"name", "jupyter"}, {"protocol", "http"}, {"container_port", 8080}, {"host_port", 30001}},
                          {{"name", "sftp"}}}},
                        {"extra", 1}};
    on->add(answer_json(reply, 201));
    create_options options;
    options.client_token = "mytoken";
    options.mounts = {"mine", "data"};
    options.envs = {{"A", "1"}, {"B", "\xed\x95\x9c"}};
    options.resources = {{"cpu", 2}, {"mem", "4g"}, {"cuda.shares", 0.5}};
    options.cluster_size = 3;
    options.tag = "note";
    const auto kernel = on.sdk->kernel().get_or_create("python:3.6-ubuntu", options);
    const seen sent = on->requests().at(0);
    CHECK(sent.method == "POST");
    CHECK(sent.target == "/base/kernel/create");
    CHECK(sent.body_json() == json{{"lang", "python:3.6-ubuntu"},
                                   {"tag", "note"},
                                   {"clientSessionToken", "mytoken"},
                                   {"config",
                                    {{"mounts", {"common", "data", "mine"}},
                                     {"environ", {{"A", "1"}, {"B", "\xed\x95\x9c"}}},
                                     {"clusterSize", 3},
                                     {"resources", {{"cpu", 2}, {"mem", "4g"}, {"cuda.shares", 0.5}}}}}});
    CHECK(sent.context.read_timeout == std::chrono::minutes(10));
    CHECK(kernel.kernel_id() == "mytoken");
    CHECK(!kernel.created());
    REQUIRE(kernel.service_ports().size() == 2);
    CHECK(kernel.service_ports()[0].name == "jupyter");
    CHECK(kernel.service_ports()[0].protocol == "http");
    CHECK(kernel.service_ports()[0].container_port == 8080);
    CHECK(kernel.service_ports()[0].host_port == 30001);
    CHECK(kernel.service_ports()[1].protocol.empty());
    CHECK(kernel.raw() == reply);
}

TEST_CASE("get_or_create without options: nulls and empties, and a random token that retries keep") {
    bench on;
    on->add(answer(502));
    on->add(answer_json({{"kernelId", "x123"}}, 201));
    on->add(answer_json({{"kernelId", "x124"}, {"servicePorts", nullptr}, {"created", nullptr}}, 201));
    CHECK(on.sdk->kernel().get_or_create("lua").created());
    on.sdk->kernel().get_or_create("lua");
    const auto sent = on->requests();
    const auto token = sent[0].body_json().at("clientSessionToken").get<std::string>();
    CHECK(token.size() == 32);
    CHECK(token.find_first_not_of("0123456789abcdef") == std::string::npos);
    CHECK(sent[1].body == sent[0].body);
    CHECK(sent[2].body_json().at("clientSessionToken") != token);
    CHECK(sent[0].body_json().at("tag").is_null());
    CHECK(sent[0].body_json().at("config") == json{{"mounts", json::array()},
                                                   {"environ", json::object()},
                                                   {"clusterSize", 1},
                                                   {"resources", json::object()}});
}

TEST_CASE("client tokens, cluster sizes, names and texts are checked before anything is sent") {
    bench on;
    const auto create = [&](const std::string& lang, const create_options& options) {
        return attempt([&] { on.sdk->kernel().get_or_create(lang, options); }).kind;
    };
    for (const std::string& token :
         {std::string(), std::string("abc"), std::string(65, 'a'), std::string("-abc"), std::string("abc-"),
          std::string(".abc"), std::string("abc."), std::string("ab c"), std::string("ab/cd"), std::string("ab\ncd"),
          std::string("abcd\n"), std::string("ab\xc3\xa9z"), std::string("ab:cd")}) {
        create_options options;
        options.client_token = token;
        CHECK_MESSAGE(create("lua", options) == error_kind::argument, token);
    }
    for (const int size : {0, -1}) {
        create_options options;
        options.cluster_size = size;
        CHECK(create("lua", options) == error_kind::argument);
    }
    CHECK(create("", {}) == error_kind::argument);
    CHECK(create("a\nb", {}) == error_kind::argument);
    create_options options;
    options.mounts = {""};
    CHECK(create("lua", options) == error_kind::argument);
    options.mounts = {};
    options.envs = {{"A", "\xff"}};
    CHECK(create("lua", options) == error_kind::argument);
    CHECK(on->count() == 0);
    for (const std::string& token :
         {std::string("abcd"), std::string(64, 'a'), std::string("_a.b-c_"), std::string("0000")}) {
        on->add(answer_json({{"kernelId", token}}));
        create_options good;
        good.client_token = token;
        CHECK(on.sdk->kernel().get_or_create("lua", good).kernel_id() == token);
    }
}

TEST_CASE("get_or_create refuses answers with wrong types and names the field") {
    const auto create = [](bench& on) { on.sdk->kernel().get_or_create("lua"); };
    const json good = {
        {"kernelId", "k123"},
        {"created", true},
        {"servicePorts", {{{"name", "n"}, {"protocol", "http"}, {"container_port", 1}, {"host_port", 2}}}}};
    refuse_wrong_roots(create);
    refuse_wrong_types(good, "/kernelId", {"text"}, "kernelId", create);
    {
        bench on;
        on->add(answer_json({{"kernelId", ""}}));
        const thrown result = attempt([&] { create(on); });
        CHECK(result.kind == error_kind::protocol);
        CHECK(contains(result.text, "kernelId"));
    }
    refuse_wrong_types(good, "/created", {"boolean"}, "created", create);
    refuse_wrong_types(good, "/servicePorts", {"list"}, "servicePorts", create);
    refuse_wrong_types(good, "/servicePorts/0", {"object"}, "service port", create);
    refuse_wrong_types(good, "/servicePorts/0/name", {"text"}, "name", create);
    refuse_wrong_types(good, "/servicePorts/0/protocol", {"text"}, "protocol", create);
    refuse_wrong_types(good, "/servicePorts/0/container_port", {"number"}, "container_port", create);
    refuse_wrong_types(good, "/servicePorts/0/host_port", {"number"}, "host_port", create);
    for (const json& number : {json(1e300), json(4294967296), json(18446744073709551615ULL)}) {
        bench on;
        json wrong = good;
        wrong["servicePorts"][0]["host_port"] = number;
        on->add(answer_json(wrong));
        CHECK(attempt([&] { create(on); }).kind == error_kind::protocol);
    }
}

TEST_CASE("destroy, restart and interrupt: method, path, no body") {
    bench on;
    const auto kernel = on.sdk->kernel("my.session");
    CHECK(kernel.kernel_id() == "my.session");
    CHECK(!kernel.created());
    CHECK(kernel.raw().is_null());
    CHECK(on->count() == 0);
    on->otherwise([](const seen&) { return answer(204); });
    CHECK(kernel.destroy().stats.is_null());
    kernel.restart();
    kernel.interrupt();
    const auto sent = on->requests();
    CHECK(sent[0].method == "DELETE");
    CHECK(sent[0].target == "/base/kernel/my.session");
    CHECK(sent[1].method == "PATCH");
    CHECK(sent[1].target == "/base/kernel/my.session");
    CHECK(sent[2].method == "POST");
    CHECK(sent[2].target == "/base/kernel/my.session/interrupt");
    for (const seen& each : sent) {
        CHECK(each.body.empty());
        CHECK(each.headers.get("Content-Type") == "text/plain");
    }
    on->add(answer_json({{"stats", {{"cpu_used", 5}}}}));
    CHECK(kernel.destroy().stats.at("cpu_used") == 5);
    on->add(answer_json({{"stats", nullptr}}));
    CHECK(kernel.destroy().stats.is_null());
    on->add(answer_json(json::object()));
    CHECK(kernel.destroy().stats.is_null());
    for (const char* wrong : {"[]", "5", "<html>"}) {
        on->add(answer(200, wrong));
        CHECK(attempt([&] { kernel.destroy(); }).kind == error_kind::protocol);
    }
}

TEST_CASE("retry classes: destroy, complete, get_info, get_logs and create repeat, the rest does not") {
    const auto tries = [](auto call) {
        bench on;
        on->otherwise([](const seen&) { return answer(502); });
        CHECK(attempt([&] { call(on); }).status == 502);
        return on->count();
    };
    CHECK(tries([](bench& on) { on.sdk->hello(); }) == 3);
    CHECK(tries([](bench& on) { on.sdk->kernel().get_or_create("lua"); }) == 3);
    CHECK(tries([](bench& on) { on.sdk->kernel("s").destroy(); }) == 3);
    CHECK(tries([](bench& on) { on.sdk->kernel("s").complete("x"); }) == 3);
    CHECK(tries([](bench& on) { on.sdk->kernel("s").get_info(); }) == 3);
    CHECK(tries([](bench& on) { on.sdk->kernel("s").get_logs(); }) == 3);
    CHECK(tries([](bench& on) { on.sdk->kernel("s").restart(); }) == 1);
    CHECK(tries([](bench& on) { on.sdk->kernel("s").interrupt(); }) == 1);
    CHECK(tries([](bench& on) { on.sdk->kernel("s").execute("", "1"); }) == 1);
}

TEST_CASE("complete sends code and cursor, and reads all three forms of the answer") {
    bench on;
    const auto kernel = on.sdk->kernel("s");
    on->add(answer_json({{"result", {{"status", "finished"}, {"completions", {"print", "property"}}}}}));
    completion_options options;
    options.row = 2;
    options.col = 3;
    options.line = "pri";
    options.post = "x";
    CHECK(kernel.complete("pri", options) == std::vector<std::string>{"print", "property"});
    CHECK(on->requests().at(0).method == "POST");
    CHECK(on->requests().at(0).target == "/base/kernel/s/complete");
    CHECK(on->requests().at(0).body_json() ==
          json{{"code", "pri"}, {"options", {{"row", 2}, {"col", 3}, {"line", "pri"}, {"post", "x"}}}});
    on->add(answer_json({{"result", {"a", "b"}}}));
    CHECK(kernel.complete("x") == std::vector<std::string>{"a", "b"});
    for (const json& none : {json{{"result", nullptr}}, json::object(), json{{"result", {{"status", "finished"}}}},
                             json{{"result", {{"completions", nullptr}}}}, json{{"result", json::array()}}}) {
        on->add(answer_json(none));
        CHECK(kernel.complete("x").empty());
    }
    for (const json& wrong :
         {json{{"result", 5}}, json{{"result", "text"}}, json{{"result", {{"completions", "text"}}}},
          json{{"result", {{"completions", {1}}}}}, json{{"result", {1}}}, json{{"result", {nullptr}}}}) {
        on->add(answer_json(wrong));
        const thrown result = attempt([&] { kernel.complete("x"); });
        CHECK(result.kind == error_kind::protocol);
        CHECK(contains(result.text, "completion"));
    }
    refuse_wrong_roots([](bench& b) { b.sdk->kernel("s").complete("x"); });
}

TEST_CASE("get_info reads what the server knows") {
    bench on;
    const json reply = {{"lang", "python:3.6"},
                        {"image", "i"},
                        {"registry", "r"},
                        {"tag", "t"},
                        {"age", 1234.9},
                        {"memoryLimit", 65536},
                        {"numQueriesExecuted", 3},
                        {"idleTimeout", -1},
                        {"more", 1}};
    on->add(answer_json(reply));
    const kernel_info info = on.sdk->kernel("s").get_info();
    CHECK(on->requests().at(0).method == "GET");
    CHECK(on->requests().at(0).target == "/base/kernel/s");
    CHECK(info.lang == "python:3.6");
    CHECK(info.image == "i");
    CHECK(info.registry == "r");
    CHECK(info.tag == "t");
    CHECK(info.age.count() == 1234);
    CHECK(info.memory_limit_kib == 65536);
    CHECK(info.num_queries_executed == 3);
    CHECK(info.idle_timeout_ms == -1);
    CHECK(info.raw == reply);
    on->add(answer_json(json::object()));
    CHECK(on.sdk->kernel("s").get_info().memory_limit_kib == -1);
    const auto call = [](bench& b) { b.sdk->kernel("s").get_info(); };
    refuse_wrong_roots(call);
    for (const char* field : {"lang", "image", "registry", "tag"})
        refuse_wrong_types(reply, std::string("/") + field, {"text"}, field, call);
    for (const char* field : {"age", "memoryLimit", "numQueriesExecuted", "idleTimeout"})
        refuse_wrong_types(reply, std::string("/") + field, {"number"}, field, call);
    on->add(answer_json({{"age", 1e200}}));
    CHECK(attempt([&] { call(on); }).kind == error_kind::protocol);
}

TEST_CASE("get_logs reads the log's text") {
    bench on;
    on->add(answer_json({{"result", {{"logs", "line\n"}}}}));
    CHECK(on.sdk->kernel("s").get_logs() == "line\n");
    CHECK(on->requests().at(0).target == "/base/kernel/s/logs");
    const auto call = [](bench& b) { b.sdk->kernel("s").get_logs(); };
    refuse_wrong_roots(call);
    refuse_wrong_types({{"result", {{"logs", ""}}}}, "/result", {"object"}, "result", call);
    refuse_wrong_types({{"result", {{"logs", ""}}}}, "/result/logs", {"text"}, "logs", call);
}

TEST_CASE("ids are escaped, and those that cannot be in a path are refused") {
    bench on;
    on->otherwise([](const seen&) { return answer(204); });
    const std::vector<std::pair<std::string, std::string>> ids = {
        {"a/b", "a%2Fb"}, {"a?b#c", "a%3Fb%23c"}, {"a b+c", "a%20b%2Bc"}, {"100%", "100%25"},
        {"%41", "%2541"}, {"\xc3\xa9", "%C3%A9"}, {"...", "..."}};
    for (const auto& [id, escaped] : ids) {
        on.sdk->kernel(id).interrupt();
        CHECK(on->requests().back().target == "/base/kernel/" + escaped + "/interrupt");
    }
    const std::size_t before = on->count();
    for (const std::string& id : {std::string(), std::string("."), std::string(".."), std::string("a\nb"),
                                  std::string("a\0b", 3), std::string("a\x7f")}) {
        const auto kernel = on.sdk->kernel(id);
        CHECK(attempt([&] { kernel.destroy(); }).kind == error_kind::argument);
        CHECK(attempt([&] { kernel.interrupt(); }).kind == error_kind::argument);
        CHECK(attempt([&] { kernel.execute("", "1"); }).kind == error_kind::argument);
    }
    CHECK(on->count() == before);
}

TEST_CASE("execute names its mode and sends code, run id and options") {
    bench on;
    on->otherwise([](const seen&) { return answer_json(finished); });
    const auto kernel = on.sdk->kernel("s");
    const std::vector<std::pair<execute_mode, std::string>> modes = {{execute_mode::query, "query"},
                                                                     {execute_mode::batch, "batch"},
                                                                     {execute_mode::continue_, "continue"},
                                                                     {execute_mode::input, "input"},
                                                                     {execute_mode::complete, "complete"}};
    for (const auto& [mode, name] : modes) {
        const std::string code = mode == execute_mode::continue_ ? "" : "code";
        kernel.execute("r1", code, mode, {{"k", 1}});
        const seen sent = on->requests().back();
        CHECK(sent.method == "POST");
        CHECK(sent.target == "/base/kernel/s");
        CHECK(sent.body_json() == json{{"mode", name}, {"code", code}, {"runId", "r1"}, {"options", {{"k", 1}}}});
    }
    kernel.execute("", "1");
    CHECK(on->requests().back().body_json() ==
          json{{"mode", "query"}, {"code", "1"}, {"runId", nullptr}, {"options", json::object()}});
    batch_commands commands;
    commands.build = "make";
    commands.exec = "*";
    commands.build_log = true;
    kernel.execute(commands);
    CHECK(on->requests().back().body_json() ==
          json{{"mode", "batch"},
               {"code", ""},
               {"runId", nullptr},
               {"options", {{"clean", nullptr}, {"build", "make"}, {"buildLog", true}, {"exec", "*"}}}});
    const std::size_t before = on->count();
    CHECK(attempt([&] { kernel.execute("", "", execute_mode::continue_); }).kind == error_kind::argument);
    CHECK(attempt([&] { kernel.execute("", "x", execute_mode::input); }).kind == error_kind::argument);
    CHECK(attempt([&] { kernel.execute("r1", "x", execute_mode::continue_); }).kind == error_kind::argument);
    CHECK(attempt([&] { kernel.execute("", "\xff"); }).kind == error_kind::argument);
    CHECK(attempt([&] { kernel.execute("", "1", static_cast<execute_mode>(99)); }).kind == error_kind::argument);
    for (const json& options : {json(), json(5), json("text"), json::array()}) {
        CHECK(attempt([&] { kernel.execute("", "1", execute_mode::query, options); }).kind == error_kind::argument);
    }
    CHECK(on->count() == before);
}

TEST_CASE("execute reads every field, and refuses wrong types by name") {
    const json good = {
        {"result",
         {{"status", "waiting-input"},
          {"runId", "r1"},
          {"exitCode", 3},
          {"console", records({{"stdout", "out"}, {"image/png", "data:image/png;base64,AA=="}, {"x", {{"k", 1}}}})},
          {"options", {{"is_password", true}}},
          {"files", {{{"name", "f"}, {"url", "u"}}, {{"name", "g"}}}}}}};
    bench on;
    on->add(answer_json(good));
    const execute_result step = on.sdk->kernel("s").execute("", "1");
    CHECK(step.status == run_status::waiting_input);
    CHECK(step.run_id == "r1");
    CHECK(step.exit_code == 3);
    REQUIRE(step.console.size() == 3);
    CHECK(step.console[0].payload == "out");
    CHECK(step.console[2].payload == "{\"k\":1}");
    CHECK(step.is_password);
    CHECK(step.options == json{{"is_password", true}});
    REQUIRE(step.files.size() == 2);
    CHECK(step.files[0].url == "u");
    CHECK(step.files[1].url.empty());
    CHECK(step.raw == good.at("result"));
    on->add(answer_json({{"result",
                          {{"status", "continued"},
                           {"runId", nullptr},
                           {"exitCode", nullptr},
                           {"console", nullptr},
                           {"options", nullptr},
                           {"files", nullptr}}}}));
    const execute_result empty = on.sdk->kernel("s").execute("", "1");
    CHECK(!empty.exit_code);
    CHECK(empty.console.empty());
    CHECK(empty.options.is_null());
    const auto call = [](bench& b) { b.sdk->kernel("s").execute("", "1"); };
    refuse_wrong_roots(call);
    refuse_wrong_types(good, "/result", {"object"}, "result", call);
    refuse_wrong_types(good, "/result/status", {}, "status", call); // "text" is no status either
    refuse_wrong_types(good, "/result/runId", {"text"}, "runId", call);
    refuse_wrong_types(good, "/result/exitCode", {"number"}, "exitCode", call);
    refuse_wrong_types(good, "/result/console", {"list"}, "console", call);
    refuse_wrong_types(good, "/result/console/0", {}, "console", call);
    refuse_wrong_types(good, "/result/console/0/0", {"text"}, "console", call);
    refuse_wrong_types(good, "/result/options", {"object"}, "options", call);
    refuse_wrong_types(good, "/result/options/is_password", {"boolean"}, "is_password", call);
    refuse_wrong_types(good, "/result/files", {"list"}, "files", call);
    refuse_wrong_types(good, "/result/files/0", {"object"}, "generated file", call);
    refuse_wrong_types(good, "/result/files/0/name", {"text"}, "name", call);
    refuse_wrong_types(good, "/result/files/0/url", {"text"}, "url", call);
    const std::vector<std::pair<std::string, run_status>> statuses = {
        {"continued", run_status::continued},           {"clean-finished", run_status::clean_finished},
        {"build-finished", run_status::build_finished}, {"finished", run_status::finished},
        {"waiting-input", run_status::waiting_input},   {"exec-timeout", run_status::exec_timeout}};
    for (const auto& [name, status] : statuses) {
        on->add(answer_json({{"result", {{"status", name}}}}));
        CHECK(on.sdk->kernel("s").execute("", "1").status == status);
    }
}
