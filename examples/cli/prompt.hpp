// Questions to the user.
#ifndef BACKENDAI_CLI_PROMPT_HPP
#define BACKENDAI_CLI_PROMPT_HPP

#include "interrupt.hpp"

#include <optional>
#include <string>

namespace cli {

// A line of standard input without its line break; nothing at the end of the input. Not thread-safe.
// Throws client_error{cancelled} on Ctrl-C.
std::optional<std::string> read_line(const interrupt& interrupts);

// The same, unseen: where standard input is a terminal it does not echo.
std::optional<std::string> read_password(const interrupt& interrupts);

class context;

// Asks whether to go on, on standard error. Throws failure when there is nobody to answer: a script has to say -y.
bool confirm(context& ctx, const std::string& question);

} // namespace cli

#endif
