// Downloads from a storage proxy that is a script: what it lies about, what a later download goes on with, and limits.
#include "files_support.hpp"
#include "scripted_transport.hpp"

#include <backendai/files/destination.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <thread>

using backendai::download_options;
using backendai::error_kind;
using files_support::sandbox;
using scripted::answer;
using scripted::answer_json;
using scripted::attempt;
using scripted::contains;
using scripted::json;

namespace {

json listed_item(const std::string& name, const char* type = "FILE") {
    return {{"name", name},
            {"type", type},
            {"mode", "644"},
            {"size", 1},
            {"created", "2020-01-01T00:00:00+00:00"},
            {"modified", "2020-01-01T00:00:00+00:00"}};
}

// A session on a manager and a storage proxy, whose answers the test makes.
struct proxy_bench {
    explicit proxy_bench(int attempts = 1)
        : b([attempts](backendai::api_config& config) {
              config.version = "v8.20240915";
              config.retry.max_attempts = attempts;
          }) {
        b->otherwise([this](const scripted::seen& request) {
            if (contains(request.target, "/request-download"))
                return answer_json({{"token", "to.k.en"}, {"url", "https://storage.example.org/download"}});
            return contains(request.target, "/files") ? list(request) : file(request);
        });
    }
    auto download(const std::string& name, const download_options& how = {}) {
        return attempt([&] { b.sdk->vfolder("f").download({name}, box.out(), how); });
    }
    std::size_t files_of_out() const {
        std::size_t count = 0;
        for (const std::string& line : box.listing()) count += contains(line, "out/") && line.back() != '/' ? 1U : 0U;
        return count;
    }

    std::function<scripted::reply(const scripted::seen&)> list, file;
    const sandbox box;
    scripted::bench b;
};

// The answer to a request for a file, cut off after what is given.
scripted::reply cut_off(const std::string& content, const backendai::header_list& headers) {
    scripted::reply made = answer(200, content, headers);
    made.after_body =
        backendai::client_error(error_kind::protocol, "gone", backendai::client_error::progress::maybe_sent);
    return made;
}

} // namespace

TEST_CASE("storage: the time limit holds for all listings of a directory together") {
    proxy_bench p;
    int lists = 0;
    p.list = [&](const scripted::seen&) {
        ++lists;
        std::this_thread::sleep_for(std::chrono::milliseconds(150));
        return answer_json({{"items", {listed_item("d", "DIRECTORY")}}}); // a directory that has itself in it
    };
    backendai::call_options limit;
    limit.timeout = std::chrono::milliseconds(1000);
    const auto ended = attempt([&] { p.b.sdk->with(limit).vfolder("f").download({"."}, p.box.out()); });
    CHECK(ended.kind == error_kind::timeout);
    CHECK(lists > 1);
    CHECK(lists < 8);
}

TEST_CASE("storage: names that differ by case only are refused before anything is written, or let through") {
    proxy_bench p;
    p.list = [](const scripted::seen&) {
        return answer_json({{"items", {listed_item("README"), listed_item("readme")}}});
    };
    p.file = [](const scripted::seen&) { return answer(200, "x", {{"Content-Length", "1"}}); };
    const auto refused = p.download(".");
    CHECK(refused.kind == error_kind::protocol);
    CHECK(contains(refused.text, "differs only by case"));
    CHECK(p.files_of_out() == 0);
    CHECK(attempt([&] { p.b.sdk->vfolder("f").download({"a/b", "A/c"}, p.box.out()); }).kind == error_kind::argument);
    download_options how;
    how.names = backendai::codec::path_policy::posix;
    CHECK(p.download(".", how).text.empty());
    CHECK(p.files_of_out() == 2);
    // A link that is left out is in nobody's way.
    p.list = [](const scripted::seen&) {
        return answer_json({{"items", {listed_item("README"), listed_item("readme", "SYMBOLIC_LINK")}}});
    };
    how.names = backendai::codec::path_policy::portable;
    how.special = backendai::special_files::skip;
    CHECK(p.download(".", how).text.empty());
}

TEST_CASE("storage: a listing's names take memory within bounds") {
    proxy_bench p;
    int depth = 0;
    const std::string name(250, 'n');
    p.list = [&](const scripted::seen&) {
        json items = json::array();
        if (++depth < 16) {
            items.push_back(listed_item(name, "DIRECTORY"));
        } else {
            for (int i = 10'000; i < 27'000; ++i) items.push_back(listed_item(name + std::to_string(i)));
        }
        return answer_json({{"items", std::move(items)}});
    };
    download_options how;
    how.names = backendai::codec::path_policy::posix;
    const auto refused = p.download(".", how);
    CHECK(refused.kind == error_kind::protocol);
    CHECK(contains(refused.text, "more than 64 MiB"));
    CHECK_FALSE(files_support::fs::exists(p.box.out()));
}

TEST_CASE("storage: what a listing says of errors is told without its control characters, and not at length") {
    proxy_bench p;
    p.list = [](const scripted::seen&) {
        return answer_json({{"errors", "\x1b]0;mine\x07" + std::string(100'000, 'e')}, {"files", ""}});
    };
    const auto refused = p.download(".");
    CHECK(refused.kind == error_kind::protocol);
    CHECK(contains(refused.text, "]0;mine"));
    CHECK_FALSE(contains(refused.text, "\x1b"));
    CHECK(refused.text.size() < 2000);
}

TEST_CASE("storage: a part and the note of another state do not become one file") {
    const backendai::header_list state_a = {{"Last-Modified", "Tue, 01 Jan 2019 00:00:00 GMT"}, {"ETag", "\"a\""}};
    const std::string a(1000, 'A');
    proxy_bench p;
    download_options how;
    how.resume = true;
    p.file = [&](const scripted::seen&) {
        auto headers = state_a;
        headers.add("Content-Length", "1000");
        return cut_off(a.substr(0, 400), headers);
    };
    CHECK(p.download("x", how).kind == error_kind::protocol);
    // Another content, of which the server tells nothing to know it by.
    p.file = [&](const scripted::seen& request) {
        CHECK(request.headers.get("Range") == "bytes=400-");
        return cut_off(std::string(500, 'B'), {});
    };
    CHECK(p.download("x", how).kind == error_kind::protocol);
    // The first one again.
    p.file = [&](const scripted::seen& request) {
        auto headers = state_a;
        const std::string range = request.headers.get("Range");
        const std::size_t begin = range.empty() ? 0 : std::stoul(range.substr(6));
        if (begin != 0) headers.add("Content-Range", "bytes " + std::to_string(begin) + "-999/1000");
        headers.add("Content-Length", std::to_string(1000 - begin));
        return answer(begin == 0 ? 200 : 206, a.substr(begin), headers);
    };
    CHECK(p.download("x", how).text.empty());
    CHECK(sandbox::read(p.box.out() / "x") == a);
    CHECK(p.files_of_out() == 1);
}

TEST_CASE("storage: a part that does not end where it said is an error at once") {
    proxy_bench p(2);
    const backendai::header_list state = {{"Last-Modified", "Tue, 01 Jan 2019 00:00:00 GMT"}, {"ETag", "\"a\""}};
    std::uint64_t most = 0;
    download_options how;
    how.progress = [&](const std::string&, std::uint64_t done, std::uint64_t) {
        most = (std::max)(most, done);
        return true;
    };
    p.file = [&](const scripted::seen& request) {
        auto headers = state;
        if (request.headers.find("Range") == nullptr) {
            headers.add("Content-Length", "1000");
            return cut_off(std::string(400, 'A'), headers);
        }
        headers.add("Content-Range", "bytes 400-999/1000");
        scripted::reply endless = answer(206, {}, headers);
        for (int i = 0; i < 100; ++i) endless.pieces.emplace_back(300, 'A');
        return endless;
    };
    const auto refused = p.download("x", how);
    CHECK(refused.kind == error_kind::protocol);
    CHECK(contains(refused.text, "more bytes than announced"));
    CHECK(most == 1000);
    CHECK_FALSE(files_support::fs::exists(p.box.out()));
}

#ifndef _WIN32
TEST_CASE("storage: a part is written by one download at a time") {
    const sandbox box;
    const backendai::detail::destination<>::components name = {"x"};
    const auto policy = backendai::existing_files::overwrite;
    backendai::detail::destination<> second(box.out(), policy);
    const auto begin_second = [&] { return attempt([&] { second.begin_kept_file(name, ".p.part"); }); };
    {
        backendai::detail::destination<> first(box.out(), policy);
        first.begin_kept_file(name, ".p.part");
        first.write("AAAAAAAA");
        CHECK(begin_second().kind == error_kind::io);
        CHECK(contains(begin_second().text, "another download is writing it"));
        first.write("AAAA");
        first.end_file();
        CHECK(contains(begin_second().text, "another download is writing it")); // closed, but not named yet
        first.commit_files();
        CHECK(begin_second().text.empty());
        second.cut_file(0);
        second.write("B");
        CHECK(sandbox::read(box.out() / "x") == "AAAAAAAAAAAA");
        CHECK(contains(attempt([&] { first.begin_kept_file(name, ".p.part"); }).text, "another"));
    }
    second.discard();
    backendai::detail::destination<> third(box.out(), policy);
    CHECK(third.begin_kept_file(name, ".p.part") == 1); // what was left is to be had again
}

TEST_CASE("storage: a part that got its name while it was waited for is not taken for the part") {
    const sandbox box;
    const auto part = box.put("part", "whole");
    const backendai::os::directory here(box.root());
    const auto opened = here.open_file_for_writing("part");
    CHECK(here.has("part", opened));
    here.rename("part", "named");
    CHECK_FALSE(here.has("part", opened));
    box.put("part", "next");
    CHECK_FALSE(here.has("part", opened));
    CHECK(here.has("named", opened));
}
#endif
