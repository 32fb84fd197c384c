#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>

#include "proto/client.h"
#include "tests/cli/run_cli.h"
#include "tests/testing/eventually.h"
#include "tests/testing/program.h"
#include "tests/testing/temp_folder.h"

namespace moetune {

extern const Command kServeCommand;

namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

class ServeTest : public ::testing::Test {
 protected:
  std::vector<std::string> Serve(const std::string& listen = "127.0.0.1:0") const {
    return {MOETUNE_PROGRAM, "serve", "--db", db_, "--listen", listen};
  }

  TempFolder folder_;
  const std::string db_ = folder_.File("moetune.db");
};

TEST_F(ServeTest, PrintsItsRealPortAndEndsCleanlyOnEitherSignal) {
  MakeDatabase(db_, {WinnerFor(SmallProblem(64))});
  for (int number : {SIGTERM, SIGINT}) {
    Program server(Serve());
    EXPECT_THAT(server.WaitForLine(), MatchesRegex("listening on 127.0.0.1:[1-9][0-9]+"));
    server.Signal(number);
    EXPECT_EQ(server.Wait(), 0) << server.err();
    EXPECT_EQ(server.err(), "");
  }
}

TEST_F(ServeTest, APortInUseIsOneClearLine) {
  MakeDatabase(db_, {});
  Program first(Serve());
  const std::string address = first.WaitForAddress();
  ASSERT_NE(address, "") << first.err();
  Program second(Serve(address));
  EXPECT_EQ(second.Wait(), 1);
  EXPECT_THAT(second.err(), MatchesRegex("moetune: [^\n]*" + address + "[^\n]*in use[^\n]*\n"));
  EXPECT_EQ(second.out(), "");
}

TEST_F(ServeTest, RowsWrittenBesideItAreServedWithinASecond) {
  const auto writer = OpenStore(db_, OpenMode::kReadWrite).value();
  Program server(Serve());
  const std::string address = server.WaitForAddress();
  ASSERT_NE(address, "") << server.err();
  const auto client = Client::Connect(address).value();
  ASSERT_EQ(client->ListWinners("").value().size(), 0u);
  ASSERT_TRUE(writer->Append(std::vector{NewRecord(WinnerFor(SmallProblem(64)))}).ok());
  EXPECT_TRUE(Eventually([&] { return client->ListWinners("").value().size() == 1; },
                         std::chrono::seconds(1)));
}

TEST_F(ServeTest, AMissingDatabaseIsNamedAndNotMade) {
  const CliResult result = RunCli(kServeCommand, {"--db", db_, "--listen", "127.0.0.1:0"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr(db_));
  EXPECT_FALSE(std::filesystem::exists(db_));
}

TEST_F(ServeTest, AFileThatIsNoDatabaseIsNamed) {
  WriteFile(db_, "this is a letter, and no database at all, however long it may be");
  const CliResult result = RunCli(kServeCommand, {"--db", db_, "--listen", "127.0.0.1:0"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr(db_));
}

TEST_F(ServeTest, AMalformedAddressCostsTwo) {
  MakeDatabase(db_, {});
  for (const char* listen : {"50151", "localhost", "127.0.0.1:99999"}) {
    const CliResult result = RunCli(kServeCommand, {"--db", db_, "--listen", listen});
    EXPECT_EQ(result.exit_code, 2) << listen;
    EXPECT_THAT(result.err, HasSubstr(listen));
  }
}

}  // namespace
}  // namespace moetune
