/// @file
/// Which protocol version a session speaks: asked from the server once, however many threads begin at the same time.
#ifndef BACKENDAI_NEGOTIATION_HPP
#define BACKENDAI_NEGOTIATION_HPP

#include <backendai/cancel.hpp>
#include <backendai/dialect.hpp>
#include <backendai/error.hpp>
#include <backendai/http.hpp>
#include <backendai/version.hpp>

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// What came of asking a server for its version.
struct probe_result {
    std::string announced; ///< as the server told it; empty when it told none
    bool final = true;     ///< false: the server may answer better another time, so ask again then
};

/// What a probe means that ended with @p failure: the default version, or the failure itself where the call that waits
/// for the probe could not do better. @param out_of_time the call's time limit is over
template <class = void>
probe_result judge_probe_failure(const error& failure, bool out_of_time) {
    probe_result result;
    if (const auto* refused = failure.as_api_error()) {
        const int status = refused->status();
        result.final = status != 429 && status != 502 && status != 503 && status != 504;
        return result;
    }
    const client_error* local = failure.as_client_error();
    if (local == nullptr) throw error(failure); // a transport's own
    const error_kind kind = local->kind();
    const bool unreachable = local->sent() == client_error::progress::nothing_sent;
    const bool is_answer = kind == error_kind::protocol || (kind == error_kind::timeout && !unreachable);
    const bool is_dropped = (kind == error_kind::connect || kind == error_kind::tls) && !unreachable;
    if (out_of_time || (!is_answer && !is_dropped)) throw *local;
    result.final = is_answer;
    return result;
}

/// The version of one session. Thread-safe.
class version_negotiation {
public:
    /// The dialect to speak; when it is not known yet one caller runs @p probe, which returns a probe_result, and the
    /// others wait for it, each no longer than its own limits allow. A probe that throws fails its own call only.
    template <class Probe>
    dialect get(const exchange_context& context, Probe probe) {
        if (auto known = look()) return *known;
        const auto wake = [this] {
            const std::lock_guard<std::mutex> lock(mutex_);
            changed_.notify_all();
        };
        // Made before the lock is taken, as they may call wake() at once, and gone after it is released.
        const cancel_token::listener on_cancel(context.cancel, wake);
        const cancel_token::listener on_close(context.closing, wake);
        std::unique_lock<std::mutex> lock(mutex_);
        // A hook of the probe that makes a call of its own would wait for itself.
        if (asking_ && asker_ == std::this_thread::get_id()) return dialect_of(std::string(default_protocol_version));
        const auto ready = [&] { return known_ || !asking_ || context.interrupted(); };
        if (context.has_deadline()) {
            changed_.wait_until(lock, context.deadline, ready);
        } else {
            changed_.wait(lock, ready);
        }
        if (known_) return *known_;
        context.check();
        asking_ = true;
        asker_ = std::this_thread::get_id();
        lock.unlock();
        const end_of_question ended(*this);
        const probe_result result = probe();
        dialect chosen = dialect_of(choose_version(result.announced));
        lock.lock();
        if (!result.announced.empty()) announced_ = result.announced;
        if (result.final) known_ = chosen;
        lock.unlock();
        return chosen;
    }

    /// What is known now.
    template <class = void>
    std::optional<dialect> look() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return known_;
    }

    /// The newest version of the server as it told it; empty when it was not asked or told none.
    template <class = void>
    std::string announced() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return announced_;
    }
    template <class = void>
    void note_announced(const std::string& version) {
        const std::lock_guard<std::mutex> lock(mutex_);
        announced_ = version;
    }

private:
    class end_of_question {
    public:
        explicit end_of_question(version_negotiation& owner) : owner_(owner) {}
        end_of_question(const end_of_question&) = delete;
        end_of_question& operator=(const end_of_question&) = delete;
        ~end_of_question() {
            const std::lock_guard<std::mutex> lock(owner_.mutex_);
            owner_.asking_ = false;
            owner_.changed_.notify_all();
        }

    private:
        version_negotiation& owner_;
    };

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::optional<dialect> known_;
    std::string announced_;
    bool asking_ = false;
    std::thread::id asker_;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
