"""Bounds on time: a step takes at least its bytes over the bandwidth, and its FLOPs over the peak. No torch.

What is assumed, so that no deployment is faster: every weight that a step uses is read once and in its storage format,
and so are the cached rows it attends to and its states; nothing stays on the chip from one step to the next; reading
and computing overlap; devices share work evenly; and exchanging activations takes no time. The last is shown apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from math import comb
from typing import Literal

from llmarch_cli.deployment.chips import Machines
from llmarch_cli.deployment.experts import expected_experts
from llmarch_cli.deployment.layouts import Layout
from llmarch_cli.deployment.loads import Flops, Model, Reads
from llmarch_cli.errors import InputError
from llmarch_cli.specs.spec import ModelSpec
from llmarch_cli.specs.storage import NATIVE, PLAIN

Binds = Literal["memory", "compute"]

ACTIVATION_BYTES = 2  # of a value that devices exchange: bfloat16
MOST_SEQUENCES = 1 << 30  # a step of more is not looked at

# The dtype in which matrices of a format are multiplied, where that is not bfloat16. Other formats of 4 and 8 bits are
# widened first.
_COMPUTE = {
    "fp16": "fp16",
    "fp32": "tf32",
    "mxfp8": "fp8",
    "int8": "int8",
    "bnb-int8": "int8",
    "mxfp4": "fp4",
    "nvfp4": "fp4",
    "mxfp4_moe": "fp4",
}


@dataclass(frozen=True, slots=True)
class Read:
    """Bytes that a device reads in a step, of one sort."""

    name: str
    n_bytes: int


@dataclass(frozen=True, slots=True)
class Sent:
    """Bytes that a device sends in a step, of one sort; the time is None if no rate of the link is known."""

    name: str
    n_bytes: int
    seconds: Fraction | None


@dataclass(frozen=True)
class Bound:
    """The least time of a step or a prompt on one device, or with pipeline stages on one of each in turn.

    Attributes:
        reads: bytes by what they are of.
        flops: FLOPs.
        memory: seconds to read.
        compute: seconds to compute; None if no peak is known.
        sent: what devices exchange, which is not part of the bound.
    """

    reads: tuple[Read, ...]
    flops: int
    memory: Fraction
    compute: Fraction | None
    sent: tuple[Sent, ...] = ()

    @property
    def n_bytes(self) -> int:
        """All bytes."""
        return sum(read.n_bytes for read in self.reads)

    @property
    def binds(self) -> Binds:
        """What takes longer."""
        return "compute" if self.compute is not None and self.compute > self.memory else "memory"

    @cached_property
    def seconds(self) -> Fraction:
        """The longer of the two."""
        return max(self.memory, self.compute or Fraction(0))

    @property
    def link(self) -> Fraction | None:
        """Seconds to exchange activations, if that overlaps with nothing; None if a rate is unknown."""
        times = [sent.seconds for sent in self.sent]
        return None if None in times else sum((time for time in times if time is not None), Fraction(0))


def compute_dtype(spec: ModelSpec, weights: str, machines: Machines) -> str:
    """The dtype that a weight format implies on a chip: the fastest of those in which any matrix is multiplied.

    bf16 where the chip has no arithmetic in the implied one.
    """
    if weights == NATIVE:
        stored = spec.stored
        names = (PLAIN,) if stored is None else (stored.format, *stored.parts.values())
    else:
        names = (weights,)
    peak = {str(name): flops for name, flops in machines.chip.peak.items()}
    implied = dict.fromkeys(_implied(name) for name in names)
    return max((name for name in implied if name in peak), key=lambda name: peak[name], default="bf16")


def _implied(name: str) -> str:
    return "fp8" if name.startswith("fp8") else _COMPUTE.get(name, "bf16")


def peak_of(machines: Machines, dtype: str) -> int | None:
    """The peak in a dtype; None if none is known, so that nothing bounds the time to compute."""
    try:
        return machines.chip.peak_of(dtype)
    except InputError:
        return None


@dataclass(frozen=True)
class Setting:
    """What runs a model, and how: devices, their division, the dtype of products, and how tokens choose experts."""

    machines: Machines
    layout: Layout
    compute: str
    skew: float = 0.0


def decode_step(model: Model, setting: Setting, batch: int) -> Bound:
    """The least time in which `batch` sequences get one token each.

    With pipeline stages, sequences are in as many groups as there are stages, and a group passes all of them.
    """
    own = step_tokens(setting.layout, batch)
    return replace(_without_exchange(model, setting, own), sent=tuple(exchanged(model, setting, own)))


def _without_exchange(model: Model, setting: Setting, own: StepTokens) -> Bound:
    layout, of = setting.layout, model.reads(setting.layout)
    reads = (
        *_weights(of, setting, own.routed),
        Read("embedding rows", min(of.rows * own.all, of.tables)),
        Read("cache", of.cache * own.attended // layout.cp),
        Read("state", of.state * own.attended),
    )
    return _bound(reads, _divided(model.flops, layout, own), setting)


def prompt(model: Model, setting: Setting) -> Bound:
    """The least time of one prompt, if nothing else runs: parts of it may be in all stages at once."""
    layout, whole = setting.layout, model.prompt
    sharing = max(layout.tp * layout.cp, layout.ep)  # of experts; other replicas do nothing else for this prompt
    flops = (
        Fraction(whole.attention, layout.attention_tp * layout.cp)
        + Fraction(whole.others, layout.tp * layout.cp)
        + Fraction(whole.experts, sharing)
    ) / layout.pp
    return _bound(tuple(_weights(model.reads(layout), setting, model.workload.prompt_tokens)), flops, setting)


def compute_bound_batch(model: Model, setting: Setting) -> int | None:
    """The least batch at which a step takes longer to compute than to read; None if no batch does.

    Time to compute grows in proportion to the batch, and that to read by ever less, so that they cross once.
    """

    def binds(batch: int) -> bool:
        return _without_exchange(model, setting, step_tokens(setting.layout, batch)).binds == "compute"

    if not binds(MOST_SEQUENCES):
        return None
    below, above = 0, 1
    while not binds(above):
        below, above = above, 2 * above
    while above - below > 1:
        middle = (below + above) // 2
        above, below = (middle, below) if binds(middle) else (above, middle)
    return above


@dataclass(frozen=True, slots=True)
class StepTokens:
    """The tokens of a step on one device: those it attends for, all it sees, those that choose among its experts."""

    attended: int
    all: int
    routed: int


def step_tokens(layout: Layout, batch: int) -> StepTokens:
    """The tokens of a step of `batch` sequences on the device that has most."""
    sequences = -(-batch // layout.dp)
    group = -(-sequences // min(layout.pp, sequences))
    attended = -(-group // layout.tp) if layout.dp_attention else group
    replicas = max(1, layout.ep // (layout.tp * layout.cp))
    return StepTokens(attended, group, min(group * replicas, batch))


def _weights(of: Reads, setting: Setting, n_routed: int) -> Iterator[Read]:
    """The weights that a device reads if `n_routed` tokens choose among its experts."""
    yield Read("attention weights", of.attention)
    experts = Fraction(0)
    for stack in of.stacks:
        chosen = expected_experts(stack.n_experts, stack.top_k, n_routed, setting.skew)
        experts += chosen * stack.n_bytes / stack.n_experts
    yield Read("routed experts", int(experts))
    yield Read("other weights", of.others)


def _divided(flops: Flops, layout: Layout, own: StepTokens) -> Fraction:
    """The FLOPs of a device in a decode step."""
    inner = layout.tp * layout.cp
    return (
        Fraction(flops.attention * own.attended, layout.cp * layout.attention_tp)
        + Fraction(flops.others * own.all, inner)
        + Fraction(flops.experts * own.routed, max(layout.ep, inner))
    )


def _bound(reads: tuple[Read, ...], flops: Fraction, setting: Setting) -> Bound:
    chip = setting.machines.chip
    kept = tuple(read for read in reads if read.n_bytes)
    peak = peak_of(setting.machines, setting.compute)
    memory = Fraction(sum(read.n_bytes for read in kept), chip.bandwidth)
    return Bound(kept, int(flops), memory, None if peak is None else flops / peak)


def exchanged(model: Model, setting: Setting, own: StepTokens) -> Iterator[Sent]:
    """What a device sends to others in a decode step: sums after sublayers, tokens to experts and back, and stages.

    An all-reduce over n devices sends 2 (n - 1) / n of its values from each (no sums in the switch), an all-gather and
    a reduce-scatter half of that each. A token goes to each other device that has one of its experts, once.
    """
    layout, width = setting.layout, model.spec.d_model * ACTIVATION_BYTES
    tp, inner = layout.tp, layout.tp * layout.cp
    stacks = model.reads(layout).stacks
    n_attention, n_routed = model.n_layers("attention"), model.n_layers("ffn", with_experts=True)
    to_experts = layout.ep > 1 and (layout.dp_attention or layout.ep > inner) and bool(stacks)
    n_summed = model.n_layers("ffn") - (n_routed if to_experts else 0)
    n_summed += 0 if layout.dp_attention else n_attention
    if tp > 1 and n_summed:
        shared = Fraction(2 * (tp - 1), tp) * own.all * width * n_summed
        yield _sent("tensor parallel", shared, tp, setting)
    if to_experts:
        of_device = Fraction(own.routed, layout.ep)
        n_experts, top_k = max((stack.n_experts, stack.top_k) for stack in stacks)
        missed = Fraction(comb(n_experts - n_experts // layout.ep, top_k), comb(n_experts, top_k))
        others = (layout.ep - 1) * (1 - missed)
        yield _sent("expert parallel", 2 * of_device * others * width * n_routed, layout.ep, setting)
    if layout.cp > 1:
        partial = Fraction(2 * (layout.cp - 1), layout.cp) * own.attended * width * n_attention
        yield _sent("context parallel", partial / layout.attention_tp, inner, setting)
    if layout.pp > 1:
        yield _sent("pipeline", Fraction((layout.pp - 1) * own.all * width, tp), layout.n_devices, setting)


def _sent(name: str, n_bytes: Fraction, span: int, setting: Setting) -> Sent:
    """Bytes over a group that spans `span` neighbouring devices: over the network if they are not in one node."""
    machines = setting.machines
    rate = machines.chip.link if span <= machines.per_node else machines.chip.network
    return Sent(name, int(n_bytes), None if rate is None else n_bytes / rate)
