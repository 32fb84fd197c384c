// The charts of a report, each as one or more SVG drawings; empty where there is nothing to draw.
#ifndef MOETUNE_CLI_REPORT_CHARTS_H_
#define MOETUNE_CLI_REPORT_CHARTS_H_

#include <string>
#include <vector>

#include "cli/report_data.h"

namespace moetune {

// The families of the winners and trials, sorted; the place in it is a family's colour and shape.
std::vector<std::string> FamilyNames(const DeviceReport& report);

// Flops over compulsory bytes, and flops over the time of the winner.
double Intensity(const Problem& problem);
double TflopsOf(const Problem& problem, double time_us);

// Each winner's TFLOP/s over its intensity, under the device's roof.
std::string RooflineChart(const DeviceReport& report);

// How far the best after so many trials is from the best after all, of every problem.
std::string OverviewChart(const DeviceReport& report);

// The trials of one problem in their order, and the best so far.
std::string ConvergenceChart(const ProblemReport& report);

// Time against each parameter of each family: the trials, and the best at each value.
std::string ParameterCharts(const ProblemReport& report);

}  // namespace moetune

#endif  // MOETUNE_CLI_REPORT_CHARTS_H_
