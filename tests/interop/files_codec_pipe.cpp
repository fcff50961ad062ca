/// @file
/// Puts the multipart and tar codecs on a pipe, for files_aiohttp.py and for measuring.
///   files_codec_pipe multipart-write BOUNDARY FILENAME CONTENT [FILENAME CONTENT ...]
///   files_codec_pipe multipart-read BOUNDARY   < body      prints "FILENAME BYTES" in hexadecimal for each part
///   files_codec_pipe tar-write                 > archive   a few entries that need pax headers
///   files_codec_pipe speed                                 MB/s of the readers over 1 GiB of generated data
#include <backendai/codec/multipart_reader.hpp>
#include <backendai/codec/multipart_writer.hpp>
#include <backendai/codec/tar_reader.hpp>
#include <backendai/codec/tar_writer.hpp>

#include <chrono>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace codec = backendai::codec;

namespace {

std::string hex(std::string_view bytes) {
    std::string result;
    for (const char c : bytes) {
        char digits[3];
        std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
        result += digits;
    }
    return result;
}

class printer final : public codec::multipart_handler {
    void on_part_begin(const codec::part_headers& headers) override {
        filename_ = headers.disposition().filename.value_or("");
        content_.clear();
    }
    void on_data(std::string_view data) override { content_ += data; }
    void on_part_end() override { std::cout << hex(filename_) << ' ' << hex(content_) << '\n'; }

    std::string filename_;
    std::string content_;
};

class counter final : public codec::multipart_handler, public codec::tar_handler {
public:
    void on_part_begin(const codec::part_headers&) override {}
    void on_part_end() override {}
    void on_entry(const codec::tar_entry&) override {}
    void on_entry_end() override {}
    void on_data(std::string_view data) override { bytes += data.size(); }
    std::uint64_t bytes = 0;
};

template <class Reader>
void measure(const char* what, Reader& reader, const std::string& head, const std::string& block,
             const std::string& tail) {
    const auto start = std::chrono::steady_clock::now();
    reader.feed(head);
    constexpr int rounds = 4096;
    for (int i = 0; i < rounds; ++i) reader.feed(block);
    reader.feed(tail);
    reader.finish();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::cout << what << ' ' << static_cast<double>(block.size()) * rounds / 1e6 / seconds << " MB/s\n";
}

void speed() {
    std::mt19937 random(1);
    std::string binary(256 * 1024, '\0');
    for (char& c : binary) c = static_cast<char>(random() & 0xFF);
    std::string lines;
    while (lines.size() < binary.size()) lines += "a line of text that ends in CR and LF\r\n";
    lines.resize(binary.size());
    const std::string carriage_returns(binary.size(), '\r');
    counter sink;
    for (const std::string& boundary : {std::string("0123456789abcdef0123456789abcdef"), std::string("b")}) {
        const std::string head = "--" + boundary + "\r\n\r\n";
        const std::string tail = "\r\n--" + boundary + "--\r\n";
        for (const auto& [name, block] : {std::pair<const char*, const std::string&>{"random", binary},
                                          {"text lines", lines},
                                          {"all CR", carriage_returns}}) {
            codec::multipart_reader reader(boundary, sink);
            measure(("multipart, boundary of " + std::to_string(boundary.size()) + ", " + name).c_str(), reader, head,
                    block, tail);
        }
    }
    codec::tar_writer writer;
    codec::tar_entry entry;
    entry.name = "f";
    entry.size = std::uint64_t{4096} * binary.size();
    const std::string head = writer.begin_entry(entry);
    codec::tar_reader reader(sink);
    measure("tar, one file", reader, head, binary, std::string(1024, '\0'));
    entry.size = 4096;
    std::string files;
    while (files.size() < binary.size()) files += codec::tar_writer().begin_entry(entry) + binary.substr(0, 4096);
    codec::tar_reader many(sink);
    measure("tar, files of 4 KiB", many, "", files, std::string(1024, '\0'));
}

void tar_write() {
    codec::tar_writer writer;
    const auto put = [&](codec::tar_type type, const std::string& name, const std::string& link, std::string content) {
        codec::tar_entry entry;
        entry.name = name;
        entry.link_name = link;
        entry.type = type;
        entry.mode = 0640;
        entry.size = content.size();
        entry.mtime_seconds = 1'700'000'000;
        entry.mtime_nanoseconds = 250'000'000;
        std::cout << writer.begin_entry(entry) << content;
        writer.add_content(content.size());
        std::cout << writer.end_entry();
    };
    put(codec::tar_type::directory, "d/", "", "");
    put(codec::tar_type::regular, "d/\xC3\xBC \xE2\x98\x83", "", "snow");
    put(codec::tar_type::regular, "d/" + std::string(300, 'n'), "", std::string(513, 'x'));
    put(codec::tar_type::regular, std::string(120, 'p') + "/" + std::string(90, 'n'), "", "");
    put(codec::tar_type::symbolic_link, "d/link", std::string(150, 't'), "");
    put(codec::tar_type::hard_link, "d/hard", "d/\xC3\xBC \xE2\x98\x83", "");
    std::cout << writer.finish();
}

} // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    const std::string command = arguments.empty() ? "" : arguments[0];
    if (command == "multipart-write" && arguments.size() >= 2) {
        std::vector<codec::form_part> parts;
        for (std::size_t i = 2; i + 1 < arguments.size(); i += 2)
            parts.push_back({"src", arguments[i], "application/octet-stream",
                             std::make_shared<codec::string_source>(arguments[i + 1])});
        codec::multipart_writer writer(std::move(parts), arguments[1]);
        std::string buffer(100, '\0');
        while (const std::size_t count = writer.read(buffer.data(), buffer.size()))
            std::cout.write(buffer.data(), static_cast<std::streamsize>(count));
    } else if (command == "multipart-read" && arguments.size() == 2) {
        printer handler;
        codec::multipart_reader reader(arguments[1], handler);
        const std::string body(std::istreambuf_iterator<char>(std::cin), {});
        for (std::size_t at = 0; at < body.size(); at += 37) reader.feed(body.substr(at, 37));
        reader.finish();
    } else if (command == "tar-write") {
        tar_write();
    } else if (command == "speed") {
        speed();
    } else {
        std::cerr << "see the head of files_codec_pipe.cpp\n";
        return 2;
    }
    return 0;
}
