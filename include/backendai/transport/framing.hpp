/// @file
/// The framing rules of an answer (RFC 7230 section 3.3.3) that an HTTP library may be lenient about, checked here for
/// every transport: a body whose end is in doubt must not pass as whole.
#ifndef BACKENDAI_TRANSPORT_FRAMING_HPP
#define BACKENDAI_TRANSPORT_FRAMING_HPP

#include <backendai/codec/http_fields.hpp>
#include <backendai/http.hpp>
#include <backendai/version.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// Checks an answer's head, then counts its body.
class body_framing {
public:
    /// @throws client_error{protocol} when the head leaves the body's length in doubt or is out of bounds
    template <class = void>
    body_framing(const response_head& head, const std::string& method) {
        if (head.status < 200 || head.status > 599)
            bad("the status " + std::to_string(head.status) + " was not asked for");
        std::size_t size = 0;
        const std::string* coding = nullptr;
        const std::string* length = nullptr;
        const auto only = [](const std::string*& known, const std::string& value, const char* what) {
            if (known != nullptr) bad(what);
            known = &value;
        };
        for (const auto& field : head.headers) {
            size += field.first.size() + field.second.size();
            // "Content-Length : 5" would otherwise pass as a header of another name.
            if (!codec::is_token(field.first)) bad("a header line is not \"name: value\"");
            if (field.second.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) {
                bad("a header holds a line break or NUL");
            }
            if (equal_ignoring_case(field.first, "Transfer-Encoding")) {
                only(coding, field.second, "its transfer coding is not \"chunked\"");
            } else if (equal_ignoring_case(field.first, "Content-Length")) {
                only(length, field.second, "it has more than one Content-Length");
            }
        }
        if (head.headers.size() > 256 || size > 256 * 1024) bad("its head is larger than 256 fields or 256 KiB");
        if (coding != nullptr && !equal_ignoring_case(*coding, "chunked")) {
            bad("its transfer coding is not \"chunked\"");
        }
        if (length == nullptr) {
            open_ended_ = coding == nullptr && method != "HEAD" && head.status != 204 && head.status != 304;
            return;
        }
        if (coding != nullptr) bad("it has both Content-Length and Transfer-Encoding");
        if (length->empty() || length->size() > 18) bad("its Content-Length is not a number");
        std::uint64_t value = 0;
        for (const char c : *length) {
            if (c < '0' || c > '9') bad("its Content-Length is not a number");
            value = value * 10 + static_cast<std::uint64_t>(c - '0');
        }
        if (method != "HEAD" && head.status != 204 && head.status != 304) expected_ = value;
    }

    /// Whether the body goes on until the connection ends, so that breaking it off looks like its end.
    bool ends_with_connection() const noexcept { return open_ended_; }

    void count(std::uint64_t bytes) noexcept { received_ += bytes; }

    /// @throws client_error{protocol} when the body is not as long as the head said
    template <class = void>
    void finish() const {
        if (expected_ && *expected_ != received_) {
            bad("its body is cut short: " + std::to_string(received_) + " of " + std::to_string(*expected_) + " bytes");
        }
    }

private:
    template <class = void>
    [[noreturn]] static void bad(const std::string& what) {
        throw client_error(error_kind::protocol, "the answer is not usable: " + what,
                           client_error::progress::maybe_sent);
    }

    std::optional<std::uint64_t> expected_;
    std::uint64_t received_ = 0;
    bool open_ended_ = false;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
