#include "tuner/service/snapshot_holder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "db/mutex.h"
#include "tests/testing/eventually.h"
#include "tests/testing/records.h"
#include "tests/testing/scripted_store.h"
#include "tuner/service/config_handlers.h"

namespace moetune {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr absl::Duration kPoll = absl::Milliseconds(1);

class Lines {
 public:
  Log log() {
    return [this](std::string_view line) {
      MutexLock lock(mutex_);
      lines_.emplace_back(line);
    };
  }
  std::vector<std::string> all() const {
    MutexLock lock(mutex_);
    return lines_;
  }

 private:
  mutable Mutex mutex_;
  std::vector<std::string> lines_ ABSL_GUARDED_BY(mutex_);
};

Record RecordOf(int64_t tokens) { return NewRecord(WinnerFor(SmallProblem(tokens))); }

TEST(SnapshotHolder, ServesWhatTheStoreHeldBeforeOpenReturned) {
  auto store = NewScriptedStore();
  ASSERT_TRUE(store->Append(std::vector{RecordOf(16), RecordOf(32)}).ok());
  Lines lines;
  const auto holder = SnapshotHolder::Open(std::move(store), absl::Hours(1), lines.log()).value();
  EXPECT_EQ(holder->Current()->Winners().size(), 2u);
}

TEST(SnapshotHolder, RowsAppendedLaterAreServedWithoutBeingAskedFor) {
  auto owned = NewScriptedStore();
  ScriptedStore* store = owned.get();
  Lines lines;
  const auto holder = SnapshotHolder::Open(std::move(owned), kPoll, lines.log()).value();
  const std::shared_ptr<const Snapshot> before = holder->Current();
  ASSERT_TRUE(store->Append(std::vector{RecordOf(16)}).ok());
  EXPECT_TRUE(Eventually([&] { return holder->Current()->Winners().size() == 1; }));
  EXPECT_TRUE(before->Winners().empty()) << "a snapshot that is held must not change";
}

TEST(SnapshotHolder, TheSnapshotIsTheSameObjectWhileNothingIsAppended) {
  auto owned = NewScriptedStore();
  ScriptedStore* store = owned.get();
  ASSERT_TRUE(store->Append(std::vector{RecordOf(16)}).ok());
  Lines lines;
  const auto holder = SnapshotHolder::Open(std::move(owned), kPoll, lines.log()).value();
  const std::shared_ptr<const Snapshot> first = holder->Current();
  const int scans = store->scans();
  ASSERT_TRUE(Eventually([&] { return store->scans() > scans + 3; }));
  EXPECT_EQ(holder->Current(), first);
}

TEST(SnapshotHolder, AStoreThatFailsLeavesTheLastSnapshotAndIsReportedOnce) {
  auto owned = NewScriptedStore();
  ScriptedStore* store = owned.get();
  ASSERT_TRUE(store->Append(std::vector{RecordOf(16)}).ok());
  Lines lines;
  const auto holder = SnapshotHolder::Open(std::move(owned), kPoll, lines.log()).value();
  store->set_failing(true);
  ASSERT_TRUE(store->Append(std::vector{RecordOf(32)}).ok());
  const int scans = store->scans();
  ASSERT_TRUE(Eventually([&] { return store->scans() > scans + 5; }));
  EXPECT_EQ(holder->Current()->Winners().size(), 1u);
  EXPECT_THAT(lines.all(), ElementsAre(HasSubstr("the disk is gone")));

  store->set_failing(false);
  EXPECT_TRUE(Eventually([&] { return holder->Current()->Winners().size() == 2; }));
  EXPECT_TRUE(Eventually([&] { return lines.all().size() == 2; }));
  EXPECT_THAT(lines.all()[1], HasSubstr("again"));
}

TEST(SnapshotHolder, AStoreThatCannotBeReadAtAllIsAnErrorOfOpen) {
  auto store = NewScriptedStore();
  store->set_failing(true);
  Lines lines;
  const auto holder = SnapshotHolder::Open(std::move(store), kPoll, lines.log());
  EXPECT_EQ(holder.status(), absl::UnavailableError("the disk is gone"));
}

TEST(SnapshotHolder, EndsAtOnceHoweverLongItsPollInterval) {
  const auto start = std::chrono::steady_clock::now();
  Lines lines;
  auto holder = SnapshotHolder::Open(NewScriptedStore(), absl::Hours(1), lines.log()).value();
  holder.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

// What the service does all day: handlers answer on several threads while snapshots are swapped.
// Each answer must come from one whole snapshot, and a reader must never go back to an older one.
TEST(SnapshotHolder, HandlersAnswerFromWholeSnapshotsWhileTheyAreSwapped) {
  constexpr int kRows = 50;
  auto owned = NewScriptedStore();
  ScriptedStore* store = owned.get();
  Lines lines;
  const auto holder = SnapshotHolder::Open(std::move(owned), kPoll, lines.log()).value();

  std::atomic<int> wrong = 0;
  std::vector<std::jthread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&](const std::stop_token& stop) {
      int64_t newest = 0;
      while (!stop.stop_requested()) {
        const std::shared_ptr<const Snapshot> snapshot = holder->Current();
        v1::LookupRequest request;
        request.set_problem_key(ProblemKey(SmallProblem(1)));
        request.mutable_device()->set_name("h200");
        v1::LookupResponse response;
        const bool ok =
            HandleLookup(*snapshot, request, response).ok() &&
            response.snapshot_token() == snapshot->Token() && snapshot->last_sequence() >= newest &&
            static_cast<int64_t>(snapshot->Winners().size()) == snapshot->last_sequence();
        if (!ok) ++wrong;
        newest = snapshot->last_sequence();
      }
    });
  }
  for (int tokens = 1; tokens <= kRows; ++tokens) {
    ASSERT_TRUE(store->Append(std::vector{RecordOf(tokens)}).ok());
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_TRUE(Eventually([&] { return holder->Current()->last_sequence() == kRows; }));
  readers.clear();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace moetune
