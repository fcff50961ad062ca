// Virtual folders over sockets: everything but the transfers themselves, and their policies.
#include "files_bench.hpp"

#include <doctest/doctest.h>

using namespace files_support;
using backendai::existing_files;
using files_bench::bench;
using files_bench::progress;

TEST_CASE_TEMPLATE("files that get another name on their way up", T, BACKENDAI_SOCKET_TRANSPORTS) {
    bench<T> b;
    b.session.vfolder().create("data");
    const auto folder = b.session.vfolder("data");
    b.box.put("a/one", "1");
    b.box.put("a/two", "22");
    auto options = b.from(b.box);
    options.rename = [](const std::string& name) { return "there" + name.substr(1); };
    folder.upload({b.box.root() / "a"}, options);
    CHECK(folder.list_files("there").files.size() == 2);
    CHECK(folder.info().num_files == 2);
    const std::size_t before = b.server.received();
    options.rename = [](const std::string&) { return "same"; };
    CHECK(result_of([&] { folder.upload({b.box.root() / "a"}, options); }).what == "argument");
    options.rename = [](const std::string&) { return ""; };
    CHECK(result_of([&] { folder.upload({b.box.root() / "a/one"}, options); }).what == "argument");
    options.rename = [](const std::string& name) { return name + "\r\n"; };
    CHECK(result_of([&] { folder.upload({b.box.root() / "a/one"}, options); }).what == "argument");
    CHECK(b.server.received() == before);
}

TEST_CASE_TEMPLATE("the life of a virtual folder", T, BACKENDAI_SOCKET_TRANSPORTS) {
    bench<T> b;
    const auto functions = b.session.vfolder();
    CHECK(functions.list().empty());
    const auto made = functions.create("my.data_1-x", "local");
    CHECK(made.name == "my.data_1-x");
    CHECK(made.host == "local");
    CHECK_FALSE(made.id.empty());
    CHECK(result_of([&] { functions.create("my.data_1-x"); }).what == "api 400");
    functions.create("b");
    const auto list = functions.list();
    REQUIRE(list.size() == 2);
    for (const auto& each : list) {
        CHECK(each.is_owner);
        CHECK_FALSE(each.permission.empty());
    }
    const auto folder = b.session.vfolder("my.data_1-x");
    const auto info = folder.info();
    CHECK(info.id == made.id);
    CHECK(info.num_files == 0);
    CHECK(info.is_owner);
    CHECK_FALSE(info.created.empty());

    folder.mkdir("a/b/c");
    b.box.put("a/b/f", "12345");
    b.box.put("a/g", "");
    folder.upload({b.box.root() / "a"}, b.from(b.box));
    CHECK(folder.info().num_files == 2);
    const auto inside = folder.list_files("a/b").files;
    REQUIRE(inside.size() == 2);
    CHECK(inside[0].filename == "c");
    CHECK(inside[0].is_directory);
    CHECK(inside[1].filename == "f");
    CHECK(inside[1].size == 5);
    CHECK(folder.list_files().files.size() == 1);
    CHECK(folder.list_files("./a//").files.size() == 2);
    CHECK(result_of([&] { folder.list_files("missing"); }).what == "api 404");

    CHECK(result_of([&] { folder.delete_files({"a/b"}); }).what == "api 400");
    CHECK(result_of([&] { folder.delete_files({"a/missing"}); }).what == "api 400");
    folder.delete_files({"a/b/f", "a/g"});
    CHECK(folder.info().num_files == 0);
    folder.delete_files({"a"}, true);
    CHECK(folder.list_files().files.empty());
    folder.remove();
    CHECK(result_of([&] { folder.info(); }).what == "api 404");
    CHECK(result_of([&] { folder.remove(); }).what == "api 404");
    CHECK(result_of([&] { folder.download({"a"}, b.box.out()); }).what == "api 404");
    CHECK(result_of([&] { folder.upload({b.box.root() / "a"}, b.from(b.box)); }).what == "api 404");
    CHECK_FALSE(fs::exists(b.box.out()));
    CHECK(functions.list().size() == 1);
}

TEST_CASE("names of folders and paths in them are judged before anything is sent") {
    bench<backendai::httplib_transport> b;
    b.session.vfolder().create("good");
    const std::size_t before = b.server.received();
    const auto argument = [&](auto call) {
        const call_result result = result_of(call);
        CHECK(result.what == "argument");
        CHECK(result.sent == progress::nothing_sent);
    };
    for (const char* name : {"", ".", "..", "-a", "a-", "a/b", "a b", "\xc3\xbc", "a\n", "%2e", "a?b", "a#"}) {
        CAPTURE(name);
        const auto folder = b.session.vfolder(name);
        argument([&] { b.session.vfolder().create(name); });
        argument([&] { folder.info(); });
        argument([&] { folder.remove(); });
        argument([&] { folder.upload({}, {}); });
        argument([&] { folder.download({"a"}, b.box.out()); });
        argument([&] { folder.mkdir("a"); });
        argument([&] { folder.delete_files({"a"}); });
        argument([&] { folder.list_files(); });
        argument([&] { folder.invite("ro", {"user@example.com"}); });
    }
    argument([&] { b.session.vfolder().create(".personal"); }); // not on servers of 19.03
    const auto folder = b.session.vfolder("good");
    for (const char* path : {"/abs", "../up", "a/../../up", "nul\x01", "a\\b"}) {
        CAPTURE(path);
        argument([&] { folder.mkdir(path); });
        argument([&] { folder.delete_files({path}); });
        argument([&] { folder.list_files(path); });
        argument([&] { folder.download({path}, b.box.out()); });
    }
    argument([&] { folder.mkdir(""); });
    argument([&] { folder.mkdir("."); });
    argument([&] { folder.delete_files({"."}, true); }); // the whole folder is removed by remove()
    argument([&] { folder.invite("rwx", {"user@example.com"}); });
    argument([&] { folder.invite("ro", {}); });
    CHECK(b.server.received() == before);
}

TEST_CASE_TEMPLATE("invitations are accepted, turned down, and gone after that", T, BACKENDAI_SOCKET_TRANSPORTS) {
    backendai::testing::gateway_options options;
    options.other_users = {{"AKIAOTHEROTHEROTHER1", "otherotherotherotherotherotherotherother", "other@example.com"}};
    bench<T> b(options);
    backendai::api_config config = files_bench::config_of(b.server.endpoint());
    config.access_key = options.other_users[0].access_key;
    config.secret_key = options.other_users[0].secret_key;
    backendai::basic_session<T, backendai::blocking> guest(config);
    for (const char* perm : {"ro", "rw", "wd"}) {
        CAPTURE(perm);
        const auto mine = b.folder_with("f", "content", perm);
        CHECK(mine.invite(perm, {"other@example.com"}) == std::vector<std::string>{"other@example.com"});
        CHECK(mine.invite(perm, {"other@example.com"}).empty()); // once is enough
        const auto waiting = guest.vfolder().invitations();
        REQUIRE(waiting.size() == 1);
        CHECK(waiting[0].permission == perm);
        CHECK(waiting[0].inviter == "user@example.com");
        CHECK(waiting[0].state == "pending");
        CHECK(waiting[0].vfolder_id == mine.info().id);
        CHECK(result_of([&] { guest.vfolder(perm).info(); }).what == "api 404");
        guest.vfolder().accept_invitation(waiting[0].id, *config.access_key);
        const auto theirs = guest.vfolder(perm);
        CHECK_FALSE(theirs.info().is_owner);
        CHECK(theirs.info().permission == perm);
        theirs.download({"f"}, b.box.root() / perm);
        CHECK(sandbox::read(b.box.root() / perm / "f") == "content");
        b.box.put("new", "new");
        const bool writes = std::string(perm) != "ro", deletes = std::string(perm) == "wd";
        CHECK((result_of([&] { theirs.upload({b.box.root() / "new"}, b.from(b.box)); }).what == "ok") == writes);
        CHECK((result_of([&] { theirs.delete_files({"f"}); }).what == "ok") == deletes);
        CHECK(result_of([&] { theirs.remove(); }).what != "ok");
        CHECK(mine.list_files().files.size() == (writes && !deletes ? 2U : 1U));
    }
    const auto mine = b.session.vfolder("ro");
    b.session.vfolder().create("unwanted");
    b.session.vfolder("unwanted").invite("ro", {"other@example.com"});
    const std::string id = guest.vfolder().invitations().at(0).id;
    guest.vfolder().delete_invitation(id);
    CHECK(guest.vfolder().invitations().empty());
    CHECK(guest.vfolder().list().size() == 3);
    const call_result again = result_of([&] { guest.vfolder().accept_invitation(id, *config.access_key); });
    CHECK(again.what == "api 404");
    CHECK(again.message.find("No such vfolder invitation") != std::string::npos);
}

TEST_CASE_TEMPLATE("existing files: replaced, kept, or an error", T, BACKENDAI_SOCKET_TRANSPORTS) {
    bench<T> b;
    const auto folder = b.folder_with("old", "new content");
    b.box.put("out/old", "old content");
    const auto before = b.box.listing();
    const std::size_t requests = b.server.received();
    backendai::download_options options;
    options.existing = existing_files::fail;
    const call_result refused = result_of([&] { folder.download({"old"}, b.box.out(), options); });
    CHECK(refused.what == "io");
    CHECK(refused.sent == progress::nothing_sent);
    CHECK(refused.message.find("out/old") != std::string::npos);
    options.existing = existing_files::skip;
    folder.download({"old"}, b.box.out(), options);
    CHECK(b.server.received() == requests); // neither of them asked for anything
    CHECK(b.box.listing() == before);
    folder.download({"old"}, b.box.out());
    CHECK(sandbox::read(b.box.out() / "old") == "new content");

    const auto kernel = b.session.kernel().get_or_create("bash");
    kernel.upload({b.box.put("out/old", "from the session")}, [&] {
        backendai::upload_options up;
        up.basedir = b.box.out();
        return up;
    }());
    b.box.put("out/old", "old content");
    options.existing = existing_files::fail;
    const call_result late = result_of([&] { kernel.download({"old"}, b.box.out(), options); });
    CHECK(late.what == "io");
    CHECK(late.sent == progress::maybe_sent); // what is in an archive shows when it has come
    options.existing = existing_files::skip;
    kernel.download({"old"}, b.box.out(), options);
    CHECK(b.box.listing() == before);
    kernel.download({"old"}, b.box.out());
    CHECK(sandbox::read(b.box.out() / "old") == "from the session");
    kernel.destroy();
}

TEST_CASE_TEMPLATE("files are attached to requests of one's own, and answers stream", T, BACKENDAI_SOCKET_TRANSPORTS) {
    bench<T> b;
    b.session.vfolder().create("data");
    const std::string large = noise(3'000'000);
    std::vector<backendai::attached_file> files(3);
    files[0].filename = "from \"disk\"; 100%.bin";
    files[0].stream = std::make_shared<backendai::file_source>(b.box.put("large", large));
    files[1].filename = "dir/\xed\x95\x9c\xea\xb8\x80.txt";
    files[1].bytes = "text\r\n";
    files[1].content_type = "text/plain; charset=utf-8";
    files[2].filename = "empty";
    backendai::request upload(b.session, "POST", "/folders/data/upload");
    upload.attach_files(files);
    CHECK(upload.fetch().status() == 201);
    CHECK(upload.fetch().status() == 201); // read once more, from the start
    const auto folder = b.session.vfolder("data");
    CHECK(folder.info().num_files == 3);
    folder.download({files[0].filename, files[1].filename, "empty"}, b.box.out());
    CHECK(sandbox::read(b.box.out() / files[0].filename) == large);
    CHECK(sandbox::read(b.box.out() / fs::path(files[1].filename)) == "text\r\n");

    std::uint64_t pieces = 0, bytes = 0;
    backendai::request download(b.session, "GET", "/folders/data/download");
    download.set_json({{"files", {files[0].filename}}});
    int heads = 0;
    const auto answer = download.fetch(
        [&](const backendai::response_head& head) {
            CHECK(bytes == 0);
            CHECK(head.status == 200);
            CHECK(head.headers.get("X-TOTAL-PAYLOADS-LENGTH") == "3000000");
            ++heads;
        },
        [&](std::string_view piece) {
            ++pieces;
            bytes += piece.size();
        });
    CHECK(heads == 1);
    CHECK(answer.status() == 200);
    CHECK(answer.text().empty());
    CHECK(answer.headers().get("X-TOTAL-PAYLOADS-LENGTH") == "3000000");
    CHECK(bytes > 3'000'000);
    CHECK(pieces > 10);
    const std::string line_break = "a\r\nX-Injected: 1";
    std::vector<backendai::attached_file> bad(1);
    bad[0].filename = line_break;
    CHECK(result_of([&] { backendai::request(b.session, "POST", "/x").attach_files(bad); }).what == "argument");
    bad[0].filename = "ok";
    bad[0].content_type = line_break;
    CHECK(result_of([&] { backendai::request(b.session, "POST", "/x").attach_files(bad); }).what == "argument");
    bad[0].content_type = "text/plain";
    bad[0].field_name = line_break;
    CHECK(result_of([&] { backendai::request(b.session, "POST", "/x").attach_files(bad); }).what == "argument");
}
