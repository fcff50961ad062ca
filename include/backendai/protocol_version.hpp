/// @file
/// The protocol's versions, "v4.20190315", as numbers that can be put in order.
#ifndef BACKENDAI_PROTOCOL_VERSION_HPP
#define BACKENDAI_PROTOCOL_VERSION_HPP

#include <backendai/version.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// "v4.20190315" as numbers, in the order of time.
struct protocol_version {
    std::uint32_t major = 0, date = 0;

    friend bool operator<(const protocol_version& a, const protocol_version& b) {
        return a.major != b.major ? a.major < b.major : a.date < b.date;
    }
    friend bool operator==(const protocol_version& a, const protocol_version& b) {
        return a.major == b.major && a.date == b.date;
    }
};

/// Reads `v<number>.<eight digits>`; nothing for any other text.
template <class = void>
std::optional<protocol_version> parse_protocol_version(std::string_view text) {
    const std::size_t dot = text.find('.');
    if (text.empty() || text[0] != 'v' || dot == std::string_view::npos || text.size() - dot != 9) return {};
    const auto number = [](std::string_view digits) -> std::optional<std::uint32_t> {
        if (digits.empty() || digits.size() > 8) return {};
        std::uint32_t value = 0;
        for (const char c : digits) {
            if (c < '0' || c > '9') return {};
            value = value * 10 + static_cast<std::uint32_t>(c - '0');
        }
        return value;
    };
    const auto major = number(text.substr(1, dot - 1));
    const auto date = number(text.substr(dot + 1));
    if (!major || !date) return {};
    return protocol_version{*major, *date};
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
