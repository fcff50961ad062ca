/// @file
/// Pages of the embedded gateway's GraphQL listings: the little languages of `filter` and `order`.
#ifndef BACKENDAI_TESTING_GATEWAY_GRAPHQL_PAGES_HPP
#define BACKENDAI_TESTING_GATEWAY_GRAPHQL_PAGES_HPP

#include <backendai/version.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace graphql {

/// `name == "x" & (status == "RUNNING" | status == "PENDING")`, with ==, !=, <, <=, >, >=, contains and ilike.
class page_filter {
public:
    explicit page_filter(std::string text) : text_(std::move(text)) {}

    /// @throws std::runtime_error for what is no filter, or names a field that the item does not have.
    bool matches(const nlohmann::json& item) {
        item_ = &item;
        at_ = 0;
        const bool result = expression();
        skip();
        if (at_ != text_.size()) fail();
        return result;
    }

private:
    [[noreturn]] void fail() const {
        const std::string found = at_ < text_.size() ? text_.substr(at_, 1) : "";
        throw std::runtime_error("Query filter parsing error: Unexpected token Token('" +
                                 std::string(found.empty() ? "$END" : "TOKEN") + "', '" + found +
                                 "') at line 1, column " + std::to_string(at_ + 1) + '.');
    }
    void skip() {
        while (at_ < text_.size() && text_[at_] == ' ') ++at_;
    }
    bool take(const char* token) {
        skip();
        const std::string wanted = token;
        if (text_.compare(at_, wanted.size(), wanted) != 0) return false;
        at_ += wanted.size();
        return true;
    }
    bool expression() {
        bool result = comparison();
        for (;;) {
            if (take("&")) {
                const bool other = comparison();
                result = result && other;
            } else if (take("|")) {
                const bool other = comparison();
                result = result || other;
            } else {
                return result;
            }
        }
    }
    bool comparison() {
        if (take("(")) {
            const bool inner = expression();
            if (!take(")")) fail();
            return inner;
        }
        skip();
        std::string field;
        while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 || text_[at_] == '_'))
            field += text_[at_++];
        if (field.empty()) fail();
        std::string relation;
        for (const char* known : {"==", "!=", "<=", ">=", "<", ">", "contains", "ilike"}) {
            if (relation.empty() && take(known)) relation = known;
        }
        if (relation.empty()) fail();
        const nlohmann::json wanted = value();
        const auto found = item_->find(field);
        if (found == item_->end()) {
            throw std::runtime_error("Query filter parsing error: Error trying to process rule \"binary_expr\":\n\n"
                                     "('Unknown/unsupported field name', '" +
                                     field + "')");
        }
        return holds(*found, relation, wanted);
    }
    nlohmann::json value() {
        skip();
        const std::size_t start = at_;
        if (at_ < text_.size() && text_[at_] == '"') {
            for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) at_ += text_[at_] == '\\' ? 1 : 0;
            if (at_ >= text_.size()) fail();
            ++at_;
        } else {
            while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 ||
                                          text_[at_] == '-' || text_[at_] == '.' || text_[at_] == '_'))
                ++at_;
        }
        nlohmann::json result = nlohmann::json::parse(text_.substr(start, at_ - start), nullptr, false);
        if (result.is_discarded() || start == at_) {
            at_ = start;
            fail();
        }
        return result;
    }
    static std::string lower(std::string text) {
        for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        return text;
    }
    static bool holds(const nlohmann::json& is, const std::string& relation, const nlohmann::json& wanted) {
        if (relation == "==") return is == wanted;
        if (relation == "!=") return is != wanted;
        if (relation == "<") return is < wanted;
        if (relation == "<=") return is <= wanted;
        if (relation == ">") return is > wanted;
        if (relation == ">=") return is >= wanted;
        if (!is.is_string() || !wanted.is_string()) return false;
        std::string text = is.get<std::string>(), part = wanted.get<std::string>();
        if (relation == "ilike") {
            text = lower(text);
            part = lower(part);
            part.erase(std::remove(part.begin(), part.end(), '%'), part.end());
        }
        return text.find(part) != std::string::npos;
    }

    const std::string text_;
    const nlohmann::json* item_ = nullptr;
    std::size_t at_ = 0;
};

/// Puts items in order by "-created_at,+name". @throws std::runtime_error for a field that they do not have
inline void order_items(std::vector<nlohmann::json>& items, const std::string& order) {
    std::vector<std::pair<std::string, bool>> fields; // and whether downward
    std::size_t start = 0;
    while (start <= order.size()) {
        const std::size_t end = (std::min)(order.find(',', start), order.size());
        std::string field = order.substr(start, end - start);
        while (!field.empty() && field.front() == ' ') field.erase(0, 1);
        const bool down = !field.empty() && field.front() == '-';
        if (!field.empty() && (field.front() == '-' || field.front() == '+')) field.erase(0, 1);
        if (!items.empty() && !items.front().contains(field)) {
            throw std::runtime_error("Query ordering parsing error: Error trying to process rule \"col\":\n\n"
                                     "('Unknown/unsupported field name', '" +
                                     field + "')");
        }
        fields.emplace_back(field, down);
        start = end + 1;
    }
    std::stable_sort(items.begin(), items.end(), [&](const nlohmann::json& a, const nlohmann::json& b) {
        for (const auto& item : fields) {
            const nlohmann::json &left = a[item.first], &right = b[item.first];
            if (left != right) return item.second ? right < left : left < right;
        }
        return false;
    });
}

/// {items, total_count} by the arguments limit, offset, filter and order.
inline nlohmann::json page_of(const nlohmann::json& all, const nlohmann::json& arguments) {
    const auto limit = arguments.at("limit").get<std::int64_t>(), offset = arguments.at("offset").get<std::int64_t>();
    if (limit < 0 || offset < 0) throw std::runtime_error("limit and offset must not be negative");
    std::vector<nlohmann::json> items(all.begin(), all.end());
    if (arguments.contains("filter")) {
        page_filter filter(arguments["filter"].get<std::string>());
        items.erase(std::remove_if(items.begin(), items.end(), [&](const auto& item) { return !filter.matches(item); }),
                    items.end());
    }
    if (arguments.contains("order")) order_items(items, arguments["order"].get<std::string>());
    if (arguments.contains("order_key")) {
        order_items(items,
                    (arguments.value("order_asc", true) ? "+" : "-") + arguments["order_key"].get<std::string>());
    }
    const auto total = static_cast<std::int64_t>(items.size());
    const auto begin = items.begin() + static_cast<std::ptrdiff_t>((std::min)(offset, total));
    const auto end = items.begin() + static_cast<std::ptrdiff_t>((std::min)(offset + limit, total));
    return {{"items", std::vector<nlohmann::json>(begin, end)}, {"total_count", total}};
}

/// The same of what @p make makes an item of; of long listings only the page's items are made where that will do.
template <class Source, class Make>
nlohmann::json page_of(const std::vector<Source>& source, Make make, const nlohmann::json& arguments) {
    nlohmann::json all = nlohmann::json::array();
    if (arguments.contains("filter") || arguments.contains("order") || arguments.contains("order_key")) {
        for (const Source& each : source) all.push_back(make(each));
        return page_of(all, arguments);
    }
    const auto limit = arguments.at("limit").get<std::int64_t>(), offset = arguments.at("offset").get<std::int64_t>();
    if (limit < 0 || offset < 0) throw std::runtime_error("limit and offset must not be negative");
    const auto total = static_cast<std::int64_t>(source.size());
    for (std::int64_t i = offset; i < (std::min)(offset + limit, total); ++i)
        all.push_back(make(source[static_cast<std::size_t>(i)]));
    return {{"items", std::move(all)}, {"total_count", total}};
}

} // namespace graphql
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
