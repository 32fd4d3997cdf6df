"""The input (`Workload`) and output (`Cost`) of the engines. Every number is an exact integer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from operator import add, sub
from typing import Literal, NamedTuple, TypedDict, get_args

from llmarch_cli.specs.encodings import GGML, NVFP4_GROUP, Encoding, Scaled

Source = Literal["measured", "closed-form"]
Engine = Literal["auto", Source]
ENGINES: tuple[Engine, ...] = ("auto", *get_args(Source))

StateDtype = Literal["bf16", "fp16", "fp32", "fp8"]
KvDtype = Literal[StateDtype, "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "int8", "int4", "nvfp4"]

# Bytes of one value.
DTYPE_BYTES: dict[StateDtype, int] = {"bf16": 2, "fp16": 2, "fp32": 4, "fp8": 1}

# How a cached row is stored: plainly, as ggml's types, as NVFP4, or as integers with a scale and an offset of 16 bits
# for each 64. Scales of whole tensors, which fp8 and nvfp4 may have besides, do not grow with the cache or count.
ROW_ENCODINGS: dict[KvDtype, Encoding] = {
    **{name: Scaled(8 * n_bytes) for name, n_bytes in DTYPE_BYTES.items()},
    **{name: GGML[name] for name in ("q8_0", "q5_1", "q5_0", "q4_1", "q4_0")},
    "int8": Scaled(8, 32, 1, 64),
    "int4": Scaled(4, 32, 1, 64),
    "nvfp4": Scaled(4, 8, 1, NVFP4_GROUP),
}


STATE_BYTES: dict[str, int] = {"fp32": 4, "bf16": 2}  # of one value, by the dtype that a state declares


DEFAULT_CONTEXT = 131_072
MAX_CONTEXT = 2**40  # far above any real prompt, and low enough that other tools read the counts exactly


@dataclass(frozen=True, slots=True)
class Workload:
    """One decoding step: a new token for each of `batch` sequences, with `context` tokens in view, itself included.

    Beside it, one prompt or training sequence of `prompt` tokens, behind `prefix` tokens that are cached already.
    """

    context: int = DEFAULT_CONTEXT
    batch: int = 1
    kv_dtype: KvDtype = "bf16"
    state_dtype: StateDtype | None = None  # of all states; None: each state's own
    weights: str = "bf16"  # a format of `specs/storage.py`, or "native": as the publisher ships them
    prompt: int | None = None  # tokens; None: as many as the context
    prefix: int = 0

    def at(self, context: int) -> Workload:
        """Return the workload at another context."""
        return replace(self, context=context)

    @property
    def settings(self) -> str:
        """Everything but the context, in words."""
        states = f", {self.state_dtype} states" if self.state_dtype else ""
        weights = f", {self.weights} weights" if self.weights != "bf16" else ""
        behind = f" behind {self.prefix:,} cached" if self.prefix else ""
        prompts = f", prompt of {self.prompt_tokens:,} tokens{behind}" if self.prompt or self.prefix else ""
        return f"batch {self.batch:,}, {self.kv_dtype} cache{states}{weights}{prompts}"

    @property
    def prompt_tokens(self) -> int:
        """Tokens of a prompt, without its prefix."""
        return self.context if self.prompt is None else self.prompt

    @property
    def of_prompt(self) -> int:
        """Tokens in view of a prompt's last token."""
        return self.prefix + self.prompt_tokens

    @property
    def longest(self) -> int:
        """The most tokens in view of any token."""
        return max(self.context, self.of_prompt)


class Asked(TypedDict, total=False):
    """The workload and the engine, as keyword arguments.

    Attributes:
        context: tokens in view, the decoded one included; 131,072 by default.
        batch: sequences; KV-cache bytes are for all of them.
        kv_dtype: how cached values are stored: "bf16", "fp16", "fp32", "fp8", "q8_0", "q4_0", "int8", "nvfp4" ...
        state_dtype: the dtype of states; None keeps each in its own: float32, and bfloat16 for convolutions' inputs.
        weights: the storage format of weights, such as "fp8-block" or "q4_k_m"; "native" is what the publisher ships.
        prompt: tokens of a prompt, or of a training sequence; None takes as many as the context.
        prefix: tokens before the prompt that are cached already.
        engine: "measured" builds and runs the modules, "closed-form" calculates, "auto" calculates what both engines
            agreed on before and measures what they did not. None takes `LLMARCH_ENGINE`, else "auto".
    """

    context: int
    batch: int
    kv_dtype: KvDtype
    state_dtype: StateDtype | None
    weights: str
    prompt: int | None
    prefix: int
    engine: Engine | None


class Cost(NamedTuple):
    """The cost of one component, or the sum of several.

    A named tuple: a model makes about thirty, and a frozen dataclass takes three times as long to make.

    Attributes:
        params: learned values.
        active_params: learned values that one token uses.
        buffers: stored values that are not learned.
        kv_cache_bytes: bytes of cached rows (keys, values, latents ...) for the whole batch at the workload's context.
        index_bytes: the part of `kv_cache_bytes` that is index keys, which choose the rows to attend to.
        kv_growth_bytes: the bytes by which one more token makes `kv_cache_bytes` grow at this context. For rows of
            several tokens it is the share of one token, a fraction if that is not whole.
        kv_fixed_bytes: the part of `kv_cache_bytes` that no longer grows: rows whose span is full.
        kv_cache_bytes_without_windows: `kv_cache_bytes` if every layer cached every token.
        state_bytes: bytes of states, which do not depend on the context, for the whole batch.
        partial_bytes: bytes of the inputs of rows that are not complete yet, for the whole batch.
        flops_per_token: FLOPs of decoding one token at the workload's context.
        context_flops: the part of `flops_per_token` that is over rows in view: scores, weighted sums, an indexer.
    """

    params: int = 0
    active_params: int = 0
    buffers: int = 0
    kv_cache_bytes: int = 0
    index_bytes: int = 0
    kv_growth_bytes: int | Fraction = 0
    kv_fixed_bytes: int = 0
    kv_cache_bytes_without_windows: int = 0
    state_bytes: int = 0
    partial_bytes: int = 0
    flops_per_token: int = 0
    context_flops: int = 0

    def __add__(self, other: Cost) -> Cost:  # type: ignore[override]
        return Cost(*map(add, self, other))

    def __sub__(self, other: Cost) -> Cost:
        return Cost(*map(sub, self, other))

    def __mul__(self, count: int) -> Cost:  # type: ignore[override]
        return Cost(*[value * count for value in self])  # type: ignore[arg-type]  # a share may be a fraction

    def __rmul__(self, count: int) -> Cost:  # type: ignore[override]  # that of a tuple repeats it
        return self * count


def sum_of(costs: Iterable[Cost]) -> Cost:
    """The sum of all, without one of all before for each."""
    return Cost(*map(sum, zip(*costs, strict=True)))


def per(total: int, count: int) -> int | Fraction:
    """`total / count`, exactly: an integer if it is whole."""
    if count == 1:
        return total
    return simplest(Fraction(total, count))


def simplest(number: int | Fraction) -> int | Fraction:
    """An integer if `number` is whole."""
    return number.numerator if isinstance(number, Fraction) and number.denominator == 1 else number


COST_FIELDS = Cost._fields
