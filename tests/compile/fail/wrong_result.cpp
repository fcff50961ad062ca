// expect: this type is not a transport
#include <backendai/core.hpp>
struct returns_status_only {
#ifdef MUST_COMPILE
    backendai::response_head
#else
    int
#endif
    exchange(backendai::http_request&, backendai::body_sink&, const backendai::exchange_context&) {
        return {};
    }
};
int main() {
    backendai::api_config config;
    backendai::basic_session<returns_status_only, backendai::blocking> session(config, returns_status_only());
}
