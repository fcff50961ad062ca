// Events of compute sessions over sockets: what happens, reconnecting, cancelling, servers that send no such stream.
#include "storage_bench.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <thread>

using backendai::testing::fault;
using backendai::testing::fault_kind;

namespace {

using std::chrono::milliseconds;

template <class Transport>
struct event_bench {
    explicit event_bench(backendai::testing::gateway_options options = storage_bench::modern())
        : server(std::move(options)), sessions(storage_bench::config_of(server)), listener(listens()) {}

    backendai::api_config listens() const {
        backendai::api_config config = storage_bench::config_of(server);
        config.sleeper = {};
        config.retry.base_delay = milliseconds(1);
        return config;
    }
    auto create(const std::string& token) {
        backendai::create_options options;
        options.client_token = token;
        return sessions.kernel().get_or_create("python:3.6-ubuntu", options);
    }
    // A whole answer, as a server would send it.
    void answer_once(const std::string& body, const std::string& type = "text/event-stream") {
        fault item;
        item.kind = fault_kind::raw;
        item.path_prefix = "/events/";
        item.bytes = "HTTP/1.1 200 OK\r\nContent-Type: " + type + "\r\nConnection: close\r\n\r\n" + body;
        server.inject(item);
    }
    void inject(fault_kind kind, int times, int status = 503, int skip = 0) {
        fault item;
        item.kind = kind;
        item.path_prefix = "/events/";
        item.times = times;
        item.status = status;
        item.skip = skip;
        server.inject(item);
    }

    backendai::testing::gateway server;
    backendai::session sessions;
    backendai::basic_session<Transport, backendai::blocking> listener;
};

std::vector<std::string> names_until(backendai::event_stream& stream, const std::string& last) {
    std::vector<std::string> names;
    for (auto&& event : stream) {
        names.push_back(event.name);
        if (event.name == last) break;
    }
    return names;
}

std::string event_text(const std::string& name, const std::string& session = "s") {
    return "event: " + name + "\r\ndata: {\"sessionName\": \"" + session + "\", \"exitCode\": null}\r\n\r\n";
}

// A transport without sockets: each exchange is a connection on which a function tells events.
struct event_source {
    using receiver = std::function<void(const std::string&)>;
    explicit event_source(std::function<void(const receiver&)> made) : play(std::move(made)) {}

    backendai::response_head exchange(backendai::http_request&, backendai::body_sink& sink,
                                      const backendai::exchange_context& context) const {
        context.check();
        backendai::response_head head;
        head.status = 200;
        head.headers = {{"Content-Type", "text/event-stream"}};
        sink.on_head(head);
        play([&sink](const std::string& bytes) { sink.on_data(bytes); });
        return head;
    }
    std::function<void(const receiver&)> play;
};

} // namespace

TEST_CASE_TEMPLATE("events: the life of a compute session", T, BACKENDAI_SOCKET_TRANSPORTS) {
    event_bench<T> b;
    auto all = b.listener.kernel().events();
    auto one = b.listener.kernel("session-two").events();
    backendai::event_options only;
    only.scope = "session";
    auto scoped = b.listener.kernel().events(only);
    CHECK(b.server.event_listeners() == 3);
    b.create("session-one").destroy();
    b.create("session-two").destroy();
    const std::vector<std::string> life = {"kernel_preparing",    "kernel_creating",    "kernel_started",
                                           "session_terminating", "kernel_terminating", "kernel_terminated",
                                           "session_terminated"};
    CHECK(names_until(all, "session_terminated") == life);
    CHECK(names_until(all, "session_terminated") == life);
    CHECK(names_until(one, "session_terminated") == life);
    CHECK(names_until(scoped, "session_terminated") == std::vector<std::string>{life[3], life[6]});
    const auto none = all.next_for(milliseconds(10));
    CHECK_FALSE(none);
    CHECK_FALSE(all.over());
    const auto kernel = b.create("session-two");
    auto of_handle = b.listener.kernel(kernel.kernel_id()).events(); // by its UUID
    auto of_other = b.listener.kernel("01234567-89ab-cdef-0123-456789abcdef").events();
    CHECK(result_of([&] { kernel.destroy(); }).what == "ok");
    CHECK(names_until(of_handle, "session_terminated") == std::vector<std::string>(life.begin() + 3, life.end()));
    CHECK_FALSE(of_other.next_for(milliseconds(20)));
    const auto event = one.next_for(milliseconds::max()); // which is later than the clock can tell
    REQUIRE(event);
    CHECK(event->session_name == "session-two");
    CHECK(event->owner_access_key == b.server.access_key());
    CHECK_FALSE(event->exit_code);
    CHECK(event->raw.contains("reason"));
}

TEST_CASE_TEMPLATE("events: a stream that ends is connected anew, and goes on behind the last event", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    auto options = storage_bench::modern();
    options.event_ids = true;
    options.event_ping = milliseconds(20); // comments between
    event_bench<T> b(options);
    auto stream = b.listener.kernel().events();
    for (const bool in_order : {true, false}) {
        b.create("session-one");
        CHECK(names_until(stream, "kernel_started").size() == 3);
        b.server.end_event_streams(in_order);
        b.sessions.kernel("session-one").destroy(); // while nobody listens, perhaps
        CHECK(names_until(stream, "session_terminated").size() == 4);
    }
    CHECK(b.server.received("GET", "/events/session") == 3);
    b.inject(fault_kind::status, 2);
    b.inject(fault_kind::drop_before_handling, 1);
    b.server.end_event_streams(false);
    b.create("session-one");
    CHECK(names_until(stream, "kernel_started").size() == 3);
}

TEST_CASE_TEMPLATE("events: as futures, while the session's only thread is free", T, BACKENDAI_SOCKET_TRANSPORTS) {
    event_bench<T> b;
    backendai::api_config config = b.listener.config();
    config.async_threads = 1;
    backendai::basic_session<T, backendai::async> session(config);
    auto stream = session.kernel().events().get();
    CHECK_FALSE(stream.next_for(milliseconds(1)).get());
    CHECK_FALSE(stream.over());
    auto given_up = stream.next();
    given_up.cancel();
    CHECK(result_of([&] { given_up.get(); }).what == "cancelled");
    auto first = stream.next();
    CHECK(session.protocol_version().get() == *config.version);
    b.create("session-one");
    CHECK(first.get()->name == "kernel_preparing"); // what was given up took nothing away
    CHECK(stream.next().get()->name == "kernel_creating");
    CHECK(stream.next().get()->name == "kernel_started");
    auto last = stream.next();
    session.close();
    CHECK(result_of([&] { last.get(); }).what == "closed");
}

TEST_CASE_TEMPLATE("events: reconnecting has an end", T, BACKENDAI_SOCKET_TRANSPORTS) {
    event_bench<T> b;
    backendai::event_options few;
    few.max_reconnects = 2;
    SUBCASE("when there is no server any more") {
        auto stream = b.listener.kernel().events(few);
        b.inject(fault_kind::drop_before_handling, -1);
        b.server.end_event_streams(false);
        CHECK(result_of([&] { stream.next(); }).what == "connect");
        CHECK(result_of([&] { stream.next(); }).what == "connect"); // and so it stays
    }
    SUBCASE("when it ends each stream without an event") {
        for (int i = 0; i < 10; ++i) b.answer_once(": nothing\n\n");
        auto stream = b.listener.kernel().events(few);
        CHECK(result_of([&] { stream.next(); }).what == "connect");
        CHECK(b.server.received("GET", "/events/session") == 3);
    }
    SUBCASE("not as long as events come") {
        for (int i = 0; i < 8; ++i) b.answer_once("retry: 1\n" + event_text("n" + std::to_string(i)));
        auto stream = b.listener.kernel().events(few);
        CHECK(names_until(stream, "n7").size() == 8);
    }
    SUBCASE("when the server refuses") {
        auto stream = b.listener.kernel().events(few);
        b.inject(fault_kind::status, -1, 403);
        b.server.end_event_streams(false);
        CHECK(result_of([&] { stream.next(); }).what == "api 403");
    }
    SUBCASE("when the server says that there is no more") {
        b.answer_once(event_text("a") + event_text("server_close") + event_text("b"));
        auto stream = b.listener.kernel().events(few);
        CHECK(stream.next());
        CHECK_FALSE(stream.next());
        CHECK(stream.over());
        CHECK_FALSE(stream.next());
    }
    SUBCASE("when the server has nothing to tell, and says not to come again") {
        b.answer_once(event_text("a"));
        b.inject(fault_kind::status, 1, 204);
        auto stream = b.listener.kernel().events(few);
        CHECK(stream.next());
        CHECK_FALSE(stream.next());
        CHECK(stream.over());
    }
}

TEST_CASE("events: a server that ends each connection after one event is not asked all the time") {
    auto config = storage_bench::config_of(backendai::testing::gateway(storage_bench::modern()));
    config.retry.base_delay = milliseconds(10);
    config.jitter = [] { return 0.0; };
    backendai::basic_session<event_source, backendai::blocking> session(
        config, event_source([](const event_source::receiver& send) { send("retry: 0\n" + event_text("e")); }));
    const auto start = std::chrono::steady_clock::now();
    auto stream = session.kernel().events();
    for (int i = 0; i < 5; ++i) CHECK(stream.next());
    CHECK(std::chrono::steady_clock::now() - start >= milliseconds(10 + 20 + 40 + 80));
}

TEST_CASE("events: what waits to be taken is bounded in bytes, and nothing of it is lost") {
    const auto sent = std::make_shared<std::atomic<int>>(0);
    const std::string large = "event: e\ndata: {\"reason\": \"" + std::string(1'000'000, 'x') + "\"}\n\n";
    auto config = storage_bench::config_of(backendai::testing::gateway(storage_bench::modern()));
    backendai::basic_session<event_source, backendai::blocking> session(
        config, event_source([&large, sent](const event_source::receiver& send) {
            for (; *sent < 20; ++*sent) send(large);
            send(event_text("server_close"));
        }));
    auto stream = session.kernel().events();
    while (*sent < 5) std::this_thread::yield();
    std::this_thread::sleep_for(milliseconds(50)); // in which all the others would come
    CHECK(*sent == 5);
    int taken = 0;
    for (auto&& event : stream) taken += event.reason.size() == 1'000'000 ? 1 : 0;
    CHECK(taken == 20);
}

TEST_CASE_TEMPLATE("events: what is no such stream is an error, at once", T, BACKENDAI_SOCKET_TRANSPORTS) {
    event_bench<T> b;
    const auto opening = [&] { return result_of([&] { b.listener.kernel().events(); }).what; };
    b.answer_once("{\"events\":[]}", "application/json");
    CHECK(opening() == "protocol");
    b.inject(fault_kind::status, 1, 404);
    CHECK(opening() == "api 404");
    backendai::event_options once; // else the stream before would come back and take the next one's answer
    once.max_reconnects = 0;
    b.answer_once("event: a\ndata: no json\n\n");
    auto bad = b.listener.kernel().events(once);
    CHECK(result_of([&] { bad.next(); }).what == "protocol");
    b.answer_once("data: [1]\n\n");
    auto list = b.listener.kernel().events(once);
    CHECK(result_of([&] { list.next(); }).what == "protocol");
    b.answer_once("data: " + std::string(2'000'000, 'x'));
    auto large = b.listener.kernel().events(once);
    CHECK(result_of([&] { large.next(); }).what == "protocol");
    const auto wrong = [&](const std::string& scope, int reconnects) {
        backendai::event_options options;
        options.scope = scope;
        options.max_reconnects = reconnects;
        return result_of([&] { b.listener.kernel().events(options); }).what;
    };
    CHECK(wrong("all", 1) == "argument");
    CHECK(wrong("*", -1) == "argument");
    CHECK(result_of([&] { b.listener.kernel("a\nb").events(); }).what == "argument");
    backendai::session old(files_bench::config_of(b.server.endpoint()));
    CHECK(result_of([&] { old.kernel().events(); }).what == "argument"); // not in 19.03
    backendai::event_options other;
    other.owner_access_key = "AKIASOMEBODYELSE0000";
    CHECK_NOTHROW(b.listener.kernel().events(other)); // an administrator may
}

TEST_CASE_TEMPLATE("events: waiting ends by cancel, close and time limit, from any thread", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    event_bench<T> b;
    const auto soon = [](auto work) {
        return std::thread([work] {
            std::this_thread::sleep_for(milliseconds(50));
            work();
        });
    };
    const auto start = std::chrono::steady_clock::now();
    SUBCASE("the stream's own") {
        auto stream = b.listener.kernel().events();
        std::thread other = soon([&] { stream.cancel(); });
        CHECK(result_of([&] { stream.next(); }).what == "cancelled");
        other.join();
        CHECK(result_of([&] { stream.next(); }).what == "cancelled");
    }
    SUBCASE("a token's, which holds for the stream's life") {
        const backendai::cancel_source stop;
        auto stream = b.listener.with({{}, stop.token(), {}}).kernel().events();
        std::thread other = soon([&] { stop.cancel(); });
        CHECK(result_of([&] { stream.next(); }).what == "cancelled");
        other.join();
    }
    SUBCASE("the session's close") {
        auto stream = b.listener.kernel().events();
        std::thread other = soon([&] { b.listener.close(); });
        CHECK(result_of([&] { stream.next(); }).what == "closed");
        other.join();
    }
    SUBCASE("the session's close, when nobody takes the events") {
        std::string many;
        for (int i = 0; i < 5000; ++i) many += event_text("n");
        b.answer_once(many);
        auto stream = b.listener.kernel().events();
        std::this_thread::sleep_for(milliseconds(100));
        b.listener.close();
        CHECK(stream.next()); // what had come is there
    }
    SUBCASE("destruction, when nobody takes the events") {
        std::string many;
        for (int i = 0; i < 5000; ++i) many += event_text("n");
        b.answer_once(many);
        b.listener.kernel().events();
    }
    SUBCASE("a time limit, which is the opening's") {
        auto stream = b.listener.with({milliseconds(300), {}, {}}).kernel().events();
        std::this_thread::sleep_for(milliseconds(400));
        b.create("session-one");
        CHECK(stream.next());
        b.inject(fault_kind::stall, 1);
        const auto limited = b.listener.with({milliseconds(100), {}, {}});
        CHECK(result_of([&] { limited.kernel().events(); }).what == "timeout");
    }
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(10));
}

TEST_CASE("events: in asynchronous mode the opening is a future") {
    event_bench<backendai::httplib_transport> b;
    backendai::async_session session(b.listens());
    auto stream = session.kernel().events().get();
    b.inject(fault_kind::stall, 1);
    auto opening = session.kernel().events();
    while (b.server.received("GET", "/events/session") < 2) std::this_thread::sleep_for(milliseconds(5));
    opening.cancel();
    CHECK(result_of([&] { opening.get(); }).what == "cancelled");
}
