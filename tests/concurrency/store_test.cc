// Stores and snapshots under many threads. Everything here also runs under ThreadSanitizer.
#include "db/store.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "db/mutex.h"
#include "db/snapshot.h"
#include "tests/testing/records.h"
#include "tests/testing/temp_folder.h"

namespace moetune {
namespace {

// Runs `body(i)` in `count` threads at once.
template <typename Body>
void InThreads(int count, Body body) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) threads.emplace_back(body, i);
  for (std::thread& thread : threads) thread.join();
}

// Every row is there, once, and the sequence has no gap.
void ExpectComplete(Store& store, size_t rows) {
  const ScanResult result = store.Scan(0).value();
  EXPECT_EQ(result.records.size(), rows);
  EXPECT_EQ(result.last_sequence, static_cast<int64_t>(rows));
  std::set<std::string> uuids;
  for (size_t i = 0; i < result.records.size(); ++i) {
    EXPECT_EQ(result.records[i].sequence, static_cast<int64_t>(i) + 1);
    uuids.insert(result.records[i].uuid);
  }
  EXPECT_EQ(uuids.size(), rows);
}

TEST(Concurrency, SixtyFourWritersWithAConnectionEachLoseNothing) {
  constexpr int kWriters = 64;
  constexpr int kBatches = 2;
  const TempFolder folder;
  const std::string path = folder.File("a.db");
  std::atomic<int> failures = 0;
  InThreads(kWriters, [&](int) {
    // All of them also race to create the file.
    absl::StatusOr<std::unique_ptr<Store>> store = OpenStore(path, OpenMode::kReadWrite);
    for (int i = 0; i < kBatches && store.ok(); ++i) {
      const std::vector<Record> batch = {NewRecord(MeasurementFor(SmallProblem(16))),
                                         NewRecord(WinnerFor(SmallProblem(16)))};
      if (const absl::Status status = (*store)->Append(batch).status(); !status.ok()) {
        ADD_FAILURE() << status;
        ++failures;
      }
    }
    if (!store.ok()) {
      ADD_FAILURE() << store.status();
      ++failures;
    }
  });
  ASSERT_EQ(failures, 0);
  ExpectComplete(*OpenStore(path, OpenMode::kReadOnly).value(), kWriters * kBatches * 2);
}

TEST(Concurrency, OneStoreServesManyThreads) {
  const TempFolder folder;
  for (const std::string& location : {folder.File("a.db"), std::string("memory:")}) {
    const auto store = OpenStore(location, OpenMode::kReadWrite).value();
    InThreads(8, [&](int i) {
      int64_t seen = 0;
      for (int j = 0; j < 8; ++j) {
        if (i % 2 == 0) {
          EXPECT_EQ(store->Append(ManyWinners(2)).value(), 2);
        }
        const ScanResult result = store->Scan(seen).value();
        EXPECT_GE(result.last_sequence, seen);
        EXPECT_EQ(result.records.size(), static_cast<size_t>(result.last_sequence - seen));
        seen = result.last_sequence;
      }
    });
    ExpectComplete(*store, 4 * 8 * 2);
  }
}

TEST(Concurrency, ABatchIsSeenWholeOrNotAtAll) {
  const TempFolder folder;
  const auto writer = OpenStore(folder.File("a.db"), OpenMode::kReadWrite).value();
  const auto reader = OpenStore(folder.File("a.db"), OpenMode::kReadOnly).value();
  std::atomic<bool> done = false;
  std::thread appending([&] {
    for (int i = 0; i < 30; ++i) EXPECT_TRUE(writer->Append(ManyWinners(5)).ok());
    done = true;
  });
  int64_t seen = 0;
  while (!done) {
    const ScanResult result = reader->Scan(seen).value();
    EXPECT_EQ(result.last_sequence % 5, 0);
    EXPECT_EQ(result.records.size(), static_cast<size_t>(result.last_sequence - seen));
    seen = result.last_sequence;
  }
  appending.join();
}

TEST(Concurrency, LookupsGoOnWhileTheSnapshotIsReplaced) {
  Mutex mutex;
  std::shared_ptr<const Snapshot> current = std::make_shared<Snapshot>();
  std::atomic<bool> done = false;
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      while (!done) {
        std::shared_ptr<const Snapshot> snapshot;
        {
          MutexLock lock(mutex);
          snapshot = current;
        }
        const Choice choice = snapshot->Lookup(SmallProblem(16), Fiction100()).value();
        EXPECT_NE(choice.winner, nullptr);
      }
    });
  }
  const auto store = OpenStore("memory:", OpenMode::kReadWrite).value();
  for (int i = 0; i < 50; ++i) {
    Winner winner = WinnerFor(SmallProblem(16));
    winner.time_us = i + 1;
    EXPECT_TRUE(store->Append({{NewRecord(winner)}}).ok());
    auto next = Snapshot::Fold(current, store->Scan(current->last_sequence()).value());
    MutexLock lock(mutex);
    current = std::move(next);
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(current->Lookup(SmallProblem(16), Fiction100())->winner->time_us, 50);
}

}  // namespace
}  // namespace moetune
