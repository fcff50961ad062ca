// Virtual folder functions by the server's generation, without the transfer of files.
#include "scripted_transport.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

using namespace backendai;
using scripted::answer;
using scripted::answer_json;
using scripted::attempt;
using scripted::bench;
using scripted::contains;
using scripted::seen;
using scripted::speaking;

namespace {

const json made = {{"id", "b78cedbab0dc43f8af459d9f2bb9742a"}, {"name", "data"}, {"host", "local:volume1"}};

// Makes one call in a version, and gives the request back.
seen sent_by(const std::string& version, const json& reply, const std::function<void(scripted::session&)>& call) {
    bench on(speaking(version));
    on->otherwise([&](const seen&) { return answer_json(reply); });
    call(*on.sdk);
    REQUIRE(on->count() == 1);
    return on->requests().at(0);
}
// The text of the argument error that a version answers with, before anything is sent.
std::string refusal(const std::string& version, const std::function<void(scripted::session&)>& call) {
    bench on(speaking(version));
    const auto result = attempt([&] { call(*on.sdk); });
    CHECK(result.kind == error_kind::argument);
    CHECK(on->count() == 0);
    return result.text;
}

} // namespace

TEST_CASE("a folder's creation says what it is told, in versions that know it") {
    vfolder_create_options options;
    options.host = "local:volume1";
    options.group = "default";
    options.usage_mode = "data";
    options.permission = "ro";
    options.unmanaged_path = "/mnt/x";
    options.cloneable = true;
    options.quota = "10g";
    const auto create = [&](scripted::session& sdk) { sdk.vfolder().create("data", options); };
    CHECK(sent_by("v6.20230315", made, create).body_json() == json{{"name", "data"},
                                                                   {"host", "local:volume1"},
                                                                   {"group", "default"},
                                                                   {"usage_mode", "data"},
                                                                   {"permission", "ro"},
                                                                   {"unmanaged_path", "/mnt/x"},
                                                                   {"cloneable", true},
                                                                   {"quota", "10g"}});
    CHECK(contains(refusal("v4.20190315", create), "group exists since protocol version v4.20190615"));
    CHECK(contains(refusal("v4.20190615", create), "usage_mode exists since protocol version v5.20191215"));
    CHECK(contains(refusal("v5.20191215", create), "cloneable exists since protocol version v6.20200815"));
    for (const char* version : {"v4.20190315", "v9.20250722"}) {
        CHECK(sent_by(version, made, [](scripted::session& sdk) { sdk.vfolder().create("data"); }).body_json() ==
              json{{"name", "data"}, {"host", nullptr}});
    }
}

TEST_CASE("folders with a dot in front are for servers that know them") {
    const auto info = [](scripted::session& sdk) { sdk.vfolder(".local").info(); };
    CHECK(sent_by("v6.20230315", made, info).target == "/base/folders/.local");
    CHECK(contains(refusal("v4.20190315", info), "since protocol version v4.20190615"));
    for (const char* wrong : {".", "..", ".-", "", "a/b", "-a", "a."}) {
        CAPTURE(wrong);
        refusal("v6.20230315", [&](scripted::session& sdk) { sdk.vfolder(wrong).info(); });
    }
}

TEST_CASE("folders are renamed") {
    for (const char* version : {"v4.20190315", "v8.20240915"}) {
        const seen sent =
            sent_by(version, json::object(), [](scripted::session& sdk) { sdk.vfolder("data").rename("other"); });
        CHECK(sent.method == "POST");
        CHECK(sent.target == "/base/folders/data/rename");
        CHECK(sent.body_json() == json{{"new_name", "other"}});
    }
    refusal("v8.20240915", [](scripted::session& sdk) { sdk.vfolder("data").rename("a b"); });
}

TEST_CASE("directories are made with and without parents; what the server could not do is an error") {
    const auto usual = [](scripted::session& sdk) { sdk.vfolder("data").mkdir("a/b"); };
    const auto special = [](scripted::session& sdk) {
        mkdir_options options;
        options.parents = false;
        options.exist_ok = true;
        sdk.vfolder("data").mkdir("a/b", options);
    };
    for (const char* version : {"v4.20190315", "v6.20230315"}) {
        CHECK(sent_by(version, json::object(), usual).body_json() == json{{"path", "a/b"}});
    }
    CHECK(sent_by("v6.20200815", json::object(), special).body_json() ==
          json{{"path", "a/b"}, {"parents", false}, {"exist_ok", true}});
    CHECK(contains(refusal("v5.20191215", special), "parents and exist_ok exists since protocol version v6.20200815"));

    bench on(speaking("v8.20240315"));
    on->add(answer_json({{"results", {{"success", {{{"item", "a/b"}}}}, {"failed", json::array()}}}}));
    usual(*on.sdk);
    on->add(answer(201)); // empty, as servers before 24.03 answer
    usual(*on.sdk);
    on->add(answer_json({{"results", {{"success", json::array()}, {"failed", {{{"item", "a/b"}, {"msg", "exists"}}}}}}},
                        207));
    try {
        usual(*on.sdk);
        FAIL("no error");
    } catch (const api_error& e) {
        CHECK(e.status() == 207);
        CHECK(e.data()[0]["msg"] == "exists");
    }
}

TEST_CASE("files are renamed, moved and deleted at the paths of each generation") {
    const auto rename = [](scripted::session& sdk) { sdk.vfolder("data").rename_file("d/old.txt", "new.txt"); };
    CHECK(sent_by("v5.20191215", json::object(), rename).target == "/base/folders/data/rename_file");
    const seen renamed = sent_by("v6.20200815", json::object(), rename);
    CHECK(renamed.target == "/base/folders/data/rename-file");
    CHECK(renamed.body_json() == json{{"target_path", "d/old.txt"}, {"new_name", "new.txt"}});
    CHECK(contains(refusal("v4.20190615", rename), "rename_file() exists since protocol version v5.20191215"));
    for (const char* wrong : {"", "a/b", ".", "..", "a\nb"}) {
        refusal("v6.20200815", [&](scripted::session& sdk) { sdk.vfolder("data").rename_file("x", wrong); });
    }
    for (const char* wrong : {"", "/x", "../x", "."}) {
        refusal("v6.20220315", [&](scripted::session& sdk) { sdk.vfolder("data").rename_file(wrong, "x"); });
        refusal("v6.20220315", [&](scripted::session& sdk) { sdk.vfolder("data").move_file(wrong, "x"); });
        refusal("v6.20220315", [&](scripted::session& sdk) { sdk.vfolder("data").move_file("x", wrong); });
    }
    const auto move = [](scripted::session& sdk) { sdk.vfolder("data").move_file("a", "b/c"); };
    const seen moved = sent_by("v6.20220315", json::object(), move);
    CHECK(moved.target == "/base/folders/data/move-file");
    CHECK(moved.body_json() == json{{"src", "a"}, {"dst", "b/c"}});
    CHECK(contains(refusal("v6.20210815", move), "move_file() exists since protocol version v6.20220315"));
    const auto remove = [](scripted::session& sdk) { sdk.vfolder("data").delete_files({"a", "b"}, true); };
    for (const auto& [version, line] :
         std::vector<std::pair<std::string, std::string>>{{"v4.20190315", "DELETE /base/folders/data/delete_files"},
                                                          {"v5.20191215", "DELETE /base/folders/data/delete_files"},
                                                          {"v6.20200815", "DELETE /base/folders/data/delete-files"},
                                                          {"v8.20240315", "DELETE /base/folders/data/delete-files"},
                                                          {"v8.20240915", "POST /base/folders/data/delete-files"},
                                                          {"v9.20250722", "POST /base/folders/data/delete-files"}}) {
        const seen sent = sent_by(version, json::object(), remove);
        CHECK(sent.method + ' ' + sent.target == line);
        CHECK(sent.body_json() == json{{"files", {"a", "b"}}, {"recursive", true}});
    }
}

TEST_CASE("listings of files: the older and the newer form become the same entries") {
    const json items = {{{"name", "d"},
                         {"type", "DIRECTORY"},
                         {"size", 4096},
                         {"mode", "755"},
                         {"created", "2026-11-23T15:23:57.096805+00:00"},
                         {"modified", "2026-11-23T15:23:58+00:00"}},
                        {{"name", "l"}, {"type", "SYMBOLIC_LINK"}, {"size", 3}, {"mode", "777"}},
                        {{"name", "f.txt"},
                         {"type", "FILE"},
                         {"size", 10},
                         {"mode", "644"},
                         {"created", "2026-11-23T15:24:03+00:00"},
                         {"modified", "2026-11-23T15:24:03.828804+00:00"}}};
    bench on(speaking("v6.20230315"));
    on->add(answer_json({{"items", items}, {"files", "[]"}}));
    on->add(answer_json({{"items", items}})); // from 25.6 on
    for (std::size_t i = 0; i < 2; ++i) {
        const file_listing listing = on.sdk->vfolder("data").list_files("a b");
        CHECK(on->requests().at(i).target == "/base/folders/data/files?path=a+b");
        CHECK(on->requests().at(i).body.empty());
        REQUIRE(listing.files.size() == 3);
        CHECK(listing.files[0].filename == "d");
        CHECK(listing.files[0].is_directory);
        CHECK(listing.files[0].mode == "drwxr-xr-x");
        CHECK(listing.files[1].mode == "lrwxrwxrwx");
        CHECK_FALSE(listing.files[1].is_directory);
        CHECK(listing.files[2].mode == "-rw-r--r--");
        CHECK(listing.files[2].permissions == 0644U);
        CHECK(listing.files[2].size == 10);
        const auto since_epoch = listing.files[2].mtime.time_since_epoch();
        CHECK(std::chrono::duration_cast<std::chrono::milliseconds>(since_epoch).count() == 1795447443828);
    }
    const auto one = [&](const char* key, const json& value) {
        json item = items[2];
        item[key] = value;
        on->add(answer_json({{"items", json::array({item})}}));
        return attempt([&] { on.sdk->vfolder("data").list_files(); });
    };
    for (const auto& item : std::vector<std::pair<std::string, json>>{{"name", 5},
                                                                      {"size", -1},
                                                                      {"size", "x"},
                                                                      {"created", "yesterday"},
                                                                      {"modified", json::array()},
                                                                      {"mode", 5}}) {
        CAPTURE(item.first);
        CHECK(one(item.first.c_str(), item.second).kind == error_kind::protocol);
    }
    CHECK(one("mode", "rw-r--r--").text == "");
    CHECK(one("mode", "99").text == "");
    on->add(answer_json({{"items", "x"}}));
    CHECK(attempt([&] { on.sdk->vfolder("data").list_files(); }).kind == error_kind::protocol);
    CHECK(sent_by("v4.20190315", {{"files", "[]"}}, [](scripted::session& sdk) {
              sdk.vfolder("data").list_files("a");
          }).body_json() == json{{"path", "a"}});
}

TEST_CASE("invitations are made, told and accepted in the words of each generation") {
    const auto invite = [](scripted::session& sdk) {
        CHECK(sdk.vfolder("data").invite("rw", {"a@b.c"}) == std::vector<std::string>{"a@b.c"});
    };
    const json invited = {{"invited_ids", {"a@b.c"}}};
    CHECK(sent_by("v5.20191215", invited, invite).body_json() == json{{"perm", "rw"}, {"user_ids", {"a@b.c"}}});
    CHECK(sent_by("v6.20200815", invited, invite).body_json() == json{{"perm", "rw"}, {"emails", {"a@b.c"}}});

    const json list = {{"invitations",
                        {{{"id", "i-1"},
                          {"inviter", "me@b.c"},
                          {"invitee", "a@b.c"},
                          {"perm", "ro"},
                          {"state", "pending"},
                          {"created_at", "2026-11-23 15:24:05.166453+00:00"},
                          {"modified_at", "None"},
                          {"vfolder_id", "f-1"},
                          {"vfolder_name", "data"}}}}};
    const auto told = [](scripted::session& sdk) {
        const auto sent = sdk.vfolder().sent_invitations();
        REQUIRE(sent.size() == 1);
        CHECK(sent[0].invitee == "a@b.c");
        CHECK(sent[0].vfolder_name == "data");
        CHECK(sent[0].permission == "ro");
    };
    CHECK(sent_by("v5.20191215", list, told).target == "/base/folders/invitations/list_sent");
    CHECK(sent_by("v6.20200815", list, told).target == "/base/folders/invitations/list-sent");
    CHECK(contains(refusal("v4.20190315", told), "sent_invitations() exists since protocol version v4.20190615"));

    const auto accept = [](const char* key) {
        return [key](scripted::session& sdk) { sdk.vfolder().accept_invitation("i-1", key); };
    };
    const std::string own = scripted::access_key();
    CHECK(sent_by("v4.20190315", json::object(), accept("")).body_json() == json{{"inv_id", "i-1"}, {"inv_ak", own}});
    CHECK(sent_by("v4.20190315", json::object(), accept("AK")).body_json() ==
          json{{"inv_id", "i-1"}, {"inv_ak", "AK"}});
    CHECK(sent_by("v6.20230315", json::object(), accept("")).body_json() == json{{"inv_id", "i-1"}});
    CHECK(sent_by("v6.20230315", json::object(), accept(own.c_str())).body_json() == json{{"inv_id", "i-1"}});
    CHECK(contains(refusal("v6.20230315", accept("AK")), "inv_ak"));
}

TEST_CASE("information and hosts of a modern server") {
    bench on(speaking("v8.20240915"));
    on->add(answer_json({{"name", "data"},
                         {"id", "f-1"},
                         {"host", "local:volume1"},
                         {"num_files", 13},
                         {"created_at", "2026-11-23 15:23:56+00:00"},
                         {"is_owner", true},
                         {"permission", "rw"}}));
    const vfolder_info info = on.sdk->vfolder("data").info();
    CHECK(info.num_files == 13);
    CHECK(info.created == "2026-11-23 15:23:56+00:00");
    on->add(answer_json(
        {{"default", "local:volume1"}, {"allowed", {"local:volume1", "nas:x"}}, {"volume_info", json::object()}}));
    const vfolder_hosts hosts = on.sdk->vfolder().hosts();
    CHECK(hosts.default_host == "local:volume1");
    CHECK(hosts.allowed == std::vector<std::string>{"local:volume1", "nas:x"});
    CHECK(on->requests().at(1).target == "/base/folders/_/hosts");
    on->add(answer_json({{"default", nullptr}, {"allowed", json::array()}}));
    CHECK_FALSE(on.sdk->vfolder().hosts().default_host);
}
