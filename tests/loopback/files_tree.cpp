// A tree of a thousand files with awkward names and sizes from nothing to 64 MiB, up and down, compared by SHA-256.
#include "files_bench.hpp"

#include <backendai/codec/digest.hpp>

#include <doctest/doctest.h>

#include <map>

using namespace files_support;
using files_bench::bench;

namespace {

// Content that does not compress, of any size, made block by block: tests are built without optimisation.
void fill(const fs::path& path, std::size_t size, unsigned seed) {
    static const std::string block = noise(1 << 16);
    fs::create_directories(path.parent_path());
    std::ofstream file(path, std::ios::binary);
    for (std::size_t done = 0; done < size; done += block.size()) {
        const std::string mark = std::to_string(seed) + '/' + std::to_string(done) + '\n';
        std::string piece = mark + block;
        piece.resize((std::min)(block.size(), size - done));
        file << piece;
    }
}

std::string sum_of(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) return "cannot be read";
    std::ostringstream content;
    content << file.rdbuf();
    return backendai::codec::to_hex(backendai::codec::digest("sha256", content.str()));
}

// A name of exactly so many bytes, with directories in it.
std::string long_name(std::size_t length, unsigned number) {
    std::string name = "long/" + std::to_string(number);
    while (name.size() < length) name += name.size() % 40 == 39 && name.size() + 1 < length ? '/' : 'n';
    return name;
}

std::vector<std::string> make_tree(const fs::path& root, unsigned count) {
    static const char* const awkward[] = {"plain.txt",
                                          "with space",
                                          " leading",
                                          "it's",
                                          "\"quoted\"",
                                          "semi;colon",
                                          "100%",
                                          "%2e%2e",
                                          "a+b&c=d",
                                          "\xc3\xbcml\xc3\xa4ut",
                                          "\xed\x95\x9c\xea\xb8\x80",
                                          "\xe2\x98\x83\xf0\x9f\x98\x80",
                                          "e\xcc\x81",
                                          "-dash",
                                          "~tilde",
                                          "[brackets]{braces}",
                                          "comma,",
                                          "#hash",
                                          "question?",
                                          "star*",
                                          "<angle>",
                                          "pipe|",
                                          "$dollar",
                                          "`tick`",
                                          "back.tar.gz",
                                          ".hidden",
                                          "...dots",
                                          "filename=x",
                                          "name*=utf-8''x",
                                          "frontier--"};
    std::vector<std::string> names;
    for (unsigned i = 0; i < count; ++i) {
        const std::string folder = "d" + std::to_string(i % 13) + (i % 3 == 0 ? "/sub folder \xc3\xa9/" : "/");
        std::string name = folder + std::to_string(i) + ' ' + awkward[i % (sizeof awkward / sizeof *awkward)];
        if (i % 20 == 7) name = long_name(200, i);
        std::size_t size = i * 37 % 5000;
        if (i % 50 == 0) size = 0;
        if (i % 100 == 1) size = (std::size_t{1} << 16) - 1 + i / 100 % 3; // around the sizes of buffers
        if (i % 250 == 2) size = std::size_t{3} << 20;
        if (i == 3) size = std::size_t{64} << 20;
        fill(root / fs::path(name), size, i);
        names.push_back(name);
    }
    return names;
}

} // namespace

TEST_CASE("a thousand files go into a folder and come back") {
    bench<backendai::httplib_transport> b;
    const fs::path in = b.box.root() / "in";
    const std::vector<std::string> names = make_tree(in, 1000);
    std::map<std::string, std::string> sums;
    std::uint64_t bytes = 0;
    for (const std::string& name : names) {
        sums[name] = sum_of(in / fs::path(name));
        bytes += fs::file_size(in / fs::path(name));
    }
    REQUIRE(sums.size() == 1000);
    b.session.vfolder().create("tree");
    const auto folder = b.session.vfolder("tree");
    backendai::upload_options up;
    up.basedir = in;
    std::uint64_t done = 0;
    up.progress = [&](const std::string&, std::uint64_t now, std::uint64_t) { done = now; };
    folder.upload({in}, up);
    CHECK(done == bytes);
    CHECK(folder.info().num_files == 1000);
    CHECK(b.server.served("POST", "/folders/tree/upload") == 100);
    backendai::download_options down;
    down.names = backendai::codec::path_policy::posix; // there are names that Windows has no file for
    folder.download(names, b.box.out(), down);
    for (const auto& each : sums) {
        CAPTURE(each.first);
        CHECK(sum_of(b.box.out() / fs::path(each.first)) == each.second);
    }
    std::size_t found = 0;
    for (const auto& entry : fs::recursive_directory_iterator(b.box.out())) found += entry.is_regular_file() ? 1 : 0;
    CHECK(found == 1000); // and no temporary
}

TEST_CASE("a tree goes through a session, twenty files at a time") {
    bench<backendai::httplib_transport> b;
    const fs::path in = b.box.root() / "in";
    const auto kernel = b.session.kernel().get_or_create("bash");
    backendai::upload_options up;
    up.basedir = in;
    backendai::download_options down;
    down.names = backendai::codec::path_policy::posix;
    std::vector<std::string> names;
    for (const std::string& name : make_tree(in, 240)) {
        if (fs::file_size(in / fs::path(name)) < 1'000'000) {
            names.push_back(name);
        } else {
            fs::remove(in / fs::path(name));
        }
    }
    REQUIRE(names.size() > 200);
    for (std::size_t i = 0; i < names.size(); i += 20) {
        std::vector<fs::path> some;
        for (std::size_t j = i; j < names.size() && j < i + 20; ++j) some.push_back(in / fs::path(names[j]));
        kernel.upload(some, up);
    }
    for (const auto& top : fs::directory_iterator(in))
        kernel.download({top.path().filename().string()}, b.box.out(), down);
    for (const std::string& name : names) {
        CAPTURE(name);
        CHECK(sum_of(b.box.out() / fs::path(name)) == sum_of(in / fs::path(name)));
    }
    kernel.destroy();
}
