// A store whose scans fail while it is told to.
#ifndef MOETUNE_TESTS_TESTING_SCRIPTED_STORE_H_
#define MOETUNE_TESTS_TESTING_SCRIPTED_STORE_H_

#include <atomic>
#include <memory>
#include <span>
#include <utility>

#include "db/store.h"

namespace moetune {

class ScriptedStore : public Store {
 public:
  explicit ScriptedStore(std::unique_ptr<Store> store) : store_(std::move(store)) {}

  void set_failing(bool failing) { failing_ = failing; }
  int scans() const { return scans_; }

  using Store::Append;
  absl::StatusOr<int> Append(std::span<const Record> batch,
                             std::optional<int64_t> winners_until) override {
    return store_->Append(batch, winners_until);
  }
  absl::StatusOr<ScanResult> Scan(int64_t since, const ScanFilter& filter) override {
    ++scans_;
    if (failing_) return absl::UnavailableError("the disk is gone");
    return store_->Scan(since, filter);
  }
  absl::Status Close() override { return store_->Close(); }

 private:
  const std::unique_ptr<Store> store_;
  std::atomic<bool> failing_ = false;
  std::atomic<int> scans_ = 0;
};

inline std::unique_ptr<ScriptedStore> NewScriptedStore() {
  return std::make_unique<ScriptedStore>(OpenStore("memory:", OpenMode::kReadWrite).value());
}

}  // namespace moetune

#endif  // MOETUNE_TESTS_TESTING_SCRIPTED_STORE_H_
