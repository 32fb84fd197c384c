#include "db/database_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

#include "absl/strings/str_format.h"
#include "kernels/status_macros.h"

namespace moetune {
namespace {

// f_type of statfs(2), from the kernel's magic.h and the file systems' own sources.
struct FileSystemMagic {
  uint32_t magic;
  std::string_view name;
};
constexpr FileSystemMagic kMagics[] = {
    {0x00006969, "nfs"},    {0x0000517b, "smb"},  {0xff534d42, "cifs"},
    {0xfe534d42, "smb2"},   {0x5346414f, "afs"},  {0x00c36400, "ceph"},
    {0x0bd00bd0, "lustre"}, {0x47504653, "gpfs"}, {0x19830326, "beegfs"},
};
constexpr uint32_t kFuseMagic = 0x65735546;

// FUSE holds local file systems too; these are not.
constexpr std::array<std::string_view, 8> kNetworkFuse = {
    "fuse.sshfs", "fuse.glusterfs", "fuse.s3fs",    "fuse.rclone",
    "fuse.ceph",  "fuse.gcsfuse",   "fuse.juicefs", "fuse.nfs"};

// The type of a mounted FUSE file system, by its device number in /proc/self/mountinfo:
// "36 35 0:98 / /mnt/x rw - fuse.sshfs host:/x rw".
std::string FuseName(dev_t device) {
  const std::string number = absl::StrFormat("%d:%d", major(device), minor(device));
  std::ifstream mounts("/proc/self/mountinfo");
  std::string line;
  while (std::getline(mounts, line)) {
    std::istringstream words(line);
    std::string id, parent, mounted, word;
    words >> id >> parent >> mounted;
    if (mounted != number) continue;
    while (words >> word && word != "-") {
    }
    std::string type;
    words >> type;
    return type;
  }
  return "";
}

std::string FolderOf(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

// Whether the effective user may do it: 0, or the errno that says why not.
int Denied(const std::string& path, int access) {
  return faccessat(AT_FDCWD, path.c_str(), access, AT_EACCESS) == 0 ? 0 : errno;
}

std::string Reason(int error) { return std::generic_category().message(error); }

absl::Status CheckExisting(const std::string& path, const struct stat& file, OpenMode mode) {
  if (S_ISDIR(file.st_mode)) {
    return absl::InvalidArgumentError(absl::StrFormat("'%s' is a folder, not a database", path));
  }
  if (!S_ISREG(file.st_mode)) {
    return absl::InvalidArgumentError(absl::StrFormat("'%s' is not a regular file", path));
  }
  if (const int error = Denied(path, mode == OpenMode::kReadOnly ? R_OK : R_OK | W_OK)) {
    return absl::PermissionDeniedError(
        absl::StrFormat("database '%s' cannot be %s: %s", path,
                        mode == OpenMode::kReadOnly ? "read" : "written", Reason(error)));
  }
  return absl::OkStatus();
}

absl::Status CheckMissing(const std::string& path, OpenMode mode) {
  if (mode == OpenMode::kReadOnly) {
    return absl::NotFoundError(absl::StrFormat("no database at '%s'", path));
  }
  if (const int error = Denied(FolderOf(path), F_OK)) {
    return absl::NotFoundError(absl::StrFormat("cannot create database '%s': folder '%s': %s", path,
                                               FolderOf(path), Reason(error)));
  }
  return absl::OkStatus();
}

}  // namespace

std::string FileSystemName(const std::string& path) {
  struct statfs info {};
  if (statfs(path.c_str(), &info) != 0) return "";
  const auto magic = static_cast<uint32_t>(info.f_type);
  for (const FileSystemMagic& entry : kMagics) {
    if (entry.magic == magic) return std::string(entry.name);
  }
  struct stat file {};
  if (magic != kFuseMagic || stat(path.c_str(), &file) != 0) return "";
  return FuseName(file.st_dev);
}

bool IsNetworkFileSystem(std::string_view name) {
  return std::ranges::find(kMagics, name, &FileSystemMagic::name) != std::end(kMagics) ||
         std::ranges::find(kNetworkFuse, name) != kNetworkFuse.end();
}

absl::Status CheckDatabaseFile(const std::string& path, OpenMode mode,
                               std::string (*file_system)(const std::string& path)) {
  if (path.empty()) return absl::InvalidArgumentError("the path of the database is empty");
  struct stat file {};
  const bool exists = stat(path.c_str(), &file) == 0;
  if (!exists && errno != ENOENT) {
    return absl::InvalidArgumentError(absl::StrFormat("database '%s': %s", path, Reason(errno)));
  }
  RETURN_IF_ERROR(exists ? CheckExisting(path, file, mode) : CheckMissing(path, mode));

  const std::string folder = FolderOf(path);
  const std::string name = file_system(exists ? path : folder);
  if (IsNetworkFileSystem(name)) {
    return absl::FailedPreconditionError(
        absl::StrFormat("database '%s' lies on a network file system (%s), where its locks do not "
                        "hold; keep it on a local disk of one machine and ask it from others "
                        "through 'moetune serve'",
                        path, name));
  }
  if (mode == OpenMode::kReadOnly) return absl::OkStatus();
  if (const int error = Denied(folder, W_OK | X_OK)) {
    return absl::PermissionDeniedError(
        absl::StrFormat("database '%s' cannot be written: folder '%s', which must take its "
                        "write-ahead log: %s",
                        path, folder, Reason(error)));
  }
  return absl::OkStatus();
}

bool NeedsImmutable(const std::string& path) {
  // With a log that holds rows, SQLite must read it; without write permission it can as long as
  // some other process has it open, and else says that it cannot.
  return StampOf(path).log_bytes == 0 && Denied(FolderOf(path), W_OK | X_OK) != 0;
}

FileStamp StampOf(const std::string& path) {
  FileStamp stamp;
  struct stat file {};
  if (stat(path.c_str(), &file) == 0) {
    stamp.device = file.st_dev;
    stamp.inode = file.st_ino;
    stamp.bytes = file.st_size;
    stamp.modified_ns = file.st_mtim.tv_sec * int64_t{1'000'000'000} + file.st_mtim.tv_nsec;
  }
  if (stat((path + "-wal").c_str(), &file) == 0) stamp.log_bytes = file.st_size;
  return stamp;
}

bool IsReplaced(const std::string& path, const FileStamp& stamp) {
  const FileStamp now = StampOf(path);
  return now.inode != 0 && (now.device != stamp.device || now.inode != stamp.inode);
}

}  // namespace moetune
