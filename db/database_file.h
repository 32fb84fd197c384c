// The file under a database, looked at before SQLite touches it: is it there, may it be used as
// asked, does it lie on a disk of this machine. SQLite's own errors for these say too little.
#ifndef MOETUNE_DB_DATABASE_FILE_H_
#define MOETUNE_DB_DATABASE_FILE_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "db/store.h"

namespace moetune {

// The kind of file system that holds an existing path: "nfs", "fuse.sshfs"; empty when it is none
// of the kinds that IsNetworkFileSystem knows.
std::string FileSystemName(const std::string& path);

// File systems shared between machines. SQLite's locks and shared memory do not work across them.
bool IsNetworkFileSystem(std::string_view name);

// OK when the database at `path` can be opened in this mode, as far as the file system can tell.
// `file_system` is FileSystemName, or a test's.
absl::Status CheckDatabaseFile(const std::string& path, OpenMode mode,
                               std::string (*file_system)(const std::string& path));

// Whether reading takes an immutable handle: SQLite must create files beside the database to read
// it while others may write, and this process may not create any. It is right as long as the
// FileStamp stays the same.
bool NeedsImmutable(const std::string& path);

// What tells one state of a database's files from another, without opening them.
struct FileStamp {
  uint64_t device = 0;  // of the file, with its inode: which file it is
  uint64_t inode = 0;
  int64_t bytes = 0;
  int64_t modified_ns = 0;
  int64_t log_bytes = 0;  // of the write-ahead log; 0 without one

  bool operator==(const FileStamp&) const = default;
};
FileStamp StampOf(const std::string& path);

// Whether there is another file at `path` than the one of the stamp. Where there is none, there is
// no other.
bool IsReplaced(const std::string& path, const FileStamp& stamp);

}  // namespace moetune

#endif  // MOETUNE_DB_DATABASE_FILE_H_
