/// @file
/// The embedded gateway's events of compute sessions: who listens, and the endpoint, as server-sent events.
#ifndef BACKENDAI_TESTING_GATEWAY_EVENTS_HPP
#define BACKENDAI_TESTING_GATEWAY_EVENTS_HPP

#include <backendai/codec/url.hpp>
#include <backendai/testing/gateway_auth.hpp>
#include <backendai/testing/gateway_http.hpp>
#include <backendai/testing/gateway_router.hpp>
#include <backendai/testing/gateway_types.hpp>
#include <backendai/version.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdlib>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// One event as it is published.
struct lifecycle_event {
    std::string name, session_name, session_id, owner, reason;
    nlohmann::json exit_code; ///< a number or null
    std::size_t number = 0;   ///< given by the hub
};

/// Which events a listener wants; empty members say nothing.
struct event_filter {
    std::string session_name, session_id, owner, scope;

    bool wants(const lifecycle_event& event) const {
        return (session_name.empty() || session_name == event.session_name) &&
               (session_id.empty() || session_id == event.session_id) && owner == event.owner &&
               (scope.empty() || event.name.compare(0, scope.size(), scope) == 0);
    }
};

/// Hands events to all who listen, and keeps the latest. Thread-safe.
class event_hub {
public:
    enum class end { none, orderly, broken };

    /// Waits for an event behind number @p last that the filter wants; false when none came within @p limit.
    bool next(const event_filter& filter, std::size_t& last, std::size_t generation, std::chrono::milliseconds limit,
              lifecycle_event& found, end& ended) {
        std::unique_lock<std::mutex> lock(mutex_);
        return changed_.wait_for(lock, limit, [&] {
            if (closed_ || generation != generation_) {
                ended = closed_ ? end::orderly : ending_;
                return true;
            }
            for (const lifecycle_event& event : events_) {
                if (event.number <= last) continue;
                last = event.number;
                if (!filter.wants(event)) continue;
                found = event;
                return true;
            }
            return false;
        });
    }
    void publish(lifecycle_event event) {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            event.number = ++last_;
            events_.push_back(std::move(event));
            if (events_.size() > 1000) events_.pop_front();
        }
        changed_.notify_all();
    }
    /// Ends the streams that are open now.
    void end_streams(end how) {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            ++generation_;
            ending_ = how;
        }
        changed_.notify_all();
    }
    void close() {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            closed_ = true;
        }
        changed_.notify_all();
    }
    std::size_t last() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return last_;
    }
    std::size_t generation() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return generation_;
    }

private:
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<lifecycle_event> events_;
    std::size_t last_ = 0, generation_ = 0;
    end ending_ = end::none;
    bool closed_ = false;
};

/// The endpoint. Thread-safe.
class event_routes {
public:
    /// @param ids_are_uuids a parameter sessionId is one; else it is a name
    /// @param is_admin tells whether an access key may listen to others' sessions
    event_routes(const gateway_options& options, bool ids_are_uuids, std::function<bool(const std::string&)> is_admin)
        : options_(options), ids_are_uuids_(ids_are_uuids), is_admin_(std::move(is_admin)) {}

    void add_to(router& table, const std::string& path) {
        table.add("GET", path, true, [this](const gateway_request& request) { return listen(request); });
    }
    event_hub& hub() { return hub_; }
    std::size_t listeners() const { return listeners_; }

private:
    static problem bad_parameter(const std::string& key, const nlohmann::json& why) {
        return {400,
                "invalid-api-params",
                "Missing or invalid API parameters.",
                {{"msg", "Input validation error"}, {"data", {{key, why}}}}};
    }

    event_filter read_filter(const gateway_request& request) const {
        event_filter filter;
        filter.owner = access_key_of(request.call);
        for (const auto& item : request.query) {
            const std::string& value = item.second;
            if (item.first == "name" || item.first == "sessionName") {
                filter.session_name = value == "*" ? "" : value;
            } else if (item.first == "sessionId") {
                if (ids_are_uuids_ && value.size() != 36) {
                    throw bad_parameter(item.first,
                                        {{"0", "value should be None"}, {"1", "cannot convert value to UUID"}});
                }
                (ids_are_uuids_ ? filter.session_id : filter.session_name) = value;
            } else if (item.first == "ownerAccessKey") {
                if (value != filter.owner && !is_admin_(filter.owner))
                    throw problem(403, "generic-forbidden", "Forbidden operation.");
                filter.owner = value;
            } else if (item.first == "scope") {
                if (value != "*" && value != "session" && value != "kernel")
                    throw bad_parameter(item.first, "value doesn't match any variant");
                filter.scope = value == "*" ? "" : value + '_';
            } else if (item.first != "group" && item.first != "groupName") {
                throw bad_parameter(item.first, item.first + " is not allowed key");
            }
        }
        if (!filter.session_id.empty()) filter.session_name.clear();
        return filter;
    }

    struct listener {
        explicit listener(std::atomic<std::size_t>& count) : count_(count) { ++count_; }
        listener(const listener&) = delete;
        listener& operator=(const listener&) = delete;
        ~listener() { --count_; }

        event_filter filter;
        std::size_t last = 0, generation = 0;
        std::string pending;

    private:
        std::atomic<std::size_t>& count_;
    };

    http_reply listen(const gateway_request& request) {
        auto state = std::make_shared<listener>(listeners_);
        state->filter = read_filter(request);
        if (!request.call.takes_stream) throw problem(501, "not-implemented", "Events need a connection.");
        state->generation = hub_.generation();
        state->last = hub_.last();
        const std::string* behind = find_header(request.call.headers, "Last-Event-ID");
        if (options_.event_ids && behind != nullptr)
            state->last = static_cast<std::size_t>(std::strtoull(behind->c_str(), nullptr, 10));
        http_reply reply;
        reply.headers = {{"Content-Type", "text/event-stream"}, {"Cache-Control", "no-cache"}};
        reply.stream = [this, state](char* buffer, std::size_t capacity) { return pull(*state, buffer, capacity); };
        return reply;
    }

    std::size_t pull(listener& state, char* buffer, std::size_t capacity) {
        if (state.pending.empty()) {
            lifecycle_event event;
            event_hub::end ended = event_hub::end::none;
            if (!hub_.next(state.filter, state.last, state.generation, options_.event_ping, event, ended)) {
                state.pending = ": ping\r\n\r\n";
            } else if (ended == event_hub::end::broken) {
                throw end_of_connection{};
            } else if (ended == event_hub::end::orderly) {
                return 0;
            } else {
                state.pending = text_of(event);
            }
        }
        const std::size_t count = (std::min)(capacity, state.pending.size());
        std::copy_n(state.pending.begin(), count, buffer);
        state.pending.erase(0, count);
        return count;
    }

    std::string text_of(const lifecycle_event& event) const {
        nlohmann::ordered_json data = {{"reason", event.reason},
                                       {"sessionName", event.session_name},
                                       {"ownerAccessKey", event.owner},
                                       {"sessionId", event.session_id},
                                       {"exitCode", event.exit_code}};
        data["kernelId"] = event.session_id;
        if (event.name.compare(0, 7, "kernel_") == 0) {
            data["clusterRole"] = "main";
            data["clusterIdx"] = 1;
        }
        const std::string id = options_.event_ids ? "id: " + std::to_string(event.number) + "\r\n" : std::string();
        return id + "event: " + event.name +
               "\r\ndata: " + data.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\r\n\r\n";
    }

    const gateway_options& options_;
    bool ids_are_uuids_;
    std::function<bool(const std::string&)> is_admin_;
    event_hub hub_;
    std::atomic<std::size_t> listeners_{0};
};

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
