/// @file
/// Idle connections waiting for their next use: a fixed number of slots, taken and given back without a lock.
#ifndef BACKENDAI_TRANSPORT_POOL_HPP
#define BACKENDAI_TRANSPORT_POOL_HPP

#include <backendai/version.hpp>

#include <atomic>
#include <cstddef>
#include <memory>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// Keeps at most as many objects as it has slots; one more is destroyed by whoever gives it back. Thread-safe.
template <class T>
class slot_pool {
public:
    explicit slot_pool(std::size_t slots) : slots_(slots) {}
    slot_pool(const slot_pool&) = delete;
    slot_pool& operator=(const slot_pool&) = delete;
    ~slot_pool() {
        while (take()) {
        }
    }

    /// An idle object, or nothing.
    std::unique_ptr<T> take() noexcept {
        for (std::atomic<T*>& slot : slots_) {
            if (slot.load(std::memory_order_relaxed) == nullptr) continue;
            if (T* object = slot.exchange(nullptr, std::memory_order_acquire)) return std::unique_ptr<T>(object);
        }
        return nullptr;
    }
    void give_back(std::unique_ptr<T> object) noexcept {
        for (std::atomic<T*>& slot : slots_) {
            T* empty = nullptr;
            if (slot.load(std::memory_order_relaxed) == nullptr &&
                slot.compare_exchange_strong(empty, object.get(), std::memory_order_release,
                                             std::memory_order_relaxed)) {
                object.release(); // NOLINT(bugprone-unused-return-value): the slot owns it now
                return;
            }
        }
    }

private:
    std::vector<std::atomic<T*>> slots_;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
