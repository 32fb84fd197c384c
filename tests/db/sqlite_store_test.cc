#include "db/sqlite_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <thread>

#include "db/sqlite.h"
#include "tests/testing/records.h"
#include "tests/testing/temp_folder.h"

namespace moetune {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::unique_ptr<Store> Open(const std::string& path, OpenMode mode = OpenMode::kReadWrite) {
  return OpenSqliteStore(path, mode).value();
}

std::string OpenError(const std::string& path, OpenMode mode, const SqliteOptions& options = {}) {
  return OpenSqliteStore(path, mode, options).status().ToString();
}

// Runs `body` in a child process; its exit status, or minus the signal that ended it.
template <typename Body>
int InChild(Body body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

// Nobody who is not root may write in the folder, and this process is not root, while it lives.
class ReadOnlyFolder {
 public:
  explicit ReadOnlyFolder(const TempFolder& folder) : path_(folder.path()), root_(geteuid() == 0) {
    std::filesystem::permissions(path_, std::filesystem::perms(0555));
    constexpr uid_t kNobody = 65534;
    if (root_ && seteuid(kNobody) != 0) ADD_FAILURE() << "seteuid";
  }
  ~ReadOnlyFolder() {
    if (root_ && seteuid(0) != 0) ADD_FAILURE() << "seteuid";
    std::filesystem::permissions(path_, std::filesystem::perms(0755));
  }

 private:
  const std::string path_;
  const bool root_;
};

class SqliteStoreTest : public ::testing::Test {
 protected:
  TempFolder folder_;
  std::string path_ = folder_.File("a.db");
};

TEST_F(SqliteStoreTest, RowsAndTheIdOutliveTheStore) {
  const std::vector<Record> records = ManyWinners(3);
  std::string id;
  {
    const auto store = Open(path_);
    ASSERT_TRUE(store->Append(records).ok());
    id = store->Scan(0)->database_id;
  }
  const ScanResult result = Open(path_, OpenMode::kReadOnly)->Scan(0).value();
  EXPECT_EQ(result.database_id, id);
  EXPECT_EQ(result.last_sequence, 3);
  EXPECT_EQ(std::get<Winner>(result.records[2].row), std::get<Winner>(records[2].row));
}

TEST_F(SqliteStoreTest, AScanSeesWhatAnotherConnectionAppended) {
  const auto reader = Open(path_);
  const auto writer = Open(path_);
  EXPECT_EQ(reader->Scan(0)->last_sequence, 0);
  ASSERT_TRUE(writer->Append(ManyWinners(2)).ok());
  EXPECT_EQ(reader->Scan(0)->records.size(), 2u);
  EXPECT_EQ(reader->Scan(2)->records.size(), 0u);
  ASSERT_TRUE(writer->Append(ManyWinners(1)).ok());
  EXPECT_EQ(reader->Scan(2)->records.size(), 1u);
}

TEST_F(SqliteStoreTest, ValuesThatRowsShareAreStoredOnce) {
  const auto store = Open(path_);
  std::vector<Record> batch;
  for (int i = 0; i < 10; ++i) batch.push_back(NewRecord(MeasurementFor(SmallProblem(16))));
  batch.push_back(NewRecord(WinnerFor(SmallProblem(32))));
  ASSERT_TRUE(store->Append(batch).ok());
  auto database = sqlite::Database::Open(path_, sqlite::Access::kReadOnly).value();
  EXPECT_EQ(database.QueryInteger("SELECT count(*) FROM device").value(), 1);
  EXPECT_EQ(database.QueryInteger("SELECT count(*) FROM environment").value(), 1);
  EXPECT_EQ(database.QueryInteger("SELECT count(*) FROM problem").value(), 2);
  EXPECT_EQ(database.QueryInteger("SELECT count(*) FROM config").value(), 2);
}

TEST_F(SqliteStoreTest, SqlAnswersQuestionsFromTheColumns) {
  const auto store = Open(path_);
  Measurement slow = MeasurementFor(SmallProblem(16));
  slow.time_us = 80;
  ASSERT_TRUE(
      store
          ->Append(std::vector<Record>{NewRecord(slow), NewRecord(MeasurementFor(SmallProblem(16))),
                                       NewRecord(MeasurementFor(SmallProblem(4096)))})
          .ok());
  auto database = sqlite::Database::Open(path_, sqlite::Access::kReadOnly).value();
  EXPECT_EQ(database
                .QueryInteger("SELECT max(m.time_us) FROM measurement AS m "
                              "JOIN problem AS p ON p.id = m.problem "
                              "JOIN device AS d ON d.id = m.device "
                              "WHERE p.tokens < 100 AND p.n = 1024 AND d.name = 'Fiction 100'")
                .value(),
            80);
}

TEST_F(SqliteStoreTest, TheFileIsInWalModeAndPassesSqlitesOwnChecks) {
  const auto store = Open(path_);
  ASSERT_TRUE(store->Append(ManyWinners(50)).ok());
  auto database = sqlite::Database::Open(path_, sqlite::Access::kReadOnly).value();
  auto mode = database.Prepare("PRAGMA journal_mode").value();
  ASSERT_TRUE(mode.Step().value());
  EXPECT_EQ(mode.Text(0), "wal");
  auto check = database.Prepare("PRAGMA integrity_check").value();
  ASSERT_TRUE(check.Step().value());
  EXPECT_EQ(check.Text(0), "ok");
  auto broken = database.Prepare("PRAGMA foreign_key_check").value();
  EXPECT_FALSE(broken.Step().value());
}

TEST_F(SqliteStoreTest, AFailedAppendLeavesTheLogAsItWas) {
  ASSERT_TRUE(Open(path_)->Append(ManyWinners(2)).ok());
  // A limit on the size of files stands for a disk that fills up in the middle of a batch.
  EXPECT_EQ(InChild([&] {
              const auto store = Open(path_);
              signal(SIGXFSZ, SIG_IGN);
              const rlimit limit = {1 << 18, 1 << 18};
              setrlimit(RLIMIT_FSIZE, &limit);
              if (store->Append(ManyWinners(5000)).ok()) return 1;
              if (store->Scan(0)->last_sequence != 2) return 2;
              return store->Append(ManyWinners(1)).value() == 1 ? 0 : 3;
            }),
            0);
  EXPECT_EQ(Open(path_)->Scan(0)->last_sequence, 3);
}

TEST_F(SqliteStoreTest, AKilledWriterLeavesWholeBatches) {
  Open(path_);
  for (int round = 0; round < 3; ++round) {
    const pid_t child = fork();
    if (child == 0) {
      const auto store = Open(path_);
      while (store->Append(ManyWinners(3)).ok()) {
      }
      _exit(1);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(60));
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status));
    const ScanResult result = Open(path_)->Scan(0).value();
    EXPECT_EQ(result.records.size() % 3, 0u);
    EXPECT_EQ(result.last_sequence, static_cast<int64_t>(result.records.size()));
  }
  EXPECT_GT(Open(path_)->Scan(0)->last_sequence, 0);
}

TEST_F(SqliteStoreTest, ManyProcessesMayCreateAndWriteOneDatabaseAtOnce) {
  constexpr int kProcesses = 16;
  for (int i = 0; i < kProcesses; ++i) {
    if (fork() == 0) {
      absl::StatusOr<std::unique_ptr<Store>> store = OpenSqliteStore(path_, OpenMode::kReadWrite);
      if (!store.ok()) _exit(1);
      for (int j = 0; j < 5; ++j) {
        if (!(*store)->Append(ManyWinners(1)).ok()) _exit(2);
      }
      store->reset();
      _exit(0);
    }
  }
  for (int i = 0; i < kProcesses; ++i) {
    int status = 0;
    wait(&status);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(Open(path_)->Scan(0)->records.size(), size_t{kProcesses * 5});
}

TEST_F(SqliteStoreTest, ALockThatStaysHeldIsWaitedForOnce) {
  Open(path_);
  // Not in WAL mode, and being read: who opens it for writing must wait to change the mode.
  auto holder = sqlite::Database::Open(path_, sqlite::Access::kReadWrite).value();
  const char* read = "PRAGMA journal_mode = DELETE; BEGIN; SELECT count(*) FROM log";
  ASSERT_TRUE(holder.Execute(read).ok());
  const auto start = std::chrono::steady_clock::now();
  const absl::Status status =
      OpenSqliteStore(path_, OpenMode::kReadWrite, {.busy_timeout_ms = 300}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(3));
}

TEST_F(SqliteStoreTest, AReadOnlyStoreTakesNoRows) {
  Open(path_);
  const absl::Status status = Open(path_, OpenMode::kReadOnly)->Append(ManyWinners(1)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(path_), HasSubstr("read-only")));
}

TEST_F(SqliteStoreTest, AMissingFileIsCreatedOnlyForWriting) {
  EXPECT_THAT(OpenError(path_, OpenMode::kReadOnly),
              AllOf(HasSubstr("NOT_FOUND"), HasSubstr("no database at '" + path_ + "'")));
  EXPECT_FALSE(std::filesystem::exists(path_));
  EXPECT_EQ(OpenError(path_, OpenMode::kReadWrite), "OK");
  EXPECT_EQ(OpenError(path_, OpenMode::kReadOnly), "OK");
}

TEST_F(SqliteStoreTest, AnEmptyFileBecomesADatabaseOnlyForWriting) {
  WriteFile(path_, "");
  EXPECT_THAT(OpenError(path_, OpenMode::kReadOnly),
              HasSubstr("'" + path_ + "' is not a moetune database: it is empty"));
  EXPECT_EQ(OpenError(path_, OpenMode::kReadWrite), "OK");
}

TEST_F(SqliteStoreTest, AFileThatIsNoDatabaseIsRefusedAndLeftAlone) {
  for (const std::string& bytes : {std::string("hello\n"), std::string(100'000, 'x'),
                                   std::string("moetune records 2\n\nend 0\n")}) {
    WriteFile(path_, bytes);
    for (const OpenMode mode : {OpenMode::kReadOnly, OpenMode::kReadWrite}) {
      EXPECT_THAT(OpenError(path_, mode),
                  HasSubstr("'" + path_ + "' is not a moetune database: it is no SQLite file"));
    }
    EXPECT_EQ(ReadFile(path_), bytes);
  }
}

TEST_F(SqliteStoreTest, AnotherApplicationsDatabaseIsRefusedAndLeftAlone) {
  for (const char* sql : {"CREATE TABLE notes (text TEXT)",
                          "PRAGMA application_id = 252006; CREATE TABLE t (x INTEGER)"}) {
    std::filesystem::remove(path_);
    ASSERT_TRUE(sqlite::Database::Open(path_, sqlite::Access::kReadWrite)->Execute(sql).ok());
    const std::string bytes = ReadFile(path_);
    for (const OpenMode mode : {OpenMode::kReadOnly, OpenMode::kReadWrite}) {
      EXPECT_THAT(OpenError(path_, mode),
                  HasSubstr("is not a moetune database: it is a SQLite file of another"));
    }
    EXPECT_EQ(ReadFile(path_), bytes);
    EXPECT_FALSE(std::filesystem::exists(path_ + "-wal"));
  }
}

TEST_F(SqliteStoreTest, ADamagedFileIsReportedAsSuch) {
  ASSERT_TRUE(Open(path_)->Append(ManyWinners(500)).ok());
  const std::string bytes = ReadFile(path_);
  std::string garbage = bytes;
  std::fill(garbage.begin() + 8192, garbage.end(), '\xaa');
  for (const std::string& damaged : {garbage, bytes.substr(0, bytes.size() / 2)}) {
    WriteFile(path_, damaged);
    absl::StatusOr<std::unique_ptr<Store>> store = OpenSqliteStore(path_, OpenMode::kReadOnly);
    const absl::Status status = store.ok() ? (*store)->Scan(0).status() : store.status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
    EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(path_), HasSubstr("malformed")));
  }
}

TEST_F(SqliteStoreTest, ARowThatThisProgramCannotReadIsNamed) {
  ASSERT_TRUE(Open(path_)->Append(ManyWinners(2)).ok());
  ASSERT_TRUE(sqlite::Database::Open(path_, sqlite::Access::kReadWrite)
                  ->Execute("UPDATE problem SET key = 'backward' || substr(key, 8) WHERE id = 2")
                  .ok());
  const absl::Status status = Open(path_)->Scan(0).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("row 2: problem"), HasSubstr("unknown op 'backward'")));
}

TEST_F(SqliteStoreTest, AReaderNoticesThatAnotherDatabaseTookThePlace) {
  const std::string other = folder_.File("other.db");
  ASSERT_TRUE(Open(path_)->Append(ManyWinners(2)).ok());
  ASSERT_TRUE(Open(other)->Append(ManyWinners(3)).ok());
  const auto reader = Open(path_, OpenMode::kReadOnly);
  ASSERT_EQ(reader->Scan(0)->last_sequence, 2);
  const std::string kept = folder_.File("kept.db");
  std::filesystem::rename(path_, kept);
  EXPECT_TRUE(reader->Scan(2).ok());  // none took it yet
  std::filesystem::rename(other, path_);
  for (int i = 0; i < 2; ++i) {
    const absl::Status status = reader->Scan(2).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("'" + path_ + "' was replaced"));
  }
  std::filesystem::rename(kept, path_);
  EXPECT_TRUE(reader->Scan(2).ok());
}

TEST_F(SqliteStoreTest, AReaderDoesNotGoOnWithACopyOfItsDatabase) {
  const std::string copy = folder_.File("copy.db");
  ASSERT_TRUE(Open(path_)->Append(ManyWinners(2)).ok());
  for (const bool in_read_only_folder : {false, true}) {
    std::filesystem::copy_file(path_, copy);
    ASSERT_TRUE(Open(copy)->Append(ManyWinners(3)).ok());
    std::optional<ReadOnlyFolder> guard;
    if (in_read_only_folder) guard.emplace(folder_);
    const auto reader = Open(path_, OpenMode::kReadOnly);
    const int64_t end = reader->Scan(0)->last_sequence;
    guard.reset();
    std::filesystem::rename(copy, path_);
    if (in_read_only_folder) guard.emplace(folder_);
    EXPECT_THAT(std::string(reader->Scan(end).status().message()),
                HasSubstr("was replaced by another file"));
    EXPECT_EQ(Open(path_, OpenMode::kReadOnly)->Scan(0)->last_sequence, end + 3);
  }
}

TEST_F(SqliteStoreTest, NobodyGoesOnWithAReplacedFileThatTheOldLogLiesBeside) {
  const std::string copy = folder_.File("copy.db");
  auto writer = Open(path_);
  ASSERT_TRUE(writer->Append(ManyWinners(2)).ok());
  auto reader = Open(path_, OpenMode::kReadOnly);
  Open(copy);
  ASSERT_GT(std::filesystem::file_size(path_ + "-wal"), 0u);
  const std::string bytes = ReadFile(copy);
  std::filesystem::rename(copy, path_);
  for (const absl::Status& status : {reader->Scan(0).status(), writer->Scan(0).status(),
                                     writer->Append(ManyWinners(1)).status()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("was replaced by another file"));
  }
  reader.reset();
  writer.reset();
  EXPECT_EQ(ReadFile(path_), bytes);
}

TEST_F(SqliteStoreTest, ANetworkFileSystemIsRefusedBeforeAnythingIsCreated) {
  const SqliteOptions options = {
      .file_system = [](const std::string&) { return std::string("nfs"); }};
  EXPECT_THAT(OpenError(path_, OpenMode::kReadWrite, options), HasSubstr("network file system"));
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(SqliteStoreTest, ALinkIsFollowed) {
  const TempFolder other;
  const auto store = Open(path_);
  ASSERT_TRUE(store->Append(ManyWinners(1)).ok());
  std::filesystem::create_symlink(path_, other.File("link.db"));
  EXPECT_EQ(Open(other.File("link.db"))->Scan(0)->last_sequence, 1);
}

TEST_F(SqliteStoreTest, AReadOnlyFolderIsReadableAndNotWritable) {
  ASSERT_TRUE(Open(path_)->Append(ManyWinners(2)).ok());
  const ReadOnlyFolder guard(folder_);
  EXPECT_EQ(Open(path_, OpenMode::kReadOnly)->Scan(0)->records.size(), 2u);
  EXPECT_THAT(OpenError(path_, OpenMode::kReadWrite),
              AllOf(HasSubstr("PERMISSION_DENIED"), HasSubstr("cannot be written"),
                    HasSubstr("Permission denied")));
}

TEST_F(SqliteStoreTest, AReaderInAReadOnlyFolderSeesWhatAnotherUserWrites) {
  ASSERT_TRUE(Open(path_)->Append(ManyWinners(2)).ok());
  std::unique_ptr<Store> reader;
  {
    const ReadOnlyFolder guard(folder_);
    reader = Open(path_, OpenMode::kReadOnly);
    EXPECT_EQ(reader->Scan(0)->last_sequence, 2);
  }
  // The writer is another process: it holds its log open, then is gone.
  EXPECT_EQ(InChild([&] { return Open(path_)->Append(ManyWinners(3)).value() == 3 ? 0 : 1; }), 0);
  const ReadOnlyFolder guard(folder_);
  EXPECT_EQ(reader->Scan(2)->records.size(), 3u);
}

TEST_F(SqliteStoreTest, ALogLeftByACrashInAReadOnlyFolderIsReadOrExplained) {
  ASSERT_EQ(InChild([&] {
              auto store = Open(path_);
              const bool ok = store->Append(ManyWinners(2)).ok();
              [[maybe_unused]] Store* never_closed = store.release();
              return ok ? 0 : 1;
            }),
            0);
  ASSERT_GT(std::filesystem::file_size(path_ + "-wal"), 0u);
  {
    const ReadOnlyFolder guard(folder_);
    EXPECT_EQ(Open(path_, OpenMode::kReadOnly)->Scan(0)->records.size(), 2u);
  }
  std::filesystem::remove(path_ + "-shm");
  const ReadOnlyFolder guard(folder_);
  EXPECT_THAT(OpenError(path_, OpenMode::kReadOnly),
              AllOf(HasSubstr("PERMISSION_DENIED"), HasSubstr(path_ + "-wal")));
}

}  // namespace
}  // namespace moetune
