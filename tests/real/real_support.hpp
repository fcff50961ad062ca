/// @file
/// What the tests against a real server share: sessions whose transport writes the transcript, and the ledger of the
/// functions that were called, which is compared with functions.md.
#ifndef BACKENDAI_TESTS_REAL_SUPPORT_HPP
#define BACKENDAI_TESTS_REAL_SUPPORT_HPP

#include "recording_transport.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace real {

using backendai::json;
using session = backendai::basic_session<recording::transport, backendai::blocking>;
using async_session = backendai::basic_session<recording::transport, backendai::async>;

/// A variable that run.py sets.
inline std::string environment(const char* name) {
    const char* value = std::getenv(name);
    if (value == nullptr) throw std::runtime_error(std::string(name) + " is not set: run this by tests/real/run.py");
    return value;
}

// As in fixture.json and servers.py.
inline constexpr const char* image = "python:3.9";
inline constexpr const char* admin_key = "AKIAREALADMINEXAMPLE";
inline constexpr const char* user_key = "AKIAREALUSER1EXAMPLE";
inline constexpr const char* group = "11111111-0000-4000-8000-000000000001";

inline std::shared_ptr<recording::transcript> book() {
    static const auto transcript = std::make_shared<recording::transcript>(environment("BACKENDAI_REAL_TRANSCRIPT"));
    return transcript;
}

inline backendai::api_config config_of(bool admin = true) {
    backendai::api_config config;
    config.endpoint = environment("BACKENDAI_REAL_ENDPOINT");
    config.access_key = admin ? admin_key : user_key;
    config.secret_key = admin ? "real-suite-admin-secret-key-EXAMPLE-0001" : "real-suite-user-secret-key-EXAMPLE-00002";
    return backendai::resolve_config(std::move(config)); // no version: it is negotiated
}
inline backendai::api_config web_config() {
    backendai::api_config config;
    config.endpoint = environment("BACKENDAI_REAL_WEB_ENDPOINT");
    config.endpoint_type = "session";
    return backendai::resolve_config(std::move(config));
}
template <class Session = session>
Session connect(const backendai::api_config& config) {
    return Session(config, recording::transport(config, book()));
}
inline session connect(bool admin = true) {
    return connect(config_of(admin));
}

/// What a function turned out to be on this server.
inline std::map<std::string, std::string>& ledger() {
    static std::map<std::string, std::string> verdicts;
    return verdicts;
}

template <class Call>
void step(const std::string& function, const char* verdict, Call call) {
    book()->label(function);
    INFO(function);
    try {
        call();
        // One proof of many: a function that was found wanting once stays so.
        ledger().emplace(function, verdict);
    } catch (const std::exception& e) {
        ledger()[function] = std::string("failed: ") + e.what();
        FAIL_CHECK(std::string(e.what()));
    }
}
/// A call that does on this server what it says; @p call checks that.
template <class Call>
void works(const std::string& function, Call call) {
    step(function, "works", std::move(call));
}
/// A call whose answer the server makes up, or loses.
template <class Call>
void canned(const std::string& function, Call call) {
    step(function, "canned", std::move(call));
}
/// A call that this server cannot do: it must refuse, with the status.
template <class Call>
void impossible(const std::string& function, int status, Call call) {
    step(function, "impossible", [&] {
        try {
            call();
            FAIL_CHECK("the server could do it after all");
        } catch (const backendai::api_error& e) {
            CHECK(e.status() == status);
        }
    });
}

/// A folder for what a test writes, gone with it.
class scratch {
public:
    scratch()
        : path(std::filesystem::temp_directory_path() / ("backendai-real-" + std::to_string(std::random_device{}()))) {
        std::filesystem::create_directories(path);
    }
    scratch(const scratch&) = delete;
    scratch& operator=(const scratch&) = delete;
    ~scratch() {
        std::error_code ignored;
        std::filesystem::remove_all(path, ignored);
    }
    std::filesystem::path write(const std::string& name, const std::string& content) const {
        std::filesystem::create_directories((path / name).parent_path());
        std::ofstream(path / name, std::ios::binary) << content;
        return path / name;
    }
    std::string read(const std::string& name) const {
        std::ifstream file(path / name, std::ios::binary);
        return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    }
    std::filesystem::path path;
};

inline backendai::create_options small(const std::string& name) {
    backendai::create_options options;
    options.client_token = name;
    options.resources = {{"cpu", 1}, {"mem", "128m"}};
    return options;
}

/// Waits until @p ready, half a minute at most: for what the server does after its answer.
inline bool soon(const std::function<bool()>& ready) {
    for (int i = 0; i < 150; ++i) {
        if (ready()) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
    return false;
}

} // namespace real

#endif
