// Every answer of a recorded real server about virtual folders, their files behind the storage proxy, and logins.
#include "transcript_support.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <memory>

namespace {
namespace transcript_folders {

using transcript::exchange;
using transcript::json;
using transcript::part;
using transcript::rule;

void check_invitations(const std::vector<backendai::vfolder_invitation>& found, const json& body) {
    const json& expected = body.at("invitations");
    REQUIRE(found.size() == expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
        CHECK(found[i].id == expected[i].at("id"));
        CHECK(found[i].inviter == expected[i].at("inviter"));
        CHECK(found[i].invitee == expected[i].at("invitee"));
        CHECK(found[i].permission == expected[i].at("perm"));
        CHECK(found[i].state == expected[i].at("state"));
        CHECK(found[i].vfolder_name == expected[i].at("vfolder_name"));
    }
}

void list(const exchange& from, scripted::session& sdk) {
    const auto folders = sdk.vfolder().list();
    const json body = from.body();
    REQUIRE(folders.size() == body.size());
    for (std::size_t i = 0; i < folders.size(); ++i) {
        CHECK(folders[i].id == body[i].at("id"));
        CHECK(folders[i].name == body[i].at("name"));
        CHECK(folders[i].host == body[i].at("host"));
        CHECK(folders[i].is_owner == body[i].at("is_owner"));
        CHECK(folders[i].permission == body[i].at("permission"));
    }
}

/// Fails at the first step of a transfer; a success of it goes on with the storage proxy, see below.
void ask_for_transfer(const exchange& from, scripted::session& sdk, bool up) {
    const transcript::scratch folder;
    std::ofstream(folder.path / "a.txt") << "a";
    backendai::upload_options options;
    options.basedir = folder.path;
    if (!from.succeeded()) {
        if (up) sdk.vfolder(part(from, 1)).upload({folder.path / "a.txt"}, options);
        if (!up) sdk.vfolder(part(from, 1)).download({"a.txt"}, folder.path / "back");
        FAIL_CHECK("a failure status was taken for a success");
    }
    CHECK(from.body().at("token") == "<masked>");
    CHECK(scripted::contains(from.body().at("url"), up ? "/upload" : "/download"));
    // What any program could do with it by itself.
    backendai::request(sdk, "POST", from.path()).fetch();
}

const std::vector<rule>& rules() {
    using session = scripted::session;
    static const std::vector<rule> table = {
        {"vfolder.hosts", "GET", "/folders/_/hosts",
         [](const exchange& from, session& sdk) {
             const auto hosts = sdk.vfolder().hosts();
             CHECK((hosts.default_host ? json(*hosts.default_host) : json()) == from.body().at("default"));
             CHECK(json(hosts.allowed) == from.body().at("allowed"));
         }},
        {"vfolder.invitations", "GET", "/folders/invitations/list",
         [](const exchange& from, session& sdk) { check_invitations(sdk.vfolder().invitations(), from.body()); }},
        {"vfolder.sent_invitations", "GET", "/folders/invitations/list-sent",
         [](const exchange& from, session& sdk) { check_invitations(sdk.vfolder().sent_invitations(), from.body()); }},
        {"vfolder.accept_invitation", "POST", "/folders/invitations/accept",
         [](const exchange&, session& sdk) { sdk.vfolder().accept_invitation("some-id"); }},
        {"vfolder.delete_invitation", "DELETE", "/folders/invitations/delete",
         [](const exchange&, session& sdk) { sdk.vfolder().delete_invitation("some-id"); }},
        {"vfolder.list", "GET", "/folders", list},
        {"vfolder.create", "POST", "/folders",
         [](const exchange& from, session& sdk) {
             const auto made = sdk.vfolder().create("some-folder");
             CHECK(made.id == from.body().at("id"));
             CHECK(made.name == from.body().at("name"));
             CHECK(made.host == from.body().at("host"));
             CHECK(made.raw == from.body());
         }},
        {"vfolder.info", "GET", "/folders/[^/]+",
         [](const exchange& from, session& sdk) {
             const auto info = sdk.vfolder(part(from, 1)).info();
             const json body = from.body();
             CHECK(info.id == body.at("id"));
             CHECK(info.name == body.at("name"));
             CHECK(info.host == body.at("host"));
             CHECK(info.num_files == body.at("numFiles"));
             CHECK(info.is_owner == body.at("is_owner"));
             CHECK(info.permission == body.at("permission"));
             CHECK(info.raw == body);
         }},
        {"vfolder.remove", "DELETE", "/folders/[^/]+",
         [](const exchange& from, session& sdk) { sdk.vfolder(part(from, 1)).remove(); }},
        {"vfolder.rename", "POST", "/folders/[^/]+/rename",
         [](const exchange& from, session& sdk) { sdk.vfolder(part(from, 1)).rename("new-name"); }},
        {"vfolder.mkdir", "POST", "/folders/[^/]+/mkdir",
         [](const exchange& from, session& sdk) { sdk.vfolder(part(from, 1)).mkdir("d1"); }},
        {"vfolder.list_files", "GET", "/folders/[^/]+/files",
         [](const exchange& from, session& sdk) {
             const auto listing = sdk.vfolder(part(from, 1)).list_files();
             transcript::check_listing(listing, from.body());
         }},
        {"vfolder.delete_files", "DELETE", "/folders/[^/]+/delete[-_]files",
         [](const exchange& from, session& sdk) { sdk.vfolder(part(from, 1)).delete_files({"a.txt"}); }},
        {"vfolder.rename_file", "POST", "/folders/[^/]+/rename[-_]file",
         [](const exchange& from, session& sdk) { sdk.vfolder(part(from, 1)).rename_file("a.txt", "b.txt"); }},
        {"vfolder.move_file", "POST", "/folders/[^/]+/move-file",
         [](const exchange& from, session& sdk) { sdk.vfolder(part(from, 1)).move_file("a.txt", "d1/a.txt"); }},
        {"vfolder.invite", "POST", "/folders/[^/]+/invite",
         [](const exchange& from, session& sdk) {
             const auto invited = sdk.vfolder(part(from, 1)).invite("ro", {"user@example.com"});
             CHECK(json(invited) == from.body().at("invited_ids"));
         }},
        {"vfolder.upload", "POST", "/folders/[^/]+/request-upload",
         [](const exchange& from, session& sdk) { ask_for_transfer(from, sdk, true); }},
        {"vfolder.download", "POST", "/folders/[^/]+/request-download",
         [](const exchange& from, session& sdk) { ask_for_transfer(from, sdk, false); }},
    };
    return table;
}

const exchange& named(const std::string& name) {
    for (const exchange& from : transcript::all()) {
        if (from.name() == name) return from;
    }
    throw std::runtime_error("no exchange " + name);
}
/// The manager's side of a transfer, and a storage proxy that answers what @p storage says.
void transfer(scripted::bench& bench, std::function<scripted::reply(const scripted::seen&)> storage) {
    bench->otherwise([storage = std::move(storage)](const scripted::seen& request) {
        // Whether the name is a directory's, after a refusal: it is a file's.
        if (scripted::contains(request.target, "/files")) return named("folder.files.of-file").reply();
        if (request.host != "127.0.0.1:16021") {
            const bool up = scripted::contains(request.target, "request-upload");
            return scripted::answer_json(
                {{"token", "a-token"}, {"url", std::string("http://127.0.0.1:16021/") + (up ? "upload" : "download")}});
        }
        CHECK(request.headers.find("Authorization") == nullptr);
        return storage(request);
    });
}
void upload(scripted::bench& bench, const std::string& content, std::uint64_t chunk_size = 1 << 20) {
    const transcript::scratch folder;
    std::ofstream(folder.path / "a.txt") << content;
    backendai::upload_options options;
    options.basedir = folder.path;
    options.chunk_size = chunk_size;
    bench.sdk->vfolder("folder1").upload({folder.path / "a.txt"}, options);
}
std::unique_ptr<scripted::bench> modern() {
    return std::make_unique<scripted::bench>([](backendai::api_config& config) { config.version = "v7.20230615"; });
}

} // namespace transcript_folders
} // namespace

TEST_CASE("transcript: every answer about virtual folders to its function") {
    const auto counts = transcript::digest(transcript::group::folders, transcript_folders::rules());
    CHECK(counts.exchanges > 200);
    CHECK(counts.results > 100);
    CHECK(counts.errors > 90);
}

TEST_CASE("transcript: an upload in pieces, as the storage proxy answered them") {
    namespace test = transcript_folders;
    auto bench = test::modern();
    const std::vector<std::string> answers = {"tus.patch.1", "tus.patch.2", "tus.patch.3-last"};
    std::size_t next = 0;
    std::string body;
    test::transfer(*bench, [&](const scripted::seen& request) {
        CHECK(request.method == "PATCH");
        const std::string offset = request.headers.get("Upload-Offset");
        // The recorded pieces have 4, 3 and 3 bytes: of the second the proxy has taken 3 of 4.
        body.resize(std::stoul(offset));
        body += request.body;
        return test::named(answers.at(next++)).reply();
    });
    test::upload(*bench, "0123456789", 4);
    CHECK(next == 3);
    CHECK(body == "0123456789");
}

TEST_CASE("transcript: every answer of the storage proxy") {
    namespace test = transcript_folders;
    int uploads = 0, downloads = 0;
    for (const auto& from : transcript::all()) {
        if (transcript::group_of(from) != transcript::group::storage) continue;
        INFO(from.label());
        auto bench = test::modern();
        test::transfer(*bench, [&](const scripted::seen&) { return from.reply(); });
        if (from.path() == "/upload") {
            ++uploads;
            // As if it were about a file of the length that the answer speaks of.
            const auto headers = from.headers();
            const std::string length = headers.get("Upload-Length"), offset = headers.get("Upload-Offset");
            const bool done = !length.empty() && length == offset;
            const auto result = scripted::attempt(
                [&] { test::upload(*bench, std::string(length.empty() ? 3 : std::stoul(length), 'x')); });
            if (from.method() == "HEAD") continue; // answers to a question that is only asked after a failure
            INFO(result.text);
            CHECK(!result.other);
            if (done) {
                CHECK((!result.kind && result.status == 0));
            } else if (from.succeeded()) {
                CHECK(result.kind == backendai::error_kind::protocol); // more than there is, or never more
            } else {
                CHECK(result.status == from.status());
            }
        } else {
            ++downloads;
            const transcript::scratch folder;
            const auto result = scripted::attempt(
                [&] { bench->sdk->vfolder("folder1").download({"hello.txt"}, folder.path / "back"); });
            INFO(result.text);
            CHECK(!result.other);
            if (from.status() == 200) {
                CHECK((!result.kind && result.status == 0));
                if (!from.is_cut()) CHECK(transcript::read_file(folder.path / "back/hello.txt") == from.body_bytes());
            } else {
                // Pieces that were not asked for, and refusals: no file.
                CHECK((result.kind || result.status == from.status()));
                CHECK(!std::filesystem::exists(folder.path / "back/hello.txt"));
            }
        }
    }
    CHECK(uploads > 30);
    CHECK(downloads > 40);
}

TEST_CASE("transcript: every answer of the webserver's own") {
    int answers = 0;
    for (const auto& from : transcript::all()) {
        if (transcript::group_of(from) != transcript::group::login) continue;
        INFO(from.label());
        scripted::bench bench([](backendai::api_config& config) {
            config.version = "v6.20230315";
            config.endpoint_type = "session";
        });
        transcript::play(bench, from);
        const auto body = from.body();
        ++answers;
        try {
            if (from.path() == "/server/login") {
                const auto who = bench.sdk->login("admin@lablup.com", "a-password");
                CHECK(body.at("authenticated") == true);
                CHECK(who.access_key == body.at("data").at("access_key"));
                CHECK(who.role == body.at("data").at("role"));
            } else if (from.path() == "/server/login-check") {
                const auto who = bench.sdk->login_check();
                CHECK(who.has_value() == body.at("authenticated").get<bool>());
                if (who) CHECK(who->access_key == body.at("data").at("access_key"));
            } else {
                bench.sdk->logout();
                CHECK(from.succeeded());
            }
        } catch (const backendai::login_error& e) {
            CHECK(from.status() == 200);
            CHECK(e.status() == 401);
            CHECK(e.type() == body.at("data").at("type"));
            CHECK(e.refusal() == backendai::login_refusal::credentials);
        } catch (const backendai::api_error& e) {
            transcript::check_error(from, e);
        }
    }
    CHECK(answers > 10);
}
