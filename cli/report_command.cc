// report: what a database knows, as one page to look at.
#include <fstream>
#include <iostream>

#include "absl/strings/str_format.h"
#include "cli/command.h"
#include "cli/report_page.h"
#include "cli/shared_options.h"
#include "kernels/status_macros.h"

namespace moetune {
namespace {

absl::Status WriteReport(const std::string& path, const std::string& page) {
  std::ofstream file(path, std::ios::binary);
  file << page;
  if (file.flush()) return absl::OkStatus();
  return absl::PermissionDeniedError(absl::StrFormat("cannot write '%s'", path));
}

absl::StatusOr<int> Run(std::span<const std::string> arguments) {
  std::string db;
  std::string html;
  Options options(
      "moetune report --html FILE [--db FILE]",
      "Writes one HTML page that needs no network: the winners and their margins, a roofline, how "
      "the searches converged, what failed, how each winner does on the other problems, and the "
      "time against each parameter.");
  AddDatabaseOption(options, &db);
  options.Text("html", "FILE", &html, "the page to write");
  ASSIGN_OR_RETURN(const bool go_on, options.Parse(arguments));
  if (!go_on) return kExitOk;
  if (html.empty()) return UsageError("report: give --html FILE, the page to write");

  ASSIGN_OR_RETURN(const std::string path, DatabasePath(db));
  ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenStore(path, OpenMode::kReadOnly));
  ASSIGN_OR_RETURN(const ScanResult scan, store->Scan(0));
  RETURN_IF_ERROR(WriteReport(html, ReportPage(MakeReport(path, scan))));
  std::cout << html << "\n";
  return kExitOk;
}

}  // namespace

extern const Command kReportCommand;
const Command kReportCommand = {
    .name = "report",
    .summary = "what a database knows, as one page to look at",
    .run = Run,
};

}  // namespace moetune
