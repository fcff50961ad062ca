#include "ranges.hpp"

#include "output.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace cli {
namespace {

constexpr std::size_t most_values = 10000;

std::vector<std::string> split(const std::string& text) {
    std::vector<std::string> parts(1);
    for (const char c : text) {
        if (c == ',') {
            parts.emplace_back();
        } else {
            parts.back() += c;
        }
    }
    return parts;
}

bool is_name(const std::string& text) {
    const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
    return !text.empty() && letter(text.front()) &&
           std::all_of(text.begin(), text.end(), [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

[[noreturn]] void wrong(const std::string& text, const char* option, const std::string& why) {
    throw failure(std::string(option) + " \"" + text + "\": " + why + ".", 2);
}

double number(const std::string& text, const std::string& whole, const char* option) {
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    if (text.empty() || *end != '\0' || !std::isfinite(value)) wrong(whole, option, '"' + text + "\" is no number");
    return value;
}

long integer(const std::string& text, const std::string& whole, const char* option) {
    const double value = number(text, whole, option);
    if (value != std::floor(value) || std::fabs(value) > 1e15)
        wrong(whole, option, '"' + text + "\" is no whole number");
    return static_cast<long>(value);
}

std::string shortest(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.15g", value == 0 ? 0.0 : value); // not "-0"
    return text;
}

} // namespace

value_range parse_range(const std::string& text, const char* option) {
    const std::size_t equals = text.find('='), colon = text.find(':');
    if (equals == std::string::npos || colon == std::string::npos || colon < equals) {
        wrong(text, option,
              "a range is NAME=case:A,B,... or NAME=linspace:START,STOP,NUM or NAME=range:START,STOP[,STEP]");
    }
    value_range range;
    range.name = text.substr(0, equals);
    if (!is_name(range.name)) wrong(text, option, "a name has letters, digits and '_', and begins with no digit");
    const std::string kind = text.substr(equals + 1, colon - equals - 1);
    const std::vector<std::string> parts = split(text.substr(colon + 1));
    if (kind == "case") {
        range.values = parts;
    } else if (kind == "linspace") {
        if (parts.size() != 3) wrong(text, option, "linspace takes START,STOP,NUM");
        const double start = number(parts[0], text, option), stop = number(parts[1], text, option);
        const long count = integer(parts[2], text, option);
        if (count < 1 || count > static_cast<long>(most_values)) wrong(text, option, "NUM is from 1 to 10000");
        for (long i = 0; i < count; ++i) {
            const double step = count == 1 ? 0 : (stop - start) / static_cast<double>(count - 1);
            range.values.push_back(shortest(start + step * static_cast<double>(i)));
        }
    } else if (kind == "range") {
        if (parts.size() > 3) wrong(text, option, "range takes START,STOP[,STEP]");
        const long first = integer(parts[0], text, option);
        const long start = parts.size() == 1 ? 0 : first;
        const long stop = parts.size() == 1 ? first : integer(parts[1], text, option);
        const long step = parts.size() == 3 ? integer(parts[2], text, option) : 1;
        if (step == 0) wrong(text, option, "STEP is 0");
        for (long i = start; step > 0 ? i < stop : i > stop; i += step) {
            if (range.values.size() == most_values) wrong(text, option, "these are more than 10000 values");
            range.values.push_back(std::to_string(i));
        }
    } else {
        wrong(text, option, "there are case:, linspace: and range:");
    }
    if (range.values.empty()) wrong(text, option, "there is no value in this range");
    return range;
}

std::vector<std::map<std::string, std::string>> combinations(const std::vector<value_range>& ranges) {
    std::vector<std::map<std::string, std::string>> all(1);
    for (const value_range& range : ranges) {
        std::vector<std::map<std::string, std::string>> longer;
        for (const auto& values : all) {
            if (longer.size() + range.values.size() > most_values) throw failure("These are more than 10000 cases.", 2);
            for (const std::string& value : range.values) {
                longer.push_back(values);
                longer.back()[range.name] = value;
            }
        }
        all = std::move(longer);
    }
    return all;
}

std::string substitute(const std::string& text, const std::map<std::string, std::string>& values) {
    if (values.empty()) return text;
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '$') {
            result += text[i];
            continue;
        }
        if (text.compare(i, 2, "$$") == 0) {
            result += '$';
            ++i;
            continue;
        }
        const bool braced = text.compare(i, 2, "${") == 0;
        const std::size_t begin = i + (braced ? 2 : 1);
        std::size_t end = begin;
        while (end < text.size() && is_name(text.substr(begin, end + 1 - begin))) ++end;
        const auto found = values.find(text.substr(begin, end - begin));
        const bool is_ours = found != values.end() && (!braced || text.compare(end, 1, "}") == 0);
        if (is_ours) {
            result += found->second;
            i = braced ? end : end - 1;
        } else {
            result += '$';
        }
    }
    return result;
}

std::vector<run_case> make_cases(const std::vector<std::pair<std::string, std::string>>& envs, const std::string& build,
                                 const std::string& exec, const std::vector<value_range>& env_ranges,
                                 const std::vector<value_range>& build_ranges,
                                 const std::vector<value_range>& exec_ranges) {
    const auto for_envs = combinations(env_ranges), for_build = combinations(build_ranges),
               for_exec = combinations(exec_ranges);
    if (for_envs.size() * for_build.size() > most_values ||
        for_envs.size() * for_build.size() * for_exec.size() > most_values) {
        throw failure("These are more than 10000 cases.", 2);
    }
    std::vector<run_case> cases;
    for (const auto& env_values : for_envs) {
        for (const auto& build_values : for_build) {
            for (const auto& exec_values : for_exec) {
                run_case next;
                for (const auto& env : envs) next.envs.emplace_back(env.first, substitute(env.second, env_values));
                if (!build.empty()) next.build = substitute(build, build_values);
                if (!exec.empty()) next.exec = substitute(exec, exec_values);
                if (std::find(cases.begin(), cases.end(), next) == cases.end()) cases.push_back(std::move(next));
            }
        }
    }
    return cases;
}

} // namespace cli
