"""Laws of every attention kind: decoding token by token equals a whole prompt, and no token sees a later one."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import Data, attentions
from sublayers import module, run, values

from llmarch_cli.components.cache import Rows
from llmarch_cli.components.component import cache_entries
from llmarch_cli.modules.cache import TensorCache

LENGTH = 12
D_MODEL = 16


def fitted(data: Data) -> Data:
    """With the width of the stream, where a component repeats it."""
    return {**data, "channels": D_MODEL} if data["kind"] == "rwkv4" else data


@settings(max_examples=100)
@given(attentions().map(fitted), st.lists(st.integers(1, 5), min_size=1, max_size=LENGTH))
def test_any_pieces_of_a_prompt_give_what_all_of_it_gives(data: Data, pieces: list[int]) -> None:
    built = module(data)
    x = values(2, LENGTH, 16)
    whole = run(built, x)
    assert whole.shape == x.shape
    cache = TensorCache.of(built.component)
    edges = [edge for edge in torch.tensor([0, *pieces]).cumsum(0).tolist() if edge < LENGTH] + [LENGTH]
    parts = [run(built, x[:, start:end], cache) for start, end in pairwise(edges)]
    rounding = 1e-3 * max(1.0, float(whole.abs().max()))  # scales of branches multiply it
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=1e-3, atol=rounding)
    assert cache.length == LENGTH
    assert {name: tuple(stored.shape) for name, stored in cache.stored.items()} == {
        name: (2, entry.view.rows(LENGTH), entry.width) if isinstance(entry, Rows) else (2, *entry.shape)
        for name, entry in cache_entries(built.component)
    }


@given(attentions().map(fitted), st.integers(1, LENGTH - 1))
def test_no_token_sees_one_that_follows(data: Data, n_seen: int) -> None:
    built = module(data)
    x, other = values(1, LENGTH, 16), values(1, LENGTH, 16, seed=2)
    changed = torch.cat((x[:, :n_seen], other[:, n_seen:]), dim=1)
    out = run(built, x)[:, :n_seen]
    rounding = 1e-4 * max(1.0, float(out.abs().max()))
    torch.testing.assert_close(run(built, changed)[:, :n_seen], out, rtol=1e-4, atol=rounding)


@pytest.mark.parametrize(
    ("span", "sees"), [({"window": 3}, {3, 4, 5}), ({"chunk": 4}, {4, 5}), ({}, {0, 1, 2, 3, 4, 5})]
)
def test_a_token_sees_its_view_and_nothing_else(span: dict[str, int], sees: set[int]) -> None:
    built = module({"kind": "gqa", "n_heads": 2, "n_kv_heads": 1, "head_dim": 4, "rope_theta": 100.0, **span})
    x = values(1, 6, 16)
    before = run(built, x)[:, -1]
    seen = set()
    for position in range(6):
        changed = x.clone()
        changed[:, position] += 1.0
        if not torch.equal(run(built, changed)[:, -1], before):
            seen.add(position)
    assert seen == sees


def test_without_rotary_embedding_the_order_of_what_was_seen_does_not_matter() -> None:
    nope = {"kind": "gqa", "n_heads": 2, "n_kv_heads": 1, "head_dim": 4}
    x = values(1, 5, 16)
    shuffled = x[:, [2, 0, 3, 1, 4]]
    torch.testing.assert_close(run(module(nope), shuffled)[:, -1], run(module(nope), x)[:, -1])
    rotated = module({**nope, "rope_theta": 100.0})
    assert not torch.allclose(run(rotated, shuffled)[:, -1], run(rotated, x)[:, -1])
