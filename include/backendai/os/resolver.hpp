/// @file
/// Name look-up that ends in time. No system can cancel getaddrinfo(), so it runs on a thread of its own, which is left
/// behind when the caller cannot wait any longer.
#ifndef BACKENDAI_OS_RESOLVER_HPP
#define BACKENDAI_OS_RESOLVER_HPP

#include <backendai/http.hpp>
#include <backendai/os/thread.hpp>
#include <backendai/version.hpp>

#ifdef _WIN32
#include <winsock2.h>
#include <ws2tcpip.h>
#else
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/types.h>
#endif

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace os {

namespace detail {

struct lookup {
    std::mutex mutex;
    std::condition_variable done_or_interrupted;
    bool done = false, interrupted = false;
    std::vector<std::string> addresses;
    std::string failure;          // in the system's words, when there are no addresses
    std::exception_ptr exception; // what else went wrong
};

template <class = void>
std::vector<std::string> numeric_addresses(const addrinfo* list) {
    std::vector<std::string> addresses;
    for (const addrinfo* item = list; item != nullptr; item = item->ai_next) {
        char text[NI_MAXHOST];
        if (getnameinfo(item->ai_addr, static_cast<socklen_t>(item->ai_addrlen), text, sizeof text, nullptr, 0,
                        NI_NUMERICHOST) == 0) {
            addresses.emplace_back(text);
        }
    }
    return addresses;
}

// Throws nothing, as it may be all that its thread does.
template <class = void>
void run_lookup(const std::string& host, int flags, lookup& state) noexcept {
    addrinfo hints;
    std::memset(&hints, 0, sizeof hints);
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = flags;
    addrinfo* list = nullptr;
    const int code = getaddrinfo(host.c_str(), nullptr, &hints, &list);
    std::vector<std::string> addresses;
    std::string failure;
    std::exception_ptr exception;
    try {
        if (code == 0) {
            addresses = numeric_addresses(list);
        } else {
            failure = gai_strerror(code);
        }
    } catch (...) {
        exception = std::current_exception();
    }
    if (code == 0) freeaddrinfo(list);
    const std::lock_guard<std::mutex> lock(state.mutex);
    state.done = true;
    state.addresses = std::move(addresses);
    state.failure = std::move(failure);
    state.exception = std::move(exception);
    state.done_or_interrupted.notify_all();
}

} // namespace detail

/// The numeric addresses of @p host, in the order in which they should be tried.
/// @throws client_error{connect} when there are none, timeout, cancelled or closed as @p context says, io when no
/// thread can be started; std::bad_alloc
template <class = void>
std::vector<std::string> resolve(const std::string& host, const exchange_context& context) {
    auto state = std::make_shared<detail::lookup>();
    detail::run_lookup(host, AI_NUMERICHOST, *state);
    if (state->exception) std::rethrow_exception(state->exception);
    if (!state->addresses.empty()) return state->addresses; // a numeric address needs no look-up
    state = std::make_shared<detail::lookup>();
    start_thread([state, host] { detail::run_lookup(host, 0, *state); }).detach();
    const auto interrupt = [state] {
        const std::lock_guard<std::mutex> lock(state->mutex);
        state->interrupted = true;
        state->done_or_interrupted.notify_all();
    };
    const cancel_token::listener on_cancel(context.cancel, interrupt);
    const cancel_token::listener on_close(context.closing, interrupt);
    const auto limit = context.within(context.connect_timeout);
    std::unique_lock<std::mutex> lock(state->mutex);
    const auto ready = [&] { return state->done || state->interrupted; };
    if (limit.count() == 0) {
        state->done_or_interrupted.wait(lock, ready);
    } else {
        state->done_or_interrupted.wait_for(lock, limit, ready);
    }
    if (state->done && state->exception) std::rethrow_exception(state->exception);
    if (state->done && !state->addresses.empty()) return state->addresses;
    if (state->done) {
        throw client_error(error_kind::connect, "the host name \"" + host + "\" cannot be resolved: " + state->failure);
    }
    lock.unlock();
    context.check();
    throw client_error(error_kind::timeout, "looking up \"" + host + "\" took too long");
}

} // namespace os
BACKENDAI_NAMESPACE_END

#endif
