// Sessions that log in at the webserver; all else as with the manager. At the end: the ledger of all functions.
#include "real_support.hpp"

#include <iostream>

TEST_CASE("real: logged in at the webserver") {
    auto sdk = real::connect(real::web_config());
    real::works("session.login_check", [&] { CHECK(!sdk.login_check()); });
    real::works("session.login", [&] {
        CHECK_THROWS_AS(sdk.login("admin@example.com", "wrong"), backendai::login_error);
        const auto who = sdk.login("admin@example.com", "admin-password");
        CHECK(who.access_key == real::admin_key);
        CHECK(sdk.login_check()->access_key == real::admin_key);
    });
    real::book()->label("through the webserver");
    CHECK(sdk.protocol_version() == "v7.20230615");
    auto kernel = sdk.kernel().get_or_create(real::image, real::small("real-web"));
    CHECK(kernel.run("print(6 * 7)").out == "42\n");
    int events = 0;
    for (const auto& event : kernel.stream_execute("print(1)")) events += event.console.empty() ? 0 : 1;
    CHECK(events > 0);
    const real::scratch folder;
    folder.write("a.txt", "by the webserver");
    sdk.vfolder().create("realweb");
    backendai::upload_options options;
    options.basedir = folder.path;
    sdk.vfolder("realweb").upload({folder.path / "a.txt"}, options);
    sdk.vfolder("realweb").download({"a.txt"}, folder.path / "back");
    CHECK(folder.read("back/a.txt") == "by the webserver");
    sdk.vfolder("realweb").remove();
    CHECK(sdk.keypair().list().size() == 2);
    kernel.destroy();
    real::works("session.logout", [&] {
        sdk.logout();
        CHECK(!sdk.login_check());
    });
    try {
        sdk.vfolder().list();
        FAIL_CHECK("nobody is logged in");
    } catch (const backendai::api_error& e) {
        CHECK(e.status() == 401);
    }
}

// functions.md says of each function what it does on this server: `| name | verdict | remark |`. The run has to agree.
TEST_CASE("real: the table of functions is what happened") {
    std::ifstream file(BACKENDAI_REAL_FUNCTIONS);
    REQUIRE(file.good());
    std::map<std::string, std::string> table;
    for (std::string line; std::getline(file, line);) {
        std::vector<std::string> cells;
        std::istringstream stream(line);
        for (std::string cell; std::getline(stream, cell, '|');) {
            const std::size_t begin = cell.find_first_not_of(" `"), end = cell.find_last_not_of(" `");
            cells.push_back(begin == std::string::npos ? "" : cell.substr(begin, end - begin + 1));
        }
        if (cells.size() < 3 || (cells[2] != "works" && cells[2] != "canned" && cells[2] != "impossible")) continue;
        table[cells[1]] = cells[2];
    }
    std::map<std::string, int> counts;
    for (const auto& item : real::ledger()) {
        const std::string &name = item.first, &verdict = item.second;
        const std::string expected = table.count(name) != 0 ? table[name] : "not in the table";
        INFO(name);
        CHECK(expected == verdict);
        ++counts[verdict];
        std::cout << "  " << name << ": " << verdict << '\n';
    }
    for (const auto& item : table) {
        INFO(item.first << " was not called");
        CHECK(real::ledger().count(item.first) == 1);
    }
    std::cout << "functions on the real server: " << counts["works"] << " work, " << counts["canned"] << " canned, "
              << counts["impossible"] << " impossible; transcript of " << real::book()->count() << " exchanges\n";
}
