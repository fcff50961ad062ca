// Transfers with a storage proxy by the transport without sockets.
#include "storage_bench.hpp"

#include <backendai/testing/memory_transport.hpp>

#include <doctest/doctest.h>

using namespace files_support;
using session_type = backendai::basic_session<backendai::testing::memory_transport, backendai::blocking>;

TEST_CASE("storage: by the transport in memory") {
    backendai::testing::gateway server(storage_bench::modern());
    const session_type session(storage_bench::config_of(server), backendai::testing::memory_transport(server));
    session.vfolder().create("data");
    const sandbox box;
    const std::string content = noise(300'000);
    box.put("up/f", content);
    box.put("up/empty", "");
    backendai::upload_options how;
    how.basedir = box.root();
    how.chunk_size = 100'000;
    session.vfolder("data").upload({box.root() / "up"}, how);
    CHECK(server.storage_received() == content.size());
    session.vfolder("data").download({"up"}, box.out());
    CHECK((sandbox::read(box.out() / "up/f") == content));
    CHECK(sandbox::read(box.out() / "up/empty").empty());
}

TEST_CASE("storage: options that only folders have are refused for compute sessions, before anything is sent") {
    backendai::testing::gateway server(storage_bench::modern());
    const session_type session(storage_bench::config_of(server), backendai::testing::memory_transport(server));
    backendai::upload_options up;
    up.resume_file = "note";
    backendai::download_options down;
    down.resume = true;
    CHECK(result_of([&] { session.kernel("session-one").upload({}, up); }).what == "argument");
    CHECK(result_of([&] { session.kernel("session-one").download({}, ".", down); }).what == "argument");
    CHECK(server.received() == 0);
}
