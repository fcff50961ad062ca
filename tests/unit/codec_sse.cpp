// Server-sent events: the parser against the rules of the HTML standard, section 9.2.
#include <backendai/codec/sse.hpp>

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace codec = backendai::codec;

namespace {

// Each event as "name|id|data", in pieces of @p step bytes.
std::vector<std::string> events_of(const std::string& bytes, std::size_t step = 1000) {
    codec::sse_parser parser;
    std::vector<std::string> found;
    for (std::size_t at = 0; at < bytes.size(); at += step) {
        const std::string piece = bytes.substr(at, step); // a copy, so that reading past its end is seen
        parser.feed(piece, [&](const codec::sse_event& event) {
            found.push_back(event.name + '|' + event.id + '|' + event.data);
        });
    }
    return found;
}

using texts = std::vector<std::string>;

} // namespace

TEST_CASE("sse: streams and their events, however they are cut") {
    const struct {
        std::string stream;
        texts events;
    } cases[] = {
        {"", {}},
        {"data: a\n\n", {"message||a"}},
        {"data: a\r\n\r\n", {"message||a"}},
        {"data: a\r\r", {"message||a"}},
        {"data: a\r\n\rdata: b\n\r", {"message||a", "message||b"}},
        {"data: a\n", {}},
        {"data: a", {}},
        {"\xEF\xBB\xBF"
         "data: a\n\n",
         {"message||a"}},
        {"\xEF\xBB\xBF\xEF\xBB\xBF"
         "data: a\n\n",
         {}}, // the second mark belongs to the field's name
        {"\xEF\xBB"
         "data: a\n\n",
         {}},
        {"data: YHOO\ndata: +2\ndata: 10\n\n", {"message||YHOO\n+2\n10"}},
        {": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
         {"message|1|first event", "message||second event", "message|| third event"}},
        {"data\n\ndata\ndata\n\ndata:", {"message||", "message||\n"}},
        {"data:test\n\ndata: test\n\n", {"message||test", "message||test"}},
        {"event: add\ndata: 7\n\ndata: 8\n\n", {"add||7", "message||8"}},
        {"event: nothing\n\ndata: 8\n\n", {"message||8"}},
        {"event: a\nevent: b\ndata: x\n\n", {"b||x"}},
        {"id: 5\n\ndata: x\n\n", {"message|5|x"}},
        {std::string("id: 5\0\ndata: x\n\n", 16), {"message||x"}},
        {"Data: x\nDATA: y\n data: z\nunknown: q\n\n", {}},
        {"data:a:b\n\n", {"message||a:b"}},
        {"retry: 10\ndata: x\n\n", {"message||x"}},
        {"\n\n\n\n", {}},
        {": ping\r\n\r\n: ping\r\n\r\nevent: k\r\ndata: {}\r\n\r\n", {"k||{}"}},
    };
    for (const auto& each : cases) {
        for (const std::size_t step : {std::size_t{1000}, std::size_t{1}, std::size_t{2}, std::size_t{3}}) {
            INFO(each.stream, " in pieces of ", step);
            CHECK(events_of(each.stream, step) == each.events);
        }
    }
}

TEST_CASE("sse: the id to go on after, the time to wait, and signs of life") {
    codec::sse_parser parser;
    const auto ignore = [](const codec::sse_event&) {};
    parser.set_last_event_id("41");
    parser.feed("id: 42\ndata: x\n", ignore);
    CHECK(parser.last_event_id() == "41"); // the event is not complete
    parser.feed("\n", ignore);
    CHECK(parser.last_event_id() == "42");
    CHECK_FALSE(parser.retry());
    for (const char* bad : {"retry: -1\n", "retry: 1.5\n", "retry: soon\n", "retry:\n", "retry: 99999999999\n"}) {
        parser.feed(bad, ignore);
        CHECK_FALSE(parser.retry());
    }
    parser.feed("retry: 1500\n", ignore);
    CHECK(parser.retry() == std::chrono::milliseconds(1500));
    const auto before = parser.bytes();
    parser.feed(": ping\n\n", ignore);
    CHECK(parser.bytes() == before + 8);
}

TEST_CASE("sse: an event has its limit, in one line and in many, and nothing follows an error") {
    const auto ignore = [](const codec::sse_event&) {};
    const std::string line = "data: " + std::string(94, 'x');
    codec::sse_parser one(100);
    one.feed(line + "\n\n", ignore);
    CHECK_THROWS_AS(one.feed(line + "y\n", ignore), codec::decode_error);
    CHECK_THROWS_AS(one.feed("\n", ignore), codec::decode_error);
    codec::sse_parser many(100);
    many.feed("data: " + std::string(50, 'x') + "\n", ignore);
    CHECK_THROWS_AS(many.feed("data: " + std::string(50, 'x') + "\n", ignore), codec::decode_error);
    codec::sse_parser comment(100);
    CHECK_THROWS_AS(comment.feed(std::string(101, ':'), ignore), codec::decode_error);
    codec::sse_parser thrown;
    CHECK_THROWS_AS(thrown.feed("data: x\n\n", [](const codec::sse_event&) { throw 1; }), int);
    CHECK_THROWS_AS(thrown.feed("data: x\n\n", ignore), codec::decode_error);
}
