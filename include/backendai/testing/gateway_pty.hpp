/// @file
/// A shell on a pseudo terminal.
#ifndef BACKENDAI_TESTING_GATEWAY_PTY_HPP
#define BACKENDAI_TESTING_GATEWAY_PTY_HPP

#include <backendai/os/process.hpp>
#include <backendai/version.hpp>

#include <chrono>
#include <cstdlib>
#include <fcntl.h>
#include <map>
#include <optional>
#include <poll.h>
#include <string>
#include <string_view>
#include <sys/ioctl.h>
#include <system_error>
#include <termios.h>
#include <unistd.h>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// Ends the shell when it is destroyed. One thread may read while another writes and resizes.
class pty_shell {
public:
    pty_shell(const std::map<std::string, std::string>& environment, const std::string& directory) {
        main_ = os::descriptor(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
        char name[128] = {};
        if (!main_.is_open() || ::grantpt(main_.get()) != 0 || ::unlockpt(main_.get()) != 0 ||
            ::ptsname_r(main_.get(), name, sizeof name) != 0) {
            throw std::system_error(errno, std::generic_category(), "pseudo terminal");
        }
        resize(24, 80);
        // A session leader without a terminal gets the first one that it opens: here by the redirection.
        std::string shell = os::find_program("bash");
        const bool is_bash = !shell.empty();
        if (!is_bash) shell = "/bin/sh";
        os::process_options options;
        options.arguments = {"/bin/sh", "-c", R"(exec <"$0" >"$0" 2>&1; exec "$@")", name, shell};
        if (is_bash) options.arguments.insert(options.arguments.end(), {"--noprofile", "--norc", "--noediting"});
        options.arguments.emplace_back("-i");
        options.environment = environment;
        options.environment["TERM"] = "xterm";
        options.environment["PS1"] = "$ ";
        options.environment.erase("PROMPT_COMMAND");
        options.directory = directory;
        // Held open as long as the other side: a terminal that nobody holds reads as ended, and what is typed before
        // the shell has it is echoed already.
        other_ = os::descriptor(::open(name, O_RDWR | O_NOCTTY | O_CLOEXEC));
        process_ = os::child_process(options);
    }

    /// What the terminal shows; empty when nothing came within @p limit; nothing when the shell has ended.
    std::optional<std::string> read_for(std::chrono::milliseconds limit) {
        pollfd entry{main_.get(), POLLIN, 0};
        if (::poll(&entry, 1, static_cast<int>(limit.count())) <= 0) {
            if (process_.try_wait()) return std::nullopt;
            return std::string();
        }
        char buffer[16384];
        const ssize_t count = ::read(main_.get(), buffer, sizeof buffer);
        if (count > 0) return std::string(buffer, static_cast<std::size_t>(count));
        if (count < 0 && (errno == EINTR || errno == EAGAIN)) return std::string();
        return std::nullopt;
    }
    void write(std::string_view bytes) {
        while (!bytes.empty()) {
            const ssize_t count = ::write(main_.get(), bytes.data(), bytes.size());
            if (count < 0 && errno != EINTR) return; // the shell has ended, which read_for() tells
            if (count > 0) bytes.remove_prefix(static_cast<std::size_t>(count));
        }
    }
    void resize(int rows, int cols) {
        winsize size{};
        size.ws_row = static_cast<unsigned short>(rows);
        size.ws_col = static_cast<unsigned short>(cols);
        ::ioctl(main_.get(), TIOCSWINSZ, &size);
    }

private:
    os::descriptor main_, other_;
    os::child_process process_;
};

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
