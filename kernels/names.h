// Names typed by people: finding one in a table, and an error that offers the nearest.
#ifndef MOETUNE_KERNELS_NAMES_H_
#define MOETUNE_KERNELS_NAMES_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace moetune {

// Of a device or a family. No driver has a longer one, and to quote it or find what resembles it
// would cost whoever answers.
inline constexpr size_t kMaxNameBytes = 256;

// InvalidArgument: "unknown KIND 'NAME'; did you mean 'NEAREST'? known: A, B, C".
absl::Status UnknownName(std::string_view kind, std::string_view name,
                         const std::vector<std::string_view>& known);

// Parses a whole decimal integer in [min, max]; errors name `what`, the text and the range.
absl::StatusOr<int64_t> ParseInteger(std::string_view what, std::string_view text, int64_t min,
                                     int64_t max);

}  // namespace moetune

#endif  // MOETUNE_KERNELS_NAMES_H_
