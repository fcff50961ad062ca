/// @file
/// Configuration: explicit values beat the environment, the environment beats the defaults, field by field.
#ifndef BACKENDAI_CONFIG_HPP
#define BACKENDAI_CONFIG_HPP

#include <backendai/codec/digest.hpp>
#include <backendai/codec/url.hpp>
#include <backendai/error.hpp>
#include <backendai/log.hpp>
#include <backendai/retry.hpp>
#include <backendai/version.hpp>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

/// How to reach the server and as whom. A plain struct: set what you want to set, leave the rest.
/// A field left unset is taken from `BACKEND_<NAME>`, then `SORNA_<NAME>`, then its default.
struct api_config {
    std::optional<std::string> endpoint; ///< absolute http(s) URL, may have a path prefix; `BACKEND_ENDPOINT`
    /// What stands at the endpoint: "api", the manager, which wants signatures; "session", a webserver, which wants
    /// session::login(), no keys. `BACKEND_ENDPOINT_TYPE`
    std::optional<std::string> endpoint_type;
    std::optional<std::string> version;    ///< protocol version, "v4.20190315"; unset: negotiated by the first call
    std::optional<std::string> user_agent; ///< the User-Agent header
    std::optional<std::string> access_key; ///< required but for endpoint_type "session"; `BACKEND_ACCESS_KEY`
    std::optional<std::string> secret_key; ///< likewise; `BACKEND_SECRET_KEY`
    std::optional<std::string> hash_type;  ///< "sha256" and others of Python's hashlib
    /// Virtual folders mounted into every session that is created; united with `BACKEND_VFOLDER_MOUNTS` (a,b,c).
    std::optional<std::vector<std::string>> vfolder_mounts;
    /// true switches certificate checks off; `BACKEND_SKIP_SSLCERT_VALIDATION`.
    std::optional<bool> skip_sslcert_validation;
    /// Where storage proxies are reached from here: what their URLs begin with in the server's answers, and what that
    /// is to be replaced by. The longest match counts. Empty: from
    /// `BACKEND_OVERRIDE_STORAGE_PROXY` (a=b,c=d).
    std::map<std::string, std::string> storage_proxy_urls;

    /// Keeps the login of endpoint_type "session" between programs: a file that only its owner may read. Empty: memory.
    std::filesystem::path cookie_file;

    std::string ca_file; ///< PEM file of the authorities to trust in place of the system's
    std::string client_certificate_file, client_key_file; ///< PEM files, for servers that ask for a client certificate

    // Time limits; 0 is no limit.
    std::chrono::milliseconds connect_timeout{30'000};  ///< name look-up, TCP and TLS handshakes, each
    std::chrono::milliseconds read_timeout{60'000};     ///< between two bytes of an answer
    std::chrono::milliseconds compute_timeout{600'000}; ///< the same, for calls that wait for compute
    std::chrono::milliseconds timeout{0};               ///< one whole call, its retries included; see call_options
    retry_policy retry;                                 ///< how often and when a failed call is tried again
    std::uint64_t max_response_size = std::uint64_t{16} << 20; ///< bytes of an answer that is kept in memory
    std::uint32_t max_idle_connections = 16;                   ///< connections kept open for the next call
    /// HTTP proxy, "http://user:password@host:port"; empty: none. Unset: the environment's HTTPS_PROXY, http_proxy (for
    /// plain http), ALL_PROXY, less NO_PROXY and this machine.
    std::optional<std::string> proxy;
    std::chrono::milliseconds websocket_ping_interval{30'000};     ///< 0 is no pings
    std::chrono::milliseconds websocket_ping_timeout{30'000};      ///< silence after a ping that means a dead peer
    std::uint64_t max_websocket_message = std::uint64_t{16} << 20; ///< bytes of one message
    std::uint32_t async_threads = 4;                               ///< threads of an asynchronous session, at least 1

    std::function<void(const log_record&)> on_log; ///< called after every attempt, on the calling thread

    // For tests of time: what time it is, how to wait, and a random number in [0, 1).
    std::function<std::chrono::system_clock::time_point()> clock;
    std::function<void(std::chrono::milliseconds)> sleeper;
    std::function<double()> jitter;
};

namespace detail {

inline constexpr std::string_view default_endpoint = "https://api.backend.ai";
inline constexpr std::string_view default_hash_type = "sha256";

template <class = void>
[[noreturn]] inline void bad_config(const std::string& message) {
    throw client_error(error_kind::argument, message);
}

template <class = void>
bool has_control_character(std::string_view text) {
    for (const char c : text) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return true;
    }
    return false;
}

template <class = void>
std::vector<std::string> split_list(std::string_view text) {
    std::vector<std::string> items;
    while (!text.empty()) {
        const std::size_t comma = text.find(',');
        std::string_view item = text.substr(0, comma);
        while (!item.empty() && item.front() == ' ') item.remove_prefix(1);
        while (!item.empty() && item.back() == ' ') item.remove_suffix(1);
        if (!item.empty()) items.emplace_back(item);
        if (comma == std::string_view::npos) break;
        text.remove_prefix(comma + 1);
    }
    return items;
}

template <class = void>
std::optional<std::string> environment(const std::string& key) {
    for (const char* prefix : {"BACKEND_", "SORNA_"}) {
        if (const char* value = std::getenv((prefix + key).c_str())) return std::string(value);
    }
    return {};
}

template <class = void>
std::string upper_case(std::string_view text) {
    std::string upper(text);
    for (char& c : upper) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    return upper;
}

} // namespace detail

/// Reads y/yes/t/true/1 and n/no/f/false/0 in any case.
/// @throws client_error{argument} for anything else.
template <class = void>
bool parse_boolean(std::string_view text) {
    const std::string word = detail::upper_case(text);
    for (const char* yes : {"Y", "YES", "T", "TRUE", "1"}) {
        if (word == yes) return true;
    }
    for (const char* no : {"N", "NO", "F", "FALSE", "0"}) {
        if (word == no) return false;
    }
    throw client_error(error_kind::argument,
                       "not a boolean (yes, no, true, false, 1, 0): \"" + std::string(text) + '"');
}

/// The value of `BACKEND_<KEY>`, or `SORNA_<KEY>` when that is not set, or @p fallback; handed through @p clean.
/// A variable that is set but empty counts as set. @p key is upper-cased.
template <class = void>
std::string get_env(std::string_view key, const std::string& fallback = {},
                    const std::function<std::string(std::string)>& clean = {}) {
    std::string value = detail::environment(detail::upper_case(key)).value_or(fallback);
    return clean ? clean(std::move(value)) : value;
}

/// Fills what is not set in @p config from the environment and the defaults, and checks everything.
/// @throws client_error{argument} that names the field and how to set it: relative or malformed endpoint, missing key,
///         unknown hash or boolean, characters that cannot stand in a header.
template <class = void>
api_config resolve_config(api_config config) {
    const auto fill = [](std::optional<std::string>& field, const char* key, std::string_view fallback) {
        if (!field) field = detail::environment(key);
        if (!field) field = std::string(fallback);
    };
    fill(config.endpoint, "ENDPOINT", detail::default_endpoint);
    fill(config.endpoint_type, "ENDPOINT_TYPE", "api");
    fill(config.access_key, "ACCESS_KEY", "");
    fill(config.secret_key, "SECRET_KEY", "");
    if (!config.hash_type) config.hash_type = std::string(detail::default_hash_type);
    if (!config.user_agent) config.user_agent = "Backend.AI Client for C++ " BACKENDAI_VERSION;
    std::vector<std::string> mounts = config.vfolder_mounts.value_or(std::vector<std::string>());
    for (std::string& mount : detail::split_list(detail::environment("VFOLDER_MOUNTS").value_or(""))) {
        bool known = false;
        for (const std::string& other : mounts) known = known || other == mount;
        if (!known) mounts.push_back(std::move(mount));
    }
    config.vfolder_mounts = std::move(mounts);
    if (!config.skip_sslcert_validation) {
        const auto text = detail::environment("SKIP_SSLCERT_VALIDATION");
        try {
            config.skip_sslcert_validation = text && parse_boolean(*text);
        } catch (const client_error&) {
            detail::bad_config("BACKEND_SKIP_SSLCERT_VALIDATION is not a boolean (yes, no, true, false, 1, 0): \"" +
                               *text + '"');
        }
    }

    if (config.storage_proxy_urls.empty()) {
        for (const std::string& item : detail::split_list(detail::environment("OVERRIDE_STORAGE_PROXY").value_or(""))) {
            const std::size_t equals = item.find('=');
            if (equals == std::string::npos)
                detail::bad_config("BACKEND_OVERRIDE_STORAGE_PROXY is not of the form a=b,c=d: \"" + item + '"');
            config.storage_proxy_urls.emplace(item.substr(0, equals), item.substr(equals + 1));
        }
    }
    for (const auto& item : config.storage_proxy_urls) {
        try {
            codec::parse_url(item.first);
            codec::parse_url(item.second);
        } catch (const codec::decode_error& e) {
            detail::bad_config("storage_proxy_urls (BACKEND_OVERRIDE_STORAGE_PROXY) is not usable, " +
                               std::string(e.what()));
        }
    }

    if (config.endpoint->empty()) {
        detail::bad_config("endpoint (BACKEND_ENDPOINT) is set, but empty: it takes the server's URL, such as " +
                           std::string(detail::default_endpoint) + ", which is the default where it is not set");
    }
    try {
        const codec::url endpoint = codec::parse_url(*config.endpoint);
        if (!endpoint.query.empty()) detail::bad_config("endpoint (BACKEND_ENDPOINT) must not have a query");
    } catch (const codec::decode_error& e) {
        detail::bad_config("endpoint (BACKEND_ENDPOINT) is not usable, " + std::string(e.what()));
    }
    if (*config.endpoint_type != "api" && *config.endpoint_type != "session") {
        detail::bad_config("endpoint_type (BACKEND_ENDPOINT_TYPE) is neither \"api\" nor \"session\": \"" +
                           *config.endpoint_type + '"');
    }
    const bool has_keys = *config.endpoint_type == "api";
    // The access key stands before a colon in the Authorization header; the secret key is never sent.
    const auto require = [](const std::string& value, const char* field, const char* variable, bool colon) {
        if (value.empty()) {
            detail::bad_config(std::string(field) + " is missing: set api_config::" + field + " or " + variable);
        }
        for (const char c : value) {
            if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f ||
                (c == ':' && !colon)) {
                detail::bad_config(std::string(field) + " (" + variable + ") holds a character that a key cannot have");
            }
        }
    };
    if (has_keys) require(*config.access_key, "access_key", "BACKEND_ACCESS_KEY", false);
    if (has_keys) require(*config.secret_key, "secret_key", "BACKEND_SECRET_KEY", true);
    if (!codec::has_digest(*config.hash_type)) {
        detail::bad_config("hash_type is unknown or cannot be used for signatures: \"" + *config.hash_type + '"');
    }
    if (config.version &&
        (config.version->size() < 2 || (*config.version)[0] != 'v' || detail::has_control_character(*config.version) ||
         (*config.version)[1] < '0' || (*config.version)[1] > '9')) {
        detail::bad_config("version does not look like \"v4.20190315\": \"" + *config.version + '"');
    }
    if (detail::has_control_character(*config.user_agent)) {
        detail::bad_config("user_agent holds a control character");
    }
    for (const auto limit : {config.connect_timeout, config.read_timeout, config.compute_timeout, config.timeout,
                             config.websocket_ping_interval, config.websocket_ping_timeout}) {
        if (limit.count() < 0) detail::bad_config("a time limit is negative; 0 means no limit");
    }
    if (config.async_threads < 1) detail::bad_config("async_threads must be at least 1");
    check_retry_policy(config.retry);
    return config;
}

namespace detail {

struct process_config {
    std::mutex mutex;
    std::optional<api_config> value;
};
inline process_config& the_process_config() {
    static process_config instance;
    return instance;
}

} // namespace detail

/// The process-wide configuration: what set_config() was given, or else one made now from environment and defaults.
/// Every field of the result is filled. @throws client_error{argument} as resolve_config(). Thread-safe.
template <class = void>
api_config get_config() {
    detail::process_config& process = detail::the_process_config();
    api_config config;
    {
        const std::lock_guard<std::mutex> lock(process.mutex);
        if (process.value) config = *process.value;
    }
    return resolve_config(std::move(config));
}

/// Sets the configuration that sessions made without one use from now on. Thread-safe.
template <class = void>
void set_config(api_config config) {
    detail::process_config& process = detail::the_process_config();
    const std::lock_guard<std::mutex> lock(process.mutex);
    process.value = std::move(config);
}

/// Prints a configuration for people; the secret key is shown as set or unset, never in part.
inline std::ostream& operator<<(std::ostream& out, const api_config& config) {
    const auto line = [&out](const char* name, const std::optional<std::string>& value) {
        out << name << ": " << (value ? *value : "(unset)") << '\n';
    };
    line("endpoint", config.endpoint);
    line("endpoint_type", config.endpoint_type);
    line("version", config.version);
    line("user_agent", config.user_agent);
    line("access_key", config.access_key);
    out << "secret_key: " << (config.secret_key && !config.secret_key->empty() ? "(set, not shown)" : "(unset)")
        << '\n';
    line("hash_type", config.hash_type);
    out << "vfolder_mounts:";
    for (const std::string& mount : config.vfolder_mounts.value_or(std::vector<std::string>())) out << ' ' << mount;
    return out << "\nskip_sslcert_validation: " << (config.skip_sslcert_validation.value_or(false) ? "yes" : "no")
               << '\n';
}

BACKENDAI_NAMESPACE_END

#endif
