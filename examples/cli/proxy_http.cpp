#include "proxy_http.hpp"

#include <algorithm>

namespace cli {
namespace {

namespace codec = backendai::codec;

constexpr std::size_t most_head = 64U << 10U, most_collected = 64U << 20U;

std::uint64_t parse_length(const std::string& text, unsigned base) {
    std::uint64_t length = 0;
    for (const char c : text) {
        unsigned digit = 99;
        if (c >= '0' && c <= '9') digit = static_cast<unsigned>(c - '0');
        if (c >= 'a' && c <= 'f') digit = static_cast<unsigned>(c - 'a') + 10;
        if (c >= 'A' && c <= 'F') digit = static_cast<unsigned>(c - 'A') + 10;
        if (digit >= base || length > (std::uint64_t{1} << 56U)) throw bad_proxy_request{400, "Bad Request"};
        length = length * base + digit;
    }
    if (text.empty()) throw bad_proxy_request{400, "Bad Request"};
    return length;
}

proxy_request parse_head(std::string_view head) {
    const auto bad = [] { return bad_proxy_request{400, "Bad Request"}; };
    proxy_request request;
    std::size_t end = head.find("\r\n");
    const std::string_view line = head.substr(0, end);
    const std::size_t first = line.find(' '), last = line.rfind(' ');
    if (first == std::string_view::npos || first == last) throw bad();
    request.method = line.substr(0, first);
    request.target = line.substr(first + 1, last - first - 1);
    const std::string_view version = line.substr(last + 1);
    if (version != "HTTP/1.1" && version != "HTTP/1.0") throw bad_proxy_request{505, "HTTP Version Not Supported"};
    request.is_http_1_1 = version == "HTTP/1.1";
    if (!codec::is_token(request.method) || request.target.empty() || request.target.front() != '/') throw bad();
    while (end != std::string_view::npos) {
        head.remove_prefix(end + 2);
        end = head.find("\r\n");
        const std::string_view field = head.substr(0, end);
        const std::size_t colon = field.find(':');
        if (colon == std::string_view::npos || !codec::is_token(field.substr(0, colon))) throw bad();
        const std::string_view value = codec::trim_field(field.substr(colon + 1));
        if (!codec::is_field_value(value)) throw bad();
        request.fields.emplace_back(field.substr(0, colon), value);
    }
    return request;
}

} // namespace

std::string proxy_request::field(std::string_view name) const {
    const std::string* value = codec::find_field(fields, name);
    return value != nullptr ? *value : std::string();
}

bool proxy_request::keeps_alive() const {
    return is_http_1_1 ? !codec::list_has(fields, "Connection", "close")
                       : codec::list_has(fields, "Connection", "keep-alive");
}

// A body of known length that stays on the connection until it is asked for.
class client_connection::connection_source final : public codec::byte_source {
public:
    connection_source(client_connection& connection, std::uint64_t size)
        : connection_(connection), size_(size), left_(size) {}
    std::uint64_t size() const override { return size_; }
    std::size_t read(char* buffer, std::size_t capacity) override {
        const auto wanted = static_cast<std::size_t>((std::min)(static_cast<std::uint64_t>(capacity), left_));
        if (wanted == 0) return 0;
        const std::size_t count = connection_.read_some(buffer, wanted);
        if (count == 0) throw codec::source_error("the client ended the request before its end");
        left_ -= count;
        return count;
    }
    void rewind() override {
        if (left_ != size_) throw codec::source_error("the client's request cannot be sent again");
    }
    bool is_done() const { return left_ == 0; }

private:
    client_connection& connection_;
    const std::uint64_t size_;
    std::uint64_t left_;
};

std::optional<proxy_request> client_connection::next() {
    source_.reset();
    for (;;) {
        while (bytes_.compare(0, 2, "\r\n") == 0) bytes_.erase(0, 2); // RFC 9112 section 2.2
        const std::size_t end = bytes_.find("\r\n\r\n");
        if (end != std::string::npos) {
            proxy_request request = parse_head(std::string_view(bytes_).substr(0, end));
            bytes_.erase(0, end + 4);
            return request;
        }
        if (bytes_.size() > most_head) throw bad_proxy_request{431, "Request Header Fields Too Large"};
        if (!fill()) return std::nullopt;
    }
}

std::shared_ptr<codec::byte_source> client_connection::body(const proxy_request& request) {
    const std::string coding = request.field("Transfer-Encoding"), length = request.field("Content-Length");
    if (codec::count_fields(request.fields, "Content-Length") > 1 || (!coding.empty() && !length.empty()))
        throw bad_proxy_request{400, "Bad Request"}; // the ways to smuggle a request
    if (!coding.empty() && !codec::equals_ignoring_case(coding, "chunked"))
        throw bad_proxy_request{501, "Not Implemented"};
    const std::uint64_t size = length.empty() ? 0 : parse_length(length, 10);
    if (coding.empty() && size == 0) return nullptr;
    if (codec::list_has(request.fields, "Expect", "100-continue")) write("HTTP/1.1 100 Continue\r\n\r\n");
    if (!coding.empty()) return std::make_shared<codec::string_source>(read_chunks());
    source_ = std::make_shared<connection_source>(*this, size);
    return source_;
}

bool client_connection::is_body_done() const {
    return !source_ || source_->is_done();
}

void client_connection::answer(int status, std::string_view reason, std::string_view text, bool keeps_alive) {
    write("HTTP/1.1 " + std::to_string(status) + ' ' + std::string(reason) +
          "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: " + std::to_string(text.size()) +
          "\r\nConnection: " + (keeps_alive ? "keep-alive" : "close") + "\r\n\r\n" + std::string(text));
}

std::size_t client_connection::read_some(char* buffer, std::size_t capacity) {
    if (bytes_.empty()) return socket_.read(buffer, capacity);
    const std::size_t count = (std::min)(capacity, bytes_.size());
    bytes_.copy(buffer, count);
    bytes_.erase(0, count);
    return count;
}

std::string client_connection::read_line() {
    for (;;) {
        const std::size_t end = bytes_.find("\r\n");
        if (end != std::string::npos) {
            std::string line = bytes_.substr(0, end);
            bytes_.erase(0, end + 2);
            return line;
        }
        if (bytes_.size() > most_head || !fill()) throw bad_proxy_request{400, "Bad Request"};
    }
}

std::string client_connection::read_chunks() {
    std::string content;
    for (;;) {
        std::string line = read_line();
        const std::uint64_t size = parse_length(line.substr(0, line.find_first_of("; \t")), 16);
        if (size > most_collected - content.size()) throw bad_proxy_request{413, "Payload Too Large"};
        if (size == 0) break;
        while (bytes_.size() < size + 2) {
            if (!fill()) throw bad_proxy_request{400, "Bad Request"};
        }
        content.append(bytes_, 0, static_cast<std::size_t>(size));
        bytes_.erase(0, static_cast<std::size_t>(size));
        if (!read_line().empty()) throw bad_proxy_request{400, "Bad Request"};
    }
    while (!read_line().empty()) continue; // trailer fields
    return content;
}

bool client_connection::fill() {
    char buffer[16384];
    const std::size_t count = socket_.read(buffer, sizeof buffer);
    bytes_.append(buffer, count);
    return count != 0;
}

} // namespace cli
