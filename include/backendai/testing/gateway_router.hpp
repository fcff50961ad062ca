/// @file
/// The embedded gateway's table of endpoints.
#ifndef BACKENDAI_TESTING_GATEWAY_ROUTER_HPP
#define BACKENDAI_TESTING_GATEWAY_ROUTER_HPP

#include <backendai/codec/url.hpp>
#include <backendai/testing/gateway_types.hpp>
#include <backendai/version.hpp>

#include <nlohmann/json.hpp>

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {

/// What a handler gets: the request, taken apart.
struct gateway_request {
    const http_call& call;
    std::vector<std::string> arguments; ///< the path's variable segments, unescaped
    codec::query_list query;

    /// The body as a JSON object; an absent body is an empty one. @throws problem invalid-api-params.
    nlohmann::json json() const {
        if (call.body.empty()) return nlohmann::json::object();
        nlohmann::json value = nlohmann::json::parse(call.body, nullptr, false);
        if (value.is_discarded()) throw invalid_parameters("Malformed body");
        if (!value.is_object()) throw invalid_parameters("the body is not an object");
        return value;
    }
};

/// Maps method and path to handlers. Filled before the first request, constant after that.
class router {
public:
    using handler = std::function<http_reply(const gateway_request&)>;
    struct route {
        std::string method;
        std::vector<std::string> segments; ///< "{}" = any one segment
        bool needs_authorization;
        handler handle;
    };
    struct match {
        const route* found = nullptr;
        std::vector<std::string> arguments;
        std::string allowed; ///< methods of the routes with this path, for Allow
    };

    /// @param pattern such as "/kernel/{}/logs".
    void add(std::string method, std::string_view pattern, bool needs_authorization, handler handle) {
        routes_.push_back({std::move(method), split(pattern), needs_authorization, std::move(handle)});
    }

    match find(std::string_view method, std::string_view path) const {
        match result;
        const std::vector<std::string> segments = split(path);
        for (const route& item : routes_) {
            std::vector<std::string> arguments;
            if (!fits(item.segments, segments, arguments)) continue;
            result.allowed += (result.allowed.empty() ? "" : ",") + item.method;
            if (item.method == method && result.found == nullptr) {
                result.found = &item;
                result.arguments = std::move(arguments);
            }
        }
        return result;
    }

private:
    static std::vector<std::string> split(std::string_view path) {
        std::vector<std::string> segments;
        if (!path.empty() && path.front() == '/') path.remove_prefix(1);
        for (;;) {
            const std::size_t slash = path.find('/');
            segments.push_back(codec::unescape(path.substr(0, slash), false));
            if (slash == std::string_view::npos) return segments;
            path.remove_prefix(slash + 1);
        }
    }
    static bool fits(const std::vector<std::string>& pattern, const std::vector<std::string>& segments,
                     std::vector<std::string>& arguments) {
        if (pattern.size() != segments.size()) return false;
        for (std::size_t i = 0; i < pattern.size(); ++i) {
            if (pattern[i] == "{}" && !segments[i].empty()) {
                arguments.push_back(segments[i]);
            } else if (pattern[i] != segments[i]) {
                return false;
            }
        }
        return true;
    }

    std::vector<route> routes_;
};

} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
