// The same program, unchanged, against any server: a session that runs code, a big file to a folder and back, listings.
// The endpoint and the keys come from the environment; nothing else depends on what stands there.
//   same_program [MEGABYTES]
#include <backendai.hpp>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <random>
#include <stdexcept>
#include <string>

namespace {

/// A file of noise, the same each time.
void make_file(const std::filesystem::path& path, std::uint64_t megabytes) {
    std::ofstream file(path, std::ios::binary);
    std::mt19937_64 noise(20190315);
    std::string block(1 << 20, '\0');
    for (std::uint64_t i = 0; i < megabytes; ++i) {
        for (std::size_t at = 0; at < block.size(); at += 8) {
            const std::uint64_t value = noise();
            for (std::size_t k = 0; k < 8; ++k) block[at + k] = static_cast<char>(value >> (8 * k));
        }
        file.write(block.data(), static_cast<std::streamsize>(block.size()));
    }
    if (!file.flush()) throw std::runtime_error("cannot write " + path.string());
}

bool same_content(const std::filesystem::path& one, const std::filesystem::path& other) {
    std::ifstream first(one, std::ios::binary), second(other, std::ios::binary);
    std::string a(1 << 20, '\0'), b(1 << 20, '\0');
    while (first.good()) {
        first.read(a.data(), static_cast<std::streamsize>(a.size()));
        second.read(b.data(), static_cast<std::streamsize>(b.size()));
        if (first.gcount() != second.gcount() || a != b) return false;
    }
    return std::filesystem::file_size(one) == std::filesystem::file_size(other);
}

void expect(bool good, const std::string& what) {
    if (!good) throw std::runtime_error("not as expected: " + what);
    std::cout << "  " << what << '\n';
}

double seconds_of(const std::chrono::steady_clock::time_point& start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

} // namespace

int main(int argc, char** argv) {
    const std::uint64_t megabytes = argc > 1 ? std::stoull(argv[1]) : 300;
    const auto folder =
        std::filesystem::temp_directory_path() / ("backendai-same-" + std::to_string(std::random_device{}()));
    std::filesystem::create_directories(folder);
    int status = 1;
    try {
        backendai::session session;
        std::cout << "server " << session.server_version() << ", speaking " << session.protocol_version() << '\n';

        backendai::create_options options;
        options.client_token = "same-program";
        options.resources = {{"cpu", 1}, {"mem", "128m"}};
        const char* image = std::getenv("BACKENDAI_SAME_IMAGE");
        auto kernel = session.kernel().get_or_create(image != nullptr ? image : "python", options);
        expect(kernel.created(), "a session was created");
        const auto result = kernel.run("n = int(input('n? '))\nprint(n * n)", [] {
            backendai::run_handlers handlers;
            handlers.on_input = [](const backendai::input_request&) { return std::string("12"); };
            return handlers;
        }());
        expect(result.exit_code == 0 && result.out.find("144") != std::string::npos, "code ran, and asked for input");
        expect(kernel.run("raise SystemExit(7)").exit_code == 7, "an exit code came back");

        session.vfolder().create("samefolder");
        auto remote = session.vfolder("samefolder");
        make_file(folder / "big.bin", megabytes);
        backendai::upload_options up;
        up.basedir = folder;
        auto start = std::chrono::steady_clock::now();
        remote.upload({folder / "big.bin"}, up);
        const double sent = seconds_of(start);
        start = std::chrono::steady_clock::now();
        remote.download({"big.bin"}, folder / "back");
        const double received = seconds_of(start);
        expect(same_content(folder / "big.bin", folder / "back/big.bin"),
               std::to_string(megabytes) + " MiB to a folder in " + std::to_string(sent) + " s and back in " +
                   std::to_string(received) + " s, the same bytes");

        bool listed = false;
        for (const auto& each : session.admin().sessions()) listed = listed || each.at("sess_id") == "same-program";
        expect(listed, "the session is in the administrator's list");
        bool found = false;
        for (const auto& each : session.vfolder().list()) found = found || each.name == "samefolder";
        expect(found, "the folder is in the list");

        remote.remove();
        kernel.destroy();
        status = 0;
    } catch (const std::exception& e) {
        std::cerr << "error: " << e.what() << '\n';
    }
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
    return status;
}
