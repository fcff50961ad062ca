/// @file
/// A strict push parser of one HTTP/1.x response: what answers a websocket handshake or a proxy's CONNECT, whether it
/// agrees or sends an error page. (RFC 9112; obsolete line folding and bare line ends are refused.)
#ifndef BACKENDAI_CODEC_HTTP_RESPONSE_HPP
#define BACKENDAI_CODEC_HTTP_RESPONSE_HPP

#include <backendai/codec/decode_error.hpp>
#include <backendai/codec/http_fields.hpp>
#include <backendai/version.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// A response as it came. `body` is that of an error, cut at the limit when `body_cut` is set.
struct http_response {
    int status = 0;
    std::string reason;
    http_fields headers;
    std::string body;
    bool body_cut = false;
};

/// Bounds of a response.
struct http_response_limits {
    std::size_t max_head_size = 32U << 10U; ///< bytes of all heads (interim ones too) and of chunk sizes and trailers
    std::size_t max_header_count = 100;
    std::size_t max_body_size = 256U << 10U; ///< bytes of the body that are kept; a longer one is cut, not an error
};

/// Parses in any chunking. Interim responses (1xx but 101) are skipped. After 101, and after a success to CONNECT, what
/// follows the head is not HTTP and stays in the caller's input. Not thread-safe. Malformed input and heads over a
/// limit throw decode_error; the parser is useless then.
class http_response_parser {
public:
    /// `connect_request`: the request was a CONNECT, whose success (2xx) has no body.
    explicit http_response_parser(http_response_limits limits = {}, bool connect_request = false)
        : limits_(limits), connect_request_(connect_request) {}

    /// Takes bytes off the front of `input`, as many as belong to the response. True when the response is whole.
    template <class = void>
    bool feed(std::string_view& input) {
        while (state_ != state::done && !input.empty()) {
            if (state_ == state::body || state_ == state::chunk || state_ == state::until_close) {
                read_body(input);
            } else if (read_line(input)) {
                const std::string line = std::exchange(line_, {});
                line_done(line);
            }
        }
        return state_ == state::done;
    }

    /// Tells that the connection ended: that is the end of a body without a length; anywhere else decode_error.
    template <class = void>
    void finish() {
        if (state_ == state::until_close) state_ = state::done;
        if (state_ != state::done) throw decode_error("http response: the connection ended before its end");
    }

    /// True when the response is whole.
    bool done() const noexcept { return state_ == state::done; }

    /// True once status and headers are known, though the body may be outstanding.
    bool head_done() const noexcept { return state_ != state::status_line && state_ != state::header; }

    /// The response so far.
    const http_response& response() const noexcept { return response_; }

private:
    enum class state { status_line, header, body, until_close, chunk_size, chunk, chunk_end, trailer, done };

    [[noreturn]] static void fail(const char* what) { throw decode_error(std::string("http response: ") + what); }

    // A line up to CR LF into line_, without them. Judged as a whole, so the result does not depend on the chunking.
    template <class = void>
    bool read_line(std::string_view& input) {
        const std::size_t end = input.find('\n');
        const std::size_t size = end == std::string_view::npos ? input.size() : end + 1;
        if (size > limits_.max_head_size - head_size_) fail("head over the size limit");
        head_size_ += size;
        line_.append(input.substr(0, size));
        input.remove_prefix(size);
        if (end == std::string_view::npos) return false;
        line_.pop_back();
        if (line_.empty() || line_.back() != '\r') fail("line that does not end with CR LF");
        line_.pop_back();
        return true;
    }

    template <class = void>
    void line_done(std::string_view line) {
        switch (state_) {
        case state::status_line: read_status(line); break;
        case state::header:
            if (line.empty()) {
                end_of_head();
            } else {
                read_header(line, response_.headers);
            }
            break;
        case state::chunk_size: read_chunk_size(line); break;
        case state::chunk_end:
            if (!line.empty()) fail("chunk longer than its size");
            state_ = state::chunk_size;
            break;
        case state::trailer:
            if (line.empty()) {
                state_ = state::done;
            } else {
                read_header(line, trailers_);
            }
            break;
        default: fail("line where none belongs");
        }
    }

    template <class = void>
    void read_status(std::string_view line) {
        // "HTTP/1.1 101 Switching Protocols"; the space before an empty reason is often missing in practice.
        if (line.size() < 12 || line.substr(0, 7) != "HTTP/1." || (line[7] != '0' && line[7] != '1') ||
            line[8] != ' ' || (line.size() > 12 && line[12] != ' ')) {
            fail("malformed status line");
        }
        int status = 0;
        for (const char digit : line.substr(9, 3)) {
            if (digit < '0' || digit > '9') fail("malformed status line");
            status = status * 10 + (digit - '0');
        }
        const std::string_view reason = line.size() > 13 ? line.substr(13) : std::string_view();
        if (status < 100 || status > 599 || !is_field_value(reason)) fail("malformed status line");
        http_1_0_ = line[7] == '0';
        response_.status = status;
        response_.reason = std::string(reason);
        state_ = state::header;
    }

    template <class = void>
    void read_header(std::string_view line, http_fields& fields) const {
        if (fields.size() == limits_.max_header_count) fail("too many headers");
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) fail("malformed header");
        const std::string_view value = trim_field(line.substr(colon + 1));
        if (!is_field_value(value)) fail("control character in a header");
        fields.emplace_back(std::string(line.substr(0, colon)), std::string(value));
    }

    template <class = void>
    void end_of_head() {
        const int status = response_.status;
        if (status == 101 || (connect_request_ && status / 100 == 2)) {
            if (http_1_0_ && status == 101) fail("protocol switch in HTTP/1.0");
            state_ = state::done;
        } else if (status < 200) {
            response_ = http_response();
            state_ = state::status_line;
        } else if (status == 204 || status == 304) {
            state_ = state::done;
        } else {
            start_body();
        }
    }

    template <class = void>
    void start_body() {
        const std::size_t codings = count_fields(response_.headers, "Transfer-Encoding");
        const std::size_t lengths = count_fields(response_.headers, "Content-Length");
        if (codings + lengths > 1) fail("more than one length of the body");
        if (codings == 1) {
            if (http_1_0_ || !equals_ignoring_case(*find_field(response_.headers, "Transfer-Encoding"), "chunked")) {
                fail("unknown transfer coding");
            }
            state_ = state::chunk_size;
        } else if (lengths == 1) {
            remaining_ = parse_length(*find_field(response_.headers, "Content-Length"), 10);
            state_ = remaining_ == 0 ? state::done : state::body;
        } else {
            state_ = state::until_close;
        }
    }

    template <class = void>
    static std::uint64_t parse_length(std::string_view digits, unsigned base) {
        // 18 decimal or 15 hexadecimal digits fit into 64 bits; nothing longer is honest.
        if (digits.empty() || digits.size() > (base == 10 ? 18U : 15U)) fail("malformed length");
        std::uint64_t value = 0;
        for (const char c : digits) {
            unsigned digit = base;
            if (c >= '0' && c <= '9') digit = static_cast<unsigned>(c - '0');
            if (c >= 'a' && c <= 'f') digit = static_cast<unsigned>(c - 'a') + 10;
            if (c >= 'A' && c <= 'F') digit = static_cast<unsigned>(c - 'A') + 10;
            if (digit >= base) fail("malformed length");
            value = value * base + digit;
        }
        return value;
    }

    template <class = void>
    void read_chunk_size(std::string_view line) {
        const std::size_t extension = line.find(';');
        if (!is_field_value(line)) fail("control character in a chunk's head");
        if (extension != std::string_view::npos) line = trim_field(line.substr(0, extension));
        remaining_ = parse_length(line, 16);
        state_ = remaining_ == 0 ? state::trailer : state::chunk;
    }

    template <class = void>
    void read_body(std::string_view& input) {
        std::size_t n = input.size();
        if (state_ != state::until_close && remaining_ < n) n = static_cast<std::size_t>(remaining_);
        const std::size_t kept = (std::min)(n, limits_.max_body_size - response_.body.size());
        response_.body.append(input.substr(0, kept));
        input.remove_prefix(kept);
        remaining_ -= state_ == state::until_close ? 0 : kept;
        if (kept < n) {
            // Nobody reads the rest of an endless error page: the connection is of no more use anyway.
            response_.body_cut = true;
            state_ = state::done;
        } else if (state_ != state::until_close && remaining_ == 0) {
            state_ = state_ == state::chunk ? state::chunk_end : state::done;
        }
    }

    http_response_limits limits_;
    bool connect_request_;
    state state_ = state::status_line;
    bool http_1_0_ = false;
    std::size_t head_size_ = 0;
    std::uint64_t remaining_ = 0; // bytes of the body, or of the chunk, still to come
    std::string line_;
    http_fields trailers_;
    http_response response_;
};

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif
