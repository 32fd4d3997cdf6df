"""Recognise the formats of a checkpoint's packed tensors by names, dtypes, shapes, and what its config.json states."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cache
from itertools import chain
from math import prod
from pathlib import Path
from typing import Any

from llmarch_cli.errors import shown
from llmarch_cli.huggingface.checked_json import parse
from llmarch_cli.huggingface.formats import FORMATS, WHOLE_ROW, Beside, Format, Packing, Shape, matches, possible
from llmarch_cli.huggingface.headers import DTYPE_BITS, Stored, bounded

CONFIG = "config.json"

# Where a config.json states the format of its checkpoint, and the keys of its packing.
_SETTINGS = ("quantization_config", "quantization", "compression_config")
_BITS = ("bits", "num_bits", "w_bit")
_GROUPS = ("group_size", "q_group_size")
_NOT_OF_WEIGHTS = ("input_activations", "output_activations", "kv_cache_scheme")


# The tensors beside a packed one that a format accounts for.
Companions = tuple[tuple[Beside, Stored], ...]

# Tensors of a wrong shape, each with its possible shapes.
Wrong = tuple[tuple[Stored, tuple[Shape, ...]], ...]

Choice = tuple[Format, Packing]

_BY_DTYPE = {
    dtype: tuple(each for each in FORMATS if dtype in each.dtypes)
    for dtype in frozenset().union(*(each.dtypes for each in FORMATS))
}


@dataclass(frozen=True, slots=True)
class Stated:
    """A packing as far as a config.json states it."""

    bits: int | None = None
    group: int | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """What a config.json states about the format: its name, and the packings of all matrices or of some."""

    method: str | None = None
    packings: tuple[Stated, ...] = ()


@dataclass(frozen=True, slots=True)
class Packed:
    """How a tensor is packed, with the tensors beside it.

    Attributes:
        values: the shape of its values, or their number if the shape is wrong.
        beside: what is stored beside it. The first has the scales.
        wrong: tensors of a wrong shape, each with its possible shapes.
    """

    format: Format
    packing: Packing
    values: Shape
    beside: Companions
    wrong: Wrong = ()

    @property
    def scales(self) -> Stored:
        return self.beside[0][1]

    def __str__(self) -> str:
        return self.format.described(self.packing)


def read_settings(directory: Path) -> Settings:
    """What the config.json beside a checkpoint states. Empty without one. Raises InputError if it is broken."""
    path = directory / CONFIG
    if not path.is_file():
        return Settings()
    config = parse(bounded(path), path)
    for outer in (config, *(inner for inner in config.values() if isinstance(inner, dict))):
        for key in _SETTINGS:
            if isinstance(settings := outer.get(key), dict):
                method = settings.get("quant_method")
                packings = dict.fromkeys(_stated(settings, Stated()))
                return Settings(method if isinstance(method, str) else None, tuple(packings))
    return Settings()


def _stated(settings: Mapping[str, Any], outer: Stated) -> Iterator[Stated]:
    """The packings in settings, and in those inside them, which take what they leave out from the outer ones."""
    bits = next((settings[key] for key in _BITS if type(settings.get(key)) is int), outer.bits)
    group = next((settings[key] for key in _GROUPS if type(settings.get(key)) is int), outer.group)
    if settings.get("strategy") in ("channel", "tensor") or (group is not None and group < 1):
        group = WHOLE_ROW
    found = Stated(bits, group)
    if found != outer:
        yield found
    for key, inner in settings.items():
        if isinstance(inner, dict) and key not in _NOT_OF_WEIGHTS:
            yield from _stated(inner, found)


def _formats_of(tensor: Stored) -> Iterator[Format]:
    """The formats that a tensor can be packed in by its own name and dtype."""
    return (each for each in _BY_DTYPE.get(tensor.dtype, ()) if tensor.name.endswith(each.ending))


def plain_name(tensor: Stored) -> str:
    """The name that a tensor would have if it were not packed."""
    return next((each.plain_name(tensor.name) for each in _formats_of(tensor)), tensor.name)


def unrecognised(tensor: Stored) -> str:
    """Why a tensor that is not in a plain dtype is in no known format."""
    near = dict.fromkeys(each.name for each in _formats_of(tensor))
    if not near:
        return f"is stored as {tensor.dtype}, in no known format"
    return f"is packed as {tensor.dtype}, without the tensors that must be beside it in {' or '.join(near)}"


def candidates(stored: Mapping[str, Stored]) -> dict[str, dict[Format, Companions]]:
    """The packed tensors by name, and the formats that each can be in by the names and dtypes of those beside it."""
    found = {}
    endings = {f".{name.rpartition('.')[2]}" for name in stored}
    for tensor in stored.values():
        formats = {}
        for each in _formats_of(tensor):
            if (beside := _beside(tensor, each, stored, endings)) is not None:
                formats[each] = beside
        if formats:
            found[tensor.name] = formats
    return found


def _beside(
    tensor: Stored, packing: Format, stored: Mapping[str, Stored], endings: AbstractSet[str]
) -> Companions | None:
    """The tensors beside one in a format. None if a required one is absent or of another dtype.

    `endings` are those of all stored names: what occurs nowhere is not looked for beside each of many tensors.
    """
    found = []
    stem = tensor.name.removesuffix(packing.ending)
    for each in packing.beside:
        if not each.required and each.ending not in endings:
            continue
        other = stored.get(stem + each.ending)
        if other is not None and other.dtype in each.dtypes:
            found.append((each, other))
        elif each.required:
            return None
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A packed tensor, the formats that it can be in, and the shape of its values, or None if that is unknown."""

    tensor: Stored
    formats: dict[Format, Companions]
    shape: Shape | None

    def fitting(self, options: Mapping[Format, tuple[Packing, ...]]) -> list[Choice]:
        """The formats and packings in which all shapes are right."""
        if self.shape is None:
            return []
        return [
            (each, packing)
            for each, beside in self.formats.items()
            for packing in _fitting(
                each,
                options[each],
                self.shape,
                self.tensor.shape,
                tuple((its, other.shape) for its, other in beside),
            )
        ]

    def wrong(self, each: Format, packing: Packing) -> Wrong:
        """The tensors of a wrong shape, each with its possible shapes."""
        if self.shape is None:
            return ()
        shapes = [(self.tensor, each.stored), *((other, its.shapes) for its, other in self.formats[each])]
        found = [(tensor, possible(of, self.shape, packing)) for tensor, of in shapes]
        return tuple((tensor, one_of) for tensor, one_of in found if not matches(tensor.shape, one_of))


def fitting_shapes(tensor: Stored, formats: Mapping[Format, Companions], settings: Settings) -> tuple[Shape, ...]:
    """The shapes of values that a packed tensor and those beside it fit, whatever model they belong to.

    Rows are taken to fill their last word, as they do in all published checkpoints.
    """
    beside = tuple((each, tuple((its, other.shape) for its, other in of)) for each, of in formats.items())
    return _fitting_shapes(tensor.shape, DTYPE_BITS[tensor.dtype], beside, settings)


@cache
def _fitting_shapes(
    shape: Shape,
    word_bits: int,
    formats: tuple[tuple[Format, tuple[tuple[Beside, Shape], ...]], ...],
    settings: Settings,
) -> tuple[Shape, ...]:
    return tuple(
        dict.fromkeys(
            values
            for each, beside in formats
            for packing in dict.fromkeys(chain.from_iterable(_options(each, settings)))
            for values in _unpacked(shape, word_bits, packing.bits)
            if _fitting(each, (packing,), values, shape, beside)
        )
    )


def _unpacked(shape: Shape, word_bits: int, bits: int) -> Iterator[Shape]:
    """The shapes that values packed into words can have: rows or columns packed, transposed, in blocks, or in a row."""
    if len(shape) >= 2:
        *stack, rows, columns = shape
        yield (*stack, rows, columns * word_bits // bits)
        yield (*stack, columns, rows * word_bits // bits)
        yield (*stack, columns * word_bits // bits, rows)
    if len(shape) >= 3:
        *stack, rows, blocks, columns = shape
        yield (*stack, rows, blocks * columns * word_bits // bits)
    yield (1, prod(shape) * word_bits // bits)


@cache  # shapes repeat in each layer
def _fitting(
    each: Format, packings: tuple[Packing, ...], values: Shape, shape: Shape, beside: tuple[tuple[Beside, Shape], ...]
) -> tuple[Packing, ...]:
    return tuple(
        packing
        for packing in packings
        if matches(shape, possible(each.stored, values, packing))
        and all(matches(other, possible(its.shapes, values, packing)) for its, other in beside)
    )


def recognised(tensors: Mapping[str, Candidate], settings: Settings) -> dict[str, Packed]:
    """The format and the packing of each tensor: those in which all shapes are right, else those that come closest.

    What the config leaves open must be the same for all matrices of a format: the packing that fits most of them.
    """
    formats = dict.fromkeys(each for tensor in tensors.values() for each in tensor.formats)
    stated = {each: _options(each, settings) for each in formats}
    options = {each: tuple(dict.fromkeys(chain.from_iterable(of))) for each, of in stated.items()}
    fitting = {name: tensor.fitting(options) for name, tensor in tensors.items()}
    votes = Counter(chain.from_iterable(fitting.values()))
    allowed = {each: _most_frequent(each, of, votes) for each, of in stated.items()}
    return {name: _closest(tensor, fitting[name], allowed, votes) for name, tensor in tensors.items()}


def _options(each: Format, settings: Settings) -> tuple[tuple[Packing, ...], ...]:
    """For each packing that the config states, the complete ones that it can be in a format."""
    found = []
    for stated in settings.packings:
        bits = each.bits if stated.bits is None else (stated.bits,)
        groups = each.groups if stated.group is None or len(each.groups) == 1 else (stated.group,)
        found.append(tuple(Packing(b, group) for b in bits if b in each.bits for group in groups))
    return tuple(filter(None, found)) or (each.packings,)


def _most_frequent(
    each: Format, options: tuple[tuple[Packing, ...], ...], votes: Counter[Choice]
) -> tuple[Packing, ...]:
    """One packing for each that the config states, or all that it can be if none fits any tensor."""
    found: list[Packing] = []
    for of_one in options:
        best = max(of_one, key=lambda packing: votes[each, packing])
        found += [best] if votes[each, best] else of_one
    return tuple(dict.fromkeys(found))


def _closest(
    tensor: Candidate, fitting: list[Choice], allowed: Mapping[Format, tuple[Packing, ...]], votes: Counter[Choice]
) -> Packed:
    """The format that accounts for most tensors, of these the most frequent one; if none fits, the least wrong one."""
    choices = [(each, packing) for each, packing in fitting if packing in allowed[each]]
    if choices and tensor.shape is not None:
        best, packing = max(choices, key=lambda choice: (len(tensor.formats[choice[0]]), votes[choice]))
        return Packed(best, packing, tensor.shape, tensor.formats[best])
    choices = [(each, packing) for each in tensor.formats for packing in allowed[each]]
    best, packing = max(choices, key=lambda choice: (votes[choice], -len(tensor.wrong(*choice))))
    wrong, shape = tensor.wrong(best, packing), tensor.shape
    if shape is None or any(other is tensor.tensor for other, _ in wrong):
        shape = (tensor.tensor.n_values * DTYPE_BITS[tensor.tensor.dtype] // packing.bits,)
    return Packed(best, packing, shape, tensor.formats[best], wrong)


def contradiction(settings: Settings, packed: Mapping[str, Packed]) -> str | None:
    """A remark if the config names another format than the tensors have."""
    if settings.method is None:
        return None
    named = f"{CONFIG} names the format {shown(settings.method)}"
    found = {each.format for each in packed.values()}
    if any(settings.method in each.methods for each in found):
        return None
    if not any(settings.method in each.methods for each in FORMATS):
        return f"{named}, which is not known."
    tensors = " and ".join(sorted({each.name for each in found})) if found else "not packed"
    return f"{named}, but the tensors are {tensors}."
