#!/usr/bin/env python3
"""Times variants of the text of sm90_wgmma beside each other, within seconds: for work on the kernel.

Usage: kernel_lab.py build LIST FOLDER                        (nvcc; no GPU)
       kernel_lab.py run FOLDER --routing-counts FILE [--seconds S]   (torch, a Hopper GPU, libcuda)

LIST names problems, and indented below each the variants that are timed interleaved on it:

    qwen3-30b-a3b gather 16384
      block_m=128 block_n=256 cluster=2
      block_m=128 block_n=256 cluster=2 MY_IDEA=1
    qwen3-30b-a3b plain@down 16
      block_m=8 block_n=128 block_k=256

Small letters are parameters of the family (stages: as many as fit), capitals are -D options of an idea that the text
tests by `#if`. A variant whose registers spill or whose wgmma is serialised is named when it is built. Each is run once
on outputs full of NaN and compared with torch._grouped_mm bit for bit, then timed as `moetune bench` times; the fastest
stands first. Nothing of this is a result: what is worth keeping goes into the space, and `moetune tune` judges it.
"""
import argparse
import ctypes
import hashlib
import json
import pathlib
import subprocess
import sys
import time

from models import MODELS

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEFAULTS = {"block_k": 64, "block_m": 128, "block_n": 256, "cluster": 1, "consumers": 2, "group_m": 16, "pingpong": 0,
            "sort": 0, "tail_step": 16}
AT_LAUNCH = ["group_m", "sort"]  # arguments of the launch: LaunchArgs has them
FUSIONS = ["gather", "scatter", "scale", "swiglu", "preact", "combine"]
GEMMS = {"gather": "gate_up", "plain": "gate_up", "plain@down": "down", "scatter": "down", "scatter+scale": "down"}
SHARED_BYTES, SMS = 232448, 132
FLUSH_BYTES, HANG_SECONDS = 256 << 20, 5


def shared_bytes(p, experts, stages):
    """As Parameters::SharedBytes of families/sm90_wgmma.cc."""
    blocks = p["block_n"] // (64 * (1 if p["pingpong"] else p["consumers"]))
    return (stages * ((p["block_m"] + p["block_n"]) * p["block_k"] * 2 + 16)
            + p["consumers"] * 2 * min(p["block_m"], 16) * (128 * blocks + 16)
            + 4 * (16 + 16) + p["consumers"] * p["block_m"] * 8 + experts * 16)


def read_list(path):
    problems = []
    for line in pathlib.Path(path).read_text().splitlines():
        words = line.split("#")[0].split()
        if not words:
            continue
        if not line[0].isspace():
            model, fusions, tokens = words
            if model not in MODELS or fusions not in GEMMS:
                sys.exit(f"{line}: models are {', '.join(MODELS)}; fusions {', '.join(GEMMS)}")
            problems.append({"model": model, "fusions": fusions.split("@")[0], "gemm": GEMMS[fusions],
                             "tokens": int(tokens), "variants": []})
            continue
        given = {name: int(value) for name, value in (word.split("=") for word in words)}
        p = {**DEFAULTS, **{name: value for name, value in given.items() if name.islower()}}
        experts = MODELS[problems[-1]["model"]][0]
        fit = [s for s in range(2, 9) if shared_bytes(p, experts, s) <= SHARED_BYTES]
        if not fit:
            sys.exit(f"{line.strip()}: no two stages fit in shared memory")
        p.setdefault("stages", fit[-1])
        problems[-1]["variants"].append({"name": " ".join(words), "parameters": p,
                                         "ideas": {k: v for k, v in given.items() if k.isupper()}})
    return problems


def build(arguments):
    folder = pathlib.Path(arguments.folder)
    folder.mkdir(parents=True, exist_ok=True)
    problems = read_list(arguments.list)
    for problem in problems:
        fused = {f"FUSE_{f.upper()}": int(f in problem["fusions"].split("+")) for f in FUSIONS}
        for variant in problem["variants"]:
            defines = {"OPERAND": "bf16", "OUTPUT": "bf16", "INDEX": "int", "WEIGHT": "fp32", **fused, **variant["ideas"],
                       **{name.upper(): value for name, value in variant["parameters"].items() if name not in AT_LAUNCH}}
            options = [f"-D{name}={value}" for name, value in sorted(defines.items())]
            variant["cubin"] = hashlib.sha256(" ".join(options).encode()).hexdigest()[:16] + ".cubin"
            done = subprocess.run(["nvcc", "-std=c++17", "-cubin", "-gencode=arch=compute_90a,code=sm_90a", f"-I{ROOT}",
                                   "-Xptxas", "-v", *options, "-x", "cu", ROOT / "kernels/families/sm90_wgmma.cuh", "-o",
                                   folder / variant["cubin"]], capture_output=True, text=True, check=False)
            text = done.stdout + done.stderr
            bad = [line.strip() for line in text.splitlines()
                   if ("spill" in line and " 0 bytes spill stores" not in line) or "C75" in line or "error" in line]
            if done.returncode != 0 or bad:
                print(f"{variant['name']}: {bad or text[-300:]}")
    (folder / "problems.json").write_text(json.dumps(problems))


class Args(ctypes.Structure):  # kernels/device/args.h
    _fields_ = ([(name, ctypes.c_void_p) for name in "x w y row_counts row_index scale preact workspace".split()]
                + [(name, ctypes.c_longlong) for name in "tokens rows experts top_k n k".split()])


class LaunchArgs(ctypes.Structure):  # kernels/device/args.h
    _fields_ = [(name, ctypes.c_int) for name in "multiplier shift queue group_m sort".split()]


class Lab:
    """What is on the GPU: the weights of one GEMM at a time, and a problem's other tensors."""

    def __init__(self, folder, counts):
        import torch  # only where there is a GPU
        self.torch, self.folder, self.counts = torch, folder, counts
        torch.zeros(1, device="cuda")
        self.cuda = ctypes.CDLL("libcuda.so.1")
        self.flush = torch.empty(FLUSH_BYTES, dtype=torch.uint8, device="cuda")
        self.weights_of, self.w = None, None

    def check(self, code):
        if code != 0:
            raise RuntimeError(f"CUDA error {code}")

    def set_problem(self, problem):
        torch, (experts, top_k, hidden, inner) = self.torch, MODELS[problem["model"]]
        n, k = (2 * inner, hidden) if problem["gemm"] == "gate_up" else (hidden, inner)
        if self.weights_of != (problem["model"], problem["gemm"]):
            self.w = torch.empty(experts, n, k, device="cuda", dtype=torch.bfloat16)
            for expert in self.w:
                expert.copy_(torch.randn(n, k, device="cuda") * k ** -0.5)
            self.weights_of = (problem["model"], problem["gemm"])
        gather = "gather" in problem["fusions"]
        counts = self.counts[problem["model"]][str(problem["tokens"])]
        self.row_counts = torch.tensor(counts, dtype=torch.int32, device="cuda")
        self.rows, self.counts_list = sum(counts), counts
        self.index = torch.randperm(self.rows).to(torch.int32).cuda()
        self.x = torch.randn(problem["tokens"] if gather else self.rows, k, device="cuda").bfloat16()
        self.y = torch.empty(self.rows, n, device="cuda", dtype=torch.bfloat16)
        self.scale = torch.rand(self.rows, device="cuda")
        self.sizes = {"tokens": problem["tokens"], "rows": self.rows, "experts": experts, "top_k": top_k, "n": n, "k": k}
        read = self.x[(self.index // top_k).long()] if gather else self.x
        self.wanted = torch._grouped_mm(read, self.w.transpose(1, 2), offs=torch.cumsum(self.row_counts, 0).int())
        if "scatter" in problem["fusions"]:
            place = self.index.long()
            product = self.wanted.float() * (self.scale[place][:, None] if "scale" in problem["fusions"] else 1)
            self.wanted = torch.empty_like(self.wanted)
            self.wanted[place] = product.bfloat16()
        self.gather = gather

    def encode(self, address, tensor, sizes, pitches, box):
        rank = len(sizes)
        self.check(self.cuda.cuTensorMapEncodeTiled(
            ctypes.c_void_p(address), 9, rank, ctypes.c_void_p(tensor.data_ptr()), (ctypes.c_uint64 * rank)(*sizes),
            (ctypes.c_uint64 * (rank - 1))(*pitches), (ctypes.c_uint32 * rank)(*box),
            (ctypes.c_uint32 * rank)(*[1] * rank), 0, 3, 2, 0))  # bf16, swizzle and promotion as runtime/driver.cc

    def launcher(self, variant):
        module, function, p = ctypes.c_void_p(), ctypes.c_void_p(), variant["parameters"]
        self.check(self.cuda.cuModuleLoadData(ctypes.byref(module), (self.folder / variant["cubin"]).read_bytes()))
        self.check(self.cuda.cuModuleGetFunction(ctypes.byref(function), module, b"moe_kernel"))
        shared = shared_bytes(p, self.sizes["experts"], p["stages"])
        self.check(self.cuda.cuFuncSetAttribute(function, 8, shared))
        tokens, cluster = p["block_m"] * p["cluster"], p["cluster"]
        tiles = sum(-(-rows // tokens) for rows in self.counts_list) * -(-self.sizes["n"] // p["block_n"])
        grid = min(tiles, SMS // cluster) * cluster
        args = Args(x=self.x.data_ptr(), w=self.w.data_ptr(), y=self.y.data_ptr(), row_counts=self.row_counts.data_ptr(),
                    row_index=self.index.data_ptr(), scale=self.scale.data_ptr(), **self.sizes)
        buffer = ctypes.create_string_buffer(320)
        maps = (ctypes.addressof(buffer) + 63) & ~63  # TensorMaps: of w, then of x
        n, k = self.sizes["n"], self.sizes["k"]
        self.encode(maps, self.w, [k, n, self.sizes["experts"]], [2 * k, 2 * n * k], [64, p["block_n"] // cluster, 1])
        if not self.gather:
            self.encode(maps + 128, self.x, [k, self.rows], [2 * k], [64, min(p["block_m"], 16)])
        # As Parameters::draws_tiles of families/sm90_wgmma.cc; all launches are on one stream.
        queue = 0 if cluster == 1 and p["block_m"] > 32 else -1
        shift = (self.sizes["top_k"] - 1).bit_length()
        planned = LaunchArgs((1 << (30 + shift)) // self.sizes["top_k"] + 1, shift, queue, p["group_m"], p["sort"])
        parameters = (ctypes.c_void_p * 3)(ctypes.addressof(args), ctypes.addressof(planned), maps)

        def launch(_keep=(module, args, buffer, planned)):
            self.check(self.cuda.cuLaunchKernel(function, grid, 1, 1, 128 * (1 + p["consumers"]), 1, 1, shared,
                                                ctypes.c_void_p(self.torch.cuda.current_stream().cuda_stream), parameters,
                                                None))
        return launch

    def verify(self, variant, launch):
        self.y.fill_(float("nan"))
        launch()
        done, begin = self.torch.cuda.Event(), time.time()
        done.record()
        while not done.query():
            if time.time() - begin > HANG_SECONDS:
                sys.exit(f"{variant['name']}: still running after {HANG_SECONDS} s")  # its context is lost
        return self.torch.equal(self.y, self.wanted)

    def sample(self, launch):
        begin, end = (self.torch.cuda.Event(enable_timing=True) for _ in range(2))
        self.torch.cuda._sleep(400_000)  # the host is ahead
        self.flush.zero_()
        begin.record()
        launch()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end) * 1e3


def run(arguments):
    folder, begin = pathlib.Path(arguments.folder), time.time()
    lab = Lab(folder, json.loads(pathlib.Path(arguments.routing_counts).read_text()))
    for problem in json.loads((folder / "problems.json").read_text()):
        if time.time() - begin > arguments.seconds:
            sys.exit(f"ended after {arguments.seconds} s")
        lab.set_problem(problem)
        long = problem["tokens"] >= 4096
        timed = []
        for variant in problem["variants"]:
            launch = lab.launcher(variant)
            timed.append((variant["name"], "" if lab.verify(variant, launch) else "WRONG ", launch, []))
        for _ in range(9 if long else 15):
            for _, _, launch, samples in timed:
                samples.append(lab.sample(launch))
                time.sleep(0.004 + 2e-6 * samples[-1] if long else 0)
        print(problem["model"], problem["gemm"], problem["fusions"], problem["tokens"])
        for us, verdict, name in sorted((sorted(s)[len(s) // 2], verdict, name) for name, verdict, _, s in timed):
            print(f"  {us:9.1f} µs  {verdict}{name}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("build")
    command.add_argument("list")
    command.add_argument("folder")
    command.set_defaults(do=build)
    command = commands.add_parser("run")
    command.add_argument("folder")
    command.add_argument("--routing-counts", required=True)
    command.add_argument("--seconds", type=float, default=120)
    command.set_defaults(do=run)
    arguments = parser.parse_args()
    arguments.do(arguments)


main()
