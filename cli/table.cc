#include "cli/table.h"

#include <algorithm>

#include "absl/strings/str_format.h"

namespace moetune {
namespace {

// In characters rather than bytes: UTF-8 continues a character with bytes of 10xxxxxx.
size_t Width(const std::string& text) {
  return static_cast<size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

bool IsNumber(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789.-%x") == std::string::npos;
}

struct Column {
  size_t width = 0;
  bool numbers = true;
};

std::string LineText(const std::vector<std::string>& cells, const std::vector<Column>& columns) {
  std::string line;
  for (size_t i = 0; i < columns.size(); ++i) {
    if (i > 0) line += "  ";
    const std::string padding(columns[i].width - Width(cells[i]), ' ');
    line += columns[i].numbers ? padding + cells[i] : cells[i] + padding;
  }
  line.erase(line.find_last_not_of(' ') + 1);
  return line + '\n';
}

}  // namespace

std::string TableText(const std::vector<std::string>& header,
                      const std::vector<std::vector<std::string>>& rows) {
  std::vector<Column> columns(header.size());
  for (size_t i = 0; i < columns.size(); ++i) {
    columns[i].width = Width(header[i]);
    for (const auto& row : rows) {
      columns[i].width = std::max(columns[i].width, Width(row[i]));
      columns[i].numbers = columns[i].numbers && IsNumber(row[i]);
    }
  }
  std::string text = LineText(header, columns);
  for (const auto& row : rows) text += LineText(row, columns);
  return text;
}

std::string FieldsText(const std::vector<std::pair<std::string, std::string>>& fields) {
  size_t width = 0;
  for (const auto& [name, value] : fields) width = std::max(width, Width(name));
  std::string text;
  for (const auto& [name, value] : fields) {
    if (value.empty()) continue;
    text += name + std::string(width + 2 - Width(name), ' ') + value + '\n';
  }
  return text;
}

std::string MicrosecondsText(double us) {
  const int decimals = us < 10 ? 3 : us < 100 ? 2 : us < 1000 ? 1 : 0;
  return absl::StrFormat("%.*f", decimals, us);
}

std::string SpeedupText(double factor) { return absl::StrFormat("%.2fx", factor); }

}  // namespace moetune
