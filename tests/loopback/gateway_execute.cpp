// Running code in the embedded gateway: the run loop, input, interrupts, death, batch mode, completion, limits.
#include "raw_http.hpp"

#include <doctest/doctest.h>

#include <future>

using namespace raw_http;
using backendai::testing::gateway;
using backendai::testing::gateway_options;

namespace {

// A gateway with one Python session "py-1".
struct python_session {
    explicit python_session(gateway_options options = {}) : server(std::move(options)) {
        REQUIRE(call(server, "POST", "/kernel/create", creation("python:3.6-ubuntu", "py-1")).status == 201);
    }
    outcome operator()(const std::string& code, std::vector<std::string> inputs = {}) {
        return run(server, "py-1", code, std::move(inputs));
    }
    gateway server;
};

} // namespace

TEST_CASE("gateway execute: output, state, exit codes") {
    python_session py;
    const outcome first = py("x = 41\nprint('h\u00e9llo')");
    CHECK(first.out == "h\u00e9llo\n");
    CHECK(first.exit_code() == 0);
    CHECK(first.last["runId"].is_string());
    CHECK(py("print(x + 1)").out == "42\n");
    CHECK(py("import sys; sys.exit(3)").exit_code() == 3);
    CHECK(py("sys.exit('why')").err == "why\n");
    CHECK(py("x").out.empty());
    CHECK(py("").exit_code() == 0);
}

TEST_CASE("gateway execute: exceptions are told as the interpreter does, without the driver") {
    python_session py;
    const outcome result = py("def f():\n    return 1 / 0\nf()");
    CHECK(result.exit_code() == 1);
    CHECK(result.err.find("Traceback (most recent call last):\n  File \"<input-1>\", line 3, in <module>\n") == 0);
    CHECK(result.err.find("return 1 / 0") != std::string::npos);
    CHECK(result.err.find("ZeroDivisionError: division by zero\n") != std::string::npos);
    CHECK(result.err.find("driver") == std::string::npos);
    CHECK(py("if:").err.find("SyntaxError") != std::string::npos);
    CHECK(py("print('fine')").out == "fine\n");
}

TEST_CASE("gateway execute: the order of the console is the order of printing") {
    python_session py;
    const json result =
        step(py.server, "py-1", "query",
             "import os, sys\nprint('a')\nprint('b', file=sys.stderr)\nbackendai_media('text/html', '<b>c</b>')\n"
             "os.system('echo d')\nprint('e')");
    CHECK(result["console"] ==
          json::parse(R"([["stdout","a\n"],["stderr","b\n"],["text/html","<b>c</b>"],["stdout","d\ne\n"]])"));
    std::string expected;
    for (int i = 0; i < 40; ++i) expected += std::to_string(i) + "\nchild\ngrandchild\n";
    CHECK(py("import subprocess\nfor i in range(40):\n    print(i)\n    os.system('echo child')\n"
             "    subprocess.run(['echo', 'grandchild'])")
              .out == expected);
}

TEST_CASE("gateway execute: media records and generated files") {
    python_session py;
    const outcome media =
        py("import backendai_kernel\nbackendai_kernel.media('image/png', b'\\x89PNG')\n"
           "backendai_media('image/svg+xml', '<svg/>')\nbackendai_media('application/x-sorna-drawing', [1])\n"
           "backendai_media('text/plain', 'x' * 300000)");
    REQUIRE(media.records.size() == 4);
    CHECK(media.records[0] == json{"image/png", "data:image/png;base64,iVBORw=="});
    CHECK(media.records[1] == json{"image/svg+xml", "<svg/>"});
    CHECK(media.records[2] == json{"application/x-sorna-drawing", "[1]"});
    CHECK(media.records[3][1].get<std::string>().size() == 300000);
    const outcome files =
        py("import os\nos.makedirs('.output/sub')\nopen('.output/sub/a b.txt', 'w').write('content')");
    REQUIRE(files.last["files"].size() == 1);
    CHECK(files.last["files"][0]["name"] == "sub/a b.txt");
    const std::string url = files.last["files"][0]["url"];
    tweaks plain;
    plain.is_signed = false;
    CHECK(call(py.server, "GET", url.substr(py.server.endpoint().size()), nullptr, plain).body == "content");
    CHECK(py("pass").last["files"].empty());
}

TEST_CASE("gateway execute: input and passwords") {
    python_session py;
    json result = step(
        py.server, "py-1", "query",
        "import getpass\na = input('name: ')\nb = getpass.getpass()\nimport sys\nprint(a, b, sys.stdin.readline())");
    CHECK(result["status"] == "waiting-input");
    CHECK(result["options"] == json{{"is_password", false}});
    CHECK(result["console"] == json::array({{"stdout", "name: "}}));
    const json id = result["runId"];
    CHECK(step(py.server, "py-1", "continue", "", id)["status"] == "waiting-input");
    result = step(py.server, "py-1", "input", "me", id);
    CHECK(result["options"] == json{{"is_password", true}});
    result = step(py.server, "py-1", "input", "secret", id);
    CHECK(result["status"] == "waiting-input");
    result = step(py.server, "py-1", "input", "line", id);
    CHECK(result["status"] == "finished");
    CHECK(result["console"] == json::array({{"stdout", "me secret line\n\n"}}));
}

TEST_CASE("gateway execute: long runs are continued, and interrupted") {
    gateway_options options;
    options.slice = std::chrono::milliseconds(200);
    python_session py(options);
    json result = step(py.server, "py-1", "query", "import time\nprint('begun')\nwhile True: time.sleep(0.01)");
    CHECK(result["status"] == "continued");
    CHECK(result["exitCode"].is_null());
    CHECK(result["console"] == json::array({{"stdout", "begun\n"}}));
    const json id = result["runId"];
    CHECK(step(py.server, "py-1", "continue", "", id)["status"] == "continued");
    CHECK(call(py.server, "POST", "/kernel/py-1/complete", {{"code", "ti"}}).data()["result"]["completions"].empty());
    CHECK(call(py.server, "POST", "/kernel/py-1/interrupt").status == 204);
    std::string text;
    do {
        result = step(py.server, "py-1", "continue", "", id);
        for (const auto& record : result["console"]) text += record[1].get<std::string>();
    } while (result["status"] == "continued");
    CHECK(result["status"] == "finished");
    CHECK(text.find("KeyboardInterrupt") != std::string::npos);
    CHECK(py("print(1)").out == "1\n");
    CHECK(call(py.server, "POST", "/kernel/py-1/interrupt").status == 204); // with nothing to interrupt
    CHECK(py("print(2)").out == "2\n");
    result = step(py.server, "py-1", "query", "input()");
    call(py.server, "POST", "/kernel/py-1/interrupt");
    do result = step(py.server, "py-1", "continue", "", result["runId"]);
    while (result["status"] == "continued");
    CHECK(result["status"] == "finished");
}

TEST_CASE("gateway execute: wrong modes and run ids") {
    python_session py;
    const auto status_of = [&](const json& body) { return call(py.server, "POST", "/kernel/py-1", body).status; };
    CHECK(status_of({{"mode", "continue"}, {"code", ""}, {"runId", nullptr}}) == 400);
    CHECK(status_of({{"mode", "continue"}, {"code", ""}, {"runId", "unknown"}}) == 400);
    CHECK(status_of({{"mode", "input"}, {"code", "x"}, {"runId", "unknown"}}) == 400);
    CHECK(status_of({{"mode", "continued"}, {"code", ""}, {"runId", "x"}}) == 400);
    CHECK(status_of({{"mode", "query"}, {"code", 5}}) == 400);
    CHECK(status_of({{"code", "1"}}) == 400);
    CHECK(status_of({{"mode", "query"}, {"code", std::string(2 * 1024 * 1024, ' ')}}) == 400);
    const json result = step(py.server, "py-1", "query", "print(1)", "my-run");
    CHECK(result["runId"] == "my-run");
    CHECK(call(py.server, "POST", "/kernel/none", {{"mode", "query"}, {"code", ""}}).status == 404);
}

TEST_CASE("gateway execute: a second query waits for its turn") {
    gateway_options options;
    options.slice = std::chrono::milliseconds(50);
    python_session py(options);
    const json first = step(py.server, "py-1", "query", "input()\nprint('first')");
    REQUIRE(first["status"] == "waiting-input");
    const json second = step(py.server, "py-1", "query", "print('second')");
    CHECK(second["status"] == "continued");
    CHECK(second["console"].empty());
    auto rest = std::async(std::launch::async, [&] {
        json result;
        do result = step(py.server, "py-1", "continue", "", second["runId"]);
        while (result["status"] == "continued");
        return result;
    });
    json result = step(py.server, "py-1", "input", "", first["runId"]);
    while (result["status"] == "continued") result = step(py.server, "py-1", "continue", "", first["runId"]);
    CHECK(rest.get()["status"] == "finished");
}

TEST_CASE("gateway execute: a dead interpreter is told as 130, and the session is gone") {
    python_session py;
    const outcome result =
        py("import os, signal\nprint('last words', flush=True)\nos.kill(os.getpid(), signal.SIGKILL)");
    CHECK(result.out == "last words\n");
    CHECK(result.exit_code() == 130);
    CHECK(call(py.server, "GET", "/kernel/py-1").status == 404);
    CHECK(call(py.server, "POST", "/kernel/create", creation("python", "py-1")).data()["created"] == true);
}

TEST_CASE("gateway execute: restart keeps the files and ends what runs") {
    gateway_options options;
    options.slice = std::chrono::milliseconds(100);
    python_session py(options);
    py("x = 1\nopen('kept', 'w').write('content')");
    const json running = step(py.server, "py-1", "query", "while True: pass");
    CHECK(call(py.server, "PATCH", "/kernel/py-1").status == 204);
    const json ended = step(py.server, "py-1", "continue", "", running["runId"]);
    CHECK(ended["status"] == "finished");
    CHECK(ended["exitCode"] == 130);
    CHECK(py("print('x' in globals(), open('kept').read())").out == "False content\n");
}

TEST_CASE("gateway execute: destroying a session ends the call that waits for it") {
    python_session py;
    auto waiting = std::async(std::launch::async,
                              [&] { return step(py.server, "py-1", "query", "import time\ntime.sleep(1000)"); });
    while (py.server.served("POST", "/kernel/py-1") == 0) std::this_thread::yield();
    CHECK(call(py.server, "DELETE", "/kernel/py-1").status == 200);
    json result;
    try {
        result = waiting.get();
    } catch (const std::runtime_error&) {
        return; // the session was gone before the query reached it: 404
    }
    CHECK(result["status"] == "finished");
    CHECK(result["exitCode"] == 130);
}

TEST_CASE("gateway execute: much output comes whole, in bounded pieces") {
    gateway_options options;
    options.max_output = 100000;
    python_session py(options);
    const outcome result = py("import os, sys\nfor i in range(300): print('x' * 9999)\nos.system('head -c 1000000 "
                              "/dev/zero | tr \"\\\\0\" y')");
    CHECK(result.out.size() == 4000000);
    CHECK(result.statuses.size() > 5);
}

TEST_CASE("gateway execute: completion knows the session's names") {
    python_session py;
    py("import os\nmy_variable = {}");
    const auto complete = [&](const json& body) {
        return call(py.server, "POST", "/kernel/py-1/complete", body).data()["result"]["completions"];
    };
    CHECK(complete({{"code", "print(my_va"}}) == json::array({"my_variable"}));
    CHECK(complete({{"code", "os.path.isfi"}}) == json::array({"os.path.isfile"}));
    CHECK(complete({{"code", ""}, {"options", {{"row", 0}, {"col", 5}, {"line", "my_va"}, {"post", ""}}}}) ==
          json::array({"my_variable"}));
    CHECK(complete({{"code", "no_such_name_"}}).empty());
    const json legacy = step(py.server, "py-1", "complete", "my_v");
    CHECK(legacy == json{{"status", "finished"}, {"completions", json::array({"my_variable"})}});
}

TEST_CASE("gateway execute: batch mode") {
    python_session py;
    const outcome result = run(py.server, "py-1", "", {}, "batch",
                               {{"clean", "rm -f made"},
                                {"build", "echo building; touch made"},
                                {"exec", "ls made; echo no >&2; exit 7"},
                                {"buildLog", true}});
    CHECK(result.statuses == std::vector<std::string>{"clean-finished", "build-finished", "finished"});
    CHECK(result.out == "building\nmade\n");
    CHECK(result.err == "no\n");
    CHECK(result.exit_code() == 7);
    py("open('main.py', 'w').write('print(\"from main\")')");
    const outcome standard = run(py.server, "py-1", "", {}, "batch", {{"clean", "*"}, {"build", "*"}, {"exec", "*"}});
    CHECK(standard.out == "from main\n");
    CHECK(standard.exit_code() == 0);
    CHECK(run(py.server, "py-1", "", {}, "batch", {{"clean", nullptr}, {"build", nullptr}, {"exec", "kill -9 $$"}})
              .exit_code() == 137);
}

TEST_CASE("gateway execute: many sessions at once") {
    gateway server;
    std::vector<std::future<std::string>> runs;
    for (int i = 0; i < 8; ++i) {
        runs.push_back(std::async(std::launch::async, [&server, i] {
            const std::string token = "session-" + std::to_string(i);
            call(server, "POST", "/kernel/create", creation(i % 2 == 0 ? "python" : "bash", token));
            std::string text;
            for (int j = 0; j < 3; ++j)
                text +=
                    run(server, token, i % 2 == 0 ? "print(" + std::to_string(i) + ")" : "echo " + std::to_string(i))
                        .out;
            call(server, "DELETE", "/kernel/" + token);
            return text;
        }));
    }
    for (int i = 0; i < 8; ++i) {
        const std::string line = std::to_string(i) + '\n';
        CHECK(runs[static_cast<std::size_t>(i)].get() == line + line + line);
    }
    CHECK(server.live_sessions() == 0);
}
