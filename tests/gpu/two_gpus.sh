#!/bin/bash
# One sweep on one GPU, the same on two: with two it must take at most 0.6 of the time.
#
#   two_gpus.sh MOETUNE [FOLDER] [TUNE OPTION...]
#
# MOETUNE is the program, FOLDER keeps the databases and the compiled kernels (default: one that goes). Options are those
# of `moetune tune` without --db, --device and --cubins; the default is every config of the family reference on 14 problems
# of qwen3-30b-a3b. The candidates must not depend on what was measured: only then do all runs need the same kernels. A
# first run on both cards compiles them; the two that are compared find them compiled. With COLD=1 a run on one card from
# an empty cache is set beside that first one, on as many compile processes. On 32 cores about 2 minutes, 3 with COLD=1.
# Exits with 77 where there are no two cards.
set -euo pipefail
moetune=$1
folder=${2:-}
options=("${@:3}")
if ((${#options[@]} == 0)); then
  # The longest first, so that both cards end together.
  options=(--model qwen3-30b-a3b --tokens 1024,512,256,128,64,32,16 --families reference
    --strategy exhaustive)
fi
gpus=$("$moetune" devices --json | python3 -c "import json, sys; print(len(json.load(sys.stdin)))")
((gpus >= 2)) || { echo "$gpus GPUs; two are needed"; exit 77; }

if [[ -z $folder ]]; then
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
fi
mkdir -p "$folder"

# Tunes into a fresh database NAME.db on DEVICES, with the kernels of CUBINS; sets `seconds`.
tune() {
  local name=$1 devices=$2 cubins=$3 start
  rm -f "$folder/$name".db*
  start=$(date +%s.%N)
  "$moetune" tune "${options[@]}" --db "$folder/$name.db" --device "$devices" --cubins "$folder/$cubins" \
    >"$folder/$name.log" 2>&1 || { cat "$folder/$name.log"; echo "FAILED: the sweep on $devices"; exit 1; }
  seconds=$(python3 -c "print(round($(date +%s.%N) - $start, 1))")
  echo "$name: --device $devices: $seconds s"
  grep "restarts of the timing" "$folder/$name.log" | sed 's/^/  /'
}

# The problems and measurements of a database, and how many trials stand in it twice.
count() {
  python3 - "$folder/$1.db" <<'PYTHON'
import sqlite3, sys
rows = sqlite3.connect(sys.argv[1])
one = lambda query: rows.execute(query).fetchone()[0]
print(one("SELECT count(DISTINCT problem) FROM winner"),
      one("SELECT count(*) FROM measurement WHERE effort = 'probe'"),
      one("SELECT count(*) FROM (SELECT 1 FROM measurement GROUP BY problem, family, config, effort HAVING count(*) > 1)"))
PYTHON
}

# The verdict on the time of two cards against that of one.
failures=0
judge() {
  local verdict
  verdict=$(python3 -c "r = $3 / $2; print(f'{r:.2f}', 'passed' if r <= 0.6 else 'FAILED')")
  echo "$1: two cards take ${verdict% *} of the time of one; bar 0.60: ${verdict#* }"
  [[ $verdict == *passed ]] || failures=$((failures + 1))
}

if [[ ${COLD:-0} == 1 ]]; then
  rm -rf "$folder/cubins_of_one" "$folder/cubins"
  tune cold_one 0 cubins_of_one
  cold_one=$seconds
fi
tune first_two 0,1 cubins
cold_two=$seconds
tune one 0 cubins
one=$seconds
tune two 0,1 cubins
two=$seconds

echo
"$moetune" diff "$folder/one.db" "$folder/two.db"
read -r problems_one rows_one doubled_one < <(count one)
read -r problems_two rows_two doubled_two < <(count two)
echo
echo "one card: $problems_one winners, $rows_one trials; two: $problems_two winners, $rows_two trials"
if ((problems_one != problems_two || rows_one != rows_two || doubled_one + doubled_two > 0)); then
  echo "FAILED: the sweeps differ, or a trial was made twice ($doubled_one, $doubled_two)"
  failures=$((failures + 1))
fi
if [[ -n ${cold_one:-} ]]; then
  echo "from an empty cache: two cards take $(python3 -c "print(round($cold_two / $cold_one, 2))") of the time of one"
fi
judge "kernels compiled before" "$one" "$two"
((failures == 0)) || exit 1
