/// @file
/// The body of a virtual folder download, made while it is read: files of any size in little memory.
#ifndef BACKENDAI_TESTING_GATEWAY_FOLDER_DOWNLOAD_HPP
#define BACKENDAI_TESTING_GATEWAY_FOLDER_DOWNLOAD_HPP

#include <backendai/codec/gzip.hpp>
#include <backendai/codec/multipart_writer.hpp>
#include <backendai/codec/url.hpp>
#include <backendai/os/file.hpp>
#include <backendai/testing/gateway_files.hpp>
#include <backendai/version.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// multipart/mixed with a part for each file, compressed on its own, named by its percent-encoded base name. One
/// thread.
class folder_download {
public:
    /// @param encoding gzip, deflate (raw) or identity
    folder_download(std::vector<std::filesystem::path> files, std::string encoding, file_lie lie)
        : files_(std::move(files)), encoding_(std::move(encoding)), lie_(lie), buffer_(64 * 1024) {
        for (const auto& file : files_) total_ += std::filesystem::file_size(file);
        if (lie_ == file_lie::missing_part && !files_.empty()) files_.pop_back();
        if (lie_ == file_lie::additional_part && !files_.empty()) files_.push_back(files_.back());
    }

    const std::string& boundary() const { return boundary_; }
    std::uint64_t announced_total() const {
        if (lie_ == file_lie::total_too_large) return total_ + 1;
        return lie_ == file_lie::total_too_small && total_ > 0 ? total_ - 1 : total_;
    }

    /// Up to @p capacity bytes of the body; 0 at its end.
    std::size_t read(char* buffer, std::size_t capacity) {
        while (position_ == pending_.size() && next_ <= files_.size() && !ended_) produce();
        const std::size_t count = (std::min)(capacity, pending_.size() - position_);
        std::memcpy(buffer, pending_.data() + position_, count);
        position_ += count;
        return count;
    }

private:
    void produce() {
        pending_.clear();
        position_ = 0;
        if (!file_.is_open()) {
            begin_part();
            return;
        }
        const bool bomb = lie_ == file_lie::bomb;
        const std::size_t count = bomb ? bomb_piece() : file_.read(buffer_.data(), buffer_.size());
        const bool cut = lie_ == file_lie::truncated_part && next_ == files_.size();
        if (count == 0 || cut) {
            if (count != 0) put({buffer_.data(), count / 2});
            end_part(cut);
        } else {
            put({buffer_.data(), count});
        }
    }

    void begin_part() {
        if (next_ == files_.size()) {
            pending_ = "--" + boundary_ + "--\r\n";
            ended_ = true;
            return;
        }
        const std::filesystem::path& path = files_[next_++];
        file_ = os::open_for_reading(path);
        bomb_left_ = std::uint64_t{256} << 20;
        std::string name = codec::escape_segment(path.filename().string());
        if (lie_ == file_lie::traversal_name) name = "..%2F..%2Fescaped";
        if (lie_ == file_lie::absolute_name) name = "%2Ftmp%2Fescaped";
        pending_ = "--" + boundary_ + "\r\nContent-Type: application/octet-stream\r\nContent-Encoding: " + encoding_ +
                   "\r\nContent-Disposition: attachment; filename=\"" + name + "\"\r\n\r\n";
        encoder_.reset();
        if (encoding_ != "identity") {
            encoder_.emplace(encoding_ == "deflate" ? codec::deflate_format::raw : codec::deflate_format::gzip, 1);
        }
    }

    void put(std::string_view data) {
        if (encoder_) {
            encoder_->feed(data, [this](std::string_view piece) { pending_ += piece; });
        } else {
            pending_ += data;
        }
    }

    void end_part(bool cut) {
        if (encoder_ && !cut) encoder_->finish([this](std::string_view piece) { pending_ += piece; });
        pending_ += "\r\n";
        file_ = os::open_file();
    }

    std::size_t bomb_piece() {
        const auto count = static_cast<std::size_t>((std::min)(std::uint64_t{buffer_.size()}, bomb_left_));
        std::fill_n(buffer_.begin(), count, '\0');
        bomb_left_ -= count;
        return count;
    }

    std::vector<std::filesystem::path> files_;
    std::string encoding_, boundary_ = codec::make_boundary();
    file_lie lie_;
    std::uint64_t total_ = 0, bomb_left_ = 0;
    std::size_t next_ = 0; // the file after the present one
    os::open_file file_;
    std::optional<codec::deflate_encoder> encoder_;
    std::vector<char> buffer_;
    std::string pending_;
    std::size_t position_ = 0;
    bool ended_ = false;
};

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
