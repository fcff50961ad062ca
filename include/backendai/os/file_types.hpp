/// @file
/// What the file headers of all systems share.
#ifndef BACKENDAI_OS_FILE_TYPES_HPP
#define BACKENDAI_OS_FILE_TYPES_HPP

#include <backendai/version.hpp>

#include <cstdint>

BACKENDAI_NAMESPACE_BEGIN
namespace os {

/// What a name stands for; links are not followed.
enum class file_kind { none, regular, directory, symbolic_link, other };

/// A point in time as file systems keep it.
struct file_time {
    std::int64_t seconds = 0; ///< since 1970, rounded down
    std::uint32_t nanoseconds = 0;
};

} // namespace os
BACKENDAI_NAMESPACE_END

#endif
