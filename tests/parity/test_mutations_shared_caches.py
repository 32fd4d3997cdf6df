"""Wiring errors of alternating updates, learned branches, per-layer inputs and shared caches: each must show."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import pytest
from mutations import Alteration, Patch, Renamed, each, shows_in_the_code, shows_in_the_spec
from pairs import Case
from torch import Tensor

from llmarch_cli.components.attention import GroupedQueryAttention
from llmarch_cli.components.ffn import dense
from llmarch_cli.components.ffn.gate import activate
from llmarch_cli.components.layer_inputs import LayerEmbedding, LayerInput, LayerProjection
from llmarch_cli.components.residual import laurel
from llmarch_cli.components.residual.altup import AlternatingUpdate, StreamProjections

SPARSE, ACTIVE_1, UNSHARED = (Case("gemma3n_text", variant) for variant in range(3))
ROWS, EXPERTS = Case("gemma4_text", 0), Case("gemma4_text", 1)  # per-layer embeddings; experts beside dense layers


def streams(**fields: Any) -> Alteration:
    return lambda spec: spec["residual"].update(fields)


def inputs(**fields: Any) -> Alteration:
    return lambda spec: spec["per_layer_embedding"].update(fields)


def from_the_other(spec: Any) -> None:
    """Layers with a window read the keys of those without one, and as far back as these."""
    variants = spec["attention"]["variants"]
    variants["local_shared"] = {**variants["global_shared"], "rope_theta": variants["local"]["rope_theta"]}


def of_experts(**fields: Any) -> Alteration:
    return each("ffn", lambda found: fields if found["kind"] == "moe" else {})


def of_global(**fields: Any) -> Alteration:
    """Of layers without a window."""
    return each("attention", lambda found: {} if found["window"] else fields)


IN_THE_SPEC: dict[str, tuple[Case, Alteration]] = {
    "all pairs turned": (ROWS, of_global(rotary_pairs=None)),
    "one theta": (ROWS, of_global(rope_theta=30.0)),
    "scores scaled by the width": (ROWS, each("attention", lambda found: {"score_scale": None})),
    "no norm of values": (ROWS, each("attention", lambda found: {"v_norm": False})),
    "no soft cap": (ROWS, lambda spec: spec.update(logit_softcap=None)),
    "no layer scale": (ROWS, lambda spec: spec.update(layer_scale=False)),
    "no norm of what the router reads": (EXPERTS, of_experts(router_norm=False)),
    "no factors of experts": (EXPERTS, of_experts(expert_scales=False)),
    "no norm of what experts read": (EXPERTS, of_experts(input_norm=False)),
    "no norm of the branches' outputs": (
        EXPERTS,
        each("ffn", lambda found: {} if found["kind"] == "parallel" else {"output_norm": False}),
    ),
    "no norm of the branches' sum": (
        EXPERTS,
        each("ffn", lambda found: {"output_norm": False} if found["kind"] == "parallel" else {}),
    ),
    "experts' weights not renormalised": (EXPERTS, of_experts(renormalize=False)),
    "another active stream": (ACTIVE_1, streams(active=2)),
    "the first stream active": (ACTIVE_1, streams(active=0)),
    "keys of the other type": (ACTIVE_1, from_the_other),
    "another sparsity": (SPARSE, each("ffn", lambda found: {"activation_sparsity": 0.7})),
    "no sparsity": (SPARSE, each("ffn", lambda found: {"activation_sparsity": None})),
    "another theta": (UNSHARED, each("attention", lambda found: {"rope_theta": 77.0})),
    "scores scaled": (UNSHARED, each("attention", lambda found: {"score_scale": None})),
    "another activation": (UNSHARED, inputs(activation="silu")),
    "a shorter window": (
        ACTIVE_1,
        each("attention", lambda found: {"window": found["window"] and found["window"] - 1}),
    ),
}


@pytest.mark.parametrize("name", IN_THE_SPEC)
def test_an_error_in_the_spec_shows(name: str) -> None:
    shows_in_the_spec(*IN_THE_SPEC[name], "prompt")


around = AlternatingUpdate.around


def unscaled_router(self: Any, m: Any, x: Tensor) -> Any:
    return m.router(m.router_norm(x)).tanh()


def without_tanh(self: Any, m: Any, x: Tensor) -> Any:
    return m.router(m.router_norm(x) * x.shape[-1] ** -1.0)


def not_corrected(self: Any, m: Any, x: Tensor, run: Any) -> Any:
    """All streams get the whole difference."""
    weights = m.predict_proj(self._routed(m, x[:, :, self.active])).unflatten(-1, (self.n_streams, -1))
    predicted = x + (weights.unsqueeze(-1) * x.unsqueeze(2)).sum(dim=3)
    active = predicted[:, :, self.active]
    return predicted + (run(active) - active).unsqueeze(2)


def from_and_to_swapped(self: Any, m: Any, x: Tensor, run: Any) -> Any:
    def transposed(routed: Tensor) -> Any:
        return m.predict_proj(routed).unflatten(-1, (self.n_streams, -1)).transpose(-1, -2).flatten(-2)

    return around(self, Renamed(m, predict_proj=transposed), x, run)


def input_for_all(self: Any, m: Any, x: Tensor, run: Any) -> Any:
    return x + run(x[:, :, self.active]).unsqueeze(2)


def input_of_the_first(self: Any, m: Any, x: Tensor, run: Any) -> Any:
    added = run(x[:, :, 0]).unsqueeze(2)
    return x + added * (x.new_ones(x.shape[2]).cumsum(0) > 1).unsqueeze(-1)


def unmatched(self: Any, m: Any, first: Tensor, others: list[Tensor]) -> list[Tensor]:
    return [getattr(m, f"proj_{number}")(x) for number, x in enumerate(others, start=1)]


def zeros_for_others(self: Any, m: Any, x: Tensor, cache: Any) -> Any:
    others = x >= self.vocab_size
    return (m.tokens(x.masked_fill(others, 0)) * self.dim**0.5).masked_fill(others.unsqueeze(-1), 0.0)


def unscaled_input(self: Any, m: Any, x: Tensor, cache: Any) -> Any:
    own = cache.read("layer_inputs").unflatten(-1, (self.n_layers, -1))[:, :, cache.layer]
    return m.norm(m.proj(activate(self.activation, m.gate_proj(x)) * own))


def branch_without_its_input(self: Any, m: Any, x: Tensor) -> Any:
    return m.norm(m.up_proj(m.down_proj(x)))


def cut_and_kept(gate: Tensor, share: float) -> Any:
    """Values above the quantile are kept whole."""
    deviation = gate.std(dim=-1, keepdim=True, correction=0)
    cutoff = gate.mean(dim=-1, keepdim=True) + deviation * NormalDist().inv_cdf(share)
    return gate * (gate > cutoff)


own = GroupedQueryAttention._own


def values_behind_the_norm(self: Any, m: Any, x: Tensor, start: int, cache: Any) -> Any:
    """With K = V, values are the normalised keys."""
    if not self.values_from_keys:
        return own(self, m, x, start, cache)
    heads = self._heads(m.k_proj(x))
    normed = m.k_norm(heads)
    values = m.v_norm(normed).transpose(1, 2).flatten(2)
    return cache.append(k=self.rotate_first(normed, start).transpose(1, 2).flatten(2), v=values)


def rows_and_no_projection(self: Any, m: Any, x: Tensor, cache: Any) -> Any:
    return cache.read("layer_rows")


def unscaled_projection(self: Any, m: Any, x: Tensor, cache: Any) -> Any:
    normed = m.norm(m.proj(x).unflatten(-1, (self.n_layers, -1))).flatten(2)
    return normed + cache.read("layer_rows")


IN_THE_CODE: dict[str, Patch] = {
    "values behind the norm of keys": Patch(EXPERTS, GroupedQueryAttention, "_own", values_behind_the_norm),
    "a layer's rows without the projection": Patch(ROWS, LayerProjection, "forward", rows_and_no_projection),
    "inputs without their factor": Patch(ROWS, LayerProjection, "forward", unscaled_projection),
    "an unscaled router": Patch(ACTIVE_1, AlternatingUpdate, "_routed", unscaled_router),
    "a router without a bound": Patch(ACTIVE_1, AlternatingUpdate, "_routed", without_tanh),
    "streams not corrected": Patch(ACTIVE_1, AlternatingUpdate, "around", not_corrected),
    "streams predicted by the transpose": Patch(ACTIVE_1, AlternatingUpdate, "around", from_and_to_swapped),
    "the input added to all streams": Patch(ACTIVE_1, AlternatingUpdate, "with_input", input_for_all),
    "the input made of the first stream": Patch(ACTIVE_1, AlternatingUpdate, "with_input", input_of_the_first),
    "streams of any length": Patch(ACTIVE_1, StreamProjections, "projected", unmatched),
    "the branch's share": Patch(SPARSE, laurel, "SHARE", 1.0),
    "the branch without its input": Patch(SPARSE, laurel.LowRankBranch, "_branch", branch_without_its_input),
    "zeros for tokens without a row": Patch(SPARSE, LayerEmbedding, "forward", zeros_for_others),
    "the input's factors forgotten": Patch(SPARSE, LayerInput, "forward", unscaled_input),
    "sparse gates kept whole": Patch(SPARSE, dense, "_above", cut_and_kept),
}


@pytest.mark.parametrize("name", IN_THE_CODE)
def test_an_error_in_the_code_shows(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shows_in_the_code(IN_THE_CODE[name], monkeypatch)
