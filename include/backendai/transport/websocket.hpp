/// @file
/// An open websocket: the codec over a byte stream, with one reader, any number of senders and a keeper.
#ifndef BACKENDAI_TRANSPORT_WEBSOCKET_HPP
#define BACKENDAI_TRANSPORT_WEBSOCKET_HPP

#include <backendai/cancel.hpp>
#include <backendai/codec/websocket.hpp>
#include <backendai/http.hpp>
#include <backendai/message_stream.hpp>
#include <backendai/os/read_buffer.hpp>
#include <backendai/os/stream.hpp>
#include <backendai/transport/websocket_keeper.hpp>
#include <backendai/version.hpp>

#include <openssl/rand.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN

/// How an open websocket behaves.
struct websocket_options {
    codec::websocket_limits limits;
    std::chrono::milliseconds ping_interval{30'000}; ///< 0 is no pings
    std::chrono::milliseconds ping_timeout{30'000};  ///< silence after a ping that means a dead peer
    std::chrono::milliseconds send_timeout{60'000};  ///< the peer takes nothing for so long; 0 is no limit
};

namespace detail {

/// Masks from a cryptographic source, drawn in batches. Not thread-safe.
class mask_generator {
public:
    codec::websocket_mask_key operator()() {
        if (used_ + 4 > sizeof pool_) {
            if (RAND_bytes(pool_, static_cast<int>(sizeof pool_)) != 1) {
                throw client_error(error_kind::io, "no random numbers", client_error::progress::maybe_sent);
            }
            used_ = 0;
        }
        codec::websocket_mask_key key;
        std::memcpy(key.data(), pool_ + used_, 4);
        used_ += 4;
        return key;
    }

private:
    unsigned char pool_[1024] = {};
    std::size_t used_ = sizeof pool_;
};

/// See message_stream. Three locks, taken in this order: reading_ (who reads and decodes), state_ (what is written and
/// how it all stands), the stream's own. Only the one that has the flushing turn writes to the stream.
template <class = void>
class websocket final : public message_stream, private ticked {
    using clock = exchange_context::clock;

public:
    /// @param early bytes that came behind the handshake's answer
    websocket(std::unique_ptr<os::byte_stream> stream, std::string early, std::string protocol,
              const websocket_options& options, const exchange_context& context,
              std::shared_ptr<websocket_keeper<>> keeper)
        : stream_(std::move(stream)),
          early_(std::move(early)),
          protocol_(std::move(protocol)),
          options_(options),
          keeper_(std::move(keeper)),
          codec_(codec::websocket_role::client, options.limits, mask_generator()),
          input_(early_),
          next_ping_(clock::now() + options.ping_interval) {
        last_received_ = clock::now().time_since_epoch().count();
        on_cancel_.emplace(context.cancel, [this] { fail(error_kind::cancelled, "the stream was cancelled"); });
        on_close_.emplace(context.closing, [this] { fail(error_kind::closed, "the session was closed"); });
        std::chrono::milliseconds period(1000);
        if (options_.ping_interval.count() > 0) period = (std::min)(period, options_.ping_interval / 2);
        keeper_->add(*this, (std::max)(period, std::chrono::milliseconds(10)));
    }
    ~websocket() override {
        on_cancel_.reset();
        on_close_.reset();
        keeper_->remove(*this);
        try {
            std::unique_lock<std::mutex> lock(state_);
            if (!failure_ && !flushing_) {
                codec_.write_close(out_);
                flush(lock, false);
            }
        } catch (const std::exception&) {
            // A goodbye to a peer that is gone is nothing that anybody misses.
        }
        stream_->end_writes();
    }

    stream_message receive() override { return *receive_until((clock::time_point::max)()); }
    std::optional<stream_message> receive_for(std::chrono::milliseconds limit) override {
        return receive_until(time_after(limit));
    }
    stream_message receive_joined(std::size_t size) override {
        const std::lock_guard<std::mutex> reader(reading_);
        stream_message message = *next_until((clock::time_point::max)());
        if (message.is_binary()) join(message, size);
        return message;
    }

    void send_text(std::string_view text) override { send(codec::websocket_opcode::text, text); }
    void send_binary(std::string_view bytes) override { send(codec::websocket_opcode::binary, bytes); }

    void close(std::uint16_t code, std::string_view reason) override {
        try {
            codec::websocket_encoder::require_close(code, reason);
        } catch (const std::invalid_argument& e) {
            throw client_error(error_kind::argument, e.what());
        }
        std::unique_lock<std::mutex> lock(state_);
        await_turn(lock);
        if (failure_ || !codec_.write_close(out_, code, reason)) return;
        try {
            flush(lock, true);
        } catch (const client_error&) {
            // The connection is lost: receive() tells, if anybody wants to know.
        }
    }

    void cancel() noexcept override { fail(error_kind::cancelled, "the stream was cancelled"); }
    const std::string& protocol() const noexcept override { return protocol_; }

private:
    static constexpr std::size_t max_kept_messages = 1U << 20U; // bytes read while nobody receives

    static std::size_t cost_of(const stream_message& message) { return message.data.size() + sizeof message; }

    // --- receiving: all of this under reading_ -----------------------------------------------------------------------

    std::optional<stream_message> receive_until(clock::time_point deadline) {
        const std::lock_guard<std::mutex> reader(reading_);
        return next_until(deadline);
    }

    std::optional<stream_message> next_until(clock::time_point deadline) {
        for (;;) {
            check();
            if (!kept_.empty()) return take_kept();
            if (broken_) throw *broken_;
            if (closed_) return *closed_;
            if (std::optional<stream_message> message = decode()) return message;
            if (closed_) continue;
            if (!fill(deadline, true)) return std::nullopt;
        }
    }

    stream_message take_kept() {
        stream_message message = std::move(kept_.front());
        kept_.pop_front();
        kept_size_ -= cost_of(message);
        return message;
    }

    // Appends the binary messages that are there already. What ends the stream is left for the next call.
    void join(stream_message& message, std::size_t size) {
        try {
            while (message.data.size() < size && !kept_.empty() && kept_.front().is_binary()) {
                message.data += take_kept().data;
            }
            if (!kept_.empty() || broken_ || closed_) return;
            while (message.data.size() < size) {
                const std::optional<codec::websocket_event> event = decode_data();
                if (!event) return;
                if (event->opcode == codec::websocket_opcode::text) return keep(to_message(*event));
                message.data += event->payload;
            }
        } catch (const client_error&) {
            // In broken_.
        } catch (const std::bad_alloc&) {
            lose_place();
            throw;
        }
    }

    void keep(stream_message message) {
        const std::size_t cost = cost_of(message);
        kept_.push_back(std::move(message));
        kept_size_ += cost;
    }

    // Of the last event.
    stream_message to_message(const codec::websocket_event& event) {
        const bool is_text = event.opcode == codec::websocket_opcode::text;
        return {is_text ? stream_message::type::text : stream_message::type::binary, codec_.take(), 0};
    }

    // The next message of what has been read; a close frame sets closed_.
    std::optional<stream_message> decode() {
        try {
            if (const std::optional<codec::websocket_event> event = decode_data()) return to_message(*event);
            return std::nullopt;
        } catch (const std::bad_alloc&) {
            lose_place();
            throw;
        }
    }

    std::optional<codec::websocket_event> decode_data() {
        try {
            while (const std::optional<codec::websocket_event> event = codec_.decode(input_)) {
                switch (event->opcode) {
                case codec::websocket_opcode::text:
                case codec::websocket_opcode::binary: return event;
                case codec::websocket_opcode::pong: break;
                default: answer(*event); break;
                }
                if (closed_) return std::nullopt;
            }
        } catch (const codec::websocket_error& e) {
            refuse(e);
        }
        return std::nullopt;
    }

    // A message, or a part of one, was lost for want of memory: nothing that comes after it may be taken for whole.
    void lose_place() noexcept {
        input_ = {};
        stream_->shut_down();
    }

    void answer(const codec::websocket_event& event) {
        const bool is_close = event.opcode == codec::websocket_opcode::close;
        if (is_close) closed_ = stream_message{stream_message::type::closed, std::string(event.payload), event.code};
        std::unique_lock<std::mutex> lock(state_);
        codec_.note(event);
        codec_.write_pending(out_);
        if (flushing_) return; // whoever flushes takes it along
        try {
            flush(lock, false);
        } catch (const client_error&) {
            // Writing is over, which the next send tells; reading goes on to its own end.
        }
    }

    [[noreturn]] void refuse(const codec::websocket_error& error) {
        broken_.emplace(error_kind::protocol, error.what(), client_error::progress::maybe_sent);
        {
            std::unique_lock<std::mutex> lock(state_);
            codec_.note(error);
            codec_.write_pending(out_);
            try {
                if (!flushing_) flush(lock, false);
            } catch (const client_error&) {
                // The peer does not learn what was wrong with it; the caller does.
            }
        }
        // Bytes unread when the socket is closed would reset the connection, and the peer lose our close frame.
        stream_->end_writes();
        try {
            const auto end = clock::now() + std::chrono::milliseconds(100);
            for (std::size_t left = 1U << 20U; left > buffer_.size() && clock::now() < end;) {
                const os::io_result got = stream_->read(buffer_.data(), buffer_.size());
                if (got.state == os::io_state::ended) break;
                left -= got.count;
                if (got.state != os::io_state::done)
                    os::wait_ready(stream_->handle(), true, false, std::chrono::milliseconds(20));
            }
        } catch (const client_error&) {
            // It is gone already.
        }
        throw *broken_;
    }

    // Reads some bytes. False when there were none until the deadline (or at once, with @p wait false).
    bool fill(clock::time_point deadline, bool wait) {
        for (;;) {
            const os::io_result got = read_some();
            if (got.state == os::io_state::done) {
                input_ = std::string_view(buffer_.data(), got.count);
                last_received_ = clock::now().time_since_epoch().count();
                return true;
            }
            if (got.state == os::io_state::ended) {
                end_of_stream();
                return true;
            }
            if (!wait) return false;
            std::chrono::milliseconds limit(-1);
            if (deadline != (clock::time_point::max)()) {
                const auto left = deadline - clock::now();
                if (left.count() <= 0) return false;
                limit = std::chrono::duration_cast<std::chrono::milliseconds>(left) + std::chrono::milliseconds(1);
            }
            const bool unsent = has_unsent();
            os::wait_ready(stream_->handle(), got.state == os::io_state::wants_read,
                           unsent || got.state == os::io_state::wants_write, limit);
            check();
            if (unsent) flush_quietly();
        }
    }

    os::io_result read_some() {
        try {
            buffer_.prepare();
            const os::io_result got = stream_->read(buffer_.data(), buffer_.size());
            buffer_.note(got.count);
            return got;
        } catch (const client_error& e) {
            check();
            broken_ = e;
            throw;
        }
    }

    void end_of_stream() {
        check();
        {
            const std::lock_guard<std::mutex> lock(state_);
            if (!codec_.control().may_send()) { // we had said goodbye; that it was not returned loses nothing
                closed_ = stream_message{stream_message::type::closed, {}, codec::websocket_close::abnormal};
                return;
            }
        }
        broken_.emplace(error_kind::connect, "the connection ended without a close frame",
                        client_error::progress::maybe_sent);
        throw *broken_;
    }

    // --- sending: under state_ ---------------------------------------------------------------------------------------

    void send(codec::websocket_opcode opcode, std::string_view payload) {
        std::unique_lock<std::mutex> lock(state_);
        await_turn(lock);
        if (failure_) throw_failure();
        if (unwritable_) throw *unwritable_;
        if (!codec_.control().may_send()) {
            throw client_error(error_kind::closed, "the websocket is closed", client_error::progress::maybe_sent);
        }
        const std::size_t before = out_.size();
        try {
            codec_.write_message(out_, opcode, payload);
        } catch (const std::invalid_argument& e) {
            throw client_error(error_kind::argument, e.what(), client_error::progress::maybe_sent);
        } catch (...) {
            out_.resize(before); // no half of a frame
            throw;
        }
        flush(lock, true);
    }

    void await_turn(std::unique_lock<std::mutex>& lock) {
        turn_.wait(lock, [this] { return !flushing_ || failure_; });
    }

    // Writes what waits; with @p wait all of it. The lock is open while the stream works.
    void flush(std::unique_lock<std::mutex>& lock, bool wait) {
        if (unwritable_) throw *unwritable_;
        flushing_ = true;
        auto last_progress = clock::now();
        try {
            for (;;) {
                if (failure_) throw_failure();
                if (sent_ == sending_.size()) {
                    if (sending_.capacity() > (4U << 20U)) std::string().swap(sending_);
                    sending_.clear();
                    sent_ = 0;
                    if (out_.empty()) break;
                    sending_.swap(out_);
                }
                lock.unlock();
                os::io_result wrote = write_some();
                if (wrote.state != os::io_state::done && wait) {
                    await_writable(wrote.state, last_progress);
                    wrote.count = 0;
                } else if (wrote.state == os::io_state::done) {
                    last_progress = clock::now();
                }
                lock.lock();
                sent_ += wrote.count;
                if (wrote.state != os::io_state::done && !wait) break;
            }
        } catch (const client_error& e) {
            if (!lock.owns_lock()) lock.lock();
            flushing_ = false;
            if (!unwritable_) unwritable_ = e;
            turn_.notify_all();
            if (failure_) throw_failure();
            throw;
        } catch (...) { // no memory: how much of a frame is out is not known any more
            stream_->shut_down();
            if (!lock.owns_lock()) lock.lock();
            flushing_ = false;
            turn_.notify_all();
            throw;
        }
        flushing_ = false;
        turn_.notify_all();
    }

    os::io_result write_some() { return stream_->write(std::string_view(sending_).substr(sent_)); }

    void await_writable(os::io_state state, clock::time_point last_progress) {
        std::chrono::milliseconds limit(-1);
        if (options_.send_timeout.count() > 0) {
            const auto left = last_progress + options_.send_timeout - clock::now();
            if (left.count() <= 0) {
                throw client_error(error_kind::timeout, "the peer took nothing for too long",
                                   client_error::progress::maybe_sent);
            }
            limit = std::chrono::duration_cast<std::chrono::milliseconds>(left) + std::chrono::milliseconds(1);
        }
        if (state == os::io_state::wants_read) {
            // Only inside a TLS handshake message; the reader may take what this waits for.
            limit = std::chrono::milliseconds(50);
        }
        os::wait_ready(stream_->handle(), state == os::io_state::wants_read, state == os::io_state::wants_write, limit);
    }

    bool has_unsent() {
        const std::lock_guard<std::mutex> lock(state_);
        return !flushing_ && !unwritable_ && (sent_ != sending_.size() || !out_.empty());
    }
    void flush_quietly() {
        std::unique_lock<std::mutex> lock(state_);
        if (flushing_ || unwritable_) return;
        try {
            flush(lock, false);
        } catch (const client_error&) {
            // Kept in unwritable_ for the next send.
        }
    }

    // --- the end, and the keeper -------------------------------------------------------------------------------------

    void check() {
        const std::lock_guard<std::mutex> lock(state_);
        if (failure_) throw_failure();
    }
    [[noreturn]] void throw_failure() const {
        throw client_error(failure_->kind, failure_->message, client_error::progress::maybe_sent);
    }

    void fail(error_kind kind, const char* message) noexcept {
        {
            const std::lock_guard<std::mutex> lock(state_);
            if (!failure_) failure_ = failure{kind, message};
            stream_->shut_down();
        }
        turn_.notify_all();
    }

    void tick(clock::time_point now) noexcept override {
        const bool reads = drain();
        bool is_dead = false;
        {
            std::unique_lock<std::mutex> lock(state_);
            if (failure_ || unwritable_) return;
            try {
                const bool may_ping = options_.ping_interval.count() > 0 && codec_.control().may_send();
                if (may_ping && now >= next_ping_) {
                    codec_.write_ping(out_, {});
                    next_ping_ = now + options_.ping_interval;
                    if (!pinged_) pinged_ = now;
                }
                if (!flushing_) flush(lock, false);
            } catch (const std::exception&) {
                return; // kept in unwritable_; reading goes on to its own end
            }
            // While nobody takes what was read, silence says nothing about the peer.
            const clock::time_point last{clock::duration(last_received_.load())};
            if (pinged_ && (last >= *pinged_ || !reads)) pinged_.reset();
            is_dead = pinged_ && now - *pinged_ > options_.ping_timeout;
        }
        if (is_dead) fail(error_kind::timeout, "the peer does not answer pings any more");
    }

    // Reads ahead a little while nobody receives, so that pings and pongs are seen. False when it may not.
    bool drain() noexcept {
        const std::unique_lock<std::mutex> reader(reading_, std::try_to_lock);
        if (!reader.owns_lock()) return true; // somebody receives
        try {
            for (int rounds = 0; rounds < 16 && !broken_ && !closed_; ++rounds) {
                while (kept_size_ < max_kept_messages) {
                    std::optional<stream_message> message = decode();
                    if (!message) break;
                    keep(std::move(*message));
                }
                if (kept_size_ >= max_kept_messages) return false;
                if (closed_ || !fill({}, false)) break;
            }
        } catch (const std::bad_alloc&) {
            lose_place();
        } catch (const std::exception&) {
            // Kept in broken_ for the next receive().
        }
        return true;
    }

    const std::unique_ptr<os::byte_stream> stream_;
    const std::string early_;
    const std::string protocol_;
    const websocket_options options_;
    const std::shared_ptr<websocket_keeper<>> keeper_;
    codec::websocket_codec codec_; // decode() under reading_, the rest under state_

    std::mutex reading_;
    os::read_buffer buffer_;
    std::string_view input_; // read and not yet decoded, in buffer_ (at first in early_)
    std::deque<stream_message> kept_;
    std::size_t kept_size_ = 0;
    std::optional<stream_message> closed_;
    std::optional<client_error> broken_;
    std::atomic<clock::rep> last_received_{0};

    std::mutex state_;
    std::condition_variable turn_;
    bool flushing_ = false;
    std::string out_;      // framed, waits for the flushing turn
    std::string sending_;  // of the one that has the turn
    std::size_t sent_ = 0; // of sending_
    clock::time_point next_ping_;
    std::optional<clock::time_point> pinged_; // the first ping since which nothing came
    // An error that can be noted without memory for its text.
    struct failure {
        error_kind kind;
        const char* message;
    };
    std::optional<failure> failure_;         // cancelled, closed, dead
    std::optional<client_error> unwritable_; // the connection takes nothing any more
    std::optional<cancel_token::listener> on_cancel_, on_close_;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
