/// @file
/// Exceptions on their way through the callbacks of an HTTP library.
#ifndef BACKENDAI_TRANSPORT_CALLBACK_GUARD_HPP
#define BACKENDAI_TRANSPORT_CALLBACK_GUARD_HPP

#include <backendai/codec/byte_source.hpp>
#include <backendai/error.hpp>
#include <backendai/version.hpp>

#include <exception>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// Keeps the first exception of an exchange's callbacks, which must not pass through the library that calls them, until
/// the library has returned.
class callback_guard {
public:
    /// Does @p work. False, for the library to stop, when that throws, and without doing it after a failure.
    template <class Work>
    bool run(Work&& work) {
        if (failure_) return false;
        try {
            work();
            return true;
        } catch (const codec::source_error& e) {
            failure_ =
                std::make_exception_ptr(client_error(error_kind::io, e.what(), client_error::progress::maybe_sent));
        } catch (...) {
            failure_ = std::current_exception();
        }
        return false;
    }
    /// @throws what was kept; for a codec::source_error client_error{io}
    void rethrow() const {
        if (failure_) std::rethrow_exception(failure_);
    }

private:
    std::exception_ptr failure_;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
