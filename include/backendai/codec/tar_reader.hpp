/// @file
/// A push parser for tar archives: feed it pieces of any size, it calls a handler.
#ifndef BACKENDAI_CODEC_TAR_READER_HPP
#define BACKENDAI_CODEC_TAR_READER_HPP

#include <backendai/codec/decode_error.hpp>
#include <backendai/codec/printable.hpp>
#include <backendai/codec/tar_format.hpp>
#include <backendai/codec/tar_pax.hpp>
#include <backendai/version.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// What a tar_reader calls. Whatever a function throws leaves feed(), and the reader takes nothing any more.
class tar_handler {
public:
    virtual ~tar_handler() = default;
    /// An entry begins; `entry` is valid during the call only.
    virtual void on_entry(const tar_entry& entry) = 0;
    /// More of the entry's content, never empty; the bytes are valid during the call only.
    virtual void on_data(std::string_view data) = 0;
    /// The entry is complete.
    virtual void on_entry_end() = 0;
};

/// What a tar_reader accepts.
struct tar_limits {
    std::size_t name_bytes = 32 * 1024;      ///< of a name or link target
    std::size_t extended_bytes = 256 * 1024; ///< of one pax header
    std::uint64_t entries = 10'000'000;      ///< of one archive
};

/// Reads ustar, pax, GNU and old v7 archives.
///
/// Refused with a clear error: sparse files; entry types that are neither POSIX's nor GNU long names (POSIX would have
/// them read as regular files, but what a vendor meant by its own type is not known, and a directory dump or a volume
/// label extracted as a file is a wrong result that looks right); content on anything but regular files (readers
/// disagree on whether it is there); repeated long names or extended headers for one entry; an archive that does not
/// end in two zero blocks, or has something other than zeros after them.
/// Memory: one block and one extended header. Content is handed on in place. Not thread-safe.
class tar_reader {
public:
    /// @param handler must outlive the reader
    explicit tar_reader(tar_handler& handler, tar_limits limits = {}) : handler_(handler), limits_(limits) {}

    /// Takes the next bytes of the archive. @throws decode_error when they are malformed or beyond a limit.
    template <class = void>
    void feed(std::string_view bytes) {
        if (failed_) throw decode_error("tar: data after an error");
        failed_ = true; // until the end of this call: also when the handler throws
        while (!bytes.empty()) {
            switch (state_) {
            case state::header: bytes.remove_prefix(take_header(bytes)); break;
            case state::content: bytes.remove_prefix(take_content(bytes)); break;
            case state::extension: bytes.remove_prefix(take_extension(bytes)); break;
            case state::padding: bytes.remove_prefix(take_padding(bytes)); break;
            case state::after_end:
                if (!detail::all_zero(bytes)) throw decode_error("tar: something follows the end of the archive");
                bytes = {};
                break;
            }
        }
        failed_ = false;
    }

    /// Says that the archive is over. @throws decode_error when its end (two zero blocks) has not come.
    template <class = void>
    void finish() {
        if (failed_) throw decode_error("tar: the archive ends after an error");
        if (state_ == state::after_end) return;
        failed_ = true;
        throw decode_error(entry_.name.empty()
                               ? std::string("tar: the archive is truncated")
                               : "tar: the archive is truncated after or in entry " + printable(entry_.name));
    }

    /// Whether the end of the archive has come.
    bool ended() const noexcept { return state_ == state::after_end; }

private:
    enum class state { header, content, extension, padding, after_end };

    template <class = void>
    std::size_t take_header(std::string_view bytes) {
        if (block_.empty() && bytes.size() >= detail::tar_block_size) {
            read_header(bytes.substr(0, detail::tar_block_size));
            return detail::tar_block_size;
        }
        const std::size_t count = (std::min)(bytes.size(), detail::tar_block_size - block_.size());
        block_.append(bytes.data(), count);
        if (block_.size() == detail::tar_block_size) {
            read_header(block_);
            block_.clear();
        }
        return count;
    }

    template <class = void>
    void read_header(std::string_view block) {
        if (detail::all_zero(block)) {
            if (pending_long_name_ || pending_long_link_ || pending_pax_)
                throw decode_error("tar: the archive ends after an extended header");
            if (zero_block_) state_ = state::after_end;
            zero_block_ = true;
            return;
        }
        if (zero_block_) throw decode_error("tar: a header follows a lone zero block");
        check_sum(block);
        const std::int64_t size = detail::parse_tar_number(detail::tar_layout::size.of(block), "size");
        if (size < 0) throw decode_error("tar header: the size is negative");
        const char type = block[detail::tar_layout::type.offset];
        if (type == 'L' || type == 'K' || type == 'x' || type == 'g') {
            begin_extension(type, static_cast<std::uint64_t>(size));
        } else {
            begin_entry(block, type, static_cast<std::uint64_t>(size));
        }
    }

    template <class = void>
    static void check_sum(std::string_view block) {
        const std::int64_t stored = detail::parse_tar_number(detail::tar_layout::checksum.of(block), "checksum");
        const detail::tar_checksums sums = detail::sum_tar_header(block);
        if (stored != sums.of_unsigned && stored != sums.of_signed)
            throw decode_error("tar header: the checksum is wrong (not a tar archive, or damaged)");
    }

    // GNU long names and link targets, pax headers for the next entry or for all that follow.
    template <class = void>
    void begin_extension(char type, std::uint64_t size) {
        const bool repeated =
            (type == 'L' && pending_long_name_) || (type == 'K' && pending_long_link_) || (type == 'x' && pending_pax_);
        if (repeated) throw decode_error("tar: an entry has two extended headers of one kind");
        const bool pax = type == 'x' || type == 'g';
        if (size > (pax ? limits_.extended_bytes : limits_.name_bytes))
            throw decode_error("tar: an extended header or long name is longer than the limit");
        extension_type_ = type;
        extension_.clear();
        left_ = size;
        padding_ = detail::tar_padding(size);
        state_ = state::extension;
        if (left_ == 0) end_extension();
    }

    template <class = void>
    std::size_t take_extension(std::string_view bytes) {
        const auto count = static_cast<std::size_t>((std::min)(std::uint64_t{bytes.size()}, left_));
        extension_.append(bytes.data(), count);
        left_ -= count;
        if (left_ == 0) end_extension();
        return count;
    }

    template <class = void>
    void end_extension() {
        state_ = padding_ == 0 ? state::header : state::padding;
        if (extension_type_ == 'g') {
            detail::parse_pax_records(extension_, true, global_);
        } else if (extension_type_ == 'x') {
            pending_pax_.emplace();
            detail::parse_pax_records(extension_, false, *pending_pax_);
        } else {
            const std::string_view text = detail::tar_text(extension_); // GNU tar counts a NUL at its end
            if (text.empty() || !detail::all_zero(std::string_view(extension_).substr(text.size())))
                throw decode_error("tar: a long name is empty or has a NUL byte inside");
            (extension_type_ == 'L' ? pending_long_name_ : pending_long_link_) = std::string(text);
        }
    }

    // pax goes before GNU's long names, and these before the header; of pax the entry's own records before the global.
    template <class = void>
    void begin_entry(std::string_view block, char type, std::uint64_t size) {
        if (++entries_ > limits_.entries) throw decode_error("tar: the archive has too many entries");
        const detail::pax_values own = pending_pax_.value_or(detail::pax_values{});
        entry_ = tar_entry{};
        entry_.name = own.path             ? *own.path
                      : global_.path       ? *global_.path
                      : pending_long_name_ ? *pending_long_name_
                                           : header_name(block);
        if (entry_.name.empty()) throw decode_error("tar: an entry has no name");
        if (entry_.name.size() > limits_.name_bytes)
            throw decode_error("tar: an entry's name is longer than the limit");
        entry_.type = type_of(type);
        entry_.size = own.size ? *own.size : global_.size ? *global_.size : size;
        if (entry_.type == tar_type::regular && entry_.name.back() == '/')
            entry_.type = tar_type::directory; // as in v7
        if (entry_.type == tar_type::hard_link || entry_.type == tar_type::symbolic_link) {
            entry_.link_name = own.link_path       ? *own.link_path
                               : global_.link_path ? *global_.link_path
                               : pending_long_link_
                                   ? *pending_long_link_
                                   : std::string(detail::tar_text(detail::tar_layout::link_name.of(block)));
            if (entry_.link_name.empty()) refuse_entry("is a link to nothing");
            if (entry_.link_name.size() > limits_.name_bytes) refuse_entry("has a link target longer than the limit");
        }
        if (entry_.type != tar_type::regular && entry_.size != 0) refuse_entry("is no regular file and has content");
        entry_.mode =
            static_cast<std::uint32_t>(detail::parse_tar_number(detail::tar_layout::mode.of(block), "mode") & 07777);
        entry_.mtime_seconds = detail::parse_tar_number(detail::tar_layout::mtime.of(block), "time");
        if (const auto& time = own.mtime ? own.mtime : global_.mtime) {
            entry_.mtime_seconds = time->seconds;
            entry_.mtime_nanoseconds = time->nanoseconds;
        }
        pending_long_name_.reset();
        pending_long_link_.reset();
        pending_pax_.reset();
        left_ = entry_.size;
        padding_ = detail::tar_padding(entry_.size);
        state_ = left_ == 0 ? state::header : state::content;
        handler_.on_entry(entry_);
        if (left_ == 0) handler_.on_entry_end();
    }

    template <class = void>
    static std::string header_name(std::string_view block) {
        const std::string_view name = detail::tar_text(detail::tar_layout::name.of(block));
        std::string result;
        if (detail::tar_layout::magic.of(block) == detail::posix_magic) { // GNU has other things in the prefix's place
            result = detail::tar_text(detail::tar_layout::prefix.of(block));
            if (!result.empty() && !name.empty()) result += '/';
        }
        return result.append(name);
    }

    template <class = void>
    tar_type type_of(char type) const {
        switch (type) {
        case '0':
        case '\0':
        case '7': return tar_type::regular; // contiguous: a regular file to whoever does not know better, says POSIX
        case '1': return tar_type::hard_link;
        case '2': return tar_type::symbolic_link;
        case '3': return tar_type::character_device;
        case '4': return tar_type::block_device;
        case '5': return tar_type::directory;
        case '6': return tar_type::fifo;
        case 'S': refuse_entry("is a sparse file, which is not supported");
        default: refuse_entry("is of an unknown type");
        }
    }

    template <class = void>
    [[noreturn]] void refuse_entry(const char* why) const {
        throw decode_error("tar: entry " + printable(entry_.name) + ' ' + why);
    }

    template <class = void>
    std::size_t take_content(std::string_view bytes) {
        const auto count = static_cast<std::size_t>((std::min)(std::uint64_t{bytes.size()}, left_));
        left_ -= count;
        if (left_ == 0) state_ = padding_ == 0 ? state::header : state::padding;
        handler_.on_data(bytes.substr(0, count));
        if (left_ == 0) handler_.on_entry_end();
        return count;
    }

    template <class = void>
    std::size_t take_padding(std::string_view bytes) {
        const auto count = static_cast<std::size_t>((std::min)(std::uint64_t{bytes.size()}, padding_));
        padding_ -= count;
        if (padding_ == 0) state_ = state::header;
        return count;
    }

    tar_handler& handler_;
    tar_limits limits_;
    state state_ = state::header;
    bool failed_ = false;
    bool zero_block_ = false;
    std::string block_;      // of a header that came in pieces
    std::uint64_t left_ = 0; // of the content or extended header
    std::uint64_t padding_ = 0;
    std::uint64_t entries_ = 0;
    char extension_type_ = 0;
    std::string extension_;
    std::optional<std::string> pending_long_name_; // for the next entry
    std::optional<std::string> pending_long_link_;
    std::optional<detail::pax_values> pending_pax_;
    detail::pax_values global_;
    tar_entry entry_;
};

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif
