// Downloads through the real calls on a scripted transport: names, modes, times, policies, progress, limits.
#include "files_support.hpp"
#include "scripted_transport.hpp"

#include <doctest/doctest.h>
#ifndef _WIN32
#include <csignal>
#include <sys/resource.h>
#include <sys/stat.h>
#endif

using namespace files_support;
using backendai::download_options;
using backendai::error_kind;
using backendai::existing_files;
using scripted::answer;
using scripted::attempt;
using scripted::bench;

namespace {

const backendai::header_list mixed = {{"Content-Type", "multipart/mixed; boundary=frontier"}};

backendai::header_list with_total(std::uint64_t total) {
    return {{"Content-Type", "multipart/mixed; boundary=\"frontier\""},
            {"X-TOTAL-PAYLOADS-LENGTH", std::to_string(total)}};
}

// The answer in pieces of one size, so that boundaries fall everywhere.
scripted::reply in_pieces(std::string body, const backendai::header_list& headers, std::size_t size) {
    scripted::reply made = answer(200, {}, headers);
    for (std::size_t i = 0; i < body.size(); i += size) made.pieces.push_back(body.substr(i, size));
    return made;
}

} // namespace

TEST_CASE("a session's files come out of their archives with mode and time, five for a request") {
    for (const std::size_t size : {std::size_t{1}, std::size_t{7}, std::size_t{1} << 20}) {
        const sandbox box;
        bench b;
        std::vector<part> first, second;
        for (const char* name : {"a", "b", "c", "d", "e"}) first.push_back({archive().file(name, name, 0640).end()});
        second.push_back({archive()
                              .special("tree/", tar_type::directory, "", 0750)
                              .file("tree/run.sh", "#!/bin/sh\n", 06755)
                              .special("tree/empty/", tar_type::directory, "", 0700)
                              .end()});
        second.push_back(
            {gzip(archive().file("\xc3\xbc 'quoted' \"name\".txt", "\r\n--frontier\r\n--no").end()), "", "gzip"});
        b->add(in_pieces(multipart(first), mixed, size));
        b->add(in_pieces(multipart(second), mixed, size));
        b.sdk->kernel("abcd").download({"a", "x/b", "c", "d", "/home/work/e", "tree", "u"}, box.out());
        REQUIRE(b->count() == 2);
        const auto requests = b->requests();
        CHECK(requests[0].method == "GET");
        CHECK(requests[0].target == "/base/kernel/abcd/download");
        CHECK(requests[0].body_json() == scripted::json({{"files", {"a", "x/b", "c", "d", "/home/work/e"}}}));
        CHECK(requests[1].body_json() == scripted::json({{"files", {"tree", "u"}}}));
        CHECK(box.listing() == std::set<std::string>{"out/", "out/a = a", "out/b = b", "out/c = c", "out/d = d",
                                                     "out/e = e", "out/tree/", "out/tree/run.sh = #!/bin/sh\n",
                                                     "out/tree/empty/",
                                                     "out/\xc3\xbc 'quoted' \"name\".txt = \r\n--frontier\r\n--no"});
#ifndef _WIN32
        struct stat data {};
        REQUIRE(::stat((box.out() / "a").c_str(), &data) == 0);
        CHECK((data.st_mode & 07777U) == 0640);
        CHECK(data.st_mtime == 1'500'000'000);
        REQUIRE(::stat((box.out() / "tree/run.sh").c_str(), &data) == 0);
        CHECK((data.st_mode & 07777U) == 0755); // no set-user-id
        REQUIRE(::stat((box.out() / "tree").c_str(), &data) == 0);
        CHECK((data.st_mode & 07777U) == 0750);
        CHECK(data.st_mtime == 1'400'000'000);
#endif
    }
}

TEST_CASE("a folder's files keep their directories, whatever the encoding") {
    for (const std::size_t size : {std::size_t{1}, std::size_t{11}, std::size_t{1} << 20}) {
        const sandbox box;
        bench b;
        const std::string data = noise(100'000);
        const std::string name = "%25 %C3%BC.bin"; // "% ü.bin", encoded for the wire (a space stays)
        b->add(in_pieces(multipart({{gzip(data), "one.bin", "gzip"},
                                    {compress(data, backendai::codec::deflate_format::raw), name, "deflate"},
                                    {data, "one.bin"},
                                    {gzip(""), "", "gzip"}}),
                         with_total(300'000), size));
        b.sdk->vfolder("my.data-1")
            .download({"one.bin", "./deep//er/% \xc3\xbc.bin", "deep/one.bin", "zero"}, box.out());
        const auto request = b->requests().at(0);
        CHECK(request.target == "/base/folders/my.data-1/download");
        CHECK(request.body_json() ==
              scripted::json({{"files", {"one.bin", "deep/er/% \xc3\xbc.bin", "deep/one.bin", "zero"}}}));
        CHECK(sandbox::read(box.out() / "one.bin") == data);
        CHECK(sandbox::read(box.out() / "deep/er" / fs::path("% \xc3\xbc.bin")) == data);
        CHECK(sandbox::read(box.out() / "deep/one.bin") == data);
        CHECK(fs::file_size(box.out() / "zero") == 0);
        CHECK(box.listing().size() == 7);
    }
}

TEST_CASE("names that lead out of a folder are argument errors") {
    const sandbox box;
    for (const char* name : {"", "/abs", "../x", "a/../../x", "..", ".", "a\\b", "nul", "a:b"}) {
        CAPTURE(name);
        bench b;
        CHECK(attempt([&] { b.sdk->vfolder("mydata").download({name}, box.out()); }).kind == error_kind::argument);
        CHECK(b->count() == 0);
    }
    CHECK(box.listing().empty());
    bench b;
    b->add(answer(200, multipart({{"1", "a%3Ab"}}), with_total(1)));
    download_options options;
    options.names = backendai::codec::path_policy::posix;
    b.sdk->vfolder("mydata").download({"a:b"}, box.out(), options);
    CHECK(box.listing() == std::set<std::string>{"out/", "out/a:b = 1"});
}

TEST_CASE("existing files are replaced, kept, or an error") {
    const sandbox box;
    box.put("out/old", "old");
    box.put("out/a/old", "old");
    download_options options;
    SUBCASE("overwrite") {
        bench b;
        b->add(answer(200, multipart({{"new", "old"}}), mixed));
        b.sdk->vfolder("f").download({"old"}, box.out());
        CHECK(sandbox::read(box.out() / "old") == "new");
    }
    SUBCASE("skip: not even asked for") {
        options.existing = existing_files::skip;
        bench b;
        b->add(answer(200, multipart({{"new", "fresh"}}), mixed));
        b.sdk->vfolder("f").download({"old", "a/old", "fresh"}, box.out(), options);
        CHECK(b->requests().at(0).body_json()["files"] == scripted::json::array({"fresh"}));
        CHECK(sandbox::read(box.out() / "old") == "old");
        CHECK(sandbox::read(box.out() / "fresh") == "new");
        b.sdk->vfolder("f").download({"old"}, box.out(), options);
        CHECK(b->count() == 1);
    }
    SUBCASE("skip, in an archive") {
        options.existing = existing_files::skip;
        bench b;
        b->add(answer(200, multipart({{archive().file("old", "new").file("fresh", "new").end()}}), mixed));
        b.sdk->kernel("abcd").download({"."}, box.out(), options);
        CHECK(sandbox::read(box.out() / "old") == "old");
        CHECK(sandbox::read(box.out() / "fresh") == "new");
    }
    SUBCASE("fail: before anything is sent") {
        options.existing = existing_files::fail;
        bench b;
        const auto result = attempt([&] { b.sdk->vfolder("f").download({"fresh", "a/old"}, box.out(), options); });
        CHECK(result.kind == error_kind::io);
        CHECK(scripted::contains(result.text, "old"));
        CHECK(b->count() == 0);
    }
    SUBCASE("fail, in an archive: nothing of it stays") {
        options.existing = existing_files::fail;
        const auto before = box.listing();
        bench b;
        b->add(answer(200, multipart({{archive().file("n/fresh", "new").file("old", "new").end()}}), mixed));
        CHECK(attempt([&] { b.sdk->kernel("abcd").download({"."}, box.out(), options); }).kind == error_kind::io);
        CHECK(box.listing() == before);
    }
    SUBCASE("fail, when the file came into being meanwhile") {
        options.existing = existing_files::fail;
        bench b;
        scripted::reply late = answer(200, multipart({{"new", "fresh"}}), mixed);
        late.action = [&](const scripted::seen&) { box.put("out/fresh", "somebody else's"); };
        b->add(late);
        CHECK(attempt([&] { b.sdk->vfolder("f").download({"fresh"}, box.out(), options); }).kind == error_kind::io);
        CHECK(sandbox::read(box.out() / "fresh") == "somebody else's");
    }
    SUBCASE("a directory in the place of a file") {
        bench b;
        CHECK(attempt([&] { b.sdk->vfolder("f").download({"a"}, box.out()); }).kind == error_kind::io);
        CHECK(attempt([&] { b.sdk->vfolder("f").download({"old/x"}, box.out()); }).kind == error_kind::io);
        CHECK(b->count() == 0);
        b->add(answer(200, multipart({{archive().file("a", "x").end()}}), mixed));
        CHECK(attempt([&] { b.sdk->kernel("abcd").download({"a"}, box.out()); }).kind == error_kind::io);
    }
    SUBCASE("a destination that is a file") {
        bench b;
        CHECK(attempt([&] { b.sdk->vfolder("f").download({"x"}, box.out() / "old"); }).kind == error_kind::io);
        CHECK(attempt([&] { b.sdk->kernel("abcd").download({"x"}, box.out() / "old"); }).kind == error_kind::io);
        CHECK(b->count() == 0);
    }
}

TEST_CASE("progress is told, and may end the transfer") {
    const sandbox box;
    bench b;
    const std::string body = multipart({{"12345", "a"}, {"678", "b"}});
    b->add(in_pieces(body, with_total(8), 3));
    std::uint64_t last = 0, total = 0;
    std::set<std::string> seen;
    download_options options;
    options.progress = [&](const std::string& file, std::uint64_t done, std::uint64_t all) {
        CHECK(done >= last);
        last = done;
        total = all;
        seen.insert(file);
    };
    b.sdk->vfolder("f").download({"a", "x/b"}, box.out(), options);
    CHECK(last == 8);
    CHECK(total == 8);
    CHECK(seen == std::set<std::string>{"a", "x/b"});

    SUBCASE("false cancels") {
        b->add(answer(200, body, with_total(8)));
        options.progress = [](const std::string&, std::uint64_t done, std::uint64_t) { return done < 5; };
        CHECK(attempt([&] {
                  b.sdk->vfolder("f").download({"a", "b"}, box.root() / "two", options);
              }).kind == error_kind::cancelled);
        CHECK_FALSE(fs::exists(box.root() / "two"));
    }
    SUBCASE("an exception comes out unchanged") {
        b->add(answer(200, body, with_total(8)));
        options.progress = [](const std::string&, std::uint64_t done, std::uint64_t) {
            if (done > 5) throw std::domain_error("enough");
        };
        CHECK_THROWS_AS(b.sdk->vfolder("f").download({"a", "b"}, box.root() / "two", options), std::domain_error);
        // The first file was whole.
        CHECK(fs::exists(box.root() / "two/a"));
        CHECK(box.listing().count("two/a = 12345") == 1);
        CHECK(std::distance(fs::directory_iterator(box.root() / "two"), fs::directory_iterator()) == 1);
    }
}

TEST_CASE("a refusal of the server is an api_error and leaves nothing") {
    const sandbox box;
    bench b;
    b->add(
        answer(404, R"({"type":"https://api.backend.ai/probs/vfolder-not-found","title":"No such virtual folder."})"));
    const auto result = attempt([&] { b.sdk->vfolder("f").download({"a"}, box.out()); });
    CHECK(result.status == 404);
    CHECK(box.listing().empty());
}

TEST_CASE("a session's download refuses what would collide") {
    bench b;
    const auto result = attempt([&] { b.sdk->kernel("abcd").download({"a/x.txt", "b/x.txt"}); });
    CHECK(result.kind == error_kind::argument);
    CHECK(scripted::contains(result.text, "x.txt"));
    CHECK(attempt([&] { b.sdk->kernel("abcd").download({""}); }).kind == error_kind::argument);
    CHECK(b->count() == 0);
    b.sdk->kernel("abcd").download({});
    CHECK(b->count() == 0);
}

TEST_CASE("a connection that is lost before the body is tried again, one that is lost in it is not") {
    const sandbox box;
    bench b;
    const std::string body = multipart({{"12345", "a"}});
    b->add(scripted::failure(error_kind::connect));
    b->add(answer(503, "{}"));
    b->add(answer(200, body, with_total(5)));
    b.sdk->vfolder("f").download({"a"}, box.out());
    CHECK(b->count() == 3);
    CHECK(sandbox::read(box.out() / "a") == "12345");

    for (std::size_t cut = 1; cut < body.size(); cut += 5) {
        const sandbox other;
        scripted::reply lost = answer(200, body.substr(0, cut), with_total(5));
        lost.after_body =
            backendai::client_error(error_kind::connect, "lost", backendai::client_error::progress::maybe_sent);
        bench c;
        c->add(lost);
        CHECK(attempt([&] { c.sdk->vfolder("f").download({"a"}, other.out()); }).kind == error_kind::connect);
        CHECK(c->count() == 1);
        CHECK(other.listing().empty());
    }
}

#ifndef _WIN32
TEST_CASE("a full disk is an io error with the path, and leaves nothing") {
    const sandbox box;
    bench b;
    b->add(answer(200, multipart({{noise(300'000), "a"}}), mixed));
    // The limit on file sizes stands in for a full disk: tests often run as root, who may write anywhere.
    struct rlimit before {};
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
    const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
    struct rlimit narrow = before;
    narrow.rlim_cur = 100'000;
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &narrow) == 0);
    const auto result = attempt([&] { b.sdk->vfolder("f").download({"a"}, box.out()); });
    ::setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, old_handler);
    CHECK(result.kind == error_kind::io);
    CHECK(scripted::contains(result.text, "out/a"));
    CHECK(box.listing().empty());
}

TEST_CASE("a destination that cannot be written is an io error") {
    bench b;
    b->add(answer(200, multipart({{"1", "a"}}), mixed));
    // Nobody, not even root, makes files there.
    const auto result = attempt([&] { b.sdk->vfolder("f").download({"a"}, "/proc/self"); });
    if (fs::exists("/proc/self")) {
        CHECK(result.kind == error_kind::io);
        CHECK(scripted::contains(result.text, "/proc/self"));
    }
}
#endif
