#include "db/numbers.h"

#include <array>
#include <charconv>
#include <cmath>

#include "absl/strings/str_format.h"

namespace moetune {

std::string ExactText(double value) {
  std::array<char, 32> buffer;
  const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  return std::string(buffer.data(), result.ptr);
}

std::string NumbersText(const std::vector<double>& values) {
  std::string text;
  for (const double value : values) {
    absl::StrAppendFormat(&text, "%s%s", text.empty() ? "" : ",", ExactText(value));
  }
  return text;
}

absl::StatusOr<std::vector<double>> ParseNumbers(std::string_view text) {
  std::vector<double> values;
  const char* const end = text.data() + text.size();
  for (const char* at = text.data(); at < end; ++at) {
    const auto [stop, error] = std::from_chars(at, end, values.emplace_back());
    const bool last = stop == end;
    if (error != std::errc() || !std::isfinite(values.back()) || (!last && *stop != ',') ||
        (!last && stop + 1 == end)) {
      return absl::InvalidArgumentError(
          absl::StrFormat("'%s': finite numbers joined by ',' are expected", text));
    }
    at = stop;
  }
  return values;
}

}  // namespace moetune
