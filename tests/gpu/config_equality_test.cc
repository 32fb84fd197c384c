// Numbers are a feature: every config of a family gives the same bits, and so does every batch that
// a token comes in. On a real GPU; skips elsewhere.
//
// $MOETUNE_CONFIGS (50) of each family and problem, $MOETUNE_FAMILY names the families (all),
// $MOETUNE_SEED repeats a run, $MOETUNE_CUBINS keeps the compiled kernels. With
// $MOETUNE_DUMP=FOLDER, `torch_equality.py FOLDER` compares with torch what the last test but one
// has written there.
#include <gtest/gtest.h>

#include <cstring>
#include <iostream>
#include <map>

#include "kernels/sha256.h"
#include "tests/gpu/gpu_test.h"
#include "tests/gpu/kernel_shop.h"
#include "tuner/verifier.h"

namespace moetune {
namespace {

// Few kinds of op, dtypes and fusions, since each compiles all configs anew; sizes on and off the
// tiles, experts full, empty, and one rank's share.
constexpr const char* kProblems[] = {
    "forward/bf16/gather/e128/t1x8/n1536/k2048",
    "forward/bf16/gather/e128/t16x8/n768/k1024",
    "forward/bf16/gather/e128/t256x8/n1536/k2048",
    "forward/bf16/gather/e16/t1024x1/n1024/k1280/zipf",
    "forward/bf16/gather/e8/t333x2/n1000/k520",
    "forward/bf16/gather/e32/t512x8/n768/k1024/r1024",
    "forward/bf16/scatter+scale/e128/t1x8/n2048/k768",
    "forward/bf16/scatter+scale/e128/t16x8/n1024/k768",
    "forward/bf16/scatter+scale/e128/t256x8/n2048/k768",
    "forward/bf16/scatter+scale/e16/t1000x1/n1280/k1024/zipf",
    "forward/bf16/scatter+scale/e8/t333x2/n1000/k520",
    "forward/bf16/scatter+scale/e32/t512x8/n1024/k768/r1024",
    "forward/bf16/gather+swiglu/e128/t16x8/n1536/k2048",
    "forward/bf16/combine/e8/t333x2/n1000/k520",
    "forward/bf16/plain/e8/t1x2/n1024/k3584",
    "forward/bf16/plain/e8/t777x2/n1024/k3584",
    "forward/bf16/plain/e64/t128x6/n1408/k2048/balanced",
    "forward/bf16/plain/e2/t3000x1/n264/k136",
    "forward/fp16/gather/e128/t16x8/n768/k1024",
    "forward/fp16/gather/e16/t1024x1/n1024/k1280",
    "forward/fp16/scatter+scale/e128/t256x8/n1024/k768",
    "forward/fp16/scatter+scale/e8/t65x2/n1000/k520",
    "forward/bf16/gather+swiglu/e128/t256x8/n1536/k2048",
    "forward/bf16/gather+swiglu/e8/t333x2/n1000/k520",
    "forward/fp16/gather+swiglu+preact/e16/t1024x1/n1024/k1280",
    "forward/bf16/combine/e128/t256x8/n2048/k768",
    "forward/bf16/combine/e32/t512x8/n1024/k768/r1024",
};

// Problems in which a token's inputs do not depend on the batch: gathered activations, and routing
// that gives a slot its expert.
constexpr const char* kBatched[] = {
    "forward/bf16/gather/e16/t1x2/n1536/k2048/balanced",
    "forward/bf16/gather+swiglu/e16/t1x2/n1536/k2048/balanced",
    "forward/fp16/gather/e8/t1x4/n768/k1000/balanced",
};
constexpr int64_t kBatches[] = {700, 257, 64, 9, 1};
constexpr size_t kConfigsBatched = 10;

// The same preference among configs for every problem, so that few are compiled.
std::vector<Candidate> PreferredConfigs(const Family& family, const Problem& problem,
                                        const DeviceSpec& device, size_t count) {
  std::vector<std::pair<std::string, Candidate>> ranked;
  for (Config& config : EnumerateLegal(family, problem, device)) {
    std::string rank = Sha256Hex(absl::StrFormat("%d %s", Seed(), config.Text()));
    ranked.emplace_back(std::move(rank), Candidate{&family, std::move(config)});
  }
  std::ranges::sort(ranked, {}, [](const auto& entry) { return entry.first; });
  std::vector<Candidate> chosen;
  for (size_t i = 0; i < std::min(count, ranked.size()); ++i) chosen.push_back(ranked[i].second);
  return chosen;
}

class ConfigEqualityTest : public KernelShopTest {
 protected:
  // The first by tolerance against the reference, the others against the first, bit for bit.
  absl::Status CheckEqual(const Problem& problem, std::vector<Candidate> candidates) {
    RETURN_IF_ERROR(workload_->Load(problem, Seed(), {}));
    Verifier verifier(*workload_, *stream_);
    candidates.insert(candidates.begin(), BaseCandidate());
    for (const Candidate& candidate : candidates) {
      ASSIGN_OR_RETURN(const LoadedKernel* kernel, shop_->Get(problem, candidate));
      ASSIGN_OR_RETURN(const Complaint complaint, verifier.Verify(*kernel, Seed()));
      if (complaint) {
        return absl::DataLossError(absl::StrFormat("%s: %s", candidate.config.Text(), *complaint));
      }
    }
    return absl::OkStatus();
  }

  // The output with its guards, on the timed routing.
  absl::StatusOr<std::vector<uint8_t>> OutputOf(const Problem& problem,
                                                const Candidate& candidate) {
    ASSIGN_OR_RETURN(const LoadedKernel* kernel, shop_->Get(problem, candidate));
    RETURN_IF_ERROR(workload_->PoisonOutput());
    RETURN_IF_ERROR(kernel->Launch(problem, workload_->Args(0), stream_->get()));
    RETURN_IF_ERROR(stream_->Synchronize());
    return ReadOutput();
  }

  // PATH.key, and the raw bytes of one repeated block each of x and w, of counts, index and y.
  void Dump(const std::string& path, const Candidate& candidate,
            const std::vector<uint8_t>& output) const {
    const HostWorkload& host = workload_->host();
    WriteFile(path + ".key", absl::StrFormat("%s\n%s %s\n", ProblemKey(host.problem),
                                             candidate.family->name, candidate.config.Text()));
    const auto write = [&](const char* name, const void* data, size_t bytes) {
      WriteFile(path + name, {static_cast<const char*>(data), bytes});
    };
    write(".x", host.x.block().data(), host.x.block().size());
    write(".w", host.w.block().data(), host.w.block().size());
    const RoutingDraw& draw = host.draws[0];
    write(".counts", draw.counts.data(), draw.counts.size() * sizeof(draw.counts[0]));
    write(".index", draw.index.data(), draw.index.size() * sizeof(draw.index[0]));
    write(".y", output.data() + Workload::kGuardBytes, output.size() - 2 * Workload::kGuardBytes);
  }

  // The output row of each slot.
  absl::StatusOr<std::map<int32_t, std::vector<uint8_t>>> RowsOfSlots(const Problem& problem,
                                                                      const Candidate& candidate) {
    ASSIGN_OR_RETURN(const std::vector<uint8_t> output, OutputOf(problem, candidate));
    const int64_t bytes =
        (workload_->OutputBytes() - 2 * Workload::kGuardBytes) / OutputRows(problem);
    std::map<int32_t, std::vector<uint8_t>> rows;
    const std::vector<int32_t>& index = workload_->host().draws[0].index;
    for (size_t row = 0; row < index.size(); ++row) {
      const auto begin = output.begin() + Workload::kGuardBytes + static_cast<int64_t>(row) * bytes;
      rows[index[row]].assign(begin, begin + bytes);
    }
    return rows;
  }
};

TEST_F(ConfigEqualityTest, EveryConfigOfAFamilyGivesTheSameBits) {
  const auto count = static_cast<size_t>(Variable("MOETUNE_CONFIGS", 50));
  const std::vector<const Family*> families = FamiliesNamed(Variable("MOETUNE_FAMILY"));
  std::map<std::string, size_t> equal;
  for (const bool order : {true, false}) {
    for (const char* key : kProblems) {
      const Problem problem = ProblemOf(key);
      for (const Family* family : families) {
        const std::vector<Candidate> candidates =
            PreferredConfigs(*family, problem, context_->device(), count);
        if (order) {
          shop_->Order(problem, BaseCandidate());
          for (const Candidate& candidate : candidates) shop_->Order(problem, candidate);
          continue;
        }
        const absl::Status status = CheckEqual(problem, candidates);
        EXPECT_TRUE(status.ok()) << family->name << " " << key << "\n" << status;
        ASSERT_TRUE(stream_->Synchronize().ok());
        equal[std::string(family->name)] += candidates.size();
      }
      if (!order) std::cout << key << std::endl;
    }
  }
  for (const auto& [family, number] : equal) {
    std::cout << family << ": " << number << " launches compared" << std::endl;
  }
}

// Inputs and output of problems without a rounding of their own, for torch_equality.py.
TEST_F(ConfigEqualityTest, InputsAndOutputsAreWrittenForTorch) {
  const std::string folder = Variable("MOETUNE_DUMP");
  if (folder.empty()) GTEST_SKIP() << "MOETUNE_DUMP names no folder";
  int number = 0;
  for (const char* key : kProblems) {
    const Problem problem = ProblemOf(key);
    if ((problem.shape.fusions & ~kGather) != 0) continue;
    ASSERT_TRUE(workload_->Load(problem, Seed(), {}).ok());
    for (const Family* family : FamiliesNamed(Variable("MOETUNE_FAMILY"))) {
      for (const Candidate& candidate : PreferredConfigs(*family, problem, context_->device(), 1)) {
        const auto output = OutputOf(problem, candidate);
        ASSERT_TRUE(output.ok()) << output.status();
        Dump(absl::StrFormat("%s/%d", folder, number++), candidate, *output);
      }
    }
  }
  std::cout << number << " outputs" << std::endl;
}

TEST_F(ConfigEqualityTest, ATokenDoesNotDependOnItsBatch) {
  for (const char* key : kBatched) {
    for (const Family* family : FamiliesNamed(Variable("MOETUNE_FAMILY"))) {
      Problem problem = ProblemOf(key);
      const std::vector<Candidate> candidates =
          PreferredConfigs(*family, problem, context_->device(), kConfigsBatched);
      std::map<int32_t, std::vector<uint8_t>> expected;
      for (const int64_t tokens : kBatches) {
        problem.tokens = tokens;
        problem.rows = tokens * problem.shape.top_k;
        ASSERT_TRUE(workload_->Load(problem, Seed(), {}).ok());
        for (const Candidate& candidate : candidates) {
          SCOPED_TRACE(ProblemKey(problem) + " " + candidate.config.Text());
          const auto rows = RowsOfSlots(problem, candidate);
          ASSERT_TRUE(rows.ok()) << rows.status();
          if (expected.empty()) expected = *rows;
          int different = 0;
          for (const auto& [slot, row] : *rows) different += row != expected.at(slot);
          EXPECT_EQ(different, 0) << "of " << rows->size() << " rows";
        }
      }
    }
  }
}

}  // namespace
}  // namespace moetune

int main(int argc, char** argv) { return moetune::KernelShopMain(argc, argv); }
