// The embedded gateway's interpreters other than Python. A language that is not installed here is left out.
#include "raw_http.hpp"

#include <doctest/doctest.h>

using namespace raw_http;
using backendai::testing::gateway;

namespace {

struct sample {
    const char *language, *hello, *keep, *show, *ask, *password, *fail, *leave, *endless, *media;
};

const std::vector<sample>& samples() {
    static const std::vector<sample> all = {
        {"bash", "echo hello", "x=5", "echo $x", "read -p 'name? ' n; echo \"got $n\"", "read -s n; echo \"got $n\"",
         "false", "exit 3", "while true; do :; done", "backendai_media text/html '<b>\"x\"</b>'"},
        {"node", "console.log('hello')", "var x = 5", "setTimeout(() => console.log(x), 10)",
         "var n = prompt('name? '); console.log('got ' + n)", "console.log('got ' + getpass())",
         "throw new Error('bad')", "process.exit(3)", "while (true) {}",
         "backendai_media('text/html', '<b>\"x\"</b>')"},
        {"perl", "print \"hello\\n\"", "$x = 5", "print \"$x\\n\"",
         "print 'name? '; my $n = <STDIN>; chomp $n; print \"got $n\\n\"", "my $n = getpass(); print \"got $n\\n\"",
         "die 'bad'", "exit 3", "1 while 1", "backendai_media('text/html', '<b>\"x\"</b>')"},
        {"lua", "print('hello')", "x = 5", "print(x)", "io.write('name? '); local n = io.read(); print('got ' .. n)",
         "print('got ' .. getpass())", "error('bad')", "os.exit(3)", nullptr,
         "backendai_media('text/html', '<b>\"x\"</b>')"},
        {"ruby", "puts 'hello'", "x = 5", "puts x", "print 'name? '; n = gets.chomp; puts \"got #{n}\"",
         "puts \"got #{getpass}\"", "raise 'bad'", "exit 3", "loop {}",
         "backendai_media('text/html', '<b>\"x\"</b>')"}};
    return all;
}

} // namespace

TEST_CASE("gateway languages: state, input, errors, exit codes, interrupts and records") {
    gateway server;
    int tried = 0;
    for (const sample& it : samples()) {
        const std::string token = std::string("session-") + it.language;
        if (call(server, "POST", "/kernel/create", creation(std::string(it.language) + "-full:1", token)).status != 201)
            continue;
        ++tried;
        INFO(it.language);
        const auto go = [&](const char* code, std::vector<std::string> inputs = {}) {
            return run(server, token, code, std::move(inputs));
        };
        CHECK(go(it.hello).out == "hello\n");
        CHECK(go(it.keep).exit_code() == 0);
        CHECK(go(it.show).out == "5\n");
        CHECK(go(it.ask, {"me"}).out == "name? got me\n");
        const json asked = step(server, token, "query", it.password);
        CHECK(asked["options"] == json{{"is_password", true}});
        CHECK(step(server, token, "input", "secret", asked["runId"])["status"] == "finished");
        const outcome failed = go(it.fail);
        CHECK(failed.exit_code() == 1);
        if (std::string(it.language) != "bash") CHECK(failed.err.find("bad") != std::string::npos);
        CHECK(go(it.media).records == json::parse(R"([["text/html","<b>\"x\"</b>"]])"));
        if (it.endless != nullptr) {
            json result = step(server, token, "query", it.endless);
            CHECK(result["status"] == "continued");
            call(server, "POST", "/kernel/" + token + "/interrupt");
            do result = step(server, token, "continue", "", result["runId"]);
            while (result["status"] == "continued");
            CHECK(result["status"] == "finished");
            CHECK(go(it.show).out == "5\n");
        }
        CHECK(go(it.leave).exit_code() == 3);
        CHECK(go(it.hello).out == "hello\n");
    }
    CHECK(tried >= 1);
}

TEST_CASE("gateway languages: the shell's completion, syntax errors and redirected reads") {
    gateway server;
    REQUIRE(call(server, "POST", "/kernel/create", creation("bash", "sh-1")).status == 201);
    CHECK(run(server, "sh-1", "my_function() { :; }; if").exit_code() != 0);
    CHECK(run(server, "sh-1", "my_function() { :; }; printf '1\\n2\\n' | while read line; do echo \"[$line]\"; done")
              .out == "[1]\n[2]\n");
    CHECK(run(server, "sh-1", "read a b <<<'x y'; echo $b$a").out == "yx\n");
    const json found = call(server, "POST", "/kernel/sh-1/complete", {{"code", "echo; my_func"}}).data();
    CHECK(found["result"] == json{{"status", "finished"}, {"completions", json::array({"my_function"})}});
}

TEST_CASE("gateway languages: C is compiled and run") {
    gateway server;
    if (call(server, "POST", "/kernel/create", creation("c:gcc", "c-1")).status != 201) return; // no compiler here
    const char* code = "#include <stdio.h>\nint main(void) { puts(\"from C\"); return 4; }\n";
    const outcome result = run(server, "c-1", code);
    CHECK(result.out == "from C\n");
    CHECK(result.exit_code() == 4);
    CHECK(run(server, "c-1", "int main(void) { return }").err.find("error") != std::string::npos);
    const outcome batch = run(server, "c-1", "", {}, "batch", {{"clean", "*"}, {"build", "*"}, {"exec", "*"}});
    CHECK(batch.statuses == std::vector<std::string>{"clean-finished", "build-finished", "finished"});
}
