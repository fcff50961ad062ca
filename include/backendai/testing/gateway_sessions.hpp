/// @file
/// The compute sessions of the embedded gateway: creation and reuse by client token, limits, idle cleanup.
#ifndef BACKENDAI_TESTING_GATEWAY_SESSIONS_HPP
#define BACKENDAI_TESTING_GATEWAY_SESSIONS_HPP

#include <backendai/codec/digest.hpp>
#include <backendai/testing/gateway_kernel.hpp>
#include <backendai/testing/gateway_protocol.hpp>
#include <backendai/testing/gateway_types.hpp>
#include <backendai/version.hpp>

#include <openssl/rand.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// Random hexadecimal digits, two for a byte.
inline std::string random_token(std::size_t bytes) {
    std::string raw(bytes, '\0');
    if (RAND_bytes(reinterpret_cast<unsigned char*>(&raw[0]), static_cast<int>(bytes)) != 1) {
        throw std::runtime_error("no random numbers");
    }
    return codec::to_hex(raw);
}

/// A random UUID in text.
inline std::string random_uuid() {
    std::string text = random_token(16);
    text[12] = '4';
    for (const std::size_t dash : {20U, 16U, 12U, 8U}) text.insert(dash, "-");
    return text;
}

/// What a client asks for in a creation, checked.
struct session_request {
    std::string token; ///< what the table knows the session by: the client token, and a UUID on modern servers
    std::string name;  ///< the client token; later names are session_entry's
    std::string owner; ///< access key; empty on 19.03, where all sessions are the gateway's own key's
    std::string language, tag;
    std::string type = "interactive", startup_command;
    std::int64_t cluster_size = 1;
    std::string cluster_mode = "single-node";
    bool reuse = true; ///< a session of that name that is there may be given back
    std::map<std::string, std::string> environment;
    std::vector<std::string> mounts;
    std::int64_t memory_kib = 0;
};

/// One session in the table.
struct session_entry {
    session_request request;
    std::string id; ///< UUID
    image_name image;
    std::string secret; ///< part of the URLs of generated files
    std::chrono::system_clock::time_point created;
    std::chrono::system_clock::time_point last_used; ///< guarded by the table's mutex
    int users = 0;                                   ///< calls under way; guarded by the table's mutex
    std::unique_ptr<kernel> body;
    std::shared_future<void> started;

    std::string name() const {
        const std::lock_guard<std::mutex> lock(name_mutex_);
        return name_;
    }
    void set_name(const std::string& name) {
        const std::lock_guard<std::mutex> lock(name_mutex_);
        name_ = name;
    }

private:
    mutable std::mutex name_mutex_;
    std::string name_;
};

/// What is remembered of a session that has ended.
struct ended_session {
    std::string id, name, owner, language, tag, type, startup_command, logs;
    std::chrono::system_clock::time_point created, terminated;
};

/// Thread-safe.
class session_table {
public:
    explicit session_table(const gateway_options& options)
        : options_(options), protocol_(find_protocol(options.protocol)) {
        root_ = (options.directory.empty() ? std::filesystem::temp_directory_path()
                                           : std::filesystem::path(options.directory)) /
                ("backendai-gateway-" + random_token(8));
        std::filesystem::create_directories(root_ / "vfolders");
        std::filesystem::permissions(root_, std::filesystem::perms::owner_all);
        root_ = std::filesystem::canonical(root_);
        for (const std::string& name : options.vfolders) std::filesystem::create_directory(root_ / "vfolders" / name);
    }
    session_table(const session_table&) = delete;
    session_table& operator=(const session_table&) = delete;
    ~session_table() {
        close();
        std::error_code ignored; // what is left of a temporary folder is the system's to clean
        std::filesystem::remove_all(root_, ignored);
    }

    const std::filesystem::path& root() const { return root_; }
    void set_endpoint(const std::string& endpoint) {
        const std::lock_guard<std::mutex> lock(mutex_);
        endpoint_ = endpoint;
    }

    /// Told what happens to sessions, by the name of the event and its reason; called outside of the table's lock. To
    /// be set before the first session.
    std::function<void(const char* event, const session_entry& entry, const char* reason)> on_event;

    /// Keeps a session from idle cleanup while a call uses it.
    class use {
    public:
        use(session_table& table, std::shared_ptr<session_entry> entry) : table_(table), entry_(std::move(entry)) {}
        use(const use&) = delete;
        use& operator=(const use&) = delete;
        ~use() { table_.release(*entry_); }
        session_entry* operator->() const { return entry_.get(); }
        kernel& body() const { return *entry_->body; }

    private:
        session_table& table_;
        std::shared_ptr<session_entry> entry_;
    };

    /// The session of this token, a new one or the one there is, when its interpreter runs. The second member says
    /// whether it is new. @throws problem.
    std::pair<std::shared_ptr<session_entry>, bool> get_or_create(session_request request) {
        std::shared_ptr<session_entry> entry;
        std::promise<void> started;
        bool is_new = false;
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            if (closed_) throw problem(503, "service-unavailable", "The server is shutting down.");
            const auto found = existing(request);
            is_new = found == entries_.end() || found->second->body->is_gone();
            if (!is_new) {
                entry = found->second;
                if (entry->request.language != request.language || !request.reuse) {
                    throw problem(400, "kernel-already-exists",
                                  "The kernel already exists with a different environment.",
                                  protocol_.is_modern ? nlohmann::json({{"data", {{"existingSessionId", entry->id}}}})
                                                      : nlohmann::json());
                }
                entry->last_used = options_.clock();
            } else {
                if (found == entries_.end() && entries_.size() >= options_.max_sessions) {
                    throw problem(412, "quota-exceeded", "You have reached your resource limit.");
                }
                entry = prepare(std::move(request));
                entry->started = started.get_future().share();
                entries_[entry->request.token] = entry;
                peak_ = (std::max)(peak_, entries_.size());
                ++created_;
            }
        }
        if (!is_new) {
            entry->started.get(); // throws the other caller's problem when the start failed
            return {entry, false};
        }
        try {
            tell("kernel_preparing", *entry, "");
            tell("kernel_creating", *entry, "");
            entry->body->start();
            tell("kernel_started", *entry, "");
            started.set_value();
        } catch (...) {
            started.set_exception(std::current_exception());
            remove(entry->request.token, entry.get());
            throw;
        }
        return {entry, true};
    }

    /// The token of a session by the text that a request names it with: on modern servers its name or UUID, if it is
    /// @p owner's. @throws problem
    std::string key_of(const std::string& text, const std::string& owner) const {
        if (!protocol_.is_modern) return text;
        const std::lock_guard<std::mutex> lock(mutex_);
        for (const auto& entry : entries_) {
            const session_entry& it = *entry.second;
            if (it.request.owner == owner && (it.id == text || it.name() == text)) return entry.first;
        }
        throw problem(404, "kernel-not-found", "No such kernel.", nullptr, "Session (id=" + text + ") does not exist.");
    }
    /// @throws problem when the owner has a session of that name.
    void rename(const std::string& token, const std::string& name) {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = entries_.find(token);
        if (found == entries_.end()) throw kernel_not_found();
        for (const auto& entry : entries_) {
            const session_entry& other = *entry.second;
            if (entry.first != token && other.request.owner == found->second->request.owner && other.name() == name)
                throw invalid_parameters("Duplicate session name");
        }
        found->second->set_name(name);
    }
    /// Sessions that have ended, the latest first.
    std::vector<ended_session> ended() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return {ended_.begin(), ended_.end()};
    }

    /// @throws problem kernel-not-found.
    std::unique_ptr<use> find(const std::string& token) {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = entries_.find(token);
        if (found == entries_.end() || found->second->body->is_gone()) throw kernel_not_found();
        ++found->second->users;
        return std::make_unique<use>(*this, found->second);
    }

    /// Ends a session. Statistics, or null when there is none of this name.
    nlohmann::json destroy(const std::string& token) {
        const std::shared_ptr<session_entry> entry = remove(token, nullptr);
        if (!entry) return nullptr;
        const os::process_usage usage = end(*entry, "user-requested");
        return {{"cpu_used", usage.cpu_ms}, {"mem_max_bytes", usage.max_resident_kib * 1024},
                {"mem_cur_bytes", 0},       {"net_rx_bytes", 0},
                {"net_tx_bytes", 0},        {"io_read_bytes", 0},
                {"io_write_bytes", 0},      {"io_max_scratch_size", 0},
                {"io_cur_scratch_size", 0}};
    }

    void destroy_all() {
        for (const std::string& token : tokens()) destroy(token);
    }

    /// Ends sessions that nobody has used for the idle limit, and forgets those whose interpreter has ended.
    void sweep() {
        std::vector<std::shared_ptr<session_entry>> ended;
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            const auto now = options_.clock();
            for (auto entry = entries_.begin(); entry != entries_.end();) {
                session_entry& it = *entry->second;
                const bool is_idle =
                    options_.idle_timeout.count() > 0 && it.users == 0 && now - it.last_used > options_.idle_timeout;
                if (is_idle || it.body->is_gone()) {
                    ended.push_back(entry->second);
                    entry = entries_.erase(entry);
                } else {
                    ++entry;
                }
            }
        }
        for (const auto& entry : ended) end(*entry, entry->body->is_gone() ? "self-terminated" : "idle-timeout");
    }

    /// No more sessions; those there are end.
    void close() {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            closed_ = true;
        }
        destroy_all();
    }

    std::vector<std::string> tokens() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        std::vector<std::string> result;
        for (const auto& entry : entries_) result.push_back(entry.first);
        return result;
    }
    /// The sessions there are, in the order of their tokens.
    std::vector<std::shared_ptr<session_entry>> list() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        std::vector<std::shared_ptr<session_entry>> result;
        for (const auto& entry : entries_) result.push_back(entry.second);
        return result;
    }
    std::size_t live() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return entries_.size();
    }
    std::size_t peak() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return peak_;
    }
    std::size_t created() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return created_;
    }
    /// The folder of generated files that this secret opens; empty when there is none.
    std::filesystem::path generated_files(const std::string& secret) const {
        const std::lock_guard<std::mutex> lock(mutex_);
        for (const auto& entry : entries_) {
            if (entry.second->secret == secret) return entry.second->body->directory() / ".output";
        }
        return {};
    }

private:
    void tell(const char* event, const session_entry& entry, const char* reason) const {
        if (on_event) on_event(event, entry, reason);
    }
    os::process_usage end(session_entry& entry, const char* reason) {
        tell("session_terminating", entry, reason);
        tell("kernel_terminating", entry, reason);
        const os::process_usage usage = entry.body->destroy();
        tell("kernel_terminated", entry, reason);
        tell("session_terminated", entry, reason);
        const session_request& made = entry.request;
        const std::lock_guard<std::mutex> lock(mutex_);
        ended_.push_front({entry.id, entry.name(), made.owner, made.language, made.tag, made.type, made.startup_command,
                           entry.body->logs(), entry.created, options_.clock()});
        if (ended_.size() > 1000) ended_.pop_back();
        return usage;
    }

    void release(session_entry& entry) {
        const std::lock_guard<std::mutex> lock(mutex_);
        --entry.users;
        entry.last_used = options_.clock();
    }

    std::map<std::string, std::shared_ptr<session_entry>>::iterator existing(const session_request& request) {
        if (!protocol_.is_modern) return entries_.find(request.token);
        for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
            if (entry->second->request.owner == request.owner && entry->second->name() == request.name) return entry;
        }
        return entries_.end();
    }

    std::shared_ptr<session_entry> remove(const std::string& token, const session_entry* only) {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = entries_.find(token);
        if (found == entries_.end() || (only != nullptr && found->second.get() != only)) return nullptr;
        const std::shared_ptr<session_entry> entry = found->second;
        entries_.erase(found);
        return entry;
    }

    // The interpreter is looked up by language; a name that has none, or that the options leave out, is unknown.
    interpreter find_language(const session_request& request, const image_name& image) const {
        const auto found = interpreters().find(image.language);
        bool known = found != interpreters().end();
        if (!options_.images.empty()) {
            const auto is = [&](const std::string& name) {
                return name == request.language || name == image.name || name == image.name + ':' + image.tag;
            };
            known = known && std::any_of(options_.images.begin(), options_.images.end(), is);
        }
        if (!known) throw invalid_parameters("Unknown image reference: " + request.language);
        return found->second;
    }

    std::shared_ptr<session_entry> prepare(session_request request) {
        auto entry = std::make_shared<session_entry>();
        entry->image = parse_image(request.language);
        kernel_setup setup;
        setup.language = find_language(request, entry->image);
        for (const std::string& name : request.mounts) {
            if (!std::filesystem::is_directory(root_ / "vfolders" / name)) {
                throw problem(404, "vfolder-not-found", "No such virtual folder.");
            }
        }
        entry->id = random_uuid();
        entry->set_name(request.name);
        if (protocol_.is_modern) request.token = entry->id;
        entry->secret = random_token(16);
        setup.directory = root_ / ("session-" + random_token(8));
        std::filesystem::create_directory(setup.directory);
        for (const std::string& name : request.mounts) {
            std::filesystem::create_directory_symlink(root_ / "vfolders" / name, setup.directory / name);
        }
        setup.environment = base_environment();
        setup.environment["HOME"] = setup.directory.string();
        setup.environment["BACKENDAI_KERNEL_ID"] = request.token;
        for (const auto& variable : request.environment) setup.environment[variable.first] = variable.second;
        setup.output_url = endpoint_ + options_.path_prefix + "/generated/" + entry->secret + '/';
        setup.start_timeout = options_.start_timeout;
        setup.max_output = options_.max_output;
        entry->body = std::make_unique<kernel>(std::move(setup));
        entry->request = std::move(request);
        entry->created = entry->last_used = options_.clock();
        return entry;
    }

    // What the code sees of the caller's environment: everything but the client's own settings, secrets above all.
    static std::map<std::string, std::string> base_environment() {
        std::map<std::string, std::string> result = os::current_environment(environ);
        for (auto entry = result.begin(); entry != result.end();) {
            const bool is_ours =
                entry->first.compare(0, 8, "BACKEND_") == 0 || entry->first.compare(0, 6, "SORNA_") == 0;
            entry = is_ours ? result.erase(entry) : std::next(entry);
        }
        return result;
    }

    const gateway_options& options_;
    const gateway_protocol& protocol_;
    std::filesystem::path root_;
    mutable std::mutex mutex_;
    std::map<std::string, std::shared_ptr<session_entry>> entries_;
    std::deque<ended_session> ended_;
    std::string endpoint_;
    std::size_t peak_ = 0, created_ = 0;
    bool closed_ = false;
};

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
