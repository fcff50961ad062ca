// A websocket of a client of the local proxy, tied to one of the server.
#ifndef BACKENDAI_CLI_PROXY_WEBSOCKET_HPP
#define BACKENDAI_CLI_PROXY_WEBSOCKET_HPP

#include <backendai/message_stream.hpp>
#include <backendai/os/socket.hpp>

#include <string>

namespace cli {

// Carries messages both ways until either side ends. The handshake with the client is done; `rest` are the bytes that
// came behind it.
void carry_websocket(backendai::os::tcp_socket& client, std::string rest, backendai::message_stream& server);

} // namespace cli

#endif
