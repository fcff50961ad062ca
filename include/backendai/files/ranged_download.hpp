/// @file
/// One file from a storage proxy: what is interrupted goes on where it stopped, if the file is still the same.
#ifndef BACKENDAI_FILES_RANGED_DOWNLOAD_HPP
#define BACKENDAI_FILES_RANGED_DOWNLOAD_HPP

#include <backendai/codec/decode_error.hpp>
#include <backendai/codec/digest.hpp>
#include <backendai/codec/json.hpp>
#include <backendai/codec/path_rules.hpp>
#include <backendai/codec/printable.hpp>
#include <backendai/error.hpp>
#include <backendai/files/destination.hpp>
#include <backendai/files/progress.hpp>
#include <backendai/files/storage_ticket.hpp>
#include <backendai/files/transfer_scope.hpp>
#include <backendai/http.hpp>
#include <backendai/pipeline.hpp>
#include <backendai/version.hpp>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// What a server says of the state that a file is in.
struct file_validators {
    std::string etag, last_modified;
    std::uint64_t size = 0;

    /// Whether a part of this state can be told from a part of another.
    template <class = void>
    bool are_usable() const {
        return !last_modified.empty() && (etag.empty() || etag.compare(0, 2, "W/") != 0);
    }
    friend bool operator==(const file_validators& a, const file_validators& b) {
        return a.etag == b.etag && a.last_modified == b.last_modified && a.size == b.size;
    }
    friend bool operator!=(const file_validators& a, const file_validators& b) { return !(a == b); }
};

/// Fetches one file into a destination that is ready to stage it.
template <class = void>
class ranged_download {
public:
    /// The first answer says that this is no file: a directory, perhaps.
    struct not_a_file {
        api_error refusal;
    };

    /// @param ticket asks for a ticket; asked anew for each request, as tokens grow old
    ranged_download(const transfer_scope& scope, std::function<storage_ticket()> ticket, destination<>& target,
                    destination<>::components name, std::optional<file_metadata> metadata, transfer_meter& meter)
        : scope_(scope),
          ticket_(std::move(ticket)),
          target_(target),
          name_(std::move(name)),
          shown_(codec::join_path(name_)),
          metadata_(metadata),
          meter_(meter) {}

    /// More bytes than this are an error.
    void set_limit(std::uint64_t bytes) { limit_ = bytes; }
    /// The whole size is told to the meter as its total when it is known.
    void tells_total() { tells_total_ = true; }
    /// Keeps what has come when the download fails, for a later one with the same key.
    /// @param key names what is downloaded, wherever it goes: endpoint, folder and path
    void keep_parts(const std::string& key) {
        const std::string digest = codec::to_hex(codec::digest("sha256", key)).substr(0, 24);
        part_ = ".backendai-" + digest + ".part";
        note_ = ".backendai-" + digest + ".json";
    }

    /// Returns when the file is whole and has its name.
    /// @throws not_a_file when nothing was staged and the server does not give it out as a file; api_error;
    /// client_error
    void run() {
        go_on_with_part();
        int failures = 0; // in a row, without a byte
        int changes = 0;  // of the file on the server
        for (bool whole = false; !whole;) {
            try {
                whole = fetch();
            } catch (const other_state&) {
                if (++changes > most_changes) broken("the file changes while it is downloaded");
                begin_anew();
            } catch (const api_error& e) {
                if (e.status() == 416 && offset_ != 0) {
                    if (++changes > most_changes) broken("the file changes while it is downloaded");
                    begin_anew();
                    continue;
                }
                if (e.status() == 400 && offset_ == 0 && !is_staged_) throw not_a_file{e};
                if (!scope_.wait_for_retry(e, ++failures)) throw;
            } catch (const client_error& e) {
                if (offset_ > furthest_) failures = 0;
                furthest_ = (std::max)(furthest_, offset_);
                if (is_broken_ || !scope_.wait_for_retry(e, ++failures)) throw;
            }
        }
        target_.end_file();
        target_.commit_files();
        if (!note_.empty()) target_.remove_note(name_, note_);
    }

private:
    static constexpr int most_changes = 3;
    struct other_state {};

    void go_on_with_part() {
        if (!part_.empty()) known_ = read_note();
        if (!known_) return;
        offset_ = target_.begin_kept_file(name_, part_, metadata_);
        is_staged_ = true;
        known_ = read_note(); // again: until now another download may have been at it
        const std::uint64_t size = known_ ? known_->size : 0;
        // The server has nothing to say of a range that begins at the end; so the last byte comes again.
        if (offset_ != 0 && offset_ == size) --offset_;
        if (offset_ > size) offset_ = 0;
        target_.cut_file(offset_);
        if (offset_ != 0) meter_.add(shown_, offset_);
    }
    void begin_anew() {
        meter_.take_back(offset_);
        offset_ = 0;
        known_.reset();
        if (part_.empty()) {
            target_.begin_file(name_, metadata_);
        } else {
            if (!is_staged_) target_.begin_kept_file(name_, part_, metadata_);
            target_.remove_note(name_, note_); // it is of what was there, not of what comes
            target_.cut_file(0);
        }
        is_staged_ = true;
    }

    // One request. Whether the file is whole after it.
    bool fetch() {
        if (offset_ != 0 && !(known_ && known_->are_usable())) begin_anew();
        call what = storage_call(scope_, ticket_(), "GET");
        asked_from_ = offset_;
        if (offset_ != 0) {
            what.headers.add("Range", "bytes=" + std::to_string(offset_) + '-');
            // A date: some servers take an entity tag here for no condition at all.
            what.headers.add("If-Range", known_->last_modified);
        }
        what.on_head = [this](const response_head& head) { judge(head); };
        what.receiver = [this](std::string_view data) { take(data); };
        scope_.perform_once(std::move(what));
        if (length_ && offset_ != *length_) broken("it is not as long as announced");
        return true;
    }

    void judge(const response_head& head) {
        const std::string* coding = head.headers.find("Content-Encoding");
        if (coding != nullptr && *coding != "identity") broken("the content is encoded, which nobody asked for");
        if (head.status == 206) {
            judge_part(head);
        } else if (head.status == 200) {
            // Nothing was asked for but the whole, or the file is another one now.
            checked([&] { begin_anew(); });
            length_ = checked([&] { return size_header(head.headers, "Content-Length"); });
            if (length_) known_ = validators_of(head, *length_);
            if (!note_.empty() && known_ && known_->are_usable()) write_note();
        } else {
            broken("status " + std::to_string(head.status) + " is no answer to a download");
        }
        if (length_ && *length_ > limit_) broken("it has " + std::to_string(*length_) + " bytes, max_bytes is less");
        if (length_ && tells_total_) meter_.set_total(*length_);
        meter_.add(shown_, 0); // an empty file is to be seen once, too
    }

    void judge_part(const response_head& head) {
        const auto range = parse_content_range(head.headers.get("Content-Range"));
        if (asked_from_ == 0 || !range || range->first != offset_ || range->last + 1 != range->size)
            broken("the part that comes is not the one that was asked for");
        if (validators_of(head, range->size) != *known_) throw other_state();
        length_ = range->size;
    }

    static file_validators validators_of(const response_head& head, std::uint64_t size) {
        return {head.headers.get("ETag"), head.headers.get("Last-Modified"), size};
    }

    void take(std::string_view data) {
        if (data.size() > limit_ - (std::min)(limit_, offset_)) broken("it has more bytes than max_bytes");
        if (length_ && data.size() > *length_ - offset_) broken("it has more bytes than announced");
        checked([&] { target_.write(data); });
        offset_ += data.size();
        meter_.add(shown_, data.size());
    }

    // The local disk's failures, of a call that has its answer; and what is not to be tried again.
    template <class Work>
    auto checked(Work&& work) -> decltype(work()) {
        try {
            return work();
        } catch (const client_error& e) {
            is_broken_ = true;
            throw e.after_sending();
        }
    }
    [[noreturn]] void broken(const std::string& why) {
        is_broken_ = true;
        throw client_error(error_kind::protocol, "the download is not usable: " + codec::printable(shown_) + ": " + why,
                           client_error::progress::maybe_sent);
    }

    std::optional<file_validators> read_note() {
        const auto text = target_.read_note(name_, note_);
        if (!text) return {};
        try {
            const json note = codec::parse_json(*text);
            return file_validators{note.at("etag").get<std::string>(), note.at("last_modified").get<std::string>(),
                                   note.at("size").get<std::uint64_t>()};
        } catch (const codec::decode_error&) {
            return {}; // half written by a program that was killed
        } catch (const json::exception&) {
            return {};
        }
    }
    void write_note() {
        const json note = {{"etag", known_->etag}, {"last_modified", known_->last_modified}, {"size", known_->size}};
        checked([&] { target_.write_note(name_, note_, note.dump(-1, ' ', false, json::error_handler_t::replace)); });
    }

    const transfer_scope& scope_;
    std::function<storage_ticket()> ticket_;
    destination<>& target_;
    destination<>::components name_;
    std::string shown_, part_, note_;
    std::optional<file_metadata> metadata_;
    transfer_meter& meter_;
    std::uint64_t limit_ = (std::numeric_limits<std::uint64_t>::max)();
    std::optional<file_validators> known_; // of the state that the staged bytes are from
    std::optional<std::uint64_t> length_;  // of the whole file
    std::uint64_t offset_ = 0, asked_from_ = 0;
    std::uint64_t furthest_ = 0; // that an attempt has come: only what goes beyond is progress
    bool is_staged_ = false, is_broken_ = false, tells_total_ = false;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
