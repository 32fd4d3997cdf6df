"""How devices of a tensor-parallel group divide parts and caches, as data (Megatron-LM, arXiv 1909.08053, section 3).

A component names the parts and cache entries that are divided, in `shards`; all others stand whole on each device.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Units:
    """`count` equal units that stay whole, such as heads: each device holds as many neighbours.

    Attributes:
        count: of the units.
        size: values of one; None: an equal share of the dimension.
        readers: the units are read in groups by as many others, such as the query heads that share key heads. These
            are divided, and a device holds the units that its own ones read: one of them may stand on many devices.
        uneven: the last devices may hold fewer than the others, such as rows of a vocabulary.
    """

    count: int
    size: int | None = None
    readers: int | None = None
    uneven: bool = False

    @property
    def divided(self) -> int | None:
        """The number that a number of devices must divide; None for any."""
        return None if self.uneven else self.readers or self.count

    def held(self, n_devices: int, rank: int) -> int:
        """The units on one of `n_devices`, counted from 0. Their number must divide `divided`."""
        if self.uneven:
            most = -(-self.count // n_devices)
            return max(0, min(most, self.count - rank * most))
        if self.readers is None:
            return self.count // n_devices
        own, group = self.readers // n_devices, self.readers // self.count
        return ((rank + 1) * own - 1) // group - rank * own // group + 1

    def differs(self, n_devices: int) -> bool:
        """Whether devices hold different numbers of units, and not the first one most."""
        return self.readers is not None and self.count % n_devices != 0 and n_devices % self.count != 0


@dataclass(frozen=True, slots=True)
class Shard:
    """Which dimension is divided, and into what. Sections stand one behind another, each divided by itself.

    "out" is the outputs of a matrix with their bias, the rows of a table, the channels of a convolution, the values of
    a vector, a norm or cached rows, and the first dimension of a state. "in" is the inputs of a matrix, whose bias
    stands whole on each device, and the last dimension of a state.
    """

    dim: Literal["out", "in"]
    sections: tuple[Units, ...]

    def held(self, width: int, n_devices: int, rank: int) -> int:
        """Of a dimension of `width` values, those on one of `n_devices`."""
        return sum(
            units.held(n_devices, rank) * (width // units.count if units.size is None else units.size)
            for units in self.sections
        )


def column_parallel(units: Units, *names: str) -> dict[str, Shard]:
    """Shards of what is computed apart on each device."""
    return {name: Shard("out", (units,)) for name in names}


def row_parallel(units: Units, *names: str) -> dict[str, Shard]:
    """Shards of matrices that read what is apart: the devices' outputs are summed."""
    return {name: Shard("in", (units,)) for name in names}
