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
    for (const char* newer : {"v9.20250722", "v9.20260101", "v12.20300101"}) {
        CHECK(choose_version(newer) == "v9.20250722");
    }
}

TEST_CASE("v6.20210815, which servers from 26.4 on refuse, is spoken only with a server that announces it") {
    CHECK(choose_version("v6.20210815") == "v6.20210815");
    for (const dialect_rules& entry : dialect_table) {
        if (entry.since != "v6.20210815") CHECK(choose_version(entry.since) == entry.since);
    }
    CHECK(choose_version("v9.20250722") != "v6.20210815");
}

TEST_CASE("each generation has its own paths and names") {
    struct row {
        const char *version, *session, *create, *stream, *name, *image, *graphql, *delete_files, *invitees;
        bool cluster_in_config, envelope, proxy;
    };
    const row rows[] = {
        {"v4.20190315", "/kernel", "/kernel/create", "/stream/kernel", "clientSessionToken", "lang", "/admin/graphql",
         "/delete_files", "user_ids", true, false, false},
        {"v4.20190615", "/kernel", "/kernel/create", "/stream/kernel", "clientSessionToken", "lang", "/admin/graphql",
         "/delete_files", "user_ids", true, false, false},
        {"v5.20191215", "/session", "/session", "/stream/session", "name", "image", "/admin/graphql", "/delete_files",
         "user_ids", true, false, false},
        {"v6.20200815", "/session", "/session", "/stream/session", "name", "image", "/admin/graphql", "/delete-files",
         "emails", false, false, true},
        {"v6.20210815", "/session", "/session", "/stream/session", "name", "image", "/admin/gql", "/delete-files",
         "emails", false, true, true},
        {"v6.20230315", "/session", "/session", "/stream/session", "name", "image", "/admin/gql", "/delete-files",
         "emails", false, true, true},
        {"v9.20250722", "/session", "/session", "/stream/session", "name", "image", "/admin/gql", "/delete-files",
         "emails", false, true, true},
    };
    for (const row& want : rows) {
        CAPTURE(want.version);
        const dialect is = dialect_of(want.version);
        CHECK(is.since == want.version);
        CHECK(is.session_path == want.session);
        CHECK(is.create_session_path == want.create);
        CHECK(is.stream_path == want.stream);
        CHECK(is.session_name_key == want.name);
        CHECK(is.image_key == want.image);
        CHECK(is.graphql_path == want.graphql);
        CHECK(is.delete_files_path == want.delete_files);
        CHECK(is.invitees_key == want.invitees);
        CHECK(is.cluster_size_in_config == want.cluster_in_config);
        CHECK(is.graphql_envelope == want.envelope);
        CHECK((is.transfer == folder_transfer::storage_proxy) == want.proxy);
    }
    CHECK(dialect_of("v7.20230615").download == session_download::get);
    CHECK(dialect_of("v8.20240315").download == session_download::get_or_post);
    CHECK(dialect_of("v8.20240915").download == session_download::post);
}

TEST_CASE("a version between two entries has the rules of the earlier one") {
    CHECK(dialect_of("v6.20221201").since == "v6.20220615");
    CHECK(dialect_of("v8.20240914").since == "v8.20240315");
    CHECK(dialect_of("v5.20990101").since == "v5.20191215");
}

TEST_CASE("what a version does not know is refused with the version that does") {
    const dialect old = dialect_of("v4.20190315");
    CHECK_FALSE(old.knows(feature::mount_map));
    try {
        old.require(feature::mount_map);
        FAIL("no error");
    } catch (const backendai::client_error& e) {
        CHECK(e.kind() == backendai::error_kind::argument);
        CHECK(std::string(e.what()) ==
              "argument: mount_map exists since protocol version v5.20191215; this session speaks v4.20190315");
    }
    for (const feature_entry& entry : feature_table) {
        CAPTURE(std::string(entry.name));
        REQUIRE(parse_protocol_version(entry.since));
        CHECK(dialect_of(std::string(entry.since)).knows(entry.what));
        CHECK(dialect_of("v9.20250722").knows(entry.what));
        CHECK_FALSE(dialect_of("v4.20190315").knows(entry.what));
    }
    CHECK_FALSE(dialect_of("vNext").knows(feature::mount_map)); // no version: the rules of the first entry
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
