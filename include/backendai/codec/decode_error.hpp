/// @file
/// What a codec throws when the bytes it was given are not what the format allows.
#ifndef BACKENDAI_CODEC_DECODE_ERROR_HPP
#define BACKENDAI_CODEC_DECODE_ERROR_HPP

#include <backendai/version.hpp>

#include <stdexcept>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// Malformed, truncated or over-limit input of a codec. Layers above turn it into a client_error of the fitting kind.
class decode_error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif
