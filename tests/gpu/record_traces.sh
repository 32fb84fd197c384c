#!/bin/bash
# Recordings of whole spaces, for replays, out of a database in which a sweep has measured them.
#
#   record_traces.sh MOETUNE DATABASE FOLDER PROBLEM...
#
# MOETUNE is the program. DATABASE is the models.db of measure_models.sh, after its stage `space`, or that of any
# `moetune tune --strategy exhaustive`. Of each PROBLEM, a key or a pattern of keys (forward/bf16/gather/*/t16x8/*),
# FOLDER gets KEY.json.gz, in T4, and its replay is printed. Needs no GPU.
set -euo pipefail
moetune=$1
database=$2
folder=$3
mkdir -p "$folder"

# KEY TRIALS of the problems of a pattern.
matching() {
  python3 - "$database" "$1" <<'PYTHON'
import sqlite3, sys
for row in sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True).execute(
        "SELECT key, count(DISTINCT family || config) FROM measurement JOIN problem ON problem.id = measurement.problem"
        " WHERE key GLOB ? GROUP BY key", (sys.argv[2],)):
    print(*row)
PYTHON
}

for pattern in "${@:4}"; do
  found=$(matching "$pattern")
  [[ -n $found ]] || { echo "FAILED: no trials of '$pattern' stand in $database"; exit 1; }
  while read -r problem trials; do
    file=$folder/$(tr / _ <<<"$problem").json.gz
    "$moetune" export --db "$database" --format t4 --problem "$problem" | gzip -9n >"$file"
    echo "$problem: $trials configs, $(stat -c %s "$file") bytes"
    "$moetune" replay --trace "$file" --repeats 20 --budgets $((trials / 50 + 1)),$((trials / 20 + 1))
  done <<<"$found"
done
