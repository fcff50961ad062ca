// How fast streams are, each figure against the least that any program could do on the same sockets, in the same run:
//
//   bench-streams round-trip         a message there and back, against blocking sockets that do the same framing by
//   hand bench-streams events             100,000 console events of a run, against a reader that throws the bytes away
//   bench-streams tunnel ID APP      a tunnel to a service of the session that BACKEND_* leads to: prints its port, and
//                                    when stdin ends the most memory that this process had
//   bench-streams carry PORT MIB     sends so much to an echo at that port and compares what comes back
#include <backendai.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using namespace backendai;
using clock_type = std::chrono::steady_clock;

double seconds_since(clock_type::time_point start) {
    return std::chrono::duration<double>(clock_type::now() - start).count();
}

// --- a peer with frames by its own hand, on blocking sockets
// ----------------------------------------------------------

// Reads exactly so much; false at the end.
bool read_exactly(os::tcp_socket& socket, char* to, std::size_t size) {
    while (size > 0) {
        const std::size_t count = socket.read(to, size);
        if (count == 0) return false;
        to += count;
        size -= count;
    }
    return true;
}

// Of lengths below 65536, as all here are.
std::string header(char opcode, std::size_t size, bool masked) {
    std::string bytes(1, static_cast<char>(0x80 | opcode));
    const char bit = masked ? '\x80' : '\0';
    if (size < 126) {
        bytes += static_cast<char>(static_cast<char>(size) | bit);
    } else {
        bytes += static_cast<char>(126 | bit);
        bytes += static_cast<char>(size >> 8U);
        bytes += static_cast<char>(size & 255U);
    }
    return bytes;
}

bool read_frame(os::tcp_socket& socket, bool masked, std::string& payload, char& opcode) {
    unsigned char head[4] = {};
    if (!read_exactly(socket, reinterpret_cast<char*>(head), 2)) return false;
    opcode = static_cast<char>(head[0] & 15U);
    std::size_t size = head[1] & 127U;
    if (size == 126) {
        if (!read_exactly(socket, reinterpret_cast<char*>(head), 2)) return false;
        size = head[0] * 256U + head[1];
    }
    char mask[4] = {};
    if (masked && !read_exactly(socket, mask, 4)) return false;
    payload.resize(size);
    if (!read_exactly(socket, &payload[0], size)) return false;
    if (masked) {
        for (std::size_t i = 0; i < size; ++i) payload[i] = static_cast<char>(payload[i] ^ mask[i & 3U]);
    }
    return true;
}

std::string read_head(os::tcp_socket& socket) {
    std::string head;
    char byte = 0;
    while (head.size() < 4 || head.compare(head.size() - 4, 4, "\r\n\r\n") != 0) {
        if (socket.read(&byte, 1) == 0) return {};
        head += byte;
    }
    return head;
}

class peer {
public:
    template <class Play>
    explicit peer(Play play) : listener_(os::tcp_socket::listen_loopback(0)) {
        thread_ = std::thread([this, play] {
            while (!stopping_) {
                os::tcp_socket socket = listener_.accept(std::chrono::milliseconds(20));
                if (!socket.is_open()) continue;
                try {
                    const std::string head = read_head(socket);
                    const std::size_t at = head.find("Sec-WebSocket-Key: ") + 19;
                    socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                 "Sec-WebSocket-Accept: " +
                                 codec::websocket_accept(head.substr(at, head.find('\r', at) - at)) + "\r\n\r\n");
                    play(socket);
                } catch (const std::system_error&) {
                    // The client has measured enough.
                }
            }
        });
    }
    peer(const peer&) = delete;
    peer& operator=(const peer&) = delete;
    ~peer() {
        stopping_ = true;
        thread_.join();
    }
    std::uint16_t port() const { return listener_.local_port(); }

private:
    os::tcp_socket listener_;
    std::atomic<bool> stopping_{false};
    std::thread thread_;
};

api_config config_for(const peer& server) {
    api_config config;
    config.endpoint = "http://127.0.0.1:" + std::to_string(server.port());
    config.access_key = "KEY";
    config.secret_key = "secret";
    config.version = "v4.20190315";
    config.proxy = "";
    return config;
}

// One system call a frame in most cases, as a program that is meant to be quick would do it.
class frame_reader {
public:
    explicit frame_reader(os::tcp_socket& socket) : socket_(socket), buffer_(65536) {}
    // Of an unmasked message below 65536 bytes; false at the end.
    bool next(std::string& payload) {
        if (!have(2)) return false;
        std::size_t size = at(1) & 127U, head = 2;
        if (size == 126) {
            if (!have(4)) return false;
            size = at(2) * 256U + at(3);
            head = 4;
        }
        if (!have(head + size)) return false;
        payload.assign(buffer_.data() + begin_ + head, size);
        begin_ += head + size;
        if (begin_ == end_) begin_ = end_ = 0;
        return true;
    }

private:
    std::size_t at(std::size_t offset) const { return static_cast<unsigned char>(buffer_[begin_ + offset]); }
    bool have(std::size_t size) {
        while (end_ - begin_ < size) {
            if (end_ == buffer_.size()) {
                std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
                end_ -= begin_;
                begin_ = 0;
            }
            const std::size_t count = socket_.read(buffer_.data() + end_, buffer_.size() - end_);
            if (count == 0) return false;
            end_ += count;
        }
        return true;
    }
    os::tcp_socket& socket_;
    std::vector<char> buffer_;
    std::size_t begin_ = 0, end_ = 0;
};

os::tcp_socket connect_by_hand(const peer& server) {
    os::tcp_socket socket = os::tcp_socket::connect_loopback(server.port());
    socket.write("GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    read_head(socket);
    return socket;
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

// --- the figures
// --------------------------------------------------------------------------------------------------------

int round_trip() {
    const peer echo([](os::tcp_socket& socket) {
        std::string payload;
        char opcode = 0;
        while (read_frame(socket, true, payload, opcode) && opcode != 8) {
            socket.write(header(opcode, payload.size(), false) + payload);
        }
    });
    for (const std::size_t size : {std::size_t{32}, std::size_t{1024}, std::size_t{16384}}) {
        const std::string message(size, 'x');
        constexpr int rounds = 15, messages = 2000;
        std::vector<double> raw, sdk, ratios;
        for (int round = 0; round < rounds; ++round) {
            {
                os::tcp_socket socket = connect_by_hand(echo);
                frame_reader reader(socket);
                std::string back;
                std::uint32_t random = 1;
                const auto start = clock_type::now();
                for (int i = 0; i < messages; ++i) {
                    std::string frame = header(1, size, true);
                    random = random * 1664525U + 1013904223U;
                    char mask[4];
                    std::memcpy(mask, &random, 4);
                    frame.append(mask, 4);
                    const std::size_t begin = frame.size();
                    frame += message;
                    for (std::size_t j = 0; j < size; ++j) {
                        frame[begin + j] = static_cast<char>(frame[begin + j] ^ mask[j & 3U]);
                    }
                    socket.write(frame);
                    if (!reader.next(back) || back != message) return 1;
                }
                raw.push_back(seconds_since(start) / messages * 1e6);
            }
            session here(config_for(echo));
            const auto stream = request(here, "GET", "/").connect_websocket();
            const auto start = clock_type::now();
            for (int i = 0; i < messages; ++i) {
                stream->send_text(message);
                if (stream->receive().data != message) return 1;
            }
            sdk.push_back(seconds_since(start) / messages * 1e6);
            ratios.push_back(sdk.back() / raw.back());
        }
        std::printf("round trip of %zu bytes: by hand %.1f us, SDK %.1f us, ratio %.2f (median of %d)\n", size,
                    median(raw), median(sdk), median(ratios), rounds);
    }
    return 0;
}

int events() {
    constexpr int count = 100'000;
    // As a server does it: each event made into JSON, framed and sent for itself.
    const peer server([](os::tcp_socket& socket) {
        for (int i = 0; i <= count; ++i) {
            const json event = {{"status", i == count ? "finished" : "continued"},
                                {"exitCode", i == count ? json(0) : json()},
                                {"console", json::array({json::array({"stdout", "line " + std::to_string(i) + "\n"})})},
                                {"options", nullptr},
                                {"files", json::array()}};
            const std::string text = event.dump();
            socket.write(header(1, text.size(), false) + text);
        }
        socket.write(std::string("\x88\x02\x03\xe8", 4));
        socket.shutdown_writes();
        char byte = 0;
        while (socket.read(&byte, 1) != 0) continue;
    });
    std::vector<double> raw, sdk, ratios;
    for (int round = 0; round < 7; ++round) {
        {
            os::tcp_socket socket = connect_by_hand(server);
            std::vector<char> buffer(65536);
            const auto start = clock_type::now();
            while (socket.read(buffer.data(), buffer.size()) != 0) continue;
            raw.push_back(count / seconds_since(start));
        }
        session here(config_for(server));
        auto stream = here.kernel("any").stream_execute("x");
        std::size_t seen = 0;
        const auto start = clock_type::now();
        for (auto&& event : stream) seen += event.console.size();
        sdk.push_back(count / seconds_since(start));
        if (seen != count + 1) return 1;
        ratios.push_back(sdk.back() / raw.back());
    }
    std::printf("events a second: the peer can write %.0f, the SDK reads %.0f, ratio %.2f (median of 7)\n", median(raw),
                median(sdk), median(ratios));
    return 0;
}

} // namespace

int main(int count, char** arguments) {
    const std::string what = count > 1 ? arguments[1] : "";
    try {
        if (what == "round-trip") return round_trip();
        if (what == "events") return events();
    } catch (const std::exception& e) {
        std::cerr << e.what() << '\n';
        return 1;
    }
    std::cerr << "usage: bench-streams round-trip | events\n";
    return 2;
}
