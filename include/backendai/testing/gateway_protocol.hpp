/// @file
/// Which server the embedded gateway acts as: the one place where its generations differ by version.
#ifndef BACKENDAI_TESTING_GATEWAY_PROTOCOL_HPP
#define BACKENDAI_TESTING_GATEWAY_PROTOCOL_HPP

#include <backendai/protocol_version.hpp>
#include <backendai/version.hpp>

#include <array>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// A generation of servers as it looks from outside.
struct gateway_protocol {
    std::string_view version; ///< the newest that it speaks, which it announces
    std::string_view manager; ///< the release it acts as

    bool is_modern;         ///< /session paths, storage proxy, the errors of 20.09 and later; else 19.03
    bool has_sub_gql;       ///< GraphQL at /admin/gql too, with filters
    bool has_post_download; ///< files of sessions by POST; by GET it is deprecated then
    bool answers_mkdir;     ///< what mkdir did is told as JSON
    bool has_post_delete;   ///< files of folders may be deleted by POST
    bool reads_run_id;      ///< a run is named by `run_id`; else by `runId`

    std::size_t
        service_message_size; ///< most that one message from a service carries; modern ones read as much at once
};

inline constexpr std::array<gateway_protocol, 9> gateway_protocols = {{
    {"v4.20190315", "19.03.0", false, false, false, false, false, false, 8192},
    {"v6.20200815", "20.09.0", true, false, false, false, false, false, 256 * 1024},
    {"v6.20210815", "21.09.9", true, true, false, false, false, false, 256 * 1024},
    {"v6.20220615", "22.09.0", true, true, false, false, false, false, 256 * 1024},
    {"v6.20230315", "23.03.0", true, true, false, false, false, false, 256 * 1024},
    {"v7.20230615", "23.03.12", true, true, false, false, false, false, 256 * 1024},
    {"v8.20240315", "24.03.7", true, true, true, true, false, false, 256 * 1024},
    {"v8.20240915", "25.6.0", true, true, true, true, true, true, 256 * 1024},
    {"v9.20250722", "25.12.0", true, true, true, true, true, true, 256 * 1024},
}};

/// @throws std::invalid_argument for a version that the gateway cannot act as.
inline const gateway_protocol& find_protocol(std::string_view version) {
    std::string known;
    for (const gateway_protocol& entry : gateway_protocols) {
        if (entry.version == version) return entry;
        known += (known.empty() ? "" : ", ") + std::string(entry.version);
    }
    throw std::invalid_argument("the gateway does not act as " + std::string(version) + ": it knows " + known);
}

/// Whether it accepts a version header. Modern servers know those that they list; 19.03 goes by the number.
inline bool accepts_version(const gateway_protocol& server, std::string_view header) {
    const auto wanted = backendai::detail::parse_protocol_version(header);
    if (!wanted) return false;
    if (!server.is_modern) return wanted->major >= 1 && wanted->major <= 4;
    static constexpr std::string_view valid[] = {
        "v4.20181215", "v4.20190115", "v4.20190315", "v4.20190615", "v5.20191215", "v6.20200815", "v6.20210815",
        "v6.20220315", "v6.20220615", "v6.20230315", "v7.20230615", "v8.20240315", "v8.20240915", "v9.20250722"};
    const auto newest = backendai::detail::parse_protocol_version(server.version);
    for (const std::string_view item : valid) {
        if (item == header) return !(*newest < *wanted);
    }
    return false;
}

/// Whether a header older than v6 selects a form of creations that later servers fail at.
inline bool is_before_storage_proxy(std::string_view header) {
    const auto wanted = backendai::detail::parse_protocol_version(header);
    return wanted && wanted->major < 6;
}

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
