// The serving half of HTTP/1.1, as much of it as the local proxy needs: requests off a connection, answers onto it.
#ifndef BACKENDAI_CLI_PROXY_HTTP_HPP
#define BACKENDAI_CLI_PROXY_HTTP_HPP

#include <backendai/codec/byte_source.hpp>
#include <backendai/codec/http_fields.hpp>
#include <backendai/os/socket.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace cli {

struct proxy_request {
    std::string method, target;
    backendai::codec::http_fields fields;
    bool is_http_1_1 = true;

    std::string field(std::string_view name) const; // empty when there is none
    bool keeps_alive() const;
};

// A request that is none, or is more than the proxy takes: the status to answer before the connection is closed.
struct bad_proxy_request {
    int status;
    const char* reason;
};

// One client's connection. One thread reads; writing may be another's.
class client_connection {
public:
    explicit client_connection(backendai::os::tcp_socket& socket) : socket_(socket) {}

    // The next request's head; nothing when the client is done. Throws bad_proxy_request, std::system_error.
    std::optional<proxy_request> next();
    // Its body. One of known length is read from the connection while it is used, and so only once; one in chunks is
    // collected, up to 64 MiB of it. Null where there is none.
    std::shared_ptr<backendai::codec::byte_source> body(const proxy_request& request);
    // Whether all of that body was taken, so that the next request begins where the connection stands.
    bool is_body_done() const;

    void write(std::string_view bytes) { socket_.write(bytes); }
    // A whole answer of a few words.
    void answer(int status, std::string_view reason, std::string_view text, bool keeps_alive);
    // What came behind the request, for whoever takes the connection over.
    std::string take_rest() { return std::exchange(bytes_, {}); }
    backendai::os::tcp_socket& socket() { return socket_; }

    // Up to so many bytes of the body; 0 at the end of the connection.
    std::size_t read_some(char* buffer, std::size_t capacity);

private:
    class connection_source;
    std::string read_line();
    std::string read_chunks();
    bool fill();

    backendai::os::tcp_socket& socket_;
    std::string bytes_; // that came and were not taken yet
    std::shared_ptr<connection_source> source_;
};

} // namespace cli

#endif
