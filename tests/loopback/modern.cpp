// One program, unchanged, on every generation of servers that the gateway acts as; and what only modern ones have.
#include "../unit/files_support.hpp"
#include "call_result.hpp"

#include <backendai.hpp>
#include <backendai/testing/gateway.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace backendai;

const char* const user_key = "AKIANABBDUSEREXAMPLE";

testing::gateway_options acting_as(const std::string& protocol) {
    testing::gateway_options options;
    options.protocol = protocol;
    options.slice = std::chrono::milliseconds(300);
    options.other_users = {{user_key, "C8qnIo29EZvXkPK_MXcuAakYTy4NYrxwmCEyNPlf", "guest@example.com"}};
    return options;
}

struct place {
    explicit place(const std::string& protocol)
        : server(acting_as(protocol)), session(config_of(server.access_key(), server.secret_key())) {}

    api_config config_of(const std::string& access_key, const std::string& secret_key) const {
        api_config config; // no version: it is asked for
        config.endpoint = server.endpoint();
        config.access_key = access_key;
        config.secret_key = secret_key;
        config.vfolder_mounts = std::vector<std::string>();
        return config;
    }
    backendai::session other_user() const {
        return backendai::session(config_of(user_key, "C8qnIo29EZvXkPK_MXcuAakYTy4NYrxwmCEyNPlf"));
    }

    testing::gateway server;
    backendai::session session;
    files_support::sandbox box;
};

const std::vector<std::string>& generations() {
    static const std::vector<std::string> all = [] {
        std::vector<std::string> list;
        for (const auto& entry : testing::detail::gateway_protocols) list.emplace_back(entry.version);
        return list;
    }();
    return all;
}

retry_policy no_retry() {
    retry_policy policy;
    policy.max_attempts = 1;
    return policy;
}

bool holds(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

// What users do with compute sessions; knows nothing of versions.
void use_sessions(place& at) {
    create_options options;
    options.client_token = "my-sess";
    options.envs = {{"COLOUR", "red"}};
    options.resources = {{"cpu", 1}, {"mem", "256m"}};
    options.tag = "note";
    const auto kernel = at.session.kernel().get_or_create("python", options);
    CHECK(kernel.created());
    CHECK(kernel.name() == "my-sess");
    CHECK_FALSE(at.session.kernel().get_or_create("python", options).created());
    CHECK(result_of([&] { at.session.kernel().get_or_create("bash", options); }).what == "api 400");
    REQUIRE_FALSE(kernel.service_ports().empty());
    CHECK(std::any_of(kernel.service_ports().begin(), kernel.service_ports().end(),
                      [](const service_port& port) { return port.name == "echo" && port.container_port == 7000; }));

    CHECK(kernel.run("import os, sys\nprint(os.environ['COLOUR'])\nprint('e', file=sys.stderr)").out == "red\n");
    run_handlers answers;
    answers.on_input = [](const input_request&) { return std::string("Ada"); };
    CHECK(kernel.run("print('hello', input('name? '))", answers).out == "name? hello Ada\n");
    batch_commands commands;
    commands.build = "echo built";
    commands.exec = "echo ran; exit 3";
    const run_result batch = kernel.run(commands);
    CHECK(batch.out == "built\nran\n");
    CHECK(batch.exit_code == 3);
    execute_result step = kernel.execute("", "import time\ntime.sleep(0.6)");
    CHECK(step.status == run_status::continued);
    while (step.status == run_status::continued) step = kernel.execute(step.run_id, "", execute_mode::continue_);
    CHECK(step.status == run_status::finished);
    CHECK(step.exit_code == 0);

    at.box.put("src/a.txt", "hello");
    upload_options from;
    from.basedir = at.box.root() / "src";
    kernel.upload({at.box.root() / "src" / "a.txt"}, from);
    const file_listing listing = kernel.list_files(".");
    CHECK(std::any_of(listing.files.begin(), listing.files.end(),
                      [](const file_entry& entry) { return entry.filename == "a.txt" && entry.size == 5; }));
    kernel.download({"a.txt"}, at.box.root() / "back");
    CHECK(files_support::sandbox::read(at.box.root() / "back/a.txt") == "hello");

    CHECK(kernel.get_info().lang == "python");
    CHECK(kernel.get_info().tag == "note");
    CHECK(holds(kernel.get_logs(), "red"));
    const auto candidates = kernel.complete("impo");
    CHECK(std::find(candidates.begin(), candidates.end(), "import") != candidates.end());
    kernel.interrupt();
    std::string streamed;
    for (auto&& event : kernel.stream_execute("print(6 * 7)")) {
        for (const console_record& record : event.console) streamed += record.payload;
    }
    CHECK(streamed == "42\n");
    auto terminal = kernel.stream_pty();
    terminal.write("echo $((40 + 2))\n");
    std::string shown;
    for (int i = 0; i < 100 && !holds(shown, "42"); ++i)
        shown += terminal.read_for(std::chrono::milliseconds(200)).value_or("");
    CHECK(holds(shown, "42"));
    terminal.close();
    kernel.restart();
    CHECK(kernel.run("print('again')").out == "again\n");

    const auto sessions = at.session.admin().sessions();
    REQUIRE(sessions.size() == 1);
    CHECK(sessions[0]["sess_id"] == "my-sess");
    CHECK(sessions[0]["occupied_slots"]["cpu"] == "1");
    CHECK(at.session.admin().session("my-sess", {"sess_id", "status"}) ==
          json{{"sess_id", "my-sess"}, {"status", "RUNNING"}});
    CHECK(at.session.admin().session("no-such-sess").is_null());

    kernel.destroy();
    CHECK(kernel.destroy().stats.is_null()); // gone is no error
    CHECK(result_of([&] { kernel.get_info(); }).what == "api 404");
    CHECK(at.server.live_sessions() == 0);
}

// What users do with folders.
void use_folders(place& at) {
    const auto made = at.session.vfolder().create("data");
    CHECK(made.name == "data");
    CHECK(result_of([&] { at.session.vfolder().create("data"); }).what == "api 400");
    const auto folder = at.session.vfolder("data");
    at.box.put("up/x/big.bin", std::string(300000, 'x'));
    at.box.put("up/small.txt", "small");
    upload_options from;
    from.basedir = at.box.root() / "up";
    folder.upload({at.box.root() / "up"}, from);
    folder.download({"x/big.bin", "small.txt"}, at.box.root() / "down");
    CHECK(files_support::sandbox::read(at.box.root() / "down/x/big.bin") == std::string(300000, 'x'));
    CHECK(files_support::sandbox::read(at.box.root() / "down/small.txt") == "small");
    folder.mkdir("d/e");
    const file_listing listing = folder.list_files(".");
    REQUIRE(listing.files.size() == 3);
    for (const file_entry& entry : listing.files) {
        CHECK(entry.is_directory == (entry.filename != "small.txt"));
        CHECK(entry.permissions);
    }
    CHECK(folder.info().num_files == 2);
    CHECK(folder.info().is_owner);
    folder.delete_files({"small.txt"});
    CHECK(result_of([&] { folder.delete_files({"d"}); }).what == "api 400");
    folder.delete_files({"d"}, true);
    CHECK(folder.list_files().files.size() == 1);

    CHECK(folder.invite("rw", {"guest@example.com"}) == std::vector<std::string>{"guest@example.com"});
    backendai::session other = at.other_user();
    const auto invitations = other.vfolder().invitations();
    REQUIRE(invitations.size() == 1);
    CHECK(invitations[0].permission == "rw");
    other.vfolder().accept_invitation(invitations[0].id);
    CHECK(other.vfolder().invitations().empty());
    REQUIRE(other.vfolder().list().size() == 1);
    CHECK_FALSE(other.vfolder().list()[0].is_owner);
    other.vfolder("data").mkdir("theirs");
    CHECK(at.session.vfolder().list().size() == 1);
    CHECK(at.session.admin().vfolders().at(0)["name"] == "data");

    // Mounted, the folder's files are the session's.
    create_options options;
    options.mounts = {"data"};
    const auto kernel = at.session.kernel().get_or_create("python", options);
    CHECK(kernel.run("import os\nprint(os.path.getsize('data/x/big.bin'))").out == "300000\n");
    kernel.destroy();
    folder.remove();
    CHECK(at.session.vfolder().list().empty());
    CHECK(result_of([&] { folder.info(); }).what == "api 404");
}

// What administrators do.
void administer(place& at) {
    CHECK(at.session.agent().list().at(0)["status"] == "ALIVE");
    CHECK(at.session.agent("i-embedded").info({"available_slots"})["available_slots"].is_object());
    CHECK_FALSE(at.session.image().list().empty());
    const auto made = at.session.keypair().create("someone@example.com");
    const auto keypair = at.session.keypair(made.access_key);
    keypair.deactivate();
    keypair_changes changes;
    changes.rate_limit = 77;
    keypair.update(changes);
    CHECK(keypair.info({"user_id", "is_active", "rate_limit"}) ==
          json{{"user_id", "someone@example.com"}, {"is_active", false}, {"rate_limit", 77}});
    CHECK(at.session.keypair().list("someone@example.com", false).size() == 1);
    CHECK(at.session.keypair().list().size() == 3);
    keypair.remove();
    CHECK(result_of([&] { keypair.remove(); }).what == "api 200"); // told in the answer
    CHECK(keypair.info().is_null());
    CHECK(result_of([&] { at.other_user().agent().list(); }).what.substr(0, 3) == "api");
    CHECK(result_of([&] { at.other_user().keypair().create("x@example.com"); }).what.substr(0, 3) == "api");

    CHECK(at.session.manager().status().status == "running");
    CHECK(result_of([&] { at.other_user().manager().freeze(); }).what == "api 401");
    at.session.manager().freeze();
    CHECK(at.session.manager().status().status == "frozen");
    CHECK(result_of([&] { at.session.with({{}, {}, no_retry()}).kernel().get_or_create("python"); }).what == "api 503");
    at.session.manager().unfreeze();
    CHECK(at.session.manager().status().status == "running");
}

} // namespace

TEST_CASE("the same program runs sessions on every generation") {
    for (const std::string& version : generations()) {
        CAPTURE(version);
        place at(version);
        CHECK(at.session.protocol_version() == version);
        use_sessions(at);
    }
}

TEST_CASE("the same program uses folders on every generation") {
    for (const std::string& version : generations()) {
        CAPTURE(version);
        place at(version);
        use_folders(at);
    }
}

TEST_CASE("the same program administers every generation") {
    for (const std::string& version : generations()) {
        CAPTURE(version);
        place at(version);
        administer(at);
    }
}

TEST_CASE("modern sessions: names, reuse, owners, what has ended") {
    place at("v8.20240915");
    create_options options;
    options.client_token = "my-sess";
    const auto kernel = at.session.kernel().get_or_create("python", options);
    CHECK(kernel.kernel_id().size() == 36);
    CHECK(kernel.status() == "RUNNING");
    options.no_reuse = true;
    try {
        at.session.kernel().get_or_create("python", options);
        FAIL("no error");
    } catch (const api_error& e) {
        CHECK(holds(e.type(), "session-already-exists"));
        CHECK(e.data()["existingSessionId"] == kernel.kernel_id());
    }
    options.no_reuse = false;
    auto other = at.other_user(); // names are for each user
    const auto theirs = other.kernel().get_or_create("python", options);
    CHECK(theirs.created());
    CHECK(result_of([&] { other.kernel(kernel.kernel_id()).get_info(); }).what == "api 404");

    at.session.kernel("my-sess").rename("new-name");
    CHECK(result_of([&] { at.session.kernel("my-sess").get_info(); }).what == "api 404");
    CHECK(at.session.kernel("new-name").get_info().status == "RUNNING");
    CHECK(at.session.kernel().match("new-name").at(0).id == kernel.kernel_id());
    CHECK(at.session.kernel().match("new-").empty());
    CHECK(kernel.run("print('kept')").out == "kept\n");
    destroy_options forced;
    forced.forced = true;
    CHECK(kernel.destroy(forced).stats["status"] == "terminated");
    CHECK(at.session.kernel().match(kernel.kernel_id()).at(0).status == "TERMINATED");
    CHECK(holds(kernel.get_logs(), "kept")); // by UUID, also of one that has ended
    session_filter ended;
    ended.status = "TERMINATED";
    CHECK(at.session.admin().sessions(ended).at(0)["sess_id"] == "new-name");
    theirs.destroy();

    create_options batch;
    batch.client_token = "a-batch";
    batch.type = "batch";
    batch.startup_command = "echo from the batch";
    const auto finished = at.session.kernel().get_or_create("python", batch);
    CHECK(finished.status() == "TERMINATED");
    CHECK(holds(finished.get_logs(), "from the batch"));
    batch.startup_command.reset();
    CHECK(result_of([&] { at.session.kernel().get_or_create("python", batch); }).what == "api 400");
    create_options queued;
    queued.enqueue_only = true;
    CHECK(at.session.kernel().get_or_create("python", queued).status() == "PENDING");
    create_options unknown;
    unknown.group = "no-such";
    CHECK(holds(result_of([&] { at.session.kernel().get_or_create("python", unknown); }).message, "400"));
}

TEST_CASE("modern services: told, started with a proxy, ended") {
    testing::gateway_options options = acting_as("v8.20240915");
    options.wsproxy_addr = "http://proxy.example:10200";
    testing::gateway server(options);
    api_config config;
    config.endpoint = server.endpoint();
    config.access_key = server.access_key();
    config.secret_key = server.secret_key();
    backendai::session session(config);
    const auto kernel = session.kernel().get_or_create("python");
    CHECK(kernel.apps().size() == kernel.service_ports().size());
    const service_address address = kernel.start_service("echo");
    CHECK(address.wsproxy_addr == "http://proxy.example:10200");
    CHECK_FALSE(address.token.empty());
    CHECK(result_of([&] { kernel.start_service("nosuch"); }).what == "api 404");
    service_options other_port;
    other_port.port = 9999;
    CHECK(result_of([&] { kernel.start_service("echo", other_port); }).what == "api 400");
    kernel.shutdown_service("echo");
    place without("v8.20240915");
    const auto alone = without.session.with({{}, {}, no_retry()}).kernel().get_or_create("python");
    CHECK(result_of([&] { alone.start_service("echo"); }).what == "api 503");
}

TEST_CASE("modern folders: options, renames, moves, hosts, what is sent") {
    place at("v8.20240915");
    vfolder_create_options options;
    options.host = "local:volume1";
    options.usage_mode = "data";
    options.permission = "rw";
    options.cloneable = true;
    const auto made = at.session.vfolder().create("data", options);
    CHECK(made.raw["usage_mode"] == "data");
    CHECK(made.raw["cloneable"] == true);
    options.host = "nohost:x";
    CHECK(result_of([&] { at.session.vfolder().create("more", options); }).what == "api 400");
    const vfolder_hosts hosts = at.session.vfolder().hosts();
    CHECK(hosts.default_host == "local:volume1");
    CHECK(hosts.allowed == std::vector<std::string>{"local:volume1"});
    at.session.vfolder("data").rename("other");
    const auto folder = at.session.vfolder("other");
    mkdir_options strict;
    strict.parents = false;
    CHECK(result_of([&] { folder.mkdir("a/b", strict); }).what == "api 400");
    folder.mkdir("a/b");
    CHECK(result_of([&] { folder.mkdir("a/b"); }).what == "api 400");
    mkdir_options again;
    again.exist_ok = true;
    folder.mkdir("a/b", again);
    folder.rename_file("a/b", "c");
    folder.move_file("a/c", "d");
    const auto names = folder.list_files().files;
    REQUIRE(names.size() == 2);
    CHECK(result_of([&] { folder.move_file("none", "x"); }).what == "api 400");
    folder.invite("ro", {"guest@example.com"});
    REQUIRE(at.session.vfolder().sent_invitations().size() == 1);
    CHECK(at.session.vfolder().sent_invitations()[0].invitee == "guest@example.com");
    auto other = at.other_user();
    other.vfolder().delete_invitation(other.vfolder().invitations().at(0).id);
    CHECK(at.session.vfolder().sent_invitations().empty());
}

TEST_CASE("ten thousand key pairs are listed through pages") {
    testing::gateway_options options = acting_as("v8.20240915");
    for (int i = 0; i < 9998; ++i)
        options.other_users.push_back({"AKIA" + std::to_string(1000000000000000 + i), "s", "u@example.com"});
    testing::gateway server(options);
    api_config config;
    config.endpoint = server.endpoint();
    config.access_key = server.access_key();
    config.secret_key = server.secret_key();
    backendai::session session(config);
    keypair_filter filter;
    filter.fields = {"access_key"};
    std::string before;
    int count = 0;
    bool in_order = true;
    for (const json& item : session.keypair().paginated_list(filter)) {
        const std::string key = item["access_key"];
        in_order = in_order && before < key;
        before = key;
        ++count;
        if (count == 100) CHECK(server.received() <= 3); // lazy: the greeting and a page or two
    }
    CHECK(in_order);
    CHECK(count == 10000);
}

TEST_CASE("filters and orders of a modern server do what they say") {
    place at("v8.20240915");
    for (const char* name : {"sess-a", "sess-b", "sess-c"}) {
        create_options options;
        options.client_token = name;
        at.session.kernel().get_or_create("python", options);
    }
    page_query wanted;
    wanted.order = "-name";
    wanted.filter = "name != \"sess-b\"";
    std::string found;
    for (const json& item : at.session.kernel().paginated_list({}, wanted))
        found += item["name"].get<std::string>() + ' ';
    CHECK(found == "sess-c sess-a ");
    wanted.filter = "nope == 1";
    CHECK(holds(result_of([&] { at.session.kernel().list_page({}, wanted); }).message, "filter parsing error"));
    wanted.filter = "name ==";
    CHECK(result_of([&] { at.session.kernel().list_page({}, wanted); }).what == "api 200");
    wanted.filter.reset();
    wanted.order = "nope";
    CHECK(result_of([&] { at.session.kernel().list_page({}, wanted); }).what == "api 200");
    page_query two;
    two.page_size = 2;
    const page_result page = at.session.kernel().list_page({}, two);
    CHECK(page.items.size() == 2);
    CHECK(page.total_count == 3);
}

TEST_CASE("a modern server's answers have its rate headers and its form of errors") {
    place at("v7.20230615");
    const auto plain = [&](const char* method, const char* path, const char* body = nullptr) {
        auto request = backendai::request(at.session, method, path);
        if (body != nullptr) request.set_content(body, "application/json");
        return request.fetch(check_status{false});
    };
    CHECK(plain("GET", "/").headers().get("X-RateLimit-Limit") == "1000");
    const response good = plain("GET", "/auth/test?echo=hi");
    CHECK(good.headers().get("X-RateLimit-Window") == "900");
    CHECK_FALSE(good.headers().get("X-RateLimit-Remaining").empty());
    const response unknown = plain("GET", "/session/nosuch00");
    CHECK(unknown.status() == 404);
    CHECK(unknown.headers().get("X-RateLimit-Limit").empty());
    CHECK(unknown.json() == json{{"type", "https://api.backend.ai/probs/object-not-found"},
                                 {"title", "No such session."},
                                 {"msg", "Session (id=nosuch00) does not exist."}});
    CHECK(plain("GET", "/kernel/x").json() == json{{"type", "https://api.backend.ai/probs/url-not-found"},
                                                   {"title", "Unknown URL path."},
                                                   {"data", "/kernel/x"}});
    const response wrong = plain("PUT", "/session");
    CHECK(wrong.status() == 500);
    CHECK(wrong.content_type() == "text/plain");
    CHECK(plain("POST", "/session", R"({"image": "python", "bogus": 1})").json()["data"] ==
          json{{"session_name", "is required"}, {"bogus", "bogus is not allowed key"}});
    CHECK(plain("POST", "/session", R"({"name": "a-sess", "image": "python", "config": {"bogus": 1}})").status() ==
          500);
    CHECK(plain("POST", "/admin/gql", R"({"query": "query{nosuch}"})").json() ==
          json{{"errors", json::array({{{"message", "Cannot query field \"nosuch\" on type \"Queries\"."},
                                        {"locations", {{{"line", 1}, {"column", 7}}}}}})}});
    CHECK(plain("POST", "/admin/graphql", R"({"query": "query{nosuch}"})").status() == 400);
    CHECK(plain("POST", "/admin/gql", R"({"query": "query A{keypair{access_key}} query B{keypair{user_id}}",
                                         "operation_name": "B"})")
              .json()["data"]["keypair"]
              .contains("user_id"));
    place newer("v8.20240915");
    const auto old = backendai::request(newer.session, "GET", "/session/x/download").fetch(check_status{false});
    CHECK(holds(old.text(), "deprecated"));
}

TEST_CASE("a gateway does not act as what it does not know") {
    CHECK_THROWS_AS(testing::gateway(acting_as("v5.20191215")), std::invalid_argument);
    place at("v7.20230615");
    for (const char* refused : {"v8.20240315", "v9.20250722", "v7.20230616"}) {
        api_config config = at.config_of(at.server.access_key(), at.server.secret_key());
        config.version = refused;
        backendai::session session(config);
        CHECK(result_of([&] { session.vfolder().list(); }).what == "api 400");
    }
    api_config old = at.config_of(at.server.access_key(), at.server.secret_key());
    old.version = "v6.20200815";
    CHECK(backendai::session(old).vfolder().list().empty());
}
