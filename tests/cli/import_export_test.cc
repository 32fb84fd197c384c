#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "tests/cli/run_cli.h"
#include "tests/testing/temp_folder.h"

namespace moetune {

extern const Command kExportCommand;
extern const Command kImportCommand;
extern const Command kReplayCommand;

namespace {

using ::testing::HasSubstr;

class ImportExportTest : public ::testing::Test {
 protected:
  std::string Export(const std::string& db, std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"--db", db});
    const CliResult result = RunCli(kExportCommand, more);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.out;
  }

  CliResult Import(const std::string& db, const std::string& from) {
    return RunCli(kImportCommand, {"--db", db, from});
  }

  std::string Write(const std::string& name, const std::string& text) {
    const std::string path = folder_.File(name);
    std::ofstream(path) << text;
    return path;
  }

  TempFolder folder_;
  const std::string a_ = folder_.File("a.db");
  const std::string b_ = folder_.File("b.db");
};

TEST_F(ImportExportTest, ADatabaseComesBackFromItsText) {
  MakeDatabase(a_, {WinnerFor(SmallProblem(64)), WinnerFor(SmallProblem(128))});
  const CliResult result = Import(b_, Write("a.txt", Export(a_)));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("2 of 2 records added"));
  EXPECT_EQ(Export(b_), Export(a_));
}

TEST_F(ImportExportTest, ADatabaseIsImportedDirectly) {
  MakeDatabase(a_, {WinnerFor(SmallProblem(64))});
  EXPECT_THAT(Import(b_, a_).out, HasSubstr("1 of 1 records added"));
  EXPECT_EQ(Export(b_), Export(a_));
}

TEST_F(ImportExportTest, TheTrialsOfAProblemAreATraceThatReplayReads) {
  std::vector<Record> records;
  for (int64_t block_m : {16, 32, 64}) {
    Measurement trial = MeasurementFor(SmallProblem(64));
    trial.config = ReferenceConfig(block_m);
    trial.effort = Effort::kProbe;
    trial.time_us = 100.0 + static_cast<double>(block_m);
    records.push_back(NewRecord(trial));
  }
  records.push_back(NewRecord(MeasurementFor(SmallProblem(64))));  // the final of the last
  Measurement other = MeasurementFor(SmallProblem(128));
  other.effort = Effort::kProbe;
  records.push_back(NewRecord(other));
  OpenStore(a_, OpenMode::kReadWrite).value()->Append(records).value();

  const std::string t4 = Export(a_, {"--format", "t4", "--problem", ProblemKey(SmallProblem(64))});
  const CliResult replayed =
      RunCli(kReplayCommand, {"--trace", Write("t4.json", t4), "--strategy", "exhaustive",
                              "--repeats", "1", "--budgets", "3", "--json"});
  EXPECT_EQ(replayed.exit_code, 0) << replayed.err;
  EXPECT_THAT(replayed.out, HasSubstr("\"configs\": 3"));
  EXPECT_THAT(t4, HasSubstr("\"family\": \"reference\""));
  EXPECT_THAT(t4, HasSubstr("\"block_m\": 64"));

  const CliResult which = RunCli(kExportCommand, {"--db", a_, "--format", "t4"});
  EXPECT_EQ(which.exit_code, 1);
  EXPECT_THAT(which.err, HasSubstr(ProblemKey(SmallProblem(128)) + " on Fiction 100"));
  EXPECT_THAT(RunCli(kExportCommand, {"--db", a_, "--format", "t4", "--device-name", "x"}).err,
              HasSubstr("the database has no trials of any problem on 'x'"));
}

TEST_F(ImportExportTest, WhatDoesNotGoTogetherIsAUsageError) {
  const std::pair<std::vector<std::string>, std::string> cases[] = {
      {{"--format", "t5"}, "did you mean 't4'"},
      {{"--format", "t4", "--winners"}, "--winners is for"},
      {{"--problem", "x"}, "are for --format t4"},
      {{"--format", "t4", "--problem", "x"}, "expected OP/DTYPE"},
  };
  for (const auto& [arguments, error] : cases) {
    const CliResult result = RunCli(kExportCommand, arguments);
    EXPECT_EQ(result.exit_code, 2) << error;
    EXPECT_THAT(result.err, HasSubstr(error));
  }
}

TEST_F(ImportExportTest, ImportingTwiceAddsNothing) {
  MakeDatabase(a_, {WinnerFor(SmallProblem(64))});
  Import(b_, a_);
  EXPECT_THAT(Import(b_, a_).out, HasSubstr("0 of 1 records added"));
}

TEST_F(ImportExportTest, OnlyStandingWinnersAreShipped) {
  Winner better = WinnerFor(SmallProblem(64));
  better.time_us = 41;
  MakeDatabase(a_, {WinnerFor(SmallProblem(64)), better});
  Import(b_, Write("standing.txt", Export(a_, {"--winners"})));
  const ScanResult scan = OpenStore(b_, OpenMode::kReadOnly).value()->Scan(0).value();
  ASSERT_EQ(scan.records.size(), 1u);
  EXPECT_EQ(std::get<Winner>(scan.records[0].row).time_us, 41);
}

TEST_F(ImportExportTest, ATruncatedFileIsNamedAndNothingIsImported) {
  MakeDatabase(a_, {WinnerFor(SmallProblem(64)), WinnerFor(SmallProblem(128))});
  const std::string text = Export(a_);
  const CliResult result = Import(b_, Write("cut.txt", text.substr(0, text.size() * 3 / 4)));
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("cut.txt"));
  EXPECT_FALSE(OpenStore(b_, OpenMode::kReadOnly).ok()) << "the database was made all the same";
}

TEST_F(ImportExportTest, OneBadFileOfSeveralImportsNothing) {
  MakeDatabase(a_, {WinnerFor(SmallProblem(64))});
  const CliResult result =
      RunCli(kImportCommand, {"--db", b_, a_, Write("bad.txt", "neither text nor database\n")});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("bad.txt"));
  EXPECT_FALSE(OpenStore(b_, OpenMode::kReadOnly).ok());
}

TEST_F(ImportExportTest, TheFolderOfTheDefaultDatabaseIsMade) {
  MakeDatabase(a_, {WinnerFor(SmallProblem(64))});
  setenv("XDG_DATA_HOME", folder_.File("data").c_str(), 1);
  const CliResult result = RunCli(kImportCommand, {a_});
  unsetenv("XDG_DATA_HOME");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("1 of 1 records added"));
}

TEST_F(ImportExportTest, ADeviceIsNamedAsTheOtherCommandsTakeIt) {
  Measurement trial = MeasurementFor(SmallProblem(64));
  trial.device = FindKnownDevice("h200").value();
  trial.effort = Effort::kProbe;
  OpenStore(a_, OpenMode::kReadWrite).value()->Append({{NewRecord(trial)}}).value();
  EXPECT_EQ(Export(a_, {"--format", "t4", "--device-name", "h200"}),
            Export(a_, {"--format", "t4", "--device-name", "NVIDIA H200"}));
}

TEST_F(ImportExportTest, AMissingFileAFolderAndNoFileAreErrors) {
  const CliResult missing = Import(b_, folder_.File("none.txt"));
  EXPECT_EQ(missing.exit_code, 1);
  EXPECT_THAT(missing.err, HasSubstr("none.txt': No such file"));
  EXPECT_THAT(Import(b_, folder_.path()).err, HasSubstr("Is a directory"));
  EXPECT_EQ(RunCli(kImportCommand, {"--db", b_}).exit_code, 2);
}

}  // namespace
}  // namespace moetune
