// Virtual folders, key pairs, listings and the manager itself on the real server.
#include "real_support.hpp"

#include <backendai/codec/digest.hpp>

#include <set>

namespace {

using real::json;

template <class Call>
int status_of(Call call) {
    try {
        call();
    } catch (const backendai::api_error& e) {
        return e.status();
    }
    return 0;
}

} // namespace

TEST_CASE("real: virtual folders") {
    auto sdk = real::connect();
    auto user = real::connect(false);
    auto folder = sdk.vfolder("realfolder");
    real::works("vfolder.hosts", [&] {
        const auto hosts = sdk.vfolder().hosts();
        CHECK(hosts.default_host == "local:volume1");
        CHECK(hosts.allowed == std::vector<std::string>{"local:volume1"});
    });
    real::works("vfolder.create", [&] {
        backendai::vfolder_create_options options;
        options.usage_mode = "general";
        options.permission = "rw";
        options.cloneable = true;
        const auto made = sdk.vfolder().create("realfolder", options);
        CHECK(made.name == "realfolder");
        CHECK(made.id.size() == 32);
        CHECK(made.raw.at("cloneable") == true);
        backendai::vfolder_create_options group;
        group.group = real::group;
        CHECK(sdk.vfolder().create("realgroup", group).raw.at("ownership_type") == "group");
        CHECK(status_of([&] { sdk.vfolder().create("realfolder"); }) == 400);
    });
    real::works("vfolder.list", [&] {
        std::set<std::string> names;
        for (const auto& each : sdk.vfolder().list()) names.insert(each.name);
        CHECK(names == std::set<std::string>{"realfolder", "realgroup"});
    });
    real::works("vfolder.mkdir", [&] {
        folder.mkdir("deep/deeper");
        CHECK(status_of([&] { folder.mkdir("deep/deeper"); }) == 400);
        backendai::mkdir_options again;
        again.exist_ok = true;
        folder.mkdir("deep/deeper", again);
        backendai::mkdir_options strict;
        strict.parents = false;
        CHECK(status_of([&] { folder.mkdir("missing/below", strict); }) == 400);
    });
    const real::scratch local;
    const std::string big(3 << 20, 'x');
    real::works("vfolder.upload", [&] {
        local.write("up/a.txt", "a file\n");
        local.write("up/empty", "");
        local.write("up/deep/big.bin", big);
        local.write("up/\xc3\xa4 \xec\x95\x88.txt", "named");
        backendai::upload_options options;
        options.basedir = local.path / "up";
        options.chunk_size = 1 << 20;
        folder.upload({local.path / "up"}, options);
    });
    real::works("vfolder.list_files", [&] {
        const auto listing = folder.list_files();
        std::set<std::string> names;
        for (const auto& each : listing.files) names.insert(each.filename);
        CHECK(names == std::set<std::string>{"a.txt", "deep", "empty", "\xc3\xa4 \xec\x95\x88.txt"});
        for (const auto& each : folder.list_files("deep").files) {
            if (each.filename == "big.bin") CHECK(each.size == big.size());
            if (each.filename == "deeper") CHECK(each.is_directory);
        }
        CHECK(status_of([&] { folder.list_files("nosuch"); }) == 400);
    });
    real::works("vfolder.info", [&] {
        const auto info = folder.info();
        CHECK(info.name == "realfolder");
        CHECK(info.is_owner);
        CHECK(info.num_files >= 4);
        CHECK(status_of([&] { sdk.vfolder("nosuch").info(); }) == 404);
    });
    real::works("vfolder.download", [&] {
        folder.download({"a.txt", "empty", "deep/big.bin", "\xc3\xa4 \xec\x95\x88.txt"}, local.path / "down");
        CHECK(local.read("down/a.txt") == "a file\n");
        CHECK(local.read("down/empty").empty());
        CHECK(local.read("down/deep/big.bin") == big);
        CHECK(local.read("down/\xc3\xa4 \xec\x95\x88.txt") == "named");
        folder.download({"deep"}, local.path / "whole");
        CHECK(local.read("whole/deep/big.bin") == big);
        CHECK(std::filesystem::is_directory(local.path / "whole/deep/deeper"));
        CHECK(status_of([&] { folder.download({"nosuch"}, local.path / "down"); }) == 404);
    });
    real::works("vfolder.rename_file", [&] { folder.rename_file("a.txt", "b.txt"); });
    real::works("vfolder.move_file", [&] {
        folder.move_file("b.txt", "deep/c.txt");
        folder.download({"deep/c.txt"}, local.path / "moved");
        CHECK(local.read("moved/deep/c.txt") == "a file\n");
    });
    real::works("vfolder.delete_files", [&] {
        CHECK(status_of([&] { folder.delete_files({"deep"}); }) == 400);
        folder.delete_files({"empty"});
        folder.delete_files({"deep"}, true);
        CHECK(folder.list_files().files.size() == 1);
    });
    real::works("vfolder.rename", [&] {
        folder.rename("realfolder2");
        CHECK(status_of([&] { folder.info(); }) == 404);
        folder = sdk.vfolder("realfolder2");
        CHECK(folder.info().name == "realfolder2");
    });
    real::works("vfolder.invite", [&] {
        CHECK(folder.invite("ro", {"user@example.com"}) == std::vector<std::string>{"user@example.com"});
    });
    real::works("vfolder.sent_invitations", [&] {
        const auto sent = sdk.vfolder().sent_invitations();
        REQUIRE(sent.size() == 1);
        CHECK(sent[0].invitee == "user@example.com");
        CHECK(sent[0].vfolder_name == "realfolder2");
    });
    real::works("vfolder.invitations", [&] {
        const auto pending = user.vfolder().invitations();
        REQUIRE(pending.size() == 1);
        CHECK(pending[0].inviter == "admin@example.com");
        CHECK(pending[0].permission == "ro");
    });
    real::works("vfolder.delete_invitation", [&] {
        user.vfolder().delete_invitation(user.vfolder().invitations().at(0).id);
        CHECK(user.vfolder().invitations().empty());
    });
    real::works("vfolder.accept_invitation", [&] {
        folder.invite("ro", {"user@example.com"});
        user.vfolder().accept_invitation(user.vfolder().invitations().at(0).id);
        const auto seen = user.vfolder("realfolder2").info();
        CHECK(!seen.is_owner);
        CHECK(seen.permission == "ro");
        CHECK(status_of([&] { user.vfolder("realfolder2").mkdir("x"); }) == 404);
    });
    real::works("vfolder.paginated_list", [&] {
        std::set<std::string> names;
        backendai::page_query one;
        one.page_size = 1;
        one.order = "+name";
        for (const json& each : sdk.vfolder().paginated_list({}, one)) names.insert(each.at("name"));
        CHECK(names == std::set<std::string>{"realfolder2", "realgroup"});
    });
    real::works("vfolder.list_page", [&] { CHECK(sdk.vfolder().list_page().total_count == 2); });
    real::works("admin.vfolders", [&] { CHECK(sdk.admin().vfolders().size() == 2); });
    // A folder in a session: what the session writes there is what the storage proxy serves.
    real::book()->label("kernel.get_or_create");
    auto options = real::small("real-mounts");
    options.mounts = {"realfolder2"};
    auto kernel = sdk.kernel().get_or_create(real::image, options);
    CHECK(kernel.run("open('realfolder2/by-session.txt', 'w').write('shared')").exit_code == 0);
    folder.download({"by-session.txt"}, local.path / "shared");
    CHECK(local.read("shared/by-session.txt") == "shared");
    kernel.destroy();
    real::works("vfolder.remove", [&] {
        folder.remove();
        sdk.vfolder("realgroup").remove();
        CHECK(real::soon([&] { return status_of([&] { folder.info(); }) == 404; }));
    });
}

TEST_CASE("real: administration") {
    auto sdk = real::connect();
    auto user = real::connect(false);
    auto kernel = sdk.kernel().get_or_create(real::image, real::small("real-listed"));
    real::works("admin.query", [&] {
        const json data = sdk.admin().query("query($k: String) { keypair(access_key: $k) { user_id is_admin } }",
                                            {{"k", real::user_key}});
        CHECK(data.at("keypair").at("user_id") == "user@example.com");
        try {
            sdk.admin().query("{ nosuch }");
            FAIL_CHECK("there is no such field");
        } catch (const backendai::graphql_error& e) {
            REQUIRE(e.errors().size() == 1);
            CHECK(e.errors()[0].message.find("nosuch") != std::string::npos);
            CHECK(e.errors()[0].locations.at(0).column == 3);
        }
    });
    real::works("admin.sessions", [&] {
        const auto found = sdk.admin().sessions();
        REQUIRE(found.size() == 1);
        CHECK(found[0].at("sess_id") == "real-listed");
        CHECK(found[0].at("occupied_slots").at("cpu") == "1");
    });
    real::works("admin.session", [&] {
        CHECK(sdk.admin().session(kernel.kernel_id()).at("status") == "RUNNING");
        CHECK(sdk.admin().session("44444444-0000-4000-8000-000000000001").is_null());
    });
    real::works("kernel.paginated_list", [&] {
        int count = 0;
        backendai::session_filter all;
        all.status = std::nullopt;
        backendai::page_query few;
        few.page_size = 1;
        for (const json& each : sdk.kernel().paginated_list(all, few)) count += each.contains("status") ? 1 : 0;
        CHECK(count == sdk.kernel().list_page(all).total_count);
        CHECK(count >= 2);
    });
    real::works("kernel.list_page", [&] {
        backendai::page_query wanted;
        wanted.filter = "name == \"real-listed\"";
        const auto page = sdk.kernel().list_page({}, wanted);
        REQUIRE(page.items.size() == 1);
        CHECK(page.items[0].at("id") == kernel.kernel_id());
    });
    real::works("agent.list", [&] {
        const auto agents = sdk.agent().list();
        REQUIRE(agents.size() == 1);
        CHECK(agents[0].at("id") == "i-local01");
        try {
            user.agent().list();
            FAIL_CHECK("agents are for administrators");
        } catch (const backendai::graphql_error& e) {
            CHECK(!e.errors().empty());
        }
    });
    real::works("agent.paginated_list", [&] {
        int count = 0;
        for (const json& each : sdk.agent().paginated_list()) count += each.at("id") == "i-local01" ? 1 : 0;
        CHECK(count == 1);
    });
    real::works("agent.list_page", [&] { CHECK(sdk.agent().list_page().total_count == 1); });
    real::works("agent.info", [&] {
        const json info = sdk.agent("i-local01").info({"id", "status", "available_slots", "region"});
        CHECK(info.at("status") == "ALIVE");
        CHECK(info.at("available_slots").at("cpu") == "32");
        CHECK(sdk.agent("i-nosuch").info().is_null());
    });
    real::works("image.list", [&] {
        const auto images = sdk.image().list({"name", "tag", "aliases"});
        REQUIRE(images.size() == 1);
        CHECK(images[0].at("tag") == "3.9-ubuntu20.04");
    });
    real::works("image.alias", [&] {
        sdk.image().alias("real-alias", "cr.backend.ai/stable/python:3.9-ubuntu20.04");
        CHECK(sdk.image().list({"aliases"}).at(0).at("aliases").dump().find("real-alias") != std::string::npos);
    });
    real::works("image.dealias", [&] {
        sdk.image().dealias("real-alias");
        CHECK(sdk.image().list({"aliases"}).at(0).at("aliases").dump().find("real-alias") == std::string::npos);
    });
    // It begins a task that would ask a registry; there is none that could be asked.
    real::canned("image.rescan", [&] { sdk.image().rescan("nosuch.example.com"); });
    kernel.destroy();
}

TEST_CASE("real: key pairs") {
    auto sdk = real::connect();
    std::string key;
    real::works("keypair.create", [&] {
        const auto made = sdk.keypair().create("user@example.com");
        key = made.access_key;
        CHECK(key.size() == 20);
        CHECK(made.secret_key.size() == 40);
        CHECK_THROWS_AS(sdk.keypair().create("nobody@example.com"), backendai::graphql_error);
    });
    real::works("keypair.list", [&] {
        CHECK(sdk.keypair().list().size() == 3);
        CHECK(sdk.keypair().list("user@example.com").size() == 2);
    });
    real::works("keypair.paginated_list", [&] {
        std::set<std::string> keys;
        backendai::page_query one;
        one.page_size = 1;
        one.order = "+access_key";
        for (const json& each : sdk.keypair().paginated_list({}, one)) keys.insert(each.at("access_key"));
        CHECK(keys.size() == 3);
    });
    real::works("keypair.list_page", [&] {
        backendai::keypair_filter filter;
        filter.user = "user@example.com";
        CHECK(sdk.keypair().list_page(filter).total_count == 2);
    });
    real::works("keypair.deactivate", [&] {
        sdk.keypair(key).deactivate();
        CHECK(sdk.keypair(key).info().at("is_active") == false);
    });
    real::works("keypair.activate", [&] {
        sdk.keypair(key).activate();
        CHECK(sdk.keypair(key).info().at("is_active") == true);
    });
    real::works("keypair.update", [&] {
        backendai::keypair_changes changes;
        changes.rate_limit = 777;
        sdk.keypair(key).update(changes);
        CHECK(sdk.keypair(key).info({"rate_limit"}).at("rate_limit") == 777);
    });
    real::works("keypair.info", [&] {
        const json info = sdk.keypair(key).info({"user_id", "resource_policy"});
        CHECK(info.at("user_id") == "user@example.com");
        CHECK(info.at("resource_policy") == "default");
    });
    real::works("keypair.remove", [&] {
        sdk.keypair(key).remove();
        CHECK(sdk.keypair().list().size() == 2);
        CHECK_THROWS_AS(sdk.keypair(key).remove(), backendai::graphql_error);
    });
}

TEST_CASE("real: the manager") {
    auto sdk = real::connect();
    real::works("manager.status", [&] { CHECK(sdk.manager().status().status == "running"); });
    real::works("manager.freeze", [&] {
        sdk.manager().freeze();
        CHECK(sdk.manager().status().status == "frozen");
        backendai::call_options once;
        once.retry = backendai::retry_policy();
        once.retry->max_attempts = 1;
        CHECK(status_of([&] { sdk.with(once).kernel().get_or_create(real::image, real::small("real-frozen")); }) ==
              503);
        auto user = real::connect(false);
        CHECK(status_of([&] { user.manager().freeze(); }) == 401);
    });
    real::works("manager.unfreeze", [&] {
        sdk.manager().unfreeze();
        CHECK(sdk.manager().status().status == "running");
    });
}
