/// @file
/// What the manager gives out for one file's way to or from a storage proxy: a URL and a token for it.
#ifndef BACKENDAI_FILES_STORAGE_TICKET_HPP
#define BACKENDAI_FILES_STORAGE_TICKET_HPP

#include <backendai/codec/date.hpp>
#include <backendai/codec/decode_error.hpp>
#include <backendai/codec/url.hpp>
#include <backendai/config.hpp>
#include <backendai/files/transfer_scope.hpp>
#include <backendai/pipeline.hpp>
#include <backendai/version.hpp>
#include <backendai/wire.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// The token opens one file, for a day or so: it is a secret.
struct storage_ticket {
    std::string url, token;
    std::string issued; ///< the server's Date header, as it came
};

/// Asks for one. @param what the request, to be answered by {token, url}
template <class = void>
storage_ticket request_ticket(const transfer_scope& scope, call what) {
    const response answer = scope.perform(std::move(what));
    const json body = answer.json();
    const wire_object fields(body, "the answer");
    storage_ticket ticket{fields.string("url"), fields.string("token"), answer.headers().get("Date")};
    if (ticket.token.empty()) bad_answer("its token is empty");
    return ticket;
}

/// Where the storage proxy is reached from here, by api_config::storage_proxy_urls. What is replaced ends where a part
/// of the URL does: a host is not taken for another that begins like it.
template <class = void>
std::string reachable_url(const api_config& config, const std::string& told) {
    const std::pair<const std::string, std::string>* best = nullptr;
    for (const auto& item : config.storage_proxy_urls) {
        const std::size_t end = item.first.size();
        const bool fits = told.compare(0, end, item.first) == 0 &&
                          (told.size() == end || item.first.back() == '/' || told[end] == '/' || told[end] == '?');
        if (fits && (best == nullptr || end > best->first.size())) best = &item;
    }
    return best == nullptr ? told : best->second + told.substr(best->first.size());
}

/// A request to the storage proxy. It carries nothing but the token.
template <class = void>
call storage_call(const transfer_scope& scope, const storage_ticket& ticket, const char* method) {
    call what;
    what.method = method;
    try {
        what.elsewhere = codec::parse_url(reachable_url(scope.state().config(), ticket.url));
    } catch (const codec::decode_error& e) {
        bad_answer(std::string("where the storage proxy is, ") + e.what());
    }
    std::string& query = what.elsewhere->query;
    query += (query.empty() ? "token=" : "&token=") + codec::escape_query(ticket.token);
    what.secret = ticket.token;
    what.content_type.clear();
    what.waits_for_compute = false;
    return what;
}

/// A header that is a number of bytes; nothing when it is absent. @throws client_error{protocol} when it is no number
template <class = void>
std::optional<std::uint64_t> size_header(const header_list& headers, const char* name) {
    const std::string* text = headers.find(name);
    if (text == nullptr) return {};
    if (text->empty() || text->size() > 18 || text->find_first_not_of("0123456789") != std::string::npos)
        bad_answer(std::string("its ") + name + " is no number");
    std::uint64_t value = 0;
    for (const char c : *text) value = value * 10 + static_cast<std::uint64_t>(c - '0');
    return value;
}

/// "bytes 4-9/10"
struct content_range {
    std::uint64_t first = 0, last = 0, size = 0;
};
/// Reads a Content-Range header; nothing when it is absent or not of that form.
template <class = void>
std::optional<content_range> parse_content_range(std::string_view text) {
    if (text.substr(0, 6) != "bytes ") return {};
    text.remove_prefix(6);
    const auto number = [&text](char end) -> std::optional<std::uint64_t> {
        const std::size_t stop = end == '\0' ? text.size() : text.find(end);
        if (stop == std::string_view::npos || stop == 0 || stop > 18) return {};
        std::uint64_t value = 0;
        for (const char c : text.substr(0, stop)) {
            if (c < '0' || c > '9') return {};
            value = value * 10 + static_cast<std::uint64_t>(c - '0');
        }
        text.remove_prefix(end == '\0' ? stop : stop + 1);
        return value;
    };
    const auto first = number('-');
    const auto last = first ? number('/') : std::nullopt;
    const auto size = last ? number('\0') : std::nullopt;
    if (!size || *first > *last || *last >= *size) return {};
    return content_range{*first, *last, *size};
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
