#include "tuner/trailing_store.h"

#include <gtest/gtest.h>

#include "tests/testing/records.h"

namespace moetune {
namespace {

std::vector<Record> BatchOf(size_t rows) {
  std::vector<Record> batch;
  for (size_t i = 0; i < rows; ++i) batch.push_back(NewRecord(Sweep{.id = NewUuid()}));
  return batch;
}

TEST(TrailingStore, AllIsInTheStoreInTheEndInTheOrderInWhichItCame) {
  const auto store = OpenStore("memory:", OpenMode::kReadWrite).value();
  std::vector<Record> expected;
  {
    TrailingStore trailing(*store);
    for (size_t rows = 1; rows < 20; ++rows) {
      const std::vector<Record> batch = BatchOf(rows);
      ASSERT_TRUE(trailing.Append(batch).ok());
      expected.insert(expected.end(), batch.begin(), batch.end());
    }
  }
  const ScanResult scan = store->Scan(0).value();
  ASSERT_EQ(scan.records.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(scan.records[i].uuid, expected[i].uuid);
}

TEST(TrailingStore, AnErrorIsReportedByTheNextCall) {
  const auto store = OpenStore("memory:", OpenMode::kReadWrite).value();
  ASSERT_TRUE(store->Close().ok());
  TrailingStore trailing(*store);
  EXPECT_TRUE(trailing.Append(BatchOf(1)).ok());
  EXPECT_FALSE(trailing.Append(BatchOf(1)).ok());
  EXPECT_TRUE(trailing.Append(BatchOf(1)).ok());
  EXPECT_FALSE(trailing.Finish().ok());
  EXPECT_TRUE(trailing.Finish().ok()) << "nothing is under way any more";
}

}  // namespace
}  // namespace moetune
