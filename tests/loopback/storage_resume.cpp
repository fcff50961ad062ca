// Uploads that a later program goes on with, by the file in which they note how.
#include "storage_bench.hpp"

#include <doctest/doctest.h>

#include <sys/stat.h>

using namespace files_support;
using backendai::testing::storage_lie;
using storage_bench::bench;
using storage_bench::modern;

namespace {

unsigned mode_of(const fs::path& path) {
    struct stat data {};
    REQUIRE(::lstat(path.c_str(), &data) == 0);
    return static_cast<unsigned>(data.st_mode) & 0777U;
}

template <class T>
struct interrupted {
    explicit interrupted(backendai::testing::gateway_options options = modern()) : b(std::move(options)) {
        b.box.put("up/large", content);
        b.box.put("up/a-first", "small");
        b.box.put("up/z-last", "last");
        options_.basedir = b.box.root() / "up";
        options_.chunk_size = 100'000;
        options_.resume_file = note;
    }
    // Uploads until so many bytes are under way.
    std::string stop_at(std::uint64_t bytes) {
        auto how = options_;
        how.progress = [bytes](const std::string&, std::uint64_t done, std::uint64_t) { return done < bytes; };
        return result_of([&] { b.folder().upload({b.box.root() / "up"}, how); }).what;
    }
    std::string go_on() {
        auto how = options_;
        how.progress = [this](const std::string&, std::uint64_t done, std::uint64_t of) {
            last = done;
            total = of;
        };
        const auto result = result_of([&] { b.folder().upload({b.box.root() / "up"}, how); });
        message = result.message;
        return result.what;
    }
    void check_all() {
        for (const char* name : {"large", "a-first", "z-last"})
            CHECK_MESSAGE((b.stored(name) == sandbox::read(b.box.root() / "up" / name)), name);
        CHECK_FALSE(fs::exists(note));
        CHECK(last == total);
    }

    bench<T> b;
    const std::string content = noise(1'000'000);
    const fs::path note = b.box.root() / "note";
    backendai::upload_options options_;
    std::uint64_t last = 0, total = 0;
    std::string message;
};

} // namespace

TEST_CASE_TEMPLATE("storage: an upload is gone on with by the next program", T, BACKENDAI_SOCKET_TRANSPORTS) {
    interrupted<T> u;
    CHECK(u.stop_at(450'000) == "cancelled");
    REQUIRE(fs::exists(u.note));
    CHECK(mode_of(u.note) == 0600);
    CHECK(u.b.stored("a-first") == "small");
    SUBCASE("where it stopped") {
        CHECK(u.go_on() == "ok");
        CHECK(u.b.server.storage_received() == u.content.size() + 5 + 4); // nothing twice
        CHECK(u.b.server.received("POST", "/folders/data/request-upload") == 3);
        u.check_all();
    }
    SUBCASE("again and again") {
        for (const std::uint64_t at : {500'000U, 600'000U, 999'990U}) CHECK(u.stop_at(at) == "cancelled");
        CHECK(u.go_on() == "ok");
        CHECK(u.b.server.storage_received() == u.content.size() + 5 + 4);
        u.check_all();
    }
    SUBCASE("when the note's last line was being written") {
        std::ofstream(u.note, std::ios::app) << "{\"file\":\"lar";
        CHECK(u.go_on() == "ok");
        CHECK(u.b.server.storage_received() == u.content.size() + 5 + 4);
        u.check_all();
    }
    SUBCASE("from the beginning when the file has changed") {
        u.b.box.put("up/large", noise(1'000'000, 5));
        CHECK(u.go_on() == "ok");
        u.check_all();
    }
    SUBCASE("from the beginning when the file has changed, its time has not") {
        const auto time = fs::last_write_time(u.b.box.root() / "up/large");
        u.b.box.put("up/large", noise(1'000'000, 5));
        fs::last_write_time(u.b.box.root() / "up/large", time);
        CHECK(u.go_on() == "ok");
        u.check_all();
    }
    SUBCASE("from the beginning when the token is over") {
        u.b.server.expire_storage_tokens();
        CHECK(u.go_on() == "ok");
        u.check_all();
    }
    SUBCASE("from the beginning when the server has lost it") {
        u.b.server.lie_about_storage(storage_lie::lost, 1);
        CHECK(u.go_on() == "ok");
        u.check_all();
    }
    SUBCASE("not when the note may be read by others") {
        fs::permissions(u.note, fs::perms(0640));
        CHECK(u.go_on() == "io");
        CHECK(fs::exists(u.note));
    }
    SUBCASE("not when the note is of another folder") {
        u.b.session.vfolder().create("other");
        CHECK(result_of([&] { u.b.session.vfolder("other").upload({u.b.box.root() / "up"}, u.options_); }).what ==
              "argument");
    }
}

TEST_CASE_TEMPLATE("storage: an upload that was complete, but was not told so, is not sent again", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    interrupted<T> u;
    backendai::testing::fault lost;
    lost.kind = backendai::testing::fault_kind::drop_before_head;
    lost.path_prefix = "/upload";
    lost.method = "PATCH";
    lost.skip = 10; // the small file, and all pieces of the large one but the last
    auto once = u.options_;
    backendai::retry_policy none;
    none.max_attempts = 1;
    u.b.server.inject(lost);
    u.b.folder();
    const auto limited = u.b.session.with({{}, {}, none});
    CHECK(result_of([&] { limited.vfolder("data").upload({u.b.box.root() / "up"}, once); }).what == "connect");
    CHECK(u.b.stored("large") == u.content);
    CHECK(u.go_on() == "ok");
    CHECK(u.b.server.storage_received() == u.content.size() + 5 + 4);
    u.check_all();
}

TEST_CASE("storage: a resume_file that is something else is not touched") {
    interrupted<backendai::httplib_transport> u;
    for (const char* text : {"my diary\n", "[1,2]\n", "{\"backendai\":\"download\"}\n", "no line at all"}) {
        std::ofstream(u.note) << text;
        fs::permissions(u.note, fs::perms(0600));
        CHECK(u.go_on() == "argument");
        CHECK(sandbox::read(u.note) == text);
        fs::remove(u.note);
    }
    const auto target = u.b.box.put("target", "");
    fs::create_symlink(target, u.note);
    CHECK(u.go_on() == "io");
    fs::remove(u.note);
    // An empty file is as good as none, half of its first line too.
    for (const char* text : {"", "{\"backendai\":\"upl"}) {
        std::ofstream(u.note) << text;
        fs::permissions(u.note, fs::perms(0600));
        CHECK(u.go_on() == "ok");
        CHECK_MESSAGE(!fs::exists(u.note), u.message);
    }
}

TEST_CASE("storage: bytes of the connection before that come late do not end up in the file") {
    auto options = modern();
    options.storage_pace = std::chrono::milliseconds(30); // the server is slower than the wire
    interrupted<backendai::httplib_transport> u(options);
    CHECK(u.stop_at(600'000) == "cancelled");
    CHECK(u.go_on() == "ok");
    u.check_all();
}
