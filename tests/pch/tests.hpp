// Precompiled for the test programs: what nearly every test includes, parsed once. The tests include what they use all
// the same, and the compile suite builds each header without this one.
#include <backendai.hpp>
#include <backendai/testing/gateway.hpp>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <vector>
