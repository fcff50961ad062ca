// What a hostile or broken server may answer to a download: each is an error that names the entry, and the disk is as
// it was before, inside the destination and outside.
#include "files_support.hpp"
#include "scripted_transport.hpp"

#include <backendai/testing/gateway_tar.hpp>

#include <doctest/doctest.h>

#include <functional>

using namespace files_support;
using backendai::error_kind;
using scripted::answer;
using scripted::attempt;
using scripted::bench;

namespace {

std::string forged_header(const std::string& name, char type, const std::string& size = "00000000007") {
    std::string block = archive().file("x").end().substr(0, 512);
    block.replace(0, 100, 100, '\0').replace(0, name.size(), name);
    block[156] = type;
    block.replace(124, 11, size);
    unsigned sum = 0;
    for (std::size_t i = 0; i < 512; ++i) sum += i >= 148 && i < 156 ? 32U : static_cast<unsigned char>(block[i]);
    char digits[8];
    std::snprintf(digits, sizeof digits, "%06o", sum);
    block.replace(148, 8, std::string(digits, 6) + std::string("\0 ", 2));
    return block;
}
std::string forged(const std::string& name, char type) {
    return forged_header(name, type) + "hostile" + std::string(505, '\0') + std::string(1024, '\0');
}
std::string octal(std::size_t number) {
    char digits[16];
    std::snprintf(digits, sizeof digits, "%011zo", number);
    return digits;
}
// An extended header ('L', 'K', 'x' or 'g') of that content.
std::string extension(char type, const std::string& content) {
    return forged_header("extended", type, octal(content.size())) + content +
           std::string((512 - content.size() % 512) % 512, '\0');
}
std::string pax(const std::string& key, const std::string& value, char type = 'x') {
    const std::string rest = ' ' + key + '=' + value + '\n';
    std::size_t length = rest.size() + 1;
    while (std::to_string(length).size() + rest.size() != length) ++length;
    return extension(type, std::to_string(length) + rest);
}

struct hostile_archive {
    std::string title, bytes, named; // what the message must show
};

std::vector<hostile_archive> hostile_archives() {
    std::vector<hostile_archive> list;
    for (const char* name : {"../escaped",
                             "a/../../escaped",
                             "..",
                             "../../../../../../tmp/escaped",
                             "/tmp/escaped",
                             "//escaped",
                             "a/..",
                             "a\\..\\..\\escaped",
                             "C:escaped",
                             "c:/escaped",
                             "\\\\server\\share",
                             "NUL",
                             "com1.txt",
                             "a/aux",
                             "name.",
                             "name ",
                             "file:stream",
                             "new\nline",
                             "\x1b[2Jclear",
                             "del\x7f",
                             "bad\xff\xfeutf8",
                             "over\xc0\xaflong"}) {
        list.push_back({std::string("name ") + backendai::codec::printable(name), archive().file(name).end(),
                        backendai::codec::printable(name)});
    }
    list.push_back({"long component", archive().file(std::string(300, 'n')).end(), "nnnn"});
    list.push_back({"long path", archive().file(std::string(2500, 'p') + '/' + std::string(2500, 'p')).end(), "pppp"});
    std::string deep = "deep";
    while (deep.size() < 1200) deep += "/d";
    list.push_back({"hundreds of directories", archive().file(deep).end(), "'deep/d/d"});
    list.push_back({"a name that differs by case only", archive().file("Same").file("sAME").end(), "'sAME'"});
    list.push_back({"directories that differ by case only",
                    archive().file("\xc3\x84rger/x").file("\xc3\xa4rger/y").end(), "'\xc3\xa4rger/y'"});
    list.push_back({"a name of an earlier file, by case", archive().file("HONEST").end(), "'HONEST'"});
    list.push_back({"directory outside", archive().special("../escaped/", tar_type::directory).end(), "'../escaped/'"});
    for (const char* target : {"..", "/etc/passwd", "good", "../../outside"}) {
        list.push_back({std::string("symbolic link to ") + target,
                        archive().special("link", tar_type::symbolic_link, target).file("link/escaped").end(),
                        "'link'"});
        list.push_back({std::string("hard link to ") + target,
                        archive().special("link", tar_type::hard_link, target).end(), "'link'"});
    }
    list.push_back({"link after a good file",
                    archive().file("good").special("evil", tar_type::symbolic_link, "good").end(), "'evil'"});
    list.push_back({"character device", archive().special("dev", tar_type::character_device).end(), "'dev'"});
    list.push_back({"block device", archive().special("dev", tar_type::block_device).end(), "'dev'"});
    list.push_back({"fifo", archive().special("pipe", tar_type::fifo).end(), "'pipe'"});
    list.push_back({"sparse", forged("sparse", 'S'), "'sparse'"});
    list.push_back({"unknown type", forged("volume", 'V'), "'volume'"});
    list.push_back({"content in a directory", forged("dir", '5'), "'dir'"});
    list.push_back({"bad checksum", std::string(archive().file("x").end()).replace(0, 1, "y"), "checksum"});
    list.push_back({"no archive", std::string(2048, 'z'), "tar"});
    list.push_back({"negative size",
                    forged_header("neg", '0', std::string("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11)),
                    "size"});
    const std::string whole = archive().file("whole", std::string(2000, 'w')).end();
    for (const std::size_t cut : {std::size_t{1}, std::size_t{511}, std::size_t{512}, std::size_t{1000},
                                  std::size_t{2560}, whole.size() - 1024, whole.size() - 512}) {
        list.push_back({"cut at " + std::to_string(cut), whole.substr(0, cut), "truncated"});
    }
    list.push_back({"data after the end", whole + "more", "end of the archive"});
    const std::string plain = archive().file("plain").end();
    const std::string link = archive().special("link", tar_type::symbolic_link, "x").end();
    const std::string zeros(1024, '\0');
    list.push_back({"GNU long name that leads out", extension('L', std::string("../../escaped\0", 14)) + plain,
                    "'../../escaped'"});
    list.push_back({"pax path that leads out", pax("path", "../../escaped") + plain, "'../../escaped'"});
    list.push_back({"global pax path that leads out", pax("path", "../escaped", 'g') + plain, "'../escaped'"});
    list.push_back({"pax path that is absolute", pax("path", "/tmp/escaped") + plain, "'/tmp/escaped'"});
    list.push_back({"pax path with NUL", pax("path", std::string("good\0/../escaped", 16)) + plain, "NUL"});
    list.push_back({"long name with NUL", extension('L', std::string("a\0../escaped", 12)) + plain, "NUL"});
    list.push_back(
        {"pax path behind a long name", extension('L', "good") + pax("path", "../escaped") + plain, "'../escaped'"});
    list.push_back({"pax link path", pax("linkpath", "../../outside/keep") + link, "'link'"});
    list.push_back({"pax size beyond the archive", pax("size", "1000000") + plain, "truncated"});
    list.push_back({"pax size of no number", pax("size", "-1") + plain, "size"});
    list.push_back({"pax record of a wrong length", extension('x', "99 path=x\n") + plain, "pax"});
    list.push_back({"pax record without a number", extension('x', "path=x\n") + plain, "pax"});
    list.push_back({"pax sparse file", pax("GNU.sparse.major", "1") + plain, "sparse"});
    list.push_back({"extended header of 1 GiB", forged_header("extended", 'x', "10000000000") + plain, "limit"});
    list.push_back({"long name of 1 GiB", forged_header("extended", 'L', "10000000000") + plain, "limit"});
    list.push_back({"long name at the end", extension('L', "name") + zeros, "extended header"});
    list.push_back({"two long names", extension('L', "one") + extension('L', "two") + plain, "two extended"});
    list.push_back({"a name longer than paths may be", extension('L', std::string(4097, 'n')) + plain, "nnnn"});
    list.push_back({"no name", forged("", '0'), "no name"});
    list.push_back({"link to nothing", forged_header("link", '2', octal(0)) + zeros, "'link'"});
    list.push_back({"hard link to nothing", forged_header("link", '1', octal(0)) + zeros, "'link'"});
    list.push_back({"symbolic link with content", forged("link", '2'), "'link'"});
    list.push_back({"size that is no number", forged_header("f", '0', "zzzzzzzzzzz") + plain, "size"});
    list.push_back({"size near 2^63",
                    forged_header("f", '0', std::string("\x7f\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11)), "tar"});
    list.push_back({"a header behind one zero block", std::string(512, '\0') + plain, "zero block"});
    list.push_back({"a link in the place of a directory",
                    archive()
                        .special("d/", tar_type::directory)
                        .special("d", tar_type::symbolic_link, "../outside")
                        .file("d/escaped")
                        .end(),
                    "'d'"});
    list.push_back(
        {"a directory in the place of a file", archive().file("a", "1").special("a/", tar_type::directory).end(), "a"});
    list.push_back(
        {"a file in the place of a directory", archive().special("a/", tar_type::directory).file("a", "1").end(), "a"});
    list.push_back(
        {"a file in the place of one that is there, below it", archive().file("present/x").end(), "present"});
    list.push_back({"a file that is a directory too", archive().file("a", "1").file("a/b", "2").end(), "a"});
    return list;
}

const backendai::header_list mixed = {{"Content-Type", "multipart/mixed; boundary=frontier"}};

} // namespace

TEST_CASE("hostile archives are refused by name and leave nothing, inside the destination or outside") {
    const std::vector<hostile_archive> archives = hostile_archives();
    REQUIRE(archives.size() >= 60);
    for (const hostile_archive& each : archives) {
        CAPTURE(each.title);
        const sandbox box;
        box.put("outside/keep", "mine");
        fs::create_directory(box.out());
        box.put("out/present", "mine too");
        const auto before = box.listing();
        bench b;
        b->add(answer(200, multipart({{archive().file("honest").end()}, {each.bytes}}), mixed));
        const auto result = attempt([&] { b.sdk->kernel("abcd").download({"honest", "evil"}, box.out()); });
        REQUIRE(result.kind.has_value());
        CHECK((*result.kind == error_kind::protocol || *result.kind == error_kind::io));
        CHECK_MESSAGE(scripted::contains(result.text, each.named), result.text);
        // The entry's name where there is one; the file that was asked for in any case, or its place on the disk.
        CHECK(scripted::contains(result.text, *result.kind == error_kind::io ? "out/" : "'evil'"));
        CHECK(box.listing() == before);
        for (const fs::path& outside : {fs::path("/tmp"), box.root().parent_path(), fs::current_path()})
            CHECK_FALSE(fs::exists(outside / "escaped"));
        CHECK(b->count() == 1); // not asked for again
    }
}

TEST_CASE("hostile answers to a folder download leave nothing") {
    struct hostile_answer {
        std::string title, body, type, total, named;
    };
    const std::string type = "multipart/mixed; boundary=frontier";
    const std::string good = multipart({{gzip("12345"), "f.txt", "gzip"}});
    std::string broken_sum = gzip("12345");
    broken_sum[broken_sum.size() - 6] = static_cast<char>(broken_sum[broken_sum.size() - 6] + 1);
    std::vector<hostile_answer> list = {
        {"total one more", good, type, "6", "X-TOTAL"},
        {"total one less", good, type, "4", "limit"},
        {"total is no number", good, type, "-5", "X-TOTAL"},
        {"total is huge", good, type, "99999999999999999999", "X-TOTAL"},
        {"unknown encoding", multipart({{"12345", "f.txt", "br"}}), type, "5", "'br'"},
        {"not compressed at all", multipart({{"12345", "f.txt", "gzip"}}), type, "5", "f.txt"},
        {"checksum wrong", multipart({{broken_sum, "f.txt", "gzip"}}), type, "5", "f.txt"},
        {"gzip cut", multipart({{gzip("12345").substr(0, 15), "f.txt", "gzip"}}), type, "5", "truncated"},
        {"gzip with more behind", multipart({{gzip("12345") + "x", "f.txt", "gzip"}}), type, "5", "f.txt"},
        {"empty gzip", multipart({{"", "f.txt", "gzip"}}), type, "0", "truncated"},
        {"zlib for raw deflate",
         multipart({{compress("12345", backendai::codec::deflate_format::zlib), "f.txt", "deflate"}}), type, "5",
         "f.txt"},
        {"bomb", multipart({{gzip(std::string(50'000'000, '\0')), "f.txt", "gzip"}}), type, "5", "limit"},
        {"identity longer than told", multipart({{"123456", "f.txt"}}), type, "5", "limit"},
        {"no part", multipart({}), type, "5", ""},
        {"two parts", multipart({{"12345", "f.txt"}, {"", "f.txt"}}), type, "5", "more parts"},
        {"no closing delimiter", good.substr(0, good.size() - 4), type, "5", "delimiter"},
        {"cut in the headers", good.substr(0, 20), type, "5", ""},
        {"not multipart", "{}", "application/json", "5", "not multipart"},
        {"no content type", good, "", "5", ""},
        {"no boundary", good, "multipart/mixed", "5", "boundary"},
        {"other boundary", good, "multipart/mixed; boundary=other", "5", ""},
        {"transfer encoding in the part",
         "--frontier\r\nContent-Transfer-Encoding: base64\r\n\r\nMTIzNDU=\r\n--frontier--\r\n", type, "5", "base64"},
        {"two dispositions",
         "--frontier\r\nContent-Disposition: attachment; filename=a\r\nContent-Disposition: attachment; "
         "filename=b\r\n\r\n12345\r\n--frontier--\r\n",
         type, "5", "twice"},
        {"length of the part wrong", "--frontier\r\nContent-Length: 4\r\n\r\n12345\r\n--frontier--\r\n", type, "5",
         "Content-Length"},
        {"nothing", "", type, "5", ""},
    };
    for (const char* name : {"../../escaped", "..%2F..%2Fescaped", "%2Ftmp%2Fescaped", "/tmp/escaped", "other.txt",
                             "C%3A%5Cescaped", "f.txt%00.png", "F.TXT", "%252e%252e"}) {
        list.push_back({std::string("part named ") + name, multipart({{"12345", name}}), type, "5", "a part named"});
    }
    for (const hostile_answer& each : list) {
        CAPTURE(each.title);
        const sandbox box;
        box.put("outside/keep", "mine");
        box.put("out/f.txt", "the old one");
        const auto before = box.listing();
        bench b;
        backendai::header_list headers;
        if (!each.type.empty()) headers.add("Content-Type", each.type);
        headers.add("X-TOTAL-PAYLOADS-LENGTH", each.total);
        b->add(answer(200, each.body, headers));
        const auto result = attempt([&] { b.sdk->vfolder("mydata").download({"f.txt"}, box.out()); });
        REQUIRE(result.kind.has_value());
        CHECK(*result.kind == error_kind::protocol);
        CHECK_MESSAGE(scripted::contains(result.text, each.named), result.text);
        CHECK(box.listing() == before);
    }
}

TEST_CASE("links in the destination are not followed") {
    const sandbox box;
    box.put("outside/victim", "mine");
    fs::create_directory(box.out());
    fs::create_directory_symlink(box.root() / "outside", box.out() / "door");
    fs::create_symlink(box.root() / "outside/victim", box.out() / "file");
    SUBCASE("a link in the place of a directory stops a session's download") {
        const auto before = box.listing();
        bench b;
        b->add(answer(200, multipart({{archive().file("door/victim").end()}}), mixed));
        const auto result = attempt([&] { b.sdk->kernel("abcd").download({"x"}, box.out()); });
        CHECK(result.kind == error_kind::io);
        CHECK(scripted::contains(result.text, "door"));
        CHECK(box.listing() == before);
    }
    SUBCASE("and a folder's before anything is sent") {
        const auto before = box.listing();
        bench b;
        const auto result = attempt([&] { b.sdk->vfolder("mydata").download({"door/victim"}, box.out()); });
        CHECK(result.kind == error_kind::io);
        CHECK(b->count() == 0);
        CHECK(box.listing() == before);
    }
    SUBCASE("a link in the place of a file is replaced, what it leads to stays") {
        bench b;
        b->add(answer(200, multipart({{"new", "file"}}), mixed));
        b.sdk->vfolder("mydata").download({"file"}, box.out());
        CHECK_FALSE(fs::is_symlink(box.out() / "file"));
        CHECK(sandbox::read(box.out() / "file") == "new");
        CHECK(sandbox::read(box.root() / "outside/victim") == "mine");
    }
    SUBCASE("the destination itself may be reached through one") {
        fs::create_directory_symlink(box.root() / "outside", box.root() / "way");
        bench b;
        b->add(answer(200, multipart({{"new", "file"}}), mixed));
        b.sdk->vfolder("mydata").download({"file"}, box.root() / "way");
        CHECK(sandbox::read(box.root() / "outside/file") == "new");
    }
}

TEST_CASE("names that differ by case are no trouble where the caller says that the file system tells them apart") {
    const sandbox box;
    bench b;
    backendai::download_options options;
    options.names = backendai::codec::path_policy::posix;
    b->add(answer(200, multipart({{archive().file("a", "1").file("A", "2").end()}}), mixed));
    b.sdk->kernel("abcd").download({"x"}, box.out(), options);
    CHECK(box.listing() == std::set<std::string>{"out/", "out/A = 2", "out/a = 1"});
    b->add(answer(200, multipart({{"3", "f"}, {"4", "F"}}), mixed));
    b.sdk->vfolder("mydata").download({"f", "F"}, box.out(), options);
    CHECK(box.listing().size() == 5);
    const auto before = box.listing();
    const auto result = attempt([&] { b.sdk->vfolder("mydata").download({"g", "d/G", "D/g"}, box.out()); });
    CHECK(result.kind == error_kind::argument);
    CHECK_MESSAGE(scripted::contains(result.text, "'D/g'"), result.text);
    CHECK(b->count() == 2);
    CHECK(box.listing() == before);
}

TEST_CASE("a destination that is taken away in the middle of a transfer is not made anew") {
    const std::string bytes = archive()
                                  .file("d/e/f/g/first", noise(1000))
                                  .file("second")
                                  .special("link", tar_type::symbolic_link, "second")
                                  .end();
    for (const char* gone : {"out", "out/d", "out/d/e", "out/d/e/f/g"}) {
        CAPTURE(gone);
        const sandbox box;
        bench b;
        backendai::download_options options;
        bool done = false;
        options.progress = [&](const std::string&, std::uint64_t bytes_done, std::uint64_t) {
            if (bytes_done == 1000 && !std::exchange(done, true)) fs::remove_all(box.root() / gone);
        };
        b->add(answer(200, multipart({{bytes}}), mixed));
        const auto result = attempt([&] { b.sdk->kernel("abcd").download({"x"}, box.out(), options); });
        CHECK(result.kind.has_value());
        CHECK(done);
        CHECK(box.listing().empty());
    }
    // Also when nothing but that is wrong with the transfer.
    const sandbox box;
    bench b;
    backendai::download_options options;
    options.progress = [&](const std::string&, std::uint64_t done, std::uint64_t) {
        if (done == 1000) fs::remove_all(box.out() / "d/e");
    };
    b->add(answer(200, multipart({{archive().file("d/e/f/g/first", noise(1000)).end()}}), mixed));
    const auto result = attempt([&] { b.sdk->kernel("abcd").download({"x"}, box.out(), options); });
    CHECK(result.kind == error_kind::io);
    CHECK_MESSAGE(scripted::contains(result.text, "out/d/e"), result.text);
    CHECK(box.listing().empty());
}

TEST_CASE("what somebody puts into the destination meanwhile stays, whatever becomes of the transfer") {
    const sandbox box;
    bench b;
    backendai::download_options options;
    options.progress = [&](const std::string&, std::uint64_t done, std::uint64_t) {
        if (done == 1000) box.put("out/d/theirs", "theirs");
    };
    b->add(answer(200, multipart({{archive().file("d/e/mine", noise(1000)).file("../bad").end()}}), mixed));
    CHECK(attempt([&] { b.sdk->kernel("abcd").download({"x"}, box.out(), options); }).kind == error_kind::protocol);
    CHECK(box.listing() == std::set<std::string>{"out/", "out/d/", "out/d/theirs = theirs"});
}

TEST_CASE("a link that takes the place of a directory in the middle of a transfer leads nowhere") {
    const sandbox box;
    box.put("outside/keep", "mine");
    for (const bool fails : {true, false}) {
        CAPTURE(fails);
        const auto before = box.listing();
        bench b;
        backendai::download_options options;
        options.progress = [&](const std::string&, std::uint64_t done, std::uint64_t) {
            if (done != 1000 || fs::is_symlink(box.out() / "d")) return;
            fs::rename(box.out() / "d", box.root() / "moved");
            fs::create_directory_symlink(box.root() / "outside", box.out() / "d");
        };
        archive bytes;
        bytes.file("d/first", noise(1000)).file("d/keep", "theirs");
        if (fails) bytes.file("../bad");
        b->add(answer(200, multipart({{bytes.end()}}), mixed));
        const auto result = attempt([&] { b.sdk->kernel("abcd").download({"x"}, box.out(), options); });
        CHECK(result.kind == error_kind::io);
        CHECK_MESSAGE(scripted::contains(result.text, "out/d': is a symbolic link"), result.text);
        CHECK(sandbox::read(box.root() / "outside/keep") == "mine");
        CHECK(std::distance(fs::directory_iterator(box.root() / "outside"), fs::directory_iterator()) == 1);
        fs::remove_all(box.root() / "moved"); // what was staged there went out of reach with it
        fs::remove_all(box.out());
        CHECK(box.listing() == before);
    }
}

TEST_CASE("an archive that expands without end is stopped") {
    const sandbox box;
    bench b;
    backendai::download_options options;
    options.max_bytes = 1'000'000;
    b->add(answer(200,
                  multipart({{backendai::testing::detail::zero_bomb(backendai::codec::deflate_format::gzip, 20'000'000),
                              "", "gzip"}}),
                  mixed));
    const auto result = attempt([&] { b.sdk->kernel("abcd").download({"x"}, box.out(), options); });
    CHECK(result.kind == error_kind::protocol);
    CHECK(box.listing().empty());
}
