/// @file
/// Files of compute sessions: the bodies of kernel.upload(), download() and list_files().
#ifndef BACKENDAI_API_KERNEL_FILES_HPP
#define BACKENDAI_API_KERNEL_FILES_HPP

#include <backendai/api/file_types.hpp>
#include <backendai/api/kernel_call.hpp>
#include <backendai/codec/name_collisions.hpp>
#include <backendai/codec/tar_reader.hpp>
#include <backendai/files/destination.hpp>
#include <backendai/files/multipart_download.hpp>
#include <backendai/files/multipart_upload.hpp>
#include <backendai/files/progress.hpp>
#include <backendai/files/tar_extractor.hpp>
#include <backendai/files/transfer_options.hpp>
#include <backendai/files/transfer_scope.hpp>
#include <backendai/files/upload_list.hpp>
#include <backendai/pipeline.hpp>
#include <backendai/version.hpp>
#include <backendai/wire.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

// The server's limits (19.03).
inline constexpr std::size_t kernel_upload_files = 20;
inline constexpr std::uint64_t kernel_upload_bytes = 1024 * 1024; // a file must be smaller
inline constexpr std::size_t kernel_download_files = 5;           // of one request

/// A call with arguments that some servers read from the body, others from the query: both have them.
template <class = void>
call kernel_query_call(const std::string& kernel_id, const char* suffix, const json& arguments) {
    call what = kernel_call("GET", kernel_id, suffix, [arguments](call& request, const dialect& language) {
        if (!language.arguments_in_query_too) return;
        for (const auto& item : arguments.items()) {
            if (item.value().is_string()) {
                request.query.emplace_back(item.key(), item.value().get<std::string>());
            } else {
                for (const json& each : item.value()) request.query.emplace_back(item.key(), each.get<std::string>());
            }
        }
    });
    what.set_json(arguments);
    return what;
}

template <class = void>
void kernel_upload(const call_scope& scope, const std::string& kernel_id,
                   const std::vector<std::filesystem::path>& files, const upload_options& options) {
    if (!options.resume_file.empty()) throw client_error(error_kind::argument, "resume_file is for virtual folders");
    // Sending the same files again leaves the same files behind.
    call what = kernel_call("POST", kernel_id, "/upload");
    what.retry = retry_class::safe;
    what.waits_for_compute = true;
    const std::vector<upload_entry> list = upload_lister<>(options, [&] { scope.check(); }).list(files);
    if (list.size() > kernel_upload_files) {
        throw client_error(error_kind::argument, std::to_string(list.size()) + " files to upload; the limit is " +
                                                     std::to_string(kernel_upload_files) +
                                                     " (a virtual folder has none)");
    }
    for (const upload_entry& file : list) {
        if (file.size >= kernel_upload_bytes) {
            throw client_error(error_kind::argument, shown(file.path) + ": " + std::to_string(file.size) +
                                                         " bytes; a file uploaded to a session must be smaller than "
                                                         "1 MiB (a virtual folder has no limit)");
        }
    }
    upload_files(scope, what, list, kernel_upload_files, options.progress);
}

/// Receives the archives of one request and extracts them into the destination, all or none.
template <class = void>
class kernel_download_sink final : public multipart_download<> {
public:
    kernel_download_sink(std::vector<std::string> files, destination<>& target, const download_options& options,
                         codec::name_collisions& known, transfer_meter& meter)
        : multipart_download<>(std::move(files)),
          target_(target),
          limit_(options.max_bytes),
          extractor_(target, options.names, known, meter) {}

protected:
    void on_answer(const response_head& /*head*/) override {}
    std::uint64_t on_file(const codec::part_headers& headers) override {
        reader_.emplace(extractor_);
        if (limit_ != 0) return limit_;
        // An archive is less than 1 MiB by the protocol, which some servers raise; what is compressed needs some limit.
        constexpr std::uint64_t expansion = std::uint64_t{1} << 30;
        return headers.content_encoding() == "identity" ? (std::numeric_limits<std::uint64_t>::max)() : expansion;
    }
    void on_content(std::string_view data) override { reader_->feed(data); }
    void on_file_end() override { reader_->finish(); }
    void on_complete() override { target_.commit(); }

private:
    destination<>& target_;
    std::uint64_t limit_;
    tar_extractor<> extractor_;
    std::optional<codec::tar_reader> reader_;
};

/// The name that the archive of a file has in it: the last component.
template <class = void>
std::string archive_name(std::string_view file) {
    while (!file.empty() && file.back() == '/') file.remove_suffix(1);
    return std::string(file.substr(file.rfind('/') + 1)); // npos + 1 is 0
}

/// One request of a download.
template <class = void>
void kernel_download_some(const call_scope& scope, const std::string& kernel_id, std::vector<std::string> files,
                          destination<>& target, const download_options& options, codec::name_collisions& known,
                          transfer_meter& meter) {
    const session_download method = scope.negotiate().download;
    call what = kernel_query_call(kernel_id, "/download", {{"files", files}});
    if (method == session_download::post) what.method = "POST";
    try {
        kernel_download_sink<> sink(files, target, options, known, meter);
        sink.perform(scope, what);
    } catch (const api_error& refused) {
        if (method != session_download::get_or_post || !is_problem(refused, "deprecated")) throw;
        what.method = "POST";
        kernel_download_sink<> sink(std::move(files), target, options, known, meter);
        sink.perform(scope, std::move(what));
    }
}

template <class = void>
void kernel_download(const call_scope& scope, const std::string& kernel_id, const std::vector<std::string>& files,
                     const std::filesystem::path& dest, const download_options& options) {
    if (options.resume) throw client_error(error_kind::argument, "resume is for virtual folders");
    std::set<std::string> names;
    for (const std::string& file : files) {
        if (file.empty() || has_control_character(file))
            throw client_error(error_kind::argument,
                               "a file to download has an empty name or a control character in it");
        const std::string name = archive_name(file);
        if (name != "." && name != ".." && !name.empty() && !names.insert(name).second) {
            throw client_error(error_kind::argument, codec::printable(name) + " is asked for twice: files from several "
                                                                              "directories would replace each other");
        }
    }
    require_single_name(kernel_id, "the session id");
    destination<> target(dest, options.existing);
    codec::name_collisions known;
    transfer_meter meter(options.progress);
    const transfer_scope requests(scope);
    for (std::size_t begin = 0; begin < files.size(); begin += kernel_download_files) {
        const std::size_t end = (std::min)(files.size(), begin + kernel_download_files);
        std::vector<std::string> some(files.begin() + static_cast<std::ptrdiff_t>(begin),
                                      files.begin() + static_cast<std::ptrdiff_t>(end));
        requests.part([&](const call_scope& step) {
            kernel_download_some(step, kernel_id, std::move(some), target, options, known, meter);
        });
    }
}

template <class = void>
file_listing kernel_list_files(const call_scope& scope, const std::string& kernel_id, const std::string& path) {
    return read_file_listing(scope.perform(kernel_query_call(kernel_id, "/files", {{"path", path}})).json());
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
