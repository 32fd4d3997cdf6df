import re
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text
from strategies import specs

from llmarch_cli import api
from llmarch_cli.report import units
from llmarch_cli.report.comparison import comparison as compared
from llmarch_cli.report.family import led
from llmarch_cli.report.formats import terminal
from llmarch_cli.report.formats.render import render
from llmarch_cli.report.table import Column, Table
from llmarch_cli.specs.spec import ModelSpec

MODELS = ["deepseek-v3", "llama4-maverick", "mistral-small-3.1-24b", "gpt2", "grok-2.5"]
WIDTHS = (80, 100, 160)


def comparison(n_models: int) -> Table:
    return api.compare(MODELS[:n_models], engine="closed-form")


def words(text: str) -> list[str]:
    return [word for line in text.splitlines() for word in re.split(r"\s+", line) if word]


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("n_models", [2, 3, 5])
def test_a_comparison_fits_and_no_figure_is_cut(n_models: int, width: int, exact: bool) -> None:
    table = comparison(n_models)
    text = terminal.render([table], width, exact)
    assert max(cell_len(line) for line in text.splitlines()) <= width
    standing = words(text)
    for column in table.for_reading:
        unit = column.unit if exact else column.unit.of_column(table.values(column))
        alone = [unit.write(value, exact) for value in table.values(column)]
        together = column.unit.write_together(table.values(column), exact)
        for text in together if table.is_side_by_side else alone:
            assert set(text.split()) <= set(standing)


@pytest.mark.parametrize("width", WIDTHS)
def test_two_models_stand_in_columns_beside_their_ratio(width: int) -> None:
    lines = terminal.render([comparison(2)], width).splitlines()
    assert lines[0].split() == [*MODELS[:2], "ratio"]
    cells = {line[:23].strip(): line[23:].split() for line in lines}
    assert cells["parameters"] == ["671.03B", "400.71B", "1.67x"]
    assert cells["layers"] == ["61", "48"]
    assert cells["FLOPs per token"] == ["2,300.19", "GFLOPs", "70.55", "GFLOPs", "32.60x"]  # one unit


@pytest.mark.parametrize("width", WIDTHS)
def test_more_models_stand_in_rows_of_tables_that_each_name_them(width: int) -> None:
    assert not comparison(3).is_side_by_side
    text = terminal.render([comparison(5)], width)
    tables = [part for part in text.split("\n\n") if part.startswith("model ")]
    assert tables
    for part in tables:
        lines = part.splitlines()
        assert set(lines[1]) == {"─"}
        assert [model for model in MODELS if any(line.startswith(model) for line in lines)] == MODELS
    wider = terminal.render([comparison(5)], 1000)
    assert len([part for part in wider.split("\n\n") if part.startswith("model ")]) == 1


def test_groups_stay_whole_where_they_fit() -> None:
    lines = terminal.render([comparison(5)], 80).splitlines()
    caches = next(line for line in lines if line.startswith("llama4-maverick") and "7.13 GiB" in line)
    assert caches.split() == "llama4-maverick 7.13 GiB 1.13 GiB 48.00 KiB 24.00 GiB 16.8x".split()


@settings(max_examples=25)
@given(st.lists(specs(), min_size=1, max_size=5), st.sampled_from(WIDTHS), st.booleans())
def test_any_model_fits(models: list[ModelSpec], width: int, exact: bool) -> None:
    reports = (
        [api.compare(models, engine="closed-form")],
        [api.kv_cache(models, contexts=[1, 8192], engine="closed-form")],
        api.fact_sheet(models[0], engine="closed-form"),
    )
    for report in reports:
        assert max(cell_len(line) for line in terminal.render(report, width, exact).splitlines()) <= width


def test_styles_are_written_only_where_wanted() -> None:
    assert "\x1b" not in terminal.render([comparison(2)], 100)
    styled = terminal.render([comparison(2)], 100, color=True)
    assert "\x1b[2m" in styled
    assert "\x1b[1m" in styled
    unstyled = [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in styled.splitlines()]
    assert unstyled == terminal.render([comparison(2)], 100).splitlines()


def test_what_is_equal_is_dim_and_what_differs_is_not() -> None:
    lines = terminal.render([comparison(2)], 100, color=True).splitlines()
    equal = next(line for line in lines if "tied embeddings" in line)
    different = next(line for line in lines if "d_model" in line)
    assert equal.startswith("\x1b[2m")
    assert not different.startswith("\x1b[2m")


def test_equal_columns_are_dim_too() -> None:
    table = api.compare(["qwen3-8b", "qwen3-14b", "qwen3-32b", "qwen3-4b"], engine="closed-form")
    line = next(line for line in terminal.render([table], 200, color=True).splitlines() if line.startswith("qwen3-8b"))
    assert not re.search(r"\x1b\[2m +8.19B", line)
    rows = [row for row in terminal.render([table], 200, color=True).splitlines() if row.startswith("qwen3-8b")]
    assert any(re.search(r"\x1b\[2m +40k", row) for row in rows)


def test_ascii_terminals_get_ascii() -> None:
    text = terminal.render([api.kv_cache(["gpt2", "gpt2-xl"], engine="closed-form")], 120, ascii_only=True)
    assert text.isascii()
    assert "#" in text


def test_a_narrow_terminal_leaves_out_what_may_go_and_says_so() -> None:
    table = api.overview()
    assert len(terminal.render([table], 80).splitlines()) == len(table.rows) + 5  # two lines of headings
    assert "Hidden (terminal too narrow): organization, released, highlights." in terminal.render([table], 80)
    assert "Hidden (terminal too narrow): organization, released, layout." in terminal.render([table], 100)
    assert "organization" in terminal.render([table], 160).splitlines()[1]


def test_a_column_fills_the_width_that_is_left_with_whole_parts() -> None:
    columns = (Column("name", "name", units.TEXT), Column("parts", "parts", units.TEXT))
    words = "one part of many words, another part of many words, third"
    table = Table("t", columns, ({"name": "a", "parts": words}, {"name": "b", "parts": "a" * 60}), fills="parts")
    for width in (80, 60, 56, 43):
        _, _, line, cut, *_ = terminal.render([table], width).splitlines()
        assert words.startswith(line.removeprefix("a").strip())
        assert line[-1] != ","
        assert len(cut) <= width
    assert line.endswith("one part of many words")
    assert cut.endswith("...")
    assert words in terminal.render([table], 80)


def test_bars_are_drawn_where_there_is_room() -> None:
    table = api.kv_cache(["gpt2", "gpt2-xl", "llama3.1-405b"], engine="closed-form")
    lengths = [line.count("█") for line in terminal.render([table], 120).splitlines() if "GiB" in line]
    assert lengths == sorted(lengths)
    assert lengths[-1] > 10
    assert "█" in terminal.render([table], 64)
    assert "█" not in terminal.render([table], 30)


def test_bars_are_exact_to_an_eighth_of_a_character_and_use_the_width_there_is() -> None:
    amount = Column("amount", "amount", units.INTEGER)
    model = Column("model", "model", units.TEXT)
    rows = tuple({"model": str(n), "amount": n} for n in (1, 8, 77, 80))
    table = Table("models", (model, amount), rows, bar="amount")
    text = terminal.render([table], 25)  # ten characters of bar
    assert [line[15:] for line in text.splitlines()[2:]] == ["▏", "█", "█████████▋", "██████████"]
    assert "▏" not in terminal.render([table], 25, ascii_only=True)
    for width in (40, 80, 120, 200):
        assert max(map(len, terminal.render([table], width).splitlines()[2:])) == width


def test_bars_stand_at_80_columns_beside_all_columns_that_fit() -> None:
    text = terminal.render([api.kv_cache(engine="closed-form")], 80)
    assert text.count("\nmodel ") == 1
    assert "█" in text
    assert re.search(r"Hidden \(terminal too narrow\): .*incomplete\srows", text, re.DOTALL)


def test_marks_differences_and_failures_have_colours() -> None:
    marked = api.kv_cache(["gpt2", "llama3.1-8b"], engine="closed-form")
    assert re.search(r"\x1b\[33m +4.50 GiB !", terminal.render([marked], 120, color=True))
    changed = api.compare(["gpt2"], changes={"n_layers": 24, "vocab_size": 1024}, engine="closed-form")
    text = terminal.render([changed], 120, color=True)
    assert re.search(r"\x1b\[32m\+[^\x1b]*GiB", text)
    assert re.search(r"\x1b\[31m-[^\x1b]*MiB|\x1b\[31m-", text)
    fails = Table(
        "t", (Column("a", "a", units.TEXT),), ({"a": "x", "bad": True}, {"a": "y", "bad": False}), fails="bad"
    )
    lines = terminal.render([fails], 20, color=True).splitlines()
    assert lines[-2].startswith("\x1b[31mx")
    assert lines[-1].strip() == "y"


HOSTILE = "[red]x[/red] | `code` <b>\x1b[31m\n\u202eevil"


def test_text_is_shown_as_it_is(tmp_path: Path) -> None:
    table = Table("models", (Column("model", "model", units.TEXT),), ({"model": HOSTILE},), title=HOSTILE)
    for colored in (False, True):
        text = terminal.render([table], 80, color=colored)
        assert text.count("[red]x[/red] | `code` <b>\N{REPLACEMENT CHARACTER}[31m") == 2
        assert "\x1b[31m" not in text
        assert "\u202e" not in text


@given(
    st.lists(st.text("ab \N{CJK UNIFIED IDEOGRAPH-65E5}\N{COMBINING ACUTE ACCENT}", max_size=12)).map(" ".join),
    st.integers(2, 20),
)
def test_text_is_wrapped_as_rich_does(text: str, width: int) -> None:
    lines = Text(text).wrap(Console(width=width), width, overflow="fold")
    assert [line.rstrip() for line in terminal._wrapped(text, width)] == [line.plain.rstrip() for line in lines]


def test_a_long_name_is_folded_and_loses_nothing() -> None:
    name = "x" * 200
    table = Table("models", (Column("model", "model", units.TEXT),), ({"model": name},))
    text = terminal.render([table], 80)
    assert text.count("x") == 200
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("https://huggingface.co/org/model/blob/main", 24, ["https://huggingface.co/", "org/model/blob/main"]),
        ("attention.variants.local.window=512", 24, ["attention.variants.", "local.window=512"]),
        ("x" * 30, 24, ["x" * 24, "x" * 6]),
        ("a." + "x" * 30, 24, ["a." + "x" * 22, "x" * 8]),  # too near to its start
    ],
)
def test_an_address_is_broken_behind_its_separators(text: str, width: int, lines: list[str]) -> None:
    assert terminal._wrapped(text, width) == lines


def test_headings_are_wrapped_before_columns_are_hidden() -> None:
    columns = tuple(Column(key, title, units.INTEGER) for key, title in (("a", "first amount"), ("b", "second amount")))
    table = Table("t", columns, ({"a": 1, "b": 2},), may_drop=("b",))
    lines = terminal.render([table], 26).splitlines()
    assert lines[:3] == ["              second", "first amount  amount", "─" * 20]  # no wider than its heading needs
    assert "Hidden" not in terminal.render([table], 14)
    assert "Hidden (terminal too narrow): second" in " ".join(terminal.render([table], 12).split())


@pytest.mark.parametrize("width", [80, 120])
def test_a_short_comparison_of_two_fits_on_a_screen(width: int) -> None:
    """What is hidden for it is named; `--all` shows it."""
    unusual = ("zamba2-7b", "deepseek-v4-flash", "falcon-h1-0.5b", "step-3.5-flash", "minimax-m3", "nemotron-h-56b")
    profiles = {name: api.profile(name, engine="closed-form") for name in unusual}
    hidden = set()
    for pair in combinations(profiles.values(), 2):
        text = terminal.render([led(compared(pair, brief=True), pair, brief=True)], width)
        assert len(text.splitlines()) <= 30
        hidden |= set(re.findall(r"Hidden \(terminal too narrow\): (.*)\.", text))
        assert "Hidden" not in terminal.render([compared(pair)], width)
    assert {"positions"} <= hidden <= {"positions", "positions, heads", "positions, heads, d_model"}


def test_an_empty_table_is_its_heading() -> None:
    assert terminal.render([Table("models", (Column("model", "model", units.TEXT),), ())], 80).startswith("model\n")


def test_an_empty_table_with_notes_is_its_notes() -> None:
    table = Table("models", (Column("model", "model", units.TEXT),), (), notes=("There are none.",))
    assert terminal.render([table], 80) == "There are none.\n"


def test_a_table_without_rows_is_left_out_beside_the_main_one() -> None:
    text = render(api.fact_sheet("gpt2", engine="closed-form"))
    assert "Multi-token prediction" not in text
    assert "Multi-token prediction" in render(api.fact_sheet("deepseek-v3", engine="closed-form"))


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=6), st.integers(0, 120))
def test_the_widest_columns_are_reduced_first(columns: list[tuple[int, int]], width: int) -> None:
    natural, least = [max(column) for column in columns], [min(column) for column in columns]
    expected = list(natural)
    while sum(expected) + terminal.GAP * (len(columns) - 1) > width:  # one by one
        widest = max(range(len(columns)), key=lambda i: (expected[i] > least[i], expected[i]))
        if expected[widest] <= least[widest]:
            break
        expected[widest] -= 1
    assert terminal._shared(natural, least, width) == expected
