#include <backendai/error.hpp>

#include <doctest/doctest.h>

#include <exception>
#include <set>
#include <string>
#include <type_traits>

using namespace backendai;

TEST_CASE("every kind has a name of its own, which begins the message") {
    std::set<std::string> names;
    for (const error_kind kind : {error_kind::argument, error_kind::timeout, error_kind::connect, error_kind::tls,
                                  error_kind::protocol, error_kind::cancelled, error_kind::closed, error_kind::io}) {
        const client_error failure(kind, "what happened");
        CHECK(failure.kind() == kind);
        CHECK(failure.what() == std::string(to_string(kind)) + ": what happened");
        names.insert(to_string(kind));
    }
    CHECK(names.size() == 8);
    CHECK(names.count("unknown") == 0);
}

TEST_CASE("a client error says whether anything was sent") {
    CHECK(client_error(error_kind::connect, "").sent() == client_error::progress::nothing_sent);
    CHECK(client_error(error_kind::connect, "", client_error::progress::maybe_sent).sent() ==
          client_error::progress::maybe_sent);
}

TEST_CASE("an api error carries what the server said, and its message reads well") {
    api_error::details what;
    what.status = 500;
    what.reason = "Internal Server Error";
    what.type = "https://api.backend.ai/probs/kernel-creation-failed";
    what.title = "Kernel creation has failed.";
    what.data = {{"key", 1}};
    what.agent_details = {{"type", "agent-timeout"}, {"title", "Agent timed out."}};
    what.body = "body";
    what.retry_after = "5";
    const api_error failure(what);
    CHECK(failure.status() == 500);
    CHECK(failure.reason() == "Internal Server Error");
    CHECK(failure.type() == "https://api.backend.ai/probs/kernel-creation-failed");
    CHECK(failure.title() == "Kernel creation has failed.");
    CHECK(failure.data().at("key") == 1);
    CHECK(failure.agent_details().at("type") == "agent-timeout");
    CHECK(failure.body() == "body");
    CHECK(failure.retry_after() == "5");
    CHECK(failure.what() ==
          std::string("500 Internal Server Error: Kernel creation has failed. "
                      "[https://api.backend.ai/probs/kernel-creation-failed]; agent: Agent timed out."));
}

TEST_CASE("the message of an api error is short and harmless, whatever the server says; the members keep it all") {
    api_error::details what;
    what.status = 500;
    what.reason = std::string("R\x1b[2J");
    what.title = std::string("line\r\nAuthorization: \xff") + std::string(100'000, 'x');
    what.type = std::string(100'000, 't');
    what.agent_details = {{"title", std::string(100'000, 'a') + '\n'}};
    const api_error failure(what);
    const std::string text = failure.what();
    CHECK(text.size() < 3000);
    CHECK(text.find_first_of("\r\n\x1b\xff") == std::string::npos);
    CHECK(text.find("R\\x1b[2J: line\\x0d\\x0aAuthorization: \\xffxxx") != std::string::npos);
    CHECK(failure.title() == what.title);
    CHECK(failure.type().size() == 100'000);
}

TEST_CASE("an api error with nothing but a status is one too") {
    api_error::details what;
    what.status = 502;
    CHECK(api_error(what).what() == std::string("502"));
    what.agent_details = {{"title", 5}};
    CHECK(api_error(what).what() == std::string("502"));
    what.agent_details = "text";
    CHECK(api_error(what).what() == std::string("502"));
    CHECK(api_error(what).data().is_null());
}

TEST_CASE("both kinds of error are caught as error, and copy without throwing") {
    CHECK(std::is_base_of_v<error, client_error>);
    CHECK(std::is_base_of_v<error, api_error>);
    CHECK(std::is_base_of_v<std::runtime_error, error>);
    CHECK(std::is_nothrow_copy_constructible_v<client_error>);
    CHECK(std::is_nothrow_copy_constructible_v<api_error>);
    std::exception_ptr kept;
    {
        api_error::details what;
        what.status = 404;
        what.title = "gone";
        kept = std::make_exception_ptr(api_error(what));
    }
    try {
        std::rethrow_exception(kept);
    } catch (const api_error& e) {
        CHECK(e.title() == "gone");
    }
}

TEST_CASE("an error tells what it is without RTTI") {
    const backendai::api_error answer(backendai::api_error::details{});
    const backendai::client_error local(backendai::error_kind::tls, "no");
    const backendai::error other("of a transport");
    const auto is = [](const backendai::error& e) { return std::make_pair(e.as_api_error(), e.as_client_error()); };
    CHECK(is(answer).first == &answer);
    CHECK(is(answer).second == nullptr);
    CHECK(is(local).first == nullptr);
    CHECK(is(local).second == &local);
    CHECK(is(other).first == nullptr);
    CHECK(is(other).second == nullptr);
}
