// The parts of tunnel.py: a tunnel, a service at its far end, and the two who use it from the near one.
//
//   bench-tunnel tunnel ID APP          a tunnel to a service of the session that BACKEND_* leads to: prints its port,
//                                       and when stdin ends the most memory that this process had
//   bench-tunnel echo                   a service that sends back what it gets: prints its port, until stdin ends
//   bench-tunnel carry PORT MIB         sends so much to an echo at that port and compares what comes back
//   bench-tunnel talk PORT N SIZE S     N connections, on each a message there and back, again and again for S seconds
#include <backendai.hpp>
#include <backendai/os/process.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

namespace {

using namespace backendai;
using clock_type = std::chrono::steady_clock;

double seconds_since(clock_type::time_point start) {
    return std::chrono::duration<double>(clock_type::now() - start).count();
}

void wait_for_end_of_input() {
    while (std::cin.get() != std::char_traits<char>::eof()) continue;
}

// In MiB; 0 where the system does not tell this way.
double peak_memory() {
    std::ifstream status("/proc/self/status");
    std::string word;
    while (status >> word) {
        double kib = 0;
        if (word == "VmHWM:" && status >> kib) return kib / 1024;
    }
    return 0;
}

int tunnel(const std::string& id, const std::string& app) {
    session here;
    tunnel_options options;
    options.protocol = tunnel_protocol::tcp;
    options.on_error = [](const error& e) { std::cerr << e.what() << '\n'; };
    const app_tunnel open(here, id, app, options);
    std::cout << open.port() << std::endl;
    const double before = peak_memory();
    wait_for_end_of_input();
    std::printf("memory: %.1f MiB before, %.1f MiB at most\n", before, peak_memory());
    return 0;
}

// --- the service -----------------------------------------------------------------------------------------------------

// Sends back all that comes without looking at it, and without a copy where the system can do that.
void send_back(os::tcp_socket& socket) {
    constexpr std::size_t size = std::size_t{256} << 10U;
#ifdef __linux__
    os::pipe_ends way = os::make_pipe();
    const auto move = [](int from, int to, std::size_t count) {
        const ssize_t moved = ::splice(from, nullptr, to, nullptr, count, SPLICE_F_MOVE);
        if (moved < 0) throw std::system_error(errno, std::system_category(), "splice");
        return static_cast<std::size_t>(moved);
    };
    while (std::size_t left = move(socket.handle(), way.write_end.get(), size)) {
        while (left != 0) left -= move(way.read_end.get(), socket.handle(), left);
    }
#else
    std::vector<char> buffer(size);
    while (const std::size_t count = socket.read(buffer.data(), buffer.size())) socket.write({buffer.data(), count});
#endif
}

int echo() {
    os::tcp_socket listener = os::tcp_socket::listen_loopback(0);
    std::cout << listener.local_port() << std::endl;
    std::thread([&listener] {
        for (;;) {
            auto socket = std::make_shared<os::tcp_socket>(listener.accept(std::chrono::seconds(1)));
            if (!socket->is_open()) continue;
            std::thread([socket] {
                try {
                    send_back(*socket);
                } catch (const std::system_error&) {
                    // The client went away in the middle.
                }
                socket->shutdown();
            }).detach();
        }
    }).detach();
    wait_for_end_of_input();
    std::_Exit(0); // with its threads, which wait for ever
}

// --- those who use it ------------------------------------------------------------------------------------------------

// What is sent: a block, again and again, each beginning with its own place. The receiver compares every byte, which
// costs less than a checksum and says more.
class pattern {
public:
    pattern() : block_(size, '\0') {
        std::uint32_t state = 1;
        for (char& c : block_) {
            state = state * 1664525U + 1013904223U;
            c = static_cast<char>(state >> 24U);
        }
    }
    const std::string& block_at(std::uint64_t place) {
        std::memcpy(&block_[0], &place, sizeof place);
        return block_;
    }
    bool has_at(std::uint64_t place, std::string_view bytes) {
        while (!bytes.empty()) {
            const std::size_t offset = place % size;
            const std::string& block = block_at(place - offset);
            const std::size_t count = (std::min)(bytes.size(), size - offset);
            if (std::memcmp(bytes.data(), block.data() + offset, count) != 0) return false;
            bytes.remove_prefix(count);
            place += count;
        }
        return true;
    }
    static constexpr std::size_t size = std::size_t{256} << 10U;

private:
    std::string block_;
};

int carry(std::uint16_t port, std::uint64_t size) {
    os::tcp_socket socket = os::tcp_socket::connect_loopback(port);
    const auto start = clock_type::now();
    std::thread sender([&] {
        pattern bytes;
        try {
            for (std::uint64_t sent = 0; sent < size; sent += pattern::size) socket.write(bytes.block_at(sent));
        } catch (const std::system_error&) {
            // The receiver notices.
        }
    });
    pattern expected;
    std::vector<char> buffer(pattern::size);
    std::uint64_t got = 0;
    bool is_good = true;
    while (got < size && is_good) {
        const std::size_t count = socket.read(buffer.data(), buffer.size());
        if (count == 0) break;
        is_good = expected.has_at(got, {buffer.data(), count});
        got += count;
    }
    socket.shutdown();
    sender.join();
    is_good = is_good && got == size;
    const double took = seconds_since(start);
    const double mib = static_cast<double>(got) / 1048576;
    std::printf("%s: %.0f MiB each way in %.2f s, %.1f MiB/s each way\n", is_good ? "every byte as sent" : "DAMAGED",
                mib, took, mib / took);
    return is_good ? 0 : 1;
}

int talk(std::uint16_t port, std::size_t count, std::size_t size, double seconds) {
    const std::string message = pattern().block_at(0).substr(0, size);
    std::vector<os::tcp_socket> sockets;
    std::vector<pollfd> waits;
    std::vector<std::size_t> missing(count, size);
    for (std::size_t i = 0; i < count; ++i) sockets.push_back(os::tcp_socket::connect_loopback(port));
    std::vector<char> buffer(size);
    for (os::tcp_socket& socket : sockets) { // all are there before the clock starts
        socket.write(message);
        for (std::size_t got = 0; got < size;) {
            const std::size_t more = socket.read(buffer.data(), size - got);
            if (more == 0) return 1;
            got += more;
        }
    }
    for (os::tcp_socket& socket : sockets) {
        socket.write(message);
        waits.push_back({socket.handle(), POLLIN, 0});
    }
    std::uint64_t trips = 0;
    const auto start = clock_type::now();
    while (seconds_since(start) < seconds) {
        if (::poll(waits.data(), static_cast<nfds_t>(count), 1000) < 0) return 1;
        for (std::size_t i = 0; i < count; ++i) {
            if (waits[i].revents == 0) continue;
            const std::size_t got = sockets[i].read(buffer.data(), missing[i]);
            const std::size_t offset = size - missing[i];
            if (got == 0 || std::memcmp(buffer.data(), message.data() + offset, got) != 0) {
                std::printf("DAMAGED\n");
                return 1;
            }
            missing[i] -= got;
            if (missing[i] != 0) continue;
            missing[i] = size;
            ++trips;
            sockets[i].write(message);
        }
    }
    const double took = seconds_since(start);
    std::printf("%zu connections, %zu bytes there and back: %.0f a second\n", count, size,
                static_cast<double>(trips) / took);
    return 0;
}

} // namespace

int main(int count, char** arguments) {
    const std::string what = count > 1 ? arguments[1] : "";
    const auto number = [&](int index) { return std::strtoull(arguments[index], nullptr, 10); };
    try {
        if (what == "tunnel" && count == 4) return tunnel(arguments[2], arguments[3]);
        if (what == "echo" && count == 2) return echo();
        if (what == "carry" && count == 4) return carry(static_cast<std::uint16_t>(number(2)), number(3) << 20U);
        if (what == "talk" && count == 6) {
            return talk(static_cast<std::uint16_t>(number(2)), number(3), number(4), std::atof(arguments[5]));
        }
    } catch (const std::exception& e) {
        std::cerr << e.what() << '\n';
        return 1;
    }
    std::cerr << "usage: bench-tunnel tunnel ID APP | echo | carry PORT MIB | talk PORT CONNECTIONS BYTES SECONDS\n";
    return 2;
}
