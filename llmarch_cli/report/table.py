"""A table of exact values with its columns: what every report is made of, and what every renderer takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

from llmarch_cli.report.units import Delta, Unit, Value

if TYPE_CHECKING:
    import pandas as pd

MAX_SIDE_BY_SIDE = 3  # more rows than this do not stand beside one another

# always; where any row has such a value; in data only (CSV, JSON, pandas); for reading only (terminal, Markdown)
Shown = Literal["always", "if any", "data", "reading"]

Plain = int | str | bool | float | None


@dataclass(frozen=True)
class Column:
    """One figure or fact of every row.

    Attributes:
        key: its name in data, with the unit where it has one.
        title: its heading, for reading.
        group: columns of one group stand together.
        convention: what exactly is counted, in a sentence.
    """

    key: str
    title: str
    unit: Unit
    convention: str = ""
    shown: Shown = "always"
    group: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of exact values. The first column says what a row is about.

    Attributes:
        name: what the rows are, in JSON.
        rows: values by column key: integers, decimal numbers, text, truth values, dates, ratios of two integers, what
            became of any of these, None where unknown.
        title: a heading, for reading.
        notes: what holds for all rows, for reading.
        side_by_side: up to three rows are read as columns, to compare them.
        may_drop: keys that a narrow terminal leaves out, first the first, before it folds anything.
        total: a last row for reading; data sums up by itself.
        bar: the key that a terminal with room draws as bars.
        main: the table that stands for a whole report where only one can be written.
        named_by: keys whose values together name a row; the first column where there are none.
        fails: the key of what says whether a row is a failure, for programs that count those: a truth value, or in
            words what is wrong. It need not be a column.
    """

    name: str
    columns: tuple[Column, ...]
    rows: tuple[Mapping[str, Value], ...]
    title: str = ""
    notes: tuple[str, ...] = ()
    side_by_side: bool = False
    may_drop: tuple[str, ...] = ()
    bar: str | None = None
    total: Mapping[str, Value] | None = None
    main: bool = True
    named_by: tuple[str, ...] = ()
    fails: str | None = None

    @property
    def is_side_by_side(self) -> bool:
        """Whether each row is read as a column."""
        return self.side_by_side and 0 < len(self.rows) <= MAX_SIDE_BY_SIDE

    @property
    def for_reading(self) -> tuple[Column, ...]:
        """The columns that a reader sees."""
        return tuple(
            column
            for column in self.columns
            if column.shown in ("always", "reading") or (column.shown == "if any" and any(self.values(column)))
        )

    @property
    def for_data(self) -> tuple[Column, ...]:
        """The columns that a program reads."""
        return tuple(column for column in self.columns if column.shown != "reading")

    @property
    def failures(self) -> tuple[Mapping[str, Value], ...]:
        """The rows that are one."""
        return tuple(row for row in self.rows if self.fails is not None and row[self.fails])

    def values(self, column: Column) -> list[Value]:
        """The column's values, row by row."""
        return [row[column.key] for row in self.rows]

    def to_pandas(self) -> pd.DataFrame:
        """One row a row, one column a column; integers stay exact, also beyond 64 bits and beside missing ones."""
        import pandas as pd

        return pd.DataFrame(
            {column.key: _series([plain(value) for value in self.values(column)]) for column in self.for_data}
        )


def _series(values: list[Plain]) -> pd.Series[Any]:
    import pandas as pd

    numbers = [value for value in values if type(value) is int]
    missing = values.count(None)
    if not numbers or len(numbers) + missing < len(values):
        return pd.Series(values)
    if not all(abs(number) < 2**63 for number in numbers):
        return pd.Series(values, dtype=object)
    return pd.Series(values, dtype="Int64" if missing else "int64")


def plain(value: Value) -> Plain:
    """The value as data formats have it: dates as text, ratios as floating point, of what changed by how much."""
    match value:
        case Delta():
            return plain(value.amount)
        case Fraction():
            return float(value)
        case bool() | int() | float() | str() | None:
            return value
        case _:
            return value.isoformat()
