"""Masks against their definition, attention against a softmax written out, temperatures against their papers."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sublayers import values
from torch import Tensor

from llmarch_cli.components.attention.scores import FloorTemperature, RatioTemperature, attend, linear_biases, visible

CPU = torch.device("cpu")


@given(
    st.integers(0, 9),
    st.integers(1, 5),
    st.integers(0, 9),
    st.sampled_from((None, "window", "chunk")),
    st.integers(1, 7),
)
def test_masks(start: int, n_tokens: int, n_before: int, limit: str | None, span: int) -> None:
    n_keys = n_tokens + min(start, n_before)
    window, chunk = (span if limit == name else None for name in ("window", "chunk"))
    mask = visible(start, n_tokens, n_keys, window, chunk, CPU)
    if mask is None:
        mask = torch.ones(n_tokens, n_keys, dtype=torch.bool)
    first_key = start + n_tokens - n_keys
    for query in range(start, start + n_tokens):
        for key in range(first_key, start + n_tokens):
            sees = key <= query
            if window is not None:
                sees &= key > query - window
            if chunk is not None:
                sees &= key // chunk == query // chunk
            assert mask[query - start, key - first_key] == sees


def written_out(
    q: Tensor, k: Tensor, v: Tensor, scale: float, softcap: float | None, factors: Tensor | None, sinks: Tensor | None
) -> Tensor:
    """One head, token and key at a time, in float64."""
    batch, n_heads, n_tokens, _ = q.shape
    n_keys, group = k.shape[2], n_heads // k.shape[1]
    out = torch.zeros(batch, n_tokens, n_heads, v.shape[-1], dtype=torch.float64)
    for b in range(batch):
        for head in range(n_heads):
            for token in range(n_tokens):
                seen = range(n_keys - n_tokens + token + 1)
                scores = [float(q[b, head, token] @ k[b, head // group, key]) * scale for key in seen]
                if softcap is not None:
                    scores = [softcap * math.tanh(score / softcap) for score in scores]
                if factors is not None:
                    scores = [score * float(factors[token]) for score in scores]
                weights = [math.exp(score) for score in scores]
                total = sum(weights) + (0.0 if sinks is None else math.exp(float(sinks[head])))
                for key, weight in zip(seen, weights, strict=True):
                    out[b, token, head] += weight / total * v[b, head // group, key].double()
    return out.flatten(2)


@pytest.mark.parametrize("n_tokens", [1, 3])
@pytest.mark.parametrize("softcap", [None, 2.0])
@pytest.mark.parametrize("with_temperature", [False, True])
@pytest.mark.parametrize("with_sinks", [False, True])
def test_attention_is_what_is_written_out(
    n_tokens: int, softcap: float | None, with_temperature: bool, with_sinks: bool
) -> None:
    q, k, v = values(2, 6, n_tokens, 4), values(2, 2, 5, 4, seed=2), values(2, 2, 5, 3, seed=3)
    factors = torch.tensor([0.5, 1.0, 2.0])[:n_tokens] if with_temperature else None
    sinks = values(6, seed=4) if with_sinks else None
    mask = visible(5 - n_tokens, n_tokens, 5, None, None, CPU)
    out = attend(q, k, v, mask, 0.7, softcap, factors, sinks)
    expected = written_out(q, k, v, 0.7, softcap, factors, sinks)
    torch.testing.assert_close(out.double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("heads", [(6, 2), (6, 6), (4, 1)])
@pytest.mark.parametrize("seen_by", [None, "all", "batch", "key heads"])
@pytest.mark.parametrize("temperature", [None, 1.5])
def test_a_decoding_token_is_one_call_of_the_kernel(
    heads: tuple[int, int], seen_by: str | None, temperature: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Heads that share keys are the rows of a query, and the kernel reads the keys where the cache has them."""
    (n_heads, n_kv_heads), width, n_keys = heads, 8, 5
    q = values(2, n_heads, 1, width)
    cached = values(2, n_keys, 2 * n_kv_heads * width, seed=2)
    k, v = (each.unflatten(-1, (n_kv_heads, width)).transpose(1, 2) for each in cached.chunk(2, dim=-1))
    shapes = {"all": (1, n_keys), "batch": (2, 1, 1, n_keys), "key heads": (2, n_kv_heads, 1, n_keys)}
    mask = None if seen_by is None else values(*shapes[seen_by], seed=3) > -0.5
    factor = None if temperature is None else torch.tensor([temperature])
    calls: list[tuple[Tensor, ...]] = []
    kernel: Any = torch.nn.functional.scaled_dot_product_attention

    def call(*tensors: Tensor, **options: Any) -> Any:
        assert not options.get("enable_gqa"), "keys would be repeated"
        calls.append(tensors)
        return kernel(*tensors, **options)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", call)
    out = attend(q, k, v, mask, 0.3, temperature=factor)
    ((rows, *kept),) = calls
    assert rows.shape == (2, n_kv_heads, n_heads // n_kv_heads, width)
    assert [each.data_ptr() for each in kept] == [k.data_ptr(), v.data_ptr()]
    # Sinks that take nothing leave the result as it is, but have no kernel.
    expected = attend(q, k, v, mask, 0.3, temperature=factor, sinks=torch.full((n_heads,), -torch.inf))
    assert len(calls) == 1
    torch.testing.assert_close(out, expected)


@pytest.mark.parametrize("n_tokens", [1, 3])
def test_biases_are_added_before_scores_are_scaled(n_tokens: int) -> None:
    """The reference carries the biases in one more value of each head."""
    q, k, v = values(2, 6, n_tokens, 4), values(2, 6, 5, 4, seed=2), values(2, 6, 5, 3, seed=3)
    mask = visible(5 - n_tokens, n_tokens, 5, None, None, CPU)
    biases = linear_biases(6, 5, 5, CPU)
    out = attend(q, k, v, mask, 0.7, biases=biases)
    q = torch.cat((q, torch.ones(2, 6, n_tokens, 1)), dim=-1)
    k = torch.cat((k, biases.transpose(1, 2).expand(2, -1, -1, -1)), dim=-1)
    torch.testing.assert_close(out, attend(q, k, v, mask, 0.7))


def test_slopes() -> None:
    """The slopes of the paper's figure 3 for 8 heads; beyond a power of 2, every second slope of the next power."""
    torch.testing.assert_close(linear_biases(8, 3, 1, CPU).flatten(), 2 * 2.0 ** -torch.arange(1, 9.0))
    beyond = [-2, -4, -6, -8, -1, -3]
    torch.testing.assert_close(linear_biases(6, 2, 1, CPU).flatten(), 2.0 ** torch.tensor(beyond))


def test_temperatures() -> None:
    positions = torch.tensor([0.0, 8190.0, 8191.0, 16_382.0, 16_383.0])
    floor = FloorTemperature(kind="log_floor", floor_scale=8192.0, attn_scale=0.1).at(positions)
    expected = [1.0, 1.0, 1 + 0.1 * math.log(2), 1 + 0.1 * math.log(2), 1 + 0.1 * math.log(3)]
    torch.testing.assert_close(floor, torch.tensor(expected))
    ratio = RatioTemperature(kind="log_ratio", length=1024).at(torch.tensor([0.0, 1023.0, 1024.0, 2048.0, 4096.0]))
    torch.testing.assert_close(ratio, torch.tensor([1.0, 1.0, 1.0, 1.1, 1.2]))
    later = RatioTemperature(kind="log_ratio", length=1024, offset=1).at(torch.tensor([1023.0, 2047.0, 4095.0]))
    torch.testing.assert_close(later, torch.tensor([1.0, 1.1, 1.2]))
