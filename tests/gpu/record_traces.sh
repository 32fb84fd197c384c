#!/bin/bash
# Records the whole space of problems, for replays: every config is compiled, verified and timed.
#
#   record_traces.sh MOETUNE FOLDER [PROBLEM...]
#
# MOETUNE is the program; FOLDER gets sweep.db, the compiled kernels and PROBLEM.json.gz, in T4, of each problem; the
# default is three forward problems of qwen3-30b-a3b with one set of fusions, whose kernels are therefore the same. On 16
# cores about 5 minutes, 4 of them for the compiles. Started again, it goes on. Exits with 77 without a GPU.
set -euo pipefail
moetune=$1
folder=$2
problems=("${@:3}")
if ((${#problems[@]} == 0)); then
  problems=(forward/bf16/gather/e128/t{16,256,4096}x8/n1536/k2048/softmax)
fi
[[ $("$moetune" devices --json) == "[]" ]] && { echo "no GPU"; exit 77; }

mkdir -p "$folder"
failures=0
for problem in "${problems[@]}"; do
  start=$SECONDS
  # One search at a time: winners of the last problem would change the order, not the space.
  "$moetune" tune --problem "$problem" --strategy exhaustive --db "$folder/sweep.db" --cubins "$folder/cubins"
  file=$folder/$(tr / _ <<<"$problem").json.gz
  "$moetune" export --db "$folder/sweep.db" --format t4 --problem "$problem" | gzip -9n >"$file"
  echo "$problem: $((SECONDS - start)) s, $(stat -c %s "$file") bytes"
  # What was recorded can be replayed.
  "$moetune" replay --trace "$file" --repeats 20 --budgets 24,60 || failures=$((failures + 1))
done
((failures == 0)) || { echo "FAILED: $failures recordings cannot be replayed"; exit 1; }
echo "passed"
