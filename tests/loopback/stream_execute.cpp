// Runs over a websocket, end to end on each transport with sockets of its own.
#include "stream_support.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace stream_support;
using testing::fault_kind;

std::string text_of(const execute_result& event, const std::string& type) {
    std::string text;
    for (const console_record& record : event.console) {
        if (record.type == type) text += record.payload;
    }
    return text;
}

struct whole_run {
    std::string out, err;
    std::vector<run_status> phases; // but for `continued`
    std::optional<int> exit_code;
};

whole_run collect(execute_stream& stream) {
    whole_run run;
    for (auto&& event : stream) {
        run.out += text_of(event, "stdout");
        run.err += text_of(event, "stderr");
        if (event.status != run_status::continued) run.phases.push_back(event.status);
        if (event.exit_code) run.exit_code = event.exit_code;
    }
    return run;
}

} // namespace

TEST_CASE_TEMPLATE("stream_execute: events come while the code runs", T, BACKENDAI_SOCKET_TRANSPORTS) {
    fixture<T> here;
    const auto kernel = here.make();
    // The code goes on when the file is there, which is made when its first line has come.
    auto stream = kernel.stream_execute("import os, sys, time\n"
                                        "print('first', flush=True)\n"
                                        "while not os.path.exists('go'): time.sleep(0.01)\n"
                                        "print('problem', file=sys.stderr)\n"
                                        "raise SystemExit(3)\n");
    std::string out;
    while (out.find("first\n") == std::string::npos) {
        const auto event = stream.next();
        REQUIRE(event);
        CHECK(event->status == run_status::continued);
        CHECK(event->run_id.empty());
        out += text_of(*event, "stdout");
    }
    auto pty = kernel.stream_pty(); // a shell in the same folder
    pty.write("touch go; exit\n");
    const whole_run rest = collect(stream);
    CHECK(out + rest.out == "first\n");
    CHECK(rest.err == "problem\n");
    CHECK(rest.phases == std::vector<run_status>{run_status::finished});
    CHECK(rest.exit_code == 3);
    CHECK_FALSE(stream.next());
    CHECK(kernel.run("print('usable')").out == "usable\n");
}

TEST_CASE_TEMPLATE("stream_execute: the code asks and is answered", T, BACKENDAI_SOCKET_TRANSPORTS) {
    fixture<T> here;
    const auto kernel = here.make();
    auto stream = kernel.stream_execute("import getpass\n"
                                        "name = input('who? ')\n"
                                        "secret = getpass.getpass('word? ')\n"
                                        "print(name, secret)\n");
    std::vector<bool> passwords;
    std::string out;
    while (const auto event = stream.next()) {
        out += text_of(*event, "stdout");
        if (event->status != run_status::waiting_input) continue;
        // Without an answer there is nothing to wait for.
        CHECK(result_of([&] { stream.next(); }).what == "argument");
        CHECK(result_of([&] { stream.send_input("\xff"); }).what == "argument");
        passwords.push_back(event->is_password);
        stream.send_input(passwords.size() == 1 ? "Ad\xC3\xA9le" : "letmein");
    }
    CHECK(passwords == std::vector<bool>{false, true});
    CHECK(out.substr(out.size() - 15) == "Ad\xC3\xA9le letmein\n");
}

TEST_CASE_TEMPLATE("stream_execute: batch runs tell their phases", T, BACKENDAI_SOCKET_TRANSPORTS) {
    fixture<T> here;
    const auto kernel = here.make("bash");
    batch_commands commands;
    commands.clean = "rm -f made";
    commands.build = "echo built > made";
    commands.exec = "cat made; echo oops >&2; exit 5";
    auto stream = kernel.stream_execute(commands);
    const whole_run run = collect(stream);
    CHECK(run.phases ==
          std::vector<run_status>{run_status::clean_finished, run_status::build_finished, run_status::finished});
    CHECK(run.out == "built\n");
    CHECK(run.err == "oops\n");
    CHECK(run.exit_code == 5);
}

TEST_CASE_TEMPLATE("stream_execute: much output comes whole and in order", T, BACKENDAI_SOCKET_TRANSPORTS) {
    fixture<T> here;
    const auto kernel = here.make();
    auto stream = kernel.stream_execute("for i in range(40000): print(i)");
    const whole_run run = collect(stream);
    std::string wanted;
    for (int i = 0; i < 40000; ++i) wanted += std::to_string(i) + '\n';
    CHECK(run.out == wanted);
    CHECK(run.exit_code == 0);
}

TEST_CASE_TEMPLATE("stream_execute: an early end interrupts the code, and the session stays usable", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    fixture<T> here;
    const auto kernel = here.make();
    const std::string path = "/kernel/" + kernel.kernel_id() + "/interrupt";
    for (int way = 0; way < 3; ++way) {
        std::optional<execute_stream> stream(kernel.stream_execute("print('begun', flush=True)\nwhile True: pass"));
        for (auto&& event : *stream) {
            if (!text_of(event, "stdout").empty()) break;
        }
        if (way == 0) stream->close();
        if (way == 1) stream.reset();
        if (way == 2) {
            execute_stream moved = std::move(*stream);
            stream.reset();
            CHECK(here.gateway.served("POST", path) == 2);
        }
        if (stream) {
            CHECK_FALSE(stream->next());
            stream->close();
        }
        CHECK(kernel.run("print('still here')").out == "still here\n");
        CHECK(here.gateway.served("POST", path) == static_cast<std::size_t>(way) + 1);
    }
    // A run that is over is not interrupted any more.
    { kernel.stream_execute("pass").next(); }
    auto done = kernel.stream_execute("x = 1");
    collect(done);
    const std::size_t before = here.gateway.served("POST", path);
    done.close();
    CHECK(here.gateway.served("POST", path) == before);
}

TEST_CASE_TEMPLATE("stream_execute: what the server says in the stream becomes an error", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    fixture<T> here;
    const auto kernel = here.make();
    const auto said = [&](const std::string& message) {
        here.inject(fault_kind::websocket_message, 0, message);
        auto stream = kernel.stream_execute("print(1)");
        return result_of([&] {
            try {
                while (stream.next()) {
                }
            } catch (const api_error& e) {
                CHECK(e.title() == "words");
                CHECK(e.status() == 0);
                throw client_error(error_kind::io, e.type());
            }
        });
    };
    CHECK(said(R"({"status":"error","msg":"words"})").message.find("error") != std::string::npos);
    CHECK(said(R"({"status":"server-restarting","msg":"words"})").message.find("server-restarting") !=
          std::string::npos);
    CHECK(said("no JSON").what == "protocol");
    CHECK(said("[1]").what == "protocol");
    CHECK(said(R"({"status":"unheard-of"})").what == "protocol");
    CHECK(said(R"({"status":"continued","console":[7]})").what == "protocol");
    // What the gateway itself says of a command that it does not like.
    auto raw = request(here.session, "GET", "/stream/kernel/" + kernel.kernel_id() + "/execute").connect_websocket();
    raw->send_text(R"({"mode":"nonsense","code":"","options":{}})");
    CHECK(json::parse(raw->receive().data).at("status") == "error");
    CHECK(raw->receive().code == 1000);
}

TEST_CASE("stream_execute: the server's reason for a close commands no terminal") {
    const stream_message end{stream_message::type::closed, "\x1b]0;owned\a", 1011};
    const std::string text = detail::closed_early(end, "the terminal").what();
    CHECK(text.find("with code 1011: \\x1b]0;owned\\x07") != std::string::npos);
}

TEST_CASE_TEMPLATE("stream_execute: arguments that cannot be right open nothing", T, BACKENDAI_SOCKET_TRANSPORTS) {
    fixture<T> here;
    const auto kernel = here.session.kernel("some-id");
    CHECK(result_of([&] { kernel.stream_execute("x", execute_mode::input); }).what == "argument");
    CHECK(result_of([&] { kernel.stream_execute("x", execute_mode::query, json::array()); }).what == "argument");
    CHECK(result_of([&] { kernel.stream_execute("\xff"); }).what == "argument");
    CHECK(result_of([&] { here.session.kernel("").stream_execute("x"); }).what == "argument");
    CHECK(here.gateway.received() == 0);
}

TEST_CASE_TEMPLATE("stream_execute: a session that is not there is refused with the server's words", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    fixture<T> here;
    try {
        here.session.kernel("no-such-session").stream_execute("x");
        FAIL("a stream was opened");
    } catch (const api_error& e) {
        CHECK(e.status() == 404);
        CHECK(e.type() == "https://api.backend.ai/probs/kernel-not-found");
    }
}

TEST_CASE_TEMPLATE("stream_execute: faults of the connection", T, BACKENDAI_SOCKET_TRANSPORTS) {
    fixture<T> here;
    const auto kernel = here.make();
    const auto meets = [&](fault_kind kind, int status = 1011) {
        here.inject(kind, 1, "because", status);
        auto stream = kernel.stream_execute("import time\nprint(1, flush=True)\ntime.sleep(0.3)\nprint(2)");
        return result_of([&] {
            while (stream.next()) {
            }
        });
    };
    CHECK(meets(fault_kind::websocket_drop).what == "connect");
    CHECK(meets(fault_kind::websocket_bad_frame).what == "protocol");
    CHECK(meets(fault_kind::websocket_oversized_frame).what == "protocol");
    const call_result closed = meets(fault_kind::websocket_close);
    CHECK(closed.what == "connect");
    CHECK(closed.message.find("1011") != std::string::npos);
    CHECK(closed.message.find("because") != std::string::npos);
    CHECK(meets(fault_kind::websocket_close, 1000).what == "connect"); // an orderly end, but not of the run
    CHECK(kernel.run("print('usable')").out == "usable\n");
}

TEST_CASE_TEMPLATE("stream_execute: a stall ends by a cancel, by the session's end, and not by itself", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    fixture<T> here;
    const auto kernel = here.make();
    for (int way = 0; way < 3; ++way) {
        here.inject(fault_kind::websocket_stall);
        const cancel_source source;
        call_options options;
        options.cancel = source.token();
        auto own = std::make_unique<typename fixture<T>::session_type>(config_for(here.gateway));
        auto stream = own->with(options).kernel(kernel.kernel_id()).stream_execute("print(1)");
        call_result result;
        std::atomic<bool> begun{false};
        std::thread reader([&] {
            begun = true;
            result = result_of([&] { stream.next(); });
        });
        while (!begun) std::this_thread::yield();
        std::this_thread::sleep_for(milliseconds(20)); // most times it waits by then; before is right as well
        const auto start = std::chrono::steady_clock::now();
        if (way == 0) stream.cancel();
        if (way == 1) source.cancel();
        if (way == 2) own->close();
        reader.join();
        CHECK(std::chrono::steady_clock::now() - start < milliseconds(200) + seconds(2));
        CHECK(result.what == (way == 2 ? "closed" : "cancelled"));
    }
}

TEST_CASE_TEMPLATE("streams of an asynchronous session end by the cancel token under which they were opened", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    fixture<T> here;
    const std::string id = here.make().kernel_id();
    basic_session<T, backendai::async> session(config_for(here.gateway));
    const auto ended = [&](auto open, auto read) {
        here.inject(fault_kind::websocket_stall);
        const cancel_source source;
        call_options options;
        options.cancel = source.token();
        auto stream = open(session.with(options)).get();
        auto waits = read(stream);
        CHECK_FALSE(waits.wait_for(milliseconds(20)));
        source.cancel();
        REQUIRE(waits.wait_for(seconds(5)));
        return result_of([&] { waits.get(); }).what;
    };
    const std::string path = "/stream/kernel/" + id + "/pty";
    CHECK(ended([&](auto view) { return view.kernel(id).stream_execute("print(1)"); },
                [](auto& stream) { return stream.next(); }) == "cancelled");
    CHECK(ended([&](auto view) { return view.kernel(id).stream_pty(); }, [](auto& stream) { return stream.read(); }) ==
          "cancelled");
    CHECK(ended([&](auto view) { return request(view, "GET", path).connect_websocket(); },
                [](auto& stream) { return stream->receive(); }) == "cancelled");
    // One that is gone is no longer bound to it.
    const cancel_source source;
    {
        auto brief = session.with({{}, source.token(), {}}).kernel(id).stream_execute("print(1)").get();
        while (brief.next().get()) {
        }
    }
    source.cancel();
}

TEST_CASE_TEMPLATE("streams of an asynchronous session are let go of while their token is cancelled", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    fixture<T> here;
    const std::string id = here.make().kernel_id();
    basic_session<T, backendai::async> session(config_for(here.gateway));
    for (int round = 0; round < rounds_of(20); ++round) {
        const cancel_source source;
        std::thread other([&] {
            std::this_thread::sleep_for(std::chrono::microseconds(round * 499 % 6000));
            source.cancel();
        });
        const call_result result = result_of([&] {
            auto stream = session.with({{}, source.token(), {}}).kernel(id).stream_pty().get();
            stream.read().wait_for(milliseconds(round % 3));
        });
        CHECK((result.what == "ok" || result.what == "cancelled"));
        other.join();
    }
}

TEST_CASE_TEMPLATE("stream_execute: a session destroyed during the run ends the stream", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    fixture<T> here;
    const auto kernel = here.make();
    auto stream = kernel.stream_execute("print('begun', flush=True)\nwhile True: pass");
    while (text_of(stream.next().value(), "stdout").empty()) {
    }
    kernel.destroy();
    const call_result result = result_of([&] { collect(stream); });
    INFO(result.message);
    CHECK(result.what != "cancelled"); // told by an error, or as the run's end: as the gateway comes to notice
    CHECK(soon([&] { return here.gateway.open_streams() == 0; }));
}
