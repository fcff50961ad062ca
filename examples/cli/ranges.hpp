// Range expressions: one command line that runs many cases.
#ifndef BACKENDAI_CLI_RANGES_HPP
#define BACKENDAI_CLI_RANGES_HPP

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace cli {

// A variable and the values that it goes through.
struct value_range {
    std::string name;
    std::vector<std::string> values;
};

// "x=case:a,b,c", "x=linspace:1,2,11" (start, stop, how many) or "x=range:1,10,2" (start, stop, step; without stop).
// Throws failure(2).
value_range parse_range(const std::string& text, const char* option);

// Every combination of the ranges' values; the last range changes fastest. One empty combination without ranges.
std::vector<std::map<std::string, std::string>> combinations(const std::vector<value_range>& ranges);

// Puts values in place of $name and ${name}. Names without a value stay, as they are the shell's. Where there are
// values, $$ is a dollar sign.
std::string substitute(const std::string& text, const std::map<std::string, std::string>& values);

// One case of a run: what differs between the cases.
struct run_case {
    std::vector<std::pair<std::string, std::string>> envs;
    std::string build = "*", exec = "*";

    friend bool operator==(const run_case& a, const run_case& b) {
        return a.envs == b.envs && a.build == b.build && a.exec == b.exec;
    }
};

// The cases of a run: each combination of the three kinds of ranges put into the texts; equal ones count once.
// Throws failure(2) when there are more than 10,000.
std::vector<run_case> make_cases(const std::vector<std::pair<std::string, std::string>>& envs, const std::string& build,
                                 const std::string& exec, const std::vector<value_range>& env_ranges,
                                 const std::vector<value_range>& build_ranges,
                                 const std::vector<value_range>& exec_ranges);

} // namespace cli

#endif
