/// @file
/// One compute session of the embedded gateway: an interpreter, its folder, and the runs that wait for their turn.
#ifndef BACKENDAI_TESTING_GATEWAY_KERNEL_HPP
#define BACKENDAI_TESTING_GATEWAY_KERNEL_HPP

#include <backendai/codec/url.hpp>
#include <backendai/testing/gateway_file_walk.hpp>
#include <backendai/testing/gateway_interpreters.hpp>
#include <backendai/testing/gateway_run.hpp>
#include <backendai/testing/gateway_runner.hpp>
#include <backendai/testing/gateway_types.hpp>
#include <backendai/version.hpp>

#include <nlohmann/json.hpp>

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// What a session is made of.
struct kernel_setup {
    interpreter language;
    std::map<std::string, std::string> environment;
    std::filesystem::path directory; ///< exists; working directory and HOME
    std::string output_url;          ///< what stands before the names of generated files
    std::chrono::milliseconds start_timeout{};
    std::size_t max_output = 0;
};

/// Thread-safe. Runs are served one after the other in the order they came: a query that comes while another runs is
/// answered `continued` until its turn. Output is read only while somebody waits for a result, so a program whose
/// output nobody fetches stops at a full pipe instead of filling memory.
class kernel {
public:
    explicit kernel(kernel_setup setup) : setup_(std::move(setup)) {}
    kernel(const kernel&) = delete;
    kernel& operator=(const kernel&) = delete;
    ~kernel() { destroy(); }

    /// Starts the interpreter and waits until it is ready. @throws problem kernel-creation-failed.
    void start() {
        std::unique_lock<std::mutex> lock(mutex_);
        launch(lock, "kernel-creation-failed", "Kernel creation has failed.");
    }

    /// Queues a run. @throws problem when the id is taken or too many runs wait.
    void add(run item) {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (find(item.id)) throw invalid_parameters("runId: a run of this name is not finished");
        // A run that ended and whose caller never came back for the result must not stay for ever.
        while (runs_.size() >= max_runs && runs_.front()->has_ended()) runs_.pop_front();
        if (runs_.size() >= max_runs) throw problem(503, "service-unavailable", "Too many runs wait in this session.");
        runs_.push_back(std::make_shared<run>(std::move(item)));
        ++queries_;
    }

    /// Answers the question of a run that waits for input.
    void answer(const std::string& id, const std::string& text) {
        const std::lock_guard<std::mutex> lock(mutex_);
        const std::shared_ptr<run> item = require(id);
        if (!item->asks_password) throw invalid_parameters("mode: the run does not wait for input");
        item->asks_password.reset();
        requests_.emplace_back('i', text);
    }

    /// Works on a run until it has something to tell that ends a step, its console is full, or the time is over.
    /// @param eager also return as soon as there is any output.
    nlohmann::json step(const std::string& id, std::chrono::milliseconds slice, bool eager = false) {
        const auto deadline = std::chrono::steady_clock::now() + slice;
        std::unique_lock<std::mutex> lock(mutex_);
        const std::shared_ptr<run> item = require(id);
        while (!item->has_news() && item->console_size < setup_.max_output && !(eager && item->console_size > 0)) {
            if (closed_ || dead_) {
                end_run(*item, 130); // what the protocol says of a container that has died
                break;
            }
            const auto left = deadline - std::chrono::steady_clock::now();
            if (left.count() <= 0) break;
            work(lock, left);
        }
        nlohmann::json result = item->take_result();
        if (item->is_over) drop(item);
        changed_.notify_all();
        return result;
    }

    /// Interrupts the code that runs now, if any. @param id when given, only if it is of that run
    void interrupt(const std::string& id = {}) {
        const std::lock_guard<std::mutex> lock(mutex_);
        const std::shared_ptr<run> item = active();
        if (!item || !item->started || item->exit_code || (!id.empty() && item->id != id)) return;
        item->asks_password.reset();
        (item->is_batch ? command_ : interpreter_).process.signal(SIGINT);
    }

    /// A new interpreter over the same folder; what ran is told `finished` with exit code 130.
    void restart() {
        std::unique_lock<std::mutex> lock(mutex_);
        if (closed_ || dead_) throw kernel_not_found();
        restarting_ = true;
        changed_.wait(lock, [this] { return !pumping_; });
        interpreter_.process.kill_and_wait();
        command_.process.kill_and_wait();
        interpreter_ = runner();
        command_ = runner();
        requests_.clear();
        for (const auto& item : runs_) end_run(*item, 130);
        restarting_ = false;
        launch(lock, "kernel-restart-failed", "Kernel restart has failed.");
    }

    /// Candidates to go on after the code; empty while code runs.
    nlohmann::json complete(const nlohmann::json& request) {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(2);
        std::unique_lock<std::mutex> lock(mutex_);
        if (active() || closed_ || dead_) return nlohmann::json::array();
        completions_.reset();
        requests_.emplace_back('c', request.dump());
        while (!completions_ && !closed_ && !dead_ && std::chrono::steady_clock::now() < deadline) {
            work(lock, deadline - std::chrono::steady_clock::now());
        }
        return completions_.value_or(nlohmann::json::array());
    }

    std::string logs() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return logs_;
    }
    std::int64_t queries() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return queries_;
    }
    /// Whether the interpreter has ended by itself and every run has been told.
    bool is_gone() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return dead_ && runs_.empty();
    }
    const std::filesystem::path& directory() const { return setup_.directory; }
    const std::map<std::string, std::string>& environment() const { return setup_.environment; }

    /// Kills everything and removes the folder; calls that wait return. Statistics of what it had used.
    os::process_usage destroy() {
        std::unique_lock<std::mutex> lock(mutex_);
        if (!closed_) {
            closed_ = true;
            interpreter_.process.signal(SIGKILL);
            command_.process.signal(SIGKILL);
            changed_.notify_all();
            changed_.wait(lock, [this] { return !pumping_; });
            interpreter_.process.kill_and_wait();
            command_.process.kill_and_wait();
            usage_ = interpreter_.process.usage();
            interpreter_ = runner();
            command_ = runner();
            std::error_code ignored; // a file that a stray process still makes there is left to the system's cleaner
            std::filesystem::remove_all(setup_.directory, ignored);
        }
        return usage_;
    }

private:
    using file_times = std::map<std::string, std::filesystem::file_time_type>;

    void launch(std::unique_lock<std::mutex>& lock, const char* type, const char* title) {
        const auto fail = [&](const std::string& why) {
            dead_ = true;
            return problem(500, type, title,
                           {{"agent-details", {{"type", "agent-failure"}, {"title", why}, {"exception", why}}}});
        };
        try {
            interpreter_ = runner(setup_.language.command, setup_.environment, setup_.directory.string(), true);
        } catch (const std::system_error& error) {
            throw fail(error.what());
        }
        ready_ = false;
        const auto deadline = std::chrono::steady_clock::now() + setup_.start_timeout;
        while (!ready_ && !dead_ && !closed_) {
            const auto left = deadline - std::chrono::steady_clock::now();
            if (left.count() <= 0) break;
            work(lock, left);
        }
        if (!ready_) throw fail("the interpreter did not start");
    }

    // One turn for the run in front, by this thread or by waiting for the one that has it.
    template <class Duration>
    void work(std::unique_lock<std::mutex>& lock, Duration left) {
        const auto slot =
            (std::min)(std::chrono::duration_cast<std::chrono::milliseconds>(left) + std::chrono::milliseconds(1),
                       std::chrono::milliseconds(50));
        // While an interpreter starts anew nobody runs: those whom the restart ended have yet to be told.
        const std::shared_ptr<run> front = ready_ ? active() : nullptr;
        const bool is_blocked = front && (front->has_news() || front->console_size >= setup_.max_output);
        if (pumping_ || restarting_ || is_blocked) {
            changed_.wait_for(lock, slot);
            return;
        }
        if (front && !front->started) begin(*front);
        if (front && front->has_news()) return;
        runner& source = front && front->is_batch ? command_ : interpreter_;
        for (const auto& request : std::exchange(requests_, {})) interpreter_.send(request.first, request.second);
        pumping_ = true;
        lock.unlock();
        std::vector<runner_event> events = source.pump(slot);
        lock.lock();
        pumping_ = false;
        for (runner_event& event : events) handle(event, front.get());
        if (source.is_started() && source.process.try_wait()) {
            // Whoever still holds its pipes is not of its process group any more: what they held until now counts.
            for (runner_event& event : source.pump(std::chrono::milliseconds(0))) handle(event, front.get());
            ended(front.get());
        }
        changed_.notify_all();
    }

    void begin(run& item) {
        item.started = true;
        if (item.phase == 2) before_ = output_files();
        if (!item.is_batch) {
            requests_.emplace_back('q', item.code);
            return;
        }
        std::string text = item.commands[item.phase];
        const interpreter& language = setup_.language;
        if (text == "*") text = item.phase == 0 ? language.clean : item.phase == 1 ? language.build : language.exec;
        if (text.empty()) {
            end_run(item, 0);
            return;
        }
        try {
            command_ = runner({"/bin/sh", "-c", text}, setup_.environment, setup_.directory.string(), false);
        } catch (const std::system_error& error) {
            item.print("stderr", std::string(error.what()) + '\n');
            end_run(item, 127);
        }
    }

    void handle(runner_event& event, run* item) {
        switch (event.tag) {
        case 'o':
        case 'e': print(item, event.tag == 'o' ? "stdout" : "stderr", event.payload); break;
        case 'm': {
            const auto record = nlohmann::json::parse(event.payload, nullptr, false);
            if (record.is_array() && record.size() == 2 && record[0].is_string() && record[1].is_string()) {
                print(item, record[0].get<std::string>(), record[1].get<std::string>());
            }
            break;
        }
        case 'w':
            if (item != nullptr) item->asks_password = event.payload.find("true") != std::string::npos;
            break;
        case 'f':
            if (item != nullptr && !item->is_batch) {
                const auto status = nlohmann::json::parse(event.payload, nullptr, false);
                end_run(*item, status.is_object() ? status.value("exitCode", 1) : 1);
            }
            break;
        case 'C': completions_ = nlohmann::json::parse(event.payload, nullptr, false); break;
        case 'r': ready_ = true; break;
        case 's': interpreter_.send('s', event.payload); break;
        default: break; // 'x': the end of the process is told by try_wait()
        }
    }

    void print(run* item, const std::string& type, const std::string& text) {
        if (type == "stdout" || type == "stderr") {
            logs_ += text;
            if (logs_.size() > 128 * 1024) logs_.erase(0, logs_.size() - 64 * 1024);
        }
        if (item != nullptr) item->print(type, text);
    }

    // The process of the run has ended: an interpreter means the end of the session, a command the end of a phase.
    void ended(run* item) {
        if (item != nullptr && item->is_batch) {
            const int status = command_.process.wait();
            command_ = runner();
            end_run(*item, status);
        } else {
            dead_ = true;
            usage_ = interpreter_.process.usage();
        }
    }

    void end_run(run& item, int status) {
        if (item.exit_code || item.is_over) return;
        item.asks_password.reset();
        if (closed_ || dead_ || restarting_) item.phase = 2;
        item.exit_code = status;
        if (item.phase != 2) return;
        for (const auto& file : output_files()) {
            const auto old = before_.find(file.first);
            if (old == before_.end() || old->second != file.second) {
                item.files.push_back(
                    {{"name", file.first}, {"url", setup_.output_url + codec::escape_segment(file.first)}});
            }
        }
    }

    // The protocol's generated files: what the code leaves in .output of its working directory.
    file_times output_files() const {
        file_times result;
        const std::filesystem::path root = setup_.directory / ".output";
        for_each_file(root, [&](const std::filesystem::directory_entry& file) {
            std::error_code gone;
            const auto time = file.last_write_time(gone);
            if (!gone) result[file.path().lexically_relative(root).generic_string()] = time;
        });
        return result;
    }

    std::shared_ptr<run> active() const {
        for (const auto& item : runs_) {
            if (!item->has_ended()) return item;
        }
        return nullptr;
    }
    std::shared_ptr<run> find(const std::string& id) const {
        for (const auto& item : runs_) {
            if (item->id == id) return item;
        }
        return nullptr;
    }
    std::shared_ptr<run> require(const std::string& id) const {
        std::shared_ptr<run> item = find(id);
        if (!item) throw invalid_parameters("runId: no such run");
        return item;
    }
    void drop(const std::shared_ptr<run>& item) {
        for (auto entry = runs_.begin(); entry != runs_.end(); ++entry) {
            if (*entry == item) {
                runs_.erase(entry);
                return;
            }
        }
    }

    static constexpr std::size_t max_runs = 64;

    const kernel_setup setup_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    runner interpreter_, command_;
    std::deque<std::shared_ptr<run>> runs_; ///< in their order; active() is the one that runs
    std::vector<std::pair<char, std::string>> requests_;
    std::optional<nlohmann::json> completions_;
    file_times before_;
    std::string logs_;
    std::int64_t queries_ = 0;
    bool ready_ = false, pumping_ = false, restarting_ = false, closed_ = false, dead_ = false;
    os::process_usage usage_;
};

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
