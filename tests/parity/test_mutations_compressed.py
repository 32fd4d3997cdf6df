"""Wiring errors of compressed rows and residual streams: each must show in the logits far above the tolerance."""

from __future__ import annotations

from typing import Any

import pytest
from configs import Fields
from mutations import Alteration, Patch, each, shows_in_the_code, shows_in_the_spec
from pairs import Case
from torch import Tensor

from llmarch_cli.components.attention import compressed
from llmarch_cli.components.attention.compressed import CompressedAttention, RowCompressor
from llmarch_cli.components.residual.hyper_connections import HyperConnection

PLAIN, STRETCHED = Case("deepseek_v4", 0), Case("deepseek_v4", 1)


def streams(**fields: Any) -> Alteration:
    return lambda spec: spec["residual"].update(fields)


def one_row_more(found: Fields) -> Fields:
    return {"indexer": found["indexer"] and {**found["indexer"], "top_k": found["indexer"]["top_k"] + 1}}


IN_THE_SPEC: dict[str, tuple[Case, Alteration]] = {
    "a longer window": (PLAIN, each("attention", lambda found: {"window": found["window"] + 1})),
    "pairs as halves": (PLAIN, each("attention", lambda found: {"rope_interleaved": False})),
    "one row more": (PLAIN, each("attention", one_row_more)),
    "one theta": (PLAIN, each("attention", lambda found: {"rope_theta": 10_000.0})),
    "scaling forgotten": (STRETCHED, each("attention", lambda found: {"rope_scaling": None})),
    "scores by a sigmoid": (PLAIN, each("ffn", lambda found: {"scoring": "sigmoid"})),
    "the table forgotten": (PLAIN, each("ffn", lambda found: {"hashed_tokens": None})),
    "the clamp forgotten": (PLAIN, each("ffn", lambda found: {"clamp": None})),
    "one iteration fewer": (PLAIN, streams(iterations=2)),
}


@pytest.mark.parametrize("name", IN_THE_SPEC)
def test_an_error_in_the_spec_shows(name: str) -> None:
    shows_in_the_spec(*IN_THE_SPEC[name], "prompt")


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
    shows_in_the_code(IN_THE_CODE[name], monkeypatch)
