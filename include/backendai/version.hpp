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

#define BACKENDAI_NAMESPACE_BEGIN \
    namespace backendai { \
    inline namespace BACKENDAI_ABI {
#define BACKENDAI_NAMESPACE_END \
    } \
    }

#endif
