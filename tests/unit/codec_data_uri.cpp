#include <backendai/codec/data_uri.hpp>
#include <backendai/media.hpp>

#include <doctest/doctest.h>

#include <string>

namespace codec = backendai::codec;

TEST_CASE("data URIs are decoded to their bytes and media type") {
    codec::data_uri uri = codec::decode_data_uri("data:image/png;base64,iVBORw0KGgo=");
    CHECK(uri.media_type == "image/png");
    CHECK(uri.bytes == std::string("\x89PNG\r\n\x1a\n"));
    uri = codec::decode_data_uri("data:,A%20brief%2Cnote+");
    CHECK(uri.media_type == "text/plain;charset=US-ASCII");
    CHECK(uri.bytes == "A brief,note+");
    uri = codec::decode_data_uri("DATA:;charset=utf-8;base64,4pyT");
    CHECK(uri.media_type == "text/plain;charset=utf-8");
    CHECK(uri.bytes == "\xe2\x9c\x93");
    uri = codec::decode_data_uri("data:text/html;charset=utf-8,<b>a,b</b>");
    CHECK(uri.media_type == "text/html;charset=utf-8");
    CHECK(uri.bytes == "<b>a,b</b>");
    CHECK(codec::decode_data_uri("data:image/png;base64,").bytes.empty());
    // Escaped padding, and the marker in other letters: it is a token of a grammar that ignores case.
    CHECK(codec::decode_data_uri("data:a/b;base64,Zg%3D%3D").bytes == "f");
    CHECK(codec::decode_data_uri("data:a/b;BASE64,Zg==").bytes == "f");
}

TEST_CASE("what is no data URI is refused") {
    for (const char* text : {"", "data", "dat:,x", "http://x", "data:", "data:image/png;base64",
                             "data:image/png;base64,Zg=", "data:;base64,*"})
        CHECK_THROWS_AS(codec::decode_data_uri(text), codec::decode_error);
    CHECK(!codec::is_data_uri("data"));
    CHECK(codec::is_data_uri("DaTa:"));
}

TEST_CASE("media records: data URIs become bytes, everything else is its own content") {
    const auto png = backendai::decode_media({"image/png", "data:image/png;base64,AAEC"});
    CHECK(png.mime_type == "image/png");
    CHECK(png.bytes == std::string("\0\1\2", 3));
    const auto svg = backendai::decode_media({"image/svg+xml", "<svg/>"});
    CHECK(svg.mime_type == "image/svg+xml");
    CHECK(svg.bytes == "<svg/>");
    try {
        backendai::decode_media({"image/png", "data:image/png;base64,A"});
        FAIL("accepted");
    } catch (const backendai::client_error& e) {
        CHECK(e.kind() == backendai::error_kind::protocol);
    }
    CHECK(backendai::console_record{"stdout", ""}.is_stdout());
    CHECK(backendai::console_record{"stderr", ""}.is_stderr());
    CHECK(backendai::console_record{"text/html", ""}.is_media());
    CHECK(!backendai::console_record{"stderr", ""}.is_media());
}
