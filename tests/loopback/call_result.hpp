// What became of a call, in one word, for tables of expectations.
#ifndef BACKENDAI_TESTS_CALL_RESULT_HPP
#define BACKENDAI_TESTS_CALL_RESULT_HPP

#include <backendai/core.hpp>

#include <string>

struct call_result {
    std::string what; // "ok", "api <status>" or the kind of the client_error
    std::string message;
    backendai::client_error::progress sent = backendai::client_error::progress::nothing_sent;
};

template <class Function>
call_result result_of(Function&& function) {
    try {
        function();
        return {"ok", "", {}};
    } catch (const backendai::api_error& e) {
        return {"api " + std::to_string(e.status()), e.what(), {}};
    } catch (const backendai::client_error& e) {
        return {to_string(e.kind()), e.what(), e.sent()};
    }
}

// The transports that use real sockets, for TEST_CASE_TEMPLATE; <backendai.hpp> has them.
#ifdef BACKENDAI_USE_CURL
#define BACKENDAI_SOCKET_TRANSPORTS backendai::httplib_transport, backendai::curl_transport
#else
#define BACKENDAI_SOCKET_TRANSPORTS backendai::httplib_transport
#endif

#endif
