// Servers that send without end, or little that stands for much: the call ends in the right kind of error and the
// program's memory grows by less than 64 MB, with the limits of the default configuration. What cpp-httplib 0.11.4
// reads of a head before anybody sees it cannot be limited from above (README); those rows are for libcurl only.
#include "api_operations.hpp"
#include "call_result.hpp"
#include "hostile_server.hpp"

#include <backendai.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <string>
#include <type_traits>
#include <vector>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define BACKENDAI_TESTS_OTHER_MEMORY
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__linux__)
#define BACKENDAI_TESTS_OTHER_MEMORY
#endif

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace {

using namespace backendai;
using hostile::peer;

// How far the program's memory has grown at most since the object was made. A sanitizer keeps what is freed.
class growth {
public:
    growth() {
#ifndef BACKENDAI_TESTS_OTHER_MEMORY
#ifdef __GLIBC__
        malloc_trim(0); // what earlier tests have freed does not count as there
#endif
        std::ofstream("/proc/self/clear_refs") << 5; // forgets the peak
        before_ = read("VmRSS:");
#endif
    }
    std::size_t megabytes() const {
#ifndef BACKENDAI_TESTS_OTHER_MEMORY
        const std::size_t peak = read("VmHWM:");
        return peak > before_ ? (peak - before_) / 1024 : 0;
#else
        return 0;
#endif
    }

private:
    static std::size_t read(const std::string& name) {
        std::ifstream status("/proc/self/status");
        for (std::string line; std::getline(status, line);) {
            if (line.compare(0, name.size(), name) == 0) return std::strtoul(line.c_str() + name.size(), nullptr, 10);
        }
        FAIL("no such line: " << name);
        return 0;
    }
    [[maybe_unused]] std::size_t before_ = 0;
};

#undef BACKENDAI_TESTS_OTHER_MEMORY

constexpr std::size_t limit_of_flood = std::size_t{1} << 30;

template <class Transport>
using session_on = basic_session<Transport, blocking>;

template <class Transport>
struct row {
    std::string name, expected;
    hostile::server::script script;
    std::function<void(const session_on<Transport>&, const std::filesystem::path&)> call = {}; // empty: hello()
    bool for_httplib = true;
};

// Sends @p first, and then @p block over and over.
hostile::server::script floods(const std::string& first, const std::string& block) {
    return [=](peer& client) {
        if (!client.read_request() || !client.send(first)) return;
        client.flood(block, limit_of_flood);
        client.wait_for_end(std::chrono::seconds(5));
    };
}
hostile::server::script says(const std::string& bytes) {
    return floods(bytes, {});
}

std::string json_list(const std::string& item, std::size_t size) {
    std::string text = "[";
    while (text.size() < size) text += item + ',';
    return text + item + ']';
}

template <class Transport>
std::vector<row<Transport>> rows() {
    const std::string ok = "HTTP/1.1 200 OK\r\n", block(65536, ' ');
    const std::string chunked = ok + "Transfer-Encoding: chunked\r\n\r\n";
    const std::string parts = ok + "Content-Type: multipart/mixed; boundary=frontier\r\n";
    const auto folder = [](const session_on<Transport>& session, const std::filesystem::path& to) {
        session.vfolder("data").download({"a"}, to);
    };
    const auto archive = [](const session_on<Transport>& session, const std::filesystem::path& to) {
        download_options options;
        options.max_bytes = 1 << 20;
        session.kernel("k1").download({"a"}, to, options);
    };
    const auto stream = [](const session_on<Transport>& session, const std::filesystem::path&) {
        auto pty = session.kernel("k1").stream_pty();
        while (pty.read()) continue;
    };
    // 256 MB of zeros, and what gzip makes of them.
    std::string bomb;
    {
        codec::deflate_encoder encoder(codec::deflate_format::gzip);
        const auto keep = [&bomb](std::string_view bytes) { bomb += bytes; };
        const std::string zeros(1 << 20, '\0');
        for (int i = 0; i < 256; ++i) encoder.feed(zeros, keep);
        encoder.finish(keep);
    }
    const std::string packed = files_support::multipart({{bomb, "", "gzip"}});
    const auto frames = [](unsigned char first, const std::string& rest, std::size_t count) {
        return [=](peer& client) {
            const auto request = client.read_request(false);
            if (!request || !client.send(api_operations::websocket_head(request->head))) return;
            client.send(std::string(1, static_cast<char>(first)) + rest);
            client.flood(std::string(1, '\0') + rest, count);
            client.wait_for_end(std::chrono::seconds(5));
        };
    };
    const std::string fragment = std::string("\x7e\xff\xff", 3) + std::string(65535, 'x'); // without its first byte
    std::vector<row<Transport>> all = {
        {"a body without end", "protocol", floods(ok + "\r\n", block)},
        {"a body of a petabyte", "protocol", floods(ok + "Content-Length: 1000000000000000\r\n\r\n", block)},
        {"chunks without end", "protocol", floods(chunked, "10000\r\n" + block + "\r\n")},
        {"one chunk of a petabyte", "protocol", floods(chunked + "38d7ea4c68000\r\n", block)},
        {"a redirect with a body without end", "protocol",
         floods("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n", block)},
        {"many values", "protocol", says(hostile::answer(json_list("[]", 15U << 20)))},
        {"many members", "protocol", says(hostile::answer("{\"a\":" + json_list("{\"\":{}}", 15U << 20) + '}'))},
        {"arrays 100,000 deep", "protocol", says(hostile::answer(std::string(100'000, '[')))},
        {"a folder's file larger than announced", "protocol",
         says(parts + "X-TOTAL-PAYLOADS-LENGTH: 1000\r\nContent-Length: " + std::to_string(packed.size()) + "\r\n\r\n" +
              packed),
         folder},
        {"an archive of 256 MB in 256 KB", "protocol",
         says(parts + "Content-Length: " + std::to_string(packed.size()) + "\r\n\r\n" + packed), archive},
        {"a part's head without end", "protocol", floods(parts + "\r\n--frontier\r\nX: ", block), folder},
        {"a part's fields without end", "protocol", floods(parts + "\r\n--frontier\r\n", "X: y\r\n"), folder},
        {"a download that is refused without end", "api 500", // what has come says enough
         [](peer& client) {
             if (!client.read_request()) return;
             client.send("HTTP/1.1 500 Sorry\r\nContent-Length: 200000000\r\n\r\n");
             client.flood(std::string(65536, 'x'), 200'000'000);
             client.wait_for_end(std::chrono::seconds(5));
         },
         folder},
        {"fragments of a message without end", "protocol", frames(0x01, fragment, limit_of_flood), stream},
        {"a message of 2^62 bytes", "protocol", frames(0x81, std::string("\x7f\x40\0\0\0\0\0\0\0", 9), 0), stream},
        {"a websocket's answer without end", "protocol",
         floods("HTTP/1.1 101 Switching Protocols\r\n", "X-Field: " + std::string(1000, 'x') + "\r\n"), stream},
    };
    for (row<Transport>& each : std::vector<row<Transport>>{
             {"fields without end", "protocol", floods(ok, "X-Field: " + std::string(1000, 'x') + "\r\n")},
             {"a field without end", "protocol", floods(ok + "X: ", std::string(1000, 'x'))},
             {"a status line without end", "protocol", floods("HTTP/1.1 200 ", std::string(1000, 'x'))},
             {"interim heads without end", "protocol", floods("", "HTTP/1.1 100 Continue\r\n\r\n")},
             {"a trailer without end", "protocol", floods(chunked + "0\r\n", "X: " + std::string(1000, 'x') + "\r\n")},
         }) {
        each.for_httplib = false;
        all.push_back(std::move(each));
    }
    return all;
}

} // namespace

TEST_CASE_TEMPLATE("hostile: memory stays bounded whatever a server sends", T, BACKENDAI_SOCKET_TRANSPORTS) {
    std::size_t most = 0;
    for (const row<T>& each : rows<T>()) {
        if (std::is_same_v<T, httplib_transport> && !each.for_httplib) continue;
        hostile::server server(each.script);
        api_config config;
        config.endpoint = server.endpoint();
        config.access_key = "AKIAMEMORY";
        config.secret_key = "not-for-others";
        config.version = "v4.20190315";
        config.proxy = "";
        config.retry.max_attempts = 1;
        config.timeout = std::chrono::seconds(60);
        const session_on<T> session(config);
        const files_support::sandbox box;
        const growth memory;
        const call_result result = result_of([&] {
            if (each.call) {
                each.call(session, box.out());
            } else {
                session.hello();
            }
        });
        const std::size_t grown = memory.megabytes();
        INFO(each.name);
        INFO(result.message);
        CHECK(result.what == each.expected);
        CHECK(grown < 64);
        CHECK(box.listing().empty());
        most = (std::max)(most, grown);
    }
    MESSAGE("largest growth: " << most << " MB");
}
