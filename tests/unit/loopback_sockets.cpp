// Connections that do not leave the machine.
#include <backendai/os/tcp_stream.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <string>

namespace {

using namespace backendai;

#ifdef TCP_CONGESTION
std::string control_of(os::detail::socket_handle handle) {
    char name[32] = {};
    socklen_t size = sizeof name;
    if (::getsockopt(handle, IPPROTO_TCP, TCP_CONGESTION, name, &size) != 0) return "";
    return name;
}
#endif

} // namespace

TEST_CASE("sockets: which addresses do not leave the machine") {
    const auto is_loopback = [](const char* host) { return os::detail::numeric_address(host, 1).is_loopback(); };
    CHECK(is_loopback("127.0.0.1"));
    CHECK(is_loopback("127.255.1.2"));
    CHECK(is_loopback("::1"));
    for (const char* other : {"0.0.0.0", "126.0.0.1", "128.0.0.1", "192.0.2.1", "::", "::2", "2001:db8::1"}) {
        CHECK_FALSE(is_loopback(other));
    }
}

#ifdef TCP_CONGESTION
TEST_CASE("sockets: what stays on the machine is not paced, and the rest is as the system has it") {
    const auto plain = [] {
        os::detail::start_sockets();
        return os::tcp_socket(::socket(AF_INET, SOCK_STREAM, 0));
    };
    const std::string usual = control_of(plain().handle());
    os::tcp_socket probe = plain();
    os::detail::send_unpaced(probe.handle());
    if (control_of(probe.handle()) != "reno") return; // a system without, or an emulated one
    os::tcp_socket listener = os::tcp_socket::listen_loopback(0);
    os::tcp_socket client = os::tcp_socket::connect_loopback(listener.local_port());
    os::tcp_socket server = listener.accept(std::chrono::seconds(5));
    CHECK(control_of(client.handle()) == "reno");
    CHECK(control_of(server.handle()) == "reno");
    os::tcp_listener other = os::listen_on("127.0.0.1", 0);
    const auto stream = os::tcp_stream<>::connect("127.0.0.1", other.port, exchange_context{});
    server = other.socket.accept(std::chrono::seconds(5));
    CHECK(control_of(stream->handle()) == "reno");
    CHECK(control_of(server.handle()) == "reno");
    CHECK(control_of(os::listen_on("0.0.0.0", 0).socket.handle()) == usual);
}
#endif
