// SHA-256 as hex: the name of a text or a cubin by its content.
#ifndef MOETUNE_KERNELS_SHA256_H_
#define MOETUNE_KERNELS_SHA256_H_

#include <string>
#include <string_view>

namespace moetune {

std::string Sha256Hex(std::string_view bytes);

}  // namespace moetune

#endif  // MOETUNE_KERNELS_SHA256_H_
