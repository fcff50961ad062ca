// The conformance suite on every transport there is, the one of README among them.
#include "conformance.hpp"

#include "../../examples/counting_transport.hpp"

#include <backendai.hpp>
#include <backendai/testing/memory_transport.hpp>

namespace {

using namespace backendai;

struct httplib_fixture {
    testing::gateway server;
    httplib_transport make(const api_config& config) { return httplib_transport(config); }
};

#ifdef BACKENDAI_USE_CURL
struct curl_fixture {
    testing::gateway server;
    curl_transport make(const api_config& config) { return curl_transport(config); }
};
#endif

struct memory_fixture {
    testing::gateway server;
    testing::memory_transport make(const api_config&) { return testing::memory_transport(server); }
};

struct decorated_fixture {
    testing::gateway server;
    counting_transport<httplib_transport> make(const api_config& config) {
        return counting_transport<httplib_transport>(httplib_transport(config));
    }
};

} // namespace

TEST_CASE("conformance: httplib_transport") {
    conformance::run_suite<httplib_fixture>();
}
#ifdef BACKENDAI_USE_CURL
TEST_CASE("conformance: curl_transport") {
    conformance::run_suite<curl_fixture>();
}
#endif
TEST_CASE("conformance: memory_transport") {
    conformance::run_suite<memory_fixture>();
}
TEST_CASE("conformance: the custom transport of README") {
    conformance::run_suite<decorated_fixture>();
}

TEST_CASE("the custom transport of README counts what a session does") {
    testing::gateway server;
    const api_config config = conformance::config_for(server);
    basic_session<counting_transport<httplib_transport>, blocking> session(
        config, counting_transport<httplib_transport>(httplib_transport(config)));
    session.hello();
    session.hello();
    CHECK(session.transport().count() == 2);
}
