/// @file
/// What differs between the generations of servers, in one table: an entry holds from the protocol version it names on.
/// The API classes ask a dialect and compare no versions; a new generation is one more entry.
#ifndef BACKENDAI_DIALECT_HPP
#define BACKENDAI_DIALECT_HPP

#include <backendai/version.hpp>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

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
inline std::optional<protocol_version> parse_protocol_version(std::string_view text) {
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

/// How a generation of servers wants to be spoken to.
struct dialect_rules {
    std::string_view since; ///< the first protocol version that it holds for

    std::string_view session_path;        ///< what stands before a compute session's id
    std::string_view create_session_path; ///< where compute sessions are made
    std::string_view stream_path;         ///< what stands before a compute session's id in websocket paths
    std::string_view session_name_key;    ///< a creation's member for the client token
    std::string_view image_key;           ///< a creation's member for the image
    bool cluster_size_in_config;          ///< `clusterSize` stands in `config`; else beside it

    std::string_view graphql_path;
    bool graphql_envelope;          ///< answers are {data, errors} with status 200; else bare data, or 400 with a list
    std::string_view keypair_input; ///< type of the `props` of modify_keypair
    bool keypair_input_is_whole;    ///< a modification has to send the limits that stay too
    bool integer_user_ids;          ///< user ids may be numbers; else e-mail addresses only
};

/// Ordered by `since`. The highest version that the SDK speaks is the last entry's.
inline constexpr std::array<dialect_rules, 1> dialect_table = {{
    {"v4.20190315", "/kernel", "/kernel/create", "/stream/kernel", "clientSessionToken", "lang", true, "/admin/graphql",
     false, "KeyPairInput", true, true},
}};

/// What is spoken with a server that does not tell its version.
inline constexpr std::string_view default_protocol_version = "v4.20190315";

/// The version of the header, and the rules that hold for it.
struct dialect : dialect_rules {
    std::string version;
};

/// The dialect of @p version, which is sent as it is. Versions older than the table get its first entry, and so do
/// texts that are no version: they come from the user, who knows why.
inline dialect dialect_of(std::string version) {
    const dialect_rules* rules = &dialect_table.front();
    if (const auto wanted = parse_protocol_version(version)) {
        for (const dialect_rules& entry : dialect_table) {
            const auto since = parse_protocol_version(entry.since);
            if (since && !(*wanted < *since)) rules = &entry;
        }
    }
    return dialect{*rules, std::move(version)};
}

/// What to speak with a server whose newest version is @p announced: the lower of that and @p highest, which is the
/// highest that the SDK speaks; the default when it is no version.
inline std::string choose_version(std::string_view announced, std::string_view highest = dialect_table.back().since) {
    const auto theirs = parse_protocol_version(announced);
    const auto ours = parse_protocol_version(highest);
    if (!theirs || !ours) return std::string(default_protocol_version);
    return std::string(*theirs < *ours ? announced : highest);
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
