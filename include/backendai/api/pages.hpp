/// @file
/// Long listings, a page at a time.
#ifndef BACKENDAI_API_PAGES_HPP
#define BACKENDAI_API_PAGES_HPP

#include <backendai/api/graphql_call.hpp>
#include <backendai/dialect.hpp>
#include <backendai/mode.hpp>
#include <backendai/pipeline.hpp>
#include <backendai/version.hpp>
#include <backendai/wire.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

/// Which part of a listing, and how it is put in order.
struct page_query {
    int page_size = 100;     ///< items of a page, 1 to 100
    std::int64_t offset = 0; ///< items to leave out at the beginning
    /// An expression of the server's, `status == "TERMINATED"`; from v6.20210815 on. What is put into it from outside
    /// is the caller's to check: the expression is theirs, and only data that the caller may see anyway are listed.
    std::optional<std::string> filter;
    /// A field with `+` or `-` before it, "-created_at"; from 19.09 (v4.20190615) on, where there are pages.
    std::optional<std::string> order;
};

/// One page of a listing.
struct page_result {
    std::vector<json> items;
    std::int64_t total_count = 0; ///< of the whole listing, by the server's count at that time
};

namespace detail {

/// A listing of one kind.
struct listing {
    const char* paged; ///< GraphQL field of a page: {items, total_count}
    const char* plain; ///< GraphQL field of the whole list, where there are no pages
    page_order dialect_rules::*order;
    /// Adds what the listing is filtered by.
    std::function<void(graphql_text<>&, const dialect&)> arguments;
    std::function<std::string(const dialect&)> selection;
};

template <class = void>
void check_page_query(const page_query& wanted) {
    if (wanted.page_size < 1 || wanted.page_size > 100)
        throw client_error(error_kind::argument, "page_size is not from 1 to 100");
    if (wanted.offset < 0 || wanted.offset > INT32_MAX) // GraphQL's Int
        throw client_error(error_kind::argument, "offset is out of range");
    if (!wanted.order) return;
    const std::string& order = *wanted.order;
    const std::size_t name = order.find_first_not_of("+-");
    bool good = name <= 1 && name < order.size() && is_name_start(order[name]);
    for (std::size_t i = name; good && i < order.size(); ++i) good = is_name_character(order[i]);
    if (!good) throw client_error(error_kind::argument, "order is not a field with + or - before it");
}

template <class = void>
void write_order(graphql_text<>& text, const page_query& wanted, page_order order) {
    if (order == page_order::expressions) {
        if (wanted.filter) text.argument("filter", "String", *wanted.filter);
        if (wanted.order) text.argument("order", "String", *wanted.order);
    } else if (wanted.order) {
        text.argument("order_key", "String", wanted.order->substr(wanted.order->find_first_not_of("+-")));
        text.argument("order_asc", "Boolean", wanted.order->front() != '-');
    }
}

/// The whole list of a server without pages, from the offset on.
template <class = void>
page_result read_plain(std::vector<json> items, std::int64_t offset) {
    page_result result;
    result.total_count = static_cast<std::int64_t>(items.size());
    const auto skipped = (std::min)(offset, result.total_count);
    items.erase(items.begin(), items.begin() + static_cast<std::ptrdiff_t>(skipped));
    result.items = std::move(items);
    return result;
}

/// Fetches one page; all of the rest where there are no pages.
template <class = void>
page_result fetch_page(const call_scope& scope, const listing& what, const page_query& wanted) {
    check_page_query(wanted);
    const dialect language = scope.negotiate();
    const page_order order = language.*what.order;
    if (wanted.filter) language.require(feature::page_filter);
    if (wanted.order) language.require(feature::page_order);
    if (order == page_order::none) {
        if (wanted.order) throw client_error(error_kind::argument, "this server has no pages of it, and so no order");
        graphql_text<> text("query", what.plain);
        what.arguments(text, language);
        text.select(what.selection(language));
        return read_plain(query_list(scope, text), wanted.offset);
    }
    graphql_text<> text("query", what.paged);
    text.argument("limit", "Int!", wanted.page_size).argument("offset", "Int!", wanted.offset);
    write_order(text, wanted, order);
    what.arguments(text, language);
    text.select("items { " + what.selection(language) + " } total_count");
    json found = query_field(scope, text);
    const wire_object fields(found, '"' + text.field() + '"');
    page_result result;
    result.total_count = fields.integer("total_count");
    fields.array_or_empty("items"); // of the right type
    if (found["items"].is_array()) result.items = std::move(found["items"].get_ref<json::array_t&>());
    return result;
}

/// The page that was asked for and no more, also where the server gives the whole list.
template <class = void>
page_result fetch_single_page(const call_scope& scope, const listing& what, const page_query& wanted) {
    page_result result = fetch_page(scope, what, wanted);
    if (result.items.size() > static_cast<std::size_t>(wanted.page_size))
        result.items.resize(static_cast<std::size_t>(wanted.page_size));
    return result;
}

/// Where an iteration stands. Thread-safe.
template <class = void>
class page_cursor {
public:
    page_cursor(listing what, page_query wanted) : what_(std::move(what)), wanted_(std::move(wanted)) {}

    std::optional<json> next(const call_scope& scope) {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (at_ == page_.items.size()) {
            if (is_over_) return std::nullopt;
            page_ = fetch_page(scope, what_, wanted_);
            at_ = 0;
            wanted_.offset += static_cast<std::int64_t>(page_.items.size());
            is_over_ = page_.items.empty() || wanted_.offset >= page_.total_count;
            if (page_.items.empty()) return std::nullopt;
        }
        return std::optional<json>(std::in_place, std::move(page_.items[at_++]));
    }

private:
    std::mutex mutex_;
    const listing what_;
    page_query wanted_;
    page_result page_;
    std::size_t at_ = 0;
    bool is_over_ = false;
};

} // namespace detail

/// A listing that is fetched a page at a time while it is gone through, so that one page of it is in memory. Single
/// pass; copies share the place. What the server adds or removes meanwhile may be missed or come twice, as it counts
/// from the beginning for each page. Makes no request before the first item is asked for.
///
/// In blocking mode: `for (const json& item : range)`, or next() until there is none. In asynchronous mode next() is a
/// future; ask for the next one when the one before has come. Errors as in api/admin.hpp; after one the same page can
/// be asked for again.
template <class Mode>
class page_range {
public:
    page_range(detail::call_scope scope, detail::listing what, page_query wanted)
        : scope_(std::move(scope)),
          cursor_(std::make_shared<detail::page_cursor<>>(std::move(what), std::move(wanted))) {}

    /// The next item, or nothing at the end. Retry class: safe.
    typename Mode::template result<std::optional<json>> next() {
        return Mode::run(scope_, [cursor = cursor_](const detail::call_scope& scope) { return cursor->next(scope); });
    }

    class iterator {
    public:
        using iterator_category = std::input_iterator_tag;
        using value_type = json;
        using difference_type = std::ptrdiff_t;
        using pointer = const json*;
        using reference = const json&;

        iterator() = default;
        explicit iterator(page_range& range) : range_(&range) { ++*this; }
        const json& operator*() const { return *item_; }
        const json* operator->() const { return item_.get(); }
        iterator& operator++() {
            std::optional<json> item = range_->next();
            if (item) {
                item_ = std::make_shared<const json>(std::move(*item));
            } else {
                range_ = nullptr;
            }
            return *this;
        }
        friend bool operator==(const iterator& a, const iterator& b) { return a.range_ == b.range_; }
        friend bool operator!=(const iterator& a, const iterator& b) { return !(a == b); }

    private:
        page_range* range_ = nullptr;
        std::shared_ptr<const json> item_; // copies of an iterator see the same item
    };
    iterator begin() {
        static_assert(std::is_same_v<Mode, blocking>,
                      "backendai: range-for over pages is for blocking sessions: use next(), which is a future here");
        return iterator(*this);
    }
    iterator end() { return {}; }

private:
    detail::call_scope scope_;
    std::shared_ptr<detail::page_cursor<>> cursor_;
};

BACKENDAI_NAMESPACE_END

#endif
