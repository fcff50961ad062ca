// Administration on servers from 19.09 on: pages, renamed fields, the other envelope, key pairs.
#include "scripted_transport.hpp"

#include <backendai/mode_async.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <utility>
#include <vector>

using namespace backendai;
using scripted::answer_json;
using scripted::attempt;
using scripted::bench;
using scripted::contains;
using scripted::seen;
using scripted::speaking;

namespace {

json data(const json& fields) {
    return {{"data", fields}};
}
json page(const char* field, json items, int total) {
    return data({{field, {{"items", std::move(items)}, {"total_count", total}}}});
}

// A server with so many key pairs; it gives at most 100 a page, whatever the limit.
scripted::reply serve_keypairs(const seen& request, int count) {
    const json variables = request.body_json()["variables"];
    const int offset = variables["offset"], limit = std::min(variables["limit"].get<int>(), 100);
    json items = json::array();
    for (int i = offset; i < std::min(count, offset + limit); ++i)
        items.push_back({{"access_key", "AK" + std::to_string(i)}});
    return answer_json(page("keypair_list", std::move(items), count));
}

} // namespace

TEST_CASE("the envelope of later servers is opened, and its errors are exceptions") {
    bench on(speaking("v6.20230315"));
    on->add(answer_json(data({{"x", 1}})));
    CHECK(on.sdk->admin().query("{ x }") == json{{"x", 1}});
    CHECK(on->requests().at(0).target == "/base/admin/gql");
    const json errors = {{{"message", "Forbidden operation. (superadmin privilege required)"},
                          {"locations", {{{"line", 1}, {"column", 7}}}},
                          {"path", {"agents"}}}};
    on->add(answer_json({{"errors", errors}, {"data", {{"agents", nullptr}}}}));
    try {
        on.sdk->agent().list();
        FAIL("no error");
    } catch (const graphql_error& e) {
        CHECK(e.status() == 200);
        CHECK(e.errors().at(0).path_text() == "agents");
        CHECK(contains(e.what(), "superadmin privilege required) at agents (line 1, column 7)"));
    }
    on->add(answer_json({{"errors", json::array({{{"message", "Syntax Error"}}})}})); // none at all
    CHECK(attempt([&] { on.sdk->admin().query("{"); }).status == 200);
    on->add(answer_json({{"data", {{"x", 1}}}, {"errors", nullptr}})); // from 26.3 on
    CHECK(on.sdk->admin().query("{ x }") == json{{"x", 1}});
    on->add(answer_json({{"x", 1}}));
    CHECK(attempt([&] { on.sdk->admin().query("{ x }"); }).kind == error_kind::protocol);
}

TEST_CASE("at the old path both envelopes are understood, and an alias is no envelope") {
    bench on(speaking("v6.20200815"));
    on->add(answer_json({{"x", 1}}));
    CHECK(on.sdk->admin().query("{ x }") == json{{"x", 1}});
    CHECK(on->requests().at(0).target == "/base/admin/graphql");
    on->add(answer_json({{"data", {{"x", 1}}}, {"errors", nullptr}}));
    CHECK(on.sdk->admin().query("{ x }") == json{{"x", 1}});
    for (const json& bare :
         {json{{"data", 1}}, json{{"data", 1}, {"errors", 2}}, json{{"data", 1}, {"errors", json::array()}},
          json{{"data", 1}, {"errors", {"x"}}}, json{{"data", 1}, {"errors", nullptr}, {"x", 1}}}) {
        on->add(answer_json(bare));
        CHECK(on.sdk->admin().query("{ data: x errors: y }") == bare);
    }
}

TEST_CASE("sessions are told with the names of 19.03 too") {
    bench on(speaking("v7.20230615"));
    on->add(answer_json(
        page("compute_session_list", {{{"sess_id", "my-sess"}, {"occupied_slots", "{\"cpu\": \"1\"}"}}}, 1)));
    const auto sessions = on.sdk->admin().sessions();
    REQUIRE(sessions.size() == 1);
    CHECK(sessions[0]["sess_id"] == "my-sess");
    CHECK(sessions[0]["occupied_slots"]["cpu"] == "1");
    CHECK(on->requests().at(0).body_json() ==
          json{{"query", "query($limit: Int!, $offset: Int!, $status: String) { compute_session_list(limit: $limit, "
                         "offset: $offset, status: $status) { items { sess_id: name id name type image tag created_at "
                         "terminated_at status occupied_slots } total_count } }"},
               {"variables", {{"limit", 100}, {"offset", 0}, {"status", "RUNNING"}}}});
    session_filter filter;
    filter.status = "PENDING,RUNNING";
    filter.access_key = "AK";
    filter.domain_name = "d";
    filter.group_id = "2de2b969-1d04-48a6-af16-0bc8adb3c831";
    filter.fields = {"sess_id", "lang", "sess_type", "name", "containers { id }"};
    on->add(answer_json(page("compute_session_list", json::array(), 0)));
    on.sdk->kernel().list_page(filter);
    const json sent = on->requests().at(1).body_json();
    CHECK(contains(sent["query"], "$group_id: UUID"));
    CHECK(contains(sent["query"],
                   "items { sess_id: name lang: image sess_type: type name containers { id } } total_count"));
    CHECK(sent["variables"]["domain_name"] == "d");
    CHECK(sent["variables"]["access_key"] == "AK");
    bench old(speaking("v5.20191215"));
    old->add(answer_json({{"compute_session_list", {{"items", json::array()}, {"total_count", 0}}}}));
    old.sdk->kernel().list_page(filter);
    CHECK(contains(old->requests().at(0).body_json()["query"], "$group_id: String"));
    bench oldest;
    CHECK(contains(attempt([&] { oldest.sdk->kernel().list_page(filter); }).text, "domain_name exists since"));
}

TEST_CASE("one session is asked for by UUID, and by name in the way that the version has") {
    const std::string uuid = "36af5fc0-87b5-4742-a08f-b2efe6ac7895";
    bench on(speaking("v7.20230615"));
    on->add(answer_json(data({{"compute_session", {{"name", "my-sess"}}}})));
    CHECK(on.sdk->admin().session(uuid)["name"] == "my-sess");
    CHECK(contains(on->requests().at(0).body_json()["query"], "query($id: UUID!) { compute_session(id: $id) {"));
    on->add(answer_json(page("compute_session_list", {{{"name", "my-sess"}}}, 1)));
    CHECK(on.sdk->admin().session("my-sess", {"name"})["name"] == "my-sess");
    const json variables = on->requests().at(1).body_json()["variables"];
    CHECK(variables["filter"] == "name == \"my-sess\"");
    CHECK(variables["order"] == "-created_at");
    CHECK(variables["limit"] == 1);
    on->add(answer_json(page("compute_session_list", json::array(), 0)));
    CHECK(on.sdk->admin().session("other").is_null());
    for (const char* attack : {"x\" | name == \"y", "a\\b1", "", "ab"}) {
        CHECK(attempt([&] { on.sdk->admin().session(attack); }).kind == error_kind::argument);
    }
    CHECK(on->count() == 3);

    bench old(speaking("v5.20191215")); // without filters
    old->add(answer_json({{"matches", {{{"id", uuid}, {"name", "my-sess"}, {"status", "RUNNING"}}}}}));
    old->add(answer_json({{"compute_session", {{"name", "my-sess"}}}}));
    CHECK(old.sdk->admin().session("my-sess")["name"] == "my-sess");
    CHECK(old->requests().at(0).target == "/base/session/_/match?id=my-sess");
    CHECK(old->requests().at(1).body_json()["variables"]["id"] == uuid);
    old->add(answer_json({{"matches", json::array()}}));
    CHECK(old.sdk->admin().session("other").is_null());
}

TEST_CASE("ten thousand key pairs come in a hundred pages, one in memory at a time") {
    bench on(speaking("v8.20240915"));
    on->otherwise([](const seen& request) { return serve_keypairs(request, 10000); });
    auto range = on.sdk->keypair().paginated_list();
    CHECK(on->count() == 0); // lazy
    int count = 0;
    for (const json& item : range) {
        if (item["access_key"] != "AK" + std::to_string(count)) FAIL("out of order");
        ++count;
        CHECK_MESSAGE(on->count() == static_cast<std::size_t>((count + 99) / 100), count);
    }
    CHECK(count == 10000);
    CHECK(on->count() == 100);
    CHECK_FALSE(range.next()); // single pass
    CHECK(on.sdk->keypair().list().size() == 10000);
}

TEST_CASE("a range begins where it is told, with pages of the size it is told") {
    bench on(speaking("v8.20240915"));
    on->otherwise([](const seen& request) { return serve_keypairs(request, 10); });
    page_query wanted;
    wanted.offset = 3;
    wanted.page_size = 4;
    auto range = on.sdk->keypair().paginated_list({}, wanted);
    std::string all;
    while (const auto item = range.next()) all += item->at("access_key").get<std::string>() + ' ';
    CHECK(all == "AK3 AK4 AK5 AK6 AK7 AK8 AK9 ");
    CHECK(on->count() == 2);
    const page_result single = on.sdk->keypair().list_page({}, wanted);
    CHECK(single.items.size() == 4);
    CHECK(single.total_count == 10);
    wanted.offset = 50;
    auto beyond = on.sdk->keypair().paginated_list({}, wanted);
    CHECK(beyond.begin() == beyond.end());
}

TEST_CASE("a server that counts wrong ends a range, and one that fails lets it go on") {
    bench on(speaking("v8.20240915"));
    on->add(answer_json(page("keypair_list", {{{"access_key", "a"}}}, 1000)));
    on->add(answer_json(page("keypair_list", json::array(), 1000)));
    auto range = on.sdk->keypair().paginated_list();
    CHECK(range.next());
    CHECK_FALSE(range.next());
    CHECK_FALSE(range.next());
    CHECK(on->count() == 2);

    auto second = on.sdk->keypair().paginated_list();
    on->add(answer_json(page("keypair_list", {{{"access_key", "a"}}}, 2)));
    CHECK(second.next());
    on->add(answer_json({{"type", "https://api.backend.ai/probs/auth-failed"}}, 401));
    CHECK(attempt([&] { second.next(); }).status == 401);
    on->add(answer_json(page("keypair_list", {{{"access_key", "b"}}}, 2)));
    CHECK(second.next()->at("access_key") == "b");
    CHECK_FALSE(second.next());

    for (const json& wrong :
         {json{{"items", json::array()}}, json{{"items", "x"}, {"total_count", 1}}, json("x"), json()}) {
        on->add(answer_json(data({{"keypair_list", wrong}})));
        auto broken = on.sdk->keypair().paginated_list();
        CHECK(attempt([&] { broken.next(); }).kind == error_kind::protocol);
    }
}

TEST_CASE("page arguments are checked before anything is sent") {
    bench on(speaking("v8.20240915"));
    const auto refused = [&](const std::function<void(page_query&)>& change) {
        page_query wanted;
        change(wanted);
        return attempt([&] { on.sdk->agent().list_page({}, wanted); }).kind == error_kind::argument;
    };
    CHECK(refused([](page_query& q) { q.page_size = 0; }));
    CHECK(refused([](page_query& q) { q.page_size = 101; }));
    CHECK(refused([](page_query& q) { q.offset = -1; }));
    CHECK(refused([](page_query& q) { q.offset = std::int64_t{1} << 31; }));
    for (const char* wrong : {"", "+", "++a", "a b", "-a,-b", "-a\"", "1a", "-"}) {
        CHECK(refused([&](page_query& q) { q.order = wrong; }));
    }
    CHECK(on->count() == 0);
}

TEST_CASE("filter and order are variables where they are known, order_key before that, and refused before that") {
    page_query wanted;
    wanted.filter = "is_active == true\" } }";
    wanted.order = "-access_key";
    bench on(speaking("v8.20240915"));
    on->otherwise([](const seen& request) { return serve_keypairs(request, 1); });
    on.sdk->keypair().list_page({}, wanted);
    const json sent = on->requests().at(0).body_json();
    CHECK(contains(sent["query"], "filter: $filter, order: $order"));
    CHECK(sent["variables"]["filter"] == *wanted.filter);
    CHECK(sent["variables"]["order"] == "-access_key");

    bench old(speaking("v6.20200815"));
    CHECK(contains(attempt([&] { old.sdk->keypair().list_page({}, wanted); }).text,
                   "filter exists since protocol version v6.20210815"));
    wanted.filter.reset();
    old->otherwise([](const seen&) {
        return answer_json({{"keypair_list", {{"items", json::array()}, {"total_count", 0}}}});
    });
    for (const auto& [order, ascending] : std::vector<std::pair<std::string, bool>>{
             {"-access_key", false}, {"+access_key", true}, {"access_key", true}}) {
        wanted.order = order;
        old.sdk->keypair().list_page({}, wanted);
        const json variables = old->requests().back().body_json()["variables"];
        CHECK(variables["order_key"] == "access_key");
        CHECK(variables["order_asc"] == ascending);
    }
    bench oldest;
    CHECK(contains(attempt([&] { oldest.sdk->keypair().list_page({}, wanted); }).text,
                   "order exists since protocol version v4.20190615"));
    CHECK(oldest->count() == 0);
}

TEST_CASE("where there are no pages the whole list is gone through, and a page is cut out of it") {
    bench on;
    on->otherwise([](const seen& request) {
        CHECK(contains(request.body_json()["query"], "{ keypairs("));
        return answer_json({{"keypairs", {{{"access_key", "a"}}, {{"access_key", "b"}}, {{"access_key", "c"}}}}});
    });
    page_query wanted;
    wanted.page_size = 1;
    wanted.offset = 1;
    std::string all;
    for (const json& item : on.sdk->keypair().paginated_list({}, wanted)) all += item["access_key"].get<std::string>();
    CHECK(all == "bc");
    CHECK(on->count() == 1);
    const page_result single = on.sdk->keypair().list_page({}, wanted);
    CHECK(single.items.size() == 1);
    CHECK(single.items[0]["access_key"] == "b");
    CHECK(single.total_count == 3);
    wanted.offset = 7;
    CHECK(on.sdk->keypair().list_page({}, wanted).items.empty());
}

TEST_CASE("in asynchronous mode each item of a range is a future") {
    scripted::clean_environment environment;
    auto lines = std::make_shared<scripted::script>();
    lines->otherwise([](const seen& request) { return serve_keypairs(request, 150); });
    api_config config;
    config.endpoint = "https://gw.example.org";
    config.version = "v8.20240915";
    config.access_key = scripted::access_key();
    config.secret_key = scripted::secret_key();
    basic_session<scripted::transport, async> sdk(config, scripted::transport(lines));
    auto range = sdk.keypair().paginated_list();
    int count = 0;
    while (const auto item = range.next().get()) count += item->contains("access_key") ? 1 : 0;
    CHECK(count == 150);
    CHECK(lines->count() == 2);
    CHECK(sdk.keypair().list_page().get().total_count == 150);
}

TEST_CASE("folders and agents have pages where the server has them") {
    bench on(speaking("v6.20230315"));
    on->add(answer_json(page("vfolder_list", {{{"name", "data"}}}, 1)));
    vfolder_filter folders;
    folders.access_key = "AK";
    folders.group_id = "g";
    folders.fields = {"name"};
    CHECK(on.sdk->vfolder().paginated_list(folders).next()->at("name") == "data");
    CHECK(contains(on->requests().at(0).body_json()["query"],
                   "vfolder_list(limit: $limit, offset: $offset, access_key: $access_key, group_id: $group_id)"));
    on->add(answer_json(page("vfolder_list", {{{"name", "data"}}}, 1)));
    CHECK(on.sdk->admin().vfolders().size() == 1);
    CHECK(
        contains(on->requests().at(1).body_json()["query"], "items { name created_at last_used max_files max_size }"));
    on->add(answer_json(page("agent_list", {{{"id", "i-1"}, {"available_slots", "{}"}}}, 1)));
    agent_filter agents;
    agents.status.reset();
    agents.scaling_group = "gpu";
    agents.fields = {"id", "available_slots"};
    const auto found = on.sdk->agent().paginated_list(agents).next();
    CHECK(found->at("available_slots") == json::object());
    CHECK(on->requests().at(2).body_json()["variables"] ==
          json{{"limit", 100}, {"offset", 0}, {"scaling_group", "gpu"}, {"status", nullptr}});
    bench old;
    CHECK(
        contains(attempt([&] { old.sdk->agent().paginated_list(agents).next(); }).text, "scaling_group exists since"));
}

TEST_CASE("key pairs of modern servers: users by e-mail, modifications of what changes, failures told in the answer") {
    bench on(speaking("v7.20230615"));
    on->add(answer_json(data({{"modify_keypair", {{"ok", true}, {"msg", "success"}}}})));
    on.sdk->keypair("AK").deactivate();
    REQUIRE(on->count() == 1); // nothing is read first
    const json sent = on->requests().at(0).body_json();
    CHECK(contains(sent["query"], "$input: ModifyKeyPairInput!"));
    CHECK(sent["variables"]["input"] == json{{"is_active", false}}); // what is left out stays

    on->add(answer_json(page("keypair_list", json::array(), 0)));
    on.sdk->keypair().list("a@b.c");
    CHECK(contains(on->requests().at(1).body_json()["query"], "email: $email"));
    CHECK(attempt([&] { on.sdk->keypair().list(5); }).kind == error_kind::argument);
    CHECK(attempt([&] { on.sdk->keypair().create(5); }).kind == error_kind::argument);

    const std::string failure =
        "integrity error: null value in column \"user\"\nDETAIL: (AKIAJNB3UR42HLBWXLPO, xwxVysgttx6ahDahftS6kIVso)";
    on->add(answer_json(data({{"create_keypair", {{"ok", false}, {"msg", failure}, {"keypair", nullptr}}}})));
    try {
        on.sdk->keypair().create("nobody@example.com");
        FAIL("no error");
    } catch (const graphql_error& e) {
        CHECK(contains(e.what(), "integrity error: null value in column"));
        CHECK_FALSE(contains(e.what(), "xwxVysgttx6ahDahftS6kIVso")); // a secret key, in the server's words
        CHECK(e.errors().at(0).message == failure);
    }
}

TEST_CASE("no string argument of a modern listing changes the text of a query") {
    const std::vector<std::string> attacks = {"\") { id } } mutation { delete_keypair(access_key: \"x",
                                              "} } #",
                                              "\\",
                                              "\"",
                                              "\n",
                                              "$status",
                                              "a\") @include(if: false",
                                              std::string("nul\0byte", 8),
                                              ""};
    using call = std::function<void(scripted::session&, const std::string&)>;
    const auto with_filter = [](auto member) {
        return [member](scripted::session& s, const std::string& text) {
            session_filter filter;
            filter.*member = text;
            s.kernel().list_page(filter);
        };
    };
    const auto with_folders = [](auto member) {
        return [member](scripted::session& s, const std::string& text) {
            vfolder_filter filter;
            filter.*member = text;
            s.vfolder().list_page(filter);
        };
    };
    const std::vector<call> calls = {with_filter(&session_filter::status),
                                     with_filter(&session_filter::access_key),
                                     with_filter(&session_filter::domain_name),
                                     with_filter(&session_filter::group_id),
                                     with_folders(&vfolder_filter::access_key),
                                     with_folders(&vfolder_filter::domain_name),
                                     with_folders(&vfolder_filter::group_id),
                                     [](auto& s, const auto& text) {
                                         s.keypair().list_page({user_id(text), true, {}});
                                     },
                                     [](auto& s, const auto& text) { s.keypair().list(text); },
                                     [](auto& s, const auto& text) { s.keypair(text).activate(); },
                                     [](auto& s, const auto& text) { s.keypair(text).remove(); },
                                     [](auto& s, const auto& text) { s.keypair().create(text); },
                                     [](auto& s, const auto& text) {
                                         agent_filter filter;
                                         filter.scaling_group = text;
                                         s.agent().list_page(filter);
                                     },
                                     [](auto& s, const auto& text) {
                                         page_query wanted;
                                         wanted.filter = text;
                                         s.agent().list_page({}, wanted);
                                     }};
    const auto record = [](const call& make, const std::string& text) {
        bench b(speaking("v9.20250722"));
        b->otherwise([](const seen&) {
            json all;
            for (const char* name : {"modify_keypair", "delete_keypair", "create_keypair"})
                all[name] = {{"ok", true}, {"keypair", json::object()}};
            for (const char* name : {"compute_session_list", "vfolder_list", "keypair_list", "agent_list"})
                all[name] = {{"items", json::array()}, {"total_count", 0}};
            return answer_json(data(all));
        });
        make(*b.sdk, text);
        REQUIRE(b->count() == 1);
        return b->requests()[0].body_json();
    };
    for (std::size_t i = 0; i < calls.size(); ++i) {
        CAPTURE(i);
        const json harmless = record(calls[i], "harmless");
        for (const std::string& attack : attacks) {
            const json attacked = record(calls[i], attack);
            CHECK(attacked["query"] == harmless["query"]);
            int places = 0;
            for (const auto& item : harmless["variables"].items()) {
                if (item.value() != "harmless") continue;
                ++places;
                CHECK(attacked["variables"][item.key()] == attack);
            }
            CHECK(places == 1);
        }
    }
    bench on(speaking("v9.20250722"));
    for (const char* attack :
         {"name: access_key", "id } } mutation { x", "sess_id: name", "id @skip(if: true)", "sess_id { x } }"}) {
        session_filter filter;
        filter.fields = {attack};
        CHECK(attempt([&] { on.sdk->kernel().list_page(filter); }).kind == error_kind::argument);
        CHECK(attempt([&] { on.sdk->admin().session("my-sess", {attack}); }).kind == error_kind::argument);
    }
    CHECK(on->count() == 0);
}
