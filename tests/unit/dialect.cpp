#include <backendai/dialect.hpp>

#include <doctest/doctest.h>

#include <string>

using namespace backendai::detail;

TEST_CASE("protocol versions are read as a number and a date") {
    const auto version = parse_protocol_version("v4.20190315");
    REQUIRE(version);
    CHECK(version->major == 4);
    CHECK(version->date == 20190315);
    for (const char* wrong :
         {"", "v", "4.20190315", "v4", "v4.", "v.20190315", "v4.2019031", "v4.201903155", "v4.2019031x", "vx.20190315",
          "v4 .20190315", "v4.20190315 ", "v999999999.20190315", "V4.20190315"}) {
        CAPTURE(wrong);
        CHECK_FALSE(parse_protocol_version(wrong));
    }
}

TEST_CASE("the lower of both versions is chosen, by number first and date second") {
    CHECK(choose_version("v4.20190315", "v9.20250722") == "v4.20190315");
    CHECK(choose_version("v9.20250722", "v4.20190315") == "v4.20190315");
    CHECK(choose_version("v5.20191215", "v4.20200101") == "v4.20200101");
    CHECK(choose_version("v10.20300101", "v9.20250722") == "v9.20250722");
    CHECK(choose_version("v8.20240315", "v8.20240915") == "v8.20240315");
    CHECK(choose_version("v4.20181215") == "v4.20181215");
}

TEST_CASE("a server that tells no version is spoken to in the default") {
    for (const char* wrong : {"", "19.03", "v4", "latest", "v4.20190315\r\nX: y"}) {
        CAPTURE(wrong);
        CHECK(choose_version(wrong) == "v4.20190315");
    }
}

TEST_CASE("a newer server gets the highest version of the table") {
    for (const char* newer : {"v5.20191215", "v8.20240915", "v9.20250722", "v12.20300101"}) {
        CHECK(choose_version(newer) == dialect_table.back().since);
    }
}

TEST_CASE("the table is ordered, and every entry begins with a version") {
    for (std::size_t i = 0; i < dialect_table.size(); ++i) {
        const auto since = parse_protocol_version(dialect_table[i].since);
        REQUIRE(since);
        if (i > 0) CHECK(*parse_protocol_version(dialect_table[i - 1].since) < *since);
    }
}

TEST_CASE("a dialect keeps the version it is asked for, and the rules that hold for it") {
    const dialect exact = dialect_of("v4.20190315");
    CHECK(exact.version == "v4.20190315");
    CHECK(exact.session_path == "/kernel");
    CHECK(exact.graphql_path == "/admin/graphql");
    CHECK_FALSE(exact.graphql_envelope);
    CHECK(exact.cluster_size_in_config);
    CHECK(dialect_of("v3.20170215").version == "v3.20170215");
    CHECK(dialect_of("v3.20170215").session_path == "/kernel");
    CHECK(dialect_of("vNext").version == "vNext");
    CHECK(dialect_of("v99.20990101").session_path == dialect_table.back().session_path);
}
