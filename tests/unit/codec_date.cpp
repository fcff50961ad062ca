#include <backendai/codec/date.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace codec = backendai::codec;
using std::chrono::microseconds;

namespace {

codec::utc_time at(std::int64_t micros) {
    return codec::utc_time(std::chrono::duration_cast<codec::utc_time::duration>(microseconds(micros)));
}
std::int64_t micros_of(codec::utc_time time) {
    return std::chrono::duration_cast<microseconds>(time.time_since_epoch()).count();
}

// Expectations by Python's datetime.
const std::vector<std::pair<std::int64_t, std::string>> known = {
    {0, "1970-01-01T00:00:00.000000+00:00"},
    {1550136600123456, "2019-02-14T09:30:00.123456+00:00"},
    {1709164800000001, "2024-02-29T00:00:00.000001+00:00"},
    {951782400000000, "2000-02-29T00:00:00.000000+00:00"},
    {951868799999999, "2000-02-29T23:59:59.999999+00:00"},
    {-1, "1969-12-31T23:59:59.999999+00:00"},
    {-2203891200000000, "1900-03-01T00:00:00.000000+00:00"},
    {-2203977600000000, "1900-02-28T00:00:00.000000+00:00"},
    {4107542400000000, "2100-03-01T00:00:00.000000+00:00"},
    {4107456000000000, "2100-02-28T00:00:00.000000+00:00"},
    {-86400000000, "1969-12-31T00:00:00.000000+00:00"},
    {1735689599999999, "2024-12-31T23:59:59.999999+00:00"}};

} // namespace

TEST_CASE("dates are written and read as Python's datetime writes them") {
    for (const auto& [micros, text] : known) {
        CHECK(codec::format_date(at(micros)) == text);
        const auto time = codec::parse_iso_date(text);
        REQUIRE(time);
        CHECK(micros_of(*time) == micros);
    }
}

TEST_CASE("every day of four centuries survives writing and reading") {
    std::string before;
    int wrong = 0;
    for (std::int64_t day = -25567; day < 120000; day += 1) { // 1900 to 2298, as far as the clock goes
        if (day > 106000) break;                              // 2260
        const std::int64_t micros = day * 86400000000 + 45296789012;
        const std::string text = codec::format_date(at(micros));
        const auto time = codec::parse_iso_date(text);
        if (!time || micros_of(*time) != micros || text <= before || text.size() != 32) ++wrong;
        before = text;
    }
    CHECK(wrong == 0);
}

TEST_CASE("offsets, Z and any number of fraction digits are read") {
    const auto base = codec::parse_iso_date("2019-02-14T09:30:00.123456+00:00");
    REQUIRE(base);
    CHECK(codec::parse_iso_date("2019-02-14T18:30:00.123456+09:00") == base);
    CHECK(codec::parse_iso_date("2019-02-13T23:00:00.123456-10:30") == base);
    CHECK(codec::parse_iso_date("2019-02-14T09:30:00.123456Z") == base);
    CHECK(codec::parse_iso_date("2019-02-14T09:30:00.123456789012345678901234567890Z") == base);
    const auto whole = codec::parse_iso_date("2019-02-14T09:30:00Z");
    REQUIRE(whole);
    CHECK(micros_of(*whole) == 1550136600000000);
    CHECK(codec::parse_iso_date("2019-02-14T09:30:00.1Z") == *whole + std::chrono::milliseconds(100));
}

TEST_CASE("texts that are no ISO date are nothing") {
    for (const char* text : {"",
                             "2019",
                             "2019-02-14",
                             "2019-02-14T09:30:00",
                             "2019-02-14 09:30:00+00:00",
                             "2019-02-14T09:30:00+0000",
                             "2019-02-14T09:30:00+00:00 ",
                             " 2019-02-14T09:30:00Z",
                             "2019-02-14T09:30:00.Z",
                             "2019-02-14T09:30Z",
                             "2019-13-14T09:30:00Z",
                             "2019-00-14T09:30:00Z",
                             "2019-02-00T09:30:00Z",
                             "2019-02-32T09:30:00Z",
                             "19-02-14T09:30:00Z",
                             "2019-2-14T09:30:00Z",
                             "2019-02-14T09:30:00z",
                             "2019-02-14T-9:30:00Z",
                             "2019-02-14T09:30:00+",
                             "2019-02-14T09:30:00+09",
                             "Thu, 14 Feb 2019 09:30:00 GMT",
                             "2019-02-14T09:30:00,5Z"}) {
        CHECK_MESSAGE(!codec::parse_iso_date(text), text);
    }
}

TEST_CASE("days and times of day that do not exist are nothing") {
    for (const char* text : {"2019-02-29T00:00:00Z", "2100-02-29T00:00:00Z", "2019-04-31T00:00:00Z",
                             "2019-02-14T24:00:01Z", "2019-02-14T09:60:00Z", "2019-02-14T09:30:61Z",
                             "2019-02-14T12:99:99Z", "2019-02-14T09:30:00+99:99", "2019-02-14T09:30:00+09:60"}) {
        CHECK_MESSAGE(!codec::parse_iso_date(text), text);
    }
    CHECK(codec::parse_iso_date("2000-02-29T00:00:00Z"));
    CHECK(codec::parse_iso_date("2016-12-31T23:59:60Z")); // a leap second
}

TEST_CASE("dates that the clock cannot hold are nothing, not an overflow") {
    for (const char* text : {"0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"}) {
        const auto time = codec::parse_iso_date(text);
        // Only where the system's clock counts in coarser units does such a date fit.
        if (time) CHECK(codec::format_date(*time).substr(0, 4) == std::string(text).substr(0, 4));
    }
    const auto late = codec::parse_http_date("Fri, 31 Dec 9999 23:59:59 GMT");
    if (late) CHECK(codec::format_date(*late).substr(0, 4) == "9999");
}

TEST_CASE("HTTP dates in the preferred form are read, other forms are nothing") {
    const auto time = codec::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT");
    REQUIRE(time);
    CHECK(micros_of(*time) == 784111777000000);
    const std::vector<std::string> months = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                             "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    for (std::size_t i = 0; i < months.size(); ++i) {
        const auto day = codec::parse_http_date("Mon, 15 " + months[i] + " 2024 00:00:00 GMT");
        REQUIRE(day);
        const std::string number = (i < 9 ? "0" : "") + std::to_string(i + 1);
        CHECK(codec::format_date(*day) == "2024-" + number + "-15T00:00:00.000000+00:00");
    }
    for (const char* text :
         {"", "Sun", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "Sun, 06 nov 1994 08:49:37 GMT",
          "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 6 Nov 1994 08:49:37 GMT",
          "Sun, 06 Nov 1994 08:49:37 GMT ", "Sun, 31 Feb 2021 08:49:37 GMT", "Sun, 06 Nov 1994 25:00:00 GMT",
          ", 06 Nov 1994 08:49:37 GMT", "120", "garbage"}) {
        CHECK_MESSAGE(!codec::parse_http_date(text), text);
    }
}
