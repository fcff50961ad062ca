/// @file
/// The Backend.AI client SDK for C++: everything, with the default transport (unless BACKENDAI_NO_HTTPLIB is defined)
/// and with the one on libcurl if BACKENDAI_USE_CURL is defined.
#ifndef BACKENDAI_HPP
#define BACKENDAI_HPP

#include <backendai/core.hpp>

#ifndef BACKENDAI_NO_HTTPLIB
#include <backendai/transport/httplib.hpp>
#endif

#ifdef BACKENDAI_USE_CURL
#include <backendai/transport/curl.hpp>
#endif

#endif
