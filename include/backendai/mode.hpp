/// @file
/// The modes of a session. Every API function's body is written once, blocking; the mode decides how it is run.
#ifndef BACKENDAI_MODE_HPP
#define BACKENDAI_MODE_HPP

#include <backendai/pipeline.hpp>
#include <backendai/version.hpp>

#include <type_traits>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN

/// Calls run on the calling thread and return their result.
struct blocking {
    template <class T>
    using result = T;

    template <class Body>
    static auto run(const detail::call_scope& scope, Body&& body)
        -> std::invoke_result_t<Body, const detail::call_scope&> {
        return std::forward<Body>(body)(scope);
    }
};

BACKENDAI_NAMESPACE_END

#endif
