/// @file
/// A ready-made progress bar for programs that run in a terminal.
#ifndef BACKENDAI_FILES_TERMINAL_PROGRESS_HPP
#define BACKENDAI_FILES_TERMINAL_PROGRESS_HPP

#include <backendai/codec/printable.hpp>
#include <backendai/os/terminal_output.hpp>
#include <backendai/version.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

BACKENDAI_NAMESPACE_BEGIN

/// Draws a bar on standard error, at most ten times a second: `options.progress = backendai::terminal_progress();`.
/// Draws nothing when standard error is no terminal. The line is ended when the last copy goes away.
/// One object for one transfer at a time.
class terminal_progress {
public:
    terminal_progress() : state_(std::make_shared<state>(os::error_terminal_width())) {}

    void operator()(const std::string& file, std::uint64_t done, std::uint64_t total) const {
        if (state_->width == 0) return;
        const auto now = std::chrono::steady_clock::now();
        const bool complete = total != 0 && done == total;
        if (state_->drawn && !complete && now - state_->last < std::chrono::milliseconds(100)) return;
        state_->last = now;
        state_->drawn = true;
        std::fprintf(stderr, "\r%s\033[K", line(file, done, total, state_->width - 1).c_str());
        std::fflush(stderr);
    }

    /// The line that is drawn, cut to @p width columns (a byte counts as one).
    template <class = void>
    static std::string line(const std::string& file, std::uint64_t done, std::uint64_t total, int width) {
        constexpr std::uint64_t steps = 24;
        std::string text;
        if (total != 0) {
            const double fraction = static_cast<double>((std::min)(done, total)) / static_cast<double>(total);
            const auto filled = static_cast<std::size_t>(fraction * static_cast<double>(steps));
            char percent[16];
            std::snprintf(percent, sizeof percent, "%3d%% ", static_cast<int>(fraction * 100));
            text = '[' + std::string(filled, '#') + std::string(steps - filled, ' ') + "] " + percent;
        }
        text += size_text(done);
        if (total != 0) text += " of " + size_text(total);
        text += ' ' + codec::printable(file); // a server's file name may hold escape sequences
        const auto columns = static_cast<std::size_t>((std::max)(width, 0));
        if (text.size() > columns) {
            std::size_t end = columns;
            while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end; // not inside a character
            text.resize(end);
        }
        return text;
    }

private:
    struct state {
        explicit state(int columns) : width(columns) {}
        state(const state&) = delete;
        state& operator=(const state&) = delete;
        ~state() {
            if (drawn) std::fputc('\n', stderr);
        }
        int width;
        bool drawn = false;
        std::chrono::steady_clock::time_point last;
    };

    template <class = void>
    static std::string size_text(std::uint64_t bytes) {
        static constexpr const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
        auto amount = static_cast<double>(bytes);
        std::size_t unit = 0;
        for (; amount >= 1024 && unit < 4; ++unit) amount /= 1024;
        char text[32];
        std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", amount, units[unit]);
        return text;
    }

    std::shared_ptr<state> state_;
};

BACKENDAI_NAMESPACE_END

#endif
