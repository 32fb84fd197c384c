#include "kernels/config.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "kernels/names.h"
#include "kernels/status_macros.h"

namespace moetune {
namespace {

bool IsParameterName(std::string_view name) {
  const auto lower = [](char c) { return c >= 'a' && c <= 'z'; };
  return !name.empty() && lower(name[0]) && std::ranges::all_of(name, [&](char c) {
    return lower(c) || (c >= '0' && c <= '9') || c == '_';
  });
}

}  // namespace

Config::Config(std::initializer_list<std::pair<std::string_view, int64_t>> values) {
  for (const auto& [name, value] : values) Set(name, value);
}

Config::Config(std::vector<Entry> entries) {
  std::ranges::sort(entries, {}, &Entry::first);
  entries_ = std::make_shared<std::vector<Entry>>(std::move(entries));
}

void Config::Set(std::string_view name, Values values) {
  std::vector<Entry> changed = entries();
  const auto at = std::ranges::lower_bound(
      changed, name, {}, [](const Entry& entry) { return std::string_view(entry.first); });
  if (at != changed.end() && at->first == name) {
    at->second = std::move(values);
  } else {
    changed.insert(at, {std::string(name), std::move(values)});
  }
  entries_ = std::make_shared<std::vector<Entry>>(std::move(changed));
}

const std::vector<Config::Entry>& Config::entries() const {
  static const std::vector<Entry> none;
  return entries_ == nullptr ? none : *entries_;
}

const Config::Values* Config::Find(std::string_view name) const {
  if (entries_ == nullptr || name.empty()) return nullptr;
  // A dozen entries: a linear scan beats the branches of a binary search. Names begin alike
  // (block_k, block_m), so the last letter tells most of them apart.
  for (const Entry& entry : *entries_) {
    const std::string& other = entry.first;
    if (other.size() == name.size() && other.back() == name.back() && other == name) {
      return &entry.second;
    }
  }
  return nullptr;
}

int64_t Config::Get(std::string_view name, int64_t fallback) const {
  const Values* values = Find(name);
  return values == nullptr || values->empty() ? fallback : values->front();
}

std::string Config::Text() const {
  return absl::StrJoin(entries(), " ", [](std::string* out, const Entry& entry) {
    absl::StrAppendFormat(out, "%s=%s", entry.first, absl::StrJoin(entry.second, ","));
  });
}

absl::StatusOr<Config> ParseConfig(std::string_view text) {
  std::vector<Config::Entry> entries;
  while (!text.empty()) {
    const size_t end = text.find(' ');
    const std::string_view word = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    if (word.empty()) continue;
    const size_t equals = word.find('=');
    const std::string_view name = word.substr(0, equals);
    if (equals == std::string_view::npos || !IsParameterName(name)) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "config: '%s' is not NAME=INTEGER[,INTEGER...], with NAME in lower case", word));
    }
    if (std::ranges::find(entries, name, &Config::Entry::first) != entries.end()) {
      return absl::InvalidArgumentError(absl::StrFormat("config: '%s' stands twice", name));
    }
    Config::Values values;
    std::string_view list = word.substr(equals + 1);
    while (true) {
      const size_t comma = list.find(',');
      ASSIGN_OR_RETURN(const int64_t value,
                       ParseInteger(absl::StrFormat("config: %s", name), list.substr(0, comma),
                                    -(int64_t{1} << 53), int64_t{1} << 53));
      values.push_back(value);
      if (comma == std::string_view::npos) break;
      list.remove_prefix(comma + 1);
    }
    entries.emplace_back(name, std::move(values));
  }
  return Config(std::move(entries));
}

}  // namespace moetune
