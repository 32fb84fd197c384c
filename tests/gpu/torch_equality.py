#!/usr/bin/env python3
"""Compares outputs of our kernels with torch._grouped_mm, bit for bit.

Usage: torch_equality.py FOLDER

FOLDER is what `MOETUNE_DUMP=FOLDER config_equality_test` has filled: problems without a rounding of their own, so that
torch accumulates in fp32 and rounds once as we do. Prints a line for each output, and exits with 1 unless those of the
families that use torch's instructions have its bits, and there is one such at least.
"""
import pathlib
import re
import sys

import torch

SAME_INSTRUCTIONS = ("sm90_",)
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def read(path, dtype):
    return torch.frombuffer(bytearray(path.read_bytes()), dtype=dtype).cuda()


def tensor(path, dtype, *shape):
    """A tensor that repeats the block in the file."""
    block = read(path, dtype)
    count = 1
    for size in shape:
        count *= size
    return block.repeat(-(-count // block.numel()))[:count].view(shape)


def compare(path):
    """The problem's key, the family with its config, and how many elements differ."""
    key, candidate = path.read_text().splitlines()
    dtype = DTYPES[key.split("/")[1]]
    experts, tokens, top_k, n, k = map(int, re.search(r"/e(\d+)/t(\d+)x(\d+)/n(\d+)/k(\d+)", key).groups())
    counts = read(path.with_suffix(".counts"), torch.int32)
    index = read(path.with_suffix(".index"), torch.int32).long()
    gather = "/gather/" in key
    x = tensor(path.with_suffix(".x"), dtype, tokens if gather else index.numel(), k)
    w = tensor(path.with_suffix(".w"), dtype, experts, n, k)
    if gather:
        x = x.index_select(0, index // top_k)
    expected = torch._grouped_mm(x, w.transpose(1, 2), offs=counts.cumsum(0, dtype=torch.int32))
    actual = read(path.with_suffix(".y"), dtype).view(expected.shape)
    different = (actual.view(torch.int16) != expected.view(torch.int16)).sum().item()
    return key, candidate, different, actual.numel()


def main():
    equal = wrong = 0
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.key")):
        try:
            key, candidate, different, elements = compare(path)
        except RuntimeError as error:  # torch does not run every shape and dtype
            print(f"{path.name}: {str(error).splitlines()[0]}")
            continue
        print(f"{key} {candidate}: {different} of {elements} differ", flush=True)
        if candidate.startswith(SAME_INSTRUCTIONS):
            equal += different == 0
            wrong += different > 0
    print(f"with torch's instructions: {equal} equal, {wrong} not")
    return 1 if wrong or not equal else 0


if __name__ == "__main__":
    sys.exit(main())
