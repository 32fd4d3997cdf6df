"""Wiring errors of compressed rows and residual streams: each must show in the logits far above the tolerance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from configs import Fields
from pairs import TOLERANCE, Case
from test_mutations import CLEARLY, Alteration, Patch, components, faithful, rebuilt, subject
from torch import Tensor

from llmarch_cli.components.attention import compressed
from llmarch_cli.components.attention.compressed import CompressedAttention, RowCompressor
from llmarch_cli.components.residual.hyper_connections import HyperConnection

PLAIN, STRETCHED = Case("deepseek_v4", 0), Case("deepseek_v4", 1)


def of_each(axis: str, change: Callable[[Fields], Fields]) -> Alteration:
    def alter(spec: Fields) -> None:
        for component in components(spec, axis):
            component.update(change(component))

    return alter


def streams(**fields: Any) -> Alteration:
    return lambda spec: spec["residual"].update(fields)


def one_row_more(found: Fields) -> Fields:
    return {"indexer": found["indexer"] and {**found["indexer"], "top_k": found["indexer"]["top_k"] + 1}}


IN_THE_SPEC: dict[str, tuple[Case, Alteration]] = {
    "a longer window": (PLAIN, of_each("attention", lambda found: {"window": found["window"] + 1})),
    "pairs as halves": (PLAIN, of_each("attention", lambda found: {"rope_interleaved": False})),
    "one row more": (PLAIN, of_each("attention", one_row_more)),
    "one theta": (PLAIN, of_each("attention", lambda found: {"rope_theta": 10_000.0})),
    "scaling forgotten": (STRETCHED, of_each("attention", lambda found: {"rope_scaling": None})),
    "scores by a sigmoid": (PLAIN, of_each("ffn", lambda found: {"scoring": "sigmoid"})),
    "the table forgotten": (PLAIN, of_each("ffn", lambda found: {"hashed_tokens": None})),
    "the clamp forgotten": (PLAIN, of_each("ffn", lambda found: {"clamp": None})),
    "one iteration fewer": (PLAIN, streams(iterations=2)),
}


@pytest.mark.parametrize("name", IN_THE_SPEC)
def test_an_error_in_the_spec_shows(name: str) -> None:
    case, alter = IN_THE_SPEC[name]
    assert faithful(case, "prompt") < TOLERANCE
    fields = subject(case)[0].spec.model_dump()
    alter(fields)
    assert rebuilt(case, fields, "prompt") > CLEARLY


rotate_last, weights, places = RowCompressor.rotate_last, HyperConnection._weights, RowCompressor._places


def not_turned_back(self: Any, x: Tensor, start: int, step: int = 1, back: bool = False) -> Tensor:
    return x if back else rotate_last(self, x, start, step)


def rows_beside_each_other(self: Any, x: Tensor, start: int, step: int = 1, back: bool = False) -> Tensor:
    return rotate_last(self, x, start, 1, back)


def mixed_the_other_way(self: Any, m: Any, x: Tensor) -> Any:
    read, write, mix = weights(self, m, x)
    return read, write, mix.transpose(-1, -2)


def series_swapped(self: Any, inputs: Tensor, first: int, end: int, start: int) -> Any:
    return tuple(reversed(places(self, inputs, first, end, start)))


IN_THE_CODE: dict[str, Patch] = {
    "the output not turned back": Patch(PLAIN, CompressedAttention, "rotate_last", not_turned_back),
    "rows at positions without a stride": Patch(PLAIN, RowCompressor, "rotate_last", rows_beside_each_other),
    "streams mixed by the transpose": Patch(PLAIN, HyperConnection, "_weights", mixed_the_other_way),
    "gates as values": Patch(PLAIN, RowCompressor, "_places", series_swapped),
    "all rows for the chosen ones": Patch(
        PLAIN, compressed, "chosen_mask", lambda chosen, mask: mask.expand(1, 1, -1, -1)
    ),
    "the first rows for the chosen ones": Patch(
        PLAIN, compressed, "chosen_rows", lambda rows, chosen: rows[:, : chosen.shape[-1]], "token by token"
    ),
    "scores not cut at zero": Patch(PLAIN, Tensor, "relu", lambda scores: scores),
}


@pytest.mark.parametrize("name", IN_THE_CODE)
def test_an_error_in_the_code_shows(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    patch = IN_THE_CODE[name]
    assert faithful(patch.case, patch.way) < TOLERANCE
    fields = subject(patch.case)[0].spec.model_dump()
    monkeypatch.setattr(patch.owner, patch.name, patch.value)
    assert rebuilt(patch.case, fields, patch.way) > CLEARLY
