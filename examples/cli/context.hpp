// What every command works with: the server, standard output, notes to the user, and Ctrl-C.
#ifndef BACKENDAI_CLI_CONTEXT_HPP
#define BACKENDAI_CLI_CONTEXT_HPP

#include "interrupt.hpp"
#include "output.hpp"
#include "table.hpp"

#include <backendai.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace cli {

// A session, or a view of it with limits for its calls: what commands make their calls through.
using server_view = backendai::basic_session_view<backendai::httplib_transport, backendai::blocking>;

struct global_options {
    bool skip_sslcert_validation = false;
    bool is_local = false; // on the embedded gateway
    std::string output = "table";
};

class context {
public:
    context();
    context(const context&) = delete;
    context& operator=(const context&) = delete;
    ~context();

    global_options options;
    cli::output out;
    cli::notes notes;
    interrupt interrupts;
    // What the command line asks for; set by the command that was parsed, returns the exit code.
    std::function<int()> action;

    // The server that the environment names, or the embedded one. The calls end at Ctrl-C.
    // Throws client_error{argument} for what the environment lacks.
    server_view server();
    // The same, for what is left to do at the end: Ctrl-C does not end these calls (a second one ends the program), and
    // after it they take ten seconds at most and are not tried again.
    server_view server_for_cleanup();
    // The configuration that server() uses, without connecting to anything.
    backendai::api_config config() const;

    bool wants_json() const { return options.output == "json"; }
    // Prints items (objects) as a table of the columns, or whole as JSON. `none` is the note when there are none.
    void list(const std::vector<backendai::json>& items, const std::vector<column>& columns, const std::string& none);
    // Prints one object, a line for each column, or whole as JSON.
    void show(const backendai::json& item, const std::vector<column>& columns);
    void print_json(const backendai::json& value);

private:
    class local_gateway;
    backendai::session& session();
    std::unique_ptr<local_gateway> gateway_; // ends after the session
    std::unique_ptr<backendai::session> session_;
};

// The columns' fields, as the SDK's listings take them.
backendai::field_list fields_of(const std::vector<column>& columns);

} // namespace cli

#endif
