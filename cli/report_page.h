// A report as one HTML page that needs nothing else: no network, no other file.
#ifndef MOETUNE_CLI_REPORT_PAGE_H_
#define MOETUNE_CLI_REPORT_PAGE_H_

#include <string>
#include <string_view>

#include "cli/report_data.h"

namespace moetune {

std::string ReportPage(const Report& report);

// Its style sheet and script.
std::string_view ReportStyle();
std::string_view ReportScript();

}  // namespace moetune

#endif  // MOETUNE_CLI_REPORT_PAGE_H_
