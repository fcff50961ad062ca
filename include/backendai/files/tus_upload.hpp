/// @file
/// One file to a storage proxy, by the TUS protocol (1.0.0, without creation): pieces appended at an offset that the
/// server knows, so that what was interrupted goes on there.
#ifndef BACKENDAI_FILES_TUS_UPLOAD_HPP
#define BACKENDAI_FILES_TUS_UPLOAD_HPP

#include <backendai/codec/byte_source.hpp>
#include <backendai/codec/date.hpp>
#include <backendai/codec/printable.hpp>
#include <backendai/error.hpp>
#include <backendai/files/io_error.hpp>
#include <backendai/files/progress.hpp>
#include <backendai/files/storage_ticket.hpp>
#include <backendai/files/transfer_scope.hpp>
#include <backendai/files/upload_journal.hpp>
#include <backendai/files/upload_list.hpp>
#include <backendai/os/file.hpp>
#include <backendai/pipeline.hpp>
#include <backendai/version.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// A part of a local file as the body of a request. Tells how far it was read.
template <class = void>
class file_slice final : public codec::byte_source {
public:
    /// @param on_read gets how many bytes more, or fewer after a rewind, were read
    file_slice(const std::filesystem::path& path, const file_identity& identity, std::uint64_t begin,
               std::uint64_t size, std::function<void(std::int64_t)> on_read)
        : path_(path), identity_(identity), begin_(begin), size_(size), on_read_(std::move(on_read)) {}

    std::uint64_t size() const override { return size_; }
    std::size_t read(char* buffer, std::size_t capacity) override {
        const auto most = static_cast<std::size_t>((std::min)(std::uint64_t{capacity}, size_ - position_));
        if (most == 0) return 0;
        const std::size_t count = with_io_errors(path_, [&] {
            if (!file_.is_open()) {
                file_ = os::open_for_reading(path_);
                file_.seek(begin_);
            }
            // Each time: what was sent cannot be taken back, and a file of two halves is worse than none.
            if (identity_of(file_) != identity_) io_failure(path_, "it changed while it was sent");
            return file_.read(buffer, most);
        });
        if (count == 0) io_failure(path_, "it changed while it was sent");
        position_ += count;
        on_read_(static_cast<std::int64_t>(count));
        return count;
    }
    void rewind() override {
        file_ = os::open_file();
        if (position_ != 0) on_read_(-static_cast<std::int64_t>(position_));
        position_ = 0;
    }

private:
    const std::filesystem::path& path_;
    const file_identity& identity_;
    std::uint64_t begin_, size_, position_ = 0;
    std::function<void(std::int64_t)> on_read_;
    os::open_file file_;
};

/// How an upload gets its tickets, and one to look at the result.
struct storage_tickets {
    std::function<storage_ticket(const std::string& name, std::uint64_t size)> for_upload;
    std::function<storage_ticket(const std::string& name)> for_download;
};

/// Sends one file. The server's word on the offset is checked against what was sent: never is more than the file sent,
/// and nothing again that the server has acknowledged.
template <class = void>
class tus_upload {
public:
    tus_upload(const transfer_scope& scope, const storage_tickets& tickets, const upload_entry& entry,
               std::uint64_t chunk_size, upload_journal<>* journal, transfer_meter& meter)
        : scope_(scope), tickets_(tickets), entry_(entry), chunk_size_(chunk_size), journal_(journal), meter_(meter) {}

    void run() {
        identity_ = with_io_errors(entry_.path, [this] { return identity_of(os::open_for_reading(entry_.path)); });
        if (identity_.size != entry_.size) io_failure(entry_.path, "it changed while it was sent");
        std::optional<storage_ticket> begun;
        if (journal_ != nullptr) {
            if (journal_->is_done(entry_.name, entry_.path, identity_)) return meter_.add(entry_.name, size());
            begun = journal_->find(entry_.name, entry_.path, identity_);
        }
        is_resumed_ = begun.has_value();
        ticket_ = begun ? std::move(*begun) : new_ticket();
        for (int beginnings = 1; !send(); ++beginnings) {
            if (beginnings == 3) std::rethrow_exception(lost_);
            is_resumed_ = false;
            ticket_ = new_ticket();
        }
        if (journal_ != nullptr) journal_->note_done(entry_.name, entry_.path, identity_);
    }

private:
    std::uint64_t size() const { return identity_.size; }

    storage_ticket new_ticket() {
        storage_ticket ticket = tickets_.for_upload(entry_.name, size());
        // A file of one piece is sent again as a whole in any case.
        if (journal_ != nullptr && size() > chunk_size_)
            journal_->note_begin(entry_.name, entry_.path, identity_, ticket);
        return ticket;
    }

    // Whether the file arrived; false when the server does not know the upload any more (see lost_).
    bool send() {
        std::uint64_t offset = 0;                          // what the server has acknowledged
        std::uint64_t in_doubt = is_resumed_ ? size() : 0; // how much may have arrived behind that
        bool must_ask = is_resumed_;
        int failures = 0;                      // in a row, without a byte of progress
        storage_call(scope_, ticket_, "HEAD"); // fails for a URL that is none
        set_position(0);
        for (;;) {
            std::uint64_t piece = 0;
            try {
                if (must_ask) {
                    const std::uint64_t told = ask();
                    check_offset(told, offset, offset + in_doubt);
                    if (told > offset) failures = 0;
                    offset = told;
                    set_position(offset);
                    must_ask = false;
                    was_asked_ = true;
                }
                in_doubt = 0;
                piece = (std::min)(chunk_size_, size() - offset);
                const std::uint64_t told = append(offset, piece);
                if (told > offset + piece && was_asked_) {
                    // Bytes of the connection before came late, between the question and this piece.
                    return lost("the storage proxy has put two pieces over each other");
                }
                check_offset(told, offset, offset + piece);
                if (told == size()) {
                    set_position(told);
                    if (size() == 0) meter_.add(entry_.name, 0);
                    return true;
                }
                failures = told > offset ? 0 : failures + 1;
                if (failures >= scope_.max_attempts())
                    broken("the storage proxy does not take anything of " + codec::printable(entry_.name));
                offset = told;
                set_position(offset);
            } catch (const api_error& e) {
                if (e.status() == 404) {
                    // Unknown, or complete: which of the two is to be seen at the file.
                    const bool may_be_whole = offset + (std::max)(piece, in_doubt) == size();
                    if (may_be_whole && is_there()) {
                        set_position(size());
                        return true;
                    }
                    return lost(std::current_exception());
                }
                // The answer to a question has no body that would say so.
                const bool is_of_token = must_ask || tells_of_token(e);
                if (e.status() == 400 && is_of_token && (offset != 0 || is_resumed_)) {
                    return lost(std::current_exception()); // its time is over
                }
                const bool is_conflict = e.status() == 409;
                if (is_conflict ? ++failures >= scope_.max_attempts() : !scope_.wait_for_retry(e, ++failures)) throw;
                in_doubt = (std::max)(in_doubt, piece);
                must_ask = true;
            } catch (const client_error& e) {
                if (is_broken_ || !scope_.wait_for_retry(e, ++failures)) throw;
                in_doubt = (std::max)(in_doubt, piece);
                must_ask = true;
            }
        }
    }

    // The offset of the next byte. Asked until two answers agree: the server may still work on what came before the
    // connection was lost.
    std::uint64_t ask() {
        std::optional<std::uint64_t> before;
        for (int tries = 0; tries < 100; ++tries) {
            call what = storage_call(scope_, ticket_, "HEAD");
            what.headers = {{"Tus-Resumable", "1.0.0"}};
            const std::uint64_t told = read_offset(scope_.perform(std::move(what)));
            if (told == before) return told;
            before = told;
            scope_.wait(std::chrono::milliseconds(50));
        }
        return broken("the storage proxy's offset does not come to rest");
    }

    std::uint64_t append(std::uint64_t offset, std::uint64_t piece) {
        call what = storage_call(scope_, ticket_, "PATCH");
        what.headers = {{"Tus-Resumable", "1.0.0"},
                        {"Upload-Offset", std::to_string(offset)},
                        {"Content-Type", "application/offset+octet-stream"}};
        if (piece != 0) {
            what.source = std::make_shared<file_slice<>>(entry_.path, identity_, offset, piece,
                                                         [this](std::int64_t bytes) { count(bytes); });
        }
        return read_offset(scope_.perform_once(std::move(what)));
    }

    std::uint64_t read_offset(const response& answer) {
        std::optional<std::uint64_t> offset;
        std::optional<std::uint64_t> length;
        try {
            offset = size_header(answer.headers(), "Upload-Offset");
            length = size_header(answer.headers(), "Upload-Length");
        } catch (const client_error&) {
            is_broken_ = true;
            throw;
        }
        if (!offset) broken("the storage proxy does not tell the offset");
        if (length && *length != size()) broken("the storage proxy expects another size than was announced");
        return *offset;
    }

    void check_offset(std::uint64_t told, std::uint64_t least, std::uint64_t most) {
        if (told >= least && told <= most) return;
        broken("the storage proxy's offset is " + std::to_string(told) + ", which is not between " +
               std::to_string(least) + " and " + std::to_string(most));
    }

    // Not to be tried again.
    [[noreturn]] std::uint64_t broken(const std::string& why) {
        is_broken_ = true;
        bad_answer(why);
    }

    bool lost(const char* why) {
        return lost(
            std::make_exception_ptr(client_error(error_kind::protocol, why, client_error::progress::maybe_sent)));
    }
    bool lost(std::exception_ptr why) {
        lost_ = std::move(why);
        was_asked_ = false;
        return false;
    }

    static bool tells_of_token(const api_error& failure) {
        return failure.data().is_object() && failure.data().contains("token");
    }

    // Whether the file on the server is this one: by its size, by the end of its content, and by having been written
    // since the ticket was issued, all by the servers' clocks.
    bool is_there() {
        const auto issued = codec::parse_http_date(ticket_.issued);
        const std::uint64_t tail = (std::min)(size(), std::uint64_t{64} * 1024);
        if (!issued || tail == 0) return false;
        call what = storage_call(scope_, tickets_.for_download(entry_.name), "GET");
        what.headers = {{"Range", "bytes=" + std::to_string(size() - tail) + '-'}};
        std::string content;
        what.receiver = [&content, tail](std::string_view data) {
            if (content.size() <= tail) content += data;
        };
        try {
            const response answer = scope_.perform(std::move(what));
            const auto range = parse_content_range(answer.headers().get("Content-Range"));
            const auto modified = codec::parse_http_date(answer.headers().get("Last-Modified"));
            if (answer.status() != 206 || !range || range->size != size() || range->first != size() - tail || !modified)
                return false;
            // Headers tell whole seconds, and clocks of one cluster differ a little.
            return *modified + std::chrono::seconds(2) >= *issued && content == read_end(tail);
        } catch (const api_error&) {
            return false; // no such file, or shorter
        }
    }
    std::string read_end(std::uint64_t bytes) {
        file_slice<> slice(entry_.path, identity_, size() - bytes, bytes, [](std::int64_t) {});
        std::string content(static_cast<std::size_t>(bytes), '\0');
        for (std::size_t at = 0; at < content.size();) at += slice.read(&content[at], content.size() - at);
        return content;
    }

    // --- progress ----------------------------------------------------------------------------------------------------

    void count(std::int64_t bytes) {
        if (bytes < 0) {
            meter_.take_back(static_cast<std::uint64_t>(-bytes));
            position_ -= static_cast<std::uint64_t>(-bytes);
        } else {
            position_ += static_cast<std::uint64_t>(bytes);
            meter_.add(entry_.name, static_cast<std::uint64_t>(bytes));
        }
    }
    void set_position(std::uint64_t position) {
        if (position < position_) {
            meter_.take_back(position_ - position);
        } else if (position > position_) {
            meter_.add(entry_.name, position - position_);
        }
        position_ = position;
    }

    const transfer_scope& scope_;
    const storage_tickets& tickets_;
    const upload_entry& entry_;
    std::uint64_t chunk_size_;
    upload_journal<>* journal_;
    transfer_meter& meter_;
    file_identity identity_;
    storage_ticket ticket_;
    std::uint64_t position_ = 0; // as the meter has been told
    std::exception_ptr lost_;
    bool is_resumed_ = false, was_asked_ = false, is_broken_ = false;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
