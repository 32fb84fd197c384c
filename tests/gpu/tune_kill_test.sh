#!/bin/bash
# A sweep that is killed with SIGKILL and started again: it goes on, ends, and no row is lost or doubled.
#
#   tune_kill_test.sh MOETUNE [SECONDS] [TUNE OPTION...]
#
# MOETUNE is the program; it is killed SECONDS (default: 60) after its start. Options are those of
# `moetune tune` without --db; the default is the forward problems of qwen3-30b-a3b for three token
# counts. Exits with 77 on a machine without a GPU, unless the options say what to tune without one.
set -euo pipefail
moetune=$1
seconds=${2:-60}
options=("${@:3}")
if ((${#options[@]} == 0)); then
  [[ $("$moetune" devices --json) == "[]" ]] && { echo "no GPU"; exit 77; }
  options=(--model qwen3-30b-a3b --ops forward --tokens 16,256,1024)
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
db=$work/sweep.db
failures=0
fail() { echo "FAILED: $*"; failures=$((failures + 1)); }

# Prints the result of one query; read-only, so that a running sweep is not disturbed.
query() {
  python3 - "$db" "$1" <<'PYTHON'
import sqlite3, sys
rows = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True).execute(sys.argv[2]).fetchall()
print("\n".join("|".join(str(cell) for cell in row) for row in rows))
PYTHON
}

start=$(date +%s.%N)
"$moetune" tune --db "$db" "${options[@]}" >"$work/first.log" 2>&1 &
sweep=$!
sleep "$seconds"
children=$(cat /proc/"$sweep"/task/*/children 2>/dev/null || true)
if kill -KILL "$sweep" 2>/dev/null; then
  echo "killed after $seconds s"
else
  echo "note: the sweep had ended before it was killed"
fi
{ wait "$sweep" || true; } 2>/dev/null
before=$(query "SELECT count(*) FROM measurement")
uuids=$(query "SELECT uuid FROM log WHERE kind = 'measurement' ORDER BY uuid")
echo "$before measurements were in the database then"
((before > 0)) || fail "nothing was measured before the kill"

# Children of the dead sweep must not measure beside the next one.
sleep 2
for child in $children; do
  state=$(cut -d' ' -f3 "/proc/$child/stat" 2>/dev/null || true)
  [[ -z $state || $state == Z ]] || fail "worker $child outlived its sweep"
done

"$moetune" tune --db "$db" "${options[@]}" || fail "the second run ended with an error"
end=$(date +%s.%N)
after=$(query "SELECT count(*) FROM measurement")
echo "$after measurements in the end; both runs took $(python3 -c "print(round($end - $start))") s"

lost=$(comm -23 <(echo "$uuids") <(query "SELECT uuid FROM log ORDER BY uuid") | wc -l)
((lost == 0)) || fail "$lost rows were lost"
doubled=$(query "SELECT problem, family, config, effort, count(*) FROM measurement
                 GROUP BY 1, 2, 3, 4 HAVING count(*) > 1")
[[ -z $doubled ]] || fail "measured twice: $doubled"
winners=$(query "SELECT problem, count(*) FROM winner GROUP BY 1 HAVING count(*) <> 1")
[[ -z $winners ]] || fail "more than one winner: $winners"
problems=$(query "SELECT count(DISTINCT problem) FROM measurement")
won=$("$moetune" list --db "$db" --json | python3 -c "import json, sys; print(len(json.load(sys.stdin)))")
((won == problems)) || fail "$problems problems, but $won winners"
echo "$problems problems, $won winners"

# A third run has nothing left to measure.
"$moetune" tune --db "$db" "${options[@]}" >/dev/null || fail "the third run ended with an error"
[[ $(query "SELECT count(*) FROM measurement") == "$after" ]] || fail "the third run measured again"

if ((failures > 0)); then exit 1; fi
echo "passed"
