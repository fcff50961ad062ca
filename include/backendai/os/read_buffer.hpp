/// @file
/// Where reads of a stream go.
#ifndef BACKENDAI_OS_READ_BUFFER_HPP
#define BACKENDAI_OS_READ_BUFFER_HPP

#include <backendai/version.hpp>

#include <algorithm>
#include <cstddef>
#include <memory>

BACKENDAI_NAMESPACE_BEGIN
namespace os {

/// Small for a connection on which little comes, and larger as long as reads fill it: fewer calls of the system and
/// fewer wake-ups then. What was read stays until the next prepare(). Not thread-safe.
class read_buffer {
public:
    read_buffer() : bytes_(new char[first_size]) {} // not zeroed: pages that no read reaches are never touched

    /// Makes room for the next read. @throws std::bad_alloc, after which it is as it was
    template <class = void>
    void prepare() {
        if (!was_filled_ || size_ == most) return;
        const std::size_t larger = (std::min)(2 * size_, most);
        bytes_.reset(new char[larger]);
        size_ = larger;
        was_filled_ = false;
    }
    /// How many bytes a read has put there.
    void note(std::size_t count) noexcept { was_filled_ = count == size_; }

    char* data() noexcept { return bytes_.get(); }
    std::size_t size() const noexcept { return size_; }

    static constexpr std::size_t first_size = 32U << 10U;
    static constexpr std::size_t most = 256U << 10U;

private:
    std::unique_ptr<char[]> bytes_;
    std::size_t size_ = first_size;
    bool was_filled_ = false;
};

} // namespace os
BACKENDAI_NAMESPACE_END

#endif
