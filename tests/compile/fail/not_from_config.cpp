// expect: this transport cannot be made from an api_config
#include <backendai/core.hpp>
struct needs_more {
    explicit needs_more(int) {}
#ifdef MUST_COMPILE
    explicit needs_more(const backendai::api_config&) {}
#endif
    backendai::response_head exchange(backendai::http_request&, backendai::body_sink&,
                                      const backendai::exchange_context&) {
        return {};
    }
};
int main() {
    backendai::api_config config;
    backendai::basic_session<needs_more, backendai::blocking> session(config);
}
