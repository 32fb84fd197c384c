#!/usr/bin/env python3
"""Keeps docs/performance.md true to the measured results in tests/gpu/results/*.json.

Usage: performance_tables.py [--write] MOETUNE

Each result file, such as `moetune bench --out` writes, holds {title, command, date, device, driver, nvrtc, columns,
rows} and may hold {state, means}: the card's state in a few words, and a second table {columns, rows} below the first.
A row is {family, fingerprint, values}; what else it holds is kept for other uses. The page has a pair of lines for each,

    <!-- results: NAME -->
    <!-- end -->

between which --write puts the tables. Without it, fails when the page differs from what it would write, or a file has
no place on it. Both list every row whose kernel is no longer the source's (MOETUNE --version tells).
"""
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "performance.md"
RESULTS = ROOT / "tests" / "gpu" / "results"
FIELDS = {"title", "command", "date", "device", "driver", "nvrtc", "columns", "rows"}


def current_fingerprints(moetune):
    lines = subprocess.run([moetune, "--version"], check=True, capture_output=True, text=True).stdout
    return dict(line.split() for line in lines.splitlines()[1:])


def table(columns, rows):
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    lines += ["| " + " | ".join(str(value) for value in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def section(result):
    state = f"; {result['state']}" if result.get("state") else ""
    text = (f"{result['title']}: {result['device']}, driver {result['driver']}, NVRTC {result['nvrtc']}, "
            f"{result['date']}{state}.\n\n`{result['command']}`\n\n")
    text += table(result["columns"], [row["values"] for row in result["rows"]])
    if means := result.get("means"):
        text += "\nGeometric means:\n\n" + table(means["columns"], means["rows"])
    return text


def stale_rows(name, result, current):
    for row in result["rows"]:
        now = current.get(row["family"])
        if now != row["fingerprint"]:
            yield f"stale: {name}: {row['values'][0]} ({row['family']} {row['fingerprint'][:12]}, now {(now or 'gone')[:12]})"


def main(arguments):
    write = "--write" in arguments
    moetune = [a for a in arguments if a != "--write"][-1]
    current = current_fingerprints(moetune)
    page = PAGE.read_text()
    updated = page
    problems = []
    for path in sorted(RESULTS.glob("*.json")):
        result = json.loads(path.read_text())
        if missing := FIELDS - result.keys():
            problems.append(f"{path.name} lacks {', '.join(sorted(missing))}")
            continue
        begin, end = f"<!-- results: {path.stem} -->\n", "<!-- end -->"
        if begin not in updated:
            problems.append(f"docs/performance.md has no place for {path.stem}")
            continue
        pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.S)
        updated = pattern.sub(lambda _: begin + "\n" + section(result) + "\n" + end, updated, count=1)
        for line in stale_rows(path.stem, result, current):
            print(line)
    if write:
        PAGE.write_text(updated)
    elif updated != page:
        problems.append("docs/performance.md is not what tests/gpu/results gives; run with --write")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
