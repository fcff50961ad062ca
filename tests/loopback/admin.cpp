// The administrative functions end to end, over real sockets.
#include <backendai.hpp>
#include <backendai/testing/gateway.hpp>

#include <doctest/doctest.h>

#include <future>
#include <string>
#include <vector>

namespace {

using namespace backendai;

api_config config_for(const testing::gateway& gateway, std::string access_key = {}, std::string secret_key = {}) {
    api_config config;
    config.endpoint = gateway.endpoint();
    config.access_key = access_key.empty() ? gateway.access_key() : access_key;
    config.secret_key = secret_key.empty() ? gateway.secret_key() : secret_key;
    return config;
}

struct fixture {
    testing::gateway gateway;
    backendai::session session{config_for(gateway)};
};

} // namespace

TEST_CASE_FIXTURE(fixture, "admin: a key pair's whole life") {
    const auto made = session.keypair().create("user2@example.com");
    REQUIRE(made.access_key.size() == 20);
    REQUIRE_FALSE(made.secret_key.empty());
    const auto handle = session.keypair(made.access_key);
    const json info = handle.info({"user_id", "is_active", "is_admin", "rate_limit", "concurrency_limit"});
    CHECK(info == json({{"user_id", "user2@example.com"},
                        {"is_active", true},
                        {"is_admin", false},
                        {"rate_limit", 5000},
                        {"concurrency_limit", 1}}));

    backendai::session theirs(config_for(gateway, made.access_key, made.secret_key));
    CHECK(theirs.keypair(made.access_key).info()["access_key"] == made.access_key);
    CHECK(theirs.image().list().size() > 0);
    CHECK_THROWS_AS(theirs.agent().list(), graphql_error);
    CHECK_THROWS_AS(theirs.manager().freeze(), api_error);

    keypair_changes changes;
    changes.rate_limit = 77;
    changes.concurrency_limit = 3;
    handle.update(changes);
    handle.deactivate();
    CHECK(handle.info({"is_active", "rate_limit", "concurrency_limit"}) ==
          json({{"is_active", false}, {"rate_limit", 77}, {"concurrency_limit", 3}}));
    try {
        theirs.image().list();
        FAIL("an inactive key pair was accepted");
    } catch (const api_error& e) {
        CHECK(e.status() == 401);
    }
    handle.activate();
    CHECK(handle.info({"is_active", "rate_limit"}) == json({{"is_active", true}, {"rate_limit", 77}}));
    CHECK(theirs.image().list().size() > 0);
    CHECK(session.keypair(gateway.access_key()).info()["is_active"] == true); // not the caller's own was meant

    handle.remove();
    CHECK(handle.info().is_null());
    CHECK_THROWS_AS(handle.remove(), graphql_error);
    CHECK_THROWS_AS(handle.activate(), graphql_error);
    CHECK_THROWS_AS(theirs.image().list(), api_error);
}

TEST_CASE_FIXTURE(fixture, "admin: key pairs are listed by user and state") {
    keypair_options inactive;
    inactive.is_active = false;
    session.keypair().create(42, inactive);
    session.keypair().create(42);
    session.keypair().create("x\") { id } } #@example.com");
    CHECK(session.keypair().list().size() == 4);
    CHECK(session.keypair().list(42).size() == 2);
    CHECK(session.keypair().list("42", true).size() == 1);
    CHECK(session.keypair().list({}, false).size() == 1);
    CHECK(session.keypair().list("x\") { id } } #@example.com", {}, {"user_id"}).size() == 1);
    CHECK(session.keypair().list("nobody").empty());
}

TEST_CASE_FIXTURE(fixture, "admin: agents, images, folders and sessions") {
    const auto agents = session.agent().list("ALIVE", {"id", "available_slots", "computations { sess_id }"});
    REQUIRE(agents.size() == 1);
    CHECK(agents[0]["available_slots"].contains("cpu"));
    const std::string id = agents[0]["id"];
    CHECK(session.agent(id).info()["status"] == "ALIVE");
    CHECK(session.agent("i-other").info().is_null());
    CHECK(session.agent().list("LOST").empty());
    CHECK_THROWS_AS(session.agent().list("NO SUCH"), graphql_error);
    CHECK(session.image().list({"name", "labels { key value }"}).size() > 0);
    CHECK(session.admin().vfolders().empty());

    create_options options;
    options.client_token = "listed-session";
    const auto kernel = session.kernel().get_or_create("python", options);
    const auto sessions = session.admin().sessions();
    REQUIRE(sessions.size() == 1);
    CHECK(sessions[0]["sess_id"] == "listed-session");
    CHECK(sessions[0]["occupied_slots"]["cpu"] == "1");
    CHECK(session.admin().session("listed-session")["status"] == "RUNNING");
    CHECK(session.admin().session("another").is_null());
    session_filter filter;
    filter.status = "TERMINATED";
    CHECK(session.admin().sessions(filter).empty());
    filter.status.reset();
    filter.access_key = gateway.access_key();
    CHECK(session.admin().sessions(filter).size() == 1);
    CHECK(session.keypair(gateway.access_key())
              .info({"compute_sessions { sess_id occupied_slots }"})["compute_sessions"][0]["occupied_slots"]
              .is_object());
    kernel.destroy();
    CHECK(session.admin().sessions().empty());
}

TEST_CASE_FIXTURE(fixture, "admin: a frozen server makes nothing new and changes no key pairs") {
    const auto made = session.keypair().create("a@example.com");
    session.kernel().get_or_create("python");
    CHECK(session.manager().status().status == "running");
    CHECK(session.manager().status().active_sessions == 1);
    session.manager().freeze();
    CHECK(session.manager().status().status == "frozen");
    CHECK(session.manager().status().active_sessions == 1);
    CHECK_THROWS_AS(session.keypair(made.access_key).remove(), graphql_error);
    CHECK(session.keypair(made.access_key).info()["is_active"] == true);
    try {
        call_options once;
        once.retry = retry_policy();
        once.retry->max_attempts = 1;
        session.with(once).kernel().get_or_create("python");
        FAIL("a frozen server made a session");
    } catch (const api_error& e) {
        CHECK(e.status() == 503);
    }
    session.manager().freeze(true);
    CHECK(session.manager().status().active_sessions == 0);
    session.manager().unfreeze();
    session.keypair(made.access_key).remove();
    CHECK(session.keypair(made.access_key).info().is_null());
}

TEST_CASE_FIXTURE(fixture, "admin: the version is negotiated once, whatever the number of threads") {
    std::vector<std::future<std::size_t>> calls;
    for (int i = 0; i < 8; ++i) {
        calls.push_back(std::async(std::launch::async, [this] { return session.agent().list().size(); }));
    }
    for (auto& call : calls) CHECK(call.get() == 1);
    CHECK(gateway.received("GET", "/") == 1);
    CHECK(session.server_version() == "v4.20190315");
    CHECK(session.protocol_version() == "v4.20190315");
    CHECK(gateway.received("GET", "/") == 1);
}

TEST_CASE_FIXTURE(fixture, "admin: the asynchronous mode returns the same through futures") {
    basic_session<httplib_transport, async> later(config_for(gateway));
    const auto made = later.keypair().create("b@example.com").get();
    later.keypair(made.access_key).deactivate().get();
    CHECK(later.keypair(made.access_key).info().get()["is_active"] == false);
    CHECK(later.server_version().get() == "v4.20190315");
    CHECK(later.manager().status().get().status == "running");
    auto refused = later.agent().list("ALIVE", {"a } b"});
    CHECK_THROWS_AS(refused.get(), client_error);
}
