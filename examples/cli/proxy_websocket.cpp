#include "proxy_websocket.hpp"

#include <backendai/codec/websocket.hpp>
#include <backendai/error.hpp>

#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace cli {
namespace {

namespace codec = backendai::codec;

class websocket_pair {
public:
    websocket_pair(backendai::os::tcp_socket& client, std::string rest, backendai::message_stream& server)
        : client_(client), rest_(std::move(rest)), server_(server) {}

    void run() {
        std::thread down([this] { carry_down(); });
        carry_up();
        down.join();
    }

private:
    // Client to server, on the caller's thread.
    void carry_up() {
        try {
            std::string_view input = rest_;
            std::vector<char> buffer(65536);
            for (;;) {
                while (const auto event = codec_.decode(input)) {
                    if (codec::is_control(event->opcode)) {
                        const bool is_close = event->opcode == codec::websocket_opcode::close;
                        write([&] { codec_.note(*event); });
                        if (is_close) return server_.close();
                    } else if (event->opcode == codec::websocket_opcode::text) {
                        server_.send_text(codec_.take());
                    } else {
                        server_.send_binary(codec_.take());
                    }
                }
                const std::size_t count = client_.read(buffer.data(), buffer.size());
                if (count == 0) return server_.close();
                input = std::string_view(buffer.data(), count);
            }
        } catch (const codec::websocket_error& error) {
            write([&] { codec_.note(error); });
            server_.close();
        } catch (const std::exception&) {
            server_.cancel(); // either side is gone; the other direction tells the client, if it is there
        }
    }

    // Server to client.
    void carry_down() {
        std::uint16_t code = 1011;
        std::string reason;
        try {
            for (;;) {
                const backendai::stream_message message = server_.receive();
                if (message.is_closed()) {
                    const bool has_code = message.code != 1005 && message.code != 1006;
                    code = has_code ? message.code : std::uint16_t{1000};
                    reason = message.data;
                    break;
                }
                write([&] {
                    if (!codec_.control().may_send()) return;
                    codec_.write_message(
                        out_, message.is_text() ? codec::websocket_opcode::text : codec::websocket_opcode::binary,
                        message.data);
                });
            }
        } catch (const backendai::error&) {
            reason = "the connection to the server is lost";
        } catch (const std::system_error&) {
            server_.cancel(); // the client is gone
        }
        try {
            write([&] { codec_.write_close(out_, code, reason); });
        } catch (const std::exception&) {
            // It cannot be told any more.
        }
        client_.shutdown_writes();
        // The client's answer to the goodbye ends the other direction; one that does not answer is cut off.
        if (!client_.wait_readable(std::chrono::seconds(2))) client_.shutdown();
    }

    template <class Change>
    void write(Change change) {
        const std::lock_guard<std::mutex> lock(mutex_);
        change();
        codec_.write_pending(out_);
        const std::string bytes = std::exchange(out_, {});
        if (!bytes.empty()) client_.write(bytes);
    }

    backendai::os::tcp_socket& client_;
    const std::string rest_;
    backendai::message_stream& server_;
    std::mutex mutex_; // of the codec's writing half and of what it wrote
    codec::websocket_codec codec_{codec::websocket_role::server};
    std::string out_;
};

} // namespace

void carry_websocket(backendai::os::tcp_socket& client, std::string rest, backendai::message_stream& server) {
    websocket_pair(client, std::move(rest), server).run();
}

} // namespace cli
