/// @file
/// HTTP/1.1 on one server connection (RFC 9112): requests in, replies out, with limits.
#ifndef BACKENDAI_TESTING_GATEWAY_HTTP_HPP
#define BACKENDAI_TESTING_GATEWAY_HTTP_HPP

#include <backendai/codec/http_fields.hpp>
#include <backendai/os/socket.hpp>
#include <backendai/testing/gateway_types.hpp>
#include <backendai/version.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// A request that is no HTTP or goes over a limit: the status to answer before the connection is closed.
struct bad_request {
    int status;
    const char* why;
};

/// The peer has closed, or kept silent for too long.
struct end_of_connection {};

inline std::string lower_case(std::string_view text) {
    std::string result(text);
    for (char& c : result) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    return result;
}

inline std::string_view trim(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

/// Whether a comma-separated header has an item, in any case.
inline bool has_token(const header_list& headers, std::string_view name, std::string_view token) {
    const std::string* value = find_header(headers, name);
    std::string_view rest = value != nullptr ? std::string_view(*value) : std::string_view();
    while (!rest.empty()) {
        const std::size_t comma = rest.find(',');
        if (lower_case(trim(rest.substr(0, comma))) == token) return true;
        if (comma == std::string_view::npos) break;
        rest.remove_prefix(comma + 1);
    }
    return false;
}

/// Reads requests from one connection. One thread.
class request_reader {
public:
    request_reader(os::tcp_socket& socket, const gateway_options& options) : socket_(socket), options_(options) {}

    /// Reads the next request's head. @throws bad_request, end_of_connection, std::system_error.
    http_call read_head() {
        std::size_t end = 0, searched = 0;
        while (bytes_.compare(0, 2, "\r\n") == 0)
            bytes_.erase(0, 2); // RFC 9112 section 2.2: empty lines before a request
        while ((end = bytes_.find("\r\n\r\n", searched)) == std::string::npos) {
            if (bytes_.size() > options_.max_head) throw bad_request{431, "head too large"};
            // As real servers do: a client that begins with TLS would wait for an answer, and not send a line's end.
            const bool is_text = bytes_.empty() || bytes_[0] == '\r' || codec::is_token(bytes_.substr(0, 1));
            if (!is_text) throw bad_request{400, "bad method"};
            searched = bytes_.size() < 3 ? 0 : bytes_.size() - 3;
            fill();
        }
        if (end > options_.max_head) throw bad_request{431, "head too large"};
        http_call call;
        parse_head(std::string_view(bytes_).substr(0, end + 2), call);
        bytes_.erase(0, end + 4);
        return call;
    }

    /// Reads the body that the head announces into @p call.
    void read_body(http_call& call) {
        const std::string* encoding = find_header(call.headers, "Transfer-Encoding");
        const std::size_t length = content_length(call.headers, encoding != nullptr);
        if (encoding == nullptr && length == 0) return;
        if (length > options_.max_body) throw bad_request{413, "body too large"};
        if (has_token(call.headers, "Expect", "100-continue") && bytes_.empty()) {
            socket_.write("HTTP/1.1 100 Continue\r\n\r\n");
        }
        if (encoding == nullptr) {
            take(length, call.body);
            return;
        }
        if (lower_case(trim(*encoding)) != "chunked") throw bad_request{501, "unknown transfer encoding"};
        for (;;) {
            const std::size_t size = chunk_size(read_line());
            if (size > options_.max_body - call.body.size()) throw bad_request{413, "body too large"};
            if (size == 0) break;
            take(size, call.body);
            if (!read_line().empty()) throw bad_request{400, "bad chunk"};
        }
        while (!read_line().empty()) continue; // trailer fields
    }

    /// Leaves the body of an upload (multipart or TUS) on the connection, to be read through @p call; false for other
    /// requests.
    bool stream_body(http_call& call) {
        const std::string* type = find_header(call.headers, "Content-Type");
        const std::string kind = type == nullptr ? std::string() : lower_case(*type);
        if (kind.compare(0, 20, "multipart/form-data;") != 0 && kind != "application/offset+octet-stream") return false;
        const std::string* encoding = find_header(call.headers, "Transfer-Encoding");
        stream_left_ = content_length(call.headers, encoding != nullptr);
        if (encoding != nullptr && lower_case(trim(*encoding)) != "chunked") {
            throw bad_request{501, "unknown transfer encoding"};
        }
        in_chunks_ = encoding != nullptr;
        first_chunk_ = true;
        if (has_token(call.headers, "Expect", "100-continue") && bytes_.empty()) {
            socket_.write("HTTP/1.1 100 Continue\r\n\r\n");
        }
        call.stream = [this](char* buffer, std::size_t capacity) { return read_stream(buffer, capacity); };
        return true;
    }
    /// Throws away what the handler has left of a body.
    void drain_stream() {
        char buffer[16384];
        while (read_stream(buffer, sizeof buffer) != 0) continue;
    }

    bool keeps_alive() const { return keeps_alive_; }
    /// What came behind the request.
    std::string take_rest() { return std::exchange(bytes_, {}); }

private:
    std::size_t read_stream(char* buffer, std::size_t capacity) {
        if (stream_left_ == 0 && in_chunks_) {
            if (!std::exchange(first_chunk_, false) && !read_line().empty()) throw bad_request{400, "bad chunk"};
            stream_left_ = chunk_size(read_line());
            if (stream_left_ == 0) {
                while (!read_line().empty()) continue; // trailer fields
                in_chunks_ = false;
            }
        }
        std::size_t count = (std::min)(capacity, stream_left_);
        if (count == 0) return 0;
        if (bytes_.empty()) {
            if (!socket_.wait_readable(options_.keep_alive)) throw end_of_connection{};
            count = socket_.read(buffer, count);
            if (count == 0) throw end_of_connection{};
        } else {
            count = (std::min)(count, bytes_.size());
            std::copy_n(bytes_.begin(), count, buffer);
            bytes_.erase(0, count);
        }
        stream_left_ -= count;
        return count;
    }

    void fill() {
        if (!socket_.wait_readable(options_.keep_alive)) throw end_of_connection{};
        char buffer[16384];
        const std::size_t count = socket_.read(buffer, sizeof buffer);
        if (count == 0) throw end_of_connection{};
        bytes_.append(buffer, count);
    }

    void take(std::size_t length, std::string& into) {
        while (length > 0) {
            if (bytes_.empty()) fill();
            const std::size_t count = (std::min)(length, bytes_.size());
            into.append(bytes_, 0, count);
            bytes_.erase(0, count);
            length -= count;
        }
    }

    std::string read_line() {
        std::size_t end = 0;
        while ((end = bytes_.find("\r\n")) == std::string::npos) {
            if (bytes_.size() > 4096) throw bad_request{400, "line too long"};
            fill();
        }
        std::string line = bytes_.substr(0, end);
        bytes_.erase(0, end + 2);
        return line;
    }

    static std::size_t chunk_size(const std::string& line) {
        std::size_t size = 0, digits = 0;
        for (const char c : line) {
            int value = -1;
            if (c >= '0' && c <= '9') value = c - '0';
            if (c >= 'a' && c <= 'f') value = c - 'a' + 10;
            if (c >= 'A' && c <= 'F') value = c - 'A' + 10;
            if (value < 0) {
                if (c == ';' || c == ' ') break;
                throw bad_request{400, "bad chunk size"};
            }
            if (++digits > 12) throw bad_request{413, "body too large"};
            size = size * 16 + static_cast<std::size_t>(value);
        }
        if (digits == 0) throw bad_request{400, "bad chunk size"};
        return size;
    }

    static std::size_t content_length(const header_list& headers, bool is_chunked) {
        std::size_t length = 0;
        const std::string* seen = nullptr;
        for (const auto& field : headers) {
            if (lower_case(field.first) != "content-length") continue;
            if (is_chunked || (seen != nullptr && *seen != field.second)) throw bad_request{400, "two lengths"};
            seen = &field.second;
            if (field.second.empty() || field.second.size() > 15) throw bad_request{400, "bad length"};
            length = 0;
            for (const char c : field.second) {
                if (c < '0' || c > '9') throw bad_request{400, "bad length"};
                length = length * 10 + static_cast<std::size_t>(c - '0');
            }
        }
        return length;
    }

    void parse_head(std::string_view head, http_call& call) {
        const std::size_t line_end = head.find("\r\n");
        const std::string_view line = head.substr(0, line_end);
        const std::size_t first = line.find(' '), last = line.rfind(' ');
        if (first == std::string_view::npos || first == last) throw bad_request{400, "bad request line"};
        call.method = line.substr(0, first);
        call.target = line.substr(first + 1, last - first - 1);
        const std::string_view version = line.substr(last + 1);
        if (version.substr(0, 5) != "HTTP/") throw bad_request{400, "bad request line"};
        if (version != "HTTP/1.1" && version != "HTTP/1.0") throw bad_request{505, "not HTTP/1"};
        if (call.target.empty() || call.target[0] != '/' || call.target.find(' ') != std::string::npos) {
            throw bad_request{400, "bad target"};
        }
        head.remove_prefix(line_end + 2);
        while (!head.empty()) {
            const std::size_t end = head.find("\r\n");
            const std::string_view field = head.substr(0, end);
            const std::size_t colon = field.find(':');
            const bool has_name = colon != std::string_view::npos && colon > 0 && field[colon - 1] != ' ' &&
                                  field[0] != ' ' && field[0] != '\t';
            if (!has_name) throw bad_request{400, "bad header"};
            call.headers.emplace_back(field.substr(0, colon), trim(field.substr(colon + 1)));
            head.remove_prefix(end + 2);
        }
        keeps_alive_ = version == "HTTP/1.1" ? !has_token(call.headers, "Connection", "close")
                                             : has_token(call.headers, "Connection", "keep-alive");
        if (version == "HTTP/1.1" && find_header(call.headers, "Host") == nullptr) throw bad_request{400, "no Host"};
    }

    os::tcp_socket& socket_;
    const gateway_options& options_;
    std::string bytes_;
    bool keeps_alive_ = false;
    std::size_t stream_left_ = 0; ///< of the body, or of its present chunk
    bool in_chunks_ = false, first_chunk_ = false;
};

/// The head of a reply. @param length of the body to announce; npos = none is announced.
inline std::string head_of(const http_reply& reply, std::size_t length, bool keeps_alive) {
    std::string head = "HTTP/1.1 " + std::to_string(reply.status) + ' ' +
                       (reply.reason.empty() ? reason_of(reply.status) : reply.reason) + "\r\n";
    for (const auto& field : reply.headers) head += field.first + ": " + field.second + "\r\n";
    const bool has_length = length != std::string::npos && reply.status != 204 && reply.status >= 200;
    if (has_length) head += "Content-Length: " + std::to_string(length) + "\r\n";
    if (reply.status >= 200) head += keeps_alive ? "Connection: keep-alive\r\n" : "Connection: close\r\n";
    return head + "\r\n";
}

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
