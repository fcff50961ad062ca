// A restart of a session whose last run was left where it was.
#include <backendai.hpp>
#include <backendai/testing/gateway.hpp>

#include <doctest/doctest.h>

TEST_CASE("gateway: a restart while a batch waits for its next step") {
    const backendai::testing::gateway server;
    backendai::api_config config;
    config.endpoint = server.endpoint();
    config.access_key = server.access_key();
    config.secret_key = server.secret_key();
    backendai::session session(config);
    auto kernel = session.kernel().get_or_create("python");
    backendai::batch_commands commands;
    commands.clean = "echo cleaned";
    commands.exec = "echo never";
    const auto left = kernel.execute(commands);
    CHECK(left.status == backendai::run_status::clean_finished);
    kernel.restart();
    // What the restart ended says so when it is asked, and is in nobody's way until then.
    const auto end = kernel.execute(left.run_id, "", backendai::execute_mode::continue_);
    CHECK(end.status == backendai::run_status::finished);
    CHECK(end.exit_code == 130);
    CHECK(kernel.run("print(6 * 7)").out == "42\n");
}
