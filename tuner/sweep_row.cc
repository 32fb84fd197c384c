#include "tuner/sweep_row.h"

#include <unistd.h>

#include <array>

namespace moetune {
namespace {

std::string HostName() {
  std::array<char, 256> name = {};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

}  // namespace

Sweep SweepRow(const std::string& id, const SweepOptions& options, SweepState state) {
  return {.id = id,
          .state = state,
          .strategy = options.strategy,
          .seed = options.seed,
          .spec = options.spec_text,
          .host = HostName(),
          .version = options.version,
          .at = NowUs()};
}

}  // namespace moetune
