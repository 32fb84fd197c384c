#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_format.h"
#include "runtime/cubin_cache.h"
#include "runtime/dispatcher.h"
#include "tests/cli/run_cli.h"
#include "tests/testing/fake_gpu.h"

namespace moetune {

extern const Command kBundleCommand;

namespace {

using ::testing::HasSubstr;

constexpr char kGateUp[] = "forward/bf16/gather/e128/t%dx8/n1536/k2048/softmax";

// Winners of a sweep with a compiler that is not on this machine, and the cubins that it left.
class BundleTest : public ::testing::Test {
 protected:
  Winner TunedHere(const std::string& key, int64_t block_m = 64) {
    const DeviceSpec device = gpu_.context.device();
    Winner winner = WinnerFor(ProblemOf(key), device);
    winner.config = ReferenceConfig(block_m);
    winner.environment.nvrtc = "99.9";
    const Source source = MakeSource(winner.problem.shape, ReferenceCandidate(block_m));
    const std::string arch = ArchName(device.compute_capability);
    const CubinCache cache = CubinCache::Open(cubins_).value();
    EXPECT_TRUE(cache
                    .Put(CubinKey(source, arch, winner.environment.nvrtc),
                         Compile(gpu_.nvrtc.api(), source, arch).value())
                    .ok());
    return winner;
  }

  CliResult Bundle(const std::string& model = "qwen3-30b-a3b") {
    return RunCli(kBundleCommand,
                  {"--db", db_, "--model", model, "--out", out_, "--cubins", cubins_});
  }

  FakeGpu gpu_;
  TempFolder folder_;
  const std::string db_ = folder_.File("moetune.db");
  const std::string cubins_ = folder_.File("cubins");
  const std::string out_ = folder_.File("bundle");
};

TEST_F(BundleTest, ARuntimeThatCannotCompileLaunchesWhatItHolds) {
  const std::string key = "forward/bf16/gather/e128/t16x8/n1536/k2048/softmax";
  MakeDatabase(db_, {TunedHere(key)});
  const CliResult result = Bundle();
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out, "1 winners and 1 cubins in " + out_ + "\n");

  NvrtcApi no_compiler = gpu_.nvrtc.api();
  no_compiler.compile = [](std::string_view, std::span<const EmbeddedFile>,
                           const std::vector<std::string>&) { return NvrtcResult{}; };
  const auto dispatcher = Dispatcher::Open({.database = out_ + "/moetune.db",
                                            .cubin_folder = out_ + "/cubins",
                                            .driver = &gpu_.driver,
                                            .nvrtc = &no_compiler});
  ASSERT_TRUE(dispatcher.ok()) << dispatcher.status();
  ASSERT_TRUE((*dispatcher)->Prepare(ProblemOf(key)).ok());
  EXPECT_EQ((*dispatcher)->Inspect(ProblemOf(key))->tier, Tier::kExact);
}

TEST_F(BundleTest, ItHoldsTheStandingWinnersOfTheModelAloneAndACubinOfEachKernel) {
  const auto key = [](int tokens) { return absl::StrFormat(kGateUp, tokens); };
  Winner superseded = TunedHere(key(16));
  superseded.config = ReferenceConfig(16);
  MakeDatabase(db_, {superseded, TunedHere(key(16)), TunedHere(key(32)), TunedHere(key(64), 128),
                     TunedHere("forward/bf16/scatter+scale/e32/t64x8/n2048/k768/r128/softmax"),
                     WinnerFor(SmallProblem(64))});
  const CliResult result = Bundle();
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("4 winners and 3 cubins"));
  const auto read = [](const std::string& path) {
    return OpenStore(path, OpenMode::kReadOnly).value()->Scan(0).value().records;
  };
  const std::vector<Record> all = read(db_), bundled = read(out_ + "/moetune.db");
  ASSERT_EQ(bundled.size(), 4u);
  for (const Record& record : bundled) {
    EXPECT_TRUE(std::ranges::any_of(all, [&](const Record& r) { return r.uuid == record.uuid; }));
  }
}

TEST_F(BundleTest, AMissingCubinIsNamedAndNothingIsLeftBehind) {
  Winner winner = TunedHere("forward/bf16/gather/e128/t16x8/n1536/k2048/softmax");
  winner.config = ReferenceConfig(128);
  MakeDatabase(db_, {winner});
  const CliResult result = Bundle();
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr(ReferenceConfig(128).Text()));
  EXPECT_THAT(result.err, HasSubstr("NVRTC 99.9"));
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
    EXPECT_THAT(entry.path().string(), ::testing::Not(HasSubstr("bundle")));
  }
}

TEST_F(BundleTest, AFolderThatExistsIsLeftAlone) {
  MakeDatabase(db_, {TunedHere("forward/bf16/gather/e128/t16x8/n1536/k2048/softmax")});
  ASSERT_EQ(Bundle().exit_code, 0);
  EXPECT_THAT(Bundle().err, HasSubstr("'" + out_ + "' exists already"));
}

TEST_F(BundleTest, AFolderMayBeNamedWithASlash) {
  MakeDatabase(db_, {TunedHere("forward/bf16/gather/e128/t16x8/n1536/k2048/softmax")});
  const CliResult result = RunCli(kBundleCommand, {"--db", db_, "--model", "qwen3-30b-a3b", "--out",
                                                   out_ + "/", "--cubins", cubins_});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(std::filesystem::exists(out_ + "/moetune.db"));
}

TEST_F(BundleTest, KernelsThatAreNoLongerThoseThatWereTimedAreSaid) {
  Winner winner = TunedHere("forward/bf16/gather/e128/t16x8/n1536/k2048/softmax");
  winner.environment.kernel_fingerprint = FamilyFingerprint(*FindFamily("reference").value());
  MakeDatabase(db_, {winner});
  EXPECT_EQ(Bundle().err, "");
  winner.environment.kernel_fingerprint = "of another source";
  MakeDatabase(folder_.File("old.db"), {winner});
  const CliResult old =
      RunCli(kBundleCommand, {"--db", folder_.File("old.db"), "--model", "qwen3-30b-a3b", "--out",
                              out_ + "2", "--cubins", cubins_});
  EXPECT_THAT(old.err, HasSubstr("note: the kernels of 1 winners have changed"));
}

TEST_F(BundleTest, AModelWithoutWinnersOrUnknownIsSaid) {
  MakeDatabase(db_, {WinnerFor(SmallProblem(64))});
  const CliResult none = Bundle();
  EXPECT_EQ(none.exit_code, 1);
  EXPECT_THAT(none.err, HasSubstr("no winners of qwen3-30b-a3b"));
  const CliResult typo = Bundle("qwen3-30b-a3");
  EXPECT_EQ(typo.exit_code, 2);
  EXPECT_THAT(typo.err, HasSubstr("did you mean 'qwen3-30b-a3b'"));
  EXPECT_EQ(RunCli(kBundleCommand, {"--db", db_}).exit_code, 2);
}

}  // namespace
}  // namespace moetune
