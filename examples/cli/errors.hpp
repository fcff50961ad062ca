// Failures as one paragraph that tells what to do about them, and the exit code that goes with each.
#ifndef BACKENDAI_CLI_ERRORS_HPP
#define BACKENDAI_CLI_ERRORS_HPP

#include "context.hpp"

namespace cli {

// What to tell the user of an error of the SDK.
std::string explain(const backendai::error& error, const backendai::api_config& config);

// To be called while an exception is handled: tells it on standard error and returns the exit code.
int report_failure(context& ctx);

} // namespace cli

#endif
