// Where the examples run: on the cluster that the environment names, else (or with --local) on the embedded gateway.
#ifndef BACKENDAI_EXAMPLES_WHERE_HPP
#define BACKENDAI_EXAMPLES_WHERE_HPP

#include <backendai.hpp>
#include <backendai/testing/gateway.hpp>

#include <iostream>
#include <memory>
#include <string>
#include <string_view>

namespace examples {

// Keep it alive for as long as the session.
class where {
public:
    where(int argc, char** argv) {
        bool local = backendai::get_env("ACCESS_KEY").empty();
        for (int i = 1; i < argc; ++i) local = local || std::string_view(argv[i]) == "--local";
        if (!local) return;
        std::cerr << "No cluster: using the embedded gateway, which runs code on this machine as this user.\n";
        gateway_ = std::make_unique<backendai::testing::gateway>();
        config_.endpoint = gateway_->endpoint();
        config_.access_key = gateway_->access_key();
        config_.secret_key = gateway_->secret_key();
    }
    const backendai::api_config& config() const { return config_; }

private:
    std::unique_ptr<backendai::testing::gateway> gateway_;
    backendai::api_config config_;
};

} // namespace examples

#endif
