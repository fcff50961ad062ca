#include "errors.hpp"

#include <backendai/codec/printable.hpp>

#include <exception>
#include <new>

namespace cli {
namespace {

bool ends_with(const std::string& text, const std::string& end) {
    return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

std::string endpoint_of(const backendai::api_config& config) {
    if (config.endpoint) return *config.endpoint;
    return backendai::get_env("ENDPOINT", "https://api.backend.ai");
}

std::string explain_api(const backendai::api_error& error, const backendai::api_config& config) {
    const std::string said = "The server says: " + std::string(error.what()) + ". ";
    if (error.status() == 401 || ends_with(error.type(), "/auth-failed") ||
        ends_with(error.type(), "/invalid-auth-params")) {
        return said + "Check that BACKEND_ACCESS_KEY and BACKEND_SECRET_KEY are a key pair of " + endpoint_of(config) +
               ", that it may do this, and that this machine's clock is right.";
    }
    // Servers from 20.03 on have one type for all that is not there.
    const bool is_object = ends_with(error.type(), "/object-not-found");
    const bool is_session = is_object && error.title().find("session") != std::string::npos;
    if (is_session || ends_with(error.type(), "/kernel-not-found"))
        return said + "`backend.ai ps` shows the sessions that run.";
    if (ends_with(error.type(), "/vfolder-not-found")) return said + "`backend.ai vfolder list` shows the folders.";
    if (ends_with(error.type(), "/image-not-found")) return said + "`backend.ai admin images` shows the images.";
    if (ends_with(error.type(), "/quota-exceeded")) {
        return said + "`backend.ai ps` shows the sessions that run, `backend.ai rm SESSID` ends one.";
    }
    if (ends_with(error.type(), "/server-frozen")) return said + "It is in maintenance; try again later.";
    if (error.data().is_string() && !error.data().get_ref<const std::string&>().empty())
        return said + "Details: " + backendai::codec::printable_text(error.data().get_ref<const std::string&>(), 512);
    return said;
}

constexpr const char* plain_http_hint = " If the server does not speak TLS, BACKEND_ENDPOINT is to begin with http://.";

std::string explain_client(const backendai::client_error& error, const backendai::api_config& config) {
    using backendai::error_kind;
    std::string what = error.what();
    what.erase(0, what.find(": ") + 2); // the kind, which the sentence tells
    switch (error.kind()) {
    case error_kind::argument:
        for (const char* name : {"access_key", "secret_key"}) {
            if (what.compare(0, 10, name) == 0 && what.find(" is missing") != std::string::npos) {
                const bool is_access = std::string(name) == "access_key";
                return std::string("There is no ") + (is_access ? "access" : "secret") + " key: set " +
                       (is_access ? "BACKEND_ACCESS_KEY" : "BACKEND_SECRET_KEY") +
                       " in the environment (export NAME=VALUE; BACKEND_ENDPOINT names the server, " +
                       endpoint_of(config) + " now), or try things out without a cluster: backend.ai --local ...";
            }
        }
        return what + '.';
    case error_kind::connect:
        return "The server at " + endpoint_of(config) + " cannot be reached: " + what +
               ". Check BACKEND_ENDPOINT, the network, and HTTPS_PROXY if there is one.";
    case error_kind::tls:
        if (what.find("certificate") == std::string::npos)
            return "There is no secure connection to " + endpoint_of(config) + ": " + what + '.' + plain_http_hint;
        return "There is no trusted connection to " + endpoint_of(config) + ": " + what +
               ". If that is how this server is meant to be, --skip-sslcert-validation goes on without the check.";
    case error_kind::timeout:
        return "The server at " + endpoint_of(config) + " does not answer in time: " + what + '.' +
               (what.find("TLS") != std::string::npos ? plain_http_hint : "");
    case error_kind::protocol: return "The answer of " + endpoint_of(config) + " is no good: " + what + '.';
    case error_kind::cancelled: return "Interrupted.";
    case error_kind::closed:
    case error_kind::io: break;
    }
    return what + '.';
}

} // namespace

std::string explain(const backendai::error& error, const backendai::api_config& config) {
    if (const auto* said = dynamic_cast<const backendai::api_error*>(&error)) return explain_api(*said, config);
    if (const auto* mine = dynamic_cast<const backendai::client_error*>(&error)) return explain_client(*mine, config);
    return error.what();
}

int report_failure(context& ctx) {
    try {
        throw;
    } catch (const failure& error) {
        if (ctx.interrupts.happened()) return ctx.interrupts.exit_code();
        ctx.notes.fail(error.what());
        return error.exit_code();
    } catch (const backendai::error& error) {
        if (ctx.interrupts.happened()) {
            ctx.notes.fail("Interrupted.");
            return ctx.interrupts.exit_code();
        }
        ctx.notes.fail(explain(error, ctx.config()));
    } catch (const std::bad_alloc&) {
        ctx.notes.fail("There is not enough memory.");
    } catch (const std::exception& error) {
        ctx.notes.fail(error.what());
    }
    return 1;
}

} // namespace cli
