// What the measuring programs take the time with.
#ifndef BACKENDAI_TESTS_BENCH_CLOCK_HPP
#define BACKENDAI_TESTS_BENCH_CLOCK_HPP

#include <chrono>

using clock_type = std::chrono::steady_clock;

inline double seconds_since(clock_type::time_point start) {
    return std::chrono::duration<double>(clock_type::now() - start).count();
}

#endif
