/// @file
/// Administration: GraphQL queries of any kind, and the listings that have no class of their own.
///
/// Unless a function says otherwise it throws graphql_error when the server refuses the query, api_error when it
/// refuses the request, client_error{argument} for arguments that are wrong before anything is sent, and client_error
/// of the other kinds when no usable answer came. All functions may be called from several threads at once.
#ifndef BACKENDAI_API_ADMIN_HPP
#define BACKENDAI_API_ADMIN_HPP

#include <backendai/api/graphql_call.hpp>
#include <backendai/api/pages.hpp>
#include <backendai/api/session_list.hpp>
#include <backendai/api/vfolder_list.hpp>
#include <backendai/mode.hpp>
#include <backendai/pipeline.hpp>
#include <backendai/version.hpp>

#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

/// Administration: `session.admin()`.
template <class Transport, class Mode>
class basic_admin_functions {
    template <class T>
    using result = typename Mode::template result<T>;

public:
    explicit basic_admin_functions(detail::call_scope scope) : scope_(std::move(scope)) {}

    /// Runs a GraphQL document of the caller's and returns the data, as the server sent them: `POST /admin/graphql`, or
    /// `/admin/gql` from v6.20210815 on. The schema is the server's: see its version's manual.
    /// @param query     the document; put values into variables, not into its text
    /// @param variables an object, or null
    /// Retry class: safe for queries, unsafe for what holds a mutation.
    result<json> query(std::string query, json variables = json::object()) const {
        return Mode::run(scope_,
                         [query = std::move(query), variables = std::move(variables)](const detail::call_scope& scope) {
                             return detail::admin_query(scope, query, variables);
                         });
    }
    /// The compute sessions that fit the filter, newest first, at most 100: kernel().paginated_list() gives all. Texts
    /// that hold JSON are decoded. Retry class: safe.
    result<std::vector<json>> sessions(session_filter filter = {}) const {
        return Mode::run(scope_, [filter = std::move(filter)](const detail::call_scope& scope) {
            return detail::fetch_single_page(scope, detail::session_listing(filter), {}).items;
        });
    }
    /// One compute session in detail, or null when there is none of that id. Retry class: safe.
    /// @param kernel_id client token, or UUID from 20.03 on; of several sessions of a token the newest, on 19.03 the
    /// one
    ///                  that runs
    /// @param fields    default: what the dialect's server has of sess_id image tag created_at terminated_at status
    ///                  status_info occupied_slots num_queries, and more
    result<json> session(std::string kernel_id, field_list fields = {}) const {
        return Mode::run(
            scope_, [kernel_id = std::move(kernel_id), fields = std::move(fields)](const detail::call_scope& scope) {
                return detail::session_info(scope, kernel_id, fields);
            });
    }
    /// The virtual folders of the caller or of the filter's access key, at most 100: vfolder().paginated_list() gives
    /// all. Retry class: safe.
    result<std::vector<json>> vfolders(vfolder_filter filter = {}) const {
        return Mode::run(scope_, [filter = std::move(filter)](const detail::call_scope& scope) {
            return detail::fetch_single_page(scope, detail::vfolder_listing(filter), {}).items;
        });
    }

private:
    detail::call_scope scope_;
};

BACKENDAI_NAMESPACE_END

#endif
