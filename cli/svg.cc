#include "cli/svg.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "absl/strings/str_format.h"

namespace moetune {

std::string EscapeHtml(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

std::string NumberText(double value) {
  if (value >= 1e6) return absl::StrFormat("%.3gM", value / 1e6);
  if (value >= 1e4) return absl::StrFormat("%.3gk", value / 1e3);
  return value >= 1000 ? absl::StrFormat("%.0f", value) : absl::StrFormat("%.3g", value);
}

double Scale::operator()(double value) const {
  const double clamped = std::clamp(value, low, high);
  const double share =
      log ? std::log(clamped / low) / std::log(high / low) : (clamped - low) / (high - low);
  return from + share * (to - from);
}

std::vector<double> Scale::Ticks(int count) const {
  std::vector<double> ticks;
  if (log) {
    for (double decade = std::pow(10, std::floor(std::log10(low))); decade <= high; decade *= 10) {
      for (const double digit : {1.0, 2.0, 5.0}) {
        const double tick = digit * decade;
        if (tick >= low * 0.999 && tick <= high * 1.001) ticks.push_back(tick);
      }
    }
    const size_t every = (ticks.size() + static_cast<size_t>(count) - 1) / count;
    std::vector<double> thinned;
    for (size_t i = 0; i < ticks.size(); i += every) thinned.push_back(ticks[i]);
    return thinned;
  }
  const double rough = (high - low) / count;
  const double decade = std::pow(10, std::floor(std::log10(rough)));
  const double digit = rough / decade;
  const double step = decade * (digit <= 1 ? 1 : digit <= 2 ? 2 : digit <= 5 ? 5 : 10);
  for (double tick = std::ceil(low / step) * step; tick <= high + step / 1000; tick += step) {
    ticks.push_back(std::abs(tick) < step / 1000 ? 0 : tick);
  }
  return ticks;
}

Svg::Svg(int width, int height, std::string_view label)
    : text_(absl::StrFormat("<svg viewBox=\"0 0 %d %d\" style=\"max-width:%dpx\" role=\"img\" "
                            "aria-label=\"%s\">\n",
                            width, height, width, EscapeHtml(label))) {}

void Svg::Line(Point a, Point b, std::string_view css_class) {
  absl::StrAppendFormat(&text_,
                        "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n",
                        css_class, a.x, a.y, b.x, b.y);
}

void Svg::Path(std::span<const Point> points, std::string_view css_class) {
  absl::StrAppendFormat(&text_, "<path class=\"%s\" d=\"", css_class);
  for (size_t i = 0; i < points.size(); ++i) {
    absl::StrAppendFormat(&text_, "%c%.1f %.1f", i == 0 ? 'M' : 'L', points[i].x, points[i].y);
  }
  text_ += "\"/>\n";
}

void Svg::Dots(std::span<const Point> points, std::string_view css_class) {
  absl::StrAppendFormat(&text_, "<path class=\"%s\" d=\"", css_class);
  for (const Point& point : points) {
    absl::StrAppendFormat(&text_, "M%.1f %.1fh0", point.x, point.y);
  }
  text_ += "\"/>\n";
}

void Svg::Mark(Point at, double radius, size_t shape, std::string_view css_class,
               std::string_view title) {
  // Corners around the middle, in units of the radius; none for a circle.
  static constexpr std::array<std::string_view, 4> kCorners = {
      "", "-1 -1 1 -1 1 1 -1 1", "0 -1.2 1.1 0.9 -1.1 0.9", "0 -1.3 1.3 0 0 1.3 -1.3 0"};
  const std::string_view corners = kCorners[shape % kCorners.size()];
  if (corners.empty()) {
    absl::StrAppendFormat(&text_, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\">",
                          css_class, at.x, at.y, radius);
  } else {
    absl::StrAppendFormat(&text_,
                          "<polygon class=\"%s\" points=\"%s\" transform=\"translate(%.1f %.1f) "
                          "scale(%.1f)\" vector-effect=\"non-scaling-stroke\">",
                          css_class, corners, at.x, at.y, radius);
  }
  absl::StrAppendFormat(&text_, "<title>%s</title></%s>\n", EscapeHtml(title),
                        corners.empty() ? "circle" : "polygon");
}

void Svg::Text(Point at, std::string_view text, std::string_view anchor,
               std::string_view css_class) {
  absl::StrAppendFormat(&text_,
                        "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n",
                        css_class, at.x, at.y, anchor, EscapeHtml(text));
}

void Svg::Axes(const Scale& x, const Scale& y, std::string_view x_name, std::string_view y_name) {
  const double bottom = y.from, left = x.from;
  for (const double tick : y.Ticks(5)) {
    Line({left, y(tick)}, {x.to, y(tick)}, "grid");
    Text({left - 6, y(tick) + 4}, NumberText(tick), "end");
  }
  for (const double tick : x.Ticks(7)) {
    Line({x(tick), bottom}, {x(tick), bottom + 4}, "axis");
    Text({x(tick), bottom + 17}, NumberText(tick), "middle");
  }
  Line({left, bottom}, {x.to, bottom}, "axis");
  Text({(left + x.to) / 2, bottom + 34}, x_name, "middle", "name");
  Text({left - 40, y.to - 10}, y_name, "start", "name");
}

std::string Svg::Finish() && { return std::move(text_) + "</svg>\n"; }

}  // namespace moetune
