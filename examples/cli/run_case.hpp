// One case of `run`: a compute session from its creation to its end.
#ifndef BACKENDAI_CLI_RUN_CASE_HPP
#define BACKENDAI_CLI_RUN_CASE_HPP

#include "context.hpp"
#include "ranges.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace cli {

// What `run` was told; the same for all cases.
struct run_options {
    std::string lang;
    std::vector<std::string> files;
    std::string session_id;
    std::optional<std::string> code;
    std::string clean, build, exec, basedir, tag;
    std::vector<std::string> envs, mounts, resources;
    std::vector<std::string> env_ranges, build_ranges, exec_ranges;
    int cluster_size = 1;
    int max_parallel = 2;
    bool terminal = false, rm = false, stats = false, quiet = false;
};

// Where a case's output goes.
struct case_output {
    std::function<void(std::string_view)> out, err; // of the code
    bool is_logged = false;                         // to files, so that what happened has to stand there, too
};

// Makes or takes the session, uploads, runs, and removes the session if asked to; also when it is interrupted.
// Returns the code's exit code. Throws what went wrong.
int run_one_case(context& ctx, const run_options& options, const run_case& values, std::size_t index,
                 const std::string& session_id, const case_output& output);

// The options for creating a session that `run` and `start` share. Throws failure(2).
backendai::create_options creation_options(const std::vector<std::string>& mounts,
                                           const std::vector<std::string>& resources, int cluster_size,
                                           const std::string& tag, const std::string& session_id);

// The statistics of a session that ended, a line for each.
std::string format_stats(const backendai::json& stats);

// A name for a session without one.
std::string random_session_id();

} // namespace cli

#endif
