#include <backendai/retry.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <vector>

using namespace backendai;
using std::chrono::milliseconds;

namespace {

using delay = std::optional<milliseconds>;
constexpr auto nothing = client_error::progress::nothing_sent;
constexpr auto maybe = client_error::progress::maybe_sent;

codec::utc_time now() {
    return *codec::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT");
}

api_error refused(int status, const std::string& retry_after = {}) {
    api_error::details what;
    what.status = status;
    what.retry_after = retry_after;
    return api_error(what);
}

delay ask(retry_class kind, int attempt, const error& failure, double jitter = 0.5, retry_policy policy = {}) {
    return retry_delay(policy, kind, attempt, failure, now(), jitter);
}

} // namespace

TEST_CASE("statuses: what is tried again, by class and attempt") {
    struct row {
        int status;
        bool safe;
        int first_ms; // half of the ceiling
    };
    const std::vector<row> rows = {{429, true, 500}, {502, true, 50}, {503, true, 50}, {504, true, 50},
                                   {500, false, 0},  {501, false, 0}, {505, false, 0}, {400, false, 0},
                                   {401, false, 0},  {403, false, 0}, {404, false, 0}, {408, false, 0},
                                   {412, false, 0},  {301, false, 0}, {302, false, 0}};
    for (const row& r : rows) {
        CAPTURE(r.status);
        CHECK(ask(retry_class::unsafe, 1, refused(r.status)) == delay());
        CHECK(ask(retry_class::safe, 1, refused(r.status)) == (r.safe ? delay(milliseconds(r.first_ms)) : delay()));
        CHECK(ask(retry_class::safe, 2, refused(r.status)) == (r.safe ? delay(milliseconds(2 * r.first_ms)) : delay()));
        CHECK(ask(retry_class::safe, 3, refused(r.status)) == delay());
        CHECK(ask(retry_class::safe, 4, refused(r.status)) == delay());
    }
}

TEST_CASE("Retry-After is obeyed for 429 and 503 alone, in both classes") {
    for (const retry_class kind : {retry_class::safe, retry_class::unsafe}) {
        for (const int status : {429, 503}) {
            CHECK(ask(kind, 1, refused(status, "7"), 0.0) == delay(milliseconds(7000)));
            CHECK(ask(kind, 2, refused(status, "0"), 0.9) == delay(milliseconds(0)));
            CHECK(ask(kind, 1, refused(status, "20")) == delay(milliseconds(20000)));
            CHECK(ask(kind, 1, refused(status, "21")) == delay());
            CHECK(ask(kind, 1, refused(status, "99999999999999999999999999")) == delay());
            CHECK(ask(kind, 3, refused(status, "1")) == delay());
            CHECK(ask(kind, 1, refused(status, "Sun, 06 Nov 1994 08:49:40 GMT")) == delay(milliseconds(3000)));
            CHECK(ask(kind, 1, refused(status, "Sun, 06 Nov 1994 08:00:00 GMT")) == delay(milliseconds(0)));
            CHECK(ask(kind, 1, refused(status, "Sun, 06 Nov 1994 09:49:37 GMT")) == delay());
            const delay base = status == 429 ? milliseconds(500) : milliseconds(50);
            for (const char* garbage : {"soon", "-1", "1.5", "7 s", "0x7", "Sun, 06 Nov"}) {
                CHECK(ask(kind, 1, refused(status, garbage)) == (kind == retry_class::safe ? base : delay()));
            }
        }
        CHECK(ask(kind, 1, refused(500, "1")) == delay());
        CHECK(ask(retry_class::safe, 1, refused(502, "7")) == delay(milliseconds(50)));
        CHECK(ask(retry_class::unsafe, 1, refused(502, "7")) == delay());
    }
}

TEST_CASE("Retry-After texts are read without overflow whatever they hold") {
    CHECK(parse_retry_after("", now()) == delay());
    CHECK(parse_retry_after("120", now()) == delay(milliseconds(120000)));
    CHECK(parse_retry_after(std::string(1000, '9'), now()).value_or(milliseconds(0)) > std::chrono::hours(24 * 365));
    for (const char* date : {"Fri, 31 Dec 9999 23:59:59 GMT", "Sat, 01 Jan 0000 00:00:00 GMT",
                             "Thu, 31 Dec 2260 23:59:59 GMT", "Fri, 01 Jan 1700 00:00:00 GMT"}) {
        const delay wait = parse_retry_after(date, now());
        if (wait) CHECK(wait->count() >= 0);
    }
}

TEST_CASE("failures on this side: what is tried again, by class and by what was sent") {
    for (const error_kind kind : {error_kind::argument, error_kind::tls, error_kind::protocol, error_kind::cancelled,
                                  error_kind::closed, error_kind::io}) {
        for (const auto sent : {nothing, maybe}) {
            CHECK(ask(retry_class::safe, 1, client_error(kind, "", sent)) == delay());
            CHECK(ask(retry_class::unsafe, 1, client_error(kind, "", sent)) == delay());
        }
    }
    CHECK(ask(retry_class::safe, 1, client_error(error_kind::connect, "", nothing)) == delay(milliseconds(50)));
    CHECK(ask(retry_class::safe, 2, client_error(error_kind::connect, "", maybe)) == delay(milliseconds(100)));
    CHECK(ask(retry_class::unsafe, 1, client_error(error_kind::connect, "", nothing)) == delay(milliseconds(50)));
    CHECK(ask(retry_class::unsafe, 1, client_error(error_kind::connect, "", maybe)) == delay());
    CHECK(ask(retry_class::safe, 1, client_error(error_kind::timeout, "", nothing)) == delay(milliseconds(50)));
    CHECK(ask(retry_class::unsafe, 1, client_error(error_kind::timeout, "", nothing)) == delay(milliseconds(50)));
    CHECK(ask(retry_class::safe, 1, client_error(error_kind::timeout, "", maybe)) == delay());
    CHECK(ask(retry_class::unsafe, 1, client_error(error_kind::timeout, "", maybe)) == delay());
    CHECK(ask(retry_class::safe, 1, error("of another kind")) == delay());
}

TEST_CASE("back-off doubles up to its limit, and jitter takes any part of it") {
    retry_policy policy;
    policy.max_attempts = 100;
    const client_error lost(error_kind::connect, "", nothing);
    const std::vector<int> ceilings = {100, 200, 400, 800, 1600, 3200, 6400, 12800, 20000, 20000};
    for (std::size_t i = 0; i < ceilings.size(); ++i) {
        const int attempt = static_cast<int>(i) + 1;
        CHECK(ask(retry_class::safe, attempt, lost, 0.0, policy) == delay(milliseconds(0)));
        CHECK(ask(retry_class::safe, attempt, lost, 0.5, policy) == delay(milliseconds(ceilings[i] / 2)));
        CHECK(ask(retry_class::safe, attempt, lost, 0.9999999, policy) == delay(milliseconds(ceilings[i] - 1)));
    }
    CHECK(ask(retry_class::safe, 99, lost, 0.5, policy) == delay(milliseconds(10000)));
    CHECK(ask(retry_class::safe, 100, lost, 0.5, policy) == delay());
    policy.max_attempts = 1;
    CHECK(ask(retry_class::safe, 1, lost, 0.5, policy) == delay());
    policy.max_attempts = 2;
    policy.base_delay = milliseconds(60000);
    CHECK(ask(retry_class::safe, 1, lost, 0.5, policy) == delay(milliseconds(10000)));
}

TEST_CASE("the budget is used up by retries, faster by timeouts, and refilled by successes") {
    retry_policy policy;
    policy.bucket_capacity = 20;
    retry_budget budget(policy);
    CHECK(budget.take(false));
    CHECK(budget.take(true));
    CHECK(budget.take(false)); // 0 left
    CHECK(!budget.take(false));
    for (int i = 0; i < 4; ++i) budget.refund(false);
    CHECK(!budget.take(false));
    budget.refund(false);
    CHECK(!budget.take(true));
    CHECK(budget.take(false));
    budget.refund(true); // gives back what the retry took
    CHECK(budget.take(false));
    for (int i = 0; i < 1000; ++i) budget.refund(true);
    int taken = 0;
    while (budget.take(false)) ++taken;
    CHECK(taken == 4); // never more than its capacity
}

TEST_CASE("the budget counts right among threads") {
    retry_policy policy;
    policy.bucket_capacity = 1000;
    retry_budget budget(policy);
    std::vector<int> taken(4, 0);
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < taken.size(); ++i) {
        threads.emplace_back([&, i] {
            for (int round = 0; round < 100; ++round) taken[i] += budget.take(false) ? 1 : 0;
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(taken[0] + taken[1] + taken[2] + taken[3] == 200);
}
