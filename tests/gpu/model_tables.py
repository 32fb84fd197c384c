"""Tables over the result files of several models, for performance_tables.py: every row by fusions, geometric means over
the models, what fusions, skewed routing and a single token cost, and a list of the rows that miss an aim."""
import collections
import math
import re

from models import MODELS

FUSIONS = ["gather", "gather+swiglu", "scatter+scale", "combine", "plain"]

# What the project aims at on the models that its peers were timed on.
PEER_MOST, LOOP_MOST = 1.02, 1.10  # of a peer's time, by row; the loop knows row counts on the host
PEER_MEANS = {"gather": 1.05, "scatter+scale": 1.10, "plain": 1.04}  # of peer / ours, at least
FLOOR_MEANS = {  # of time / floor by tokens, at most
    "gather": {16: 1.03, 256: 1.03, 1024: 1.07, 4096: 1.12, 16384: 1.07},
    "scatter+scale": {16: 1.05, 256: 1.05, 1024: 1.12, 4096: 1.17, 16384: 1.15},
}
PORTABLE = "sm80_mma"  # a family that is held against one peer alone, by tokens
PORTABLE_PEER, PORTABLE_MOST = "unsloth", {16: 1.10, 256: 1.10, 1024: 1.25, 4096: 1.60}
ONE_TOKEN_FLOORS = 1.15  # and an empty launch, at most
SWIGLU_MOST, COMBINE_MOST, ZIPF_MOST = 1.03, 1.0, 1.10

LISTED = "listed (timed on another card)"

KEY = re.compile(r"\w+/[^/]+/(?P<fusions>[^/]+)/e\d+/t(?P<tokens>\d+)x\d+/n(?P<n>\d+)/k(?P<k>\d+)(/r\d+)?"
                 r"(/(?P<routing>.+))?")


class Row:
    """A row of a result file with the parts of its problem's key."""

    def __init__(self, model, device, row):
        data = row["data"]
        key = KEY.fullmatch(data["problem"])
        self.model, self.device, self.data = model, device, data
        self.fusions, self.routing = key["fusions"], key["routing"] or "softmax"
        self.tokens, self.n, self.k = (int(key[name]) for name in ("tokens", "n", "k"))
        self.family = row["family"] if data["tier"] == "exact" else f"{row['family']} ({data['tier']})"
        self.us, self.floor = data["time_us"], data["floor_us"]
        self.default = data["default_time_us"]
        self.peers, self.listed = data["peers"], data.get("listed", {})
        self.sum = data.get("parts", {}).get("sum")

    def name(self):
        return f"{self.model} {self.fusions} {self.n}x{self.k} t{self.tokens}"

    def place(self):
        return self.model, self.n, self.k, self.tokens


def best(times):
    """The name and µs of the fastest that reads row counts on the device, or None."""
    times = {name: us for name, us in times.items() if name not in ("cublas_loop", "dense")}
    return min(times.items(), key=lambda entry: entry[1]) if times else None


def over(us, ours):
    return us / ours if us and ours else None


def peer_ratio(row):
    return over(best(row.peers)[1], row.us) if best(row.peers) else None


def listed_ratio(row):
    return over(best(row.listed)[1], row.us) if best(row.listed) else None


def text(value, decimals=2):
    """A figure in a table; four digits of a time are enough."""
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value:.{decimals}f}"


def time(us):
    return text(us, 0 if us and us >= 1000 else 1)


def mean(values):
    logs = [math.log(value) for value in values if value]
    return math.exp(sum(logs) / len(logs)) if logs else None


def table(columns, rows):
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def row_table(rows):
    """All rows of some fusions. Peers that ran on the card and those of another card are kept apart."""
    mixed = len({row.routing.split("-")[0] for row in rows}) > 1
    columns = ["model", "n x k", "tokens"] + ["routing"] * mixed
    columns += ["family", "µs", "TFLOP/s", "GB/s", "/ floor", "default µs"]
    with_peers, with_listed = any(row.peers for row in rows), any(row.listed for row in rows)
    columns += ["torch µs", "best peer", "peer µs", "peer / ours"] * with_peers
    columns += ["listed peer", "listed µs", "listed / ours", "loop / ours"] * with_listed
    lines = []
    for row in rows:
        cells = [row.model, f"{row.n} x {row.k}", str(row.tokens)] + [row.routing] * mixed
        cells += [row.family, time(row.us) if row.us else row.data["outcome"], text(row.data["tflops"], 1),
                  text(row.data["gbps"], 0), text(over(row.us, row.floor)), time(row.default)]
        if with_peers:
            name, us = best(row.peers) or ("-", None)
            cells += [time(row.peers.get("torch")), name, time(us), text(peer_ratio(row))]
        if with_listed:
            name, us = best(row.listed) or ("-", None)
            cells += [name, time(us), text(listed_ratio(row)), text(over(row.listed.get("cublas_loop"), row.us))]
        lines.append(cells)
    return table(columns, lines)


class Misses:
    """Rows and means that miss an aim, by aim."""

    def __init__(self):
        self.by_aim = collections.defaultdict(list)
        self.met = collections.Counter()

    def judge(self, aim, name, value, most=None, least=None):
        if value is None:
            return
        fails = value > most if most is not None else value < least
        if fails:
            self.by_aim[aim].append(f"{name} {value:.3f}")
        else:
            self.met[aim] += 1

    def list(self):
        lines = []
        for aim in [*self.by_aim, *(aim for aim in self.met if aim not in self.by_aim)]:
            missed = self.by_aim.get(aim, [])
            count = len(missed) + self.met[aim]
            lines.append(f"- {aim}: {self.met[aim]} of {count}" + (f"; not {', '.join(missed)}" if missed else ""))
        return "\n".join(lines) + "\n"


def means_table(rows, misses):
    """Of the rows on captured row counts, which the aims are about."""
    rows = [row for row in rows if row.routing.startswith("counts-")]
    aimed = len({row.model for row in rows}) == len(MODELS)  # the aims are about all of them together
    with_listed = any(row.listed for row in rows)
    lines = []

    def add(fusions, tokens, of, floor_aim, peer_aim):
        figures = {"/ floor": mean(over(row.us, row.floor) for row in of),
                   "default / ours": mean(over(row.default, row.us) for row in of),
                   "peer / ours": mean(map(peer_ratio, of)), "listed / ours": mean(map(listed_ratio, of))}
        floor_aim, peer_aim = (floor_aim, peer_aim) if aimed else (None, None)
        if floor_aim:
            misses.judge("mean of time / floor", f"{fusions} t{tokens} (aim {floor_aim})", figures["/ floor"],
                         most=floor_aim)
        if peer_aim:
            for title, figure in (("here", "peer / ours"), (LISTED, "listed / ours")):
                misses.judge(f"mean of best peer {title} / ours", f"{fusions} (aim {peer_aim})", figures[figure],
                             least=peer_aim)
        cells = [fusions, str(tokens), str(len(of)), text(figures["/ floor"], 3), text(floor_aim),
                 text(figures["default / ours"], 3), text(figures["peer / ours"], 3), text(peer_aim)]
        lines.append(cells + [text(figures["listed / ours"], 3)] * with_listed)

    for fusions in FUSIONS:
        of_fusions = [row for row in rows if row.fusions == fusions]
        for tokens in sorted({row.tokens for row in of_fusions}):
            add(fusions, tokens, [row for row in of_fusions if row.tokens == tokens],
                FLOOR_MEANS.get(fusions, {}).get(tokens), None)
        if of_fusions:
            add(fusions, "all", of_fusions, None, PEER_MEANS.get(fusions))
    return lines and "Geometric means over the models:\n\n" + table(
        ["fusions", "tokens", "rows", "/ floor", "aim",  "default / ours", "peer / ours", "aim"]
        + ["listed / ours"] * with_listed, lines)


def judge_peers(rows, misses):
    for row in rows:
        if row.data["family"] == PORTABLE:
            most = PORTABLE_MOST.get(row.tokens)
            ratio = over(row.us, row.listed.get(PORTABLE_PEER))
            if most:
                misses.judge(f"{PORTABLE} within its aim of {PORTABLE_PEER}, {LISTED}",
                             f"{row.name()} (aim {most:.2f})", ratio, most=most)
            continue
        for title, times in (("here", row.peers), (LISTED, row.listed)):
            if best(times):
                misses.judge(f"at most {PEER_MOST} of the best peer {title}", row.name(), over(row.us, best(times)[1]),
                             most=PEER_MOST)
            misses.judge(f"at most {LOOP_MOST:.2f} of the loop of cuBLAS products {title}", row.name(),
                         over(row.us, times.get("cublas_loop")), most=LOOP_MOST)


def pairs(rows, fusions, other):
    """Rows with `fusions`, each with that of the same place and routing with `other`."""
    others = {(row.place(), row.routing): row for row in rows if row.fusions == other}
    for row in rows:
        match = others.get((row.place(), row.routing)) if row.fusions == fusions else None
        if match and match.us and row.us:
            yield row, match


def swiglu_table(rows, misses):
    lines = []
    for row, plain in pairs(rows, "gather+swiglu", "gather"):
        ratio = row.us / plain.us
        misses.judge(f"swiglu at most {SWIGLU_MOST} of the GEMM without", row.name(), ratio, most=SWIGLU_MOST)
        lines.append([row.model, str(row.tokens), time(plain.us), time(row.us), text(ratio, 3)])
    return lines and "SwiGLU fused, beside the same GEMM without:\n\n" + table(
        ["model", "tokens", "gather µs", "gather+swiglu µs", "ratio"], lines)


def combine_table(rows, misses):
    lines = []
    for row, scatter in pairs(rows, "combine", "scatter+scale"):
        if row.sum is None:
            continue
        ratio = row.us / (scatter.us + row.sum)
        misses.judge("combine faster than scatter and scale and the sum", row.name(), ratio, most=COMBINE_MOST)
        lines.append([row.model, str(row.tokens), time(row.us), time(scatter.us), time(row.sum), text(ratio, 3)])
    return lines and ("Combine, beside scatter and scale followed by torch's sum over a token's slots, which finds some "
                      "of its input in the L2:\n\n") + table(
        ["model", "tokens", "combine µs", "scatter+scale µs", "sum µs", "ratio"], lines)


def zipf_table(rows, misses):
    softmax = {(row.place(), row.fusions): row for row in rows if row.routing == "softmax"}
    lines = []
    for row in rows:
        base = softmax.get((row.place(), row.fusions))
        if row.routing != "zipf" or base is None or not (row.us and base.us):
            continue
        ratio = row.us / row.floor / (base.us / base.floor)
        misses.judge(f"zipf at most {ZIPF_MOST:.2f} of softmax in time / floor", row.name(), ratio, most=ZIPF_MOST)
        lines.append([row.model, row.fusions, str(row.tokens), text(base.us / base.floor), text(row.us / row.floor),
                      text(ratio, 3)])
    return lines and "Skewed routing, each time over the floor of its own row counts:\n\n" + table(
        ["model", "fusions", "tokens", "softmax / floor", "zipf / floor", "ratio"], lines)


def one_token_table(rows, launches, misses):
    """`launches`: µs of an empty launch by the name of the device."""
    lines = []
    for row in rows:
        launch = launches.get(row.device)
        if row.tokens != 1 or not row.us or not launch:
            continue
        allowed = ONE_TOKEN_FLOORS * row.floor + launch
        misses.judge(f"one token at most {ONE_TOKEN_FLOORS} floors and an empty launch", row.name(), row.us / allowed,
                     most=1)
        lines.append([row.model, row.fusions, f"{row.n} x {row.k}", time(row.us), time(row.floor), time(launch),
                      text(row.us / allowed)])
    return lines and f"One token, beside {ONE_TOKEN_FLOORS} floors and an empty launch:\n\n" + table(
        ["model", "fusions", "n x k", "µs", "floor µs", "launch µs", "µs / both"], lines)


def runs(results):
    """What was run where: `results` by model."""
    commands = {re.sub(r" --device \d+", "", result["command"].replace(model, "MODEL")) for model, result in results.items()}
    lines = [[model, result["device"], result["driver"], result["nvrtc"], result["date"], result.get("state", "")]
             for model, result in results.items()]
    return "\n\n".join(f"`{command}`" for command in sorted(commands)) + "\n\n" + table(
        ["model", "device", "driver", "NVRTC", "date", "state"], lines)


def section(results, launches):
    """The text of several result files, by model."""
    rows = [Row(model, result["device"], row) for model, result in results.items() for row in result["rows"]]
    misses = Misses()
    parts = [runs(results)]
    if any(row.listed for row in rows):
        parts.append("`listed` are times of a peers' file, multiplied by torch here over torch there: on another card than the "
                     "file's they are estimates.\n")
    for fusions in FUSIONS:
        if of_fusions := [row for row in rows if row.fusions == fusions]:
            parts.append(f"{fusions}:\n\n{row_table(of_fusions)}")
    judge_peers(rows, misses)
    parts += [means_table(rows, misses), swiglu_table(rows, misses), combine_table(rows, misses), zipf_table(rows, misses),
              one_token_table(rows, launches, misses)]
    parts.append("Aims, and what misses them:\n\n" + misses.list())
    return "\n".join(part for part in parts if part)
