import datetime as dt
from collections.abc import Mapping
from fractions import Fraction

import pandas as pd

from llmarch_cli.report import units
from llmarch_cli.report.table import Column, Table
from llmarch_cli.report.units import Value

COLUMNS = (
    Column("model", "model", units.TEXT),
    Column("params", "parameters", units.PARAMS),
    Column("huge", "huge", units.PARAMS, shown="data"),
    Column("made_for", "made for", units.TOKENS),
    Column("tied", "tied", units.YES_NO),
    Column("day", "day", units.DATE),
    Column("buffers", "buffers", units.PARAMS, shown="if any"),
    Column("share", "share", units.SHARE, shown="reading"),
)
ROWS: tuple[Mapping[str, Value], ...] = (
    {
        "model": "a",
        "params": 2**60 + 1,
        "huge": 10**30 + 1,
        "made_for": 2**53 + 1,
        "tied": True,
        "day": dt.date(2024, 12, 26),
        "buffers": 0,
        "share": Fraction(1, 3),
    },
    {
        "model": "b",
        "params": 7,
        "huge": 1,
        "made_for": None,
        "tied": False,
        "day": None,
        "buffers": 0,
        "share": None,
    },
)
TABLE = Table("models", COLUMNS, ROWS)


def keys(columns: tuple[Column, ...]) -> list[str]:
    return [column.key for column in columns]


def test_readers_see_what_is_meant_for_them() -> None:
    assert keys(TABLE.for_reading) == ["model", "params", "made_for", "tied", "day", "share"]


def test_what_some_model_has_is_shown_for_all() -> None:
    rows = (ROWS[0], {**ROWS[1], "buffers": 3})
    assert "buffers" in keys(Table("models", COLUMNS, rows).for_reading)


def test_programs_see_every_exact_figure_and_no_ratio() -> None:
    assert keys(TABLE.for_data) == ["model", "params", "huge", "made_for", "tied", "day", "buffers"]


def test_pandas_has_a_row_a_row_and_exact_integers() -> None:
    frame = TABLE.to_pandas()
    assert list(frame.columns) == keys(TABLE.for_data)
    assert pd.api.types.is_integer_dtype(frame["params"])
    assert list(frame["params"]) == [2**60 + 1, 7]
    assert list(frame["huge"]) == [10**30 + 1, 1]
    assert pd.api.types.is_integer_dtype(frame["made_for"])
    assert frame["made_for"][0] == 2**53 + 1
    assert frame["made_for"].isna().tolist() == [False, True]
    assert list(frame["tied"]) == [True, False]
    assert frame["day"][0] == "2024-12-26"


def test_pandas_takes_a_ratio_that_was_asked_for() -> None:
    asked = Table("models", (Column("share", "share", units.SHARE),), ROWS[:1])
    assert asked.to_pandas()["share"][0] == 1 / 3


def test_an_empty_table_keeps_its_columns() -> None:
    assert list(Table("models", COLUMNS, ()).to_pandas().columns) == keys(TABLE.for_data)


def test_three_rows_stand_side_by_side_and_four_do_not() -> None:
    assert Table("models", COLUMNS, ROWS[:1] * 3, side_by_side=True).is_side_by_side
    assert not Table("models", COLUMNS, ROWS[:1] * 4, side_by_side=True).is_side_by_side
    assert not Table("models", COLUMNS, ROWS).is_side_by_side
