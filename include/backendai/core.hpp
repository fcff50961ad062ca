/// @file
/// Everything but a transport. Include <backendai.hpp> for the default one too.
#ifndef BACKENDAI_CORE_HPP
#define BACKENDAI_CORE_HPP

#include <backendai/api/kernel.hpp>
#include <backendai/cancel.hpp>
#include <backendai/config.hpp>
#include <backendai/error.hpp>
#include <backendai/http.hpp>
#include <backendai/log.hpp>
#include <backendai/media.hpp>
#include <backendai/request.hpp>
#include <backendai/response.hpp>
#include <backendai/retry.hpp>
#include <backendai/session.hpp>
#include <backendai/transport/concept.hpp>
#include <backendai/version.hpp>

#endif
