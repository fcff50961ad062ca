/// @file
/// Message digests and HMAC (RFC 2104) by OpenSSL, under the names that Python's hashlib gives them.
#ifndef BACKENDAI_CODEC_DIGEST_HPP
#define BACKENDAI_CODEC_DIGEST_HPP

#include <backendai/version.hpp>

#include <openssl/evp.h>

#include <array>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

namespace detail {

struct digest_name {
    const char* python;  // the spelling of hashlib, which is what the server looks up
    const char* openssl; // the spelling of EVP_get_digestbyname
};

template <class = void>
const std::array<digest_name, 11>& digest_names() {
    static const std::array<digest_name, 11> names = {{{"sha1", "SHA1"},
                                                       {"sha224", "SHA224"},
                                                       {"sha256", "SHA256"},
                                                       {"sha384", "SHA384"},
                                                       {"sha512", "SHA512"},
                                                       {"blake2b", "BLAKE2b512"},
                                                       {"blake2s", "BLAKE2s256"},
                                                       {"sha3_224", "SHA3-224"},
                                                       {"sha3_256", "SHA3-256"},
                                                       {"sha3_384", "SHA3-384"},
                                                       {"sha3_512", "SHA3-512"}}};
    return names;
}

template <class = void>
const EVP_MD* find_digest(std::string_view name) {
    for (const digest_name& candidate : digest_names()) {
        if (name == candidate.python) return EVP_get_digestbyname(candidate.openssl);
    }
    return nullptr;
}

template <class = void>
const EVP_MD* require_digest(std::string_view name) {
    const EVP_MD* md = find_digest(name);
    if (md == nullptr) throw std::invalid_argument("unknown or unusable hash type: " + std::string(name));
    return md;
}

} // namespace detail

/// Whether @p name (Python's spelling: "sha256", "sha3_512", "blake2b" ...) can be used with HMAC here.
template <class = void>
bool has_digest(std::string_view name) {
    return detail::find_digest(name) != nullptr;
}

/// Lower-case hexadecimal text of @p data.
template <class = void>
std::string to_hex(std::string_view data) {
    constexpr char digits[] = "0123456789abcdef";
    std::string text;
    text.reserve(data.size() * 2);
    for (const char c : data) {
        const auto byte = static_cast<unsigned char>(c);
        text.push_back(digits[byte >> 4]);
        text.push_back(digits[byte & 15]);
    }
    return text;
}

/// The raw digest of @p data.
/// @throws std::invalid_argument when has_digest(algorithm) is false.
template <class = void>
std::string digest(std::string_view algorithm, std::string_view data) {
    std::string result(EVP_MAX_MD_SIZE, '\0');
    unsigned length = 0;
    if (EVP_Digest(data.data(), data.size(), reinterpret_cast<unsigned char*>(&result[0]), &length,
                   detail::require_digest(algorithm), nullptr) != 1) {
        throw std::runtime_error("OpenSSL could not compute a digest");
    }
    result.resize(length);
    return result;
}

/// HMAC with one key for many messages: the key is prepared once, and each message costs a copy of that state.
/// Thread-safety: const members may be called from several threads at once.
class hmac_key {
public:
    /// @param algorithm Python's name of the hash.  @param key raw bytes of any length.
    /// @throws std::invalid_argument when has_digest(algorithm) is false.
    template <class = void>
    hmac_key(std::string_view algorithm, std::string_view key) : md_(detail::require_digest(algorithm)) {
        const auto block = static_cast<std::size_t>(EVP_MD_block_size(md_));
        std::string padded(key.size() > block ? digest(algorithm, key) : std::string(key));
        padded.resize(block, '\0');
        inner_ = keyed(padded, 0x36);
        outer_ = keyed(padded, 0x5c);
    }

    /// The raw HMAC of @p message.
    std::string operator()(std::string_view message) const {
        // One scratch context a thread: creating one costs more than hashing a short message.
        thread_local const context scratch(EVP_MD_CTX_new(), EVP_MD_CTX_free);
        std::string result(EVP_MAX_MD_SIZE, '\0');
        auto* out = reinterpret_cast<unsigned char*>(&result[0]);
        unsigned length = 0;
        const bool done = scratch && EVP_MD_CTX_copy_ex(scratch.get(), inner_.get()) == 1 &&
                          EVP_DigestUpdate(scratch.get(), message.data(), message.size()) == 1 &&
                          EVP_DigestFinal_ex(scratch.get(), out, &length) == 1 &&
                          EVP_MD_CTX_copy_ex(scratch.get(), outer_.get()) == 1 &&
                          EVP_DigestUpdate(scratch.get(), out, length) == 1 &&
                          EVP_DigestFinal_ex(scratch.get(), out, &length) == 1;
        if (!done) throw std::runtime_error("OpenSSL could not compute an HMAC");
        result.resize(length);
        return result;
    }

private:
    using context = std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)>;

    template <class = void>
    context keyed(std::string block, unsigned char pad) const {
        for (char& c : block) c = static_cast<char>(static_cast<unsigned char>(c) ^ pad);
        context state(EVP_MD_CTX_new(), EVP_MD_CTX_free);
        if (!state || EVP_DigestInit_ex(state.get(), md_, nullptr) != 1 ||
            EVP_DigestUpdate(state.get(), block.data(), block.size()) != 1) {
            throw std::runtime_error("OpenSSL could not prepare an HMAC key");
        }
        return state;
    }

    const EVP_MD* md_;
    context inner_{nullptr, EVP_MD_CTX_free};
    context outer_{nullptr, EVP_MD_CTX_free};
};

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif
