/// @file
/// Everything but a transport. Include <backendai.hpp> for the default one too.
#ifndef BACKENDAI_CORE_HPP
#define BACKENDAI_CORE_HPP

#include <backendai/api/admin.hpp>
#include <backendai/api/agent.hpp>
#include <backendai/api/image.hpp>
#include <backendai/api/kernel.hpp>
#include <backendai/api/keypair.hpp>
#include <backendai/api/manager.hpp>
#include <backendai/api/vfolder.hpp>
#include <backendai/app_tunnel.hpp>
#include <backendai/attach_terminal.hpp>
#include <backendai/cancel.hpp>
#include <backendai/codec/websocket.hpp>
#include <backendai/config.hpp>
#include <backendai/error.hpp>
#include <backendai/files/file_source.hpp>
#include <backendai/files/terminal_progress.hpp>
#include <backendai/http.hpp>
#include <backendai/log.hpp>
#include <backendai/media.hpp>
#include <backendai/message_stream.hpp>
#include <backendai/mode_async.hpp>
#include <backendai/parallel.hpp>
#include <backendai/request.hpp>
#include <backendai/response.hpp>
#include <backendai/retry.hpp>
#include <backendai/session.hpp>
#include <backendai/transport/concept.hpp>
#include <backendai/version.hpp>

#endif
