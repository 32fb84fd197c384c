#include "db/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "db/memory_store.h"
#include "tests/db/scan_conformance.h"
#include "tests/db/store_conformance.h"
#include "tests/testing/temp_folder.h"

namespace moetune {
namespace {

using ::testing::HasSubstr;

// A store that takes its folder with it.
std::unique_ptr<Store> NewSqliteStore() {
  struct Owner : Store {
    TempFolder folder;
    std::unique_ptr<Store> store = OpenStore(folder.File("a.db"), OpenMode::kReadWrite).value();

    absl::StatusOr<int> Append(std::span<const Record> batch,
                               std::optional<int64_t> winners_until) override {
      return store->Append(batch, winners_until);
    }
    absl::StatusOr<ScanResult> Scan(int64_t since, const ScanFilter& filter) override {
      return store->Scan(since, filter);
    }
    absl::Status Close() override { return store->Close(); }
  };
  return std::make_unique<Owner>();
}

INSTANTIATE_TEST_SUITE_P(Backends, StoreConformance,
                         ::testing::Values(StoreBackend{"sqlite", NewSqliteStore},
                                           StoreBackend{"memory", [] { return NewMemoryStore(); }}),
                         [](const auto& backend) { return backend.param.name; });

TEST(OpenStore, APathAndSqliteColonPathAreTheSameDatabase) {
  const TempFolder folder;
  const auto a = OpenStore(folder.File("a.db"), OpenMode::kReadWrite).value();
  const auto b = OpenStore("sqlite:" + folder.File("a.db"), OpenMode::kReadOnly).value();
  EXPECT_EQ(a->Scan(0)->database_id, b->Scan(0)->database_id);
}

TEST(OpenStore, MemoryIsALogOfItsOwnEachTime) {
  const auto a = OpenStore("memory:", OpenMode::kReadWrite).value();
  const auto b = OpenStore("memory:", OpenMode::kReadWrite).value();
  ASSERT_TRUE(a->Append(ManyWinners(1)).ok());
  EXPECT_EQ(b->Scan(0)->last_sequence, 0);
}

TEST(OpenStore, AReadOnlyLogInMemoryTakesNoRows) {
  const auto store = OpenStore("memory:", OpenMode::kReadOnly).value();
  EXPECT_EQ(store->Append(ManyWinners(1)).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(store->Scan(0).ok());
}

TEST(OpenStore, AnUnknownStoreIsNotTakenForAFile) {
  const absl::Status status = OpenStore("sqlit:a.db", OpenMode::kReadWrite).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("'sqlite:'"));
  EXPECT_FALSE(std::filesystem::exists("sqlit:a.db"));
  EXPECT_EQ(OpenStore("memory:x", OpenMode::kReadWrite).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(OpenStore, APathMayHoldAnyCharacter) {
  const TempFolder folder;
  const std::string path = folder.File("a b%20:?#&ü'.db");
  const auto store = OpenStore(path, OpenMode::kReadWrite).value();
  ASSERT_TRUE(store->Append(ManyWinners(1)).ok());
  EXPECT_TRUE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace moetune
