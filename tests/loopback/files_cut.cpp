// Peers that are killed in the middle of a transfer: always an error, never a partial file under its final name, never
// a temporary that stays behind.
#include "files_bench.hpp"
#include "hostile_server.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <mutex>

using namespace files_support;
using files_bench::config_of;
using files_bench::progress;

namespace {

constexpr std::size_t step = 64 * 1024;

// Around each multiple of 64 KiB up to the end of @p whole bytes, which is not one of them.
std::vector<std::size_t> cuts(std::size_t whole) {
    std::vector<std::size_t> list = {0, 1, whole - 1};
    for (std::size_t at = step; at < whole; at += step) {
        for (const std::size_t near : {at - 1, at, at + 1}) {
            if (near < whole) list.push_back(near);
        }
    }
    return list;
}

struct ending {
    const char* name;
    bool in_chunks, by_reset;
};
constexpr ending endings[] = {{"length, closed", false, false},
                              {"length, reset", false, true},
                              {"chunked, closed", true, false},
                              {"chunked, reset", true, true}};

std::string head_of(const std::string& headers, std::size_t length, bool in_chunks) {
    return "HTTP/1.1 200 OK\r\nContent-Type: multipart/mixed; boundary=frontier\r\n" + headers +
           (in_chunks ? "Transfer-Encoding: chunked" : "Content-Length: " + std::to_string(length)) + "\r\n\r\n";
}

// The first @p count bytes of a body, as they go over the wire. Chunks are of a size that no cut falls on.
std::string first_bytes(const std::string& body, std::size_t count, bool in_chunks) {
    if (!in_chunks) return body.substr(0, count);
    std::string wire;
    for (std::size_t at = 0; at < count; at += 10'007) {
        char size[32];
        std::snprintf(size, sizeof size, "%zx\r\n", (std::min)(std::size_t{10'007}, body.size() - at));
        const std::size_t whole = (std::min)(at + 10'007, body.size());
        wire += size + body.substr(at, (std::min)(whole, count) - at);
        if (whole <= count) wire += "\r\n";
    }
    return wire;
}

// A server that sends so many bytes of @p body and is gone, on every connection.
class dying_server {
public:
    dying_server(std::string headers, std::string body) : headers_(std::move(headers)), body_(std::move(body)) {}

    void die_after(std::size_t count, const ending& how) {
        const std::lock_guard<std::mutex> lock(mutex_);
        count_ = count;
        how_ = how;
    }
    std::string endpoint() const { return server_.endpoint(); }

private:
    void serve(hostile::peer& peer) {
        if (!peer.read_request()) return;
        std::string wire;
        bool by_reset = false;
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            wire = head_of(headers_, body_.size(), how_.in_chunks) + first_bytes(body_, count_, how_.in_chunks);
            by_reset = how_.by_reset;
        }
        peer.send(wire);
        if (by_reset) {
            peer.reset();
        } else {
            peer.close();
        }
    }

    std::string headers_, body_;
    std::mutex mutex_;
    std::size_t count_ = 0;
    ending how_ = endings[0];
    hostile::server server_{[this](hostile::peer& peer) { serve(peer); }};
};

} // namespace

TEST_CASE_TEMPLATE("a folder's download from a server that dies", T, BACKENDAI_SOCKET_TRANSPORTS) {
    const std::string first = noise(300'000, 1), second = noise(300'000, 2);
    const std::string body = multipart({{first, "a"}, {gzip(second), "b", "gzip"}});
    dying_server server("X-TOTAL-PAYLOADS-LENGTH: 600000\r\n", body);
    backendai::basic_session<T, backendai::blocking> session(config_of(server.endpoint()));
    for (const ending& how : endings) {
        for (const std::size_t count : cuts(body.size())) {
            CAPTURE(how.name);
            CAPTURE(count);
            const sandbox box;
            server.die_after(count, how);
            const call_result result = result_of([&] { session.vfolder("data").download({"a", "x/b"}, box.out()); });
            CHECK((result.what == "protocol" || result.what == "connect"));
            CHECK(result.sent == progress::maybe_sent);
            // The first file stays when it was whole, and then nothing else is there.
            const auto left = box.listing();
            if (!left.empty()) {
                CHECK(left == std::set<std::string>{"out/", "out/a = " + first.substr(0, 200)});
                CHECK(sandbox::read(box.out() / "a") == first);
                CHECK(count > 300'000);
            }
        }
    }
    const sandbox box;
    server.die_after(body.size(), endings[0]);
    session.vfolder("data").download({"a", "x/b"}, box.out());
    CHECK(sandbox::read(box.out() / "x/b") == second);
}

TEST_CASE_TEMPLATE("a session's download from a server that dies", T, BACKENDAI_SOCKET_TRANSPORTS) {
    const std::string body = multipart({{archive().file("a", noise(200'000)).file("d/b", noise(100'000)).end()},
                                        {gzip(archive().file("c").end()), "", "gzip"}});
    dying_server server("", body);
    backendai::basic_session<T, backendai::blocking> session(config_of(server.endpoint()));
    for (const ending& how : endings) {
        for (const std::size_t count : cuts(body.size())) {
            CAPTURE(how.name);
            CAPTURE(count);
            const sandbox box;
            server.die_after(count, how);
            const call_result result = result_of([&] { session.kernel("abcd").download({"a", "c"}, box.out()); });
            CHECK((result.what == "protocol" || result.what == "connect"));
            CHECK(box.listing().empty()); // all files of a request or none
        }
    }
}

TEST_CASE_TEMPLATE("an upload to a server that dies", T, BACKENDAI_SOCKET_TRANSPORTS) {
    std::atomic<std::size_t> limit{0};
    std::atomic<bool> by_reset{false};
    hostile::server server([&](hostile::peer& peer) {
        if (!peer.read_request(false)) return;
        for (std::size_t count = 0; count < limit;) {
            const std::string some = peer.read_some();
            if (some.empty()) return;
            count += some.size();
        }
        if (by_reset) {
            peer.reset();
        } else {
            peer.close();
        }
    });
    backendai::api_config config = config_of(server.endpoint());
    config.retry.max_attempts = 1;
    backendai::basic_session<T, backendai::blocking> session(config);
    const sandbox box;
    const std::string content = noise(1'000'000);
    box.put("big", content);
    backendai::upload_options options;
    options.basedir = box.root();
    const auto before = box.listing();
    const auto into_folder = [&] { session.vfolder("data").upload({box.root() / "big"}, options); };
    const auto into_session = [&] { session.kernel("abcd").upload({box.root() / "big"}, options); };
    for (const bool reset : {false, true}) {
        by_reset = reset;
        for (std::size_t count = 0; count < content.size(); count += step) {
            CAPTURE(reset);
            CAPTURE(count);
            limit = count;
            for (const call_result& result : {result_of(into_folder), result_of(into_session)}) {
                CHECK((result.what == "protocol" || result.what == "connect"));
                CHECK(result.sent == progress::maybe_sent);
            }
        }
    }
    CHECK(box.listing() == before);
    CHECK(sandbox::read(box.root() / "big") == content);
}

TEST_CASE_TEMPLATE("an upload that was cut is sent again, from its beginning", T, BACKENDAI_SOCKET_TRANSPORTS) {
    std::mutex mutex;
    std::string body;
    hostile::server server([&](hostile::peer& peer) {
        if (peer.number() == 0) {
            if (!peer.read_request(false)) return;
            for (std::size_t count = 0; count < 300'000;) {
                const std::string some = peer.read_some();
                if (some.empty()) return;
                count += some.size();
            }
            peer.reset();
        } else if (const auto request = peer.read_request()) {
            const std::lock_guard<std::mutex> lock(mutex);
            body = request->body;
            peer.send("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
        }
    });
    backendai::basic_session<T, backendai::blocking> session(config_of(server.endpoint()));
    const sandbox box;
    const std::string content = noise(1'000'000);
    box.put("big", content);
    backendai::upload_options options;
    options.basedir = box.root();
    std::uint64_t done = 0, total = 0;
    options.progress = [&](const std::string&, std::uint64_t now, std::uint64_t all) { done = now, total = all; };
    session.vfolder("data").upload({box.root() / "big"}, options);
    CHECK(server.connections() == 2);
    CHECK(done == content.size()); // what the first attempt had counted was taken back
    CHECK(total == content.size());
    const std::lock_guard<std::mutex> lock(mutex);
    CHECK(body.find(content) != std::string::npos);
}

TEST_CASE("a gateway that goes away during a streamed download") {
    // The gateway's own end, at a time it does not choose: the answer is chunked and as large as the socket buffers
    // are not, so that it cannot be through.
    auto server = std::make_unique<backendai::testing::gateway>();
    backendai::session session(config_of(server->endpoint()));
    const sandbox box;
    box.put("in/a", noise(24'000'000));
    session.vfolder().create("data");
    backendai::upload_options up;
    up.basedir = box.root() / "in";
    session.vfolder("data").upload({box.root() / "in/a"}, up);
    const auto before = box.listing();
    backendai::download_options down;
    down.progress = [&](const std::string&, std::uint64_t done, std::uint64_t) {
        if (done > 1'000'000) server.reset();
    };
    const call_result result = result_of([&] { session.vfolder("data").download({"a"}, box.out(), down); });
    CHECK((result.what == "protocol" || result.what == "connect"));
    CHECK(box.listing() == before);
}
