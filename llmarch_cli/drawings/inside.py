"""The inside of a sublayer's box: its steps from the bottom up, and the boxes of its experts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from llmarch_cli.components.inside import Inside, Paths, Step
from llmarch_cli.drawings.facts import ROUTER, Pool
from llmarch_cli.drawings.nodes import Label, Node, Panel, Vertical
from llmarch_cli.drawings.shapes import Box, Line, Shape
from llmarch_cli.report.units import setting

SMALLEST = 6.8  # font size that is still legible on a slide
PADDING = 6.0  # inside a component's box
ARROW = 9.0  # height of the lines between two boxes
OUTLET = 8.0  # height of the arrow out of the last one
EDGE = 4.0  # inside the box of an expert
ROLES = {"made": "step", "function": "function", "kept": "kept", "norm": "norm", "left": "kept"}


Point = tuple[float, float]


@dataclass(frozen=True)
class Chain:
    """Boxes and forks from the bottom up, each of which reads what is below it."""

    links: Sequence[Node | Fork]
    reads: bool = True  # the input; not what another layer left

    @cached_property
    def width(self) -> float:
        return max(link.width for link in self.links)

    @cached_property
    def height(self) -> float:
        return sum(map(_rise, self.links))

    @property
    def begins_with_fork(self) -> bool:
        return isinstance(self.links[0], Fork)

    def ends(self, x: float, y: float) -> list[Point]:
        """The points at its top that what follows it reads, with its lower left corner at (x, y)."""
        middle, last = x + self.width / 2, self.links[-1]
        if isinstance(last, Fork):
            return last.ends(middle - last.width / 2, y + self.height - last.height)
        return [(middle, y + self.height)]

    def place(self, x: float, y: float, tops: Sequence[Point], is_led: bool = False) -> Iterator[Shape]:
        """Its shapes; it reads what ends in `tops`. If it `is_led`, the line into its first box is drawn already."""
        middle = x + self.width / 2
        for number, link in enumerate(self.links):
            left = middle - link.width / 2
            if isinstance(link, Fork):
                yield from link.place(left, y, tops[0])
                tops = link.ends(left, y)
            else:
                if number or not is_led:
                    yield from (Line((top, (top[0], y + ARROW)), arrow=True) for top in tops)
                yield from link.place(left, y + ARROW)
                tops = [(middle, y + _rise(link))]
            y += _rise(link)


@dataclass(frozen=True)
class Fork:
    """Paths beside each other that read the same point."""

    paths: Sequence[Chain]
    lead: float = 0.0  # height of the line from a box below to where lines part

    GAP = 7.0
    LEAD = 3.0  # such a height
    SPLIT = ARROW / 4

    @cached_property
    def width(self) -> float:
        return sum(path.width for path in self.paths) + self.GAP * (len(self.paths) - 1)

    @cached_property
    def height(self) -> float:
        return max(path.height + self._base(path) for path in self.paths)

    def _base(self, path: Chain) -> float:
        """How far above the fork a path begins: lines that part twice do so at two heights."""
        return self.lead + (self.SPLIT if path.begins_with_fork else 0.0)

    def _lefts(self, x: float) -> Iterator[tuple[Chain, float]]:
        for path in self.paths:
            yield path, x
            x += path.width + self.GAP

    def ends(self, x: float, y: float) -> list[Point]:
        """As of a chain."""
        return [end for path, left in self._lefts(x) for end in path.ends(left, y + self._base(path))]

    def place(self, x: float, y: float, top: Point) -> Iterator[Shape]:
        """Its shapes; all paths read what ends in `top`."""
        middle, split = x + self.width / 2, y + self.lead + self.SPLIT
        yield Line((top, (middle, split)))
        for path, left in self._lefts(x):
            centre = left + path.width / 2
            if not path.reads:
                yield from path.place(left, y + self.lead, (), is_led=True)
            elif path.begins_with_fork:
                yield Line(((middle, split), (centre, split)))
                yield from path.place(left, split, [(centre, split)])
            else:
                yield Line(((middle, split), (centre, split), (centre, y + self.lead + ARROW)), arrow=True)
                yield from path.place(left, y + self.lead, (), is_led=True)


def _rise(link: Node | Fork) -> float:
    """The height of a link with the line into it."""
    return link.height if isinstance(link, Fork) else link.height + ARROW


@dataclass(frozen=True)
class Steps:
    """The inside of a box, with a line into it from `below` and an arrow out of it."""

    chain: Chain
    below: float = PADDING

    @property
    def width(self) -> float:
        return self.chain.width

    @property
    def height(self) -> float:
        return self.chain.height + OUTLET

    def place(self, x: float, y: float) -> Iterator[Shape]:
        middle = x + self.width / 2
        yield from self.chain.place(x, y, [(middle, y - self.below)])
        (end,) = self.chain.ends(x, y)
        yield Line((end, (middle, end[1] + OUTLET)), arrow=True)


@dataclass(frozen=True)
class Words:
    """What the boxes of a component say.

    Attributes:
        settings: the words of its fields.
        norms: of its norms, by the names of their parts.
        boxes: of components inside it, by the names of their parts.
        axis: the first word of topics.
        within: its title.
    """

    settings: Mapping[str, str]
    norms: Mapping[str, str]
    boxes: Mapping[str, Node]
    axis: str
    within: str


def steps(inside: Inside, words: Words, below: float = PADDING) -> Steps:
    """The boxes of `inside`, with the settings of the fields that they name."""
    return Steps(_chain(inside, words), below)


def _chain(inside: Inside, words: Words) -> Chain:
    links: list[Node | Fork] = []
    for each in inside:
        if isinstance(each, Paths):
            links.append(Fork([_chain(path, words) for path in each.paths], Fork.LEAD if links else 0.0))
        elif each.sort == "inside":
            links.append(words.boxes[each.name])
        else:  # as wide as the paths that it reads
            links.append(_box(each, words, links[-1].width if links and isinstance(links[-1], Fork) else 0.0))
    first = inside[0]
    return Chain(links, isinstance(first, Paths) or first.sort != "left")


def _box(step: Step, words: Words, least: float) -> Panel:
    def label(text: str, topic: str, size: float, role: str = "text") -> Label:
        return Label(text, 92, size, role, topic=f"{words.axis} {topic}", within=words.within)

    is_norm = step.sort == "norm"
    said = [label(words.norms[step.name] if is_norm else step.name, "norm" if is_norm else "step", 7.2)]
    settings = (setting(words.settings[field]) for field in step.fields if field in words.settings)
    said += [label(text, "setting", SMALLEST, "muted") for text in settings]
    said += [label(step.note, f"note on {step.name}", SMALLEST, "muted")] * bool(step.note)
    return Panel(Vertical(said, gap=1.5), ROLES[step.sort], step.name, padding=3.5, least=least, rounded=3)


@dataclass(frozen=True)
class Cells:
    """A box for each expert that is drawn, in rows from the top."""

    pool: Pool

    CELL, GAP, COLUMNS, ROOM = 8.5, 2.5, 16, 60.0

    @cached_property
    def _columns(self) -> int:
        return min(self.pool.n_boxes, self.COLUMNS)

    @cached_property
    def _wide(self) -> float:
        """The width of a box: few are wider, so that they are seen."""
        return max(self.CELL, min(2 * self.CELL, (self.COLUMNS * self.CELL) / self._columns))

    @cached_property
    def width(self) -> float:
        return self._columns * (self._wide + self.GAP) - self.GAP

    @cached_property
    def height(self) -> float:
        return -(-self.pool.n_boxes // self._columns) * (self.CELL + self.GAP) - self.GAP

    def place(self, x: float, y: float) -> Iterator[Shape]:
        lit = self.pool.lit
        for number in range(self.pool.n_boxes):
            row, column = divmod(number, self._columns)
            left, top = x + column * (self._wide + self.GAP), y + self.height - row * (self.CELL + self.GAP)
            role = "chosen" if number in lit else "idle"
            yield Box(left, top - self.CELL, self._wide, self.CELL, role, f"expert {role}", rounded=1.5)


@dataclass(frozen=True)
class ExpertPool:
    """A router, the experts with those chosen for one token lit, and what each of them computes."""

    pool: Pool
    expert: Steps | None  # what one expert computes
    axis: str
    within: str
    is_alone: bool  # no branch beside it: it draws its own arrows in and out

    @cached_property
    def _nodes(self) -> list[Panel]:
        """From the bottom up."""
        note = [Label(self.pool.note, 200, SMALLEST, "muted")]  # the router's words tell of differences
        cells = Panel(Vertical([Cells(self.pool), *note * bool(self.pool.note)], gap=3), "inner", "experts", padding=5)
        words = Label(self.pool.words, 400, 8, topic=f"{self.axis} router", within=self.within)
        nodes = [Panel(words, "router", ROUTER, padding=4, least=cells.width), cells]
        if self.expert is not None:
            title = Label("each expert that is chosen", 200, 7.2)
            nodes.append(
                Panel(Vertical([title, self.expert], gap=5), "inner", "expert", padding=EDGE, least=cells.width)
            )
        return nodes

    @cached_property
    def width(self) -> float:
        return max(node.width for node in self._nodes)

    @cached_property
    def height(self) -> float:
        return sum(node.height + ARROW for node in self._nodes) - ARROW + OUTLET

    def place(self, x: float, y: float) -> Iterator[Shape]:
        centre, end = x + self.width / 2, y + self.height
        if self.is_alone:
            yield Line(((centre, y - PADDING), (centre, y)))
        for number, node in enumerate(self._nodes):
            if number:
                yield Line(((centre, y), (centre, y + ARROW)), arrow=True)
                y += ARROW
            yield from node.place(centre - node.width / 2, y)
            y += node.height
        yield Line(((centre, y), (centre, end)), arrow=self.is_alone)
