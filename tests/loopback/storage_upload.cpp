// Uploads to a storage proxy over sockets: pieces, offsets, what is lost and gone on with, servers that lie.
#include "storage_bench.hpp"

#include <doctest/doctest.h>

#include <mutex>

using namespace files_support;
using backendai::testing::fault;
using backendai::testing::fault_kind;
using backendai::testing::storage_lie;
using storage_bench::bench;
using storage_bench::modern;

namespace {

// What clients sent to the storage proxy, heads only.
struct recorder {
    backendai::testing::gateway_options options() {
        backendai::testing::gateway_options made = modern();
        made.on_request = [this](const backendai::testing::http_call& call) {
            const std::lock_guard<std::mutex> lock(mutex);
            calls.push_back({call.method, call.target, call.headers, {}, {}, false});
        };
        return made;
    }
    std::vector<backendai::testing::http_call> to(const std::string& path) {
        const std::lock_guard<std::mutex> lock(mutex);
        std::vector<backendai::testing::http_call> found;
        for (const auto& call : calls) {
            if (call.target.substr(0, call.target.find('?')) == path) found.push_back(call);
        }
        return found;
    }

    std::mutex mutex;
    std::vector<backendai::testing::http_call> calls;
};

fault cut(std::size_t position, int times = 1, int skip = 0) {
    fault item;
    item.kind = fault_kind::drop_in_request;
    item.method = "PATCH";
    item.position = position;
    item.times = times;
    item.skip = skip;
    return item;
}

} // namespace

TEST_CASE_TEMPLATE("storage: files arrive as they are, in pieces, with nothing of the session's", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    recorder seen;
    bench<T> b(seen.options());
    const std::string large = noise(300'001);
    b.box.put("tree/large", large);
    b.box.put("tree/empty", "");
    b.box.put("tree/exact", noise(65'536, 2));
    b.box.put("tree/sub dir/h\xC3\xA9llo.txt", "text");
    auto options = b.from(b.box);
    options.chunk_size = 65'536;
    std::uint64_t last = 0, total = 0;
    options.progress = [&](const std::string&, std::uint64_t done, std::uint64_t of) {
        CHECK(done >= last);
        last = done;
        total = of;
    };
    b.folder().upload({b.box.root() / "tree"}, options);
    for (const char* name : {"large", "empty", "exact", "sub dir/h\xC3\xA9llo.txt"})
        CHECK(b.stored("tree/" + std::string(name)) == sandbox::read(b.box.root() / "tree" / name));
    CHECK(b.server.storage_received() == 300'001 + 65'536 + 4);
    CHECK(last == 300'001 + 65'536 + 4);
    CHECK(total == last);
    CHECK(b.server.open_uploads() == 0);
    CHECK(b.server.received("PATCH", "/upload") == 5 + 1 + 1 + 1);
    const auto calls = seen.to("/upload");
    REQUIRE(calls.size() == 8);
    for (const auto& call : calls) {
        for (const char* secret : {"Authorization", "Cookie", "X-BackendAI-Version", "Date"})
            CHECK(backendai::testing::find_header(call.headers, secret) == nullptr);
        REQUIRE(backendai::testing::find_header(call.headers, "Tus-Resumable") != nullptr);
        CHECK(*backendai::testing::find_header(call.headers, "Tus-Resumable") == "1.0.0");
        REQUIRE(backendai::testing::find_header(call.headers, "Content-Type") != nullptr);
        CHECK(*backendai::testing::find_header(call.headers, "Content-Type") == "application/offset+octet-stream");
        CHECK(backendai::testing::find_header(call.headers, "Upload-Offset") != nullptr);
    }
}

TEST_CASE_TEMPLATE("storage: an upload that is cut off goes on where the server stopped", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    auto options = modern();
    SUBCASE("on servers that append what comes") {
        options.storage_checks_offset = false;
    }
    SUBCASE("on servers that check the offset") {
        options.storage_checks_offset = true;
    }
    bench<T> b(options);
    const std::string content = noise(1'000'003);
    b.box.put("f", content);
    auto how = b.from(b.box);
    how.chunk_size = 400'000;
    SUBCASE("in the middle of pieces") {
        b.server.inject(cut(1, 1));
        b.server.inject(cut(123'456, 1, 1));
        b.server.inject(cut(300'000, 1, 2));
        b.folder().upload({b.box.root() / "f"}, how);
        CHECK(b.stored("f") == content);
        CHECK(b.server.storage_received() == content.size()); // not one byte twice
    }
    SUBCASE("when a piece is there, and its answer is lost") {
        fault lost;
        lost.kind = fault_kind::drop_before_head;
        lost.method = "PATCH";
        lost.path_prefix = "/upload";
        lost.times = 3; // the last of them when the file is complete
        b.server.inject(lost);
        b.folder().upload({b.box.root() / "f"}, how);
        CHECK(b.stored("f") == content);
        CHECK(b.server.storage_received() == content.size());
        CHECK(b.server.received("POST", "/folders/data/request-upload") == 1);
    }
    SUBCASE("where the server keeps whole pieces only: no more than those again") {
        b.server.lie_about_storage(storage_lie::whole_chunks);
        b.server.inject(cut(399'999, 1, 1));
        b.folder().upload({b.box.root() / "f"}, how);
        CHECK(b.stored("f") == content);
        CHECK(b.server.storage_received() == content.size() + 399'999);
    }
    SUBCASE("after answers that ask for patience") {
        fault busy;
        busy.kind = fault_kind::status;
        busy.status = 503;
        busy.path_prefix = "/upload";
        busy.times = 2;
        b.server.inject(busy);
        b.folder().upload({b.box.root() / "f"}, how);
        CHECK(b.stored("f") == content);
        CHECK(b.server.storage_received() == content.size());
    }
}

TEST_CASE_TEMPLATE("storage: an upload that the server has lost begins anew, twice at most", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    bench<T> b(modern());
    const std::string content = noise(200'000);
    b.box.put("f", content);
    auto how = b.from(b.box);
    how.chunk_size = 64 * 1024;
    std::uint64_t last = 0;
    how.progress = [&](const std::string&, std::uint64_t done, std::uint64_t) { last = done; };
    SUBCASE("once") {
        b.server.lie_about_storage(storage_lie::lost, 1);
        b.folder().upload({b.box.root() / "f"}, how);
        CHECK(b.stored("f") == content);
        CHECK(b.server.received("POST", "/folders/data/request-upload") == 2);
        CHECK(last == content.size());
    }
    SUBCASE("each time") {
        b.server.lie_about_storage(storage_lie::lost);
        CHECK(result_of([&] { b.folder().upload({b.box.root() / "f"}, how); }).what == "api 404");
        CHECK(b.server.received("POST", "/folders/data/request-upload") == 3);
    }
    SUBCASE("its token is over in the middle") {
        int pieces = 0;
        how.progress = [&](const std::string&, std::uint64_t done, std::uint64_t) {
            if (done > 100'000 && ++pieces == 1) b.server.expire_storage_tokens();
        };
        b.folder().upload({b.box.root() / "f"}, how);
        CHECK(b.stored("f") == content);
        CHECK(b.server.received("POST", "/folders/data/request-upload") == 2);
    }
    SUBCASE("it says so of the last piece, but the file is there") {
        b.server.lie_about_storage(storage_lie::done_is_lost);
        b.folder().upload({b.box.root() / "f"}, how);
        CHECK(b.stored("f") == content);
        CHECK(b.server.storage_received() == content.size());
    }
}

TEST_CASE_TEMPLATE("storage: a file of the same size that was there before is not taken for the upload's", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    bench<T> b(modern());
    std::string content = noise(200'000);
    b.box.put("f", content);
    auto how = b.from(b.box);
    how.chunk_size = 64 * 1024;
    b.folder().upload({b.box.root() / "f"}, how);
    // The same end, and an hour old.
    content[5] = static_cast<char>(content[5] ^ 1);
    b.box.put("f", content);
    const auto there = b.place("f");
    fs::last_write_time(there, fs::last_write_time(there) - std::chrono::hours(1));
    fault lost; // the last piece does not come through, and then the session is gone
    lost.kind = fault_kind::drop_before_handling;
    lost.method = "PATCH";
    lost.path_prefix = "/upload";
    lost.skip = 3;
    b.server.inject(lost);
    fault gone;
    gone.kind = fault_kind::status;
    gone.status = 404;
    gone.method = "HEAD";
    gone.path_prefix = "/upload";
    b.server.inject(gone);
    b.folder().upload({b.box.root() / "f"}, how);
    CHECK(b.stored("f") == content);
    CHECK(b.server.received("POST", "/folders/data/request-upload") == 3);
}

TEST_CASE_TEMPLATE("storage: what a lying server says of offsets is an error, and ends", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    const std::string content = noise(200'000);
    const auto outcome_of = [&](storage_lie kind) {
        bench<T> b(modern());
        b.box.put("f", content);
        auto how = b.from(b.box);
        how.chunk_size = 64 * 1024;
        b.server.lie_about_storage(kind);
        const auto result = result_of([&] { b.folder().upload({b.box.root() / "f"}, how); });
        // Never more than there is, and no endless repetition.
        CHECK_MESSAGE(b.server.storage_received() <= 4 * content.size(), result.message);
        CHECK(result.message.find("eyJ") == std::string::npos);
        return result;
    };
    for (const storage_lie kind : {storage_lie::offset_ahead, storage_lie::offset_missing, storage_lie::offset_garbage,
                                   storage_lie::wrong_length, storage_lie::offset_stuck}) {
        const auto result = outcome_of(kind);
        CHECK_MESSAGE(result.what == "protocol", static_cast<int>(kind), ' ', result.what, ' ', result.message);
        CHECK(result.sent == backendai::client_error::progress::maybe_sent);
    }
    CHECK(outcome_of(storage_lie::conflict).what == "api 409");
    CHECK(outcome_of(storage_lie::token_refused).what == "api 400");
    CHECK(outcome_of(storage_lie::keeps_half).what == "ok");
}

TEST_CASE_TEMPLATE("storage: what was acknowledged and is then gone, or was never sent, is an error", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    for (const auto& told : {std::pair<const char*, const char*>{"65535", "protocol"},
                             {"65536", "ok"},
                             {"131072", "ok"},
                             {"131073", "protocol"}}) {
        bench<T> b(modern());
        b.box.put("f", noise(200'000));
        auto how = b.from(b.box);
        how.chunk_size = 64 * 1024;
        fault lost; // the second piece does not come through, and the server says what it has
        lost.kind =
            std::string(told.first) == "131072" ? fault_kind::drop_before_head : fault_kind::drop_before_handling;
        lost.method = "PATCH";
        lost.path_prefix = "/upload";
        lost.skip = 1;
        b.server.inject(lost);
        fault says;
        says.kind = fault_kind::raw;
        says.method = "HEAD";
        says.path_prefix = "/upload";
        says.bytes = "HTTP/1.1 200 OK\r\nUpload-Offset: " + std::string(told.first) +
                     "\r\nUpload-Length: 200000\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        says.times = 2;
        b.server.inject(says);
        const auto result = result_of([&] { b.folder().upload({b.box.root() / "f"}, how); });
        CHECK_MESSAGE(result.what == told.second, told.first, ' ', result.message);
    }
}

TEST_CASE_TEMPLATE("storage: the url that the server tells is checked, mapped, and can be on another origin", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    for (const char* bad : {"ftp://127.0.0.1/upload", "/upload", "", "http://user@127.0.0.1/x", "http://:99999"}) {
        auto options = modern();
        options.storage_url = bad[0] == '\0' ? "nonsense" : bad;
        bench<T> b(options);
        b.box.put("f", "text");
        const auto result = result_of([&] { b.folder().upload({b.box.root() / "f"}, b.from(b.box)); });
        CHECK_MESSAGE(result.what == "protocol", bad, ' ', result.what);
    }
    auto options = modern();
    options.storage_url = "https://storage.internal:6022";
    backendai::testing::gateway server(options);
    auto config = storage_bench::config_of(server);
    config.storage_proxy_urls = {{"https://storage.internal:6022", server.storage_origin()}};
    const backendai::basic_session<T, backendai::blocking> session(config);
    session.vfolder().create("data");
    const sandbox box;
    box.put("f", "text");
    backendai::upload_options how;
    how.basedir = box.root();
    session.vfolder("data").upload({box.root() / "f"}, how);
    session.vfolder("data").download({"f"}, box.out());
    CHECK(sandbox::read(box.out() / "f") == "text");
}

TEST_CASE_TEMPLATE("storage: limits, cancelling and local changes end an upload", T, BACKENDAI_SOCKET_TRANSPORTS) {
    auto options = modern();
    options.storage_pace = std::chrono::milliseconds(20);
    bench<T> b(options);
    const auto file = b.box.put("f", noise(4'000'000));
    auto how = b.from(b.box);
    how.chunk_size = 128 * 1024;
    b.session.vfolder().create("data");
    SUBCASE("the time limit is that of the whole call") {
        const auto start = std::chrono::steady_clock::now();
        const auto limited = b.session.with({std::chrono::milliseconds(300), {}, {}});
        CHECK(result_of([&] { limited.vfolder("data").upload({file}, how); }).what == "timeout");
        CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(5));
    }
    SUBCASE("a token") {
        backendai::cancel_source stop;
        how.progress = [&](const std::string&, std::uint64_t done, std::uint64_t) {
            if (done > 200'000) stop.cancel();
        };
        const auto limited = b.session.with({{}, stop.token(), {}});
        CHECK(result_of([&] { limited.vfolder("data").upload({file}, how); }).what == "cancelled");
    }
    SUBCASE("the progress callback") {
        how.progress = [](const std::string&, std::uint64_t done, std::uint64_t) { return done < 200'000; };
        CHECK(result_of([&] { b.session.vfolder("data").upload({file}, how); }).what == "cancelled");
    }
    SUBCASE("a file that changes, its size being the same") {
        bool changed = false;
        how.progress = [&](const std::string&, std::uint64_t done, std::uint64_t) {
            if (done > 200'000 && !std::exchange(changed, true)) b.box.put("f", noise(4'000'000, 9));
        };
        CHECK(result_of([&] { b.session.vfolder("data").upload({file}, how); }).what == "io");
    }
}

TEST_CASE("storage: servers that do not make the directories above a file are asked for them") {
    using session_type = backendai::basic_session<backendai::httplib_transport, backendai::blocking>;
    backendai::testing::gateway server(modern());
    auto config = storage_bench::config_of(server);
    const sandbox box;
    box.put("a/b/one", "1");
    box.put("a/b/two", "2");
    box.put("three", "3");
    backendai::upload_options how;
    how.basedir = box.root();
    for (const auto& version : {std::pair<const char*, std::size_t>{"v6.20230315", 1}, {"v7.20230615", 1}}) {
        config.version = version.first;
        const session_type session(config);
        if (session.vfolder().list().empty()) session.vfolder().create("data");
        session.vfolder("data").upload({box.root() / "a", box.root() / "three"}, how);
        CHECK(server.received("POST", "/folders/data/mkdir") == version.second);
    }
    // Folders by multipart cannot keep a note, and say so.
    config.version = "v4.20190315";
    how.resume_file = box.root() / "note";
    const auto result = result_of([&] { session_type(config).vfolder("data").upload({box.root() / "three"}, how); });
    CHECK(result.what == "argument");
    CHECK(result.message.find("v6.20200815") != std::string::npos);
}

TEST_CASE_TEMPLATE("storage: what fails between two files says that something was sent", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    bench<T> b;
    b.box.put("in/first", "content");
    b.box.put("in/second", "content");
    backendai::upload_options options = b.from(b.box);
    options.progress = [&](const std::string&, std::uint64_t, std::uint64_t) {
        fs::remove(b.box.root() / "in/second");
        return true;
    };
    const auto result = result_of([&] { b.folder().upload({b.box.root() / "in"}, options); });
    CHECK(result.what == "io");
    CHECK(result.sent == backendai::client_error::progress::maybe_sent);
    CHECK(b.stored("in/first") == "content");
}
