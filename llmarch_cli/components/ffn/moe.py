"""Mixture of experts: a router picks `top_k` of `n_experts` small feed-forward layers for each token."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from llmarch_cli.components.cache import Read
from llmarch_cli.components.component import Child, LayerCache, Modules, Part
from llmarch_cli.components.ffn.dense import DenseFeedForward
from llmarch_cli.components.ffn.gate import GatedComponent
from llmarch_cli.components.fields import Count, Limits, Positive, TokenCount
from llmarch_cli.components.mechanism import Mechanism, Telling
from llmarch_cli.components.parts import Assignments, Buffer, Experts, Linear, Norm, Vector
from llmarch_cli.components.record import rule
from llmarch_cli.components.shards import Shard, Units, column_parallel, row_parallel

if TYPE_CHECKING:
    from torch import Tensor


class MixtureOfExperts(GatedComponent):
    """Routed experts of width `d_ff`, with an optional shared expert that every token uses.

    The router scores all experts. `renormalize` scales the chosen scores to a sum of 1; for softmax this equals a
    softmax over the chosen experts. `selection_bias` and `n_groups` change the choice but not the weights of the chosen
    (DeepSeek-V3, arXiv 2412.19437, section 2.1.2). `sparsemixer` picks experts one after another, and weights each by a
    softmax over those within reach of it (arXiv 2409.12136, in its form for inference: training samples them).
    Zero-computation experts return what they read (LongCat-Flash, arXiv 2509.01322, section 2.1.1). A token is priced
    as if it chose none of them: the most that it can cost.
    """

    kind: Literal["moe"]
    n_experts: Count
    n_zero_experts: Count | None = None  # zero-computation experts, numbered behind the others
    top_k: Count
    scoring: Literal["softmax", "sigmoid", "sqrt_softplus", "sparsemixer"] = "softmax"
    router_jitter: Annotated[float, Limits(ge=0, le=1e30)] | None = None  # half the reach of sparsemixer, as a share
    renormalize: bool = True
    routed_scale: Positive = 1.0  # multiplies the chosen experts' weights
    scale_input: bool = False  # weights scale an expert's input instead of its output
    router_bias: bool = False
    router_softcap: Positive | None = None
    selection_bias: bool = False  # a buffer added to the scores, for the choice only
    selection_from: Literal["scores", "logits"] = "scores"  # logits: the buffer is added to these instead
    hashed_tokens: TokenCount | None = None  # rows of a table that fixes each token id's experts; scores weigh them
    n_groups: Count | None = None  # limits the choice to the best `top_k_groups` groups of experts
    top_k_groups: Count | None = None
    group_score: Literal["max", "top2_sum"] = "top2_sum"
    shared_expert: DenseFeedForward | None = None
    shared_expert_gate: bool = False  # scales the shared expert's output by a sigmoid of one logit per token
    output_norm: bool = False  # normalises the sum of all experts
    input_norm: bool = False  # normalises what the experts read, and not what the router reads
    router_norm: bool = False  # normalises what the router reads, times learned values / sqrt(d_model)
    expert_scales: bool = False  # a learned factor of each expert's weight
    latent: Count | None = None  # width between two matrices that all routed experts share; they read and write it

    summarized: ClassVar[frozenset[str]] = GatedComponent.summarized | {"n_experts", "n_zero_experts", "top_k"}

    @property
    def _zero(self) -> str:
        return "" if self.n_zero_experts is None else f" + {self.n_zero_experts:,} zero"

    @property
    def label(self) -> str:
        text = f"MoE {self.n_experts:,} experts x {self.d_ff:,}{self._zero}, top {self.top_k:,}"
        return f"{text}{self._shared}"

    @property
    def _shared(self) -> str:
        if self.shared_expert is None:
            return ""
        n_shared, rest = divmod(self.shared_expert.d_ff, self.d_ff)  # several are one of their joint width
        return f" + shared {self.shared_expert.d_ff:,}" if rest else f" + {n_shared:,} shared"

    def mechanisms(self) -> Iterator[Mechanism]:
        page = "mixture-of-experts"
        latent = "latent " if self.latent is not None else ""
        phrase = f"{self.n_experts:,} {latent}experts{self._zero} ({self.top_k:,} chosen){self._shared}"
        yield Mechanism(self.kind, self.title, phrase, Telling.EXPERTS, by_layer=True, page=page)
        if self.shared_expert is not None:
            yield Mechanism("shared_expert", "Shared expert", page=page)
        if self.latent is not None:
            yield Mechanism("latent_experts", "Latent experts", page=page)
        if self.n_zero_experts is not None:
            yield Mechanism("zero_experts", "Zero-computation experts", page=page)
        if self.hashed_tokens is not None:
            yield Mechanism("hash_routing", "Routing by token id", "routing by token", by_layer=True, page=page)
        if self.n_groups is not None:
            yield Mechanism("group_routing", "Routing by groups of experts", "routing by groups", Telling.COMMON)
        if self.scoring == "sparsemixer":
            yield Mechanism("sparsemixer", "SparseMixer routing", "SparseMixer routing", page=page)
        yield from self.gate_mechanisms()

    @rule
    def _consistent(self) -> None:
        if self.activation == "xielu":
            raise ValueError("activation xielu is for kind dense only: experts have no learned values for it")
        if self.shared_expert_gate and self.shared_expert is None:
            raise ValueError("shared_expert_gate is set without shared_expert; give one, or remove the gate")
        if (self.scoring == "sparsemixer") != (self.router_jitter is not None):
            raise ValueError("scoring sparsemixer and router_jitter need each other; give both or neither")
        if self.selection_from == "logits" and not self.selection_bias:
            raise ValueError("selection_from logits needs selection_bias; without it, scores choose the same experts")
        if self.scoring == "sparsemixer" and (self.selection_bias or self.n_groups is not None):
            raise ValueError("scoring sparsemixer picks by logits alone; remove selection_bias and n_groups")
        picked = self.scoring == "sparsemixer" or self.selection_bias or self.n_groups is not None
        if self.hashed_tokens is not None and picked:
            raise ValueError("hashed_tokens fixes the choice; remove selection_bias, n_groups and scoring sparsemixer")
        if self.top_k > self.n_experts:
            raise ValueError(f"top_k ({self.top_k}) must not exceed n_experts ({self.n_experts})")
        if self.n_zero_experts is not None and (self.n_groups is not None or self.scoring == "sparsemixer"):
            raise ValueError("n_zero_experts excludes n_groups and scoring sparsemixer; remove one of them")
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

    @property
    def n_routed(self) -> int:
        """The number of experts that the router chooses from."""
        return self.n_experts + (self.n_zero_experts or 0)

    def parts(self, d_model: int) -> Iterator[Part]:
        if self.router_norm:
            yield Norm("router_norm", d_model, weightless=True)
            yield Vector("router_scale", d_model)
        yield Linear("router", d_model, self.n_routed, bias=self.router_bias)
        if self.expert_scales:
            yield Vector("expert_scales", self.n_routed)
        if self.input_norm:
            yield Norm("input_norm", d_model)
        if self.selection_bias:
            yield Buffer("selection_bias", self.n_routed)
        if self.hashed_tokens is not None:
            yield Assignments("token_experts", self.hashed_tokens, self.top_k, self.n_routed)
        width = self.latent or d_model
        if self.latent is not None:
            yield Linear("latent_down_proj", d_model, width)
        if self.gated:
            yield Experts("gate_proj", self.n_experts, self.top_k, width, self.d_ff, bias=self.bias)
        yield Experts("up_proj", self.n_experts, self.top_k, width, self.d_ff, bias=self.bias)
        yield Experts("down_proj", self.n_experts, self.top_k, self.d_ff, width, bias=self.bias)
        if self.latent is not None:
            yield Linear("latent_up_proj", width, d_model)
        if self.shared_expert is not None:
            yield Child("shared_expert", self.shared_expert)
        if self.shared_expert_gate:
            yield Linear("shared_expert_gate", d_model, 1)
        if self.output_norm:
            yield Norm("output_norm", d_model)

    def shards(self) -> Mapping[str, Shard]:
        """Inside each expert."""
        hidden = Units(self.d_ff)
        return {**column_parallel(hidden, "gate_proj", "up_proj"), **row_parallel(hidden, "down_proj")}

    def reads(self) -> Iterator[Read]:
        if self.hashed_tokens is not None:
            yield Read("tokens", None, integers=True)

    def forward(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        import torch

        fixed = None if self.hashed_tokens is None else m.token_experts[cache.read("tokens").flatten()]
        weights, chosen = self.route(m, x.flatten(0, 1), fixed)  # each (n_rows, top_k)

        # Rows are sorted by expert: each expert's rows are one block that ends at its offset. Those of zero-computation
        # experts go through the last one, so that shapes do not depend on data, and are then replaced.
        routed_ids, order = chosen.flatten().sort(stable=True)
        expert_ids = routed_ids if self.n_zero_experts is None else routed_ids.clamp(max=self.n_experts - 1)
        offsets = torch.searchsorted(expert_ids, torch.arange(1, self.n_experts + 1, device=x.device)).int()
        if self.input_norm:
            x = m.input_norm(x)
        read = x.flatten(0, 1)
        if self.latent is not None:
            read = m.latent_down_proj(read)
        rows = read[order // self.top_k]
        row_weights = weights.flatten()[order].unsqueeze(-1).to(x.dtype)
        if self.scale_input:
            rows = rows * row_weights
        gate = m.gate_proj(rows, expert_ids, offsets) if self.gated else None
        outputs = m.down_proj(self.hidden(m.up_proj(rows, expert_ids, offsets), gate), expert_ids, offsets)
        rows = outputs if self.n_zero_experts is None else outputs.where(self._computes(routed_ids), rows)
        if not self.scale_input:
            rows = rows * row_weights

        out = rows[order.argsort()].unflatten(0, (-1, self.top_k)).sum(dim=1)
        out = (out if self.latent is None else m.latent_up_proj(out)).view(x.shape)
        if self.shared_expert is not None:
            shared = m.shared_expert(x, cache)
            out = out + (m.shared_expert_gate(x).sigmoid() * shared if self.shared_expert_gate else shared)
        return m.output_norm(out) if self.output_norm else out

    def _computes(self, routed_ids: Tensor) -> Tensor:
        """Whether the expert of each row has matrices: (n_rows,) -> (n_rows, 1)."""
        return (routed_ids < self.n_experts).unsqueeze(-1)

    def route(self, m: Modules, tokens: Tensor, fixed: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Weights, in float32 for any model dtype, and expert numbers, both (n_rows, top_k); `fixed` are the latter."""
        import torch.nn.functional as F

        if self.router_norm:
            tokens = m.router_norm(tokens) * (m.router_scale * tokens.shape[-1] ** -0.5)
        bias = m.router.bias.float() if self.router_bias else None
        logits = F.linear(tokens.float(), m.router.weight.float(), bias)
        if self.router_softcap is not None:
            logits = self.router_softcap * (logits / self.router_softcap).tanh()
        if self.scoring == "sparsemixer":
            weights, chosen = self._picked_in_turn(logits)
        else:
            scores = self._scores(logits)
            preference = logits if self.selection_from == "logits" else scores
            chosen = self._picked_at_once(m, preference) if fixed is None else fixed
            weights = scores.gather(-1, chosen)
        if self.renormalize:
            weights = weights / (weights.sum(dim=-1, keepdim=True) + 1e-20)
        if self.expert_scales:
            weights = weights * m.expert_scales.float()[chosen]
        return weights * self.routed_scale, chosen

    def _scores(self, logits: Tensor) -> Tensor:
        import torch.nn.functional as F

        match self.scoring:
            case "softmax":
                return logits.softmax(dim=-1)
            case "sqrt_softplus":
                return F.softplus(logits).sqrt()
            case _:
                return logits.sigmoid()

    def _picked_at_once(self, m: Modules, preference: Tensor) -> Tensor:
        """The numbers (n_rows, top_k) of the experts that are best by `preference` (n_rows, n_experts) and its bias."""
        import torch

        if self.selection_bias:
            preference = preference + m.selection_bias
        if self.n_groups is not None and self.top_k_groups is not None:
            groups = preference.unflatten(-1, (self.n_groups, -1))  # (n_rows, n_groups, group_size)
            best = groups.amax(dim=-1) if self.group_score == "max" else groups.topk(2, dim=-1).values.sum(dim=-1)
            kept = best.topk(self.top_k_groups, dim=-1).indices
            closed = torch.ones_like(best).scatter(-1, kept, 0.0) > 0
            preference = groups.masked_fill(closed.unsqueeze(-1), -torch.inf).flatten(-2)

        return preference.topk(self.top_k, dim=-1).indices

    def _picked_in_turn(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """SparseMixer's weights and experts: `top_k` times the best of those left, by a softmax over those in reach.

        An expert is in reach if its logit is at most `2 * router_jitter` below the best, as a share of its magnitude.
        """
        import torch

        assert self.router_jitter is not None
        left, weights, chosen = logits, [], []
        for _ in range(self.top_k):
            best, pick = left.topk(1, dim=-1)
            gap = (best - logits) / logits.abs().clamp(min=best)
            in_reach = left.masked_fill(gap > 2 * self.router_jitter, -torch.inf)
            weights.append(in_reach.softmax(dim=-1).gather(-1, pick))
            chosen.append(pick)
            left = left.scatter(-1, pick, -torch.inf)
        return torch.cat(weights, dim=-1), torch.cat(chosen, dim=-1)
