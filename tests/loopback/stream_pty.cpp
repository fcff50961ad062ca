// Terminals, end to end on each transport with sockets of its own: a real shell on a real pseudo terminal, and this
// program's own terminal, another one, attached to it.
#include "stream_support.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstdlib>
#include <fcntl.h>
#include <memory>
#include <optional>
#include <poll.h>
#include <string>
#include <sys/ioctl.h>
#include <termios.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

using namespace stream_support;
using testing::fault_kind;

// Reads until the text was shown.
std::string read_until(pty_stream& pty, const std::string& text) {
    std::string shown;
    while (shown.find(text) == std::string::npos) {
        const auto bytes = pty.read();
        if (!bytes) return shown + "(the end)";
        shown += *bytes;
    }
    return shown;
}

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

// A terminal of the test's own, with the side that types and looks.
class user {
public:
    user() : main_(::posix_openpt(O_RDWR | O_NOCTTY)) {
        ::grantpt(main_);
        ::unlockpt(main_);
        inner = ::open(::ptsname(main_), O_RDWR | O_NOCTTY); // NOLINT(concurrency-mt-unsafe)
        resize(30, 90);
    }
    user(const user&) = delete;
    user& operator=(const user&) = delete;
    ~user() {
        ::close(inner);
        ::close(main_);
    }
    void resize(int rows, int cols) {
        winsize size{};
        size.ws_row = static_cast<unsigned short>(rows);
        size.ws_col = static_cast<unsigned short>(cols);
        ::ioctl(main_, TIOCSWINSZ, &size);
    }
    void type(const std::string& text) { REQUIRE(::write(main_, text.data(), text.size()) > 0); }
    std::string see(const std::string& text) {
        std::string shown;
        const auto end = std::chrono::steady_clock::now() + seconds(20);
        while (!contains(shown, text) && std::chrono::steady_clock::now() < end) {
            pollfd entry{main_, POLLIN, 0};
            if (::poll(&entry, 1, 50) <= 0) continue;
            char buffer[4096];
            const ssize_t count = ::read(main_, buffer, sizeof buffer);
            if (count > 0) shown.append(buffer, static_cast<std::size_t>(count));
        }
        return shown;
    }
    bool is_raw() const {
        termios now{};
        ::tcgetattr(inner, &now);
        return (now.c_lflag & (ICANON | ECHO | ISIG)) == 0;
    }
    int inner = -1;

private:
    const int main_;
};

} // namespace

TEST_CASE_TEMPLATE("stream_pty: a shell is typed to and read from", T, BACKENDAI_SOCKET_TRANSPORTS) {
    fixture<T> here;
    const auto kernel = here.make("bash");
    auto pty = kernel.stream_pty();
    pty.write("echo $((6*7)) $TERM\n");
    CHECK(contains(read_until(pty, "42 xterm"), "42 xterm"));
    pty.write(""); // is nothing
    CHECK(pty.read_for(milliseconds(1)).has_value());
    // Bytes that are no UTF-8, and a key that makes a signal.
    pty.write("printf '\\377\\000|\\n' | od -An -tx1\n");
    CHECK(contains(read_until(pty, "ff 00 7c 0a"), "ff 00 7c 0a"));
    pty.write("sh -c 'echo begun-$((1+1)); exec sleep 100'\n");
    read_until(pty, "begun-2");
    pty.write("\x03");
    read_until(pty, "$ ");
    pty.write("echo after-$?\n");
    CHECK(contains(read_until(pty, "after-130"), "after-130"));
    pty.write("exit\n");
    while (pty.read()) {
    }
    CHECK_FALSE(pty.read());
    CHECK_NOTHROW(pty.close());
    CHECK(soon([&] { return here.gateway.open_streams() == 0; }));
}

TEST_CASE_TEMPLATE("stream_pty: resize, restart and ping", T, BACKENDAI_SOCKET_TRANSPORTS) {
    fixture<T> here;
    const auto kernel = here.make("bash");
    auto pty = kernel.stream_pty();
    pty.write("stty size\n");
    read_until(pty, "24 80");
    pty.resize(40, 132);
    pty.ping();
    pty.write("stty size\n");
    CHECK(contains(read_until(pty, "40 132"), "40 132"));
    CHECK(result_of([&] { pty.resize(0, 80); }).what == "argument");
    CHECK(result_of([&] { pty.resize(24, -1); }).what == "argument");
    pty.write("KEPT=yes; echo set-$KEPT\n");
    read_until(pty, "set-yes");
    pty.restart();
    pty.write("echo now-${KEPT:-gone}\n");
    CHECK(contains(read_until(pty, "now-gone"), "now-gone"));
}

TEST_CASE_TEMPLATE("stream_pty: the end of the session, of the connection, and errors in the stream", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    fixture<T> here;
    const auto kernel = here.make("bash");
    const auto meets = [&](fault_kind kind, const std::string& bytes = {}, int status = 1011) {
        here.inject(kind, 0, bytes, status);
        auto pty = kernel.stream_pty();
        pty.write("echo x\n");
        return result_of([&] {
            while (pty.read()) {
            }
        });
    };
    CHECK(meets(fault_kind::websocket_drop).what == "connect");
    CHECK(meets(fault_kind::websocket_bad_frame).what == "protocol");
    CHECK(meets(fault_kind::websocket_oversized_frame).what == "protocol");
    CHECK(meets(fault_kind::websocket_close).what == "connect");
    CHECK(meets(fault_kind::websocket_close, "", 1000).what == "ok");
    CHECK(meets(fault_kind::websocket_message, "{").what == "protocol");
    CHECK(meets(fault_kind::websocket_message, R"({"type":"out"})").what == "protocol");
    CHECK(meets(fault_kind::websocket_message, R"({"type":"out","data":"*"})").what == "protocol");
    const call_result told = meets(fault_kind::websocket_message, R"({"type":"error","msg":"no terminal for you"})");
    CHECK(told.what == "api 0");
    CHECK(contains(told.message, "no terminal for you"));

    auto patient = kernel.stream_pty();
    patient.write("echo x\n");
    const auto shown = patient.read_for(milliseconds::max()); // which is later than the clock can tell
    REQUIRE(shown);
    CHECK_FALSE(shown->empty());

    here.inject(fault_kind::websocket_stall);
    auto stalled = kernel.stream_pty();
    call_result result;
    std::thread reader([&] { result = result_of([&] { stalled.read(); }); });
    stalled.cancel();
    reader.join();
    CHECK(result.what == "cancelled");

    auto pty = kernel.stream_pty();
    kernel.destroy();
    while (pty.read()) {
    }
    CHECK(result_of([&] { kernel.stream_pty(); }).what == "api 404");
}

TEST_CASE_TEMPLATE("attach_terminal: keys, output and size go through, and the escape detaches", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    fixture<T> here;
    const auto kernel = here.make("bash");
    user me;
    REQUIRE_FALSE(me.is_raw());
    auto pty = kernel.stream_pty();
    terminal_options options;
    options.input = options.output = me.inner;
    options.size_interval = milliseconds(20);
    std::optional<terminal_end> end;
    std::thread attached([&] { end = attach_terminal(pty, options); });
    CHECK(soon([&] { return me.is_raw(); }));
    me.type("stty size\n");
    CHECK(contains(me.see("30 90"), "30 90"));
    me.resize(50, 120);
    std::this_thread::sleep_for(milliseconds(200));
    me.type("stty size\n");
    CHECK(contains(me.see("50 120"), "50 120"));
    me.type("sh -c 'echo begun-$((1+1)); exec sleep 100'\n");
    me.see("begun-2");
    me.type("\x03"); // for there, not for this program
    me.see("$ ");
    me.type("echo after-$?\n");
    CHECK(contains(me.see("after-130"), "after-130"));
    me.type("\x1d");
    attached.join();
    CHECK(end == terminal_end::detached);
    CHECK_FALSE(me.is_raw());
    CHECK(soon([&] { return here.gateway.open_streams() == 0; }));
}

TEST_CASE_TEMPLATE("attach_terminal: ends with the shell; errors come out with the terminal as it was", T,
                   BACKENDAI_SOCKET_TRANSPORTS) {
    fixture<T> here;
    const auto kernel = here.make("bash");
    user me;
    terminal_options options;
    options.input = options.output = me.inner;
    {
        auto pty = kernel.stream_pty();
        std::thread typist([&] { me.type("exit\n"); });
        CHECK(attach_terminal(pty, options) == terminal_end::ended);
        typist.join();
        CHECK_FALSE(me.is_raw());
    }
    here.inject(fault_kind::websocket_bad_frame);
    auto broken = kernel.stream_pty();
    CHECK(result_of([&] { attach_terminal(broken, options); }).what == "protocol");
    CHECK_FALSE(me.is_raw());
    // Input that is no terminal: commands from a file, and output into one.
    int commands[2], shown[2];
    REQUIRE(::pipe(commands) == 0);
    REQUIRE(::pipe(shown) == 0);
    const std::string text = "echo $((5*5))\nexit\n";
    REQUIRE(::write(commands[1], text.data(), text.size()) > 0);
    ::close(commands[1]);
    options.input = commands[0];
    options.output = shown[1];
    auto pty = kernel.stream_pty();
    CHECK(attach_terminal(pty, options) == terminal_end::ended);
    ::close(shown[1]);
    std::string all;
    char buffer[4096];
    for (ssize_t count = 0; (count = ::read(shown[0], buffer, sizeof buffer)) > 0;) {
        all.append(buffer, static_cast<std::size_t>(count));
    }
    ::close(commands[0]);
    ::close(shown[0]);
    CHECK(contains(all, "25"));
}

TEST_CASE("attach_terminal: the sequence that detaches is found across reads, and nothing else is lost") {
    const auto pass = [](const std::string& sequence, const std::vector<std::string>& typed) {
        detail::detach_filter filter(sequence);
        std::string sent;
        for (const std::string& text : typed) sent += filter.pass(text);
        return sent + (filter.found() ? "!" : "");
    };
    CHECK(pass("\x1d", {"ab", "c\x1d"
                              "d"}) == "abc!");
    CHECK(pass("~~.", {"a~", "~", ".b"}) == "a!");
    CHECK(pass("~~.", {"~~~~."}) == "~~!");
    CHECK(pass("~~.", {"~", "x~~", "y"}) == "~x~~y");
    CHECK(pass("", {"\x1d", "x"}) == "\x1dx");
}
