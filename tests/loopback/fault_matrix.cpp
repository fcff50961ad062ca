// The fault matrix: every function of the API meets every fault, on both transports that use sockets. A cell says how
// the call ends, how many requests reach the server, how long the SDK waits between them, and how long it all may take.
#include "api_operations.hpp"
#include "call_result.hpp"
#include "hostile_server.hpp"

#include <backendai.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace backendai;
using api_operations::places;
using api_operations::reading;
using hostile::peer;
using hostile::received;
using std::chrono::milliseconds;

// The whole answer of a good server, in the pieces that faults cut it into.
struct good_answer {
    std::string fields; // of the head
    std::string body;

    std::string head(std::size_t length) const {
        return "HTTP/1.1 200 OK\r\n" + fields + "Content-Length: " + std::to_string(length) + "\r\n\r\n";
    }
    std::string whole() const { return head(body.size()) + body; }
};

// How a call ends, and how many requests of it come to the server.
struct outcome {
    std::string what;
    int requests = 1;
};

struct fault {
    // What the server does with a request whose head has come; whether the connection goes on.
    using act = std::function<bool(peer&, const good_answer&)>;

    std::string name;
    outcome safe, unsafe;
    act serve;
    std::vector<int> waits = {}; // milliseconds before the second and the third request
    milliseconds least{0};       // it cannot be over earlier
    bool in_body = false;        // shows in the body of a good answer, which a handshake's does not have
    bool in_content = false;     // ... and is seen by those only who read it
    bool reads_body = true;      // of the request
    bool on_accept = false;      // the connection ends before anything is read
    bool recovers = false;       // the second request gets a good answer
    bool refused = false;        // nobody listens
};

constexpr milliseconds read_timeout(150), call_timeout(400);

fault::act status(const std::string& line, const std::string& fields = {}, const std::string& type = {}) {
    const std::string body = type.empty() ? "<html><body>not today</body></html>"
                                          : R"({"type":"https://api.backend.ai/probs/)" + type + R"(","title":"no"})";
    return [=](peer& client, const good_answer&) {
        return client.send("HTTP/1.1 " + line + "\r\n" + fields + "Content-Length: " + std::to_string(body.size()) +
                           "\r\n\r\n" + body);
    };
}

// What is sent of the answer before the connection ends in the given way.
enum class ending { reset, close, stall };
fault::act cut(std::function<std::string(const good_answer&)> part, ending how) {
    return [=](peer& client, const good_answer& good) {
        if (const std::string bytes = part(good); !bytes.empty()) client.send(bytes);
        if (how == ending::reset) {
            // What was sent is with the client before the reset overtakes it.
            std::this_thread::sleep_for(milliseconds(5));
            client.reset();
        } else if (how == ending::stall) {
            client.stall();
        } else {
            client.end_writes();
            client.wait_for_end(std::chrono::seconds(2));
        }
        return false;
    };
}

std::string nothing(const good_answer&) {
    return {};
}
std::string half_head(const good_answer&) {
    return "HTTP/1.1 200 OK\r\nContent-Le";
}
std::string whole_head(const good_answer& good) {
    return good.head(good.body.size());
}
std::string half_body(const good_answer& good) {
    return good.head(good.body.size()) + good.body.substr(0, good.body.size() / 2);
}
std::string half_chunk(const good_answer& good) {
    char size[16];
    std::snprintf(size, sizeof size, "%zx\r\n", good.body.size());
    return "HTTP/1.1 200 OK\r\n" + good.fields + "Transfer-Encoding: chunked\r\n\r\n" + size +
           good.body.substr(0, good.body.size() / 2);
}

fault::act drip(std::function<std::string(const good_answer&)> first, std::string then) {
    return [=](peer& client, const good_answer& good) {
        client.send(first(good));
        client.drip(then, milliseconds(10));
        return false;
    };
}

// Faults whose meaning is the same for both classes, as the server may have done the work and says nothing of a retry.
fault once(const std::string& name, const std::string& what, fault::act serve) {
    fault result;
    result.name = name;
    result.safe = result.unsafe = {what, 1};
    result.serve = std::move(serve);
    return result;
}
// Faults that those repeat whose repetition does no harm. Waits: half of the back-off, see the jitter below.
fault repeated(const std::string& name, const std::string& what, fault::act serve, std::vector<int> waits = {50, 100}) {
    fault result = once(name, what, std::move(serve));
    result.safe.requests = 3;
    result.waits = std::move(waits);
    return result;
}
// The server said when to come again.
fault obeyed(const std::string& name, const std::string& what, fault::act serve, std::vector<int> waits) {
    fault result = repeated(name, what, std::move(serve), std::move(waits));
    result.unsafe.requests = 3;
    return result;
}

template <class Change>
fault with(fault base, Change change) {
    change(base);
    return base;
}

std::vector<fault> faults() {
    const auto in_body = [](fault& f) { f.in_body = true; };
    const auto slow = [](fault& f) { f.least = read_timeout - milliseconds(5); };
    const auto until_deadline = [](fault& f) { f.least = call_timeout - milliseconds(5); };
    const auto slow_body = [](fault& f) {
        f.least = read_timeout - milliseconds(5);
        f.in_body = true;
    };
    const std::string date = "Retry-After: Thu, 15 Jan 2026 12:00:07 GMT\r\n"; // 7 s from the clock below
    return {
        once("honest", "ok", [](peer& client, const good_answer& good) { return client.send(good.whole()); }),
        with(repeated("refused", "connect", {}),
             [](fault& f) {
                 f.refused = true;
                 f.safe.requests = f.unsafe.requests = 0;
             }),
        with(once("reset on accept", "connect", {}),
             [](fault& f) {
                 f.on_accept = true;
                 f.safe.requests = f.unsafe.requests = 0;
             }),
        with(repeated("reset with the body unread", "connect", cut(nothing, ending::reset)),
             [](fault& f) { f.reads_body = false; }),
        repeated("reset before the head", "connect", cut(nothing, ending::reset)),
        repeated("closed before the head", "connect", cut(nothing, ending::close)),
        once("reset in the head", "protocol", cut(half_head, ending::reset)),
        once("closed in the head", "protocol", cut(half_head, ending::close)),
        with(once("reset after the head", "protocol", cut(whole_head, ending::reset)), in_body),
        with(once("closed after the head", "protocol", cut(whole_head, ending::close)), in_body),
        with(once("reset in the body", "protocol", cut(half_body, ending::reset)), in_body),
        with(once("cut length", "protocol", cut(half_body, ending::close)), in_body),
        with(once("cut chunk", "protocol", cut(half_chunk, ending::close)), in_body),
        with(once("stall before the head", "timeout", cut(nothing, ending::stall)), slow),
        with(once("stall in the head", "timeout", cut(half_head, ending::stall)), slow),
        with(once("stall after the head", "timeout", cut(whole_head, ending::stall)), slow_body),
        with(once("stall in the body", "timeout", cut(half_body, ending::stall)), slow_body),
        with(once("stall in a chunk", "timeout", cut(half_chunk, ending::stall)), slow_body),
        with(once("drip in the head", "timeout", drip(half_head, "e")), until_deadline),
        with(with(once("drip in the body", "timeout",
                       drip([](const good_answer& good) { return good.head(1'000'000); }, " ")),
                  until_deadline),
             in_body),
        repeated("429", "api 429", status("429 Too Many", {}, "rate-limit-exceeded"), {500, 1000}),
        repeated("429, Retry-After of nonsense", "api 429", status("429 Too Many", "Retry-After: soon\r\n"),
                 {500, 1000}),
        obeyed("429, Retry-After in seconds", "api 429", status("429 Too Many", "Retry-After: 7\r\n"), {7000, 7000}),
        obeyed("429, Retry-After as a date", "api 429", status("429 Too Many", date), {7000, 7000}),
        once("429, Retry-After in an hour", "api 429", status("429 Too Many", "Retry-After: 3600\r\n")),
        once("500", "api 500", status("500 Internal", {}, "internal-server-error")),
        once("500, Retry-After", "api 500", status("500 Internal", "Retry-After: 7\r\n")),
        repeated("502", "api 502", status("502 Bad Gateway", {}, "bad-gateway")),
        repeated("502 as a page", "api 502", status("502 Bad Gateway", "Content-Type: text/html\r\n")),
        repeated("502, Retry-After", "api 502", status("502 Bad Gateway", "Retry-After: 7\r\n")),
        repeated("503", "api 503", status("503 Unavailable", {}, "service-unavailable")),
        obeyed("503, Retry-After in seconds", "api 503", status("503 Unavailable", "Retry-After: 7\r\n"), {7000, 7000}),
        obeyed("503, Retry-After as a date", "api 503", status("503 Unavailable", date), {7000, 7000}),
        repeated("504", "api 504", status("504 Timeout", {}, "gateway-timeout")),
        once("401, the clocks differ", "api 401", status("401 Unauthorized", {}, "auth-failed")),
        once("400, the date is refused", "api 400", status("400 Bad Request", {}, "invalid-auth-params")),
        once("garbage in place of HTTP", "protocol",
             [](peer& client, const good_answer&) { return client.send("SSH-2.0-OpenSSH_9.2\r\n") && false; }),
        with(once("garbage in the body", "protocol",
                  [](peer& client, const good_answer& good) {
                      return client.send(good_answer{good.fields, "{\"result\": \x01 nothing"}.whole());
                  }),
             [](fault& f) { f.in_body = f.in_content = true; }),
        with(once("gzip that is cut", "protocol",
                  [](peer& client, const good_answer& good) {
                      if (good.fields.find("multipart") != std::string::npos) { // in a part, which may be coded
                          return client.send(
                              good_answer{good.fields, api_operations::files_answer("content", true)}.whole());
                      }
                      std::string packed = files_support::gzip(good.body);
                      packed.resize(packed.size() - 5);
                      return client.send(good_answer{good.fields + "Content-Encoding: gzip\r\n", packed}.whole());
                  }),
             [](fault& f) { f.in_body = f.in_content = true; }),
        // Once, and then the server is well.
        with(repeated("reset before the head, once", "connect", cut(nothing, ending::reset), {50}),
             [](fault& f) {
                 f.recovers = true;
                 f.safe = {"ok", 2};
             }),
        with(repeated("503, once", "api 503", status("503 Unavailable"), {50}),
             [](fault& f) {
                 f.recovers = true;
                 f.safe = {"ok", 2};
             }),
        with(obeyed("503 with Retry-After, once", "api 503", status("503 Unavailable", "Retry-After: 2\r\n"), {2000}),
             [](fault& f) {
                 f.recovers = true;
                 f.safe = f.unsafe = {"ok", 2};
             }),
    };
}

// One meeting of a function and a fault. Returns what was not as expected, or nothing.
template <class Transport>
class cell {
public:
    using operation = api_operations::operation<Transport>;

    cell(const operation& what, const fault& wrong, places where)
        : what_(what), wrong_(wrong), where_(std::move(where)) {}

    std::string run() {
        std::optional<hostile::server> server;
        server.emplace([this](peer& client) { serve(client); });
        basic_session<Transport, blocking> session(config_for(*server));
        if (wrong_.refused) server.reset();
        const auto start = std::chrono::steady_clock::now();
        const call_result result = result_of([&] { what_.run(session, where_); });
        const auto took = std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - start);
        session.close();
        if (server) server.reset(); // joins its threads, so that the counts are final
        return judge(result, took);
    }
    bool was_late() const { return late_; }

private:
    bool is_unsafe() const { return what_.repeats == retry_class::unsafe; }

    outcome expected() const {
        if (wrong_.in_content && what_.reads == reading::nothing) return {"ok", 1};
        return is_unsafe() ? wrong_.unsafe : wrong_.safe;
    }

    api_config config_for(const hostile::server& server) {
        api_config config;
        config.endpoint = server.endpoint();
        config.access_key = "AKIAMATRIX";
        config.secret_key = "not-for-others";
        config.version = what_.version;
        config.vfolder_mounts = std::vector<std::string>();
        config.proxy = "";
        config.timeout = call_timeout;
        if (wrong_.waits.size() > 0 && wrong_.waits.back() > 300) config.timeout = std::chrono::minutes(2);
        config.read_timeout = config.compute_timeout = read_timeout;
        config.jitter = [] { return 0.5; };
        config.clock = [] { return codec::utc_time(std::chrono::seconds(1'768'478'400)); }; // 15 Jan 2026 12:00:00
        config.sleeper = [this](milliseconds delay) { slept_.push_back(static_cast<int>(delay.count())); };
        config.on_log = [this](const log_record&) { ++logged_; };
        return config;
    }

    void serve(peer& client) {
        if (wrong_.on_accept) {
            client.reset();
            return;
        }
        while (const auto request = client.read_request(wrong_.reads_body)) {
            if (what_.name == "run" && request->has("/interrupt ")) { // a run that fails ends what it may have begun
                client.send(hostile::answer("{}"));
                continue;
            }
            const bool first = requests_++ == 0;
            if (what_.reads == reading::websocket && (wrong_.name == "honest" || (wrong_.recovers && !first))) {
                client.send(api_operations::websocket_head(request->head));
                client.wait_for_end(std::chrono::seconds(5));
                return;
            }
            good_answer good;
            good.fields = "Content-Type: " + api_operations::content_type(what_.reads) + "\r\n";
            good.body = what_.answer;
            const bool goes_on = wrong_.recovers && !first ? client.send(good.whole()) : wrong_.serve(client, good);
            if (!goes_on) return;
        }
    }

    std::string judge(const call_result& result, milliseconds took) {
        const outcome wanted = expected();
        std::string bad;
        const auto require = [&bad](bool good, const std::string& text) {
            if (!good) bad += "; " + text;
        };
        require(result.what == wanted.what, result.what + " in place of " + wanted.what + " (" + result.message + ')');
        require(requests_ == wanted.requests,
                std::to_string(requests_) + " requests in place of " + std::to_string(wanted.requests));
        if (wrong_.refused) require(logged_ == 3, std::to_string(logged_) + " attempts to connect");
        const bool repeats = wanted.requests > 1 || wrong_.refused;
        // A connection that is reset at once may break before anything was sent, and then is tried again.
        if (!wrong_.on_accept) require(slept_ == (repeats ? wrong_.waits : std::vector<int>()), "other waits");
        require(result.message.find("not-for-others") == std::string::npos, "the secret key is in the message");
        if (what_.reads == reading::files && wanted.what != "ok") {
            require(!std::filesystem::exists(where_.destination), "files are left");
        }
        require(took >= wrong_.least, "over after " + std::to_string(took.count()) + " ms");
        late_ = took > wrong_.least + milliseconds(200);
        require(!late_, "late: after " + std::to_string(took.count()) + " ms");
        return bad.empty() ? bad : what_.name + " x " + wrong_.name + bad;
    }

    const operation& what_;
    const fault& wrong_;
    const places where_;
    std::atomic<int> requests_{0}, logged_{0};
    std::vector<int> slept_;
    bool late_ = false;
};

} // namespace

TEST_CASE_TEMPLATE("fault matrix: every function with every fault", T, BACKENDAI_SOCKET_TRANSPORTS) {
    const auto operations = api_operations::all<T>();
    const auto wrongs = faults();
    struct job {
        std::size_t operation, fault;
    };
    std::vector<job> jobs;
    for (std::size_t f = 0; f < wrongs.size(); ++f) {
        for (std::size_t o = 0; o < operations.size(); ++o) {
            if (!(wrongs[f].in_body && operations[o].reads == reading::websocket)) jobs.push_back({o, f});
        }
    }
    const files_support::sandbox box;
    const std::filesystem::path source = box.put("in/a", "content");
    std::mutex mutex;
    std::vector<std::string> bad;
    std::atomic<std::size_t> next{0};
    std::vector<std::thread> workers;
    for (int i = 0; i < 24; ++i) { // most of them wait most of the time
        workers.emplace_back([&] {
            for (std::size_t n = next++; n < jobs.size(); n = next++) {
                std::string judgement;
                // A machine that is busy with other things may make a cell late; not three times running.
                for (int attempt = 0; attempt < 3; ++attempt) {
                    const places where{source, box.root() / (std::to_string(n) + '.' + std::to_string(attempt))};
                    cell<T> meeting(operations[jobs[n].operation], wrongs[jobs[n].fault], where);
                    judgement = meeting.run();
                    if (!meeting.was_late()) break;
                }
                if (judgement.empty()) continue;
                const std::lock_guard<std::mutex> lock(mutex);
                bad.push_back(judgement);
            }
        });
    }
    for (std::thread& worker : workers) worker.join();
    MESSAGE(jobs.size() << " cells");
    CHECK(jobs.size() >= 150);
    std::sort(bad.begin(), bad.end());
    for (const std::string& each : bad) FAIL_CHECK(each);
}
