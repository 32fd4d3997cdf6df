"""Lightning attention, short convolutions and RG-LRU: parts, states and costs; every way to run a prompt agrees."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from sublayers import component, module, run, values
from torch import Tensor

from llmarch_cli.components.attention.recurrence import recur
from llmarch_cli.components.attention.scan import accumulated, largest
from llmarch_cli.components.cache import ONCE, Mixing, State
from llmarch_cli.modules.cache import TensorCache
from llmarch_cli.specs.spec import ModelSpec

LIGHTNING = {"kind": "lightning", "n_heads": 3, "head_dim": 4}
SHORT_CONV = {"kind": "short_conv", "channels": 6, "conv_kernel": 3}
RG_LRU = {"kind": "rg_lru", "width": 6, "n_blocks": 2, "conv_kernel": 4}
RWKV = {"kind": "rwkv4", "channels": 16, "width": 6}
CHANNEL_MIXING = {"kind": "channel_mixing", "channels": 16, "d_ff": 10}
KINDS = {
    "lightning": LIGHTNING,
    "short_conv": SHORT_CONV,
    "rg_lru": RG_LRU,
    "rwkv4": RWKV,
    "channel_mixing": CHANNEL_MIXING,
}


def shapes(data: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(weight.shape) for name, weight in module(data).named_parameters()}


def test_parameters() -> None:
    assert shapes(LIGHTNING) == {
        **dict.fromkeys(("q_proj.weight", "k_proj.weight", "v_proj.weight", "gate_proj.weight"), (12, 16)),
        "norm.weight": (12,),
        "o_proj.weight": (16, 12),
    }
    projections = dict.fromkeys(("in_gate_proj.weight", "out_gate_proj.weight", "x_proj.weight"), (6, 16))
    assert shapes(SHORT_CONV) == projections | {"conv.weight": (6, 3), "o_proj.weight": (16, 6)}
    biases = {"in_gate_proj.bias", "out_gate_proj.bias", "x_proj.bias", "conv.bias", "o_proj.bias"}
    assert set(shapes(SHORT_CONV | {"bias": True})) - set(shapes(SHORT_CONV)) == biases
    gates = {f"{gate}_gate.{kind}": shape for gate in ("input", "decay") for kind, shape in
             (("weight", (2, 3, 3)), ("bias", (2, 3)))}  # fmt: skip
    outer = {"gate_proj.weight": (6, 16), "x_proj.weight": (6, 16), "conv.weight": (6, 4), "o_proj.weight": (16, 6)}
    assert shapes(RG_LRU | {"bias": False}) == outer | gates | {"decay": (6,)}
    assert shapes(RWKV) == {
        **dict.fromkeys(("k_proj.weight", "v_proj.weight", "gate_proj.weight"), (6, 16)),
        **dict.fromkeys(("k_mix", "v_mix", "gate_mix"), (16,)),
        **dict.fromkeys(("decay", "bonus"), (6,)),
        "o_proj.weight": (16, 6),
    }
    assert shapes(CHANNEL_MIXING) == {
        **dict.fromkeys(("up_mix", "gate_mix"), (16,)),
        "up_proj.weight": (10, 16),
        "down_proj.weight": (16, 10),
        "gate_proj.weight": (16, 16),
    }
    biases = {"gate_proj.bias", "x_proj.bias", "conv.bias", "o_proj.bias"}
    assert set(shapes(RG_LRU)) - set(shapes(RG_LRU | {"bias": False})) == biases


def test_states_and_costs() -> None:
    lightning, short_conv, rg_lru = (component(KINDS[kind]) for kind in ("lightning", "short_conv", "rg_lru"))
    assert list(lightning.cache()) == [State("kv", (3, 4, 4))]
    assert list(lightning.mixing()) == [Mixing(4 * 3 * 4 * 4, ONCE, "state")]
    assert list(short_conv.cache()) == [State("inputs", (2, 6), "bf16")]
    assert list(rg_lru.cache()) == [State("inputs", (3, 6), "bf16"), State("hidden", (6,))]
    rwkv, channel_mixing = component(RWKV), component(CHANNEL_MIXING)
    assert list(rwkv.cache()) == [State("previous", (1, 16), "bf16"), State("sums", (3, 6))]
    assert list(channel_mixing.cache()) == [State("previous", (1, 16), "bf16")]
    assert list(rwkv.mixing()) == list(channel_mixing.mixing()) == []
    assert list(short_conv.mixing()) == list(rg_lru.mixing()) == []


def test_fields_that_do_not_fit() -> None:
    with pytest.raises(ValidationError, match=r"width \(6\) must be a multiple of n_blocks \(4\)"):
        component(RG_LRU | {"n_blocks": 4})
    for data in (RG_LRU, LIGHTNING):
        with pytest.raises(ValidationError, match="activation xielu has learned values"):
            component(data | {"activation": "xielu"})
    with pytest.raises(ValidationError, match="greater than or equal to 2"):
        component(SHORT_CONV | {"conv_kernel": 1})


def test_channels_are_those_of_the_model() -> None:
    for axis, name in (("attention", "rwkv4"), ("ffn", "channel_mixing")):
        fields = {"name": "mixed", "d_model": 32, "n_layers": 1, "vocab_size": 9}
        other = {"attention": LIGHTNING, "ffn": {"kind": "dense", "d_ff": 8}} | {axis: KINDS[name]}
        with pytest.raises(ValidationError, match=rf"{axis}.channels: must be d_model \(32\), not 16"):
            ModelSpec.model_validate(fields | other)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sizes", [(1,) * 9, (4, 5), (2, 1, 6), (8, 1), (1, 8)])
def test_pieces_of_a_prompt_give_what_it_gives_whole(kind: str, sizes: tuple[int, ...]) -> None:
    built, x = module(KINDS[kind]), values(2, 9, 16)
    cache = TensorCache.of(built.component)
    cache.layer, cache.n_layers = 1, 4
    whole = TensorCache.of(built.component)
    whole.layer, whole.n_layers = 1, 4
    pieces = torch.cat([run(built, piece, cache) for piece in x.split(sizes, dim=1)], dim=1)
    torch.testing.assert_close(pieces, run(built, x, whole))
    for name, kept in cache.stored.items():
        torch.testing.assert_close(kept, whole.stored[name])


@pytest.mark.parametrize("n_tokens", [1, 3, 64, 65, 150])
def test_the_chunk_form_of_the_recurrence_is_its_step_form(n_tokens: int) -> None:
    q, k, v = values(2, 3, n_tokens, 5), values(2, 3, n_tokens, 5, seed=2), values(2, 3, n_tokens, 4, seed=3)
    decay, state = -values(2, 3, n_tokens, 1, seed=4).abs(), values(2, 3, 5, 4, seed=5)
    out, last = recur(q, k, v, decay, state)
    steps = []
    for t in range(n_tokens):
        now = slice(t, t + 1)
        step, state = recur(q[:, :, now], k[:, :, now], v[:, :, now], decay[:, :, now], state)
        steps.append(step)
    torch.testing.assert_close(out, torch.cat(steps, dim=2), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(last, state, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("n_tokens", [1, 2, 5, 8, 9])
def test_the_largest_of_what_decays_is_that_of_a_loop(n_tokens: int) -> None:
    keys, decay, before = values(2, n_tokens, 3), -values(3, seed=2).abs(), values(2, 3, seed=3)
    looped, highest = [], before
    for t in range(n_tokens):
        highest = torch.maximum(keys[:, t], highest + decay)
        looped.append(highest)
    torch.testing.assert_close(largest(keys, decay, before), torch.stack(looped, dim=1))


def test_weights_far_from_zero_neither_overflow_nor_vanish() -> None:
    built, x = module(RWKV), values(1, 9, 16)
    with torch.no_grad():
        for key in (-300.0, 300.0):  # exp(300) is more than float32 holds
            built.k_proj.weight.fill_(0.0)
            built.k_proj.weight[:, 0] = key
            out = run(built, x)
            assert bool(out.isfinite().all())
            assert float(out.abs().max()) > 0.01


@pytest.mark.parametrize("n_tokens", [1, 2, 5, 8, 9])
def test_a_scan_is_a_loop(n_tokens: int) -> None:
    decay, added, hidden = values(2, n_tokens, 3).sigmoid(), values(2, n_tokens, 3, seed=2), values(2, 3, seed=3)
    looped = []
    before = hidden
    for t in range(n_tokens):
        hidden = decay[:, t] * hidden + added[:, t]
        looped.append(hidden)
    torch.testing.assert_close(accumulated(decay, added, before), torch.stack(looped, dim=1))


def impulse(kind: str, layer: int) -> Tensor:
    """How strongly the first of some tokens acts on each, in a layer of 5."""
    built, x = module(KINDS[kind]), values(1, 6, 16)
    outputs = []
    for first in (x[:, :1], x[:, :1] * 1.5):
        cache = TensorCache.of(built.component)
        cache.layer, cache.n_layers = layer, 5
        outputs.append(run(built, torch.cat((first, x[:, 1:]), dim=1), cache))
    return (outputs[0] - outputs[1]).abs().amax((0, 2))


def test_a_short_convolution_forgets_what_left_its_kernel() -> None:
    seen = impulse("short_conv", 0)
    assert bool((seen[:3] > 0).all())
    assert bool((seen[3:] == 0).all())


def test_lightning_decays_less_in_upper_layers() -> None:
    decay = component(LIGHTNING)._decay  # type: ignore[attr-defined]
    cpu = torch.device("cpu")
    bottom, middle, top = (decay(layer, 5, cpu) for layer in (0, 2, 4))
    assert bool((bottom < middle).all())
    assert bool((middle < top).all())
    assert bool((top < 0).all())
    slopes = torch.tensor([2 ** (-8 / 3), 2 ** (-16 / 3), 2 ** (-8.0)]).view(-1, 1, 1)
    torch.testing.assert_close(bottom, -slopes, rtol=1e-4, atol=0.0)
