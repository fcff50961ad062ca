/// @file
/// Range-for over a stream whose next() returns an optional.
#ifndef BACKENDAI_API_STREAM_ITERATOR_HPP
#define BACKENDAI_API_STREAM_ITERATOR_HPP

#include <backendai/version.hpp>

#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// Single pass: making one that is not the end reads the first event.
template <class Stream, class Event>
class stream_iterator {
public:
    using iterator_category = std::input_iterator_tag;
    using value_type = Event;
    using difference_type = std::ptrdiff_t;
    using pointer = Event*;
    using reference = Event&;

    stream_iterator() = default;
    explicit stream_iterator(Stream& stream) : stream_(&stream) { ++*this; }
    Event& operator*() const { return *event_; }
    Event* operator->() const { return event_.get(); }
    stream_iterator& operator++() {
        static_assert(std::is_same_v<decltype(stream_->next()), std::optional<Event>>,
                      "backendai: a range-for waits for each event, which only a stream of a blocking session does: in "
                      "asynchronous mode `while (auto event = co_await stream.next())`");
        std::optional<Event> event = stream_->next();
        if (event) {
            event_ = std::make_shared<Event>(std::move(*event));
        } else {
            stream_ = nullptr;
        }
        return *this;
    }
    friend bool operator==(const stream_iterator& a, const stream_iterator& b) { return a.stream_ == b.stream_; }
    friend bool operator!=(const stream_iterator& a, const stream_iterator& b) { return !(a == b); }

private:
    Stream* stream_ = nullptr;
    std::shared_ptr<Event> event_; // copies of an iterator see the same event
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
