"""Decode steps, prompts and memory of our own modules on a device, beside the least time that each can take.

`python -m benchmarks.gpu llama3.1-8b --steps 1x1024,8x16384 --prompts 8192 --chip h100` prints CSV, whose columns
benchmarks/README.md tells. A time below its bound, or memory other than what profiles say, is an error: exit 1.
"""

import argparse
import contextlib
import csv
import importlib
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

import llmarch_cli as llmarch
from llmarch_cli.components.cache import Rows
from llmarch_cli.errors import InputError
from llmarch_cli.modules.builder import ExpertStack, Model, build
from llmarch_cli.modules.cache import Cache, TensorCache
from llmarch_cli.profilers.cost import StateDtype, Workload
from llmarch_cli.profilers.profile import Profile, profile
from llmarch_cli.profilers.storage import stored_parts
from llmarch_cli.specs.spec import ModelSpec

COLUMNS = (
    *("job", "modules", "model", "batch", "context", "seconds", "kv_cache_bytes", "flops", "distinct_experts"),
    *("peak_bytes", "bound_seconds", "share"),
)
DTYPES: dict[StateDtype, torch.dtype] = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
STEP_RUNS, PROMPT_RUNS = 10, 3  # of which the median counts


# --- bounds ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ceilings:
    """What a chip can do at most: bytes and FLOPs per second."""

    bandwidth: float
    peak: float


def ceilings(chip: str | None, bandwidth: float | None, peak: float | None, dtype: str) -> Ceilings | None:
    """Those of a chip, by name or from its YAML file; given numbers replace its own. None if nothing is given."""
    if chip is not None and Path(chip).is_file():
        data = yaml.safe_load(Path(chip).read_text())
        bandwidth, peak = bandwidth or data["bandwidth"], peak or data["peak"][dtype]
    elif chip is not None:
        try:
            named = importlib.import_module("llmarch_cli.deployment.chips").chip(chip)
        except ModuleNotFoundError:
            raise SystemExit(f"{chip}: no such file; give one, or --bandwidth and --peak") from None
        bandwidth, peak = bandwidth or named.bandwidth, peak or named.peak_of(dtype)
    if bandwidth is None and peak is None:
        return None
    if bandwidth is None or peak is None:
        raise SystemExit("--bandwidth and --peak go together; give both, or a chip")
    return Ceilings(bandwidth, peak)


def bound(found: Profile, most: Ceilings, flops: int, cache_bytes: int, distinct_experts: float | None) -> float:
    """The least seconds of a step or a prompt: its bytes over the bandwidth, or its FLOPs over the peak.

    Weights are read once; of experts, as many of a layer as tokens chose (None: unknown, and none counts).
    """
    n_bytes = float(cache_bytes)
    for place, total in stored_parts(found.spec, found.workload.weights):
        if place.item.mtp:
            continue
        if place.item.role == "embedding" and found.spec.tie_embeddings:
            n_bytes += total  # the head reads it whole
        elif place.item.role in ("embedding", "layer embedding", "position"):
            continue  # read by rows
        elif place.is_experts and place.matrices is not None:
            n_bytes += total * (distinct_experts or 0) / place.matrices.number
        else:
            n_bytes += total
    return max(n_bytes / most.bandwidth, flops / most.peak)


# --- modules --------------------------------------------------------------------------------------------------------


class FixedCache(TensorCache):
    """A layer's cache of one length: each step writes its row over the last one, and nothing is copied."""

    def append(self, **new: Tensor) -> tuple[Tensor, ...]:
        in_view = []
        for short, values in new.items():
            name = self._prefix + short
            rows = self.stored[name]
            if values.shape[1]:  # a row of several tokens is there with the last of them only
                rows[:, -1:] = values
            if name in self.wanted:
                self.left[name] = rows
            in_view.append(rows)
        return tuple(in_view)

    def keep(self, **states: Tensor) -> None:
        for short, values in states.items():
            self.stored[self._prefix + short].copy_(values)


def fixed_cache(model: Model, batch: int, context: int) -> Cache:
    """A cache of `context` tokens, the last of which a step writes anew; of random values."""
    weight = model.embedding.tokens.weight
    cache = model.new_cache(batch)
    for layer in cache.layers:
        layer.__class__ = FixedCache  # with what the model's own cache knows of other layers
        for name, entry in layer.entries.items():
            shape = (entry.view.rows(context), entry.width) if isinstance(entry, Rows) else entry.shape
            in_float32 = not isinstance(entry, Rows) and entry.dtype == "fp32"
            dtype = torch.float32 if in_float32 else weight.dtype
            layer.stored[name] = torch.randn((batch, *shape), dtype=dtype, device=weight.device) / 10
    return cache


def stepper(model: Model, batch: int, context: int) -> tuple[Callable[[], Tensor], Cache]:
    """A decode step that can be run again and again, and its cache."""
    cache = fixed_cache(model, batch, context)
    tokens = random_tokens(model, batch, 1)

    def step() -> Tensor:
        cache.step.length = context - 1
        logits: Tensor = model(tokens, cache)
        return logits

    return step, cache


def random_tokens(model: Model, batch: int, n_tokens: int) -> Tensor:
    device = model.embedding.tokens.weight.device
    return torch.randint(model.spec.vocab_size, (batch, n_tokens), device=device)


@contextlib.contextmanager
def counted_experts(model: Model) -> Iterator[list[int]]:
    """The number of distinct experts that each product of experts has, in the order of the calls."""
    found: list[int] = []

    def count(_stack: torch.nn.Module, inputs: tuple[Any, ...]) -> None:
        found.append(int(inputs[1].unique().numel()))

    stacks = [module for module in model.layers.modules() if isinstance(module, ExpertStack)]
    hooks = [stack.register_forward_pre_hook(count) for stack in stacks]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


# --- measuring ------------------------------------------------------------------------------------------------------


@dataclass
class Bench:
    """Measurements of one model on a device, as rows of a table."""

    spec: ModelSpec
    device: torch.device
    dtype: StateDtype
    is_compiled: bool
    most: Ceilings | None
    write: Callable[[dict[str, Any]], None]
    failures: int = 0

    def run(self, steps: list[tuple[int, int]], prompts: list[int]) -> None:
        """Build the model, and measure its memory, each step (batch, context) and each prompt."""
        self.reached()
        before = self.allocated()
        model = build(self.spec, self.device, DTYPES[self.dtype], seed=0)
        weights = self.allocated() - before if self.is_cuda else own_bytes(model)
        self.row("weights", peak_bytes=weights)
        self.expect("bytes of weights", own_bytes(model, learned=True), self.profiled(1).weight_bytes)
        experts = [self.experts(model, batch, context) for batch, context in steps]
        if self.is_compiled:
            torch._dynamo.config.recompile_limit = 1000  # all blocks are one function to the compiler
            for block in model.layers:
                block.compile(fullgraph=True, dynamic=False)
        for (batch, context), distinct in zip(steps, experts, strict=True):
            self.step(model, batch, context, distinct)
        for n_tokens in prompts:
            self.prompt(model, n_tokens)

    def reached(self) -> None:
        """What the device does at best in a product of matrices, and in a copy, which reads and writes."""
        n, n_values = (8192, 2**29) if self.is_cuda else (512, 2**22)
        options: Any = {"dtype": DTYPES[self.dtype], "device": self.device}
        factor, values = torch.randn((n, n), **options), torch.zeros(n_values, **options)
        target = torch.empty_like(values)
        n_bytes = 2 * values.numel() * values.element_size()
        least = (None, None) if self.most is None else (2 * n**3 / self.most.peak, n_bytes / self.most.bandwidth)
        self.row("product", self.median(lambda: factor @ factor, STEP_RUNS), least[0], flops=2 * n**3)
        self.row("copy", self.median(lambda: target.copy_(values), STEP_RUNS), least[1])

    @property
    def is_cuda(self) -> bool:
        return self.device.type == "cuda"

    def allocated(self) -> int:
        return torch.cuda.memory_allocated(self.device) if self.is_cuda else 0

    def experts(self, model: Model, batch: int, context: int) -> float | None:
        """Distinct experts of a layer in a step; None for a model without any."""
        if not any(isinstance(module, ExpertStack) for module in model.layers.modules()):
            return None
        step, _ = stepper(model, batch, context)
        with counted_experts(model) as found:
            step()
        return statistics.fmean(found)

    def step(self, model: Model, batch: int, context: int, distinct: float | None) -> None:
        self.fresh()
        step, cache = stepper(model, batch, context)
        seconds = self.median(self.replayed(step), STEP_RUNS)
        found = self.profiled(context, batch)
        kept = sum(
            size
            for layer in cache.layers
            for name, size in layer.bytes_by_name.items()
            if isinstance(layer.entries[name], Rows)
        )
        self.expect("bytes of cached rows", kept, found.kv_cache_bytes)
        flops = found.flops_per_token * batch
        # Where index keys choose rows, only they are sure to be read.
        read = (found.index_bytes or found.kv_cache_bytes) + found.state_bytes
        least = None if self.most is None else bound(found, self.most, flops, read, distinct)
        sizes = {"batch": batch, "context": context, "kv_cache_bytes": kept, "flops": flops}
        self.row("decode", seconds, least, **sizes, distinct_experts=distinct, peak_bytes=self.peak_bytes())

    def prompt(self, model: Model, n_tokens: int) -> None:
        self.fresh()
        tokens = random_tokens(model, 1, n_tokens)

        def run() -> Tensor:
            return model.logits(model.hidden(tokens)[:, -1:])

        seconds = self.median(run, PROMPT_RUNS)
        found = self.profiled(n_tokens)
        flops = found.prefill_flops
        least = None if self.most is None else bound(found, self.most, flops, 0, None)
        peak = self.peak_bytes()
        self.row("prefill", seconds, least, batch=1, context=n_tokens, flops=flops, peak_bytes=peak)

    def profiled(self, context: int, batch: int = 1) -> Profile:
        """What profiles say of modules whose weights and rows are of this dtype."""
        asked = Workload(context, batch, self.dtype, weights=self.dtype)
        return profile(self.spec, asked, "closed-form")

    def replayed(self, step: Callable[[], Any]) -> Callable[[], Any]:
        """A CUDA graph of `step`, where one can be made; else the step itself."""
        if not self.is_cuda:
            return step
        stream = torch.cuda.Stream(self.device)
        stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(stream):
            for _ in range(3):  # kernels are chosen, and blocks compiled, before
                step()
        torch.cuda.current_stream(self.device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                step()
        except RuntimeError as error:
            print(f"no CUDA graph, so run by run: {str(error).splitlines()[0]}", file=sys.stderr)
            torch.cuda.synchronize(self.device)
            return step
        return graph.replay

    def median(self, run: Callable[[], Any], n_runs: int) -> float:
        """The median seconds, after one run that does not count."""
        taken = []
        for _ in range(n_runs + 1):
            self.synchronize()
            started = time.perf_counter()
            run()
            self.synchronize()
            taken.append(time.perf_counter() - started)
        return statistics.median(taken[1:])

    def synchronize(self) -> None:
        if self.is_cuda:
            torch.cuda.synchronize(self.device)

    def fresh(self) -> None:
        if self.is_compiled:  # shapes of another measurement would make variables of those of this one
            torch.compiler.reset()
        if self.is_cuda:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)

    def peak_bytes(self) -> int | None:
        return torch.cuda.max_memory_allocated(self.device) if self.is_cuda else None

    def row(self, job: str, seconds: float | None = None, least: float | None = None, **values: Any) -> None:
        share = None if least is None or seconds is None else least / seconds
        if share is not None and share > 1:
            self.fail(f"{job} {values}: {seconds:.6f} s, less than the bound of {least:.6f} s")
        timed = {"seconds": seconds, "bound_seconds": least}
        rounded = {name: None if value is None else f"{value:.6f}" for name, value in timed.items()}
        shown = {"share": None if share is None else f"{share:.3f}"}
        modules = "compiled blocks" if self.is_compiled else "eager"
        self.write({"job": job, "modules": modules, "model": self.spec.id, **rounded, **values, **shown})

    def expect(self, what: str, measured: int, told: int) -> None:
        if measured != told:
            self.fail(f"{what}: {measured:,} on the device, {told:,} by the profile")

    def fail(self, words: str) -> None:
        self.failures += 1
        print(f"{self.spec.id}: {words}", file=sys.stderr)


def own_bytes(model: Model, learned: bool = False) -> int:
    """Bytes of the tensors of a model; of its parameters alone, and without prediction blocks, if `learned`."""
    tensors = {*model.parameters()} - {*model.mtp.parameters()} if learned else {*model.parameters(), *model.buffers()}
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


# --- command line ---------------------------------------------------------------------------------------------------


def steps_of(text: str) -> list[tuple[int, int]]:
    """`8x16384,1x1024` as (batch, context) pairs."""
    pairs = []
    for word in filter(None, text.split(",")):
        batch, _, context = word.partition("x")
        pairs.append((positive(batch), positive(context)))
    return pairs


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def numbers_of(text: str) -> list[int]:
    return [positive(word) for word in filter(None, text.split(","))]


def arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.gpu", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", choices=DTYPES, default="bf16", help="of weights and of the cache")
    parser.add_argument("--steps", type=steps_of, default=steps_of("1x1024,8x1024"), help="batch x context, ...")
    parser.add_argument("--prompts", type=numbers_of, default=numbers_of("2048"), help="tokens, ...")
    parser.add_argument("--compile", action="store_true", help="compile each block with torch.compile")
    parser.add_argument("--chip", help="a chip's name, or a YAML file with bandwidth and peak")
    parser.add_argument("--bandwidth", type=float, help="of the device's memory, bytes per second")
    parser.add_argument("--peak", type=float, help="FLOPs per second in --dtype")
    return parser.parse_args(words)


@torch.no_grad()
def main(words: list[str] | None = None) -> int:
    asked = arguments(words)
    most = ceilings(asked.chip, asked.bandwidth, asked.peak, asked.dtype)
    table = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
    table.writeheader()

    def write(row: dict[str, Any]) -> None:
        table.writerow(row)
        sys.stdout.flush()

    failures = 0
    for name in asked.models:
        try:
            spec = llmarch.load(name)
        except InputError as error:
            raise SystemExit(str(error)) from None
        bench = Bench(spec, torch.device(asked.device), asked.dtype, asked.compile, most, write)
        bench.run(asked.steps, asked.prompts)
        failures += bench.failures
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
