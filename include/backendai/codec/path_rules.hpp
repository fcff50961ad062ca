/// @file
/// Which names from a server may be used below a destination directory.
#ifndef BACKENDAI_CODEC_PATH_RULES_HPP
#define BACKENDAI_CODEC_PATH_RULES_HPP

#include <backendai/codec/decode_error.hpp>
#include <backendai/codec/printable.hpp>
#include <backendai/version.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// How careful to be with a server's names.
enum class path_policy {
    /// Refuses everywhere what is special anywhere, so that one archive gives the same files, or the same error, on
    /// Linux, macOS and Windows, and a tree that was downloaded may be copied to any of them.
    portable,
    /// For a destination on a POSIX file system only: lets through what is an ordinary character there and special
    /// on Windows alone (colons, device names such as `aux.c`, names that end in a dot or a space).
    posix
};

/// What to do with a name that means the destination directory itself, such as `.` or `./`
/// (`tar -C directory .` writes one as its first entry).
enum class root_name {
    refuse,
    allow ///< safe_relative_path returns no components for it
};

namespace detail {

inline char ascii_upper(char c) noexcept {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

/// Whether Windows opens a device instead of a file of this name. It looks at what stands before the first dot (or
/// colon), without trailing spaces, in any case: `nul`, `Com1.txt`, `aux .c`; the superscript digits count as digits.
template <class = void>
bool is_windows_device_name(std::string_view component) {
    std::string_view stem = component.substr(0, component.find_first_of(".:"));
    while (!stem.empty() && stem.back() == ' ') stem.remove_suffix(1);
    std::string upper;
    for (const char c : stem) upper += ascii_upper(c);
    for (const char* device : {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$"}) {
        if (upper == device) return true;
    }
    if (upper.compare(0, 3, "COM") != 0 && upper.compare(0, 3, "LPT") != 0) return false;
    const std::string_view number = std::string_view(upper).substr(3);
    if (number.size() == 1) return number[0] >= '0' && number[0] <= '9';
    return number == "\xC2\xB9" || number == "\xC2\xB2" || number == "\xC2\xB3"; // superscript 1, 2, 3 in UTF-8
}

template <class = void>
[[noreturn]] inline void refuse_name(std::string_view what, std::string_view name, std::string_view why) {
    std::string message(what);
    message += ' ';
    message += printable(name);
    message += ": ";
    message += why;
    throw decode_error(message);
}

/// The checks that regard characters, wherever in the name they stand.
template <class = void>
void check_path_characters(std::string_view what, std::string_view name, path_policy policy) {
    std::string_view rest = name;
    while (!rest.empty()) {
        const utf8_character next = decode_utf8_character(rest);
        // Bytes that are not UTF-8 are no name on macOS and Windows, and hide slashes in overlong forms; servers send
        // names in JSON and tar as UTF-8, so such a name is damaged or made to deceive.
        if (next.length == 0) refuse_name(what, name, "is not valid UTF-8");
        if (next.code_point == 0) refuse_name(what, name, "contains a NUL byte");
        if (is_control_character(next.code_point)) refuse_name(what, name, "contains a control character");
        // Not only on Windows: a Windows server's separators would make one flat file named 'a\b' elsewhere.
        if (next.code_point == '\\') refuse_name(what, name, "contains a backslash");
        if (next.code_point == ':' && policy == path_policy::portable)
            refuse_name(what, name, "contains a colon, which means a drive or a stream on Windows");
        rest.remove_prefix(next.length);
    }
}

/// The checks that regard one component, neither empty nor `.`.
template <class = void>
void check_path_component(std::string_view what, std::string_view name, std::string_view component,
                          path_policy policy) {
    constexpr std::size_t longest_component = 255; // bytes; NAME_MAX of Linux, macOS and NTFS (there in UTF-16 units)
    if (component.size() > longest_component) refuse_name(what, name, "has a component of more than 255 bytes");
    if (policy != path_policy::portable) return;
    if (component.back() == '.' || component.back() == ' ')
        refuse_name(what, name, "has a component that ends in a dot or a space, which Windows drops");
    if (is_windows_device_name(component)) refuse_name(what, name, "names a device on Windows");
}

constexpr std::size_t longest_path = 4096; // bytes; Linux's PATH_MAX
constexpr std::size_t deepest_path = 256;  // components; what one entry of a few bytes can make of a disk has an end

} // namespace detail

/// Decides whether `name`, which came from a server, may be used below a destination directory.
///
/// Refused are: the empty name, absolute names, `..` anywhere, NUL and other control characters, backslashes, bytes
/// that are not UTF-8, components longer than 255 bytes, names longer than 4096 bytes or deeper than 256 components,
/// and by path_policy::portable also colons (drives, streams), Windows device names, and components that end in a dot
/// or a space. Empty components and `.` are dropped (`./a`, `a//b`, `a/./b` and `a/` are ordinary output of archivers).
/// Everything else goes through: UTF-8, spaces, quotes, percent signs, leading dots and dashes.
///
/// It says nothing about links that already exist below the destination: the caller must not walk through those.
///
/// @return the components, outermost first; empty only for a root name with root_name::allow.
/// @throws decode_error that names the entry (escaped, see printable()). Pure; thread-safe.
template <class = void>
std::vector<std::string> safe_relative_path(std::string_view name, root_name root = root_name::refuse,
                                            path_policy policy = path_policy::portable) {
    static constexpr std::string_view what = "unsafe file name";
    if (name.empty()) detail::refuse_name(what, name, "is empty");
    if (name.size() > detail::longest_path) detail::refuse_name(what, name, "is longer than 4096 bytes");
    if (name.front() == '/') detail::refuse_name(what, name, "is absolute");
    detail::check_path_characters(what, name, policy);
    std::vector<std::string> components;
    for (std::size_t begin = 0; begin <= name.size();) {
        const std::size_t end = (std::min)(name.find('/', begin), name.size());
        const std::string_view component = name.substr(begin, end - begin);
        begin = end + 1;
        if (component.empty() || component == ".") continue;
        if (component == "..") detail::refuse_name(what, name, "leads out of its directory");
        detail::check_path_component(what, name, component, policy);
        if (components.size() == detail::deepest_path) detail::refuse_name(what, name, "is deeper than 256 components");
        components.emplace_back(component);
    }
    if (components.empty() && root == root_name::refuse) detail::refuse_name(what, name, "names no file");
    return components;
}

/// The components joined by `/`, the normal form of a name in this SDK.
template <class = void>
std::string join_path(const std::vector<std::string>& components) {
    std::string result;
    for (const std::string& component : components) {
        if (!result.empty()) result += '/';
        result += component;
    }
    return result;
}

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif
