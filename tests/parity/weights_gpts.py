"""The names of weights of the families in `families/gpts.py`."""

from __future__ import annotations

from collections.abc import Callable

from configs import Config
from torch import Tensor
from weights import PRE_NORMS, Change, Names, Source, gpt2, linear, of_layer, qkv_by_group, renamed, share

SPLIT = {f"attention.{part}_proj": f"attn.{part}_proj" for part in "qkv"}
FC = {"ffn.up_proj": "mlp.c_fc", "ffn.down_proj": "mlp.c_proj"}
LN = {"norms.attention_pre": "ln_1", "norms.ffn_pre": "ln_2", "norms.shared_pre": "ln_1"}
GPTJ = {"attention.o_proj": "attn.out_proj", "ffn.up_proj": "mlp.fc_in", "ffn.down_proj": "mlp.fc_out"}


def around(layer: Names, table: str = "wte", norm: str = "ln_f", layers: str = "h") -> Names:
    """Names of a model whose parts stand in `transformer`."""
    return {
        "embedding.tokens.weight": f"transformer.{table}.weight",
        "position_embedding.positions.weight": "transformer.wpe.weight",
        **linear("final_norm.norm", f"transformer.{norm}"),
        "head.lm_head.weight": ("lm_head.weight", f"transformer.{table}.weight"),
        "head.lm_head.bias": "lm_head.bias",
        **of_layer(layer, f"transformer.{layers}"),
    }


def bloom(c: Config) -> Names:
    names = {
        **PRE_NORMS,
        **qkv_by_group(c.n_head, c.hidden_size // c.n_head, "self_attention.query_key_value"),
        **renamed(
            {
                "attention.o_proj": "self_attention.dense",
                "ffn.up_proj": "mlp.dense_h_to_4h",
                "ffn.down_proj": "mlp.dense_4h_to_h",
            }
        ),
    }
    return {
        **around(names, "word_embeddings"),
        **linear("embedding_norm.norm", "transformer.word_embeddings_layernorm"),
    }


def of_four(index: int) -> Change:
    """One of queries, values and keys, which each of four devices stores for its heads."""

    def rows(values: Tensor) -> Tensor:
        of_devices: Tensor = values.unflatten(0, (4, 3, -1))[:, index]
        return of_devices.flatten(0, 1)

    return rows


def gpt_bigcode(c: Config) -> Names:
    width = c.n_embd // c.n_head
    if not c.multi_query:
        return around(
            {
                **renamed({**LN, **FC, "attention.o_proj": "attn.c_proj"}),
                **qkv_by_group(c.n_head, width, "attn.c_attn"),
            }
        )
    names = renamed({**LN, **FC, "attention.o_proj": "attn.c_proj"})
    ends = {"q_proj": (0, c.n_embd), "k_proj": (c.n_embd, width), "v_proj": (c.n_embd + width, width)}
    for part, (start, length) in ends.items():
        for kind in ("weight", "bias"):
            names[f"attention.{part}.{kind}"] = Source(f"attn.c_attn.{kind}", rows(start, length))
    return around(names)


def rows(start: int, length: int) -> Change:
    return lambda values: values[start : start + length]


def openai_gpt() -> Names:
    post = {"layers.{}.norms.attention_post": "ln_1", "layers.{}.norms.ffn_post": "ln_2"}
    return {
        **gpt2(),
        "embedding.tokens.weight": "transformer.tokens_embed.weight",
        "position_embedding.positions.weight": "transformer.positions_embed.weight",
        "head.lm_head.weight": ("lm_head.weight", "transformer.tokens_embed.weight"),
        **renamed({ours: f"transformer.h.{{}}.{theirs}" for ours, theirs in post.items()}),
    }


MPT = {
    "norms.attention_pre": "norm_1",
    "norms.ffn_pre": "norm_2",
    "attention.o_proj": "attn.out_proj",
    "ffn.up_proj": "ffn.up_proj",
    "ffn.down_proj": "ffn.down_proj",
}
CTRL = {
    "norms.attention_pre": "layernorm1",
    "norms.ffn_pre": "layernorm2",
    "attention.q_proj": "multi_head_attention.Wq",
    "attention.k_proj": "multi_head_attention.Wk",
    "attention.v_proj": "multi_head_attention.Wv",
    "attention.o_proj": "multi_head_attention.dense",
    "ffn.up_proj": "ffn.0",
    "ffn.down_proj": "ffn.2",
}

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
    "gpt_neo": around(
        renamed(
            {
                **LN,
                **FC,
                **{f"attention.{part}_proj": f"attn.attention.{part}_proj" for part in "qkv"},
                "attention.o_proj": "attn.attention.out_proj",
            }
        )
    ),
    "mpt": around(
        {
            **renamed(MPT),
            **{
                f"attention.{part}_proj.weight": Source("attn.Wqkv.weight", share(index, 3, 0))
                for index, part in enumerate("qkv")
            },
        },
        norm="norm_f",
        layers="blocks",
    ),
    "openai-gpt": openai_gpt(),
    "ctrl": around(renamed(CTRL), "w", "layernorm"),
}
NAMES_BY_CONFIG: dict[str, Callable[[Config], Names]] = {"bloom": bloom, "gpt_bigcode": gpt_bigcode}
UNNAMED = {"bloom", "codegen", "gpt_neo", "gpt_bigcode", "mpt", "ctrl"}
