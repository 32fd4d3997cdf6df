"""The names of weights of families in `families/absolute.py`."""

from __future__ import annotations

from collections.abc import Callable

from configs import Config
from weights import GQA, PRE_NORMS, Change, Names, Source, gpt2, linear, of_layer, qkv_by_group, renamed, share

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


def fairseq(base: str, final: str, head: str) -> Names:
    embedding = f"{base}.embed_tokens.weight"
    return {
        "embedding.tokens.weight": embedding,
        "position_embedding.positions.weight": f"{base}.embed_positions.weight",
        **linear("final_norm.norm", f"{base}.{final}"),
        "head.lm_head.weight": (f"{head}.weight", embedding),
        **of_layer(FAIRSEQ, f"{base}.layers"),
    }


FC = {"ffn.up_proj": "mlp.c_fc", "ffn.down_proj": "mlp.c_proj"}

LN = {"norms.attention_pre": "ln_1", "norms.ffn_pre": "ln_2", "norms.shared_pre": "ln_1"}


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
    "openai-gpt": openai_gpt(),
    "ctrl": around(renamed(CTRL), "w", "layernorm"),
    "opt": fairseq("model.decoder", "final_layer_norm", "lm_head"),
    "biogpt": fairseq("biogpt", "layer_norm", "output_projection"),
    "xglm": fairseq("model", "layer_norm", "lm_head"),
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
}

NAMES_BY_CONFIG: dict[str, Callable[[Config], Names]] = {
    "gpt_bigcode": gpt_bigcode,
    "bloom": bloom,
}

UNNAMED = {"bloom", "ctrl", "gpt_bigcode", "gpt_neo", "mpt"}
