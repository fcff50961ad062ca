/// @file
/// The SDK's version and the inline namespace that keeps two incompatible copies of it apart in one program.
#ifndef BACKENDAI_VERSION_HPP
#define BACKENDAI_VERSION_HPP

#define BACKENDAI_VERSION_MAJOR 0
#define BACKENDAI_VERSION_MINOR 1
#define BACKENDAI_VERSION_PATCH 0
#define BACKENDAI_VERSION "0.1.0"

// Symbols carry the version, so that two versions linked into one program never share a function by accident.
#define BACKENDAI_ABI v0_1_0

// Functions with a body that costs something are `template <class = void>`, here and in every header, members of
// classes included: a compiler then reads the body of one that a file does not call, but generates no code for it and
// for what it uses, which halves the time that the umbrella takes (tests/bench/compile_cost.py). Inner classes whose
// virtual or special members cost something are that as a whole (`cookie_jar<>`), since those cannot be it alone. What
// stays as it is: such members of other classes, operators, functions whose address is taken, and one-liners that call
// none of the others.

#define BACKENDAI_NAMESPACE_BEGIN \
    namespace backendai { \
    inline namespace BACKENDAI_ABI {
#define BACKENDAI_NAMESPACE_END \
    } \
    }

#endif
