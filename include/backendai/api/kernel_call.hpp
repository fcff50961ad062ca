/// @file
/// Calls about one compute session.
#ifndef BACKENDAI_API_KERNEL_CALL_HPP
#define BACKENDAI_API_KERNEL_CALL_HPP

#include <backendai/codec/url.hpp>
#include <backendai/config.hpp>
#include <backendai/dialect.hpp>
#include <backendai/error.hpp>
#include <backendai/pipeline.hpp>
#include <backendai/version.hpp>

#include <functional>
#include <string>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

template <class = void>
void require_single_name(const std::string& text, const char* what) {
    if (text.empty() || has_control_character(text)) {
        throw client_error(error_kind::argument, std::string(what) + " is empty or holds a control character");
    }
}

/// A call about a session. Its path depends on the server's generation and is written at the end, with what @p more
/// adds then.
template <class = void>
call kernel_call(const char* method, const std::string& kernel_id, const char* suffix = "",
                 std::function<void(call&, const dialect&)> more = {}) {
    require_single_name(kernel_id, "the session id");
    call what;
    what.method = method;
    what.complete = [rest = '/' + codec::escape_segment(kernel_id) + suffix,
                     more = std::move(more)](call& request, const dialect& language) {
        request.path = std::string(language.session_path) + rest;
        if (more) more(request, language);
    };
    return what;
}

/// The same for a function that not every server has.
template <class = void>
call kernel_call(const char* method, const std::string& kernel_id, const char* suffix, feature needed) {
    return kernel_call(method, kernel_id, suffix,
                       [needed](call& /*request*/, const dialect& language) { language.require(needed); });
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
