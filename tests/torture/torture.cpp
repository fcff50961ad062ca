// Torture: the main flows of a client, in which the n-th allocation or system call fails, for every n until there is
// none left to fail. Each time the flow succeeds, or ends in an error of the SDK or std::bad_alloc; it neither crashes
// nor hangs, leaves no descriptor open and no file that is not whole. The server is another process, where nothing
// fails. Leaks of memory are found by building with AddressSanitizer.
//
//   torture [TEXT]   runs the flows whose name holds TEXT, prints TAP
#include "../loopback/stream_support.hpp"
#include "../unit/files_support.hpp"
#include "fuse.hpp"

#include <backendai.hpp>
#include <backendai/testing/gateway.hpp>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <execinfo.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <typeinfo>
#include <unistd.h>
#include <utility>
#include <vector>

namespace {

using namespace backendai;
namespace fs = std::filesystem;

// What is under way, for the last words of a crash or a hang.
std::string under_way;
void tell_what_was_under_way() {
    std::string line = "\nBail out! " + under_way;
    for (torture::fuse* each : {&torture::of_allocations(), &torture::of_calls()}) {
        if (const char* const failed = each->disarm()) line += std::string(", ") + failed;
    }
    line += '\n';
    if (::write(STDOUT_FILENO, line.data(), line.size()) < 0) ::_exit(3);
}
[[noreturn]] void on_terminate() {
    tell_what_was_under_way();
    void* frames[64];
    backtrace_symbols_fd(frames, backtrace(frames, 64), STDERR_FILENO);
    std::abort();
}
extern "C" void on_signal(int number) {
    tell_what_was_under_way();
    std::signal(number, SIG_DFL);
    std::raise(number);
}

// The gateway, plain and behind TLS, in a process of its own that lives as long as this one.
class server_process {
public:
    server_process() {
        int told[2], alive[2];
        if (::pipe(told) != 0 || ::pipe(alive) != 0) throw std::runtime_error("no pipe");
        child_ = ::fork();
        if (child_ < 0) throw std::runtime_error("no process");
        if (child_ == 0) {
            ::close(alive[1]);
            serve(told[1], alive[0]);
        }
        ::close(told[1]);
        ::close(alive[0]);
        alive_ = alive[1];
        char block[4096];
        for (ssize_t count = 0; (count = ::read(told[0], block, sizeof block)) > 0;) {
            text_.append(block, static_cast<std::size_t>(count));
        }
        ::close(told[0]);
        if (text_.empty()) throw std::runtime_error("the gateway did not start");
    }
    server_process(const server_process&) = delete;
    server_process& operator=(const server_process&) = delete;
    ~server_process() {
        ::close(alive_);
        ::waitpid(child_, nullptr, 0);
    }
    json settings() const { return json::parse(text_); }

private:
    [[noreturn]] static void serve(int told, int alive) {
        {
            testing::gateway gateway;
            gateway.add_service("web", "http", gateway.port());
            hostile::tls_options options;
            options.certificate = hostile::certificate("good");
            const stream_support::tls_front front(gateway.port(), options);
            const std::string text = json{
                {"endpoint", gateway.endpoint()},
                {"tls", "https://localhost:" + std::to_string(front.port())},
                {"ca", hostile::certificate("ca")},
                {"access_key", gateway.access_key()},
                {"secret_key",
                 gateway.secret_key()}}.dump();
            if (::write(told, text.data(), text.size()) < 0) ::_exit(1);
            ::close(told);
            char byte = 0;
            while (::read(alive, &byte, 1) > 0) continue;
        }
        std::exit(0);
    }

    pid_t child_ = -1;
    int alive_ = -1;
    std::string text_;
};

std::size_t open_descriptors() {
    std::size_t count = 0;
    for (const auto& entry : fs::directory_iterator("/proc/self/fd")) count += entry.path().empty() ? 0 : 1;
    return count;
}

// How many are open once there are no more than @p wanted, or after a while: a look-up that nobody waits for any more
// has some of its own until it ends.
std::size_t settled_descriptors(std::size_t wanted) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(3);
    std::size_t count = open_descriptors();
    while (count > wanted && std::chrono::steady_clock::now() < limit) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
        count = open_descriptors();
    }
    return count;
}

struct flow {
    std::string name;
    std::function<void(const fs::path& destination)> run;
    fs::path source; // what a file at the destination must be like
};

// Everything under @p folder is a whole copy of @p source; nothing temporary.
std::string judge_files(const fs::path& folder, const fs::path& source) {
    if (!fs::exists(folder)) return {};
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
        if (entry.is_directory()) continue;
        if (files_support::sandbox::read(entry.path()) != files_support::sandbox::read(source)) {
            return "left " + entry.path().filename().string();
        }
    }
    return {};
}

// Runs it once. Returns what must not be, or nothing; @p ended is how it ended.
std::string run_once(const flow& what, const fs::path& destination, std::string& ended) {
    try {
        what.run(destination);
        ended = "success";
        return {};
    } catch (const error& e) {
        ended = e.what();
        return e.what()[0] == '\0' ? "an error without a message" : "";
    } catch (const std::bad_alloc&) {
        ended = "bad_alloc";
        return {};
    } catch (const std::exception& e) {
        return std::string(typeid(e).name()) + ": " + e.what();
    }
}

struct kind {
    const char* name;
    torture::fuse& fuse;
    bool interrupted;
};

// Fails the n-th, for every n. Returns the number of failures, and says on stderr what was wrong.
long torment(const flow& what, const kind& how, const fs::path& place, int& wrong) {
    torture::calls_are_interrupted = how.interrupted;
    int late = 0;
    std::size_t before = open_descriptors();
    for (long n = 1;; ++n) {
        under_way = what.name + ", " + how.name + ", number " + std::to_string(n);
        const fs::path destination = place / std::to_string(n);
        ::alarm(60);
        const auto start = std::chrono::steady_clock::now();
        how.fuse.arm(n);
        std::string ended;
        std::string bad = run_once(what, destination, ended);
        const char* const failed = how.fuse.disarm();
        ::alarm(0);
        // Longer than any limit of a call.
        if (std::chrono::steady_clock::now() - start > std::chrono::seconds(8)) bad += "it waited in vain";
        if (bad.empty()) bad = judge_files(destination, what.source);
        if (bad.empty() && failed == nullptr && ended != "success") {
            if (++late < 3) { // a busy machine is late now and then
                --n;
                continue;
            }
            bad = "nothing failed";
        }
        if (bad.empty() && ended == "success" && !what.source.empty() && !fs::exists(destination / "file")) {
            bad = "nothing came";
        }
        const std::size_t after = settled_descriptors(before);
        if (bad.empty() && after > before) {
            bad = std::to_string(after) + " descriptors are open, " + std::to_string(before) + " were before";
        }
        before = after;
        fs::remove_all(destination);
        if (!bad.empty() && ++wrong <= 20) {
            std::cerr << under_way << (failed != nullptr ? std::string(", ") + failed : "") << ": " << bad << " ("
                      << ended << ")\n";
        }
        if (failed == nullptr) return n - 1;
    }
}

template <class Transport>
std::vector<flow> flows(const std::string& transport, const json& server, const fs::path& source) {
    using session = basic_session<Transport, blocking>;
    api_config plain;
    plain.endpoint = server.at("endpoint").get<std::string>();
    plain.access_key = server.at("access_key").get<std::string>();
    plain.secret_key = server.at("secret_key").get<std::string>();
    plain.version = "v4.20190315";
    plain.proxy = "";
    plain.vfolder_mounts = std::vector<std::string>();
    plain.timeout = std::chrono::seconds(8);
    // Far more than this server takes. cpp-httplib 0.11.4 reads from a connection when it could not ask whether it is
    // open, and so waits this long when that system call fails.
    plain.read_timeout = plain.compute_timeout = std::chrono::milliseconds(700);
    plain.retry.base_delay = plain.retry.throttled_base_delay = std::chrono::milliseconds(1);
    api_config secure = plain;
    secure.endpoint = server.at("tls").get<std::string>();
    secure.ca_file = server.at("ca").get<std::string>();
    api_config asking = plain;
    asking.version.reset();
    asking.timeout = std::chrono::milliseconds(0);

    create_options named;
    named.client_token = "torture-session";
    upload_options from;
    from.basedir = source.parent_path();
    // What the flows find there.
    api_config patient = plain;
    patient.timeout = patient.read_timeout = patient.compute_timeout = std::chrono::minutes(1);
    session setup(patient);
    setup.kernel().get_or_create("bash", named);
    setup.kernel("torture-session").upload({source}, from);
    if (setup.vfolder().list().empty()) setup.vfolder().create("torture");
    setup.vfolder("torture").upload({source}, from);

    const std::vector<flow> all = {
        {"open", [=](const fs::path&) { session(asking).manager().status(); }, {}},
        {"open with TLS", [=](const fs::path&) { session(secure).hello(); }, {}},
        {"get_or_create", [=](const fs::path&) { session(plain).kernel().get_or_create("bash", named); }, {}},
        {"run", [=](const fs::path&) { session(plain).kernel("torture-session").run("echo hi"); }, {}},
        {"stream",
         [=](const fs::path&) {
             session opened(plain);
             for (auto&& event : opened.kernel("torture-session").stream_execute("echo hi")) event.console.clear();
         },
         {}},
        {"stream with TLS",
         [=](const fs::path&) {
             session opened(secure);
             for (auto&& event : opened.kernel("torture-session").stream_execute("echo hi")) event.console.clear();
         },
         {}},
        {"kernel upload",
         [=](const fs::path&) { session(plain).kernel("torture-session").upload({source}, from); },
         {}},
        {"kernel download",
         [=](const fs::path& to) { session(plain).kernel("torture-session").download({"file"}, to); }, source},
        {"vfolder",
         [=](const fs::path&) {
             session opened(plain);
             opened.vfolder().list();
             opened.vfolder("torture").list_files();
         },
         {}},
        {"vfolder upload", [=](const fs::path&) { session(plain).vfolder("torture").upload({source}, from); }, {}},
        {"vfolder download", [=](const fs::path& to) { session(plain).vfolder("torture").download({"file"}, to); },
         source},
        {"query", [=](const fs::path&) { session(plain).agent().list(); }, {}},
        {"tunnel",
         [=](const fs::path&) {
             session opened(plain);
             const app_tunnel tunnel(opened, "torture-session", "web");
             try {
                 os::tcp_socket client = os::tcp_socket::connect_loopback(tunnel.port());
                 client.write("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
                 char block[4096];
                 while (client.read(block, sizeof block) != 0) continue;
             } catch (const std::system_error&) {
                 // What fails in this client of the tunnel is nothing of the SDK's.
             }
         },
         {}},
        {"futures of a stream",
         [=](const fs::path&) {
             basic_session<Transport, async> opened(plain);
             auto stream = opened.kernel("torture-session").stream_execute("echo hi").get();
             while (stream.next().get()) continue;
         },
         {}},
        {"futures",
         [=](const fs::path&) {
             basic_session<Transport, async> opened(plain);
             opened.kernel("torture-session").get_info().then([](const kernel_info& info) { return info.lang; }).get();
         },
         {}},
    };
    std::vector<flow> named_flows;
    for (flow each : all) {
        each.name = transport + ' ' + each.name;
        named_flows.push_back(std::move(each));
    }
    return named_flows;
}

int run_all(const std::string& filter) {
    const files_support::sandbox box;
    const fs::path source = box.put("in/file", files_support::noise(20'000));
    const server_process server;
    const kind kinds[] = {{"allocations", torture::of_allocations(), false},
                          {"calls", torture::of_calls(), false},
                          {"interrupted calls", torture::of_calls(), true}};
    std::vector<flow> all = flows<httplib_transport>("httplib", server.settings(), source);
    for (flow& each : flows<curl_transport>("curl", server.settings(), source)) all.push_back(std::move(each));
    int number = 0, failed = 0;
    for (const flow& each : all) {
        if (each.name.find(filter) == std::string::npos) continue;
        for (int i = 0; i < 2;
             ++i) { // what is made once and kept, as OpenSSL's tables are, is there before the counting
            std::string ended;
            run_once(each, box.root() / "first", ended);
            if (ended != "success") {
                std::cout << "Bail out! " << each.name << ": " << ended << std::endl;
                return 1;
            }
            fs::remove_all(box.root() / "first");
        }
        for (const kind& how : kinds) {
            const auto start = std::chrono::steady_clock::now();
            int wrong = 0;
            const long count = torment(each, how, box.root(), wrong);
            const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
            std::cout << (wrong == 0 ? "ok " : "not ok ") << ++number << " - " << each.name << ", " << how.name << ": "
                      << count << " failures, " << took.count() << " s" << std::endl;
            failed += wrong != 0;
        }
    }
    std::cout << "1.." << number << std::endl;
    return failed == 0 ? 0 : 1;
}

} // namespace

int main(int count, char** arguments) {
    torture::take_over_libraries();
    std::set_terminate(on_terminate);
    std::signal(SIGALRM, on_signal);
    std::signal(SIGSEGV, on_signal);
    return run_all(count > 1 ? arguments[1] : "");
}
