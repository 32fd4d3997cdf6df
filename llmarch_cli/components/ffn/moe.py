"""Mixture of experts: a router picks `top_k` of `n_experts` small feed-forward layers for each token."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import model_validator

from llmarch_cli.components.component import Child, Count, LayerCache, Modules, Part, Positive
from llmarch_cli.components.ffn.dense import DenseFeedForward
from llmarch_cli.components.ffn.gate import GatedComponent
from llmarch_cli.components.parts import Buffer, Experts, Linear

if TYPE_CHECKING:
    from typing import Self

    from torch import Tensor


class MixtureOfExperts(GatedComponent):
    """Routed experts of width `d_ff`, with an optional shared expert that every token uses.

    The router scores all experts. `renormalize` scales the chosen scores to a sum of 1; for softmax this equals a
    softmax over the chosen experts. `selection_bias` and `n_groups` change the choice but not the weights of the chosen
    (DeepSeek-V3, arXiv 2412.19437, section 2.1.2).
    """

    kind: Literal["moe"]
    n_experts: Count
    top_k: Count
    scoring: Literal["softmax", "sigmoid"] = "softmax"
    renormalize: bool = True
    routed_scale: Positive = 1.0  # multiplies the chosen experts' weights
    scale_input: bool = False  # weights scale an expert's input instead of its output
    router_bias: bool = False
    router_softcap: Positive | None = None
    selection_bias: bool = False  # a buffer added to the scores, for the choice only
    n_groups: Count | None = None  # limits the choice to the best `top_k_groups` groups of experts
    top_k_groups: Count | None = None
    group_score: Literal["max", "top2_sum"] = "top2_sum"
    shared_expert: DenseFeedForward | None = None
    shared_expert_gate: bool = False  # scales the shared expert's output by a sigmoid of one logit per token

    summarized: ClassVar[frozenset[str]] = GatedComponent.summarized | {"n_experts", "top_k"}

    @property
    def label(self) -> str:
        text = f"MoE {self.n_experts:,} experts x {self.d_ff:,}, top {self.top_k:,}"
        if self.shared_expert is None:
            return text
        n_shared, rest = divmod(self.shared_expert.d_ff, self.d_ff)  # several are one of their joint width
        return f"{text} + shared {self.shared_expert.d_ff:,}" if rest else f"{text} + {n_shared:,} shared"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.activation == "xielu":
            raise ValueError("activation xielu is for kind dense only: experts have no learned values for it")
        if self.shared_expert_gate and self.shared_expert is None:
            raise ValueError("shared_expert_gate is set without shared_expert; give one, or remove the gate")
        if self.top_k > self.n_experts:
            raise ValueError(f"top_k ({self.top_k}) must not exceed n_experts ({self.n_experts})")
        if (self.n_groups is None) != (self.top_k_groups is None):
            raise ValueError("n_groups and top_k_groups need each other; give both or neither")
        if self.n_groups is not None and self.top_k_groups is not None:
            group_size, rest = divmod(self.n_experts, self.n_groups)
            if rest:
                raise ValueError(f"n_experts ({self.n_experts}) must be a multiple of n_groups ({self.n_groups})")
            if self.top_k_groups > self.n_groups:
                raise ValueError(f"top_k_groups ({self.top_k_groups}) must not exceed n_groups ({self.n_groups})")
            if self.top_k > self.top_k_groups * group_size:
                raise ValueError(
                    f"top_k ({self.top_k}) must not exceed the {self.top_k_groups * group_size} experts in"
                    f" {self.top_k_groups} of {self.n_groups} groups (top_k_groups)"
                )
            if self.group_score == "top2_sum" and group_size < 2:
                raise ValueError("group_score top2_sum needs groups of 2 experts or more")
        return self

    def parts(self, d_model: int) -> Iterator[Part]:
        yield Linear("router", d_model, self.n_experts, bias=self.router_bias)
        if self.selection_bias:
            yield Buffer("selection_bias", self.n_experts)
        if self.gated:
            yield Experts("gate_proj", self.n_experts, self.top_k, d_model, self.d_ff, bias=self.bias)
        yield Experts("up_proj", self.n_experts, self.top_k, d_model, self.d_ff, bias=self.bias)
        yield Experts("down_proj", self.n_experts, self.top_k, self.d_ff, d_model, bias=self.bias)
        if self.shared_expert is not None:
            yield Child("shared_expert", self.shared_expert)
        if self.shared_expert_gate:
            yield Linear("shared_expert_gate", d_model, 1)

    def forward(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        import torch

        tokens = x.flatten(0, 1)  # (n_rows, d_model)
        weights, chosen = self.route(m, tokens)  # each (n_rows, top_k)

        # Rows are sorted by expert: each expert's rows are one block that ends at its offset.
        expert_ids, order = chosen.flatten().sort(stable=True)
        offsets = torch.searchsorted(expert_ids, torch.arange(1, self.n_experts + 1, device=x.device)).int()
        rows = tokens[order // self.top_k]
        row_weights = weights.flatten()[order].unsqueeze(-1).to(x.dtype)
        if self.scale_input:
            rows = rows * row_weights
        gate = m.gate_proj(rows, expert_ids, offsets) if self.gated else None
        rows = m.down_proj(self.hidden(m.up_proj(rows, expert_ids, offsets), gate), expert_ids, offsets)
        if not self.scale_input:
            rows = rows * row_weights

        out = rows[order.argsort()].unflatten(0, (-1, self.top_k)).sum(dim=1).view(x.shape)
        if self.shared_expert is None:
            return out
        shared = m.shared_expert(x, cache)
        return out + (m.shared_expert_gate(x).sigmoid() * shared if self.shared_expert_gate else shared)

    def route(self, m: Modules, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Weights, in float32 for any model dtype, and expert numbers, both (n_rows, top_k)."""
        import torch
        import torch.nn.functional as F

        bias = m.router.bias.float() if self.router_bias else None
        logits = F.linear(tokens.float(), m.router.weight.float(), bias)
        if self.router_softcap is not None:
            logits = self.router_softcap * (logits / self.router_softcap).tanh()
        scores = logits.softmax(dim=-1) if self.scoring == "softmax" else logits.sigmoid()

        preference = scores + m.selection_bias if self.selection_bias else scores
        if self.n_groups is not None and self.top_k_groups is not None:
            groups = preference.unflatten(-1, (self.n_groups, -1))  # (n_rows, n_groups, group_size)
            best = groups.amax(dim=-1) if self.group_score == "max" else groups.topk(2, dim=-1).values.sum(dim=-1)
            kept = best.topk(self.top_k_groups, dim=-1).indices
            closed = torch.ones_like(best).scatter(-1, kept, 0.0) > 0
            preference = groups.masked_fill(closed.unsqueeze(-1), -torch.inf).flatten(-2)

        chosen = preference.topk(self.top_k, dim=-1).indices
        weights = scores.gather(-1, chosen)
        if self.renormalize:
            weights = weights / (weights.sum(dim=-1, keepdim=True) + 1e-20)
        return weights * self.routed_scale, chosen
