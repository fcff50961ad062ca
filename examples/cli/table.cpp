#include "table.hpp"

#include <backendai/codec/printable.hpp>

#include <algorithm>
#include <cstdio>
#include <limits>
#include <numeric>

namespace cli {
namespace {

// East Asian wide characters and emoji take two columns, combining marks none.
std::size_t character_width(std::uint32_t c) {
    const auto within = [c](std::uint32_t first, std::uint32_t last) { return c >= first && c <= last; };
    if (within(0x300, 0x36F) || within(0x200B, 0x200F) || within(0xFE00, 0xFE0F)) return 0;
    const bool is_wide = within(0x1100, 0x115F) || within(0x2E80, 0xA4CF) || within(0xAC00, 0xD7A3) ||
                         within(0xF900, 0xFAFF) || within(0xFE30, 0xFE6F) || within(0xFF00, 0xFF60) ||
                         within(0xFFE0, 0xFFE6) || within(0x1F300, 0x1FAFF) || within(0x20000, 0x3FFFD);
    return is_wide ? 2 : 1;
}

// Calls back with each character's text and width until that returns false.
template <class Callback>
void each_character(std::string_view text, Callback callback) {
    while (!text.empty()) {
        const auto next = backendai::codec::detail::decode_utf8_character(text);
        const std::size_t length = next.length == 0 ? 1 : next.length;
        if (!callback(text.substr(0, length), next.length == 0 ? 1 : character_width(next.code_point))) return;
        text.remove_prefix(length);
    }
}

std::string fitted(const std::string& text, std::size_t width) {
    if (display_width(text) <= width) return text + std::string(width - display_width(text), ' ');
    std::string cut;
    std::size_t used = 0;
    each_character(text, [&](std::string_view character, std::size_t columns) {
        if (used + columns + 1 > width) return false;
        cut += character;
        used += columns;
        return true;
    });
    return cut + "\u2026" + std::string(width - used - 1, ' ');
}

// A column that has to give keeps so much, to be of some use.
constexpr std::size_t gap = 2, least = 8;

// Takes from the widest columns, one step down to the next wide one at a time, until all fit.
void shrink(std::vector<std::size_t>& widths, std::size_t room) {
    const auto total = [&] { return std::accumulate(widths.begin(), widths.end(), gap * (widths.size() - 1)); };
    while (total() > room) {
        std::size_t& widest = *std::max_element(widths.begin(), widths.end());
        if (widest <= least) return;
        std::size_t second = least;
        for (const std::size_t width : widths) {
            if (width < widest) second = (std::max)(second, width);
        }
        widest -= (std::max)(std::size_t{1}, (std::min)(total() - room, widest - second));
    }
}

} // namespace

std::string format_bytes(double bytes) {
    static constexpr const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    std::size_t unit = 0;
    for (; bytes >= 1024 && unit < 4; ++unit) bytes /= 1024;
    char text[32];
    std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
    return text;
}

std::string cell_text(const nlohmann::json& value, column::form form) {
    if (value.is_null()) return "-";
    if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
    if (value.is_number() && form == column::form::mebibytes) {
        char text[32];
        std::snprintf(text, sizeof text, "%.1f", value.get<double>() / (1 << 20));
        return text;
    }
    if (value.is_number() && form == column::form::bytes) return format_bytes(value.get<double>());
    std::string text;
    if (value.is_object()) {
        for (const auto& member : value.items())
            text += (text.empty() ? "" : " ") + member.key() + '=' + cell_text(member.value());
    } else if (value.is_array()) {
        for (const auto& item : value) text += (text.empty() ? "" : ", ") + cell_text(item);
    } else {
        text = value.is_string() ? value.get<std::string>() : value.dump();
    }
    return backendai::codec::printable_text(text, (std::numeric_limits<std::size_t>::max)());
}

std::size_t display_width(std::string_view text) {
    std::size_t width = 0;
    each_character(text, [&](std::string_view, std::size_t columns) {
        width += columns;
        return true;
    });
    return width;
}

std::string format_table(const std::vector<std::string>& titles, const std::vector<std::vector<std::string>>& rows,
                         int width, std::size_t* dropped) {
    std::vector<std::size_t> widths;
    for (const std::string& title : titles) widths.push_back(display_width(title));
    for (const auto& row : rows) {
        for (std::size_t i = 0; i < widths.size(); ++i) widths[i] = (std::max)(widths[i], display_width(row[i]));
    }
    if (width > 0) {
        const auto room = static_cast<std::size_t>(width);
        const auto needed = [&] {
            std::size_t sum = gap * (widths.size() - 1);
            for (const std::size_t each : widths) sum += (std::min)(each, least);
            return sum;
        };
        while (widths.size() > 1 && needed() > room) widths.pop_back();
        shrink(widths, room);
    }
    if (dropped != nullptr) *dropped = titles.size() - widths.size();

    std::string text;
    const auto add_line = [&](const auto& cell) {
        std::string line;
        for (std::size_t i = 0; i < widths.size(); ++i) line += (i == 0 ? "" : "  ") + fitted(cell(i), widths[i]);
        line.erase(line.find_last_not_of(' ') + 1);
        text += line + '\n';
    };
    add_line([&](std::size_t i) { return titles[i]; });
    add_line([&](std::size_t i) { return std::string(widths[i], '-'); });
    for (const auto& row : rows) add_line([&](std::size_t i) { return row[i]; });
    return text;
}

} // namespace cli
