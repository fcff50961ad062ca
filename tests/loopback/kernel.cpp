// Compute sessions end to end: the session, the httplib transport and the embedded gateway, over real sockets.
#include <backendai.hpp>
#include <backendai/testing/gateway.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace backendai;

api_config config_for(const testing::gateway& gateway) {
    api_config config;
    config.endpoint = gateway.endpoint();
    config.access_key = gateway.access_key();
    config.secret_key = gateway.secret_key();
    return config;
}

struct fixture {
    testing::gateway gateway;
    backendai::session session{config_for(gateway)};
};

} // namespace

TEST_CASE_FIXTURE(fixture, "a client token reuses a compute session, and another image is refused") {
    create_options options;
    options.client_token = "my-session";
    const auto first = session.kernel().get_or_create("python", options);
    CHECK(first.created());
    CHECK(first.kernel_id() == "my-session");
    const auto second = session.kernel().get_or_create("python", options);
    CHECK_FALSE(second.created());
    CHECK(second.kernel_id() == "my-session");
    try {
        session.kernel().get_or_create("bash", options);
        FAIL("another image under the same token was accepted");
    } catch (const api_error& e) {
        CHECK(e.status() == 400);
        CHECK(e.type() == "https://api.backend.ai/probs/kernel-already-exists");
    }
    first.destroy();
    CHECK(session.kernel().get_or_create("python", options).created());
}

TEST_CASE("an idle compute session is ended, and its token makes a new one") {
    std::atomic<std::int64_t> hours{0};
    testing::gateway_options options;
    options.clock = [&] { return std::chrono::system_clock::now() + std::chrono::hours(hours.load()); };
    testing::gateway gateway(options);
    api_config config = config_for(gateway);
    config.clock = options.clock;
    backendai::session session(config);
    create_options named;
    named.client_token = "idle-one";
    session.kernel().get_or_create("python", named).run("x = 1");
    CHECK_FALSE(session.kernel().get_or_create("python", named).created());
    hours = 2;
    const auto again = session.kernel().get_or_create("python", named);
    CHECK(again.created());
    CHECK(again.run("print('x' in globals())").out == "False\n");
}

TEST_CASE_FIXTURE(fixture, "state is kept between runs, lost by a restart; files stay") {
    const auto kernel = session.kernel().get_or_create("python");
    CHECK(kernel.run("x = 41").out.empty());
    CHECK(kernel.run("print(x + 1)").out == "42\n");
    kernel.run("open('kept.txt', 'w').write('here')");
    kernel.restart();
    const run_result after = kernel.run("import os\nprint('x' in globals(), os.path.exists('kept.txt'))");
    CHECK(after.out == "False True\n");
    CHECK(after.err.empty());
}

TEST_CASE_FIXTURE(fixture, "output comes while the code runs, over several steps") {
    const auto kernel = session.kernel().get_or_create("python");
    auto step = kernel.execute("", "import time\nprint('first', flush=True)\ntime.sleep(2.3)\nprint('last')");
    CHECK(step.status == run_status::continued);
    CHECK_FALSE(step.run_id.empty());
    std::string out;
    const auto collect = [&out](const execute_result& result) {
        for (const console_record& record : result.console) out += record.payload;
    };
    collect(step);
    CHECK(out == "first\n");
    while (step.status == run_status::continued) {
        step = kernel.execute(step.run_id, "", execute_mode::continue_);
        collect(step);
    }
    CHECK(step.status == run_status::finished);
    CHECK(out == "first\nlast\n");
}

TEST_CASE_FIXTURE(fixture, "input and passwords are asked for") {
    const auto kernel = session.kernel().get_or_create("python");
    std::vector<bool> asked;
    run_handlers handlers;
    handlers.on_input = [&](const input_request& request) {
        asked.push_back(request.is_password);
        return request.is_password ? std::string("pass word") : std::string("\xC3\xA9mile");
    };
    const run_result result =
        kernel.run("import getpass\na = input('a: ')\nb = getpass.getpass('b: ')\nprint()\nprint(a, b)", handlers);
    CHECK(asked == std::vector<bool>{false, true});
    CHECK(result.out.find("\xC3\xA9mile pass word\n") != std::string::npos);
}

TEST_CASE_FIXTURE(fixture, "exit codes, tracebacks and a dead interpreter") {
    const auto kernel = session.kernel().get_or_create("python");
    CHECK(kernel.run("import sys; sys.exit(7)").exit_code == 7);
    const run_result failed = kernel.run("print('before')\n1/0");
    CHECK(failed.out == "before\n");
    CHECK(failed.err.find("ZeroDivisionError") != std::string::npos);
    CHECK(kernel.run("import os, signal; os.kill(os.getpid(), signal.SIGKILL)").exit_code == 130);
}

TEST_CASE_FIXTURE(fixture, "an interrupt reaches the running code, and the session lives on") {
    const auto kernel = session.kernel().get_or_create("python");
    std::atomic<bool> running{false};
    run_handlers handlers;
    handlers.on_stdout = [&](std::string_view) { running = true; };
    std::thread other([&] {
        while (!running) std::this_thread::yield();
        kernel.interrupt();
    });
    const run_result result = kernel.run("import time\nprint('go', flush=True)\ntime.sleep(60)", handlers);
    other.join();
    CHECK(result.err.find("KeyboardInterrupt") != std::string::npos);
    CHECK(kernel.run("print('alive')").out == "alive\n");
}

TEST_CASE_FIXTURE(fixture, "a handler that throws interrupts the code and its exception comes out") {
    const auto kernel = session.kernel().get_or_create("python");
    run_handlers handlers;
    handlers.on_stdout = [](std::string_view) { throw std::domain_error("enough"); };
    CHECK_THROWS_AS(kernel.run("import time\nprint('x', flush=True)\ntime.sleep(60)", handlers), std::domain_error);
    CHECK(gateway.served("POST", "/kernel/" + kernel.kernel_id() + "/interrupt") == 1);
    CHECK(kernel.run("print('alive')").out == "alive\n");
}

TEST_CASE_FIXTURE(fixture, "a cancel ends a run at once and interrupts the code") {
    const auto kernel = session.kernel().get_or_create("python");
    cancel_source stop;
    call_options options;
    options.cancel = stop.token();
    const auto view = session.with(options);
    std::thread other([&] {
        while (gateway.received("POST", "/kernel/" + kernel.kernel_id()) == 0) std::this_thread::yield();
        stop.cancel();
    });
    try {
        view.kernel(kernel.kernel_id()).run("import time\ntime.sleep(60)");
        FAIL("the run was not cancelled");
    } catch (const client_error& e) {
        CHECK(e.kind() == error_kind::cancelled);
    }
    other.join();
    CHECK(gateway.served("POST", "/kernel/" + kernel.kernel_id() + "/interrupt") == 1);
}

TEST_CASE_FIXTURE(fixture, "batch runs go through their phases") {
    const auto kernel = session.kernel().get_or_create("python");
    batch_commands commands;
    commands.clean = "echo cleaning";
    commands.build = "echo building";
    commands.exec = "echo running; exit 5";
    commands.build_log = true;
    std::vector<run_status> phases;
    run_handlers handlers;
    handlers.on_phase = [&](run_status phase, std::optional<int>) { phases.push_back(phase); };
    const run_result result = kernel.run(commands, handlers);
    CHECK(phases ==
          std::vector<run_status>{run_status::clean_finished, run_status::build_finished, run_status::finished});
    CHECK(result.exit_code == 5);
    CHECK(result.out.find("running\n") != std::string::npos);
}

TEST_CASE_FIXTURE(fixture, "completion, information and logs") {
    const auto kernel = session.kernel().get_or_create("python");
    kernel.run("walrus_count = 1\nprint('logged')");
    completion_options cursor;
    cursor.line = "walrus_c";
    cursor.col = 8;
    const auto candidates = kernel.complete("walrus_c", cursor);
    REQUIRE(candidates.size() == 1);
    CHECK(candidates[0].find("walrus_count") != std::string::npos);
    const kernel_info info = kernel.get_info();
    CHECK(info.lang.find("python") != std::string::npos);
    CHECK(info.num_queries_executed >= 1);
    CHECK(kernel.get_logs().find("logged") != std::string::npos);
    CHECK(kernel.destroy().stats.is_object());
    CHECK(kernel.destroy().stats.is_null());
}

TEST_CASE_FIXTURE(fixture, "media records") {
    const auto kernel = session.kernel().get_or_create("python");
    const run_result result = kernel.run("backendai_media('image/png', 'data:image/png;base64,iVBORw0KGgo=')\n"
                                         "backendai_media('image/svg+xml', '<svg/>')");
    REQUIRE(result.media.size() == 2);
    CHECK(decode_media(result.media[0]).mime_type == "image/png");
    CHECK(decode_media(result.media[0]).bytes == "\x89PNG\r\n\x1a\n");
    CHECK(decode_media(result.media[1]).bytes == "<svg/>");
}

TEST_CASE_FIXTURE(fixture, "environment variables, mounts and resources are sent") {
    create_options options;
    options.envs = {{"MY_SETTING", "a b"}};
    options.resources = {{"cpu", 1}, {"mem", "1g"}};
    const auto kernel = session.kernel().get_or_create("bash", options);
    CHECK(kernel.run("echo \"$MY_SETTING\"").out == "a b\n");
}

TEST_CASE_FIXTURE(fixture, "a wrong key and a wrong clock are refused") {
    api_config wrong = config_for(gateway);
    wrong.secret_key = "not-the-key";
    backendai::session stranger(wrong);
    try {
        stranger.kernel("abcd").get_info();
        FAIL("a wrong key was accepted");
    } catch (const api_error& e) {
        CHECK(e.status() == 401);
    }
    api_config late = config_for(gateway);
    late.clock = [] { return std::chrono::system_clock::now() - std::chrono::minutes(16); };
    backendai::session slow(late);
    CHECK_THROWS_AS(slow.kernel("abcd").get_info(), api_error);
    late.clock = [] { return std::chrono::system_clock::now() - std::chrono::minutes(14); };
    backendai::session tolerated(late);
    CHECK(tolerated.kernel("abcd").destroy().stats.is_null());
}

TEST_CASE_FIXTURE(fixture, "8 threads share one session for 10,000 requests") {
    std::atomic<int> good{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < 1250; ++i) {
                const std::string text = std::to_string(t) + '.' + std::to_string(i);
                try {
                    const json answer =
                        request(session, "POST", "/auth/test").set_json({{"echo", text}}).fetch().json();
                    if (answer.at("echo") == text) ++good;
                } catch (const std::exception&) {
                    // counted by its absence
                }
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(good == 10'000);
    // Connections are kept: far fewer were made than requests.
    CHECK(gateway.connections() <= 64);
}
