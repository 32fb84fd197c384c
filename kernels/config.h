// Config: the tunable parameters of a family, as a sorted name -> integer list. It means nothing
// without its family. Canonical text: "block_m=128 stages=4"; a list joins its integers with ','.
// Copies share their entries: some thousand configs stand in millions of rows.
#ifndef MOETUNE_KERNELS_CONFIG_H_
#define MOETUNE_KERNELS_CONFIG_H_

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace moetune {

class Config {
 public:
  using Values = std::vector<int64_t>;
  using Entry = std::pair<std::string, Values>;

  Config() = default;
  Config(std::initializer_list<std::pair<std::string_view, int64_t>> values);

  explicit Config(std::vector<Entry> entries);  // names distinct, in any order

  // Replaces or adds; keeps the entries sorted by name.
  void Set(std::string_view name, Values values);
  void Set(std::string_view name, int64_t value) { Set(name, Values{value}); }

  // Replaces the values of the entry at `place`, in all copies of this config too: for who goes
  // through many configs, and keeps a new one, made of entries(), of those that are of use.
  void Overwrite(size_t place, const Values& values) { (*entries_)[place].second = values; }

  // The first integer of `name`, or `fallback` where the config has no such parameter.
  int64_t Get(std::string_view name, int64_t fallback = 0) const;
  const Values* Find(std::string_view name) const;

  const std::vector<Entry>& entries() const;
  bool empty() const { return entries().empty(); }

  std::string Text() const;

  friend bool operator==(const Config& a, const Config& b) {
    return a.entries_ == b.entries_ || a.entries() == b.entries();
  }
  friend auto operator<=>(const Config& a, const Config& b) { return a.entries() <=> b.entries(); }

  template <typename H>
  friend H AbslHashValue(H h, const Config& config) {
    return H::combine(std::move(h), config.entries());
  }

 private:
  std::shared_ptr<std::vector<Entry>> entries_;  // null: none
};

// Reads Config::Text(). Names are [a-z][a-z0-9_]*, each at most once; anything else is an error
// that names the offending word.
absl::StatusOr<Config> ParseConfig(std::string_view text);

}  // namespace moetune

#endif  // MOETUNE_KERNELS_CONFIG_H_
