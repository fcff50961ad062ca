#include <backendai/codec/tar_reader.hpp>
#include <backendai/codec/tar_writer.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace codec = backendai::codec;
using codec::tar_entry;
using codec::tar_type;

namespace {

struct item {
    tar_entry entry;
    std::string content;
    bool complete = false;
};

bool operator==(const item& a, const item& b) {
    const auto key = [](const item& x) {
        return std::tie(x.entry.name, x.entry.link_name, x.entry.type, x.entry.size, x.entry.mode,
                        x.entry.mtime_seconds, x.entry.mtime_nanoseconds, x.content, x.complete);
    };
    return key(a) == key(b);
}

class collector final : public codec::tar_handler {
public:
    void on_entry(const tar_entry& entry) override { items.push_back({entry, {}, false}); }
    void on_data(std::string_view data) override { items.back().content += data; }
    void on_entry_end() override { items.back().complete = true; }

    std::vector<item> items;
};

std::vector<item> read(std::string_view archive, std::size_t step = std::string::npos, codec::tar_limits limits = {}) {
    collector handler;
    codec::tar_reader reader(handler, limits);
    while (!archive.empty()) {
        const std::string piece(archive.substr(0, step));
        reader.feed(piece);
        archive.remove_prefix(piece.size());
    }
    reader.finish();
    return handler.items;
}

std::string refusal(std::string_view archive) {
    for (const std::size_t step : {std::string::npos, std::size_t{100}}) {
        try {
            read(archive, step);
            return "";
        } catch (const codec::decode_error& e) {
            if (step == 100) return e.what();
        }
    }
    return "";
}

item make(std::string name, std::string content = "", tar_type type = tar_type::regular, std::string link = "") {
    item result;
    result.entry.name = std::move(name);
    result.entry.link_name = std::move(link);
    result.entry.type = type;
    result.entry.mode = 0644;
    result.entry.size = content.size();
    result.entry.mtime_seconds = 1'700'000'000;
    result.content = std::move(content);
    result.complete = true;
    return result;
}

std::string write_one(codec::tar_writer& writer, const item& each) {
    std::string result = writer.begin_entry(each.entry) + each.content;
    writer.add_content(each.content.size());
    return result + writer.end_entry();
}

std::string write(const std::vector<item>& items) {
    codec::tar_writer writer;
    std::string archive;
    for (const item& each : items) archive += write_one(writer, each);
    return archive + writer.finish();
}

const std::string archive_end(1024, '\0');

void repair_checksum(std::string& block) {
    std::string digits = "000000";
    auto sum = codec::detail::sum_tar_header(std::string_view(block).substr(0, 512)).of_unsigned;
    for (std::size_t i = 6; i-- > 0; sum >>= 3) digits[i] = static_cast<char>('0' + (sum & 7));
    block.replace(148, 8, digits + std::string("\0 ", 2));
}

/// A header block of a file `name` of size 0, changed by `change`, with a right checksum; and what belongs to it.
std::string raw(const std::function<void(std::string&)>& change, std::string content = "",
                const std::string& name = "f") {
    codec::tar_writer writer;
    std::string block = writer.begin_entry(make("f").entry);
    block.replace(0, name.size(), name);
    change(block);
    repair_checksum(block);
    content.resize((content.size() + 511) / 512 * 512);
    return block + content;
}

std::string with_type(char type, const std::string& content = "", const std::string& name = "f") {
    return raw(
        [&](std::string& block) {
            block[156] = type;
            std::string digits = "00000000000";
            auto size = content.size();
            for (std::size_t i = 11; i-- > 0; size >>= 3) digits[i] = static_cast<char>('0' + (size & 7));
            block.replace(124, 11, digits);
        },
        content, name);
}

std::string with_field(std::size_t offset, std::string_view bytes) {
    return raw([&](std::string& block) { block.replace(offset, bytes.size(), bytes); });
}

std::string file(const std::string& name = "f") {
    return with_type('0', "", name);
}

std::string pax_record(const std::string& text) { // key=value
    std::size_t length = text.size() + 3;
    while (std::to_string(length).size() + text.size() + 2 != length) ++length;
    return std::to_string(length) + ' ' + text + '\n';
}

std::string fixture(const std::string& name) {
#ifdef BACKENDAI_TEST_DATA
    const std::string directory = std::string(BACKENDAI_TEST_DATA) + "/../fuzz/corpus";
#else
    std::string directory = __FILE__;
    directory = directory.substr(0, directory.find_last_of("/\\") + 1) + "../fuzz/corpus";
#endif
    std::ifstream stream(directory + "/tar/" + name, std::ios::binary);
    REQUIRE_MESSAGE(stream.good(), "no archive " << name << " in " << directory);
    return std::string(std::istreambuf_iterator<char>(stream), {}).substr(1); // the first byte is the fuzzer's
}

} // namespace

TEST_CASE("archives of Python, GNU tar and bsdtar give the tree they were made of") {
    const std::string long_name =
        "tree/" + std::string(60, 'd') + "/" + std::string(60, 'e') + "/" + std::string(70, 'f') + ".txt";
    const std::string utf8_name = "tree/\xC3\xBCn\xC3\xAF \xC3\xA7\xC3\xB6"
                                  "de \xE2\x98\x83.txt";
    for (const std::string archive : {"python-gnu", "python-pax", "python-ustar", "gnutar-gnu", "gnutar-oldgnu",
                                      "gnutar-pax", "gnutar-ustar", "bsdtar-pax", "bsdtar-ustar", "bsdtar-gnutar"}) {
        CAPTURE(archive);
        const std::string bytes = fixture(archive);
        const bool fractions = archive.find("pax") != std::string::npos;
        std::map<std::string, item> tree;
        for (const item& each : read(bytes, 777)) {
            std::string name = each.entry.name;
            if (name.back() == '/') name.pop_back();
            CHECK(each.complete);
            CHECK(each.entry.mtime_seconds == 1'700'000'000);
            CHECK(each.entry.mtime_nanoseconds == (fractions ? 250'000'000 : 0));
            if (each.entry.type == tar_type::directory) CHECK(each.entry.mode == 0755);
            if (each.entry.type == tar_type::regular) CHECK(each.entry.mode == 0640);
            CHECK(tree.emplace(name, each).second);
        }
        CHECK(tree.size() == 10);
        CHECK(tree["tree"].entry.type == tar_type::directory);
        CHECK(tree["tree/empty"].entry.type == tar_type::regular);
        CHECK(tree["tree/empty"].complete);
        CHECK(tree["tree/block"].content == std::string(512, 'x'));
        CHECK(tree[utf8_name].content == "snow\r\n");
        CHECK(tree[long_name].content == "long\n");
        CHECK(tree["tree/link"].entry.type == tar_type::symbolic_link);
        CHECK(tree["tree/link"].entry.link_name == "hello.txt");
        // whichever comes first in the archive is the file, the other one a link to it
        const bool first = tree["tree/hello.txt"].entry.type == tar_type::regular;
        const item& original = tree[first ? "tree/hello.txt" : "tree/same"];
        const item& linked = tree[first ? "tree/same" : "tree/hello.txt"];
        CHECK(original.content == "hello\n");
        CHECK(linked.entry.type == tar_type::hard_link);
        CHECK(linked.entry.link_name == original.entry.name);
    }
}

TEST_CASE("an archive reads the same at every cut, and every truncation is an error") {
    for (const std::string& archive : {fixture("python-pax").substr(0, 9 * 1024), fixture("gnutar-gnu")}) {
        const auto until_end = [&](std::size_t step) {
            collector handler;
            codec::tar_reader reader(handler);
            for (std::size_t at = 0; at < archive.size(); at += step) reader.feed(archive.substr(at, step));
            return handler.items;
        };
        const auto whole = until_end(archive.size());
        for (const std::size_t step : {1u, 2u, 511u, 513u, 1000u}) CHECK(until_end(step) == whole);
    }
    const std::string archive = write({make("a", "content"), make(std::string(300, 'n'), std::string(1000, 'c'))});
    const auto whole = read(archive);
    for (std::size_t cut = 0; cut < archive.size(); ++cut) {
        collector handler;
        codec::tar_reader reader(handler);
        reader.feed(std::string_view(archive).substr(0, cut));
        codec::tar_reader truncated = reader;
        REQUIRE_THROWS_AS(truncated.finish(), codec::decode_error);
        reader.feed(std::string_view(archive).substr(cut));
        reader.finish();
        REQUIRE(handler.items == whole);
    }
}

TEST_CASE("what the writer writes, the reader reads") {
    std::vector<item> items;
    for (const std::size_t size : {0u, 1u, 511u, 512u, 513u, 5000u})
        items.push_back(make("f" + std::to_string(size), std::string(size, 'z')));
    for (const std::size_t size : {99u, 100u, 101u, 255u, 256u, 257u, 1000u})
        items.push_back(make(std::string(size, 'n')));
    items.push_back(make(std::string(155, 'p') + "/" + std::string(100, 'n')));
    items.push_back(make(std::string(156, 'p') + "/" + std::string(100, 'n')));
    items.push_back(make(std::string(120, 'p') + "/", "", tar_type::directory));
    items.push_back(make("/" + std::string(120, 'n')));
    items.push_back(make("\xE2\x98\x83 =\n", "snow"));
    items.push_back(make("dir/", "", tar_type::directory));
    items.push_back(make("sym", "", tar_type::symbolic_link, "../" + std::string(200, 't')));
    items.push_back(make("sym2", "", tar_type::symbolic_link, "\xC3\xBC"));
    items.push_back(make("hard", "", tar_type::hard_link, "dir/file"));
    items.push_back(make("c", "", tar_type::character_device));
    items.push_back(make("b", "", tar_type::block_device));
    items.push_back(make("p", "", tar_type::fifo));
    for (const std::int64_t seconds :
         {std::int64_t{0}, std::int64_t{-1}, std::int64_t{-2}, std::int64_t{1} << 33, std::int64_t{1} << 50}) {
        for (const std::uint32_t nanoseconds : {0u, 1u, 500'000'000u, 999'999'999u}) {
            items.push_back(make("t"));
            items.back().entry.mtime_seconds = seconds;
            items.back().entry.mtime_nanoseconds = nanoseconds;
        }
    }
    items.push_back(make("suid"));
    items.back().entry.mode = 07777;
    const std::string archive = write(items);
    CHECK(archive.size() % 512 == 0);
    CHECK((read(archive) == items));
    CHECK((read(archive, 1) == items));
}

TEST_CASE("sizes beyond the octal field go through pax") {
    for (const std::uint64_t size : {(std::uint64_t{1} << 33) - 1, std::uint64_t{1} << 33, std::uint64_t{1} << 40}) {
        tar_entry entry = make("big").entry;
        entry.size = size;
        codec::tar_writer writer;
        collector handler;
        codec::tar_reader reader(handler);
        reader.feed(writer.begin_entry(entry));
        REQUIRE(handler.items.size() == 1);
        CHECK(handler.items[0].entry.size == size);
        CHECK_THROWS_AS(reader.finish(), codec::decode_error);
        CHECK_THROWS_AS(writer.end_entry(), std::logic_error);
    }
}

TEST_CASE("the writer refuses what an archive cannot say") {
    const auto refused = [](const item& each) {
        CHECK_THROWS_AS(codec::tar_writer().begin_entry(each.entry), std::invalid_argument);
    };
    refused(make(""));
    refused(make(std::string("a\0b", 3)));
    refused(make("a", "", tar_type::symbolic_link));
    refused(make("a", "", tar_type::regular, "target"));
    refused(make("a", "content", tar_type::directory));
    refused(make("a/"));
    codec::tar_writer writer;
    writer.begin_entry(make("a", "xy").entry);
    CHECK_THROWS_AS(writer.add_content(3), std::logic_error);
    CHECK_THROWS_AS(writer.begin_entry(make("b").entry), std::logic_error);
    CHECK_THROWS_AS(writer.finish(), std::logic_error);
}

TEST_CASE("old and foreign spellings are understood") {
    const auto one = [](const std::string& archive) {
        const auto items = read(archive + archive_end);
        REQUIRE(items.size() == 1);
        return items[0].entry;
    };
    using namespace std::string_literals;
    CHECK(one(with_type('\0')).type == tar_type::regular);
    CHECK(one(with_type('7')).type == tar_type::regular);
    CHECK(one(with_type('\0', "", "d/")).type == tar_type::directory);
    CHECK(one(with_field(257, "\0\0\0\0\0\0\0\0"s)).name == "f"); // v7
    CHECK(one(with_field(345, "pre/fix"s)).name == "pre/fix/f");
    CHECK(one(raw([](std::string& b) { b.replace(257, 8, "ustar  \0"s).replace(345, 3, "xyz"); })).name == "f"); // GNU
    CHECK(one(with_field(100, "    644 "s)).mode == 0644);
    CHECK(one(with_field(100, "644\0\0\0\0\0"s)).mode == 0644);
    CHECK(one(with_field(136, "            "s)).mtime_seconds == 0);
    CHECK(one(with_field(136, "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFE"s)).mtime_seconds == -2);
    CHECK(one(with_field(136, "\x80\0\0\0\0\0\0\1\0\0\0\0"s)).mtime_seconds == std::int64_t{1} << 32);
    CHECK(one(with_field(0, std::string(100, 'n'))).name == std::string(100, 'n')); // no NUL at the end
    CHECK(one(with_type('L', "long name"s + '\0') + file()).name == "long name");
    CHECK(one(with_type('L', "no NUL") + file()).name == "no NUL");
    CHECK(one(with_type('x', pax_record("path=p") + pax_record("path=q")) + file()).name == "q");
    CHECK(one(with_type('g', pax_record("path=g")) + with_type('x', pax_record("path=x")) + file()).name == "x");
    CHECK(one(with_type('g', pax_record("path=g")) + with_type('g', pax_record("path=")) + file()).name == "f");
    CHECK(one(with_type('x', pax_record("comment=\0"s) + pax_record("uid=x")) + file()).name == "f");
    CHECK(one(with_type('x', pax_record("mtime=-1.5")) + file()).mtime_seconds == -2);
    CHECK(one(with_type('x', pax_record("mtime=1.0000000019")) + file()).mtime_nanoseconds == 1);
    CHECK(one(with_type('g') + file()).name == "f");
    // a checksum made of signed characters, as some old tars did
    std::string block = raw([](std::string& b) { b[0] = '\xC3'; });
    const auto sum = codec::detail::sum_tar_header(std::string_view(block)).of_signed;
    char digits[8];
    std::snprintf(digits, sizeof digits, "%06o", static_cast<unsigned>(sum));
    block.replace(148, 7, digits, 7);
    CHECK(one(block).name == "\xC3");
}

TEST_CASE("a pax size goes for the content") {
    const std::string content(1024, 'c');
    const auto items = read(with_type('x', pax_record("size=1024")) + file() + content + file("next") + archive_end);
    REQUIRE(items.size() == 2);
    CHECK(items[0].content == content);
    CHECK(items[1].entry.name == "next");
}

TEST_CASE("hostile and malformed archives are refused") {
    using namespace std::string_literals;
    const std::string x = with_type('x', pax_record("path=p"));
    const std::vector<std::pair<const char*, std::string>> cases = {
        {"empty", ""},
        {"no end", file()},
        {"a lone zero block", file() + std::string(512, '\0')},
        {"a header after a lone zero block", file() + std::string(512, '\0') + file() + archive_end},
        {"text after the end", file() + archive_end + "x"},
        {"an archive after the end", file() + archive_end + file() + archive_end},
        {"no tar", std::string(2048, 'x')},
        {"HTML", "<html>" + std::string(2048, ' ')},
        {"wrong checksum", "F" + file().substr(1) + archive_end},
        {"checksum no number", file().replace(148, 8, "zzzzzzzz") + archive_end},
        {"size no number", with_field(124, "0000000009\0 "s) + archive_end},
        {"size with a minus", with_field(124, "-0000000001\0"s) + archive_end},
        {"negative base-256 size", with_field(124, std::string(12, '\xFF')) + archive_end},
        {"base-256 size of 88 bits", with_field(124, "\x80\x01"s + std::string(10, '\0')) + archive_end},
        {"base-256 size of 64 bits", with_field(124, "\x80\0\0\0\xFF"s + std::string(7, '\xFF')) + archive_end},
        {"size larger than the archive", with_field(124, "77777777777\0"s) + archive_end},
        {"mode no number", with_field(100, "rwxr-xr-"s) + archive_end},
        {"time no number", with_field(136, "yesterday!!!"s) + archive_end},
        {"no name", with_field(0, std::string(100, '\0')) + archive_end},
        {"sparse of GNU", with_type('S') + archive_end},
        {"sparse in pax 0.0", with_type('x', pax_record("GNU.sparse.size=10")) + file() + archive_end},
        {"sparse in pax 1.0", with_type('x', pax_record("GNU.sparse.major=1")) + file() + archive_end},
        {"sparse in global pax", with_type('g', pax_record("GNU.sparse.map=0,1")) + file() + archive_end},
        {"sparse of star", with_type('x', pax_record("SCHILY.realsize=10")) + file() + archive_end},
        {"multi-volume", with_type('M') + archive_end},
        {"volume label", with_type('V') + archive_end},
        {"directory dump", with_type('D') + archive_end},
        {"old long names", with_type('N') + archive_end},
        {"Solaris extended header", with_type('X') + archive_end},
        {"unknown type", with_type('Z') + archive_end},
        {"type of control character", with_type('\x01') + archive_end},
        {"directory with content", with_type('5', "content") + archive_end},
        {"old directory with content", with_type('\0', "content", "d/") + archive_end},
        {"device with content", with_type('3', "content") + archive_end},
        {"fifo with content", with_type('6', "content") + archive_end},
        {"link with content", raw(
                                  [](std::string& b) {
                                      b.replace(156, 2, "1t");
                                      b.replace(124, 11, "00000000007");
                                  },
                                  "content") +
                                  archive_end},
        {"symbolic link to nothing", with_type('2') + archive_end},
        {"hard link to nothing", with_type('1') + archive_end},
        {"pax size on a directory", with_type('x', pax_record("size=5")) + with_type('5') + archive_end},
        {"long name twice", with_type('L', "a") + with_type('L', "b") + file() + archive_end},
        {"long link twice", with_type('K', "a") + with_type('K', "b") + file() + archive_end},
        {"pax header twice", x + x + file() + archive_end},
        {"long name of nothing", with_type('L', "a") + archive_end},
        {"pax header of nothing", x + archive_end},
        {"empty long name", with_type('L') + file() + archive_end},
        {"long name of NULs", with_type('L', std::string(5, '\0')) + file() + archive_end},
        {"NUL in a long name", with_type('L', "a\0b"s) + file() + archive_end},
        {"NUL in a pax path", with_type('x', pax_record("path=a\0b"s)) + file() + archive_end},
        {"empty pax path", with_type('x', pax_record("path=")) + file() + archive_end},
        {"empty pax size", with_type('x', pax_record("size=")) + file() + archive_end},
        {"pax size negative", with_type('x', pax_record("size=-1")) + file() + archive_end},
        {"pax size of 64 bits", with_type('x', pax_record("size=18446744073709551615")) + file() + archive_end},
        {"pax size no number", with_type('x', pax_record("size=0x10")) + file() + archive_end},
        {"pax time no number", with_type('x', pax_record("mtime=1e5")) + file() + archive_end},
        {"pax time with two points", with_type('x', pax_record("mtime=1.2.3")) + file() + archive_end},
        {"pax length too long", with_type('x', "99 path=a\n") + file() + archive_end},
        {"pax length too short", with_type('x', "3 path=a\n") + file() + archive_end},
        {"pax length zero", with_type('x', "0 path=a\n") + file() + archive_end},
        {"pax length huge", with_type('x', "99999999999999999999 path=a\n") + file() + archive_end},
        {"pax length missing", with_type('x', "path=a\n") + file() + archive_end},
        {"pax record without line feed", with_type('x', "10 path=abc") + file() + archive_end},
        {"pax record without keyword", with_type('x', "5 =a\n") + file() + archive_end},
        {"pax record without equals sign", with_type('x', "7 path\n") + file() + archive_end},
        {"long name beyond the limit", with_type('L', std::string(40'000, 'a')) + file() + archive_end},
        {"pax header beyond the limit",
         with_type('x', pax_record("comment=" + std::string(300'000, 'a'))) + file() + archive_end},
        {"pax path beyond the limit",
         with_type('x', pax_record("path=" + std::string(40'000, 'a'))) + file() + archive_end},
    };
    CHECK(cases.size() >= 60);
    for (const auto& each : cases) {
        CAPTURE(each.first);
        CHECK_FALSE(refusal(each.second).empty());
    }
}

TEST_CASE("errors about an entry name it") {
    CHECK(refusal(with_type('S', "",
                            "my\x1B"
                            "file") +
                  archive_end) == "tar: entry 'my\\x1bfile' is a sparse file, which is not supported");
    CHECK(refusal(file("name") + "garbage").find("'name'") != std::string::npos);
}

TEST_CASE("names come as they are: judging them is not the reader's business") {
    for (const char* name : {"../../etc/passwd", "/etc/passwd", "a\\b", "C:x"})
        CHECK(read(file(name) + archive_end).at(0).entry.name == name);
}

TEST_CASE("the number of entries is limited, and a failed reader takes nothing") {
    CHECK_THROWS_AS(read(file() + file() + archive_end, 512, {1000, 1000, 1}), codec::decode_error);
    class full_disk final : public codec::tar_handler {
        void on_entry(const tar_entry&) override { throw std::runtime_error("disk full"); }
        void on_data(std::string_view) override {}
        void on_entry_end() override {}
    } handler;
    codec::tar_reader reader(handler);
    CHECK_THROWS_WITH_AS(reader.feed(file()), "disk full", std::runtime_error);
    CHECK_THROWS_AS(reader.feed(archive_end), codec::decode_error);
    CHECK_THROWS_AS(reader.finish(), codec::decode_error);
}
