/// @file
/// The threads of the asynchronous mode: a bounded pool that belongs to one session and ends with it.
#ifndef BACKENDAI_ASYNC_EXECUTOR_HPP
#define BACKENDAI_ASYNC_EXECUTOR_HPP

#include <backendai/os/thread.hpp>
#include <backendai/version.hpp>
#include <backendai/watchdog.hpp>

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <list>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// A piece of work for an executor. Exactly one of the two functions is called, once.
class work {
public:
    work() = default;
    work(const work&) = delete;
    work& operator=(const work&) = delete;
    virtual ~work() = default;
    virtual void run() noexcept = 0;
    /// In place of run(), when the executor stops before the turn came.
    virtual void refuse() noexcept { run(); }
};

/// At most so many threads, started one by one when there is something for them to do. Tasks wait without bound and are
/// taken in the order in which they came; continuations of finished tasks go before tasks that have not begun, so that
/// what was begun gets done. Thread-safe. The threads share the object, so that it may be let go anywhere.
class executor : public std::enable_shared_from_this<executor> {
public:
    explicit executor(std::uint32_t threads) : limit_(threads) {}
    executor(const executor&) = delete;
    executor& operator=(const executor&) = delete;
    ~executor() {
        // No thread uses the object any more; where the last one lets go of it, that one cannot wait for itself.
        for (std::thread& thread : threads_) {
            if (thread.get_id() == std::this_thread::get_id()) {
                thread.detach();
            } else {
                thread.join();
            }
        }
    }

    /// Queues a task. @return false when the executor is stopped; the task was not touched then.
    /// @throws client_error{io} when the system gives not even one thread
    template <class = void>
    bool submit(std::shared_ptr<work> task) {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            if (stopping_) return false;
            tasks_.push_back(std::move(task));
            try {
                start_thread();
            } catch (...) {
                tasks_.pop_back();
                throw;
            }
        }
        changed_.notify_one();
        return true;
    }

    /// Queues a continuation, which is run also while the executor stops. @return false when no thread is there to run
    /// it; it was not touched then.
    template <class = void>
    bool resume(const std::shared_ptr<work>& continuation) {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            if (stopping_ && running_ == 0) return false;
            const std::size_t before = continuations_.size();
            try {
                continuations_.push_back(continuation);
                if (!stopping_) start_thread();
            } catch (const std::exception&) {
                continuations_.resize(before); // shorter or as it is: needs no memory
                return false;
            }
        }
        changed_.notify_one();
        return true;
    }

    /// Refuses the tasks that wait, and all later ones. The threads end once their tasks and what continues them ended.
    template <class = void>
    void stop() {
        std::list<std::shared_ptr<work>> refused; // a list: an empty one needs no memory, and stopping must not fail
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            if (stopping_) return;
            stopping_ = refusing_ = true;
            refused.swap(tasks_);
        }
        for (std::shared_ptr<work>& task : refused) {
            task->refuse();
            task.reset();
        }
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            refusing_ = false;
        }
        changed_.notify_all();
    }

    /// Waits until the threads of a stopped executor have ended; on one of them it returns at once.
    template <class = void>
    void join() {
        if (on_own_thread()) return;
        std::vector<std::thread> threads;
        {
            std::unique_lock<std::mutex> lock(mutex_);
            ended_.wait(lock, [this] { return running_ == 0; });
            threads.swap(threads_);
        }
        for (std::thread& thread : threads) thread.join();
    }

    /// Whether the caller is one of the threads.
    template <class = void>
    bool on_own_thread() const noexcept {
        return current() == this;
    }

    /// The executor whose thread the caller is, or null.
    template <class = void>
    static const executor*& current() noexcept {
        thread_local const executor* mine = nullptr;
        return mine;
    }

    /// Ends tasks whose time is over while they wait. Never called with a lock held.
    watchdog& timer() noexcept { return timer_; }

private:
    // Under the lock. Fewer threads than allowed will do when the system gives no more.
    template <class = void>
    void start_thread() {
        if (running_ >= limit_ || tasks_.size() + continuations_.size() <= idle_) return;
        threads_.reserve(threads_.size() + 1); // what could fail once there is a thread
        try {
            threads_.push_back(os::start_thread([self = shared_from_this()] { self->serve(); }));
            ++running_;
        } catch (const client_error&) {
            if (running_ == 0) throw;
        }
    }

    template <class = void>
    void serve() {
        current() = this;
        std::unique_lock<std::mutex> lock(mutex_);
        for (;;) {
            std::list<std::shared_ptr<work>>& queue = continuations_.empty() ? tasks_ : continuations_;
            if (!queue.empty()) {
                std::shared_ptr<work> next = std::move(queue.front());
                queue.pop_front();
                lock.unlock();
                next->run();
                next.reset();
                lock.lock();
            } else if (stopping_ && !refusing_) {
                break;
            } else {
                ++idle_;
                changed_.wait(lock);
                --idle_;
            }
        }
        if (--running_ == 0) ended_.notify_all();
    }

    const std::uint32_t limit_;
    watchdog timer_;
    std::mutex mutex_;
    std::condition_variable changed_, ended_;
    std::list<std::shared_ptr<work>> tasks_, continuations_;
    std::vector<std::thread> threads_;
    std::size_t running_ = 0, idle_ = 0;
    bool stopping_ = false;
    bool refusing_ = false; // stop() is telling tasks; what continues them still needs the threads
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
