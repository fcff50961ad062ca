/// @file
/// A push parser for multipart bodies (RFC 2046): feed it pieces of any size, it calls a handler.
#ifndef BACKENDAI_CODEC_MULTIPART_READER_HPP
#define BACKENDAI_CODEC_MULTIPART_READER_HPP

#include <backendai/codec/decode_error.hpp>
#include <backendai/codec/delimiter_search.hpp>
#include <backendai/codec/mime_parameters.hpp>
#include <backendai/codec/part_headers.hpp>
#include <backendai/codec/printable.hpp>
#include <backendai/version.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// What a multipart_reader calls. Whatever a function throws leaves feed(), and the reader takes nothing any more.
class multipart_handler {
public:
    virtual ~multipart_handler() = default;
    /// A part begins; `headers` is valid during the call only.
    virtual void on_part_begin(const part_headers& headers) = 0;
    /// More of the part's content, never empty; the bytes are valid during the call only.
    virtual void on_data(std::string_view data) = 0;
    /// The part is complete.
    virtual void on_part_end() = 0;
    /// The closing delimiter has come. Only finish() says that the body was well-formed to its end.
    virtual void on_end() {}
};

/// What a multipart_reader accepts.
struct multipart_limits {
    std::size_t header_bytes = 16 * 1024;      ///< of one part's header block
    std::size_t header_lines = 64;             ///< of one part
    std::uint64_t parts = 100'000;             ///< of one body
    std::uint64_t outside_bytes = 1024 * 1024; ///< before the first delimiter and after the last
};

/// Splits a multipart body of any subtype into its parts.
///
/// Strict where the standard is: lines end in CRLF; a delimiter line holds nothing else but blanks at its end (RFC 2046
/// forbids content in which CRLF, dashes and the boundary occur, so something else behind them is a damaged body).
/// A part's Content-Length, where there is one and no content encoding, must agree with what came. Transfer encodings
/// (base64, quoted-printable), which HTTP does not need, are refused.
/// Memory: one header block. Content is handed on in place. Not thread-safe.
class multipart_reader {
public:
    /// @param boundary see multipart_boundary()
    /// @param handler  must outlive the reader
    /// @throws decode_error when the boundary is not 1 to 70 printable characters
    template <class = void>
    multipart_reader(const std::string& boundary, multipart_handler& handler, multipart_limits limits = {})
        : search_(checked(boundary)), handler_(handler), limits_(limits) {}

    /// Takes the next bytes of the body. @throws decode_error when they are malformed or beyond a limit.
    template <class = void>
    void feed(std::string_view bytes) {
        if (failed_) throw decode_error("multipart body: data after an error");
        failed_ = true; // until the end of this call: also when the handler throws
        while (!bytes.empty()) {
            switch (state_) {
            case state::content: bytes.remove_prefix(take_content(bytes)); break;
            case state::delimiter_tail: bytes.remove_prefix(take_delimiter_tail(bytes)); break;
            case state::headers: bytes.remove_prefix(take_header_line(bytes)); break;
            case state::after_end: bytes.remove_prefix(take_after_end(bytes)); break;
            }
        }
        failed_ = false;
    }

    /// Says that the body is over. @throws decode_error when the closing delimiter has not come.
    template <class = void>
    void finish() {
        if (failed_) throw decode_error("multipart body: it ends after an error");
        failed_ = true;
        if (state_ != state::after_end)
            throw decode_error(parts_ == 0 ? "multipart body: it ends before its first delimiter"
                                           : "multipart body: it ends before its closing delimiter");
        if (end_line_ == end_line::cr) throw decode_error("multipart body: stray CR after the closing delimiter");
        failed_ = false;
    }

    /// Whether the closing delimiter has come.
    bool ended() const noexcept { return state_ == state::after_end; }

private:
    enum class state {
        content, // also the preamble
        delimiter_tail,
        headers,
        after_end
    };
    enum class end_line { blanks, cr, epilogue };

    template <class = void>
    static const std::string& checked(const std::string& boundary) {
        bool valid = !boundary.empty() && boundary.size() <= 70;
        for (const char c : boundary) valid = valid && c >= ' ' && c <= '~';
        if (!valid) throw decode_error("multipart boundary " + printable(boundary) + " is not allowed");
        return boundary;
    }

    // matched_ counts the delimiter's bytes that have gone by. The first given_ of them are the CRLF that ended the
    // line before the content (or that the start of the body stands for), so they are no content if it goes wrong.
    template <class = void>
    std::size_t take_content(std::string_view bytes) {
        const std::string_view delimiter = search_.delimiter();
        if (matched_ != 0) {
            const std::size_t count = (std::min)(bytes.size(), delimiter.size() - matched_);
            std::size_t same = 0;
            while (same < count && bytes[same] == delimiter[matched_ + same]) ++same;
            matched_ += same;
            if (same == count) {
                if (matched_ == delimiter.size()) begin_delimiter_tail();
                return count;
            }
            const std::size_t begin = given_;
            const std::size_t end = matched_;
            matched_ = given_ = 0;
            emit(delimiter.substr(begin, end - begin));
            return same;
        }
        const std::size_t found = search_.find(bytes);
        if (found != std::string_view::npos) {
            emit(bytes.substr(0, found));
            begin_delimiter_tail();
            return found + delimiter.size();
        }
        const std::size_t partial = search_.partial_at_end(bytes);
        emit(bytes.substr(0, bytes.size() - partial));
        matched_ = partial;
        return bytes.size();
    }

    template <class = void>
    void emit(std::string_view data) {
        if (data.empty()) return;
        if (!in_part_) {
            count_outside(data.size());
            return;
        }
        received_ += data.size();
        if (announced_ && received_ > *announced_)
            throw decode_error("multipart body: a part is longer than its Content-Length");
        handler_.on_data(data);
    }

    template <class = void>
    void begin_delimiter_tail() {
        matched_ = given_ = 0;
        state_ = state::delimiter_tail;
        line_.clear();
    }

    // What follows the boundary on its line: blanks and CRLF, or the two dashes of the closing delimiter.
    template <class = void>
    std::size_t take_delimiter_tail(std::string_view bytes) {
        const char c = bytes.front();
        if (line_ == "\r") {
            if (c != '\n') throw decode_error("multipart body: stray CR after a delimiter");
            end_part();
            begin_headers();
        } else if (line_ == "-") {
            if (c != '-') throw decode_error("multipart body: a delimiter line goes on after the boundary");
            end_part();
            state_ = state::after_end;
            end_line_ = end_line::blanks;
            handler_.on_end();
        } else if (c == '\r' || (c == '-' && line_.empty())) {
            line_ = c;
        } else if (c == ' ' || c == '\t') {
            line_ = ' '; // transport padding (RFC 2046 5.1.1); no closing dashes after it
            count_outside(1);
        } else {
            throw decode_error("multipart body: a delimiter line goes on after the boundary");
        }
        return 1;
    }

    template <class = void>
    void end_part() {
        if (!in_part_) return;
        if (announced_ && received_ != *announced_)
            throw decode_error("multipart body: a part is shorter than its Content-Length");
        in_part_ = false;
        handler_.on_part_end();
    }

    template <class = void>
    void begin_headers() {
        if (++parts_ > limits_.parts) throw decode_error("multipart body: too many parts");
        state_ = state::headers;
        headers_.clear();
        header_bytes_ = header_lines_ = 0;
        line_.clear();
    }

    template <class = void>
    std::size_t take_header_line(std::string_view bytes) {
        const std::size_t newline = bytes.find('\n');
        const std::size_t count = newline == std::string_view::npos ? bytes.size() : newline + 1;
        header_bytes_ += count;
        if (header_bytes_ > limits_.header_bytes) throw decode_error("multipart body: a part's headers are too long");
        line_.append(bytes.data(), count);
        if (newline == std::string_view::npos) return count;
        if (line_.size() < 2 || line_[line_.size() - 2] != '\r')
            throw decode_error("multipart body: a header line does not end in CRLF");
        line_.resize(line_.size() - 2);
        if (line_.empty()) {
            begin_content();
        } else {
            if (++header_lines_ > limits_.header_lines)
                throw decode_error("multipart body: a part has too many headers");
            headers_.add_line(line_);
            line_.clear();
        }
        return count;
    }

    template <class = void>
    void begin_content() {
        if (const std::string* encoding = headers_.find("content-transfer-encoding")) {
            const std::string name = detail::ascii_lower(*encoding);
            if (name != "binary" && name != "8bit" && name != "7bit")
                throw decode_error("multipart body: transfer encoding " + printable(*encoding) + " is not supported");
        }
        announced_ = headers_.content_length();
        if (headers_.content_encoding() != "identity") announced_.reset(); // it may count the decoded bytes
        received_ = 0;
        in_part_ = true;
        state_ = state::content;
        matched_ = given_ = 2; // the grammar lets the blank line's CRLF be the delimiter's: a part without content
        handler_.on_part_begin(headers_);
    }

    template <class = void>
    std::size_t take_after_end(std::string_view bytes) {
        if (end_line_ == end_line::epilogue) {
            count_outside(bytes.size());
            return bytes.size();
        }
        count_outside(1);
        const char c = bytes.front();
        if (end_line_ == end_line::cr) {
            if (c != '\n') throw decode_error("multipart body: stray CR after the closing delimiter");
            end_line_ = end_line::epilogue;
        } else if (c == '\r') {
            end_line_ = end_line::cr;
        } else if (c != ' ' && c != '\t') {
            throw decode_error("multipart body: the line of the closing delimiter goes on");
        }
        return 1;
    }

    template <class = void>
    void count_outside(std::size_t bytes) {
        outside_ += bytes;
        if (outside_ > limits_.outside_bytes) throw decode_error("multipart body: too many bytes outside its parts");
    }

    detail::delimiter_search search_;
    multipart_handler& handler_;
    multipart_limits limits_;
    state state_ = state::content;
    end_line end_line_ = end_line::blanks;
    bool in_part_ = false;
    bool failed_ = false;
    std::size_t matched_ = 2; // the first delimiter may stand at the very start, without CRLF
    std::size_t given_ = 2;
    std::uint64_t outside_ = 0;
    std::uint64_t parts_ = 0;
    std::string line_; // the header line, or the last character after the boundary, so far
    part_headers headers_;
    std::size_t header_bytes_ = 0;
    std::size_t header_lines_ = 0;
    std::optional<std::uint64_t> announced_;
    std::uint64_t received_ = 0;
};

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif
