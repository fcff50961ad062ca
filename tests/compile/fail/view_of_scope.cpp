// expect: protected
// A scope does not say whose transport it is: a view of another type's would open its websockets by the wrong one.
#include <backendai.hpp>
void make(const backendai::session& session) {
#ifdef MUST_COMPILE
    const auto view = session.with({});
#else
    const backendai::basic_session_view<backendai::httplib_transport, backendai::blocking> view(session.scope());
#endif
    (void)view;
}
int main() {}
