#include "runtime/cubin_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "kernels/registry.h"
#include "kernels/sha256.h"
#include "tests/testing/fake_nvrtc.h"
#include "tests/testing/records.h"
#include "tests/testing/temp_folder.h"

namespace moetune {
namespace {

using testing::HasSubstr;

Cubin SmallCubin(std::string image = std::string("\x7f"
                                                 "ELF\n\0 binary\n",
                                                 14)) {
  Cubin cubin = {.image = std::move(image),
                 .facts = {.registers = 168,
                           .static_shared_bytes = 4096,
                           .stack_bytes = 8,
                           .spill_bytes = 16,
                           .wgmma_serialised = true,
                           .resident_ctas = 2},
                 .sha256 = {}};
  cubin.sha256 = Sha256Hex(cubin.image);
  return cubin;
}

Source SmallSource(int64_t block_m = 64, const ArgTypes& types = {}) {
  return MakeSource(SmallProblem(16).shape,
                    {FindFamily("reference").value(), ReferenceConfig(block_m)}, types);
}

class CubinCacheTest : public testing::Test {
 protected:
  std::string EntryPath(std::string_view key) { return folder_.File(std::string(key) + ".cubin"); }

  TempFolder folder_;
  CubinCache cache_ = *CubinCache::Open(folder_.path());
};

TEST_F(CubinCacheTest, AnEntryComesBackAsItWas) {
  ASSERT_TRUE(cache_.Put("key", SmallCubin()).ok());
  EXPECT_EQ(cache_.Find("key"), SmallCubin());
}

TEST_F(CubinCacheTest, WhatWasNotPutIsAMiss) { EXPECT_EQ(cache_.Find("key"), std::nullopt); }

TEST_F(CubinCacheTest, AnEntryCutShortAnywhereIsAMiss) {
  ASSERT_TRUE(cache_.Put("key", SmallCubin()).ok());
  const std::string whole = ReadFile(EntryPath("key"));
  for (size_t length = 0; length < whole.size(); length += 4) {
    WriteFile(EntryPath("key"), whole.substr(0, length));
    EXPECT_EQ(cache_.Find("key"), std::nullopt) << "cut to " << length << " bytes";
  }
}

TEST_F(CubinCacheTest, AnEntryWithAnyByteChangedIsAMiss) {
  ASSERT_TRUE(cache_.Put("key", SmallCubin()).ok());
  const std::string whole = ReadFile(EntryPath("key"));
  for (size_t i = 0; i < whole.size(); i += 4) {
    std::string changed = whole;
    changed[i] ^= 4;
    WriteFile(EntryPath("key"), changed);
    EXPECT_EQ(cache_.Find("key"), std::nullopt) << "byte " << i;
  }
}

TEST_F(CubinCacheTest, AnEntryOfAnotherVersionIsAMiss) {
  ASSERT_TRUE(cache_.Put("key", SmallCubin()).ok());
  std::string entry = ReadFile(EntryPath("key"));
  ASSERT_TRUE(entry.starts_with("moetune-cubin-1 "));
  entry[14] = '2';
  WriteFile(EntryPath("key"), entry);
  EXPECT_EQ(cache_.Find("key"), std::nullopt);
}

TEST_F(CubinCacheTest, PutMendsABrokenEntry) {
  WriteFile(EntryPath("key"), "not an entry");
  ASSERT_TRUE(cache_.Put("key", SmallCubin()).ok());
  EXPECT_EQ(cache_.Find("key"), SmallCubin());
}

TEST_F(CubinCacheTest, NothingButTheEntryStaysBehind) {
  ASSERT_TRUE(cache_.Put("key", SmallCubin()).ok());
  ASSERT_TRUE(cache_.Put("key", SmallCubin("another")).ok());
  const std::filesystem::directory_iterator files(folder_.path());
  EXPECT_EQ(std::distance(begin(files), end(files)), 1);
}

TEST_F(CubinCacheTest, ManyProcessesAtOnceNeverSeeAPartOfAnEntry) {
  constexpr int kProcesses = 6;
  const Cubin cubin = SmallCubin(std::string(200'000, 'x'));
  for (int process = 0; process < kProcesses; ++process) {
    if (fork() != 0) continue;
    bool good = true;
    for (int i = 0; i < 20; ++i) {
      good = good && cache_.Put("key", cubin).ok() && cache_.Find("key") == cubin;
    }
    _exit(good ? 0 : 1);
  }
  for (int process = 0; process < kProcesses; ++process) {
    int status = 0;
    wait(&status);
    EXPECT_EQ(status, 0);
  }
}

// As a user to whom file permissions apply: root passes over them.
class WithoutPrivileges {
 public:
  WithoutPrivileges() : was_(geteuid()) {
    if (was_ == 0) changed_ = seteuid(65534) == 0;
  }
  ~WithoutPrivileges() {
    if (changed_ && seteuid(was_) != 0) std::abort();
  }

 private:
  uid_t was_;
  bool changed_ = false;
};

TEST_F(CubinCacheTest, AReadOnlyFolderStillServes) {
  ASSERT_TRUE(cache_.Put("key", SmallCubin()).ok());
  chmod(folder_.path().c_str(), 0555);
  {
    const WithoutPrivileges user;
    const absl::StatusOr<CubinCache> read_only = CubinCache::Open(folder_.path());
    ASSERT_TRUE(read_only.ok()) << read_only.status();
    EXPECT_EQ(read_only->Find("key"), SmallCubin());
    const absl::Status put = read_only->Put("other", SmallCubin());
    EXPECT_EQ(put.code(), absl::StatusCode::kPermissionDenied) << put;

    const FakeNvrtc nvrtc;
    EXPECT_TRUE(CompileCached(*read_only, nvrtc.api(), SmallSource(), "sm_90a").ok());
  }
  chmod(folder_.path().c_str(), 0755);
}

TEST_F(CubinCacheTest, TheFolderIsMadeWithItsParents) {
  const std::string deep = folder_.File("a/b/c");
  ASSERT_TRUE(CubinCache::Open(deep).ok());
  EXPECT_TRUE(std::filesystem::is_directory(deep));
}

TEST_F(CubinCacheTest, AFileInThePlaceOfTheFolderIsAnErrorThatNamesIt) {
  WriteFile(folder_.File("taken"), "");
  const absl::Status status = CubinCache::Open(folder_.File("taken")).status();
  EXPECT_THAT(status.ToString(), HasSubstr(folder_.File("taken")));
  EXPECT_FALSE(CubinCache::Open("").ok());
}

TEST_F(CubinCacheTest, CompilesOnceAndFromThenOnReads) {
  const FakeNvrtc nvrtc;
  const absl::StatusOr<Cubin> compiled =
      CompileCached(cache_, nvrtc.api(), SmallSource(), "sm_90a");
  const absl::StatusOr<Cubin> read = CompileCached(cache_, nvrtc.api(), SmallSource(), "sm_90a");
  ASSERT_TRUE(compiled.ok() && read.ok());
  EXPECT_EQ(*compiled, *read);
  EXPECT_EQ(nvrtc.compiles(), 1);
}

TEST_F(CubinCacheTest, CompilesAgainWhatDoesNotCheck) {
  const FakeNvrtc nvrtc;
  ASSERT_TRUE(CompileCached(cache_, nvrtc.api(), SmallSource(), "sm_90a").ok());
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
    std::filesystem::resize_file(entry.path(), 100);
  }
  EXPECT_TRUE(CompileCached(cache_, nvrtc.api(), SmallSource(), "sm_90a").ok());
  EXPECT_EQ(nvrtc.compiles(), 2);
}

TEST_F(CubinCacheTest, ARefusalIsNotKept) {
  const FakeNvrtc nvrtc({.faults = {{FakeFaultKind::kCompileError}}});
  EXPECT_FALSE(CompileCached(cache_, nvrtc.api(), SmallSource(), "sm_90a").ok());
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

TEST(CubinKey, TellsApartWhatIsCompiledDifferently) {
  const std::string key = CubinKey(SmallSource(), "sm_90a", "13.0");
  EXPECT_EQ(key, CubinKey(SmallSource(), "sm_90a", "13.0"));
  EXPECT_NE(key, CubinKey(SmallSource(32), "sm_90a", "13.0"));
  EXPECT_NE(key, CubinKey(SmallSource(64, {.index64 = true}), "sm_90a", "13.0"));
  EXPECT_NE(key, CubinKey(SmallSource(), "sm_80", "13.0"));
  EXPECT_NE(key, CubinKey(SmallSource(), "sm_90a", "13.1"));
}

}  // namespace
}  // namespace moetune
