"""A table of exact values: the content of every report and the input of every renderer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

from llmarch_cli.report.units import Beside, Delta, Unit, Value

if TYPE_CHECKING:
    import pandas as pd

    from llmarch_cli.specs.spec import ModelSpec

MAX_SIDE_BY_SIDE = 3  # rows that are usually shown as columns at most

# always; if any row has a value; in data only (CSV, JSON, pandas); for readers only (terminal, Markdown)
Shown = Literal["always", "if any", "data", "reading"]

Plain = int | str | bool | float | None


@dataclass(frozen=True)
class Column:
    """One value of every row.

    Attributes:
        key: its name in data, including the unit if it has one.
        title: its heading for readers.
        convention: the exact definition, in one sentence.
        group: columns of a group stay together.
    """

    key: str
    title: str
    unit: Unit
    convention: str = ""
    shown: Shown = "always"
    group: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of exact values. The first column names the row.

    Attributes:
        name: its key in JSON.
        rows: values by column key: int, float, str, bool, date, Fraction, or a Delta or Beside of these; None if
            unknown.
        title: a heading for readers.
        lead: a sentence before the rows, for readers.
        notes: remarks on all rows, for readers.
        side_by_side: show up to `most_side_by_side` rows as columns, for comparison.
        most_lines: side by side in a terminal, hide the lines of `may_drop` while the table has more lines than these.
        compares: of two rows side by side, show the ratio too, and of more show lines.
        may_drop: keys of columns to hide in a narrow terminal before text is wrapped, in this order. One that fits
            again when others are hidden is shown.
        fills: the key of a text column that gets the width that is left: of its parts, with commas between them, as
            many as fit.
        total: a last row for readers, not in data.
        bar: the key of the column that a wide terminal also draws as bars.
        main: whether it represents the report in a format of one table, such as CSV.
        named_by: keys whose values together identify a row; empty for the first column.
        fails: the key of a bool, or of text about what is wrong, that marks a row as failed. Need not be a column.
        marked: for each row, and behind them for the total, the keys of values that are marked for readers; empty if
            there are none.
        keeps_whole: rather wrap text as far as its words allow than split the table.
        specs: the models of the rows, whose architectures are in JSON.
    """

    name: str
    columns: tuple[Column, ...]
    rows: tuple[Mapping[str, Value], ...]
    title: str = ""
    lead: str = ""
    notes: tuple[str, ...] = ()
    side_by_side: bool = False
    compares: bool = False
    most_side_by_side: int = MAX_SIDE_BY_SIDE
    most_lines: int | None = None
    may_drop: tuple[str, ...] = ()
    fills: str | None = None
    bar: str | None = None
    total: Mapping[str, Value] | None = None
    main: bool = True
    named_by: tuple[str, ...] = ()
    fails: str | None = None
    marked: tuple[frozenset[str], ...] = ()
    keeps_whole: bool = False
    specs: tuple[ModelSpec, ...] = ()

    @property
    def is_side_by_side(self) -> bool:
        """Whether rows are shown as columns."""
        most = 2 if self.compares else self.most_side_by_side
        return self.side_by_side and 0 < len(self.rows) <= most

    @property
    def with_ratio(self) -> bool:
        """Whether two rows side by side have their ratio beside them."""
        return self.compares and len(self.rows) == 2

    @property
    def for_reading(self) -> tuple[Column, ...]:
        """The columns shown to readers."""
        return tuple(
            column
            for column in self.columns
            if column.shown in ("always", "reading") or (column.shown == "if any" and any(self.values(column)))
        )

    @property
    def for_data(self) -> tuple[Column, ...]:
        """The columns in data formats."""
        return tuple(column for column in self.columns if column.shown != "reading")

    @property
    def failures(self) -> tuple[Mapping[str, Value], ...]:
        """The rows that failed."""
        return tuple(row for row in self.rows if self.fails is not None and row[self.fails])

    def values(self, column: Column) -> list[Value]:
        """The values of a column, in the order of rows."""
        return [row[column.key] for row in self.rows]

    def marks(self, number: int, column: Column) -> bool:
        """Whether the value of a column in the row of that number is marked."""
        return number < len(self.marked) and column.key in self.marked[number]

    def to_pandas(self) -> pd.DataFrame:
        """The table as a DataFrame. Integers stay exact, even beyond 64 bits or next to missing values."""
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
    """The value for data formats: dates as text, ratios as floats, a `Delta` as its amount, a `Beside` as its value."""
    match value:
        case Delta():
            return plain(value.amount)
        case Beside():
            return plain(value.value)
        case Fraction():
            return float(value)
        case bool() | int() | float() | str() | None:
            return value
        case _:
            return value.isoformat()
