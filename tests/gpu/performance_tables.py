#!/usr/bin/env python3
"""Keeps docs/performance.md true to the measured results in tests/gpu/results/*.json.

Usage: performance_tables.py [--write] MOETUNE

Each result file, such as `moetune bench --out` writes, holds {title, command, date, device, driver, nvrtc, columns,
rows} and may hold {state, means}: the card's state in a few words, and a second table {columns, rows} below the first.
A row is {family, fingerprint, values}; its `data` is for tables over several files. What `moetune devices --measure
--json` prints is a list instead, of cards. The page has a pair of lines for each file or group of files,

    <!-- results: NAME -->
    <!-- end -->

between which --write puts the tables. A NAME that ends with * stands for all files whose names begin so, one for each
model (model_tables.py). Without --write, fails when the page differs from what would be written, or a file has no place
on it. Both list every row whose kernel is no longer the source's (MOETUNE --version tells).
"""
import json
import pathlib
import re
import subprocess
import sys

import model_tables

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


def rates_section(cards):
    """Of what `devices --measure --json` printed."""
    rates = [("copy_gbps", "copy GB/s"), ("read_gbps", "read GB/s"), ("write_gbps", "write GB/s"), ("launch_us", "launch µs")]
    rows = [[card["ordinal"], card["name"], f"{card['copy_gbps']:.0f}"]
            + [f"{card['measured'][name]:.4g}" if card["measured"][name] else "-" for name, _ in rates] for card in cards]
    return "`moetune devices --measure`\n\n" + table(["device", "name", "copy GB/s known"] + [name for _, name in rates], rows)


def launches_of(files):
    """µs of an empty launch by the name of the card, of all that were measured."""
    return {card["name"]: card["measured"]["launch_us"]
            for cards in files.values() if isinstance(cards, list) for card in cards}


def place_text(name, files):
    """What stands at a place of the page."""
    if name.endswith("*"):
        return model_tables.section({stem[len(name) - 1:]: result for stem, result in files.items()
                                     if stem.startswith(name[:-1])}, launches_of(files))
    return rates_section(files[name]) if isinstance(files[name], list) else section(files[name])


def has_place(name, places):
    return any(name == place or place.endswith("*") and name.startswith(place[:-1]) for place in places)


def main(arguments):
    write = "--write" in arguments
    moetune = [a for a in arguments if a != "--write"][-1]
    current = current_fingerprints(moetune)
    page = PAGE.read_text()
    places = re.findall(r"<!-- results: (\S+) -->\n", page)
    files = {path.stem: json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))}
    problems = []
    for name, result in files.items():
        if not has_place(name, places):
            problems.append(f"docs/performance.md has no place for {name}")
        if isinstance(result, list):
            continue
        if missing := FIELDS - result.keys():
            problems.append(f"{name}.json lacks {', '.join(sorted(missing))}")
            continue
        for line in stale_rows(name, result, current):
            print(line)
    for place in sorted(set(places)):
        if places.count(place) > 1:
            problems.append(f"docs/performance.md has more than one place for {place}")
        if not any(has_place(name, [place]) for name in files):
            problems.append(f"there is no result file for '{place}' of docs/performance.md")
    updated = page
    for place in places if not problems else []:
        begin, end = f"<!-- results: {place} -->\n", "<!-- end -->"
        text = begin + "\n" + place_text(place, files) + "\n" + end
        updated = re.sub(re.escape(begin) + ".*?" + re.escape(end), lambda _: text, updated, count=1, flags=re.S)
    if write:
        PAGE.write_text(updated)
    elif updated != page:
        problems.append("docs/performance.md is not what tests/gpu/results gives; run with --write")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
