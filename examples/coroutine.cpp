// C++20: calls that are awaited. No thread waits meanwhile, and two runs go on at once.
#include "where.hpp"

#ifdef BACKENDAI_HAS_COROUTINES

namespace {

backendai::future<std::string> run_in_new_session(backendai::async_session& session, std::string language,
                                                  std::string code) {
    auto kernel = co_await session.kernel().get_or_create(std::move(language));
    const backendai::run_result result = co_await kernel.run(std::move(code));
    co_await kernel.destroy();
    co_return result.out;
}

backendai::future<void> report(backendai::async_session& session) {
    auto first = run_in_new_session(session, "python", "print('from python')");
    auto second = run_in_new_session(session, "bash", "echo from bash");
    std::cout << co_await first << co_await second;
    try {
        co_await session.kernel("no-such-session").get_info();
    } catch (const backendai::api_error& e) {
        std::cout << e.status() << '\n';
    }
}

} // namespace

int main(int argc, char** argv) {
    try {
        const examples::where place(argc, argv);
        backendai::async_session session(place.config());
        report(session).get();
    } catch (const backendai::error& e) {
        std::cerr << "error: " << e.what() << '\n';
        return 1;
    }
}

#else

int main() {
    std::cout << "this compiler has no coroutines: try -std=c++20\n";
    return 1;
}

#endif
