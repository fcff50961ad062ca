// What storage proxies are asked with: where they are, and the numbers in their headers.
#include "scripted_transport.hpp"

#include <backendai/files/storage_ticket.hpp>

#include <doctest/doctest.h>

#include <string>

namespace detail = backendai::detail;
using backendai::client_error;

TEST_CASE("storage: the range of an answer") {
    const auto range = detail::parse_content_range("bytes 4-9/10");
    REQUIRE(range);
    CHECK(range->first == 4);
    CHECK(range->last == 9);
    CHECK(range->size == 10);
    CHECK(detail::parse_content_range("bytes 0-0/1"));
    CHECK(detail::parse_content_range("bytes 0-999999999999999998/999999999999999999"));
    for (const char* bad :
         {"", "bytes", "bytes ", "bytes */10", "bytes 4-9/*", "bytes 4-9", "bytes 9-4/10", "bytes 4-10/10",
          "bytes -4/10", "bytes 4-/10", "bytes 4-9/", "bytes 4-9/10 ", "bytes +4-9/10", "items 4-9/10",
          "bytes 4 - 9/10", "bytes 4-9/0", "bytes 4-9/99999999999999999999"}) {
        CHECK_MESSAGE(!detail::parse_content_range(bad), bad);
    }
}

TEST_CASE("storage: numbers of bytes in headers") {
    const backendai::header_list headers = {{"Upload-Offset", "12"}, {"empty", ""},
                                            {"sign", "-1"},          {"plus", "+1"},
                                            {"fraction", "1.5"},     {"large", "9999999999999999999"}};
    CHECK(detail::size_header(headers, "upload-offset") == std::uint64_t{12});
    CHECK_FALSE(detail::size_header(headers, "absent"));
    for (const char* bad : {"empty", "sign", "plus", "fraction", "large"})
        CHECK_THROWS_AS(detail::size_header(headers, bad), client_error);
}

TEST_CASE("storage: where a storage proxy is reached is the configuration's to say, the longest match counts") {
    const scripted::clean_environment clean;
    backendai::api_config config;
    config.access_key = scripted::access_key();
    config.secret_key = scripted::secret_key();
    CHECK(backendai::resolve_config(config).storage_proxy_urls.empty());
    {
        const scripted::environment_guard variable("BACKEND_OVERRIDE_STORAGE_PROXY",
                                                   "https://a:1=http://b:2, https://a:1/deep=http://c:3/x");
        const auto resolved = backendai::resolve_config(config);
        CHECK(detail::reachable_url(resolved, "https://a:1/upload") == "http://b:2/upload");
        CHECK(detail::reachable_url(resolved, "https://a:1/deep/upload") == "http://c:3/x/upload");
        CHECK(detail::reachable_url(resolved, "https://other/upload") == "https://other/upload");
        config.storage_proxy_urls = {{"https://mine", "https://yours"}}; // beats the environment
        CHECK(backendai::resolve_config(config).storage_proxy_urls.size() == 1);
        config.storage_proxy_urls.clear();
    }
    for (const char* bad : {"nonsense", "a=b", "https://a=", "https://a=ftp://b"}) {
        const scripted::environment_guard variable("BACKEND_OVERRIDE_STORAGE_PROXY", bad);
        CHECK_THROWS_AS(backendai::resolve_config(config), client_error);
    }
}

TEST_CASE("storage: a host that only begins like one that is mapped stays what it is") {
    const scripted::clean_environment clean;
    backendai::api_config config;
    config.access_key = scripted::access_key();
    config.secret_key = scripted::secret_key();
    config.storage_proxy_urls = {{"https://storage", "http://127.0.0.1:1"}};
    const auto resolved = backendai::resolve_config(config);
    CHECK(detail::reachable_url(resolved, "https://storage/upload") == "http://127.0.0.1:1/upload");
    CHECK(detail::reachable_url(resolved, "https://storage") == "http://127.0.0.1:1");
    for (const char* other :
         {"https://storage.evil.com/upload", "https://storage2/upload", "https://storage:99/upload"})
        CHECK(detail::reachable_url(resolved, other) == other);
}
