/// @file
/// When a failed call is tried again and how long it waits before. Pure: no clock, no sleeping, no randomness of its
/// own.
#ifndef BACKENDAI_RETRY_HPP
#define BACKENDAI_RETRY_HPP

#include <backendai/codec/date.hpp>
#include <backendai/error.hpp>
#include <backendai/version.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

BACKENDAI_NAMESPACE_BEGIN

/// How often and when a failed call is tried again. The defaults are in the neighbourhood of the large cloud SDKs'.
struct retry_policy {
    int max_attempts = 3;                      ///< the first one included; 1 switches retries off
    std::chrono::milliseconds base_delay{100}; ///< back-off before the second attempt, doubled for each further one
    std::chrono::milliseconds throttled_base_delay{1000}; ///< the same after a 429 without Retry-After
    std::chrono::milliseconds max_delay{20'000}; ///< upper limit of a back-off, and of a Retry-After that is obeyed
    int bucket_capacity = 500;                   ///< tokens of the session's retry budget
    int retry_cost = 5;                          ///< tokens a retry takes
    int timeout_cost = 10;                       ///< tokens a retry after a timeout takes
    int success_refund = 1;                      ///< tokens a call gives back that succeeded at once
};

/// @throws client_error{argument} for a policy with values that cannot be meant.
template <class = void>
void check_retry_policy(const retry_policy& policy) {
    const auto require = [](bool good, const char* rule) {
        if (!good) throw client_error(error_kind::argument, std::string("retry policy: ") + rule);
    };
    require(policy.max_attempts >= 1, "max_attempts must be at least 1");
    require(policy.base_delay.count() >= 0 && policy.throttled_base_delay.count() >= 0 && policy.max_delay.count() >= 0,
            "a delay is negative");
    require(policy.max_delay <= std::chrono::hours(24), "max_delay is more than a day");
    require(policy.bucket_capacity >= 0 && policy.retry_cost >= 0 && policy.timeout_cost >= 0 &&
                policy.success_refund >= 0,
            "a number of tokens is negative");
    require(policy.success_refund <= 1'000'000 && policy.retry_cost <= 1'000'000 && policy.bucket_capacity <= 1'000'000,
            "a number of tokens is more than a million");
}

/// Whether a call may be repeated when it is unknown what became of it.
enum class retry_class {
    safe,  ///< repeating does no harm: reads, and what the protocol makes idempotent
    unsafe ///< may have run code or created something
};

/// A per-session budget of retries, so that a sick server is not hammered by every caller's retries at once.
/// Thread-safe.
class retry_budget {
public:
    explicit retry_budget(const retry_policy& policy) : policy_(policy), tokens_(policy.bucket_capacity) {}
    /// Takes the tokens of one retry; false when the budget is used up.
    template <class = void>
    bool take(bool after_timeout) {
        const int cost = after_timeout ? policy_.timeout_cost : policy_.retry_cost;
        const std::lock_guard<std::mutex> lock(mutex_);
        if (tokens_ < cost) return false;
        tokens_ -= cost;
        return true;
    }
    /// Gives tokens back after a success.
    template <class = void>
    void refund(bool was_retried) {
        const std::lock_guard<std::mutex> lock(mutex_);
        tokens_ =
            (std::min)(policy_.bucket_capacity, tokens_ + (was_retried ? policy_.retry_cost : policy_.success_refund));
    }

private:
    retry_policy policy_;
    std::mutex mutex_;
    int tokens_;
};

/// Reads a Retry-After header, seconds or an HTTP date, relative to @p now; nothing when it is neither.
template <class = void>
std::optional<std::chrono::milliseconds> parse_retry_after(std::string_view text, codec::utc_time now) {
    if (text.empty()) return {};
    if (text.find_first_not_of("0123456789") == std::string_view::npos) {
        if (text.size() > 9) text = "999999999"; // more than the longest wait in any case
        std::int64_t seconds = 0;
        for (const char c : text) seconds = seconds * 10 + (c - '0');
        return std::chrono::seconds(seconds);
    }
    const auto date = codec::parse_http_date(text);
    if (!date) return {};
    // In milliseconds first: the difference of two dates may be more than the clock's own unit can count.
    using std::chrono::milliseconds;
    const auto wait = std::chrono::duration_cast<milliseconds>(date->time_since_epoch()) -
                      std::chrono::duration_cast<milliseconds>(now.time_since_epoch());
    return (std::max)(wait, milliseconds(0));
}

/// How long to wait before attempt number @p attempt + 1 after @p failure, or nothing when the call must not be tried
/// again. @p jitter is a random number in [0, 1): full jitter, as synchronous callers must not come back in step.
template <class = void>
std::optional<std::chrono::milliseconds> retry_delay(const retry_policy& policy, retry_class kind, int attempt,
                                                     const error& failure, codec::utc_time now, double jitter) {
    using std::chrono::milliseconds;
    if (attempt >= policy.max_attempts) return {};
    milliseconds base = policy.base_delay;
    if (const auto* answer = failure.as_api_error()) {
        const int status = answer->status();
        const bool overload = status == 429 || status == 503;
        if (overload) {
            if (const auto wait = parse_retry_after(answer->retry_after(), now)) {
                if (*wait > policy.max_delay) return {}; // not within our patience: the caller decides
                return *wait;
            }
        }
        if (kind == retry_class::unsafe) return {};
        if (!overload && status != 502 && status != 504) return {};
        if (status == 429) base = policy.throttled_base_delay;
    } else if (const auto* local = failure.as_client_error()) {
        // A time limit that was reached before anything was sent is a connection that did not come about.
        const bool connection =
            local->kind() == error_kind::connect ||
            (local->kind() == error_kind::timeout && local->sent() == client_error::progress::nothing_sent);
        if (!connection) return {};
        if (kind == retry_class::unsafe && local->sent() != client_error::progress::nothing_sent) return {};
    } else {
        return {};
    }
    milliseconds ceiling = base;
    for (int i = 1; i < attempt && ceiling < policy.max_delay; ++i) ceiling *= 2;
    ceiling = (std::min)(ceiling, policy.max_delay);
    return milliseconds(static_cast<std::int64_t>(static_cast<double>(ceiling.count()) * jitter));
}

BACKENDAI_NAMESPACE_END

#endif
