#include "scripted_transport.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <sstream>
#include <string>
#include <vector>

using backendai::api_config;
using backendai::error_kind;
using scripted::attempt;
using scripted::contains;
using guard = scripted::environment_guard;

namespace {

api_config with_keys() {
    api_config config;
    config.access_key = "AKIATEST";
    config.secret_key = "secret";
    return config;
}

// The text of the argument error that a config is refused with; empty when it is not.
std::string refusal(const api_config& config) {
    const scripted::thrown result = attempt([&] { backendai::resolve_config(config); });
    if (result.text.empty()) return {};
    CHECK(result.kind == error_kind::argument);
    return result.text;
}

} // namespace

TEST_CASE("what neither argument nor environment sets takes the default") {
    const scripted::clean_environment clean;
    const api_config config = backendai::resolve_config(with_keys());
    CHECK(config.endpoint == "https://api.backend.ai");
    CHECK(config.hash_type == "sha256");
    CHECK(config.vfolder_mounts == std::vector<std::string>());
    CHECK(config.skip_sslcert_validation == false);
    CHECK(!config.user_agent->empty());
    CHECK(config.connect_timeout == std::chrono::seconds(30));
    CHECK(config.read_timeout == std::chrono::seconds(60));
    CHECK(config.compute_timeout == std::chrono::minutes(10));
    CHECK(config.timeout.count() == 0);
    CHECK(config.retry.max_attempts == 3);
}

TEST_CASE("BACKEND_ beats SORNA_, and an explicit value beats both, field by field") {
    const scripted::clean_environment clean;
    const guard a("SORNA_ENDPOINT", "http://sorna.example.org"), b("SORNA_ACCESS_KEY", "SORNAKEY"),
        c("SORNA_SECRET_KEY", "sorna-secret"), d("BACKEND_ACCESS_KEY", "BACKENDKEY");
    api_config config = backendai::resolve_config({});
    CHECK(config.endpoint == "http://sorna.example.org");
    CHECK(config.access_key == "BACKENDKEY");
    CHECK(config.secret_key == "sorna-secret");
    api_config given;
    given.secret_key = "mine";
    config = backendai::resolve_config(given);
    CHECK(config.endpoint == "http://sorna.example.org");
    CHECK(config.access_key == "BACKENDKEY");
    CHECK(config.secret_key == "mine");
}

TEST_CASE("a variable that is set but empty counts as set") {
    const scripted::clean_environment clean;
    const guard a("BACKEND_ACCESS_KEY", ""), b("SORNA_ACCESS_KEY", "SORNAKEY"), c("BACKEND_SECRET_KEY", "secret");
    CHECK(contains(refusal({}), "BACKEND_ACCESS_KEY"));
    CHECK(backendai::get_env("ACCESS_KEY", "fallback").empty());
    const guard d("BACKEND_ENDPOINT", "");
    CHECK(contains(refusal(with_keys()), "BACKEND_ENDPOINT"));
    api_config explicit_empty = with_keys();
    explicit_empty.endpoint = "http://h";
    explicit_empty.secret_key = "";
    CHECK(contains(refusal(explicit_empty), "secret_key"));
}

TEST_CASE("missing keys are refused with the field and its variable") {
    const scripted::clean_environment clean;
    api_config config = with_keys();
    config.access_key.reset();
    CHECK(contains(refusal(config), "access_key"));
    CHECK(contains(refusal(config), "BACKEND_ACCESS_KEY"));
    config = with_keys();
    config.secret_key.reset();
    CHECK(contains(refusal(config), "secret_key"));
    CHECK(contains(refusal(config), "BACKEND_SECRET_KEY"));
}

TEST_CASE("mounts of the argument and of the environment are united, each once") {
    const scripted::clean_environment clean;
    const guard mounts("BACKEND_VFOLDER_MOUNTS", " data, ,models ,data,shared data");
    api_config config = with_keys();
    CHECK(*backendai::resolve_config(config).vfolder_mounts ==
          std::vector<std::string>{"data", "models", "shared data"});
    config.vfolder_mounts = {"mine", "models"};
    CHECK(*backendai::resolve_config(config).vfolder_mounts ==
          std::vector<std::string>{"mine", "models", "data", "shared data"});
    const guard none("BACKEND_VFOLDER_MOUNTS", "");
    const guard other("SORNA_VFOLDER_MOUNTS", "x");
    CHECK(*backendai::resolve_config(config).vfolder_mounts == std::vector<std::string>{"mine", "models"});
}

TEST_CASE("booleans have their spellings in any case and no others") {
    for (const char* yes : {"y", "Y", "yes", "Yes", "YES", "t", "T", "true", "TRUE", "tRuE", "1"}) {
        CHECK_MESSAGE(backendai::parse_boolean(yes), yes);
    }
    for (const char* no : {"n", "N", "no", "No", "NO", "f", "F", "false", "FALSE", "0"}) {
        CHECK_MESSAGE(!backendai::parse_boolean(no), no);
    }
    for (const char* unknown : {"", " ", "on", "off", "2", "10", "yes ", "truee", "enable", "-1"}) {
        CHECK_MESSAGE(attempt([&] { backendai::parse_boolean(unknown); }).kind == error_kind::argument, unknown);
    }
}

TEST_CASE("skipping certificate checks comes from the environment unless it is said explicitly") {
    const scripted::clean_environment clean;
    {
        const guard skip("BACKEND_SKIP_SSLCERT_VALIDATION", "Yes");
        CHECK(*backendai::resolve_config(with_keys()).skip_sslcert_validation);
        api_config config = with_keys();
        config.skip_sslcert_validation = false;
        CHECK(!*backendai::resolve_config(config).skip_sslcert_validation);
    }
    const guard skip("BACKEND_SKIP_SSLCERT_VALIDATION", "maybe");
    const std::string text = refusal(with_keys());
    CHECK(contains(text, "BACKEND_SKIP_SSLCERT_VALIDATION"));
    CHECK(contains(text, "maybe"));
    const guard empty("BACKEND_SKIP_SSLCERT_VALIDATION", "");
    CHECK(contains(refusal(with_keys()), "BACKEND_SKIP_SSLCERT_VALIDATION"));
}

TEST_CASE("values that cannot work are refused with the field's name") {
    const scripted::clean_environment clean;
    const auto with = [](void (*change)(api_config&)) {
        api_config config = with_keys();
        change(config);
        return refusal(config);
    };
    for (const char* endpoint :
         {"gw.example.org", "/relative", "ftp://x", "http://", "http://u:p@h", "http://h/?q=1", "http://h/../x"}) {
        api_config config = with_keys();
        config.endpoint = endpoint;
        CHECK_MESSAGE(contains(refusal(config), "endpoint"), endpoint);
    }
    for (const char* hash : {"", "md5", "SHA256", "shake_128", "shake_256", "sha-1"}) {
        api_config config = with_keys();
        config.hash_type = hash;
        CHECK_MESSAGE(contains(refusal(config), "hash_type"), hash);
    }
    for (const char* version : {"", "v", "4.20190315", "vx", "v4\r\nX: y"}) {
        api_config config = with_keys();
        config.version = version;
        CHECK_MESSAGE(contains(refusal(config), "version"), version);
    }
    for (const char* key : {"a b", "a\nb", "a\r\nb", "a\tb", "\xc3\xa9", "a:b"}) {
        api_config config = with_keys();
        config.access_key = key;
        CHECK_MESSAGE(contains(refusal(config), "access_key"), key);
    }
    CHECK(contains(with([](api_config& c) { c.user_agent = "a\r\nX-Evil: 1"; }), "user_agent"));
    CHECK(contains(with([](api_config& c) { c.connect_timeout = std::chrono::milliseconds(-1); }), "time limit"));
    CHECK(contains(with([](api_config& c) { c.read_timeout = std::chrono::milliseconds(-1); }), "time limit"));
    CHECK(contains(with([](api_config& c) { c.compute_timeout = std::chrono::milliseconds(-1); }), "time limit"));
    CHECK(contains(with([](api_config& c) { c.timeout = std::chrono::milliseconds(-1); }), "time limit"));
    CHECK(contains(with([](api_config& c) { c.retry.max_attempts = 0; }), "max_attempts"));
    CHECK(contains(with([](api_config& c) { c.retry.base_delay = std::chrono::milliseconds(-1); }), "delay"));
    CHECK(contains(with([](api_config& c) { c.retry.max_delay = std::chrono::hours(25); }), "max_delay"));
    CHECK(contains(with([](api_config& c) { c.retry.retry_cost = -1; }), "tokens"));
    CHECK(contains(with([](api_config& c) { c.retry.bucket_capacity = 2'000'000'000; }), "tokens"));
    CHECK(with([](api_config& c) { c.timeout = std::chrono::milliseconds(0); }).empty());
    CHECK(with([](api_config& c) { c.secret_key = "a:b"; }).empty()); // it is never sent, so it may hold a colon
    for (const char* hash :
         {"sha1", "sha224", "sha256", "sha384", "sha512", "blake2b", "blake2s", "sha3_224", "sha3_512"}) {
        api_config config = with_keys();
        config.hash_type = hash;
        CHECK_MESSAGE(refusal(config).empty(), hash);
    }
}

TEST_CASE("a secret key that is refused is not printed") {
    const scripted::clean_environment clean;
    api_config config = with_keys();
    config.secret_key = "do-not\nprint-me";
    const std::string text = refusal(config);
    CHECK(contains(text, "secret_key"));
    CHECK(!contains(text, "do-not"));
    CHECK(!contains(text, "print-me"));
}

TEST_CASE("the process-wide config is what was set, with the environment under it") {
    const scripted::clean_environment clean;
    const guard endpoint("BACKEND_ENDPOINT", "http://from.env");
    api_config config = with_keys();
    config.hash_type = "sha512";
    backendai::set_config(config);
    CHECK(backendai::get_config().access_key == "AKIATEST");
    CHECK(backendai::get_config().hash_type == "sha512");
    CHECK(backendai::get_config().endpoint == "http://from.env");
    {
        const guard changed("BACKEND_ENDPOINT", "http://changed.env");
        CHECK(backendai::get_config().endpoint == "http://changed.env");
    }
    backendai::set_config({});
    CHECK(attempt([] { backendai::get_config(); }).kind == error_kind::argument);
}

TEST_CASE("get_env looks where the config looks, and hands the value through clean") {
    const scripted::clean_environment clean;
    const guard a("SORNA_UNIT_TEST_KEY", "old"), b("BACKEND_UNIT_TEST_KEY", std::nullopt);
    CHECK(backendai::get_env("unit_test_key") == "old");
    CHECK(backendai::get_env("UNIT_TEST_KEY", "fallback") == "old");
    CHECK(backendai::get_env("UNIT_TEST_OTHER", "fallback") == "fallback");
    CHECK(backendai::get_env("UNIT_TEST_OTHER").empty());
    const auto twice = [](std::string text) { return text + text; };
    CHECK(backendai::get_env("UNIT_TEST_KEY", "fallback", twice) == "oldold");
    CHECK(backendai::get_env("UNIT_TEST_OTHER", "x", twice) == "xx");
    const guard c("BACKEND_UNIT_TEST_KEY", "new");
    CHECK(backendai::get_env("UNIT_TEST_KEY") == "new");
}

TEST_CASE("printing a config shows everything but the secret key") {
    const scripted::clean_environment clean;
    api_config config = with_keys();
    config.secret_key = "abcdefghijklmnopqrstuvwxyz";
    config.vfolder_mounts = {"data"};
    for (const bool resolved : {false, true}) {
        std::ostringstream out;
        out << (resolved ? backendai::resolve_config(config) : config);
        CHECK(contains(out.str(), "AKIATEST"));
        CHECK(contains(out.str(), "data"));
        for (std::size_t at = 0; at + 4 <= config.secret_key->size(); ++at) {
            CHECK(!contains(out.str(), config.secret_key->substr(at, 4)));
        }
        CHECK(contains(out.str(), "secret_key: (set"));
    }
    std::ostringstream unset;
    unset << api_config();
    CHECK(contains(unset.str(), "secret_key: (unset)"));
}
