#!/usr/bin/env python3
"""Times torch._grouped_mm on the problems that `moetune bench --routing-counts` times, in the same way.

Usage: torch_baseline.py --routing-counts FILE [--models LIST] [--tokens LIST] [--fusions LIST] [--triton] [--out FILE]

256 MiB are zeroed before each sample, events stand around the calls alone, the host is a millisecond ahead; from 4096
tokens on the card rests 10 ms and three times the kernel after each; the median of 25 samples counts, of 9 above 2 ms or
with rests. --seconds bounds the samples of one time: at least 3 are taken.

Prints one JSON object a line, as soon as it is known: the machine, its ceilings, then for each problem
{"problem": KEY, "us": {"torch": T}, "parts_us": {...}, "error": E}. torch fuses nothing: `torch` is index_select,
product, SwiGLU, the scaled index_select of the inverse and the sum over a token's experts together, as far as the
problem has them, and parts_us each of them alone, of 5 samples. --triton adds `triton`, a grouped GEMM in Triton with
gather, scatter and scale fused, the best of a short list of tiles. `moetune bench --baseline FILE` sets them beside its
own times. --compile-triton compiles what --triton runs and ends: beside other work, so that no GPU waits for it later.
"""
import argparse
import hashlib
import json
import statistics
import sys
import time

import torch

from models import MODELS

FUSIONS = {  # and the GEMMs that they are made for
    "gather": ["gate_up"],
    "gather+swiglu": ["gate_up"],
    "scatter+scale": ["down"],
    "combine": ["down"],
    "plain": ["gate_up", "down"],
}
TRITON_FUSIONS = ["gather", "scatter+scale", "plain"]

FLUSH_BYTES = 256 << 20
HOST_AHEAD_CYCLES = 2_000_000  # about a millisecond
ROUNDS, LONG_ROUNDS, PART_ROUNDS, LEAST_ROUNDS, LONG_US = 25, 9, 5, 3, 2000
IDLE_TOKENS, IDLE_S, IDLE_FACTOR = 4096, 0.01, 3
TOLERANCE = 6e-3  # relative error of a row; twice that where torch rounds in between
CHECKED_ROWS = 30


class Timer:
    def __init__(self, seconds):
        self.seconds = seconds
        self.flush = torch.empty(FLUSH_BYTES, dtype=torch.uint8, device="cuda")

    def sample(self, steps):
        """µs of each step and of all."""
        events = [torch.cuda.Event(enable_timing=True) for _ in range(len(steps) + 1)]
        torch.cuda._sleep(HOST_AHEAD_CYCLES)
        self.flush.zero_()
        events[0].record()
        for step, event in zip(steps, events[1:]):
            step()
            event.record()
        events[-1].synchronize()
        return [a.elapsed_time(b) * 1e3 for a, b in zip(events, events[1:])]

    def medians(self, steps, tokens, rounds=ROUNDS):
        """The median µs of each step. The first samples only warm up."""
        begin = time.monotonic()
        first = min(sum(self.sample(steps)) for _ in range(2))
        rests = tokens >= IDLE_TOKENS
        if rests or first > LONG_US:
            rounds = min(rounds, LONG_ROUNDS)
        samples = []
        while len(samples) < rounds:
            samples.append(self.sample(steps))
            if rests:
                time.sleep(IDLE_S + IDLE_FACTOR * sum(samples[-1]) * 1e-6)
            if len(samples) >= LEAST_ROUNDS and time.monotonic() - begin > self.seconds:
                break
        return [statistics.median(column) for column in zip(*samples)]


class Output:
    """Lines to standard output and to a file, each as soon as it is known."""

    def __init__(self, path):
        self.file = open(path, "w") if path else None

    def line(self, **fields):
        text = json.dumps(fields)
        print(text, flush=True)
        if self.file:
            print(text, file=self.file, flush=True)


class Case:
    """The tensors of one problem: rows of each expert as given, dealt to tokens at random."""

    def __init__(self, fusions, tokens, top_k, counts, w):
        self.w, self.top_k = w, top_k
        experts, self.n, self.k = w.shape
        self.fusions, self.tokens, self.rows = fusions, tokens, sum(counts)
        digest = hashlib.sha256(",".join(map(str, counts)).encode()).hexdigest()
        self.key = (f"forward/bf16/{fusions}/e{experts}/t{tokens}x{self.top_k}/n{self.n}/k{self.k}/"
                    f"counts-{max(int(digest[:8], 16), 1):08x}")
        self.host_counts = counts
        self.counts = torch.tensor(counts, dtype=torch.int32, device="cuda")
        self.ends = self.counts.cumsum(0, dtype=torch.int32)
        # Consecutive rows of an expert go to consecutive tokens of a shuffled circle.
        position = torch.arange(self.rows)
        token = torch.randperm(tokens)[position % tokens]
        expert_of_row = torch.repeat_interleave(torch.arange(experts), torch.tensor(counts))
        expert_of_slot = torch.empty(self.rows, dtype=torch.int64)
        expert_of_slot[token * self.top_k + position // tokens] = expert_of_row
        index = torch.argsort(expert_of_slot, stable=True)  # the slot of each row
        self.expert_of_row = expert_of_row.tolist()
        self.index = index.cuda()
        self.index32 = self.index.int()
        self.token_of_row = self.index // self.top_k
        self.row_of_slot = torch.argsort(self.index)
        self.scale = torch.rand(self.rows, device="cuda") + 0.5
        self.gathers = fusions.startswith("gather")
        self.x = torch.randn(tokens if self.gathers else self.rows, self.k, dtype=torch.bfloat16, device="cuda")

    def product(self, row):
        """One row in expert order, in fp32."""
        x = self.x[self.token_of_row[row] if self.gathers else row]
        return self.w[self.expert_of_row[row]].float() @ x.float()

    def expected(self, row):
        """The output's row that `row` of the expert order belongs to: its number, and its values in fp32."""
        if self.fusions == "scatter+scale":
            slot = self.index[row].item()
            return slot, self.product(row) * self.scale[slot]
        if self.fusions == "combine":
            token = self.token_of_row[row].item()
            slots = range(token * self.top_k, (token + 1) * self.top_k)
            return token, sum(self.product(self.row_of_slot[slot].item()) * self.scale[slot] for slot in slots)
        if self.fusions == "gather+swiglu":
            gate, up = self.product(row).chunk(2)
            return row, torch.nn.functional.silu(gate) * up
        return row, self.product(row)

    def check(self, output):
        """Raises unless some rows, the first and the last among them, are right in `output`."""
        tolerance = 2 * TOLERANCE if self.fusions in ("gather+swiglu", "combine") else TOLERANCE
        for row in {0, self.rows - 1, *torch.randint(self.rows, (CHECKED_ROWS,)).tolist()}:
            number, expected = self.expected(row)
            error = ((output[number].float() - expected).norm() / expected.norm()).item()
            if not error < tolerance:
                raise ValueError(f"row {number}: relative error {error}")


def torch_steps(case, results):
    """Named steps; each leaves its tensor in `results`."""
    weights = case.w.transpose(1, 2)
    scale = case.scale.to(torch.bfloat16)[:, None]

    def gather():
        results["x"] = case.x.index_select(0, case.token_of_row)

    def product():
        results["y"] = torch._grouped_mm(results.get("x", case.x), weights, offs=case.ends)

    def swiglu():
        gate, up = results["y"].chunk(2, dim=1)
        results["y"] = torch.nn.functional.silu(gate).mul_(up)

    def scatter():
        results["y"] = results["y"].index_select(0, case.row_of_slot).mul_(scale)

    def total():
        results["y"] = results["y"].view(case.tokens, case.top_k, case.n).sum(1)

    steps = {"product": product}
    if case.gathers:
        steps = {"index_select": gather, **steps}
    if case.fusions == "gather+swiglu":
        steps["swiglu"] = swiglu
    if case.fusions in ("scatter+scale", "combine"):
        steps["index_select and scale"] = scatter
    if case.fusions == "combine":
        steps["sum"] = total
    return steps


def time_torch(case, timer):
    results = {}
    steps = torch_steps(case, results)

    def together():
        for step in steps.values():
            step()

    together()
    torch.cuda.synchronize()
    case.check(results["y"])
    (total,) = timer.medians([together], case.tokens)
    parts = {}
    if len(steps) > 1:
        parts = dict(zip(steps, timer.medians(list(steps.values()), case.tokens, PART_ROUNDS)))
    return total, parts


def measure_ceilings(timer, out):
    size = 4 << 30
    source = torch.ones(size, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    (copy,) = timer.medians([lambda: target.copy_(source)], 0)
    (fill,) = timer.medians([lambda: target.zero_()], 0)
    out.line(ceiling="copy", gbps=2 * size / copy / 1e3)
    out.line(ceiling="write", gbps=size / fill / 1e3)
    del source, target
    a, b = (torch.randn(8192, 8192, dtype=torch.bfloat16, device="cuda") for _ in range(2))
    time.sleep(3)
    for count in (3, 10, 100):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        for _ in range(count):
            torch.mm(a, b)
        end.record()
        end.synchronize()
        if count > 3:
            out.line(ceiling=f"matmul 8192^3, {count} in a row after 3 s of rest",
                     tflops=count * 2 * 8192**3 / begin.elapsed_time(end) / 1e9)
        time.sleep(3 if count == 10 else 0)


def list_of(known):
    def parse(text):
        names = text.split(",")
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"unknown '{name}'; known: {', '.join(known)}")
        return names
    return parse


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--routing-counts", metavar="FILE")
    parser.add_argument("--models", type=list_of(MODELS), default=list(MODELS))
    parser.add_argument("--tokens", default="1,16,64,256,1024,4096,16384")
    parser.add_argument("--fusions", type=list_of(FUSIONS), default=list(FUSIONS))
    parser.add_argument("--triton", action="store_true")
    parser.add_argument("--compile-triton", action="store_true")
    parser.add_argument("--no-ceilings", action="store_true")
    parser.add_argument("--seconds", type=float, default=3, metavar="S")
    parser.add_argument("--out", metavar="FILE")
    arguments = parser.parse_args()
    if not arguments.routing_counts and not arguments.compile_triton:
        parser.error("--routing-counts is missing")
    return arguments


def time_case(case, timer, with_triton):
    row = {"problem": case.key, "us": {}}
    errors = []
    try:
        row["us"]["torch"], row["parts_us"] = time_torch(case, timer)
    except Exception as error:  # one problem that fails is no reason to lose the others
        errors.append(f"torch: {error}")
    if with_triton and case.fusions in TRITON_FUSIONS:
        import triton_grouped
        try:
            row["us"]["triton"], row["triton_config"] = triton_grouped.best_time(case, timer)
        except Exception as error:
            errors.append(f"triton: {error}")
    if errors:
        row["error"] = "; ".join(errors)
    return row


def main():
    arguments = parse_arguments()
    if arguments.compile_triton:
        import triton_grouped
        triton_grouped.compile_all(Case)
        return
    with open(arguments.routing_counts) as file:
        routing_counts = json.load(file)
    torch.manual_seed(1234)
    timer = Timer(arguments.seconds)
    out = Output(arguments.out)
    out.line(device=torch.cuda.get_device_name(), torch=torch.__version__, command=" ".join(sys.argv))
    if not arguments.no_ceilings:
        measure_ceilings(timer, out)
    for model in arguments.models:
        experts, top_k, hidden, intermediate = MODELS[model]
        for gemm, (n, k) in {"gate_up": (2 * intermediate, hidden), "down": (hidden, intermediate)}.items():
            fusions = [f for f in arguments.fusions if gemm in FUSIONS[f]]
            if not fusions:
                continue
            w = torch.randn(experts, n, k, dtype=torch.bfloat16, device="cuda").mul_(k**-0.5)
            for tokens in map(int, arguments.tokens.split(",")):
                for fusion in fusions:
                    case = Case(fusion, tokens, top_k, routing_counts[model][str(tokens)], w)
                    out.line(**time_case(case, timer, arguments.triton))
            del w, case
            torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
