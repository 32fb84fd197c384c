"""A grouped GEMM in Triton with the gather in its loads and scatter and scale in its stores: a peer to be timed where
other libraries are not installed. Used by torch_baseline.py --triton.

One program computes one tile of the output. It finds its expert from the row counts on the device. n and k are
multiples of the tile's.
"""
import torch
import triton
import triton.language as tl

MAX_EXPERTS = 256
# block_m, block_n, block_k, warps, stages
CONFIGS = [
    (16, 128, 128, 4, 4),
    (16, 64, 256, 4, 4),
    (32, 128, 128, 4, 4),
    (64, 128, 64, 4, 4),
    (64, 256, 64, 8, 4),
    (128, 128, 64, 8, 4),
    (128, 256, 64, 8, 3),
]
FINALISTS = 2


@triton.jit(do_not_specialize=["experts", "top_k"])
def grouped_kernel(x, w, y, counts, index, scale, experts, top_k, n, k,
                   GATHER: tl.constexpr, SCATTER: tl.constexpr, MAX_E: tl.constexpr, GROUP: tl.constexpr,
                   BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr):
    pid = tl.program_id(0)
    e = tl.arange(0, MAX_E)
    count_of = tl.load(counts + e, mask=e < experts, other=0)
    tiles_of = (count_of + BLOCK_M - 1) // BLOCK_M
    row_tiles = tl.sum(tiles_of, 0)
    column_tiles = n // BLOCK_N
    if pid >= row_tiles * column_tiles:
        return
    # GROUP row tiles share the columns that they read.
    group = pid // (GROUP * column_tiles)
    within = pid % (GROUP * column_tiles)
    group_rows = tl.minimum(row_tiles - group * GROUP, GROUP)
    row_tile = group * GROUP + within % group_rows
    column_tile = within // group_rows

    expert = tl.sum((tl.cumsum(tiles_of, 0) <= row_tile).to(tl.int32), 0)
    first_tile = tl.sum(tl.where(e < expert, tiles_of, 0), 0)
    first_row = tl.sum(tl.where(e < expert, count_of, 0), 0)
    count = tl.sum(tl.where(e == expert, count_of, 0), 0)
    m = (row_tile - first_tile) * BLOCK_M + tl.arange(0, BLOCK_M)
    valid = m < count
    row = first_row + m
    slot = row
    if GATHER or SCATTER:
        slot = tl.load(index + row, mask=valid, other=0)
    source = row
    if GATHER:
        source = slot // top_k

    columns = column_tile * BLOCK_N + tl.arange(0, BLOCK_N)
    depth = tl.arange(0, BLOCK_K)
    a = x + source[:, None].to(tl.int64) * k + depth[None, :]
    b = w + expert.to(tl.int64) * n * k + columns[None, :].to(tl.int64) * k + depth[:, None]
    acc = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.float32)
    for step in range(0, k, BLOCK_K):
        acc = tl.dot(tl.load(a, mask=valid[:, None], other=0.0), tl.load(b), acc)
        a += BLOCK_K
        b += BLOCK_K
    out = acc.to(tl.bfloat16)
    target = row
    if SCATTER:
        out = (out.to(tl.float32) * tl.load(scale + slot, mask=valid, other=0.0)[:, None]).to(tl.bfloat16)
        target = slot
    tl.store(y + target[:, None].to(tl.int64) * n + columns[None, :], out, mask=valid[:, None])


def launcher(case, y, config):
    """A function that enqueues the kernel with this config; None where the tile does not fit the problem."""
    block_m, block_n, block_k, warps, stages = config
    if case.n % block_n or case.k % block_k:
        return None
    experts = len(case.host_counts)
    # As many row tiles as any row counts of this sum can have.
    row_tiles = triton.cdiv(case.rows, block_m) + min(experts, case.rows)
    grid = (row_tiles * (case.n // block_n),)

    def launch():
        grouped_kernel[grid](case.x, case.w, y, case.counts, case.index32, case.scale, experts, case.top_k, case.n,
                             case.k, GATHER=case.fusions == "gather", SCATTER=case.fusions == "scatter+scale",
                             MAX_E=MAX_EXPERTS, GROUP=8, BLOCK_M=block_m, BLOCK_N=block_n, BLOCK_K=block_k,
                             num_warps=warps, num_stages=stages)

    return launch


def fits(config, mean_rows):
    """Whether a tile is near the rows that an expert has: others have never been the fastest."""
    block_m = config[0]
    return min(mean_rows / 2, 128) <= block_m <= max(2 * mean_rows, 32)


def best_time(case, timer):
    """µs and the config of the fastest; each is checked first, and the best by a few samples are timed."""
    y = torch.empty(case.rows, case.n, dtype=torch.bfloat16, device="cuda")
    mean_rows = case.rows / sum(count > 0 for count in case.host_counts)
    probed = []
    for config in CONFIGS:
        launch = launcher(case, y, config)
        if launch is None or not fits(config, mean_rows):
            continue
        y.fill_(float("nan"))
        try:
            launch()
        except triton.runtime.errors.OutOfResources:
            continue
        torch.cuda.synchronize()
        case.check(y)
        probed.append((min(sum(timer.sample([launch])) for _ in range(3)), config, launch))
    probed.sort(key=lambda entry: entry[0])
    return min((timer.medians([launch], case.tokens)[0], config) for _, config, launch in probed[:FINALISTS])


def compile_all(make_case):
    """Runs each config with each of the fusions on a small problem. `make_case` is torch_baseline.Case."""
    w = torch.zeros(2, 256, 256, dtype=torch.bfloat16, device="cuda")
    for fusions in ("gather", "scatter+scale", "plain"):
        case = make_case(fusions, 16, 2, [32, 0], w)
        y = torch.empty(case.rows, case.n, dtype=torch.bfloat16, device="cuda")
        for config in CONFIGS:
            try:
                launcher(case, y, config)()
            except triton.runtime.errors.OutOfResources:
                pass
    torch.cuda.synchronize()
