#include "kernels/space.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "kernels/family.h"
#include "kernels/status_macros.h"

namespace moetune {
namespace {

absl::Status CheckInSpace(const Family& family, const Config& config) {
  const std::vector<Parameter>& parameters = family.space().parameters;
  for (const Parameter& parameter : parameters) {
    const Config::Values* values = config.Find(parameter.name);
    if (values == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrFormat("config of family %s lacks parameter '%s'", family.name, parameter.name));
    }
    if (std::ranges::find(parameter.values, *values) == parameter.values.end()) {
      const std::string allowed = absl::StrJoin(
          parameter.values, " ",
          [](std::string* out, const Config::Values& v) { out->append(absl::StrJoin(v, ",")); });
      return absl::InvalidArgumentError(absl::StrFormat("%s %s=%s; allowed: %s", family.name,
                                                        parameter.name, absl::StrJoin(*values, ","),
                                                        allowed));
    }
  }
  if (config.entries().size() == parameters.size()) return absl::OkStatus();
  for (const Config::Entry& entry : config.entries()) {
    if (std::ranges::find(parameters, entry.first, &Parameter::name) == parameters.end()) {
      return absl::InvalidArgumentError(
          absl::StrFormat("family %s has no parameter '%s'", family.name, entry.first));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckLegal(const Family& family, const Problem& problem, const Config& config,
                        const DeviceSpec& device) {
  if (device.compute_capability < family.min_compute_capability) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "family %s needs %s; %s is %s", family.name, ArchName(family.min_compute_capability),
        device.name, ArchName(device.compute_capability)));
  }
  RETURN_IF_ERROR(CheckInSpace(family, config));
  return family.check(problem, config, device);
}

bool IsLegal(const Family& family, const Problem& problem, const Config& config,
             const DeviceSpec& device) {
  return CheckLegal(family, problem, config, device).ok();
}

std::vector<Config> EnumerateLegal(const Family& family, const Problem& problem,
                                   const DeviceSpec& device) {
  std::vector<Config> partial = {Config()};
  for (const Parameter& parameter : family.space().parameters) {
    std::vector<Config> extended;
    extended.reserve(partial.size() * parameter.values.size());
    for (const Config& config : partial) {
      for (const Config::Values& values : parameter.values) {
        extended.push_back(config);
        extended.back().Set(parameter.name, values);
      }
    }
    partial = std::move(extended);
  }
  std::erase_if(partial, [&](const Config& c) { return !IsLegal(family, problem, c, device); });
  return partial;
}

std::vector<Config> Neighbours(const Family& family, const Problem& problem, const Config& config,
                               const DeviceSpec& device) {
  std::vector<Config> neighbours;
  for (const Parameter& parameter : family.space().parameters) {
    const Config::Values* values = config.Find(parameter.name);
    if (values == nullptr) continue;
    const auto at = std::ranges::find(parameter.values, *values);
    if (at == parameter.values.end()) continue;
    const auto consider = [&](const Config::Values& step) {
      Config neighbour = config;
      neighbour.Set(parameter.name, step);
      if (IsLegal(family, problem, neighbour, device)) neighbours.push_back(std::move(neighbour));
    };
    if (at != parameter.values.begin()) consider(*(at - 1));
    if (at + 1 != parameter.values.end()) consider(*(at + 1));
  }
  return neighbours;
}

}  // namespace moetune
