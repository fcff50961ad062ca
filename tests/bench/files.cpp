// How fast files go up and down, one transfer a run, so that the most memory a process had is that of the transfer:
//
//   bench-files upload TRANSPORT FILE               FILE into the virtual folder "bench" of the server that BACKEND_*
//   name bench-files download TRANSPORT FILE DEST        and out of it bench-files inflate FILE OUT what zlib by itself
//   makes of a gzip file: read, inflate, write bench-files inflate FILE                        and without writing
//
// TRANSPORT is httplib or curl. Prints the seconds that it took and the peak of the process's memory in KiB.
// tests/bench/files.py has the server and what to compare with.
#include <backendai.hpp>

#include <zlib.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

// VmHWM of this process; getrusage() would count what the process was before exec().
long peak_kib() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
        if (line.compare(0, 6, "VmHWM:") == 0) return std::stol(line.substr(6));
    }
    return 0;
}

template <class Transport>
void transfer(const std::vector<std::string>& words) {
    const backendai::basic_session<Transport, backendai::blocking> session;
    const auto folder = session.vfolder("bench");
    if (words[0] == "upload") {
        backendai::upload_options options;
        options.basedir = std::filesystem::path(words.at(2)).parent_path();
        folder.upload({words.at(2)}, options);
    } else {
        folder.download({words.at(2)}, words.at(3));
    }
}

void inflate_file(const std::string& from, const char* to) {
    struct closer {
        void operator()(std::FILE* file) const { std::fclose(file); }
    };
    const std::unique_ptr<std::FILE, closer> in(std::fopen(from.c_str(), "rb"));
    const std::unique_ptr<std::FILE, closer> out(to == nullptr ? nullptr : std::fopen(to, "wb"));
    if (!in || (to != nullptr && !out)) throw std::runtime_error("cannot open the files");
    if (out) std::setvbuf(out.get(), nullptr, _IONBF, 0);
    std::vector<unsigned char> input(128 * 1024), output(64 * 1024);
    z_stream stream{};
    if (inflateInit2(&stream, 15 + 16) != Z_OK) throw std::runtime_error("zlib");
    int status = Z_OK;
    while (status != Z_STREAM_END) {
        if (stream.avail_in == 0) {
            stream.next_in = input.data();
            stream.avail_in = static_cast<uInt>(std::fread(input.data(), 1, input.size(), in.get()));
        }
        stream.next_out = output.data();
        stream.avail_out = static_cast<uInt>(output.size());
        status = inflate(&stream, Z_NO_FLUSH);
        if (status != Z_OK && status != Z_STREAM_END) throw std::runtime_error("the file is damaged");
        const std::size_t count = output.size() - stream.avail_out;
        if (out && std::fwrite(output.data(), 1, count, out.get()) != count) throw std::runtime_error("cannot write");
    }
    inflateEnd(&stream);
}

} // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> words(argv + 1, argv + argc);
    try {
        if (words.size() < 2) throw std::invalid_argument("see the head of tests/bench/files.cpp");
        const auto start = std::chrono::steady_clock::now();
        if (words[0] == "inflate") {
            inflate_file(words[1], words.size() > 2 ? words[2].c_str() : nullptr);
        } else if (words[1] == "httplib") {
            transfer<backendai::httplib_transport>(words);
#ifdef BACKENDAI_USE_CURL
        } else if (words[1] == "curl") {
            transfer<backendai::curl_transport>(words);
#endif
        } else {
            throw std::invalid_argument("no such transport: " + words[1]);
        }
        const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        std::cout << seconds << ' ' << peak_kib() << '\n';
        return 0;
    } catch (const std::exception& e) {
        std::cerr << "bench-files: " << e.what() << '\n';
        return 1;
    }
}
