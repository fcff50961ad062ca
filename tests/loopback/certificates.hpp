// The certificates of the TLS tests, good and bad ones, made when the first test asks for one.
#ifndef BACKENDAI_TESTS_CERTIFICATES_HPP
#define BACKENDAI_TESTS_CERTIFICATES_HPP

#include <cstdlib>
#include <filesystem>
#include <random>
#include <stdexcept>
#include <string>
#include <system_error>

namespace hostile {

// A folder with the certificates, made once and removed at the end.
class certificate_folder {
public:
    certificate_folder() {
        folder_ = std::filesystem::temp_directory_path() / ("backendai-tls-" + std::to_string(std::random_device{}()));
        const auto script = std::filesystem::path(BACKENDAI_TEST_DATA).parent_path() / "tools" / "make_certificates.sh";
        const std::string command = "sh '" + script.string() + "' '" + folder_.string() + "'";
        if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command); // NOLINT(cert-env33-c)
    }
    certificate_folder(const certificate_folder&) = delete;
    certificate_folder& operator=(const certificate_folder&) = delete;
    ~certificate_folder() {
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }
    std::string file(const std::string& name) const { return (folder_ / (name + ".pem")).string(); }

private:
    std::filesystem::path folder_;
};

inline std::string certificate(const std::string& name) {
    static const certificate_folder folder;
    return folder.file(name);
}

} // namespace hostile

#endif
