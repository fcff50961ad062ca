/// @file
/// Streams in asynchronous mode: their calls return futures.
#ifndef BACKENDAI_ASYNC_MESSAGE_STREAM_HPP
#define BACKENDAI_ASYNC_MESSAGE_STREAM_HPP

#include <backendai/async/future.hpp>
#include <backendai/async/stream_engine.hpp>
#include <backendai/message_stream.hpp>
#include <backendai/version.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// The owner of a stream's engine; movable. Letting go of it ends the stream.
template <class Body>
class async_stream_io {
public:
    using value = typename Body::value;

    template <class... Arguments>
    explicit async_stream_io(std::shared_ptr<executor> threads, Arguments&&... arguments)
        : engine_(std::make_shared<stream_engine<Body>>(std::move(threads), std::forward<Arguments>(arguments)...)) {}
    async_stream_io(async_stream_io&&) noexcept = default;
    async_stream_io& operator=(async_stream_io&& other) noexcept {
        if (this != &other) {
            stop();
            engine_ = std::move(other.engine_);
        }
        return *this;
    }
    async_stream_io(const async_stream_io&) = delete;
    async_stream_io& operator=(const async_stream_io&) = delete;
    ~async_stream_io() { stop(); }

    Body& body() const noexcept { return engine_->body(); }
    future<value> read() const {
        return engine_->template read<value>([](std::optional<value>&& got) { return std::move(*got); });
    }
    template <class T>
    future<T> read_for(std::chrono::milliseconds limit, T (*convert)(std::optional<value>&&)) const {
        return engine_->template read<T>(convert, time_after(limit));
    }
    future<void> write(std::function<void(Body&)> what) const { return engine_->write(std::move(what)); }

private:
    void stop() noexcept {
        if (engine_) engine_->stop();
    }

    std::shared_ptr<stream_engine<Body>> engine_;
};

/// A message_stream as a stream_engine wants it.
class message_stream_body {
public:
    using value = stream_message;

    explicit message_stream_body(std::unique_ptr<message_stream> stream) : stream_(std::move(stream)) {}
    message_stream& stream() const noexcept { return *stream_; }
    std::optional<stream_message> read_for(std::chrono::milliseconds limit) { return stream_->receive_for(limit); }
    template <class = void>
    void end() noexcept {
        close_quietly(*stream_);
    }
    void cancel() noexcept { stream_->cancel(); }

private:
    const std::unique_ptr<message_stream> stream_;
};

} // namespace detail

/// A message_stream whose calls return futures, from connect_websocket() on an asynchronous session. Its calls never
/// wait for one of the session's threads. Receives are served in the order in which they were made, sends and closes
/// too, each beside the other. A future's cancel() ends that call only: a message that comes is for the next receive().
/// Destroying the stream says goodbye and ends the calls that wait with client_error{cancelled}. Thread-safe but for
/// that.
class async_message_stream {
public:
    template <class = void>
    async_message_stream(std::shared_ptr<detail::executor> threads, std::unique_ptr<message_stream> stream)
        : io_(std::move(threads), std::move(stream)) {}

    /// See message_stream, also for the errors, which come out of the futures.
    template <class = void>
    future<stream_message> receive() const {
        return io_.read();
    }
    /// Nothing when no message came within @p limit.
    template <class = void>
    future<std::optional<stream_message>> receive_for(std::chrono::milliseconds limit) const {
        return io_.read_for<std::optional<stream_message>>(
            limit, [](std::optional<stream_message>&& message) { return std::move(message); });
    }
    template <class = void>
    future<void> send_text(std::string text) const {
        return io_.write([text = std::move(text)](body& on) { on.stream().send_text(text); });
    }
    template <class = void>
    future<void> send_binary(std::string bytes) const {
        return io_.write([bytes = std::move(bytes)](body& on) { on.stream().send_binary(bytes); });
    }
    template <class = void>
    future<void> close(std::uint16_t code = 1000, std::string reason = {}) const {
        return io_.write([code, reason = std::move(reason)](body& on) { on.stream().close(code, reason); });
    }
    /// Breaks the connection off: calls that run and later ones end with client_error{cancelled}.
    template <class = void>
    void cancel() const noexcept {
        io_.body().cancel();
    }
    template <class = void>
    const std::string& protocol() const noexcept {
        return io_.body().stream().protocol();
    }

private:
    using body = detail::message_stream_body;
    detail::async_stream_io<body> io_;
};

BACKENDAI_NAMESPACE_END

#endif
