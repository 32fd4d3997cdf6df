"""The table that a benchmark prints, line by line as it measures."""

from __future__ import annotations

from dataclasses import dataclass, field

GOAL = 5 / 6  # of the bound, unless a line has a goal of its own: room for a machine of another kind
WIDTH = 58  # of the first column


@dataclass
class Lines:
    """The lines printed so far.

    Attributes:
        exceeded: the names of those above their bounds.
        notes: what is printed below the table.
    """

    exceeded: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def head(self) -> None:
        """Print the headings."""
        print(f"{'':{WIDTH}} {'measured':>9} {'bound':>9} {'goal':>9}", flush=True)

    def measured(self, name: str, value: float, bound: float, goal: float | None = None) -> None:
        """Print a value beside its bound and goal."""
        aim = bound * GOAL if goal is None else goal
        verdict = "goal reached" if value <= aim else "ok" if value <= bound else "EXCEEDED"
        if value > bound:
            self.exceeded.append(name)
        print(f"{name:{WIDTH}} {value:9.3f} {bound:9.3f} {aim:9.3f}  {verdict}", flush=True)

    def beside(self, name: str, value: float, ours: float) -> None:
        """Print another tool's value, which has neither bound nor goal, and who has the smaller one."""
        print(f"{name:{WIDTH}} {value:9.3f} {'':9} {'':9}  {_smaller(value, ours)}", flush=True)

    def missing(self, name: str) -> None:
        """Print that another tool is not there."""
        print(f"{name:{WIDTH}} not installed", flush=True)

    def foot(self) -> None:
        """Print the notes."""
        for note in self.notes:
            print(f"- {note}", flush=True)


def _smaller(theirs: float, ours: float) -> str:
    if theirs < ours:
        return f"smaller than ours, which is {ours / theirs:.2f} x"
    return f"larger than ours, {theirs / ours:.2f} x"
