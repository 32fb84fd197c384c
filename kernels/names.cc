#include "kernels/names.h"

#include <algorithm>
#include <charconv>
#include <numeric>
#include <string>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace moetune {
namespace {

// Levenshtein distance, one row at a time.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row[b.size()];
}

}  // namespace

absl::Status UnknownName(std::string_view kind, std::string_view name,
                         const std::vector<std::string_view>& known) {
  std::string suggestion;
  size_t best = std::max<size_t>(name.size() / 3, 2) + 1;  // further off is no typo
  for (std::string_view candidate : known) {
    if (const size_t distance = EditDistance(name, candidate); distance < best) {
      best = distance;
      suggestion = absl::StrFormat("did you mean '%s'? ", candidate);
    }
  }
  std::vector<std::string> names(known.begin(), known.end());
  return absl::InvalidArgumentError(absl::StrFormat("unknown %s '%s'; %sknown: %s", kind, name,
                                                    suggestion, absl::StrJoin(names, ", ")));
}

absl::StatusOr<int64_t> ParseInteger(std::string_view what, std::string_view text, int64_t min,
                                     int64_t max) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < min || value > max) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s '%s' is not an integer from %d to %d", what, text, min, max));
  }
  return value;
}

}  // namespace moetune
