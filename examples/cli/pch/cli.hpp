// What every file of the command line includes, compiled once.
#include <backendai.hpp>

#include <CLI/CLI.hpp>
