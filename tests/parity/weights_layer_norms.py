"""The names of weights of families in `families/layer_norms.py`."""

from __future__ import annotations

from collections.abc import Callable

from configs import Config
from torch import Tensor
from weights import PLAIN, PRE_NORMS, Change, Names, Source, linear, of_layer, qkv_by_group, renamed, share
from weights_absolute import LN, around

QK_NORMS = {"attention.q_norm": "self_attn.q_layernorm", "attention.k_norm": "self_attn.k_layernorm"}

PHI = {
    **QK_NORMS,
    "attention.o_proj": "self_attn.dense",
    "ffn.up_proj": "mlp.fc1",
    "ffn.down_proj": "mlp.fc2",
}

NEOX = {"ffn.up_proj": "mlp.dense_h_to_4h", "ffn.down_proj": "mlp.dense_4h_to_h"}


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


SPLIT = {f"attention.{part}_proj": f"attn.{part}_proj" for part in "qkv"}

GPTJ = {"attention.o_proj": "attn.out_proj", "ffn.up_proj": "mlp.fc_in", "ffn.down_proj": "mlp.fc_out"}


def of_four(index: int) -> Change:
    """One of queries, values and keys, which each of four devices stores for its heads."""

    def rows(values: Tensor) -> Tensor:
        of_devices: Tensor = values.unflatten(0, (4, 3, -1))[:, index]
        return of_devices.flatten(0, 1)

    return rows


NAMES: dict[str, Names] = {
    "gptj": around(renamed({**LN, **SPLIT, **GPTJ})),
    "codegen": around(
        {
            **renamed({**LN, **GPTJ}),
            **{
                f"attention.{part}_proj.weight": Source("attn.qkv_proj.weight", of_four(index))
                for index, part in enumerate("qvk")
            },
        }
    ),
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
    "gpt_neox_japanese": gpt_neox_japanese,
    "persimmon": persimmon,
}

UNNAMED = {"codegen", "gpt_neox_japanese", "persimmon"}
