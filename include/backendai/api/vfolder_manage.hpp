/// @file
/// Virtual folders and the files in them: the bodies of what makes, lists, renames, moves and deletes.
#ifndef BACKENDAI_API_VFOLDER_MANAGE_HPP
#define BACKENDAI_API_VFOLDER_MANAGE_HPP

#include <backendai/api/file_types.hpp>
#include <backendai/api/vfolder_call.hpp>
#include <backendai/api/vfolder_types.hpp>
#include <backendai/codec/path_rules.hpp>
#include <backendai/codec/printable.hpp>
#include <backendai/config.hpp>
#include <backendai/dialect.hpp>
#include <backendai/pipeline.hpp>
#include <backendai/version.hpp>
#include <backendai/wire.hpp>

#include <optional>
#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

template <class = void>
vfolder_creation vfolder_create(const call_scope& scope, const std::string& name,
                                const vfolder_create_options& options) {
    check_vfolder_name(name);
    call what;
    what.method = "POST";
    what.path = "/folders";
    what.retry = retry_class::unsafe; // a second one would find the first one's folder and fail
    what.complete = [&](call& request, const dialect& language) {
        json body = {{"name", name}, {"host", options.host.empty() ? json() : json(options.host)}};
        const auto maybe = [&](const char* key, feature needed, const auto& value) {
            if (!value) return;
            language.require(needed);
            body[key] = *value;
        };
        check_vfolder_name(name, language);
        maybe("group", feature::folder_group, options.group);
        maybe("usage_mode", feature::usage_mode, options.usage_mode);
        maybe("permission", feature::folder_permission, options.permission);
        maybe("unmanaged_path", feature::unmanaged_path, options.unmanaged_path);
        maybe("cloneable", feature::cloneable, options.cloneable);
        maybe("quota", feature::quota, options.quota);
        request.set_json(body);
    };
    return read_vfolder_creation(scope.perform(std::move(what)).json());
}

template <class = void>
std::vector<vfolder_summary> vfolder_list(const call_scope& scope) {
    call what;
    what.path = "/folders";
    return read_vfolder_list(scope.perform(std::move(what)).json());
}

template <class = void>
vfolder_hosts vfolder_list_hosts(const call_scope& scope) {
    call what;
    what.path = "/folders/_/hosts";
    return read_vfolder_hosts(scope.perform(std::move(what)).json());
}

template <class = void>
vfolder_info vfolder_get_info(const call_scope& scope, const std::string& name) {
    return read_vfolder_info(scope.perform(vfolder_call("GET", name)).json());
}

template <class = void>
void vfolder_remove(const call_scope& scope, const std::string& name) {
    call what = vfolder_call("DELETE", name);
    what.retry = retry_class::unsafe; // a second one could hit a new folder of that name
    scope.perform(std::move(what));
}

template <class = void>
void vfolder_rename(const call_scope& scope, const std::string& name, const std::string& new_name) {
    check_vfolder_name(new_name);
    call what = vfolder_call("POST", name, "/rename");
    what.retry = retry_class::unsafe; // the second one would not find the old name
    what.set_json({{"new_name", new_name}});
    scope.perform(std::move(what));
}

/// Servers from 24.03 on answer 2xx with what they did and what they could not do.
template <class = void>
void check_results(const response& answer) {
    if (answer.text().empty() || answer.content_type() != "application/json") return;
    const json body = answer.json();
    const auto results = body.is_object() ? body.find("results") : body.end();
    if (results == body.end() || !results->is_object()) return;
    const auto failed = results->find("failed");
    if (failed == results->end() || failed->empty()) return;
    api_error::details details;
    details.status = answer.status();
    details.reason = answer.reason();
    details.title = "The server could not do all of it";
    details.data = *failed;
    details.body = answer.text().substr(0, max_error_body);
    throw api_error(std::move(details));
}

template <class = void>
void vfolder_mkdir(const call_scope& scope, const std::string& name, const std::string& path,
                   const mkdir_options& options) {
    const bool is_usual = options.parents && !options.exist_ok;
    json body = {{"path", codec::join_path(folder_path(path))}};
    if (!is_usual) body.update({{"parents", options.parents}, {"exist_ok", options.exist_ok}});
    call what = vfolder_call("POST", name, "/mkdir", [is_usual](call& /*request*/, const dialect& language) {
        if (!is_usual) language.require(feature::mkdir_parents);
    });
    what.retry = retry_class::unsafe; // servers differ on whether one that exists is an error
    what.set_json(body);
    check_results(scope.perform(std::move(what)));
}

template <class = void>
void vfolder_rename_file(const call_scope& scope, const std::string& name, const std::string& path,
                         const std::string& new_name) {
    if (new_name.empty() || new_name == "." || new_name == ".." || new_name.find('/') != std::string::npos ||
        has_control_character(new_name)) {
        throw client_error(error_kind::argument, codec::printable(new_name) + " is no name for a file");
    }
    call what = vfolder_call("POST", name, "", [](call& request, const dialect& language) {
        language.require(feature::rename_file);
        request.path += language.rename_file_path;
    });
    what.retry = retry_class::unsafe; // the second one would not find the old name
    what.set_json({{"target_path", codec::join_path(folder_path(path))}, {"new_name", new_name}});
    scope.perform(std::move(what));
}

template <class = void>
void vfolder_move_file(const call_scope& scope, const std::string& name, const std::string& from,
                       const std::string& to) {
    call what = vfolder_call("POST", name, "/move-file",
                             [](call& /*request*/, const dialect& language) { language.require(feature::move_file); });
    what.retry = retry_class::unsafe;
    what.set_json({{"src", codec::join_path(folder_path(from))}, {"dst", codec::join_path(folder_path(to))}});
    scope.perform(std::move(what));
}

template <class = void>
void vfolder_delete_files(const call_scope& scope, const std::string& name, const std::vector<std::string>& files,
                          bool recursive) {
    std::vector<std::string> paths;
    for (const std::string& file : files) paths.push_back(codec::join_path(folder_path(file)));
    call what = vfolder_call("DELETE", name, "", [](call& request, const dialect& language) {
        request.path += language.delete_files_path;
        request.method = std::string(language.delete_files_method);
    });
    what.retry = retry_class::unsafe; // what is gone is an error the second time
    what.set_json({{"files", paths}, {"recursive", recursive}});
    scope.perform(std::move(what));
}

template <class = void>
file_listing vfolder_list_files(const call_scope& scope, const std::string& name, const std::string& path) {
    const std::string joined = codec::join_path(folder_path(path, codec::root_name::allow));
    const std::string place = joined.empty() ? "." : joined;
    call what = vfolder_call("GET", name, "/files", [place](call& request, const dialect& language) {
        if (language.folder_listing_in_query) {
            request.query.emplace_back("path", place);
        } else {
            request.set_json({{"path", place}});
        }
    });
    return read_file_listing(scope.perform(std::move(what)).json());
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
