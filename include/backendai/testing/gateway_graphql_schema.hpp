/// @file
/// The GraphQL schema of the embedded gateway, that of the 19.03 line, and the rules for values of its types.
#ifndef BACKENDAI_TESTING_GATEWAY_GRAPHQL_SCHEMA_HPP
#define BACKENDAI_TESTING_GATEWAY_GRAPHQL_SCHEMA_HPP

#include <backendai/testing/gateway_graphql_parser.hpp>
#include <backendai/version.hpp>

#include <nlohmann/json.hpp>

#include <cctype>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace testing {
namespace graphql {

/// An argument, a field, or a member of an input type.
struct member {
    std::string name;
    type_name type;
    std::string other_type; ///< another named type that is as good
    std::vector<member> arguments;

    const member* argument_of(const std::string& wanted) const {
        for (const member& item : arguments) {
            if (item.name == wanted) return &item;
        }
        return nullptr;
    }
};
struct named_type {
    std::string name;
    bool is_input = false;
    std::vector<member> members;

    const member* find(const std::string& wanted) const {
        for (const member& item : members) {
            if (item.name == wanted) return &item;
        }
        return nullptr;
    }
};

/// Types by name, read from a text in the schema language. `A|B` after an argument's colon takes either: servers of the
/// line differ there, or convert.
class schema {
public:
    explicit schema(std::string_view text) : text_(text) {
        next();
        while (!word_.empty()) read_type();
    }

    const named_type* find(const std::string& name) const {
        const auto found = types_.find(name);
        return found == types_.end() ? nullptr : &found->second;
    }
    bool is_input(const std::string& name) const {
        const named_type* type = find(name);
        return type != nullptr ? type->is_input : is_scalar(name);
    }
    static bool is_scalar(const std::string& name) {
        for (const char* known :
             {"String", "Int", "Float", "Boolean", "ID", "JSONString", "DateTime", "UUID", "BigInt"}) {
            if (name == known) return true;
        }
        return false;
    }

    /// Why @p given is no value of the type; none when it is one. @param named in place of the type's own name
    std::vector<std::string> check(const nlohmann::json& given, const type_name& type, const std::string& named) const {
        if (given.is_null()) {
            if (!type.required) return {};
            return {"Expected \"" + with_name(type, named).print() + "\", found null."};
        }
        if (type.list && given.is_array()) {
            std::vector<std::string> wrong;
            for (std::size_t i = 0; i < given.size(); ++i) {
                for (const std::string& why : check(given[i], item_of(type), named)) {
                    wrong.push_back("In element #" + std::to_string(i) + ": " + why);
                }
            }
            return wrong;
        }
        if (const named_type* input = find(named)) return check_members(given, *input);
        if (coerce_scalar(given, named).is_null())
            return {"Expected type \"" + named + "\", found " + print(given) + '.'};
        return {};
    }

    /// The same for a literal.
    std::vector<std::string> check(const value& given, const type_name& type, const std::string& named) const {
        if (given.is == value::kind::variable) return {};
        if (type.list && given.is == value::kind::list) {
            std::vector<std::string> wrong;
            for (std::size_t i = 0; i < given.items.size(); ++i) {
                for (const std::string& why : check(given.items[i], item_of(type), named)) {
                    wrong.push_back("In element #" + std::to_string(i) + ": " + why);
                }
            }
            return wrong;
        }
        if (const named_type* input = find(named)) return check_members(given, *input);
        if (literal(given, named).is_null()) return {"Expected type \"" + named + "\", found " + given.print() + '.'};
        return {};
    }

    /// A checked value as resolvers get it; numbers become texts where a text is wanted, and so on.
    nlohmann::json coerce(const nlohmann::json& given, const type_name& type, const std::string& named) const {
        if (given.is_null()) return given;
        if (type.list) {
            nlohmann::json result = nlohmann::json::array();
            if (!given.is_array()) return nlohmann::json::array({coerce(given, item_of(type), named)});
            for (const auto& item : given) result.push_back(coerce(item, item_of(type), named));
            return result;
        }
        const named_type* input = find(named);
        if (input == nullptr) return coerce_scalar(given, named);
        nlohmann::json result = nlohmann::json::object();
        for (const member& item : input->members) {
            if (given.contains(item.name)) result[item.name] = coerce(given[item.name], item.type, item.type.name);
        }
        return result;
    }

    /// A checked literal as JSON; null for a variable without a value.
    nlohmann::json literal_value(const value& given, const type_name& type, const std::string& named,
                                 const nlohmann::json& variables) const {
        if (given.is == value::kind::variable) return variables.value(given.word, nlohmann::json());
        if (type.list) {
            nlohmann::json result = nlohmann::json::array();
            if (given.is != value::kind::list) result.push_back(literal_value(given, item_of(type), named, variables));
            for (const value& item : given.items) {
                result.push_back(literal_value(item, item_of(type), named, variables));
            }
            return result;
        }
        const named_type* input = find(named);
        if (input == nullptr) return literal(given, named);
        nlohmann::json result = nlohmann::json::object();
        for (const value_member& item : given.members) {
            if (const member* known = input->find(item.name)) {
                result[item.name] = literal_value(item.content, known->type, known->type.name, variables);
            }
        }
        return result;
    }

private:
    static type_name with_name(type_name type, const std::string& named) {
        type.name = named;
        return type;
    }
    static type_name item_of(const type_name& type) { return {type.name, type.required_items, false, false}; }
    static std::string print(const nlohmann::json& value) {
        return value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
    }

    std::vector<std::string> check_members(const nlohmann::json& given, const named_type& input) const {
        if (!given.is_object()) return {"Expected \"" + input.name + "\", found not an object."};
        std::vector<std::string> wrong;
        for (const auto& item : given.items()) {
            if (input.find(item.key()) == nullptr) wrong.push_back("In field \"" + item.key() + "\": Unknown field.");
        }
        for (const member& item : input.members) {
            const auto found = given.find(item.name);
            const nlohmann::json none;
            for (const std::string& why : check(found == given.end() ? none : *found, item.type, item.type.name)) {
                wrong.push_back("In field \"" + item.name + "\": " + why);
            }
        }
        return wrong;
    }
    std::vector<std::string> check_members(const value& given, const named_type& input) const {
        if (given.is != value::kind::object) return {"Expected \"" + input.name + "\", found not an object."};
        std::vector<std::string> wrong;
        std::map<std::string, const value*> members;
        for (const value_member& item : given.members) {
            members[item.name] = &item.content;
            if (input.find(item.name) == nullptr) wrong.push_back("In field \"" + item.name + "\": Unknown field.");
        }
        for (const member& item : input.members) {
            const auto found = members.find(item.name);
            std::vector<std::string> reasons;
            if (found != members.end()) {
                reasons = check(*found->second, item.type, item.type.name);
            } else if (item.type.required) {
                reasons = {"Expected \"" + item.type.print() + "\", found null."};
            }
            for (const std::string& why : reasons) wrong.push_back("In field \"" + item.name + "\": " + why);
        }
        return wrong;
    }

    // What the server's library makes of a variable's value; null when it refuses it.
    static nlohmann::json coerce_scalar(const nlohmann::json& given, const std::string& named) {
        if (named == "Boolean") {
            if (given.is_boolean()) return given;
            if (given.is_number()) return given != 0;
            return !given.empty() && given != ""; // NOLINT(readability-container-size-empty): a JSON text
        }
        if (given.is_object() || given.is_array()) return nullptr;
        if (named == "Int") return integer(given);
        if (named == "Float") return given.is_number() ? given : nlohmann::json();
        return given.is_string() ? given : nlohmann::json(given.dump());
    }
    static nlohmann::json integer(const nlohmann::json& given) {
        double number = 0;
        if (given.is_boolean()) {
            number = given.get<bool>() ? 1 : 0;
        } else if (given.is_number()) {
            number = given.get<double>();
        } else {
            const std::string text = given.get<std::string>();
            char* end = nullptr;
            number = std::strtod(text.c_str(), &end);
            if (text.empty() || *end != '\0') return nullptr;
        }
        if (!(number >= -2147483648.0 && number <= 2147483647.0)) return nullptr;
        return static_cast<std::int64_t>(number);
    }
    static nlohmann::json literal(const value& given, const std::string& named) {
        using kind = value::kind;
        const bool is_number = given.is == kind::integer || given.is == kind::floating;
        if (named == "Boolean") return given.is == kind::boolean ? nlohmann::json(given.word == "true") : nullptr;
        if (named == "Int") return given.is == kind::integer ? integer(given.word) : nullptr;
        if (named == "Float") return is_number ? nlohmann::json(std::strtod(given.word.c_str(), nullptr)) : nullptr;
        if (named == "ID" && given.is == kind::integer) return given.word;
        return given.is == kind::text ? nlohmann::json(given.word) : nullptr;
    }

    // --- the schema's text -------------------------------------------------------------------------------------------
    void next() {
        while (at_ < text_.size() && (std::isspace(static_cast<unsigned char>(text_[at_])) != 0 || text_[at_] == ',')) {
            ++at_;
        }
        word_.clear();
        while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 || text_[at_] == '_')) {
            word_ += text_[at_++];
        }
        if (word_.empty() && at_ < text_.size()) word_ = text_[at_++];
    }
    bool take(const char* word) {
        if (word_ != word) return false;
        next();
        return true;
    }
    std::string name() {
        std::string result = word_;
        next();
        return result;
    }
    void read_type() {
        named_type type;
        type.is_input = take("input");
        if (!type.is_input) take("type");
        type.name = name();
        take("{");
        while (!take("}")) type.members.push_back(read_member());
        types_[type.name] = std::move(type);
    }
    member read_member() {
        member result;
        result.name = name();
        if (take("(")) {
            while (!take(")")) result.arguments.push_back(read_member());
        }
        take(":");
        result.type.list = take("[");
        result.type.name = name();
        if (take("|")) result.other_type = name();
        if (result.type.list) {
            result.type.required_items = take("!");
            take("]");
        }
        result.type.required = take("!");
        return result;
    }

    std::string_view text_;
    std::size_t at_ = 0;
    std::string word_;
    std::map<std::string, named_type> types_;
};

// user_id: a number before 18.12, an e-mail address now. The limits of a KeyPairInput: both are wanted until spring
// 2019, a resource policy in place of concurrency_limit after that; gateway_graphql.hpp sees to it that one is there.
// ModifyKeyPairInput, agent_list and compute_session_list came within the line.
inline constexpr const char* common_types = R"(
type KVPair { key: String value: String }
type ResourceLimit { key: String min: String max: String }
type Image { name: String humanized_name: String tag: String registry: String digest: String labels: [KVPair]
  aliases: [String] size_bytes: BigInt resource_limits: [ResourceLimit] supported_accelerators: [String]
  installed: Boolean hash: String }
type VirtualFolder { id: UUID host: String name: String max_files: Int max_size: Int created_at: DateTime
  last_used: DateTime num_files: Int cur_size: Int }
type ComputeSession { sess_id: String id: ID role: String image: String registry: String tag: String status: String
  status_info: String created_at: DateTime terminated_at: DateTime agent: String container_id: String
  service_ports: JSONString occupied_slots: JSONString occupied_shares: JSONString lang: String mem_slot: Int
  cpu_slot: Float gpu_slot: Float tpu_slot: Float num_queries: BigInt cpu_used: BigInt mem_max_bytes: BigInt
  mem_cur_bytes: BigInt net_rx_bytes: BigInt net_tx_bytes: BigInt io_read_bytes: BigInt io_write_bytes: BigInt
  io_max_scratch_size: BigInt io_cur_scratch_size: BigInt cpu_using: Float workers(status: String): [ComputeWorker] }
type ComputeWorker { sess_id: String id: ID role: String image: String registry: String status: String
  status_info: String created_at: DateTime terminated_at: DateTime agent: String container_id: String
  service_ports: JSONString occupied_slots: JSONString occupied_shares: JSONString lang: String mem_slot: Int
  cpu_slot: Float gpu_slot: Float tpu_slot: Float num_queries: BigInt cpu_used: BigInt mem_max_bytes: BigInt
  mem_cur_bytes: BigInt net_rx_bytes: BigInt net_tx_bytes: BigInt io_read_bytes: BigInt io_write_bytes: BigInt
  io_max_scratch_size: BigInt io_cur_scratch_size: BigInt cpu_using: Float }
type KeyPair { user_id: String access_key: String secret_key: String is_active: Boolean is_admin: Boolean
  resource_policy: String created_at: DateTime last_used: DateTime concurrency_limit: Int concurrency_used: Int
  rate_limit: Int num_queries: Int vfolders: [VirtualFolder] compute_sessions(status: String): [ComputeSession] }
)";
inline constexpr const char* admin_types = R"(
type Agent { id: String status: String region: String addr: String first_contact: DateTime lost_at: DateTime
  available_slots: JSONString occupied_slots: JSONString mem_slots: Int cpu_slots: Float gpu_slots: Float
  tpu_slots: Float used_mem_slots: Int used_cpu_slots: Float used_gpu_slots: Float used_tpu_slots: Float
  cpu_cur_pct: Float mem_cur_bytes: Float computations(status: String): [ComputeWorker] }
type AgentList { items: [Agent] total_count: Int }
type ComputeSessionList { items: [ComputeSession] total_count: Int }
type QueryForAdmin { agent(agent_id: String!): Agent agents(status: String): [Agent]
  agent_list(limit: Int! offset: Int! status: String): AgentList
  image(reference: String!): Image images: [Image] keypair(access_key: String): KeyPair
  keypairs(user_id: String|Int is_active: Boolean): [KeyPair] vfolders(access_key: String): [VirtualFolder]
  compute_session_list(limit: Int! offset: Int! access_key: String status: String): ComputeSessionList
  compute_sessions(access_key: String status: String): [ComputeSession] compute_session(sess_id: String): ComputeSession
  compute_workers(sess_id: String! status: String): [ComputeWorker] }
input KeyPairInput { is_active: Boolean is_admin: Boolean resource_policy: String concurrency_limit: Int
  rate_limit: Int! }
input ModifyKeyPairInput { is_active: Boolean is_admin: Boolean resource_policy: String concurrency_limit: Int
  rate_limit: Int }
type CreateKeyPair { ok: Boolean msg: String keypair: KeyPair }
type ModifyKeyPair { ok: Boolean msg: String }
type DeleteKeyPair { ok: Boolean msg: String }
type RescanImages { ok: Boolean msg: String }
type AliasImage { ok: Boolean msg: String }
type DealiasImage { ok: Boolean msg: String }
type MutationForAdmin { create_keypair(user_id: String|Int! props: KeyPairInput!): CreateKeyPair
  modify_keypair(access_key: String! props: KeyPairInput|ModifyKeyPairInput!): ModifyKeyPair
  delete_keypair(access_key: String!): DeleteKeyPair rescan_images(registry: String): RescanImages
  alias_image(alias: String! target: String!): AliasImage dealias_image(alias: String!): DealiasImage }
)";
inline constexpr const char* user_types = R"(
type QueryForUser { image(reference: String!): Image images: [Image] keypair: KeyPair vfolders: [VirtualFolder]
  compute_sessions(status: String): [ComputeSession] compute_session(sess_id: String): ComputeSession
  compute_workers(sess_id: String! status: String): [ComputeWorker] }
)";

inline const schema& admin_schema() {
    static const std::string text = std::string(common_types) + admin_types;
    static const schema instance(text);
    return instance;
}
inline const schema& user_schema() {
    static const std::string text = std::string(common_types) + user_types;
    static const schema instance(text);
    return instance;
}

} // namespace graphql
} // namespace testing
BACKENDAI_NAMESPACE_END

#endif
