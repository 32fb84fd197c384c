#include "runtime/cubin_cache.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <system_error>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "db/record.h"
#include "kernels/sha256.h"
#include "kernels/status_macros.h"

namespace moetune {
namespace {

// An entry: this word, the hex SHA-256 of all that follows its line, a line of facts, the image.
constexpr std::string_view kFormat = "moetune-cubin-1 ";
constexpr size_t kHeaderBytes = kFormat.size() + 64 + 1;

std::string EncodeEntry(const Cubin& cubin) {
  const KernelFacts& f = cubin.facts;
  const std::string body =
      absl::StrFormat("%d %d %d %d %d %d\n%s", f.registers, f.static_shared_bytes, f.stack_bytes,
                      f.spill_bytes, f.wgmma_serialised ? 1 : 0, f.resident_ctas, cubin.image);
  return absl::StrFormat("%s%s\n%s", kFormat, Sha256Hex(body), body);
}

std::optional<Cubin> DecodeEntry(std::string_view entry) {
  if (entry.size() <= kHeaderBytes || !entry.starts_with(kFormat)) return std::nullopt;
  if (entry[kHeaderBytes - 1] != '\n') return std::nullopt;
  const std::string_view checksum = entry.substr(kFormat.size(), 64);
  const std::string_view body = entry.substr(kHeaderBytes);
  const size_t facts_end = body.find('\n');
  if (Sha256Hex(body) != checksum || facts_end == std::string_view::npos) return std::nullopt;

  Cubin cubin;
  KernelFacts& f = cubin.facts;
  std::istringstream facts{std::string(body.substr(0, facts_end))};
  facts >> f.registers >> f.static_shared_bytes >> f.stack_bytes >> f.spill_bytes >>
      f.wgmma_serialised >> f.resident_ctas;
  if (!facts) return std::nullopt;
  cubin.image = body.substr(facts_end + 1);
  cubin.sha256 = Sha256Hex(cubin.image);
  return cubin;
}

absl::Status FileError(std::string_view action, const std::filesystem::path& path, int error) {
  return absl::ErrnoToStatus(error, absl::StrFormat("cannot %s %s", action, path.string()));
}

bool WriteAll(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return fsync(file) == 0;
}

// Under its final name a file is whole or not there, whatever is killed and whoever writes beside
// us.
absl::Status WriteWhole(const std::filesystem::path& path, std::string_view bytes) {
  const std::filesystem::path temporary = path.string() + "." + NewUuid() + ".tmp";
  const int file = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (file < 0) return FileError("create", temporary, errno);
  const bool written = WriteAll(file, bytes);
  const int error = errno;
  close(file);
  if (written && rename(temporary.c_str(), path.c_str()) == 0) return absl::OkStatus();
  const absl::Status status = FileError("write", path, written ? errno : error);
  unlink(temporary.c_str());
  return status;
}

std::filesystem::path EntryPath(const std::filesystem::path& folder, std::string_view key) {
  return folder / (std::string(key) + ".cubin");
}

}  // namespace

absl::StatusOr<CubinCache> CubinCache::Open(const std::filesystem::path& folder) {
  if (folder.empty()) return absl::InvalidArgumentError("the cubin folder has no name");
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  std::error_code unreadable;
  if (!std::filesystem::is_directory(folder, unreadable)) {
    return FileError("make the cubin folder", folder, error ? error.value() : ENOTDIR);
  }
  return CubinCache(folder);
}

std::optional<Cubin> CubinCache::Find(std::string_view key) const {
  std::ifstream file(EntryPath(folder_, key), std::ios::binary);
  if (!file) return std::nullopt;
  const std::string entry{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  return DecodeEntry(entry);
}

absl::Status CubinCache::Put(std::string_view key, const Cubin& cubin) const {
  return WriteWhole(EntryPath(folder_, key), EncodeEntry(cubin));
}

std::string CubinKey(const Source& source, std::string_view arch, std::string_view nvrtc_version) {
  return Sha256Hex(absl::StrFormat("%s\n%s\n%s\n%s", source.path, source.fingerprint, nvrtc_version,
                                   absl::StrJoin(CompilerOptions(source, arch), "\n")));
}

absl::StatusOr<Cubin> CompileCached(const CubinCache& cache, const NvrtcApi& nvrtc,
                                    const Source& source, std::string_view arch) {
  const std::string key = CubinKey(source, arch, NvrtcVersionText(nvrtc));
  if (std::optional<Cubin> cubin = cache.Find(key)) return *std::move(cubin);
  ASSIGN_OR_RETURN(Cubin cubin, Compile(nvrtc, source, arch));
  cache.Put(key, cubin).IgnoreError();
  return cubin;
}

}  // namespace moetune
