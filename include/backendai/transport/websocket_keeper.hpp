/// @file
/// Looks after open websockets from time to time: pings, and answers to pings while nobody receives.
#ifndef BACKENDAI_TRANSPORT_WEBSOCKET_KEEPER_HPP
#define BACKENDAI_TRANSPORT_WEBSOCKET_KEEPER_HPP

#include <backendai/os/thread.hpp>
#include <backendai/version.hpp>

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// Something that wants a tick now and then. tick() must not block.
class ticked {
public:
    ticked() = default;
    ticked(const ticked&) = delete;
    ticked& operator=(const ticked&) = delete;
    virtual ~ticked() = default;
    virtual void tick(std::chrono::steady_clock::time_point now) noexcept = 0;
};

/// One thread for all websockets of a transport; it starts with the first one. Thread-safe.
template <class = void>
class websocket_keeper {
public:
    using clock = std::chrono::steady_clock;

    websocket_keeper() = default;
    websocket_keeper(const websocket_keeper&) = delete;
    websocket_keeper& operator=(const websocket_keeper&) = delete;
    ~websocket_keeper() {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            stopping_ = true;
        }
        changed_.notify_all();
        if (thread_.joinable()) thread_.join();
    }

    /// @throws client_error{io} when no thread can be started, std::bad_alloc; it is not looked after then
    void add(ticked& item, std::chrono::milliseconds period) {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            if (!thread_.joinable()) thread_ = os::start_thread([this] { run(); });
            items_[&item] = {period, clock::now() + period};
        }
        changed_.notify_all();
    }
    /// After this @p item is not touched any more.
    void remove(ticked& item) {
        const std::lock_guard<std::mutex> lock(mutex_);
        items_.erase(&item);
    }

private:
    struct schedule {
        std::chrono::milliseconds period{};
        clock::time_point next;
    };

    void run() {
        std::unique_lock<std::mutex> lock(mutex_);
        while (!stopping_) {
            const auto now = clock::now();
            auto next = (clock::time_point::max)();
            for (auto& item : items_) {
                if (item.second.next <= now) {
                    item.first->tick(now);
                    item.second.next = now + item.second.period;
                }
                next = item.second.next < next ? item.second.next : next;
            }
            if (items_.empty()) {
                changed_.wait(lock);
            } else {
                changed_.wait_until(lock, next);
            }
        }
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::map<ticked*, schedule> items_;
    bool stopping_ = false;
    std::thread thread_;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
