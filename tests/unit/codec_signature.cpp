#include "scripted_transport.hpp"

#include <backendai/codec/signature.hpp>
#include <backendai/codec/url.hpp>

#include <doctest/doctest.h>

#include <cstdlib>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace codec = backendai::codec;
using scripted::json;

namespace {

std::string text_of(const json& test, const char* key) {
    return test.at(key).get<std::string>();
}

std::string from_hex(const std::string& hex) {
    std::string bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
        bytes.push_back(static_cast<char>(std::strtoul(hex.substr(i, 2).c_str(), nullptr, 16)));
    return bytes;
}

} // namespace

TEST_CASE("recorded requests: target, host and signature come out byte for byte") {
    const json vectors = scripted::load_data("signature_vectors.json");
    CHECK(vectors.size() == 40);
    for (const json& vector : vectors) {
        CAPTURE(vector.dump());
        codec::url url = codec::parse_url(text_of(vector, "endpoint"));
        while (!url.path.empty() && url.path.back() == '/') url.path.pop_back();
        url.path += codec::canonical_path(text_of(vector, "path"));
        codec::query_list query;
        if (vector.at("query").is_object()) {
            for (const auto& item : vector.at("query").items())
                query.emplace_back(item.key(), item.value().get<std::string>());
        }
        url.query = codec::make_query(query);
        CHECK(url.target() == text_of(vector, "rel_url"));
        CHECK(url.host_header() == text_of(vector, "host"));
        const codec::signer signer(text_of(vector, "access_key"), text_of(vector, "secret_key"),
                                   text_of(vector, "hash_type"));
        const std::string target = url.target(), host = url.host_header(), date = text_of(vector, "date");
        const std::string method = text_of(vector, "method"), type = text_of(vector, "content_type");
        const std::string version = text_of(vector, "version");
        // From v4.20181215 on the body does not count.
        CHECK(signer.sign({method, target, date, host, type, version, "some body"}) ==
              text_of(vector, "authorization"));
    }
}

TEST_CASE("recorded requests go through a session to the transport with the recorded signature") {
    for (const json& vector : scripted::load_data("signature_vectors.json")) {
        CAPTURE(vector.dump());
        scripted::bench bench([&](backendai::api_config& config) {
            config.endpoint = text_of(vector, "endpoint");
            config.access_key = text_of(vector, "access_key");
            config.secret_key = text_of(vector, "secret_key");
            config.hash_type = text_of(vector, "hash_type");
            config.version = text_of(vector, "version");
            const auto time = codec::parse_iso_date(text_of(vector, "date"));
            config.clock = [time] { return *time; };
        });
        bench->add(scripted::answer(200));
        backendai::request request(*bench.sdk, text_of(vector, "method"), text_of(vector, "path"));
        request.set_content("", text_of(vector, "content_type"));
        if (vector.at("query").is_object()) {
            for (const auto& item : vector.at("query").items())
                request.set_param(item.key(), item.value().get<std::string>());
        }
        request.fetch();
        const scripted::seen sent = bench->requests().at(0);
        CHECK(sent.target == text_of(vector, "rel_url"));
        CHECK(sent.host == text_of(vector, "host"));
        CHECK(sent.headers.get("Date") == text_of(vector, "date"));
        CHECK(sent.headers.get("Authorization") == text_of(vector, "authorization"));
    }
}

TEST_CASE("every hash, version and kind of body agrees with an independent computation") {
    const json cases = scripted::load_data("signature_oracle.json");
    std::set<std::string> hashes;
    for (const json& test : cases) {
        CAPTURE(test.dump());
        hashes.insert(text_of(test, "hash_type"));
        const codec::signer signer(text_of(test, "access_key"), text_of(test, "secret_key"),
                                   text_of(test, "hash_type"));
        const std::string target = text_of(test, "target"), host = text_of(test, "host"), date = text_of(test, "date");
        const std::string method = text_of(test, "method"), type = text_of(test, "content_type");
        const std::string version = text_of(test, "version"), body = from_hex(text_of(test, "body_hex"));
        CHECK(signer.sign({method, target, date, host, type, version, body}) == text_of(test, "authorization"));
    }
    CHECK(hashes.size() == 11);
    CHECK(cases.size() > 400);
}

TEST_CASE("the string to sign is seven lines, without the parameters of the media type") {
    const codec::signed_fields fields = {
        "GET", "/a?b=c", "2019-02-14T09:30:00.123456+00:00", "h:1", "Text/HTML ; charset=utf-8", "v4.20190315", "body"};
    CHECK(codec::string_to_sign(fields, "sha256") ==
          "GET\n/a?b=c\n2019-02-14T09:30:00.123456+00:00\nhost:h:1\ncontent-type:text/"
          "html\nx-backendai-version:v4.20190315\n"
          "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST_CASE("the body counts before v4.20181215 only") {
    for (const char* version :
         {"v1.20160915", "v3.20170615", "v4", "v4.", "v4.20181214", "v4.2018", "", "v", "garbage"})
        CHECK_MESSAGE(codec::signs_body(version), version);
    for (const char* version : {"v4.20181215", "v4.20190315", "v5.20191215", "v10.1", "v4.99999999999999999999", "v5"})
        CHECK_MESSAGE(!codec::signs_body(version), version);
}

TEST_CASE("the derived key follows the day and the host, also among threads") {
    const codec::signer signer("AK", "SK", "sha256");
    const auto sign = [&](const char* date, const char* host) {
        return signer.sign({"GET", "/", date, host, "text/plain", "v4.20190315", ""});
    };
    const std::string a = sign("2019-02-14T23:59:59.999999+00:00", "one");
    const std::string b = sign("2019-02-15T00:00:00.000000+00:00", "one");
    const std::string c = sign("2019-02-14T23:59:59.999999+00:00", "two");
    CHECK(a != b);
    CHECK(a != c);
    std::vector<int> wrong(4, 0);
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < wrong.size(); ++i) {
        threads.emplace_back([&, i] {
            for (int round = 0; round < 100; ++round) {
                if (sign("2019-02-14T23:59:59.999999+00:00", "one") != a) ++wrong[i];
                if (sign("2019-02-15T00:00:00.000000+00:00", "one") != b) ++wrong[i];
                if (sign("2019-02-14T23:59:59.999999+00:00", "two") != c) ++wrong[i];
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(wrong == std::vector<int>(4, 0));
}

TEST_CASE("a hash type that cannot sign is refused when the signer is made") {
    CHECK_THROWS_AS(codec::signer("AK", "SK", "md5"), std::invalid_argument);
}
