"""The names of weights of the families in `families/ancestors.py`."""

from __future__ import annotations

from collections.abc import Callable

from configs import Config
from weights import GQA, PLAIN, PRE_NORMS, Names, Source, linear, of_layer, qkv_by_group, renamed, share

FAIRSEQ: Names = {
    **GQA,
    **{
        f"norms.{ours}_{place}.{kind}": f"{theirs}.{kind}"
        for ours, theirs in (("attention", "self_attn_layer_norm"), ("ffn", "final_layer_norm"))
        for place in ("pre", "post")
        for kind in ("weight", "bias")
    },
    **renamed({"attention.o_proj": "self_attn.out_proj", "ffn.up_proj": "fc1", "ffn.down_proj": "fc2"}),
}
QK_NORMS = {"attention.q_norm": "self_attn.q_layernorm", "attention.k_norm": "self_attn.k_layernorm"}
PHI = {
    **QK_NORMS,
    "attention.o_proj": "self_attn.dense",
    "ffn.up_proj": "mlp.fc1",
    "ffn.down_proj": "mlp.fc2",
}
NEOX = {"ffn.up_proj": "mlp.dense_h_to_4h", "ffn.down_proj": "mlp.dense_4h_to_h"}


def fairseq(base: str, final: str, head: str) -> Names:
    embedding = f"{base}.embed_tokens.weight"
    return {
        "embedding.tokens.weight": embedding,
        "position_embedding.positions.weight": f"{base}.embed_positions.weight",
        **linear("final_norm.norm", f"{base}.{final}"),
        "head.lm_head.weight": (f"{head}.weight", embedding),
        **of_layer(FAIRSEQ, f"{base}.layers"),
    }


def persimmon(c: Config) -> Names:
    names = {
        **qkv_by_group(c.num_attention_heads, c.hidden_size // c.num_attention_heads, "self_attn.query_key_value"),
        **renamed({**QK_NORMS, **NEOX, "attention.o_proj": "self_attn.dense"}),
    }
    return {**PLAIN, **linear("final_norm.norm", "model.final_layernorm"), **of_layer(names)}


def gpt_neox_japanese(c: Config) -> Names:
    names = {
        **PRE_NORMS,
        **qkv_by_group(c.num_attention_heads, c.hidden_size // c.num_attention_heads, "attention.query_key_value"),
        **renamed({**NEOX, "attention.o_proj": "attention.dense"}),
        "attention.o_proj.bias": "attention.dense_bias",
    }
    base = "gpt_neox_japanese"
    return {
        "embedding.tokens.weight": f"{base}.embed_in.weight",
        **linear("final_norm.norm", f"{base}.final_layer_norm"),
        "head.lm_head.weight": ("embed_out.weight", f"{base}.embed_in.weight"),
        **of_layer(names, f"{base}.layers"),
    }


NAMES: dict[str, Names] = {
    "opt": fairseq("model.decoder", "final_layer_norm", "lm_head"),
    "biogpt": fairseq("biogpt", "layer_norm", "output_projection"),
    "xglm": fairseq("model", "layer_norm", "lm_head"),
    "phi": {
        **PLAIN,
        **renamed({"final_norm.norm": "model.final_layernorm", "head.lm_head": "lm_head"}),
        "head.lm_head.weight": ("lm_head.weight", "model.embed_tokens.weight"),
        **of_layer(renamed(PHI)),
    },
    "jais2": PLAIN,
    "modernbert-decoder": {
        "embedding.tokens.weight": "model.embeddings.tok_embeddings.weight",
        "head.lm_head.weight": ("decoder.weight", "model.embeddings.tok_embeddings.weight"),
        "head.lm_head.bias": "decoder.bias",
        **renamed(
            {
                "embedding_norm.norm": "model.embeddings.norm",
                "final_norm.norm": "model.final_norm",
                "head.dense": "lm_head.dense",
                "head.norm": "lm_head.norm",
            }
        ),
        **of_layer(
            {
                **{
                    f"attention.{part}_proj.{kind}": f"attn.{part}_proj.{kind}"
                    for part in "qkv"
                    for kind in ("weight", "bias")
                },
                **renamed(
                    {
                        "norms.attention_pre": "attn_norm",
                        "norms.ffn_pre": "mlp_norm",
                        "attention.o_proj": "attn.Wo",
                        "ffn.down_proj": "mlp.Wo",
                    }
                ),
                **{
                    f"ffn.{part}_proj.{kind}": Source(f"mlp.Wi.{kind}", share(index, 2, 0))
                    for index, part in enumerate(("gate", "up"))
                    for kind in ("weight", "bias")
                },
            }
        ),
    },
}
NAMES_BY_CONFIG: dict[str, Callable[[Config], Names]] = {
    "persimmon": persimmon,
    "gpt_neox_japanese": gpt_neox_japanese,
}
UNNAMED = {"persimmon", "gpt_neox_japanese"}
