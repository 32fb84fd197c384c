// Files named on a command line.
#ifndef MOETUNE_CLI_TEXT_FILE_H_
#define MOETUNE_CLI_TEXT_FILE_H_

#include <string>

#include "absl/status/statusor.h"

namespace moetune {

// All bytes of the file. NotFound, with the reason, if it cannot be read.
absl::StatusOr<std::string> ReadTextFile(const std::string& path);

}  // namespace moetune

#endif  // MOETUNE_CLI_TEXT_FILE_H_
