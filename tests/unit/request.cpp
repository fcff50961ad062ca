#include "scripted_transport.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <string>

using namespace backendai;
using scripted::answer;
using scripted::attempt;
using scripted::bench;

TEST_CASE("bodies are sent with any method, each with its content type") {
    bench on;
    on->otherwise([](const scripted::seen&) { return answer(200); });
    for (const char* method : {"GET", "DELETE", "POST", "PUT", "PATCH", "OPTIONS"}) {
        request(*on.sdk, method, "/x").set_json({{"path", "."}}).fetch();
        const scripted::seen sent = on->requests().back();
        CHECK(sent.method == method);
        CHECK(sent.body_json() == json{{"path", "."}});
        CHECK(sent.headers.get("Content-Type") == "application/json");
    }
    request call(*on.sdk, "POST", "x"); // the slash is added
    call.set_content(std::string("\0\1", 2));
    call.fetch();
    CHECK(on->requests().back().target == "/base/x");
    CHECK(on->requests().back().body == std::string("\0\1", 2));
    CHECK(on->requests().back().headers.get("Content-Type") == "application/octet-stream");
    // The last one wins, whatever came before.
    call.set_content(std::make_shared<codec::string_source>("from a source"), "text/plain");
    call.fetch();
    CHECK(on->requests().back().body == "from a source");
    call.set_json(5);
    call.fetch();
    CHECK(on->requests().back().body == "5");
    call.set_content("text", "text/x").fetch();
    CHECK(on->requests().back().body == "text");
    CHECK(on->requests().back().headers.get("Content-Type") == "text/x");
}

TEST_CASE("an empty JSON value has a body too") {
    bench on;
    on->add(answer(200));
    request(*on.sdk, "POST", "/x").set_json(json::object()).fetch();
    CHECK(on->requests().at(0).body == "{}");
}

TEST_CASE("a JSON text that is not UTF-8 is an argument error, and the request stays as it was") {
    bench on;
    request call(*on.sdk, "POST", "/x");
    call.set_content("before", "text/plain");
    CHECK(attempt([&] { call.set_json({{"a", "\xff\xfe"}}); }).kind == error_kind::argument);
    CHECK(attempt([&] { call.set_json({{"\xc3", 1}}); }).kind == error_kind::argument);
    on->add(answer(200));
    call.fetch();
    CHECK(on->requests().at(0).body == "before");
    CHECK(on->requests().at(0).headers.get("Content-Type") == "text/plain");
}

TEST_CASE("headers that the SDK sets cannot be set, others replace those of the same name") {
    bench on;
    request call(*on.sdk, "GET", "/x");
    for (const char* name : {"Authorization", "authorization", "DATE", "Host", "content-type", "Content-Length",
                             "transfer-encoding", "Connection", "X-BackendAI-Version", "x-backendai-version"}) {
        CHECK_MESSAGE(attempt([&] { call.set_header(name, "x"); }).kind == error_kind::argument, name);
    }
    on->add(answer(200));
    call.set_header("X-A", "1").set_header("x-a", "2").set_header("User-Agent", "mine").fetch();
    const header_list headers = on->requests().at(0).headers;
    CHECK(headers.count("X-A") == 1);
    CHECK(headers.get("X-A") == "2");
    CHECK(headers.count("User-Agent") == 1);
    CHECK(headers.get("User-Agent") == "mine");
}

TEST_CASE("parameters are escaped, kept in order and may repeat") {
    bench on;
    on->add(answer(200));
    request(*on.sdk, "GET", "/x?a=%7e").set_param("b", "1&2=3").set_param("b", "\xcf\x80 +").set_param("", "").fetch();
    CHECK(on->requests().at(0).target == "/base/x?a=~&b=1%262%3D3&b=%CF%80+%2B&=");
}

TEST_CASE("a GET is repeated, other methods are not, unless it is said") {
    bench on;
    on->otherwise([](const scripted::seen&) { return answer(502); });
    attempt([&] { request(*on.sdk, "get", "/x").fetch(); });
    CHECK(on->count() == 3);
    attempt([&] { request(*on.sdk, "POST", "/x").fetch(); });
    CHECK(on->count() == 4);
    attempt([&] { request(*on.sdk, "GET", "/x").set_retry_class(retry_class::unsafe).fetch(); });
    CHECK(on->count() == 5);
}
