// What the tests of streams share: a gateway with sessions on any transport, and relays that stand between the two.
#ifndef BACKENDAI_TESTS_STREAM_SUPPORT_HPP
#define BACKENDAI_TESTS_STREAM_SUPPORT_HPP

#include "call_result.hpp"
#include "certificates.hpp"
#include "tls_server.hpp"

#include <backendai.hpp>
#include <backendai/testing/gateway.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

namespace stream_support {

using namespace backendai;
using std::chrono::milliseconds;
using std::chrono::seconds;

inline api_config config_for(const testing::gateway& gateway) {
    api_config config;
    config.endpoint = gateway.endpoint();
    config.access_key = gateway.access_key();
    config.secret_key = gateway.secret_key();
    config.version = "v4.20190315"; // given, so that no greeting comes before the call
    config.proxy = "";              // whatever the machine's environment says
    return config;
}

template <class Transport>
struct fixture {
    using session_type = basic_session<Transport, blocking>;
    using kernel_type = basic_kernel<Transport, blocking>;

    testing::gateway gateway;
    session_type session{config_for(gateway)};

    kernel_type make(const std::string& language = "python") { return session.kernel().get_or_create(language); }
    // The next websocket goes wrong, at its message number `position`.
    std::size_t inject(testing::fault_kind kind, std::size_t position = 0, const std::string& bytes = {},
                       int status = 1011) {
        testing::fault wrong;
        wrong.kind = kind;
        wrong.position = position;
        wrong.bytes = bytes;
        wrong.status = status;
        return gateway.inject(wrong);
    }
};

// How often a test that meets random points does so: BACKENDAI_TEST_ROUNDS in place of `usual`, for long runs.
inline int rounds_of(int usual) {
    const char* said = std::getenv("BACKENDAI_TEST_ROUNDS"); // NOLINT(concurrency-mt-unsafe): nobody sets it
    return said != nullptr && std::atoi(said) > 0 ? std::atoi(said) : usual;
}

// Waits until something is so; a test that waits in vain fails by its own check afterwards.
template <class Condition>
bool soon(Condition&& condition) {
    const auto end = std::chrono::steady_clock::now() + seconds(20);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::sleep_for(milliseconds(2));
    }
    return true;
}

// Copies bytes both ways between a client and a port of this machine until either side is done.
inline void relay(hostile::peer& client, std::uint16_t port, const std::function<void(std::string&)>& up = {}) {
    os::tcp_socket service;
    try {
        service = os::tcp_socket::connect_loopback(port);
    } catch (const std::system_error&) {
        return;
    }
    std::thread down([&] {
        try {
            std::string buffer(65536, '\0');
            while (const std::size_t count = service.read(&buffer[0], buffer.size())) {
                if (!client.send({buffer.data(), count})) break;
            }
        } catch (const std::system_error&) {
            // The end of one side is the end of both.
        }
        client.end_writes();
    });
    try {
        for (std::string more = client.read_some(); !more.empty(); more = client.read_some()) {
            if (up) up(more);
            service.write(more);
        }
    } catch (const std::system_error&) {
        // as above
    }
    service.shutdown();
    down.join();
}

// An HTTP proxy that knows CONNECT only, and may want to know who asks.
class connect_proxy {
public:
    explicit connect_proxy(std::string authorization = {})
        : authorization_(std::move(authorization)), server_([this](hostile::peer& client) { serve(client); }) {}
    std::uint16_t port() const { return server_.port(); }
    int tunnels() const { return tunnels_; }

private:
    void serve(hostile::peer& client) {
        const auto request = client.read_request(false);
        if (!request) return;
        if (!request->has("CONNECT ")) {
            client.send(hostile::answer("{}", {}, "405 Method Not Allowed"));
            return;
        }
        if (!authorization_.empty() && !request->has("Proxy-Authorization: " + authorization_ + "\r\n")) {
            client.send(hostile::answer("{}", "Proxy-Authenticate: Basic realm=\"x\"\r\n",
                                        "407 Proxy Authentication Required"));
            client.end_writes();
            client.wait_for_end(seconds(5));
            return;
        }
        const std::string target = request->target();
        const auto port = static_cast<std::uint16_t>(std::stoul(target.substr(target.rfind(':') + 1)));
        ++tunnels_;
        if (client.send("HTTP/1.1 200 Connection established\r\n\r\n")) relay(client, port);
    }

    const std::string authorization_;
    std::atomic<int> tunnels_{0};
    hostile::server server_;
};

// TLS in front of a plain port of this machine. Both directions at once over one SSL object on a blocking socket pair:
// one thread owns the object and looks at both sockets in turn.
class tls_front {
public:
    tls_front(std::uint16_t port, const hostile::tls_options& options)
        : context_(options),
          port_(port),
          listener_(os::tcp_socket::listen_loopback(0)),
          own_port_(listener_.local_port()),
          acceptor_([this] { accept_all(); }) {}
    tls_front(const tls_front&) = delete;
    tls_front& operator=(const tls_front&) = delete;
    ~tls_front() {
        stopping_ = true;
        acceptor_.join();
        for (std::thread& thread : threads_) thread.join();
    }
    std::uint16_t port() const { return own_port_; }
    int handshakes() const { return handshakes_; }

private:
    void accept_all() {
        while (!stopping_) {
            auto client = std::make_shared<os::tcp_socket>(listener_.accept(milliseconds(20)));
            if (client->is_open()) threads_.emplace_back([this, client] { serve(*client); });
        }
    }

    // Memory in place of sockets under the SSL object, so that nothing in it blocks.
    struct pipe {
        explicit pipe(SSL_CTX* context) : ssl(SSL_new(context), SSL_free) {
            SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
            SSL_set_accept_state(ssl.get());
        }
        void put(std::string_view bytes) {
            BIO_write(SSL_get_rbio(ssl.get()), bytes.data(), static_cast<int>(bytes.size()));
        }
        std::string take() {
            std::string bytes;
            char block[16384];
            int count = 0;
            while ((count = BIO_read(SSL_get_wbio(ssl.get()), block, sizeof block)) > 0) {
                bytes.append(block, static_cast<std::size_t>(count));
            }
            return bytes;
        }
        std::unique_ptr<SSL, decltype(&SSL_free)> ssl;
    };

    void serve(os::tcp_socket& client) {
        try {
            os::tcp_socket service = os::tcp_socket::connect_loopback(port_);
            pipe secure(context_.get());
            std::string buffer(65536, '\0');
            bool open = false, down_open = true;
            while (!stopping_) {
                bool idle = true;
                if (client.wait_readable(milliseconds(0))) {
                    idle = false;
                    const std::size_t count = client.read(&buffer[0], buffer.size());
                    if (count == 0) break;
                    secure.put({buffer.data(), count});
                    if (!open && SSL_do_handshake(secure.ssl.get()) == 1) {
                        open = true;
                        ++handshakes_;
                    }
                    if (open) {
                        int got = 0;
                        while ((got = SSL_read(secure.ssl.get(), &buffer[0], static_cast<int>(buffer.size()))) > 0) {
                            service.write({buffer.data(), static_cast<std::size_t>(got)});
                        }
                    }
                }
                if (open && down_open && service.wait_readable(milliseconds(0))) {
                    idle = false;
                    const std::size_t count = service.read(&buffer[0], buffer.size());
                    down_open = count != 0;
                    if (down_open) {
                        SSL_write(secure.ssl.get(), buffer.data(), static_cast<int>(count));
                    } else {
                        SSL_shutdown(secure.ssl.get());
                    }
                }
                const std::string bytes = secure.take();
                if (!bytes.empty()) client.write(bytes);
                if (!down_open) client.shutdown_writes();
                if (idle) client.wait_readable(milliseconds(1));
            }
            service.shutdown();
        } catch (const std::system_error&) {
            // Either side went away.
        }
        client.shutdown();
    }

    hostile::tls_context context_;
    const std::uint16_t port_;
    os::tcp_socket listener_;
    const std::uint16_t own_port_;
    std::atomic<bool> stopping_{false};
    std::atomic<int> handshakes_{0};
    std::list<std::thread> threads_; // of the accepting thread until that has ended
    std::thread acceptor_;
};

} // namespace stream_support

#endif
