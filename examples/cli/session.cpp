// The one file that compiles the transport and the embedded gateway; the others only see what they are called.
#define BACKENDAI_HTTPLIB_IMPLEMENTATION
#include "context.hpp"

#include <backendai/testing/gateway.hpp>

#include <mutex>

namespace cli {

class context::local_gateway {
public:
    backendai::api_config configured(backendai::api_config config) const {
        config.endpoint = server_.endpoint();
        config.access_key = server_.access_key();
        config.secret_key = server_.secret_key();
        return config;
    }

private:
    backendai::testing::gateway server_;
};

context::context() = default;
context::~context() = default;

backendai::api_config context::config() const {
    backendai::api_config config;
    if (options.skip_sslcert_validation) config.skip_sslcert_validation = true;
    return gateway_ ? gateway_->configured(std::move(config)) : config;
}

backendai::session& context::session() {
    static std::mutex making; // the cases of a run may be the first to ask, at once
    const std::lock_guard<std::mutex> lock(making);
    if (!session_) {
        if (options.is_local) gateway_ = std::make_unique<local_gateway>();
        backendai::api_config config = this->config();
        config.on_log = [this](const backendai::log_record& record) {
            // Three times half a minute without a word would look like a program that hangs.
            if (record.failure == "timeout" && !interrupts.happened())
                notes.info("The server gives no answer (attempt " + std::to_string(record.attempt) + ").");
        };
        session_ = std::make_unique<backendai::session>(std::move(config));
    }
    return *session_;
}

} // namespace cli
