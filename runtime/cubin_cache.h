// Cubins on disk, by content of everything that made them. Safe for many processes at once: an
// entry appears by one atomic rename, and one that does not check is compiled again.
#ifndef MOETUNE_RUNTIME_CUBIN_CACHE_H_
#define MOETUNE_RUNTIME_CUBIN_CACHE_H_

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "runtime/compiler.h"

namespace moetune {

class CubinCache {
 public:
  // The folder is made when missing. Entries: FOLDER/KEY.cubin, facts included.
  static absl::StatusOr<CubinCache> Open(const std::filesystem::path& folder);

  std::optional<Cubin> Find(std::string_view key) const;
  absl::Status Put(std::string_view key, const Cubin& cubin) const;

  const std::filesystem::path& folder() const { return folder_; }

 private:
  explicit CubinCache(std::filesystem::path folder) : folder_(std::move(folder)) {}
  std::filesystem::path folder_;
};

// Fingerprint of the source, architecture and NVRTC version.
std::string CubinKey(const Source& source, std::string_view arch, std::string_view nvrtc_version);

// Find, else Compile and Put. A cache that cannot be written costs only the next compile.
absl::StatusOr<Cubin> CompileCached(const CubinCache& cache, const NvrtcApi& nvrtc,
                                    const Source& source, std::string_view arch);

}  // namespace moetune

#endif  // MOETUNE_RUNTIME_CUBIN_CACHE_H_
