/// @file
/// Key pairs: who may use the API, and how much. Most of it needs admin rights. Errors as in api/admin.hpp.
#ifndef BACKENDAI_API_KEYPAIR_HPP
#define BACKENDAI_API_KEYPAIR_HPP

#include <backendai/api/admin.hpp>
#include <backendai/version.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

/// What keypair().create() makes. The limits default to what the official command line gives.
struct keypair_options {
    bool is_active = true;
    bool is_admin = false;
    /// Servers since spring 2019 require one and have "default"; earlier ones only keep the name.
    std::optional<std::string> resource_policy = "default";
    int rate_limit = 5000;     ///< API calls in 15 minutes
    int concurrency_limit = 1; ///< compute sessions at the same time; later servers take it from the resource policy
    field_list fields;         ///< of the new key pair; default: access_key secret_key
};

/// What keypair(key).update() changes; what is not set stays.
struct keypair_changes {
    std::optional<bool> is_active, is_admin;
    std::optional<std::string> resource_policy;
    std::optional<int> rate_limit, concurrency_limit;
};

/// Which key pairs are listed.
struct keypair_filter {
    std::optional<user_id> user = {};   ///< whose
    std::optional<bool> is_active = {}; ///< active ones, inactive ones, or both
    field_list fields = {};             ///< default: access_key secret_key is_active is_admin
};

/// A new key pair. The secret key cannot be asked for by anyone else later, so keep it.
struct keypair_creation {
    std::string access_key, secret_key; ///< empty when the fields asked for left them out
    json raw;                           ///< the fields asked for
};

namespace detail {

inline constexpr const char* default_keypair_fields = "access_key secret_key is_active is_admin";

template <class = void>
void check_user(const user_id& user) {
    if (!user.is_number()) return;
    // GraphQL's Int has 32 bits.
    const json& number = user.value();
    const bool fits = number.is_number_unsigned()
                          ? number.get<std::uint64_t>() <= INT32_MAX
                          : number.get<std::int64_t>() >= INT32_MIN && number.get<std::int64_t>() <= INT32_MAX;
    if (!fits) throw client_error(error_kind::argument, "the user id is out of range");
}
template <class = void>
void check_user(const user_id& user, const dialect& language) {
    if (!user.is_number() || language.integer_user_ids) return;
    throw client_error(error_kind::argument,
                       "user ids that are numbers ended with v4.20190315; use the e-mail address");
}
inline const char* user_type(const user_id& user) {
    return user.is_number() ? "Int!" : "String!";
}

template <class = void>
keypair_creation keypair_create(const call_scope& scope, const user_id& user, const keypair_options& options) {
    graphql_text<> text("mutation", "create_keypair");
    text.argument("user_id", user_type(user), user.value());
    text.argument("props", "KeyPairInput!",
                  {{"is_active", options.is_active},
                   {"is_admin", options.is_admin},
                   {"resource_policy", options.resource_policy ? json(*options.resource_policy) : json()},
                   {"rate_limit", options.rate_limit},
                   {"concurrency_limit", options.concurrency_limit}},
                  "input");
    text.select("ok msg keypair { " + select_fields(options.fields, "access_key secret_key") + " }");
    check_user(user);
    check_user(user, scope.negotiate());
    const json answer = run_mutation(scope, text);
    keypair_creation made;
    made.raw = wire_object(answer, "the answer").require("keypair");
    const wire_object fields(made.raw, "the key pair");
    made.access_key = fields.string_or("access_key", "");
    made.secret_key = fields.string_or("secret_key", "");
    return made;
}

template <class = void>
listing keypair_listing(keypair_filter filter) {
    listing what{"keypair_list", "keypairs", &dialect_rules::keypair_pages, {}, {}};
    what.selection = [fields = filter.fields](const dialect&) { return select_fields(fields, default_keypair_fields); };
    what.arguments = [filter = std::move(filter)](graphql_text<>& text, const dialect& language) {
        if (filter.user) {
            check_user(*filter.user, language);
            const std::string key(language.keypair_user_key);
            text.argument(key.c_str(), user_type(*filter.user), filter.user->value());
        }
        text.argument("is_active", "Boolean", filter.is_active ? json(*filter.is_active) : json());
    };
    return what;
}

template <class = void>
std::vector<json> keypair_list(const call_scope& scope, keypair_filter filter) {
    if (filter.user) check_user(*filter.user);
    page_cursor<> cursor(keypair_listing(std::move(filter)), {});
    std::vector<json> all;
    while (auto item = cursor.next(scope)) all.push_back(std::move(*item));
    return all;
}

template <class = void>
json keypair_info(const call_scope& scope, const std::string& access_key, const field_list& fields) {
    graphql_text<> text("query", "keypair");
    // Without an argument it is the caller's own, which user keys may ask for too.
    if (access_key != *scope.state->config().access_key) text.argument("access_key", "String", access_key);
    text.select(select_fields(fields, default_keypair_fields));
    return query_field(scope, text);
}

template <class = void>
void keypair_update(const call_scope& scope, const std::string& access_key, keypair_changes changes) {
    const dialect language = scope.negotiate();
    if (language.keypair_input_is_whole) {
        // The server takes no modification without the limits, so those that stay are read and sent back.
        const json present = keypair_info(scope, access_key, {"resource_policy", "rate_limit", "concurrency_limit"});
        if (present.is_null()) {
            graphql_problem problem;
            problem.message = "there is no key pair of this access key";
            problem.path = json::array({"keypair"});
            api_error::details details;
            details.status = 200;
            details.reason = "OK";
            details.title = "The key pair was not found";
            throw graphql_error(std::move(details), {std::move(problem)});
        }
        const wire_object fields(present, "the key pair");
        const keypair_options defaults;
        if (!changes.rate_limit) changes.rate_limit = fields.optional_int("rate_limit").value_or(defaults.rate_limit);
        if (!changes.concurrency_limit) {
            changes.concurrency_limit = fields.optional_int("concurrency_limit").value_or(defaults.concurrency_limit);
        }
        if (!changes.resource_policy && fields.find("resource_policy") != nullptr) {
            changes.resource_policy = fields.string("resource_policy");
        }
    }
    // What stays is left out: 23.09 takes a null for the new value, where 23.03 and 19.03 leave things as they are.
    json input = json::object();
    const auto maybe = [&](const char* name, const auto& value) {
        if (value || language.keypair_input_is_whole) input[name] = value ? json(*value) : json();
    };
    maybe("is_active", changes.is_active);
    maybe("is_admin", changes.is_admin);
    maybe("resource_policy", changes.resource_policy);
    maybe("rate_limit", changes.rate_limit);
    maybe("concurrency_limit", changes.concurrency_limit);
    graphql_text<> text("mutation", "modify_keypair");
    text.argument("access_key", "String!", access_key);
    text.argument("props", std::string(language.keypair_input) + '!', std::move(input), "input");
    text.select("ok msg");
    run_mutation(scope, text);
}

template <class = void>
void keypair_remove(const call_scope& scope, const std::string& access_key) {
    graphql_text<> text("mutation", "delete_keypair");
    text.argument("access_key", "String!", access_key).select("ok msg");
    run_mutation(scope, text);
}

} // namespace detail

/// A key pair: a handle by its access key. Makes no request by itself.
template <class Transport, class Mode>
class basic_keypair {
    template <class T>
    using result = typename Mode::template result<T>;

public:
    basic_keypair(detail::call_scope scope, std::string access_key)
        : scope_(std::move(scope)), access_key_(std::move(access_key)) {}

    const std::string& access_key() const noexcept { return access_key_; }

    /// What the server knows of this key pair; null when there is none. A key of a user may ask for itself only.
    /// @param fields default: access_key secret_key is_active is_admin
    /// Retry class: safe.
    result<json> info(field_list fields = {}) const {
        return Mode::run(scope_, [key = access_key_, fields = std::move(fields)](const detail::call_scope& scope) {
            return detail::keypair_info(scope, key, fields);
        });
    }
    /// Lets it make calls again. Needs admin rights. Reads the present limits first, as the server wants them back.
    /// Retry class: unsafe.
    result<void> activate() const { return set_active(true); }
    /// Lets it make no more calls. As activate().
    result<void> deactivate() const { return set_active(false); }
    /// Changes what is set in @p changes. Needs admin rights. Retry class: unsafe.
    result<void> update(keypair_changes changes) const {
        return Mode::run(scope_, [key = access_key_, changes = std::move(changes)](const detail::call_scope& scope) {
            detail::keypair_update(scope, key, changes);
        });
    }
    /// Deletes it. Needs admin rights. Retry class: unsafe. @throws graphql_error also when there is none
    result<void> remove() const {
        return Mode::run(scope_,
                         [key = access_key_](const detail::call_scope& scope) { detail::keypair_remove(scope, key); });
    }

private:
    result<void> set_active(bool value) const {
        keypair_changes changes;
        changes.is_active = value;
        return update(std::move(changes));
    }

    detail::call_scope scope_;
    std::string access_key_;
};

/// Functions of key pairs in general: `session.keypair()`.
template <class Transport, class Mode>
class basic_keypair_functions {
    template <class T>
    using result = typename Mode::template result<T>;

public:
    explicit basic_keypair_functions(detail::call_scope scope) : scope_(std::move(scope)) {}

    /// Makes a key pair for a user. Needs admin rights. Retry class: unsafe.
    /// @param user e-mail address, or the number that servers of the 19.03 line and before had
    result<keypair_creation> create(user_id user, keypair_options options = {}) const {
        return Mode::run(scope_,
                         [user = std::move(user), options = std::move(options)](const detail::call_scope& scope) {
                             return detail::keypair_create(scope, user, options);
                         });
    }
    /// The key pairs of a user, or of all; active ones, inactive ones, or both, in as many requests as it takes. Needs
    /// admin rights.
    /// @param fields default: access_key secret_key is_active is_admin
    /// Retry class: safe.
    result<std::vector<json>> list(std::optional<user_id> user = {}, std::optional<bool> is_active = {},
                                   field_list fields = {}) const {
        return Mode::run(scope_, [filter = keypair_filter{std::move(user), is_active, std::move(fields)}](
                                     const detail::call_scope& scope) { return detail::keypair_list(scope, filter); });
    }
    /// The key pairs that fit the filter, a page at a time; see page_range. Needs admin rights.
    page_range<Mode> paginated_list(keypair_filter filter = {}, page_query wanted = {}) const {
        return {scope_, detail::keypair_listing(std::move(filter)), std::move(wanted)};
    }
    /// One page of them. Retry class: safe.
    result<page_result> list_page(keypair_filter filter = {}, page_query wanted = {}) const {
        return Mode::run(scope_, [what = detail::keypair_listing(std::move(filter)),
                                  wanted = std::move(wanted)](const detail::call_scope& scope) {
            return detail::fetch_single_page(scope, what, wanted);
        });
    }

private:
    detail::call_scope scope_;
};

BACKENDAI_NAMESPACE_END

#endif
