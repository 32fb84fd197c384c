// doctor: what this machine can do with moetune, and why not the rest.
#include <unistd.h>

#include <cerrno>
#include <iostream>

#include "absl/strings/str_format.h"
#include "cli/command.h"
#include "cli/shared_options.h"
#include "cli/winner_json.h"
#include "kernels/status_macros.h"
#include "runtime/device.h"
#include "runtime/nvml.h"
#include "runtime/nvrtc.h"

namespace moetune {
namespace {

struct Finding {
  std::string what;
  bool ok = false;
  std::string state;
  std::string without;  // what does not work then; empty when ok
};

Finding Good(std::string what, std::string state) {
  return {std::move(what), true, std::move(state), ""};
}

Finding Bad(std::string what, const absl::Status& status, std::string without) {
  return {std::move(what), false, std::string(status.message()), std::move(without)};
}

Finding CheckCompiler() {
  const absl::StatusOr<const NvrtcApi*> nvrtc = OpenNvrtc();
  if (nvrtc.ok()) return Good("NVRTC", NvrtcVersionText(**nvrtc));
  return Bad("NVRTC", nvrtc.status(), "tune, compile, and launching what the cubin cache lacks");
}

std::vector<Finding> CheckGpus() {
  constexpr char kWithout[] = "tune on a GPU, and launching; --device estimate:NAME works";
  const absl::StatusOr<const DriverApi*> driver = OpenDriver();
  if (!driver.ok()) return {Bad("GPU", driver.status(), kWithout)};
  const absl::StatusOr<std::vector<DeviceSpec>> devices = ListDevices(**driver);
  if (!devices.ok()) return {Bad("GPU", devices.status(), kWithout)};
  std::vector<Finding> findings;
  for (size_t i = 0; i < devices->size(); ++i) {
    const DeviceSpec& device = (*devices)[i];
    findings.push_back(Good(absl::StrFormat("GPU %d", i),
                            absl::StrFormat("%s, %s, %d SMs", device.name,
                                            ArchName(device.compute_capability), device.sm_count)));
  }
  const std::string version = DriverVersionText();
  findings.push_back(version.empty() ? Bad("NVML", absl::NotFoundError("does not answer"),
                                           "clocks, power and temperature beside the samples")
                                     : Good("driver", version));
  return findings;
}

Finding CheckDatabase(const std::string& path) {
  const absl::StatusOr<std::unique_ptr<Store>> store = OpenStore(path, OpenMode::kReadOnly);
  if (absl::IsNotFound(store.status())) {
    return Good("database", absl::StrFormat("%s: none yet; tune or import makes it", path));
  }
  absl::Status status = store.status();
  if (store.ok()) {
    const absl::StatusOr<ScanResult> scan = (*store)->Scan(0);
    if (scan.ok()) {
      const bool refused = access(path.c_str(), W_OK) != 0 && (errno == EACCES || errno == EROFS);
      return Good("database",
                  absl::StrFormat("%s: %d records, %d winners%s", path, scan->records.size(),
                                  Snapshot::Fold(nullptr, *scan)->Winners().size(),
                                  refused ? ", read-only" : ""));
    }
    status = scan.status();
  }
  return Bad("database", status, "query, list, show and serve from it");
}

absl::StatusOr<int> Run(std::span<const std::string> arguments) {
  std::string db;
  bool json = false;
  Options options(
      "moetune doctor [--db FILE] [--json]",
      "Says what this machine can do with moetune, and for what is missing, what does not "
      "work without it.");
  AddDatabaseOption(options, &db);
  AddJsonOption(options, &json);
  ASSIGN_OR_RETURN(const bool go_on, options.Parse(arguments));
  if (!go_on) return kExitOk;

  std::vector<Finding> findings = CheckGpus();
  findings.push_back(CheckCompiler());
  ASSIGN_OR_RETURN(const std::string path, DatabasePath(db));
  findings.push_back(CheckDatabase(path));

  if (json) {
    Json list = Json::array();
    for (const Finding& finding : findings) {
      list.push_back({{"what", finding.what},
                      {"ok", finding.ok},
                      {"state", finding.state},
                      {"without", finding.without}});
    }
    std::cout << JsonText(list);
    return kExitOk;
  }
  for (const Finding& finding : findings) {
    std::cout << absl::StrFormat("%-8s %-4s %s\n", finding.what, finding.ok ? "ok" : "--",
                                 finding.state);
    if (!finding.ok) std::cout << absl::StrFormat("%-13s without it: no %s\n", "", finding.without);
  }
  return kExitOk;
}

}  // namespace

extern const Command kDoctorCommand;
const Command kDoctorCommand = {
    .name = "doctor",
    .summary = "what this machine can do, and why not the rest",
    .run = Run,
};

}  // namespace moetune
