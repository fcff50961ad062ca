#include "scripted_transport.hpp"

#include <backendai/codec/url.hpp>

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

namespace codec = backendai::codec;
using scripted::json;

namespace {

std::string ours(const std::string& kind, const std::string& input) {
    if (kind == "segment") return codec::canonical_path("/" + codec::escape_segment(input)).substr(1);
    if (kind == "value") return codec::canonical_query(codec::escape_query(input));
    if (kind == "path") return codec::canonical_path(input);
    return codec::canonical_query(input);
}

std::string why_not(const std::string& text) {
    try {
        codec::parse_url(text);
    } catch (const codec::decode_error& e) {
        return e.what();
    }
    return {};
}

} // namespace

TEST_CASE("paths and queries are spelled as the server's URL library spells them") {
    const json cases = scripted::load_data("yarl_oracle.json");
    CHECK(cases.size() > 700);
    for (const json& test : cases) {
        CAPTURE(test.dump());
        const auto kind = test.at("kind").get<std::string>();
        const std::string spelled = ours(kind, test.at("input").get<std::string>());
        CHECK(spelled == test.at("expected").get<std::string>());
        CHECK(ours(kind == "segment" || kind == "path" ? "path" : "query", spelled) == spelled);
    }
}

TEST_CASE("escaped data comes back unescaped") {
    std::string all;
    for (unsigned c = 0; c < 256; ++c) all.push_back(static_cast<char>(c));
    CHECK(codec::unescape(codec::escape_segment(all), false) == all);
    CHECK(codec::unescape(codec::escape_query(all), true) == all);
    CHECK(codec::escape_segment("a/b?c#d%e+f") == "a%2Fb%3Fc%23d%25e%2Bf");
    const codec::query_list items = {{"a b", "c&d=e"}, {"", "x"}, {"k", ""}, {"k", "+;%/?"}, {"\xcf\x80", "\xff"}};
    CHECK(codec::parse_query(codec::make_query(items)) == items);
    CHECK(codec::make_query({}).empty());
}

TEST_CASE("a query text is split at & and the first =") {
    CHECK(codec::parse_query("").empty());
    CHECK(codec::parse_query("a") == codec::query_list{{"a", ""}});
    CHECK(codec::parse_query("&a=b=c&&d+e=%2B%zz&") == codec::query_list{{"a", "b=c"}, {"d e", "+%zz"}});
}

TEST_CASE("URLs are split, with the default port left out of Host") {
    codec::url url = codec::parse_url("HTTPS://Api.Backend.AI");
    CHECK(url.scheme == "https");
    CHECK(url.host == "api.backend.ai");
    CHECK(url.port == 443);
    CHECK(url.is_tls());
    CHECK(url.host_header() == "api.backend.ai");
    CHECK(url.origin() == "https://api.backend.ai:443");
    CHECK(url.target() == "/");
    CHECK(codec::parse_url("https://h:443/").host_header() == "h");
    CHECK(codec::parse_url("https://h:80/").host_header() == "h:80");
    CHECK(codec::parse_url("http://h:80").host_header() == "h");
    CHECK(codec::parse_url("http://h:443").host_header() == "h:443");
    url = codec::parse_url("http://[2001:DB8::1]:8080/a/b?c=d#fragment");
    CHECK(url.host == "2001:db8::1");
    CHECK(url.host_header() == "[2001:db8::1]:8080");
    CHECK(url.origin() == "http://[2001:db8::1]:8080");
    CHECK(url.path == "/a/b");
    CHECK(url.query == "c=d");
    CHECK(url.target() == "/a/b?c=d");
    CHECK(codec::parse_url("http://[::ffff:1.2.3.4]").host_header() == "[::ffff:1.2.3.4]");
    CHECK(codec::parse_url("http://h?x=1").target() == "/?x=1");
    CHECK(codec::parse_url("http://h:65535/api/v4/").path == "/api/v4/");
    CHECK(codec::parse_url("http://h/a%2fb%41").path == "/a%2FbA");
}

TEST_CASE("URLs that cannot be used are refused with their reason") {
    const std::vector<std::pair<std::string, std::string>> broken = {{"", "not absolute"},
                                                                     {"gw.example.org", "not absolute"},
                                                                     {"/path", "not absolute"},
                                                                     {"//host/path", "not absolute"},
                                                                     {"ftp://host", "scheme"},
                                                                     {"://host", "scheme"},
                                                                     {" http://host", "scheme"},
                                                                     {"http://", "host is missing"},
                                                                     {"http:///path", "host is missing"},
                                                                     {"http://:80/", "host is missing"},
                                                                     {"http://user@host", "user info"},
                                                                     {"http://user:secret@host/", "user info"},
                                                                     {"http://host:", "port"},
                                                                     {"http://host:0", "port"},
                                                                     {"http://host:65536", "port"},
                                                                     {"http://host:4294967376", "port"},
                                                                     {"http://host:80a", "port"},
                                                                     {"http://host:-1", "port"},
                                                                     {"http://host:80:80", "port"},
                                                                     {"http://[::1", "bracket"},
                                                                     {"http://[::1]x", "port"},
                                                                     {"http://[]", "IPv6"},
                                                                     {"http://[host]", "IPv6"},
                                                                     {"http://[1.2.3.4]", "IPv6"},
                                                                     {"http://[fe80::1%25eth0]", "IPv6"},
                                                                     {"http://ho st", "host name"},
                                                                     {"http://ho\tst", "host name"},
                                                                     {"http://ho\r\nst", "host name"},
                                                                     {std::string("http://ho\0st", 12), "host name"},
                                                                     {"http://h\xc3\xb6st", "host name"},
                                                                     {"http://host\\@evil", "user info"},
                                                                     {"http://host%2e", "host name"},
                                                                     {"http://host/a/../b", "dot segments"},
                                                                     {"http://host/%2e%2E/b", "dot segments"},
                                                                     {"http://host/.", "dot segments"},
                                                                     {"http://host/a\nb", "line breaks"},
                                                                     {"http://host/a%0Db", "line breaks"},
                                                                     {"http://host/?a=%00", "NUL"},
                                                                     {std::string("http://host/?\0", 14), "NUL"}};
    for (const auto& [spelling, reason] : broken) {
        const std::string& text = spelling; // C++17's lambdas, and so CAPTURE, take no structured binding
        CAPTURE(text);
        const std::string message = why_not(text);
        CHECK_MESSAGE(scripted::contains(message, reason), message);
        CHECK(!scripted::contains(message, "secret"));
    }
}

TEST_CASE("dot segments are refused however they are spelled, other dots are not") {
    for (const char* path : {".", "..", "/..", "/a/./b", "/a/..", "/%2e", "/a/%2E%2e/b", "../x", "/.%2E"})
        CHECK_THROWS_AS(codec::canonical_path(path), codec::decode_error);
    for (const char* path : {"", "/", "/...", "/.a", "/a.", "/..a/b..", "/%252e%252e", "/a..b"})
        CHECK_NOTHROW(codec::canonical_path(path));
}
