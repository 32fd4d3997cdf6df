"""Assign each tensor of a checkpoint to the model, from headers alone. Loading and reconciling both use this plan."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from math import prod
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from llmarch_cli.components.component import Component
from llmarch_cli.errors import InputError, shown
from llmarch_cli.huggingface import names
from llmarch_cli.huggingface.dequantise import UNPACK
from llmarch_cli.huggingface.formats import Shape
from llmarch_cli.huggingface.gguf import names as gguf_names
from llmarch_cli.huggingface.headers import Stored
from llmarch_cli.huggingface.names import Rule
from llmarch_cli.huggingface.packed import (
    Candidate,
    Packed,
    Settings,
    candidates,
    contradiction,
    plain_name,
    recognised,
    unrecognised,
)
from llmarch_cli.huggingface.weights import read
from llmarch_cli.modules.builder import ExpertStack, build
from llmarch_cli.specs.spec import ModelSpec

MODEL, BUFFERS, MTP = "model", "router biases", "multi-token prediction"
CONSTANTS = "stored factors and tables"
UNUSED_KEYS = "keys and values that no layer uses"
MTP_COPIES, HEAD_COPY = "copies of embedding and head in multi-token prediction", "second copy of the tied head"
LEFT_OVER = "left over"

# Dtypes with one value per element. Others are packed and need scales.
PLAIN_DTYPES = ("F64", "F32", "F16", "BF16")
WHOLE_DTYPES = ("I64", "I32")  # of tables of numbers


@dataclass(frozen=True, slots=True)
class Target:
    """One of our tensors, or one expert's slice of it, and the part of a published tensor that fills it.

    Attributes:
        part: a slice along `dim` of the published tensor, with `dim` counted from the end.
        transposed: whether the last two dimensions are swapped after slicing.
        groups: into how many blocks `dim` is cut first; the slice is one of each block.
        shape: that of the part at last, if the published tensor has other dimensions.
        rows: the rows of ours that the part fills, the first and the one after the last; None for all of them.
    """

    name: str
    expert: int | None
    dim: int
    part: slice
    transposed: bool
    groups: int = 1
    shape: Shape | None = None
    rows: tuple[int, int] | None = None

    def cut(self, values: Tensor) -> Tensor:
        """The part of a published tensor, or of one matrix of a published stack; a view where that is possible."""
        index: tuple[Any, ...] = (..., self.part, *[slice(None)] * (-self.dim - 1))
        if self.groups > 1:
            values = values.unflatten(self.dim, (self.groups, -1))
        part = values[index]
        if self.groups > 1:
            part = part.flatten(self.dim - 1, self.dim)
        if self.shape is not None:
            part = part.reshape(self.shape)
        return part.transpose(-1, -2) if self.transposed else part


@dataclass(frozen=True, slots=True)
class Assigned:
    """A published tensor, its class in a reconciliation, and our tensors that it fills.

    Attributes:
        shape: the shape of the unpacked values. For a packed tensor without a place, their number.
        packed: how it is packed, or None.
        same_as: the name of our tensor that it repeats.
    """

    stored: Stored
    belongs: str
    shape: Shape
    targets: tuple[Target, ...] = ()
    packed: Packed | None = None
    same_as: str | None = None

    @property
    def n_values(self) -> int:
        """The number of unpacked values."""
        return prod(self.shape)

    @property
    def format(self) -> str | None:
        """The format of packed values; None if each is stored on its own."""
        return str(self.packed) if self.packed is not None else self.stored.dtype if self.stored.in_blocks else None


@dataclass(frozen=True)
class Plan:
    """How the tensors of a checkpoint map to a spec, and the faults. A checkpoint with faults cannot be loaded.

    Attributes:
        assigned: all tensors, including those left over.
        left_over, missing, misshapen: faults, one line each.
        unreadable: tensors in no known format, one line each.
        n_absent_mtp_blocks: the multi-token-prediction blocks of the spec if the checkpoint has none of them, else 0.
            transformers does not build these blocks, so checkpoints that it saves lack them. This is not a fault.
        contradiction: a remark if the config.json beside the checkpoint names another format.
    """

    assigned: tuple[Assigned, ...]
    left_over: tuple[str, ...]
    missing: tuple[str, ...]
    misshapen: tuple[str, ...]
    unreadable: tuple[str, ...]
    n_absent_mtp_blocks: int = 0
    contradiction: str | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks on what is not a fault, one line each."""
        found = [] if self.contradiction is None else [self.contradiction]
        if self.n_absent_mtp_blocks:
            blocks = "block is" if self.n_absent_mtp_blocks == 1 else f"blocks ({self.n_absent_mtp_blocks:,}) are"
            found.append(f"The multi-token-prediction {blocks} absent from the checkpoint and not loaded.")
        return tuple(found)

    @property
    def formats(self) -> dict[str, tuple[int, int]]:
        """The formats of packed tensors, each with the number of tensors and of values."""
        found: dict[str, tuple[int, int]] = {}
        for each in self.assigned:
            if (name := each.format) is not None:
                tensors, values = found.get(name, (0, 0))
                found[name] = tensors + 1, values + each.n_values
        return found

    @property
    def not_loadable(self) -> tuple[str, ...]:
        """The formats that can be counted, but not unpacked."""
        packed = {each.format: each.packed for each in self.assigned}
        return tuple(
            name
            for name, each in packed.items()
            if name is not None and (each is None or each.format.name not in UNPACK)
        )

    @property
    def faults(self) -> tuple[str, ...]:
        """All faults, one line each."""
        return (*self.unreadable, *self.misshapen, *self.missing, *self.left_over)


def plan(spec: ModelSpec, path: Path) -> Plan:
    """Assign each tensor of a checkpoint's directory, of its index, or of a file.

    Raises InputError for broken files, and for a GGUF file of an unknown architecture; other faults are in the plan.
    """
    weights = read(path)
    if weights.gguf is not None:
        architecture = weights.gguf.metadata.get("general.architecture")
        if architecture not in gguf_names.ARCHITECTURES:
            known = ", ".join(gguf_names.ARCHITECTURES)
            raise InputError(
                f"{path}: the tensor names of the architecture {shown(architecture)} are not known; known: {known}"
            )
    return _Planner(spec, weights.tensors, weights.settings).plan()


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a published tensor belongs: its class, the shape of its values, and our tensors that it fills or repeats.

    Attributes:
        shape: None if it is outside the model.
        filled: our tensors in words.
    """

    belongs: str
    shape: Shape | None = None
    filled: str = ""
    targets: tuple[Target, ...] = ()
    same_as: str | None = None


class _Planner:
    """Assigns tensors one by one and collects the faults."""

    def __init__(self, spec: ModelSpec, stored: Mapping[str, Stored], settings: Settings) -> None:
        model = build(spec, device="meta")
        self.spec, self.stored, self.settings = spec, stored, settings
        self.shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
        self.buffers = {name: tensor.is_floating_point() for name, tensor in model.named_buffers()}
        self.layers = spec.layers
        self.plain_names = {plain_name(each) for each in stored.values()}
        self.stacks = {
            f"{path}.{name}"
            for path, module in model.named_modules()
            if isinstance(module, ExpertStack)
            for name, _ in module.named_parameters()
        }
        formats = candidates(stored)
        self.places = {name: self._place(plain_name(stored[name])) for name in formats}
        self.packed = recognised(
            {name: Candidate(stored[name], each, self.places[name].shape) for name, each in formats.items()}, settings
        )
        self.beside = {
            other.name: f"{its.called} of {each.format.name}"
            for each in self.packed.values()
            for its, other in each.beside
        }
        self.left_over: list[str] = []
        self.misshapen: list[str] = []
        self.unreadable: list[str] = []

    def plan(self) -> Plan:
        assigned = tuple(map(self._assign, self.stored.values()))
        has_mtp = any(each.belongs in (MTP, MTP_COPIES) for each in assigned)
        n_absent = 0 if has_mtp else self.spec.n_mtp_blocks
        missing = (line for name, line in self._missing(assigned) if not (n_absent and name.startswith("mtp.")))
        faults = tuple(self.left_over), tuple(missing), tuple(self.misshapen), tuple(self.unreadable)
        return Plan(assigned, *faults, n_absent, contradiction(self.settings, self.packed))

    def _assign(self, tensor: Stored) -> Assigned:
        if (called := self.beside.get(tensor.name)) is not None:
            return Assigned(tensor, called, tensor.shape)
        packed = self.packed.get(tensor.name)
        place = self._place(plain_name(tensor)) if packed is None else self.places[tensor.name]
        self._check(tensor, place, packed)
        shape = tensor.shape if packed is None else packed.values
        return Assigned(tensor, place.belongs, shape, place.targets, packed, place.same_as)

    def _check(self, tensor: Stored, place: _Place, packed: Packed | None) -> None:
        if place.belongs == names.CACHE_SCALES and tensor.n_values != 1:
            self.misshapen.append(f"{_described(tensor)} should be one value")
        elif place.belongs == LEFT_OVER:
            self.left_over.append(f"{_described(tensor)} does not belong to {self.spec.name}")
        elif place.shape is None:
            pass
        elif packed is not None:
            for other, shapes in packed.wrong:
                expected = " or ".join(str(list(shape)) for shape in shapes) or f"{list(place.shape)} in a plain dtype"
                self.misshapen.append(f"{_described(other)} should be {expected}, in {packed}, to fill {place.filled}")
        elif not (tensor.in_blocks and self._is_floating(place)) and tensor.dtype not in (
            PLAIN_DTYPES if self._is_floating(place) else WHOLE_DTYPES
        ):
            self.unreadable.append(f"{_described(tensor)} {unrecognised(tensor)}")
        elif tensor.shape != place.shape:
            self.misshapen.append(f"{_described(tensor)} should be {list(place.shape)}, to fill {place.filled}")

    def _is_floating(self, place: _Place) -> bool:
        return all(self.buffers.get(target.name, True) for target in place.targets)

    def _place(self, published: str) -> _Place:
        for belongs, pattern in (names.BEYOND | gguf_names.BEYOND).items():
            if re.fullmatch(pattern, published):
                return _Place(belongs)
        belongs, where, found = self._find(published)
        if found is None:
            return _Place(UNUSED_KEYS if self._is_unused(published) else LEFT_OVER)
        if isinstance(found, str):
            return _Place(belongs, self.shapes[found], found, same_as=found)

        rule, expert = found
        ours = [where + name for name in rule.ours]
        shapes = [self.shapes[name] if expert is None else self.shapes[name][1:] for name in ours]
        groups, rows = self._groups(rule, where), self._rows(rule, where)
        filled = f"{' and '.join(ours)}{'' if expert is None else f' of expert {expert}'}"
        targets = tuple(
            Target(name, expert, rule.dim, part, rule.transposed, groups or 1, _reshaped(rule, shape, rows), rows)
            for name, shape, part in zip(ours, shapes, _parts(rule, shapes, groups or 1), strict=True)
        )
        if belongs == MODEL and ours[0] in self.buffers:
            belongs = BUFFERS if ours[0].endswith("selection_bias") else CONSTANTS
        whole = self._heads(rule, where, shapes[0]) if rule.heads else _whole(rule, shapes, rows)
        return _Place(belongs, whole, filled, targets)

    def _find(self, published: str) -> tuple[str, str, tuple[Rule, int | None] | str | None]:
        """Look up a published name: its class, the prefix of our names, and its rule with the index of an expert.

        Instead of a rule: the name of our tensor that it repeats, or None if it is unknown.
        """
        inside = re.fullmatch(f"{names.PREFIX}{names.LAYER}(?P<rest>.+)", published)
        if inside is None:
            name = re.sub(f"^{names.PREFIX}", "", published)
            if name in (*names.HEADS, gguf_names.HEAD) and self.spec.tie_embeddings:
                return HEAD_COPY, "", "embedding.tokens.weight"
            if (prediction := re.fullmatch(names.PREDICTION_LAYER, name)) is not None:
                where = f"mtp.{prediction['layer']}.block."
                return (
                    MTP,
                    where,
                    self._rule("layer", prediction["rest"], where, _before(published, prediction["rest"])),
                )
            if (found := self._rule("around a prediction block", name, "mtp.0.")) is not None:
                return MTP, "mtp.0.", found
            return self._outside(name, self.spec.n_layers)
        layer, rest = int(inside["layer"]), inside["rest"]
        if layer < self.spec.n_layers:
            where = f"layers.{layer}."
            place = _LAYERS.get(inside["stack"], "layer")
            if (found := self._rule(place, rest, where, _before(published, rest))) is not None:
                return MODEL, where, found
            if layer:
                return self._behind(rest, layer)
            return self._outside(re.sub(f"^{names.PREFIX}", "", published), 0)
        depth = layer - self.spec.n_layers
        if depth < self.spec.n_mtp_blocks and rest in names.COPIES_IN_A_PREDICTION_BLOCK:
            return MTP_COPIES, "", names.COPIES_IN_A_PREDICTION_BLOCK[rest]
        where = f"mtp.{depth}."
        if (found := self._rule("prediction block", rest, where)) is not None:
            return MTP, where, found
        where += "block."
        return MTP, where, self._rule("layer", rest, where, _before(published, rest))

    def _outside(self, name: str, layer: int) -> tuple[str, str, tuple[Rule, int | None] | None]:
        """Look up the name of what stands outside all layers, or behind the one below `layer`."""
        found = self._rule("around", name, "")
        return self._behind(name, layer) if found is None and layer else (MODEL, "", found)

    def _behind(self, name: str, layer: int) -> tuple[str, str, tuple[Rule, int | None] | None]:
        """Look up a name by which a norm above the stream of the layer below `layer` is stored."""
        where = f"layers.{layer - 1}."
        is_behind = self.spec.placement(self.layers[layer - 1].attention) == "post_residual"
        return MODEL, where, self._rule("behind a layer", name, where) if is_behind else None

    def _is_unused(self, published: str) -> bool:
        """Whether it holds keys or values of a layer that reads those of another one."""
        inside = re.fullmatch(f"{names.PREFIX}{names.LAYER}{names.OWN_KEYS}", published)
        if inside is None or int(inside["layer"]) >= self.spec.n_layers:
            return False
        return getattr(self._attention(int(inside["layer"])), "kv_from", None) is not None

    def _attention(self, layer: int) -> Component | None:
        return self.spec.component("attention", self.layers[layer].attention)

    def _groups(self, rule: Rule, where: str) -> int | None:
        """The number of groups of a rule; None if the layer's attention does not have any."""
        if rule.groups is None:
            return 1
        layer = int(where.split(".")[1]) if where.startswith("layers.") else self.spec.n_layers - 1
        return getattr(self._attention(layer), rule.groups, None)

    def _rows(self, rule: Rule, where: str) -> tuple[int, int] | None:
        """The rows of ours that a rule's block fills; None for all."""
        if rule.heads:
            n_heads, widths = self._of_heads(rule, where)
            ends = [0, *accumulate(n_heads * width for width in widths)]
        elif rule.blocks:
            ends = [0, *accumulate(self.shapes[where + each][0] for each in rule.blocks)]
        else:
            return None
        return ends[rule.block], ends[rule.block + 1]

    def _of_heads(self, rule: Rule, where: str) -> tuple[int, list[int]]:
        """The number of heads, and the widths of the blocks of each."""
        attention = self._attention(int(where.split(".")[1]))
        n_heads, *widths = (getattr(attention, name) for name in ("n_heads", *rule.heads))
        return n_heads, widths

    def _heads(self, rule: Rule, where: str, shape: Shape) -> Shape:
        """The shape of a stack with one block of each head."""
        n_heads, widths = self._of_heads(rule, where)
        matrix = (widths[rule.block], shape[1])
        return (n_heads, *(reversed(matrix) if rule.transposed else matrix))

    def _rule(self, place: Place, name: str, where: str, around: str = "") -> tuple[Rule, int | None] | None:
        """The first matching rule with all its targets in the model, and the index of the expert.

        `around` is what stands before the name in the checkpoint.
        """
        expert = None
        if (match := re.search(names.EXPERT_NUMBER, name)) is not None:
            expert = int(match["expert"])
            name = name[: match.start()] + names.EXPERT + name[match.end() :]
        for rule in _matching(place, name):
            ours = [where + each for each in rule.ours]
            if expert is None:
                fits = all(each in self.shapes for each in ours)
            else:
                fits = all(each in self.stacks and expert < self.shapes[each][0] for each in ours)
            fits = fits and (rule.beside is None or where + rule.beside in self.shapes)
            fits = fits and not any(around + each in self.plain_names for each in rule.unless)
            if fits and self._groups(rule, where) is not None:
                return rule, expert
        return None

    def _missing(self, assigned: tuple[Assigned, ...]) -> Iterator[tuple[str, str]]:
        """Our tensors that are filled by none or by several published tensors, each with a fault."""
        targets = [target for each in assigned for target in each.targets]
        filled = Counter((target.name, target.expert) for target in targets if target.rows is None)
        blocks: dict[str, list[tuple[int, int]]] = {}
        for target in targets:
            if target.rows is not None:
                blocks.setdefault(target.name, []).append(target.rows)
        for name, shape in self.shapes.items():
            if name == "head.lm_head.weight" and self.spec.tie_embeddings:
                continue  # filled as the embedding
            whole = filled[name, None]
            if name in blocks:
                n_rows = sum(end - start for start, end in blocks[name])
                if whole or len(set(blocks[name])) < len(blocks[name]):
                    yield name, f"{name} {list(shape)} is stored more than once, under different names"
                elif n_rows < shape[0]:
                    yield name, f"{name} {list(shape)} lacks {shape[0] - n_rows:,} of {shape[0]:,} rows"
                continue
            experts = [filled[name, expert] for expert in range(shape[0])] if name in self.stacks else []
            if whole + sum(experts) == 0:
                yield name, f"{name} {list(shape)} is missing"
            elif whole > 1 or max(experts, default=0) > 1 or (whole and sum(experts)):
                yield name, f"{name} {list(shape)} is stored more than once, under different names"
            elif not whole and 0 in experts:
                n_absent, first = experts.count(0), experts.index(0)
                line = (
                    f"{name} {list(shape)} lacks {n_absent:,} of {len(experts):,} experts, the first is expert {first}"
                )
                yield name, line


Place = Literal[
    "around", "layer", "GPT-2 layer", "GGUF layer", "behind a layer", "prediction block", "around a prediction block"
]
_RULES: dict[Place, tuple[Rule, ...]] = {
    "around": (*names.AROUND_LAYERS, *gguf_names.AROUND_LAYERS),
    "layer": names.IN_A_LAYER,
    "GPT-2 layer": names.IN_A_GPT2_LAYER,
    "GGUF layer": gguf_names.IN_A_LAYER,
    "behind a layer": names.BEHIND_A_LAYER,
    "prediction block": names.IN_A_PREDICTION_BLOCK,
    "around a prediction block": names.AROUND_A_PREDICTION_BLOCK,
}

# By the word before the number of a layer.
_LAYERS: dict[str, Place] = {"h": "GPT-2 layer", "blk": "GGUF layer"}


def _before(published: str, rest: str) -> str:
    return published.removesuffix(rest)


@cache  # names repeat in each layer
def _matching(place: Place, name: str) -> tuple[Rule, ...]:
    return tuple(rule for rule in _RULES[place] if re.fullmatch(rule.name, name))


def _whole(rule: Rule, shapes: list[Shape], rows: tuple[int, int] | None) -> Shape:
    """The shape of a published tensor that holds our tensors of these shapes."""
    whole = list(shapes[0])
    if rule.transposed:
        whole[-2:] = whole[:-3:-1]
    whole[rule.dim] = sum(_widths(rule, shapes))
    if rows is not None:
        whole[0] = rows[1] - rows[0]
    if rule.merged:
        whole[:2] = [whole[0] * whole[1]]
    for place in rule.ones:
        whole.insert(place, 1)
    return tuple(whole)


def _reshaped(rule: Rule, shape: Shape, rows: tuple[int, int] | None) -> Shape | None:
    """The shape of the part for one of ours, where the published tensor has other dimensions."""
    if not (rule.ones or rule.merged):
        return None
    return shape if rows is None else (rows[1] - rows[0], *shape[1:])


def _parts(rule: Rule, shapes: list[Shape], groups: int) -> Iterator[slice]:
    """The slice of the published tensor, or of each of its groups, that fills each of ours."""
    start = 0
    for number, width in enumerate(width // groups for width in _widths(rule, shapes)):
        yield slice(number, None, len(shapes)) if rule.interleaved else slice(start, start + width)
        start += width


def _widths(rule: Rule, shapes: list[Shape]) -> list[int]:
    dim = -3 - rule.dim if rule.transposed else rule.dim  # the same dimension in ours
    return [shape[dim] for shape in shapes]


def _described(tensor: Stored) -> str:
    return f"{shown(tensor.name)} {list(tensor.shape)}"
