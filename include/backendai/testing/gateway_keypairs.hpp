/// @file
/// The key pairs that the embedded gateway knows: who may sign requests, and as whom.
#ifndef BACKENDAI_TESTING_GATEWAY_KEYPAIRS_HPP
#define BACKENDAI_TESTING_GATEWAY_KEYPAIRS_HPP

#include <backendai/codec/date.hpp>
#include <backendai/codec/digest.hpp>
#include <backendai/testing/gateway_types.hpp>
#include <backendai/version.hpp>

#include <openssl/rand.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace detail {

/// A UUID that is always the same for a text: of users, which the gateway knows by their key.
inline std::string uuid_of(const std::string& text) {
    std::string id = codec::to_hex(codec::digest("sha256", text)).substr(0, 32);
    id[12] = '4';
    for (const std::size_t dash : {20U, 16U, 12U, 8U}) id.insert(dash, "-");
    return id;
}
inline std::string user_uuid(const std::string& access_key) {
    return uuid_of("user:" + access_key);
}
/// "2026-11-23 15:23:56.525129+00:00": as Python prints a date.
inline std::string python_date(std::chrono::system_clock::time_point time) {
    std::string text = codec::format_date(std::chrono::time_point_cast<std::chrono::microseconds>(time));
    text[10] = ' ';
    return text;
}

/// One key pair.
struct stored_keypair {
    std::string user_id, access_key, secret_key;
    bool is_active = true, is_admin = false;
    std::string resource_policy; ///< empty = null
    std::int64_t concurrency_limit = 1, rate_limit = 5000;
    std::chrono::system_clock::time_point created_at;
    std::optional<std::chrono::system_clock::time_point> last_used;
    std::int64_t num_queries = 0;
};

/// Thread-safe.
class keypair_store {
public:
    /// Characters that are drawn evenly from @p alphabet, which has 32 or 64 of them.
    static std::string random_text(std::size_t length, std::string_view alphabet) {
        std::string text(length, '\0');
        if (RAND_bytes(reinterpret_cast<unsigned char*>(&text[0]), static_cast<int>(length)) != 1) {
            throw std::runtime_error("no random numbers");
        }
        for (char& c : text) c = alphabet[static_cast<unsigned char>(c) % alphabet.size()];
        return text;
    }
    /// A fresh pair of keys: "AKIA" and 16 base32 characters, and 40 others.
    static void make_keys(stored_keypair& item) {
        item.access_key = "AKIA" + random_text(16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567");
        item.secret_key = random_text(40, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");
    }

    /// With the key pairs of the options: the gateway's own is an administrator's, the other users' are not.
    explicit keypair_store(const gateway_options& options) {
        stored_keypair item;
        item.user_id = options.email;
        item.access_key = options.access_key;
        item.secret_key = options.secret_key;
        item.is_admin = true;
        item.resource_policy = "default";
        item.created_at = options.clock();
        item.concurrency_limit = static_cast<std::int64_t>(options.max_sessions);
        put(item);
        item.is_admin = false;
        for (const gateway_user& user : options.other_users) {
            item.user_id = user.email;
            item.access_key = user.access_key;
            item.secret_key = user.secret_key;
            put(item);
        }
    }

    void put(stored_keypair item) {
        const std::lock_guard<std::mutex> lock(mutex_);
        items_[item.access_key] = std::move(item);
    }
    std::optional<stored_keypair> find(const std::string& access_key) const {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = items_.find(access_key);
        if (found == items_.end()) return {};
        return found->second;
    }
    std::vector<stored_keypair> all() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        std::vector<stored_keypair> result;
        for (const auto& item : items_) result.push_back(item.second);
        return result;
    }
    /// Counts a request that was signed with it.
    void note_use(const std::string& access_key, std::chrono::system_clock::time_point now) {
        change(access_key, [now](stored_keypair& item) {
            item.last_used = now;
            ++item.num_queries;
        });
    }
    /// Changes one in place; false when there is none of this key.
    template <class Change>
    bool change(const std::string& access_key, Change apply) {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = items_.find(access_key);
        if (found == items_.end()) return false;
        apply(found->second);
        return true;
    }
    bool remove(const std::string& access_key) {
        const std::lock_guard<std::mutex> lock(mutex_);
        return items_.erase(access_key) > 0;
    }

    /// The secret key of an active pair, which a request is checked with.
    std::optional<std::string> secret_of(const std::string& access_key) const {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = items_.find(access_key);
        if (found == items_.end() || !found->second.is_active) return {};
        return found->second.secret_key;
    }

private:
    mutable std::mutex mutex_;
    std::map<std::string, stored_keypair> items_;
};

} // namespace detail
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
