#include <backendai/codec/multipart_reader.hpp>
#include <backendai/codec/multipart_writer.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace codec = backendai::codec;

namespace {

struct part {
    std::vector<std::pair<std::string, std::string>> fields;
    std::string content;
    bool complete = false;
};

class collector final : public codec::multipart_handler {
public:
    void on_part_begin(const codec::part_headers& headers) override { parts.push_back({headers.fields(), {}, false}); }
    void on_data(std::string_view data) override { parts.back().content += data; }
    void on_part_end() override { parts.back().complete = true; }
    void on_end() override { ended = true; }

    std::vector<part> parts;
    bool ended = false;
};

std::vector<part> read(std::string_view body, const std::string& boundary = "b0", std::size_t step = std::string::npos,
                       codec::multipart_limits limits = {}) {
    collector handler;
    codec::multipart_reader reader(boundary, handler, limits);
    while (!body.empty()) {
        const std::string piece(body.substr(0, step));
        reader.feed(piece);
        body.remove_prefix(piece.size());
    }
    reader.finish();
    CHECK(handler.ended);
    for (const part& each : handler.parts) CHECK(each.complete);
    return handler.parts;
}

std::string read_one(std::string_view body) {
    const auto parts = read(body);
    REQUIRE(parts.size() == 1);
    return parts[0].content;
}

codec::form_part file(std::string filename, std::string content) {
    return {"src", std::move(filename), "application/octet-stream", std::make_shared<codec::string_source>(content)};
}

std::string drain(codec::byte_source& source, std::size_t step) {
    std::string result;
    std::string buffer(step, '\0');
    for (std::size_t count; (count = source.read(buffer.data(), step)) != 0;) result.append(buffer, 0, count);
    return result;
}

class lying_source final : public codec::byte_source {
public:
    lying_source(std::uint64_t announced, std::string content) : announced_(announced), content_(std::move(content)) {}
    std::uint64_t size() const override { return announced_; }
    std::size_t read(char* buffer, std::size_t capacity) override { return content_.read(buffer, capacity); }
    void rewind() override { content_.rewind(); }

private:
    std::uint64_t announced_;
    codec::string_source content_;
};

} // namespace

TEST_CASE("the writer's body has the announced length and form") {
    codec::multipart_writer writer({file("a b.txt", "data"), {"note", {}, "", file("", "text").content}}, "b0");
    const std::string expected = "--b0\r\nContent-Disposition: form-data; name=\"src\"; filename=\"a b.txt\"\r\n"
                                 "Content-Type: application/octet-stream\r\n\r\ndata\r\n"
                                 "--b0\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\ntext\r\n--b0--\r\n";
    CHECK(writer.content_type() == "multipart/form-data; boundary=b0");
    CHECK(writer.size() == expected.size());
    for (const std::size_t step : {1u, 2u, 7u, 64u, 4096u}) {
        CHECK(drain(writer, step) == expected);
        CHECK(writer.read(nullptr, 0) == 0);
        writer.rewind();
    }
}

TEST_CASE("a body with no part is just the closing delimiter") {
    codec::multipart_writer writer({}, "b0");
    CHECK(drain(writer, 100) == "--b0--\r\n");
    CHECK(read("--b0--\r\n").empty());
}

TEST_CASE("random boundaries differ and are allowed") {
    const std::string one = codec::make_boundary();
    CHECK(one.size() == 32);
    CHECK(one != codec::make_boundary());
    CHECK(codec::multipart_boundary("multipart/form-data; boundary=" + one) == one);
}

TEST_CASE("file names survive the writer and the parser") {
    for (const std::string name :
         {"a", "dir/file.txt", "with space", "quo\"te", "back\\slash", "100%", "a%20b", "semi;colon", "two;semi;colons",
          "\xC3\xBCn\xC3\xAF \xE2\x98\x83", "'", "tab\there", "a=b", "utf-8''x", "", "\xF0\x9F\x98\x80/\"\\;%"}) {
        CAPTURE(name);
        const auto parsed = codec::parse_content_disposition(codec::format_form_data("src", name));
        CHECK(parsed.type == "form-data");
        CHECK(parsed.name == "src");
        CHECK(parsed.filename == name);
    }
}

TEST_CASE("names that would inject headers are refused") {
    using namespace std::string_literals;
    for (const std::string& name : {"a\r\nb"s, "a\nb"s, "a\rb"s, "a\0b"s, "\xFF"s}) {
        CAPTURE(codec::printable(name));
        CHECK_THROWS_AS(codec::format_form_data("src", name), std::invalid_argument);
        CHECK_THROWS_AS(codec::format_form_data(name, "file"s), std::invalid_argument);
        CHECK_THROWS_AS(codec::multipart_writer({file(name, "")}), std::invalid_argument);
    }
    for (const std::string& name : {""s, "a\"b"s, "\xC3\xBC"s})
        CHECK_THROWS_AS(codec::format_form_data(name, "file"s), std::invalid_argument);
    codec::form_part bad = file("a", "");
    bad.content_type = "text/plain\r\nX: y";
    CHECK_THROWS_AS(codec::multipart_writer({bad}), std::invalid_argument);
    bad.content_type = "";
    bad.content = nullptr;
    CHECK_THROWS_AS(codec::multipart_writer({bad}), std::invalid_argument);
    for (const std::string& boundary : {""s, "a b"s, "a\r\n"s, "\xC3\xBC"s, "a\"b"s, "a\0"s, std::string(71, 'a')})
        CHECK_THROWS_AS(codec::multipart_writer({}, boundary), std::invalid_argument);
}

TEST_CASE("a source with fewer or more bytes than announced is an error") {
    for (const std::uint64_t announced : {3u, 5u}) {
        codec::form_part wrong{"src", "a", "", std::make_shared<lying_source>(announced, "four")};
        codec::multipart_writer writer({wrong});
        CHECK_THROWS_AS(drain(writer, 1), codec::source_error);
    }
    codec::form_part huge{"src", "a", "", std::make_shared<lying_source>(~std::uint64_t{0}, "")};
    CHECK_THROWS_AS(codec::multipart_writer({huge}), std::invalid_argument);
}

TEST_CASE("the reader gives the same parts at every cut") {
    const std::string body =
        "preamble\r\n--b\r\n--b0 \t\r\nA: 1\r\nContent-Disposition: form-data;\r\n name=\"x\"\r\n\r\n"
        "\r\n--b\r\n-\r\r\n--b\r\n\r\n--B0\r\n\r\n--b0\r\n\r\n\r\n--b0\r\nE: mpty\r\n\r\n--b0\r\n\r\n"
        "\r\n\r\n--b0-- \r\nepilogue\r\n--b0\r\n";
    for (std::size_t cut = 0; cut <= body.size(); ++cut) {
        collector handler;
        codec::multipart_reader reader("b0", handler);
        reader.feed(std::string_view(body).substr(0, cut));
        reader.feed(std::string_view(body).substr(cut));
        reader.finish();
        REQUIRE(handler.parts.size() == 4);
        REQUIRE(handler.parts[0].fields.size() == 2);
        REQUIRE(handler.parts[0].fields[1].second == "form-data; name=\"x\"");
        REQUIRE(handler.parts[0].content == "\r\n--b\r\n-\r\r\n--b\r\n\r\n--B0\r\n");
        REQUIRE(handler.parts[1].content == "");
        REQUIRE(handler.parts[2].content == "");
        REQUIRE(handler.parts[3].content == "\r\n");
    }
    CHECK(read(body, "b0", 1).size() == 4);
}

TEST_CASE("random binary parts full of near-delimiters survive random cuts") {
    std::mt19937 random(11);
    for (int round = 0; round < 300; ++round) {
        std::string boundary;
        for (std::size_t i = 0, length = 1 + random() % 8; i < length; ++i) boundary += random() % 2 ? 'a' : '-';
        const std::string delimiter = "\r\n--" + boundary;
        std::vector<codec::form_part> files;
        std::vector<std::string> contents;
        for (std::size_t count = random() % 4; files.size() < count;) {
            std::string content;
            for (std::size_t pieces = random() % 30; pieces > 0; --pieces) {
                content += delimiter.substr(0, random() % delimiter.size());
                content.append(random() % 3, static_cast<char>(random() % 256));
            }
            if (content.find(delimiter) != std::string::npos || content.rfind(delimiter.substr(2), 0) == 0) continue;
            contents.push_back(content);
            files.push_back(file("f", content));
        }
        codec::multipart_writer writer(std::move(files), boundary);
        const std::string body = drain(writer, 13);
        REQUIRE(body.size() == writer.size());
        collector handler;
        codec::multipart_reader reader(boundary, handler);
        for (std::size_t at = 0; at < body.size();) {
            const std::string piece = body.substr(at, 1 + random() % 20);
            reader.feed(piece);
            at += piece.size();
        }
        reader.finish();
        REQUIRE(handler.parts.size() == contents.size());
        for (std::size_t i = 0; i < contents.size(); ++i) REQUIRE(handler.parts[i].content == contents[i]);
    }
}

TEST_CASE("every truncation of a body is an error") {
    const std::string body = "--b0\r\nA: b\r\n\r\ndata\r\n--b0\r\n\r\nmore\r\n--b0--\r\n";
    for (std::size_t length = 0; length + 2 < body.size(); ++length)
        REQUIRE_THROWS_AS(read(body.substr(0, length)), codec::decode_error);
    CHECK(read(body.substr(0, body.size() - 2)).size() == 2); // the last line may lack its CRLF
}

TEST_CASE("malformed bodies are refused") {
    using namespace std::string_literals;
    for (const std::string& body : {"--b0\n\ndata\r\n--b0--"s,
                                    "--b0\r\n\ndata\r\n--b0--"s,
                                    "--b0x\r\n\r\n\r\n--b0--"s,
                                    "--b0\r\n\r\n\r\n--b0-x"s,
                                    "--b0\r\n\r\n\r\n--b0--x"s,
                                    "--b0\r\n\r\n\r\n--b0--\rx"s,
                                    "--b0\r\n\r\n\r\n--b0 --"s,
                                    "--b0\rx"s,
                                    "--b0\r\nno colon\r\n\r\n\r\n--b0--"s,
                                    "--b0\r\n: x\r\n\r\n\r\n--b0--"s,
                                    "--b0\r\nA b: x\r\n\r\n\r\n--b0--"s,
                                    "--b0\r\n folded\r\n\r\n\r\n--b0--"s,
                                    "--b0\r\nA: \0\r\n\r\n\r\n--b0--"s,
                                    "--b0\r\nA: a\rb\r\n\r\n\r\n--b0--"s,
                                    "--b0\r\nContent-Type: a\r\ncontent-type: b\r\n\r\n\r\n--b0--"s,
                                    "--b0\r\nContent-Length: 1\r\n\r\nab\r\n--b0--"s,
                                    "--b0\r\nContent-Length: 3\r\n\r\nab\r\n--b0--"s,
                                    "--b0\r\nContent-Length: -2\r\n\r\nab\r\n--b0--"s,
                                    "--b0\r\nContent-Length: 18446744073709551618\r\n\r\nab\r\n--b0--"s,
                                    "--b0\r\nContent-Transfer-Encoding: base64\r\n\r\nYQ==\r\n--b0--"s,
                                    "x--b0--"s,
                                    "\n--b0--"s}) {
        CAPTURE(codec::printable(body));
        CHECK_THROWS_AS(read(body), codec::decode_error);
        CHECK_THROWS_AS(read(body, "b0", 1), codec::decode_error);
    }
    CHECK(read_one("--b0\r\nContent-Length: 2\r\n\r\nab\r\n--b0--") == "ab");
    CHECK(read_one("--b0\r\nContent-Length: 9\r\nContent-Encoding: gzip\r\n\r\nab\r\n--b0--") == "ab");
    CHECK(read_one("--b0\r\nContent-Transfer-Encoding: Binary\r\n\r\nab\r\n--b0--") == "ab");
}

TEST_CASE("limits hold") {
    const std::string part = "--b0\r\nA: b\r\n\r\nx\r\n";
    CHECK_THROWS_AS(read(part + part + "--b0--", "b0", 3, {1000, 10, 1, 1000}), codec::decode_error);
    CHECK_THROWS_AS(read("--b0\r\nA: " + std::string(100, 'x') + "\r\n\r\n\r\n--b0--", "b0", 3, {50, 10, 9, 1000}),
                    codec::decode_error);
    CHECK_THROWS_AS(read("--b0\r\nA: b\r\nC: d\r\n\r\n\r\n--b0--", "b0", 3, {1000, 1, 9, 1000}), codec::decode_error);
    CHECK_THROWS_AS(read(std::string(100, 'x') + "\r\n--b0--", "b0", 3, {1000, 10, 9, 50}), codec::decode_error);
    CHECK_THROWS_AS(read("--b0--\r\n" + std::string(100, 'x'), "b0", 3, {1000, 10, 9, 50}), codec::decode_error);
    CHECK_THROWS_AS(read("--b0" + std::string(100, ' ') + "\r\n", "b0", 3, {1000, 10, 9, 50}), codec::decode_error);
}

TEST_CASE("a reader takes nothing after an error, also one of the handler") {
    class full_disk final : public codec::multipart_handler {
        void on_part_begin(const codec::part_headers&) override {}
        void on_data(std::string_view) override { throw std::runtime_error("disk full"); }
        void on_part_end() override {}
    } handler;
    codec::multipart_reader reader("b0", handler);
    CHECK_THROWS_WITH_AS(reader.feed("--b0\r\n\r\nx\r\n--b0--"), "disk full", std::runtime_error);
    CHECK_THROWS_AS(reader.feed("--b0--"), codec::decode_error);
    CHECK_THROWS_AS(reader.finish(), codec::decode_error);
}

TEST_CASE("boundaries come from the content type") {
    CHECK(codec::multipart_boundary("multipart/mixed; boundary=abc") == "abc");
    CHECK(codec::multipart_boundary("Multipart/Mixed;charset=utf-8; BOUNDARY=\"a b;\\\"c\"") == "a b;\"c");
    CHECK(codec::multipart_boundary("multipart/x; boundary=a/b:=?; ") == "a/b:=?");
    for (const char* text : {"", "text/plain; boundary=a", "multipart/mixed", "multipart/mixed; boundary=",
                             "multipart/mixed; boundary=\"\"", "multipart/mixed; boundary=\"a",
                             "multipart/mixed; boundary", "multipart/mixed; boundary=\"a \"",
                             "multipart/mixed; boundary=a; boundary=b", "multipart/mixed; boundary=a b",
                             "multipart/mixed; boundary=\"a\tb\"", "multipart/mixed; boundary=\"\xC3\xBC\""}) {
        CAPTURE(text);
        CHECK_THROWS_AS(codec::multipart_boundary(text), codec::decode_error);
    }
    CHECK_THROWS_AS(codec::multipart_boundary("multipart/mixed; boundary=" + std::string(71, 'a')),
                    codec::decode_error);
}

TEST_CASE("content dispositions of other senders") {
    const auto filename = [](const char* text) {
        return codec::parse_content_disposition(text).filename.value_or("-");
    };
    CHECK(filename("attachment; filename=plain.txt") == "plain.txt");
    CHECK(filename("attachment; filename=a/b.txt") == "a/b.txt");
    CHECK(filename("attachment; FileName=\"a%20b\"") == "a%20b"); // by the letter, as aiohttp
    CHECK(filename("attachment; filename=\"x\"; filename*=UTF-8'en'%e2%98%83") == "\xE2\x98\x83");
    CHECK(filename("attachment; filename*=iso-8859-1''%FCn; filename=x") == "\xC3\xBCn");
    CHECK(filename("attachment; filename=\"a\\\"b\\\\c\"") == "a\"b\\c");
    CHECK(filename("attachment") == "-");
    for (const char* text :
         {"attachment; filename=\"a", "attachment; filename", "; filename=a", "a b; filename=a",
          "attachment; filename=a; filename=b", "attachment; filename*=%41", "attachment; filename*=utf-8''%FF",
          "attachment; filename*=koi8-r''a", "x; \"a\"=b", "attachment; filename=\"a\"b"}) {
        CAPTURE(text);
        CHECK_THROWS_AS(codec::parse_content_disposition(text), codec::decode_error);
    }
}

TEST_CASE("delimiters are found where CR is rare, common, and where that changes") {
    const codec::detail::delimiter_search search("b0");
    const std::string delimiter(search.delimiter());
    for (const std::string& filler :
         {std::string("x"), std::string("\r"), std::string("\r\n--b"), std::string("\r\n--b\r\n--")}) {
        for (const std::size_t rare : {std::size_t{0}, std::size_t{5000}, std::size_t{70'000}}) {
            for (std::size_t count = 0; count < 400; count += 7) {
                std::string text(rare, 'x');
                for (std::size_t i = 0; i < count; ++i) text += filler;
                CHECK(search.find(text) == std::string::npos);
                const std::size_t place = text.size();
                CHECK(search.find(text + delimiter) == place);
                CHECK(search.find(text + delimiter + delimiter) == place);
                CHECK(search.find(text + delimiter.substr(0, delimiter.size() - 1)) == std::string::npos);
            }
        }
    }
}
