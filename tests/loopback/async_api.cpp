// Every API function of every class in both modes: the same call, once blocking and once as a future, comes to the same
// end; and as a future it obeys a cancel and a time limit. The check compile-modes (tests/tools/compile.py) finds API
// functions that are missing here.
#include "stream_support.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using namespace stream_support;

// What a function returns in async mode is a future of what it returns in blocking mode; of handles and streams, the
// ones of that mode.
template <class Async, class Blocking>
struct is_counterpart : std::false_type {};
template <class T>
struct is_counterpart<future<T>, T> : std::true_type {};
template <template <class, class> class Handle, class Transport>
struct is_counterpart<future<Handle<Transport, async>>, Handle<Transport, blocking>> : std::true_type {};
template <template <class> class Stream>
struct is_counterpart<future<Stream<async>>, Stream<blocking>> : std::true_type {};
template <>
struct is_counterpart<future<std::unique_ptr<async_message_stream>>, std::unique_ptr<message_stream>> : std::true_type {
};

template <class Mode>
struct side {
    testing::gateway gateway;
    basic_session<httplib_transport, Mode> session{config_for(gateway)};
};

// Waits for a future; other results are there.
template <class T>
T done(future<T> result) {
    return result.get();
}
template <class T>
T&& done(T&& result) {
    return std::forward<T>(result);
}

template <class Call, class Session>
call_result end_of(const Call& call, Session& session) {
    return result_of([&] {
        if constexpr (std::is_void_v<decltype(call(session))>) {
            call(session);
        } else {
            done(call(session));
        }
    });
}

// Gives each of the calls below to a visitor: name, function, and how it ends on a good server when it is made in this
// order.
template <class Visitor>
void visit_calls(Visitor&& visit, const std::filesystem::path& folder) {
    const std::vector<std::filesystem::path> files = {folder / "up.txt"};
    upload_options from;
    from.basedir = folder;
    download_options over;
    create_options token;
    token.client_token = "both-modes";
    batch_commands commands;
    commands.exec = "true";

    visit("hello", "ok", [](auto& s) { return s.hello(); });
    visit("server_version", "ok", [](auto& s) { return s.server_version(); });
    visit("protocol_version", "ok", [](auto& s) { return s.protocol_version(); });
    visit("fetch", "ok", [](auto& s) { return request(s, "GET", "/").fetch(); });
    visit("fetch into", "ok", [](auto& s) { return request(s, "GET", "/").fetch([](std::string_view) {}); });

    // What other servers have: refused before anything is sent, in both modes.
    visit("login", "argument", [](auto& s) { return s.login("user", "word"); });
    visit("login_check", "argument", [](auto& s) { return s.login_check(); });
    visit("logout", "argument", [](auto& s) { return s.logout(); });
    visit("kernel rename", "argument", [](auto& s) { return s.kernel("both-modes").rename("other"); });
    visit("kernel apps", "argument", [](auto& s) { return s.kernel("both-modes").apps(); });
    visit("start_service", "argument", [](auto& s) { return s.kernel("both-modes").start_service("app"); });
    visit("shutdown_service", "argument", [](auto& s) { return s.kernel("both-modes").shutdown_service("app"); });
    visit("events", "argument", [](auto& s) { return s.kernel("both-modes").events(); });
    visit("all events", "argument", [](auto& s) { return s.kernel().events(); });
    visit("match", "argument", [](auto& s) { return s.kernel().match("both"); });
    visit("kernel list_page", "ok", [](auto& s) { return s.kernel().list_page(); });
    visit("agent list_page", "ok", [](auto& s) { return s.agent().list_page(); });
    visit("keypair list_page", "ok", [](auto& s) { return s.keypair().list_page(); });
    visit("vfolder list_page", "ok", [](auto& s) { return s.vfolder().list_page(); });
    visit("vfolder rename", "api 404", [](auto& s) { return s.vfolder("both").rename("other"); });
    visit("rename_file", "argument", [](auto& s) { return s.vfolder("both").rename_file("a", "b"); });
    visit("move_file", "argument", [](auto& s) { return s.vfolder("both").move_file("a", "b"); });
    visit("hosts", "api 404", [](auto& s) { return s.vfolder().hosts(); });
    visit("sent_invitations", "argument", [](auto& s) { return s.vfolder().sent_invitations(); });

    visit("get_or_create", "ok", [&](auto& s) { return s.kernel().get_or_create("bash", token); });
    visit("get_info", "ok", [](auto& s) { return s.kernel("both-modes").get_info(); });
    visit("get_logs", "ok", [](auto& s) { return s.kernel("both-modes").get_logs(); });
    visit("complete", "ok", [](auto& s) { return s.kernel("both-modes").complete("ech"); });
    visit("execute", "ok", [](auto& s) { return s.kernel("both-modes").execute("", "echo x"); });
    visit("run", "ok", [](auto& s) { return s.kernel("both-modes").run("echo x"); });
    visit("run batch", "ok", [&](auto& s) { return s.kernel("both-modes").run(commands); });
    visit("stream_execute", "ok", [](auto& s) { return s.kernel("both-modes").stream_execute("echo x"); });
    visit("stream_execute batch", "ok", [&](auto& s) { return s.kernel("both-modes").stream_execute(commands); });
    visit("stream_pty", "ok", [](auto& s) { return s.kernel("both-modes").stream_pty(); });
    visit("connect_websocket", "ok",
          [](auto& s) { return request(s, "GET", "/stream/kernel/both-modes/pty").connect_websocket(); });
    visit("upload", "ok", [&](auto& s) { return s.kernel("both-modes").upload(files, from); });
    visit("list_files", "ok", [](auto& s) { return s.kernel("both-modes").list_files(); });
    visit("download", "ok", [&](auto& s) { return s.kernel("both-modes").download({"up.txt"}, folder / "k", over); });
    // The first step of a run that nobody continues: what comes after ends it.
    visit("execute batch", "ok", [&](auto& s) { return s.kernel("both-modes").execute(commands); });
    visit("interrupt", "ok", [](auto& s) { return s.kernel("both-modes").interrupt(); });
    visit("restart", "ok", [](auto& s) { return s.kernel("both-modes").restart(); });

    visit("vfolder create", "ok", [](auto& s) { return s.vfolder().create("both"); });
    visit("vfolder list", "ok", [](auto& s) { return s.vfolder().list(); });
    visit("vfolder info", "ok", [](auto& s) { return s.vfolder("both").info(); });
    visit("vfolder mkdir", "ok", [](auto& s) { return s.vfolder("both").mkdir("a/b"); });
    visit("vfolder upload", "ok", [&](auto& s) { return s.vfolder("both").upload(files, from); });
    visit("vfolder list_files", "ok", [](auto& s) { return s.vfolder("both").list_files(); });
    visit("vfolder download", "ok",
          [&](auto& s) { return s.vfolder("both").download({"up.txt"}, folder / "v", over); });
    visit("vfolder delete_files", "ok", [](auto& s) { return s.vfolder("both").delete_files({"up.txt"}); });
    visit("vfolder invite", "", [](auto& s) { return s.vfolder("both").invite("ro", {"nobody@example.com"}); });
    visit("vfolder invitations", "ok", [](auto& s) { return s.vfolder().invitations(); });
    visit("accept_invitation", "api 404", [](auto& s) { return s.vfolder().accept_invitation("none", "key"); });
    visit("delete_invitation", "api 404", [](auto& s) { return s.vfolder().delete_invitation("none"); });
    visit("vfolder remove", "ok", [](auto& s) { return s.vfolder("both").remove(); });

    visit("admin query", "ok", [](auto& s) { return s.admin().query("{ agents { id } }"); });
    visit("admin sessions", "ok", [](auto& s) { return s.admin().sessions(); });
    visit("admin session", "ok", [](auto& s) { return s.admin().session("both-modes"); });
    visit("admin vfolders", "ok", [](auto& s) { return s.admin().vfolders(); });
    visit("agent list", "ok", [](auto& s) { return s.agent().list(); });
    visit("agent info", "ok", [](auto& s) { return s.agent("i-none").info(); });
    visit("image list", "ok", [](auto& s) { return s.image().list(); });
    visit("image rescan", "ok", [](auto& s) { return s.image().rescan(); });
    visit("image alias", "ok", [](auto& s) { return s.image().alias("py", "python"); });
    visit("image dealias", "ok", [](auto& s) { return s.image().dealias("py"); });
    visit("keypair create", "ok", [](auto& s) { return s.keypair().create("both@example.com"); });
    visit("keypair list", "ok", [](auto& s) { return s.keypair().list(); });
    visit("keypair info", "ok", [](auto& s) { return s.keypair(*s.config().access_key).info(); });
    visit("keypair update", "ok", [](auto& s) {
        keypair_changes changes;
        changes.rate_limit = 7000;
        return s.keypair(*s.config().access_key).update(changes);
    });
    visit("keypair activate", "ok", [](auto& s) { return s.keypair(*s.config().access_key).activate(); });
    visit("keypair deactivate", "api 200", [](auto& s) { return s.keypair("AKIANONE").deactivate(); });
    visit("keypair remove", "api 200", [](auto& s) { return s.keypair("AKIANONE").remove(); });
    visit("manager status", "ok", [](auto& s) { return s.manager().status(); });
    visit("manager freeze", "ok", [](auto& s) { return s.manager().freeze(); });
    visit("manager unfreeze", "ok", [](auto& s) { return s.manager().unfreeze(); });
    visit("destroy", "ok", [](auto& s) { return s.kernel("both-modes").destroy(); });
}

struct scratch {
    scratch() : path(std::filesystem::temp_directory_path() / ("backendai-async-api-" + detail::random_token())) {
        std::filesystem::create_directories(path / "k");
        std::filesystem::create_directories(path / "v");
        std::ofstream(path / "up.txt") << "a file";
    }
    scratch(const scratch&) = delete;
    scratch& operator=(const scratch&) = delete;
    ~scratch() { std::filesystem::remove_all(path); }
    const std::filesystem::path path;
};

} // namespace

TEST_CASE("async api: each function comes to the same end in both modes") {
    const scratch folder;
    side<blocking> there;
    side<async> here;
    visit_calls(
        [&](const char* name, const std::string& wanted, const auto& call) {
            static_assert(is_counterpart<decltype(call(here.session)), decltype(call(there.session))>::value ||
                          (std::is_void_v<decltype(call(there.session))> &&
                           std::is_same_v<decltype(call(here.session)), future<void>>));
            const std::size_t before = here.gateway.received(), before_there = there.gateway.received();
            const call_result blocked = end_of(call, there.session);
            const call_result awaited = end_of(call, here.session);
            INFO(std::string(name) << ": " << blocked.message << " / " << awaited.message);
            CHECK(awaited.what == blocked.what);
            CHECK((wanted.empty() || awaited.what == wanted));
            CHECK(here.gateway.received() - before == there.gateway.received() - before_there);
        },
        folder.path);
}

TEST_CASE("async api: each function obeys a cancel and a time limit") {
    const scratch folder;
    side<async> here;
    testing::fault silence;
    silence.kind = testing::fault_kind::stall;
    silence.times = -1;
    here.gateway.inject(silence);
    const cancel_source source;
    source.cancel();
    call_options cancelled;
    cancelled.cancel = source.token();
    call_options brief;
    brief.timeout = milliseconds(30);
    auto ended = here.session.with(cancelled);
    auto hurried = here.session.with(brief);
    visit_calls(
        [&](const char* name, const std::string& wanted, const auto& call) {
            INFO(std::string(name));
            const std::string before = end_of(call, ended).what;
            const auto start = std::chrono::steady_clock::now();
            const std::string late = end_of(call, hurried).what;
            const bool needs_no_server = std::string(name) == "protocol_version" || wanted == "argument";
            CHECK(before == "cancelled");
            CHECK(late == (needs_no_server ? wanted : "timeout"));
            CHECK(std::chrono::steady_clock::now() - start < milliseconds(230) + seconds(5));
        },
        folder.path);
    // And a cancel of a call that has begun.
    auto waits = here.session.hello();
    const std::size_t seen = here.gateway.received();
    CHECK(soon([&] { return here.gateway.received() >= seen; }));
    waits.cancel();
    CHECK(end_of([&](auto&) { return std::move(waits); }, here.session).what == "cancelled");
}
