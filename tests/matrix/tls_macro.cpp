// Two files, one with CPPHTTPLIB_OPENSSL_SUPPORT and one without, must not become one program, whatever they call.
#include <backendai.hpp>

#ifdef SECOND
int second();
int second() {
    return 0;
}
#else
int second();
int main() {
    return second();
}
#endif
