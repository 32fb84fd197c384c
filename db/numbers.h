// Numbers as text that reads back as the same numbers: what tables and the text format keep lists
// in.
#ifndef MOETUNE_DB_NUMBERS_H_
#define MOETUNE_DB_NUMBERS_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace moetune {

// The shortest text that reads back as the same double.
std::string ExactText(double value);

// "12.5,13"; empty for none. Every number is finite.
std::string NumbersText(const std::vector<double>& values);
absl::StatusOr<std::vector<double>> ParseNumbers(std::string_view text);

}  // namespace moetune

#endif  // MOETUNE_DB_NUMBERS_H_
