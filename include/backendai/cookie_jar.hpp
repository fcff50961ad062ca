/// @file
/// The cookies of a session that has logged in at a webserver.
#ifndef BACKENDAI_COOKIE_JAR_HPP
#define BACKENDAI_COOKIE_JAR_HPP

#include <backendai/codec/cookie.hpp>
#include <backendai/codec/json.hpp>
#include <backendai/codec/url.hpp>
#include <backendai/error.hpp>
#include <backendai/http.hpp>
#include <backendai/os/private_file.hpp>
#include <backendai/version.hpp>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <mutex>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// Cookies of one endpoint, sent to no other origin; in memory, and in a file if one is named. The file is read when
/// the jar is made and written from keep() on, whenever a cookie changes. What a server may leave here is bounded.
/// Thread-safe.
template <class = void>
class cookie_jar {
public:
    /// With a file that is no cookie file nobody is logged in; the next login replaces it.
    /// @throws client_error{io} when the file cannot be read, or others than its owner may read it
    cookie_jar(const codec::url& endpoint, std::filesystem::path file)
        : origin_(endpoint.origin()), host_(endpoint.host), is_tls_(endpoint.is_tls()), file_(std::move(file)) {
        if (!file_.empty()) load();
    }

    /// The value of the Cookie header for a request; empty when there is none to send.
    std::string header(const codec::url& place, codec::utc_time now) const {
        if (place.origin() != origin_) return {};
        const std::lock_guard<std::mutex> lock(mutex_);
        std::string text;
        for (const codec::cookie& item : cookies_) {
            if ((item.expires && *item.expires <= now) || (item.secure && !is_tls_)) continue;
            if (!codec::cookie_path_matches(item.path, place.path.empty() ? "/" : place.path)) continue;
            if (!text.empty()) text += "; ";
            text += item.name + '=' + item.value;
        }
        return text;
    }

    /// Takes what an answer sets. A file that cannot be written does not fail the call that has just succeeded: the
    /// cookies stay in memory, and every later answer tries to write them again.
    void absorb(const response_head& head, const codec::url& place, codec::utc_time now) {
        if (place.origin() != origin_) return;
        const std::lock_guard<std::mutex> lock(mutex_);
        bool changed = unsaved_;
        for (const auto& field : head.headers) {
            if (!equal_ignoring_case(field.first, "Set-Cookie")) continue;
            if (auto item = codec::parse_set_cookie(field.second, now)) changed = put(std::move(*item), now) || changed;
        }
        if (!changed || !kept_) return;
        try {
            save();
        } catch (const client_error&) {
            unsaved_ = true;
        }
    }

    /// From now on the file holds what the jar holds. @throws client_error{io}
    void keep() {
        const std::lock_guard<std::mutex> lock(mutex_);
        kept_ = !file_.empty();
        if (kept_) save();
    }
    /// Forgets all cookies; the file stays as it is.
    void clear() {
        const std::lock_guard<std::mutex> lock(mutex_);
        cookies_.clear();
        kept_ = unsaved_ = false;
    }
    /// Forgets all cookies, those in the file too. @throws client_error{io}
    void discard() {
        clear();
        const std::lock_guard<std::mutex> lock(mutex_);
        std::error_code error;
        if (!file_.empty()) std::filesystem::remove(file_, error);
        if (error) failure(error.message());
    }

private:
    static constexpr std::size_t most_cookies = 50, largest_cookie = 4096;
    // Of cookies within those limits, each byte escaped.
    static constexpr std::size_t largest_file = most_cookies * (6 * largest_cookie + 256);

    static bool is_too_large(const codec::cookie& item) {
        return item.name.size() + item.value.size() + item.path.size() > largest_cookie;
    }

    bool put(codec::cookie item, codec::utc_time now) {
        const bool ours =
            item.domain.empty() || item.domain == host_ ||
            (host_.size() > item.domain.size() &&
             host_.compare(host_.size() - item.domain.size() - 1, std::string::npos, '.' + item.domain) == 0);
        if (!ours || is_too_large(item)) return false;
        const bool gone = item.expires && *item.expires <= now;
        for (auto known = cookies_.begin(); known != cookies_.end(); ++known) {
            if (known->name != item.name || known->path != item.path) continue;
            if (gone) {
                cookies_.erase(known);
            } else {
                *known = std::move(item);
            }
            return true;
        }
        if (gone) return false;
        if (cookies_.size() >= most_cookies) {
            cookies_.erase(std::remove_if(cookies_.begin(), cookies_.end(),
                                          [&](const codec::cookie& old) { return old.expires && *old.expires <= now; }),
                           cookies_.end());
        }
        if (cookies_.size() >= most_cookies) return false; // the login's own came first, and must stay
        cookies_.push_back(std::move(item));
        return true;
    }

    [[noreturn]] void failure(const std::string& why) const {
        throw client_error(error_kind::io, "the cookie file " + os::path_text(file_) + ": " + why);
    }

    void load() {
        try {
            const auto text = os::read_private_file(file_, largest_file);
            if (!text) return;
            const json content = codec::parse_json(*text);
            if (!codec::is_equal(content.at("endpoint"), origin_))
                return; // of another server: replaced by the next login
            for (const json& each : content.at("cookies")) {
                auto item = codec::parse_set_cookie(
                    each.at("name").get<std::string>() + '=' + each.at("value").get<std::string>(), {});
                if (!item) continue;
                item->path = each.at("path").get<std::string>();
                item->secure = each.at("secure").get<bool>();
                if (each.contains("expires")) item->expires = codec::parse_iso_date(each["expires"].get<std::string>());
                if (item->path.empty()) item->path = "/";
                if (is_too_large(*item) || cookies_.size() >= most_cookies) continue;
                cookies_.push_back(std::move(*item));
            }
            kept_ = true;
        } catch (const std::system_error& e) {
            if (e.code() != std::errc::file_too_large) failure(e.what());
        } catch (const json::exception&) {
            cookies_.clear();
        } catch (const codec::decode_error&) {
            cookies_.clear();
        }
    }

    void save() {
        json content = {{"endpoint", origin_}, {"cookies", json::array()}};
        for (const codec::cookie& item : cookies_) {
            json each = {{"name", item.name}, {"value", item.value}, {"path", item.path}, {"secure", item.secure}};
            if (item.expires) each["expires"] = codec::format_date(*item.expires);
            content["cookies"].push_back(std::move(each));
        }
        try {
            os::write_private_file(file_, content.dump());
            unsaved_ = false;
        } catch (const std::system_error& e) {
            failure(e.what());
        }
    }

    const std::string origin_, host_;
    const bool is_tls_;
    const std::filesystem::path file_;
    mutable std::mutex mutex_;
    std::vector<codec::cookie> cookies_;
    bool kept_ = false, unsaved_ = false;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
