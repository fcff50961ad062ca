// What a recorded real server said in websockets and event streams, taken apart by the SDK's streams.
#include "transcript_support.hpp"

#include <doctest/doctest.h>

#include <deque>
#include <memory>

namespace {
namespace transcript_streams {

using transcript::exchange;
using transcript::json;

json messages_of(const exchange& from) {
    return from.record().value("messages", json::array());
}

/// The server's side of a recorded websocket; what the client sends is kept.
class recorded_stream final : public backendai::message_stream {
public:
    recorded_stream(const exchange& from, std::shared_ptr<std::vector<std::string>> sent) : sent_(std::move(sent)) {
        for (const json& each : messages_of(from)) {
            if (each.at("direction") != "server") continue;
            backendai::stream_message message;
            if (each.at("opcode") == "close") {
                message.kind = backendai::stream_message::type::closed;
                message.code = each.at("code").is_number() ? each.at("code").get<std::uint16_t>() : std::uint16_t{1005};
                message.data = each.value("reason", "");
            } else {
                message.kind = each.at("opcode") == "text" ? backendai::stream_message::type::text
                                                           : backendai::stream_message::type::binary;
                message.data = transcript::bytes_of(each.at("payload_kind"), each.at("payload"));
            }
            messages_.push_back(message);
        }
    }
    backendai::stream_message receive() override {
        if (messages_.empty()) { // the recording ends before the server did
            backendai::stream_message end;
            end.code = 1006;
            return end;
        }
        backendai::stream_message next = messages_.front();
        messages_.pop_front();
        return next;
    }
    std::optional<backendai::stream_message> receive_for(std::chrono::milliseconds) override { return receive(); }
    void send_text(std::string_view text) override { sent_->emplace_back(text); }
    void send_binary(std::string_view bytes) override { sent_->emplace_back(bytes); }
    void close(std::uint16_t, std::string_view) override {}
    void cancel() noexcept override {}
    const std::string& protocol() const noexcept override { return protocol_; }

private:
    std::deque<backendai::stream_message> messages_;
    std::shared_ptr<std::vector<std::string>> sent_;
    std::string protocol_;
};

/// Opens what was recorded, or is refused as it was; and plays an event stream's text.
class transport {
public:
    explicit transport(const exchange& from) : from_(from) {}
    backendai::response_head exchange(backendai::http_request& request, backendai::body_sink& sink,
                                      const backendai::exchange_context& context) {
        context.check();
        requests.push_back(request.method + ' ' + request.url.target());
        const scripted::reply reply = from_.reply();
        backendai::response_head head;
        head.status = reply.status;
        head.reason = reply.reason;
        head.headers = reply.headers;
        sink.on_head(head);
        for (const std::string& piece : reply.pieces) sink.on_data(piece);
        return head;
    }
    backendai::websocket_opening open_websocket(backendai::http_request& request,
                                                const backendai::exchange_context& context) {
        context.check();
        requests.push_back(request.method + ' ' + request.url.target());
        backendai::websocket_opening opening;
        opening.head.status = from_.status();
        opening.head.reason = from_.reason();
        opening.head.headers = from_.headers();
        if (from_.status() == 101) {
            opening.stream = std::make_unique<recorded_stream>(from_, sent);
        } else {
            opening.body = from_.body_bytes();
        }
        return opening;
    }

    std::vector<std::string> requests;
    std::shared_ptr<std::vector<std::string>> sent = std::make_shared<std::vector<std::string>>();

private:
    transcript::exchange from_;
};
using session = backendai::basic_session<transport, backendai::blocking>;

session connect(const exchange& from) {
    backendai::api_config config;
    config.endpoint = "http://127.0.0.1:1";
    config.version = from.version();
    config.access_key = scripted::access_key();
    config.secret_key = scripted::secret_key();
    config.retry.max_attempts = 1;
    config.sleeper = [](std::chrono::milliseconds) {};
    return session(std::move(config), transport(from));
}

/// What the server said in JSON, in order.
std::vector<json> told(const exchange& from) {
    std::vector<json> list;
    for (const json& each : messages_of(from)) {
        if (each.at("direction") == "server" && each.value("payload_kind", "") == "json")
            list.push_back(each.at("payload"));
    }
    return list;
}
void run(const exchange& from, session& sdk) {
    const std::vector<json> expected = told(from);
    std::size_t next = 0;
    try {
        auto stream = sdk.kernel("kernel").stream_execute("1");
        while (auto event = stream.next()) {
            REQUIRE(next < expected.size());
            CHECK(event->raw == expected[next]);
            CHECK((event->exit_code ? json(*event->exit_code) : json()) == expected[next].at("exitCode"));
            CHECK(event->console.size() ==
                  (expected[next].at("console").is_array() ? expected[next].at("console").size() : 0));
            ++next;
            if (event->status == backendai::run_status::waiting_input) stream.send_input("a line");
        }
        CHECK(next == expected.size());
        CHECK(expected.back().at("status") == "finished");
    } catch (const backendai::api_error& e) {
        if (from.status() != 101) throw;
        CHECK(expected.at(next).at("status") == "error");
        CHECK(e.type() == "error");
        CHECK(e.title() == expected[next].value("msg", ""));
        CHECK(e.status() == 0);
    } catch (const backendai::client_error& e) {
        // The run had no end before the stream had one.
        CHECK(e.kind() == backendai::error_kind::connect);
        CHECK((expected.empty() || expected.back().at("status") != "finished"));
    }
}

void look(const exchange& from, session& sdk) {
    auto pty = sdk.kernel("kernel").stream_pty();
    std::string expected, shown;
    for (const json& each : told(from)) {
        if (each.value("type", "") == "out")
            expected += backendai::codec::base64_decode(each.at("data").get<std::string>());
    }
    while (const auto bytes = pty.read()) shown += *bytes;
    CHECK(shown == expected);
}

void tunnel(const exchange& from, session& sdk) {
    auto stream = backendai::request(sdk, "GET", from.path()).set_param("app", "jupyter").connect_websocket();
    std::string expected, received;
    for (const json& each : messages_of(from)) {
        if (each.at("direction") == "server" && each.at("opcode") != "close")
            expected += transcript::bytes_of(each.at("payload_kind"), each.at("payload"));
    }
    for (;;) {
        const auto message = stream->receive();
        if (message.is_closed()) break;
        received += message.data;
    }
    CHECK(received == expected);
}

/// The event stream's text, taken apart here in the plainest way.
std::vector<std::pair<std::string, json>> events_of(const exchange& from) {
    std::vector<std::pair<std::string, json>> list;
    std::istringstream stream(from.body_bytes());
    std::string name;
    for (std::string line; std::getline(stream, line);) {
        if (!line.empty() && line.back() == '\r') line.pop_back();
        if (line.compare(0, 7, "event: ") == 0) name = line.substr(7);
        if (line.compare(0, 6, "data: ") == 0) list.emplace_back(name, json::parse(line.substr(6)));
    }
    return list;
}

void listen(const exchange& from, session& sdk) {
    backendai::event_options options;
    options.max_reconnects = 0;
    auto events = sdk.kernel().events(options);
    for (const auto& [name, data] : events_of(from)) {
        const auto event = events.next();
        REQUIRE(event.has_value());
        CHECK(event->name == name);
        CHECK(event->session_name == data.at("sessionName"));
        CHECK(event->session_id == data.at("sessionId"));
        CHECK(event->kernel_id == data.value("kernelId", ""));
        CHECK(event->reason == data.at("reason"));
        CHECK((event->exit_code ? json(*event->exit_code) : json()) == data.at("exitCode"));
        CHECK(event->raw == data);
    }
    // Then the recording's connection is over, and no other is tried.
    CHECK_THROWS_AS(events.next(), backendai::client_error);
}

} // namespace transcript_streams
} // namespace

TEST_CASE("transcript: every message of websockets and events") {
    namespace test = transcript_streams;
    int websockets = 0, refused = 0, streams = 0;
    for (const auto& from : transcript::all()) {
        if (transcript::group_of(from) != transcript::group::streams) continue;
        INFO(from.label());
        auto sdk = test::connect(from);
        const std::string& path = from.path();
        const bool terminal = scripted::contains(path, "/pty"), code = scripted::contains(path, "/execute");
        try {
            if (!from.is_websocket()) {
                test::listen(from, sdk);
                ++streams;
            } else {
                terminal ? test::look(from, sdk) : code ? test::run(from, sdk) : test::tunnel(from, sdk);
                ++websockets;
            }
            CHECK((from.status() == 101 || from.succeeded()));
        } catch (const backendai::api_error& e) {
            ++refused;
            transcript::check_error(from, e);
        }
        CHECK(!sdk.transport().requests.empty());
        if (code && from.status() == 101) {
            // The first message is as the recorded client's: mode, code and options.
            const auto first = transcript::json::parse(sdk.transport().sent->at(0));
            CHECK(first.at("mode") == "query");
            CHECK(first.contains("code"));
        }
    }
    CHECK(websockets == 45);
    CHECK(streams == 12);
    CHECK(refused > 15);
}
