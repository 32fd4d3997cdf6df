"""Mixture of experts: against a loop over tokens and experts, and the rules between its fields."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from pydantic import ValidationError
from strategies import Data, moe
from sublayers import component, module, run, values
from torch import Tensor

from llmarch_cli.components.ffn import MixtureOfExperts
from llmarch_cli.modules.builder import ComponentModule, ExpertStack

MOE = {"kind": "moe", "n_experts": 8, "top_k": 2, "d_ff": 12}
GROUPED = MOE | {"n_groups": 4, "top_k_groups": 2}


def written_out(built: ComponentModule, token: Tensor) -> Tensor:
    """One token of shape (d_model,), one expert at a time."""
    moe = built.component
    assert isinstance(moe, MixtureOfExperts)
    logits = F.linear(token, built.router.weight, built.router.bias)
    if moe.router_softcap is not None:
        logits = moe.router_softcap * torch.tanh(logits / moe.router_softcap)
    if moe.scoring == "sparsemixer":
        scores, chosen = picked_in_turn(moe, logits)
    else:
        scores = torch.softmax(logits, 0) if moe.scoring == "softmax" else torch.sigmoid(logits)
        chosen = picked_at_once(built, moe, logits if moe.selection_from == "logits" else scores)
    total = sum(float(scores[expert]) for expert in chosen) if moe.renormalize else 1.0
    read = token if moe.latent is None else F.linear(token, built.latent_down_proj.weight)
    out = torch.zeros_like(read)
    for expert in chosen:
        weight = scores[expert] / total * moe.routed_scale
        x = read * weight if moe.scale_input else read
        matrices = {
            name: (stack.weight[expert], None if stack.bias is None else stack.bias[expert])
            for name, stack in built.named_children()
            if isinstance(stack, ExpertStack)
        }
        gate = F.linear(x, *matrices["gate_proj"]) if moe.gated else None
        y = F.linear(moe.hidden(F.linear(x, *matrices["up_proj"]), gate), *matrices["down_proj"])
        out = out + (y if moe.scale_input else y * weight)
    return out if moe.latent is None else F.linear(out, built.latent_up_proj.weight)


def picked_in_turn(moe: MixtureOfExperts, logits: Tensor) -> tuple[Tensor, list[int]]:
    """SparseMixer: each pick's share of a softmax over the experts left that are within reach of the best of them."""
    assert moe.router_jitter is not None
    shares, chosen = torch.zeros_like(logits), list[int]()
    left = [float(logit) for logit in logits]
    for _ in range(moe.top_k):
        pick = max((expert for expert in range(moe.n_experts) if expert not in chosen), key=left.__getitem__)
        best = left[pick]
        in_reach = [
            value
            for expert, value in enumerate(left)
            if expert not in chosen and best - value <= 2 * moe.router_jitter * max(abs(value), best)
        ]
        shares[pick] = 1 / sum(math.exp(value - best) for value in in_reach)
        chosen.append(pick)
    return shares, chosen


def picked_at_once(built: ComponentModule, moe: MixtureOfExperts, scores: Tensor) -> list[int]:
    """The experts of the best scores, within the best groups."""
    preference = {expert: float(score) for expert, score in enumerate(scores)}
    if moe.selection_bias:
        preference = {expert: value + float(built.selection_bias[expert]) for expert, value in preference.items()}
    if moe.n_groups is not None and moe.top_k_groups is not None:
        size = moe.n_experts // moe.n_groups
        groups = [range(first, first + size) for first in range(0, moe.n_experts, size)]
        n_best = 1 if moe.group_score == "max" else 2
        groups.sort(key=lambda group: -sum(sorted((preference[expert] for expert in group), reverse=True)[:n_best]))
        preference = {expert: preference[expert] for group in groups[: moe.top_k_groups] for expert in group}
    return sorted(preference, key=lambda expert: -preference[expert])[: moe.top_k]


@given(moe(aligned=False))
def test_each_token_gets_its_experts(data: Data) -> None:
    data |= {"d_ff": min(data["d_ff"], 24), "shared_expert": None, "shared_expert_gate": False}
    data["n_zero_experts"] = None  # they have tests beside those of shortcuts
    data["output_norm"] = False  # it makes small differences of a small sum large
    data |= dict.fromkeys(("input_norm", "router_norm", "expert_scales"), False)  # they have tests of their own
    data.pop("hashed_tokens", None)
    if data["scoring"] == "sqrt_softplus":
        data["scoring"] = "sigmoid"
    if data["scoring"] == "sparsemixer":
        data["router_softcap"] = None  # it makes ties, and either order is right
    if data["router_softcap"] is not None:
        data["router_softcap"] = max(1.0, data["router_softcap"])  # below, capped scores are equal but for rounding
    built, x = module(data), values(2, 5, 16)
    with torch.no_grad():
        expected = torch.stack([written_out(built, token) for token in x.flatten(0, 1)]).view_as(x)
    scale = float(expected.abs().max()) + 1e-3
    torch.testing.assert_close(run(built, x) / scale, expected / scale, rtol=1e-3, atol=1e-4)


def test_the_shared_expert_is_added() -> None:
    shared = module(MOE | {"shared_expert": {"kind": "dense", "d_ff": 6}})
    alone = module(MOE)
    alone.load_state_dict({name: weight for name, weight in shared.state_dict().items() if "shared_expert" not in name})
    x = values(2, 3, 16)
    torch.testing.assert_close(run(shared, x), run(alone, x) + run(shared.shared_expert, x))


def test_the_shared_expert_may_be_scaled_token_by_token() -> None:
    gated = module(MOE | {"shared_expert": {"kind": "dense", "d_ff": 6}, "shared_expert_gate": True})
    alone = module(MOE)
    alone.load_state_dict({name: weight for name, weight in gated.state_dict().items() if "shared_expert" not in name})
    x = values(2, 3, 16)
    share = torch.sigmoid(x @ gated.shared_expert_gate.weight[0]).unsqueeze(-1)
    torch.testing.assert_close(run(gated, x), run(alone, x) + share * run(gated.shared_expert, x))


def test_the_router_may_read_something_else_than_the_experts(monkeypatch: pytest.MonkeyPatch) -> None:
    fields = dict.fromkeys(("input_norm", "router_norm"), True)
    built, x = module(MOE | fields), values(2, 3, 16)
    plain = module(MOE)
    plain.load_state_dict(
        {name: value for name, value in built.state_dict().items() if name not in ("input_norm.weight", "router_scale")}
    )
    read = built.router_norm(x.flatten(0, 1)) * built.router_scale * 16**-0.5
    with torch.no_grad():
        routed = MixtureOfExperts.route(plain.component, plain, read)  # type: ignore[arg-type]
    monkeypatch.setattr(MixtureOfExperts, "route", lambda self, m, tokens, fixed: routed)
    expected = run(plain, built.input_norm(x))
    monkeypatch.undo()
    torch.testing.assert_close(run(built, x), expected)


def test_an_expert_may_have_a_factor() -> None:
    built = module(MOE | {"expert_scales": True, "renormalize": True})
    mixture: Any = built.component
    weights, chosen = mixture.route(built, values(6, 16))
    shares = weights / built.expert_scales[chosen]  # without the factors they are renormalised
    torch.testing.assert_close(shares.sum(-1), torch.full((6,), mixture.routed_scale))


def test_the_sum_of_all_experts_may_be_normalised() -> None:
    summed = MOE | {"shared_expert": {"kind": "dense", "d_ff": 6}}
    normed, plain = module(summed | {"output_norm": True}), module(summed)
    plain.load_state_dict({name: value for name, value in normed.state_dict().items() if "output_norm" not in name})
    x = values(2, 3, 16)
    torch.testing.assert_close(run(normed, x), normed.output_norm(run(plain, x)))


def test_parameters() -> None:
    def shapes(**fields: Any) -> dict[str, tuple[int, ...]]:
        return {name: tuple(weight.shape) for name, weight in module(MOE | fields).state_dict().items()}

    plain = {
        "router.weight": (8, 16),
        "gate_proj.weight": (8, 12, 16),
        "up_proj.weight": (8, 12, 16),
        "down_proj.weight": (8, 16, 12),
    }
    assert shapes() == plain
    assert shapes(gated=False) == {name: shape for name, shape in plain.items() if name != "gate_proj.weight"}
    assert shapes(router_bias=True) == plain | {"router.bias": (8,)}
    assert shapes(selection_bias=True) == plain | {"selection_bias": (8,)}
    biases = {"gate_proj.bias": (8, 12), "up_proj.bias": (8, 12), "down_proj.bias": (8, 16)}
    assert shapes(bias=True) == plain | biases
    latent = {"gate_proj.weight": (8, 12, 5), "up_proj.weight": (8, 12, 5), "down_proj.weight": (8, 5, 12)}
    around = {"latent_down_proj.weight": (5, 16), "latent_up_proj.weight": (16, 5)}
    assert shapes(latent=5) == plain | latent | around


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (MOE | {"top_k": 9}, r"top_k \(9\) must not exceed n_experts \(8\)"),
        (MOE | {"n_groups": 4}, "n_groups and top_k_groups need each other"),
        (MOE | {"top_k_groups": 4}, "n_groups and top_k_groups need each other"),
        (GROUPED | {"n_groups": 3}, r"n_experts \(8\) must be a multiple of n_groups \(3\)"),
        (GROUPED | {"top_k_groups": 5}, r"top_k_groups \(5\) must not exceed n_groups \(4\)"),
        (GROUPED | {"top_k": 5}, r"top_k \(5\) must not exceed the 4 experts in 2 of"),
        (GROUPED | {"n_groups": 8}, "group_score top2_sum needs groups of 2 experts or more"),
        (MOE | {"shared_expert_gate": True}, "shared_expert_gate is set without shared_expert"),
        (MOE | {"scoring": "sparsemixer"}, "scoring sparsemixer and router_jitter need each other"),
        (MOE | {"selection_from": "logits"}, "selection_from logits needs selection_bias"),
        (MOE | {"router_jitter": 0.1}, "scoring sparsemixer and router_jitter need each other"),
        (GROUPED | {"scoring": "sparsemixer", "router_jitter": 0.1}, "remove selection_bias and n_groups"),
        (MOE | {"activation": "xielu", "gated": False}, "activation xielu is for kind dense only"),
    ],
)
def test_rules(data: Data, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        component(data)
