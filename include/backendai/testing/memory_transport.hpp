/// @file
/// A transport without sockets: calls the embedded gateway in the same process.
#ifndef BACKENDAI_TESTING_MEMORY_TRANSPORT_HPP
#define BACKENDAI_TESTING_MEMORY_TRANSPORT_HPP

#include <backendai/http.hpp>
#include <backendai/testing/gateway.hpp>
#include <backendai/transport/concept.hpp>
#include <backendai/transport/framing.hpp>
#include <backendai/version.hpp>

#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {

/// Hands requests to a gateway by a function call. A scripted fault that needs a connection to show (a drop, a wrong
/// length) comes out as the error that a connection would have led to.
/// Thread-safe. The gateway must live longer; destroying the transport waits for calls that were given up on.
class memory_transport {
public:
    explicit memory_transport(gateway& server) : state_(std::make_shared<shared>(server)) {}
    memory_transport(memory_transport&&) noexcept = default;
    memory_transport& operator=(memory_transport&&) = delete;
    ~memory_transport() {
        if (!state_) return;
        std::unique_lock<std::mutex> lock(state_->mutex);
        state_->idle.wait(lock, [this] { return state_->running == 0; });
    }

    /// See transport/concept.hpp.
    response_head exchange(http_request& request, body_sink& sink, const exchange_context& context) {
        context.check();
        const http_reply reply = ask(make_call(request), context);
        if (reply.wire_fault) {
            throw client_error(error_kind::protocol, "the gateway's scripted fault broke the answer",
                               client_error::progress::maybe_sent);
        }
        response_head head;
        head.status = reply.status;
        head.reason = reply.reason.empty() ? reason_of(reply.status) : reply.reason;
        for (const auto& field : reply.headers) head.headers.add(field.first, field.second);
        if (head.status != 204) head.headers.set("Content-Length", std::to_string(reply.body.size()));
        backendai::detail::body_framing framing(head, request.method);
        sink.on_head(head);
        if (request.method != "HEAD" && !reply.body.empty()) {
            framing.count(reply.body.size());
            sink.on_data(reply.body);
        }
        framing.finish();
        return head;
    }

private:
    struct shared {
        explicit shared(gateway& g) : server(g) {}
        gateway& server;
        std::mutex mutex;
        std::condition_variable idle;
        int running = 0;
    };
    // One call, which outlives its caller when that cannot wait.
    struct pending {
        std::mutex mutex;
        std::condition_variable changed;
        bool done = false, interrupted = false;
        http_reply reply;
        std::exception_ptr failure;
    };

    static http_call make_call(http_request& request) {
        http_call call;
        call.method = request.method;
        call.target = request.url.target();
        call.headers.emplace_back("Host", request.url.host_header());
        for (const auto& field : request.headers) call.headers.push_back(field);
        call.body = request.body;
        if (request.source) {
            call.body.resize(static_cast<std::size_t>(request.source->size()));
            std::size_t filled = 0;
            while (filled < call.body.size()) {
                const std::size_t count = request.source->read(&call.body[filled], call.body.size() - filled);
                if (count == 0) {
                    throw client_error(error_kind::io, "the body ended before its announced length",
                                       client_error::progress::maybe_sent);
                }
                filled += count;
            }
        }
        if (request.has_body()) call.headers.emplace_back("Content-Length", std::to_string(call.body.size()));
        return call;
    }

    http_reply ask(http_call call, const exchange_context& context) {
        auto work = std::make_shared<pending>();
        {
            const std::lock_guard<std::mutex> lock(state_->mutex);
            ++state_->running;
        }
        std::thread([work, state = state_, call = std::move(call)] {
            http_reply reply;
            std::exception_ptr failure;
            try {
                reply = state->server.handle(call);
            } catch (...) {
                failure = std::current_exception();
            }
            {
                const std::lock_guard<std::mutex> lock(work->mutex);
                work->done = true;
                work->reply = std::move(reply);
                work->failure = failure;
                work->changed.notify_all();
            }
            const std::lock_guard<std::mutex> lock(state->mutex);
            if (--state->running == 0) state->idle.notify_all();
        }).detach();

        const auto interrupt = [work] {
            const std::lock_guard<std::mutex> lock(work->mutex);
            work->interrupted = true;
            work->changed.notify_all();
        };
        const cancel_token::listener on_cancel(context.cancel, interrupt);
        const cancel_token::listener on_close(context.closing, interrupt);
        const auto limit = context.within(context.read_timeout);
        std::unique_lock<std::mutex> lock(work->mutex);
        const auto ready = [&] { return work->done || work->interrupted; };
        if (limit.count() == 0) {
            work->changed.wait(lock, ready);
        } else {
            work->changed.wait_for(lock, limit, ready);
        }
        if (!work->done) {
            lock.unlock();
            context.check(client_error::progress::maybe_sent);
            throw client_error(error_kind::timeout, "the gateway did not answer in time",
                               client_error::progress::maybe_sent);
        }
        if (work->failure) std::rethrow_exception(work->failure);
        return std::move(work->reply);
    }

    std::shared_ptr<shared> state_;
};

} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
