// One of two files of a program, each with another version of the SDK: each must get the answers of its own.
#include <backendai/core.hpp>

#include <iostream>

#ifdef SECOND
std::string second_agent();
std::string second_agent() {
#else
std::string second_agent();
std::string first_agent();
std::string first_agent() {
#endif
    backendai::api_config config;
    config.endpoint = "http://127.0.0.1:1";
    config.access_key = config.secret_key = "x";
    return backendai::resolve_config(config).user_agent.value();
}

#ifndef SECOND
int main() {
    std::cout << first_agent() << '\n' << second_agent() << '\n';
}
#endif
