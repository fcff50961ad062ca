/// @file
/// What a real manager, storage proxy and webserver (23.03.12) answered: tests/data/transcript-23.03.12.jsonl.gz, a
/// recording of 1,383 exchanges. Here: reading it, and sessions whose transport plays one of the answers.
#ifndef BACKENDAI_TESTS_TRANSCRIPT_SUPPORT_HPP
#define BACKENDAI_TESTS_TRANSCRIPT_SUPPORT_HPP

#include "scripted_transport.hpp"

#include <backendai/codec/base64.hpp>
#include <backendai/codec/gzip.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <optional>
#include <random>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace transcript {

using backendai::api_error;
using backendai::json;

/// A body or message as its bytes, from how the recording keeps it.
inline std::string bytes_of(const std::string& kind, const json& value) {
    if (kind == "json") return value.dump();
    if (kind == "text") return value.get<std::string>();
    if (kind == "base64") return backendai::codec::base64_decode(value.get<std::string>());
    return {};
}

/// One recorded exchange.
class exchange {
public:
    explicit exchange(json record) : record_(std::move(record)) {
        const std::string target = text("target");
        const std::size_t mark = target.find('?');
        path_ = target.substr(0, mark);
        if (server() == "webserver" && path_.compare(0, 6, "/func/") == 0) path_.erase(0, 5); // what it forwards
        if (mark != std::string::npos) query_ = target.substr(mark + 1);
    }

    int number() const { return record_.at("n").get<int>(); }
    std::string name() const { return text("name"); }
    std::string server() const { return text("server"); }
    std::string method() const { return text("method"); }
    const std::string& query() const { return query_; }
    bool is_websocket() const { return text("kind") == "websocket"; }
    bool is_events() const { return text("kind") == "sse"; }
    /// After the endpoint; without `/func` of a webserver, which a session that logs in puts before it.
    const std::string& path() const { return path_; }
    /// A version whose dialect asks for this path: the recorded one, but where somebody tried what no client would.
    std::string version() const {
        if (path_ == "/admin/graphql") return "v4.20190315";
        if (std::regex_search(path_, std::regex("/(delete|rename)_files?$"))) return "v5.20191215";
        const std::string told = record_.at("request_headers").value("X-BackendAI-Version", "");
        return told.compare(0, 2, "v6") == 0 || told.compare(0, 2, "v7") == 0 ? told : "v6.20230315";
    }
    /// The request's body when it was JSON, else null.
    json request() const { return text("request_body_kind") == "json" ? record_.at("request_body") : json(); }
    std::string request_bytes() const { return bytes_of(text("request_body_kind"), member("request_body")); }

    int status() const { return record_.at("status").get<int>(); }
    bool succeeded() const { return status() >= 200 && status() < 300; }
    std::string reason() const { return record_.at("reason").get<std::string>(); }
    bool is_json() const { return text("response_body_kind") == "json"; }
    json body() const { return is_json() ? record_.at("response_body") : json(); }
    std::string body_bytes() const { return bytes_of(text("response_body_kind"), member("response_body")); }
    /// Whether the recording keeps only the beginning of the body.
    bool is_cut() const { return text("response_body_note").compare(0, 6, "cut to") == 0; }
    backendai::header_list headers() const {
        backendai::header_list list;
        for (const auto& item : record_.at("response_headers").items()) {
            list.add(item.key(), item.value().get<std::string>());
        }
        return list;
    }
    const json& record() const { return record_; }

    /// The path's parts: "/session/abc/logs" is {"session", "abc", "logs"}.
    std::vector<std::string> segments() const {
        std::vector<std::string> parts;
        std::istringstream stream(path_);
        std::string part;
        while (std::getline(stream, part, '/')) {
            if (!part.empty()) parts.push_back(part);
        }
        return parts;
    }
    std::string label() const {
        return std::to_string(number()) + ' ' + name() + ": " + method() + ' ' + text("target") + " -> " +
               std::to_string(status());
    }

    /// The answer for a scripted transport, its body in two pieces.
    scripted::reply reply() const {
        scripted::reply made = scripted::answer(status(), {}, headers());
        made.reason = reason();
        const std::string whole = is_cut() ? restored() : body_bytes();
        const std::size_t half = whole.size() / 2;
        for (const std::string& piece : {whole.substr(0, half), whole.substr(half)}) {
            if (!piece.empty()) made.pieces.push_back(piece);
        }
        return made;
    }

private:
    // Of an archive as the only part of a multipart body just the zeros of its end were cut. What cannot be put back
    // leaves the answer as short as it is.
    std::string restored() const {
        std::string body = body_bytes();
        const std::string length = "Content-Length: ";
        const std::size_t at = body.find(length), head = body.find("\r\n\r\n");
        if (at == std::string::npos || head == std::string::npos || at > head) return body;
        const std::string boundary = body.substr(0, body.find("\r\n"));
        std::string whole = body;
        whole.resize(head + 4 + std::stoul(body.substr(at + length.size())), '\0');
        whole += "\r\n" + boundary + "--\r\n";
        return std::to_string(whole.size()) == headers().get("Content-Length") ? whole : body;
    }

    std::string text(const char* key) const {
        const auto it = record_.find(key);
        return it != record_.end() && it->is_string() ? it->get<std::string>() : std::string();
    }
    json member(const char* key) const { return record_.value(key, json()); }

    json record_;
    std::string path_, query_;
};

inline std::vector<exchange> load() {
#ifdef BACKENDAI_TEST_DATA
    const std::string folder = BACKENDAI_TEST_DATA;
#else
    const std::string here = __FILE__;
    const std::string folder = here.substr(0, here.find_last_of("/\\") + 1) + "../data";
#endif
    std::ifstream file(folder + "/transcript-23.03.12.jsonl.gz", std::ios::binary);
    if (!file.good()) throw std::runtime_error("cannot open the transcript in tests/data");
    const std::string packed{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    std::string lines;
    backendai::codec::inflate_decoder decoder(backendai::codec::deflate_format::gzip, {16 << 20, 0, 0});
    decoder.feed(packed, [&](std::string_view piece) { lines.append(piece); });
    decoder.finish();
    std::vector<exchange> all;
    std::istringstream stream(lines);
    for (std::string line; std::getline(stream, line);) all.emplace_back(json::parse(line));
    return all;
}

inline const std::vector<exchange>& all() {
    static const std::vector<exchange> exchanges = load();
    return exchanges;
}

/// A session that speaks a version, on a script that gives the same answer as often as it is asked.
inline void play(scripted::bench& bench, const exchange& from) {
    bench->otherwise([reply = from.reply()](const scripted::seen&) { return reply; });
}

/// A folder for what a test writes, gone with it.
struct scratch {
    scratch() {
        static int count = 0;
        path = std::filesystem::temp_directory_path() /
               ("backendai-transcript-" + std::to_string(std::random_device{}()) + '-' + std::to_string(count++));
        std::filesystem::create_directories(path);
    }
    scratch(const scratch&) = delete;
    scratch& operator=(const scratch&) = delete;
    ~scratch() {
        std::error_code ignored;
        std::filesystem::remove_all(path, ignored);
    }
    std::filesystem::path path;
};

inline std::string read_file(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// What the server's words become in an api_error.
inline void check_error(const exchange& from, const api_error& e) {
    CHECK(e.status() == from.status());
    CHECK(e.reason() == from.reason());
    const json body = from.body();
    if (!body.is_object()) {
        CHECK(e.body() == from.body_bytes());
        return;
    }
    CHECK(e.type() == body.value("type", ""));
    CHECK(e.title() == body.value("title", body.value("msg", body.value("error_msg", ""))));
    CHECK(e.data() == body.value("data", json()));
    CHECK(e.agent_details() == body.value("agent-details", json()));
}

inline void speaking(std::optional<scripted::bench>& bench, const exchange& from) {
    bench.emplace([&](backendai::api_config& config) { config.version = from.version(); });
    transcript::play(*bench, from);
}

using call_function = std::function<void(const exchange&, scripted::session&)>;

/// A function of the SDK, for the exchanges that it would have made. The call returns when the server's answer is a
/// success, after checking the result; on a failure status what it throws is checked here.
struct rule {
    const char* name;
    const char* method;
    const char* path; ///< a regular expression for the whole path
    call_function call;
};

inline std::string part(const exchange& from, std::size_t index) {
    return from.segments().at(index);
}

inline void check_listing(const backendai::file_listing& listing, const json& body) {
    json files = body.value("items", json());
    if (!files.is_array()) {
        const std::string text = body.at("files").get<std::string>();
        files = text.empty() ? json::array() : json::parse(text);
    }
    REQUIRE(listing.files.size() == files.size());
    for (std::size_t i = 0; i < files.size(); ++i) {
        CHECK(listing.files[i].filename == files[i].value("name", files[i].value("filename", "")));
        CHECK(listing.files[i].size == files[i].at("size"));
    }
}

/// Who has to understand an exchange.
enum class group {
    sessions, ///< compute sessions, administration, the manager: transcript.cpp
    folders,  ///< virtual folders: transcript_folders.cpp
    storage,  ///< the storage proxy: transcript_folders.cpp
    login,    ///< the webserver: transcript_folders.cpp
    streams,  ///< websockets and events: transcript_streams.cpp
    none,     ///< no function of the SDK asks that, see group_of()
    unknown
};

inline group group_of(const exchange& from) {
    // What no function asks; a program can by the low-level request, which every answer goes through too.
    static const std::regex without("/auth.*" // echo, roles, keys for a password: not in the SDK
                                    "|/kernel/.*|/v4/.*|/stream/kernel/.*" // the ways of 19.03, gone since 20.03
                                    "|/folders/x/(up|down)load"            // likewise
                                    "|/nosuch.*|//folders|/folders/"       // paths that are none
                                    "|/manager/announcement|/events/background-task|/session/_/(logs|create)"
                                    "|/session/[^/]+/(commit|download_single|abusing-report|direct-access-info)"
                                    "|/folders/_/(all-hosts|allowed.types)|/folders/[^/]+/leave");
    if (from.is_websocket() || from.is_events()) return group::streams;
    const std::string& path = from.path();
    const std::string method = from.method();
    if (from.server() == "storage-proxy") {
        const bool asked =
            path == "/upload" ? method == "PATCH" || method == "HEAD" : path == "/download" && method == "GET";
        return asked ? group::storage : group::none;
    }
    if (path.compare(0, 8, "/server/") == 0) return method == "POST" ? group::login : group::none;
    // Methods that the path does not have, tried to see what the server says.
    if (method == "OPTIONS" || method == "HEAD" || (method == "PUT" && path != "/manager/status") ||
        (method == "POST" && path == "/") || (method == "GET" && path == "/admin/gql") ||
        (method == "DELETE" && path == "/folders") ||
        (method == "POST" &&
         std::regex_match(path, std::regex("/session/[^/]+/download|/folders/[^/]+/delete-files"))) ||
        (method == "GET" && std::regex_match(path, std::regex("/stream/session/[^/]+/execute")))) {
        return group::none;
    }
    if (std::regex_match(path, without)) return group::none;
    if (path.compare(0, 8, "/folders") == 0) return group::folders;
    if (path == "/events/session") return group::streams;
    return group::sessions;
}

struct digestion {
    int exchanges = 0, results = 0, errors = 0;
};

/// Hands every answer of a group to the function that would have got it.
inline digestion digest(group wanted, const std::vector<rule>& rules) {
    digestion counts;
    for (const exchange& from : all()) {
        if (group_of(from) != wanted) continue;
        const rule* found = nullptr;
        for (const rule& each : rules) {
            const bool fits = from.method() == each.method && std::regex_match(from.path(), std::regex(each.path));
            if (fits && found == nullptr) found = &each;
        }
        INFO((std::string(found != nullptr ? found->name : "nothing") + " <- " + from.label()));
        REQUIRE(found != nullptr);
        ++counts.exchanges;
        std::optional<scripted::bench> bench;
        speaking(bench, from);
        try {
            found->call(from, *bench->sdk);
            ++counts.results;
            if (!from.succeeded()) {
                // That what is to be gone is gone already is no error.
                CHECK(std::string(found->name) == "kernel.destroy");
                CHECK(from.status() == 404);
                CHECK(scripted::contains(from.body().at("type"), "object-not-found"));
            }
        } catch (const backendai::api_error& e) {
            ++counts.errors;
            check_error(from, e);
        } catch (const backendai::client_error& e) {
            // The SDK knows better than to ask.
            ++counts.errors;
            CHECK(e.kind() == backendai::error_kind::argument);
            CHECK(from.name() == "gql.empty-query");
            CHECK((*bench)->count() == 0);
            continue;
        }
        // The function asked for what the recorded client asked for, whatever it asked afterwards.
        const auto sent = (*bench)->requests();
        REQUIRE(!sent.empty());
        CHECK(sent.front().method == from.method());
        const std::string target = sent.front().target;
        CHECK(target.substr(0, target.find('?')) == "/base" + from.path());
    }
    return counts;
}

} // namespace transcript

#endif
