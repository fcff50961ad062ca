/// @file
/// Whether standard error is a terminal, and how wide.
#ifndef BACKENDAI_OS_TERMINAL_OUTPUT_HPP
#define BACKENDAI_OS_TERMINAL_OUTPUT_HPP

#include <backendai/version.hpp>

#ifdef _WIN32
#ifndef NOMINMAX
#define NOMINMAX
#endif
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>
#else
#include <sys/ioctl.h>
#include <unistd.h>
#endif

BACKENDAI_NAMESPACE_BEGIN
namespace os {

/// The columns of the terminal that standard error writes to; 0 when it is none.
template <class = void>
int error_terminal_width() {
#ifdef _WIN32
    CONSOLE_SCREEN_BUFFER_INFO info{};
    if (!GetConsoleScreenBufferInfo(GetStdHandle(STD_ERROR_HANDLE), &info)) return 0;
    return info.srWindow.Right - info.srWindow.Left + 1;
#else
    if (isatty(STDERR_FILENO) == 0) return 0;
    struct winsize size {};
    const bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return known ? size.ws_col : 80;
#endif
}

} // namespace os
BACKENDAI_NAMESPACE_END

#endif
