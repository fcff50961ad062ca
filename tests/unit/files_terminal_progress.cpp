// The progress bar: what it draws, and that it draws on terminals only.
#include <backendai/codec/utf8.hpp>
#include <backendai/files/progress.hpp>
#include <backendai/files/terminal_progress.hpp>

#include <doctest/doctest.h>

#include <string>
#ifndef _WIN32
#include "files_support.hpp"

#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>
#endif

using backendai::terminal_progress;

TEST_CASE("a progress line says how far, how much, and of which file") {
    CHECK(terminal_progress::line("a.txt", 0, 100, 80) == "[                        ]   0% 0 B of 100 B 'a.txt'");
    CHECK(terminal_progress::line("a.txt", 50, 100, 80) == "[############            ]  50% 50 B of 100 B 'a.txt'");
    CHECK(terminal_progress::line("a.txt", 100, 100, 80) == "[########################] 100% 100 B of 100 B 'a.txt'");
    CHECK(terminal_progress::line("a", 3 << 20, 4ULL << 30, 80) ==
          "[                        ]   0% 3.0 MiB of 4.0 GiB 'a'");
    CHECK(terminal_progress::line("a", 1536, 0, 80) == "1.5 KiB 'a'");               // nobody knows the total
    CHECK(terminal_progress::line("a", 7, 5, 80).find("100%") != std::string::npos); // more than was announced
    CHECK(terminal_progress::line("a", ~0ULL, ~0ULL, 80).find("100%") != std::string::npos);
}

TEST_CASE("a progress line fits the terminal and cannot write to it as it likes") {
    const std::string name = "\xed\x95\x9c\xea\xb8\x80\xed\x95\x9c\xea\xb8\x80.txt";
    for (int width = 0; width < 60; ++width) {
        const std::string line = terminal_progress::line(name, 1, 0, width);
        CHECK(line.size() <= static_cast<std::size_t>(width));
        CHECK(backendai::codec::is_utf8(line)); // cut between characters
    }
    const std::string hostile = terminal_progress::line("\x1b[2J\r\n\x9b", 1, 0, 80);
    CHECK(hostile.find_first_of("\x1b\r\n\x9b") == std::string::npos);
}

#ifndef _WIN32
namespace {

// Standard error is another file as long as it lives.
class other_standard_error {
public:
    explicit other_standard_error(int descriptor) : saved_(::dup(STDERR_FILENO)) {
        std::fflush(stderr);
        ::dup2(descriptor, STDERR_FILENO);
    }
    other_standard_error(const other_standard_error&) = delete;
    other_standard_error& operator=(const other_standard_error&) = delete;
    ~other_standard_error() {
        std::fflush(stderr);
        ::dup2(saved_, STDERR_FILENO);
        ::close(saved_);
    }

private:
    int saved_;
};

void transfer() {
    const terminal_progress bar;
    const backendai::progress_callback callback = bar;
    for (std::uint64_t done = 0; done <= 1000; ++done) CHECK(callback("file", done, 1000));
}

} // namespace

TEST_CASE("a progress bar is drawn on a terminal, seldom, and its line ended") {
    const int user = ::posix_openpt(O_RDWR | O_NOCTTY);
    REQUIRE(user >= 0);
    REQUIRE(::grantpt(user) == 0);
    REQUIRE(::unlockpt(user) == 0);
    const int terminal = ::open(::ptsname(user), O_RDWR | O_NOCTTY);
    REQUIRE(terminal >= 0);
    struct winsize size {};
    size.ws_col = 40;
    REQUIRE(::ioctl(terminal, TIOCSWINSZ, &size) == 0);
    {
        const other_standard_error redirected(terminal);
        transfer();
    }
    std::string seen;
    char buffer[4096];
    REQUIRE(::fcntl(user, F_SETFL, O_NONBLOCK) == 0);
    for (ssize_t count = 0; (count = ::read(user, buffer, sizeof buffer)) > 0;)
        seen.append(buffer, static_cast<std::size_t>(count));
    ::close(terminal);
    ::close(user);
    CHECK(seen.find("\r[                        ]   0% 0 B of \x1b[K") == 0); // at once, cut to the width
    CHECK(seen.find("\r[########################] 100% 1000 B \x1b[K\r\n") != std::string::npos);
    CHECK(seen.find('\n') == seen.size() - 1);
    std::size_t drawn = 0;
    for (const char c : seen) drawn += c == '[' ? 1U : 0U;
    CHECK(drawn < 200); // of 1001 calls, and each has two of them
}

TEST_CASE("a progress bar draws nothing where standard error is no terminal") {
    const files_support::sandbox box;
    const auto path = box.put("error", "");
    const int file = ::open(path.c_str(), O_WRONLY);
    REQUIRE(file >= 0);
    {
        const other_standard_error redirected(file);
        transfer();
    }
    ::close(file);
    CHECK(files_support::sandbox::read(path).empty());
}
#endif
