// What the program prints: results to standard output, notes for the person at the terminal to standard error.
#ifndef BACKENDAI_CLI_OUTPUT_HPP
#define BACKENDAI_CLI_OUTPUT_HPP

#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>

namespace cli {

// A message for the user and the exit code that goes with it: 1 for what failed, 2 for a command line that is wrong.
class failure : public std::runtime_error {
public:
    explicit failure(const std::string& message, int exit_code = 1)
        : std::runtime_error(message), exit_code_(exit_code) {}
    int exit_code() const noexcept { return exit_code_; }

private:
    int exit_code_;
};

// Somebody closed standard output, as `head` does when it has seen enough.
class closed_output : public failure {
public:
    closed_output() : failure("Standard output was closed before all of the output was written.") {}
};

// Writes all of it to a descriptor. Output that is lost is an error: a full disk must not look like a success.
void write_all(int descriptor, std::string_view text, const char* name);

// Columns of the terminal; 0 where the descriptor is none.
int terminal_width(int descriptor);

// Standard output: buffered while a listing is made, flushed by the program's end or by flush(). Thread-safe.
class output {
public:
    void write(std::string_view text);
    void line(std::string_view text);
    void flush();

private:
    void flush_locked();
    std::mutex mutex_;
    std::string buffer_;
};

// Standard error. Marks and colours are for terminals, and no colours where NO_COLOR is set. Thread-safe.
class notes {
public:
    explicit notes(bool is_quiet = false);
    void info(const std::string& text); // something to know
    void done(const std::string& text); // something has been done
    void fail(const std::string& text); // something has failed
    void wait(const std::string& text); // something goes on; on terminals only, until the next note replaces it
    // Text as it is: what code in a session writes to its standard error, and questions.
    void raw(std::string_view text);
    void set_quiet(bool quiet) { is_quiet_ = quiet; } // info, done and wait print nothing
    bool quiet() const { return is_quiet_; }

    // For text that stands out on standard output or error, on terminals with colours.
    static std::string bold(const std::string& text, int descriptor);
    static bool has_colours(int descriptor);

private:
    void print(const char* mark, const char* colour, const std::string& text, bool transient);
    std::mutex mutex_;
    bool is_quiet_;
    bool is_terminal_, has_colours_;
    bool waits_ = false; // a transient line stands there
};

} // namespace cli

#endif
