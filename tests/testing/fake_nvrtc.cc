#include "tests/testing/fake_nvrtc.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <sstream>
#include <thread>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"
#include "kernels/registry.h"
#include "kernels/status_macros.h"
#include "runtime/clock_probe.h"
#include "runtime/comparison.h"

namespace moetune {
namespace {

constexpr std::string_view kFirstLine = "fake-cubin";

struct Compiler {
  FakeScript script;
  std::atomic<int> compiles = 0;
};

// What the functions of the table work on.
Compiler* compiler = nullptr;

absl::Status ReadDefinition(std::string_view name, const std::string& value, FakeKernel& kernel) {
  const auto fuse = [&](Fusion fusion) {
    if (value == "1") kernel.kind.fusions |= fusion;
    return absl::OkStatus();
  };
  if (name == "INDEX") {
    kernel.types.index64 = value == "long long";
  } else if (name == "WEIGHT") {
    kernel.types.scale_fp32 = value == "fp32";
  } else if (name == "OPERAND") {
    return ParseDtypes(value, kernel.kind);
  } else if (name == "OUTPUT") {
    Shape output;
    RETURN_IF_ERROR(ParseDtypes(value, output));
    kernel.kind.output = output.dtype;
  } else if (name == "FUSE_GATHER") {
    return fuse(kGather);
  } else if (name == "FUSE_SCATTER") {
    return fuse(kScatter);
  } else if (name == "FUSE_SCALE") {
    return fuse(kScale);
  } else if (name == "FUSE_SWIGLU") {
    return fuse(kSwiglu);
  } else if (name == "FUSE_PREACT") {
    return fuse(kPreact);
  } else if (name == "FUSE_COMBINE") {
    return fuse(kCombine);
  } else {
    const std::string parameter = absl::AsciiStrToLower({name.data(), name.size()});
    ASSIGN_OR_RETURN(const Config config, ParseConfig(parameter + "=" + value));
    kernel.candidate.config.Set(parameter, *config.Find(parameter));
  }
  return absl::OkStatus();
}

std::string WriteFakeCubin(std::string_view path, const std::vector<std::string>& options) {
  std::string image = absl::StrFormat("%s\n%s\n", kFirstLine, path);
  for (const std::string& option : options) image += option + "\n";
  return image;
}

void Sleep(double seconds) {
  while (seconds < 0) std::this_thread::sleep_for(std::chrono::hours(1));
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

std::string Log(const Candidate& candidate, std::string_view arch) {
  const FakeScript& script = compiler->script;
  const int spilled = script.Find(FakeFaultKind::kSpills, candidate) != nullptr ? 128 : 0;
  std::string log;
  if (script.Find(FakeFaultKind::kSerialised, candidate) != nullptr) {
    log +=
        "ptxas info    : (C7511) Potential Performance Loss: wgmma.mma_async instructions are "
        "serialized due to a script in the function 'moe_kernel'\n";
  }
  return log +
         absl::StrFormat(
             "ptxas info    : 0 bytes gmem\n"
             "ptxas info    : Compiling entry function 'moe_kernel' for '%s'\n"
             "ptxas info    : Function properties for moe_kernel\n"
             "ptxas         .     %d bytes stack frame, %d bytes spill stores, %d bytes spill "
             "loads\n"
             "ptxas info    : Used %d registers, used 1 barriers, %d bytes smem\n",
             arch, spilled, spilled, spilled, kFakeRegisters, kFakeStaticSharedBytes);
}

NvrtcResult CompileFake(std::string_view path, std::span<const EmbeddedFile> files,
                        const std::vector<std::string>& options) {
  ++compiler->compiles;
  if (std::ranges::find(files, path, &EmbeddedFile::path) == files.end()) {
    return {.ok = false, .cubin = {}, .log = absl::StrFormat("no file %s", path)};
  }
  NvrtcResult result = {.ok = true, .cubin = WriteFakeCubin(path, options), .log = {}};
  absl::StatusOr<FakeKernel> kernel = ReadFakeCubin(result.cubin);
  if (!kernel.ok()) return {.ok = false, .cubin = {}, .log = kernel.status().ToString()};
  const FakeScript& script = compiler->script;
  if (const FakeFault* slow = script.Find(FakeFaultKind::kSlowCompile, kernel->candidate)) {
    Sleep(slow->seconds);
  }
  if (script.Find(FakeFaultKind::kCompileError, kernel->candidate) != nullptr) {
    return {.ok = false,
            .cubin = {},
            .log = absl::StrFormat("%s(1): error: the script refuses it", path)};
  }
  result.log = Log(kernel->candidate, kernel->arch);
  return result;
}

constexpr NvrtcApi kApi = {
    .version =
        [](int* major, int* minor) {
          *major = compiler->script.nvrtc_major;
          *minor = compiler->script.nvrtc_minor;
          return 0;
        },
    .compile = CompileFake,
};

}  // namespace

FakeNvrtc::FakeNvrtc(FakeScript script) {
  if (compiler != nullptr) std::abort();
  compiler = new Compiler{.script = std::move(script)};
}

FakeNvrtc::~FakeNvrtc() { delete std::exchange(compiler, nullptr); }

const NvrtcApi& FakeNvrtc::api() const { return kApi; }

int FakeNvrtc::compiles() const { return compiler->compiles; }

absl::StatusOr<FakeKernel> ReadFakeCubin(std::string_view image) {
  std::istringstream lines{std::string(image)};
  std::string line;
  std::getline(lines, line);
  if (line != kFirstLine) return absl::InvalidArgumentError("not a fake cubin");
  FakeKernel kernel;
  std::getline(lines, line);
  const auto family = std::ranges::find(Families(), line, &Family::source);
  if (family != Families().end()) {
    kernel.candidate.family = *family;
  } else if (line == ClockProbeSource().path || line == CompareSource().path) {
    kernel.probe = line;
  } else {
    return absl::InvalidArgumentError(absl::StrFormat("no family has the source %s", line));
  }
  constexpr std::string_view kArch = "--gpu-architecture=";
  while (std::getline(lines, line)) {
    if (line.starts_with(kArch)) kernel.arch = line.substr(kArch.size());
    if (!line.starts_with("-D")) continue;
    const size_t equals = line.find('=');
    RETURN_IF_ERROR(ReadDefinition(std::string_view(line).substr(2, equals - 2),
                                   line.substr(equals + 1), kernel));
  }
  if (kernel.kind.Has(kCombine)) kernel.kind.fusions = kCombine;  // it scatters and scales too
  return kernel;
}

}  // namespace moetune
