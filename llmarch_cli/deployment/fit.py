"""What fits on machines, how it is best divided, and how fast it can be at best. In closed form, no torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from functools import cached_property

from llmarch_cli.deployment import bounds
from llmarch_cli.deployment.bounds import Bound, Setting
from llmarch_cli.deployment.chips import Chip, Machines
from llmarch_cli.deployment.chips import machines as machines_of
from llmarch_cli.deployment.engines import EngineView
from llmarch_cli.deployment.layouts import DeviceBytes, Division, Layout
from llmarch_cli.deployment.loads import Model
from llmarch_cli.errors import InputError, shown, unknown
from llmarch_cli.profilers.cost import Workload
from llmarch_cli.profilers.profile import MAX_BATCH, MAX_CONTEXT, require
from llmarch_cli.report.units import binary_bytes, share
from llmarch_cli.specs.spec import ModelSpec

RESERVE = Fraction(1, 10)
MOST_DEVICES = 1024  # for the fewest devices that hold a model
MOST_SKEW = 10
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
        pages, windows, pad_vocab, pad_heads: what an engine keeps besides, as in `EngineView`.
    """

    workload: Workload
    batch: int | None = None
    sizes: Mapping[str, int | bool] = field(default_factory=dict)
    reserve: Fraction = RESERVE
    compute: str | None = None
    skew: float = 0.0
    price: Fraction | None = None
    pages: int | None = None
    windows: str | None = None
    pad_vocab: int | None = None
    pad_heads: int | None = None

    @property
    def engine_view(self) -> EngineView:
        """What an engine keeps besides. Raises InputError for a number out of range and for unknown words."""
        return EngineView(self.pages, self.windows, self.pad_vocab, self.pad_heads)


@dataclass(frozen=True, slots=True)
class Option:
    """A layout: the most sequences that fit, tokens a second of one alone, and of all that fit, at most."""

    layout: Layout
    most_sequences: int
    alone: Fraction
    rate: Fraction

    def beats(self, other: Option) -> bool:
        """Whether it is nowhere worse than another one, and not its equal."""
        pairs = ((self.most_sequences, other.most_sequences), (self.alone, other.alone), (self.rate, other.rate))
        return any(own != its for own, its in pairs) and all(own >= its for own, its in pairs)


def reserved(chip: Chip, question: Question) -> int:
    """Bytes of a device that are left free, rounded up."""
    return -int(-(chip.memory_bytes * question.reserve) // 1)


class Sizes:
    """What devices hold and read of one model, by layout: computed once for all machines. Raises as `Division`."""

    def __init__(self, spec: ModelSpec, question: Question) -> None:
        require(question.workload)
        self.spec, self.question = spec, question
        self.division = Division(spec, question.workload.weights, question.engine_view)
        self.model = Model(spec, question.workload)
        self._held: dict[tuple[int, ...], tuple[DeviceBytes, ...]] = {}
        self._lines: dict[Layout, set[tuple[int, int]]] = {}  # of stages: bytes of weights, and of one sequence
        self._in_one_stage: dict[tuple[int, int, int, bool], DeviceBytes] = {}
        self._layouts: dict[tuple[int, int], list[Layout]] = {}

    def held(self, layout: Layout, context: int | None = None) -> tuple[DeviceBytes, ...]:
        """The bytes of each stage's device with one sequence in each group. Raises InputError as `per_device`."""
        at = self.question.workload.context if context is None else context
        # With one sequence each, replicas are alike, however many there are.
        key = (layout.tp, layout.pp, layout.ep, layout.cp, layout.dp_attention, at)
        if key not in self._held:
            workload = replace(self.question.workload, context=at, batch=n_groups(layout))
            self._held[key] = self.division.per_device(workload, layout).stages
        return self._held[key]

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
        if found and not sizes:
            return found
        chosen = [each for each in found if all(getattr(each, name) == size for name, size in sizes.items())]
        if chosen:
            return chosen
        if "tp" in sizes:
            tp, whole = int(sizes["tp"]), bool(sizes.get("dp_attention", False))
            self.division.per_device(self.question.workload, Layout(tp, dp_attention=whole))  # says what cannot be cut
        words = ", ".join(f"{name} {shown(size)}" for name, size in sizes.items())
        known = (f"{name} {_listed({getattr(each, name) for each in found})}" for name in sizes)
        raise InputError(
            f"{self.spec.id}: no layout of {machines} has {words}; there can be {'; '.join(known)}"
            if found
            else f"{self.spec.id}: no layout divides it over {machines}"
        )

    def most_sequences(self, layout: Layout, room: int) -> int:
        """The most sequences that fit into `room` bytes of each device."""
        if layout not in self._lines:
            stages = self.held(layout)
            self._lines[layout] = {(stage.weights, stage.total - stage.weights) for stage in stages}
        each = MAX_BATCH
        for weights, sequence in self._lines[layout]:
            if weights > room:
                return 0
            if sequence:
                each = min(each, (room - weights) // sequence)
        return min(each * n_groups(layout), MAX_BATCH)

    def in_one_stage(self, layout: Layout, n_sequences: int) -> int:
        """The bytes of the fullest device with so many sequences in all, if one stage had all layers."""
        key = (layout.tp, layout.ep, layout.cp, layout.dp_attention)
        if key not in self._in_one_stage:
            (self._in_one_stage[key],) = self.held(replace(layout, pp=1))
        held, each = self._in_one_stage[key], -(-n_sequences // n_groups(layout))
        return held.weights + (held.cache + held.state) * each

    def needed(self, layout: Layout, n_sequences: int, context: int | None = None) -> int:
        """The bytes of the fullest device with so many sequences in all."""
        return _fullest(self.held(layout, context), -(-n_sequences // n_groups(layout))).total

    def longest_context(self, layout: Layout, room: int) -> int | None:
        """The longest context of a sequence alone, at most the model's window; None if nothing fits."""
        last = self.spec.context_length or MAX_CONTEXT
        ends = {context: self.needed(layout, 1, context) for context in {1, last}}
        if ends[last] <= room:
            return last
        if ends[1] > room:
            return None
        below, above, by_half = 1, last, False
        while above - below > 1:
            # Bytes grow almost evenly: a straight line between the ends is near. Halves make sure of an end.
            share = (above - below) * (room - ends[below]) // (ends[above] - ends[below])
            middle = (below + above) // 2 if by_half else min(max(below + share, below + 1), above - 1)
            ends[middle] = self.needed(layout, 1, middle)
            below, above = (middle, above) if ends[middle] <= room else (below, middle)
            by_half = not by_half
        return below


def _listed(sizes: Iterable[int | bool]) -> str:
    return " or ".join(shown(size) for size in sorted(sizes))


def _fullest(held: Iterable[DeviceBytes], each: int) -> DeviceBytes:
    """The device that holds most, with `each` sequences in a group instead of one."""
    devices = (DeviceBytes(device.weights, device.cache * each, device.state * each) for device in held)
    return max(devices, key=lambda device: device.total)


def n_groups(layout: Layout) -> int:
    """In how many groups of devices whole sequences are kept apart."""
    return layout.dp * (layout.tp if layout.dp_attention else 1)


@dataclass(frozen=True)
class Fit:
    """A model on machines, in its best layout.

    Attributes:
        held: bytes of the device that holds most, for `batch` sequences; for the fewest if it does not fit.
        batch: sequences: those asked for, or the most; 0 if it does not fit.
        most_sequences: how many fit at the context.
        missing: bytes that a device lacks; 0 if everything fits.
    """

    sizes: Sizes
    machines: Machines
    setting: Setting
    held: DeviceBytes
    batch: int
    most_sequences: int
    missing: int

    @property
    def spec(self) -> ModelSpec:
        """The model."""
        return self.sizes.spec

    @property
    def question(self) -> Question:
        """What was asked."""
        return self.sizes.question

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
    def room(self) -> int:
        """Bytes of a device that are not reserved."""
        return self.memory - self.reserve

    @property
    def free(self) -> int:
        """Bytes that nothing takes."""
        return max(0, self.room - self.held.total)

    @cached_property
    def longest_context(self) -> int | None:
        """Tokens of a sequence alone, at most the model's own window; None if not one token fits."""
        return self.sizes.longest_context(self.layout, self.room)

    @cached_property
    def fewest_devices(self) -> int | None:
        """Of this chip, in any layout, for the sequences asked for, or for one; None beyond 1,024."""
        return fewest_devices(self.sizes, self.machines.chip, self.room, self.question.batch or 1)

    @cached_property
    def options(self) -> tuple[Option, ...]:
        """The layouts that fit and that no other beats, those with most sequences first."""
        return tuple(_options(self))

    @cached_property
    def step(self) -> Bound | None:
        """The least time of a decode step of `batch` sequences; None if it does not fit."""
        return bounds.decode_step(self.sizes.model, self.setting, self.batch) if self.batch else None

    @cached_property
    def prompt(self) -> Bound | None:
        """The least time of one prompt: to the first token."""
        return bounds.prompt(self.sizes.model, self.setting) if self.batch else None

    @cached_property
    def compute_batch(self) -> int | None:
        """The least batch at which a step takes longer to compute than to read; None if none does."""
        return bounds.compute_bound_batch(self.sizes.model, self.setting)

    @cached_property
    def user_rate(self) -> Fraction | None:
        """Tokens a second of one sequence, at most."""
        return None if self.step is None else 1 / self.step.seconds

    @cached_property
    def rate(self) -> Fraction | None:
        """Tokens a second of all sequences, at most."""
        return None if self.user_rate is None else self.user_rate * self.batch

    @property
    def device_rate(self) -> Fraction | None:
        """Tokens a second of all sequences for each device, at most."""
        return None if self.rate is None else self.rate / self.machines.n_devices

    @property
    def cost(self) -> Fraction | None:
        """The price of a million decoded tokens, at least."""
        if self.rate is None or self.question.price is None:
            return None
        return self.question.price * self.machines.n_devices * MILLION / (HOUR * self.rate)


def fit(sizes: Sizes, machines: Machines) -> Fit:
    """A model on machines, in the best of the layouts that are asked for.

    That is the one with the most sequences; among equals, and for a given batch, the one that may decode most tokens a
    second. If nothing fits, it is the one whose fullest device lacks least. Raises InputError for an impossible layout.
    """
    question = sizes.question
    room = machines.chip.memory_bytes - reserved(machines.chip, question)
    if question.compute is not None:
        machines.chip.peak_of(question.compute)  # raises if there is none
    dtype = question.compute or bounds.compute_dtype(sizes.spec, question.workload.weights, machines)
    least = question.batch or 1
    candidates = sizes.candidates(machines)
    counted = [(sizes.most_sequences(layout, room), layout) for layout in candidates]
    most = max(count for count, _ in counted)
    enough = most if question.batch is None else least
    good = [layout for count, layout in counted if count >= enough] if most >= least else []
    batch = (question.batch or most) if good else 0

    def setting(layout: Layout) -> Setting:
        return Setting(machines, layout, dtype, question.skew)

    def merit(layout: Layout) -> tuple[Fraction, Fraction]:
        step = bounds.decode_step(sizes.model, setting(layout), batch)
        return -step.seconds, -(step.link or Fraction(0))

    def lacking(layout: Layout) -> int:
        return sizes.needed(layout, least) - room

    best = max(good, key=merit) if len(good) > 1 else good[0] if good else min(candidates, key=lacking)
    held = _fullest(sizes.held(best), -(-(batch or least) // n_groups(best)))
    count = sizes.most_sequences(best, room)
    return Fit(sizes, machines, setting(best), held, batch, count, 0 if good else lacking(best))


def fits(specs: Sequence[ModelSpec], machines: Sequence[Machines], question: Question) -> list[Fit]:
    """Each model on each of the machines.

    Raises InputError for a question that is out of range and an impossible layout, and if nothing fits anywhere: then
    with the bytes that are missing.
    """
    require_question(question)
    found = [fit(sizes, each) for sizes in (Sizes(spec, question) for spec in specs) for each in machines]
    if found and all(each.missing for each in found):
        nearest = min(found, key=lambda each: each.missing)
        many = question.batch or 1
        few = nearest.fewest_devices
        raise InputError(
            f"{nearest.spec.id} does not fit on {nearest.machines}: {many:,} sequence{'s' * (many > 1)} of"
            f" {question.workload.context:,} tokens in the best layout ({nearest.layout.words}) lack"
            f" {binary_bytes(nearest.missing)} ({nearest.missing:,} bytes) on a device"
            f"{'' if few is None else f'; {few:,} devices hold it'}"
        )
    return found


def most_sequences(spec: ModelSpec, on: str, workload: Workload) -> int:
    """The most sequences that fit on machines such as `8xh200`, with the usual reserve, in any layout.

    Raises InputError for unknown machines, and if no layout divides the model.
    """
    sizes, where = Sizes(spec, Question(workload)), machines_of(on)
    room = where.chip.memory_bytes - reserved(where.chip, sizes.question)
    return max(sizes.most_sequences(layout, room) for layout in sizes.candidates(where))


def require_question(question: Question) -> None:
    """Raise InputError for a number that is out of range."""
    if question.batch is not None and not 1 <= question.batch <= MAX_BATCH:
        raise InputError(f"batch must be a whole number from 1 to {MAX_BATCH:,}, not {shown(question.batch)}")
    if not 0 <= question.reserve < 1:
        raise InputError(f"the reserve must be from 0% to less than 100%, not {share(question.reserve)}")
    if not 0 <= question.skew <= MOST_SKEW:
        raise InputError(f"the skew must be from 0 to {MOST_SKEW}, not {shown(question.skew)}")
    if question.price is not None and question.price < 0:
        raise InputError(f"the price must not be below 0, not {float(question.price):g}")
    known = [each.name for each in fields(Layout)]
    for name in question.sizes:
        if name not in known:
            raise InputError(unknown("size of a layout", name, known))


def _options(found: Fit) -> Iterator[Option]:
    """The layouts that no other beats; of equals, the first."""
    sizes, best = found.sizes, found.setting
    options: dict[tuple[int, Fraction, Fraction], Option] = {}
    for layout in sizes.candidates(found.machines):
        most = sizes.most_sequences(layout, found.room)
        if most >= (found.question.batch or 1):
            setting = replace(best, layout=layout)
            alone, together = (bounds.decode_step(sizes.model, setting, n).seconds for n in (1, most))
            option = Option(layout, most, 1 / alone, most / together)
            options.setdefault((option.most_sequences, option.alone, option.rate), option)
    for option in sorted(options.values(), key=lambda each: (-each.most_sequences, -each.rate)):
        if not any(other.beats(option) for other in options.values()):
            yield option


def fewest_devices(sizes: Sizes, chip: Chip, room: int, n_sequences: int) -> int | None:
    """The fewest devices that hold the model with so many sequences, in any layout; None beyond 1,024."""
    (whole,) = sizes.held(Layout())
    least = whole.weights + (whole.total - whole.weights) * n_sequences

    def fits(layout: Layout) -> bool:
        # Together, a device of each stage holds no less than one with all layers, which many layouts have in common.
        whole = sizes.in_one_stage(layout, n_sequences)
        return whole <= room * layout.pp and sizes.most_sequences(layout, room) >= n_sequences

    for per_node, n_devices in _nodes(chip, max(1, -(-least // room))):
        # Those without copies are few, and one of them fits in most cases: then the others need not be listed.
        few = sizes.division.layouts(n_devices, per_node, sizes.question.workload, with_copies=False)
        if any(map(fits, few)) or any(map(fits, sizes.layouts(n_devices, per_node))):
            return n_devices
    return None


def _nodes(chip: Chip, start: int) -> Iterator[tuple[int, int]]:
    """Devices in a node, and in all: any number in one node, then whole nodes."""
    peers = chip.peers or 1
    for n_devices in range(start, min(peers, MOST_DEVICES) + 1):
        yield n_devices, n_devices
    for n_nodes in range(max(2, -(-start // peers)), MOST_DEVICES // peers + 1):
        yield peers, n_nodes * peers
