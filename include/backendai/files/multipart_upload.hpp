/// @file
/// Local files as the multipart/form-data body of an upload call.
#ifndef BACKENDAI_FILES_MULTIPART_UPLOAD_HPP
#define BACKENDAI_FILES_MULTIPART_UPLOAD_HPP

#include <backendai/codec/multipart_writer.hpp>
#include <backendai/error.hpp>
#include <backendai/files/file_source.hpp>
#include <backendai/files/progress.hpp>
#include <backendai/files/transfer_scope.hpp>
#include <backendai/files/upload_list.hpp>
#include <backendai/pipeline.hpp>
#include <backendai/version.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// Makes the parts the body of a call. @throws client_error{argument} when one of them cannot be sent.
template <class = void>
void set_multipart(call& what, std::vector<codec::form_part> parts) {
    try {
        auto body = std::make_shared<codec::multipart_writer>(std::move(parts));
        what.content_type = body->content_type();
        what.source = std::move(body);
        what.body.clear();
    } catch (const std::invalid_argument& e) {
        throw client_error(error_kind::argument, e.what());
    }
}

/// Sends the files by as many copies of @p what as batches of @p batch files need, one after the other.
template <class = void>
void upload_files(const call_scope& scope, const call& what, const std::vector<upload_entry>& files, std::size_t batch,
                  const progress_callback& progress) {
    std::uint64_t total = 0;
    for (const upload_entry& file : files) total += file.size;
    const auto meter = std::make_shared<transfer_meter>(progress, total);
    const transfer_scope requests(scope);
    for (std::size_t begin = 0; begin < files.size(); begin += batch) {
        std::vector<codec::form_part> parts;
        for (std::size_t i = begin; i < files.size() && i < begin + batch; ++i) {
            codec::form_part part;
            part.name = "src"; // what the official client calls each part
            part.filename = files[i].name;
            part.content = std::make_shared<metered_source<>>(
                std::make_shared<file_source>(files[i].path, files[i].size), files[i].name, meter);
            parts.push_back(std::move(part));
        }
        call step = what;
        set_multipart(step, std::move(parts));
        requests.perform(std::move(step));
    }
}

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
