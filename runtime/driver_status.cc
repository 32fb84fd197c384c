#include "absl/strings/str_format.h"
#include "runtime/driver.h"

namespace moetune {

absl::Status DriverStatus(const DriverApi& driver, int code, std::string_view what) {
  if (code == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrFormat("%s: %s (%d)", what, driver.error_text(code), code));
}

}  // namespace moetune
