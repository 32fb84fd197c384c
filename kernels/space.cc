#include "kernels/space.h"

#include <algorithm>
#include <utility>

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
  if (device.compute_capability < family.min_compute_capability) return {};
  const std::vector<Parameter>& parameters = family.space().parameters;
  std::vector<Config::Entry> entries;
  for (const Parameter& p : parameters) entries.emplace_back(p.name, p.values.front());
  Config config(std::move(entries));  // its entries lie as the parameters do, sorted by name
  std::vector<size_t> places(parameters.size());  // of the value that each parameter has
  std::vector<Config> legal;
  while (true) {
    if (family.check(problem, config, device).ok()) legal.emplace_back(config.entries());
    // The last parameter turns fastest.
    size_t i = parameters.size();
    while (i > 0 && places[i - 1] + 1 == parameters[i - 1].values.size()) {
      places[--i] = 0;
      config.Overwrite(i, parameters[i].values.front());
    }
    if (i == 0) return legal;
    config.Overwrite(i - 1, parameters[i - 1].values[++places[i - 1]]);
  }
}

Config CompiledPart(const Family& family, const Config& config) {
  std::vector<Config::Entry> entries = config.entries();
  for (const Parameter& parameter : family.space().parameters) {
    if (!parameter.at_launch) continue;
    std::erase_if(entries, [&](const Config::Entry& e) { return e.first == parameter.name; });
  }
  return Config(std::move(entries));
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
