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
#include <thread>

#include "db/snapshot.h"
#include "tests/testing/eventually.h"
#include "tests/testing/fake_script.h"
#include "tests/testing/program.h"
#include "tests/testing/temp_folder.h"

namespace moetune {
namespace {

using std::chrono::steady_clock;

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

TEST_F(TuneKillTest, AfterAnyKillTheNextRunEndsAsIfNothingHadHappened) {
  const auto start = steady_clock::now();
  Program whole(Command("whole.db"));
  ASSERT_EQ(whole.Wait(), 0) << whole.err();
  const auto duration = steady_clock::now() - start;
  const ScanResult expected = Rows("whole.db");
  ASSERT_EQ(Winners(expected).size(), 2u);

  for (int i = 1; i <= 4; ++i) {
    const std::string db = "killed" + std::to_string(i) + ".db";
    Program killed(Command(db));
    std::this_thread::sleep_for(duration * i / 5);
    const std::vector<pid_t> children = ChildrenOf(killed.pid());
    killed.Signal(SIGKILL);
    killed.Wait();
    EXPECT_TRUE(Eventually([&] { return std::ranges::none_of(children, Runs); }))
        << "a worker outlived its sweep";

    Program resumed(Command(db));
    ASSERT_EQ(resumed.Wait(), 0) << resumed.err();
    const ScanResult rows = Rows(db);
    EXPECT_EQ(Winners(rows), Winners(expected)) << "killed at " << i << "/5";
    EXPECT_EQ(Trials(rows), Trials(expected)) << "killed at " << i << "/5";
  }
}

TEST_F(TuneKillTest, AKilledChildCostsAtMostTheTrialInFlight) {
  for (int i = 0; i < 3; ++i) {
    const std::string db = "child" + std::to_string(i) + ".db";
    Program tune(Command(db));
    // Whichever is running then: the one that measures, or one that compiles.
    ASSERT_TRUE(Eventually([&] { return !ChildrenOf(tune.pid()).empty(); }));
    std::this_thread::sleep_for(std::chrono::milliseconds(60 * i + 30));
    const std::vector<pid_t> children = ChildrenOf(tune.pid());
    if (!children.empty()) kill(children[i % children.size()], SIGKILL);
    // While it starts there is nobody yet whose trial could be lost.
    if (tune.Wait() != 0) {
      EXPECT_THAT(tune.err(), ::testing::HasSubstr("signal 9"));
      continue;
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
  }
}

}  // namespace
}  // namespace moetune
