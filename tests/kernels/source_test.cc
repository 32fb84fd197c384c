#include "kernels/source.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "kernels/registry.h"
#include "kernels/space.h"

namespace moetune {
namespace {

using testing::Contains;

const Family& Reference() { return *FindFamily("reference").value(); }

Candidate AnyCandidate() {
  return {&Reference(), {{"block_k", 16}, {"block_m", 64}, {"block_n", 32}, {"threads", 128}}};
}

TEST(EmbeddedFiles, AreThoseOfTheRepositoryByteForByte) {
  EXPECT_FALSE(EmbeddedFiles().empty());
  for (const EmbeddedFile& file : EmbeddedFiles()) {
    std::ifstream stream(std::string(MOETUNE_SOURCE_DIR "/") + std::string(file.path));
    const std::string text{std::istreambuf_iterator<char>(stream), {}};
    EXPECT_FALSE(text.empty()) << file.path;
    EXPECT_TRUE(file.text == text) << file.path;
  }
}

TEST(StripComments, RemovesCommentsAndBlankLinesAndKeepsTheCode) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"", ""},
      {"int a;", "int a;\n"},
      {"int a;\n\n\n  \t\nint b;\n", "int a;\nint b;\n"},
      {"// all\nint a;  // rest\n//\nint b;//", "int a;\nint b;\n"},
      {"/* one */int a;/* two\nlines */\nint b;\n", " int a;\nint b;\n"},
      {"int/**/a;\n", "int a;\n"},
      {"/**/ /***/ /*/ still */\nint a;\n", "int a;\n"},
      {"a /* open", "a\n"},
      {"a /*", "a\n"},
      {"a /", "a /\n"},
      {"a // open", "a\n"},
      {"  indented;\n", "  indented;\n"},
      {"a = b / c; /* / */ d = *e;\n", "a = b / c;   d = *e;\n"},
      // No comments begin within literals, and no literals within comments.
      {"f(\"// no\");  // yes\n", "f(\"// no\");\n"},
      {"f(\"/* no\"); g(\"*/\");\n", "f(\"/* no\"); g(\"*/\");\n"},
      {"f(\"a\\\"// b\");  // c\n", "f(\"a\\\"// b\");\n"},
      {"c = '\"';  // \"\nd = '\\'';  // '\n", "c = '\"';\nd = '\\'';\n"},
      {"// don't\nint a;\n/* \"open */\nint b;\n", "int a;\nint b;\n"},
      {"f(\"\\\\\");  // c\n", "f(\"\\\\\");\n"},
  };
  for (const auto& [text, stripped] : cases) EXPECT_EQ(StripComments(text), stripped) << text;
}

TEST(StripComments, IsStable) {
  for (const EmbeddedFile& file : EmbeddedFiles()) {
    const std::string once = StripComments(file.text);
    EXPECT_LT(once.size(), file.text.size()) << file.path;
    EXPECT_EQ(StripComments(once), once) << file.path;
  }
}

TEST(MakeSource, DefinesEveryParameterInSortedOrder) {
  Shape shape = {.dtype = Dtype::kFp16, .output = Dtype::kFp32, .fusions = kScatter | kScale};
  const Source source = MakeSource(shape, AnyCandidate(), {.index64 = true, .scale_fp32 = false});
  EXPECT_EQ(source.path, "kernels/families/reference.cuh");
  EXPECT_TRUE(std::ranges::is_sorted(source.options));
  for (const char* option :
       {"-DBLOCK_K=16", "-DBLOCK_M=64", "-DBLOCK_N=32", "-DTHREADS=128", "-DOPERAND=fp16",
        "-DOUTPUT=fp32", "-DINDEX=long long", "-DWEIGHT=fp16", "-DFUSE_GATHER=0",
        "-DFUSE_SCATTER=1", "-DFUSE_SCALE=1", "-DFUSE_SWIGLU=0", "-DFUSE_PREACT=0",
        "-DFUSE_COMBINE=0"}) {
    EXPECT_THAT(source.options, Contains(option));
  }
}

TEST(MakeSource, CombineScattersAndScales) {
  const Source source = MakeSource({.fusions = kCombine}, AnyCandidate());
  for (const char* option : {"-DFUSE_COMBINE=1", "-DFUSE_SCATTER=1", "-DFUSE_SCALE=1"}) {
    EXPECT_THAT(source.options, Contains(option));
  }
}

TEST(MakeSource, AListIsDefinedAsItsIntegers) {
  Candidate candidate = AnyCandidate();
  candidate.config.Set("cluster", {2, 1});
  EXPECT_THAT(MakeSource({}, candidate).options, Contains("-DCLUSTER=2,1"));
}

TEST(MakeSource, SizesDoNotEnter) {
  Shape large = {.experts = 128, .top_k = 8, .n = 1536, .k = 2048};
  EXPECT_EQ(MakeSource(large, AnyCandidate()).fingerprint,
            MakeSource({}, AnyCandidate()).fingerprint);
  EXPECT_EQ(MakeSource(large, AnyCandidate()).options, MakeSource({}, AnyCandidate()).options);
}

TEST(MakeSource, ConfigsThatDifferInWhatIsGivenAtLaunchAloneShareIt) {
  const Problem problem = ParseProblem("forward/bf16/gather/e8/t4096x2/n4096/k4096").value();
  const DeviceSpec device = FindKnownDevice("h200").value();
  for (const Family* family : Families()) {
    for (const Parameter& parameter : family->space().parameters) {
      std::map<std::string, std::set<std::string>> of_rest;  // fingerprints
      size_t configs = 0;
      for (Config config : EnumerateLegal(*family, problem, device)) {
        const std::string fingerprint = MakeSource(problem.shape, {family, config}).fingerprint;
        config.Set(parameter.name, 0);
        of_rest[config.Text()].insert(fingerprint);
        ++configs;
      }
      size_t fingerprints = 0;
      for (const auto& [rest, of_one] : of_rest) fingerprints += of_one.size();
      EXPECT_EQ(fingerprints, parameter.at_launch ? of_rest.size() : configs)
          << family->name << " " << parameter.name;
    }
  }
}

TEST(MakeSource, EveryVariantHasAFingerprintOfItsOwn) {
  std::set<std::string> fingerprints;
  int variants = 0;
  for (const Fusions fusions :
       {Fusions{0}, Fusions{kGather}, Fusions{kScatter}, Fusions{kScatter | kScale},
        Fusions{kSwiglu}, Fusions{kSwiglu | kPreact}, Fusions{kCombine}}) {
    for (const Dtype dtype : {Dtype::kBf16, Dtype::kFp16}) {
      for (const Dtype output : {dtype, Dtype::kFp32}) {
        for (const bool index64 : {false, true}) {
          for (const bool scale_fp32 : {false, true}) {
            for (const int64_t block_k : {16, 32}) {
              Candidate candidate = AnyCandidate();
              candidate.config.Set("block_k", block_k);
              const Shape shape = {.dtype = dtype, .output = output, .fusions = fusions};
              fingerprints.insert(MakeSource(shape, candidate, {index64, scale_fp32}).fingerprint);
              ++variants;
            }
          }
        }
      }
    }
  }
  EXPECT_EQ(fingerprints.size(), static_cast<size_t>(variants));
}

TEST(FamilyFingerprint, DiffersBetweenFamilies) {
  std::set<std::string> fingerprints;
  for (const Family* family : Families()) fingerprints.insert(FamilyFingerprint(*family));
  EXPECT_EQ(fingerprints.size(), Families().size());
}

// The embedded files with one of them edited.
class EditedFiles {
 public:
  EditedFiles() : files_(EmbeddedFiles().begin(), EmbeddedFiles().end()) {}

  std::string Fingerprint(std::string_view path, std::string_view text) {
    for (EmbeddedFile& file : files_) {
      const EmbeddedFile original = file;
      if (file.path != path) continue;
      file.text = text;
      std::string fingerprint = FamilyFingerprint(Reference(), files_);
      file = original;
      return fingerprint;
    }
    return "no such file";
  }

 private:
  std::vector<EmbeddedFile> files_;
};

std::string_view TextOf(std::string_view path) {
  return std::ranges::find(EmbeddedFiles(), path, &EmbeddedFile::path)->text;
}

constexpr std::string_view kReached[] = {
    "kernels/families/reference.cuh", "kernels/device/rows.cuh",
    "kernels/device/args.h",          "kernels/device/scheduler.cuh",
    "kernels/device/epilogue.cuh",    "kernels/device/numeric.cuh",  // by way of epilogue.cuh
};

TEST(FamilyFingerprint, ChangesWithTheCodeThatTheFamilyReaches) {
  const std::string original = FamilyFingerprint(Reference());
  EditedFiles files;
  for (const std::string_view path : kReached) {
    const std::string code = StripComments(TextOf(path));
    ASSERT_EQ(files.Fingerprint(path, code), original) << path;
    for (size_t i = 0; i < code.size(); i += 97) {
      std::string edited = code;
      edited[i] = edited[i] == '1' ? '2' : '1';
      EXPECT_NE(files.Fingerprint(path, edited), original) << path << ", byte " << i;
    }
    EXPECT_NE(files.Fingerprint(path, code + "int more;\n"), original) << path;
  }
}

TEST(FamilyFingerprint, StaysWithCommentsAndBlankLines) {
  const std::string original = FamilyFingerprint(Reference());
  EditedFiles files;
  for (const std::string_view path : kReached) {
    std::string commented = "/* A\n   title. */\n\n";
    for (const char c : TextOf(path)) {
      commented += c == '\n' ? "  // and a word\n\n// of \"explanation\"\n" : std::string(1, c);
    }
    EXPECT_EQ(files.Fingerprint(path, commented), original) << path;
  }
}

TEST(FamilyFingerprint, StaysWithTextThatTheFamilyDoesNotReach) {
  std::vector<EmbeddedFile> files(EmbeddedFiles().begin(), EmbeddedFiles().end());
  files.push_back({"kernels/families/other.cuh", "#include \"kernels/device/args.h\"\n"});
  files.push_back({"kernels/device/unused.cuh", "int unused;\n"});
  EXPECT_EQ(FamilyFingerprint(Reference(), files), FamilyFingerprint(Reference()));
}

}  // namespace
}  // namespace moetune
