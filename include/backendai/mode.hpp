/// @file
/// The modes of a session. Every API function's body is written once, blocking; the mode decides how it is run.
#ifndef BACKENDAI_MODE_HPP
#define BACKENDAI_MODE_HPP

#include <backendai/message_stream.hpp>
#include <backendai/pipeline.hpp>
#include <backendai/version.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// A stream's functions called where they are wanted. The asynchronous counterpart is async_stream_io.
/// @tparam Body see stream_engine; and `value read()`, which waits
template <class Body>
class blocking_stream_io {
public:
    using value = typename Body::value;

    template <class... Arguments>
    explicit blocking_stream_io(const call_scope& /*scope*/, Arguments&&... arguments)
        : body_(std::make_unique<Body>(std::forward<Arguments>(arguments)...)) {}
    blocking_stream_io(blocking_stream_io&&) noexcept = default;
    blocking_stream_io& operator=(blocking_stream_io&& other) noexcept {
        if (this != &other) {
            end();
            body_ = std::move(other.body_);
        }
        return *this;
    }
    blocking_stream_io(const blocking_stream_io&) = delete;
    blocking_stream_io& operator=(const blocking_stream_io&) = delete;
    ~blocking_stream_io() { end(); }

    Body& body() const noexcept { return *body_; }
    value read() const { return body_->read(); }
    template <class T>
    T read_for(std::chrono::milliseconds limit, T (*convert)(std::optional<value>&&)) const {
        return convert(body_->read_for(limit));
    }
    template <class Work>
    void write(Work&& work) const {
        std::forward<Work>(work)(*body_);
    }

private:
    void end() noexcept {
        if (body_) body_->end();
    }

    std::unique_ptr<Body> body_;
};

} // namespace detail

/// Calls run on the calling thread and return their result.
struct blocking {
    template <class T>
    using result = T;

    template <class Body>
    static auto run(const detail::call_scope& scope, Body&& body)
        -> std::invoke_result_t<Body, const detail::call_scope&> {
        return std::forward<Body>(body)(scope.begun());
    }

    /// What connect_websocket() opens.
    using stream = message_stream;
    static std::unique_ptr<stream> wrap(const detail::call_scope& /*scope*/, std::unique_ptr<message_stream> opened) {
        return opened;
    }
    template <class Body>
    using stream_io = detail::blocking_stream_io<Body>;
};

BACKENDAI_NAMESPACE_END

#endif
