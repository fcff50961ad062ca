/// @file
/// A file of the local disk as the content of a request, read while it is sent.
#ifndef BACKENDAI_FILES_FILE_SOURCE_HPP
#define BACKENDAI_FILES_FILE_SOURCE_HPP

#include <backendai/codec/byte_source.hpp>
#include <backendai/files/io_error.hpp>
#include <backendai/files/progress.hpp>
#include <backendai/os/file.hpp>
#include <backendai/version.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN

/// A regular file, opened when it is first read and closed at its end, so that a request of many files needs one
/// descriptor. Failures, and a size that is not the announced one any more, are client_error{io}. Not thread-safe.
class file_source final : public codec::byte_source {
public:
    /// @throws client_error{io} when there is no such regular file or it cannot be read.
    template <class = void>
    explicit file_source(std::filesystem::path path) : path_(std::move(path)) {
        size_ = detail::with_io_errors(path_, [&] { return os::open_for_reading(path_).size(); });
    }
    /// With a size that is known from a listing; the file is looked at when it is read.
    file_source(std::filesystem::path path, std::uint64_t size) : path_(std::move(path)), size_(size) {}

    std::uint64_t size() const override { return size_; }

    std::size_t read(char* buffer, std::size_t capacity) override {
        if (ended_ || capacity == 0) return 0;
        return detail::with_io_errors(path_, [&]() -> std::size_t {
            if (!file_.is_open()) {
                file_ = os::open_for_reading(path_);
                if (file_.size() != size_) changed();
            }
            const std::size_t count = file_.read(buffer, capacity);
            position_ += count;
            if (position_ > size_ || (count == 0 && position_ < size_)) changed();
            if (count == 0) {
                file_ = os::open_file();
                ended_ = true;
            }
            return count;
        });
    }

    void rewind() override {
        file_ = os::open_file();
        position_ = 0;
        ended_ = false;
    }

private:
    template <class = void>
    [[noreturn]] void changed() const {
        detail::io_failure(path_, "its size changed while it was sent");
    }

    std::filesystem::path path_;
    std::uint64_t size_ = 0, position_ = 0;
    os::open_file file_;
    bool ended_ = false;
};

namespace detail {

/// Passes a source on and counts what is read from it.
template <class = void>
class metered_source final : public codec::byte_source {
public:
    metered_source(std::shared_ptr<codec::byte_source> source, std::string name, std::shared_ptr<transfer_meter> meter)
        : source_(std::move(source)), name_(std::move(name)), meter_(std::move(meter)) {}

    std::uint64_t size() const override { return source_->size(); }
    std::size_t read(char* buffer, std::size_t capacity) override {
        const std::size_t count = source_->read(buffer, capacity);
        counted_ += count;
        const bool empty_file = count == 0 && counted_ == 0; // it is to be seen once, too
        if (count != 0 || empty_file) meter_->add(name_, count);
        return count;
    }
    void rewind() override {
        source_->rewind();
        meter_->take_back(counted_);
        counted_ = 0;
    }

private:
    std::shared_ptr<codec::byte_source> source_;
    std::string name_;
    std::shared_ptr<transfer_meter> meter_;
    std::uint64_t counted_ = 0;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
