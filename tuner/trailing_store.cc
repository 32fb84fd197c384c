#include "tuner/trailing_store.h"

#include <utility>

#include "kernels/status_macros.h"

namespace moetune {

absl::Status TrailingStore::Append(std::vector<Record> batch) {
  RETURN_IF_ERROR(Finish());
  last_ = std::async(std::launch::async,
                     [this, batch = std::move(batch)] { return store_.Append(batch).status(); });
  return absl::OkStatus();
}

absl::Status TrailingStore::Finish() {
  const absl::Status status = last_.valid() ? last_.get() : absl::OkStatus();
  return status.ok() ? status : absl::UnavailableError(status.message());
}

}  // namespace moetune
