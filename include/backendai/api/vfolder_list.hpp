/// @file
/// Virtual folders as administrators and owners see them: listed by GraphQL.
#ifndef BACKENDAI_API_VFOLDER_LIST_HPP
#define BACKENDAI_API_VFOLDER_LIST_HPP

#include <backendai/api/pages.hpp>
#include <backendai/api/session_list.hpp>
#include <backendai/dialect.hpp>
#include <backendai/version.hpp>

#include <optional>
#include <string>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN

/// Which virtual folders are listed.
struct vfolder_filter {
    std::optional<std::string> access_key;  ///< whose; another one than the caller's needs admin rights
    std::optional<std::string> domain_name; ///< needs admin rights; 19.09 (v4.20190615) on
    std::optional<std::string> group_id;    ///< UUID; 19.09 (v4.20190615) on
    field_list fields;                      ///< default: name created_at last_used max_files max_size
};

namespace detail {

template <class = void>
listing vfolder_listing(vfolder_filter filter) {
    listing what{"vfolder_list", "vfolders", &dialect_rules::folder_pages, {}, {}};
    what.selection = [fields = filter.fields](const dialect&) {
        return select_fields(fields, "name created_at last_used max_files max_size");
    };
    what.arguments = [filter = std::move(filter)](graphql_text<>& text, const dialect& language) {
        if (filter.access_key) text.argument("access_key", "String", *filter.access_key);
        filter_by_group(text, language, filter.domain_name, filter.group_id);
    };
    return what;
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
