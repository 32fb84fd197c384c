#!/bin/bash
# From a fresh clone to a served kernel: packages, build, then tune, serve, query and dispatch once,
# small. Everything it makes lies under build/; what this machine cannot do is listed at the end.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$PWD/build/quickstart
program=$PWD/build/release/bin/moetune
database=$work/moetune.db
problem=forward/bf16/gather/e128/t200x8/n1536/k2048/softmax
could_not=()

step() { printf '\n== %s\n' "$*"; }
# Prints and runs a command.
show() { echo "\$ ${*/#$program/moetune}"; "$@"; }

step "Packages"
scripts/setup.sh

step "Build"
cmake --preset release
cmake --build --preset release --parallel "$(nproc)" --target quickstart

rm -rf "$work"
mkdir -p "$work"
export XDG_CACHE_HOME=$work/cache XDG_DATA_HOME=$work/data

step "GPUs"
show "$program" devices
gpu=yes
[[ $("$program" devices --json) == "[]" ]] && gpu=
device=()
if [[ ! $gpu ]]; then
  device=(--device-name h200)  # the one to answer for
  could_not+=("measure, verify or launch kernels: no CUDA device")
fi

step "Tune"
tune=("$program" tune --model qwen3-30b-a3b --ops forward --tokens 16,256 --db "$database")
if [[ $gpu ]]; then
  show "${tune[@]}" --budget 12
elif ! show "${tune[@]}" --budget 12 --device estimate:h200; then
  could_not+=("estimate kernels for an H200: it takes NVRTC to compile them (see above)")
fi

step "Shipped winners"
shopt -s nullglob
shipped=(db/shipped/*.txt)
if ((${#shipped[@]})); then
  show "$program" import --db "$database" "${shipped[@]}"
else
  could_not+=("import shipped winners: there are none yet")
fi
if [[ ! -e $database ]]; then  # nothing tuned, nothing imported: serve an empty one
  printf 'moetune records 1\n\nend 0\n' >"$work/empty.txt"
  show "$program" import --db "$database" "$work/empty.txt"
fi
show "$program" list --db "$database"

step "Serve and query"
log=$work/serve.log
"$program" serve --db "$database" --listen 127.0.0.1:0 >"$log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null || true' EXIT
address=
for _ in $(seq 100); do
  address=$(sed -n 's/^listening on //p' "$log")
  [[ $address ]] && break
  kill -0 "$server" 2>/dev/null || break
  sleep 0.1
done
if [[ ! $address ]]; then
  cat "$log" >&2
  echo "the server did not start" >&2
  exit 1
fi
echo "serving on $address"
show "$program" query --server "$address" --problem "$problem" "${device[@]}"
show "$program" query --server "$address" --problem "$problem" "${device[@]}" --json

step "Dispatch from C++"
if [[ $gpu ]]; then
  show build/release/bin/dispatch_example "$database" "$XDG_CACHE_HOME/moetune/cubins" "$problem"
else
  echo "needs a GPU"
fi

step "What this machine could not do"
if ((${#could_not[@]})); then
  printf -- '- %s\n' "${could_not[@]}"
else
  echo "nothing: every step ran"
fi
