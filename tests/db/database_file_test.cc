#include "db/database_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/testing/temp_folder.h"

namespace moetune {
namespace {

using ::testing::HasSubstr;

std::string Local(const std::string&) { return ""; }
std::string Nfs(const std::string&) { return "nfs"; }

TEST(DatabaseFile, NetworkFileSystemsAreKnownAndLocalOnesAllowed) {
  for (const char* name : {"nfs", "cifs", "smb2", "lustre", "fuse.sshfs", "fuse.glusterfs"}) {
    EXPECT_TRUE(IsNetworkFileSystem(name)) << name;
  }
  for (const char* name : {"", "ext4", "fuse.ntfs-3g", "fuse.overlayfs", "fuseblk"}) {
    EXPECT_FALSE(IsNetworkFileSystem(name)) << name;
  }
}

TEST(DatabaseFile, TheTemporaryFolderOfTheTestsIsLocal) {
  const TempFolder folder;
  EXPECT_FALSE(IsNetworkFileSystem(FileSystemName(folder.path())));
  EXPECT_EQ(FileSystemName(folder.File("missing")), "");
}

TEST(DatabaseFile, ANetworkFileSystemIsRefusedInBothModes) {
  const TempFolder folder;
  const std::string path = folder.File("a.db");
  EXPECT_EQ(CheckDatabaseFile(path, OpenMode::kReadWrite, Local), absl::OkStatus());
  const absl::Status status = CheckDatabaseFile(path, OpenMode::kReadWrite, Nfs);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr(path));
  EXPECT_THAT(std::string(status.message()), HasSubstr("nfs"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("moetune serve"));
  WriteFile(path, "");
  EXPECT_EQ(CheckDatabaseFile(path, OpenMode::kReadOnly, Nfs).code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(DatabaseFile, WhatIsNoFileIsRefusedByName) {
  const TempFolder folder;
  const auto check = [](const std::string& path, OpenMode mode) {
    return CheckDatabaseFile(path, mode, Local);
  };
  EXPECT_THAT(std::string(check(folder.path(), OpenMode::kReadWrite).message()),
              HasSubstr("is a folder, not a database"));
  EXPECT_THAT(std::string(check("/dev/null", OpenMode::kReadOnly).message()),
              HasSubstr("'/dev/null' is not a regular file"));
  EXPECT_THAT(std::string(check("", OpenMode::kReadWrite).message()), HasSubstr("empty"));
  EXPECT_EQ(check(folder.File("none.db"), OpenMode::kReadOnly).code(), absl::StatusCode::kNotFound);
  const absl::Status status = check(folder.File("none/a.db"), OpenMode::kReadWrite);
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr(folder.File("none")));
}

TEST(DatabaseFile, TheStampChangesWithTheFileAndWithItsLog) {
  const TempFolder folder;
  const std::string path = folder.File("a.db");
  WriteFile(path, "1");
  const FileStamp first = StampOf(path);
  EXPECT_EQ(StampOf(path), first);
  WriteFile(path, "22");
  const FileStamp second = StampOf(path);
  EXPECT_NE(second, first);
  WriteFile(path + "-wal", "x");
  EXPECT_NE(StampOf(path), second);
}

TEST(DatabaseFile, AFileIsReplacedByAnotherOfTheSameName) {
  const TempFolder folder;
  const std::string path = folder.File("a.db");
  WriteFile(path, "1");
  const FileStamp stamp = StampOf(path);
  WriteFile(path, "22");
  EXPECT_FALSE(IsReplaced(path, stamp));
  WriteFile(path + ".new", "1");
  std::filesystem::rename(path + ".new", path);
  EXPECT_TRUE(IsReplaced(path, stamp));
  std::filesystem::remove(path);
  EXPECT_FALSE(IsReplaced(path, stamp));
}

}  // namespace
}  // namespace moetune
