// What a request costs, one measurement a process, so that requests.py can run them in turns and compare:
//
//   bench-requests serve              a server of 839 bytes of JSON: prints its port, ends with its standard input
//   bench-requests CLIENT PORT        CLIENT is sdk (signed, checked, parsed) or raw (cpp-httplib with constant headers
//                                     that parses the same JSON): for each input line `METHOD COUNT` it sends so many
//                                     requests and prints the seconds that they took, and the seconds of CPU
//   bench-requests parallel THREADS PORT   so many threads on one session, a slow request each: prints the seconds
//   bench-requests signature          prints ns a signature and ns a bare HMAC of the same text
#include "clock.hpp"

#include <backendai.hpp>
#include <backendai/os/socket.hpp>

#include <httplib.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace {

constexpr auto slow_answer = std::chrono::milliseconds(200);
constexpr int warm_up = 50;

// A listing as the manager sends it.
std::string answer_body() {
    nlohmann::json list = nlohmann::json::array();
    for (int i = 0; list.dump().size() < 720; ++i) {
        list.push_back({{"id", "c1f8a9d2e4b" + std::to_string(i)},
                        {"status", "RUNNING"},
                        {"cpu_used", 1250 + i},
                        {"mem_share", 0.25},
                        {"tags", {"a", "b"}},
                        {"terminated_at", nullptr}});
    }
    nlohmann::json answer = {{"items", list}, {"padding", ""}};
    answer["padding"] = std::string(839 - answer.dump().size(), '.');
    return answer.dump();
}

std::string request_body() {
    return R"({"query": "query($n: Int!) { compute_sessions(limit: $n) { id status } }", "variables": {"n": 6}})";
}

// --- the server: one blocking thread a connection, so that the client is what is measured
// -----------------------------

void serve_connection(backendai::os::tcp_socket socket) {
    const std::string body = answer_body();
    const std::string answer = "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: " +
                               std::to_string(body.size()) + "\r\nServer: bench\r\n\r\n" + body;
    std::string input;
    char block[16 * 1024];
    for (;;) {
        std::size_t end = input.find("\r\n\r\n");
        while (end == std::string::npos) {
            const std::size_t count = socket.read(block, sizeof block);
            if (count == 0) return;
            input.append(block, count);
            end = input.find("\r\n\r\n");
        }
        std::size_t length = end + 4;
        const std::size_t field = input.find("Content-Length: ");
        if (field < end) length += static_cast<std::size_t>(std::atol(input.c_str() + field + 16));
        while (input.size() < length) {
            const std::size_t count = socket.read(block, sizeof block);
            if (count == 0) return;
            input.append(block, count);
        }
        if (input.find(" /slow") < 10) std::this_thread::sleep_for(slow_answer);
        input.erase(0, length);
        socket.write(answer);
    }
}

int serve() {
    auto listener = backendai::os::tcp_socket::listen_loopback(0);
    std::cout << listener.local_port() << std::endl;
    std::thread([&listener] {
        for (;;) {
            backendai::os::tcp_socket socket = listener.accept(std::chrono::hours(1));
            if (!socket.is_open()) continue;
            std::thread(
                [](backendai::os::tcp_socket connection) {
                    try {
                        serve_connection(std::move(connection));
                    } catch (const std::system_error& e) {
                        std::cerr << "bench-requests: a connection broke: " << e.what() << '\n';
                    }
                },
                std::move(socket))
                .detach();
        }
    }).detach();
    std::cin.get();
    std::fflush(nullptr);
    std::_Exit(0); // the threads read from connections that nobody ends
}

// --- the clients
// ------------------------------------------------------------------------------------------------------

[[noreturn]] void fail(const std::string& why) {
    std::cerr << "bench-requests: " << why << '\n';
    std::exit(1);
}

void check(const nlohmann::json& answer) {
    if (answer.at("items").empty()) fail("an answer was not what the server sends");
}

backendai::api_config config_for(const std::string& port) {
    backendai::api_config config;
    config.endpoint = "http://127.0.0.1:" + port;
    config.access_key = "AKIAIOSFODNN7EXAMPLE";
    config.secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    config.version = "v4.20190315";
    return config;
}

template <class Work>
double time_of(int count, Work&& work) {
    for (int i = 0; i < warm_up; ++i) work();
    const auto start = clock_type::now();
    for (int i = 0; i < count; ++i) work();
    return seconds_since(start);
}

// Does what the input says with @p request(method).
template <class Request>
void take_turns(Request&& request) {
    std::string method;
    int count = 0;
    for (int i = 0; i < warm_up; ++i) request("GET");
    while (std::cin >> method >> count) {
        const std::clock_t cpu = std::clock();
        const auto start = clock_type::now();
        for (int i = 0; i < count; ++i) request(method);
        const double seconds = seconds_since(start);
        std::printf("%.6f %.6f\n", seconds, static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC);
        std::fflush(stdout);
    }
}

void with_sdk(const std::string& port) {
    const backendai::session session(config_for(port));
    const std::string body = request_body();
    take_turns([&](const std::string& method) {
        backendai::request request(session, method, "/admin/graphql");
        if (method == "POST") request.set_content(body, "application/json");
        check(request.fetch().json());
    });
}

void with_httplib(const std::string& port) {
    httplib::Client client("127.0.0.1", std::atoi(port.c_str()));
    client.set_keep_alive(true);
    client.set_tcp_nodelay(true);
    const httplib::Headers headers = {
        {"User-Agent", "bench"},
        {"X-BackendAI-Version", "v4.20190315"},
        {"Date", "2019-03-15T12:00:00.000000+00:00"},
        {"Authorization", "BackendAI signMethod=HMAC-SHA256, credential=AKIAIOSFODNN7EXAMPLE:" + std::string(64, 'a')}};
    const std::string body = request_body();
    take_turns([&](const std::string& method) {
        const httplib::Result answer = method == "POST"
                                           ? client.Post("/admin/graphql", headers, body, "application/json")
                                           : client.Get("/admin/graphql", headers);
        if (!answer || answer->status != 200) fail("a request of cpp-httplib failed");
        check(nlohmann::json::parse(answer->body));
    });
}

double in_parallel(int number, const std::string& port) {
    const backendai::session session(config_for(port));
    const auto start = clock_type::now();
    std::vector<std::thread> threads;
    for (int i = 0; i < number; ++i) {
        threads.emplace_back([&session] { check(backendai::request(session, "GET", "/slow").fetch().json()); });
    }
    for (std::thread& thread : threads) thread.join();
    return seconds_since(start);
}

// --- the signature
// ----------------------------------------------------------------------------------------------------

// The best of several runs: what disturbs a run of pure computing only ever adds to it.
template <class Work>
double best_ns(Work&& work) {
    constexpr int count = 20'000;
    double best = 1e9;
    for (int run = 0; run < 7; ++run) best = (std::min)(best, time_of(count, work) / count * 1e9);
    return best;
}

int measure_signature() {
    const backendai::codec::signed_fields fields = {"GET",
                                                    "/admin/graphql",
                                                    "2019-03-15T12:00:00.000000+00:00",
                                                    "127.0.0.1:8080",
                                                    "application/json",
                                                    "v4.20190315",
                                                    ""};
    const std::string text = backendai::codec::string_to_sign(fields, "sha256");
    const backendai::codec::signer signer("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "sha256");
    const std::string key(32, 'k');
    std::size_t sum = 0;
    const double ours = best_ns([&] { sum += signer.sign(fields).size(); });
    const double bare = best_ns([&] {
        unsigned char out[EVP_MAX_MD_SIZE];
        unsigned size = 0;
        HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
             reinterpret_cast<const unsigned char*>(text.data()), text.size(), out, &size);
        sum += size;
    });
    std::printf("%.0f %.0f\n", ours, bare);
    return sum == 0 ? 1 : 0;
}

} // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> words(argv + 1, argv + argc);
    const std::string command = words.empty() ? "" : words[0];
    try {
        if (command == "serve" && words.size() == 1) return serve();
        if (command == "signature" && words.size() == 1) return measure_signature();
        if (command == "parallel" && words.size() == 3) {
            std::printf("%.6f\n", in_parallel(std::atoi(words[1].c_str()), words[2]));
            return 0;
        }
        if ((command == "sdk" || command == "raw") && words.size() == 2) {
            command == "sdk" ? with_sdk(words[1]) : with_httplib(words[1]);
            return 0;
        }
    } catch (const std::exception& e) {
        fail(e.what());
    }
    std::fputs("usage: bench-requests serve | signature | parallel THREADS PORT | sdk|raw PORT\n", stderr);
    return 2;
}
