"""Rows of several tokens, index keys, states and inputs of incomplete rows, in all that knows the cache.

The component of this file is not wired as any model: it keeps one entry of each sort.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import llmarch_cli as llmarch
from llmarch_cli.components.cache import Mixing, Rows, State, View
from llmarch_cli.components.component import Component, Part
from llmarch_cli.components.parts import Linear
from llmarch_cli.guards import baselines, selection
from llmarch_cli.page.data import BY_CONTEXT, models, settings
from llmarch_cli.profilers.certificates import items_by_context
from llmarch_cli.profilers.cost import KvDtype, StateDtype, Workload
from llmarch_cli.profilers.lines import Piece, at, corners, line
from llmarch_cli.profilers.profile import Profile, profile
from llmarch_cli.report.comparison import comparison, kv_caches
from llmarch_cli.report.formats.render import render
from llmarch_cli.report.plots.data import Curves, plot
from llmarch_cli.specs.spec import ModelSpec
from llmarch_cli.sweeping.grid import Block
from llmarch_cli.sweeping.pricing import Figures
from llmarch_cli.sweeping.where import condition, quantity

ROW, INDEX, WINDOW = View(None, 4), View(None, 3), View(12, 4)


class Compressed(Component):
    """Rows of 4 and of 3 tokens, some of a window only, the window's own rows, and states."""

    kind: str = "compressed"

    def parts(self, d_model: int) -> Iterator[Part]:
        yield Linear("proj", d_model, 8)

    def cache(self) -> Iterator[Rows | State]:
        yield Rows("row", 5, ROW)
        yield Rows("index", 1, INDEX, of="index")
        yield Rows("recent", 7, WINDOW)
        yield Rows("k", 2, View(10))
        yield State("memory", (2, 3))
        yield State("taps", (3, 4), dtype="bf16")
        yield State("pending", (4, 2), partial=True)

    def mixing(self) -> Iterator[Mixing]:
        yield Mixing(11, ROW)
        yield Mixing(3, View(10))
        yield Mixing(5, WINDOW)

    def forward(self, m: Any, x: Tensor, cache: Any) -> Tensor:
        raise NotImplementedError


def spec() -> ModelSpec:
    return llmarch.load("llama3.2-1b").model_copy(update={"attention": Compressed(), "name": "strided"})


def priced(context: int, batch: int = 1, kv_dtype: KvDtype = "bf16", state_dtype: StateDtype | None = None) -> Profile:
    return profile(spec(), Workload(context, batch, kv_dtype, state_dtype), "closed-form")


LAYERS = spec().n_layers


def test_each_sort_of_bytes_is_counted_apart() -> None:
    here = priced(103, batch=2)
    assert here.index_bytes == LAYERS * 2 * 2 * 34
    assert here.kv_cache_bytes == LAYERS * 2 * 2 * (5 * 25 + 34 + 7 * 3 + 2 * 10)
    assert here.kv_fixed_bytes == LAYERS * 2 * 2 * (7 * 3 + 2 * 10)
    assert here.kv_bytes_per_token == LAYERS * 2 * 2 * (Fraction(5, 4) + Fraction(1, 3))
    assert here.kv_cache_bytes_without_windows == LAYERS * 2 * 2 * (5 * 25 + 34 + 7 * 25 + 2 * 103)
    assert here.state_bytes == LAYERS * 2 * (6 * 4 + 12 * 2)
    assert here.partial_bytes == LAYERS * 2 * 8 * 4
    assert here.cache_bytes == here.kv_cache_bytes + here.state_bytes + here.partial_bytes
    small = priced(103, batch=2, state_dtype="fp8")
    assert (small.state_bytes, small.partial_bytes) == (LAYERS * 2 * 18, LAYERS * 2 * 8)
    assert small.kv_cache_bytes == here.kv_cache_bytes


def test_the_cache_is_fixed_bytes_plus_bytes_per_token_where_rows_are_complete() -> None:
    for context in (12, 24, 120):
        here = priced(context)
        assert here.kv_cache_bytes == here.kv_fixed_bytes + here.kv_bytes_per_token * context
    for context in range(1, 60):
        here = priced(context)
        assert here.kv_fixed_bytes >= 0
        assert here.kv_cache_bytes <= here.kv_fixed_bytes + here.kv_bytes_per_token * context


@given(st.integers(1, 2**30), st.integers(1, 3), st.sampled_from(["bf16", "fp8"]))
def test_a_line_is_the_closed_form_at_every_context(context: int, batch: int, kv_dtype: KvDtype) -> None:
    workload = Workload(4096, batch, kv_dtype)
    ends = corners(profile(spec(), workload, "closed-form"))
    lines = {metric.key: line(metric.value, ends) for metric in BY_CONTEXT if metric.ratio_of is None}  # type: ignore[arg-type]
    del lines["beyond_context_window"]
    for each in {*range(1, 30), context}:
        there = profile(spec(), replace(workload, context=each), "closed-form")
        assert {key: at(of, each) for key, of in lines.items()} == {
            metric.key: metric.value(there) for metric in BY_CONTEXT if metric.key in lines
        }, each


def test_a_staircase_is_few_pieces() -> None:
    ends = corners(priced(4096))
    cache = line(lambda p: p.kv_cache_bytes, ends)
    assert [piece.start for piece in cache] == [1, 11, 13]
    assert cache[-1].steps == ((3, LAYERS * 2), (4, LAYERS * 10))
    assert cache[-1].slope == 0


def test_the_lines_of_the_page_are_the_metrics_in_integers() -> None:
    (model,) = models([priced(4096)])
    assert model["parts"] == {"kv_bytes_per_token": "3"}
    for context in (1, 2, 3, 4, 7, 11, 12, 13, 143, 144, 131_072, 20_000_000):
        there = priced(context)
        for metric in (each for each in BY_CONTEXT if each.ratio_of is None):
            pieces = []
            for start, value, slope, *steps in (map(int, piece) for piece in model["lines"][metric.key]):
                pieces.append(Piece(start, value, slope, tuple(zip(steps[::2], steps[1::2], strict=True))))
            parts = int(model["parts"].get(metric.key, 1))
            assert Fraction(at(tuple(pieces), context), parts) == metric.value(there), (metric.key, context)


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js to run the page's script")
def test_the_script_of_the_page_writes_what_the_tables_write() -> None:
    contexts = (1, 2, 3, 4, 7, 11, 12, 13, 143, 144, 131_072, 20_000_000)
    figures = [priced(4096, kv_dtype="bf16"), priced(4096, 3, "fp8"), priced(4096, 2**20)]
    functions = resources.files("llmarch_cli.page").joinpath("scripts/figures.js").read_text()
    data = models(figures)
    text = f"""
        const settings = {json.dumps(settings(figures))}; const models = {json.dumps(data)};
        for (const {{ lines }} of models)
          for (const pieces of Object.values(lines)) pieces.forEach((piece, n) => (pieces[n] = piece.map(BigInt)));
        {functions}
        const all = models.map((model) => {list(contexts)}.map((context) => atContext(model, BigInt(context))));
        console.log(JSON.stringify(all));
    """
    ran = subprocess.run(["node", "-"], input=text, capture_output=True, text=True, check=True)
    for before, by_context in zip(figures, json.loads(ran.stdout), strict=True):
        for context, written in zip(contexts, by_context, strict=True):
            there = profile(before.spec, before.workload.at(context), "closed-form")
            for metric in BY_CONTEXT:
                value = metric.value(there)
                assert written[metric.key]["rounded"] == metric.unit.write(value), (metric.key, context)
                assert written[metric.key]["exact"] == metric.unit.write(value, exact=True), (metric.key, context)


def test_critical_contexts_are_around_strides_and_windows() -> None:
    found = items_by_context(spec())
    assert {1, 2, 3, 4, 5, 7, 8, 10, 11, 12, 13, 16, 131_072} <= set(found)


def test_tables_and_data_show_states_and_shares() -> None:
    here = priced(103)
    for table in (comparison([here]), kv_caches([here])):
        text = render([table], "markdown", False)
        assert all(title in text for title in ("index keys", "state", "incomplete rows"))
    (row,) = json.loads(render([kv_caches([here])], "json", False))["kv_caches"]
    assert row["kv_bytes_per_token"] == float(LAYERS * 2 * (Fraction(5, 4) + Fraction(1, 3)))
    assert (row["state_bytes"], row["partial_bytes"]) == (here.state_bytes, here.partial_bytes)
    assert row["cache_bytes"] == here.cache_bytes
    assert row["state_dtype"] is None


def test_a_plot_of_the_cache_is_its_values() -> None:
    drawn = plot("cache", [priced(4096)])
    assert isinstance(drawn, Curves)
    assert dict(drawn.curves[0].points) == {
        context: priced(context).cache_bytes for context, _ in drawn.curves[0].points
    }
    assert drawn.title == "KV cache and state by context"
    without = plot("cache", [llmarch.profile("llama3.2-1b", engine="closed-form")])
    assert isinstance(without, Curves)
    assert without.title == "KV cache by context"


def test_a_sweep_keeps_shares_of_bytes() -> None:
    here = priced(103)
    block = Figures(Block((), (2,), np.arange(2)), here, 2**40, {})
    assert list(block.at("kv_bytes_per_token", np.arange(2))) == [here.kv_bytes_per_token] * 2
    assert isinstance(here.kv_bytes_per_token, Fraction)
    share = here.kv_bytes_per_token
    for text, holds in ((f"< {int(share) + 1}", True), (f"<= {int(share)}", False), (f"> {int(share)}", True)):
        assert condition(f"kv_bytes_per_token {text}", str)(partial(quantity, block)) is holds


def test_a_baseline_keeps_shares_of_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "load", lambda name, directory: spec())
    file, asked = tmp_path / "baseline.yaml", {"engine": "closed-form", "contexts": [103], "state_dtype": "fp8"}
    baselines.write(file, ["llama3.2-1b"], ["kv_bytes_per_token", "state_bytes"], asked)
    share = priced(103).kv_bytes_per_token
    assert f"kv_bytes_per_token@103: {share}\n" in file.read_text()
    assert f"state_bytes: {priced(1, state_dtype='fp8').state_bytes}\n" in file.read_text()
    assert {drift.status for drift in baselines.compare(file, "closed-form", {})} == {"same"}
    file.write_text(file.read_text().replace(str(share), str(share + Fraction(1, 3)).replace("/1", "")))
    assert {drift.status for drift in baselines.compare(file, "closed-form", {})} == {"same", "DRIFT"}


@pytest.mark.parametrize("key", ["state_bytes", "partial_bytes"])
def test_models_without_states_do_not_show_them(key: str) -> None:
    one = llmarch.profile("llama3.2-1b", engine="closed-form")
    assert getattr(one, key) == 0
    assert "incomplete rows" not in render([kv_caches([one])], "markdown", False)
