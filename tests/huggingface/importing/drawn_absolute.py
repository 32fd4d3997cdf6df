"""Small configs of the families in `families/absolute.py`."""

from __future__ import annotations

from typing import Any

from drawn import GPT_NAMES, Settings, acts, flags, widths
from hypothesis import strategies as st

inner = {"n_inner": st.none() | widths}
GPT2 = {"n_inner": st.none() | widths, "scale_attn_weights": flags}

OPTIONS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    **dict.fromkeys(("gpt2", "gpt-sw3"), GPT2),
    "gpt_neo": {
        "activation_function": acts,
        "intermediate_size": st.none() | widths,
        "window_size": st.sampled_from((1, 5, 9, 300)),
        "attention_types": st.just([]),
    },
    "gpt_bigcode": {**inner, "activation_function": acts, "multi_query": flags, "scale_attn_weights": flags},
    "openai-gpt": {"afn": st.sampled_from(("relu", "gelu", "silu", "swish"))},
    "ctrl": {"dff": widths},
    "opt": {
        "activation_function": acts,
        "do_layer_norm_before": flags,
        "_remove_final_layer_norm": flags,
        "enable_bias": flags,
        "layer_norm_elementwise_affine": flags,
        "ffn_dim": widths,
    },
    "biogpt": {"hidden_act": acts, "scale_embedding": flags, "layer_norm_eps": st.just(0.1)},
    "xglm": {"activation_function": acts, "scale_embedding": flags, "ffn_dim": widths},
    "bloom": {},
    "mpt": {
        "attn_config": st.fixed_dictionaries(
            {},
            optional={
                "clip_qkv": st.sampled_from((None, 0.5, 8.0)),
                "softmax_scale": st.sampled_from((None, 0.3)),
                "alibi": st.just(True),
            },
        )
    },
}

NEEDED: dict[str, Settings] = {}

ALWAYS: dict[str, tuple[str, ...]] = {
    "gpt_neo": ("attention_types",),
    "ctrl": ("dff",),
    **dict.fromkeys(("opt", "xglm"), ("ffn_dim",)),
}

# How a family names its sizes, where it has names of its own.
NAMED: dict[str, Settings] = {
    **dict.fromkeys(("gpt2", "gpt-sw3", "gpt_bigcode", "openai-gpt", "ctrl"), GPT_NAMES),
    "gpt_neo": {"num_hidden_layers": "num_layers", "num_attention_heads": "num_heads"},
    "xglm": {"hidden_size": "d_model", "num_hidden_layers": "num_layers", "num_attention_heads": "attention_heads"},
    "bloom": {"num_hidden_layers": "n_layer", "num_attention_heads": "n_head", "max_position_embeddings": "seq_length"},
    "mpt": {
        "hidden_size": "d_model",
        "num_hidden_layers": "n_layers",
        "num_attention_heads": "n_heads",
        "max_position_embeddings": "max_seq_len",
    },
}

OWN_ROPE = tuple(OPTIONS)


def of_family(draw: st.DrawFn, family: str, config: Settings) -> None:
    """What follows from other settings, and what a family calls otherwise."""
    del config["num_key_value_heads"]
    if family not in ("gpt_neo", "biogpt"):
        del config["intermediate_size"]
    if family == "gpt_neo":
        n_layers = config["num_hidden_layers"]
        if draw(flags):
            config["attention_types"] = [[["global", "local"], n_layers // 2], [["local"], 1]]
            config["num_hidden_layers"] = n_layers // 2 * 2 + 1
        else:
            config["attention_types"] = [[[draw(st.sampled_from(("global", "local")))], n_layers]]
    if family == "xglm" and draw(flags):
        config["pad_token_id"] = 1
    for usual, own in NAMED.get(family, {}).items():
        config[own] = config.pop(usual)
