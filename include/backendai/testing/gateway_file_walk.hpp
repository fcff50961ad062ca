/// @file
/// The embedded gateway's look at directories in which code and uploads make and remove files meanwhile.
#ifndef BACKENDAI_TESTING_GATEWAY_FILE_WALK_HPP
#define BACKENDAI_TESTING_GATEWAY_FILE_WALK_HPP

#include <backendai/version.hpp>

#include <filesystem>
#include <system_error>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// Calls @p visit with the directory_entry of each regular file in @p directory and below it. What vanishes meanwhile
/// is passed over; a recursive_directory_iterator would end there.
template <class Visit>
void for_each_file(const std::filesystem::path& directory, const Visit& visit) {
    std::error_code error;
    for (std::filesystem::directory_iterator entry(directory, error), end; !error && entry != end;
         entry.increment(error)) {
        std::error_code gone;
        if (std::filesystem::is_directory(entry->symlink_status(gone))) {
            for_each_file(entry->path(), visit);
        } else if (entry->is_regular_file(gone) && !gone) {
            visit(*entry);
        }
    }
}

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
