/// @file
/// Images, what compute sessions are made from. Errors as in api/admin.hpp.
#ifndef BACKENDAI_API_IMAGE_HPP
#define BACKENDAI_API_IMAGE_HPP

#include <backendai/api/admin.hpp>
#include <backendai/version.hpp>

#include <optional>
#include <string>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN

namespace detail {

template <class = void>
std::vector<json> image_list(const call_scope& scope, const field_list& fields) {
    graphql_text<> text("query", "images");
    text.select(select_fields(fields, "name tag hash"));
    return query_list(scope, text);
}

template <class = void>
void image_rescan(const call_scope& scope, const std::optional<std::string>& registry) {
    graphql_text<> text("mutation", "rescan_images");
    text.argument("registry", "String", registry ? json(*registry) : json()).select("ok msg");
    run_mutation(scope, text);
}

template <class = void>
void image_alias(const call_scope& scope, const std::string& alias, const std::string& target) {
    graphql_text<> text("mutation", "alias_image");
    text.argument("alias", "String!", alias).argument("target", "String!", target).select("ok msg");
    run_mutation(scope, text);
}

template <class = void>
void image_dealias(const call_scope& scope, const std::string& alias) {
    graphql_text<> text("mutation", "dealias_image");
    text.argument("alias", "String!", alias).select("ok msg");
    run_mutation(scope, text);
}

} // namespace detail

/// Functions of images: `session.image()`.
template <class Transport, class Mode>
class basic_image_functions {
    template <class T>
    using result = typename Mode::template result<T>;

public:
    explicit basic_image_functions(detail::call_scope scope) : scope_(std::move(scope)) {}

    /// The images of the cluster. @param fields default: name tag hash. Retry class: safe.
    result<std::vector<json>> list(field_list fields = {}) const {
        return Mode::run(scope_, [fields = std::move(fields)](const detail::call_scope& scope) {
            return detail::image_list(scope, fields);
        });
    }
    /// Has the server look for new images. Needs admin rights. @param registry all when not given. Retry class: unsafe.
    result<void> rescan(std::optional<std::string> registry = {}) const {
        return Mode::run(scope_, [registry = std::move(registry)](const detail::call_scope& scope) {
            detail::image_rescan(scope, registry);
        });
    }
    /// Makes @p alias another name of the image @p target. Needs admin rights. Retry class: unsafe.
    result<void> alias(std::string alias, std::string target) const {
        return Mode::run(scope_, [alias = std::move(alias), target = std::move(target)](
                                     const detail::call_scope& scope) { detail::image_alias(scope, alias, target); });
    }
    /// Takes an alias away. Needs admin rights. Retry class: unsafe.
    result<void> dealias(std::string alias) const {
        return Mode::run(scope_, [alias = std::move(alias)](const detail::call_scope& scope) {
            detail::image_dealias(scope, alias);
        });
    }

private:
    detail::call_scope scope_;
};

BACKENDAI_NAMESPACE_END

#endif
