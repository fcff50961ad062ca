/// @file
/// One run of code in a session: its console, its phases, and the result object of the protocol.
#ifndef BACKENDAI_TESTING_GATEWAY_RUN_HPP
#define BACKENDAI_TESTING_GATEWAY_RUN_HPP

#include <backendai/version.hpp>

#include <nlohmann/json.hpp>

#include <array>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// The state of one run loop. Guarded by its kernel's mutex.
struct run {
    std::string id;
    bool is_batch = false;
    std::string code;
    std::array<std::string, 3> commands; ///< clean, build, exec

    std::size_t phase = 2;             ///< 0 clean, 1 build, 2 exec; a query has the last one only
    bool started = false;              ///< the present phase
    std::optional<bool> asks_password; ///< set while the code waits for input
    std::optional<int> exit_code;      ///< of the present phase, until it has been told
    bool is_over = false;              ///< `finished` has been told
    nlohmann::json console = nlohmann::json::array();
    std::size_t console_size = 0;
    nlohmann::json files = nlohmann::json::array();

    bool has_ended() const { return is_over || (phase == 2 && exit_code); }
    bool has_news() const { return exit_code || asks_password; }

    void print(const std::string& type, const std::string& data) {
        console_size += data.size();
        if (!console.empty() && console.back()[0] == type && (type == "stdout" || type == "stderr")) {
            console.back()[1].get_ref<std::string&>() += data;
        } else {
            console.push_back({type, data});
        }
    }

    /// The result object as it stands; what it tells is taken out of the run.
    nlohmann::json take_result() {
        static const std::array<const char*, 3> names = {"clean-finished", "build-finished", "finished"};
        nlohmann::json result = {{"runId", id},         {"status", "continued"},
                                 {"exitCode", nullptr}, {"console", std::move(console)},
                                 {"options", nullptr},  {"files", nlohmann::json::array()}};
        console = nlohmann::json::array();
        console_size = 0;
        if (exit_code) {
            result["status"] = names[phase];
            result["exitCode"] = *exit_code;
            exit_code.reset();
            if (phase == 2) {
                is_over = true;
                result["files"] = std::move(files);
            } else {
                ++phase;
                started = false;
            }
        } else if (asks_password) {
            result["status"] = "waiting-input";
            result["options"] = {{"is_password", *asks_password}};
        }
        return result;
    }
};

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
