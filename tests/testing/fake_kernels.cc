// The driver functions of FakeCuda that are about kernels.
#include <algorithm>
#include <cstdlib>

#include "absl/strings/str_format.h"
#include "kernels/cost_model.h"
#include "tests/testing/fake_launch.h"
#include "tests/testing/fake_machine.h"
#include "tests/testing/host_reference.h"

namespace moetune::fake_cuda {
namespace {

const DeviceSpec& DeviceOf(const FakeContext& context) {
  return machine->script.devices[static_cast<size_t>(context.ordinal)];
}

// The handle of a module's moe_kernel is that of the module, the one of moe_combine the next odd
// one.
uintptr_t Bits(const CUfunc_st* function) { return reinterpret_cast<uintptr_t>(function); }
bool IsCombine(const CUfunc_st* function) { return Bits(function) % 2 != 0; }
CUmod_st* ModuleOf(const CUfunc_st* function) {
  return reinterpret_cast<CUmod_st*>(Bits(function) - Bits(function) % 2);
}

FakeModule* FindModule(const FakeContext& context, CUmod_st* module) {
  FakeModule* known = machine->modules.Find(module);
  return known != nullptr && known->context == &context ? known : nullptr;
}

double TimeOf(const FakeContext& context, const FakeCuda::Launched& launched) {
  const FakeScript& script = machine->script;
  double us = EstimateUs(launched.problem, launched.candidate, DeviceOf(context), nullptr);
  const auto scripted = std::ranges::find_if(
      script.times, [&](const FakeTime& time) { return time.match.Matches(launched.candidate); });
  if (scripted != script.times.end()) us = scripted->us;
  std::normal_distribution<double> noise(1.0, script.noise);
  return us * std::clamp(noise(machine->random), 0.5, 2.0);
}

// What of the arguments is not there: a real device would touch memory that it must not.
std::string FindStray(const std::vector<ArgumentRange>& ranges) {
  for (const ArgumentRange& range : ranges) {
    if (!machine->Holds(reinterpret_cast<DeviceAddress>(range.address), range.bytes)) {
      return absl::StrFormat("%s: %d bytes are not device memory", range.name, range.bytes);
    }
  }
  return {};
}

// Faults where `wrong` says what is wrong with the arguments.
int Accept(FakeContext& context, const std::string& wrong) {
  if (wrong.empty()) return 0;
  context.faulted = true;
  machine->Misuse(0, "a launch with bad arguments: " + wrong);
  return 0;
}

int CheckPlan(const FakeModule& module, const Plan& plan, const DeviceSpec& device) {
  const bool sized = std::ranges::all_of(plan.grid, [](int64_t ctas) { return ctas > 0; }) &&
                     plan.threads > 0 && plan.threads <= 1024;
  if (!sized) return kInvalidValue;
  if (plan.dynamic_shared_bytes > module.allowed_shared_bytes) return kInvalidValue;
  const int64_t shared = plan.dynamic_shared_bytes + kFakeStaticSharedBytes;
  return shared <= device.shared_bytes_per_block ? 0 : kLaunchOutOfResources;
}

// The module's kernel with the whole of its config: what is compiled, and what comes with the
// launch.
FakeKernel AsLaunched(const FakeModule& module, const LaunchArgs& launch) {
  FakeKernel kernel = module.kernel;
  for (const Parameter& parameter : kernel.candidate.family->space().parameters) {
    if (!parameter.at_launch) continue;
    kernel.candidate.config.Set(parameter.name,
                                parameter.name == "sort" ? launch.sort : launch.group_m);
  }
  return kernel;
}

// Takes its time on the device's clock, and the faults that show later.
int StartLaunch(FakeContext& context, const FakeKernel& kernel, const MoeArgs& args,
                const LaunchArgs& launch) {
  const FakeScript& script = machine->script;
  const FakeCuda::Launched launched = {.candidate = kernel.candidate,
                                       .problem = ProblemOfLaunch(kernel, args),
                                       .device = context.ordinal,
                                       .launch = launch};
  machine->launches.push_back(launched);
  if (script.Find(FakeFaultKind::kCrash, launched.candidate) != nullptr) std::abort();
  if (script.Find(FakeFaultKind::kLaunchError, launched.candidate) != nullptr) {
    return kLaunchOutOfResources;
  }
  context.now_us += TimeOf(context, launched);
  if (script.Find(FakeFaultKind::kIllegalAddress, launched.candidate) != nullptr) {
    context.faulted = true;
  }
  if (const FakeFault* hang = script.Find(FakeFaultKind::kHang, launched.candidate)) {
    constexpr double kForEver = 1e8;  // seconds: three years
    const std::chrono::duration<double> time(hang->seconds < 0 ? kForEver : hang->seconds);
    context.busy_until = std::chrono::steady_clock::now() +
                         std::chrono::duration_cast<std::chrono::nanoseconds>(time);
  }
  const std::string stray = FindStray(ArgumentRanges(kernel, args));
  return Accept(context, stray.empty() ? CheckRouting(kernel, args) : stray);
}

// Of kernels that are no candidate's: true when `function` is one, and `code` says how its launch
// went.
bool LaunchedProbe(CUfunc_st* function, const Plan& plan, const void* args, int& code) {
  bool is_probe = false;
  code = InContext([&](const FakeContext& context) {
    const FakeModule* module = FindModule(context, ModuleOf(function));
    is_probe = module != nullptr && !module->kernel.probe.empty();
    return is_probe ? LaunchProbe(context, module->kernel.probe, plan, args) : 0;
  });
  return is_probe;
}

}  // namespace

int LoadModule(CUmod_st** module, const void* image) {
  return InContext([&](FakeContext& context) {
    absl::StatusOr<FakeKernel> kernel = ReadFakeCubin(static_cast<const char*>(image));
    if (!kernel.ok()) return kInvalidImage;
    if (kernel->arch != ArchName(DeviceOf(context).compute_capability)) return kNoBinaryForGpu;
    if (machine->script.Find(FakeFaultKind::kLoadError, kernel->candidate) != nullptr) {
      return kNoBinaryForGpu;
    }
    *module = machine->modules.Add({.kernel = *std::move(kernel), .context = &context});
    return 0;
  });
}

int UnloadModule(CUmod_st* module) {
  const std::lock_guard lock(machine->mutex);
  const FakeContext* context = CurrentContextOfThread();
  const FakeModule* known = machine->modules.Find(module);
  if (known == nullptr || known->context != context) {
    return machine->Misuse(kInvalidHandle, "a module unloaded that is not one of this context");
  }
  machine->modules.Remove(module);
  return context->lost ? kIllegalAddress : 0;
}

int FindFunction(CUfunc_st** function, CUmod_st* module, const char* name) {
  return InContext([&](FakeContext& context) {
    const FakeModule* known = FindModule(context, module);
    if (known == nullptr) return kInvalidHandle;
    const bool combine = std::string_view(name) == "moe_combine";
    if (combine ? !known->kernel.kind.Has(kCombine) : std::string_view(name) != "moe_kernel") {
      return kNotFound;
    }
    *function = reinterpret_cast<CUfunc_st*>(reinterpret_cast<uintptr_t>(module) + combine);
    return 0;
  });
}

int AllowShared(CUfunc_st* function, int64_t bytes) {
  return InContext([&](FakeContext& context) {
    FakeModule* module = FindModule(context, ModuleOf(function));
    if (module == nullptr) return kInvalidHandle;
    if (bytes + kFakeStaticSharedBytes > DeviceOf(context).shared_bytes_per_block) {
      return kInvalidValue;
    }
    module->allowed_shared_bytes = bytes;
    return 0;
  });
}

int CountResidentCtas(int* ctas, CUfunc_st* function, int threads, int64_t shared_bytes) {
  return InContext([&](FakeContext& context) {
    if (FindModule(context, ModuleOf(function)) == nullptr) return kInvalidHandle;
    const DeviceSpec& device = DeviceOf(context);
    const Plan plan = {.threads = threads,
                       .dynamic_shared_bytes = shared_bytes + kFakeStaticSharedBytes};
    const bool fits = plan.dynamic_shared_bytes <= device.shared_bytes_per_sm &&
                      kFakeRegisters * threads <= device.registers_per_sm;
    *ctas = fits ? ResidentCtas(device, plan, kFakeRegisters) : 0;
    return 0;
  });
}

int Launch(CUfunc_st* function, const Plan& plan, const void* args, CUstream_st* stream) {
  if (int code = 0; LaunchedProbe(function, plan, args, code)) return code;
  const MoeArgs moe_args = *static_cast<const MoeArgs*>(args);
  FakeKernel kernel;
  bool runs = false;
  const int code = InContext([&](FakeContext& context) {
    FakeModule* module = FindModule(context, ModuleOf(function));
    if (module == nullptr) return machine->Misuse(kInvalidHandle, "a launch of no function");
    if (int bad_stream = CheckStream(context, stream)) return bad_stream;
    if (int bad_plan = CheckPlan(*module, plan, DeviceOf(context))) return bad_plan;
    kernel = AsLaunched(*module, plan.launch);
    const int started = IsCombine(function)
                            ? Accept(context, FindStray(CombineArgumentRanges(kernel, moe_args)))
                            : StartLaunch(context, kernel, moe_args, plan.launch);
    runs = started == 0 && !context.faulted;
    return started;
  });
  // Not under the lock: launches of several threads run beside each other, as on a device.
  if (runs && IsCombine(function)) {
    HostCombine(kernel.kind, kernel.types, moe_args);
  } else if (runs) {
    RunLaunch(machine->script, kernel, moe_args);
  }
  return code;
}

}  // namespace moetune::fake_cuda
