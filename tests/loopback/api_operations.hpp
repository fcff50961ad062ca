// Every function of the API that sends one request, with the answer that a good server gives: what the fault matrix and
// the tests of wrong answers go through.
#ifndef BACKENDAI_TESTS_API_OPERATIONS_HPP
#define BACKENDAI_TESTS_API_OPERATIONS_HPP

#include "../unit/files_support.hpp"
#include "hostile_server.hpp"

#include <backendai.hpp>

#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace api_operations {

using namespace backendai;

// What a function makes of the body of a good answer.
enum class reading { json, nothing, files, websocket };

// Where the functions that transfer files find and put them.
struct places {
    std::filesystem::path source;      // a file that is there
    std::filesystem::path destination; // a folder that is not
};

template <class Transport>
struct operation {
    using session = basic_session<Transport, blocking>;

    std::string name;
    retry_class repeats = retry_class::safe;
    reading reads = reading::json;
    std::string answer; // the body
    std::function<void(const session&, const places&)> run;
    std::string version = "v4.20190315"; // the protocol's; given, so that no greeting comes before the call
};

inline std::string content_type(reading reads) {
    return reads == reading::files ? "multipart/mixed; boundary=frontier" : "application/json";
}

// An archive and a file as the two kinds of downloads send them; @p broken: the compressed content ends too early.
inline std::string files_answer(const std::string& content, bool broken = false) {
    std::string packed = files_support::gzip(content);
    if (broken) packed.resize(packed.size() - 5);
    return files_support::multipart({{packed, "", "gzip"}});
}
inline std::string archive_content() {
    return files_support::archive().file("a", "content").end();
}

// The head that accepts the handshake in @p request.
inline std::string websocket_head(const std::string& request) {
    std::vector<std::pair<std::string, std::string>> fields;
    for (std::size_t at = request.find("\r\n") + 2; at + 2 < request.size();) {
        const std::size_t end = request.find("\r\n", at), colon = request.find(": ", at);
        fields.emplace_back(request.substr(at, colon - at), request.substr(colon + 2, end - colon - 2));
        at = end + 2;
    }
    std::string head = "HTTP/1.1 101 Switching Protocols\r\n";
    for (const auto& field : codec::websocket_answer("GET", fields).headers) {
        head += field.first + ": " + field.second + "\r\n";
    }
    return head + "\r\n";
}

template <class Transport>
std::vector<operation<Transport>> all() {
    using session = basic_session<Transport, blocking>;
    using files = std::vector<std::string>;
    const retry_class safe = retry_class::safe, unsafe = retry_class::unsafe;
    const std::string listing = R"({"files":"[{\"filename\":\"a\",\"mode\":\"-rw-r--r--\",\"size\":7,\"ctime\":1.5,)"
                                R"(\"mtime\":2,\"atime\":3}]","errors":"","abspath":"/home/work"})";
    const std::string step =
        R"({"result":{"status":"finished","runId":"r1","exitCode":0,"console":[["stdout","42\n"]],)"
        R"("files":[{"name":"f","url":"/f"}],"options":{"is_password":false}}})";
    const std::string folder = R"({"id":"f1","name":"data","host":"local","numFiles":1,"created":"2019-03-15",)"
                               R"("is_owner":true,"permission":"rw"})";
    const std::string modern(detail::dialect_table.back().since);
    const auto from = [](const places& where) {
        upload_options options;
        options.basedir = where.source.parent_path();
        return options;
    };
    return {
        {"hello", safe, reading::json, R"({"version":"v4.20190315","manager":"19.03"})",
         [](const session& s, const places&) { s.hello(); }},
        {"get_or_create", safe, reading::json,
         R"({"kernelId":"k1","created":true,"servicePorts":[{"name":"jupyter","protocol":"http",)"
         R"("container_port":8080,"host_port":30000}]})",
         [](const session& s, const places&) { s.kernel().get_or_create("python"); }},
        {"destroy", safe, reading::json, R"({"stats":{"cpu_used":1.5}})",
         [](const session& s, const places&) { s.kernel("k1").destroy(); }},
        {"restart", unsafe, reading::nothing, "{}", [](const session& s, const places&) { s.kernel("k1").restart(); }},
        {"interrupt", unsafe, reading::nothing, "{}",
         [](const session& s, const places&) { s.kernel("k1").interrupt(); }},
        {"complete", safe, reading::json, R"({"result":{"status":"finished","completions":["abs","all"]}})",
         [](const session& s, const places&) { s.kernel("k1").complete("a"); }},
        {"get_info", safe, reading::json,
         R"({"lang":"python","image":"lablup/python","registry":"local","tag":"t","age":1234,"memoryLimit":1024,)"
         R"("numQueriesExecuted":3,"idleTimeout":600})",
         [](const session& s, const places&) { s.kernel("k1").get_info(); }},
        {"get_logs", safe, reading::json, R"({"result":{"logs":"booted\n"}})",
         [](const session& s, const places&) { s.kernel("k1").get_logs(); }},
        {"execute", unsafe, reading::json, step,
         [](const session& s, const places&) { s.kernel("k1").execute("", "42"); }},
        {"run", unsafe, reading::json, step, [](const session& s, const places&) { s.kernel("k1").run("42"); }},
        {"list_files", safe, reading::json, listing,
         [](const session& s, const places&) { s.kernel("k1").list_files(); }},
        {"upload", safe, reading::nothing, "{}",
         [from](const session& s, const places& p) { s.kernel("k1").upload({p.source}, from(p)); }},
        {"download", safe, reading::files, files_answer(archive_content()),
         [](const session& s, const places& p) { s.kernel("k1").download(files{"a"}, p.destination); }},
        {"stream_pty", safe, reading::websocket, "",
         [](const session& s, const places&) { s.kernel("k1").stream_pty(); }},
        {"vfolder create", unsafe, reading::json, R"({"id":"f1","name":"data","host":"local"})",
         [](const session& s, const places&) { s.vfolder().create("data"); }},
        {"vfolder list", safe, reading::json,
         R"([{"id":"f1","name":"data","host":"local","is_owner":true,"permission":"rw"}])",
         [](const session& s, const places&) { s.vfolder().list(); }},
        {"vfolder invitations", safe, reading::json,
         R"({"invitations":[{"id":"i1","inviter":"a@b.c","perm":"ro","state":"pending","created_at":"now",)"
         R"("vfolder_id":"f1"}]})",
         [](const session& s, const places&) { s.vfolder().invitations(); }},
        {"vfolder accept_invitation", unsafe, reading::nothing, "{}",
         [](const session& s, const places&) { s.vfolder().accept_invitation("i1", "AK"); }},
        {"vfolder delete_invitation", unsafe, reading::nothing, "{}",
         [](const session& s, const places&) { s.vfolder().delete_invitation("i1"); }},
        {"vfolder info", safe, reading::json, folder,
         [](const session& s, const places&) { s.vfolder("data").info(); }},
        {"vfolder remove", unsafe, reading::nothing, "{}",
         [](const session& s, const places&) { s.vfolder("data").remove(); }},
        {"vfolder mkdir", unsafe, reading::json, R"({"results":{"success":[],"failed":[]}})",
         [](const session& s, const places&) { s.vfolder("data").mkdir("d"); }},
        {"vfolder delete_files", unsafe, reading::nothing, "{}",
         [](const session& s, const places&) { s.vfolder("data").delete_files(files{"a"}); }},
        {"vfolder list_files", safe, reading::json, listing,
         [](const session& s, const places&) { s.vfolder("data").list_files(); }},
        {"vfolder invite", unsafe, reading::json, R"({"invited_ids":["a@b.c"]})",
         [](const session& s, const places&) { s.vfolder("data").invite("ro", files{"a@b.c"}); }},
        {"vfolder upload", safe, reading::nothing, "{}",
         [from](const session& s, const places& p) { s.vfolder("data").upload({p.source}, from(p)); }},
        {"vfolder download", safe, reading::files, files_answer("content"),
         [](const session& s, const places& p) { s.vfolder("data").download(files{"a"}, p.destination); }},
        {"vfolder hosts", safe, reading::json, R"({"default":"local","allowed":["local"]})",
         [](const session& s, const places&) { s.vfolder().hosts(); }, modern},
        {"vfolder sent_invitations", safe, reading::json,
         R"({"invitations":[{"id":"i1","inviter":"a@b.c","perm":"ro","state":"pending","created_at":"now",)"
         R"("vfolder_id":"f1"}]})",
         [](const session& s, const places&) { s.vfolder().sent_invitations(); }, modern},
        {"vfolder rename", unsafe, reading::nothing, "{}",
         [](const session& s, const places&) { s.vfolder("data").rename("other"); }, modern},
        {"vfolder rename_file", unsafe, reading::nothing, "{}",
         [](const session& s, const places&) { s.vfolder("data").rename_file("a", "b"); }, modern},
        {"vfolder move_file", unsafe, reading::nothing, "{}",
         [](const session& s, const places&) { s.vfolder("data").move_file("a", "b/a"); }, modern},
        {"rename", unsafe, reading::nothing, "{}",
         [](const session& s, const places&) { s.kernel("k1").rename("other"); }, modern},
        {"match", safe, reading::json, R"({"matches":[{"id":"k1","name":"n","status":"RUNNING"}]})",
         [](const session& s, const places&) { s.kernel().match("k"); }, modern},
        {"apps", safe, reading::json,
         R"([{"name":"jupyter","protocol":"http","container_port":8080,"host_port":30000}])",
         [](const session& s, const places&) { s.kernel("k1").apps(); }, modern},
        {"start_service", unsafe, reading::json, R"({"token":"t","wsproxy_addr":"http://a"})",
         [](const session& s, const places&) { s.kernel("k1").start_service("jupyter"); }, modern},
        {"shutdown_service", safe, reading::nothing, "{}",
         [](const session& s, const places&) { s.kernel("k1").shutdown_service("jupyter"); }, modern},
        {"admin query", safe, reading::json, R"({"agents":[]})",
         [](const session& s, const places&) { s.admin().query("{ agents { id } }"); }},
        {"admin mutation", unsafe, reading::json, R"({"rescan_images":{"ok":true}})",
         [](const session& s, const places&) { s.admin().query("mutation { rescan_images { ok } }"); }},
        {"admin sessions", safe, reading::json, R"({"compute_sessions":[{"sess_id":"k1","occupied_slots":"{}"}]})",
         [](const session& s, const places&) { s.admin().sessions(); }},
        {"agent list", safe, reading::json,
         R"({"agents":[{"id":"i-a","status":"ALIVE","occupied_slots":"{\"cpu\":1}"}]})",
         [](const session& s, const places&) { s.agent().list(); }},
        {"image list", safe, reading::json, R"({"images":[{"name":"python","tag":"t","hash":"h"}]})",
         [](const session& s, const places&) { s.image().list(); }},
        {"image alias", unsafe, reading::json, R"({"alias_image":{"ok":true,"msg":""}})",
         [](const session& s, const places&) { s.image().alias("py", "python:t"); }},
        {"keypair create", unsafe, reading::json,
         R"({"create_keypair":{"ok":true,"msg":"","keypair":{"access_key":"AK","secret_key":"SK"}}})",
         [](const session& s, const places&) { s.keypair().create("a@b.c"); }},
        {"keypair info", safe, reading::json, R"({"keypair":{"access_key":"AK","is_active":true}})",
         [](const session& s, const places&) { s.keypair("AK").info(); }},
        {"manager status", safe, reading::json, R"({"status":"running","active_sessions":3})",
         [](const session& s, const places&) { s.manager().status(); }},
        {"manager freeze", safe, reading::nothing, "{}", [](const session& s, const places&) { s.manager().freeze(); }},
        {"request GET", safe, reading::nothing, "{}",
         [](const session& s, const places&) { request(s, "GET", "/mine").fetch(); }},
        {"request POST", unsafe, reading::nothing, "{}",
         [](const session& s, const places&) {
             request(s, "POST", "/mine").set_json({{"a", 1}}).fetch();
         }},
    };
}

} // namespace api_operations

#endif
