// File transfers between the SDK and the embedded gateway, over sockets.
#include "../unit/files_support.hpp"

#include <backendai.hpp>
#include <backendai/testing/gateway.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <fstream>
#include <optional>
#include <string>
#include <thread>

using namespace files_support;
using backendai::error_kind;
using backendai::testing::file_lie;
using backendai::testing::gateway;
using backendai::testing::gateway_options;

namespace {

backendai::api_config config_of(const gateway& server) {
    backendai::api_config config;
    config.endpoint = server.endpoint();
    config.access_key = server.access_key();
    config.secret_key = server.secret_key();
    config.vfolder_mounts = std::vector<std::string>();
    return config;
}

template <class Call>
std::optional<error_kind> kind_of(Call call) {
    try {
        call();
    } catch (const backendai::client_error& e) {
        return e.kind();
    }
    return {};
}

// A tree with awkward names and sizes.
std::vector<std::string> make_tree(const sandbox& box) {
    std::vector<std::string> names = {"in/empty", "in/\xc3\xbcml\xc3\xa4ut/\xed\x95\x9c\xea\xb8\x80.txt",
                                      "in/with space/it's \"quoted\";x.txt", "in/100%25 sure.bin",
                                      "in/" + std::string(100, 'd') + '/' + std::string(100, 'f')};
    for (int i = 0; i < 25; ++i) names.push_back("in/many/" + std::to_string(i));
    unsigned seed = 0;
    for (const std::string& name : names) {
        box.put(name, noise(name == "in/empty" ? 0 : seed * seed * 300, seed));
        ++seed;
    }
    return names;
}

} // namespace

TEST_CASE("a tree comes back from a virtual folder as it was, in every encoding") {
    for (const char* encoding : {"gzip", "deflate", "identity"}) {
        CAPTURE(encoding);
        gateway_options options;
        options.vfolder_encoding = encoding;
        gateway server(options);
        backendai::session session(config_of(server));
        const sandbox box;
        const std::vector<std::string> names = make_tree(box);
        CHECK(session.vfolder().create("mydata1").name == "mydata1");
        const auto folder = session.vfolder("mydata1");
        backendai::upload_options up;
        up.basedir = box.root();
        std::uint64_t last = 0, total = 0;
        up.progress = [&](const std::string&, std::uint64_t done, std::uint64_t all) {
            last = done;
            total = all;
        };
        folder.upload({box.root() / "in"}, up);
        CHECK(last == total);
        CHECK(server.served("POST", "/folders/mydata1/upload") == 3); // batches of ten
        CHECK(folder.info().num_files == static_cast<std::int64_t>(names.size()));
        folder.download(names, box.out());
        for (const std::string& name : names) {
            CAPTURE(name);
            CHECK(sandbox::read(box.root() / name) == sandbox::read(box.out() / name));
        }
        folder.remove();
        CHECK(session.vfolder().list().empty());
    }
}

TEST_CASE("a session's files go up and down within the limits") {
    gateway server;
    backendai::session session(config_of(server));
    const sandbox box;
    const auto kernel = session.kernel().get_or_create("python");
    box.put("src/pkg/mod.py", "value = 42\n");
    box.put("src/run.py", "from pkg.mod import value; print(value); open('out.txt','w').write('done')");
    backendai::upload_options up;
    up.basedir = box.root() / "src";
    kernel.upload({box.root() / "src"}, up);
    CHECK(kernel.run("exec(open('run.py').read())").exit_code == 0);
    kernel.download({"out.txt", "pkg"}, box.out());
    CHECK(sandbox::read(box.out() / "out.txt") == "done");
    CHECK(sandbox::read(box.out() / "pkg/mod.py") == "value = 42\n");
    const auto listing = kernel.list_files("pkg");
    bool found = false;
    for (const auto& file : listing.files) found = found || (file.filename == "mod.py" && file.size == 11);
    CHECK(found);
    CHECK_FALSE(kernel.list_files("missing").errors.empty());

    const std::size_t before = server.received();
    box.put("src/big", std::string(1024 * 1024, 'x'));
    CHECK(kind_of([&] { kernel.upload({box.root() / "src"}, up); }) == error_kind::argument);
    fs::remove(box.root() / "src/big");
    for (int i = 0; i < 20; ++i) box.put("src/n" + std::to_string(i));
    CHECK(kind_of([&] { kernel.upload({box.root() / "src"}, up); }) == error_kind::argument);
    CHECK(server.received() == before);
    kernel.destroy();
}

TEST_CASE("every lie of the gateway is an error and leaves nothing") {
    gateway server;
    backendai::session session(config_of(server));
    const sandbox box;
    box.put("in/a", noise(5000));
    const auto kernel = session.kernel().get_or_create("python");
    backendai::upload_options up;
    up.basedir = box.root() / "in";
    kernel.upload({box.root() / "in/a"}, up);
    session.vfolder().create("lies");
    session.vfolder("lies").upload({box.root() / "in/a"}, up);
    const auto before = box.listing();
    backendai::download_options options;
    options.max_bytes = 1 << 20;
    for (const file_lie lie :
         {file_lie::traversal_name, file_lie::absolute_name, file_lie::bomb, file_lie::truncated_part,
          file_lie::truncated_body, file_lie::missing_part, file_lie::additional_part, file_lie::total_too_large,
          file_lie::total_too_small, file_lie::symbolic_link}) {
        CAPTURE(static_cast<int>(lie));
        server.lie_about_files(lie);
        const bool totals = lie == file_lie::total_too_large || lie == file_lie::total_too_small;
        if (!totals) {
            CHECK(kind_of([&] { kernel.download({"a"}, box.out(), options); }) == error_kind::protocol);
        }
        if (lie != file_lie::symbolic_link) {
            CHECK(kind_of([&] { session.vfolder("lies").download({"a"}, box.out(), options); }) ==
                  error_kind::protocol);
        }
        CHECK(box.listing() == before);
    }
    kernel.destroy();
}

TEST_CASE("a connection that ends anywhere in a download is an error, and no file appears") {
    gateway server;
    backendai::session session(config_of(server));
    const sandbox box;
    box.put("in/a", noise(700'000));
    session.vfolder().create("cut");
    backendai::upload_options up;
    up.basedir = box.root() / "in";
    session.vfolder("cut").upload({box.root() / "in/a"}, up);
    const auto before = box.listing();
    for (std::size_t position = 1; position < 700'000; position += 65536) {
        CAPTURE(position);
        backendai::testing::fault drop;
        drop.kind = backendai::testing::fault_kind::drop_in_body;
        drop.path_prefix = "/folders/cut/download";
        drop.position = position;
        server.inject(drop);
        CHECK(kind_of([&] { session.vfolder("cut").download({"a"}, box.out()); }).has_value());
        CHECK(box.listing() == before);
    }
    session.vfolder("cut").download({"a"}, box.out());
    CHECK(sandbox::read(box.out() / "a") == sandbox::read(box.root() / "in/a"));
}

TEST_CASE("folders are shared by invitation") {
    gateway_options options;
    options.other_users = {{"AKIAOTHEROTHEROTHER1", "otherotherotherotherotherotherotherother", "other@example.com"}};
    gateway server(options);
    backendai::session owner(config_of(server));
    backendai::api_config config = config_of(server);
    config.access_key = options.other_users[0].access_key;
    config.secret_key = options.other_users[0].secret_key;
    backendai::session guest(config);
    owner.vfolder().create("shared");
    CHECK(guest.vfolder().list().empty());
    CHECK(owner.vfolder("shared").invite("ro", {"other@example.com", "nobody@example.com"}) ==
          std::vector<std::string>{"other@example.com"});
    const auto waiting = guest.vfolder().invitations();
    REQUIRE(waiting.size() == 1);
    CHECK(waiting[0].permission == "ro");
    guest.vfolder().accept_invitation(waiting[0].id, options.other_users[0].access_key);
    REQUIRE(guest.vfolder().list().size() == 1);
    CHECK_FALSE(guest.vfolder().list()[0].is_owner);
    CHECK(guest.vfolder("shared").list_files().files.empty());
    CHECK_THROWS_AS(guest.vfolder("shared").mkdir("x"), backendai::api_error);
    owner.vfolder("shared").mkdir("a/b");
    CHECK(guest.vfolder("shared").list_files("a").files.at(0).is_directory);
    CHECK_THROWS_AS(owner.vfolder("shared").delete_files({"a"}), backendai::api_error);
    owner.vfolder("shared").delete_files({"a"}, true);
    CHECK(guest.vfolder("shared").list_files().files.empty());
    CHECK_THROWS_AS(guest.vfolder().delete_invitation(waiting[0].id), backendai::api_error);
}

TEST_CASE("the gateway measures a folder in which files and directories come and go") {
    const sandbox box;
    box.put("stays/file", "12345");
    std::atomic<bool> over{false};
    std::thread busy([&] {
        for (int i = 0; !over; ++i) {
            const fs::path place = box.root() / std::to_string(i % 8);
            fs::create_directories(place / "below");
            std::ofstream(place / "below" / "file") << 'x';
            fs::remove_all(place);
        }
    });
    bool found = true;
    for (int i = 0; i < 2000; ++i) {
        backendai::testing::detail::disk_usage used;
        CHECK_NOTHROW(used = backendai::testing::detail::usage_of(box.root()));
        found = found && used.files >= 1 && used.bytes >= 5;
    }
    over = true;
    busy.join();
    CHECK(found);
    const backendai::testing::detail::disk_usage used = backendai::testing::detail::usage_of(box.root());
    CHECK(used.files == 1);
    CHECK(used.bytes == 5);
}
