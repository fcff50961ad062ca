// Many jobs, at most so many at once: each makes a compute session of its own, runs there, and ends it.
#include "where.hpp"

#include <functional>
#include <vector>

int main(int argc, char** argv) {
    try {
        const examples::where place(argc, argv);
        backendai::async_session session(place.config());
        std::vector<std::function<backendai::future<std::string>()>> jobs;
        for (int i = 1; i <= 8; ++i) {
            jobs.emplace_back([&session, i] {
                // Each step begins when the one before has its result; no thread waits for it.
                const std::string code = "print(sum(range(" + std::to_string(i) + "000)))";
                return session.kernel().get_or_create("python").then([code](const backendai::async_kernel& kernel) {
                    return kernel.run(code).then([kernel](const backendai::run_result& ran) {
                        return kernel.destroy().then([out = ran.out](const backendai::destroy_result&) { return out; });
                    });
                });
            });
        }
        for (auto& end : backendai::run_parallel(jobs, 3)) {
            try {
                std::cout << end.get();
            } catch (const backendai::error& e) {
                std::cout << "one failed: " << e.what() << '\n'; // the others do not care
            }
        }
    } catch (const backendai::error& e) {
        std::cerr << "error: " << e.what() << '\n';
        return 1;
    }
}
