// Tunnels to services, end to end on each transport with sockets of its own.
#include "stream_support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using namespace stream_support;
using testing::fault_kind;

// What a tunnel tells of its connections.
class complaints {
public:
    void add(const error& e) {
        const std::lock_guard<std::mutex> lock(mutex_);
        texts_.emplace_back(e.what());
    }
    std::size_t count() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return texts_.size();
    }
    std::string last() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return texts_.empty() ? "" : texts_.back();
    }

private:
    mutable std::mutex mutex_;
    std::vector<std::string> texts_;
};

template <class T>
struct tunnel_fixture : fixture<T> {
    complaints wrong; // outlives the tunnels
    basic_kernel<T, blocking> kernel{this->make("bash")};

    tunnel_options options(tunnel_protocol protocol) {
        tunnel_options made;
        made.protocol = protocol;
        made.on_error = [this](const error& e) { wrong.add(e); };
        // A local side that has gone altogether looks like one that has ended its half.
        made.half_close_timeout = seconds(1);
        return made;
    }
    app_tunnel open(const std::string& app, tunnel_protocol protocol) {
        return app_tunnel(this->session, kernel.kernel_id(), app, options(protocol));
    }
};

std::string read_all(os::tcp_socket& socket) {
    std::string all;
    std::vector<char> buffer(65536);
    try {
        while (const std::size_t count = socket.read(buffer.data(), buffer.size())) all.append(buffer.data(), count);
    } catch (const std::system_error&) {
        all += "(reset)";
    }
    return all;
}

std::string fetch(std::uint16_t port, const std::string& path = "/") {
    os::tcp_socket socket = os::tcp_socket::connect_loopback(port);
    socket.write("GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    return read_all(socket);
}

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

std::string pattern(std::size_t size, unsigned seed) {
    std::string bytes(size, '\0');
    std::uint32_t state = seed * 2654435761U + 1;
    for (char& c : bytes) {
        state = state * 1664525U + 1013904223U;
        c = static_cast<char>(state >> 24U);
    }
    return bytes;
}

// Sends on one thread and reads on another until the other side ends.
std::string exchange(std::uint16_t port, const std::string& bytes) {
    os::tcp_socket socket = os::tcp_socket::connect_loopback(port);
    std::thread sender([&] {
        try {
            socket.write(bytes);
            socket.shutdown_writes();
        } catch (const std::system_error&) {
            // The comparison fails.
        }
    });
    std::string back;
    std::vector<char> buffer(65536);
    while (back.size() < bytes.size()) {
        const std::size_t count = socket.read(buffer.data(), buffer.size());
        if (count == 0) break;
        back.append(buffer.data(), count);
    }
    sender.join();
    return back;
}

} // namespace

TEST_CASE_TEMPLATE("app_tunnel: an HTTP service and a plain one", T, BACKENDAI_SOCKET_TRANSPORTS) {
    tunnel_fixture<T> here;
    const auto kernel = here.kernel;
    kernel.run("echo 'hello from there' > page.txt");
    const app_tunnel web = here.open("jupyter", tunnel_protocol::http);
    const std::string page = fetch(web.port(), "/page.txt");
    CHECK(page.substr(0, 15) == "HTTP/1.1 200 OK");
    CHECK(contains(page, "hello from there\n"));
    CHECK(contains(fetch(web.port(), "/missing"), "404"));
    const app_tunnel echo = here.open("echo", tunnel_protocol::tcp);
    CHECK(exchange(echo.port(), "to and fro") == "to and fro");
    const std::string large = pattern(5'000'000, 1);
    CHECK(exchange(echo.port(), large) == large);
    CHECK(here.wrong.count() == 0);
    CHECK(here.gateway.served("GET", "/stream/kernel/" + kernel.kernel_id() + "/httpproxy") == 2);
    CHECK(here.gateway.served("GET", "/stream/kernel/" + kernel.kernel_id() + "/tcpproxy") == 2);
    CHECK(soon([&] { return web.connections() == 0 && echo.connections() == 0; }));
    // By the service's own words on its protocol.
    for (const service_port& service : kernel.service_ports()) {
        const app_tunnel told(here.session, kernel.kernel_id(), service, here.options(tunnel_protocol::http));
        if (service.name == "echo") CHECK(exchange(told.port(), "again") == "again");
    }
}

TEST_CASE("the gateway sends what a service says in messages as large as the managers make them") {
    for (const bool is_modern : {false, true}) {
        testing::gateway_options acting;
        if (is_modern) acting.protocol = "v7.20230615";
        testing::gateway gateway(acting);
        std::atomic<bool> is_over{false};
        hostile::server fountain([&](hostile::peer& client) {
            client.send(std::string(1U << 20U, 'x'));
            while (!is_over && !client.stopping()) std::this_thread::sleep_for(milliseconds(2));
        });
        gateway.add_service("fountain", "tcp", fountain.port());
        api_config config = config_for(gateway);
        config.version = acting.protocol;
        session here(config);
        const auto kernel = here.kernel().get_or_create("bash");
        const std::string path = std::string(is_modern ? "/stream/session/" : "/stream/kernel/") + kernel.kernel_id();
        const auto stream = request(here, "GET", path + "/tcpproxy?app=fountain").connect_websocket();
        std::size_t largest = 0;
        for (std::size_t got = 0; got < (1U << 20U);) {
            const stream_message message = stream->receive();
            REQUIRE(message.is_binary());
            largest = (std::max)(largest, message.data.size());
            got += message.data.size();
        }
        is_over = true;
        if (is_modern) CHECK(largest > 8192);
        if (!is_modern) CHECK(largest == 8192);
    }
}

TEST_CASE_TEMPLATE("app_tunnel: what cannot be right", T, BACKENDAI_SOCKET_TRANSPORTS) {
    tunnel_fixture<T> here;
    const auto make = [&](const std::string& app, const std::string& bind, std::uint16_t port) {
        tunnel_options options;
        options.bind = bind;
        options.port = port;
        return result_of([&] { app_tunnel(here.session, "id", app, options); }).what;
    };
    CHECK(make("", "127.0.0.1", 0) == "argument");
    CHECK(make("a\nb", "127.0.0.1", 0) == "argument");
    CHECK(make("app", "localhost", 0) == "argument");
    CHECK(make("app", "192.0.2.1", 0) == "io");
    const app_tunnel first = here.open("echo", tunnel_protocol::tcp);
    CHECK(make("app", "127.0.0.1", first.port()) == "io");
    CHECK(make("app", "127.0.0.1", 0) == "ok");
}

TEST_CASE_TEMPLATE("app_tunnel: half-close, in both directions", T, BACKENDAI_SOCKET_TRANSPORTS) {
    tunnel_fixture<T> here;
    // A service that answers when it has heard the request, long after the local side's end of it.
    hostile::server slow([](hostile::peer& client) {
        std::string heard;
        while (!contains(heard, "end")) {
            const std::string more = client.read_some();
            if (more.empty()) return;
            heard += more;
        }
        for (int i = 0; i < 5; ++i) {
            client.wait_for_end(milliseconds(30));
            client.send("part" + std::to_string(i) + ' ');
        }
    });
    here.gateway.add_service("slow", "tcp", slow.port());
    const app_tunnel tunnel = here.open("slow", tunnel_protocol::tcp);
    {
        os::tcp_socket socket = os::tcp_socket::connect_loopback(tunnel.port());
        socket.write("the end");
        socket.shutdown_writes();
        CHECK(read_all(socket) == "part0 part1 part2 part3 part4 ");
    }
    // A service that ends its half first: what it said arrives, and the local side learns of the end.
    hostile::server brief([](hostile::peer& client) {
        client.send("that is all");
        client.end_writes();
        client.wait_for_end(seconds(5));
    });
    here.gateway.add_service("brief", "tcp", brief.port());
    const app_tunnel other = here.open("brief", tunnel_protocol::tcp);
    os::tcp_socket socket = os::tcp_socket::connect_loopback(other.port());
    CHECK(read_all(socket) == "that is all");
    CHECK(here.wrong.count() == 0);
    // One that says nothing after the local end is not waited for longer than half_close_timeout.
    hostile::server mute([](hostile::peer& client) { client.stall(); });
    here.gateway.add_service("mute", "tcp", mute.port());
    tunnel_options options = here.options(tunnel_protocol::tcp);
    options.half_close_timeout = milliseconds(100);
    const app_tunnel last(here.session, here.kernel.kernel_id(), "mute", options);
    os::tcp_socket impatient = os::tcp_socket::connect_loopback(last.port());
    impatient.shutdown_writes();
    CHECK(read_all(impatient).empty());
    CHECK(soon([&] { return last.connections() == 0; }));
}

TEST_CASE_TEMPLATE("app_tunnel: a side that does not read stops the other", T, BACKENDAI_SOCKET_TRANSPORTS) {
    tunnel_fixture<T> here;
    constexpr std::size_t size = std::size_t{192} << 20U;
    const std::string block(std::size_t{1} << 20U, 'x');
    // Down: a service that sends all it can to a local side that does not read.
    std::atomic<std::size_t> sent{0}, received{0};
    std::atomic<bool> reads{false};
    hostile::server fountain([&](hostile::peer& client) {
        while (sent < size && client.send(block)) sent += block.size();
    });
    // Up: a service that does not read.
    hostile::server sink([&](hostile::peer& client) {
        while (!reads && !client.stopping()) std::this_thread::sleep_for(milliseconds(5));
        for (std::string more = client.read_some(); !more.empty(); more = client.read_some()) received += more.size();
    });
    here.gateway.add_service("fountain", "tcp", fountain.port());
    here.gateway.add_service("sink", "tcp", sink.port());
    const auto settle = [](const std::atomic<std::size_t>& counter) {
        std::size_t before = static_cast<std::size_t>(-1);
        while (before != counter) {
            before = counter;
            std::this_thread::sleep_for(milliseconds(300));
        }
    };
    const app_tunnel down = here.open("fountain", tunnel_protocol::tcp);
    os::tcp_socket reader = os::tcp_socket::connect_loopback(down.port());
    settle(sent);
    CHECK(sent < size / 2); // what buffers there are on the way hold; the rest is where it was
    std::size_t got = 0;
    std::vector<char> buffer(std::size_t{1} << 20U);
    while (const std::size_t count = reader.read(buffer.data(), buffer.size())) got += count;
    CHECK(got == size);

    const app_tunnel up = here.open("sink", tunnel_protocol::tcp);
    os::tcp_socket writer = os::tcp_socket::connect_loopback(up.port());
    std::atomic<std::size_t> written{0};
    std::thread sender([&] {
        while (written < size) {
            writer.write(block);
            written += block.size();
        }
        writer.shutdown_writes();
    });
    settle(written);
    CHECK(written < size / 2);
    reads = true;
    sender.join();
    CHECK(soon([&] { return received == size; }));
}

TEST_CASE_TEMPLATE("app_tunnel: refusals are told to the local side and to the program", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    tunnel_fixture<T> here;
    std::uint16_t nobody = 0;
    { nobody = os::tcp_socket::listen_loopback(0).local_port(); }
    here.gateway.add_service("shut", "http", nobody);
    const app_tunnel shut = here.open("shut", tunnel_protocol::http);
    const std::string refused = fetch(shut.port());
    CHECK(refused.substr(0, 24) == "HTTP/1.1 502 Bad Gateway");
    CHECK(contains(refused, "1014"));
    CHECK(contains(here.wrong.last(), "refused the connection"));
    CHECK(here.wrong.count() == 1);
    // A client that speaks no HTTP gets no HTTP.
    const app_tunnel plain = here.open("shut", tunnel_protocol::tcp);
    os::tcp_socket socket = os::tcp_socket::connect_loopback(plain.port());
    CHECK(read_all(socket).empty());
    CHECK(here.wrong.count() == 2);
    // No such service, no such session.
    const app_tunnel unknown = here.open("no-such-app", tunnel_protocol::http);
    CHECK(fetch(unknown.port()).substr(0, 22) == "HTTP/1.1 404 Not Found");
    CHECK(contains(here.wrong.last(), "404"));
    const app_tunnel web = here.open("jupyter", tunnel_protocol::http);
    CHECK(contains(fetch(web.port()), "200 OK"));
    here.kernel.destroy();
    const std::string gone = fetch(web.port());
    CHECK(gone.substr(0, 22) == "HTTP/1.1 404 Not Found");
    CHECK(contains(gone, "No such kernel"));
}

TEST_CASE_TEMPLATE("app_tunnel: a session that goes away ends its connections", T, BACKENDAI_SOCKET_TRANSPORTS) {
    tunnel_fixture<T> here;
    const app_tunnel echo = here.open("echo", tunnel_protocol::tcp);
    os::tcp_socket socket = os::tcp_socket::connect_loopback(echo.port());
    socket.write("x");
    char byte = 0;
    REQUIRE(socket.read(&byte, 1) == 1);
    here.kernel.destroy();
    CHECK(read_all(socket).find('x') == std::string::npos);
    CHECK(soon([&] { return echo.connections() == 0; }));
}

TEST_CASE_TEMPLATE("app_tunnel: faults of the websocket end the connection, and only that", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    tunnel_fixture<T> here;
    const app_tunnel web = here.open("jupyter", tunnel_protocol::http);
    const auto meets = [&](fault_kind kind) {
        here.inject(kind);
        const std::size_t before = here.wrong.count();
        const std::string answer = fetch(web.port());
        CHECK(soon([&] { return here.wrong.count() == before + 1; }));
        return answer.substr(0, 12);
    };
    CHECK(meets(fault_kind::websocket_drop) == "HTTP/1.1 502");
    CHECK(meets(fault_kind::websocket_bad_frame) == "HTTP/1.1 502");
    CHECK(meets(fault_kind::websocket_oversized_frame) == "HTTP/1.1 502");
    CHECK(meets(fault_kind::websocket_close) == "HTTP/1.1 502");
    CHECK(contains(fetch(web.port()), "200 OK"));
}

TEST_CASE_TEMPLATE("app_tunnel: stops with connections open, by itself, by a cancel and with the session", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    tunnel_fixture<T> here;
    for (int way = 0; way < 4; ++way) {
        const cancel_source source;
        call_options stop;
        stop.cancel = source.token();
        auto session = std::make_unique<basic_session<T, blocking>>(config_for(here.gateway));
        std::optional<app_tunnel> tunnel(std::in_place, session->with(stop), here.kernel.kernel_id(), "echo",
                                         here.options(tunnel_protocol::tcp));
        const std::uint16_t port = tunnel->port();
        std::vector<os::tcp_socket> sockets;
        for (int i = 0; i < 10; ++i) {
            sockets.push_back(os::tcp_socket::connect_loopback(port));
            sockets.back().write("x");
            char byte = 0;
            REQUIRE(sockets.back().read(&byte, 1) == 1);
        }
        CHECK(tunnel->connections() == 10);
        const auto start = std::chrono::steady_clock::now();
        if (way == 0) tunnel->stop();
        if (way == 1) tunnel.reset();
        if (way == 2) source.cancel();
        if (way == 3) session->close();
        for (os::tcp_socket& socket : sockets) read_all(socket);
        CHECK(std::chrono::steady_clock::now() - start < seconds(5));
        if (way < 3) {
            if (tunnel) tunnel->stop();
            CHECK_THROWS_AS(os::tcp_socket::connect_loopback(port), std::system_error);
        }
        if (tunnel) CHECK(soon([&] { return tunnel->connections() == 0; }));
        CHECK(soon([&] { return here.gateway.open_streams() == 0; }));
    }
    CHECK(here.wrong.count() == 0);
}

TEST_CASE_TEMPLATE("app_tunnel: stopped by two threads at once, it is over for both", T, BACKENDAI_SOCKET_TRANSPORTS) {
    tunnel_fixture<T> here;
    for (int round = 0; round < 10; ++round) {
        app_tunnel tunnel = here.open("echo", tunnel_protocol::tcp);
        const std::uint16_t port = tunnel.port();
        std::vector<os::tcp_socket> sockets;
        for (int i = 0; i < 5; ++i) {
            sockets.push_back(os::tcp_socket::connect_loopback(port));
            sockets.back().write("x");
            char byte = 0;
            REQUIRE(sockets.back().read(&byte, 1) == 1);
        }
        std::atomic<int> ready{0}, wrong{0};
        const auto stop = [&] {
            ++ready;
            while (ready < 2) std::this_thread::yield();
            try {
                tunnel.stop();
                if (tunnel.connections() != 0) ++wrong;
                os::tcp_socket::connect_loopback(port);
                ++wrong; // it still listens
            } catch (const std::system_error& e) {
                if (e.code() != std::errc::connection_refused) ++wrong;
            }
        };
        std::thread other(stop);
        stop();
        other.join();
        CHECK(wrong == 0);
        for (os::tcp_socket& socket : sockets) read_all(socket);
    }
    CHECK(here.wrong.count() == 0);
}

TEST_CASE_TEMPLATE("app_tunnel: 200 connections at once, and not more than allowed", T, BACKENDAI_SOCKET_TRANSPORTS) {
    tunnel_fixture<T> here;
    tunnel_options options = here.options(tunnel_protocol::tcp);
    options.max_connections = 200;
    const app_tunnel echo(here.session, here.kernel.kernel_id(), "echo", options);
    constexpr std::size_t count = 200;
    std::vector<os::tcp_socket> sockets;
    for (std::size_t i = 0; i < count; ++i) sockets.push_back(os::tcp_socket::connect_loopback(echo.port()));
    for (std::size_t i = 0; i < count; ++i) sockets[i].write(pattern(20'000, static_cast<unsigned>(i)));
    std::size_t good = 0;
    std::vector<char> buffer(65536);
    for (std::size_t i = 0; i < count; ++i) {
        std::string back;
        while (back.size() < 20'000) {
            const std::size_t n = sockets[i].read(buffer.data(), buffer.size());
            if (n == 0) break;
            back.append(buffer.data(), n);
        }
        good += back == pattern(20'000, static_cast<unsigned>(i)) ? 1 : 0;
    }
    CHECK(good == count);
    CHECK(echo.connections() == count);
    CHECK(here.gateway.open_streams() == count);
    os::tcp_socket one_more = os::tcp_socket::connect_loopback(echo.port());
    CHECK(read_all(one_more).empty());
    CHECK(contains(here.wrong.last(), "too many connections"));
    sockets.resize(100);
    CHECK(soon([&] { return echo.connections() == 100; }));
    CHECK(exchange(echo.port(), "room again") == "room again");
}

TEST_CASE_TEMPLATE("app_tunnel: a gateway that dies ends all connections", T, BACKENDAI_SOCKET_TRANSPORTS) {
    auto gateway = std::make_unique<testing::gateway>();
    basic_session<T, blocking> session(config_for(*gateway));
    const auto kernel = session.kernel().get_or_create("bash");
    complaints wrong;
    tunnel_options options;
    options.protocol = tunnel_protocol::tcp;
    options.on_error = [&](const error& e) { wrong.add(e); };
    const app_tunnel echo(session, kernel.kernel_id(), "echo", options);
    std::vector<os::tcp_socket> sockets;
    for (int i = 0; i < 50; ++i) {
        sockets.push_back(os::tcp_socket::connect_loopback(echo.port()));
        sockets.back().write("x");
        char byte = 0;
        REQUIRE(sockets.back().read(&byte, 1) == 1);
    }
    const auto start = std::chrono::steady_clock::now();
    gateway.reset();
    for (os::tcp_socket& socket : sockets) read_all(socket);
    CHECK(std::chrono::steady_clock::now() - start < seconds(15));
    CHECK(soon([&] { return echo.connections() == 0; }));
    // Later ones are told that nobody is there.
    os::tcp_socket late = os::tcp_socket::connect_loopback(echo.port());
    CHECK(read_all(late).empty());
    CHECK(soon([&] { return wrong.count() > 0; }));
}
