/// @file
/// What the downloads of compute sessions and virtual folders have in common: the parts of a multipart answer, decoded
/// while they arrive.
#ifndef BACKENDAI_FILES_MULTIPART_DOWNLOAD_HPP
#define BACKENDAI_FILES_MULTIPART_DOWNLOAD_HPP

#include <backendai/codec/decode_error.hpp>
#include <backendai/codec/mime_parameters.hpp>
#include <backendai/codec/multipart_reader.hpp>
#include <backendai/codec/printable.hpp>
#include <backendai/error.hpp>
#include <backendai/files/part_decoder.hpp>
#include <backendai/http.hpp>
#include <backendai/pipeline.hpp>
#include <backendai/version.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// Receives one multipart/mixed answer whose parts belong, in this order, to the files that were asked for.
/// What is wrong with the answer becomes client_error{protocol} with the name of the file.
template <class = void>
class multipart_download : private codec::multipart_handler {
public:
    explicit multipart_download(std::vector<std::string> requested) : requested_(std::move(requested)) {}
    multipart_download(const multipart_download&) = delete;
    multipart_download& operator=(const multipart_download&) = delete;

    /// Makes @p what stream its answer into this object, performs it, and checks that everything came.
    void perform(const call_scope& scope, call what) {
        what.on_head = [this](const response_head& head) {
            decoded([&] {
                // Each attempt begins anew; none follows one that has delivered data.
                codec::multipart_handler& parts = *this; // a private base: the conversion is possible here only
                gathered_.clear();
                reader_ = std::make_unique<codec::multipart_reader>(
                    codec::multipart_boundary(head.headers.get("Content-Type")), parts);
                on_answer(head);
            });
        };
        what.receiver = [this](std::string_view data) { gather(data); };
        scope.perform(std::move(what));
        decoded([&] {
            if (!reader_) throw codec::decode_error("the answer has no body");
            reader_->feed(gathered_);
            reader_->finish();
            if (parts_ != requested_.size()) {
                throw codec::decode_error("the answer has " + std::to_string(parts_) + " parts for " +
                                          std::to_string(requested_.size()) + " files");
            }
            on_complete();
        });
    }

protected:
    ~multipart_download() override = default;

    /// The head of a successful answer.
    virtual void on_answer(const response_head& head) = 0;
    /// The part of requested()[current()] begins. Returns how many decoded bytes it may have.
    virtual std::uint64_t on_file(const codec::part_headers& headers) = 0;
    virtual void on_content(std::string_view data) = 0;
    virtual void on_file_end() = 0;
    /// The whole answer came, well-formed to its end.
    virtual void on_complete() = 0;

    const std::string& file() const { return requested_[parts_ - 1]; }
    std::size_t index() const { return parts_ - 1; }

private:
    // Some HTTP libraries hand over 4 to 16 KiB at a time; decoders and the disk are a third faster with larger pieces.
    void gather(std::string_view data) {
        if (gathered_.empty() && data.size() >= piece_size / 4) {
            decoded([&] { reader_->feed(data); });
            return;
        }
        if (gathered_.capacity() < piece_size) gathered_.reserve(piece_size);
        while (!data.empty()) {
            const std::size_t count = (std::min)(data.size(), piece_size - gathered_.size());
            gathered_.append(data.data(), count);
            data.remove_prefix(count);
            if (gathered_.size() < piece_size) return;
            decoded([this] { reader_->feed(gathered_); });
            gathered_.clear();
        }
    }

    template <class Work>
    void decoded(Work&& work) const {
        try {
            work();
        } catch (const codec::decode_error& e) {
            const std::string at = in_part_ ? codec::printable(file()) + ": " : std::string();
            throw client_error(error_kind::protocol, "the download is not usable: " + at + e.what(),
                               client_error::progress::maybe_sent);
        } catch (const client_error& e) {
            throw e.after_sending(); // the local disk's, of a call that has its answer
        }
    }

    void on_part_begin(const codec::part_headers& headers) override {
        if (parts_ == requested_.size()) throw codec::decode_error("the answer has more parts than files asked for");
        ++parts_;
        in_part_ = true;
        const std::uint64_t limit = on_file(headers);
        decoder_.emplace(headers.content_encoding(), limit);
    }
    void on_data(std::string_view data) override {
        decoder_->feed(data, [this](std::string_view plain) { on_content(plain); });
    }
    void on_part_end() override {
        decoder_->finish();
        decoder_.reset();
        on_file_end();
        in_part_ = false;
    }

    static constexpr std::size_t piece_size = 128 * 1024;

    std::vector<std::string> requested_;
    std::string gathered_;
    std::unique_ptr<codec::multipart_reader> reader_;
    std::optional<part_decoder<>> decoder_;
    std::size_t parts_ = 0;
    bool in_part_ = false;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
