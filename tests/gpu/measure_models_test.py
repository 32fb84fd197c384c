#!/usr/bin/env python3
"""Runs measure_models.sh where nothing can be measured: every command that it makes is one that moetune takes, and what it
leaves is packed.

Usage: measure_models_test.py MOETUNE
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile

SCRIPT = pathlib.Path(__file__).with_name("measure_models.sh")
STAGES = ["rates", "space", "again", "auto", "tune", "bench", "combine", "zipf", "sm80"]
MODELS = {"qwen3-30b-a3b": (128, 8), "mixtral-8x7b": (8, 2)}  # experts, top_k
TOKENS = [1, 16, 256, 1024, 4096, 16384]
USAGE_ERROR = 2


def balanced(experts, rows):
    return [rows // experts + (expert < rows % experts) for expert in range(experts)]


def check(ok, what):
    if not ok:
        sys.exit(f"FAILED: {what}")


def main(moetune):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        counts = {model: {tokens: balanced(experts, tokens * top_k) for tokens in TOKENS}
                  for model, (experts, top_k) in MODELS.items()}
        (folder / "counts.json").write_text(json.dumps(counts))
        (folder / "peers.csv").write_text("model,tokens,routing,op,gemm,fusion,floor_us,best_peer,best_us,torch\n")
        stub = folder / "bin" / "python3"  # no torch, whatever this machine has
        stub.parent.mkdir()
        stub.write_text("#!/bin/sh\nexit 3\n")
        stub.chmod(0o755)
        environment = os.environ | {"PATH": f"{stub.parent}:{os.environ['PATH']}", "MOETUNE_GPUS": "0 1",
                                    "MOETUNE_MODELS": " ".join(MODELS), "MOETUNE_TOKENS": "1,16",
                                    "MOETUNE_PEERS": str(folder / "peers.csv")}
        run = subprocess.run([SCRIPT, moetune, folder / "counts.json", folder / "out", *(f"{s}=1" for s in STAGES)],
                             env=environment, capture_output=True, text=True)
        check(run.returncode == 0, run.stdout + run.stderr)
        steps = dict(re.findall(r"^(\S+): exit (\d+) after", run.stdout, re.M))
        wanted = [f"tune-{name}" for name in ("space", "again", "auto", "first", "combine", "zipf", "sm80")]
        wanted += ["merge", "sm80-qwen3-30b-a3b"]
        wanted += [f"{stage}-{model}" for stage in ("tune-known", "tune-combine", "tune-zipf") for model in MODELS]
        wanted += [f"{stage}-{model}" for stage in ("bench", "combine", "zipf") for model in MODELS]
        for step in wanted:
            check(step in steps, f"no {step} in\n{run.stdout}")
            log = (folder / "out" / f"{step}.log").read_text()
            check(int(steps[step]) != USAGE_ERROR, f"{step}: {log}")
        check(all(steps[f"bench-{model}-torch"] == "3" for model in MODELS), run.stdout)
        with tarfile.open(folder / "out.tgz") as pack:
            check(f"./{wanted[0]}.log" in pack.getnames(), f"the pack holds {pack.getnames()}")


if __name__ == "__main__":
    main(sys.argv[1])
