#include "tests/testing/fake_script.h"

#include <algorithm>
#include <array>
#include <sstream>
#include <utility>

#include "absl/strings/str_format.h"
#include "kernels/names.h"
#include "kernels/status_macros.h"

namespace moetune {
namespace {

// In the order of the enumeration.
constexpr std::array<std::string_view, 13> kFaultNames = {
    "compile_error", "slow_compile",    "spills", "serialised", "load_error",
    "launch_error",  "illegal_address", "hang",   "crash",      "wrong_output",
    "wrong_bit",     "lost_row",        "overrun"};

absl::StatusOr<FakeFaultKind> ParseFault(std::string_view text) {
  const auto at = std::ranges::find(kFaultNames, text);
  if (at != kFaultNames.end()) return static_cast<FakeFaultKind>(at - kFaultNames.begin());
  return UnknownName("fault", text, {kFaultNames.begin(), kFaultNames.end()});
}

absl::StatusOr<DeviceSpec> ParseDevice(std::string_view name) {
  for (const DeviceSpec& device : {Fiction100(), Fiction200(), Fable75(), Relic30()}) {
    if (device.name == name) return device;
  }
  return absl::NotFoundError(absl::StrFormat("there is no fictional device '%s'", name));
}

std::string MatchText(const FakeMatch& match) {
  return absl::StrFormat("%s %s", match.family.empty() ? "*" : match.family, match.config.Text());
}

std::string RestOfLine(std::istringstream& words) {
  std::string rest;
  std::getline(words >> std::ws, rest);
  return rest;
}

absl::StatusOr<FakeMatch> ReadMatch(std::istringstream& words) {
  FakeMatch match;
  words >> match.family;
  if (match.family == "*") match.family.clear();
  ASSIGN_OR_RETURN(match.config, ParseConfig(RestOfLine(words)));
  return match;
}

absl::Status ReadLine(const std::string& line, FakeScript& script,
                      std::vector<DeviceSpec>& devices) {
  std::istringstream words(line);
  std::string what;
  words >> what;
  if (what == "device") {
    ASSIGN_OR_RETURN(DeviceSpec device, ParseDevice(RestOfLine(words)));
    devices.push_back(std::move(device));
  } else if (what == "time") {
    FakeTime time;
    words >> time.us;
    ASSIGN_OR_RETURN(time.match, ReadMatch(words));
    script.times.push_back(std::move(time));
  } else if (what == "fault") {
    std::string name;
    double seconds = 0;
    words >> name >> seconds;
    ASSIGN_OR_RETURN(const FakeFaultKind kind, ParseFault(name));
    ASSIGN_OR_RETURN(FakeMatch match, ReadMatch(words));
    script.faults.push_back({kind, std::move(match), seconds});
  } else if (what == "noise") {
    words >> script.noise;
  } else if (what == "seed") {
    words >> script.seed;
  } else if (what == "nvrtc") {
    words >> script.nvrtc_major >> script.nvrtc_minor;
  } else {
    return UnknownName("line", what, {"device", "time", "fault", "noise", "seed", "nvrtc"});
  }
  return absl::OkStatus();
}

}  // namespace

bool FakeMatch::Matches(const Candidate& candidate) const {
  if (candidate.family == nullptr) return false;  // a kernel beside the candidates
  if (!family.empty() && family != candidate.family->name) return false;
  return std::ranges::all_of(config.entries(), [&](const Config::Entry& entry) {
    const Config::Values* values = candidate.config.Find(entry.first);
    return values != nullptr && *values == entry.second;
  });
}

const FakeFault* FakeScript::Find(FakeFaultKind kind, const Candidate& candidate) const {
  for (const FakeFault& fault : faults) {
    if (fault.kind == kind && fault.match.Matches(candidate)) return &fault;
  }
  return nullptr;
}

std::string WriteFakeScript(const FakeScript& script) {
  std::string text;
  for (const DeviceSpec& device : script.devices) {
    text += absl::StrFormat("device %s\n", device.name);
  }
  for (const FakeTime& time : script.times) {
    text += absl::StrFormat("time %.17g %s\n", time.us, MatchText(time.match));
  }
  for (const FakeFault& fault : script.faults) {
    text += absl::StrFormat("fault %s %.17g %s\n", kFaultNames[static_cast<size_t>(fault.kind)],
                            fault.seconds, MatchText(fault.match));
  }
  text += absl::StrFormat("noise %.17g\nseed %d\nnvrtc %d %d\n", script.noise, script.seed,
                          script.nvrtc_major, script.nvrtc_minor);
  return text;
}

absl::StatusOr<FakeScript> ReadFakeScript(std::string_view text) {
  FakeScript script;
  std::vector<DeviceSpec> devices;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty()) RETURN_IF_ERROR(ReadLine(line, script, devices));
  }
  if (!devices.empty()) script.devices = std::move(devices);
  return script;
}

}  // namespace moetune
