#include "runtime/compiler.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/str_format.h"
#include "kernels/sha256.h"

namespace moetune {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// The number that stands before `unit` in a line: 168 for " registers" in "Used 168 registers,
// ...".
int64_t NumberBefore(std::string_view line, std::string_view unit) {
  const size_t end = line.find(unit);
  if (end == std::string_view::npos) return 0;
  size_t begin = end;
  while (begin > 0 && IsDigit(line[begin - 1])) --begin;
  int64_t number = 0;
  for (const char digit : line.substr(begin, end - begin)) number = number * 10 + (digit - '0');
  return number;
}

}  // namespace

KernelFacts ParseCompilerLog(std::string_view log) {
  KernelFacts facts;
  while (!log.empty()) {
    const size_t end = std::min(log.find('\n'), log.size());
    const std::string_view line = log.substr(0, end);
    log.remove_prefix(std::min(end + 1, log.size()));
    // Device functions that were not inlined have lines of their own, which count as the kernel's.
    facts.registers = std::max(facts.registers, static_cast<int>(NumberBefore(line, " registers")));
    facts.static_shared_bytes =
        std::max(facts.static_shared_bytes, NumberBefore(line, " bytes smem"));
    facts.stack_bytes = std::max({facts.stack_bytes, NumberBefore(line, " bytes stack frame"),
                                  NumberBefore(line, " bytes cumulative stack size")});
    facts.spill_bytes +=
        NumberBefore(line, " bytes spill stores") + NumberBefore(line, " bytes spill loads");
    if (line.find("(C75") != std::string_view::npos) facts.wgmma_serialised = true;
  }
  return facts;
}

std::vector<std::string> CompilerOptions(const Source& source, std::string_view arch) {
  std::vector<std::string> options = {absl::StrFormat("--gpu-architecture=%s", arch), "--std=c++17",
                                      "-default-device", "--ptxas-options=-v"};
  options.insert(options.end(), source.options.begin(), source.options.end());
  return options;
}

absl::StatusOr<Cubin> Compile(const NvrtcApi& nvrtc, const Source& source, std::string_view arch) {
  NvrtcResult result = nvrtc.compile(source.path, EmbeddedFiles(), CompilerOptions(source, arch));
  if (!result.ok) {
    return absl::InvalidArgumentError(
        absl::StrFormat("NVRTC does not compile %s for %s: %s", source.path, arch, result.log));
  }
  Cubin cubin = {
      .image = std::move(result.cubin), .facts = ParseCompilerLog(result.log), .sha256 = {}};
  cubin.sha256 = Sha256Hex(cubin.image);
  return cubin;
}

std::string NvrtcVersionText(const NvrtcApi& nvrtc) {
  int major = 0;
  int minor = 0;
  if (nvrtc.version(&major, &minor) != 0) return "unknown";
  return absl::StrFormat("%d.%d", major, minor);
}

}  // namespace moetune
