// devices and doctor, which have to answer on a machine without GPU, driver or compiler too.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "runtime/driver.h"
#include "tests/cli/run_cli.h"
#include "tests/testing/temp_folder.h"

namespace moetune {

extern const Command kDevicesCommand;
extern const Command kDoctorCommand;

namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

TEST(DevicesCommand, AMachineWithoutAGpuIsNoError) {
  if (OpenDriver().ok()) GTEST_SKIP() << "this machine has a GPU";
  const CliResult text = RunCli(kDevicesCommand, {});
  EXPECT_EQ(text.exit_code, 0);
  EXPECT_EQ(text.out, "no CUDA device\n");
  EXPECT_EQ(Json::parse(RunCli(kDevicesCommand, {"--json"}).out), Json::array());
  EXPECT_EQ(RunCli(kDevicesCommand, {"--measure"}).out, "no CUDA device\n");
}

Json Finding(const Json& findings, const std::string& what) {
  for (const Json& finding : findings) {
    if (finding["what"] == what) return finding;
  }
  return {};
}

TEST(DoctorCommand, SaysWhatDoesNotWorkWithoutWhatIsMissing) {
  TempFolder folder;
  WriteFile(folder.File("a.db"), "hello");
  const CliResult result = RunCli(kDoctorCommand, {"--json", "--db", folder.File("a.db")});
  EXPECT_EQ(result.exit_code, 0);
  const Json findings = Json::parse(result.out);
  EXPECT_THAT(findings[0]["what"].get<std::string>(), ::testing::StartsWith("GPU"));
  EXPECT_FALSE(Finding(findings, "NVRTC").empty());
  EXPECT_EQ(Finding(findings, "database")["ok"], false);
  for (const Json& finding : findings) {
    EXPECT_EQ(finding["ok"].get<bool>(), finding["without"].get<std::string>().empty()) << finding;
  }
}

TEST(DoctorCommand, CountsWhatTheDatabaseHolds) {
  TempFolder folder;
  MakeDatabase(folder.File("a.db"), {WinnerFor(SmallProblem(64)), WinnerFor(SmallProblem(64))});
  const Json findings =
      Json::parse(RunCli(kDoctorCommand, {"--json", "--db", folder.File("a.db")}).out);
  EXPECT_THAT(Finding(findings, "database")["state"].get<std::string>(),
              HasSubstr("2 records, 1 winners"));
}

TEST(DoctorCommand, AFileThatIsNoDatabaseIsAFindingAndNoFailure) {
  TempFolder folder;
  std::ofstream(folder.File("a.db")) << "hello";
  const CliResult result = RunCli(kDoctorCommand, {"--db", folder.File("a.db")});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, HasSubstr("without it: no query"));
}

TEST(DoctorCommand, AnyLocationOfADatabaseIsAFindingAndNoFailure) {
  TempFolder folder;
  MakeDatabase(folder.File("a.db"), {WinnerFor(SmallProblem(64))});
  const auto state = [&](const std::string& location) {
    const CliResult result = RunCli(kDoctorCommand, {"--json", "--db", location});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return Finding(Json::parse(result.out), "database")["state"].get<std::string>();
  };
  EXPECT_THAT(state("sqlite:" + folder.File("a.db")), HasSubstr("1 records, 1 winners"));
  EXPECT_THAT(state("memory:"), HasSubstr("0 records"));
  EXPECT_THAT(state(folder.File(std::string(300, 'a'))), HasSubstr("File name too long"));
}

}  // namespace
}  // namespace moetune
