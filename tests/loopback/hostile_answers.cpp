// Wrong types in every field of every answer: whatever a server puts in the place of a value, the call succeeds, or
// ends in an error of the SDK; nothing of the JSON library gets out, and nothing breaks.
#include "api_operations.hpp"
#include "call_result.hpp"
#include "hostile_server.hpp"

#include <backendai.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <mutex>
#include <string>
#include <vector>

namespace {

using namespace backendai;
using api_operations::places;
using api_operations::reading;
using hostile::peer;

std::vector<json> wrong_values() {
    json deep = json::array();
    for (int i = 0; i < 200; ++i) deep = json::array({std::move(deep)});
    return {nullptr,
            true,
            -1,
            1.5,
            1e300,
            std::numeric_limits<std::uint64_t>::max(),
            std::numeric_limits<std::int64_t>::min(),
            "",
            std::string("a\0\x1b[31m\r\n", 9),
            std::string(100'000, 'x'),
            json::array(),
            json::array({json::array({1})}),
            json::array({nullptr}),
            json::object(),
            json{{"", {{"", 0}}}},
            deep};
}

void add_places(const json& value, const json::json_pointer& at, std::vector<json::json_pointer>& all) {
    all.push_back(at);
    if (value.is_object()) {
        for (const auto& member : value.items()) add_places(member.value(), at / member.key(), all);
    } else if (value.is_array()) {
        for (std::size_t i = 0; i < value.size(); ++i) add_places(value[i], at / i, all);
    }
}

// Every answer that has something wrong in one place.
std::vector<std::string> wrong_answers(const json& good) {
    std::vector<json::json_pointer> all;
    add_places(good, json::json_pointer(), all);
    std::vector<std::string> answers;
    for (const json::json_pointer& at : all) {
        for (const json& wrong : wrong_values()) {
            json answer = good;
            answer[at] = wrong;
            answers.push_back(answer.dump());
        }
        if (at.empty()) continue;
        json answer = good;
        json& parent = answer[at.parent_pointer()];
        if (parent.is_object()) {
            parent.erase(at.back());
            answers.push_back(answer.dump());
        }
    }
    return answers;
}

// Answers every request with what it was given last.
class parrot {
public:
    void learn(std::string answer) {
        const std::lock_guard<std::mutex> lock(mutex_);
        answer_ = std::move(answer);
    }
    std::string endpoint() const { return server_.endpoint(); }

private:
    std::mutex mutex_;
    std::string answer_;
    hostile::server server_{[this](peer& client) {
        while (client.read_request()) {
            std::string answer;
            {
                const std::lock_guard<std::mutex> lock(mutex_);
                answer = answer_;
            }
            client.send(answer);
        }
    }};
};

api_config config_for(const std::string& endpoint) {
    api_config config;
    config.endpoint = endpoint;
    config.access_key = "AKIAWRONG";
    config.secret_key = "not-for-others";
    config.version = "v4.20190315";
    config.vfolder_mounts = std::vector<std::string>();
    config.proxy = "";
    config.retry.max_attempts = 1;
    config.timeout = std::chrono::seconds(20);
    return config;
}

bool is_fine(const call_result& result) {
    // "api 200": a mutation that was refused says so in a good answer.
    return result.what == "ok" || result.what == "protocol" || result.what == "api 200";
}

} // namespace

TEST_CASE_TEMPLATE("hostile answers: wrong types in every field", T, BACKENDAI_SOCKET_TRANSPORTS) {
    parrot server;
    std::size_t count = 0, refused = 0;
    for (const auto& operation : api_operations::all<T>()) {
        if (operation.reads != reading::json) continue;
        api_config config = config_for(server.endpoint());
        config.version = operation.version;
        const basic_session<T, blocking> session(config);
        const json good = json::parse(operation.answer);
        std::vector<std::string> answers = wrong_answers(good);
        if (good.is_object() && good.contains("files") && good["files"].is_string()) { // JSON inside a text
            for (const std::string& inner : wrong_answers(json::parse(good["files"].get<std::string>()))) {
                json answer = good;
                answer["files"] = inner;
                answers.push_back(answer.dump());
            }
        }
        for (const std::string& answer : answers) {
            server.learn(hostile::answer(answer));
            const call_result result = result_of([&] { operation.run(session, places()); });
            ++count;
            refused += result.what == "protocol" ? 1U : 0U;
            if (is_fine(result)) continue;
            INFO(operation.name);
            INFO(answer.substr(0, 500));
            FAIL_CHECK(result.message);
        }
    }
    MESSAGE(count << " answers, " << refused << " of them refused");
    CHECK(refused * 4 > count); // what is wrong is seen
}

TEST_CASE_TEMPLATE("hostile answers: wrong types in every field of a problem document", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    parrot server;
    const basic_session<T, blocking> session(config_for(server.endpoint()));
    const json problem = {
        {"type", "https://api.backend.ai/probs/graphql-error"},
        {"title", "no"},
        {"msg", "no"},
        {"data", {{{"message", "no"}, {"path", {"a"}}, {"locations", {{{"line", 1}, {"column", 2}}}}}}},
        {"agent-details", {{"type", "t"}, {"title", "late"}, {"exception", "e"}}}};
    for (const std::string& answer : wrong_answers(problem)) {
        server.learn(hostile::answer(answer, {}, "400 Bad Request"));
        INFO(answer.substr(0, 500));
        CHECK(result_of([&] { session.kernel("k1").get_info(); }).what == "api 400");
        CHECK(result_of([&] { session.admin().query("{ a }"); }).what == "api 400");
    }
}

TEST_CASE_TEMPLATE("hostile answers: wrong types in every field of a stream's messages", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    const json event = {{"status", "finished"},
                        {"exitCode", 0},
                        {"console", {{"stdout", "42\n"}}},
                        {"files", {{{"name", "f"}, {"url", "/f"}}}},
                        {"options", {{"is_password", false}}}};
    std::vector<std::string> messages = wrong_answers(event);
    for (const std::string& each : wrong_answers({{"type", "out"}, {"data", "aGk="}})) messages.push_back(each);
    std::size_t next = 0;
    std::mutex mutex;
    hostile::server server([&](peer& client) {
        const auto request = client.read_request(false);
        if (!request || request->has("/interrupt ")) {
            client.send(hostile::answer("{}"));
            return;
        }
        std::string message;
        {
            const std::lock_guard<std::mutex> lock(mutex);
            message = messages[next];
        }
        std::string frame = api_operations::websocket_head(request->head);
        codec::websocket_append_frame(frame, codec::websocket_opcode::text, true, message, nullptr);
        codec::websocket_append_frame(frame, codec::websocket_opcode::close, true, "\x03\xe8", nullptr);
        if (client.send(frame)) client.wait_for_end(std::chrono::seconds(5));
    });
    const basic_session<T, blocking> session(config_for(server.endpoint()));
    for (std::size_t i = 0; i < messages.size(); ++i) {
        {
            const std::lock_guard<std::mutex> lock(mutex);
            next = i;
        }
        INFO(messages[i].substr(0, 500));
        const std::string ran = result_of([&] {
                                    auto stream = session.kernel("k1").stream_execute("42");
                                    while (auto event_now = stream.next()) {
                                        if (event_now->status == run_status::waiting_input) stream.send_input("x");
                                    }
                                }).what;
        CHECK((ran == "ok" || ran == "protocol" || ran == "api 0" || ran == "connect" || ran == "closed"));
        const std::string read = result_of([&] {
                                     auto pty = session.kernel("k1").stream_pty();
                                     while (pty.read()) continue;
                                 }).what;
        CHECK((read == "ok" || read == "protocol" || read == "api 0"));
    }
}
