// A fuse that blows at the n-th use: what the failing allocations and system calls of the torture program are made of.
#ifndef BACKENDAI_TESTS_TORTURE_FUSE_HPP
#define BACKENDAI_TESTS_TORTURE_FUSE_HPP

#include <atomic>

namespace torture {

class fuse {
public:
    // From now on the n-th use fails, on whatever thread, and no other.
    void arm(long n) {
        blown_ = nullptr;
        left_ = n;
    }
    // Returns what failed, or null when there were fewer than n uses.
    const char* disarm() {
        left_ = 0;
        return blown_;
    }
    bool blows(const char* what) {
        if (left_.load(std::memory_order_relaxed) <= 0 || --left_ != 0) return false;
        blown_ = what;
        return true;
    }

private:
    std::atomic<long> left_{0};
    std::atomic<const char*> blown_{nullptr};
};

// Allocations by C++ and by libcurl (allocations.cpp).
fuse& of_allocations();
// System calls about sockets, files and threads (calls.cpp).
fuse& of_calls();
// Whether a call that fails was only interrupted, where it can be, and shall be made again.
extern std::atomic<bool> calls_are_interrupted;

// Has libcurl use these allocations, before anything else is done with it.
void take_over_libraries();

} // namespace torture

#endif
