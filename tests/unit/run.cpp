// The run loop: from the first step to the end, and what happens when something ends it early.
#include "scripted_transport.hpp"

#include <doctest/doctest.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace backendai;
using scripted::answer;
using scripted::answer_json;
using scripted::attempt;
using scripted::bench;
using scripted::failure;
using scripted::records;
using scripted::seen;
using scripted::thrown;

namespace {

scripted::reply step(const char* status, const json& more = json::object()) {
    json result = {{"status", status},   {"runId", "r1"},      {"exitCode", nullptr},
                   {"console", nullptr}, {"options", nullptr}, {"files", nullptr}};
    result.update(more);
    return answer_json({{"result", result}});
}
json text(const char* stream, const char* payload) {
    return {{"console", records({{stream, payload}})}};
}

std::vector<std::string> modes(bench& on) {
    std::vector<std::string> names;
    for (const seen& each : on->requests()) {
        const bool interrupt = each.target == "/base/kernel/s/interrupt";
        names.push_back(interrupt ? "interrupt" : each.body_json().at("mode").get<std::string>());
    }
    return names;
}
using names = std::vector<std::string>;

run_handlers quiet() {
    run_handlers handlers;
    handlers.on_stdout = [](std::string_view) {};
    return handlers;
}

} // namespace

TEST_CASE("a run goes on until it is finished, and collects what no handler takes") {
    bench on;
    on->add(step("continued", {{"console", records({{"stdout", "a"}, {"stderr", "1"}, {"stdout", "b"}})}}));
    on->add(step("continued"));
    on->add(
        step("finished",
             {{"console", records({{"stdout", "c"}, {"stderr", "2"}, {"text/html", "<b>"}, {"image/png", "data:,x"}})},
              {"files", {{{"name", "f"}, {"url", "u"}}}},
              {"exitCode", 7}}));
    const run_result done = on.sdk->kernel("s").run("print()");
    CHECK(done.out == "abc");
    CHECK(done.err == "12");
    CHECK(done.exit_code == 7);
    REQUIRE(done.media.size() == 2);
    CHECK(done.media[0].type == "text/html");
    CHECK(done.media[1].payload == "data:,x");
    REQUIRE(done.files.size() == 1);
    CHECK(done.files[0].name == "f");
    const auto sent = on->requests();
    CHECK(modes(on) == names{"query", "continue", "continue"});
    CHECK(sent[0].body_json() ==
          json{{"mode", "query"}, {"code", "print()"}, {"runId", nullptr}, {"options", json::object()}});
    CHECK(sent[1].body_json() ==
          json{{"mode", "continue"}, {"code", ""}, {"runId", "r1"}, {"options", json::object()}});
}

TEST_CASE("handlers take the output in its order, and the result keeps none of it") {
    bench on;
    on->add(step("continued",
                 {{"console", records({{"stdout", "a"}, {"stderr", "b"}, {"text/html", "c"}, {"stdout", "d"}})}}));
    on->add(step("finished", {{"files", {{{"name", "e"}}}}, {"exitCode", 1}}));
    std::string order;
    run_handlers handlers;
    handlers.on_stdout = [&](std::string_view t) { order += "o:" + std::string(t) + ' '; };
    handlers.on_stderr = [&](std::string_view t) { order += "e:" + std::string(t) + ' '; };
    handlers.on_media = [&](const console_record& r) { order += r.type + ':' + r.payload + ' '; };
    handlers.on_file = [&](const generated_file& f) { order += "f:" + f.name + ' '; };
    handlers.on_phase = [&](run_status s, std::optional<int> code) {
        order += s == run_status::finished && code == 1 ? "finished" : "?";
    };
    const run_result done = on.sdk->kernel("s").run("x", handlers);
    CHECK(order == "o:a e:b text/html:c o:d f:e finished");
    CHECK(done.out.empty());
    CHECK(done.err.empty());
    CHECK(done.media.empty());
    CHECK(done.files.empty());
    CHECK(done.exit_code == 1);
}

TEST_CASE("a batch goes through its phases, its commands with the first step only") {
    bench on;
    on->add(step("clean-finished", {{"exitCode", 0}}));
    on->add(step("continued", text("stdout", "building")));
    on->add(step("build-finished", {{"exitCode", 2}}));
    on->add(step("finished"));
    std::vector<std::pair<run_status, std::optional<int>>> phases;
    run_handlers handlers;
    handlers.on_phase = [&](run_status status, std::optional<int> code) { phases.emplace_back(status, code); };
    batch_commands commands;
    commands.clean = "make clean";
    commands.exec = "./main";
    const run_result done = on.sdk->kernel("s").run(commands, handlers);
    CHECK(modes(on) == names{"batch", "continue", "continue", "continue"});
    CHECK(on->requests()[0].body_json().at("options") ==
          json{{"clean", "make clean"}, {"build", nullptr}, {"buildLog", false}, {"exec", "./main"}});
    CHECK(on->requests()[1].body_json().at("options") == json::object());
    CHECK(phases == std::vector<std::pair<run_status, std::optional<int>>>{{run_status::clean_finished, 0},
                                                                           {run_status::build_finished, 2},
                                                                           {run_status::finished, std::nullopt}});
    CHECK(done.exit_code == 2); // of the last phase that had one
}

TEST_CASE("input is asked for, with the password flag, and sent as the code of an input step") {
    bench on;
    on->add(
        step("waiting-input", {{"console", records({{"stdout", "name? "}})}, {"options", {{"is_password", false}}}}));
    on->add(step("waiting-input", {{"options", {{"is_password", true}}}}));
    on->add(step("continued"));
    on->add(step("finished"));
    std::vector<bool> flags;
    run_handlers handlers;
    handlers.on_input = [&](const input_request& asked) {
        flags.push_back(asked.is_password);
        return asked.is_password ? "hidden" : "me";
    };
    CHECK(on.sdk->kernel("s").run("input()", handlers).out == "name? ");
    CHECK(flags == std::vector<bool>{false, true});
    CHECK(modes(on) == names{"query", "input", "input", "continue"});
    CHECK(on->requests()[1].body_json().at("code") == "me");
    CHECK(on->requests()[1].body_json().at("runId") == "r1");
    CHECK(on->requests()[2].body_json().at("code") == "hidden");
    CHECK(on->requests()[3].body_json().at("code") == "");
}

TEST_CASE("the run id of the newest step that names one is used") {
    bench on;
    on->add(step("continued", {{"runId", "first"}}));
    on->add(step("continued", {{"runId", nullptr}}));
    on->add(step("continued", {{"runId", "second"}}));
    on->add(step("finished"));
    on.sdk->kernel("s").run("x");
    CHECK(on->requests()[2].body_json().at("runId") == "first");
    CHECK(on->requests()[3].body_json().at("runId") == "second");
}

TEST_CASE("input that nobody gives interrupts the code and is an argument error") {
    bench on;
    on->add(step("waiting-input"));
    on->add(answer(204));
    CHECK(attempt([&] { on.sdk->kernel("s").run("input()"); }).kind == error_kind::argument);
    CHECK(modes(on) == names{"query", "interrupt"});
    CHECK(on->requests()[1].context.has_deadline());
}

TEST_CASE("a handler that throws interrupts the code, and its own exception comes out") {
    for (int which = 0; which < 6; ++which) {
        CAPTURE(which);
        bench on;
        on->add(step(which == 4   ? "waiting-input"
                     : which == 5 ? "clean-finished"
                                  : "continued",
                     {{"console", records({{"stdout", "a"}, {"stderr", "b"}, {"text/html", "c"}})},
                      {"files", {{{"name", "e"}}}}}));
        on->add(which % 2 == 0 ? answer(204) : answer(404, "no")); // an interrupt that fails does not mask
        const auto fail = [] { throw std::domain_error("mine"); };
        run_handlers handlers;
        if (which == 0) handlers.on_stdout = [&](std::string_view) { fail(); };
        if (which == 1) handlers.on_stderr = [&](std::string_view) { fail(); };
        if (which == 2) handlers.on_media = [&](const console_record&) { fail(); };
        if (which == 3) handlers.on_file = [&](const generated_file&) { fail(); };
        if (which == 4)
            handlers.on_input = [&](const input_request&) {
                fail();
                return std::string();
            };
        if (which == 5) handlers.on_phase = [&](run_status, std::optional<int>) { fail(); };
        CHECK_THROWS_AS(on.sdk->kernel("s").run("x", handlers), std::domain_error);
        CHECK(modes(on) == names{"query", "interrupt"});
    }
}

TEST_CASE("also when what the handler throws is an api error of another call") {
    bench on;
    on->add(step("continued", text("stdout", "a")));
    on->add(answer(404, "other"));
    on->add(answer(204));
    run_handlers handlers;
    handlers.on_stdout = [&](std::string_view) { on.sdk->kernel("other").get_logs(); };
    CHECK(attempt([&] { on.sdk->kernel("s").run("x", handlers); }).status == 404);
    CHECK(on->requests().back().target == "/base/kernel/s/interrupt");
}

TEST_CASE("whatever way the interrupt fails, the first reason comes out") {
    for (int way = 0; way < 3; ++way) {
        bench on;
        on->add(step("waiting-input"));
        if (way == 0) on->add(failure(error_kind::connect));
        if (way == 1) on->add(answer(500));
        // way 2: the script is used up, which throws no error of the SDK
        CHECK(attempt([&] { on.sdk->kernel("s").run("x"); }).kind == error_kind::argument);
        CHECK(on->count() == 2);
    }
}

TEST_CASE("a run that the server ended, that never began or that is over is not interrupted") {
    {
        bench on;
        on->add(step("continued"));
        on->add(answer(404, "gone"));
        CHECK(attempt([&] { on.sdk->kernel("s").run("x"); }).status == 404);
        CHECK(on->count() == 2);
    }
    for (const int status : {429, 500, 503}) {
        bench on; // the first step was refused
        on->add(answer(status));
        CHECK(attempt([&] { on.sdk->kernel("s").run("x"); }).status == status);
        CHECK(on->count() == 1);
    }
    {
        bench on([](api_config& config) { config.retry.max_attempts = 1; });
        on->add(failure(error_kind::connect));
        CHECK(attempt([&] { on.sdk->kernel("s").run("x"); }).kind == error_kind::connect);
        CHECK(on->count() == 1);
    }
    {
        bench on;
        CHECK(attempt([&] { on.sdk->kernel("s").run("\xff"); }).kind == error_kind::argument);
        CHECK(attempt([&] { on.sdk->kernel("").run("x"); }).kind == error_kind::argument);
        CHECK(on->count() == 0);
    }
    bench on;
    on->add(step("finished", text("stderr", "last words")));
    run_handlers handlers = quiet();
    handlers.on_stderr = [](std::string_view) { throw std::domain_error("mine"); };
    CHECK_THROWS_AS(on.sdk->kernel("s").run("x", handlers), std::domain_error);
    CHECK(modes(on) == names{"query"});
}

TEST_CASE("an answer that leaves the code running interrupts it") {
    for (const int status : {429, 500, 502, 503, 504}) {
        bench on; // a later step was refused for the load, or failed on its way
        on->add(step("continued"));
        on->add(answer(status));
        on->add(answer(204));
        CHECK(attempt([&] { on.sdk->kernel("s").run("x"); }).status == status);
        CHECK(modes(on) == names{"query", "continue", "interrupt"});
    }
    for (const int status : {502, 504}) {
        bench on; // a proxy lost the server after it had handed on the first step
        on->add(answer(status));
        on->add(answer(204));
        CHECK(attempt([&] { on.sdk->kernel("s").run("x"); }).status == status);
        CHECK(modes(on) == names{"query", "interrupt"});
    }
}

TEST_CASE("a step that may have been sent and failed interrupts the code") {
    const auto maybe = client_error::progress::maybe_sent;
    for (const error_kind kind : {error_kind::timeout, error_kind::connect, error_kind::protocol}) {
        bench on;
        on->add(failure(kind, maybe));
        on->add(answer(204));
        CHECK(attempt([&] { on.sdk->kernel("s").run("x"); }).kind == kind);
        CHECK(modes(on) == names{"query", "interrupt"});
    }
    bench on; // an answer that is not one
    on->add(step("continued"));
    on->add(step("sleeping"));
    on->add(answer(204));
    CHECK(attempt([&] { on.sdk->kernel("s").run("x"); }).kind == error_kind::protocol);
    CHECK(modes(on) == names{"query", "continue", "interrupt"});
}

TEST_CASE("a cancel interrupts the code, outside the cancelled token") {
    bench on;
    on->add(step("continued"));
    on->add(scripted::hang());
    on->add(answer(204));
    const cancel_source source;
    const auto view = on.sdk->with({{}, source.token(), {}});
    thrown result;
    std::thread runner([&] { result = attempt([&] { view.kernel("s").run("x"); }); });
    on->wait_for(2);
    source.cancel();
    runner.join();
    CHECK(result.kind == error_kind::cancelled);
    CHECK(modes(on) == names{"query", "continue", "interrupt"});
    CHECK(!on->requests()[2].context.cancel.can_be_cancelled());
}

TEST_CASE("a close ends a run with closed, and there is nobody left to interrupt") {
    bench on;
    on->add(scripted::hang());
    thrown result;
    const auto kernel = on.sdk->kernel("s");
    std::thread runner([&] { result = attempt([&] { kernel.run("x"); }); });
    on->wait_for(1);
    on.sdk->close();
    runner.join();
    CHECK(result.kind == error_kind::closed);
    CHECK(on->count() == 1);
}

TEST_CASE("the server's time limit ends a run as its end does") {
    bench on;
    on->add(step("exec-timeout", text("stdout", "so far")));
    const run_result done = on.sdk->kernel("s").run("x");
    CHECK(done.out == "so far");
    CHECK(modes(on) == names{"query"});
}
