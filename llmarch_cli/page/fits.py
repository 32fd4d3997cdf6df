"""What the page needs to say at any context which models fit on devices, and how fast they can be at best.

Everything that a layout decides is computed here, by `deployment`: what each device holds, reads and sends. What is
left to the page is the rows in view at a context, and which layout is best there, as `deployment.fit.fit` chooses it.

Tables are text: numbers with a space between them, and a separator between rows. That is small, and exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cache
from math import lcm
from typing import Any

from llmarch_cli.components.cache import Rows, State, View
from llmarch_cli.components.shards import Shard
from llmarch_cli.deployment import bounds, loads
from llmarch_cli.deployment.chips import Chip, Machines, chip, chips
from llmarch_cli.deployment.division import share_of_entry
from llmarch_cli.deployment.fit import Question, Sizes, n_groups, reserved
from llmarch_cli.deployment.layouts import Layout, stages
from llmarch_cli.errors import InputError
from llmarch_cli.page.data import Once
from llmarch_cli.profilers.closed_form import entry_cost
from llmarch_cli.profilers.cost import Workload
from llmarch_cli.profilers.profile import MAX_BATCH, Profile
from llmarch_cli.report.formats.grid import one_line
from llmarch_cli.report.units import share
from llmarch_cli.specs.spec import Item
from llmarch_cli.specs.storage import NATIVE, PLAIN

N_DEVICES = (1, 2, 4, 8)  # of one node
FIRST = ("h100", 8)  # what the page shows first


@dataclass(frozen=True)
class Fits:
    """What the page needs.

    Attributes:
        settings: the chips, and the layouts of all models.
        tables: of each model; or why no device can hold it.
        note: what the figures assume, in words.
    """

    settings: dict[str, Any]
    tables: list[dict[str, str]]
    note: str

    def packed(self, known: Once) -> list[dict[str, str]]:
        """The tables, with the number of each one's text instead of it; `known` then has the texts."""
        return [
            table if "error" in table else {name: known.add(text) for name, text in table.items()}
            for table in self.tables
        ]


def fits(profiles: Sequence[Profile]) -> Fits:
    """What the page needs of all models."""
    machines = [chip(name) for name in chips()]
    shapes: dict[Layout, int] = {}
    tables = [_table(profile, shapes, machines) for profile in profiles]
    return Fits(_settings(profiles[0], shapes, machines), tables, _note(profiles[0]))


def _settings(profile: Profile, shapes: Iterable[Layout], machines: Sequence[Chip]) -> dict[str, Any]:
    question = Question(_workload(profile))
    return {
        "chips": [
            {
                "id": each.id,
                "name": each.name,
                "peers": None if each.peers is None else str(each.peers),
                "bandwidth": str(each.bandwidth),
                "room": str(each.memory_bytes - reserved(each, question)),
            }
            for each in machines
        ],
        "numbers": [str(number) for number in N_DEVICES],
        "shapes": ";".join(_row((each.tp, each.pp, each.dp, each.ep, each.cp, each.dp_attention)) for each in shapes),
        "words": [each.words for each in shapes],
        "most": str(MAX_BATCH),
        "first": {"chip": FIRST[0], "number": str(FIRST[1])},
    }


def _note(profile: Profile) -> str:
    workload = _workload(profile)
    weights = "weights as published" if workload.weights == NATIVE else f"{workload.weights} weights"
    states = f", {workload.state_dtype} states" if workload.state_dtype else ""
    return (
        f"As from llmarch fit, on devices of one node: {workload.kv_dtype} cache{states}, {weights}, and"
        f" {share(Question(workload).reserve)} of each device left free. The layout is the one in which most sequences"
        " fit; of equals, the one with most tokens/s. Weights are of the device that holds most. Tokens/s are of all"
        " sequences together and a bound: real systems are slower. tp, pp, dp, ep and cp devices divide matrices,"
        " layers, sequences, experts and the rows of a cache."
    )


def _workload(profile: Profile) -> Workload:
    """The page's workload with one sequence; weights as published unless another format is asked for."""
    asked = profile.workload
    return replace(asked, batch=1, prompt=None, prefix=0, weights=NATIVE if asked.weights == PLAIN else asked.weights)


def _row(numbers: Iterable[int]) -> str:
    return " ".join(str(int(number)) for number in numbers)


@dataclass
class _Rows:
    """Rows of a table, each once."""

    numbers: dict[str, int] = field(default_factory=dict)

    def add(self, row: str) -> int:
        """The number of a row."""
        return self.numbers.setdefault(row, len(self.numbers))

    def __str__(self) -> str:
        return ";".join(self.numbers)


def _table(profile: Profile, shapes: dict[Layout, int], machines: Sequence[Chip]) -> dict[str, str]:
    try:
        return _Tables(Sizes(profile.spec, Question(_workload(profile))), shapes).written(machines)
    except InputError as error:
        return {"error": one_line(str(error))}


class _Tables:
    """The tables of one model; new layouts are added to `shapes`."""

    def __init__(self, sizes: Sizes, shapes: dict[Layout, int]) -> None:
        self.sizes, self.shapes = sizes, shapes
        self.workload = sizes.question.workload
        self.parts: dict[int, list[tuple[range, list[Item]]]] = {}
        self.views, self.holds, self.reads, self.sends = _Rows(), _Rows(), _Rows(), _Rows()
        self._kept: dict[tuple[str, int, int], dict[View, int]] = {}
        self._listed: dict[str, list[tuple[Rows, tuple[View, ...], Shard | None]]] = {}
        self._rows: dict[Rows | State, int] = {}
        self._found: dict[tuple[object, ...], int] = {}

    def written(self, machines: Sequence[Chip]) -> dict[str, str]:
        """All of them as text."""
        layouts = [
            _row((self.shapes.setdefault(layout, len(self.shapes)), *self._numbers(layout)))
            for number in N_DEVICES
            for layout in self.sizes.layouts(number, number)
        ]
        flops = self.sizes.model.flops
        return {
            "views": str(self.views),
            "holds": str(self.holds),
            "reads": str(self.reads),
            "sends": str(self.sends),
            "layouts": ";".join(layouts),
            "flops": _row((flops.experts, flops.others)),
            "peaks": _row(self._peak(Machines(each)) for each in machines),
        }

    def _peak(self, machines: Machines) -> int:
        """FLOPs a second in the dtype that the weights imply; 0 if none is known."""
        dtype = bounds.compute_dtype(self.sizes.spec, self.workload.weights, machines)
        return bounds.peak_of(machines, dtype) or 0

    def _numbers(self, layout: Layout) -> Iterator[int]:
        """The rows of `holds`, `reads` and `sends` that belong to a layout."""
        tp, pp, ep, cp, whole = layout.tp, layout.pp, layout.ep, layout.cp, layout.dp_attention
        yield self._number(self.holds, self._held, layout, tp, pp, ep, whole)
        yield self._number(self.reads, self._read, layout, tp, ep, whole)
        yield self._number(self.sends, self._sent, layout, tp, pp, ep, cp, whole)

    def _number(self, rows: _Rows, row: Callable[[Layout], str], layout: Layout, *by: int) -> int:
        key = (row.__name__, *by)
        if key not in self._found:
            self._found[key] = rows.add(row(layout))
        return self._found[key]

    def _held(self, layout: Layout) -> str:
        """Of each stage and each kind of device in it: bytes of weights and states, and of a row of each view."""
        division = self.sizes.division
        workload = replace(self.workload, batch=n_groups(layout))
        ranks = range(layout.tp) if division.ranks_differ(layout) else range(1)
        found: dict[str, None] = {}
        for layers, items in self._stages(layout.pp):
            devices: dict[str, None] = {}
            for rank in ranks:
                own = division.of_rank(layers, items, workload, layout, rank)
                kept: dict[int, int] = {}
                for item in items:
                    n_sequences = layout.tp if layout.dp_attention and item.role != "attention" else 1
                    for view, n_bytes in self._rows_of(item, layout.tp_of(item), rank).items():
                        number = self._view(view)
                        kept[number] = kept.get(number, 0) + n_bytes * item.count * n_sequences
                devices[_row((own.weights, own.state, *_pairs(kept)))] = None
            found["|".join(devices)] = None
        return ",".join(found)

    def _stages(self, pp: int) -> list[tuple[range, list[Item]]]:
        if pp not in self.parts:
            layers = stages(self.sizes.spec.n_layers, pp)
            self.parts[pp] = list(zip(layers, self.sizes.spec.stages(layers), strict=True))
        return self.parts[pp]

    def _entries(self, item: Item) -> list[tuple[Rows, tuple[View, ...], Shard | None]]:
        """The rows that a component caches, with the views through which a token meets them."""
        if item.label not in self._listed:
            entries = loads.entries_in(item.component)
            self._listed[item.label] = [
                (entry, around, shard) for entry, around, shard in entries if isinstance(entry, Rows)
            ]
        return self._listed[item.label]

    def _rows_of(self, item: Item, tp: int, rank: int) -> dict[View, int]:
        """The bytes of one row of each view that a device caches of one sequence, in one layer."""
        key = item.label, tp, rank
        if key not in self._kept:
            kept: dict[View, int] = {}
            for entry, _, shard in self._entries(item):
                row = self._row_bytes(share_of_entry(entry, shard, tp, rank))
                kept[entry.view] = kept.get(entry.view, 0) + row
            self._kept[key] = kept
        return self._kept[key]

    def _read(self, layout: Layout) -> str:
        """What a device reads in a step: bytes by sort, and of each stack of experts their number, choice and bytes."""
        of = self.sizes.model.reads(layout)
        seen: dict[int, int] = {}
        for item in self.sizes.model.items:
            for entry, around, shard in self._entries(item):
                row = self._row_bytes(share_of_entry(entry, shard, layout.tp_of(item), 0))
                number = self._view(entry.view, *(view for view in around if view.stride == entry.view.stride))
                seen[number] = seen.get(number, 0) + row * item.count
        stacks = [_row((each.n_experts, each.top_k, each.n_bytes)) for each in of.stacks]
        return "|".join([_row((of.attention, of.others, of.rows, of.tables, of.state, *_pairs(seen))), *stacks])

    def _sent(self, layout: Layout) -> str:
        """What a device sends for one token that it sees, that it attends for, and that chooses experts; in shares."""
        setting = bounds.Setting(Machines(_linked(), 1, layout.n_devices), layout, PLAIN)
        one = bounds.step_tokens(layout, 1)
        sent = {each.name: each.seconds or Fraction(0) for each in bounds.exchanged(self.sizes.model, setting, one)}
        attended, routed = (sent.pop(name, Fraction(0)) for name in ("context parallel", "expert parallel"))
        of = (sum(sent.values(), Fraction(0)), attended, routed)
        parts = lcm(*(each.denominator for each in of))
        return _row((*(int(each * parts) for each in of), parts))

    def _row_bytes(self, entry: Rows | State) -> int:
        if entry not in self._rows:
            self._rows[entry] = entry_cost(entry, self.workload, _one_row).kv_cache_bytes
        return self._rows[entry]

    def _view(self, *views: View) -> int:
        """The number of a set of views: the fewest rows in any of them count."""
        return self.views.add(",".join(sorted({_row((view.span or 0, view.stride)) for view in views})))


def _one_row(_view: View, _context: int) -> int:
    return 1


def _pairs(kept: dict[int, int]) -> Iterable[int]:
    return (number for pair in sorted(kept.items()) for number in pair)


@cache
def _linked() -> Chip:
    """A chip whose link has a known rate. Which does not matter: the page compares layouts of the same devices."""
    return chip(FIRST[0])
