/// @file
/// Progress of transfers: who wants to see it, and who counts the bytes.
#ifndef BACKENDAI_FILES_PROGRESS_HPP
#define BACKENDAI_FILES_PROGRESS_HPP

#include <backendai/error.hpp>
#include <backendai/version.hpp>

#include <cstdint>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN

/// Sees a transfer go on: any callable that takes (const std::string& file, std::uint64_t bytes_done, std::uint64_t
/// bytes_total). The bytes are those of the whole call; the total is 0 while nobody knows it. It is called on the
/// thread that does the transfer, after each piece of data, and bytes_done goes back when a request is tried again.
/// Returning false ends the transfer with client_error{cancelled}; what it throws ends it too and comes out unchanged.
/// A callable that returns void never ends it.
class progress_callback {
public:
    progress_callback() = default;
    template <class Callable,
              std::enable_if_t<!std::is_same_v<std::decay_t<Callable>, progress_callback> &&
                                   std::is_invocable_v<Callable&, const std::string&, std::uint64_t, std::uint64_t>,
                               int> = 0>
    progress_callback(Callable callable) { // NOLINT(google-explicit-constructor)
        using returned = std::invoke_result_t<Callable&, const std::string&, std::uint64_t, std::uint64_t>;
        if constexpr (std::is_void_v<returned>) {
            call_ = [callable = std::move(callable)](const std::string& file, std::uint64_t done,
                                                     std::uint64_t total) mutable {
                callable(file, done, total);
                return true;
            };
        } else {
            call_ = std::move(callable);
        }
    }

    explicit operator bool() const noexcept { return static_cast<bool>(call_); }

    /// Whether the transfer shall go on.
    bool operator()(const std::string& file, std::uint64_t done, std::uint64_t total) const {
        return !call_ || call_(file, done, total);
    }

private:
    std::function<bool(const std::string&, std::uint64_t, std::uint64_t)> call_;
};

namespace detail {

/// Counts the bytes of one call and tells the callback. Not thread-safe.
class transfer_meter {
public:
    explicit transfer_meter(progress_callback callback, std::uint64_t total = 0)
        : callback_(std::move(callback)), total_(total) {}

    void set_total(std::uint64_t total) { total_ = total; }
    std::uint64_t done() const { return done_; }
    template <class = void>
    void add(const std::string& file, std::uint64_t bytes) {
        done_ += bytes;
        if (!callback_(file, done_, total_)) {
            throw client_error(error_kind::cancelled, "the progress callback ended the transfer",
                               client_error::progress::maybe_sent);
        }
    }
    void take_back(std::uint64_t bytes) { done_ -= bytes; }

private:
    progress_callback callback_;
    std::uint64_t total_, done_ = 0;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
