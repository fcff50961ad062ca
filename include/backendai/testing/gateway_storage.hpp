/// @file
/// The embedded gateway's storage proxy: uploads by TUS and downloads with ranges, at an origin of its own, with tokens
/// that the manager gives out. And the ways in which it can lie.
#ifndef BACKENDAI_TESTING_GATEWAY_STORAGE_HPP
#define BACKENDAI_TESTING_GATEWAY_STORAGE_HPP

#include <backendai/codec/date.hpp>
#include <backendai/codec/url.hpp>
#include <backendai/os/file.hpp>
#include <backendai/testing/gateway_auth.hpp>
#include <backendai/testing/gateway_faults.hpp>
#include <backendai/testing/gateway_files.hpp>
#include <backendai/testing/gateway_http.hpp>
#include <backendai/testing/gateway_router.hpp>
#include <backendai/testing/gateway_sessions.hpp>
#include <backendai/testing/gateway_types.hpp>
#include <backendai/testing/gateway_zip.hpp>
#include <backendai/version.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {

/// How the storage proxy lies, so that clients can be tested against a hostile or broken one.
enum class storage_lie {
    none,
    offset_ahead,    ///< an upload's offset is told one byte too large
    offset_behind,   ///< and one too small
    offset_stuck,    ///< nothing is kept of a chunk, and the offset stays
    offset_missing,  ///< no Upload-Offset
    offset_garbage,  ///< Upload-Offset is no number
    keeps_half,      ///< half of each chunk is kept, and told honestly
    whole_chunks,    ///< a chunk that is cut off is not kept at all; honest otherwise
    wrong_length,    ///< Upload-Length is not the size that was announced
    conflict,        ///< an upload's offset is called wrong (409)
    lost,            ///< no upload session is known (404)
    done_is_lost,    ///< the answer to the last chunk is "no such upload session"
    token_refused,   ///< tokens are called bad (400)
    range_elsewhere, ///< a range begins elsewhere than asked for, and says so
    range_of_other,  ///< the whole that a range is part of is said to be longer
    range_ignored,   ///< 200 and the whole file for a range
    range_refused,   ///< 416 for any range
    new_validators,  ///< ETag and Last-Modified are others each time
    no_validators,   ///< neither of both
    encoded          ///< says that the content is compressed
};

namespace detail {

/// Thread-safe.
class storage_proxy {
public:
    /// @param place where uploads are kept until they are whole
    storage_proxy(const gateway_options& options, fault_list& faults, std::filesystem::path place)
        : options_(options), faults_(faults), place_(std::move(place)) {}

    /// Tokens for one file each, of a folder that lies at @p root.
    std::string make_upload_token(std::filesystem::path root, std::string path, std::uint64_t size) {
        const std::lock_guard<std::mutex> lock(mutex_);
        std::filesystem::create_directories(place_);
        const std::string token = make_token();
        tickets_[token] = {true, std::move(root), std::move(path), random_token(16)};
        upload made;
        made.part = place_ / tickets_[token].upload;
        made.size = size;
        std::ofstream(made.part).close();
        uploads_[tickets_[token].upload] = std::make_shared<upload>(std::move(made));
        return token;
    }
    std::string make_download_token(std::filesystem::path root, std::string path) {
        const std::lock_guard<std::mutex> lock(mutex_);
        const std::string token = make_token();
        tickets_[token] = {false, std::move(root), std::move(path), {}};
        return token;
    }

    /// Its whole table: it shares no path with the manager's.
    void add_to(router& table) {
        const auto bind = [this](http_reply (storage_proxy::*handler)(const gateway_request&)) {
            return [this, handler](const gateway_request& request) {
                http_reply reply = (this->*handler)(request);
                reply.headers.emplace_back("Date", http_date(options_.clock()));
                return reply;
            };
        };
        table.add("HEAD", "/upload", false, bind(&storage_proxy::tell_offset));
        table.add("OPTIONS", "/upload", false, bind(&storage_proxy::describe));
        table.add("PATCH", "/upload", false, bind(&storage_proxy::append));
        table.add("GET", "/download", false, bind(&storage_proxy::download));
        table.add("OPTIONS", "/download", false, [](const gateway_request&) {
            http_reply reply; // what it says to a client that is no browser
            reply.status = 403;
            reply.headers = {{"Content-Type", "text/plain; charset=utf-8"}};
            reply.body = "CORS preflight request failed: origin header is not specified in the request";
            return reply;
        });
    }

    void lie(storage_lie kind, int times) {
        const std::lock_guard<std::mutex> lock(mutex_);
        lie_ = kind;
        lie_times_ = times;
    }
    /// Bytes of file content that have come, whatever became of them.
    std::uint64_t received_bytes() const { return received_; }
    /// Bytes of files that have been taken out of the disk to be sent.
    std::uint64_t sent_bytes() const { return sent_; }
    std::size_t open_uploads() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return uploads_.size();
    }
    /// Makes all tokens bad, as when their time is over.
    void expire_tokens() {
        const std::lock_guard<std::mutex> lock(mutex_);
        tickets_.clear();
    }

    /// "Sun, 06 Nov 1994 08:49:37 GMT"
    static std::string http_date(std::chrono::system_clock::time_point time) {
        const std::string iso = codec::format_date(time); // 1994-11-06T08:49:37.000000+00:00
        static const char* const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                             "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
        static const char* const days[] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
        const auto day = std::chrono::duration_cast<std::chrono::hours>(time.time_since_epoch()).count() / 24;
        const auto month = static_cast<std::size_t>(std::stoi(iso.substr(5, 2)) - 1);
        return std::string(days[day % 7]) + ", " + iso.substr(8, 2) + ' ' + months[month] + ' ' + iso.substr(0, 4) +
               ' ' + iso.substr(11, 8) + " GMT";
    }

private:
    struct ticket {
        bool is_upload = false;
        std::filesystem::path root;
        std::string path;
        std::string upload;
    };
    struct upload {
        std::filesystem::path part;
        std::uint64_t size = 0;
    };

    static std::string make_token() { return "eyJ0eXAiOiJKV1QifQ." + random_token(24) + '.' + random_token(16); }

    static problem storage_problem(int status, const std::string& type, const std::string& title,
                                   nlohmann::json data = nullptr) {
        return {status, "storage/" + type, title,
                data.is_null() ? nlohmann::json() : nlohmann::json{{"data", std::move(data)}}};
    }

    bool lies(storage_lie kind) {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (lie_ != kind || lie_times_ == 0) return false;
        if (lie_times_ > 0) --lie_times_;
        return true;
    }

    ticket ticket_of(const gateway_request& request, bool is_upload) {
        std::string token;
        for (const auto& item : request.query) {
            if (item.first == "token") token = item.second;
        }
        const bool refused = lies(storage_lie::token_refused);
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = tickets_.find(token);
        // It tells the token back, as real ones do.
        if (found == tickets_.end() || refused)
            throw storage_problem(400, "invalid-api-params", "Invalid API parameters", {{"token", token}});
        if (found->second.is_upload != is_upload) {
            const std::string op = is_upload ? "value is not exactly 'upload'" : "value is not exactly 'download'";
            throw storage_problem(400, "invalid-api-params", "Invalid API parameters", {{"token", {{"op", op}}}});
        }
        return found->second;
    }

    // --- uploads -----------------------------------------------------------------------------------------------------

    http_reply describe(const gateway_request& /*request*/) {
        http_reply reply;
        reply.headers = {{"Tus-Resumable", "1.0.0"}, {"Tus-Version", "1.0.0"}, {"Tus-Max-Size", "1099511627776"}};
        return reply;
    }

    std::shared_ptr<upload> upload_of(const ticket& item) {
        const bool lost = lies(storage_lie::lost);
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = uploads_.find(item.upload);
        if (found == uploads_.end() || lost)
            throw storage_problem(404, "no-such-upload-session", "No such upload session");
        return found->second;
    }

    http_reply offset_reply(int status, std::uint64_t offset, std::uint64_t size) {
        http_reply reply;
        reply.status = status;
        if (lies(storage_lie::offset_ahead)) ++offset;
        if (lies(storage_lie::offset_behind) && offset > 0) --offset;
        if (lies(storage_lie::wrong_length)) ++size;
        reply.headers = {{"Cache-Control", "no-store"}, {"Tus-Resumable", "1.0.0"}};
        if (!lies(storage_lie::offset_missing)) {
            reply.headers.emplace_back("Upload-Offset",
                                       lies(storage_lie::offset_garbage) ? "-1x" : std::to_string(offset));
        }
        reply.headers.emplace_back("Upload-Length", std::to_string(size));
        return reply;
    }

    http_reply tell_offset(const gateway_request& request) {
        const std::shared_ptr<upload> item = upload_of(ticket_of(request, true));
        return offset_reply(200, std::filesystem::file_size(item->part), item->size);
    }

    http_reply append(const gateway_request& request) {
        const ticket what = ticket_of(request, true);
        const std::shared_ptr<upload> item = upload_of(what);
        if (options_.storage_checks_offset) {
            const std::string* told = find_header(request.call.headers, "Upload-Offset");
            if (told == nullptr || told->empty() || told->find_first_not_of("0123456789") != std::string::npos)
                throw storage_problem(400, "invalid-api-params", "Invalid API parameters");
            if (std::stoull(*told) != std::filesystem::file_size(item->part))
                throw storage_problem(409, "upload-offset-mismatch", "Upload offset mismatch");
        }
        if (lies(storage_lie::conflict)) throw storage_problem(409, "upload-offset-mismatch", "Upload offset mismatch");
        take_body(request, *item);
        const std::uint64_t offset = std::filesystem::file_size(item->part);
        if (offset >= item->size) {
            finish(what, *item);
            if (lies(storage_lie::done_is_lost))
                throw storage_problem(404, "no-such-upload-session", "No such upload session");
        }
        return offset_reply(204, offset, item->size);
    }

    // Each piece is in the file as soon as it has come, so that it stays when the connection ends.
    void take_body(const gateway_request& request, const upload& item) {
        const auto cut = faults_.take_in_request(request.call.method, "/upload");
        std::uint64_t left = cut ? cut->position : (std::numeric_limits<std::uint64_t>::max)();
        const bool stuck = lies(storage_lie::offset_stuck);
        const bool half = lies(storage_lie::keeps_half);
        const bool whole = lies(storage_lie::whole_chunks);
        std::ofstream file(item.part, std::ios::binary | std::ios::app);
        std::string held; // for those lies
        const auto take = [&](std::string_view data) {
            received_ += data.size();
            if (stuck || half || whole) {
                held += data;
            } else {
                file.write(data.data(), static_cast<std::streamsize>(data.size())).flush();
            }
            if (options_.storage_pace.count() > 0) std::this_thread::sleep_for(options_.storage_pace);
        };
        take(request.call.body);
        std::vector<char> buffer(64 * 1024);
        while (request.call.stream) {
            const auto most = static_cast<std::size_t>((std::min)(std::uint64_t{buffer.size()}, left));
            if (most == 0) throw end_of_connection{};
            const std::size_t count = request.call.stream(buffer.data(), most);
            if (count == 0) break;
            take({buffer.data(), count});
            left -= count;
        }
        if (stuck) held.clear();
        if (half) held.resize((held.size() + 1) / 2);
        file.write(held.data(), static_cast<std::streamsize>(held.size())).flush();
        if (!file) throw problem(500, "internal-server-error", "Internal server error.");
    }

    void finish(const ticket& what, const upload& item) {
        const auto target = place_below(what.root, what.path);
        std::filesystem::create_directories(target.parent_path());
        std::filesystem::rename(item.part, target);
        const std::lock_guard<std::mutex> lock(mutex_);
        uploads_.erase(what.upload);
    }

    // --- downloads ---------------------------------------------------------------------------------------------------

    http_reply download(const gateway_request& request) {
        const ticket what = ticket_of(request, false);
        bool archive = false;
        for (const auto& item : request.query) archive = archive || (item.first == "archive" && item.second == "true");
        const auto path = place_below(what.root, what.path);
        if (std::filesystem::is_directory(path)) {
            if (!archive) throw storage_problem(400, "The file is not a regular file.", "Invalid API parameters");
            http_reply reply;
            reply.headers = {{"Content-Type", "application/zip"},
                             {"Content-Disposition", disposition(path.filename().string() + ".zip")}};
            reply.body = make_zip(path);
            return reply;
        }
        if (!std::filesystem::exists(path)) throw storage_problem(404, "file-not-found", "File not found");
        return send_file(request, path);
    }

    static std::string disposition(const std::string& name) {
        const std::string escaped = codec::escape_segment(name);
        return "attachment;filename=\"" + escaped + "\"; filename*=UTF-8''" + escaped;
    }

    struct range {
        std::uint64_t begin = 0, end = 0; // one behind the last byte
    };

    // "bytes=a-", "bytes=a-b", "bytes=-n"; nothing for what cannot be served.
    static std::optional<range> parse_range(const std::string& text, std::uint64_t size) {
        if (text.compare(0, 6, "bytes=") != 0) return {};
        const std::size_t dash = text.find('-');
        if (dash == std::string::npos || text.find_first_not_of("0123456789-", 6) != std::string::npos) return {};
        const std::string first = text.substr(6, dash - 6), last = text.substr(dash + 1);
        if (last.find('-') != std::string::npos || (first.empty() && last.empty())) return {};
        range result{0, size};
        if (first.empty()) {
            result.begin = size - (std::min)(size, std::uint64_t{std::stoull(last)});
        } else {
            result.begin = std::stoull(first);
            if (!last.empty()) result.end = (std::min)(size, std::uint64_t{std::stoull(last)} + 1);
        }
        if (result.begin >= result.end) return {};
        return result;
    }

    http_reply send_file(const gateway_request& request, const std::filesystem::path& path) {
        auto file = std::make_shared<os::open_file>(os::open_for_reading(path));
        const std::uint64_t size = file->size();
        const os::file_time modified = file->modified();
        auto time = std::chrono::system_clock::time_point(std::chrono::seconds(modified.seconds));
        char digits[64];
        std::snprintf(digits, sizeof digits, "%llx-%llx",
                      static_cast<unsigned long long>(modified.seconds) * 1'000'000'000U +
                          static_cast<unsigned long long>(modified.nanoseconds),
                      static_cast<unsigned long long>(size));
        std::string tag = digits;
        if (lies(storage_lie::new_validators)) {
            tag = random_token(8);
            time += std::chrono::hours(++changes_);
        }
        http_reply reply;
        reply.headers = {{"Content-Type", "application/octet-stream"},
                         {"Content-Disposition", disposition(path.filename().string())}};
        const std::string* wanted = find_header(request.call.headers, "Range");
        const std::string* unless = find_header(request.call.headers, "If-Range");
        // aiohttp knows dates there only, and takes an entity tag for no condition at all.
        const auto since = unless != nullptr ? codec::parse_http_date(*unless) : std::nullopt;
        if ((since && time > *since) || lies(storage_lie::range_ignored)) wanted = nullptr;
        range part{0, size};
        if (wanted != nullptr) {
            const auto parsed = parse_range(*wanted, size);
            if (!parsed || lies(storage_lie::range_refused)) {
                reply.status = 416;
                reply.headers.emplace_back("Content-Range", "bytes */" + std::to_string(size));
                return reply;
            }
            part = *parsed;
            reply.status = 206;
            const std::uint64_t told = lies(storage_lie::range_elsewhere) ? part.begin + 1 : part.begin;
            const std::uint64_t whole = lies(storage_lie::range_of_other) ? size + 1 : size;
            reply.headers.emplace_back("Content-Range", "bytes " + std::to_string(told) + '-' +
                                                            std::to_string(part.end - 1) + '/' + std::to_string(whole));
        }
        if (!lies(storage_lie::no_validators)) {
            reply.headers.emplace_back("Etag", '"' + tag + '"');
            reply.headers.emplace_back("Last-Modified", http_date(time));
        }
        const std::string* newer = find_header(request.call.headers, "If-Modified-Since");
        const auto known = newer != nullptr ? codec::parse_http_date(*newer) : std::nullopt;
        if (known && time <= *known) {
            reply.status = 304;
            return reply;
        }
        for (const auto& item : request.query) {
            if (item.first == "no_cache" && item.second == "true")
                reply.headers.emplace_back("Cache-Control", "no-store");
        }
        if (lies(storage_lie::encoded)) reply.headers.emplace_back("Content-Encoding", "gzip");
        reply.headers.emplace_back("Accept-Ranges", "bytes");
        file->seek(part.begin);
        auto left = std::make_shared<std::uint64_t>(part.end - part.begin);
        const auto pull = [this, file, left](char* buffer, std::size_t capacity) {
            const auto most = static_cast<std::size_t>((std::min)(std::uint64_t{capacity}, *left));
            const std::size_t count = most == 0 ? 0 : file->read(buffer, most);
            *left -= count;
            sent_ += count;
            if (count != 0 && options_.storage_pace.count() > 0) std::this_thread::sleep_for(options_.storage_pace);
            return count;
        };
        if (request.call.takes_stream) {
            reply.stream = pull;
            reply.stream_length = *left;
            return reply;
        }
        std::vector<char> buffer(64 * 1024);
        while (const std::size_t count = pull(buffer.data(), buffer.size())) reply.body.append(buffer.data(), count);
        return reply;
    }

    const gateway_options& options_;
    fault_list& faults_;
    std::filesystem::path place_;
    mutable std::mutex mutex_;
    std::map<std::string, ticket> tickets_;                  // by token
    std::map<std::string, std::shared_ptr<upload>> uploads_; // by upload session
    storage_lie lie_ = storage_lie::none;
    int lie_times_ = 0;
    std::atomic<std::uint64_t> received_{0}, sent_{0};
    std::atomic<int> changes_{0};
};

/// The manager's part: who asks for a token must be allowed to use the folder. Thread-safe.
class storage_routes {
public:
    /// Where a folder lies that a user may use so. @throws problem
    using finder =
        std::function<std::filesystem::path(const std::string& user, const std::string& name, const char* permission)>;

    /// @param url of the storage proxy
    storage_routes(const gateway_options& options, storage_proxy& proxy, finder find, std::function<std::string()> url)
        : options_(options), proxy_(proxy), find_(std::move(find)), url_(std::move(url)) {}

    void add_to(router& table) {
        table.add("POST", "/folders/{}/request-upload", true, [this](const gateway_request& request) {
            const auto root = find_(access_key_of(request.call), request.arguments[0], "rw");
            const nlohmann::json body = request.json();
            const std::string path = text(body, "path");
            const auto size = body.find("size");
            if (size == body.end() || !size->is_number_integer()) throw missing("size");
            // Neither sign nor `..` is looked at here.
            return answer(proxy_.make_upload_token(root, path, static_cast<std::uint64_t>(size->get<std::int64_t>())),
                          "/upload");
        });
        table.add("POST", "/folders/{}/request-download", true, [this](const gateway_request& request) {
            const auto root = find_(access_key_of(request.call), request.arguments[0], "ro");
            const nlohmann::json body = request.json();
            return answer(proxy_.make_download_token(root, text(body, body.contains("file") ? "file" : "path")),
                          "/download");
        });
    }

private:
    static problem missing(const char* key) {
        return {400,
                "invalid-api-params",
                "Missing or invalid API parameters.",
                {{"msg", "Input validation error"}, {"data", {{key, "is required"}}}}};
    }
    static std::string text(const nlohmann::json& body, const char* key) {
        const auto found = body.find(key);
        if (found == body.end() || !found->is_string()) throw missing(key);
        return found->get<std::string>();
    }
    http_reply answer(const std::string& token, const char* path) const {
        http_reply reply = json_reply({{"token", token}, {"url", url_() + path}});
        reply.headers.emplace_back("Date", storage_proxy::http_date(options_.clock()));
        return reply;
    }

    const gateway_options& options_;
    storage_proxy& proxy_;
    finder find_;
    std::function<std::string()> url_;
};

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
