// KernelShop: kernels of many configs, compiled ahead in child processes, as the tuner does.
//
// The children are this program: main() hands over to KernelShopMain.
#ifndef MOETUNE_TESTS_GPU_KERNEL_SHOP_H_
#define MOETUNE_TESTS_GPU_KERNEL_SHOP_H_

#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "cli/shared_options.h"
#include "kernels/registry.h"
#include "kernels/source.h"
#include "kernels/status_macros.h"
#include "runtime/cubin_cache.h"
#include "runtime/kernel.h"
#include "tests/gpu/gpu_test.h"
#include "tests/testing/records.h"
#include "tuner/compile_pool.h"
#include "tuner/worker.h"

namespace moetune {

class KernelShop {
 public:
  static absl::StatusOr<KernelShop> Open(const Context& context, const std::string& folder) {
    ASSIGN_OR_RETURN(const WorkerCommand worker, WorkerProgram({}));
    const int processes = std::max(1, static_cast<int>(std::thread::hardware_concurrency()) - 1);
    ASSIGN_OR_RETURN(
        std::unique_ptr<CompilePool> pool,
        CompilePool::Start({.worker = worker, .cubin_folder = folder, .processes = processes}));
    ASSIGN_OR_RETURN(CubinCache cache, CubinCache::Open(folder));
    return KernelShop(context, std::move(pool), std::move(cache));
  }

  // Compiles soon.
  void Order(const Problem& problem, const Candidate& candidate) {
    pool_->Submit(problem, candidate, arch_);
  }

  // Waits for the compile. The kernel stays loaded until the next call.
  absl::StatusOr<const LoadedKernel*> Get(const Problem& problem, const Candidate& candidate) {
    const std::string key = CubinKey(MakeSource(problem.shape, candidate), arch_, pool_->nvrtc());
    // How much shared memory a kernel may take is set when it is loaded, for one problem.
    const std::string name = absl::StrFormat("%s %s", key, ProblemKey(problem));
    if (const auto found = kernels_.find(name); found != kernels_.end()) return &found->second;
    ASSIGN_OR_RETURN(const CompileResult compiled, pool_->Wait(problem, candidate, arch_));
    const std::optional<Cubin> cubin = cache_.Find(key);
    if (!cubin) return absl::InternalError(compiled.error);
    // Modules cost device memory.
    if (kernels_.size() >= 500) kernels_.clear();
    ASSIGN_OR_RETURN(LoadedKernel kernel,
                     LoadedKernel::Load(*context_, *cubin, candidate, problem));
    return &kernels_.emplace(name, std::move(kernel)).first->second;
  }

 private:
  KernelShop(const Context& context, std::unique_ptr<CompilePool> pool, CubinCache cache)
      : context_(&context),
        arch_(ArchName(context.device().compute_capability)),
        pool_(std::move(pool)),
        cache_(std::move(cache)) {}

  const Context* context_;
  std::string arch_;
  std::unique_ptr<CompilePool> pool_;
  CubinCache cache_;
  std::map<std::string, LoadedKernel> kernels_;
};

// Skips where kernels can be neither compiled nor launched.
class KernelShopTest : public GpuTest {
 protected:
  void SetUp() override {
    GpuTest::SetUp();
    if (IsSkipped()) return;
    auto shop = KernelShop::Open(*context_, CubinFolderOfTest());
    if (!shop.ok()) GTEST_SKIP() << shop.status().message();
    shop_ = std::make_unique<KernelShop>(*std::move(shop));
  }

  std::unique_ptr<KernelShop> shop_;
};

// The config of `reference` that others are compared with.
inline Candidate BaseCandidate() { return {FindFamily("reference").value(), ReferenceConfig()}; }

// The families under test: those in the comma-separated `names`, or all.
inline std::vector<const Family*> FamiliesNamed(std::string_view names) {
  std::vector<const Family*> families;
  for (const Family* family : Families()) {
    const std::string list = absl::StrFormat(",%s,", std::string(names));
    const std::string name = absl::StrFormat(",%s,", std::string(family->name));
    if (names.empty() || list.find(name) != std::string::npos) families.push_back(family);
  }
  return families;
}

// main() of a program with a KernelShop.
inline int KernelShopMain(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "worker") return RunWorker({});
  ::testing::InitGoogleMock(&argc, argv);
  return RUN_ALL_TESTS();
}

}  // namespace moetune

#endif  // MOETUNE_TESTS_GPU_KERNEL_SHOP_H_
