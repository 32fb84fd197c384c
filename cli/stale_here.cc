#include "cli/stale_here.h"

#include "db/snapshot.h"
#include "kernels/registry.h"
#include "kernels/source.h"
#include "runtime/nvml.h"

namespace moetune {

std::vector<std::string> StaleHere(const Winner& winner, bool for_this_machine) {
  Environment now;
  if (const absl::StatusOr<const Family*> family = FindFamily(winner.family); family.ok()) {
    now.kernel_fingerprint = FamilyFingerprint(**family);
  }
  if (for_this_machine) now.driver = DriverVersionText();
  return StaleReasons(winner, now);
}

}  // namespace moetune
