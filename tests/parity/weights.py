"""How a transformers model names its weights: our parameter's name, and where its values stand in theirs.

To add a family: lay its own names over the ones that it shares with others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

Change = Callable[[Tensor], Tensor]


class Source:
    """A tensor of theirs, and what makes it ours."""

    def __init__(self, name: str, change: Change = lambda values: values) -> None:
        self.name, self.change = name, change


def share(index: int, of: int, dim: int) -> Change:
    """One of `of` equal blocks along `dim`."""
    return lambda values: values.chunk(of, dim=dim)[index]


def transposed(values: Tensor) -> Tensor:
    return values.transpose(-1, -2)


def after(*changes: Change) -> Change:
    """The changes one after another."""

    def change(values: Tensor) -> Tensor:
        for each in changes:
            values = each(values)
        return values

    return change


def every_second(start: int, values: Tensor) -> Tensor:
    return values[..., start::2]


Names = dict[str, str | Source | tuple[str | Source, ...]]  # several: the first one that the model has

FRAME: Names = {
    "embedding.tokens.weight": "model.embed_tokens.weight",
    "final_norm.norm.weight": "model.norm.weight",
    "head.lm_head.weight": ("lm_head.weight", "model.embed_tokens.weight"),
}


def of_layer(names: Mapping[str, str | Source | tuple[str | Source, ...]]) -> Names:
    """Names inside a layer with the layer in front, which stands as `{}`."""

    def theirs(source: str | Source) -> str | Source:
        if isinstance(source, Source):
            return Source(f"model.layers.{{}}.{source.name}", source.change)
        return f"model.layers.{{}}.{source}"

    return {
        f"layers.{{}}.{ours}": tuple(map(theirs, found)) if isinstance(found, tuple) else theirs(found)
        for ours, found in names.items()
    }


def linear(ours: str, theirs: str) -> Names:
    return {f"{ours}.{kind}": f"{theirs}.{kind}" for kind in ("weight", "bias")}


PRE_NORMS: Names = {
    "norms.attention_pre.weight": "input_layernorm.weight",
    "norms.ffn_pre.weight": "post_attention_layernorm.weight",
}
GQA: Names = {
    **linear("attention.q_proj", "self_attn.q_proj"),
    **linear("attention.k_proj", "self_attn.k_proj"),
    **linear("attention.v_proj", "self_attn.v_proj"),
    **linear("attention.o_proj", "self_attn.o_proj"),
    "attention.q_norm.weight": "self_attn.q_norm.weight",
    "attention.k_norm.weight": "self_attn.k_norm.weight",
    "attention.sinks": "self_attn.sinks",
}
MLA: Names = {
    **linear("attention.q_a_proj", "self_attn.q_a_proj"),
    "attention.q_a_norm.weight": "self_attn.q_a_layernorm.weight",
    "attention.q_b_proj.weight": ("self_attn.q_b_proj.weight", "self_attn.q_proj.weight"),
    **linear("attention.kv_a_proj", "self_attn.kv_a_proj_with_mqa"),
    "attention.kv_a_norm.weight": "self_attn.kv_a_layernorm.weight",
    "attention.kv_b_proj.weight": "self_attn.kv_b_proj.weight",
    **linear("attention.o_proj", "self_attn.o_proj"),
}
DENSE: Names = {
    **linear("ffn.gate_proj", "mlp.gate_proj"),
    **linear("ffn.up_proj", "mlp.up_proj"),
    **linear("ffn.down_proj", "mlp.down_proj"),
}
MOE: Names = {
    "ffn.router.weight": "mlp.gate.weight",
    "ffn.selection_bias": "mlp.gate.e_score_correction_bias",
    "ffn.gate_proj.weight": ("mlp.gate_proj.weight", Source("mlp.experts.gate_up_proj", share(0, 2, 1))),
    "ffn.up_proj.weight": ("mlp.up_proj.weight", Source("mlp.experts.gate_up_proj", share(1, 2, 1))),
    "ffn.down_proj.weight": ("mlp.down_proj.weight", "mlp.experts.down_proj"),
    **linear("ffn.shared_expert.gate_proj", "mlp.shared_experts.gate_proj"),
    **linear("ffn.shared_expert.up_proj", "mlp.shared_experts.up_proj"),
    **linear("ffn.shared_expert.down_proj", "mlp.shared_experts.down_proj"),
}

PLAIN: Names = {**FRAME, **of_layer({**PRE_NORMS, **GQA, **DENSE})}
MIXTURE: Names = {**PLAIN, **of_layer(MOE)}
LATENT: Names = {**MIXTURE, **of_layer(MLA)}


def gpt2() -> Names:
    """Fused projections, stored transposed."""
    names: Names = {
        **linear("norms.attention_pre", "ln_1"),
        **linear("norms.ffn_pre", "ln_2"),
        "attention.o_proj.weight": Source("attn.c_proj.weight", transposed),
        "attention.o_proj.bias": "attn.c_proj.bias",
        "ffn.up_proj.weight": Source("mlp.c_fc.weight", transposed),
        "ffn.up_proj.bias": "mlp.c_fc.bias",
        "ffn.down_proj.weight": Source("mlp.c_proj.weight", transposed),
        "ffn.down_proj.bias": "mlp.c_proj.bias",
    }
    for index, projection in enumerate(("q_proj", "k_proj", "v_proj")):
        block = share(index, 3, -1)
        names[f"attention.{projection}.weight"] = Source("attn.c_attn.weight", after(block, transposed))
        names[f"attention.{projection}.bias"] = Source("attn.c_attn.bias", block)
    layers = {
        ours: Source(found.name.replace("model.layers", "transformer.h"), found.change)
        if isinstance(found, Source)
        else str(found).replace("model.layers", "transformer.h")
        for ours, found in of_layer(names).items()
    }
    return {
        "embedding.tokens.weight": "transformer.wte.weight",
        "position_embedding.positions.weight": "transformer.wpe.weight",
        **linear("final_norm.norm", "transformer.ln_f"),
        "head.lm_head.weight": ("lm_head.weight", "transformer.wte.weight"),
        **layers,
    }


def llama4() -> Names:
    """Experts stored transposed; `feed_forward` instead of `mlp`."""
    fused = "feed_forward.experts.gate_up_proj"
    names: Names = {
        "ffn.router.weight": "feed_forward.router.weight",
        "ffn.gate_proj.weight": ("feed_forward.gate_proj.weight", Source(fused, after(share(0, 2, -1), transposed))),
        "ffn.up_proj.weight": ("feed_forward.up_proj.weight", Source(fused, after(share(1, 2, -1), transposed))),
        "ffn.down_proj.weight": (
            "feed_forward.down_proj.weight",
            Source("feed_forward.experts.down_proj", transposed),
        ),
        **linear("ffn.shared_expert.gate_proj", "feed_forward.shared_expert.gate_proj"),
        **linear("ffn.shared_expert.up_proj", "feed_forward.shared_expert.up_proj"),
        **linear("ffn.shared_expert.down_proj", "feed_forward.shared_expert.down_proj"),
    }
    return {**PLAIN, **of_layer(names)}


def gpt_oss() -> Names:
    """Experts stored transposed, gate and up side by side."""
    names: Names = {
        **linear("ffn.router", "mlp.router"),
        "ffn.down_proj.weight": Source("mlp.experts.down_proj", transposed),
        "ffn.down_proj.bias": "mlp.experts.down_proj_bias",
    }
    for start, projection in enumerate(("gate_proj", "up_proj")):
        every = partial(every_second, start)
        names[f"ffn.{projection}.weight"] = Source("mlp.experts.gate_up_proj", after(every, transposed))
        names[f"ffn.{projection}.bias"] = Source("mlp.experts.gate_up_proj_bias", every)
    return {**PLAIN, **of_layer(names)}


POST_NORMS: Names = {
    "norms.attention_post.weight": "post_attention_layernorm.weight",
    "norms.ffn_post.weight": "post_feedforward_layernorm.weight",
}

GROK: Names = {
    "norms.attention_pre.weight": "pre_attn_norm.weight",
    "norms.attention_post.weight": "post_attn_norm.weight",
    "norms.ffn_pre.weight": "pre_moe_norm.weight",
    "norms.ffn_post.weight": "post_moe_norm.weight",
    **linear("ffn.dense_branch.gate_proj", "mlp.gate_proj"),
    **linear("ffn.dense_branch.up_proj", "mlp.up_proj"),
    **linear("ffn.dense_branch.down_proj", "mlp.down_proj"),
    "ffn.moe_branch.router.weight": "block_sparse_moe.gate.weight",
    "ffn.moe_branch.gate_proj.weight": "block_sparse_moe.experts.w1",
    "ffn.moe_branch.up_proj.weight": "block_sparse_moe.experts.w3",
    "ffn.moe_branch.down_proj.weight": "block_sparse_moe.experts.w2",
}

NAMES: dict[str, Names] = {
    "gpt2": gpt2(),
    "llama": PLAIN,
    "mistral": PLAIN,
    "mixtral": MIXTURE,
    "deepseek_v2": LATENT,
    "deepseek_v3": LATENT,
    "olmo2": {**PLAIN, **of_layer(POST_NORMS)},
    "gemma3_text": {
        **PLAIN,
        **of_layer({**POST_NORMS, "norms.ffn_pre.weight": "pre_feedforward_layernorm.weight"}),
    },
    "llama4_text": llama4(),
    "qwen3": PLAIN,
    "qwen3_moe": MIXTURE,
    "smollm3": PLAIN,
    "gpt_oss": gpt_oss(),
    "glm4_moe": MIXTURE,
    "grok": {**PLAIN, **of_layer(GROK)},
}


@torch.no_grad()
def carry(names: Names, theirs: Mapping[str, Tensor], ours: nn.Module) -> None:
    """Fill every parameter and buffer of `ours`, and leave none of `theirs` unread."""
    unread = set(theirs)
    for name, target in ours.state_dict().items():
        layers = re.findall(r"\d+", name)
        found = names[re.sub(r"\d+", "{}", name)]
        candidates = [
            each if isinstance(each, Source) else Source(each)
            for each in (found if isinstance(found, tuple) else (found,))
        ]
        source = next(each for each in candidates if each.name.format(*layers) in theirs)
        values = source.change(theirs[source.name.format(*layers)])
        assert values.shape == target.shape, (name, values.shape, target.shape)
        target.copy_(values)
        unread.discard(source.name.format(*layers))
    assert not unread, f"weights of theirs that none of ours reads: {sorted(unread)}"


def randomize(model: Any, seed: int) -> None:
    """Random values for everything that a checkpoint holds: default initialisation hides mistakes."""
    generator = torch.Generator().manual_seed(seed)
    for name, values in sorted(model.state_dict().items()):
        fresh = torch.randn(values.shape, generator=generator)
        if values.dim() == 1:
            fresh = 1 + 0.3 * fresh if name.endswith("weight") else 0.5 * fresh
        elif "embed" not in name and "wte" not in name:
            fresh = fresh * values.shape[-1] ** -0.5
        values.copy_(fresh)
