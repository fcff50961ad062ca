/// @file
/// Server-sent events, as the HTML standard defines them (section 9.2): a push parser without I/O.
#ifndef BACKENDAI_CODEC_SSE_HPP
#define BACKENDAI_CODEC_SSE_HPP

#include <backendai/codec/decode_error.hpp>
#include <backendai/version.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// One event.
struct sse_event {
    std::string name = "message"; ///< of the `event` field
    std::string data;             ///< the `data` fields, a line feed between them
    std::string id;               ///< of this event or the last before it that had one
};

/// Takes a stream apart into events; one parser for each connection. Bytes are not changed and not checked for UTF-8.
/// Not thread-safe.
class sse_parser {
public:
    /// @param limit bytes of one event, its longest line included
    explicit sse_parser(std::size_t limit = 1 << 20) : limit_(limit) {}

    /// Takes the next bytes; calls `sink(sse_event)` for each event that is complete. What the stream ends with,
    /// without the empty line behind it, is no event.
    /// @throws decode_error when an event is larger than the limit (nothing may follow); what the sink throws
    template <class Sink>
    void feed(std::string_view bytes, Sink&& sink) {
        if (failed_) throw decode_error("event stream: data after an error");
        failed_ = true; // until the end of this call: also when the sink throws
        bytes_ += bytes.size();
        skip_mark(bytes);
        while (!bytes.empty()) {
            if (after_return_ && bytes.front() == '\n') bytes.remove_prefix(1); // the rest of a CR LF
            after_return_ = false;
            const std::size_t end = bytes.find_first_of("\r\n");
            const std::string_view piece = bytes.substr(0, end);
            if (piece.size() > limit_ - (std::min)(limit_, line_.size() + data_.size()))
                throw decode_error("event stream: an event is larger than " + std::to_string(limit_) + " bytes");
            line_ += piece;
            if (end == std::string_view::npos) break;
            after_return_ = bytes[end] == '\r';
            bytes.remove_prefix(end + 1);
            take_line(sink);
        }
        failed_ = false;
    }

    /// The id to go on after, for the header Last-Event-ID of the next connection; empty for none.
    const std::string& last_event_id() const noexcept { return id_; }
    void set_last_event_id(std::string id) { id_ = std::move(id); }
    /// How long the server wants its clients to wait before they connect again, if it said so.
    std::optional<std::chrono::milliseconds> retry() const noexcept { return retry_; }
    /// Bytes taken until now, comments included, which servers send as a sign of life.
    std::uint64_t bytes() const noexcept { return bytes_; }

private:
    // U+FEFF may stand before everything else.
    template <class = void>
    void skip_mark(std::string_view& bytes) {
        static constexpr std::string_view mark = "\xEF\xBB\xBF";
        while (mark_seen_ < mark.size() && !bytes.empty()) {
            if (bytes.front() != mark[mark_seen_]) {
                line_ = mark.substr(0, mark_seen_); // it only began like one
                mark_seen_ = mark.size();
                return;
            }
            ++mark_seen_;
            bytes.remove_prefix(1);
        }
    }

    template <class Sink>
    void take_line(Sink& sink) {
        const std::string line = std::exchange(line_, {});
        if (line.empty()) return dispatch(sink);
        const std::size_t colon = line.find(':');
        const std::string_view field = std::string_view(line).substr(0, colon);
        std::string_view value =
            colon == std::string::npos ? std::string_view() : std::string_view(line).substr(colon + 1);
        if (!value.empty() && value.front() == ' ') value.remove_prefix(1);
        if (field == "data") {
            data_ += value;
            data_ += '\n';
        } else if (field == "event") {
            name_ = value;
        } else if (field == "id") {
            if (value.find('\0') == std::string_view::npos) next_id_ = value;
        } else if (field == "retry") {
            set_retry(value);
        } // else a comment (an empty field name), or a field of another time, which the standard says to ignore
    }

    template <class Sink>
    void dispatch(Sink& sink) {
        if (next_id_) id_ = std::move(*next_id_);
        next_id_.reset();
        std::string name = std::exchange(name_, {});
        std::string data = std::exchange(data_, {});
        if (data.empty()) return;
        data.pop_back();
        sink(sse_event{name.empty() ? "message" : std::move(name), std::move(data), id_});
    }

    template <class = void>
    void set_retry(std::string_view value) {
        if (value.empty() || value.size() > 9 || value.find_first_not_of("0123456789") != std::string_view::npos)
            return;
        std::int64_t milliseconds = 0;
        for (const char c : value) milliseconds = milliseconds * 10 + (c - '0');
        retry_ = std::chrono::milliseconds(milliseconds);
    }

    std::size_t limit_;
    std::string line_, name_, data_, id_;
    std::optional<std::string> next_id_; // of the event that is coming
    std::optional<std::chrono::milliseconds> retry_;
    std::uint64_t bytes_ = 0;
    std::size_t mark_seen_ = 0;
    bool after_return_ = false, failed_ = false;
};

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif
