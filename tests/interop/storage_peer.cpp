/// @file
/// Transfers with a storage proxy as programs that can be killed, and the gateway they talk to; for storage_killed.py.
///   storage_peer serve DIRECTORY       a gateway that keeps its files there; prints its endpoint; answers each line it
///                                      reads ("received", "sent", "open") by a number; ends with its input
///   storage_peer upload FILE NOTE      uploads FILE to the folder "data", going on by NOTE; prints how far it is
///   storage_peer download NAME DEST    downloads NAME, going on with what is there; prints how far it is
/// The latter two take the server from BACKEND_*, and the piece of an upload from STORAGE_PEER_CHUNK. They end by
/// SIGKILL as soon as they are as far as STORAGE_PEER_KILL_AT: a signal from outside may come when they are through.
#include <backendai.hpp>
#include <backendai/testing/gateway.hpp>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

namespace {

// Whole lines: it may be the last one.
bool show(const std::string& /*file*/, std::uint64_t done, std::uint64_t /*total*/) {
    std::cout << std::to_string(done) + '\n' << std::flush;
    const char* limit = std::getenv("STORAGE_PEER_KILL_AT");
    if (limit != nullptr && done >= std::strtoull(limit, nullptr, 10)) std::raise(SIGKILL);
    return true;
}

void serve(const std::string& directory) {
    backendai::testing::gateway_options options;
    options.directory = directory;
    options.vfolders = {"data"};
    options.protocol = "v7.20230615";
    backendai::testing::gateway server(options);
    std::cout << server.endpoint() << ' ' << server.access_key() << ' ' << server.secret_key() << std::endl;
    for (std::string line; std::getline(std::cin, line);) {
        if (line == "received") std::cout << server.storage_received() << std::endl;
        if (line == "sent") std::cout << server.storage_sent() << std::endl;
        if (line == "open") std::cout << server.open_uploads() << std::endl;
    }
}

void run(const std::vector<std::string>& words) {
    if (words[0] == "serve") return serve(words.at(1));
    backendai::api_config config;
    config.version = "v7.20230615";
    backendai::session session(config);
    if (words[0] == "upload") {
        backendai::upload_options options;
        options.basedir = std::filesystem::path(words.at(1)).parent_path();
        options.resume_file = words.at(2);
        options.progress = show;
        if (const char* chunk = std::getenv("STORAGE_PEER_CHUNK"))
            options.chunk_size = std::strtoull(chunk, nullptr, 10);
        session.vfolder("data").upload({words[1]}, options);
    } else if (words[0] == "download") {
        backendai::download_options options;
        options.resume = true;
        options.progress = show;
        session.vfolder("data").download({words.at(1)}, words.at(2), options);
    } else {
        throw std::invalid_argument("see the head of storage_peer.cpp");
    }
}

} // namespace

int main(int argc, char** argv) {
    try {
        if (argc < 3) throw std::invalid_argument("see the head of storage_peer.cpp");
        run({argv + 1, argv + argc});
        return 0;
    } catch (const std::exception& e) {
        std::cerr << e.what() << '\n';
        return 1;
    }
}
