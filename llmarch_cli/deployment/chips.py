"""Chips: accelerators as data, one YAML file each, with the source of every number.

All numbers are of one device, as a program sees it. Units and conventions:

- `memory_bytes`: the memory that a device reports to programs in all, before anything is allocated: `memory.total` of
  nvidia-smi and the like, which is what is sold, less what the driver keeps. Where no report was found, what is sold,
  with 10^9 bytes to the gigabyte, which no chip here falls below. The source says which.
- `bandwidth`: bytes per second between the device and that memory, decimal, as published.
- `peak`: operations of matrix products per second by dtype of the factors, two per multiply-add, as published: dense,
  without structured sparsity, and with sums in 32 bits where a chip also has a faster sum in 16.
- `peers`: devices of a node, of the domain that `link` joins: of the system that the source names.
- `link`: bytes per second that a device sends to its node, and as many that it receives: the sum over its links.
- `network`: bytes per second that a device sends beyond its node, and as many that it receives.

A number that no source states is left out. What needs it raises InputError.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_args

from llmarch_cli.components.fields import Limits
from llmarch_cli.components.record import EMPTY, Record, rule
from llmarch_cli.errors import InputError, shown, shown_path, suggestion
from llmarch_cli.specs import documents
from llmarch_cli.specs.loading import YAML_ENDINGS, bundled_directory, checked, exists
from llmarch_cli.specs.spec import URL_PATTERN, FieldError, OneLine

if TYPE_CHECKING:
    from typing import Self

GB = 10**9
GIB = 2**30

Dtype = Literal["fp32", "tf32", "fp16", "bf16", "fp8", "fp6", "fp4", "int8", "int4"]
DTYPES: tuple[Dtype, ...] = get_args(Dtype)

# The dtypes that hold every value of another, besides itself: arithmetic in them gives the same products.
_HOLD: dict[str, tuple[Dtype, ...]] = {
    "fp32": (),
    "tf32": ("fp32",),
    "fp16": ("tf32", "fp32"),
    "bf16": ("tf32", "fp32"),
    "fp8": ("fp16", "bf16", "tf32", "fp32"),
    "fp6": ("fp8", "fp16", "bf16", "tf32", "fp32"),
    "fp4": ("fp6", "fp8", "fp16", "bf16", "tf32", "fp32"),
    "int8": ("fp16", "bf16", "tf32", "fp32"),
    "int4": ("int8", "fp8", "fp16", "bf16", "tf32", "fp32"),
}

_SIXTEEN_BITS: tuple[Dtype, ...] = ("bf16", "fp16")

# Lower bounds reject numbers in another unit, such as 80 for 80 GB.
MemoryBytes = Annotated[int, Limits(ge=GB, le=10**15)]
Bandwidth = Annotated[int, Limits(ge=GB, le=10**18)]  # bytes per second
LinkRate = Annotated[int, Limits(ge=10**6, le=10**18)]  # bytes per second
Flops = Annotated[int, Limits(ge=GB, le=10**21)]  # per second
Devices = Annotated[int, Limits(gt=0, le=10**6)]


class Source(Record):
    """Where a number was published."""

    title: OneLine  # of the document
    url: Annotated[str, Limits(pattern=URL_PATTERN, max_length=1000)]
    says: OneLine | None = None  # what it states, where that is not the number itself


class Sources(Record):
    """The source of each number of a chip."""

    memory_bytes: Source
    bandwidth: Source
    peak: Source | None = None
    peers: Source | None = None
    link: Source | None = None
    network: Source | None = None


class Chip(Record):
    """One accelerator, as a program sees it."""

    name: OneLine
    vendor: OneLine
    released: dt.date | None = None  # the date of announcement
    memory_gb: Annotated[int, Limits(gt=0, le=10**6)] | None = None  # as sold; the vendor's GB is 10^9 to 2^30 bytes
    memory_bytes: MemoryBytes  # what the device reports to programs in all; else as sold, with 10^9 bytes to the GB
    bandwidth: Bandwidth  # bytes per second between the device and its memory
    peak: dict[Dtype, Flops] = EMPTY  # operations per second by dtype, dense
    peers: Devices | None = None  # devices of a node, which the link joins
    link: LinkRate | None = None  # bytes per second each way between a device and its node, over all links
    network: LinkRate | None = None  # bytes per second each way between a device and other nodes
    sources: Sources

    @rule
    def _sold(self) -> None:
        if self.memory_gb is not None and not self.memory_gb * GB <= self.memory_bytes <= self.memory_gb * GIB:
            raise FieldError(
                ("memory_bytes",),
                f"{self.memory_bytes:,} is not memory_gb, {self.memory_gb:,}, at 10^9 to 2^30 bytes each",
            )

    @rule
    def _sourced(self) -> None:
        for name in ("peak", "peers", "link", "network"):
            has_number, has_source = bool(getattr(self, name)), getattr(self.sources, name) is not None
            if has_number and not has_source:
                raise FieldError(("sources", name), f"required, because {name} is given")
            if has_source and not has_number:
                raise FieldError(("sources", name), f"a source, but {name} is not given")

    @property
    def id(self) -> str:
        """The file's name without its suffix; the chip's name if it is not from a file."""
        return self.__dict__.get("_id") or self.name

    def with_id(self, name: str) -> Self:
        """Return a copy with another id."""
        return self.model_copy(update={"_id": name})

    def peak_of(self, dtype: str) -> int:
        """The most operations per second on values of `dtype`: its own peak, or that of a dtype that holds its values.

        The largest of them, so that it bounds what a program can reach that widens values first. Raises InputError if
        the dtype is unknown, or if no such peak is.
        """
        if dtype not in _HOLD:
            raise InputError(f"no chip has a peak for {shown(dtype)}; known: {', '.join(DTYPES)}")
        peaks = [self.peak[each] for each in (dtype, *_HOLD[dtype]) if each in self.peak]
        if not peaks:
            known = f"it has: {', '.join(self.peak)}" if self.peak else "it has none"
            raise InputError(f"{self.id}: no `peak` is known for {dtype} or a dtype that holds its values; {known}")
        return max(peaks)

    def known(self, number: Literal["peers", "link", "network"]) -> int:
        """A number that a chip may lack. Raises InputError if it does."""
        value: int | None = getattr(self, number)
        if value is None:
            raise InputError(f"{self.id}: no `{number}` is known; use a copy of its file that gives it")
        return value

    @property
    def peak_16(self) -> int | None:
        """The larger of the peaks in bf16 and fp16; None if neither is known."""
        return max((self.peak[each] for each in _SIXTEEN_BITS if each in self.peak), default=None)

    @property
    def flops_per_byte(self) -> Fraction | None:
        """Operations in 16 bits per byte read at which both take equally long; None if no such peak is known."""
        return None if self.peak_16 is None else Fraction(self.peak_16, self.bandwidth)


@dataclass(frozen=True)
class Machines:
    """Devices of one chip: nodes of equal size."""

    chip: Chip
    n_nodes: int = 1
    per_node: int = 1

    @property
    def n_devices(self) -> int:
        """Devices in all."""
        return self.n_nodes * self.per_node

    def __str__(self) -> str:
        nodes = f"{self.n_nodes}x" if self.n_nodes > 1 else ""
        return f"{nodes}{self.per_node}x{self.chip.id}" if self.n_devices > 1 else self.chip.id


def chips_directory() -> Path:
    """The directory of the bundled chips."""
    return bundled_directory("chips")


@cache
def chips() -> tuple[str, ...]:
    """The ids of all bundled chips, sorted.

    >>> "h100" in chips()
    True
    """
    return tuple(sorted(path.stem for path in chips_directory().glob("*.yaml")))


def chip(name: str | Path) -> Chip:
    """The chip of a bundled id, or of a YAML file's path.

    Raises InputError for an unknown id, and for a file that is missing or not a valid chip.
    """
    text = str(name)
    if isinstance(name, str) and text in chips():
        return _bundled(text)
    if isinstance(name, Path) or "/" in text or "\\" in text or text.endswith(YAML_ENDINGS):
        return read(Path(text))
    hint = suggestion(text.lower(), chips()) or "; see `llmarch chips`, or give the path to a YAML file"
    raise InputError(f"unknown chip {shown(text)}{hint}")


@cache
def _bundled(name: str) -> Chip:
    return read(chips_directory() / f"{name}.yaml")


def read(path: Path) -> Chip:
    """The chip of a YAML file. Raises InputError if the file is missing or not a valid chip."""
    return checked(Chip, documents.read(path, "chip"), shown_path(path)).with_id(path.stem)


def is_chip(path: Path) -> bool:
    """Whether a YAML file is meant as a chip: whether it has a field that chips have and no spec has."""
    if path.suffix not in YAML_ENDINGS or not exists(path, Path.is_file):
        return False
    try:
        return not {"memory_bytes", "bandwidth", "peak"}.isdisjoint(documents.read(path, "chip"))
    except InputError:
        return False


_MACHINES = re.compile(
    r"(?:(?P<first>[0-9]{1,6})x)?(?:(?P<second>[0-9]{1,6})x)?(?P<chip>(?!(?:[0-9]+x)+$).+)", re.DOTALL
)


def machines(text: str) -> Machines:
    """Devices by their text: `h200`, eight in a node `8xh200`, two nodes of eight `2x8xh200`, or `8x./chip.yaml`.

    Raises InputError for no devices, an unknown chip, and more devices in a node than the chip's `peers`.
    """
    match = _MACHINES.fullmatch(text)
    if match is None:
        raise InputError(f"no chip is named in {shown(text)}; write one as h200, 8xh200 or 2x8xh200")
    n_nodes, per_node = (int(number) for number in (match["first"] or 1, match["second"] or 1))
    if match["second"] is None:
        n_nodes, per_node = 1, n_nodes
    if n_nodes * per_node == 0:
        raise InputError(f"{shown(text)} is no device; write at least 1")
    found = chip(match["chip"])
    if found.peers is not None and per_node > found.peers:
        parts = next(n for n in range(-(-per_node // found.peers), per_node + 1) if per_node % n == 0)
        raise InputError(
            f"{shown(text)}: a node of {found.name} has {found.peers:,} device{'s' * (found.peers > 1)}, not"
            f" {per_node:,}; for several nodes write {n_nodes * parts}x{per_node // parts}x{match['chip']}"
        )
    return Machines(found, n_nodes, per_node)
