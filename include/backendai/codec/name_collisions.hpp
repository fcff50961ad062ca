/// @file
/// Finds names that are different here and the same on file systems which do not tell upper from lower case.
#ifndef BACKENDAI_CODEC_NAME_COLLISIONS_HPP
#define BACKENDAI_CODEC_NAME_COLLISIONS_HPP

#include <backendai/codec/decode_error.hpp>
#include <backendai/codec/path_rules.hpp>
#include <backendai/codec/printable.hpp>
#include <backendai/version.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {
namespace detail {

/// Lower case of the scripts that have one, letter by letter as file systems do it. Rare letters are left out: what is
/// missed here meets the file system's own rule.
template <class = void>
std::uint32_t lower_case(std::uint32_t c) noexcept {
    const auto within = [c](std::uint32_t first, std::uint32_t last) { return c >= first && c <= last; };
    if (within('A', 'Z')) return c + 32;
    if (within(0xC0, 0xDE) && c != 0xD7) return c + 32; // Latin-1, but for the multiplication sign
    if (c == 0x178) return 0xFF;
    // Pairs, the upper case first: even numbers, and odd ones in two stretches.
    if (within(0x139, 0x148) || within(0x179, 0x17E)) return c + c % 2;
    if ((within(0x100, 0x177) && c != 0x130 && c != 0x131 && c != 0x138) || within(0x460, 0x481) ||
        within(0x48A, 0x4BF) || within(0x4D0, 0x52F) || within(0x1E00, 0x1E95) || within(0x1EA0, 0x1EFF)) {
        return c | 1U;
    }
    if (within(0x391, 0x3AB) && c != 0x3A2) return c + 32; // Greek
    if (c == 0x386) return 0x3AC;
    if (within(0x388, 0x38A)) return c + 37;
    if (within(0x410, 0x42F)) return c + 32; // Cyrillic
    if (within(0x400, 0x40F)) return c + 80;
    if (within(0x531, 0x556)) return c + 48;   // Armenian
    if (within(0xFF21, 0xFF3A)) return c + 32; // full width
    return c;
}

/// A name's key: equal for names that differ by case only. @p name is UTF-8.
template <class = void>
std::u32string case_key(std::string_view name) {
    std::u32string key;
    while (!name.empty()) {
        const utf8_character next = decode_utf8_character(name);
        if (next.length == 0) break; // not from safe_relative_path()
        key += static_cast<char32_t>(lower_case(next.code_point));
        name.remove_prefix(next.length);
    }
    return key;
}

} // namespace detail

/// The names of one transfer. On macOS and Windows `README` and `readme` are one file, of which the second would
/// replace the first unseen. Not thread-safe. Memory: linear in the components of the names.
class name_collisions {
public:
    /// @param name from safe_relative_path(); the same one again is no collision
    /// @throws decode_error when an earlier name, or a directory of one, is spelled differently by case only
    template <class = void>
    void add(const std::vector<std::string>& name) {
        std::size_t at = 0; // the number of the directory
        for (const std::string& component : name) {
            const auto added = known_.try_emplace({at, detail::case_key(component)});
            spelling& known = added.first->second;
            if (added.second) {
                known = {component, known_.size()};
            } else if (known.text != component) {
                detail::refuse_name("unsafe file name", join_path(name),
                                    "differs only by case from an earlier name with " + printable(known.text));
            }
            at = known.number;
        }
    }

private:
    struct spelling {
        std::string text;
        std::size_t number = 0;
    };
    std::map<std::pair<std::size_t, std::u32string>, spelling> known_;
};

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif
