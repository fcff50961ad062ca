/// @file
/// Files of virtual folders: the bodies of vfolder upload() and download().
#ifndef BACKENDAI_API_VFOLDER_FILES_HPP
#define BACKENDAI_API_VFOLDER_FILES_HPP

#include <backendai/api/vfolder_call.hpp>
#include <backendai/api/vfolder_storage.hpp>
#include <backendai/codec/decode_error.hpp>
#include <backendai/codec/name_collisions.hpp>
#include <backendai/codec/path_rules.hpp>
#include <backendai/codec/printable.hpp>
#include <backendai/codec/url.hpp>
#include <backendai/dialect.hpp>
#include <backendai/files/destination.hpp>
#include <backendai/files/multipart_download.hpp>
#include <backendai/files/multipart_upload.hpp>
#include <backendai/files/progress.hpp>
#include <backendai/files/transfer_options.hpp>
#include <backendai/files/upload_list.hpp>
#include <backendai/pipeline.hpp>
#include <backendai/version.hpp>

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

inline constexpr std::size_t vfolder_upload_files = 10; // the server's limit for one request

template <class = void>
void vfolder_upload(const call_scope& scope, const std::string& name, const std::vector<std::filesystem::path>& files,
                    const upload_options& options) {
    check_vfolder_name(name);
    const std::vector<upload_entry> entries = upload_lister<>(options, [&] { scope.check(); }).list(files);
    const dialect language = scope.negotiate();
    if (language.transfer == folder_transfer::storage_proxy)
        return storage_upload(scope, language, name, entries, options);
    if (!options.resume_file.empty()) language.require(feature::resumable_upload);
    call what = vfolder_call("POST", name, "/upload");
    what.retry = retry_class::safe; // sending the same files again leaves the same files behind
    upload_files(scope, what, entries, vfolder_upload_files, options.progress);
}

/// Receives the files of one request, in the order of the request. A file appears under its name when it is whole, the
/// last one when the whole answer is.
template <class = void>
class vfolder_download_sink final : public multipart_download<> {
public:
    vfolder_download_sink(const std::vector<std::vector<std::string>>& names, destination<>& target,
                          std::uint64_t max_bytes, transfer_meter& meter)
        : multipart_download<>(texts(names)), names_(names), target_(target), max_bytes_(max_bytes), meter_(meter) {}

    static std::vector<std::string> texts(const std::vector<std::vector<std::string>>& names) {
        std::vector<std::string> result;
        for (const auto& name : names) result.push_back(codec::join_path(name));
        return result;
    }

protected:
    void on_answer(const response_head& head) override {
        const std::string* text = head.headers.find("X-TOTAL-PAYLOADS-LENGTH");
        if (text == nullptr) return;
        if (text->empty() || text->size() > 18 || text->find_first_not_of("0123456789") != std::string::npos)
            throw codec::decode_error("X-TOTAL-PAYLOADS-LENGTH is no number: " + codec::printable(*text));
        std::uint64_t total = 0;
        for (const char c : *text) total = total * 10 + static_cast<std::uint64_t>(c - '0');
        if (max_bytes_ != 0 && total > max_bytes_)
            throw codec::decode_error("X-TOTAL-PAYLOADS-LENGTH is " + *text + ", max_bytes is less");
        total_ = total;
        meter_.set_total(total);
    }
    std::uint64_t on_file(const codec::part_headers& headers) override {
        target_.commit();
        check_name(headers);
        target_.begin_file(names_[index()]);
        meter_.add(file(), 0);
        const std::uint64_t limit = total_            ? *total_
                                    : max_bytes_ != 0 ? max_bytes_
                                                      : (std::numeric_limits<std::uint64_t>::max)();
        return limit - meter_.done();
    }
    void on_content(std::string_view data) override {
        target_.write(data);
        meter_.add(file(), data.size());
    }
    void on_file_end() override { target_.end_file(); }
    void on_complete() override {
        if (total_ && meter_.done() != *total_) {
            throw codec::decode_error(std::to_string(meter_.done()) + " bytes came, X-TOTAL-PAYLOADS-LENGTH is " +
                                      std::to_string(*total_));
        }
        target_.commit();
    }

private:
    // The server tells the base name only, percent-encoded, and some libraries encode that once more. The place of the
    // file is the one that was asked for; a name that does not fit shows that the parts are not those.
    void check_name(const codec::part_headers& headers) const {
        const auto told = headers.disposition().filename;
        if (!told) return;
        const std::string& wanted = names_[index()].back();
        const std::string once = codec::unescape(*told, false);
        if (*told == wanted || once == wanted || codec::unescape(once, false) == wanted) return;
        throw codec::decode_error("the server sends a part named " + codec::printable(*told));
    }

    const std::vector<std::vector<std::string>>& names_;
    destination<>& target_;
    std::uint64_t max_bytes_;
    transfer_meter& meter_;
    std::optional<std::uint64_t> total_;
};

template <class = void>
void vfolder_download(const call_scope& scope, const std::string& name, const std::vector<std::string>& files,
                      const std::filesystem::path& dest, const download_options& options) {
    check_vfolder_name(name);
    const dialect language = scope.negotiate();
    if (language.transfer == folder_transfer::storage_proxy)
        return storage_download<>(scope, name, dest, options).run(files);
    if (options.resume) language.require(feature::resumable_download);
    call what = vfolder_call("GET", name, "/download");
    destination<> target(dest, options.existing);
    std::vector<std::vector<std::string>> names;
    std::set<std::string> known;
    codec::name_collisions collisions;
    for (const std::string& file : files) {
        std::vector<std::string> parts = folder_path(file);
        try {
            codec::safe_relative_path(file, codec::root_name::refuse, options.names);
            if (options.names == codec::path_policy::portable) collisions.add(parts);
        } catch (const codec::decode_error& e) {
            throw client_error(error_kind::argument, e.what());
        }
        if (!known.insert(codec::join_path(parts)).second || !target.wants(parts)) continue;
        names.push_back(std::move(parts));
    }
    if (names.empty()) return;
    what.set_json({{"files", vfolder_download_sink<>::texts(names)}});
    transfer_meter meter(options.progress);
    vfolder_download_sink<> sink(names, target, options.max_bytes, meter);
    sink.perform(scope, std::move(what));
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
