/// @file
/// Reading the fields of an answer whose types are not to be trusted: each wrong type is a protocol error that names
/// the field.
#ifndef BACKENDAI_WIRE_HPP
#define BACKENDAI_WIRE_HPP

#include <backendai/error.hpp>
#include <backendai/version.hpp>

#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

template <class = void>
[[noreturn]] inline void bad_answer(const std::string& what) {
    throw client_error(error_kind::protocol, "the answer is not usable: " + what, client_error::progress::maybe_sent);
}

/// Whether the server's refusal is of a type: the last part of its URI, "object-not-found".
template <class = void>
bool is_problem(const api_error& refused, std::string_view id) {
    const std::string& type = refused.type();
    return type.size() > id.size() && type.compare(type.size() - id.size(), id.size(), id) == 0 &&
           type[type.size() - id.size() - 1] == '/';
}

/// The members of one JSON object of an answer.
class wire_object {
public:
    /// @param value must be an object, else a protocol error that names @p what.
    template <class = void>
    wire_object(const json& value, std::string what) : value_(value), what_(std::move(what)) {
        if (!value_.is_object()) bad_answer(what_ + " is not an object");
    }

    /// The member, or nullptr when it is absent or null.
    template <class = void>
    const json* find(const char* key) const {
        const auto it = value_.find(key);
        return it == value_.end() || it->is_null() ? nullptr : &*it;
    }
    template <class = void>
    const json& require(const char* key) const {
        const json* member = find(key);
        if (member == nullptr) bad_answer(what_ + " has no \"" + key + '"');
        return *member;
    }
    template <class = void>
    std::string string(const char* key) const {
        return as_string(require(key), key);
    }
    template <class = void>
    std::string string_or(const char* key, std::string_view fallback) const {
        const json* member = find(key);
        return member == nullptr ? std::string(fallback) : as_string(*member, key);
    }
    template <class = void>
    std::int64_t integer(const char* key) const {
        return as_integer(require(key), key);
    }
    template <class = void>
    std::int64_t integer_or(const char* key, std::int64_t fallback) const {
        const json* member = find(key);
        return member == nullptr ? fallback : as_integer(*member, key);
    }
    template <class = void>
    std::optional<int> optional_int(const char* key) const {
        const json* member = find(key);
        if (member == nullptr) return {};
        const std::int64_t value = as_integer(*member, key);
        if (value < INT32_MIN || value > INT32_MAX) bad_answer(what_ + ": \"" + key + "\" is out of range");
        return static_cast<int>(value);
    }
    template <class = void>
    double number_or(const char* key, double fallback) const {
        const json* member = find(key);
        if (member == nullptr) return fallback;
        if (!member->is_number()) bad_answer(what_ + ": \"" + key + "\" is not a number");
        return member->get<double>();
    }
    template <class = void>
    bool boolean_or(const char* key, bool fallback) const {
        const json* member = find(key);
        if (member == nullptr) return fallback;
        if (!member->is_boolean()) bad_answer(what_ + ": \"" + key + "\" is not a boolean");
        return member->get<bool>();
    }
    /// The elements of an array member; none when it is absent or null.
    template <class = void>
    const json::array_t& array_or_empty(const char* key) const {
        static const json::array_t none;
        const json* member = find(key);
        if (member == nullptr) return none;
        if (!member->is_array()) bad_answer(what_ + ": \"" + key + "\" is not a list");
        return member->get_ref<const json::array_t&>();
    }
    template <class = void>
    wire_object object(const char* key) const {
        return wire_object(require(key), what_ + "." + key);
    }

private:
    template <class = void>
    std::string as_string(const json& member, const char* key) const {
        if (!member.is_string()) bad_answer(what_ + ": \"" + key + "\" is not a text");
        return member.get<std::string>();
    }
    template <class = void>
    std::int64_t as_integer(const json& member, const char* key) const {
        // Servers send some counts as floats (an age in milliseconds, say).
        if (member.is_number_float()) {
            const double value = member.get<double>();
            if (!(std::fabs(value) < 9e15)) bad_answer(what_ + ": \"" + key + "\" is out of range");
            return static_cast<std::int64_t>(value);
        }
        if (!member.is_number_integer()) bad_answer(what_ + ": \"" + key + "\" is not a number");
        if (member.is_number_unsigned() && member.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX)) {
            bad_answer(what_ + ": \"" + key + "\" is out of range");
        }
        return member.get<std::int64_t>();
    }

    const json& value_;
    std::string what_;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
