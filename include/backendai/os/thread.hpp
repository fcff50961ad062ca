/// @file
/// Starting threads, which the system may refuse.
#ifndef BACKENDAI_OS_THREAD_HPP
#define BACKENDAI_OS_THREAD_HPP

#include <backendai/error.hpp>
#include <backendai/version.hpp>

#include <string>
#include <system_error>
#include <thread>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace os {

/// A thread that runs @p work. @throws client_error{io} when the system gives no more threads
template <class Work>
std::thread start_thread(Work&& work) {
    try {
        return std::thread(std::forward<Work>(work));
    } catch (const std::system_error& e) {
        throw client_error(error_kind::io, std::string("no thread can be started: ") + e.what());
    }
}

} // namespace os
BACKENDAI_NAMESPACE_END

#endif
