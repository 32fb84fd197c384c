#!/usr/bin/env python3
"""record_traces.sh on a database that was made without a GPU: each problem that a pattern fits is recorded and replayed,
and one that fits none is an error.

Usage: record_traces_test.py MOETUNE
"""
import pathlib
import subprocess
import sys
import tempfile

SCRIPT = pathlib.Path(__file__).with_name("record_traces.sh")
SKIPPED = 77
PROBLEMS = [f"forward/bf16/plain/e4/t{tokens}x2/n64/k64/softmax" for tokens in (8, 16)]


def main(moetune):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        database, recordings = folder / "estimated.db", folder / "recordings"
        tune = subprocess.run([moetune, "tune", "--device", "estimate:h100", "--families", "reference", "--budget", "4",
                               "--db", database, "--cubins", folder / "cubins",
                               *(word for problem in PROBLEMS for word in ("--problem", problem))],
                              capture_output=True, text=True)
        if "NVRTC" in tune.stderr:
            print(tune.stderr)
            sys.exit(SKIPPED)
        record = [SCRIPT, moetune, database, recordings]
        run = subprocess.run([*record, "forward/bf16/plain/*"], capture_output=True, text=True)
        if run.returncode != 0:
            sys.exit(f"FAILED: {run.stdout}{run.stderr}")
        files = sorted(path.name for path in recordings.iterdir())
        if files != sorted(problem.replace("/", "_") + ".json.gz" for problem in PROBLEMS):
            sys.exit(f"FAILED: recorded were {files}")
        if run.stdout.count("4 configs, 0 of them failures") != 2:
            sys.exit(f"FAILED: not replayed: {run.stdout}")
        if subprocess.run([*record, "forward/fp16/*"], capture_output=True).returncode == 0:
            sys.exit("FAILED: nothing was recorded, and that was no error")


if __name__ == "__main__":
    main(sys.argv[1])
