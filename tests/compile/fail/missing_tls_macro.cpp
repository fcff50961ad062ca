// expect: define CPPHTTPLIB_OPENSSL_SUPPORT for the whole program
#ifndef MUST_COMPILE
#undef CPPHTTPLIB_OPENSSL_SUPPORT
#endif
#include <backendai.hpp>
int main() {}
