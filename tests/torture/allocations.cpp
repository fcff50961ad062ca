// Allocations that fail on demand: operator new of the whole program, and what libcurl uses.
#include "fuse.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <execinfo.h>
#include <new>

namespace {

// Two places cannot bear it, which nothing above them can mend, and are left out: the destructor of
// nlohmann/json 3.11's arrays and objects allocates, and the constructor of cpp-httplib's TLS client forgets its
// OpenSSL context. The names are those of functions that the program (-rdynamic) and the libraries export.
bool look_up(void* frame) {
    Dl_info info{};
    return dladdr(frame, &info) != 0 && info.dli_sname != nullptr &&
           (std::strstr(info.dli_sname, "json_value7destroy") != nullptr ||
            std::strstr(info.dli_sname, "httplib9SSLClientC") != nullptr);
}
bool cannot_bear_it(void* frame) {
    // Looking a name up takes a millisecond in a program of so many, and the frames are mostly the same.
    struct entry {
        std::atomic<void*> frame{nullptr};
        std::atomic<bool> result{false};
    };
    static entry known[1 << 16];
    entry& mine = known[(reinterpret_cast<std::uintptr_t>(frame) >> 2) % (1 << 16)];
    if (mine.frame == frame) return mine.result;
    const bool result = look_up(frame);
    mine.frame = nullptr;
    mine.result = result;
    mine.frame = frame;
    return result;
}
bool is_where_nothing_may_fail() {
    void* frames[32];
    const int count = backtrace(frames, 32);
    return std::any_of(frames, frames + count, cannot_bear_it);
}

bool fails(const char* what) {
    return torture::of_allocations().blows(what) && !is_where_nothing_may_fail();
}

void* allocate(std::size_t size) {
    return fails("operator new") ? nullptr : std::malloc(size == 0 ? 1 : size);
}
void* allocate(std::size_t size, std::align_val_t alignment) {
    if (fails("operator new")) return nullptr;
    const std::size_t unit = static_cast<std::size_t>(alignment);
    return std::aligned_alloc(unit, (size + unit - 1) / unit * unit);
}

template <class... Alignment>
void* allocate_or_throw(std::size_t size, Alignment... alignment) {
    void* const memory = allocate(size, alignment...);
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
}

void* curl_allocate(std::size_t size) {
    return fails("libcurl's malloc") ? nullptr : std::malloc(size);
}
void* curl_reallocate(void* memory, std::size_t size) {
    return fails("libcurl's realloc") ? nullptr : std::realloc(memory, size);
}
char* curl_duplicate(const char* text) {
    return fails("libcurl's strdup") ? nullptr : strdup(text);
}
void* curl_clear_allocate(std::size_t count, std::size_t size) {
    return fails("libcurl's calloc") ? nullptr : std::calloc(count, size);
}

} // namespace

void* operator new(std::size_t size) {
    return allocate_or_throw(size);
}
void* operator new[](std::size_t size) {
    return allocate_or_throw(size);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
    return allocate_or_throw(size, alignment);
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
    return allocate_or_throw(size, alignment);
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    return allocate(size);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
    return allocate(size);
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete[](void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
    std::free(memory);
}
void operator delete[](void* memory, std::align_val_t) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
    std::free(memory);
}
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept {
    std::free(memory);
}
void operator delete(void* memory, const std::nothrow_t&) noexcept {
    std::free(memory);
}
void operator delete[](void* memory, const std::nothrow_t&) noexcept {
    std::free(memory);
}

namespace torture {

// A constructor of nlohmann/json 3.11 (the one from an initializer list) forgets what it has when memory runs out.
extern "C" const char* __lsan_default_suppressions() {
    return "leak:basic_json\n";
}

fuse& of_allocations() {
    static fuse instance;
    return instance;
}

void take_over_libraries() {
    void* frame = nullptr;
    backtrace(&frame, 1); // loads a library the first time
    curl_global_init_mem(CURL_GLOBAL_DEFAULT, curl_allocate, std::free, curl_reallocate, curl_duplicate,
                         curl_clear_allocate);
}

} // namespace torture
