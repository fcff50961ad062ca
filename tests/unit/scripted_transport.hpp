/// @file
/// A transport for tests: its answers come from a script, and it keeps what it was asked. Models transport/concept.hpp.
#ifndef BACKENDAI_TESTS_SCRIPTED_TRANSPORT_HPP
#define BACKENDAI_TESTS_SCRIPTED_TRANSPORT_HPP

#include <backendai/request.hpp>
#include <backendai/session.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace scripted {

using backendai::client_error;
using backendai::error_kind;
using backendai::json;

/// One request as it came to the transport.
struct seen {
    std::string method, target, host;
    backendai::header_list headers;
    std::string body;
    backendai::exchange_context context;

    json body_json() const { return json::parse(body); }
};

/// One answer of the script.
struct reply {
    int status = 200;
    std::string reason = "OK";
    backendai::header_list headers;
    std::vector<std::string> pieces;                     ///< the body as it arrives
    std::optional<client_error> before_head, after_body; ///< thrown in place of, or after, the answer
    bool hangs = false;                                  ///< no answer until the deadline or a cancel
    std::function<void(const seen&)> action;             ///< runs first, on the calling thread
};

inline reply answer(int status, std::string body = {}, backendai::header_list headers = {}) {
    reply made;
    made.status = status;
    made.reason = status == 200 ? "OK" : "Reason " + std::to_string(status);
    made.headers = std::move(headers);
    if (!body.empty()) made.pieces.push_back(std::move(body));
    return made;
}
inline reply answer_json(const json& body, int status = 200) {
    return answer(status, body.dump(), {{"Content-Type", "application/json"}});
}
inline reply failure(error_kind kind, client_error::progress sent = client_error::progress::nothing_sent) {
    reply made;
    made.before_head = client_error(kind, "scripted", sent);
    return made;
}
inline reply hang() {
    reply made;
    made.hangs = true;
    return made;
}

/// The script, shared by a test and the transport inside its session. Thread-safe.
class script {
public:
    void add(reply next) {
        const std::lock_guard<std::mutex> lock(mutex_);
        replies_.push_back(std::move(next));
    }
    /// Makes the answers when the list is used up.
    void otherwise(std::function<reply(const seen&)> make) {
        const std::lock_guard<std::mutex> lock(mutex_);
        otherwise_ = std::move(make);
    }
    std::vector<seen> requests() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return requests_;
    }
    std::size_t count() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return requests_.size();
    }
    /// Waits until the transport was asked for the number-th time.
    void wait_for(std::size_t number) {
        std::unique_lock<std::mutex> lock(mutex_);
        arrived_.wait(lock, [&] { return requests_.size() >= number; });
    }

    reply next(const seen& request) {
        std::function<reply(const seen&)> make;
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            requests_.push_back(request);
            arrived_.notify_all();
            if (!replies_.empty()) {
                reply first = std::move(replies_.front());
                replies_.pop_front();
                return first;
            }
            make = otherwise_;
        }
        if (!make) throw std::logic_error("the script has no answer to " + request.method + ' ' + request.target);
        return make(request);
    }

private:
    mutable std::mutex mutex_;
    std::condition_variable arrived_;
    std::deque<reply> replies_;
    std::vector<seen> requests_;
    std::function<reply(const seen&)> otherwise_;
};

class transport {
public:
    explicit transport(std::shared_ptr<script> lines) : script_(std::move(lines)) {}

    backendai::response_head exchange(backendai::http_request& request, backendai::body_sink& sink,
                                      const backendai::exchange_context& context) {
        context.check();
        seen record{request.method,  request.url.target(), request.url.host_header(),
                    request.headers, request.body,         context};
        if (request.source) record.body = read_all(*request.source);
        const reply next = script_->next(record);
        if (next.action) next.action(record);
        if (next.hangs) hang_until_interrupted(context);
        if (next.before_head) throw client_error(*next.before_head);
        backendai::response_head head;
        head.status = next.status;
        head.reason = next.reason;
        head.headers = next.headers;
        sink.on_head(head);
        for (const std::string& piece : next.pieces) sink.on_data(piece);
        if (next.after_body) throw client_error(*next.after_body);
        return head;
    }

private:
    static std::string read_all(backendai::codec::byte_source& source) {
        std::string all;
        char buffer[7]; // odd and small, so that a body comes in several pieces
        while (const std::size_t count = source.read(buffer, sizeof buffer)) all.append(buffer, count);
        if (all.size() != source.size()) throw client_error(error_kind::io, "the source is not as long as it said");
        return all;
    }

    [[noreturn]] static void hang_until_interrupted(const backendai::exchange_context& context) {
        std::mutex mutex;
        std::condition_variable woken;
        const auto wake = [&] {
            const std::lock_guard<std::mutex> lock(mutex);
            woken.notify_all();
        };
        const backendai::cancel_token::listener on_cancel(context.cancel, wake);
        const backendai::cancel_token::listener on_close(context.closing, wake);
        {
            std::unique_lock<std::mutex> lock(mutex);
            const auto over = [&] { return context.interrupted(); };
            if (context.has_deadline()) {
                woken.wait_until(lock, context.deadline, over);
            } else {
                woken.wait(lock, over);
            }
        }
        context.check(client_error::progress::maybe_sent);
        throw std::logic_error("the hanging exchange was not interrupted");
    }

    std::shared_ptr<script> script_;
};
static_assert(backendai::is_transport_v<transport> && !backendai::is_websocket_transport_v<transport>);

using session = backendai::basic_session<transport, backendai::blocking>;

inline const char* access_key() {
    return "AKIAUNITTESTUNITTEST";
}
inline const char* secret_key() {
    return "uNiT-tEsT_sEcReT-kEy-0123456789abcdefXYZ";
}

/// Sets or unsets one environment variable for a scope; what was there comes back.
class environment_guard {
public:
    environment_guard(std::string name, std::optional<std::string> value) : name_(std::move(name)) {
        if (const char* before = std::getenv(name_.c_str())) before_ = before;
        put(value);
    }
    environment_guard(const environment_guard&) = delete;
    environment_guard& operator=(const environment_guard&) = delete;
    ~environment_guard() { put(before_); }

private:
    void put(const std::optional<std::string>& value) const {
#ifdef _WIN32
        _putenv_s(name_.c_str(), value ? value->c_str() : "");
#else
        if (value) {
            setenv(name_.c_str(), value->c_str(), 1);
        } else {
            unsetenv(name_.c_str());
        }
#endif
    }
    std::string name_;
    std::optional<std::string> before_;
};

/// An environment without any of the SDK's variables, for a scope.
class clean_environment {
public:
    clean_environment() {
        for (const char* prefix : {"BACKEND_", "SORNA_"}) {
            for (const char* key : {"ENDPOINT", "ACCESS_KEY", "SECRET_KEY", "VFOLDER_MOUNTS", "SKIP_SSLCERT_VALIDATION",
                                    "ENDPOINT_TYPE", "OVERRIDE_STORAGE_PROXY"}) {
                guards_.push_back(std::make_unique<environment_guard>(std::string(prefix) + key, std::nullopt));
            }
        }
    }

private:
    std::vector<std::unique_ptr<environment_guard>> guards_;
};

/// A session on a script, with a clock that goes on by a second with each look, a sleeper that only keeps what it was
/// asked for, a fixed jitter and a kept log.
class bench {
public:
    explicit bench(std::function<void(backendai::api_config&)> change = {}) {
        backendai::api_config config;
        config.endpoint = "https://gw.example.org:8443/base";
        config.version = "v4.20190315"; // explicit: no call is preceded by one that asks for the server's version
        config.access_key = access_key();
        config.secret_key = secret_key();
        config.vfolder_mounts = std::vector<std::string>();
        config.clock = [this] {
            const std::lock_guard<std::mutex> lock(mutex_);
            return now += std::chrono::seconds(1);
        };
        config.sleeper = [this](std::chrono::milliseconds delay) {
            const std::lock_guard<std::mutex> lock(mutex_);
            slept.push_back(delay);
        };
        config.jitter = [] { return 0.5; };
        config.on_log = [this](const backendai::log_record& record) {
            const std::lock_guard<std::mutex> lock(mutex_);
            log.push_back(record);
        };
        if (change) change(config);
        sdk.emplace(std::move(config), transport(lines));
    }
    bench(const bench&) = delete;
    bench& operator=(const bench&) = delete;

    clean_environment environment; // first, so that it is in force when the session is made
    std::shared_ptr<script> lines = std::make_shared<script>();
    // 2019-02-14T09:30:00.123456Z
    std::chrono::system_clock::time_point now{
        std::chrono::duration_cast<std::chrono::system_clock::duration>(std::chrono::microseconds(1550136600123456))};
    std::vector<std::chrono::milliseconds> slept;
    std::vector<backendai::log_record> log;

    script& operator*() { return *lines; }
    script* operator->() { return lines.get(); }

private:
    std::mutex mutex_;

public:
    std::optional<session> sdk; // last: its calls end before what the hooks refer to goes
};

/// What a call threw, taken apart; none set when it threw nothing.
struct thrown {
    std::optional<error_kind> kind;
    std::optional<client_error::progress> sent;
    int status = 0;
    std::string text;
    bool other = false;
};
template <class Call>
thrown attempt(Call call) {
    thrown result;
    try {
        call();
    } catch (const client_error& e) {
        result.kind = e.kind();
        result.sent = e.sent();
        result.text = e.what();
    } catch (const backendai::api_error& e) {
        result.status = e.status();
        result.text = e.what();
    } catch (const std::exception& e) {
        result.other = true;
        result.text = e.what();
    }
    return result;
}

inline bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

/// For a bench whose session speaks this version.
inline std::function<void(backendai::api_config&)> speaking(std::string version) {
    return [version = std::move(version)](backendai::api_config& config) { config.version = version; };
}

/// A console: a list of [type, payload], spelled out because nlohmann takes a list of pairs for an object.
inline json records(const std::vector<std::pair<std::string, json>>& items) {
    json list = json::array();
    for (const auto& item : items) list.push_back(json::array({item.first, item.second}));
    return list;
}

/// A file of tests/data.
inline json load_data(const std::string& name) {
#ifdef BACKENDAI_TEST_DATA
    const std::string folder = BACKENDAI_TEST_DATA;
#else
    const std::string here = __FILE__;
    const std::string folder = here.substr(0, here.find_last_of("/\\") + 1) + "../data";
#endif
    std::ifstream file(folder + "/" + name, std::ios::binary);
    if (!file.good()) throw std::runtime_error("cannot open tests/data/" + name);
    return json::parse(file);
}

} // namespace scripted

#endif
