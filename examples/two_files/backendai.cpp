// The one file of the program that compiles httplib.h and the code of the sessions. It takes as long as a small program
// that uses all of them, and then not again until the SDK changes.
#define BACKENDAI_HTTPLIB_IMPLEMENTATION
#include <backendai.hpp>
