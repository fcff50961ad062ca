// Each scripted fault of the gateway once, through a session: the right kind of error, within the deadline, and no call
// that may have run code reaches the server twice.
#include <backendai.hpp>
#include <backendai/testing/gateway.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <optional>
#include <string>

namespace {

using namespace backendai;
using testing::fault_kind;

struct ending {
    int status = 0;                 // of the answer or the api_error
    std::optional<error_kind> kind; // of the client_error
    std::size_t received = 0;       // requests that reached the server
};

struct row {
    const char* name;
    fault_kind kind;
    int status = 0; // expected; 0: a client_error
    std::optional<error_kind> error;
    std::size_t safe_attempts = 1;   // for GET
    std::size_t unsafe_attempts = 1; // for POST
};

ending call(const row& what, bool safe) {
    testing::gateway gateway;
    api_config config;
    config.endpoint = gateway.endpoint();
    config.access_key = gateway.access_key();
    config.secret_key = gateway.secret_key();
    config.version = "v4.20190315";
    config.timeout = std::chrono::seconds(5);
    config.read_timeout = std::chrono::milliseconds(700);
    config.retry.base_delay = std::chrono::milliseconds(1);
    config.retry.throttled_base_delay = std::chrono::milliseconds(1);
    session session(config);
    testing::fault fault;
    fault.kind = what.kind;
    fault.times = -1;
    if (what.kind == fault_kind::status) fault.status = what.status;
    if (what.kind == fault_kind::raw) fault.bytes = "SSH-2.0-OpenSSH_9.2\r\n";
    if (what.kind == fault_kind::delay) fault.interval = std::chrono::milliseconds(100);
    if (what.kind == fault_kind::drip_head || what.kind == fault_kind::drip_body) {
        fault.interval = std::chrono::milliseconds(300);
        config.timeout = std::chrono::seconds(1);
    }
    gateway.inject(fault);
    call_options options;
    options.timeout = what.kind == fault_kind::drip_head || what.kind == fault_kind::drip_body
                          ? std::chrono::milliseconds(1000)
                          : std::chrono::milliseconds(5000);
    ending result;
    const auto start = std::chrono::steady_clock::now();
    try {
        const response answer =
            request(session.with(options), safe ? "GET" : "POST", "/auth/test").set_json({{"echo", "x"}}).fetch();
        answer.json();
        result.status = answer.status();
    } catch (const api_error& e) {
        result.status = e.status();
    } catch (const client_error& e) {
        result.kind = e.kind();
        CHECK_MESSAGE(std::string(e.what()).find(gateway.secret_key()) == std::string::npos, what.name);
    }
    // Three attempts of 700 ms at most, or the limit above; the rest is for sanitizers and a loaded machine.
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::milliseconds(5200));
    result.received = gateway.received(safe ? "GET" : "POST", "/auth/test");
    return result;
}

} // namespace

TEST_CASE("every scripted fault ends in the right error") {
    const row rows[] = {
        {"closed on accept", fault_kind::refuse_connection, 0, error_kind::connect, 0, 0},
        {"dropped with the body unread", fault_kind::drop_before_reading, 0, error_kind::connect, 0, 0},
        {"dropped before handling", fault_kind::drop_before_handling, 0, error_kind::connect, 3, 1},
        {"dropped before the head", fault_kind::drop_before_head, 0, error_kind::connect, 3, 1},
        {"dropped in the head", fault_kind::drop_in_head, 0, error_kind::protocol, 1, 1},
        {"dropped after the head", fault_kind::drop_after_head, 0, error_kind::protocol, 1, 1},
        {"dropped in the body", fault_kind::drop_in_body, 0, error_kind::protocol, 1, 1},
        {"slow", fault_kind::delay, 200, {}, 1, 1},
        {"500", fault_kind::status, 500, {}, 1, 1},
        {"502", fault_kind::status, 502, {}, 3, 1},
        {"503", fault_kind::status, 503, {}, 3, 1},
        {"504", fault_kind::status, 504, {}, 3, 1},
        {"429", fault_kind::status, 429, {}, 3, 1},
        {"wrong clock", fault_kind::clock_skew, 400, {}, 1, 1},
        {"garbage in place of HTTP", fault_kind::garbage_response, 0, error_kind::protocol, 1, 1},
        {"garbage in place of JSON", fault_kind::garbage_body, 0, error_kind::protocol, 1, 1},
        {"length too long", fault_kind::length_too_long, 0, error_kind::protocol, 1, 1},
        {"length too short", fault_kind::length_too_short, 0, error_kind::protocol, 1, 1},
        {"bad chunk", fault_kind::bad_chunk, 0, error_kind::protocol, 1, 1},
        {"drip in the head", fault_kind::drip_head, 0, error_kind::timeout, 1, 1},
        {"drip in the body", fault_kind::drip_body, 0, error_kind::timeout, 1, 1},
        {"stall", fault_kind::stall, 0, error_kind::timeout, 1, 1},
        {"stall in the body", fault_kind::stall_in_body, 0, error_kind::timeout, 1, 1},
        {"another protocol", fault_kind::raw, 0, error_kind::protocol, 1, 1},
    };
    for (const row& what : rows) {
        for (const bool safe : {true, false}) {
            const ending result = call(what, safe);
            INFO(std::string(what.name) << std::string(safe ? " (safe)" : " (unsafe)"));
            CHECK(result.status == what.status);
            REQUIRE(result.kind.has_value() == what.error.has_value());
            if (what.error) CHECK(std::string(to_string(*result.kind)) == std::string(to_string(*what.error)));
            CHECK(result.received == (safe ? what.safe_attempts : what.unsafe_attempts));
        }
    }
}

TEST_CASE("a call that may have run code is tried again only when the server says when") {
    testing::gateway gateway;
    api_config config;
    config.endpoint = gateway.endpoint();
    config.access_key = gateway.access_key();
    config.secret_key = gateway.secret_key();
    session session(config);
    const auto kernel = session.kernel().get_or_create("bash");
    testing::fault busy;
    busy.status = 503;
    busy.method = "POST";
    busy.retry_after = "0";
    gateway.inject(busy);
    CHECK(kernel.run("echo once").out == "once\n");
    CHECK(gateway.served("POST", "/kernel/" + kernel.kernel_id()) == 1);
}

TEST_CASE("a refused connection is an error of kind connect, and an unknown host too") {
    api_config config;
    config.access_key = "AKIA";
    config.secret_key = "secret";
    config.version = "v4.20190315";
    config.retry.max_attempts = 1;
    for (const char* endpoint : {"http://127.0.0.1:1", "http://no-such-host.invalid"}) {
        config.endpoint = endpoint;
        session session(config);
        try {
            session.hello();
            FAIL("a connection came about");
        } catch (const client_error& e) {
            CHECK(std::string(to_string(e.kind())) == "connect");
            CHECK(e.sent() == client_error::progress::nothing_sent);
        }
    }
}
