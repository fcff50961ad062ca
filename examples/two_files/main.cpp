// A program of many files keeps compiling quickly: BACKENDAI_EXTERN_HTTPLIB is defined for all of them, by meson.build,
// and only backendai.cpp compiles httplib.h and the code of the default session.
#include <backendai.hpp>

#include <iostream>

int main() {
    try {
        backendai::session session; // endpoint and keys from BACKEND_*
        auto kernel = session.kernel().get_or_create("python");
        std::cout << kernel.run("print('hello from the other file')").out << std::flush;
        kernel.destroy();
    } catch (const backendai::error& e) {
        std::cerr << "error: " << e.what() << '\n';
        return 1;
    }
}
