"""Run every benchmark and print a table of ratios with their bounds; exit 1 where one is exceeded.

Timings interleave: every round runs each command once, and each command's best round counts, so that a noisy neighbour
does not decide the ratio. Where a line says CPU, it is the median of user CPU time, which a busy machine changes least.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import llmarch_cli as llmarch
from llmarch_cli.deployment.chips import chips
from llmarch_cli.profilers.cost import Workload
from llmarch_cli.profilers.profile import profile

ROUNDS = 7
GOAL = 5 / 6  # of the bound, unless a line has a goal of its own: room for a machine of another kind
MIB = 2**20
PAIR = ("deepseek-v3", "llama4-maverick")
LLMARCH = (sys.executable, "-m", "llmarch_cli")
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

# A process's peak counts what its parent had in memory when it was started, so a small one starts it.
LAUNCHER = """
import json, resource, subprocess, sys, time
started = time.perf_counter()
done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, text=True)
seconds = time.perf_counter() - started
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([done.returncode, seconds, used.ru_utime, used.ru_maxrss, done.stdout]))
"""

# As installed: what is measured is not compiled anew in each run, like torch, which pip compiled.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
ENVIRONMENT["NO_COLOR"] = "1"


@dataclass(frozen=True)
class Run:
    """A finished command."""

    seconds: float
    cpu_seconds: float
    peak_kib: int
    output: str


def run(command: Sequence[str]) -> Run:
    """Run `command` to its end."""
    launcher = [sys.executable, "-I", "-S", "-c", LAUNCHER, *command]
    launched = subprocess.run(launcher, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT, check=True)
    status, seconds, cpu_seconds, peak_kib, output = json.loads(launched.stdout)
    if status:
        raise SystemExit(f"{' '.join(command)}: exit {status}")
    return Run(seconds, cpu_seconds, peak_kib, output)


def best(runs: Sequence[Run]) -> Run:
    """The fastest, with the median of user CPU time and the smallest peak of all."""
    cpu_seconds = median(r.cpu_seconds for r in runs)
    return Run(min(r.seconds for r in runs), cpu_seconds, min(r.peak_kib for r in runs), runs[0].output)


def commands() -> bool:
    """Whole processes, against importing torch. The bounds are for 120 bundled specs."""
    many = (*LLMARCH, "fit", *MODELS, *(word for chip in CHIPS for word in ("--on", chip)))
    bounds = {
        "compare two, measured": ((*LLMARCH, "compare", *PAIR, *MEASURED), 1.15),
        "kvcache of all, measured": ((*LLMARCH, "kvcache", *MEASURED), 1.4),
        "compare two, default": ((*LLMARCH, "compare", *PAIR), 0.2),
        "kvcache of all, default": ((*LLMARCH, "kvcache"), 0.27),
        "compare two, closed form": ((*LLMARCH, "compare", *PAIR, *CLOSED_FORM), 0.2),
        "kvcache of all, closed form": ((*LLMARCH, "kvcache", *CLOSED_FORM), 0.3),
        "list all": ((*LLMARCH, "list"), 0.3),
        "show one, closed form": ((*LLMARCH, "show", "deepseek-v3", *CLOSED_FORM), 0.2),
        "fit one on a device": ((*LLMARCH, "fit", "gpt-oss-120b", "--on", "h200"), 0.25),
        f"fit {len(MODELS)} on {len(CHIPS)} chips": (many, 1.0),
        f"fit {len(MODELS)} on {len(CHIPS)} chips, CSV": ((*many, "--format", "csv"), 1.0),
        "draw 64, one figure each": ((sys.executable, "-c", DRAW_MANY), 2.6),
        "import a config": ((*LLMARCH, "import", str(CONFIG)), 0.3),
    }
    goals = {"compare two, default": 0.15, "kvcache of all, default": 0.2, "compare two, closed form": 0.13}
    runs: dict[str, list[Run]] = {"import torch": [], **{name: [] for name in bounds}}
    for _ in range(ROUNDS):
        runs["import torch"].append(run(FLOOR))
        for name, (command, _bound) in bounds.items():
            runs[name].append(run(command))
    floor = best(runs["import torch"])
    print(f"import torch: {floor.seconds:.3f} s, {floor.peak_kib / 1024:.0f} MiB")
    fine = True
    for name, (_command, bound) in bounds.items():
        mine = best(runs[name])
        fine &= report(f"{name}: time", mine.seconds / floor.seconds, bound, goals.get(name))
        fine &= report(f"{name}: peak memory", mine.peak_kib / floor.peak_kib, 1.2)
    return fine


def peer() -> bool:
    """The same two models, built and counted by transformers and FlopCounterMode."""
    ours = best([run((*LLMARCH, "compare", *PAIR, "--ctx", "1", "--format", "json", *MEASURED)) for _ in range(3)])
    theirs = best([run((sys.executable, "-m", "benchmarks.peer")) for _ in range(3)])
    fine = report("compare two against transformers: time", ours.seconds / theirs.seconds, 1 / 3)
    for name, counted in json.loads(theirs.output).items():
        true = llmarch.profile(name, context=1)
        flops, params = counted["flops_per_token"] / true.flops_per_token, counted["params"] / true.params
        print(f"  {name}: transformers counts {flops:.0%} of its FLOPs and {params:.0%} of its parameters")
    return fine


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


def sweep() -> bool:
    """A million variants of a mixture of experts, against importing torch and against evaluating them one by one."""
    threads = ("env", "OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1")
    command = (*threads, *SWEEP, *varied(MILLION))
    larger = (*threads, *SWEEP, *varied({**MILLION, "ffn.d_ff": "512:4096:512"}))
    rounds = [(run(FLOOR), run(NUMPY), run(command)) for _ in range(ROUNDS)]
    floor, numpy, mine = map(best, zip(*rounds, strict=True))
    fine = report("a million variants: CPU", mine.cpu_seconds / floor.cpu_seconds, 0.4, 0.25)
    fine &= report("a million variants: MiB above NumPy's", (mine.peak_kib - numpy.peak_kib) / 1024, 64)
    fine &= report("8 times as many: peak memory", run(larger).peak_kib / mine.peak_kib, 1.2)
    return fine & report("a million variants: time, of 1/50 one by one", mine.seconds / one_by_one(2**20) * 50, 1)


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


def workers() -> bool:
    """Two worker processes against one, on a sweep that takes one of them 20 seconds or more."""
    axes = {**MILLION, "attention.head_dim": "8:256:8", "ffn.d_ff": "512:6144:512"}
    command = (*SWEEP, *varied(axes), "--scheduler")
    one, two = run((*command, "local:1")), run((*command, "local:2"))
    print(f"  a sweep of {one.seconds:.0f} s with one worker")
    return report("two workers against one: time", two.seconds / one.seconds, 1 / 1.6, 1 / 1.9)


def varied(axes: dict[str, str]) -> list[str]:
    return [word for path, values in axes.items() for word in ("--vary", f"{path}={values}")]


def many() -> bool:
    """Many specs made from the bundled ones, against importing torch."""
    with tempfile.TemporaryDirectory() as folder:
        paths = list(variants_in(Path(folder), 5000))
        page = Path(folder, "report.html")
        floor = best([run(FLOOR) for _ in range(3)])
        caches = best([run((*LLMARCH, "kvcache", *paths, "--format", "csv", *CLOSED_FORM)) for _ in range(2)])
        fine = report("kvcache of 5,000 specs, closed form: CPU", caches.cpu_seconds / floor.cpu_seconds, 6)
        fine &= report("kvcache of 5,000 specs: peak memory", caches.peak_kib / floor.peak_kib, 1)
        paged = run((*LLMARCH, "report", *paths[:300], *CLOSED_FORM, "-o", str(page)))
        fine &= report("report of 300 specs: CPU", paged.cpu_seconds / floor.cpu_seconds, 15)
        fine &= report("report of 300 specs: MiB of HTML", page.stat().st_size / MIB, 8)
        return fine & report("report of 300 specs: peak memory", paged.peak_kib / floor.peak_kib, 1.2)


def variants_in(folder: Path, count: int) -> Iterator[str]:
    """The paths of so many specs, each a bundled one with another vocabulary."""
    names = llmarch.names()
    sizes = {name: llmarch.load(name).vocab_size for name in names}
    for number in range(count):
        turn, name = number // len(names), names[number % len(names)]
        path = folder / f"{name}-{turn}.yaml"
        path.write_text(f"extends: {name}\nname: {name} {turn}\nvocab_size: {sizes[name] + 64 * turn}\n")
        yield str(path)


def growth() -> bool:
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
    fine = report("1,000 layers against 61: time", seconds(1000, 16) / small, 1.25)
    return fine & report("4,096 experts against 16: time", seconds(61, 4096) / small, 1.25)


def report(name: str, ratio: float, bound: float, goal: float | None = None) -> bool:
    """Print one ratio beside its bound and goal."""
    fine = ratio <= bound
    aim = bound * GOAL if goal is None else goal
    verdict = "ok, goal reached" if ratio <= aim else "ok" if fine else "EXCEEDED"
    print(f"  {name:46} {ratio:7.3f}  at most {bound:7.3f}  goal {aim:7.3f}  {verdict}", flush=True)
    return fine


if __name__ == "__main__":
    results = [part() for part in (commands, peer, growth, many, sweep, workers)]
    sys.exit(0 if all(results) else 1)
