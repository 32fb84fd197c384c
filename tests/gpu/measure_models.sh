#!/bin/bash
# Measures what docs/performance.md shows of the models that the peers were timed on, in few GPU seconds.
#
#   measure_models.sh MOETUNE ROUTING_COUNTS FOLDER [STAGE[=SECONDS]...]
#
# MOETUNE is the program, ROUTING_COUNTS a JSON file of captured rows of each expert by model and token count. FOLDER
# keeps everything as soon as it is known, with the database FOLDER/models.db (one that is carried there is gone on
# with), and after each stage $MOETUNE_PACK (FOLDER.tgz) holds all of it but the compiled kernels. A stage is ended
# after SECONDS (240); one that fails or is ended leaves what it has, and the next begins. Stages, in their order:
#
#   rates    what the memory of the cards gives, and an empty launch
#   space    the whole space of gather, gather+swiglu and scatter+scale of the first model, from an empty cache of
#            kernels if FOLDER is new: what a sweep of every config takes; with a guard band of 0.5 %
#   again    the same of gather at three token counts, in a database of its own, all kernels being compiled
#   auto     one more model ($MOETUNE_OTHER) from an empty cache, by a search that ends itself
#   tune     winners of gather, gather+swiglu, scatter+scale and plain: a few problems compile kernels, then all
#            choose among what was compiled, by space and auto too, with the same guard band
#   bench    torch and Triton, and then our winners beside them, FOLDER/bench-MODEL.json
#   combine  winners of combine, and then the same beside scatter and scale with the sum that torch then needs,
#            FOLDER/combine-MODEL.json
#   zipf     winners of zipf routing beside those of softmax, FOLDER/zipf-MODEL.json
#   sm80     every config of sm80_mma alone, qwen3-30b-a3b, in a database of its own, FOLDER/sm80-qwen3-30b-a3b.json
#
# Without any named all run. The environment chooses: $MOETUNE_GPUS (0), $MOETUNE_JOBS, the compile processes,
# $MOETUNE_MODELS, $MOETUNE_TOKENS, $MOETUNE_BUDGETS (36 60), the trials of a problem that compiles and of one that does
# not, and $MOETUNE_PEERS, a CSV of other libraries' times for bench.
set -uo pipefail
moetune=$(realpath "$1")
folder=$(realpath -m "$3")
stages=("${@:4}")
((${#stages[@]})) || stages=(rates space again auto tune bench combine zipf sm80)
here=$(dirname "$(realpath "$0")")
read -ra gpus <<<"${MOETUNE_GPUS:-0}"
read -ra models <<<"${MOETUNE_MODELS:-qwen3-30b-a3b llama-4-scout mixtral-8x7b deepseek-v3}"
read -ra budgets <<<"${MOETUNE_BUDGETS:-36 60}"
other=${MOETUNE_OTHER:-mixtral-8x7b}
tokens=${MOETUNE_TOKENS:-1,16,64,256,1024,4096,16384}
some_tokens=16,256,1024,4096 # of the stages after bench
few_tokens=16,1024,16384     # that differ much
jobs=()
[[ -z ${MOETUNE_JOBS:-} ]] || jobs=(--jobs "$MOETUNE_JOBS")
pack=$(realpath -m "${MOETUNE_PACK:-$folder.tgz}")
listed=()

# Commands stand in the result files: with plain names they are the same wherever FOLDER is.
mkdir -p "$folder"
cp "$2" "$folder/routing_counts.json"
[[ -z ${MOETUNE_PEERS:-} ]] || { cp "$MOETUNE_PEERS" "$folder/peers.csv" && listed=(--peers peers.csv); }
cd "$folder" || exit 1
db=models.db
counted=(--routing-counts routing_counts.json)

# Seconds of the stage.
left() { echo $((deadline - SECONDS > 1 ? deadline - SECONDS : 1)); }

# LIMIT NAME COMMAND...: what it prints goes to FOLDER/NAME.log; it is ended after LIMIT seconds.
step() {
  local limit=$1 name=$2 begin=$SECONDS
  timeout "$limit" "${@:3}" >>"$name.log" 2>&1
  echo "$name: exit $? after $((SECONDS - begin)) s; $(grep -v '^ *$' "$name.log" | tail -1 | cut -c-150)"
}

# GPU COUNT COMMAND...: for each COUNTth model, from the GPUth on, within its share of the stage.
models_of() {
  local gpu=$1 count=$2 end=$deadline mine=() model
  for ((; gpu < ${#models[@]}; gpu += count)); do mine+=("${models[gpu]}"); done
  local remaining=${#mine[@]}
  for model in "${mine[@]}"; do
    deadline=$((SECONDS + (end - SECONDS) / remaining--))
    "${@:3}" "${gpus[$1]}" "$model"
  done
}

# COMMAND...: once for each model, which are dealt out to the GPUs; with the arguments GPU and MODEL.
each_model() {
  local i workers=()
  for i in "${!gpus[@]}"; do
    models_of "$i" "${#gpus[@]}" "$@" &
    workers+=($!)
  done
  wait "${workers[@]}"
}

# LIMIT NAME DATABASE TOKENS BUDGET OPTION...: on all GPUs; the last trials begin after LIMIT seconds.
tune() {
  step "$(left)" "tune-$2" "$moetune" tune --db "$3" --tokens "$4" --budget "$5" --cubins "${cubins:-cubins}" \
    "${jobs[@]}" --device "$(IFS=,; echo "${gpus[*]}")" --time-limit "$(($1 > 1 ? $1 : 1))s" "${@:6}"
}

# SECONDS NAME DATABASE TOKENS OPTION...: of each model in turn, within its share of the time, among the configs whose
# kernels are compiled.
tune_known() {
  local end=$((SECONDS + $1)) remaining=${#models[@]} model
  for model in "${models[@]}"; do
    tune $(((end - SECONDS) / remaining--)) "$2-$model" "$3" "$4" "${budgets[1]}" --model "$model" --known \
      --guard-band 0.5 "${@:5}"
  done
}

# NAME DATABASE: where the time of a sweep went, by its own account, and what each problem took.
account() {
  grep "restarts of the timing" "tune-$1.log"
  python3 - "$2" <<'PYTHON' | tee "times-$1.txt"
import sqlite3, sys
rows = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True).execute(
    "SELECT key, max(measured_at) - min(measured_at), sum(effort = 'probe'), sum(outcome <> 'ok') FROM measurement"
    " JOIN problem ON problem.id = measurement.problem GROUP BY key ORDER BY min(measured_at)").fetchall()
for key, us, trials, failures in rows:
    print(f"{us / 1e6:6.1f} s from the first trial to the last, {trials} trials, {failures} failures: {key}")
PYTHON
}

# NAME TITLE DATABASE TOKENS TORCH_FUSIONS FUSIONS GPU MODEL OPTION...: torch, for half of what is left of the stage at
# most, and right after it our winners.
beside() {
  local out=$1-$8
  echo "{}" >"$out.torch.jsonl" # of a torch that does not run, nothing stands beside our times
  CUDA_VISIBLE_DEVICES=$7 step $(($(left) / 2 + 1)) "$1-$8-torch" python3 "$here/torch_baseline.py" \
    "${counted[@]}" --models "$8" --tokens "$4" --fusions "$5" --triton --no-ceilings --out "$out.torch.jsonl"
  step "$(left)" "$1-$8" "$moetune" bench --db "$3" --model "$8" --tokens "$4" --fusions "$6" "${counted[@]}" \
    --device "$7" --baseline "$out.torch.jsonl" "${listed[@]}" --title "$2, $8" --out "$out.json" --cubins cubins \
    "${@:9}"
}

# GPU MODEL
zipf() {
  step "$(left)" "zipf-$2" "$moetune" bench --db "$db" --model "$2" --tokens $some_tokens \
    --fusions gather,scatter+scale --routing softmax,zipf --device "$1" --title "Skewed routing, $2" \
    --out "zipf-$2.json" --cubins cubins
}

run_stage() {
  local forward=gather,gather+swiglu,scatter+scale down=combine,scatter+scale
  local first=(--model "${models[0]}") others=(--model "$other") qwen=(--model qwen3-30b-a3b)
  local whole=(--strategy exhaustive --guard-band 0.5 "${first[@]}" "${counted[@]}")
  local zipf=(--fusions gather,scatter+scale --routing softmax,zipf)
  local portable=(--families sm80_mma --fusions gather,scatter+scale "${counted[@]}")
  case $1 in
    rates) timeout "$(left)" "$moetune" devices --measure --json | tee rates.json ;;
    space)
      tune "$(($(left) - 10))" space "$db" "$tokens" 0 "${whole[@]}" --fusions $forward
      account space "$db"
      ;;
    again)
      tune "$(($(left) - 10))" again again.db $few_tokens 0 "${whole[@]}" --fusions gather
      account again again.db
      ;;
    auto)
      cubins=cubins-auto tune "$(($(left) - 10))" auto auto.db "$tokens" 0 "${others[@]}" --fusions $forward \
        "${counted[@]}"
      account auto auto.db
      step "$(left)" merge "$moetune" merge --db "$db" auto.db
      mkdir -p cubins cubins-auto && cp -rn cubins-auto/. cubins
      ;;
    tune)
      # What the baseline compiles is compiled while the GPUs wait for our own compiles.
      nice timeout "$(left)" python3 "$here/torch_baseline.py" --compile-triton >compile-triton.log 2>&1 &
      tune "$(($(left) / 3))" first "$db" $few_tokens "${budgets[0]}" "${first[@]}" "${others[@]}" \
        --fusions $forward,plain "${counted[@]}"
      tune_known "$(($(left) - 10))" known "$db" "$tokens" --fusions $forward,plain "${counted[@]}"
      ;;
    bench) each_model beside bench Forward "$db" "$tokens" gather,scatter+scale,plain $forward,plain ;;
    combine)
      tune "$(($(left) / 5))" combine "$db" 16,1024 "${budgets[0]}" "${first[@]}" "${others[@]}" --fusions $down \
        "${counted[@]}"
      tune_known "$(($(left) / 2))" combine "$db" $some_tokens --fusions $down "${counted[@]}"
      each_model beside combine Combine "$db" $some_tokens combine $down
      ;;
    zipf)
      tune "$(($(left) / 5))" zipf "$db" 16,1024 "${budgets[0]}" "${first[@]}" "${zipf[@]}"
      tune_known "$(($(left) / 2))" zipf "$db" $some_tokens "${zipf[@]}"
      each_model zipf
      ;;
    sm80)
      tune "$(($(left) * 2 / 3))" sm80 sm80.db $some_tokens 0 "${qwen[@]}" "${portable[@]}" --strategy exhaustive \
        --guard-band 0.5
      beside sm80 "sm80_mma alone" sm80.db $some_tokens gather,scatter+scale gather,scatter+scale \
        "${gpus[0]}" qwen3-30b-a3b --family sm80_mma
      ;;
    *) echo "no stage '$1'" ;;
  esac
}

for stage in "${stages[@]}"; do
  [[ $stage == *=* ]] || stage="$stage=240"
  deadline=$((SECONDS + ${stage#*=}))
  echo "--- $stage, at $SECONDS s"
  run_stage "${stage%=*}"
  tar czf "$pack" --exclude='cubins*' .
done
echo "--- ended after $SECONDS s: $pack"
