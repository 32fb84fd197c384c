// The project's text format: records as lines that people can read, diff and keep in git. It is
// what db/shipped/*.txt is written in; docs/database.md describes it.
#ifndef MOETUNE_DB_TEXT_FORMAT_H_
#define MOETUNE_DB_TEXT_FORMAT_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "db/record.h"

namespace moetune {

// Sequence numbers are not written: they belong to a store.
std::string WriteText(std::span<const Record> records);

// All of the records or none: an error names the line, the field and what is allowed. A file cut
// short is an error (the last line counts the records).
absl::StatusOr<std::vector<Record>> ReadText(std::string_view text);

}  // namespace moetune

#endif  // MOETUNE_DB_TEXT_FORMAT_H_
