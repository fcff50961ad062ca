/// @file
/// What requests about one virtual folder have in common.
#ifndef BACKENDAI_API_VFOLDER_CALL_HPP
#define BACKENDAI_API_VFOLDER_CALL_HPP

#include <backendai/api/vfolder_types.hpp>
#include <backendai/codec/decode_error.hpp>
#include <backendai/codec/path_rules.hpp>
#include <backendai/codec/url.hpp>
#include <backendai/dialect.hpp>
#include <backendai/error.hpp>
#include <backendai/pipeline.hpp>
#include <backendai/version.hpp>

#include <functional>
#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// A call about a folder; @p more adds what depends on the server's generation.
template <class = void>
call vfolder_call(const char* method, const std::string& name, const char* suffix = "",
                  std::function<void(call&, const dialect&)> more = {}) {
    check_vfolder_name(name);
    call what;
    what.method = method;
    what.path = "/folders/" + codec::escape_segment(name) + suffix;
    what.complete = [name, more = std::move(more)](call& request, const dialect& language) {
        check_vfolder_name(name, language);
        if (more) more(request, language);
    };
    return what;
}

/// A path inside a folder in its normal form. @throws client_error{argument} when it is none.
template <class = void>
std::vector<std::string> folder_path(const std::string& path, codec::root_name root = codec::root_name::refuse) {
    try {
        // The caller's own names are not held to the rules of other systems.
        return codec::safe_relative_path(path, root, codec::path_policy::posix);
    } catch (const codec::decode_error& e) {
        throw client_error(error_kind::argument, e.what());
    }
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
