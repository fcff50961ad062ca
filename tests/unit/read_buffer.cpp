// Where reads of a stream go.
#include <backendai/os/read_buffer.hpp>

#include <doctest/doctest.h>

#include <cstring>

TEST_CASE("read_buffer: grows while reads fill it, up to its most, and keeps what was read until then") {
    using backendai::os::read_buffer;
    read_buffer buffer;
    CHECK(buffer.size() == read_buffer::first_size);
    buffer.note(1);
    buffer.prepare();
    CHECK(buffer.size() == read_buffer::first_size);
    std::size_t before = buffer.size();
    while (buffer.size() != read_buffer::most) {
        std::memset(buffer.data(), 'x', buffer.size());
        buffer.note(buffer.size());
        CHECK(buffer.data()[before - 1] == 'x');
        buffer.prepare();
        CHECK(buffer.size() == 2 * before);
        before = buffer.size();
        buffer.prepare(); // not twice for one read
        CHECK(buffer.size() == before);
    }
    buffer.note(buffer.size());
    buffer.prepare();
    CHECK(buffer.size() == read_buffer::most);
}
