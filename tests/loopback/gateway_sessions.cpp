// Compute sessions of the embedded gateway: creation, reuse, checks, limits, idle cleanup, freezing.
#include "raw_http.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <future>

using namespace raw_http;
using backendai::testing::gateway;
using backendai::testing::gateway_options;

TEST_CASE("gateway sessions: a token gives the running session back, for the same image only") {
    gateway server;
    const answer made = call(server, "POST", "/kernel/create", creation("bash:5", "token-1"));
    CHECK(made.status == 201);
    CHECK(made.data()["kernelId"] == "token-1");
    CHECK(made.data()["created"] == true);
    const json ports = made.data()["servicePorts"];
    for (const json& port : ports) CHECK(port["container_port"].is_number());
    CHECK(ports.size() > 0);
    const answer again = call(server, "POST", "/kernel", creation("bash:5", "token-1"));
    CHECK(again.status == 201);
    CHECK(again.data()["created"] == false);
    const answer other = call(server, "POST", "/kernel/create", creation("bash:4", "token-1"));
    CHECK(other.status == 400);
    CHECK(other.data()["type"] == "https://api.backend.ai/probs/kernel-already-exists");
    CHECK(server.live_sessions() == 1);
    const answer ended = call(server, "DELETE", "/kernel/token-1");
    CHECK(ended.status == 200);
    CHECK(ended.data()["stats"].is_object());
    CHECK(call(server, "DELETE", "/kernel/token-1").data() == json{{"stats", nullptr}});
    CHECK(call(server, "GET", "/kernel/token-1").status == 404);
    CHECK(server.live_sessions() == 0);
    CHECK(call(server, "POST", "/kernel/create", creation("bash:4", "token-1")).data()["created"] == true);
}

TEST_CASE("gateway sessions: what is asked for is checked") {
    gateway server;
    const auto status_of = [&](const json& body) { return call(server, "POST", "/kernel/create", body).status; };
    CHECK(status_of(creation("nothing:1", "token-1")) == 400);
    CHECK(status_of(creation("", "token-1")) == 400);
    for (const char* token : {"abc", "-abcd", "abcd.", "ab cd", "ab/cd"})
        CHECK(status_of(creation("bash", token)) == 400);
    CHECK(status_of(creation("bash", std::string(65, 'x'))) == 400);
    CHECK(status_of({{"lang", "bash"}}) == 400);
    CHECK(status_of(creation("bash", "token-1", {{"environ", {{"A", 1}}}})) == 400);
    CHECK(status_of(creation("bash", "token-1", {{"environ", "A=1"}})) == 400);
    CHECK(status_of(creation("bash", "token-1", {{"clusterSize", 0}})) == 400);
    CHECK(status_of(creation("bash", "token-1", {{"clusterSize", "two"}})) == 400);
    CHECK(status_of(creation("bash", "token-1", {{"resources", {{"mem", "much"}}}})) == 400);
    CHECK(status_of(creation("bash", "token-1", {{"resources", {{"cpu", {1, 2}}}}})) == 400);
    CHECK(status_of(creation("bash", "token-1", {{"mounts", {"unknown"}}})) == 404);
    CHECK(status_of(creation("bash", "token-1", {{"mounts", {".."}}})) == 404);
    CHECK(server.created_sessions() == 0);
}

TEST_CASE("gateway sessions: environment, folders, resources and information") {
    gateway_options options;
    options.vfolders = {"mydata"};
    gateway server(options);
    const json config = {{"environ", {{"COLOUR", "dark green"}}},
                         {"mounts", {"mydata"}},
                         {"clusterSize", 1},
                         {"resources", {{"cpu", 1}, {"mem", "2g"}}}};
    json body = creation("cr.example.org/stable/bash:5-alpine", "token-1", config);
    body["tag"] = "mine";
    REQUIRE(call(server, "POST", "/kernel/create", body).status == 201);
    CHECK(run(server, "token-1", "echo $COLOUR; echo text > mydata/file; [ \"$HOME\" = \"$PWD\" ] && echo home").out ==
          "dark green\nhome\n");
    const json info = call(server, "GET", "/kernel/token-1").data();
    CHECK(info["lang"] == "cr.example.org/stable/bash:5-alpine");
    CHECK(info["image"] == "bash");
    CHECK(info["registry"] == "cr.example.org/stable");
    CHECK(info["tag"] == "mine");
    CHECK(info["memoryLimit"] == 2 * 1024 * 1024);
    CHECK(info["numQueriesExecuted"] == 1);
    CHECK(info["age"].is_number_float());
    CHECK(info["idle"] == -1);
    CHECK(call(server, "GET", "/kernel/token-1/logs").data()["result"]["logs"] == "dark green\nhome\n");
    REQUIRE(call(server, "POST", "/kernel/create", creation("bash", "token-2", {{"mounts", {"mydata"}}})).status ==
            201);
    CHECK(run(server, "token-2", "cat mydata/file").out == "text\n");
}

TEST_CASE("gateway sessions: the client's keys do not reach the code") {
    ::setenv("BACKEND_SECRET_KEY", "not for the code", 1);
    gateway server;
    REQUIRE(call(server, "POST", "/kernel/create", creation("bash", "token-1")).status == 201);
    CHECK(run(server, "token-1", "echo \"[$BACKEND_SECRET_KEY]\"").out == "[]\n");
    ::unsetenv("BACKEND_SECRET_KEY");
}

TEST_CASE("gateway sessions: an idle session ends by the clock, and its token makes a new one") {
    gateway_options options;
    std::atomic<int> minutes{0};
    options.clock = [&] { return std::chrono::system_clock::now() + std::chrono::minutes(minutes); };
    options.idle_timeout = std::chrono::minutes(5);
    gateway server(options);
    REQUIRE(call(server, "POST", "/kernel/create", creation("bash", "token-1")).status == 201);
    minutes = 4;
    CHECK(call(server, "GET", "/kernel/token-1", nullptr).status == 200);
    minutes = 8;
    CHECK(call(server, "GET", "/kernel/token-1", nullptr).status == 200);
    minutes = 14;
    CHECK(call(server, "GET", "/kernel/token-1", nullptr).status == 404);
    CHECK(server.live_sessions() == 0);
    CHECK(call(server, "POST", "/kernel/create", creation("bash", "token-1")).data()["created"] == true);
}

TEST_CASE("gateway sessions: the limit, and the peak") {
    gateway_options options;
    options.max_sessions = 2;
    gateway server(options);
    CHECK(call(server, "POST", "/kernel/create", creation("bash", "token-1")).status == 201);
    CHECK(call(server, "POST", "/kernel/create", creation("bash", "token-2")).status == 201);
    CHECK(call(server, "POST", "/kernel/create", creation("bash", "token-3")).status == 412);
    call(server, "DELETE", "/kernel/token-1");
    CHECK(call(server, "POST", "/kernel/create", creation("bash", "token-3")).status == 201);
    CHECK(server.peak_sessions() == 2);
    CHECK(server.created_sessions() == 3);
}

TEST_CASE("gateway sessions: frozen servers make no sessions, and may end those there are") {
    gateway server;
    tweaks plain;
    plain.is_signed = false;
    REQUIRE(call(server, "POST", "/kernel/create", creation("bash", "token-1")).status == 201);
    CHECK(call(server, "PUT", "/manager/status", {{"status", "frozen"}}, plain).status == 401);
    CHECK(call(server, "PUT", "/manager/status", {{"status", "broken"}}).status == 400);
    CHECK(call(server, "PUT", "/manager/status", {{"status", "frozen"}, {"force_kill", false}}).status == 204);
    CHECK(call(server, "GET", "/manager/status", nullptr, plain).data() ==
          json{{"status", "frozen"}, {"active_sessions", 1}});
    const answer refused = call(server, "POST", "/kernel/create", creation("bash", "token-2"));
    CHECK(refused.status == 503);
    CHECK(refused.data()["type"] == "https://api.backend.ai/probs/server-frozen");
    CHECK(run(server, "token-1", "echo still here").out == "still here\n");
    CHECK(call(server, "PUT", "/manager/status", {{"status", "frozen"}, {"force_kill", true}}).status == 204);
    CHECK(server.live_sessions() == 0);
    CHECK(call(server, "PUT", "/manager/status", {{"status", "running"}}).status == 204);
    CHECK(call(server, "POST", "/kernel/create", creation("bash", "token-2")).status == 201);
}

TEST_CASE("gateway sessions: many callers of one token get one session") {
    gateway server;
    std::vector<std::future<bool>> callers;
    for (int i = 0; i < 8; ++i) {
        callers.push_back(std::async(std::launch::async, [&] {
            return call(server, "POST", "/kernel/create", creation("bash", "token-1")).data()["created"].get<bool>();
        }));
    }
    int created = 0;
    for (auto& caller : callers) created += caller.get() ? 1 : 0;
    CHECK(created == 1);
    CHECK(server.created_sessions() == 1);
}

TEST_CASE("gateway sessions: nothing is left behind") {
    const std::filesystem::path root =
        std::filesystem::temp_directory_path() / ("gateway-test-" + std::to_string(::getpid()));
    std::filesystem::create_directory(root);
    {
        gateway_options options;
        options.directory = root.string();
        gateway server(options);
        REQUIRE(call(server, "POST", "/kernel/create", creation("bash", "token-1")).status == 201);
        run(server, "token-1", "sleep 1000 & echo $! > pid; echo x > file");
        CHECK_FALSE(std::filesystem::is_empty(root));
    }
    CHECK(std::filesystem::is_empty(root));
    std::filesystem::remove_all(root);
    CHECK(::waitpid(-1, nullptr, WNOHANG) == -1); // no child, not even a zombie
}
