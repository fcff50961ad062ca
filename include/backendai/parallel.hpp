/// @file
/// Fan-out: many jobs, at most so many of them at once.
#ifndef BACKENDAI_PARALLEL_HPP
#define BACKENDAI_PARALLEL_HPP

#include <backendai/async/future.hpp>
#include <backendai/cancel.hpp>
#include <backendai/error.hpp>
#include <backendai/version.hpp>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

/// How one job of run_parallel() ended.
template <class T>
struct outcome {
    std::optional<std::conditional_t<std::is_void_v<T>, std::monostate, T>> value;
    std::exception_ptr failure; ///< what the job threw; null when it succeeded

    bool ok() const noexcept { return !failure; }
    /// The value. @throws what the job threw
    T get() {
        if (failure) std::rethrow_exception(failure);
        if constexpr (!std::is_void_v<T>) return std::move(*value);
    }
};

namespace detail {

template <class Job>
using job_result = typename without_future<std::invoke_result_t<Job&>>::type;

template <class T, class Work>
void settle(outcome<T>& end, Work&& work) {
    try {
        if constexpr (std::is_void_v<T>) {
            work();
            end.value.emplace();
        } else {
            end.value.emplace(work());
        }
    } catch (...) {
        end.failure = std::current_exception();
    }
}

// Blocking jobs: the caller and further threads take one after the other.
template <class Job>
void run_on_threads(std::vector<Job>& jobs, std::size_t width, const cancel_token& cancel,
                    std::vector<outcome<job_result<Job>>>& ends) {
    std::atomic<std::size_t> next{0};
    const auto lane = [&] {
        for (std::size_t i = next++; i < jobs.size() && !cancel.cancelled(); i = next++) settle(ends[i], jobs[i]);
    };
    std::vector<std::thread> helpers;
    helpers.reserve(width);
    try {
        while (helpers.size() + 1 < width) helpers.emplace_back(lane);
    } catch (const std::exception&) {
        // The system gives no more threads, or memory for them: fewer at once is within what was asked for.
    }
    lane();
    for (std::thread& helper : helpers) helper.join();
}

// Jobs that return futures need no threads: the end of one makes room for the next.
template <class Job>
void run_by_futures(std::vector<Job>& jobs, std::size_t width, const cancel_token& cancel,
                    std::vector<outcome<job_result<Job>>>& ends) {
    using result = job_result<Job>;
    std::mutex mutex;
    std::condition_variable changed;
    std::map<std::size_t, future<void>> running;
    std::vector<std::size_t> ended;
    const auto wake = [&] {
        const std::lock_guard<std::mutex> lock(mutex);
        changed.notify_all();
    };
    const cancel_token::listener on_cancel(cancel, wake);
    bool told = false;
    std::size_t next = 0;
    for (;;) {
        while (running.size() < width && next < jobs.size() && !cancel.cancelled()) {
            const std::size_t i = next++;
            try {
                running.emplace(i, jobs[i]().then([&, i](future<result> done) {
                    settle(ends[i], [&] { return done.get(); });
                    const std::lock_guard<std::mutex> lock(mutex);
                    ended.push_back(i);
                    changed.notify_all();
                }));
            } catch (...) {
                ends[i].failure = std::current_exception();
            }
        }
        if (running.empty() && (next == jobs.size() || cancel.cancelled())) return;
        if (cancel.cancelled() && !std::exchange(told, true)) {
            // The newest first: an older one that ends would let a thread begin with a newer one that waits for it.
            for (auto job = running.rbegin(); job != running.rend(); ++job) job->second.cancel();
        }
        std::vector<std::size_t> gone;
        {
            std::unique_lock<std::mutex> lock(mutex);
            changed.wait(lock, [&] { return !ended.empty() || (cancel.cancelled() && !told); });
            gone.swap(ended);
        }
        for (const std::size_t i : gone) running.erase(i);
    }
}

} // namespace detail

/// Runs all @p jobs, at most @p max_parallel of them at once, and waits until they ended. Each is a function without
/// arguments; where it returns a future, that is what runs (`[&] { return kernel.run(code); }` on an async_session),
/// else it runs on a thread of its own and on the caller's. They are started in order. One that fails does not stop the
/// others. Where @p cancel is triggered no further job is started, and futures are cancelled; a blocking job that shall
/// end early too gets the same token by `session.with()`.
/// @return how each job ended, in the order of the jobs; client_error{cancelled} for those that were not started
/// @throws client_error{argument} when @p max_parallel is 0, or for jobs with futures on a thread of a session
template <class Job>
std::vector<outcome<detail::job_result<Job>>> run_parallel(std::vector<Job> jobs, std::size_t max_parallel,
                                                           const cancel_token& cancel = {}) {
    using returned = std::invoke_result_t<Job&>;
    if (max_parallel == 0) throw client_error(error_kind::argument, "max_parallel must be at least 1");
    std::vector<outcome<detail::job_result<Job>>> ends(jobs.size());
    const std::size_t width = (std::min)(max_parallel, jobs.size());
    if constexpr (detail::is_future<returned>::value) {
        if (detail::executor::current() != nullptr) {
            throw client_error(
                error_kind::argument,
                "run_parallel() would wait for futures on a thread of a session: use then() or co_await");
        }
        detail::run_by_futures(jobs, width, cancel, ends);
    } else {
        detail::run_on_threads(jobs, width, cancel, ends);
    }
    for (auto& end : ends) {
        if (!end.value && !end.failure) end.failure = detail::cancelled_before_start();
    }
    return ends;
}

BACKENDAI_NAMESPACE_END

#endif
