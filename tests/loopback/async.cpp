// Sessions in async mode, end to end on each transport with sockets of its own: real interpreters, time limits,
// cancels, fan-out, and the end of a session at any moment.
#include "stream_support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace stream_support;

template <class T>
struct async_fixture {
    using session_type = basic_session<T, async>;
    using kernel_type = basic_kernel<T, async>;

    testing::gateway gateway;
    session_type session{config(4)};

    api_config config(std::uint32_t threads) {
        api_config made = config_for(gateway);
        made.async_threads = threads;
        return made;
    }
};

template <class Future>
std::string end_of(Future& result) {
    return result_of([&] { result.get(); }).what;
}

} // namespace

TEST_CASE_TEMPLATE("async: the life of a compute session in futures", T, BACKENDAI_SOCKET_TRANSPORTS) {
    async_fixture<T> here;
    auto ran = here.session.kernel().get_or_create("python").then([](typename async_fixture<T>::kernel_type kernel) {
        return kernel.run("print(6 * 7)").then([kernel](const run_result& result) {
            return kernel.destroy().then([result](const destroy_result&) { return result.out; });
        });
    });
    CHECK(ran.get() == "42\n");
    CHECK(here.gateway.live_sessions() == 0);
    CHECK(here.session.hello().get().version == "v4.20190315");
    auto missing = here.session.kernel("no-such-session").get_info();
    CHECK(end_of(missing) == "api 404");
    auto listed = here.session.admin().query("{ agents { id } }");
    CHECK(listed.get().contains("agents"));
}

TEST_CASE_TEMPLATE("async: streams are opened by a future, and their calls return futures", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    async_fixture<T> here;
    const auto kernel = here.session.kernel().get_or_create("bash").get();
    auto stream = kernel.stream_execute("read -p 'who? ' name; echo streamed $name").get();
    std::string out;
    while (const auto event = stream.next().get()) {
        for (const console_record& record : event->console) out += record.payload;
        if (event->status == run_status::waiting_input) stream.send_input("to me"); // need not be waited for
    }
    CHECK(out.find("streamed to me\n") != std::string::npos);
    CHECK_FALSE(stream.next().get());
    auto pty = kernel.stream_pty().get();
    pty.resize(40, 132);
    pty.write("stty size; echo $((8*8))\n");
    std::string shown;
    while (shown.find("\n64") == std::string::npos) shown += pty.read().get().value();
    CHECK(shown.find("40 132") != std::string::npos);
    std::optional<std::string> rest("x");
    while (rest && !rest->empty()) rest = pty.read_for(milliseconds(200)).get();
    CHECK(rest); // nothing more came, and it has not ended
    auto small = pty.resize(0, 1);
    CHECK(end_of(small) == "argument");
    CHECK_NOTHROW(pty.ping().get());
    pty.close().get();
    while (pty.read().get()) {
    }
    // The low level.
    const auto raw = request(here.session, "GET", "/stream/kernel/" + kernel.kernel_id() + "/tcpproxy?app=echo")
                         .connect_websocket()
                         .get();
    CHECK_FALSE(raw->receive_for(milliseconds(1)).get());
    auto back = raw->receive();
    raw->send_binary("there and back").get();
    CHECK(back.get().data == "there and back");
    auto not_text = raw->send_text("\xff");
    CHECK(end_of(not_text) == "argument");
    raw->close().get();
    CHECK(raw->receive().get().is_closed());
    // The tunnel has threads of its own, whatever the mode.
    tunnel_options options;
    options.protocol = tunnel_protocol::tcp;
    const app_tunnel echo(here.session, kernel.kernel_id(), "echo", options);
    os::tcp_socket socket = os::tcp_socket::connect_loopback(echo.port());
    socket.write("x");
    char byte = 0;
    CHECK(socket.read(&byte, 1) == 1);
    auto refused = here.session.kernel("none").stream_pty();
    CHECK(end_of(refused) == "api 404");
}

TEST_CASE_TEMPLATE("async: many streams wait while the session's only thread is free", T, BACKENDAI_SOCKET_TRANSPORTS) {
    async_fixture<T> here;
    basic_session<T, async> narrow(here.config(1));
    const auto owner = narrow.kernel().get_or_create("bash").get();
    std::vector<basic_pty_stream<async>> open;
    std::vector<future<std::optional<std::string>>> waiting;
    for (int i = 0; i < 8; ++i) {
        open.push_back(owner.stream_pty().get());
        std::string shown; // the prompt
        for (;;) {
            const auto bytes = open.back().read_for(milliseconds(300)).get();
            shown += bytes.value();
            if (bytes->empty() && !shown.empty()) break;
        }
        waiting.push_back(open.back().read());
    }
    CHECK(narrow.hello().get().version == "v4.20190315");
    for (const auto& each : waiting) CHECK_FALSE(each.ready());
    // A read that is given up loses nothing of what comes.
    waiting[0].cancel();
    CHECK(end_of(waiting[0]) == "cancelled");
    open[0].write("echo $((9*9))\n").get();
    std::string shown;
    while (shown.find("\n81") == std::string::npos) shown += open[0].read().get().value();
    CHECK(shown.find("echo $((9*9))") != std::string::npos); // from its first byte on
    // One is let go of, one is broken off; the session's end reaches the rest.
    open.erase(open.begin() + 1);
    CHECK(end_of(waiting[1]) == "cancelled");
    open[1].cancel();
    CHECK(end_of(waiting[2]) == "cancelled");
    narrow.close();
    for (std::size_t i = 3; i < 8; ++i) CHECK(end_of(waiting[i]) == "closed");
    auto late = open.back().write("x");
    CHECK(end_of(late) == "closed");
    open.clear();
    CHECK(soon([&] { return here.gateway.open_streams() == 0; }));
}

TEST_CASE_TEMPLATE("async: a stream that is left early interrupts the code", T, BACKENDAI_SOCKET_TRANSPORTS) {
    async_fixture<T> here;
    const auto kernel = here.session.kernel().get_or_create("python").get();
    const std::string path = "/kernel/" + kernel.kernel_id() + "/interrupt";
    for (int way = 0; way < 2; ++way) {
        auto stream = std::make_unique<basic_execute_stream<async>>(
            kernel.stream_execute("print('begun', flush=True)\nwhile True: pass").get());
        while (stream->next().get()->console.empty()) {
        }
        if (way == 0) {
            stream->close().get();
            while (stream->next().get()) {
            }
        }
        stream.reset();
        CHECK(here.gateway.served("POST", path) == static_cast<std::size_t>(way) + 1);
        CHECK(kernel.run("print('still here')").get().out == "still here\n");
    }
}

TEST_CASE_TEMPLATE("async: time limits and cancels reach calls that run and calls that wait", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    async_fixture<T> here;
    basic_session<T, async> narrow(here.config(1));
    const auto kernel = narrow.kernel().get_or_create("python").get();
    const std::string interrupts = "/kernel/" + kernel.kernel_id() + "/interrupt";
    std::atomic<bool> begun{false};
    run_handlers handlers;
    handlers.on_stdout = [&](std::string_view) { begun = true; };
    const std::string endless = "print('begun', flush=True)\nwhile True: pass";
    auto runs = kernel.run(endless, handlers);
    CHECK(soon([&] { return begun.load(); }));
    auto waits = narrow.hello();
    waits.cancel();
    CHECK(end_of(waits) == "cancelled");
    call_options limits;
    limits.timeout = milliseconds(50);
    auto late = narrow.with(limits).hello();
    CHECK(end_of(late) == "timeout");
    CHECK_FALSE(runs.ready());
    const auto start = std::chrono::steady_clock::now();
    runs.cancel();
    CHECK(end_of(runs) == "cancelled");
    CHECK(std::chrono::steady_clock::now() - start < milliseconds(200) + seconds(5));
    CHECK(soon([&] { return here.gateway.served("POST", interrupts) == 1; }));
    CHECK(kernel.run("print('usable')").get().out == "usable\n");
    // A limit on a step that stalls.
    testing::fault slow;
    slow.kind = testing::fault_kind::stall;
    here.gateway.inject(slow);
    limits.timeout = milliseconds(300);
    auto stalled = narrow.with(limits).kernel(kernel.kernel_id()).get_logs();
    CHECK(end_of(stalled) == "timeout");
    CHECK(narrow.hello().get().version == "v4.20190315");
}

TEST_CASE_TEMPLATE("async: a fan-out keeps to its width, as the gateway's peak shows", T, BACKENDAI_SOCKET_TRANSPORTS) {
    for (const std::size_t width : {std::size_t{1}, std::size_t{3}}) {
        async_fixture<T> here;
        std::vector<std::function<future<std::string>()>> jobs;
        for (int i = 0; i < 9; ++i) {
            jobs.emplace_back([&here, i] {
                return here.session.kernel().get_or_create("bash").then(
                    [i](typename async_fixture<T>::kernel_type kernel) {
                        return kernel.run("echo job " + std::to_string(i)).then([kernel](const run_result& result) {
                            return kernel.destroy().then([result](const destroy_result&) { return result.out; });
                        });
                    });
            });
        }
        auto ends = run_parallel(jobs, width);
        REQUIRE(ends.size() == 9);
        for (int i = 0; i < 9; ++i) {
            CHECK(ends[static_cast<std::size_t>(i)].get() == "job " + std::to_string(i) + "\n");
        }
        CHECK(here.gateway.created_sessions() == 9);
        CHECK(here.gateway.peak_sessions() == width);
    }
    // The same in blocking mode, on threads.
    fixture<T> there;
    std::vector<std::function<std::string()>> jobs(6, [&] {
        const auto kernel = there.make("bash");
        const std::string out = kernel.run("echo done").out;
        kernel.destroy();
        return out;
    });
    for (auto& end : run_parallel(jobs, 2)) CHECK(end.get() == "done\n");
    CHECK(there.gateway.peak_sessions() <= 2);
}

TEST_CASE_TEMPLATE("async: 1,000 calls in flight on 4 threads", T, BACKENDAI_SOCKET_TRANSPORTS) {
    async_fixture<T> here;
    std::vector<future<std::string>> calls;
    for (int i = 0; i < 1000; ++i) {
        const std::string text = std::to_string(i);
        calls.push_back(request(here.session, "POST", "/auth/test")
                            .set_json({{"echo", text}})
                            .fetch()
                            .then([](const response& answer) { return answer.json().at("echo").get<std::string>(); }));
    }
    int good = 0;
    for (int i = 0; i < 1000; ++i) {
        good += calls[static_cast<std::size_t>(i)].get() == std::to_string(i) ? 1 : 0;
    }
    CHECK(good == 1000);
    CHECK(here.gateway.connections() <= 8);
}

TEST_CASE_TEMPLATE("async: sessions cancelled and destroyed at random points", T, BACKENDAI_SOCKET_TRANSPORTS) {
    testing::gateway gateway;
    std::mt19937 random(20191);
    const int rounds = rounds_of(100);
    for (int round = 0; round < rounds; ++round) {
        api_config config = config_for(gateway);
        config.async_threads = 1 + static_cast<std::uint32_t>(random() % 4);
        config.retry.max_attempts = 1;
        auto session = std::make_unique<basic_session<T, async>>(config);
        const cancel_source source;
        call_options options;
        options.cancel = source.token();
        std::vector<future<std::string>> ends;
        for (int i = 0; i < 10; ++i) {
            ends.push_back(
                (i % 2 != 0 ? session->with(options).hello() : session->hello()).then([](future<server_info> done) {
                    return end_of(done);
                }));
        }
        const auto pause = std::chrono::microseconds(random() % 3000);
        const bool cancels = random() % 2 != 0;
        std::thread other([&] {
            std::this_thread::sleep_for(pause);
            if (cancels) source.cancel();
        });
        std::this_thread::sleep_for(std::chrono::microseconds(random() % 3000));
        session.reset();
        other.join();
        for (auto& end : ends) {
            REQUIRE(end.ready());
            const std::string what = end.get();
            const bool known = what == "ok" || what == "cancelled" || what == "closed";
            INFO(what);
            CHECK(known);
        }
    }
}

TEST_CASE_TEMPLATE("async: streams cancelled and sessions closed at random points", T, BACKENDAI_SOCKET_TRANSPORTS) {
    testing::gateway gateway;
    std::mt19937 random(20192);
    basic_session<T, blocking> owner(config_for(gateway));
    const auto kernel = owner.kernel().get_or_create("bash");
    const int rounds = rounds_of(60);
    for (int round = 0; round < rounds; ++round) {
        auto session = std::make_unique<basic_session<T, blocking>>(config_for(gateway));
        auto stream = std::make_unique<pty_stream>(session->kernel(kernel.kernel_id()).stream_pty());
        std::thread reader([&] {
            const std::string what = result_of([&] {
                                         while (stream->read()) {
                                         }
                                     }).what;
            const bool known = what == "ok" || what == "cancelled" || what == "closed";
            CHECK(known);
        });
        std::thread writer([&] {
            result_of([&] {
                for (;;) stream->write("echo something\n");
            });
        });
        std::this_thread::sleep_for(std::chrono::microseconds(random() % 5000));
        switch (random() % 3) {
        case 0: stream->cancel(); break;
        case 1: stream->close(); break;
        default: session->close();
        }
        reader.join();
        writer.join();
        if (random() % 2 != 0) session.reset();
        stream.reset();
    }
    CHECK(soon([&] { return gateway.open_streams() == 0; }));
}
