// `moetune tune` on a fictional GPU, killed in its midst, itself or its children, and started
// again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <span>
#include <thread>

#include "db/snapshot.h"
#include "tests/testing/eventually.h"
#include "tests/testing/fake_script.h"
#include "tests/testing/program.h"
#include "tests/testing/temp_folder.h"

namespace moetune {
namespace {

using std::chrono::steady_clock;

// At random moments, 50 in all.
constexpr int kParentKills = 40;
constexpr int kChildKills = 10;

// The processes that `parent` has started.
std::vector<pid_t> ChildrenOf(pid_t parent) {
  std::vector<pid_t> children;
  std::error_code ignored;
  const std::string tasks = "/proc/" + std::to_string(parent) + "/task";
  for (const auto& task : std::filesystem::directory_iterator(tasks, ignored)) {
    std::ifstream list(task.path() / "children");
    for (pid_t child = 0; list >> child;) children.push_back(child);
  }
  return children;
}

// False for a zombie too, which only waits for its new parent to ask after it.
bool Runs(pid_t process) {
  std::ifstream stat("/proc/" + std::to_string(process) + "/stat");
  std::string number, name, state;
  stat >> number >> name >> state;
  return !state.empty() && state != "Z";
}

class TuneKillTest : public ::testing::Test {
 protected:
  TuneKillTest() {
    WriteFile(folder_.File("script"), WriteFakeScript({}));
    WriteFile(folder_.File("worker"), std::string("#!/bin/sh\nexec '") + MOETUNE_FAKE_WORKER +
                                          "' '" + folder_.File("script") + "'\n");
    chmod(folder_.File("worker").c_str(), 0755);
  }

  std::vector<std::string> Command(const std::string& db) const {
    return {MOETUNE_PROGRAM, "tune",
            "--db",          folder_.File(db),
            "--cubins",      folder_.File("cubins"),
            "--worker",      folder_.File("worker"),
            "--jobs",        "2",
            "--budget",      "12",
            "--problem",     "forward/bf16/gather/e4/t12x2/n40/k24",
            "--problem",     "forward/bf16/plain/e4/t30x2/n40/k24"};
  }

  // Empty when the database is not there yet.
  std::vector<Record> RecordsSoFar(const std::string& db) const {
    const auto store = OpenStore(folder_.File(db), OpenMode::kReadOnly);
    return store.ok() ? (*store)->Scan(0).value().records : std::vector<Record>();
  }

  ScanResult Rows(const std::string& db) const {
    return OpenStore(folder_.File(db), OpenMode::kReadOnly).value()->Scan(0).value();
  }

  // Each winner's problem, with its config and time.
  static std::map<std::string, std::string> Winners(const ScanResult& scan) {
    std::map<std::string, std::string> winners;
    for (const auto& winner : Snapshot::Fold(nullptr, scan)->Winners()) {
      winners[ProblemKey(winner->problem)] =
          winner->config.Text() + " " + std::to_string(winner->time_us);
    }
    return winners;
  }

  // Each trial's name, with the number of its rows.
  static std::map<std::string, int> Trials(const ScanResult& scan) {
    std::map<std::string, int> trials;
    for (const Record& record : scan.records) {
      const auto* m = std::get_if<Measurement>(&record.row);
      if (m == nullptr) continue;
      ++trials[ProblemKey(m->problem) + " " + m->config.Text() + " " +
               std::string(EffortName(m->effort))];
    }
    return trials;
  }

  TempFolder folder_;
};

// A sweep killed again and again, each time a bit further, until it ends; and then another one.
TEST_F(TuneKillTest, AfterAnyKillTheNextRunGoesOnAndEndsAsIfNothingHadHappened) {
  const auto start = steady_clock::now();
  Program whole(Command("whole.db"));
  ASSERT_EQ(whole.Wait(), 0) << whole.err();
  const auto duration = steady_clock::now() - start;
  const ScanResult expected = Rows("whole.db");
  ASSERT_EQ(Winners(expected).size(), 2u);

  std::minstd_rand random(1);
  std::uniform_real_distribution<double> part(0, 1);
  int kills = 0;
  for (int sweep = 0; kills < kParentKills; ++sweep) {
    const std::string db = "killed" + std::to_string(sweep) + ".db";
    std::vector<Record> committed;
    int exit_code = -1;
    while (exit_code != 0) {
      Program tune(Command(db));
      if (kills < kParentKills) {
        std::this_thread::sleep_for(duration * part(random));
        const std::vector<pid_t> children = ChildrenOf(tune.pid());
        tune.Signal(SIGKILL);
        tune.Wait();
        EXPECT_TRUE(Eventually([&] { return std::ranges::none_of(children, Runs); }))
            << "a worker outlived its sweep";
      }
      exit_code = tune.Wait();
      ASSERT_TRUE(exit_code == 0 || exit_code == 128 + SIGKILL) << tune.err();
      kills += exit_code != 0;
      const std::vector<Record> records = RecordsSoFar(db);
      ASSERT_GE(records.size(), committed.size()) << "after " << kills << " kills";
      EXPECT_TRUE(std::ranges::equal(committed, std::span(records).first(committed.size())))
          << "a committed row was lost after " << kills << " kills";
      committed = records;
    }
    EXPECT_EQ(Winners(Rows(db)), Winners(expected)) << "after " << kills << " kills";
    EXPECT_EQ(Trials(Rows(db)), Trials(expected)) << "after " << kills << " kills";
  }
}

TEST_F(TuneKillTest, AKilledChildCostsAtMostTheTrialInFlight) {
  std::minstd_rand random(1);
  std::uniform_int_distribution<int> milliseconds(0, 300);
  for (int i = 0; i < kChildKills; ++i) {
    const std::string db = "child" + std::to_string(i) + ".db";
    Program tune(Command(db));
    // Whichever is running then: the one that measures, or one that compiles.
    ASSERT_TRUE(Eventually([&] { return !ChildrenOf(tune.pid()).empty(); }));
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds(random)));
    const std::vector<pid_t> children = ChildrenOf(tune.pid());
    if (!children.empty()) kill(children[i % children.size()], SIGKILL);
    // While it starts there is nobody yet whose trial could be lost.
    if (tune.Wait() != 0) {
      EXPECT_THAT(tune.err(), ::testing::HasSubstr("signal 9"));
      Program again(Command(db));
      ASSERT_EQ(again.Wait(), 0) << again.err();
    }
    int crashed = 0;
    const ScanResult rows = Rows(db);
    for (const Record& record : rows.records) {
      const auto* m = std::get_if<Measurement>(&record.row);
      crashed += m != nullptr && m->outcome != Outcome::kOk;
    }
    EXPECT_LE(crashed, 1);
    EXPECT_EQ(Winners(rows).size(), 2u);
    for (const auto& [trial, count] : Trials(rows)) EXPECT_EQ(count, 1) << trial;

    Program resumed(Command(db));
    ASSERT_EQ(resumed.Wait(), 0) << resumed.err();
    EXPECT_EQ(Winners(Rows(db)), Winners(rows)) << "the same seed, the same winner";
    EXPECT_EQ(Trials(Rows(db)), Trials(rows)) << "nothing is measured again";
  }
}

}  // namespace
}  // namespace moetune
