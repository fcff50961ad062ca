// Set-Cookie fields, and the jar that keeps them.
#include "files_support.hpp"

#include <backendai/cookie_jar.hpp>

#include <doctest/doctest.h>

#include <string>
#include <sys/stat.h>

namespace codec = backendai::codec;
namespace detail = backendai::detail;
using backendai::client_error;

namespace {

const codec::utc_time now = *codec::parse_iso_date("2026-11-24T12:00:00Z");

backendai::response_head sets(const std::string& value) {
    backendai::response_head head;
    head.status = 200;
    head.headers = {{"set-cookie", value}};
    return head;
}

} // namespace

TEST_CASE("cookies: what a Set-Cookie field says") {
    const auto full = codec::parse_set_cookie(
        "AIOHTTP_SESSION=822b3fa7; expires=Mon, 30-Nov-2026 15:34:00 GMT; HttpOnly; Max-Age=604800; Path=/", now);
    REQUIRE(full);
    CHECK(full->name == "AIOHTTP_SESSION");
    CHECK(full->value == "822b3fa7");
    CHECK(full->path == "/");
    CHECK(full->expires == now + std::chrono::seconds(604800)); // Max-Age counts, not Expires
    CHECK_FALSE(full->secure);
    const auto other = codec::parse_set_cookie(" a = b=c ;PATH=/x;Secure;domain=.Example.COM;;expires=bad", now);
    REQUIRE(other);
    CHECK(other->name == "a");
    CHECK(other->value == "b=c");
    CHECK(other->path == "/x");
    CHECK(other->domain == "example.com");
    CHECK(other->secure);
    CHECK_FALSE(other->expires);
    CHECK(codec::parse_set_cookie("a=b; Path=relative", now)->path == "/");
    CHECK(codec::parse_set_cookie("a=b; expires=Thu, 01 Jan 1970 00:00:00 GMT", now)->expires < now);
    CHECK(codec::parse_set_cookie("a=b; Max-Age=-1", now)->expires < now);
    CHECK(codec::parse_set_cookie("a=b; Max-Age=0; expires=Mon, 30-Nov-2099 15:34:00 GMT", now)->expires < now);
    CHECK(codec::parse_set_cookie("a=b; Max-Age=99999999999999", now)->expires > now);
    CHECK(codec::parse_set_cookie("a=", now)->value.empty());
    for (const char* bad : {"", "a", "=b", "a b=c", "a=b\r\nX: y", "a=b,c", "\"a\"=b", "a=\x7f", "a=\xC3\xA9"}) {
        CHECK_MESSAGE(!codec::parse_set_cookie(bad, now), bad);
    }
}

TEST_CASE("cookies: the jar sends them where they belong") {
    detail::cookie_jar<> jar(codec::parse_url("https://cloud.example.com/app"), {});
    const auto at = [](const char* url) { return codec::parse_url(url); };
    CHECK(jar.header(at("https://cloud.example.com/app"), now).empty());
    jar.absorb(sets("s=1; Max-Age=10; Path=/"), at("https://cloud.example.com/app/x"), now);
    jar.absorb(sets("t=2; Path=/app/func; Secure"), at("https://cloud.example.com/app/x"), now);
    jar.absorb(sets("u=3; Domain=example.com"), at("https://cloud.example.com/app/x"), now);
    jar.absorb(sets("v=4; Domain=evil.com"), at("https://cloud.example.com/app/x"), now);
    jar.absorb(sets("w=5; Domain=ample.com"), at("https://cloud.example.com/app/x"), now);
    jar.absorb(sets("x=6"), at("https://other.example.com/"), now);
    CHECK(jar.header(at("https://cloud.example.com/app/func/y"), now) == "s=1; t=2; u=3");
    CHECK(jar.header(at("https://cloud.example.com/app/function"), now) == "s=1; u=3");
    for (const char* elsewhere :
         {"http://cloud.example.com/app", "https://cloud.example.com:444/app", "https://example.com/"}) {
        CHECK(jar.header(at(elsewhere), now).empty());
    }
    CHECK(jar.header(at("https://cloud.example.com/"), now + std::chrono::seconds(10)) == "u=3");
    jar.absorb(sets("s=new"), at("https://cloud.example.com/"), now);
    jar.absorb(sets("u=\"\"; Max-Age=0"), at("https://cloud.example.com/"), now);
    CHECK(jar.header(at("https://cloud.example.com/"), now) == "s=new");
    jar.clear();
    CHECK(jar.header(at("https://cloud.example.com/"), now).empty());
    detail::cookie_jar<> plain(codec::parse_url("http://cloud.example.com"), {});
    plain.absorb(sets("t=2; Secure"), at("http://cloud.example.com/"), now);
    CHECK(plain.header(at("http://cloud.example.com/"), now).empty());
}

TEST_CASE("cookies: the file is private, of one endpoint, and gone after a logout") {
    const files_support::sandbox box;
    const auto file = box.root() / "cookies";
    const codec::url endpoint = codec::parse_url("http://127.0.0.1:8080");
    {
        detail::cookie_jar<> jar(endpoint, file);
        jar.absorb(sets("s=secret; Path=/; Max-Age=100"), endpoint, now);
        CHECK_FALSE(std::filesystem::exists(file)); // nobody has logged in
        jar.keep();
        jar.absorb(sets("s=renewed; Path=/; Max-Age=100"), endpoint, now);
    }
    struct stat data {};
    REQUIRE(::stat(file.c_str(), &data) == 0);
    CHECK((data.st_mode & 0777U) == 0600);
    CHECK(box.listing().size() == 1); // no temporary beside it
    detail::cookie_jar<> next(endpoint, file);
    CHECK(next.header(endpoint, now) == "s=renewed");
    CHECK(next.header(endpoint, now + std::chrono::seconds(101)).empty());
    CHECK(detail::cookie_jar<>(codec::parse_url("http://127.0.0.1:8081"), file)
              .header(codec::parse_url("http://127.0.0.1:8081"), now)
              .empty());
    std::filesystem::permissions(file, std::filesystem::perms(0644));
    CHECK_THROWS_AS(detail::cookie_jar<>(endpoint, file), client_error);
    std::filesystem::permissions(file, std::filesystem::perms(0600));
    next.discard();
    CHECK_FALSE(std::filesystem::exists(file));
    next.discard(); // twice is no harm
    for (const std::string& text : {std::string(), std::string("[]"), std::string("{}"),
                                    std::string("{\"endpoint\":\"http://127.0.0.1:8080\"}"), std::string("cookies"),
                                    std::string("{\"endpoint\":\"http://127.0.0.1:8080\",\"cookies\":[{\"name\":\"a\","
                                                "\"value\":\"b\",\"path\":\"/\",\"secure\":false},5]}"),
                                    std::string(2'000'000, ' ')}) {
        box.put("cookies", text);
        std::filesystem::permissions(file, std::filesystem::perms(0600));
        detail::cookie_jar<> jar(endpoint, file); // nobody is logged in
        CHECK(jar.header(endpoint, now).empty());
        jar.absorb(sets("s=1"), endpoint, now);
        jar.keep(); // and may log in
        CHECK(detail::cookie_jar<>(endpoint, file).header(endpoint, now) == "s=1");
    }
    std::filesystem::remove(file);
    std::filesystem::create_symlink("elsewhere", file);
    CHECK_THROWS_AS(detail::cookie_jar<>(endpoint, file), client_error);
    CHECK_THROWS_AS(detail::cookie_jar<>(endpoint, box.root() / "missing" / "cookies"), client_error);
}

TEST_CASE("cookies: what a server leaves is bounded, and can be read again") {
    const files_support::sandbox box;
    const auto file = box.root() / "cookies";
    const codec::url endpoint = codec::parse_url("http://127.0.0.1:8080");
    detail::cookie_jar<> jar(endpoint, file);
    jar.absorb(sets("login=1; Path=/"), endpoint, now);
    jar.keep();
    jar.absorb(sets("large=" + std::string(4097, 'x')), endpoint, now);
    CHECK(jar.header(endpoint, now) == "login=1");
    jar.absorb(sets("soon=" + std::string(4000, 'x') + "; Max-Age=10"), endpoint, now);
    for (int i = 0; i < 2000; ++i) {
        jar.absorb(sets("c" + std::to_string(i) + '=' + std::string(4000, 'x')), endpoint, now);
    }
    const std::string sent = jar.header(endpoint, now);
    CHECK(sent.compare(0, 13, "login=1; soon") == 0);
    CHECK(sent.find("c47=") != std::string::npos);
    CHECK(sent.find("c48=") == std::string::npos);
    jar.absorb(sets("login=2; Path=/"), endpoint, now);                   // renewed in its place
    jar.absorb(sets("next=3"), endpoint, now + std::chrono::seconds(10)); // in the place of what has expired
    const std::string later = jar.header(endpoint, now + std::chrono::seconds(10));
    CHECK(later.compare(0, 11, "login=2; c0") == 0);
    CHECK(later.find("next=3") != std::string::npos);
    CHECK(detail::cookie_jar<>(endpoint, file).header(endpoint, now) == later);
}

TEST_CASE("cookies: a renewed cookie outlives a file that cannot be written, until it can") {
    const files_support::sandbox box;
    const auto folder = box.root() / "f";
    std::filesystem::create_directory(folder);
    const codec::url endpoint = codec::parse_url("http://127.0.0.1:8080");
    detail::cookie_jar<> jar(endpoint, folder / "cookies");
    jar.absorb(sets("s=1"), endpoint, now);
    jar.keep();
    std::filesystem::rename(folder, box.root() / "away");
    CHECK_NOTHROW(jar.absorb(sets("s=2"), endpoint, now));
    CHECK(jar.header(endpoint, now) == "s=2");
    CHECK_THROWS_AS(jar.keep(), client_error); // a login that is to be kept is another matter
    std::filesystem::rename(box.root() / "away", folder);
    CHECK(detail::cookie_jar<>(endpoint, folder / "cookies").header(endpoint, now) == "s=1");
    jar.absorb({}, endpoint, now); // an answer that sets none
    CHECK(detail::cookie_jar<>(endpoint, folder / "cookies").header(endpoint, now) == "s=2");
}
