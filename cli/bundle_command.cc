// bundle: the winners of a model and their cubins in one folder, to be copied to where they run.
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <map>

#include "absl/strings/str_format.h"
#include "cli/command.h"
#include "cli/shared_options.h"
#include "cli/stale_here.h"
#include "kernels/registry.h"
#include "kernels/source.h"
#include "kernels/status_macros.h"
#include "runtime/cubin_cache.h"
#include "tuner/model.h"
#include "tuner/service/device_choice.h"

namespace moetune {
namespace {

namespace fs = std::filesystem;

struct BundleOptions {
  std::string db;
  std::string model;
  std::string out;
  std::string device_name;
  std::string cubins;
};

// As they stand in the database, so that a bundle merged back adds nothing.
absl::StatusOr<std::vector<Record>> WinnersOfModel(const BundleOptions& bundle,
                                                   const Model& model) {
  ASSIGN_OR_RETURN(const std::shared_ptr<const Snapshot> snapshot, ReadSnapshot(bundle.db));
  std::string device;
  if (!bundle.device_name.empty()) {
    ASSIGN_OR_RETURN(const DeviceSpec chosen, ChooseDevice(bundle.device_name, *snapshot));
    device = chosen.name;
  }
  std::vector<Record> records;
  for (const std::shared_ptr<const Winner>& winner : snapshot->Winners()) {
    if (!IsOfModel(winner->problem.shape, model)) continue;
    if (!device.empty() && winner->device.name != device) continue;
    for (const WinnerRow& row : snapshot->History(winner->problem)) {
      if (row.winner == winner) records.push_back({.uuid = row.uuid, .row = *winner});
    }
  }
  if (!records.empty()) return records;
  return absl::NotFoundError(
      absl::StrFormat("no winners of %s%s; `moetune list` shows what there is", model.name,
                      device.empty() ? "" : " on " + device));
}

// The cubin that was timed, or what the same compiler makes of this program's source: that of
// another compiler would not be what the winner's times are of.
absl::StatusOr<Cubin> FindCubin(const CubinCache& cache, const Winner& winner, const Source& source,
                                const std::string& arch) {
  const std::string& version = winner.environment.nvrtc;
  if (std::optional<Cubin> cubin = cache.Find(CubinKey(source, arch, version))) {
    return *std::move(cubin);
  }
  const absl::StatusOr<const NvrtcApi*> nvrtc = OpenNvrtc();
  if (nvrtc.ok() && NvrtcVersionText(**nvrtc) == version) return Compile(**nvrtc, source, arch);
  return absl::FailedPreconditionError(
      absl::StrFormat("the kernel of %s (%s %s) is not in '%s', and NVRTC %s, which made it, is "
                      "not here: bundle on the machine that tuned it, or give --cubins",
                      ProblemKey(winner.problem), winner.family, winner.config.Text(),
                      cache.folder().string(), version));
}

// Returns how many there are: one serves every size of its op, dtypes and fusions, and configs that
// differ in what is given at launch alone.
absl::StatusOr<size_t> CopyCubins(const std::vector<Record>& records, const CubinCache& from,
                                  const CubinCache& to) {
  std::map<std::string, const Winner*> by_key;
  for (const Record& record : records) {
    const auto& winner = std::get<Winner>(record.row);
    ASSIGN_OR_RETURN(const Family* family, FindFamily(winner.family));
    const Source source = MakeSource(winner.problem.shape, {family, winner.config});
    const std::string arch = ArchName(winner.device.compute_capability);
    const std::string key = CubinKey(source, arch, winner.environment.nvrtc);
    if (!by_key.emplace(key, &winner).second) continue;
    ASSIGN_OR_RETURN(const Cubin cubin, FindCubin(from, winner, source, arch));
    RETURN_IF_ERROR(to.Put(key, cubin));
  }
  return by_key.size();
}

absl::StatusOr<size_t> FillFolder(const std::vector<Record>& records, const CubinCache& from,
                                  const fs::path& folder) {
  ASSIGN_OR_RETURN(const CubinCache to, CubinCache::Open(folder / "cubins"));
  ASSIGN_OR_RETURN(const std::unique_ptr<Store> store,
                   OpenStore((folder / "moetune.db").string(), OpenMode::kReadWrite));
  RETURN_IF_ERROR(store->Append(records).status());
  RETURN_IF_ERROR(store->Close());
  return CopyCubins(records, from, to);
}

// Whole under its name, or not there.
absl::StatusOr<size_t> MakeBundle(const std::vector<Record>& records, const CubinCache& from,
                                  const std::string& out) {
  std::error_code unreadable;
  if (fs::exists(out, unreadable)) {
    return absl::AlreadyExistsError(absl::StrFormat("'%s' exists already; name a new folder", out));
  }
  const fs::path unfinished = out + "." + NewUuid() + ".tmp";
  absl::StatusOr<size_t> cubins = FillFolder(records, from, unfinished);
  std::error_code error;
  if (cubins.ok()) fs::rename(unfinished, out, error);
  if (cubins.ok() && !error) return cubins;
  std::error_code ignored;
  fs::remove_all(unfinished, ignored);
  if (!cubins.ok()) return cubins;
  return absl::PermissionDeniedError(
      absl::StrFormat("cannot make the folder '%s': %s", out, error.message()));
}

// A winner whose kernel has changed since is bundled as it is now: right, but not as it was timed.
void PrintStale(const std::vector<Record>& records, std::ostream& out) {
  const auto stale = std::ranges::count_if(records, [](const Record& record) {
    return !StaleHere(std::get<Winner>(record.row), /*for_this_machine=*/false).empty();
  });
  if (stale == 0) return;
  out << absl::StrFormat("note: the kernels of %d winners have changed since they were measured\n",
                         stale);
}

absl::StatusOr<int> Run(std::span<const std::string> arguments) {
  BundleOptions bundle;
  Options options(
      "moetune bundle --model NAME --out FOLDER [OPTION...]",
      "Writes the winners of a model and their compiled kernels into a new folder. A runtime opens "
      "FOLDER/moetune.db with FOLDER/cubins and needs no compiler; `moetune serve` and `merge` "
      "take the database as any other. Winners of ranks that hold a share of the experts are "
      "included.");
  AddDatabaseOption(options, &bundle.db);
  options.Text("model", "NAME", &bundle.model, "the model, as `tune` knows it");
  options.Text("out", "FOLDER", &bundle.out, "the folder to make");
  options.Text("device-name", "NAME", &bundle.device_name, "only winners on this device");
  AddCubinFolderOption(options, &bundle.cubins);
  ASSIGN_OR_RETURN(const bool go_on, options.Parse(arguments));
  if (!go_on) return kExitOk;
  if (bundle.model.empty() || bundle.out.empty()) {
    return UsageError("bundle: give --model NAME and --out FOLDER");
  }
  const absl::StatusOr<Model> model = FindModel(bundle.model);
  if (!model.ok()) return UsageError(model.status());

  // What is not finished stands beside the folder, not in it.
  while (bundle.out.size() > 1 && bundle.out.ends_with('/')) bundle.out.pop_back();

  ASSIGN_OR_RETURN(const std::vector<Record> records, WinnersOfModel(bundle, *model));
  ASSIGN_OR_RETURN(const std::string folder, CubinFolder(bundle.cubins));
  ASSIGN_OR_RETURN(const CubinCache cache, CubinCache::Open(folder));
  ASSIGN_OR_RETURN(const size_t cubins, MakeBundle(records, cache, bundle.out));
  std::cout << absl::StrFormat("%d winners and %d cubins in %s\n", records.size(), cubins,
                               bundle.out);
  PrintStale(records, std::cerr);
  return kExitOk;
}

}  // namespace

extern const Command kBundleCommand;
const Command kBundleCommand = {
    .name = "bundle",
    .summary = "the winners of a model and their cubins in one folder",
    .run = Run,
};

}  // namespace moetune
