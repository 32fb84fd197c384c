#include "cli/text_file.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "absl/strings/str_format.h"

namespace moetune {

absl::StatusOr<std::string> ReadTextFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  // Of an empty file nothing can be inserted, which is no failure; a folder opens, but does not
  // read.
  if (file.is_open() && file.peek() != std::ifstream::traits_type::eof()) text << file.rdbuf();
  if (file.is_open() && !file.bad() && !text.fail()) return text.str();
  return absl::NotFoundError(absl::StrFormat("cannot read '%s': %s", path, std::strerror(errno)));
}

}  // namespace moetune
