/// @file
/// Compute sessions as administrators and owners see them: listed, and looked at by id.
#ifndef BACKENDAI_API_SESSION_LIST_HPP
#define BACKENDAI_API_SESSION_LIST_HPP

#include <backendai/api/graphql_call.hpp>
#include <backendai/api/kernel_call.hpp>
#include <backendai/api/kernel_create.hpp>
#include <backendai/api/kernel_match.hpp>
#include <backendai/api/pages.hpp>
#include <backendai/codec/uuid.hpp>
#include <backendai/dialect.hpp>
#include <backendai/pipeline.hpp>
#include <backendai/version.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

/// Which compute sessions are listed.
struct session_filter {
    /// PREPARING, BUILDING, RUNNING, RESTARTING, RESIZING, SUSPENDED, TERMINATING, TERMINATED, ERROR; from 20.03 on
    /// more (PENDING, CANCELLED ...), and several with commas between. With nothing given the server decides.
    std::optional<std::string> status = "RUNNING";
    std::optional<std::string> access_key;  ///< whose; needs admin rights
    std::optional<std::string> domain_name; ///< needs admin rights; 19.09 (v4.20190615) on
    std::optional<std::string> group_id;    ///< UUID; 19.09 (v4.20190615) on
    /// By the server's names; those of 19.03 (sess_id, lang) do on later servers too. Default: sess_id image tag
    /// created_at terminated_at status occupied_slots, and mem_cur_bytes mem_max_bytes cpu_using before 20.03, id name
    /// type from it on.
    field_list fields;
};

namespace detail {

/// The selection of session fields: old names come as aliases of what took their place.
template <class = void>
std::string select_session_fields(const field_list& fields, std::string_view fallback, const dialect& language) {
    if (fields.empty()) return std::string(fallback);
    std::string out;
    for (const std::string& field : fields) {
        std::string text = field_checker(field).check();
        for (const field_rename& known : language.session_renames) {
            if (text == known.from) text += ": " + std::string(known.to);
        }
        out += (out.empty() ? "" : " ") + text;
    }
    return out;
}

template <class = void>
void filter_by_group(graphql_text<>& text, const dialect& language, const std::optional<std::string>& domain_name,
                     const std::optional<std::string>& group_id) {
    if (domain_name) {
        language.require(feature::list_domain);
        text.argument("domain_name", "String", *domain_name);
    }
    if (group_id) {
        language.require(feature::list_group);
        text.argument("group_id", std::string(language.group_id_type), *group_id);
    }
}

template <class = void>
listing session_listing(session_filter filter) {
    listing what{"compute_session_list", "compute_sessions", &dialect_rules::session_pages, {}, {}};
    what.selection = [fields = filter.fields](const dialect& language) {
        return select_session_fields(fields, language.sessions_fields, language);
    };
    what.arguments = [filter = std::move(filter)](graphql_text<>& text, const dialect& language) {
        // User keys have no such argument, so it is there only when it is used.
        if (filter.access_key) text.argument("access_key", "String", *filter.access_key);
        filter_by_group(text, language, filter.domain_name, filter.group_id);
        text.argument("status", "String", filter.status ? json(*filter.status) : json());
    };
    return what;
}

template <class = void>
json session_by_uuid(const call_scope& scope, const std::string& id, const std::string& selection) {
    graphql_text<> text("query", "compute_session");
    text.argument("id", "UUID!", id).select(selection);
    return query_field(scope, text);
}

template <class = void>
json session_by_name(const call_scope& scope, const std::string& name, const std::string& selection,
                     const dialect& language) {
    check_client_token(name); // and so nothing that means something in a filter
    if (language.session_pages == page_order::expressions) {
        listing what{"compute_session_list", "", &dialect_rules::session_pages, [](graphql_text<>&, const dialect&) {},
                     [&selection](const dialect&) { return selection; }};
        page_query wanted;
        wanted.page_size = 1;
        wanted.filter = "name == \"" + name + '"';
        wanted.order = "-created_at"; // names are used again: the newest
        page_result found = fetch_page(scope, what, wanted);
        return found.items.empty() ? json() : std::move(found.items.front());
    }
    for (const session_match& match : kernel_match(scope, name)) {
        if (match.name == name) return session_by_uuid(scope, match.id, selection);
    }
    return {};
}

template <class = void>
json session_info(const call_scope& scope, const std::string& kernel_id, const field_list& fields) {
    const dialect language = scope.negotiate();
    const std::string selection = select_session_fields(fields, language.session_fields, language);
    if (language.session_by_uuid) {
        return codec::is_uuid(kernel_id) ? session_by_uuid(scope, kernel_id, selection)
                                         : session_by_name(scope, kernel_id, selection, language);
    }
    graphql_text<> text("query", "compute_session");
    text.argument("sess_id", "String", kernel_id).select(selection);
    json found = query_field(scope, text);
    // 19.03 answers an unknown id with an object that is null in every field.
    bool empty = found.is_object();
    for (const json& value : found) empty = empty && value.is_null();
    return empty ? json() : found;
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
