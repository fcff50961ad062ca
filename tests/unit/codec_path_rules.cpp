#include <backendai/codec/path_rules.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

namespace codec = backendai::codec;
using codec::path_policy;
using codec::root_name;

namespace {

std::string accepted(std::string_view name, path_policy policy = path_policy::portable) {
    return codec::join_path(codec::safe_relative_path(name, root_name::refuse, policy));
}

std::string refusal(std::string_view name, path_policy policy = path_policy::portable) {
    try {
        codec::safe_relative_path(name, root_name::refuse, policy);
    } catch (const codec::decode_error& e) {
        return e.what();
    }
    return "";
}

} // namespace

TEST_CASE("ordinary names go through unchanged") {
    for (const char* name : {"a",
                             "a.txt",
                             "dir/sub/file",
                             "with space",
                             " leading",
                             "it's \"quoted\"",
                             "100%",
                             "-rf",
                             "~",
                             ".hidden",
                             "..a",
                             "a..b",
                             "a/...b",
                             "\xC3\xBCn\xC3\xAF/\xE2\x98\x83.txt",
                             "<>|?*",
                             "console",
                             "com",
                             "com10",
                             "lpt",
                             "nulx",
                             "a;b",
                             "$HOME",
                             "`id`",
                             "e\xCC\x81",
                             "\xF0\x9F\x98\x80"}) {
        CAPTURE(name);
        CHECK(accepted(name) == name);
    }
    CHECK(accepted(std::string(255, 'a')) == std::string(255, 'a'));
}

TEST_CASE("empty components and single dots are dropped") {
    CHECK(accepted("./a") == "a");
    CHECK(accepted("a//b") == "a/b");
    CHECK(accepted("a/./b") == "a/b");
    CHECK(accepted("a/") == "a");
    CHECK(accepted("././a///./b/.") == "a/b");
}

TEST_CASE("names that would escape or are special anywhere are refused") {
    using namespace std::string_view_literals;
    for (const std::string_view name : {""sv,
                                        "/"sv,
                                        "/etc/passwd"sv,
                                        "//server/share"sv,
                                        ".."sv,
                                        "../a"sv,
                                        "a/.."sv,
                                        "a/../b"sv,
                                        "a/../../b"sv,
                                        "./../a"sv,
                                        "a/b/../../../c"sv,
                                        "..//a"sv,
                                        "a\0b"sv,
                                        "\0"sv,
                                        "a\nb"sv,
                                        "a\rb"sv,
                                        "a\tb"sv,
                                        "\x1B[2J"sv,
                                        "a\x7F"sv,
                                        "\xC2\x9B"sv,
                                        "a\\b"sv,
                                        "..\\a"sv,
                                        "\\\\server\\share"sv,
                                        "\\\\?\\C:\\a"sv,
                                        "C:"sv,
                                        "C:a"sv,
                                        "c:/a"sv,
                                        "file:stream"sv,
                                        "a/b::$DATA"sv,
                                        "CON"sv,
                                        "con"sv,
                                        "nul.txt"sv,
                                        "a/AUX"sv,
                                        "aux.c"sv,
                                        "PRN "sv,
                                        "COM1"sv,
                                        "com0"sv,
                                        "lpt9.log"sv,
                                        "COM\xC2\xB9"sv,
                                        "CONIN$"sv,
                                        "conout$.x"sv,
                                        "CLOCK$"sv,
                                        "nul .txt"sv,
                                        "a."sv,
                                        "a "sv,
                                        "a./b"sv,
                                        "..."sv,
                                        ".. "sv,
                                        ". "sv,
                                        "a/ /b"sv,
                                        "."sv,
                                        "./"sv,
                                        "./."sv,
                                        "\xC0\xAF"sv,
                                        "\xE0\x80\xAE\xE0\x80\xAE/a"sv,
                                        "\xFF"sv,
                                        "\xED\xA0\x80"sv,
                                        "\xF4\x90\x80\x80"sv,
                                        "a\xC3"sv}) {
        CAPTURE(codec::printable(name));
        CHECK(refusal(name).find(codec::printable(name)) != std::string::npos);
    }
    CHECK_FALSE(refusal(std::string(256, 'a')).empty());
    std::string deep;
    while (deep.size() <= 4096) deep += "a/";
    CHECK_FALSE(refusal(deep).empty());
}

TEST_CASE("the error shows control characters escaped") {
    CHECK(refusal("a\x1B[2Jb") == "unsafe file name 'a\\x1b[2Jb': contains a control character");
    CHECK(refusal("\xFF'") == "unsafe file name '\\xff\\x27': is not valid UTF-8");
    CHECK(codec::printable(std::string(1000, 'x'), 10) == "'xxxxxxxxxx'...");
}

TEST_CASE("the posix policy lets through what is special on Windows only") {
    for (const char* name : {"12:30.log", "aux.c", "con", "a.", "a ", "C:x", "..."}) {
        CAPTURE(name);
        CHECK(accepted(name, path_policy::posix) == name);
        CHECK_FALSE(refusal(name).empty());
    }
    for (const char* name : {"/a", "..", "a/../b", "a\\b", "a\nb", "\xFF", ""}) {
        CAPTURE(name);
        CHECK_FALSE(refusal(name, path_policy::posix).empty());
    }
}

TEST_CASE("the destination itself is a name only where the caller wants it") {
    CHECK(codec::safe_relative_path("./", root_name::allow).empty());
    CHECK(codec::safe_relative_path(".", root_name::allow).empty());
    CHECK_THROWS_AS(codec::safe_relative_path("", root_name::allow), codec::decode_error);
    CHECK_THROWS_AS(codec::safe_relative_path("/", root_name::allow), codec::decode_error);
}

TEST_CASE("a name has a depth that one can walk") {
    std::string name = "d";
    for (int i = 1; i < 256; ++i) name += "/d";
    CHECK(accepted(name) == name);
    CHECK(refusal(name + "/d").find("deeper") != std::string::npos);
    CHECK(refusal(name + "/./").empty()); // what counts is what it means
}
