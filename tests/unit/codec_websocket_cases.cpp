// The conformance table of tests/data/websocket_cases.json (written by tests/tools/websocket_cases.py), driven against
// an echo client made of the codec alone. The same table is served over sockets elsewhere.
#include <backendai/codec/websocket.hpp>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace codec = backendai::codec;
using codec::websocket_opcode;
using nlohmann::json;

namespace {

std::string data_file() {
#ifdef BACKENDAI_TEST_DATA_DIR
    return std::string(BACKENDAI_TEST_DATA_DIR) + "/websocket_cases.json";
#else
    const std::string here = __FILE__;
    return here.substr(0, here.find_last_of("/\\") + 1) + "../data/websocket_cases.json";
#endif
}

json load_cases() {
    std::ifstream file(data_file());
    REQUIRE_MESSAGE(file.good(), "cannot open " << data_file());
    return json::parse(file);
}

std::string flatten(const json& pieces) {
    std::string bytes;
    for (const json& piece : pieces) {
        if (piece.contains("hex")) {
            const auto hex = piece["hex"].get<std::string>();
            for (std::size_t i = 0; i < hex.size(); i += 2) {
                bytes.push_back(static_cast<char>(std::strtoul(hex.substr(i, 2).c_str(), nullptr, 16)));
            }
        } else {
            bytes.append(piece["count"].get<std::size_t>(), static_cast<char>(piece["byte"].get<unsigned>()));
        }
    }
    return bytes;
}

struct outcome {
    std::vector<std::pair<int, std::string>> replies;
    std::optional<unsigned> close;
    std::size_t writes_until_close = 0;
    bool legal = true; // what the client sent is legal to a server's decoder, and nothing follows its close frame
};

class echo_client {
public:
    explicit echo_client(codec::websocket_limits limits)
        : codec_(codec::websocket_role::client, limits, [this] { return next_mask(); }) {}

    void feed(std::string_view bytes) {
        std::string out;
        try {
            while (const std::optional<codec::websocket_event> event = codec_.next(bytes)) {
                if (!codec::is_control(event->opcode)) codec_.write_message(out, event->opcode, codec_.take());
                codec_.write_pending(out);
            }
        } catch (const codec::websocket_error&) {
            failed_ = true;
            codec_.write_pending(out);
        }
        sent_ += out;
    }

    bool over() const { return codec_.control().finished(); }
    bool failed() const { return failed_; }
    const std::string& sent() const { return sent_; }

private:
    codec::websocket_mask_key next_mask() {
        mask_ = mask_ * 1664525U + 1013904223U;
        return {{static_cast<unsigned char>(mask_ >> 24U), static_cast<unsigned char>((mask_ >> 16U) & 0xFFU),
                 static_cast<unsigned char>((mask_ >> 8U) & 0xFFU), static_cast<unsigned char>(mask_ & 0xFFU)}};
    }

    std::uint32_t mask_ = 1;
    bool failed_ = false;
    std::string sent_;
    codec::websocket_codec codec_;
};

outcome run(const json& test, std::size_t chunk) {
    codec::websocket_limits limits;
    if (test.contains("limits")) {
        limits.max_frame_size = test["limits"]["max_frame_size"].get<std::uint64_t>();
        limits.max_message_size = test["limits"]["max_message_size"].get<std::uint64_t>();
    }
    echo_client client(limits);
    outcome result;
    std::size_t writes = 0;
    for (const json& write : test["writes"]) {
        const std::string bytes = flatten(write);
        ++writes;
        for (std::size_t at = 0; at < bytes.size() && !client.failed();) {
            const std::size_t size = chunk == 0 ? bytes.size() : (std::min)(chunk, bytes.size() - at);
            client.feed(std::string_view(bytes).substr(at, size));
            at += size;
            if (client.over() && result.writes_until_close == 0) result.writes_until_close = writes;
        }
    }
    codec::websocket_decoder server(codec::websocket_role::server);
    try {
        server.feed(client.sent(), [&](const codec::websocket_event& event) {
            if (event.opcode == websocket_opcode::close) {
                result.close = event.code;
            } else {
                result.replies.emplace_back(static_cast<int>(event.opcode), std::string(event.payload));
            }
        });
        // A decoder ignores what follows a close frame; here nothing may: the last eight bytes at most are the close.
        const std::size_t close_size = result.close && *result.close == codec::websocket_close::no_status ? 6 : 8;
        const std::string& sent = client.sent();
        result.legal = sent.size() >= close_size &&
                       static_cast<unsigned char>(sent[sent.size() - close_size]) == 0x88 && !server.in_message();
    } catch (const codec::websocket_error&) {
        result.legal = false;
    }
    return result;
}

} // namespace

TEST_CASE("the conformance table holds at least 240 cases of all groups, each with its own number") {
    const json cases = load_cases();
    std::set<std::string> numbers;
    std::set<std::string> groups;
    for (const json& test : cases) {
        const auto id = test["id"].get<std::string>();
        numbers.insert(id);
        groups.insert(id.substr(0, id.find('.')));
    }
    CHECK(cases.size() >= 240);
    CHECK(numbers.size() == cases.size());
    CHECK(groups == std::set<std::string>{"1", "2", "3", "4", "5", "6", "7", "9", "10"});
}

TEST_CASE("the codec answers every case of the conformance table as RFC 6455 asks") {
    for (const json& test : load_cases()) {
        const std::string title = test["id"].get<std::string>() + " " + test["name"].get<std::string>();
        CAPTURE(title);
        const auto chunk = test["chunk"].get<std::size_t>();
        std::vector<std::pair<int, std::string>> expected;
        for (const json& reply : test["replies"]) {
            expected.emplace_back(reply["opcode"].get<int>(), flatten(reply["payload"]));
        }
        // As the case says, and once more in an odd chunking that it does not ask for.
        for (const std::size_t size : {chunk, std::size_t{13}}) {
            const outcome result = run(test, size);
            CHECK(result.legal);
            CHECK(result.close.value_or(0) == test["close"].get<unsigned>());
            CHECK(result.replies.size() == expected.size());
            CHECK((result.replies == expected));
            if (test.contains("fail_after")) {
                CHECK(result.writes_until_close == test["fail_after"].get<std::size_t>());
            }
        }
    }
}
