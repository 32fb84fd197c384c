#!/usr/bin/env python3
"""Writes the recorded spaces that the tests read, beside itself: an invented kernel on an invented GPU, in
both formats, with the same results. With --check it compares them with what stands there (ctest trace_data).

  tiles_cache.json   a Kernel Tuner cache
  tiles_t4.json.gz   T4
"""
import argparse
import gzip
import itertools
import json
import math
import pathlib
import random

PARAMETERS = {
    "block": [16, 32, 64, 128],
    "tile": [1, 2, 4, 8],
    "ratio": [0.25, 0.5, 1.0],
    "layout": ["row", "column", "swizzled"],
    "pad": [False, True],
}
# T4's class of a failure -> Kernel Tuner's word for it.
FAILURES = {
    "compile": "CompilationFailedConfig",
    "runtime": "RuntimeFailedConfig",
    "timeout": "TimeoutFailedConfig",
    "correctness": "VerificationFailedConfig",
    "constraints": "InvalidConfig",
}


def measure(config, draw):
    """The invalidity of a config, and its time in ms if that is "correct"."""
    work = config["block"] * config["tile"]
    if work == 16:
        return "constraints", None
    if work == 1024:
        return "compile", None
    if work == 512 and config["ratio"] == 1.0:
        return "runtime", None
    if config["block"] == 128 and config["layout"] == "column":
        return ("timeout" if config["pad"] else "correctness"), None
    time = 1 + abs(math.log2(work / 128)) * 0.4
    time *= {"row": 1.0, "column": 1.3, "swizzled": 0.8 if config["pad"] else 1.1}[config["layout"]]
    time *= 1 + 0.2 * abs(config["ratio"] - 0.5)
    return "correct", round(time * draw.uniform(1, 1.02), 6)


def make_traces():
    """The texts of both files."""
    draw = random.Random(1)
    cache, results = {}, []
    for values in itertools.product(*PARAMETERS.values()):
        config = dict(zip(PARAMETERS, values))
        invalidity, time = measure(config, draw)
        correct = invalidity == "correct"
        runs = [time] * 3 if correct else []
        entry = dict(config, time=time if correct else FAILURES[invalidity])
        if correct:
            entry["times"] = runs
        entry.update(compile_time=400.0, verification_time=5.0, benchmark_time=10.0,
                     strategy_time=0, framework_time=1.0)
        cache[",".join(str(value) for value in values)] = entry
        times = {"compilation": 400.0, "framework": 1.0, "search_algorithm": 0, "validation": 5.0}
        if correct:
            times["runtimes"] = runs
        results.append({
            "configuration": config, "times": times, "invalidity": invalidity,
            "correctness": int(correct), "objectives": ["time"],
            "measurements": [{"name": "time", "value": entry["time"], "unit": ""}],
        })
    return json.dumps({
        "device_name": "Fiction 100", "kernel_name": "tiles", "problem_size": [1024],
        "tune_params_keys": list(PARAMETERS), "tune_params": PARAMETERS, "objective": "time",
        "cache": cache,
    }, separators=(",", ":")), json.dumps({
        "metadata": {"timeunit": "miliseconds"}, "schema_version": "1.0.0", "results": results,
    })


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    cache, t4 = make_traces()
    folder = pathlib.Path(__file__).parent
    cache_file, t4_file = folder / "tiles_cache.json", folder / "tiles_t4.json.gz"
    if check:
        assert cache_file.read_text(encoding="utf-8") == cache, f"{cache_file} is not what this writes"
        assert gzip.decompress(t4_file.read_bytes()).decode() == t4, f"{t4_file} is not what this writes"
    else:
        cache_file.write_text(cache, encoding="utf-8")
        t4_file.write_bytes(gzip.compress(t4.encode(), mtime=0))


if __name__ == "__main__":
    main()
