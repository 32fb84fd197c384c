// Charts as SVG text: scales, axes and marks. Colours come from the page's classes, so that one
// chart fits a light and a dark page.
#ifndef MOETUNE_CLI_SVG_H_
#define MOETUNE_CLI_SVG_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace moetune {

// Text between tags or in an attribute.
std::string EscapeHtml(std::string_view text);

// Three digits at most, "0.25", "12.5", "1.2k".
std::string NumberText(double value);

// From values to pixels. A value beyond the end is drawn at the end.
struct Scale {
  double low = 0, high = 1;  // values, low < high; positive where log
  double from = 0, to = 1;   // pixels
  bool log = false;

  double operator()(double value) const;
  // Round values within: 1, 2, 5 times a power of ten, about `count` of them, thinned out from the
  // low end where there would be more.
  std::vector<double> Ticks(int count) const;
};

struct Point {
  double x = 0, y = 0;  // pixels
};

// One drawing, told to a screen reader by its label.
class Svg {
 public:
  Svg(int width, int height, std::string_view label);

  void Line(Point a, Point b, std::string_view css_class);
  void Path(std::span<const Point> points, std::string_view css_class);
  // One element for all of them: thousands cost little.
  void Dots(std::span<const Point> points, std::string_view css_class);
  // A circle, square, triangle or diamond, by the number's remainder; `title` shows on hovering.
  void Mark(Point at, double radius, size_t shape, std::string_view css_class,
            std::string_view title);
  // `anchor`: start, middle or end.
  void Text(Point at, std::string_view text, std::string_view anchor,
            std::string_view css_class = "tick");

  // Lines, tick labels and names of both axes around the area that the scales span.
  void Axes(const Scale& x, const Scale& y, std::string_view x_name, std::string_view y_name);

  std::string Finish() &&;

 private:
  std::string text_;
};

}  // namespace moetune

#endif  // MOETUNE_CLI_SVG_H_
