"""Mamba and Mamba-2: parts, states and costs, and their recurrences beside plain loops."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from sublayers import component, module, run, values
from torch import Tensor

import llmarch_cli as llmarch
from llmarch_cli.components.cache import ONCE, Mixing, State
from llmarch_cli.modules.cache import TensorCache
from llmarch_cli.specs.spec import ModelSpec

MAMBA: dict[str, Any] = {"kind": "mamba", "width": 6, "d_state": 3, "step_rank": 2}
MAMBA2: dict[str, Any] = {"kind": "mamba2", "n_heads": 4, "head_dim": 3, "d_state": 5, "n_groups": 2, "norm_groups": 2}


def shapes(data: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(weight.shape) for name, weight in module(data).named_parameters()}


def test_parameters_of_mamba() -> None:
    assert shapes(MAMBA) == {
        **dict.fromkeys(("x_proj.weight", "gate_proj.weight"), (6, 16)),
        "conv.weight": (6, 4),
        "conv.bias": (6,),
        "step_a_proj.weight": (2, 6),
        **dict.fromkeys(("write_proj.weight", "read_proj.weight"), (3, 6)),
        "step_b_proj.weight": (6, 2),
        "step_b_proj.bias": (6,),
        "log_rate": (6, 3),
        "skip": (6,),
        "o_proj.weight": (16, 6),
    }
    normed = {"step_norm.weight": (2,), "write_norm.weight": (3,), "read_norm.weight": (3,)}
    assert shapes(MAMBA | {"inner_norms": True}) == shapes(MAMBA) | normed
    assert shapes(MAMBA | {"inner_norms": "weightless"}) == shapes(MAMBA)
    assert set(shapes(MAMBA | {"bias": True})) - set(shapes(MAMBA)) == {"x_proj.bias", "gate_proj.bias", "o_proj.bias"}


def test_parameters_of_mamba_2() -> None:
    assert shapes(MAMBA2) == {
        **dict.fromkeys(("gate_proj.weight", "x_proj.weight"), (12, 16)),
        **dict.fromkeys(("write_proj.weight", "read_proj.weight"), (10, 16)),
        "step_proj.weight": (4, 16),
        "conv.weight": (32, 4),
        "conv.bias": (32,),
        **dict.fromkeys(("step_bias", "log_rate", "skip"), (4,)),
        "norm.weight": (12,),
        "o_proj.weight": (16, 12),
    }
    assert set(shapes(MAMBA2)) - set(shapes(MAMBA2 | {"norm_groups": None})) == {"norm.weight"}
    assert set(shapes(MAMBA2)) - set(shapes(MAMBA2 | {"conv_bias": False})) == {"conv.bias"}
    biases = {f"{name}_proj.bias" for name in ("gate", "x", "write", "read", "step", "o")}
    assert set(shapes(MAMBA2 | {"bias": True})) - set(shapes(MAMBA2)) == biases


def test_states_and_costs() -> None:
    mamba, mamba2 = component(MAMBA), component(MAMBA2 | {"conv_kernel": 3})
    assert list(mamba.cache()) == [State("recurrence", (6, 3, 1)), State("conv_inputs", (3, 6), "bf16")]
    assert list(mamba.mixing()) == [Mixing(4 * 6 * 3, ONCE, "state")]
    assert list(mamba2.cache()) == [State("recurrence", (4, 5, 3)), State("conv_inputs", (2, 32), "bf16")]
    assert list(mamba2.mixing()) == [Mixing(4 * 4 * 5 * 3, ONCE, "state")]


@pytest.mark.parametrize("engine", ["measured", "closed-form"])
@pytest.mark.parametrize(
    ("mixer", "params", "flops", "state"),
    [
        (
            MAMBA,
            192 + 30 + 12 + 36 + 18 + 18 + 6 + 96,
            2 * (192 + 24 + 12 + 36 + 12 + 96) + 4 * 18,
            4 * 18 + 2 * 18,
        ),
        (
            MAMBA2,
            16 * (12 + 12 + 10 + 10 + 4) + 32 * 5 + 3 * 4 + 12 + 192,
            2 * (16 * 48 + 32 * 4 + 192) + 4 * 4 * 5 * 3,
            4 * 60 + 2 * 3 * 32,
        ),
    ],
    ids=["mamba", "mamba2"],
)
def test_figures_by_hand(mixer: dict[str, Any], params: int, flops: int, state: int, engine: Any) -> None:
    fields = {"name": "one", "d_model": 16, "n_layers": 1, "vocab_size": 8, "final_norm": False}
    spec = ModelSpec.model_validate(fields | {"attention": mixer, "ffn": {"repeat": ["none"]}})
    for context in (1, 4096):
        profile = llmarch.profile(spec, context=context, engine=engine)
        assert profile.state_bytes == state
        assert profile.kv_cache_bytes == 0
        assert profile.flops_per_token == flops + 2 * 8 * 16
        assert profile.params == params + 16 + 2 * 8 * 16  # the norm before it, embeddings and head


def test_fields_that_do_not_fit() -> None:
    refused: dict[str, dict[str, Any]] = {
        r"n_heads \(4\) must be a multiple of n_groups \(3\)": {"n_groups": 3},
        r"norm_groups \(5\) must divide n_heads \* head_dim \(12\)": {"norm_groups": 5},
        "norm_before_gate is set without a norm": {"norm_groups": None, "norm_before_gate": True},
        r"step_max \(0.1\) must not be below step_min \(0.2\)": {"step_min": 0.2, "step_max": 0.1},
        "activation xielu has learned values": {"activation": "xielu"},
        "greater than 1": {"conv_kernel": 1},
    }
    for message, fields in refused.items():
        with pytest.raises(ValidationError, match=message):
            component(MAMBA2 | fields)
    refused["inner_eps is set without inner_norms"] = {"inner_eps": 0.1}
    for message, fields in list(refused.items())[-3:]:
        with pytest.raises(ValidationError, match=message):
            component(MAMBA | fields)


def convolved(m: Any, inputs: Tensor) -> Tensor:
    """The convolution in its definition, for one prompt (n_tokens, channels)."""
    kernel = m.conv.weight.shape[1]
    padded = F.pad(inputs, (0, 0, kernel - 1, 0))
    taps = [padded[i : i + inputs.shape[0]] * m.conv.weight[:, i] for i in range(kernel)]
    return F.silu(torch.stack(taps).sum(0) + m.conv.bias)


def looped_mamba(m: Any, x: Tensor) -> Tensor:
    """Section 3 of the paper, a token at a time, for one prompt (n_tokens, 16)."""
    inputs = convolved(m, m.x_proj(x))
    hidden, out = torch.zeros(6, 3), []
    for u in inputs:
        step = F.softplus(m.step_b_proj(m.step_a_proj(u)))
        kept = (step.unsqueeze(1) * -m.log_rate.exp()).exp()
        hidden = kept * hidden + (step * u).unsqueeze(1) * m.write_proj(u)
        out.append(hidden @ m.read_proj(u) + m.skip * u)
    mixed: Tensor = m.o_proj(torch.stack(out) * F.silu(m.gate_proj(x)))
    return mixed


def looped_mamba2(m: Any, x: Tensor) -> Tensor:
    """The same with heads (4) of 3 channels, 2 of which share a group's vectors of 5."""
    inputs = convolved(m, torch.cat((m.x_proj(x), m.write_proj(x), m.read_proj(x)), dim=-1))
    states, out = [torch.zeros(3, 5) for _ in range(4)], []
    for u, raw in zip(inputs, m.step_proj(x) + m.step_bias, strict=True):
        channels, write, read = u[:12].view(4, 3), u[12:22].view(2, 5), u[22:].view(2, 5)
        step = F.softplus(raw)
        for head in range(4):
            kept = (-step[head] * m.log_rate[head].exp()).exp()
            states[head] = kept * states[head] + step[head] * channels[head].outer(write[head // 2])
            out.append(states[head] @ read[head // 2] + m.skip[head] * channels[head])
    gated = torch.cat(out).view(-1, 2, 6) * F.silu(m.gate_proj(x)).view(-1, 2, 6)
    normed = gated / (gated.square().mean(-1, keepdim=True) + m.norm.eps).sqrt()
    mixed: Tensor = m.o_proj(normed.flatten(1) * m.norm.weight)
    return mixed


@pytest.mark.parametrize("n_tokens", [1, 3, 20, 70])
def test_it_is_its_definition(n_tokens: int) -> None:
    x = values(1, n_tokens, 16)
    with torch.no_grad():
        for data, looped in ((MAMBA, looped_mamba), (MAMBA2, looped_mamba2)):
            built = module(data)
            torch.testing.assert_close(run(built, x)[0], looped(built, x[0]), rtol=1e-4, atol=1e-5)


NORMED = MAMBA | {"inner_norms": True}
LIMITED = MAMBA2 | {"step_min": 0.5, "step_max": 0.7, "norm_before_gate": True}


@pytest.mark.parametrize("data", [MAMBA, NORMED, MAMBA2, LIMITED], ids=str)
@pytest.mark.parametrize("sizes", [(1,) * 9, (4, 5), (2, 1, 6), (8, 1)])
def test_pieces_of_a_prompt_give_what_it_gives_whole(data: dict[str, Any], sizes: tuple[int, ...]) -> None:
    built, x = module(data), values(2, 9, 16)
    cache, whole = TensorCache.of(built.component), TensorCache.of(built.component)
    pieces = torch.cat([run(built, piece, cache) for piece in x.split(sizes, dim=1)], dim=1)
    torch.testing.assert_close(pieces, run(built, x, whole), rtol=1e-4, atol=1e-5)
    for name, kept in cache.stored.items():
        torch.testing.assert_close(kept, whole.stored[name], rtol=1e-4, atol=1e-5)


def test_steps_stay_within_their_limits() -> None:
    """Equal limits leave one size of step, whatever the input and its bias say."""
    built, x = module(MAMBA2 | {"step_min": 0.5, "step_max": 0.5}), values(1, 5, 16)
    before = run(built, x)
    with torch.no_grad():
        built.step_bias += 7
    torch.testing.assert_close(run(built, x), before)


def test_what_a_fast_head_knew_is_gone() -> None:
    built, x, other = module(MAMBA2), values(1, 9, 16), values(1, 9, 16, seed=2)
    with torch.no_grad():
        built.log_rate.fill_(9.0)
    mixed = torch.cat((other[:, :4], x[:, 4:]), dim=1)
    # The convolution still reaches three tokens back, and the state none.
    torch.testing.assert_close(run(built, mixed)[:, 7:], run(built, x)[:, 7:])
    assert not torch.allclose(run(built, mixed)[:, 6:7], run(built, x)[:, 6:7])
