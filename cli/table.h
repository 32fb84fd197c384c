// Plain text for people: tables, lists of fields, times.
#ifndef MOETUNE_CLI_TABLE_H_
#define MOETUNE_CLI_TABLE_H_

#include <string>
#include <utility>
#include <vector>

namespace moetune {

// Columns two blanks apart, as wide as their widest cell; a column of numbers is aligned right.
// Rows have as many cells as the header. Ends with a newline.
std::string TableText(const std::vector<std::string>& header,
                      const std::vector<std::vector<std::string>>& rows);

// One "name  value" a line, the values aligned; fields with an empty value are left out.
std::string FieldsText(const std::vector<std::pair<std::string, std::string>>& fields);

std::string MicrosecondsText(double us);  // four digits: "8.125", "812.5", "12345"
std::string SpeedupText(double factor);   // "1.31x"

}  // namespace moetune

#endif  // MOETUNE_CLI_TABLE_H_
