/// @file
/// The vocabulary between the session and a transport: request, response head, where a body comes from and goes to.
/// No type of an HTTP library appears here.
#ifndef BACKENDAI_HTTP_HPP
#define BACKENDAI_HTTP_HPP

#include <backendai/cancel.hpp>
#include <backendai/codec/byte_source.hpp>
#include <backendai/codec/url.hpp>
#include <backendai/error.hpp>
#include <backendai/version.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

namespace detail {

template <class = void>
bool equal_ignoring_case(std::string_view a, std::string_view b) {
    if (a.size() != b.size()) return false;
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (lower(a[i]) != lower(b[i])) return false;
    }
    return true;
}

} // namespace detail

/// Header fields in order; names compare without regard to case.
class header_list {
public:
    using value_type = std::pair<std::string, std::string>;
    using const_iterator = std::vector<value_type>::const_iterator;

    header_list() = default;
    header_list(std::initializer_list<value_type> items) : items_(items) {}

    void reserve(std::size_t count) { items_.reserve(count); }
    void add(std::string name, std::string value) { items_.emplace_back(std::move(name), std::move(value)); }
    /// Replaces all fields of that name by one.
    template <class = void>
    void set(const std::string& name, std::string value) {
        remove(name);
        add(name, std::move(value));
    }
    template <class = void>
    void remove(std::string_view name) {
        for (auto it = items_.begin(); it != items_.end();) {
            it = detail::equal_ignoring_case(it->first, name) ? items_.erase(it) : it + 1;
        }
    }
    /// The value of the first field of that name, or nullptr.
    template <class = void>
    const std::string* find(std::string_view name) const {
        for (const value_type& item : items_) {
            if (detail::equal_ignoring_case(item.first, name)) return &item.second;
        }
        return nullptr;
    }
    /// The value of the first field of that name, or an empty string.
    template <class = void>
    std::string get(std::string_view name) const {
        const std::string* value = find(name);
        return value != nullptr ? *value : std::string();
    }
    template <class = void>
    std::size_t count(std::string_view name) const {
        std::size_t number = 0;
        for (const value_type& item : items_) number += detail::equal_ignoring_case(item.first, name) ? 1 : 0;
        return number;
    }
    const_iterator begin() const noexcept { return items_.begin(); }
    const_iterator end() const noexcept { return items_.end(); }
    std::size_t size() const noexcept { return items_.size(); }
    bool empty() const noexcept { return items_.empty(); }

private:
    std::vector<value_type> items_;
};

/// One HTTP request as it goes to a transport. The body is `source` when that is set, else `body`.
struct http_request {
    std::string method = "GET";
    codec::url url;
    header_list headers; ///< without Host, Content-Length, Connection: those are the transport's
    std::string body;
    std::shared_ptr<codec::byte_source> source; ///< of known length; rewound by whoever sends the request again

    bool has_body() const { return source != nullptr || !body.empty(); }
};

/// Status line and header fields of an answer.
struct response_head {
    int status = 0;
    std::string reason;
    header_list headers;
};

/// Receives an answer while it arrives, on the thread that called exchange(). What it throws ends the exchange and
/// comes out of exchange() unchanged.
class body_sink {
public:
    body_sink() = default;
    body_sink(const body_sink&) = delete;
    body_sink& operator=(const body_sink&) = delete;
    virtual ~body_sink() = default;
    /// Called once, before any data, with the final answer's head (never an interim 1xx).
    virtual void on_head(const response_head& head) = 0;
    /// Called with each piece of the body as it arrives; transfer coding is removed, content coding is not.
    virtual void on_data(std::string_view data) = 0;
};

namespace detail {

/// The moment when @p limit is over. More than a century is as good as no limit, max(), and would overflow the clock.
template <class = void>
std::chrono::steady_clock::time_point
time_after(std::chrono::milliseconds limit,
           std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now()) {
    if (limit >= std::chrono::hours(24 * 365 * 100)) return (std::chrono::steady_clock::time_point::max)();
    return limit.count() > 0 ? start + limit : start;
}

} // namespace detail

/// Limits of one exchange: when it must be over, how long it may stall, who may cancel it.
struct exchange_context {
    using clock = std::chrono::steady_clock;
    clock::time_point deadline = (clock::time_point::max)(); ///< max() is none
    std::chrono::milliseconds connect_timeout{30'000};       ///< 0 is none
    std::chrono::milliseconds read_timeout{60'000};          ///< between two bytes of the answer; 0 is none
    cancel_token cancel;
    cancel_token closing; ///< triggered when the session closes

    bool has_deadline() const { return deadline != (clock::time_point::max)(); }
    bool interrupted() const { return cancel.cancelled() || closing.cancelled(); }

    /// @p limit (0: none) or what is left until the deadline, whichever is shorter, never less than 1 ms; 0 when there
    /// is neither.
    template <class = void>
    std::chrono::milliseconds within(std::chrono::milliseconds limit) const {
        using std::chrono::milliseconds;
        if (!has_deadline()) return limit;
        const auto left = std::chrono::duration_cast<milliseconds>(deadline - clock::now()) + milliseconds(1);
        const milliseconds rest = left < milliseconds(1) ? milliseconds(1) : left;
        return limit.count() == 0 || rest < limit ? rest : limit;
    }

    /// @throws client_error{cancelled, closed or timeout} when the exchange must not go on.
    template <class = void>
    void check(client_error::progress sent = client_error::progress::nothing_sent) const {
        if (cancel.cancelled()) throw client_error(error_kind::cancelled, "the call was cancelled", sent);
        if (closing.cancelled()) throw client_error(error_kind::closed, "the session was closed", sent);
        if (has_deadline() && clock::now() >= deadline) {
            throw client_error(error_kind::timeout, "the call's time limit was reached", sent);
        }
    }
};

BACKENDAI_NAMESPACE_END

#endif
