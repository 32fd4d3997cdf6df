"""The names of weights of families in `families/fixed_states.py`."""

from __future__ import annotations

from collections.abc import Callable

from configs import Config
from weights import FRAME, GQA, MOE, Change, Names, Source, linear, of_layer, renamed, share, transposed

# --- lightning attention --------------------------------------------------------------------------------------------


def minimax(c: Config) -> Names:
    """Queries, keys and values fused head by head; each layer's first norm is the one that ends the layer below."""

    def heads(index: int) -> Change:
        return lambda values: values.unflatten(0, (c.num_attention_heads, 3, -1))[:, index].flatten(0, 1)

    names: Names = {**GQA, **MOE, "norms.attention_post.weight": "post_attention_layernorm.weight"}
    for index, projection in enumerate(("q_proj", "k_proj", "v_proj")):
        fused = Source("self_attn.qkv_proj.weight", heads(index))
        names[f"attention.{projection}.weight"] = (fused, f"self_attn.{projection}.weight")
    names |= {
        "attention.norm.weight": "self_attn.norm.weight",
        "attention.gate_proj.weight": "self_attn.output_gate.weight",
        "attention.o_proj.weight": ("self_attn.out_proj.weight", "self_attn.o_proj.weight"),
    }
    first_norm = "model.layers.{}.input_layernorm.weight"
    above = {
        f"layers.{layer}.norms.ffn_post.weight": first_norm.format(layer + 1) for layer in range(c.num_hidden_layers)
    }
    above[f"layers.{c.num_hidden_layers - 1}.norms.ffn_post.weight"] = "model.norm.weight"
    return {**FRAME, **of_layer(names), "embedding_norm.norm.weight": first_norm.format(0), **above}


# --- short convolutions ---------------------------------------------------------------------------------------------

CONVOLUTION: Names = {
    f"attention.{ours}.{kind}": Source(f"conv.in_proj.{kind}", share(index, 3, 0))
    for index, ours in enumerate(("in_gate_proj", "out_gate_proj", "x_proj"))
    for kind in ("weight", "bias")
}

LFM2: Names = {
    **FRAME,
    **linear("final_norm.norm", "model.embedding_norm"),
    **of_layer(
        {
            **GQA,
            **CONVOLUTION,
            **renamed({"norms.attention_pre": "operator_norm", "norms.ffn_pre": "ffn_norm"}),
            **renamed({"attention.q_norm": "self_attn.q_layernorm", "attention.k_norm": "self_attn.k_layernorm"}),
            "attention.o_proj.weight": ("self_attn.out_proj.weight", "conv.out_proj.weight"),
            "attention.o_proj.bias": "conv.out_proj.bias",
            "attention.conv.weight": Source("conv.conv.weight", lambda values: values.squeeze(1)),
            "attention.conv.bias": "conv.conv.bias",
            **renamed({"ffn.gate_proj": "feed_forward.w1", "ffn.up_proj": "feed_forward.w3"}),
            **renamed({"ffn.down_proj": "feed_forward.w2"}),
        }
    ),
}

LFM2_MOE: Names = {
    "ffn.router.weight": "feed_forward.gate.weight",
    "ffn.selection_bias": "feed_forward.expert_bias",
    "ffn.gate_proj.weight": ("feed_forward.w1.weight", Source("feed_forward.experts.gate_up_proj", share(0, 2, 1))),
    "ffn.up_proj.weight": ("feed_forward.w3.weight", Source("feed_forward.experts.gate_up_proj", share(1, 2, 1))),
    "ffn.down_proj.weight": ("feed_forward.w2.weight", "feed_forward.experts.down_proj"),
}

# --- RG-LRU ---------------------------------------------------------------------------------------------------------

TEMPORAL = {
    **{f"attention.{name}_proj": f"temporal_block.{name}_proj" for name in ("q", "k", "v")},
    "attention.gate_proj": "temporal_block.linear_y",
    "attention.x_proj": "temporal_block.linear_x",
    "norms.attention_pre": "temporal_pre_norm",
    "norms.ffn_pre": "channel_pre_norm",
    **{f"ffn.{name}_proj": f"mlp_block.{name}_proj" for name in ("gate", "up", "down")},
}

RECURRENT_GEMMA: Names = {
    **FRAME,
    **linear("final_norm.norm", "model.final_norm"),
    **of_layer(
        {
            **renamed(TEMPORAL),
            **{
                f"attention.o_proj.{kind}": (f"temporal_block.o_proj.{kind}", f"temporal_block.linear_out.{kind}")
                for kind in ("weight", "bias")
            },
            "attention.conv.weight": Source("temporal_block.conv_1d.weight", lambda values: values.squeeze(1)),
            "attention.conv.bias": "temporal_block.conv_1d.bias",
            "attention.decay": "temporal_block.rg_lru.recurrent_param",
            "attention.input_gate.weight": Source("temporal_block.rg_lru.input_gate_weight", transposed),
            "attention.input_gate.bias": "temporal_block.rg_lru.input_gate_bias",
            "attention.decay_gate.weight": Source("temporal_block.rg_lru.recurrent_gate_weight", transposed),
            "attention.decay_gate.bias": "temporal_block.rg_lru.recurrent_gate_bias",
        }
    ),
}

# --- RWKV -----------------------------------------------------------------------------------------------------------


def mix(name: str) -> Source:
    return Source(name, lambda values: values.flatten())


RWKV: Names = {
    "embedding.tokens.weight": "rwkv.embeddings.weight",
    **linear("embedding_norm.norm", "rwkv.blocks.0.pre_ln"),
    **linear("final_norm.norm", "rwkv.ln_out"),
    "head.lm_head.weight": ("head.weight", "rwkv.embeddings.weight"),
    **of_layer(
        {
            **renamed({"norms.attention_pre": "ln1", "norms.ffn_pre": "ln2"}),
            **renamed({"attention.k_proj": "attention.key", "attention.v_proj": "attention.value"}),
            **renamed({"attention.gate_proj": "attention.receptance", "attention.o_proj": "attention.output"}),
            "attention.k_mix": mix("attention.time_mix_key"),
            "attention.v_mix": mix("attention.time_mix_value"),
            "attention.gate_mix": mix("attention.time_mix_receptance"),
            "attention.decay": "attention.time_decay",
            "attention.bonus": "attention.time_first",
            **renamed({"ffn.up_proj": "feed_forward.key", "ffn.down_proj": "feed_forward.value"}),
            **renamed({"ffn.gate_proj": "feed_forward.receptance"}),
            "ffn.up_mix": mix("feed_forward.time_mix_key"),
            "ffn.gate_mix": mix("feed_forward.time_mix_receptance"),
        },
        "rwkv.blocks",
    ),
}

NAMES: dict[str, Names] = {
    "lfm2": LFM2,
    "lfm2_moe": {**LFM2, **of_layer(LFM2_MOE)},
    "recurrent_gemma": RECURRENT_GEMMA,
    "rwkv": RWKV,
}

NAMES_BY_CONFIG: dict[str, Callable[[Config], Names]] = {"minimax": minimax}

# Their checkpoints fuse what is split here, or name norms by another layer.
UNNAMED: set[str] = set()
