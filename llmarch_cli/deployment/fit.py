"""What fits on machines, how it is best divided, and how fast it can be at best. In closed form, no torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

from llmarch_cli.deployment import bounds
from llmarch_cli.deployment.bounds import Bound, Setting
from llmarch_cli.deployment.chips import Chip, Machines
from llmarch_cli.deployment.layouts import DeviceBytes, Division, Layout
from llmarch_cli.deployment.loads import Model
from llmarch_cli.errors import InputError, shown
from llmarch_cli.profilers.cost import Workload
from llmarch_cli.profilers.profile import MAX_BATCH, MAX_CONTEXT, require
from llmarch_cli.specs.spec import ModelSpec

RESERVE = Fraction(1, 10)
MOST_DEVICES = 1024  # for the fewest devices that hold a model
MILLION, HOUR = 10**6, 3600


@dataclass(frozen=True)
class Question:
    """What is asked of every model and machine.

    Attributes:
        workload: the context, the formats and the prompt. Its batch does not matter.
        batch: sequences; None: as many as fit.
        sizes: the parts of a layout that are fixed, by their names in `Layout`.
        reserve: the share of a device's memory that is left free.
        compute: the dtype of products; None: the one that the weights imply.
        skew: of the choice of experts, as in `experts.expected_experts`.
        price: of a device for an hour.
    """

    workload: Workload
    batch: int | None = None
    sizes: Mapping[str, int | bool] = field(default_factory=dict)
    reserve: Fraction = RESERVE
    compute: str | None = None
    skew: float = 0.0
    price: Fraction | None = None


@dataclass(frozen=True)
class Fit:
    """A model on machines, in its best layout.

    Attributes:
        held: bytes of the device that holds most, for `batch` sequences.
        batch: sequences: those asked for, or the most.
        most_sequences: how many fit at the context.
        longest_context: tokens of a sequence alone, at most the model's own window; None if not one token fits.
        fewest_devices: of this chip, in any layout, for the sequences asked for, or for one; None beyond 1,024.
        missing: bytes that a device lacks; 0 if everything fits.
        step: the least time of a decode step; None if it does not fit.
        prompt: the least time of one prompt.
        compute_batch: the least batch at which a step's compute takes longer than its reads; None if none does.
    """

    spec: ModelSpec
    machines: Machines
    question: Question
    setting: Setting
    model: Model
    held: DeviceBytes
    batch: int
    most_sequences: int
    longest_context: int | None
    fewest_devices: int | None
    missing: int

    @property
    def layout(self) -> Layout:
        """How the model is divided."""
        return self.setting.layout

    @property
    def memory(self) -> int:
        """Bytes of a device."""
        return self.machines.chip.memory_bytes

    @property
    def reserve(self) -> int:
        """Bytes of a device that are left free."""
        return reserved(self.machines.chip, self.question)

    @property
    def free(self) -> int:
        """Bytes that nothing takes."""
        held = self.held
        return max(0, self.memory - self.reserve - held.weights - held.cache - held.state)

    @cached_property
    def step(self) -> Bound | None:
        """The least time of a decode step of `batch` sequences."""
        return bounds.decode_step(self.model, self.setting, self.batch) if self.batch else None

    @cached_property
    def prompt(self) -> Bound | None:
        """The least time of one prompt: to the first token."""
        return bounds.prompt(self.model, self.setting) if self.batch else None

    @cached_property
    def compute_batch(self) -> int | None:
        """The least batch at which compute binds."""
        return bounds.compute_bound_batch(self.model, self.setting)

    @property
    def user_rate(self) -> Fraction | None:
        """Tokens a second of one sequence, at most."""
        return None if self.step is None else 1 / self.step.seconds

    @property
    def rate(self) -> Fraction | None:
        """Tokens a second of all sequences, at most."""
        return None if self.user_rate is None else self.user_rate * self.batch

    @property
    def cost(self) -> Fraction | None:
        """The price of a million decoded tokens, at least."""
        if self.rate is None or self.question.price is None:
            return None
        return self.question.price * self.machines.n_devices * MILLION / (HOUR * self.rate)


def reserved(chip: Chip, question: Question) -> int:
    """Bytes of a device that are left free, rounded up."""
    return -int(-(chip.memory_bytes * question.reserve) // 1)


class Sizes:
    """What devices hold and read of one model, by layout: computed once for all machines. Raises as `Division`."""

    def __init__(self, spec: ModelSpec, question: Question) -> None:
        require(question.workload)
        self.spec, self.question = spec, question
        self.division = Division(spec, question.workload.weights)
        self.model = Model(spec, question.workload)
        self._held: dict[tuple[Layout, int], tuple[DeviceBytes, ...]] = {}
        self._layouts: dict[tuple[int, int], list[Layout]] = {}

    def held(self, layout: Layout, context: int | None = None) -> tuple[DeviceBytes, ...]:
        """The bytes of each stage's device with one sequence in each group. Raises InputError as `per_device`."""
        at = self.question.workload.context if context is None else context
        if (layout, at) not in self._held:
            workload = replace(self.question.workload, context=at, batch=n_groups(layout))
            self._held[layout, at] = self.division.per_device(workload, layout).stages
        return self._held[layout, at]

    def layouts(self, n_devices: int, per_node: int) -> list[Layout]:
        """All layouts that divide the model."""
        if (n_devices, per_node) not in self._layouts:
            found = self.division.layouts(n_devices, per_node, self.question.workload)
            self._layouts[n_devices, per_node] = list(found)
        return self._layouts[n_devices, per_node]

    def candidates(self, machines: Machines) -> list[Layout]:
        """All layouts on these machines with the sizes that are asked for.

        Raises InputError if there are none, with the sizes that there are.
        """
        found = self.layouts(machines.n_devices, machines.per_node)
        sizes = self.question.sizes
        chosen = [each for each in found if all(getattr(each, name) == size for name, size in sizes.items())]
        if chosen:
            return chosen
        asked: dict[str, Any] = dict(sizes)
        self.division.per_device(self.question.workload, Layout(**asked))  # says what cannot be divided
        words = ", ".join(f"{name} {shown(size)}" for name, size in sizes.items())
        known = (f"{name} {_listed({getattr(each, name) for each in found})}" for name in sizes)
        raise InputError(
            f"{self.spec.id}: no layout of {machines} has {words}; there can be {'; '.join(known)}"
            if found
            else f"{self.spec.id}: no layout divides it over {machines}"
        )

    def most_sequences(self, layout: Layout, room: int) -> int:
        """The most sequences that fit into `room` bytes of each device."""
        each = MAX_BATCH
        for stage in self.held(layout):
            if stage.weights > room:
                return 0
            if stage.total > stage.weights:
                each = min(each, (room - stage.weights) // (stage.total - stage.weights))
        return min(each * n_groups(layout), MAX_BATCH)

    def needed(self, layout: Layout, n_sequences: int, context: int | None = None) -> int:
        """The bytes of the fullest device with so many sequences in all."""
        return _fullest(self.held(layout, context), -(-n_sequences // n_groups(layout))).total

    def longest_context(self, layout: Layout, room: int) -> int | None:
        """The longest context of a sequence alone, at most the model's window; None if nothing fits."""
        below, above = 0, (self.spec.context_length or MAX_CONTEXT) + 1
        if self.needed(layout, 1, above - 1) <= room:
            return above - 1
        while above - below > 1:
            middle = (below + above) // 2
            below, above = (middle, above) if self.needed(layout, 1, middle) <= room else (below, middle)
        return below or None


def _listed(sizes: Iterable[int | bool]) -> str:
    return " or ".join(shown(size) for size in sorted(sizes))


def _fullest(held: Iterable[DeviceBytes], each: int) -> DeviceBytes:
    """The device that holds most, with `each` sequences in a group instead of one."""
    devices = (DeviceBytes(device.weights, device.cache * each, device.state * each) for device in held)
    return max(devices, key=lambda device: device.total)


def n_groups(layout: Layout) -> int:
    """In how many groups of devices whole sequences are kept apart."""
    return layout.dp * (layout.tp if layout.dp_attention else 1)


def fit(sizes: Sizes, machines: Machines) -> Fit:
    """A model on machines, in the best of the layouts that are asked for.

    That is the one with the most sequences; among equals, and for a given batch, the one that may decode most tokens a
    second. If nothing fits, it is the one whose fullest device lacks least. Raises InputError for an impossible layout.
    """
    question = sizes.question
    room = machines.chip.memory_bytes - reserved(machines.chip, question)
    dtype = question.compute or bounds.compute_dtype(sizes.spec, question.workload.weights, machines)
    least = question.batch or 1
    candidates = sizes.candidates(machines)
    counts = {layout: sizes.most_sequences(layout, room) for layout in candidates}
    good = [layout for layout in candidates if counts[layout] >= least]
    if good and question.batch is None:
        most = max(counts.values())
        good = [layout for layout in good if counts[layout] == most]

    def setting(layout: Layout) -> Setting:
        return Setting(machines, layout, dtype, question.skew)

    def merit(layout: Layout) -> tuple[Fraction, Fraction]:
        step = bounds.decode_step(sizes.model, setting(layout), question.batch or counts[layout])
        return 1 / step.seconds, -(step.link or Fraction(0))

    def lacking(layout: Layout) -> int:
        return sizes.needed(layout, least) - room

    best = max(good, key=merit) if len(good) > 1 else good[0] if good else min(candidates, key=lacking)
    batch = (question.batch or counts[best]) if good else 0
    return Fit(
        sizes.spec,
        machines,
        question,
        setting(best),
        sizes.model,
        _fullest(sizes.held(best), -(-(batch or least) // n_groups(best))),
        batch,
        counts[best],
        sizes.longest_context(best, room),
        fewest_devices(sizes, machines.chip, room, least),
        0 if good else lacking(best),
    )


def fewest_devices(sizes: Sizes, chip: Chip, room: int, n_sequences: int) -> int | None:
    """The fewest devices that hold the model with so many sequences, in any layout; None beyond 1,024."""
    of = sizes.model.reads(Layout())
    least = of.attention + of.others + sum(stack.n_bytes for stack in of.stacks)
    for per_node, n_devices in _nodes(chip, max(1, -(-least // room))):
        for layout in sizes.layouts(n_devices, per_node):
            if sizes.most_sequences(layout, room) >= n_sequences:
                return n_devices
    return None


def _nodes(chip: Chip, start: int) -> Iterator[tuple[int, int]]:
    """Devices in a node, and in all: any number in one node, then whole nodes."""
    peers = chip.peers or 1
    for n_devices in range(start, min(peers, MOST_DEVICES) + 1):
        yield n_devices, n_devices
    for n_nodes in range(max(2, -(-start // peers)), MOST_DEVICES // peers + 1):
        yield peers, n_nodes * peers
