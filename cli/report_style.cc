// The look of a report. Colours are those of Okabe and Ito, which people of any colour vision tell
// apart, darkened or lightened until they stand out from the page.
#include "cli/report_page.h"

namespace moetune {

std::string_view ReportStyle() {
  return R"css(
:root { color-scheme: light dark; --page: #ffffff; --text: #1c2126; --soft: #59636e; --line: #d5dade;
  --panel: #f5f7f8; --f0: #0067a5; --f1: #b45000; --f2: #00795a; --f3: #a3437f; --warm: 213, 94, 0; }
@media (prefers-color-scheme: dark) { :root { --page: #14181c; --text: #e7eaed; --soft: #a2acb6;
  --line: #39424b; --panel: #1c2227; --f0: #62b6ee; --f1: #f0a04b; --f2: #3cc79b; --f3: #e393c4;
  --warm: 222, 125, 45; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem; max-width: 80rem; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.3rem; margin: 2.5rem 0 0; }
h3 { font-size: 1.05rem; margin: 2rem 0 .5rem; } h5 { margin: 1rem 0 .2rem; }
p { max-width: 48rem; } .soft, caption, .name, .tick { color: var(--soft); }
nav a { margin-right: 1rem; } a { color: var(--f0); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
th.number, td.number { text-align: right; } td.wrap { white-space: normal; min-width: 15rem; }
th button { all: unset; cursor: pointer; } th button:focus-visible { outline: 2px solid var(--f0); }
th[aria-sort=ascending] button::after { content: " \2191"; }
th[aria-sort=descending] button::after { content: " \2193"; }
code { font: .82rem/1.4 ui-monospace, monospace; }
.bar { display: inline-block; height: .6rem; margin-right: .4rem; background: var(--f0); }
.bar.failed { background: var(--f1); }
input { font: inherit; padding: .3rem .5rem; width: 22rem; max-width: 100%; color: inherit;
  background: var(--panel); border: 1px solid var(--soft); border-radius: 4px; }
details { border: 1px solid var(--line); border-radius: 6px; margin: .4rem 0; padding: .4rem .8rem; }
summary { cursor: pointer; } details[open] { background: var(--panel); }
.facets { display: flex; flex-wrap: wrap; gap: .5rem 1.2rem; } .facets svg { width: auto; height: 178px; }
svg { display: block; width: 100%; height: auto; } svg text { font: 11px system-ui, sans-serif; }
.tick, .name { fill: var(--soft); } .strong { fill: var(--text); font-weight: 600; }
.grid { stroke: var(--line); } .axis { stroke: var(--soft); }
.roof, .best, .thin { fill: none; stroke: var(--text); stroke-width: 1.5; }
.best { stroke: var(--f0); stroke-width: 2; } .thin { stroke: var(--soft); stroke-width: 1; opacity: .45; }
.default { stroke: var(--f1); stroke-width: 1.5; stroke-dasharray: 6 4; }
.dots { fill: none; stroke: var(--soft); stroke-width: 4; stroke-linecap: round; opacity: .4; }
.dots.failed { stroke: var(--f1); opacity: .9; }
.mark { stroke: var(--page); stroke-width: 1; }
.f0 { fill: var(--f0); } .f1 { fill: var(--f1); } .f2 { fill: var(--f2); } .f3 { fill: var(--f3); }
.legend svg { display: inline-block; width: 14px; height: 14px; vertical-align: -2px; }
.legend span { margin-right: 1.2rem; }
.matrix td { text-align: center; padding: .2rem .4rem; border: 1px solid var(--line); }
.matrix thead th { writing-mode: vertical-rl; padding: .4rem .1rem; border: 0; }
.matrix thead td { border: 0; } .matrix tbody th { font-weight: 400; border: 0; }
.h1 { background: rgba(var(--warm), .08); } .h2 { background: rgba(var(--warm), .16); }
.h3 { background: rgba(var(--warm), .27); } .h4 { background: rgba(var(--warm), .4); }
.h5 { background: rgba(var(--warm), .55); } .own { outline: 2px solid var(--text); outline-offset: -2px; }
@media print { details { break-inside: avoid; } input { display: none; } }
)css";
}

std::string_view ReportScript() {
  return R"js(
for (const th of document.querySelectorAll(".sortable th")) {
  th.firstElementChild.addEventListener("click", () => {
    const down = th.ariaSort !== "descending";
    for (const other of th.parentNode.children) other.removeAttribute("aria-sort");
    th.ariaSort = down ? "descending" : "ascending";
    const at = [...th.parentNode.children].indexOf(th);
    const key = (row) => row.children[at].dataset.value ?? row.children[at].textContent;
    const body = th.closest("table").tBodies[0];
    const rows = [...body.rows].sort((a, b) => {
      const x = key(a), y = key(b);
      return isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
    });
    body.append(...(down ? rows.reverse() : rows));
  });
}
document.querySelector("input").addEventListener("input", (event) => {
  const words = event.target.value.toLowerCase().split(/\s+/);
  for (const part of document.querySelectorAll(".sortable tbody tr, details")) {
    const name = part.dataset.name.toLowerCase();
    part.hidden = !words.every((word) => name.includes(word));
  }
});
)js";
}

}  // namespace moetune
