// What the tests of file transfers over sockets share: a gateway, a session on it, and a folder on disk.
#ifndef BACKENDAI_TESTS_FILES_BENCH_HPP
#define BACKENDAI_TESTS_FILES_BENCH_HPP

#include "../unit/files_support.hpp"
#include "call_result.hpp"

#include <backendai.hpp>
#include <backendai/testing/gateway.hpp>

#include <string>
#include <utility>
#include <vector>

namespace files_bench {

using progress = backendai::client_error::progress;

inline backendai::api_config config_of(const std::string& endpoint) {
    const backendai::testing::gateway_options defaults;
    backendai::api_config config;
    config.endpoint = endpoint;
    config.access_key = defaults.access_key;
    config.secret_key = defaults.secret_key;
    config.version = "v4.20190315";
    config.vfolder_mounts = std::vector<std::string>();
    config.sleeper = [](std::chrono::milliseconds) {}; // pauses between attempts are not what is tested here
    return config;
}

template <class Transport>
struct bench {
    explicit bench(backendai::testing::gateway_options options = {})
        : server(std::move(options)), session(config_of(server.endpoint())) {}

    // A folder of that name that holds a file of that content.
    auto folder_with(const std::string& file, std::string_view content, const std::string& name = "data") {
        session.vfolder().create(name);
        const auto folder = session.vfolder(name);
        const files_support::sandbox source;
        source.put(file, content);
        backendai::upload_options options;
        options.basedir = source.root();
        folder.upload({source.root() / file}, options);
        return folder;
    }
    backendai::upload_options from(const files_support::sandbox& place) const {
        backendai::upload_options options;
        options.basedir = place.root();
        return options;
    }

    backendai::testing::gateway server;
    backendai::basic_session<Transport, backendai::blocking> session;
    files_support::sandbox box;
};

} // namespace files_bench

#endif
