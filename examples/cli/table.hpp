// Listings: columns for people, JSON for scripts.
#ifndef BACKENDAI_CLI_TABLE_HPP
#define BACKENDAI_CLI_TABLE_HPP

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace cli {

// A column: what it is called, and the field of the server's answer that it shows.
struct column {
    std::string title;
    std::string field;
    enum class form { text, mebibytes, bytes } shown = form::text;
};

// What a value looks like in a column: no quotes, no control characters, "-" for none.
std::string cell_text(const nlohmann::json& value, column::form form = column::form::text);

// How many columns of a terminal a text takes.
std::size_t display_width(std::string_view text);

// Rows under titles. Where `width` is not 0 (a terminal's) no line is longer: the widest columns give first, and those
// that have no room at all are left out from the right. `dropped` is told how many.
std::string format_table(const std::vector<std::string>& titles, const std::vector<std::vector<std::string>>& rows,
                         int width, std::size_t* dropped = nullptr);

// 1536 becomes "1.5 KiB".
std::string format_bytes(double bytes);

} // namespace cli

#endif
