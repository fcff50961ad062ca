/// @file
/// The server's side of a websocket on a connection of the embedded gateway, which can also lie.
#ifndef BACKENDAI_TESTING_GATEWAY_WEBSOCKET_HPP
#define BACKENDAI_TESTING_GATEWAY_WEBSOCKET_HPP

#include <backendai/codec/websocket.hpp>
#include <backendai/os/read_buffer.hpp>
#include <backendai/os/socket.hpp>
#include <backendai/testing/gateway_faults.hpp>
#include <backendai/testing/gateway_types.hpp>
#include <backendai/version.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// What came from a client.
struct client_message {
    bool is_closed = false; ///< by a close frame, or by the end of the connection
    std::string data;
};

/// Thrown out of a handler when its websocket is over for a scripted fault.
struct scripted_end {};

/// One thread receives while others send.
class server_websocket {
public:
    server_websocket(os::tcp_socket& socket, std::string rest, std::shared_ptr<const fault> wrong)
        : socket_(socket), early_(std::move(rest)), wrong_(std::move(wrong)), input_(early_) {}

    /// The next message, or nothing when none came within @p limit.
    std::optional<client_message> receive_for(std::chrono::milliseconds limit) {
        const auto end = std::chrono::steady_clock::now() + limit;
        try {
            for (;;) {
                while (const auto event = codec_.decode(input_)) {
                    const bool is_data = !codec::is_control(event->opcode);
                    if (is_data) return client_message{false, codec_.take()};
                    const bool is_close = event->opcode == codec::websocket_opcode::close;
                    answer([&] { codec_.note(*event); });
                    if (is_close) return client_message{true, {}};
                }
                const auto left =
                    std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
                if (!socket_.wait_readable((std::max)(left, std::chrono::milliseconds(0)))) return std::nullopt;
                buffer_.prepare();
                const std::size_t count = socket_.read(buffer_.data(), buffer_.size());
                buffer_.note(count);
                if (count == 0) return client_message{true, {}};
                input_ = std::string_view(buffer_.data(), count);
            }
        } catch (const codec::websocket_error& error) {
            answer([&] { codec_.note(error); });
        } catch (const std::system_error&) {
            // A broken connection is an end like another to a server.
        }
        return client_message{true, {}};
    }

    /// @throws std::system_error when the client is gone, scripted_end.
    void send_text(std::string_view text) { send(codec::websocket_opcode::text, text, text.size()); }
    /// In messages of @p message_size bytes at most, which go out together.
    void send_binary(std::string_view bytes, std::size_t message_size) {
        send(codec::websocket_opcode::binary, bytes, message_size);
    }

    /// Says goodbye; another thread that receives sees the client's.
    void close_nowait(std::uint16_t code, std::string_view reason = {}) {
        try {
            answer([&] { codec_.write_close(out_, code, reason); });
        } catch (const std::system_error&) {
            // Gone without a goodbye.
        }
    }
    /// Says goodbye and waits a moment for the client's.
    void close(std::uint16_t code, std::string_view reason = {}) {
        try {
            answer([&] { codec_.write_close(out_, code, reason); });
            if (has_lied()) return;
            const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(2);
            while (std::chrono::steady_clock::now() < end) {
                const auto message = receive_for(std::chrono::milliseconds(200));
                if (message && message->is_closed) break;
            }
        } catch (const std::system_error&) {
            // Gone without a goodbye.
        }
    }

private:
    bool has_lied() {
        const std::lock_guard<std::mutex> lock(mutex_);
        return has_lied_;
    }

    template <class Note>
    void answer(Note&& note) {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (has_lied_) return;
        note();
        codec_.write_pending(out_);
        flush();
    }

    void send(codec::websocket_opcode opcode, std::string_view bytes, std::size_t message_size) {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (has_lied_ || !codec_.control().may_send()) return; // it will see the client's close soon
        do {
            const std::string_view payload = bytes.substr(0, message_size);
            bytes.remove_prefix(payload.size());
            if (wrong_ && sent_++ == wrong_->position) {
                flush();
                lie(opcode, payload);
            }
            codec_.write_message(out_, opcode, payload);
        } while (!bytes.empty());
        flush();
    }

    void flush() {
        std::string bytes;
        bytes.swap(out_); // which is empty when the client is gone
        if (!bytes.empty()) socket_.write(bytes);
        bytes.clear();
        bytes.swap(out_); // its memory serves the next
    }

    [[noreturn]] void lie(codec::websocket_opcode opcode, std::string_view payload) {
        has_lied_ = true; // nothing more may follow, a goodbye least of all
        std::string bytes;
        switch (wrong_->kind) {
        case fault_kind::websocket_drop:
            codec::websocket_append_frame(bytes, opcode, true, payload, nullptr);
            bytes.resize(bytes.size() / 2);
            break;
        case fault_kind::websocket_bad_frame: bytes = "\xC1\x02??"; break; // text with the first reserved bit
        case fault_kind::websocket_oversized_frame: {
            unsigned char head[codec::websocket_max_header_size];
            const std::size_t size =
                codec::websocket_write_header(head, opcode, true, std::uint64_t{1} << 62U, nullptr);
            bytes.assign(reinterpret_cast<const char*>(head), size);
            break;
        }
        case fault_kind::websocket_close:
            codec_.write_close(bytes, static_cast<std::uint16_t>(wrong_->status), wrong_->bytes);
            break;
        case fault_kind::websocket_message:
            codec_.write_message(bytes, codec::websocket_opcode::text, wrong_->bytes);
            break;
        default: break; // websocket_stall sends nothing more
        }
        if (!bytes.empty()) socket_.write(bytes);
        if (wrong_->kind != fault_kind::websocket_drop) {
            // Until the client gives up: what it still sends is thrown away. Another thread may be receiving.
            std::vector<char> ignored(4096);
            while (socket_.read(ignored.data(), ignored.size()) != 0) continue;
        }
        throw scripted_end{};
    }

    os::tcp_socket& socket_;
    const std::string early_;
    const std::shared_ptr<const fault> wrong_;
    os::read_buffer buffer_;
    std::string_view input_;
    std::mutex mutex_; // of everything below but codec_.decode()
    codec::websocket_codec codec_{codec::websocket_role::server};
    std::string out_;
    std::size_t sent_ = 0;
    bool has_lied_ = false;
};

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
