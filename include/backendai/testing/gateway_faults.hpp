/// @file
/// Scripted faults of the embedded gateway.
#ifndef BACKENDAI_TESTING_GATEWAY_FAULTS_HPP
#define BACKENDAI_TESTING_GATEWAY_FAULTS_HPP

#include <backendai/testing/gateway_types.hpp>
#include <backendai/version.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {

/// What goes wrong. "Served" says whether the request has had its effect.
enum class fault_kind {
    refuse_connection,    ///< closed as soon as it is accepted; method and path do not count. Not served
    drop_before_reading,  ///< closed when the request's head has come, its body unread. Not served
    drop_before_handling, ///< closed when the request has come. Not served
    drop_in_request,  ///< uploads to the storage proxy: served as far as `position` bytes of the body go, then closed
    drop_before_head, ///< served, and closed without an answer
    drop_in_head,     ///< served, and closed after `position` bytes of the answer's head (half of it when 0)
    drop_after_head,  ///< served, and closed after the head
    drop_in_body,     ///< served, and closed after `position` bytes of the body (half of it when 0)
    delay,            ///< served, after waiting for `interval`
    status,           ///< `status` with problem+json, or with `bytes` as its body. Not served
    clock_skew,       ///< answers as a server whose clock is one hour ahead: 400 invalid-auth-params. Not served
    garbage_response, ///< served, answered by bytes that are no HTTP
    garbage_body,     ///< served, answered by a head that says JSON and a body that is none
    length_too_long,  ///< served; Content-Length is larger than the body, then closed
    length_too_short, ///< served; Content-Length is smaller than the body by `position` bytes (1 when 0)
    bad_chunk,        ///< served; a chunked body whose second chunk has no length
    drip_head,        ///< served; one byte of the head every `interval`
    drip_body,        ///< served; one byte of the body every `interval`
    stall,            ///< served; never answers, until the peer closes or the gateway stops
    stall_in_body,    ///< served; never goes on after `position` bytes of the body (half of it when 0)
    raw,              ///< `bytes` are the whole answer, then closed. Not served
    // In an open websocket, in place of the server's message number `position`, from 0. Served
    websocket_stall,           ///< an open websocket that sends nothing any more
    websocket_drop,            ///< an open websocket whose connection ends in the middle of a frame
    websocket_bad_frame,       ///< an open websocket that sends a frame with reserved bits
    websocket_oversized_frame, ///< an open websocket that announces a frame of 2^62 bytes
    websocket_close,           ///< an open websocket that is closed with code `status` and reason `bytes`
    websocket_message          ///< an open websocket that says `bytes`, as a text message, and then nothing any more
};

/// One scripted fault; used for the next `times` requests that match.
struct fault {
    fault_kind kind = fault_kind::status;
    std::string method;      ///< empty = any
    std::string path_prefix; ///< empty = any; compared with the path without the gateway's own prefix
    int times = 1;           ///< -1 = for ever
    int skip = 0;            ///< so many matching requests go through before
    int status = 503;
    std::string bytes;        ///< for raw; for status: the body, instead of a problem document
    std::string content_type; ///< for status with bytes; empty = text/html
    /// For status: the value of Retry-After (seconds or an HTTP date).
    std::optional<std::string> retry_after = std::nullopt;
    std::chrono::milliseconds interval = std::chrono::milliseconds(100);
    std::size_t position = 0;
    bool reset = false; ///< drops end by a TCP reset instead of an orderly close
};

namespace detail {

/// Whether the fault shows in an open websocket only.
inline bool is_of_websocket(fault_kind kind) {
    return kind == fault_kind::websocket_stall || kind == fault_kind::websocket_drop ||
           kind == fault_kind::websocket_bad_frame || kind == fault_kind::websocket_oversized_frame ||
           kind == fault_kind::websocket_close || kind == fault_kind::websocket_message;
}

} // namespace detail

/// The faults that are in force. Thread-safe.
class fault_list {
public:
    /// Adds a fault behind those there are. Returns its number for uses().
    std::size_t add(fault item) {
        const std::lock_guard<std::mutex> lock(mutex_);
        entries_.push_back({std::make_shared<fault>(std::move(item)), 0, 0});
        return entries_.size() - 1;
    }

    /// Ends all faults; their counts stay.
    void clear() {
        const std::lock_guard<std::mutex> lock(mutex_);
        for (entry& item : entries_) item.item->times = item.used;
    }

    /// How often a fault has been used.
    int uses(std::size_t number) const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return entries_.at(number).used;
    }

    /// The fault for a new connection (method and path do not count) or a whole request, counted as used; or null.
    std::shared_ptr<const fault> take(bool is_connection, std::string_view method, std::string_view path) {
        return take_if(method, path, [is_connection](fault_kind kind) {
            if (kind == fault_kind::drop_before_reading || kind == fault_kind::drop_in_request ||
                detail::is_of_websocket(kind))
                return false;
            return (kind == fault_kind::refuse_connection) == is_connection;
        });
    }

    /// The fault of a websocket that was opened by this request.
    std::shared_ptr<const fault> take_websocket(std::string_view method, std::string_view path) {
        return take_if(method, path, detail::is_of_websocket);
    }

    /// The fault that ends a request when its head has been read.
    std::shared_ptr<const fault> take_early(std::string_view method, std::string_view path) {
        return take_if(method, path, [](fault_kind kind) { return kind == fault_kind::drop_before_reading; });
    }

    /// The fault that ends a request while its body is read.
    std::shared_ptr<const fault> take_in_request(std::string_view method, std::string_view path) {
        return take_if(method, path, [](fault_kind kind) { return kind == fault_kind::drop_in_request; });
    }

private:
    template <class Predicate>
    std::shared_ptr<const fault> take_if(std::string_view method, std::string_view path, Predicate is_wanted) {
        const std::lock_guard<std::mutex> lock(mutex_);
        for (entry& item : entries_) {
            const fault& it = *item.item;
            if (!is_wanted(it.kind) || (it.times >= 0 && item.used >= it.times)) continue;
            if (it.kind != fault_kind::refuse_connection) {
                if (!it.method.empty() && it.method != method) continue;
                if (path.substr(0, it.path_prefix.size()) != it.path_prefix) continue;
            }
            if (item.seen++ < it.skip) continue;
            ++item.used;
            return std::make_shared<fault>(it);
        }
        return nullptr;
    }

    struct entry {
        std::shared_ptr<fault> item;
        int seen, used;
    };
    mutable std::mutex mutex_;
    std::vector<entry> entries_;
};

namespace detail {

/// Whether the request must not reach its handler.
inline bool keeps_from_handler(fault_kind kind) {
    switch (kind) {
    case fault_kind::refuse_connection:
    case fault_kind::drop_before_reading:
    case fault_kind::drop_before_handling:
    case fault_kind::status:
    case fault_kind::raw: return true;
    default: return false;
    }
}

/// Whether the fault shows in status, headers or body of an ordinary answer, so that no connection is needed.
inline bool is_whole_answer(fault_kind kind) {
    return kind == fault_kind::status || kind == fault_kind::clock_skew || kind == fault_kind::garbage_body ||
           kind == fault_kind::delay;
}

inline http_reply status_reply(const fault& item) {
    http_reply reply;
    if (item.bytes.empty()) {
        const char* type = item.status == 429   ? "rate-limit-exceeded"
                           : item.status == 503 ? "service-unavailable"
                                                : "internal-server-error";
        const char* title = item.status == 429   ? "You have reached your API query rate limit."
                            : item.status == 503 ? "Serivce unavailable." // as real servers spell it
                                                 : "Internal server error.";
        reply = problem(item.status, type, title).reply();
    } else {
        reply.status = item.status;
        reply.headers = {{"Content-Type", item.content_type.empty() ? "text/html" : item.content_type}};
        reply.body = item.bytes;
    }
    if (item.retry_after) reply.headers.emplace_back("Retry-After", *item.retry_after);
    return reply;
}

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
