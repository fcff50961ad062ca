// Downloads from a storage proxy over sockets: files, directories, ranges, what stays behind, servers that lie.
#include "storage_bench.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <mutex>
#include <string>
#include <vector>

using namespace files_support;
using backendai::existing_files;
using backendai::testing::fault;
using backendai::testing::fault_kind;
using backendai::testing::storage_lie;
using storage_bench::bench;
using storage_bench::modern;

namespace {

// The Range headers of the downloads that were asked for.
struct range_recorder {
    backendai::testing::gateway_options options() {
        backendai::testing::gateway_options made = modern();
        made.on_request = [this](const backendai::testing::http_call& call) {
            if (call.target.compare(0, 9, "/download") != 0) return;
            const std::lock_guard<std::mutex> lock(mutex);
            const std::string* range = backendai::testing::find_header(call.headers, "Range");
            ranges.push_back(range == nullptr ? "" : *range);
            for (const char* secret : {"Authorization", "Cookie", "X-BackendAI-Version", "Date"})
                told_secret = told_secret || backendai::testing::find_header(call.headers, secret) != nullptr;
        };
        return made;
    }
    std::mutex mutex;
    std::vector<std::string> ranges;
    bool told_secret = false;
};

fault cut_answer(fault_kind kind, std::size_t position, int times) {
    fault item;
    item.kind = kind;
    item.method = "GET";
    item.path_prefix = "/download";
    item.position = position;
    item.times = times;
    return item;
}

// What lies below @p root, hidden files included.
std::set<std::string> below(const fs::path& root) {
    std::set<std::string> names;
    if (!fs::exists(root)) return names;
    for (const auto& entry : fs::recursive_directory_iterator(root))
        names.insert(entry.path().lexically_relative(root).string());
    return names;
}

// The server's next listing of a folder's directory has these entries.
fault listing_of(const std::vector<nlohmann::json>& items) {
    const auto text = [](const nlohmann::json& value) {
        return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::ignore);
    };
    fault lie;
    lie.kind = fault_kind::status;
    lie.status = 200;
    lie.path_prefix = "/folders/data/files";
    lie.content_type = "application/json";
    lie.bytes = text({{"items", items}, {"files", text(items)}});
    return lie;
}

nlohmann::json listed_file(const std::string& name, std::uint64_t size) {
    return {{"filename", name}, {"name", name},
            {"type", "FILE"},   {"mode", "-rw-r--r--"},
            {"size", size},     {"created", "2026-01-01T00:00:00Z"},
            {"mtime", 1},       {"modified", "2026-01-01T00:00:00Z"}};
}

} // namespace

TEST_CASE_TEMPLATE("storage: files and directories come with structure, content and modes", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    range_recorder seen;
    bench<T> b(seen.options());
    const std::string large = noise(1'234'567);
    b.store("tree/large", large);
    b.store("tree/empty", "");
    b.store("tree/run.sh", "#!/bin/sh\n");
    b.store("tree/deep/er/h\xC3\xA9llo w\xC3\xB6rld.txt", "text");
    fs::create_directories(b.place("tree/nothing"));
    fs::permissions(b.place("tree/run.sh"), fs::perms(0750));
    b.store("single", "one");
    const std::set<std::string> tree = {
        "tree",      "tree/large",   "tree/empty",   "tree/run.sh",
        "tree/deep", "tree/deep/er", "tree/nothing", "tree/deep/er/h\xC3\xA9llo w\xC3\xB6rld.txt"};
    std::uint64_t last = 0, total = 0;
    backendai::download_options how;
    how.progress = [&](const std::string&, std::uint64_t done, std::uint64_t of) {
        last = done;
        total = of;
    };
    SUBCASE("a directory") {
        b.folder().download({"tree"}, b.box.out(), how);
        CHECK(below(b.box.out()) == tree);
        CHECK(last == large.size() + 10 + 4);
        CHECK(total == last);
        CHECK(fs::status(b.box.out() / "tree/run.sh").permissions() == fs::perms(0750));
    }
    SUBCASE("the whole folder") {
        b.folder().download({"."}, b.box.out(), how);
        std::set<std::string> all = tree;
        all.insert("single");
        CHECK(below(b.box.out()) == all);
    }
    SUBCASE("a file in a directory, and another directory that is there already") {
        fs::create_directories(b.box.out() / "tree");
        b.folder().download({"single", "tree/deep", "tree/large"}, b.box.out(), how);
        CHECK(below(b.box.out()) == std::set<std::string>{"single", "tree", "tree/large", "tree/deep", "tree/deep/er",
                                                          "tree/deep/er/h\xC3\xA9llo w\xC3\xB6rld.txt"});
        CHECK(sandbox::read(b.box.out() / "single") == "one");
    }
    if (fs::exists(b.box.out() / "tree/large")) CHECK(sandbox::read(b.box.out() / "tree/large") == large);
    CHECK(sandbox::read(b.box.out() / "tree/deep/er/h\xC3\xA9llo w\xC3\xB6rld.txt") == "text");
    CHECK_FALSE(seen.told_secret);
}

TEST_CASE_TEMPLATE("storage: links in a directory are refused before anything is written, or skipped", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    bench<T> b(modern());
    b.store("tree/file", "x");
    fs::create_symlink("file", b.place("tree/link"));
    backendai::download_options how;
    const auto refused = result_of([&] { b.folder().download({"tree"}, b.box.out(), how); });
    CHECK(refused.what == "protocol");
    CHECK(refused.message.find("link") != std::string::npos);
    CHECK_FALSE(fs::exists(b.box.out()));
    how.special = backendai::special_files::skip;
    b.folder().download({"tree"}, b.box.out(), how);
    CHECK(below(b.box.out()) == std::set<std::string>{"tree", "tree/file"});
}

TEST_CASE_TEMPLATE("storage: a download that is cut off goes on where it stopped", T, BACKENDAI_SOCKET_TRANSPORTS) {
    range_recorder seen;
    bench<T> b(seen.options());
    const std::string content = noise(500'000);
    b.store("f", content);
    SUBCASE("in the middle") {
        b.server.inject(cut_answer(fault_kind::drop_in_body, 100'000, 4));
        b.folder().download({"f"}, b.box.out());
        CHECK(seen.ranges ==
              std::vector<std::string>{"", "bytes=100000-", "bytes=200000-", "bytes=300000-", "bytes=400000-"});
    }
    SUBCASE("by servers that know no ranges") {
        b.server.inject(cut_answer(fault_kind::drop_in_body, 100'000, 1));
        b.server.lie_about_storage(storage_lie::range_ignored);
        b.folder().download({"f"}, b.box.out());
        CHECK(seen.ranges.size() == 2);
    }
    SUBCASE("by servers that do not tell one state of a file from another") {
        b.server.inject(cut_answer(fault_kind::drop_in_body, 100'000, 1));
        b.server.lie_about_storage(storage_lie::no_validators);
        b.folder().download({"f"}, b.box.out());
        CHECK(seen.ranges == std::vector<std::string>{"", ""});
    }
    SUBCASE("by servers that refuse the range") {
        b.server.inject(cut_answer(fault_kind::drop_in_body, 100'000, 1));
        b.server.lie_about_storage(storage_lie::range_refused);
        b.folder().download({"f"}, b.box.out());
        CHECK(seen.ranges == std::vector<std::string>{"", "bytes=100000-", ""});
    }
    SUBCASE("and the file has changed") {
        b.server.inject(cut_answer(fault_kind::drop_in_body, 100'000, 1));
        b.server.lie_about_storage(storage_lie::new_validators);
        b.folder().download({"f"}, b.box.out());
        CHECK(seen.ranges == std::vector<std::string>{"", "bytes=100000-"});
    }
    CHECK(sandbox::read(b.box.out() / "f") == content);
    CHECK(below(b.box.out()) == std::set<std::string>{"f"});
}

TEST_CASE_TEMPLATE("storage: what does not come whole is an error and leaves nothing", T, BACKENDAI_SOCKET_TRANSPORTS) {
    const std::string content = noise(500'000);
    const auto outcome_of = [&](storage_lie kind, fault_kind wrong, int times) {
        bench<T> b(modern());
        b.store("f", content);
        b.server.inject(cut_answer(wrong, 100'000, times));
        b.server.lie_about_storage(kind);
        const auto result = result_of([&] { b.folder().download({"f"}, b.box.out()); });
        CHECK_FALSE(fs::exists(b.box.out()));
        CHECK(b.server.received("GET", "/download") <= 8);
        CHECK(result.message.find("eyJ") == std::string::npos);
        return result.what;
    };
    CHECK(outcome_of(storage_lie::none, fault_kind::drop_after_head, -1) == "protocol");
    CHECK(outcome_of(storage_lie::none, fault_kind::drop_before_head, -1) == "connect");
    CHECK(outcome_of(storage_lie::none, fault_kind::length_too_long, -1) == "protocol");
    CHECK(outcome_of(storage_lie::no_validators, fault_kind::drop_in_body, -1) == "protocol");
    CHECK(outcome_of(storage_lie::new_validators, fault_kind::drop_in_body, -1) == "protocol");
    CHECK(outcome_of(storage_lie::range_elsewhere, fault_kind::drop_in_body, 1) == "protocol");
    CHECK(outcome_of(storage_lie::range_of_other, fault_kind::drop_in_body, 1) == "protocol");
    CHECK(outcome_of(storage_lie::encoded, fault_kind::drop_in_body, 0) == "protocol");
    CHECK(outcome_of(storage_lie::token_refused, fault_kind::drop_in_body, 0) == "api 400");
    bench<T> b(modern());
    b.store("f", content);
    CHECK(result_of([&] { b.folder().download({"missing"}, b.box.out()); }).what == "api 404");
    CHECK(result_of([&] { b.folder().download({"f/../../g"}, b.box.out()); }).what == "argument");
    CHECK(result_of([&] { b.folder().download({"nul"}, b.box.out()); }).what == "argument");
    backendai::download_options how;
    how.max_bytes = 499'999;
    CHECK(result_of([&] { b.folder().download({"f"}, b.box.out(), how); }).what == "protocol");
    CHECK(result_of([&] { b.folder().download({"."}, b.box.out(), how); }).what == "protocol");
    CHECK_FALSE(fs::exists(b.box.out()));
}

TEST_CASE_TEMPLATE("storage: a hostile listing is an error, and nothing is written", T, BACKENDAI_SOCKET_TRANSPORTS) {
    for (const char* name : {"..", ".", "", "../up", "a/b", "/etc/passwd", "a\\b", "c:", "nul", "line\nbreak"}) {
        bench<T> b(modern());
        b.store("tree/good", "x");
        b.server.inject(listing_of({listed_file(name, 1)}));
        const auto result = result_of([&] { b.folder().download({"tree"}, b.box.out()); });
        CHECK_MESSAGE(result.what == "protocol", name, ' ', result.what, ' ', result.message);
        CHECK_FALSE(fs::exists(b.box.out()));
        CHECK_FALSE(fs::exists(b.box.root() / "up"));
    }
}

TEST_CASE_TEMPLATE("storage: sizes that add up to more than 64 bits hold are an error, and nothing is written", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    bench<T> b(modern());
    b.store("tree/a", "x");
    const auto most = static_cast<std::uint64_t>((std::numeric_limits<std::int64_t>::max)());
    b.server.inject(listing_of({listed_file("a", most), listed_file("b", most), listed_file("c", 3)}));
    backendai::download_options how;
    SUBCASE("with a limit") {
        how.max_bytes = 1'000;
    }
    SUBCASE("without") {}
    const auto result = result_of([&] { b.folder().download({"tree"}, b.box.out(), how); });
    CHECK(result.what == "protocol");
    CHECK(result.message.find("64 bits") != std::string::npos);
    CHECK_FALSE(fs::exists(b.box.out()));
}

TEST_CASE_TEMPLATE("storage: what exists is replaced, kept or in the way", T, BACKENDAI_SOCKET_TRANSPORTS) {
    bench<T> b(modern());
    b.store("tree/a", "new a");
    b.store("tree/b", "new b");
    b.box.put("out/tree/a", "old a");
    backendai::download_options how;
    how.existing = existing_files::skip;
    b.folder().download({"tree"}, b.box.out(), how);
    CHECK(sandbox::read(b.box.out() / "tree/a") == "old a");
    CHECK(sandbox::read(b.box.out() / "tree/b") == "new b");
    how.existing = existing_files::fail;
    const auto before = b.server.received();
    CHECK(result_of([&] { b.folder().download({"tree/b"}, b.box.out(), how); }).what == "io");
    CHECK(b.server.received() == before);
    how.existing = existing_files::overwrite;
    b.folder().download({"tree"}, b.box.out(), how);
    CHECK(sandbox::read(b.box.out() / "tree/a") == "new a");
    // A link in the way of a directory is not followed.
    fs::create_directories(b.box.root() / "elsewhere");
    fs::remove_all(b.box.out() / "tree");
    fs::create_directory_symlink(b.box.root() / "elsewhere", b.box.out() / "tree");
    CHECK(result_of([&] { b.folder().download({"tree"}, b.box.out(), how); }).what == "io");
    CHECK(below(b.box.root() / "elsewhere").empty());
}

TEST_CASE_TEMPLATE("storage: a download that keeps its parts is gone on with by a later call", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    range_recorder seen;
    bench<T> b(seen.options());
    const std::string content = noise(900'000);
    b.store("d/f", content);
    backendai::download_options stops;
    std::uint64_t at = 400'000;
    stops.progress = [&](const std::string&, std::uint64_t done, std::uint64_t) { return done < at; };
    SUBCASE("not without being asked to") {
        CHECK(result_of([&] { b.folder().download({"d/f"}, b.box.out(), stops); }).what == "cancelled");
        CHECK_FALSE(fs::exists(b.box.out()));
    }
    SUBCASE("when asked to") {
        stops.resume = true;
        CHECK(result_of([&] { b.folder().download({"d/f"}, b.box.out(), stops); }).what == "cancelled");
        std::uint64_t part = 0;
        for (const std::string& name : below(b.box.out())) {
            CHECK(name != "d/f");
            if (name.find(".part") != std::string::npos) part = fs::file_size(b.box.out() / name);
            if (name.find(".backendai-") != std::string::npos)
                CHECK(sandbox::read(b.box.out() / name).find("eyJ") == std::string::npos);
        }
        CHECK(part >= 400'000);
        std::uint64_t first = 0;
        backendai::download_options goes_on;
        goes_on.resume = true;
        goes_on.progress = [&](const std::string&, std::uint64_t done, std::uint64_t) {
            if (first == 0) first = done;
        };
        SUBCASE("and nothing has changed") {
            b.folder().download({"d/f"}, b.box.out(), goes_on);
            CHECK(seen.ranges.back() == "bytes=" + std::to_string(part) + '-');
            CHECK(first == part);
            CHECK(sandbox::read(b.box.out() / "d/f") == content);
        }
        SUBCASE("all of it came, but not its name") {
            const auto hidden = [&](const std::string& end) {
                for (const std::string& name : below(b.box.out())) {
                    if (name.size() > end.size() && name.substr(name.size() - end.size()) == end)
                        return b.box.out() / name;
                }
                return fs::path();
            };
            std::ofstream(hidden(".part"), std::ios::binary) << content;
            b.folder().download({"d/f"}, b.box.out(), goes_on);
            CHECK(seen.ranges.back() == "bytes=899999-");
            CHECK(sandbox::read(b.box.out() / "d/f") == content);
        }
        SUBCASE("it has changed on the server") {
            const std::string other = noise(700'000, 7);
            b.store("d/f", other);
            fs::last_write_time(b.place("d/f"), fs::last_write_time(b.place("d/f")) + std::chrono::hours(1));
            b.folder().download({"d/f"}, b.box.out(), goes_on);
            CHECK(sandbox::read(b.box.out() / "d/f") == other);
        }
        SUBCASE("it has changed on the server, which does not see it by the date") {
            const std::string other = noise(900'000, 8);
            const auto time = fs::last_write_time(b.place("d/f"));
            b.store("d/f", other);
            fs::last_write_time(b.place("d/f"), time + std::chrono::nanoseconds(1)); // another entity tag
            b.folder().download({"d/f"}, b.box.out(), goes_on);
            CHECK(sandbox::read(b.box.out() / "d/f") == other);
        }
        SUBCASE("the note is damaged") {
            for (const std::string& name : below(b.box.out())) {
                if (name.find(".json") != std::string::npos) std::ofstream(b.box.out() / name) << "{\"etag\":";
            }
            b.folder().download({"d/f"}, b.box.out(), goes_on);
            CHECK(seen.ranges.back().empty());
            CHECK(sandbox::read(b.box.out() / "d/f") == content);
        }
        CHECK(below(b.box.out()) == std::set<std::string>{"d", "d/f"});
    }
}
