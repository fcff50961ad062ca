// What the tests of storage proxies share: a gateway that speaks v7, a session on it, a folder, and a sandbox.
#ifndef BACKENDAI_TESTS_STORAGE_BENCH_HPP
#define BACKENDAI_TESTS_STORAGE_BENCH_HPP

#include "files_bench.hpp"

#include <filesystem>
#include <string>
#include <utility>

namespace storage_bench {

inline backendai::testing::gateway_options modern() {
    backendai::testing::gateway_options options;
    options.protocol = "v7.20230615";
    return options;
}

inline backendai::api_config config_of(const backendai::testing::gateway& server) {
    backendai::api_config config = files_bench::config_of(server.endpoint());
    config.version = "v7.20230615";
    return config;
}

template <class Transport>
struct bench {
    explicit bench(backendai::testing::gateway_options options = modern())
        : server(with_place(std::move(options), server_box)), session(config_of(server)) {}

    /// The folder "data", made at the first call.
    auto folder() {
        if (!std::exchange(has_folder, true)) session.vfolder().create("data");
        return session.vfolder("data");
    }
    /// Where a file of the folder lies on the server, and what it holds.
    std::filesystem::path place(const std::string& name) const {
        for (const auto& entry : std::filesystem::directory_iterator(server_box.root())) {
            if (entry.path().filename().string().compare(0, 17, "backendai-gateway") == 0)
                return entry.path() / "vfolders" / "data" / name;
        }
        return {};
    }
    std::string stored(const std::string& name) const { return files_support::sandbox::read(place(name)); }
    /// Puts a file into the folder, past the protocol.
    void store(const std::string& name, std::string_view content) {
        folder();
        std::filesystem::create_directories(place(name).parent_path());
        std::ofstream(place(name), std::ios::binary) << content;
    }
    backendai::upload_options from(const files_support::sandbox& source) const {
        backendai::upload_options options;
        options.basedir = source.root();
        return options;
    }

    files_support::sandbox server_box, box;
    backendai::testing::gateway server;
    backendai::basic_session<Transport, backendai::blocking> session;
    bool has_folder = false;

private:
    static backendai::testing::gateway_options with_place(backendai::testing::gateway_options options,
                                                          const files_support::sandbox& place) {
        options.directory = place.root().string();
        return options;
    }
};

} // namespace storage_bench

#endif
