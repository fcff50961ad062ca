// Trouble on this side of a transfer: files that change or vanish, full disks, missing rights, callers who change their
// minds. Every failure is told with the path and leaves nothing half-done; the session is good for more afterwards.
#include "files_bench.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <csignal>
#include <sys/resource.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#ifdef __linux__
#include <sys/fsuid.h>
#endif

using namespace files_support;
using files_bench::bench;
using files_bench::progress;

namespace {

// This thread's file accesses without root's rights, for as long as it lives. Without root nothing is to be done.
class without_rights {
public:
    without_rights() {
#ifdef __linux__
        if (::geteuid() == 0) ::setfsuid(65534);
#endif
    }
    without_rights(const without_rights&) = delete;
    without_rights& operator=(const without_rights&) = delete;
    ~without_rights() {
#ifdef __linux__
        if (::geteuid() == 0) ::setfsuid(0);
#endif
    }
    static bool possible() {
#ifdef __linux__
        return true;
#else
        return ::geteuid() != 0;
#endif
    }
};

// What the gateway does of itself when it notices that a connection has ended: it removes what it had received.
template <class Condition>
bool comes_true(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
}

} // namespace

TEST_CASE_TEMPLATE("a file that changes while it is sent", T, BACKENDAI_SOCKET_TRANSPORTS) {
    bench<T> b;
    b.session.vfolder().create("data");
    const auto folder = b.session.vfolder("data");
    const fs::path path = b.box.put("in/first", noise(6'000'000));
    b.box.put("in/second", noise(1000));
    backendai::upload_options options = b.from(b.box);
    bool done = false;
    std::function<void()> change;
    options.progress = [&](const std::string& file, std::uint64_t, std::uint64_t) {
        CHECK(file != "in/second");
        if (!std::exchange(done, true)) change();
    };
    std::string named = "in/first";
    SUBCASE("it becomes shorter") {
        change = [&] { fs::resize_file(path, 2'000'000); };
    }
    SUBCASE("it becomes empty") {
        change = [&] { fs::resize_file(path, 0); };
    }
    SUBCASE("it becomes longer") {
        change = [&] { std::ofstream(path, std::ios::app) << "more"; };
    }
    SUBCASE("the next one vanishes") {
        named = "in/second";
        change = [&] { fs::remove(b.box.root() / named); };
    }
    SUBCASE("the next one becomes longer") {
        named = "in/second";
        change = [&] { b.box.put(named, noise(1001)); };
    }
    SUBCASE("the next one becomes a directory") {
        named = "in/second";
        change = [&] {
            fs::remove(b.box.root() / named);
            fs::create_directory(b.box.root() / named);
        };
    }
    SUBCASE("the next one becomes a FIFO") {
        named = "in/second";
        change = [&] {
            fs::remove(b.box.root() / named);
            REQUIRE(::mkfifo((b.box.root() / named).c_str(), 0600) == 0);
        };
    }
    const call_result result = result_of([&] { folder.upload({path, b.box.root() / "in/second"}, options); });
    CHECK(result.what == "io");
    CHECK(result.sent == progress::maybe_sent); // so it is: the transfer had begun
    CHECK_MESSAGE(result.message.find(named) != std::string::npos, result.message);
    CHECK(comes_true([&] { return folder.info().num_files == 0; })); // no short file there either
}

TEST_CASE("what is wrong with local files before a transfer is told as io, and nothing was sent") {
    bench<backendai::httplib_transport> b;
    const auto folder = b.folder_with("f", "content");
    const auto kernel = b.session.kernel().get_or_create("bash");
    const std::size_t before = b.server.received();
    const auto unsent = [&](auto call, const std::string& named) {
        const call_result result = result_of(call);
        CHECK(result.what == "io");
        CHECK(result.sent == progress::nothing_sent);
        CHECK_MESSAGE(result.message.find(named) != std::string::npos, result.message);
    };
    const fs::path good = b.box.put("good", "content"), locked = b.box.put("locked", "content");
    const fs::path missing = b.box.root() / "missing";
    unsent([&] { folder.upload({good, missing}, b.from(b.box)); }, "missing");
    unsent([&] { kernel.upload({good, missing}, b.from(b.box)); }, "missing");
    backendai::upload_options nowhere;
    nowhere.basedir = missing;
    unsent([&] { folder.upload({good}, nowhere); }, "missing");
    unsent([&] { folder.download({"f"}, good); }, "good");
    unsent([&] { kernel.download({"f"}, good); }, "good");
    unsent([&] { backendai::file_source source(missing); }, "missing");
    if (without_rights::possible()) {
        fs::permissions(locked, fs::perms::none);
        fs::create_directory(b.box.root() / "closed");
        b.box.put("closed/inside", "content");
        fs::permissions(b.box.root() / "closed", fs::perms::none);
        {
            const without_rights guard;
            unsent([&] { folder.upload({good, locked}, b.from(b.box)); }, "locked");
            unsent([&] { kernel.upload({good, locked}, b.from(b.box)); }, "locked");
            unsent([&] { folder.upload({b.box.root() / "closed"}, b.from(b.box)); }, "closed");
        }
        fs::permissions(b.box.root() / "closed", fs::perms::owner_all);
    }
    CHECK(b.server.received() == before);
    kernel.destroy();
}

TEST_CASE_TEMPLATE("a destination that cannot be written", T, BACKENDAI_SOCKET_TRANSPORTS) {
    if (!without_rights::possible()) return;
    bench<T> b;
    const auto folder = b.folder_with("d/f", "content");
    const auto kernel = b.session.kernel().get_or_create("bash");
    kernel.run("echo content > f");
    b.box.put("out/d/f", "the old one");
    for (const char* closed : {"out", "out/d"}) fs::permissions(b.box.root() / closed, fs::perms(0555));
    const auto before = b.box.listing();
    {
        const without_rights guard;
        const call_result one = result_of([&] { folder.download({"d/f"}, b.box.out()); });
        CHECK(one.what == "io");
        CHECK_MESSAGE(one.message.find("out/d/f") != std::string::npos, one.message);
        const call_result two = result_of([&] { kernel.download({"f"}, b.box.out()); });
        CHECK(two.what == "io");
        CHECK_MESSAGE(two.message.find("out/f") != std::string::npos, two.message);
        CHECK(result_of([&] { folder.download({"d/f"}, b.box.out() / "new"); }).what == "io");
    }
    CHECK(b.box.listing() == before);
    for (const char* closed : {"out", "out/d"}) fs::permissions(b.box.root() / closed, fs::perms(0755));
    folder.download({"d/f"}, b.box.out());
    CHECK(sandbox::read(b.box.out() / "d/f") == "content");
    kernel.destroy();
}

TEST_CASE_TEMPLATE("a disk that becomes full in a download", T, BACKENDAI_SOCKET_TRANSPORTS) {
    bench<T> b;
    const auto folder = b.folder_with("big", noise(3'000'000));
    b.box.put("out/big", "the old one");
    const auto before = b.box.listing();
    // The limit on file sizes stands in for a full disk: it, too, shows in the middle of a write.
    struct rlimit usual {};
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &usual) == 0);
    const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
    struct rlimit narrow = usual;
    narrow.rlim_cur = 1'000'000;
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &narrow) == 0);
    const call_result result = result_of([&] { folder.download({"big"}, b.box.out()); });
    ::setrlimit(RLIMIT_FSIZE, &usual);
    std::signal(SIGXFSZ, old_handler);
    CHECK(result.what == "io");
    CHECK_MESSAGE(result.message.find("out/big") != std::string::npos, result.message);
    CHECK(b.box.listing() == before);
    CHECK(b.server.served("GET", "/folders/data/download") == 1); // a full disk is not tried again
    folder.download({"big"}, b.box.out());
    CHECK(sandbox::read(b.box.out() / "big") == noise(3'000'000));
}

TEST_CASE_TEMPLATE("a callback ends a transfer", T, BACKENDAI_SOCKET_TRANSPORTS) {
    bench<T> b;
    const auto folder = b.folder_with("there", noise(4'000'000));
    b.box.put("here", noise(4'000'000));
    const auto before = b.box.listing();
    backendai::cancel_source stop;
    backendai::call_options limits;
    limits.cancel = stop.token();
    const auto view = b.session.with(limits);
    backendai::progress_callback callback;
    std::string expected = "cancelled";
    SUBCASE("by false") {
        callback = [](const std::string&, std::uint64_t done, std::uint64_t) { return done < 500'000; };
    }
    SUBCASE("by its cancel token") {
        callback = [&](const std::string&, std::uint64_t done, std::uint64_t) {
            if (done > 500'000) stop.cancel();
        };
    }
    SUBCASE("by closing the session") {
        expected = "closed";
        callback = [&](const std::string&, std::uint64_t done, std::uint64_t) {
            if (done > 500'000) b.session.close();
        };
    }
    SUBCASE("by an error of its own") {
        expected = "thrown";
        callback = [&](const std::string&, std::uint64_t done, std::uint64_t) {
            if (done > 500'000) throw std::domain_error("enough");
        };
    }
    const auto outcome = [](auto call) -> std::string {
        try {
            return result_of(call).what;
        } catch (const std::domain_error&) {
            return "thrown";
        }
    };
    backendai::download_options down;
    down.progress = callback;
    CHECK(outcome([&] { view.vfolder("data").download({"there"}, b.box.out(), down); }) == expected);
    CHECK(b.box.listing() == before);
    backendai::upload_options up = b.from(b.box);
    up.progress = callback;
    CHECK(outcome([&] { view.vfolder("data").upload({b.box.root() / "here"}, up); }) == expected);
    if (expected == "closed") return;
    CHECK(comes_true([&] { return folder.info().num_files == 1; }));
    folder.download({"there"}, b.box.out()); // the session is as good as new
    CHECK(sandbox::read(b.box.out() / "there") == noise(4'000'000));
}

TEST_CASE_TEMPLATE("progress grows to the total, file by file", T, BACKENDAI_SOCKET_TRANSPORTS) {
    bench<T> b;
    b.session.vfolder().create("data");
    std::vector<std::string> names;
    std::uint64_t sum = 0;
    for (unsigned i = 0; i < 23; ++i) {
        names.push_back("in/" + std::to_string(100 + i));
        b.box.put(names.back(), noise(i * 7000, i));
        sum += i * 7000;
    }
    std::uint64_t last = 0;
    std::vector<std::string> order;
    const auto watch = [&](const std::string& file, std::uint64_t done, std::uint64_t all) {
        CHECK(done >= last);
        CHECK(all == sum);
        last = done;
        if (order.empty() || order.back() != file) order.push_back(file);
    };
    backendai::upload_options up = b.from(b.box);
    up.progress = watch;
    b.session.vfolder("data").upload({b.box.root() / "in"}, up);
    CHECK(last == sum);
    CHECK(order == names); // every file, the empty one too, once and in order
    last = 0;
    order.clear();
    backendai::download_options down;
    down.progress = watch;
    b.session.vfolder("data").download(names, b.box.out(), down);
    CHECK(last == sum);
    CHECK(order == names);
}

TEST_CASE_TEMPLATE("an upload says what it leaves out, before it sends anything", T, BACKENDAI_SOCKET_TRANSPORTS) {
    bench<T> b;
    b.session.vfolder().create("data");
    const auto folder = b.session.vfolder("data");
    b.box.put("base/file", "content");
    b.box.put("elsewhere/secret", "secret");
    fs::create_symlink("file", b.box.root() / "base/link");
    backendai::upload_options options;
    options.basedir = b.box.root() / "base";
    const std::size_t before = b.server.received();
    const auto refused = [&](const fs::path& path) {
        const call_result result = result_of([&] { folder.upload({path}, options); });
        CHECK(result.what == "argument");
        CHECK(result.sent == progress::nothing_sent);
        CHECK(b.server.received() == before);
    };
    refused(b.box.root() / "elsewhere/secret");
    refused(b.box.root() / "base/../elsewhere/secret");
    const fs::path special = b.box.root() / "base/special";
    const auto in_turn = [&](auto make) {
        make();
        refused(special);
        refused(b.box.root() / "base");
        fs::remove(special);
    };
    in_turn([&] { fs::create_symlink("../elsewhere/secret", special); });
    in_turn([&] { fs::create_symlink("special", special); });
    in_turn([&] { fs::create_symlink("nowhere", special); });
    in_turn([&] { fs::create_directory_symlink(".", special); });
    in_turn([&] { REQUIRE(::mkfifo(special.c_str(), 0600) == 0); });
    options.special = backendai::special_files::skip;
    REQUIRE(::mkfifo(special.c_str(), 0600) == 0);
    folder.upload({b.box.root() / "base"}, options);
    folder.download({"file", "link"}, b.box.out());
    CHECK(sandbox::read(b.box.out() / "link") == "content");
    CHECK(folder.info().num_files == 2);
}

TEST_CASE("an upload of links that multiply directories can be ended, before it sends anything") {
    bench<backendai::httplib_transport> b;
    b.session.vfolder().create("data");
    for (int level = 0; level < 30; ++level) { // 2^30 ways to the file; systems follow 32 links or more
        const fs::path place = b.box.root() / "base" / std::to_string(level);
        fs::create_directories(place);
        for (const char* name : {"one", "two"})
            fs::create_directory_symlink("../" + std::to_string(level + 1), place / name);
    }
    b.box.put("base/30/file", "content");
    backendai::upload_options options;
    options.basedir = b.box.root() / "base";
    const std::vector<fs::path> files = {options.basedir / "0"};
    const std::size_t before = b.server.received();
    backendai::cancel_source stop;
    backendai::call_options limits;
    limits.cancel = stop.token();
    SUBCASE("by a time limit") {
        limits.timeout = std::chrono::milliseconds(100);
        CHECK(result_of([&] { b.session.with(limits).vfolder("data").upload(files, options); }).what == "timeout");
        CHECK(result_of([&] { b.session.with(limits).kernel("abcd").upload(files, options); }).what == "timeout");
    }
    SUBCASE("by a cancel") {
        std::thread other([&] {
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
            stop.cancel();
        });
        CHECK(result_of([&] { b.session.with(limits).vfolder("data").upload(files, options); }).what == "cancelled");
        other.join();
    }
    SUBCASE("by closing the session") {
        std::thread other([&] {
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
            b.session.close();
        });
        CHECK(result_of([&] { b.session.vfolder("data").upload(files, options); }).what == "closed");
        other.join();
    }
    CHECK(b.server.received() == before);
}
