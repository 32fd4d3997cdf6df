"""Run every benchmark and print a table of ratios with their bounds; exit 1 where one is exceeded.

Timings interleave: every round runs each command once, and each command's best round counts, so that a noisy neighbour
does not decide the ratio. Where a line says CPU, it is the median of user CPU time, which a busy machine changes least.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from math import prod
from pathlib import Path

import llmarch_cli as llmarch
from benchmarks import breakdown
from benchmarks.answers import Asked, asked
from benchmarks.lines import Lines
from benchmarks.processes import LLMARCH, PAIR, Run, best, run
from llmarch_cli.deployment.chips import chips
from llmarch_cli.profilers.cost import Workload
from llmarch_cli.profilers.profile import profile
from llmarch_cli.sweeping.axes import parsed

ROUNDS = 7
MIB = 2**20
CONFIG = Path(__file__).parents[1] / "docs" / "examples" / "config.json"
FLOOR = (sys.executable, "-c", "import torch")
CLOSED_FORM = ("--engine", "closed-form")
MEASURED = ("--engine", "measured")
MODELS, CHIPS = llmarch.names()[:100], chips()[:20]

DRAW_MANY = """
import tempfile, pathlib, llmarch_cli as llmarch
with tempfile.TemporaryDirectory() as folder:
    for name in llmarch.names()[:64]:
        llmarch.draw([name], pathlib.Path(folder, f"{name}.svg"))
"""

DEFAULT = "compare two, default"


OWN_SPEC = """\
extends: qwen3-30b-a3b
name: Mine
n_layers: 40
ffn: {n_experts: 96}
"""


def commands(lines: Lines, others: list[Asked], own: Path) -> None:
    """Whole processes, ours and those of other tools, against importing torch. The bounds are for 120 bundled specs.

    `own` is the file of a spec of the user's. The first round validates and measures it; the best round does not.
    """
    many = (*LLMARCH, "fit", *MODELS, *(word for chip in CHIPS for word in ("--on", chip)))
    bounds = {
        "compare two, measured": ((*LLMARCH, "compare", *PAIR, *MEASURED), 0.95),
        "kvcache of all, measured": ((*LLMARCH, "kvcache", *MEASURED), 1.4),
        DEFAULT: ((*LLMARCH, "compare", *PAIR), 0.15),
        "compare one with a YAML file, default": ((*LLMARCH, "compare", PAIR[0], str(own)), 0.15),
        "kvcache of all, default": ((*LLMARCH, "kvcache"), 0.2),
        "compare two, closed form": ((*LLMARCH, "compare", *PAIR, *CLOSED_FORM), 0.13),
        "kvcache of all, closed form": ((*LLMARCH, "kvcache", *CLOSED_FORM), 0.2),
        "list all": ((*LLMARCH, "list"), 0.25),
        "show one, closed form": ((*LLMARCH, "show", "deepseek-v3", *CLOSED_FORM), 0.15),
        "fit one on a device": ((*LLMARCH, "fit", "gpt-oss-120b", "--on", "h200"), 0.18),
        f"fit {len(MODELS)} on {len(CHIPS)} chips": (many, 1.0),
        f"fit {len(MODELS)} on {len(CHIPS)} chips, CSV": ((*many, "--format", "csv"), 1.0),
        "draw 64, one figure each": ((sys.executable, "-c", DRAW_MANY), 2.6),
        "import a config": ((*LLMARCH, "import", str(CONFIG)), 0.3),
    }
    goals = {
        "compare two, measured": 0.8,
        DEFAULT: 0.1,
        "compare one with a YAML file, default": 0.1,
        "kvcache of all, default": 0.12,
        "compare two, closed form": 0.08,
    }
    ran = {name: command for name, (command, _bound) in bounds.items()}
    ran |= {other.name: other.command for other in others if other.command is not None}
    runs: dict[str, list[Run]] = {"import torch": [], **{name: [] for name in ran}}
    for _ in range(ROUNDS):
        runs["import torch"].append(run(FLOOR))
        for name, command in ran.items():
            runs[name].append(run(command))
    found = {name: best(each) for name, each in runs.items()}
    floor = found["import torch"]
    lines.notes.append(
        f"time and peak memory are in those of `import torch`, {floor.seconds:.3f} s and"
        f" {floor.peak_kib / 1024:.0f} MiB, where nothing else is said"
    )
    for name, (_command, bound) in bounds.items():
        lines.measured(f"{name}: time", found[name].seconds / floor.seconds, bound, goals.get(name))
        lines.measured(f"{name}: peak memory", found[name].peak_kib / floor.peak_kib, 1.2)
    ours = found[DEFAULT]
    lines.notes.append(f"ours, beside other tools, is {DEFAULT}")
    for other in others:
        if other.command is None:
            lines.missing(other.name)
            continue
        theirs = found[other.name]
        lines.beside(f"{other.name}: time", theirs.seconds / floor.seconds, ours.seconds / floor.seconds)
        lines.beside(f"{other.name}: peak memory", theirs.peak_kib / floor.peak_kib, ours.peak_kib / floor.peak_kib)
    if versions := ", ".join(other.version for other in others if other.version):
        lines.notes.append(versions)


def built(lines: Lines) -> None:
    """The same two models, built and counted by transformers and FlopCounterMode."""
    ours = best([run((*LLMARCH, "compare", *PAIR, "--ctx", "1", "--format", "json", *MEASURED)) for _ in range(3)])
    theirs = best([run((sys.executable, "-m", "benchmarks.peer")) for _ in range(3)])
    lines.measured("compare two, measured, of transformers' time to build", ours.seconds / theirs.seconds, 1 / 3)
    for name, counted in json.loads(theirs.output).items():
        true = llmarch.profile(name, context=1)
        flops, params = counted["flops_per_token"] / true.flops_per_token, counted["params"] / true.params
        lines.notes.append(f"{name}: transformers counts {flops:.0%} of its FLOPs and {params:.0%} of its parameters")


# Five axes of 16 values each.
MILLION = {
    "n_layers": "24:84:4",
    "d_model": "1024:8704:512",
    "ffn.n_experts": "16:256:16",
    "ffn.top_k": "1:16",
    "attention.n_kv_heads": "1,2,3,4,5,6,7,8,9,10,11,12,13,16,32,64",
}
NUMPY = (sys.executable, "-c", "import numpy")
SWEEP = (
    *(*LLMARCH, "sweep", "qwen3-235b-a22b"),
    *("--where", "params <= 300B and kv_cache_bytes <= 8GiB", "--pareto=-params,kv_cache_bytes,flops_per_token"),
)


def sweep(lines: Lines) -> None:
    """A million variants of a mixture of experts, against importing torch and against evaluating them one by one."""
    threads = ("env", "OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1")
    command = (*threads, *SWEEP, *varied(MILLION))
    larger = (*threads, *SWEEP, *varied({**MILLION, "ffn.d_ff": "512:4096:512"}))
    rounds = [(run(FLOOR), run(NUMPY), run(command)) for _ in range(ROUNDS)]
    floor, numpy, mine = map(best, zip(*rounds, strict=True))
    lines.measured("a million variants: CPU", mine.cpu_seconds / floor.cpu_seconds, 0.3, 0.25)
    lines.measured("a million variants: MiB above NumPy's", (mine.peak_kib - numpy.peak_kib) / 1024, 64)
    lines.measured("8 times as many: peak memory", run(larger).peak_kib / mine.peak_kib, 1.2)
    lines.measured("a million variants: time, of 1/50 one by one", mine.seconds / one_by_one(2**20) * 50, 1)


def one_by_one(variants: int) -> float:
    """Seconds for so many variants, each changed and profiled by itself: calculated from some of them."""
    from llmarch_cli.specs.changes import changed

    base = llmarch.load("qwen3-235b-a22b")
    values = [
        {
            "n_layers": 24 + 4 * (i % 16),
            "d_model": 1024 + 512 * (i % 7),
            "ffn.n_experts": 16 + i,
            "ffn.top_k": 1 + i % 16,
        }
        for i in range(300)
    ]

    def once() -> float:
        started = time.perf_counter()
        for assignments in values:
            profile(changed(base, assignments), Workload(131_072), "closed-form")
        return time.perf_counter() - started

    return min(once() for _ in range(5)) / len(values) * variants


def workers(lines: Lines) -> None:
    """Two worker processes against one, on a sweep that takes one of them about 20 seconds."""
    axes = {**MILLION, "attention.head_dim": "8:256:8", "ffn.d_ff": "512:14848:512"}
    few, many = ((*SWEEP, *varied(some), "--scheduler") for some in ({"n_layers": "24,48"}, axes))
    started = [best([run((*few, f"local:{n}")) for _ in range(3)]).seconds for n in (1, 2)]
    rounds = [[run((*many, f"local:{n}")) for n in (1, 2)] for _ in range(3)]
    one, two = (best(list(runs)).seconds for runs in zip(*rounds, strict=True))
    lines.measured("two workers against one: time", two / one, 1 / 1.6, 1 / 1.9)
    lines.measured(
        "two workers against one: time behind their start", (two - started[1]) / (one - started[0]), 1 / 1.7, 1 / 1.9
    )
    size = prod(map(n_values, axes.values()))
    lines.notes.append(
        f"workers: a sweep of {size:,} variants takes {one:.1f} s with one and {two:.1f} s with two, of which"
        f" {started[0]:.1f} s and {started[1]:.1f} s are a sweep of two variants: the start of Python and the workers"
    )


def n_values(text: str) -> int:
    """The number of values that an axis has."""
    (values,) = parsed([f"axis={text}"]).values()
    return len(values)


def varied(axes: dict[str, str]) -> list[str]:
    return [word for path, values in axes.items() for word in ("--vary", f"{path}={values}")]


def many(lines: Lines) -> None:
    """Many specs made from the bundled ones, against importing torch."""
    with tempfile.TemporaryDirectory() as folder:
        paths = list(variants_in(Path(folder), 5000))
        page = Path(folder, "report.html")
        floor = best([run(FLOOR) for _ in range(3)])
        caches = best([run((*LLMARCH, "kvcache", *paths, "--format", "csv", *CLOSED_FORM)) for _ in range(2)])
        lines.measured("kvcache of 5,000 specs, closed form: CPU", caches.cpu_seconds / floor.cpu_seconds, 6)
        lines.measured("kvcache of 5,000 specs: peak memory", caches.peak_kib / floor.peak_kib, 1)
        paged = run((*LLMARCH, "report", *paths[:1000], *CLOSED_FORM, "-o", str(page)))
        lines.measured("report of 1,000 specs: CPU", paged.cpu_seconds / floor.cpu_seconds, 30)
        lines.measured("report of 1,000 specs: MiB of HTML", page.stat().st_size / MIB, 16)
        lines.measured("report of 1,000 specs: peak memory", paged.peak_kib / floor.peak_kib, 2)


def variants_in(folder: Path, count: int) -> Iterator[str]:
    """The paths of so many specs, each a bundled one with another vocabulary."""
    names = llmarch.names()
    sizes = {name: llmarch.load(name).vocab_size for name in names}
    for number in range(count):
        turn, name = number // len(names), names[number % len(names)]
        path = folder / f"{name}-{turn}.yaml"
        path.write_text(f"extends: {name}\nname: {name} {turn}\nvocab_size: {sizes[name] + 64 * turn}\n")
        yield str(path)


def growth(lines: Lines) -> None:
    """Cost grows with distinct components: neither with layers nor with experts."""
    spec = llmarch.load("deepseek-v3")
    data = spec.model_dump(exclude_defaults=True)

    def seconds(n_layers: int, n_experts: int) -> float:
        moe = {**data["ffn"]["variants"]["moe"], "n_experts": n_experts}
        variants = {**data["ffn"]["variants"], "moe": moe}
        changed = llmarch.ModelSpec.model_validate(
            {**data, "n_layers": n_layers, "ffn": {**data["ffn"], "variants": variants}}
        )
        return min(timed(changed) for _ in range(20))

    def timed(changed: llmarch.ModelSpec) -> float:
        started = time.perf_counter()
        profile(changed, Workload(131_072), "measured")
        return time.perf_counter() - started

    small = seconds(61, 16)
    lines.measured("1,000 layers against 61: time", seconds(1000, 16) / small, 1.25)
    lines.measured("4,096 experts against 16: time", seconds(61, 4096) / small, 1.25)


def main() -> int:
    """Print one table. Return 1 if a bound is exceeded."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure time and memory.")
    parser.add_argument(
        "--install", action="store_true", help="install llmfit and hf-mem into a scratch directory first"
    )
    parser.add_argument("--profile", action="store_true", help="only say where the time of the default compare goes")
    options = parser.parse_args()
    if options.profile:
        breakdown.main()
        return 0
    lines = Lines()
    with tempfile.TemporaryDirectory() as directory:
        others = list(asked(Path(directory) if options.install else None))
        os.environ["LLMARCH_CACHE"] = directory  # empty, and of nobody else
        own = Path(directory) / "mine.yaml"
        own.write_text(OWN_SPEC)
        lines.head()
        commands(lines, others, own)
    for part in (built, growth, many, sweep, workers):
        part(lines)
    lines.foot()
    if lines.exceeded:
        print(f"Above their bounds: {'; '.join(lines.exceeded)}")
    return 1 if lines.exceeded else 0


if __name__ == "__main__":
    sys.exit(main())
