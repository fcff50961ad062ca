#include "context.hpp"

#include <unistd.h>

namespace cli {

server_view context::server() {
    backendai::call_options limits;
    limits.cancel = interrupts.token();
    return session().with(limits);
}

server_view context::server_for_cleanup() {
    backendai::call_options limits;
    if (!interrupts.happened()) return session().with(limits);
    limits.timeout = std::chrono::seconds(10);
    limits.retry = backendai::retry_policy();
    limits.retry->max_attempts = 1;
    return session().with(limits);
}

void context::print_json(const backendai::json& value) {
    out.line(value.dump(2, ' ', false, backendai::json::error_handler_t::replace));
}

void context::list(const std::vector<backendai::json>& items, const std::vector<column>& columns,
                   const std::string& none) {
    if (wants_json()) return print_json(backendai::json(items));
    if (items.empty()) return notes.info(none);
    std::vector<std::string> titles;
    for (const column& each : columns) titles.push_back(each.title);
    std::vector<std::vector<std::string>> rows;
    for (const backendai::json& item : items) {
        std::vector<std::string>& row = rows.emplace_back();
        for (const column& each : columns)
            row.push_back(cell_text(item.is_object() ? item.value(each.field, backendai::json()) : item, each.shown));
    }
    std::size_t dropped = 0;
    out.write(format_table(titles, rows, terminal_width(STDOUT_FILENO), &dropped));
    if (dropped != 0) {
        out.flush();
        notes.info(std::to_string(dropped) + " more columns do not fit this terminal; --output json has them.");
    }
}

void context::show(const backendai::json& item, const std::vector<column>& columns) {
    if (wants_json()) return print_json(item);
    for (const column& each : columns) {
        out.line(notes::bold(each.title, STDOUT_FILENO) + ": " +
                 cell_text(item.value(each.field, backendai::json()), each.shown));
    }
}

backendai::field_list fields_of(const std::vector<column>& columns) {
    backendai::field_list fields;
    for (const column& each : columns) fields.push_back(each.field);
    return fields;
}

} // namespace cli
