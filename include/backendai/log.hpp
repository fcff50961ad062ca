/// @file
/// What the log hook sees of every attempt.
#ifndef BACKENDAI_LOG_HPP
#define BACKENDAI_LOG_HPP

#include <backendai/version.hpp>

#include <chrono>
#include <ostream>
#include <string>

BACKENDAI_NAMESPACE_BEGIN

/// One attempt of one call. Holds no header and no query value, hence no secret and no signature.
struct log_record {
    std::string method;                    ///< upper case
    std::string path;                      ///< path without query
    int attempt = 1;                       ///< 1 is the first
    int status = 0;                        ///< HTTP status, 0 when there was no answer
    std::chrono::microseconds duration{0}; ///< from the signing to the end of the answer
    std::string failure;                   ///< why there was no whole answer (an error_kind's name, or "handler" for
                                           ///< an exception of the caller's own receiver), else empty
};

inline std::ostream& operator<<(std::ostream& out, const log_record& record) {
    out << record.method << ' ' << record.path << " #" << record.attempt << ' ';
    if (record.status != 0) {
        out << record.status;
    } else {
        out << record.failure;
    }
    return out << ' ' << record.duration.count() << "us";
}

BACKENDAI_NAMESPACE_END

#endif
