/// @file
/// Reads the head of an answer from its lines, with the strictness and the limits that HTTP libraries may lack.
#ifndef BACKENDAI_TRANSPORT_HEAD_READER_HPP
#define BACKENDAI_TRANSPORT_HEAD_READER_HPP

#include <backendai/codec/http_fields.hpp>
#include <backendai/http.hpp>
#include <backendai/version.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// Takes the lines of one answer's head, skips interim (1xx) heads, and keeps the final one. 101 counts as final: it
/// ends HTTP on the connection.
class head_reader {
public:
    static constexpr std::size_t max_fields = 256, max_bytes = std::size_t{256} * 1024;
    static constexpr int max_interim_heads = 16;

    /// Takes the next line with or without its line end. Returns whether the final head is complete, after which no
    /// line must follow. @throws client_error{protocol} when it is not HTTP/1 or is out of bounds
    template <class = void>
    bool add_line(std::string_view line) {
        bytes_ += line.size();
        if (bytes_ > max_bytes) bad("its head is larger than 256 KiB");
        if (!line.empty() && line.back() == '\n') line.remove_suffix(1);
        if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
        if (line.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos) {
            bad("its head holds a NUL or a stray carriage return");
        }
        if (head_.status == 0) {
            add_status_line(line);
            return false;
        }
        if (!line.empty()) {
            add_field(line);
            return false;
        }
        for (auto& field : fields_) head_.headers.add(std::move(field.first), std::move(field.second));
        fields_.clear();
        if (head_.status >= 200 || head_.status == 101) return true;
        if (++interim_ > max_interim_heads) bad("it has too many interim (1xx) heads");
        head_ = response_head();
        return false;
    }

    response_head& head() noexcept { return head_; }
    /// Whether any line has come.
    bool started() const noexcept { return bytes_ != 0; }

private:
    template <class = void>
    [[noreturn]] static void bad(const std::string& what) {
        throw client_error(error_kind::protocol, "the answer is not usable: " + what,
                           client_error::progress::maybe_sent);
    }
    static bool is_digit(char c) { return c >= '0' && c <= '9'; }

    // HTTP/1.x SP 3DIGIT SP [ reason ]; that the second space is missing when there is no reason is common.
    template <class = void>
    void add_status_line(std::string_view line) {
        const bool version = line.size() >= 12 && line.substr(0, 7) == "HTTP/1." && is_digit(line[7]) && line[8] == ' ';
        if (!version) bad("its status line is not HTTP/1");
        const bool status = is_digit(line[9]) && is_digit(line[10]) && is_digit(line[11]) &&
                            (line.size() == 12 || line[12] == ' ') && line[9] != '0';
        if (!status) bad("its status is not a number from 100 to 999");
        head_.status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
        if (line.size() > 13) head_.reason = std::string(line.substr(13));
    }

    template <class = void>
    void add_field(std::string_view line) {
        if (line.front() == ' ' || line.front() == '\t') { // obs-fold: RFC 9112 section 5.2 has it read as a space
            if (fields_.empty()) bad("its first header line is a continuation");
            const std::string_view more = codec::trim_field(line);
            fields_.back().second += ' ';
            fields_.back().second += more;
            return;
        }
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos || !codec::is_token(line.substr(0, colon))) {
            bad("a header line is not \"name: value\"");
        }
        if (fields_.size() == max_fields) bad("its head has more than 256 fields");
        fields_.emplace_back(line.substr(0, colon), codec::trim_field(line.substr(colon + 1)));
    }

    response_head head_;
    codec::http_fields fields_;
    std::size_t bytes_ = 0;
    int interim_ = 0;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
