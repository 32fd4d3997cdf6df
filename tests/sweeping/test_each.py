"""Searches on machines: every row is an answer of `fit`, and the best rows are the best of all answers."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import pytest

import llmarch_cli as llmarch
from llmarch_cli.api import fits
from llmarch_cli.deployment.fit import Fit
from llmarch_cli.deployment.layouts import Layout
from llmarch_cli.errors import InputError

MODEL = "gpt-oss-20b"
ASKED: dict[str, Any] = {"context": 8192}
FIGURES = ("most_sequences", "user_tokens_per_second", "tokens_per_second", "first_token_seconds", "batch")


def answer(model: Any, on: str, **asked: Any) -> Fit:
    (found,) = fits([model], [on], **{**ASKED, **asked})
    return found


def expected(found: Fit) -> tuple[Any, ...]:
    prompt = found.prompt
    assert prompt is not None
    return found.most_sequences, found.user_rate, found.rate, prompt.seconds, found.batch


def test_sizes_and_numbers_of_sequences_vary_as_fit_answers_them() -> None:
    vary = {"tp": [1, 2, 8], "batch": [1, 16]}
    rows = llmarch.sweep_on(MODEL, ["8xh100"], vary, columns=FIGURES, **ASKED).rows
    asked = list(product(vary["tp"], vary["batch"]))
    assert [(row["tp"], row["batch"]) for row in rows] == asked
    for row, (tp, batch) in zip(rows, asked, strict=True):
        found = answer(MODEL, "8xh100", layout={"tp": tp}, batch=batch)
        assert tuple(row[key] for key in FIGURES) == expected(found)


def test_as_many_sequences_as_fit_and_weights_as_published() -> None:
    (row,) = llmarch.sweep_on(MODEL, ["h100"], {"batch": [4]}, columns=FIGURES, **ASKED).rows
    assert tuple(row[key] for key in FIGURES) == expected(answer(MODEL, "h100", batch=4))
    (row,) = llmarch.sweep_on(MODEL, ["h100"], {"n_layers": [24]}, columns=FIGURES, **ASKED).rows
    assert tuple(row[key] for key in FIGURES) == expected(answer(MODEL, "h100"))
    (row,) = llmarch.sweep_on(MODEL, ["h100"], {"n_layers": [24]}, columns=FIGURES, weights="bf16", **ASKED).rows
    assert tuple(row[key] for key in FIGURES) == expected(answer(MODEL, "h100", weights="bf16"))


def test_every_layout_that_divides_and_fits() -> None:
    model = "gpt-oss-120b"  # 61 GiB: a device has 22
    rows = llmarch.sweep_on(model, ["4xl4"], {}, every_layout=True, columns=("layout", *FIGURES), **ASKED).rows
    sizes = answer(model, "4xl4").sizes
    layouts = sizes.layouts(4, 4)
    found = []
    for layout in layouts:
        asked = {name: getattr(layout, name) for name in ("tp", "pp", "dp", "ep", "cp", "dp_attention")}
        try:
            found.append(answer(model, "4xl4", layout=asked))
        except InputError:  # does not fit
            continue
    assert len(layouts) > len(found) > 5
    assert [(row["layout"], *(row[key] for key in FIGURES)) for row in rows] == [
        (each.layout.words, *expected(each)) for each in found
    ]
    assert Layout().words not in {row["layout"] for row in rows}


def test_models_and_machines_vary_and_only_what_fits_is_a_row() -> None:
    vary = {"n_layers": [12, 24, 48], "ffn.top_k": [4, 64]}
    table = llmarch.sweep_on(MODEL, ["l4", "2xl4"], vary, columns=("params", *FIGURES), batch=2, **ASKED)
    assert {(row["n_layers"], row["machines"]) for row in table.rows} == {
        (12, "l4"),
        (24, "l4"),
        (12, "2xl4"),
        (24, "2xl4"),
        (48, "2xl4"),
    }
    for row in table.rows:
        variant = llmarch.changed(llmarch.load(MODEL), {"n_layers": row["n_layers"]})
        found = answer(variant, str(row["machines"]), batch=2)
        assert tuple(row[key] for key in FIGURES) == expected(found)
        assert row["params"] == llmarch.profile(variant, engine="closed-form").params
    assert table.notes[0].startswith("12 combinations for gpt-oss-20b: 5 with an answer")
    assert "6 skipped: ffn: top_k must not exceed n_experts." in table.notes
    assert "1 skipped: does not fit on l4." in table.notes


def test_conditions_compare_figures_of_machines_and_of_the_model() -> None:
    asked = {"columns": ("params", "most_sequences"), **ASKED}
    everything = llmarch.sweep_on("qwen3-8b", ["h100"], {"n_layers": range(8, 80, 8)}, **asked).rows
    where = "most_sequences >= 20 and params > 3B and user_tokens_per_second < 500 and 1 / step_seconds < 1000"
    met = llmarch.sweep_on("qwen3-8b", ["h100"], {"n_layers": range(8, 80, 8)}, where=where, **asked).rows
    kept = [row for row in everything if int(str(row["most_sequences"])) >= 20 and int(str(row["params"])) > 3 * 10**9]
    assert 0 < len(met) < len(everything)
    assert [row["n_layers"] for row in met] == [row["n_layers"] for row in kept if row in met]
    assert all(int(str(row["most_sequences"])) >= 20 for row in met)


def test_what_does_not_exist_meets_no_condition() -> None:
    """There is no price without the price of a device."""
    asked: dict[str, Any] = {"vary": {"n_layers": [12]}, "columns": ("price_per_million_tokens",), **ASKED}
    for where in ("price_per_million_tokens > 0", "price_per_million_tokens <= 0"):
        assert llmarch.sweep_on(MODEL, ["h100"], where=where, **asked).rows == ()
    table = llmarch.sweep_on(MODEL, ["h100"], where="price_per_million_tokens > 0", price=Fraction(2), **asked)
    found = answer(llmarch.changed(llmarch.load(MODEL), {"n_layers": 12}), "h100", price=Fraction(2))
    assert [row["price_per_million_tokens"] for row in table.rows] == [found.cost]


def test_the_front_and_its_order() -> None:
    goals = ("-user_tokens_per_second", "-tokens_per_second", "device_weight_bytes")
    asked: dict[str, Any] = {"every_layout": True, "columns": [goal.lstrip("-") for goal in goals], **ASKED}
    vary = {"batch": [1, 4, 16, 64]}
    everything = llmarch.sweep_on(MODEL, ["4xh100"], vary, **asked).rows
    front = llmarch.sweep_on(MODEL, ["4xh100"], vary, pareto=goals, **asked).rows

    def losses(row: Any) -> tuple[Any, ...]:
        return tuple(-row[goal[1:]] if goal.startswith("-") else row[goal] for goal in goals)

    best: dict[tuple[Any, ...], Any] = {}
    for row in everything:
        beaten = any(
            all(a <= b for a, b in zip(losses(other), losses(row), strict=True)) and losses(other) != losses(row)
            for other in everything
        )
        if not beaten:
            best.setdefault(losses(row), row)
    assert 1 < len(front) < len(everything)
    assert {losses(row) for row in front} == set(best)
    assert [losses(row)[0] for row in front] == sorted(losses(row)[0] for row in front)


def test_a_sample_is_a_part_of_the_whole() -> None:
    vary = {"n_layers": range(4, 44, 4), "batch": range(1, 11)}
    asked: dict[str, Any] = {"columns": ("step_seconds",), **ASKED}
    everything = llmarch.sweep_on("qwen3-8b", ["h100"], vary, **asked).rows
    some = llmarch.sweep_on("qwen3-8b", ["h100"], vary, sample=7, seed=3, **asked).rows
    assert len(everything) == 100
    assert len(some) == 7
    assert all(row in everything for row in some)


@pytest.mark.parametrize("ending", ["svg", "png", "html"])
def test_a_picture_of_the_front(tmp_path: Path, ending: str) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / f"a.{ending}"
    goals = ("-user_tokens_per_second", "first_token_seconds")
    llmarch.sweep_on(MODEL, ["4xh100"], {"batch": [1, 4]}, every_layout=True, pareto=goals, plot=path, **ASKED)
    assert (
        path.read_bytes().startswith(b"\x89PNG") if ending == "png" else b"user_tokens_per_second" in path.read_bytes()
    )


@pytest.mark.parametrize(
    ("vary", "asked", "why"),
    [
        ({"tp": [0]}, {}, "tp: values must be whole numbers from 1, not 0"),
        ({"tp": [True]}, {}, "tp: values must be whole numbers from 1, not true"),
        ({"tp": ["two"]}, {}, "tp: values must be whole numbers from 1, not 'two'"),
        ({"dp_attention": [1]}, {}, "dp_attention: values must be true or false, not 1"),
        ({"tp": [1, 2, 1]}, {}, "tp: a value is given twice"),
        ({"tp": []}, {}, "tp: no values given"),
        ({"n_layer": [1]}, {}, "did you mean n_layers"),
        ({"batch": [1]}, {"where": "most_sequence > 1"}, "did you mean most_sequences"),
        ({"batch": [1]}, {"sort": "layout"}, "unknown metric 'layout'"),
        ({"batch": [1]}, {"columns": ["layouts"]}, "did you mean layout"),
        ({"batch": [1]}, {"top": 0}, "--top must be 1 or more, not 0"),
        ({"batch": [1]}, {"sample": 2}, "--sample must be from 1 to 1, not 2"),
        ({"batch": range(1, 1000), "n_layers": range(1, 1000)}, {}, "998,001 variants on machines are more than"),
        ({"batch": [1]}, {"context": 0}, "context must be"),
    ],
)
def test_impossible_requests(vary: dict[str, Any], asked: dict[str, Any], why: str) -> None:
    with pytest.raises(InputError, match=why):
        llmarch.sweep_on(MODEL, ["h100"], vary, **{**ASKED, **asked})


def test_unknown_machines() -> None:
    with pytest.raises(InputError, match="unknown chip 'h1000'"):
        llmarch.sweep_on(MODEL, ["8xh1000"], {"batch": [1]})
