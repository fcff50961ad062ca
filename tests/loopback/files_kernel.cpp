// Files of compute sessions over sockets, with what the gateway makes of them on the other side.
#include "files_bench.hpp"

#include <doctest/doctest.h>

#include <sys/stat.h>
#include <utime.h>

using namespace files_support;
using backendai::existing_files;
using files_bench::bench;
using files_bench::progress;

TEST_CASE_TEMPLATE("a session's files keep their bytes, modes and times", T, BACKENDAI_SOCKET_TRANSPORTS) {
    bench<T> b;
    const auto kernel = b.session.kernel().get_or_create("python");
    std::vector<std::string> names = {"empty",
                                      "one byte",
                                      "\xc3\xbcml\xc3\xa4ut \xed\x95\x9c\xea\xb8\x80.txt",
                                      "it's \"quoted\"; 100%25",
                                      "deep/er/still/file",
                                      std::string(100, 'd') + '/' + std::string(100, 'f'),
                                      "largest"};
    const std::vector<std::size_t> sizes = {0, 1, 511, 512, 513, 65'536, 1024 * 1024 - 1};
    for (std::size_t i = 0; i < names.size(); ++i) b.box.put(names[i], noise(sizes[i], static_cast<unsigned>(i)));
    std::vector<fs::path> paths;
    for (const std::string& name : names) paths.push_back(b.box.root() / fs::path(name));
    backendai::upload_options up = b.from(b.box);
    std::uint64_t done = 0, total = 0;
    std::set<std::string> told;
    up.progress = [&](const std::string& file, std::uint64_t now, std::uint64_t all) {
        told.insert(file);
        done = now;
        total = all;
    };
    kernel.upload(paths, up);
    CHECK(done == total);
    CHECK(total == 0 + 1 + 511 + 512 + 513 + 65'536 + 1024 * 1024 - 1);
    CHECK(told == std::set<std::string>(names.begin(), names.end()));

    // What the code in the session sees is what was sent.
    const auto seen = kernel.run("import os\nprint(sum(os.path.getsize(os.path.join(d, f)) for d, _, fs in os.walk('.')"
                                 " for f in fs))\nos.chmod('one byte', 0o750)\nos.utime('one byte', (1, 1500000000))");
    CHECK(seen.out == std::to_string(total) + "\n");

    // The archive of the largest would be over the server's limit: its file comes down smaller.
    kernel.run("open('largest', 'wb').write(b'x' * 1000000)");
    const std::size_t before = b.server.served("GET", "/kernel/" + kernel.kernel_id() + "/download");
    kernel.download({"empty", "one byte", names[2], names[3], "deep", names[5], "largest"}, b.box.out());
    CHECK(b.server.served("GET", "/kernel/" + kernel.kernel_id() + "/download") == before + 2); // five for a request
    for (std::size_t i = 0; i < 5; ++i) {
        CAPTURE(names[i]);
        CHECK(sandbox::read(b.box.out() / names[i]) == sandbox::read(b.box.root() / names[i]));
    }
    CHECK(sandbox::read(b.box.out() / std::string(100, 'f')) == noise(65'536, 5)); // under its last name
    CHECK(fs::file_size(b.box.out() / "largest") == 1'000'000);
    struct stat data {};
    REQUIRE(::stat((b.box.out() / "one byte").c_str(), &data) == 0);
    CHECK((data.st_mode & 07777U) == 0750);
    CHECK(data.st_mtime == 1'500'000'000);
    kernel.destroy();
}

TEST_CASE_TEMPLATE("a session's files are listed with their types", T, BACKENDAI_SOCKET_TRANSPORTS) {
    bench<T> b;
    const auto kernel = b.session.kernel().get_or_create("python");
    kernel.run("import os\nos.makedirs('place/sub dir')\nopen('place/\\u00fc.txt', 'w').write('12345')\n"
               "os.chmod('place/\\u00fc.txt', 0o640)\nos.utime('place/\\u00fc.txt', (1000000000, 1500000000))");
    const backendai::file_listing listing = kernel.list_files("place");
    REQUIRE(listing.files.size() == 2);
    CHECK(listing.errors.empty());
    CHECK(fs::path(listing.abspath).filename() == "place");
    const auto& folder = listing.files[0];
    CHECK(folder.filename == "sub dir");
    CHECK(folder.is_directory);
    const auto& file = listing.files[1];
    CHECK(file.filename == "\xc3\xbc.txt");
    CHECK_FALSE(file.is_directory);
    CHECK(file.size == 5);
    CHECK(file.mode == "-rw-r-----");
    CHECK(file.permissions == 0640U);
    CHECK(std::chrono::system_clock::to_time_t(file.mtime) == 1'500'000'000);
    CHECK(std::chrono::system_clock::to_time_t(file.atime) == 1'000'000'000);
    const backendai::file_listing nothing = kernel.list_files("no/such/place");
    CHECK(nothing.files.empty());
    CHECK_FALSE(nothing.errors.empty());
    CHECK(nothing.abspath.empty());
    CHECK(kernel.list_files("/etc").files.empty()); // the gateway's sessions are not let out
    kernel.destroy();
}

TEST_CASE_TEMPLATE("what a session's download cannot have", T, BACKENDAI_SOCKET_TRANSPORTS) {
    bench<T> b;
    const auto kernel = b.session.kernel().get_or_create("python");
    kernel.run("open('big', 'wb').write(b'x' * 1100000)\nopen('small', 'w').write('s')\n"
               "import os\nos.symlink('small', 'link')\nos.mkdir('with link')\nos.symlink('..', 'with link/up')\n"
               "os.mkfifo('pipe')");
    const auto before = b.box.listing();
    for (const char* name : {"missing", "big", "../outside", "/etc/passwd"}) {
        CAPTURE(name);
        CHECK(result_of([&] { kernel.download({"small", name}, b.box.out()); }).what == "api 500");
        CHECK(b.box.listing() == before);
    }
    const call_result inside = result_of([&] { kernel.download({"small", "with link"}, b.box.out()); });
    CHECK(inside.what == "protocol");
    CHECK(inside.message.find("'with link/up'") != std::string::npos);
    CHECK(b.box.listing() == before);
    // A link that is asked for by its name is followed there, as docker does, and comes as a file.
    kernel.download({"link"}, b.box.out());
    CHECK(b.box.listing() == std::set<std::string>{"out/", "out/link = s"});
    CHECK(result_of([&] { b.session.kernel("no-such-session").download({"small"}, b.box.out()); }).what == "api 404");
    CHECK(result_of([&] { b.session.kernel("no-such-session").upload({b.box.out() / "link"}, b.from(b.box)); }).what ==
          "api 404");
    CHECK(result_of([&] { b.session.kernel("no-such-session").list_files(); }).what == "api 404");
    kernel.destroy();
}

TEST_CASE("a session's limits are told before anything is sent, nothing_sent") {
    bench<backendai::httplib_transport> b;
    const auto kernel = b.session.kernel().get_or_create("bash");
    const std::size_t before = b.server.received();
    b.box.put("in/exact", std::string(1024 * 1024, 'x'));
    const call_result large = result_of([&] { kernel.upload({b.box.root() / "in/exact"}, b.from(b.box)); });
    CHECK(large.what == "argument");
    CHECK(large.message.find("in/exact") != std::string::npos);
    CHECK(large.message.find("1 MiB") != std::string::npos);
    for (int i = 0; i < 21; ++i) b.box.put("many/" + std::to_string(i), "x");
    const call_result many = result_of([&] { kernel.upload({b.box.root() / "many"}, b.from(b.box)); });
    CHECK(many.what == "argument");
    CHECK(many.message.find("21 files") != std::string::npos);
    CHECK(large.sent == progress::nothing_sent);
    CHECK(many.sent == progress::nothing_sent);
    CHECK(b.server.received() == before);
    fs::remove(b.box.root() / "many/20");
    kernel.upload({b.box.root() / "many"}, b.from(b.box)); // twenty are as many as may be
    CHECK(kernel.list_files("many").files.size() == 20);
    kernel.destroy();
}

TEST_CASE("the asynchronous mode transfers files as well") {
    backendai::testing::gateway server;
    backendai::async_session session(files_bench::config_of(server.endpoint()));
    const sandbox box;
    box.put("in/a", noise(100'000));
    backendai::upload_options up;
    up.basedir = box.root() / "in";
    auto kernel = session.kernel().get_or_create("bash").get();
    kernel.upload({box.root() / "in/a"}, up).get();
    kernel.download({"a"}, box.out()).get();
    CHECK(sandbox::read(box.out() / "a") == noise(100'000));
    CHECK(kernel.list_files().get().files.size() == 1);
    session.vfolder().create("data").get();
    session.vfolder("data").upload({box.root() / "in/a"}, up).get();
    session.vfolder("data").download({"a"}, box.root() / "second").get();
    CHECK(sandbox::read(box.root() / "second/a") == noise(100'000));
    CHECK(result_of([&] { kernel.upload({box.root() / "in/missing"}, up).get(); }).what == "io");
    kernel.destroy().get();
}
