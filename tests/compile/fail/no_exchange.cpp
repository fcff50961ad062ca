// expect: this type is not a transport
#include <backendai/core.hpp>
struct not_a_transport {
#ifdef MUST_COMPILE
    backendai::response_head exchange(backendai::http_request&, backendai::body_sink&,
                                      const backendai::exchange_context&) {
        return {};
    }
#endif
};
int main() {
    backendai::api_config config;
    backendai::basic_session<not_a_transport, backendai::blocking> session(config, not_a_transport());
}
