/// @file
/// Parameters of a request to a modern server: from the JSON body or, without one, from the query; checked as a whole,
/// with a list of what is wrong.
#ifndef BACKENDAI_TESTING_GATEWAY_PARAMETERS_HPP
#define BACKENDAI_TESTING_GATEWAY_PARAMETERS_HPP

#include <backendai/testing/gateway_router.hpp>
#include <backendai/testing/gateway_types.hpp>
#include <backendai/version.hpp>

#include <nlohmann/json.hpp>

#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// Reads parameters by name; finish() throws what was wrong with any of them, unknown ones included.
class parameters {
public:
    using names = std::initializer_list<const char*>;

    explicit parameters(const gateway_request& request) {
        if (request.call.body.empty()) {
            for (const auto& item : request.query) {
                // A name that comes again makes no list: only the first value is seen.
                if (!given_.contains(item.first)) given_[item.first] = item.second;
            }
        } else {
            given_ = nlohmann::json::parse(request.call.body, nullptr, false);
            if (given_.is_discarded()) throw invalid_parameters("Malformed body");
            if (!given_.is_object()) throw invalid_parameters("Malformed body");
        }
    }

    /// The value of the first alias that is given; null counts as not given.
    const nlohmann::json* find(names aliases) {
        const nlohmann::json* found = nullptr;
        for (const char* name : aliases) {
            known_.insert(name);
            const auto item = given_.find(name);
            if (item != given_.end() && found == nullptr) found = &*item;
        }
        return found == nullptr || found->is_null() ? nullptr : found;
    }
    std::optional<std::string> text(names aliases) {
        const nlohmann::json* value = find(aliases);
        if (value == nullptr) return {};
        if (!value->is_string()) {
            wrong(*aliases.begin(), "value is not a string");
            return {};
        }
        return value->get<std::string>();
    }
    /// @param label what the complaint calls it
    std::string required_text(names aliases, const char* label = nullptr) {
        const bool is_given = find(aliases) != nullptr;
        if (!is_given) wrong(label != nullptr ? label : *aliases.begin(), "is required");
        return is_given ? text(aliases).value_or("") : std::string();
    }
    bool boolean(names aliases, bool fallback) {
        const nlohmann::json* value = find(aliases);
        if (value == nullptr) return fallback;
        if (value->is_boolean()) return value->get<bool>();
        if (*value == "true" || *value == "yes" || *value == "1") return true;
        if (*value == "false" || *value == "no" || *value == "0") return false;
        wrong(*aliases.begin(), "value can't be converted to bool");
        return fallback;
    }
    std::int64_t integer(names aliases, std::int64_t fallback, std::int64_t least) {
        const nlohmann::json* value = find(aliases);
        if (value == nullptr) return fallback;
        std::int64_t number = 0;
        if (value->is_number_integer()) {
            number = value->get<std::int64_t>();
        } else if (value->is_string() && !value->get_ref<const std::string&>().empty()) {
            char* end = nullptr;
            number = std::strtoll(value->get_ref<const std::string&>().c_str(), &end, 10);
            if (*end != '\0') wrong(*aliases.begin(), "value can't be converted to int");
        } else {
            wrong(*aliases.begin(), "value can't be converted to int");
        }
        if (number < least) wrong(*aliases.begin(), "value is less than " + std::to_string(least));
        return number;
    }
    nlohmann::json object(names aliases) {
        const nlohmann::json* value = find(aliases);
        if (value == nullptr) return nlohmann::json::object();
        if (!value->is_object()) wrong(*aliases.begin(), "value is not a dict");
        return value->is_object() ? *value : nlohmann::json::object();
    }
    std::vector<std::string> texts(names aliases, bool required) {
        const nlohmann::json* value = find(aliases);
        std::vector<std::string> list;
        if (value == nullptr) {
            if (required) wrong(*aliases.begin(), "is required");
        } else if (!value->is_array()) {
            wrong(*aliases.begin(), "value is not a list");
        } else {
            for (const auto& item : *value) {
                if (item.is_string())
                    list.push_back(item.get<std::string>());
                else
                    wrong(*aliases.begin(), "value is not a string");
            }
        }
        return list;
    }
    /// One of some words; @p type_name is what the complaint calls them.
    std::string word(names aliases, const std::string& fallback, std::initializer_list<const char*> allowed,
                     const char* type_name) {
        const std::string value = text(aliases).value_or(fallback);
        for (const char* each : allowed) {
            if (value == each) return value;
        }
        wrong(*aliases.begin(), std::string("value is not a valid member of ") + type_name);
        return value;
    }
    void wrong(const std::string& name, const std::string& why) {
        if (!wrong_.contains(name)) wrong_[name] = why;
    }

    /// @throws problem
    void finish() {
        for (const auto& item : given_.items()) {
            if (known_.count(item.key()) == 0) wrong(item.key(), item.key() + " is not allowed key");
        }
        if (!wrong_.empty()) {
            throw problem(400, "invalid-api-params", "Missing or invalid API parameters.", {{"data", wrong_}},
                          "Input validation error");
        }
    }

private:
    nlohmann::json given_ = nlohmann::json::object(), wrong_ = nlohmann::json::object();
    std::set<std::string> known_;
};

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
