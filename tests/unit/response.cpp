#include "scripted_transport.hpp"

#include <backendai/response.hpp>

#include <doctest/doctest.h>

#include <string>

using namespace backendai;

namespace {

response_head head(int status, header_list headers = {}) {
    response_head made;
    made.status = status;
    made.reason = "Reason";
    made.headers = std::move(headers);
    return made;
}

} // namespace

TEST_CASE("a response tells status, reason, headers, content type and length") {
    const response answer(head(201, {{"content-TYPE", "Application/JSON ; charset=utf-8"}, {"Content-Length", "12"}}),
                          "{\"a\": 1}");
    CHECK(answer.status() == 201);
    CHECK(answer.ok());
    CHECK(answer.reason() == "Reason");
    CHECK(answer.content_type() == "application/json");
    CHECK(answer.content_length() == 12);
    CHECK(answer.json().at("a") == 1);
    CHECK(answer.text() == "{\"a\": 1}");
    CHECK(response(answer).text() == "{\"a\": 1}");
    for (const int status : {100, 199, 300, 304, 404, 500}) CHECK(!response(head(status), "").ok());
    CHECK(response(head(204), "").content_type().empty());
    for (const char* length : {"", "-1", "12a", " 12", "9999999999999999999999"})
        CHECK(!response(head(200, {{"Content-Length", length}}), "").content_length());
    CHECK(!response(head(200), "").content_length());
}

TEST_CASE("a body that is not JSON is a protocol error when JSON is asked for") {
    for (const std::string& body :
         {std::string("<html>"), std::string(), std::string(1000, '['), std::string("\"\xff\"")}) {
        const scripted::thrown result = scripted::attempt([&] { response(head(200), body).json(); });
        CHECK(result.kind == error_kind::protocol);
    }
}

TEST_CASE("a failure's body becomes the error's fields") {
    const api_error failure = detail::make_api_error(
        head(404, {{"Retry-After", "3"}}),
        R"({"type":"https://api.backend.ai/probs/kernel-not-found","title":"No such session","data":[{"message":"m"}],)"
        R"("agent-details":{"type":"agent-timeout","title":"late","exception":"E"}})");
    CHECK(failure.status() == 404);
    CHECK(failure.type() == "https://api.backend.ai/probs/kernel-not-found");
    CHECK(failure.title() == "No such session");
    CHECK(failure.data().at(0).at("message") == "m");
    CHECK(failure.agent_details().at("exception") == "E");
    CHECK(failure.retry_after() == "3");
    CHECK(detail::make_api_error(head(404), R"({"msg":"No such invitation"})").title() == "No such invitation");
    CHECK(detail::make_api_error(head(404), R"({"error_msg":"leaves"})").title() == "leaves");
    CHECK(detail::make_api_error(head(404), R"({"title":"t","msg":"m"})").title() == "t");
}

TEST_CASE("an answer that echoes the request's signature does not bring it into the error") {
    response_head echo = head(500, {{"Retry-After", "in-SIGNATURE"}});
    echo.reason = "SIGNATURE refused";
    const api_error failure = detail::make_api_error(
        echo, R"({"title":"you sent SIGNATURE","data":["SIGNATURE"],"agent-details":{"title":"SIGNATURE"}})",
        {"SIGNATURE", "", "you"}); // those that are too short to be secrets stay
    for (const std::string& text : {std::string(failure.what()), failure.body(), failure.reason(), failure.title(),
                                    failure.retry_after(), failure.data().dump(), failure.agent_details().dump()}) {
        CHECK_MESSAGE(text.find("SIGNATURE") == std::string::npos, text);
    }
    CHECK(failure.title() == "you sent ***");
}

TEST_CASE("a secret is found in every spelling that JSON has for it") {
    const std::string secret = "p\"ss\\w\xC3\xB6rd";
    const json words = {{"type", "t-" + secret},
                        {"title", "you sent " + secret},
                        {"data", {{secret, {1, secret}}}},
                        {"agent-details", {{"title", secret}}}};
    std::string other = words.dump(-1, ' ', true); // what no serialiser here writes
    for (std::size_t at = 0; (at = other.find("\\u00f6", at)) != std::string::npos;) other.replace(at, 6, "\\u00F6");
    for (const std::string& body : {words.dump(), words.dump(-1, ' ', true), other, json(words.dump()).dump(),
                                    "<p>" + secret + "</p>", "{\"cut\": " + words.dump(-1, ' ', true)}) {
        CAPTURE(body);
        const api_error failure = detail::make_api_error(head(401), body, {"123456", secret});
        for (const std::string& text : {std::string(failure.what()), failure.body(), failure.type(), failure.title(),
                                        failure.data().dump(), failure.agent_details().dump()}) {
            CHECK_MESSAGE(text.find("ss\\") == std::string::npos, text);
        }
    }
    const api_error failure = detail::make_api_error(head(401), words.dump(), {secret});
    CHECK(failure.title() == "you sent ***");
    CHECK(failure.data().dump() == R"({"***":[1,"***"]})");
    // A secret that looks like JSON does not cost the answer its meaning.
    CHECK(detail::make_api_error(head(401), R"({"title":"words","data":null})", {"null"}).title() == "words");
}

TEST_CASE("whatever a failure's body holds, the error is made and keeps it") {
    for (const std::string& body :
         {std::string(), std::string("<html><body>502 Bad Gateway</body></html>"), std::string("null"),
          std::string("[]"), std::string("5"), std::string("\"text\""),
          std::string("{\"type\":5,\"title\":[],\"msg\":{},\"error_msg\":null}"), std::string("{\"type\":"),
          std::string("\xff\xfe"), std::string(100000, '['), std::string("\0\0", 2)}) {
        const api_error failure = detail::make_api_error(head(502), body);
        CHECK(failure.status() == 502);
        CHECK(failure.reason() == "Reason");
        CHECK(failure.type().empty());
        CHECK(failure.title().empty());
        CHECK(failure.data().is_null());
        CHECK(failure.agent_details().is_null());
        CHECK(failure.body() == body);
    }
}

TEST_CASE("the sink streams a success, keeps a failure, and limits what is kept") {
    std::string streamed;
    const body_receiver receiver = [&](std::string_view piece) { streamed += piece; };
    {
        detail::response_sink<> sink(receiver, 4);
        sink.on_head(head(200));
        CHECK(!sink.delivered());
        sink.on_data("0123456789");
        CHECK(sink.delivered());
        CHECK(streamed == "0123456789");
        CHECK(sink.take_body().empty());
    }
    {
        detail::response_sink<> sink(receiver, 4);
        sink.on_head(head(500));
        sink.on_data("server's words");
        CHECK(!sink.delivered());
        CHECK(sink.take_body() == "server's words");
    }
    const body_receiver none;
    {
        detail::response_sink<> sink(none, 4);
        sink.on_head(head(200));
        sink.on_data("01");
        sink.on_data("23");
        const scripted::thrown result = scripted::attempt([&] { sink.on_data("4"); });
        CHECK(result.kind == error_kind::protocol);
        CHECK(scripted::contains(result.text, "max_response_size"));
        CHECK(result.sent == client_error::progress::maybe_sent);
    }
    {
        detail::response_sink<> sink(none, 4);
        sink.on_head(head(500));
        for (int i = 0; i < 100; ++i) sink.on_data(std::string(1000, 'x'));
        CHECK(sink.take_body().size() == detail::max_error_body);
    }
}
