/// @file
/// Child processes with pipes on chosen descriptors, each in a session of its own so that a signal reaches its whole
/// family. POSIX only.
#ifndef BACKENDAI_OS_PROCESS_HPP
#define BACKENDAI_OS_PROCESS_HPP

#ifdef _WIN32
#error "backendai/os/process.hpp needs a POSIX system: the embedded gateway runs on Linux and macOS"
#endif

#include <backendai/version.hpp>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <fcntl.h>
#include <map>
#include <string>
#include <string_view>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace os {

/// A file descriptor that closes itself.
class descriptor {
public:
    descriptor() = default;
    explicit descriptor(int number) : number_(number) {}
    descriptor(descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
    descriptor& operator=(descriptor&& other) noexcept {
        if (this != &other) {
            close();
            number_ = std::exchange(other.number_, -1);
        }
        return *this;
    }
    ~descriptor() { close(); }
    int get() const { return number_; }
    bool is_open() const { return number_ >= 0; }
    void close() {
        if (number_ >= 0) ::close(std::exchange(number_, -1));
    }

private:
    int number_ = -1;
};

/// Both ends of a pipe; children do not inherit them.
struct pipe_ends {
    descriptor read_end, write_end;
};

/// @throws std::system_error when the process has no descriptors left.
inline pipe_ends make_pipe() {
    int ends[2];
#if defined(__linux__)
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
#else
    if (::pipe(ends) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
    ::fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    ::fcntl(ends[1], F_SETFD, FD_CLOEXEC);
#endif
    return {descriptor(ends[0]), descriptor(ends[1])};
}

inline void set_nonblocking(int number) {
    ::fcntl(number, F_SETFL, ::fcntl(number, F_GETFL) | O_NONBLOCK);
}

/// What to start and how.
struct process_options {
    std::vector<std::string> arguments;             ///< [0] is the program: a path, or a name to look up in PATH
    std::map<std::string, std::string> environment; ///< the whole environment of the child
    std::string directory;                          ///< working directory; empty = the caller's
    /// Child's descriptor number → ours. 0, 1 and 2 are /dev/null where they are not named.
    std::map<int, int> descriptors;
};

/// The path of a program by PATH, or an empty text.
inline std::string find_program(std::string_view name) {
    if (name.find('/') != std::string_view::npos)
        return ::access(std::string(name).c_str(), X_OK) == 0 ? std::string(name) : "";
    const char* variable = std::getenv("PATH");
    std::string_view path = variable != nullptr ? variable : "/usr/local/bin:/usr/bin:/bin";
    for (;;) {
        const std::size_t end = path.find(':');
        const std::string candidate = std::string(path.substr(0, end)) + '/' + std::string(name);
        struct stat status {};
        if (::stat(candidate.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
            ::access(candidate.c_str(), X_OK) == 0) {
            return candidate;
        }
        if (end == std::string_view::npos) return {};
        path.remove_prefix(end + 1);
    }
}

/// What a finished process had used.
struct process_usage {
    double cpu_ms = 0;
    long max_resident_kib = 0;
};

/// One child process. Destruction kills its family and waits for it.
/// Thread-safety: signal() may be called while another thread calls try_wait(), under a lock of the caller's.
class child_process {
public:
    child_process() = default;
    /// @throws std::system_error when the program cannot be started.
    explicit child_process(const process_options& options) { start(options); }
    child_process(child_process&& other) noexcept
        : pid_(std::exchange(other.pid_, -1)), status_(other.status_), usage_(other.usage_) {}
    child_process& operator=(child_process&& other) noexcept {
        if (this != &other) {
            kill_and_wait();
            pid_ = std::exchange(other.pid_, -1);
            status_ = other.status_;
            usage_ = other.usage_;
        }
        return *this;
    }
    ~child_process() { kill_and_wait(); }

    bool is_running() const { return pid_ > 0; }

    /// Sends a signal to the child and all its descendants that stayed in its process group.
    void signal(int number) {
        if (pid_ > 0) ::kill(-pid_, number);
    }

    /// Whether the child has ended; then it is reaped.
    bool try_wait() { return pid_ <= 0 || reap(WNOHANG); }

    /// Kills the family and reaps the child.
    void kill_and_wait() {
        if (pid_ <= 0) return;
        ::kill(-pid_, SIGKILL);
        reap(0);
    }

    /// Waits for the end; the exit code, or 128 + the signal's number as shells have it.
    int wait() {
        if (pid_ > 0) reap(0);
        return WIFSIGNALED(status_) ? 128 + WTERMSIG(status_) : WEXITSTATUS(status_);
    }
    const process_usage& usage() const { return usage_; }

private:
    bool reap(int flags) {
        // Looks before it reaps: until then the group's number cannot be reused, so that descendants that outlived the
        // child can be killed by it.
        siginfo_t info{};
        int result = 0;
        do {
            info.si_pid = 0;
            result = ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT | flags);
        } while (result < 0 && errno == EINTR);
        if (result == 0 && info.si_pid == 0) return false;
        ::kill(-pid_, SIGKILL);
        struct rusage used {};
        while (::wait4(pid_, &status_, 0, &used) < 0 && errno == EINTR) continue;
        usage_.cpu_ms = static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e3 +
                        static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e3;
#ifdef __APPLE__
        usage_.max_resident_kib = used.ru_maxrss / 1024;
#else
        usage_.max_resident_kib = used.ru_maxrss;
#endif
        pid_ = -1;
        return true;
    }

    void start(const process_options& options) {
        // Everything that allocates happens before the fork: in a program with threads the child may only make
        // async-signal-safe calls.
        std::vector<char*> arguments;
        for (const std::string& text : options.arguments) arguments.push_back(const_cast<char*>(text.c_str()));
        arguments.push_back(nullptr);
        std::vector<std::string> variables;
        for (const auto& item : options.environment) variables.push_back(item.first + '=' + item.second);
        std::vector<char*> environment;
        for (std::string& text : variables) environment.push_back(&text[0]);
        environment.push_back(nullptr);
        const std::string program = find_program(options.arguments.at(0));
        if (program.empty()) throw std::system_error(ENOENT, std::generic_category(), options.arguments[0]);
        descriptor null(::open("/dev/null", O_RDWR | O_CLOEXEC));
        std::map<int, int> wanted = {{0, null.get()}, {1, null.get()}, {2, null.get()}};
        for (const auto& item : options.descriptors) wanted[item.first] = item.second;
        std::vector<std::pair<int, int>> moves(wanted.begin(), wanted.end());
        pipe_ends failure = make_pipe();
        const pid_t pid = ::fork();
        if (pid < 0) throw std::system_error(errno, std::generic_category(), "fork");
        if (pid == 0)
            run_child(moves, options.directory, program.c_str(), arguments, environment, failure.write_end.get());
        failure.write_end.close();
        int error = 0;
        ssize_t count = 0;
        do {
            count = ::read(failure.read_end.get(), &error, sizeof error); // nothing when exec has closed the pipe
        } while (count < 0 && errno == EINTR);
        if (count > 0) {
            int status = 0;
            while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
            throw std::system_error(error, std::generic_category(), program);
        }
        pid_ = pid;
    }

    [[noreturn]] static void run_child(std::vector<std::pair<int, int>>& moves, const std::string& directory,
                                       const char* program, std::vector<char*>& arguments,
                                       std::vector<char*>& environment, int failure) {
        ::setsid();
        for (const int number : {SIGINT, SIGTERM, SIGPIPE, SIGHUP, SIGQUIT, SIGCHLD}) ::signal(number, SIG_DFL);
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, nullptr);
        bool good = directory.empty() || ::chdir(directory.c_str()) == 0;
        // Away from the low numbers first, so that no target overwrites a source.
        const int report = ::fcntl(failure, F_DUPFD_CLOEXEC, 64);
        for (auto& move : moves) {
            move.second = ::fcntl(move.second, F_DUPFD_CLOEXEC, 64);
            good = good && move.second >= 0;
        }
        for (auto& move : moves) good = good && ::dup2(move.second, move.first) >= 0;
        if (good) ::execve(program, arguments.data(), environment.data());
        const int error = errno;
        if (::write(report, &error, sizeof error) < 0) ::_exit(126);
        ::_exit(127);
    }

    pid_t pid_ = -1;
    int status_ = 0;
    process_usage usage_;
};

/// The environment of this process.
inline std::map<std::string, std::string> current_environment(char** variables) {
    std::map<std::string, std::string> result;
    for (; variables != nullptr && *variables != nullptr; ++variables) {
        const std::string_view text = *variables;
        const std::size_t equals = text.find('=');
        if (equals != std::string_view::npos) result.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
    return result;
}

} // namespace os
BACKENDAI_NAMESPACE_END

#endif
