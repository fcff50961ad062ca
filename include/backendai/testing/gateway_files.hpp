/// @file
/// The embedded gateway's files: uploads into and listings of directories, downloads in the forms of the wire, and the
/// endpoints for files of compute sessions.
#ifndef BACKENDAI_TESTING_GATEWAY_FILES_HPP
#define BACKENDAI_TESTING_GATEWAY_FILES_HPP

#include <backendai/codec/mime_parameters.hpp>
#include <backendai/codec/multipart_reader.hpp>
#include <backendai/codec/multipart_writer.hpp>
#include <backendai/codec/path_rules.hpp>
#include <backendai/files/destination.hpp>
#include <backendai/os/file.hpp>
#include <backendai/testing/gateway_auth.hpp>
#include <backendai/testing/gateway_file_walk.hpp>
#include <backendai/testing/gateway_parameters.hpp>
#include <backendai/testing/gateway_protocol.hpp>
#include <backendai/testing/gateway_router.hpp>
#include <backendai/testing/gateway_sessions.hpp>
#include <backendai/testing/gateway_tar.hpp>
#include <backendai/testing/gateway_types.hpp>
#include <backendai/version.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <system_error>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {

/// How the gateway lies in answers to downloads, so that clients can be tested against a hostile or broken server.
enum class file_lie {
    none,
    traversal_name,  ///< names that lead out of the destination
    absolute_name,   ///< names from the root directory
    bomb,            ///< compressed parts that expand to far more than they should
    truncated_part,  ///< the last part stops in its middle, well-formed around it
    truncated_body,  ///< the body stops in its middle, with a length that says it is whole
    total_too_large, ///< X-TOTAL-PAYLOADS-LENGTH one byte more than the truth
    total_too_small, ///< and one less
    missing_part,    ///< the last part is left out
    additional_part, ///< one that nobody asked for
    symbolic_link    ///< sessions only: a link in the archive, and an entry behind it
};

namespace detail {

/// A place below @p root. @throws std::filesystem::filesystem_error, problem when it lies outside, by links too.
inline std::filesystem::path place_below(const std::filesystem::path& root, const std::string& text,
                                         const std::filesystem::path& also_allowed = {}) {
    const std::filesystem::path path = (root / text).lexically_normal();
    const std::filesystem::path real = std::filesystem::weakly_canonical(path);
    const auto is_below = [&real](const std::filesystem::path& base) {
        return std::mismatch(base.begin(), base.end(), real.begin(), real.end()).first == base.end();
    };
    if (text.find('\0') != std::string::npos || (!is_below(root) && (also_allowed.empty() || !is_below(also_allowed))))
        throw invalid_parameters("the path leads out of the folder");
    return path;
}

/// "drwxr-xr-x", as Python's stat.filemode.
inline std::string mode_text(mode_t mode) {
    std::string text = S_ISDIR(mode) ? "d" : S_ISLNK(mode) ? "l" : S_ISFIFO(mode) ? "p" : "-";
    for (int i = 8; i >= 0; --i) text += ((mode >> i) & 1) != 0 ? "xwr"[i % 3] : '-';
    return text;
}

/// The JSON text of a directory's listing.
inline std::string list_directory(const std::filesystem::path& path) {
    nlohmann::json list = nlohmann::json::array();
    std::vector<std::filesystem::path> entries;
    for (const auto& entry : std::filesystem::directory_iterator(path)) entries.push_back(entry.path());
    std::sort(entries.begin(), entries.end());
    for (const auto& entry : entries) {
        struct stat data {};
        if (::lstat(entry.c_str(), &data) != 0) continue; // gone meanwhile
        list.push_back({{"mode", mode_text(data.st_mode)},
                        {"size", data.st_size},
                        {"ctime", static_cast<double>(data.st_ctime)},
                        {"mtime", static_cast<double>(data.st_mtime)},
                        {"atime", static_cast<double>(data.st_atime)},
                        {"filename", entry.filename().string()}});
    }
    return list.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// The regular files below a directory.
struct disk_usage {
    std::uintmax_t files = 0, bytes = 0;
};
inline disk_usage usage_of(const std::filesystem::path& directory) {
    disk_usage sum;
    for_each_file(directory, [&](const std::filesystem::directory_entry& file) {
        std::error_code gone;
        const std::uintmax_t size = file.file_size(gone);
        if (gone) return;
        ++sum.files;
        sum.bytes += size;
    });
    return sum;
}

/// The `files` member of a request: a list of texts.
inline std::vector<std::string> file_names(const nlohmann::json& body) {
    const auto list = body.find("files");
    if (list == body.end() || !list->is_array()) throw invalid_parameters("files: is required, a list");
    std::vector<std::string> names;
    for (const auto& item : *list) {
        if (!item.is_string()) throw invalid_parameters("files: value is not a string");
        names.push_back(item.get<std::string>());
    }
    return names;
}

/// Writes the parts of an upload into a directory; they appear when the whole request was good.
class upload_receiver final : private codec::multipart_handler {
public:
    /// @param max_bytes a file must be smaller; 0 = any size
    upload_receiver(const std::filesystem::path& root, std::size_t max_files, std::uint64_t max_bytes)
        : target_(root, existing_files::overwrite), max_files_(max_files), max_bytes_(max_bytes) {}

    /// @throws problem.
    void receive(const http_call& call) {
        const std::string* type = find_header(call.headers, "Content-Type");
        try {
            codec::multipart_handler& parts = *this;
            codec::multipart_reader reader(codec::multipart_boundary(type == nullptr ? std::string() : *type), parts);
            reader.feed(call.body);
            if (call.stream) {
                std::vector<char> buffer(256 * 1024);
                while (const std::size_t count = call.stream(buffer.data(), buffer.size()))
                    reader.feed({buffer.data(), count});
            }
            reader.finish();
        } catch (const codec::decode_error& e) {
            throw invalid_parameters(e.what());
        }
        target_.commit();
    }

private:
    void on_part_begin(const codec::part_headers& headers) override {
        if (++files_ > max_files_) throw invalid_parameters("Too many files");
        const auto name = headers.disposition().filename;
        if (!name) throw invalid_parameters("a part has no filename");
        bytes_ = 0;
        target_.begin_file(codec::safe_relative_path(*name, codec::root_name::refuse, codec::path_policy::posix));
    }
    void on_data(std::string_view data) override {
        bytes_ += data.size();
        if (max_bytes_ != 0 && bytes_ >= max_bytes_) throw invalid_parameters("Too large file");
        target_.write(data);
    }
    void on_part_end() override { target_.end_file(); }

    backendai::detail::destination<> target_;
    std::size_t max_files_, files_ = 0;
    std::uint64_t max_bytes_, bytes_ = 0;
};

/// Handlers of /kernel/S/upload, download and files, or the same below /session. Thread-safe.
class kernel_file_routes {
public:
    kernel_file_routes(const gateway_options& options, session_table& sessions, const std::atomic<file_lie>& lie)
        : protocol_(find_protocol(options.protocol)), sessions_(sessions), lie_(lie) {}

    void add_to(router& table) {
        const std::string base = protocol_.is_modern ? "/session/{}" : "/kernel/{}";
        const auto download_by = [this](const gateway_request& request) { return download(request); };
        table.add("POST", base + "/upload", true, [this](const gateway_request& request) { return upload(request); });
        table.add("GET", base + "/files", true, [this](const gateway_request& request) { return list(request); });
        if (!protocol_.has_post_download) {
            table.add("GET", base + "/download", true, download_by);
            return;
        }
        table.add("POST", base + "/download", true, download_by);
        table.add("GET", base + "/download", true, [](const gateway_request&) -> http_reply {
            throw problem(400, "deprecated", "This API is deprecated.");
        });
    }

private:
    static constexpr std::uint64_t mebibyte = 1024 * 1024;

    std::unique_ptr<session_table::use> find(const gateway_request& request) const {
        return sessions_.find(sessions_.key_of(request.arguments[0], access_key_of(request.call)));
    }

    http_reply upload(const gateway_request& request) {
        const auto session = find(request);
        upload_receiver(session->body().directory(), 20, mebibyte).receive(request.call);
        return empty_reply();
    }

    http_reply download(const gateway_request& request) {
        const auto session = find(request);
        const std::vector<std::string> names = requested_files(request);
        if (names.size() > 5) throw problem(500, "internal-server-error", "Internal server error.");
        std::vector<std::string> archives;
        for (const std::string& name : names) archives.push_back(archive(session->body().directory(), name));
        return lying_reply(std::move(archives));
    }

    std::vector<std::string> requested_files(const gateway_request& request) const {
        if (!protocol_.is_modern) return file_names(request.json());
        parameters given(request);
        std::vector<std::string> names;
        if (request.call.body.empty()) {
            names.push_back(given.required_text({"files"})); // of several in a query the first only
        } else {
            names = given.texts({"files"}, true);
        }
        given.finish();
        if (names.empty()) throw problem(500, "internal-server-error", "Internal server error.");
        return names;
    }

    std::string archive(const std::filesystem::path& directory, const std::string& name) const {
        std::string bytes;
        try {
            const auto path = place_below(directory, name, sessions_.root() / "vfolders");
            bytes = make_archive(path, mebibyte);
        } catch (const problem&) {
            throw execution_failed("ValueError('the path leads out of the working directory')");
        } catch (const std::filesystem::filesystem_error&) {
            throw execution_failed("FileNotFoundError('" + name + "')");
        }
        if (bytes.size() >= mebibyte) throw execution_failed("ValueError('too large archive file')");
        return bytes;
    }

    static problem execution_failed(const std::string& exception) {
        return {500,
                "kernel-execution-failed",
                "Kernel execution has failed.",
                {{"agent-details",
                  {{"type", "https://api.backend.ai/probs/agent-failure"},
                   {"title", "Agent-side exception occurred."},
                   {"exception", exception}}}}};
    }

    http_reply lying_reply(std::vector<std::string> archives) const {
        std::string encoding = "identity";
        switch (lie_.load()) {
        case file_lie::traversal_name: archives.assign(archives.size(), one_file_archive("../../escaped")); break;
        case file_lie::absolute_name: archives.assign(archives.size(), one_file_archive("/tmp/escaped")); break;
        case file_lie::symbolic_link: archives.assign(archives.size(), link_archive("link", "..")); break;
        case file_lie::bomb:
            archives.assign(archives.size(), zero_bomb(codec::deflate_format::gzip, std::uint64_t{1} << 31));
            encoding = "gzip";
            break;
        case file_lie::truncated_part: archives.back().resize(archives.back().size() / 2); break;
        case file_lie::missing_part: archives.pop_back(); break;
        case file_lie::additional_part: archives.push_back(one_file_archive("additional")); break;
        default: break;
        }
        const std::string boundary = codec::make_boundary();
        http_reply reply;
        reply.headers = {{"Content-Type", "multipart/mixed; boundary=" + boundary}};
        for (const std::string& bytes : archives) {
            reply.body += "--" + boundary +
                          "\r\nContent-Type: application/octet-stream\r\nContent-Encoding: " + encoding + "\r\n\r\n" +
                          bytes + "\r\n";
        }
        reply.body += "--" + boundary + "--\r\n";
        if (lie_ == file_lie::truncated_body) reply.body.resize(reply.body.size() / 2);
        return reply;
    }

    http_reply list(const gateway_request& request) {
        const auto session = find(request);
        if (protocol_.is_modern && request.call.body.empty())
            throw invalid_parameters("Expecting value: line 1 column 1 (char 0)"); // the query is not looked at
        const nlohmann::json body = request.json();
        const auto text = body.find("path");
        const std::string path = text != body.end() && text->is_string() ? text->get<std::string>() : ".";
        try {
            const auto place = place_below(session->body().directory(), path, sessions_.root() / "vfolders");
            return json_reply({{"files", list_directory(place)}, {"errors", ""}, {"abspath", place.string()}});
        } catch (const problem&) {
            return json_reply({{"files", ""}, {"errors", "the path leads out of the working directory"}});
        } catch (const std::filesystem::filesystem_error& e) {
            return json_reply({{"files", ""}, {"errors", e.code().message() + ": " + path}});
        }
    }

    const gateway_protocol& protocol_;
    session_table& sessions_;
    const std::atomic<file_lie>& lie_;
};

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
